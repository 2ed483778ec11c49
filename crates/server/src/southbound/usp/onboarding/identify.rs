//! Who a device says it is: its description, the identities that follow from it, and what to do
//! when another device has one of them.

use std::time::Duration;

use fleet::device::Description;
use fleet::matching::Verdict;
use fleet::{DeviceId, EventKind, Identity, IdentityKind, TenantId, Timestamp};
use serde_json::json;
use store::{IdentityRecord, Store, ValueSource, ValueUpdate};
use usp::msg::{self, Response};
use usp::outcome;

use super::{Job, Notes, Stopped};
use crate::matching::{self, Arrival};
use crate::southbound::usp::recorder::firmware_changed;
use crate::southbound::usp::settle::event;
use crate::state::now;

/// Seconds since the device started.
const UP_TIME: &str = "Device.DeviceInfo.UpTime";

/// A start that its up time tells of is another one than the one that is known when it was this much
/// later: up times are counted, and told, less exactly.
const ANOTHER_START: Duration = Duration::from_secs(120);

/// What a device says about itself.
pub struct Told {
    /// Its description.
    pub description: Description,
    /// When it started, by its up time.
    pub started: Option<Timestamp>,
}

/// When a device with this up time started.
fn started(up_time: &str, now: Timestamp) -> Option<Timestamp> {
    let up_time = Duration::from_secs(up_time.parse().ok()?);
    let at = now.minus(up_time);
    // A device that claims to be older than the calendar has no idea.
    (at > Timestamp::default()).then_some(at)
}

/// Whether this start is news: none was known, or the device never told of this one.
pub fn is_another_start(known: Option<Timestamp>, started: Timestamp) -> bool {
    known.is_none_or(|known| started > known.plus(ANOTHER_START))
}

/// Reads what the device says about itself, and remembers it.
pub async fn describe(job: &Job, notes: &mut Notes) -> Result<Told, Stopped> {
    const OBJECT: &str = "Device.DeviceInfo.";
    let mut description = Description::default();
    if let Some((oui, product_class, serial)) = &job.introduced {
        oui.clone_into(&mut description.oui);
        product_class.clone_into(&mut description.product_class);
        serial.clone_into(&mut description.serial);
    }
    let read = match job.asker.ask(msg::get_depth([OBJECT], 1)).await {
        Ok(Response::GetResp(response)) => outcome::values(&response),
        Ok(_) => outcome::Values::default(),
        Err(error) if error.is_over() => return Err(Stopped::at("identity")(error)),
        Err(error) => {
            notes.add(format!("{OBJECT} cannot be read: {error}"));
            outcome::Values::default()
        }
    };
    let mut known: Vec<(String, String)> = Vec::new();
    let mut start = None;
    for (path, value) in read.values {
        if !path.starts_with(OBJECT) || value.len() > store::limits::VALUE_BYTES_MAX {
            continue;
        }
        description.apply(&path, &value);
        if path == UP_TIME {
            start = started(&value, now());
        }
        let value = fleet::secret::kept(&path, value);
        known.push((path, value));
    }
    // What only the introduction told is worth remembering too.
    for (path, value) in [
        (Description::PARAMETERS[1], &description.oui),
        (Description::PARAMETERS[3], &description.product_class),
        (Description::PARAMETERS[4], &description.serial),
    ] {
        if !value.is_empty() && !known.iter().any(|(known, _)| known == path) {
            known.push((path.to_owned(), value.clone()));
        }
    }
    let update = ValueUpdate::of(known, ValueSource::Introduced, now());
    let (store, tenant, device) = (job.store(), &job.tenant, job.device());
    let changed = store
        .value_update(tenant, device, update, now())
        .await
        .map_err(Stopped::store("identity"))?;
    if let Some(changed) = changed {
        firmware_changed(store, tenant, device, &changed).await;
    }
    Ok(Told {
        description,
        started: start,
    })
}

