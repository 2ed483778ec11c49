//! A device that comes once a day is there within seconds when an operation waits for it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::Cli;
use crate::rig::{SOON, Server, free, until};

const NETWORKS: &str = "cwmp.wake_networks=[\"127.0.0.0/8\"]";

/// A server and a device that is brought in and has left, by whose next interval no test runs any more.
async fn left(settings: &[&str], flags: &[&str]) -> (Server, crate::rig::Process, String) {
    let settings: Vec<&str> = settings.iter().flat_map(|one| ["--set", one]).collect();
    let server = Server::start(&settings).await;
    let mut all = vec!["--count", "0", "--cwmp-devices", "1"];
    all.extend(["--cwmp-interval", "86400"]);
    all.extend(flags);
    let sim = server.sim_with("sim", &all, None);
    let device = server.devices(1).await.remove(0);
    until("the device to be known", SOON, async || {
        let told = server.api.log("&kind=device.onboarded").await;
        (!told.is_empty()).then_some(())
    })
    .await;
    (server, sim, device)
}

async fn reach(server: &Server, device: &str) -> Value {
    let reach = server.api.get(&format!("/devices/{device}/reach")).await;
    let mut paths = reach["paths"].as_array().unwrap().iter();
    let path = paths.find(|path| path["transport"] == "cwmp");
    path.expect("the way of CWMP").clone()
}

/// The first attempt that worked, by this method.
async fn woken(server: &Server, device: &str, method: &str) -> Value {
    until("the device to be woken", SOON, async || {
        let path = reach(server, device).await;
        let attempts = path["attempts"].as_array().unwrap();
        let worked = |one: &&Value| {
            one["method"] == method && one["words"].as_str().unwrap().contains("it came a")
        };
        attempts.iter().find(worked).cloned()
    })
    .await
}

async fn reads(server: &Server, device: &str) {
    let get = json!({"kind": "get", "paths": ["Device.DeviceInfo.UpTime"]});
    let id = server.api.operate(device, get).await;
    server.api.succeeded(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_woken_over_http() {
    let (server, _sim, device) = left(&[NETWORKS], &[]).await;
    until("its session to end", SOON, async || {
        let wake = format!("/devices/{device}/wake");
        let told = server.api.post(&wake, json!({})).await;
        let words = told["words"].as_str().unwrap().to_owned();
        words
            .contains("asked to come, first over http")
            .then_some(())
    })
    .await;
    let attempt = woken(&server, &device, "http").await;
    assert_eq!(attempt["ok"], true, "{attempt:#}");
    assert!(
        attempt["address"]
            .as_str()
            .unwrap()
            .starts_with("http://127."),
        "{attempt:#}"
    );
    reads(&server, &device).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_behind_a_nat_is_woken_over_udp() {
    let [stun] = free();
    let listen = format!("cwmp.stun_listen={stun}");
    let address = format!("cwmp.stun_address={stun}");
    let (server, _sim, device) = left(&[NETWORKS, &listen, &address], &["--cwmp-nat"]).await;
    until("its address outside to be known", SOON, async || {
        let path = reach(&server, &device).await;
        let mut ways = path["methods"].as_array().unwrap().iter();
        ways.any(|way| way["method"] == "udp").then_some(())
    })
    .await;
    until("it to be asked", SOON, async || {
        let wake = format!("/devices/{device}/wake");
        let told = server.api.post(&wake, json!({})).await;
        told["words"]
            .as_str()
            .unwrap()
            .contains("asked to come")
            .then_some(())
    })
    .await;
    let attempt = woken(&server, &device, "udp").await;
    assert_eq!(attempt["ok"], true, "{attempt:#}");
    reads(&server, &device).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_keeps_its_own_password_is_woken_with_what_a_person_entered() {
    let (server, _sim, device) = left(&[NETWORKS], &["--cwmp-trouble", "own-password"]).await;
    let cli = Cli::administrator(&server);
    let tried = async |wake: &dyn Fn(), words: &str| {
        until(words, SOON, async || {
            wake();
            let attempts = reach(&server, &device).await["attempts"].clone();
            attempts.to_string().contains(words).then_some(attempts)
        })
        .await
    };
    let wake = || drop(cli.done(&["device", "wake", &device]));
    tried(&wake, "none of ours yet").await;
    let path = reach(&server, &device).await;
    let url = path["methods"][0]["address"].as_str().unwrap();
    // As it is made: the last part of its address is its password, too.
    let password = url.rsplit('/').next().unwrap().to_owned();
    let username = path["identity"].as_str().unwrap();
    let (oui, serial) = (username.split('-').next(), username.split('-').next_back());
    let username = format!("{}-{}", oui.unwrap(), serial.unwrap());
    let enter = |password: &str| {
        let flags = ["--username", &username, "--password-stdin"];
        let command = [&["device", "wake-credential", &device][..], &flags].concat();
        let said = cli.run_with(&command, &format!("{password}\n"));
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        assert!(said.out.starts_with("kept; "), "{}", said.out);
    };
    enter("another one");
    tried(&wake, "the credentials that were entered for it (401)").await;
    enter(&password);
    let nothing = || {};
    tried(&nothing, "it came a").await;
    reads(&server, &device).await;
    let shown = cli.done(&["device", "reach", &device]);
    let entered = format!("the device's own password, as user {username}, entered");
    assert!(shown.contains(&entered), "{shown}");
    let told = server.api.log("&kind=device.wake_credential").await;
    assert_eq!(told.len(), 2, "{told:#?}");
    let told = serde_json::to_string(&told).unwrap();
    assert!(!told.contains(&password), "{told}");
    cli.done(&["device", "wake-credential", &device, "--remove"]);
    let shown = cli.done(&["device", "reach", &device]);
    assert!(
        shown.contains("no password: it has none of ours"),
        "{shown}"
    );
}

/// How long it took from the asking to the end, by the server's clock.
fn took(operation: &Value) -> Duration {
    let at = |name: &str| {
        let text = operation[name].as_str().unwrap();
        let time =
            time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
        time.unwrap()
    };
    (at("finished_at") - at("created_at")).unsigned_abs()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_a_device_that_is_away_is_done_in_less_than_a_second() {
    const DEVICES: usize = 8;
    let server = Server::start(&["--set", NETWORKS]).await;
    let count = DEVICES.to_string();
    let flags = ["--cwmp-devices", &count, "--cwmp-interval", "86400"];
    let _sim = server.sim_with("sim", &flags, None);
    let get = json!({"kind": "get", "paths": ["Device.DeviceInfo.UpTime"]});
    let mut best = Duration::MAX;
    let devices = server.devices(DEVICES).await;
    for device in &devices {
        // The first may come in time for the session in which it was got to know.
        let took = until("it to have been asked to come", SOON, async || {
            let id = server.api.operate(device, get.clone()).await;
            let done = server.api.succeeded(&id).await;
            let attempts = reach(&server, device).await["attempts"].clone();
            (!attempts.as_array().unwrap().is_empty()).then(|| took(&done))
        })
        .await;
        best = best.min(took);
        // Others may hold the processor for a while, not all the time.
        if best < Duration::from_secs(1) {
            break;
        }
    }
    assert!(best < Duration::from_secs(1), "it took {best:?}");
    // One after the other they need no session each: a device is not asked that often.
    for _ in 0..20 {
        reads(&server, &devices[0]).await;
    }
    let asked = reach(&server, &devices[0]).await["attempts"].clone();
    assert!(asked.as_array().unwrap().len() < 5, "{asked:#}");
}
