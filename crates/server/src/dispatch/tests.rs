//! The runtime against a real store and devices that live in a map: what was acknowledged survives
//! a kill at any time, and what must not be repeated is not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use fleet::operation::Request;
use fleet::operation::{OperationState as State, OutcomeState, PathOutcome};
use fleet::southbound::{
    Answer, CommandOutcome, CommandResult, Job, Op, PathValue, ReadResult, WriteResult,
};
use fleet::{Event, EventKind, Protocol};
use store::{EventFilter, NewDevice, testing};

use super::*;

/// What the fake devices remember, whoever talks to them.
#[derive(Default)]
pub(super) struct Site {
    values: BTreeMap<(DeviceId, String), String>,
    pub(super) ran: HashMap<DeviceId, u32>,
    deaf: bool,
}

struct Fake {
    site: Arc<Mutex<Site>>,
    facts: mpsc::Sender<Reported>,
}

impl Southbound for Fake {
    fn submit(&self, tenant: &TenantId, device: DeviceId, job: Job) {
        let mut site = self.site.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match &job.op {
            Op::Get { paths, .. } => Answer::Values(
                paths
                    .iter()
                    .map(|path| ReadResult {
                        requested: path.clone(),
                        result: Ok(site
                            .values
                            .get(&(device, path.clone()))
                            .map(|v| PathValue::new(path, v))
                            .into_iter()
                            .collect()),
                    })
                    .collect(),
            ),
            Op::Set { objects, .. } => {
                let mut written = Vec::new();
                for object in objects {
                    for setting in &object.settings {
                        let path = format!("{}{}", object.object, setting.name);
                        site.values
                            .insert((device, path.clone()), setting.value.clone());
                        written.push(WriteResult {
                            path,
                            result: Ok(None),
                            after_restart: false,
                        });
                    }
                }
                Answer::Set(written)
            }
            Op::Operate { command, .. } => {
                *site.ran.entry(device).or_default() += 1;
                let outcome = CommandOutcome::Done {
                    outputs: BTreeMap::new(),
                };
                Answer::Operated(vec![CommandResult {
                    command: command.clone(),
                    outcome,
                }])
            }
            other => panic!("not for these devices: {other:?}"),
        };
        let result = if site.deaf && matches!(job.op, Op::Operate { .. }) {
            return;
        } else {
            Ok(answer)
        };
        let fact = Fact::Done {
            job: job.id,
            result,
        };
        let (facts, report) = (self.facts.clone(), (tenant.clone(), device, fact));
        tokio::spawn(async move { facts.send(report).await });
    }

    fn wake(&self, _: &TenantId, _: DeviceId) {}
}

pub(super) struct Node {
    dispatch: Dispatch,
    facts: mpsc::Sender<Reported>,
    pub(super) shutdown: CancellationToken,
}

impl Node {
    pub(super) async fn start(store: &Store, site: &Arc<Mutex<Site>>) -> Self {
        let (facts, receiver) = mpsc::channel(64);
        let shutdown = CancellationToken::new();
        let southbound = Arc::new(Fake {
            site: Arc::clone(site),
            facts: facts.clone(),
        });
        let setup = Setup {
            store: store.clone(),
            southbound,
            facts: receiver,
            shutdown: shutdown.clone(),
            node: NodeId::parse("one").unwrap(),
            presence: Default::default(),
        };
        let dispatch = start(setup);
        Self {
            dispatch,
            facts,
            shutdown,
        }
    }

    pub(super) async fn say(&self, tenant: &TenantId, device: DeviceId, fact: Fact) {
        self.facts
            .send((tenant.clone(), device, fact))
            .await
            .unwrap();
    }

    /// As kill -9: nothing is finished, nothing is said.
    fn kill(self) {
        for task in &self.dispatch.tasks {
            task.abort();
        }
    }
}

fn connected() -> Fact {
    let (over, at) = (Protocol::Usp, now());
    Fact::Connected { over, at }
}

