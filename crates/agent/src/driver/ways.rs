//! Several ways to one controller: by which one notifications go, and by which other one when it is lost.

use std::time::Instant;

use super::Driver;
use super::peer::Peer;

impl Driver {
    /// The best way to a controller: the first in order that is open, else the first.
    pub(super) fn best(&self, controller: u32) -> Option<usize> {
        let of = |peer: &Peer| peer.config.instance == controller;
        let open = self
            .peers
            .iter()
            .position(|peer| of(peer) && peer.is_open());
        open.or_else(|| self.peers.iter().position(of))
    }

    /// An introduction to this controller is not to be repeated.
    pub(super) fn introduced(&mut self, controller: u32) {
        for peer in &mut self.peers {
            if peer.config.instance == controller {
                peer.forget(|subscription| subscription == 0);
            }
        }
    }

    /// What a way that is closed has not delivered goes by another one to the same controller, as the same message.
    pub(super) fn fail_over(&mut self) {
        let now = self.clock.now().at;
        for from in 0..self.peers.len() {
            let peer = &self.peers[from];
            if peer.sent.is_empty() || peer.is_open() {
                continue;
            }
            let to = self.best(peer.config.instance);
            if let Some(to) = to.filter(|to| self.peers[*to].is_open()) {
                self.hand_over(now, from, to);
            }
        }
    }

    fn hand_over(&mut self, now: Instant, from: usize, to: usize) {
        for (id, subscription) in std::mem::take(&mut self.peers[from].sent) {
            let Some(what) = self.peers[from].session.hand_over(id) else {
                continue;
            };
            // What does not fit there waits here.
            let (at, taken) = match self.peers[to].session.take_over(now, what) {
                Ok(id) => (to, Ok(id)),
                Err(what) => (from, self.peers[from].session.take_over(now, what)),
            };
            if let Ok(id) = taken {
                self.peers[at].sent.push((id, subscription));
            }
        }
    }
}
