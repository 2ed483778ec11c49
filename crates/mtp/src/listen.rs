//! The accept loop of every protocol that devices dial by TCP: many handshakes at the same time, each
//! with its time limit, none of which can hold up another. It counts, does TLS and tells of everybody
//! who is turned away; what is spoken then is the [`Protocol`]'s.

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

use crate::{
    limits::{
        ACCEPT_PAUSE, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, HANDSHAKE_TIME_MAX,
        HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX,
    },
    stream::Stream,
    tcp,
    tls::{self, ServerTls},
    ws::{Refusal, RefusalReason, Refusals, Refused, Seat, Seats},
};

/// Where and how to listen. Every limit has its default in [`crate::limits`].
#[derive(Clone, Debug)]
pub struct Socket {
    /// The address to bind; port 0 lets the operating system choose.
    pub addr: SocketAddr,
    /// TLS, or plaintext where there is none.
    pub tls: Option<Arc<ServerTls>>,
    /// From accept to a link. See [`HANDSHAKE_TIME_MAX`].
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

impl Socket {
    /// Plaintext on `addr`, default limits.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            tls: None,
            handshake_time_max: HANDSHAKE_TIME_MAX,
            connections_max: CONNECTIONS_MAX,
            handshakes_max: HANDSHAKES_MAX,
            connections_per_address_max: CONNECTIONS_PER_ADDRESS_MAX,
            handshakes_per_address_max: HANDSHAKES_PER_ADDRESS_MAX,
            uncounted_addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        }
    }
}

/// What is known of a connection below its protocol.
#[derive(Clone, Debug)]
pub struct Below {
    /// The peer's socket address.
    pub peer_addr: SocketAddr,
    /// The address of ours it reached.
    pub local_addr: SocketAddr,
    /// The connection is encrypted.
    pub tls: bool,
    /// A certificate was presented and verified (it may carry no endpoint id at all).
    pub certified: bool,
    /// See [`tls::fingerprint`], of that certificate.
    pub fingerprint: Option<[u8; 32]>,
    /// The certificate has to carry an endpoint id.
    pub id_demanded: bool,
    /// The endpoint ids of that certificate. Empty without one.
    pub certificate_ids: Vec<EndpointId>,
}

impl Below {
    /// Whether an endpoint id that is demanded of the certificate is there.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.id_demanded && self.certificate_ids.is_empty() {
            return Err(Refusal::new(
                RefusalReason::CertificateWithoutEndpointId,
                "no urn:bbf:usp:id: among the certificate's subject alternative names",
            ));
        }
        Ok(())
    }
}

/// What is spoken over a connection, from its first byte to an admitted peer.
pub trait Protocol: Send + Sync + 'static {
    /// A peer that was let in.
    type Accepted: Send + 'static;

    /// The name, for logs.
    const NAME: &'static str;

    /// Shakes hands and asks who comes in. A refused peer is told before this returns. `claimed` is set
    /// as soon as an endpoint id is known, for whoever reports a refusal or a timeout. The future may
    /// be dropped at any await.
    fn shake(
        &self,
        stream: Stream,
        below: Below,
        seat: Seat,
        claimed: &mut Option<EndpointId>,
    ) -> impl Future<Output = Result<Self::Accepted, Refusal>> + Send;

    /// What is said on a plaintext listener to somebody for whom there is no room, as far as the socket takes
    /// it at once: a flood is not waited for.
    fn no_room(&self, _: &TcpStream, _: &Refusal) {}
}

/// A bound listener. Dropping it frees the port and ends the handshakes under way; links that were
/// handed out live on.
pub struct Acceptor<P: Protocol> {
    tcp: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<Shared<P>>,
    seats: Arc<Seats>,
    handshakes_max: usize,
    handshakes: JoinSet<Option<P::Accepted>>,
}

/// What each handshake needs.
struct Shared<P> {
    protocol: P,
    refusals: Arc<dyn Refusals>,
    tls: Option<Arc<ServerTls>>,
    time_max: Duration,
}

