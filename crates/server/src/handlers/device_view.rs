//! A device as the API shows it. Pure.

use super::{some, time};
use api::device::{Admission, AdmissionState, Device, Presence, PresenceWord};
use fleet::Timestamp;
use fleet::presence::{Evidence, PresenceConfig};
use store::{DeviceRecord, PathRecord, RefusalRecord};

/// The name to show: what people gave it, else its serial number, else its endpoint id.
pub fn name(record: &DeviceRecord) -> String {
    let device = &record.device;
    [
        &device.name,
        &device.description.serial,
        &record.endpoint_id,
    ]
    .into_iter()
    .find(|text| !text.is_empty())
    .cloned()
    .unwrap_or_else(|| device.id.to_string())
}

/// The protocols it is managed by.
pub fn protocols(record: &DeviceRecord) -> Vec<String> {
    let names = record.protocol.split(' ').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// A row of the list.
pub fn view(record: &DeviceRecord, at: Timestamp, config: &PresenceConfig) -> Device {
    let device = &record.device;
    let told = &device.description;
    Device {
        id: device.id.as_uuid(),
        name: name(record),
        label: some(&device.name),
        endpoint_ids: some(&record.endpoint_id).into_iter().collect(),
        protocols: protocols(record),
        manufacturer: some(&told.manufacturer),
        oui: some(&told.oui),
        product_class: some(&told.product_class),
        model: some(&told.model),
        serial: some(&told.serial),
        software_version: some(&told.software_version),
        hardware_version: some(&told.hardware_version),
        presence: presence(&device.evidence, at, config),
        last_boot_at: device.booted_at.map(time),
        ip: some(&record.ip()),
        tags: device.tags.clone(),
        created_at: time(device.created_at),
    }
}

/// Presence with its evidence.
pub fn presence(evidence: &Evidence, at: Timestamp, config: &PresenceConfig) -> Presence {
    let word = fleet::presence::presence(evidence, at, config);
    let newest = evidence.newest();
    let source = newest.map(|newest| {
        if evidence.disconnected_at == Some(newest) {
            "connection closed"
        } else if evidence.heard_at == Some(newest) && !evidence.linked() {
            "session"
        } else if evidence.heard_at == Some(newest) {
            "message"
        } else {
            "connection"
        }
    });
    let heard = evidence.heard_at.max(evidence.connected_at);
    let since = match word {
        // Since when one that comes at intervals does so is known of its path.
        fleet::Presence::Online => evidence.connected_at.filter(|_| evidence.linked()),
        fleet::Presence::Silent if evidence.linked() => {
            heard.map(|heard| heard.plus(config.silent_after))
        }
        fleet::Presence::Silent => evidence.expected_by,
        fleet::Presence::Offline => evidence.disconnected_at.or(newest),
        fleet::Presence::Never => None,
    };
    Presence {
        word: match word {
            fleet::Presence::Online => PresenceWord::Online,
            fleet::Presence::Silent => PresenceWord::Silent,
            fleet::Presence::Offline => PresenceWord::Offline,
            fleet::Presence::Never => PresenceWord::Never,
        },
        evidence_at: newest.map(time),
        evidence_source: source.map(str::to_owned),
        since: since.map(time),
        linked: evidence.linked(),
        expected_by: evidence.awaited_until().map(time),
    }
}

/// The word in the domain's terms.
pub fn domain(word: PresenceWord) -> fleet::Presence {
    match word {
        PresenceWord::Online => fleet::Presence::Online,
        PresenceWord::Silent => fleet::Presence::Silent,
        PresenceWord::Offline => fleet::Presence::Offline,
        PresenceWord::Never => fleet::Presence::Never,
    }
}

/// How the device is allowed in, and whether it was refused since it was last heard.
pub fn admission(
    path: Option<&PathRecord>,
    refused: Option<&RefusalRecord>,
    at: Timestamp,
) -> Admission {
    let readmit = path
        .and_then(|path| path.readmit_until)
        .filter(|until| *until > at);
    let (state, words) = match path {
        Some(path) if path.dial_url.is_some() => (AdmissionState::Dialled, "The server dials it."),
        Some(path) if path.certificate_required => (
            AdmissionState::Certificate,
            "Only a client certificate with its name opens it.",
        ),
        Some(_) if readmit.is_some() => (
            AdmissionState::Readmitted,
            "It may come with a setup key once more; then it gets a new credential of its own.",
        ),
        Some(path) if path.authenticated_by == "certificate" => (
            AdmissionState::Certificate,
            "It came with a client certificate.",
        ),
        // The one that it has may have been given to it over another of its transports.
        Some(path) if path.has_current || path.authenticated_by == "device_token" => {
            (AdmissionState::Own, "It comes with its own credential.")
        }
        Some(path) if path.pending_at.is_some() && path.connected_at.is_some() => (
            AdmissionState::Swapping,
            "Its own credential was written to it and is used from its next connection on.",
        ),
        Some(path) if path.setup_key.is_some() => (
            AdmissionState::SetupKey,
            "It came with a setup key; its own credential has not been written to it yet.",
        ),
        Some(path) if path.pending_at.is_some() => (
            AdmissionState::Expected,
            "It is registered with a credential of its own, with which it has not come yet.",
        ),
        _ => (
            AdmissionState::Expected,
            "It is registered and has not come yet.",
        ),
    };
    let words = match refused.filter(|_| readmit.is_none()) {
        Some(refused) => format!(
            "It was refused at {}, coming from {}: {}",
            time(refused.last.at),
            refused.last.peer,
            super::refusal_words::words(&refused.last.reason)
        ),
        None => words.to_owned(),
    };
    Admission {
        state,
        words,
        readmit_until: readmit.map(time),
        certificate_required: path.is_some_and(|path| path.certificate_required),
    }
}
