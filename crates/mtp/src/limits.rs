//! Every limit of the transports, with its reason. Nothing else in this crate chooses a number.
//!
//! Those that depend on a deployment are defaults of [`crate::listen::Socket`],
//! [`crate::ws::LinkLimits`] or [`crate::ws::DialConfig`] and can be set there.

use std::time::Duration;

/// The largest Record accepted, all its fragments together: what the codec takes, so that a larger
/// one is closed as "too big" (1009) and not as unparsable (1003).
pub const RECORD_BYTES_MAX: usize = usp::limits::RECORD_BYTES_MAX;

/// How long a Record may take from its first byte to its last, over any transport; with MQTT and STOMP, the packet or
/// frame that it comes in. The largest one has come by then over 70 kbit/s.
pub const RECORD_TIME_MAX: Duration = Duration::from_secs(600);

/// The most fragments one Record may come in. Small devices send 1 to 4 KiB pieces, which makes a
/// few thousand for the largest Record; empty fragments without end must not keep a link busy.
pub const FRAGMENTS_MAX: u32 = 16_384;

/// Bytes of one frame that a tunnel (MQTT over WebSocket) writes: what is queued twice, above and below,
/// is no more than this.
pub const TUNNEL_FRAME_BYTES_MAX: usize = 64 * 1024;

/// Bytes asked from the socket at once. They live on the stack of the read, not in the link, so
/// that an idle link owns no buffer; one TLS record fits.
pub const READ_CHUNK_BYTES: usize = 16 * 1024;

/// The most memory reserved for a payload because a frame header announced it. Beyond that the
/// buffer grows with what has really arrived, so that announcing costs the peer its own bytes.
pub const PAYLOAD_RESERVE_BYTES_MAX: usize = 64 * 1024;

/// Bytes waiting to be written above which `send` waits for the peer to read. Below it a send
/// never waits, so two ends that send to each other at the same time cannot block each other.
pub const SEND_QUEUE_BYTES: usize = 256 * 1024;

/// How long `send` waits for a peer that does not read before it gives the link up.
pub const SEND_STALL_MAX: Duration = Duration::from_secs(30);

/// How long the closing handshake may take before the socket is dropped. A peer that is there
/// answers within a round trip; one that is not must not hold a session's place.
pub const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);

/// The longest close reason RFC 6455 has room for: 125 bytes of a control frame less the code.
pub const CLOSE_REASON_BYTES_MAX: usize = 123;

/// How long TLS and the HTTP upgrade may take together, from accept to link. Ten seconds is many
/// times what a device on a satellite link needs and short enough that half-open peers fade away.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// The largest head of an HTTP upgrade request or answer. Ours have a few hundred bytes; 8 KiB is
/// what common HTTP servers take.
pub const HTTP_HEAD_BYTES_MAX: usize = 8 * 1024;

/// The part of a refusing server's body that is kept for the error message.
pub const REFUSAL_BODY_BYTES_MAX: usize = 512;

/// Links of one listener at the same time, those in their handshake included. With about a
/// kilobyte a link and the operating system's buffers this is far below what a server can hold;
/// it exists so that a flood ends in refusals and not in an out-of-memory kill.
pub const CONNECTIONS_MAX: usize = 200_000;

/// Handshakes of one listener under way at the same time. Each may hold TLS buffers and up to
/// [`HTTP_HEAD_BYTES_MAX`]; a fleet that returns after a power cut passes in waves of this size and
/// the rest waits in the kernel's accept queue.
pub const HANDSHAKES_MAX: usize = 4_096;

/// Links from one address (IPv6: one /64) at the same time. Homes behind one carrier-grade NAT
/// address are thousands, not tens of thousands.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 4_096;

/// Handshakes from one address (IPv6: one /64) under way at the same time: what keeps one host
/// that opens connections and says nothing from filling [`HANDSHAKES_MAX`].
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 256;

/// How long the accept loop rests when the operating system has no socket to give (for example
/// "too many open files"): long enough not to spin, short enough not to be noticed.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The whole of dialling: name resolution, TCP, TLS and the upgrade.
pub const DIAL_TIME_MAX: Duration = Duration::from_secs(20);

/// The least time one of several addresses of a name gets before the next is tried.
pub const DIAL_ADDRESS_TIME_MIN: Duration = Duration::from_secs(3);

/// When the operating system asks a silent peer for a sign of life: what notices a dead one where nothing else is pinged,
/// like an MQTT 3.1.1 client that has switched its keep-alive off, or a STOMP server without heart-beats.
pub const TCP_KEEP_ALIVE: Duration = Duration::from_secs(120);

/// How often it asks again where there is no answer.
pub const TCP_KEEP_ALIVE_AGAIN: Duration = Duration::from_secs(20);

/// How often it asks before the connection is over.
pub const TCP_KEEP_ALIVE_TRIES: u32 = 6;

