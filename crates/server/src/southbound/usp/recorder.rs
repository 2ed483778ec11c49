//! Writes down, in batches, what nobody waits for: values that notifications brought, and when
//! devices were last heard. Nothing that has been acknowledged depends on it: the event log has
//! every notification already.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fleet::{DeviceId, Event, EventKind, TenantId, Timestamp};
use serde_json::json;
use store::{Astray, Heard, LinkNumber, Redescribed, Store, ValueUpdate};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::adapter::Core;
use super::limits::{
    HEARD_AT_ONCE_MAX, HELD_EVERY, RECORD_RETRY, RECORD_TRIES, RECORDER_INBOX, VALUES_EVERY,
};
use super::link::Command;
use super::replay;
use crate::state::now;

type Of = (TenantId, DeviceId);

/// Takes what is to be written down. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<(Of, ValueUpdate)>,
}

impl Recorder {
    /// The way in, and the way out for [`run`].
    pub fn new() -> (Self, mpsc::Receiver<(Of, ValueUpdate)>) {
        let (queue, incoming) = mpsc::channel(RECORDER_INBOX);
        (Self { queue }, incoming)
    }

    /// New knowledge about a device's values. Waits when the database is behind.
    pub async fn values(&self, tenant: &TenantId, device: DeviceId, update: ValueUpdate) {
        if !update.values.is_empty() || !update.forget.is_empty() {
            // The recorder ends after the last link.
            let _ = self.queue.send(((tenant.clone(), device), update)).await;
        }
    }
}

/// Adds later knowledge to earlier: what it forgets was known before it.
pub fn merge(into: &mut ValueUpdate, later: ValueUpdate) {
    for gone in &later.forget {
        let object = gone.is_empty() || gone.ends_with('.');
        into.values.retain(|known| {
            !(known.path == *gone || object && known.path.starts_with(gone.as_str()))
        });
    }
    into.forget.extend(later.forget);
    for known in later.values {
        match into.values.iter_mut().find(|old| old.path == known.path) {
            Some(old) => *old = known,
            None => into.values.push(known),
        }
    }
}

/// Runs until every sender is gone; what is pending then is still written. That a device was heard waits for nothing
/// else: a link of which that is not written in time is taken for one that nobody holds.
pub async fn run(
    core: Weak<Core>,
    store: Store,
    incoming: mpsc::Receiver<(Of, ValueUpdate)>,
    heard_every: Duration,
) {
    tokio::select! {
        () = values(&core, &store, incoming) => {}
        never = hearing(&core, &store, heard_every) => match never {},
    }
}

async fn values(core: &Weak<Core>, store: &Store, mut incoming: mpsc::Receiver<(Of, ValueUpdate)>) {
    let mut pending: HashMap<Of, ValueUpdate> = HashMap::new();
    if let Err(error) = catch_up(core, store).await {
        tracing::warn!(%error, "what devices said before the last end may be missing from their values");
    }
    let mut flush_at: Option<Instant> = None;
    loop {
        let wake = async {
            match flush_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            update = incoming.recv() => match update {
                Some((of, update)) => {
                    merge(pending.entry(of).or_default(), update);
                    flush_at.get_or_insert_with(|| Instant::now() + VALUES_EVERY);
                    if pending.len() < RECORDER_INBOX {
                        continue;
                    }
                }
                None => break,
            },
            () = wake => {}
        }
        flush_at = None;
        flush(core, store, &mut pending).await;
    }
    flush(core, store, &mut pending).await;
}

async fn hearing(core: &Weak<Core>, store: &Store, every: Duration) -> Infallible {
    let mut written = HashMap::new();
    loop {
        tokio::time::sleep(every).await;
        if let Some(core) = core.upgrade() {
            hear(&core, store, &mut written, every * HELD_EVERY).await;
        }
    }
}

/// Writes down what the life before did not come to.
async fn catch_up(core: &Weak<Core>, store: &Store) -> store::Result<()> {
    for tenant in store.tenant_list().await? {
        let told = replay::told(store, &tenant.id).await?;
        let of = |(device, update)| ((tenant.id.clone(), device), update);
        flush(core, store, &mut told.into_iter().map(of).collect()).await;
    }
    Ok(())
}

async fn flush(core: &Weak<Core>, store: &Store, pending: &mut HashMap<Of, ValueUpdate>) {
    for ((tenant, device), update) in std::mem::take(pending) {
        if let Some(changed) = write(store, &tenant, device, update).await {
            redescribed(core, store, &tenant, device, changed).await;
        }
    }
}

