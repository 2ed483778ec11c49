//! A renewed certificate on trial: the former one is kept until a server has taken the renewed one, and is shown again
//! where it is refused. Both lie beside the file of the configuration, as `.former.pem` and `.renewed.pem`, so that an
//! end at any point, of the agent or of its power, loses neither.
//!
//! Not here: what a refusal is; the driver knows that.

use std::path::{Path, PathBuf};

use mtp::tls::TlsError;
use mtp::tls::authority::Leaf;

use crate::limits::CERTIFICATE_REFUSALS_MAX;

/// Two certificates for one key, one of which is shown.
#[derive(Debug)]
pub(super) struct Trial {
    /// The file of the configuration: the one that is shown.
    file: PathBuf,
    former: Leaf,
    renewed: Leaf,
    shows_renewed: bool,
    /// Of the one that is shown, in a row.
    refusals: u32,
    /// The endpoint id of the controller that asked for the renewed one. What others make of it says nothing: a broker
    /// may ask for a certificate and let everybody in.
    asked_by: Option<String>,
}

/// What stands before the controller that asked, in front of the renewed one.
const ASKED_BY: &str = "controller: ";

/// What became of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nothing is on trial.
    Settled,
    /// It is shown again.
    Counted,
    /// The other one is shown from now on.
    Changed,
}

impl Trial {
    /// Shows a renewed certificate. One that was itself on trial does not become the former one.
    pub fn begin(
        file: &Path,
        before: Option<&Self>,
        shown: Leaf,
        renewed: Leaf,
        asked_by: Option<String>,
    ) -> Result<Self, TlsError> {
        let former = before.map_or(shown, |before| before.former.clone());
        let [beside_former, beside_renewed] = beside(file);
        mtp::tls::write_private(&beside_former, &former.pem)?;
        // A PEM file may begin with an explanation (RFC 7468, 2).
        let says = asked_by
            .as_ref()
            .map(|id| format!("{ASKED_BY}{id}\n"))
            .unwrap_or_default();
        mtp::tls::write_private(&beside_renewed, &format!("{says}{}", renewed.pem))?;
        mtp::tls::write_private(file, &renewed.pem)?;
        Ok(Self {
            file: file.to_owned(),
            former,
            renewed,
            shows_renewed: true,
            refusals: 0,
            asked_by,
        })
    }

    /// The one that was under way when the agent ended, of which this one is shown. What is left of another is removed:
    /// somebody has put a file of his own in its place.
    pub fn resume(file: &Path, shown: &Leaf) -> Option<Self> {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).ok()?;
            let says = text.strip_prefix(ASKED_BY);
            let (asked_by, pem) = match says.and_then(|text| text.split_once('\n')) {
                Some((id, pem)) => (Some(id.to_owned()), pem),
                None => (None, text.as_str()),
            };
            Some((asked_by, Leaf::of_pem(pem).ok()?))
        };
        let kept = beside(file);
        let [former, renewed] = kept.each_ref().map(read);
        let (asked_by, renewed) = renewed.unzip();
        let former = former.map(|(_, leaf)| leaf);
        let is = |one: &Option<Leaf>| {
            let fingerprint = one.as_ref().map(|one| one.fingerprint);
            fingerprint == Some(shown.fingerprint)
        };
        let shows_renewed = is(&renewed);
        if let (Some(former), Some(renewed)) = (&former, &renewed)
            && (shows_renewed || shown.fingerprint == former.fingerprint)
        {
            return Some(Self {
                file: file.to_owned(),
                former: former.clone(),
                renewed: renewed.clone(),
                shows_renewed,
                refusals: 0,
                asked_by: asked_by.flatten(),
            });
        }
        forget(kept);
        None
    }

    /// The controller that asked for the renewed one, where that is known.
    pub fn asked_by(&self) -> Option<&str> {
        self.asked_by.as_deref()
    }

    /// The one that is shown was refused once more. After some times the other one is shown, unless that has expired by
    /// now: which of them a server takes, only a server knows.
    pub fn refused(&mut self, unix_seconds: i64) -> Result<Refused, TlsError> {
        self.refusals += 1;
        let other = match self.shows_renewed {
            true => &self.former,
            false => &self.renewed,
        };
        if self.refusals < CERTIFICATE_REFUSALS_MAX || other.info.not_after < unix_seconds {
            return Ok(Refused::Counted);
        }
        mtp::tls::write_private(&self.file, &other.pem)?;
        self.shows_renewed = !self.shows_renewed;
        self.refusals = 0;
        Ok(Refused::Changed)
    }

    /// A server has taken the one that is shown: the other one is over. Whether it was the renewed one.
    pub fn accepted(self) -> bool {
        forget(beside(&self.file));
        self.shows_renewed
    }
}

/// Where the two are kept.
fn beside(file: &Path) -> [PathBuf; 2] {
    ["former.pem", "renewed.pem"].map(|ends| file.with_extension(ends))
}

fn forget(files: [PathBuf; 2]) {
    for file in files {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(file = %file.display(), %error, "a certificate that is over cannot be removed");
            }
            _ => {}
        }
    }
}
