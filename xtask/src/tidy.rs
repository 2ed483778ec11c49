//! What keeps the house legible, as a check: the map names real places, files say what they are,
//! stay small, and nobody made a drawer for odds and ends.

use crate::{cmd, layers};
use anyhow::{Result, bail};
use std::path::Path;

/// A hand-written file longer than this is asking to be two.
const FILE_LINES_MAX: usize = 500;
/// Tests are lists of cases, and may be longer.
const TEST_LINES_MAX: usize = 800;
/// Names that say nothing about what is inside.
const DRAWERS: &[&str] = &[
    "common", "util", "utils", "helper", "helpers", "misc", "manager",
];
/// Markers of unfinished work.
const UNFINISHED: &[&str] = &["todo!(", "unimplemented!(", "FIXME", "XXX:"];

/// Runs every check and lists all that was found.
pub fn run() -> Result<()> {
    let mut found = layers::breaches()?;
    found.extend(map_names_real_places()?);
    for file in tracked()? {
        found.extend(file_findings(&file));
    }
    if found.is_empty() {
        println!("tidy: nothing found");
        return Ok(());
    }
    for finding in &found {
        println!("tidy: {finding}");
    }
    bail!("{} finding(s)", found.len());
}

/// Every `path` in back ticks in ARCHITECTURE.md exists.
fn map_names_real_places() -> Result<Vec<String>> {
    let map = std::fs::read_to_string(cmd::root().join("ARCHITECTURE.md"))?;
    Ok(map
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| {
            [
                "crates/", "console/", "xtask/", "docs/", "data/", "fuzz/", "bench/",
            ]
            .iter()
            .any(|folder| word.starts_with(folder))
        })
        .filter(|path| !path.contains(['{', '*', '<']) && !cmd::root().join(path).exists())
        .map(|path| format!("ARCHITECTURE.md names `{path}`, which is not there"))
        .collect())
}

fn file_findings(file: &str) -> Vec<String> {
    let mut found = Vec::new();
    let path = Path::new(file);
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    if DRAWERS.contains(&stem.as_str()) {
        found.push(format!(
            "{file}: `{stem}` says nothing about what is inside"
        ));
    }
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let written = matches!(&*extension, "rs" | "ts" | "tsx" | "css");
    if !written || file.contains("/generated/") {
        return found;
    }
    let Ok(text) = std::fs::read_to_string(cmd::root().join(file)) else {
        return found;
    };
    let lines = text.lines().count();
    let is_test = file.contains("/tests") || file.contains(".test.") || stem.ends_with("tests");
    let lines_max = if is_test {
        TEST_LINES_MAX
    } else {
        FILE_LINES_MAX
    };
    if lines > lines_max {
        found.push(format!("{file}: {lines} lines, more than {lines_max}"));
    }
    let source = extension == "rs" && !is_test && !file.contains("fuzz_targets");
    if source && !text.trim_start().starts_with("//!") {
        found.push(format!(
            "{file}: does not open with `//!` saying what it is"
        ));
    }
    if !file.starts_with("xtask/") {
        for (number, line) in text.lines().enumerate() {
            if UNFINISHED.iter().any(|marker| line.contains(marker)) {
                found.push(format!(
                    "{file}:{}: unfinished: {}",
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    found
}

fn tracked() -> Result<Vec<String>> {
    let output = cmd::command("git", "").args(["ls-files"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|file| cmd::root().join(file).is_file())
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawer_and_a_missing_header_are_found() {
        assert_eq!(file_findings("crates/dm/src/helpers.rs").len(), 1);
    }

    #[test]
    fn the_map_names_only_places_that_are_there() {
        assert_eq!(map_names_real_places().unwrap(), Vec::<String>::new());
    }
}
