//! Our STUN server (Annex G), and the UDP connection requests that leave from its socket: only from
//! there do they pass the NAT of a device that keeps its binding open to us.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cwmp::reach::stun::{self, Attribute, Kind, Message};
use cwmp::reach::udp::UdpRequest;
use fleet::DeviceId;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::super::reach::{stun_device, stun_password};
use super::bindings::Bindings;
use super::guard::{Guard, source};
use super::limits::{
    BINDINGS_MAX, DATAGRAM_BYTES, RECEIVE_PAUSE, STUN_BURST, STUN_PER_SECOND, UDP_COPIES,
    UDP_COPY_EVERY,
};
use super::own::Own;
use super::{Said, Shown, text};
use crate::auth::limiter::{Limiter, Rate};
use crate::state::now;
use crate::vault::Vault;

/// UDP, with the STUN server where one is wanted.
pub struct Udp {
    server: Option<Server>,
    guard: Arc<Guard>,
    ids: AtomicU64,
}

struct Server {
    socket: Arc<UdpSocket>,
    bindings: Arc<Bindings>,
}

impl Udp {
    /// Binds the STUN server, where one is wanted, and answers until the server stops.
    pub async fn start(
        listen: Option<SocketAddr>,
        vault: Vault,
        guard: Arc<Guard>,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let mut udp = Self {
            server: None,
            guard,
            ids: AtomicU64::new(u64::from(rand::random::<u32>())),
        };
        if let Some(listen) = listen {
            let socket = Arc::new(UdpSocket::bind(listen).await?);
            let bindings = Arc::new(Bindings::new(BINDINGS_MAX));
            let answering = Answering {
                socket: socket.clone(),
                bindings: bindings.clone(),
                vault,
                limiter: Limiter::new(Rate {
                    burst: STUN_BURST,
                    per_second: STUN_PER_SECOND,
                }),
                own: Own::default(),
            };
            tokio::spawn(async move {
                tokio::select! {
                    () = answering.run() => {}
                    () = shutdown.cancelled() => {}
                }
            });
            udp.server = Some(Server { socket, bindings });
        }
        Ok(udp)
    }

    /// Where the STUN server is bound.
    pub fn local(&self) -> Option<SocketAddr> {
        self.server.as_ref()?.socket.local_addr().ok()
    }

    /// Where a device was seen by the STUN server.
    pub fn seen(&self, device: DeviceId) -> Option<SocketAddr> {
        let server = self.server.as_ref()?;
        let (address, _) = server.bindings.get(device, Instant::now())?;
        Some(address.into())
    }

    /// Devices whose address is known.
    pub fn bindings(&self) -> usize {
        self.server
            .as_ref()
            .map_or(0, |server| server.bindings.len())
    }

    /// A device is gone.
    pub fn forget(&self, device: DeviceId) {
        if let Some(server) = &self.server {
            server.bindings.forget(device);
        }
    }

