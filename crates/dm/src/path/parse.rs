//! The lenient parser. It writes the canonical text while it reads, so printing is copying.

use super::{
    KeyExpr, Literal, Op, Path, PathError, PathErrorReason as Reason, PathKind, RelPath, Shape,
};
use crate::limits;

type Result<T> = std::result::Result<T, PathError>;

/// What the previous segment was; decides what may follow.
#[derive(Clone, Copy, PartialEq)]
enum Prev {
    Root,
    Name,
    Selector,
    Follow,
}

/// Parses a whole path.
pub(super) fn path(text: &str) -> Result<Path> {
    let mut cursor = Cursor { text, at: 0 };
    if text.is_empty() {
        return Err(cursor.error(Reason::Empty));
    }
    if let Some((at, _)) = text.char_indices().nth(limits::PATH_CHARS_MAX) {
        cursor.at = at;
        return Err(cursor.error(Reason::TooLong));
    }
    let mut out = Out::default();
    let kind = segments(&mut cursor, &mut out)?;
    // Dots and escapes that were left out make the canonical text longer; it must be a path itself.
    if out.text.chars().count() > limits::PATH_CHARS_MAX {
        return Err(cursor.error(Reason::TooLong));
    }
    Ok(Path {
        text: out.text.into(),
        brackets: out.brackets.into(),
        kind,
        shape: out.shape,
    })
}

/// Parses the inside of brackets on its own.
pub(super) fn expressions(text: &str) -> Result<Vec<KeyExpr>> {
    let mut cursor = Cursor { text, at: 0 };
    if let Some((at, _)) = text.char_indices().nth(limits::PATH_CHARS_MAX) {
        cursor.at = at;
        return Err(cursor.error(Reason::TooLong));
    }
    let keys = comparisons(&mut cursor, 0)?;
    if cursor.peek().is_some() {
        return Err(cursor.unexpected("'&&' or the end"));
    }
    let canonical: usize = keys
        .iter()
        .map(|key| key.to_string().chars().count() + "&&".len())
        .sum();
    if canonical > limits::PATH_CHARS_MAX + "&&".len() {
        return Err(cursor.error(Reason::TooLong));
    }
    Ok(keys)
}

/// What has been read so far.
#[derive(Default)]
struct Out {
    text: String,
    brackets: Vec<Box<[KeyExpr]>>,
    shape: Shape,
    segments: usize,
    expressions: usize,
}

fn segments(cursor: &mut Cursor<'_>, out: &mut Out) -> Result<PathKind> {
    name(cursor, out, "the name of the root object")?;
    let mut prev = Prev::Root;
    loop {
        match cursor.peek() {
            // "Device", "Device.WiFi.SSID.1" and "Ref+" cannot be parameters: the dot was left out.
            None if prev == Prev::Name => return Ok(PathKind::Parameter),
            None => {
                out.text.push('.');
                return Ok(PathKind::Object);
            }
            Some('.') => {
                cursor.bump();
                out.text.push('.');
                if cursor.peek().is_none() {
                    return Ok(PathKind::Object);
                }
                prev = segment(cursor, out, prev)?;
            }
            Some('+' | '#') if prev == Prev::Name => {
                follow(cursor, out)?;
                prev = Prev::Follow;
            }
            Some('(') if prev == Prev::Name => {
                cursor.bump();
                cursor.expect(')', "')'")?;
                out.text.push_str("()");
                return end(cursor, PathKind::Command);
            }
            Some('!') if prev == Prev::Name => {
                cursor.bump();
                out.text.push('!');
                return end(cursor, PathKind::Event);
            }
            Some(_) => {
                return Err(cursor.unexpected(match prev {
                    Prev::Name => "a letter, digit, '.', '+', '#', '()' or '!'",
                    Prev::Root => "a letter, digit or '.'",
                    Prev::Selector | Prev::Follow => "'.'",
                }));
            }
        }
    }
}

fn end(cursor: &Cursor<'_>, kind: PathKind) -> Result<PathKind> {
    match cursor.peek() {
        None => Ok(kind),
        Some(_) => Err(cursor.unexpected("the end of the path")),
    }
}

