//! The data model of a device: one object with its children, and a search over all of it.

use super::model_search;
use super::model_tree::{self, Known};
use super::value;
use crate::auth::Caller;
use crate::http::extract::{Id, Query};
use crate::http::page;
use crate::problem::{Fail, Result};
use crate::state::State;
use api::model::{ModelHit, ModelNode, ModelQuery, ModelSearchQuery};
use api::{Count, FieldProblem, Page};
use axum::Json;
use axum::extract::State as Extract;
use fleet::model::Model;
use fleet::{DeviceId, TenantId};
use std::collections::BTreeMap;
use store::{DeviceRecord, KnownValue};

/// Values of one subtree read for the tree: four times the biggest device we know.
const VALUES_MAX: usize = 20_000;

/// Values read from the store at once.
const BATCH: usize = 2_000;

/// One object with its children.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<ModelQuery>,
) -> Result<Json<ModelNode>> {
    let id = DeviceId::from(id);
    let tenant = &caller.tenant;
    let path = match query.path.as_deref() {
        None | Some("") => "Device.".to_owned(),
        Some(path) => prefix("path", path)?,
    };
    if !path.ends_with('.') {
        return Err(wrong(
            "path",
            "is not an object; an object ends in a dot",
            path.chars().count(),
        ));
    }
    let record = state.store.device(tenant, id).await?;
    let known = known(&state, tenant, &record).await?;
    let values = values(&state, tenant, id, &path).await?;
    model_tree::node(&known, &path, &values)
        .map(Json)
        .ok_or_else(|| Fail::not_found("object in the data model of this device"))
}

/// Searches paths and last-known values, and what the model supports beyond them; best first.
pub async fn search(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<ModelSearchQuery>,
) -> Result<Json<Page<ModelHit>>> {
    let id = DeviceId::from(id);
    let tenant = &caller.tenant;
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    let record = state.store.device(tenant, id).await?;
    let words = value::words(&query.q);
    if words.is_empty() {
        return Err(Fail::malformed(vec![FieldProblem::query("q", "is empty")]));
    }
    let known = known(&state, tenant, &record).await?;
    let values = values(&state, tenant, id, "").await?;
    // A part of the values says nothing about what is missing.
    let all_known = values.len() < VALUES_MAX;
    let (hits, count) = model_search::search(&known, &values, all_known, &words, limit);
    let total = Some(Count {
        value: count as u64,
        exact: true,
    });
    Ok(Json(Page {
        items: hits,
        next: None,
        total,
    }))
}

/// The model the device told, if it was asked.
pub async fn discovered(
    state: &State,
    tenant: &TenantId,
    record: &DeviceRecord,
) -> Result<Option<Model>> {
    if record.model_key().is_empty() {
        return Ok(None);
    }
    Ok(state
        .store
        .model(tenant, record.model_key())
        .await?
        .map(|found| found.model))
}

async fn known(state: &State, tenant: &TenantId, record: &DeviceRecord) -> Result<Known> {
    let found = match record.model_key() {
        "" => None,
        key => state.store.model(tenant, key).await?,
    };
    let (model, discovered_at) = match found {
        Some(found) => (Some(found.model), Some(found.discovered_at)),
        None => (None, None),
    };
    Ok(Known {
        model,
        discovered_at,
    })
}

async fn values(
    state: &State,
    tenant: &TenantId,
    id: DeviceId,
    below: &str,
) -> Result<BTreeMap<String, KnownValue>> {
    let mut all = BTreeMap::new();
    let mut after: Option<String> = None;
    while all.len() < VALUES_MAX {
        let found = state
            .store
            .value_list(tenant, id, below, after.as_deref(), BATCH)
            .await?;
        let full = found.len() == BATCH;
        after = found.last().map(|value| value.path.clone());
        all.extend(found.into_iter().map(|value| (value.path.clone(), value)));
        if !full {
            break;
        }
    }
    Ok(all)
}

/// Checks an instantiated path; the error names the character.
pub fn prefix(field: &str, text: &str) -> Result<String> {
    let path = dm::Path::parse(text)
        .map_err(|error| wrong(field, &format!("{text:?}: {error}"), error.at))?;
    if path.is_search() {
        let at = text.find(['*', '[', '+', '#']).unwrap_or_default();
        return Err(wrong(
            field,
            "is a search path; name one object or parameter",
            at,
        ));
    }
    Ok(path.to_string())
}

fn wrong(field: &str, words: &str, at: usize) -> Fail {
    let mut error = FieldProblem::query(field, words);
    error.at = u32::try_from(at).ok();
    Fail::malformed(vec![error])
}
