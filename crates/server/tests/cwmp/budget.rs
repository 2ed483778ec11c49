//! Many at once: load is shed with a time to come again, fairly between tenants, and it recovers.

use std::time::Duration;

use fleet::TenantId;

use crate::raw::Cpe;
use crate::rig::{add_key, add_tenant, until, world};

/// `SESSIONS_MAX`
#[tokio::test]
async fn beyond_the_budget_devices_are_told_when_to_come_again_and_others_are_not_kept_out() {
    let world = world(|_, limits| limits.sessions_max = 4).await;
    let other = TenantId::parse("other").unwrap();
    add_tenant(&world.store, &other).await;
    let (_, key) = add_key(&world.store, &world.vault, &other, None).await;
    let mut open = Vec::new();
    for serial in ["S1", "S2"] {
        let mut cpe = world.cpe(serial).await;
        assert_eq!(cpe.come().await.status, 200);
        open.push(cpe);
    }
    let mut third = world.cpe("S3").await;
    let shed = third.come().await;
    assert_eq!(shed.status, 503);
    let wait: u64 = shed.header("Retry-After").unwrap().parse().unwrap();
    assert!((5..=30).contains(&wait), "{wait}");
    world.refused("too-many-sessions").await;
    let since = fleet::Timestamp::default();
    let found = world
        .store
        .refusal_list(Some(&world.tenant), since, 100)
        .await;
    let words = &found.unwrap()[0].last.detail;
    let said =
        "its tenant has 2 of the 4 sessions that there may be, and 2 are left for all others";
    assert!(words.contains(said), "{words}");
    // One tenant that is alone gets half of it; the other one finds room.
    let mut neighbour = Cpe::new(world.http, "S1").await.with("other", &key);
    assert_eq!(neighbour.come().await.status, 200);
    // Those that are open go on, and make room.
    for mut cpe in open {
        cpe.finish().await;
    }
    until("there is room again", || async {
        let mut again = world.cpe("S3").await;
        (again.come().await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn all_devices_of_a_town_come_at_once_and_each_has_its_session() {
    let world = world(|_, limits| limits.sessions_max = 64).await;
    let coming: Vec<_> = (0..200)
        .map(|n| {
            let (to, key) = (world.http, world.key.clone());
            tokio::spawn(async move {
                let mut shed = 0;
                loop {
                    let mut cpe = Cpe::new(to, &format!("T{n}")).await.with("acme", &key);
                    let informed = cpe.come().await;
                    if informed.status == 200 {
                        cpe.finish().await;
                        return shed;
                    }
                    assert_eq!(informed.status, 503);
                    shed += 1;
                    // Sooner than it was told.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
        })
        .collect();
    let mut shed = 0;
    for one in coming {
        let done = tokio::time::timeout(crate::rig::PATIENCE, one).await;
        shed += done.expect("nobody is starved").unwrap();
    }
    assert!(shed > 0, "nobody was shed: the test shows nothing");
    let keys = world.store.setup_key_list(&world.tenant).await.unwrap();
    assert_eq!(keys[0].uses, 200);
    world.quiet().await;
}

#[tokio::test]
async fn at_the_stop_sessions_end_and_nobody_waits_for_them() {
    let mut world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    let device = world.device("Box", "S1").await;
    world.shutdown.cancel();
    let ended = tokio::time::timeout(crate::rig::PATIENCE, &mut world.task);
    ended.await.unwrap().unwrap();
    // Whoever listens to the devices sees that nothing follows.
    let closed = async { while world.facts.recv().await.is_some() {} };
    let closed = tokio::time::timeout(crate::rig::PATIENCE, closed).await;
    assert!(closed.is_ok());
    use server::south::Links as _;
    assert!(!world.adapter.is_linked(device));
}
