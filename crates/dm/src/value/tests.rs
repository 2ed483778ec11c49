//! The lexical forms of TR-106 and what they mean.

use super::*;

fn canonical(base: BaseType, text: &str) -> String {
    normalise(base, text).unwrap_or_else(|error| format!("! {error}"))
}

#[test]
fn booleans_are_read_in_all_spellings_seen() {
    for (text, expected) in [
        ("true", "true"),
        ("1", "true"),
        ("True", "true"),
        (" 0 ", "false"),
        ("FALSE", "false"),
    ] {
        assert_eq!(canonical(BaseType::Boolean, text), expected);
    }
    assert_eq!(
        canonical(BaseType::Boolean, "yes"),
        "! \"yes\" is not a boolean; it should be true, false, 1 or 0"
    );
}

#[test]
fn whole_numbers_have_their_bits() {
    assert_eq!(canonical(BaseType::UnsignedInt, "+007"), "7");
    assert_eq!(canonical(BaseType::UnsignedInt, "4294967295"), "4294967295");
    assert!(
        canonical(BaseType::UnsignedInt, "4294967296")
            .starts_with("! \"4294967296\" is not an unsignedInt")
    );
    assert!(canonical(BaseType::UnsignedInt, "-1").starts_with('!'));
    assert_eq!(canonical(BaseType::UnsignedInt, "-0"), "0");
    assert!(canonical(BaseType::UnsignedInt, "-").starts_with('!'));
    assert_eq!(canonical(BaseType::Int, "-2147483648"), "-2147483648");
    assert!(canonical(BaseType::Int, "2147483648").starts_with('!'));
    assert_eq!(
        canonical(BaseType::Long, "-9223372036854775808"),
        "-9223372036854775808"
    );
    assert_eq!(
        canonical(BaseType::UnsignedLong, "18446744073709551615"),
        "18446744073709551615"
    );
    assert!(canonical(BaseType::Int, "").starts_with('!'));
    assert!(canonical(BaseType::Int, "1e3").starts_with('!'));
}

