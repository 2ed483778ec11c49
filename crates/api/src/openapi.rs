//! The OpenAPI 3.1 document, made from the table of operations. Nothing is written by hand but the
//! introduction.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::{IDEMPOTENCY_HEADER, OPERATIONS, Problem, SESSION_COOKIE, TENANT_HEADER};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref,
    RefOr, Required, ResponseBuilder, ResponsesBuilder, Schema,
};

const INTRODUCTION: &str = "Everything the product can do. The console and the command line use nothing else.\n\n\
Sign in with a session cookie (`POST /api/v1/session`) or send an API token as `Authorization: Bearer het_...`. \
A token acts in the tenant it was made in; platform administrators choose the tenant with the header `Headend-Tenant`.\n\n\
Lists are paged with opaque cursors. Refusals are problem details (RFC 9457) with a stable `type` and each wrong field by name. \
A POST that honours `Idempotency-Key` answers a repetition with the first answer and the header `Idempotency-Replayed: true`. \
Where waiting helps, a refusal has the header `Retry-After`.\n\n\
Times are RFC 3339 in UTC with milliseconds; times that are sent may have any offset. Ids are UUIDs, those of tenants are slugs. \
A PATCH changes only the fields it names; of two edits of one field the later one stands, and the event log has both.\n\n\
Cursors of the event log are checked the same way everywhere: one that is older than what is kept, or that this log has never given out \
(as after a backup was restored), is answered with 410; start again without a cursor.";

const TAGS: &[(&str, &str)] = &[
    ("session", "Signing in and out, and one's own password"),
    (
        "devices",
        "Devices, their values, model, reach and timeline",
    ),
    (
        "operations",
        "Changes to devices: previewed, applied, verified",
    ),
    (
        "files",
        "Firmware, configurations and what devices send, and their way to and from devices",
    ),
    ("events", "What happened, as a log and live"),
    ("doctor", "Why a device is not seen"),
    ("discovery", "Who is on the local network"),
    ("setup keys", "Credentials with which new devices come in"),
    ("tokens", "Credentials for scripts"),
    ("users", "People and roles"),
    ("tenants", "Separate customers of one installation"),
    ("system", "The installation itself"),
];

/// The document.
pub fn openapi() -> OpenApi {
    let mut schemas = BTreeMap::new();
    collect(&mut schemas, &Body::of::<Problem>());
    let mut paths = PathsBuilder::new();
    for endpoint in OPERATIONS {
        paths = paths.path(endpoint.path, path_item(endpoint, &mut schemas));
    }
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(
            "token",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        )
        .security_scheme(
            "session",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(SESSION_COOKIE))),
        )
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Headend")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(INTRODUCTION))
                .license(Some(
                    LicenseBuilder::new()
                        .name("Apache-2.0")
                        .identifier(Some("Apache-2.0"))
                        .build(),
                ))
                .build(),
        )
        .paths(paths.build())
        .components(Some(components))
        .tags(Some(TAGS.iter().map(|(name, words)| {
            TagBuilder::new()
                .name(*name)
                .description(Some(*words))
                .build()
        })))
        .build()
}

/// The document as it is committed: pretty JSON with a line feed at the end.
pub fn openapi_json() -> String {
    let mut text = serde_json::to_string_pretty(&openapi()).unwrap_or_default();
    text.push('\n');
    text
}

type Schemas = BTreeMap<String, RefOr<Schema>>;

fn collect(schemas: &mut Schemas, body: &Body) -> RefOr<Schema> {
    let mut found = vec![((body.name)().into_owned(), (body.schema)())];
    (body.collect)(&mut found);
    for (name, schema) in found {
        let schema = closed(schema);
        // Two types of one name would silently hide one another.
        if let Some(known) = schemas.get(&name) {
            assert!(*known == schema, "two schemas are called {name}");
        }
        schemas.insert(name, schema);
    }
    Ref::from_schema_name((body.name)()).into()
}

