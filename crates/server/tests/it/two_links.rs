//! One device with a link of USP and sessions of CWMP at the same time: what is under way over one of them is not
//! touched by the other.

use std::collections::BTreeMap;

use fleet::device::OnboardingState;
use fleet::matching::Trust;
use fleet::operation::Request;
use fleet::{DeviceId, Identity, Operation, OperationId, OperationState};
use serde_json::{Value, json};
use server::state::now;
use usp::msg;

use crate::one_device::tenant;
use crate::puppet::{Puppet, Reply, Seen, plain};
use crate::raw::{Cpe, envelope, fault};
use crate::rig::soon;
use crate::world::{World, until};

const TABLE: &str = "Device.NAT.PortMapping.";

async fn stored(world: &World, device: DeviceId, request: Request) -> OperationId {
    let id = OperationId(uuid::Uuid::now_v7());
    let expires = now().plus(fleet::limits::EXPIRY_DEFAULT);
    let operation = Operation::new(id, tenant(), device, request, "test", now(), expires);
    let (store, tenant) = (world.store(), tenant());
    let inserted = store.operation_insert(&tenant, operation, None, vec![]);
    inserted.await.unwrap();
    id
}

async fn ended(world: &World, id: OperationId) -> Operation {
    until("the operation ends", async || {
        let record = world.store().operation(&tenant(), id).await.unwrap();
        record.operation.state.is_final()
    })
    .await;
    let record = world.store().operation(&tenant(), id).await.unwrap();
    record.operation
}

/// The table has no rows, and a new one stays open for the test.
fn answers(request: &msg::Request) -> Reply {
    match request {
        msg::Request::GetInstances(ask) => {
            let results = ask.obj_paths.iter().map(|path| msg::InstancesPathResult {
                requested_path: path.clone(),
                ..Default::default()
            });
            Reply::With(Ok(msg::GetInstancesResp {
                req_path_results: results.collect(),
            }
            .into()))
        }
        msg::Request::Add(add) if add.create_objs[0].obj_path == TABLE => Reply::Stop,
        other => plain(other),
    }
}

/// A server at which a device may have two protocols, its setup key, and the device's agent with its id.
async fn linked() -> (World, String, Puppet, DeviceId) {
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, |config| config.matching.serial = Trust::Merge).await;
    world.populate().await;
    let made = world.post("/api/v1/setup-keys", json!({"name": "van"}));
    let key: Value = made.await.json().await.unwrap();
    let key = key["secret"].as_str().unwrap().to_owned();
    let url = format!("ws://{}/usp/{key}", world.usp.unwrap());
    let own = "os::00256D-S1";
    let puppet = Puppet::dial(&url, own, &world.endpoint).await.unwrap();
    let name = Identity::endpoint(own);
    let known = async || {
        let found = world.store().device_by_identity(&tenant(), &name).await;
        found.unwrap()
    };
    until("it is registered", async || known().await.is_some()).await;
    let device = known().await.unwrap();
    (world, key, puppet, device)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_comes_and_goes_in_the_middle_of_an_add_over_usp_changes_nothing_for_it() {
    let (world, key, mut puppet, device) = linked().await;
    let request = Request::Add {
        object: TABLE.to_owned(),
        values: BTreeMap::new(),
    };
    let add = stored(&world, device, request).await;
    let Seen::Event(usp::agent::Event::Requested { token, request, .. }) =
        soon(puppet.serve(answers)).await
    else {
        panic!("the row is not asked for");
    };

    let cpe = Cpe::new(world.cwmp.unwrap(), "S1").await;
    cpe.with("default", &key).session().await;
    let sessions = format!("/api/v1/devices/{device}/sessions");
    until("the session is over", async || {
        let page = world.read(&sessions).await;
        !page["items"].as_array().unwrap().is_empty()
    })
    .await;

    let Reply::With(added) = plain(&request) else {
        panic!("{request:?}");
    };
    puppet.session.respond(token, added).unwrap();
    let serving = tokio::spawn(async move { puppet.serve(answers).await });
    let add = ended(&world, add).await;
    assert_eq!(add.outcome.cause, None, "{add:?}");
    assert_eq!(add.progress.rows, [format!("{TABLE}1.")]);
    // And what is asked now goes over the link that is there.
    let request = Request::Get {
        paths: vec!["Device.DeviceInfo.".to_owned()],
        max_depth: 0,
    };
    let read = ended(&world, stored(&world, device, request).await).await;
    assert_eq!(read.state, OperationState::Succeeded, "{read:?}");
    serving.abort();
}

