//! `cargo xtask interop obuspa --bin PATH`: a USP agent through our scenario: it dials us and we dial it over
//! WebSocket, and it meets us at the MQTT broker inside, at a Mosquitto and at a RabbitMQ.

use super::brokers::{Brokers, at_the_broker, at_the_stomp_server};
use super::report;
use super::server::{Server, after, free_port, until};
use super::way::{Over, WAYS, Way, setup_key};
use crate::cmd;
use anyhow::{Context, Result, bail};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

#[derive(clap::Args)]
pub struct Args {
    /// The agent's program, built elsewhere
    #[arg(long)]
    bin: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    cmd::cargo(&["build", "-p", "headend"])?;
    let bin = std::fs::canonicalize(&args.bin).with_context(|| args.bin.display().to_string())?;
    let folder = tempfile::tempdir()?;
    let brokers = Brokers::start(folder.path(), &WAYS.map(|way| way.name))?;
    let server = Server::with(folder.path(), &brokers.settings())?;
    let mut version = String::new();
    let mut columns = Vec::new();
    for way in WAYS {
        let scenario = Scenario::new(&server, &brokers, &bin, folder.path(), way)?;
        columns.push(scenario.run());
        if version.is_empty() {
            version = scenario.version();
        }
    }
    let heads = WAYS.map(|way| way.words);
    let mut table = format!("| what | {} |\n", heads.join(" | "));
    writeln!(table, "|---{}|", "|---".repeat(heads.len()))?;
    let mut failed = false;
    for (index, (what, _)) in columns[0].iter().enumerate() {
        let cells: Vec<String> = columns.iter().map(|c| report::word(&c[index].1)).collect();
        failed |= columns.iter().any(|column| column[index].1.is_err());
        writeln!(table, "| {what} | {} |", cells.join(" | "))?;
    }
    println!("{table}");
    let about = format!(
        "{version}. Repeat with `cargo xtask interop obuspa --bin PATH`. It wants libwebsockets 4.2 or newer, \
         which Debian 12 has not (4.1). An ordinary build has no session contexts; this one was built with `CPPFLAGS=-DE2ESESSION_EXPERIMENTAL_USP_V_1_2`."
    );
    report::write_section("obuspa", &about, &table)?;
    if failed {
        bail!("not everything worked; see docs/interop.md");
    }
    Ok(())
}

struct Scenario<'a> {
    server: &'a Server,
    device: String,
    bin: PathBuf,
    home: PathBuf,
    /// Whom it trusts and what it shows, where it speaks TLS.
    tls: Vec<String>,
    agent: RefCell<Child>,
}

impl Drop for Scenario<'_> {
    fn drop(&mut self) {
        let agent = self.agent.get_mut();
        let _ = agent.kill();
        let _ = agent.wait();
    }
}

