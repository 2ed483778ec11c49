//! Every limit of the file service, with its reason. Those that an operator may set are defaults.

use std::time::Duration;

/// Bytes of one file: the largest firmware of a home gateway has some hundred megabytes.
pub const FILE_BYTES_MAX: u64 = 2 << 30;

/// Bytes of one configuration that a device sends: those of the largest have some MiB, and the link may be in the hands
/// of whoever has taken the device over.
pub const CONFIGURATION_BYTES_MAX: u64 = 64 << 20;

/// Bytes of all files of one tenant: a hundred models with five firmwares of 64 MiB, and backups.
pub const TENANT_BYTES_MAX: u64 = 50 << 30;

/// Bytes that stay free on the disk: the database lies beside, and stops when it is full.
pub const FREE_BYTES_MIN: u64 = 512 << 20;

/// The free space is looked at again after so many bytes.
pub const FREE_LOOK_BYTES: u64 = 16 << 20;

/// Transfers at one time: each is a connection, an open file and two buffers, about 200 KiB.
pub const TRANSFERS_MAX: usize = 500;

/// Transfers of one tenant at one time, so that one campaign leaves room for the others.
pub const TENANT_TRANSFERS_MAX: usize = 250;

/// Transfers over one link at one time: some devices fetch in pieces, none in hundreds.
pub const LINK_TRANSFERS_MAX: usize = 8;

/// Connections at one time: those that wait for a transfer cost little.
pub const CONNECTIONS_MAX: usize = 4_096;

/// Connections from one address (IPv6: one /64) at one time: the homes behind one carrier-grade NAT, and one
/// host does not take all.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 1_024;

/// A device for which there is no room is asked to come again after this long: most transfers take
/// less than a minute.
pub const RETRY_AFTER: Duration = Duration::from_secs(30);

/// How long the other side may send or take nothing at all.
pub const STALL_TIME_MAX: Duration = Duration::from_secs(60);

/// How long one request may take: 64 MiB at a modem's 56 kbit/s are below three hours.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(3 * 3600);

/// How long a link can be used. Devices may fetch at night, or when nobody watches television.
pub const LINK_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Requests over one link: a device that fetches a large file in pieces of 64 KiB needs some thousand.
pub const LINK_REQUESTS_MAX: u64 = 20_000;

/// Times that a device may send over one link: one whose connection broke or whose answer was lost sends again. What has
/// come once is what the link was for; nothing else is taken after it.
pub const LINK_UPLOADS_MAX: u64 = 20;

/// Characters of a name in a link: the URL of a TR-069 transfer may have 256.
pub const LINK_NAME_CHARS_MAX: usize = 64;

/// How often the progress of a transfer is written down.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// A transfer under way of which nothing was written down for so long has lost its server, which may have been another
/// node, or stands still: longer than a living one may stand still. Where there are no others, it is known at once.
pub const PROGRESS_LOST_AFTER: Duration =
    STALL_TIME_MAX.saturating_add(PROGRESS_EVERY.saturating_mul(2));

/// Wrong or ended links from one network before it is told to wait: behind one address may be hundreds
/// of devices with links of yesterday, and others with good ones, which go on.
pub const BAD_LINK_BURST: u32 = 200;

/// After that, so many a second.
pub const BAD_LINKS_PER_SECOND: f64 = 2.0;

/// Links that came after that are remembered, and found wrong again without asking the database: 32 bytes each, and as
/// many again of before. Devices that ask for ever for what has ended are some thousand; links that somebody invents are
/// all different, and cost one look into an index each.
pub const BAD_LINKS_KEPT: usize = 10_000;

/// What no file has as its content is removed when it is this old: a file that is just coming in
/// lies there before it is known.
pub const ORPHAN_AGE: Duration = Duration::from_secs(3600);

/// How often that is looked for.
pub const CLEAN_EVERY: Duration = Duration::from_secs(6 * 3600);

/// How long transfers are known after their links ended.
pub const TRANSFER_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// How often the certificate is looked at.
pub const CERTIFICATE_LOOK_EVERY: Duration = Duration::from_secs(60);
