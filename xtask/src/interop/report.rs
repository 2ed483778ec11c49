//! The tables of `docs/interop.md`.

use crate::cmd;
use anyhow::Result;

/// What a cell says of a step.
pub fn word(result: &Result<String>) -> String {
    let words = match result {
        Ok(words) if words.is_empty() => "yes".to_owned(),
        Ok(words) => words.clone(),
        Err(error) => format!("**no**: {error:#}"),
    };
    words.replace('|', "/").replace('\n', " ")
}

/// Replaces the section of one title in `docs/interop.md`, or adds it at the end.
pub fn write_section(title: &str, about: &str, table: &str) -> Result<()> {
    let path = cmd::root().join("docs/interop.md");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(path, with_section(&text, title, about, table))?;
    Ok(())
}

fn with_section(text: &str, title: &str, about: &str, table: &str) -> String {
    let heading = format!("## {title}\n");
    let before = text.split(&heading).next().unwrap_or_default().trim_end();
    let rest = text
        .split_once(&heading)
        .and_then(|(_, rest)| rest.find("\n## ").map(|at| &rest[at + 1..]))
        .unwrap_or_default();
    let table = table.trim_end();
    let section = format!("{before}\n\n{heading}\n{about}\n\n{table}\n\n{rest}");
    section.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::with_section;

    #[test]
    fn a_section_is_replaced_between_its_neighbours_and_a_new_one_comes_last() {
        let text = "# T\n\n## a\n\nold\n\n## b\n\nkept\n";
        let new = with_section(text, "a", "new", "|x|\n");
        assert_eq!(new, "# T\n\n## a\n\nnew\n\n|x|\n\n## b\n\nkept\n");
        let more = with_section(&new, "c", "third", "|y|");
        assert_eq!(more, format!("{new}\n## c\n\nthird\n\n|y|\n"));
    }
}
