//! `discovery agents`: who was found on the networks of the server.

use super::{Connection, client::Client, output};
use crate::remote::output::{hint, say};
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
        say!("The server does not look for agents: discovery.mdns is off in its configuration.");
        return Ok(());
    }
    for network in &found.networks {
        if let Some(trouble) = &network.trouble {
            hint!("Nothing is heard on {}: {trouble}", network.name);
        }
    }
    if found.items.is_empty() {
        let names: Vec<_> = found.networks.iter().map(|one| &*one.name).collect();
        match names.is_empty() {
            true => say!("The server has no network to look for agents on."),
            false => say!("No agent was heard on {}.", names.join(", ")),
        }
        return Ok(());
    }
    let columns = [
        "endpoint id",
        "name",
        "transport",
        "where",
        "network",
        "device here",
        "since",
    ];
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
            one.network.clone(),
            match one.device_id {
                Some(_) => "yes".to_owned(),
                None => "no".to_owned(),
            },
            output::ago(Some(one.since)),
        ]);
    }
    output::print(&table);
    if found.more > 0 {
        say!("{} more were heard than are listed.", found.more);
    }
    Ok(())
}
