//! USP Services of a device: other processes that add parts of the data model to it. A device that has some supports more
//! than others of its kind, so it has a model of its own, named by what was added.

use fleet::Notice;
use fleet::model::Model;
use fleet::southbound::SubscriptionKind;
use sha2::{Digest, Sha256};
use usp::msg::{self, Response};
use usp::outcome;

use super::{Job, Stopped};
use crate::southbound::usp::limits::SERVICE_PATHS_MAX;

/// The table of services.
const TABLE: &str = "Device.USPServices.USPService.";

/// What each of them adds.
const PATHS: &str = "Device.USPServices.USPService.*.DataModelPaths";

/// Whether devices with this model may have services.
pub fn are_possible(model: &Model) -> bool {
    let path = "Device.USPServices.USPService.{i}.DataModelPaths";
    model.param(path).is_some()
}

/// The paths that services have added, in order.
pub async fn paths(job: &Job) -> Result<Vec<String>, Stopped> {
    let response = match job.asker.ask(msg::get([PATHS])).await {
        Ok(Response::GetResp(response)) => response,
        Err(error) if error.is_over() => return Err(Stopped::at("services")(error)),
        // Most devices know no such table.
        _ => return Ok(Vec::new()),
    };
    let values = outcome::values(&response).values;
    let lists = values.iter().map(|(_, value)| value.as_str());
    let mut paths: Vec<String> = lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|path| !path.is_empty())
        .take(SERVICE_PATHS_MAX)
        .map(str::to_owned)
        .collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}

/// The name of the model of a kind of devices with these additions.
pub fn key(kind: &str, paths: &[String]) -> String {
    let hash = Sha256::digest(paths.join(","));
    let hash = &hash[..8];
    format!("{}{}", prefix(kind), hex(hash))
}

/// What the names of such models begin with.
pub fn prefix(kind: &str) -> String {
    format!("{kind} with services ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The model without what services have added.
pub fn without(mut model: Model, paths: &[String]) -> Model {
    let added = |path: &str| {
        paths.iter().any(|one| match one.ends_with('.') {
            true => path.starts_with(one.as_str()),
            false => path == one,
        })
    };
    model.objects.retain(|path, object| {
        let full = |name: &str| format!("{path}{name}");
        object.params.retain(|one| !added(&full(&one.name)));
        object.commands.retain(|one| !added(&full(&one.name)));
        !added(path)
    });
    model
}

/// What we subscribe to on devices that may have services.
pub fn subscriptions() -> [(&'static str, SubscriptionKind, String); 3] {
    let rows = format!("{TABLE}*.");
    [
        ("services", SubscriptionKind::ObjectCreation, TABLE.into()),
        ("services-gone", SubscriptionKind::ObjectDeletion, rows),
        (
            "services-paths",
            SubscriptionKind::ValueChange,
            PATHS.into(),
        ),
    ]
}

/// Whether a notification says that a device may not be what it was.
pub fn looks_again(notice: &Notice) -> bool {
    match notice {
        Notice::Boot(_) | Notice::OnBoard { .. } => true,
        Notice::ObjectCreated { path, .. } | Notice::ObjectDeleted { path } => {
            path.starts_with(TABLE)
        }
        Notice::ValueChange { path, .. } => {
            path.starts_with(TABLE) && path.ends_with(".DataModelPaths")
        }
        _ => false,
    }
}
