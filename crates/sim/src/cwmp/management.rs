//! What the ManagementServer object of a simulated CWMP device brings about: where its ACS is, who it
//! is there, when it informs, and how it is woken.

use std::net::SocketAddr;
use std::time::Duration;

use agent::Now;
use cwmp::cpe::Periodic;
use cwmp::event::EventCode;
use cwmp::rpc::EventStruct;
use cwmp::value::boolean;

use super::device::Device;
use super::tree::Tree;

/// Where the ACS is and who the device is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// ManagementServer.URL.
    pub url: String,
    /// ManagementServer.Username.
    pub username: String,
    /// ManagementServer.Password.
    pub password: String,
}

/// How a device behind a NAT keeps its binding.
#[derive(Clone, PartialEq, Eq)]
pub struct Stun {
    /// Host and port of the server.
    pub server: String,
    /// ManagementServer.STUNUsername.
    pub username: String,
    /// ManagementServer.STUNPassword.
    pub password: String,
    /// How often it asks.
    pub every: Duration,
}

impl Device {
    /// A value of the management server object.
    pub(super) fn management(&self, now: Now, name: &str) -> String {
        let path = self.tree.below(&format!("ManagementServer.{name}"));
        self.tree.value(self.at(now), &path).unwrap_or_default()
    }

    /// What the management server object says takes effect.
    pub(super) fn apply_management(&mut self, now: Now) {
        let enabled = boolean(&self.management(now, "PeriodicInformEnable")).unwrap_or(false);
        let interval = self.management(now, "PeriodicInformInterval").parse().ok();
        let reference = dm::DateTime::parse(&self.management(now, "PeriodicInformTime"));
        let reference = reference.filter(|time| !time.is_unknown());
        let periodic = interval.filter(|_| enabled).map(|interval| Periodic {
            interval,
            reference: reference.map(dm::DateTime::unix),
        });
        if periodic != self.periodic {
            self.periodic = periodic;
            self.session.set_periodic(now.at, periodic);
        }
        let url = self.management(now, "URL");
        if url != self.known_url {
            self.known_url = url;
            let event = EventStruct::new(EventCode::Bootstrap);
            _ = self.session.raise(now.at, event);
        }
    }

    /// Where the ACS is.
    pub(super) fn login(&self, now: Now) -> Login {
        Login {
            url: self.management(now, "URL"),
            username: self.management(now, "Username"),
            password: self.management(now, "Password"),
        }
    }

    /// Username and password of connection requests.
    pub(super) fn knock_login(&self, now: Now) -> (String, String) {
        let username = self.management(now, "ConnectionRequestUsername");
        (username, self.management(now, "ConnectionRequestPassword"))
    }

    /// How it keeps its binding, when it is behind a NAT and was told to.
    pub(super) fn stun(&self, now: Now) -> Option<Stun> {
        let enabled = boolean(&self.management(now, "STUNEnable")).unwrap_or(false);
        if !self.behind_nat || !enabled {
            return None;
        }
        let mut host = self.management(now, "STUNServerAddress");
        if host.is_empty() {
            let url: hyper::Uri = self.management(now, "URL").parse().ok()?;
            host = url.host()?.to_owned();
        }
        let port = self.management(now, "STUNServerPort");
        let every = self.management(now, "STUNMaximumKeepAlivePeriod");
        let every = every.parse().ok().filter(|seconds: &u64| *seconds > 0);
        Some(Stun {
            server: format!("{host}:{port}"),
            username: self.management(now, "STUNUsername"),
            password: self.management(now, "STUNPassword"),
            every: Duration::from_secs(every.unwrap_or(30)),
        })
    }

    /// The address that the STUN server sees.
    pub(super) fn mapped(&mut self, now: Now, address: SocketAddr) {
        let set = |tree: &mut Tree, name: &str, value: String| {
            let path = tree.below(&format!("ManagementServer.{name}"));
            tree.change(&path, value);
        };
        set(&mut self.tree, "NATDetected", "true".to_owned());
        set(
            &mut self.tree,
            "UDPConnectionRequestAddress",
            address.to_string(),
        );
        self.look(now);
    }
}
