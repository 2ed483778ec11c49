//! Add and Delete: which gateway table takes the new row, which gateway row goes.

use super::instances::{Instances, fill};
use super::rules::{How, ObjectRule, ParamRule, Template};
use super::{GATEWAY_ROOT, Mapping};
use crate::path::supported_text;

/// Where a TR-181 row is added on the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The table, for AddObject.
    pub table: String,
    /// Parameters of the new row that the choice of the table has settled; the others are set afterwards.
    pub settled: Vec<String>,
}

/// Why a row cannot be added or deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// TR-098 has nothing like the table.
    #[error("{path} has no counterpart in InternetGatewayDevice")]
    NoCounterpart {
        /// As it was given.
        path: String,
    },
    /// The rows are something that TR-098 has as a whole.
    #[error("rows of {path} are {gateway} on this device, which is not added or deleted this way")]
    NotARow {
        /// As it was given.
        path: String,
        /// The gateway object, supported.
        gateway: String,
    },
    /// The device has no such table or row.
    #[error("this device has no {path}")]
    NotThere {
        /// As it was given.
        path: String,
    },
    /// The device has several tables for it.
    #[error("{path} could be added to several tables; set {param} to one of {}", choices.join(", "))]
    Ambiguous {
        /// As it was given.
        path: String,
        /// The parameter that tells them apart.
        param: String,
        /// Its possible values.
        choices: Vec<String>,
    },
}

/// A table that could take the row, with the values of the parameters that would tell so.
struct Candidate {
    table: String,
    links: Vec<(&'static str, String)>,
}

impl Mapping {
    /// The gateway table that a row of a TR-181 table is added to. `params` are the new row's parameters by name, of
    /// which references such as `Interface` choose among several tables. After AddObject: [`Mapping::extend`] with what
    /// the new row has, [`Mapping::row_in`] for its TR-181 path, [`Mapping::writes`] for the rest of `params`.
    pub fn addition(&self, table: &str, params: &[(&str, &str)]) -> Result<Addition, RowError> {
        if table.starts_with(GATEWAY_ROOT) {
            return Ok(Addition {
                table: table.to_owned(),
                settled: Vec::new(),
            });
        }
        let rules = self.row_rules(table)?;
        let mut candidates = self.candidates(table, &rules);
        let mut settled = Vec::new();
        for (name, value) in params {
            let link = |candidate: &Candidate| {
                let mut links = candidate.links.iter();
                links
                    .find(|(link, _)| link == name)
                    .map(|(_, path)| path.clone())
            };
            if candidates.iter().any(|candidate| link(candidate).is_some()) {
                let wanted = value.trim_end_matches('.');
                candidates.retain(|candidate| link(candidate).is_some_and(|path| path == wanted));
                settled.push((*name).to_owned());
            }
        }
        match &candidates[..] {
            [] => Err(RowError::NotThere {
                path: table.to_owned(),
            }),
            [one] => Ok(Addition {
                table: one.table.clone(),
                settled,
            }),
            several => {
                let links = several
                    .iter()
                    .filter_map(|candidate| candidate.links.first());
                Err(RowError::Ambiguous {
                    path: table.to_owned(),
                    param: links.clone().next().map_or("", |(name, _)| name).to_owned(),
                    choices: links.map(|(_, path)| path.clone()).collect(),
                })
            }
        }
    }

    /// The gateway row that goes when a TR-181 row is deleted. After DeleteObject: [`Mapping::remove`].
    pub fn deletion(&self, row: &str) -> Result<&str, RowError> {
        if let Some(row) = self.by_device.get(row).and_then(|row| self.rows.get(*row)) {
            if row.rule.rows {
                return Ok(&row.gateway);
            }
            return Err(RowError::NotARow {
                path: row.device.clone(),
                gateway: row.rule.gateway.to_owned(),
            });
        }
        if row.starts_with(GATEWAY_ROOT) {
            let mut below = self.tree.range(row.to_owned()..).map(|(path, _)| path);
            if let Some(path) = below.next().filter(|path| path.starts_with(row)) {
                return Ok(&path[..row.len()]);
            }
        }
        let table = row
            .trim_end_matches('.')
            .rfind('.')
            .map_or(row, |dot| &row[..=dot]);
        self.row_rules(table)?;
        Err(RowError::NotThere {
            path: row.to_owned(),
        })
    }

