//! What a device says by itself may decide an operation that cannot be claimed just then: another node has it, or the
//! store does not answer. Until a claim is answered the device is kept in mind for that, also where it goes, or was never
//! linked here. What it said is in the log: the claim comes with it.

use super::{Device, Dispatcher, Lane};
use crate::id::{DeviceId, TenantId};
use crate::limits;
use crate::southbound::Links;
use crate::time::Now;

impl Device {
    /// One that is not linked, and of which nothing is known yet.
    pub(super) fn of(tenant: TenantId) -> Self {
        Self {
            tenant,
            links: Links::default(),
            wanted: true,
            told: None,
            lane: Lane::Idle,
            timer: None,
        }
    }

    /// It is there, or what it said is to be looked at.
    pub(super) fn may_be_claimed(&self) -> bool {
        self.is_reachable() || self.told.is_some()
    }
}

impl Dispatcher {
    /// Keeps a device in mind that said something, if there is room.
    pub(super) fn keep_word(&mut self, device: DeviceId, now: Now) {
        let full = self.told >= limits::WORDS_MAX;
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        if full && entry.told.is_none() {
            return;
        }
        if entry.told.replace(now.later(limits::WORD_KEPT)).is_none() {
            self.told += 1;
        }
        entry.wanted = true;
    }

    /// A claim was answered since.
    pub(super) fn word_heard(&mut self, device: DeviceId) {
        let entry = self.devices.get_mut(&device);
        if entry.is_some_and(|entry| entry.told.take().is_some()) {
            self.told -= 1;
        }
    }

    /// The same where it was tried for long enough.
    pub(super) fn word_forgotten(&mut self, device: DeviceId, now: Now) {
        let told = self.devices.get(&device).and_then(|entry| entry.told);
        if told.is_some_and(|until| until <= now.mono) {
            self.word_heard(device);
        }
    }

    /// A device on which nothing is worked said something. One that is not linked here comes about to be, in most cases:
    /// then it is claimed for all that it is there for.
    pub(super) fn word_of_idle(&mut self, device: DeviceId, now: Now) {
        self.keep_word(device, now);
        match self.devices.get(&device) {
            Some(entry) if entry.is_reachable() => self.make_ready(device),
            Some(entry) if entry.told.is_some() => self.later(device, now),
            _ => self.forget_if_idle(device),
        }
    }
}
