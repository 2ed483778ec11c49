//! Comparisons in brackets: `[Enable==true&&Alias=="lan"]`. Only their shape; what they mean is in
//! [`crate::resolve()`].

use std::fmt;

use super::parse;
use super::segments::Segments;
use super::{PathError, Segment};

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `~=`: the list has this item.
    Contains,
    /// `<`
    Lt,
    /// `>`
    Gt,
    /// `<=`
    Le,
    /// `>=`
    Ge,
}

impl Op {
    /// As written in a path.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Eq => "==",
            Op::Ne => "!=",
            Op::Contains => "~=",
            Op::Lt => "<",
            Op::Gt => ">",
            Op::Le => "<=",
            Op::Ge => ">=",
        }
    }

    /// `<`, `>`, `<=` or `>=`.
    pub fn is_relational(self) -> bool {
        matches!(self, Op::Lt | Op::Gt | Op::Le | Op::Ge)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The constant on the right of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Literal {
    /// Text, printed in double quotes with `"` as `%22` and `%` as `%25`; held without the escapes.
    Quoted(Box<str>),
    /// A number, boolean or dateTime, printed bare.
    Bare(Box<str>),
}

impl Literal {
    /// The literal that means `value`, quoted only when it has to be.
    pub fn for_value(base: crate::BaseType, value: &str) -> Literal {
        use crate::BaseType as B;
        match base {
            B::Boolean
            | B::Int
            | B::Long
            | B::UnsignedInt
            | B::UnsignedLong
            | B::Decimal
            | B::DateTime
                if parse::is_bare(value) =>
            {
                Literal::Bare(value.into())
            }
            _ => Literal::Quoted(value.into()),
        }
    }

    /// The text without quotes and escapes.
    pub fn text(&self) -> &str {
        match self {
            Literal::Quoted(text) | Literal::Bare(text) => text,
        }
    }

    /// Was in quotes.
    pub fn is_quoted(&self) -> bool {
        matches!(self, Literal::Quoted(_))
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Bare(text) => f.write_str(text),
            Literal::Quoted(text) => {
                f.write_str("\"")?;
                for c in text.chars() {
                    match c {
                        '"' => f.write_str("%22")?,
                        '%' => f.write_str("%25")?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"")
            }
        }
    }
}

/// The relative path on the left of a comparison: names through single objects, and references. Ends in a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelPath(Box<str>);

impl RelPath {
    pub(super) fn new(canonical: String) -> RelPath {
        RelPath(canonical.into())
    }

    /// The text, `Sub.Param` or `Ref+.Param`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The steps: only [`Segment::Name`] and [`Segment::Follow`].
    pub fn steps(&self) -> Segments<'_> {
        Segments::new(&self.0, &[])
    }

    /// Follows a reference on the way.
    pub fn follows(&self) -> bool {
        self.steps().any(|step| matches!(step, Segment::Follow(_)))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyExpr {
    /// The parameter, relative to the instance that is looked at.
    pub path: RelPath,
    /// How it is compared.
    pub op: Op,
    /// With what.
    pub value: Literal,
}

impl KeyExpr {
    /// Parses what stands between brackets: comparisons joined by `&&`.
    pub fn parse_all(text: &str) -> Result<Vec<KeyExpr>, PathError> {
        parse::expressions(text)
    }
}

impl fmt::Display for KeyExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.path, self.op, self.value)
    }
}
