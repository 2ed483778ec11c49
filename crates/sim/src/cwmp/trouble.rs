//! What goes wrong with simulated CWMP devices when somebody wants it to.

use std::str::FromStr;

use cwmp::fault::FaultCode;

use crate::motion::mix;

/// What goes wrong, and how often. The text form, for a command line:
/// `drops=50,loses=20,reboots=10,batch=16,batch-fault=9002,silent-transfers,no-empty-path,own-password`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    /// In so many of a thousand sessions the connection breaks before a request is carried out.
    pub drops: u16,
    /// In so many, a request is carried out and the connection breaks before the answer.
    pub loses: u16,
    /// In so many, the device does not survive a request.
    pub reboots: u16,
    /// The most names or values in one message; more is refused.
    pub batch: Option<u32>,
    /// Refused with this code; 9004 when it is not said.
    pub batch_fault: Option<u32>,
    /// Transfers end without a TransferComplete.
    pub silent_transfers: bool,
    /// GetParameterNames of the empty path is refused with 9005.
    pub no_empty_path: bool,
    /// User name and password for connection requests are its own and cannot be set.
    pub own_password: bool,
}

/// What strikes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    Drop,
    Lose,
    Reboot,
}

impl Troubles {
    /// What strikes the session of this number, and at which of its requests.
    pub(super) fn strike(&self, seed: u64, session: u64) -> Option<(Strike, u32)> {
        let roll = mix(seed ^ mix(session));
        let thousandth = (roll % 1000) as u16;
        let limits = [
            (Strike::Drop, self.drops),
            (Strike::Lose, self.loses),
            (Strike::Reboot, self.reboots),
        ];
        let mut below = 0u16;
        let strike = limits.into_iter().find(|(_, of_thousand)| {
            below = below.saturating_add(*of_thousand);
            thousandth < below
        });
        strike.map(|(strike, _)| (strike, 1 + (roll >> 32) as u32 % 3))
    }

    /// Whether it keeps a parameter as it is, whatever its data model says.
    pub(super) fn keeps(&self, name: &str) -> bool {
        let asked = [
            ".ManagementServer.ConnectionRequestUsername",
            ".ManagementServer.ConnectionRequestPassword",
        ];
        self.own_password && asked.iter().any(|own| name.ends_with(own))
    }

    /// Why a message with so many names or values is refused, if it is.
    pub(super) fn refuses(&self, count: usize) -> Option<FaultCode> {
        let max = self.batch? as usize;
        let code = self.batch_fault.map(FaultCode);
        (count > max).then(|| code.unwrap_or(FaultCode::RESOURCES_EXCEEDED))
    }
}

impl FromStr for Troubles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut out = Self::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let number = || {
                let wrong = |_| format!("{name} needs a number, like {name}=20");
                value.parse::<u32>().map_err(wrong)
            };
            let of_thousand = || {
                let number = number()?;
                let fits = u16::try_from(number).ok().filter(|number| *number <= 1000);
                fits.ok_or(format!("{name} is of a thousand sessions"))
            };
            match name {
                "drops" => out.drops = of_thousand()?,
                "loses" => out.loses = of_thousand()?,
                "reboots" => out.reboots = of_thousand()?,
                "batch" => out.batch = Some(number()?),
                "batch-fault" => out.batch_fault = Some(number()?),
                "silent-transfers" => out.silent_transfers = true,
                "no-empty-path" => out.no_empty_path = true,
                "own-password" => out.own_password = true,
                _ => {
                    return Err(format!(
                        "{name} is none of drops, loses, reboots, batch, batch-fault, \
                         silent-transfers, no-empty-path and own-password"
                    ));
                }
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_are_read_and_what_is_none_is_named() {
        let read: Troubles = "drops=50, batch=16,batch-fault=9002,silent-transfers"
            .parse()
            .unwrap();
        let expected = Troubles {
            drops: 50,
            batch: Some(16),
            batch_fault: Some(9002),
            silent_transfers: true,
            ..Troubles::default()
        };
        assert_eq!(read, expected);
        assert_eq!("".parse(), Ok(Troubles::default()));
        for (bad, named) in [
            ("drips=1", "drips"),
            ("drops", "number"),
            ("loses=1001", "thousand"),
        ] {
            let error = bad.parse::<Troubles>().unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn so_many_of_a_thousand_sessions_are_struck() {
        let troubles: Troubles = "drops=100,loses=100,reboots=100".parse().unwrap();
        let struck = |wanted| {
            let all = (0..10_000).filter_map(|session| troubles.strike(7, session));
            all.filter(|(strike, _)| *strike == wanted).count()
        };
        for strike in [Strike::Drop, Strike::Lose, Strike::Reboot] {
            assert!((800..1200).contains(&struck(strike)), "{strike:?}");
        }
        assert_eq!(Troubles::default().strike(7, 1), None);
    }
}
