//! Set: what to write for what is asked, in the device's types, and what its refusal means.
//!
//! SetParameterValues is all or nothing, so a Set that may be done in part leaves out what the
//! device refuses and writes the rest. More than the device takes at once is written piece by
//! piece; then it is no longer all or nothing, and the answer says what was written. A few
//! parameters are only torn apart where the device says that they are too many.

use std::collections::{BTreeMap, BTreeSet};

use cwmp::fault::{FaultCode, names};
use dm::mapping::{Refusal, Write};
use dm::{BaseType, Path, Schema};
use fleet::southbound::{Failure, Fault, ObjectSettings, WriteResult};

use super::super::AskError;
use super::forms::parameter;
use super::get::{fault, search};
use super::habits::is_too_much;
use super::known::Known;
use super::limits::BATCH_BLAMED_MIN;
use super::line::Line;
use super::read::{self, Read};

/// One parameter to set, by the path somebody gave or a search led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Full path.
    pub path: String,
    /// What it shall be.
    pub value: String,
    /// Nothing else is done without it.
    pub required: bool,
}

/// What became of wishes, by their paths: whether they are in force only after a restart, or why they are not done.
pub type Done = BTreeMap<String, Result<bool, Fault>>;

/// Set.
pub async fn set(
    line: &mut Line,
    known: &mut Known,
    objects: &[ObjectSettings],
    allow_partial: bool,
) -> Result<Vec<WriteResult>, Failure> {
    let wishes = match wishes(line, known, objects).await {
        Ok(wishes) => wishes?,
        Err(error) => return Err(line.failure(error)),
    };
    if wishes.is_empty() {
        return Ok(Vec::new());
    }
    let done = match write(line, known, &wishes, allow_partial).await {
        Ok(done) => done,
        Err(error) => return Err(line.failure(error)),
    };
    let required = |path: &String| {
        wishes
            .iter()
            .any(|wish| wish.path == *path && wish.required)
    };
    let first = done.iter().find_map(|(path, result)| {
        let fault = result.as_ref().err()?;
        required(path).then(|| fault.clone())
    });
    match first {
        // None of it was written.
        Some(fault) if !done.values().any(Result::is_ok) && !allow_partial => {
            let paths = done
                .into_iter()
                .filter_map(|(path, r)| Some((path, r.err()?)));
            Err(Failure::Refused {
                fault,
                paths: paths.collect(),
            })
        }
        _ => {
            let results = done.into_iter().map(|(path, result)| WriteResult {
                path,
                after_restart: result == Ok(true),
                result: result.map(|_| None),
            });
            Ok(results.collect())
        }
    }
}

/// What is asked, parameter by parameter.
async fn wishes(
    line: &mut Line,
    known: &mut Known,
    objects: &[ObjectSettings],
) -> Result<Result<Vec<Wish>, Failure>, AskError> {
    let mut wishes = Vec::new();
    for object in objects {
        for setting in &object.settings {
            let text = format!("{}{}", object.object, setting.name);
            let paths = match expand(line, known, &text).await? {
                Ok(paths) => paths,
                Err(fault) => {
                    let paths = vec![(text, fault.clone())];
                    return Ok(Err(Failure::Refused { fault, paths }));
                }
            };
            wishes.extend(paths.into_iter().map(|path| Wish {
                path,
                value: setting.value.clone(),
                required: setting.required,
            }));
        }
    }
    Ok(Ok(wishes))
}

