//! Operations: their queue, claims, fences, keys and transcripts.

use fleet::{DeviceId, EventKind, NodeId, OperationState, TenantId, Timestamp};
use store::limits::{TRANSCRIPT_BYTES_MAX, TRANSCRIPT_ENTRIES_MAX};
use store::{
    Claim, Created, Error, EventFilter, OperationFilter, OperationRecord, OperationSave,
    TranscriptEntry, ValueSource, ValueUpdate,
};

use crate::raw::Raw;
use crate::world::{NOW, at, event, hash, insert_device, reboot, tenant, worlds};

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

fn taken(claim: Claim) -> OperationRecord {
    match claim {
        Claim::Taken(record) => *record,
        other => panic!("{other:?}"),
    }
}

fn save(record: OperationRecord, lease_until: Option<Timestamp>) -> OperationSave {
    OperationSave {
        operation: record.operation,
        fence: record.fence,
        lease_until,
        values: None,
        events: vec![],
        now: NOW,
    }
}

#[tokio::test]
async fn a_device_is_worked_on_in_order_by_one_node_at_a_time() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            let op = reboot(&tenant, device);
            ids.push(op.id);
            let queued = vec![event(&tenant, EventKind::OperationQueued).operation(op.id)];
            let created = db
                .store
                .operation_insert(&tenant, op, None, queued)
                .await
                .unwrap();
            assert!(matches!(created, Created::New(_)));
        }
        let claim = |name: &'static str, now, until| {
            let (store, tenant) = (db.store.clone(), tenant.clone());
            async move {
                store
                    .operation_claim(&tenant, device, &node(name), now, until)
                    .await
                    .unwrap()
            }
        };
        let mut first = taken(claim("n1", NOW, at(60)).await);
        assert_eq!(
            (first.operation.id, first.sequence, first.fence),
            (ids[0], 1, 1)
        );
        assert_eq!(claim("n2", at(30), at(90)).await, Claim::Held(at(60)));
        // Its own node may claim again after a restart; the lease that ran out is free for others.
        assert_eq!(taken(claim("n1", at(31), at(60)).await).fence, 2);
        let theirs = taken(claim("n2", at(60), at(120)).await);
        assert_eq!(theirs.fence, 3);
        first.operation.state = OperationState::Succeeded;
        let done = db
            .store
            .operation_save(&tenant, save(first.clone(), None))
            .await;
        assert!(matches!(done, Err(Error::Fenced(_))));
        let done = db.store.operation_renew(&tenant, ids[0], 1, at(999)).await;
        assert!(matches!(done, Err(Error::Fenced(_))));
        db.store
            .operation_renew(&tenant, ids[0], 3, at(180))
            .await
            .unwrap();
        assert_eq!(claim("n1", at(170), at(999)).await, Claim::Held(at(180)));
        let mut finished = theirs.clone();
        finished.operation.state = OperationState::Unconfirmed;
        finished.operation.finished = Some(at(61));
        let mut last = save(finished, Some(at(200)));
        last.events = vec![event(&tenant, EventKind::OperationFinished).operation(ids[0])];
        db.store
            .operation_save(&tenant, last.clone())
            .await
            .unwrap();
        // What is at its end stays there.
        assert!(matches!(
            db.store.operation_save(&tenant, last).await,
            Err(Error::Fenced(_))
        ));
        assert_eq!(
            taken(claim("n1", at(62), at(120)).await).operation.id,
            ids[1]
        );
        assert_eq!(
            db.store
                .operation_open_count(&tenant, device)
                .await
                .unwrap(),
            2
        );
        let oldest = db.store.operation_oldest(&tenant, device).await.unwrap();
        assert_eq!(oldest.map(|record| record.operation.id), Some(ids[1]));
        let of = EventFilter {
            operation: Some(ids[0]),
            ..EventFilter::default()
        };
        let log = db.store.events_after(&tenant, 0, &of, 10).await.unwrap();
        assert_eq!(log.events.len(), 2);
    }
}

