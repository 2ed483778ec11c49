//! The task of one broker: connects, again and again where it has to; what the broker delivers goes to the links of
//! devices or makes new ones; what links send goes to the broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::{DeviceId, TenantId};
use mtp::mqtt::{Incoming, Refused, Undelivered, Version};
use mtp::retry::Backoff;
use store::{PathRecord, TenantRecord};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use usp::{EndpointId, codec};

use super::client::Client;
use super::inbox::{Delivered, Unopened, Untaken};
use super::link::{Between, probe};
use super::{Broker, Connection, Name, Outgoing};
use crate::config::{Protocol, Tenants};
use crate::southbound::refusal::{Complaint, Peer};
use crate::southbound::usp::adapter::Core;
use crate::southbound::usp::admission::Turned;
use crate::southbound::usp::limits::{
    BROKER_LEAVE_LOOK_EVERY, BROKER_OUTBOX, BROKER_PROBE_EVERY, BROKER_STABLE, BROKER_WAIT_MAX,
};
use crate::southbound::usp::link as device_link;

/// Serves the broker until the server stops, and then until its devices were told.
pub async fn run(core: Arc<Core>, broker: Arc<Broker>) {
    let mut backoff = Backoff::new(core.limits.broker_retry_min, 2_000);
    loop {
        // The stop waits for this one, too.
        let Some(ends) = core.ends() else { return };
        let begun = Instant::now();
        let ended = once(&core, &broker).await;
        drop(ends);
        broker.lost(&ended);
        if core.shutdown.is_cancelled() {
            return;
        }
        let name = broker.name();
        tracing::warn!(broker = name, why = %ended, "there is no connection to the broker");
        metrics::counter!("headend_usp_broker_losses_total").increment(1);
        if begun.elapsed() >= BROKER_STABLE {
            backoff.reset();
        }
        let wait = backoff.next(rand::random()).min(BROKER_WAIT_MAX);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = core.shutdown.cancelled() => return,
        }
    }
}

/// One connection, to its end; why it ended.
async fn once(core: &Arc<Core>, broker: &Arc<Broker>) -> String {
    let tenants = match broker.tenants(core).await {
        Ok(tenants) => Arc::new(tenants),
        Err(why) => return why,
    };
    let link = tokio::select! {
        link = Client::dial(broker, core) => link,
        () = core.shutdown.cancelled() => return STOPPED.to_owned(),
    };
    let link = match link {
        Ok(link) => link,
        Err(why) => return why,
    };
    broker.connected();
    tracing::info!(broker = broker.name(), peer = %link.peer_addr(), "connected to the broker");
    let (outgoing, mut outbox) = mpsc::channel(BROKER_OUTBOX);
    let connection = Connection {
        outgoing,
        peer: link.peer_addr(),
        tenants,
    };
    let over = CancellationToken::new();
    let _ended = over.clone().drop_guard();
    let stopped = core.shutdown.clone();
    let looking = look_after(core.clone(), broker.clone(), connection.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = looking => {}
            () = over.cancelled() => {}
            () = stopped.cancelled() => {}
        }
    });
    let why = serve(core, broker, link, &connection, &mut outbox).await;
    // What waited for the broker to take it.
    outbox.close();
    while let Ok(one) = outbox.try_recv() {
        broker.unsent(one);
    }
    why
}

/// What a client of MQTT 3.1.1 puts behind its topic, as RabbitMQ gives it to clients of STOMP.
const IN_TOPIC: &str = ".reply-to=";

/// Why there is no connection at the end.
const STOPPED: &str = "the server was stopped";

