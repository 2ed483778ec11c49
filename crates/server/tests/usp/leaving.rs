//! Why a device left: what we made it do is told apart from what happened to it.

use std::collections::BTreeMap;

use fleet::presence::Evidence;
use fleet::southbound::Op;
use fleet::{DeviceId, EventKind};
use store::EventFilter;

use crate::rig::{Real, World, each, until};

/// What the log says of each end of a link of this device, oldest first.
async fn ends(world: &World, device: DeviceId) -> Vec<Option<String>> {
    let filter = EventFilter {
        kinds: vec![EventKind::DeviceDisconnected],
        device: Some(device),
        ..EventFilter::default()
    };
    let page = world
        .store
        .events_after(&world.tenant, 0, &filter, 100)
        .await
        .unwrap();
    let why = |stored: &store::EventRecord| {
        let expected = &stored.event.data["expected"];
        expected.as_str().map(str::to_owned)
    };
    page.events.iter().map(why).collect()
}

async fn evidence(world: &World, device: DeviceId) -> Evidence {
    let record = world.store.device(&world.tenant, device).await.unwrap();
    record.device.evidence
}

/// The ends, once there are so many.
async fn left(world: &World, device: DeviceId, times: usize) -> Vec<Option<String>> {
    until("it left", || async {
        let ends = ends(world, device).await;
        (ends.len() == times).then_some(ends)
    })
    .await
}

#[tokio::test]
async fn a_device_that_leaves_because_of_us_is_expected_to_and_one_that_just_goes_is_not() {
    each(|mut world| async move {
        let agent = Real::dial("S1", &world.own, &world.url(&world.key));
        let device = world.onboarded(&agent.endpoint).await.device.id;
        let swapped = left(&world, device, 1).await;
        assert_eq!(swapped, [Some("credential".to_owned())]);
        world.connected().await;

        let reboot = Op::Operate {
            command: "Device.Reboot()".into(),
            key: "k1".into(),
            args: BTreeMap::default(),
        };
        world.ask(device, reboot).await.unwrap();
        let rebooted = left(&world, device, 2).await;
        assert_eq!(rebooted[1].as_deref(), Some("restart"));
        world.connected().await;
        let back_by = evidence(&world, device).await.back_by;
        assert!(back_by.is_some(), "its absence is no loss for a while");

        agent.stop().await;
        let gone = left(&world, device, 3).await;
        assert_eq!(gone[2], None, "nobody asked for this");
        let evidence = evidence(&world, device).await;
        assert_eq!(evidence.awaited_until(), None);
    })
    .await;
}
