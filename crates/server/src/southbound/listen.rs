//! The listeners of devices: plaintext and TLS, each with its accept loop.

use std::net::SocketAddr;
use std::sync::Arc;

use mtp::tls::development::DevelopmentCa;
use mtp::tls::{ClientCertificates, ServerTls, ServerTlsConfig};
use mtp::ws::{Listener, ListenerConfig};

use super::adapter::Core;
use super::admission::Gate;
use super::link;
use crate::{Config, StartError};

/// Where devices connect.
pub struct Listeners {
    /// Without TLS.
    pub plain: Option<SocketAddr>,
    /// With TLS.
    pub tls: Option<SocketAddr>,
}

/// Binds what the configuration wants.
pub async fn start(core: &Arc<Core>, config: &Config) -> Result<Listeners, StartError> {
    let gate = Arc::new(Gate::new(core.clone()));
    let mut listeners = Listeners {
        plain: None,
        tls: None,
    };
    if let Some(addr) = config.usp.listen {
        listeners.plain = Some(bind(core, &gate, "usp.listen", ListenerConfig::new(addr)).await?);
    }
    if let Some(addr) = config.usp.tls_listen {
        let tls = Arc::new(tls(core, config)?);
        let settings = ListenerConfig::new(addr).with_tls(tls);
        listeners.tls = Some(bind(core, &gate, "usp.tls_listen", settings).await?);
    }
    Ok(listeners)
}

async fn bind(
    core: &Arc<Core>,
    gate: &Arc<Gate>,
    what: &'static str,
    mut settings: ListenerConfig,
) -> Result<SocketAddr, StartError> {
    settings.link = core.link_limits;
    let addr = settings.addr;
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
            accepted.link,
            accepted.ticket,
            None,
        ));
    }
}

/// The certificate of the configuration, or one of a development authority in the data directory.
fn tls(core: &Core, config: &Config) -> Result<ServerTls, StartError> {
    let (certificate, key, client_ca) = match &config.usp.tls {
        Some(tls) => (
            tls.certificate.clone(),
            tls.key.clone(),
            tls.client_ca.clone(),
        ),
        None => {
            let dir = config.data_dir.join("development-ca");
            let failed = |error: mtp::tls::TlsError| StartError::Tls {
                file: dir.display().to_string(),
                message: error.to_string(),
            };
            let ca = DevelopmentCa::open_or_create(&dir).map_err(failed)?;
            let issued = ca.server(&names(config), &core.own).map_err(failed)?;
            (issued.certificate, issued.key, None)
        }
    };
    let file = certificate.display().to_string();
    let clients = client_ca.map_or(ClientCertificates::Ignored, |ca| {
        // Devices without one may still show a token; the path decides who needs one.
        ClientCertificates::Welcome { ca }
    });
    ServerTls::load(ServerTlsConfig {
        certificate,
        key,
        clients,
    })
    .map_err(|error| StartError::Tls {
        file,
        message: error.to_string(),
    })
}

/// The names a development certificate is good for.
fn names(config: &Config) -> Vec<String> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let host = config.usp.public_url.as_ref().and_then(|url| {
        let uri: http::Uri = url.parse().ok()?;
        uri.host()
            .map(|host| host.trim_matches(['[', ']']).to_owned())
    });
    names.extend(host.filter(|host| !names.contains(host)));
    names
}
