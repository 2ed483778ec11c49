//! Every limit of the ACS, with its reason. Those of messages are in `cwmp::limits`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

pub use crate::southbound::limits::{
    CERTIFICATE_LOOK_EVERY, SETUP_KEY_BURST, SETUP_KEY_PER_SECOND,
};

/// Sessions open at the same time. A session lives for a second or two, so this is a mass return of
/// thousands of devices a second; what one costs `bench/sessions` measures. A tenant may
/// hold as many as are free: half of them when it is alone, so that there is always room for the
/// others. Whoever comes beyond that is told to come again.
pub const SESSIONS_MAX: usize = 10_000;

/// Sessions from one address (IPv6: one /64) at the same time, through whatever proxies of ours: as
/// many as [`CONNECTIONS_PER_ADDRESS_MAX`], which cannot tell whom a proxy's connections carry.
pub const SESSIONS_PER_ADDRESS_MAX: usize = 4_096;

/// Connections at the same time. They outlive sessions, since devices keep them open.
pub const CONNECTIONS_MAX: usize = 50_000;

/// Connections from one address (IPv6: one /64) at the same time. Homes behind one carrier-grade NAT
/// address are thousands, not tens of thousands.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 4_096;

/// TLS handshakes from one address under way at the same time: what keeps one host that opens
/// connections and says nothing from taking the processor.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 256;

/// Time for a TLS handshake. Old devices need seconds for theirs.
pub const TLS_HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(20);

/// How long a connection may be open without a request under way and without a session: also the
/// time for the head of a request. One with a session may be silent for as long as the session may.
pub const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(60);

/// Bytes of a request's line and headers. Digest and cookies are some hundred each; devices that
/// echo every cookie they ever saw send some thousand.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long nothing of a body may come. Devices on bad links stop for seconds.
pub const BODY_SILENCE_MAX: Duration = Duration::from_secs(30);

/// Time for a whole body: 5 MB over a slow link.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(600);

/// Bytes of all bodies that are in memory at the same time, from their first byte to their answer. A
/// tenant may hold as many as are free, half of them when it is alone. Beyond that devices are told to
/// come again, whoever they are.
pub const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of a body up to which it is read on the spot, in a millisecond or two; larger ones would hold
/// up other sessions.
pub const DECODE_BYTES_MAX: usize = 256 * 1024;

/// Bytes that are read and thrown away of the body of a request that is not let in, so that the
/// connection can be used for the next one. An Inform is some thousand.
pub const DRAINED_BYTES_MAX: usize = 256 * 1024;

/// Time for that: its connection is closed after it.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(20);

/// Bytes of an answer from which on it is compressed for a device that takes that. Less fits into one
/// packet either way.
pub const COMPRESS_BYTES_MIN: usize = 512;

/// Time from the first Inform of a session to its end, however busy it is: a discovery of the
/// largest device over a slow link. More is a loop.
pub const SESSION_TIME_MAX: Duration = Duration::from_secs(3600);

/// How long a cookie is good for: a session does not live longer.
pub const COOKIE_LIFE: Duration = Duration::from_secs(SESSION_TIME_MAX.as_secs() + 600);

/// How long a nonce is good for. A device whose nonce is older is asked again and comes back by
/// itself; a session is authenticated once, so that this is the time from challenge to Inform.
pub const NONCE_LIFE: Duration = Duration::from_secs(300);

/// Nonces whose uses are remembered while they are good, so that nobody who listened to one comes in
/// with it again.
pub const NONCES_USED_MAX: usize = 100_000;

/// Wrong user names, passwords, keys and certificates from one network before it is told to come again
/// without being looked up: thousands of homes behind one carrier-grade NAT have some that were set up
/// wrong. What is right is not counted.
pub const FAILURES_BURST: u32 = 2_000;

/// After that, so many a second.
pub const FAILURES_PER_SECOND: f64 = 50.0;

/// POSTs waiting for the task of one session. A device has one under way; a second is the same
/// again on another connection.
pub const SESSION_POSTS: usize = 4;

