//! What a type allows and how it says no.

use super::*;

fn wrong(ty: &Type, text: &str) -> String {
    ty.check(text)
        .map_or_else(|error| error.to_string(), |()| format!("{text} is allowed"))
}

#[test]
fn a_number_lies_in_one_of_the_ranges() {
    let ty = Type::new(BaseType::Int).range(-1, -1).range(1, 65535);
    assert!(ty.check("-1").is_ok() && ty.check("1").is_ok() && ty.check("65535").is_ok());
    assert_eq!(wrong(&ty, "0"), "0 is outside of exactly -1 or 1 to 65535");
    assert_eq!(
        wrong(&ty, "x"),
        "\"x\" is not an int; it should be a whole number from -2147483648 to 2147483647"
    );
    let open = Type::new(BaseType::Decimal).range(None, 100);
    assert_eq!(wrong(&open, "100.01"), "100.01 is outside of at most 100");
}

#[test]
fn an_enumerated_text_is_one_of_them_and_a_near_miss_is_pointed_out() {
    let ty = Type::new(BaseType::String).enumerated(["Up", "Down", "LowerLayerDown"]);
    assert!(ty.check("Up").is_ok());
    assert_eq!(
        wrong(&ty, "up"),
        "\"up\" is not one of Up, Down, LowerLayerDown; did you mean \"Up\"?"
    );
    assert_eq!(
        wrong(&ty, "Over"),
        "\"Over\" is not one of Up, Down, LowerLayerDown"
    );
    let many = Type::new(BaseType::String).enumerated((0..100).map(|n| format!("v{n}")));
    assert!(wrong(&many, "x").ends_with("v23, ..."));
}

#[test]
fn sizes_are_characters_of_text_and_bytes_of_binary() {
    let text = Type::new(BaseType::String).size(2, 4);
    assert!(text.check("\u{e4}\u{e4}\u{e4}\u{e4}").is_ok());
    assert_eq!(wrong(&text, "x"), "1 characters long, but 2 to 4 allowed");
    let key = Type::new(BaseType::HexBinary).size(5, 5).size(13, 13);
    assert!(key.check("0011223344").is_ok());
    assert_eq!(
        wrong(&key, "00"),
        "1 bytes long, but exactly 5 or exactly 13 allowed"
    );
}

#[test]
fn a_list_is_checked_item_by_item() {
    let ty = Type::new(BaseType::UnsignedInt).range(1, 13).list();
    assert!(ty.check("").is_ok() && ty.check("1, 6,11").is_ok());
    assert_eq!(
        wrong(&ty, "1,14"),
        "item 2 of the list: 14 is outside of 1 to 13"
    );
    let mut counted = ty.clone();
    counted.list = Some(ListFacet {
        sizes: vec![Size {
            min: None,
            max: Some(6),
        }],
        items: Some(Size {
            min: Some(1),
            max: Some(2),
        }),
    });
    assert_eq!(wrong(&counted, ""), "a list of 0 items, but 1 to 2 allowed");
    assert_eq!(
        wrong(&counted, "1,2,3,4"),
        "7 characters long, but at most 6 allowed"
    );
    assert_eq!(
        wrong(&counted, "1,2,3"),
        "a list of 3 items, but 1 to 2 allowed"
    );
}

#[test]
fn lists_have_a_most_number_of_items() {
    let ty = Type::new(BaseType::String).list();
    let most = vec!["x"; limits::LIST_ITEMS_MAX].join(",");
    assert!(ty.check(&most).is_ok() && ty.normalise(&most).is_ok());
    assert_eq!(ty.check(&format!("{most},x")), Err(ValueError::TooLong));
    assert_eq!(ty.normalise(&format!("{most},x")), Err(ValueError::TooLong));
    assert_eq!(
        ty.check(&"x".repeat(limits::VALUE_BYTES_MAX + 1)),
        Err(ValueError::TooLong)
    );
    assert_eq!(
        ty.normalise(&"x".repeat(limits::VALUE_BYTES_MAX + 1)),
        Err(ValueError::TooLong)
    );
}

#[test]
fn formats_come_with_the_named_data_types() {
    for (datatype, good, bad) in [
        ("MACAddress", "00:25:6D:01:02:aF", "00-25-6D-01-02-03"),
        ("IEEE_EUI64", "00:25:6D:FF:FE:01:02:03", "00:25:6D:01:02:03"),
        ("IPAddress", "2001:db8::1", "192.0.2.256"),
        ("IPv4Address", "192.0.2.1", "2001:db8::1"),
        ("IPv6Address", "2001:db8::1", "192.0.2.1"),
        ("IPPrefix", "192.0.2.0/24", "192.0.2.0/33"),
        ("IPv4Prefix", "192.0.2.0", "192.0.2.0/"),
        ("IPv6Prefix", "2001:db8::/128", "2001:db8::/+1"),
        ("UUID", "123e4567-e89b-42d3-a456-426614174000", "123e4567"),
    ] {
        let ty = Type::new(BaseType::String).datatype(datatype);
        assert!(ty.check(good).is_ok() && ty.check("").is_ok(), "{datatype}");
        assert!(
            wrong(&ty, bad).starts_with(&format!("{bad:?} is not a")),
            "{datatype}: {}",
            wrong(&ty, bad)
        );
    }
    let alias = Type::new(BaseType::String).datatype("_AliasUSP");
    assert!(alias.check("cpe-1").is_ok());
    assert!(
        alias.check("").is_err()
            && alias.check("1").is_err()
            && alias.check(&"a".repeat(65)).is_err()
    );
    assert!(
        Type::new(BaseType::String)
            .datatype("Whatever")
            .check("1")
            .is_ok()
    );
}

#[test]
fn two_spellings_of_a_value_are_the_same() {
    let boolean = Type::new(BaseType::Boolean);
    assert!(boolean.same("1", "true") && !boolean.same("1", "0"));
    let list = Type::new(BaseType::UnsignedInt).list();
    assert_eq!(list.normalise("01, 2").unwrap(), "1,2");
    assert!(list.same("1,2", "1, 02") && !list.same("1,2", "2,1"));
    let texts = Type::new(BaseType::String).list();
    assert!(texts.same("a%2cb, c", "a%2Cb,c"));
    let int = Type::new(BaseType::Int);
    assert!(int.same("n/a", "n/a") && !int.same("n/a", "0"));
}

#[test]
fn a_type_can_be_said_in_words() {
    let ty = Type::new(BaseType::UnsignedInt)
        .range(0, 100)
        .units("percent")
        .list();
    assert_eq!(ty.to_string(), "list of unsignedInt, 0 to 100, in percent");
    let ty = Type::new(BaseType::String).datatype("Alias").size(None, 64);
    assert_eq!(ty.to_string(), "string (Alias), at most 64 characters");
    assert_eq!(
        Type::new(BaseType::String).size(1, None).to_string(),
        "string, at least 1 characters"
    );
}