async fn serve(
    core: &Arc<Core>,
    broker: &Arc<Broker>,
    mut link: Client,
    connection: &Connection,
    outbox: &mut mpsc::Receiver<Outgoing>,
) -> String {
    let mut leaving = false;
    loop {
        if leaving && broker.is_idle() && outbox.is_empty() {
            link.close().await;
            return STOPPED.to_owned();
        }
        let room = link.has_room();
        let ping = link.next_ping();
        let ping = ping.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        let error = tokio::select! {
            incoming = link.recv_some() => match incoming {
                Ok(Some(incoming)) => {
                    broker.take(core, connection, incoming).await;
                    None
                }
                Ok(None) => {
                    if let Some(refused) = link.refused() {
                        broker.skipped(core, connection, &refused);
                    }
                    if let Some(undelivered) = link.undelivered() {
                        broker.undelivered(core, connection, &undelivered);
                    }
                    None
                }
                Err(error) => Some(error),
            },
            Some(one) = outbox.recv(), if room => {
                let sent = link.send_to(one.record, &one.to, &one.reply, one.version).await;
                match sent {
                    Ok(true) => None,
                    Ok(false) => {
                        let detail = format!("for {}", one.to);
                        let reason = "record-too-large-for-device";
                        let name = broker.receiver(&one.to);
                        broker.complain(core, connection, name.as_ref(), reason, detail);
                        None
                    }
                    Err(error) => Some(error),
                }
            }
            () = tokio::time::sleep_until(ping.into()) => link.keep_alive(Instant::now()).err(),
            () = core.shutdown.cancelled(), if !leaving => {
                leaving = true;
                None
            }
            // Links end by themselves.
            () = tokio::time::sleep(BROKER_LEAVE_LOOK_EVERY), if leaving => None,
        };
        if let Some(error) = error {
            return error.to_string();
        }
    }
}

impl Broker {
    /// Whose devices are behind it. One that nobody has named speaks for the only tenant there is, and for those
    /// to come only after it was named.
    async fn tenants(&self, core: &Core) -> Result<Tenants, String> {
        if let Some(named) = &self.settings.tenants {
            return Ok(named.clone());
        }
        let all = core.store.tenant_list().await;
        match &*all.map_err(|error| error.to_string())? {
            [] => Err("there is no tenant yet".to_owned()),
            [only] => Ok(Tenants::These(vec![only.id.clone()])),
            _ => Err(
                "usp.brokers: tenants is missing: name those whose devices are behind it, \
                      like [\"acme\"], or say \"all\""
                    .to_owned(),
            ),
        }
    }

    /// What the broker delivered.
    pub(super) async fn take(
        self: &Arc<Self>,
        core: &Arc<Core>,
        to: &Connection,
        incoming: Incoming,
    ) {
        let topics = &self.settings.topic_prefix;
        let sender = topics.sender(&incoming.topic);
        let sender = sender.filter(|(_, _, below)| below.is_none() || *below == self.below());
        let Some((tenant, endpoint, _)) = sender else {
            let detail = format!("published to {}", incoming.topic);
            return self.complain(core, to, None, "wrong-topic", detail);
        };
        let name: Name = (tenant.into(), endpoint.into());
        if !to.tenants.has(tenant) {
            let detail = format!("published to {}", incoming.topic);
            return self.complain(core, to, Some(&name), "tenant-not-behind-broker", detail);
        }
        let ours = &self.settings;
        if ours.url.protocol == Protocol::Stomp
            && let Some((speaks, _)) = endpoint.split_once(IN_TOPIC)
        {
            // R-MQTT.26a: who says there where answers go is a client of MQTT 3.1.1, and no endpoint id has it.
            let name = (tenant.into(), speaks.into());
            let detail = format!("published to {}", incoming.topic);
            return self.complain(core, to, Some(&name), "mqtt-over-stomp", detail);
        }
        if ours.url.protocol == Protocol::Stomp && ours.asks && endpoint.contains('.') {
            // There what is below another's is allowed to that one, which says where it is answered over MQTT 3.1.1.
            let detail = format!(
                "published to {}: with a dot it cannot be told from what is below another's",
                incoming.topic
            );
            return self.complain_of(core, None, endpoint, "wrong-topic", detail);
        }
        if ours.url.protocol == Protocol::Mqtt
            && ours.version == Version::V311
            && !incoming.in_topic
        {
            // R-MQTT.26a: it is subscribed to nothing that a 3.1.1 client may answer to.
            let (reason, detail) = match codec::decode_record(&incoming.record) {
                Ok(_) => (
                    "mqtt-version-mismatch",
                    format!("published to {}, without where answers go", incoming.topic),
                ),
                Err(error) => ("unparsable-record", error.to_string()),
            };
            return self.complain(core, to, Some(&name), reason, detail);
        }
        let delivered = Delivered::new(incoming.record, incoming.in_topic, incoming.reply);
        match self.hand(&name, delivered) {
            Ok(()) => {}
            Err(Untaken::Flooding) => {
                let detail = "it sends more than is worked off".to_owned();
                self.complain(core, to, Some(&name), "flooding", detail);
            }
            Err(Untaken::NoRoom) => self.no_room(core, to, &name),
            Err(Untaken::Unknown(first)) => self.meet(core, to, name, first).await,
        }
    }

