//! How the task of a link ends: every job has its end before the domain hears that the device is
//! gone, the store is told why, and the peer gets a reason.

use std::time::Instant;

use fleet::limits::BOOT_WAIT_MAX;
use fleet::southbound::Failure;
use fleet::{DeviceId, EventKind, Fact, TenantId};
use mtp::ws::{CloseCode, reason};
use serde_json::json;
use store::{Heard, PathEnd};
use tokio::sync::mpsc;
use usp::ErrorCode;
use usp::controller::{RequestId, Sent};

use super::adapter::{Core, Ends};
use super::admission::Ticket;
use super::jobs;
use super::link::{Command, Replaced, Running, Stop};
use super::settle::{self, Unsettled};
use super::wire::{Wire, WireError};
use crate::southbound::refusal::Complaint;
use crate::southbound::registry::Parting;
use crate::state::now;

/// How a link came to its end.
pub(super) enum End {
    Peer(String),
    Link(WireError),
    Unparsable(usp::Error),
    Replaced(Box<Replaced>),
    /// The device has come to another server since: the connection is dead, and nobody has said so.
    Elsewhere,
    Stop(Stop),
    NotStored(store::Error),
    /// What the device showed cannot be looked up.
    Unknown(store::Error),
    /// The task of the link panicked.
    Defect,
}

/// A link that cannot settle.
pub(super) async fn turn_away(core: &Core, link: Wire, ticket: &Ticket, error: Unsettled) {
    let (code, text) = match error {
        Unsettled::Refused(refusal) => {
            core.refusals.over(link.transport()).take(Complaint {
                tenant: Some(ticket.decision.tenant.clone()),
                device: None,
                peer: link.whence(),
                endpoint: ticket.endpoint.as_str().to_owned(),
                reason: refusal.as_str().to_owned(),
                detail: String::new(),
            });
            (CloseCode::Policy, refusal.as_str())
        }
        Unsettled::Replaced => (CloseCode::Normal, reason::REPLACED),
        Unsettled::Store(error) => {
            tracing::warn!(%error, peer = %link.peer_addr(), "a device cannot be let in now");
            (CloseCode::TryAgainLater, "not available now")
        }
    };
    link.close(code, text).await;
}

/// What came for a link that takes nothing any more: jobs go over another link of the device or end unsent, whoever asks
/// hears that it is gone. Gives back who takes over, if somebody does.
pub(super) async fn hand_back(
    core: &Core,
    commands: &mut mpsc::Receiver<Command>,
    ends: &Ends,
    tenant: &TenantId,
    device: DeviceId,
    reason: &str,
) -> Option<Box<Replaced>> {
    let mut replaced = None;
    commands.close();
    while let Ok(command) = commands.try_recv() {
        match command {
            Command::Job(job) => {
                let Some(job) = core.pass_on(device, None, job) else {
                    continue;
                };
                let reason = reason.to_owned();
                let result = Err(Failure::Unsent { reason });
                let fact = Fact::Done {
                    job: job.id,
                    result,
                };
                // Nobody listens after the stop.
                let _ = ends.facts.send((tenant.clone(), device, fact)).await;
            }
            Command::Replaced(by) => replaced = Some(by),
            _ => {}
        }
    }
    replaced
}

impl Running {
    /// Ends what waits, tells everybody, and closes.
    pub(super) async fn finish(mut self, end: End) {
        let (words, code, text) = self.words(&end);
        tracing::debug!(peer = %self.entry.peer, endpoint = %self.endpoint(), words, "link ended");
        let stopped = match end {
            End::Stop(why) => Some(why.as_str()),
            _ => None,
        };
        // Commands that come too late are turned away at the door.
        self.commands.close();
        let mut replaced = match end {
            End::Replaced(by) => Some(by),
            _ => None,
        };
        let sent = self.session.unanswered();
        let unsent = self.link.unsent();
        let unsent = unsent
            .iter()
            .filter_map(|record| self.session.request_of(record));
        let unsent: Vec<RequestId> = unsent.collect();
        for (id, waiting) in std::mem::take(&mut self.waiting) {
            let waited = sent
                .iter()
                .any(|(known, sent)| *known == id && *sent == Sent::No);
            let sent = match waited || unsent.contains(&id) {
                true => Sent::No,
                false => Sent::Yes,
            };
            self.answered(*waiting, jobs::Outcome::Over(sent, words.clone()))
                .await;
        }
        let (entry, ends) = (&self.entry, &self.ends);
        let late = hand_back(
            &self.core,
            &mut self.commands,
            ends,
            &entry.tenant,
            entry.device,
            &words,
        )
        .await;
        replaced = late.or(replaced);
        self.withdraw(&words).await;
        let ours = self.core.links.leave(&self.entry);
        self.core.next_turn(self.entry.device);
        // Where other servers hear the device, too, it is not gone because this one stops or is cut off, and need not
        // know. Where nobody hears it the link is written off later.
        let shuts_down = stopped == Some(Stop::Shutdown.as_str());
        let others_go_on = self.link.is_shared() && (shuts_down || self.link.is_cut_off());
        if ours && !others_go_on {
            self.note_end(&words, stopped).await;
        }
        if let Some(by) = replaced {
            // Nobody waits any more when it took too long.
            let _ = by.done.send(());
        }
        if shuts_down && !others_go_on {
            self.session
                .disconnect(ErrorCode::default(), "the controller shuts down");
            while let Some(record) = self.session.poll_transmit() {
                if self.link.send(record).await.is_err() {
                    return;
                }
            }
        }
        self.link.close(code, text).await;
    }

