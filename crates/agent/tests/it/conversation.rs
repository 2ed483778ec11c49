//! Dialling, listening, the swap of the credential, notifications across connections, restarts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::{
    AgentConfig, Backend, Call, ControllerConfig, ListenConfig, MemoryStorage, Now, Outcome,
    Restart, RunOptions, View, run,
};
use mtp::ws::{DialConfig, Incoming, dial};
use tokio_util::sync::CancellationToken;
use usp::controller::Event;
use usp::proto::msg::{Notification, Response};

use crate::desk::{CONTROLLER, Desk, PATIENCE, Talk, id, subscribe};

pub const AGENT: &str = "os::00256D-S1";
const CODE: &str = "Device.LocalAgent.Controller.1.ProvisioningCode";

pub struct Box1(pub Arc<dm::Schema>);

impl Backend for Box1 {
    fn schema(&self) -> Arc<dm::Schema> {
        self.0.clone()
    }

    fn operate(&mut self, _: Now, call: &Call, _: &dyn View) -> Outcome {
        Outcome::Restart(Restart {
            cause: "RemoteReboot".into(),
            command_key: call.command_key.clone(),
            ..Restart::default()
        })
    }

    fn restart(&mut self, _: &Restart) -> Option<Duration> {
        Some(Duration::from_millis(50))
    }
}

struct Running {
    task: tokio::task::JoinHandle<Result<(), agent::RunError>>,
    stop: CancellationToken,
    flash: MemoryStorage,
    listening: Option<SocketAddr>,
}

impl Running {
    async fn stop(self) -> MemoryStorage {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.flash
    }
}

async fn start(url: &str, flash: MemoryStorage, listen: bool) -> Running {
    let model = agent::model(&["Device.DeviceInfo.!only"]).unwrap();
    let controller = ControllerConfig {
        endpoint_id: CONTROLLER.into(),
        url: url.into(),
        retry_min_wait: 1,
        retry_multiplier: 1000,
        ..ControllerConfig::default()
    };
    let address = "127.0.0.1:0".parse().unwrap();
    let listen = listen.then(|| ListenConfig {
        address,
        path: "/agent".into(),
        certificate: None,
        key: None,
        client_ca: None,
    });
    let listens = listen.is_some();
    let config = AgentConfig {
        endpoint_id: AGENT.into(),
        controllers: vec![controller],
        listen,
        ..AgentConfig::default()
    };
    let stop = CancellationToken::new();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let options = RunOptions {
        storage: Box::new(flash.clone()),
        seed: 7,
        listening: Some(sender),
        ..RunOptions::default()
    };
    let task = tokio::spawn(run(config, Box::new(Box1(model)), options, stop.clone()));
    let listening = if listens {
        Some(receiver.await.unwrap())
    } else {
        None
    };
    Running {
        task,
        stop,
        flash,
        listening,
    }
}

/// TP-469 7.1, 7.10, 1.60 and a read, a write, a notification.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_dials_announces_itself_and_serves() {
    let mut desk = Desk::open().await;
    let agent = start(&desk.url("/usp/key"), MemoryStorage::new(), false).await;
    let mut talk = desk.accept().await;
    assert_eq!(talk.path, "/usp/key");
    talk.connected().await;
    let notify = talk
        .notified(|n| matches!(n, Notification::OnBoardReq(_)))
        .await;
    assert_eq!(notify.subscription_id, "");
    assert!(notify.send_resp);
    assert_eq!(talk.value("Device.LocalAgent.EndpointID").await, AGENT);
    subscribe(&mut talk, "vc", "ValueChange", CODE, false).await;
    talk.ask(usp::msg::set_values([(CODE, "hello")])).await;
    let notify = talk
        .notified(|n| matches!(n, Notification::ValueChange(_)))
        .await;
    assert_eq!(notify.subscription_id, "vc");

    // Stopping takes leave (R-MTP.7).
    agent.stop.cancel();
    let leave = loop {
        match talk.event().await {
            Some(Event::Disconnected { reason, .. }) => break reason,
            Some(_) => {}
            None => panic!("no DisconnectRecord"),
        }
    };
    assert!(!leave.is_empty());
    assert!(talk.event().await.is_none());
    agent.stop().await;
}

