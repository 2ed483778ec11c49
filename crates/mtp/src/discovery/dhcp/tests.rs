//! Contents of options, made by hand from the standards, and what is wrong with others.

use super::*;
use proptest::prelude::*;

fn full() -> Offer {
    Offer {
        url: Some("ws://a/u".into()),
        provisioning_code: Some("P".into()),
        retry_min_wait: Some(5),
        retry_multiplier: Some(2000),
        endpoint_id: Some("self::c".parse().unwrap()),
    }
}

/// By hand, from RFC 3925 and the table of the standard.
const V4: &[u8] = b"\x00\x00\x0d\xe9\x1f\
    \x19\x08ws://a/u\x1a\x01P\x1b\x015\x1c\x042000\x1d\x07self::c";

/// By hand, from RFC 8415, 21.17.
const V6: &[u8] = b"\x00\x00\x0d\xe9\
    \x00\x19\x00\x08ws://a/u\x00\x1a\x00\x01P\x00\x1b\x00\x015\x00\x1c\x00\x042000\x00\x1d\x00\x07self::c";

/// R-DIS.1
#[test]
fn an_agent_says_that_it_is_one() {
    assert_eq!(class(Version::V4), b"\x00\x00\x0d\xe9\x04\x03usp");
    assert_eq!(class(Version::V6), b"\x00\x00\x0d\xe9\x00\x03usp");
}

/// R-DIS.1a
#[test]
fn an_offer_is_text_on_the_wire_in_both_versions() {
    for (version, content) in [(Version::V4, V4), (Version::V6, V6)] {
        assert_eq!(full().encode(version).unwrap(), content, "{version:?}");
        let read = Offer::decode(version, content).unwrap();
        assert_eq!(read, Some(full()), "{version:?}");
    }
}

/// R-DIS.1c, TP-469 8.2
#[test]
fn a_nul_at_the_end_of_a_text_is_not_part_of_it() {
    // One NUL, and a value that is filled up with them.
    let content = b"\x00\x00\x0d\xe9\x0b\x1a\x03P1\0\x1b\x047\0\0\0";
    let offer = Offer::decode(Version::V4, content).unwrap().unwrap();
    assert_eq!(offer.provisioning_code.as_deref(), Some("P1"));
    assert_eq!(offer.retry_min_wait, Some(7));
    let within = b"\x00\x00\x0d\xe9\x05\x1a\x03P\x001";
    assert_eq!(
        Offer::decode(Version::V4, within),
        Err(OfferError::NotText(26))
    );
}

#[test]
fn what_is_of_others_is_left_alone() {
    // Another enterprise before and after; the URL of an ACS; a sub-option nobody knows.
    let content = b"\x00\x00\x00\x09\x02\x19\x00\
        \x00\x00\x0d\xe9\x08\x0b\x01x\xfa\x00\x1a\x01P\
        \x00\x00\x00\x02\x00";
    let offer = Offer::decode(Version::V4, content).unwrap().unwrap();
    assert_eq!(
        offer,
        Offer {
            provisioning_code: Some("P".into()),
            ..Offer::default()
        }
    );
    for content in [
        &b""[..],
        b"\x00\x00\x0d\xe9\x00",
        b"\x00\x00\x0d\xe9\x02\x19\x00",
    ] {
        assert_eq!(Offer::decode(Version::V4, content), Ok(None));
    }
    assert_eq!(
        Offer::decode(Version::V6, b"\x00\x00\x00\x09junk"),
        Ok(None)
    );
}

#[test]
fn what_is_said_twice_in_the_same_words_is_said_once() {
    // In one block of the enterprise and in another, as several servers on the way may add it.
    let content = b"\x00\x00\x0d\xe9\x06\x1a\x01P\x1a\x01P\x00\x00\x0d\xe9\x06\x1a\x01P\x1b\x017";
    let offer = Offer::decode(Version::V4, content).unwrap().unwrap();
    assert_eq!(offer.provisioning_code.as_deref(), Some("P"));
    assert_eq!(offer.retry_min_wait, Some(7));
}

