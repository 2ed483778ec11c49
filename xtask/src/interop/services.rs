//! `cargo xtask interop services --bin PATH`: USP Services between implementations. A foreign agent registers at ours, and
//! a service of ours at a foreign one, each managed through the broker's connection to the server.

use super::report;
use super::server::{Server, after, until};
use crate::cmd;
use anyhow::{Context, Result, bail};
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
    cmd::cargo(&["build", "-p", "agent", "--bins", "--example", "service"])?;
    let bin = std::fs::canonicalize(&args.bin).with_context(|| args.bin.display().to_string())?;
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path())?;
    let columns: Vec<_> = Side::ALL
        .iter()
        .map(|side| Scenario::new(&server, &bin, folder.path(), side).map(|mut one| one.run()))
        .collect::<Result<_>>()?;
    let heads: Vec<&str> = Side::ALL.iter().map(|side| side.words).collect();
    let mut table = format!("| what | {} |\n", heads.join(" | "));
    writeln!(table, "|---{}|", "|---".repeat(heads.len()))?;
    for (index, (what, _)) in columns[0].iter().enumerate() {
        let cells: Vec<String> = columns.iter().map(|c| report::word(&c[index].1)).collect();
        writeln!(table, "| {what} | {} |", cells.join(" | "))?;
    }
    println!("{table}");
    let about = "Over UNIX domain sockets, with obuspa at the other end. Repeat with `cargo xtask interop services --bin PATH`.";
    report::write_section("USP Services", about, &table)?;
    let mut all = columns.iter().flatten();
    if all.any(|(_, result)| result.is_err()) {
        bail!("not everything worked; see docs/interop.md");
    }
    Ok(())
}

/// Who is the broker, and what its service has.
struct Side {
    words: &'static str,
    name: &'static str,
    foreign_service: bool,
    service: &'static str,
    parameter: &'static str,
    values: [&'static str; 2],
    wrong: &'static str,
    table: &'static str,
    row: &'static str,
}

impl Side {
    const ALL: [Side; 2] = [
        Side {
            words: "obuspa registers at headend-agent",
            name: "ours",
            foreign_service: true,
            service: "self::interop-service",
            parameter: "Device.BulkData.Enable",
            values: ["true", "false"],
            wrong: "Device.BulkData.MinReportingInterval=1",
            table: "Device.BulkData.Profile.",
            row: "Name=interop",
        },
        Side {
            words: "a service of ours registers at obuspa",
            name: "theirs",
            foreign_service: false,
            service: "self::example-meter",
            parameter: "Device.X_EXAMPLE_Meter.Name",
            values: ["one", "two"],
            wrong: "Device.X_EXAMPLE_Meter.Count=1",
            table: "Device.X_EXAMPLE_Meter.Alarm.",
            row: "Limit=7",
        },
    ];
}

/// A process of the scenario, which ends with it.
struct Process(Child);

impl Process {
    fn start(command: &mut Command, log: &Path) -> Result<Process> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)?;
        let command = command.stdout(log.try_clone()?).stderr(log);
        Ok(Process(
            command.spawn().context("a program of the scenario")?,
        ))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Scenario<'a> {
    server: &'a Server,
    side: &'static Side,
    device: String,
    _broker: Process,
    service: Option<Process>,
}

type Finding = (&'static str, Result<String>);

impl<'a> Scenario<'a> {
    fn new(
        server: &'a Server,
        bin: &Path,
        folder: &Path,
        side: &'static Side,
    ) -> Result<Scenario<'a>> {
        let home = folder.join(side.name);
        std::fs::create_dir_all(&home)?;
        let device = format!("os::00256D-broker-{}", side.name);
        let body = serde_json::json!({ "name": format!("services {}", side.name) });
        let key = server.post("/api/v1/setup-keys", &body)?;
        let key = key["secret"].as_str().context("no setup key")?.to_owned();
        let socket = home.join("controller");
        let broker = match side.foreign_service {
            true => ours(server, &home, &device, &key)?,
            false => theirs(server, bin, &home, &device, &key)?,
        };
        until("the broker's socket", || socket.exists().then_some(()))?;
        let service = match side.foreign_service {
            true => their_service(bin, &home, side.service)?,
            false => {
                let program = cmd::target_dir().join("debug/examples/service");
                let mut command = Command::new(program);
                Process::start(command.arg(&socket).arg(&device), &home.join("service.log"))?
            }
        };
        Ok(Scenario {
            server,
            side,
            device,
            _broker: broker,
            service: Some(service),
        })
    }

    fn run(&mut self) -> Vec<Finding> {
        vec![
            ("registers, and the broker shows it", self.registers()),
            ("is discovered and read", self.is_read()),
            ("is changed and read back", self.is_changed()),
            ("row added and deleted", self.row_comes_and_goes()),
            ("what cannot be written is refused", self.refuses()),
            ("is subscribed and notifies", self.notifies()),
            ("its paths go with it", self.goes()),
        ]
    }

    fn value(&self, path: &str) -> Option<String> {
        let read = self.server.ask(&["device", "get", &self.device, path]);
        read.ok().and_then(|read| after(&read, path))
    }

    fn registers(&self) -> Result<String> {
        let path = "Device.USPServices.USPService.";
        until("the row of the service", || {
            let read = self.server.ask(&["device", "get", &self.device, path]);
            read.ok()
                .filter(|read| read.to_string().contains(self.side.service))
        })?;
        Ok(String::new())
    }

    fn is_read(&self) -> Result<String> {
        if self.value(self.side.parameter).is_some() {
            return Ok(String::new());
        }
        // It registered after the server had got to know the device, and not every broker tells that: an operator asks.
        self.server.ask(&["device", "discover", &self.device])?;
        until("the server knows what was added", || {
            self.value(self.side.parameter)
        })?;
        Ok("after asking for the model again".to_owned())
    }

    fn set(&self, value: &str) -> Result<String> {
        let path = self.side.parameter;
        let change = format!("{path}={value}");
        let set = self.server.ask(&["device", "set", &self.device, &change])?;
        if set["state"] != "succeeded" || after(&set, path).as_deref() != Some(value) {
            bail!("{}", set["state"]);
        }
        Ok("verified by reading back".to_owned())
    }

    fn is_changed(&self) -> Result<String> {
        self.set(self.side.values[0])
    }

    fn row_comes_and_goes(&self) -> Result<String> {
        let table = self.side.table;
        let added = self
            .server
            .ask(&["device", "add", &self.device, table, self.side.row])?;
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
        match self
            .server
            .ask(&["device", "set", &self.device, self.side.wrong])
        {
            Ok(set) => bail!("it was accepted: {}", set["state"]),
            Err(_) => Ok("named before it is sent".to_owned()),
        }
    }

    fn notifies(&self) -> Result<String> {
        let path = self.side.parameter;
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
        self.set(self.side.values[1])?;
        // Of all values that may have changed, this one.
        until("the notification", || {
            let told = self
                .server
                .event(&self.device, "device.value_changed", path);
            told.ok()
        })
    }

    fn goes(&mut self) -> Result<String> {
        self.service = None;
        until("its paths are gone", || {
            self.value(self.side.parameter).is_none().then_some(())
        })?;
        Ok(String::new())
    }
}

