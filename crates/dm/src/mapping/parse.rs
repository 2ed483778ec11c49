//! The form of `data/mapping/*.tsv`: one thing a line, fields separated by tabs, `#` starts a comment.
//!
//! ```text
//! table   name  source[;source...]  [band]     what gives numbers; a source may end in #1, #2, ...
//! object  Device...  InternetGatewayDevice...  [rows][;unless=InternetGatewayDevice...]
//! none    InternetGatewayDevice...  reason
//! name    source[;source...]  [how]            a parameter of the object before; `-` for no source
//! ```
//!
//! How a value crosses, nothing for the same value:
//!
//! ```text
//! enum a=x;b=y;b<z;c<*;*  a in TR-181 is x in TR-098; z is only read; every other name is read as c; * lets every
//!                         other name pass
//! times 1000 | over 10    TR-181 has the larger | the smaller number
//! const text | nth a;b;c  a fixed text | one by the row's number
//! link Device...;...      the first of these objects that exists for the same TR-098 instance
//! members Device...{i}.   all other rows of that table
//! ref Device...;...       a path that points to the counterpart below one of these
//! path                    a path of anything in the device's own tree
//! list | item 2 | each    several parameters as one list | one item of a list | one value to several parameters
//! hexbase64 | hextext | offset | mode | modes | cipher | band
//! ```

use super::rules::{How, NoneRule, ObjectRule, Pair, ParamRule, Part, Rules, Table, Template};
use super::{DEVICE_ROOT, GATEWAY_ROOT};

/// A file that cannot be read; says which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("data/mapping/{file}.tsv line {line}: {problem}")]
pub struct RulesError {
    /// The area.
    pub file: &'static str,
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub problem: &'static str,
}

type Problem = &'static str;

pub(super) fn read(files: &[(&'static str, &'static str)]) -> Result<Rules, RulesError> {
    let mut rules = Rules::default();
    // Tables first: objects of any file may name them.
    for pass in ["tables", "the rest"] {
        for (file, text) in files {
            for (n, line) in text.lines().enumerate() {
                if line.trim().is_empty() || line.starts_with('#') {
                    continue;
                }
                let is_table = line.starts_with("table\t");
                if is_table == (pass == "tables") {
                    read_line(&mut rules, file, line).map_err(|problem| RulesError {
                        file,
                        line: n + 1,
                        problem,
                    })?;
                }
            }
        }
    }
    Ok(rules)
}

fn read_line(rules: &mut Rules, area: &'static str, line: &'static str) -> Result<(), Problem> {
    let fields: Vec<&'static str> = line.split('\t').map(str::trim).collect();
    match fields[..] {
        ["table", name, sources, ref rest @ ..] => {
            if rules.tables.iter().any(|table| table.name == name) {
                return Err("a table of this name is there already");
            }
            let sources: Result<_, _> = sources.split(';').map(source).collect();
            rules.tables.push(Table {
                name,
                sources: sources?,
                by_band: match rest {
                    [] => false,
                    ["band"] => true,
                    _ => return Err("unknown kind of table"),
                },
            });
        }
        ["object", device, gateway, ref rest @ ..] => {
            let device = template(rules, device)?;
            let mut rule = ObjectRule {
                area,
                device,
                gateway: object(gateway, GATEWAY_ROOT)?,
                rows: false,
                unless: None,
                params: Vec::new(),
            };
            for option in rest.iter().flat_map(|options| options.split(';')) {
                match option.split_once('=') {
                    None if option == "rows" => rule.rows = true,
                    Some(("unless", path)) => rule.unless = Some(object(path, GATEWAY_ROOT)?),
                    _ => return Err("unknown option of an object"),
                }
            }
            rules.objects.push(rule);
        }
        ["none", path, reason] => rules.none.push(NoneRule { path, reason }),
        [name, sources, ref rest @ ..] => {
            let how = match rest {
                [] => How::Same,
                [how] => how_of(rules, how)?,
                _ => return Err("too many fields"),
            };
            let sources: Vec<&'static str> = match sources {
                "-" => Vec::new(),
                _ => sources.split(';').collect(),
            };
            let is_free = matches!(
                how,
                How::Const(_) | How::Nth(_) | How::Link(_) | How::Members(_) | How::Band
            );
            if sources.is_empty() != is_free {
                return Err("a parameter has sources, and a fixed one has none");
            }
            let rule = rules.objects.last_mut().filter(|rule| rule.area == area);
            let rule = rule.ok_or("a parameter before the first object")?;
            rule.params.push(ParamRule {
                name,
                sources,
                how,
                device: None,
                gateway: None,
            });
        }
        _ => return Err("too few fields"),
    }
    Ok(())
}

