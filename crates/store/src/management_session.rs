//! The last management sessions of devices that come at intervals (CWMP): what was said, message by message, how it
//! ended, and the faults the device answered with; and how many devices of one model show a fault. Secrets in the
//! messages are masked by whoever wrote them down; those in the values of faults are masked here.

use fleet::secret;
use fleet::{DeviceId, SessionId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::limits::{
    DEVICE_COUNT_MAX, FAULTS_PER_DEVICE_MAX, FAULTS_PER_SESSION_MAX, PAGE_MAX, RETENTION_BATCH_MAX,
    SESSION_BYTES_MAX, SESSION_ENTRIES_MAX, SESSIONS_PER_DEVICE_MAX, TRANSCRIPT_BYTES_MAX,
};
use crate::sql::{Arg, Bulk, Columns, Row, json, sql};
use crate::text::cut;
use crate::value_codec::{deflate, inflate};
use crate::writer::Tx;
use crate::{Store, collect, readable};

/// A session that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementSession {
    /// Id.
    pub id: SessionId,
    /// Of which device.
    pub device: DeviceId,
    /// Management protocol: `cwmp`.
    pub protocol: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Where the device came from.
    pub peer: String,
    /// Why it came, in the protocol's words (`2 PERIODIC`).
    pub events: Vec<String>,
    /// How it ended, in words.
    pub ending: String,
    /// How many faults the device answered with.
    pub faults: u64,
}

/// What was said in a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTranscript {
    /// The messages, in order.
    pub entries: Vec<SessionEntry>,
    /// How many were left out in the middle, because there were too many or they were too long.
    #[serde(default)]
    pub left_out: usize,
    /// The faults the device answered with.
    #[serde(default)]
    pub faults: Vec<SessionFault>,
}

/// One message of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEntry {
    /// When.
    pub at: Timestamp,
    /// `in` from the device, `out` to it, `note` of ours.
    pub direction: String,
    /// What it is, like `Inform` or `SetParameterValuesResponse`.
    pub kind: String,
    /// The message as text, secrets masked.
    pub text: String,
    /// Something in it was masked.
    pub masked: bool,
}

/// A fault the device answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFault {
    /// The protocol's code (9000 to 9899 for CWMP).
    pub code: u32,
    /// The device's words.
    pub message: String,
    /// What it was asked, like `SetParameterValues`.
    pub asked: String,
    /// The parameter it blames, or the only one it was asked for; the deployment unit whose change it reports.
    pub parameter: Option<String>,
    /// The value that was tried; masked when it is a secret.
    pub value: Option<String>,
}

const SELECT: &str = "SELECT id, device, protocol, started_at, ended_at, peer, events, ending, faults, document \
     FROM management_session";

impl Store {
    /// Keeps a session that has ended, and counts its faults for the device's model; the oldest sessions of the device
    /// beyond the limit go. A transcript that is too long loses its middle.
    pub async fn management_session_put(
        &self,
        tenant: &TenantId,
        session: ManagementSession,
        transcript: SessionTranscript,
    ) -> Result<()> {
        let kept = self
            .management_session_put_all(tenant, vec![(session, transcript)])
            .await?;
        match kept {
            0 => Err(Error::NotFound("device")),
            _ => Ok(()),
        }
    }

