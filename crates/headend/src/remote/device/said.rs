//! `device sessions`, `device session`: what was said each time a device came.

use super::super::part::Part;
use super::super::{Connection, client::Client, output};
use super::find;
use crate::exit::{Exit, Failure};
use crate::remote::output::say;
use anyhow::Result;
use api::management_session::{ManagementSession, ManagementSessionDetail};
use uuid::Uuid;

#[derive(clap::Args)]
pub struct Sessions {
    /// An id, or anything that finds exactly one
    device: String,
    #[command(flatten)]
    part: Part,
}

#[derive(clap::Args)]
pub struct Session {
    /// An id, or anything that finds exactly one
    device: String,
    /// The id of the session [default: the last one]
    session: Option<Uuid>,
}

pub async fn list(args: Sessions, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let id = find(&client, &args.device).await?.id.to_string();
    let page = args
        .part
        .fetch(&client, "device_sessions", &[&id], &[])
        .await?;
    let header = ["id", "began", "from", "because of", "faults", "ended"];
    output::list(
        &page,
        connection.json,
        "sessions",
        header,
        |one: &ManagementSession| {
            [
                one.id.to_string(),
                output::ago(Some(one.started_at)),
                one.peer.clone(),
                one.events.join(", "),
                one.faults.to_string(),
                one.ending.clone(),
            ]
        },
    )
}

pub async fn show(args: Session, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let device = find(&client, &args.device).await?.id.to_string();
    let id = match args.session {
        Some(id) => id,
        None => {
            let last = Part::first(1)
                .fetch::<ManagementSession>(&client, "device_sessions", &[&device], &[])
                .await?;
            let Some(last) = last.items.into_iter().next() else {
                let words = "no session of it is kept; only devices that come over CWMP have them";
                return Err(Exit::error(Failure::NotFound, words));
            };
            last.id
        }
    };
    let said: ManagementSessionDetail = client
        .call("device_session", &[&device, &id.to_string()], &[])
        .await?;
    if connection.json {
        return output::json(&said);
    }
    let half = said.entries.len() / 2;
    for (n, entry) in said.entries.iter().enumerate() {
        if n == half && said.left_out > 0 {
            say!("({} messages were not kept)\n", said.left_out);
        }
        let kind = format!("{} {}", output::word(&entry.direction), entry.kind);
        say!("{} {kind}", entry.at);
        println!("{}\n", output::plain(entry.text.trim_end()));
    }
    for fault in &said.fault_details {
        let parameter = fault.parameter.as_deref();
        let tried = match &fault.value {
            Some(value) => format!(", with the value {value:?}"),
            None => String::new(),
        };
        let code = match fault.code {
            0 => "without a code".to_owned(),
            code => code.to_string(),
        };
        say!(
            "fault {code} ({}) of {} {}{tried}; {} other devices of this model show the same",
            fault.message,
            fault.asked,
            parameter.unwrap_or_default(),
            fault.similar_devices
        );
    }
    say!("ended: {}", said.session.ending);
    Ok(())
}
