//! What a request proves: HTTP authentication (Basic and Digest), a setup key in the path, a client
//! certificate. Whether the device may come in is decided later, when it has said who it is: see
//! `admission`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use ::cwmp::auth::basic::{self, Basic};
use ::cwmp::auth::digest::{Algorithm, Credentials, Denied as Wrong, Server};
use ::cwmp::value::SecretBytes;
use fleet::{DeviceId, SetupKeyId, TenantId};
use store::{Returning, SecretHash};

use super::conversation::quirks::Challenge;
use super::core::Core;
use super::limits::{FAILURES_PER_SECOND, Limits, NONCES_USED_MAX};
use super::offers::Offers;
use super::seen::Seen;
use super::used::Used;
use super::{TRANSPORT, credential};
use crate::auth::limiter::{Limiter, Rate};
use crate::config::{Cwmp, DigestHash, OfferBasic};
use crate::http::peer;
use crate::secret;
use crate::southbound::admission::{self, Uses};
use crate::southbound::issued;
use crate::state::now;
use crate::vault::Vault;

/// Setup keys that one Digest is compared with.
const KEYS_MAX: usize = store::limits::SETUP_KEYS_READABLE_MAX as usize;

/// The only method that counts; Digest hashes it.
const METHOD: &str = "POST";

/// The door of the ACS.
pub struct Door {
    vault: Vault,
    digest: Server,
    cookies: [u8; 32],
    realm: String,
    basic: OfferBasic,
    /// How often setup keys were used lately.
    pub uses: Uses,
    /// Which challenges who answers.
    pub offers: Offers,
    used: Used,
    failures: Limiter,
}

/// A client certificate that is good.
#[derive(Debug)]
pub struct ClientCertificate {
    /// Its names.
    pub names: Vec<String>,
    /// See [`mtp::tls::fingerprint`].
    pub fingerprint: SecretHash,
}

/// What a request shows of itself.
#[derive(Debug)]
pub struct Request<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The path it goes to, without the query.
    pub path: &'a str,
    /// Its client certificate, where it has one that is good.
    pub certificate: Option<&'a Arc<ClientCertificate>>,
    /// Where it comes from.
    pub from: IpAddr,
}

impl Request<'_> {
    /// The last part of the path: a setup key, or whose device it is.
    fn hint(&self) -> &str {
        let path = self.path.trim_end_matches('/');
        path.rsplit('/').next().unwrap_or_default()
    }

    /// Stands for all that it shows of itself: what has the same mark proves the same. `None` where it shows
    /// nothing.
    pub fn mark(&self) -> Option<SecretHash> {
        let authorization = self
            .authorization
            .and_then(|header| match Basic::parse(header) {
                Some(basic) => Some((basic.username, basic.password.0)),
                None => Credentials::parse(header).map(|digest| (digest.username, String::new())),
            });
        let authorization = authorization.filter(|(user, _)| !user.is_empty());
        let certificate = self.certificate.map(|one| one.fingerprint);
        let by_path = secret::looks_like(self.hint(), secret::SETUP_KEY);
        let shows = authorization.is_some() || certificate.is_some() || by_path;
        let all = format!("{authorization:?} {certificate:?} {}", self.hint());
        shows.then(|| secret::hash(&all))
    }
}

/// What a request has proved.
#[derive(Clone, Debug)]
pub struct Shown {
    /// By what.
    pub proof: Proof,
    /// The user name; may be empty.
    pub user: Arc<str>,
    /// It came with an `Authorization` header.
    pub authorized: bool,
    /// Its client certificate.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Shown {
    /// The user name for people, as long as it is: whoever keeps it takes out what may be a key, and
    /// cuts it.
    pub fn user_name(&self) -> String {
        self.user.to_string()
    }
}

/// What proves something.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A tenant's setup key.
    SetupKey {
        /// Whose.
        tenant: TenantId,
        /// Which.
        key: SetupKeyId,
    },
    /// The password of one device.
    Device {
        /// Whose.
        tenant: TenantId,
        /// Which.
        device: DeviceId,
        /// The hash of the password.
        hash: SecretHash,
        /// What was known of it when it showed that, until it was judged.
        seen: Option<Seen>,
    },
    /// Nothing but a client certificate.
    Certificate {
        /// Whose; `None` where the path does not say it and there are several.
        tenant: Option<TenantId>,
    },
}

