//! Who may come in, now that it has said who it is: what is known of it is looked up,
//! `fleet::onboarding` decides, and it takes its place. Everything may be done again: a crash at any
//! point leaves what the next session continues.

use std::net::SocketAddr;
use std::sync::Arc;

use ::cwmp::rpc::DeviceId as Cpe;
use fleet::device::Description;
use fleet::onboarding::{self, Credential, Newcomer, Refusal, Who};
use fleet::{Event, EventKind, TenantId};
use serde_json::json;
use store::{PathRecord, Store, Visit, VisitPath};
use tokio::sync::mpsc;

use super::TRANSPORT;
use super::core::{Command, Core, Entry};
use super::cpe::Guest;
use super::door::{Proof, Shown};
use super::find::{Certified, Found, find};
use super::join;
use super::limits::{ADMISSION_TRIES_MAX, EXPECTED_FIRST, SESSION_INBOX};
use super::name;
use super::takeover;
use crate::matching;
use crate::southbound::admission::{self, ELSEWHERE, Uses};
use crate::southbound::issued;
use crate::southbound::refusal::Peer;
use crate::southbound::register::{self, Unregistered};
use crate::southbound::registry::NewEntry;
use crate::state::now;

/// A device that was let in.
pub struct Admitted {
    /// Who it is.
    pub guest: Guest,
    /// Its place.
    pub entry: Arc<Entry>,
    /// What comes for it.
    pub commands: mpsc::Receiver<Command>,
}

/// Not now, or not at all.
#[derive(Debug)]
pub enum Turned {
    /// The store does not answer.
    Later(String),
    /// Another session of the device has come since.
    Replaced,
    /// No.
    No {
        /// In whose name.
        tenant: Option<TenantId>,
        /// Why.
        refusal: Refusal,
        /// What the refusal's own words do not say.
        detail: String,
    },
}

impl From<store::Error> for Turned {
    fn from(error: store::Error) -> Self {
        Self::Later(error.to_string())
    }
}

/// Decides, and lets it in. What else comes under one of its names at the same time, over this protocol or another, may
/// be it: then it is looked at once more.
pub async fn admit(
    core: &Arc<Core>,
    shown: &Shown,
    cpe: &Cpe,
    peer: SocketAddr,
    info: &serde_json::Value,
) -> Result<Admitted, Turned> {
    for tries in 0..ADMISSION_TRIES_MAX {
        // It comes in once, however often it is looked at.
        let counts = tries == 0;
        if let Some(admitted) = decide(core, shown, cpe, peer, info, counts).await? {
            return Ok(admitted);
        }
    }
    let why = "others are registered under its names at the same time";
    Err(Turned::Later(why.to_owned()))
}

