//! The rules themselves, against the tables of both models.

use std::collections::BTreeSet;

use dm::mapping::{How, ObjectRule, Pair, ParamRule, Rules};
use dm::path::supported_text;
use dm::{BaseType, ParamAccess, ParamDef, Schema};

use super::trees::{self, Tree};

fn each() -> impl Iterator<Item = (&'static ObjectRule, &'static ParamRule)> {
    let rules = Rules::builtin();
    let objects = rules.objects.iter();
    objects.flat_map(|rule| rule.params.iter().map(move |param| (rule, param)))
}

fn report(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn the_files_are_read() {
    assert_eq!(Rules::check(), Ok(()));
    assert!(Rules::builtin().objects.len() > 100);
}

#[test]
fn both_paths_of_every_row_exist_in_the_tables() {
    let mut problems = Vec::new();
    for rule in &Rules::builtin().objects {
        if Schema::tr181_cwmp()
            .object(&rule.device.supported)
            .is_none()
        {
            problems.push(rule.device.supported.clone());
        }
        if Schema::tr098().object(rule.gateway).is_none() {
            problems.push(rule.gateway.to_owned());
        }
    }
    for (rule, param) in each() {
        let device = format!("{}{}", rule.device.supported, param.name);
        if Schema::tr181_cwmp().param(&device).is_none() {
            problems.push(device);
        }
        for source in &param.sources {
            let gateway = rule.source(source);
            if Schema::tr098().param(&gateway).is_none() {
                problems.push(gateway);
            }
        }
    }
    let none = Rules::builtin().none.iter();
    let tr098 = Schema::tr098();
    let missing = none.filter(|none| tr098.element(none.path).is_none());
    problems.extend(missing.map(|none| none.path.to_owned()));
    report(problems);
}

#[test]
fn the_types_of_both_sides_go_together() {
    let mut problems = Vec::new();
    for (rule, param) in each() {
        let path = format!("{}{}", rule.device.supported, param.name);
        let device = Schema::tr181_cwmp().param(&path).unwrap();
        let sources: Vec<_> = param
            .sources
            .iter()
            .map(|source| Schema::tr098().param(&rule.source(source)).unwrap())
            .collect();
        if let Err(why) = compatible(&path, device, &param.how, &sources) {
            problems.push(format!("{path} <- {:?}: {why}", param.sources));
        }
    }
    report(problems);
}

fn is_number(base: BaseType) -> bool {
    base.is_number()
}

fn compatible(
    path: &str,
    device: &ParamDef,
    how: &How,
    sources: &[&ParamDef],
) -> Result<(), String> {
    let gateway = sources.first().map(|param| &*param.ty);
    let text = |base| matches!(base, BaseType::String | BaseType::HexBinary);
    let allows = |value: &str| {
        device.ty.enumeration.is_empty() && device.ty.check(value).is_ok()
            || device.ty.enumeration.iter().any(|allowed| allowed == value)
    };
    match how {
        How::Same | How::Each => {
            let gateway = gateway.ok_or("no source")?;
            let (a, b) = (device.ty.base, gateway.base);
            // A list on one side only is a list of one.
            let same = a == b
                || is_number(a) && is_number(b)
                || text(a) && text(b)
                || a == BaseType::UnsignedInt && b == BaseType::String
                || is_number(b) && a == BaseType::String;
            if !same {
                return Err(format!("{a} and {b}"));
            }
            let known = |value: &&dm::Text| device.ty.enumeration.contains(value);
            let (ours, theirs) = (&device.ty.enumeration, &gateway.enumeration);
            if !ours.is_empty() && !theirs.is_empty() {
                let strange: Vec<_> = theirs.iter().filter(|value| !known(value)).collect();
                if !strange.is_empty() {
                    return Err(format!("{strange:?} is not in {ours:?}"));
                }
            }
            Ok(())
        }
        How::Enum { pairs, open } => {
            let gateway = gateway.ok_or("no source")?;
            for Pair {
                device: ours,
                gateway: theirs,
                read_only,
            } in pairs
            {
                if !allows(ours) {
                    return Err(format!("{ours:?} is not a value"));
                }
                let is_bool =
                    gateway.base == BaseType::Boolean && matches!(*theirs, "true" | "false");
                // Spellings of vendors, which TR-098 does not know, and every other name.
                let strange = *theirs == "*" || path.ends_with(".OperatingStandards");
                if *read_only && strange {
                    continue;
                }
                let listed = gateway.enumeration.iter().any(|value| value == theirs);
                if !is_bool && !listed && !gateway.enumeration.is_empty() {
                    return Err(format!("{theirs:?} is not a TR-098 value"));
                }
            }
            let all = gateway.enumeration.iter();
            let missed = |value: &&dm::Text| {
                !pairs
                    .iter()
                    .any(|pair| pair.gateway == *value || pair.gateway == "*")
            };
            match all.clone().find(missed) {
                Some(value) if !open => Err(format!("{value:?} is not translated")),
                _ => Ok(()),
            }
        }
        How::Const(text) if allows(text) => Ok(()),
        How::Nth(texts) if texts.iter().all(|text| allows(text)) => Ok(()),
        How::Times(_) | How::Over(_) if is_number(device.ty.base) => Ok(()),
        How::Link(_) | How::Members(_) | How::Ref(_) if device.ty.reference.is_some() => Ok(()),
        How::List if device.ty.is_list() => Ok(()),
        How::Item(_) if gateway.is_some_and(|gateway| gateway.is_list()) => Ok(()),
        How::HexBase64
            if device.ty.base == BaseType::HexBinary
                && gateway.is_some_and(|gateway| gateway.base == BaseType::Base64) =>
        {
            Ok(())
        }
        How::HexText if device.ty.base == BaseType::HexBinary => Ok(()),
        How::Path if device.ty.base == BaseType::String => Ok(()),
        How::Offset | How::SecurityMode | How::SecurityModes | How::Cipher | How::Band => Ok(()),
        _ => Err("this way does not fit the type".to_owned()),
    }
}

#[test]
fn nothing_is_both_mapped_and_said_to_have_no_counterpart() {
    let mut problems = Vec::new();
    for (rule, param) in each() {
        for source in &param.sources {
            let path = rule.source(source);
            let exactly = Rules::builtin().none.iter().any(|none| none.path == path);
            if exactly {
                problems.push(path);
            }
        }
    }
    report(problems);
}

#[test]
fn every_link_leads_to_an_object_that_some_rule_makes() {
    let made: BTreeSet<_> = Rules::builtin()
        .objects
        .iter()
        .map(|rule| rule.device.supported.as_str())
        .collect();
    let mut problems = Vec::new();
    for (rule, param) in each() {
        if let How::Link(to) | How::Ref(to) = &param.how {
            let strange = to.iter().filter(|to| !made.contains(to.supported.as_str()));
            problems
                .extend(strange.map(|to| format!("{} {}", rule.device.supported, to.supported)));
        }
    }
    report(problems);
}

#[test]
fn every_link_leads_somewhere_on_some_device() {
    // Beside the real ones a device that has one of everything.
    let tr098 = Schema::tr098()
        .objects()
        .map(|object| object.path.replace("{i}", "1"));
    let everything: Tree = tr098.map(|path| (path, String::new())).collect();
    let real = trees::ALL.iter().map(|(name, _)| trees::tree(name));
    let mut leads = BTreeSet::new();
    for tree in real.chain([everything]) {
        let mapping = trees::mapping(&tree);
        let fixed: BTreeSet<_> = mapping.fixed().map(|(path, _)| path).collect();
        for object in mapping.objects() {
            let gateway = supported_text(mapping.to_gateway(object)[0]);
            let below = fixed
                .range(object..)
                .take_while(|path| path.starts_with(object));
            leads.extend(below.map(|path| (gateway.clone(), supported_text(path))));
        }
    }
    let mut problems = Vec::new();
    for (rule, param) in each().filter(|(_, param)| matches!(param.how, How::Link(_))) {
        let path = format!("{}{}", rule.device.supported, param.name);
        if !leads.contains(&(rule.gateway.to_owned(), path.clone())) {
            problems.push(format!("{path} of {}", rule.gateway));
        }
    }
    report(problems);
}

#[test]
fn rows_are_only_added_where_both_models_let_them() {
    let mut problems = Vec::new();
    for rule in Rules::builtin().objects.iter().filter(|rule| rule.rows) {
        let device = Schema::tr181_cwmp().object(&rule.device.supported).unwrap();
        let gateway = Schema::tr098().object(rule.gateway).unwrap();
        if !(device.access.can_add() && gateway.access.can_add() && gateway.access.can_delete()) {
            problems.push(format!("{} {}", rule.device.supported, rule.gateway));
        }
    }
    report(problems);
}

#[test]
fn what_both_sides_let_write_is_translated_exactly() {
    // A conversion that cannot go back would make a writable parameter lie.
    let mut problems = Vec::new();
    for (rule, param) in each() {
        let path = format!("{}{}", rule.device.supported, param.name);
        let device = Schema::tr181_cwmp().param(&path).unwrap();
        let gateway = param
            .sources
            .first()
            .map(|source| Schema::tr098().param(&rule.source(source)).unwrap());
        let both = device.access == ParamAccess::ReadWrite
            && gateway.is_some_and(|gateway| gateway.access == ParamAccess::ReadWrite);
        if let How::Enum { pairs, open } = &param.how
            && both
        {
            let mut written = pairs.iter().filter(|pair| !pair.read_only);
            if !open && written.next().is_none() {
                problems.push(path);
            }
        }
    }
    report(problems);
}

/// What only the CWMP flavour of TR-181 has: commands as parameters, diagnostics as objects, CWMP's own settings.
fn is_only_cwmps(path: &str) -> bool {
    const OBJECTS: &[&str] = &[
        "Device.ManagementServer.",
        "Device.IP.Diagnostics.",
        "Device.DNS.Diagnostics.",
        "Device.DSL.Diagnostics.",
        "Device.ATM.Diagnostics.",
        "Device.SelfTestDiagnostics.",
        "Device.DeviceInfo.SupportedDataModel.",
        "Device.DeviceInfo.ProxierInfo.",
    ];
    const NAMES: &[&str] = &[
        "Reset",
        "GPSReset",
        "ForceSample",
        "RequestedRunLevel",
        "RequestedState",
        "SupportedDataModelList",
    ];
    let name = path.rsplit('.').next().unwrap();
    OBJECTS.iter().any(|object| path.starts_with(object)) || NAMES.contains(&name)
}

#[test]
fn a_profile_of_usp_devices_finds_the_same_paths() {
    let mut problems = Vec::new();
    for (rule, param) in each() {
        let path = format!("{}{}", rule.device.supported, param.name);
        if Schema::tr181().param(&path).is_none() && !is_only_cwmps(&path) {
            problems.push(path);
        }
    }
    report(problems);
}

#[path = "../../../examples/mapping_doc.rs"]
#[allow(dead_code)]
mod mapping_doc;

#[test]
fn the_coverage_page_is_fresh() {
    let committed = include_str!("../../../../../docs/mapping.md");
    assert!(
        mapping_doc::document() == committed,
        "docs/mapping.md is stale: run `cargo xtask gen`"
    );
}
