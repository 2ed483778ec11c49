//! Devices whose USP agent and whose CPE come at the very same time, each for the first time: in whatever order the
//! server hears of their names, the operator's rule decides what they are.

use fleet::matching::Trust;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::puppet::{Puppet, plain};
use crate::raw::Cpe;
use crate::world::{World, until};

const DEVICES: usize = 24;

/// A server at which serial numbers are worth this, to which all devices have come over both.
async fn all_came(trust: Trust) -> (World, JoinSet<()>) {
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, |config| config.matching.serial = trust).await;
    world.populate().await;
    let made = world.post("/api/v1/setup-keys", json!({"name": "van"}));
    let key: Value = made.await.json().await.unwrap();
    let key = key["secret"].as_str().unwrap().to_owned();
    let (usp, cwmp) = (world.usp.unwrap(), world.cwmp.unwrap());
    let (mut agents, mut sessions) = (JoinSet::new(), JoinSet::new());
    for number in 0..DEVICES {
        let serial = format!("S{number}");
        let url = format!("ws://{usp}/usp/{key}");
        let (own, controller) = (format!("os::00256D-{serial}"), world.endpoint.clone());
        agents.spawn(async move {
            // Its link ends where it turns out to be a device that is there.
            while let Ok(mut puppet) = Puppet::dial(&url, &own, &controller).await {
                puppet.serve(plain).await;
            }
        });
        let key = key.clone();
        sessions.spawn(async move {
            let cpe = Cpe::new(cwmp, &serial).await;
            cpe.with("default", &key).session().await;
        });
    }
    while let Some(session) = sessions.join_next().await {
        session.unwrap();
    }
    (world, agents)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_and_a_cpe_with_one_serial_number_are_one_device() {
    let (world, _agents) = all_came(Trust::Merge).await;
    until("each is one device that speaks both", async || {
        let found = world.read("/api/v1/devices?limit=100").await;
        let devices = found["items"].as_array().unwrap();
        let both = |one: &&Value| one["protocols"] == json!(["cwmp", "usp"]);
        devices.len() == DEVICES && devices.iter().filter(both).count() == DEVICES
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_and_a_cpe_with_one_serial_number_wait_for_a_person() {
    let (world, _agents) = all_came(Trust::Ask).await;
    until("each is two devices that may be one", async || {
        let found = world.read("/api/v1/devices?limit=100").await;
        let waiting = world.read("/api/v1/device-matches?limit=100").await;
        let devices = found["items"].as_array().unwrap();
        let one_each = |one: &&Value| one["protocols"].as_array().unwrap().len() == 1;
        let pairs = waiting["items"].as_array().unwrap().len();
        devices.iter().filter(one_each).count() == 2 * DEVICES && pairs == DEVICES
    })
    .await;
}
