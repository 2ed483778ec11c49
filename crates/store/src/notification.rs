//! Notifications on their way into the log: committed before they are answered, many per commit, each once. The
//! log itself is the memory of what came already: an event carries the key of its notification, and a device's last
//! few hundred keys are kept beside the writer, read from the log when needed. There is no table to prune.

use std::collections::{HashMap, VecDeque};

use fleet::{DeviceId, Event, TenantId};
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::job::Job;
use crate::limits::{RECENT_DEVICES_MAX, RECENT_PER_DEVICE_MAX};
use crate::sql::sql;
use crate::writer::{BoxFuture, Tx};
use crate::{SecretHash, Store};

/// A notification as an adapter received it.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// The device it came from.
    pub device: DeviceId,
    /// What makes it equal to a repetition of itself (message id and content).
    pub key: SecretHash,
    /// What it means; the first event carries the key. At least one, all of the tenant.
    pub events: Vec<Event>,
}

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is in the log; the number of its last event.
    Stored(u64),
    /// It had been stored before.
    Duplicate,
}

/// What the memory learns when the group is committed.
pub(crate) struct Staged {
    tenant: TenantId,
    device: DeviceId,
    key: i64,
}

/// The keys of recent notifications. Two generations, so that forgetting the least used costs nothing.
#[derive(Default)]
pub(crate) struct Recent {
    young: HashMap<(TenantId, DeviceId), VecDeque<i64>>,
    old: HashMap<(TenantId, DeviceId), VecDeque<i64>>,
    /// Up to which event of each tenant the memory is complete. Another node may have written since.
    seen: HashMap<TenantId, u64>,
}

impl Recent {
    /// Takes over what a committed group wrote.
    pub(crate) fn learn(&mut self, staged: Vec<Staged>, heads: &HashMap<TenantId, u64>) {
        for Staged {
            tenant,
            device,
            key,
        } in staged
        {
            push(self.young.entry((tenant, device)).or_default(), key);
        }
        for (tenant, head) in heads {
            match self.seen.get_mut(tenant) {
                Some(seen) => *seen = *head,
                None => {
                    self.seen.insert(tenant.clone(), *head);
                }
            }
        }
        if self.young.len() > RECENT_DEVICES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }

    /// Forgets a tenant's devices when somebody else has appended to its log.
    fn check(&mut self, tenant: &TenantId, head: u64) {
        if self.seen.get(tenant) != Some(&head) {
            self.young.retain(|(of, _), _| of != tenant);
            self.old.retain(|(of, _), _| of != tenant);
            self.seen.insert(tenant.clone(), head);
        }
    }

    fn keys(&mut self, of: &(TenantId, DeviceId)) -> Option<&VecDeque<i64>> {
        if let Some(keys) = self.old.remove(of) {
            self.young.entry(of.clone()).or_insert(keys);
        }
        self.young.get(of)
    }
}

fn push(keys: &mut VecDeque<i64>, key: i64) {
    if keys.len() >= RECENT_PER_DEVICE_MAX {
        keys.pop_front();
    }
    keys.push_back(key);
}

/// 64 bits of the hash tell a device's few hundred notifications apart.
fn short(key: &SecretHash) -> i64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&key[..8]);
    i64::from_le_bytes(bytes)
}

struct Batch {
    tenant: TenantId,
    notifications: Vec<Notification>,
    committed: Vec<Committed>,
    reply: oneshot::Sender<Result<Vec<Committed>>>,
}

impl Job for Batch {
    fn tenant(&self) -> Option<&TenantId> {
        Some(&self.tenant)
    }

    fn touches_rows(&self) -> bool {
        false
    }

    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            for notification in std::mem::take(&mut self.notifications) {
                let outcome = one(tx, &self.tenant, notification).await?;
                self.committed.push(outcome);
            }
            Ok(())
        })
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        let Batch {
            committed, reply, ..
        } = *self;
        let _ = reply.send(outcome.map(|()| committed));
    }
}

