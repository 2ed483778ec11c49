//! Multicast DNS on one network: a socket that hears what is said there and nowhere else.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Instant;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::watch;

use super::Node;
use super::networks::Interface;
use super::running::Heard;
use crate::limits::MDNS_PACKET_BYTES_MAX;

/// Where multicast DNS is spoken.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

/// A socket beside others of the host: resolvers speak multicast DNS as well. It is bound to the group, so that nobody from
/// farther away gets to it.
pub(super) fn open(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // What others have joined elsewhere is not ours to hear.
    socket.set_multicast_all_v4(false)?;
    // Others of this host hear us, too.
    socket.set_multicast_loop_v4(true)?;
    // Nobody beyond this network; RFC 6762, 11.
    socket.set_multicast_ttl_v4(255)?;
    socket.bind(&SockAddr::from(SocketAddr::from((GROUP, port))))?;
    Ok(socket)
}

/// One network.
pub(super) struct Wire {
    socket: UdpSocket,
    name: String,
    port: u16,
}

impl Wire {
    pub fn join(interface: &Interface, port: u16) -> io::Result<Wire> {
        let socket = open(port)?;
        // Some kernels give what came on one network to sockets that have joined on another, too.
        if let Err(error) = socket.bind_device(Some(interface.name.as_bytes())) {
            tracing::debug!(network = %interface.name, %error, "multicast DNS: bound to no network");
        }
        let index = InterfaceIndexOrAddress::Index(interface.index);
        socket.join_multicast_v4_n(&GROUP, &index)?;
        let wire = Wire {
            socket: UdpSocket::from_std(socket.into())?,
            name: interface.name.clone(),
            port,
        };
        wire.speak_from(interface)?;
        Ok(wire)
    }

    fn speak_from(&self, interface: &Interface) -> io::Result<()> {
        let address = interface.first().unwrap_or(Ipv4Addr::UNSPECIFIED);
        SockRef::from(&self.socket).set_multicast_if_v4(&address)
    }

    async fn send(&self, packet: &[u8]) -> io::Result<()> {
        let to = SocketAddrV4::new(GROUP, self.port);
        self.socket.send_to(packet, to).await.map(drop)
    }
}

/// Speaks until nobody says any more how the interface is; `bound` is where the listener is that is told of.
pub(super) async fn speak(
    mut node: Node,
    wire: Wire,
    bound: IpAddr,
    mut interface: watch::Receiver<Interface>,
    heard: watch::Sender<Heard>,
) {
    let mut packet = vec![0; MDNS_PACKET_BYTES_MAX];
    let mut trouble = None;
    interface.mark_changed();
    loop {
        node.handle_timeout(Instant::now());
        while let Some(packet) = node.poll_transmit() {
            trouble = wire
                .send(&packet)
                .await
                .err()
                .map(|error| error.to_string());
        }
        show(&mut node, &wire.name, &trouble, &heard);
        let due = node.poll_timeout();
        tokio::select! {
            changed = interface.changed() => {
                if changed.is_err() {
                    break;
                }
                let interface = interface.borrow_and_update().clone();
                trouble = wire.speak_from(&interface).err().map(|error| error.to_string());
                node.set_addresses(Instant::now(), interface.told(bound));
            }
            got = wire.socket.recv_from(&mut packet) => match got {
                // An answer comes from this port (RFC 6762, 6).
                Ok((length, from)) if from.port() == wire.port => {
                    node.handle_input(Instant::now(), packet.get(..length).unwrap_or_default());
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(network = %wire.name, %error, "multicast DNS"),
            },
            () = async { tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()).await }, if due.is_some() => {}
        }
    }
    if let Some(goodbye) = node.goodbye() {
        // Nobody is told any more what became of it.
        let _ = wire.send(&goodbye).await;
    }
}

/// What is there and how it stands, for whoever asks; only what is there, and new trouble, is news.
fn show(node: &mut Node, name: &str, trouble: &Option<String>, heard: &watch::Sender<Heard>) {
    let (found, passed) = (node.poll_found(), node.passed());
    heard.send_if_modified(|heard| {
        let Some(network) = heard.networks.get_mut(name) else {
            return false;
        };
        network.passed = passed;
        let news = found.is_some() || network.trouble != *trouble;
        if let Some(found) = found {
            network.found = found;
        }
        if network.trouble != *trouble {
            tracing::info!(network = name, trouble, "multicast DNS: how it stands here");
            network.trouble.clone_from(trouble);
        }
        news
    });
}
