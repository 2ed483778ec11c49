//! Why a connection was turned away, in words, with what to do about it.

use fleet::onboarding::Refusal as R;

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
        "If many devices sit behind one address, name it in the configuration as a proxy.",
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
        "Use ws:// on the device, or the port with TLS.",
    ),
    (
        "plaintext-on-tls-listener",
        "The device speaks without TLS to the port with TLS",
        "Use wss:// on the device, or the port without TLS.",
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
        "Something else than a USP agent uses this port.",
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
        "bad-endpoint-id",
        "What the device gives as its endpoint id is none",
        "Correct it on the device; the detail names what is wrong.",
    ),
    (
        "endpoint-id-conflict",
        "The device names different endpoint ids in one request",
        "Make query, header and certificate agree.",
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

/// A reason in words, with what to do.
pub fn words(reason: &str) -> String {
    if let Some((_, what, advice)) = TRANSPORT.iter().find(|(name, _, _)| *name == reason) {
        return format!("{what}. {advice}");
    }
    // The domain's names have underscores, the transport's the same with dashes.
    let name = reason.replace('-', "_");
    match R::ALL.into_iter().find(|one| one.as_str() == name) {
        Some(one) => format!("{}. {}", upper(one.explanation()), advice(one)),
        None => upper(&name.replace('_', " ")),
    }
}

fn advice(reason: R) -> &'static str {
    match reason {
        R::UnknownCredential => {
            "Correct it on the device; create a setup key if there is none, or re-admit the device if it lost its own."
        }
        R::SetupKeyUnusable => "Give the device a setup key that is in force.",
        R::SetupKeyLimited => "Nothing, it tries again by itself.",
        R::EndpointMismatch => {
            "Each device needs its own credential: re-admit it, or correct its endpoint id."
        }
        R::TokenSuperseded => {
            "It has lost a newer credential, as after restoring a backup: re-admit it."
        }
        R::ReadmitNeeded => "Its page has the button.",
        R::TokenExpected => {
            "Write that token into the device, or re-admit it to let the setup key open it once."
        }
        R::CertificateRequired => {
            "Install its certificate on the device and let it dial wss://, or no longer require one."
        }
        R::NotRegistered => "Register the device with its endpoint id first.",
        R::TenantMissing => "Let the URL path on the device end with the tenant, like /usp/TENANT.",
        R::TenantDisabled => "Enable the tenant again; the device comes back by itself.",
        R::EndpointMissing => "Add ?eid= and its endpoint id to the URL path on the device.",
        R::WeakerThanOpenLink => "Find out which of the two is the real one.",
        R::Flapping => "Give each of them its own endpoint id.",
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
            T::BadEndpointId,
            T::EndpointIdConflict,
            T::UnknownPath,
            T::UnknownCredential,
            T::Unavailable,
        ] {
            assert!(words(one.name()).contains(". "), "{}", one.name());
        }
        assert_eq!(words("some-policy"), "Some policy");
    }
}
