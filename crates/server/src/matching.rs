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
use crate::limits::{MATCHING_ADDRESS_LIFE, MATCHING_EVENTS_BACK, MATCHING_EVERY, MATCHING_PAGE};
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

/// By what it is decided.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The operator's choice.
    pub rule: Rule,
    /// Addresses of our own from which any device comes.
    pub proxies: Vec<IpAddr>,
}

impl Terms {
    /// As configured.
    pub fn of(config: &Config) -> Self {
        let proxies = config.usp.proxies.iter().chain(&config.cwmp.proxies);
        Self {
            rule: config.matching.rule(),
            proxies: proxies.map(IpAddr::to_canonical).collect(),
        }
    }
}

/// The paths over which a device has come, or comes just now, or for which it has a credential.
pub async fn used(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
) -> store::Result<Vec<PathRecord>> {
    let mut paths = store.path_list(tenant, device).await?;
    paths.retain(is_used);
    Ok(paths)
}

/// Whether a device has come over a path, or comes just now, or has a credential that opens it.
pub fn is_used(path: &PathRecord) -> bool {
    path.connected_at.is_some()
        || path.setup_key.is_some()
        || path.has_current
        || path.pending_at.is_some() && !path.certificate_required
}

/// What an endpoint id says of the serial number, as far as nobody is known by it: with that a device is registered that
/// has to come with a certificate, or whoever has a setup key and tells it over TR-069 would be a device of its own.
pub async fn serials(
    store: &Store,
    tenant: &TenantId,
    endpoint: &str,
) -> store::Result<Vec<Identity>> {
    free(store, tenant, Identity::of_endpoint(endpoint)).await
}

/// Those of these names under which nobody is known.
pub async fn free(
    store: &Store,
    tenant: &TenantId,
    identities: Vec<Identity>,
) -> store::Result<Vec<Identity>> {
    let mut free = Vec::new();
    for identity in identities {
        if store.device_by_identity(tenant, &identity).await?.is_none() {
            free.push(identity);
        }
    }
    Ok(free)
}

/// Whether a device that came is `other`, with which it has a name of this kind in common. One that was registered,
/// and that nobody has come as yet, is.
pub async fn judge(
    store: &Store,
    terms: &Terms,
    tenant: &TenantId,
    arrival: Arrival<'_>,
    other: DeviceId,
    by: IdentityKind,
) -> store::Result<Verdict> {
    let mut paths = store.path_list(tenant, other).await?;
    let mut guarded = requires_certificate(&paths);
    paths.retain(is_used);
    if paths.is_empty() && by.merges() {
        return Ok(Verdict::Same);
    }
    if let Some(device) = arrival.device {
        guarded |= requires_certificate(&store.path_list(tenant, device).await?);
    }
    let rejected = match arrival.device {
        Some(device) => store.match_rejected(tenant, device, other).await?,
        None => false,
    };
    let both_from = |one: &IpAddr| paths.iter().any(|path| address(&path.peer) == Some(*one));
    let own = arrival.address.filter(|one| !terms.proxies.contains(one));
    let same_address = match own.filter(both_from) {
        Some(own) => {
            let us: Vec<DeviceId> = arrival.device.into_iter().chain([other]).collect();
            let lately = now().minus(MATCHING_ADDRESS_LIFE);
            !store.address_shared(tenant, own, &us, lately).await?
        }
        None => false,
    };
    let meeting = Meeting {
        by,
        same_address,
        same_transport: paths.iter().any(|path| path.transport == arrival.transport),
        rejected,
        guarded,
    };
    Ok(verdict(terms.rule, meeting))
}

/// Whether a certificate is required of the device that has these paths: on any of them, or what opens another would open
/// the device.
pub fn requires_certificate(paths: &[PathRecord]) -> bool {
    paths.iter().any(|path| path.certificate_required)
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
    let identity = format!("{} {}", identity.kind.as_str(), identity.shown());
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
                let Some(device) = record.event.device else {
                    continue;
                };
                match by_mac(store, config, south, &tenant.id, device).await {
                    Err(error) if error.is_transient() => return Err(error),
                    // The others are not to wait for one of which too much is told.
                    Err(error) => {
                        tracing::warn!(%error, %device, "the MAC addresses of a device are not compared");
                    }
                    Ok(()) => {}
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
    let terms = Terms::of(config);
    for record in taken {
        let (other, by) = (record.device, record.identity.kind);
        match judge(store, &terms, tenant, arrival, other, by).await? {
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
                match store.device_merge(tenant, from, into, vec![merged]).await {
                    // Meanwhile both have come over one transport.
                    Err(store::Error::Conflict { .. }) => continue,
                    merged => merged?,
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::Timestamp;
    use store::{NewDevice, ValueSource, ValueUpdate, testing};

    const PATH: &str = "Device.Ethernet.Interface.1.MACAddress";

    fn mac(n: usize) -> Identity {
        Identity::of_mac(&format!("02:00:00:00:{:02X}:{:02X}", n / 256, n % 256)).unwrap()
    }

    /// One that was brought in with this address, and is known under these.
    async fn device(store: &Store, tenant: &TenantId, n: usize, known: Vec<Identity>) -> DeviceId {
        let id = DeviceId::new(now(), secret::id_bits());
        let new = NewDevice {
            protocol: "cwmp".to_owned(),
            source: "device".to_owned(),
            ..NewDevice::expected(id, known, now())
        };
        store.device_insert(tenant, new, vec![]).await.unwrap();
        let told = [(PATH.to_owned(), mac(n).value)];
        let update = ValueUpdate::of(told, ValueSource::Read, now());
        store.value_update(tenant, id, update, now()).await.unwrap();
        let event = Event::new(tenant.clone(), now(), EventKind::DeviceOnboarded).device(id);
        store.event_append(tenant, vec![event]).await.unwrap();
        id
    }

    #[tokio::test]
    async fn a_device_with_too_many_mac_addresses_does_not_keep_the_others_waiting() {
        let database = testing::sqlite().await.unwrap();
        let store = &database.store;
        let mut all = Vec::new();
        for name in ["acme", "beta"] {
            let tenant = TenantId::parse(name).unwrap();
            let record = store::TenantRecord {
                id: tenant.clone(),
                name: name.to_owned(),
                created_at: Timestamp::default(),
                disabled_at: None,
            };
            store.tenant_insert(record, vec![]).await.unwrap();
            let many = (0..store::limits::IDENTITIES_MAX).map(mac);
            device(store, &tenant, 999, many.collect()).await;
            let next = device(store, &tenant, 1000, vec![]).await;
            all.push((tenant, next));
        }
        let mut config = Config::default();
        config.matching.mac_parameters = vec![PATH.to_owned()];
        let (south, mut cursors) = (crate::seam::Detached, HashMap::new());
        look(store, &config, &south, &mut cursors).await.unwrap();
        for (tenant, device) in all {
            let found = store.device_by_identity(&tenant, &mac(1000)).await;
            assert_eq!(found.unwrap(), Some(device), "{tenant}");
            let head = store.event_head(&tenant).await.unwrap();
            assert_eq!(cursors[&tenant], head);
        }
    }
}
