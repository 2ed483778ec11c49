//! What the data model says of a connection to an MQTT broker, read over another controller's WebSocket.

use std::sync::Arc;
use std::time::Instant;

use agent::{AgentConfig, ControllerConfig, MemoryStorage, MqttConfig, RunOptions, run};
use mtp::mqtt::{Packet, Pipe, Publish, Version};
use mtp::stream::Stream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use usp::ErrorCode;
use usp::controller::{Config, Session, Transport};

use crate::conversation::{AGENT, Box1};
use crate::desk::{CONTROLLER, Desk, PATIENCE, Talk, id};

const CLOUD: &str = "self::cloud";
const STATUS: &str = "Device.MQTT.Client.1.Status";

/// A broker that takes everything; the agent's first record with it.
async fn serve(listener: &TcpListener) -> (Pipe, Publish) {
    let (tcp, _) = listener.accept().await.unwrap();
    let mut pipe = Pipe::opening(Stream::Plain(tcp), 64 * 1024);
    loop {
        match pipe.packet().await.unwrap() {
            Packet::Connect(connect) => {
                pipe.admit(connect.version, 64 * 1024);
                pipe.enqueue(&Packet::ConnAck(Box::default()));
            }
            Packet::Subscribe(number, _) => pipe.enqueue(&Packet::SubAck(number, vec![1])),
            Packet::Publish(publish) => {
                pipe.enqueue(&Packet::PubAck(publish.id, 0));
                pipe.flush().await.unwrap();
                return (pipe, publish);
            }
            other => panic!("{other:?}"),
        }
        pipe.flush().await.unwrap();
    }
}

async fn until_it_says(talk: &mut Talk, status: &str) {
    let end = Instant::now() + PATIENCE;
    while talk.value(STATUS).await != status {
        assert!(Instant::now() < end, "it never says {status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_is_no_longer_there_is_no_longer_shown_as_connected() {
    for end in [End::Leave, End::Protocol, End::Disabled] {
        no_longer_shown(end).await;
    }
}

/// How it comes that it is not there.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Leave,
    Protocol,
    Disabled,
}

async fn no_longer_shown(end: End) {
    let mut desk = Desk::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = listener.local_addr().unwrap();
    let cloud = ControllerConfig {
        endpoint_id: CLOUD.into(),
        url: format!("mqtt://{broker}"),
        // It does not come back within the test.
        retry_min_wait: 600,
        mqtt: Some(MqttConfig {
            username: "acme/setup".into(),
            ..MqttConfig::default()
        }),
        ..ControllerConfig::default()
    };
    let config = AgentConfig {
        endpoint_id: AGENT.into(),
        controllers: vec![
            ControllerConfig {
                endpoint_id: CONTROLLER.into(),
                url: desk.url("/usp"),
                ..ControllerConfig::default()
            },
            cloud,
        ],
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
    let mut talk = desk.accept().await;
    talk.connected().await;
    let served = tokio::time::timeout(PATIENCE, serve(&listener)).await;
    let (mut pipe, announced) = served.unwrap();
    until_it_says(&mut talk, "Connected").await;
    let row = "Device.LocalAgent.Controller.2.";
    let set = |name: &str, value: &str| usp::msg::set_values([(format!("{row}{name}"), value)]);
    match end {
        End::Leave => leave(&mut pipe, &announced).await,
        End::Protocol => _ = talk.ask(set("MTP.1.Protocol", "WebSocket")).await,
        End::Disabled => _ = talk.ask(set("Enable", "false")).await,
    }
    until_it_says(&mut talk, "Connecting").await;
    stop.cancel();
    task.await.unwrap().unwrap();
}

/// The controller says goodbye.
async fn leave(pipe: &mut Pipe, announced: &Publish) {
    let over_mqtt = Config {
        transport: Transport::Mqtt,
        ..Config::default()
    };
    let mut session = Session::new(Arc::new(over_mqtt), id(CLOUD), id(AGENT), 1);
    session
        .handle_input(Instant::now(), &announced.payload)
        .unwrap();
    session.disconnect(ErrorCode(0), "the cloud moves");
    assert_eq!(pipe.version(), Version::V5);
    pipe.enqueue(&Packet::Publish(Publish {
        topic: format!("usp/acme/agent/{AGENT}"),
        payload: session.poll_transmit().unwrap(),
        ..Publish::default()
    }));
    pipe.flush().await.unwrap();
}
