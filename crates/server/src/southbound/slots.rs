//! Places (for onboardings, for sessions), shared fairly between tenants: a tenant may hold as many as are free, so
//! that some are always left for the others, however slow its devices are, and alone it gets half.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::TenantId;
use tokio::sync::oneshot;

/// The places.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    free: usize,
    tenants: HashMap<TenantId, Share>,
}

/// What one tenant has and waits for.
#[derive(Debug, Default)]
struct Share {
    held: usize,
    waiting: VecDeque<oneshot::Sender<Slot>>,
}

impl Share {
    /// One more waits. Those who left are swept out before there is need for more memory.
    fn wait(&mut self, sender: oneshot::Sender<Slot>) {
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.retain(|waiter| !waiter.is_closed());
        }
        self.waiting.push_back(sender);
    }
}

/// One place; given back when dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Slots,
    tenant: TenantId,
}

impl Slots {
    /// This many, for all tenants together.
    pub fn new(count: usize) -> Self {
        let (free, tenants) = (count, HashMap::new());
        Self(Arc::new(Mutex::new(Inner { free, tenants })))
    }

    /// A place for a tenant; waits its turn. Dropping the future gives it up.
    pub async fn take(&self, tenant: &TenantId) -> Slot {
        loop {
            let (sender, granted) = oneshot::channel();
            self.lock()
                .tenants
                .entry(tenant.clone())
                .or_default()
                .wait(sender);
            self.grant();
            if let Ok(slot) = granted.await {
                return slot;
            }
        }
    }

    /// A place at once, or none: whoever waits goes first.
    pub fn try_take(&self, tenant: &TenantId) -> Option<Slot> {
        let mut inner = self.lock();
        let (free, waits) = (inner.free, inner.someone_waits());
        let held = inner.tenants.get(tenant).map_or(0, |share| share.held);
        if waits || held >= free {
            return None;
        }
        inner.free -= 1;
        inner.tenants.entry(tenant.clone()).or_default().held += 1;
        let (slots, tenant) = (self.clone(), tenant.clone());
        Some(Slot { slots, tenant })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out what is free. Sent outside of the lock: whoever waited may be gone, and then the
    /// place is dropped, which gives it back.
    fn grant(&self) {
        loop {
            let next = self.lock().next();
            let Some((tenant, waiter)) = next else { return };
            let slots = self.clone();
            drop(waiter.send(Slot { slots, tenant }));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut inner = self.slots.lock();
        inner.free += 1;
        if let Some(share) = inner.tenants.get_mut(&self.tenant) {
            share.held -= 1;
            if share.held == 0 && share.waiting.is_empty() {
                inner.tenants.remove(&self.tenant);
            }
        }
        drop(inner);
        self.slots.grant();
    }
}

impl Inner {
    fn someone_waits(&self) -> bool {
        let mut shares = self.tenants.values();
        shares.any(|share| share.waiting.iter().any(|waiter| !waiter.is_closed()))
    }

    /// Who is next: of the tenants that may have one more, the one that holds the fewest.
    fn next(&mut self) -> Option<(TenantId, oneshot::Sender<Slot>)> {
        self.tenants.retain(|_, share| {
            while share
                .waiting
                .front()
                .is_some_and(oneshot::Sender::is_closed)
            {
                share.waiting.pop_front();
            }
            share.held > 0 || !share.waiting.is_empty()
        });
        let free = self.free;
        let (tenant, share) = self
            .tenants
            .iter_mut()
            .filter(|(_, share)| !share.waiting.is_empty() && share.held < free)
            .min_by_key(|(_, share)| share.held)?;
        let waiter = share.waiting.pop_front()?;
        share.held += 1;
        self.free -= 1;
        Some((tenant.clone(), waiter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    /// As many as are granted at once.
    fn all(slots: &Slots, name: &str) -> Vec<Slot> {
        std::iter::from_fn(|| slots.take(&tenant(name)).now_or_never()).collect()
    }

    #[test]
    fn a_tenant_alone_gets_half_and_the_others_always_find_a_place() {
        let slots = Slots::new(64);
        let first = all(&slots, "a");
        assert_eq!(first.len(), 32);
        let second = all(&slots, "b");
        assert_eq!(second.len(), 16);
        assert_eq!(all(&slots, "c").len(), 8);
        drop((first, second));
        assert_eq!(slots.lock().free, 64);
        assert_eq!(all(&slots, "a").len(), 32);
    }

    #[test]
    fn a_place_is_given_at_once_or_not_at_all() {
        let slots = Slots::new(4);
        let take = |name: &str| slots.try_take(&tenant(name));
        let held: Vec<Slot> = std::iter::from_fn(|| take("a")).collect();
        assert_eq!(held.len(), 2);
        let other = take("b");
        assert!(other.is_some() && take("a").is_none());
        drop((held, other));
        assert!(slots.lock().tenants.is_empty());
        assert_eq!(slots.lock().free, 4);
    }

    #[tokio::test]
    async fn who_holds_the_fewest_is_next_and_who_left_is_not_waited_for() {
        let slots = Slots::new(4);
        let (a, b) = (tenant("a"), tenant("b"));
        let mut held = all(&slots, "a");
        held.extend(all(&slots, "b"));
        assert_eq!((held.len(), slots.lock().free), (3, 1));
        let mut left = Box::pin(slots.take(&a));
        assert!(left.as_mut().now_or_never().is_none());
        let mut waits = Box::pin(slots.take(&a));
        assert!(waits.as_mut().now_or_never().is_none());
        let mut other = Box::pin(slots.take(&b));
        assert!(other.as_mut().now_or_never().is_none());
        drop(left);
        // One of a's two is given back: b, which has one, may have another; a not yet.
        held.remove(0);
        let granted = (other.as_mut().now_or_never(), waits.as_mut().now_or_never());
        assert!(granted.0.is_some() != granted.1.is_some());
        drop((granted, held));
        assert!(slots.lock().free > 0);
        drop((waits, other));
        slots.grant();
        assert!(slots.lock().tenants.is_empty());
        assert_eq!(slots.lock().free, 4);
    }

    #[test]
    fn devices_that_come_and_go_while_another_waits_leave_nothing_behind() {
        let slots = Slots::new(1);
        let held = all(&slots, "a");
        let a = tenant("a");
        let mut first = Box::pin(slots.take(&a));
        assert!(first.as_mut().now_or_never().is_none());
        for _ in 0..10_000 {
            assert!(slots.take(&a).now_or_never().is_none());
        }
        assert!(slots.lock().tenants[&a].waiting.capacity() < 64);
        drop(held);
        assert!(first.now_or_never().is_some());
    }
}
