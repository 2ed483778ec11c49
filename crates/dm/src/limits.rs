//! Every limit of this crate, with its reason. Nothing here is configuration: a caller that wants less checks before.

/// Longest path text accepted, in characters. TR-106 references are at most 256 characters; search paths carry
/// constants (SSIDs, URLs, aliases) on top, and a few hundred bytes each are plenty.
pub const PATH_CHARS_MAX: usize = 4096;

/// Most segments (names, instances, reference steps) in one path. TR-181 2.19 needs 19 (an argument of a command far
/// below Data Elements); the rest is room for vendor objects and proxied devices.
pub const PATH_SEGMENTS_MAX: usize = 48;

/// Most comparisons in one path over all its brackets. Each is evaluated per instance, so this bounds work.
pub const PATH_EXPRESSIONS_MAX: usize = 32;

/// Most steps of the relative path on the left of one comparison.
pub const EXPRESSION_STEPS_MAX: usize = 16;

/// Longest lexical value looked at, in bytes. The largest size in TR-181 is 65,535 characters; certificates,
/// base64 and JSON objects without a size get room for four times that.
pub const VALUE_BYTES_MAX: usize = 262_144;

/// Most items of a list value that are looked at. TR-181's longest lists are per-tone DSL tables of 8,192 items.
pub const LIST_ITEMS_MAX: usize = 16_384;

/// Most characters of an offending value that an error message repeats.
pub const ERROR_EXCERPT_CHARS_MAX: usize = 64;

/// Most enumeration values that an error message lists.
pub const ERROR_ENUM_VALUES_MAX: usize = 24;

/// Default of [`crate::resolve::Limits::results_max`]: most paths one search may resolve to. A full Wi-Fi mesh with
/// all its stations and counters stays below it.
pub const RESOLVE_RESULTS_MAX: usize = 65_536;

/// Default of [`crate::resolve::Limits::steps_max`]: most tree look-ups one evaluation may make, so that
/// `*.*.[..]` over large tables ends.
pub const RESOLVE_STEPS_MAX: usize = 1_000_000;

/// Most bytes a schema table may expand to. The largest of ours is under 1 MiB; more means a damaged file.
pub const TABLE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most objects in a schema. TR-181 has about 870; a device with every service model of the Broadband Forum and
/// vendor extensions stays well below.
pub const SCHEMA_OBJECTS_MAX: usize = 16_384;

/// Longest search text that [`crate::Schema::search`] looks at, in characters.
pub const SEARCH_CHARS_MAX: usize = 128;

/// Most paths of a TR-098 device that a mapping takes. A whole tree of a large gateway has about ten thousand; answers
/// of 5 MB, the largest met, have some eighty thousand.
pub const MAPPING_PATHS_MAX: usize = 131_072;

/// Most numbers of TR-181 rows that a mapping remembers beyond those of living instances: hosts and port mappings come
/// and go for years, and each entry is some sixty bytes stored with the device.
pub const MAPPING_NUMBERS_MAX: usize = 4096;

/// The failure from which the wait between retries no longer grows ("10 and higher" is one row of the standards' table).
pub const RETRY_ATTEMPT_LAST: u32 = 10;

/// A wait between retries, whatever a peer or the data model configures: one week. The largest values that parameters
/// can have give millions of years, which no clock can add.
pub const RETRY_WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);