pub(super) async fn device(store: &Store, tenant: &TenantId) -> DeviceId {
    let id = DeviceId(uuid::Uuid::now_v7());
    let new = NewDevice {
        source: "test".into(),
        onboarding: fleet::device::OnboardingState::Complete,
        ..NewDevice::expected(
            id,
            vec![fleet::Identity::endpoint(&format!("self::{id}"))],
            now(),
        )
    };
    store.device_insert(tenant, new, Vec::new()).await.unwrap();
    id
}

pub(super) async fn ask(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    request: Request,
) -> OperationId {
    let id = OperationId(uuid::Uuid::now_v7());
    let expires = now().plus(fleet::limits::EXPIRY_DEFAULT);
    let operation = Operation::new(id, tenant.clone(), device, request, "test", now(), expires);
    store
        .operation_insert(tenant, operation, None, Vec::new())
        .await
        .unwrap();
    id
}

fn set(value: usize) -> Request {
    let values = vec![PathValue::new("Device.X.Y", value.to_string())];
    Request::Set {
        values,
        allow_partial: false,
    }
}

pub(super) fn command() -> Request {
    Request::Operate {
        command: "Device.X.Go()".into(),
        args: BTreeMap::new(),
    }
}

pub(super) async fn tenant(store: &Store) -> TenantId {
    let tenant = TenantId::parse("acme").unwrap();
    let record = store::TenantRecord {
        id: tenant.clone(),
        name: "Acme".into(),
        created_at: now(),
        disabled_at: None,
    };
    store.tenant_insert(record, Vec::new()).await.unwrap();
    tenant
}

pub(super) async fn until(
    store: &Store,
    tenant: &TenantId,
    id: OperationId,
    wanted: fn(State) -> bool,
) -> State {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let mut events = store.watch_events();
    loop {
        let state = store.operation(tenant, id).await.unwrap().operation.state;
        if wanted(state) {
            return state;
        }
        let left = deadline - tokio::time::Instant::now();
        // Every change of state is an event, or soon followed by one.
        let _ = tokio::time::timeout(left.min(Duration::from_millis(200)), events.recv()).await;
        assert!(tokio::time::Instant::now() < deadline, "still {state}");
    }
}

#[tokio::test]
async fn an_answer_larger_than_is_kept_does_not_hold_its_device() {
    let database = testing::sqlite().await.unwrap();
    let store = &database.store;
    let tenant = tenant(store).await;
    let device = device(store, &tenant).await;
    let site: Arc<Mutex<Site>> = Arc::default();
    let huge = "x".repeat(store::limits::OPERATION_BYTES_MAX);
    site.lock()
        .unwrap()
        .values
        .insert((device, "Device.X.Y".to_owned()), huge);
    let node = Node::start(store, &site).await;
    let request = Request::Get {
        paths: vec!["Device.X.Y".into()],
        max_depth: 0,
    };
    let id = ask(store, &tenant, device, request).await;
    node.say(&tenant, device, connected()).await;
    let state = until(store, &tenant, id, State::is_final).await;
    assert_eq!(state, State::Succeeded);
    let record = store.operation(&tenant, id).await.unwrap();
    assert!(record.operation.outcome.after.is_empty());
    assert!(record.operation.outcome.cause.unwrap().contains("left out"));
    node.shutdown.cancel();
}

#[tokio::test]
async fn operations_run_in_their_order_and_are_read_back() {
    for database in testing::databases().await.unwrap() {
        let store = &database.store;
        let tenant = tenant(store).await;
        let device = device(store, &tenant).await;
        let site = Arc::default();
        let node = Node::start(store, &site).await;
        node.say(&tenant, device, connected()).await;
        let mut last = None;
        for value in 0..20 {
            last = Some(ask(store, &tenant, device, set(value)).await);
            node.dispatch.handle.wake(device);
        }
        let state = until(store, &tenant, last.unwrap(), State::is_final).await;
        assert_eq!(state, State::Succeeded);
        let known = store
            .value_of(&tenant, device, &["Device.X.Y".to_owned()])
            .await
            .unwrap();
        assert_eq!(known[0].value, "19");
        node.shutdown.cancel();
    }
}

