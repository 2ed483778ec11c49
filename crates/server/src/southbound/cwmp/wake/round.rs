//! Waking one device: rounds through its ways, with growing pauses, until it comes or nothing waits
//! for it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cwmp::reach::http::Target;
use fleet::{DeviceId, Event, EventKind, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use super::super::login::Login;
use super::super::reach::{CONNECTION_REQUEST, Reach};
use super::devices::Task;
use super::limits::RETRY_MAX;
use super::{Said, Shown, Waker, Whose, guard, http, udp, xmpp};
use crate::seam::Attempt;
use crate::southbound::slots::Slots;
use crate::state::now;

/// The name of the document about what worked last.
const STATE: &str = "cwmp.wake";

/// A manner of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Method {
    /// An HTTP connection request.
    Http,
    /// Over XMPP.
    Xmpp,
    /// A datagram.
    Udp,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Xmpp => "xmpp",
            Self::Udp => "udp",
        }
    }
}

/// What worked last.
#[derive(Default, Serialize, Deserialize)]
struct Memory {
    worked: Option<Method>,
}

/// One way to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Http(String),
    Xmpp(String),
    Udp(SocketAddr),
}

impl Way {
    fn method(&self) -> Method {
        match self {
            Self::Http(_) => Method::Http,
            Self::Xmpp(_) => Method::Xmpp,
            Self::Udp(_) => Method::Udp,
        }
    }

    /// For people.
    pub(super) fn shown(&self) -> crate::seam::Way {
        crate::seam::Way {
            method: self.method().as_str().to_owned(),
            address: self.address(),
            problem: self.problem(),
        }
    }

    /// Why it cannot be used, in words.
    fn problem(&self) -> Option<String> {
        match self {
            Self::Http(url) => http::problem(url),
            Self::Xmpp(jid) => xmpp::problem(jid),
            Self::Udp(_) => None,
        }
    }

    fn address(&self) -> String {
        match self {
            Self::Http(url) => super::text(&fleet::secret::without_credentials(url)),
            Self::Xmpp(jid) => super::text(jid),
            Self::Udp(address) => address.to_string(),
        }
    }
}

/// How a round ended.
enum Round {
    /// The device came, or is not wanted any more.
    Over,
    /// There is no way to it.
    NoWay,
    /// It did not come.
    Failed,
}

/// What is known of a device that is to be asked.
pub(super) struct Known {
    reach: Reach,
    login: Option<Login>,
    /// The most promising first.
    pub ways: Vec<Way>,
}

/// The ways to a device, the most promising first: what worked last, then what suits its network. What cannot be used
/// is last.
pub(super) fn ways(reach: &Reach, seen: Option<SocketAddr>, worked: Option<Method>) -> Vec<Way> {
    let http = reach.http_url.clone().map(Way::Http);
    let xmpp = reach.xmpp_jid.clone().map(Way::Xmpp);
    let told = reach.udp_address.as_deref().and_then(udp::address);
    let told = told.filter(|told| Some(*told) != seen);
    let behind = reach.nat_detected || is_behind(reach, seen.or(told));
    let udp = [seen, told].into_iter().flatten().map(Way::Udp);
    // Behind a NAT the URL is usually an address of the home: it would cost a time-out.
    let mut ways: Vec<Way> = match behind {
        true => xmpp.into_iter().chain(udp).chain(http).collect(),
        false => http.into_iter().chain(xmpp).chain(udp).collect(),
    };
    ways.sort_by_key(|way| (way.problem().is_some(), Some(way.method()) != worked));
    ways
}

/// Whether a device is behind a NAT though it does not say so: its URL has an address of a private network, and
/// datagrams come from another one.
fn is_behind(reach: &Reach, udp: Option<SocketAddr>) -> bool {
    let target = reach.http_url.as_deref().map(Target::parse);
    let host = target.and_then(|target| target.ok()?.host.parse::<IpAddr>().ok());
    let outside = udp.map(|udp| udp.ip().to_canonical());
    host.zip(outside)
        .is_some_and(|(host, outside)| guard::is_private(host) && host != outside)
}

