//! What sessions report and what the engine wants done: requests are answered, notifications queued, peers made to
//! match the data model.

use std::sync::PoisonError;

use mtp::ws::{CloseCode, reason};
use usp::agent::{Event, Ignored, Session};

use super::Driver;
use super::inbound::Guest;
use super::peer::{Channel, Peer};
use super::wire::Wire;
use crate::{ControllerLink, Effect, Handled, Outgoing, Reach};

impl Driver {
    pub(super) fn event(&mut self, at: usize, event: Event) {
        let now = self.clock.now();
        let random = self.next_random();
        let peer = &mut self.peers[at];
        match event {
            Event::Requested { token, request, .. } => {
                let from = peer.session.peer().clone();
                let result = match self.engine.begin(now, &from, request) {
                    Handled::Now(result) => result,
                    Handled::Later(job) => {
                        return self.wait_for_services(job, at, token);
                    }
                };
                if let Err(error) = peer.session.respond(token, result) {
                    tracing::debug!(agent = %self.engine.endpoint_id(), %error, "no answer is possible");
                }
            }
            Event::Delivered { id } => {
                if let Some(at) = peer.sent.iter().position(|(sent, _)| *sent == id) {
                    let (_, subscription) = peer.sent.swap_remove(at);
                    if subscription == 0 {
                        self.engine.on_board_answered(now, peer.config.instance);
                    }
                }
            }
            Event::GaveUp { id, why } => {
                peer.sent.retain(|(sent, _)| *sent != id);
                tracing::debug!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), ?why, "a notification was given up");
            }
            Event::Registered { result, .. } => {
                let own = self.engine.endpoint_id();
                peer.registered(now.at, own, result);
            }
            Event::Disconnected { code, reason: why } => {
                tracing::info!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), %code, why, "the controller takes its leave");
                let channel = std::mem::replace(&mut peer.channel, Channel::Idle);
                peer.lost(now.at, random);
                if let Channel::Open(link) = channel {
                    self.closing
                        .spawn(async move { link.close(CloseCode::Normal, reason::DONE).await });
                }
                self.show(at);
            }
            Event::Incompatible { theirs } => {
                tracing::warn!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), theirs, "no common USP version");
            }
            Event::Context(event) => {
                tracing::debug!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), ?event, "session context");
            }
            Event::Ignored(Ignored::Limit("REPLIES_MAX")) => {
                peer.unheard(self.engine.endpoint_id());
            }
            Event::Ignored(why) => {
                tracing::debug!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), ?why, "record ignored");
            }
        }
    }

    pub(super) async fn effect(&mut self, effect: Effect) {
        let now = self.clock.now();
        match effect {
            Effect::Notify(Outgoing {
                controller,
                subscription,
                notify,
                retry,
            }) => {
                let Some(at) = self.best(controller) else {
                    return;
                };
                let peer = &mut self.peers[at];
                match peer.session.notify(now.at, notify, retry) {
                    Ok(id) => peer.sent.push((id, subscription)),
                    Err(error) => {
                        tracing::info!(agent = %self.engine.endpoint_id(), %error, "a notification is dropped");
                    }
                }
                self.flush(at).await;
            }
            Effect::OnBoard(controller) => {
                let request = self.engine.on_board_request(now);
                // One at a time.
                self.introduced(controller);
                if let Some(at) = self.best(controller) {
                    let peer = &mut self.peers[at];
                    match peer.session.on_board(now.at, request) {
                        Ok(id) => peer.sent.push((id, 0)),
                        Err(error) => tracing::info!(%error, "an OnBoardRequest is dropped"),
                    }
                }
            }
            Effect::OnBoardingDone(controller) => self.introduced(controller),
            Effect::SubscriptionGone(gone) => {
                for peer in &mut self.peers {
                    peer.forget(|subscription| subscription == gone);
                }
            }
            Effect::ControllersChanged => self.reconcile().await,
            Effect::Reconnect(controller, mtp) => {
                let at = self.peers.iter().position(|peer| peer.is(controller, mtp));
                if let Some(at) = at {
                    self.reconnect(at).await;
                }
            }
            Effect::ResetContext(controller) => {
                let wanted = |peer: &&mut Peer| peer.config.instance == controller;
                for peer in self.peers.iter_mut().filter(wanted) {
                    peer.session.reset_context(now.at);
                }
            }
            Effect::AskService {
                service,
                ask,
                request,
            } => self.ask_service(service, ask, *request),
            Effect::Answer { job, result } => {
                if let Some(at) = self.answer_job(job, *result) {
                    self.flush(at).await;
                }
            }
            Effect::CertificateRenewed => self.certificate_renewed().await,
            // Our listener is the configuration file's; the row shows it.
            Effect::ListenersChanged | Effect::Restart(_) => {}
        }
    }

    /// The data model shows how the connection to a broker stands.
    pub(super) fn show(&mut self, at: usize) {
        let now = self.clock.now();
        let peer = &self.peers[at];
        let wire = match &peer.channel {
            Channel::Open(wire) => Some(wire),
            _ => None,
        };
        match &peer.config.reach {
            Reach::Mqtt(link) => {
                let connected = wire.and_then(Wire::mqtt);
                let told = connected.map(|link| (link.reply_topic(), link.assigned_client_id()));
                self.engine.set_mqtt(link, told);
            }
            Reach::Stomp(link) => {
                let connected = wire.and_then(Wire::stomp);
                let told = connected.map(|link| match link.is_told() {
                    true => link.own_destination(),
                    false => "",
                });
                self.engine.set_stomp(now, link, told);
            }
            _ => {}
        }
    }

    /// The data model shows no connection to a broker any more.
    fn hide(&mut self, reach: &Reach) {
        match reach {
            Reach::Mqtt(link) => self.engine.set_mqtt(link, None),
            Reach::Stomp(link) => self.engine.set_stomp(self.clock.now(), link, None),
            _ => {}
        }
    }

    pub(super) async fn reconnect(&mut self, at: usize) {
        let now = self.clock.now().at;
        if let Some(close) = self.peers[at].leave(now, "connecting again") {
            self.closing.spawn(close);
        }
        self.show(at);
        self.peers[at].dial_now(now);
    }

    /// Makes the peers what the data model says.
    async fn reconcile(&mut self) {
        let now = self.clock.now().at;
        let wanted: Vec<ControllerLink> = self.engine.controllers();
        let order: Vec<(u32, u32)> = wanted.iter().map(|one| (one.instance, one.mtp)).collect();
        for mut peer in std::mem::take(&mut self.peers) {
            if wanted
                .iter()
                .any(|w| peer.is(w.instance, w.mtp) && w.endpoint_id == peer.config.endpoint_id)
            {
                self.peers.push(peer);
                continue;
            }
            self.hide(&peer.config.reach);
            let why = "no longer a controller of this agent";
            if let Some(close) = peer.leave(now, why) {
                self.closing.spawn(close);
            }
        }
        for config in wanted {
            let known = self
                .peers
                .iter()
                .position(|peer| peer.is(config.instance, config.mtp));
            match known {
                Some(at) => {
                    let peer = &mut self.peers[at];
                    let before = std::mem::replace(&mut peer.config, config);
                    let session = before.session != peer.config.session;
                    let moved =
                        before.reach != peer.config.reach || before.proves != peer.config.proves;
                    if session || (moved && !peer.moves(&before.reach)) {
                        let contexts = self.identity.contexts(&peer.config);
                        peer.session.set_contexts(contexts);
                        self.hide(&before.reach);
                        self.reconnect(at).await;
                    } else if before.keep_alive != peer.config.keep_alive
                        && let Channel::Open(link) = &mut peer.channel
                    {
                        link.set_keep_alive(peer.config.keep_alive);
                    }
                }
                None => {
                    let seed = self.next_random();
                    let own = self.engine.endpoint_id().clone();
                    let usp = usp::agent::Config {
                        signatures: self.identity.signatures(),
                        contexts: self.identity.contexts(&config),
                        ..usp::agent::Config::default()
                    };
                    let session = Session::new(&usp, own, config.endpoint_id.clone(), seed);
                    let mut peer = Peer::new(config, session);
                    peer.dial_now(now);
                    self.peers.push(peer);
                }
            }
        }
        let local = self.peers.iter();
        let local = local.filter(|peer| peer.config.reach == crate::Reach::Local);
        let local = local.map(|peer| peer.config.endpoint_id.clone());
        self.services.expect(local.collect());
        let rank = |peer: &Peer| {
            order
                .iter()
                .position(|(instance, mtp)| peer.is(*instance, *mtp))
        };
        self.peers.sort_by_key(rank);
        // Who has a way of its own does not come in by another.
        let mut controllers: Vec<_> = self
            .peers
            .iter()
            .filter(|peer| peer.config.reach != crate::Reach::Local)
            .map(|peer| Guest {
                endpoint_id: peer.config.endpoint_id.clone(),
                proves: peer.config.found,
            })
            .collect();
        controllers.dedup();
        *self
            .door
            .controllers
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = controllers;
        self.time_passes();
    }
}

impl Peer {
    /// Forgets undelivered notifications.
    pub(super) fn forget(&mut self, which: impl Fn(u32) -> bool) {
        for (id, subscription) in &self.sent {
            if which(*subscription) {
                self.session.cancel_notify(*id);
            }
        }
        self.sent.retain(|(_, subscription)| !which(*subscription));
    }
}
