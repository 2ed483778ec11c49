//! `sign-in` and `sign-out`: a token of the person, kept in a file that only the person can read.

use super::{Connection, client::Client, output, typed};
use crate::exit::{Exit, Failure};
use crate::remote::output::{hint, say};
use anyhow::{Context, Result};
use api::session::{PasswordChange, Session, SignIn};
use api::token::{TokenCreate, TokenCreated};
use serde::{Deserialize, Serialize};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

/// Who and where.
#[derive(clap::Args)]
pub struct Args {
    /// Login [asked for when absent]
    #[arg(long)]
    pub login: Option<String>,
    /// Read the password from standard input; a new one, where one is due, from its second line
    #[arg(long)]
    pub password_stdin: bool,
}

/// What is kept between commands.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The server.
    pub url: String,
    /// The token's id, to revoke it.
    pub token_id: uuid::Uuid,
    /// The token.
    pub token: String,
}

pub async fn run(args: Args, connection: &Connection) -> Result<()> {
    let client = Client::without_token(connection)?;
    // Before anything is made at the server that could not be kept here.
    let slot = Slot::open()?;
    let before = kept()?.filter(|kept| kept.url == client.url());
    let session = open(&client, args.login.clone(), args.password_stdin).await?;
    let place = closing(&client, exchange(&client, &session, slot)).await?;
    if let Some(before) = before {
        // It may be revoked already, or its user barred: what counts is that it works no more.
        let _ = revoke(before, connection).await;
    }
    if connection.json {
        return output::json(&session);
    }
    say!(
        "signed in at {} as {} in {}",
        client.url(),
        session.user.login,
        session.tenant.id
    );
    hint!("The token is kept in {}.", place.display());
    Ok(())
}

/// Ends the session whatever came of `work` under it.
pub async fn closing<T>(client: &Client, work: impl Future<Output = Result<T>>) -> Result<T> {
    let worked = work.await;
    let ended = client.perform("session_delete", &[]).await;
    let worked = worked?;
    ended?;
    Ok(worked)
}

/// Makes a token under the session and keeps it; one that cannot be kept is revoked.
async fn exchange(client: &Client, session: &Session, slot: Slot) -> Result<PathBuf> {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let body = TokenCreate {
        name: format!("command line on {}", host.trim()).trim().to_owned(),
        scopes: session.permissions.clone(),
        expires_at: None,
    };
    let made: TokenCreated = client.submit("token_create", &[], &body).await?;
    let id = made.token.id;
    let kept = slot.keep(&Kept {
        url: client.url().to_owned(),
        token_id: id,
        token: made.secret,
    });
    if kept.is_err() {
        client.perform("token_revoke", &[&id.to_string()]).await?;
    }
    kept
}

pub async fn out(connection: &Connection) -> Result<()> {
    let Some(kept) = kept()? else {
        output::done(connection.json, "nobody was signed in");
        return Ok(());
    };
    let revoked = revoke(kept, connection).await;
    std::fs::remove_file(place()?)?;
    revoked.context("the token is forgotten here, but was not revoked at the server")?;
    output::done(connection.json, "signed out");
    Ok(())
}

/// The kept token revokes itself at its own server, whatever --url and --token say.
async fn revoke(kept: Kept, connection: &Connection) -> Result<()> {
    let its_own = Connection {
        url: Some(kept.url),
        token: Some(kept.token),
        tenant: None,
        ..connection.clone()
    };
    let client = Client::new(&its_own)?;
    let id = kept.token_id.to_string();
    client.perform("token_revoke", &[&id]).await
}

/// Signs in with login and password, changing a one-time password on the way.
pub async fn open(client: &Client, login: Option<String>, from_stdin: bool) -> Result<Session> {
    let (session, password) = enter(client, login, from_stdin).await?;
    if !session.must_change_password {
        return Ok(session);
    }
    hint!("This is a one-time password: choose your own, of 12 characters or more.");
    renew(client, password, from_stdin).await?;
    client.call("session_show", &[], &[]).await
}

/// Signs in and changes the password.
pub async fn change_password(
    client: &Client,
    login: Option<String>,
    from_stdin: bool,
) -> Result<()> {
    let (_, password) = enter(client, login, from_stdin).await?;
    renew(client, password, from_stdin).await
}

async fn enter(
    client: &Client,
    login: Option<String>,
    from_stdin: bool,
) -> Result<(Session, String)> {
    let login = match login {
        Some(login) => login,
        None => ask("Login: ")?,
    };
    let password = secret("Password: ", from_stdin)?;
    let body = SignIn {
        login,
        password: password.clone(),
    };
    let session = client.submit("session_create", &[], &body).await?;
    Ok((session, password))
}

async fn renew(client: &Client, current: String, from_stdin: bool) -> Result<()> {
    let new = secret("New password: ", from_stdin)?;
    if !from_stdin && std::io::stdin().is_terminal() && secret("Again: ", false)? != new {
        return Err(Exit::error(Failure::Usage, "the two passwords differ"));
    }
    let body = PasswordChange { current, new };
    let changed = client.submit_nothing("session_password", &[], &body).await;
    typed::options(
        changed,
        &[("new", "the new password"), ("current", "the password")],
    )
}

/// What an earlier `sign-in` kept.
pub fn kept() -> Result<Option<Kept>> {
    let place = place()?;
    match std::fs::read_to_string(&place) {
        Ok(text) => Ok(Some(
            toml::from_str(&text).with_context(|| place.display().to_string())?,
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| place.display().to_string()),
    }
}

/// A file beside the one that is kept, open for writing and readable by its owner only.
struct Slot {
    file: std::fs::File,
    temporary: PathBuf,
    place: PathBuf,
}

impl Slot {
    fn open() -> Result<Slot> {
        use std::os::unix::fs::OpenOptionsExt;
        let place = place()?;
        let open = || {
            if let Some(folder) = place.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let temporary = place.with_extension("new");
            let _ = std::fs::remove_file(&temporary);
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            Ok((options.open(&temporary)?, temporary))
        };
        let (file, temporary) = open()
            .map_err(|error: std::io::Error| anyhow::Error::new(error))
            .with_context(|| format!("the token cannot be kept in {}", place.display()))?;
        Ok(Slot {
            file,
            temporary,
            place,
        })
    }

    fn keep(mut self, kept: &Kept) -> Result<PathBuf> {
        let text = toml::to_string(kept)?;
        let written = self.file.write_all(text.as_bytes());
        written
            .and_then(|()| std::fs::rename(&self.temporary, &self.place))
            .with_context(|| format!("the token cannot be kept in {}", self.place.display()))?;
        Ok(self.place.clone())
    }
}

impl Drop for Slot {
    /// Nothing stays behind of a sign-in that failed.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.temporary);
    }
}

fn place() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))
        .context("neither XDG_CONFIG_HOME nor HOME is set")?;
    Ok(base.join("headend/sign-in.toml"))
}

fn ask(question: &str) -> Result<String> {
    eprint!("{question}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    match line.trim() {
        "" => Err(Exit::error(
            Failure::Usage,
            "nobody said who signs in: give --login",
        )),
        login => Ok(login.to_owned()),
    }
}

/// A secret, asked for where there is a terminal, else a line of standard input.
pub fn secret(question: &str, from_stdin: bool) -> Result<String> {
    if from_stdin || !std::io::stdin().is_terminal() {
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line)? == 0 {
            let words = format!(
                "there is no terminal to ask for \"{}\", and no (more) line on standard input",
                question.trim_end_matches([':', ' '])
            );
            return Err(Exit::error(Failure::Usage, words));
        }
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    Ok(rpassword::prompt_password(question)?)
}
