//! The credential of its own that a device comes with after the setup key: the user name is the
//! device's id, the password is derived from the master key and a generation. What is stored is the
//! generation and, as for every other transport, the hash of the password with its state.

use fleet::{DeviceId, Event, TenantId};
use store::{Returning, SecretHash};

use super::TRANSPORT;
use super::core::Core;
use crate::secret;
use crate::state::now;
use crate::vault::Vault;

/// For what the password is, to the vault.
const PURPOSE: &str = "acs";

/// Under which name the generation is kept.
pub const STATE: &str = "acs_credential";

/// What is to be written into the device: `ManagementServer.Username` and `.Password`.
pub struct Credential {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// A credential for a device, pending until it comes with it. One that is pending already is given
/// again: the device may have taken it without our hearing so.
pub async fn issue(
    core: &Core,
    tenant: &TenantId,
    device: DeviceId,
    events: Vec<Event>,
) -> store::Result<Credential> {
    let store = &core.store;
    let last = generation(core, tenant, device).await?;
    let path = store.path(tenant, device, TRANSPORT).await?;
    let pending = path.is_some_and(|path| path.pending_at.is_some());
    let generation = match pending && last > 0 {
        true => last,
        false => last + 1,
    };
    let password = password(core.door.vault(), tenant, device, generation);
    if generation != last {
        let document = generation.to_string().into_bytes();
        store
            .state_put(tenant, device, STATE, document, now())
            .await?;
    }
    let hash = secret::hash(&password);
    store
        .path_set_pending(tenant, device, TRANSPORT, hash, now(), events)
        .await?;
    Ok(Credential {
        username: device.to_string(),
        password,
    })
}

/// The passwords that a device may come with under a user name, the newest first, with their hashes. The user name is
/// its id, or the one it had before it was merged with another device or split from it. The document of [`STATE`] was
/// read with its path.
pub fn candidates(vault: &Vault, known: &Returning, login: DeviceId) -> Vec<(String, SecretHash)> {
    let last = generation_of(known.document(STATE));
    // The last one may be pending; then the one before it is in use.
    let some = (last.saturating_sub(1)..=last)
        .rev()
        .filter(|generation| *generation > 0);
    let some = some.map(|generation| {
        let password = password(vault, &known.path.tenant, login, generation);
        let hash = secret::hash(&password);
        (password, hash)
    });
    some.collect()
}

async fn generation(core: &Core, tenant: &TenantId, device: DeviceId) -> store::Result<u32> {
    let document = core.store.state_get(tenant, device, STATE).await?;
    Ok(generation_of(document.as_deref()))
}

fn generation_of(document: Option<&[u8]>) -> u32 {
    let text = document.and_then(|document| std::str::from_utf8(document).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn password(vault: &Vault, tenant: &TenantId, device: DeviceId, generation: u32) -> String {
    vault.device_password(PURPOSE, tenant, device, generation)
}