#[tokio::test]
async fn a_kill_loses_nothing_acknowledged_and_repeats_no_command() {
    for database in testing::databases().await.unwrap() {
        let store = &database.store;
        let tenant = tenant(store).await;
        let site: Arc<Mutex<Site>> = Arc::default();
        let mut devices = Vec::new();
        for _ in 0..5 {
            let device = device(store, &tenant).await;
            let mut ids = Vec::new();
            for n in 0..6 {
                let request = if n == 3 { command() } else { set(n) };
                ids.push(ask(store, &tenant, device, request).await);
            }
            devices.push((device, ids));
        }
        for round in 0..6usize {
            let node = Node::start(store, &site).await;
            for (device, _) in &devices {
                node.say(&tenant, *device, connected()).await;
            }
            if round < 5 {
                let (_, ids) = &devices[round];
                until(store, &tenant, ids[round], |s| s != State::Queued).await;
                node.kill();
                continue;
            }
            for (device, ids) in &devices {
                for (n, id) in ids.iter().enumerate() {
                    let state = until(store, &tenant, *id, State::is_final).await;
                    let ran = site.lock().unwrap().ran.get(device).copied().unwrap_or(0);
                    if n == 3 {
                        assert!(ran <= 1, "the command ran {ran} times");
                        assert!(
                            matches!(state, State::Succeeded | State::Unconfirmed),
                            "{state}"
                        );
                    } else {
                        assert_eq!(state, State::Succeeded);
                    }
                }
            }
            node.shutdown.cancel();
        }
    }
}

#[tokio::test]
async fn a_command_whose_answer_was_lost_is_decided_by_the_event_log() {
    let database = testing::sqlite().await.unwrap();
    let store = &database.store;
    let tenant = tenant(store).await;
    let device = device(store, &tenant).await;
    let site: Arc<Mutex<Site>> = Arc::default();
    site.lock().unwrap().deaf = true;
    let node = Node::start(store, &site).await;
    let id = ask(store, &tenant, device, command()).await;
    node.say(&tenant, device, connected()).await;
    until(store, &tenant, id, |s| s == State::Running).await;
    while site.lock().unwrap().ran.is_empty() {
        tokio::task::yield_now().await;
    }
    node.kill();
    // Told while nobody worked on it: committed, as every notification is.
    let notice = fleet::Notice::CommandCompleted {
        object: "Device.X.".into(),
        command: "Go()".into(),
        key: id.to_string(),
        result: Ok(BTreeMap::from([("Result".to_owned(), "fine".to_owned())])),
    };
    let event = crate::southbound::usp::notice::event(&tenant, device, now(), &notice);
    // Between those of other controllers, of which there may be many.
    let mut others = Vec::new();
    for number in 0..2 * limits::EVIDENCE_PAGE {
        let mut other = event.clone();
        other.data["key"] = format!("another's {number}").into();
        others.push(other);
    }
    others.push(event);
    for some in others.chunks(store::limits::PAGE_MAX) {
        store.event_append(&tenant, some.to_vec()).await.unwrap();
    }
    let node = Node::start(store, &site).await;
    node.say(&tenant, device, connected()).await;
    assert_eq!(
        until(store, &tenant, id, State::is_final).await,
        State::Succeeded
    );
    let record = store.operation(&tenant, id).await.unwrap();
    assert_eq!(record.operation.outcome.outputs["Result"], "fine");
    assert_eq!(site.lock().unwrap().ran[&device], 1);
    node.shutdown.cancel();
}

#[tokio::test]
async fn an_operation_for_a_device_that_leaves_goes_back_to_the_queue() {
    let database = testing::sqlite().await.unwrap();
    let store = &database.store;
    let tenant = tenant(store).await;
    let device = device(store, &tenant).await;
    let site: Arc<Mutex<Site>> = Arc::default();
    site.lock().unwrap().deaf = true;
    let node = Node::start(store, &site).await;
    let id = ask(store, &tenant, device, command()).await;
    node.say(&tenant, device, connected()).await;
    until(store, &tenant, id, |s| s == State::Running).await;
    let gone = Fact::Disconnected {
        over: Protocol::Usp,
        at: now(),
        reason: "power cut".into(),
    };
    node.say(&tenant, device, gone).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let record = store.operation(&tenant, id).await.unwrap();
        if record.lease.is_none_or(|(_, until)| until <= now()) {
            assert!(!record.operation.state.is_final());
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the lease is held");
        tokio::task::yield_now().await;
    }
    node.shutdown.cancel();
}

