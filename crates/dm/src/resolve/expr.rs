//! Whether comparisons hold for an instance. Types decide: `0123` equals `123` for a number, not for a text.

use std::cmp::Ordering;

use super::{Evaluation, ResolveError, ValueKind};
use crate::path::{KeyExpr, Literal, Op, Segment};
use crate::types::Type;
use crate::value::{BaseType, Value, list};

impl Evaluation<'_> {
    /// All comparisons hold for `row`. A parameter that is not there makes its comparison false, `!=` included.
    /// With `#*+` a comparison holds when it does for one of the targets.
    pub(super) fn all_hold(&mut self, row: &str, keys: &[KeyExpr]) -> Result<bool, ResolveError> {
        for key in keys {
            if !self.holds(row, key)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holds(&mut self, row: &str, key: &KeyExpr) -> Result<bool, ResolveError> {
        for param in self.operands(row, key)? {
            self.step()?;
            let Some(kind) = self.tree.param_type(&param) else {
                return Err(ResolveError::NotSupported { path: param });
            };
            let constant = Constant::read(key, kind)?;
            if self
                .tree
                .value(&param)
                .is_some_and(|value| constant.compare(key.op, &value))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The parameters that the left side names: one, or more where all references are followed.
    fn operands(&mut self, row: &str, key: &KeyExpr) -> Result<Vec<String>, ResolveError> {
        let mut found = vec![row.to_owned()];
        let mut steps = key.path.steps().peekable();
        while let Some(step) = steps.next() {
            match step {
                Segment::Name(name) => {
                    let end = match steps.peek() {
                        Some(Segment::Follow(_)) | None => "",
                        Some(_) => ".",
                    };
                    for at in &mut found {
                        at.push_str(name);
                        at.push_str(end);
                    }
                }
                Segment::Follow(which) => {
                    let holders = std::mem::take(&mut found);
                    for holder in holders {
                        found.extend(self.follow(&holder, which)?);
                        self.fits(&found)?;
                    }
                }
                // The parser lets nothing else into a relative path.
                Segment::Instance(_) | Segment::Any | Segment::Keys(_) | Segment::Template => {
                    return Ok(Vec::new());
                }
            }
        }
        Ok(found)
    }
}

/// The right side of a comparison, read as the left side's type.
enum Constant {
    One(Value, ValueKind),
    List(String, Type),
}

impl Constant {
    fn read(key: &KeyExpr, kind: ValueKind) -> Result<Constant, ResolveError> {
        let path = || key.path.to_string();
        let usable = match key.op {
            Op::Contains => kind.list,
            Op::Eq | Op::Ne => true,
            Op::Lt | Op::Gt | Op::Le | Op::Ge => !kind.list && kind.base.is_ordered(),
        };
        if !usable {
            let list = if kind.list { "a list of " } else { "" };
            return Err(ResolveError::Operator {
                path: path(),
                op: key.op,
                kind: format!("{list}{}", kind.base),
            });
        }
        let text = key.value.text();
        let wrong = |reason| ResolveError::Constant {
            path: path(),
            reason,
        };
        if kind.list && key.op != Op::Contains {
            let ty = Type::new(kind.base).list();
            return ty
                .normalise(text)
                .map(|text| Constant::List(text, ty))
                .map_err(wrong);
        }
        if kind.base == BaseType::Boolean && matches!(key.value, Literal::Quoted(_)) {
            return Err(ResolveError::QuotedBoolean { path: path() });
        }
        let value = read(kind, text).map_err(wrong)?;
        // The Unknown Time is neither before nor after anything.
        if key.op.is_relational() && matches!(value, Value::DateTime(time) if time.is_unknown()) {
            let kind = "compared with the Unknown Time here".to_owned();
            return Err(ResolveError::Operator {
                path: path(),
                op: key.op,
                kind,
            });
        }
        Ok(Constant::One(value, kind))
    }

    /// `text` is the value of the parameter. One that is not of its type equals nothing.
    fn compare(&self, op: Op, text: &str) -> bool {
        match self {
            Constant::List(constant, ty) => {
                (ty.normalise(text).as_ref() == Ok(constant)) == (op == Op::Eq)
            }
            Constant::One(constant, kind) if op == Op::Contains => list::items(text)
                .any(|item| read(*kind, &item).is_ok_and(|item| item.same(constant))),
            Constant::One(constant, kind) => match read(*kind, text) {
                Err(_) => op == Op::Ne,
                Ok(value) => match op {
                    Op::Eq => value.same(constant),
                    Op::Ne => !value.same(constant),
                    Op::Contains => false,
                    Op::Lt => value.order(constant) == Some(Ordering::Less),
                    Op::Gt => value.order(constant) == Some(Ordering::Greater),
                    Op::Le => matches!(
                        value.order(constant),
                        Some(Ordering::Less | Ordering::Equal)
                    ),
                    Op::Ge => matches!(
                        value.order(constant),
                        Some(Ordering::Greater | Ordering::Equal)
                    ),
                },
            },
        }
    }
}

fn read(kind: ValueKind, text: &str) -> Result<Value, crate::ValueError> {
    // Paths mean the same with and without the final dot.
    let text = if kind.reference {
        text.trim_end_matches('.')
    } else {
        text
    };
    Value::parse(kind.base, text)
}
