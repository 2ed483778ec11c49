//! The accept loop: many handshakes at the same time, each with its time limit, none of which can
//! hold up another.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use usp::EndpointId;

use super::{
    admission::{Admission, Hello, Refusal, RefusalReason, Refusals, Refused},
    http,
    keepalive::KeepAlive,
    link::{Link, LinkLimits, Role},
    seats::{Seat, Seats},
    upgrade::{self, Below},
};
use crate::{
    limits::{
        ACCEPT_PAUSE, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, HANDSHAKE_TIME_MAX,
        HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX, KEEP_ALIVE_INTERVAL, RECORD_BYTES_MAX,
    },
    stream::Stream,
    tls::{self, ServerTls},
};

/// Where and how to listen. Every limit has its default in [`crate::limits`].
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// The address to bind; port 0 lets the operating system choose.
    pub addr: SocketAddr,
    /// TLS, or plaintext where there is none.
    pub tls: Option<Arc<ServerTls>>,
    /// What each link may cost.
    pub link: LinkLimits,
    /// See [`HANDSHAKE_TIME_MAX`].
    pub handshake_time_max: Duration,
    /// See [`CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// See [`HANDSHAKES_MAX`].
    pub handshakes_max: usize,
    /// See [`CONNECTIONS_PER_ADDRESS_MAX`].
    pub connections_per_address_max: usize,
    /// See [`HANDSHAKES_PER_ADDRESS_MAX`].
    pub handshakes_per_address_max: usize,
    /// Addresses that are not counted: the load balancers and reverse proxies in front, behind
    /// which all devices are. Loopback unless set.
    pub uncounted_addresses: Vec<IpAddr>,
}

