//! The checks behind a plan, one function for each kind of request.

use std::collections::{BTreeMap, BTreeSet};

use dm::{Path, PathKind};

use super::{Change, Context, Effect, Plan, Trouble, definition, publishing};
use crate::limits;
use crate::model::{ModelObject, ObjectAccess, ParamAccess, split, supported};
use crate::operation::{Request, is_search, same_value};
use crate::secret::{MASK, hides, scrubbed};
use crate::transfer;

/// Sizes first: nothing below looks at more than this. False when there is nothing left to look at.
pub(super) fn size(request: &Request, plan: &mut Plan) -> bool {
    let (paths, values): (Vec<&str>, Vec<(&str, &str)>) = match request {
        Request::Get { paths, .. } | Request::Delete { paths, .. } => {
            (paths.iter().map(String::as_str).collect(), Vec::new())
        }
        Request::Set { values, .. } => (
            values.iter().map(|v| v.path.as_str()).collect(),
            values
                .iter()
                .map(|v| (v.path.as_str(), v.value.as_str()))
                .collect(),
        ),
        Request::Add { object, values } => (vec![object.as_str()], pairs(values)),
        Request::Operate { command, args } => (vec![command.as_str()], pairs(args)),
        Request::Discover { path } => (vec![path.as_str()], Vec::new()),
    };
    let count = paths.len().max(values.len());
    if paths.is_empty() {
        plan.blocked("", Trouble::Empty, "nothing is asked");
    }
    if count > limits::OPERATION_PATHS_MAX {
        let max = limits::OPERATION_PATHS_MAX;
        plan.blocked(
            "",
            Trouble::TooMuch,
            format!("{count} paths in one operation; {max} may be"),
        );
    }
    for path in paths.iter().chain(values.iter().map(|(n, _)| n)) {
        if path.len() > limits::PATH_BYTES_MAX {
            let max = limits::PATH_BYTES_MAX;
            plan.blocked(
                path,
                Trouble::TooMuch,
                format!("a path may have {max} bytes"),
            );
        }
    }
    for (name, value) in &values {
        if *value == MASK {
            // Read from an operation or a last-known value; the device would take it as its secret.
            let message = "this is what is shown instead of a secret: give the value anew";
            plan.blocked(name, Trouble::BadValue, message);
        }
        if value.len() > limits::VALUE_BYTES_MAX {
            let max = limits::VALUE_BYTES_MAX;
            plan.blocked(
                name,
                Trouble::TooMuch,
                format!("a value may have {max} bytes"),
            );
        }
    }
    plan.problems.is_empty()
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    map.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()
}

/// Parses and checks the kind.
fn parse(path: &str, kinds: &[PathKind], what: &str, plan: &mut Plan) -> Option<Path> {
    match Path::parse(path) {
        Err(error) => {
            plan.blocked(path, Trouble::BadPath, error.to_string());
            None
        }
        Ok(parsed) if !kinds.contains(&parsed.kind()) => {
            plan.blocked(path, Trouble::WrongKind, format!("{what} is needed here"));
            None
        }
        Ok(parsed) if parsed.is_template() => {
            let message = "name the rows by number, * or [expression], not {i}";
            plan.blocked(path, Trouble::BadPath, message);
            None
        }
        Ok(parsed) => Some(parsed),
    }
}

/// What the device or else the published model says about an object.
enum Found<'a> {
    Told(&'a ModelObject),
    Published(&'a dm::ObjectDef),
    /// Nobody knows it, but nobody can rule it out either.
    Unsure,
    Missing,
}

fn object<'a>(path: &str, context: &Context<'a>) -> Found<'a> {
    let shape = supported(path);
    let table = format!("{shape}{{i}}.");
    if let Some(model) = context.model {
        if let Some(known) = model
            .objects
            .get(&shape)
            .or_else(|| model.objects.get(&table))
        {
            if !known.named_only {
                return Found::Told(known);
            }
        } else if !model.objects.is_empty()
            && !model
                .gaps
                .iter()
                .any(|(gap, _)| shape.starts_with(gap.as_str()))
        {
            return Found::Missing;
        }
    }
    match publishing(context.schema, &shape).object(&shape) {
        Some(known) => Found::Published(known),
        None => Found::Unsure,
    }
}

