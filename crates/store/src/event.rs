//! The event log: append-only, numbered per tenant without gaps. Appending happens inside the transactions of the
//! other resources; here it is read, watched and pruned.

use std::collections::HashMap;
use std::time::Duration;

use fleet::{DeviceId, Event, EventKind, OperationId, TenantId, Timestamp};
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::error::{Error, Result};
use crate::limits::{EVENT_BYTES_MAX, EVENT_PAGE_MAX, EVENT_SCAN_MAX, RETENTION_BATCH_MAX};
use crate::sql::{Arg, Bulk, Conn, Row, Sql, bulk_values, from_json_or_empty, json, sql};
use crate::{Store, readable};

/// The channel on which the nodes of one PostgreSQL tell each other that a log grew.
const CHANNEL: &str = "headend_event";

/// Wait before listening again after a lost connection.
const LISTEN_RETRY: Duration = Duration::from_secs(1);

/// An event with its place in the tenant's log.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    /// Its number: the cursor. The first is 1, none is missing.
    pub seq: u64,
    /// The event.
    pub event: Event,
}

/// How far a tenant's log has grown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHead {
    /// Whose log.
    pub tenant: TenantId,
    /// Number of its last event.
    pub seq: u64,
}

/// Which events; empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Of that device under these ids, too; nothing without it.
    pub former: Vec<DeviceId>,
    /// Of this operation.
    pub operation: Option<OperationId>,
    /// Of one of these kinds.
    pub kinds: Vec<EventKind>,
    /// That happened at this time or later.
    pub since: Option<Timestamp>,
}

/// In which direction the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOrder {
    /// Events with numbers above the cursor, ascending.
    After(u64),
    /// Events with numbers below the cursor, descending; `None` starts at the newest.
    Before(Option<u64>),
}

/// One page of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<EventRecord>,
    /// The cursor to go on with. When reading forward always present, because the log goes on growing; when reading
    /// backward `None` at the beginning of the log.
    pub next: Option<u64>,
    /// Whether more is known to be there now.
    pub more: bool,
}

/// An event on its way into the log.
pub(crate) struct Pending {
    pub(crate) seq: u64,
    pub(crate) event: Event,
    pub(crate) body: String,
    pub(crate) dedupe: Option<i64>,
}

/// The text of an event's data, within the limit.
pub(crate) fn body_of(event: &Event) -> Result<String> {
    let body = json(&event.data)?;
    if body.len() > EVENT_BYTES_MAX {
        return Err(Error::LimitExceeded {
            what: "bytes of an event",
            max: EVENT_BYTES_MAX as u64,
        });
    }
    Ok(body)
}

/// Writes a group's events, many rows per statement.
pub(crate) async fn insert_all(conn: &mut Conn, events: Vec<Pending>) -> Result<()> {
    const INSERT: Bulk = Bulk::insert(
        "INSERT INTO event (tenant, seq, at, kind, device, operation, actor, dedupe, body) VALUES ",
        9,
    );
    bulk_values(conn, INSERT, events, |pending, args: &mut Vec<Arg>| {
        args.push((&pending.event.tenant).into());
        args.push(pending.seq.into());
        args.push(pending.event.at.into());
        args.push(pending.event.kind.as_str().into());
        args.push(pending.event.device.into());
        args.push(pending.event.operation.into());
        args.push(pending.event.actor.into());
        args.push(pending.dedupe.into());
        args.push(pending.body.into());
    })
    .await
}

