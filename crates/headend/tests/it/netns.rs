//! Two network namespaces with a cable between them, the server's and that of a device: real programs in both.
//! Namespaces take root, and tests that want them fail without it: `HEADEND_TEST_WITHOUT_NAMESPACES=1` leaves them out,
//! and says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::rig::{Process, SOON, until};

pub const AGENT: &str = "os::00256D-LAN1";
pub const SERVER_V4: &str = "192.0.2.1";
pub const SERVER_V6: &str = "2001:db8:77::1";

/// Whether namespaces can be made; if not, it has been said on purpose that there are none.
pub fn possible() -> bool {
    if std::env::var_os("HEADEND_TEST_WITHOUT_NAMESPACES").is_some() {
        eprintln!("left out: HEADEND_TEST_WITHOUT_NAMESPACES is set");
        return false;
    }
    let root = Command::new("id").arg("-u").output().unwrap();
    assert_eq!(
        root.stdout.trim_ascii(),
        b"0",
        "network namespaces take root; HEADEND_TEST_WITHOUT_NAMESPACES=1 leaves these tests out"
    );
    true
}

pub fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
}

/// Two namespaces with a cable between them.
pub struct Net {
    pub server: String,
    pub device: String,
    pub folder: tempfile::TempDir,
}

impl Net {
    pub fn new(name: &str) -> Net {
        let id = std::process::id();
        let net = Net {
            server: format!("hs-{name}-{id}"),
            device: format!("hd-{name}-{id}"),
            folder: tempfile::tempdir().unwrap(),
        };
        ip(&format!("netns add {}", net.server));
        ip(&format!("netns add {}", net.device));
        ip(&format!(
            "link add lan netns {} type veth peer name wan netns {}",
            net.server, net.device
        ));
        let server = |words: &str| ip(&format!("-n {} {words}", net.server));
        server("link set lo up");
        server(&format!("addr add {SERVER_V4}/24 dev lan"));
        server(&format!("addr add {SERVER_V6}/64 dev lan nodad"));
        server("link set lan up");
        ip(&format!("-n {} link set lo up", net.device));
        ip(&format!("-n {} link set wan up", net.device));
        net
    }

    /// The name server of the device.
    pub fn resolves_by(&self, address: &str) {
        std::fs::create_dir_all(self.own_files()).unwrap();
        let line = format!("nameserver {address}\n");
        std::fs::write(self.own_files().join("resolv.conf"), line).unwrap();
    }

    /// What `ip netns exec` puts in place of the files in `/etc`.
    fn own_files(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.device)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.file(name), text).unwrap();
        self.text(name)
    }

    /// A script that may be run.
    pub fn script(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(name, text);
        let may_run = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, may_run).unwrap();
        path
    }

    /// A program in one of the namespaces.
    pub fn command(space: &str, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", space]).arg(program);
        command.args(arguments);
        command
            .env_remove("HEADEND_URL")
            .env_remove("HEADEND_TOKEN");
        command
    }

    pub fn start(&self, space: &str, name: &str, program: &Path, arguments: &[&str]) -> Process {
        let log = self.file(&format!("{name}.log"));
        Process::start(Self::command(space, program, arguments), log)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for space in [&self.server, &self.device] {
            let _ = Command::new("ip").args(["netns", "del", space]).status();
        }
        let _ = std::fs::remove_dir_all(self.own_files());
    }
}

/// `headend serve` in its namespace, with TLS, and somebody who may ask it.
pub struct Operator<'a> {
    pub net: &'a Net,
    _server: Process,
    token: String,
}

pub fn headend() -> PathBuf {
    env!("CARGO_BIN_EXE_headend").into()
}

/// Built beside it: `cargo build -p agent --bins`, which `cargo xtask test` does.
pub fn agent() -> PathBuf {
    let program = headend().with_file_name("headend-agent");
    assert!(program.is_file(), "cargo build -p agent --bins comes first");
    program
}

impl Operator<'_> {
    /// The place of its listeners is in the environment, where `discovery dhcp` finds it, too.
    pub const ENVIRONMENT: [(&'static str, &'static str); 5] = [
        ("HEADEND__HTTP__LISTEN", "127.0.0.1:8080"),
        ("HEADEND__USP__LISTEN", ""),
        ("HEADEND__USP__TLS_LISTEN", "[::]:8443"),
        ("HEADEND__CWMP__LISTEN", ""),
        ("HEADEND__FILES__LISTEN", ""),
    ];

    pub async fn start<'a>(net: &'a Net, public_url: &str, more: &[(&str, &str)]) -> Operator<'a> {
        let data = net.text("data");
        let arguments = ["serve", "--data", &data];
        let mut command = Net::command(&net.server, &headend(), &arguments);
        command
            .envs(Self::ENVIRONMENT)
            .env("HEADEND__USP__PUBLIC_URL", public_url)
            .envs(more.iter().copied());
        let server = Process::start(command, net.file("serve.log"));
        let password = until("the one-time password", SOON, async || {
            let said = server.said();
            let after = said.split("one-time password").nth(1)?;
            after.split_whitespace().next().map(str::to_owned)
        })
        .await;
        let token = net.write("passwords", &format!("{password}\ncorrect horse battery\n"));
        let create = [
            "token",
            "create",
            "test",
            "--login",
            "admin",
            "--password-stdin",
            "--json",
            "--url",
            "http://127.0.0.1:8080",
        ];
        let mut command = Net::command(&net.server, &headend(), &create);
        let made = command
            .stdin(std::fs::File::open(token).unwrap())
            .output()
            .unwrap();
        let made: Value = serde_json::from_slice(&made.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&made.stderr)));
        Operator {
            net,
            _server: server,
            token: made["secret"].as_str().unwrap().to_owned(),
        }
    }

    /// A command of the operator, in the server's namespace; what it printed.
    pub fn asks(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Net::command(&self.net.server, &headend(), arguments);
        command
            .env("HEADEND_URL", "http://127.0.0.1:8080")
            .env("HEADEND_TOKEN", &self.token);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        match output.status.success() {
            true => Ok(text(output.stdout)),
            false => Err(text(output.stderr)),
        }
    }

    /// The endpoint id as `serve` prints it.
    pub fn endpoint_id(&self) -> String {
        let said = std::fs::read_to_string(self.net.file("data/endpoint-id")).unwrap();
        said.trim().to_owned()
    }
}
