//! Reconcilers: they take no input, look at the store, and may run at any time and any number of
//! times. What a lost hint, a dead node or the passing of time left undone, they find.

use std::collections::HashMap;
use std::time::Duration;

use fleet::presence::{Presence, PresenceConfig};
use fleet::{Event, EventKind, NodeId, Operation, OperationState, TenantId, Timestamp};
use serde_json::json;
use store::{DamagedOperation, DeviceFilter, DeviceSort, EventFilter, OpenPlace, Search, Store};
use tokio_util::sync::CancellationToken;

use super::{Handle, ending, events, limits};
use crate::state::now;

/// Ends, now and then, what nobody works on: a file on its way may take its time, and nothing else waits for that. What
/// came to its end while no node ran is found at once.
pub async fn ends(store: Store, node: NodeId, shutdown: CancellationToken) {
    let mut place = None;
    let mut begins = true;
    loop {
        report("overdue operations", overdue(&store, &node, now()).await);
        let told = told(&store, &node, &mut place, now()).await;
        begins &= told.is_ok() && place.is_some();
        report("operations that the log has the end of", told);
        let rest = match begins {
            true => Duration::ZERO,
            false => limits::RECONCILE_EVERY,
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Runs all the others, now and then.
pub async fn run(
    store: Store,
    handle: Handle,
    presence: PresenceConfig,
    shutdown: CancellationToken,
) {
    let mut places = Places::new();
    let mut purged: Option<tokio::time::Instant> = None;
    // Since when the store answers: whoever holds links had the time since then to write down whom it hears.
    let mut answers = tokio::time::Instant::now();
    loop {
        report("waiting operations", waiting(&store, &handle, now()).await);
        let told = silent(&store, presence, &mut places, now()).await;
        if told.is_err() {
            answers = tokio::time::Instant::now();
        }
        report("silent devices", told);
        if answers.elapsed() >= presence.silent_after {
            let lost = unheard(&store, presence, now()).await;
            report("links that nobody holds", lost);
        }
        report("devices that stay away", lapsed(&store, now()).await);
        if purged.is_none_or(|at| at.elapsed() > limits::PURGE_EVERY) {
            purged = Some(tokio::time::Instant::now());
            report("old operations", purge(&store, now()).await);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(limits::RECONCILE_EVERY) => {}
        }
    }
}

fn report(what: &str, result: store::Result<u64>) {
    match result {
        Ok(0) => {}
        Ok(count) => tracing::debug!(what, count, "reconciled"),
        Err(error) => {
            tracing::warn!(%error, what, "could not be reconciled; it will be tried again");
        }
    }
}

/// Ends operations whose time ran out while nobody worked on them.
pub async fn overdue(store: &Store, node: &NodeId, now: Timestamp) -> store::Result<u64> {
    let due = store.operation_due(now, limits::RECONCILE_BATCH).await?;
    let mut count = 0;
    for damaged in due.damaged {
        put_away(store, damaged, now).await?;
        count += 1;
    }
    for record in due.sound {
        let operation = record.operation;
        // Of a command that may have left more may be known than that its time is over.
        if operation.may_have_left() {
            count += u64::from(end(store, node, &operation, now).await?);
            continue;
        }
        let (tenant, id) = (operation.tenant, operation.id);
        let expire = move |operation: &mut Operation| {
            let previous = operation.state;
            operation.expire(now);
            events::of(previous, operation, now)
        };
        count += u64::from(store.operation_edit(&tenant, id, now, expire).await?);
    }
    Ok(count)
}

/// Ends operations of which the log has the end, and that nobody works on: whoever heard it could not claim them, or is
/// gone. Each look takes so many, and the next one goes on behind them.
pub async fn told(
    store: &Store,
    node: &NodeId,
    place: &mut Option<OpenPlace>,
    now: Timestamp,
) -> store::Result<u64> {
    let left = store
        .operation_commands_left(now, place.take(), limits::EVIDENCE_BATCH)
        .await?;
    let more = left.sound.len() + left.damaged.len() == limits::EVIDENCE_BATCH;
    let mut count = 0;
    for damaged in left.damaged {
        put_away(store, damaged, now).await?;
        count += 1;
    }
    for record in left.sound {
        let (operation, sequence) = (record.operation, record.sequence);
        *place = Some((operation.tenant.clone(), operation.device, sequence));
        count += u64::from(end(store, node, &operation, now).await?);
    }
    if !more {
        *place = None;
    }
    Ok(count)
}

/// One that cannot be ended keeps no other from its end, unless the store does not answer at all.
async fn end(
    store: &Store,
    node: &NodeId,
    operation: &Operation,
    now: Timestamp,
) -> store::Result<bool> {
    match ending::end(store, node, operation, now).await {
        Err(error) if !error.is_transient() => {
            let (tenant, id) = (&operation.tenant, operation.id);
            tracing::warn!(%error, %tenant, operation = %id, "an operation cannot be ended; it will be tried again");
            Ok(false)
        }
        ended => ended,
    }
}

/// Puts an operation away that cannot be read, so that no other waits for it, and says so.
pub async fn put_away(
    store: &Store,
    damaged: DamagedOperation,
    now: Timestamp,
) -> store::Result<()> {
    let DamagedOperation {
        tenant,
        id,
        device,
        why,
    } = damaged;
    let event = Event::new(tenant.clone(), now, EventKind::OperationFinished)
        .device(device)
        .operation(id)
        .actor("system")
        .data(json!({
            "state": OperationState::Unconfirmed.as_str(),
            "cause": "what the database has of it cannot be read",
        }));
    let found = store
        .operation_put_away(&tenant, id, now, vec![event])
        .await?;
    if found {
        metrics::counter!("headend_operations_damaged_total").increment(1);
        tracing::warn!(%tenant, operation = %id, %device, why, "an operation cannot be read and was put away");
    }
    Ok(())
}

/// Wakes devices whose work nobody holds: a hint was lost, or the node that held it is dead.
pub async fn waiting(store: &Store, handle: &Handle, now: Timestamp) -> store::Result<u64> {
    let mut after = None;
    let mut count = 0;
    loop {
        let page = store
            .operation_devices_waiting(now, after.take(), limits::RECONCILE_BATCH)
            .await?;
        for (_, device) in &page {
            handle.wake(*device);
            count += 1;
        }
        if page.len() < limits::RECONCILE_BATCH {
            return Ok(count);
        }
        after = page.into_iter().next_back();
    }
}

/// Writes off the links of devices that no server has heard for too long: the one that held them was killed, or was one of
/// several behind a broker and left that to the others.
pub async fn unheard(
    store: &Store,
    presence: PresenceConfig,
    now: Timestamp,
) -> store::Result<u64> {
    let since = now.minus(presence.lapses_after());
    let mut count = 0;
    for tenant in store.tenant_list().await? {
        loop {
            let batch = limits::RECONCILE_BATCH;
            let gone = store.path_lapse(&tenant.id, since, now, batch).await?;
            count += gone.len() as u64;
            if gone.len() < batch {
                break;
            }
        }
    }
    Ok(count)
}

/// Notes of devices that come at intervals, and do not come any more, that they are gone.
pub async fn lapsed(store: &Store, now: Timestamp) -> store::Result<u64> {
    let mut count = 0;
    for tenant in store.tenant_list().await? {
        let gone = store
            .device_lapse(&tenant.id, now, limits::SILENT_BATCH)
            .await?;
        count += gone.len() as u64;
    }
    Ok(count)
}

/// Where a look that is not through with a tenant goes on.
pub type Places = HashMap<TenantId, String>;

/// Says once of each device that it fell silent: on its link, or late where it comes at intervals. Each look takes so
/// many, and the next one goes on behind them.
pub async fn silent(
    store: &Store,
    presence: PresenceConfig,
    places: &mut Places,
    now: Timestamp,
) -> store::Result<u64> {
    let mut count = 0;
    for tenant in store.tenant_list().await? {
        let filter = DeviceFilter {
            presence: vec![Presence::Silent],
            ..DeviceFilter::default()
        };
        let search = Search {
            filter,
            now,
            presence,
        };
        let sort = DeviceSort::default();
        let place = places.remove(&tenant.id);
        let page = store
            .device_list(
                &tenant.id,
                &search,
                sort,
                place.as_deref(),
                limits::SILENT_BATCH,
            )
            .await?;
        places.extend(page.next.map(|next| (tenant.id.clone(), next)));
        for record in page.devices {
            let device = record.device;
            let heard = device.evidence.heard_at.max(device.evidence.connected_at);
            if !said(store, &tenant.id, device.id, heard).await? {
                let event = Event::new(tenant.id.clone(), now, EventKind::DeviceSilent)
                    .device(device.id)
                    .actor("system")
                    .data(json!({ "heard_at": heard.unwrap_or_default().to_string() }));
                store.event_append(&tenant.id, vec![event]).await?;
                count += 1;
            }
        }
    }
    Ok(count)
}

/// Whether the silence since it was last heard is in the log already.
async fn said(
    store: &Store,
    tenant: &TenantId,
    device: fleet::DeviceId,
    heard: Option<Timestamp>,
) -> store::Result<bool> {
    let filter = EventFilter {
        device: Some(device),
        kinds: vec![EventKind::DeviceSilent],
        since: heard,
        ..EventFilter::default()
    };
    Ok(!store
        .events_before(tenant, None, &filter, 1)
        .await?
        .events
        .is_empty())
}

/// Removes finished operations that are too old.
pub async fn purge(store: &Store, now: Timestamp) -> store::Result<u64> {
    let day = Duration::from_secs(24 * 3600);
    let before = now.minus(day * limits::OPERATIONS_DAYS);
    let mut count = 0;
    for tenant in store.tenant_list().await? {
        count += crate::in_batches(|| store.operation_purge(&tenant.id, before)).await?;
    }
    Ok(count)
}
