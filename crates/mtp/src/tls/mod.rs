//! TLS for the transports: 1.2 and 1.3 by rustls with the *ring* provider (R-MTP.0, R-WS.22).
//!
//! * [`ServerTls`]: certificate and key from files, reloaded on demand; client certificates wanted
//!   or not.
//! * [`ClientTls`]: which servers to believe, by the rules for agents (R-MTP.4).
//! * [`development`]: a certificate authority of one's own, made at the first start.
//!
//! Not here: USP's end-to-end security between records (`crate::e2e`), and roles by certificate.

mod certificate;
mod client;
mod clients;
pub mod development;
mod server;

use std::{path::Path, sync::Arc};

use rustls::crypto::CryptoProvider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

pub(crate) use certificate::parse;
pub use certificate::{CertificateInfo, certificate_ids, certificate_names, describe};
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
    /// The development certificate authority cannot do what was asked.
    #[error("development certificate authority: {0}")]
    Development(String),
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

pub(crate) fn roots(path: &Path, store: &mut rustls::RootCertStore) -> Result<(), TlsError> {
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| TlsError::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
    }
    Ok(())
}
