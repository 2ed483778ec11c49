//! The STUN server, and connection requests through a NAT: one that keeps its port and lets in only
//! what was written to, address and port, as home routers do.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cwmp::reach::stun::{self, Attribute, Kind, Message};
use cwmp::reach::udp::UdpRequest;
use tokio::net::UdpSocket;

use super::super::super::reach::{
    CONNECTION_REQUEST, Reach, stun_device, stun_password, stun_username,
};
use super::super::testing::{Rig, limits, rig, settings, until};
use super::super::{Limits, Settings};

async fn bound() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A NAT with one device behind it: what it sends to `inside` leaves from `outside` to the server
/// that was asked for, and back comes only what was written to.
struct Nat {
    inside: SocketAddr,
    outside: SocketAddr,
    dropped: Arc<Mutex<u32>>,
}

async fn nat(server: SocketAddr) -> Nat {
    let (inner, inside) = bound().await;
    let (outer, outside) = bound().await;
    let dropped = Arc::<Mutex<u32>>::default();
    let drops = dropped.clone();
    tokio::spawn(async move {
        let (mut a, mut b) = ([0; 1500], [0; 1500]);
        let mut written = HashSet::new();
        let mut device = None;
        loop {
            tokio::select! {
                Ok((length, from)) = inner.recv_from(&mut a) => {
                    device = Some(from);
                    written.insert(server);
                    let _ = outer.send_to(&a[..length], server).await;
                }
                Ok((length, from)) = outer.recv_from(&mut b) => match device {
                    Some(device) if written.contains(&from) => {
                        let _ = inner.send_to(&b[..length], device).await;
                    }
                    _ => *drops.lock().unwrap() += 1,
                },
            }
        }
    });
    Nat {
        inside,
        outside,
        dropped,
    }
}

async fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 1500];
    let receiving = socket.recv(&mut buffer);
    let length = tokio::time::timeout(Duration::from_secs(20), receiving);
    let length = length.await.expect("a datagram").unwrap();
    buffer[..length].to_vec()
}

/// Asks the STUN server, and what it answers.
async fn binding(
    device: &UdpSocket,
    to: SocketAddr,
    attributes: Vec<Attribute>,
    password: Option<&str>,
) -> (Message, Vec<u8>) {
    let request = Message::request(rand::random(), attributes);
    let bytes = request.encode(password);
    device.send_to(&bytes, to).await.unwrap();
    let answer = received(device).await;
    let read = Message::decode(&answer).unwrap();
    assert_eq!(read.id, request.id);
    (read, answer)
}

async fn with_stun() -> (Rig, SocketAddr) {
    let settings = Settings {
        stun_listen: Some("127.0.0.1:0".parse().unwrap()),
        ..settings()
    };
    let limits = Limits {
        udp_come_time: Duration::from_secs(20),
        ..limits()
    };
    let rig = rig(settings, limits).await;
    let stun = rig.waker.stun().unwrap();
    (rig, stun)
}

fn known(rig: &Rig) -> Vec<Attribute> {
    vec![
        Attribute::ConnectionRequestBinding,
        Attribute::Username(stun_username(&rig.tenant, rig.device)),
    ]
}

#[tokio::test]
async fn anybody_may_ask_for_its_address_and_only_devices_are_remembered() {
    let (rig, stun) = with_stun().await;
    let (device, own) = bound().await;
    let (answer, _) = binding(&device, stun, vec![], None).await;
    assert_eq!(answer.kind, Kind::BindingResponse);
    assert_eq!(answer.mapped().map(SocketAddr::from), Some(own));
    let stranger = vec![Attribute::Username("somebody".into())];
    let (answer, _) = binding(&device, stun, stranger, None).await;
    assert_eq!(answer.kind, Kind::BindingResponse);
    assert_eq!(rig.waker.0.udp.bindings(), 0);
    // One that says it is a device has to show it.
    for password in [None, Some("wrong")] {
        let (answer, _) = binding(&device, stun, known(&rig), password).await;
        assert_eq!(answer.kind, Kind::BindingError);
        assert_eq!(
            answer.attributes,
            [Attribute::ErrorCode(401, "Unauthorized".into())]
        );
        assert_eq!(rig.waker.0.udp.bindings(), 0);
    }
    let password = stun_password(&rig.vault, &rig.tenant, rig.device);
    let (answer, bytes) = binding(&device, stun, known(&rig), Some(&password)).await;
    assert_eq!(answer.mapped().map(SocketAddr::from), Some(own));
    assert!(stun::is_signed(&bytes, &password), "so is the answer");
    assert_eq!(rig.waker.0.udp.seen(rig.device), Some(own));
    rig.waker.forget(rig.device);
    assert_eq!(rig.waker.0.udp.seen(rig.device), None);
}

