//! A broker that lets `acme/...` in with the password `good`, and clients that write packets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::{Accepted, Admission, Admitted, Hello, Listener, ListenerConfig, Topics};
use bytes::Bytes;
use mtp::mqtt::{Connect, LinkError, Packet, Pipe, Properties, Publish, Version};
use mtp::stream::Stream;
use mtp::ws::{Refusal, RefusalReason, Refused};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

pub const EID: &str = "os::012345-A";
pub const AGENT: &str = "usp/acme/agent/os::012345-A";
pub const CONTROLLER: &str = "usp/acme/controller/os::012345-A";

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

struct Door;

impl Admission for Door {
    type Ticket = ();

    async fn admit(&self, hello: &Hello) -> Result<Admitted<()>, Refusal> {
        if hello.password != Bytes::from_static(b"good") || hello.login.tenant != "acme" {
            return Err(Refusal::new(RefusalReason::UnknownCredential, "no"));
        }
        let endpoint = hello.eid.clone();
        let endpoint =
            endpoint.ok_or_else(|| Refusal::new(RefusalReason::EndpointIdMissing, "who?"))?;
        Ok(Admitted {
            tenant: hello.login.tenant.clone(),
            endpoint,
            ticket: (),
        })
    }
}

/// A running broker.
pub struct Broker {
    pub addr: SocketAddr,
    pub accepted: mpsc::Receiver<Accepted<()>>,
    pub refused: Arc<Mutex<Vec<Refused>>>,
}

impl Broker {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut ListenerConfig)) -> Self {
        let mut config = ListenerConfig::new(([127, 0, 0, 1], 0).into(), Topics::default());
        change(&mut config);
        let refused = Arc::new(Mutex::new(Vec::new()));
        let told = refused.clone();
        let sink = Arc::new(move |one: Refused| told.lock().unwrap().push(one));
        let mut listener = Listener::bind(config, Arc::new(Door), sink).await.unwrap();
        let addr = listener.local_addr();
        let (out, accepted) = mpsc::channel(100);
        tokio::spawn(async move {
            loop {
                if out.send(listener.accept().await).await.is_err() {
                    return;
                }
            }
        });
        Self {
            addr,
            accepted,
            refused,
        }
    }

    /// The broker's end of the next client.
    pub async fn link(&mut self) -> broker::Link {
        let accepted = tokio::time::timeout(PATIENCE, self.accepted.recv()).await;
        accepted.expect("nobody was let in").unwrap().link
    }

    /// Waits until somebody was turned away for this reason.
    pub async fn turned_away(&self, reason: &str) -> Refused {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self.refused.lock().unwrap().iter().cloned().next_back();
            match found {
                Some(refused) => {
                    assert_eq!(refused.refusal.reason.name(), reason, "{refused:?}");
                    return refused;
                }
                None => assert!(tokio::time::Instant::now() < end, "nobody: {reason}"),
            }
            tokio::task::yield_now().await;
        }
    }

    pub async fn pipe(&self, version: Version) -> Pipe {
        let tcp = TcpStream::connect(self.addr).await.unwrap();
        Pipe::new(Stream::Plain(tcp), version, 64 * 1024)
    }

    /// A client that was let in, and the broker's end of it.
    pub async fn client(&mut self, version: Version) -> (Pipe, broker::Link) {
        let mut pipe = self.pipe(version).await;
        write(&mut pipe, connect(version)).await;
        let Packet::ConnAck(ack) = read(&mut pipe).await else {
            panic!("no CONNACK");
        };
        assert_eq!(ack.code, 0);
        let link = self.link().await;
        (pipe, link)
    }
}

/// A CONNECT that is let in.
pub fn connect(version: Version) -> Packet {
    Packet::Connect(Box::new(Connect {
        version,
        clean: true,
        keep_alive: 60,
        properties: Properties::default(),
        client_id: EID.into(),
        username: Some("acme/setup".into()),
        password: Some(Bytes::from_static(b"good")),
    }))
}

pub fn publish(topic: &str, qos: u8, properties: Properties) -> Packet {
    Packet::Publish(Publish {
        qos,
        topic: topic.into(),
        id: u16::from(qos > 0) * 7,
        properties,
        payload: Bytes::from_static(b"record"),
        ..Publish::default()
    })
}

pub async fn write(pipe: &mut Pipe, packet: Packet) {
    pipe.enqueue(&packet);
    pipe.flush().await.unwrap();
}

pub async fn read(pipe: &mut Pipe) -> Packet {
    tried(pipe).await.unwrap()
}

pub async fn tried(pipe: &mut Pipe) -> Result<Packet, LinkError> {
    let packet = tokio::time::timeout(PATIENCE, pipe.packet()).await;
    packet.expect("nothing came")
}

/// What the broker's end hears, beside subscriptions that are made.
pub async fn heard(link: &mut broker::Link) -> Result<broker::Incoming, LinkError> {
    loop {
        let heard = tokio::time::timeout(PATIENCE, link.recv()).await;
        match heard.expect("nothing was heard") {
            Ok(broker::Incoming::Subscribed) => {}
            heard => return heard,
        }
    }
}

/// Lets the broker's end work until the client has its packet.
pub async fn answered(pipe: &mut Pipe, link: &mut broker::Link) -> Packet {
    tokio::select! {
        packet = read(pipe) => packet,
        heard = heard(link) => panic!("heard {heard:?}"),
    }
}
