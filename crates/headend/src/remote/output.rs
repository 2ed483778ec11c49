//! Tables for people, JSON for programs.

use std::borrow::Cow;

use anyhow::Result;
use api::Page;
use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde::Serialize;

/// Prints a line for people, with nothing in it that a terminal would obey, and no other line in it.
macro_rules! say {
    () => { println!() };
    ($($line:tt)*) => { println!("{}", $crate::remote::output::line(&format!($($line)*))) };
}

/// The same on standard error.
macro_rules! hint {
    ($($line:tt)*) => { eprintln!("{}", $crate::remote::output::line(&format!($($line)*))) };
}

pub(crate) use {hint, say};

/// What a terminal obeys: characters that move the cursor, colour the screen, name the window or turn the direction of
/// text.
fn obeyed(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A text of several lines that devices and strangers say, as it can be shown: what a terminal obeys is told by its
/// number.
pub fn plain(text: &str) -> Cow<'_, str> {
    told(text, obeyed, |c| c.escape_unicode().to_string())
}

/// The same of what is one line: a device whose name has two must not write lines of its own. The ends are ours.
pub fn line(text: &str) -> Cow<'_, str> {
    let body = text.trim_matches('\n');
    let shown = told(
        body,
        |c| obeyed(c) || c == '\n',
        |c| c.escape_default().to_string(),
    );
    match shown {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(shown) => {
            let start = text.len() - text.trim_start_matches('\n').len();
            Cow::Owned([&text[..start], &shown, &text[start + body.len()..]].concat())
        }
    }
}

