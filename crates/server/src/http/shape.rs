//! The shape of a body, held against its schema in the contract: every field that is missing, unknown or of the wrong
//! type, all at once, each by its place and with what was expected. What a value may say beyond its type (lengths,
//! ranges, paths) is checked by the handlers.

use api::FieldProblem;
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// Problems named in one answer: enough to mend a body, and a bounded answer to one that is all wrong.
const PROBLEMS_MAX: usize = 20;

/// Characters of a caller's own text repeated in an answer.
const ECHO_CHARS_MAX: usize = 40;

/// What is wrong with the shape of a body whose schema has this name.
pub fn check(schema: &str, body: &Value) -> Vec<FieldProblem> {
    Shape::of(schema, body).problems
}

struct Shape<'a> {
    schemas: &'a Value,
    problems: Vec<FieldProblem>,
}

impl<'a> Shape<'a> {
    fn of(schema: &str, body: &Value) -> Self {
        static SCHEMAS: OnceLock<Value> = OnceLock::new();
        let schemas = SCHEMAS.get_or_init(|| {
            let mut document = serde_json::to_value(api::openapi()).unwrap_or_default();
            document["components"]["schemas"].take()
        });
        let mut shape = Shape {
            schemas,
            problems: Vec::new(),
        };
        shape.walk(&schemas[schema], body, "");
        shape
    }

    /// Whether there is no use in looking further.
    fn full(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX
    }

    fn add(&mut self, at: &str, problem: impl Into<String>) {
        if self.full() {
            return;
        }
        let at = if at.is_empty() { "body" } else { at };
        self.problems.push(FieldProblem::body(at, problem));
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|at| at.rsplit('/').next());
        name.map_or(schema, |name| &self.schemas[name])
    }

    fn walk(&mut self, schema: &'a Value, value: &Value, at: &str) {
        if self.full() {
            return;
        }
        let schema = self.resolve(schema);
        if let Some(options) = schema["oneOf"].as_array() {
            return self.one_of(options, value, at);
        }
        let types = types(schema);
        if !types.is_empty() && !types.iter().any(|name| is(value, name)) {
            let wanted: Vec<_> = types.iter().map(|name| noun(name)).collect();
            let found = found(value);
            return self.add(
                at,
                format!("is {found}; {} is expected", wanted.join(" or ")),
            );
        }
        match value {
            Value::Object(fields) => self.object(schema, fields, at),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if self.full() {
                        return;
                    }
                    self.walk(&schema["items"], item, &format!("{at}[{index}]"));
                }
            }
            Value::String(text) => self.text(schema, text, at),
            Value::Number(number) if schema["format"] == "int32" => {
                let max = i32::MAX;
                if number
                    .as_u64()
                    .is_some_and(|one| one <= u64::from(max.unsigned_abs()))
                {
                    return;
                }
                self.add(
                    at,
                    format!("is {number}; a whole number from 0 to {max} is expected"),
                );
            }
            _ => {}
        }
    }

    fn text(&mut self, schema: &Value, text: &str, at: &str) {
        if let Some(known) = schema["enum"].as_array() {
            if !known.iter().any(|one| one == text) {
                self.add(
                    at,
                    format!("is {}; there are: {}", echo(text), names(known)),
                );
            }
        } else if schema["format"] == "date-time" && api::Time::parse(text).is_none() {
            let words = "is not a time; write it like 2026-11-21T04:05:06.789Z";
            self.add(at, words);
        } else if schema["format"] == "uuid" && text.parse::<uuid::Uuid>().is_err() {
            self.add(at, format!("is {}, not an id; an id is a UUID", echo(text)));
        }
    }

    fn object(&mut self, schema: &'a Value, fields: &Map<String, Value>, at: &str) {
        let place = |name: &str| {
            if at.is_empty() {
                name.to_owned()
            } else {
                format!("{at}.{name}")
            }
        };
        let known = schema["properties"].as_object();
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !fields.contains_key(name) {
                let wanted = self.resolve(&schema["properties"][name]);
                let wanted = types(wanted).first().map_or("it", |one| noun(one));
                self.add(
                    &place(name),
                    format!("is missing; {wanted} is expected here"),
                );
            }
        }
        let rest = &schema["additionalProperties"];
        let mut there_are = None;
        for (name, value) in fields {
            if self.full() {
                return;
            }
            match known.and_then(|known| known.get(name)) {
                Some(schema) => self.walk(schema, value, &place(name)),
                None if rest.is_object() => self.walk(rest, value, &place(name)),
                None if *rest == false => {
                    let there_are = there_are.get_or_insert_with(|| {
                        let names = known.into_iter().flatten().map(|(name, _)| name.as_str());
                        names.collect::<Vec<_>>().join(", ")
                    });
                    let name: String = name.chars().take(ECHO_CHARS_MAX).collect();
                    self.add(
                        &place(&name),
                        format!("is unknown here; there are: {there_are}"),
                    );
                }
                None => {}
            }
        }
    }

    /// Either something or null, or one of several objects told apart by the one field that each of them fixes.
    fn one_of(&mut self, options: &'a [Value], value: &Value, at: &str) {
        let nullable = options.iter().any(|one| one["type"] == "null");
        if nullable && value.is_null() {
            return;
        }
        let options: Vec<&Value> = options
            .iter()
            .map(|one| self.resolve(one))
            .filter(|one| one["type"] != "null")
            .collect();
        let Some(fields) = value.as_object().filter(|_| options.len() > 1) else {
            match options.as_slice() {
                [one] => self.walk(one, value, at),
                _ => self.add(at, format!("is {}; an object is expected", found(value))),
            }
            return;
        };
        let Some(tag) = options.first().and_then(|one| fixed(one)) else {
            return;
        };
        let place = if at.is_empty() {
            tag.to_owned()
        } else {
            format!("{at}.{tag}")
        };
        let value_of = |one: &&Value| one["properties"][tag]["enum"][0].clone();
        let known = || names(&options.iter().map(value_of).collect::<Vec<_>>());
        match fields.get(tag) {
            None => self.add(&place, format!("is missing; there are: {}", known())),
            Some(given) => match options.iter().find(|one| value_of(one) == *given) {
                Some(one) => self.walk(one, value, at),
                None => {
                    let given = given.as_str().map_or_else(|| found(given).to_owned(), echo);
                    self.add(&place, format!("is {given}; there are: {}", known()));
                }
            },
        }
    }
}

