//! Every limit of the broker, with its reason. Those of connections, packets and buffers are the
//! transports' ([`mtp::limits`]).

use std::time::Duration;

/// Publishes of QoS 1 and 2 that a client may have in flight: they are taken one after the other,
/// so more would only wait in its own buffers.
pub const RECEIVE_MAXIMUM: u16 = 16;

/// The longest keep-alive a client may have; MQTT 5 clients are told. A dead peer is noticed after
/// one and a half of it.
pub const KEEP_ALIVE_MAX: u16 = 120;

/// How long a client that is refused has to read why, before its connection is dropped: what it is
/// recorded as does not depend on that.
pub const REFUSAL_TIME_MAX: Duration = Duration::from_secs(2);

/// Wrong topics of one connection after which it is closed: a device in a loop costs everybody
/// time, and reconnecting it waits longer each time.
pub const WRONG_TOPICS_MAX: u32 = 100;

/// The longest prefix of topics.
pub const PREFIX_BYTES_MAX: usize = 64;