#[tokio::test]
async fn what_is_overdue_is_ended_and_what_waits_is_found() {
    let database = testing::sqlite().await.unwrap();
    let store = &database.store;
    let tenant = tenant(store).await;
    let device = device(store, &tenant).await;
    let id = ask(store, &tenant, device, set(1)).await;
    let one = NodeId::parse("one").unwrap();
    let (inbox, mut inputs) = mpsc::channel(8);
    let handle = Handle { inbox };
    assert_eq!(reconcile::waiting(store, &handle, now()).await.unwrap(), 1);
    assert!(matches!(inputs.recv().await, Some(Input::Wake(found)) if found == device));
    assert_eq!(reconcile::overdue(store, &one, now()).await.unwrap(), 0);
    let later = now().plus(2 * fleet::limits::EXPIRY_DEFAULT);
    assert_eq!(reconcile::overdue(store, &one, later).await.unwrap(), 1);
    let state = store.operation(&tenant, id).await.unwrap().operation.state;
    assert_eq!(state, State::Expired);
}

#[tokio::test]
async fn silence_is_said_once_until_the_device_is_heard_again() {
    let database = testing::sqlite().await.unwrap();
    let store = &database.store;
    let tenant = tenant(store).await;
    let device = device(store, &tenant).await;
    let link = store::PathLink {
        transport: "websocket".into(),
        endpoint_id: "self::x".into(),
        node: NodeId::parse("one").unwrap(),
        peer: "192.0.2.1:1".into(),
        authenticated_by: "device_token".into(),
        setup_key: None,
        info: serde_json::json!({}),
        at: now(),
    };
    store
        .path_connected(&tenant, device, link, Vec::new())
        .await
        .unwrap();
    let presence = fleet::presence::PresenceConfig::default();
    let look = async |at| reconcile::silent(store, presence, &mut Default::default(), at).await;
    assert_eq!(look(now()).await.unwrap(), 0);
    let later = now().plus(2 * presence.silent_after);
    assert_eq!(look(later).await.unwrap(), 1);
    assert_eq!(look(later).await.unwrap(), 0);
}

#[tokio::test]
async fn a_stop_that_was_asked_for_while_it_was_held_survives_a_kill() {
    for database in testing::databases().await.unwrap() {
        let store = &database.store;
        let tenant = tenant(store).await;
        let device = device(store, &tenant).await;
        let id = ask(store, &tenant, device, command()).await;
        // Held by the life before, which was told and killed before it could write that down.
        let one = NodeId::parse("one").unwrap();
        let until_then = now().plus(fleet::limits::LEASE);
        let claim = store
            .operation_claim(&tenant, device, &one, now(), until_then)
            .await;
        assert!(matches!(claim.unwrap(), Claim::Taken(_)));
        let asked = Event::new(tenant.clone(), now(), EventKind::OperationCancelRequested)
            .device(device)
            .operation(id);
        store.event_append(&tenant, vec![asked]).await.unwrap();
        let site: Arc<Mutex<Site>> = Arc::default();
        let node = Node::start(store, &site).await;
        node.say(&tenant, device, connected()).await;
        let state = until(store, &tenant, id, State::is_final).await;
        assert_eq!(state, State::Cancelled);
        assert!(site.lock().unwrap().ran.is_empty());
        node.shutdown.cancel();
    }
}

