//! From the tree of one device to its mapping: writes out the rows and the parameters that this device has. Linear in
//! the size of the tree, but for sorting.

use std::collections::BTreeMap;

use super::instances::{Instance, Instances, fill, key, number};
use super::numbers::Numbers;
use super::rules::{How, ObjectRule, ParamRule, Part, Rules, Table, Template};
use super::{Mapping, Param, Row, wifi};
use crate::schema::{ParamAccess, Schema};

/// The number that `table` gives a row of `gateway` (supported) with `indices`: that of the source instance nearest
/// around or beside the row. A source deeper than the row counts with its first instance. Where a link leads, so does
/// one in another table of the row around both: hosts are on the first interface of their LAN device.
fn number_of(
    table: &Table,
    slot: u32,
    gateway: &str,
    indices: &[u32],
    known: &Lookup<'_>,
) -> Option<u32> {
    let own = shared(gateway).unwrap_or(gateway);
    let mut nearest = None;
    for (source, at) in &table.sources {
        let mut around = shared(source).filter(|_| *at == slot).unwrap_or_default();
        let path = if around.is_empty() {
            None
        } else if gateway.starts_with(around) {
            fill(source, indices)
        } else {
            let is_inside = around.starts_with(own) && around.len() > own.len();
            let within = if is_inside { own } else { common(own, around) };
            let numbers = indices.get(..within.matches("{i}").count());
            let numbers = numbers.filter(|n| is_inside || known.is_link && !n.is_empty());
            let first = numbers.and_then(|numbers| known.instances.first_in(source, numbers));
            if !is_inside {
                around = within;
            }
            first.map(|first| first.path.clone())
        };
        let path = path.filter(|path| known.instances.objects.contains(path));
        let number = path.and_then(|path| known.numbers.of(table.name, &key(&path, slot)));
        if let Some(number) = number {
            let nearness = (*source == gateway, around.len());
            if nearest.is_none_or(|(there, _)| nearness > there) {
                nearest = Some((nearness, number));
            }
        }
    }
    nearest.map(|(_, number)| number)
}

/// A supported path up to its last `{i}.`; `None` for one that has none.
fn shared(gateway: &str) -> Option<&str> {
    gateway
        .rfind("{i}.")
        .map(|at| &gateway[..at + "{i}.".len()])
}

/// What two supported paths have in common, up to its last `{i}.`; empty if there is none.
fn common<'a>(one: &'a str, other: &str) -> &'a str {
    let parts = one.split_inclusive('.').zip(other.split_inclusive('.'));
    let same = parts.take_while(|(a, b)| a == b);
    let length = same.map(|(part, _)| part.len()).sum();
    one.get(..length).and_then(shared).unwrap_or_default()
}

/// What numbers are looked up in.
#[derive(Clone, Copy)]
struct Lookup<'a> {
    rules: &'a Rules,
    instances: &'a Instances,
    numbers: &'a Numbers,
    /// Where a link leads is looked for, not where a row is.
    is_link: bool,
}

impl Lookup<'_> {
    /// The TR-181 path of `template` for a TR-098 instance; `None` where it has no number.
    fn device_path(&self, template: &Template, gateway: &str, indices: &[u32]) -> Option<String> {
        let own = template
            .parts
            .iter()
            .filter(|part| **part == Part::Index)
            .count();
        let mut own = indices.get(indices.len().checked_sub(own)?..)?.iter();
        let mut out = String::new();
        for part in &template.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Index => out.push_str(&own.next()?.to_string()),
                Part::Table(table, slot) => {
                    let table = self.rules.tables.get(*table)?;
                    let number = number_of(table, *slot, gateway, indices, self)?;
                    out.push_str(&number.to_string());
                }
            }
        }
        Some(out)
    }
}

impl Template {
    /// The table of a template that ends in the number of a row.
    pub(super) fn table(&self) -> Option<Template> {
        let mut parts = self.parts.clone();
        // The last hole and the dot behind it.
        parts.truncate(parts.len().checked_sub(2)?);
        let supported = self.supported.strip_suffix("{i}.")?.to_owned();
        Some(Template { parts, supported })
    }
}

