//! Waking devices.

use crate::acs::{Acs, knock, knock_as, until};
use cwmp::event::EventCode;
use cwmp::reach::http::Outcome;
use cwmp::reach::stun::{Message, answer, is_signed, unauthorized};
use cwmp::reach::udp::UdpRequest;
use cwmp::rpc::*;
use cwmp::value::Value;
use sim::cwmp::{Fleet, Kind};
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UdpSocket;

#[tokio::test]
async fn one_listener_wakes_the_device_that_is_meant_and_no_other() {
    let acs = Acs::start(None).await;
    let fleet = Fleet::start(acs.fleet(Kind::Tr181, 3)).await.unwrap();
    let complete = || {
        let visits = acs.visits();
        (visits.iter().filter(|visit| visit.complete).count() == 3).then_some(visits)
    };
    let visits = until("three devices", complete).await;
    acs.forget_visits();
    assert_eq!(knock(&visits[1]).await, Outcome::Accepted);
    let woken = acs.visit("the device", |visit| visit.complete).await;
    assert_eq!(woken.inform.device_id, visits[1].inform.device_id);
    assert_eq!(acs.visits().len(), 1);

    let url = visits[0].inform.ending("ConnectionRequestURL").unwrap();
    assert_eq!(knock_as(url, "acs", "guess").await, Outcome::Unauthorized);
    let nobody = format!("http://{}/nobody", fleet.listens());
    assert_eq!(knock_as(&nobody, "a", "b").await, Outcome::Status(404));
    // Down: the connection is closed without a word.
    fleet.power_cut(0, Duration::from_secs(3600));
    loop {
        match knock(&visits[0]).await {
            Outcome::Accepted => tokio::task::yield_now().await,
            other => break assert_eq!(other, Outcome::Dropped),
        }
    }
}

/// A STUN server that wants signatures, and who has asked it.
async fn stun_server() -> (Arc<UdpSocket>, Arc<Mutex<Vec<SocketAddr>>>) {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let seen = Arc::<Mutex<Vec<SocketAddr>>>::default();
    let (serving, noted) = (socket.clone(), seen.clone());
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (count, from) = serving.recv_from(&mut buffer).await.unwrap();
            let bytes = &buffer[..count];
            let request = Message::decode(bytes).unwrap();
            if !is_signed(bytes, "stun password") {
                let refused = unauthorized(&request).encode(None);
                serving.send_to(&refused, from).await.unwrap();
                continue;
            }
            assert_eq!(request.username(), Some("stun user"));
            let v4 = |address: SocketAddr| -> SocketAddrV4 { address.to_string().parse().unwrap() };
            let own = v4(serving.local_addr().unwrap());
            let (answer, to) = answer(&request, v4(from), own).unwrap();
            serving.send_to(&answer.encode(None), to).await.unwrap();
            noted.lock().unwrap().push(from);
        }
    });
    (socket, seen)
}

#[tokio::test]
async fn behind_a_nat_a_device_binds_tells_its_address_and_is_woken_over_udp() {
    let acs = Acs::start(None).await;
    let mut config = acs.fleet(Kind::Tr098, 1);
    config.provision.behind_nat = true;
    config.provision.inform_interval = 1;
    let (socket, _seen) = stun_server().await;
    let port = socket.local_addr().unwrap().port();
    let at = |name: &str| format!("InternetGatewayDevice.ManagementServer.{name}");
    let settings = [
        ("STUNEnable", Value::boolean(true)),
        ("STUNServerAddress", Value::string("127.0.0.1")),
        ("STUNServerPort", Value::unsigned(port.into())),
        ("STUNUsername", Value::string("stun user")),
        ("STUNPassword", Value::string("stun password")),
        ("ConnectionRequestUsername", Value::string("acs")),
        ("ConnectionRequestPassword", Value::string("knock")),
        ("PeriodicInformEnable", Value::boolean(false)),
    ];
    let parameters = settings
        .into_iter()
        .map(|(name, value)| ParameterValue::new(at(name), value));
    acs.ask(SetParameterValues {
        parameters: parameters.collect(),
        parameter_key: String::new(),
    });
    let _fleet = Fleet::start(config).await.unwrap();
    let told = acs
        .visit("the address", |visit| {
            visit.complete && visit.inform.ending("UDPConnectionRequestAddress").is_some()
        })
        .await;
    assert!(told.has(&EventCode::ValueChange));
    let url = told.inform.ending("ConnectionRequestURL").unwrap();
    assert!(url.starts_with("http://192.168."), "{url}");
    let address = told.inform.ending("UDPConnectionRequestAddress").unwrap();
    let address: SocketAddr = address.parse().unwrap();

    acs.forget_visits();
    let request = UdpRequest {
        timestamp: 1,
        id: 1,
        username: "acs".into(),
        cnonce: "c".into(),
    };
    // From elsewhere nothing gets through, and a wrong password wakes nobody.
    let elsewhere = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let datagram = request.datagram(address, "knock");
    elsewhere.send_to(&datagram, address).await.unwrap();
    let forged = request.datagram(address, "guess");
    socket.send_to(&forged, address).await.unwrap();
    for _ in 0..3 {
        socket.send_to(&datagram, address).await.unwrap();
    }
    let woken = acs.visit("the device", |visit| visit.complete).await;
    assert!(woken.has(&EventCode::ConnectionRequest));
    let later = UdpRequest {
        timestamp: 2,
        ..request
    };
    socket
        .send_to(&later.datagram(address, "knock"), address)
        .await
        .unwrap();
    until("the second", || (acs.visits().len() == 2).then_some(())).await;
}