/// `E2ESession.`: requiring session contexts, resetting and forbidding them, by the data model alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_contexts_are_used_as_the_data_model_says() {
    const SESSION: &str = "Device.LocalAgent.Controller.1.E2ESession.";
    let session = |name: &str| format!("{SESSION}{name}");
    let mut desk = Desk::open().await;
    let agent = start(&desk.url("/usp/key"), MemoryStorage::new(), false).await;
    let mut talk = desk.accept().await;
    talk.connected().await;
    assert_eq!(talk.value(&session("SessionMode")).await, "Allow");
    assert_eq!(talk.value(&session("Status")).await, "Down");
    let mode = session("SessionMode");
    let size = session("MaxUSPRecordSize");
    talk.ask(usp::msg::set_values([(&*mode, "Require"), (&*size, "512")]))
        .await;
    let mut talk = desk.accept().await;
    talk.connected().await;
    assert_eq!(talk.value(&session("Status")).await, "Up");
    assert_eq!(talk.session.context_status(), usp::context::Status::Up);
    assert_eq!(talk.value(&session("CurrentRetryCount")).await, "0");
    let opened = |event: &Event| {
        matches!(
            event,
            Event::Context(usp::context::Event::Opened { by_us: false, .. })
        )
    };
    while !opened(&talk.event().await.expect("the connection lasts")) {}
    let reset = usp::msg::operate(session("Reset()"), "r", usp::Map::default());
    talk.ask(reset).await;
    while !opened(&talk.event().await.expect("the connection lasts")) {}
    assert_eq!(talk.value(&session("Status")).await, "Up");
    talk.ask(usp::msg::set_values([(&*mode, "Forbid")])).await;
    let mut talk = desk.accept().await;
    talk.connected().await;
    assert_eq!(talk.value(&session("Status")).await, "Down");
    // What it cannot do it does not promise.
    let refused = usp::msg::set_values([(&*session("PayloadSecurity"), "TLS")]);
    assert!(talk.try_ask(refused).await.unwrap().is_err());
    agent.stop().await;
}

/// TP-469 1.65
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_wants_no_answer_gets_none_and_completes_all_the_same() {
    let mut desk = Desk::open().await;
    let agent = start(&desk.url("/usp/key"), MemoryStorage::new(), false).await;
    let mut talk = desk.accept().await;
    talk.connected().await;
    let timer = "Device.ScheduleTimer()";
    subscribe(&mut talk, "oc", "OperationComplete", timer, false).await;
    let quiet = usp::proto::msg::Operate {
        send_resp: false,
        ..usp::msg::operate(
            timer,
            "quiet",
            [("DelaySeconds", "1")].into_iter().collect::<usp::Map>(),
        )
    };
    let asked = talk
        .session
        .request(Instant::now(), quiet, PATIENCE)
        .unwrap();
    loop {
        match talk.event().await.expect("the connection lasts") {
            Event::Answered { id, result } if id == asked => panic!("answered: {result:?}"),
            Event::Notified { notify, .. } => match notify.notification {
                Notification::OperComplete(complete) => {
                    assert_eq!(complete.command_key, "quiet");
                    break;
                }
                _ => continue,
            },
            _ => {}
        }
    }
    agent.stop().await;
}

