//! What the doors of all adapters have in common: how the store's rows become what
//! `fleet::onboarding` decides by, and how often setup keys may be used.
//!
//! Not here: what a newcomer shows, and where (in each adapter).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use fleet::onboarding::{Credential, Known};
use fleet::{DeviceId, SetupKeyId, TenantId, Timestamp};
use store::{CertificateRecord, PathRecord, SetupKeyRecord, Store};

use super::limits::SETUP_KEYS_COUNTED_MAX;
use crate::config::Tenants;
use crate::state::now;

/// How often setup keys, or others that let devices in, were used lately.
pub struct Uses<K = SetupKeyId> {
    burst: f64,
    per_second: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

/// Uses of one of them: a bucket that leaks.
struct Bucket {
    level: f64,
    at: Instant,
}

impl Uses {
    /// Whether a setup key opens: one that is only used up still serves the devices it has let in.
    pub fn judge(credential: &mut Credential, used_up: bool, path: Option<&PathRecord>) {
        if let Credential::SetupKey { key, usable, .. } = credential {
            *usable |= used_up && path.is_some_and(|path| path.setup_key == Some(*key));
        }
    }

    /// Counts the use of a setup key.
    pub fn count(&self, credential: &mut Credential) {
        let Credential::SetupKey {
            key,
            usable,
            limited,
            ..
        } = credential
        else {
            return;
        };
        if *usable {
            *limited = self.limited(*key, Instant::now());
        }
    }
}

impl<K: Eq + Hash> Uses<K> {
    /// So many at once, so many in the long run.
    pub fn new(burst: f64, per_second: f64) -> Self {
        Self {
            burst,
            per_second,
            buckets: Mutex::default(),
        }
    }

    /// One more use; true when there were too many.
    pub fn limited(&self, key: K, now: Instant) -> bool {
        let level = |bucket: &Bucket| {
            let since = now.saturating_duration_since(bucket.at);
            (bucket.level - since.as_secs_f64() * self.per_second).max(0.0)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SETUP_KEYS_COUNTED_MAX && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| level(bucket) > 0.0);
            if buckets.len() >= SETUP_KEYS_COUNTED_MAX {
                return true;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            level: 0.0,
            at: now,
        });
        bucket.level = level(bucket);
        bucket.at = now;
        let limited = bucket.level + 1.0 > self.burst;
        if !limited {
            bucket.level += 1.0;
        }
        limited
    }
}

/// How a path says that its device came by a client certificate.
const CERTIFICATE: &str = "certificate";

/// [`fleet::onboarding::Strength::Broker`] in the store.
pub const BROKER: &str = "broker";

/// What the way to a device says about who may take it.
pub fn known(device: DeviceId, path: Option<&PathRecord>) -> Known {
    let is = |what: fn(&PathRecord) -> bool| path.is_some_and(what);
    Known {
        device,
        has_own_credential: is(|path| path.has_current || path.authenticated_by == CERTIFICATE),
        // A token that onboarding wrote is pending, too, but then the device came with a setup key.
        // One that its broker lets in without one has a credential there.
        expects_own_token: is(|path| {
            let own = path.pending_at.is_some() || path.authenticated_by == BROKER;
            own && path.setup_key.is_none()
        }),
        certificate_required: is(|path| path.certificate_required),
        readmit: is(|path| path.readmit_until.is_some_and(|until| until > now())),
    }
}

/// What a setup key opens, and whether nothing but its count has run out.
pub fn setup_key(key: &SetupKeyRecord, now: Timestamp) -> (Credential, bool) {
    let open = key.revoked_at.is_none() && key.expires_at.is_none_or(|at| at > now);
    let used_up = key.uses_max.is_some_and(|max| key.uses >= max);
    let credential = Credential::SetupKey {
        tenant: key.tenant.clone(),
        key: key.id,
        usable: open && !used_up,
        limited: false,
    };
    (credential, open && used_up)
}

