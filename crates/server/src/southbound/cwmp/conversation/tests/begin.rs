//! What a session begins with, and what is written of a device that has nothing to tell.

use fleet::EventKind;

use super::fake::gateway;
use super::world::{PERIODIC, World};
use crate::southbound::cwmp::conversation::desk::Desk;
use crate::southbound::cwmp::conversation::memory::MEMORY;
use crate::southbound::cwmp::seen::Seen;
use crate::southbound::cwmp::wake::testing::until;
use crate::state::now;

#[tokio::test]
async fn a_session_begins_with_what_was_seen_of_the_device_unless_something_was_remembered_since() {
    let world = World::start("Device.").await;
    let (core, store) = (world.node().core.clone(), &world.store);
    let seen = async || Seen::of(&core, world.device).await.unwrap().unwrap();
    let open = async |seen: Option<Seen>| {
        let desk = Desk::open(core.clone(), world.tenant.clone(), world.device, seen);
        desk.await.unwrap()
    };
    let early = seen().await;
    let desk = open(Some(early.clone())).await;
    desk.memory().root = "first".to_owned();
    desk.remember().await.unwrap();
    let again = open(Some(early)).await;
    assert_eq!(again.memory().root, "first", "it was written since");
    let seen = seen().await;
    assert_eq!(open(Some(seen.clone())).await.memory().root, "first");
    // Whoever writes it.
    let (tenant, other) = (&world.tenant, br#"{"root":"second"}"#.to_vec());
    let put = store.state_put(tenant, world.device, MEMORY, other, now());
    put.await.unwrap();
    assert!(!seen.known().is_current());
    assert_eq!(open(Some(seen)).await.memory().root, "second");
}

#[tokio::test]
async fn a_periodic_sign_of_life_comes_into_the_log_once_for_each() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    for count in 1..=2 {
        let (session, _) = world.come(asked.again(), world.inform(PERIODIC, &[]), false);
        session.end().await;
        let told = async || world.told(EventKind::DevicePeriodic).await.len();
        until("the sign of life", async || {
            (told().await == count).then_some(())
        })
        .await;
    }
}
