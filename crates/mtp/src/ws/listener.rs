//! Listening for WebSockets: the upgrade behind the accept loop of all protocols.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::net::TcpStream;
use usp::EndpointId;

use super::{
    admission::{Admission, Hello, Refusal, Refusals},
    http,
    keepalive::KeepAlive,
    link::{Link, LinkLimits, Role},
    seats::Seat,
    upgrade,
};
use crate::{
    limits::{KEEP_ALIVE_INTERVAL, RECORD_BYTES_MAX},
    listen::{Acceptor, Below, Protocol, Socket},
    stream::Stream,
    tls::ServerTls,
};

/// Where and how to listen.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// The socket and its limits.
    pub socket: Socket,
    /// What each link may cost.
    pub link: LinkLimits,
}

impl ListenerConfig {
    /// Plaintext on `addr`, pings into silence only (a Controller's choice), default limits.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            socket: Socket::new(addr),
            link: LinkLimits {
                record_bytes_max: RECORD_BYTES_MAX,
                keep_alive: KeepAlive::when_quiet(KEEP_ALIVE_INTERVAL),
            },
        }
    }

    /// The same with TLS.
    pub fn with_tls(mut self, tls: Arc<ServerTls>) -> Self {
        self.socket.tls = Some(tls);
        self
    }
}

/// A peer that was let in.
#[derive(Debug)]
pub struct Accepted<T> {
    /// Its connection.
    pub link: Link,
    /// What it said of itself.
    pub hello: Hello,
    /// Our endpoint id towards it, as the admission said.
    pub own: EndpointId,
    /// What the admission gave with it.
    pub ticket: T,
}

/// A bound WebSocket listener. Dropping it frees the port and ends the handshakes under way; links
/// that were handed out live on.
pub struct Listener<A: Admission>(Acceptor<Upgrades<A>>);

/// USP over WebSocket, from the first byte of the request.
struct Upgrades<A> {
    admission: Arc<A>,
    link: LinkLimits,
}

impl<A: Admission> Listener<A> {
    /// Binds the address. Must be called within a tokio runtime.
    pub async fn bind(
        config: ListenerConfig,
        admission: Arc<A>,
        refusals: Arc<dyn Refusals>,
    ) -> io::Result<Self> {
        let link = config.link;
        let upgrades = Upgrades { admission, link };
        let acceptor = Acceptor::bind(config.socket, upgrades, refusals).await?;
        Ok(Self(acceptor))
    }

    /// The address it is bound to, with the port the operating system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }

    /// Connections there are now, those in their handshake included.
    pub fn connections(&self) -> usize {
        self.0.connections()
    }

    /// The next peer that was let in. Cancel-safe. Nothing is accepted while nobody awaits this, so
    /// hand the link to its own task and come back.
    pub async fn accept(&mut self) -> Accepted<A::Ticket> {
        self.0.accept().await
    }
}

impl<A: Admission> Protocol for Upgrades<A> {
    type Accepted = Accepted<A::Ticket>;

    const NAME: &'static str = "WebSocket";

    async fn shake(
        &self,
        mut stream: Stream,
        below: Below,
        mut seat: Seat,
        claimed: &mut Option<EndpointId>,
    ) -> Result<Accepted<A::Ticket>, Refusal> {
        let admission = self.admission.as_ref();
        let upgraded = upgrade::upgrade(&mut stream, below, admission, claimed).await?;
        seat.established();
        let upgrade::Upgraded {
            hello,
            admitted,
            unread,
        } = upgraded;
        let (ids, peer_addr) = (hello.certificate_ids.clone(), hello.peer_addr);
        let link = Link::new(
            stream,
            Role::Server,
            unread,
            self.link,
            peer_addr,
            ids,
            Some(seat),
        );
        Ok(Accepted {
            link,
            hello,
            own: admitted.own,
            ticket: admitted.ticket,
        })
    }

    fn no_room(&self, tcp: &TcpStream, refusal: &Refusal) {
        http::no_room(tcp, refusal);
    }
}
