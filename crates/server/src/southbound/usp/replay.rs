//! What notifications said of values is written down a little after they are acknowledged. A kill
//! between the two must not leave a value behind that is not true any more: at the start, the end of
//! the log is gone through once more. Doing so for what is known already changes nothing.

use std::collections::HashMap;

use fleet::{DeviceId, Event, EventKind, TenantId, Timestamp};
use store::{EventFilter, Store, ValueUpdate};

use super::limits::{REPLAY_BACK, REPLAY_EVENTS_MAX};
use super::notice;
use super::notify::knowledge;
use super::recorder::merge;

/// Values of a device looked at for what a removed row takes along.
const BELOW_MAX: usize = 5_000;

/// What the end of a tenant's log says of values, by device.
pub async fn told(
    store: &Store,
    tenant: &TenantId,
) -> store::Result<HashMap<DeviceId, ValueUpdate>> {
    let mut all: HashMap<DeviceId, ValueUpdate> = HashMap::new();
    let recent = recent(store, tenant).await?;
    for event in recent.iter().rev() {
        let (Some(device), Some(notice)) = (event.device, notice::of_values(event)) else {
            continue;
        };
        let mut update = knowledge(&notice, event.at);
        let known = all.entry(device).or_default();
        for row in std::mem::take(&mut update.forget) {
            known
                .values
                .retain(|value| !value.path.starts_with(row.as_str()));
            let older = older(store, tenant, device, &row, event.at).await?;
            update.forget.extend(older);
        }
        merge(known, update);
    }
    Ok(all)
}

/// The end of the log, newest first: what tells of values.
async fn recent(store: &Store, tenant: &TenantId) -> store::Result<Vec<Event>> {
    let everything = EventFilter::default();
    let (mut found, mut seen) = (Vec::new(), 0);
    let (mut before, mut since) = (None, None);
    loop {
        let page = store
            .events_before(tenant, before, &everything, store::limits::EVENT_PAGE_MAX)
            .await?;
        seen += page.events.len();
        let mut over = seen >= REPLAY_EVENTS_MAX;
        for record in page.events {
            let event = record.event;
            let since = *since.get_or_insert_with(|| event.at.minus(REPLAY_BACK));
            over |= event.at < since;
            if event.at >= since && tells_of_values(event.kind) {
                found.push(event);
            }
        }
        match page.next {
            Some(next) if page.more && !over => before = Some(next),
            _ => return Ok(found),
        }
    }
}

fn tells_of_values(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::DeviceValueChanged
            | EventKind::DeviceObjectCreated
            | EventKind::DeviceObjectDeleted
    )
}

/// What is known below a row from before it was removed. Another row may have its number since.
async fn older(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    row: &str,
    removed: Timestamp,
) -> store::Result<Vec<String>> {
    let known = store
        .value_list(tenant, device, row, None, BELOW_MAX)
        .await?;
    let older = known.into_iter().filter(|value| value.at <= removed);
    Ok(older.map(|value| value.path).collect())
}