impl Store {
    /// Appends events of one tenant; the number of the last.
    pub async fn event_append(&self, tenant: &TenantId, events: Vec<Event>) -> Result<u64> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                tx.append_all(events).await?;
                tx.head(&tenant).await
            })
        })
        .await
    }

    /// The number of the last event of the tenant, 0 before the first.
    pub async fn event_head(&self, tenant: &TenantId) -> Result<u64> {
        let statement = sql("SELECT event_head FROM tenant WHERE id = $1").bind(tenant);
        let row = self.optional(statement).await?;
        row.ok_or(Error::NotFound("tenant"))?.columns().take()
    }

    /// The number of the oldest event still kept.
    pub async fn event_oldest(&self, tenant: &TenantId) -> Result<u64> {
        let statement = sql("SELECT event_floor FROM tenant WHERE id = $1").bind(tenant);
        let row = self.optional(statement).await?;
        let floor: u64 = row.ok_or(Error::NotFound("tenant"))?.columns().take()?;
        Ok(floor + 1)
    }

    /// Events after a cursor, ascending. Reading on from [`EventPage::next`] never skips one.
    pub async fn events_after(
        &self,
        tenant: &TenantId,
        cursor: u64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<EventPage> {
        let limit = limit.clamp(1, EVENT_PAGE_MAX);
        // The head is read before the rows: all rows up to it are visible then.
        let head = self.event_head(tenant).await?;
        let cursor = cursor.min(head);
        let to = self.window_end(filter, cursor, head);
        let mut statement = select(sql(""), tenant, filter, cursor + 1, to);
        statement.push(" ORDER BY seq LIMIT ").arg(limit);
        let rows = self.all(statement).await?;
        let next = last_of(&rows, limit)?.unwrap_or(to);
        let events = readable(&rows, "event", |row| read(tenant, row))?;
        Ok(EventPage {
            more: next < head,
            next: Some(next),
            events,
        })
    }

    /// Events before a cursor (all when `None`), newest first.
    pub async fn events_before(
        &self,
        tenant: &TenantId,
        cursor: Option<u64>,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<EventPage> {
        let limit = limit.clamp(1, EVENT_PAGE_MAX);
        let head = self.event_head(tenant).await?;
        let oldest = self.event_oldest(tenant).await?;
        let cursor = cursor.unwrap_or(u64::MAX).min(head + 1);
        let from = if indexed(filter) {
            oldest
        } else {
            cursor.saturating_sub(EVENT_SCAN_MAX).max(oldest)
        };
        let mut statement = select(sql(""), tenant, filter, from, cursor.saturating_sub(1));
        statement.push(" ORDER BY seq DESC LIMIT ").arg(limit);
        let rows = self.all(statement).await?;
        let next = last_of(&rows, limit)?.unwrap_or(from);
        let events = readable(&rows, "event", |row| read(tenant, row))?;
        let more = next > oldest;
        Ok(EventPage {
            more,
            next: more.then_some(next),
            events,
        })
    }

    /// Reads the log in one of the two directions.
    pub async fn events(
        &self,
        tenant: &TenantId,
        order: EventOrder,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<EventPage> {
        match order {
            EventOrder::After(cursor) => self.events_after(tenant, cursor, filter, limit).await,
            EventOrder::Before(cursor) => self.events_before(tenant, cursor, filter, limit).await,
        }
    }

    /// One event.
    pub async fn event(&self, tenant: &TenantId, seq: u64) -> Result<EventRecord> {
        let statement = select(sql(""), tenant, &EventFilter::default(), seq, seq);
        let row = self.optional(statement).await?;
        read(tenant, &row.ok_or(Error::NotFound("event"))?)
    }

    /// Tells when a log grew, of any tenant; a nudge to look at the log, which alone is the truth. A receiver that
    /// lags behind misses nudges, never events.
    pub fn watch_events(&self) -> broadcast::Receiver<EventHead> {
        self.heads.subscribe()
    }

    /// Removes one batch of events older than `before` from the old end of the log; how many. The oldest number
    /// kept only grows, and no number is given out twice.
    pub async fn event_purge(&self, tenant: &TenantId, before: Timestamp) -> Result<u64> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let floor = sql("SELECT event_floor FROM tenant WHERE id = $1").bind(&tenant);
                let row = tx.optional(floor).await?.ok_or(Error::NotFound("tenant"))?;
                let floor: u64 = row.columns().take()?;
                // From the old end on, up to the first one that is young enough.
                let statement = sql("SELECT seq, at FROM event WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3")
                    .bind(&tenant)
                    .bind(floor)
                    .bind(RETENTION_BATCH_MAX);
                let mut to = floor;
                for row in tx.all(statement).await? {
                    let mut c = row.columns();
                    let (seq, at): (u64, Timestamp) = (c.take()?, c.take()?);
                    if at >= before {
                        break;
                    }
                    to = seq;
                }
                let update = sql("UPDATE tenant SET event_floor = $1 WHERE id = $2")
                    .bind(to)
                    .bind(&tenant);
                tx.execute(update).await?;
                let delete = sql("DELETE FROM event WHERE tenant = $1 AND seq <= $2")
                    .bind(&tenant)
                    .bind(to);
                tx.execute(delete).await
            })
        })
        .await
    }

    fn window_end(&self, filter: &EventFilter, cursor: u64, head: u64) -> u64 {
        if indexed(filter) {
            head
        } else {
            head.min(cursor.saturating_add(EVENT_SCAN_MAX))
        }
    }
}

