//! Refusals in the words of the person: the API names fields of a request nobody has seen; here
//! they become what was typed.

use crate::exit::{Exit, Failure};
use anyhow::Result;
use api::{Location, Problem};

/// A field of the request, and what the person typed for it.
pub type Name = (String, String);

/// The names of an error's fields, turned into what was typed. Of several that fit, the first.
pub fn named<T>(result: Result<T>, names: &[Name]) -> Result<T> {
    result.map_err(|error| match error.downcast_ref::<Exit>() {
        Some(Exit {
            failure,
            problem: Some(problem),
            ..
        }) => refusal(*failure, (**problem).clone(), names),
        _ => error,
    })
}

/// The same for names that are always the same.
pub fn options<T>(result: Result<T>, names: &[(&str, &str)]) -> Result<T> {
    let names: Vec<Name> = names
        .iter()
        .map(|(field, shown)| ((*field).to_owned(), (*shown).to_owned()))
        .collect();
    named(result, &names)
}

/// What the server refused, as an error.
pub fn refusal(failure: Failure, problem: Problem, names: &[Name]) -> anyhow::Error {
    anyhow::Error::new(Exit {
        failure,
        words: words(&problem, names),
        problem: Some(Box::new(problem)),
    })
}

fn words(problem: &Problem, names: &[Name]) -> String {
    if problem.errors.is_empty() {
        let mut words = match problem.detail.is_empty() {
            true => problem.title.clone(),
            false => format!("{}: {}", problem.title, problem.detail),
        };
        if let (Some(id), 500..) = (&problem.instance, problem.status) {
            words.push_str(&format!("\n  request {id} in the server's log"));
        }
        return words;
    }
    let mut lines = Vec::new();
    for error in &problem.errors {
        let typed = names.iter().find(|(field, _)| covers(field, &error.field));
        let shown = match (typed, error.location) {
            (Some((_, shown)), _) => shown.clone(),
            (None, Location::Query) => option(&error.field),
            (None, _) => error.field.clone(),
        };
        lines.push(format!("{shown}: {}", error.problem));
    }
    match lines.as_slice() {
        [one] => one.clone(),
        many => format!("{}\n  {}", problem.title, many.join("\n  ")),
    }
}

/// The option for a parameter of a query: `kind[0]` is `--kind`.
fn option(field: &str) -> String {
    let name = field.split('[').next().unwrap_or(field);
    format!("--{}", name.replace('_', "-"))
}

/// Whether `name` is the field itself or something it is inside of.
fn covers(name: &str, field: &str) -> bool {
    field
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{FieldProblem, ProblemKind};

    #[test]
    fn a_wrong_field_is_named_as_it_was_typed() {
        let mut problem = Problem::new(ProblemKind::Invalid, "ops[0].paths[1] is bad");
        problem.errors = vec![FieldProblem::body("ops[0].paths[1]", "is bad")];
        let names = [
            ("ops[0].paths[1]".to_owned(), "Device..X".to_owned()),
            ("ops[0].paths[10]".to_owned(), "never".to_owned()),
        ];
        assert_eq!(words(&problem, &names), "Device..X: is bad");
        problem.errors.push(FieldProblem::body("note", "is long"));
        problem
            .errors
            .push(FieldProblem::query("seen_after[0]", "is odd"));
        assert_eq!(
            words(&problem, &names),
            "Some fields are not valid\n  Device..X: is bad\n  note: is long\n  --seen-after: is odd"
        );
    }

    #[test]
    fn a_name_covers_what_is_inside_of_it_and_no_other() {
        assert!(covers("tags", "tags[3]") && covers("ops[0].input", "ops[0].input.URL"));
        assert!(!covers("tag", "tags") && !covers("paths[1]", "paths[10]"));
    }

    #[test]
    fn a_mistake_of_the_server_names_the_request_in_its_log() {
        let mut problem = Problem::new(ProblemKind::Internal, "");
        problem.instance = Some("r-1".to_owned());
        assert!(words(&problem, &[]).ends_with("request r-1 in the server's log"));
    }
}