/// What stands behind a dot.
fn segment(cursor: &mut Cursor<'_>, out: &mut Out, prev: Prev) -> Result<Prev> {
    let first = cursor.peek();
    if !matches!(first, Some('*' | '[' | '{' | '0'..='9')) {
        name(cursor, out, "a name, an instance number, '*' or '['")?;
        return Ok(Prev::Name);
    }
    if prev != Prev::Name {
        return Err(cursor.error(Reason::Place));
    }
    out.count(cursor)?;
    let start = cursor.at;
    match first {
        Some('*') => {
            cursor.bump();
            out.shape.any = true;
            out.text.push('*');
        }
        Some('[') => {
            brackets(cursor, out)?;
            out.shape.keys = true;
        }
        Some('{') => {
            cursor.bump();
            cursor.expect('i', "'i}'")?;
            cursor.expect('}', "'}'")?;
            out.shape.template = true;
            out.text.push_str("{i}");
        }
        _ => {
            let number = number(cursor)?;
            out.instances_after_template(cursor, start)?;
            push_number(&mut out.text, number);
            return Ok(Prev::Selector);
        }
    }
    // R-GSP: a path with {i} must not be mixed with searches.
    if out.shape.template && (out.shape.any || out.shape.keys || out.shape.follow) {
        return Err(cursor.error_at(start, Reason::Mixed));
    }
    Ok(Prev::Selector)
}

impl Out {
    fn count(&mut self, cursor: &Cursor<'_>) -> Result<()> {
        self.segments += 1;
        if self.segments > limits::PATH_SEGMENTS_MAX {
            return Err(cursor.error(Reason::TooDeep));
        }
        Ok(())
    }

    fn instances_after_template(&self, cursor: &Cursor<'_>, start: usize) -> Result<()> {
        if self.shape.template {
            return Err(cursor.error_at(start, Reason::Mixed));
        }
        Ok(())
    }
}

fn name(cursor: &mut Cursor<'_>, out: &mut Out, expected: &'static str) -> Result<()> {
    out.count(cursor)?;
    out.text.push_str(cursor.name(expected)?);
    Ok(())
}

fn follow(cursor: &mut Cursor<'_>, out: &mut Out) -> Result<()> {
    out.count(cursor)?;
    let start = cursor.at;
    out.shape.follow = true;
    out.shape.follow_all |= follow_text(cursor, &mut out.text)?;
    if out.shape.template {
        return Err(cursor.error_at(start, Reason::Mixed));
    }
    Ok(())
}

/// Reads `+`, `#n+` or `#*+`; says whether it was the last.
fn follow_text(cursor: &mut Cursor<'_>, text: &mut String) -> Result<bool> {
    let mut all = false;
    if cursor.peek() == Some('#') {
        cursor.bump();
        text.push('#');
        match cursor.peek() {
            Some('*') => {
                cursor.bump();
                text.push('*');
                all = true;
            }
            Some('0'..='9') => push_number(text, number(cursor)?),
            _ => return Err(cursor.unexpected("a number or '*'")),
        }
    }
    cursor.expect('+', "'+'")?;
    text.push('+');
    Ok(all)
}

fn push_number(text: &mut String, number: u32) {
    text.push_str(&number.to_string());
}

fn number(cursor: &mut Cursor<'_>) -> Result<u32> {
    let start = cursor.at;
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    if digits.starts_with('0') {
        return Err(cursor.error_at(start, Reason::Number));
    }
    digits
        .parse()
        .map_err(|_| cursor.error_at(start, Reason::NumberTooLarge))
}

fn brackets(cursor: &mut Cursor<'_>, out: &mut Out) -> Result<()> {
    cursor.bump();
    cursor.blanks();
    if cursor.peek() == Some(']') {
        return Err(cursor.error(Reason::EmptyBrackets));
    }
    let keys = comparisons(cursor, out.expressions)?;
    cursor.expect(']', "'&&' or ']'")?;
    out.expressions += keys.len();
    out.text.push_str(&super::Segment::Keys(&keys).to_string());
    out.brackets.push(keys.into());
    Ok(())
}

/// Comparisons up to what is neither a comparison nor `&&`. Blanks are tolerated (R-ARC.9a).
fn comparisons(cursor: &mut Cursor<'_>, already: usize) -> Result<Vec<KeyExpr>> {
    let mut keys = Vec::with_capacity(1);
    loop {
        cursor.blanks();
        if already + keys.len() >= limits::PATH_EXPRESSIONS_MAX {
            return Err(cursor.error(Reason::TooManyExpressions));
        }
        keys.push(comparison(cursor)?);
        cursor.blanks();
        if cursor.peek() != Some('&') {
            return Ok(keys);
        }
        cursor.bump();
        cursor.expect('&', "'&&'")?;
    }
}

fn comparison(cursor: &mut Cursor<'_>) -> Result<KeyExpr> {
    let path = relative(cursor)?;
    cursor.blanks();
    let op = operator(cursor)?;
    cursor.blanks();
    let value = literal(cursor)?;
    Ok(KeyExpr { path, op, value })
}

