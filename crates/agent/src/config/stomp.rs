//! How a controller is reached over STOMP: the address of the server, and what the server is told.

use serde::Deserialize;

use super::host_and_port;

/// What the STOMP server of a controller is told, beside the `stomp://` or `stomps://` URL.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StompConfig {
    /// User name, such as `TENANT/setup`; empty where a client certificate says it.
    pub username: String,
    /// Password.
    pub password: String,
    /// Virtual host; empty leaves it to the server.
    pub virtual_host: String,
    /// Where the controller listens; empty is `/topic/usp.TENANT.controller.ENDPOINT`.
    pub destination: String,
    /// Where this agent listens unless the server says otherwise; empty is
    /// `/topic/usp.TENANT.agent.ENDPOINT`.
    pub own_destination: String,
}

impl std::fmt::Debug for StompConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StompConfig")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl StompConfig {
    /// The destinations of the controller and of this agent, those of the user name's tenant where
    /// none are given.
    pub fn destinations(&self, endpoint_id: &str) -> (String, String) {
        let tenant = self.username.split('/').next().unwrap_or_default();
        let of = |given: &str, whose: &str| match given {
            "" => format!("/topic/usp.{tenant}.{whose}.{endpoint_id}"),
            given => given.to_owned(),
        };
        (
            of(&self.destination, "controller"),
            of(&self.own_destination, "agent"),
        )
    }

    /// What is wrong, and with which key.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        for (name, given) in [
            ("destination", &self.destination),
            ("own_destination", &self.own_destination),
        ] {
            if given.is_empty() && !self.username.contains('/') {
                let reason =
                    "is needed; only with a username of the form TENANT/NAME it may be left out";
                return Err((name, reason.into()));
            }
        }
        Ok(())
    }
}

/// A STOMP address taken apart into the parameters of `Device.STOMP.Connection.{i}.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StompAddress {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `stomps`.
    pub encrypted: bool,
}

impl StompAddress {
    /// Whether a URL is one of STOMP.
    pub fn is_one(url: &str) -> bool {
        url.starts_with("stomp://") || url.starts_with("stomps://")
    }

    /// Takes `stomp://host:port` apart.
    pub fn parse(url: &str) -> Result<StompAddress, String> {
        let (encrypted, rest) = match (url.strip_prefix("stomp://"), url.strip_prefix("stomps://"))
        {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err("must start with stomp:// or stomps://".into()),
        };
        let (host, port) = host_and_port(rest, if encrypted { 61614 } else { 61613 })?;
        Ok(StompAddress {
            host,
            port,
            encrypted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stomp_address_comes_apart() {
        for (url, host, port, encrypted) in [
            ("stomp://h", "h", 61613, false),
            ("stomps://h/", "h", 61614, true),
            ("stomp://[::1]:1", "::1", 1, false),
        ] {
            let host = host.to_owned();
            let wanted = StompAddress {
                host,
                port,
                encrypted,
            };
            assert_eq!(StompAddress::parse(url).unwrap(), wanted, "{url}");
        }
        for url in [
            "stomp://",
            "stomp://u@h",
            "mqtt://h",
            "stomp://h:x",
            "stomp://h/path",
        ] {
            assert!(StompAddress::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn destinations_follow_from_the_tenant_in_the_user_name() {
        let config = StompConfig {
            username: "acme/setup".into(),
            own_destination: "/queue/mine".into(),
            ..StompConfig::default()
        };
        assert!(config.check().is_ok());
        let (controller, own) = config.destinations("os::012345-A");
        assert_eq!(controller, "/topic/usp.acme.controller.os::012345-A");
        assert_eq!(own, "/queue/mine");
        assert_eq!(StompConfig::default().check().unwrap_err().0, "destination");
    }
}
