//! Files by the command line, and devices of every protocol and data model that fetch them: what was put is what
//! is kept, what is fetched and what runs afterwards, what devices send is what they sent, and what did not work is
//! said.

use crate::cli::Cli;
use crate::rig::{Process, SOON, Server, until};
use serde_json::Value;
use std::path::PathBuf;

const VERSION: &str = "Device.DeviceInfo.SoftwareVersion";
/// What the simulated devices read of an image.
const IMAGE: &str = "an image\nversion=9.1\n";
const NAME: &str = "gateway.img";

/// A server, one device and somebody at a terminal.
struct Desk {
    server: Server,
    cli: Cli,
    _sim: Process,
    id: String,
    device: String,
}

impl Desk {
    async fn start(flags: &[&str]) -> Desk {
        let wake = "cwmp.wake_networks=[\"127.0.0.0/8\"]";
        let server = Server::start(&["--set", wake]).await;
        let flash = server.folder.path().join("flash");
        let sim = server.sim_with("sim", flags, Some(&flash));
        let id = server.devices(1).await.remove(0);
        let cli = Cli::administrator(&server);
        let found = cli.done_json(&["device", "list"]);
        let device = found["items"][0]["name"].as_str().unwrap().to_owned();
        Desk {
            server,
            cli,
            _sim: sim,
            id,
            device,
        }
    }

