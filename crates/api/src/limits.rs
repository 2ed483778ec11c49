//! The limits of requests, each with its reason. What one operation may carry is limited by the domain
//! (`fleet/src/limits.rs`), what one row may hold by the store, and rates, queues and buffers by the
//! server; `GET /api/v1/system` shows those that a caller meets, from wherever they are.

/// Items on a page when the caller names no `limit`: two screens of the console.
pub const PAGE_DEFAULT: u32 = 50;

/// Items on a page at most: one answer stays below a megabyte.
pub const PAGE_MAX: u32 = 500;

/// Values on a page at most: a whole gateway is about 5,000 parameters, five requests.
pub const VALUE_PAGE_MAX: u32 = 1_000;

/// Ops in one operation: how it is repeated, read back and reconciled depends on its one verb.
pub const OPS_MAX: usize = 1;

/// Characters of an address to dial: longer ones are not typed by people.
pub const URL_CHARS_MAX: usize = 512;

/// Characters of a cursor. The longest is that of the device list: an id, and a name of 256 characters in
/// hexadecimal.
pub const CURSOR_CHARS_MAX: usize = 36 + 256 * 8;

/// Characters of a name, label or login.
pub const NAME_CHARS_MAX: usize = 100;

/// Characters of a note.
pub const NOTE_CHARS_MAX: usize = 1_000;

/// Characters of a password at least (length beats composition rules).
pub const PASSWORD_CHARS_MIN: usize = 12;

/// Characters of a password at most: argon2 reads all of them, a megabyte would be an attack.
pub const PASSWORD_CHARS_MAX: usize = 256;

/// Characters of the user name with which a device is asked to come: as many as its data model has room for
/// (`ManagementServer.ConnectionRequestUsername`).
pub const WAKE_USERNAME_CHARS_MAX: usize = 256;

/// Characters of an idempotency key.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 128;

/// Values of one repeated filter (`manufacturer=A&manufacturer=B`): keeps the SQL plan small.
pub const FILTER_VALUES_MAX: usize = 50;

/// Characters of a free-text query.
pub const QUERY_CHARS_MAX: usize = 200;

/// Seconds an operation may wait at most: nothing waits for ever. Thirty days.
pub const OPERATION_EXPIRY_MAX_SECONDS: u32 = 30 * 24 * 60 * 60;
