//! A throw-away PostgreSQL for tests: its own data in a temporary directory, on a free port of the loopback address,
//! stopped and removed afterwards. It keeps the server's real durability (fsync is on): the tests are about that too.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// Runs `work` with the address of a fresh server (`postgres://...`), and stops the server whatever happens.
pub fn with_postgres<T>(work: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let server = Server::start()?;
    work(&server.url)
}

struct Server {
    programs: PathBuf,
    data: PathBuf,
    url: String,
    // Removed when this is dropped, after the server was stopped.
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Result<Server> {
        let programs = programs()?;
        let directory = tempfile::Builder::new()
            .prefix("headend-postgres-")
            .tempdir()?;
        let data = directory.path().join("data");
        if is_root() {
            // PostgreSQL refuses to run as root.
            run(Command::new("chown").arg("postgres").arg(directory.path()))?;
        }
        run(server_command(&programs, "initdb")
            .arg("--pgdata")
            .arg(&data)
            .args(["--username=headend", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-instructions"]))
        .context("initdb")?;
        // Asked for and given back at once; nobody else takes it in between but by bad luck.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=on \
             -c synchronous_commit=on -c full_page_writes=on -c max_connections=300 -c shared_buffers=128MB"
        );
        let server = Server {
            url: format!("postgres://headend@127.0.0.1:{port}/postgres"),
            programs,
            data,
            _directory: directory,
        };
        run(server_command(&server.programs, "pg_ctl")
            .args(["start", "--wait", "--silent", "--pgdata"])
            .arg(&server.data)
            .arg("--log")
            .arg(server.data.join("server.log"))
            .arg("--options")
            .arg(options))
        .context("starting PostgreSQL")?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = run(server_command(&self.programs, "pg_ctl")
            .args(["stop", "--mode=immediate", "--silent", "--pgdata"])
            .arg(&self.data));
        if let Err(error) = stopped {
            eprintln!("the PostgreSQL for tests was not stopped: {error:#}");
        }
    }
}

/// Where the newest installed server's programs are.
fn programs() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        for version in versions.flatten() {
            let number = version.file_name().to_string_lossy().parse().unwrap_or(0);
            let programs = version.path().join("bin");
            if programs.join("initdb").exists() {
                found.push((number, programs));
            }
        }
    }
    if let Some((_, programs)) = found.into_iter().max() {
        return Ok(programs);
    }
    for directory in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        if directory.join("initdb").exists() {
            return Ok(directory);
        }
    }
    bail!("PostgreSQL is not installed (Debian: apt-get install postgresql)")
}

/// A program of the server, as a user that it accepts.
fn server_command(programs: &Path, name: &str) -> Command {
    let program = programs.join(name);
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // A directory that every user may enter.
    command.current_dir("/");
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

fn run(command: &mut Command) -> Result<()> {
    // pg_ctl leaves a server behind that would keep a pipe open: no pipes.
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("running {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_while_it_is_needed_and_is_gone_afterwards() -> Result<()> {
        if programs().is_err() {
            return Ok(()); // not installed: `cargo xtask test` installs it before this runs
        }
        let address = with_postgres(|url| {
            let rest = url.split_once('@').context("an address")?.1;
            let address = rest.split('/').next().context("a port")?.to_owned();
            std::net::TcpStream::connect(&address)?;
            Ok(address)
        })?;
        ensure!(std::net::TcpStream::connect(address).is_err());
        Ok(())
    }
}
