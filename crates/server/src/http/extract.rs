//! Reading a request: body, query, path. Whatever is wrong is named field by field.

use crate::limits::{BODY_BYTES_MAX, BODY_TIME_MAX};
use crate::problem::{Fail, Result};
use api::{Endpoint, FieldProblem, Location, ProblemKind};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;
use uuid::Uuid;

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Fail;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        is_json(request.headers())?;
        let endpoint = request.extensions().get::<&'static Endpoint>();
        let schema = endpoint.and_then(|one| Some((one.body.as_ref()?.name)()));
        let bytes = read(request).await?;
        parse(schema.as_deref(), &bytes).map(Body)
    }
}

/// Reads the whole body within the limits of size and time.
pub async fn read(request: Request) -> Result<Bytes> {
    let too_large = || {
        Fail::new(
            ProblemKind::TooLarge,
            format!("The body may have {BODY_BYTES_MAX} bytes (body_bytes_max)."),
        )
    };
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let mut broke_off = false;
    let reading = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX);
    let bytes = tokio::time::timeout(BODY_TIME_MAX, reading)
        .await
        .map_err(|_| {
            let seconds = BODY_TIME_MAX.as_secs();
            let words = format!(
                "The request did not arrive whole within {seconds} s (body_seconds_max). Nothing was done."
            );
            Fail::new(ProblemKind::RequestTimedOut, words)
        })?
        .map_err(|error| {
            let limit = std::error::Error::source(&error)
                .is_some_and(|source| source.to_string().contains("length limit"));
            broke_off = !limit;
            too_large()
        });
    if broke_off {
        return Err(Fail::new(ProblemKind::Malformed, "The body broke off."));
    }
    bytes
}

fn is_json(headers: &HeaderMap) -> Result<()> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if kind.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Fail::new(
            ProblemKind::UnsupportedMediaType,
            "Send the body as `Content-Type: application/json`.",
        ))
    }
}

/// A body's text, then its shape, then its type: the first two name the place of everything that is wrong, the last
/// has the last word.
fn parse<T: DeserializeOwned>(schema: Option<&str>, bytes: &[u8]) -> Result<T> {
    let whole = |words: String| Fail::malformed(vec![FieldProblem::body("body", words)]);
    if bytes.is_empty() {
        return Err(whole("is empty; a JSON object is expected".to_owned()));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        return Err(whole(format!("is not UTF-8 from byte {at} on")));
    }
    // Its words end in the line and the column.
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| whole(format!("is not JSON: {error}")))?;
    let problems = schema.map(|name| super::shape::check(name, &value));
    if let Some(problems) = problems.filter(|problems| !problems.is_empty()) {
        return Err(Fail::malformed(problems));
    }
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(bytes)).map_err(
        |error| {
            let field = match error.path().to_string() {
                path if matches!(path.as_str(), "." | "?") => "body".to_owned(),
                path => path,
            };
            Fail::malformed(vec![FieldProblem::body(field, error.inner().to_string())])
        },
    )
}

/// Query parameters. Those that the table of operations does not know are refused, so that a
/// misspelt filter does not look like an empty result.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let endpoint = parts.extensions.get::<&'static Endpoint>();
        let known = endpoint.map(|one| parameters(one)).unwrap_or(&[]);
        query(known, parts.uri.query().unwrap_or_default()).map(Query)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Boolean,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    kind: Kind,
    list: bool,
}

fn parameters(endpoint: &Endpoint) -> &'static [Parameter] {
    static ALL: OnceLock<HashMap<&'static str, Vec<Parameter>>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let query = |one: &Endpoint| one.query.map(|query| query()).unwrap_or_default();
        api::OPERATIONS
            .iter()
            .map(|one| (one.id, query(one).into_iter().map(parameter).collect()))
            .collect()
    });
    all.get(endpoint.id).map(Vec::as_slice).unwrap_or(&[])
}