#[tokio::test]
async fn what_a_device_said_before_it_was_merged_proves_what_it_was_asked() {
    for database in testing::databases().await.unwrap() {
        let store = &database.store;
        let tenant = tenant(store).await;
        let (from, into) = (device(store, &tenant).await, device(store, &tenant).await);
        let id = ask(store, &tenant, from, command()).await;
        // The life before has sent it, and its answer was lost.
        let one = NodeId::parse("one").unwrap();
        let until_then = now().plus(fleet::limits::LEASE);
        let claim = store.operation_claim(&tenant, from, &one, now(), until_then);
        let Ok(Claim::Taken(record)) = claim.await else {
            panic!("nobody else has it");
        };
        let (mut operation, fence) = (record.operation, record.fence);
        operation.step(fleet::operation::Input::Claimed(&[]), now());
        assert!(operation.progress.sent_at.is_some());
        let notice = fleet::Notice::CommandCompleted {
            object: "Device.X.".into(),
            command: "Go()".into(),
            key: operation.command_key(),
            result: Ok(BTreeMap::new()),
        };
        let save = OperationSave {
            operation,
            fence,
            lease_until: None,
            values: None,
            events: Vec::new(),
            now: now(),
        };
        store.operation_save(&tenant, save).await.unwrap();
        let said = crate::southbound::usp::notice::event(&tenant, from, now(), &notice);
        store.event_append(&tenant, vec![said]).await.unwrap();
        store
            .device_merge(&tenant, from, into, Vec::new())
            .await
            .unwrap();
        let site: Arc<Mutex<Site>> = Arc::default();
        let node = Node::start(store, &site).await;
        node.say(&tenant, into, connected()).await;
        let state = until(store, &tenant, id, State::is_final).await;
        assert_eq!(state, State::Succeeded);
        assert!(site.lock().unwrap().ran.is_empty(), "it ran twice");
        node.shutdown.cancel();
    }
}

/// Another server has heard it, and written it down: this one waits for it all the same.
#[tokio::test]
async fn the_proof_that_another_node_has_heard_ends_what_this_one_waits_for() {
    for database in testing::databases().await.unwrap() {
        let store = &database.store;
        let tenant = tenant(store).await;
        let device = device(store, &tenant).await;
        let reboot = Request::Operate {
            command: "Device.Reboot()".into(),
            args: BTreeMap::new(),
        };
        let id = ask(store, &tenant, device, reboot).await;
        let site: Arc<Mutex<Site>> = Arc::default();
        let node = Node::start(store, &site).await;
        node.say(&tenant, device, connected()).await;
        let waits = |state: State| state == State::Verifying;
        until(store, &tenant, id, waits).await;
        let boot = serde_json::json!({ "cause": "RemoteReboot", "command_key": id.to_string() });
        let said = Event::new(tenant.clone(), now(), EventKind::DeviceBooted)
            .device(device)
            .data(boot);
        store.event_append(&tenant, vec![said]).await.unwrap();
        let state = until(store, &tenant, id, State::is_final).await;
        assert_eq!(state, State::Succeeded);
        assert_eq!(site.lock().unwrap().ran[&device], 1);
        node.shutdown.cancel();
    }
}

