//! The lease of this host's DHCP client: looked at from time to time, and read when it is another one.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mtp::discovery::{dhcp::Offer, lease};
use mtp::limits::LEASES_BYTES_MAX;

use super::Driver;
use super::domain::{self, Domain};
use crate::engine::{Found, Source};
use crate::limits::LEASE_LOOK_EVERY;

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The file, and what it was when it was last read.
pub(super) struct Lease {
    path: PathBuf,
    seen: Option<Stamp>,
    due: Instant,
    /// Why the file could not be looked at.
    trouble: Option<ErrorKind>,
    /// What was read and could not be used, and why: things may have changed when it is due again.
    unused: Option<(Offer, String)>,
}

impl Lease {
    pub fn new(path: PathBuf, now: Instant) -> Lease {
        Lease {
            path,
            seen: None,
            due: now,
            trouble: None,
            unused: None,
        }
    }

    pub fn deadline(&self) -> Instant {
        self.due
    }

    /// What it says, if it is due and another one, or could not be used so far; the error says what is wrong with it.
    fn look(&mut self, now: Instant) -> Option<Result<Option<Offer>, String>> {
        if self.due > now {
            return None;
        }
        self.due = now + LEASE_LOOK_EVERY;
        let file = match std::fs::metadata(&self.path) {
            Ok(file) => file,
            Err(error) => {
                // Without a lease yet, or while it is replaced, there is nothing to say.
                let named = error.kind() == ErrorKind::NotFound
                    || self.trouble.replace(error.kind()) == Some(error.kind());
                return (!named).then(|| Err(error.to_string()));
            }
        };
        self.trouble = None;
        let stamp = Stamp {
            file: file.ino(),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        };
        if self.seen == Some(stamp) {
            let (offer, _) = self.unused.as_ref()?;
            return Some(Ok(Some(offer.clone())));
        }
        self.seen = Some(stamp);
        self.unused = None;
        if !file.is_file() {
            return Some(Err("is no file".into()));
        }
        Some(read(&self.path))
    }

    /// What it says cannot be used: it is tried again. Whether that is news.
    fn is_unused(&mut self, offer: Offer, reason: &str) -> bool {
        let before = self.unused.replace((offer, reason.to_owned()));
        before.is_none_or(|(_, before)| before != reason)
    }
}

fn read(path: &Path) -> Result<Option<Offer>, String> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    // It may be longer than it was when it was looked at.
    file.take(LEASES_BYTES_MAX as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() > LEASES_BYTES_MAX {
        return Err(format!(
            "is longer than {LEASES_BYTES_MAX} bytes, which are read at most"
        ));
    }
    lease::read(&String::from_utf8_lossy(&text)).map_err(|error| error.to_string())
}

impl Driver {
    /// Takes up what the lease says. One that is wrong is named and changes nothing.
    pub(super) fn look_at_lease(&mut self) {
        let now = self.clock.now();
        let Some(lease) = &mut self.lease else { return };
        let Some(said) = lease.look(now.at) else {
            return;
        };
        let agent = self.engine.endpoint_id();
        let file = lease.path.display();
        match said {
            Ok(Some(offer)) if domain::is_one(&offer) => {
                tracing::debug!(%agent, %file, domain = offer.url, "the DHCP lease names a domain");
                self.domain = Some(Domain::new(offer));
            }
            Ok(Some(offer)) => {
                // What could not be used so far may come from the domain.
                if lease.unused.is_none() {
                    self.domain = None;
                }
                self.take_up_lease(offer);
            }
            Ok(None) => {
                self.domain = None;
                tracing::debug!(%agent, %file, "the DHCP lease names no controller");
            }
            Err(reason) => {
                tracing::warn!(%agent, %file, %reason, "the DHCP lease cannot be read");
            }
        }
    }

    /// Takes up a controller that a lease has led to.
    pub(super) fn take_up_lease(&mut self, offer: Offer) {
        let now = self.clock.now();
        let Some(lease) = &mut self.lease else { return };
        let (agent, file) = (self.engine.endpoint_id().clone(), lease.path.clone());
        let file = file.display();
        match self.engine.found(now, Source::Lease, &offer) {
            Ok(found @ (Found::Known | Found::Configured)) => {
                lease.unused = None;
                tracing::debug!(%agent, %file, %found, "the DHCP lease names a controller");
            }
            Ok(found) => {
                lease.unused = None;
                let url = without_key(offer.url.as_deref().unwrap_or_default());
                let controller = offer.endpoint_id.as_ref().map(|id| id.as_str());
                tracing::info!(%agent, %file, controller, url, %found, "the DHCP lease names a controller");
            }
            Err(reason) => {
                if lease.is_unused(offer, &reason) {
                    tracing::warn!(%agent, %file, %reason, "the controller of the DHCP lease cannot be used");
                }
            }
        }
    }

