//! Who may come in: the decision about a connecting device, and what follows from it.
//!
//! Only the decision; looking up keys and hashing secrets is the server's work.

mod refusal;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, SetupKeyId, TenantId};
use crate::limits;
use crate::time::Timestamp;

pub use refusal::Refusal;

/// What the newcomer showed, after it was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing, or something nobody knows.
    Unknown,
    /// A tenant's setup key.
    SetupKey {
        /// Whose.
        tenant: TenantId,
        /// Which.
        key: SetupKeyId,
        /// It was revoked, or its time or count ran out.
        usable: bool,
        /// It was used too often lately.
        limited: bool,
    },
    /// A per-device token.
    DeviceToken {
        /// Whose.
        tenant: TenantId,
        /// The device it was made for.
        device: DeviceId,
        /// Where it stands.
        status: TokenStatus,
    },
    /// Nothing but a client certificate. It proves the endpoint id and not whose customer it is:
    /// that is what the URL path has to say.
    Certificate {
        /// Whose; `None` where the path does not say it and there are several.
        tenant: Option<TenantId>,
    },
    /// An external broker lets it publish under its name: the topic says whose it is and who, and what it has shown
    /// is between it and the broker.
    Brokered {
        /// Whose.
        tenant: TenantId,
        /// The setup key that it showed the broker, where the broker asked us.
        key: Option<SetupKeyId>,
        /// The broker's word is enough to register a device that nobody has registered.
        registers: bool,
    },
    /// We dialled it, at an address an operator gave.
    Dialled {
        /// Whose.
        tenant: TenantId,
        /// The device.
        device: DeviceId,
    },
}

impl Credential {
    /// A setup key that opens.
    pub fn is_usable_key(&self) -> bool {
        matches!(self, Self::SetupKey { usable: true, .. })
    }

    /// Whose it is, where that is known.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Unknown => None,
            Self::Certificate { tenant } => tenant.as_ref(),
            Self::SetupKey { tenant, .. }
            | Self::DeviceToken { tenant, .. }
            | Self::Brokered { tenant, .. }
            | Self::Dialled { tenant, .. } => Some(tenant),
        }
    }
}

/// Where a per-device token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenStatus {
    /// Sent to the device, not seen from it yet.
    Pending,
    /// The one it uses.
    Current,
    /// Replaced by a newer one.
    Superseded,
}

/// What is known of the endpoint id in the credential's tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The device the endpoint id points to.
    pub device: DeviceId,
    /// It has come with a token or a certificate of its own before: the setup key alone no longer opens it.
    pub has_own_credential: bool,
    /// An operator registered it and was given a token for it, with which it has not come yet:
    /// whoever holds a setup key and guesses the endpoint id must not take its place.
    pub expects_own_token: bool,
    /// Only a client certificate opens it.
    pub certificate_required: bool,
    /// An operator lets it in with the setup key once more (after a factory reset).
    pub readmit: bool,
}

impl Known {
    /// Whether a setup key that is in force is enough for this device.
    pub fn opened_by_setup_key(&self) -> Result<(), Refusal> {
        if self.certificate_required {
            Err(Refusal::CertificateRequired)
        } else if self.readmit {
            Ok(())
        } else if self.has_own_credential {
            Err(Refusal::ReadmitNeeded)
        } else if self.expects_own_token {
            Err(Refusal::TokenExpected)
        } else {
            Ok(())
        }
    }
}

/// A link with the same endpoint id that is open now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rival {
    /// It runs over another transport than the newcomer: one device may have both.
    pub elsewhere: bool,
    /// How well it proved who it is.
    pub strength: Strength,
    /// Takeovers of this endpoint id within [`limits::FLAP_WINDOW`].
    pub takeovers: u32,
}

/// How well a device proved who it is; better is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// A secret many devices share.
    SetupKey,
    /// We dialled an address.
    Dialled,
    /// A broker between us says so.
    Broker,
    /// Its own secret.
    DeviceToken,
    /// Its own key pair.
    Certificate,
}

impl Strength {
    /// Whether links that proved themselves this well are believed to be one device over two transports. A secret that
    /// many devices share does not stand beside a proof of the device's own: whoever has the one need not be who has the
    /// other.
    pub fn stands_beside(self, other: Self) -> bool {
        (self == Self::SetupKey) == (other == Self::SetupKey)
    }
}

/// Which device a newcomer becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A device that is registered already.
    Known(DeviceId),
    /// A device to register.
    New,
}

/// A newcomer that may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Whose device it is.
    pub tenant: TenantId,
    /// Which device.
    pub who: Who,
    /// How well it proved it.
    pub strength: Strength,
    /// The setup key it used, to count it.
    pub setup_key: Option<SetupKeyId>,
    /// It needs a per-device token.
    pub swap: bool,
    /// Its pending token is the current one from now on.
    pub promote: bool,
}

/// What is known of a client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'a> {
    /// For whose device it was issued.
    pub tenant: &'a TenantId,
    /// It does not count any more.
    pub revoked: bool,
}

/// Everything that is known of a connection when it is decided about.
#[derive(Debug, Clone, Copy)]
pub struct Newcomer<'a> {
    /// What it showed.
    pub credential: &'a Credential,
    /// The credential's tenant is disabled.
    pub tenant_disabled: bool,
    /// The endpoint id it says it is.
    pub endpoint: Option<&'a str>,
    /// It has a verified client certificate that names this endpoint id.
    pub certified: bool,
    /// What is known of its client certificate, where that is one that was issued here.
    pub certificate: Option<Standing<'a>>,
    /// What is known of this endpoint id in the credential's tenant.
    pub known: Option<Known>,
    /// The links with this endpoint id that are open now.
    pub rivals: &'a [Rival],
}