    /// A message that is beyond a limit or broken: whose it is its topic says.
    fn skipped(&self, core: &Core, to: &Connection, Refused { topic, why }: &Refused) {
        metrics::counter!("headend_usp_broker_messages_skipped_total").increment(1);
        let sender = self.settings.topic_prefix.sender(topic);
        let name = sender.map(|(tenant, endpoint, _)| (tenant.into(), endpoint.into()));
        let detail = format!("{why}; published to {topic}");
        self.complain(core, to, name.as_ref(), "message-not-taken", detail);
    }

    /// A record of ours that reached nobody. When nobody is subscribed the device is away; else the broker does not let us.
    fn undelivered(&self, core: &Core, to: &Connection, one: &Undelivered) {
        metrics::counter!("headend_usp_broker_records_undelivered_total").increment(1);
        let name = self.receiver(&one.topic);
        if !one.nobody_listens() {
            let detail = format!("for {}: {}", one.topic, one.words());
            self.complain(core, to, name.as_ref(), "broker-refuses-record", detail);
        } else if let Some(name) = name
            && self.unheard(&name)
        {
            let detail = format!("limit BROKER_UNHEARD_MAX: nobody hears {}", one.topic);
            self.complain(core, to, Some(&name), "never-subscribed", detail);
        }
    }

    /// Whose topic it is.
    fn receiver(&self, topic: &str) -> Option<Name> {
        let receiver = self.settings.topic_prefix.receiver(topic);
        receiver.map(|(tenant, endpoint)| (tenant.into(), endpoint.into()))
    }

    fn no_room(&self, core: &Core, to: &Connection, name: &Name) {
        let detail = "limit BROKER_INBOX_BYTES_MAX".to_owned();
        self.complain(core, to, Some(name), "broker-inbox-full", detail);
    }

    /// A device that has no link yet.
    async fn meet(
        self: &Arc<Self>,
        core: &Arc<Core>,
        connection: &Connection,
        name: Name,
        first: Delivered,
    ) {
        if core.shutdown.is_cancelled() {
            // We take our leave: who comes now comes to the next server.
            return;
        }
        if self.is_refused(&name) {
            metrics::counter!("headend_usp_broker_records_refused_total").increment(1);
            return;
        }
        let refuse = |reason, detail| {
            self.complain(core, connection, Some(&name), reason, detail);
        };
        // What it says it is has to be what the broker lets it be.
        let endpoint = match codec::decode_record(&first.record) {
            Ok(record) if *record.from_id == *name.1 => EndpointId::parse(&name.1),
            Ok(record) => {
                let detail = format!("its topic is another's: it says it is {}", record.from_id);
                return refuse("record-of-another-endpoint", detail);
            }
            Err(error) => return refuse("unparsable-record", error.to_string()),
        };
        let endpoint = match endpoint {
            Ok(endpoint) => endpoint,
            Err(error) => return refuse("wrong-topic", error.to_string()),
        };
        // Nothing more is read from the broker until there is room.
        let Ok(permit) = self.admissions.clone().acquire_owned().await else {
            return;
        };
        let between = Between {
            own: core.own.clone(),
            endpoint: endpoint.clone(),
        };
        let in_topic = first.in_topic;
        let link = match self.open(&name, first, connection, between) {
            Ok(link) => link,
            Err(Unopened::NoRoom) => return self.no_room(core, connection, &name),
            Err(Unopened::TooMany) => {
                let detail = "limit BROKER_AGENTS_MAX: there are too many devices".to_owned();
                self.refuse(name.clone());
                return refuse("too-many-devices", detail);
            }
        };
        let (core, broker) = (core.clone(), self.clone());
        tokio::spawn(async move {
            let ticket = match broker.admit(&core, &name, endpoint, in_topic).await {
                Ok(ticket) => ticket,
                Err(turned) => return broker.turn_away(&core, name, turned),
            };
            drop(permit);
            broker.admitted(&name);
            device_link::run(core, link.into(), ticket, None).await;
        });
    }