    /// The same for several sessions, in one write; those of devices that were removed are left out. How many were
    /// kept.
    pub async fn management_session_put_all(
        &self,
        tenant: &TenantId,
        sessions: Vec<(ManagementSession, SessionTranscript)>,
    ) -> Result<usize> {
        let mut ended = Vec::with_capacity(sessions.len());
        for (session, transcript) in sessions {
            let transcript = bounded(transcript);
            let document = deflate(json(&transcript)?.as_bytes())?;
            // Others have a turn between large ones.
            tokio::task::yield_now().await;
            ended.push(Ended {
                events: json(&session.events)?,
                session,
                document,
                faults: transcript.faults,
            });
        }
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move { put(tx, &tenant, ended).await })
        })
        .await
    }

    /// The sessions of a device, newest first, from before `before` on.
    pub async fn management_session_list(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        before: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<ManagementSession>> {
        let mut statement = sql(SELECT);
        statement.push(" WHERE tenant = ").arg(tenant);
        statement.push(" AND device = ").arg(device);
        if let Some(before) = before {
            statement.push(" AND id < ").arg(before);
        }
        statement
            .push(" ORDER BY id DESC LIMIT ")
            .arg(limit.clamp(1, PAGE_MAX));
        let rows = self.all(statement).await?;
        readable(&rows, "session", |row| read(&mut row.columns()))
    }

    /// One session of a device, with what was said.
    pub async fn management_session(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        id: SessionId,
    ) -> Result<(ManagementSession, SessionTranscript)> {
        let statement = sql(SELECT)
            .then(" WHERE tenant = $1 AND device = $2 AND id = $3")
            .bind(tenant)
            .bind(device)
            .bind(id);
        let row = self.optional(statement).await?;
        let row: Row = row.ok_or(Error::NotFound("session"))?;
        let mut c = row.columns();
        let session = read(&mut c)?;
        let text = inflate(&c.take::<Vec<u8>>()?)?;
        let transcript = serde_json::from_slice(&text).map_err(Error::damaged)?;
        Ok((session, transcript))
    }

    /// How many other devices of this model showed a fault of this code with this parameter, whichever row of a
    /// table it is in.
    pub async fn fault_seen_elsewhere(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        model_key: &str,
        code: u32,
        parameter: &str,
    ) -> Result<u64> {
        let statement = sql("SELECT count(*) FROM (SELECT 1 AS one FROM fault_seen WHERE tenant = $1 \
             AND model_key = $2 AND code = $3 AND parameter = $4 AND device <> $5 LIMIT $6) AS counted")
        .bind(tenant)
        .bind(model_key)
        .bind(code)
        .bind(cut(&generic(parameter)))
        .bind(device)
        .bind(DEVICE_COUNT_MAX);
        self.one(statement).await?.columns().take()
    }

    /// Removes a batch of sessions, and of faults last seen, before this time; how many.
    pub async fn management_session_purge(
        &self,
        tenant: &TenantId,
        before: Timestamp,
    ) -> Result<u64> {
        let mut count = 0;
        for text in [
            "DELETE FROM management_session WHERE (tenant, device, id) IN (SELECT tenant, device, id \
             FROM management_session WHERE tenant = $1 AND ended_at < $2 ORDER BY ended_at LIMIT $3)",
            "DELETE FROM fault_seen WHERE (tenant, model_key, code, parameter, device) IN \
             (SELECT tenant, model_key, code, parameter, device FROM fault_seen \
             WHERE tenant = $1 AND last_at < $2 ORDER BY last_at LIMIT $3)",
        ] {
            let delete = sql(text)
                .bind(tenant)
                .bind(before)
                .bind(RETENTION_BATCH_MAX);
            count += self.execute(tenant, delete).await?;
        }
        Ok(count)
    }
}

/// A session as it is written down.
struct Ended {
    session: ManagementSession,
    events: String,
    document: Vec<u8>,
    faults: Vec<SessionFault>,
}

async fn put(tx: &mut Tx, tenant: &TenantId, mut ended: Vec<Ended>) -> Result<usize> {
    let mut statement = sql("SELECT id FROM device WHERE tenant = $1 AND id IN ").bind(tenant);
    statement.list(ended.iter().map(|one| one.session.device));
    let there: Vec<DeviceId> = collect(&tx.all(statement).await?, |row| row.columns().take())?;
    ended.retain(|one| there.contains(&one.session.device));
    let kept = ended.len();
    let mut faults = Vec::new();
    for one in &mut ended {
        if !one.faults.is_empty() {
            let of = std::mem::take(&mut one.faults);
            faults.push((one.session.device, of, one.session.ended_at));
        }
    }
    const INSERT: Bulk = Bulk::insert(
        "INSERT INTO management_session (tenant, device, id, protocol, started_at, ended_at, peer, events, ending, \
         faults, document) VALUES ",
        11,
    );
    let row = |one: Ended, args: &mut Vec<Arg>| {
        let session = one.session;
        args.extend([
            tenant.into(),
            session.device.into(),
            session.id.into(),
            session.protocol.into(),
            session.started_at.into(),
            session.ended_at.into(),
            cut(&session.peer).into(),
            one.events.into(),
            cut(&session.ending).into(),
            session.faults.into(),
            one.document.into(),
        ]);
    };
    tx.bulk(INSERT, ended, row)
        .await
        .map_err(|e| e.or_conflict("session", String::new()))?;
    // Ids sort by the time they were made. How far the sessions of a device go is looked up once for each.
    let mut trim = sql("WITH last AS (SELECT id AS device, (SELECT id FROM management_session AS one \
         WHERE one.tenant = $1 AND one.device = device.id ORDER BY id DESC LIMIT 1 OFFSET $2) AS id \
         FROM device WHERE tenant = $1 AND device.id IN ")
    .bind(tenant)
    .bind(SESSIONS_PER_DEVICE_MAX);
    trim.list(there).push(
        ") DELETE FROM management_session WHERE (tenant, device, id) IN (SELECT old.tenant, old.device, old.id \
         FROM last JOIN management_session AS old ON old.tenant = $1 AND old.device = last.device \
         AND old.id <= last.id)",
    );
    tx.execute(trim).await?;
    for (device, faults, at) in faults {
        count_faults(tx, tenant, device, faults, at).await?;
    }
    Ok(kept)
}