/// Whether a setup key opens what has come with it before: its count does not matter for that.
pub async fn is_in_force(store: &Store, tenant: &TenantId, key: SetupKeyId) -> store::Result<bool> {
    match store.setup_key(tenant, key).await {
        Ok(key) => {
            let (credential, used_up) = setup_key(&key, now());
            Ok(used_up || credential.is_usable_key())
        }
        Err(store::Error::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The tenant of this name; else the one for whose device the certificate was issued; where there is only one, that one.
pub async fn tenant_named(
    store: &Store,
    name: &str,
    issued: Option<&CertificateRecord>,
) -> store::Result<Option<TenantId>> {
    if let Ok(tenant) = TenantId::parse(name) {
        match store.tenant(&tenant).await {
            Ok(_) => return Ok(Some(tenant)),
            Err(store::Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if let Some(issued) = issued {
        return Ok(Some(issued.tenant.clone()));
    }
    let mut all = store.tenant_list().await?;
    Ok(match all.len() {
        1 => all.pop().map(|tenant| tenant.id),
        _ => None,
    })
}

/// The tenant of this name, for a device that comes with nothing but a certificate; the one for whose device that was
/// issued here, or of those for whose devices it counts when it was issued elsewhere.
pub async fn tenant_certified(
    store: &Store,
    name: &str,
    issued: Option<&CertificateRecord>,
    elsewhere: Option<&Tenants>,
) -> store::Result<Option<TenantId>> {
    let tenant = tenant_named(store, name, issued).await?;
    match &tenant {
        Some(named) if !counts(store, named, issued, elsewhere).await? => Ok(None),
        _ => Ok(tenant),
    }
}

/// Whether a certificate says something about a tenant's devices: one of elsewhere, for those of the tenants that the
/// operator names (`pki.tenants`), else of the only one there is. Whose one that was issued here is, is known.
pub async fn counts(
    store: &Store,
    tenant: &TenantId,
    issued: Option<&CertificateRecord>,
    elsewhere: Option<&Tenants>,
) -> store::Result<bool> {
    match (issued, elsewhere) {
        (Some(_), _) => Ok(true),
        (None, Some(named)) => Ok(named.has(tenant.as_str())),
        (None, None) => Ok(store.tenant_list().await?.len() == 1),
    }
}

/// What is said of a certificate that does not count.
pub const ELSEWHERE: &str = "it was not issued here, so the path has to end with the tenant that it comes to, and pki.tenants to name that one";

/// What is said of one whose device says no tenant that there is.
pub const UNNAMED: &str = "it was not issued here, and no tenant is called as the path ends, so nothing says whose device it is";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use super::super::limits::{SETUP_KEY_BURST, SETUP_KEY_PER_SECOND};

    fn uses() -> Uses {
        Uses::new(SETUP_KEY_BURST, SETUP_KEY_PER_SECOND)
    }

    #[test]
    fn a_setup_key_is_limited_after_a_burst_and_serves_again_later() {
        let (uses, now) = (uses(), Instant::now());
        let key = SetupKeyId(uuid::Uuid::nil());
        let burst = SETUP_KEY_BURST as usize;
        assert!((0..burst).all(|_| !uses.limited(key, now)));
        assert!(uses.limited(key, now));
        assert!(!uses.limited(SetupKeyId(uuid::Uuid::max()), now));
        let soon = now + Duration::from_secs_f64(1.0 / SETUP_KEY_PER_SECOND);
        assert!(!uses.limited(key, soon));
        assert!(uses.limited(key, soon));
    }

    #[test]
    fn only_so_many_setup_keys_are_counted_and_the_idle_ones_are_forgotten() {
        let (uses, now) = (uses(), Instant::now());
        let key = |n: usize| SetupKeyId(uuid::Uuid::from_u128(n as u128));
        assert!((0..SETUP_KEYS_COUNTED_MAX).all(|n| !uses.limited(key(n), now)));
        assert!(uses.limited(key(SETUP_KEYS_COUNTED_MAX), now));
        let later = now + Duration::from_secs(1);
        assert!(!uses.limited(key(SETUP_KEYS_COUNTED_MAX), later));
        assert_eq!(uses.buckets.lock().unwrap().len(), 1);
    }
}