fn source(text: &'static str) -> Result<(&'static str, u32), Problem> {
    let (path, slot) = match text.split_once('#') {
        Some((path, slot)) => (path, slot.parse().map_err(|_| "a slot is a number")?),
        None => (text, 0),
    };
    Ok((object(path, GATEWAY_ROOT)?, slot))
}

fn object(path: &'static str, root: &str) -> Result<&'static str, Problem> {
    if path.starts_with(root) && path.ends_with('.') {
        Ok(path)
    } else {
        Err("not an object path of the side it should be on")
    }
}

fn template(rules: &Rules, path: &'static str) -> Result<Template, Problem> {
    let mut parts = Vec::new();
    let mut supported = String::new();
    let mut rest = object(path, DEVICE_ROOT)?;
    while let Some((text, after)) = rest.split_once('{') {
        let (hole, after) = after.split_once('}').ok_or("a hole without its end")?;
        parts.push(Part::Text(text));
        supported.push_str(text);
        supported.push_str("{i}");
        parts.push(if hole == "i" {
            Part::Index
        } else {
            let (name, slot) = hole.split_once('#').unwrap_or((hole, "0"));
            let table = rules.tables.iter().position(|table| table.name == name);
            let slot = slot.parse().map_err(|_| "a slot is a number")?;
            Part::Table(table.ok_or("no table of this name")?, slot)
        });
        rest = after;
    }
    parts.push(Part::Text(rest));
    supported.push_str(rest);
    Ok(Template {
        parts,
        supported: crate::path::supported_text(&supported),
    })
}

fn templates(rules: &Rules, paths: &'static str) -> Result<Vec<Template>, Problem> {
    paths.split(';').map(|path| template(rules, path)).collect()
}

fn how_of(rules: &Rules, text: &'static str) -> Result<How, Problem> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let number = || {
        rest.parse::<u32>()
            .ok()
            .filter(|n| *n > 0)
            .ok_or("not a number above 0")
    };
    Ok(match word {
        "enum" => enumeration(rest)?,
        "times" => How::Times(number()?),
        "over" => How::Over(number()?),
        "const" => How::Const(rest),
        "nth" => How::Nth(rest.split(';').collect()),
        "link" => How::Link(templates(rules, rest)?),
        "members" => How::Members(template(rules, rest)?),
        "ref" => How::Ref(templates(rules, rest)?),
        "path" => How::Path,
        "list" => How::List,
        "item" => How::Item(number()? as usize),
        "each" => How::Each,
        "hexbase64" => How::HexBase64,
        "hextext" => How::HexText,
        "offset" => How::Offset,
        "mode" => How::SecurityMode,
        "modes" => How::SecurityModes,
        "cipher" => How::Cipher,
        "band" => How::Band,
        _ => return Err("unknown way for a value"),
    })
}

fn enumeration(text: &'static str) -> Result<How, Problem> {
    let mut pairs = Vec::new();
    let mut open = false;
    for pair in text.split(';') {
        if pair == "*" {
            open = true;
            continue;
        }
        let (at, mark) = pair
            .char_indices()
            .find(|(_, c)| matches!(c, '=' | '<'))
            .ok_or("a pair is a=b or a<b")?;
        pairs.push(Pair {
            device: &pair[..at],
            gateway: &pair[at + 1..],
            read_only: mark == '<',
        });
    }
    Ok(How::Enum { pairs, open })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &'static str) -> Option<Problem> {
        read(&[("x", text)]).err().map(|error| error.problem)
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        let object = "object\tDevice.X.\tInternetGatewayDevice.Y.\n";
        let with = |line: &str| problem(Box::leak(format!("{object}{line}").into_boxed_str()));
        assert_eq!(with("A\tB"), None);
        assert_eq!(with("A\tB\tnonsense"), Some("unknown way for a value"));
        assert_eq!(with("A\tB\ttimes 0"), Some("not a number above 0"));
        assert_eq!(
            with("A\t-"),
            Some("a parameter has sources, and a fixed one has none")
        );
        assert_eq!(with("A"), Some("too few fields"));
        assert_eq!(
            with("A\tB\tlink Device.X.{no}."),
            Some("no table of this name")
        );
        assert_eq!(problem("A\tB"), Some("a parameter before the first object"));
        let error = read(&[("x", "# comment\n\nobject\tDevice.X\tY.")]).map(|_| ());
        assert_eq!(error.map_err(|error| error.line), Err(3));
    }
}