    fn words(&self, end: &End) -> (String, CloseCode, &'static str) {
        match end {
            End::Peer(words) => (words.clone(), CloseCode::Normal, reason::DONE),
            End::Link(error) => {
                if let Some(reason) = error.complaint() {
                    self.complain(reason, error.to_string());
                }
                (error.to_string(), CloseCode::GoingAway, reason::DONE)
            }
            End::Unparsable(error) => {
                metrics::counter!("headend_usp_records_unparsable_total").increment(1);
                tracing::warn!(
                    peer = %self.entry.peer, endpoint = %self.endpoint(), %error,
                    "a record cannot be parsed; the link is closed"
                );
                self.complain("unparsable-record", error.to_string());
                // R-WS.16
                let text = reason::UNPARSABLE_RECORD;
                (
                    format!("it sent something that is no USP record: {error}"),
                    CloseCode::Unsupported,
                    text,
                )
            }
            End::Replaced(by) => {
                let words = format!("another link of this device took over, from {}", by.peer);
                (words, CloseCode::Normal, reason::REPLACED)
            }
            End::Elsewhere => {
                let words = "the device has connected to another server".to_owned();
                (words, CloseCode::Normal, reason::REPLACED)
            }
            End::Stop(Stop::Shutdown) => (
                "the server was stopped".into(),
                CloseCode::GoingAway,
                reason::SHUTTING_DOWN,
            ),
            End::Stop(Stop::Removed) => (
                "the device was removed".into(),
                CloseCode::Policy,
                reason::CREDENTIAL_WITHDRAWN,
            ),
            End::Stop(Stop::TenantDisabled) => (
                "its tenant was disabled".into(),
                CloseCode::Policy,
                reason::CREDENTIAL_WITHDRAWN,
            ),
            End::Stop(Stop::CertificateRevoked) => (
                "its certificate was revoked".into(),
                CloseCode::Policy,
                reason::CREDENTIAL_WITHDRAWN,
            ),
            End::Stop(Stop::SetupKeyRevoked) => (
                "its setup key was revoked".into(),
                CloseCode::Policy,
                reason::CREDENTIAL_WITHDRAWN,
            ),
            End::Stop(Stop::CertificateRefused) => (
                "the certificate it showed between the endpoints themselves does not count".into(),
                CloseCode::Policy,
                reason::CREDENTIAL_WITHDRAWN,
            ),
            End::Stop(Stop::Merged) => (
                "it is a device that was registered before; it comes again as that one".into(),
                CloseCode::TryAgainLater,
                "known under another name: connect again",
            ),
            End::Stop(Stop::Redialled) => (
                "how it is dialled was changed".into(),
                CloseCode::Normal,
                reason::DONE,
            ),
            End::Defect => {
                tracing::error!(
                    peer = %self.entry.peer, endpoint = %self.endpoint(),
                    "a defect of the server ended this link"
                );
                let words = "a defect of the server ended the link".to_owned();
                (words, CloseCode::TryAgainLater, "internal error")
            }
            End::Unknown(error) => {
                tracing::warn!(%error, peer = %self.entry.peer, "a certificate cannot be looked up; the link is closed");
                let words = format!("its certificate could not be looked up: {error}");
                (words, CloseCode::TryAgainLater, "not available now")
            }
            End::NotStored(error) => {
                tracing::error!(%error, "a notification cannot be stored; the link is closed");
                let words = format!("a notification could not be stored: {error}");
                (
                    words,
                    CloseCode::TryAgainLater,
                    "notifications cannot be stored now",
                )
            }
        }
    }

