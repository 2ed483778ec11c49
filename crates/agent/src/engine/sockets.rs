//! UNIX domain sockets in the data model: `Device.UnixDomainSockets.`, which `LocalAgent.MTP.{i}.UDS.` and
//! `Controller.{i}.MTP.{i}.UDS.` refer to. They are the configuration file's; controllers see them.

use std::path::Path;

use super::services::USP_SERVICES;
use super::{Engine, Reach, instance};
use crate::config::ControllerConfig;

/// All sockets, the engine's own.
pub(crate) const SOCKETS: &str = "Device.UnixDomainSockets.";

const TABLE: &str = "Device.UnixDomainSockets.UnixDomainSocket.";

const MTPS: &str = "Device.LocalAgent.MTP.";

/// A note: whose rows of trust are the file's.
const TRUSTED: &str = "~trust";

impl Engine {
    /// The rows that the configuration file says, and no others that it said before.
    pub(super) fn configure_sockets(&mut self) {
        let services = self.config.services.clone().unwrap_or_default();
        let listen = [services.broker_controller, services.broker_agent.clone()];
        let listen: Vec<String> = listen
            .into_iter()
            .flatten()
            .map(|path| path.display().to_string())
            .collect();
        let dialled = self.config.controllers.iter();
        let dialled: Vec<String> = dialled.filter_map(ControllerConfig::socket).collect();
        let mtps: Vec<u32> = self.state.instances(MTPS).collect();
        let mtp = mtps
            .into_iter()
            .find(|n| self.held(&format!("{MTPS}{n}.Protocol")) == "UDS");
        let known = mtp.and_then(|n| self.socket_row(&format!("{MTPS}{n}.")));
        // Controllers refer to that row: when the file has another path, it stays the same row.
        let moved = known.zip(services.broker_agent.as_ref());
        if let Some((n, path)) = moved {
            let path = path.display().to_string();
            self.state.set(&format!("{TABLE}{n}.Path"), &path);
        }
        let rows: Vec<u32> = self.state.instances(TABLE).collect();
        for n in rows {
            let path = self.held(&format!("{TABLE}{n}.Path"));
            let mode = self.held(&format!("{TABLE}{n}.Mode"));
            let listed = match mode.as_str() {
                "Listen" => &listen,
                _ => &dialled,
            };
            let twice = moved.is_some_and(|(kept, moved)| kept != n && *moved == Path::new(&path));
            if !listed.contains(&path) || twice {
                self.state.remove(TABLE, n);
            }
        }
        for (mode, paths) in [("Listen", &listen), ("Connect", &dialled)] {
            for path in paths {
                self.socket(mode, path);
            }
        }
        match (services.broker_agent, mtp) {
            (None, Some(n)) => self.state.remove(MTPS, n),
            (None, None) => {}
            (Some(path), known) => {
                let socket = self.socket("Listen", &path.display().to_string());
                let n = self.state.insert(MTPS, known);
                for (name, value) in [
                    ("Alias", format!("cpe-{n}")),
                    ("Enable", "true".to_owned()),
                    ("Protocol", "UDS".to_owned()),
                    ("UDS.UnixDomainSocketRef", socket),
                ] {
                    self.state.set(&format!("{MTPS}{n}.{name}"), &value);
                }
            }
        }
        self.configure_trust();
    }

    /// A reference to the row of a socket, which is made if need be.
    pub(super) fn socket(&mut self, mode: &str, path: &str) -> String {
        let known = self
            .state
            .instances(TABLE)
            .find(|n| self.held(&format!("{TABLE}{n}.Path")) == path);
        let n = self.state.insert(TABLE, known);
        for (name, value) in [
            ("Alias", &*format!("cpe-{n}")),
            ("Mode", mode),
            ("Path", path),
        ] {
            self.state.set(&format!("{TABLE}{n}.{name}"), value);
        }
        format!("{TABLE}{n}")
    }

    /// What the file says of who may register what, and no longer what it said before; what controllers have added stays.
    fn configure_trust(&mut self) {
        let table = format!("{USP_SERVICES}Trust.");
        let listed = self.config.services.clone().unwrap_or_default().trust;
        let before = self.state.value(TRUSTED).unwrap_or_default().to_owned();
        let mut left: Vec<&str> = before.split_whitespace().collect();
        left.retain(|id| listed.iter().all(|trust| trust.endpoint_id != *id));
        let rows: Vec<u32> = self.state.instances(&table).collect();
        for n in rows {
            if left.contains(&&*self.held(&format!("{table}{n}.EndpointID"))) {
                self.state.remove(&table, n);
            }
        }
        for trust in &listed {
            let known = self
                .state
                .instances(&table)
                .find(|n| self.held(&format!("{table}{n}.EndpointID")) == trust.endpoint_id);
            let n = self.state.insert(&table, known);
            self.state
                .set(&format!("{table}{n}.EndpointID"), &trust.endpoint_id);
            let paths = trust.paths.join(",");
            self.state.set(&format!("{table}{n}.TargetPaths"), &paths);
        }
        let ids: Vec<&str> = listed.iter().map(|trust| &*trust.endpoint_id).collect();
        match ids.is_empty() {
            true => self.state.unset(TRUSTED),
            false => self.state.set(TRUSTED, &ids.join(" ")),
        }
    }

    /// The row of a socket that an MTP row refers to, if it is there.
    fn socket_row(&self, row: &str) -> Option<u32> {
        let socket = self.held(&format!("{row}UDS.UnixDomainSocketRef"));
        instance(&socket, TABLE).filter(|n| self.state.exists(TABLE, *n))
    }

    /// How a controller is reached over a socket, by its MTP row.
    pub(super) fn socket_reach(&self, row: &str) -> Option<Reach> {
        let n = self.socket_row(row)?;
        let path = self.held(&format!("{TABLE}{n}.Path"));
        match self.held(&format!("{TABLE}{n}.Mode")).as_str() {
            "Listen" => Some(Reach::Local),
            "Connect" if !path.is_empty() => Some(Reach::Socket(path.into())),
            _ => None,
        }
    }
}
