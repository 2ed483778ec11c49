//! What a simulated CWMP device leaves the factory with besides its model: where its ACS is, who it
//! is there, and how it can be woken.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::Source;

/// The factory settings of a fleet. Texts may have `{serial}`, `{oui}` and `{token}` in them, which
/// differ per device.
#[derive(Clone)]
pub struct Provision {
    /// ManagementServer.URL.
    pub url: String,
    /// ManagementServer.Username.
    pub username: String,
    /// ManagementServer.Password.
    pub password: String,
    /// Where the listener for connection requests is, such as `http://127.0.0.1:30005`; without, a
    /// device cannot be woken over HTTP.
    pub knock: Option<String>,
    /// Behind a NAT: connection requests come only over UDP, when the ACS has set STUN up.
    pub behind_nat: bool,
    /// ManagementServer.PeriodicInformInterval, in seconds.
    pub inform_interval: u32,
    /// ManagementServer.CWMPRetryMinimumWaitInterval, in seconds.
    pub retry_min_wait: u32,
}

impl Default for Provision {
    fn default() -> Self {
        Self {
            url: String::new(),
            username: "{oui}-{serial}".to_owned(),
            password: String::new(),
            knock: None,
            behind_nat: false,
            inform_interval: 3600,
            retry_min_wait: 5,
        }
    }
}

impl fmt::Debug for Provision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provision")
            .field("url", &self.url)
            .field("username", &self.username)
            .field("behind_nat", &self.behind_nat)
            .finish_non_exhaustive()
    }
}

/// The path at which a device takes connection requests.
pub(super) const KNOCK_PATH: &str = "/{serial}/{token}";
/// What a device behind a NAT takes for its address.
const PRIVATE: &str = "http://192.168.178.20:7547";

impl Provision {
    /// Writes itself into a model with this root.
    pub(super) fn write(&self, root: &str, parameters: &mut BTreeMap<String, Source>) {
        let knock = match (&self.knock, self.behind_nat) {
            (_, true) => format!("{PRIVATE}{KNOCK_PATH}"),
            (Some(base), false) => format!("{}{KNOCK_PATH}", base.trim_end_matches('/')),
            (None, false) => String::new(),
        };
        let settings = [
            ("URL", self.url.clone()),
            ("Username", self.username.clone()),
            ("Password", self.password.clone()),
            ("ConnectionRequestURL", knock),
            ("ConnectionRequestUsername", "{oui}-{serial}".to_owned()),
            ("ConnectionRequestPassword", "{token}".to_owned()),
            ("PeriodicInformInterval", self.inform_interval.to_string()),
            (
                "CWMPRetryMinimumWaitInterval",
                self.retry_min_wait.to_string(),
            ),
        ];
        for (name, value) in settings {
            let path = format!("{root}ManagementServer.{name}");
            parameters.insert(path, Source::Constant(value));
        }
    }
}
