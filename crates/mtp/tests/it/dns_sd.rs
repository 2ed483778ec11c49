//! Multicast DNS over real sockets: on loopback, on a port that is nobody's.

use std::net::Ipv4Addr;
use std::time::Duration;

use mtp::discovery::dns_sd::{Config, Found, Heard, Kind, Running, Service, start};
use usp::EndpointId;

use crate::rabbitmq::ports;

const PATIENCE: Duration = Duration::from_secs(60);

fn config(id: &str, services: Vec<Service>, browse: Vec<Kind>, port: u16) -> Config {
    Config {
        networks: vec![Ipv4Addr::LOCALHOST],
        port,
        ..Config::new(id.parse().unwrap(), services, browse)
    }
}

/// What is heard, once it is what is awaited.
async fn until(running: &Running, mut is_it: impl FnMut(&Heard) -> bool) -> Heard {
    let mut heard = running.heard();
    let heard = tokio::time::timeout(PATIENCE, heard.wait_for(|heard| is_it(heard)));
    heard.await.expect("in time").expect("it runs").clone()
}

async fn found(running: &Running) -> Found {
    let heard = until(running, |heard| heard.found().next().is_some()).await;
    heard.found().next().unwrap().1.clone()
}

/// A port of UDP that nobody has.
fn free_port() -> u16 {
    let [port] = ports::free_ports().unwrap();
    port
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
    let agent = start(agent).unwrap();
    let controller = config("self::c", vec![has(ctr, 2222)], Kind::AGENTS.to_vec(), port);
    let controller = start(controller).unwrap();
    let one = found(&controller).await;
    assert_eq!(one.endpoint_id.as_str(), "os::00256D-1");
    assert_eq!(one.url().unwrap(), "ws://127.0.0.1:1111/usp");
    let one = found(&agent).await;
    assert_eq!(one.url().unwrap(), "ws://127.0.0.1:2222/usp");
    // Where it is spoken is said, too.
    let heard = agent.heard().borrow().clone();
    let [network] = &heard.networks.values().collect::<Vec<_>>()[..] else {
        panic!("{heard:?}");
    };
    assert_eq!(network.addresses[0], Ipv4Addr::LOCALHOST, "{heard:?}");
    assert_eq!((&network.trouble, &heard.missing[..]), (&None, &[][..]));
    agent.close().await;
    until(&controller, |heard| heard.found().next().is_none()).await;
}

/// A table of what is there, and no news of it: who looks late has missed nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_looks_after_many_changes_sees_what_is_there_now() {
    let port = free_port();
    let service = |port: u16| Service {
        kind: Kind::AgentWebSocket,
        port,
        path: "/usp".into(),
        name: None,
        encrypt: false,
    };
    let controller = config("self::c", Vec::new(), Kind::AGENTS.to_vec(), port);
    let controller = start(controller).unwrap();
    let mut agents = Vec::new();
    for n in 1..=20 {
        let id = format!("os::00256D-{n}");
        agents.push(start(config(&id, vec![service(n)], Vec::new(), port)).unwrap());
    }
    until(&controller, |heard| heard.found().count() == 20).await;
    let stays = agents.pop().unwrap();
    while !agents.is_empty() {
        // A few at a time: each says goodbye once, and what a full socket drops nobody hears.
        for agent in agents.split_off(agents.len().saturating_sub(5)) {
            agent.close().await;
        }
        let left = agents.len() + 1;
        until(&controller, |heard| heard.found().count() == left).await;
    }
    let heard = controller.heard().borrow().clone();
    let id: EndpointId = "os::00256D-20".parse().unwrap();
    assert_eq!(heard.found().next().unwrap().1.endpoint_id, id);
    stays.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_this_host_does_not_have_is_named() {
    let nowhere = Ipv4Addr::new(203, 0, 113, 77);
    let running = start(Config {
        networks: vec![nowhere],
        ..config("self::c", Vec::new(), Kind::AGENTS.to_vec(), free_port())
    })
    .unwrap();
    let heard = until(&running, |heard| !heard.missing.is_empty()).await;
    assert_eq!((heard.missing, heard.networks.len()), (vec![nowhere], 0));
}