#[test]
fn every_cut_is_named_and_none_is_an_offer() {
    for (version, content) in [(Version::V4, V4), (Version::V6, V6)] {
        for end in 1..content.len() {
            // In version 6 an option may end after any sub-option.
            match Offer::decode(version, &content[..end]) {
                Err(OfferError::Short(_)) => {}
                Ok(_) if version == Version::V6 => {}
                other => panic!("{version:?} {end}: {other:?}"),
            }
        }
    }
}

#[test]
fn wrong_values_are_named() {
    let bad = |content: &[u8]| Offer::decode(Version::V4, content).unwrap_err().to_string();
    for (content, words) in [
        (
            &b"\x00\x00\x0d\xe9\x03\x1b\x01x"[..],
            "sub-option 27 is \"x\"",
        ),
        (b"\x00\x00\x0d\xe9\x03\x1b\x010", "from 1 to 65535"),
        (b"\x00\x00\x0d\xe9\x05\x1c\x03999", "from 1000 to 65535"),
        (b"\x00\x00\x0d\xe9\x03\x1d\x01x", "sub-option 29: "),
        (
            b"\x00\x00\x0d\xe9\x03\x19\x01\xff",
            "sub-option 25 is no text",
        ),
        (
            b"\x00\x00\x0d\xe9\x03\x19\x01\x07",
            "sub-option 25 is no text",
        ),
        (
            b"\x00\x00\x0d\xe9\x06\x1a\x01x\x1a\x01y",
            "sub-option 26 is there twice, with different values",
        ),
        (
            b"\x00\x00\x0d\xe9\x03\x1b\x02x",
            "it ends within a sub-option",
        ),
    ] {
        assert!(bad(content).contains(words), "{}", bad(content));
    }
}

#[test]
fn what_is_too_long_is_neither_read_nor_written() {
    let long = vec![0; DHCP_OPTION_BYTES_MAX + 1];
    assert!(matches!(
        Offer::decode(Version::V6, &long),
        Err(OfferError::TooLong { .. })
    ));
    let mut offer = full();
    let rest = DHCP_V4_DATA_BYTES_MAX - (V4.len() - 5);
    offer.url = Some(format!("ws://a/u{}", "x".repeat(rest)));
    let content = offer.encode(Version::V4).unwrap();
    assert_eq!(
        Offer::decode(Version::V4, &content),
        Ok(Some(offer.clone()))
    );
    offer.url.as_mut().unwrap().push('x');
    let error = offer.encode(Version::V4).unwrap_err();
    assert_eq!(
        error,
        OfferError::TooLong {
            bytes: 251,
            most: 250
        }
    );
    assert!(offer.encode(Version::V6).is_ok());
    let most = PROVISIONING_CODE_CHARS_MAX;
    let refused = OfferError::LongCode {
        chars: most + 1,
        most,
    };
    offer.provisioning_code = Some("p".repeat(most + 1));
    assert_eq!(offer.encode(Version::V6), Err(refused.clone()));
    let content = [&b"\x00\x00\x0d\xe9\x00\x1a\x00\x41"[..], &[b'p'; 65]].concat();
    assert_eq!(Offer::decode(Version::V6, &content), Err(refused));
}

fn offers() -> impl Strategy<Value = Offer> {
    let some = |pattern: &'static str| prop::option::of(pattern);
    (
        some("wss?://[a-z0-9.]{1,40}/[a-z]{0,10}"),
        some("[A-Za-z0-9.é]{1,30}"),
        prop::option::of(1..=65_535u32),
        prop::option::of(1000..=65_535u32),
        prop::option::of("self::[a-z0-9-]{1,40}".prop_map(|id| id.parse().unwrap())),
    )
        .prop_map(
            |(url, provisioning_code, wait, multiplier, endpoint_id)| Offer {
                url,
                provisioning_code,
                retry_min_wait: wait,
                retry_multiplier: multiplier,
                endpoint_id,
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read(offer in offers()) {
        for version in [Version::V4, Version::V6] {
            let read = Offer::decode(version, &offer.encode(version).unwrap()).unwrap();
            prop_assert_eq!(read.unwrap_or_default(), offer.clone());
        }
    }

    #[test]
    fn nothing_panics(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut ours = ENTERPRISE.to_be_bytes().to_vec();
        ours.extend(&content);
        for version in [Version::V4, Version::V6] {
            let _ = Offer::decode(version, &content);
            let _ = Offer::decode(version, &ours);
        }
    }
}