impl Waker {
    /// Wakes a device until it comes or nothing waits for it.
    pub(super) async fn keep(
        self,
        tenant: TenantId,
        device: DeviceId,
        task: Arc<Task>,
        wanted: bool,
    ) {
        let mut wanted = wanted;
        while !self.0.shutdown.is_cancelled() {
            tokio::select! {
                () = self.rounds(&tenant, device, &task, wanted) => {}
                () = self.0.shutdown.cancelled() => {}
            }
            if self.0.devices.end(device, &task) {
                return;
            }
            wanted = true;
        }
    }

    async fn rounds(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        task: &Arc<Task>,
        mut wanted: bool,
    ) {
        let limits = &self.0.limits;
        let policy = self.retries();
        for failure in 1.. {
            let wait = self.0.devices.try_in(device, limits.interval);
            tokio::select! {
                () = sleep(wait) => {}
                () = task.over.cancelled() => return,
            }
            task.look();
            let places = if wanted {
                &self.0.places
            } else {
                &self.0.again
            };
            match self.round(tenant, device, task, places).await {
                Round::Over => return,
                // Its next Inform may tell one; the sweep looks again.
                Round::NoWay => return,
                Round::Failed => {}
            }
            task.look();
            if !self.is_wanted(tenant, device).await {
                return;
            }
            let wait = policy.wait(failure, rand::random()).min(RETRY_MAX);
            tokio::select! {
                () = sleep(wait) => wanted = false,
                () = task.now.notified() => wanted = true,
                () = task.over.cancelled() => return,
            }
        }
    }

