//! Types, access, commands and events of the model: the device's own word, completed by the
//! published model. Pure.

use api::model::{
    Argument, ModelCommand, ModelEvent, ObjectAccess, ParameterAccess, ValueRange, ValueType,
};

/// What may be done with a parameter, as the device says, else as the standard does.
pub fn parameter_access(
    told: Option<&fleet::model::ModelParam>,
    published: Option<&dm::ParamDef>,
) -> ParameterAccess {
    use fleet::model::ParamAccess as Told;
    match (told.map(|one| one.access), published.map(|one| one.access)) {
        (Some(Told::ReadOnly), _) => ParameterAccess::ReadOnly,
        (Some(Told::WriteOnly), _) => ParameterAccess::WriteOnly,
        (_, Some(dm::ParamAccess::WriteOnce)) => ParameterAccess::WriteOnce,
        (Some(Told::ReadWrite), _) | (None, Some(dm::ParamAccess::ReadWrite)) => {
            ParameterAccess::ReadWrite
        }
        (None, _) => ParameterAccess::ReadOnly,
    }
}

/// What a parameter accepts.
pub fn parameter_type(
    told: Option<&fleet::model::ModelParam>,
    published: Option<&dm::ParamDef>,
) -> ValueType {
    let base = told.and_then(|one| one.ty.clone());
    match (published, base) {
        // The device's own word beats the standard; ranges then may not apply.
        (Some(param), Some(base)) if base != param.ty.base.as_str() && param.ty.list.is_none() => {
            plain(base)
        }
        (Some(param), _) => value_type(&param.ty),
        (None, Some(base)) => plain(base),
        (None, None) => plain("unknown".to_owned()),
    }
}

fn plain(base: String) -> ValueType {
    ValueType {
        words: base.clone(),
        base,
        ..ValueType::default()
    }
}

/// A type for the wire.
pub fn value_type(ty: &dm::Type) -> ValueType {
    ValueType {
        base: ty.base.as_str().to_owned(),
        list: ty.list.is_some(),
        enumeration: ty.enumeration.iter().map(ToString::to_string).collect(),
        ranges: ty
            .ranges
            .iter()
            .map(|range| ValueRange {
                min: range.min.as_ref().map(ToString::to_string),
                max: range.max.as_ref().map(ToString::to_string),
            })
            .collect(),
        length_min: ty
            .sizes
            .iter()
            .map(|size| size.min.unwrap_or(0))
            .min()
            .filter(|min| *min > 0),
        length_max: ty
            .sizes
            .iter()
            .map(|size| size.max)
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().max()),
        unit: ty.units.as_ref().map(ToString::to_string),
        words: ty.to_string(),
    }
}

/// Commands and events of an object.
pub fn actions(
    told: Option<&fleet::model::ModelObject>,
    published: Option<&dm::ObjectDef>,
    path: &str,
    standard: bool,
) -> (Vec<ModelCommand>, Vec<ModelEvent>) {
    let argument = |name: &str, def: Option<&dm::ArgDef>| Argument {
        name: name.to_owned(),
        mandatory: def.is_some_and(|def| def.mandatory),
        ty: def.map(|def| value_type(&def.ty)),
    };
    let (mut commands, mut events) = (Vec::new(), Vec::new());
    if let Some(told) = told {
        for one in &told.commands {
            let def = published.and_then(|object| object.command(&one.name));
            let inputs = one.inputs.iter();
            let outputs = one.outputs.iter();
            commands.push(ModelCommand {
                name: one.name.clone(),
                path: format!("{path}{}", one.name),
                asynchronous: one
                    .asynchronous
                    .unwrap_or_else(|| def.is_some_and(|def| def.kind == dm::CommandKind::Async)),
                inputs: inputs
                    .map(|name| argument(name, def.and_then(|def| def.input(name))))
                    .collect(),
                outputs: outputs
                    .map(|name| argument(name, def.and_then(|def| def.output(name))))
                    .collect(),
            });
        }
        for one in &told.events {
            let def = published.and_then(|object| object.event(&one.name));
            events.push(ModelEvent {
                name: one.name.clone(),
                path: format!("{path}{}", one.name),
                arguments: one
                    .args
                    .iter()
                    .map(|name| argument(name, def.and_then(|def| def.arg(name))))
                    .collect(),
            });
        }
    } else if let Some(object) = published.filter(|_| standard) {
        let args = |all: &[dm::ArgDef]| {
            all.iter()
                .map(|one| argument(&one.name, Some(one)))
                .collect::<Vec<_>>()
        };
        for one in &object.commands {
            commands.push(ModelCommand {
                name: one.name.to_string(),
                path: format!("{path}{}", one.name),
                asynchronous: one.kind == dm::CommandKind::Async,
                inputs: args(&one.inputs),
                outputs: args(&one.outputs),
            });
        }
        for one in &object.events {
            events.push(ModelEvent {
                name: one.name.to_string(),
                path: format!("{path}{}", one.name),
                arguments: args(&one.args),
            });
        }
    }
    (commands, events)
}

/// What may be done with an object.
pub fn access(
    told: Option<&fleet::model::ModelObject>,
    published: Option<&dm::ObjectDef>,
) -> ObjectAccess {
    use dm::ObjectAccess as Published;
    use fleet::model::ObjectAccess as Told;
    match (told.map(|one| one.access), published.map(|one| one.access)) {
        (Some(Told::AddDelete), _) | (None, Some(Published::AddDelete)) => ObjectAccess::AddDelete,
        (Some(Told::AddOnly), _) | (None, Some(Published::AddOnly)) => ObjectAccess::AddOnly,
        (Some(Told::DeleteOnly), _) | (None, Some(Published::DeleteOnly)) => {
            ObjectAccess::DeleteOnly
        }
        _ => ObjectAccess::ReadOnly,
    }
}

/// What tells the rows of a table apart.
pub fn keys(
    told: Option<&fleet::model::ModelObject>,
    published: Option<&dm::ObjectDef>,
) -> Vec<Vec<String>> {
    match told {
        Some(object) if !object.keys.is_empty() => object.keys.clone(),
        _ => published
            .into_iter()
            .flat_map(|object| &object.unique_keys)
            .map(|key| key.params.iter().map(ToString::to_string).collect())
            .collect(),
    }
}
