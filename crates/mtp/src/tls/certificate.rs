//! What a certificate says: its names, its endpoint ids (R-SEC.0a), its dates.

use rustls_pki_types::CertificateDer;
use usp::EndpointId;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use super::TlsError;
use crate::limits::CERTIFICATE_IDS_MAX;

/// A certificate in words, for configuration checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The DNS names and addresses it is for.
    pub names: Vec<String>,
    /// The endpoint ids it is for.
    pub endpoint_ids: Vec<EndpointId>,
    /// Valid from, seconds since the Unix epoch.
    pub not_before: i64,
    /// Valid until, seconds since the Unix epoch.
    pub not_after: i64,
    /// Its subject, as text.
    pub subject: String,
    /// Its issuer, as text.
    pub issuer: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
}

/// What tells a certificate from every other one: the SHA-256 of it as it goes over the wire.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, certificate).as_ref());
    out
}

/// The endpoint ids a certificate is for: each `urn:bbf:usp:id:` among its subject alternative
/// names; where there is none, its DNS names as ids of the scheme `fqdn`. The common name does not
/// count, and wildcards of shared certificates are not supported (R-SEC.12).
pub fn certificate_ids(certificate: &CertificateDer<'_>) -> Result<Vec<EndpointId>, TlsError> {
    Ok(ids(&parse(certificate)?))
}

/// Every name that a certificate is for, as text: the common names of its subject, its DNS names,
/// and its endpoint ids. For protocols in which a device goes by a name of another form.
pub fn certificate_names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, TlsError> {
    let parsed = parse(certificate)?;
    let common = parsed.subject().iter_common_name();
    let common = common.filter_map(|name| name.as_str().ok().map(str::to_owned));
    let dns = names(&parsed).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    let ids = ids(&parsed).into_iter().map(|id| id.as_str().to_owned());
    Ok(common
        .chain(dns)
        .chain(ids)
        .take(CERTIFICATE_IDS_MAX)
        .collect())
}

/// What a certificate says.
pub fn describe(certificate: &CertificateDer<'_>) -> Result<CertificateInfo, TlsError> {
    let parsed = parse(certificate)?;
    let names = names(&parsed).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    Ok(CertificateInfo {
        names: names.collect(),
        endpoint_ids: ids(&parsed),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        serial: parsed
            .raw_serial()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    })
}

pub(crate) fn parse<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, TlsError> {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => Ok(parsed),
        Err(error) => Err(TlsError::Certificate(error.to_string())),
    }
}

fn ids(parsed: &X509Certificate<'_>) -> Vec<EndpointId> {
    let urns = names(parsed).filter_map(|name| match name {
        GeneralName::URI(uri) => EndpointId::from_urn(uri).ok(),
        _ => None,
    });
    let urns: Vec<_> = urns.take(CERTIFICATE_IDS_MAX).collect();
    if !urns.is_empty() {
        return urns;
    }
    let fqdns = names(parsed).filter_map(|name| match name {
        GeneralName::DNSName(name) => EndpointId::parse(&format!("fqdn::{name}")).ok(),
        _ => None,
    });
    fqdns.take(CERTIFICATE_IDS_MAX).collect()
}

fn names<'a>(
    parsed: &'a X509Certificate<'a>,
) -> impl Iterator<Item = &'a GeneralName<'a>> + use<'a> {
    let extension = parsed.subject_alternative_name().ok().flatten();
    extension
        .into_iter()
        .flat_map(|extension| &extension.value.general_names)
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
    v4.or_else(|_| v6()).ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn made(dns: &[&str], uris: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = dns.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        for uri in uris {
            params
                .subject_alt_names
                .push(SanType::URI((*uri).try_into().unwrap()));
        }
        params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .der()
            .clone()
    }

    fn found(dns: &[&str], uris: &[&str]) -> Vec<String> {
        certificate_ids(&made(dns, uris))
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn endpoint_ids_are_taken_from_the_urn_else_from_the_dns_name() {
        // R-SEC.0a
        let urn = "urn:bbf:usp:id:self::acs";
        assert_eq!(
            found(&["acs.example"], &["https://acs.example/", urn]),
            ["self::acs"]
        );
        assert_eq!(found(&["acs.example"], &[]), ["fqdn::acs.example"]);
        assert_eq!(found(&[], &["urn:bbf:usp:id:nonsense"]), [""; 0]);
    }

    #[test]
    fn a_certificate_with_endless_ids_yields_the_first_of_them() {
        let uris: Vec<String> = (0..100)
            .map(|i| format!("urn:bbf:usp:id:self::a{i}"))
            .collect();
        let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
        assert_eq!(found(&[], &uris).len(), CERTIFICATE_IDS_MAX);
    }

    #[test]
    fn the_names_of_a_certificate_are_its_common_name_and_all_others() {
        let mut params = CertificateParams::new(vec!["box.example".to_owned()]).unwrap();
        let common = rcgen::DnType::CommonName;
        params.distinguished_name.push(common, "00256D-Box-S1");
        let pair = KeyPair::generate().unwrap();
        let made = params.self_signed(&pair).unwrap();
        let names = certificate_names(made.der()).unwrap();
        assert!(names.contains(&"00256D-Box-S1".to_owned()), "{names:?}");
        assert!(names.contains(&"box.example".to_owned()), "{names:?}");
    }

    #[test]
    fn garbage_is_no_certificate() {
        assert!(certificate_ids(&CertificateDer::from(vec![1, 2, 3])).is_err());
    }
}
