//! What is kept of a session: request by request, with the reason of its end, however bad that is.

use std::time::Duration;

use fleet::DeviceId;
use reqwest::Method;
use serde_json::{Value, json};
use store::{ManagementSession, SessionTranscript};

use crate::api_world;
use crate::raw::{Cpe, envelope, fault, request};
use crate::rig::{PATIENCE, World, each, until, world};

/// The sessions of a device, newest first, as soon as there are so many.
async fn kept(
    world: &World,
    device: DeviceId,
    count: usize,
) -> Vec<(ManagementSession, SessionTranscript)> {
    until("the sessions are kept", || async {
        let (store, tenant) = (&world.store, &world.tenant);
        let list = store.management_session_list(tenant, device, None, 100);
        let list = list.await.unwrap();
        if list.len() < count {
            return None;
        }
        let mut all = Vec::new();
        for session in list {
            let one = store.management_session(tenant, device, session.id);
            all.push(one.await.unwrap());
        }
        Some(all)
    })
    .await
}

/// The only session of a device.
async fn only(world: &World, serial: &str) -> (ManagementSession, SessionTranscript) {
    let device = world.device("Box", serial).await;
    let mut all = kept(world, device, 1).await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn kinds(said: &SessionTranscript) -> Vec<(&str, &str)> {
    let entries = said.entries.iter();
    let kinds = entries.map(|entry| (entry.direction.as_str(), entry.kind.as_str()));
    kinds.collect()
}

fn notes(said: &SessionTranscript) -> String {
    let notes = said.entries.iter().filter(|one| one.direction == "note");
    let texts: Vec<&str> = notes.map(|one| one.text.as_str()).collect();
    texts.join("\n")
}

#[tokio::test]
async fn a_session_is_kept_message_by_message_with_why_it_came_and_how_it_ended() {
    each(|world| async move {
        let mut cpe = world.cpe("S1").await;
        cpe.session().await;
        drop(cpe);
        let (session, said) = only(&world, "S1").await;
        let expected = [
            ("in", "Inform"),
            ("out", "InformResponse"),
            ("in", "empty"),
            ("out", "empty"),
        ];
        assert_eq!(kinds(&said), expected);
        assert_eq!(session.events, ["2 PERIODIC"]);
        assert_eq!(session.ending, "the session came to its end");
        assert!(session.peer.starts_with("127.0.0.1:"), "{}", session.peer);
        assert!(session.started_at <= session.ended_at);
        assert!(said.entries[0].text.contains("SoftwareVersion = 1.0"));
        assert_eq!((said.left_out, said.faults.len()), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_in_a_session_is_in_its_transcript_and_the_doctor_knows_the_device() {
    let world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    let odd = envelope("9", "<cwmp:GetRPCMethods/>");
    let odd = odd.replace("http://schemas.xmlsoap.org/soap/envelope/", "urn:other");
    let odd = odd.replace("cwmp-1-2", "cwmp-9-9");
    for (body, status, answer) in [
        ("<soap><Password>hunter22", 200, "8003"),
        (&envelope("8", "<cwmp:X_Dance/>"), 200, "8000"),
        (&odd, 200, "MethodList"),
    ] {
        let got = cpe.post(&[], body).await;
        assert_eq!(got.status, status, "{body}");
        assert!(got.text().contains(answer), "{}", got.text());
    }
    // Nobody asked for this: nothing else is, so it is the end.
    assert_eq!(cpe.post(&[], &fault("77", 9002)).await.status, 204);
    drop(cpe);
    let (_, said) = only(&world, "S1").await;
    let expected = [
        ("in", "Inform"),
        ("out", "InformResponse"),
        ("in", "broken"),
        ("note", "note"),
        ("out", "Fault"),
        ("in", "request"),
        ("note", "note"),
        ("out", "Fault"),
        ("in", "GetRPCMethods"),
        ("out", "GetRPCMethodsResponse"),
        ("in", "answer"),
        ("note", "note"),
        ("out", "empty"),
    ];
    assert_eq!(kinds(&said), expected, "{:#?}", said.entries);
    let notes = notes(&said);
    assert!(notes.contains("no SOAP envelope"), "{notes}");
    assert!(notes.contains("X_Dance is no method"), "{notes}");
    assert!(
        notes.contains("nobody asked for Fault with the id `77`"),
        "{notes}"
    );
    assert!(!format!("{said:?}").contains("hunter22"));
    assert!(said.entries[4].text.contains("8003"));
    // Taken all the same, with a word about what was odd.
    let taken = &said.entries[8].text;
    for odd in ["the envelope of SOAP 1.1", "a CWMP namespace"] {
        assert!(taken.contains(odd), "{taken}");
    }
    for reason in ["broken-message", "unknown-method", "unasked-answer"] {
        world.refused_of(reason, "00256D-Box-S1").await;
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_taken_is_in_the_transcript_of_its_session() {
    let silence = Duration::from_millis(200);
    let world = world(|_, limits| limits.body_silence_max = silence).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    let cookie = cpe.cookie.clone().unwrap();
    let size = (cwmp::limits::BODY_BYTES_MAX + 1).to_string();
    let (cookie, packed) = (("Cookie", cookie.as_str()), ("Content-Encoding", "br"));
    for (headers, status) in [
        (vec![cookie, ("Content-Length", &size)], 413),
        (vec![cookie, ("Content-Length", "500")], 408),
        (vec![cookie, packed, ("Content-Length", "0")], 415),
    ] {
        cpe.reconnect().await;
        cpe.wire.send(request("HTTP/1.1", "/", &headers, "")).await;
        assert_eq!(cpe.wire.answer().await.status, status);
    }
    cpe.reconnect().await;
    cpe.finish().await;
    drop(cpe);
    let (session, said) = only(&world, "S1").await;
    let text = notes(&said);
    for words in [
        "more than 16 MiB",
        "of which nothing came for",
        "Content-Encoding: br",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let refused = said.entries.iter().filter(|one| one.text == "(HTTP 413)");
    assert_eq!(refused.count(), 1);
    assert_eq!(session.ending, "the session came to its end");
    for reason in ["body-too-large", "body-slow", "body-encoding"] {
        world.refused_of(reason, "00256D-Box-S1").await;
    }
}

#[tokio::test]
async fn however_badly_a_session_ends_its_transcript_says_why() {
    let world = world(|_, limits| limits.session_time_max = Duration::from_secs(2)).await;
    // Its connection breaks, and without the cookie it cannot continue.
    let mut dropped = world.cpe("DROPPED").await;
    assert_eq!(dropped.come().await.status, 200);
    dropped.cookie = None;
    let unknown = envelope("8", "<cwmp:X_Dance/>");
    assert_eq!(dropped.post(&[], &unknown).await.status, 200);
    drop(dropped);
    // It begins anew.
    let mut anew = world.cpe("ANEW").await;
    assert_eq!(anew.come().await.status, 200);
    let again = anew.inform().replace("2 PERIODIC", "1 BOOT");
    assert_eq!(anew.post(&[], &again).await.status, 200);
    // Another session takes its place.
    let mut older = world.cpe("RIVAL").await;
    assert_eq!(older.come().await.status, 200);
    let mut newer = world.cpe("RIVAL").await;
    assert_eq!(newer.come().await.status, 200);
    // It says that it is somebody else.
    let mut other = world.cpe("OTHER").await;
    assert_eq!(other.come().await.status, 200);
    let inform = other.inform().replace("OTHER", "THIEF");
    assert_eq!(other.post(&[], &inform).await.status, 401);
    // It says nothing more: the time of the session ends.
    let mut silent = world.cpe("SILENT").await;
    assert_eq!(silent.come().await.status, 200);
    for (serial, ending) in [
        ("DROPPED", "the connection broke"),
        ("ANEW", "the device began its session anew"),
        ("RIVAL", "another session of this device took its place"),
        ("OTHER", "the device began its session anew"),
        ("SILENT", "it took longer than any session may"),
    ] {
        let device = world.device("Box", serial).await;
        let all = kept(&world, device, 1).await;
        let (first, said) = all.last().unwrap();
        assert!(first.ending.contains(ending), "{serial}: {}", first.ending);
        assert_eq!(said.entries[0].kind, "Inform");
    }
}

/// Answers what it is asked until the session ends, with faults.
async fn refusing(cpe: &mut Cpe) {
    assert_eq!(cpe.come().await.status, 200);
    cpe.finish().await;
    cpe.reconnect().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_and_their_faults_are_read_through_the_api() {
    for api in api_world::worlds().await {
        let key = api.post("/api/v1/setup-keys", json!({"name": "t"})).await;
        let key: Value = key.json().await.unwrap();
        let key = key["secret"].as_str().unwrap().to_owned();
        let mut cpe = Cpe::new(api.cwmp.unwrap(), "S1")
            .await
            .with("default", &key);
        refusing(&mut cpe).await;
        let look = || async {
            let found = api.read("/api/v1/devices?q=S1").await;
            found["items"][0]["id"].as_str().map(str::to_owned)
        };
        let device = until("the device is there", look).await;
        let list = format!("/api/v1/devices/{device}/sessions");
        let look = || async {
            let found = api.read(&list).await;
            let first = found["items"].get(0).cloned()?;
            Some(first)
        };
        let session = until("its session is kept", look).await;
        assert_eq!(session["protocol"], "cwmp");
        assert_eq!(session["events"], json!(["2 PERIODIC"]));
        let id = session["id"].as_str().unwrap();
        let said = api.read(&format!("{list}/{id}")).await;
        assert_eq!(said["entries"][0]["kind"], "Inform");
        assert_eq!(said["entries"][0]["direction"], "received");
        assert_eq!(said["entries"][1]["kind"], "InformResponse");
        assert_eq!(said["entries"][1]["direction"], "sent");
        let faults = said["fault_details"].as_array().unwrap();
        assert_eq!(session["faults"], faults.len());
        let names = faults
            .iter()
            .find(|one| one["asked"] == "GetParameterNames");
        let names = names.unwrap_or_else(|| panic!("{said:#}"));
        assert_eq!(
            (&names["code"], &names["message"]),
            (&json!(9002), &json!("no"))
        );
        assert_eq!(names["similar_devices"], 0, "its model is not known");
        // A malformed one through the whole server: the doctor tells of it.
        assert_eq!(cpe.come().await.status, 200);
        assert_eq!(cpe.post(&[], "<soap").await.status, 200);
        let look = || async {
            let doctor = api.request(Method::GET, "/api/v1/doctor").send();
            let doctor = doctor.await.unwrap().text().await.unwrap();
            doctor.contains("broken-message").then_some(())
        };
        tokio::time::timeout(PATIENCE, until("the doctor tells", look))
            .await
            .unwrap();
        api.stop().await;
    }
}

/// What a CPE has that will not tell its clock.
const NAMES: [&str; 5] = [
    "Device.",
    "Device.DeviceInfo.",
    "Device.DeviceInfo.SoftwareVersion",
    "Device.Time.",
    "Device.Time.NTPServer1",
];

/// A list in a response, of items with a name and something more.
fn list(method: &str, item: &str, items: &[(&str, &str)]) -> String {
    let count = items.len();
    let each = items.iter();
    let each = each.map(|(name, more)| format!("<{item}><Name>{name}</Name>{more}</{item}>"));
    let each: String = each.collect();
    format!(
        r#"<cwmp:{method}><ParameterList soap-enc:arrayType="cwmp:{item}[{count}]">{each}</ParameterList></cwmp:{method}>"#
    )
}

/// A package that it could not update by itself.
const UPDATE: &str = "<cwmp:AutonomousDUStateChangeComplete>\
    <Results soap-enc:arrayType=\"cwmp:AutonOpResultStruct[1]\"><AutonOpResultStruct><UUID>u1</UUID>\
    <DeploymentUnitRef>Device.SoftwareModules.DeploymentUnit.3</DeploymentUnitRef>\
    <Version>2</Version><CurrentState>Failed</CurrentState><Resolved>0</Resolved>\
    <ExecutionUnitRefList/><StartTime>0001-01-01T00:00:00Z</StartTime>\
    <CompleteTime>0001-01-01T00:00:00Z</CompleteTime>\
    <Fault><FaultCode>9027</FaultCode><FaultString>full</FaultString></Fault>\
    <OperationPerformed>Update</OperationPerformed></AutonOpResultStruct></Results>\
    </cwmp:AutonomousDUStateChangeComplete>";

/// A session in which a device tells of a package, lists what it has and tells its firmware, and
/// nothing else.
async fn clockless(cpe: &mut Cpe) {
    const VERSION: &str = r#"<Value xsi:type="xsd:string">1.0</Value>"#;
    assert_eq!(cpe.come().await.status, 200);
    let known = cpe.post(&[], &envelope("7", UPDATE)).await.text();
    assert!(
        known.contains("AutonomousDUStateChangeCompleteResponse"),
        "{known}"
    );
    let mut body = String::new();
    for _ in 0..100 {
        let answer = cpe.post(&[], &body).await;
        if answer.status == 204 {
            cpe.reconnect().await;
            return;
        }
        let asked = answer.text();
        let id = asked.split("</cwmp:ID>").next().unwrap_or_default();
        let id = id.rsplit('>').next().unwrap_or_default();
        body = if asked.contains("<cwmp:GetParameterNames>") {
            let names = NAMES.map(|name| (name, "<Writable>0</Writable>"));
            let names = list("GetParameterNamesResponse", "ParameterInfoStruct", &names);
            envelope(id, &names)
        } else if asked.contains("<cwmp:GetParameterValues>") && !asked.contains(".Time.") {
            let values = [(NAMES[2], VERSION)];
            let method = "GetParameterValuesResponse";
            envelope(id, &list(method, "ParameterValueStruct", &values))
        } else {
            fault(id, 9002)
        };
    }
    panic!("the session does not end");
}

/// On how many similar devices a fault was seen that the last session of a device has, once that is kept.
async fn similar(api: &api_world::World, serial: &str) -> Value {
    let look = || async {
        let found = api.read(&format!("/api/v1/devices?q={serial}")).await;
        let device = found["items"][0]["id"].as_str()?;
        let list = format!("/api/v1/devices/{device}/sessions");
        let sessions = api.read(&list).await;
        let session = sessions["items"][0]["id"].as_str()?;
        Some(api.read(&format!("{list}/{session}")).await)
    };
    let said = until("the session is kept", look).await;
    let faults = said["fault_details"].as_array().unwrap().iter();
    let of = |asked: &str, parameter: &str| {
        let mut faults = faults.clone().filter(|one| one["asked"] == asked);
        let found = faults.find(|one| one["parameter"] == parameter);
        found.unwrap_or_else(|| panic!("{said:#}")).clone()
    };
    let found = of("GetParameterValues", NAMES[4]);
    assert_eq!(found["code"], 9002);
    const UNIT: &str = "Device.SoftwareModules.DeploymentUnit.3";
    let package = of("AutonomousDUStateChangeComplete", UNIT);
    assert_eq!(
        (&package["code"], &package["message"]),
        (&json!(9027), &json!("full"))
    );
    assert_eq!(package["similar_devices"], found["similar_devices"]);
    found["similar_devices"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_says_how_many_devices_of_the_model_have_the_same() {
    for api in api_world::worlds().await {
        let key = api.post("/api/v1/setup-keys", json!({"name": "t"})).await;
        let key: Value = key.json().await.unwrap();
        let key = key["secret"].as_str().unwrap();
        let come = async |class: &str, serial: &str| {
            let cpe = Cpe::new(api.cwmp.unwrap(), serial).await;
            let mut cpe = cpe.with("default", key);
            cpe.class = class.to_owned();
            clockless(&mut cpe).await;
        };
        come("Box", "S1").await;
        assert_eq!(similar(&api, "S1").await, 0, "it is the first");
        come("Box", "S2").await;
        // The last first: once its session is kept it counts for the other.
        for serial in ["S2", "S1"] {
            assert_eq!(similar(&api, serial).await, 1, "{serial}");
        }
        come("Cube", "S3").await;
        assert_eq!(similar(&api, "S3").await, 0, "it is another model");
        assert_eq!(similar(&api, "S1").await, 1);
        api.stop().await;
    }
}