fn ours(server: &Server, home: &Path, device: &str, key: &str) -> Result<Process> {
    let controller = server.endpoint_id()?;
    let (state, socket) = (home.join("state"), home.join("controller"));
    let config = format!(
        "endpoint_id = \"{device}\"\nstate_dir = \"{}\"\n\
         [[controller]]\nendpoint_id = \"{controller}\"\nurl = \"ws://127.0.0.1:{}/usp/{key}\"\n\
         [services]\nbroker_controller = \"{}\"\n",
        state.display(),
        server.usp_port,
        socket.display(),
    );
    let path = home.join("agent.toml");
    std::fs::write(&path, config)?;
    let mut command = Command::new(cmd::target_dir().join("debug/headend-agent"));
    Process::start(command.arg("--config").arg(&path), &home.join("broker.log"))
}

fn theirs(server: &Server, bin: &Path, home: &Path, device: &str, key: &str) -> Result<Process> {
    let (agent, controller) = (home.join("agent"), home.join("controller"));
    let mtp = "LocalAgent.Controller.1.MTP.1";
    let reset = lines(&[
        ("LocalAgent.EndpointID", device),
        ("LocalAgent.Controller.1.EndpointID", &server.endpoint_id()?),
        ("LocalAgent.Controller.1.Enable", "true"),
        (
            "LocalAgent.Controller.1.AssignedRole",
            "Device.LocalAgent.ControllerTrust.Role.1",
        ),
        (&format!("{mtp}.Enable"), "true"),
        (&format!("{mtp}.Protocol"), "WebSocket"),
        (&format!("{mtp}.WebSocket.Host"), "127.0.0.1"),
        (
            &format!("{mtp}.WebSocket.Port"),
            &server.usp_port.to_string(),
        ),
        (&format!("{mtp}.WebSocket.Path"), &format!("/usp/{key}")),
        (&format!("{mtp}.WebSocket.EnableEncryption"), "false"),
        ("UnixDomainSockets.UnixDomainSocket.1.Mode", "Listen"),
        (
            "UnixDomainSockets.UnixDomainSocket.1.Path",
            &agent.display().to_string(),
        ),
        ("UnixDomainSockets.UnixDomainSocket.2.Mode", "Listen"),
        (
            "UnixDomainSockets.UnixDomainSocket.2.Path",
            &controller.display().to_string(),
        ),
        ("LocalAgent.MTP.1.Enable", "true"),
        ("LocalAgent.MTP.1.Protocol", "UDS"),
        (
            "LocalAgent.MTP.1.UDS.UnixDomainSocketRef",
            "Device.UnixDomainSockets.UnixDomainSocket.1",
        ),
    ]);
    obuspa(bin, home, "broker", &reset, &[])
}

fn their_service(bin: &Path, home: &Path, own: &str) -> Result<Process> {
    let reset = lines(&[
        ("LocalAgent.EndpointID", own),
        ("UnixDomainSockets.UnixDomainSocket.1.Mode", "Connect"),
        (
            "UnixDomainSockets.UnixDomainSocket.1.Path",
            &home.join("controller").display().to_string(),
        ),
        ("LocalAgent.MTP.1.Enable", "true"),
        ("LocalAgent.MTP.1.Protocol", "UDS"),
        (
            "LocalAgent.MTP.1.UDS.UnixDomainSocketRef",
            "Device.UnixDomainSockets.UnixDomainSocket.1",
        ),
    ]);
    let registers = ["-R", "Device.BulkData."];
    obuspa(bin, home, "service", &reset, &registers)
}

fn lines(values: &[(&str, &str)]) -> String {
    let lines = values.iter();
    lines
        .map(|(name, value)| format!("Device.{name} \"{value}\"\n"))
        .collect()
}

fn obuspa(bin: &Path, home: &Path, name: &str, reset: &str, more: &[&str]) -> Result<Process> {
    let file = format!("{name}.txt");
    std::fs::write(home.join(&file), reset)?;
    let mut command = Command::new(bin);
    command
        .current_dir(home)
        .args(["-p", "-v", "4", "-i", "lo", "-r", &file])
        .args(["-f", &format!("{name}.db"), "-s", &format!("{name}.sock")])
        .args(more);
    Process::start(&mut command, &home.join(format!("{name}.log")))
}
