//! Who may do what: `ControllerTrust` roles and permissions, evaluated (TR-369, role definitions; Device:2
//! `ControllerTrust.Role.{i}.Permission.{i}.`). Challenges and certificates are deliberately not here.

use std::sync::Arc;

use super::Engine;
use super::paths::{Coverage, Pattern, is_search, list_items};

/// Which of the four fields of a permission is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Param = 12,
    Obj = 8,
    InstantiatedObj = 4,
    CommandEvent = 0,
}

/// Which letter of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    Read = 8,
    Write = 4,
    Execute = 2,
    Notify = 1,
}

#[derive(Debug, Clone)]
struct Rule {
    order: u32,
    targets: Vec<Pattern>,
    rights: u16,
}

/// What a controller may do, compiled from its roles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Actor {
    /// Instance of `Device.LocalAgent.Controller.{i}.`; `None`: the agent itself, which may do everything.
    pub controller: Option<u32>,
    roles: Vec<Vec<Rule>>,
    /// Has a secured role, so that secured parameters can be read.
    pub secured: bool,
    /// A target is a search: what it covers changes with the values.
    searches: bool,
}

impl Actor {
    /// The agent itself.
    pub fn agent() -> Actor {
        Actor {
            controller: None,
            roles: Vec::new(),
            secured: true,
            searches: false,
        }
    }

    /// Is `right` on `field` granted for the (instantiated or supported) `path`? In a role the matching permission
    /// with the largest order decides alone; roles are united.
    pub fn allows(&self, field: Field, right: Right, path: &str) -> bool {
        if self.controller.is_none() {
            return true;
        }
        let bit = (right as u16) << (field as u16);
        self.roles.iter().any(|rules| {
            // Sorted by falling order, so the first match is the one that counts.
            for rule in rules {
                let covered = rule.targets.iter().map(|target| target.coverage(path));
                let granted = rule.rights & bit != 0;
                match covered.max() {
                    Some(Coverage::All) => return granted,
                    // Of the supported model is seen what may be seen of any instance.
                    Some(Coverage::Some) if granted => return true,
                    _ => {}
                }
            }
            false
        })
    }

    /// The same for everything that a path with `{i}` may stand for.
    pub fn allows_every(&self, field: Field, right: Right, path: &str) -> bool {
        if self.controller.is_none() {
            return true;
        }
        let bit = (right as u16) << (field as u16);
        self.roles.iter().any(|rules| {
            for rule in rules {
                let covered = rule.targets.iter().map(|target| target.coverage(path));
                match (covered.max(), rule.rights & bit != 0) {
                    (Some(Coverage::All), granted) => return granted,
                    (Some(Coverage::Some), false) => return false,
                    _ => {}
                }
            }
            false
        })
    }
}

fn rights(text: &str) -> u16 {
    let mut bits = 0;
    for (at, letter) in ['r', 'w', 'x', 'n'].into_iter().enumerate() {
        if text.chars().nth(at) == Some(letter) {
            bits |= 8 >> at;
        }
    }
    bits
}

const TRUST: &str = "Device.LocalAgent.ControllerTrust.";

impl Engine {
    /// The permissions of a controller, compiled once until roles or controllers change.
    pub(crate) fn actor(&mut self, controller: u32) -> Arc<Actor> {
        if let Some(known) = self.actors.get(&controller) {
            return known.clone();
        }
        let actor = Arc::new(self.compile_actor(controller));
        if !actor.searches {
            self.actors.insert(controller, actor.clone());
        }
        actor
    }

    /// Compiles the permissions of a controller from its assigned and inherited roles.
    pub(crate) fn compile_actor(&self, controller: u32) -> Actor {
        let row = format!("Device.LocalAgent.Controller.{controller}.");
        let mut names: Vec<String> = Vec::new();
        for param in ["AssignedRole", "InheritedRole"] {
            names.extend(list_items(&self.held(&format!("{row}{param}"))).map(dotted));
        }
        if names.is_empty() {
            names.extend(list_items(&self.held(&format!("{TRUST}UntrustedRole"))).map(dotted));
        }
        let secured_roles: Vec<String> = list_items(&self.held(&format!("{TRUST}SecuredRoles")))
            .map(dotted)
            .collect();
        let secured = names.iter().any(|name| secured_roles.contains(name));
        let mut searches = false;
        let rules = |role: &String| self.rules(role, &mut searches);
        let roles = names.iter().filter_map(rules).collect();
        Actor {
            controller: Some(controller),
            roles,
            secured,
            searches,
        }
    }

