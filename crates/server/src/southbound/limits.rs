//! Limits that all adapters share, each with its reason.

use std::time::Duration;

/// Setup key uses at once before [`SETUP_KEY_PER_SECOND`] counts: a site that comes back from a
/// power cut.
pub const SETUP_KEY_BURST: f64 = 2_000.0;

/// Setup key uses in the long run. More onboarding than the database does is only a queue.
pub const SETUP_KEY_PER_SECOND: f64 = 100.0;

/// Setup keys whose use is counted in memory; those that are not limited are forgotten first.
pub const SETUP_KEYS_COUNTED_MAX: usize = 10_000;

/// Refused connections and complaints waiting to be remembered; beyond that they are only counted.
pub const REFUSALS_QUEUED_MAX: usize = 1_024;

/// Different refusals of which is remembered when the log was last told.
pub const REFUSALS_TOLD_MAX: usize = 4_096;

/// Refusals of one tenant that are written to its log within [`REFUSAL_EVENT_EVERY`]: whoever has a
/// key of it can invent endpoint ids without end.
pub const REFUSAL_EVENTS_MAX: u32 = 1_000;

/// The event log hears of equal refusals this often; the list of refusals counts all of them.
pub const REFUSAL_EVENT_EVERY: Duration = Duration::from_secs(3600);

/// Characters of a reason that a device gives: some lines that people read. It is kept with the
/// operation for each path, and in events.
pub const REASON_CHARS_MAX: usize = 1024;

/// How often the files of the TLS certificate are looked at for a new one: whoever renews it need
/// not tell us.
pub const CERTIFICATE_LOOK_EVERY: Duration = Duration::from_secs(60);
