//! Two devices that are one, and one that is two.

use fleet::device::OnboardingState;
use fleet::{DeviceId, EventKind, Identity, MatchId, NodeId, Protocol};
use store::limits::{FORMER_IDS_MAX, MATCHES_PER_TENANT_MAX};
use store::path::{PathEnd, PathLink, PathPatch, PathSetup};
use store::{DevicePatch, Error, EventFilter, MatchRecord, ModelKeys, Revocation, Split, Store};

use crate::world::{NOW, at, bits, event, hash, insert_device, new_device, reboot, tenant, worlds};

/// That these may be one.
pub fn pair(device: DeviceId, other: DeviceId) -> MatchRecord {
    MatchRecord {
        id: MatchId::new(NOW, bits()),
        device,
        other,
        identity: "oui_serial 00256D-S1".to_owned(),
        reason: "they come from different addresses".to_owned(),
        created_at: NOW,
        rejected_at: None,
        rejected_by: String::new(),
    }
}

fn link() -> PathLink {
    PathLink {
        transport: "websocket".to_owned(),
        endpoint_id: "os::00256D-S1".to_owned(),
        node: NodeId::parse("n1").unwrap(),
        peer: "192.0.2.7:1234".to_owned(),
        authenticated_by: "device_token".to_owned(),
        setup_key: None,
        info: serde_json::json!({}),
        at: at(0),
    }
}

/// A device over USP and one over CWMP, each with what is remembered of it.
async fn two(store: &Store) -> (DeviceId, DeviceId) {
    let acme = tenant("acme");
    let usp = insert_device(store, &acme, "S1").await;
    store
        .path_connected(&acme, usp, link(), vec![])
        .await
        .unwrap();
    let mut new = new_device("S1");
    new.protocol = "cwmp".to_owned();
    new.name = "Cellar".to_owned();
    new.tags = vec!["vip".to_owned()];
    new.identities = Identity::of_cpe("Maker", "00256D", "Gateway", "S1");
    let cwmp = new.id;
    let setup = PathSetup {
        transport: "cwmp".to_owned(),
        endpoint_id: "00256D-Gateway-S1".to_owned(),
        ..PathSetup::default()
    };
    store
        .device_expect(&acme, new, setup, Some(hash(77)), vec![])
        .await
        .unwrap();
    let visits = vec![crate::visit::visit(cwmp, 0, 300)];
    store.device_visited(&acme, visits).await.unwrap();
    store
        .state_put(&acme, cwmp, "rows", b"1".to_vec(), NOW)
        .await
        .unwrap();
    let (session, said) = crate::management_session::session(cwmp, 0);
    store
        .management_session_put(&acme, session, said)
        .await
        .unwrap();
    (usp, cwmp)
}

async fn transports(store: &Store, device: DeviceId) -> Vec<String> {
    let paths = store.path_list(&tenant("acme"), device).await.unwrap();
    paths.into_iter().map(|path| path.transport).collect()
}

