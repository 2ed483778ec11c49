//! Multicast DNS over real sockets: on loopback, on a port that is nobody's.

use std::net::Ipv4Addr;
use std::time::Duration;

use mtp::discovery::dns_sd::{Config, Event, Kind, Running, Service, start};

const PATIENCE: Duration = Duration::from_secs(20);

fn config(id: &str, services: Vec<Service>, browse: Vec<Kind>, port: u16) -> Config {
    Config {
        networks: vec![Ipv4Addr::LOCALHOST],
        port,
        ..Config::new(id.parse().unwrap(), services, browse)
    }
}

async fn next(running: &mut Running) -> Event {
    let next = tokio::time::timeout(PATIENCE, running.next());
    next.await.expect("an event").expect("it runs")
}

/// A port of UDP that nobody has.
fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// R-DIS.3, R-DIS.4
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_and_a_controller_find_each_other_over_multicast() {
    let port = free_port();
    let has = |kind: Kind, port: u16| Service {
        kind,
        port,
        path: "/usp".into(),
        name: None,
        encrypt: false,
    };
    let (ws, ctr) = (Kind::AgentWebSocket, Kind::ControllerWebSocket);
    let agent = config("os::00256D-1", vec![has(ws, 1111)], vec![ctr], port);
    let mut agent = start(agent).unwrap();
    let controller = config("self::c", vec![has(ctr, 2222)], Kind::AGENTS.to_vec(), port);
    let mut controller = start(controller).unwrap();
    let Event::Found(found) = next(&mut controller).await else {
        panic!("nothing was found");
    };
    assert_eq!(found.endpoint_id.as_str(), "os::00256D-1");
    assert_eq!(found.url().unwrap(), "ws://127.0.0.1:1111/usp");
    let Event::Found(found) = next(&mut agent).await else {
        panic!("nothing was found");
    };
    assert_eq!(found.url().unwrap(), "ws://127.0.0.1:2222/usp");
    agent.close().await;
    let gone = Event::Gone(ws, "os::00256D-1".parse().unwrap());
    assert_eq!(next(&mut controller).await, gone);
}
