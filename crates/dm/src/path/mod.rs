//! Paths: instantiated, supported and search paths of objects, parameters, commands and events (TR-369 2.5, TR-106).
//!
//! Parsing is lenient where peers and people differ ([`Path::parse`]); printing is strict ([`std::fmt::Display`]).
//! A `Path` says nothing about whether such a thing exists: that is [`crate::Schema`] and [`crate::resolve()`].

mod error;
mod expr;
mod parse;
mod segments;

use std::fmt;
use std::str::FromStr;

pub use error::{PathError, PathErrorReason};
pub use expr::{KeyExpr, Literal, Op, RelPath};
pub use segments::{Follow, Segment, Segments};

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathKind {
    /// An object, a table or an instance; the text ends in `.`.
    Object,
    /// A parameter.
    Parameter,
    /// A command; the text ends in `()`.
    Command,
    /// An event; the text ends in `!`.
    Event,
}

/// A parsed path. Kept as its canonical text plus the parsed brackets (usually none), so an ordinary path costs its
/// text and 40 bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    text: Box<str>,
    brackets: Box<[Box<[KeyExpr]>]>,
    kind: PathKind,
    shape: Shape,
}

/// Which unusual segments a path has, remembered from parsing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Shape {
    any: bool,
    keys: bool,
    follow: bool,
    follow_all: bool,
    template: bool,
}

impl Path {
    /// Parses `text`, accepting what agents, controllers and people really write: blanks around operators, unquoted
    /// constants, a missing final dot after an instance, `*`, an expression, `{i}` or a reference (R-ARC.9a).
    pub fn parse(text: &str) -> Result<Path, PathError> {
        parse::path(text)
    }

    /// The canonical text; the same as [`ToString`] without the copy.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Object, parameter, command or event.
    pub fn kind(&self) -> PathKind {
        self.kind
    }

    /// Has a `*`, an expression in brackets or a `#*+`, so it may name any number of things. (An expression that spells
    /// a whole unique key addresses at most one; only a schema can tell: [`crate::addressing`].)
    pub fn is_search(&self) -> bool {
        self.shape.any || self.shape.keys || self.shape.follow_all
    }

    /// Follows a reference somewhere outside of an expression.
    pub fn follows(&self) -> bool {
        self.shape.follow
    }

    /// Has a `{i}`: a path of the supported model, not of a device.
    pub fn is_template(&self) -> bool {
        self.shape.template
    }

    /// Names one thing of a device directly: no search, no reference, no `{i}`.
    pub fn is_plain(&self) -> bool {
        !self.is_search() && !self.shape.follow && !self.shape.template
    }

    /// The segments from the root on.
    pub fn segments(&self) -> Segments<'_> {
        Segments::new(&self.text, &self.brackets)
    }

    /// The last name: `SSID` of `Device.WiFi.SSID.1.` and of `Device.WiFi.SSID.1.SSID`; with its `()` or `!` for
    /// commands and events, as the protocol writes them.
    pub fn name(&self) -> &str {
        let mut last = "";
        for segment in self.segments() {
            if let Segment::Name(name) = segment {
                last = name;
            }
        }
        match self.kind {
            PathKind::Command | PathKind::Event => self.text.rsplit('.').next().unwrap_or(last),
            PathKind::Object | PathKind::Parameter => last,
        }
    }

    /// The path of the same thing in the supported model: every instance, `*` and expression becomes `{i}`. What lies
    /// behind a followed reference is not known here; the reference stays in the text.
    pub fn supported(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        for segment in self.segments() {
            match segment {
                Segment::Follow(_) => {
                    out.pop();
                    fmt::Write::write_fmt(&mut out, format_args!("{segment}")).unwrap_or_default();
                }
                Segment::Name(name) => out.push_str(name),
                Segment::Instance(_) | Segment::Any | Segment::Keys(_) | Segment::Template => {
                    out.push_str("{i}")
                }
            }
            out.push('.');
        }
        if self.kind != PathKind::Object {
            out.pop();
        }
        match self.kind {
            PathKind::Command => out.push_str("()"),
            PathKind::Event => out.push('!'),
            PathKind::Object | PathKind::Parameter => {}
        }
        out
    }

    /// The enclosing object: of a parameter, command or event its object; of an instance its table; of an object the
    /// object around it. `None` for the root.
    pub fn parent(&self) -> Option<Path> {
        let offsets: Vec<(usize, Segment<'_>)> = self.segments().offsets().collect();
        let (start, last) = *offsets.last()?;
        let end = match last {
            // `Ref+.` loses the name it follows, too.
            Segment::Follow(_) => offsets.get(offsets.len().checked_sub(2)?)?.0,
            _ => start,
        };
        if end == 0 {
            None
        } else {
            parse::path(&self.text[..end]).ok()
        }
    }

    /// This is `ancestor` or something below it, comparing texts (a search path is not evaluated).
    pub fn starts_with(&self, ancestor: &Path) -> bool {
        match ancestor.kind {
            PathKind::Object => self.text.starts_with(&*ancestor.text),
            PathKind::Parameter | PathKind::Command | PathKind::Event => self.text == ancestor.text,
        }
    }

    /// The path of `relative` (a name, `Name.`, `1.`, `Name()`, `Sub.Name`, ...) below this object.
    pub fn join(&self, relative: &str) -> Result<Path, PathError> {
        parse::path(&format!("{}{relative}", self.text))
    }
}

/// The supported-model form of an instantiated path text without parsing it: every segment of digits becomes `{i}`.
/// `Device.WiFi.SSID.3.SSID` gives `Device.WiFi.SSID.{i}.SSID`.
pub fn supported_text(instantiated: &str) -> String {
    let mut out = String::with_capacity(instantiated.len() + 8);
    for (n, part) in instantiated.split('.').enumerate() {
        if n > 0 {
            out.push('.');
        }
        let is_number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        out.push_str(if is_number { "{i}" } else { part });
    }
    out
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({})", self.text)
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Path, PathError> {
        Path::parse(text)
    }
}

impl TryFrom<&str> for Path {
    type Error = PathError;

    fn try_from(text: &str) -> Result<Path, PathError> {
        Path::parse(text)
    }
}

impl AsRef<str> for Path {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests;
