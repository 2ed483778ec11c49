//! What a subscription to changes of values will not hear: what the device does not have, parameters of
//! which it says that it does not report them, and those that the published model lets it leave out
//! (`activeNotify canDeny`).

use std::collections::{BTreeMap, BTreeSet};

use dm::NotifyRule;

use super::{Context, Plan, Trouble, definition, publishing};
use crate::limits::OPERATION_PATHS_MAX;
use crate::model::{ModelParam, supported};
use crate::southbound::PathValue;

/// The table of subscriptions.
const TABLE: &str = "Device.LocalAgent.Subscription.";

const LIST: &str = "ReferenceList";
const KIND: &str = "NotifType";
/// A word of ours: changes are told when the device comes anyway, which none may leave out.
const PASSIVELY: &str = "X_HEADEND_Passive";

/// A subscription is added.
pub(super) fn add(
    table: &str,
    values: &BTreeMap<String, String>,
    context: &Context<'_>,
    plan: &mut Plan,
) {
    if table != TABLE {
        return;
    }
    let value = |name: &str| values.get(name).cloned();
    let path = format!("{TABLE}{{i}}.{LIST}");
    look(&path, &value, context, plan);
}

/// Parameters of subscriptions are set; the others of the same row are as they are known.
pub(super) fn set(values: &[PathValue], context: &Context<'_>, plan: &mut Plan) {
    for one in values {
        let row = one.path.strip_suffix(LIST);
        let Some(row) = row.filter(|row| row.starts_with(TABLE)) else {
            continue;
        };
        let value = |name: &str| {
            let path = format!("{row}{name}");
            let given = values.iter().find(|one| one.path == path);
            given.map_or_else(|| context.value(&path), |one| Some(one.value.clone()))
        };
        look(&one.path, &value, context, plan);
    }
}

/// The other parameters whose last-known values say what setting this one means.
pub fn needs(path: &str) -> Vec<String> {
    let row = path.strip_suffix(LIST).filter(|row| row.starts_with(TABLE));
    let all = row.map(|row| [KIND, PASSIVELY].map(|name| format!("{row}{name}")));
    all.into_iter().flatten().collect()
}

fn look(
    path: &str,
    value: &dyn Fn(&str) -> Option<String>,
    context: &Context<'_>,
    plan: &mut Plan,
) {
    if value(KIND).as_deref() != Some("ValueChange") {
        return;
    }
    let passive = value(PASSIVELY).is_some_and(|text| matches!(text.as_str(), "true" | "1"));
    let mut absent = Named::default();
    let mut never = Named::default();
    let mut perhaps = Named::default();
    let list = value(LIST).unwrap_or_default();
    let about = list.split(',').map(str::trim).filter(|one| !one.is_empty());
    for one in about.take(OPERATION_PATHS_MAX) {
        if super::check::is_absent(one, context) {
            absent.add(one);
            continue;
        }
        each(
            one,
            context,
            &mut |name, told| match told.and_then(|param| param.value_change) {
                Some(true) => {}
                Some(false) => never.add(name),
                None => {
                    let def = definition(context.schema, name);
                    // What only a CPE has is in CWMP's own table.
                    let def = def.or_else(|| definition(dm::Schema::tr181_cwmp(), name));
                    let may = def.is_some_and(|def| def.notify == NotifyRule::CanDeny);
                    if may && !passive {
                        perhaps.add(name);
                    }
                }
            },
        );
    }
    if let Some(names) = absent.words() {
        let words = format!("the device does not have {names}");
        plan.warned(path, Trouble::Unheard, words);
    }
    if let Some(names) = never.words() {
        let words = format!("the device does not report changes of {names}");
        plan.warned(path, Trouble::Unheard, words);
    }
    if let Some(names) = perhaps.words() {
        let words = format!("the standard lets a device ignore changes of {names}");
        plan.warned(path, Trouble::Unheard, words);
    }
}

/// Each parameter that a path of a subscription is about, by its supported name.
fn each<'a>(path: &str, context: &Context<'a>, take: &mut dyn FnMut(&str, Option<&'a ModelParam>)) {
    let shape = supported(path);
    let model = context.model.filter(|model| !model.objects.is_empty());
    match (shape.ends_with('.'), model) {
        (false, Some(model)) => {
            if let Some(told) = model.param(path) {
                take(&shape, Some(told));
            }
        }
        (false, None) => take(&shape, None),
        (true, Some(model)) => {
            let below = model.objects.range(shape.clone()..);
            for (object, told) in below.take_while(|(object, _)| object.starts_with(&shape)) {
                for param in &told.params {
                    take(&format!("{object}{}", param.name), Some(param));
                }
            }
        }
        (true, None) => {
            let objects = publishing(context.schema, &shape).objects();
            for object in objects.filter(|object| object.path.starts_with(&shape)) {
                for param in &object.params {
                    take(&format!("{}{}", object.path, param.name), None);
                }
            }
        }
    }
}

/// Some names, of which the first and the count are said.
#[derive(Default)]
struct Named(BTreeSet<String>);

impl Named {
    fn add(&mut self, name: &str) {
        self.0.insert(name.to_owned());
    }

    fn words(self) -> Option<String> {
        let count = self.0.len();
        let first = self.0.into_iter().next()?;
        Some(match count {
            1 => first,
            count => format!("{first} and {} more", count - 1),
        })
    }
}
