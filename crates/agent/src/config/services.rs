//! The sockets of this device's own processes: where USP Services find their broker, and how an agent that is such a
//! service finds it.

use std::path::PathBuf;

use serde::Deserialize;

use super::ControllerConfig;

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
    /// Permissions of the files, octal; `600` unless given: whoever may write them may connect.
    pub mode: Option<String>,
    /// Number of the group they belong to.
    pub gid: Option<u32>,
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
}

impl ServicesConfig {
    /// The permissions of the socket files.
    pub fn mode(&self) -> u32 {
        let given = self.mode.as_deref();
        let given = given.and_then(|text| u32::from_str_radix(text, 8).ok());
        given.unwrap_or(mtp::limits::UDS_SOCKET_MODE)
    }

    /// What is wrong, and with which key.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let octal = |text: &str| u32::from_str_radix(text, 8).is_ok_and(|mode| mode <= 0o777);
        if self.mode.as_deref().is_some_and(|text| !octal(text)) {
            return Err(("mode".into(), "must be octal, such as \"660\"".into()));
        }
        if self.broker_controller.is_some() && self.broker_controller == self.broker_agent {
            let reason = "must not be the file of broker_controller";
            return Err(("broker_agent".into(), reason.into()));
        }
        for (n, trust) in self.trust.iter().enumerate() {
            if let Err(error) = trust.endpoint_id.parse::<usp::EndpointId>() {
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
            assert_eq!((config.check(), config.mode()), (Ok(()), 0o660));
            change(&mut config);
            config.check().unwrap_err().0
        };
        assert_eq!(wrong(|c| c.mode = Some("rw".into())), "mode");
        assert_eq!(wrong(|c| c.mode = Some("7777".into())), "mode");
        assert_eq!(
            wrong(|c| c.broker_agent = c.broker_controller.clone()),
            "broker_agent"
        );
        let trust = |c: &mut ServicesConfig, id: &str, path: &str| {
            let paths = vec![path.to_owned()];
            let endpoint_id = id.to_owned();
            c.trust.push(TrustConfig { endpoint_id, paths });
        };
        assert_eq!(
            wrong(|c| c.trust = vec![TrustConfig::default()]),
            "trust[0].endpoint_id"
        );
        let mut config = ServicesConfig::default();
        trust(&mut config, "self::a", "WiFi.");
        assert_eq!(config.check().unwrap_err().0, "trust[0].paths");
        assert_eq!(ServicesConfig::default().mode(), 0o600);
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
