//! The sockets of this device's own processes: where USP Services find their broker, and how an agent that is such a
//! service finds it.

use std::path::PathBuf;

use serde::Deserialize;

use mtp::uds::ListenerConfig;
use usp::EndpointId;

use super::{AgentConfig, ControllerConfig};

/// This agent as the USP Broker of its device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServicesConfig {
    /// Socket file where the agents of services connect and register, by convention
    /// `/var/run/usp/broker_controller_path`.
    pub broker_controller: Option<PathBuf>,
    /// Socket file where controllers of this device connect, by convention `/var/run/usp/broker_agent_path`: those whose
    /// `url` is `unix:`.
    pub broker_agent: Option<PathBuf>,
    /// Permissions of the file of `broker_controller`, octal; `600` unless given: whoever may write it may connect.
    pub mode: Option<String>,
    /// Number of the group it belongs to.
    pub gid: Option<u32>,
    /// The same for `broker_agent`, whatever those are: who connects there is a controller.
    pub broker_agent_mode: Option<String>,
    /// Number of the group that the file of `broker_agent` belongs to.
    pub broker_agent_gid: Option<u32>,
    /// Who may register what. Empty: whoever connects, whatever is free.
    pub trust: Vec<TrustConfig>,
}

/// What a service may register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustConfig {
    /// Its endpoint id.
    pub endpoint_id: String,
    /// Paths, and what is below them.
    pub paths: Vec<String>,
    /// The user its process belongs to, as the kernel says: no other connects under its endpoint id.
    pub uid: Option<u32>,
}

impl ServicesConfig {
    /// The socket where services connect.
    pub(crate) fn service_socket(&self) -> Option<ListenerConfig> {
        file(&self.broker_controller, &self.mode, self.gid)
    }

    /// The socket where controllers of this device connect.
    pub(crate) fn controller_socket(&self) -> Option<ListenerConfig> {
        let mode = &self.broker_agent_mode;
        file(&self.broker_agent, mode, self.broker_agent_gid)
    }

    /// Services whose processes belong to one user alone.
    pub(crate) fn users(&self) -> Vec<(EndpointId, u32)> {
        let trust = self.trust.iter();
        of_users(trust.map(|one| (&*one.endpoint_id, one.uid)))
    }

    /// What is wrong, and with which key.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let octal = |text: &str| u32::from_str_radix(text, 8).is_ok_and(|mode| mode <= 0o777);
        for (key, mode) in [
            ("mode", &self.mode),
            ("broker_agent_mode", &self.broker_agent_mode),
        ] {
            if mode.as_deref().is_some_and(|text| !octal(text)) {
                return Err((key.into(), "must be octal, such as \"660\"".into()));
            }
        }
        if self.broker_controller.is_some() && self.broker_controller == self.broker_agent {
            let reason = "must not be the file of broker_controller";
            return Err(("broker_agent".into(), reason.into()));
        }
        for (n, trust) in self.trust.iter().enumerate() {
            if let Err(error) = trust.endpoint_id.parse::<EndpointId>() {
                return Err((format!("trust[{n}].endpoint_id"), error.to_string()));
            }
            let bad = |path: &&String| !path.starts_with("Device.") || path.contains(',');
            if let Some(path) = trust.paths.iter().find(bad) {
                let reason = format!("{path} is not a path below Device.");
                return Err((format!("trust[{n}].paths"), reason));
            }
        }
        Ok(())
    }
}

/// A socket file; without a mode it is this user's alone.
fn file(path: &Option<PathBuf>, mode: &Option<String>, gid: Option<u32>) -> Option<ListenerConfig> {
    let mut file = ListenerConfig::new(path.as_ref()?);
    let mode = mode.as_deref();
    if let Some(mode) = mode.and_then(|text| u32::from_str_radix(text, 8).ok()) {
        file.mode = mode;
    }
    file.gid = gid;
    Some(file)
}

