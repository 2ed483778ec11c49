//! An [`Offer`] as lines for dnsmasq: who says that it is an agent gets it, whether it asks for the option or not.
//!
//! dnsmasq guesses from a value whether it is a text, a number or bytes, and what the standard wants is text, numbers
//! too (R-DIS.1a). So whatever it would take for a number goes as bytes, and the comment says what they mean.

use super::dhcp::{self, ENTERPRISE, Offer, OfferError, Version};

/// The lines, comments included.
pub fn lines(offer: &Offer, version: Version) -> Result<Vec<String>, OfferError> {
    // What fits is decided in one place.
    offer.encode(version)?;
    let (class, given) = (version.class_option(), version.offer_option());
    let (name, tag, option) = match version {
        Version::V4 => ("IPv4", "usp", ""),
        Version::V6 => ("IPv6", "usp6", "option6:"),
    };
    let mut lines = vec![
        format!(
            "# DHCP for {name}: who sends the class \"usp\" of enterprise {ENTERPRISE} in option {class} is an agent"
        ),
        match version {
            Version::V4 => format!("dhcp-match=set:{tag},vi-encap:{ENTERPRISE},usp"),
            Version::V6 => format!("dhcp-vendorclass=set:{tag},enterprise:{ENTERPRISE},usp"),
        },
        format!("# ... and is told in option {given}:"),
    ];
    for (code, text) in offer.parts() {
        lines.push(format!("# {}: {}", meaning(code), printable(&text)));
        lines.push(format!(
            "dhcp-option-force=tag:{tag},vi-encap:{ENTERPRISE},{option}{code},{}",
            value(&text)
        ));
    }
    Ok(lines)
}

fn meaning(code: u16) -> &'static str {
    match code {
        dhcp::URL => "where the controller is",
        dhcp::PROVISIONING_CODE => "the provisioning code",
        dhcp::RETRY_MIN_WAIT => "seconds before a notification is sent again, at least",
        dhcp::RETRY_MULTIPLIER => "by how much that grows each time, in thousandths",
        _ => "who the controller is (endpoint id)",
    }
}

/// Without what would end the line.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A value that dnsmasq sends as these bytes. It takes for a text what cannot be bytes in hexadecimal, an address or a
/// number with a letter for its width behind it.
fn value(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?=&@%+".contains(&b);
    let text_for_sure = text
        .bytes()
        .filter(|b| matches!(b, b'g'..=b'z' | b'G'..=b'Z'))
        .count()
        > 1;
    if text_for_sure && text.bytes().all(plain) {
        return text.to_owned();
    }
    match text.as_bytes() {
        // A single one would be read as a decimal number anyway.
        [byte] => byte.to_string(),
        bytes => {
            let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            pairs.join(":")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_read_as_a_number_goes_as_bytes() {
        for (text, written) in [
            (
                "wss://usp.example.net:8443/usp",
                "wss://usp.example.net:8443/usp",
            ),
            ("self::headend-1", "self::headend-1"),
            ("5", "53"),
            ("2000", "32:30:30:30"),
            ("12s", "31:32:73"),
            ("ab:cd", "61:62:3a:63:64"),
            ("10.0.0.1", "31:30:2e:30:2e:30:2e:31"),
            ("Haus, Hof", "48:61:75:73:2c:20:48:6f:66"),
            ("zoo", "zoo"),
            ("é", "c3:a9"),
        ] {
            assert_eq!(value(text), written, "{text}");
        }
    }

    #[test]
    fn lines_say_what_they_do_for_agents_alone() {
        let offer = Offer {
            url: Some("ws://a.example/usp".into()),
            retry_min_wait: Some(5),
            ..Offer::default()
        };
        assert_eq!(
            lines(&offer, Version::V4).unwrap(),
            [
                "# DHCP for IPv4: who sends the class \"usp\" of enterprise 3561 in option 124 is an agent",
                "dhcp-match=set:usp,vi-encap:3561,usp",
                "# ... and is told in option 125:",
                "# where the controller is: ws://a.example/usp",
                "dhcp-option-force=tag:usp,vi-encap:3561,25,ws://a.example/usp",
                "# seconds before a notification is sent again, at least: 5",
                "dhcp-option-force=tag:usp,vi-encap:3561,27,53",
            ]
        );
        let six = lines(&offer, Version::V6).unwrap();
        assert_eq!(six[1], "dhcp-vendorclass=set:usp6,enterprise:3561,usp");
        assert_eq!(
            six[4],
            "dhcp-option-force=tag:usp6,vi-encap:3561,option6:25,ws://a.example/usp"
        );
    }

    #[test]
    fn what_does_not_fit_is_no_line() {
        let offer = Offer {
            url: Some(format!("ws://{}", "a".repeat(250))),
            ..Offer::default()
        };
        assert!(lines(&offer, Version::V4).is_err());
        assert!(lines(&offer, Version::V6).is_ok());
    }
}
