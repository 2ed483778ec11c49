//! What a simulated CWMP device does with files: firmware that takes a restart, configurations that
//! are given out and taken back, logs. Deliberately no sockets.

use agent::Now;
use cwmp::fault::FaultCode;

use super::device::{Device, Restart};
use super::transfer::{File, Job, version_of};

impl Device {
    /// The next transfer that is due, while no session is open.
    pub(super) fn poll_job(&mut self, now: Now) -> Option<Job> {
        if self.session.is_active() {
            return None;
        }
        while let Some(id) = self.transfers.missed(now.at) {
            self.transferred(now, id, Err(FaultCode::WINDOW_MISSED));
        }
        let unix = now.unix_ms.div_euclid(1000);
        let Some(transfer) = self.transfers.begin(now.at, unix).cloned() else {
            return self.poll_modules();
        };
        let config = transfer.file_type.contains("Vendor Configuration File");
        let body = match (transfer.is_download(), config) {
            (true, _) => None,
            (false, true) => Some(self.configuration(now)),
            (false, false) => Some(self.log(now)),
        };
        Some(Job {
            id: transfer.id,
            url: transfer.url,
            username: transfer.username,
            password: transfer.password,
            body: body.map(String::into_bytes),
        })
    }

    /// A transfer is over.
    pub(super) fn transferred(&mut self, now: Now, id: u64, result: Result<File, FaultCode>) {
        if self.module_fetched(now, id, &result) {
            return;
        }
        if result.is_err() && self.transfers.again(id) {
            return;
        }
        let Some(transfer) = self.transfers.end(id) else {
            return;
        };
        let wanted = transfer.size;
        let result = result.and_then(|file| match file.bytes {
            bytes if wanted != 0 && bytes != wanted => Err(FaultCode::FILE_CORRUPTED),
            0 if transfer.is_firmware() => Err(FaultCode::FILE_CORRUPTED),
            _ => Ok(file),
        });
        let code = result.as_ref().err().copied().unwrap_or_default();
        let report = transfer.complete(code, now.unix_ms.div_euclid(1000));
        let silent = self.troubles().silent_transfers;
        match result {
            Ok(file) if transfer.is_firmware() => {
                let path = self.tree.below("DeviceInfo.SoftwareVersion");
                let current = self.tree.value(self.at(now), &path).unwrap_or_default();
                let (target, url) = (&transfer.target, &transfer.url);
                let version = version_of(&file, target, url, &current);
                self.tree.change(&path, version.clone());
                let image = self.tree.below("DeviceInfo.FirmwareImage.1.Version");
                if self.tree.has(&image) {
                    self.tree.change(&image, version);
                }
                self.dirty = true;
                self.restart = Some(Restart::default());
                if !silent {
                    self.after_restart.push((report, transfer.cause));
                }
                return;
            }
            Ok(file) if transfer.is_download() && transfer.file_type.starts_with("3 ") => {
                self.restore(now, &file);
            }
            _ => {}
        }
        if !silent {
            _ = self
                .session
                .transfer_complete(now.at, report, transfer.cause);
        }
    }

    /// The configuration as a file: one writable parameter a line.
    fn configuration(&self, now: Now) -> String {
        let at = self.at(now);
        let all = self.tree.names(at, "", false).unwrap_or_default();
        let writable = all
            .into_iter()
            .filter(|info| info.writable && !info.name.ends_with('.'));
        let lines = writable.filter_map(|info| {
            let value = self.tree.read(at, &info.name)?.value.text;
            (!value.is_empty()).then(|| format!("{}={value}\n", info.name))
        });
        lines.collect()
    }

    /// Takes a configuration file back, as far as it is one.
    fn restore(&mut self, now: Now, file: &File) {
        let at = self.at(now);
        let text = String::from_utf8_lossy(&file.content).into_owned();
        for (path, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let Some(mut change) = self.tree.read(at, path) else {
                continue;
            };
            change.value.text = value.to_owned();
            if self.tree.judge(at, &change).is_none() {
                self.tree.change(path, value);
            }
        }
        self.dirty = true;
    }

    fn log(&self, now: Now) -> String {
        let up = self.at(now).up.as_secs();
        format!(
            "{} {}: up for {up} s, {} sessions with the ACS\n",
            crate::diagnostics::date_time(now.unix_ms),
            self.serial(),
            self.sessions
        )
    }
}
