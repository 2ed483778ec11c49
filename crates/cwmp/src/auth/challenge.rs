//! `WWW-Authenticate` and `Authorization` as the field writes them: parameters separated by commas,
//! spaces or folded lines, quoted or not. Deliberately no meaning.

use crate::limits;

/// Parameters in their order, with names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The first of a name, which is given in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// One offered scheme.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme in lower case: `digest`, `basic`.
    pub scheme: String,
    /// What it needs.
    pub params: Params,
}

/// Reads the values of all `WWW-Authenticate` headers of an answer, in their order.
pub fn challenges<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let mut out = Vec::new();
    for value in values {
        let mut cursor = Cursor::new(value);
        while let Some((name, value)) = cursor.pair() {
            match value {
                None if out.len() >= limits::CHALLENGES_MAX => return out,
                None => out.push(Challenge {
                    scheme: name,
                    ..Challenge::default()
                }),
                // A parameter of nothing is passed over.
                Some(value) => {
                    if let Some(challenge) = out.last_mut() {
                        push(&mut challenge.params, name, value);
                    }
                }
            }
        }
    }
    out
}

/// Reads the value of an `Authorization` header: the scheme in lower case, and what follows it.
pub fn credentials(value: &str) -> Option<(String, &str)> {
    if value.len() > limits::AUTH_HEADER_BYTES_MAX {
        return None;
    }
    let value = value.trim();
    let end = value
        .find(|c: char| c.is_ascii_whitespace())
        .unwrap_or(value.len());
    let scheme = value[..end].to_ascii_lowercase();
    (!scheme.is_empty()).then(|| (scheme, value[end..].trim_start()))
}

/// Reads parameters without a scheme.
pub fn params(text: &str) -> Params {
    let mut out = Params::default();
    let mut cursor = Cursor::new(text);
    while let Some((name, value)) = cursor.pair() {
        if let Some(value) = value {
            push(&mut out, name, value);
        }
    }
    out
}

fn push(params: &mut Params, name: String, value: String) {
    if params.0.len() < limits::AUTH_PARAMS_MAX {
        params.0.push((name, value));
    }
}

/// A quoted string for one of our headers.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        // Cut where no character is split; what is longer is nobody's header.
        let mut end = text.len().min(limits::AUTH_HEADER_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self { rest: &text[..end] }
    }

    fn skip(&mut self, what: impl Fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(what);
    }

    fn take(&mut self, until: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at(self.rest.find(until).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A name in lower case and its value, or a name alone.
    fn pair(&mut self) -> Option<(String, Option<String>)> {
        self.skip(|c| c.is_ascii_whitespace() || matches!(c, ',' | ';' | '='));
        if self.rest.is_empty() {
            return None;
        }
        let name = self.take(|c| c.is_ascii_whitespace() || matches!(c, '=' | ',' | ';'));
        let name = name.trim_matches('"').to_ascii_lowercase();
        self.skip(|c| c.is_ascii_whitespace());
        let Some(rest) = self.rest.strip_prefix('=') else {
            return Some((name, None));
        };
        self.rest = rest;
        self.skip(|c| c.is_ascii_whitespace());
        Some((name, Some(self.value())))
    }

    fn value(&mut self) -> String {
        let Some(rest) = self.rest.strip_prefix('"') else {
            return self
                .take(|c| c.is_ascii_whitespace() || matches!(c, ',' | ';'))
                .to_owned();
        };
        let mut out = String::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &rest[at + 1..];
                    return out;
                }
                '\\' => out.extend(chars.next().map(|(_, c)| c)),
                // A folded line.
                '\r' | '\n' => {}
                c => out.push(c),
            }
        }
        self.rest = "";
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str) -> Challenge {
        let mut all = challenges([value]);
        assert_eq!(all.len(), 1, "{value}");
        all.remove(0)
    }

    #[test]
    fn challenges_are_read_however_they_are_separated() {
        for value in [
            r#"Digest realm="CPE", qop="auth,auth-int", nonce="a=b,c", algorithm=MD5"#,
            r#"digest realm="CPE" qop="auth,auth-int" nonce="a=b,c" algorithm=MD5"#,
            "Digest realm=\"CPE\",\r\n  qop = \"auth,auth-int\",\n\tnonce=\"a=b,c\" ;algorithm=MD5,",
        ] {
            let challenge = one(value);
            assert_eq!(challenge.scheme, "digest");
            let get = |name| challenge.params.get(name).unwrap_or("-");
            assert_eq!(
                (
                    get("realm"),
                    get("qop"),
                    get("nonce"),
                    get("algorithm"),
                    get("opaque")
                ),
                ("CPE", "auth,auth-int", "a=b,c", "MD5", "-"),
                "{value}"
            );
        }
    }

    #[test]
    fn several_challenges_in_one_or_more_headers_are_told_apart() {
        let all = challenges([
            r#"Digest realm="a\"b", nonce=1, Basic realm="c""#,
            "Negotiate",
            r#"Digest nonce="2"#,
        ]);
        let schemes: Vec<_> = all.iter().map(|challenge| &*challenge.scheme).collect();
        assert_eq!(schemes, ["digest", "basic", "negotiate", "digest"]);
        assert_eq!(all[0].params.get("realm"), Some("a\"b"));
        assert_eq!(all[1].params.get("realm"), Some("c"));
        // A quote that is not closed ends with the header.
        assert_eq!(all[3].params.get("nonce"), Some("2"));
        assert!(challenges(["", ",", "realm=x"]).is_empty());
    }

    /// `CHALLENGES_MAX`, `AUTH_PARAMS_MAX`, `AUTH_HEADER_BYTES_MAX`
    #[test]
    fn endless_headers_are_cut() {
        assert_eq!(
            challenges(["a b c d e f g h i j k l"]).len(),
            limits::CHALLENGES_MAX
        );
        let many: String = (0..100).map(|n| format!("p{n}=1 ")).collect();
        let params = params(&many);
        assert!(params.get("p31").is_some() && params.get("p32").is_none());
        let long = format!(
            "Digest realm=\"{}",
            "é".repeat(limits::AUTH_HEADER_BYTES_MAX)
        );
        assert!(one(&long).params.get("realm").unwrap().len() < limits::AUTH_HEADER_BYTES_MAX);
        assert_eq!(credentials(&long), None);
    }

    #[test]
    fn quoting_survives() {
        for text in ["", "plain", "a\"b\\c", "é, =;"] {
            let header = format!("Digest realm={}, x=1", quoted(text));
            assert_eq!(one(&header).params.get("realm"), Some(text));
        }
        assert_eq!(quoted("a\r\nb"), "\"ab\"");
    }
}
