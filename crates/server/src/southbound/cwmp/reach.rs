//! How a CPE can be asked to open a session: what its Informs say about that, kept as the state
//! `cwmp.reach` of the device. Deliberately not here: asking it ([`super::wake`]).

use fleet::{DeviceId, TenantId};
use serde::{Deserialize, Serialize};
use store::Store;

use crate::state::now;
use crate::vault::Vault;

/// The name of the document in the store.
pub const STATE: &str = "cwmp.reach";

/// What [`Vault::device_password`] calls the password with which a device is asked to come.
pub const CONNECTION_REQUEST: &str = "connection_request";

/// What it calls the one with which a device shows our STUN server who it is.
pub const STUN: &str = "stun";

/// Characters of a value that are kept: the data model allows 256 for URLs and addresses, and XMPP
/// 3,071 for a JID.
const VALUE_CHARS_MAX: usize = 3_072;

/// The ways to a device, as it last told them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reach {
    /// `ManagementServer.ConnectionRequestURL`.
    pub http_url: Option<String>,
    /// `ManagementServer.UDPConnectionRequestAddress`: its address outside of its NAT.
    pub udp_address: Option<String>,
    /// `ManagementServer.NATDetected`.
    pub nat_detected: bool,
    /// `ManagementServer.ConnReqJabberID`.
    pub xmpp_jid: Option<String>,
    /// `ManagementServer.ConnectionRequestUsername`, where it is not the one that we set.
    pub username: Option<String>,
    /// The generation of the connection request password that we set in the device; none yet.
    pub generation: Option<u32>,
    /// The id under which names and passwords of ours were told it, where it is not its present one:
    /// devices are merged and split.
    pub told_as: Option<DeviceId>,
}

impl Reach {
    /// The id from which names and passwords that we told the device were made.
    pub fn told_as(&self, device: DeviceId) -> DeviceId {
        self.told_as.unwrap_or(device)
    }

    /// What these parameters say, by their full names under either root.
    pub fn of<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut reach = Self::default();
        reach.learn(parameters);
        reach
    }

    /// Takes over what these parameters say; what they do not name stays. Whether anything changed.
    pub fn learn<'a>(&mut self, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
        let before = self.clone();
        for (name, value) in parameters {
            let Some(name) = name
                .strip_prefix("Device.")
                .or_else(|| name.strip_prefix("InternetGatewayDevice."))
                .and_then(|name| name.strip_prefix("ManagementServer."))
            else {
                continue;
            };
            let value = value.trim();
            let fits = !value.is_empty() && value.chars().count() <= VALUE_CHARS_MAX;
            let text = || fits.then(|| value.to_owned());
            match name {
                "ConnectionRequestURL" => self.http_url = text(),
                "UDPConnectionRequestAddress" => self.udp_address = text(),
                "NATDetected" => {
                    self.nat_detected = matches!(value.to_ascii_lowercase().as_str(), "1" | "true");
                }
                "ConnReqJabberID" => self.xmpp_jid = text(),
                "ConnectionRequestUsername" => self.username = text(),
                _ => {}
            }
        }
        *self != before
    }

    /// What is known of a device.
    pub async fn load(store: &Store, tenant: &TenantId, device: DeviceId) -> store::Result<Self> {
        let document = store.state_get(tenant, device, STATE).await?;
        Ok(Self::read(document.as_deref(), device))
    }

    /// What was kept of a device; what cannot be read is forgotten.
    pub fn read(document: Option<&[u8]>, device: DeviceId) -> Self {
        let Some(document) = document else {
            return Self::default();
        };
        serde_json::from_slice(document).unwrap_or_else(|error| {
            tracing::warn!(%device, %error, "what was known about reaching a device cannot be read; its next Inform says it again");
            Self::default()
        })
    }

    /// Keeps it.
    pub async fn save(
        &self,
        store: &Store,
        tenant: &TenantId,
        device: DeviceId,
    ) -> store::Result<()> {
        // A struct of texts and numbers is always JSON.
        let document = serde_json::to_vec(self).unwrap_or_default();
        store
            .state_put(tenant, device, STATE, document, now())
            .await
    }

    /// Takes over what an Inform or an answer says, and keeps it when it is new.
    pub async fn note<'a>(
        store: &Store,
        tenant: &TenantId,
        device: DeviceId,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> store::Result<Self> {
        let mut reach = Self::load(store, tenant, device).await?;
        if reach.learn(parameters) {
            reach.save(store, tenant, device).await?;
        }
        Ok(reach)
    }
}

