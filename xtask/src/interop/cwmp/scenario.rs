//! The scenario: what an operator does with a device, and what has to come of it. Between the steps the client
//! has no session open, so each step also has to wake it with a connection request.

use super::super::server::{Server, after, until};
use super::client::{Client, Expect};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

pub struct Scenario<'a> {
    server: &'a Server,
    client: &'a Client,
    device: &'static str,
    /// Where files to upload are written.
    folder: &'a Path,
}

/// A step's name and what it found.
pub type Finding = (&'static str, Result<String>);

impl<'a> Scenario<'a> {
    pub fn new(server: &'a Server, client: &'a Client, folder: &'a Path) -> Scenario<'a> {
        Scenario {
            server,
            client,
            device: client.serial,
            folder,
        }
    }

    pub fn run(&self) -> Vec<Finding> {
        vec![
            ("informs and onboards", self.onboards()),
            ("is discovered", self.is_discovered()),
            ("answers a connection request", self.is_woken()),
            ("is read", self.is_read()),
            ("is changed and read back", self.is_changed()),
            ("is read and changed by TR-181 paths", self.is_mapped()),
            ("writing what cannot be written is refused", self.refuses()),
            ("row added and deleted", self.row_comes_and_goes()),
            ("downloads a firmware image", self.downloads()),
            ("reboots", self.reboots()),
        ]
    }

    fn ask(&self, verb: &str, rest: &[&str]) -> Result<Value> {
        let mut args = vec!["device", verb, self.device];
        args.extend(rest);
        self.server.ask(&args)
    }

    fn onboards(&self) -> Result<String> {
        let protocols = until("onboarding", || {
            let shown = self.ask("show", &[]).ok()?;
            (shown["onboarding"] == "complete").then(|| shown["protocols"].clone())
        })?;
        if protocols != serde_json::json!(["cwmp"]) {
            bail!("it is managed by {protocols}");
        }
        Ok(String::new())
    }

    fn is_discovered(&self) -> Result<String> {
        let tree = self.ask("tree", &[])?;
        let roots = tree["items"].as_array().map_or(&[][..], Vec::as_slice);
        let objects: usize = roots
            .iter()
            .filter(|root| root["source"] == "discovered")
            .map(|root| root["objects"].as_array().map_or(0, Vec::len))
            .sum();
        if objects == 0 {
            bail!("the model is not discovered: {tree}");
        }
        let values = self.ask("show", &[])?["values_known"].clone();
        Ok(format!("{values} values"))
    }

    fn is_woken(&self) -> Result<String> {
        let woken = self.ask("wake", &[])?;
        if woken["tried"] != true {
            bail!("{}", woken["words"]);
        }
        until("the connection request", || {
            let reach = self.ask("reach", &[]).ok()?;
            let attempts = reach["paths"].as_array()?.iter();
            let newest = attempts
                .filter_map(|path| path["attempts"].get(0))
                .next()?
                .clone();
            Some(newest)
        })
        .and_then(|newest| match newest["ok"].as_bool() {
            Some(true) => Ok(String::new()),
            _ => bail!("{}", newest["words"]),
        })
    }

    fn is_read(&self) -> Result<String> {
        let path = "Device.DeviceInfo.SerialNumber";
        let read = self.ask("get", &[path])?;
        match after(&read, path) {
            Some(value) if value == self.client.serial => Ok(String::new()),
            other => bail!("read {other:?}"),
        }
    }

    fn is_changed(&self) -> Result<String> {
        self.sets(self.client.sets, self.client.changes)
    }

    fn is_mapped(&self) -> Result<String> {
        match (self.client.mapped, self.client.model) {
            (Some(pair), _) => {
                let done = self.sets(pair, Expect::Works)?;
                Ok(format!("`{}`: {done}", pair.0))
            }
            (None, "TR-181") => Ok("speaks TR-181".to_owned()),
            (None, _) => Ok("read; it has nothing to change".to_owned()),
        }
    }

    fn sets(&self, (path, value): (&str, &str), expected: Expect) -> Result<String> {
        let set = match (self.ask("set", &[&format!("{path}={value}")]), expected) {
            (Ok(set), Expect::Works) => set,
            (asked, expected) => return fault(asked, expected),
        };
        if set["state"] != "succeeded" || after(&set, path).as_deref() != Some(value) {
            bail!("{}: {}", set["state"], set["state_words"]);
        }
        Ok("verified by reading back".to_owned())
    }

    fn refuses(&self) -> Result<String> {
        match self.ask("set", &["Device.DeviceInfo.SerialNumber=other"]) {
            Ok(set) => bail!("it was accepted: {}", set["state"]),
            Err(error) => {
                let words = format!("{error:#}");
                let told = words.contains("can only be read");
                told.then_some("named before it is sent".to_owned())
                    .context(words)
            }
        }
    }

    fn row_comes_and_goes(&self) -> Result<String> {
        let table = self.client.table;
        let added = match (self.ask("add", &[table]), self.client.adds) {
            (Ok(added), Expect::Works) => added,
            (added, expected) => return fault(added, expected),
        };
        let row = added["steps"][0]["results"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|result| result["path"].as_str())
            .find_map(|path| path.strip_prefix(table)?.split('.').next())
            .filter(|number| !number.is_empty())
            .map(|number| format!("{table}{number}."))
            .with_context(|| format!("no row in {added}"))?;
        self.ask("delete", &[&row])?;
        Ok(String::new())
    }

    /// Through the file service; the image's first line is its version for the clients that flash it.
    fn downloads(&self) -> Result<String> {
        let name = format!("{}.bin", self.device);
        let image = self.folder.join(&name);
        std::fs::write(&image, "2.0\n")?;
        let image = image.display().to_string();
        self.server
            .ask(&["file", "put", &image, "--kind", "firmware"])?;
        match (self.fetched(&name), self.client.downloads) {
            (Ok(done), Expect::Works) if done["state"] == "succeeded" => {}
            (asked, expected) => return fault(asked, expected),
        }
        let path = "Device.DeviceInfo.SoftwareVersion";
        let version = after(&self.ask("get", &[path])?, path).unwrap_or_default();
        Ok(format!("TransferComplete; it runs version {version}"))
    }

    /// Some tell the end of a transfer only in the session that they would have anyway.
    fn fetched(&self, name: &str) -> Result<Value> {
        let asked = self.ask("download", &[name, "--no-wait"])?;
        let id = asked["id"].as_str().context("no operation")?;
        until("the end of the transfer", || {
            let shown = self.server.ask(&["operation", "show", id]);
            let running = matches!(&shown, Ok(shown) if shown["finished_at"].is_null());
            if running {
                std::thread::sleep(Duration::from_secs(3));
                let _ = self.ask("wake", &[]);
            }
            (!running).then_some(shown)
        })?
    }

    fn reboots(&self) -> Result<String> {
        match (
            self.ask("operate", &["Device.Reboot()"]),
            self.client.reboots,
        ) {
            (Ok(done), Expect::Works) if done["state"] == "succeeded" => {
                Ok("proven by the next Inform".to_owned())
            }
            (asked, expected) => fault(asked, expected),
        }
    }
}

/// What came of a request that the client is known to refuse.
fn fault(asked: Result<Value>, expected: Expect) -> Result<String> {
    let words = match asked {
        Ok(done) => format!("{}: {}", done["state"], done["state_words"]),
        Err(error) => format!("{error:#}"),
    };
    match expected {
        Expect::NotOffered if words.contains("no rows can be added here") => {
            Ok("it has none to add, which is said before".to_owned())
        }
        Expect::Fault(code, why) if words.contains(code) => {
            Ok(format!("{why}: it answers {code}, which is told"))
        }
        _ => bail!("{words}"),
    }
}