/// The variants of a tagged enum refuse unknown fields like every other body; utoipa says so of structs only.
fn closed(mut schema: RefOr<Schema>) -> RefOr<Schema> {
    if let RefOr::T(Schema::OneOf(one_of)) = &mut schema {
        for item in &mut one_of.items {
            if let RefOr::T(Schema::Object(object)) = item
                && !object.properties.is_empty()
                && object.additional_properties.is_none()
            {
                object.additional_properties =
                    Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
    }
    schema
}

fn path_item(endpoint: &Endpoint, schemas: &mut Schemas) -> PathItem {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(endpoint.id))
        .tag(endpoint.tag)
        .summary(Some(endpoint.summary))
        .description(Some(description(endpoint)));
    for name in endpoint.path_parameters() {
        operation = operation.parameter(path_parameter(name));
    }
    for schema in endpoint.query_schemas {
        collect(schemas, schema);
    }
    for parameter in endpoint.query.map(|query| query()).unwrap_or_default() {
        operation = operation.parameter(parameter);
    }
    if matches!(endpoint.access, Access::Needs(_)) {
        operation = operation.parameter(header(
            TENANT_HEADER,
            "The tenant to act in; only for platform administrators.",
        ));
    }
    if endpoint.idempotent {
        let mut key = header(
            IDEMPOTENCY_HEADER,
            "A key of one's own choice, in printable ASCII; kept for a day.",
        );
        let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        let text = text
            .min_length(Some(1))
            .max_length(Some(crate::limits::IDEMPOTENCY_KEY_CHARS_MAX));
        key.schema = Some(text.pattern(Some("^[ -~]+$")).into());
        operation = operation.parameter(key);
    }
    if let Answer::Stream(_) = endpoint.answer {
        operation = operation.parameter(header("Last-Event-ID", "The last cursor received."));
    }
    if let Some(body) = &endpoint.body {
        let schema = collect(schemas, body);
        operation = operation.request_body(Some(
            RequestBodyBuilder::new()
                .content(
                    "application/json",
                    ContentBuilder::new()
                        .schema(Some(schema))
                        .example(serde_json::from_str(endpoint.example).ok())
                        .build(),
                )
                .required(Some(Required::True))
                .build(),
        ));
    }
    if endpoint.takes_bytes {
        operation = operation.request_body(Some(
            RequestBodyBuilder::new()
                .content(BYTES, ContentBuilder::new().schema(Some(binary())).build())
                .required(Some(Required::True))
                .build(),
        ));
    }
    operation = operation.responses(responses(endpoint, schemas).build());
    operation = match endpoint.access {
        Access::Public => operation.security(SecurityRequirement::default()),
        Access::Account | Access::Needs(_) => operation
            .security(SecurityRequirement::new::<_, _, &str>("token", []))
            .security(SecurityRequirement::new::<_, _, &str>("session", [])),
    };
    let mut extensions = utoipa::openapi::extensions::ExtensionsBuilder::new();
    if let Access::Needs(permission) = endpoint.access {
        extensions = extensions.add("x-permission", permission.as_str());
    }
    PathItem::new(
        method(endpoint.method),
        operation.extensions(Some(extensions.build())),
    )
}

const BYTES: &str = "application/octet-stream";

fn binary() -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
    text.format(Some(format)).into()
}

fn description(endpoint: &Endpoint) -> String {
    let access = match endpoint.access {
        Access::Public => "Needs no sign-in.".to_owned(),
        Access::Account => "For everybody who is signed in.".to_owned(),
        Access::Needs(permission) => format!("Needs `{permission}`."),
    };
    if endpoint.description.is_empty() {
        access
    } else {
        format!("{}\n\n{access}", endpoint.description)
    }
}