/// `None` where one of its names led to no device before, and does now. A use of a setup key counts, or did already.
async fn decide(
    core: &Arc<Core>,
    shown: &Shown,
    cpe: &Cpe,
    peer: SocketAddr,
    info: &serde_json::Value,
    counts: bool,
) -> Result<Option<Admitted>, Turned> {
    let store = &core.store;
    if core.shutdown.is_cancelled() {
        return Err(Turned::Later("the server shuts down".to_owned()));
    }
    let (mut credential, used_up) = credential(store, &shown.proof).await?;
    let tenant = credential.tenant().cloned();
    let tenant_disabled = match (&tenant, shown.proof.seen()) {
        (_, Some(seen)) => seen.tenant_disabled,
        (Some(tenant), None) => store.tenant(tenant).await?.disabled_at.is_some(),
        (None, None) => false,
    };
    let name = name::of(cpe);
    let certificate = shown.certificate.as_deref();
    let names = certificate.map_or(&[][..], |one| &one.names);
    let issued = issued::find(store, certificate.map(|one| &one.fingerprint)).await?;
    let elsewhere = core.config.pki.tenants.as_ref();
    let certified = match &tenant {
        Some(tenant) if names.iter().any(|name| name::is_of(name, cpe)) => {
            admission::counts(store, tenant, issued.as_deref(), elsewhere).await?
        }
        _ => false,
    };
    let proved = Certified {
        names: certified,
        device: issued.as_ref().and_then(|one| one.device),
        endpoint: issued
            .as_ref()
            .map_or("", |one| &one.certificate.endpoint_id),
    };
    let found = match &tenant {
        Some(tenant) => find(core, tenant, cpe, &shown.proof, proved, peer).await?,
        None => Found::default(),
    };
    // One that was issued here for another says nothing of this one, whatever both are called.
    let certified = certified && found.known.is_none_or(|known| proved.says(known.device));
    if !(certified && found.known.is_some()) {
        Uses::judge(&mut credential, used_up, found.path.as_ref());
        if counts && found.path.is_none() {
            // Those that are known come at every interval with it, where they take no credential
            // of their own: that is no onboarding.
            core.door.uses.count(&mut credential);
        }
    }
    let rivals = found
        .known
        .map(|known| core.links.rivals(known.device, TRANSPORT));
    let rivals = rivals.unwrap_or_default();
    let newcomer = Newcomer {
        credential: &credential,
        tenant_disabled,
        endpoint: (!found.identities.is_empty() || found.known.is_some()).then_some(name.as_str()),
        certified,
        certificate: issued.as_deref().map(issued::standing),
        known: found.known,
        rivals: &rivals,
    };
    let elsewhere = issued.is_none() && !certified;
    let no = |refusal| Turned::No {
        detail: detail(refusal, names, cpe, elsewhere),
        tenant: tenant
            .clone()
            .or_else(|| issued.as_ref().map(|one| one.tenant.clone())),
        refusal,
    };
    let decision = onboarding::admit(&newcomer).map_err(no)?;
    let tenant = &decision.tenant;
    let device = match decision.who {
        Who::Known(device) => {
            if let (Some(known), Some(identity)) = (found.known, &found.joins) {
                join::join(store, tenant, known, identity, cpe).await?;
            } else if certified && proved.device == Some(device) {
                let known = join::know(store, tenant, device, cpe).await;
                // It comes in without.
                let _ = known.inspect_err(
                    |error| tracing::warn!(%device, %error, "its names are not remembered"),
                );
            }
            device
        }
        Who::New => {
            let newcomer = register::Newcomer {
                vouched: false,
                protocol: "cwmp",
                transport: TRANSPORT,
                peer: Peer::At(peer).to_string(),
                description: description(cpe),
                identities: found.identities,
            };
            let registered = register::register(store, tenant, decision.setup_key, newcomer).await;
            let device = registered.map_err(|error| match error {
                Unregistered::Refused(refusal) => no(refusal),
                Unregistered::Store(error) => error.into(),
            })?;
            let Some(device) = device else {
                return Ok(None);
            };
            if let Some((known, identity)) = &found.resembles {
                matching::suggest(store, tenant, *known, device, identity).await?;
            }
            device
        }
    };
    if let (true, Proof::Device { hash, .. }) = (decision.promote, &shown.proof) {
        let event = Event::new(tenant.clone(), now(), EventKind::DeviceCredential)
            .device(device)
            .data(json!({ "state": "current" }));
        // False when it is current already: another session was faster.
        store
            .path_confirm(tenant, device, TRANSPORT, *hash, vec![event])
            .await?;
    }
    let (inbox, commands) = mpsc::channel(SESSION_INBOX);
    let entry = NewEntry {
        tenant: tenant.clone(),
        device,
        transport: TRANSPORT,
        peer,
        strength: decision.strength,
        certificate: issued.as_ref().map(|one| one.certificate.fingerprint),
        inbox,
    };
    let (entry, events) = takeover::take_place(core, entry)
        .await
        .map_err(|why| match why {
            Some(refusal) => no(refusal),
            None => Turned::Replaced,
        })?;
    let way = Way {
        endpoint_id: name,
        authenticated_by: strength(decision.strength),
        setup_key: decision.setup_key,
        info: info.clone(),
    };
    if let Err(error) = visited(core, &entry, way, found.path.as_ref(), events).await {
        if core.links.leave(&entry) && entry.was_wanted() {
            core.waker.wake_if_wanted(tenant, device);
        }
        return Err(error.into());
    }
    if let Some(issued) = issued.filter(|_| certified)
        && let Err(error) = issued::used(store, &issued, device).await
    {
        tracing::warn!(%error, %device, "that a certificate is in use could not be written; it will be tried again");
    }
    let guest = Guest {
        tenant: tenant.clone(),
        device,
        strength: decision.strength,
        wants_credential: decision.swap,
        peer,
    };
    Ok(Some(Admitted {
        guest,
        entry,
        commands,
    }))
}

/// How a device came.
struct Way {
    endpoint_id: String,
    authenticated_by: String,
    setup_key: Option<fleet::SetupKeyId>,
    info: serde_json::Value,
}