#[tokio::test]
async fn commands_that_may_have_left_are_found_and_claimed_whose_turn_ever_it_is() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let first = insert_device(&db.store, &tenant, "S1").await;
        let second = insert_device(&db.store, &tenant, "S2").await;
        let mut ids = Vec::new();
        for device in [first, first, second] {
            let op = reboot(&tenant, device);
            ids.push(op.id);
            let inserted = db.store.operation_insert(&tenant, op, None, vec![]);
            inserted.await.unwrap();
        }
        let n1 = node("n1");
        let claim = |id, name, now| {
            let (store, tenant) = (db.store.clone(), tenant.clone());
            async move {
                let claimed = store
                    .operation_claim_one(&tenant, id, &node(name), now, at(60))
                    .await;
                claimed.unwrap()
            }
        };
        let left = async |now, after, limit| {
            let found = db.store.operation_commands_left(now, after, limit).await;
            let found = found.unwrap().sound.into_iter();
            found
                .map(|one| (one.operation.id, one.sequence))
                .collect::<Vec<_>>()
        };
        // None of them has left.
        assert_eq!(left(NOW, None, 9).await, []);
        let mut second_of_first = taken(claim(ids[1], "n1", NOW).await);
        second_of_first.operation.state = OperationState::Running;
        let held = save(second_of_first.clone(), Some(at(60)));
        db.store.operation_save(&tenant, held).await.unwrap();
        // Its own node works on it, too.
        assert_eq!(claim(ids[1], "n1", at(59)).await, Claim::Held(at(60)));
        assert_eq!(left(at(59), None, 9).await, []);
        assert_eq!(left(at(60), None, 9).await, [(ids[1], 2)]);
        let other = db.store.operation_claim(&tenant, second, &n1, NOW, at(60));
        let mut other = taken(other.await.unwrap());
        other.operation.state = OperationState::Verifying;
        let given_back = save(other, None);
        db.store.operation_save(&tenant, given_back).await.unwrap();
        let all = left(at(60), None, 9).await;
        assert_eq!(all, [(ids[1], 2), (ids[2], 1)]);
        let after = Some((tenant.clone(), first, 2));
        assert_eq!(left(at(60), None, 1).await, all[..1]);
        assert_eq!(left(at(60), after, 1).await, all[1..]);
        let mut ended = taken(claim(ids[1], "n2", at(60)).await);
        ended.operation.state = OperationState::Succeeded;
        ended.operation.finished = Some(at(60));
        db.store
            .operation_save(&tenant, save(ended, None))
            .await
            .unwrap();
        assert_eq!(claim(ids[1], "n2", at(99)).await, Claim::Nothing);
        let late = save(second_of_first, None);
        let late = db.store.operation_save(&tenant, late).await;
        assert!(matches!(late, Err(Error::Fenced(_))), "{late:?}");
    }
}

