//! Files on their way in and out: when they are asked for, when they count, and when they did not come or were not
//! fetched.

use crate::files::{LIFE, Link, configured, file, on_disk};
use crate::raw::{Cpe, Wire, envelope, fault};
use crate::world::{World, until, worlds};
use reqwest::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// A device with a tree of one parameter, which sends nothing at all where it is told to send, and says that it has. It
/// takes on what it is told to fetch, and fetches nothing.
struct Sender {
    cpe: Cpe,
    http: reqwest::Client,
    /// It says so in a later session, not at once.
    later: bool,
    /// It sends half of its file there, says that it has sent it, and then sends the rest.
    halves: Option<SocketAddr>,
    /// And never the rest.
    stops: bool,
    /// What it has begun to send.
    begun: Option<Wire>,
    /// The command key of what it was told to send.
    key: Option<String>,
}

/// Long enough for what is not waited for.
const MOMENT: Duration = Duration::from_millis(300);

const TIMES: &str =
    "<StartTime>2026-01-01T00:00:00Z</StartTime><CompleteTime>2026-01-01T00:00:00Z</CompleteTime>";

const WELL: &str = "<FaultStruct><FaultCode>0</FaultCode><FaultString></FaultString></FaultStruct>";

/// A transfer is over, of which this is said.
fn complete(key: &str, said: &str) -> String {
    let told = format!("<CommandKey>{key}</CommandKey>{said}");
    envelope(
        "77",
        &format!("<cwmp:TransferComplete>{told}</cwmp:TransferComplete>"),
    )
}

/// What is in the first element of this name.
fn inner(text: &str, tag: &str) -> String {
    let after = text.split(&format!("<{tag}>")).nth(1).unwrap_or_default();
    after.split('<').next().unwrap_or_default().to_owned()
}

impl Sender {
    /// A session, which begins with what it has to say.
    async fn session(&mut self, first: &str) {
        self.cpe.cookie = None;
        self.cpe.reconnect().await;
        assert_eq!(self.cpe.come().await.status, 200);
        let mut say = first.to_owned();
        loop {
            let wire = self.begun.take_if(|_| !self.stops);
            let answer = {
                let mut posting = std::pin::pin!(self.cpe.post(&[], &say));
                if let Some(mut wire) = wire {
                    let early = tokio::time::timeout(MOMENT, &mut posting).await;
                    assert!(
                        early.is_err(),
                        "what it says is judged while it still sends"
                    );
                    wire.send("def").await;
                    assert_eq!(wire.answer().await.status, 201);
                }
                posting.await
            };
            let text = answer.text();
            say.clear();
            if answer.status == 204 {
                return;
            }
            if !text.contains("TransferCompleteResponse") {
                say = self.answer(&text).await;
            }
        }
    }

    async fn answer(&mut self, asked: &str) -> String {
        let id = asked.split("</cwmp:ID>").next().unwrap_or_default();
        let id = id.rsplit('>').next().unwrap_or_default();
        if asked.contains("<cwmp:GetParameterNames>") {
            let name = match inner(asked, "ParameterPath").as_str() {
                "Device." | "" => "Device.DeviceInfo.",
                "Device.DeviceInfo." => "Device.DeviceInfo.SoftwareVersion",
                _ => return fault(id, 9005),
            };
            let one = format!(
                "<ParameterInfoStruct><Name>{name}</Name><Writable>0</Writable></ParameterInfoStruct>"
            );
            let list = format!(
                r#"<ParameterList soap-enc:arrayType="cwmp:ParameterInfoStruct[1]">{one}</ParameterList>"#
            );
            let names =
                format!("<cwmp:GetParameterNamesResponse>{list}</cwmp:GetParameterNamesResponse>");
            return envelope(id, &names);
        }
        if asked.contains("<cwmp:Download>") {
            self.key = Some(inner(asked, "CommandKey"));
            let answer = format!("<Status>1</Status>{TIMES}");
            let answer = format!("<cwmp:DownloadResponse>{answer}</cwmp:DownloadResponse>");
            return envelope(id, &answer);
        }
        if !asked.contains("<cwmp:Upload>") {
            return fault(id, 9002);
        }
        let url = inner(asked, "URL");
        if let Some(to) = self.halves {
            let path = url.splitn(4, '/').last().unwrap_or_default();
            let (line, length) = (format!("PUT /{path}"), "Content-Length: 6");
            let (mut wire, first) = waits(to, &line, length, "").await;
            assert_eq!(first, 100);
            wire.send("abc").await;
            self.begun = Some(wire);
        } else {
            let nothing = self.http.put(url).header("content-length", 0);
            assert_eq!(nothing.send().await.unwrap().status(), 200);
        }
        self.key = Some(inner(asked, "CommandKey"));
        let status = u8::from(self.later);
        let status = format!("<Status>{status}</Status>{TIMES}");
        envelope(
            id,
            &format!("<cwmp:UploadResponse>{status}</cwmp:UploadResponse>"),
        )
    }
}

