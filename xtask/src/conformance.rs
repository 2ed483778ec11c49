//! `docs/conformance.md`: which code keeps which requirement of TR-369, and which test proves it; and the same for the
//! cases of the agents' test plan TP-469. Made of nothing but the citations in comments (`// R-MSG.4`, `TP-469 1.36`),
//! so that it says what is there and not what somebody remembers. Deliberately without line numbers: the page changes
//! when a citation comes or goes, not with every edit.

mod cases;
mod citation;

use crate::cmd::root;
use anyhow::{Context, Result, bail};
use cases::{AREAS, Area};
use citation::{Id, citations};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/conformance.md";

/// Where an id is cited.
#[derive(Default)]
struct Cited {
    /// Files of the product.
    code: BTreeSet<String>,
    /// Test functions by file.
    tests: BTreeSet<(String, String)>,
}

type Found = BTreeMap<Id, Cited>;

/// Writes the page, or says that the committed one is stale.
pub fn run(check: bool) -> Result<()> {
    let mut found = Found::new();
    for file in sources(&root().join("crates"))? {
        let text = std::fs::read_to_string(&file)?;
        let name = file.strip_prefix(root())?.display().to_string();
        read(&name, &text, &mut found);
    }
    let wrong = not_to_be_cited(&found);
    if !wrong.is_empty() {
        bail!(
            "tests cite cases that are set apart in xtask/src/conformance/cases.rs: {}",
            wrong.join(", ")
        );
    }
    let page = page(&found);
    let target = root().join(PAGE);
    if std::fs::read_to_string(&target).unwrap_or_default() == page {
        return Ok(());
    }
    if check {
        bail!("{PAGE} is stale: run `cargo xtask gen`");
    }
    std::fs::write(&target, page).context(PAGE)
}

/// All Rust files of `src` and `tests`, in order.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "generated" && name != "target" {
            out.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

/// Notes the citations of one file. A citation above a test or in its body is the test's; others are the code's.
fn read(file: &str, text: &str, found: &mut Found) {
    let all_tests = file.contains("/tests/") || file.contains("tests.rs");
    let mut in_tests = all_tests;
    let mut function = String::new();
    // Citations in comments above an item, which say nothing of the function before.
    let mut waiting: Vec<Id> = Vec::new();
    for line in text.lines() {
        let code = line.trim_start();
        in_tests |= code.starts_with("#[cfg(test)]");
        // A module of tests in another file: what follows here is code.
        if code.starts_with("mod ") && code.ends_with(';') {
            in_tests = all_tests;
        }
        let comment = code.find("//").map(|at| &code[at..]);
        let cited = comment.map(citations).unwrap_or_default();
        if let Some(name) = function_name(code) {
            function = name.to_owned();
            for id in waiting.drain(..) {
                note(file, in_tests, &function, id, found);
            }
        }
        if code.starts_with("///") {
            waiting.extend(cited);
        } else {
            if !code.starts_with("//") && !code.starts_with("#[") && !waiting.is_empty() {
                // The documentation of something that is no function.
                for id in waiting.drain(..) {
                    note(file, in_tests, "", id, found);
                }
            }
            for id in cited {
                note(file, in_tests, &function, id, found);
            }
        }
    }
}

fn note(file: &str, in_tests: bool, function: &str, id: Id, found: &mut Found) {
    let cited = found.entry(id).or_default();
    match (in_tests, function.is_empty()) {
        (false, _) => _ = cited.code.insert(file.to_owned()),
        (true, false) => _ = cited.tests.insert((file.to_owned(), function.to_owned())),
        // A whole file of tests, said in its header.
        (true, true) => {}
    }
}

fn function_name(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("pub ").unwrap_or(code);
    let rest = rest.strip_prefix("pub(crate) ").unwrap_or(rest);
    let rest = rest.strip_prefix("pub(super) ").unwrap_or(rest);
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    let name = rest.strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}

fn page(found: &Found) -> String {
    let mut out = String::from(
        "# Conformance\n\nWritten by `cargo xtask gen` out of the citations in code and tests; do not edit. The ids of \
         requirements are those of TR-369 (USP), the numbers of cases those of TP-469, its test plan for agents.\n",
    );
    cases(found, &mut out);
    requirements(found, &mut out);
    out
}

/// Why a case does not apply, when it does not.
fn apart(area: &Area, number: u32) -> Option<&'static str> {
    let mut apart = area.apart.iter();
    let found = apart.find(|(cases, _)| cases.contains(&number));
    found.map(|(_, why)| *why)
}

