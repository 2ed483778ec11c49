//! Makes `crates/dm/src/generated/*.bin` out of `data/*.tsv`: the same facts without repetition (types once, members
//! by name below their object), deflated. The form of the text is described where it is read, in
//! `crates/dm/src/schema/table.rs`. Nothing of the tables may be lost but what can be derived; the conversion refuses
//! what it does not know.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// Table in `data/`, generated file, name of the model.
const TABLES: [(&str, &str, &str); 3] = [
    ("tr181-2.19-usp.tsv", "tr181-usp.bin", "Device:2.19"),
    ("tr181-2.19-cwmp.tsv", "tr181-cwmp.bin", "Device:2.19"),
    ("tr098-1.8.tsv", "tr098.bin", "InternetGatewayDevice:1.8"),
];

/// Writes the generated tables, or with `check` says which are not what the data makes. The texts are compared, not
/// their compression, which may differ between versions of a library.
pub fn run(check: bool) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (source, target, name) in TABLES {
        let source = root.join("data").join(source);
        let target = root.join("crates/dm/src/generated").join(target);
        let data =
            std::fs::read_to_string(&source).with_context(|| source.display().to_string())?;
        let text = convert(&data, name).with_context(|| source.display().to_string())?;
        if std::fs::read(&target)
            .is_ok_and(|bytes| inflate(&bytes).is_ok_and(|there| there == text))
        {
            continue;
        }
        ensure!(
            !check,
            "{} is stale: run `cargo xtask gen`",
            target.display()
        );
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes())?;
        std::fs::write(&target, encoder.finish()?).with_context(|| target.display().to_string())?;
    }
    Ok(())
}

fn inflate(bytes: &[u8]) -> Result<String> {
    let mut text = String::new();
    DeflateDecoder::new(bytes).read_to_string(&mut text)?;
    Ok(text)
}

/// One row of a table.
struct Row<'a> {
    path: &'a str,
    kind: &'a str,
    access: &'a str,
    ty: &'a str,
    since: &'a str,
    facets: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn read(line: &'a str) -> Result<Row<'a>> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, kind, access, ty, since, facets] = fields[..] else {
            bail!("not six fields");
        };
        let facets = facets
            .split(';')
            .filter(|facet| !facet.is_empty())
            .collect();
        // Four names of TR-098 end in a blank.
        let path = path.trim_end();
        Ok(Row {
            path,
            kind,
            access,
            ty,
            since,
            facets,
        })
    }
}

/// The text of a whole table.
fn convert(data: &str, name: &str) -> Result<String> {
    let mut converter = Converter::default();
    for (n, line) in data.lines().enumerate() {
        if !line.starts_with('#') && !line.is_empty() {
            let row = Row::read(line).and_then(|row| converter.row(&row));
            row.with_context(|| format!("line {}", n + 1))?;
        }
    }
    converter.finish_arguments()?;
    Ok(format!(
        "m\t{name}\n{}{}",
        converter.type_lines, converter.body
    ))
}

#[derive(Default)]
struct Converter<'a> {
    type_lines: String,
    types: HashMap<String, usize>,
    body: String,
    object: &'a str,
    /// Path of the command or event that arguments belong to.
    operation: &'a str,
    /// Argument objects that have had no argument yet.
    arg_objects: Vec<&'a str>,
}

impl<'a> Converter<'a> {
    fn row(&mut self, row: &Row<'a>) -> Result<()> {
        let since = row.since;
        if matches!(row.kind, "object" | "command" | "event") {
            self.finish_arguments()?;
        }
        match row.kind {
            "object" => {
                self.object = row.path;
                writeln!(
                    self.body,
                    "o\t{}\t{}\t{since}\t{}",
                    row.path,
                    row.access,
                    row.facets.join(";")
                )?;
            }
            "param" => {
                let name = self.member(row.path)?;
                let (ty, facets) = self.type_of(row)?;
                writeln!(
                    self.body,
                    "p\t{name}\t{}\t{ty}\t{since}\t{facets}",
                    row.access
                )?;
            }
            "command" => {
                self.operation = row.path;
                let name = self.member(row.path)?;
                writeln!(
                    self.body,
                    "c\t{name}\t{}\t{since}\t{}",
                    row.access,
                    row.facets.join(";")
                )?;
            }
            "event" => {
                self.operation = row.path;
                let name = self.member(row.path)?;
                writeln!(self.body, "e\t{name}\t{since}\t{}", row.facets.join(";"))?;
            }
            // Follow from the names of the arguments in them.
            "input-object" | "output-object" => {
                ensure!(row.facets.is_empty(), "an argument object with facets");
                self.arg_objects.push(self.argument(row.path)?);
            }
            "input" => self.arg_row('i', row)?,
            "output" => self.arg_row('u', row)?,
            "arg" => self.arg_row('a', row)?,
            other => bail!("unknown kind {other:?}"),
        }
        Ok(())
    }

