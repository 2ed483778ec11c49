//! Whose a session is: its cookie leads to it, and who shows the cookie may prove to be somebody else.
//! Deliberately no proof of its own: most devices show nothing but the cookie once they are in.

use std::sync::{Mutex, OnceLock, PoisonError};

use ::cwmp::rpc::DeviceId as Cpe;
use fleet::DeviceId;
use store::SecretHash;

use super::core::Owner;
use super::door::{ClientCertificate, Proof};
use super::limits::MARKS_MAX;
use super::name;

/// Whose a session is.
#[derive(Debug)]
pub struct Whose {
    owner: Owner,
    /// The client certificate that it began with.
    certificate: Option<SecretHash>,
    /// The device, once it was let in, and what it calls itself.
    device: OnceLock<(DeviceId, Cpe)>,
    /// What was shown with the cookie and found to be nobody else's: see [`super::door::Request::mark`].
    marks: Mutex<Vec<SecretHash>>,
}

impl Whose {
    /// Of nobody that is known yet.
    pub fn new(owner: Owner, certificate: Option<SecretHash>, mark: Option<SecretHash>) -> Self {
        Self {
            owner,
            certificate,
            device: OnceLock::new(),
            marks: Mutex::new(mark.into_iter().collect()),
        }
    }

    /// It is this device's.
    pub fn is(&self, device: DeviceId, cpe: &Cpe) {
        // Whoever calls itself otherwise later is not let in.
        let _ = self.device.set((device, cpe.clone()));
    }

    /// What its device calls itself, for people of this tenant.
    pub fn name(&self, to: Option<&fleet::TenantId>) -> Option<String> {
        let (_, cpe) = self.device.get()?;
        (to.is_some() && to == self.owner.as_ref()).then(|| name::of(cpe))
    }

    /// Whether what a request shows is to be looked at: it was not yet, and not too much was.
    pub fn is_news(&self, mark: &SecretHash) -> bool {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.len() < MARKS_MAX && !marks.contains(mark)
    }

    /// It was, and proves nobody else.
    pub fn looked_at(&self, mark: SecretHash) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.len() < MARKS_MAX {
            marks.push(mark);
        }
    }

    /// Whether this is proof of somebody else. A setup key is proof of a tenant, and of no device.
    pub fn is_anothers(&self, proof: &Proof) -> bool {
        let tenant = proof.tenant().zip(self.owner.as_ref());
        let device = match proof {
            Proof::Device { device, .. } => self.device.get().map(|(own, _)| own != device),
            Proof::SetupKey { .. } | Proof::Certificate { .. } => None,
        };
        tenant.is_some_and(|(shown, own)| shown != own) || device == Some(true)
    }

    /// Whether this certificate is somebody else's: not the one that it began with, and without a name of
    /// the device. One without names says nothing.
    pub fn is_of_another(&self, certificate: &ClientCertificate) -> bool {
        let Some((_, cpe)) = self.device.get() else {
            return false;
        };
        let names = &certificate.names;
        self.certificate != Some(certificate.fingerprint)
            && !names.is_empty()
            && !names.iter().any(|name| name::is_of(name, cpe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::now;

    fn cpe(serial: &str) -> Cpe {
        Cpe {
            oui: "00256D".into(),
            serial_number: serial.into(),
            ..Cpe::default()
        }
    }

    fn tenant(name: &str) -> fleet::TenantId {
        fleet::TenantId::parse(name).unwrap()
    }

    #[test]
    fn a_session_is_of_one_device_whatever_else_proves_its_tenant() {
        let (own, other) = (DeviceId::new(now(), [1; 10]), DeviceId::new(now(), [2; 10]));
        let whose = Whose::new(Some(tenant("acme")), None, None);
        let device = |name, device| Proof::Device {
            tenant: tenant(name),
            device,
            hash: [0; 32],
            seen: None,
        };
        let key = |name| Proof::SetupKey {
            tenant: tenant(name),
            key: fleet::SetupKeyId::new(now(), [3; 10]),
        };
        // Before it said who it is: it may be anybody's of the tenant.
        assert!(!whose.is_anothers(&device("acme", other)));
        whose.is(own, &cpe("S1"));
        for (proof, is_anothers) in [
            (device("acme", own), false),
            (device("acme", other), true),
            (device("beta", own), true),
            (key("acme"), false),
            (key("beta"), true),
            (Proof::Certificate { tenant: None }, false),
        ] {
            assert_eq!(whose.is_anothers(&proof), is_anothers, "{proof:?}");
        }
        assert_eq!(
            whose.name(Some(&tenant("acme"))).as_deref(),
            Some("00256D-S1")
        );
        assert_eq!(whose.name(Some(&tenant("beta"))), None);
    }

    #[test]
    fn a_certificate_is_anothers_where_no_name_of_it_is_the_devices() {
        let whose = Whose::new(None, Some([1; 32]), None);
        let certificate = |names: &[&str], fingerprint| ClientCertificate {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            fingerprint,
        };
        let is_of_another = |names: &[&str], print| whose.is_of_another(&certificate(names, print));
        assert!(!is_of_another(&["00256D-S2"], [2; 32]));
        whose.is(DeviceId::new(now(), [1; 10]), &cpe("S1"));
        assert!(is_of_another(&["00256D-S2"], [2; 32]));
        // The one it began with, a newer one of its own, and one that names nobody.
        assert!(!is_of_another(&["vendor.example"], [1; 32]));
        assert!(!is_of_another(&["localhost", "00256D-S1"], [2; 32]));
        assert!(!is_of_another(&[], [2; 32]));
    }

    /// `MARKS_MAX`
    #[test]
    fn what_is_shown_again_is_not_looked_at_again() {
        let whose = Whose::new(None, None, Some([0; 32]));
        assert!(!whose.is_news(&[0; 32]) && whose.is_news(&[1; 32]));
        for mark in 1..MARKS_MAX {
            whose.looked_at([mark as u8; 32]);
        }
        assert!(!whose.is_news(&[1; 32]) && !whose.is_news(&[99; 32]));
    }
}
