//! A device that nobody has seen before becomes a row of the store, whatever it speaks.

use fleet::device::{Description, OnboardingState};
use fleet::onboarding::Refusal;
use fleet::{DeviceId, Event, EventKind, Identity, SetupKeyId, TenantId};
use serde_json::json;
use store::{NewDevice, Store};
use usp::EndpointId;

use super::admission;
use crate::matching;
use crate::secret;
use crate::state::now;

/// What is known of it.
pub struct Newcomer {
    /// What it speaks: `usp`, `cwmp`.
    pub protocol: &'static str,
    /// How it comes.
    pub transport: &'static str,
    /// From where. Empty for an agent: it is of use once a serial number is told, and by then it is linked.
    pub peer: String,
    /// What it has said of itself.
    pub description: Description,
    /// What it is known by, the best name first.
    pub identities: Vec<Identity>,
    /// A broker vouches for it, and may register.
    pub vouched: bool,
}

/// Why it is not registered.
pub enum Unregistered {
    /// It was decided otherwise meanwhile.
    Refused(Refusal),
    /// The store does not answer.
    Store(store::Error),
}

impl From<store::Error> for Unregistered {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// Registers a device that a setup key lets in, or a broker. `None` where one of its names leads to a device meanwhile.
pub async fn register(
    store: &Store,
    tenant: &TenantId,
    key: Option<SetupKeyId>,
    newcomer: Newcomer,
) -> Result<Option<DeviceId>, Unregistered> {
    let at = now();
    if key.is_none() && !newcomer.vouched {
        return Err(Unregistered::Refused(Refusal::NotRegistered));
    }
    let (how, source) = match key {
        Some(_) => ("setup_key", "setup"),
        None => ("broker", "broker"),
    };
    let id = DeviceId::new(at, secret::id_bits());
    let name = newcomer.identities.first().map_or("", |best| &best.value);
    let created = Event::new(tenant.clone(), at, EventKind::DeviceCreated)
        .device(id)
        .data(json!({ "name": "", "endpoint": name, "how": how }));
    let device = NewDevice {
        id,
        name: String::new(),
        tags: Vec::new(),
        protocol: newcomer.protocol.to_owned(),
        description: newcomer.description,
        identities: newcomer.identities,
        source: source.to_owned(),
        onboarding: OnboardingState::Started,
        created_at: at,
    };
    let events = vec![created];
    let registered = match key {
        Some(key) => {
            let from = (newcomer.transport, newcomer.peer.as_str());
            store
                .device_register(tenant, device, from, key, events)
                .await
        }
        None => store
            .device_insert(tenant, device, events)
            .await
            .map(|_| true),
    };
    match registered {
        Ok(true) => {
            metrics::counter!("headend_devices_registered_total").increment(1);
            Ok(Some(id))
        }
        // Meanwhile it was revoked, or others used it up.
        Ok(false) => Err(Unregistered::Refused(Refusal::SetupKeyUnusable)),
        Err(store::Error::Conflict { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The same for an agent, which has one name: who has that name meanwhile is the agent. It made two connections at the
/// same time, and the other one was faster; or an operator has registered it since, and then the key may not be enough.
pub async fn register_agent(
    store: &Store,
    tenant: &TenantId,
    key: Option<SetupKeyId>,
    transport: &'static str,
    endpoint: &EndpointId,
    vouched: bool,
) -> Result<DeviceId, Unregistered> {
    let identity = Identity::endpoint(endpoint.as_str());
    let newcomer = Newcomer {
        protocol: "usp",
        transport,
        peer: String::new(),
        description: Description::default(),
        identities: vec![identity.clone()],
        vouched,
    };
    if let Some(device) = register(store, tenant, key, newcomer).await? {
        return Ok(device);
    }
    let device = store.device_by_identity(tenant, &identity).await?;
    let device = device.ok_or(store::Error::NotFound("device"))?;
    if !vouched || key.is_some() {
        let path = store.path(tenant, device, transport).await?;
        let mut known = admission::known(device, path.as_ref());
        let paths = store.path_list(tenant, device).await?;
        known.certificate_required = matching::requires_certificate(&paths);
        known.opened_by_setup_key().map_err(Unregistered::Refused)?;
    }
    Ok(device)
}
