//! What ends an operation on which nobody works: whoever may claim it, without its device.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fleet::operation::{Input, OperationState as State, Request};
use fleet::{
    DeviceId, Direction, Fact, FileKind, NodeId, Notice, Operation, OperationId, TenantId,
    TransferId, TransferState,
};
use store::{Claim, NewTransfer, OperationRecord, OperationSave, Store, TransferStep, testing};

use super::tests::{Node, Site, ask, command, device, tenant, until};
use super::{limits, reconcile};
use crate::southbound::usp::notice;
use crate::state::now;

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

/// A node takes the operation of a device up and sends it.
async fn sent(store: &Store, tenant: &TenantId, device: DeviceId, by: &str) -> OperationRecord {
    let until = now().plus(10 * fleet::limits::LEASE);
    let by = node(by);
    let claim = store.operation_claim(tenant, device, &by, now(), until);
    let Claim::Taken(mut record) = claim.await.unwrap() else {
        panic!("nobody else has it");
    };
    record.operation.step(Input::Claimed(&[]), now());
    assert!(record.operation.may_have_left());
    save(store, &record, Some(until)).await;
    *record
}

async fn save(store: &Store, record: &OperationRecord, lease_until: Option<fleet::Timestamp>) {
    let save = OperationSave {
        operation: record.operation.clone(),
        fence: record.fence,
        lease_until,
        values: None,
        events: Vec::new(),
        now: now(),
    };
    let tenant = &record.operation.tenant;
    store.operation_save(tenant, save).await.unwrap();
}

/// Its device says that it is over; that is in the log.
async fn told(store: &Store, operation: &Operation, says_how: bool) -> Notice {
    let Request::Operate { command, .. } = &operation.request else {
        panic!("not a command");
    };
    let (object, command) = fleet::model::split(command).unwrap();
    let (object, command) = (object.to_owned(), command.to_owned());
    let (key, outputs) = (operation.command_key(), BTreeMap::new());
    let notice = match says_how {
        true => Notice::CommandCompleted {
            object,
            command,
            key,
            result: Ok(outputs),
        },
        false => Notice::CommandOver {
            object,
            command,
            key,
            outputs,
        },
    };
    let event = notice::event(&operation.tenant, operation.device, now(), &notice);
    let logged = store.event_append(&operation.tenant, vec![event]);
    logged.await.unwrap();
    notice
}

async fn stored(store: &Store, tenant: &TenantId, id: OperationId) -> Operation {
    store.operation(tenant, id).await.unwrap().operation
}

/// The device said it in a session in which nothing could be claimed, and is gone.
#[tokio::test]
async fn what_a_node_heard_while_another_held_the_operation_ends_it_without_another_session() {
    for database in testing::databases().await.unwrap() {
        let store = &database.store;
        let tenant = tenant(store).await;
        let device = device(store, &tenant).await;
        let id = ask(store, &tenant, device, command()).await;
        let held = sent(store, &tenant, device, "two").await;
        let site: Arc<Mutex<Site>> = Arc::default();
        let one = Node::start(store, &site).await;
        let (at, notice) = (now(), told(store, &held.operation, true).await);
        one.say(&tenant, device, Fact::Notified { at, notice })
            .await;
        // The other one does not know, gives it back, and is not heard of again.
        save(store, &held, None).await;
        let state = until(store, &tenant, id, State::is_final).await;
        assert_eq!(state, State::Succeeded);
        assert!(site.lock().unwrap().ran.is_empty(), "it ran twice");
        one.shutdown.cancel();
    }
}

#[tokio::test]
async fn what_a_device_said_before_a_node_was_killed_ends_its_operation_at_the_next_start() {
    for database in testing::databases().await.unwrap() {
        let store = &database.store;
        let tenant = tenant(store).await;
        let device = device(store, &tenant).await;
        let id = ask(store, &tenant, device, command()).await;
        let held = sent(store, &tenant, device, "one").await;
        told(store, &held.operation, true).await;
        let node = Node::start(store, &Arc::default()).await;
        let state = until(store, &tenant, id, State::is_final).await;
        assert_eq!(state, State::Succeeded);
        node.shutdown.cancel();
    }
}

/// `EVIDENCE_BATCH`
#[tokio::test]
async fn of_many_commands_that_nobody_works_on_each_is_looked_for_in_the_end() {
    for database in testing::databases().await.unwrap() {
        let store = &database.store;
        let tenant = tenant(store).await;
        let one = node("one");
        let mut last = None;
        for _ in 0..=limits::EVIDENCE_BATCH {
            let device = device(store, &tenant).await;
            ask(store, &tenant, device, command()).await;
            let record = sent(store, &tenant, device, "one").await;
            save(store, &record, None).await;
            last = Some(record.operation);
        }
        let last = last.unwrap();
        told(store, &last, true).await;
        let mut place = None;
        let mut look = async || {
            let looked = reconcile::told(store, &one, &mut place, now()).await;
            (looked.unwrap(), place.is_some())
        };
        assert_eq!(look().await, (0, true));
        assert_eq!(look().await, (1, false));
        assert_eq!(look().await, (0, true));
        let ended = stored(store, &tenant, last.id).await;
        assert_eq!(ended.state, State::Succeeded);
    }
}

