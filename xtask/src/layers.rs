//! The layer table (`xtask/layers.toml`) held against `cargo metadata`: normal dependencies only,
//! since a test may look further than the code it tests.

use crate::cmd;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Layer {
    uses: BTreeSet<String>,
    never: BTreeSet<String>,
}

/// Every breach of the table, in words; empty when the house is as drawn.
pub fn breaches() -> Result<Vec<String>> {
    let table: BTreeMap<String, Layer> = toml::from_str(&std::fs::read_to_string(
        cmd::root().join("xtask/layers.toml"),
    )?)
    .context("xtask/layers.toml")?;
    let graph = Graph::load()?;
    let mut found = Vec::new();
    for member in &graph.members {
        let Some(layer) = table.get(member) else {
            found.push(format!("crate `{member}` is not in xtask/layers.toml"));
            continue;
        };
        for used in &graph.edges[member] {
            if graph.members.contains(used) && !layer.uses.contains(used) {
                found.push(format!(
                    "`{member}` uses `{used}`, which the layer table does not allow"
                ));
            }
        }
        for forbidden in &layer.never {
            if let Some(path) = graph.path(member, forbidden) {
                found.push(format!(
                    "`{member}` must never reach `{forbidden}`: {}",
                    path.join(" -> ")
                ));
            }
        }
    }
    found.extend(
        table
            .keys()
            .filter(|name| !graph.members.contains(*name))
            .map(|name| format!("xtask/layers.toml names `{name}`, which is no crate of ours")),
    );
    Ok(found)
}

/// Names of packages and the normal dependencies between them.
struct Graph {
    members: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn load() -> Result<Graph> {
        let output = cmd::command(cmd::cargo_program(), "")
            .args(["metadata", "--format-version", "1", "--locked"])
            .output()?;
        if !output.status.success() {
            bail!(
                "cargo metadata: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
        let names: BTreeMap<&str, &str> = metadata
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package.name.as_str()))
            .collect();
        let name = |id: &str| names.get(id).copied().unwrap_or(id).to_owned();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in &metadata.resolve.nodes {
            let normal = node
                .deps
                .iter()
                .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            edges
                .entry(name(&node.id))
                .or_default()
                .extend(normal.map(|dep| name(&dep.pkg)));
        }
        Ok(Graph {
            members: metadata
                .workspace_members
                .iter()
                .map(|id| name(id))
                .collect(),
            edges,
        })
    }

    /// The shortest chain of dependencies from one crate to another.
    fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut came_from = BTreeMap::from([(from.to_owned(), String::new())]);
        let mut queue = std::collections::VecDeque::from([from.to_owned()]);
        while let Some(at) = queue.pop_front() {
            for next in self.edges.get(&at).into_iter().flatten() {
                if came_from.contains_key(next) {
                    continue;
                }
                came_from.insert(next.clone(), at.clone());
                if next == to {
                    let mut path = vec![next.clone()];
                    while let Some(before) = came_from.get(&path[path.len() - 1]) {
                        if before.is_empty() {
                            break;
                        }
                        path.push(before.clone());
                    }
                    path.reverse();
                    return Some(path);
                }
                queue.push_back(next.clone());
            }
        }
        None
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dep>,
}

#[derive(Deserialize)]
struct Dep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Deserialize)]
struct DepKind {
    kind: Option<String>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_crate_keeps_to_its_layer() {
        assert_eq!(super::breaches().unwrap(), Vec::<String>::new());
    }
}