    /// A file on this machine.
    fn on_disk(&self, name: &str, bytes: &str) -> PathBuf {
        let path = self.server.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn put(&self, kind: &str) -> Value {
        let path = self.on_disk(NAME, IMAGE);
        let path = path.to_str().unwrap();
        let of = ["--kind", kind, "--version", "9.1"];
        self.cli
            .done_json(&[&["file", "put", path][..], &of].concat())
    }

    fn transfer(&self) -> Value {
        let list = self.cli.done_json(&["device", "transfers", &self.device]);
        list["items"][0].clone()
    }

    /// Waits until the device says that it runs this.
    async fn runs(&self, version: &str) {
        let known = format!("/devices/{}/values?path=Device.DeviceInfo.", self.id);
        until("the version to be known", SOON, async || {
            let values = self.server.api.get(&known).await;
            let mut items = values["items"].as_array().unwrap().iter();
            let value = items.find(|value| value["path"] == VERSION)?;
            (value["value"] == version).then_some(())
        })
        .await;
        let read = self.cli.done(&["device", "get", &self.device, VERSION]);
        assert_eq!(read, format!("{VERSION} = {version}\n"));
    }
}

/// What every device does with an image that it is told to fetch.
async fn fetches_its_firmware(flags: &[&str]) {
    let desk = Desk::start(flags).await;
    desk.put("firmware");
    let done = desk
        .cli
        .done(&["device", "download", &desk.device, NAME, "--note", "spring"]);
    assert!(
        done.contains("succeeded") && done.contains("note: spring"),
        "{done}"
    );
    desk.runs("9.1").await;
    let transfer = desk.transfer();
    assert_eq!(transfer["state"], "done", "{transfer:#}");
    assert_eq!(transfer["bytes"], IMAGE.len(), "{transfer:#}");
    assert_eq!(transfer["requests"], 1, "{transfer:#}");
    let listed = desk.cli.done(&["device", "transfers", &desk.device]);
    assert!(
        listed.contains(NAME) && listed.contains("All 21 bytes fetched"),
        "{listed}"
    );
    // It started with it, which is told.
    until("the start with the new firmware", SOON, async || {
        let starts = desk.server.api.log("&kind=device.booted").await;
        let updated = starts
            .iter()
            .any(|event| event["data"]["firmware_updated"] == true);
        updated.then_some(())
    })
    .await;
    // What opens the link is the device's alone: nobody reads it anywhere.
    let operation = transfer["operation_id"].as_str().unwrap();
    for words in [
        &["operation", "show", operation][..],
        &["operation", "transcript", operation],
    ] {
        let said = desk.cli.done(words);
        let secret = said.replace("hef_...", "").contains("hef_");
        assert!(!secret, "{words:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_usp_device_fetches_its_firmware_and_starts_it() {
    fetches_its_firmware(&["--count", "1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cwmp_device_fetches_its_firmware_and_starts_it() {
    fetches_its_firmware(&["--count", "0", "--cwmp-devices", "1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_gateway_fetches_its_firmware_and_starts_it() {
    fetches_its_firmware(&["--count", "0", "--tr098", "1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_to_be_started_waits_for_its_command() {
    let desk = Desk::start(&["--count", "1"]).await;
    desk.put("firmware");
    let before = desk.cli.done(&["device", "get", &desk.device, VERSION]);
    let device = desk.device.as_str();
    desk.cli
        .done(&["device", "download", device, NAME, "--no-activate"]);
    let image = "Device.DeviceInfo.FirmwareImage.2.";
    let read = |name: &str| {
        let path = format!("{image}{name}");
        let read = desk.cli.done(&["device", "get", device, &path]);
        read.split_once(" = ").unwrap().1.trim().to_owned()
    };
    assert_eq!(
        (read("Version"), read("Status")),
        ("9.1".into(), "Available".into())
    );
    assert_eq!(desk.cli.done(&["device", "get", device, VERSION]), before);
    let activate = format!("{image}Activate()");
    desk.cli.done(&["device", "operate", device, &activate]);
    desk.runs("9.1").await;
    assert_eq!(read("Status"), "Active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_fails_is_told_by_the_command_with_its_code() {
    let desk = Desk::start(&["--count", "1"]).await;
    let device = desk.device.as_str();
    let nothing = desk.cli.fails(4, &["device", "download", device, NAME]);
    assert!(
        nothing.contains("there is no file gateway.img"),
        "{nothing}"
    );
    desk.put("other");
    let no_command = desk.cli.fails(8, &["device", "download", device, NAME]);
    assert!(no_command.contains("--command"), "{no_command}");
    // A preview asks the device for nothing.
    let image = "Device.DeviceInfo.FirmwareImage.2.Download()";
    let command = ["device", "download", device, NAME, "--command", image];
    desk.cli.done(&[&command[..], &["--preview"]].concat());
    let listed = desk.cli.done_json(&["device", "transfers", device]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 0, "{listed:#}");
    // What is on the disk of the server is not what was put: the device sees it by the checksum, or gets nothing.
    let stored = desk.server.folder.path().join("data/files");
    let mut damaged = 0;
    for path in walk(&stored) {
        if std::fs::metadata(&path).unwrap().len() == IMAGE.len() as u64 {
            std::fs::write(&path, IMAGE.replace("9.1", "6.6")).unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 1, "in {}", stored.display());
    let said = desk.cli.run(&command);
    assert!(said.code == 6, "{}: {}{}", said.code, said.out, said.err);
    let told = format!("{}{}", said.out, said.err);
    assert!(told.contains("7022") && told.contains("SHA-256"), "{told}");
    assert!(
        !desk
            .cli
            .done(&["device", "get", device, VERSION])
            .contains("6.6")
    );
}

const SSID: &str = "Device.WiFi.SSID.1.SSID";

/// What every CPE does that is told to send its configuration: the file is there, is what the device sent, and
/// brings back how it was.
async fn sends_its_configuration(flags: &[&str], own_ssid: &str) {
    let desk = Desk::start(flags).await;
    let (cli, device, api) = (&desk.cli, desk.device.as_str(), &desk.server.api);
    cli.done(&["device", "set", device, &format!("{SSID}=Attic")]);
    let saved = "attic.cfg";
    let upload = ["device", "upload", device, "--name", saved];
    let done = cli.done(&[&upload[..], &["--note", "before spring"]].concat());
    assert!(
        done.contains("succeeded") && done.contains("note: before spring"),
        "{done}"
    );
    let transfer = desk.transfer();
    assert_eq!(
        (&transfer["direction"], &transfer["state"]),
        (&"upload".into(), &"done".into()),
        "{transfer:#}"
    );
    assert_eq!(transfer["requests"], 1, "{transfer:#}");

    let found = cli.done_json(&["file", "list", "--kind", "configuration"]);
    let [file] = found["items"].as_array().unwrap().as_slice() else {
        panic!("{found:#}");
    };
    assert_eq!(
        (&file["name"], &file["id"], &file["device_id"]),
        (
            &saved.into(),
            &transfer["file_id"],
            &desk.id.as_str().into()
        ),
        "{file:#}"
    );
    let content = cli.done(&["file", "get", saved, "-o", "-"]);
    assert_eq!(file["size"], content.len(), "{file:#}");
    assert_eq!(transfer["bytes"], content.len(), "{transfer:#}");
    // As the simulated devices write it: a parameter a line, under their own names.
    let root = own_ssid.split('.').next().unwrap();
    let strange: Vec<&str> = content
        .lines()
        .filter(|line| !(line.starts_with(root) && line.contains('=')))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
    let ssid = format!("{own_ssid}=Attic");
    assert!(content.lines().any(|line| line == ssid), "{content}");

    // It was asked once, and said itself that it is done. What opens the link is nobody's to read.
    let operation = transfer["operation_id"].as_str().unwrap();
    let transcript = cli.done_json(&["operation", "transcript", operation]);
    let entries = transcript["items"].as_array().unwrap().iter();
    let asked = entries.filter(|one| one["direction"] == "sent" && one["kind"] == "Upload");
    assert_eq!(asked.count(), 1, "{transcript:#}");
    let told = until("the session in which it told the end", SOON, async || {
        let sessions = format!("/devices/{}/sessions", desk.id);
        let page = api.get(&format!("{sessions}?limit=50")).await;
        for session in page["items"].as_array().unwrap() {
            let id = session["id"].as_str().unwrap();
            let session = api.get(&format!("{sessions}/{id}")).await;
            let entries = session["entries"].as_array().unwrap();
            if entries.iter().any(|one| one["kind"] == "TransferComplete") {
                return Some(session.to_string());
            }
        }
        None
    })
    .await;
    for said in [done, transcript.to_string(), told] {
        assert!(!said.replace("hef_...", "").contains("hef_"), "{said}");
    }

    cli.done(&["device", "set", device, &format!("{SSID}=Cellar")]);
    cli.done(&["device", "download", device, saved]);
    let back = cli.done(&["device", "get", device, SSID]);
    assert_eq!(back, format!("{SSID} = Attic\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cwmp_device_sends_its_configuration_and_takes_it_back() {
    let flags = ["--count", "0", "--cwmp-devices", "1"];
    sends_its_configuration(&flags, SSID).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_gateway_sends_its_configuration_and_takes_it_back() {
    let own = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID";
    sends_its_configuration(&["--count", "0", "--tr098", "1"], own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cwmp_device_sends_its_log_each_time_it_is_asked() {
    let desk = Desk::start(&["--count", "0", "--cwmp-devices", "1"]).await;
    let shown = desk.server.api.get(&format!("/devices/{}", desk.id)).await;
    let serial = shown["serial"].as_str().unwrap();
    let upload = ["device", "upload", &desk.device, "--type", "log"];
    for count in 1..=2 {
        desk.cli.done(&upload);
        let found = desk.cli.done_json(&["file", "list", "--kind", "upload"]);
        let files = found["items"].as_array().unwrap();
        assert_eq!(files.len(), count, "{found:#}");
        // The newest first; without a name it has that of the device and the time.
        let (id, name) = (files[0]["id"].as_str(), files[0]["name"].as_str());
        assert!(name.unwrap().starts_with(serial), "{found:#}");
        let content = desk.cli.done(&["file", "get", id.unwrap(), "-o", "-"]);
        assert!(
            content.contains(serial) && content.contains("sessions with the ACS"),
            "{content}"
        );
    }
}

fn walk(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => walk(&path),
            false => vec![path],
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_put_found_changed_fetched_and_removed_by_its_commands() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    let path = server.folder.path().join(NAME);
    std::fs::write(&path, IMAGE).unwrap();
    let put = cli.done(&[
        "file",
        "put",
        path.to_str().unwrap(),
        "--kind",
        "firmware",
        "--vendor",
        "Hearth",
        "--model",
        "HG-24",
        "--version",
        "9.1",
        "--note",
        "for spring",
    ]);
    for words in [NAME, "firmware", "Hearth", "HG-24", "9.1", "for spring"] {
        assert!(put.contains(words), "{words}: {put}");
    }
    let shown = cli.done_json(&["file", "show", NAME]);
    assert_eq!(shown["size"], IMAGE.len(), "{shown:#}");
    let found = cli.done(&["file", "list", "hg-24", "--kind", "firmware"]);
    assert!(found.contains(NAME), "{found}");
    let none = cli.done_json(&["file", "list", "--kind", "configuration"]);
    assert_eq!(none["items"].as_array().unwrap().len(), 0);

    let edited = cli.done_json(&["file", "edit", NAME, "--version", "9.2", "--note", ""]);
    assert_eq!(
        (&edited["version"], &edited["note"]),
        (&"9.2".into(), &Value::Null)
    );
    let id = edited["id"].as_str().unwrap();

    let folder = server.folder.path().join("fetched");
    std::fs::create_dir(&folder).unwrap();
    let to = folder.to_str().unwrap();
    cli.done(&["file", "get", NAME, "--output", to]);
    assert_eq!(std::fs::read_to_string(folder.join(NAME)).unwrap(), IMAGE);
    assert_eq!(cli.done(&["file", "get", id, "-o", "-"]), IMAGE);
    let there = cli.fails(2, &["file", "get", NAME, "-o", to]);
    assert!(there.contains("--force"), "{there}");
    cli.done(&["file", "get", NAME, "-o", to, "--force"]);

    // A second one of the same name can only be meant by its id.
    let second = cli.done_json(&["file", "put", path.to_str().unwrap(), "--kind", "other"]);
    let several = cli.fails(8, &["file", "show", NAME]);
    assert!(several.contains(id), "{several}");
    let asks = cli.fails(2, &["file", "delete", id]);
    assert!(asks.contains("--yes"), "{asks}");
    for id in [id, second["id"].as_str().unwrap()] {
        assert_eq!(
            cli.done(&["file", "delete", id, "--yes"]),
            format!("removed {NAME}\n")
        );
    }
    cli.fails(4, &["file", "show", NAME]);
    let absent = cli.run(&["file", "put", to, "--kind", "firmware"]);
    assert_ne!(absent.code, 0, "a folder is no file");
}
