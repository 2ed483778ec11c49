//! `setup-key`: the keys with which new devices come in.

use super::confirm::Sure;
use super::part::Part;
use super::{Connection, client::Client, output, typed, when};
use crate::remote::output::{hint, say};
use anyhow::Result;
use api::setup_key::{SetupKey, SetupKeyCreate, SetupKeyCreated, SetupKeyPatch};
use uuid::Uuid;

#[derive(clap::Subcommand)]
pub enum Command {
    /// List setup keys, newest first
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Make a setup key; its secret is printed once
    Create {
        /// What it is for
        name: String,
        /// Days until it stops working [default: never]
        #[arg(long)]
        days: Option<u32>,
        /// How many devices may use it [default: any number]
        #[arg(long)]
        uses: Option<u32>,
    },
    /// Show a setup key without its secret
    Show {
        /// Its id
        id: Uuid,
    },
    /// Give a setup key another name
    Rename {
        /// Its id
        id: Uuid,
        /// What it is for
        name: String,
    },
    /// Revoke a setup key: no new device comes in with it; devices that are in stay
    Revoke {
        /// Its id
        id: Uuid,
        #[command(flatten)]
        sure: Sure,
    },
}

pub async fn run(command: Command, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let json = connection.json;
    match command {
        Command::List { part } => {
            let page = part.fetch(&client, "setup_key_list", &[], &[]).await?;
            let header = ["id", "name", "begins", "used", "last used", "ends", "state"];
            output::list(&page, json, "setup keys", header, |key: &SetupKey| {
                [
                    key.id.to_string(),
                    key.name.clone(),
                    key.hint.clone(),
                    used(key),
                    output::ago(key.last_used_at),
                    output::until(key.expires_at),
                    state(key).to_owned(),
                ]
            })
        }
        Command::Create { name, days, uses } => {
            let body = SetupKeyCreate {
                name,
                expires_at: days.map(when::in_days),
                uses_max: uses,
            };
            let made = client.submit("setup_key_create", &[], &body).await;
            let names = [
                ("name", "the name"),
                ("expires_at", "--days"),
                ("uses_max", "--uses"),
            ];
            let made: SetupKeyCreated = typed::options(made, &names)?;
            if json {
                return output::json(&made);
            }
            say!("{}", made.secret);
            for url in &made.urls {
                hint!("Devices connect to  {url}");
            }
            if let Some(mqtt) = &made.mqtt {
                for url in &mqtt.urls {
                    hint!("Over MQTT they come to  {url}");
                }
                hint!(
                    "with the username {} and the secret as password, listen at {} and publish to {}",
                    mqtt.username,
                    mqtt.agent_topic,
                    mqtt.controller_topic
                );
            }
            if let Some(acs) = &made.acs {
                for url in &acs.urls {
                    hint!("TR-069 devices come to  {url}");
                }
                hint!(
                    "with the username {} and the secret as password",
                    acs.username
                );
            }
            hint!("This secret is not shown again.");
            Ok(())
        }
        Command::Show { id } => {
            let key = client
                .call("setup_key_show", &[&id.to_string()], &[])
                .await?;
            show(&key, json)
        }
        Command::Rename { id, name } => {
            let body = SetupKeyPatch { name: Some(name) };
            let changed = client
                .submit("setup_key_update", &[&id.to_string()], &body)
                .await;
            let key = typed::options(changed, &[("name", "the name")])?;
            show(&key, json)
        }
        Command::Revoke { id, sure } => {
            sure.about("No new device comes in with this key any more.")?;
            client
                .perform("setup_key_revoke", &[&id.to_string()])
                .await?;
            output::done(json, &format!("revoked {id}"));
            Ok(())
        }
    }
}

fn show(key: &SetupKey, json: bool) -> Result<()> {
    if json {
        return output::json(key);
    }
    output::facts(&[
        ("id", key.id.to_string()),
        ("name", key.name.clone()),
        ("begins", key.hint.clone()),
        ("state", state(key).to_owned()),
        ("used", used(key)),
        ("last used", output::ago(key.last_used_at)),
        ("made", output::ago(Some(key.created_at))),
        ("made by", key.created_by.clone().unwrap_or_default()),
        ("ends", output::until(key.expires_at)),
        ("digest", digest(key).to_owned()),
    ]);
    Ok(())
}

fn digest(key: &SetupKey) -> &'static str {
    if key.digest {
        "yes, while it is among the newest 32 in force"
    } else {
        "no: made by a version without CWMP; a CWMP device can show it with Basic only"
    }
}

fn used(key: &SetupKey) -> String {
    match key.uses_max {
        Some(most) => format!("{} of {most}", key.uses),
        None => key.uses.to_string(),
    }
}

fn state(key: &SetupKey) -> &'static str {
    let over = key.uses_max.is_some_and(|most| key.uses >= most);
    match (key.revoked_at, output::is_past(key.expires_at), over) {
        (Some(_), _, _) => "revoked",
        (None, true, _) => "expired",
        (None, false, true) => "used up",
        (None, false, false) => "valid",
    }
}
