//! `token`: API tokens for scripts.

use super::confirm::Sure;
use super::part::Part;
use super::{Connection, client::Client, output, sign_in, typed, when};
use crate::remote::output::{hint, say};
use anyhow::Result;
use api::Permission;
use api::session::Session;
use api::token::{Token, TokenCreate, TokenCreated};
use uuid::Uuid;

#[derive(clap::Subcommand)]
pub enum Command {
    /// List your tokens; with `user:read` those of the whole tenant
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Make a token; its secret is printed once
    Create {
        /// What it is for
        name: String,
        /// What it may do, like device:read (`headend user roles` lists them); may be repeated
        /// [default: all that you may]
        #[arg(long = "scope", value_parser = permission)]
        scopes: Vec<Permission>,
        /// Days until it stops working [default: never]
        #[arg(long)]
        days: Option<u32>,
        /// Sign in with this login and a password instead of a token
        #[arg(long)]
        login: Option<String>,
        /// Read the password from standard input
        #[arg(long, requires = "login")]
        password_stdin: bool,
    },
    /// Show a token without its secret
    Show {
        /// Its id
        id: Uuid,
    },
    /// Revoke a token; works at once
    Revoke {
        /// Its id
        id: Uuid,
        #[command(flatten)]
        sure: Sure,
    },
}

pub async fn run(command: Command, connection: &Connection) -> Result<()> {
    let json = connection.json;
    match command {
        Command::List { part } => {
            let client = Client::new(connection)?;
            let page = part.fetch(&client, "token_list", &[], &[]).await?;
            let header = ["id", "name", "of", "begins", "last used", "ends", "state"];
            output::list(&page, json, "tokens", header, |token: &Token| {
                [
                    token.id.to_string(),
                    token.name.clone(),
                    token.login.clone(),
                    token.hint.clone(),
                    output::ago(token.last_used_at),
                    output::until(token.expires_at),
                    state(token).to_owned(),
                ]
            })
        }
        Command::Create {
            name,
            scopes,
            days,
            login,
            password_stdin,
        } => {
            let signs_in = login.is_some();
            let (client, session) = match login {
                Some(login) => {
                    let client = Client::without_token(connection)?;
                    let session = sign_in::open(&client, Some(login), password_stdin).await?;
                    (client, session)
                }
                None => {
                    let client = Client::new(connection)?;
                    let session: Session = client.call("session_show", &[], &[]).await?;
                    (client, session)
                }
            };
            let body = TokenCreate {
                name,
                scopes: match scopes.is_empty() {
                    true => session.permissions,
                    false => scopes,
                },
                expires_at: days.map(when::in_days),
            };
            let make = client.submit("token_create", &[], &body);
            let made = match signs_in {
                true => sign_in::closing(&client, make).await,
                false => make.await,
            };
            let names = [
                ("name", "the name"),
                ("scopes", "--scope"),
                ("expires_at", "--days"),
            ];
            let made: TokenCreated = typed::options(made, &names)?;
            if json {
                return output::json(&made);
            }
            say!("{}", made.secret);
            hint!("This secret is not shown again. Use it as HEADEND_TOKEN or --token.");
            Ok(())
        }
        Command::Show { id } => {
            let client = Client::new(connection)?;
            let token: Token = client.call("token_show", &[&id.to_string()], &[]).await?;
            if json {
                return output::json(&token);
            }
            let scopes: Vec<&str> = token.scopes.iter().map(|one| one.as_str()).collect();
            output::facts(&[
                ("id", token.id.to_string()),
                ("name", token.name.clone()),
                ("of", token.login.clone()),
                ("begins", token.hint.clone()),
                ("state", state(&token).to_owned()),
                ("last used", output::ago(token.last_used_at)),
                ("made", output::ago(Some(token.created_at))),
                ("ends", output::until(token.expires_at)),
                ("may", scopes.join(", ")),
            ]);
            Ok(())
        }
        Command::Revoke { id, sure } => {
            sure.about("Whoever uses this token is shut out at once.")?;
            Client::new(connection)?
                .perform("token_revoke", &[&id.to_string()])
                .await?;
            output::done(json, &format!("revoked {id}"));
            Ok(())
        }
    }
}

fn state(token: &Token) -> &'static str {
    match (token.revoked_at, output::is_past(token.expires_at)) {
        (Some(_), _) => "revoked",
        (None, true) => "expired",
        (None, false) => "valid",
    }
}

fn permission(text: &str) -> Result<Permission, String> {
    text.parse().map_err(|_| {
        let known: Vec<&str> = Permission::ALL.iter().map(|one| one.as_str()).collect();
        format!("there are {}", known.join(", "))
    })
}