    fn rules(&self, role: &str, searches: &mut bool) -> Option<Vec<Rule>> {
        if self.held(&format!("{role}Enable")) != "true" {
            return None;
        }
        let table = format!("{role}Permission.");
        let mut rules: Vec<Rule> = self
            .state
            .instances(&table)
            .map(|n| format!("{table}{n}."))
            .filter(|row| self.held(&format!("{row}Enable")) == "true")
            .map(|row| {
                let targets = self.held(&format!("{row}Targets"));
                *searches |= is_search(&targets);
                Rule {
                    order: self.held(&format!("{row}Order")).parse().unwrap_or(0),
                    targets: list_items(&targets)
                        .flat_map(|target| self.patterns(&Actor::agent(), target))
                        .collect(),
                    rights: rights(&self.held(&format!("{row}Param"))) << 12
                        | rights(&self.held(&format!("{row}Obj"))) << 8
                        | rights(&self.held(&format!("{row}InstantiatedObj"))) << 4
                        | rights(&self.held(&format!("{row}CommandEvent"))),
                }
            })
            .collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.order));
        Some(rules)
    }

    /// Has one of the controller's roles the banned role? Then the agent does not talk to it.
    pub(crate) fn is_banned(&self, controller: u32) -> bool {
        let banned = self.held(&format!("{TRUST}BannedRole"));
        !banned.is_empty()
            && list_items(&self.held(&format!(
                "Device.LocalAgent.Controller.{controller}.AssignedRole"
            )))
            .any(|role| dotted(role) == dotted(&banned))
    }
}

/// References may come without their final dot.
fn dotted(path: &str) -> String {
    let path = path.trim();
    if path.ends_with('.') {
        path.to_owned()
    } else {
        format!("{path}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permission_with_the_largest_order_decides_and_roles_are_united() {
        let rule = |order, target: &str, text| Rule {
            order,
            targets: vec![Pattern::simple(target)],
            rights: rights(text) << 12,
        };
        let one = vec![rule(2, "Device.A.B.", "----"), rule(1, "Device.", "rw--")];
        let two = vec![rule(1, "Device.A.B.C", "r---")];
        let mut actor = Actor {
            controller: Some(1),
            roles: vec![one],
            ..Actor::default()
        };
        assert!(actor.allows(Field::Param, Right::Write, "Device.A.X"));
        assert!(!actor.allows(Field::Param, Right::Read, "Device.A.B.C"));
        actor.roles.push(two);
        assert!(actor.allows(Field::Param, Right::Read, "Device.A.B.C"));
        assert!(!actor.allows(Field::Param, Right::Write, "Device.A.B.C"));
        assert!(!actor.allows(Field::Obj, Right::Read, "Device.A.B.C"));
    }

    #[test]
    fn what_is_granted_for_some_instances_is_not_granted_for_every_one() {
        let rule = |order, target: &str, text| Rule {
            order,
            targets: vec![Pattern::simple(target)],
            rights: rights(text) << 12,
        };
        let of = |rules: Vec<Rule>| Actor {
            controller: Some(1),
            roles: vec![rules],
            ..Actor::default()
        };
        let every =
            |actor: &Actor| actor.allows_every(Field::Param, Right::Write, "Device.A.{i}.B");
        assert!(every(&of(vec![rule(1, "Device.A.", "rw--")])));
        assert!(every(&of(vec![rule(1, "Device.A.*.", "rw--")])));
        assert!(!every(&of(vec![rule(1, "Device.A.1.", "rw--")])));
        let but_one = vec![rule(2, "Device.A.1.", "r---"), rule(1, "Device.", "rw--")];
        assert!(!every(&of(but_one)));
        let and_one = vec![rule(2, "Device.A.1.", "rw--"), rule(1, "Device.", "rw--")];
        assert!(every(&of(and_one)));
    }

    #[test]
    fn rights_are_read_by_position() {
        assert_eq!(rights("rwxn"), 0b1111);
        assert_eq!(rights("r--n"), 0b1001);
        assert_eq!(rights("wr--"), 0);
    }
}