    /// The TR-181 row of a gateway row in a TR-181 table.
    pub fn row_in(&self, table: &str, gateway: &str) -> Option<&str> {
        let rows = self.to_device(gateway);
        let is_in = |row: &&str| {
            let rest = row
                .strip_prefix(table)
                .and_then(|rest| rest.strip_suffix('.'));
            rest.is_some_and(|number| number.parse::<u32>().is_ok())
        };
        rows.into_iter().find(is_in)
    }

    /// The gateway tables of this device whose rows are the rows of a TR-181 table, also while they are empty: where to
    /// look for rows that came or went. None for what is no table, or has no counterpart.
    pub fn tables(&self, table: &str) -> Vec<String> {
        let instances = Instances::find(self.rules, &self.tree);
        let supported = format!("{}{{i}}.", supported_text(table));
        let mut found = Vec::new();
        for rule in self.rules.of_device(&supported) {
            let Some((around, gateway)) = around(rule.gateway) else {
                continue;
            };
            for indices in instances.numbers(around) {
                let in_table = rule
                    .device
                    .table()
                    .and_then(|template| self.device_path(&instances, &template, around, indices));
                let gateway = fill(gateway, indices).filter(|_| in_table.as_deref() == Some(table));
                found.extend(gateway.filter(|gateway| !found.contains(gateway)));
            }
        }
        found
    }

    /// The rules of rows for a TR-181 table.
    fn row_rules(&self, table: &str) -> Result<Vec<&'static ObjectRule>, RowError> {
        let supported = format!("{}{{i}}.", supported_text(table));
        let rules: Vec<_> = self.rules.of_device(&supported).collect();
        let rows: Vec<_> = rules.iter().copied().filter(|rule| rule.rows).collect();
        match (rules.first(), rows.is_empty()) {
            (_, false) => Ok(rows),
            (Some(rule), true) => Err(RowError::NotARow {
                path: table.to_owned(),
                gateway: rule.gateway.to_owned(),
            }),
            (None, _) => Err(RowError::NoCounterpart {
                path: table.to_owned(),
            }),
        }
    }

    fn candidates(&self, table: &str, rules: &[&'static ObjectRule]) -> Vec<Candidate> {
        let instances = Instances::find(self.rules, &self.tree);
        let mut found = Vec::new();
        for rule in rules {
            let Some((around, gateway)) = around(rule.gateway) else {
                continue;
            };
            for indices in instances.numbers(around) {
                let to =
                    |template: &Template| self.device_path(&instances, template, around, indices);
                let in_table = rule.device.table().and_then(|template| to(&template));
                let Some(gateway) = fill(gateway, indices) else {
                    continue;
                };
                if in_table.as_deref() != Some(table) || !self.can_add(&gateway) {
                    continue;
                }
                let link = |param: &ParamRule| match &param.how {
                    How::Link(templates) => {
                        let target = templates
                            .iter()
                            .filter_map(to)
                            .find(|target| self.by_device.contains_key(target));
                        target.map(|target| (param.name, super::expand::reference(&target)))
                    }
                    _ => None,
                };
                found.push(Candidate {
                    table: gateway,
                    links: rule.params.iter().filter_map(link).collect(),
                });
            }
        }
        found
    }

    /// A table that the device lists must be writable. Some do not list empty ones.
    fn can_add(&self, table: &str) -> bool {
        self.tree
            .get(table)
            .and_then(|known| known.writable)
            .unwrap_or(true)
    }
}

/// The supported object around a gateway table and the table: of `X.{i}.PortMapping.{i}.` both `X.{i}.` and
/// `X.{i}.PortMapping.`.
pub(super) fn around(gateway: &'static str) -> Option<(&'static str, &'static str)> {
    let table = gateway.strip_suffix("{i}.")?;
    let dot = table.strip_suffix('.')?.rfind('.')?;
    Some((&gateway[..=dot], table))
}