/// Whether an index serves the filter, so that no window is needed to bound the work.
fn indexed(filter: &EventFilter) -> bool {
    let narrowed = !filter.kinds.is_empty() || filter.since.is_some();
    !narrowed || filter.device.is_some() || filter.operation.is_some()
}

/// A statement, after this beginning, for what fits the filter from one number to another. The ids of a device that had
/// several are each looked up for themselves, in the order of the log, and merged: a page reads no more than it shows.
fn select(mut statement: Sql, tenant: &TenantId, filter: &EventFilter, from: u64, to: u64) -> Sql {
    let former = filter.former.iter().filter(|_| filter.device.is_some());
    let devices = std::iter::once(filter.device).chain(former.copied().map(Some));
    for (n, device) in devices.enumerate() {
        statement
            .push(if n > 0 { " UNION ALL " } else { "" })
            .push("SELECT seq, at, kind, device, operation, actor, body FROM event WHERE tenant = ")
            .arg(tenant);
        if let Some(device) = device {
            statement.push(" AND device = ").arg(device);
        }
        if let Some(operation) = filter.operation {
            statement.push(" AND operation = ").arg(operation);
        }
        if let Some(since) = filter.since {
            statement.push(" AND at >= ").arg(since);
        }
        if !filter.kinds.is_empty() {
            statement
                .push(" AND kind IN ")
                .list(filter.kinds.iter().map(|kind| kind.as_str()));
        }
        statement.push(" AND seq >= ").arg(from);
        statement.push(" AND seq <= ").arg(to);
    }
    statement
}

/// The number in the last row of a page, when the page is full.
fn last_of(rows: &[Row], limit: usize) -> Result<Option<u64>> {
    let last = rows.last().filter(|_| rows.len() == limit);
    last.map(|row| row.columns().take()).transpose()
}

fn read(tenant: &TenantId, row: &Row) -> Result<EventRecord> {
    let mut c = row.columns();
    let (seq, at): (u64, Timestamp) = (c.take()?, c.take()?);
    let kind: String = c.take()?;
    Ok(EventRecord {
        seq,
        event: Event {
            tenant: tenant.clone(),
            at,
            kind: kind
                .parse()
                .map_err(|()| Error::damaged(format!("an event of unknown kind {kind:?}")))?,
            device: c.take()?,
            operation: c.take()?,
            actor: c.take()?,
            data: from_json_or_empty(&c.take::<String>()?, "data of an event"),
        },
    })
}

