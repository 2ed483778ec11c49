//! The certificate authority for devices: made by us, or the operator's own. It lies in a folder, its certificate in
//! `ca.pem` and its key in `ca.key`; an authority whose key is elsewhere is believed and issues nothing.
//!
//! Not here: which certificates were issued, whose they are and which were revoked; the store knows that.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rand::Rng as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use time::{Duration, OffsetDateTime};
use usp::EndpointId;

use super::{
    CertificateInfo, TlsError, certificates, describe, file_error, fingerprint, key, parse, text,
    write_private, write_whole,
};

/// The file of the certificate, and of those above it.
const CERTIFICATE: &str = "ca.pem";
/// The file of the key.
const KEY: &str = "ca.key";

/// Bytes of a serial number: 128 random bits, as browsers' authorities have them.
const SERIAL_BYTES: usize = 16;

/// An authority for devices.
#[derive(Debug)]
pub struct Authority {
    /// Its certificate, in words.
    pub info: CertificateInfo,
    /// Its certificate in PEM form, and those above it where they are known.
    pub pem: String,
    issuer: Option<Issuer<'static, KeyPair>>,
}

/// Whose key a certificate is for.
#[derive(Clone, Copy, Debug)]
pub enum KeyOf<'a> {
    /// One that is made here and given away with the certificate.
    Fresh,
    /// That of a signing request (PKCS #10, PEM); its names do not count.
    Request(&'a str),
    /// That of an earlier certificate (PEM): it is renewed.
    Certificate(&'a str),
}

/// A certificate that was issued.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaf {
    /// In PEM form.
    pub pem: String,
    /// Its key in PEM form, where it was made here. Kept nowhere else.
    pub key: Option<String>,
    /// See [`fingerprint`].
    pub fingerprint: [u8; 32],
    /// In words.
    pub info: CertificateInfo,
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaf")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Leaf {
    /// A certificate that was issued elsewhere; of a chain the first one.
    pub fn of_pem(pem: &str) -> Result<Self, TlsError> {
        let first = first(pem)?;
        Ok(Self {
            fingerprint: fingerprint(&first),
            info: describe(&first)?,
            pem: pem.to_owned(),
            key: None,
        })
    }

    /// Whether it is for the same key as another one.
    pub fn has_key_of(&self, other: &Self) -> Result<bool, TlsError> {
        let (one, other) = (first(&self.pem)?, first(&other.pem)?);
        Ok(parse(&one)?.public_key().raw == parse(&other)?.public_key().raw)
    }
}

impl Authority {
    /// Where the certificate of an authority in this folder lies.
    pub fn certificate_file(folder: &Path) -> PathBuf {
        folder.join(CERTIFICATE)
    }

    /// Makes an authority with this name that lives for so many days. One that is there is never overwritten.
    pub fn create(folder: &Path, name: &str, days: u32) -> Result<Self, TlsError> {
        vacant(folder)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid(&mut params, days);
        let pair = KeyPair::generate().map_err(failed)?;
        let made = params.self_signed(&pair).map_err(failed)?;
        // The key first: without its certificate it is nothing.
        write_private(&folder.join(KEY), &pair.serialize_pem())?;
        write_whole(&folder.join(CERTIFICATE), &made.pem())?;
        Self::load(folder)
    }

    /// Takes over an authority of the operator: its certificate, and its key where it is to issue here.
    pub fn import(folder: &Path, certificate: &Path, key: Option<&Path>) -> Result<Self, TlsError> {
        vacant(folder)?;
        let chain = certificates(certificate)?;
        let parsed = parse(&chain[0])?;
        if !parsed.is_ca() {
            let reason = "its certificate is not that of an authority (basic constraints)";
            return Err(file_error(certificate, &reason));
        }
        if let Some(key) = key {
            let pair = KeyPair::from_pem(&text(key)?).map_err(|error| file_error(key, &error))?;
            if pair.der_bytes() != parsed.public_key().subject_public_key.data.as_ref() {
                let certificate = certificate.display();
                let reason = format!("it is not the key of the certificate in {certificate}");
                return Err(file_error(key, &reason));
            }
            write_private(&folder.join(KEY), &text(key)?)?;
        }
        write_whole(&folder.join(CERTIFICATE), &text(certificate)?)?;
        Self::load(folder)
    }