#[tokio::test]
async fn a_merged_device_has_both_ways_in_and_a_split_gives_one_of_them_away_again() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let (usp, cwmp) = two(store).await;
        store.device_merge(&acme, cwmp, usp, vec![]).await.unwrap();
        let record = store.device(&acme, usp).await.unwrap();
        assert_eq!(
            (record.device.name.as_str(), record.protocol.as_str()),
            ("Cellar", "cwmp usp")
        );
        assert_eq!(record.device.tags, ["vip"]);
        assert_eq!(record.endpoint_id, "os::00256D-S1");
        assert_eq!(record.device.evidence.expected_by, Some(at(300)));
        assert_eq!(transports(store, usp).await, ["cwmp", "websocket"]);
        // The credential leads to the one it is now; the name it was made for too.
        let found = store.path_by_credential(&hash(77)).await.unwrap().unwrap();
        assert_eq!(found.device, usp);
        let login = store.path_of_device(cwmp, "cwmp").await.unwrap().unwrap();
        assert_eq!(login.device, usp);
        assert_eq!(
            store
                .management_session_list(&acme, usp, None, 9)
                .await
                .unwrap()
                .len(),
            1
        );

        let new = DeviceId::new(at(1), bits());
        let split = Split {
            device: usp,
            transport: "cwmp".to_owned(),
            commands: vec![],
            decision: MatchRecord {
                rejected_at: Some(at(1)),
                rejected_by: "user:ann".to_owned(),
                ..pair(usp, new)
            },
        };
        let again = split.clone();
        store
            .device_split(&acme, split, at(1), vec![])
            .await
            .unwrap();
        assert_eq!(transports(store, usp).await, ["websocket"]);
        assert_eq!(transports(store, new).await, ["cwmp"]);
        let (old, fresh) = (
            store.device(&acme, usp).await.unwrap(),
            store.device(&acme, new).await.unwrap(),
        );
        assert_eq!(
            (old.protocol.as_str(), fresh.protocol.as_str()),
            ("usp", "cwmp")
        );
        assert_eq!(old.device.evidence.expected_by, None);
        assert_eq!(fresh.device.evidence.expected_by, Some(at(300)));
        assert!(old.device.evidence.linked() && !fresh.device.evidence.linked());
        assert_eq!(fresh.device.onboarding, OnboardingState::Started);
        assert_eq!(fresh.device.description, old.device.description);
        // It comes under the name it had before the merge, and is known by what it calls itself.
        let login = store.path_of_device(cwmp, "cwmp").await.unwrap().unwrap();
        assert_eq!(login.device, new);
        let [name, class, _] =
            <[Identity; 3]>::try_from(Identity::of_cpe("Maker", "00256D", "Gateway", "S1"))
                .unwrap();
        let leads = async |identity| store.device_by_identity(&acme, identity).await.unwrap();
        assert_eq!(
            (leads(&name).await, leads(&class).await),
            (Some(new), Some(usp))
        );
        assert!(store.state_get(&acme, new, "rows").await.unwrap().is_some());
        assert!(store.match_rejected(&acme, new, usp).await.unwrap());
        // What has one path cannot be split, and a path it has not is not found.
        let one = Split {
            transport: "websocket".to_owned(),
            ..again.clone()
        };
        let one = store.device_split(&acme, one, at(2), vec![]).await;
        assert!(matches!(one, Err(Error::Invalid(_))), "{one:?}");
        let none = store.device_split(&acme, again, at(2), vec![]).await;
        assert!(matches!(none, Err(Error::NotFound("path"))), "{none:?}");
    }
}

async fn log(store: &Store, filter: EventFilter) -> Vec<fleet::Event> {
    let page = store.events_after(&tenant("acme"), 0, &filter, 99).await;
    let events = page.unwrap().events.into_iter();
    events.map(|record| record.event).collect()
}

#[tokio::test]
async fn what_a_device_said_under_the_ids_it_had_before_is_found() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let mut ids = Vec::new();
        for serial in ["A", "B", "C"] {
            let device = insert_device(store, &acme, serial).await;
            let booted = event(&acme, EventKind::DeviceBooted).device(device);
            store.event_append(&acme, vec![booted]).await.unwrap();
            ids.push(device);
        }
        let [a, b, c] = ids[..] else { unreachable!() };
        store.device_merge(&acme, a, b, vec![]).await.unwrap();
        store.device_merge(&acme, b, c, vec![]).await.unwrap();
        let former = store.device_former(&acme, c).await.unwrap();
        assert_eq!(former, [b, a]);
        let filter = EventFilter {
            device: Some(c),
            kinds: vec![EventKind::DeviceBooted],
            ..EventFilter::default()
        };
        assert_eq!(log(store, filter.clone()).await.len(), 1);
        let filter = EventFilter { former, ..filter };
        assert_eq!(log(store, filter).await.len(), 3);
        let gone = store.device_delete(&acme, c, Revocation::default(), vec![]);
        gone.await.unwrap();
        assert!(store.device_former(&acme, c).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_log_of_a_merged_device_is_read_page_by_page_in_one_order_under_all_its_ids() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let mut ids = Vec::new();
        for serial in ["A", "B", "C", "D"] {
            ids.push(insert_device(store, &acme, serial).await);
        }
        let [a, b, c, other] = ids[..] else {
            unreachable!()
        };
        // In turns, so that each page has some of each; the last is somebody else.
        for turn in 0..28 {
            let kind = match turn % 3 {
                0 => EventKind::DeviceBooted,
                _ => EventKind::DeviceCommandCompleted,
            };
            let device = [a, b, other, c][turn % 4];
            let told = event(&acme, kind).device(device);
            store.event_append(&acme, vec![told]).await.unwrap();
        }
        store.device_merge(&acme, a, b, vec![]).await.unwrap();
        store.device_merge(&acme, b, c, vec![]).await.unwrap();
        let all = store
            .events_after(&acme, 0, &EventFilter::default(), 99)
            .await;
        let all = all.unwrap().events;
        for kinds in [vec![], vec![EventKind::DeviceBooted]] {
            let filter = EventFilter {
                device: Some(c),
                former: store.device_former(&acme, c).await.unwrap(),
                kinds: kinds.clone(),
                ..EventFilter::default()
            };
            let its = all.iter().filter(|one| {
                let device = one.event.device.unwrap();
                device != other && (kinds.is_empty() || kinds.contains(&one.event.kind))
            });
            let wanted: Vec<u64> = its.map(|one| one.seq).collect();
            assert!(wanted.len() > 5);
            for limit in [1, 2, 5, 50] {
                let (mut forth, mut after) = (Vec::new(), 0);
                loop {
                    let page = store
                        .events_after(&acme, after, &filter, limit)
                        .await
                        .unwrap();
                    forth.extend(page.events.iter().map(|one| one.seq));
                    after = page.next.unwrap();
                    if !page.more {
                        break;
                    }
                }
                assert_eq!(forth, wanted, "{limit} a page");
                let (mut back, mut before) = (Vec::new(), None);
                loop {
                    let page = store
                        .events_before(&acme, before, &filter, limit)
                        .await
                        .unwrap();
                    back.extend(page.events.iter().map(|one| one.seq));
                    before = page.next;
                    if !page.more {
                        break;
                    }
                }
                back.reverse();
                assert_eq!(back, wanted, "{limit} a page, from the end");
            }
        }
    }
}

