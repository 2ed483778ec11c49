//! The event log: gap-free, watched, deduplicated, pruned.

use std::time::Duration;

use fleet::{EventKind, TenantId, Timestamp};
use store::limits::{EVENT_BYTES_MAX, RECENT_PER_DEVICE_MAX};
use store::{Committed, Error, EventFilter, Notification, Store};

use crate::world::{NOW, at, bits, event, hash, insert_device, tenant, worlds};

fn notification(tenant: &TenantId, device: fleet::DeviceId, n: u64) -> Notification {
    Notification {
        device,
        key: hash(n),
        events: vec![
            event(tenant, EventKind::DeviceValueChanged)
                .device(device)
                .data(serde_json::json!({ "n": n })),
        ],
    }
}

#[tokio::test]
async fn a_reader_that_tails_never_skips_an_event_of_concurrent_writers() {
    const WRITERS: u64 = 12;
    const EACH: u64 = 25;
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        // Two stores on one database, as two nodes have.
        let other_node = Store::open(&db.url).await.unwrap();
        let mut writers = tokio::task::JoinSet::new();
        for w in 0..WRITERS {
            let store = if w % 2 == 0 { &db.store } else { &other_node }.clone();
            let tenant = tenant.clone();
            writers.spawn(async move {
                for n in 0..EACH {
                    if n % 3 == 0 {
                        let events = vec![event(&tenant, EventKind::DeviceEvent).device(device)];
                        store.event_append(&tenant, events).await.unwrap();
                    } else {
                        let n = notification(&tenant, device, w * 1000 + n);
                        let done = store.commit_notification(&tenant, n).await.unwrap();
                        assert!(matches!(done, Committed::Stored(_)));
                    }
                }
            });
        }
        let mut seen = 0u64;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while seen < WRITERS * EACH {
            assert!(tokio::time::Instant::now() < deadline);
            let page = db
                .store
                .events_after(&tenant, seen, &EventFilter::default(), 7)
                .await
                .unwrap();
            for record in &page.events {
                assert_eq!(record.seq, seen + 1, "an event was skipped");
                seen = record.seq;
            }
            assert_eq!(page.next, Some(seen));
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        assert_eq!(db.store.event_head(&tenant).await.unwrap(), WRITERS * EACH);
    }
}

#[tokio::test]
async fn a_notification_is_stored_once_also_after_a_restart_and_on_another_node() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let neighbour = insert_device(&db.store, &tenant, "S2").await;
        let commit = |store: Store, device, n| {
            let tenant = tenant.clone();
            async move {
                store
                    .commit_notification(&tenant, notification(&tenant, device, n))
                    .await
                    .unwrap()
            }
        };
        assert_eq!(
            commit(db.store.clone(), device, 1).await,
            Committed::Stored(1)
        );
        assert_eq!(
            commit(db.store.clone(), device, 1).await,
            Committed::Duplicate
        );
        assert_eq!(
            commit(db.store.clone(), neighbour, 1).await,
            Committed::Stored(2)
        );
        let node = Store::open(&db.url).await.unwrap();
        assert_eq!(commit(node.clone(), device, 1).await, Committed::Duplicate);
        assert_eq!(commit(node.clone(), device, 2).await, Committed::Stored(3));
        // The first node learns of what the second one stored.
        assert_eq!(
            commit(db.store.clone(), device, 2).await,
            Committed::Duplicate
        );
        // Twice in one batch.
        let batch = vec![
            notification(&tenant, device, 3),
            notification(&tenant, device, 3),
        ];
        let done = db.store.commit_notifications(&tenant, batch).await.unwrap();
        assert_eq!(done, [Committed::Stored(4), Committed::Duplicate]);
    }
}

#[tokio::test]
async fn so_many_recent_notifications_of_a_device_are_remembered() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let max = RECENT_PER_DEVICE_MAX as u64;
        let batch = (0..=max)
            .map(|n| notification(&tenant, device, n))
            .collect();
        db.store.commit_notifications(&tenant, batch).await.unwrap();
        for store in [db.store.clone(), Store::open(&db.url).await.unwrap()] {
            let again = vec![
                notification(&tenant, device, 1),
                notification(&tenant, device, max),
            ];
            let done = store.commit_notifications(&tenant, again).await.unwrap();
            assert_eq!(done, [Committed::Duplicate; 2]);
        }
        let forgotten = notification(&tenant, device, 0);
        let done = db
            .store
            .commit_notification(&tenant, forgotten)
            .await
            .unwrap();
        assert_eq!(done, Committed::Stored(max + 2));
    }
}

