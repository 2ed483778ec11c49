//! Which parameters of a simulated CWMP device are watched, and what the ACS knows of them.
//! Deliberately no events: when a change is told is the device's to say.

use cwmp::fault::FaultCode;
use dm::NotifyRule;

use super::tree::{At, Tree};

/// Active notification.
pub(super) const ACTIVE: u32 = 2;
/// The highest notification of CWMP 1.4.
const NOTIFICATION_MAX: u32 = 6;
impl Tree {
    /// Notification of one parameter: what was asked for, or what the standard forces.
    pub(super) fn notification(&self, path: &str) -> u32 {
        let asked = self.own.notify.get(path).copied();
        let rule = self.blueprint.param(path).map(|(_, param)| param.notify);
        match rule {
            Some(NotifyRule::ForceEnabled) => ACTIVE,
            Some(NotifyRule::ForceDefaultEnabled) => asked.unwrap_or(ACTIVE),
            // Annex G has it so, the table does not.
            _ if path.ends_with(".UDPConnectionRequestAddress") => asked.unwrap_or(ACTIVE),
            _ => asked.unwrap_or(0),
        }
    }

    /// Sets the notification of one parameter.
    pub(super) fn set_notification(
        &mut self,
        at: At,
        path: &str,
        wanted: u32,
    ) -> Result<(), FaultCode> {
        let rule = self.blueprint.param(path).map(|(_, param)| param.notify);
        if wanted > NOTIFICATION_MAX {
            return Err(FaultCode::INVALID_ARGUMENTS);
        }
        if rule == Some(NotifyRule::ForceEnabled) && wanted != ACTIVE {
            return Err(FaultCode::NOTIFICATION_REJECTED);
        }
        self.own.notify.insert(path.to_owned(), wanted);
        match wanted {
            0 => _ = self.own.told.remove(path),
            _ => {
                let value = self.value(at, path).unwrap_or_default();
                self.own.told.insert(path.to_owned(), value);
            }
        }
        Ok(())
    }

    /// The ACS knows these values.
    pub(super) fn told(&mut self, values: Vec<(String, String)>) {
        self.own.told.extend(values);
    }

    /// Takes it that the ACS knows the parameters that are watched from the first day on.
    pub(super) fn tell_first(&mut self, at: At, paths: &[String]) {
        for path in paths {
            if !self.own.told.contains_key(path)
                && let Some(value) = self.value(at, path)
            {
                self.own.told.insert(path.clone(), value);
            }
        }
    }

    /// The parameters with notification that are no longer as the ACS knows them.
    pub(super) fn changed(&self, at: At) -> Vec<String> {
        let told = self.own.told.iter();
        let other = told.filter(|(path, told)| {
            self.notification(path) != 0
                && self.value(at, path).is_some_and(|value| value != **told)
        });
        other.map(|(path, _)| path.clone()).collect()
    }

    /// Whether anything with notification can change by itself.
    pub(super) fn is_watched(&self) -> bool {
        self.own.notify.values().any(|wanted| *wanted != 0)
    }
}
