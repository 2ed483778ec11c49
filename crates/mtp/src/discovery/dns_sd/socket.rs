//! The socket of multicast DNS, on every network of this host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Instant;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use usp::EndpointId;

use super::{Event, Kind, Node, Service, Unnamable};
use crate::limits::{
    MDNS_EVENTS_MAX, MDNS_INTERFACES_EVERY, MDNS_INTERFACES_MAX, MDNS_PACKET_BYTES_MAX,
};

/// Where multicast DNS is spoken.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;

/// What is told and looked for, and where.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who we are.
    pub own: EndpointId,
    /// What we have.
    pub services: Vec<Service>,
    /// What we look for.
    pub browse: Vec<Kind>,
    /// The addresses of the networks to speak on; empty is all of the host that take multicast.
    pub networks: Vec<Ipv4Addr>,
    /// The port, which is 5353 but in tests.
    pub port: u16,
}

impl Config {
    /// On all networks.
    pub fn new(own: EndpointId, services: Vec<Service>, browse: Vec<Kind>) -> Config {
        Config {
            own,
            services,
            browse,
            networks: Vec::new(),
            port: PORT,
        }
    }
}

/// Why it cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port cannot be had.
    #[error("multicast DNS on port {port}: {source}")]
    Socket {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// There is no name for us.
    #[error(transparent)]
    Unnamable(#[from] Unnamable),
}

/// Multicast DNS in a task of its own, which ends with this.
pub struct Running {
    events: mpsc::Receiver<Event>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// The next finding.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Says goodbye and ends.
    pub async fn close(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stop.is_some() {
            self.task.abort();
        }
    }
}

/// Starts to speak.
pub fn start(config: Config) -> Result<Running, StartError> {
    let port = config.port;
    let socket = open(port).map_err(|source| StartError::Socket { port, source })?;
    let node = Node::new(config.own, config.services, config.browse, Instant::now())?;
    let (found, events) = mpsc::channel(MDNS_EVENTS_MAX);
    let (stop, stopped) = oneshot::channel();
    let wire = Wire {
        socket,
        port,
        only: config.networks,
        joined: Vec::new(),
    };
    let task = tokio::spawn(run(node, wire, found, stopped));
    Ok(Running {
        events,
        stop: Some(stop),
        task,
    })
}

/// A socket beside others of the host: resolvers speak multicast DNS as well.
fn open(port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Others of this host hear us, too.
    socket.set_multicast_loop_v4(true)?;
    // Nobody beyond this network; RFC 6762, 11.
    socket.set_multicast_ttl_v4(255)?;
    let all = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    socket.bind(&SockAddr::from(all))?;
    UdpSocket::from_std(socket.into())
}

struct Wire {
    socket: UdpSocket,
    port: u16,
    only: Vec<Ipv4Addr>,
    joined: Vec<Ipv4Addr>,
}

impl Wire {
    /// Joins the group on networks that are new, and says which addresses this host has on all of them.
    fn look(&mut self) -> Vec<IpAddr> {
        let mut networks = self.only.clone();
        let mut sixth = Vec::new();
        if networks.is_empty() {
            let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
            let addresses = getifaddrs().into_iter().flatten().filter(|one| {
                one.flags.contains(wanted) && !one.flags.contains(InterfaceFlags::IFF_LOOPBACK)
            });
            for address in addresses.filter_map(|one| one.address) {
                if let Some(v4) = address.as_sockaddr_in() {
                    networks.push(v4.ip());
                } else if let Some(v6) = address.as_sockaddr_in6() {
                    // One of a link says nothing without the link.
                    if !v6.ip().is_unicast_link_local() {
                        sixth.push(IpAddr::V6(v6.ip()));
                    }
                }
            }
        }
        networks.truncate(MDNS_INTERFACES_MAX);
        for network in &networks {
            if !self.joined.contains(network)
                && let Err(error) = self.socket.join_multicast_v4(GROUP, *network)
            {
                tracing::debug!(%network, %error, "multicast DNS is not heard here");
            }
        }
        self.joined.clone_from(&networks);
        let fourth = networks.into_iter().map(IpAddr::V4);
        fourth.chain(sixth).take(MDNS_INTERFACES_MAX).collect()
    }

    async fn send(&self, packet: &[u8]) {
        for network in &self.joined {
            let to = SocketAddrV4::new(GROUP, self.port);
            let chosen = socket2::SockRef::from(&self.socket).set_multicast_if_v4(network);
            let sent = match chosen {
                Ok(()) => self.socket.send_to(packet, to).await.map(drop),
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                tracing::debug!(%network, %error, "multicast DNS is not said here");
            }
        }
    }
}

async fn run(
    mut node: Node,
    mut wire: Wire,
    found: mpsc::Sender<Event>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut packet = vec![0; MDNS_PACKET_BYTES_MAX];
    let mut look = tokio::time::interval(MDNS_INTERFACES_EVERY);
    loop {
        node.handle_timeout(Instant::now());
        while let Some(packet) = node.poll_transmit() {
            wire.send(&packet).await;
        }
        while let Some(event) = node.poll_event() {
            // Whoever is slow misses what others have said since.
            if let Err(mpsc::error::TrySendError::Closed(_)) = found.try_send(event) {
                return;
            }
        }
        let due = node.poll_timeout();
        tokio::select! {
            _ = &mut stopped => break,
            _ = look.tick() => {
                let addresses = wire.look();
                node.set_addresses(Instant::now(), addresses);
            }
            heard = wire.socket.recv_from(&mut packet) => match heard {
                // An answer comes from this port (RFC 6762, 6), and from this network.
                Ok((length, from)) if from.port() == wire.port => {
                    node.handle_input(Instant::now(), packet.get(..length).unwrap_or_default());
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "multicast DNS"),
            },
            () = async { tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()).await }, if due.is_some() => {}
        }
    }
    if let Some(goodbye) = node.goodbye() {
        wire.send(&goodbye).await;
    }
}