#[tokio::test]
async fn a_failing_write_leaves_no_trace_and_does_not_harm_those_it_shares_a_commit_with() {
    for db in worlds().await {
        let acme = tenant("acme");
        let device = insert_device(&db.store, &acme, "S1").await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..80u64 {
            let (store, acme) = (db.store.clone(), acme.clone());
            tasks.spawn(async move {
                match n % 4 {
                    3 => {
                        let good = event(&acme, EventKind::DeviceEvent);
                        let large = good.clone().data("x".repeat(EVENT_BYTES_MAX).into());
                        let done = store.event_append(&acme, vec![good, large]).await;
                        assert!(matches!(done, Err(Error::LimitExceeded { .. })));
                    }
                    0 => {
                        let good = notification(&acme, device, n);
                        store.commit_notification(&acme, good).await.unwrap();
                    }
                    1 => {
                        let mut bad = notification(&acme, device, n);
                        bad.events
                            .push(event(&tenant("other"), EventKind::DeviceEvent));
                        assert!(store.commit_notification(&acme, bad).await.is_err());
                    }
                    _ => {
                        let mut twice = crate::world::new_device(&format!("T{n}"));
                        twice.id = device;
                        let events = vec![event(&acme, EventKind::DeviceCreated)];
                        let done = store.device_insert(&acme, twice, events).await;
                        assert!(matches!(done, Err(Error::Conflict { .. })), "{done:?}");
                    }
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let page = db
            .store
            .events_after(&acme, 0, &EventFilter::default(), 100)
            .await
            .unwrap();
        let seqs: Vec<u64> = page.events.iter().map(|record| record.seq).collect();
        assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
        assert!(
            page.events
                .iter()
                .all(|r| r.event.kind == EventKind::DeviceValueChanged)
        );
    }
}

#[tokio::test]
async fn watchers_are_told_when_a_log_grows_also_by_another_node() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let mut here = db.store.watch_events();
        let append = vec![event(&tenant, EventKind::TenantUpdated)];
        db.store
            .event_append(&tenant, append.clone())
            .await
            .unwrap();
        let head = here.recv().await.unwrap();
        assert_eq!((head.tenant, head.seq), (tenant.clone(), 1));
        if db.store.database() == "postgres" {
            let node = Store::open(&db.url).await.unwrap();
            let told = async {
                loop {
                    node.event_append(&tenant, append.clone()).await.unwrap();
                    let told = tokio::time::timeout(Duration::from_millis(200), here.recv()).await;
                    if told.is_ok_and(|head| head.unwrap().seq > 1) {
                        break;
                    }
                }
            };
            tokio::time::timeout(Duration::from_secs(20), told)
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn the_log_is_filtered_and_read_from_both_ends() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let operation = fleet::OperationId::new(NOW, bits());
        let events = (0..30)
            .map(|n| {
                let kind = if n % 3 == 0 {
                    EventKind::DeviceBooted
                } else {
                    EventKind::DevicePeriodic
                };
                let mut event = event(&tenant, kind)
                    .actor("device")
                    .data(serde_json::json!({ "n": n }));
                event.at = at(n);
                if n % 2 == 0 {
                    event = event.device(device);
                }
                if n == 7 {
                    event.operation(operation)
                } else {
                    event
                }
            })
            .collect::<Vec<_>>();
        db.store
            .event_append(&tenant, events.clone())
            .await
            .unwrap();
        let all = db
            .store
            .events_after(&tenant, 0, &EventFilter::default(), 1000)
            .await
            .unwrap();
        assert_eq!(
            all.events
                .iter()
                .map(|r| r.event.clone())
                .collect::<Vec<_>>(),
            events
        );
        assert!(!all.more);
        let filter = EventFilter {
            device: Some(device),
            kinds: vec![EventKind::DeviceBooted],
            since: Some(at(6)),
            ..EventFilter::default()
        };
        let page = db.store.events_after(&tenant, 0, &filter, 2).await.unwrap();
        assert_eq!(
            page.events.iter().map(|r| r.seq).collect::<Vec<_>>(),
            [7, 13]
        );
        assert!(page.more);
        let page = db
            .store
            .events_before(&tenant, None, &filter, 2)
            .await
            .unwrap();
        assert_eq!(
            page.events.iter().map(|r| r.seq).collect::<Vec<_>>(),
            [25, 19]
        );
        let page = db
            .store
            .events_before(&tenant, page.next, &filter, 100)
            .await
            .unwrap();
        assert_eq!(
            page.events.iter().map(|r| r.seq).collect::<Vec<_>>(),
            [13, 7]
        );
        assert_eq!(page.next, None);
        let of = EventFilter {
            operation: Some(operation),
            ..EventFilter::default()
        };
        assert_eq!(
            db.store
                .events_before(&tenant, None, &of, 9)
                .await
                .unwrap()
                .events[0]
                .seq,
            8
        );
        assert_eq!(db.store.event(&tenant, 8).await.unwrap().event, events[7]);
    }
}

#[tokio::test]
async fn old_events_go_in_batches_and_no_number_comes_twice() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let dated = |n: i64| {
            let mut event = event(&tenant, EventKind::DevicePeriodic);
            event.at = at(n);
            event
        };
        let events = (0..1500).map(dated).collect();
        db.store.event_append(&tenant, events).await.unwrap();
        assert_eq!(db.store.event_purge(&tenant, at(1200)).await.unwrap(), 1000);
        assert_eq!(db.store.event_purge(&tenant, at(1200)).await.unwrap(), 200);
        assert_eq!(db.store.event_purge(&tenant, at(1200)).await.unwrap(), 0);
        assert_eq!(db.store.event_oldest(&tenant).await.unwrap(), 1201);
        db.store
            .event_purge(&tenant, Timestamp(i64::MAX))
            .await
            .unwrap();
        let next = db
            .store
            .event_append(&tenant, vec![dated(2000)])
            .await
            .unwrap();
        assert_eq!(next, 1501);
        let page = db
            .store
            .events_after(&tenant, 0, &EventFilter::default(), 10)
            .await
            .unwrap();
        assert_eq!(page.events[0].seq, 1501);
    }
}

#[tokio::test]
async fn an_event_has_a_largest_size() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let large = |bytes| {
            let mut large = event(&tenant, EventKind::DeviceEvent);
            large.data = serde_json::Value::String("x".repeat(bytes));
            vec![large]
        };
        db.store
            .event_append(&tenant, large(EVENT_BYTES_MAX - 2))
            .await
            .unwrap();
        let done = db
            .store
            .event_append(&tenant, large(EVENT_BYTES_MAX - 1))
            .await;
        assert!(matches!(done, Err(Error::LimitExceeded { .. })));
    }
}
