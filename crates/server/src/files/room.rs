//! How much at one time: transfers, bytes a second, bytes that are just coming in. Per server and
//! per tenant, so that one tenant's campaign leaves room for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleet::{TenantId, TransferId};
use tokio::time::Instant;

use super::limits::LINK_TRANSFERS_MAX;
use crate::config;

/// What is going on.
#[derive(Debug)]
pub struct Room {
    transfers_max: usize,
    tenant_transfers_max: usize,
    tenant_bytes_per_second: u64,
    all: Pace,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    transfers: usize,
    tenants: HashMap<TenantId, Tenant>,
    links: HashMap<TransferId, usize>,
}

#[derive(Debug, Default)]
struct Tenant {
    transfers: usize,
    /// Bytes that are coming in and have no row yet.
    coming: u64,
    pace: Option<Arc<Pace>>,
}

/// Which limit leaves no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Of the server.
    #[error("files.transfers_max")]
    Server,
    /// Of the tenant.
    #[error("files.tenant_transfers_max")]
    Tenant,
    /// What is free of the server's is left to other tenants.
    #[error("the tenant's share of files.transfers_max")]
    Share,
    /// Of the link.
    #[error("LINK_TRANSFERS_MAX")]
    Link,
}

impl Room {
    /// All free.
    pub fn new(config: &config::Files) -> Self {
        Self {
            transfers_max: config.transfers_max,
            tenant_transfers_max: config.tenant_transfers_max,
            tenant_bytes_per_second: config.tenant_bytes_per_second,
            all: Pace::new(config.bytes_per_second),
            now: Mutex::default(),
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one transfer, held as long as it lasts. A tenant may hold as many as are free: alone it gets half,
    /// and however many come for it, the next tenant finds a place.
    pub fn take(self: &Arc<Self>, tenant: &TenantId, link: TransferId) -> Result<Place, Full> {
        let mut now = self.now();
        if now.transfers >= self.transfers_max {
            return Err(Full::Server);
        }
        let free = self.transfers_max - now.transfers;
        let of_link = now.links.get(&link).copied().unwrap_or_default();
        if of_link >= LINK_TRANSFERS_MAX {
            return Err(Full::Link);
        }
        let of_tenant = now.tenants.entry(tenant.clone()).or_default();
        if of_tenant.transfers >= self.tenant_transfers_max {
            return Err(Full::Tenant);
        }
        if of_tenant.transfers >= free {
            return Err(Full::Share);
        }
        of_tenant.transfers += 1;
        let rate = self.tenant_bytes_per_second;
        let pace = of_tenant
            .pace
            .get_or_insert_with(|| Arc::new(Pace::new(rate)));
        let pace = pace.clone();
        now.transfers += 1;
        now.links.insert(link, of_link + 1);
        Ok(Place {
            room: self.clone(),
            tenant: tenant.clone(),
            link,
            pace,
        })
    }

    /// Transfers under way.
    pub fn transfers(&self) -> usize {
        self.now().transfers
    }

    /// Room for bytes that are coming in: so many of `left` are still free, and the first `here` need none. They may
    /// become more.
    pub fn expect(self: &Arc<Self>, tenant: &TenantId, left: u64, here: u64) -> Coming {
        Coming {
            room: self.clone(),
            tenant: tenant.clone(),
            left,
            here,
            bytes: 0,
        }
    }
}

impl Now {
    fn forget_idle(&mut self, tenant: &TenantId) {
        if self
            .tenants
            .get(tenant)
            .is_some_and(|one| one.transfers == 0 && one.coming == 0)
        {
            self.tenants.remove(tenant);
        }
    }
}

/// The place of one transfer.
#[derive(Debug)]
pub struct Place {
    room: Arc<Room>,
    tenant: TenantId,
    link: TransferId,
    pace: Arc<Pace>,
}

impl Place {
    /// Returns when so many bytes may go.
    pub async fn go(&self, bytes: usize) {
        let at = self.room.all.due(bytes).max(self.pace.due(bytes));
        tokio::time::sleep_until(at).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.room.now();
        now.transfers = now.transfers.saturating_sub(1);
        if let Some(count) = now.links.get_mut(&self.link) {
            *count -= 1;
            if *count == 0 {
                now.links.remove(&self.link);
            }
        }
        if let Some(tenant) = now.tenants.get_mut(&self.tenant) {
            tenant.transfers = tenant.transfers.saturating_sub(1);
        }
        now.forget_idle(&self.tenant);
    }
}

/// Bytes that are coming in.
#[derive(Debug)]
pub struct Coming {
    room: Arc<Room>,
    tenant: TenantId,
    left: u64,
    here: u64,
    bytes: u64,
}

impl Coming {
    /// There will be so many in all. False when there is no room for them beside what others of
    /// the tenant are sending.
    pub fn grow_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.here).saturating_sub(self.bytes);
        let mut now = self.room.now();
        let tenant = now.tenants.entry(self.tenant.clone()).or_default();
        if tenant.coming.saturating_add(more) > self.left {
            return false;
        }
        tenant.coming += more;
        self.bytes += more;
        true
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let mut now = self.room.now();
        if let Some(tenant) = now.tenants.get_mut(&self.tenant) {
            tenant.coming = tenant.coming.saturating_sub(self.bytes);
        }
        now.forget_idle(&self.tenant);
    }
}