impl Proof {
    /// What was known of the device just now.
    pub fn seen(&self) -> Option<&Returning> {
        match self {
            Self::Device { seen, .. } => seen.as_ref().and_then(Seen::fresh),
            _ => None,
        }
    }

    /// It was judged: what was known is not held for as long as the session lasts. It, as long as it counts.
    pub fn take_seen(&mut self) -> Option<Seen> {
        match self {
            Self::Device { seen, .. } => seen.take().filter(|seen| seen.fresh().is_some()),
            _ => None,
        }
    }

    /// Whether a later request proves the same as the first of a session.
    pub fn is_again(&self, first: &Self) -> bool {
        match (self, first) {
            (Self::SetupKey { key, .. }, Self::SetupKey { key: first, .. }) => key == first,
            (Self::Device { device, .. }, Self::Device { device: first, .. }) => device == first,
            (Self::Certificate { tenant }, Self::Certificate { tenant: first }) => tenant == first,
            _ => false,
        }
    }

    /// The same without what was known of the device: as it is held for as long as a session lasts.
    pub fn bare(&self) -> Self {
        let mut bare = self.clone();
        if let Self::Device { seen, .. } = &mut bare {
            *seen = None;
        }
        bare
    }

    /// Which device it is proof of.
    pub fn device(&self) -> Option<DeviceId> {
        match self {
            Self::Device { device, .. } => Some(*device),
            Self::SetupKey { .. } | Self::Certificate { .. } => None,
        }
    }

    /// Whose it is, where that is known.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::SetupKey { tenant, .. } | Self::Device { tenant, .. } => Some(tenant),
            Self::Certificate { tenant } => tenant.as_ref(),
        }
    }
}

/// Why a request proves nothing.
#[derive(Debug)]
pub enum Denied {
    /// It shows nothing: it is asked.
    Ask,
    /// What it shows is right and too old, or was used before: it is asked anew, and comes back by
    /// itself.
    Stale,
    /// What it shows is wrong.
    Wrong {
        /// As whom it came.
        user: String,
        /// In whose name, where that is known.
        tenant: Option<TenantId>,
        /// What is wrong.
        why: String,
    },
    /// Too much of what came from its network was wrong: nothing is looked up.
    TooMany,
    /// That cannot be known now.
    Later(String),
}

impl From<store::Error> for Denied {
    fn from(error: store::Error) -> Self {
        Self::Later(error.to_string())
    }
}

impl Door {
    /// A door with the secrets of this vault.
    pub fn new(vault: Vault, config: &Cwmp, limits: &Limits) -> Self {
        let hashes = config.digest.iter().map(|hash| match hash {
            DigestHash::Md5 => Algorithm::Md5,
            DigestHash::Sha256 => Algorithm::Sha256,
        });
        let digest = Server {
            realm: config.realm.clone(),
            algorithms: hashes.collect(),
            qop: config.digest_qop,
            secret: SecretBytes(vault.key("cwmp nonce").to_vec()),
            life: limits.nonce_life.as_secs(),
        };
        Self {
            digest,
            cookies: vault.key("cwmp cookie"),
            vault,
            realm: config.realm.clone(),
            basic: config.basic,
            uses: Uses::new(limits.setup_key_burst, limits.setup_key_per_second),
            offers: Offers::default(),
            used: Used::new(limits.nonce_life, NONCES_USED_MAX),
            failures: Limiter::new(Rate {
                burst: limits.failures_burst,
                per_second: FAILURES_PER_SECOND,
            }),
        }
    }

    /// The master key.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// What cookies are signed with.
    pub fn cookie_secret(&self) -> &[u8] {
        &self.cookies
    }