    fn arg_row(&mut self, letter: char, row: &Row<'a>) -> Result<()> {
        let name = self.argument(row.path)?;
        self.arg_objects.retain(|object| !name.starts_with(object));
        let (ty, facets) = self.type_of(row)?;
        writeln!(self.body, "{letter}\t{name}\t{ty}\t{}\t{facets}", row.since)?;
        Ok(())
    }

    fn finish_arguments(&mut self) -> Result<()> {
        match self.arg_objects.first() {
            Some(object) => bail!("the argument object {object} before has no arguments"),
            None => Ok(()),
        }
    }

    fn member(&self, path: &'a str) -> Result<&'a str> {
        let name = path
            .strip_prefix(self.object)
            .context("does not belong to the object before")?;
        ensure!(!name.contains('.'), "does not belong to the object before");
        Ok(name)
    }

    fn argument(&self, path: &'a str) -> Result<&'a str> {
        let name = path
            .strip_prefix(self.operation)
            .and_then(|rest| rest.strip_prefix(' '));
        name.context("does not belong to the command or event before")
    }

    /// The number of the row's type, and the facets that are not its type's.
    fn type_of(&mut self, row: &Row<'_>) -> Result<(usize, String)> {
        let is_list = row.facets.contains(&"list");
        let sizes = row
            .facets
            .iter()
            .filter(|facet| facet.starts_with("size="))
            .count();
        let (mut of_type, mut of_member) = (Vec::new(), Vec::new());
        let mut seen_sizes = 0;
        for facet in &row.facets {
            let (key, value) = facet.split_once('=').unwrap_or((facet, ""));
            match key {
                "size" if value == ".." => seen_sizes += 1,
                "size" if is_list => {
                    seen_sizes += 1;
                    of_type.extend(list_size(row.ty, value, seen_sizes, sizes));
                }
                "list" | "size" | "enum" | "range" | "units" | "datatype" | "ref" => {
                    of_type.push((*facet).to_owned())
                }
                _ if key.starts_with("default(") && is_list => {
                    of_member.push(format!("{key}={}", list_default(value)))
                }
                _ => of_member.push((*facet).to_owned()),
            }
        }
        let line = format!("t\t{}\t{}\n", row.ty, of_type.join(";"));
        let next = self.types.len();
        let number = *self.types.entry(line.clone()).or_insert(next);
        if number == next {
            self.type_lines.push_str(&line);
        }
        Ok((number, of_member.join(";")))
    }
}

/// What a size of a list says. The tables do not tell whether one is of the list or of its items; the first of two and
/// those of numbers are of the list. A single one of a list of texts can be either: no item can be longer than
/// its most, and nothing more is certain. A value must not be refused for what is not certain.
fn list_size(ty: &str, value: &str, nth: usize, sizes: usize) -> Option<String> {
    let is_text = matches!(ty, "string" | "hexBinary" | "base64");
    if !is_text || (sizes > 1 && nth == 1) {
        return Some(format!("listsize={value}"));
    }
    if sizes > 1 {
        return Some(format!("size={value}"));
    }
    let most = value.split_once("..").map(|(_, most)| most)?;
    if most.is_empty() {
        None
    } else {
        Some(format!("size=..{most}"))
    }
}

/// Defaults of lists stand in brackets in the standard's XML; the value does not have them.
fn list_default(value: &str) -> &str {
    value
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_tables_are_what_the_data_makes() -> Result<()> {
        run(true)
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let row = |text: &str| convert(text, "X").map_err(|e| format!("{e:#}"));
        assert!(row("Device.\tthing\t\t\t\t").is_err_and(|e| e.contains("unknown kind")));
        assert!(row("Device.\tobject\t\t\t").is_err_and(|e| e.contains("six fields")));
        assert!(row("Device.X\tparam\t\tstring\t\t").is_err_and(|e| e.contains("object before")));
        assert!(row("Device.\tobject\t\t\t\t\nDevice.X\tparam\t\tstring\t\t").is_ok());
    }
}
