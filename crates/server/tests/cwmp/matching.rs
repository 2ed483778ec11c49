//! Devices that are known over another protocol, and come over CWMP.

use std::sync::Arc;

use fleet::device::OnboardingState;
use fleet::matching::{Trust, Verdict};
use fleet::{DeviceId, Event, EventKind, Identity, IdentityKind, NodeId};
use server::seam::Detached;
use server::{Config, matching, secret, state::now};
use store::{EventFilter, NewDevice, PathLink, ValueSource, ValueUpdate};

use crate::rig::{World, each, until};

/// A USP device with this serial number, which is connected from there.
async fn usp(world: &World, serial: &str, peer: &str) -> DeviceId {
    let endpoint = format!("os::00256D-{serial}");
    let id = DeviceId::new(now(), secret::id_bits());
    let mut identities = vec![Identity::endpoint(&endpoint)];
    identities.extend(Identity::of_endpoint(&endpoint));
    let new = NewDevice {
        source: "device".to_owned(),
        onboarding: OnboardingState::Complete,
        ..NewDevice::expected(id, identities, now())
    };
    let (store, tenant) = (&world.store, &world.tenant);
    store.device_insert(tenant, new, vec![]).await.unwrap();
    let link = PathLink {
        transport: "websocket".to_owned(),
        endpoint_id: endpoint,
        node: NodeId::parse("node-9").unwrap(),
        peer: peer.to_owned(),
        authenticated_by: "device_token".to_owned(),
        setup_key: None,
        info: serde_json::json!({}),
        at: now(),
    };
    store
        .path_connected(tenant, id, link, vec![])
        .await
        .unwrap();
    id
}

/// The device under its name in CWMP.
async fn named(world: &World, serial: &str) -> DeviceId {
    let identity = Identity {
        kind: IdentityKind::CwmpDevice,
        value: format!("00256D-Box-{serial}"),
    };
    let found = world.store.device_by_identity(&world.tenant, &identity);
    found.await.unwrap().unwrap()
}

async fn events(world: &World, kind: EventKind) -> Vec<Event> {
    let filter = EventFilter {
        kinds: vec![kind],
        ..EventFilter::default()
    };
    let page = world.store.events_after(&world.tenant, 0, &filter, 99);
    let records = page.await.unwrap().events.into_iter();
    records.map(|record| record.event).collect()
}

async fn told(world: &World, kind: EventKind) -> usize {
    events(world, kind).await.len()
}

/// Where both have a MAC address.
const MAC: &str = "Device.Ethernet.Interface.1.MACAddress";

/// A USP device and one over CWMP that have no name in common, come from different addresses, and tell the same MAC
/// address, each in its own writing.
async fn of_one_mac(world: &World) -> (DeviceId, DeviceId) {
    let known = usp(world, "U1", "192.0.2.7:4711").await;
    world.cpe("C1").await.session().await;
    let other = named(world, "C1").await;
    let (store, tenant) = (&world.store, &world.tenant);
    for (device, mac) in [(known, "02:00:5E:10:00:0A"), (other, "02-00-5e-10-00-0a")] {
        let told = [(MAC.to_owned(), mac.to_owned())];
        let update = ValueUpdate::of(told, ValueSource::Read, now());
        store
            .value_update(tenant, device, update, now())
            .await
            .unwrap();
        let event = Event::new(tenant.clone(), now(), EventKind::DeviceOnboarded);
        let event = event.device(device);
        store.event_append(tenant, vec![event]).await.unwrap();
    }
    (known, other)
}

/// The configuration of a world in which MAC addresses in these parameters are worth this.
fn by_mac(world: &World, parameters: &[&str], mac: Trust) -> Arc<Config> {
    let mut config = world.config.clone();
    config.matching.mac_parameters = parameters.iter().map(|&path| path.to_owned()).collect();
    config.matching.mac = mac;
    Arc::new(config)
}

/// Compares MAC addresses as a server does, until the test ends.
fn compare(world: &World, config: Arc<Config>) -> tokio::task::JoinHandle<()> {
    let (store, stop) = (world.store.clone(), world.shutdown.child_token());
    tokio::spawn(matching::follow(store, config, Arc::new(Detached), stop))
}

