//! Devices that hang must not keep others from being onboarded.

use std::time::Duration;

use fleet::device::OnboardingState;
use fleet::{EventKind, SetupKeyId, TenantId};
use server::{secret, state::now};
use store::{EventFilter, EventOrder, TenantRecord};

use crate::puppet::{Puppet, Reply, Seen, plain};
use crate::rig::{World, add_key, each, soon, until};

const EID: &str = "os::00256D-P1";

/// Another tenant, with a setup key.
async fn another(world: &World) -> (TenantId, String) {
    let tenant = TenantId::parse("other").unwrap();
    let record = TenantRecord {
        id: tenant.clone(),
        name: "Other".into(),
        created_at: now(),
        disabled_at: None,
    };
    world.store.tenant_insert(record, vec![]).await.unwrap();
    let id = SetupKeyId::new(now(), secret::id_bits());
    let key = add_key(&world.store, &tenant, id, None).await;
    (tenant, key)
}

#[tokio::test]
async fn hanging_devices_of_one_tenant_do_not_keep_another_waiting() {
    for db in store::testing::databases().await.unwrap() {
        let world = World::with(db, |_, limits| limits.onboardings_at_once = 2).await;
        let (other, key) = another(&world).await;
        // Devices that answer nothing hold what their tenant may have.
        let mut hanging = Vec::new();
        for n in 0..4 {
            let own = format!("os::00256D-H{n}");
            let mut puppet = Puppet::dial(&world.url(&world.key), &own, &world.own)
                .await
                .unwrap();
            if n == 0 {
                let asked = soon(puppet.serve(|_| Reply::Stop)).await;
                assert!(matches!(asked, Seen::Event(_)), "{asked:?}");
            }
            hanging.push(tokio::spawn(
                async move { puppet.serve(|_| Reply::Not).await },
            ));
        }
        let mut puppet = Puppet::dial(&world.url(&key), EID, &world.own)
            .await
            .unwrap();
        let busy = tokio::spawn(async move { puppet.serve(plain).await });
        let identity = fleet::Identity::endpoint(EID);
        until("the other tenant's device is onboarded", || async {
            let found = world.store.device_by_identity(&other, &identity).await;
            let record = world.store.device(&other, found.unwrap()?).await.unwrap();
            (record.device.onboarding == OnboardingState::Complete).then_some(())
        })
        .await;
        busy.abort();
        hanging.iter().for_each(|task| task.abort());
    }
}

#[tokio::test]
async fn a_device_that_answers_nothing_gives_its_place_to_the_next() {
    for db in store::testing::databases().await.unwrap() {
        let world = World::with(db, |_, limits| {
            limits.onboardings_at_once = 1;
            limits.onboard_request_time = Duration::from_secs(1);
        })
        .await;
        let mut silent = Puppet::dial(&world.url(&world.key), "os::00256D-H1", &world.own)
            .await
            .unwrap();
        let mut asked = 0;
        let seen = silent.serve(|_| {
            asked += 1;
            if asked == 3 { Reply::Stop } else { Reply::Not }
        });
        assert!(matches!(soon(seen).await, Seen::Event(_)));
        let mut puppet = Puppet::dial(&world.url(&world.key), EID, &world.own)
            .await
            .unwrap();
        let busy = tokio::spawn(async move { puppet.serve(plain).await });
        world.onboarded(EID).await;
        // It stays connected, and the log says why it is not onboarded.
        let device = world.device("os::00256D-H1").await;
        let failed = EventFilter {
            device: Some(device),
            kinds: vec![EventKind::DeviceOnboardingFailed],
            ..EventFilter::default()
        };
        until("the log says why", || async {
            let newest = EventOrder::Before(None);
            let page = world.store.events(&world.tenant, newest, &failed, 10).await;
            let text = format!("{:?}", page.unwrap());
            text.contains("ONBOARD_TIMEOUTS_MAX").then_some(())
        })
        .await;
        assert_eq!(asked, 3);
        busy.abort();
    }
}

#[tokio::test]
async fn a_setup_key_that_is_used_too_often_is_answered_with_429() {
    for db in store::testing::databases().await.unwrap() {
        let world = World::with(db, |_, limits| {
            (limits.setup_key_burst, limits.setup_key_per_second) = (3.0, 0.001);
        })
        .await;
        let id = SetupKeyId::new(now(), secret::id_bits());
        let another = add_key(&world.store, &world.tenant, id, None).await;
        for n in 0..3 {
            let own = format!("os::00256D-M{n}");
            let came = Puppet::dial(&world.url(&world.key), &own, &world.own).await;
            assert!(came.is_ok());
        }
        assert_eq!(Puppet::refused(&world.url(&world.key), EID).await, 429);
        world.refused("setup_key_limited").await;
        // Another key, and a device with its own token, are not concerned.
        let came = Puppet::dial(&world.url(&another), EID, &world.own).await;
        assert!(came.is_ok());
    }
}

#[tokio::test]
async fn a_key_for_one_device_lets_in_one_of_many_that_come_at_once() {
    each(|world| async move {
        let id = SetupKeyId::new(now(), secret::id_bits());
        let key = add_key(&world.store, &world.tenant, id, Some(1)).await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..6 {
            let (url, own) = (world.url(&key), world.own.clone());
            tasks.spawn(async move {
                let dialled = Puppet::dial(&url, &format!("os::00256D-O{n}"), &own).await;
                match dialled {
                    Ok(mut puppet) => matches!(puppet.next().await, Seen::Event(_)),
                    Err(_) => false,
                }
            });
        }
        let let_in = tasks.join_all().await;
        assert_eq!(let_in.iter().filter(|ok| **ok).count(), 1, "{let_in:?}");
        let uses = world.store.setup_key(&world.tenant, id).await.unwrap().uses;
        let all = store::Search::new(Default::default(), now());
        let devices = world.store.device_count(&world.tenant, &all).await.unwrap();
        assert_eq!((uses, devices.0), (1, 1));
    })
    .await;
}
