//! Devices whose tree is not listed in one session.

use std::collections::BTreeMap;
use std::time::Duration;

use cwmp::rpc::Method;
use cwmp::value::Value;
use fleet::EventKind;

use super::fake::{Asked, gateway};
use super::limits::ONBOARD_TRIES;
use super::memory::{MEMORY, Memory, WALK};
use super::world::{PERIODIC, World};
use crate::southbound::cwmp::limits::Limits;
use crate::state::now;

async fn memory(world: &World) -> Memory {
    let (tenant, device) = (&world.tenant, world.device);
    let kept = world.store.state_get(tenant, device, MEMORY).await.unwrap();
    Memory::of(kept.as_deref())
}

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
    let memory = memory(&world).await;
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
    // Not as far as the walk of the older one, and a step forward all the same.
    let shorter = asked.again().names_max(20).lists_only(2, false);
    world.session(shorter, PERIODIC).await;
    let kept = memory(&world).await;
    assert_eq!((kept.walked.unwrap().listed, kept.failures), (2, 0));
    // What it has listed is lost, as far as it is known.
    let (tenant, device) = (&world.tenant, world.device);
    let lost = world
        .store
        .state_change(tenant, device, WALK, None, now(), Vec::new());
    assert!(lost.await.unwrap());
    let shorter = asked.again().names_max(20).lists_only(1, false);
    world.session(shorter, PERIODIC).await;
    let kept = memory(&world).await;
    assert_eq!((kept.walked.unwrap().listed, kept.failures), (1, 0));
    world.session(asked.again().names_max(20), PERIODIC).await;
    assert!(is_known(&world).await);
    let all = levels(&asked);
    assert!(first.keys().all(|level| all[level] > 1), "{all:?}");
}

/// `STATE_BYTES_MAX`
#[tokio::test]
async fn what_is_too_large_to_be_kept_of_a_walk_is_no_progress() {
    let world = World::start("Device.").await;
    let mut fake = gateway().names_max(16_005).lists_only(3, false);
    let mut noise = 1_u64;
    for _ in 0..16_000 {
        let mut name = "Device.A.".to_owned();
        while name.len() < 200 {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            name.push_str(&format!("{:08x}", noise >> 32));
        }
        fake = fake.with_param(&name, Value::string(""));
    }
    let asked = world.session(fake, PERIODIC).await;
    for failures in 1..3 {
        let kept = memory(&world).await;
        assert_eq!((kept.walked.unwrap().listed, kept.failures), (0, failures));
        let again = asked.again().names_max(16_005).lists_only(3, false);
        world.session(again, PERIODIC).await;
    }
}

#[tokio::test]
async fn a_device_that_was_reset_while_half_known_is_listed_anew() {
    let world = World::start("Device.").await;
    let breaks = gateway().loses(Method::GetParameterValues);
    let asked = world.session(breaks, PERIODIC).await;
    assert!(memory(&world).await.walked.unwrap().done);
    asked.clear();
    asked.remove("Device.Hosts.Host.1.");
    world.session(asked.again(), &[("0 BOOTSTRAP", "")]).await;
    assert!(is_known(&world).await);
    let methods = asked.methods();
    assert!(
        methods.iter().any(|one| one == "GetParameterNames"),
        "{methods:?}"
    );
    let gone = world.value("Device.Hosts.Host.1.HostName").await;
    assert_eq!(gone, None);
}
