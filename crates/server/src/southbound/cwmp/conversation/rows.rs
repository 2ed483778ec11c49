//! Add and Delete. AddObject has no values: the row is made, then set, and taken away again when it
//! cannot be as it was asked for.

use std::collections::BTreeMap;

use cwmp::fault::{FaultCode, Retry};
use dm::mapping::RowError;
use fleet::southbound::{
    AddResult, Created, DeleteResult, Failure, Fault, ObjectSettings, Setting,
};

use super::super::AskError;
use super::get::fault;
use super::known::Known;
use super::line::Line;
use super::write::{self, Wish};

/// Add.
pub async fn add(
    line: &mut Line,
    known: &mut Known,
    objects: &[ObjectSettings],
    allow_partial: bool,
) -> Result<Vec<AddResult>, Failure> {
    let mut results: Vec<AddResult> = Vec::new();
    for object in objects {
        let result = match add_one(line, known, object, allow_partial).await {
            Ok(result) => result,
            Err(error) => return Err(line.failure(error)),
        };
        let failed = match &result {
            Ok(created) => lacking(object, created),
            Err(why) => Some(why.clone()),
        };
        results.push(AddResult {
            requested: object.object.clone(),
            result,
        });
        if let Some(why) = failed.filter(|_| !allow_partial) {
            return take_back(line, known, results, why).await;
        }
    }
    Ok(results)
}

/// Why a row is not what was asked for, if a required setting failed.
fn lacking(object: &ObjectSettings, created: &Created) -> Option<Fault> {
    let required = |name: &String| {
        object
            .settings
            .iter()
            .any(|s| s.name == *name && s.required)
    };
    let (name, why) = created.faults.iter().find(|(name, _)| required(name))?;
    Some(Fault {
        message: format!("{name}: {}", why.message),
        ..why.clone()
    })
}

/// Takes the rows that were made away again, since the last object cannot be as it was asked for.
/// The device may refuse that: what stays is told as what it is.
async fn take_back(
    line: &mut Line,
    known: &mut Known,
    mut results: Vec<AddResult>,
    mut why: Fault,
) -> Result<Vec<AddResult>, Failure> {
    let (mut stays, mut gone) = (false, false);
    for one in &mut results {
        let Ok(created) = &mut one.result else {
            continue;
        };
        let own = match known.mapped(&created.path) {
            Some(mapping) => mapping.deletion(&created.path).unwrap_or(&created.path),
            None => &created.path,
        };
        let own = own.to_owned();
        match undo(line, known, &own).await {
            Ok(None) => {
                gone = true;
                one.result = Err(why.clone());
            }
            Ok(Some(refused)) => {
                stays = true;
                for (_, fault) in &mut created.faults {
                    fault.message = format!("{}; the new row stays: {refused}", fault.message);
                }
            }
            Err(error) => return Err(line.failure(error)),
        }
    }
    if stays {
        return Ok(results);
    }
    if gone {
        why.message.push_str("; the new row was deleted again");
    }
    let last = results.pop().map(|one| (one.requested, why.clone()));
    Err(Failure::Refused {
        fault: why,
        paths: last.into_iter().collect(),
    })
}

/// Where a row goes: the table of the device, and the settings that are left to do.
fn target(known: &Known, object: &ObjectSettings) -> Result<(String, Vec<Setting>), Fault> {
    let Some(mapping) = known.mapped(&object.object) else {
        return Ok((object.object.clone(), object.settings.clone()));
    };
    let params: Vec<(&str, &str)> = object
        .settings
        .iter()
        .map(|setting| (setting.name.as_str(), setting.value.as_str()))
        .collect();
    let addition = mapping.addition(&object.object, &params).map_err(no_row)?;
    let left = object.settings.iter();
    let left = left.filter(|setting| !addition.settled.contains(&setting.name));
    Ok((addition.table, left.cloned().collect()))
}

fn no_row(error: RowError) -> Fault {
    let code = match error {
        RowError::Ambiguous { .. } => FaultCode::INVALID_ARGUMENTS,
        RowError::NotARow { .. } => FaultCode::REQUEST_DENIED,
        _ => FaultCode::INVALID_PARAMETER_NAME,
    };
    fault(code, error.to_string())
}

