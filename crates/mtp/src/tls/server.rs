//! The listening side: its certificate, and what it wants of its clients'.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier},
};

use super::{
    CertificateInfo, TlsError, believe, certificates, clients::Naming, describe, private_key,
    provider,
};
use crate::limits::TLS_SESSIONS_MAX;

/// What a listener does about client certificates (R-WS.22, R-SEC.9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is asked for.
    #[default]
    Ignored,
    /// One is asked for. A client without is let through, and its admission knows; one with a
    /// certificate from elsewhere is refused.
    Welcome {
        /// PEM file of the authorities that issue them.
        ca: PathBuf,
    },
    /// The same as soon as one of these files of authorities is there, and not asked for before: `ca` has to be there
    /// from the beginning, `pki` may come and go.
    Trusted {
        /// PEM file of the authorities that issue them.
        ca: Option<PathBuf>,
        /// PEM file of the authority for devices; those above it, which may follow in there, do not count.
        pki: PathBuf,
    },
    /// One is demanded, and it has to carry the endpoint id.
    Demanded {
        /// PEM file of the authorities that issue them.
        ca: PathBuf,
    },
}

/// The files of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTlsConfig {
    /// PEM file: the certificate, then its intermediates.
    pub certificate: PathBuf,
    /// PEM file: its private key.
    pub key: PathBuf,
    /// What to do about client certificates.
    pub clients: ClientCertificates,
}

/// The TLS of a listener, as its files were when last read.
#[derive(Debug)]
pub struct ServerTls {
    files: ServerTlsConfig,
    resumes: bool,
    current: RwLock<Loaded>,
    /// What the files looked like when they were last read.
    stamps: Mutex<Stamps>,
}

/// What tells a file from a newer one, for each file; `None` for one that is not there.
type Stamps = Vec<Option<(std::time::SystemTime, u64, u64)>>;

#[derive(Clone, Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    info: CertificateInfo,
    asks: bool,
}

impl ServerTls {
    /// Reads the files, for clients that stay connected: what they could resume is not kept.
    pub fn load(files: ServerTlsConfig) -> Result<Self, TlsError> {
        Self::new(files, false)
    }

    /// Reads the files, for clients that come again and again: they resume, which spares both ends
    /// the costly half of a handshake. TLS 1.3 and clients that know tickets carry what that needs
    /// themselves, good for 12 hours at most; for others it is kept here, of the last
    /// [`TLS_SESSIONS_MAX`]. A client certificate counts as it did in the first handshake, and after
    /// files were read anew everybody begins anew.
    pub fn resuming(files: ServerTlsConfig) -> Result<Self, TlsError> {
        Self::new(files, true)
    }

    fn new(files: ServerTlsConfig, resumes: bool) -> Result<Self, TlsError> {
        let stamps = Mutex::new(files.stamps());
        let current = RwLock::new(read(&files, resumes)?);
        Ok(Self {
            files,
            resumes,
            current,
            stamps,
        })
    }

    /// Reads the files again if they have changed since they were last read; true when they had.
    /// An error is told once for each change.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let now = self.files.stamps();
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if *stamps == now {
            return Ok(false);
        }
        *stamps = now;
        drop(stamps);
        self.reload().map(|_| true)
    }

    /// Reads the files again, for handshakes to come. When they cannot be used, what there was
    /// stays in use.
    pub fn reload(&self) -> Result<CertificateInfo, TlsError> {
        let loaded = read(&self.files, self.resumes)?;
        let info = loaded.info.clone();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(info)
    }

    /// The certificate in use.
    pub fn info(&self) -> CertificateInfo {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .info
            .clone()
    }

    /// What a handshake that begins now is made with.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .config
            .clone()
    }

    /// Whether clients are asked for a certificate.
    pub fn asks(&self) -> bool {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .asks
    }

    /// Whether clients have to show a certificate that names an endpoint id.
    pub fn demands_endpoint_id(&self) -> bool {
        matches!(self.files.clients, ClientCertificates::Demanded { .. })
    }
}

fn read(files: &ServerTlsConfig, resumes: bool) -> Result<Loaded, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key)?;
    let info = describe(&chain[0])?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let authorities = files.clients.authorities();
    let asks = !authorities.is_empty();
    let builder = match asks {
        false => builder.with_no_client_auth(),
        true => {
            let mut store = RootCertStore::empty();
            for ca in &authorities {
                believe(ca, files.clients.pki(), &mut store)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider());
            let verifier = match files.clients {
                ClientCertificates::Demanded { .. } => verifier,
                _ => verifier.allow_unauthenticated(),
            };
            let verifier = verifier
                .build()
                .map_err(|error| file(authorities[0], error.to_string()))?;
            builder.with_client_cert_verifier(Arc::new(Naming(verifier)))
        }
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let certificate = files.certificate.display();
            let reason = format!("it is not the key of the certificate in {certificate}");
            file(&files.key, reason)
        }
        other => file(&files.certificate, other.to_string()),
    })?;
    if resumes {
        config.session_storage = ServerSessionMemoryCache::new(TLS_SESSIONS_MAX);
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        config.send_tls13_tickets = 1;
    } else {
        // A session cache per listener is memory for what agents, connected for months, never use;
        // tickets save as little.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Loaded {
        config: Arc::new(config),
        info,
        asks,
    })
}

fn file(path: &Path, reason: String) -> TlsError {
    let path = path.display().to_string();
    TlsError::File { path, reason }
}

impl ClientCertificates {
    /// Every file that counts, or would if it were there.
    fn files(&self) -> Vec<&PathBuf> {
        match self {
            Self::Ignored => Vec::new(),
            Self::Welcome { ca } | Self::Demanded { ca } => vec![ca],
            Self::Trusted { ca, pki } => ca.iter().chain([pki]).collect(),
        }
    }

    /// The file of the authority for devices.
    fn pki(&self) -> Option<&Path> {
        match self {
            Self::Trusted { pki, .. } => Some(pki),
            _ => None,
        }
    }

    /// The files of authorities that count now.
    fn authorities(&self) -> Vec<&PathBuf> {
        let mut files = self.files();
        if let Self::Trusted { pki, .. } = self
            && !pki.exists()
        {
            files.pop();
        }
        files
    }
}

impl ServerTlsConfig {
    fn stamps(&self) -> Stamps {
        use std::os::unix::fs::MetadataExt;
        let files = [&self.certificate, &self.key].into_iter();
        let stamp = |path: &PathBuf| {
            let about = std::fs::metadata(path).ok()?;
            Some((about.modified().ok()?, about.len(), about.ino()))
        };
        files.chain(self.clients.files()).map(stamp).collect()
    }
}