async fn one(tx: &mut Tx, tenant: &TenantId, notification: Notification) -> Result<Committed> {
    let device = notification.device;
    let key = short(&notification.key);
    let committed = tx.committed_head(tenant).await?;
    tx.recent.check(tenant, committed);
    let of = (tenant.clone(), device);
    let twice = tx
        .staged
        .iter()
        .any(|staged| staged.key == key && staged.device == device && staged.tenant == *tenant);
    if twice {
        return Ok(Committed::Duplicate);
    }
    let known = tx.recent.keys(&of).map(|keys| keys.contains(&key));
    let known = match known {
        Some(known) => known,
        None => {
            let keys = load(tx, tenant, device).await?;
            let known = keys.contains(&key);
            tx.recent.young.insert(of, keys);
            known
        }
    };
    if known {
        return Ok(Committed::Duplicate);
    }
    let mut seq = None;
    for event in notification.events {
        if event.tenant != *tenant {
            return Err(Error::Invalid("an event of another tenant".to_owned()));
        }
        let dedupe = seq.is_none().then_some(key);
        seq = Some(tx.append(event, dedupe).await?);
    }
    let seq = seq.ok_or_else(|| Error::Invalid("a notification without an event".to_owned()))?;
    tx.staged.push(Staged {
        tenant: tenant.clone(),
        device,
        key,
    });
    Ok(Committed::Stored(seq))
}

/// The keys of a device's last notifications, from the log.
async fn load(tx: &mut Tx, tenant: &TenantId, device: DeviceId) -> Result<VecDeque<i64>> {
    let statement = sql(
        "SELECT dedupe FROM event WHERE tenant = $1 AND device = $2 ORDER BY seq DESC LIMIT $3",
    )
    .bind(tenant)
    .bind(device)
    .bind(RECENT_PER_DEVICE_MAX);
    let mut keys = VecDeque::new();
    for row in tx.all(statement).await? {
        if let Some(key) = row.columns().take::<Option<i64>>()? {
            keys.push_front(key);
        }
    }
    Ok(keys)
}

impl Store {
    /// Commits notifications of one tenant in order. Answered when they are durable: only then may the device be
    /// told. Callers that wait at the same time share a commit.
    pub async fn commit_notifications(
        &self,
        tenant: &TenantId,
        notifications: Vec<Notification>,
    ) -> Result<Vec<Committed>> {
        let (reply, answer) = oneshot::channel();
        let job = Batch {
            tenant: tenant.clone(),
            committed: Vec::with_capacity(notifications.len()),
            notifications,
            reply,
        };
        self.writers.submit(Box::new(job)).await?;
        answer
            .await
            .map_err(|_| Error::Unavailable("the store is closed".to_owned()))?
    }

    /// Commits one notification.
    pub async fn commit_notification(
        &self,
        tenant: &TenantId,
        notification: Notification,
    ) -> Result<Committed> {
        let committed = self
            .commit_notifications(tenant, vec![notification])
            .await?;
        committed
            .first()
            .copied()
            .ok_or_else(|| Error::Unavailable("no answer from the writer".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_notifications_of_so_many_devices_are_remembered_and_of_those_that_were_asked_for() {
        let tenant = TenantId::parse("acme").unwrap();
        let of = |n: usize| (tenant.clone(), DeviceId(uuid::Uuid::from_u128(n as u128)));
        let mut recent = Recent::default();
        for n in 0..RECENT_DEVICES_MAX * 2 {
            let (tenant, device) = of(n);
            let staged = Staged {
                tenant,
                device,
                key: 1,
            };
            recent.learn(vec![staged], &HashMap::new());
            // One that keeps sending is not forgotten.
            assert!(n == 0 || recent.keys(&of(1)).is_some());
            assert!(recent.young.len() + recent.old.len() <= RECENT_DEVICES_MAX + 1);
        }
        assert!(recent.keys(&of(2)).is_none());
    }
}