#[tokio::test]
async fn a_dash_in_a_product_class_makes_it_no_other_device() {
    each(|world| async move {
        for (class, serial) in [("A-B", "C1"), ("A", "B-C1")] {
            for _ in 0..2 {
                let mut cpe = world.cpe(serial).await;
                cpe.class = class.to_owned();
                cpe.session().await;
            }
        }
        assert_eq!(told(&world, EventKind::DeviceCreated).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_usp_device_that_comes_over_cwmp_from_the_same_address_is_one_device_with_two_paths() {
    each(|world| async move {
        let device = usp(&world, "S1", "127.0.0.1:4711").await;
        let mut cpe = world.cpe("S1").await;
        cpe.session().await;
        cpe.session().await;
        assert_eq!(named(&world, "S1").await, device);
        let record = world.store.device(&world.tenant, device).await.unwrap();
        assert_eq!(record.protocol, "cwmp usp");
        let paths = world.store.path_list(&world.tenant, device).await.unwrap();
        let transports: Vec<_> = paths.iter().map(|path| path.transport.as_str()).collect();
        assert_eq!(transports, ["cwmp", "websocket"]);
        assert_eq!(told(&world, EventKind::DeviceMerged).await, 1);
        assert_eq!(told(&world, EventKind::DeviceCreated).await, 0);
    })
    .await;
}

/// One that a setup key let in as this CPE, from there, and whose first visit is not written down yet.
async fn registered(world: &World, serial: &str, peer: &str) -> DeviceId {
    let id = DeviceId::new(now(), secret::id_bits());
    let new = NewDevice {
        protocol: "cwmp".to_owned(),
        source: "setup".to_owned(),
        onboarding: OnboardingState::Started,
        ..NewDevice::expected(
            id,
            Identity::of_cpe("Maker", "00256D", "Box", serial),
            now(),
        )
    };
    let (store, tenant) = (&world.store, &world.tenant);
    let key = store.setup_key_list(tenant).await.unwrap();
    let key = key.first().unwrap().id;
    let made = store.device_register(tenant, new, ("cwmp", peer), key, vec![]);
    assert!(made.await.unwrap());
    id
}

#[tokio::test]
async fn an_agent_from_the_address_of_a_cpe_that_was_registered_just_now_is_that_device() {
    each(|world| async move {
        let other = registered(&world, "S1", "192.0.2.7:4711").await;
        let terms = matching::Terms::of(&world.config);
        let judged = async |address: &str| {
            let arrival = matching::Arrival {
                transport: "websocket",
                address: Some(address.parse().unwrap()),
                device: None,
            };
            let by = IdentityKind::OuiSerial;
            let (store, tenant) = (&world.store, &world.tenant);
            matching::judge(store, &terms, tenant, arrival, other, by).await
        };
        assert_eq!(judged("192.0.2.7").await.unwrap(), Verdict::Same);
        assert_eq!(judged("192.0.2.8").await.unwrap(), Verdict::Ask);
    })
    .await;
}

#[tokio::test]
async fn a_serial_number_claimed_from_elsewhere_makes_a_device_of_its_own_and_a_person_decides() {
    each(|world| async move {
        let (store, tenant) = (&world.store, &world.tenant);
        let device = usp(&world, "S1", "192.0.2.7:4711").await;
        let mut cpe = world.cpe("S1").await;
        cpe.session().await;
        cpe.session().await;
        let other = named(&world, "S1").await;
        assert_ne!(other, device);
        assert_eq!(store.device(tenant, device).await.unwrap().protocol, "usp");
        let waiting = store.match_list(tenant, false, None, 9).await.unwrap();
        assert_eq!(waiting.len(), 1);
        assert_eq!((waiting[0].device, waiting[0].other), (device, other));
        assert_eq!(told(&world, EventKind::DeviceMatchFound).await, 1);
        // Once they are one it comes as that one, with the key it came with.
        store
            .device_merge(tenant, other, device, vec![])
            .await
            .unwrap();
        cpe.session().await;
        assert_eq!(named(&world, "S1").await, device);
        assert_eq!(store.path_list(tenant, device).await.unwrap().len(), 2);
        assert!(world.reasons().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_address_from_which_another_device_comes_too_proves_nothing() {
    each(|world| async move {
        let device = usp(&world, "S1", "127.0.0.1:4711").await;
        usp(&world, "S2", "127.0.0.1:4712").await;
        world.cpe("S1").await.session().await;
        assert_ne!(named(&world, "S1").await, device);
        let (store, tenant) = (&world.store, &world.tenant);
        assert_eq!(store.device(tenant, device).await.unwrap().protocol, "usp");
        let waiting = store.match_list(tenant, false, None, 9).await.unwrap();
        assert_eq!(waiting.len(), 1);
        assert_eq!(told(&world, EventKind::DeviceMerged).await, 0);
    })
    .await;
}

#[tokio::test]
async fn the_address_of_a_proxy_of_ours_proves_nothing() {
    let change = |config: &mut server::Config, _: &mut _| {
        config.cwmp.proxies = vec!["127.0.0.1".parse().unwrap()];
    };
    let world = crate::rig::world(change).await;
    let device = usp(&world, "S1", "127.0.0.1:4711").await;
    world.cpe("S1").await.session().await;
    assert_ne!(named(&world, "S1").await, device);
}

#[tokio::test]
async fn a_password_holds_after_a_merge_under_the_user_name_it_was_made_for() {
    each(|world| async move {
        let (store, tenant) = (&world.store, &world.tenant);
        let device = usp(&world, "S1", "192.0.2.7:4711").await;
        world.cpe("S1").await.session().await;
        let other = named(&world, "S1").await;
        let password = world.vault.device_password("acs", tenant, other, 1);
        let generation = b"1".to_vec();
        store
            .state_put(tenant, other, "acs_credential", generation, now())
            .await
            .unwrap();
        let hash = secret::hash(&password);
        store
            .path_set_pending(tenant, other, "cwmp", hash, now(), vec![])
            .await
            .unwrap();
        let come = async || {
            let cpe = crate::raw::Cpe::new(world.http, "S1").await;
            let mut cpe = cpe.with(&other.to_string(), &password);
            cpe.session().await;
        };
        come().await;
        let path = store.path(tenant, other, "cwmp").await.unwrap().unwrap();
        assert!(path.has_current);
        world.quiet().await;
        store
            .device_merge(tenant, other, device, vec![])
            .await
            .unwrap();
        let before = store.path(tenant, device, "cwmp").await.unwrap().unwrap();
        come().await;
        until(
            "that it came to the device it was merged with",
            async || {
                let after = store.path(tenant, device, "cwmp").await.unwrap()?;
                (after.heard_at > before.heard_at).then_some(())
            },
        )
        .await;
        assert!(world.reasons().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn devices_of_one_mac_address_become_one_where_that_decides_by_itself() {
    each(|world| async move {
        let (known, other) = of_one_mac(&world).await;
        let (store, tenant) = (&world.store, &world.tenant);
        let comparing = compare(&world, by_mac(&world, &[MAC], Trust::Merge));
        let merged = until("they are one", async || {
            events(&world, EventKind::DeviceMerged).await.pop()
        })
        .await;
        let (into, from) = (known.min(other), known.max(other));
        assert_eq!(merged.device, Some(into));
        assert_eq!(merged.data["from"], from.to_string());
        assert_eq!(merged.data["identity"], "mac 02:00:5e:10:00:0a");
        assert!(store.device(tenant, from).await.is_err());
        assert_eq!(
            store.device(tenant, into).await.unwrap().protocol,
            "cwmp usp"
        );
        let paths = store.path_list(tenant, into).await.unwrap();
        let transports: Vec<_> = paths.iter().map(|path| path.transport.as_str()).collect();
        assert_eq!(transports, ["cwmp", "websocket"]);
        // It comes as that one, and nobody is asked.
        world.cpe("C1").await.session().await;
        assert_eq!(named(&world, "C1").await, into);
        assert_eq!(told(&world, EventKind::DeviceCreated).await, 1);
        assert_eq!(told(&world, EventKind::DeviceMatchFound).await, 0);
        world.shutdown.cancel();
        comparing.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn devices_of_one_mac_address_wait_for_a_person_where_one_is_to_be_asked() {
    each(|world| async move {
        let (known, other) = of_one_mac(&world).await;
        let (store, tenant) = (&world.store, &world.tenant);
        let config = by_mac(&world, &[MAC], Trust::Ask);
        let comparing = compare(&world, config.clone());
        let waiting = until("a person is asked", async || {
            let waiting = store.match_list(tenant, false, None, 9).await.unwrap();
            (!waiting.is_empty()).then_some(waiting)
        })
        .await;
        world.shutdown.cancel();
        comparing.await.unwrap();
        assert_eq!((waiting.len(), waiting[0].device), (1, known));
        assert_eq!(waiting[0].other, other);
        assert_eq!(waiting[0].identity, "mac 02:00:5e:10:00:0a");
        // Each is itself as yet, and it is asked once.
        for device in [known, other, known] {
            matching::by_mac(store, &config, &Detached, tenant, device)
                .await
                .unwrap();
        }
        assert_eq!(store.device(tenant, known).await.unwrap().protocol, "usp");
        assert_eq!(named(&world, "C1").await, other);
        assert_eq!(told(&world, EventKind::DeviceMerged).await, 0);
        assert_eq!(told(&world, EventKind::DeviceMatchFound).await, 1);
        // Two by the word of a person stay two, whatever the rule.
        let (by, at) = ("user:test".to_owned(), now());
        store
            .match_reject(tenant, waiting[0].id, by, at, vec![])
            .await
            .unwrap();
        let config = by_mac(&world, &[MAC], Trust::Merge);
        matching::by_mac(store, &config, &Detached, tenant, other)
            .await
            .unwrap();
        assert_eq!(told(&world, EventKind::DeviceMerged).await, 0);
    })
    .await;
}

#[tokio::test]
async fn mac_addresses_are_compared_only_in_the_parameters_that_are_configured() {
    each(|world| async move {
        let (known, other) = of_one_mac(&world).await;
        let (store, tenant) = (&world.store, &world.tenant);
        let none = by_mac(&world, &[], Trust::Merge);
        // There is nothing to follow.
        compare(&world, none.clone()).await.unwrap();
        let elsewhere = by_mac(&world, &["Device.WiFi.SSID.1.MACAddress"], Trust::Merge);
        let ignored = by_mac(&world, &[MAC], Trust::Ignore);
        for config in [none, elsewhere, ignored] {
            for device in [known, other] {
                matching::by_mac(store, &config, &Detached, tenant, device)
                    .await
                    .unwrap();
            }
        }
        for device in [known, other] {
            assert!(store.device(tenant, device).await.is_ok());
        }
        let waiting = store.match_list(tenant, false, None, 9).await.unwrap();
        assert_eq!(waiting.len(), 0);
        assert_eq!(told(&world, EventKind::DeviceMerged).await, 0);
        assert_eq!(told(&world, EventKind::DeviceMatchFound).await, 0);
    })
    .await;
}