async fn write(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    update: ValueUpdate,
) -> Option<Redescribed> {
    for attempt in 1.. {
        match store
            .value_update(tenant, device, update.clone(), now())
            .await
        {
            Ok(changed) => return changed,
            Err(error) if error.is_transient() && attempt < RECORD_TRIES => {
                tokio::time::sleep(RECORD_RETRY).await;
            }
            // The device was removed meanwhile.
            Err(store::Error::NotFound(_)) => return None,
            Err(error) => {
                metrics::counter!("headend_values_lost_total").increment(1);
                tracing::warn!(%error, %device, "last-known values could not be written");
                return None;
            }
        }
    }
    None
}

/// The device says something else about itself than before: with another firmware it may support
/// something else.
async fn redescribed(
    core: &Weak<Core>,
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    changed: Redescribed,
) {
    firmware_changed(store, tenant, device, &changed).await;
    if changed.before.model_key() != changed.after.model_key()
        && let Some(link) = core.upgrade().and_then(|core| core.links.get(device))
    {
        let _ = link.inbox.try_send(Command::Refresh);
    }
}

/// Tells the log when the firmware is another one than the one that was known.
pub async fn firmware_changed(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    changed: &Redescribed,
) {
    let (from, to) = (
        &changed.before.software_version,
        &changed.after.software_version,
    );
    if from.is_empty() || from == to {
        return;
    }
    let event = Event::new(tenant.clone(), now(), EventKind::DeviceFirmwareChanged)
        .device(device)
        .data(json!({ "from": from, "to": to }));
    if let Err(error) = store.event_append(tenant, vec![event]).await {
        tracing::warn!(%error, %device, "a change of firmware could not be written to the log");
    }
}

/// What was written down of a link.
#[derive(Clone, Copy)]
struct Written {
    /// When its device was heard.
    heard: Timestamp,
    /// When that was written, or that the link is held.
    at: Instant,
}

