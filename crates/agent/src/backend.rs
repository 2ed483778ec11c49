//! What a device implements to become a USP agent: which model it supports, its live values, how to take over changes
//! and how to run commands. Deliberately not its concern: protocol, instance numbers of rows controllers add, unique
//! keys, rollback, persistence, subscriptions, the LocalAgent objects: the [`crate::Engine`] does all of that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Fault;
use crate::limits::HINTS_PENDING_MAX;

/// The two clocks, read together by whoever drives the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic.
    pub at: Instant,
    /// Milliseconds since the Unix epoch.
    pub unix_ms: i64,
}

/// A parameter got another value, or a row came or went, by a controller's message. In the order of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// `Device.WiFi.SSID.1.SSID` is now this (`None`: back to the model's default because its row went).
    Value {
        /// Full path.
        path: String,
        /// New value in lexical form, normalised and checked against the model's type.
        value: String,
    },
    /// The row `Device.WiFi.SSID.3.` was added (its values follow as [`Change::Value`]).
    Added {
        /// Path of the instance, ends in `.`.
        path: String,
    },
    /// The row was deleted with everything below it.
    Deleted {
        /// Path of the instance, ends in `.`.
        path: String,
    },
}

/// A command that a controller runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Names an asynchronous run until it is completed; 0 for synchronous commands.
    pub id: u32,
    /// Full path, `Device.IP.Diagnostics.IPPing()`.
    pub command: String,
    /// The controller's key, needed in Boot! and logs.
    pub command_key: String,
    /// Known arguments in lexical form, checked against the model; mandatory ones are there.
    pub args: Vec<(String, String)>,
}

impl Call {
    /// The value of an argument.
    pub fn arg(&self, name: &str) -> Option<&str> {
        self.args
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// Output arguments of a command, or why it failed.
pub type CommandResult = Result<Vec<(String, String)>, Fault>;

/// What became of an [`Backend::operate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Finished. Right for synchronous commands; an asynchronous one completes at once.
    Done(CommandResult),
    /// An asynchronous command runs; a [`Hint::Completed`] with the call's id follows.
    Running,
    /// The device goes down once the answer is sent, and comes back with Boot!: `Reboot()`, `FactoryReset()`, or a
    /// firmware activation.
    Restart(Restart),
}

/// A restart of the device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restart {
    /// `Cause` of the next Boot!: `LocalReboot`, `RemoteReboot`, `FactoryReset`, `LocalFactoryReset`,
    /// `RemoteFactoryReset`.
    pub cause: String,
    /// `CommandKey` of the next Boot!.
    pub command_key: String,
    /// `Reason` of the next Boot!.
    pub reason: String,
    /// `FirmwareUpdated` of the next Boot!.
    pub firmware_updated: bool,
    /// Forget everything controllers have set and start from [`Backend::factory`].
    pub factory_reset: bool,
}

/// What a back end tells the engine on its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// The value of this parameter (full path) changed; subscribers are told.
    Changed(String),
    /// A row appeared in one of the back end's own tables (`Device.Hosts.Host.7.`).
    Added(String),
    /// A row disappeared from one of the back end's own tables.
    Removed(String),
    /// An event happened: full path with `!` and arguments.
    Event(String, Vec<(String, String)>),
    /// An asynchronous command finished.
    Completed(u32, CommandResult),
    /// The back end itself changes an engine-held value (a WPS session that writes a passphrase, a button that
    /// switches the radio off): stored, persisted, notified, not handed to [`Backend::apply`] again.
    Store(String, String),
    /// The device restarts by itself (power cut, button, watchdog).
    Restart(Restart),
    /// Too much happened to tell: values that are watched are compared.
    LookAgain,
}

/// Read access to the engine-held values, for checks that look at more than one parameter.
pub trait View {
    /// The current value, with the changes under check already in place; `None` when there is no such parameter.
    fn value(&self, path: &str) -> Option<String>;
    /// Instance numbers of a table (`Device.WiFi.SSID.`).
    fn instances(&self, table: &str) -> Vec<u32>;
}

/// Sends [`Hint`]s from other threads and tasks. Cheap to clone; small when idle.
#[derive(Debug, Clone, Default)]
pub struct Notifier {
    inner: Arc<NotifierInner>,
}

#[derive(Debug, Default)]
struct NotifierInner {
    hints: Mutex<Vec<Hint>>,
    wake: tokio::sync::Notify,
}

impl Notifier {
    /// Queues a hint and wakes the agent. Beyond [`HINTS_PENDING_MAX`], value changes fold into
    /// [`Hint::LookAgain`]; completions are always kept.
    pub fn send(&self, hint: Hint) {
        let mut hints = self
            .inner
            .hints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if hints.len() < HINTS_PENDING_MAX || matches!(hint, Hint::Completed(..) | Hint::Restart(_))
        {
            hints.push(hint);
        } else if hints.last() != Some(&Hint::LookAgain) {
            hints.push(Hint::LookAgain);
        }
        drop(hints);
        self.inner.wake.notify_one();
    }

