//! What is remembered of a device between its sessions: a small document beside its tree. No
//! secrets.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fleet::{DeviceId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use store::Store;

use super::limits::{
    CREDENTIAL_AGAIN, ONBOARD_PAUSE_MAX, ONBOARD_PAUSE_MIN, ONBOARD_TRIES, PENDING_LIFE,
    PENDING_MAX, UNSURE_LIFE, WISH_LIFE, WISHES_MAX,
};
use super::subscribe::Row;

/// The name of this document in the store.
pub const MEMORY: &str = "cwmp";
/// The name of the tree.
pub const TREE: &str = "cwmp_tree";
/// The name of what was found of a tree that is not listed to its end.
pub const WALK: &str = "cwmp_walk";
/// The name of the numbers that TR-181 rows of a TR-098 device have.
pub const NUMBERS: &str = "cwmp_numbers";
/// The name of what was learned of a model.
pub const HABITS: &str = "cwmp_habits";

/// What is remembered of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The root of its names, with the dot.
    pub root: String,
    /// The firmware that the tree is of.
    pub software: String,
    /// It is known, read, and reports by itself.
    pub complete: bool,
    /// A hash of what its last Inform told.
    pub told: u64,
    /// A hash of the events of its last Inform, and how often it had tried.
    pub events: (u64, u32),
    /// What it was asked to report.
    pub subscriptions: Vec<Row>,
    /// Commands that it works on.
    pub pending: Vec<Pending>,
    /// The number of the last of them, or of the subscriptions.
    pub last_row: u32,
    /// Sessions in which it could not be got to know, one after the other.
    pub failures: u32,
    /// Until then it is not tried again, in milliseconds.
    pub paused_until: i64,
    /// When it refused a credential of its own, in milliseconds.
    pub refused_credential: Option<i64>,
    /// How far it is listed, while it is got to know.
    pub walked: Option<Walked>,
    /// Hashes of the downloads that it wished for lately, and when, in milliseconds.
    pub wishes: Vec<(u64, i64)>,
}

/// How far a device was listed that is not known yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walked {
    /// Its maker, class and firmware: another one is listed anew.
    pub kind: String,
    /// When that began, in milliseconds.
    pub since: i64,
    /// How many of its objects.
    pub listed: usize,
    /// All of it: the tree is kept.
    pub done: bool,
}

/// A command that the device works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its row in the table that operations look at.
    pub row: u32,
    /// Full path of the command.
    pub command: String,
    /// The command key of the operation.
    pub key: String,
    /// When it was asked, in milliseconds.
    pub since: i64,
    /// The device has taken it on. Otherwise its answer has not come.
    pub sure: bool,
    /// What it is.
    pub work: Work,
}

/// What a device works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum Work {
    /// It starts again.
    Reboot,
    /// It starts again, with nothing that it knew.
    FactoryReset,
    /// It fetches a file.
    Download {
        /// The firmware it had before, when it fetches another one.
        firmware: Option<String>,
    },
    /// It sends a file.
    Upload,
    /// It examines something.
    Diagnostics {
        /// The object with the state, a path of ours.
        object: String,
    },
    /// It changes its software modules.
    Modules,
    /// It comes at a time.
    Timer,
}

/// The command keys of what a device works on.
pub async fn works_on(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
) -> store::Result<Vec<String>> {
    let kept = store.state_get(tenant, device, MEMORY).await?;
    let pending = Memory::of(kept.as_deref()).pending.into_iter();
    Ok(pending.map(|one| one.key).collect())
}

impl Memory {
    /// What was kept; what cannot be read is forgotten.
    pub fn of(kept: Option<&[u8]>) -> Self {
        kept.and_then(|text| serde_json::from_slice(text).ok())
            .unwrap_or_default()
    }

