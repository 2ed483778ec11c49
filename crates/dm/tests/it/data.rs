//! Every fact of `data/*.tsv` is in the models: an independent reading of the tables, row by row.

use dm::{
    ArgDef, CommandKind, DefaultKind, Element, NotifyRule, ObjectAccess, ParamAccess, Reference,
    Schema, Size, Status, Type,
};

fn table(name: &str) -> String {
    let path = format!("{}/../../data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

struct Row<'a> {
    path: &'a str,
    kind: &'a str,
    access: &'a str,
    ty: &'a str,
    since: &'a str,
    facets: Vec<(&'a str, &'a str)>,
}

impl<'a> Row<'a> {
    fn read(line: &'a str) -> Row<'a> {
        let fields: Vec<&str> = line.split('\t').collect();
        let facets = fields[5].split(';').filter(|f| !f.is_empty());
        Row {
            path: fields[0].trim_end(),
            kind: fields[1],
            access: fields[2],
            ty: fields[3],
            since: fields[4],
            facets: facets
                .map(|f| f.split_once('=').unwrap_or((f, "")))
                .collect(),
        }
    }

    fn all(&self, key: &str) -> Vec<&'a str> {
        self.facets
            .iter()
            .filter(|(k, _)| *k == key)
            .map(|(_, value)| *value)
            .collect()
    }

    fn one(&self, key: &str) -> Option<&'a str> {
        self.all(key).first().copied()
    }

    fn status(&self) -> Status {
        match self.one("status") {
            None => Status::Current,
            Some("deprecated") => Status::Deprecated,
            Some("obsoleted") => Status::Obsoleted,
            Some("deleted") => Status::Deleted,
            Some(other) => panic!("{other}"),
        }
    }

    fn since(&self, since: &Option<dm::Text>) {
        assert_eq!(since.as_deref().unwrap_or_default(), self.since);
    }

    fn default(&self, default: &Option<dm::Default>, is_list: bool) {
        let kinds = [
            ("default(object)", DefaultKind::Object),
            ("default(factory)", DefaultKind::Factory),
            ("default(implementation)", DefaultKind::Implementation),
            ("default(parameter)", DefaultKind::Parameter),
        ];
        let wanted = kinds
            .iter()
            .find_map(|(key, kind)| self.one(key).map(|value| (*kind, value)));
        let wanted = wanted.map(|(kind, value)| {
            (
                kind,
                if is_list {
                    value.trim_matches(['[', ']'])
                } else {
                    value
                },
            )
        });
        assert_eq!(default.as_ref().map(|d| (d.kind, d.value.as_ref())), wanted);
    }

    fn check_type(&self, ty: &Type) {
        assert_eq!(ty.base.as_str(), self.ty);
        assert_eq!(ty.enumeration, self.all("enum"));
        assert_eq!(ty.units.as_deref(), self.one("units"));
        assert_eq!(ty.datatype.as_deref(), self.one("datatype"));
        assert_eq!(ty.is_list(), self.one("list").is_some());
        let reference = self.one("ref").map(|kind| {
            if kind == "strong" {
                Reference::Strong
            } else {
                Reference::Weak
            }
        });
        assert_eq!(ty.reference, reference);
        let text =
            |end: &Option<dm::Decimal>| end.as_ref().map(ToString::to_string).unwrap_or_default();
        let ranges: Vec<String> = ty
            .ranges
            .iter()
            .map(|range| format!("{}..{}", text(&range.min), text(&range.max)))
            .collect();
        assert_eq!(ranges, self.all("range"));
        self.check_sizes(ty);
    }

    /// Of lists, what the table leaves open is taken as no stricter than certain.
    fn check_sizes(&self, ty: &Type) {
        let text = |end: Option<u32>| end.map(|n| n.to_string()).unwrap_or_default();
        let words = |sizes: &[Size]| {
            sizes
                .iter()
                .map(|size| format!("{}..{}", text(size.min), text(size.max)))
                .collect::<Vec<_>>()
        };
        let sizes: Vec<&str> = self.all("size");
        let known = |size: &&&str| **size != "..";
        match (&ty.list, sizes.as_slice()) {
            (None, sizes) => assert_eq!(
                words(&ty.sizes),
                sizes.iter().filter(known).copied().collect::<Vec<_>>()
            ),
            (Some(list), [of_list, of_items]) => {
                assert_eq!(
                    words(&list.sizes),
                    [of_list]
                        .into_iter()
                        .filter(known)
                        .copied()
                        .collect::<Vec<_>>()
                );
                assert_eq!(
                    words(&ty.sizes),
                    [of_items]
                        .into_iter()
                        .filter(known)
                        .copied()
                        .collect::<Vec<_>>()
                );
            }
            (Some(list), sizes) => {
                let all: Vec<String> = [words(&list.sizes), words(&ty.sizes)].concat();
                let most = |size: &str| size.split_once("..").unwrap().1.to_owned();
                let wanted: Vec<String> = sizes
                    .iter()
                    .map(|size| most(size))
                    .filter(|most| !most.is_empty())
                    .collect();
                assert_eq!(
                    all.iter().map(|size| most(size)).collect::<Vec<_>>(),
                    wanted
                );
            }
        }
    }

    fn check_arg(&self, arg: &ArgDef) {
        self.check_type(&arg.ty);
        assert_eq!(arg.mandatory, self.one("mandatory").is_some());
        assert_eq!(arg.status, self.status());
        self.default(&arg.default, arg.ty.is_list());
        self.since(&arg.since);
    }
}

