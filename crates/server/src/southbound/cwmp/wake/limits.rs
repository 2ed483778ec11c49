//! Every limit of waking devices, with its reason.

use std::time::Duration;

/// Those limits that a test sets lower, with their defaults.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// See `HTTP_TIME_MAX`.
    pub http_time: Duration,
    /// See `XMPP_ANSWER_TIME`.
    pub xmpp_answer_time: Duration,
    /// See `COME_TIME`.
    pub come_time: Duration,
    /// See `UDP_COME_TIME`.
    pub udp_come_time: Duration,
    /// See `INTERVAL`.
    pub interval: Duration,
    /// See `RETRY_MIN`.
    pub retry_min: Duration,
    /// See `SWEEP_FIRST`.
    pub sweep_first: Duration,
    /// See `SWEEP_EVERY`.
    pub sweep_every: Duration,
    /// See `DEVICES_MAX`.
    pub devices_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http_time: HTTP_TIME_MAX,
            xmpp_answer_time: XMPP_ANSWER_TIME,
            come_time: COME_TIME,
            udp_come_time: UDP_COME_TIME,
            interval: INTERVAL,
            retry_min: RETRY_MIN,
            sweep_first: SWEEP_FIRST,
            sweep_every: SWEEP_EVERY,
            devices_max: DEVICES_MAX,
        }
    }
}

/// Requests under way at the same time to devices that somebody wants now, and as many again to those
/// that did not come the first time. A tenant may hold as many as are free, half of them when it is
/// alone. Each holds a socket for at most [`HTTP_TIME_MAX`], so 20,000 devices that are all off are
/// gone through in a quarter of an hour.
pub const AT_ONCE: usize = 512;

/// Devices that are being woken, or whose last attempts are remembered: some 2 KiB each. A device
/// more is woken when another one has come; the sweep finds it.
pub const DEVICES_MAX: usize = 50_000;

/// Attempts remembered for each device.
pub const ATTEMPTS_KEPT: usize = 20;

/// Time for one connection request over HTTP, with the challenge. The slowest CPEs take some
/// seconds for a Digest over TLS.
pub const HTTP_TIME_MAX: Duration = Duration::from_secs(10);

/// Time to find the addresses of a name.
pub const RESOLVE_TIME_MAX: Duration = Duration::from_secs(5);

/// Names that are looked up at the same time. A lookup goes on when nobody waits for it any more, in
/// threads that others need too.
pub const LOOKUPS_AT_ONCE: usize = 32;

/// Addresses of one name that are tried.
pub const ADDRESSES_MAX: usize = 4;

/// Time that one of several addresses has to be connected to, so that the next one has its turn.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);

/// How long a device that agreed may take to come: the standard says 30 seconds, and the way is
/// not instant.
pub const COME_TIME: Duration = Duration::from_secs(35);

/// How long to wait after a datagram, which nobody answers, before another way is tried. Devices
/// that hear it come within seconds.
pub const UDP_COME_TIME: Duration = Duration::from_secs(12);

/// Time between two rounds of attempts at one device, in the long run: CPEs refuse more often.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Rounds at one device that may follow each other at once before [`INTERVAL`] counts: a person at
/// work asks for a few things in a row, and the device has come for each of them.
pub const ROUNDS_BURST: u32 = 4;

/// Shortest wait before a device that did not come is asked again, while an operation waits for it.
pub const RETRY_MIN: Duration = Duration::from_secs(30);

/// How far that wait doubles. Longer would not spare anybody anything.
pub const RETRY_MAX: Duration = Duration::from_secs(3600);

/// How often the store is asked for devices with waiting operations that nobody is waking: after a
/// start, when there was no room, when another node queued them.
pub const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// When that is done first: what waited when the server ended shall not wait longer for it, and the
/// claims of its earlier life have to be given back before.
pub const SWEEP_FIRST: Duration = Duration::from_secs(10);

/// The event log hears this often that a device cannot be woken.
pub const EVENT_EVERY: Duration = Duration::from_secs(3600);

/// Such events of one tenant within [`EVENT_EVERY`]: in an outage the first thousand say it all.
pub const EVENTS_MAX: u32 = 1_000;

/// Copies of a UDP connection request: the standard sends three, because datagrams are lost.
pub const UDP_COPIES: usize = 3;

/// Time between them, so that one short disturbance does not take all.
pub const UDP_COPY_EVERY: Duration = Duration::from_millis(200);

/// Bytes of a datagram that are read; one more than a STUN message may have.
pub const DATAGRAM_BYTES: usize = cwmp::limits::STUN_BYTES_MAX + 1;

/// How long the STUN server remembers from which address of ours it sends to somebody: routes seldom change.
pub const OWN_KEPT: Duration = Duration::from_secs(60);

/// For how many it remembers that: 8 bytes each; then it begins anew.
pub const OWN_MAX: usize = 20_000;

/// How long the STUN server rests when its socket fails.
pub const RECEIVE_PAUSE: Duration = Duration::from_millis(10);

/// STUN requests from one address at once before [`STUN_PER_SECOND`] counts. Behind a carrier's NAT
/// thousands of devices have one address.
pub const STUN_BURST: u32 = 2_000;

/// STUN requests from one address in the long run: 12,000 devices that ask twice a minute. It also
/// bounds what a forged sender can make us send to somebody else.
pub const STUN_PER_SECOND: f64 = 400.0;

/// Devices whose address outside of their NAT is remembered: some 100 bytes each. What was not
/// refreshed for longest goes first.
pub const BINDINGS_MAX: usize = 200_000;

/// A binding that was not refreshed for so long is nobody's any more. The longest keep-alive that a
/// device may be told is below.
pub const BINDING_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Time for a CPE to answer a connection request over XMPP.
pub const XMPP_ANSWER_TIME: Duration = Duration::from_secs(10);

/// XMPP requests that wait for their answers.
pub const XMPP_PENDING_MAX: usize = 1_024;

/// XMPP requests on their way to the stream.
pub const XMPP_QUEUE: usize = 64;

/// Time for connection, TLS, authentication and resource at the XMPP server.
pub const XMPP_READY_TIME: Duration = Duration::from_secs(30);

/// Time for the name servers to say where the XMPP server of our domain is; then it is looked for at the domain itself.
pub const XMPP_LOOKUP_TIME: Duration = Duration::from_secs(8);

/// Places of the XMPP server that are tried: more have no room in [`XMPP_READY_TIME`].
pub const XMPP_PLACES_MAX: usize = 8;

/// Silence on the XMPP stream after which a sign of life is asked for.
pub const XMPP_PING_AFTER: Duration = Duration::from_secs(60);

/// Silence after which the stream is dead.
pub const XMPP_DEAD_AFTER: Duration = Duration::from_secs(90);

/// Shortest wait before the XMPP server is connected to again; doubling.
pub const XMPP_RETRY_MIN: Duration = Duration::from_secs(2);

/// Longest of these waits.
pub const XMPP_RETRY_MAX: Duration = Duration::from_secs(300);
