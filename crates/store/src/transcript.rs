//! What went over the wire for an operation: the last entries of each, cut to a size a person can read.

use fleet::{OperationId, TenantId, Timestamp};

use crate::error::{Error, Result};
use crate::limits::{TRANSCRIPT_BYTES_MAX, TRANSCRIPT_ENTRIES_MAX};
use crate::sql::{Bulk, sql};
use crate::value_codec::{deflate, inflate};
use crate::{Store, readable};

/// One message of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptEntry {
    /// When.
    pub at: Timestamp,
    /// `in` from the device, `out` to it.
    pub direction: String,
    /// What it went over: `websocket`, `mqtt`, `cwmp`; empty where that is not known.
    pub transport: String,
    /// Name of the message.
    pub what: String,
    /// The message as text.
    pub text: String,
}

const INSERT: Bulk = Bulk::insert(
    "INSERT INTO transcript (tenant, operation, n, at, direction, what, body, transport) VALUES ",
    8,
);

impl Store {
    /// Adds entries to the transcript of an operation; the oldest beyond the limit go.
    pub async fn transcript_append(
        &self,
        tenant: &TenantId,
        operation: OperationId,
        entries: Vec<TranscriptEntry>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let last = sql("SELECT (SELECT coalesce(max(n), 0) FROM transcript t WHERE t.tenant = o.tenant \
                     AND t.operation = o.id) FROM operation o WHERE o.tenant = $1 AND o.id = $2")
                    .bind(&tenant)
                    .bind(operation);
                let last = tx.optional(last).await?.ok_or(Error::NotFound("operation"))?;
                let before: u64 = last.columns().take()?;
                let mut rows = Vec::with_capacity(entries.len());
                for (n, entry) in (before + 1..).zip(entries) {
                    rows.push((n, deflate(cut(&entry.text).as_bytes())?, entry));
                }
                let last = before + rows.len() as u64;
                tx.bulk(INSERT, rows, |(n, body, entry), args| {
                    args.extend([(&tenant).into(), operation.into(), n.into(), entry.at.into()]);
                    args.extend([entry.direction.into(), entry.what.into(), body.into(), entry.transport.into()]);
                })
                .await?;
                if last <= TRANSCRIPT_ENTRIES_MAX {
                    return Ok(());
                }
                let trim = sql("DELETE FROM transcript WHERE tenant = $1 AND operation = $2 AND n <= $3")
                    .bind(&tenant)
                    .bind(operation)
                    .bind(last - TRANSCRIPT_ENTRIES_MAX);
                tx.execute(trim).await.map(drop)
            })
        })
        .await
    }

    /// The transcript of an operation, in order.
    pub async fn transcript_list(
        &self,
        tenant: &TenantId,
        operation: OperationId,
    ) -> Result<Vec<TranscriptEntry>> {
        let statement = sql(
            "SELECT at, direction, transport, what, body FROM transcript \
             WHERE tenant = $1 AND operation = $2 ORDER BY n",
        )
        .bind(tenant)
        .bind(operation);
        readable(&self.all(statement).await?, "transcript", |row| {
            let mut c = row.columns();
            Ok(TranscriptEntry {
                at: c.take()?,
                direction: c.take()?,
                transport: c.take()?,
                what: c.take()?,
                text: String::from_utf8(inflate(&c.take::<Vec<u8>>()?)?).map_err(Error::damaged)?,
            })
        })
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(TRANSCRIPT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