/// A step's name and what it found.
type Finding = (&'static str, Result<String>);

impl<'a> Scenario<'a> {
    fn new(
        server: &'a Server,
        brokers: &Brokers,
        bin: &Path,
        folder: &Path,
        way: Way,
    ) -> Result<Scenario<'a>> {
        let controller = server.endpoint_id()?;
        let name = way.name;
        let device = way.device();
        let port = free_port()?;
        let mut reset = format!(
            "Device.LocalAgent.EndpointID \"{device}\"\n\
             Device.LocalAgent.Controller.1.EndpointID \"{controller}\"\n\
             Device.LocalAgent.Controller.1.Enable \"true\"\n\
             Device.LocalAgent.Controller.1.AssignedRole \"Device.LocalAgent.ControllerTrust.Role.1\"\n"
        );
        match way.over {
            Over::ItDials => {
                // The name is looked for in the certificate, and an address is not.
                let (host, port, secret) = match way.encrypted {
                    true => ("localhost", brokers.usp_tls, "default".to_owned()),
                    false => ("127.0.0.1", server.usp_port, setup_key(server, name)?),
                };
                let mtp = "Device.LocalAgent.Controller.1.MTP.1";
                write!(
                    reset,
                    "{mtp}.Enable \"true\"\n{mtp}.Protocol \"WebSocket\"\n{mtp}.WebSocket.Host \"{host}\"\n\
                     {mtp}.WebSocket.Port \"{port}\"\n{mtp}.WebSocket.Path \"/usp/{secret}\"\n\
                     {mtp}.WebSocket.EnableEncryption \"{}\"\n",
                    way.encrypted
                )?;
            }
            Over::WeDial => {
                let mtp = "Device.LocalAgent.MTP.1";
                write!(
                    reset,
                    "{mtp}.Enable \"true\"\n{mtp}.Protocol \"WebSocket\"\n{mtp}.WebSocket.Port \"{port}\"\n\
                     {mtp}.WebSocket.Path \"/usp\"\n{mtp}.WebSocket.EnableEncryption \"false\"\n"
                )?;
            }
            Over::Stomp => {
                reset.push_str(&at_the_stomp_server(brokers, way.encrypted, name));
            }
            Over::Mqtt(..) => {}
        }
        if let Some(meeting) = way.meeting(server, brokers)? {
            reset.push_str(&at_the_broker(&meeting, &device));
        }
        let tls = match way.encrypted {
            true => vec![
                "-t".to_owned(),
                brokers.file("ca.pem"),
                "-a".to_owned(),
                brokers.file(&format!("{name}.both")),
            ],
            false => Vec::new(),
        };
        let home = folder.join(name);
        std::fs::create_dir_all(&home)?;
        std::fs::write(home.join("reset.txt"), reset)?;
        if way.opens_by_certificate() {
            let body = serde_json::json!({"endpoint_id": device, "certificate_required": true});
            register(server, &body)?;
        }
        let agent = RefCell::new(start_agent(bin, &home, &tls)?);
        if way.over == Over::WeDial {
            let url = format!("ws://127.0.0.1:{port}/usp");
            let body = serde_json::json!({"endpoint_id": device, "dial_url": url});
            register(server, &body)?;
        }
        Ok(Scenario {
            server,
            device,
            bin: bin.to_owned(),
            home,
            tls,
            agent,
        })
    }

    fn run(&self) -> Vec<Finding> {
        vec![
            ("onboards", self.onboards()),
            ("is discovered", self.is_discovered()),
            ("is read", self.is_read()),
            ("is changed and read back", self.is_changed()),
            ("row added and deleted", self.row_comes_and_goes()),
            ("wrong value is refused with its code", self.refuses()),
            ("is subscribed and notifies", self.notifies()),
            (
                "speaks in a session context, in records of 1 KiB",
                self.speaks_in_pieces(),
            ),
            ("reboots and says Boot!", self.reboots()),
        ]
    }

    /// What the agent calls itself.
    fn version(&self) -> String {
        let path = "Device.LocalAgent.SoftwareVersion";
        let read = self.server.ask(&["device", "get", &self.device, path]);
        let version = read.ok().and_then(|read| after(&read, path));
        format!(
            "Version {}",
            version.unwrap_or_else(|| "unknown".to_owned())
        )
    }

    fn onboards(&self) -> Result<String> {
        until("onboarding", || {
            let shown = self.server.ask(&["device", "show", &self.device]).ok()?;
            (shown["onboarding"] == "complete").then_some(())
        })?;
        Ok(String::new())
    }

    fn is_discovered(&self) -> Result<String> {
        let tree = self.server.ask(&["device", "tree", &self.device])?;
        // The command line's own test of what this scenario reads keeps this shape.
        let root = tree["items"]
            .get(0)
            .with_context(|| format!("no nodes: {tree}"))?;
        let objects = root["objects"].as_array().map_or(0, Vec::len);
        if root["source"] != "discovered" || objects == 0 {
            bail!("the model is not discovered: {}", root["source"]);
        }
        Ok(format!("{objects} objects below Device."))
    }

    fn is_read(&self) -> Result<String> {
        let path = "Device.LocalAgent.EndpointID";
        let read = self.server.ask(&["device", "get", &self.device, path])?;
        match after(&read, path) {
            Some(value) if value == self.device => Ok(String::new()),
            other => bail!("read {other:?}"),
        }
    }

    fn is_changed(&self) -> Result<String> {
        let path = "Device.LocalAgent.Controller.1.ProvisioningCode";
        let change = format!("{path}=interop-1");
        let set = self.server.ask(&["device", "set", &self.device, &change])?;
        if set["state"] != "succeeded" || after(&set, path).as_deref() != Some("interop-1") {
            bail!("{}", set["state"]);
        }
        Ok("verified by reading back".to_owned())
    }

    fn row_comes_and_goes(&self) -> Result<String> {
        let table = "Device.LocalAgent.Subscription.";
        let added = self.server.ask(&[
            "device",
            "add",
            &self.device,
            table,
            "ID=interop",
            "NotifType=ValueChange",
            "ReferenceList=Device.LocalAgent.Controller.1.ProvisioningCode",
            "Enable=true",
        ])?;
        let row = added["steps"][0]["results"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|result| result["path"].as_str())
            .find(|path| path.starts_with(table))
            .with_context(|| format!("no row in {added}"))?;
        let number = row[table.len()..].split('.').next().unwrap_or_default();
        let row = format!("{table}{number}.");
        self.server.ask(&["device", "delete", &self.device, &row])?;
        Ok(String::new())
    }

    fn refuses(&self) -> Result<String> {
        let change = "Device.LocalAgent.Controller.1.PeriodicNotifInterval=soon";
        match self.server.ask(&["device", "set", &self.device, change]) {
            Ok(set) => bail!("it was accepted: {}", set["state"]),
            Err(error) => {
                let words = format!("{error:#}");
                let wrong = words.contains("soon") || words.contains("70");
                wrong
                    .then_some("named before it is sent".to_owned())
                    .with_context(|| words)
            }
        }
    }

    fn notifies(&self) -> Result<String> {
        let path = "Device.LocalAgent.Controller.1.ProvisioningCode";
        self.server.ask(&[
            "device",
            "add",
            &self.device,
            "Device.LocalAgent.Subscription.",
            "ID=interop-notify",
            "NotifType=ValueChange",
            &format!("ReferenceList={path}"),
            "Enable=true",
            "NotifRetry=true",
        ])?;
        self.server
            .ask(&["device", "set", &self.device, &format!("{path}=interop-2")])?;
        self.server
            .event(&self.device, "device.value_changed", path)
    }

    /// An ordinary build of it has no session contexts; one with `E2ESESSION_EXPERIMENTAL_USP_V_1_2` has.
    fn speaks_in_pieces(&self) -> Result<String> {
        let session = "Device.LocalAgent.Controller.1.E2ESession.";
        let read = |name: &str| {
            let path = format!("{session}{name}");
            let read = self.server.ask(&["device", "get", &self.device, &path]);
            read.ok().and_then(|read| after(&read, &path))
        };
        let Some(status) = read("Status") else {
            return Ok("this build has none".to_owned());
        };
        let size = format!("{session}MaxUSPRecordSize=1024");
        let mode = format!("{session}SessionMode=Require");
        for change in [size, mode] {
            let set = self.server.ask(&["device", "set", &self.device, &change])?;
            if set["state"] != "succeeded" {
                bail!("{change}: {}", set["state"]);
            }
        }
        until("a session context", || {
            (read("Status").as_deref() == Some("Up")).then_some(())
        })?;
        // A long question goes in pieces, and its long answer comes in pieces.
        let paths: Vec<String> = (0..40)
            .map(|n| format!("Device.LocalAgent.Subscription.[ID==\"{n:040}\"]."))
            .chain(["Device.LocalAgent.".to_owned()])
            .collect();
        let mut asked = vec!["device", "get", &self.device];
        asked.extend(paths.iter().map(String::as_str));
        let counted = |what: &str| {
            self.server
                .counter(&format!("headend_usp_records_{what}_total"))
        };
        let (sent, received) = (counted("sent")?, counted("received")?);
        self.server.ask(&asked)?;
        let (sent, received) = (counted("sent")? - sent, counted("received")? - received);
        match read("Status").as_deref() {
            Some("Up") if sent > 2 && received > 8 => Ok(format!(
                "was {status}; a question in {sent} records, its answer in {received}"
            )),
            other => bail!("{sent} records out, {received} in, and it is {other:?}"),
        }
    }

    /// The agent ends its process on Reboot(); whoever runs it on a device starts it again, and so do we.
    fn reboots(&self) -> Result<String> {
        let asked = self.server.ask(&[
            "device",
            "operate",
            &self.device,
            "Device.Reboot()",
            "--no-wait",
        ])?;
        let id = asked["id"].as_str().context("no operation")?;
        until("the end of the agent's process", || {
            self.agent.borrow_mut().try_wait().ok().flatten()
        })?;
        let again = start_agent(&self.bin, &self.home, &self.tls)?;
        *self.agent.borrow_mut() = again;
        let done = self.server.ask(&["operation", "show", id, "--follow"])?;
        if done["state"] != "succeeded" {
            bail!("{}: {}", done["state"], done["state_words"]);
        }
        Ok("proven by Boot! with our command key".to_owned())
    }
}

fn register(server: &Server, body: &serde_json::Value) -> Result<()> {
    let made = server.post("/api/v1/devices", body)?;
    if made["device"].is_null() {
        bail!("the device was not registered: {made}");
    }
    Ok(())
}

/// Starts the agent in its folder; its settings are read from the reset file only when it has no database yet.
fn start_agent(bin: &Path, home: &Path, tls: &[String]) -> Result<Child> {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(home.join("agent.log"))?;
    Command::new(bin)
        .current_dir(home)
        .args([
            "-p",
            "-v",
            "4",
            "-i",
            "lo",
            "-r",
            "reset.txt",
            "-f",
            "agent.db",
            "-s",
            "agent.sock",
        ])
        .args(tls)
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| bin.display().to_string())
}