impl Mapping {
    /// The TR-181 path of `template` for an instance of the supported gateway object.
    pub(super) fn device_path(
        &self,
        instances: &Instances,
        template: &Template,
        gateway: &str,
        indices: &[u32],
    ) -> Option<String> {
        let lookup = Lookup {
            rules: self.rules,
            instances,
            numbers: &self.numbers,
            is_link: false,
        };
        lookup.device_path(template, gateway, indices)
    }

    /// Writes out everything again from the tree and the numbers.
    pub(super) fn expand(&mut self) {
        let rules = self.rules;
        let instances = Instances::find(rules, &self.tree);
        number(rules, &instances, &self.tree, &mut self.numbers);
        let numbers = self.numbers.clone();
        let lookup = Lookup {
            rules,
            instances: &instances,
            numbers: &numbers,
            is_link: false,
        };
        self.rows.clear();
        self.params.clear();
        self.by_gateway.clear();
        self.by_device.clear();
        self.depends.clear();
        for rule in &rules.objects {
            let is_off = |path: &str| !instances.of(path).is_empty();
            if !rule.unless.is_some_and(is_off) {
                for instance in instances.of(rule.gateway) {
                    self.add_row(&lookup, rule, instance);
                }
            }
        }
        self.fix(&lookup);
        self.count(&instances);
        for (device, param) in &self.params {
            for source in &param.sources {
                let dependants = self.depends.entry(source.clone()).or_default();
                dependants.push(device.clone());
            }
        }
    }

    fn add_row(&mut self, lookup: &Lookup<'_>, rule: &'static ObjectRule, instance: &Instance) {
        let Some(device) = lookup.device_path(&rule.device, rule.gateway, &instance.indices) else {
            return;
        };
        let row = self.rows.len();
        self.by_gateway
            .entry(instance.path.clone())
            .or_default()
            .push(row);
        self.by_device.entry(device.clone()).or_insert(row);
        for param in &rule.params {
            self.add_param(row, &device, param, instance);
        }
        self.rows.push(Row {
            device,
            gateway: instance.path.clone(),
            indices: instance.indices.clone(),
            rule,
        });
    }

    fn add_param(
        &mut self,
        row: usize,
        device: &str,
        rule: &'static ParamRule,
        instance: &Instance,
    ) {
        let sources = sources(rule, instance);
        if rule.sources.len() != sources.len()
            || sources
                .first()
                .is_some_and(|first| !self.tree.contains_key(first))
        {
            return;
        }
        let path = format!("{device}{}", rule.name);
        let Some(def) = rule.device else {
            return;
        };
        let there: Vec<String> = sources
            .into_iter()
            .filter(|source| self.tree.contains_key(source))
            .collect();
        let writable = def.access != ParamAccess::ReadOnly
            && there.first().is_some_and(|source| self.is_writable(source));
        let better = match self.params.get(&path) {
            None => true,
            // Of two ways to the same value, one that can be written is better than one that cannot.
            Some(other) => other.row == row && writable && !other.writable,
        };
        if better {
            let param = Param {
                row,
                rule: Some(rule),
                sources: there,
                writable,
                fixed: None,
            };
            self.params.insert(path, param);
        }
    }

    /// Works out what follows from the instances alone. Links come last, when all rows are known.
    fn fix(&mut self, lookup: &Lookup<'_>) {
        let leads = Lookup {
            is_link: true,
            ..*lookup
        };
        let mut fixed = Vec::new();
        for (path, param) in &self.params {
            let (Some(rule), Some(row)) = (param.rule, self.rows.get(param.row)) else {
                continue;
            };
            let to =
                |template: &Template| lookup.device_path(template, row.rule.gateway, &row.indices);
            let value = match &rule.how {
                How::Const(text) => Some((*text).to_owned()),
                How::Nth(texts) => {
                    let at = row.indices.last().and_then(|n| usize::try_from(*n).ok());
                    at.and_then(|at| texts.get(at.checked_sub(1)?))
                        .map(|text| (*text).to_owned())
                }
                How::Link(templates) => {
                    let to = |template| leads.device_path(template, row.rule.gateway, &row.indices);
                    let mut targets = templates.iter().filter_map(to);
                    targets
                        .find(|target| self.by_device.contains_key(target))
                        .map(|target| reference(&target))
                }
                How::Members(template) => {
                    let table = template.table().and_then(|table| to(&table));
                    table.map(|table| self.members(&table, &row.device))
                }
                How::Band => {
                    wifi::band(&row.gateway, &self.tree).map(|band| band.name().to_owned())
                }
                _ => continue,
            };
            fixed.push((path.clone(), value));
        }
        for (path, value) in fixed {
            match (value, self.params.get_mut(&path)) {
                (Some(value), Some(param)) => {
                    param.fixed = Some(value);
                    param.sources.clear();
                    param.writable = false;
                }
                _ => {
                    self.params.remove(&path);
                }
            }
        }
    }

