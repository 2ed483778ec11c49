//! Values: what is printed reads the same, normalising twice changes nothing more, and orders agree with arithmetic.

use std::cmp::Ordering;

use dm::value::{list, normalise};
use dm::{BaseType, DateTime, Decimal, Type, Value};
use proptest::prelude::*;

fn base() -> impl Strategy<Value = BaseType> {
    prop::sample::select(BaseType::ALL.to_vec())
}

fn lexical() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\\n]{0,20}",
        "[+-]?[0-9]{1,22}(\\.[0-9]{0,5})?",
        "[0-9]{4}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,4})?(Z|[+-]0[0-9]:30)?",
        "([A-Za-z0-9+/]{4}){0,4}([A-Za-z0-9+/]{2}==)?",
        "([0-9a-fA-F]{2}){0,8}",
        prop::sample::select(vec!["true", "TRUE", "0", "1", "False", ""]).prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn normalising_is_idempotent_and_keeps_the_meaning(base in base(), text in lexical()) {
        if let Ok(value) = Value::parse(base, &text) {
            let printed = value.to_string();
            prop_assert_eq!(&Value::parse(base, &printed).unwrap(), &value);
            prop_assert_eq!(normalise(base, &printed).unwrap(), printed);
        }
    }

    #[test]
    fn a_type_never_panics_and_normalised_values_pass_as_the_originals(base in base(), text in lexical(), is_list: bool) {
        let ty = Type::new(base).range(-5, 5).size(1, 10);
        let ty = if is_list { ty.list() } else { ty };
        if let Ok(normalised) = ty.normalise(&text) {
            prop_assert_eq!(ty.check(&normalised).is_ok(), ty.check(&text).is_ok());
            prop_assert!(ty.same(&text, &normalised));
        } else {
            prop_assert!(ty.check(&text).is_err());
        }
    }

    #[test]
    fn whole_numbers_order_as_integers(a: i64, b: u64) {
        let (x, y) = (Value::Long(a), Value::UnsignedLong(b));
        let expected = i128::from(a).cmp(&i128::from(b));
        prop_assert_eq!(x.order(&y), Some(expected));
        prop_assert_eq!(x.same(&y), expected == Ordering::Equal);
    }

    #[test]
    fn decimals_order_as_scaled_integers(a in -99_999i64..99_999, b in -99_999i64..99_999) {
        let text = |n: i64| format!("{}{}.{:03}", if n < 0 { "-" } else { "" }, n.abs() / 1000, n.abs() % 1000);
        let (x, y) = (Decimal::parse(&text(a)).unwrap(), Decimal::parse(&text(b)).unwrap());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
    }

    #[test]
    fn times_print_and_read_over_the_whole_calendar(seconds in -62_135_596_800i64..253_402_300_800) {
        let time = DateTime::from_unix(seconds);
        prop_assert_eq!(DateTime::parse(&time.to_string()), Some(time));
    }

    #[test]
    fn binary_round_trips(bytes: Vec<u8>) {
        for value in [Value::Base64(bytes.clone()), Value::HexBinary(bytes.clone())] {
            prop_assert_eq!(&Value::parse(value.base(), &value.to_string()).unwrap(), &value);
        }
    }

    #[test]
    fn a_joined_list_has_its_items(items in prop::collection::vec("[ -~\\t]{0,6}", 1..5)) {
        // A list of one empty text is the empty list; the form cannot tell them apart.
        prop_assume!(items.len() > 1 || !items[0].is_empty());
        let text = list::join(&items);
        let again: Vec<String> = list::items(&text).map(|item| item.into_owned()).collect();
        prop_assert_eq!(again, items);
    }
}
