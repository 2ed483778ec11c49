//! Why a connection was turned away, in words, with what to do about it.

use fleet::onboarding::Refusal as R;

use super::refusal_words_acs as acs;

/// The transport's own reasons, by name: what happened, and what to do.
const TRANSPORT: &[(&str, &str, &str)] = &[
    (
        "too-many-connections",
        "The listener has as many connections as it may",
        "Look for devices that connect again and again; more nodes carry more.",
    ),
    (
        "too-many-from-address",
        "This address has as many connections as it may",
        "If it is a load balancer or proxy of yours, name it in usp.proxies or cwmp.proxies.",
    ),
    (
        "too-many-handshakes",
        "Too many connections from this address were being opened at once",
        "Nothing, they try again; if it stays, look for a device in a loop.",
    ),
    (
        "handshake-timeout",
        "The connection was opened and then nothing came",
        "A firewall or proxy may be dropping packets; a port scanner does the same.",
    ),
    (
        "handshake-abandoned",
        "The peer went away before the connection was complete",
        "Often a port scanner or a health check; a device would try again.",
    ),
    (
        "tls-on-plaintext-listener",
        "The device speaks TLS to the port without TLS",
        "Use ws:// or http:// on the device, or the port with TLS.",
    ),
    (
        "plaintext-on-tls-listener",
        "The device speaks without TLS to the port with TLS",
        "Use wss:// or https:// on the device, or the port without TLS.",
    ),
    (
        "tls-failed",
        "The TLS handshake failed",
        "Mostly the device does not trust this server's certificate, or its clock is wrong; the detail says more.",
    ),
    (
        "certificate-missing",
        "A client certificate is demanded and the device gave none",
        "Install one on the device, or stop demanding it.",
    ),
    (
        "certificate-rejected",
        "The device's client certificate is not acceptable",
        "Check issuer and dates; the detail says more.",
    ),
    (
        "certificate-without-endpoint-id",
        "The device's client certificate carries no endpoint id",
        "Issue one with a urn:bbf:usp:id: name.",
    ),
    (
        "malformed-request",
        "What came is no HTTP request",
        "Something else than a device uses this port.",
    ),
    (
        "request-too-large",
        "The head of the request is too large",
        "Look at the path and headers the device sends.",
    ),
    (
        "not-a-websocket-request",
        "An HTTP request came that opens no WebSocket",
        "Somebody opened the device port in a browser, or a proxy in front drops the Upgrade header.",
    ),
    (
        "no-subprotocol",
        "The device does not offer the subprotocol v1.usp",
        "Its agent is not a USP agent, or a proxy drops Sec-WebSocket-Protocol.",
    ),
    (
        "malformed-connect",
        "What came is no CONNECT of MQTT 5.0 or 3.1.1",
        "Something else than a device uses this port, or its MQTT client is older than 3.1.1; the detail says more.",
    ),
    (
        "bare-username",
        "The MQTT user name does not say whose device it is",
        "Use TENANT/setup with a setup key, or TENANT/DEVICE with the device's own credential.",
    ),
    (
        "bad-endpoint-id",
        "What the device gives as its endpoint id is none",
        "Correct it on the device; the detail names what is wrong.",
    ),
    (
        "endpoint-id-conflict",
        "The device names different endpoint ids in one request",
        "Make query, header and certificate agree; at a broker that asks, user name and client identifier.",
    ),
    (
        "unknown-path",
        "There is nothing at this path",
        "The path is /usp/ and a setup key.",
    ),
    (
        "unavailable",
        "The server could not decide at that moment",
        "Nothing, the device tries again; if it stays, look at the database.",
    ),
];