/// Carries nudges between the nodes of one PostgreSQL, until this node's writers end. Outside of the writers'
/// transactions, because a NOTIFY inside makes all commits of the database wait for each other.
pub(crate) async fn relay(
    pool: PgPool,
    heads: broadcast::Sender<EventHead>,
    mut own: broadcast::Receiver<EventHead>,
) {
    let listening = tokio::spawn(listen(pool.clone(), heads));
    loop {
        let mut grown = HashMap::new();
        match own.recv().await {
            Ok(head) => drop(grown.insert(head.tenant, head.seq)),
            Err(RecvError::Lagged(_)) => grown = all_heads(&pool).await,
            Err(RecvError::Closed) => break,
        }
        while let Ok(head) = own.try_recv() {
            grown.insert(head.tenant, head.seq);
        }
        for (tenant, seq) in grown {
            let notify = sqlx::query("SELECT pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(format!("{tenant} {seq}"));
            if let Err(error) = notify.execute(&pool).await {
                tracing::debug!(%error, "other nodes were not told of new events");
            }
        }
    }
    listening.abort();
}

/// Passes on what other nodes announce. After a lost connection it announces every tenant once, because nudges
/// may have been missed.
async fn listen(pool: PgPool, heads: broadcast::Sender<EventHead>) {
    loop {
        if let Err(error) = listen_once(&pool, &heads).await {
            tracing::warn!(%error, "listening for events of other nodes");
        }
        tokio::time::sleep(LISTEN_RETRY).await;
    }
}

async fn listen_once(pool: &PgPool, heads: &broadcast::Sender<EventHead>) -> Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        if let Some(notification) = listener.try_recv().await? {
            if let Some(head) = parse_head(notification.payload()) {
                let _ = heads.send(head);
            }
        } else {
            for (tenant, seq) in all_heads(pool).await {
                let _ = heads.send(EventHead { tenant, seq });
            }
        }
    }
}

async fn all_heads(pool: &PgPool) -> HashMap<TenantId, u64> {
    let rows = sqlx::query_as::<_, (String, i64)>("SELECT id, event_head FROM tenant")
        .fetch_all(pool)
        .await
        .unwrap_or_default();
    let head =
        |(tenant, seq): (String, i64)| Some((tenant.parse().ok()?, u64::try_from(seq).ok()?));
    rows.into_iter().filter_map(head).collect()
}

fn parse_head(payload: &str) -> Option<EventHead> {
    let (tenant, seq) = payload.split_once(' ')?;
    Some(EventHead {
        tenant: tenant.parse().ok()?,
        seq: seq.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_told_of_a_device_is_looked_up_in_its_order_and_neither_searched_for_nor_sorted()
     {
        let database = crate::testing::sqlite().await.unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        let id = |n| DeviceId(uuid::Uuid::from_u128(n));
        let of_device = EventFilter {
            device: Some(id(1)),
            ..EventFilter::default()
        };
        let kinds = vec![EventKind::DeviceBooted, EventKind::DeviceCommandCompleted];
        let of_several = EventFilter {
            former: vec![id(2), id(3)],
            kinds,
            since: Some(Timestamp(1)),
            ..of_device.clone()
        };
        let of_operation = EventFilter {
            operation: Some(OperationId(uuid::Uuid::from_u128(4))),
            ..EventFilter::default()
        };
        for (filter, index, ways) in [
            (
                of_device,
                "event_device (tenant=? AND device=? AND seq>? AND seq<?)",
                1,
            ),
            (
                of_several,
                "event_device (tenant=? AND device=? AND seq>? AND seq<?)",
                3,
            ),
            (
                of_operation,
                "event_operation (tenant=? AND operation=? AND seq>? AND seq<?)",
                1,
            ),
        ] {
            for order in [" ORDER BY seq LIMIT ", " ORDER BY seq DESC LIMIT "] {
                let mut statement = select(sql("EXPLAIN QUERY PLAN "), &tenant, &filter, 1, 9);
                statement.push(order).arg(50u64);
                let plan = crate::testing::plan(&database.store, statement).await;
                assert_eq!(plan.matches(index).count(), ways, "{plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
    }
}