/// The controller swaps the credential: answered on the old connection, kept before that, dialled at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn setting_the_path_is_answered_and_then_dialled() {
    let mut desk = Desk::open().await;
    let agent = start(&desk.url("/usp/hes_setup"), MemoryStorage::new(), false).await;
    let mut talk = desk.accept().await;
    talk.connected().await;
    let path = "Device.LocalAgent.Controller.1.MTP.1.WebSocket.Path";
    assert!(matches!(
        talk.ask(usp::msg::set_values([(path, "/usp/hed_token")]))
            .await,
        Response::SetResp(_)
    ));
    drop(talk);
    let mut talk = desk.accept().await;
    assert_eq!(talk.path, "/usp/hed_token");
    talk.connected().await;
    assert_eq!(talk.value(path).await, "/usp/hed_token");
    drop(talk);
    let flash = agent.stop().await;
    // And after the next start, whatever the configuration file still says.
    let agent = start(&desk.url("/usp/hes_setup"), flash, false).await;
    assert_eq!(desk.accept().await.path, "/usp/hed_token");
    agent.stop().await;
}

/// R-NOT.1, R-WS.19: an unanswered notification comes again on the next connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_is_repeated_on_the_next_connection() {
    let mut desk = Desk::open().await;
    let agent = start(&desk.url("/usp/key"), MemoryStorage::new(), false).await;
    let mut talk = desk.accept().await;
    talk.connected().await;
    subscribe(&mut talk, "vc", "ValueChange", CODE, true).await;
    talk.acknowledge = false;
    talk.ask(usp::msg::set_values([(CODE, "important")])).await;
    let first = talk
        .notified(|n| matches!(n, Notification::ValueChange(_)))
        .await;
    talk.hang_up().await;
    let mut talk = desk.accept().await;
    talk.connected().await;
    let second = talk
        .notified(|n| matches!(n, Notification::ValueChange(_)))
        .await;
    assert_eq!(first.notification, second.notification);
    drop(talk);
    agent.stop().await;
}

/// TP-469 1.61, 7.1, 9.10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reboot_is_answered_disconnects_and_comes_back_with_boot() {
    let mut desk = Desk::open().await;
    let agent = start(&desk.url("/usp/key"), MemoryStorage::new(), false).await;
    let mut talk = desk.accept().await;
    talk.connected().await;
    subscribe(&mut talk, "boot", "Event", "Device.Boot!", true).await;
    let answer = talk
        .ask(usp::msg::operate(
            "Device.Reboot()",
            "why",
            usp::Map::default(),
        ))
        .await;
    assert!(matches!(answer, Response::OperateResp(_)));
    let mut left = false;
    while let Some(event) = talk.event().await {
        left |= matches!(event, Event::Disconnected { .. });
    }
    assert!(left, "a DisconnectRecord precedes the reboot");
    let mut talk = desk.accept().await;
    talk.connected().await;
    let notify = talk.notified(|n| matches!(n, Notification::Event(_))).await;
    let Notification::Event(event) = notify.notification else {
        panic!()
    };
    assert_eq!(event.params.get("Cause"), Some("RemoteReboot"));
    assert_eq!(event.params.get("CommandKey"), Some("why"));
    drop(talk);
    agent.stop().await;
}

/// `CLOSING_TIME_MAX`: the farewell is answered by nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_stops_does_not_wait_long_for_a_silent_controller() {
    let mut desk = Desk::open().await;
    let agent = start(&desk.url("/usp/key"), MemoryStorage::new(), false).await;
    let mut talk = desk.accept().await;
    talk.connected().await;
    let before = std::time::Instant::now();
    agent.stop().await;
    let took = before.elapsed();
    let [ours, theirs] = [agent::limits::CLOSING_TIME_MAX, mtp::limits::CLOSE_TIME_MAX];
    assert!(took >= ours && took < ours + theirs, "{took:?}");
    drop(talk);
}

async fn dial_agent(
    at: SocketAddr,
    as_whom: &str,
    path: &str,
) -> Result<mtp::ws::Link, mtp::ws::DialError> {
    dial(&DialConfig::new(format!("ws://{at}{path}"), id(as_whom))).await
}