/// What the CPE has.
const NAMES: [&str; 4] = [
    "Device.",
    "Device.DeviceInfo.",
    "Device.DeviceInfo.SoftwareVersion",
    "Device.DeviceInfo.HardwareVersion",
];

/// The text of an element, wherever it is.
fn text<'a>(message: &'a str, element: &str) -> &'a str {
    let after = message.split(&format!("<{element}")).nth(1);
    let inside = after
        .and_then(|rest| rest.split_once('>'))
        .map(|(_, rest)| rest);
    inside
        .and_then(|rest| rest.split('<').next())
        .unwrap_or_default()
}

/// What the CPE answers to a question; a file it fetches later.
fn cpe_answers(asked: &str) -> String {
    let id = text(asked, "cwmp:ID");
    if asked.contains("<cwmp:GetParameterNames>") {
        let (path, next) = (text(asked, "ParameterPath"), text(asked, "NextLevel"));
        let depth = |name: &str| name.trim_end_matches('.').matches('.').count();
        let below = |name: &&str| match (path, next) {
            ("", "1" | "true") => *name == "Device.",
            (_, "1" | "true") => name.starts_with(path) && depth(name) == depth(path) + 1,
            _ => name.starts_with(path),
        };
        let found: Vec<_> = NAMES.into_iter().filter(below).collect();
        let list: String = found
            .iter()
            .map(|name| format!("<ParameterInfoStruct><Name>{name}</Name><Writable>0</Writable></ParameterInfoStruct>"))
            .collect();
        let count = found.len();
        return envelope(
            id,
            &format!(
                r#"<cwmp:GetParameterNamesResponse><ParameterList soap-enc:arrayType="cwmp:ParameterInfoStruct[{count}]">{list}</ParameterList></cwmp:GetParameterNamesResponse>"#
            ),
        );
    }
    if asked.contains("<cwmp:Download>") {
        let answer = "<Status>1</Status><StartTime>0001-01-01T00:00:00Z</StartTime>\
            <CompleteTime>0001-01-01T00:00:00Z</CompleteTime>";
        return envelope(
            id,
            &format!("<cwmp:DownloadResponse>{answer}</cwmp:DownloadResponse>"),
        );
    }
    fault(id, 9005)
}

/// A session begins.
async fn comes(cpe: &mut Cpe, event: &str) {
    let inform = cpe.inform().replace("2 PERIODIC", event);
    let basic = cpe.basic();
    cpe.cookie = None;
    cpe.reconnect().await;
    let informed = cpe.post(&[("Authorization", &basic)], &inform).await;
    assert_eq!(informed.status, 200, "{}", informed.text());
}