async fn count_faults(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    faults: Vec<SessionFault>,
    at: Timestamp,
) -> Result<()> {
    for fault in faults {
        // As long as its model is not known nothing is similar to it.
        let upsert = sql("INSERT INTO fault_seen (tenant, model_key, code, parameter, device, last_at) \
             SELECT tenant, cwmp_model_key, $3, $4, id, $5 FROM device WHERE tenant = $1 AND id = $2 AND cwmp_model_key <> '' \
             ON CONFLICT (tenant, model_key, code, parameter, device) DO UPDATE SET last_at = excluded.last_at")
        .bind(tenant)
        .bind(device)
        .bind(fault.code)
        .bind(cut(&generic(&fault.parameter.unwrap_or_default())))
        .bind(at);
        tx.execute(upsert).await?;
    }
    let trim = sql("DELETE FROM fault_seen WHERE (tenant, model_key, code, parameter, device) IN \
         (SELECT tenant, model_key, code, parameter, device FROM fault_seen WHERE tenant = $1 AND device = $2 \
         ORDER BY last_at DESC, model_key, code, parameter LIMIT 1000 OFFSET $3)")
    .bind(tenant)
    .bind(device)
    .bind(FAULTS_PER_DEVICE_MAX);
    tx.execute(trim).await.map(drop)
}

/// A path without the numbers of its rows.
fn generic(path: &str) -> String {
    let part = |part: &str| match part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty() {
        true => "{i}".to_owned(),
        false => part.to_owned(),
    };
    path.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// A transcript within the limits, its faults without secrets.
fn bounded(transcript: SessionTranscript) -> SessionTranscript {
    let SessionTranscript {
        mut entries,
        mut left_out,
        mut faults,
    } = transcript;
    for entry in &mut entries {
        if entry.text.len() > TRANSCRIPT_BYTES_MAX {
            let end = entry.text.floor_char_boundary(TRANSCRIPT_BYTES_MAX);
            entry.text.truncate(end);
        }
    }
    // How it began and how it ended tell most: the middle goes.
    let (head, tail) = (kept(entries.iter()), kept(entries.iter().rev()));
    if head + tail < entries.len() {
        left_out += entries.len() - head - tail;
        entries.drain(head..entries.len() - tail);
    }
    faults.truncate(FAULTS_PER_SESSION_MAX);
    for fault in &mut faults {
        let path = fault.parameter.as_deref().unwrap_or_default();
        if let Some(value) = fault.value.take() {
            let hidden = secret::hides(path, &value);
            let secrets = hidden.then_some(value.as_str());
            fault.message = secret::scrubbed(&fault.message, secrets);
            let value = secret::shown(path, value);
            fault.value = Some(cut(&value).to_owned());
        }
        fault.message = cut(&fault.message).to_owned();
    }
    SessionTranscript {
        entries,
        left_out,
        faults,
    }
}

/// How many of these entries fit in half of what a transcript may have.
fn kept<'e>(entries: impl Iterator<Item = &'e SessionEntry>) -> usize {
    let mut bytes = 0;
    entries
        .take(SESSION_ENTRIES_MAX / 2)
        .take_while(|entry| {
            bytes += entry.text.len();
            bytes <= SESSION_BYTES_MAX / 2
        })
        .count()
}

/// All columns of [`SELECT`] but the last, the transcript.
fn read(c: &mut Columns<'_>) -> Result<ManagementSession> {
    Ok(ManagementSession {
        id: c.take()?,
        device: c.take()?,
        protocol: c.take()?,
        started_at: c.take()?,
        ended_at: c.take()?,
        peer: c.take()?,
        events: crate::sql::from_json_or_empty(&c.take::<String>()?, "events of a session"),
        ending: c.take()?,
        faults: c.take()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_the_same_in_every_row() {
        assert_eq!(
            generic("Device.WiFi.SSID.3.SSID"),
            "Device.WiFi.SSID.{i}.SSID"
        );
        assert_eq!(generic("A.12.B.3."), "A.{i}.B.{i}.");
        assert_eq!(generic(""), "");
    }
}
