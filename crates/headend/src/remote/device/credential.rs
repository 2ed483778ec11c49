//! `device wake-credential`: with what a device is asked to come, where it keeps its own.

use super::super::{Connection, client::Client, output, sign_in, typed};
use super::find;
use crate::remote::output::say;
use anyhow::Result;
use api::reach::{WakeCredentialEntry, Woken};

#[derive(clap::Args)]
pub struct Enter {
    /// An id, or anything that finds exactly one
    device: String,
    /// The user name that the device has
    #[arg(long, required_unless_present = "remove")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Take what was entered away: it is asked with a password of ours again, once it has one
    #[arg(long, conflicts_with_all = ["username", "password_stdin"])]
    remove: bool,
}

pub async fn enter(args: Enter, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let id = find(&client, &args.device).await?.id.to_string();
    let Some(username) = args.username else {
        client
            .perform("device_wake_credential_remove", &[&id])
            .await?;
        output::done(connection.json, "it is asked with a password of ours");
        return Ok(());
    };
    let body = WakeCredentialEntry {
        username,
        password: sign_in::secret("Password of the device: ", args.password_stdin)?,
    };
    let names = [("username", "--username"), ("password", "the password")];
    let woken = client
        .submit("device_wake_credential_enter", &[&id], &body)
        .await;
    let woken: Woken = typed::options(woken, &names)?;
    if connection.json {
        return output::json(&woken);
    }
    say!("kept; {}", woken.words);
    Ok(())
}
