//! The broker inside: its listeners, and who may come in. A client of it is a link like any other.

use std::net::SocketAddr;
use std::sync::Arc;

use broker::{Admission, Admitted, Hello, Listener, ListenerConfig};
use mtp::ws::Refusal;

use super::adapter::{self, Core};
use super::admission::{Gate, Shown, Ticket};
use super::{MQTT, link};
use crate::southbound::certificate::{self, Certificate, Visits};
use crate::{Config, StartError};

/// Where devices connect by MQTT.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    /// Without TLS.
    pub plain: Option<SocketAddr>,
    /// With TLS.
    pub tls: Option<SocketAddr>,
    /// Inside of WebSockets.
    pub ws: Option<SocketAddr>,
    /// Inside of WebSockets, with TLS.
    pub wss: Option<SocketAddr>,
    /// The certificate of the listeners with TLS.
    pub certificate: Option<Certificate>,
}

impl Bound {
    /// The listeners there are, with the scheme of their URLs, the key of their addresses and how they are
    /// reached; those with TLS first.
    pub fn listeners(&self) -> impl Iterator<Item = Listening> {
        let all = [
            ("mqtts", "mqtt.tls_listen", "with TLS", self.tls),
            ("mqtt", "mqtt.listen", "without TLS", self.plain),
            (
                "mqtt+wss",
                "mqtt.wss_listen",
                "inside of WebSockets with TLS",
                self.wss,
            ),
            (
                "mqtt+ws",
                "mqtt.ws_listen",
                "inside of WebSockets without TLS",
                self.ws,
            ),
        ];
        let open = all.into_iter();
        open.filter_map(|(scheme, key, how, addr)| {
            addr.map(|addr| Listening {
                scheme,
                key,
                how,
                addr,
            })
        })
    }
}

/// One listener of the broker.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// Of its URL.
    pub scheme: &'static str,
    /// Its address in the configuration.
    pub key: &'static str,
    /// In words.
    pub how: &'static str,
    /// Where it is bound.
    pub addr: SocketAddr,
}

/// The door of the broker: the same as of WebSockets, so that a setup key is counted once.
struct Door(Arc<Gate>);

/// Binds what the configuration wants.
pub async fn start(
    core: &Arc<Core>,
    gate: Arc<Gate>,
    config: &Config,
) -> Result<Bound, StartError> {
    let door = Arc::new(Door(gate));
    let mut bound = Bound::default();
    let mqtt = &config.mqtt;
    if let Some(addr) = mqtt.listen {
        let settings = settings(config, addr);
        bound.plain = Some(bind(core, &door, "mqtt.listen", settings).await?);
    }
    if let Some(addr) = mqtt.ws_listen {
        let mut settings = settings(config, addr);
        settings.websocket = true;
        bound.ws = Some(bind(core, &door, "mqtt.ws_listen", settings).await?);
    }
    if mqtt.tls_listen.or(mqtt.wss_listen).is_some() {
        let files = mqtt.tls.as_ref().or(config.usp.tls.as_ref());
        let (certificate, issue) =
            certificate::load("mqtt.tls", Visits::Long, files, config, &core.own)?;
        let encrypted = |addr, websocket| {
            let mut settings = settings(config, addr);
            settings.socket.tls = Some(certificate.tls.clone());
            settings.websocket = websocket;
            settings
        };
        if let Some(addr) = mqtt.tls_listen {
            let settings = encrypted(addr, false);
            bound.tls = Some(bind(core, &door, "mqtt.tls_listen", settings).await?);
        }
        if let Some(addr) = mqtt.wss_listen {
            let settings = encrypted(addr, true);
            bound.wss = Some(bind(core, &door, "mqtt.wss_listen", settings).await?);
        }
        tokio::spawn(certificate::keep_fresh(
            core.shutdown.clone(),
            core.limits.certificate_look_every,
            certificate.tls.clone(),
            issue,
        ));
        bound.certificate = Some(certificate);
    }
    Ok(bound)
}

fn settings(config: &Config, addr: SocketAddr) -> ListenerConfig {
    let mut settings = ListenerConfig::new(addr, config.mqtt.topic_prefix.clone());
    settings.keep_alive_max = adapter::keep_alive_max(config);
    settings
        .socket
        .uncounted_addresses
        .extend(&config.usp.proxies);
    settings
}

async fn bind(
    core: &Arc<Core>,
    door: &Arc<Door>,
    what: &'static str,
    mut settings: ListenerConfig,
) -> Result<SocketAddr, StartError> {
    settings.record_bytes_max = core.link_limits.record_bytes_max;
    settings.socket.handshake_time_max = core.limits.handshake_time_max;
    let addr = settings.socket.addr;
    let refusals = Arc::new(core.refusals.over(MQTT));
    let listener = Listener::bind(settings, door.clone(), refusals)
        .await
        .map_err(|source| StartError::Bind { what, addr, source })?;
    let bound = listener.local_addr();
    tokio::spawn(accept(core.clone(), listener));
    Ok(bound)
}

async fn accept(core: Arc<Core>, mut listener: Listener<Door>) {
    loop {
        let accepted = tokio::select! {
            () = core.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (link, ticket) = (accepted.link.into(), accepted.ticket);
        tokio::spawn(link::run(core.clone(), link, ticket, None));
    }
}

impl Admission for Door {
    type Ticket = Box<Ticket>;

    async fn admit(&self, hello: &Hello) -> Result<Admitted<Box<Ticket>>, Refusal> {
        let shown = Shown {
            transport: MQTT,
            secret: str::from_utf8(&hello.password).unwrap_or_default(),
            tenant: &hello.login.tenant,
            login: Some(&hello.login),
            path: Some(""),
            eid: &hello.eid,
            certificate_ids: &hello.certificate_ids,
            certified: hello.certified,
            fingerprint: hello.fingerprint,
            tls: hello.tls,
            peer: hello.peer_addr.into(),
            links: true,
            info: serde_json::json!({
                "tls": hello.tls,
                "certificate": hello.certified,
                "mqtt": hello.version.to_string(),
                "listener": hello.local_addr.to_string(),
            }),
        };
        let ticket = self.0.judge(&shown).await?;
        Ok(Admitted {
            tenant: ticket.decision.tenant.as_str().to_owned(),
            endpoint: ticket.endpoint.clone(),
            ticket,
        })
    }
}