/// A device that is told to send, and the operation that it has answered.
async fn told(world: &World, serial: &str, later: bool, half: Option<bool>) -> (Sender, String) {
    let (mut sender, device) = known(world, serial, later, half).await;
    let asked = ("uploads", json!({"type": "config"}));
    let operation = answered(world, &mut sender, &device, asked).await;
    (sender, operation)
}

/// It answers what the API asks of it; the operation.
async fn answered(
    world: &World,
    sender: &mut Sender,
    device: &str,
    (what, body): (&str, Value),
) -> String {
    let path = format!("/api/v1/devices/{device}/{what}");
    let asked: Value = world.post(&path, body).await.json().await.unwrap();
    sender.session("").await;
    let operation = asked["operation"]["id"].as_str().unwrap();
    format!("/api/v1/operations/{operation}")
}

/// A device that has come once, and its id.
async fn known(world: &World, serial: &str, later: bool, half: Option<bool>) -> (Sender, String) {
    let key = world.post("/api/v1/setup-keys", json!({"name": serial}));
    let key: Value = key.await.json().await.unwrap();
    let cpe = Cpe::new(world.cwmp.unwrap(), serial).await;
    let cpe = cpe.with("default", key["secret"].as_str().unwrap());
    let (http, key) = (world.http.clone(), None);
    let mut sender = Sender {
        cpe,
        http,
        later,
        halves: world.files.filter(|_| half.is_some()),
        stops: half == Some(false),
        begun: None,
        key,
    };
    sender.session("").await;
    let found = world.read(&format!("/api/v1/devices?q={serial}")).await;
    let device = found["items"][0]["id"].as_str().unwrap().to_owned();
    (sender, device)
}

/// An operation, when it is over.
async fn over(world: &World, path: &str) -> Value {
    until("the operation is over", || async {
        !world.read(path).await["finished_at"].is_null()
    })
    .await;
    world.read(path).await
}

/// The operation of a device that sends nothing.
async fn sends_nothing(world: &World, serial: &str, later: bool) -> Value {
    let (mut sender, path) = told(world, serial, later, None).await;
    let key = sender.key.clone().expect("it was told to send");
    if later {
        sender
            .session(&complete(&key, &format!("{WELL}{TIMES}")))
            .await;
    }
    over(world, &path).await
}