fn parameter(one: utoipa::openapi::path::Parameter) -> Parameter {
    let schema = serde_json::to_value(&one.schema).unwrap_or_default();
    let is = |schema: &Value, name: &str| match &schema["type"] {
        Value::String(one) => one == name,
        Value::Array(many) => many.iter().any(|one| one == name),
        _ => false,
    };
    let list = is(&schema, "array");
    let kind = if is(&schema, "integer") {
        Kind::Integer
    } else if is(&schema, "boolean") {
        Kind::Boolean
    } else {
        Kind::Text
    };
    Parameter {
        name: one.name,
        kind,
        list,
    }
}

fn query<T: DeserializeOwned>(known: &[Parameter], text: &str) -> Result<T> {
    let mut fields: BTreeMap<String, Value> = BTreeMap::new();
    let mut errors = Vec::new();
    for (name, text) in form_urlencoded::parse(text.as_bytes()) {
        let Some(parameter) = known.iter().find(|one| one.name == name) else {
            let names: Vec<_> = known.iter().map(|one| one.name.as_str()).collect();
            let problem = if names.is_empty() {
                "is unknown here; this operation has no query parameters".to_owned()
            } else {
                format!("is unknown here; there are: {}", names.join(", "))
            };
            errors.push(FieldProblem::query(name.into_owned(), problem));
            continue;
        };
        let value = match parameter.kind {
            Kind::Text => Value::String(text.into_owned()),
            Kind::Integer => match text.parse::<u32>() {
                Ok(number) => Value::from(number),
                Err(_) => {
                    errors.push(FieldProblem::query(
                        name,
                        format!("{text:?} is not a whole number"),
                    ));
                    continue;
                }
            },
            Kind::Boolean => match text.parse::<bool>() {
                Ok(truth) => Value::from(truth),
                Err(_) => {
                    errors.push(FieldProblem::query(
                        name,
                        format!("{text:?} is neither true nor false"),
                    ));
                    continue;
                }
            },
        };
        if parameter.list {
            let list = fields
                .entry(name.into_owned())
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(value);
            }
        } else if fields.insert(name.to_string(), value).is_some() {
            errors.push(FieldProblem::query(name, "may be given once"));
        }
    }
    for (name, value) in &fields {
        errors.extend(bounds(name, value));
    }
    if !errors.is_empty() {
        return Err(Fail::malformed(errors));
    }
    let value = Value::Object(fields.into_iter().collect());
    serde_path_to_error::deserialize(value).map_err(|error| {
        let field = error.path().to_string();
        Fail::malformed(vec![FieldProblem::query(field, error.inner().to_string())])
    })
}

fn bounds(name: &str, value: &Value) -> Option<FieldProblem> {
    use api::limits::{CURSOR_CHARS_MAX, FILTER_VALUES_MAX, QUERY_CHARS_MAX};
    let max = if name == "path" {
        fleet::limits::PATH_BYTES_MAX
    } else if name == "cursor" {
        CURSOR_CHARS_MAX
    } else {
        QUERY_CHARS_MAX
    };
    match value {
        Value::Array(list) if list.len() > FILTER_VALUES_MAX => Some(FieldProblem::query(
            name,
            format!(
                "is given {} times; {FILTER_VALUES_MAX} is the most",
                list.len()
            ),
        )),
        Value::Array(list) => list.iter().find_map(|one| bounds(name, one)),
        Value::String(text) if text.chars().count() > max => Some(FieldProblem::query(
            name,
            format!("is longer than {max} characters"),
        )),
        // PostgreSQL cannot hold it in a text, and no name contains it.
        Value::String(text) if text.contains('\0') => {
            Some(FieldProblem::query(name, "contains a NUL character"))
        }
        _ => None,
    }
}

/// The id in the path.
#[derive(Clone, Copy, Debug)]
pub struct Id(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let (name, value) = in_path(parts, state).await?;
        parsed(&name, &value).map(Id)
    }
}

/// The ids in a path with several, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Ids<const N: usize>(pub [Uuid; N]);

