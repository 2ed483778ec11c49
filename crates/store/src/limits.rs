//! Every limit of the store, with its reason. A test hits each of them.

use std::time::Duration;

/// Writes that may wait for one writer; further callers wait to be queued, which slows them down instead of
/// filling the memory.
pub const WRITE_QUEUE_MAX: usize = 4_096;

/// Writes that share one commit. More would make the first of them wait longer than a commit costs.
pub const WRITE_GROUP_MAX: usize = 1_024;

/// Heads of event logs that a slow watcher may lag behind before it has to look at the log itself.
pub const WATCH_LAG_MAX: usize = 1_024;

/// Bytes of one event's body. Larger facts (a whole data model) belong into their own tables.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;

/// Events in one page of the log.
pub const EVENT_PAGE_MAX: usize = 1_000;

/// Sequence numbers that one filtered page looks at when no index serves the filter; the page then ends early and
/// says how far it got.
pub const EVENT_SCAN_MAX: u64 = 20_000;

/// Rows that one step of a retention run removes, so that no other write waits long behind it.
pub const RETENTION_BATCH_MAX: u64 = 1_000;

/// Keys of recent notifications remembered per device: what one agent may have unanswered and send again.
pub const RECENT_PER_DEVICE_MAX: usize = 256;

/// Devices whose recent notifications are kept in memory, per writer; the others are read from the log again.
pub const RECENT_DEVICES_MAX: usize = 50_000;

/// Devices in one page of the list.
pub const DEVICE_PAGE_MAX: usize = 500;

/// Counting devices stops here; beyond it the console says "more than".
pub const DEVICE_COUNT_MAX: u64 = 10_000;

/// Devices that a facet counts over; beyond it the counts are a sample of the first so many.
pub const FACET_ROWS_MAX: u64 = 200_000;

/// Values of one facet.
pub const FACET_VALUES_MAX: usize = 100;

/// Words of a free-text search that are looked at.
pub const SEARCH_WORDS_MAX: usize = 5;

/// Devices that a word of a search may lead to for these to be looked up and sorted, some milliseconds; of a more
/// frequent word the devices are asked in the order of the page, of which few are needed to fill it.
pub const SEARCH_LEAD_MAX: u64 = 2_000;

/// Search terms kept per device.
pub const SEARCH_TERMS_MAX: usize = 64;

/// Characters of one search term, of a label, of a tag.
pub const TEXT_CHARS_MAX: usize = 256;

/// Tags of one device.
pub const TAGS_MAX: usize = 32;

/// Identities of one device. A gateway with many MAC addresses has a dozen.
pub const IDENTITIES_MAX: usize = 64;

/// Last-known values of one device. The largest data models in the field have some 30,000 parameters.
pub const VALUES_PER_DEVICE_MAX: usize = 100_000;

/// Top-level objects that one statement about last-known values names; for more of them all documents of the device are
/// read. A whole data model has some sixty, and SQLite takes 32,766 arguments.
pub const VALUE_OBJECTS_ASKED_MAX: usize = 1_024;

/// Bytes of one last-known value.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a stored document before compression (values of one top-level object, a supported model); a damaged or
/// hostile row cannot unpack to more.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Supported models kept per tenant; the least recently used goes first.
pub const MODELS_PER_TENANT_MAX: u64 = 2_000;

/// Bytes of one operation's document.
pub const OPERATION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Operations that may be open for one device.
pub const OPEN_OPERATIONS_PER_DEVICE_MAX: u64 = 2_000;

/// Rows in one page of operations and the like.
pub const PAGE_MAX: usize = 500;

/// Entries of one operation's transcript; the last ones are kept.
pub const TRANSCRIPT_ENTRIES_MAX: u64 = 200;

/// Bytes of one entry of a transcript; the rest is cut off.
pub const TRANSCRIPT_BYTES_MAX: usize = 64 * 1024;

/// Different refusals remembered per tenant, and for connections of no known tenant.
pub const REFUSALS_MAX: u64 = 500;

/// Names of one source (an address, a broker) that are kept apart for one reason; older ones are counted as one. The
/// devices of some households behind one address are all there.
pub const REFUSALS_PER_SOURCE_MAX: u64 = 20;

/// Files of one tenant: some versions for each of some hundred models, and what devices have sent.
pub const FILES_PER_TENANT_MAX: u64 = 10_000;