impl<P: Protocol> Acceptor<P> {
    /// Binds the address. Must be called within a tokio runtime.
    pub async fn bind(
        socket: Socket,
        protocol: P,
        refusals: Arc<dyn Refusals>,
    ) -> io::Result<Self> {
        let tcp = TcpListener::bind(socket.addr).await?;
        let local_addr = tcp.local_addr()?;
        let seats = Seats::new(
            socket.connections_max,
            socket.connections_per_address_max,
            socket.handshakes_per_address_max,
            socket.uncounted_addresses,
        );
        let shared = Shared {
            protocol,
            refusals,
            tls: socket.tls,
            time_max: socket.handshake_time_max,
        };
        Ok(Self {
            tcp,
            local_addr,
            shared: Arc::new(shared),
            seats,
            handshakes_max: socket.handshakes_max,
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
    pub async fn accept(&mut self) -> P::Accepted {
        loop {
            let room = self.handshakes.len() < self.handshakes_max;
            tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Some(accepted)) => return accepted,
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, protocol = P::NAME, "a handshake broke down"),
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
        let shared = &self.shared;
        let below = Below {
            peer_addr,
            local_addr: tcp.local_addr().unwrap_or(self.local_addr),
            tls: shared.tls.is_some(),
            certified: false,
            fingerprint: None,
            id_demanded: shared
                .tls
                .as_ref()
                .is_some_and(|tls| tls.demands_endpoint_id()),
            certificate_ids: Vec::new(),
        };
        match self.seats.take(peer_addr.ip()) {
            Ok(seat) => {
                let shaking = handshake(shared.clone(), tcp, below, seat);
                self.handshakes.spawn(shaking);
            }
            Err(refusal) => {
                if !below.tls {
                    shared.protocol.no_room(&tcp, &refusal);
                }
                shared.refuse(peer_addr, below.local_addr, None, refusal);
            }
        }
    }
}

impl<P> Shared<P> {
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
        self.refusals.refused(Refused {
            peer_addr,
            local_addr,
            tls: self.tls.is_some(),
            endpoint_id,
            refusal,
        });
    }
}

async fn handshake<P: Protocol>(
    shared: Arc<Shared<P>>,
    tcp: TcpStream,
    below: Below,
    seat: Seat,
) -> Option<P::Accepted> {
    let (peer_addr, local_addr) = (below.peer_addr, below.local_addr);
    let mut claimed = None;
    let stages = stages(&shared, tcp, below, seat, &mut claimed);
    let limit = shared.time_max;
    let outcome = tokio::time::timeout(limit, stages).await;
    let outcome = outcome.unwrap_or_else(|_| {
        let detail = format!("not complete in {limit:?}");
        Err(Refusal::new(RefusalReason::HandshakeTimeout, detail))
    });
    match outcome {
        Ok(accepted) => Some(accepted),
        Err(refusal) => {
            shared.refuse(peer_addr, local_addr, claimed, refusal);
            None
        }
    }
}

async fn stages<P: Protocol>(
    shared: &Shared<P>,
    tcp: TcpStream,
    mut below: Below,
    seat: Seat,
    claimed: &mut Option<EndpointId>,
) -> Result<P::Accepted, Refusal> {
    tcp::look_after(&tcp);
    let stream = match &shared.tls {
        None => Stream::Plain(tcp),
        Some(tls) => {
            let acceptor = tokio_rustls::TlsAcceptor::from(tls.config());
            let stream = tls::accept(acceptor, tcp, claimed).await?;
            let chain = stream.get_ref().1.peer_certificates();
            if let Some(certificate) = chain.and_then(|chain| chain.first()) {
                below.certified = true;
                below.fingerprint = Some(tls::fingerprint(certificate));
                below.certificate_ids = tls::certificate_ids(certificate).map_err(|error| {
                    Refusal::new(RefusalReason::CertificateRejected, error.to_string())
                })?;
                claimed.clone_from(&below.certificate_ids.first().cloned());
            }
            Stream::Tls(Box::new(stream.into()))
        }
    };
    shared.protocol.shake(stream, below, seat, claimed).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says of each connection whether the operating system looks after it.
    struct Looked;

    impl Protocol for Looked {
        type Accepted = bool;

        const NAME: &'static str = "test";

        async fn shake(
            &self,
            stream: Stream,
            _: Below,
            _: Seat,
            _: &mut Option<EndpointId>,
        ) -> Result<bool, Refusal> {
            match stream {
                Stream::Plain(tcp) => Ok(tcp::is_looked_after(&tcp)),
                _ => unreachable!("the listener has no TLS"),
            }
        }
    }

    /// An MQTT 3.1.1 client may have switched its keep-alive off, and lose its power.
    #[tokio::test]
    async fn a_connection_that_we_accepted_is_looked_after_by_the_operating_system_too() {
        let any = Socket::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut acceptor = Acceptor::bind(any, Looked, Arc::new(())).await.unwrap();
        let client = TcpStream::connect(acceptor.local_addr()).await.unwrap();
        assert!(acceptor.accept().await);
        drop(client);
    }
}
