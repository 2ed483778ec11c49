//! What is known of a foreign client: how it is started, and what its model has.

use super::super::server::{Server, free_port};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Child;

/// A client of CWMP that nobody here wrote.
pub struct Client {
    pub name: &'static str,
    /// Its data model: TR-181 or TR-098.
    pub model: &'static str,
    pub serial: &'static str,
    pub oui: &'static str,
    pub product_class: &'static str,
    /// What it is, from the folder it was built in.
    pub version: fn(&Path) -> String,
    /// Starts it, with nothing known of us but what the settings say.
    pub start: fn(&Settings) -> Result<Running>,
    /// A parameter that is set, and to what.
    pub sets: (&'static str, &'static str),
    pub changes: Expect,
    /// What of TR-181 is set on a device that only has TR-098.
    pub mapped: Option<(&'static str, &'static str)>,
    /// A table to which a row is added.
    pub table: &'static str,
    /// What is expected of adding a row.
    pub adds: Expect,
    pub reboots: Expect,
    pub downloads: Expect,
    /// What a reader of the matrix has to know of how it was built.
    pub note: &'static str,
}

/// What a client is known to do when it is asked.
#[derive(Clone, Copy, PartialEq)]
pub enum Expect {
    /// As the standard says.
    Works,
    /// It answers this fault, which has to be told, for this reason.
    Fault(&'static str, &'static str),
    /// By what it has it cannot do that, which is said before it is asked.
    NotOffered,
}

/// Where and as whom a client comes.
pub struct Settings {
    pub acs_url: String,
    pub username: String,
    pub password: String,
    pub serial: &'static str,
    pub oui: &'static str,
    pub product_class: &'static str,
    /// Where it listens for connection requests.
    pub port: u16,
    pub built: PathBuf,
    /// A folder of its own.
    pub home: PathBuf,
}

impl Settings {
    pub fn new(
        server: &Server,
        client: &Client,
        built: &Path,
        home: &Path,
        secret: &str,
    ) -> Result<Settings> {
        Ok(Settings {
            acs_url: server.acs_url(),
            username: "default/setup".to_owned(),
            password: secret.to_owned(),
            serial: client.serial,
            oui: client.oui,
            product_class: client.product_class,
            port: free_port()?,
            built: built.to_owned(),
            home: home.to_owned(),
        })
    }
}

/// A client that runs, until it is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The commit that whoever built it left beside it in a file `commit`.
pub fn commit(built: &Path) -> String {
    std::fs::read_to_string(built.join("commit")).map_or_else(
        |_| "commit unknown".to_owned(),
        |text| text.trim().to_owned(),
    )
}
