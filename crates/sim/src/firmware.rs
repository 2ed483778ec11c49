//! The firmware of a simulated USP device: images that are fetched over HTTP, checked, kept and started. Deliberately
//! no flashing: the version that an image names is what runs after the restart.

use std::time::{Duration, Instant};

use agent::{Call, Fault, Hint, Now, Outcome, Restart, View};
use cwmp::fault::FaultCode;
use mtp::tls::ClientTls;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::cwmp::{File, Job, carry_out, version_of};

const TABLE: &str = "Device.DeviceInfo.FirmwareImage.";
const ACTIVE: &str = "Device.DeviceInfo.ActiveFirmwareImage";
const BOOT: &str = "Device.DeviceInfo.BootFirmwareImage";
const VERSION: &str = "Device.DeviceInfo.SoftwareVersion";
/// TR-181 has room for this many characters in the name of an image.
const NAME_MAX: usize = 64;

/// What a device does with its images; one at a time.
#[derive(Default)]
pub(crate) struct Firmware {
    tls: Option<ClientTls>,
    fetching: Option<Fetching>,
    starting: Option<Starting>,
    /// Told at the next tick.
    hints: Vec<Hint>,
}

/// An image on its way.
struct Fetching {
    id: u32,
    command_key: String,
    image: String,
    url: String,
    size: Option<u64>,
    sha256: Option<String>,
    activates: bool,
    result: oneshot::Receiver<Result<File, FaultCode>>,
    task: AbortHandle,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An image that is going to be started.
struct Starting {
    /// Of the command that waits for it.
    id: Option<u32>,
    command_key: String,
    image: String,
    version: String,
    at: Instant,
}

/// Why an image is of no use: the status that it has then, and what the controller is told.
type Useless = (&'static str, Fault);

impl Firmware {
    /// Of a device that trusts these file servers.
    pub(crate) fn new(tls: Option<ClientTls>) -> Self {
        Self {
            tls,
            ..Self::default()
        }
    }

    /// The device starts: what was on its way is lost.
    pub(crate) fn start(&mut self, view: &dyn View) {
        (self.fetching, self.starting) = (None, None);
        self.hints.clear();
        for number in view.instances(TABLE) {
            let status = format!("{TABLE}{number}.Status");
            if view.value(&status).as_deref() == Some("Downloading") {
                self.hints.push(store(status, "DownloadFailed"));
            }
        }
    }

    /// A command of an image; `None` for everything else.
    pub(crate) fn operate(&mut self, now: Now, call: &Call, view: &dyn View) -> Option<Outcome> {
        let (number, verb) = call.command.strip_prefix(TABLE)?.split_once('.')?;
        let image = format!("{TABLE}{number}");
        let begun = match verb {
            "Download()" => self.download(call, image),
            "Activate()" => self.activate(now, call, image, view),
            _ => return None,
        };
        Some(match begun {
            Ok(()) => Outcome::Running,
            Err(fault) => Outcome::Done(Err(fault)),
        })
    }

    fn download(&mut self, call: &Call, image: String) -> Result<(), Fault> {
        self.is_free()?;
        let given = |name| call.arg(name).filter(|value| !value.is_empty());
        let sha256 = given("CheckSum").map(str::to_owned);
        if sha256.is_some() && given("CheckSumAlgorithm") != Some("SHA-256") {
            let words = "CheckSumAlgorithm: this device checks SHA-256";
            return Err(Fault::invalid_command_arguments(words));
        }
        let runtime = Handle::try_current().map_err(Fault::internal)?;
        let text = |name| call.arg(name).unwrap_or_default().to_owned();
        let url = text("URL");
        let job = Job::fetch(url.clone(), text("Username"), text("Password"));
        let (told, result) = oneshot::channel();
        let tls = self.tls.clone();
        let task = runtime.spawn(async move {
            // Nobody waits any more when the power is gone.
            _ = told.send(carry_out(job, tls).await);
        });
        self.hints
            .push(store(format!("{image}.Status"), "Downloading"));
        self.fetching = Some(Fetching {
            id: call.id,
            command_key: call.command_key.clone(),
            image,
            url,
            size: given("FileSize").and_then(|size| size.parse().ok()),
            sha256,
            activates: call.arg("AutoActivate") == Some("true"),
            result,
            task: task.abort_handle(),
        });
        Ok(())
    }

    fn activate(
        &mut self,
        now: Now,
        call: &Call,
        image: String,
        view: &dyn View,
    ) -> Result<(), Fault> {
        self.is_free()?;
        let status = view.value(&format!("{image}.Status"));
        if status.as_deref() != Some("Available") {
            let words = format!("{image} is no image that can be started");
            return Err(Fault::command_failure(words));
        }
        let wait = call.arg("TimeWindow.1.Start");
        let wait = wait.and_then(|seconds| seconds.parse::<u32>().ok());
        self.starting = Some(Starting {
            id: Some(call.id),
            command_key: call.command_key.clone(),
            version: view.value(&format!("{image}.Version")).unwrap_or_default(),
            image,
            at: now.at + Duration::from_secs(wait.unwrap_or(0).into()),
        });
        Ok(())
    }

    fn is_free(&self) -> Result<(), Fault> {
        match self.fetching.is_none() && self.starting.is_none() {
            true => Ok(()),
            false => Err(Fault::resources_exceeded(
                "another image is being fetched or started",
            )),
        }
    }

    /// Gives a command up; whether it was one of these.
    pub(crate) fn cancel(&mut self, id: u32) -> bool {
        if let Some(fetching) = self.fetching.take_if(|one| one.id == id) {
            let status = format!("{}.Status", fetching.image);
            self.hints.push(store(status, "DownloadFailed"));
            return true;
        }
        self.starting.take_if(|one| one.id == Some(id)).is_some()
    }

    /// Tells what has come to its end; when it wants to be asked again, if that is known.
    pub(crate) fn tick(
        &mut self,
        now: Now,
        view: &dyn View,
        hints: &mut Vec<Hint>,
    ) -> Option<Duration> {
        hints.append(&mut self.hints);
        if let Some(result) = self.fetching.as_mut().and_then(ended)
            && let Some(fetching) = self.fetching.take()
        {
            self.fetched(now, &fetching, result, view, hints);
        }
        if let Some(starting) = self.starting.take_if(|one| one.at <= now.at) {
            start(starting, view, hints);
        }
        let next = self.starting.as_ref().map(|one| one.at);
        next.map(|at| at.saturating_duration_since(now.at))
    }

    fn fetched(
        &mut self,
        now: Now,
        fetching: &Fetching,
        result: Result<File, FaultCode>,
        view: &dyn View,
        hints: &mut Vec<Hint>,
    ) {
        let Fetching { id, image, .. } = fetching;
        let file = match result.map_err(unreachable).and_then(|file| {
            check(&file, fetching)?;
            Ok(file)
        }) {
            Ok(file) => file,
            Err((status, fault)) => {
                hints.push(store(format!("{image}.Status"), status));
                hints.push(Hint::Completed(*id, Err(fault)));
                return;
            }
        };
        let running = view.value(VERSION).unwrap_or_default();
        let version = version_of(&file, "", &fetching.url, &running);
        let values = [
            ("Name", name_of(&fetching.url)),
            ("Version", version.clone()),
            ("Available", "true".to_owned()),
            ("Status", "Available".to_owned()),
        ];
        let stored = values.map(|(name, value)| store(format!("{image}.{name}"), value));
        hints.extend(stored);
        hints.push(Hint::Completed(*id, Ok(Vec::new())));
        self.starting = fetching.activates.then(|| Starting {
            id: None,
            command_key: fetching.command_key.clone(),
            image: image.clone(),
            version,
            at: now.at,
        });
    }
}

/// What came of it, once that is known.
fn ended(fetching: &mut Fetching) -> Option<Result<File, FaultCode>> {
    use oneshot::error::TryRecvError;
    match fetching.result.try_recv() {
        Ok(result) => Some(result),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Closed) => Some(Err(FaultCode::INTERNAL_ERROR)),
    }
}

fn unreachable(code: FaultCode) -> Useless {
    let why = code.name().unwrap_or("it failed");
    let fault = Fault::command_failure(format!("the file could not be fetched: {why}"));
    ("DownloadFailed", fault)
}

/// Whether the file is what it was said to be.
fn check(file: &File, said: &Fetching) -> Result<(), Useless> {
    let useless = |words: String| Err(("ValidationFailed", Fault::command_failure(words)));
    if said.size.is_some_and(|size| size != file.bytes) || file.bytes == 0 {
        return useless(format!("the file has {} bytes", file.bytes));
    }
    let hash = hex(&file.sha256);
    match &said.sha256 {
        Some(sha256) if !sha256.eq_ignore_ascii_case(&hash) => {
            useless(format!("the SHA-256 of the file is {hash}"))
        }
        _ => Ok(()),
    }
}

/// The image becomes the one that runs, after a restart.
fn start(starting: Starting, view: &dyn View, hints: &mut Vec<Hint>) {
    let image = &starting.image;
    if let Some(before) = view.value(ACTIVE) {
        let before = before.trim_end_matches('.');
        hints.push(store(format!("{before}.Status"), "Available"));
    }
    hints.push(store(format!("{image}.Status"), "Active"));
    hints.extend([ACTIVE, BOOT].map(|path| store(path.to_owned(), image.as_str())));
    hints.push(store(VERSION.to_owned(), starting.version));
    let completed = starting.id.map(|id| Hint::Completed(id, Ok(Vec::new())));
    hints.extend(completed);
    hints.push(Hint::Restart(Restart {
        cause: "RemoteReboot".to_owned(),
        command_key: starting.command_key,
        reason: format!("{image} is started"),
        firmware_updated: true,
        factory_reset: false,
    }));
}

fn store(path: String, value: impl Into<String>) -> Hint {
    Hint::Store(path, value.into())
}

/// The last part of a URL.
fn name_of(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let last = path.trim_end_matches('/').rsplit('/').next();
    last.unwrap_or_default().chars().take(NAME_MAX).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
