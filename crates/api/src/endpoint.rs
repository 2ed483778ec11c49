//! An entry of the table of operations: everything the OpenAPI document, the server's router and
//! its permission check need to know about one operation. It holds no behaviour.

use crate::Permission;
use serde::Serialize;
use std::borrow::Cow;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

/// The HTTP methods we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads; changes nothing.
    Get,
    /// Creates or starts something.
    Post,
    /// Replaces; may be repeated.
    Put,
    /// Changes the fields that are given.
    Patch,
    /// Removes; may be repeated.
    Delete,
}

impl Method {
    /// The method as it stands in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: signing in, and the contract itself.
    Public,
    /// Everybody who is signed in, even while a one-time password waits to be changed.
    Account,
    /// Who holds the permission in the tenant.
    Needs(Permission),
}

/// The type of a request or answer, as the document wants it.
#[derive(Clone, Copy)]
pub struct Body {
    /// The name under `components/schemas`.
    pub name: fn() -> Cow<'static, str>,
    /// Its schema.
    pub schema: fn() -> RefOr<Schema>,
    /// Every schema it refers to.
    pub collect: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Body {
    /// The body of one type.
    pub const fn of<T: ToSchema>() -> Self {
        Self {
            name: <T as ToSchema>::name,
            schema: <T as utoipa::PartialSchema>::schema,
            collect: <T as ToSchema>::schemas,
        }
    }
}

/// What comes back when all is well.
#[derive(Clone, Copy)]
pub enum Answer {
    /// 204.
    Nothing,
    /// 200 with a body.
    Json(Body),
    /// 201 with a body and a `Location`.
    Created(Body),
    /// 200 for a preview, 202 for what is now stored and under way; the same body.
    Accepted(Body),
    /// 200, `text/event-stream`; each event's data is this type.
    Stream(Body),
    /// 200 with the OpenAPI document itself.
    Document,
    /// 200 with the bytes themselves, 206 with a part of them.
    Bytes,
}

impl Answer {
    /// The statuses of success.
    pub const fn statuses(&self) -> &'static [u16] {
        match self {
            Answer::Nothing => &[204],
            Answer::Json(_) | Answer::Stream(_) | Answer::Document => &[200],
            Answer::Bytes => &[200, 206],
            Answer::Created(_) => &[201],
            Answer::Accepted(_) => &[200, 202],
        }
    }
}

/// One operation.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// Its id in the document and in the server's table of handlers, `resource_verb`.
    pub id: &'static str,
    /// The method.
    pub method: Method,
    /// The path template, from `/api/v1` on, with `{name}` for its parameters.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// The group it is shown in.
    pub tag: &'static str,
    /// One line.
    pub summary: &'static str,
    /// More, in Markdown; may be empty.
    pub description: &'static str,
    /// Its query parameters.
    pub query: Option<fn() -> Vec<Parameter>>,
    /// The schemas its query parameters refer to.
    pub query_schemas: &'static [Body],
    /// Its body.
    pub body: Option<Body>,
    /// Whether its body is bytes of any kind and number, for which it sets its own limits.
    pub takes_bytes: bool,
    /// A body as a caller might send it, in JSON; empty when there is none.
    pub example: &'static str,
    /// What it answers.
    pub answer: Answer,
    /// Whether it honours `Idempotency-Key`.
    pub idempotent: bool,
}

impl Endpoint {
    /// An entry with neither query nor body.
    pub const fn new(
        id: &'static str,
        method: Method,
        path: &'static str,
        access: Access,
        tag: &'static str,
        summary: &'static str,
        answer: Answer,
    ) -> Self {
        Self {
            id,
            method,
            path,
            access,
            tag,
            summary,
            description: "",
            query: None,
            query_schemas: &[],
            body: None,
            takes_bytes: false,
            example: "",
            answer,
            idempotent: false,
        }
    }

    /// With query parameters.
    pub const fn query<Q: IntoParams>(mut self) -> Self {
        self.query = Some(query_of::<Q>);
        self
    }

    /// With the schemas its query parameters refer to.
    pub const fn query_schemas(mut self, schemas: &'static [Body]) -> Self {
        self.query_schemas = schemas;
        self
    }

    /// With a JSON body, and one as a caller might send it.
    pub const fn body<B: ToSchema>(mut self, example: &'static str) -> Self {
        self.body = Some(Body::of::<B>());
        self.example = example;
        self
    }

    /// With bytes for a body.
    pub const fn takes_bytes(mut self) -> Self {
        self.takes_bytes = true;
        self
    }

    /// Whether it takes or gives a file, which lasts as long as it lasts.
    pub const fn carries_bytes(&self) -> bool {
        self.takes_bytes || matches!(self.answer, Answer::Bytes)
    }

    /// With more words.
    pub const fn about(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// May be sent again with the same `Idempotency-Key`.
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The names of the path's parameters, in order.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The path with its parameters filled in, percent-encoded, in their order.
    pub fn fill(&self, values: &[&str]) -> String {
        let mut values = values.iter();
        self.path
            .split('/')
            .map(|part| {
                if part.starts_with('{') {
                    Cow::Owned(values.next().map(|one| encode(one)).unwrap_or_default())
                } else {
                    Cow::Borrowed(part)
                }
            })
            .collect::<Vec<_>>()
            .join("/")
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.method.as_str(), self.path, self.id)
    }
}

/// The entry with this id.
pub fn endpoint(id: &str) -> Option<&'static Endpoint> {
    crate::OPERATIONS.iter().find(|one| one.id == id)
}

/// Query parameters as pairs, for a client: lists become repeated names, absent ones are left out.
pub fn query_pairs<Q: Serialize>(query: &Q) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(query) else {
        return Vec::new();
    };
    let mut pairs = Vec::new();
    for (name, value) in fields {
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::Array(many) => {
                pairs.extend(many.into_iter().map(|one| (name.clone(), plain(one))));
            }
            one => pairs.push((name, plain(one))),
        }
    }
    pairs
}

fn plain(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn query_of<Q: IntoParams>() -> Vec<Parameter> {
    Q::into_params(|| Some(utoipa::openapi::path::ParameterIn::Query))
}

/// How many entries the parts have together.
pub(crate) const fn total(parts: &[&[Endpoint]]) -> usize {
    let mut count = 0;
    let mut part = 0;
    while part < parts.len() {
        count += parts[part].len();
        part += 1;
    }
    count
}

/// One array of all parts.
pub(crate) const fn concat<const N: usize>(parts: &[&[Endpoint]]) -> [Endpoint; N] {
    let mut all = [parts[0][0]; N];
    let mut filled = 0;
    let mut part = 0;
    while part < parts.len() {
        let mut one = 0;
        while one < parts[part].len() {
            all[filled] = parts[part][one];
            filled += 1;
            one += 1;
        }
        part += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_filled_and_encoded() {
        let one = endpoint("device_show").unwrap();
        assert_eq!(one.fill(&["a/b c"]), "/api/v1/devices/a%2Fb%20c");
    }

    #[test]
    fn a_query_leaves_out_what_is_absent_and_repeats_lists() {
        let query = crate::device::DeviceQuery {
            manufacturer: vec!["A, Inc.".into(), "B".into()],
            limit: Some(5),
            ..Default::default()
        };
        assert_eq!(
            query_pairs(&query),
            [
                ("limit".to_owned(), "5".to_owned()),
                ("manufacturer".to_owned(), "A, Inc.".to_owned()),
                ("manufacturer".to_owned(), "B".to_owned()),
            ]
        );
    }
}
