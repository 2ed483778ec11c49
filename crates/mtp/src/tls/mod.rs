//! TLS for the transports: 1.2 and 1.3 by rustls with the *ring* provider (R-MTP.0, R-WS.22).
//!
//! * [`ServerTls`]: certificate and key from files, reloaded on demand; client certificates wanted
//!   or not.
//! * [`ClientTls`]: which servers to believe, by the rules for agents (R-MTP.4).
//! * [`authority`]: the certificate authority for devices.
//! * [`development`]: a certificate authority of one's own, made at the first start.
//!
//! Not here: USP's end-to-end security between records (`crate::e2e`), and roles by certificate.

pub mod authority;
mod certificate;
mod client;
mod clients;
pub mod development;
mod key;
mod server;

use std::{path::Path, sync::Arc};

use rustls::crypto::CryptoProvider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

pub(crate) use certificate::parse;
pub use certificate::{CertificateInfo, certificate_ids, certificate_names, describe, fingerprint};
pub use client::{ClientTls, ClientTlsConfig, Roots};
pub use clients::accept;
pub use server::{ClientCertificates, ServerTls, ServerTlsConfig};

use crate::limits::PEM_FILE_BYTES_MAX;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A file does not hold what it should.
    #[error("{path} holds no {wanted}")]
    Missing {
        /// Which file.
        path: String,
        /// What it should hold.
        wanted: &'static str,
    },
    /// A certificate cannot be understood.
    #[error("certificate: {0}")]
    Certificate(String),
    /// rustls does not accept the combination, for example a key of another certificate.
    #[error("{0}")]
    Rejected(#[from] rustls::Error),
    /// The certificate authority itself is over.
    #[error("the authority for devices has ended on {}: what it issues opens nothing any more", day(*.0))]
    Expired(i64),
    /// A certificate authority of ours cannot do what was asked.
    #[error("certificate authority: {0}")]
    Authority(String),
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The day of a time in seconds since the Unix epoch, for people.
pub fn day(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| "?".to_owned(), |at| at.date().to_string())
}

/// Reads a file of at most [`PEM_FILE_BYTES_MAX`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let name = path.display().to_string();
    let failed = |reason: String| TlsError::File {
        path: name.clone(),
        reason,
    };
    let size = std::fs::metadata(path)
        .map_err(|error| failed(error.to_string()))?
        .len();
    if size > PEM_FILE_BYTES_MAX {
        let reason = format!("limit PEM_FILE_BYTES_MAX: larger than {PEM_FILE_BYTES_MAX} bytes");
        return Err(failed(reason));
    }
    std::fs::read(path).map_err(|error| failed(error.to_string()))
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(TlsError::Missing {
            path: path.display().to_string(),
            wanted: "certificate in PEM form",
        }),
    }
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| TlsError::Missing {
        path: path.display().to_string(),
        wanted: "private key in PEM form",
    })
}

/// Believes each authority of a file. Of that of `pki`, the authority for devices, those above it do not count, which may
/// follow in there: they issue for others than devices as well.
pub(crate) fn believe(
    path: &Path,
    pki: Option<&Path>,
    store: &mut rustls::RootCertStore,
) -> Result<(), TlsError> {
    let mut all = certificates(path)?;
    if pki.is_some_and(|pki| is_same(path, pki)) {
        all.truncate(1);
    }
    for certificate in all {
        store
            .add(certificate)
            .map_err(|error| file_error(path, &error))?;
    }
    Ok(())
}

/// Whether two paths lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let of = |path| std::fs::metadata(path).map(|file| (file.dev(), file.ino()));
    matches!((of(one), of(other)), (Ok(one), Ok(other)) if one == other)
}

/// The text of a file of at most [`PEM_FILE_BYTES_MAX`].
pub(crate) fn text(path: &Path) -> Result<String, TlsError> {
    String::from_utf8(read(path)?).map_err(|error| file_error(path, &error))
}

/// Writes beside the file and renames, so that a crash leaves the old one or the new one.
pub(crate) fn write_whole(path: &Path, content: &str) -> Result<(), TlsError> {
    write_with(path, content, 0o644)
}

/// The same for what nobody but its owner may read.
pub fn write_private(path: &Path, content: &str) -> Result<(), TlsError> {
    write_with(path, content, 0o600)
}

fn write_with(path: &Path, content: &str, mode: u32) -> Result<(), TlsError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = path.with_extension("new");
    let write = || {
        let _ = std::fs::remove_file(&beside);
        let mut options = std::fs::OpenOptions::new();
        let mut out = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        out.write_all(content.as_bytes())?;
        out.sync_all()?;
        std::fs::rename(&beside, path)?;
        // Else a power cut may bring the old one back after its end.
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|error: std::io::Error| file_error(path, &error))
}

pub(crate) fn file_error(path: &Path, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        path: path.display().to_string(),
        reason: reason.to_string(),
    }
}
