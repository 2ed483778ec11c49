//! The transfers of a simulated CWMP device: what is asked for, when it begins, and what comes of it.
//! Deliberately no sockets: those are in [`super::http`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cwmp::event::Cause;
use cwmp::fault::FaultCode;
use cwmp::rpc::{AllQueuedTransferStruct, FaultStruct, TransferComplete};
use cwmp::value::Timestamp;

/// Transfers that wait or run at the same time; the standard wants at least three.
const TRANSFERS_MAX: usize = 8;
/// What is kept of a file; the rest is only counted.
pub(super) const CONTENT_BYTES_MAX: usize = 256 * 1024;
/// The largest file that a device has room for.
pub(super) const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A file that was fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Its size.
    pub bytes: u64,
    /// Its beginning.
    pub content: Vec<u8>,
    /// The SHA-256 of all of it.
    pub sha256: [u8; 32],
}

/// Something to be done over HTTP, outside of any session.
#[derive(Clone, Debug)]
pub struct Job {
    pub(super) id: u64,
    pub(super) url: String,
    pub(super) username: String,
    pub(super) password: String,
    /// What to send; without, a file is fetched.
    pub(super) body: Option<Vec<u8>>,
}

impl Job {
    /// A file to be fetched.
    pub(crate) fn fetch(url: String, username: String, password: String) -> Job {
        Job {
            id: 0,
            url,
            username,
            password,
            body: None,
        }
    }
}

/// One transfer, from being asked for to its end.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    pub(super) id: u64,
    pub(super) cause: Cause,
    pub(super) command_key: String,
    pub(super) file_type: String,
    pub(super) url: String,
    pub(super) username: String,
    pub(super) password: String,
    /// As announced; 0 is unknown.
    pub(super) size: u64,
    pub(super) target: String,
    pub(super) due: Instant,
    /// When it is too late to begin, where it has to be in a window.
    pub(super) until: Option<Instant>,
    /// The windows after that, as when they begin and end.
    pub(super) later: VecDeque<(Instant, Instant)>,
    /// Seconds since the Unix epoch, once it runs.
    pub(super) begun: Option<i64>,
}

impl Transfer {
    pub(super) fn is_download(&self) -> bool {
        self.cause != Cause::Upload
    }

    /// A firmware image, which takes a reboot.
    pub(super) fn is_firmware(&self) -> bool {
        self.is_download() && self.file_type.starts_with("1 ")
    }

    /// What is told of its end.
    pub(super) fn complete(&self, code: FaultCode, unix: i64) -> TransferComplete {
        let text = match code.is_none() {
            true => String::new(),
            false => code.name().unwrap_or_default().to_owned(),
        };
        TransferComplete {
            command_key: self.command_key.clone(),
            fault: Some(FaultStruct::new(code, text)),
            start_time: Some(Timestamp::from_unix(self.begun.unwrap_or(unix))),
            complete_time: Some(Timestamp::from_unix(unix)),
        }
    }

    /// Waits for its next window, if there is one.
    fn put_off(&mut self) -> bool {
        let Some((from, until)) = self.later.pop_front() else {
            return false;
        };
        (self.due, self.until, self.begun) = (from, Some(until), None);
        true
    }

    fn listed(&self) -> AllQueuedTransferStruct {
        AllQueuedTransferStruct {
            command_key: self.command_key.clone(),
            state: if self.begun.is_some() { 2 } else { 1 },
            is_download: self.is_download(),
            file_type: self.file_type.clone(),
            file_size: self.size,
            target_file_name: self.target.clone(),
        }
    }
}

/// The transfers of one device.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    all: Vec<Transfer>,
    next: u64,
}

