//! Every limit of this crate, with its reason. Deliberately constants: what a deployment may tune
//! is in the sessions' configuration, bounded by these.

use std::time::Duration;

/// Bytes of an encoded record. The reference agent caps its own at 5 MB; a GetSupportedDM of the
/// whole of Device:2 is below 1 MB.
pub const RECORD_BYTES_MAX: usize = 5 * 1024 * 1024;

/// Repeated elements and map entries of one message, because two bytes on the wire can cost a
/// hundred in memory. The whole of Device:2 is some 30,000 parameters.
pub const ELEMENTS_MAX: usize = 250_000;

/// Nesting of unknown protobuf groups. The schema itself is not recursive, so groups are the only
/// way to nest; nobody sends them.
pub const GROUP_DEPTH_MAX: usize = 8;

/// Characters of the instance part of an endpoint id (R-ARC.5).
pub const INSTANCE_ID_CHARS_MAX: usize = 50;

/// Digits of a private enterprise number; IANA's are 32 bits.
pub const PEN_DIGITS_MAX: usize = 10;

/// Characters of a message id that we keep and echo. Ours have 20; the standard sets no bound.
pub const MSG_ID_CHARS_MAX: usize = 256;

/// Requests sent to an agent and not answered yet. Agents work on one at a time more often than
/// not; a second one keeps the link busy.
pub const WINDOW_MAX: usize = 16;

/// Requests that wait for the window of one agent.
pub const QUEUE_MAX: usize = 256;

/// Notifications of one agent that are delivered to us and not acknowledged yet.
pub const NOTIFIES_UNACKNOWLEDGED_MAX: usize = 256;

/// Answers, errors and control records waiting for the transport. A peer that does not read what
/// it provokes loses the rest.
pub const REPLIES_MAX: usize = 64;

/// Events waiting for the caller, who takes them after each input; only a caller that never does
/// hits this.
pub const EVENTS_MAX: usize = 1024;

/// Requests of one controller that an agent works on at once.
pub const REQUESTS_IN_PROGRESS_MAX: usize = 32;

/// Notifications an agent holds for one controller until they are delivered.
pub const NOTIFIES_PENDING_MAX: usize = 1024;

/// Bytes of these together. Most have some hundred; one of a large value a thousand times over is not worth the memory
/// of a small device.
pub const NOTIFIES_PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long an agent waits for the answer to a notification that it will not send again.
pub const NOTIFY_ANSWER_WAIT: Duration = Duration::from_secs(60);
