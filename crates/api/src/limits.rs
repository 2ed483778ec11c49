//! The limits a caller of the API meets, each with its reason. The server's own limits (rates,
//! queues, buffers) are in `server/src/limits.rs`.

/// Items on a page when the caller names no `limit`: two screens of the console.
pub const PAGE_DEFAULT: u32 = 50;

/// Items on a page at most: one answer stays below a megabyte.
pub const PAGE_MAX: u32 = 500;

/// Values on a page at most: a whole gateway is about 5,000 parameters, five requests.
pub const VALUE_PAGE_MAX: u32 = 1_000;

/// Ops in one operation: how it is repeated, read back and reconciled depends on its one verb.
pub const OPS_MAX: usize = 1;

/// Paths or parameters in one op: what one USP message carries without trouble.
pub const OP_PATHS_MAX: usize = 500;

/// Characters of a data-model path: longer ones occur in no model we know (the longest is 141).
pub const PATH_CHARS_MAX: usize = 512;

/// Bytes of one parameter value: certificates and firmware lists fit, a firmware image does not.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Characters of a name, label or login.
pub const NAME_CHARS_MAX: usize = 100;

/// Characters of a note.
pub const NOTE_CHARS_MAX: usize = 1_000;

/// Characters of a password at least (length beats composition rules).
pub const PASSWORD_CHARS_MIN: usize = 12;

/// Characters of a password at most: argon2 reads all of them, a megabyte would be an attack.
pub const PASSWORD_CHARS_MAX: usize = 256;

/// Characters of an idempotency key.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 128;

/// Values of one repeated filter (`manufacturer=A&manufacturer=B`): keeps the SQL plan small.
pub const FILTER_VALUES_MAX: usize = 50;

/// Characters of a free-text query.
pub const QUERY_CHARS_MAX: usize = 200;

/// Tags on one device.
pub const TAGS_MAX: usize = 32;

/// Seconds an operation may wait for its device when the caller names no expiry: one day.
pub const OPERATION_EXPIRY_DEFAULT_SECONDS: u32 = 24 * 60 * 60;

/// Seconds an operation may wait at most: nothing waits for ever. Thirty days.
pub const OPERATION_EXPIRY_MAX_SECONDS: u32 = 30 * 24 * 60 * 60;

/// Counting stops here and the answer says "more than": an exact count of a million rows costs
/// more than the page it stands above.
pub const COUNT_MAX: u64 = 100_000;