impl<S: Send + Sync, const N: usize> FromRequestParts<S> for Ids<N> {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let params = all_in_path(parts, state).await?;
        let mut ids = Vec::with_capacity(N);
        for (name, value) in &params {
            ids.push(parsed(name, value)?);
        }
        let ids = ids.try_into();
        ids.map(Ids)
            .map_err(|_| crate::problem::internal("a path with another number of ids"))
    }
}

fn parsed(name: &str, value: &str) -> Result<Uuid> {
    value.parse().map_err(|_| {
        Fail::malformed(vec![FieldProblem {
            location: Location::Path,
            ..FieldProblem::body(name, format!("{value:?} is not an id; an id is a UUID"))
        }])
    })
}

/// The tenant's slug in the path.
#[derive(Clone, Debug)]
pub struct Slug(pub fleet::TenantId);

impl<S: Send + Sync> FromRequestParts<S> for Slug {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let (name, value) = in_path(parts, state).await?;
        fleet::TenantId::parse(&value).map(Slug).map_err(|error| {
            Fail::malformed(vec![FieldProblem {
                location: Location::Path,
                ..FieldProblem::body(name, error.to_string())
            }])
        })
    }
}

/// The place in the event log in the path.
#[derive(Clone, Copy, Debug)]
pub struct Place(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let (name, value) = in_path(parts, state).await?;
        value.parse().map(Place).map_err(|_| {
            Fail::malformed(vec![FieldProblem {
                location: Location::Path,
                ..FieldProblem::body(name, format!("{value:?} is not a cursor"))
            }])
        })
    }
}

async fn all_in_path<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Vec<(String, String)>> {
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| Fail::new(ProblemKind::Malformed, "The path is not valid UTF-8."))?;
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Ok(params.iter().map(own).collect())
}

async fn in_path<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<(String, String)> {
    let found = all_in_path(parts, state).await?.into_iter().next();
    found.ok_or_else(|| crate::problem::internal("a path without its parameter"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(text: &str) -> Result<api::device::DeviceQuery> {
        query(parameters(api::endpoint("device_list").unwrap()), text)
    }

    #[test]
    fn repeated_parameters_are_a_list_and_commas_belong_to_the_value() {
        let found =
            devices("manufacturer=A%2C+Inc.&manufacturer=B&presence=online&limit=7&q=x").unwrap();
        assert_eq!(found.manufacturer, ["A, Inc.", "B"]);
        assert_eq!(found.presence, [api::device::PresenceWord::Online]);
        assert_eq!(found.limit, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_whole_is_given_up_as_nothing_done() {
        use futures_util::StreamExt as _;
        let byte = std::future::ready(Ok::<_, std::io::Error>(Bytes::from_static(b"{")));
        let body = futures_util::stream::once(byte).chain(futures_util::stream::pending());
        let request = Request::post("/").body(axum::body::Body::from_stream(body));
        let began = tokio::time::Instant::now();
        let read = tokio::time::timeout(crate::limits::REQUEST_TIME_MAX, read(request.unwrap()));
        let fail = read.await.expect("before the guard gives up").unwrap_err();
        assert_eq!(fail.0.kind, ProblemKind::RequestTimedOut);
        assert!(began.elapsed() >= BODY_TIME_MAX);
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let fail = devices("manufactur=A&limit=many&q=a&q=b").unwrap_err();
        let fields: Vec<_> = fail.0.errors.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["manufactur", "limit", "q"]);
        for (text, field) in [
            ("presence=here", "presence[0]"),
            ("sort=size", "sort"),
            ("seen_after=yesterday", "seen_after"),
            ("q=a%00b", "q"),
            (&format!("q={}", "x".repeat(201)), "q"),
            (&"tag=a&".repeat(51), "tag"),
        ] {
            assert_eq!(
                devices(text).unwrap_err().0.errors[0].field,
                field,
                "{text}"
            );
        }
    }
}