    /// The values of the `WWW-Authenticate` headers of an answer with status 401: all that there are,
    /// or only this one where it may be offered.
    pub fn challenges(&self, secure: bool, stale: bool, only: Option<Challenge>) -> Vec<String> {
        let basic = match self.basic {
            OfferBasic::Tls => secure,
            OfferBasic::Always => true,
            OfferBasic::Never => false,
        };
        let has_md5 = self.digest.algorithms.contains(&Algorithm::Md5);
        let digest = |server: &Server| server.challenges(seconds(), rand::random(), stale);
        match only {
            Some(Challenge::Basic) if basic => return vec![basic::challenge(&self.realm)],
            Some(Challenge::Md5 | Challenge::NoQop) if has_md5 => {
                return digest(&Server {
                    algorithms: vec![Algorithm::Md5],
                    qop: self.digest.qop && only == Some(Challenge::Md5),
                    ..self.digest.clone()
                });
            }
            _ => {}
        }
        let mut all = digest(&self.digest);
        if basic {
            all.push(basic::challenge(&self.realm));
        }
        all
    }
}

/// The wall clock in seconds, which all nodes share.
pub fn seconds() -> u64 {
    u64::try_from(now().as_millis() / 1000).unwrap_or_default()
}

/// The user that an `Authorization` header names.
pub fn user(authorization: &str) -> Option<String> {
    match Basic::parse(authorization) {
        Some(basic) => Some(basic.username),
        None => Credentials::parse(authorization).map(|digest| digest.username),
    }
}

/// What a request proves. What is wrong counts for its network, also where a cookie has let the request in already.
pub async fn authenticate(core: &Core, request: &Request<'_>) -> Result<Shown, Denied> {
    let hint = request.hint();
    let shows = request.authorization.is_some()
        || request.certificate.is_some()
        || secret::looks_like(hint, secret::SETUP_KEY);
    if !shows {
        return Err(Denied::Ask);
    }
    let (failures, network) = (&core.door.failures, peer::network(request.from));
    if failures.check(&network, Instant::now()).is_err() {
        return Err(Denied::TooMany);
    }
    let proved = prove(core, request).await;
    if let Err(Denied::Wrong { .. }) = proved {
        let _ = failures.take(&network, Instant::now());
    }
    proved
}

async fn prove(core: &Core, request: &Request<'_>) -> Result<Shown, Denied> {
    let hint = request.hint();
    let shown = |proof, user: &str, authorized| Shown {
        proof,
        user: Arc::from(user),
        authorized,
        certificate: request.certificate.cloned(),
    };
    if let Some(header) = request.authorization {
        if let Some(basic) = Basic::parse(header) {
            // Some clients show nothing before they are asked, and say so.
            if !(basic.username.is_empty() && basic.password.0.is_empty()) {
                let proof = by_password(core, &basic).await?;
                return Ok(shown(proof, &basic.username, true));
            }
        } else if let Some(digest) = Credentials::parse(header) {
            let proof = by_digest(core, &digest, hint).await?;
            return Ok(shown(proof, &digest.username, true));
        } else {
            return Err(wrong("", None, "its Authorization header cannot be read"));
        }
    }
    if secret::looks_like(hint, secret::SETUP_KEY) {
        return match core.store.setup_key_by_hash(&secret::hash(hint)).await? {
            Some(key) => {
                let (tenant, key) = (key.tenant, key.id);
                Ok(shown(Proof::SetupKey { tenant, key }, "", false))
            }
            None => Err(wrong("", None, "the setup key in the path is unknown")),
        };
    }
    if let Some(certificate) = request.certificate {
        // One of ours is known to be of a tenant. Others say nothing of it: the path says whose device it is, of those
        // for whose devices they count.
        let issued = issued::find(&core.store, Some(&certificate.fingerprint)).await?;
        let (store, elsewhere) = (&core.store, core.config.pki.tenants.as_ref());
        let tenant = admission::tenant_certified(store, hint, issued.as_deref(), elsewhere).await?;
        return Ok(shown(Proof::Certificate { tenant }, "", false));
    }
    Err(Denied::Ask)
}

fn wrong(user: &str, tenant: Option<&TenantId>, why: impl Into<String>) -> Denied {
    Denied::Wrong {
        user: user.to_owned(),
        tenant: tenant.cloned(),
        why: why.into(),
    }
}