impl Transfers {
    /// Takes one on that begins `delay` from now, or says why not.
    pub(super) fn take(&mut self, mut transfer: Transfer, delay: u32) -> Result<(), FaultCode> {
        let kinds: &[&str] = match transfer.is_download() {
            true => &["1 ", "2 ", "3 ", "4 ", "5 ", "6 "],
            false => &["1 ", "2 ", "3 ", "4 "],
        };
        if !kinds
            .iter()
            .any(|kind| transfer.file_type.starts_with(kind))
        {
            return Err(FaultCode::INVALID_ARGUMENTS);
        }
        match transfer.url.split_once("://") {
            Some(("http" | "https", rest)) => {
                let host = rest.split('/').next().unwrap_or_default();
                if host.is_empty() || host.contains('@') {
                    return Err(FaultCode::INVALID_ARGUMENTS);
                }
            }
            Some(_) => return Err(FaultCode::UNSUPPORTED_PROTOCOL),
            None => return Err(FaultCode::INVALID_ARGUMENTS),
        }
        if self.all.len() >= TRANSFERS_MAX {
            return Err(FaultCode::RESOURCES_EXCEEDED);
        }
        self.next += 1;
        transfer.id = self.next;
        transfer.due += Duration::from_secs(delay.into());
        self.all.push(transfer);
        Ok(())
    }

    /// When the next one begins.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.all.iter().filter(|one| one.begun.is_none());
        waiting.map(|one| one.due).min()
    }

    /// One that is due; it runs from now on.
    pub(super) fn begin(&mut self, now: Instant, unix: i64) -> Option<&Transfer> {
        let due = |one: &&mut Transfer| one.begun.is_none() && one.due <= now;
        let transfer = self.all.iter_mut().find(due)?;
        transfer.begun = Some(unix);
        Some(transfer)
    }

    /// One that did not come to begin in any of its windows. Others wait for their next one.
    pub(super) fn missed(&mut self, now: Instant) -> Option<u64> {
        let waiting = self.all.iter_mut().filter(|one| one.begun.is_none());
        for one in waiting {
            while one.until.is_some_and(|until| until <= now) {
                if !one.put_off() {
                    return Some(one.id);
                }
            }
        }
        None
    }

    /// One that failed is tried in its next window, if there is one.
    pub(super) fn again(&mut self, id: u64) -> bool {
        let mut all = self.all.iter_mut();
        all.find(|one| one.id == id).is_some_and(Transfer::put_off)
    }

    /// One that has ended.
    pub(super) fn end(&mut self, id: u64) -> Option<Transfer> {
        let at = self.all.iter().position(|one| one.id == id)?;
        Some(self.all.remove(at))
    }

    /// Gives those of a key up that have not begun.
    pub(super) fn cancel(&mut self, command_key: &str) -> Result<(), FaultCode> {
        let named = |one: &Transfer| one.command_key == command_key;
        if self.all.iter().any(|one| named(one) && one.begun.is_some()) {
            return Err(FaultCode::CANCEL_NOT_PERMITTED);
        }
        self.all.retain(|one| !named(one));
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<AllQueuedTransferStruct> {
        self.all.iter().map(Transfer::listed).collect()
    }

    /// The power is gone: what runs ends, what waits is forgotten.
    pub(super) fn clear(&mut self) {
        self.all.clear();
    }
}

/// The version of a firmware image: what it says itself (`version=`), what its names say (as whom it is to be kept,
/// and that in its URL), or the next after `current`.
pub(crate) fn version_of(file: &File, target: &str, url: &str, current: &str) -> String {
    let text = String::from_utf8_lossy(&file.content);
    let said = text
        .lines()
        .take(16)
        .find_map(|line| line.trim().strip_prefix("version="));
    if let Some(said) = said.map(str::trim).filter(|said| is_version(said)) {
        return said.to_owned();
    }
    let path = url.split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let named = [target, last].into_iter().find_map(version_in);
    named.unwrap_or_else(|| next_version(current))
}

fn is_version(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.len() <= 64 && text.chars().all(good)
}

/// `4.3.0` in `gateway-4.3.0.img`.
fn version_in(name: &str) -> Option<String> {
    let parts = name.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    let mut versions = parts.map(|part| part.trim_matches('.'));
    versions.find(|part| part.contains('.')).map(str::to_owned)
}

