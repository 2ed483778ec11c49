//! The agent's own certificate in the data model: `Device.LocalAgent.Certificate.` and `Device.Security.Certificate.`
//! show it, and `Device.LocalAgent.AddCertificate()` renews it. A renewed one is for this endpoint and for the key that
//! the agent has: keys do not travel. The former one is kept until the renewed one has been taken ([`Trial`]). Other
//! certificates are not kept; which controllers are believed says the configuration file.

use std::path::PathBuf;

use mtp::tls::authority::Leaf;

use super::trial::{Refused, Trial};
use super::{CONTROLLERS, Effect, Engine, clock};
use crate::{Call, ControllerLink, Fault, Now};

/// The table of USP.
const LOCAL: &str = "Device.LocalAgent.Certificate.";
/// The table of the device.
const SECURITY: &str = "Device.Security.Certificate.";
/// Characters of a text of these tables, as the data model says.
const TEXT_CHARS_MAX: usize = 256;

impl Engine {
    /// The certificate of the configuration file, and where it is; the error says what is wrong with it.
    fn own_certificate(&self) -> Result<Option<(PathBuf, Leaf)>, String> {
        let Some(file) = self.config.tls.certificate.clone() else {
            return Ok(None);
        };
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = std::fs::read_to_string(&file).map_err(|error| failed(&error))?;
        let leaf = Leaf::of_pem(&text).map_err(|error| failed(&error))?;
        Ok(Some((file, leaf)))
    }

    /// Shows the certificate of the file, and goes on with a trial that was under way.
    pub(crate) fn load_certificate(&mut self) {
        self.trial = match self.own_certificate() {
            Ok(Some((file, leaf))) => Trial::resume(&file, &leaf),
            _ => None,
        };
        self.show_certificate();
    }

    /// Makes the tables what the file is.
    fn show_certificate(&mut self) {
        let leaf = match self.own_certificate() {
            Ok(found) => found.map(|(_, leaf)| leaf),
            Err(error) => {
                tracing::warn!(agent = %self.own, %error, "the agent's own certificate cannot be shown");
                None
            }
        };
        for table in [LOCAL, SECURITY] {
            let wanted = leaf.as_ref().map(|leaf| row(table, leaf));
            let rows: Vec<u32> = self.state.instances(table).collect();
            let same = |values: &[(&str, String)]| match rows.as_slice() {
                [n] => values
                    .iter()
                    .all(|(name, value)| self.held(&format!("{table}{n}.{name}")) == *value),
                _ => false,
            };
            if wanted.as_deref().map_or(rows.is_empty(), same) {
                continue;
            }
            for n in rows {
                self.state.remove(table, n);
            }
            let Some(values) = wanted else { continue };
            let n = self.state.insert(table, None);
            for (name, value) in values {
                self.state.set(&format!("{table}{n}.{name}"), &value);
            }
            if table == LOCAL {
                let alias = format!("cpe-{n}");
                self.state.set(&format!("{table}{n}.Alias"), &alias);
            }
        }
    }

    /// `AddCertificate()`: takes a renewed certificate up, for connections to come.
    pub(crate) fn add_certificate(
        &mut self,
        now: Now,
        call: &Call,
        controller: Option<u32>,
    ) -> Result<Vec<(String, String)>, Fault> {
        let failure = |text: String| Fault::command_failure(text);
        let own = self.own_certificate().map_err(failure)?;
        let Some((file, old)) = own else {
            let text = "this agent has no key of its own, so no certificate is of use to it";
            return Err(failure(text.to_owned()));
        };
        let pem = call.arg("Certificate").unwrap_or_default();
        let new = Leaf::of_pem(pem).map_err(|error| failure(error.to_string()))?;
        // R-SEC.0a
        if !new.info.endpoint_ids.contains(&self.own) {
            return Err(failure(format!("it is not for {}", self.own)));
        }
        if !new
            .has_key_of(&old)
            .map_err(|error| failure(error.to_string()))?
        {
            let text = "it is for another key than the one this agent has";
            return Err(failure(text.to_owned()));
        }
        if new.fingerprint == old.fingerprint {
            return Err(failure("it is there already".to_owned()));
        }
        if new.info.not_after < now.unix_ms.div_euclid(1000) {
            return Err(failure("it has expired".to_owned()));
        }
        let asked_by = controller.map(|n| self.held(&format!("{CONTROLLERS}{n}.EndpointID")));
        let trial = Trial::begin(&file, self.trial.as_ref(), old, new, asked_by);
        self.trial = Some(trial.map_err(|error| failure(error.to_string()))?);
        self.show_certificate();
        let row = self.state.instances(LOCAL).next();
        if let Some(alias) = call.arg("Alias").filter(|alias| !alias.is_empty())
            && let Some(n) = row
        {
            self.state.set(&format!("{LOCAL}{n}.Alias"), alias);
        }
        self.commit(now, controller)?;
        self.effects.push_back(Effect::CertificateRenewed);
        Ok(Vec::new())
    }

    /// Whether what this controller makes of the certificate decides what is on trial: the one that asked for it, where
    /// that is still dialled over TLS; else any but those that were found.
    pub fn judges_certificate(&self, link: &ControllerLink) -> bool {
        let asked_by = self.trial.as_ref().and_then(Trial::asked_by);
        let asker = asked_by.filter(|id| {
            let all = self.controllers();
            all.iter()
                .any(|one| one.endpoint_id.as_str() == *id && one.reach.is_encrypted())
        });
        match asker {
            Some(id) => link.endpoint_id.as_str() == id,
            None => !link.found,
        }
    }

    /// A server that was shown the certificate has taken it.
    pub fn certificate_accepted(&mut self) {
        let Some(trial) = self.trial.take() else {
            return;
        };
        match trial.accepted() {
            true => {
                tracing::info!(agent = %self.own, "the renewed certificate was taken; the former one is over");
            }
            false => {
                tracing::warn!(agent = %self.own, "the former certificate was taken, and stays in the place of the renewed one that was refused");
            }
        }
    }

    /// A server that was shown the certificate has refused us. An error is that of a file.
    pub fn certificate_refused(&mut self, now: Now) -> Result<Refused, String> {
        let Some(trial) = &mut self.trial else {
            return Ok(Refused::Settled);
        };
        let refused = trial.refused(now.unix_ms.div_euclid(1000));
        let refused = refused.map_err(|error| error.to_string())?;
        if refused == Refused::Changed {
            self.show_certificate();
            self.commit(now, None).map_err(|fault| fault.to_string())?;
        }
        Ok(refused)
    }
}

/// What a row of this table says.
fn row(table: &str, leaf: &Leaf) -> Vec<(&'static str, String)> {
    let cut = |text: &str| text.chars().take(TEXT_CHARS_MAX).collect::<String>();
    let info = &leaf.info;
    let mut values = vec![
        ("SerialNumber", info.serial.clone()),
        ("Issuer", cut(&info.issuer)),
    ];
    if table == SECURITY {
        let at = |seconds: i64| clock::format_ms(seconds.saturating_mul(1000));
        let ids = info.endpoint_ids.iter().map(usp::EndpointId::to_urn);
        let names: Vec<String> = info.names.iter().cloned().chain(ids).collect();
        values.extend([
            ("NotBefore", at(info.not_before)),
            ("NotAfter", at(info.not_after)),
            ("Subject", cut(&info.subject)),
            ("SubjectAlt", cut(&names.join(","))),
        ]);
    }
    values
}
