//! The subscriptions we want on every device: that it started, that it is alive, that commands
//! ended, that what it says about itself changed. What is there and right is left alone.

use std::collections::BTreeSet;

use fleet::device::Description;
use fleet::model::Model;
use fleet::southbound::{Failure, Fault, Subscription, SubscriptionKind};
use usp::EndpointId;
use usp::msg::{self, Response};
use usp::outcome;

use super::{Job, Notes, Stopped, services, swap};
use crate::southbound::usp::ask::{AskError, Asker};
use crate::southbound::usp::limits::SUBSCRIBED_COMMANDS_MAX;
use crate::southbound::usp::translate;

/// Beginning of the names of our subscriptions on a device.
const PREFIX: &str = "headend-";

/// A row of the device's table.
#[derive(Default)]
struct Row {
    path: String,
    id: String,
    recipient: String,
    enabled: bool,
    kind: String,
    paths: BTreeSet<String>,
}

fn wanted(name: &str, kind: SubscriptionKind, paths: Vec<String>) -> Subscription {
    // Not persistent and not repeated is the standard's default, and would lose what matters.
    Subscription {
        id: format!("{PREFIX}{name}"),
        kind,
        paths,
        persistent: true,
        retry: true,
    }
}

/// Makes sure of all of them. A device that refuses one keeps the others.
pub async fn all(job: &Job, model: &Model, notes: &mut Notes) -> Result<(), Stopped> {
    let (asker, own) = (&job.asker, &job.core.own);
    let rows = rows(asker, own)
        .await
        .map_err(Stopped::at("subscriptions"))?;
    let event = |name, path: &str| wanted(name, SubscriptionKind::Event, vec![path.to_owned()]);
    let described: Vec<String> = Description::PARAMETERS
        .into_iter()
        .filter(|path| {
            model
                .param(path)
                .is_some_and(|param| param.value_change != Some(false))
        })
        .map(str::to_owned)
        .collect();
    let mut list = vec![
        event("boot", "Device.Boot!"),
        event("periodic", "Device.LocalAgent.Periodic!"),
        wanted(
            "complete",
            SubscriptionKind::OperationComplete,
            vec!["Device.".to_owned()],
        ),
    ];
    if !described.is_empty() {
        list.push(wanted("info", SubscriptionKind::ValueChange, described));
    }
    if services::are_possible(model) {
        let more = services::subscriptions().into_iter();
        list.extend(more.map(|(name, kind, path)| wanted(name, kind, vec![path])));
    }
    for subscription in list {
        let Err(error) = one(asker, &rows, &subscription).await else {
            continue;
        };
        if error.is_over() {
            return Err(Stopped::at("subscriptions")(error));
        }
        let commands = commands(model);
        if subscription.kind == SubscriptionKind::OperationComplete && !commands.is_empty() {
            // Not every agent takes the whole tree for commands: name them.
            let named = Subscription {
                paths: commands,
                ..subscription.clone()
            };
            match one(asker, &rows, &named).await {
                Ok(_) => continue,
                Err(error) if error.is_over() => {
                    return Err(Stopped::at("subscriptions")(error));
                }
                Err(_) => {}
            }
        }
        notes.add(format!(
            "subscription {} was refused: {error}",
            subscription.id
        ));
    }
    Ok(())
}

/// The commands whose end comes as a notification, with every row of every table.
fn commands(model: &Model) -> Vec<String> {
    let all = model.objects.iter().flat_map(|(path, object)| {
        let path = path.replace("{i}", "*");
        object
            .commands
            .iter()
            .filter(|command| command.asynchronous != Some(false))
            .map(move |command| format!("{path}{}", command.name))
    });
    all.take(SUBSCRIBED_COMMANDS_MAX).collect()
}

/// Makes sure of one subscription; the row that stands for it.
pub async fn ensure(
    asker: &Asker,
    own: &EndpointId,
    subscription: &Subscription,
) -> Result<String, Failure> {
    let made = async {
        let rows = rows(asker, own).await?;
        one(asker, &rows, subscription).await
    };
    made.await.map_err(|error| match error {
        AskError::Refused(error) => translate::refused(Vec::new(), &error),
        // Doing it again does no harm, whatever has reached the device.
        AskError::TimedOut | AskError::Gone(_) | AskError::Silent => Failure::Lost {
            reason: error.to_string(),
        },
        AskError::Garbled(reason) => Failure::Refused {
            fault: Fault::ours(7003, reason),
            paths: Vec::new(),
        },
    })
}

async fn one(asker: &Asker, rows: &[Row], subscription: &Subscription) -> Result<String, AskError> {
    let (_, settings) = translate::subscribe(subscription);
    let kind = settings
        .iter()
        .find(|setting| setting.param == "NotifType")
        .map_or("", |setting| setting.value.as_str());
    let paths: BTreeSet<String> = subscription.paths.iter().cloned().collect();
    for row in rows.iter().filter(|row| row.id == subscription.id) {
        if row.enabled && row.kind == kind && row.paths == paths {
            return Ok(row.path.clone());
        }
        // ID, Recipient and a filled ReferenceList cannot be changed: delete and add.
        asker.ask(msg::delete(true, [row.path.as_str()])).await?;
    }
    let add = msg::add(false, [translate::subscribe(subscription)]);
    let Response::AddResp(response) = asker.ask(add).await? else {
        return Err(AskError::Garbled(
            "the answer is of another kind".to_owned(),
        ));
    };
    let added = outcome::add(&response);
    match (added.created.into_iter().next(), added.failures.first()) {
        (Some(row), _) => Ok(row.path),
        (None, Some(failure)) => Err(AskError::Garbled(failure.to_string())),
        (None, None) => Err(AskError::Garbled("nothing was added".to_owned())),
    }
}

/// Our rows of the device's table.
async fn rows(asker: &Asker, own: &EndpointId) -> Result<Vec<Row>, AskError> {
    let controller = swap::own_row(asker, own).await?;
    let ours = controller
        .as_ref()
        .map(|row| row.path.trim_end_matches('.'));
    let read = match asker.ask(msg::get([translate::SUBSCRIPTIONS])).await {
        Ok(Response::GetResp(response)) => outcome::values(&response),
        Ok(_) => {
            return Err(AskError::Garbled(
                "the answer is of another kind".to_owned(),
            ));
        }
        Err(error) => return Err(error),
    };
    let mut rows: Vec<Row> = Vec::new();
    for (path, value) in read.values {
        let Some((number, name)) = path
            .strip_prefix(translate::SUBSCRIPTIONS)
            .and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        let object = format!("{}{number}.", translate::SUBSCRIPTIONS);
        let at = rows
            .iter()
            .position(|row| row.path == object)
            .unwrap_or_else(|| {
                rows.push(Row {
                    path: object,
                    ..Row::default()
                });
                rows.len() - 1
            });
        let row = &mut rows[at];
        match name {
            "ID" => row.id = value,
            "Recipient" => row.recipient = value,
            "Enable" => row.enabled = matches!(value.as_str(), "true" | "1"),
            "NotifType" => row.kind = value,
            "ReferenceList" => {
                row.paths = value
                    .split(',')
                    .map(|path| path.trim().to_owned())
                    .collect();
            }
            _ => {}
        }
    }
    // Another controller may use the same names.
    rows.retain(|row| {
        row.recipient.is_empty() || ours.is_none_or(|o| row.recipient.trim_end_matches('.') == o)
    });
    Ok(rows)
}
