//! Who may come in: what a client has shown when its CONNECT is complete, and the consumer's
//! decision. Refusals go the way of all transports ([`mtp::ws::Refusals`]).

use std::{fmt, future::Future, net::SocketAddr};

use bytes::Bytes;
use mtp::{mqtt::Version, ws::Refusal};
use usp::EndpointId;

/// A user name `<tenant>/<name>`: there are no bare ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Whose it says it is.
    pub tenant: String,
    /// `setup`, or the device.
    pub name: String,
}

impl Login {
    /// Takes a user name apart.
    pub fn parse(username: &str) -> Option<Self> {
        let (tenant, name) = username.split_once('/')?;
        let one_level = |text: &str| !text.is_empty() && !text.contains(['/', '+', '#']);
        (one_level(tenant) && one_level(name)).then(|| Self {
            tenant: tenant.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// What a client has said of itself.
#[derive(Clone)]
pub struct Hello {
    /// Its socket address.
    pub peer_addr: SocketAddr,
    /// The address of ours it reached.
    pub local_addr: SocketAddr,
    /// The version of MQTT.
    pub version: Version,
    /// The user name.
    pub login: Login,
    /// The password; empty where there is none.
    pub password: Bytes,
    /// The endpoint id it claims: the user property (R-MQTT.13), else the client identifier where
    /// that is one (R-MQTT.8), else the only one of its certificate.
    pub eid: Option<EndpointId>,
    /// The endpoint ids of its verified certificate. Empty without a certificate.
    pub certificate_ids: Vec<EndpointId>,
    /// A certificate was presented and verified.
    pub certified: bool,
    /// See [`mtp::tls::fingerprint`], of that certificate.
    pub fingerprint: Option<[u8; 32]>,
    /// The connection is encrypted.
    pub tls: bool,
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello")
            .field("peer_addr", &self.peer_addr)
            .field("login", &self.login)
            .field("eid", &self.eid)
            .finish_non_exhaustive()
    }
}

/// The consumer's yes.
#[derive(Clone, Debug)]
pub struct Admitted<T> {
    /// Whose it is: the level in its topics.
    pub tenant: String,
    /// Which agent it is: the last level.
    pub endpoint: EndpointId,
    /// Whatever the consumer wants to find again beside the link.
    pub ticket: T,
}

/// The consumer's decision. It runs inside the handshake's time limit and its future may be dropped
/// at any await.
pub trait Admission: Send + Sync + 'static {
    /// What goes with the link.
    type Ticket: Send + 'static;

    /// Yes or no.
    fn admit(
        &self,
        hello: &Hello,
    ) -> impl Future<Output = Result<Admitted<Self::Ticket>, Refusal>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_is_tenant_and_name_and_nothing_else() {
        let login = Login::parse("acme/setup").unwrap();
        assert_eq!(
            (login.tenant.as_str(), login.name.as_str()),
            ("acme", "setup")
        );
        for bad in ["", "acme", "/setup", "acme/", "a/b/c", "+/setup", "acme/#"] {
            assert_eq!(Login::parse(bad), None, "{bad}");
        }
    }
}
