//! Certificates of devices that were issued here: what they are worth at the doors, that one which takes the place of
//! another ends that one, and that links which came in with one end when it is revoked.
//!
//! Not here: who issues them (`handlers::certificate`), and what a certificate proves (`fleet::onboarding`).

use std::sync::Arc;
use std::time::Duration;

use fleet::onboarding::Standing;
use fleet::{DeviceId, Event, EventKind, Timestamp};
use store::{CertificateRecord, Revocation, SecretHash, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::limits::{REPLACED_MAX, REVOKED_LOOKS, REVOKED_LOOKS_IDLE};
use super::registry::{Entry, Registry};
use crate::state::now;

/// Why the certificates of a device that was removed do not count any more.
const REMOVED: &str = "its device was removed";

/// What is known of the certificate that somebody shows; `None` where there is none, or it was issued elsewhere.
pub async fn find(
    store: &Store,
    fingerprint: Option<&SecretHash>,
) -> store::Result<Option<Box<CertificateRecord>>> {
    match fingerprint {
        Some(one) => Ok(store.certificate_by_fingerprint(one).await?.map(Box::new)),
        None => Ok(None),
    }
}

/// What the decision about a newcomer is told of it.
pub fn standing(record: &CertificateRecord) -> Standing<'_> {
    Standing {
        tenant: &record.tenant,
        revoked: record.revoked_at.is_some(),
    }
}

/// A device came in by it. The first time proves that the device has it: the one that it takes the place of is over.
/// Written only where another one was used since: devices come again and again.
pub async fn used(
    store: &Store,
    record: &CertificateRecord,
    device: DeviceId,
) -> store::Result<()> {
    if record.used_last {
        return Ok(());
    }
    let (tenant, at) = (&record.tenant, now());
    // First the old ones: whatever is lost on the way, this is done again until the new one is known to be in use.
    let first = record.first_used_at.is_none();
    let mut replaced = record.certificate.replaces.filter(|_| first);
    for _ in 0..REPLACED_MAX {
        let Some(id) = replaced else { break };
        let old = match store.certificate(tenant, id).await {
            Ok(old) => old,
            // Expired, and forgotten.
            Err(store::Error::NotFound(_)) => break,
            Err(error) => return Err(error),
        };
        replaced = old.certificate.replaces;
        let reason = format!("certificate {} took its place", record.certificate.serial);
        revoke(store, &old, Some(device), "system", at, reason).await?;
    }
    let event = Event::new(tenant.clone(), at, EventKind::CertificateUsed)
        .device(device)
        .data(record.certificate.told());
    store
        .certificate_used(tenant, record.certificate.id, at, vec![event])
        .await?;
    Ok(())
}

/// Revokes one; false when it was revoked before.
pub async fn revoke(
    store: &Store,
    record: &CertificateRecord,
    device: Option<DeviceId>,
    by: &str,
    at: Timestamp,
    reason: String,
) -> store::Result<bool> {
    let revocation = Revocation {
        at,
        by: by.to_owned(),
        reason,
    };
    let told = record.certificate.told();
    let event = store::revoked_event(&record.tenant, told, device, &revocation);
    let id = record.certificate.id;
    store
        .certificate_revoke(&record.tenant, id, revocation, vec![event])
        .await
}

/// What is to become of the certificates of a device that is removed.
pub fn removed(by: &str, at: Timestamp) -> Revocation {
    Revocation {
        at,
        by: by.to_owned(),
        reason: REMOVED.to_owned(),
    }
}

/// Ends the links of one adapter on this node whose certificates were revoked, until the server stops: at once where
/// `changed` says so, else within `every`, whichever node or person revoked one.
pub async fn watch<C>(
    store: &Store,
    links: &Registry<C>,
    changed: &Notify,
    every: Duration,
    shutdown: &CancellationToken,
    stop: impl Fn(&Entry<C>),
) {
    let mut looks = Looks::default();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = changed.notified() => {}
            () = tokio::time::sleep(every) => {}
        }
        match revoked(store, links, &mut looks).await {
            Ok(revoked) => revoked.iter().for_each(|entry| stop(entry)),
            Err(error) => {
                tracing::warn!(%error, "which certificates are revoked cannot be read; looked at again soon");
            }
        }
    }
}

/// When to look at every link: while something was revoked lately, since a device that was let in before may take its
/// place after it; and now and then, since clocks differ between nodes.
#[derive(Debug, Default)]
pub struct Looks {
    last: Option<Timestamp>,
    left: u32,
    idle: u32,
}

impl Looks {
    /// Once more, since it failed; as often as after a revocation at most, however often that is.
    pub fn again(&mut self) {
        self.left = (self.left + 1).min(REVOKED_LOOKS);
    }

    /// Whether to, when this was last revoked.
    pub fn now(&mut self, last: Option<Timestamp>) -> bool {
        if last != self.last {
            self.left = REVOKED_LOOKS;
        }
        self.last = last;
        self.idle += 1;
        let look = self.left > 0 || self.idle >= REVOKED_LOOKS_IDLE;
        if look {
            self.left = self.left.saturating_sub(1);
            self.idle = 0;
        }
        look && last.is_some()
    }
}

async fn revoked<C>(
    store: &Store,
    links: &Registry<C>,
    looks: &mut Looks,
) -> store::Result<Vec<Arc<Entry<C>>>> {
    if !looks.now(store.certificate_revoked_last().await?) {
        return Ok(Vec::new());
    }
    let mut certified = links.all();
    certified.retain(|entry| entry.certificates().next().is_some());
    let mut revoked = Vec::new();
    // Each may rest on two.
    for some in certified.chunks(store::limits::PAGE_MAX / 2) {
        let shown: Vec<SecretHash> = some.iter().flat_map(|entry| entry.certificates()).collect();
        let over = match store.certificate_revoked_among(&shown).await {
            Ok(over) => over,
            Err(error) => {
                // Looked at again from the beginning.
                looks.again();
                return Err(error);
            }
        };
        let is_over = |entry: &&Arc<Entry<C>>| entry.certificates().any(|one| over.contains(&one));
        revoked.extend(some.iter().filter(is_over).cloned());
    }
    Ok(revoked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_looked_at_while_something_was_revoked_lately_and_now_and_then() {
        let mut looks = Looks::default();
        // Nothing was ever revoked: there is nothing to look for.
        assert!((0..3 * REVOKED_LOOKS_IDLE).all(|_| !looks.now(None)));
        let at = |n: i64| Some(Timestamp::from_millis(n));
        assert!((0..REVOKED_LOOKS).all(|_| looks.now(at(1))));
        let later: Vec<bool> = (0..REVOKED_LOOKS_IDLE).map(|_| looks.now(at(1))).collect();
        assert_eq!(later.iter().filter(|look| **look).count(), 1);
        assert!(looks.now(at(2)));
        // However often it failed: what there is to find is found as soon as after a revocation.
        (0..100 * REVOKED_LOOKS).for_each(|_| looks.again());
        let more = (0..100 * REVOKED_LOOKS).take_while(|_| looks.now(at(2)));
        assert_eq!(more.count(), REVOKED_LOOKS as usize);
    }
}