/// The rest of a session; the command key of a download that was asked for in it.
async fn finishes(cpe: &mut Cpe) -> Option<String> {
    let (mut body, mut key) = (String::new(), None);
    loop {
        let answer = cpe.post(&[], &body).await;
        if answer.status == 204 {
            return key;
        }
        let asked = answer.text();
        assert_eq!(answer.status, 200, "{asked}");
        if asked.contains("<cwmp:Download>") {
            key = Some(text(&asked, "CommandKey").to_owned());
        }
        body = cpe_answers(&asked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_a_session_asked_for_is_not_looked_for_over_usp() {
    let (world, key, mut puppet, device) = linked().await;
    let serving = tokio::spawn(async move { puppet.serve(plain).await });
    until("it is known", async || {
        let record = world.store().device(&tenant(), device).await.unwrap();
        record.device.onboarding == OnboardingState::Complete
    })
    .await;
    let mut cpe = Cpe::new(world.cwmp.unwrap(), "S1")
        .await
        .with("default", &key);
    comes(&mut cpe, "2 PERIODIC").await;
    finishes(&mut cpe).await;
    until("the two are one", async || {
        let paths = world.store().path_list(&tenant(), device).await;
        paths.unwrap().len() == 2
    })
    .await;
    serving.abort();
    drop(serving.await);
    let away = async || {
        let record = world.store().device(&tenant(), device).await.unwrap();
        !record.device.evidence.linked()
    };
    until("the agent is gone", away).await;
    let download = Request::Operate {
        command: "Device.DeviceInfo.FirmwareImage.1.Download()".to_owned(),
        args: BTreeMap::from([
            ("URL".to_owned(), "http://192.0.2.7/fw.bin".to_owned()),
            ("AutoActivate".to_owned(), "true".to_owned()),
        ]),
    };
    let id = stored(&world, device, download).await;
    let behind = Request::Get {
        paths: vec!["Device.DeviceInfo.".to_owned()],
        max_depth: 0,
    };
    let behind = stored(&world, device, behind).await;
    comes(&mut cpe, "2 PERIODIC").await;
    let command_key = finishes(&mut cpe).await.expect("the download is asked for");
    let operation = async || {
        let record = world.store().operation(&tenant(), id).await.unwrap();
        record.operation
    };
    until("it is given back", async || {
        operation().await.outcome.cause.as_deref() == Some("the session ended")
    })
    .await;
    assert_eq!(operation().await.progress.over, Some(fleet::Protocol::Cwmp));

    // The agent is back, and is not asked for what it knows nothing of.
    let url = format!("ws://{}/usp/{key}", world.usp.unwrap());
    let own = "os::00256D-S1";
    let mut puppet = Puppet::dial(&url, own, &world.endpoint).await.unwrap();
    let (said, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let serving = tokio::spawn(async move {
        let answers = |request: &msg::Request| {
            if let msg::Request::Get(get) = request {
                let _ = said.send(get.param_paths.join(" "));
            }
            plain(request)
        };
        puppet.serve(answers).await
    });
    let elsewhere = "it went over cwmp, over which the device is not connected";
    until("it waits for the CPE", async || {
        operation().await.outcome.cause.as_deref() == Some(elsewhere)
    })
    .await;

    // The CPE says how it ended.
    comes(&mut cpe, "7 TRANSFER COMPLETE").await;
    let done = format!(
        "<cwmp:TransferComplete><CommandKey>{command_key}</CommandKey><FaultStruct><FaultCode>0</FaultCode>\
         <FaultString></FaultString></FaultStruct><StartTime>2026-01-01T00:00:00Z</StartTime>\
         <CompleteTime>2026-01-01T00:01:00Z</CompleteTime></cwmp:TransferComplete>"
    );
    let taken = cpe.post(&[], &envelope("7", &done)).await;
    assert!(
        taken.text().contains("TransferCompleteResponse"),
        "{}",
        taken.text()
    );
    finishes(&mut cpe).await;
    let ended_as = ended(&world, id).await;
    assert_eq!(ended_as.state, OperationState::Succeeded, "{ended_as:?}");
    // What was behind it goes over the link that is there.
    let read = ended(&world, behind).await;
    assert_eq!(read.state, OperationState::Succeeded, "{read:?}");
    serving.abort();
    asked.close();
    while let Some(paths) = asked.recv().await {
        assert!(!paths.contains("LocalAgent.Request"), "{paths}");
    }
}