/// `TRANSFER_SETTLE_MAX`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_still_coming_when_its_device_says_that_it_was_sent_is_waited_for() {
    for world in worlds().await {
        let (_, path) = told(&world, "HALF1", false, Some(true)).await;
        let operation = over(&world, &path).await;
        assert_eq!(operation["state"], "succeeded", "{operation:#}");
        // The rest of this one never comes.
        let (_sender, path) = told(&world, "HALF2", false, Some(false)).await;
        let operation = over(&world, &path).await;
        assert_eq!(operation["state"], "failed", "{operation:#}");
        let words = operation["state_words"].as_str().unwrap();
        assert!(words.contains("it has not come to its end"), "{words}");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_sends_an_empty_file_and_calls_it_a_success_has_failed() {
    for world in worlds().await {
        for (serial, later) in [("EMPTY1", false), ("EMPTY2", true)] {
            let operation = sends_nothing(&world, serial, later).await;
            assert_eq!(operation["state"], "failed", "{operation:#}");
            let words = operation["state_words"].as_str().unwrap();
            assert!(words.contains("the device sent an empty file"), "{words}");
            let step = &operation["steps"][0];
            let error = step["error"]["message"].as_str().unwrap();
            assert!(error.contains("empty file"), "{step:#}");
            assert_ne!(step["results"][0]["verified"], true, "{step:#}");
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_is_called_over_and_was_not_fetched_is_not_done() {
    for world in worlds().await {
        let firmware = file(&world, "fw.bin", "abc").await;
        for (serial, said, state, words) in [
            (
                "NEVER1",
                format!("{WELL}{TIMES}"),
                "failed",
                "the device says that it is done, and it did not fetch the file",
            ),
            (
                "NEVER2",
                String::new(),
                "unconfirmed",
                "the device says that it is over, and not how it went; it did not fetch the file",
            ),
        ] {
            let (mut sender, device) = known(&world, serial, true, None).await;
            let body = json!({"file_id": firmware, "file_type": "1 Firmware Upgrade Image"});
            let path = answered(&world, &mut sender, &device, ("downloads", body)).await;
            let key = sender.key.clone().expect("it was told to fetch");
            sender.session(&complete(&key, &said)).await;
            let operation = over(&world, &path).await;
            assert_eq!(operation["state"], state, "{operation:#}");
            let told = operation["state_words"].as_str().unwrap();
            assert!(told.contains(words), "{told}");
            let result = &operation["steps"][0]["results"][0];
            assert!(result["verified"].is_null(), "{result:#}");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn the_same_file_again_needs_no_room_of_its_own() {
    let world = configured(|config| config.files.tenant_bytes_max = 15).await;
    let link = Link::new(&world, None, LIFE).await;
    let url = link.url(&world, "u");
    let put = async |bytes: &'static str| {
        let sent = world.http.put(&url).body(bytes).send().await.unwrap();
        sent.status().as_u16()
    };
    assert_eq!(put("1234567890").await, 201);
    file(&world, "rest", "12345").await;
    assert_eq!(put("1234567890").await, 201, "it is here already");
    assert_eq!(put("1234567891").await, 409, "this is another one");
    assert_eq!(link.seen(&world).await["state"], "done");
    assert_eq!(on_disk(&world.data.join("files")), 2);
}

#[tokio::test]
async fn a_file_that_was_removed_since_needs_room_once_more() {
    let world = configured(|config| config.files.tenant_bytes_max = 15).await;
    let link = Link::new(&world, None, LIFE).await;
    let sent = world.http.put(link.url(&world, "u")).body("1234567890");
    assert_eq!(sent.send().await.unwrap().status(), 201);
    let list = world.read("/api/v1/files").await;
    let came = list["items"][0]["id"].as_str().unwrap();
    let gone = world.request(Method::DELETE, &format!("/api/v1/files/{came}"));
    assert!(gone.send().await.unwrap().status().is_success());
    file(&world, "other", "1234567890").await;
    // It is known before anything is sent.
    let (to, line) = (world.files.unwrap(), format!("PUT /u/{}/x", link.token));
    let (_, first) = waits(to, &line, "Content-Length: 10", "").await;
    assert_eq!(first, 507);
}

/// The head of a request that waits to be asked for its body, and what comes first.
async fn waits(to: SocketAddr, line: &str, length: &str, more: &str) -> (Wire, u16) {
    let mut wire = Wire::connect(to).await;
    let head =
        format!("{line} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{length}\r\n{more}\r\n");
    wire.send(head).await;
    let first = wire.interim().await;
    (wire, first)
}

#[tokio::test]
async fn a_device_that_asks_before_it_sends_is_refused_before_and_else_told_to_go_on() {
    let world = configured(|config| {
        (config.files.file_bytes_max, config.files.tenant_bytes_max) = (100, 15);
    })
    .await;
    let to = world.files.unwrap();
    let link = Link::new(&world, None, LIFE).await;
    let over = Link::new(&world, None, Duration::ZERO).await;
    let line = |token: &str| format!("PUT /u/{token}/x");
    let form = "Content-Type: multipart/form-data; boundary=x\r\n";
    for (token, length, more, status) in [
        ("nonsense", "Content-Length: 3", "", 404),
        (over.token.as_str(), "Content-Length: 3", "", 404),
        (&link.token, "Content-Length: 101", "", 413),
        (&link.token, "Content-Length: 16", "", 507),
        (&link.token, "Content-Length: 3", form, 415),
    ] {
        let (_, first) = waits(to, &line(token), length, more).await;
        assert_eq!(first, status, "{length} {more}");
    }
    for (length, body) in [
        ("Content-Length: 3", "abc"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
    ] {
        let link = Link::new(&world, None, LIFE).await;
        let (mut wire, first) = waits(to, &line(&link.token), length, "").await;
        assert_eq!(first, 100, "{length}");
        wire.send(body).await;
        assert_eq!(wire.answer().await.status, 201);
        link.becomes(&world, "done").await;
    }
}

#[tokio::test]
async fn a_person_who_asks_before_sending_is_refused_before_and_else_told_to_go_on() {
    let world = configured(|config| {
        (config.files.file_bytes_max, config.files.tenant_bytes_max) = (100, 15);
    })
    .await;
    let to = world.url.trim_start_matches("http://").parse().unwrap();
    let own = format!("Authorization: Bearer {}\r\n", world.owner);
    let good = "POST /api/v1/files?name=a";
    for (line, length, more, status) in [
        (good, 3, "", 401),
        ("POST /api/v1/nothing", 3, own.as_str(), 404),
        ("POST /api/v1/files?name=a/b", 3, &own, 422),
        (good, 101, &own, 413),
        (good, 16, &own, 409),
    ] {
        let length = format!("Content-Length: {length}");
        let (_, first) = waits(to, line, &length, more).await;
        assert_eq!(first, status, "{line} {length}");
    }
    let (mut wire, first) = waits(to, good, "Content-Length: 3", &own).await;
    assert_eq!(first, 100);
    wire.send("abc").await;
    assert_eq!(wire.answer().await.status, 201);
    let list = world.request(Method::GET, "/api/v1/files").send().await;
    let list: Value = list.unwrap().json().await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
}
