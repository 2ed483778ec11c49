//! `discovery agents`: who was found on the networks of the server.

use super::{Connection, client::Client, output};
use anyhow::Result;
use api::discovery::LanAgents;

#[derive(clap::Subcommand)]
pub enum Command {
    /// List the agents that the server has found on its local network (discovery.mdns in its configuration)
    Agents(#[command(flatten)] Connection),
}

impl Command {
    pub fn connection(&self) -> &Connection {
        let Command::Agents(connection) = self;
        connection
    }
}

pub async fn run(command: Command) -> Result<()> {
    let Command::Agents(connection) = command;
    let client = Client::new(&connection)?;
    let found: LanAgents = client.call("discovery_agents", &[], &[]).await?;
    if connection.json {
        return output::json(&found);
    }
    if !found.looking {
        println!(
            "The server does not look for agents: discovery.mdns is off in its configuration."
        );
        return Ok(());
    }
    let columns = ["endpoint id", "name", "transport", "where", "since"];
    let mut table = output::table(&columns);
    for one in &found.items {
        let place = one.url.clone().unwrap_or_else(|| {
            format!(
                "{} port {} {}",
                one.addresses.join(", "),
                one.port,
                one.path
            )
        });
        table.add_row([
            one.endpoint_id.clone(),
            one.name.clone().unwrap_or_default(),
            one.transport.clone(),
            place,
            output::ago(Some(one.since)),
        ]);
    }
    output::print(&table);
    Ok(())
}