/// Writes down when devices were heard, and over what, as far as that has changed, and now and then of links that are open
/// in silence that they are; of [`HEARD_AT_ONCE_MAX`] in one commit.
async fn hear(
    core: &Arc<Core>,
    store: &Store,
    written: &mut HashMap<(DeviceId, &'static str), Written>,
    held_every: Duration,
) {
    let links = core.links.all();
    let mut fresh: HashMap<TenantId, Vec<Heard>> = HashMap::new();
    let mut held: HashMap<TenantId, Vec<LinkNumber>> = HashMap::new();
    let (clock, moment) = (Instant::now(), now());
    for link in &links {
        let (device, transport, heard) = (link.device, link.transport, link.heard());
        let before = written.get(&(device, transport));
        match before.filter(|before| before.heard == heard) {
            None => {
                let at = heard;
                let one = Heard {
                    device,
                    transport,
                    at,
                };
                fresh.entry(link.tenant.clone()).or_default().push(one);
            }
            Some(before) if link.may_be_silent() && before.at + held_every <= clock => {
                let one = LinkNumber {
                    device,
                    transport,
                    link: link.number(),
                };
                held.entry(link.tenant.clone()).or_default().push(one);
            }
            Some(_) => continue,
        }
        written.insert((device, transport), Written { heard, at: clock });
    }
    if written.len() > 2 * links.len() + 64 {
        written.retain(|(device, transport), _| core.links.over(*device, transport).is_some());
    }
    let mut known = true;
    for (tenant, some) in &fresh {
        for some in some.chunks(HEARD_AT_ONCE_MAX) {
            let told = store.path_heard(tenant, some.to_vec()).await;
            let told = told.map(|written_off| Astray {
                written_off,
                ..Astray::default()
            });
            if !tell(core, told) {
                known = false;
                break;
            }
        }
    }
    for (tenant, some) in &held {
        for some in some.chunks(HEARD_AT_ONCE_MAX) {
            let told = store.path_held(tenant, &core.node, some.to_vec(), moment);
            if !tell(core, told.await) {
                known = false;
                break;
            }
        }
    }
    if !known {
        written.clear();
    }
}

/// Tells links what became of them; false where that is not known.
fn tell(core: &Core, astray: store::Result<Astray>) -> bool {
    let astray = match astray {
        Ok(astray) => astray,
        Err(error) => {
            tracing::warn!(%error, "when devices were last heard could not be written");
            return false;
        }
    };
    let written_off = astray.written_off.into_iter();
    let written_off = written_off.map(|one| (one, Command::Relink(one.link)));
    let replaced = astray.replaced.into_iter();
    let replaced = replaced.map(|one| (one, Command::Elsewhere(one.link)));
    for (one, command) in written_off.chain(replaced) {
        // One whose inbox is full is told the next time.
        if let Some(link) = core.links.over(one.device, one.transport) {
            let _ = link.inbox.try_send(command);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use fleet::NodeId;
    use fleet::onboarding::Strength;
    use store::{NewDevice, PathLink, TenantRecord, ValueSource};
    use tokio_util::sync::CancellationToken;
    use usp::EndpointId;

    use super::super::WEBSOCKET;
    use super::super::adapter::Ends;
    use super::super::limits::Limits;
    use super::*;
    use crate::secret;
    use crate::southbound::registry::NewEntry;

    /// A server of the tenant `acme`.
    async fn core(store: &Store) -> Arc<Core> {
        let record = TenantRecord {
            id: TenantId::parse("acme").unwrap(),
            name: "Acme".into(),
            created_at: now(),
            disabled_at: None,
        };
        store.tenant_insert(record, vec![]).await.unwrap();
        let ends = Ends {
            facts: mpsc::channel(10).0,
            recorder: Recorder::new().0,
            alive: mpsc::channel(1).0,
        };
        let core = Core::new(
            store.clone(),
            EndpointId::parse("self::server").unwrap(),
            NodeId::parse("n1").unwrap(),
            &crate::Config::default(),
            Limits::default(),
            ends,
            CancellationToken::new(),
        );
        Arc::new(core.ok().unwrap())
    }

    /// A device with an open link, and what the link is told.
    async fn linked(core: &Core, tenant: &TenantId) -> mpsc::Receiver<Command> {
        let device = DeviceId::new(now(), secret::id_bits());
        let new = NewDevice {
            id: device,
            name: String::new(),
            tags: vec![],
            protocol: "usp".into(),
            description: Default::default(),
            identities: vec![],
            source: "device".into(),
            onboarding: Default::default(),
            created_at: now(),
        };
        core.store.device_insert(tenant, new, vec![]).await.unwrap();
        let link = PathLink {
            transport: WEBSOCKET.to_owned(),
            endpoint_id: format!("proto::{device}"),
            node: core.node.clone(),
            peer: "192.0.2.7:1".to_owned(),
            authenticated_by: "setup_key".to_owned(),
            setup_key: None,
            info: json!({}),
            at: now(),
        };
        let number = core.store.path_connected(tenant, device, link, vec![]);
        let number = number.await.unwrap();
        let (inbox, told) = mpsc::channel(4);
        let new = NewEntry {
            tenant: tenant.clone(),
            device,
            transport: WEBSOCKET,
            peer: "192.0.2.7:1".parse().unwrap(),
            strength: Strength::SetupKey,
            certificate: None,
            inbox,
        };
        let entry = core.links.claim(new).ok().unwrap().entry;
        entry.set_number(number);
        told
    }

    /// `HEARD_AT_ONCE_MAX`
    #[tokio::test]
    async fn of_more_links_than_one_write_tells_of_each_hears_what_became_of_it() {
        let db = store::testing::sqlite().await.unwrap();
        let (store, core) = (&db.store, core(&db.store).await);
        let tenant = TenantId::parse("acme").unwrap();
        let links = (0..2 * HEARD_AT_ONCE_MAX + 1).map(|_| linked(&core, &tenant));
        let mut told = futures_util::future::join_all(links).await;
        let mut written = HashMap::new();
        let every = Duration::ZERO;
        hear(&core, store, &mut written, every).await;
        assert!(told.iter_mut().all(|told| told.try_recv().is_err()));
        // Another server writes all of them off, and then they are heard; and after that held.
        let far = now().plus(Duration::from_secs(60));
        let lapsed = store.path_lapse(&tenant, far, now(), told.len()).await;
        assert_eq!(lapsed.unwrap().len(), told.len());
        for link in core.links.all() {
            link.hear(far);
        }
        hear(&core, store, &mut written, every).await;
        let relink =
            |told: &mut mpsc::Receiver<Command>| matches!(told.try_recv(), Ok(Command::Relink(1)));
        assert!(told.iter_mut().all(relink));
        core.links
            .all()
            .iter()
            .for_each(|link| link.let_be_silent());
        hear(&core, store, &mut written, every).await;
        assert!(told.iter_mut().all(relink));
    }

    fn update(forget: &[&str], values: &[(&str, &str)]) -> ValueUpdate {
        let values = values
            .iter()
            .map(|(p, v)| ((*p).to_owned(), (*v).to_owned()));
        let mut update = ValueUpdate::of(values, ValueSource::Notified, Timestamp::default());
        update.forget = forget.iter().map(|path| (*path).to_owned()).collect();
        update
    }

    #[test]
    fn later_knowledge_replaces_earlier() {
        let mut all = update(&[], &[("Device.A.1.X", "1"), ("Device.A.10.X", "1")]);
        merge(&mut all, update(&[], &[("Device.A.1.X", "2")]));
        merge(&mut all, update(&["Device.A.1."], &[]));
        merge(&mut all, update(&[], &[("Device.A.1.Y", "3")]));
        let left: Vec<_> = all
            .values
            .iter()
            .map(|k| (k.path.as_str(), k.value.as_str()))
            .collect();
        assert_eq!(left, [("Device.A.10.X", "1"), ("Device.A.1.Y", "3")]);
        assert_eq!(all.forget, ["Device.A.1."]);
    }
}
