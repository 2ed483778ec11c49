//! Checks of fields, collected so that one answer names all that is wrong.

use crate::problem::{Fail, Result};
use api::FieldProblem;
use api::limits::NAME_CHARS_MAX;
use store::limits::TAGS_MAX;

/// The problems found so far.
#[derive(Debug, Default)]
pub struct Checks(Vec<FieldProblem>);

impl Checks {
    /// Notes a problem.
    pub fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.0.push(FieldProblem::body(field, problem));
    }

    /// A name that has to be there; trimmed.
    pub fn name(&mut self, field: &str, text: &str) -> String {
        let text = text.trim();
        if text.is_empty() {
            self.add(field, "is empty");
        }
        self.text(field, text)
    }

    /// A name that may be empty; trimmed.
    pub fn text(&mut self, field: &str, text: &str) -> String {
        let text = text.trim();
        let chars = text.chars().count();
        if chars > NAME_CHARS_MAX {
            self.add(
                field,
                format!("has {chars} characters; {NAME_CHARS_MAX} is the most"),
            );
        }
        if text.chars().any(char::is_control) {
            self.add(field, "contains a control character");
        }
        text.to_owned()
    }

    /// Tags: trimmed, each once.
    pub fn tags(&mut self, field: &str, tags: &[String]) -> Vec<String> {
        if tags.len() > TAGS_MAX {
            self.add(
                field,
                format!("has {} tags; {TAGS_MAX} is the most", tags.len()),
            );
        }
        let mut out: Vec<String> = Vec::new();
        for (index, tag) in tags.iter().enumerate() {
            let tag = self.name(&format!("{field}[{index}]"), tag);
            if !out.contains(&tag) {
                out.push(tag);
            }
        }
        out
    }

    /// A moment that has to be to come.
    pub fn future(&mut self, field: &str, at: Option<api::Time>) -> Option<fleet::Timestamp> {
        let at = super::stamp(at?);
        if at <= crate::state::now() {
            self.add(field, "is in the past");
        }
        Some(at)
    }

    /// A URL to dial.
    pub fn dial_url(&mut self, field: &str, text: &str) -> String {
        let text = text.trim();
        let fits = text.parse::<http::Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("ws" | "wss"))
                && uri.host().is_some_and(|host| !host.is_empty())
        });
        if !fits || text.len() > api::limits::URL_CHARS_MAX {
            self.add(field, "is not a URL like wss://device.example.net:443/usp");
        }
        text.to_owned()
    }

    /// All is well, or everything that is not.
    pub fn done(self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Fail::invalid(self.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let mut checks = Checks::default();
        checks.name("name", "  ");
        checks.text("label", &"x".repeat(NAME_CHARS_MAX + 1));
        checks.tags("tags", &["ok".into(), "a\nb".into()]);
        checks.dial_url("dial_url", "http://x");
        checks.future("expires_at", Some(api::Time::from_unix_ms(0)));
        let many = vec!["t".to_owned(); TAGS_MAX + 1];
        checks.tags("many", &many);
        let fail = checks.done().unwrap_err();
        let fields: Vec<_> = fail.0.errors.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(
            fields,
            ["name", "label", "tags[1]", "dial_url", "expires_at", "many"]
        );
    }
}
