//! Commands whose answer was lost with the server: never sent again by themselves. What the device
//! says afterwards decides; where it says nothing, nobody pretends to know.

use crate::hermit::{Hermit, Proof};
use crate::rig::{SOON, Server, id_of, until};
use serde_json::{Value, json};
use std::time::Duration;
use usp::msg::{self, Map};

/// How long an operation may take that ends without any evidence: seconds to come back, and to wait
/// for a notification that is on its way.
const UNDECIDED_WITHIN: Duration = Duration::from_secs(90);

/// For those that would be waited for a quarter of an hour.
const EXPIRES: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_answer_and_proof_are_lost_is_unconfirmed_and_not_sent_again() {
    let mut server = Server::start(&[]).await;
    let commands = ["Device.Reboot()", "Device.X_T.Go()"];
    let mut hermits = Vec::new();
    for (number, command) in commands.into_iter().enumerate() {
        let endpoint = format!("os::00256D-HERMIT{number}");
        let hermit = Hermit::start(&server, &endpoint, None).await;
        let id = run(&server, &hermit, command).await;
        hermits.push((hermit, id));
    }
    all_told(&hermits).await;
    server.process.kill();
    server.restart().await;
    for ((hermit, id), command) in hermits.iter().zip(commands) {
        let operation = ended(&server, id).await;
        assert_eq!(operation["state"], "unconfirmed", "{operation:#}");
        assert_eq!(operation["attempts"], 1, "{operation:#}");
        // What waited behind it has its turn, and the command is not sent with it.
        let get = json!({"kind": "get", "paths": ["Device.DeviceInfo.ModelName"]});
        let next = server.api.operate(&hermit.id, get).await;
        server.api.succeeded(&next).await;
        let told: Vec<String> = hermit.told().into_iter().map(|(what, _)| what).collect();
        assert_eq!(told, [command]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_answer_is_lost_is_reconciled_by_what_the_device_says_then() {
    let mut server = Server::start(&[]).await;
    let proofs: [(&str, Proof); 2] = [
        ("Device.Reboot()", |key| {
            msg::Event {
                obj_path: "Device.".into(),
                event_name: "Boot!".into(),
                params: Map::from([("CommandKey", key), ("Cause", "RemoteReboot")]),
            }
            .into()
        }),
        ("Device.X_T.Go()", |key| {
            msg::OperationComplete {
                obj_path: "Device.X_T.".into(),
                command_name: "Go()".into(),
                command_key: key.into(),
                completion: Some(msg::Completion::ReqOutputArgs(msg::OutputArgs {
                    output_args: Map::from([("Result", "fine")]),
                })),
            }
            .into()
        }),
    ];
    let mut hermits = Vec::new();
    for (number, (command, proof)) in proofs.into_iter().enumerate() {
        let endpoint = format!("os::00256D-HERMIT{number}");
        let hermit = Hermit::start(&server, &endpoint, Some(proof)).await;
        let id = run(&server, &hermit, command).await;
        hermits.push((hermit, id));
    }
    all_told(&hermits).await;
    server.process.kill();
    server.restart().await;
    for (hermit, id) in &hermits {
        let operation = ended(&server, id).await;
        assert_eq!(operation["state"], "succeeded", "{operation:#}");
        assert_eq!(hermit.told().len(), 1);
        // Any record of a device is a sign of life, and shown at once.
        let device = server.api.get(&format!("/devices/{}", hermit.id)).await;
        let heard = device["presence"]["evidence_at"].as_str().unwrap();
        let finished = operation["finished_at"].as_str().unwrap();
        let get = json!({"kind": "get", "paths": ["Device.DeviceInfo.ModelName"]});
        let next = server.api.operate(&hermit.id, get).await;
        let next = server.api.succeeded(&next).await;
        let device = server.api.get(&format!("/devices/{}", hermit.id)).await;
        let heard_again = device["presence"]["evidence_at"].as_str().unwrap();
        assert!(heard_again > heard, "{heard_again} {heard} {finished}");
        assert!(heard_again >= next["started_at"].as_str().unwrap());
    }
}

async fn run(server: &Server, hermit: &Hermit, command: &str) -> String {
    let body = json!({
        "ops": [{"kind": "operate", "command": command}],
        "expires_in_seconds": if command.contains("Reboot") { EXPIRES } else { 3600 },
    });
    let path = format!("/devices/{}/operations", hermit.id);
    id_of(&server.api.post(&path, body).await)
}

async fn all_told(hermits: &[(Hermit, String)]) {
    for (hermit, id) in hermits {
        until("the command to arrive", SOON, async || {
            let told = hermit.told();
            told.iter().any(|(_, key)| key == id).then_some(())
        })
        .await;
    }
}

async fn ended(server: &Server, id: &str) -> Value {
    until("the operation to end", UNDECIDED_WITHIN, async || {
        let operation = server.api.operation(id).await;
        operation["finished_at"].is_string().then_some(operation)
    })
    .await
}