fn of_users<'a>(all: impl Iterator<Item = (&'a str, Option<u32>)>) -> Vec<(EndpointId, u32)> {
    all.filter_map(|(id, uid)| Some((id.parse().ok()?, uid?)))
        .collect()
}

impl AgentConfig {
    /// Controllers of this device whose processes belong to one user alone.
    pub(crate) fn local_users(&self) -> Vec<(EndpointId, u32)> {
        let all = self.controllers.iter();
        of_users(all.map(|one| (&*one.endpoint_id, one.uid)))
    }
}

impl ControllerConfig {
    /// Whether the URL is one of a socket: `unix:///run/file`, or `unix:` for a controller that connects to our own.
    pub(crate) fn is_local(&self) -> bool {
        self.url.starts_with("unix:")
    }

    /// The socket file that is dialled.
    pub(crate) fn socket(&self) -> Option<String> {
        let path = self.url.strip_prefix("unix://")?;
        path.starts_with('/').then(|| path.to_owned())
    }

    pub(super) fn check_socket(&self) -> Result<(), String> {
        match self.url.as_str() {
            "unix:" => Ok(()),
            _ if self.socket().is_some() => Ok(()),
            _ => Err("must be unix:///path/of/the/socket, or unix: for one that connects".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_sockets_is_told_with_its_key() {
        let wrong = |change: fn(&mut ServicesConfig)| {
            let mut config = ServicesConfig {
                broker_controller: Some("/run/usp/c".into()),
                mode: Some("660".into()),
                ..ServicesConfig::default()
            };
            assert_eq!(config.check(), Ok(()));
            change(&mut config);
            config.check().unwrap_err().0
        };
        assert_eq!(wrong(|c| c.mode = Some("rw".into())), "mode");
        assert_eq!(wrong(|c| c.mode = Some("7777".into())), "mode");
        assert_eq!(
            wrong(|c| c.broker_agent_mode = Some("rw".into())),
            "broker_agent_mode"
        );
        assert_eq!(
            wrong(|c| c.broker_agent = c.broker_controller.clone()),
            "broker_agent"
        );
        let trust = |c: &mut ServicesConfig, id: &str, path: &str| {
            let paths = vec![path.to_owned()];
            c.trust.push(TrustConfig {
                endpoint_id: id.to_owned(),
                paths,
                uid: None,
            });
        };
        assert_eq!(
            wrong(|c| c.trust = vec![TrustConfig::default()]),
            "trust[0].endpoint_id"
        );
        let mut config = ServicesConfig::default();
        trust(&mut config, "self::a", "WiFi.");
        assert_eq!(config.check().unwrap_err().0, "trust[0].paths");
    }

    #[test]
    fn what_lets_services_in_lets_nobody_be_a_controller() {
        let mut config = ServicesConfig {
            broker_controller: Some("/run/usp/c".into()),
            broker_agent: Some("/run/usp/a".into()),
            mode: Some("660".into()),
            gid: Some(998),
            ..ServicesConfig::default()
        };
        let of = |file: Option<ListenerConfig>| file.map(|file| (file.mode, file.gid)).unwrap();
        assert_eq!(of(config.service_socket()), (0o660, Some(998)));
        assert_eq!(of(config.controller_socket()), (0o600, None));
        (config.broker_agent_mode, config.broker_agent_gid) = (Some("620".into()), Some(7));
        assert_eq!(of(config.controller_socket()), (0o620, Some(7)));
        assert_eq!(of(config.service_socket()), (0o660, Some(998)));
    }

    #[test]
    fn a_socket_is_a_url_with_a_path_or_none() {
        let of = |url: &str| ControllerConfig {
            url: url.into(),
            ..ControllerConfig::default()
        };
        assert_eq!(of("unix:///run/a").socket().as_deref(), Some("/run/a"));
        assert_eq!(of("unix:").socket(), None);
        for (url, good) in [
            ("unix:///run/a", true),
            ("unix:", true),
            ("unix://a", false),
        ] {
            assert_eq!(of(url).check_socket().is_ok(), good, "{url}");
        }
    }
}