/// What the device is to be told so that we may ask it to come: names below `ManagementServer.` and
/// their values. When it has taken them, `generation` goes into [`Reach::generation`].
pub fn credentials(
    vault: &Vault,
    tenant: &TenantId,
    device: DeviceId,
    generation: u32,
) -> [(&'static str, String); 2] {
    let password = vault.device_password(CONNECTION_REQUEST, tenant, device, generation);
    [
        ("ConnectionRequestUsername", device.to_string()),
        ("ConnectionRequestPassword", password),
    ]
}

/// What a device is to be told so that it asks our STUN server, which devices reach at `host` and
/// `port`: names below `ManagementServer.` and their values, where the device has them.
pub fn stun(
    vault: &Vault,
    tenant: &TenantId,
    device: DeviceId,
    host: &str,
    port: u16,
) -> Vec<(&'static str, String)> {
    vec![
        ("STUNServerAddress", host.to_owned()),
        ("STUNServerPort", port.to_string()),
        ("STUNUsername", stun_username(tenant, device)),
        ("STUNPassword", stun_password(vault, tenant, device)),
        ("STUNEnable", "true".to_owned()),
    ]
}

/// Under this name a device asks our STUN server.
pub fn stun_username(tenant: &TenantId, device: DeviceId) -> String {
    format!("{tenant}/{device}")
}

/// Who that is.
pub fn stun_device(username: &str) -> Option<(TenantId, DeviceId)> {
    let (tenant, device) = username.split_once('/')?;
    Some((TenantId::parse(tenant).ok()?, device.parse().ok()?))
}

/// It opens nothing but the place of the device's address, so it has one generation.
pub fn stun_password(vault: &Vault, tenant: &TenantId, device: DeviceId) -> String {
    vault.device_password(STUN, tenant, device, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_roots_are_read_and_what_is_not_named_stays() {
        let mut reach = Reach::of([
            (
                "InternetGatewayDevice.ManagementServer.ConnectionRequestURL",
                " http://192.0.2.1:7547/x ",
            ),
            (
                "Device.ManagementServer.UDPConnectionRequestAddress",
                "192.0.2.1:3000",
            ),
            ("Device.ManagementServer.NATDetected", "1"),
            ("Device.DeviceInfo.SerialNumber", "1"),
            ("Device.X.ManagementServer.ConnReqJabberID", "no"),
        ]);
        assert_eq!(reach.http_url.as_deref(), Some("http://192.0.2.1:7547/x"));
        assert_eq!(reach.udp_address.as_deref(), Some("192.0.2.1:3000"));
        assert!(reach.nat_detected && reach.xmpp_jid.is_none());
        assert!(!reach.learn([("Device.ManagementServer.NATDetected", "true")]));
        // What is said to be empty is gone.
        assert!(reach.learn([
            ("Device.ManagementServer.UDPConnectionRequestAddress", ""),
            ("Device.ManagementServer.NATDetected", "False"),
        ]));
        assert!(reach.udp_address.is_none() && !reach.nat_detected && reach.http_url.is_some());
    }

    /// `VALUE_CHARS_MAX`
    #[test]
    fn an_endless_value_is_not_kept() {
        let url = format!("http://h/{}", "x".repeat(VALUE_CHARS_MAX));
        let reach = Reach::of([("Device.ManagementServer.ConnectionRequestURL", &*url)]);
        assert_eq!(reach, Reach::default());
    }

    #[test]
    fn a_stun_user_is_one_device() {
        let tenant = TenantId::parse("acme").unwrap();
        let device = DeviceId::new(now(), [7; 10]);
        let name = stun_username(&tenant, device);
        assert_eq!(stun_device(&name), Some((tenant, device)));
        for other in ["", "acme", "acme/x", "/", "ACS-user"] {
            assert_eq!(stun_device(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn what_is_known_is_kept_and_read_again() {
        let (state, _database) = crate::state::tests::alone().await;
        let (tenant, device) = super::super::wake::testing::device(&state.store).await;
        let store = &state.store;
        assert_eq!(
            Reach::load(store, &tenant, device).await.unwrap(),
            Reach::default()
        );
        let said = [("Device.ManagementServer.ConnectionRequestURL", "http://a/")];
        let mut reach = Reach::note(store, &tenant, device, said).await.unwrap();
        reach.generation = Some(3);
        reach.save(store, &tenant, device).await.unwrap();
        let said = [("Device.ManagementServer.ConnectionRequestURL", "http://b/")];
        Reach::note(store, &tenant, device, said).await.unwrap();
        let read = Reach::load(store, &tenant, device).await.unwrap();
        assert_eq!(
            (read.http_url.as_deref(), read.generation),
            (Some("http://b/"), Some(3))
        );
    }
}