fn responses(endpoint: &Endpoint, schemas: &mut Schemas) -> ResponsesBuilder {
    let json = "application/json";
    let (words, content) = match &endpoint.answer {
        Answer::Nothing => ("Done", None),
        Answer::Json(body) => ("All is well", Some((json, collect(schemas, body)))),
        Answer::Created(body) => ("Created", Some((json, collect(schemas, body)))),
        Answer::Accepted(body) => ("Previewed or stored", Some((json, collect(schemas, body)))),
        Answer::Stream(body) => (
            "The stream; each message's data is this",
            Some(("text/event-stream", collect(schemas, body))),
        ),
        Answer::Bytes => ("The bytes", Some((BYTES, binary()))),
        Answer::Document => (
            "The document",
            Some((
                json,
                ObjectBuilder::new()
                    .schema_type(SchemaType::AnyValue)
                    .into(),
            )),
        ),
    };
    let mut all = ResponsesBuilder::new();
    for status in endpoint.answer.statuses() {
        let mut one = ResponseBuilder::new().description(words);
        if let Some((kind, schema)) = &content {
            one = one.content(
                *kind,
                ContentBuilder::new().schema(Some(schema.clone())).build(),
            );
        }
        all = all.response(status.to_string(), one.build());
    }
    for (status, words) in refusals(endpoint) {
        let schema: RefOr<Schema> = Ref::from_schema_name(Problem::name()).into();
        all = all.response(
            status,
            ResponseBuilder::new()
                .description(words)
                .content(
                    "application/problem+json",
                    ContentBuilder::new().schema(Some(schema)).build(),
                )
                .build(),
        );
    }
    all
}

fn refusals(endpoint: &Endpoint) -> Vec<(&'static str, &'static str)> {
    let mut all = Vec::new();
    let takes = endpoint.query.is_some() || endpoint.body.is_some();
    if takes || endpoint.idempotent || endpoint.path.contains('{') {
        all.push(("400", "The request is malformed; each wrong field is named"));
    }
    let changes = endpoint.method != Method::Get;
    if endpoint.access != Access::Public {
        all.push(("401", "Nobody is signed in"));
        all.push((
            "403",
            "A permission is missing, or a one-time password has to be changed first",
        ));
    } else if changes {
        all.push(("401", "Login and password do not belong together"));
        all.push(("403", "A browser sent this on behalf of another site"));
    }
    if matches!(endpoint.access, Access::Needs(_)) {
        all.push((
            "404",
            "There is no such thing, or no such tenant, for the caller",
        ));
    }
    let streams = matches!(endpoint.answer, Answer::Stream(_));
    if changes || streams {
        all.push((
            "409",
            "Conflicts with the present state, or a limit is reached",
        ));
    }
    if endpoint.access == Access::Needs(crate::Permission::EventRead) {
        all.push((
            "410",
            "The cursor is older than what is kept, or not of this log",
        ));
    }
    if endpoint.body.is_some() {
        all.push(("413", "The body is too large"));
        all.push(("415", "The body is not JSON by its content type"));
        all.push(("422", "A field is not valid; each is named"));
    }
    if endpoint.takes_bytes {
        all.push(("408", "The bytes stopped coming"));
        all.push(("413", "The file is too large"));
        all.push(("422", "A field is not valid, or the checksum is another"));
    }
    if matches!(endpoint.answer, Answer::Bytes) {
        all.push(("416", "The file has no such part"));
    }
    if endpoint.access != Access::Public || changes {
        all.push((
            "429",
            "Too many requests; `Retry-After` says how long to wait",
        ));
    }
    all.push((
        "503",
        "Not available at the moment: the database is away, or the server is stopping",
    ));
    all.push(("default", "Something else went wrong"));
    all
}

fn path_parameter(name: &'static str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    // A slug and a place in the log are plain texts; everything else is an id.
    let schema = if matches!(name, "tenant_id" | "cursor") {
        schema
    } else {
        schema.format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}

fn header(name: &str, words: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(words))
        .schema(Some(
            ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)),
        ))
        .build()
}

fn method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Patch => HttpMethod::Patch,
        Method::Delete => HttpMethod::Delete,
    }
}
