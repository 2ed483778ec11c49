//! A simulated CWMP device behind a NAT (Annex G): it keeps a binding to the STUN server and takes
//! connection requests over it. Its socket is connected to the server, so nothing from elsewhere gets
//! through, as with the strictest of NATs.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use cwmp::limits::STUN_BYTES_MAX;
use cwmp::reach::stun::{Attribute, Kind, Message};
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::Instant;

use super::knock::{Order, Shared};
use super::management::Stun;

/// How long an answer may take before it is asked for again.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// The longest wait for a server that is not there.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Keeps the binding for as long as it is polled.
pub(super) async fn bind(settings: Stun, shared: Arc<Shared>) {
    loop {
        let every = settings.every;
        if let Err(error) = keep(&settings, &shared).await {
            tracing::debug!(%error, server = settings.server, "no binding");
        }
        tokio::time::sleep(every.min(WAIT_MAX)).await;
    }
}

async fn keep(settings: &Stun, shared: &Shared) -> std::io::Result<()> {
    let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).await?;
    let mut found = lookup_host(&settings.server).await?;
    let server = found.find(SocketAddr::is_ipv4);
    socket
        .connect(server.ok_or(std::io::ErrorKind::NotFound)?)
        .await?;
    let mut binding = Binding::default();
    let mut buffer = vec![0; STUN_BYTES_MAX];
    let mut next = Instant::now();
    loop {
        let received = tokio::time::timeout_at(next, socket.recv(&mut buffer)).await;
        let Ok(received) = received else {
            socket.send(&binding.request(settings)).await?;
            next = Instant::now()
                + if binding.is_answered() {
                    settings.every
                } else {
                    ANSWER_WITHIN
                };
            continue;
        };
        let bytes = &buffer[..received?];
        if bytes.starts_with(b"GET ") {
            if shared.takes(bytes) {
                shared.order(Order::ConnectionRequest);
            }
            continue;
        }
        match binding.heard(bytes) {
            Some(Heard::Mapped(address)) => {
                shared.order(Order::Mapped(address.into()));
                next = Instant::now() + settings.every;
            }
            Some(Heard::Same) => next = Instant::now() + settings.every,
            Some(Heard::Sign) => next = Instant::now(),
            None => {}
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Another address than before.
    Mapped(SocketAddrV4),
    Same,
    /// The server wants a signature.
    Sign,
}

/// The STUN client, without its socket.
#[derive(Default)]
struct Binding {
    /// The request that waits for its answer.
    waits: Option<[u8; 16]>,
    mapped: Option<SocketAddrV4>,
    /// The server has not been told of the change yet.
    changed: bool,
    signs: bool,
}

impl Binding {
    fn is_answered(&self) -> bool {
        self.waits.is_none()
    }

    fn request(&mut self, settings: &Stun) -> Vec<u8> {
        let id = rand::random();
        self.waits = Some(id);
        let mut attributes = vec![Attribute::ConnectionRequestBinding];
        if !settings.username.is_empty() {
            attributes.push(Attribute::Username(settings.username.clone()));
        }
        if self.changed {
            attributes.push(Attribute::BindingChange);
        }
        let password = self.signs.then_some(settings.password.as_str());
        Message::request(id, attributes).encode(password)
    }

    fn heard(&mut self, bytes: &[u8]) -> Option<Heard> {
        let message = Message::decode(bytes).ok()?;
        if self.waits != Some(message.id) {
            return None;
        }
        self.waits = None;
        match message.kind {
            Kind::BindingResponse => {
                let mapped = message.mapped()?;
                if self.mapped == Some(mapped) {
                    self.changed = false;
                    return Some(Heard::Same);
                }
                self.changed = self.mapped.is_some();
                self.mapped = Some(mapped);
                Some(Heard::Mapped(mapped))
            }
            Kind::BindingError if !self.signs => {
                self.signs = true;
                Some(Heard::Sign)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cwmp::reach::stun::{answer, is_signed, unauthorized};

    #[test]
    fn a_binding_is_signed_when_asked_and_its_change_is_told() {
        let settings = Stun {
            server: "127.0.0.1:3478".into(),
            username: "u".into(),
            password: "p".into(),
            every: Duration::from_secs(10),
        };
        let own = "198.51.100.1:3478".parse().unwrap();
        let mut binding = Binding::default();
        let first = binding.request(&settings);
        let read = Message::decode(&first).unwrap();
        assert_eq!(read.username(), Some("u"));
        assert!(!is_signed(&first, "p"));
        let refused = unauthorized(&read).encode(None);
        assert_eq!(binding.heard(&refused), Some(Heard::Sign));
        // An answer to nothing is none.
        assert_eq!(binding.heard(&refused), None);
        let mut ask = |from: &str| {
            let request = binding.request(&settings);
            assert!(is_signed(&request, "p"));
            let read = Message::decode(&request).unwrap();
            let (answered, _) = answer(&read, from.parse().unwrap(), own).unwrap();
            let heard = binding.heard(&answered.encode(None));
            (heard, read.has(&Attribute::BindingChange))
        };
        let [one, two] = ["203.0.113.9:1000", "203.0.113.9:2000"];
        let mapped = |at: &str| Some(Heard::Mapped(at.parse().unwrap()));
        assert_eq!(ask(one), (mapped(one), false));
        assert_eq!(ask(one), (Some(Heard::Same), false));
        assert_eq!(ask(two), (mapped(two), false));
        assert_eq!(ask(two), (Some(Heard::Same), true));
    }
}
