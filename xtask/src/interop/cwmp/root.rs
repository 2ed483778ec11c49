//! The file system of a device, in which a client runs as it would there: a copy of one that was built elsewhere,
//! in namespaces of its own.

use super::client::{Running, Settings};
use crate::cmd;
use anyhow::{Context, Result};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

/// What is done before the device's first process: the kernel's file systems, and the change of root.
const INSIDE: &str = "mount --rbind /dev \"$1/dev\" && mount -t proc proc \"$1/proc\" \
                      && exec chroot \"$1\" /sbin/supervise";

pub struct Root(PathBuf);

impl Root {
    pub fn copy(settings: &Settings) -> Result<Root> {
        let root = settings.home.join("root");
        cmd::run(Command::new("cp").arg("-a").arg(&settings.built).arg(&root))?;
        Ok(Root(root))
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.path(path);
        // What stands there may be a link to what others share.
        let _ = fs::remove_file(&path);
        fs::write(&path, text).with_context(|| path.display().to_string())
    }

    pub fn program(&self, path: &str, text: &str) -> Result<()> {
        self.write(path, text)?;
        fs::set_permissions(self.path(path), Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Starts the device with `supervise` as its first process; all of it ends with that.
    pub fn boot(&self, settings: &Settings, supervise: &str) -> Result<Running> {
        self.program("sbin/supervise", supervise)?;
        let log = fs::File::create(settings.home.join("client.log"))?;
        let child = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "--pid"])
            .args(["--fork", "--kill-child", "sh", "-c", INSIDE, "sh"])
            .arg(&self.0)
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("unshare")?;
        Ok(Running(child))
    }
}
