//! The user name and password with which a device is asked to come, where a person entered them: those of a device that
//! keeps its own. Kept as the state `cwmp.login` of the device, the password sealed; who comes to us shows others
//! ([`super::credential`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use fleet::{DeviceId, Event, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use store::Store;

use crate::state::now;
use crate::vault::{Vault, VaultError};

/// The name of the document in the store.
const STATE: &str = "cwmp.login";

/// What a person entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The user name.
    pub username: String,
    /// The password, as the vault gives it, in Base64.
    sealed: String,
    /// The id that the device had then: the password opens for no other, and devices are merged and split.
    device: DeviceId,
    /// When.
    pub at: Timestamp,
    /// Who, as the log has it.
    pub by: String,
}

fn context(tenant: &TenantId, device: DeviceId) -> String {
    format!("connection_request\n{tenant}\n{device}")
}

impl Login {
    /// What `by` enters now.
    pub fn new(
        vault: &Vault,
        tenant: &TenantId,
        device: DeviceId,
        (username, password): (String, &str),
        by: String,
    ) -> Result<Self, VaultError> {
        let sealed = vault.seal(&context(tenant, device), password.as_bytes())?;
        Ok(Self {
            username,
            sealed: BASE64.encode(sealed),
            device,
            at: now(),
            by,
        })
    }

    /// The password.
    pub fn password(&self, vault: &Vault, tenant: &TenantId) -> Result<String, VaultError> {
        let sealed = BASE64.decode(&self.sealed);
        let sealed = sealed.map_err(|_| VaultError::Sealed)?;
        let opened = vault.open(&context(tenant, self.device), &sealed)?;
        String::from_utf8(opened).map_err(|_| VaultError::Sealed)
    }

    /// What was entered for a device.
    pub async fn load(
        store: &Store,
        tenant: &TenantId,
        device: DeviceId,
    ) -> store::Result<Option<Self>> {
        let document = store.state_get(tenant, device, STATE).await?;
        Ok(document.and_then(|document| {
            let read = serde_json::from_slice(&document);
            read.inspect_err(|error| {
                tracing::error!(%device, %error, "the credential that was entered for a device cannot be read; enter it again");
            })
            .ok()
        }))
    }

    /// Keeps it, in the place of the one before.
    pub async fn save(
        &self,
        store: &Store,
        tenant: &TenantId,
        device: DeviceId,
        events: Vec<Event>,
    ) -> store::Result<()> {
        // A struct of texts and numbers is always JSON.
        let document = serde_json::to_vec(self).unwrap_or_default();
        let kept = store.state_change(tenant, device, STATE, Some(document), self.at, events);
        kept.await.map(drop)
    }

    /// Drops it; whether there was one.
    pub async fn remove(
        store: &Store,
        tenant: &TenantId,
        device: DeviceId,
        events: Vec<Event>,
    ) -> store::Result<bool> {
        let gone = store.state_change(tenant, device, STATE, None, now(), events);
        gone.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_kept_sealed_and_opens_for_its_device_alone() {
        let (state, _database) = crate::state::tests::alone().await;
        let store = &state.store;
        let (tenant, device) = super::super::wake::testing::device(store).await;
        let vault = Vault::of(&[7; 32]).unwrap();
        assert_eq!(Login::load(store, &tenant, device).await.unwrap(), None);
        let entered = ("root".to_owned(), "Zte521, of the device");
        let login = Login::new(&vault, &tenant, device, entered, "user:ada".to_owned()).unwrap();
        login.save(store, &tenant, device, vec![]).await.unwrap();
        let kept = store.state_get(&tenant, device, STATE).await.unwrap();
        let kept = String::from_utf8(kept.unwrap()).unwrap();
        assert!(!kept.contains("Zte521"), "{kept}");
        let read = Login::load(store, &tenant, device).await.unwrap().unwrap();
        assert_eq!(read, login);
        let password = read.password(&vault, &tenant).unwrap();
        assert_eq!(password, "Zte521, of the device");
        let other = TenantId::parse("other").unwrap();
        assert!(read.password(&vault, &other).is_err());
        let moved = Login {
            device: DeviceId::new(now(), [1; 10]),
            ..read.clone()
        };
        assert!(moved.password(&vault, &tenant).is_err());
        let another = Vault::of(&[8; 32]).unwrap();
        assert!(read.password(&another, &tenant).is_err());
        for gone in [true, false] {
            let removed = Login::remove(store, &tenant, device, vec![]).await;
            assert_eq!(removed.unwrap(), gone);
        }
        assert_eq!(Login::load(store, &tenant, device).await.unwrap(), None);
    }
}
