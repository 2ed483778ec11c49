//! `device tree`: the data model below a path with the last-known values.

use super::{Connection, find};
use crate::remote::{client::Client, output};
use anyhow::Result;
use api::model::{ModelNode, ModelQuery};

#[derive(clap::Args)]
pub struct Args {
    /// An id, or anything that finds exactly one
    device: String,
    /// Where to begin, an object ending in a dot
    #[arg(default_value = "Device.")]
    path: String,
    /// How many levels of objects to open
    #[arg(long, default_value_t = 1)]
    depth: u32,
    #[command(flatten)]
    connection: Connection,
}

/// More nodes than this are not fetched in one go.
const NODES_MAX: usize = 500;

pub async fn run(args: Args) -> Result<()> {
    let client = Client::new(&args.connection)?;
    let id = find(&client, &args.device).await?.id.to_string();
    let mut waiting = vec![(args.path.clone(), 0)];
    let mut nodes = Vec::new();
    while let Some((path, level)) = waiting.pop() {
        if nodes.len() == NODES_MAX {
            break;
        }
        let query = ModelQuery { path: Some(path) };
        let node: ModelNode = client
            .call("device_model", &[&id], &api::query_pairs(&query))
            .await?;
        if level + 1 < args.depth {
            // A table opens into its rows, everything else into its objects; the last on the stack comes first.
            let below = node.instances.iter().map(|row| row.path.clone());
            let objects = node.objects.iter().map(|object| object.path.clone());
            let mut next: Vec<_> = below.chain(objects).map(|path| (path, level + 1)).collect();
            next.reverse();
            waiting.extend(next);
        }
        nodes.push(node);
    }
    if args.connection.json {
        return output::json(&nodes);
    }
    for node in &nodes {
        print(node);
    }
    if !waiting.is_empty() {
        println!("There is more: {NODES_MAX} objects are shown. Begin further down.");
    }
    Ok(())
}

fn print(node: &ModelNode) {
    println!("{}", node.path);
    for parameter in &node.parameters {
        let value = match &parameter.value {
            Some(value) => format!("= {}  ({})", value.value, output::ago(Some(value.at))),
            None => "(not read yet)".to_owned(),
        };
        let access = output::word(&parameter.access);
        println!(
            "  {}: {} [{access}] {value}",
            parameter.name, parameter.ty.base
        );
    }
    for command in &node.commands {
        println!("  {}", command.name);
    }
    for event in &node.events {
        println!("  {}", event.name);
    }
    for row in &node.instances {
        println!("  {}. {}", row.number, row.hint.as_deref().unwrap_or(""));
    }
    for object in &node.objects {
        let rows = match object.instances {
            Some(rows) if object.table => format!(" ({rows} rows)"),
            _ => String::new(),
        };
        println!("  {}.{rows}", object.name);
    }
}