/// A rate: each who asks gets the next moment at which that many bytes fit in.
#[derive(Debug)]
struct Pace {
    bytes_per_second: u64,
    free_at: Mutex<Instant>,
}

impl Pace {
    fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            free_at: Mutex::new(Instant::now()),
        }
    }

    /// When so many bytes may go. A second that nobody used is not saved up.
    fn due(&self, bytes: usize) -> Instant {
        let now = Instant::now();
        if self.bytes_per_second == 0 {
            return now;
        }
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = (*free_at).max(now);
        let takes = bytes as f64 / self.bytes_per_second as f64;
        *free_at = due + Duration::from_secs_f64(takes);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(change: impl FnOnce(&mut config::Files)) -> Arc<Room> {
        let mut config = config::Files::default();
        change(&mut config);
        Arc::new(Room::new(&config))
    }

    fn link(n: u128) -> TransferId {
        TransferId(uuid::Uuid::from_u128(n))
    }

    fn tenant(slug: &str) -> TenantId {
        TenantId::parse(slug).unwrap()
    }

    #[tokio::test]
    async fn a_server_a_tenant_and_a_link_have_so_many_places_and_give_them_back() {
        let room = room(|config| (config.transfers_max, config.tenant_transfers_max) = (4, 2));
        let (acme, other) = (tenant("acme"), tenant("other"));
        let first = room.take(&acme, link(1)).unwrap();
        let second = room.take(&acme, link(2)).unwrap();
        assert_eq!(room.take(&acme, link(3)).unwrap_err(), Full::Tenant);
        let _third = room.take(&other, link(4)).unwrap();
        let _fourth = room.take(&tenant("third"), link(5)).unwrap();
        assert_eq!(room.take(&other, link(6)).unwrap_err(), Full::Server);
        drop((first, second));
        room.take(&acme, link(3)).unwrap();
        let room = self::room(|_| {});
        let all: Vec<_> = (0..LINK_TRANSFERS_MAX)
            .map(|_| room.take(&acme, link(1)).unwrap())
            .collect();
        assert_eq!(room.take(&acme, link(1)).unwrap_err(), Full::Link);
        drop(all);
        assert_eq!(room.transfers(), 0);
        assert!(room.now().tenants.is_empty() && room.now().links.is_empty());
    }

    #[tokio::test]
    async fn however_many_come_for_two_tenants_the_third_finds_a_place() {
        let room = room(|config| (config.transfers_max, config.tenant_transfers_max) = (16, 12));
        let all = |slug: &str, first: u128| {
            let mut held = Vec::new();
            let full = loop {
                match room.take(&tenant(slug), link(first + held.len() as u128)) {
                    Ok(place) => held.push(place),
                    Err(full) => break full,
                }
            };
            (held, full)
        };
        let (acme, full) = all("acme", 100);
        assert_eq!((acme.len(), full), (8, Full::Share));
        let (other, _) = all("other", 200);
        assert_eq!(other.len(), 4);
        let (third, _) = all("third", 300);
        assert_eq!(third.len(), 2);
        drop((acme, other, third));
        assert!(room.now().tenants.is_empty());
    }

    #[tokio::test]
    async fn what_is_coming_in_at_one_time_does_not_get_the_same_room_twice() {
        let room = room(|_| {});
        let acme = tenant("acme");
        let mut one = room.expect(&acme, 100, 0);
        let mut other = room.expect(&acme, 100, 0);
        assert!(one.grow_to(60) && one.grow_to(60));
        assert!(!other.grow_to(50) && other.grow_to(40));
        assert!(!one.grow_to(61));
        drop(one);
        assert!(other.grow_to(100));
        // What is here already takes no room from others.
        let mut again = room.expect(&acme, 100, 70);
        assert!(again.grow_to(70) && !again.grow_to(71));
        drop(again);
        assert!(room.expect(&tenant("other"), 100, 0).grow_to(100));
        drop(other);
        assert!(room.now().tenants.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn transfers_share_the_bytes_a_second_of_their_tenant_and_of_the_server() {
        let room = room(|config| {
            (config.bytes_per_second, config.tenant_bytes_per_second) = (2_000, 1_000);
        });
        let (a, b) = (tenant("acme"), tenant("other"));
        let places = [
            room.take(&a, link(1)).unwrap(),
            room.take(&a, link(2)).unwrap(),
            room.take(&b, link(3)).unwrap(),
        ];
        let began = Instant::now();
        let go = async |place: &Place| {
            for _ in 0..10 {
                place.go(100).await;
            }
            began.elapsed()
        };
        let (one, two, three) = tokio::join!(go(&places[0]), go(&places[1]), go(&places[2]));
        // Two thousand bytes of one tenant at a thousand a second, a thousand of the other.
        let seconds = |took: Duration| took.as_secs_f64().round() as u64;
        assert_eq!([one, two, three].map(seconds), [2, 2, 1]);
    }
}
