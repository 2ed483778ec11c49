//! GetInstances: the rows of tables, as the device has them now.

use std::collections::BTreeMap;

use cwmp::fault::FaultCode;
use dm::{Path, Schema};
use fleet::southbound::{Fault, ReadResult, Row};

use super::super::AskError;
use super::get::{Wanted, fault, refresh, search, unknown, wanted};
use super::known::Known;
use super::limits::TABLES_LISTED_MAX;
use super::line::Line;
use super::read::Read;

/// The rows of tables.
pub async fn instances(
    line: &mut Line,
    known: &mut Known,
    paths: &[String],
    first_level_only: bool,
) -> Result<Vec<ReadResult<Row>>, AskError> {
    let mut results = Vec::with_capacity(paths.len());
    for requested in paths {
        let result = match wanted(known, requested) {
            Wanted::Bad(fault) => Err(fault),
            Wanted::Param(_) => Err(fault(FaultCode::INVALID_ARGUMENTS, "only tables have rows")),
            Wanted::Object(table) => {
                known.list(line, &table).await?;
                match known.tree.has(&table) {
                    true => Ok(rows_of(known, &[table], first_level_only)),
                    false => Err(unknown("the device has no such table")),
                }
            }
            Wanted::Search(path) => {
                let mut read = Read::default();
                match search(line, known, &path, &mut read).await? {
                    Ok(tables) => {
                        for table in tables.iter().take(TABLES_LISTED_MAX) {
                            known.list(line, table).await?;
                        }
                        Ok(rows_of(known, &tables, first_level_only))
                    }
                    Err(fault) => Err(fault),
                }
            }
            Wanted::Mapped(path) => mapped_rows(line, known, &path, first_level_only).await?,
        };
        results.push(ReadResult {
            requested: requested.clone(),
            result,
        });
    }
    Ok(results)
}

fn row(path: String) -> Row {
    Row {
        path,
        keys: BTreeMap::new(),
    }
}

/// The rows of the device's own tables.
fn rows_of(known: &Known, tables: &[String], first_level_only: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in tables {
        for number in known.tree.rows(table) {
            rows.push(row(format!("{table}{number}.")));
        }
        if !first_level_only {
            let inner = known.tree.below(table).filter(|name| {
                let rest = &name[table.len()..];
                is_row(name) && rest.matches('.').count() > 1
            });
            rows.extend(inner.map(|name| row(name.to_owned())));
        }
    }
    rows
}

/// Whether an object is a row of a table.
fn is_row(object: &str) -> bool {
    let part = object
        .strip_suffix('.')
        .and_then(|rest| rest.rsplit('.').next());
    part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

async fn mapped_rows(
    line: &mut Line,
    known: &mut Known,
    path: &Path,
    first_level_only: bool,
) -> Result<Result<Vec<Row>, Fault>, AskError> {
    refresh(line, known, &[Wanted::Mapped(Box::new(path.clone()))]).await?;
    let Some(mapping) = known.mapped(path.as_str()) else {
        return Ok(Err(unknown("the device has no such table")));
    };
    // Which tables a search means is told by their rows.
    let shape = path.supported();
    let rows: Vec<Row> = mapping
        .objects()
        .filter(|object| is_row(object))
        .filter(|object| match path.is_plain() {
            true => object.starts_with(path.as_str()),
            false => dm::path::supported_text(object).starts_with(&shape),
        })
        .filter(|object| {
            let depth = |text: &str| text.matches('.').count();
            !first_level_only || depth(object) == depth(&shape) + 1
        })
        .map(|object| row(object.to_owned()))
        .collect();
    let there = !rows.is_empty()
        || !path.is_plain()
        || !mapping.tables(path.as_str()).is_empty()
        || Schema::tr181_cwmp()
            .object(&format!("{shape}{{i}}."))
            .is_some_and(|_| {
                mapping
                    .params()
                    .any(|(name, _)| name.starts_with(path.as_str()))
            });
    Ok(match there {
        true => Ok(rows),
        false => Err(unknown("this device has nothing that it could be")),
    })
}