    /// Why this end is nothing to worry about: what we asked for, or what we did ourselves.
    fn expected(&self, ours: Option<&'static str>) -> Option<&'static str> {
        ours.or_else(|| self.entry.parting(Instant::now()).map(Parting::as_str))
    }

    async fn note_end(&self, words: &str, ours: Option<&'static str>) {
        let (tenant, device) = (self.tenant(), self.device());
        let expected = self.expected(ours);
        let at = now();
        let others = self.core.links.of(device);
        let still: Vec<&str> = others.iter().map(|link| link.transport).collect();
        let end = PathEnd {
            transport: self.link.transport().to_owned(),
            link: self.entry.number(),
            reason: words.to_owned(),
            at,
            back_by: comes_back(expected).then(|| at.plus(BOOT_WAIT_MAX)),
        };
        let event = settle::event(tenant, device, EventKind::DeviceDisconnected)
            .data(json!({
                "reason": words, "expected": expected, "transport": self.link.transport(), "still": still,
            }));
        let ended = self
            .core
            .store
            .path_disconnected(tenant, device, end, vec![event])
            .await;
        if let Err(error) = ended {
            tracing::warn!(%error, %device, "the end of a link could not be written");
        }
        let heard = Heard {
            device,
            transport: self.entry.transport,
            at: self.entry.heard(),
        };
        if let Err(error) = self.core.store.path_heard(tenant, vec![heard]).await {
            tracing::warn!(%error, %device, "when a device was last heard could not be written");
        }
    }
}

/// Whether a device that left for this reason is on its way back: it is not when we shut it out.
fn comes_back(expected: Option<&str>) -> bool {
    let out = [
        Stop::Removed,
        Stop::TenantDisabled,
        Stop::CertificateRevoked,
        Stop::CertificateRefused,
    ];
    expected.is_some_and(|why| out.iter().all(|stop| stop.as_str() != why))
}

/// A Close frame in words.
pub(super) fn closed_words(closed: &mtp::ws::Closed) -> String {
    match (closed.code, closed.reason.as_str()) {
        (Some(code), "") => format!("the device closed the connection ({code})"),
        (Some(code), why) => format!("the device closed the connection ({code} {why})"),
        (None, _) => "the device closed the connection".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use fleet::onboarding::Strength;
    use fleet::southbound::{Job, JobId, Op};
    use fleet::{NodeId, Protocol};
    use tokio_util::sync::CancellationToken;
    use usp::EndpointId;

    use super::*;
    use crate::southbound::registry::NewEntry;
    use crate::southbound::usp::limits::Limits;
    use crate::southbound::usp::recorder::Recorder;
    use crate::southbound::usp::{MQTT, WEBSOCKET};

    #[tokio::test]
    async fn what_waits_for_its_turn_on_a_link_that_ends_goes_over_the_other_or_ends_unsent() {
        let db = store::testing::sqlite().await.unwrap();
        let (facts, mut told) = mpsc::channel(10);
        let ends = Ends {
            facts,
            recorder: Recorder::new().0,
            alive: mpsc::channel(1).0,
        };
        let core = Core::new(
            db.store.clone(),
            EndpointId::parse("self::server").unwrap(),
            NodeId::parse("n1").unwrap(),
            &crate::Config::default(),
            Limits::default(),
            ends.clone(),
            CancellationToken::new(),
        );
        let core = core.ok().unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        let device = DeviceId(uuid::Uuid::nil());
        let link = |transport| {
            let (inbox, commands) = mpsc::channel(4);
            let new = NewEntry {
                tenant: tenant.clone(),
                device,
                transport,
                peer: "127.0.0.1:1".parse().unwrap(),
                strength: Strength::DeviceToken,
                certificate: None,
                inbox,
            };
            let entry = core.links.claim(new).ok().unwrap().entry;
            core.links.set_open(&entry, true, |_| ());
            (entry, commands)
        };
        let (websocket, mut over_websocket) = link(WEBSOCKET);
        let (mqtt, mut over_mqtt) = link(MQTT);
        let waits = |entry: &super::super::Entry, id| {
            let job = Box::new(Job {
                id: JobId(id),
                op: Op::Get {
                    paths: Vec::new(),
                    max_depth: 0,
                },
                timeout: BOOT_WAIT_MAX,
                transcript: None,
                over: Protocol::Usp,
            });
            entry.inbox.try_send(Command::Job(job)).unwrap();
        };
        waits(&websocket, 1);
        hand_back(&core, &mut over_websocket, &ends, &tenant, device, "gone").await;
        let passed = over_mqtt.try_recv();
        assert!(matches!(passed, Ok(Command::Job(job)) if job.id == JobId(1)));
        assert!(told.try_recv().is_err(), "it has not ended");
        // And there is none beside this one.
        waits(&mqtt, 2);
        core.links.leave(&websocket);
        hand_back(&core, &mut over_mqtt, &ends, &tenant, device, "gone").await;
        let (_, _, fact) = told.try_recv().unwrap();
        let result = Err(Failure::Unsent {
            reason: "gone".into(),
        });
        let job = JobId(2);
        assert_eq!(fact, Fact::Done { job, result });
    }
}