/// Jobs waiting for one session. A device is asked one thing after the other, so more is a defect
/// of ours.
pub const SESSION_INBOX: usize = 64;

/// Requests of a device waiting to be looked at: it has one under way.
pub const SAID_QUEUE: usize = 4;

/// How often a session in whose middle a message is on its way looks whether it still is.
pub const COMING_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Pause before it is looked again which tenants are disabled, where that could not be read.
pub const TENANTS_PAUSE: Duration = Duration::from_secs(1);

/// Bytes of the conversation of one session that waits, beside what it has heard: there are
/// [`SESSIONS_MAX`] of them. What is at work takes more.
pub const CONVERSATION_BYTES_MAX: usize = 10 * 1024;

/// How long an answer may take, whoever is to blame; the session itself thinks for less. CPEs give
/// up after 30 s.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(28);

/// How often a device is looked up that others are registered under the names of meanwhile, before it has to come again.
pub const ADMISSION_TRIES_MAX: usize = 4;

/// Until when a device need not come again whose interval is not known yet: the standard's usual one
/// is a day at most.
pub const EXPECTED_FIRST: Duration = Duration::from_secs(24 * 3600);

/// How long the conversation of a session that is over may take to its end: it writes down what it
/// has heard.
pub const CONVERSE_END_MAX: Duration = Duration::from_secs(10);

/// How long a new session waits for the one it replaces to end: somewhat longer than that may take,
/// so that what the old one reports comes before what the new one does.
pub const REPLACE_TIME_MAX: Duration = Duration::from_secs(12);

/// The shortest wait that a device that is shed is told.
pub const RETRY_AFTER_MIN: Duration = Duration::from_secs(5);

/// The longest: so that those that came at once come again apart.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Time for the sessions to end when the server stops.
pub const GOODBYE_TIME_MAX: Duration = Duration::from_secs(8);

/// How long the accept loop rests when the operating system has no socket to give.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Devices that are got to know at the same time: each holds a tree and its values in memory, some
/// megabytes. A tenant may hold as many as are free.
pub const ONBOARDINGS_AT_ONCE: usize = 64;

/// How long a session waits for one of [`ONBOARDINGS_AT_ONCE`]. CPEs give up on a silent ACS after 30
/// seconds; the next session tries again.
pub const ONBOARD_WAIT_MAX: Duration = Duration::from_secs(10);

/// Time for getting to know a device within one session: the walk through a large tree over a slow
/// link. What is left is done in the next session.
pub const ONBOARD_TIME_MAX: Duration = Duration::from_secs(15 * 60);

/// Time for work to come after a device has come, and between two pieces of it. The database hears of
/// an operation in milliseconds; the device waits for our answer all the while.
pub const WORK_WAIT_MAX: Duration = Duration::from_secs(15);

/// Characters of one message in the record of a session: enough to read, not a second database.
pub const RECORD_CHARS_MAX: usize = 16 * 1024;

/// Parameters of one message that its record shows: the text of as many is cut at
/// [`RECORD_CHARS_MAX`] anyway, and making it of 100,000 takes a processor's tenth of a second.
pub const RECORD_ITEMS_MAX: usize = 200;

/// Bytes of a value that a record shows; of longer ones it says how long they are.
pub const RECORD_VALUE_BYTES_MAX: usize = 4 * 1024;

/// Messages in the record of one session, half of them its first and half its last ones; as many as
/// the store keeps.
pub const RECORD_ENTRIES_MAX: usize = 400;

/// Bytes of the record of one session while it is open, half of them for its first messages. A
/// session in which nothing is asked has three thousand.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// Bytes that a message in a record takes beside its text.
pub const RECORD_ENTRY_BYTES: usize = 200;

/// Bytes of all records, of open sessions and on their way to the store. Where there is no room
/// messages are left out, and their record says how many.
pub const RECORDS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Records on their way to the store: some seconds of a mass return. What comes beyond is lost, and
/// counted in `headend_cwmp_transcripts_lost_total`.
pub const RECORDS_QUEUED_MAX: usize = 4_096;