#[tokio::test]
async fn what_somebody_works_on_is_left_to_him() {
    let database = testing::sqlite().await.unwrap();
    let store = &database.store;
    let tenant = tenant(store).await;
    let device = device(store, &tenant).await;
    let id = ask(store, &tenant, device, command()).await;
    let held = sent(store, &tenant, device, "one").await;
    told(store, &held.operation, true).await;
    let look = async || {
        let (one, mut place) = (node("one"), None);
        let looked = reconcile::told(store, &one, &mut place, now()).await;
        looked.unwrap()
    };
    // Its own dispatcher does.
    assert_eq!(look().await, 0);
    save(store, &held, None).await;
    assert_eq!(look().await, 1);
    let ended = stored(store, &tenant, id).await;
    assert_eq!(ended.state, State::Succeeded);
    // Who held it is told that it is not his any more.
    let late = OperationSave {
        operation: held.operation,
        fence: held.fence,
        lease_until: None,
        values: None,
        events: Vec::new(),
        now: now(),
    };
    let late = store.operation_save(&tenant, late).await;
    assert!(matches!(late, Err(store::Error::Fenced(_))), "{late:?}");
}

/// A device is to fetch a file, or to send one; how far that came, and that nobody works on it.
async fn transfer(
    store: &Store,
    tenant: &TenantId,
    named: &str,
    state: TransferState,
) -> Operation {
    let device = device(store, tenant).await;
    let request = Request::Operate {
        command: "Device.DeviceInfo.VendorConfigFile.1.Download()".into(),
        args: BTreeMap::from([("URL".to_owned(), named.to_owned())]),
    };
    let id = ask(store, tenant, device, request).await;
    let record = sent(store, tenant, device, "one").await;
    let direction = match named.starts_with("headend-upload:") {
        true => Direction::Upload,
        false => Direction::Download,
    };
    let new = NewTransfer {
        id: TransferId::new(now(), [1; 10]),
        device,
        operation: id,
        direction,
        file: None,
        name: "config".to_owned(),
        kind: FileKind::Configuration,
        size: Some(9),
        token_hash: crate::secret::hash(&id.to_string()),
        created_at: now(),
        expires_at: now().plus(fleet::limits::EXPIRY_DEFAULT),
    };
    let offered = store.transfer_offer(tenant, new).await.unwrap();
    if state != TransferState::Waiting {
        let step = TransferStep {
            state,
            went: (0, 9),
            peer: None,
            error: None,
            at: now(),
        };
        let stepped = store.transfer_step(tenant, offered.id, step, |_, _| Vec::new());
        stepped.await.unwrap();
    }
    save(store, &record, None).await;
    record.operation
}

#[tokio::test]
async fn a_transfer_whose_time_ran_out_while_nobody_worked_on_it_is_held_against_its_file() {
    use TransferState as T;
    for database in testing::databases().await.unwrap() {
        let store = &database.store;
        let tenant = tenant(store).await;
        let (fetch, send) = ("headend-file:7", "headend-upload:");
        for (named, went, says_over, state, words) in [
            (
                fetch,
                T::Done,
                false,
                State::Unconfirmed,
                "its time ran out",
            ),
            (
                fetch,
                T::Done,
                true,
                State::Succeeded,
                "the device says that it is over",
            ),
            (
                fetch,
                T::Waiting,
                false,
                State::Unconfirmed,
                "did not fetch the file",
            ),
            (send, T::Done, false, State::Succeeded, "its file is here"),
            (
                send,
                T::Waiting,
                true,
                State::Unconfirmed,
                "the file is not here",
            ),
        ] {
            let operation = transfer(store, &tenant, named, went).await;
            if says_over {
                told(store, &operation, false).await;
            }
            let later = now().plus(2 * fleet::limits::EXPIRY_DEFAULT);
            let one = node("one");
            assert_eq!(reconcile::overdue(store, &one, later).await.unwrap(), 1);
            let ended = stored(store, &tenant, operation.id).await;
            let cause = ended.outcome.cause.unwrap_or_default();
            assert_eq!(ended.state, state, "{named} {went:?}: {cause}");
            assert!(cause.contains(words), "{cause}");
            let whole = "the file went over its link";
            assert_eq!(
                cause.contains(whole),
                named == fetch && went == T::Done,
                "{cause}"
            );
        }
    }
}
