//! Which device a CPE is: what is known under the names it tells. Whether one that is known over another
//! protocol is the same is decided in [`crate::matching`].

use std::net::SocketAddr;

use ::cwmp::rpc::DeviceId as Cpe;
use fleet::matching::Verdict;
use fleet::onboarding::Known;
use fleet::{DeviceId, Identity, IdentityKind, TenantId};
use store::{PathRecord, Store};

use super::TRANSPORT;
use super::admission::Turned;
use super::core::Core;
use super::door::Proof;
use super::name;
use crate::matching::{self, Arrival, Terms};
use crate::southbound::admission;

/// What is known of a device by its names.
#[derive(Default)]
pub struct Found {
    /// The device.
    pub known: Option<Known>,
    /// How it came the last time.
    pub path: Option<PathRecord>,
    /// The names under which it may be registered.
    pub identities: Vec<Identity>,
    /// It is known, and has not come over CWMP: the name that tells.
    pub joins: Option<Identity>,
    /// A device that it may be, and the name that both have.
    pub resembles: Option<(DeviceId, Identity)>,
}

/// What a client certificate that names the CPE, and counts, says.
#[derive(Clone, Copy, Default)]
pub struct Certified<'a> {
    /// There is one.
    pub names: bool,
    /// The device for which it was issued here.
    pub device: Option<DeviceId>,
    /// The endpoint id for which it was issued here.
    pub endpoint: &'a str,
}

impl Certified<'_> {
    /// Whether it says that the CPE is this device: it was not issued here for another.
    pub fn says(&self, device: DeviceId) -> bool {
        self.names && self.device.is_none_or(|of| of == device)
    }
}

/// Looks its names up, the surest first.
pub async fn find(
    core: &Core,
    tenant: &TenantId,
    cpe: &Cpe,
    proof: &Proof,
    certified: Certified<'_>,
    peer: SocketAddr,
) -> Result<Found, Turned> {
    let store = &core.store;
    let (name, identities) = (name::of(cpe), name::identities(cpe));
    let issued = certified.device.filter(|_| certified.names);
    // Its own credential, and the name under which it came with it the last time.
    let is_own = |seen: &&store::Returning| {
        seen.path.endpoint_id == name && issued.is_none_or(|device| device == seen.path.device)
    };
    if let Some(seen) = proof.seen().filter(is_own) {
        return Ok(Found {
            known: Some(admission::known(seen.path.device, Some(&seen.path))),
            path: Some(seen.path.clone()),
            ..Found::default()
        });
    }
    // Its certificate was issued here for this device, whoever else has taken its name meanwhile.
    if let Some(device) = issued {
        let path = store.path(tenant, device, TRANSPORT).await?;
        let by = Identity::endpoint(certified.endpoint);
        return same(store, tenant, device, path, by).await;
    }
    let mut resembles = None;
    let proved = match proof {
        Proof::Device { device, .. } => Some(*device),
        _ => None,
    };
    let mut free = Vec::with_capacity(identities.len());
    let classed = identities
        .iter()
        .any(|identity| identity.kind == IdentityKind::OuiClassSerial);
    for identity in identities {
        let Some(device) = store.device_by_identity(tenant, &identity).await? else {
            free.push(identity);
            continue;
        };
        // Serial numbers are unique within a product class. One of another class is the same device
        // when it proves so (a firmware has renamed the class), and else another one. So is one
        // whose name differs in where the class ends and the serial number begins.
        let other = match identity.kind {
            IdentityKind::OuiSerial if classed => Some(IdentityKind::OuiClassSerial),
            IdentityKind::OuiClassSerial => Some(IdentityKind::CwmpDevice),
            _ => None,
        };
        if let Some(kind) = other.filter(|_| proved != Some(device))
            && has(store, tenant, device, &[kind]).await?
        {
            continue;
        }
        let path = match proof.seen().filter(|seen| seen.path.device == device) {
            Some(seen) => Some(seen.path.clone()),
            None => store.path(tenant, device, TRANSPORT).await?,
        };
        let arrival = Arrival {
            transport: TRANSPORT,
            address: Some(peer.ip().to_canonical()),
            device: None,
        };
        let (terms, by) = (Terms::of(&core.config), identity.kind);
        // A serial number is easily claimed, but not with a certificate that says it.
        let verdict = match path.is_some() || proved == Some(device) || certified.says(device) {
            true => Verdict::Same,
            false => matching::judge(store, &terms, tenant, arrival, device, by).await?,
        };
        match verdict {
            Verdict::Same => return same(store, tenant, device, path, identity).await,
            // It is registered under the names that nobody else has, and a person decides.
            Verdict::Ask => resembles = resembles.or(Some((device, identity))),
            Verdict::Different => {}
        }
    }
    // It was registered by the name that it has in USP, and nobody has come as yet who told a serial number: one that
    // did is known by that, and was judged above.
    let endpoints = match certified.names {
        true => name::endpoints(cpe),
        false => Vec::new(),
    };
    for endpoint in endpoints {
        let identity = Identity::endpoint(&endpoint);
        if let Some(device) = store.device_by_identity(tenant, &identity).await?
            && certified.says(device)
            && !has(store, tenant, device, &SERIALS).await?
        {
            return same(store, tenant, device, None, identity).await;
        }
    }
    Ok(Found {
        identities: free,
        resembles,
        ..Found::default()
    })
}

/// It is this device. One that has not come over CWMP, and is to come with a certificate, is to do so here too.
async fn same(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    path: Option<PathRecord>,
    by: Identity,
) -> Result<Found, Turned> {
    let mut known = admission::known(device, path.as_ref());
    if path.is_none() {
        let others = store.path_list(tenant, device).await?;
        known.certificate_required = matching::requires_certificate(&others);
    }
    Ok(Found {
        known: Some(known),
        joins: path.is_none().then_some(by),
        path,
        ..Found::default()
    })
}

/// The names that say a serial number.
const SERIALS: [IdentityKind; 3] = [
    IdentityKind::CwmpDevice,
    IdentityKind::OuiClassSerial,
    IdentityKind::OuiSerial,
];

async fn has(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    kinds: &[IdentityKind],
) -> Result<bool, Turned> {
    let all = store.identity_list(tenant, device).await?;
    Ok(all.iter().any(|one| kinds.contains(&one.identity.kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_was_issued_for_one_device_says_nothing_of_another() {
        let device = |n| DeviceId(uuid::Uuid::from_u128(n));
        let certified = |names, of: Option<u128>| Certified {
            names,
            device: of.map(device),
            endpoint: "",
        };
        assert!(certified(true, None).says(device(1)));
        assert!(certified(true, Some(1)).says(device(1)));
        assert!(!certified(true, Some(2)).says(device(1)));
        assert!(!certified(false, Some(1)).says(device(1)));
    }
}
