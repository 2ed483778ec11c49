//! The listeners of devices: plaintext and TLS, each with its accept loop.

use std::net::SocketAddr;
use std::sync::Arc;

use mtp::ws::{Listener, ListenerConfig};

use super::adapter::Core;
use super::admission::Gate;
use super::link;
use crate::southbound::certificate::{self, Certificate, Visits};
use crate::{Config, StartError};

/// Where devices connect.
pub struct Listeners {
    /// Without TLS.
    pub plain: Option<SocketAddr>,
    /// With TLS.
    pub tls: Option<SocketAddr>,
    /// The certificate of the listener with TLS.
    pub certificate: Option<Certificate>,
}

/// Binds what the configuration wants.
pub async fn start(
    core: &Arc<Core>,
    gate: &Arc<Gate>,
    config: &Config,
) -> Result<Listeners, StartError> {
    let mut listeners = Listeners {
        plain: None,
        tls: None,
        certificate: None,
    };
    if let Some(addr) = config.usp.listen {
        listeners.plain = Some(bind(core, gate, "usp.listen", settings(config, addr)).await?);
    }
    if let Some(addr) = config.usp.tls_listen {
        let (certificate, issue) = certificate::load(
            "usp.tls",
            Visits::Long,
            config.usp.tls.as_ref(),
            config,
            &core.own,
        )?;
        let settings = settings(config, addr).with_tls(certificate.tls.clone());
        listeners.tls = Some(bind(core, gate, "usp.tls_listen", settings).await?);
        tokio::spawn(certificate::keep_fresh(
            core.shutdown.clone(),
            core.limits.certificate_look_every,
            certificate.tls.clone(),
            issue,
        ));
        listeners.certificate = Some(certificate);
    }
    Ok(listeners)
}

fn settings(config: &Config, addr: SocketAddr) -> ListenerConfig {
    let mut settings = ListenerConfig::new(addr);
    settings
        .socket
        .uncounted_addresses
        .extend(&config.usp.proxies);
    settings
}

async fn bind(
    core: &Arc<Core>,
    gate: &Arc<Gate>,
    what: &'static str,
    mut settings: ListenerConfig,
) -> Result<SocketAddr, StartError> {
    settings.link = core.link_limits;
    settings.socket.handshake_time_max = core.limits.handshake_time_max;
    let addr = settings.socket.addr;
    let refusals = Arc::new(core.refusals.clone());
    let listener = Listener::bind(settings, gate.clone(), refusals)
        .await
        .map_err(|source| StartError::Bind { what, addr, source })?;
    let bound = listener.local_addr();
    tokio::spawn(accept(core.clone(), listener));
    Ok(bound)
}

async fn accept(core: Arc<Core>, mut listener: Listener<Gate>) {
    loop {
        let accepted = tokio::select! {
            () = core.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        tokio::spawn(link::run(
            core.clone(),
            accepted.link.into(),
            accepted.ticket,
            None,
        ));
    }
}
