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

/// Answers, errors and control records waiting for the transport. A peer that does not read what it provokes loses the
/// rest; an agent carries out nothing that it could not answer.
pub const REPLIES_MAX: usize = 64;

/// Events waiting for the caller, who takes them after each input; only a caller that never does
/// hits this.
pub const EVENTS_MAX: usize = 1024;

/// Requests of one controller that an agent works on at once.
pub const REQUESTS_IN_PROGRESS_MAX: usize = 32;

/// Register and Deregister requests under way between a USP Service and its broker. A service has one or two.
pub const REGISTRATIONS_MAX: usize = 8;

/// Notifications an agent holds for one controller until they are delivered.
pub const NOTIFIES_PENDING_MAX: usize = 1024;

/// Bytes of these together. Most have some hundred; one of a large value a thousand times over is not worth the memory
/// of a small device.
pub const NOTIFIES_PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long an agent waits for the answer to a notification that it will not send again.
pub const NOTIFY_ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Records of a session context sent and not acknowledged, kept for a peer that asks again. A message of
/// [`RECORD_BYTES_MAX`] in records of 512 bytes is some 12,000.
pub const CONTEXT_UNACKNOWLEDGED_MAX: usize = 16_384;

/// Bytes of these together: the largest message, and what it takes to cut it.
pub const CONTEXT_UNACKNOWLEDGED_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;

/// Messages in them that are followed until they have arrived. A link has some dozens under way.
pub const CONTEXT_UNACKNOWLEDGED_MESSAGES_MAX: usize = 256;

/// Records that came before their turn. More than a transport brings out of order while one is asked for again.
pub const CONTEXT_EARLY_MAX: usize = 256;

/// Bytes of these together.
pub const CONTEXT_EARLY_BYTES_MAX: usize = 1024 * 1024;

/// How far a record may be ahead of its turn.
pub const CONTEXT_AHEAD_MAX: u64 = 4096;

/// Bytes of payload in a record at least, however small records are to be: a certificate in the envelope may leave
/// nothing of 512 bytes.
pub const CONTEXT_SEGMENT_BYTES_MIN: usize = 128;

/// Bytes of a record of a session context beside ids and payload: numbers and lengths, each as long as can be.
pub const CONTEXT_ENVELOPE_BYTES: usize = 80;

/// Bytes of a MAC or a signature, and of the length of a certificate.
pub const CONTEXT_SEAL_BYTES: usize = 80;

/// The last number of a record in a context (R-E2E.8, .9).
pub const CONTEXT_SEQUENCE_MAX: u64 = u64::MAX - 10_000;

/// How long a record may be missing before it is asked for: transports bring them out of order, and a peer that does
/// not retransmit (the standard's default) answers by starting over.
pub const CONTEXT_GAP_WAIT: Duration = Duration::from_secs(1);

/// How long after a context was opened the peer's own may still come, opened at the same time: more than a transport
/// delays.
pub const CONTEXT_TIE_WAIT: Duration = Duration::from_secs(10);

/// How long the TLS handshake of a context may take, and the first answer in one that we opened: a few round trips over
/// a slow transport, with records lost.
pub const CONTEXT_HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(60);

/// How often a missing record is asked for, with doubling waits: half a minute.
pub const CONTEXT_ASKS_MAX: u32 = 4;

/// How long a payload waits for something to be said that acknowledges it on the way.
pub const CONTEXT_ACKNOWLEDGE_WAIT: Duration = Duration::from_millis(500);

/// How long nothing may be acknowledged before the first record is sent again.
pub const CONTEXT_PROBE_WAIT: Duration = Duration::from_secs(3);

/// How often that is done, with doubling waits: three minutes, longer than any request waits.
pub const CONTEXT_PROBES_MAX: u32 = 5;

/// Records waiting to be sent again. A peer that asks for more at once loses the rest, and asks again.
pub const CONTEXT_AGAIN_MAX: usize = 256;

/// Ended contexts that are remembered, so that late records of theirs open nothing.
pub const CONTEXT_ENDED_MAX: usize = 16;

/// Late records of ended contexts in a row, until a new context is opened: then the peer has not noticed the end.
pub const CONTEXT_LATE_MAX: u32 = 32;
