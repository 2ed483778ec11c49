//! Every limit of the domain, with its reason.

use std::time::Duration;

/// Operations one node drives at the same time. More would only move the queue from our memory to
/// the devices' and the database's; the rest waits in order.
pub const OPERATIONS_IN_FLIGHT_MAX: usize = 512;

/// Operations of one node that only wait: for a device to start, for the end of a command, for the
/// next try. They do not count as driven, or some hundred devices that do not come back would keep
/// all others waiting; each costs some kilobytes.
pub const OPERATIONS_WAITING_MAX: usize = 20_000;

/// What a device says while one of its operations is being claimed and that may decide it. A claim
/// takes milliseconds; a device that says more in that time is claimed once more, with the log.
pub const CLAIM_NOTICES_MAX: usize = 32;

/// The longest a timer is set for at once; what is farther away is looked at again then.
pub const TIMER_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long a claim on an operation holds without being renewed. A node that dies blocks a device
/// for at most this long; much shorter and a slow database would lose its own claims.
pub const LEASE: Duration = Duration::from_secs(60);

/// Claims are renewed when this much of [`LEASE`] is left: two tries before it ends.
pub const LEASE_RENEW_BEFORE: Duration = Duration::from_secs(40);

/// How often an operation is looked at that waits for the protocol it went over, while its device is there over another
/// one: it may have been stopped, or its time be over, and what is behind it goes on then.
pub const ELSEWHERE_LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long a device may take to answer one request.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Sendings of one idempotent step before the operation fails; a broken link counts too.
pub const ATTEMPTS_MAX: u32 = 6;

/// Wait before the second sending; it doubles each time.
pub const RETRY_DELAY_MIN: Duration = Duration::from_secs(1);

/// Longest wait between two sendings.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(60);

/// How often the Request table is looked at while an asynchronous command runs, in case its
/// notification was lost.
pub const AWAIT_POLL: Duration = Duration::from_secs(30);

/// How long a notification may come after its row left the Request table: both travel separately.
pub const AWAIT_GRACE: Duration = Duration::from_secs(10);

/// How often the log is looked at for the end of a command that is waited for. What a device says by itself may reach
/// another node than the one that sent the command, or another link of the device.
pub const EVIDENCE_LOOK_EVERY: Duration = Duration::from_secs(10);

/// How long a device may take from accepting a reboot to reporting its start. A firmware that
/// checks its file system takes minutes.
pub const BOOT_WAIT_MAX: Duration = Duration::from_secs(15 * 60);

/// How long after a reconnect an unclear command waits for a Boot! or OperationComplete before it
/// is called unconfirmed: agents repeat notifications after 5 to 10 seconds.
pub const RECONCILE_GRACE: Duration = Duration::from_secs(20);

/// How far before its sending the log is searched for evidence of an operation: nodes' clocks
/// differ, and are set. What carries its command key speaks for it whatever its time is.
pub const EVIDENCE_SKEW: Duration = Duration::from_secs(3600);

/// How long an operation may wait and run when the request does not say.
pub const EXPIRY_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// Paths (or settings, or arguments) in one operation: a request must fit in a device's memory.
pub const OPERATION_PATHS_MAX: usize = 512;

/// Bytes of one path: the longest published ones stay below 300.
pub const PATH_BYTES_MAX: usize = 1024;

/// Bytes of one value: certificates and configurations fit, firmware does not belong here.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Values kept as before/after of one operation; the rest stays in the last-known values only.
pub const OPERATION_VALUES_MAX: usize = 4096;

/// Paths whose outcome an operation keeps: those that were asked, and what a search found. A device
/// may name any number in its answer.
pub const OPERATION_OUTCOMES_MAX: usize = 2048;

/// Parts of a file that a device has fetched are told apart up to so many; devices fetch in one
/// piece, or in few.
pub const COVERED_PARTS_MAX: usize = 64;

/// Rows of a table remembered before an Add, to find the new one if its answer is lost.
pub const ADD_KNOWN_ROWS_MAX: usize = 4096;

/// Takeovers of one endpoint id within [`FLAP_WINDOW`] before the newcomer is refused: two devices
/// with one identity would otherwise throw each other out for ever.
pub const FLAP_TAKEOVERS_MAX: u32 = 5;

/// Window of [`FLAP_TAKEOVERS_MAX`].
pub const FLAP_WINDOW: Duration = Duration::from_secs(60);

/// A connected device that was not heard for this long is shown as silent. Three of the standard's
/// 60-second pings.
pub const SILENT_AFTER: Duration = Duration::from_secs(180);

/// A link of whose device no server has heard for this many times the time after which it is silent is written off: the
/// server that holds a link ends it, or writes down that it hears its device, within one of them.
pub const SILENCES_MAX: u32 = 2;

/// Devices that are kept in mind at once because they said something that may decide an operation which could not be
/// claimed since. What is said beyond that is found in the log, a little later.
pub const WORDS_MAX: usize = 4_096;

/// How long one of them is kept in mind. A node that holds the operation meanwhile has looked at the log by then, or its
/// claim has ended.
pub const WORD_KEPT: Duration = Duration::from_secs(2 * LEASE.as_secs());

/// Wait after a claim or write failed: a database that fails over takes seconds.
pub const STORE_RETRY: Duration = Duration::from_secs(2);
