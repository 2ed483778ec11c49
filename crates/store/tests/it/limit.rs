//! The named limits that no other test hits on its way.

use fleet::{Identity, IdentityKind, TenantId};
use store::idempotency::IdempotencyKey;
use store::limits::{
    DEVICE_PAGE_MAX, EVENT_PAGE_MAX, EVENT_SCAN_MAX, IDEMPOTENCY_BYTES_MAX, IDENTITIES_MAX,
    OPEN_OPERATIONS_PER_DEVICE_MAX, OPERATION_BYTES_MAX, TAGS_MAX, TEXT_CHARS_MAX,
};
use store::{
    DeviceFilter, DevicePatch, DeviceSort, Error, EventFilter, IdempotentAnswer, Search, Store,
};

use crate::world::{NOW, event, hash, insert_device, new_device, reboot, tenant, worlds};

fn exceeded<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(
        matches!(result, Err(Error::LimitExceeded { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn names_tags_and_identities_of_a_device_are_limited() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let update = |patch| db.store.device_update(&tenant, device, patch, NOW, vec![]);
        let name = |n| DevicePatch {
            name: Some("ä".repeat(n)),
            ..DevicePatch::default()
        };
        update(name(TEXT_CHARS_MAX)).await.unwrap();
        exceeded(update(name(TEXT_CHARS_MAX + 1)).await);
        let tags = |n| DevicePatch {
            tags: Some((0..n).map(|n| format!("t{n}")).collect()),
            ..DevicePatch::default()
        };
        update(tags(TAGS_MAX)).await.unwrap();
        exceeded(update(tags(TAGS_MAX + 1)).await);
        let macs = |from: usize, to: usize| {
            let mac = |n| Identity {
                kind: IdentityKind::Mac,
                value: format!("m{n}"),
            };
            let macs = (from..to).map(mac).collect();
            db.store
                .identity_attach(&tenant, device, macs, "test".to_owned(), NOW, vec![])
        };
        macs(0, IDENTITIES_MAX - 1).await.unwrap();
        exceeded(macs(IDENTITIES_MAX, IDENTITIES_MAX + 1).await);
    }
}

#[tokio::test]
async fn operations_are_limited_in_size_and_number() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let mut large = reboot(&tenant, device);
        large.outcome.cause = Some("x".repeat(OPERATION_BYTES_MAX));
        exceeded(
            db.store
                .operation_insert(&tenant, large, None, vec![])
                .await,
        );
        let key = Some(("k".repeat(TEXT_CHARS_MAX + 1), hash(1)));
        exceeded(
            db.store
                .operation_insert(&tenant, reboot(&tenant, device), key, vec![])
                .await,
        );
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..OPEN_OPERATIONS_PER_DEVICE_MAX + 3 {
            let (store, tenant) = (db.store.clone(), tenant.clone());
            tasks.spawn(async move {
                store
                    .operation_insert(&tenant, reboot(&tenant, device), None, vec![])
                    .await
            });
        }
        let refused = tasks
            .join_all()
            .await
            .into_iter()
            .filter(Result::is_err)
            .count();
        assert_eq!(refused, 3);
    }
}

#[tokio::test]
async fn pages_are_no_larger_than_their_limit() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let kinds = fleet::EventKind::ALL;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..=DEVICE_PAGE_MAX {
            let (store, tenant) = (db.store.clone(), tenant.clone());
            tasks.spawn(async move {
                let events = vec![event(&tenant, kinds[0]), event(&tenant, kinds[1])];
                let mut device = new_device(&format!("S{n}"));
                device.identities.clear();
                store.device_insert(&tenant, device, events).await.unwrap();
            });
        }
        tasks.join_all().await;
        let search = Search::new(DeviceFilter::default(), NOW);
        let page = db
            .store
            .device_list(&tenant, &search, DeviceSort::default(), None, usize::MAX)
            .await
            .unwrap();
        assert_eq!(page.devices.len(), DEVICE_PAGE_MAX);
        let log = db
            .store
            .events_after(&tenant, 0, &EventFilter::default(), usize::MAX)
            .await
            .unwrap();
        assert_eq!((log.events.len(), log.more), (EVENT_PAGE_MAX, true));
        let body = "x".repeat(IDEMPOTENCY_BYTES_MAX + 1);
        let key = IdempotencyKey {
            principal: "p".to_owned(),
            endpoint: "e".to_owned(),
            key: "k".to_owned(),
        };
        exceeded(
            db.store
                .idempotency_finish(
                    &tenant,
                    IdempotentAnswer {
                        key,
                        status: 200,
                        body,
                    },
                )
                .await,
        );
    }
}

async fn log_of(store: &Store, tenant: &TenantId, count: u64) {
    let one = event(tenant, fleet::EventKind::DevicePeriodic);
    store
        .event_append(tenant, vec![one; usize::try_from(count).unwrap()])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_filter_without_index_looks_at_so_many_events_and_says_how_far_it_got() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let rare = || vec![event(&tenant, fleet::EventKind::DeviceBooted)];
        db.store.event_append(&tenant, rare()).await.unwrap();
        log_of(&db.store, &tenant, EVENT_SCAN_MAX).await;
        db.store.event_append(&tenant, rare()).await.unwrap();
        let filter = EventFilter {
            kinds: vec![fleet::EventKind::DeviceBooted],
            ..EventFilter::default()
        };
        let first = db
            .store
            .events_after(&tenant, 0, &filter, 10)
            .await
            .unwrap();
        assert_eq!(
            (first.events.len(), first.next, first.more),
            (1, Some(EVENT_SCAN_MAX), true)
        );
        let rest = db
            .store
            .events_after(&tenant, EVENT_SCAN_MAX, &filter, 10)
            .await
            .unwrap();
        assert_eq!((rest.events[0].seq, rest.more), (EVENT_SCAN_MAX + 2, false));
        let newest = db
            .store
            .events_before(&tenant, None, &filter, 10)
            .await
            .unwrap();
        assert_eq!((newest.events.len(), newest.more), (1, true));
        let oldest = db
            .store
            .events_before(&tenant, newest.next, &filter, 10)
            .await
            .unwrap();
        assert_eq!((oldest.events[0].seq, oldest.next), (1, None));
    }
}
