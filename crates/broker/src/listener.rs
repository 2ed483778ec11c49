//! Listening for MQTT clients, on the socket itself or inside of WebSockets: CONNECT behind the accept
//! loop of all protocols.

use std::{io, net::SocketAddr, sync::Arc};

use mtp::{
    limits::RECORD_BYTES_MAX,
    listen::{Acceptor, Below, Protocol, Socket},
    mqtt::SUBPROTOCOL,
    stream::Stream,
    ws::{self, Refusal, Refusals, Seat},
};
use tokio::net::TcpStream;
use usp::EndpointId;

use crate::{Admission, Hello, Link, Topics, connect, connect::Limits, limits::KEEP_ALIVE_MAX};

/// Where and how to listen.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// The socket and its limits.
    pub socket: Socket,
    /// MQTT inside of WebSockets, whatever their path.
    pub websocket: bool,
    /// The layout of topics.
    pub topics: Topics,
    /// The largest Record accepted.
    pub record_bytes_max: usize,
    /// The longest keep-alive that clients of MQTT 5 may have, in seconds; those of 3.1.1 have their own.
    pub keep_alive_max: u16,
}

impl ListenerConfig {
    /// Plaintext on `addr`, default limits.
    pub fn new(addr: SocketAddr, topics: Topics) -> Self {
        Self {
            socket: Socket::new(addr),
            websocket: false,
            topics,
            record_bytes_max: RECORD_BYTES_MAX,
            keep_alive_max: KEEP_ALIVE_MAX,
        }
    }
}

/// A client that was let in.
#[derive(Debug)]
pub struct Accepted<T> {
    /// Its connection.
    pub link: Link,
    /// What it said of itself.
    pub hello: Hello,
    /// What the admission gave with it.
    pub ticket: T,
}

/// A bound listener. Dropping it frees the port and ends the handshakes under way; links that were
/// handed out live on.
pub struct Listener<A: Admission>(Acceptor<Clients<A>>);

/// MQTT, from the first byte.
struct Clients<A> {
    admission: Arc<A>,
    websocket: bool,
    limits: Limits,
}

impl<A: Admission> Listener<A> {
    /// Binds the address. Must be called within a tokio runtime.
    pub async fn bind(
        config: ListenerConfig,
        admission: Arc<A>,
        refusals: Arc<dyn Refusals>,
    ) -> io::Result<Self> {
        let clients = Clients {
            admission,
            websocket: config.websocket,
            limits: Limits {
                topics: config.topics,
                record_bytes_max: config.record_bytes_max,
                keep_alive_max: config.keep_alive_max,
            },
        };
        let acceptor = Acceptor::bind(config.socket, clients, refusals).await?;
        Ok(Self(acceptor))
    }

    /// The address it is bound to, with the port the operating system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }

    /// The next client that was let in. Cancel-safe. Nothing is accepted while nobody awaits this.
    pub async fn accept(&mut self) -> Accepted<A::Ticket> {
        self.0.accept().await
    }
}

impl<A: Admission> Protocol for Clients<A> {
    type Accepted = Accepted<A::Ticket>;

    const NAME: &'static str = "MQTT";

    async fn shake(
        &self,
        stream: Stream,
        below: Below,
        mut seat: Seat,
        claimed: &mut Option<EndpointId>,
    ) -> Result<Accepted<A::Ticket>, Refusal> {
        let stream = match self.websocket {
            true => ws::tunnel(stream, SUBPROTOCOL).await?,
            false => stream,
        };
        let (admission, limits) = (self.admission.as_ref(), &self.limits);
        let connected = connect::connect(stream, below, admission, limits, claimed).await?;
        seat.established();
        let (link, hello, ticket) = Link::new(connected, seat);
        Ok(Accepted {
            link,
            hello,
            ticket,
        })
    }

    fn no_room(&self, tcp: &TcpStream, refusal: &Refusal) {
        if self.websocket {
            ws::no_room(tcp, refusal);
        }
    }
}
