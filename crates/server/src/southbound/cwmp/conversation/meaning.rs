//! What a path of a subscription means on a device: the parameters that it leads to now, and whether
//! it may lead to some later.

use dm::{Path, PathKind};

use super::super::AskError;
use super::get::search;
use super::known::Known;
use super::line::Line;
use super::model;
use super::read::Read;

/// Whether any of these is about a table that the device has: what has no rows now may have some later.
pub fn may_come(known: &Known, paths: &[&str]) -> bool {
    let model = model::model(known);
    let comes = |text: &&str| match Path::parse(text) {
        Ok(path) if path.kind() == PathKind::Object => {
            path.is_search() && model.object(text).is_some()
                || model.object(&format!("{text}{{i}}.")).is_some()
        }
        Ok(path) => path.is_search() && model.param(text).is_some(),
        Err(_) => false,
    };
    paths.iter().any(comes)
}

/// The names on the device of what a path means now, as far as it has them.
pub async fn names(
    line: &mut Line,
    known: &mut Known,
    text: &str,
) -> Result<Vec<String>, AskError> {
    let Ok(path) = Path::parse(text) else {
        return Ok(Vec::new());
    };
    if let Some(mapping) = known.mapped(path.as_str()) {
        let reads = mapping.reads(&[&path]).into_iter();
        return Ok(reads.map(str::to_owned).collect());
    }
    if path.is_plain() {
        let there = known.tree.has(path.as_str());
        return Ok(there
            .then(|| path.as_str().to_owned())
            .into_iter()
            .collect());
    }
    let found = search(line, known, &path, &mut Read::default()).await?;
    Ok(found.unwrap_or_default())
}
