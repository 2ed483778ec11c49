//! Who may come in: the decision about a connecting device, and what follows from it.
//!
//! Only the decision; looking up keys and hashing secrets is the server's work.

mod refusal;

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
    /// A client certificate that names the endpoint id, of a device that is known to us.
    Certificate {
        /// Whose.
        tenant: TenantId,
        /// The device.
        device: DeviceId,
    },
    /// We dialled it, at an address an operator gave.
    Dialled {
        /// Whose.
        tenant: TenantId,
        /// The device.
        device: DeviceId,
    },
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
    /// It has come with its own token before: the setup key alone no longer opens it.
    pub has_current_token: bool,
    /// An operator lets it in with the setup key once more (after a factory reset).
    pub readmit: bool,
}

/// A link with the same endpoint id that is open now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rival {
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
    /// Its own secret.
    DeviceToken,
    /// Its own key pair.
    Certificate,
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
    /// The operator's readmission is used up.
    pub readmitted: bool,
    /// The open link with this endpoint id must end.
    pub displace: bool,
}

/// Decides about a connection. `known` is looked up by (tenant of the credential, endpoint id).
pub fn admit(
    credential: &Credential,
    endpoint: Option<&str>,
    known: Option<Known>,
    rival: Option<Rival>,
) -> Result<Admission, Refusal> {
    if matches!(credential, Credential::Unknown) {
        return Err(Refusal::UnknownCredential);
    }
    if endpoint.is_none() {
        return Err(Refusal::EndpointMissing);
    }
    let mut admission = match credential {
        Credential::Unknown => return Err(Refusal::UnknownCredential),
        Credential::SetupKey {
            tenant,
            key,
            usable,
            limited,
        } => {
            if !usable {
                return Err(Refusal::SetupKeyUnusable);
            }
            if *limited {
                return Err(Refusal::SetupKeyLimited);
            }
            let readmitted = match known {
                Some(k) if k.has_current_token && !k.readmit => {
                    return Err(Refusal::ReadmitNeeded);
                }
                Some(k) => k.has_current_token && k.readmit,
                None => false,
            };
            Admission {
                tenant: tenant.clone(),
                who: known.map_or(Who::New, |k| Who::Known(k.device)),
                strength: Strength::SetupKey,
                setup_key: Some(*key),
                swap: true,
                promote: false,
                readmitted,
                displace: false,
            }
        }
        Credential::DeviceToken {
            tenant,
            device,
            status,
        } => {
            if known.is_none_or(|k| k.device != *device) {
                return Err(Refusal::EndpointMismatch);
            }
            if *status == TokenStatus::Superseded {
                return Err(Refusal::TokenSuperseded);
            }
            Admission {
                tenant: tenant.clone(),
                who: Who::Known(*device),
                strength: Strength::DeviceToken,
                setup_key: None,
                swap: false,
                promote: *status == TokenStatus::Pending,
                readmitted: false,
                displace: false,
            }
        }
        Credential::Certificate { tenant, device } | Credential::Dialled { tenant, device } => {
            let certificate = matches!(credential, Credential::Certificate { .. });
            if known.is_some_and(|k| k.device != *device) {
                return Err(Refusal::EndpointMismatch);
            }
            Admission {
                tenant: tenant.clone(),
                who: Who::Known(*device),
                strength: if certificate {
                    Strength::Certificate
                } else {
                    Strength::Dialled
                },
                setup_key: None,
                swap: false,
                promote: false,
                readmitted: false,
                displace: false,
            }
        }
    };
    // Better authenticated, then newer, wins; but not for ever.
    if let Some(rival) = rival {
        if rival.strength > admission.strength {
            return Err(Refusal::WeakerThanOpenLink);
        }
        if rival.strength == admission.strength && rival.takeovers >= limits::FLAP_TAKEOVERS_MAX {
            return Err(Refusal::Flapping);
        }
        admission.displace = true;
    }
    Ok(admission)
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

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn tenant() -> TenantId {
        TenantId::parse("acme").unwrap()
    }

    fn device(n: u128) -> DeviceId {
        DeviceId(Uuid::from_u128(n))
    }

    fn setup(usable: bool, limited: bool) -> Credential {
        let key = SetupKeyId(Uuid::from_u128(9));
        Credential::SetupKey {
            tenant: tenant(),
            key,
            usable,
            limited,
        }
    }

    fn token(n: u128, status: TokenStatus) -> Credential {
        Credential::DeviceToken {
            tenant: tenant(),
            device: device(n),
            status,
        }
    }

    fn known(n: u128, has_current_token: bool, readmit: bool) -> Option<Known> {
        Some(Known {
            device: device(n),
            has_current_token,
            readmit,
        })
    }

    #[test]
    fn a_setup_key_brings_in_a_new_device_that_gets_its_own_token() {
        let a = admit(&setup(true, false), Some("e"), None, None).unwrap();
        assert_eq!((a.who, a.swap, a.promote), (Who::New, true, false));
        let a = admit(&setup(true, false), Some("e"), known(1, false, false), None).unwrap();
        assert_eq!(a.who, Who::Known(device(1)));
    }

    #[test]
    fn a_setup_key_does_not_open_a_device_with_its_own_token_until_readmitted() {
        let with = |k| admit(&setup(true, false), Some("e"), k, None);
        assert_eq!(with(known(1, true, false)), Err(Refusal::ReadmitNeeded));
        assert!(with(known(1, true, true)).unwrap().readmitted);
    }

    #[test]
    fn bad_credentials_are_named() {
        let refuse = |c: &Credential, e, k| admit(c, e, k, None).unwrap_err();
        assert_eq!(
            refuse(&Credential::Unknown, Some("e"), None),
            Refusal::UnknownCredential
        );
        assert_eq!(
            refuse(&setup(false, false), Some("e"), None),
            Refusal::SetupKeyUnusable
        );
        assert_eq!(
            refuse(&setup(true, true), Some("e"), None),
            Refusal::SetupKeyLimited
        );
        assert_eq!(
            refuse(&setup(true, false), None, None),
            Refusal::EndpointMissing
        );
        let current = token(1, TokenStatus::Current);
        assert_eq!(
            refuse(&current, Some("e"), known(2, true, false)),
            Refusal::EndpointMismatch
        );
        assert_eq!(refuse(&current, Some("e"), None), Refusal::EndpointMismatch);
        let old = token(1, TokenStatus::Superseded);
        assert_eq!(
            refuse(&old, Some("e"), known(1, true, false)),
            Refusal::TokenSuperseded
        );
    }

    #[test]
    fn a_pending_token_becomes_current_when_it_is_first_seen() {
        let a = admit(
            &token(1, TokenStatus::Pending),
            Some("e"),
            known(1, false, false),
            None,
        );
        assert!(a.unwrap().promote);
        let a = admit(
            &token(1, TokenStatus::Current),
            Some("e"),
            known(1, true, false),
            None,
        );
        assert!(!a.unwrap().promote);
    }

    #[test]
    fn of_two_agents_with_one_endpoint_id_the_better_then_the_newer_wins() {
        let rival = |strength, takeovers| {
            Some(Rival {
                strength,
                takeovers,
            })
        };
        let come = |r| {
            admit(
                &token(1, TokenStatus::Current),
                Some("e"),
                known(1, true, false),
                r,
            )
        };
        assert!(come(rival(Strength::SetupKey, 99)).unwrap().displace);
        assert!(come(rival(Strength::DeviceToken, 0)).unwrap().displace);
        assert_eq!(
            come(rival(Strength::Certificate, 0)).unwrap_err(),
            Refusal::WeakerThanOpenLink
        );
        let often = limits::FLAP_TAKEOVERS_MAX;
        assert_eq!(
            come(rival(Strength::DeviceToken, often)).unwrap_err(),
            Refusal::Flapping
        );
    }

    #[test]
    fn takeovers_are_forgotten_after_the_window() {
        let mut flaps = Flaps::default();
        let start = Timestamp::from_millis(1_000_000);
        for _ in 0..limits::FLAP_TAKEOVERS_MAX {
            flaps.add(start);
        }
        assert_eq!(flaps.count(start), limits::FLAP_TAKEOVERS_MAX);
        let later = start
            .plus(limits::FLAP_WINDOW)
            .plus(std::time::Duration::from_millis(1));
        assert_eq!(flaps.count(later), 0);
        flaps.add(later);
        assert_eq!(flaps.count(later), 1);
    }

    #[test]
    fn every_refusal_has_a_name_and_an_explanation() {
        for refusal in Refusal::ALL {
            assert!(!refusal.explanation().is_empty());
            assert!(
                (400..500).contains(&refusal.http_status()),
                "{}",
                refusal.as_str()
            );
        }
    }
}
