//! Devices that come at intervals.

use fleet::device::OnboardingState;
use fleet::onboarding::TokenStatus;
use fleet::presence::{PresenceConfig, presence};
use fleet::{DeviceId, EventKind, Presence, TenantId, Timestamp};
use store::limits::VISIT_EXPECTED_MAX;
use store::{DeviceFilter, EventFilter, Revocation, Store, Visit, VisitPath};

use crate::world::{NOW, at, insert_device, tenant, worlds};

/// Seconds from now.
pub fn visit(device: DeviceId, seconds: i64, expected_by: i64) -> Visit {
    Visit {
        device,
        at: at(seconds),
        expected_by: at(expected_by),
        path: VisitPath {
            transport: "cwmp".to_owned(),
            endpoint_id: "00256D-Gateway-S1".to_owned(),
            peer: "192.0.2.9:4711".to_owned(),
            authenticated_by: "setup_key".to_owned(),
            setup_key: None,
            info: serde_json::json!({ "version": "1.4" }),
        },
    }
}

async fn at_time(store: &Store, tenant: &TenantId, device: DeviceId, now: Timestamp) -> Presence {
    let record = store.device(tenant, device).await.unwrap();
    presence(&record.device.evidence, now, &PresenceConfig::default())
}

async fn told(store: &Store, tenant: &TenantId) -> Vec<EventKind> {
    let all = EventFilter::default();
    let page = store.events_after(tenant, 0, &all, 99).await.unwrap();
    page.events.into_iter().map(|e| e.event.kind).collect()
}

#[tokio::test]
async fn a_device_that_comes_again_in_time_is_told_of_once_and_once_when_it_stays_away() {
    for db in worlds().await {
        let acme = tenant("acme");
        let device = insert_device(&db.store, &acme, "S1").await;
        let come = async |seconds: i64| {
            let visits = vec![visit(device, seconds, seconds + 300)];
            db.store.device_visited(&acme, visits).await.unwrap();
        };
        let lapse =
            async |seconds: i64| db.store.device_lapse(&acme, at(seconds), 9).await.unwrap();
        come(0).await;
        come(300).await;
        assert!(lapse(800).await.is_empty());
        // Late, but not gone.
        assert_eq!(
            at_time(&db.store, &acme, device, at(601)).await,
            Presence::Silent
        );
        come(890).await;
        assert_eq!(told(&db.store, &acme).await, [EventKind::DeviceConnected]);
        let path = db.store.path(&acme, device, "cwmp").await.unwrap().unwrap();
        assert_eq!(path.connected_at, Some(at(0)));
        assert_eq!(
            (path.heard_at, path.expected_by),
            (Some(at(890)), Some(at(1190)))
        );
        assert_eq!(path.endpoint_id, "00256D-Gateway-S1");
        let record = db.store.device(&acme, device).await.unwrap();
        assert_eq!(record.first_seen_at, Some(at(0)));
        assert_eq!(record.address, "192.0.2.9:4711");
        // 300 seconds were given twice.
        assert!(lapse(1490).await.is_empty());
        assert_eq!(lapse(1491).await, [device]);
        assert!(lapse(9000).await.is_empty());
        assert_eq!(
            at_time(&db.store, &acme, device, at(1491)).await,
            Presence::Offline
        );
        let path = db.store.path(&acme, device, "cwmp").await.unwrap().unwrap();
        assert_eq!(path.disconnected_at, Some(at(1490)));
        assert!(path.disconnect_reason.contains("expected"), "{path:?}");
        come(9000).await;
        assert_eq!(
            at_time(&db.store, &acme, device, at(9000)).await,
            Presence::Online
        );
        let kinds = [
            EventKind::DeviceConnected,
            EventKind::DeviceDisconnected,
            EventKind::DeviceConnected,
        ];
        assert_eq!(told(&db.store, &acme).await, kinds);
        let path = db.store.path(&acme, device, "cwmp").await.unwrap().unwrap();
        assert_eq!(path.connected_at, Some(at(9000)));
    }
}

