//! A device comes while a session of it is open: the new one takes its place.

use std::sync::Arc;

use fleet::onboarding::Refusal;
use fleet::{Event, EventKind};
use serde_json::json;

use super::core::{Command, Core, Entry, Stop};
use crate::southbound::refusal::Peer;
use crate::southbound::registry::NewEntry;
use crate::state::now;

/// Takes the place of the device. A session that had it until now ends first: its questions have to
/// be over before ours begin. `None` where a third one has come meanwhile.
pub async fn take_place(
    core: &Core,
    new: NewEntry<Command>,
) -> Result<(Arc<Entry>, Vec<Event>), Option<Refusal>> {
    let (tenant, device, peer) = (new.tenant.clone(), new.device, new.peer);
    let claimed = core.links.claim(new).map_err(Some)?;
    let Some(old) = claimed.displaced.into_iter().next() else {
        return Ok((claimed.entry, Vec::new()));
    };
    metrics::counter!("headend_cwmp_takeovers_total").increment(1);
    // A third one that comes while this waits takes it over from this one.
    if old.was_wanted() {
        claimed.entry.want();
    }
    let mut events = Vec::new();
    // A device that lost its connection comes from where it was.
    if old.peer.ip() != peer.ip() {
        let event = Event::new(tenant, now(), EventKind::DeviceTakenOver)
            .device(device)
            .data(json!({ "peer": Peer::At(peer).to_string(), "previous_peer": Peer::At(old.peer).to_string() }));
        events.push(event);
    }
    let ended = async {
        if old
            .inbox
            .send(Command::Stop(Stop::Replaced(peer)))
            .await
            .is_ok()
        {
            old.inbox.closed().await;
        }
    };
    let _ = tokio::time::timeout(core.limits.replace_time_max, ended).await;
    // What it was asked for may come back too late for this one, or be over: who looks at its end sees that.
    if old.was_wanted() {
        claimed.entry.want();
    }
    if !core.links.holds(&claimed.entry) {
        return Err(None);
    }
    Ok((claimed.entry, events))
}