/// What a device that was let in did wrong, by name: what happened, and what to do.
const CONDUCT: &[(&str, &str, &str)] = &[
    (
        "unparsable-record",
        "The device sent something that is no USP record; over WebSocket its connection was closed for it (1003)",
        "Its agent is defective, or something on the way changes what it sends.",
    ),
    (
        "websocket-violation",
        "The device broke the WebSocket protocol, or sent text where USP is binary; its connection was closed",
        "Its agent is defective, or a proxy on the way changes what it sends.",
    ),
    (
        "mqtt-violation",
        "The device broke the MQTT protocol; its connection was closed",
        "Its MQTT client is defective; the detail names what it sent.",
    ),
    (
        "mqtt-limit-exceeded",
        "The device went beyond a limit of the broker; its connection was closed",
        "The detail names the limit: wrong topics again and again, publishes it does not complete, or records it is sent and does not acknowledge. Its MQTT client is defective.",
    ),
    (
        "record-too-slow",
        "The device sent a piece of a record and not the rest for ten minutes; its connection was closed",
        "It hangs while it sends, or its line is far too slow: ask for less at once, or let it report less.",
    ),
    (
        "record-too-large-for-device",
        "A record was larger than the device's MQTT client takes (its Maximum Packet Size), and was not sent",
        "Let its client take larger packets, or session contexts, which cut messages into pieces; or ask for less at once.",
    ),
    (
        "message-not-taken",
        "A message behind a broker was beyond a limit, or broken, and was dropped",
        "The detail names what is wrong with it and its topic. Its agent or its MQTT client is defective, or somebody means ill; larger records need session contexts, which cut them into pieces.",
    ),
    (
        "mqtt-version-mismatch",
        "The server speaks MQTT 3.1.1 with the device's broker, and the device 5.0, or STOMP: nothing that is sent to it would arrive",
        "Let the server speak 5.0 there (`version` of usp.brokers), which goes with devices of both, or the device 3.1.1. If it speaks STOMP, give usp.brokers an entry of STOMP for this broker, with a topic_prefix of its own, and let the device use the destinations below that.",
    ),
    (
        "mqtt-over-stomp",
        "The device speaks MQTT 3.1.1 at a broker, and below the topics where the server listens over STOMP: nothing that it says is taken there",
        "Give usp.brokers an entry of MQTT for this broker, with a topic_prefix of its own, and let the device use the topics below that; or let the device speak STOMP.",
    ),
    (
        "broker-refuses-record",
        "The broker did not take what the server has published to the device",
        "Look at the broker's access rules: the server has to be allowed to publish to PREFIX/+/agent/+ and below. The detail has the broker's word.",
    ),
    (
        "never-subscribed",
        "A device behind a broker publishes, and is not subscribed to where it is answered; it is not heard for a while",
        "Look at its agent, and whether the broker lets it subscribe to its own topic. Somebody else who may publish in its name does the same.",
    ),
    (
        "broker-inbox-full",
        "What devices of one tenant behind a broker sent waits to be worked off, and there is no room for more; it was dropped",
        "They send again what matters. Look why the server works it off so slowly: the database, most of all.",
    ),
    (
        "client-identifier-taken",
        "A device came to a broker that asks, with a client identifier that a device of another tenant has; two clients of one identifier end each other's connections",
        "Let it use TENANT/ENDPOINT as its client identifier, or find out who uses the other's name.",
    ),
    (
        "broker-ask-refused",
        "Somebody asked broker_auth without its secret",
        "If it is a broker of yours, correct the URL in its configuration; else keep others away from that listener.",
    ),
    (
        "tenant-not-behind-broker",
        "Somebody came to a broker, or published there, in the name of a tenant whose devices are not behind it, which was ignored",
        "If they are, add the tenant to `tenants` of usp.brokers, or of broker_auth, in the configuration and start again; else look at the access rules of that broker.",
    ),
    (
        "wrong-topic",
        "The device published or subscribed to a topic that is not its own, which was refused",
        "Correct its topics: the detail names the one it used. Its own are PREFIX/TENANT/agent/ENDPOINT and PREFIX/TENANT/controller/ENDPOINT.",
    ),
    (
        "wrong-resource",
        "A client of a broker that asks wanted a queue, an exchange or a virtual host that is not its own, which was refused",
        "The detail names it. Look at what that client is: an agent of USP wants nothing but its topics.",
    ),
    (
        "wrong-reply-topic",
        "The device wants to be answered at a topic that is not its own; at the broker inside what it sent was refused, behind another it is answered at its own",
        "Correct its response topic: it has to be PREFIX/TENANT/agent/ENDPOINT or below.",
    ),
    (
        "flooding",
        "The device, behind a broker, sends more than is worked off; the rest was dropped",
        "It sends again what matters. Look whether it is in a loop, or the database is slow.",
    ),
    (
        "too-many-devices",
        "There are too many devices behind one broker",
        "Divide them: by several brokers, or several servers with shared_group.",
    ),
    (
        "not-subscribed",
        "The device is not subscribed to the topic at which it wants to be answered, so nothing can be sent to it",
        "Let it subscribe to its own topic before it publishes; with MQTT 3.1.1 to what is below it, too.",
    ),
    (
        "not-a-record",
        "The device published something whose content type is not that of USP, which was refused",
        "Only USP records may be published; look for another client with the device's credential.",
    ),
    (
        "record-limit-exceeded",
        "The device sent a record beyond a limit; its connection was closed",
        "The detail names the limit; ask the device for less at once, or look for another firmware.",
    ),
    (
        "misaddressed-record",
        "The device sent records for another controller, which were ignored",
        "Compare Device.LocalAgent.Controller.{i}.EndpointID on the device with this server's.",
    ),
    (
        "record-of-another-endpoint",
        "The device sent records in the name of another endpoint, which were ignored",
        "A proxy between agents is not supported; else its agent is defective.",
    ),
    (
        "broken-record",
        "The device sent records or messages that break the standard, which were ignored",
        "The detail names what is wrong; look for another firmware.",
    ),
    (
        "unsupported-record",
        "The device uses signatures or session contexts in a way that this server is not configured for",
        "Compare usp.session_context with E2ESession.SessionMode and PayloadSecurity of this controller on the device.",
    ),
    (
        "unproven-record",
        "Records of the device lack a signature that is demanded, or have one that is not good; they are dropped",
        "The detail names what is wrong: compare the certificate of the device with usp.session_context.identity.",
    ),
    (
        "session-context-refused",
        "The device allows no session contexts, and this server requires them; its connection was closed",
        "Set E2ESession.SessionMode of this controller on the device to Allow, or usp.session_context.mode here to allow.",
    ),
    (
        "session-context-failed",
        "A session context with the device ended by a failure; another one is opened",
        "If it happens often: look at the transport, and at E2ESession.MaxRetransmitTries on the device.",
    ),
    (
        "incompatible-version",
        "The device speaks a version of USP that this server does not",
        "Look for another firmware.",
    ),
    (
        "too-many-notifications",
        "The device sends notifications faster than they can be stored",
        "Look at its subscriptions; it sends again what was not acknowledged.",
    ),
    (
        "event-log-filled",
        "The device has filled the event log faster than a device may: beyond that, what it says is not kept",
        "Look at its subscriptions, and at what it reports by itself. A USP device sends again what was not acknowledged; what a TR-069 device says is heard once.",
    ),
    (
        "no-connect-record",
        "The device opened a connection and then said nothing",
        "Its agent hangs or does not know this controller's endpoint id.",
    ),
];