#[tokio::test]
async fn the_result_the_values_and_the_events_are_stored_together_or_not_at_all() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let op = reboot(&tenant, device);
        let id = op.id;
        db.store
            .operation_insert(&tenant, op, None, vec![])
            .await
            .unwrap();
        let claim = db
            .store
            .operation_claim(&tenant, device, &node("n1"), NOW, at(60))
            .await
            .unwrap();
        let mut record = taken(claim);
        record.operation.state = OperationState::Succeeded;
        record.operation.outcome.cause = Some("x".repeat(10_000));
        let mut bad = save(record.clone(), None);
        let value = ("Device.X.Y".to_owned(), "1".to_owned());
        bad.values = Some(ValueUpdate::of([value.clone()], ValueSource::ReadBack, NOW));
        bad.events =
            vec![event(&tenant, EventKind::OperationFinished).data("x".repeat(1_000_000).into())];
        assert!(db.store.operation_save(&tenant, bad.clone()).await.is_err());
        assert_eq!(
            db.store
                .operation(&tenant, id)
                .await
                .unwrap()
                .operation
                .state,
            OperationState::Queued
        );
        assert!(
            db.store
                .value_list(&tenant, device, "", None, 9)
                .await
                .unwrap()
                .is_empty()
        );
        bad.events = vec![event(&tenant, EventKind::OperationFinished)];
        db.store.operation_save(&tenant, bad).await.unwrap();
        let stored = db.store.operation(&tenant, id).await.unwrap();
        assert_eq!((stored.operation, stored.lease), (record.operation, None));
        assert_eq!(
            db.store
                .value_list(&tenant, device, "", None, 9)
                .await
                .unwrap()[0]
                .value,
            "1"
        );
        assert_eq!(db.store.event_head(&tenant).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn an_idempotency_key_makes_one_operation_also_when_asked_at_once() {
    for db in worlds().await {
        let acme = tenant("acme");
        let device = insert_device(&db.store, &acme, "S1").await;
        let other_node = store::Store::open(&db.url).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..10 {
            let store = if n % 2 == 0 { &db.store } else { &other_node }.clone();
            let acme = acme.clone();
            tasks.spawn(async move {
                let key = Some(("k".to_owned(), hash(1)));
                store
                    .operation_insert(&acme, reboot(&acme, device), key, vec![])
                    .await
                    .unwrap()
            });
        }
        let all = tasks.join_all().await;
        let new = all.iter().filter(|c| matches!(c, Created::New(_))).count();
        let existing = all
            .iter()
            .filter(|c| matches!(c, Created::Existing(_)))
            .count();
        assert_eq!((new, existing), (1, 9));
        let key = Some(("k".to_owned(), hash(2)));
        let done = db
            .store
            .operation_insert(&acme, reboot(&acme, device), key, vec![])
            .await
            .unwrap();
        assert_eq!(done, Created::Mismatch);
    }
}

#[tokio::test]
async fn an_operation_that_nobody_holds_can_be_cancelled_and_outdates_old_claims() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let op = reboot(&tenant, device);
        let id = op.id;
        db.store
            .operation_insert(&tenant, op, None, vec![])
            .await
            .unwrap();
        let claim = db
            .store
            .operation_claim(&tenant, device, &node("n1"), NOW, at(60))
            .await
            .unwrap();
        let record = taken(claim);
        let cancelled = event(&tenant, EventKind::OperationFinished).operation(id);
        let cancel = |now| {
            let cancelled = cancelled.clone();
            db.store.operation_edit(&tenant, id, now, move |op| {
                op.state = OperationState::Cancelled;
                op.finished = Some(now);
                vec![cancelled]
            })
        };
        assert!(!cancel(at(59)).await.unwrap());
        assert_eq!(db.store.event_head(&tenant).await.unwrap(), 0);
        assert!(cancel(at(60)).await.unwrap());
        assert!(!cancel(at(61)).await.unwrap());
        let late = db.store.operation_save(&tenant, save(record, None)).await;
        assert!(matches!(late, Err(Error::Fenced(_))));
        let stored = db.store.operation(&tenant, id).await.unwrap();
        assert_eq!(stored.operation.state, OperationState::Cancelled);
        assert_eq!(db.store.operation_purge(&tenant, at(60)).await.unwrap(), 0);
        assert_eq!(db.store.operation_purge(&tenant, at(61)).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn waiting_devices_and_due_operations_of_all_tenants_are_found() {
    for db in worlds().await {
        let mut devices = Vec::new();
        for slug in ["acme", "other"] {
            let tenant = tenant(slug);
            for n in 0..3 {
                let device = insert_device(&db.store, &tenant, &format!("S{n}")).await;
                for _ in 0..2 {
                    let op = reboot(&tenant, device);
                    db.store
                        .operation_insert(&tenant, op, None, vec![])
                        .await
                        .unwrap();
                }
                devices.push((tenant.clone(), device));
            }
        }
        let (first, _) = (devices[0].clone(), ());
        let claimed = db
            .store
            .operation_claim(&first.0, first.1, &node("n1"), NOW, at(9_999))
            .await
            .unwrap();
        taken(claimed);
        let mut found = Vec::new();
        loop {
            let page = db
                .store
                .operation_devices_waiting(NOW, found.last().cloned(), 4)
                .await
                .unwrap();
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found, devices);
        // Those that can be asked to come: over this transport, not worked on, of a tenant that is there.
        let to_wake = async |after: Option<&(TenantId, DeviceId)>| {
            db.store
                .operation_devices_to_wake("cwmp", NOW, after.cloned(), 4)
                .await
                .unwrap()
        };
        assert_eq!(to_wake(None).await, []);
        for (tenant, device) in devices.iter().filter(|one| **one != devices[1]) {
            let visits = vec![crate::visit::visit(*device, 0, 300)];
            db.store.device_visited(tenant, visits).await.unwrap();
        }
        assert_eq!(to_wake(None).await, devices[2..]);
        assert_eq!(to_wake(Some(&devices[3])).await, devices[4..]);
        let shut = store::TenantPatch {
            disabled_at: Some(Some(NOW)),
            ..Default::default()
        };
        db.store
            .tenant_update(&devices[3].0, shut, vec![])
            .await
            .unwrap();
        assert_eq!(to_wake(None).await, devices[2..3]);
        assert!(
            db.store
                .operation_due(at(3599), 100)
                .await
                .unwrap()
                .sound
                .is_empty()
        );
        let due = db.store.operation_due(at(3600), 100).await.unwrap();
        assert_eq!((due.sound.len(), due.damaged.len()), (11, 0));
    }
}

#[tokio::test]
async fn operations_are_listed_newest_first_by_filter_and_page() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let mut ids = Vec::new();
        for _ in 0..7 {
            let op = reboot(&tenant, device);
            ids.push(op.id);
            db.store
                .operation_insert(&tenant, op, None, vec![])
                .await
                .unwrap();
        }
        ids.reverse();
        let filter = OperationFilter {
            device: Some(device),
            states: vec![OperationState::Queued, OperationState::Running],
            kinds: vec!["operate".to_owned()],
            requester: Some("user:ann".to_owned()),
            created_after: Some(NOW),
            created_before: Some(at(1)),
        };
        let first = db
            .store
            .operation_list(&tenant, &filter, None, 4)
            .await
            .unwrap();
        let rest = db
            .store
            .operation_list(&tenant, &filter, Some(first[3].operation.id), 4)
            .await
            .unwrap();
        let all: Vec<_> = first.iter().chain(&rest).map(|r| r.operation.id).collect();
        assert_eq!(all, ids);
        let none = OperationFilter {
            kinds: vec!["set".to_owned()],
            ..filter
        };
        assert!(
            db.store
                .operation_list(&tenant, &none, None, 4)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_transcript_keeps_its_last_entries_and_cuts_long_ones() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let op = reboot(&tenant, device);
        let id = op.id;
        db.store
            .operation_insert(&tenant, op, None, vec![])
            .await
            .unwrap();
        let entry = |n: u64, text: String| TranscriptEntry {
            at: at(n as i64),
            direction: "in".to_owned(),
            transport: "mqtt".to_owned(),
            what: format!("Msg{n}"),
            text,
        };
        let entries = (0..TRANSCRIPT_ENTRIES_MAX)
            .map(|n| entry(n, "short".to_owned()))
            .collect();
        db.store
            .transcript_append(&tenant, id, entries)
            .await
            .unwrap();
        let long = format!("x{}", "ä".repeat(TRANSCRIPT_BYTES_MAX));
        db.store
            .transcript_append(&tenant, id, vec![entry(999, long)])
            .await
            .unwrap();
        let list = db.store.transcript_list(&tenant, id).await.unwrap();
        assert_eq!(list.len() as u64, TRANSCRIPT_ENTRIES_MAX);
        assert_eq!(
            (list[0].what.as_str(), list[0].text.as_str()),
            ("Msg1", "short")
        );
        assert_eq!(list.last().unwrap().text.len(), TRANSCRIPT_BYTES_MAX - 1);
    }
}

#[tokio::test]
async fn a_panic_in_the_middle_of_a_write_stores_nothing_and_stops_nobody() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let op = reboot(&tenant, device);
        let id = op.id;
        db.store
            .operation_insert(&tenant, op, None, vec![])
            .await
            .unwrap();
        let edited = db.store.operation_edit(&tenant, id, NOW, |op| {
            op.state = OperationState::Cancelled;
            assert!(op.finished.is_some(), "on purpose");
            vec![]
        });
        assert!(matches!(edited.await, Err(Error::Unavailable(_))));
        let stored = db.store.operation(&tenant, id).await.unwrap();
        assert_eq!(stored.operation.state, OperationState::Queued);
        let again = reboot(&tenant, device);
        db.store
            .operation_insert(&tenant, again, None, vec![])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_operation_that_cannot_be_read_keeps_nothing_else_from_its_turn() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            let op = reboot(&tenant, device);
            ids.push(op.id);
            db.store
                .operation_insert(&tenant, op, None, vec![])
                .await
                .unwrap();
        }
        let broken = if db.url.starts_with("sqlite") {
            "X'7B22'"
        } else {
            "'\\x7B22'::bytea"
        };
        let mut raw = Raw::open(&db.url).await;
        raw.texts(&format!(
            "UPDATE operation SET document = {broken} WHERE seq = 1 RETURNING state"
        ))
        .await;
        let claim = async || {
            db.store
                .operation_claim(&tenant, device, &node("n1"), NOW, at(60))
                .await
                .unwrap()
        };
        let Claim::Damaged(damaged) = claim().await else {
            panic!("it cannot be read");
        };
        assert_eq!((damaged.id, damaged.device), (ids[0], device));
        let due = db.store.operation_due(at(3600), 100).await.unwrap();
        assert_eq!((due.sound.len(), due.damaged), (2, vec![damaged]));
        // A page of two is full in spite of it.
        let list = async |before, limit| {
            let filter = OperationFilter::default();
            let found = db.store.operation_list(&tenant, &filter, before, limit);
            let found = found.await.unwrap();
            found
                .iter()
                .map(|record| record.operation.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(list(None, 3).await, [ids[2], ids[1]]);
        assert_eq!(list(Some(ids[1]), 3).await, []);

        let told = vec![event(&tenant, EventKind::OperationFinished).operation(ids[0])];
        let away = async || {
            let away = db
                .store
                .operation_put_away(&tenant, ids[0], NOW, told.clone());
            away.await.unwrap()
        };
        assert!(away().await);
        assert!(!away().await);
        assert_eq!(db.store.event_head(&tenant).await.unwrap(), 1);
        assert_eq!(taken(claim().await).operation.id, ids[1]);
        let due = db.store.operation_due(at(3600), 100).await.unwrap();
        assert!(due.damaged.is_empty());
    }
}

#[tokio::test]
async fn what_an_earlier_life_of_a_node_held_is_given_back_and_its_late_writes_do_not_count() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let op = reboot(&tenant, device);
        let id = op.id;
        db.store
            .operation_insert(&tenant, op, None, vec![])
            .await
            .unwrap();
        let claim = db
            .store
            .operation_claim(&tenant, device, &node("n1"), NOW, at(60))
            .await;
        let record = taken(claim.unwrap());
        let release = async |name| {
            db.store
                .operation_release_node(&tenant, &node(name))
                .await
                .unwrap()
        };
        assert_eq!(release("n2").await, 0);
        assert_eq!(release("n1").await, 1);
        let late = db.store.operation_save(&tenant, save(record, None)).await;
        assert!(matches!(late, Err(Error::Fenced(_))), "{late:?}");
        // A person may stop it at once.
        let edited = db.store.operation_edit(&tenant, id, NOW, |_| vec![]);
        assert!(edited.await.unwrap());
    }
}