async fn add_one(
    line: &mut Line,
    known: &mut Known,
    object: &ObjectSettings,
    allow_partial: bool,
) -> Result<Result<Created, Fault>, AskError> {
    let (table, settings) = match target(known, object) {
        Ok(target) => target,
        Err(fault) => return Ok(Err(fault)),
    };
    let (number, mut after_restart) = match line.add(&table).await {
        Ok(added) => added,
        Err(AskError::Refused(refused)) => return Ok(Err(line.fault(&refused))),
        Err(error) => return Err(error),
    };
    let own = format!("{table}{number}.");
    // Whatever it names is set, and deleted when that fails: it has to be a new one.
    if number == 0 || known.tree.has(&own) {
        let why = format!("it says that the new row is {own}, which is none");
        return Err(AskError::Garbled(why));
    }
    // From here on the row is there: whatever breaks off leaves it to be found by looking.
    known.added(line, &own).await?;
    if after_restart {
        known.expect(&table, &own);
    }
    let path = match known.mapped(&object.object) {
        None => own.clone(),
        Some(mapping) => match mapping.row_in(&object.object, &own) {
            Some(row) => row.to_owned(),
            None => {
                let what = match undo(line, known, &own).await? {
                    None => "was deleted again".to_owned(),
                    Some(refused) => format!("stays as {own}: {refused}"),
                };
                let words = format!("the new row has no counterpart in the table, and {what}");
                return Ok(Err(fault(FaultCode::INTERNAL_ERROR, words)));
            }
        },
    };
    let wishes: Vec<Wish> = settings
        .iter()
        .map(|setting| Wish {
            path: format!("{path}{}", setting.name),
            value: setting.value.clone(),
            required: setting.required && !allow_partial,
        })
        .collect();
    let mut faults = Vec::new();
    if !wishes.is_empty() {
        for (full, result) in write::write(line, known, &wishes, allow_partial).await? {
            match result {
                Ok(later) => after_restart |= later,
                Err(fault) => {
                    let name = full.strip_prefix(&path).unwrap_or(&full).to_owned();
                    faults.push((name, fault));
                }
            }
        }
    }
    Ok(Ok(Created {
        path,
        keys: BTreeMap::new(),
        faults,
        after_restart,
    }))
}

/// Takes a row of the device away that we have just made. Why it stays, if it does.
async fn undo(line: &mut Line, known: &mut Known, own: &str) -> Result<Option<String>, AskError> {
    match line.delete(own).await {
        Err(AskError::Refused(refused)) if refused.code.retry() != Retry::ForgetName => {
            Ok(Some(line.said(&refused.to_string())))
        }
        Ok(_) | Err(AskError::Refused(_)) => {
            known.removed(own);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Delete.
pub async fn delete(
    line: &mut Line,
    known: &mut Known,
    paths: &[String],
    allow_partial: bool,
) -> Result<Vec<DeleteResult>, Failure> {
    let mut results: Vec<DeleteResult> = Vec::with_capacity(paths.len());
    for requested in paths {
        let one = match delete_one(line, known, requested).await {
            Ok(one) => one,
            Err(error) => return Err(line.failure(error)),
        };
        let (gone, faults, after_restart) = match one {
            Ok(Gone {
                rows,
                later,
                faults,
            }) => (Ok(rows), faults, later),
            Err(fault) => (Err(fault), Vec::new(), Vec::new()),
        };
        let refused = gone
            .as_ref()
            .err()
            .or(faults.first().map(|(_, fault)| fault))
            .cloned();
        results.push(DeleteResult {
            requested: requested.clone(),
            result: gone,
            faults,
            after_restart,
        });
        let Some(why) = refused.filter(|_| !allow_partial) else {
            continue;
        };
        let touched = results
            .iter()
            .any(|one| one.result.as_ref().is_ok_and(|gone| !gone.is_empty()));
        if !touched {
            let paths = vec![(requested.clone(), why.clone())];
            return Err(Failure::Refused { fault: why, paths });
        }
        // CWMP takes no row back: those that follow stay, and that is said of them.
        let words = "not deleted: another row before it was refused";
        let left = paths.iter().skip(results.len());
        let left: Vec<DeleteResult> = left
            .map(|path| DeleteResult {
                requested: path.clone(),
                result: Err(fault(FaultCode::REQUEST_DENIED, words)),
                faults: Vec::new(),
                after_restart: Vec::new(),
            })
            .collect();
        results.extend(left);
        break;
    }
    Ok(results)
}

/// What became of the rows that a path leads to.
#[derive(Default)]
struct Gone {
    /// Those that were removed.
    rows: Vec<String>,
    /// And of these, those that go with a restart.
    later: Vec<String>,
    /// Those that stay.
    faults: Vec<(String, Fault)>,
}

async fn delete_one(
    line: &mut Line,
    known: &mut Known,
    requested: &str,
) -> Result<Result<Gone, Fault>, AskError> {
    let rows = match write::expand(line, known, requested).await? {
        Ok(rows) => rows,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut gone = Gone::default();
    let single = rows.len() == 1 && rows.first().is_some_and(|row| row == requested);
    for row in rows {
        let own = match known.mapped(&row).map(|mapping| mapping.deletion(&row)) {
            Some(Ok(own)) => own.to_owned(),
            // Nothing to delete is as good as deleted.
            Some(Err(RowError::NotThere { .. })) => continue,
            Some(Err(error)) if single => return Ok(Err(no_row(error))),
            Some(Err(error)) => {
                gone.faults.push((row, no_row(error)));
                continue;
            }
            None => row.clone(),
        };
        match line.delete(&own).await {
            Ok(later) => {
                match later {
                    // Listed until then, and known by its number.
                    true => gone.later.push(row.clone()),
                    false => known.removed(&own),
                }
                gone.rows.push(row);
            }
            Err(AskError::Refused(refused)) if refused.code.retry() == Retry::ForgetName => {
                known.removed(&own);
            }
            Err(AskError::Refused(refused)) if single => return Ok(Err(line.fault(&refused))),
            Err(AskError::Refused(refused)) => {
                let why = line.fault(&refused);
                gone.faults.push((row, why));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Ok(gone))
}

#[cfg(test)]
#[path = "tests/rows.rs"]
mod tests;