/// Tells the store. Until when it need not come again is what it was the last time, until the
/// conversation knows better.
async fn visited(
    core: &Core,
    entry: &Entry,
    way: Way,
    before: Option<&PathRecord>,
    events: Vec<Event>,
) -> store::Result<()> {
    let at = now();
    let given = before.and_then(|path| Some(path.expected_by?.since(path.heard_at?)));
    let expected_by = at.plus(
        given
            .filter(|given| !given.is_zero())
            .unwrap_or(EXPECTED_FIRST),
    );
    let visit = Visit {
        device: entry.device,
        at,
        expected_by,
        path: VisitPath {
            transport: TRANSPORT.to_owned(),
            endpoint_id: way.endpoint_id,
            peer: Peer::At(entry.peer).to_string(),
            authenticated_by: way.authenticated_by,
            setup_key: way.setup_key,
            info: way.info,
        },
    };
    let store = &core.store;
    // That one that is there came once more as it came before can be told a little later, with others.
    let as_before = before.is_some_and(|path| {
        let there = path.connected_at > path.disconnected_at && path.expected_by >= Some(at);
        there
            && matching::address(&path.peer) == Some(entry.peer.ip().to_canonical())
            && path.authenticated_by == visit.path.authenticated_by
            && path.endpoint_id == visit.path.endpoint_id
    });
    match as_before {
        true => core.visits.note(&entry.tenant, visit).await,
        false => store.device_visited(&entry.tenant, vec![visit]).await?,
    }
    if !events.is_empty() {
        store.event_append(&entry.tenant, events).await?;
    }
    Ok(())
}

fn strength(strength: onboarding::Strength) -> String {
    let name = serde_json::to_value(strength).ok();
    let name = name.and_then(|name| name.as_str().map(str::to_owned));
    name.unwrap_or_default()
}

fn description(cpe: &Cpe) -> Description {
    Description {
        manufacturer: cpe.manufacturer.clone(),
        oui: cpe.oui.clone(),
        product_class: cpe.product_class.clone(),
        serial: cpe.serial_number.clone(),
        ..Description::default()
    }
}

/// What a proof is worth now: it may have been a while since it was shown.
async fn credential(store: &Store, proof: &Proof) -> Result<(Credential, bool), Turned> {
    match proof {
        Proof::SetupKey { tenant, key } => match store.setup_key(tenant, *key).await {
            Ok(key) => Ok(admission::setup_key(&key, now())),
            Err(store::Error::NotFound(_)) => Ok((Credential::Unknown, false)),
            Err(error) => Err(error.into()),
        },
        Proof::Device {
            tenant,
            device,
            hash,
            ..
        } => {
            let status = match proof.seen() {
                Some(seen) => seen.status(hash),
                None => {
                    let found = store.path_by_credential(hash).await?;
                    found.map(|found| found.status)
                }
            };
            let credential = status.map_or(Credential::Unknown, |status| Credential::DeviceToken {
                tenant: tenant.clone(),
                device: *device,
                status,
            });
            Ok((credential, false))
        }
        Proof::Certificate { tenant } => {
            let tenant = tenant.clone();
            Ok((Credential::Certificate { tenant }, false))
        }
    }
}

fn detail(refusal: Refusal, certificate: &[String], cpe: &Cpe, elsewhere: bool) -> String {
    match refusal {
        Refusal::EndpointMissing => format!(
            "OUI {:?}, product class {:?}, serial number {:?}",
            cpe.oui, cpe.product_class, cpe.serial_number
        ),
        Refusal::TenantMissing if elsewhere && !certificate.is_empty() => {
            let names = certificate.join(", ");
            format!("its certificate is for {names}; {ELSEWHERE}")
        }
        Refusal::NotRegistered
        | Refusal::EndpointMismatch
        | Refusal::TenantMissing
        | Refusal::CertificateRevoked
        | Refusal::CertificateOfAnotherTenant
            if !certificate.is_empty() =>
        {
            format!("its certificate is for {}", certificate.join(", "))
        }
        Refusal::CertificateRequired
            if elsewhere && certificate.iter().any(|name| name::is_of(name, cpe)) =>
        {
            format!("it showed a certificate; {ELSEWHERE}")
        }
        Refusal::CertificateRequired if !certificate.is_empty() => format!(
            "its certificate is for {}, it calls itself {}",
            certificate.join(", "),
            name::of(cpe)
        ),
        _ => String::new(),
    }
}

/// Whether no other credential would help.
pub(super) fn is_beyond_help(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::TenantDisabled | Refusal::CertificateRevoked | Refusal::CertificateOfAnotherTenant
    )
}
