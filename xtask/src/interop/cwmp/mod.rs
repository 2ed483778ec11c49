//! `cargo xtask interop cwmp`: clients of CWMP that nobody here wrote, each through the same scenario.
//!
//! A client whose folder is not given is not run; its column keeps saying so.

mod client;
mod easycwmp;
mod genieacs_sim;
mod netcwmp;
mod root;
mod scenario;

use super::report;
use super::server::Server;
use crate::cmd;
use anyhow::{Result, bail};
use client::{Client, Settings};
use scenario::{Finding, Scenario};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// The file system of a device with easycwmp in it (C; TR-181, and TR-098 once more)
    #[arg(long, value_name = "DIR")]
    easycwmp: Option<PathBuf>,
    /// The sources of netcwmp, which is compiled on a platform of ours (C; TR-098; needs gcc for 32 bits)
    #[arg(long, value_name = "DIR")]
    netcwmp: Option<PathBuf>,
    /// The folder of genieacs-sim with its modules installed (Node; TR-098)
    #[arg(long, value_name = "DIR")]
    genieacs_sim: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    cmd::cargo(&["build", "-p", "headend"])?;
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path())?;
    let key = server.post(
        "/api/v1/setup-keys",
        &serde_json::json!({"name": "interop"}),
    )?;
    let Some(secret) = key["secret"].as_str() else {
        bail!("no setup key: {key}");
    };
    let clients: [(Client, &Option<PathBuf>); 4] = [
        (easycwmp::tr181(), &args.easycwmp),
        (easycwmp::tr098(), &args.easycwmp),
        (netcwmp::client(), &args.netcwmp),
        (genieacs_sim::client(), &args.genieacs_sim),
    ];
    let mut columns = Vec::new();
    for (client, built) in &clients {
        let cells = match built {
            Some(built) => one(client, built, &server, folder.path(), secret)?,
            None => Vec::new(),
        };
        columns.push((client, cells));
    }
    let (table, failed) = matrix(&columns)?;
    println!("{table}");
    let about = "Each came with a setup key and was driven through the command line. \
                 Repeat with `cargo xtask interop cwmp --easycwmp DIR --netcwmp DIR --genieacs-sim DIR`.";
    let notes = clients.iter().map(|(client, _)| client.note);
    let notes = notes.filter(|note| !note.is_empty());
    let table = notes.fold(table, |table, note| format!("{table}\n{note}\n"));
    report::write_section("CWMP clients", about, &table)?;
    if failed {
        bail!("not everything worked; see docs/interop.md");
    }
    Ok(())
}

fn one(
    client: &Client,
    built: &Path,
    server: &Server,
    folder: &Path,
    secret: &str,
) -> Result<Vec<Finding>> {
    println!("{} ({})", client.name, client.model);
    let built = std::fs::canonicalize(built)?;
    let home = folder.join(client.serial);
    std::fs::create_dir_all(&home)?;
    let settings = Settings::new(server, client, &built, &home, secret)?;
    let running = (client.start)(&settings)?;
    let mut cells = Vec::new();
    for (what, found) in Scenario::new(server, client, &home).run() {
        println!("  {what}: {}", report::word(&found));
        cells.push((what, found));
    }
    drop(running);
    let version = (client.version)(&built);
    cells.insert(0, ("version", Ok(version)));
    Ok(cells)
}

/// The table, and whether a step failed.
fn matrix(columns: &[(&Client, Vec<Finding>)]) -> Result<(String, bool)> {
    let mut table = String::from("| what |");
    let mut line = String::from("|---|");
    for (client, _) in columns {
        write!(table, " {}, {} |", client.name, client.model)?;
        line += "---|";
    }
    writeln!(table, "\n{line}")?;
    let mut failed = false;
    let steps = columns
        .iter()
        .map(|(_, cells)| cells)
        .max_by_key(|cells| cells.len());
    for (row, (what, _)) in steps.into_iter().flatten().enumerate() {
        write!(table, "| {what} |")?;
        for (_, cells) in columns {
            let cell = cells.get(row).map(|(_, found)| found);
            failed |= cell.is_some_and(Result::is_err);
            let words = cell.map_or_else(|| "not run".to_owned(), report::word);
            write!(table, " {words} |")?;
        }
        writeln!(table)?;
    }
    Ok((table, failed))
}