fn unsure(path: &str, plan: &mut Plan) {
    let message = "the device's model is not known yet and the published one does not have it";
    plan.warned(path, Trouble::UnknownPath, message);
}

fn missing(path: &str, plan: &mut Plan) {
    plan.blocked(path, Trouble::UnknownPath, "the device does not support it");
}

/// Whether the device is known not to have this object or parameter. Where a reference leads is its own
/// affair.
pub(super) fn is_absent(path: &str, context: &Context<'_>) -> bool {
    if path.contains(['+', '#']) {
        return false;
    }
    let Some((owner, name)) = split(path).filter(|(_, name)| !name.is_empty()) else {
        return matches!(object(path, context), Found::Missing);
    };
    match object(owner, context) {
        // What a row of a table has that was never seen with one is not known.
        Found::Told(told) if told.multi && told.params.is_empty() => false,
        Found::Told(told) => !told.params.iter().any(|param| param.name == name),
        Found::Missing => true,
        Found::Published(_) | Found::Unsure => false,
    }
}

pub(super) fn read(path: &str, context: &Context<'_>, plan: &mut Plan) {
    let kinds = [PathKind::Object, PathKind::Parameter];
    let Some(parsed) = parse(path, &kinds, "an object or a parameter", plan) else {
        return;
    };
    if !parsed.follows() {
        match parsed.kind() {
            PathKind::Parameter => {
                param(path, context, plan);
            }
            _ => match object(path, context) {
                Found::Missing => missing(path, plan),
                Found::Unsure => unsure(path, plan),
                _ => {}
            },
        }
    }
    plan.changes.push(Change {
        path: path.to_owned(),
        effect: Effect::Reads,
        current: context.value(path),
        wanted: None,
    });
}

/// Whether a parameter can be written; `None` when a problem was already noted.
fn param(path: &str, context: &Context<'_>, plan: &mut Plan) -> Option<bool> {
    let (owner, name) = split(path)?;
    match object(owner, context) {
        Found::Told(told) => match told.params.iter().find(|p| p.name == name) {
            Some(p) => Some(p.access != ParamAccess::ReadOnly),
            None => {
                missing(path, plan);
                None
            }
        },
        Found::Published(published) => match published.param(name) {
            Some(p) => Some(p.access != dm::ParamAccess::ReadOnly),
            None => {
                unsure(path, plan);
                Some(true)
            }
        },
        Found::Unsure => {
            unsure(path, plan);
            Some(true)
        }
        Found::Missing => {
            missing(path, plan);
            None
        }
    }
}

/// Checks a value by the published type, else by the type the device told.
fn value(path: &str, text: &str, context: &Context<'_>, plan: &mut Plan) {
    let wrong = if let Some(def) = definition(context.schema, path) {
        def.ty.check(text).err()
    } else {
        context
            .model
            .and_then(|m| m.param(path))
            .and_then(|p| p.ty.as_deref()?.parse::<dm::BaseType>().ok())
            .and_then(|base| dm::Value::parse(base, text).err())
    };
    if let Some(error) = wrong {
        let secret = hides(path, text).then_some(text);
        let message = scrubbed(&error.to_string(), secret);
        plan.blocked(path, Trouble::BadValue, message);
    }
}