    /// The authority of this folder; `None` where there is none.
    pub fn open(folder: &Path) -> Result<Option<Self>, TlsError> {
        match folder.join(CERTIFICATE).exists() {
            true => Self::load(folder).map(Some),
            false => Ok(None),
        }
    }

    fn load(folder: &Path) -> Result<Self, TlsError> {
        let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
        let chain = certificates(&certificate)?;
        let issuer = match key.exists() {
            true => {
                let pair =
                    KeyPair::from_pem(&text(&key)?).map_err(|error| file_error(&key, &error))?;
                Some(Issuer::from_ca_cert_der(&chain[0], pair).map_err(failed)?)
            }
            false => None,
        };
        Ok(Self {
            info: describe(&chain[0])?,
            pem: text(&certificate)?,
            issuer,
        })
    }

    /// Whether its key is here.
    pub fn can_issue(&self) -> bool {
        self.issuer.is_some()
    }

    /// A certificate for an endpoint, for both sides of TLS, from an hour back (clocks differ) and for so many days, at
    /// the most for as long as the authority lives (R-SEC.0a).
    pub fn issue(&self, eid: &EndpointId, days: u32, of: KeyOf<'_>) -> Result<Leaf, TlsError> {
        let issuer = self.issuer.as_ref().ok_or_else(|| {
            TlsError::Authority("the key of the authority is not here, so it issues nothing".into())
        })?;
        if self.info.not_after <= OffsetDateTime::now_utc().unix_timestamp() {
            return Err(TlsError::Expired(self.info.not_after));
        }
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, eid.to_string());
        let urn = eid.to_urn().try_into().map_err(failed)?;
        params.subject_alt_names.push(SanType::URI(urn));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        // Not of the key, as it would be by itself: a renewed certificate is another one.
        let mut serial: [u8; SERIAL_BYTES] = rand::rng().random();
        // Positive, and never shorter.
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        valid(&mut params, days);
        let end = OffsetDateTime::from_unix_timestamp(self.info.not_after).map_err(failed)?;
        params.not_after = params.not_after.min(end);
        let (made, key) = match of {
            KeyOf::Fresh => {
                let pair = KeyPair::generate().map_err(failed)?;
                (params.signed_by(&pair, issuer), Some(pair.serialize_pem()))
            }
            KeyOf::Request(pem) => (params.signed_by(&key::of_request(pem)?, issuer), None),
            KeyOf::Certificate(pem) => {
                let first = first(pem)?;
                let key = key::of(parse(&first)?.public_key()).map_err(TlsError::Certificate)?;
                (params.signed_by(&key, issuer), None)
            }
        };
        let made = made.map_err(failed)?;
        Ok(Leaf {
            fingerprint: fingerprint(made.der()),
            info: describe(made.der())?,
            pem: made.pem(),
            key,
        })
    }
}

fn first(pem: &str) -> Result<CertificateDer<'static>, TlsError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| TlsError::Certificate("there is no certificate in PEM form".to_owned()))
}

/// A folder that its owner alone may look into, without an authority.
fn vacant(folder: &Path) -> Result<(), TlsError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(|error| file_error(folder, &error))?;
    for name in [CERTIFICATE, KEY] {
        let path = folder.join(name);
        if path.exists() {
            let reason = "there is an authority already; every certificate it has issued ends with it, so it is not \
                          overwritten";
            return Err(file_error(&path, &reason));
        }
    }
    Ok(())
}

fn valid(params: &mut CertificateParams, days: u32) {
    params.not_before = OffsetDateTime::now_utc() - Duration::HOUR;
    params.not_after = params.not_before + Duration::days(i64::from(days));
}

