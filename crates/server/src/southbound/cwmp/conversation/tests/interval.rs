//! How often a device comes, and when it is missed.

use std::time::Duration;

use fleet::operation::{OperationState as State, Request};
use fleet::southbound::PathValue;

use super::fake::{gateway, old_gateway};
use super::world::{PERIODIC, World};
use crate::Config;
use crate::southbound::cwmp::limits::EXPECTED_FIRST;

async fn patience(world: &World) -> Duration {
    let path = world.store.path(&world.tenant, world.device, "cwmp");
    let path = path.await.unwrap().unwrap();
    path.expected_by.unwrap().since(path.heard_at.unwrap())
}

fn every(seconds: u64) -> Config {
    let mut config = Config::default();
    config.cwmp.periodic_inform_seconds = seconds;
    config
}

#[tokio::test]
async fn a_device_is_told_to_come_as_often_as_is_configured_and_is_missed_after_that() {
    for (root, told, has) in [
        ("Device.", 900, "900"),
        ("InternetGatewayDevice.", 900, "900"),
        // As it is.
        ("InternetGatewayDevice.", 0, "600"),
    ] {
        let fake = if root == "Device." {
            gateway()
        } else {
            old_gateway()
        };
        let mut world = World::start(root).await;
        world.configure(every(told)).await;
        let asked = world.session(fake, &[("0 BOOTSTRAP", "")]).await;
        let interval = format!("{root}ManagementServer.PeriodicInformInterval");
        assert_eq!(asked.get(&interval).as_deref(), Some(has), "{root}");
        let seconds = has.parse().unwrap();
        let seconds = Duration::from_secs(seconds);
        assert_eq!(patience(&world).await, seconds + seconds / 10);
    }
}

#[tokio::test]
async fn a_device_that_is_set_to_come_at_another_interval_is_missed_after_that() {
    let (world, asked) = World::known(old_gateway(), "InternetGatewayDevice.").await;
    assert_eq!(patience(&world).await, Duration::from_secs(330));
    for (path, value, expected) in [
        (
            "Device.ManagementServer.PeriodicInformInterval",
            "3600",
            Duration::from_secs(3960),
        ),
        (
            "InternetGatewayDevice.ManagementServer.PeriodicInformInterval",
            "60",
            Duration::from_secs(90),
        ),
        (
            "Device.ManagementServer.PeriodicInformEnable",
            "false",
            EXPECTED_FIRST,
        ),
    ] {
        let values = vec![PathValue::new(path, value)];
        let allow_partial = false;
        let id = world
            .ask(Request::Set {
                values,
                allow_partial,
            })
            .await;
        world.session(asked.again(), PERIODIC).await;
        world.ends(id, State::Succeeded).await;
        assert_eq!(patience(&world).await, expected, "{path}");
    }
}