pub(super) fn set(path: &str, wanted: &str, context: &Context<'_>, plan: &mut Plan) {
    let Some(parsed) = parse(path, &[PathKind::Parameter], "a parameter", plan) else {
        return;
    };
    if !parsed.follows() {
        let once = definition(context.schema, path)
            .is_some_and(|p| p.access == dm::ParamAccess::WriteOnce);
        match param(path, context, plan) {
            Some(false) => plan.blocked(path, Trouble::NotWritable, "it can only be read"),
            Some(true) if once => {
                let message = "it can only be written when its row is added";
                plan.blocked(path, Trouble::NotWritable, message);
            }
            _ => {}
        }
        value(path, wanted, context, plan);
    }
    // A path that leads to several is shown by each of them, with the value it has now.
    let found = if is_search(path) {
        context.found(&parsed)
    } else {
        Vec::new()
    };
    if found.is_empty() {
        plan.changes.push(change(path.to_owned(), wanted, context));
    }
    plan.changes
        .extend(found.into_iter().map(|one| change(one, wanted, context)));
}

fn change(path: String, wanted: &str, context: &Context<'_>) -> Change {
    let current = context.value(&path);
    let effect = match &current {
        Some(now) if same_value(now, wanted) || super::same_typed(&path, now, wanted) => {
            Effect::Unchanged
        }
        Some(_) => Effect::Changes,
        None => Effect::Sets,
    };
    Change {
        path,
        effect,
        current,
        wanted: Some(wanted.to_owned()),
    }
}

pub(super) fn add(
    table: &str,
    values: &BTreeMap<String, String>,
    context: &Context<'_>,
    plan: &mut Plan,
) {
    let Some(parsed) = parse(table, &[PathKind::Object], "a table", plan) else {
        return;
    };
    let ends_in_row = supported(table).ends_with("{i}.");
    if ends_in_row {
        let message = "a table is needed here, without an instance at the end";
        plan.blocked(table, Trouble::WrongKind, message);
        return;
    }
    if !parsed.follows() {
        match object(&format!("{table}{{i}}."), context) {
            Found::Told(told)
                if !told.multi
                    || !matches!(told.access, ObjectAccess::AddDelete | ObjectAccess::AddOnly) =>
            {
                plan.blocked(table, Trouble::NotAddable, "no rows can be added here");
            }
            Found::Published(known) if !known.multi || !known.access.can_add() => {
                plan.blocked(table, Trouble::NotAddable, "no rows can be added here");
            }
            Found::Missing => missing(table, plan),
            Found::Unsure => unsure(table, plan),
            _ => {}
        }
    }
    plan.change(table, Effect::Adds);
    for (name, wanted) in values {
        let path = format!("{table}*.{name}");
        if let Err(error) = Path::parse(&path) {
            plan.blocked(name, Trouble::BadPath, error.to_string());
            continue;
        }
        if parsed.follows() {
            continue;
        }
        if param(&path, context, plan) == Some(false) {
            plan.blocked(name, Trouble::NotWritable, "it can only be read");
        }
        value(&path, wanted, context, plan);
        plan.changes.push(Change {
            path: format!("{table}{{i}}.{name}"),
            effect: Effect::Sets,
            current: None,
            wanted: Some(wanted.clone()),
        });
    }
}

pub(super) fn delete(path: &str, context: &Context<'_>, plan: &mut Plan) {
    let Some(parsed) = parse(path, &[PathKind::Object], "a row of a table", plan) else {
        return;
    };
    if !parsed.follows() {
        if !supported(path).ends_with("{i}.") {
            plan.blocked(path, Trouble::WrongKind, "a row of a table is needed here");
            return;
        }
        match object(path, context) {
            Found::Told(told)
                if !matches!(
                    told.access,
                    ObjectAccess::AddDelete | ObjectAccess::DeleteOnly
                ) =>
            {
                plan.blocked(path, Trouble::NotDeletable, "rows cannot be removed here");
            }
            Found::Published(known) if !known.access.can_delete() => {
                plan.blocked(path, Trouble::NotDeletable, "rows cannot be removed here");
            }
            Found::Missing => missing(path, plan),
            Found::Unsure => unsure(path, plan),
            _ => {}
        }
    }
    let found = if is_search(path) {
        context.found(&parsed)
    } else {
        Vec::new()
    };
    if found.is_empty() {
        plan.change(path, Effect::Removes);
    }
    for row in found {
        plan.change(&row, Effect::Removes);
    }
}

