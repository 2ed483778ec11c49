//! Peers that are no agents, or broken ones, over plain sockets against a running server: each is
//! bounded, closed with a clear reason, and named by the doctor with where it came from.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::puppet::{Puppet, plain};
use crate::rig::{PATIENCE, World, each, until};

const EID: &str = "os::00256D-P1";

/// A socket that says what it likes.
struct Raw(TcpStream);

impl Raw {
    async fn connect(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.unwrap())
    }

    /// An agent that came through the upgrade.
    async fn upgraded(world: &World) -> Self {
        let mut raw = Self::connect(world.usp).await;
        let path = format!("/usp/{}?eid={EID}", world.key);
        raw.send(upgrade(&path).as_bytes()).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(raw.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        raw
    }

    /// As far as the other end takes it.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Everything until the end.
    async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        let reading = self.0.read_to_end(&mut all);
        // A reset after the answer is an end, too.
        let _ = tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("it is not closed");
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Code and reason of the Close frame; then it hangs up.
    async fn closed(mut self) -> (u16, String) {
        let reading = async {
            loop {
                let [first, length] = [self.0.read_u8().await, self.0.read_u8().await];
                let size = match length.unwrap() {
                    126 => usize::from(self.0.read_u16().await.unwrap()),
                    127 => usize::try_from(self.0.read_u64().await.unwrap()).unwrap(),
                    short => usize::from(short),
                };
                let mut payload = vec![0; size];
                self.0.read_exact(&mut payload).await.unwrap();
                if first.unwrap() & 0x0F == 8 {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    return (code, String::from_utf8_lossy(&payload[2..]).into_owned());
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("it is not closed")
    }
}

fn upgrade(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: v1.usp\r\n\r\n"
    )
}

/// A masked frame of a client; the mask is zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ ..126 => out.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            out.push(0xFF);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
    out
}

/// A real agent is served while all that goes on.
async fn still_served(world: &World) {
    let other = "os::00256D-GOOD";
    let mut puppet = Puppet::dial(&world.url(&world.key), other, &world.own)
        .await
        .unwrap();
    let busy = tokio::spawn(async move { puppet.serve(plain).await });
    world.onboarded(other).await;
    busy.abort();
}

#[tokio::test]
async fn what_speaks_no_http_or_another_is_answered_and_named() {
    each(|world| async move {
        let huge = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000));
        let endless = format!("GET / HTTP/1.1\r\n{}", "X-More: 1\r\n".repeat(3_000));
        let browser = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned();
        let post = "POST /usp HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".to_owned();
        let garbage = "\u{1}\u{2}\u{3} nonsense\r\n\r\n".to_owned();
        let other = upgrade("/usp/x").replace("v1.usp", "mqtt");
        let broken = upgrade("/usp/x?eid=nonsense");
        for (text, status, reason) in [
            (huge, "431", "request-too-large"),
            (endless, "431", "request-too-large"),
            (browser, "426", "not-a-websocket-request"),
            (post, "426", "not-a-websocket-request"),
            (garbage, "400", "malformed-request"),
            (other, "400", "no-subprotocol"),
            (broken, "400", "bad-endpoint-id"),
        ] {
            let mut raw = Raw::connect(world.usp).await;
            raw.send(text.as_bytes()).await;
            let answer = raw.rest().await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{reason}: {answer}"
            );
            world.refused(reason).await;
        }
        // TLS to the listener without.
        let mut raw = Raw::connect(world.usp).await;
        raw.send(&[0x16, 3, 1, 0, 100, 1, 0, 0, 96]).await;
        assert_eq!(raw.rest().await, "");
        world.refused("tls-on-plaintext-listener").await;
        still_served(&world).await;
    })
    .await;
}