#[tokio::test]
async fn a_device_that_was_merged_again_and_again_is_looked_for_under_so_many_ids() {
    let db = worlds().await.remove(0);
    let (acme, store) = (tenant("acme"), &db.store);
    let into = insert_device(store, &acme, "S").await;
    let mut last = Vec::new();
    for n in 0..=FORMER_IDS_MAX {
        let from = insert_device(store, &acme, &format!("S{n}")).await;
        store.device_merge(&acme, from, into, vec![]).await.unwrap();
        last.insert(0, from);
    }
    last.truncate(FORMER_IDS_MAX as usize);
    assert_eq!(store.device_former(&acme, into).await.unwrap(), last);
}

#[tokio::test]
async fn two_that_came_over_one_transport_are_not_merged_whatever_was_looked_at_before() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let (usp, cwmp) = two(store).await;
        let visits = vec![crate::visit::visit(usp, 1, 300)];
        store.device_visited(&acme, visits).await.unwrap();
        let merged = store.device_merge(&acme, cwmp, usp, vec![]).await;
        assert!(matches!(merged, Err(Error::Conflict { .. })), "{merged:?}");
        assert!(store.path_by_credential(&hash(77)).await.unwrap().is_some());
        assert_eq!(transports(store, usp).await, ["cwmp", "websocket"]);
        assert_eq!(transports(store, cwmp).await, ["cwmp"]);
    }
}

#[tokio::test]
async fn a_certificate_that_is_required_on_one_way_is_required_on_all_of_a_merged_device() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let (usp, cwmp) = two(store).await;
        let reach = PathPatch {
            transport: "websocket".to_owned(),
            certificate_required: Some(true),
            ..PathPatch::default()
        };
        let revised = store.device_revise(&acme, cwmp, DevicePatch::default(), reach, NOW, vec![]);
        revised.await.unwrap();
        store.device_merge(&acme, cwmp, usp, vec![]).await.unwrap();
        let paths = store.path_list(&acme, usp).await.unwrap();
        assert_eq!(paths.len(), 2);
        assert!(
            paths.iter().all(|path| path.certificate_required),
            "{paths:?}"
        );
    }
}

#[tokio::test]
async fn a_link_under_the_id_that_a_merge_ends_is_no_open_one_of_the_other() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let (usp, cwmp) = two(store).await;
        store.device_merge(&acme, usp, cwmp, vec![]).await.unwrap();
        let path = store.path(&acme, cwmp, "websocket").await.unwrap().unwrap();
        assert!(path.connected_at <= path.disconnected_at, "{path:?}");
        assert!(path.disconnect_reason.contains("part of another"));
        // Over TR-069 it is there as it was.
        let path = store.path(&acme, cwmp, "cwmp").await.unwrap().unwrap();
        assert!(path.connected_at > path.disconnected_at, "{path:?}");
    }
}