    /// The state is as from the factory: what the lease says is news again.
    pub(super) fn forget_lease(&mut self) {
        let now = self.clock.now().at;
        self.domain = None;
        if let Some(lease) = &mut self.lease {
            *lease = Lease::new(std::mem::take(&mut lease.path), now);
        }
    }
}

/// The URL without what may be a credential: user name and password, the end of the path, and a query. Logs are read by many.
pub(super) fn without_key(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let place = place.rsplit('@').next().unwrap_or_default();
    match path.rsplit_once('/') {
        Some((path, _)) => format!("{scheme}://{place}/{path}"),
        None => format!("{scheme}://{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "opt125=00000de913190877733a2f2f612f751d0773656c663a3a63\n";

    #[test]
    fn a_lease_is_read_when_it_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lease");
        let now = Instant::now();
        let mut lease = Lease::new(path.clone(), now);
        let at = |n: u32| now + LEASE_LOOK_EVERY * n;
        assert!(lease.look(at(0)).is_none());
        std::fs::write(&path, LINE).unwrap();
        assert!(lease.look(at(0)).is_none(), "it is not due");
        let offer = lease.look(at(1)).unwrap().unwrap().unwrap();
        assert_eq!(offer.url.as_deref(), Some("ws://a/u"));
        assert!(lease.look(at(2)).is_none(), "it is the same");
        let other = folder.path().join("other");
        std::fs::write(&other, LINE).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(lease.look(at(3)).unwrap().unwrap().is_some());
        std::fs::write(&path, "nonsense").unwrap();
        assert!(lease.look(at(4)).unwrap().is_err());
        assert!(lease.look(at(5)).is_none(), "it was named once");
    }

    #[test]
    fn what_is_too_large_or_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lease");
        std::fs::File::create(&path)
            .unwrap()
            .set_len(LEASES_BYTES_MAX as u64 + 1)
            .unwrap();
        let now = Instant::now();
        let said = |path: PathBuf| Lease::new(path, now).look(now).unwrap().unwrap_err();
        assert!(said(path).contains("longer than 1048576"));
        assert_eq!(said(folder.path().to_owned()), "is no file");
    }

    #[test]
    fn a_file_that_may_not_be_looked_at_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        // No folder: an error other than that there is no file.
        let path = folder.path().join("file");
        std::fs::write(&path, LINE).unwrap();
        let now = Instant::now();
        let mut lease = Lease::new(path.join("lease"), now);
        assert!(lease.look(now).unwrap().is_err());
        assert!(lease.look(now + LEASE_LOOK_EVERY).is_none());
        let mut lease = Lease::new(folder.path().join("none"), now);
        assert!(lease.look(now).is_none());
    }

    #[test]
    fn what_could_not_be_used_is_tried_again_and_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lease");
        std::fs::write(&path, LINE).unwrap();
        let now = Instant::now();
        let mut lease = Lease::new(path, now);
        let offer = lease.look(now).unwrap().unwrap().unwrap();
        assert!(lease.is_unused(offer.clone(), "no room"));
        assert!(lease.look(now).is_none(), "it is not due");
        let again = lease.look(now + LEASE_LOOK_EVERY).unwrap().unwrap();
        assert_eq!(again, Some(offer.clone()));
        assert!(!lease.is_unused(offer.clone(), "no room"));
        assert!(lease.is_unused(offer, "another reason"));
    }

    #[test]
    fn a_setup_key_is_not_logged() {
        assert_eq!(without_key("wss://a:1/usp/hes_1"), "wss://a:1/usp");
        assert_eq!(without_key("mqtt://a:1"), "mqtt://a:1");
        assert_eq!(without_key("ws://a/usp"), "ws://a");
        assert_eq!(
            without_key("wss://u:secret@a:1/b/usp/k?key=2#3"),
            "wss://a:1/b/usp"
        );
        assert_eq!(without_key("mqtts://u:p@a?k"), "mqtts://a");
        assert_eq!(without_key("acs.example.net"), "acs.example.net");
    }
}