/// What a device said is read once, also while much is said; what it said under another id when that is known.
#[tokio::test]
async fn a_look_at_the_log_goes_on_from_the_last_one_and_back_when_devices_turn_out_to_be_one() {
    for database in testing::databases().await.unwrap() {
        let store = &database.store;
        let tenant = tenant(store).await;
        let (from, into) = (device(store, &tenant).await, device(store, &tenant).await);
        let id = ask(store, &tenant, into, command()).await;
        let mut operation = store.operation(&tenant, id).await.unwrap().operation;
        let boots = async |device, number: usize| {
            let boot = serde_json::json!({ "cause": "LocalReboot", "command_key": "" });
            let said = Event::new(tenant.clone(), now(), EventKind::DeviceBooted)
                .device(device)
                .data(boot);
            let mut last = 0;
            for some in vec![said; number].chunks(store::limits::PAGE_MAX) {
                last = store.event_append(&tenant, some.to_vec()).await.unwrap();
            }
            last
        };
        let look = async |operation: &Operation, after| {
            let said = evidence(store, operation, after).await.unwrap();
            (said.notices.len(), said.to)
        };
        let before = boots(into, 1).await;
        boots(from, 1).await;
        let (heard, claimed) = look(&operation, Place::default()).await;
        assert_eq!(heard, 0, "nothing was sent");
        assert!(claimed.seq > before);
        operation.step(fleet::operation::Input::Claimed(&[]), now());
        let last = boots(into, 2).await;
        let (heard, to) = look(&operation, claimed).await;
        assert_eq!((heard, to.seq), (2, last));
        assert_eq!(look(&operation, to).await, (0, to));
        // More than is heard at once: the next looks have the rest.
        boots(into, limits::EVIDENCE_MAX + 1).await;
        let (heard, next) = look(&operation, to).await;
        let (rest, to) = look(&operation, next).await;
        assert_eq!((heard, rest), (limits::EVIDENCE_MAX, 1));
        store
            .device_merge(&tenant, from, into, Vec::new())
            .await
            .unwrap();
        let (_, again) = look(&operation, to).await;
        assert!(again.former > to.former && again.seq < to.seq);
        let mut heard = 0;
        let mut place = to;
        loop {
            let (more, next) = look(&operation, place).await;
            (heard, place) = (heard + more, next);
            if more == 0 {
                break;
            }
        }
        // All there is since an hour before it was sent, and what the former one said.
        assert_eq!(heard, 1 + 1 + 2 + limits::EVIDENCE_MAX + 1);
    }
}

#[tokio::test]
async fn of_many_devices_that_fell_silent_each_is_told_of_in_the_end() {
    let database = testing::sqlite().await.unwrap();
    let store = &database.store;
    let tenant = tenant(store).await;
    let many = limits::SILENT_BATCH + 1;
    for _ in 0..many {
        let device = device(store, &tenant).await;
        let link = store::PathLink {
            transport: "websocket".into(),
            endpoint_id: format!("self::{device}"),
            node: NodeId::parse("one").unwrap(),
            peer: "192.0.2.1:1".into(),
            authenticated_by: "device_token".into(),
            setup_key: None,
            info: serde_json::json!({}),
            at: now(),
        };
        let made = store.path_connected(&tenant, device, link, Vec::new());
        made.await.unwrap();
    }
    let presence = fleet::presence::PresenceConfig::default();
    let later = now().plus(2 * presence.silent_after);
    let (mut places, mut told) = (Default::default(), Vec::new());
    for _ in 0..3 {
        let look = reconcile::silent(store, presence, &mut places, later);
        told.push(look.await.unwrap());
    }
    assert_eq!(told, [limits::SILENT_BATCH as u64, 1, 0]);
}

#[tokio::test]
async fn what_the_life_before_held_can_be_stopped_while_its_device_is_away() {
    let database = testing::sqlite().await.unwrap();
    let store = &database.store;
    let tenant = tenant(store).await;
    let device = device(store, &tenant).await;
    let id = ask(store, &tenant, device, command()).await;
    let one = NodeId::parse("one").unwrap();
    let until_then = now().plus(fleet::limits::LEASE);
    let claim = store
        .operation_claim(&tenant, device, &one, now(), until_then)
        .await;
    assert!(matches!(claim.unwrap(), Claim::Taken(_)));
    let site: Arc<Mutex<Site>> = Arc::default();
    let node = Node::start(store, &site).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let stop = |operation: &mut Operation| {
        operation.cancel(now());
        Vec::new()
    };
    while !store
        .operation_edit(&tenant, id, now(), stop)
        .await
        .unwrap()
    {
        assert!(tokio::time::Instant::now() < deadline, "it is held");
        tokio::task::yield_now().await;
    }
    let state = store.operation(&tenant, id).await.unwrap().operation.state;
    assert_eq!(state, State::Cancelled);
    node.shutdown.cancel();
}