/// How long a peer that is gone keeps a connection, at most: this long nothing is answered, be it what was sent or what
/// the operating system asks.
pub const TCP_SILENCE_MAX: Duration = Duration::from_secs(
    TCP_KEEP_ALIVE.as_secs() + TCP_KEEP_ALIVE_AGAIN.as_secs() * TCP_KEEP_ALIVE_TRIES as u64,
);

/// How long a peer may stay silent after a ping before the link counts as dead.
pub const PONG_TIME_MAX: Duration = Duration::from_secs(20);

/// Default of `Controller.{i}.MTP.{i}.WebSocket.KeepAliveInterval`.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// Default of `SessionRetryMinimumWaitInterval` (R-WS.19).
pub const RETRY_MINIMUM_WAIT: Duration = Duration::from_secs(5);

/// Default of `SessionRetryIntervalMultiplier` in thousandths (R-WS.19).
pub const RETRY_INTERVAL_MULTIPLIER: u32 = 2_000;

/// The largest certificate, key or CA file read. A bundle of all public CAs has about 250 KiB.
pub const PEM_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bits of the RSA key of a device: what is shorter can be broken, and TLS does not take it.
pub const RSA_BITS_MIN: usize = 2048;

/// The longest that TLS takes, here and at most of its peers.
pub const RSA_BITS_MAX: usize = 8192;

/// Endpoint ids taken from one certificate. One is normal, a few for a server of several tenants.
pub const CERTIFICATE_IDS_MAX: usize = 64;

/// TLS sessions that a listener keeps for clients that come again and know no tickets: old ones, with
/// TLS 1.2 alone. Each is some hundred bytes, and the client's certificate where it has one; the
/// oldest goes first.
pub const TLS_SESSIONS_MAX: usize = 10_000;

/// Bytes of the certificates that come with a signed record. A chain of four has about 8 KiB.
pub const SENDER_CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

/// How many these may be: each is looked at with every record.
pub const SENDER_CERTIFICATES_MAX: usize = 8;

/// What an MQTT packet may be longer than the Record in it: topic, response topic and properties.
pub const MQTT_PACKET_OVERHEAD_BYTES: usize = 16 * 1024;

/// The largest MQTT packet before a client is admitted: a CONNECT has some hundred bytes; a will and
/// many user properties fit.
pub const MQTT_CONNECT_BYTES_MAX: usize = 16 * 1024;

/// The longest text of an MQTT packet: a topic with an escaped reply topic has some hundred bytes.
pub const MQTT_TEXT_BYTES_MAX: usize = 4 * 1024;

/// Properties of one MQTT packet. Those of USP are three.
pub const MQTT_PROPERTIES_MAX: usize = 64;

/// Of the topic of a message that is not taken, what is kept to name it: prefix, tenant and endpoint id.
pub const MQTT_REFUSED_TOPIC_BYTES: usize = 512;

/// Filters of one SUBSCRIBE or UNSUBSCRIBE, and subscriptions of one client. An agent has one to
/// three.
pub const MQTT_FILTERS_MAX: usize = 32;

/// Publishes of QoS 1 that we have in flight towards one peer; the others wait. What MQTT 3.1.1
/// clients, which cannot say how many they take, commonly have.
pub const MQTT_IN_FLIGHT_MAX: u16 = 20;

/// The same of a Controller towards a broker, behind which are many: as many as the broker takes, and never more than
/// this. With 20 of them a broker 40 ms away would be 500 records a second for the whole fleet.
pub const MQTT_CONTROLLER_IN_FLIGHT_MAX: u16 = 16_384;

/// Messages that a broker may send before it confirms the subscription they come by: what it has kept
/// for us. Together they are no larger than the largest packet.
pub const MQTT_EARLY_MAX: usize = 64;

/// Default of `MQTT.Client.{i}.KeepAliveTime`, in seconds.
pub const MQTT_KEEP_ALIVE: u16 = 60;

/// Defaults of `MQTT.Client.{i}.ConnectRetryTime` and `ConnectRetryMaxInterval`, in seconds.
pub const MQTT_RETRY_TIME: u32 = 5;
/// See [`MQTT_RETRY_TIME`].
pub const MQTT_RETRY_MAX_INTERVAL: u32 = 30_720;

/// The largest frame of a UNIX domain socket: the largest Record, and handshakes or unknown values
/// that may come with it.
pub const UDS_FRAME_BYTES_MAX: usize = RECORD_BYTES_MAX + UDS_HANDSHAKE_BYTES_MAX;

/// The same before the handshake is done: an endpoint id, and perhaps a password.
pub const UDS_HANDSHAKE_BYTES_MAX: usize = 16 * 1024;

/// How long a handshake may take (R-UDS.18).
pub const UDS_HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a client waits before it connects again, at least and at most (R-UDS.5).
pub const UDS_RETRY_MIN: Duration = Duration::from_secs(1);
/// See [`UDS_RETRY_MIN`].
pub const UDS_RETRY_MAX: Duration = Duration::from_secs(5);