#[test]
fn decimals_are_exact() {
    for (text, expected) in [
        ("1.50", "1.5"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("-0.0", "0"),
        ("+00.010", "0.01"),
    ] {
        assert_eq!(canonical(BaseType::Decimal, text), expected);
    }
    for text in ["", ".", "-", "1.2.3", "1e5", "INF", "0x1"] {
        assert!(
            canonical(BaseType::Decimal, text).starts_with('!'),
            "{text}"
        );
    }
    let less = |a: &str, b: &str| Decimal::parse(a).unwrap() < Decimal::parse(b).unwrap();
    assert!(
        less("9", "10")
            && less("-10", "-9")
            && less("1.45", "1.5")
            && less("-1.5", "-1.45")
            && less("-1", "0.1")
    );
    assert!(less(
        "99999999999999999999999999999999999999999.1",
        "99999999999999999999999999999999999999999.11"
    ));
}

#[test]
fn times_are_points_in_utc() {
    for (text, expected) in [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00+01:30", "2026-03-01T10:30:00Z"),
        ("2026-01-01T00:00:00-00:01", "2026-01-01T00:01:00Z"),
        ("2026-03-01T12:00:00", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00.120Z", "2026-03-01T12:00:00.12Z"),
        (
            "2024-02-29T23:59:59.1234567891Z",
            "2024-02-29T23:59:59.123456789Z",
        ),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("0001-01-01T00:03:20Z", "0001-01-01T00:03:20Z"),
    ] {
        assert_eq!(canonical(BaseType::DateTime, text), expected);
    }
    for text in [
        "",
        "2026-03-01",
        "2026-13-01T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T00:00:00.Z",
        "2026-03-01T00:00:00+1:00",
        "2026-03-01T00:00:00X01:00",
        "2026-03-01 00:00:00Z",
        "2026-03-00T00:00:00Z",
        "1900-02-29T00:00:00Z",
    ] {
        assert!(
            canonical(BaseType::DateTime, text).starts_with('!'),
            "{text}"
        );
    }
    assert_eq!(
        DateTime::parse(DateTime::UNKNOWN_TEXT),
        Some(DateTime::UNKNOWN)
    );
    assert_eq!(
        DateTime::parse("9999-12-31T23:59:59Z"),
        Some(DateTime::INFINITE)
    );
    assert_eq!(
        DateTime::parse("2026-11-21T04:00:00Z").map(DateTime::unix),
        Some(1_795_233_600)
    );
}

#[test]
fn binary_forms_are_read_and_written() {
    assert_eq!(canonical(BaseType::HexBinary, "00ffAb"), "00FFAB");
    assert!(canonical(BaseType::HexBinary, "0").starts_with('!'));
    assert!(canonical(BaseType::HexBinary, "zz").starts_with('!'));
    assert_eq!(canonical(BaseType::HexBinary, ""), "");
    for text in ["", "TQ==", "TWE=", "TWFu", "TWFuTQ=="] {
        assert_eq!(canonical(BaseType::Base64, text), text);
    }
    assert_eq!(canonical(BaseType::Base64, "TWFu\n TWFu"), "TWFuTWFu");
    for text in ["TQ", "T===", "====", "TQ=x", "T Q ", "T\u{e4}=="] {
        assert!(canonical(BaseType::Base64, text).starts_with('!'), "{text}");
    }
    assert_eq!(
        Value::parse(BaseType::Base64, "TWFu").unwrap(),
        Value::Base64(b"Man".to_vec())
    );
}

#[test]
fn text_is_kept_as_it_is() {
    assert_eq!(canonical(BaseType::String, "  a, b% "), "  a, b% ");
}

// TR-369 2.5.4: text, booleans and the Unknown Time only have == and !=.
#[test]
fn only_numbers_and_known_times_have_an_order() {
    let value = |base, text: &str| Value::parse(base, text).unwrap();
    let int = value(BaseType::Int, "-1");
    assert_eq!(
        int.order(&value(BaseType::UnsignedLong, "18446744073709551615")),
        Some(Ordering::Less)
    );
    assert_eq!(
        int.order(&value(BaseType::Decimal, "-1.0")),
        Some(Ordering::Equal)
    );
    assert_eq!(
        value(BaseType::String, "a").order(&value(BaseType::String, "b")),
        None
    );
    assert_eq!(
        value(BaseType::Boolean, "0").order(&value(BaseType::Boolean, "1")),
        None
    );
    let time = value(BaseType::DateTime, "2026-03-01T12:00:00Z");
    assert_eq!(
        time.order(&value(BaseType::DateTime, "2026-03-01T12:00:00.5Z")),
        Some(Ordering::Less)
    );
    assert_eq!(time.order(&Value::DateTime(DateTime::UNKNOWN)), None);
    assert!(Value::DateTime(DateTime::UNKNOWN).same(&Value::DateTime(DateTime::UNKNOWN)));
    assert!(!time.same(&value(BaseType::Int, "1")));
}

#[test]
fn lists_have_optional_blanks_and_escaped_commas() {
    let items = |text: &str| {
        list::items(text)
            .map(|item| item.into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(items("a, b,c "), ["a", "b", "c"]);
    assert_eq!(items(""), Vec::<String>::new());
    assert_eq!(items("  "), Vec::<String>::new());
    assert_eq!(items("a,,b"), ["a", "", "b"]);
    assert_eq!(items("a%2Cb,50%25,%20x%20"), ["a,b", "50%", " x "]);
    assert_eq!(items("http://x/%41?y%2fz,%"), ["http://x/%41?y%2fz", "%"]);
    assert_eq!(
        list::join(["a,b", "50%", " x ", "c d"]),
        "a%2Cb,50%25,%20x%20,c d"
    );
    assert_eq!(items(&list::join(["a\tb\r\n", "%2C"])), ["a\tb\r\n", "%2C"]);
}

#[test]
fn base_types_have_the_names_of_the_standard() {
    for base in BaseType::ALL {
        assert_eq!(base.as_str().parse::<BaseType>().unwrap(), base);
        assert!(Value::parse(base, base.empty_value()).is_ok(), "{base}");
        assert_eq!(Value::parse(base, base.empty_value()).unwrap().base(), base);
    }
    assert_eq!(
        "integer".parse::<BaseType>().unwrap_err().to_string(),
        "\"integer\" is not a type of TR-106"
    );
}

#[test]
fn endless_values_are_refused() {
    let fits = "x".repeat(limits::VALUE_BYTES_MAX);
    assert!(Value::parse(BaseType::String, &fits).is_ok());
    assert_eq!(
        Value::parse(BaseType::String, &format!("{fits}x")).unwrap_err(),
        ValueError::TooLong
    );
}

#[test]
fn errors_repeat_only_the_start_of_a_value() {
    let error = Value::parse(BaseType::Int, &"9".repeat(1000))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with(&format!(
        "\"{}...\" is not",
        "9".repeat(limits::ERROR_EXCERPT_CHARS_MAX)
    )));
}