    fn turn_away(&self, core: &Core, name: Name, turned: Turned) {
        metrics::counter!("headend_usp_admissions_total", "result" => "refused").increment(1);
        match turned {
            Turned::Later(why) => {
                tracing::warn!(endpoint = %name.1, %why, "a device cannot be let in now");
            }
            Turned::No {
                tenant,
                refusal,
                detail,
            } => {
                core.refusals.over(self.transport()).take(Complaint {
                    tenant,
                    device: None,
                    peer: Peer::Behind(self.name().to_owned()),
                    endpoint: name.1.to_string(),
                    reason: refusal.as_str().to_owned(),
                    detail,
                });
                self.refuse(name);
            }
        }
    }

    fn complain(
        &self,
        core: &Core,
        connection: &Connection,
        name: Option<&Name>,
        reason: &str,
        detail: String,
    ) {
        // Of the tenants that it speaks for the broker lets nobody use the name of another.
        let believed = name.filter(|name| connection.tenants.has(&name.0));
        let tenant = believed.and_then(|name| TenantId::parse(&name.0).ok());
        let endpoint = name.map_or("", |name| &name.1);
        self.complain_of(core, tenant, endpoint, reason, detail);
    }

    /// The same of this endpoint; without a tenant it is not believed to be it.
    fn complain_of(
        &self,
        core: &Core,
        tenant: Option<TenantId>,
        endpoint: &str,
        reason: &str,
        detail: String,
    ) {
        let complaint = Complaint {
            tenant,
            device: None,
            peer: Peer::Behind(self.name().to_owned()),
            endpoint: endpoint.to_owned(),
            reason: reason.to_owned(),
            detail,
        };
        let refusals = core.refusals.over(self.transport());
        match complaint.tenant {
            Some(_) => refusals.take_of_its_device(complaint),
            None => refusals.take(complaint),
        }
    }
}

/// Where several servers share what devices say, again and again: one that has linked a device may be gone for good.
async fn look_after(core: Arc<Core>, broker: Arc<Broker>, connection: Connection) {
    loop {
        look_around(core.clone(), broker.clone(), connection.clone()).await;
        if broker.settings.shared_group.is_none() {
            return;
        }
        tokio::time::sleep(3 * broker.probe_every).await;
    }
}

/// Asks the devices that were behind this broker when they were last seen for a sign of life: they need not know
/// that we were away.
async fn look_around(core: Arc<Core>, broker: Arc<Broker>, connection: Connection) {
    let tenants = match core.store.tenant_list().await {
        Ok(tenants) => tenants,
        Err(error) => return tracing::warn!(%error, "who was behind a broker cannot be read"),
    };
    let wanted = |tenant: &&TenantRecord| {
        tenant.disabled_at.is_none() && connection.tenants.has(tenant.id.as_str())
    };
    for tenant in tenants.iter().filter(wanted) {
        let mut after: Option<DeviceId> = None;
        loop {
            let limit = store::limits::PAGE_MAX;
            let page = core
                .store
                .path_list_over(&tenant.id, broker.transport(), after, limit);
            let page = match page.await {
                Ok(page) => page,
                Err(error) => {
                    return tracing::warn!(%error, "who was behind a broker cannot be read");
                }
            };
            let Some(last) = page.last() else { break };
            after = Some(last.device);
            for path in page {
                // Whichever node it was linked with: that one may be gone, and this one then asks it.
                if path.info["broker"] != broker.name() {
                    continue;
                }
                if let Some(probe) = broker.probe(&core, &tenant.id, &path)
                    && connection.outgoing.send(probe).await.is_err()
                {
                    return;
                }
                tokio::time::sleep(BROKER_PROBE_EVERY).await;
            }
        }
    }
}

impl Broker {
    fn probe(&self, core: &Core, tenant: &TenantId, path: &PathRecord) -> Option<Outgoing> {
        let name: Name = (tenant.as_str().into(), path.endpoint_id.as_str().into());
        if self.is_open(&name) {
            return None;
        }
        let between = Between {
            own: core.own.clone(),
            endpoint: EndpointId::parse(&path.endpoint_id).ok()?,
        };
        let topics = &self.settings.topic_prefix;
        let (to, controller) = topics.named(&name.0, &name.1);
        Some(Outgoing {
            record: probe(&between),
            to,
            reply: self.reply(&controller),
            version: match path.info["mqtt"].as_str() {
                Some("3.1.1") => Version::V311,
                _ => Version::V5,
            },
        })
    }
}