/// Characters of an Error frame that are kept.
pub const UDS_ERROR_CHARS_MAX: usize = 256;

/// Connections to one socket file at the same time, those in their handshake included. The processes
/// of a device that speak USP are a handful.
pub const UDS_CONNECTIONS_MAX: usize = 64;

/// Connections that wait in the kernel to be accepted.
pub const UDS_BACKLOG: u32 = 32;

/// Default permissions of a socket file: its own user's processes.
pub const UDS_SOCKET_MODE: u32 = 0o600;

/// The largest head of a STOMP frame, command and headers: destinations and user names have some
/// hundred bytes.
pub const STOMP_HEAD_BYTES_MAX: usize = 16 * 1024;

/// The largest body of a STOMP message that is gone past: twice what RabbitMQ takes. What announces more is no message.
pub const STOMP_SKIPPED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Of the destination of a message that is not taken, what is kept to name it.
pub const STOMP_REFUSED_DESTINATION_BYTES: usize = 512;

/// Headers of one STOMP frame. Ours have up to seven, servers add some.
pub const STOMP_HEADERS_MAX: usize = 64;

/// Intervals without a heart-beat after which a STOMP server counts as gone: one may be late.
pub const STOMP_HEART_BEATS_MISSED_MAX: u32 = 2;

/// Defaults of `STOMP.Connection.{i}.ServerRetryInitialInterval` and `ServerRetryMaxInterval`, in
/// seconds.
pub const STOMP_RETRY_INITIAL_INTERVAL: u32 = 60;
/// See [`STOMP_RETRY_INITIAL_INTERVAL`].
pub const STOMP_RETRY_MAX_INTERVAL: u32 = 30_720;

/// The longest content of a DHCP option that is looked into. Version 4 has 255 bytes in one piece; an
/// offer of ours has some hundred in either version.
pub const DHCP_OPTION_BYTES_MAX: usize = 4096;

/// The longest data of all sub-options together in DHCPv4: their length has one byte, and dnsmasq sends
/// no more than this.
pub const DHCP_V4_DATA_BYTES_MAX: usize = 250;

/// Characters of a provisioning code, as the data model says.
pub const PROVISIONING_CODE_CHARS_MAX: usize = 64;

/// The largest file of leases that is read. Clients keep some leases of some hundred bytes.
pub const LEASES_BYTES_MAX: usize = 1024 * 1024;

/// How long the name servers may take to say who the controller of a domain is, all questions together.
pub const DOMAIN_LOOKUP_TIME_MAX: Duration = Duration::from_secs(20);

/// Characters of the name of a domain (RFC 1035, 2.3.4), and of what is shown of what is none.
pub const DOMAIN_CHARS_MAX: usize = 253;

/// Records of one answer of a name server that are looked at.
pub const DOMAIN_RECORDS_MAX: usize = 32;

/// The largest packet of multicast DNS (RFC 6762, 17).
pub const MDNS_PACKET_BYTES_MAX: usize = 9000;

/// Packets of multicast DNS that are looked into in a second: a busy network has some dozens.
pub const MDNS_PACKETS_MAX: u32 = 500;

/// Records of one packet that are looked at, and texts of one record.
pub const MDNS_RECORDS_MAX: usize = 256;

/// Services of others that are remembered at the same time, of one network: those of a home, or of a rack. More are not
/// heard of.
pub const MDNS_FOUND_MAX: usize = 256;

/// Addresses of one host that are remembered.
pub const MDNS_ADDRESSES_MAX: usize = 8;

/// How long a service is borne in mind that has a name and no place yet, while it is asked for that.
pub const MDNS_HALF_KNOWN_MAX: Duration = Duration::from_secs(60);

/// How long what was taken back, or was replaced, still holds: others may say at once that it is so (RFC 6762, 10.1, 10.2).
pub const MDNS_GRACE: Duration = Duration::from_secs(1);

/// Services that one message asks about: with names of ordinary length it fits a packet.
pub const MDNS_QUESTIONS_MAX: usize = 16;

/// Networks of this host on which multicast DNS is spoken, and addresses of one of them that are told.
pub const MDNS_INTERFACES_MAX: usize = 32;

/// How often the networks of the host are looked at: cables are plugged in, addresses come by DHCP.
pub const MDNS_INTERFACES_EVERY: Duration = Duration::from_secs(5);

/// We tell what we have at most once in this time, however often we are asked (RFC 6762, 6).
pub const MDNS_ANSWER_EVERY: Duration = Duration::from_secs(1);

/// The longest wait between our questions: shorter than half the life of what is found.
pub const MDNS_ASK_EVERY_MAX: Duration = Duration::from_secs(55);

/// How long others remember which services there are, and the longest that we do, in seconds (RFC 6762, 10).
pub const MDNS_TTL_SERVICE: u32 = 4500;

/// How long others remember where a service is, in seconds (RFC 6762, 10).
pub const MDNS_TTL_HOST: u32 = 120;
