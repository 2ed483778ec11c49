//! A certificate authority for machines that have none yet: made at the first start, kept in the
//! data directory, good for trying everything over TLS.
//!
//! Not a PKI: no revocation, its key lies beside its certificate. A production listener gets its
//! certificate from files that somebody else renews.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};
use usp::EndpointId;

use super::{TlsError, certificates, describe, file_error, text, write_private, write_whole};

/// How long the authority lives: longer than the trial of a product.
const CA_DAYS: i64 = 3650;
/// How long what it issues lives: the most common clients accept.
const LEAF_DAYS: i64 = 397;
/// A leaf that ends within this time is replaced at the next start.
const RENEW_DAYS: i64 = 30;

/// The development certificate authority in one directory.
#[derive(Debug)]
pub struct DevelopmentCa {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM form, both also in files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The key's file, readable by its owner only.
    pub key: PathBuf,
}

impl DevelopmentCa {
    /// Opens the authority of `dir`, and makes it first if there is none.
    pub fn open_or_create(dir: &Path) -> Result<Self, TlsError> {
        fs::create_dir_all(dir).map_err(|error| file_error(dir, &error))?;
        let (certificate, key) = (dir.join("ca.pem"), dir.join("ca.key"));
        if !certificate.exists() || !key.exists() {
            let pair = KeyPair::generate().map_err(failed)?;
            let made = ca_params()?.self_signed(&pair).map_err(failed)?;
            write_private(&key, &pair.serialize_pem())?;
            write_whole(&certificate, &made.pem())?;
        }
        let pair = KeyPair::from_pem(&text(&key)?).map_err(failed)?;
        let issuer = Issuer::from_ca_cert_pem(&text(&certificate)?, pair).map_err(failed)?;
        Ok(Self {
            dir: dir.to_owned(),
            issuer,
        })
    }

    /// The authority's certificate: what the other side has to believe.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// A certificate for a listener: its DNS names and addresses, and the endpoint id, so that
    /// agents find one they accept whichever way they check (R-MTP.4). Kept in `server.pem` and
    /// `server.key`, and made anew when something else is asked for or it soon ends.
    pub fn server(&self, names: &[String], eid: &EndpointId) -> Result<Issued, TlsError> {
        self.issued("server", names, eid, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client, kept in `<file>.pem` and `<file>.key`.
    pub fn client(&self, file: &str, eid: &EndpointId) -> Result<Issued, TlsError> {
        self.issued(file, &[], eid, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issued(
        &self,
        name: &str,
        names: &[String],
        eid: &EndpointId,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Issued, TlsError> {
        let issued = Issued {
            certificate: self.dir.join(format!("{name}.pem")),
            key: self.dir.join(format!("{name}.key")),
        };
        if !still_good(&issued, names, eid) {
            let pair = KeyPair::generate().map_err(failed)?;
            let params = leaf_params(names, eid, usage)?;
            let made = params.signed_by(&pair, &self.issuer).map_err(failed)?;
            write_private(&issued.key, &pair.serialize_pem())?;
            write_whole(&issued.certificate, &made.pem())?;
        }
        Ok(issued)
    }
}

fn ca_params() -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Headend development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, CA_DAYS);
    Ok(params)
}

fn leaf_params(
    names: &[String],
    eid: &EndpointId,
    usage: ExtendedKeyUsagePurpose,
) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params
        .distinguished_name
        .push(DnType::CommonName, eid.to_string());
    // R-SEC.0a
    params
        .subject_alt_names
        .push(SanType::URI(eid.to_urn().try_into().map_err(failed)?));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, LEAF_DAYS);
    Ok(params)
}

fn valid(params: &mut CertificateParams, days: i64) {
    // An hour back, for devices whose clock is a little slow.
    params.not_before = OffsetDateTime::now_utc() - Duration::HOUR;
    params.not_after = params.not_before + Duration::days(days);
}

fn still_good(issued: &Issued, names: &[String], eid: &EndpointId) -> bool {
    let Ok(chain) = certificates(&issued.certificate) else {
        return false;
    };
    let Ok(info) = describe(&chain[0]) else {
        return false;
    };
    let renew_at = info.not_after - Duration::days(RENEW_DAYS).whole_seconds();
    issued.key.exists()
        && info.names == names
        && info.endpoint_ids == std::slice::from_ref(eid)
        && OffsetDateTime::now_utc().unix_timestamp() < renew_at
}

fn failed(error: impl std::fmt::Display) -> TlsError {
    TlsError::Authority(error.to_string())
}