/// Cases that a test cites although there is no such case, or it does not apply: no test can prove those.
fn not_to_be_cited(found: &Found) -> Vec<String> {
    let wrong = |id: &Id| match id {
        Id::Case(section, number) => !AREAS.iter().any(|area| {
            let known = area.section == *section && (1..=area.last).contains(number);
            known && apart(area, *number).is_none()
        }),
        Id::Requirement(..) => false,
    };
    let cited = found
        .iter()
        .filter(|(id, cited)| wrong(id) && !cited.tests.is_empty());
    cited
        .map(|(id, cited)| {
            let names: Vec<&str> = cited.tests.iter().map(|(_, name)| name.as_str()).collect();
            format!("{id} ({})", names.join(", "))
        })
        .collect()
}

fn cases(found: &Found, out: &mut String) {
    let proofs = |id: &Id| {
        let tests = found.get(id).map(|cited| &cited.tests);
        tests.into_iter().flatten().map(test).collect::<Vec<_>>()
    };
    let (mut proven, mut all) = (0, 0);
    let mut table = String::from("\n| case | proven by |\n|---|---|\n");
    let mut left = String::new();
    for area in AREAS {
        let section = area.section;
        for number in 1..=area.last {
            let tests = proofs(&Id::Case(section, number));
            match apart(area, number) {
                Some(why) => _ = writeln!(left, "| {section}.{number} | {why} |"),
                None => {
                    all += 1;
                    proven += u32::from(!tests.is_empty());
                    let tests = match tests.is_empty() {
                        true => "**no test**".to_owned(),
                        false => tests.join("<br>"),
                    };
                    _ = writeln!(table, "| {section}.{number} | {tests} |");
                }
            }
        }
    }
    _ = writeln!(
        out,
        "\n## The agent against TP-469\n\n{proven} of the {all} cases that apply to an agent of this kind are proven by \
         tests of this repository.\n{table}\nNot applicable:\n\n| case | why |\n|---|---|\n{left}"
    );
}

fn requirements(found: &Found, out: &mut String) {
    out.push_str("## Requirements\n\n| requirement | code | tests |\n|---|---|---|\n");
    for (id, cited) in found {
        let Id::Requirement(..) = id else { continue };
        let code: Vec<String> = cited.code.iter().map(|file| link(file)).collect();
        let tests: Vec<String> = cited.tests.iter().map(test).collect();
        _ = writeln!(
            out,
            "| {id} | {} | {} |",
            code.join("<br>"),
            tests.join("<br>")
        );
    }
}

fn test((file, function): &(String, String)) -> String {
    format!("[{}](../{file})", function.replace('_', " "))
}

fn link(file: &str) -> String {
    let short = file.strip_prefix("crates/").unwrap_or(file);
    format!("[{}](../{file})", short.replace("/src/", " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_belong_to_the_test_they_are_above_or_in_and_else_to_the_code() {
        let text = "//! A file (R-ARC.1).\n/// R-MSG.4\npub fn answer() {\n    // R-MSG.5\n}\n#[cfg(test)]\nmod tests {\n    \
                    /// R-MSG.4; TP-469 1.1\n    #[test]\n    fn it_answers() {\n        // R-MSG.6\n    }\n}\n";
        let mut found = Found::new();
        read("crates/a/src/b.rs", text, &mut found);
        let text = "#[cfg(test)]\nmod tests;\n/// R-MSG.7\npub fn code() {}\n";
        read("crates/a/src/c.rs", text, &mut found);
        let of = |id: &str| &found[&citations(&format!("// {id}"))[0]];
        assert_eq!(
            (of("R-MSG.7").code.len(), of("R-MSG.7").tests.len()),
            (1, 0)
        );
        assert_eq!(of("R-ARC.1").code.len(), 1);
        assert_eq!(
            (of("R-MSG.4").code.len(), of("R-MSG.4").tests.len()),
            (1, 1)
        );
        assert_eq!(of("R-MSG.5").tests.len(), 0);
        assert!(
            of("R-MSG.6")
                .tests
                .iter()
                .any(|(_, name)| name == "it_answers")
        );
        assert!(
            of("TP-469 1.1")
                .tests
                .iter()
                .any(|(_, name)| name == "it_answers")
        );
    }

    #[test]
    fn a_case_that_is_set_apart_is_never_proven_and_a_test_that_cites_it_is_an_error() {
        let text = "/// TP-469 1.1, 1.69, 1.108\n#[test]\nfn it_answers() {\n}\n";
        let mut found = Found::new();
        read("crates/a/tests/b.rs", text, &mut found);
        assert_eq!(
            not_to_be_cited(&found),
            ["1.69 (it_answers)", "1.108 (it_answers)"]
        );
        assert!(page(&found).contains("| 1.69 | withdrawn from the test plan |"));
    }

    #[test]
    fn a_case_without_a_test_is_shown_as_such() {
        assert!(page(&Found::new()).contains("| 1.1 | **no test** |"));
    }
}
