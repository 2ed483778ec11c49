//! The listeners of devices: plaintext and TLS, each with its accept loop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use mtp::tls::development::{DevelopmentCa, Issued};
use mtp::tls::{ClientCertificates, ServerTls, ServerTlsConfig, TlsError};
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
    /// The certificate of the listener with TLS.
    pub certificate: Option<Certificate>,
}

/// The certificate of the listener with TLS.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// As it is in use.
    pub tls: Arc<ServerTls>,
    /// The file of the development authority that issued it, where it is one of ours.
    pub development: Option<PathBuf>,
    /// Client certificates are asked for.
    pub clients: bool,
}

/// Binds what the configuration wants.
pub async fn start(core: &Arc<Core>, config: &Config) -> Result<Listeners, StartError> {
    let gate = Arc::new(Gate::new(core.clone()));
    let mut listeners = Listeners {
        plain: None,
        tls: None,
        certificate: None,
    };
    if let Some(addr) = config.usp.listen {
        listeners.plain = Some(bind(core, &gate, "usp.listen", settings(config, addr)).await?);
    }
    if let Some(addr) = config.usp.tls_listen {
        let (certificate, issue) = certificate(core, config)?;
        let settings = settings(config, addr).with_tls(certificate.tls.clone());
        listeners.tls = Some(bind(core, &gate, "usp.tls_listen", settings).await?);
        tokio::spawn(keep_fresh(core.clone(), certificate.tls.clone(), issue));
        listeners.certificate = Some(certificate);
    }
    Ok(listeners)
}

fn settings(config: &Config, addr: SocketAddr) -> ListenerConfig {
    let mut settings = ListenerConfig::new(addr);
    settings.uncounted_addresses.extend(&config.usp.proxies);
    settings
}

async fn bind(
    core: &Arc<Core>,
    gate: &Arc<Gate>,
    what: &'static str,
    mut settings: ListenerConfig,
) -> Result<SocketAddr, StartError> {
    settings.link = core.link_limits;
    settings.handshake_time_max = core.limits.handshake_time_max;
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

/// Makes the development certificate anew when it soon ends.
type Issue = Option<Box<dyn Fn() -> Result<Issued, TlsError> + Send>>;

/// The certificate of the configuration, or one of a development authority in the data directory.
fn certificate(core: &Core, config: &Config) -> Result<(Certificate, Issue), StartError> {
    let failed = |error: TlsError| StartError::Tls {
        what: "usp.tls".to_owned(),
        message: error.to_string(),
    };
    let load = |certificate, key, clients| {
        let files = ServerTlsConfig {
            certificate,
            key,
            clients,
        };
        ServerTls::load(files).map(Arc::new).map_err(failed)
    };
    if let Some(tls) = &config.usp.tls {
        let clients = tls.client_ca.clone();
        let clients = clients.map_or(ClientCertificates::Ignored, |ca| {
            // Devices without one may still show a token; the path decides who needs one.
            ClientCertificates::Welcome { ca }
        });
        let certificate = Certificate {
            tls: load(tls.certificate.clone(), tls.key.clone(), clients)?,
            development: None,
            clients: tls.client_ca.is_some(),
        };
        return Ok((certificate, None));
    }
    let ca = DevelopmentCa::open_or_create(&config.data_dir.join("development-ca"));
    let ca = ca.map_err(failed)?;
    let (names, own) = (names(config), core.own.clone());
    let issued = ca.server(&names, &own).map_err(failed)?;
    let certificate = Certificate {
        tls: load(issued.certificate, issued.key, ClientCertificates::Ignored)?,
        development: Some(ca.certificate()),
        clients: false,
    };
    Ok((certificate, Some(Box::new(move || ca.server(&names, &own)))))
}

/// Takes up a certificate that was renewed, without a restart: every link would have to be made
/// anew. One that cannot be used is told, and the old one stays.
async fn keep_fresh(core: Arc<Core>, tls: Arc<ServerTls>, issue: Issue) {
    let mut issue = issue;
    loop {
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            () = tokio::time::sleep(core.limits.certificate_look_every) => {}
        }
        let again = tls.clone();
        let look = tokio::task::spawn_blocking(move || {
            let issued = issue.as_ref().map_or(Ok(()), |issue| issue().map(drop));
            (issued.and_then(|()| again.refresh()), issue)
        });
        let Ok((outcome, given_back)) = look.await else {
            return;
        };
        issue = given_back;
        match outcome {
            Ok(false) => {}
            Ok(true) => {
                let certificate = tls.info();
                tracing::info!(%certificate, "the device listener has a new certificate");
            }
            Err(error) => {
                tracing::warn!(%error, "the new certificate of the device listener cannot be used; the old one stays");
            }
        }
    }
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
