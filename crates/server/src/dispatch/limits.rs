//! Every limit of the dispatcher's runtime and the reconcilers, with its reason.

use std::time::Duration;

/// Inputs waiting for the dispatcher; whoever has more waits.
pub const INBOX: usize = 4_096;

/// Calls of the store under way for the dispatcher. More would only wait in the store's own queue.
pub const STORE_CALLS_MAX: usize = 1_024;

/// Starts of a device, and ends of the command, taken as evidence for one operation in one look at the log, and what
/// the last page has of them. The first ones decide; the next look goes on from there.
pub const EVIDENCE_MAX: usize = 200;

/// Events read at once while looking for them: a device may run commands of others all the time.
pub const EVIDENCE_PAGE: usize = 200;

/// How often the reconcilers look.
pub const RECONCILE_EVERY: Duration = Duration::from_secs(5);

/// Operations or devices of one look: enough for a restart, little enough for one page of rows.
pub const RECONCILE_BATCH: usize = 500;

/// Devices one look may report as silent, for each tenant.
pub const SILENT_BATCH: usize = 200;

/// Commands that nobody works on of which one look searches the log for the end: for each of them what its device said is
/// gone through.
pub const EVIDENCE_BATCH: usize = 100;

/// Days for which finished operations are kept.
pub const OPERATIONS_DAYS: u32 = 90;

/// How often finished operations are looked through for old ones.
pub const PURGE_EVERY: Duration = Duration::from_secs(600);

/// How long a file that is still on its way is waited for when its device says that it has sent or fetched it: what is
/// left to do then is to write the last of it to the disk, or down. One call of the store is held meanwhile.
pub const TRANSFER_SETTLE_MAX: Duration = Duration::from_secs(10);

/// How often it is looked for meanwhile.
pub const TRANSFER_SETTLE_STEP: Duration = Duration::from_millis(100);

/// Time for open writes when the server stops.
pub const STOP_TIME_MAX: Duration = Duration::from_secs(5);
