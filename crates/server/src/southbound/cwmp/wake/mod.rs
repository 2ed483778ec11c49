//! Waking devices: asking them to open a session, in whichever ways they told us, until they come or
//! nothing waits for them any more. One small task for each device that is being woken; nothing here
//! holds a request of anybody.
//!
//! Deliberately not here: what the ways to a device are ([`super::reach`]), and what is said in the
//! session that follows.

mod bindings;
mod devices;
mod guard;
mod http;
mod limits;
mod own;
mod round;
mod srv;
mod sweep;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
mod udp;
mod xmpp;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use cwmp::reach::xmpp::stream::Jid;
use dm::retry::RetryPolicy;
use fleet::{DeviceId, Protocol, TenantId};
use mtp::tls::{ClientTls, ClientTlsConfig, Roots};
use store::Store;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::core::Registry;
use crate::StartError;
use crate::config::{self, Config};
use crate::seam::{self, Attempt};
use crate::southbound::slots::Slots;
use crate::vault::Vault;
use devices::{Begun, Devices};
use guard::Guard;
use http::Http;
use srv::Finder;
use udp::Udp;
use xmpp::{Account, Server, State, Xmpp};

pub use guard::Network;
pub use limits::Limits;

/// What the waker is told by the configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The only networks to which requests go; absent is anywhere but this machine and link-local
    /// addresses.
    pub networks: Option<Vec<Network>>,
    /// Ports that this server listens on itself.
    pub own_ports: Vec<u16>,
    /// The password may be shown to devices that know nothing but Basic.
    pub basic: bool,
    /// A PEM file of authorities that issue the certificates of devices; absent believes any.
    pub ca: Option<PathBuf>,
    /// Where our STUN server listens; absent is none.
    pub stun_listen: Option<SocketAddr>,
    /// Our account at an XMPP server; absent is none.
    pub xmpp: Option<config::Xmpp>,
}

impl Settings {
    /// What the configuration says.
    pub fn of(config: &Config) -> Self {
        let cwmp = &config.cwmp;
        let listeners = [
            Some(config.http.listen),
            config.usp.listen,
            config.usp.tls_listen,
            cwmp.listen,
            cwmp.tls_listen,
            config.files.listen,
            config.files.tls_listen,
        ];
        let ports = listeners
            .into_iter()
            .flatten()
            .map(|address| address.port());
        Self {
            networks: cwmp.wake_networks.clone(),
            own_ports: ports.collect(),
            basic: cwmp.wake_basic,
            ca: cwmp.wake_ca.clone(),
            stun_listen: cwmp.stun_listen,
            xmpp: cwmp.xmpp.clone(),
        }
    }
}

/// What the waker needs.
pub struct Setup {
    /// What is remembered.
    pub store: Store,
    /// The passwords of devices.
    pub vault: Vault,
    /// The devices that are here: nobody asks them to come.
    pub links: Arc<Registry>,
    /// What the configuration says.
    pub settings: Settings,
    /// What a test may set lower.
    pub limits: Limits,
    /// Cancelled when the server stops.
    pub shutdown: CancellationToken,
}

/// With what a device is asked.
#[derive(Clone, Debug, Default)]
struct Shown {
    username: String,
    password: String,
    whose: Whose,
}

/// Whose user name and password they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Whose {
    /// There are none: those shown are empty.
    #[default]
    Nobodys,
    /// Those that we set in the device.
    Ours,
    /// The device's own, which a person entered.
    Entered,
}

impl Whose {
    /// That the device does not take them, in words; `how` is how it said so.
    fn refused(self, how: &str) -> Said {
        Said::Refused(match self {
            Self::Nobodys => format!(
                "the device asks for credentials ({how}), and it has none of ours yet: where it keeps its own, enter them"
            ),
            Self::Ours => format!(
                "the device does not take our credentials ({how}): where it keeps its own, enter them"
            ),
            Self::Entered => {
                format!("the device does not take the credentials that were entered for it ({how})")
            }
        })
    }
}

/// How one attempt went.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// The device agreed to come.
    Accepted,
    /// It was sent, and nobody answers such a thing: in words.
    Sent(&'static str),
    /// The device is there and cannot now: in words.
    Busy(String),
    /// Nothing came of it: why, in words.
    Refused(String),
}