#[tokio::test]
async fn a_probe_of_the_bindings_life_does_not_move_the_device() {
    let (rig, stun) = with_stun().await;
    let (device, own) = bound().await;
    let password = stun_password(&rig.vault, &rig.tenant, rig.device);
    binding(&device, stun, known(&rig), Some(&password)).await;
    let (probe, _) = bound().await;
    let mut attributes = known(&rig);
    let SocketAddr::V4(own_v4) = own else {
        panic!()
    };
    attributes.push(Attribute::ResponseAddress(own_v4));
    let request = Message::request([1; 16], attributes).encode(Some(&password));
    probe.send_to(&request, stun).await.unwrap();
    // The answer comes to the other port.
    let answer = Message::decode(&received(&device).await).unwrap();
    assert_eq!(answer.id, [1; 16]);
    assert_eq!(rig.waker.0.udp.seen(rig.device), Some(own));
}

#[tokio::test]
async fn what_is_no_stun_is_not_answered() {
    let (_rig, stun) = with_stun().await;
    let (device, own) = bound().await;
    for bytes in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 1472], &[1; 3000]] {
        device.send_to(bytes, stun).await.unwrap();
    }
    // The first answer is that to a good request.
    let (answer, _) = binding(&device, stun, vec![], None).await;
    assert_eq!(answer.mapped().map(SocketAddr::from), Some(own));
}

#[tokio::test]
async fn a_request_passes_the_nat_because_it_leaves_from_the_stun_servers_port() {
    let (rig, stun) = with_stun().await;
    let nat = nat(stun).await;
    let (device, _) = bound().await;
    let password = stun_password(&rig.vault, &rig.tenant, rig.device);
    let (answer, _) = binding(&device, nat.inside, known(&rig), Some(&password)).await;
    assert_eq!(answer.mapped().map(SocketAddr::from), Some(nat.outside));
    let reach = Reach {
        nat_detected: true,
        generation: Some(4),
        ..Reach::default()
    };
    reach
        .save(&rig.store, &rig.tenant, rig.device)
        .await
        .unwrap();
    assert!(rig.waker.wake(&rig.tenant, rig.device));
    let secret = rig
        .vault
        .device_password(CONNECTION_REQUEST, &rig.tenant, rig.device, 4);
    let user = rig.device.to_string();
    let mut last: Option<UdpRequest> = None;
    for copy in 0..3 {
        let request = UdpRequest::parse(&received(&device).await, &user, &secret);
        let request = request.expect("signed with the password of the device");
        assert_eq!(request.is_new(last.as_ref()), copy == 0);
        last = Some(request);
    }
    rig.waker.came(rig.device, true);
    let attempts = until("the attempt to have worked", async || {
        let attempts = rig.waker.attempts(&rig.tenant, rig.device);
        attempts
            .iter()
            .any(|one| one.words.contains("it came a"))
            .then_some(attempts)
    })
    .await;
    assert_eq!(
        (&*attempts[0].method, &*attempts[0].address, attempts[0].ok),
        ("udp", &*nat.outside.to_string(), true)
    );
    assert_eq!(*nat.dropped.lock().unwrap(), 0);
}

#[tokio::test]
async fn from_another_port_the_nat_keeps_it_out_and_the_attempt_says_so() {
    let (_stun, server) = bound().await;
    let nat = nat(server).await;
    let (device, _) = bound().await;
    device.send_to(b"keep alive", nat.inside).await.unwrap();
    let rig = rig(settings(), limits()).await;
    let reach = Reach {
        udp_address: Some(nat.outside.to_string()),
        ..Reach::default()
    };
    reach
        .save(&rig.store, &rig.tenant, rig.device)
        .await
        .unwrap();
    rig.waker.wake(&rig.tenant, rig.device);
    let words = until("the attempt to be over", async || {
        let attempts = rig.waker.attempts(&rig.tenant, rig.device);
        attempts
            .first()
            .map(|one| one.words.clone())
            .filter(|words| words.contains("did not come"))
    })
    .await;
    assert!(words.contains("cwmp.stun_listen"), "{words}");
    until("all copies to be dropped", async || {
        (*nat.dropped.lock().unwrap() == 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_device_cannot_make_us_write_where_it_likes() {
    let settings = Settings {
        networks: None,
        ..settings()
    };
    let rig = rig(settings, limits()).await;
    let (victim, address) = bound().await;
    let reach = Reach {
        udp_address: Some(address.to_string()),
        ..Reach::default()
    };
    reach
        .save(&rig.store, &rig.tenant, rig.device)
        .await
        .unwrap();
    rig.waker.wake(&rig.tenant, rig.device);
    let attempt = until("an attempt", async || {
        rig.waker
            .attempts(&rig.tenant, rig.device)
            .into_iter()
            .next()
    })
    .await;
    assert!(
        !attempt.ok && attempt.words.starts_with("nothing was sent:"),
        "{attempt:?}"
    );
    let mut buffer = [0; 10];
    assert!(victim.try_recv(&mut buffer).is_err());
    assert!(stun_device("x").is_none());
}
