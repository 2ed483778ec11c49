//! `system`: the installation itself, and the description of its API.

use super::{Connection, client::Client, output};
use crate::remote::output::say;
use anyhow::Result;
use api::system::System;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Show version, listeners and database
    Show {
        /// With the limits one can meet, and why they are so
        #[arg(long)]
        limits: bool,
    },
    /// Print the API's description (OpenAPI 3.1)
    Openapi,
}

pub async fn run(command: Command, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let limits = match command {
        Command::Show { limits } => limits,
        Command::Openapi => {
            let document: serde_json::Value = client.call("openapi_show", &[], &[]).await?;
            return output::json(&document);
        }
    };
    let system: System = client.call("system_show", &[], &[]).await?;
    if connection.json {
        return output::json(&system);
    }
    let silent = format!(
        "after {} s without a sign of life",
        system.presence_silent_seconds
    );
    let mut rows = vec![
        ("version", system.version.clone()),
        ("started", output::ago(Some(system.started_at))),
        ("its clock", system.now.to_string()),
        ("endpoint id", system.endpoint_id.clone()),
        ("database", system.database.clone()),
        ("silent", silent),
    ];
    if let Some(connections) = system.connections {
        rows.push(("connected devices", connections.to_string()));
    }
    output::facts(&rows);
    say!();
    let mut table = output::table(&["listens for", "protocol", "address", "url"]);
    for listener in &system.listeners {
        let row = [
            &listener.purpose,
            &listener.protocol,
            &listener.address,
            &listener.url,
        ];
        table.add_row(row);
    }
    output::print(&table);
    if !system.brokers.is_empty() {
        say!();
        let columns = [
            "broker",
            "url",
            "connected",
            "since",
            "devices",
            "last error",
        ];
        let mut table = output::table(&columns);
        for one in &system.brokers {
            table.add_row([
                one.name.clone(),
                one.url.clone(),
                if one.connected { "yes" } else { "no" }.to_owned(),
                output::ago(Some(one.since)),
                one.devices.map_or_else(String::new, |n| n.to_string()),
                one.last_error.clone().unwrap_or_default(),
            ]);
        }
        output::print(&table);
    }
    if limits {
        say!();
        let mut table = output::table(&["limit", "value", "why"]);
        for limit in &system.limits {
            table.add_row([&limit.name, &limit.value.to_string(), &limit.reason]);
        }
        output::print(&table);
    }
    Ok(())
}
