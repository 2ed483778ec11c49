//! Every limit of the server, with its reason. The limits of a request's content, which callers
//! have to know, are in `api::limits`.

use std::time::Duration;

/// Bytes of a request's body. The largest is an operation with as many values as it may
/// carry; certificates fit.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Time for an answer to begin. The slowest is a search over the values of a big device; more
/// only holds resources for a caller who has given up.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// Time for a client to send the body of its request. Below [`REQUEST_TIME_MAX`], so that who is slow learns that
/// nothing was done.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(20);

/// Bytes of a request's line and headers: a browser sends some two thousand, and the longest search fits.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Time for a client to send its request line and headers: a slow sender costs one task.
pub const HEADER_TIME_MAX: Duration = Duration::from_secs(10);

/// Time for a TLS handshake.
pub const TLS_HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// How long the other side of a connection may take nothing of what is written to it.
pub const WRITE_TIME_MAX: Duration = Duration::from_secs(60);

/// HTTP connections at one time. Each console tab holds one or two; memory is about 30 KiB each.
pub const HTTP_CONNECTIONS_MAX: usize = 4_096;

/// HTTP connections from one address (IPv6: one /64) at one time, where it is no trusted proxy: an
/// office behind one, and one host does not take all of [`HTTP_CONNECTIONS_MAX`].
pub const HTTP_CONNECTIONS_PER_ADDRESS_MAX: usize = 1_024;

/// How long an HTTP connection may be open without a request under way, from its first byte on; with
/// HTTP/1.1 between requests [`HEADER_TIME_MAX`]. Who does not take part in the goodbye has as long again.
pub const HTTP_IDLE_MAX: Duration = Duration::from_secs(60);

/// Open files that a server should be allowed: the listeners of CPEs, of files and of the API have
/// 62,000 connections together, and each USP device is one more.
pub const OPEN_FILES_MIN: u64 = 65_536;

/// Time for open requests to end when the server stops.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// Requests a signed-in caller may make at once before [`REQUESTS_PER_SECOND`] counts.
pub const REQUESTS_BURST: u32 = 400;

/// Requests a signed-in caller may make in the long run. A console makes 2, a busy script 100.
pub const REQUESTS_PER_SECOND: f64 = 200.0;

/// Attempts to sign in from one network, right or wrong, before it has to wait: each reads the database before anything
/// is known of who it is. An office that comes to work at once is far below.
pub const SIGN_INS_BURST: u32 = 100;

/// After that, so many attempts per second.
pub const SIGN_INS_PER_SECOND: f64 = 5.0;

/// Wrong passwords from one network, for logins that have not been used from there, before it has to wait.
/// A success gives back its own attempt only: an account of one's own buys no more guesses at others.
pub const SIGN_IN_ADDRESS_BURST: u32 = 10;

/// After that, one more attempt in this many seconds: an office behind one address still gets in,
/// a guesser makes fewer than 9,000 attempts a day.
pub const SIGN_IN_ADDRESS_SECONDS: f64 = 10.0;

/// Wrong passwords for one login before it has to wait: together from everywhere it has not been used, and apart from
/// that from each network it has been used from. So strangers who guess cannot keep its owner out.
pub const SIGN_IN_LOGIN_BURST: u32 = 10;

/// After that, one more attempt in this many seconds.
pub const SIGN_IN_LOGIN_SECONDS: f64 = 30.0;

/// How long a network stays known as one that a login was used from.
pub const KNOWN_NETWORK_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// Wrong tokens or cookies from one network before it has to wait.
pub const BAD_TOKEN_BURST: u32 = 60;

/// After that, one more in this many seconds.
pub const BAD_TOKEN_SECONDS: f64 = 1.0;

/// Addresses, logins or callers one limiter remembers. What is full again is forgotten first, so
/// an attacker with many addresses does not free others.
pub const LIMITER_KEYS_MAX: usize = 20_000;

/// Passwords hashed at the same time: each takes 19 MiB and a core for some 20 ms.
pub const HASHES_AT_ONCE: usize = 4;

/// Passwords waiting to be hashed; beyond that signing in answers 503 instead of piling up.
pub const HASHES_WAITING_MAX: usize = 64;

/// A console sign-in ends after this long without a request.
pub const SESSION_IDLE: Duration = Duration::from_secs(12 * 3600);