fn relative(cursor: &mut Cursor<'_>) -> Result<RelPath> {
    let mut text = String::new();
    let mut steps = 0;
    loop {
        steps += 1;
        if steps > limits::EXPRESSION_STEPS_MAX {
            return Err(cursor.error(Reason::ExpressionTooDeep));
        }
        text.push_str(cursor.name("the name of a parameter")?);
        if matches!(cursor.peek(), Some('+' | '#')) {
            steps += 1;
            follow_text(cursor, &mut text)?;
            cursor.expect('.', "'.' and a parameter of what the reference names")?;
        } else if cursor.peek() == Some('.') {
            cursor.bump();
        } else {
            return Ok(RelPath::new(text));
        }
        text.push('.');
    }
}

fn operator(cursor: &mut Cursor<'_>) -> Result<Op> {
    const EXPECTED: &str = "one of == != ~= < > <= >=";
    let first = cursor.peek();
    if !matches!(first, Some('=' | '!' | '~' | '<' | '>')) {
        return Err(match first {
            None => cursor.error(Reason::End { expected: EXPECTED }),
            Some(_) => cursor.unexpected(EXPECTED),
        });
    }
    cursor.bump();
    let equals = cursor.peek() == Some('=');
    let op = match (first, equals) {
        (Some('='), true) => Op::Eq,
        (Some('!'), true) => Op::Ne,
        (Some('~'), true) => Op::Contains,
        (Some('<'), true) => Op::Le,
        (Some('>'), true) => Op::Ge,
        (Some('<'), false) => return Ok(Op::Lt),
        (Some('>'), false) => return Ok(Op::Gt),
        _ => return Err(cursor.unexpected("'='")),
    };
    cursor.bump();
    Ok(op)
}

fn literal(cursor: &mut Cursor<'_>) -> Result<Literal> {
    const EXPECTED: &str =
        "a constant (text in double quotes, a number, true, false or a dateTime)";
    if cursor.peek() == Some('"') {
        let start = cursor.at;
        cursor.bump();
        let inner = cursor.take_while(|c| c != '"');
        if cursor.peek().is_none() {
            return Err(cursor.error_at(start, Reason::OpenQuote));
        }
        cursor.bump();
        return Ok(Literal::Quoted(unescape(inner).into()));
    }
    let token = cursor
        .take_while(|c| !matches!(c, ']' | '&' | '|' | '"' | '[' | '{' | '}' | '=' | '<' | '>'))
        .trim_end_matches([' ', '\t']);
    if token.is_empty() {
        return Err(cursor.unexpected(EXPECTED));
    }
    // Unquoted words are accepted (there is no OR, so a '|' is not part of one) and printed as they should have been written.
    Ok(if is_bare(token) {
        Literal::Bare(token.into())
    } else {
        Literal::Quoted(token.into())
    })
}

/// May stand without quotes: a number, a boolean or a dateTime.
pub(super) fn is_bare(token: &str) -> bool {
    let unsigned = token.strip_prefix(['-', '+']).unwrap_or(token);
    let is_number = unsigned.bytes().any(|b| b.is_ascii_digit())
        && unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && unsigned.bytes().filter(|b| *b == b'.').count() <= 1;
    is_number
        || token.eq_ignore_ascii_case("true")
        || token.eq_ignore_ascii_case("false")
        || crate::DateTime::parse(token).is_some()
}

/// `%22` and `%25` are the only escapes; any other `%` is meant as it stands.
fn unescape(text: &str) -> String {
    text.replace("%22", "\"").replace("%25", "%")
}

/// Reads the text; errors name characters, not bytes.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn blanks(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    /// A name: letters, digits and `_`; `-` inside is accepted because vendors' domain names bring it
    /// (`X_EXAMPLE-COM_Thing`).
    fn name(&mut self, expected: &'static str) -> Result<&'a str> {
        if !matches!(self.peek(), Some(c) if c.is_ascii_alphabetic() || c == '_') {
            return Err(self.unexpected(expected));
        }
        Ok(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'))
    }

    fn expect(&mut self, wanted: char, expected: &'static str) -> Result<()> {
        if self.peek() != Some(wanted) {
            return Err(self.unexpected(expected));
        }
        self.bump();
        Ok(())
    }

    fn unexpected(&self, expected: &'static str) -> PathError {
        self.error(match self.peek() {
            Some(found) => Reason::Unexpected { found, expected },
            None => Reason::End { expected },
        })
    }

    fn error(&self, reason: Reason) -> PathError {
        self.error_at(self.at, reason)
    }

    fn error_at(&self, byte: usize, reason: Reason) -> PathError {
        PathError {
            at: self.text[..byte].chars().count(),
            reason,
        }
    }
}