/// The field that has one possible value only.
fn fixed(schema: &Value) -> Option<&str> {
    let one = |field: &Value| field["enum"].as_array().is_some_and(|all| all.len() == 1);
    let fields = schema["properties"].as_object()?;
    fields
        .iter()
        .find(|(_, field)| one(field))
        .map(|(name, _)| name.as_str())
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn noun(name: &str) -> &'static str {
    match name {
        "null" => "null",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "array" => "a list",
        _ => "an object",
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn echo(text: &str) -> String {
    let cut: String = text.chars().take(ECHO_CHARS_MAX).collect();
    let more = if cut.len() < text.len() { "..." } else { "" };
    format!("{cut:?}{more}")
}

fn names(values: &[Value]) -> String {
    let names: Vec<_> = values.iter().filter_map(Value::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_example_of_the_contract_has_the_shape_it_shows() {
        for endpoint in api::OPERATIONS {
            let Some(body) = &endpoint.body else { continue };
            let example: Value = serde_json::from_str(endpoint.example).unwrap();
            let problems = check(&(body.name)(), &example);
            assert_eq!(problems, [], "{endpoint:?}");
        }
    }

    #[test]
    fn a_body_that_is_all_wrong_is_answered_within_bounds() {
        let many: Map<String, Value> = (0..1_000)
            .map(|n| (format!("{n}").repeat(100), json!(1)))
            .collect();
        // Nothing is made that is only thrown away again.
        let shape = Shape::of("TenantCreate", &Value::Object(many));
        assert!(shape.problems.capacity() <= PROBLEMS_MAX * 2);
        let problems = shape.problems;
        assert_eq!(problems.len(), PROBLEMS_MAX);
        assert!(
            problems
                .iter()
                .all(|one| one.field.len() <= ECHO_CHARS_MAX && one.problem.len() < 100)
        );
    }
}