/// Wakes devices. Cheap to clone.
#[derive(Clone)]
pub struct Waker(Arc<Inner>);

struct Inner {
    store: Store,
    vault: Vault,
    limits: Limits,
    http: Http,
    udp: Udp,
    xmpp: Option<Xmpp>,
    devices: Devices,
    links: Arc<Registry>,
    /// For those that somebody wants now.
    places: Slots,
    /// For those that did not come.
    again: Slots,
    shutdown: CancellationToken,
}

impl Waker {
    /// Binds what is to be bound, and begins to wake those for whom operations wait.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let Setup {
            store,
            vault,
            links,
            settings,
            limits,
            shutdown,
        } = setup;
        let guard = Arc::new(Guard::new(settings.networks, settings.own_ports));
        let trust = match settings.ca {
            Some(ca) => ClientTlsConfig {
                roots: Roots::Only(ca),
                ..ClientTlsConfig::default()
            },
            // A CPE's certificate is its own work, for an address that changes. Digest keeps the
            // password safe whoever answers.
            None => ClientTlsConfig {
                insecure: true,
                ..ClientTlsConfig::default()
            },
        };
        let http = Http {
            guard: guard.clone(),
            tls: tls(&trust, "cwmp.wake_ca")?,
            basic: settings.basic,
            time: limits.http_time,
            lookups: Arc::new(Semaphore::new(limits::LOOKUPS_AT_ONCE)),
        };
        let udp = Udp::start(settings.stun_listen, vault.clone(), guard, shutdown.clone());
        let udp = udp.await.map_err(|source| StartError::Bind {
            what: "cwmp.stun_listen",
            addr: settings
                .stun_listen
                .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
            source,
        })?;
        let xmpp = match settings.xmpp {
            Some(xmpp) => {
                let time = limits.xmpp_answer_time;
                Some(Xmpp::start(account(xmpp)?, time, shutdown.clone()))
            }
            None => None,
        };
        let waker = Self(Arc::new(Inner {
            store,
            vault,
            limits,
            http,
            udp,
            xmpp,
            devices: Devices::new(limits.devices_max),
            links,
            places: Slots::new(limits::AT_ONCE),
            again: Slots::new(limits::AT_ONCE),
            shutdown,
        }));
        tokio::spawn(sweep::run(waker.clone()));
        Ok(waker)
    }

    /// Asks a device to come, now and again while operations wait for it. Returns at once; what
    /// comes of it is in [`Waker::attempts`]. False when so many are being woken that this one has
    /// to wait for the next look at the store.
    pub fn wake(&self, tenant: &TenantId, device: DeviceId) -> bool {
        let begun = self.begin(tenant, device, true);
        self.0.devices.wanted_by(device, None);
        begun
    }

    /// The same, unless nothing is to be asked of the device (any more). Returns at once.
    pub fn wake_if_wanted(&self, tenant: &TenantId, device: DeviceId) {
        let (waker, tenant) = (self.clone(), tenant.clone());
        tokio::spawn(async move {
            if waker.is_wanted(&tenant, device).await {
                waker.wake(&tenant, device);
            }
        });
    }

    /// Whether an operation waits for the device to come, and it would be let in; yes where that
    /// cannot be read.
    async fn is_wanted(&self, tenant: &TenantId, device: DeviceId) -> bool {
        let read = async {
            let oldest = self.0.store.operation_oldest(tenant, device).await?;
            if !oldest.is_some_and(|record| record.operation.wants_device_over(Protocol::Cwmp)) {
                return Ok(false);
            }
            let tenant = self.0.store.tenant(tenant).await?;
            Ok::<_, store::Error>(tenant.disabled_at.is_none())
        };
        match read.await {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::warn!(%device, %error, "whether operations wait for a device cannot be read");
                true
            }
        }
    }

    /// `wanted` is whether somebody wants it now.
    fn begin(&self, tenant: &TenantId, device: DeviceId, wanted: bool) -> bool {
        if self.0.shutdown.is_cancelled() {
            return false;
        }
        match self.0.devices.begin(tenant, device) {
            Begun::Already => {}
            Begun::New(task) => {
                let (waker, tenant) = (self.clone(), tenant.clone());
                tokio::spawn(async move { waker.keep(tenant, device, task, wanted).await });
            }
            Begun::Full => {
                metrics::counter!("headend_cwmp_wakes_put_off_total").increment(1);
                return false;
            }
        }
        true
    }

    /// The device opened a session: nobody asks it to any more. `asked` is whether it says that it
    /// was asked to (event `6 CONNECTION REQUEST`).
    pub fn came(&self, device: DeviceId, asked: bool) {
        self.0.devices.came(device, asked);
    }

    /// The device was removed.
    pub fn forget(&self, device: DeviceId) {
        self.0.devices.forget(device);
        self.0.udp.forget(device);
    }

    /// The tenant was disabled: its devices would not be let in.
    pub fn forget_tenant(&self, tenant: &TenantId) {
        self.0.devices.forget_tenant(tenant);
    }

    /// The last attempts, newest first.
    pub fn attempts(&self, tenant: &TenantId, device: DeviceId) -> Vec<Attempt> {
        self.0.devices.attempts(tenant, device)
    }

    /// The ways in which a device can be asked to come, the most promising first.
    pub async fn ways(&self, tenant: &TenantId, device: DeviceId) -> Vec<seam::Way> {
        match self.known(tenant, device).await {
            Ok(known) => known.ways.iter().map(round::Way::shown).collect(),
            Err(error) => {
                tracing::warn!(%device, %error, "how to reach a device cannot be read");
                Vec::new()
            }
        }
    }

    /// How the waits between rounds grow.
    fn retries(&self) -> RetryPolicy {
        RetryPolicy {
            min_wait: self.0.limits.retry_min,
            ..RetryPolicy::default()
        }
    }

    /// The devices that are here.
    pub fn links(&self) -> Arc<Registry> {
        self.0.links.clone()
    }

    /// Where our STUN server is bound.
    pub fn stun(&self) -> Option<SocketAddr> {
        self.0.udp.local()
    }

    /// For people.
    pub fn shown(&self) -> seam::Waking {
        seam::Waking {
            stun: self.stun(),
            bindings: self.0.udp.bindings(),
            xmpp: self.xmpp(),
        }
    }

    /// How XMPP is, in words, where there is an account; the error is what is wrong.
    pub fn xmpp(&self) -> Option<Result<String, String>> {
        Some(match self.0.xmpp.as_ref()?.state() {
            State::Ready(own) => Ok(format!("connected as {own}")),
            State::Connecting => Ok("being connected".to_owned()),
            State::Down(why) => Err(why),
        })
    }
}