/// Attaches the identities of a description. True when the device turned out to be one that was
/// registered before: then it is that one from now on, and this link has to end.
pub async fn attach(
    job: &Job,
    description: &Description,
    notes: &mut Notes,
) -> Result<bool, Stopped> {
    let mut identities = Identity::of_serial(
        &description.oui,
        &description.product_class,
        &description.serial,
    );
    let (store, tenant, device) = (job.store(), &job.tenant, job.device());
    if identities.is_empty() {
        let own = store.path(tenant, device, job.transport).await;
        let own = own.map_err(Stopped::store("identity"))?;
        identities = own.map_or_else(Vec::new, |path| Identity::of_endpoint(&path.endpoint_id));
    }
    if identities.is_empty() {
        return Ok(false);
    }
    let classed = |one: &Identity| one.kind == IdentityKind::OuiClassSerial;
    let is_classed = identities.iter().any(classed);
    let broken = Stopped::store("identity");
    let known = store
        .identity_list(tenant, device)
        .await
        .map_err(Stopped::store("identity"))?;
    let fresh: Vec<Identity> = identities
        .into_iter()
        .filter(|identity| !known.iter().any(|record| record.identity == *identity))
        .collect();
    if fresh.is_empty() {
        return Ok(false);
    }
    let events = fresh.iter().map(|identity| {
        event(tenant, device, EventKind::DeviceIdentified)
            .data(json!({ "kind": identity.kind.as_str(), "value": identity.value }))
    });
    let events = events.collect();
    let taken = store
        .identity_attach(tenant, device, fresh, "device".to_owned(), now(), events)
        .await
        .map_err(broken)?;
    for record in taken {
        if !record.identity.kind.merges() || record.device == device {
            continue;
        }
        let verdict = match record.identity.kind {
            // Serial numbers are unique within a product class, and it has told another class than this one.
            IdentityKind::OuiSerial
                if is_classed && has(store, tenant, record.device, classed).await? =>
            {
                Verdict::Different
            }
            _ => judge(job, &record).await?,
        };
        if verdict == Verdict::Same {
            let merged = event(tenant, record.device, EventKind::DeviceMerged).data(json!({
                "from": device.to_string(),
                "identity": format!("{} {}", record.identity.kind.as_str(), record.identity.value),
            }));
            let merged = store
                .device_merge(tenant, device, record.device, vec![merged])
                .await;
            match merged {
                // Meanwhile the other one has come over this transport too: they are two.
                Err(store::Error::Conflict { .. }) => return Ok(false),
                merged => merged.map_err(Stopped::store("identity"))?,
            }
            return Ok(true);
        }
        if verdict == Verdict::Ask {
            matching::suggest(store, tenant, record.device, device, &record.identity)
                .await
                .map_err(Stopped::store("identity"))?;
            notes.add(format!(
                "its {} {} is that of another device ({}) that speaks another protocol; a person decides whether \
                 they are one",
                record.identity.kind.as_str(),
                record.identity.value,
                record.device,
            ));
            // One decision is enough for a person; the other names lead to the same device.
            return Ok(false);
        }
        // A serial number is easily claimed: a device with credentials of its own is not given to
        // whoever names it.
        notes.add(format!(
            "its {} {} belongs to another device ({}) that has its own way in",
            record.identity.kind.as_str(),
            record.identity.value,
            record.device,
        ));
    }
    Ok(false)
}

async fn has(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    kind: impl Fn(&Identity) -> bool,
) -> Result<bool, Stopped> {
    let all = store.identity_list(tenant, device).await;
    let all = all.map_err(Stopped::store("identity"))?;
    Ok(all.iter().any(|one| kind(&one.identity)))
}

/// Whether this device is the other one that has its name: one that was registered by its serial number and that
/// nobody has come as yet, or one that comes over another protocol.
async fn judge(job: &Job, taken: &IdentityRecord) -> Result<Verdict, Stopped> {
    if job.core.links.get(taken.device).is_some() {
        return Ok(Verdict::Different);
    }
    let (store, tenant, device) = (job.store(), &job.tenant, job.device());
    // One that is to come with a certificate comes under its own endpoint id: who tells its serial number first is another.
    let other = store.path_list(tenant, taken.device).await;
    let other = other.map_err(Stopped::store("identity"))?;
    if matching::requires_certificate(&other) && !other.iter().any(matching::is_used) {
        return Ok(Verdict::Different);
    }
    let own = store
        .path(tenant, device, job.transport)
        .await
        .map_err(Stopped::store("identity"))?;
    let arrival = Arrival {
        transport: job.transport,
        address: own.and_then(|path| matching::address(&path.peer)),
        device: Some(device),
    };
    let (terms, by) = (&job.core.matching, taken.identity.kind);
    matching::judge(store, terms, tenant, arrival, taken.device, by)
        .await
        .map_err(Stopped::store("identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_up_time_tells_when_a_device_started() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(
            started("3600", now),
            Some(now.minus(Duration::from_secs(3600)))
        );
        for nonsense in ["", "-1", "soon", "18446744073709551615"] {
            assert_eq!(started(nonsense, now), None, "{nonsense}");
        }
    }

    #[test]
    fn a_start_that_is_known_is_not_told_again() {
        let known = Timestamp::from_millis(1_000_000_000);
        assert!(is_another_start(None, known));
        assert!(!is_another_start(Some(known), known.minus(ANOTHER_START)));
        assert!(!is_another_start(Some(known), known.plus(ANOTHER_START)));
        assert!(is_another_start(Some(known), known.plus(2 * ANOTHER_START)));
    }
}