/// The parameters or objects that a path leads to now.
pub async fn expand(
    line: &mut Line,
    known: &mut Known,
    text: &str,
) -> Result<Result<Vec<String>, Fault>, AskError> {
    let path = match Path::parse(text) {
        Ok(path) => path,
        Err(error) => return Ok(Err(fault(FaultCode::INVALID_ARGUMENTS, error.to_string()))),
    };
    if path.is_plain() {
        return Ok(Ok(vec![path.as_str().to_owned()]));
    }
    if known.mapped(path.as_str()).is_none() {
        return search(line, known, &path, &mut Read::default()).await;
    }
    let found = super::get::get(line, known, &[text.to_owned()], 0).await?;
    let found = found.into_iter().next().map(|one| one.result);
    let found = found.unwrap_or_else(|| Ok(Vec::new()));
    if path.kind() == dm::PathKind::Object {
        // The rows whose parameters were found.
        let depth = path.supported().matches('.').count();
        let row = |path: &str| -> String { path.split_inclusive('.').take(depth).collect() };
        return Ok(found.map(|values| {
            let rows: BTreeSet<String> = values.iter().map(|one| row(&one.path)).collect();
            rows.into_iter().collect()
        }));
    }
    Ok(found.map(|values| values.into_iter().map(|one| one.path).collect()))
}

/// Writes wishes, each parameter once, and says what became of each.
pub async fn write(
    line: &mut Line,
    known: &mut Known,
    wishes: &[Wish],
    allow_partial: bool,
) -> Result<Done, AskError> {
    let mut done = Done::new();
    let mut writes = plan(line, known, wishes, &mut done).await?;
    let stops = |done: &Done| {
        let refused = |wish: &&Wish| done.get(&wish.path).is_some_and(Result::is_err);
        !allow_partial && wishes.iter().filter(refused).any(|wish| wish.required)
    };
    let mut retyped = false;
    if is_known_too_much(line, writes.len(), allow_partial) && !stops(&done) {
        return in_pieces(line, wishes, writes, done, allow_partial).await;
    }
    while !writes.is_empty() && !stops(&done) {
        let parameters = writes
            .iter()
            .map(|write| parameter(write, &line.quirks))
            .collect();
        match line.set(parameters).await {
            Ok(later) => {
                taken(&mut done, writes, later);
                return Ok(done);
            }
            Err(AskError::Refused(refused)) => {
                let types = refused.code == FaultCode::INVALID_PARAMETER_TYPE
                    || refused
                        .parameters
                        .iter()
                        .any(|at| at.code == FaultCode::INVALID_PARAMETER_TYPE);
                if types && !retyped {
                    // It has another type than the standard: the one that it tells itself.
                    retyped = true;
                    retype(line, &mut writes).await?;
                    continue;
                }
                if is_too_much(refused.code, writes.len()) {
                    line.habits.write_less(writes.len());
                    return in_pieces(line, wishes, writes, done, allow_partial).await;
                }
                let blamed = blame(line, &refused, &mut writes, &mut done);
                if !blamed {
                    let why = line.fault(&refused);
                    return match allow_partial && writes.len() > 1 {
                        true => one_by_one(line, writes, done).await,
                        false => Ok(all_refused(writes, done, &why)),
                    };
                }
            }
            Err(error) => return Err(error),
        }
    }
    let words = "nothing was written because something else of it cannot be";
    let why = fault(FaultCode::REQUEST_DENIED, words);
    Ok(all_refused(writes, done, &why))
}

/// Whether so many need not be tried at once: a pack says so, or the device has shown it. What is
/// all or nothing and small is tried all the same.
fn is_known_too_much(line: &Line, count: usize, allow_partial: bool) -> bool {
    let most = line.quirks.write_batch.unwrap_or(usize::MAX);
    count > most || count > line.habits.write_batch && (allow_partial || count > BATCH_BLAMED_MIN)
}

/// The device has taken these. One that takes several writes is in force when each of them is.
fn taken(done: &mut Done, writes: Vec<Write>, later: bool) {
    for path in writes.into_iter().flat_map(|write| write.because) {
        if let Ok(known) = done.entry(path).or_insert(Ok(later)) {
            *known |= later;
        }
    }
}

fn all_refused(writes: Vec<Write>, mut done: Done, why: &Fault) -> Done {
    for path in writes.into_iter().flat_map(|write| write.because) {
        // One that takes several writes is not done without each of them.
        let known = done.entry(path).or_insert_with(|| Err(why.clone()));
        if known.is_ok() {
            *known = Err(why.clone());
        }
    }
    done
}

