//! The supported model of a device: from the cache where one of its kind has told it, otherwise
//! asked as a whole, and where that is too much for the device, level by level.

use std::collections::{BTreeSet, VecDeque};

use fleet::model::Model;
use usp::msg::{self, Response};
use usp::outcome;

use super::{Job, Notes, Stopped, services};
use crate::southbound::usp::ask::AskError;
use crate::southbound::usp::limits::{MODEL_OBJECTS_MAX, MODEL_WALK_REQUESTS_MAX};
use crate::southbound::usp::translate;
use crate::state::now;

const ROOT: &str = "Device.";

/// A model, and what it is.
pub struct Known {
    /// Its name.
    pub key: String,
    /// What it says.
    pub model: Model,
    /// One of this kind had told it.
    pub cached: bool,
}

/// The model of a device of this kind, with what its services add.
pub async fn known(job: &Job, kind: &str, notes: &mut Notes) -> Result<Known, Stopped> {
    let of_kind = kept(job, kind).await?;
    let services = match &of_kind {
        Some(model) if !services::are_possible(model) => Vec::new(),
        _ => services::paths(job).await?,
    };
    let key = match services.is_empty() {
        true => kind.to_owned(),
        false => services::key(kind, &services),
    };
    let found = match &of_kind {
        Some(_) if services.is_empty() => of_kind.clone(),
        None if services.is_empty() => None,
        _ => kept(job, &key).await?,
    };
    if let Some(model) = found {
        return Ok(Known {
            key,
            model,
            cached: true,
        });
    }
    let model = discover(job, notes).await.map_err(Stopped::at("model"))?;
    put(job, &key, &model).await?;
    if of_kind.is_none() && !services.is_empty() {
        put(job, kind, &services::without(model.clone(), &services)).await?;
    }
    Ok(Known {
        key,
        model,
        cached: false,
    })
}

async fn kept(job: &Job, key: &str) -> Result<Option<Model>, Stopped> {
    let (store, tenant) = (job.store(), &job.tenant);
    let kept = store.model(tenant, key).await;
    let Some(kept) = kept.map_err(Stopped::store("model"))? else {
        return Ok(None);
    };
    let touched = store.model_touch(tenant, key, now()).await;
    touched.map_err(Stopped::store("model"))?;
    Ok(Some(kept.model))
}

async fn put(job: &Job, key: &str, model: &Model) -> Result<(), Stopped> {
    let put = job.store().model_put(&job.tenant, key, model, now()).await;
    put.map_err(Stopped::store("model")).map(drop)
}

async fn discover(job: &Job, notes: &mut Notes) -> Result<Model, AskError> {
    match ask(job, ROOT, false).await {
        Ok(model) if !model.objects.is_empty() => return Ok(model),
        Err(error) if error.is_over() => return Err(error),
        Ok(_) => notes.add("the whole model is not told at once; it was asked level by level"),
        Err(error) => notes.add(format!(
            "the whole model is not told at once ({error}); it was asked level by level"
        )),
    }
    metrics::counter!("headend_model_walks_total").increment(1);
    walk(job, notes).await
}

async fn ask(job: &Job, path: &str, first_level_only: bool) -> Result<Model, AskError> {
    match job
        .asker
        .ask(msg::get_supported_dm([path], first_level_only))
        .await?
    {
        Response::GetSupportedDmResp(response) => {
            Ok(translate::model(outcome::supported(response)))
        }
        _ => Err(AskError::Garbled(
            "the answer is of another kind".to_owned(),
        )),
    }
}

/// Plan B for devices that cannot tell everything at once.
async fn walk(job: &Job, notes: &mut Notes) -> Result<Model, AskError> {
    let mut model = Model::default();
    let mut seen = BTreeSet::from([ROOT.to_owned()]);
    let mut queue = VecDeque::from([ROOT.to_owned()]);
    let mut requests = 0;
    while let Some(path) = queue.pop_front() {
        requests += 1;
        if requests > MODEL_WALK_REQUESTS_MAX || model.objects.len() >= MODEL_OBJECTS_MAX {
            let limit = "limit MODEL_WALK_REQUESTS_MAX or MODEL_OBJECTS_MAX reached";
            model.gaps.push((path, limit.to_owned()));
            break;
        }
        match ask(job, &path, true).await {
            Ok(mut level) => {
                for (child, object) in &mut level.objects {
                    object.named_only = *child != path;
                    if *child != path && child.starts_with(&path) && seen.insert(child.clone()) {
                        queue.push_back(child.clone());
                    }
                }
                model.merge(level);
            }
            Err(error) if error.is_over() || path == ROOT => return Err(error),
            Err(error) => {
                notes.add(format!("{path} is not told: {error}"));
                model.gaps.push((path, error.to_string()));
            }
        }
    }
    Ok(model)
}