fn tls(trust: &ClientTlsConfig, what: &str) -> Result<Arc<rustls::ClientConfig>, StartError> {
    let tls = ClientTls::load(trust).map_err(|error| StartError::Tls {
        what: what.to_owned(),
        message: error.to_string(),
    })?;
    Ok(tls.config())
}

fn account(settings: config::Xmpp) -> Result<Account, StartError> {
    let jid = Jid::parse(&settings.jid).ok_or_else(|| {
        StartError::Devices(format!(
            "cwmp.xmpp.jid: {:?} is not an address, like acs@example.net/headend",
            settings.jid
        ))
    })?;
    let trust = ClientTlsConfig {
        roots: settings.ca.map_or(Roots::Public, Roots::Only),
        ..ClientTlsConfig::default()
    };
    let port = if settings.direct_tls { 5223 } else { 5222 };
    let has_port = |host: &str| {
        host.rsplit_once(':').is_some_and(|(before, port)| {
            port.parse::<u16>().is_ok() && (!before.contains(':') || before.ends_with(']'))
        })
    };
    let server = match settings.host {
        Some(host) if has_port(&host) => Server::At(host),
        Some(host) => Server::At(format!("{host}:{port}")),
        None => Server::OfTheDomain(Finder::system()),
    };
    Ok(Account {
        server,
        jid,
        password: settings.password,
        domains: settings.domains,
        direct_tls: settings.direct_tls,
        tls: tls(&trust, "cwmp.xmpp.ca")?,
    })
}

/// What others say, as far as people may read it: bounded, on one line.
fn text(words: &str) -> String {
    const CHARS_MAX: usize = 200;
    let line = |c: char| if c.is_control() { ' ' } else { c };
    words.chars().take(CHARS_MAX).map(line).collect()
}
