//! The listeners of the file service: plaintext and TLS, with the certificate taken up anew when it
//! was renewed.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use mtp::tls::ServerTls;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use usp::EndpointId;

use super::Bound;
use super::limits::{CERTIFICATE_LOOK_EVERY, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX};
use crate::http::listener::{Listener, Secure};
use crate::southbound::certificate::{self, Issue, Visits};
use crate::{Config, StartError};

/// Bound, and not served yet.
pub struct Listeners {
    plain: Option<Listener>,
    tls: Option<(Listener, Arc<ServerTls>, Issue)>,
}

/// Binds what the configuration wants.
pub async fn bind(config: &Config, endpoint_id: &str) -> Result<Listeners, StartError> {
    let mut listeners = Listeners {
        plain: None,
        tls: None,
    };
    let room = |listener: Listener| {
        listener
            .for_devices(CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX)
            .behind(&config.files.proxies)
    };
    if let Some(addr) = config.files.listen {
        let listener = Listener::open("files.listen", addr, None).await?;
        listeners.plain = Some(room(listener));
    }
    if let Some(addr) = config.files.tls_listen {
        let own = EndpointId::parse(endpoint_id)
            .map_err(|error| StartError::Devices(error.to_string()))?;
        let files = config.files.tls.as_ref();
        let (certificate, issue) =
            certificate::load("files.tls", Visits::Long, files, config, &own)?;
        let tls = certificate.tls;
        let secure = Secure::fresh(tls.clone());
        let listener = Listener::open("files.tls_listen", addr, Some(secure)).await?;
        listeners.tls = Some((room(listener), tls, issue));
    }
    Ok(listeners)
}

impl Listeners {
    /// Where they are.
    pub fn bound(&self) -> Result<Bound, StartError> {
        let addr = |what, listener: &Listener| {
            let any = SocketAddr::from(([0, 0, 0, 0], 0));
            listener.addr().map_err(|source| StartError::Bind {
                what,
                addr: any,
                source,
            })
        };
        Ok(Bound {
            plain: match &self.plain {
                Some(listener) => Some(addr("files.listen", listener)?),
                None => None,
            },
            tls: match &self.tls {
                Some((listener, ..)) => Some(addr("files.tls_listen", listener)?),
                None => None,
            },
        })
    }

    /// Serves until told to stop.
    pub fn serve(self, router: Router, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
        let mut tasks = Vec::new();
        if let Some(listener) = self.plain {
            tasks.push(tokio::spawn(listener.serve(router.clone(), stop.clone())));
        }
        if let Some((listener, tls, issue)) = self.tls {
            tasks.push(tokio::spawn(listener.serve(router, stop.clone())));
            tasks.push(tokio::spawn(certificate::keep_fresh(
                stop.clone(),
                CERTIFICATE_LOOK_EVERY,
                tls,
                issue,
            )));
        }
        tasks
    }
}
