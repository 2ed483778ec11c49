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

/// Refusals that are written down at once: they share a commit.
pub const REFUSALS_AT_ONCE: usize = 64;

/// Different refusals of which is remembered when the log was last told.
pub const REFUSALS_TOLD_MAX: usize = 4_096;

/// Refusals of one tenant that are written to its log within [`REFUSAL_EVENT_EVERY`]: whoever has a
/// key of it can invent endpoint ids without end.
pub const REFUSAL_EVENTS_MAX: u32 = 1_000;

/// Of those, of one source: an address, or the network of an IPv6 address, a broker, a device. The doctor counts all of
/// them; an address that guesses is told of, and hides nobody else.
pub const REFUSAL_EVENTS_PER_SOURCE_MAX: u32 = 50;

/// The event log hears of equal refusals this often; the list of refusals counts all of them.
pub const REFUSAL_EVENT_EVERY: Duration = Duration::from_secs(3600);

/// Characters of a reason that a device gives: some lines that people read. It is kept with the
/// operation for each path, and in events.
pub const REASON_CHARS_MAX: usize = 1024;

/// How long a link over which a request went unanswered is passed over for another one of the device. Many things pass
/// within minutes; what does not is found out again by one request.
pub const DOUBT_TIME: Duration = Duration::from_secs(300);

/// How often the files of the TLS certificate are looked at for a new one: whoever renews it need
/// not tell us.
pub const CERTIFICATE_LOOK_EVERY: Duration = Duration::from_secs(60);

/// How often it is looked whether a certificate was revoked. Who revokes one here is heard at once; this is for other
/// nodes, and so the longest that a device stays which has been shut out there. One short question to the database.
pub const REVOKED_EVERY: Duration = Duration::from_secs(2);

/// So many times all links are looked at after a certificate was revoked: a device that was let in just before has its
/// place within a minute, or not at all.
pub const REVOKED_LOOKS: u32 = 30;

/// After so many looks for news without any, all links are looked at all the same: the clocks of nodes differ.
pub const REVOKED_LOOKS_IDLE: u32 = 60;

/// Certificates, each in the place of the one before, that end when the last one is shown: as many as an endpoint may
/// have.
pub const REPLACED_MAX: u64 = store::limits::CERTIFICATES_PER_ENDPOINT_MAX;

/// Bytes of the event log that what one device says may fill at once: what all subscriptions of a big gateway tell after
/// a start fits a few times.
pub const DEVICE_LOG_BURST: usize = 4 * 1024 * 1024;

/// Bytes of it beyond that, for the starts of a device, its introduction and the ends of commands, which operations wait
/// for.
pub const DEVICE_LOG_RESERVE: usize = 1024 * 1024;

/// Bytes of it that a device may fill each second in the long run, 84 MiB a day: two or three notifications each second
/// all day, or a report of 60 KB each minute. One that runs away fills no disk.
pub const DEVICE_LOG_PER_SECOND: u32 = 1024;

/// What a row of the event log takes beside its data, its indexes and what tells a repetition apart.
pub const LOG_ROW_BYTES: usize = 512;

/// How often devices are forgotten that have all their room again.
pub const LOG_ROOM_SWEEP_EVERY: Duration = Duration::from_secs(60);
