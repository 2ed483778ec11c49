//! `token`: API tokens for scripts.

use super::{Connection, client::Client, output, sign_in};
use anyhow::{Result, bail};
use api::token::{Token, TokenCreate, TokenCreated};
use api::{Page, Permission};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a token; its secret is printed once
    Create {
        /// What it is for
        name: String,
        /// What it may do, like device:read; may be repeated [default: all that you may]
        #[arg(long = "scope")]
        scopes: Vec<String>,
        /// Days until it stops working [default: never]
        #[arg(long)]
        days: Option<u32>,
        /// Sign in with this login and a password instead of a token
        #[arg(long)]
        login: Option<String>,
        /// Read the password from standard input
        #[arg(long, requires = "login")]
        password_stdin: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// List tokens
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Revoke a token; works at once
    Revoke {
        /// Its id
        id: uuid::Uuid,
        #[command(flatten)]
        connection: Connection,
    },
}

pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Create {
            name,
            scopes,
            days,
            login,
            password_stdin,
            connection,
        } => {
            let scopes = scopes
                .iter()
                .map(|scope| permission(scope))
                .collect::<Result<Vec<_>>>()?;
            let (client, held) = match login {
                Some(login) => {
                    let client = Client::without_token(&connection)?;
                    let session = sign_in::open(&client, Some(login), password_stdin).await?;
                    (client, session.permissions)
                }
                None => {
                    let client = Client::new(&connection)?;
                    let session: api::session::Session =
                        client.call("session_show", &[], &[]).await?;
                    (client, session.permissions)
                }
            };
            let body = TokenCreate {
                name,
                scopes: if scopes.is_empty() { held } else { scopes },
                expires_at: days.map(in_days),
            };
            let made: TokenCreated = client.submit("token_create", &[], &body).await?;
            if connection.json {
                return output::json(&made);
            }
            println!("{}", made.secret);
            eprintln!("This secret is not shown again. Use it as HEADEND_TOKEN or --token.");
            Ok(())
        }
        Command::List { connection } => {
            let client = Client::new(&connection)?;
            let page: Page<Token> = client
                .call("token_list", &[], &[("limit".into(), "500".into())])
                .await?;
            if connection.json {
                return output::json(&page);
            }
            let mut table = output::table(&["id", "name", "of", "begins", "last used", "state"]);
            for token in page.items {
                let state = if token.revoked_at.is_some() {
                    "revoked"
                } else {
                    "valid"
                };
                table.add_row([
                    token.id.to_string(),
                    token.name,
                    token.login,
                    token.hint,
                    output::ago(token.last_used_at),
                    state.to_owned(),
                ]);
            }
            println!("{table}");
            Ok(())
        }
        Command::Revoke { id, connection } => {
            Client::new(&connection)?
                .perform("token_revoke", &[&id.to_string()])
                .await?;
            println!("revoked {id}");
            Ok(())
        }
    }
}

fn permission(text: &str) -> Result<Permission> {
    let Ok(found) = serde_json::from_value(serde_json::Value::String(text.to_owned())) else {
        bail!("`{text}` is no permission; examples: device:read, operation:run");
    };
    Ok(found)
}

fn in_days(days: u32) -> api::Time {
    let now = time::OffsetDateTime::now_utc().unix_timestamp() * 1000;
    api::Time::from_unix_ms(now + i64::from(days) * 86_400_000)
}