fn next_version(current: &str) -> String {
    match current.rsplit_once('.') {
        Some((head, last)) => match last.parse::<u32>() {
            Ok(last) => format!("{head}.{}", last.saturating_add(1)),
            Err(_) => format!("{current}.1"),
        },
        None => format!("{current}.1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(url: &str, target: &str) -> Transfer {
        Transfer {
            id: 0,
            cause: Cause::Download,
            command_key: "k".into(),
            file_type: "1 Firmware Upgrade Image".into(),
            url: url.into(),
            username: String::new(),
            password: String::new(),
            size: 0,
            target: target.into(),
            due: Instant::now(),
            until: None,
            later: VecDeque::new(),
            begun: None,
        }
    }

    #[test]
    fn what_cannot_be_done_in_one_window_waits_for_the_next_and_fails_after_the_last() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let begin = || {
            let mut transfers = Transfers::default();
            let mut scheduled = transfer("http://h/a", "");
            (scheduled.due, scheduled.until) = (at(10), Some(at(20)));
            scheduled.later = [(at(30), at(40))].into();
            transfers.take(scheduled, 0).unwrap();
            transfers
        };
        let mut in_time = begin();
        assert_eq!(in_time.missed(at(15)), None);
        let id = in_time.begin(at(15), 1).unwrap().id;
        // It failed in the first window, and is tried once more in the second.
        assert!(in_time.again(id));
        assert!(in_time.begin(at(29), 1).is_none());
        assert_eq!(in_time.poll_timeout(), Some(at(30)));
        assert_eq!(in_time.begin(at(30), 1).unwrap().id, id);
        assert!(!in_time.again(id), "there is no third");

        let mut late = begin();
        assert_eq!(late.missed(at(25)), None);
        assert!(late.begin(at(25), 1).is_none());
        assert!(late.begin(at(31), 1).is_some());
        let mut too_late = begin();
        assert_eq!(too_late.missed(at(41)), Some(1));
    }

    #[test]
    fn a_version_is_found_in_the_image_in_a_name_or_made_up() {
        let version = |content: &str, url, target| {
            let file = File {
                bytes: 1,
                content: content.into(),
                ..File::default()
            };
            version_of(&file, target, url, "4.1.0")
        };
        assert_eq!(
            version("image\nversion=5.0-rc1\n", "http://h/a-4.3.0.bin", ""),
            "5.0-rc1"
        );
        assert_eq!(
            version("\u{0}", "http://h/x/a-4.3.0.bin?t=9.9", ""),
            "4.3.0"
        );
        assert_eq!(version("", "http://h/0a1b", "fw_4.4.img"), "4.4");
        assert_eq!(version("", "http://h/0a1b", ""), "4.1.1");
    }

    /// `TRANSFERS_MAX`
    #[test]
    fn what_cannot_be_transferred_is_refused_with_its_code() {
        let mut transfers = Transfers::default();
        let mut take = |url: &str, file_type: &str| {
            let mut wanted = transfer(url, "");
            wanted.file_type = file_type.into();
            transfers.take(wanted, 0)
        };
        let firmware = "1 Firmware Upgrade Image";
        assert_eq!(
            take("ftp://h/a", firmware),
            Err(FaultCode::UNSUPPORTED_PROTOCOL)
        );
        assert_eq!(
            take("http://u:p@h/a", firmware),
            Err(FaultCode::INVALID_ARGUMENTS)
        );
        assert_eq!(
            take("http://h/a", "7 What"),
            Err(FaultCode::INVALID_ARGUMENTS)
        );
        for _ in 0..TRANSFERS_MAX {
            assert_eq!(take("http://h/a", firmware), Ok(()));
        }
        assert_eq!(
            take("http://h/a", firmware),
            Err(FaultCode::RESOURCES_EXCEEDED)
        );
    }

    #[test]
    fn only_what_has_not_begun_can_be_cancelled() {
        let mut transfers = Transfers::default();
        transfers.take(transfer("http://h/a", ""), 0).unwrap();
        assert_eq!(transfers.cancel("k"), Ok(()));
        assert!(transfers.list().is_empty());
        transfers.take(transfer("http://h/a", ""), 0).unwrap();
        let id = transfers.begin(Instant::now(), 1).unwrap().id;
        assert_eq!(transfers.cancel("k"), Err(FaultCode::CANCEL_NOT_PERMITTED));
        assert_eq!(transfers.list()[0].state, 2);
        assert!(transfers.end(id).is_some() && transfers.end(id).is_none());
    }
}
