//! The certificate of a listener of devices: of the configuration, or of a development authority of
//! our own, and taken up anew when it was renewed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mtp::tls::authority::Authority;
use mtp::tls::development::{DevelopmentCa, Issued};
use mtp::tls::{ClientCertificates, ServerTls, ServerTlsConfig, TlsError};
use tokio_util::sync::CancellationToken;
use usp::EndpointId;

use crate::config::DeviceTls;
use crate::{Config, StartError};

/// The certificate of a listener with TLS.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// As it is in use.
    pub tls: Arc<ServerTls>,
    /// The file of the development authority that issued it, where it is one of ours.
    pub development: Option<PathBuf>,
}

impl Certificate {
    /// Whether devices are asked for theirs.
    pub fn asks(&self) -> bool {
        self.tls.asks()
    }
}

/// Makes the development certificate anew when it soon ends.
pub type Issue = Option<Box<dyn Fn() -> Result<Issued, TlsError> + Send>>;

/// Whether devices stay connected, or come again and again and may resume TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visits {
    /// They stay.
    Long,
    /// They come again and again.
    Short,
}

/// The certificate of the configuration (its key is `what`), or one of a development authority in
/// the data directory.
pub fn load(
    what: &str,
    visits: Visits,
    files: Option<&DeviceTls>,
    config: &Config,
    own: &EndpointId,
) -> Result<(Certificate, Issue), StartError> {
    let failed = |error: TlsError| StartError::Tls {
        what: what.to_owned(),
        message: error.to_string(),
    };
    let load = |certificate, key, clients| {
        let files = ServerTlsConfig {
            certificate,
            key,
            clients,
        };
        let tls = match visits {
            Visits::Long => ServerTls::load(files),
            Visits::Short => ServerTls::resuming(files),
        };
        tls.map(Arc::new).map_err(failed)
    };
    // Devices without one may still show a key; the path decides who needs one.
    let welcome = |ca| ClientCertificates::Trusted {
        ca,
        pki: Authority::certificate_file(&config.pki_folder()),
    };
    if let Some(tls) = files {
        let certificate = Certificate {
            tls: load(
                tls.certificate.clone(),
                tls.key.clone(),
                welcome(tls.client_ca.clone()),
            )?,
            development: None,
        };
        return Ok((certificate, None));
    }
    let ca = DevelopmentCa::open_or_create(&config.data_dir.join("development-ca"));
    let ca = ca.map_err(failed)?;
    let (names, own) = (names(config), own.clone());
    let issued = ca.server(&names, &own).map_err(failed)?;
    let certificate = Certificate {
        tls: load(issued.certificate, issued.key, welcome(None))?,
        development: Some(ca.certificate()),
    };
    Ok((certificate, Some(Box::new(move || ca.server(&names, &own)))))
}

/// Takes up a certificate that was renewed, without a restart: every link would have to be made
/// anew. One that cannot be used is told, and the old one stays.
pub async fn keep_fresh(
    shutdown: CancellationToken,
    every: Duration,
    tls: Arc<ServerTls>,
    issue: Issue,
) {
    let mut issue = issue;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(every) => {}
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

/// The names a development certificate is good for. All listeners have the same.
fn names(config: &Config) -> Vec<String> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    for url in [
        &config.usp.public_url,
        &config.mqtt.public_url,
        &config.cwmp.public_url,
        &config.files.public_url,
    ] {
        let host = url.as_ref().and_then(|url| {
            let uri: http::Uri = url.parse().ok()?;
            uri.host()
                .map(|host| host.trim_matches(['[', ']']).to_owned())
        });
        names.extend(host.filter(|host| !names.contains(host)));
    }
    names
}
