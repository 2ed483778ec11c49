//! An agent over STOMP, through a RabbitMQ that runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::{AgentConfig, ControllerConfig, MemoryStorage, RunOptions, StompConfig, run};
use bytes::Bytes;
use mtp::stomp::{DialConfig, Incoming, Link, dial};
use tokio_util::sync::CancellationToken;
use usp::controller::{Config, Event, Session, Transport};
use usp::proto::msg::{Request, Response};
use usp::proto::record::{RecordType, StompConnectRecord};

use crate::conversation::{AGENT, Box1};
use crate::desk::{CONTROLLER, PATIENCE, id};
use crate::rabbitmq::{RabbitMq, User};

const CONNECTION: &str = "Device.STOMP.Connection.1.";

const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A controller at the server.
struct Meeting {
    link: Link,
    session: Session,
    /// Where the agent is written to.
    to: String,
    /// Where the last record came to, and where it said that answers go.
    last: Option<Incoming>,
}

impl Meeting {
    async fn open(rabbit: &RabbitMq) -> Self {
        let mut config = DialConfig::new("127.0.0.1", rabbit.stomp, id(CONTROLLER), "");
        config.login = Some("headend".into());
        config.passcode = Some("secret".into());
        config.own_destination = Some("/topic/usp.*.controller.#".into());
        let over_stomp = Config {
            transport: Transport::Stomp,
            ..Config::default()
        };
        Self {
            link: dial(&config).await.unwrap(),
            session: Session::new(Arc::new(over_stomp), id(CONTROLLER), id(AGENT), 1),
            to: agent_topic("agent"),
            last: None,
        }
    }