fn check_object(row: &Row<'_>, schema: &Schema) {
    let object = schema.object(row.path).unwrap();
    assert_eq!(object.path, row.path);
    assert_eq!(object.multi, row.path.ends_with("{i}."));
    assert_eq!(
        object.access,
        if row.access == "readWrite" {
            ObjectAccess::AddDelete
        } else {
            ObjectAccess::ReadOnly
        }
    );
    let max = object
        .entries
        .1
        .map_or("unbounded".to_owned(), |max| max.to_string());
    let unsaid = if object.multi { "0..unbounded" } else { "1..1" };
    let entries = row.one("entries").unwrap_or(unsaid).replace("None", "0");
    assert_eq!(format!("{}..{max}", object.entries.0), entries);
    let keys: Vec<(bool, String)> = object
        .unique_keys
        .iter()
        .map(|key| (key.functional, key.params.join("+")))
        .collect();
    let wanted = row.facets.iter().filter(|(key, _)| key.starts_with("key"));
    assert_eq!(
        keys,
        wanted
            .map(|(key, params)| (*key == "key", (*params).to_owned()))
            .collect::<Vec<_>>()
    );
    assert_eq!(
        object.entries_param.as_deref(),
        row.one("numEntriesParameter")
    );
    assert_eq!(object.enable_param.as_deref(), row.one("enableParameter"));
    assert_eq!(object.mount_point, row.one("mountType").is_some());
    assert_eq!(object.status, row.status());
    row.since(&object.since);
}

fn check_param(row: &Row<'_>, schema: &Schema) {
    let param = schema.param(row.path).unwrap();
    let access = match row.access {
        "readWrite" => ParamAccess::ReadWrite,
        "writeOnceReadOnly" => ParamAccess::WriteOnce,
        _ => ParamAccess::ReadOnly,
    };
    assert_eq!(param.access, access);
    row.check_type(&param.ty);
    row.default(&param.default, param.ty.is_list());
    row.since(&param.since);
    assert_eq!(param.status, row.status());
    assert_eq!(param.secured, row.one("secured").is_some());
    assert_eq!(param.hidden, row.one("hidden").is_some());
    assert_eq!(param.command, row.one("command").is_some());
    assert_eq!(
        param.notify == NotifyRule::CanDeny,
        row.one("activeNotify") == Some("canDeny")
    );
    assert_eq!(
        param.notify == NotifyRule::ForceEnabled,
        row.one("activeNotify") == Some("forceEnabled")
    );
    assert_eq!(
        param.notify == NotifyRule::Normal,
        row.one("activeNotify").is_none()
    );
}

fn check(row: &Row<'_>, schema: &Schema) {
    let (of, name) = row.path.split_once(' ').unwrap_or((row.path, ""));
    match (row.kind, schema.element(of).unwrap()) {
        ("object", Element::Object(_)) => check_object(row, schema),
        ("param", Element::Param(..)) => check_param(row, schema),
        ("command", Element::Command(_, command)) => {
            assert_eq!(command.kind == CommandKind::Async, row.access == "async");
            assert_eq!(command.status, row.status());
            row.since(&command.since);
        }
        ("event", Element::Event(_, event)) => {
            assert_eq!(event.status, row.status());
            row.since(&event.since);
        }
        ("input", Element::Command(_, command)) => row.check_arg(command.input(name).unwrap()),
        ("output", Element::Command(_, command)) => row.check_arg(command.output(name).unwrap()),
        ("arg", Element::Event(_, event)) => row.check_arg(event.arg(name).unwrap()),
        ("input-object", Element::Command(_, command)) => {
            assert!(command.inputs.iter().any(|arg| arg.name.starts_with(name)))
        }
        ("output-object", Element::Command(_, command)) => {
            assert!(command.outputs.iter().any(|arg| arg.name.starts_with(name)))
        }
        (kind, found) => panic!("{kind} is {found:?}"),
    }
}

/// Rows that are members, and members that there are.
fn check_table(name: &str, schema: &Schema) {
    let text = table(name);
    let mut rows = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let row = Row::read(line);
        let outcome = std::panic::catch_unwind(|| check(&row, schema));
        assert!(outcome.is_ok(), "{name}: {line}");
        rows += usize::from(!row.kind.ends_with("-object"));
    }
    let mut members = 0;
    for object in schema.objects() {
        members += 1 + object.params.len() + object.commands.len() + object.events.len();
        members += object
            .commands
            .iter()
            .map(|command| command.inputs.len() + command.outputs.len())
            .sum::<usize>();
        members += object
            .events
            .iter()
            .map(|event| event.args.len())
            .sum::<usize>();
    }
    assert_eq!(members, rows);
}

#[test]
fn the_usp_model_is_the_table() {
    check_table("tr181-2.19-usp.tsv", Schema::tr181());
}

#[test]
fn the_cwmp_model_is_the_table() {
    check_table("tr181-2.19-cwmp.tsv", Schema::tr181_cwmp());
}

#[test]
fn the_tr098_model_is_the_table() {
    check_table("tr098-1.8.tsv", Schema::tr098());
}

#[test]
fn every_default_of_the_standard_is_allowed_by_its_own_type() {
    let mut refused = Vec::new();
    for object in Schema::tr181().objects() {
        for param in &object.params {
            if let Some(default) = &param.default
                && let Err(error) = param.ty.check(&default.value)
            {
                refused.push(format!("{}{}: {error}", object.path, param.name));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