#[tokio::test]
async fn one_that_was_registered_with_a_credential_and_never_came_is_merged_either_way() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let (_, came) = two(store).await;
        // The first is merged into the one that came, which is merged into the second.
        for (secret, swapped) in [(78, false), (79, true)] {
            let mut new = new_device(&format!("R{secret}"));
            new.identities = vec![Identity::endpoint(&format!("os::R{secret}"))];
            let registered = new.id;
            let setup = PathSetup {
                transport: "cwmp".to_owned(),
                endpoint_id: format!("00256D-Gateway-R{secret}"),
                ..PathSetup::default()
            };
            let expected = store.device_expect(&acme, new, setup, Some(hash(secret)), vec![]);
            expected.await.unwrap();
            let (from, into) = match swapped {
                false => (registered, came),
                true => (came, registered),
            };
            store.device_merge(&acme, from, into, vec![]).await.unwrap();
            // The way over which it came is the one that stays.
            let path = store.path(&acme, into, "cwmp").await.unwrap().unwrap();
            assert_eq!(path.endpoint_id, "00256D-Gateway-S1");
            let found = store.path_by_credential(&hash(77)).await.unwrap().unwrap();
            assert_eq!(found.device, into);
            let gone = store.path_by_credential(&hash(secret)).await.unwrap();
            assert!(gone.is_none(), "{gone:?}");
        }
        // Of two that never came, the one with a credential.
        let mut ids = Vec::new();
        for (serial, secret) in [("X1", Some(hash(80))), ("X2", None)] {
            let mut new = new_device(serial);
            new.identities = vec![Identity::endpoint(&format!("os::{serial}"))];
            ids.push(new.id);
            let setup = PathSetup {
                transport: "websocket".to_owned(),
                endpoint_id: format!("os::{serial}"),
                ..PathSetup::default()
            };
            let expected = store.device_expect(&acme, new, setup, secret, vec![]);
            expected.await.unwrap();
        }
        store
            .device_merge(&acme, ids[0], ids[1], vec![])
            .await
            .unwrap();
        let found = store.path_by_credential(&hash(80)).await.unwrap().unwrap();
        assert_eq!(found.device, ids[1]);
    }
}

#[tokio::test]
async fn of_a_way_that_was_only_prepared_and_one_that_leads_somewhere_the_latter_stays() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let (usp, cwmp) = two(store).await;
        // It was registered for both, and nobody has come over CWMP.
        let reach = PathPatch {
            transport: "cwmp".to_owned(),
            endpoint_id: "00256D-Gateway-S1".to_owned(),
            dial_url: Some(Some("ws://192.0.2.1/".to_owned())),
            certificate_required: None,
        };
        let patch = DevicePatch::default();
        let revised = store.device_revise(&acme, usp, patch, reach, NOW, vec![]);
        revised.await.unwrap();
        let doc = b"2".to_vec();
        store.state_put(&acme, usp, "rows", doc, NOW).await.unwrap();
        let told = event(&acme, EventKind::DeviceMerged).device(usp);
        let told = told.data(serde_json::json!({ "from": cwmp.to_string() }));
        store
            .device_merge(&acme, cwmp, usp, vec![told])
            .await
            .unwrap();
        let found = store.path_by_credential(&hash(77)).await.unwrap().unwrap();
        assert_eq!(found.device, usp);
        let path = store.path(&acme, usp, "cwmp").await.unwrap().unwrap();
        assert!(path.connected_at.is_some());
        assert_eq!(path.dial_url.as_deref(), Some("ws://192.0.2.1/"));
        let filter = EventFilter {
            kinds: vec![EventKind::DeviceMerged],
            ..EventFilter::default()
        };
        let left = &log(store, filter).await[0].data["left_behind"];
        assert_eq!(left["paths"], serde_json::json!(["cwmp"]));
        assert_eq!(left["documents"], serde_json::json!(["rows"]));
    }
}