    async fn event(&mut self) -> Event {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.session.poll_event() {
                if let Event::Notified { token, .. } = &event {
                    self.session.acknowledge(*token).unwrap();
                }
                return event;
            }
            while let Some(record) = self.session.poll_transmit() {
                let ours = agent_topic("controller");
                self.link.send_as(record, &self.to, &ours).await.unwrap();
            }
            let due = self.session.poll_timeout();
            let due = due.map(tokio::time::Instant::from_std);
            let until = due.map_or(deadline, |due| due.min(deadline));
            match tokio::time::timeout_at(until, self.link.recv()).await {
                Ok(came) => {
                    let came = came.unwrap();
                    let taken = self.session.handle_input(Instant::now(), &came.record);
                    taken.unwrap();
                    self.last = Some(came);
                }
                Err(_) => {
                    assert!(until < deadline, "nothing happens");
                    self.session.handle_timeout(Instant::now());
                }
            }
        }
    }

    /// Asks until there is an answer: where nobody listens yet, what is sent is lost.
    async fn ask(&mut self, request: impl Into<Request>) -> Response {
        let request = request.into();
        let mut asked = Vec::new();
        for _ in 0..PATIENCE.as_secs() {
            let now = Instant::now();
            let wanted = self.session.request(now, request.clone(), AGAIN_AFTER);
            asked.push(wanted.unwrap());
            loop {
                match self.event().await {
                    Event::Answered { id, result } if asked.contains(&id) => {
                        return result.unwrap();
                    }
                    Event::TimedOut { id, .. } if asked.last() == Some(&id) => break,
                    _ => {}
                }
            }
        }
        panic!("no answer comes");
    }

    async fn value(&mut self, path: &str) -> String {
        match self.ask(usp::msg::get([path])).await {
            Response::GetResp(resp) => {
                let objects = &resp.req_path_results[0].resolved_path_results;
                objects[0].result_params.iter().next().unwrap().1.to_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    /// The record with which the agent announces itself.
    async fn connected(&mut self) -> StompConnectRecord {
        loop {
            if let Event::Connected { record, .. } = self.event().await {
                match record {
                    Some(RecordType::StompConnect(record)) => return record,
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    async fn left(&mut self) {
        while !matches!(self.event().await, Event::Disconnected { .. }) {}
    }
}

fn agent_topic(whose: &str) -> String {
    format!("/topic/usp.acme.{whose}.{AGENT}")
}

fn users() -> [User<'static>; 3] {
    let write = "^usp\\.acme\\.controller\\.os::00256D-S1$";
    let read = "^usp\\.acme\\.agent\\.os::00256D-S1(\\.other)?$";
    [
        User::all("headend", "secret"),
        User::topics("acme/setup", "key", write, read),
        User::topics("acme/1", "own", write, read),
    ]
}

/// TP-469 6.6, 6.9, 6.10, 6.12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_managed_through_a_rabbitmq() {
    let rabbit = RabbitMq::start(&users(), None, "").unwrap();
    let mut meeting = Meeting::open(&rabbit).await;
    let config = AgentConfig {
        endpoint_id: AGENT.into(),
        controllers: vec![ControllerConfig {
            endpoint_id: CONTROLLER.into(),
            url: format!("stomp://127.0.0.1:{}", rabbit.stomp),
            retry_min_wait: 1,
            keep_alive: 1,
            stomp: Some(StompConfig {
                username: "acme/setup".into(),
                password: "key".into(),
                ..StompConfig::default()
            }),
            ..ControllerConfig::default()
        }],
        ..AgentConfig::default()
    };
    let model = agent::model(&["Device.DeviceInfo.!only"]).unwrap();
    let stop = CancellationToken::new();
    let options = RunOptions {
        storage: Box::new(MemoryStorage::new()),
        seed: 7,
        ..RunOptions::default()
    };
    let task = tokio::spawn(run(config, Box::new(Box1(model)), options, stop.clone()));

    // R-STOMP.15, R-STOMP.21
    let announced = meeting.connected().await;
    assert_eq!(announced.subscribed_destination, agent_topic("agent"));
    let path = format!("{CONNECTION}Status");
    assert_eq!(meeting.value(&path).await, "Enabled");
    let last = meeting.last.take().unwrap();
    assert_eq!(last.destination, agent_topic("controller"));
    assert_eq!(last.reply, Some(agent_topic("agent")));

    // What is no record is dropped.
    let garbage = Bytes::from_static(b"\xff\xff no record");
    let (to, reply) = (agent_topic("agent"), agent_topic("controller"));
    meeting.link.send_as(garbage, &to, &reply).await.unwrap();
    assert_eq!(meeting.value(&path).await, "Enabled");

    // R-STOMP.29: the connection stays, and what is sent there arrives.
    let mtp = "Device.LocalAgent.MTP.1.";
    assert_eq!(meeting.value(&format!("{mtp}Protocol")).await, "STOMP");
    let changed = meeting.value(&format!("{CONNECTION}LastChangeDate")).await;
    let other = format!("{}.other", agent_topic("agent"));
    let destination = format!("{mtp}STOMP.Destination");
    let answer = meeting.ask(usp::msg::set_values([(&destination, &*other)]));
    assert!(matches!(answer.await, Response::SetResp(_)));
    // Whoever has not made the change learns of it.
    let announced = meeting.connected().await;
    assert_eq!(announced.subscribed_destination, other);
    meeting.to = announced.subscribed_destination;
    assert_eq!(meeting.value(&destination).await, other);
    assert_eq!(meeting.last.take().unwrap().reply, Some(other));
    let path = format!("{CONNECTION}LastChangeDate");
    assert_eq!(meeting.value(&path).await, changed);

    // Another credential: it takes its leave and comes with that.
    let set = usp::msg::set_values([
        (format!("{CONNECTION}Username"), "acme/1"),
        (format!("{CONNECTION}Password"), "own"),
    ]);
    assert!(matches!(meeting.ask(set).await, Response::SetResp(_)));
    meeting.left().await;
    meeting.connected().await;
    let name = format!("{CONNECTION}Username");
    assert_eq!(meeting.value(&name).await, "acme/1");

    stop.cancel();
    meeting.left().await;
    task.await.unwrap().unwrap();
}