fn failed(error: impl std::fmt::Display) -> TlsError {
    TlsError::Authority(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const DAYS: u32 = 397;

    fn eid() -> EndpointId {
        EndpointId::parse("os::00256D-S1").unwrap()
    }

    fn mode(path: PathBuf) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn public_key(pem: &str) -> Vec<u8> {
        let first = first(pem).unwrap();
        parse(&first).unwrap().public_key().raw.to_vec()
    }

    #[test]
    fn an_authority_is_made_once_and_nobody_else_reads_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pki");
        assert!(Authority::open(&folder).unwrap().is_none());
        let made = Authority::create(&folder, "ours", 3650).unwrap();
        assert!(made.can_issue());
        assert_eq!(
            (mode(folder.join(KEY)), mode(folder.clone())),
            (0o600, 0o700)
        );
        let error = Authority::create(&folder, "again", 1).unwrap_err();
        assert!(
            error.to_string().contains("there is an authority already"),
            "{error}"
        );
        assert_eq!(Authority::open(&folder).unwrap().unwrap().pem, made.pem);
    }

    #[test]
    fn what_it_issues_names_the_endpoint_and_ends_before_the_authority() {
        // R-SEC.0a
        let dir = tempfile::tempdir().unwrap();
        let made = Authority::create(dir.path(), "ours", 30).unwrap();
        let leaf = made.issue(&eid(), DAYS, KeyOf::Fresh).unwrap();
        assert_eq!(leaf.info.endpoint_ids, [eid()]);
        assert!(leaf.info.not_after <= made.info.not_after);
        assert!(KeyPair::from_pem(&leaf.key.unwrap()).is_ok());
    }

    #[test]
    fn an_authority_that_has_ended_issues_nothing_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let made = Authority::create(dir.path(), "ours", 0).unwrap();
        let error = made.issue(&eid(), DAYS, KeyOf::Fresh).unwrap_err();
        assert!(error.to_string().contains("has ended on"), "{error}");
    }

    #[test]
    fn a_renewed_certificate_has_the_same_key_and_another_serial_number() {
        let dir = tempfile::tempdir().unwrap();
        let made = Authority::create(dir.path(), "ours", 3650).unwrap();
        let old = made.issue(&eid(), DAYS, KeyOf::Fresh).unwrap();
        let new = made
            .issue(&eid(), DAYS, KeyOf::Certificate(&old.pem))
            .unwrap();
        assert_eq!(public_key(&new.pem), public_key(&old.pem));
        assert_ne!(new.info.serial, old.info.serial);
        assert!(new.has_key_of(&old).unwrap());
        let other = made.issue(&eid(), DAYS, KeyOf::Fresh).unwrap();
        assert!(!other.has_key_of(&old).unwrap());
        assert!(new.key.is_none());
    }

    #[test]
    fn a_signing_request_gets_our_names_and_not_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let made = Authority::create(dir.path(), "ours", 3650).unwrap();
        let pair = KeyPair::generate().unwrap();
        let wanted = CertificateParams::new(vec!["everything.example".to_owned()]).unwrap();
        let request = wanted.serialize_request(&pair).unwrap().pem().unwrap();
        let leaf = made.issue(&eid(), DAYS, KeyOf::Request(&request)).unwrap();
        assert_eq!(leaf.info.endpoint_ids, [eid()]);
        assert!(leaf.info.names.is_empty(), "{:?}", leaf.info.names);
        assert!(
            made.issue(&eid(), DAYS, KeyOf::Request("nonsense"))
                .is_err()
        );
    }

    #[test]
    fn an_authority_of_the_operator_is_taken_over_with_its_key_or_only_believed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        Authority::create(&at("theirs"), "theirs", 3650).unwrap();
        Authority::create(&at("other"), "other", 3650).unwrap();
        let (certificate, key) = (at("theirs/ca.pem"), at("theirs/ca.key"));
        let wrong = Authority::import(&at("a"), &certificate, Some(&at("other/ca.key")));
        let wrong = wrong.unwrap_err().to_string();
        assert!(wrong.contains("it is not the key of"), "{wrong}");
        let taken = Authority::import(&at("a"), &certificate, Some(&key)).unwrap();
        assert!(taken.issue(&eid(), DAYS, KeyOf::Fresh).is_ok());
        assert_eq!(mode(at("a/ca.key")), 0o600);
        let believed = Authority::import(&at("b"), &certificate, None).unwrap();
        assert!(!believed.can_issue());
        assert!(believed.issue(&eid(), DAYS, KeyOf::Fresh).is_err());
        let leaf = taken.issue(&eid(), DAYS, KeyOf::Fresh).unwrap();
        fs::write(at("leaf.pem"), leaf.pem).unwrap();
        let none = Authority::import(&at("c"), &at("leaf.pem"), None).unwrap_err();
        assert!(none.to_string().contains("not that of an authority"));
    }
}