/// Whether this is something a device did after it was let in.
pub fn is_conduct(reason: &str) -> bool {
    let mut all = CONDUCT.iter().chain(acs::CONDUCT);
    all.any(|(name, _, _)| *name == reason)
}

/// A reason in words, with what to do.
pub fn words(reason: &str) -> String {
    match advice(reason) {
        Some(advice) => format!("{}. {advice}", what(reason)),
        None => what(reason),
    }
}

/// A reason in words, without a full stop.
pub fn what(reason: &str) -> String {
    if let Some((_, what, _)) = ours(reason) {
        return (*what).to_owned();
    }
    match domain(reason) {
        Some(one) => upper(one.explanation()),
        None => upper(&reason.replace(['_', '-'], " ")),
    }
}

/// What to do about it.
pub fn advice(reason: &str) -> Option<&'static str> {
    match ours(reason) {
        Some((_, _, advice)) => Some(advice),
        None => domain(reason).map(remedy),
    }
}

fn ours(reason: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let ours = TRANSPORT.iter().chain(CONDUCT);
    let mut all = ours.chain(acs::TRANSPORT).chain(acs::CONDUCT);
    all.find(|(name, _, _)| *name == reason)
}

/// The domain's names have underscores, the transport's the same with dashes.
fn domain(reason: &str) -> Option<R> {
    let name = reason.replace('-', "_");
    R::ALL.into_iter().find(|one| one.as_str() == name)
}

