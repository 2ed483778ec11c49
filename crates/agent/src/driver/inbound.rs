//! The listening side: only endpoints that are controllers of this agent are let in.

use std::sync::{Arc, Mutex, PoisonError};

use mtp::tls::{ClientCertificates, ServerTls, ServerTlsConfig};
use mtp::ws::{
    Admission, Admitted, CloseCode, Hello, Listener, ListenerConfig, Refusal, RefusalReason,
    Refusals, Refused, reason,
};
use usp::EndpointId;

use super::peer::Channel;
use super::{Driver, RunError};
use crate::limits::INBOUND_PENDING_MAX;
use crate::{ListenConfig, Reach};

/// One who may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guest {
    pub endpoint_id: EndpointId,
    /// Its certificate has to carry its endpoint id.
    pub proves: bool,
}

/// Who may come in, kept current by the driver.
pub(super) struct Door {
    own: EndpointId,
    path: String,
    pub controllers: Mutex<Vec<Guest>>,
}

impl Door {
    pub fn new(own: EndpointId, path: String) -> Door {
        Door {
            own,
            path,
            controllers: Mutex::default(),
        }
    }
}

impl Admission for Door {
    type Ticket = EndpointId;

    async fn admit(&self, hello: &Hello) -> Result<Admitted<EndpointId>, Refusal> {
        if hello.path != self.path {
            return Err(Refusal::new(
                RefusalReason::UnknownPath,
                "no agent listens on this path",
            ));
        }
        let controllers = self
            .controllers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let claimed = match (&hello.eid, controllers.as_slice()) {
            (Some(eid), _) => eid.clone(),
            // Only one can be meant (R-WS.11b: the id may be missing).
            (None, [only]) => only.endpoint_id.clone(),
            (None, _) => {
                return Err(Refusal::new(
                    RefusalReason::EndpointIdMissing,
                    "which controller is this?",
                ));
            }
        };
        let guest = controllers.iter().find(|one| one.endpoint_id == claimed);
        let Some(guest) = guest else {
            let detail = format!("{claimed} is not a controller of this agent");
            return Err(Refusal::new(RefusalReason::UnknownCredential, detail));
        };
        // R-SEC.0a: a certificate that names endpoints has to name this one.
        if !hello.certificate_ids.is_empty() && !hello.certificate_ids.contains(&claimed) {
            return Err(Refusal::new(
                RefusalReason::EndpointIdMismatch,
                "the certificate is somebody else's",
            ));
        }
        if guest.proves && !hello.certificate_ids.contains(&claimed) {
            let detail = format!("{claimed} was found, and shows no certificate with this id");
            return Err(Refusal::new(RefusalReason::UnknownCredential, detail));
        }
        Ok(Admitted {
            own: self.own.clone(),
            ticket: claimed,
        })
    }
}

impl Refusals for Door {
    fn refused(&self, refused: Refused) {
        tracing::info!(
            agent = %self.own, peer = %refused.peer_addr, reason = refused.refusal.reason.name(),
            detail = refused.refusal.detail, "a connection was refused"
        );
    }
}

pub(super) async fn listen(
    config: &ListenConfig,
    door: &Arc<Door>,
) -> Result<Listener<Door>, RunError> {
    let mut listener = ListenerConfig::new(config.address);
    listener.socket.connections_max = INBOUND_PENDING_MAX;
    if let (Some(certificate), Some(key)) = (&config.certificate, &config.key) {
        let clients = match &config.client_ca {
            Some(ca) => ClientCertificates::Demanded { ca: ca.clone() },
            None => ClientCertificates::Ignored,
        };
        let files = ServerTlsConfig {
            certificate: certificate.clone(),
            key: key.clone(),
            clients,
        };
        listener = listener.with_tls(Arc::new(
            ServerTls::load(files).map_err(|error| RunError::Tls(error.to_string()))?,
        ));
    }
    Listener::bind(listener, door.clone(), door.clone())
        .await
        .map_err(|source| RunError::Listen {
            address: config.address,
            source,
        })
}

impl Driver {
    /// A controller has dialled us. R-WS.4: the newer session replaces the older.
    pub(super) fn accepted(&mut self, accepted: mtp::ws::Accepted<usp::EndpointId>) {
        let now = self.clock.now().at;
        // Where there are several ways to it, the one on which it dials us, else that of a WebSocket.
        let order = |reach: &Reach| match reach {
            Reach::Awaited => 0,
            Reach::WebSocket(_) => 1,
            _ => 2,
        };
        let peers = self.peers.iter_mut();
        let peers = peers.filter(|peer| *peer.session.peer() == accepted.ticket);
        let Some(peer) = peers.min_by_key(|peer| order(&peer.config.reach)) else {
            return;
        };
        let older = std::mem::replace(&mut peer.channel, Channel::Idle);
        peer.session.channel_closed(now);
        peer.opened(now, accepted.link.into());
        if let Channel::Open(link) = older {
            self.closing
                .spawn(async move { link.close(CloseCode::Normal, reason::REPLACED).await });
        }
        tracing::info!(agent = %self.engine.endpoint_id(), controller = %accepted.ticket, "a controller has connected");
    }
}