/// Takes out what a refusal names. False when it names nothing of ours.
fn blame(line: &Line, refused: &cwmp::Fault, writes: &mut Vec<Write>, done: &mut Done) -> bool {
    let mut blamed: Vec<(BTreeSet<String>, Fault)> = Vec::new();
    let before = writes.len();
    writes.retain(|write| {
        let at = refused
            .parameters
            .iter()
            .find(|at| at.name.trim() == write.path);
        // Some name the parameter in the text only.
        let in_text = refused.parameters.is_empty() && names(&refused.text, &write.path);
        let why = match at {
            Some(at) => line.told(at.code, &at.text),
            None if in_text => line.fault(refused),
            None => return true,
        };
        blamed.push((write.because.iter().cloned().collect(), why));
        false
    });
    // A path that needs several parameters is not done without one of them.
    writes.retain(|write| {
        let with = blamed
            .iter()
            .find(|(paths, _)| write.because.iter().all(|path| paths.contains(path)));
        with.is_none()
    });
    for (paths, why) in blamed {
        for path in paths {
            done.insert(path, Err(why.clone()));
        }
    }
    writes.len() < before
}

/// Piece by piece, as much as the device takes.
async fn in_pieces(
    line: &mut Line,
    wishes: &[Wish],
    writes: Vec<Write>,
    mut done: Done,
    allow_partial: bool,
) -> Result<Done, AskError> {
    line.remark("it takes no more at once: from here on it is written piece by piece");
    let mut queue: Vec<Vec<Write>> = vec![writes];
    while let Some(mut piece) = queue.pop() {
        if piece.is_empty() {
            continue;
        }
        if piece.len() > line.habits.write_batch {
            let rest = piece.split_off(line.habits.write_batch);
            queue.push(rest);
        }
        let parameters = piece
            .iter()
            .map(|write| parameter(write, &line.quirks))
            .collect();
        match line.set(parameters).await {
            Ok(later) => taken(&mut done, piece, later),
            Err(AskError::Refused(refused)) => {
                if is_too_much(refused.code, piece.len()) {
                    line.habits.write_less(piece.len());
                    queue.push(piece);
                    continue;
                }
                let blamed = blame(line, &refused, &mut piece, &mut done);
                if blamed && allow_partial {
                    queue.push(piece);
                    continue;
                }
                if allow_partial && piece.len() > 1 {
                    done = one_by_one(line, piece, done).await?;
                    continue;
                }
                let why = line.fault(&refused);
                done = all_refused(piece, done, &why);
                let required =
                    |wish: &Wish| wish.required && done.get(&wish.path).is_some_and(Result::is_err);
                if !allow_partial && wishes.iter().any(required) {
                    let words = "not written: what came before it was refused";
                    let left = queue.into_iter().flatten().collect();
                    return Ok(all_refused(
                        left,
                        done,
                        &fault(FaultCode::REQUEST_DENIED, words),
                    ));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// A refusal that names nothing: each by itself tells.
async fn one_by_one(line: &mut Line, writes: Vec<Write>, mut done: Done) -> Result<Done, AskError> {
    for write in writes {
        let result = match line.set(vec![parameter(&write, &line.quirks)]).await {
            Ok(later) => Ok(later),
            Err(AskError::Refused(refused)) => Err(match refused.parameters.first() {
                Some(at) => line.told(at.code, &at.text),
                None => line.fault(&refused),
            }),
            Err(error) => return Err(error),
        };
        for path in write.because {
            match (&result, done.get_mut(&path)) {
                (Err(_), Some(known)) => *known = result.clone(),
                (Ok(later), Some(Ok(known))) => *known |= later,
                (_, Some(_)) => {}
                (_, None) => _ = done.insert(path, result.clone()),
            }
        }
    }
    Ok(done)
}

/// What to write for the wishes; what cannot be is said in `done`.
async fn plan(
    line: &mut Line,
    known: &mut Known,
    wishes: &[Wish],
    done: &mut Done,
) -> Result<Vec<Write>, AskError> {
    let mut writes = Vec::new();
    let mut through: Vec<(&str, &str)> = Vec::new();
    for wish in wishes {
        if known.mapped(&wish.path).is_some() {
            through.push((&wish.path, &wish.value));
        } else {
            writes.push(Write {
                path: wish.path.clone(),
                value: wish.value.clone(),
                base: BaseType::String,
                because: vec![wish.path.clone()],
            });
        }
    }
    let missing = known
        .unknown(line, writes.iter().map(|write| write.path.as_str()))
        .await?;
    writes.retain(|write| !missing.contains(&write.path));
    for path in missing {
        let words = "the device does not list such a parameter";
        done.insert(path, Err(fault(FaultCode::INVALID_PARAMETER_NAME, words)));
    }
    type_of_own(line, known, &mut writes).await?;
    if let Some(mapping) = known.mapping.as_deref().filter(|_| !through.is_empty()) {
        let context = mapping.context(through.iter().map(|(path, _)| *path));
        let mut current = read::params(line, context).await?.texts();
        let mut planned =
            mapping.writes(through.iter().copied(), &|path| current.get(path).cloned());
        let needs: Vec<&str> = planned
            .refused
            .iter()
            .filter_map(|refused| match &refused.reason {
                Refusal::Needs { gateway } => Some(gateway.as_str()),
                _ => None,
            })
            .collect();
        if !needs.is_empty() {
            current.extend(read::params(line, needs).await?.texts());
            planned = mapping.writes(through.iter().copied(), &|path| current.get(path).cloned());
        }
        for refused in planned.refused {
            let code = match refused.reason {
                Refusal::Value { .. } => FaultCode::INVALID_PARAMETER_VALUE,
                Refusal::ReadOnly | Refusal::GatewayReadOnly { .. } => FaultCode::NOT_WRITABLE,
                Refusal::Conflict { .. } | Refusal::Needs { .. } => FaultCode::INVALID_ARGUMENTS,
                _ => FaultCode::INVALID_PARAMETER_NAME,
            };
            let words = line.said(&refused.reason.to_string());
            done.insert(refused.path, Err(fault(code, words)));
        }
        // What is as it shall be by the structure alone needs no write.
        for (path, _) in &through {
            let written = planned
                .writes
                .iter()
                .any(|write| write.because.iter().any(|b| b == path));
            if !written && !done.contains_key(*path) {
                done.insert((*path).to_owned(), Ok(false));
            }
        }
        writes.extend(planned.writes);
    }
    Ok(writes)
}

/// The types of the device's own parameters: the standard's, else what the device says when read.
async fn type_of_own(line: &mut Line, known: &Known, writes: &mut [Write]) -> Result<(), AskError> {
    let schema = match known.mapping {
        Some(_) => Schema::tr098(),
        None => Schema::tr181_cwmp(),
    };
    let mut unknown = Vec::new();
    for write in writes.iter_mut() {
        match schema.param(&write.path) {
            // A list is text, whatever its items are.
            Some(param) if param.ty.is_list() => write.base = BaseType::String,
            Some(param) => write.base = param.ty.base,
            None => unknown.push(write.path.clone()),
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let read = read::params(line, unknown.iter().map(String::as_str)).await?;
    for write in writes {
        if let Some(value) = read
            .values
            .get(&write.path)
            .filter(|_| unknown.contains(&write.path))
        {
            write.base = value.base;
        }
    }
    Ok(())
}

async fn retype(line: &mut Line, writes: &mut [Write]) -> Result<(), AskError> {
    let names: Vec<String> = writes.iter().map(|write| write.path.clone()).collect();
    let read = read::params(line, names.iter().map(String::as_str)).await?;
    for write in writes {
        if let Some(value) = read.values.get(&write.path) {
            write.base = value.base;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests/write.rs"]
mod tests;