#[tokio::test]
async fn a_device_that_also_has_a_link_is_not_gone_when_it_stays_away() {
    for db in worlds().await {
        let acme = tenant("acme");
        let device = insert_device(&db.store, &acme, "S1").await;
        let link = store::PathLink {
            transport: "websocket".to_owned(),
            endpoint_id: "os::00256D-S1".to_owned(),
            node: fleet::NodeId::parse("n1").unwrap(),
            peer: "192.0.2.7:1234".to_owned(),
            authenticated_by: "device_token".to_owned(),
            setup_key: None,
            info: serde_json::json!({}),
            at: at(0),
        };
        db.store
            .path_connected(&acme, device, link, vec![])
            .await
            .unwrap();
        let visits = vec![visit(device, 1, 11)];
        db.store.device_visited(&acme, visits).await.unwrap();
        assert!(
            db.store
                .device_lapse(&acme, at(100), 9)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(told(&db.store, &acme).await.is_empty());
        assert_eq!(
            at_time(&db.store, &acme, device, at(100)).await,
            Presence::Online
        );
        let path = db.store.path(&acme, device, "cwmp").await.unwrap().unwrap();
        assert_eq!(path.disconnected_at, Some(at(21)));
    }
}

#[tokio::test]
async fn a_device_is_missed_however_long_it_says_it_stays_away() {
    for db in worlds().await {
        let acme = tenant("acme");
        let device = insert_device(&db.store, &acme, "S1").await;
        let mut forever = visit(device, 0, 0);
        forever.expected_by = Timestamp(i64::MAX);
        db.store.device_visited(&acme, vec![forever]).await.unwrap();
        let record = db.store.device(&acme, device).await.unwrap();
        let latest = Timestamp(NOW.0 + VISIT_EXPECTED_MAX);
        assert_eq!(record.device.evidence.expected_by, Some(latest));
    }
}

#[tokio::test]
async fn visits_of_removed_devices_do_not_keep_the_others_out() {
    for db in worlds().await {
        let acme = tenant("acme");
        let (gone, here) = (
            insert_device(&db.store, &acme, "S1").await,
            insert_device(&db.store, &acme, "S2").await,
        );
        let delete = db
            .store
            .device_delete(&acme, gone, Revocation::default(), vec![]);
        delete.await.unwrap();
        let visits = vec![visit(gone, 0, 60), visit(here, 0, 60)];
        db.store.device_visited(&acme, visits).await.unwrap();
        assert_eq!(at_time(&db.store, &acme, here, NOW).await, Presence::Online);
        assert!(db.store.path_list(&acme, gone).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_visit_that_is_told_late_does_not_undo_a_newer_one() {
    for db in worlds().await {
        let acme = tenant("acme");
        let device = insert_device(&db.store, &acme, "S1").await;
        // Both of one write, and the older one once more afterwards.
        let visits = vec![visit(device, 5, 300), visit(device, 0, 60)];
        db.store.device_visited(&acme, visits).await.unwrap();
        let late = vec![visit(device, 1, 60)];
        db.store.device_visited(&acme, late).await.unwrap();
        let record = db.store.device(&acme, device).await.unwrap();
        assert_eq!(record.device.evidence.expected_by, Some(at(300)));
        let path = db.store.path(&acme, device, "cwmp").await.unwrap().unwrap();
        assert_eq!(
            (path.heard_at, path.expected_by),
            (Some(at(5)), Some(at(300)))
        );
    }
}

#[tokio::test]
async fn what_letting_a_device_in_needs_is_read_at_once() {
    for db in worlds().await {
        let acme = tenant("acme");
        let device = insert_device(&db.store, &acme, "S1").await;
        let returners = db.store.returners("cwmp", &["another", "secret"]);
        let read = async || returners.of(device).await.unwrap();
        assert!(read().await.is_none());
        let visits = vec![visit(device, 0, 60)];
        db.store.device_visited(&acme, visits).await.unwrap();
        let [first, second, third] = [[1; 32], [2; 32], [3; 32]];
        for hash in [first, second] {
            db.store
                .path_set_pending(&acme, device, "cwmp", hash, NOW, vec![])
                .await
                .unwrap();
            let known = read().await.unwrap();
            assert_eq!(known.status(&hash), Some(TokenStatus::Pending));
            db.store
                .path_confirm(&acme, device, "cwmp", hash, vec![])
                .await
                .unwrap();
        }
        let document = b"1".to_vec();
        db.store
            .state_put(&acme, device, "secret", document.clone(), NOW)
            .await
            .unwrap();
        let known = read().await.unwrap();
        assert_eq!(known.document("secret"), Some(&*document));
        assert_eq!(known.document("another"), None);
        assert_eq!(known.onboarding, OnboardingState::Expected);
        assert_eq!(known.path.device, device);
        assert_eq!(known.status(&second), Some(TokenStatus::Current));
        assert_eq!(known.status(&first), Some(TokenStatus::Superseded));
        assert_eq!(known.status(&third), None);
        assert!(!known.tenant_disabled);
        let disabled = store::TenantPatch {
            disabled_at: Some(Some(NOW)),
            ..store::TenantPatch::default()
        };
        db.store
            .tenant_update(&acme, disabled, vec![])
            .await
            .unwrap();
        assert!(read().await.unwrap().tenant_disabled);
    }
}

#[tokio::test]
async fn a_device_with_two_protocols_is_listed_and_counted_under_both() {
    for db in worlds().await {
        let acme = tenant("acme");
        let usp = insert_device(&db.store, &acme, "S1").await;
        let mut new = crate::world::new_device("S2");
        new.protocol = "cwmp".to_owned();
        let cwmp = new.id;
        db.store.device_insert(&acme, new, vec![]).await.unwrap();
        db.store
            .device_visited(&acme, vec![visit(cwmp, 0, 60)])
            .await
            .unwrap();
        let search = |protocol: &str| {
            let protocol = (!protocol.is_empty()).then(|| protocol.to_owned());
            let filter = DeviceFilter {
                protocol: protocol.into_iter().collect(),
                ..DeviceFilter::default()
            };
            store::Search::new(filter, NOW)
        };
        let count = async |protocol: &str| {
            let found = db.store.device_count(&acme, &search(protocol)).await;
            found.unwrap().0
        };
        assert_eq!((count("usp").await, count("cwmp").await), (1, 1));
        db.store
            .device_merge(&acme, cwmp, usp, vec![])
            .await
            .unwrap();
        assert_eq!((count("usp").await, count("cwmp").await), (1, 1));
        assert_eq!(count("").await, 1);
        // It is expected as the one was that it took in.
        assert_eq!(
            at_time(&db.store, &acme, usp, at(60)).await,
            Presence::Online
        );
        for prefix in ["", "u"] {
            let field = store::FacetField::Protocol;
            let all = search("");
            let found = db.store.device_facets(&acme, &all, field, prefix, 9);
            let found = found.await.unwrap();
            let usp = found.iter().find(|facet| facet.value == "usp").unwrap();
            assert_eq!((usp.count, found.len()), (1, 2 - prefix.len()));
        }
    }
}