#[tokio::test]
async fn what_works_over_a_path_that_is_split_off_goes_with_it() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let (usp, cwmp) = two(store).await;
        store.device_merge(&acme, cwmp, usp, vec![]).await.unwrap();
        let [stays, goes] = [reboot(&acme, usp), reboot(&acme, usp)];
        let commands = vec![goes.command_key()];
        let ids = [stays.id, goes.id];
        for operation in [stays, goes] {
            let stored = store.operation_insert(&acme, operation, None, vec![]);
            stored.await.unwrap();
        }
        let new = DeviceId::new(at(1), bits());
        let split = Split {
            device: usp,
            transport: "cwmp".to_owned(),
            commands,
            decision: pair(usp, new),
        };
        store
            .device_split(&acme, split, at(1), vec![])
            .await
            .unwrap();
        for (id, device) in ids.into_iter().zip([usp, new]) {
            let record = store.operation(&acme, id).await.unwrap();
            assert_eq!(record.operation.device, device);
        }
        let known = store.state_and_onboarding(&acme, new, "rows").await;
        let wanted = (Some(b"1".to_vec()), OnboardingState::Started);
        assert_eq!(known.unwrap(), wanted);
    }
}

#[tokio::test]
async fn an_address_is_shared_when_another_device_came_from_it_lately() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let mut ids = Vec::new();
        for (serial, peer) in [
            ("A", "192.0.2.7:1234"),
            ("B", "192.0.2.77:1234"),
            ("C", "[2001:db8::7]:80"),
            ("D", "[::ffff:198.51.100.1]:80"),
        ] {
            let device = insert_device(store, &acme, serial).await;
            let came = PathLink {
                peer: peer.to_owned(),
                ..link()
            };
            store
                .path_connected(&acme, device, came, vec![])
                .await
                .unwrap();
            let end = PathEnd {
                transport: "websocket".to_owned(),
                link: 1,
                reason: "gone".to_owned(),
                at: at(5),
                back_by: None,
            };
            store
                .path_disconnected(&acme, device, end, vec![])
                .await
                .unwrap();
            ids.push(device);
        }
        let shared = async |address: &str, except: &[DeviceId], since| {
            let address = address.parse().unwrap();
            let shared = store.address_shared(&acme, address, except, since);
            shared.await.unwrap()
        };
        assert!(shared("192.0.2.7", &[], at(0)).await);
        assert!(!shared("192.0.2.7", &ids[..1], at(0)).await);
        assert!(!shared("192.0.2.7", &[], at(1)).await, "that is long ago");
        assert!(!shared("192.0.2.8", &[], at(0)).await);
        assert!(shared("2001:db8::7", &[], at(0)).await);
        assert!(shared("198.51.100.1", &[], at(0)).await);
    }
}

/// What a device says over a protocol that it supports.
async fn told(store: &Store, device: DeviceId, over: Protocol, key: &str) {
    let patch = DevicePatch {
        model: Some((over, key.to_owned())),
        ..DevicePatch::default()
    };
    store
        .device_update(&tenant("acme"), device, patch, NOW, vec![])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_device_with_two_protocols_is_asked_by_the_model_of_the_one_that_reaches_it() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let (usp, cwmp) = two(store).await;
        told(store, usp, Protocol::Usp, "agent").await;
        told(store, cwmp, Protocol::Cwmp, "cpe").await;
        store.device_merge(&acme, cwmp, usp, vec![]).await.unwrap();
        let record = store.device(&acme, usp).await.unwrap();
        assert!(record.device.evidence.linked());
        let models = ModelKeys {
            usp: "agent".to_owned(),
            cwmp: "cpe".to_owned(),
        };
        assert_eq!((record.model_key(), &record.models), ("agent", &models));
        let end = PathEnd {
            transport: "websocket".to_owned(),
            link: 1,
            reason: "gone".to_owned(),
            at: at(1),
            back_by: None,
        };
        let ended = store.path_disconnected(&acme, usp, end, vec![]).await;
        assert!(ended.unwrap());
        let record = store.device(&acme, usp).await.unwrap();
        assert_eq!(record.model_key(), "cpe");
        // Each takes its own along when they are two.
        let new = DeviceId::new(at(2), bits());
        let split = Split {
            device: usp,
            transport: "cwmp".to_owned(),
            commands: vec![],
            decision: pair(usp, new),
        };
        store
            .device_split(&acme, split, at(2), vec![])
            .await
            .unwrap();
        for (device, key) in [(usp, "agent"), (new, "cpe")] {
            let record = store.device(&acme, device).await.unwrap();
            assert_eq!(record.model_key(), key);
        }
    }
}

