//! `device tree` and `device search`: the data model with the last-known values.

use super::{act, find};
use crate::remote::output::{hint, say};
use crate::remote::{Connection, client::Client, output};
use anyhow::Result;
use api::Page;
use api::model::{ModelHit, ModelNode, ModelQuery, ModelSearchQuery};

#[derive(clap::Args)]
pub struct Tree {
    /// An id, or anything that finds exactly one
    device: String,
    /// Where to begin
    #[arg(default_value = "Device.", value_parser = act::object)]
    path: String,
    /// How many levels of objects to open
    #[arg(long, default_value_t = 1)]
    depth: u32,
}

#[derive(clap::Args)]
pub struct Search {
    /// An id, or anything that finds exactly one
    device: String,
    /// Words; each has to be found in the path or in the last-known value
    #[arg(required = true)]
    words: Vec<String>,
    /// How many hits at most, up to 500
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

/// More nodes than this are not fetched in one go.
const NODES_MAX: usize = 500;

pub async fn tree(args: Tree, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let id = find(&client, &args.device).await?.id.to_string();
    let mut waiting = vec![(args.path.clone(), 0)];
    let mut nodes = Vec::new();
    while let Some((path, level)) = waiting.pop() {
        if nodes.len() == NODES_MAX {
            waiting.push((path, level));
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
    if connection.json {
        return output::json(&page(nodes, waiting.is_empty()));
    }
    for node in &nodes {
        print(node);
    }
    if !waiting.is_empty() {
        hint!("There is more: {NODES_MAX} objects are shown. Begin further down.");
    }
    Ok(())
}

/// The nodes as a page; what is cut off is told by a total that is not exact.
fn page(nodes: Vec<ModelNode>, whole: bool) -> Page<ModelNode> {
    let mut page = Page::whole(nodes);
    if let Some(total) = &mut page.total {
        total.exact = whole;
    }
    page
}

pub async fn search(args: Search, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let id = find(&client, &args.device).await?.id.to_string();
    let query = ModelSearchQuery {
        q: args.words.join(" "),
        limit: Some(args.limit),
    };
    let page: Page<ModelHit> = client
        .call("device_model_search", &[&id], &api::query_pairs(&query))
        .await?;
    let header = ["path", "what", "value", "read"];
    output::list(&page, connection.json, "hits", header, |hit: &ModelHit| {
        let (value, at) = match &hit.value {
            Some(value) => (
                output::or_dash(Some(&value.value)).to_owned(),
                output::ago(Some(value.at)),
            ),
            None => ("-".to_owned(), "-".to_owned()),
        };
        [hit.path.clone(), output::word(&hit.kind), value, at]
    })
}

fn print(node: &ModelNode) {
    say!("{}", node.path);
    for parameter in &node.parameters {
        let value = match &parameter.value {
            Some(value) => format!("= {}  ({})", value.value, output::ago(Some(value.at))),
            None => "(not read yet)".to_owned(),
        };
        let access = output::word(&parameter.access);
        say!(
            "  {}: {} [{access}] {value}",
            parameter.name,
            parameter.ty.base
        );
    }
    for command in &node.commands {
        say!("  {}", command.name);
    }
    for event in &node.events {
        say!("  {}", event.name);
    }
    for row in &node.instances {
        let line = format!("  {}. {}", row.number, row.hint.as_deref().unwrap_or(""));
        say!("{}", line.trim_end());
    }
    for object in &node.objects {
        let rows = match object.instances {
            Some(rows) if object.table => format!(" ({rows} rows)"),
            _ => String::new(),
        };
        say!("  {}.{rows}", object.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_is_cut_off_does_not_say_that_it_is_all() {
        let exact = |whole| page(Vec::new(), whole).total.unwrap().exact;
        assert!(exact(true) && !exact(false));
    }
}
