//! A real Mosquitto on a free port, for one test.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::rabbitmq::ports;
use crate::rig::until;

/// One broker; it ends with the test.
pub struct Mosquitto {
    pub addr: SocketAddr,
    dir: tempfile::TempDir,
    child: Child,
}

impl Mosquitto {
    /// With these users and their passwords, and this access control list.
    pub async fn start(users: &[(&str, &str)], acl: &str) -> Self {
        Self::start_with(users, acl, "").await
    }

    /// The same with more lines of its configuration, of its listener.
    pub async fn start_with(users: &[(&str, &str)], acl: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let passwords = dir.path().join("passwords");
        std::fs::write(&passwords, "").unwrap();
        for (user, password) in users {
            let made = Command::new("mosquitto_passwd")
                .arg("-b")
                .arg(&passwords)
                .args([user, password])
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
        }
        std::fs::write(dir.path().join("acl"), acl).unwrap();
        let addr = free();
        let shown = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "listener {} 127.0.0.1\n{more}allow_anonymous false\npassword_file {}\nacl_file {}\n\
             user root\nlog_dest file {}\n",
            addr.port(),
            shown("passwords"),
            shown("acl"),
            shown("log"),
        );
        std::fs::write(dir.path().join("config"), config).unwrap();
        let child = run(dir.path());
        let one = Self { addr, dir, child };
        one.listens().await;
        one
    }

    async fn listens(&self) {
        until("Mosquitto listens", async || {
            TcpStream::connect(self.addr).ok().map(drop)
        })
        .await;
    }

    /// Ends at once, without a word to its clients.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again, at the same address.
    pub async fn again(&mut self) {
        self.child = run(self.dir.path());
        self.listens().await;
    }
}

fn run(dir: &Path) -> Child {
    let program = match Path::new("/usr/sbin/mosquitto").exists() {
        true => "/usr/sbin/mosquitto",
        false => "mosquitto",
    };
    Command::new(program)
        .arg("-c")
        .arg(dir.join("config"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto is installed (cargo xtask prerequisites)")
}

/// An address that nobody has now, nor a client of somebody's later.
pub fn free() -> SocketAddr {
    let [port] = ports::free_ports().unwrap();
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
