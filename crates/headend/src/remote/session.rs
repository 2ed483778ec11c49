//! `whoami` and `change-password`: the person who asks.

use super::{Connection, client::Client, output, sign_in};
use anyhow::Result;
use api::session::Session;

#[derive(clap::Args)]
pub struct ChangePassword {
    /// Login [asked for when absent]
    #[arg(long)]
    login: Option<String>,
    /// Read both passwords from standard input: the present one, then the new one on a line of its own
    #[arg(long)]
    password_stdin: bool,
}

pub async fn whoami(connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let session: Session = client.call("session_show", &[], &[]).await?;
    if connection.json {
        return output::json(&session);
    }
    let may: Vec<&str> = session.permissions.iter().map(|one| one.as_str()).collect();
    let tenants: Vec<&str> = session.tenants.iter().map(|one| one.id.as_str()).collect();
    let role = match session.user.platform {
        true => format!("{}, platform", session.user.role),
        false => session.user.role.clone(),
    };
    output::facts(&[
        ("server", client.url().to_owned()),
        ("login", session.user.login.clone()),
        ("name", session.user.display_name.clone()),
        ("role", role),
        ("tenant", session.tenant.id.clone()),
        ("may act in", tenants.join(", ")),
        (
            "signed in until",
            match session.expires_at {
                Some(at) => at.to_string(),
                None => "the token is revoked".to_owned(),
            },
        ),
        ("may", may.join(", ")),
    ]);
    Ok(())
}

/// Signs in for this one thing: an API token may not change a password.
pub async fn change_password(args: ChangePassword, connection: &Connection) -> Result<()> {
    let client = Client::without_token(connection)?;
    sign_in::change_password(&client, args.login, args.password_stdin).await?;
    client.perform("session_delete", &[]).await?;
    output::done(
        connection.json,
        "the password is changed; every other sign-in has ended, tokens stay",
    );
    Ok(())
}