/// Records that are written at the same time, so that they share a commit.
pub const RECORDS_AT_ONCE: usize = 256;

/// Bytes of messages in one write of records: whoever else writes waits meanwhile.
pub const RECORDS_WRITTEN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How often it is written down what was said in sessions, and which devices came, those that were
/// there before: the sessions of meanwhile share a write, unless there are more than one write takes.
pub const NOTES_EVERY: Duration = Duration::from_millis(250);

/// How often it is written down of a device in a long session that it is still there: shorter than
/// any interval at which devices are told to come in earnest.
pub const STAYS_EVERY: Duration = Duration::from_secs(30);

/// Visits in one write: the list of their devices is part of a statement.
pub const VISITS_AT_ONCE: usize = 500;

/// Visits that wait to be written; then the next device waits too.
pub const VISITS_QUEUED_MAX: usize = 4_096;

/// What one session's requests may show beside its cookie, each looked at once: a device shows a credential of ours,
/// after it was told a new one another, and some show a wrong one before they are asked.
pub const MARKS_MAX: usize = 8;

/// How long what was known of a device when it showed its credential is taken to be so: from the head
/// of a request to the end of its body, and to the beginning of the session.
pub const SEEN_LIFE: Duration = Duration::from_secs(1);

/// Reasons for coming that a record names; a device has one or two.
pub const RECORD_EVENTS_MAX: usize = 16;

/// Faults that a record names; all are counted.
pub const RECORD_FAULTS_MAX: usize = 100;

/// Characters of a name that a device blames in a fault: the standard's longest.
pub const RECORD_NAME_CHARS_MAX: usize = 256;

/// Secrets that a device was told in one session, the last ones: it may repeat them, and then they
/// are masked.
pub const RECORD_SECRETS_MAX: usize = 256;

/// How long a device that was asked to come is kept after the last thing that was asked of it. Who
/// asks for one thing often asks for the next one, and it need not be asked to come again. CPEs wait
/// for an answer for 30 seconds.
pub const LINGER: Duration = Duration::from_secs(2);

/// Those limits that a test sets lower, with their defaults.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// See [`SESSIONS_MAX`].
    pub sessions_max: usize,
    /// See [`SESSIONS_PER_ADDRESS_MAX`].
    pub sessions_per_address_max: usize,
    /// See [`CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// See [`CONNECTIONS_PER_ADDRESS_MAX`].
    pub connections_per_address_max: usize,
    /// See [`HANDSHAKES_PER_ADDRESS_MAX`].
    pub handshakes_per_address_max: usize,
    /// See [`TLS_HANDSHAKE_TIME_MAX`].
    pub tls_handshake_time_max: Duration,
    /// See [`CONNECTION_IDLE_MAX`].
    pub connection_idle_max: Duration,
    /// See [`BODY_SILENCE_MAX`].
    pub body_silence_max: Duration,
    /// See [`BODY_TIME_MAX`].
    pub body_time_max: Duration,
    /// See [`BODIES_BYTES_MAX`].
    pub bodies_bytes_max: usize,
    /// See [`SESSION_TIME_MAX`].
    pub session_time_max: Duration,
    /// See [`ANSWER_TIME_MAX`].
    pub answer_time_max: Duration,
    /// See [`REPLACE_TIME_MAX`].
    pub replace_time_max: Duration,
    /// See [`CONVERSE_END_MAX`].
    pub converse_end_max: Duration,
    /// See [`GOODBYE_TIME_MAX`].
    pub goodbye_time_max: Duration,
    /// See [`STAYS_EVERY`].
    pub stays_every: Duration,
    /// See [`ONBOARDINGS_AT_ONCE`].
    pub onboardings_at_once: usize,
    /// See [`ONBOARD_WAIT_MAX`].
    pub onboard_wait_max: Duration,
    /// See [`ONBOARD_TIME_MAX`]. None at all: it stays unknown.
    pub onboard_time_max: Duration,
    /// See [`WORK_WAIT_MAX`].
    pub work_wait_max: Duration,
    /// See [`LINGER`].
    pub linger: Duration,
    /// See [`NONCE_LIFE`].
    pub nonce_life: Duration,
    /// See [`FAILURES_BURST`].
    pub failures_burst: u32,
    /// See [`DRAIN_TIME_MAX`].
    pub drain_time_max: Duration,
    /// See [`SETUP_KEY_BURST`].
    pub setup_key_burst: f64,
    /// See [`SETUP_KEY_PER_SECOND`].
    pub setup_key_per_second: f64,
    /// See [`CERTIFICATE_LOOK_EVERY`].
    pub certificate_look_every: Duration,
}

