//! What services have described, as controllers see it beside this agent's own model.

use dm::{Path, PathKind};
use usp::proto::msg::{CmdType, SupportedObjectResult};

use super::super::Engine;
use super::super::access::{Actor, Field, Right};
use super::super::paths::split;

impl Engine {
    /// What services have at or below a path of the supported model, as a role may see it; `None`: not theirs.
    pub(crate) fn services_describe(
        &self,
        actor: &Actor,
        path: &Path,
        first_level_only: bool,
    ) -> Option<Vec<SupportedObjectResult>> {
        let text = path.supported();
        let mine = self.services.owner(path.as_str()).is_some();
        if path.kind() != PathKind::Object {
            return mine.then(|| {
                let (object, name) = split(&text);
                let found = self.service_objects(actor, object, true);
                found
                    .into_iter()
                    .filter_map(|mut one| {
                        one.supported_params.retain(|p| p.param_name == name);
                        one.supported_commands.retain(|c| c.command_name == name);
                        one.supported_events.retain(|e| e.event_name == name);
                        (super::super::supported::elements(&one) > 1).then_some(one)
                    })
                    .collect()
            });
        }
        let mut found = self.service_objects(actor, &text, false);
        if mine && found.is_empty() {
            // A table as such is described by its rows.
            found = self.service_objects(actor, &format!("{text}{{i}}."), false);
        }
        let base = match found.first() {
            Some(first) if mine => first.supported_obj_path.clone(),
            _ => text,
        };
        if first_level_only {
            found.retain_mut(|one| {
                let below = one.supported_obj_path.strip_prefix(&base).unwrap_or("");
                let below = below.strip_suffix("{i}.").unwrap_or(below);
                if !below.is_empty() {
                    one.supported_params.clear();
                    one.supported_commands.clear();
                    one.supported_events.clear();
                    one.unique_key_sets.clear();
                }
                below.matches('.').count() <= 1
            });
        }
        (mine || !found.is_empty()).then_some(found)
    }

    fn service_objects(
        &self,
        actor: &Actor,
        prefix: &str,
        alone: bool,
    ) -> Vec<SupportedObjectResult> {
        let shown = self.services.by_number.values();
        let all = shown.flat_map(|service| &service.objects);
        let wanted = all.filter(|one| match alone {
            true => one.supported_obj_path == prefix,
            false => one.supported_obj_path.starts_with(prefix),
        });
        wanted
            .filter(|one| actor.allows(Field::Obj, Right::Read, &one.supported_obj_path))
            .map(|one| {
                let mut one = one.clone();
                let base = one.supported_obj_path.clone();
                let may =
                    |field, name: &str| actor.allows(field, Right::Read, &format!("{base}{name}"));
                one.supported_params
                    .retain(|param| may(Field::Param, &param.param_name));
                one.supported_commands
                    .retain(|command| may(Field::CommandEvent, &command.command_name));
                one.supported_events
                    .retain(|event| may(Field::CommandEvent, &event.event_name));
                one
            })
            .collect()
    }

    /// Whether the service that has this command says that it ends with its answer.
    pub(super) fn is_sync(&self, command: &Path) -> bool {
        let service = self.services.owner(command.as_str());
        let service = service.and_then(|number| self.services.by_number.get(&number));
        let text = command.supported();
        let (object, name) = split(&text);
        let objects = service.iter().flat_map(|service| &service.objects);
        let mut commands = objects
            .filter(|one| one.supported_obj_path == object)
            .flat_map(|one| &one.supported_commands);
        commands.any(|one| one.command_name == name && one.command_type == CmdType::SYNC)
    }

    /// Does a service describe this? `None`: it is no service's.
    pub(crate) fn service_supports(&self, path: &Path) -> Option<bool> {
        let service = self.services.owner(path.as_str())?;
        let objects = &self.services.by_number.get(&service)?.objects;
        let text = path.supported();
        let (object, name) = match path.kind() {
            PathKind::Object => (text.as_str(), ""),
            _ => split(&text),
        };
        let same = |one: &&SupportedObjectResult| {
            let of_row = one.supported_obj_path.strip_suffix("{i}.");
            one.supported_obj_path == object || name.is_empty() && of_row == Some(object)
        };
        // An object has as many descriptions as elements of it were registered by themselves.
        let mut found = objects.iter().filter(same);
        Some(found.any(|one| match path.kind() {
            PathKind::Object => true,
            PathKind::Parameter => one.supported_params.iter().any(|p| p.param_name == name),
            PathKind::Command => {
                let mut all = one.supported_commands.iter();
                all.any(|c| c.command_name == name)
            }
            PathKind::Event => one.supported_events.iter().any(|e| e.event_name == name),
        }))
    }
}