    /// As it is kept.
    pub fn kept(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The number of one more row of a table that is kept here.
    pub fn next_row(&mut self) -> u32 {
        self.last_row = self.last_row.checked_add(1).unwrap_or(1);
        self.last_row
    }

    /// Whether it is worth telling it a credential of its own: one that takes none is not told one
    /// each time that it comes.
    pub fn may_take_credential(&self, now: Timestamp) -> bool {
        let since = self.refused_credential.map(Timestamp::from_millis);
        since.is_none_or(|since| now.since(since) > CREDENTIAL_AGAIN)
    }

    /// Whether it has wished for this download just before: it has not heard the answer.
    pub fn wishes_again(&self, what: u64, now: Timestamp) -> bool {
        let lately = |at: i64| now.since(Timestamp::from_millis(at)) <= WISH_LIFE;
        self.wishes
            .iter()
            .any(|(known, at)| *known == what && lately(*at))
    }

    /// It has wished for a download, which was told.
    pub fn wished(&mut self, what: u64, now: Timestamp) {
        self.wishes.retain(|(known, _)| *known != what);
        if self.wishes.len() >= WISHES_MAX {
            self.wishes.remove(0);
        }
        self.wishes.push((what, now.as_millis()));
    }

    /// A command is about to be asked; its row. None where it works on so many already: what is waited
    /// for is not forgotten for it. A start there is always room for, one of each kind, since it ends
    /// most of the others.
    pub fn begin(&mut self, command: &str, key: &str, work: Work, now: Timestamp) -> Option<u32> {
        // The same asked again takes the place of what it was.
        self.pending.retain(|known| known.key != key);
        if self.pending.len() >= PENDING_MAX {
            self.prune(now);
        }
        if self.pending.len() >= PENDING_MAX {
            match work {
                Work::Reboot | Work::FactoryReset => self.pending.retain(|one| one.work != work),
                _ => return None,
            }
        }
        let row = self.next_row();
        self.pending.push(Pending {
            row,
            command: command.to_owned(),
            key: key.to_owned(),
            since: now.as_millis(),
            sure: false,
            work,
        });
        Some(row)
    }

    /// It could not be got to know. A device that never lets that happen is asked less and less often.
    pub fn failed(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        if let Some(over) = self.failures.checked_sub(ONBOARD_TRIES) {
            let pause = ONBOARD_PAUSE_MIN.saturating_mul(1 << over.min(16));
            self.paused_until = now.plus(pause.min(ONBOARD_PAUSE_MAX)).as_millis();
        }
    }

    /// It says something new, or is known: what was before does not count any more.
    pub fn tried(&mut self) {
        (self.failures, self.paused_until) = (0, 0);
    }

    /// The device has taken it on.
    pub fn accepted(&mut self, key: &str) {
        if let Some(pending) = self.pending.iter_mut().find(|known| known.key == key) {
            pending.sure = true;
        }
    }

    /// It came to its end, or was not taken on.
    pub fn end(&mut self, key: &str) -> Option<Pending> {
        let at = self.pending.iter().position(|known| known.key == key)?;
        Some(self.pending.remove(at))
    }

    /// Forgets what nobody waits for any more.
    pub fn prune(&mut self, now: Timestamp) {
        self.pending.retain(|pending| {
            let life = match pending.sure {
                true => PENDING_LIFE,
                false => UNSURE_LIFE,
            };
            pending.age(now) <= life
        });
    }

    /// The work of this kind that was begun last.
    pub fn last(&self, is_it: impl Fn(&Work) -> bool) -> Option<&Pending> {
        self.pending
            .iter()
            .rev()
            .find(|pending| is_it(&pending.work))
    }

    /// Whether something was asked of it with which it starts again.
    pub fn restarts(&self) -> bool {
        let starts = |work: &Work| {
            matches!(
                work,
                Work::Reboot | Work::FactoryReset | Work::Download { firmware: Some(_) }
            )
        };
        self.last(starts).is_some()
    }
}

impl Pending {
    /// How long ago it was asked.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_millis(self.since))
    }

    /// The object and the name of its command.
    pub fn named(&self) -> (&str, &str) {
        fleet::model::split(&self.command).unwrap_or(("", &self.command))
    }
}

/// A command key as it goes over the wire: an id in 22 characters. CWMP has room for 32, but some
/// clients (netcwmp) keep 32 bytes with a zero at the end, and say the longest keys with what
/// follows in their memory.
pub fn wire_key(key: &str) -> String {
    match uuid::Uuid::parse_str(key) {
        Ok(id) => BASE64_URL_SAFE_NO_PAD.encode(id.as_bytes()),
        Err(_) => key.chars().take(32).collect(),
    }
}

