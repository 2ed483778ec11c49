//! What a CPE says by itself, of nothing that was asked for: what is stored of it, what people are
//! shown, and what it is answered.

use cwmp::fault::FaultCode;
use cwmp::rpc::{
    ArgStruct, AutonOpResultStruct, AutonomousDuStateChangeComplete, AutonomousTransferComplete,
    FaultStruct, Kicked, RequestDownload,
};
use cwmp::value::{Timestamp as Clock, Url};
use cwmp::{Request as Rpc, Response};
use fleet::EventKind;
use fleet::secret::MASK;
use serde_json::json;

use super::fake::gateway;
use super::world::World;

/// The device comes, says this, and is answered as it shall be. What was told since.
async fn said(world: &World, event: &str, requests: Vec<Rpc>) -> Vec<serde_json::Value> {
    let before = world.told(EventKind::DeviceEvent).await.len();
    let inform = world.inform(&[(event, "")], &[]);
    let (session, asked) = world.come(gateway(), inform, false);
    for request in requests {
        let method = request.method();
        let answer = session.say(request).await;
        assert_eq!(answer.map(|answer| answer.method()), Ok(method));
    }
    session.end().await;
    assert!(asked.methods().is_empty(), "{:?}", asked.methods());
    // None of it ends a command.
    let ends = world.told(EventKind::DeviceCommandCompleted).await;
    assert!(ends.is_empty(), "{ends:?}");
    world.told(EventKind::DeviceEvent).await.split_off(before)
}

fn failed(code: u32, text: &str) -> FaultStruct {
    FaultStruct::new(FaultCode(code), text)
}

const START: &str = "2026-01-02T03:00:00Z";
const END: &str = "2026-01-02T03:04:05Z";

#[tokio::test]
async fn a_transfer_of_the_devices_own_is_told_once_and_without_the_secrets_of_its_address() {
    let (world, _) = World::known(gateway(), "Device.").await;
    let event = "10 AUTONOMOUS TRANSFER COMPLETE";
    let done = AutonomousTransferComplete {
        transfer_url: Url("http://joe:pass@files/fw.bin?token=t0k3n".into()),
        is_download: true,
        file_type: "1 Firmware Upgrade Image".into(),
        fault: Some(failed(0, "")),
        start_time: Some(Clock(START.into())),
        complete_time: Some(Clock(END.into())),
        ..AutonomousTransferComplete::default()
    };
    // Twice, as a device does that has not heard the answer.
    let twice = vec![done.clone().into(), done.clone().into()];
    let told = said(&world, event, twice).await;
    let params = json!({
        "TransferType": "Download",
        "TransferURL": format!("http://{MASK}@files/fw.bin?{MASK}"),
        "FileType": "1 Firmware Upgrade Image",
        "StartTime": START,
        "CompleteTime": END,
    });
    let name = "Device.LocalAgent.TransferComplete!";
    assert_eq!(told, [json!({ "event": name, "params": params })]);
    let upload = AutonomousTransferComplete {
        is_download: false,
        fault: Some(failed(9011, "")),
        ..done
    };
    let told = said(&world, event, vec![upload.into()]).await;
    let params = &told[0]["params"];
    assert_eq!(params["TransferType"], "Upload");
    assert_eq!(params["FaultCode"], "9011");
    assert_eq!(params["FaultString"], "Upload failure");
}

#[tokio::test]
async fn software_modules_that_changed_by_themselves_are_told_each_and_each_time() {
    let (world, _) = World::known(gateway(), "Device.").await;
    let event = "12 AUTONOMOUS DU STATE CHANGE COMPLETE";
    let result = |uuid: &str, end: &str, fault: FaultStruct| AutonOpResultStruct {
        uuid: uuid.to_owned(),
        deployment_unit_ref: "Device.SoftwareModules.DeploymentUnit.1".into(),
        version: "1.1".into(),
        current_state: "Installed".into(),
        operation_performed: "Update".into(),
        start_time: Clock(START.into()),
        complete_time: Clock(end.to_owned()),
        fault,
        ..AutonOpResultStruct::default()
    };
    let at = |end: &str| {
        let results = vec![
            result("u-1", end, FaultStruct::default()),
            result("u-2", end, failed(9027, "no room")),
        ];
        Rpc::from(AutonomousDuStateChangeComplete { results })
    };
    let told = said(&world, event, vec![at(END), at(END)]).await;
    assert_eq!(told.len(), 2, "{told:?}");
    let params = json!({
        "UUID": "u-1",
        "DeploymentUnitRef": "Device.SoftwareModules.DeploymentUnit.1",
        "Version": "1.1",
        "CurrentState": "Installed",
        "OperationPerformed": "Update",
        "StartTime": START,
        "CompleteTime": END,
    });
    let name = "Device.SoftwareModules.DUStateChange!";
    assert_eq!(told[0], json!({ "event": name, "params": params }));
    assert_eq!(told[1]["params"]["UUID"], "u-2");
    assert_eq!(told[1]["params"]["FaultCode"], "9027");
    assert_eq!(told[1]["params"]["FaultString"], "no room");
    // The same happens again on the next day.
    let next = "2026-01-03T03:04:05Z";
    let told = said(&world, event, vec![at(next)]).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0]["params"]["CompleteTime"], next);
    let nothing = AutonomousDuStateChangeComplete::default();
    assert!(said(&world, event, vec![nothing.into()]).await.is_empty());
}

#[tokio::test]
async fn a_wish_for_a_download_is_told_with_its_arguments_and_without_secrets() {
    let (world, _) = World::known(gateway(), "Device.").await;
    let arg = |name: String, value: &str| ArgStruct {
        name,
        value: value.to_owned(),
    };
    let mut arguments = vec![arg("Password".into(), "hidden")];
    arguments.extend((0..40).map(|n| arg(format!("Arg{n:02}"), "x")));
    let wanted = RequestDownload {
        file_type: "2 Web Content".into(),
        arguments,
    };
    // Twice, and again in the next session, as a device does that has not heard the answer.
    let event = "9 REQUEST DOWNLOAD";
    let told = said(
        &world,
        event,
        vec![wanted.clone().into(), wanted.clone().into()],
    )
    .await;
    assert_eq!(told.len(), 1, "{told:?}");
    let again = said(&world, event, vec![wanted.clone().into()]).await;
    assert!(again.is_empty(), "{again:?}");
    let other = RequestDownload {
        file_type: "1 Firmware Upgrade Image".into(),
        ..wanted
    };
    assert_eq!(said(&world, event, vec![other.into()]).await.len(), 1);
    assert_eq!(told[0]["event"], "Device.RequestDownload!");
    let params = told[0]["params"].as_object().unwrap();
    assert_eq!(params["FileType"], "2 Web Content");
    assert_eq!(params["Password"], MASK);
    // The standard's 16 of them, and the kind.
    assert!(
        params.contains_key("Arg14") && params.len() == 17,
        "{params:?}"
    );
}

#[tokio::test]
async fn a_user_who_came_by_a_web_page_goes_where_he_wanted_and_nothing_is_stored() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let (session, _) = world.come(asked.again(), world.inform(&[("5 KICKED", "")], &[]), false);
    let next = Url("http://portal.example/next?x=1".into());
    let kicked = Kicked {
        command: "c".into(),
        next: next.clone(),
        ..Kicked::default()
    };
    let answer = session.say(kicked).await;
    let Ok(Response::Kicked(answer)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(answer.next_url, next);
    session.end().await;
    assert!(asked.methods().is_empty(), "{:?}", asked.methods());
    assert!(world.told(EventKind::DeviceEvent).await.is_empty());
}
