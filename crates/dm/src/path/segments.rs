//! Walking the canonical text of a path segment by segment. It was made by the parser, so nothing can be wrong in it.

use std::fmt;

use super::expr::KeyExpr;

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// The name of an object, parameter, command (without `()`) or event (without `!`).
    Name(&'a str),
    /// An instance number, from 1.
    Instance(u32),
    /// `*`: every instance.
    Any,
    /// `[..&&..]`: the instances for which all comparisons hold; never empty.
    Keys(&'a [KeyExpr]),
    /// `{i}` of the supported model.
    Template,
    /// The reference held by the parameter named just before is followed.
    Follow(Follow),
}

/// Which items of a reference-valued (list) parameter are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// `+`: the first.
    First,
    /// `#n+`: the n-th, from 1.
    Nth(u32),
    /// `#*+`: each.
    All,
}

impl fmt::Display for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Follow::First => f.write_str("+"),
            Follow::Nth(n) => write!(f, "#{n}+"),
            Follow::All => f.write_str("#*+"),
        }
    }
}

impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Name(name) => f.write_str(name),
            Segment::Instance(n) => write!(f, "{n}"),
            Segment::Any => f.write_str("*"),
            Segment::Template => f.write_str("{i}"),
            Segment::Follow(which) => write!(f, "{which}"),
            Segment::Keys(keys) => {
                f.write_str("[")?;
                for (n, key) in keys.iter().enumerate() {
                    if n > 0 {
                        f.write_str("&&")?;
                    }
                    write!(f, "{key}")?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Iterator over the segments of a path.
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    text: &'a str,
    at: usize,
    brackets: std::slice::Iter<'a, Box<[KeyExpr]>>,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(text: &'a str, brackets: &'a [Box<[KeyExpr]>]) -> Segments<'a> {
        Segments {
            text,
            at: 0,
            brackets: brackets.iter(),
        }
    }

    /// The segments with the byte offset in the text at which each starts.
    pub(crate) fn offsets(mut self) -> impl Iterator<Item = (usize, Segment<'a>)> {
        std::iter::from_fn(move || {
            // A dot before the segment belongs to neither side.
            let start = self.at + usize::from(self.text[self.at..].starts_with('.'));
            self.next().map(|segment| (start, segment))
        })
    }

    fn follow(&mut self, rest: &'a str) -> Option<Segment<'a>> {
        let end = rest.find('+')?;
        self.at += end + 1;
        let which = match rest.get(1..end) {
            Some("*") => Follow::All,
            Some(number) => Follow::Nth(number.parse().ok()?),
            None => Follow::First,
        };
        Some(Segment::Follow(which))
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        let mut rest = &self.text[self.at..];
        if let Some(after) = rest.strip_prefix('.') {
            self.at += 1;
            rest = after;
        }
        match rest.as_bytes().first()? {
            b'+' | b'#' => self.follow(rest),
            b'[' => {
                self.at += bracket_length(rest);
                self.brackets.next().map(|keys| Segment::Keys(keys))
            }
            b'*' => {
                self.at += 1;
                Some(Segment::Any)
            }
            b'{' => {
                self.at += "{i}".len();
                Some(Segment::Template)
            }
            first => {
                let end = rest.find(['.', '+', '#', '(', '!']).unwrap_or(rest.len());
                let word = &rest[..end];
                self.at += end;
                if matches!(rest.as_bytes().get(end), Some(b'(' | b'!')) {
                    self.at = self.text.len();
                }
                if first.is_ascii_digit() {
                    Some(Segment::Instance(word.parse().ok()?))
                } else {
                    Some(Segment::Name(word))
                }
            }
        }
    }
}

/// Length of the `[...]` at the start of `text`; a `]` inside of quotes does not end it.
fn bracket_length(text: &str) -> usize {
    let mut quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b']' if !quoted => return at + 1,
            _ => {}
        }
    }
    text.len()
}