impl Limits {
    /// The addresses of which connections and sessions are not counted: this machine's, unless a test
    /// wants to see that they are, which comes from here.
    pub fn uncounted(&self) -> Vec<IpAddr> {
        let usual = Self::default();
        let lowered = self.sessions_per_address_max < usual.sessions_per_address_max
            || self.connections_per_address_max < usual.connections_per_address_max
            || self.handshakes_per_address_max < usual.handshakes_per_address_max;
        match lowered {
            true => Vec::new(),
            false => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: SESSIONS_MAX,
            sessions_per_address_max: SESSIONS_PER_ADDRESS_MAX,
            connections_max: CONNECTIONS_MAX,
            connections_per_address_max: CONNECTIONS_PER_ADDRESS_MAX,
            handshakes_per_address_max: HANDSHAKES_PER_ADDRESS_MAX,
            tls_handshake_time_max: TLS_HANDSHAKE_TIME_MAX,
            connection_idle_max: CONNECTION_IDLE_MAX,
            body_silence_max: BODY_SILENCE_MAX,
            body_time_max: BODY_TIME_MAX,
            bodies_bytes_max: BODIES_BYTES_MAX,
            session_time_max: SESSION_TIME_MAX,
            answer_time_max: ANSWER_TIME_MAX,
            replace_time_max: REPLACE_TIME_MAX,
            converse_end_max: CONVERSE_END_MAX,
            goodbye_time_max: GOODBYE_TIME_MAX,
            stays_every: STAYS_EVERY,
            onboardings_at_once: ONBOARDINGS_AT_ONCE,
            onboard_wait_max: ONBOARD_WAIT_MAX,
            onboard_time_max: ONBOARD_TIME_MAX,
            work_wait_max: WORK_WAIT_MAX,
            linger: LINGER,
            nonce_life: NONCE_LIFE,
            failures_burst: FAILURES_BURST,
            drain_time_max: DRAIN_TIME_MAX,
            setup_key_burst: SETUP_KEY_BURST,
            setup_key_per_second: SETUP_KEY_PER_SECOND,
            certificate_look_every: CERTIFICATE_LOOK_EVERY,
        }
    }
}

/// Challenges in a row that nobody at an address answers before it is offered something simpler. A
/// device that is asked answers at once; a probe of a load balancer never does.
pub const UNANSWERED_MAX: u8 = 3;

/// How long an address is offered what it was offered last: devices come at least once a day.
pub const OFFER_LIFE: Duration = Duration::from_secs(2 * 24 * 3600);

/// Addresses of which it is known what they answer, some 5 MiB. Those without a place are offered
/// everything.
pub const OFFERS_MAX: usize = 65_536;

/// How long it is remembered that a message behind a proxy could not be told whose it is: longer than a session waits.
pub const STRAY_LIFE: Duration = Duration::from_secs(10 * 60);

/// Addresses of which that is remembered, some 3 MiB. Of those without a place it is not known.
pub const STRAYS_MAX: usize = 65_536;

/// Seconds between two visits of a device that may be configured. Ten thousand devices that come
/// twice a minute are the sessions that a node has room for; one that comes once a week is no longer
/// managed.
pub const PERIODIC_INFORM_SECONDS: std::ops::RangeInclusive<u64> = 30..=604_800;
