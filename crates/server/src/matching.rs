//! Devices that come over one protocol and are known over another: what two registrations have in common is looked
//! up here, `fleet::matching` decides, and what it leaves open waits for a person.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fleet::matching::{Meeting, Rule, Verdict, verdict};
use fleet::{DeviceId, Event, EventKind, Identity, IdentityKind, MatchId, TenantId};
use serde_json::json;
use store::{EventFilter, MatchRecord, PathRecord, Store};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::limits::{MATCHING_EVENTS_BACK, MATCHING_EVERY, MATCHING_PAGE};
use crate::seam::South;
use crate::secret;
use crate::state::now;

/// A device that came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The transport it came over.
    pub transport: &'a str,
    /// Where it came from.
    pub address: Option<IpAddr>,
    /// Itself, where it is registered already.
    pub device: Option<DeviceId>,
}

/// The paths over which a device has come, or for which it has a credential.
pub async fn used(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
) -> store::Result<Vec<PathRecord>> {
    let mut paths = store.path_list(tenant, device).await?;
    paths.retain(|path| {
        path.connected_at.is_some() || path.has_current || path.pending_at.is_some()
    });
    Ok(paths)
}

/// Whether a device that came is `other`, with which it has a name of this kind in common. One that was registered,
/// and that nobody has come as yet, is.
pub async fn judge(
    store: &Store,
    rule: Rule,
    tenant: &TenantId,
    arrival: Arrival<'_>,
    other: DeviceId,
    by: IdentityKind,
) -> store::Result<Verdict> {
    let paths = used(store, tenant, other).await?;
    if paths.is_empty() && by.merges() {
        return Ok(Verdict::Same);
    }
    let rejected = match arrival.device {
        Some(device) => store.match_rejected(tenant, device, other).await?,
        None => false,
    };
    let meeting = Meeting {
        by,
        same_address: arrival.address.is_some()
            && paths
                .iter()
                .any(|path| address(&path.peer) == arrival.address),
        same_transport: paths.iter().any(|path| path.transport == arrival.transport),
        rejected,
    };
    Ok(verdict(rule, meeting))
}

/// The address in what a path keeps of its last peer.
pub fn address(peer: &str) -> Option<IpAddr> {
    let socket = peer.parse::<SocketAddr>().map(|socket| socket.ip());
    let ip = socket.or_else(|_| peer.parse()).ok()?;
    Some(ip.to_canonical())
}

/// Lets a person decide whether two devices are one.
pub async fn suggest(
    store: &Store,
    tenant: &TenantId,
    known: DeviceId,
    came: DeviceId,
    identity: &Identity,
) -> store::Result<bool> {
    let at = now();
    let identity = format!("{} {}", identity.kind.as_str(), identity.value);
    let reason = "they have this name in common, and the configuration leaves it to a person";
    let event = Event::new(tenant.clone(), at, EventKind::DeviceMatchFound)
        .device(came)
        .actor("system")
        .data(json!({ "other": known.to_string(), "identity": identity, "reason": reason }));
    let found = MatchRecord {
        id: MatchId::new(at, secret::id_bits()),
        device: known,
        other: came,
        identity,
        reason: reason.to_owned(),
        created_at: at,
        rejected_at: None,
        rejected_by: String::new(),
    };
    let new = store.match_suggest(tenant, found, vec![event]).await?;
    if new {
        tracing::info!(%tenant, %known, %came, "two devices may be one; a person decides");
    }
    Ok(new)
}

/// Compares the MAC addresses of devices that were brought in lately, where the configuration names the parameters
/// that hold them.
pub async fn follow(
    store: Store,
    config: Arc<Config>,
    south: Arc<dyn South>,
    shutdown: CancellationToken,
) {
    if config.matching.mac_parameters.is_empty() {
        return;
    }
    let mut cursors = HashMap::new();
    loop {
        if let Err(error) = look(&store, &config, &*south, &mut cursors).await {
            tracing::warn!(%error, "MAC addresses could not be compared; it will be tried again");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(MATCHING_EVERY) => {}
        }
    }
}

async fn look(
    store: &Store,
    config: &Config,
    south: &dyn South,
    cursors: &mut HashMap<TenantId, u64>,
) -> store::Result<()> {
    let onboarded = EventFilter {
        kinds: vec![EventKind::DeviceOnboarded],
        ..EventFilter::default()
    };
    for tenant in store.tenant_list().await? {
        let mut cursor = match cursors.get(&tenant.id) {
            Some(cursor) => *cursor,
            // What was said while no node ran, or while this one stopped.
            None => {
                let head = store.event_head(&tenant.id).await?;
                head.saturating_sub(MATCHING_EVENTS_BACK)
            }
        };
        loop {
            let page = store
                .events_after(&tenant.id, cursor, &onboarded, MATCHING_PAGE)
                .await?;
            for record in &page.events {
                if let Some(device) = record.event.device {
                    by_mac(store, config, south, &tenant.id, device).await?;
                }
            }
            cursor = page.next.unwrap_or(cursor);
            cursors.insert(tenant.id.clone(), cursor);
            if !page.more {
                break;
            }
        }
    }
    Ok(())
}

/// Notes the MAC addresses of a device, and whether another one has them.
pub async fn by_mac(
    store: &Store,
    config: &Config,
    south: &dyn South,
    tenant: &TenantId,
    device: DeviceId,
) -> store::Result<()> {
    let values = store
        .value_of(tenant, device, &config.matching.mac_parameters)
        .await?;
    let macs: Vec<Identity> = values
        .iter()
        .filter_map(|known| Identity::of_mac(&known.value))
        .collect();
    if macs.is_empty() {
        return Ok(());
    }
    let source = "device".to_owned();
    let attached = store
        .identity_attach(tenant, device, macs, source, now(), Vec::new())
        .await;
    let taken = match attached {
        // Removed or merged meanwhile.
        Err(store::Error::NotFound(_)) => return Ok(()),
        taken => taken?,
    };
    let Some(path) = used(store, tenant, device).await?.into_iter().next() else {
        return Ok(());
    };
    let arrival = Arrival {
        transport: &path.transport,
        address: address(&path.peer),
        device: Some(device),
    };
    for record in taken {
        let (other, by) = (record.device, record.identity.kind);
        let rule = config.matching.rule();
        match judge(store, rule, tenant, arrival, other, by).await? {
            // Ids sort by the time they were made: the older one stays.
            Verdict::Same => {
                let (into, from) = (device.min(other), device.max(other));
                let merged = Event::new(tenant.clone(), now(), EventKind::DeviceMerged)
                    .device(into)
                    .actor("system")
                    .data(json!({
                        "from": from.to_string(),
                        "identity": format!("mac {}", record.identity.value),
                    }));
                store.device_merge(tenant, from, into, vec![merged]).await?;
                south.device_removed(tenant, from);
                return Ok(());
            }
            Verdict::Ask => {
                suggest(store, tenant, other, device, &record.identity).await?;
            }
            Verdict::Different => {}
        }
    }
    Ok(())
}