/// Transfers kept of one device; the oldest goes first, unless its link can still be used.
pub const TRANSFERS_PER_DEVICE_MAX: u64 = 500;

/// Bytes of an answer kept for its idempotency key.
pub const IDEMPOTENCY_BYTES_MAX: usize = 1024 * 1024;

/// Tenants.
pub const TENANTS_MAX: u64 = 10_000;

/// People of one tenant.
pub const USERS_PER_TENANT_MAX: u64 = 10_000;

/// Sign-ins of one person; the oldest goes first.
pub const SIGN_INS_PER_USER_MAX: u64 = 50;

/// Networks from where one person is known to sign in; the one not used for longest goes first.
pub const KNOWN_NETWORKS_PER_USER_MAX: u64 = 20;

/// Tokens of one tenant; of those that are revoked or expired the oldest gives its place to a new one.
pub const TOKENS_PER_TENANT_MAX: u64 = 10_000;

/// Setup keys of one tenant; of those that are revoked or expired the oldest gives its place to a new one.
pub const SETUP_KEYS_PER_TENANT_MAX: u64 = 1_000;

/// Certificates of one endpoint that have not expired: some years of rotating every month. Revoked ones count, since
/// one that is forgotten would open the door again.
pub const CERTIFICATES_PER_ENDPOINT_MAX: u64 = 64;

/// Setup keys of a tenant that one Digest check may try: each costs two hashes, and nobody has so many in use.
pub const SETUP_KEYS_READABLE_MAX: u64 = 32;

/// Bytes of one document that an adapter keeps of a device or a model. The instance numbers of the largest device in
/// the field stay far below; a whole data model belongs into its own table.
pub const STATE_BYTES_MAX: usize = 1024 * 1024;

/// Documents that adapters keep of one device, and of one model: they have a handful of names each.
pub const STATES_MAX: u64 = 32;

/// Documents that adapters keep of all models of a tenant; the one not written for longest goes first.
pub const MODEL_STATES_PER_TENANT_MAX: u64 = 4_000;

/// Milliseconds for which a device may be expected to stay away: periodic Informs are minutes or hours apart, and one
/// that says a hundred years would never be missed.
pub const VISIT_EXPECTED_MAX: i64 = 32 * 24 * 3600 * 1000;

/// Writes of documents that are remembered by their device: some seconds of a mass return, and what is read early is
/// used within one.
pub const WRITTEN_MAX: usize = 4_096;

/// How long lookups that share a statement may take: then their connection is given up, and the next ones have another.
pub const GATHER_TIME_MAX: Duration = Duration::from_secs(10);

/// Lookups that share a statement: beyond some dozen the way to the database is no longer what they cost. A power of
/// two, as the numbers of keys in statements are.
pub const GATHER_MAX: usize = 64;

/// Lookups that wait for the one before; then who asks waits earlier.
pub const GATHER_QUEUE_MAX: usize = 1_024;

/// Sessions kept of one device: with a periodic Inform every five minutes some hours, with one a day a month.
pub const SESSIONS_PER_DEVICE_MAX: u64 = 32;

/// Messages kept of one session, half of them its first and half its last ones.
pub const SESSION_ENTRIES_MAX: usize = 400;

/// Bytes kept of one session's messages before compression; each message is cut at [`TRANSCRIPT_BYTES_MAX`].
pub const SESSION_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Faults named of one session.
pub const FAULTS_PER_SESSION_MAX: usize = 100;

/// Different faults counted of one device: it may invent codes and parameters.
pub const FAULTS_PER_DEVICE_MAX: u64 = 100;

/// Pairs of devices that may be one, kept of a tenant; where so many wait, nobody looks at them one by one.
pub const MATCHES_PER_TENANT_MAX: u64 = 5_000;

/// Ids that a device had before it was merged, under which its log is looked for: a box has two or three, and one page
/// of the log asks for all of them.
pub const FORMER_IDS_MAX: u64 = 16;

/// How often it is written down that a queue of a broker is in use: of a device that has many the oldest is forgotten.
pub const BROKER_QUEUE_USED_EVERY: Duration = Duration::from_secs(24 * 3600);

/// How long the queue of a removed device is its tenant's alone: what lies in it at the broker is still there.
pub const BROKER_QUEUE_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