impl ListenerConfig {
    /// Plaintext on `addr`, pings into silence only (a Controller's choice), default limits.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            tls: None,
            link: LinkLimits {
                record_bytes_max: RECORD_BYTES_MAX,
                keep_alive: KeepAlive::when_quiet(KEEP_ALIVE_INTERVAL),
            },
            handshake_time_max: HANDSHAKE_TIME_MAX,
            connections_max: CONNECTIONS_MAX,
            handshakes_max: HANDSHAKES_MAX,
            connections_per_address_max: CONNECTIONS_PER_ADDRESS_MAX,
            handshakes_per_address_max: HANDSHAKES_PER_ADDRESS_MAX,
            uncounted_addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        }
    }

    /// The same with TLS.
    pub fn with_tls(mut self, tls: Arc<ServerTls>) -> Self {
        self.tls = Some(tls);
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
pub struct Listener<A: Admission> {
    tcp: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<Shared<A>>,
    seats: Arc<Seats>,
    handshakes_max: usize,
    handshakes: JoinSet<Option<Accepted<A::Ticket>>>,
}

/// What each handshake needs.
struct Shared<A> {
    admission: Arc<A>,
    refusals: Arc<dyn Refusals>,
    tls: Option<Arc<ServerTls>>,
    link: LinkLimits,
    time_max: Duration,
}

impl<A: Admission> Listener<A> {
    /// Binds the address. Must be called within a tokio runtime.
    pub async fn bind(
        config: ListenerConfig,
        admission: Arc<A>,
        refusals: Arc<dyn Refusals>,
    ) -> io::Result<Self> {
        let tcp = TcpListener::bind(config.addr).await?;
        let local_addr = tcp.local_addr()?;
        let seats = Seats::new(
            config.connections_max,
            config.connections_per_address_max,
            config.handshakes_per_address_max,
            config.uncounted_addresses,
        );
        let shared = Shared {
            admission,
            refusals,
            tls: config.tls,
            link: config.link,
            time_max: config.handshake_time_max,
        };
        Ok(Self {
            tcp,
            local_addr,
            shared: Arc::new(shared),
            seats,
            handshakes_max: config.handshakes_max,
            handshakes: JoinSet::new(),
        })
    }

    /// The address it is bound to, with the port the operating system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Connections there are now, those in their handshake included.
    pub fn connections(&self) -> usize {
        self.seats.taken()
    }

    /// The next peer that was let in. Cancel-safe. Nothing is accepted while nobody awaits this, so
    /// hand the link to its own task and come back.
    pub async fn accept(&mut self) -> Accepted<A::Ticket> {
        loop {
            let room = self.handshakes.len() < self.handshakes_max;
            tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Some(accepted)) => return accepted,
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "a WebSocket handshake broke down"),
                },
                incoming = self.tcp.accept(), if room => match incoming {
                    Ok((tcp, peer_addr)) => self.begin(tcp, peer_addr),
                    Err(error) => {
                        tracing::warn!(%error, listener = %self.local_addr, "cannot accept");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn begin(&mut self, tcp: TcpStream, peer_addr: SocketAddr) {
        let local_addr = tcp.local_addr().unwrap_or(self.local_addr);
        match self.seats.take(peer_addr.ip()) {
            Ok(seat) => {
                let shared = self.shared.clone();
                self.handshakes
                    .spawn(handshake(shared, tcp, peer_addr, local_addr, seat));
            }
            Err(refusal) => {
                if self.shared.tls.is_none() {
                    // As far as the socket takes it at once; a flood is not waited for.
                    let answer = http::refusal(refusal.status, refusal.reason.name());
                    let _ = tcp.try_write(answer.as_bytes());
                }
                self.shared.refuse(peer_addr, local_addr, None, refusal);
            }
        }
    }
}

impl<A> Shared<A> {
    fn refuse(
        &self,
        peer_addr: SocketAddr,
        local_addr: SocketAddr,
        endpoint_id: Option<EndpointId>,
        refusal: Refusal,
    ) {
        // Its detail may hold what the client gave for a secret.
        let reason = refusal.reason.name();
        tracing::debug!(%peer_addr, reason, "connection refused");
        let tls = self.tls.is_some();
        self.refusals.refused(Refused {
            peer_addr,
            local_addr,
            tls,
            endpoint_id,
            refusal,
        });
    }
}

async fn handshake<A: Admission>(
    shared: Arc<Shared<A>>,
    tcp: TcpStream,
    peer_addr: SocketAddr,
    local_addr: SocketAddr,
    mut seat: Seat,
) -> Option<Accepted<A::Ticket>> {
    let mut claimed = None;
    let stages = stages(&shared, tcp, peer_addr, local_addr, &mut claimed);
    let outcome = tokio::time::timeout(shared.time_max, stages)
        .await
        .unwrap_or_else(|_| {
            let detail = format!(
                "limit HANDSHAKE_TIME_MAX: not complete in {:?}",
                shared.time_max
            );
            Err(Refusal::new(RefusalReason::HandshakeTimeout, detail))
        });
    match outcome {
        Ok((stream, upgraded)) => {
            seat.established();
            let upgrade::Upgraded {
                hello,
                admitted,
                unread,
            } = upgraded;
            let ids = hello.certificate_ids.clone();
            let limits = shared.link;
            let link = Link::new(
                stream,
                Role::Server,
                unread,
                limits,
                peer_addr,
                ids,
                Some(seat),
            );
            Some(Accepted {
                link,
                hello,
                own: admitted.own,
                ticket: admitted.ticket,
            })
        }
        Err(refusal) => {
            shared.refuse(peer_addr, local_addr, claimed, refusal);
            None
        }
    }
}

async fn stages<A: Admission>(
    shared: &Shared<A>,
    tcp: TcpStream,
    peer_addr: SocketAddr,
    local_addr: SocketAddr,
    claimed: &mut Option<EndpointId>,
) -> Result<(Stream, upgrade::Upgraded<A::Ticket>), Refusal> {
    // Records are written whole; waiting to fill a segment only delays them.
    let _ = tcp.set_nodelay(true);
    let mut below = Below {
        peer_addr,
        local_addr,
        tls: shared.tls.is_some(),
        certified: false,
        id_demanded: shared
            .tls
            .as_ref()
            .is_some_and(|tls| tls.demands_endpoint_id()),
        certificate_ids: Vec::new(),
    };
    let mut stream = match &shared.tls {
        None => Stream::Plain(tcp),
        Some(tls) => {
            let acceptor = tokio_rustls::TlsAcceptor::from(tls.config());
            let stream = tls::accept(acceptor, tcp, claimed).await?;
            let certificate = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(|chain| chain.first());
            if let Some(certificate) = certificate {
                below.certified = true;
                below.certificate_ids = tls::certificate_ids(certificate).map_err(|error| {
                    Refusal::new(RefusalReason::CertificateRejected, error.to_string())
                })?;
                claimed.clone_from(&below.certificate_ids.first().cloned());
            }
            Stream::Tls(Box::new(stream.into()))
        }
    };
    let upgraded = upgrade::upgrade(&mut stream, below, shared.admission.as_ref(), claimed).await?;
    Ok((stream, upgraded))
}