    /// Asks a device to come: the same datagram three times. Nobody answers one.
    pub(super) async fn ask(&self, to: SocketAddr, shown: Shown) -> Said {
        if let Err(why) = self.guard.check(to) {
            return Said::Refused(format!("nothing was sent: {why}"));
        }
        let request = UdpRequest {
            timestamp: u64::try_from(now().as_millis() / 1000).unwrap_or_default(),
            id: self.ids.fetch_add(1, Ordering::Relaxed),
            username: shown.username,
            cnonce: format!("{:016x}", rand::random::<u64>()),
        };
        let datagram = request.datagram(to, &shown.password);
        let sent = match &self.server {
            // A socket for IPv4 does not send to IPv6.
            Some(server) if to.is_ipv4() || self.local().is_some_and(|own| own.is_ipv6()) => {
                let to = match (self.local(), to) {
                    (Some(SocketAddr::V6(_)), SocketAddr::V4(v4)) => {
                        SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
                    }
                    _ => to,
                };
                copies(&server.socket, to, &datagram).await
            }
            _ => {
                let any: SocketAddr = match to {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                match UdpSocket::bind(any).await {
                    Ok(socket) => copies(&socket, to, &datagram).await,
                    Err(error) => Err(error),
                }
            }
        };
        match sent {
            Ok(()) if self.server.is_some() => Said::Sent("sent three times"),
            Ok(()) => Said::Sent(
                "sent three times, but not from the port of a STUN server, which most NATs do not let in (cwmp.stun_listen)",
            ),
            Err(error) => Said::Refused(format!("it cannot be sent: {}", text(&error.to_string()))),
        }
    }
}

async fn copies(socket: &UdpSocket, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
    for copy in 0..UDP_COPIES {
        if copy > 0 {
            tokio::time::sleep(UDP_COPY_EVERY).await;
        }
        socket.send_to(datagram, to).await?;
    }
    Ok(())
}

/// The STUN server.
struct Answering {
    socket: Arc<UdpSocket>,
    bindings: Arc<Bindings>,
    vault: Vault,
    limiter: Limiter,
    own: Own,
}

impl Answering {
    async fn run(mut self) {
        let mut buffer = [0; DATAGRAM_BYTES];
        loop {
            // What an unreachable peer of an earlier datagram makes of the socket is no end of it.
            let Ok((length, from)) = self.socket.recv_from(&mut buffer).await else {
                tokio::time::sleep(RECEIVE_PAUSE).await;
                continue;
            };
            let Some(from) = v4(from) else { continue };
            if let Some((answer, to)) = self.answer(&buffer[..length], from) {
                let to = match self.socket.local_addr() {
                    Ok(SocketAddr::V6(_)) => {
                        SocketAddr::new(to.ip().to_ipv6_mapped().into(), to.port())
                    }
                    _ => to.into(),
                };
                // Full buffers drop it, like the network does.
                let _ = self.socket.try_send_to(&answer, to);
            }
        }
    }

    /// What to send where. A request that is signed by a device of ours also says where that is.
    fn answer(&mut self, bytes: &[u8], from: SocketAddrV4) -> Option<(Vec<u8>, SocketAddrV4)> {
        let count = |result: &'static str| {
            metrics::counter!("headend_stun_requests_total", "result" => result).increment(1);
        };
        if self
            .limiter
            .take(&from.ip().to_string(), Instant::now())
            .is_err()
        {
            count("limited");
            return None;
        }
        let Ok(request) = Message::decode(bytes) else {
            count("malformed");
            return None;
        };
        if request.kind != Kind::BindingRequest {
            return None;
        }
        let own = self.own(from)?;
        let (answer, to) = stun::answer(&request, from, own)?;
        let Some((tenant, device)) = request.username().and_then(stun_device) else {
            // Whoever it is may know its address, as with any STUN server.
            count("anonymous");
            return Some((answer.encode(None), to));
        };
        let password = stun_password(&self.vault, &tenant, device);
        if !stun::is_signed(bytes, &password) {
            count("unsigned");
            return Some((stun::unauthorized(&request).encode(None), from));
        }
        count("known");
        // A probe of how long a binding lives comes from another port than the device listens on.
        let probe = request
            .attributes
            .iter()
            .any(|attribute| matches!(attribute, Attribute::ResponseAddress(_)));
        if !probe && self.bindings.note(device, from, Instant::now()) {
            tracing::debug!(%tenant, %device, address = %from, "a device was seen by the STUN server");
        }
        Some((answer.encode(Some(&password)), to))
    }

    /// Our address as far as we know it.
    fn own(&mut self, from: SocketAddrV4) -> Option<SocketAddrV4> {
        let bound = self.socket.local_addr().ok()?;
        if !bound.ip().is_unspecified() {
            return v4(bound);
        }
        let look = || Some(*source(from.into()).and_then(v4)?.ip());
        let own = self.own.to(*from.ip(), Instant::now(), look)?;
        Some(SocketAddrV4::new(own, bound.port()))
    }
}

/// STUN as the annex has it knows IPv4 only.
fn v4(address: SocketAddr) -> Option<SocketAddrV4> {
    match address.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => Some(SocketAddrV4::new(ip, address.port())),
        std::net::IpAddr::V6(_) => None,
    }
}

/// A UDPConnectionRequestAddress: an address with a port, or without one (80).
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let with_port = text.parse().ok();
    with_port
        .or_else(|| {
            let address = text.trim_matches(['[', ']']).parse().ok()?;
            Some(SocketAddr::new(address, 80))
        })
        .filter(|address: &SocketAddr| address.port() > 0)
}
