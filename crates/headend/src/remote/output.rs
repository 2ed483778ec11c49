//! Tables for people, JSON for programs.

use anyhow::Result;
use comfy_table::{Cell, ContentArrangement, Table, presets};
use serde::Serialize;

/// Prints the value as the API gives it.
pub fn json<T: Serialize>(value: &T) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints one value per line, for streams.
pub fn json_line<T: Serialize>(value: &T) -> Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

/// A table with a header and no lines, that fits the terminal.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.iter().map(|name| Cell::new(name.to_uppercase())));
    table
}

/// What is not known is a dash.
pub fn or_dash(value: Option<&str>) -> &str {
    match value {
        Some(text) if !text.is_empty() => text,
        _ => "-",
    }
}

/// How long ago, in words.
pub fn ago(at: Option<api::Time>) -> String {
    let Some(at) = at else {
        return "never".to_owned();
    };
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let seconds = now - at.unix_ms() / 1000;
    match seconds {
        i64::MIN..=1 => "now".to_owned(),
        2..=119 => format!("{seconds} s ago"),
        120..=7199 => format!("{} min ago", seconds / 60),
        7200..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A unit variant as it stands in the API: `succeeded`.
pub fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text.replace('_', " "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_a_dash() {
        assert_eq!(or_dash(None), "-");
        assert_eq!(or_dash(Some("")), "-");
        assert_eq!(or_dash(Some("x")), "x");
    }

    #[test]
    fn a_variant_is_printed_as_the_api_spells_it() {
        assert_eq!(
            word(&api::operation::OperationState::Succeeded),
            "succeeded"
        );
        assert_eq!(word(&api::device::PresenceWord::Never), "never");
    }
}
