//! The committed OpenAPI document is the one the table makes, and the table is consistent.

#![allow(clippy::unwrap_used)]

use api::{Access, Method, OPERATIONS, endpoint::Answer};
use std::collections::HashSet;

#[test]
fn the_committed_document_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/generated/openapi.json");
    if std::env::var_os("HEADEND_GENERATE").is_some() {
        std::fs::write(path, api::openapi_json()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == api::openapi_json(),
        "generated/openapi.json is stale: run `cargo xtask gen`, or this test with HEADEND_GENERATE=1"
    );
}

#[test]
fn the_document_is_openapi_3_1_and_names_every_operation_with_its_permission() {
    let document: serde_json::Value = serde_json::from_str(&api::openapi_json()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for endpoint in OPERATIONS {
        let operation = &document["paths"][endpoint.path][endpoint.method.as_str().to_lowercase()];
        assert_eq!(operation["operationId"], endpoint.id, "{endpoint:?}");
        if let Access::Needs(permission) = endpoint.access {
            assert_eq!(operation["x-permission"], permission.as_str());
        }
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document: serde_json::Value = serde_json::from_str(&api::openapi_json()).unwrap();
    fn walk(document: &serde_json::Value, at: &serde_json::Value) {
        match at {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    if let (true, Some(target)) = (name == "$ref", value.as_str()) {
                        let pointer = target.strip_prefix('#').unwrap();
                        assert!(
                            document.pointer(pointer).is_some(),
                            "{target} leads nowhere"
                        );
                    }
                    walk(document, value);
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|one| walk(document, one)),
            _ => {}
        }
    }
    walk(&document, &document);
}

#[test]
fn operations_have_their_own_ids_and_places() {
    let mut ids = HashSet::new();
    let mut places = HashSet::new();
    for endpoint in OPERATIONS {
        assert!(
            ids.insert(endpoint.id),
            "two operations are called {}",
            endpoint.id
        );
        assert!(
            places.insert((endpoint.method, endpoint.path)),
            "{endpoint:?} is there twice"
        );
        assert!(endpoint.path.starts_with(api::PREFIX));
        assert!(endpoint.path_parameters().count() == endpoint.path.matches('{').count());
    }
}

#[test]
fn only_signing_in_and_the_contract_itself_are_open_to_everybody() {
    let open: Vec<_> = OPERATIONS
        .iter()
        .filter(|one| one.access == Access::Public)
        .map(|one| one.id)
        .collect();
    assert_eq!(open, ["session_create", "openapi_show"]);
}

#[test]
fn reading_has_no_body_and_is_never_idempotency_keyed() {
    for endpoint in OPERATIONS {
        if endpoint.method == Method::Get {
            assert!(
                endpoint.body.is_none() && !endpoint.idempotent,
                "{endpoint:?}"
            );
        }
        if matches!(endpoint.answer, Answer::Nothing) {
            assert!(endpoint.method != Method::Get, "{endpoint:?}");
        }
    }
}

#[test]
fn every_body_has_an_example() {
    for endpoint in OPERATIONS {
        let example = serde_json::from_str::<serde_json::Value>(endpoint.example);
        assert_eq!(endpoint.body.is_some(), example.is_ok(), "{endpoint:?}");
    }
}

/// The macros take numbers, not names: this keeps them equal.
#[test]
fn the_numbers_of_the_document_are_the_limits() {
    use api::limits::*;
    let document: serde_json::Value = serde_json::from_str(&api::openapi_json()).unwrap();
    for endpoint in OPERATIONS {
        for parameter in endpoint.query.map(|query| query()).unwrap_or_default() {
            let schema = serde_json::to_value(&parameter).unwrap()["schema"].clone();
            let (max, words) = match (parameter.name.as_str(), endpoint.id) {
                ("limit", "device_values") => (VALUE_PAGE_MAX, "maximum"),
                ("limit", _) => (PAGE_MAX, "maximum"),
                ("q", _) => (QUERY_CHARS_MAX as u32, "maxLength"),
                _ => continue,
            };
            assert_eq!(schema[words], max, "{endpoint:?} {}", parameter.name);
            if parameter.name == "limit" {
                let told = parameter.description.unwrap_or_default();
                for number in [PAGE_DEFAULT.to_string(), grouped(max)] {
                    assert!(told.contains(&number), "{endpoint:?}: {told}");
                }
            }
        }
    }
    let schemas = &document["components"]["schemas"];
    for (at, limit) in [
        (
            "/PasswordChange/properties/new/minLength",
            PASSWORD_CHARS_MIN,
        ),
        (
            "/PasswordChange/properties/new/maxLength",
            PASSWORD_CHARS_MAX,
        ),
        ("/OperationCreate/properties/note/maxLength", NOTE_CHARS_MAX),
        ("/OperationCreate/properties/ops/maxItems", OPS_MAX),
        (
            "/OperationCreate/properties/expires_in_seconds/maximum",
            OPERATION_EXPIRY_MAX_SECONDS as usize,
        ),
    ] {
        assert_eq!(schemas.pointer(at), Some(&limit.into()), "{at}");
    }
    for (schema, field) in [
        ("TokenCreate", "name"),
        ("TenantCreate", "name"),
        ("TenantPatch", "name"),
        ("SetupKeyCreate", "name"),
        ("SetupKeyPatch", "name"),
        ("UserCreate", "login"),
        ("UserCreate", "display_name"),
        ("UserPatch", "display_name"),
        ("DeviceCreate", "label"),
        ("DevicePatch", "label"),
    ] {
        let max = &schemas[schema]["properties"][field]["maxLength"];
        assert_eq!(*max, NAME_CHARS_MAX, "{schema}.{field}");
    }
}

/// 1000 as `1,000` or as `1000`, whichever a description uses: the digits after the first group.
fn grouped(number: u32) -> String {
    if number < 1_000 {
        number.to_string()
    } else {
        format!("{:03}", number % 1_000)
    }
}