/// The command key of an operation, of what came over the wire.
pub fn own_key(wire: &str) -> String {
    let wire = wire.trim();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(wire).ok();
    match bytes.and_then(|bytes| uuid::Uuid::from_slice(&bytes).ok()) {
        Some(id) => id.hyphenated().to_string(),
        None => wire.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_key_fits_the_wire_and_comes_back() {
        let key = "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6";
        let wire = wire_key(key);
        // Less than the 32 that are allowed, with which some clients cannot cope.
        assert_eq!(wire.len(), 22);
        assert_eq!(own_key(&format!("\n  {wire} ")), key);
        assert_eq!(own_key("another"), "another");
        assert!(wire_key(&"x".repeat(100)).len() <= 32);
    }

    #[test]
    fn what_is_remembered_reads_back_and_nonsense_is_nothing() {
        let mut memory = Memory::default();
        let now = Timestamp::from_millis(1_000);
        let row = memory.begin("Device.Reboot()", "k", Work::Reboot, now);
        memory.accepted("k");
        let again = Memory::of(Some(&memory.kept()));
        assert_eq!(again, memory);
        assert!(again.pending[0].sure && row == Some(1));
        assert_eq!(Memory::of(Some(b"{")), Memory::default());
        assert_eq!(memory.end("k").map(|pending| pending.row), Some(1));
        assert_eq!(memory.end("k"), None);
    }

    /// `ONBOARD_TRIES`, `ONBOARD_PAUSE_MIN`, `ONBOARD_PAUSE_MAX`
    #[test]
    fn a_device_that_cannot_be_got_to_know_is_asked_less_and_less_often() {
        let now = Timestamp::from_millis(1_000);
        let mut memory = Memory::default();
        let mut pauses = Vec::new();
        for _ in 0..ONBOARD_TRIES + 40 {
            memory.failed(now);
            let until = Timestamp::from_millis(memory.paused_until);
            pauses.push(until.since(now));
        }
        let tries = ONBOARD_TRIES as usize;
        assert!(pauses[..tries - 1].iter().all(Duration::is_zero));
        assert_eq!(pauses[tries - 1], ONBOARD_PAUSE_MIN);
        assert_eq!(pauses[tries], 2 * ONBOARD_PAUSE_MIN);
        assert_eq!(pauses.last(), Some(&ONBOARD_PAUSE_MAX));
        memory.tried();
        assert_eq!(memory, Memory::default());
    }

    /// `WISHES_MAX`, `WISH_LIFE`
    #[test]
    fn a_wish_is_told_again_after_a_while_and_so_many_are_remembered() {
        let mut memory = Memory::default();
        let now = Timestamp::from_millis(1_000);
        for what in 0..=WISHES_MAX as u64 {
            assert!(!memory.wishes_again(what, now));
            memory.wished(what, now);
            assert!(memory.wishes_again(what, now.plus(WISH_LIFE)));
        }
        assert_eq!(memory.wishes.len(), WISHES_MAX);
        assert!(!memory.wishes_again(0, now), "the oldest");
        let later = now.plus(WISH_LIFE + Duration::from_secs(1));
        assert!(!memory.wishes_again(1, later));
        memory.wished(1, later);
        assert_eq!(memory.wishes.len(), WISHES_MAX);
        assert!(memory.wishes_again(1, later));
    }

    /// `CREDENTIAL_AGAIN`
    #[test]
    fn a_device_that_refused_a_credential_is_told_one_again_after_a_while() {
        let mut memory = Memory::default();
        let now = Timestamp::from_millis(1_000);
        assert!(memory.may_take_credential(now));
        memory.refused_credential = Some(now.as_millis());
        assert!(!memory.may_take_credential(now.plus(CREDENTIAL_AGAIN)));
        let later = now.plus(CREDENTIAL_AGAIN + Duration::from_secs(1));
        assert!(memory.may_take_credential(later));
        assert_eq!(Memory::of(Some(&memory.kept())), memory);
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_forgotten() {
        let mut memory = Memory::default();
        let begun = Timestamp::from_millis(1_000);
        memory.begin("A()", "sure", Work::Upload, begun);
        memory.accepted("sure");
        memory.begin("A()", "unsure", Work::Upload, begun);
        memory.prune(begun.plus(UNSURE_LIFE + Duration::from_secs(1)));
        assert_eq!(memory.pending.len(), 1);
        memory.prune(begun.plus(PENDING_LIFE + Duration::from_secs(1)));
        assert!(memory.pending.is_empty());
    }

    /// `PENDING_MAX`
    #[test]
    fn a_device_that_works_on_much_is_asked_for_no_more_and_nothing_of_it_is_forgotten() {
        let mut memory = Memory::default();
        let begun = Timestamp::from_millis(1_000);
        let begin = |memory: &mut Memory, key: &str, work, at| memory.begin("A()", key, work, at);
        for n in 0..PENDING_MAX {
            let key = n.to_string();
            assert!(begin(&mut memory, &key, Work::Upload, begun).is_some());
            memory.accepted(&key);
        }
        let before = memory.pending.clone();
        assert_eq!(begin(&mut memory, "more", Work::Upload, begun), None);
        assert_eq!(memory.pending, before);
        // The same again, and a start of each kind.
        assert!(begin(&mut memory, "0", Work::Upload, begun).is_some());
        for key in ["a", "b"] {
            for work in [Work::Reboot, Work::FactoryReset] {
                let key = format!("{key}{work:?}");
                assert!(begin(&mut memory, &key, work, begun).is_some());
            }
        }
        assert_eq!(memory.pending.len(), PENDING_MAX + 2);
        assert!((0..PENDING_MAX).all(|n| memory.end(&n.to_string()).is_some()));
        // What nobody waits for any more makes room.
        for n in 0..PENDING_MAX {
            begin(&mut memory, &n.to_string(), Work::Upload, begun);
        }
        let later = begun.plus(UNSURE_LIFE + Duration::from_secs(1));
        assert!(begin(&mut memory, "late", Work::Upload, later).is_some());
        assert_eq!(memory.pending.len(), 1);
    }
}