fn told(text: &str, wanted: impl Fn(char) -> bool, words: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(&wanted) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match wanted(c) {
            true => shown.push_str(&words(c)),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// JSON with everything escaped that a terminal would obey: such characters stand in strings alone.
pub fn escaped(json: &str) -> Cow<'_, str> {
    told(json, obeyed, |c| format!("\\u{:04x}", u32::from(c)))
}

/// Prints the value as the API gives it.
pub fn json<T: Serialize>(value: &T) -> Result<()> {
    println!("{}", escaped(&serde_json::to_string_pretty(value)?));
    Ok(())
}

/// Prints one value per line, for streams.
pub fn json_line<T: Serialize>(value: &T) -> Result<()> {
    println!("{}", escaped(&serde_json::to_string(value)?));
    Ok(())
}

/// Prints a page: as JSON, or as a table with a row an item. What is no item (that there are none,
/// or more) goes to standard error, so that a pipe gets items alone.
pub fn list<T: Serialize, const N: usize>(
    page: &Page<T>,
    as_json: bool,
    what: &str,
    header: [&str; N],
    row: impl Fn(&T) -> [String; N],
) -> Result<()> {
    if as_json {
        return json(page);
    }
    if page.items.is_empty() {
        hint!("no {what}");
        return Ok(());
    }
    let mut table = table(&header);
    for item in &page.items {
        table.add_row(row(item));
    }
    print(&table);
    if page.next.is_some() {
        let total = match page.total {
            Some(total) if total.exact => format!(" of {}", total.value),
            Some(total) => format!(" of more than {}", total.value),
            None => String::new(),
        };
        hint!(
            "These are {}{total}; there are more: --limit, --all, or a narrower search.",
            page.items.len()
        );
    }
    Ok(())
}

/// Prints names with their values, one a line.
pub fn facts(rows: &[(&str, String)]) {
    let mut table = bare();
    for (name, value) in rows {
        let value = if value.is_empty() { "-" } else { value };
        table.add_row([name, value]);
    }
    print(&table);
}

/// Says that something was done for which the API answers nothing: then JSON is nothing, too.
pub fn done(as_json: bool, words: &str) {
    if !as_json {
        say!("{words}");
    }
}

/// A table with a header and no lines, that fits the terminal.
pub fn table(header: &[&str]) -> Table {
    let mut table = bare();
    table.set_header(header.iter().map(|name| Cell::new(name.to_uppercase())));
    table
}

/// Prints a table.
pub fn print(table: &Table) {
    for line in lines(table) {
        say!("{line}");
    }
}

/// The lines of a table without the blanks at their ends.
fn lines(table: &Table) -> Vec<String> {
    let mut table = table.clone();
    let header: Vec<usize> = match table.header() {
        Some(header) => header
            .cell_iter()
            .map(|cell| cell.content().len())
            .collect(),
        None => Vec::new(),
    };
    // What does not begin a line stays in its column, whatever it is.
    for row in table.row_iter_mut() {
        let mut cells: Vec<Cell> = row.cell_iter().cloned().collect();
        if let Some(first) = cells.first_mut() {
            *first = Cell::new(line(&first.content()));
        }
        *row = cells.into();
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        // On a narrow terminal the names stay whole, and so do the headers.
        let width = header.get(index).copied().unwrap_or_default() + 2;
        column.set_constraint(match index {
            0 => ColumnConstraint::ContentWidth,
            _ => ColumnConstraint::LowerBoundary(Width::Fixed(width.try_into().unwrap_or(0))),
        });
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn bare() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// What is not known is a dash.
pub fn or_dash(value: Option<&str>) -> &str {
    match value {
        Some(text) if !text.is_empty() => text,
        _ => "-",
    }
}

/// How long ago, in words; without a moment, `never`.
pub fn ago(at: Option<api::Time>) -> String {
    let Some(at) = at else {
        return "never".to_owned();
    };
    match seconds_until(at) {
        seconds @ ..=-2 => format!("{} ago", span(-seconds)),
        _ => "now".to_owned(),
    }
}

/// When something ends, in words; without a moment, `never`.
pub fn until(at: Option<api::Time>) -> String {
    let Some(at) = at else {
        return "never".to_owned();
    };
    match seconds_until(at) {
        // Ten days from now are told as ten days a second later, too.
        seconds @ 1.. => format!("in {}", span(seconds + 59)),
        _ => ago(Some(at)),
    }
}

/// Whether a moment is there and over.
pub fn is_past(at: Option<api::Time>) -> bool {
    at.is_some_and(|at| seconds_until(at) < 0)
}

fn seconds_until(at: api::Time) -> i64 {
    at.unix_ms() / 1000 - time::OffsetDateTime::now_utc().unix_timestamp()
}

fn span(seconds: i64) -> String {
    match seconds {
        ..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Yes or no.
pub fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// A unit variant as it stands in the API, with blanks: `read only`.
pub fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text.replace('_', " "),
        _ => String::new(),
    }
}

/// A unit variant from its word on the command line; `_`, `-` and a blank are the same.
pub fn variant<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    let text = text.to_lowercase().replace(['-', ' '], "_");
    serde_json::from_value(serde_json::Value::String(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_device_says_moves_a_terminal() {
        assert_eq!(plain("den\n\tküche"), "den\n\tküche");
        assert_eq!(line("\nden\n[ok] küche\n"), "\nden\\n[ok] küche\n");
        assert_eq!(line("\n"), "\n");
        let json = serde_json::to_string("a\n\u{9b}31m\u{202e}").unwrap();
        assert_eq!(escaped(&json), r#""a\n\u009b31m\u202e""#);
        let mut table = table(&["name"]);
        table.add_row(["den\n[ok] küche"]);
        assert_eq!(lines(&table), ["NAME", r"den\n[ok] küche"]);
        assert_eq!(
            plain("x\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}"),
            r"x\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}"
        );
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        assert_eq!(or_dash(None), "-");
        assert_eq!(or_dash(Some("")), "-");
        assert_eq!(or_dash(Some("x")), "x");
    }

    #[test]
    fn a_variant_is_printed_and_read_as_the_api_spells_it() {
        assert_eq!(
            word(&api::operation::OperationState::Succeeded),
            "succeeded"
        );
        assert_eq!(word(&api::device::PresenceWord::Never), "never");
        assert_eq!(
            variant("last-seen"),
            Some(api::device::DeviceSort::LastSeen)
        );
        assert_eq!(variant::<api::device::DeviceSort>("age"), None);
    }

    #[test]
    fn ages_and_ends_are_told_in_the_unit_that_fits() {
        let at = |seconds: i64| {
            let now = time::OffsetDateTime::now_utc().unix_timestamp();
            Some(api::Time::from_unix_ms((now + seconds) * 1000))
        };
        assert_eq!(ago(at(0)), "now");
        assert_eq!(ago(at(-600)), "10 min ago");
        assert_eq!(until(at(-600)), "10 min ago");
        assert_eq!(until(at(3 * 86_400 + 60)), "in 3 days");
        assert_eq!(until(None), "never");
    }

    #[test]
    fn no_line_of_a_table_ends_in_blanks() {
        let mut table = table(&["a", "b"]);
        table.add_row(["1", "a longer one"]);
        assert_eq!(lines(&table), ["A  B", "1  a longer one"]);
    }

    #[test]
    fn on_a_narrow_terminal_names_and_headers_stay_whole() {
        let mut table = table(&["name", "manufacturer"]);
        table.set_width(28);
        table.add_row(["HG26000001", "Northwind Access of the North"]);
        let lines = lines(&table);
        assert_eq!(lines[0], "NAME        MANUFACTURER");
        assert!(
            lines[1].starts_with("HG26000001  ") && lines.len() > 2,
            "{lines:?}"
        );
    }
}
