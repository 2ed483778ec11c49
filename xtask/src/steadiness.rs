//! The Rust tests, and those that fail once more: many of them wait for real brokers, databases and agents with a
//! deadline, on machines that others use too. One that fails and then passes alone is unsteady: it is named at the end,
//! to be mended, and does not hold up what has nothing to do with it. More than a few are a failure.

use crate::cmd;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

/// More unsteady tests than this are no accident.
const UNSTEADY_MAX: usize = 3;

/// Runs `cargo test` with these arguments; `prepare` sets what the tests need.
pub fn test(args: &[&str], prepare: impl Fn(&mut Command)) -> Result<()> {
    let (status, said) = heard(args, &prepare)?;
    if status.success() {
        return Ok(());
    }
    let failed = named(&said, "FAILED");
    let targets = targets(&said);
    // Nothing to run again where it is not tests that failed but a build, or a test program as a whole; nor where not
    // each of those that are counted is named.
    let few = (1..=UNSTEADY_MAX).contains(&failed.len());
    let counts = counts(&said);
    if !few || counts.len() != targets.len() || counts.iter().sum::<usize>() != failed.len() {
        bail!("tests failed: {}", failed.join(", "));
    }
    println!("\nonce more, alone: {}", failed.join(", "));
    let mut passed = Vec::new();
    for target in &targets {
        // A target runs those of the names that it has.
        let mut again = vec!["test", "--locked"];
        again.extend(target.split_whitespace());
        again.extend(["--", "--exact", "--test-threads", "1"]);
        again.extend(failed.iter().map(String::as_str));
        let (status, said) = heard(&again, &prepare)?;
        let now = named(&said, "ok");
        // One that has none of them has failed in another way.
        if !status.success() || now.is_empty() {
            bail!("tests failed twice, in {target}");
        }
        passed.extend(now);
    }
    if let Some(lost) = failed.iter().find(|name| !passed.contains(name)) {
        bail!("{lost} failed, and was not run again");
    }
    println!(
        "\nUNSTEADY, failed once and passed alone: {}",
        failed.join(", ")
    );
    Ok(())
}

/// Runs cargo, shows what it says, and keeps it.
fn heard(args: &[&str], prepare: &impl Fn(&mut Command)) -> Result<(ExitStatus, String)> {
    let mut command = cmd::command(cmd::cargo_program(), "");
    command
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    prepare(&mut command);
    println!("$ cargo {}", args.join(" "));
    let mut child = command.spawn().context("could not start cargo")?;
    let out = child.stdout.take().context("cargo has no output")?;
    let err = child.stderr.take().context("cargo has no errors")?;
    let err = thread::spawn(move || passed_on(err, std::io::stderr()));
    let mut said = passed_on(out, std::io::stdout())?;
    said += &err.join().unwrap_or_else(|_| Ok(String::new()))?;
    Ok((child.wait()?, said))
}

fn passed_on(from: impl Read, mut to: impl Write) -> Result<String> {
    let mut said = String::new();
    for line in BufReader::new(from).split(b'\n') {
        let line = line?;
        to.write_all(&line)?;
        to.write_all(b"\n")?;
        said += &String::from_utf8_lossy(&line);
        said.push('\n');
    }
    Ok(said)
}

/// The names of the tests that ended so.
fn named(said: &str, end: &str) -> Vec<String> {
    let name = |line: &str| {
        let (name, how) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
        let name = name.strip_suffix(" - should panic").unwrap_or(name);
        (how == end).then(|| name.to_owned())
    };
    let mut all: Vec<String> = said.lines().filter_map(name).collect();
    all.sort();
    all.dedup();
    all
}

/// How many tests failed in each test program that came to its end, as it counts its own.
fn counts(said: &str) -> Vec<usize> {
    let count = |line: &str| {
        let (_, rest) = line
            .strip_prefix("test result: FAILED. ")?
            .split_once("; ")?;
        rest.split_once(" failed")?.0.parse::<usize>().ok()
    };
    said.lines().filter_map(count).collect()
}

/// The arguments by which cargo runs the failed targets again: it names each between backticks.
fn targets(said: &str) -> Vec<String> {
    let mut all: Vec<String> = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix('`')?.strip_suffix('`'))
        .filter(|target| target.starts_with("-p "))
        .map(str::to_owned)
        .collect();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_and_how_to_run_it_again_is_read_from_what_cargo_says() {
        let said = "\
test one::holds ... ok
test two::breaks ... FAILED
test two::breaks_too - should panic ... FAILED
test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
error: 2 targets failed:
    `-p server --test it`
    `-p mtp --lib`
";
        assert_eq!(named(said, "FAILED"), ["two::breaks", "two::breaks_too"]);
        assert_eq!(named(said, "ok"), ["one::holds"]);
        // The other one was ended by something else.
        assert_eq!(counts(said), [2]);
        assert_eq!(targets(said), ["-p server --test it", "-p mtp --lib"]);
        assert!(named("error: could not compile `server`", "FAILED").is_empty());
    }
}
