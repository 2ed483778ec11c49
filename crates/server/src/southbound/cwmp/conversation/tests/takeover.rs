//! A device comes again, and once more, before its first session has ended.

use std::net::SocketAddr;
use std::time::Duration;

use fleet::onboarding::Strength;
use tokio::sync::mpsc;

use super::world::World;
use crate::southbound::cwmp::limits::Limits;
use crate::southbound::cwmp::takeover::take_place;
use crate::southbound::registry::NewEntry;

/// `REPLACE_TIME_MAX`
#[tokio::test]
async fn what_was_asked_of_a_device_passes_over_a_session_that_lost_its_place_while_it_waited() {
    let mut world = World::start("Device.").await;
    let limits = Limits {
        replace_time_max: Duration::from_millis(50),
        ..Limits::default()
    };
    world.limit(limits).await;
    let core = &world.node().core;
    let comes = |inbox| {
        let new = NewEntry {
            tenant: world.tenant.clone(),
            device: world.device,
            transport: "cwmp",
            peer: SocketAddr::from(([192, 0, 2, 1], 7547)),
            strength: Strength::SetupKey,
            certificate: None,
            inbox,
        };
        take_place(core, new)
    };
    // The first one does not end, and the second one does at once.
    let (inbox, _stuck) = mpsc::channel(1);
    let (first, _) = comes(inbox).await.ok().unwrap();
    first.want();
    let gone = || mpsc::channel(1).0;
    let (second, third) = tokio::join!(comes(gone()), comes(gone()));
    assert!(matches!(second, Err(None)), "it has lost its place");
    let (third, _) = third.ok().unwrap();
    assert!(third.was_wanted());
}
