//! Last-known values.

use super::model::prefix;
use super::time;
use crate::auth::Caller;
use crate::http::extract::{Id, Query};
use crate::http::page;
use crate::problem::Result;
use crate::state::State;
use api::Page;
use api::value::{Value, ValueQuery};
use axum::Json;
use axum::extract::State as Extract;
use fleet::DeviceId;
use fleet::model::Model;
use store::{KnownValue, ValueSource};

/// Values read from the store at once while searching.
const BATCH: usize = 1_000;

/// Values looked at for one page of a search; the page may be short then, its cursor goes on.
const SCAN_MAX: usize = 20_000;

/// Values below a path, in the order of their paths.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<ValueQuery>,
) -> Result<Json<Page<Value>>> {
    let id = DeviceId::from(id);
    let tenant = &caller.tenant;
    let limit = page::limit(query.limit, api::limits::VALUE_PAGE_MAX)?;
    let below = match query.path.as_deref() {
        None | Some("") => String::new(),
        Some(path) => prefix("path", path)?,
    };
    let record = state.store.device(tenant, id).await?;
    let model = super::model::discovered(&state, tenant, &record).await?;
    let words = words(query.q.as_deref().unwrap_or_default());
    let mut items = Vec::new();
    let mut after = query.cursor.filter(|text| !text.is_empty());
    let mut scanned = 0;
    let mut more = true;
    while more && items.len() < limit && scanned < SCAN_MAX {
        let batch = if words.is_empty() { limit + 1 } else { BATCH };
        let found = state
            .store
            .value_list(tenant, id, &below, after.as_deref(), batch)
            .await?;
        more = found.len() == batch;
        for value in found {
            if items.len() == limit {
                more = true;
                break;
            }
            scanned += 1;
            after = Some(value.path.clone());
            if matches(&words, &value) {
                items.push(view(value, model.as_ref()));
            }
        }
    }
    let next = more.then_some(after).flatten();
    Ok(Json(Page {
        items,
        next,
        total: None,
    }))
}

/// The words of a search, in lower case.
pub fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_lowercase).collect()
}

/// Whether each word is in path or value.
pub fn matches(words: &[String], value: &KnownValue) -> bool {
    if words.is_empty() {
        return true;
    }
    let (path, text) = (value.path.to_lowercase(), value.value.to_lowercase());
    words
        .iter()
        .all(|word| path.contains(word.as_str()) || text.contains(word.as_str()))
}

/// A value for the wire, with what the models say about its type.
pub fn view(value: KnownValue, model: Option<&Model>) -> Value {
    let told = model.and_then(|model| model.param(&value.path));
    let published = dm::Schema::publishing(&value.path).param(&value.path);
    let base = told
        .and_then(|param| param.ty.clone())
        .or_else(|| published.map(|param| param.ty.base.as_str().to_owned()));
    let writable = match told {
        Some(param) => Some(param.access != fleet::model::ParamAccess::ReadOnly),
        None => published.map(|param| param.access == dm::ParamAccess::ReadWrite),
    };
    Value {
        path: value.path,
        value: value.value,
        base,
        writable,
        source: source(value.source).to_owned(),
        at: time(value.at),
    }
}

fn source(source: ValueSource) -> &'static str {
    match source {
        ValueSource::Read => "read from the device",
        ValueSource::Notified => "notified by the device",
        ValueSource::ReadBack => "read back after a change",
        ValueSource::Introduced => "told by the device when it came",
        ValueSource::Entered => "entered by a person",
    }
}