    /// Takes what is queued.
    pub(crate) fn take(&self) -> Vec<Hint> {
        std::mem::take(
            &mut *self
                .inner
                .hints
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Resolves when something was queued since.
    pub(crate) async fn woken(&self) {
        self.inner.wake.notified().await;
    }
}

/// How the engine learns that live values changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// The back end sends a [`Hint::Changed`] for each.
    Hints,
    /// It does not: values that somebody subscribed to are read and compared this often.
    Poll(Duration),
}

/// A device. All methods are called from one task and must be quick (no network, no waiting).
///
/// Who holds what: a parameter for which [`Backend::read`] returns `Some` is *live*; every other parameter of the
/// model is held by the engine (default, factory value, or what a controller set) and survives restarts. A table for
/// which [`Backend::instances`] returns `Some` is the back end's; every other table's rows are held by the engine.
/// `...NumberOfEntries` parameters are counted by the engine, and `Device.LocalAgent.` is the engine's altogether.
pub trait Backend: Send + 'static {
    /// The supported model, made with [`crate::model`] (which adds `Device.LocalAgent.`), shared by all devices alike.
    fn schema(&self) -> Arc<dm::Schema>;

    /// The factory configuration: full parameter paths with values. Instances that occur in a path are created.
    fn factory(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Called once before anything else, and again after every restart, with the engine-held configuration in place.
    fn start(&mut self, now: Now, view: &dyn View, notifier: Notifier) {
        let _ = (now, view, notifier);
    }

    /// Rows of a table the device itself fills (`Device.Hosts.Host.`); `None`: the engine holds the rows.
    fn instances(&self, table: &str) -> Option<Vec<u32>> {
        let _ = table;
        None
    }

    /// A live value in lexical form (`Device.DeviceInfo.UpTime`); `None`: the engine holds it.
    fn read(&self, now: Now, path: &str) -> Option<String> {
        let _ = (now, path);
        None
    }

    /// Whether any parameter of this object (ends in `.`) may be live. `false` saves asking for each of them.
    fn is_live(&self, object: &str) -> bool {
        let _ = object;
        true
    }

    /// May the values of this object (ends in `.`) become as they are in `view`? Called for each object a message
    /// touches, before anything is applied. The parameter name (relative to the object) says whose fault it is.
    fn check(&self, object: &str, view: &dyn View) -> Result<(), (Option<String>, Fault)> {
        let _ = (object, view);
        Ok(())
    }

    /// Take over the changes of one message, all or nothing: after an `Err` the device must be as before.
    fn apply(&mut self, now: Now, changes: &[Change], view: &dyn View) -> Result<(), Fault> {
        let _ = (now, changes, view);
        Ok(())
    }

    /// Run a command. `Device.ScheduleTimer()` and those below `Device.LocalAgent.` are the engine's.
    fn operate(&mut self, now: Now, call: &Call, view: &dyn View) -> Outcome {
        let _ = (now, view);
        Outcome::Done(Err(Fault::command_failure(format!(
            "{} is not available on this device",
            call.command
        ))))
    }

    /// Stop an asynchronous command; `false` when it cannot be stopped any more.
    fn cancel(&mut self, id: u32) -> bool {
        let _ = id;
        false
    }

    /// Time passes. Push what happened to `hints`; returns when it wants to be called again (`None`: only on wake). Also
    /// called after each start, change, command and cancellation, and with the hints of a [`Notifier`].
    fn tick(&mut self, now: Now, view: &dyn View, hints: &mut Vec<Hint>) -> Option<Duration> {
        let _ = (now, view, hints);
        None
    }

    /// How live values are watched for subscribers.
    fn watch(&self) -> Watch {
        Watch::Hints
    }

    /// The restart happens now: all connections are closed. Returns how long the device stays down; the engine then
    /// starts again with Boot!. `None`: this process is going to be ended from outside (a real reboot), stop here.
    fn restart(&mut self, restart: &Restart) -> Option<Duration> {
        let _ = restart;
        Some(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_hints_is_folded_but_no_completion_is_lost() {
        let notifier = Notifier::default();
        for n in 0..HINTS_PENDING_MAX + 50 {
            notifier.send(Hint::Changed(format!("Device.X.{n}")));
        }
        notifier.send(Hint::Completed(1, Ok(vec![])));
        let hints = notifier.take();
        assert_eq!(hints.len(), HINTS_PENDING_MAX + 2);
        assert_eq!(
            hints[HINTS_PENDING_MAX..],
            [Hint::LookAgain, Hint::Completed(1, Ok(vec![]))]
        );
    }
}