#[tokio::test]
async fn peers_that_open_a_connection_and_say_nothing_are_cut_off_and_hold_nobody_up() {
    for db in store::testing::databases().await.unwrap() {
        let world = World::with(db, |config, limits| {
            config.usp.tls_listen = Some("127.0.0.1:0".parse().unwrap());
            // Enough for those who mean it.
            limits.handshake_time_max = Duration::from_secs(4);
        })
        .await;
        let tls = world.usp_tls.unwrap();
        let mut all = Vec::new();
        for n in 0..60 {
            let mut raw = Raw::connect(if n % 3 == 0 { tls } else { world.usp }).await;
            match n % 3 {
                // A TLS handshake that never goes on.
                0 => drop(raw.send(&[0x16, 3, 1, 0, 200, 1]).await),
                1 => drop(raw.send(b"GET /usp/x HTTP/1.1\r\nHos").await),
                _ => {}
            }
            all.push(raw);
        }
        still_served(&world).await;
        for raw in &mut all {
            raw.rest().await;
        }
        world.refused("handshake-timeout").await;
    }
}

#[tokio::test]
async fn one_address_that_opens_handshakes_without_end_gets_only_so_many() {
    each(|world| async move {
        // Not the address that stands for a proxy on this machine.
        let connect = async || {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            Raw(socket.connect(world.usp).await.unwrap())
        };
        let mut held = Vec::new();
        for _ in 0..mtp::limits::HANDSHAKES_PER_ADDRESS_MAX {
            held.push(connect().await);
        }
        let mut late = connect().await;
        let answer = late.rest().await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        world.refused("too-many-handshakes").await;
        still_served(&world).await;
    })
    .await;
}

#[tokio::test]
async fn records_that_are_too_deep_too_long_or_endless_are_closed_with_the_limit() {
    each(|world| async move {
        // Groups in groups: what no schema has. R-WS.16
        let deep = vec![0x7B; 4_000];
        let mut raw = Raw::upgraded(&world).await;
        raw.send(&frame(0x82, &deep)).await;
        let (code, reason) = raw.closed().await;
        assert_eq!((code, reason.as_str()), (1003, "unparsable USP record"));
        world.refused("unparsable-record").await;

        // One frame that says it is larger than any record, and one that really is.
        let mut raw = Raw::upgraded(&world).await;
        let mut announced = vec![0x82, 0xFF];
        announced.extend((mtp::limits::RECORD_BYTES_MAX as u64 + 1).to_be_bytes());
        announced.extend([0; 4]);
        raw.send(&announced).await;
        let (code, reason) = raw.closed().await;
        assert_eq!(
            (code, reason.as_str()),
            (1009, "record larger than the limit")
        );
        world.refused("record-limit-exceeded").await;

        // Fragments without end.
        let mut raw = Raw::upgraded(&world).await;
        raw.send(&frame(0x02, b"x")).await;
        let more: Vec<u8> = frame(0x00, b"").repeat(1_000);
        for _ in 0..=mtp::limits::FRAGMENTS_MAX / 1_000 {
            raw.send(&more).await;
        }
        let (code, reason) = raw.closed().await;
        assert_eq!(
            (code, reason.as_str()),
            (1009, "record in more fragments than the limit")
        );

        // Text, and a frame that breaks WebSocket.
        let mut raw = Raw::upgraded(&world).await;
        raw.send(&frame(0x81, b"{}")).await;
        assert_eq!(raw.closed().await.0, 1003);
        let mut raw = Raw::upgraded(&world).await;
        raw.send(&frame(0xF2, b"x")).await;
        assert_eq!(raw.closed().await.0, 1002);

        // Each was counted by where it came from.
        until("all of them are counted", || async {
            let all = world
                .store
                .refusal_list(Some(&world.tenant), Default::default(), 100)
                .await
                .unwrap();
            let times = |reason: &str| {
                let mut named = all.iter().filter(|one| {
                    let last = &one.last;
                    last.reason == reason
                        && last.peer.starts_with("127.0.0.1")
                        && last.endpoint_id == EID
                });
                named.next().map_or(0, |one| one.times)
            };
            (times("record-limit-exceeded") == 2 && times("websocket-violation") == 2).then_some(())
        })
        .await;
        still_served(&world).await;
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_never_announces_itself_is_shown() {
    for db in store::testing::databases().await.unwrap() {
        let world = World::with(db, |_, limits| {
            limits.connect_record_time = Duration::from_millis(100);
        })
        .await;
        let _raw = Raw::upgraded(&world).await;
        world.refused("no-connect-record").await;
    }
}