/// R-WS.4, R-WS.6; TP-469 7.2: an agent listens, lets only its controllers in, and the newer session replaces the older.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_listens_for_its_controllers() {
    let agent = start("", MemoryStorage::new(), true).await;
    let at = agent.listening.unwrap();
    assert!(dial_agent(at, "self::stranger", "/agent").await.is_err());
    assert!(dial_agent(at, CONTROLLER, "/elsewhere").await.is_err());
    let mut first = Talk::new(
        dial_agent(at, CONTROLLER, "/agent").await.unwrap(),
        id(AGENT),
        String::new(),
        1,
    );
    first.connected().await;
    assert_eq!(first.value("Device.LocalAgent.MTP.1.Status").await, "Up");
    let mut second = Talk::new(
        dial_agent(at, CONTROLLER, "/agent").await.unwrap(),
        id(AGENT),
        String::new(),
        2,
    );
    second.connected().await;
    while first.event().await.is_some() {}
    assert_eq!(second.value("Device.LocalAgent.EndpointID").await, AGENT);
    agent.stop().await;
}

/// R-WS.16, TP-469 7.6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_closes_the_connection_with_1003_and_the_agent_comes_back() {
    let mut desk = Desk::open().await;
    let agent = start(&desk.url("/usp/key"), MemoryStorage::new(), false).await;
    let mut talk = desk.accept().await;
    talk.connected().await;
    talk.link.send(vec![0xff, 0xff, 0xff]).await.unwrap();
    let closed = loop {
        match tokio::time::timeout(PATIENCE, talk.link.recv())
            .await
            .unwrap()
            .unwrap()
        {
            Incoming::Closed(closed) => break closed,
            Incoming::Record(_) => {}
        }
    };
    assert_eq!(closed.code.map(|code| code.as_u16()), Some(1003));
    desk.accept().await.connected().await;
    agent.stop().await;
}

/// TP-469 9.9: a controller that is added is dialled and gets an OnBoardRequest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_added_controller_is_dialled_and_onboarded() {
    use usp::msg::required;
    use usp::proto::msg::{Add, CreateObject};
    let mut desk = Desk::open().await;
    let agent = start(&desk.url("/usp/key"), MemoryStorage::new(), false).await;
    let mut talk = desk.accept().await;
    talk.connected().await;
    let mut add = async |table: &str, settings: Vec<usp::proto::msg::ParamSetting>| {
        let object = CreateObject {
            obj_path: table.into(),
            param_settings: settings,
        };
        let answer = talk
            .ask(Add {
                allow_partial: false,
                create_objs: vec![object],
            })
            .await;
        assert!(matches!(answer, Response::AddResp(_)));
    };
    let url = desk.url("/second");
    let (host, port) = url
        .strip_prefix("ws://")
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .split_once(':')
        .unwrap();
    add(
        "Device.LocalAgent.Controller.",
        vec![
            required("EndpointID", "self::desk2"),
            required("Enable", "true"),
        ],
    )
    .await;
    let mtp = vec![
        required("Protocol", "WebSocket"),
        required("WebSocket.Host", host),
        required("WebSocket.Port", port),
        required("WebSocket.Path", "/second"),
        required("WebSocket.EnableEncryption", "false"),
        required("Enable", "true"),
    ];
    add("Device.LocalAgent.Controller.2.MTP.", mtp).await;
    let mut second = desk.accept().await;
    assert_eq!(second.path, "/second");
    // This desk is another endpoint now; only the record's first bytes matter here.
    let Ok(Incoming::Record(first)) = tokio::time::timeout(PATIENCE, second.link.recv())
        .await
        .unwrap()
    else {
        panic!()
    };
    let record = usp::codec::decode_record(&first).unwrap();
    assert_eq!(
        (record.to_id.as_str(), record.record_type.is_connect()),
        ("self::desk2", true)
    );
    agent.stop().await;
}

/// N agents run in one process, each in its own task.
#[test]
fn running_an_agent_is_a_future_that_can_be_spawned() {
    fn spawnable<T: Send + 'static>(_: &T) {}
    let model = agent::model(&["Device.DeviceInfo.!only"]).unwrap();
    let stop = CancellationToken::new();
    spawnable(&run(
        AgentConfig::default(),
        Box::new(Box1(model)),
        RunOptions::default(),
        stop,
    ));
}
