//! USP Services end to end: a service registers at an agent over a socket, and a controller of that agent has it.

use std::path::Path;
use std::time::Duration;

use agent::{
    AgentConfig, ControllerConfig, MemoryStorage, RunOptions, ServicesConfig, TrustConfig, run,
};
use tokio_util::sync::CancellationToken;
use usp::controller::PeerError;
use usp::msg::{required, set_values};
use usp::proto::msg::{
    Completion, CreateStatus, DeleteStatus, GetSupportedDMResp, Notification, OperationResp,
    Response, UpdateStatus,
};

use crate::conversation::Box1;
use crate::desk::{CONTROLLER, Desk, PATIENCE, Talk, subscribe};
use crate::meter::{METER, Meter};

pub const BROKER: &str = "os::00256D-broker";
const SERVICE: &str = "self::meter";
pub const ROWS: &str = "Device.USPServices.USPService.";

pub struct Running {
    task: tokio::task::JoinHandle<Result<(), agent::RunError>>,
    stop: CancellationToken,
}

impl Running {
    pub fn start(config: AgentConfig, backend: Box<dyn agent::Backend>) -> Running {
        let stop = CancellationToken::new();
        let options = RunOptions {
            storage: Box::new(MemoryStorage::new()),
            ..RunOptions::default()
        };
        let task = tokio::spawn(run(config, backend, options, stop.clone()));
        Running { task, stop }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

pub struct House {
    pub folder: tempfile::TempDir,
    pub desk: Desk,
    pub broker: Running,
    pub talk: Talk,
}

impl House {
    pub async fn open(trust: Vec<TrustConfig>) -> House {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = Desk::open().await;
        let config = AgentConfig {
            endpoint_id: BROKER.into(),
            controllers: vec![ControllerConfig {
                endpoint_id: CONTROLLER.into(),
                url: desk.url("/usp"),
                ..ControllerConfig::default()
            }],
            services: Some(ServicesConfig {
                broker_controller: Some(folder.path().join("controller")),
                broker_agent: Some(folder.path().join("agent")),
                trust,
                ..ServicesConfig::default()
            }),
            ..AgentConfig::default()
        };
        let model = agent::model(&["Device.DeviceInfo.!only", "Device.Reboot()"]).unwrap();
        let broker = Running::start(config, Box::new(Box1(model)));
        let mut talk = desk.accept().await;
        talk.connected().await;
        House {
            folder,
            desk,
            broker,
            talk,
        }
    }

    pub fn socket(&self) -> String {
        self.folder.path().join("controller").display().to_string()
    }

    pub fn service(&self, own: &str) -> Running {
        let config = crate::meter::config(own, &self.socket(), BROKER);
        Running::start(config, Box::new(Meter::new().unwrap()))
    }

    /// A service that is there, and whose row has come.
    pub async fn with_service(&mut self) -> (Running, String) {
        subscribe(&mut self.talk, "rows", "ObjectCreation", ROWS, false).await;
        let service = self.service(SERVICE);
        let row = self.row_appears().await;
        (service, row)
    }

    pub async fn row_appears(&mut self) -> String {
        let created = |n: &Notification| matches!(n, Notification::ObjCreation(_));
        match self.talk.notified(created).await.notification {
            Notification::ObjCreation(created) => created.obj_path,
            other => panic!("{other:?}"),
        }
    }

    pub async fn get(&mut self, path: &str) -> Vec<(String, String)> {
        let Response::GetResp(resp) = self.talk.ask(usp::msg::get([path])).await else {
            panic!("no GetResp");
        };
        let one = &resp.req_path_results[0];
        assert_eq!((one.err_code, one.err_msg.as_str()), (0, ""), "{path}");
        let mut out = Vec::new();
        for object in &one.resolved_path_results {
            for (name, value) in object.result_params.iter() {
                out.push((format!("{}{name}", object.resolved_path), value.to_owned()));
            }
        }
        out
    }

    pub async fn code(&mut self, path: &str) -> u32 {
        let Response::GetResp(resp) = self.talk.ask(usp::msg::get([path])).await else {
            panic!("no GetResp");
        };
        resp.req_path_results[0].err_code
    }

    async fn supported(&mut self, path: &str, first_level: bool) -> GetSupportedDMResp {
        let request = usp::msg::get_supported_dm([path], first_level);
        match self.talk.ask(request).await {
            Response::GetSupportedDmResp(resp) => resp,
            other => panic!("{other:?}"),
        }
    }

    async fn refusal(&mut self, request: impl Into<usp::msg::Request>) -> u32 {
        match self.talk.try_ask(request).await.expect("still connected") {
            Err(PeerError::Refused(error)) => error.code.0,
            other => panic!("{other:?}"),
        }
    }
}

fn named(path: &str) -> String {
    format!("{METER}{path}")
}

fn has(values: &[(String, String)], path: &str, value: &str) -> bool {
    values.iter().any(|(p, v)| p == path && v == value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_registers_is_read_and_written_through_the_agent() {
    let mut house = House::open(Vec::new()).await;
    assert_eq!(house.code(METER).await, 7026);
    let (service, row) = house.with_service().await;
    assert_eq!(row, format!("{ROWS}1."));
    let shown = house.get(&row).await;
    for (name, value) in [
        ("EndpointID", SERVICE),
        ("Protocol", "UDS"),
        ("DataModelPaths", METER),
        ("HasController", "false"),
    ] {
        assert!(
            has(&shown, &format!("{row}{name}"), value),
            "{name}: {shown:?}"
        );
    }

    // Reading: by itself, with everything else, and what is not there.
    assert!(has(&house.get(METER).await, &named("Name"), "meter"));
    let all = house.get("Device.").await;
    assert!(has(&all, &named("Alarm.1.Alias"), "first"), "{all:?}");
    assert!(has(&all, "Device.LocalAgent.EndpointID", BROKER));
    let by_key = named("Alarm.[Alias==\"first\"].Limit");
    assert_eq!(
        house.get(&by_key).await,
        [(named("Alarm.1.Limit"), "0".to_owned())]
    );
    assert_eq!(house.code(&named("Nothing")).await, 7026);
    let Response::GetResp(flat) = house.talk.ask(usp::msg::get_depth(["Device."], 2)).await else {
        panic!("no GetResp");
    };
    let objects = flat.req_path_results[0].resolved_path_results.iter();
    let deep: Vec<_> = objects
        .filter(|one| one.resolved_path.starts_with(METER))
        .collect();
    assert_eq!(deep.len(), 1, "{deep:?}");

    // The supported model, of both together.
    let both = house.supported("Device.", false).await;
    let paths: Vec<_> = both.req_obj_results[0]
        .supported_objs
        .iter()
        .map(|one| one.supported_obj_path.clone())
        .collect();
    assert!(paths.contains(&named("Alarm.{i}.")) && paths.contains(&"Device.LocalAgent.".into()));
    let level = house.supported("Device.", true).await;
    let level = &level.req_obj_results[0].supported_objs;
    let bare = level.iter().find(|one| one.supported_obj_path == METER);
    assert!(
        bare.is_some_and(|one| one.supported_params.is_empty()),
        "{level:?}"
    );
    let own = house.supported(METER, true).await;
    assert_eq!(own.req_obj_results[0].supported_objs.len(), 2, "{own:?}");

    // Writing, one message for both ends; what has to be one piece is not torn.
    const TIME: &str = "Device.LocalAgent.Controller.1.ProvisioningCode";
    let mut both = set_values([(named("Name"), "one"), (TIME.into(), "two")]);
    assert_eq!(house.refusal(both.clone()).await, 7002);
    both.allow_partial = true;
    let Response::SetResp(resp) = house.talk.ask(both).await else {
        panic!("no SetResp");
    };
    let results: Vec<_> = resp.updated_obj_results.iter().collect();
    assert_eq!(results[0].requested_path, METER);
    let success = |s: &UpdateStatus| matches!(s, UpdateStatus::OperSuccess(_));
    assert!(results.len() == 2 && results.iter().all(|one| success(&one.oper_status)));
    assert!(has(&house.get(METER).await, &named("Name"), "one"));
    house.talk.ask(set_values([(named("Name"), "alone")])).await;
    assert!(has(&house.get(METER).await, &named("Name"), "alone"));
    assert_eq!(
        house.refusal(set_values([(named("Count"), "1")])).await,
        7013
    );

    // Rows.
    let table = named("Alarm.");
    let settings = vec![required("Alias", "mine"), required("Limit", "5")];
    let add = usp::msg::add(false, [(table.clone(), settings)]);
    let Response::AddResp(resp) = house.talk.ask(add.clone()).await else {
        panic!("no AddResp");
    };
    let CreateStatus::OperSuccess(made) = &resp.created_obj_results[0].oper_status else {
        panic!("{resp:?}");
    };
    assert_eq!(made.unique_keys.get("Alias"), Some("mine"));
    assert_eq!(house.refusal(add).await, 7025);
    let rows = house
        .talk
        .ask(usp::msg::get_instances([table], false))
        .await;
    let Response::GetInstancesResp(rows) = rows else {
        panic!("{rows:?}");
    };
    assert_eq!(rows.req_path_results[0].curr_insts.len(), 2, "{rows:?}");
    let delete = usp::msg::delete(false, [made.instantiated_path.clone()]);
    let Response::DeleteResp(resp) = house.talk.ask(delete).await else {
        panic!("no DeleteResp");
    };
    let status = &resp.deleted_obj_results[0].oper_status;
    assert!(matches!(status, DeleteStatus::OperSuccess(_)), "{resp:?}");

    // It goes, and everything with it.
    subscribe(
        &mut house.talk,
        "gone",
        "ObjectDeletion",
        &format!("{ROWS}*."),
        false,
    )
    .await;
    service.stop().await;
    let gone = |n: &Notification| matches!(n, Notification::ObjDeletion(_));
    house.talk.notified(gone).await;
    assert_eq!(house.code(METER).await, 7026);
    assert_eq!(house.get(ROWS).await, []);
    house.broker.stop().await;
    assert!(!Path::new(&house.folder.path().join("controller")).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_in_a_service_is_told_to_whoever_subscribed_at_the_agent() {
    let mut house = House::open(Vec::new()).await;
    // Before there is such a service, and by an object far above it.
    subscribe(&mut house.talk, "all", "ValueChange", "Device.", false).await;
    let (service, _) = house.with_service().await;
    let alarms = named("Alarm.");
    subscribe(&mut house.talk, "new", "ObjectCreation", &alarms, false).await;
    subscribe(
        &mut house.talk,
        "old",
        "ObjectDeletion",
        &named("Alarm.*."),
        false,
    )
    .await;
    subscribe(&mut house.talk, "ev", "Event", &named("Measured!"), false).await;
    subscribe(&mut house.talk, "done", "OperationComplete", METER, false).await;
    let nonsense = usp::msg::add(
        false,
        [(
            "Device.LocalAgent.Subscription.".to_owned(),
            vec![
                required("ID", "bad"),
                required("NotifType", "ValueChange"),
                required("ReferenceList", named("Nothing")),
            ],
        )],
    );
    assert_eq!(house.refusal(nonsense).await, 7012);

    house.talk.ask(set_values([(named("Name"), "told")])).await;
    let notify = house
        .talk
        .notified(|n| matches!(n, Notification::ValueChange(v) if v.param_path == named("Name")))
        .await;
    assert_eq!(notify.subscription_id, "all");

    let add = usp::msg::add(false, [(alarms, vec![required("Alias", "told")])]);
    house.talk.ask(add).await;
    let notify = house
        .talk
        .notified(|n| matches!(n, Notification::ObjCreation(_)))
        .await;
    assert_eq!(notify.subscription_id, "new");
    house
        .talk
        .ask(usp::msg::delete(false, [named("Alarm.2.")]))
        .await;
    let notify = house
        .talk
        .notified(|n| matches!(n, Notification::ObjDeletion(_)))
        .await;
    assert_eq!(notify.subscription_id, "old");

    // A command that takes a while has a row here, and its end is told under that name.
    let command = named("Measure()");
    let measure = |key: &str| usp::msg::operate(command.clone(), key, usp::Map::new());
    let Response::OperateResp(resp) = house.talk.ask(measure("k1")).await else {
        panic!("no OperateResp");
    };
    let Some(OperationResp::ReqObjPath(row)) = &resp.operation_results[0].operation_resp else {
        panic!("{resp:?}");
    };
    assert!(row.starts_with("Device.LocalAgent.Request."), "{row}");
    let (mut event, mut done) = (false, false);
    while !(event && done) {
        let wanted =
            |n: &Notification| matches!(n, Notification::Event(_) | Notification::OperComplete(_));
        match house.talk.notified(wanted).await.notification {
            Notification::Event(one) => event |= one.event_name == "Measured!",
            Notification::OperComplete(one) => {
                assert_eq!(
                    (one.obj_path.as_str(), one.command_key.as_str()),
                    (METER, "k1")
                );
                let Some(Completion::ReqOutputArgs(outputs)) = one.completion else {
                    panic!("no outputs");
                };
                assert_eq!(outputs.output_args.get("Count"), Some("42"));
                done = true;
            }
            other => panic!("{other:?}"),
        }
    }
    let reset = usp::msg::operate(named("Reset()"), "", usp::Map::new());
    let Response::OperateResp(resp) = house.talk.ask(reset).await else {
        panic!("no OperateResp");
    };
    let outcome = &resp.operation_results[0].operation_resp;
    assert!(
        matches!(outcome, Some(OperationResp::ReqOutputArgs(_))),
        "{resp:?}"
    );

    // One that is cancelled, and one whose service dies.
    for (key, code) in [("never", 7023), ("never", 7022)] {
        let Response::OperateResp(resp) = house.talk.ask(measure(key)).await else {
            panic!("no OperateResp");
        };
        let Some(OperationResp::ReqObjPath(row)) = &resp.operation_results[0].operation_resp else {
            panic!("{resp:?}");
        };
        if code == 7023 {
            let cancel = usp::msg::operate(format!("{row}Cancel()"), "", usp::Map::new());
            house.talk.ask(cancel).await;
        } else {
            service.stop.cancel();
        }
        let wanted = |n: &Notification| matches!(n, Notification::OperComplete(_));
        match house.talk.notified(wanted).await.notification {
            Notification::OperComplete(one) => match one.completion {
                Some(Completion::CmdFailure(failure)) => assert_eq!(failure.err_code, code),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
    service.stop().await;
    house.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_comes_again_after_its_broker_and_a_second_one_gets_what_is_free() {
    let mut house = House::open(Vec::new()).await;
    let (first, _) = house.with_service().await;
    // The same paths are not to be had twice; when the first has gone, the second gets them by asking again.
    let second = house.service("self::second");
    first.stop().await;
    let third = house.service("self::third");
    let row = tokio::time::timeout(2 * PATIENCE, house.row_appears()).await;
    let row = row.expect("one of them gets it");
    let owner = house.get(&format!("{row}EndpointID")).await[0].1.clone();
    assert!(owner == "self::second" || owner == "self::third", "{owner}");
    second.stop().await;
    third.stop().await;
    house.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_trusted_is_registered_where_the_configuration_says_so() {
    let trust = |endpoint_id: &str, path: &str| TrustConfig {
        endpoint_id: endpoint_id.into(),
        paths: vec![path.into()],
        uid: None,
    };
    let mut house = House::open(vec![
        trust("self::other", METER),
        trust(SERVICE, "Device.X_EXAMPLE_Else."),
    ])
    .await;
    subscribe(&mut house.talk, "rows", "ObjectCreation", ROWS, false).await;
    let refused = house.service(SERVICE);
    let trusted = house.service("self::other");
    let row = house.row_appears().await;
    let owner = house.get(&format!("{row}EndpointID")).await;
    assert_eq!(owner[0].1, "self::other");
    assert_eq!(house.get(ROWS).await.len(), 4);
    refused.stop().await;
    trusted.stop().await;
    house.broker.stop().await;
}

/// A controller of the device itself comes by the other socket, and nobody else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_controller_connects_to_the_agents_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent");
    let config = AgentConfig {
        endpoint_id: BROKER.into(),
        controllers: vec![
            ControllerConfig {
                endpoint_id: "self::local".into(),
                url: "unix:".into(),
                ..ControllerConfig::default()
            },
            ControllerConfig {
                endpoint_id: "self::remote".into(),
                url: "ws://127.0.0.1:1/".into(),
                ..ControllerConfig::default()
            },
        ],
        services: Some(ServicesConfig {
            broker_agent: Some(path.clone()),
            ..ServicesConfig::default()
        }),
        ..AgentConfig::default()
    };
    let model = agent::model(&["Device.DeviceInfo.!only"]).unwrap();
    let agent = Running::start(config, Box::new(Box1(model)));
    let dial = async |own: &str| {
        let own: usp::EndpointId = own.parse().unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match mtp::uds::dial(&mtp::uds::DialConfig::new(&path, own.clone())).await {
                // The socket and the list of controllers come soon.
                Err(_)
                    if tokio::time::Instant::now() < deadline && own.as_str() == "self::local" =>
                {
                    tokio::task::yield_now().await;
                }
                Err(mtp::uds::DialError::Link(why)) => return Err(why.to_string()),
                Err(why) => return Err(why.to_string()),
                Ok(link) => return Ok(link),
            }
        }
    };
    let mut link = dial("self::local").await.unwrap();
    let connect = tokio::time::timeout(Duration::from_secs(20), link.recv()).await;
    let record = usp::codec::decode_record(&connect.unwrap().unwrap()).unwrap();
    assert!(record.record_type.is_connect());
    assert_eq!(record.from_id, BROKER);
    for stranger in ["self::remote", "self::nobody"] {
        let why = dial(stranger).await.unwrap_err();
        assert!(why.contains("is not a controller of this device"), "{why}");
    }
    agent.stop().await;
}

/// What a process says is compared with what the kernel says of it, and the sockets are of different people.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_name_from_the_wrong_user_is_refused_at_both_sockets() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let paths = [
        folder.path().join("agent"),
        folder.path().join("controller"),
    ];
    let mine = std::fs::metadata(folder.path()).unwrap().uid();
    let controller = |id: &str, uid| ControllerConfig {
        endpoint_id: id.into(),
        url: "unix:".into(),
        uid: Some(uid),
        ..ControllerConfig::default()
    };
    let trust = |id: &str, uid| TrustConfig {
        endpoint_id: id.into(),
        paths: vec![METER.into()],
        uid: Some(uid),
    };
    let config = AgentConfig {
        endpoint_id: BROKER.into(),
        controllers: vec![
            controller("self::mine", mine),
            controller("self::other", mine + 1),
        ],
        services: Some(ServicesConfig {
            broker_agent: Some(paths[0].clone()),
            broker_controller: Some(paths[1].clone()),
            mode: Some("660".into()),
            trust: vec![trust("self::mine", mine), trust("self::other", mine + 1)],
            ..ServicesConfig::default()
        }),
        ..AgentConfig::default()
    };
    config.check("agent.toml").unwrap();
    let model = agent::model(&["Device.DeviceInfo.!only"]).unwrap();
    let agent = Running::start(config, Box::new(Box1(model)));
    let mut links = Vec::new();
    for (path, mode) in paths.iter().zip([0o600, 0o660]) {
        let dial = async |own: &str| {
            let config = mtp::uds::DialConfig::new(path, own.parse().unwrap());
            mtp::uds::dial(&config).await.map_err(|why| why.to_string())
        };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        // The socket and the list of controllers come soon.
        let mut first = loop {
            match dial("self::mine").await {
                Ok(link) => break link,
                Err(why) => assert!(tokio::time::Instant::now() < deadline, "{why}"),
            }
            tokio::task::yield_now().await;
        };
        let why = dial("self::other").await.unwrap_err();
        assert!(why.contains("self::other is not user"), "{why}");
        let file = std::fs::metadata(path).unwrap().permissions();
        assert_eq!(file.mode() & 0o777, mode, "{path:?}");
        // One that says it is there twice is not. Which of the two the agent takes up first is not said: a handshake is over
        // for a process before it is for the agent.
        let mut second = dial("self::mine").await.unwrap();
        let refused = async {
            loop {
                let said = tokio::select! {
                    said = first.recv() => said,
                    said = second.recv() => said,
                };
                if let Err(why) = said {
                    break why.to_string();
                }
            }
        };
        let why = tokio::time::timeout(PATIENCE, refused).await.unwrap();
        assert!(why.contains("is connected already"), "{why}");
        links.push((first, second));
    }
    agent.stop().await;
}