    fn members(&self, table: &str, but: &str) -> String {
        let mut rows = self.row_numbers(table);
        rows.sort_unstable();
        let paths = rows.into_iter().map(|number| format!("{table}{number}."));
        let others = paths.filter(|row| row != but);
        others
            .map(|row| reference(&row))
            .collect::<Vec<_>>()
            .join(",")
    }

    /// The numbers of the rows of a TR-181 table, each once.
    pub(super) fn row_numbers(&self, table: &str) -> Vec<u32> {
        let rows = self.by_device.range(table.to_owned()..);
        let below = rows.take_while(|(row, _)| row.starts_with(table));
        let number = |(row, _): (&String, &usize)| {
            let rest = row[table.len()..].strip_suffix('.')?;
            rest.parse::<u32>().ok()
        };
        below.filter_map(number).collect()
    }

    /// The `NumberOfEntries` of every TR-181 table that a rule can fill on this device.
    fn count(&mut self, instances: &Instances) {
        let mut tables: BTreeMap<String, usize> = BTreeMap::new();
        for device in self.by_device.keys() {
            let Some(number) = device.strip_suffix('.').and_then(|row| row.rfind('.')) else {
                continue;
            };
            if device[number + 1..device.len() - 1].parse::<u32>().is_ok() {
                *tables.entry(device[..=number].to_owned()).or_default() += 1;
            }
        }
        for rule in &self.rules.objects {
            // A table that the device has, but which is empty now.
            let table = rule.gateway.strip_suffix("{i}.");
            let device = rule.device.supported.strip_suffix("{i}.");
            if let (Some(table), Some(device)) = (table, device)
                && !table.contains("{i}")
                && !device.contains("{i}")
                && instances.objects.contains(table)
            {
                tables.entry(device.to_owned()).or_default();
            }
        }
        for row in &self.rows {
            for (table, device) in self.tables_below(row) {
                if instances.objects.contains(&table) {
                    tables.entry(device).or_default();
                }
            }
        }
        for (table, rows) in tables {
            let Some(def) = Schema::tr181_cwmp().object(&crate::path::supported_text(&table))
            else {
                continue;
            };
            let parent = table[..table.len() - 1]
                .rfind('.')
                .map_or("", |dot| &table[..=dot]);
            if let Some(name) = &def.entries_param {
                let param = Param {
                    row: usize::MAX,
                    rule: None,
                    sources: Vec::new(),
                    writable: false,
                    fixed: Some(rows.to_string()),
                };
                self.params
                    .entry(format!("{parent}{name}"))
                    .or_insert(param);
            }
        }
    }

    /// The TR-098 and TR-181 tables directly below a row that a rule of rows fills.
    fn tables_below(&self, row: &Row) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let below = row.rule.device.supported.as_str();
        for rule in self.rules.rows_below(below) {
            let gateway = rule.gateway.strip_suffix("{i}.").and_then(|table| {
                table
                    .starts_with(row.rule.gateway)
                    .then(|| fill(table, &row.indices))
                    .flatten()
            });
            let name = rule.device.supported.strip_suffix("{i}.");
            if let (Some(gateway), Some(name)) = (gateway, name) {
                found.push((gateway, format!("{}{}", row.device, &name[below.len()..])));
            }
        }
        found
    }
}

/// A path as a value: without the final dot (TR-106).
pub(super) fn reference(object: &str) -> String {
    object.trim_end_matches('.').to_owned()
}

fn sources(rule: &ParamRule, instance: &Instance) -> Vec<String> {
    let full = |source: &&str| {
        if source.starts_with(super::GATEWAY_ROOT) {
            fill(source, &instance.indices)
        } else {
            Some(format!("{}{source}", instance.path))
        }
    };
    rule.sources.iter().filter_map(full).collect()
}