#[tokio::test]
async fn the_link_of_a_path_that_is_split_off_ends() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let (usp, cwmp) = two(store).await;
        store.device_merge(&acme, usp, cwmp, vec![]).await.unwrap();
        store
            .path_connected(&acme, cwmp, link(), vec![])
            .await
            .unwrap();
        let new = DeviceId::new(at(1), bits());
        let split = Split {
            device: cwmp,
            transport: "websocket".to_owned(),
            commands: vec![],
            decision: pair(cwmp, new),
        };
        store
            .device_split(&acme, split, at(1), vec![])
            .await
            .unwrap();
        let (old, fresh) = (
            store.device(&acme, cwmp).await.unwrap(),
            store.device(&acme, new).await.unwrap(),
        );
        assert!(!old.device.evidence.linked());
        assert_eq!(old.device.evidence.expected_by, Some(at(300)));
        assert_eq!(
            (old.endpoint_id.as_str(), fresh.endpoint_id.as_str()),
            ("", "os::00256D-S1")
        );
        assert!(
            store
                .state_get(&acme, cwmp, "rows")
                .await
                .unwrap()
                .is_some()
        );
    }
}

#[tokio::test]
async fn a_pair_is_suggested_once_and_not_again_when_a_person_said_that_they_are_two() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let (a, b) = two(store).await;
        let first = pair(a, b);
        assert!(
            store
                .match_suggest(&acme, first.clone(), vec![])
                .await
                .unwrap()
        );
        assert!(
            !store
                .match_suggest(&acme, pair(b, a), vec![])
                .await
                .unwrap()
        );
        assert_eq!(
            store.match_list(&acme, false, None, 9).await.unwrap(),
            std::slice::from_ref(&first)
        );
        for by in ["user:ann", "user:bob"] {
            store
                .match_reject(&acme, first.id, by.to_owned(), at(1), vec![])
                .await
                .unwrap();
        }
        let rejected = store.match_show(&acme, first.id).await.unwrap();
        assert_eq!(rejected.rejected_by, "user:ann");
        assert!(store.match_rejected(&acme, b, a).await.unwrap());
        assert!(
            !store
                .match_suggest(&acme, pair(a, b), vec![])
                .await
                .unwrap()
        );
        assert!(
            store
                .match_list(&acme, false, None, 9)
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            store.match_list(&acme, true, None, 9).await.unwrap().len(),
            1
        );
        let gone = store.device_delete(&acme, b, Revocation::default(), vec![]);
        gone.await.unwrap();
        assert!(
            store
                .match_list(&acme, true, None, 9)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn of_too_many_pairs_the_oldest_that_nobody_decided_go() {
    // One database is enough for so many rows.
    let db = worlds().await.remove(0);
    let (acme, store) = (tenant("acme"), &db.store);
    let (a, b) = two(store).await;
    let decided = pair(a, b);
    store
        .match_suggest(&acme, decided.clone(), vec![])
        .await
        .unwrap();
    let by = "user:ann".to_owned();
    store
        .match_reject(&acme, decided.id, by, NOW, vec![])
        .await
        .unwrap();
    let mut others = Vec::new();
    let enough = (1..)
        .find(|n| n * (n - 1) / 2 > MATCHES_PER_TENANT_MAX)
        .unwrap();
    for n in 0..enough {
        others.push(insert_device(store, &acme, &format!("T{n}")).await);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (n, x) in others.iter().enumerate() {
        for y in &others[n + 1..] {
            let (store, acme, found) = (store.clone(), acme.clone(), pair(*x, *y));
            tasks.spawn(async move { store.match_suggest(&acme, found, vec![]).await.unwrap() });
        }
    }
    let new = tasks.join_all().await;
    assert!(new.len() as u64 > MATCHES_PER_TENANT_MAX && new.iter().all(|new| *new));
    let mut count = 0;
    let mut before = None;
    loop {
        let page = store.match_list(&acme, true, before, 500).await.unwrap();
        count += page.len() as u64;
        before = page.last().map(|last| last.id);
        if page.is_empty() {
            break;
        }
    }
    assert_eq!(count, MATCHES_PER_TENANT_MAX);
    assert!(store.match_rejected(&acme, a, b).await.unwrap());
}