/// A console sign-in ends after this long whatever happens.
pub const SESSION_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often "last used" of sessions and tokens is written: a write for each request would cost
/// more than the request.
pub const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Live streams at one time. Each is a task and a connection, no queue: it reads the log.
pub const STREAMS_MAX: usize = 2_000;

/// Live streams of one user or token: a person with twenty tabs.
pub const STREAMS_PER_CALLER_MAX: usize = 20;

/// Events a stream reads from the log at once, and so the most it holds.
pub const STREAM_BATCH: usize = 200;

/// A stream says that it is alive this often while nothing happens.
pub const STREAM_HEARTBEAT: Duration = Duration::from_secs(15);

/// A stream looks this often whether its caller may still read.
pub const STREAM_RECHECK: Duration = Duration::from_secs(30);

/// Answers kept for repetitions with the same idempotency key.
pub const IDEMPOTENCY_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Names of devices remembered for the event log's sentences.
pub const DEVICE_NAMES_MAX: usize = 20_000;

/// How long a remembered name may be out of date.
pub const DEVICE_NAME_LIFE: Duration = Duration::from_secs(30);

/// Devices the doctor shows for one search: whoever gets more looks for another word.
pub const DOCTOR_DEVICES_MAX: usize = 5;

/// How often what has expired is removed.
pub const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Batches of one kind and tenant that one sweep removes: more than a busy tenant makes between two
/// sweeps, and still a bounded turn.
pub const SWEEP_BATCHES_MAX: usize = 200;

/// The limits a caller may meet, by name, for `GET /api/v1/system`.
pub const SHOWN: &[(&str, u64, &str)] = &[
    (
        "body_bytes_max",
        BODY_BYTES_MAX as u64,
        "Bytes of a request's body",
    ),
    (
        "body_seconds_max",
        BODY_TIME_MAX.as_secs(),
        "Seconds until a request's body is there",
    ),
    (
        "header_bytes_max",
        HEADER_BYTES_MAX as u64,
        "Bytes of a request's line and headers",
    ),
    (
        "request_seconds_max",
        REQUEST_TIME_MAX.as_secs(),
        "Seconds until an answer begins",
    ),
    ("requests_burst", REQUESTS_BURST as u64, "Requests at once"),
    (
        "requests_per_second",
        REQUESTS_PER_SECOND as u64,
        "Requests in the long run",
    ),
    (
        "streams_per_caller_max",
        STREAMS_PER_CALLER_MAX as u64,
        "Live streams of one user or token",
    ),
    ("page_max", api::limits::PAGE_MAX as u64, "Items on a page"),
    (
        "value_page_max",
        api::limits::VALUE_PAGE_MAX as u64,
        "Values on a page",
    ),
    (
        "op_paths_max",
        fleet::limits::OPERATION_PATHS_MAX as u64,
        "Paths or parameters in one operation",
    ),
    (
        "value_bytes_max",
        fleet::limits::VALUE_BYTES_MAX as u64,
        "Bytes of one value",
    ),
    (
        "operation_expiry_seconds_max",
        api::limits::OPERATION_EXPIRY_MAX_SECONDS as u64,
        "Seconds an operation may wait",
    ),
    (
        "session_idle_seconds",
        SESSION_IDLE.as_secs(),
        "A sign-in ends after this long unused",
    ),
    (
        "session_life_seconds",
        SESSION_LIFE.as_secs(),
        "A sign-in ends after this long",
    ),
    (
        "idempotency_seconds",
        IDEMPOTENCY_LIFE.as_secs(),
        "An idempotency key is remembered this long",
    ),
];

/// How often devices that were brought in lately are compared by MAC address, where that is configured.
pub const MATCHING_EVERY: Duration = Duration::from_secs(10);

/// Events looked at in one step of that.
pub const MATCHING_PAGE: usize = 100;

/// How many events before the start are looked through for devices that were brought in as the server stopped.
pub const MATCHING_EVENTS_BACK: u64 = 10_000;

/// For how long the address that a device last came from counts as its own: with another device there lately, it is that
/// of a proxy or of a carrier's NAT, and says nothing of who is behind it. Lines get other addresses every day or week.
pub const MATCHING_ADDRESS_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Agents of the local networks that are shown: those of a lab or a house. Each is looked up among the devices.
pub const LAN_AGENTS_MAX: usize = 256;
