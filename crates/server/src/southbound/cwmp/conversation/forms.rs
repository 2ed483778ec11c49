//! Values as they go over the wire, in the forms that a device takes.

use cwmp::rpc::ParameterValue;
use cwmp::value::{Value, boolean};
use dm::BaseType;
use dm::mapping::Write;

use super::quirks::{Dates, Quirks, Truth, Types};

/// A value to be written, in the forms that the device takes.
pub fn parameter(write: &Write, quirks: &Quirks) -> ParameterValue {
    let text = match write.base {
        BaseType::Boolean => match (boolean(&write.value), quirks.booleans) {
            (Some(truth), Some(Truth::Digits)) => u8::from(truth).to_string(),
            (Some(truth), Some(Truth::Words | Truth::Usual) | None) => truth.to_string(),
            (None, _) => write.value.clone(),
        },
        BaseType::DateTime => match quirks.dates {
            Some(Dates::WholeSeconds) => whole_seconds(&write.value),
            Some(Dates::NoZone) => without_zone(&whole_seconds(&write.value)),
            Some(Dates::Usual) | None => write.value.clone(),
        },
        _ => write.value.clone(),
    };
    let base = match quirks.types {
        Some(Types::Strings) => BaseType::String,
        Some(Types::Usual) | None => write.base,
    };
    ParameterValue::new(&write.path, Value::new(base, text))
}

/// Without a zone: UTC, as such devices take it.
fn without_zone(text: &str) -> String {
    match dm::DateTime::parse(text) {
        Some(time) if !time.is_unknown() => {
            let text = cwmp::value::Timestamp::from_unix(time.unix()).0;
            text.trim_end_matches('Z').to_owned()
        }
        _ => text.trim_end_matches('Z').to_owned(),
    }
}

/// Without a fraction of a second.
fn whole_seconds(text: &str) -> String {
    let Some((head, rest)) = text.split_once('.') else {
        return text.to_owned();
    };
    let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{head}{zone}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_in_the_forms_that_a_device_takes() {
        let write = |base, value: &str| Write {
            path: "Device.X".into(),
            value: value.into(),
            base,
            because: vec![],
        };
        let digits = Quirks {
            booleans: Some(Truth::Digits),
            dates: Some(Dates::WholeSeconds),
            ..Quirks::default()
        };
        let sent = |write: Write, quirks: &Quirks| parameter(&write, quirks).value.text;
        assert_eq!(
            sent(write(BaseType::Boolean, "1"), &Quirks::default()),
            "true"
        );
        assert_eq!(sent(write(BaseType::Boolean, "true"), &digits), "1");
        let time = "2026-01-01T00:00:00.125Z";
        assert_eq!(
            sent(write(BaseType::DateTime, time), &digits),
            "2026-01-01T00:00:00Z"
        );
        assert_eq!(
            sent(write(BaseType::DateTime, time), &Quirks::default()),
            time
        );
        let no_zone = Quirks {
            dates: Some(Dates::NoZone),
            types: Some(Types::Strings),
            ..Quirks::default()
        };
        let truth = parameter(&write(BaseType::Boolean, "0"), &no_zone).value;
        assert_eq!(truth, Value::string("false"));
        for (asked, told) in [
            ("2026-01-02T03:04:05.678+01:00", "2026-01-02T02:04:05"),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05"),
            // Unknown times and what is none go as they are.
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
            ("tomorrow", "tomorrow"),
        ] {
            assert_eq!(sent(write(BaseType::DateTime, asked), &no_zone), told);
        }
    }
}
