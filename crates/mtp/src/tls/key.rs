//! Which keys of devices are certified: those that TLS, here and at its peers, takes. What is refused is named, with
//! what is taken.

use rcgen::SubjectPublicKeyInfo;
use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject};
use x509_parser::{
    certification_request::X509CertificationRequest,
    error::X509Error,
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
        OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA, OID_SIG_ED25519,
    },
    prelude::FromDer,
    public_key::PublicKey,
    x509,
};

use super::TlsError;
use crate::limits::{RSA_BITS_MAX, RSA_BITS_MIN};

/// The key of a signing request (PKCS #10, PEM) that is good, and signed by whoever has that key. Its names do not count.
pub(super) fn of_request(pem: &str) -> Result<SubjectPublicKeyInfo, TlsError> {
    let refused = |why: String| TlsError::Certificate(format!("the signing request: {why}"));
    // As some tools have it.
    let pem = pem.replace(" NEW CERTIFICATE REQUEST-", " CERTIFICATE REQUEST-");
    let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| refused("there is none in PEM form".to_owned()))?;
    let (_, request) = X509CertificationRequest::from_der(&der)
        .map_err(|_| refused("it cannot be read (PKCS #10)".to_owned()))?;
    let key = of(&request.certification_request_info.subject_pki).map_err(refused)?;
    let signed_with = &request.signature_algorithm.algorithm;
    if [OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA].contains(signed_with) {
        return Err(refused("it is signed with SHA-1".to_owned()));
    }
    request.verify_signature().map_err(|error| {
        refused(match error {
            X509Error::SignatureVerificationError => {
                "it is not signed by the key that it is for".to_owned()
            }
            _ => format!("what it is signed with ({signed_with}) is not known here"),
        })
    })?;
    Ok(key)
}

/// A key that is good, else what is wrong with it.
pub(super) fn of(key: &x509::SubjectPublicKeyInfo<'_>) -> Result<SubjectPublicKeyInfo, String> {
    let kind = &key.algorithm.algorithm;
    if *kind == OID_PKCS1_RSAENCRYPTION {
        let bits = match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => bits(rsa.modulus),
            _ => return Err("its RSA key cannot be read".to_owned()),
        };
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(format!(
                "its RSA key has {bits} bits; {RSA_BITS_MIN} to {RSA_BITS_MAX} are taken"
            ));
        }
    } else if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref();
        let curve = curve.and_then(|curve| curve.as_oid().ok());
        match curve {
            Some(curve) if curve == OID_EC_P256 || curve == OID_NIST_EC_P384 => {}
            Some(curve) => {
                return Err(format!(
                    "its key is on the curve {curve}; P-256 and P-384 are taken"
                ));
            }
            None => {
                return Err("its key names no curve; P-256 and P-384 are taken".to_owned());
            }
        }
    } else if *kind != OID_SIG_ED25519 {
        return Err(format!(
            "its key is of the kind {kind}; ECDSA (P-256, P-384), Ed25519 and RSA are taken"
        ));
    }
    SubjectPublicKeyInfo::from_der(key.raw).map_err(|error| error.to_string())
}

/// Of a number, most significant byte first.
fn bits(number: &[u8]) -> usize {
    let Some(first) = number.iter().position(|byte| *byte != 0) else {
        return 0;
    };
    8 * (number.len() - first) - number[first].leading_zeros() as usize
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};

    use super::*;

    /// What is wrong with a request; made with `openssl req -new -newkey`.
    fn wrong(pem: &str) -> String {
        of_request(pem).err().unwrap().to_string()
    }

    fn requested(pair: &KeyPair) -> String {
        let params = CertificateParams::default();
        params.serialize_request(pair).unwrap().pem().unwrap()
    }

    #[test]
    fn requests_for_keys_that_tls_takes_are_good() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
        ] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let pem = requested(&pair);
            assert_eq!(of_request(&pem).unwrap().der_bytes(), pair.der_bytes());
            let pem = pem.replace("CERTIFICATE REQ", "NEW CERTIFICATE REQ");
            assert!(of_request(&pem).is_ok());
        }
        for good in ["rsa2048", "p384-sha256"] {
            of_request(&kept(good)).unwrap();
        }
    }

    /// The request of this name in the corpus.
    fn kept(name: &str) -> String {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/requests");
        std::fs::read_to_string(format!("{folder}/{name}.pem")).unwrap()
    }

    #[test]
    fn weak_keys_and_those_that_no_peer_takes_are_refused_by_name() {
        for (name, why) in [
            ("rsa1024", "RSA key has 1024 bits; 2048 to 8192"),
            ("rsa2047", "RSA key has 2047 bits; 2048 to 8192"),
            ("p521", "curve 1.3.132.0.35; P-256 and P-384"),
            ("p192", "curve 1.2.840.10045.3.1.1; P-256 and P-384"),
            ("ed448", "kind 1.3.101.113; ECDSA"),
            ("sha1", "signed with SHA-1"),
        ] {
            let wrong = wrong(&kept(name));
            assert!(wrong.contains(why), "{name}: {wrong}");
        }
    }

    #[test]
    fn a_request_that_is_not_signed_by_its_own_key_is_refused() {
        let pem = requested(&KeyPair::generate().unwrap());
        // Of the last line one character, which is of the signature.
        let (text, end) = pem.split_once("-----END").unwrap();
        let (text, line) = text.trim_end().rsplit_once('\n').unwrap();
        let at = line.trim_end_matches('=').len() - 4;
        let other = if line.as_bytes()[at] == b'A' {
            'B'
        } else {
            'A'
        };
        let line = format!("{}{other}{}", &line[..at], &line[at + 1..]);
        let wrong = wrong(&format!("{text}\n{line}\n-----END{end}"));
        assert!(wrong.contains("not signed by the key"), "{wrong}");
    }

    #[test]
    fn what_is_no_request_is_refused_by_name() {
        let request = requested(&KeyPair::generate().unwrap());
        let other = request.replace("CERTIFICATE REQUEST", "CERTIFICATE");
        for none in ["", "nonsense", &other] {
            assert!(wrong(none).contains("none in PEM form"), "{none}");
        }
        let garbage = "-----BEGIN CERTIFICATE REQUEST-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE REQUEST-----\n";
        assert!(wrong(garbage).contains("cannot be read"));
    }
}
