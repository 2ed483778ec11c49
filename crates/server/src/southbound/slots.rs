//! Places (for onboardings, for sessions, for each KiB of their messages), shared fairly between tenants: a tenant may
//! hold as many as are free, so that some are always left for the others, however slow its devices are, and alone it
//! gets half.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::TenantId;
use tokio::sync::oneshot;

/// The places; of those whose tenant is not known yet too, where `T` says so.
#[derive(Debug)]
pub struct Slots<T: Eq + Hash + Clone = TenantId>(Arc<Mutex<Inner<T>>>);

#[derive(Debug)]
struct Inner<T: Eq + Hash + Clone> {
    free: usize,
    tenants: HashMap<T, Share<T>>,
}

/// What one tenant has and waits for.
#[derive(Debug)]
struct Share<T: Eq + Hash + Clone> {
    held: usize,
    waiting: VecDeque<oneshot::Sender<Slot<T>>>,
}

impl<T: Eq + Hash + Clone> Default for Share<T> {
    fn default() -> Self {
        let (held, waiting) = (0, VecDeque::new());
        Self { held, waiting }
    }
}

impl<T: Eq + Hash + Clone> Share<T> {
    /// One more waits. Those who left are swept out before there is need for more memory.
    fn wait(&mut self, sender: oneshot::Sender<Slot<T>>) {
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.retain(|waiter| !waiter.is_closed());
        }
        self.waiting.push_back(sender);
    }
}

/// One place, or some; given back when dropped.
#[derive(Debug)]
pub struct Slot<T: Eq + Hash + Clone = TenantId> {
    slots: Slots<T>,
    tenant: T,
    count: usize,
}

impl<T: Eq + Hash + Clone> Clone for Slots<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Eq + Hash + Clone> Slots<T> {
    /// This many, for all tenants together.
    pub fn new(count: usize) -> Self {
        let (free, tenants) = (count, HashMap::new());
        Self(Arc::new(Mutex::new(Inner { free, tenants })))
    }

    /// A place for a tenant; waits its turn. Dropping the future gives it up.
    pub async fn take(&self, tenant: &T) -> Slot<T> {
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
    pub fn try_take(&self, tenant: &T) -> Option<Slot<T>> {
        let mut inner = self.lock();
        let (free, waits) = (inner.free, inner.someone_waits());
        let held = inner.tenants.get(tenant).map_or(0, |share| share.held);
        if waits || held >= free {
            return None;
        }
        inner.free -= 1;
        inner.tenants.entry(tenant.clone()).or_default().held += 1;
        Some(self.slot(tenant.clone()))
    }

    /// How many a tenant has, and how many are free.
    pub fn room(&self, tenant: &T) -> (usize, usize) {
        let inner = self.lock();
        let held = inner.tenants.get(tenant).map_or(0, |share| share.held);
        (held, inner.free)
    }

    fn slot(&self, tenant: T) -> Slot<T> {
        let slots = self.clone();
        Slot {
            slots,
            tenant,
            count: 1,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out what is free. Sent outside of the lock: whoever waited may be gone, and then the
    /// place is dropped, which gives it back.
    fn grant(&self) {
        loop {
            let next = self.lock().next();
            let Some((tenant, waiter)) = next else { return };
            drop(waiter.send(self.slot(tenant)));
        }
    }
}

impl<T: Eq + Hash + Clone> Slot<T> {
    /// As many places at once as there have to be, or none more: whoever waits goes first.
    pub fn try_grow(&mut self, count: usize) -> bool {
        let more = count.saturating_sub(self.count);
        if more == 0 {
            return true;
        }
        let mut inner = self.slots.lock();
        let (free, waits) = (inner.free, inner.someone_waits());
        let Some(share) = inner.tenants.get_mut(&self.tenant) else {
            return false;
        };
        // As if each were taken by itself.
        let last = more - 1;
        if waits || share.held + last >= free.saturating_sub(last) {
            return false;
        }
        share.held += more;
        inner.free -= more;
        self.count += more;
        true
    }
}

impl<T: Eq + Hash + Clone> Drop for Slot<T> {
    fn drop(&mut self) {
        let mut inner = self.slots.lock();
        inner.free += self.count;
        if let Some(share) = inner.tenants.get_mut(&self.tenant) {
            share.held -= self.count;
            if share.held == 0 && share.waiting.is_empty() {
                inner.tenants.remove(&self.tenant);
            }
        }
        drop(inner);
        self.slots.grant();
    }
}

impl<T: Eq + Hash + Clone> Inner<T> {
    fn someone_waits(&self) -> bool {
        let mut shares = self.tenants.values();
        shares.any(|share| share.waiting.iter().any(|waiter| !waiter.is_closed()))
    }

    /// Who is next: of the tenants that may have one more, the one that holds the fewest.
    fn next(&mut self) -> Option<(T, oneshot::Sender<Slot<T>>)> {
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

    #[test]
    fn a_place_grows_as_far_as_the_share_goes_and_all_of_it_is_given_back() {
        let slots = Slots::new(16);
        let mut big = slots.try_take(&tenant("a")).unwrap();
        assert!(big.try_grow(8) && big.try_grow(8) && !big.try_grow(9));
        let mut other = slots.try_take(&tenant("b")).unwrap();
        assert!(!other.try_grow(5) && other.try_grow(4));
        drop((big, other));
        assert!(slots.lock().tenants.is_empty());
        assert_eq!(slots.lock().free, 16);
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