    /// Goes through the ways once.
    async fn round(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        task: &Arc<Task>,
        places: &Slots,
    ) -> Round {
        let known = match self.known(tenant, device).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(%device, %error, "how to reach a device cannot be read");
                return Round::Failed;
            }
        };
        if known.ways.is_empty() {
            return Round::NoWay;
        }
        for way in &known.ways {
            let place = tokio::select! {
                place = places.take(tenant) => place,
                () = task.over.cancelled() => return Round::Over,
            };
            let attempt = self.attempt(tenant, device, task, &known, way).await;
            drop(place);
            let Some((said, number)) = attempt else {
                return Round::Over;
            };
            let (wait, meanwhile) = match &said {
                Said::Refused(_) => continue,
                Said::Accepted => (self.0.limits.come_time, "it agreed and did not come"),
                Said::Busy(_) => (self.0.limits.come_time, "busy, and it did not come"),
                Said::Sent(_) => (self.0.limits.udp_come_time, "sent, and it did not come"),
            };
            let asked = Instant::now();
            tokio::select! {
                () = task.over.cancelled() => {
                    if task.was_asked() {
                        self.worked(tenant, device, way.method()).await;
                    }
                    let after = asked.elapsed();
                    self.0.devices.amend(device, number, |attempt| {
                        attempt.ok = true;
                        attempt.words.push_str(&format!("; it came after {}", seconds(after)));
                    });
                    return Round::Over;
                }
                () = sleep(wait) => {
                    count(way.method(), "silent");
                    self.0.devices.amend(device, number, |attempt| {
                        attempt.ok = false;
                        attempt.words.push_str(&format!("; {meanwhile} within {}", seconds(wait)));
                    });
                }
            }
            // It is there: other ways lead to the same device.
            if matches!(said, Said::Busy(_)) {
                break;
            }
        }
        self.tell(tenant, device).await;
        Round::Failed
    }

    /// The ways to a device, with what is known of it.
    pub(super) async fn known(&self, tenant: &TenantId, device: DeviceId) -> store::Result<Known> {
        let mut reach = Reach::load(&self.0.store, tenant, device).await?;
        if self.0.xmpp.is_none() {
            reach.xmpp_jid = None;
        }
        let memory = self.0.store.state_get(tenant, device, STATE).await?;
        let memory: Memory = memory
            .and_then(|memory| serde_json::from_slice(&memory).ok())
            .unwrap_or_default();
        let seen = self.0.udp.seen(device);
        let seen = seen.or_else(|| self.0.udp.seen(reach.told_as(device)));
        let ways = ways(&reach, seen, memory.worked);
        let login = Login::load(&self.0.store, tenant, device).await?;
        Ok(Known { reach, login, ways })
    }

    /// Tries one way and remembers it; `None` when the device came meanwhile.
    async fn attempt(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        task: &Arc<Task>,
        known: &Known,
        way: &Way,
    ) -> Option<(Said, u64)> {
        let (at, begun) = (now(), Instant::now());
        // Boxed: it is large, and most of the time nobody is being asked.
        let said = tokio::select! {
            said = Box::pin(self.ask(tenant, device, known, way)) => Some(said),
            () = task.over.cancelled() => None,
        };
        let took = begun.elapsed();
        let (ok, words, result) = match &said {
            // Some open the session before they answer.
            None if task.was_asked() => (true, "it came at once".to_owned(), "accepted"),
            None => (true, "it came by itself meanwhile".to_owned(), "needless"),
            Some(Said::Accepted) => (true, "the device agreed to come".to_owned(), "accepted"),
            Some(Said::Sent(words)) => (true, (*words).to_owned(), "sent"),
            Some(Said::Busy(words)) => (false, words.clone(), "busy"),
            Some(Said::Refused(words)) => (false, words.clone(), "refused"),
        };
        count(way.method(), result);
        let attempt = Attempt {
            at,
            ok,
            method: way.method().as_str().to_owned(),
            address: way.address(),
            took,
            words,
        };
        let number = self.0.devices.note(device, attempt);
        if said.is_none() && task.was_asked() {
            self.worked(tenant, device, way.method()).await;
        }
        Some((said?, number))
    }

    /// With what the device is asked.
    fn with_what(&self, tenant: &TenantId, device: DeviceId, known: &Known) -> Result<Shown, Said> {
        let vault = &self.0.vault;
        if let Some(login) = &known.login {
            let password = login.password(vault, tenant).map_err(|error| {
                tracing::error!(%device, %error, "the credential that was entered for a device cannot be opened");
                Said::Refused("nothing was sent: the credentials that were entered for it cannot be opened; enter them again".to_owned())
            })?;
            return Ok(Shown {
                username: login.username.clone(),
                password,
                whose: Whose::Entered,
            });
        }
        let reach = &known.reach;
        let told = reach.told_as(device);
        Ok(match reach.generation {
            Some(generation) => Shown {
                username: reach.username.clone().unwrap_or_else(|| told.to_string()),
                password: vault.device_password(CONNECTION_REQUEST, tenant, told, generation),
                whose: Whose::Ours,
            },
            None => Shown::default(),
        })
    }

    async fn ask(&self, tenant: &TenantId, device: DeviceId, known: &Known, way: &Way) -> Said {
        let shown = match self.with_what(tenant, device, known) {
            Ok(shown) => shown,
            Err(said) => return said,
        };
        match way {
            Way::Http(url) => self.0.http.ask(url, shown).await,
            Way::Udp(to) => self.0.udp.ask(*to, shown).await,
            Way::Xmpp(jid) => match &self.0.xmpp {
                Some(xmpp) => xmpp.ask(jid, shown).await,
                None => Said::Refused("there is no XMPP account".to_owned()),
            },
        }
    }

    /// This is tried first the next time.
    async fn worked(&self, tenant: &TenantId, device: DeviceId, method: Method) {
        let memory = Memory {
            worked: Some(method),
        };
        // A struct of one word is always JSON.
        let document = serde_json::to_vec(&memory).unwrap_or_default();
        let store = &self.0.store;
        let known = store.state_get(tenant, device, STATE).await;
        if known.is_ok_and(|known| known.as_ref() == Some(&document)) {
            return;
        }
        if let Err(error) = store
            .state_put(tenant, device, STATE, document, now())
            .await
        {
            tracing::debug!(%device, %error, "what woke a device is not remembered");
        }
    }

    /// Tells the log that the device cannot be woken, now and then.
    async fn tell(&self, tenant: &TenantId, device: DeviceId) {
        if !self.0.devices.may_tell(tenant, device) {
            return;
        }
        let attempts = self.0.devices.attempts(tenant, device);
        let last: Vec<_> = attempts
            .iter()
            .take(3)
            .map(|one| json!({ "method": one.method, "address": one.address, "words": one.words }))
            .collect();
        let reason = attempts.first().map(|one| one.words.clone());
        let event = Event::new(tenant.clone(), now(), EventKind::DeviceWakeFailed)
            .device(device)
            .data(json!({ "reason": reason, "attempts": last }));
        if let Err(error) = self.0.store.event_append(tenant, vec![event]).await {
            tracing::warn!(%device, %error, "the log could not be told that a device cannot be woken");
        }
    }
}

fn count(method: Method, result: &'static str) {
    metrics::counter!("headend_cwmp_wakes_total", "method" => method.as_str(), "result" => result)
        .increment(1);
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests;
