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
fn only_signing_in_is_open_to_everybody() {
    let open: Vec<_> = OPERATIONS
        .iter()
        .filter(|one| one.access == Access::Public)
        .map(|one| one.id)
        .collect();
    assert_eq!(open, ["session_create"]);
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
