//! Our own row in the device's table of controllers: that onboarding is complete, and the
//! credential of the device's own that takes the place of the setup key.

use fleet::model::Model;
use usp::EndpointId;
use usp::msg::{self, Response};
use usp::outcome;

use super::{Job, Notes, Stopped};
use crate::secret;
use crate::southbound::registry::Parting;
use crate::southbound::usp::WEBSOCKET;
use crate::southbound::usp::ask::{AskError, Asker};
use crate::southbound::usp::{settle, transcript};
use crate::state::now;

const CONTROLLERS: &str = "Device.LocalAgent.Controller.";

/// Our row.
pub struct OwnRow {
    /// The object, ends in `.`.
    pub path: String,
    /// Its parameters, relative.
    values: Vec<(String, String)>,
}

impl OwnRow {
    fn get(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Numbers of the rows of transports that use WebSocket, the enabled ones first.
    fn websockets(&self) -> Vec<String> {
        let protocol = |(name, value): &(String, String)| {
            let number = name.strip_prefix("MTP.")?.strip_suffix(".Protocol")?;
            (value == "WebSocket").then(|| number.to_owned())
        };
        let mut numbers: Vec<String> = self.values.iter().filter_map(protocol).collect();
        numbers.sort_by_key(|number| {
            !matches!(
                self.get(&format!("MTP.{number}.Enable")),
                Some("true" | "1")
            )
        });
        numbers
    }
}

/// Finds our row; `None` when the device does not show it.
pub async fn own_row(asker: &Asker, own: &EndpointId) -> Result<Option<OwnRow>, AskError> {
    let read = match asker.ask(msg::get([CONTROLLERS])).await {
        Ok(Response::GetResp(response)) => outcome::values(&response),
        Err(error) if error.is_over() => return Err(error),
        _ => return Ok(None),
    };
    let ours = read.values.iter().find_map(|(path, value)| {
        let number = path
            .strip_prefix(CONTROLLERS)?
            .strip_suffix(".EndpointID")?;
        (value == own.as_str()).then(|| format!("{CONTROLLERS}{number}."))
    });
    Ok(ours.map(|path| {
        let values = read.values.iter().filter_map(|(full, value)| {
            full.strip_prefix(path.as_str())
                .map(|name| (name.to_owned(), value.clone()))
        });
        OwnRow {
            values: values.collect(),
            path: path.clone(),
        }
    }))
}

/// Tells the device that it need not introduce itself again, where it has a place for that.
pub async fn onboarded(
    asker: &Asker,
    own: Option<&OwnRow>,
    model: &Model,
    notes: &mut Notes,
) -> Result<(), AskError> {
    const NAME: &str = "OnBoardingComplete";
    let Some(own) = own else { return Ok(()) };
    let path = format!("{}{NAME}", own.path);
    let there = own.get(NAME).is_some() || model.param(&path).is_some();
    if !there || matches!(own.get(NAME), Some("true" | "1")) {
        return Ok(());
    }
    match asker.ask(msg::set_values([(path, "true")])).await {
        Err(error) if error.is_over() => Err(error),
        Err(error) => {
            notes.add(format!("{NAME} cannot be set: {error}"));
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// Gives the device a token of its own in the place of the setup key. The token is stored before
/// it is sent: whatever is lost on the way, one of the two credentials opens the door. False when
/// the device does not take it; it is tried again when it comes with the setup key again.
pub async fn credential(job: &Job, own: Option<&OwnRow>, came: &str) -> Result<bool, Stopped> {
    let (store, tenant, device) = (job.store(), &job.tenant, job.device());
    let refused = async |why: String| {
        // It may quote the path, and the token in that one opens the door from now on.
        let why = transcript::said(&why, &[]);
        let event = settle::credential(tenant, device, "refused")
            .data(serde_json::json!({ "state": "refused", "reason": why }));
        store
            .event_append(tenant, vec![event])
            .await
            .map_err(Stopped::store("credential"))
    };
    let Some(target) = own.and_then(|own| target(own, came)) else {
        refused("the device does not show its WebSocket path to us".to_owned()).await?;
        return Ok(false);
    };
    let token = secret::new(secret::DEVICE);
    let pending = settle::credential(tenant, device, "pending");
    store
        .path_set_pending(
            tenant,
            device,
            WEBSOCKET,
            secret::hash(&token),
            now(),
            vec![pending],
        )
        .await
        .map_err(Stopped::store("credential"))?;
    let path = format!("{}{token}", target.prefix);
    let expect = |parting| {
        if let Some(link) = job.core.links.get(device) {
            link.expect(parting);
        }
    };
    expect(Some(Parting::Credential));
    let set = job
        .asker
        .ask(msg::set_values([(target.parameter.as_str(), path)]))
        .await;
    let why = match set {
        Ok(Response::SetResp(response)) => {
            let failed = outcome::set(&response).failures;
            failed.first().map(ToString::to_string)
        }
        Ok(_) => Some("the answer is of another kind".to_owned()),
        // It may have dropped the link to come back with its new credential.
        Err(error) if error.is_gone() => None,
        Err(error) => Some(error.to_string()),
    };
    let taken = why.is_none();
    if let Some(why) = why {
        expect(None);
        refused(why).await?;
    }
    Ok(taken)
}

struct Target {
    parameter: String,
    /// The path without its last part.
    prefix: String,
}

/// Which path to change, and what stays of it. A reverse proxy may show the device another path
/// than the one it came in by.
fn target(own: &OwnRow, came: &str) -> Option<Target> {
    let key = came.rsplit('/').next().unwrap_or_default();
    let path_of = |number: &String| own.get(&format!("MTP.{number}.WebSocket.Path"));
    let numbers = own.websockets();
    let number = numbers
        .iter()
        .find(|number| path_of(number).is_some_and(|path| path.ends_with(key)))
        .or_else(|| numbers.first())?;
    let there = path_of(number)
        .filter(|path| path.ends_with(key))
        .unwrap_or(came);
    let prefix = there.strip_suffix(key).unwrap_or("/usp/");
    Some(Target {
        parameter: format!("{}MTP.{number}.WebSocket.Path", own.path),
        prefix: prefix.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[(&str, &str)]) -> OwnRow {
        let values = values
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        OwnRow {
            path: "Device.LocalAgent.Controller.2.".into(),
            values,
        }
    }

    #[test]
    fn the_last_part_of_the_devices_own_path_is_replaced() {
        let own = row(&[
            ("MTP.1.Protocol", "MQTT"),
            ("MTP.2.Protocol", "WebSocket"),
            ("MTP.2.Enable", "false"),
            ("MTP.2.WebSocket.Path", "/old"),
            ("MTP.3.Protocol", "WebSocket"),
            ("MTP.3.Enable", "true"),
            ("MTP.3.WebSocket.Path", "/behind/a/proxy/hes_1"),
        ]);
        let found = target(&own, "/usp/hes_1").unwrap();
        assert_eq!(
            found.parameter,
            "Device.LocalAgent.Controller.2.MTP.3.WebSocket.Path"
        );
        assert_eq!(found.prefix, "/behind/a/proxy/");
    }

    #[test]
    fn a_path_that_is_not_shown_is_taken_from_the_request() {
        let own = row(&[
            ("MTP.1.Protocol", "WebSocket"),
            ("MTP.1.WebSocket.Path", ""),
        ]);
        assert_eq!(target(&own, "/usp/hes_1").unwrap().prefix, "/usp/");
        assert!(target(&row(&[("MTP.1.Protocol", "MQTT")]), "/usp/hes_1").is_none());
    }
}
