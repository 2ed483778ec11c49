//! Whether a device that comes over one protocol is one that is known over another. Pure: what the
//! two have in common is looked up by the caller.
//!
//! A serial number is easily claimed by whoever has a setup key, so that alone does not open the
//! records of a device that has its own way in; how much more is wanted is the operator's choice.

use serde::{Deserialize, Serialize};

use crate::device::IdentityKind;

/// What a name in common is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// It is the same device.
    Merge,
    /// It is the same device when both come from one address; else a person decides.
    #[default]
    SameAddress,
    /// A person decides.
    Ask,
    /// It says nothing.
    Ignore,
}

/// The operator's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// For serial numbers with their OUI, and names that contain them.
    pub serial: Trust,
    /// For MAC addresses.
    pub mac: Trust,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            serial: Trust::SameAddress,
            mac: Trust::Ask,
        }
    }
}

/// What two registrations have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meeting {
    /// The kind of the name that both have.
    pub by: IdentityKind,
    /// Both came last from one address.
    pub same_address: bool,
    /// Both have come over one transport: each has its own way in there, so they are two.
    pub same_transport: bool,
    /// A person said that they are two.
    pub rejected: bool,
    /// Of one of them a certificate is required, and nobody showed one that says that they are one: what opens the
    /// other one must not open it.
    pub guarded: bool,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are one.
    Same,
    /// A person decides.
    Ask,
    /// They are two.
    Different,
}

/// Decides.
pub fn verdict(rule: Rule, meeting: Meeting) -> Verdict {
    if meeting.same_transport || meeting.rejected {
        return Verdict::Different;
    }
    let trust = match meeting.by {
        kind if kind.merges() => rule.serial,
        IdentityKind::Mac => rule.mac,
        _ => Trust::Ignore,
    };
    match trust {
        Trust::Merge if !meeting.guarded => Verdict::Same,
        Trust::SameAddress if meeting.same_address && !meeting.guarded => Verdict::Same,
        Trust::Merge | Trust::SameAddress | Trust::Ask => Verdict::Ask,
        Trust::Ignore => Verdict::Different,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_common_is_worth_what_the_operator_says() {
        let meeting = Meeting {
            by: IdentityKind::OuiSerial,
            same_address: false,
            same_transport: false,
            rejected: false,
            guarded: false,
        };
        let near = Meeting {
            same_address: true,
            ..meeting
        };
        let by = |serial| Rule {
            serial,
            ..Rule::default()
        };
        for (trust, far, at_one_address) in [
            (Trust::Merge, Verdict::Same, Verdict::Same),
            (Trust::SameAddress, Verdict::Ask, Verdict::Same),
            (Trust::Ask, Verdict::Ask, Verdict::Ask),
            (Trust::Ignore, Verdict::Different, Verdict::Different),
        ] {
            assert_eq!(verdict(by(trust), meeting), far, "{trust:?}");
            assert_eq!(verdict(by(trust), near), at_one_address, "{trust:?}");
            for two in [
                Meeting {
                    same_transport: true,
                    ..near
                },
                Meeting {
                    rejected: true,
                    ..near
                },
            ] {
                assert_eq!(verdict(by(trust), two), Verdict::Different);
            }
            let guarded = Meeting {
                guarded: true,
                ..near
            };
            let asked = verdict(by(trust), guarded);
            assert_eq!(
                asked,
                if far == Verdict::Different {
                    far
                } else {
                    Verdict::Ask
                }
            );
        }
    }

    #[test]
    fn what_moves_between_devices_proves_nothing_unless_the_operator_says_so() {
        let meeting = |by| Meeting {
            by,
            same_address: true,
            same_transport: false,
            rejected: false,
            guarded: false,
        };
        let rule = Rule {
            serial: Trust::Merge,
            mac: Trust::Ask,
        };
        assert_eq!(verdict(rule, meeting(IdentityKind::Mac)), Verdict::Ask);
        let user = meeting(IdentityKind::PppoeUser);
        assert_eq!(verdict(rule, user), Verdict::Different);
    }
}