#[tokio::test]
async fn an_operation_that_cannot_be_read_is_put_away_and_said_once() {
    let database = testing::sqlite().await.unwrap();
    let store = &database.store;
    let tenant = tenant(store).await;
    let device = device(store, &tenant).await;
    let id = ask(store, &tenant, device, command()).await;
    let damaged = store::DamagedOperation {
        tenant: tenant.clone(),
        id,
        device,
        why: "expected value at line 1".into(),
    };
    for _ in 0..2 {
        reconcile::put_away(store, damaged.clone(), now())
            .await
            .unwrap();
    }
    let filter = EventFilter {
        operation: Some(id),
        ..EventFilter::default()
    };
    let page = store
        .events_after(&tenant, 0, &filter, 10)
        .await
        .unwrap()
        .events;
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].event.data["state"], "unconfirmed");
    let open = store.operation_open_count(&tenant, device).await.unwrap();
    assert_eq!(open, 0);
}

#[test]
fn secrets_that_a_device_shows_are_not_remembered() {
    let tenant = TenantId::parse("acme").unwrap();
    let (id, device) = (OperationId(uuid::Uuid::nil()), DeviceId(uuid::Uuid::nil()));
    let request = Request::Get {
        paths: vec!["Device.".into()],
        max_depth: 0,
    };
    let mut operation = Operation::new(id, tenant, device, request, "test", now(), now());
    operation.state = State::Succeeded;
    let token = crate::secret::new(crate::secret::DEVICE);
    operation.outcome.after = vec![
        PathValue::new("Device.X_ACME_Portal.AdminPassword", "hunter22"),
        PathValue::new(
            "Device.LocalAgent.Controller.1.MTP.1.WebSocket.Path",
            format!("/usp/{token}"),
        ),
        PathValue::new("Device.X_ACME_Portal.Url", format!("wss://x/usp/{token}")),
        PathValue::new("Device.WiFi.SSID.1.SSID", "home"),
    ];
    let learned = events::learned(&operation, now()).unwrap();
    let values: Vec<&str> = learned.values.iter().map(|v| v.value.as_str()).collect();
    assert_eq!(values, ["", "", "", "home"]);
}

/// An operation on port mappings that ended with these rows.
fn ended(request: Request, state: State, rows: &[(&str, OutcomeState)]) -> Vec<String> {
    let tenant = TenantId::parse("acme").unwrap();
    let (id, device) = (OperationId(uuid::Uuid::nil()), DeviceId(uuid::Uuid::nil()));
    let mut operation = Operation::new(id, tenant, device, request, "test", now(), now());
    operation.state = state;
    let paths = rows
        .iter()
        .map(|(path, state)| PathOutcome::new(*path, state.clone()));
    operation.outcome.paths = paths.collect();
    events::learned(&operation, now()).map_or_else(Vec::new, |learned| learned.forget)
}

#[test]
fn the_known_size_of_a_table_is_forgotten_when_rows_come_and_go() {
    const ROW: &str = "Device.NAT.PortMapping.3.";
    const COUNT: &str = "Device.NAT.PortMappingNumberOfEntries";
    let add = || Request::Add {
        object: "Device.NAT.PortMapping.".into(),
        values: BTreeMap::new(),
    };
    let delete = || Request::Delete {
        paths: vec![ROW.into()],
        allow_partial: false,
    };
    let refused = OutcomeState::Refused {
        fault: fleet::southbound::Fault::new(7000, "no"),
    };
    let done = OutcomeState::Done;
    assert_eq!(
        ended(add(), State::Succeeded, &[(ROW, done.clone())]),
        [COUNT]
    );
    assert_eq!(
        ended(delete(), State::Succeeded, &[(ROW, done)]),
        [ROW, COUNT]
    );
    // Nobody can tell, so nobody can tell how many there are either.
    assert_eq!(ended(add(), State::Unconfirmed, &[]), [COUNT]);
    let unknown = [(ROW, OutcomeState::Unknown)];
    assert_eq!(ended(delete(), State::Unconfirmed, &unknown), [COUNT]);
    for request in [add(), delete()] {
        let nothing: [&str; 0] = [];
        assert_eq!(
            ended(request, State::Failed, &[(ROW, refused.clone())]),
            nothing
        );
    }
}