pub(super) fn operate(
    command: &str,
    args: &BTreeMap<String, String>,
    context: &Context<'_>,
    plan: &mut Plan,
) {
    let Some(parsed) = parse(command, &[PathKind::Command], "a command", plan) else {
        return;
    };
    plan.change(command, Effect::Runs);
    let Some((owner, name)) = split(command).filter(|_| !parsed.follows()) else {
        return;
    };
    let published = context
        .schema
        .object(&supported(owner))
        .and_then(|o| o.command(name));
    let inputs: Vec<&str> = match object(owner, context) {
        Found::Missing => return missing(command, plan),
        Found::Unsure => return unsure(command, plan),
        Found::Told(told) => match told.commands.iter().find(|c| c.name == name) {
            Some(known) => known.inputs.iter().map(String::as_str).collect(),
            None => return missing(command, plan),
        },
        Found::Published(_) => match published {
            Some(known) => known.inputs.iter().map(|a| a.name.as_ref()).collect(),
            None => return unsure(command, plan),
        },
    };
    for name in args.keys() {
        let shape = supported(name);
        if !inputs.iter().any(|k| *k == name || *k == shape) {
            let message = "the command has no such argument; the device will ignore it";
            plan.warned(name, Trouble::UnknownArgument, message);
        }
    }
    let Some(published) = published else { return };
    // Who fetches from us, or sends to us, needs no name: it is given empty.
    let ours = args.values().any(|text| transfer::named(text).is_some());
    let given = |name: &str| ours && matches!(name, "Username" | "Password");
    for arg in &published.inputs {
        let of_it = args.iter().filter(|(name, _)| supported(name) == *arg.name);
        for (name, text) in of_it {
            if let Err(error) = arg.ty.check(text) {
                let secret = hides(name, text).then_some(text.as_str());
                let message = scrubbed(&error.to_string(), secret);
                plan.blocked(name, Trouble::BadValue, message);
            }
        }
        if !arg.mandatory || given(&arg.name) {
            continue;
        }
        for name in missing_args(&arg.name, args) {
            let message = format!("the command needs the argument {name}");
            // Devices with defaults of their own are common; this one decides (7027).
            plan.warned(&name, Trouble::MissingArgument, message);
        }
    }
}

/// What is missing of an argument that a command needs. One in a row of an argument object is needed in each row that
/// is given, and rows need not be.
pub(super) fn missing_args(needed: &str, args: &BTreeMap<String, String>) -> Vec<String> {
    const ROW: &str = "{i}.";
    let Some(at) = needed.rfind(ROW).map(|at| at + ROW.len()) else {
        let is_missing = !args.contains_key(needed);
        return is_missing.then(|| needed.to_owned()).into_iter().collect();
    };
    let (rows, leaf) = needed.split_at(at);
    let depth = rows.matches('.').count();
    let given: BTreeSet<String> = args
        .keys()
        .map(|name| name.split_inclusive('.').take(depth).collect())
        .filter(|row: &String| supported(row) == rows)
        .collect();
    let names = given.into_iter().map(|row| row + leaf);
    names.filter(|name| !args.contains_key(name)).collect()
}

pub(super) fn discover(path: &str, plan: &mut Plan) {
    match Path::parse(path) {
        Ok(parsed) if parsed.kind() == PathKind::Object => plan.change(path, Effect::Reads),
        Ok(_) => plan.blocked(path, Trouble::WrongKind, "an object is needed here"),
        Err(error) => plan.blocked(path, Trouble::BadPath, error.to_string()),
    }
}
