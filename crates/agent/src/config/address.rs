//! Addresses of controllers and brokers, and whether one fits what goes with it.

use super::{ConfigError, ControllerConfig, MqttAddress, StompAddress};

impl ControllerConfig {
    /// The broker through which it is reached beside its own URL; empty where there is none.
    pub(crate) fn second_url(&self) -> &str {
        self.mqtt.as_ref().map_or("", |mqtt| &mqtt.url)
    }

    /// How the file says that it is reached.
    pub(crate) fn urls(&self) -> String {
        let both = format!("{} {}", self.url, self.second_url());
        both.trim_end().to_owned()
    }

    /// Whether the URL, and what goes with it, can be used.
    pub(super) fn check_url(
        &self,
        key: &impl Fn(&str) -> String,
        invalid: &impl Fn(&str, String) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let (mqtt, stomp) = (
            MqttAddress::is_one(&self.url),
            StompAddress::is_one(&self.url),
        );
        let parsed = match self.url.as_str() {
            "" => Ok(()),
            url if mqtt => MqttAddress::parse(url).map(drop),
            url if stomp => StompAddress::parse(url).map(drop),
            _ if self.is_local() => self.check_socket(),
            url => WebSocketAddress::parse(url).map(drop),
        };
        if let Err(reason) = parsed {
            return invalid(&key("url"), reason);
        }
        if self.uid.is_some() && self.url != "unix:" {
            return invalid(&key("uid"), "needs the url unix:".into());
        }
        let second = self.second_url();
        if !second.is_empty() {
            if mqtt || self.url.is_empty() {
                let reason = "is for a second way, beside a url of another transport";
                return invalid(&key("mqtt.url"), reason.into());
            }
            if let Err(reason) = MqttAddress::parse(second) {
                return invalid(&key("mqtt.url"), reason);
            }
            if let Err((one, reason)) = self.mqtt.clone().unwrap_or_default().check() {
                return invalid(&key(&format!("mqtt.{one}")), reason);
            }
        } else if self.mqtt.is_some() && !mqtt {
            return invalid(
                &key("mqtt"),
                "needs a url of mqtt://, mqtts://, mqtt+ws:// or mqtt+wss://, or its own one beside another".into(),
            );
        }
        if self.stomp.is_some() && !stomp {
            return invalid(&key("stomp"), "needs a url of stomp:// or stomps://".into());
        }
        let (name, checked) = match (mqtt, stomp) {
            (true, _) => ("mqtt", self.mqtt.clone().unwrap_or_default().check()),
            (_, true) => ("stomp", self.stomp.clone().unwrap_or_default().check()),
            _ => return Ok(()),
        };
        match checked {
            Err((one, reason)) => invalid(&key(&format!("{name}.{one}")), reason),
            Ok(()) => Ok(()),
        }
    }
}

/// A WebSocket address taken apart into the parameters of `Controller.{i}.MTP.{i}.WebSocket.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketAddress {
    /// Name or address; IPv6 in brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path, starts with `/`.
    pub path: String,
    /// `wss`.
    pub encrypted: bool,
}

impl WebSocketAddress {
    /// Takes `ws://host:port/path` apart.
    pub fn parse(url: &str) -> Result<WebSocketAddress, String> {
        let (encrypted, rest) =
            match (url.strip_prefix("ws://"), url.strip_prefix("wss://")) {
                (Some(rest), _) => (false, rest),
                (_, Some(rest)) => (true, rest),
                _ => return Err(
                    "must start with ws://, wss://, mqtt://, mqtts://, mqtt+ws://, mqtt+wss://, stomp:// or stomps://"
                        .into(),
                ),
            };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[after_bracket..].rfind(':') {
            Some(at) => {
                let at = after_bracket + at;
                let port = authority[at + 1..]
                    .parse()
                    .map_err(|_| "the port is not a number up to 65535")?;
                (&authority[..at], port)
            }
            None => (authority, if encrypted { 443 } else { 80 }),
        };
        if host.is_empty() || host.contains(['@', '?', '#', ' ']) {
            return Err("has no plain host name".into());
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(WebSocketAddress {
            host: host.into(),
            port,
            path: path.into(),
            encrypted,
        })
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        let scheme = if self.encrypted { "wss" } else { "ws" };
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        format!("{scheme}://{}:{}{slash}{}", self.host, self.port, self.path)
    }
}

/// Name or address, IPv6 without brackets, and port of `host:port`; `usual` is the port that is meant where none is said.
pub(super) fn host_and_port(rest: &str, usual: u16) -> Result<(String, u16), String> {
    let rest = rest.trim_end_matches('/');
    let after_bracket = rest.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match rest[after_bracket..].rfind(':') {
        Some(at) => {
            let (host, port) = rest.split_at(after_bracket + at);
            let port = port[1..]
                .parse()
                .map_err(|_| "the port is not a number up to 65535")?;
            (host, port)
        }
        None => (rest, usual),
    };
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if host.is_empty() || host.contains(['@', '?', '#', ' ', '/', '[', ']']) {
        return Err("has no plain host name".into());
    }
    Ok((host.into(), port))
}
