//! Devices whose tree is not listed in one session.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::EventKind;

use super::fake::{Asked, gateway};
use super::limits::ONBOARD_TRIES;
use super::memory::{MEMORY, Memory, WALK};
use super::world::{PERIODIC, World};
use crate::southbound::cwmp::limits::Limits;

async fn is_known(world: &World) -> bool {
    !world.told(EventKind::DeviceOnboarded).await.is_empty()
}

/// How often each level was asked for.
fn levels(asked: &Asked) -> BTreeMap<String, usize> {
    let mut levels = BTreeMap::new();
    for line in asked.dialog() {
        if line.starts_with("ACS: GetParameterNames") && line.ends_with("its level") {
            *levels.entry(line).or_default() += 1;
        }
    }
    levels
}

#[tokio::test]
async fn a_device_that_breaks_off_while_it_is_listed_is_gone_on_with_where_it_broke_off() {
    let mut world = World::start("Device.").await;
    let fake = || gateway().names_max(20);
    let mut asked = world.session(fake().lists_only(1, false), PERIODIC).await;
    let mut sessions = 1;
    while !is_known(&world).await {
        sessions += 1;
        assert!(sessions < 60, "{:?}", levels(&asked));
        if sessions == 5 {
            world.restart().await;
        }
        let again = asked.again().names_max(20).lists_only(1, false);
        asked = world.session(again, PERIODIC).await;
    }
    // One in each session: far more sessions than a device has to get known that makes no progress.
    assert!(sessions > ONBOARD_TRIES, "{sessions}");
    // Once to break off, once to be answered.
    let levels = levels(&asked);
    assert!(levels.values().all(|times| *times <= 2), "{levels:?}");
    let (tenant, device) = (&world.tenant, world.device);
    let kept = world.store.state_get(tenant, device, WALK).await.unwrap();
    assert_eq!(kept, None);
    let kept = world.store.state_get(tenant, device, MEMORY).await.unwrap();
    let memory = Memory::of(kept.as_deref());
    assert_eq!((memory.walked, memory.failures), (None, 0));
}

/// `ONBOARD_TIME_MAX`
#[tokio::test]
async fn what_was_listed_when_the_time_ended_is_not_listed_again() {
    let mut world = World::start("Device.").await;
    let limits = Limits {
        onboard_time_max: Duration::from_millis(300),
        ..Limits::default()
    };
    world.limit(limits).await;
    let hangs = gateway().names_max(20).lists_only(5, true);
    let asked = world.session(hangs, PERIODIC).await;
    assert!(!is_known(&world).await);
    assert_eq!(asked.hanging(), 1);
    let first = levels(&asked);
    world.restart().await;
    let again = asked.again().names_max(20);
    world.session(again, PERIODIC).await;
    assert!(is_known(&world).await);
    let all = levels(&asked);
    let twice: Vec<_> = first.keys().filter(|level| all[*level] > 1).collect();
    // The one that hung.
    assert_eq!(twice.len(), 1, "{twice:?}");
}

#[tokio::test]
async fn a_device_whose_firmware_is_another_one_since_is_listed_anew() {
    let mut world = World::start("Device.").await;
    let fake = gateway().names_max(20).lists_only(5, false);
    let asked = world.session(fake, PERIODIC).await;
    let first = levels(&asked);
    world.software = "2.0";
    world.session(asked.again().names_max(20), PERIODIC).await;
    assert!(is_known(&world).await);
    let all = levels(&asked);
    assert!(first.keys().all(|level| all[level] == 2), "{all:?}");
}