fn remedy(reason: R) -> &'static str {
    match reason {
        R::UnknownCredential => {
            "Correct it on the device; create a setup key if there is none, or re-admit the device if it lost its own."
        }
        R::SetupKeyUnusable => "Give the device a setup key that is in force.",
        R::SetupKeyLimited => "Nothing, it tries again by itself.",
        R::EndpointMismatch => {
            "Each device needs its own credential or certificate: re-admit it, or correct its endpoint id."
        }
        R::TokenSuperseded => {
            "It has lost a newer credential, as after restoring a backup: re-admit it."
        }
        R::ReadmitNeeded => "If it was reset or replaced, re-admit it on its page.",
        R::TokenExpected => {
            "Write that token into the device, or re-admit it to let the setup key open it once."
        }
        R::CertificateRequired => {
            "Install its certificate on the device and let it use TLS, or no longer require one."
        }
        R::NotRegistered => "Register the device first.",
        R::CertificateRevoked => {
            "If it is one of yours, issue it another certificate; else somebody has its old one."
        }
        R::CertificateOfAnotherTenant => {
            "Let it come to its own tenant, or issue a certificate here. If it is none of yours, somebody tries to pass for it."
        }
        R::TenantMissing => {
            "Let the URL path on the device end with the tenant, like /usp/TENANT or /cwmp/TENANT. Where its certificate was not issued here and there are several tenants, name the tenant in pki.tenants."
        }
        R::TenantDisabled => "Enable the tenant again; the device comes back by itself.",
        R::EndpointMissing => {
            "USP: add ?eid= and its endpoint id to the URL path; behind a broker that asks, it is the client identifier, or over STOMP the end of the user name (TENANT/setup/ENDPOINT). TR-069: the device needs a serial number, and an OUI or a manufacturer."
        }
        R::WeakerThanOpenLink => "Find out which of the two is the real one.",
        R::Flapping => "Give each of them its own endpoint id.",
        R::BehindAnotherBroker => {
            "If it has moved, nothing: it is let in once it is silent there. Else somebody uses its name at one of the two brokers."
        }
        R::RegistrationsLimited => {
            "Nothing, it tries again by itself. If nobody rolls out devices there, look who may publish at that broker, or take `registers` away."
        }
        R::TooManyUnfinished => {
            "Look who may publish at that broker, and remove the devices that are not yours: those whose onboarding was begun and never came to its end. There is room again as soon as one is onboarded or removed."
        }
    }
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtp::ws::RefusalReason as T;

    #[test]
    fn every_reason_of_domain_and_transport_has_words_and_advice() {
        for one in R::ALL {
            assert!(words(one.as_str()).contains(". "), "{}", one.as_str());
        }
        for one in [
            T::TooManyConnections,
            T::TooManyFromAddress,
            T::TooManyHandshakes,
            T::HandshakeTimeout,
            T::HandshakeAbandoned,
            T::TlsOnPlaintextListener,
            T::PlaintextOnTlsListener,
            T::TlsFailed,
            T::CertificateMissing,
            T::CertificateRejected,
            T::CertificateWithoutEndpointId,
            T::MalformedRequest,
            T::RequestTooLarge,
            T::NotAWebSocketRequest,
            T::NoSubprotocol,
            T::MalformedConnect,
            T::BareUsername,
            T::BadEndpointId,
            T::EndpointIdConflict,
            T::UnknownPath,
            T::UnknownCredential,
            T::Unavailable,
        ] {
            assert!(words(one.name()).contains(". "), "{}", one.name());
        }
        for (name, _, _) in CONDUCT.iter().chain(acs::CONDUCT) {
            assert!(is_conduct(name) && words(name).contains(". "), "{name}");
        }
        for (name, _, _) in acs::TRANSPORT {
            assert!(!is_conduct(name) && words(name).contains(". "), "{name}");
        }
        assert_eq!(words("some-policy"), "Some policy");
    }
}