async fn by_password(core: &Core, shown: &Basic) -> Result<Proof, Denied> {
    let (store, user) = (&core.store, shown.username.as_str());
    let hash = secret::hash(&shown.password.0);
    if secret::looks_like(&shown.password.0, secret::SETUP_KEY) {
        // The key says whose it is; what it is called by does not matter.
        return match store.setup_key_by_hash(&hash).await? {
            Some(key) => Ok(Proof::SetupKey {
                tenant: key.tenant,
                key: key.id,
            }),
            None => Err(wrong(user, None, "the setup key is unknown")),
        };
    }
    if let Some(login) = device(user)
        && let Some(seen) = Seen::of(core, login).await?
        && seen.known().status(&hash).is_some()
    {
        return Ok(seen.proves(hash));
    }
    let found = store.path_by_credential(&hash).await?;
    match found.filter(|found| found.transport == TRANSPORT) {
        Some(found) => {
            let why = "the password is that of another user name";
            Err(wrong(user, Some(&found.tenant), why))
        }
        None => Err(wrong(user, None, "the password is wrong")),
    }
}

/// The device whose id this is.
fn device(user: &str) -> Option<DeviceId> {
    user.trim().parse().ok()
}

async fn by_digest(core: &Core, shown: &Credentials, hint: &str) -> Result<Proof, Denied> {
    let (store, user) = (&core.store, shown.username.as_str());
    let (at, digest) = (seconds(), &core.door.digest);
    // Nothing is looked up for what cannot be right.
    digest.judge(at, shown).map_err(|error| match error {
        Wrong::Foreign => Denied::Stale,
        other => wrong(user, None, other.to_string()),
    })?;
    let used = &core.door.used;
    let check = |password: &str| match digest.check(at, shown, METHOD, b"", password) {
        Ok(()) if used.note(&shown.nonce, shown.count(), Instant::now()) => Ok(true),
        Ok(()) | Err(Wrong::Stale) => Err(Denied::Stale),
        Err(_) => Ok(false),
    };
    if let Some(login) = device(user) {
        let Some(seen) = Seen::of(core, login).await? else {
            return Err(wrong(user, None, "no device has this user name"));
        };
        for (password, hash) in credential::candidates(&core.door.vault, seen.known(), login) {
            if check(&password)? {
                return Ok(seen.proves(hash));
            }
        }
        let tenant = &seen.known().path.tenant;
        // One that was told a credential of its own may have taken the name and not the password yet:
        // those that take one parameter at a time do, and a session may end between the two.
        if seen.known().path.pending_at.is_some()
            && let Ok(proof) = by_setup_key(core, tenant, check).await?
        {
            return Ok(proof);
        }
        return Err(wrong(user, Some(tenant), "the password is wrong"));
    }
    let named = user.strip_suffix("/setup").unwrap_or(user);
    let tenant = match TenantId::parse(named) {
        Ok(tenant) if store.tenant(&tenant).await.is_ok() => Some(tenant),
        // A device whose user name cannot be changed.
        _ => admission::tenant_named(store, hint, None).await?,
    };
    let Some(tenant) = tenant else {
        let why = "neither its user name nor its path says whose device it is";
        return Err(wrong(user, None, why));
    };
    let found = by_setup_key(core, &tenant, check).await?;
    found.map_err(|why| wrong(user, Some(&tenant), why))
}

/// Which of a tenant's setup keys the password is that `check` knows; else why it is none.
async fn by_setup_key(
    core: &Core,
    tenant: &TenantId,
    check: impl Fn(&str) -> Result<bool, Denied>,
) -> Result<Result<Proof, String>, Denied> {
    let keys = core.door.vault.setup_keys(&core.store, tenant, now()).await;
    let keys = keys.map_err(|error| Denied::Later(error.to_string()))?;
    let count = keys.len();
    for (record, text) in keys {
        if check(&text)? {
            let (tenant, key) = (tenant.clone(), record.id);
            return Ok(Ok(Proof::SetupKey { tenant, key }));
        }
    }
    Ok(Err(match count >= KEYS_MAX {
        true => format!(
            "the password is none of the tenant's newest {KEYS_MAX} setup keys in force; older ones serve with Basic"
        ),
        false => "the password is none of the tenant's setup keys in force".to_owned(),
    }))
}