/// Decides about a connection.
pub fn admit(newcomer: &Newcomer<'_>) -> Result<Admission, Refusal> {
    let Newcomer {
        credential, known, ..
    } = *newcomer;
    // Whatever else is shown beside it: somebody has the key of a device that he should not have.
    if newcomer.certificate.is_some_and(|one| one.revoked) {
        return Err(Refusal::CertificateRevoked);
    }
    if matches!(credential, Credential::Unknown) {
        return Err(Refusal::UnknownCredential);
    }
    let tenant = credential.tenant().ok_or(Refusal::TenantMissing)?;
    if newcomer.certificate.is_some_and(|one| one.tenant != tenant) {
        return Err(Refusal::CertificateOfAnotherTenant);
    }
    if newcomer.tenant_disabled {
        return Err(Refusal::TenantDisabled);
    }
    if newcomer.endpoint.is_none() {
        return Err(Refusal::EndpointMissing);
    }
    let mut admission = Admission {
        tenant: tenant.clone(),
        who: known.map_or(Who::New, |known| Who::Known(known.device)),
        strength: Strength::SetupKey,
        setup_key: None,
        swap: false,
        promote: false,
    };
    match (newcomer.certified, known) {
        // R-SEC.9: a certificate that names the endpoint id is the best proof there is, whatever
        // else is shown beside it.
        (true, Some(_)) => admission.strength = Strength::Certificate,
        (false, Some(known)) if known.certificate_required => {
            return Err(Refusal::CertificateRequired);
        }
        // It names somebody else: registering this one would not help it.
        (false, None) if matches!(credential, Credential::Certificate { .. }) => {
            return Err(Refusal::EndpointMismatch);
        }
        _ => prove(credential, known, &mut admission)?,
    }
    // Better authenticated, then newer, wins; but not for ever.
    for rival in newcomer.rivals {
        rival.gives_way(admission.strength)?;
    }
    Ok(admission)
}

/// What the credential is worth where no certificate decides.
fn prove(
    credential: &Credential,
    known: Option<Known>,
    admission: &mut Admission,
) -> Result<(), Refusal> {
    match credential {
        Credential::Unknown => return Err(Refusal::UnknownCredential),
        Credential::SetupKey {
            key,
            usable,
            limited,
            ..
        } => {
            if !usable {
                return Err(Refusal::SetupKeyUnusable);
            }
            if *limited {
                return Err(Refusal::SetupKeyLimited);
            }
            if let Some(known) = known {
                known.opened_by_setup_key()?;
            }
            (admission.setup_key, admission.swap) = (Some(*key), true);
        }
        Credential::DeviceToken { device, status, .. } => {
            if known.is_none_or(|k| k.device != *device) {
                return Err(Refusal::EndpointMismatch);
            }
            if *status == TokenStatus::Superseded {
                return Err(Refusal::TokenSuperseded);
            }
            admission.strength = Strength::DeviceToken;
            admission.promote = *status == TokenStatus::Pending;
        }
        // It is registered, and the certificate is for another name.
        Credential::Certificate { .. } if known.is_some() => return Err(Refusal::EndpointMismatch),
        Credential::Certificate { .. } => return Err(Refusal::NotRegistered),
        Credential::Brokered { key, registers, .. } => {
            if known.is_none() && key.is_none() && !registers {
                return Err(Refusal::NotRegistered);
            }
            admission.strength = Strength::Broker;
            (admission.setup_key, admission.swap) = (*key, key.is_some());
        }
        Credential::Dialled { device, .. } => {
            if known.is_some_and(|k| k.device != *device) {
                return Err(Refusal::EndpointMismatch);
            }
            admission.who = Who::Known(*device);
            admission.strength = Strength::Dialled;
        }
    }
    Ok(())
}

impl Rival {
    /// Whether both can be: the device over two transports.
    pub fn stays(&self, newcomer: Strength) -> bool {
        self.elsewhere && self.strength.stands_beside(newcomer)
    }

    /// Whether the open link makes room for a newcomer that proved itself this well, or needs not.
    pub fn gives_way(&self, newcomer: Strength) -> Result<(), Refusal> {
        if self.stays(newcomer) {
            return Ok(());
        }
        match self.strength.cmp(&newcomer) {
            Ordering::Greater => Err(Refusal::WeakerThanOpenLink),
            Ordering::Equal if self.takeovers >= limits::FLAP_TAKEOVERS_MAX => {
                Err(Refusal::Flapping)
            }
            _ => Ok(()),
        }
    }
}

/// Counts takeovers of one endpoint id within [`limits::FLAP_WINDOW`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flaps {
    since: Timestamp,
    count: u32,
}

impl Flaps {
    /// Takeovers in the running window.
    pub fn count(&self, now: Timestamp) -> u32 {
        if now.since(self.since) > limits::FLAP_WINDOW {
            0
        } else {
            self.count
        }
    }

    /// One more.
    pub fn add(&mut self, now: Timestamp) {
        if self.count(now) == 0 {
            *self = Self {
                since: now,
                count: 1,
            };
        } else {
            self.count += 1;
        }
    }
}
