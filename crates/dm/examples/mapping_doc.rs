//! Prints docs/mapping.md: what of TR-098 has a counterpart in TR-181 and what has none. `cargo xtask gen` writes it.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use dm::mapping::{ObjectRule, ParamRule, Rules};
use dm::{ParamAccess, Schema, Status};

const HEAD: &str = "\
# TR-098 spoken as TR-181

A gateway that only knows InternetGatewayDevice (TR-098) is read and changed by the paths of Device:2 (TR-181), as far as
the two correspond. What does not stays reachable under its own path. Written by `cargo xtask gen` from
`data/mapping/*.tsv`; do not edit by hand. How rows get their numbers is in `docs/decisions/0009-tr098-as-tr181.md`.

- *TR-181* counts the parameters of Device:2 that a gateway can have through the mapping, and those that can be set.
- *TR-098* counts the parameters that are in them, and those that have no counterpart. Counts of rows are left out:
  TR-181 counts its own.

";

#[derive(Default)]
struct Area {
    device: BTreeSet<String>,
    settable: BTreeSet<String>,
    gateway: BTreeSet<String>,
    missing: Vec<String>,
}

fn main() {
    print!("{}", document());
}

/// The whole page.
pub fn document() -> String {
    let areas = collect();
    let mut out = HEAD.to_owned();
    let mut total = [0; 4];
    out.push_str("| area | TR-181 | settable | TR-098 | no counterpart |\n|---|---|---|---|---|\n");
    for (name, area) in &areas {
        let row = [
            area.device.len(),
            area.settable.len(),
            area.gateway.len(),
            area.missing.len(),
        ];
        total.iter_mut().zip(row).for_each(|(sum, n)| *sum += n);
        let [device, settable, gateway, missing] = row;
        line(
            &mut out,
            format_args!("| {name} | {device} | {settable} | {gateway} | {missing} |"),
        );
    }
    let [device, settable, gateway, missing] = total;
    line(
        &mut out,
        format_args!("| **all** | {device} | {settable} | {gateway} | {missing} |"),
    );
    rows(&mut out);
    out.push_str("\n## What has no counterpart\n\nWithout a reason: TR-181 has nothing like it.\n");
    for (name, area) in &areas {
        if !area.missing.is_empty() {
            line(&mut out, format_args!("\n### {name}\n"));
            missing_of(&mut out, &area.missing);
        }
    }
    out
}

fn collect() -> Vec<(&'static str, Area)> {
    let rules = Rules::builtin();
    let mut areas: Vec<_> = Rules::areas().map(|name| (name, Area::default())).collect();
    let mut mapped = BTreeSet::new();
    for rule in &rules.objects {
        let Some((_, area)) = areas.iter_mut().find(|(name, _)| *name == rule.area) else {
            continue;
        };
        for param in &rule.params {
            add(area, rule, param);
            mapped.extend(param.sources.iter().map(|source| rule.source(source)));
        }
    }
    for object in Schema::tr098().objects() {
        for param in &object.params {
            let path = format!("{}{}", object.path, param.name);
            let counts = param.name.ends_with("NumberOfEntries");
            if counts || param.status == Status::Deleted || mapped.contains(&path) {
                continue;
            }
            let name = area_of(rules, &path);
            if let Some((_, area)) = areas.iter_mut().find(|(there, _)| *there == name) {
                area.missing.push(path);
            }
        }
    }
    areas
}

fn add(area: &mut Area, rule: &ObjectRule, param: &ParamRule) {
    let path = format!("{}{}", rule.device.supported, param.name);
    let is_settable = |source: &&str| {
        let gateway = Schema::tr098().param(&rule.source(source));
        gateway.is_some_and(|gateway| gateway.access != ParamAccess::ReadOnly)
    };
    let device = Schema::tr181_cwmp().param(&path);
    let settable = device.is_some_and(|device| device.access != ParamAccess::ReadOnly)
        && !param.how.is_fixed()
        && param.sources.first().is_some_and(is_settable);
    if settable {
        area.settable.insert(path.clone());
    }
    area.device.insert(path);
    let sources = param.sources.iter();
    area.gateway
        .extend(sources.map(|source| rule.source(source)));
}

/// The area of the rules around a TR-098 parameter.
fn area_of(rules: &Rules, path: &str) -> &'static str {
    // The first of several rules around the same object.
    let around = rules.objects.iter().rev();
    let around = around.filter(|rule| path.starts_with(rule.gateway));
    let nearest = around.max_by_key(|rule| rule.gateway.len());
    nearest.map_or("other", |rule| match short(path).split('.').next() {
        Some("WANDevice") if rule.area != "dsl" => "wan",
        _ => rule.area,
    })
}

/// The TR-181 tables whose rows are added and deleted through the mapping.
fn rows(out: &mut String) {
    out.push_str("\n## Rows that are added and deleted\n\n| TR-181 | TR-098 |\n|---|---|\n");
    let mut tables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for rule in Rules::builtin().objects.iter().filter(|rule| rule.rows) {
        tables
            .entry(&rule.device.supported)
            .or_default()
            .push(rule.gateway);
    }
    for (device, gateways) in tables {
        let gateways: Vec<_> = gateways
            .iter()
            .map(|path| format!("`{}`", short(path)))
            .collect();
        line(
            out,
            format_args!("| `{device}` | {} |", gateways.join("<br>")),
        );
    }
}

/// One line for what one reason covers, else an object's parameters together.
fn missing_of(out: &mut String, missing: &[String]) {
    let mut lines: BTreeMap<(String, &str), Vec<String>> = BTreeMap::new();
    for path in missing {
        let none = Rules::builtin().none.iter().filter(|none| {
            path == none.path || (none.path.ends_with('.') && path.starts_with(none.path))
        });
        let none = none.max_by_key(|none| none.path.len());
        let (object, name) = match none {
            Some(none) if none.path.ends_with('.') => (none.path, ""),
            _ => path.split_at(path.rfind('.').map_or(0, |dot| dot + 1)),
        };
        let reason = none.map_or("", |none| none.reason);
        lines
            .entry((short(object).to_owned(), reason))
            .or_default()
            .push(name.to_owned());
    }
    for ((object, reason), names) in lines {
        let whole = names.iter().all(String::is_empty);
        let names = if whole {
            "all".to_owned()
        } else {
            names.join(", ")
        };
        let reason = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        line(out, format_args!("- `{object}` {names}{reason}"));
    }
}

fn short(path: &str) -> &str {
    path.strip_prefix("InternetGatewayDevice.").unwrap_or(path)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).unwrap_or_default();
    out.push('\n');
}
