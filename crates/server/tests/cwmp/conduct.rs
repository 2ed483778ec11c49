//! What a device does wrong, from its POST to what people read of it: it is answered, the transcript
//! of its session shows it (API), and the doctor names it. Over the whole server.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api_world::{self, World};
use crate::raw::{Answer, Cpe, envelope, fault, insisting, request};
use crate::rig::until;

/// A server whose setup key is known.
struct Acs {
    api: World,
    key: String,
}

/// One server on each database there is.
async fn each() -> Vec<Acs> {
    let mut all = Vec::new();
    for api in api_world::worlds().await {
        let key = api.post("/api/v1/setup-keys", json!({"name": "t"})).await;
        let key: Value = key.json().await.unwrap();
        let key = key["secret"].as_str().unwrap().to_owned();
        all.push(Acs { api, key });
    }
    all
}

impl Acs {
    async fn cpe(&self, serial: &str) -> Cpe {
        let cpe = Cpe::new(self.api.cwmp.unwrap(), serial).await;
        cpe.with("default", &self.key)
    }

    /// A device in its session, whose turn it is.
    async fn informed(&self, serial: &str) -> Cpe {
        let mut cpe = self.cpe(serial).await;
        assert_eq!(cpe.come().await.status, 200);
        cpe
    }

    /// All devices of a serial number.
    async fn devices(&self, serial: &str) -> Vec<String> {
        let found = self.api.read(&format!("/api/v1/devices?q={serial}")).await;
        let items = found["items"].as_array().unwrap().iter();
        let ids = items.map(|one| one["id"].as_str().unwrap().to_owned());
        ids.collect()
    }

    /// What is kept of the first session of a device: how it ended, and all that was said.
    async fn transcript(&self, serial: &str) -> (String, String) {
        until("its session is kept", || async {
            let device = self.devices(serial).await.pop()?;
            let list = format!("/api/v1/devices/{device}/sessions");
            let all = self.api.read(&list).await;
            let first = all["items"].as_array().unwrap().last()?.clone();
            let id = first["id"].as_str().unwrap();
            let said = self.api.read(&format!("{list}/{id}")).await;
            let texts = said["entries"].as_array().unwrap().iter();
            let texts: Vec<&str> = texts.map(|one| one["text"].as_str().unwrap()).collect();
            let ending = first["ending"].as_str().unwrap();
            Some((ending.to_owned(), texts.join("\n")))
        })
        .await
    }

    /// What the doctor says, once it says this of whoever is missed.
    async fn doctor(&self, who: &str, code: &str) -> Value {
        self.doctor_of(who, code, "").await
    }

    /// The same with these words in the detail.
    async fn doctor_of(&self, who: &str, code: &str, words: &str) -> Value {
        until(&format!("the doctor says {code} of {who}"), || async {
            let doctor = self.api.request(Method::GET, "/api/v1/doctor");
            let doctor = doctor.query(&[("device", who)]).send().await.unwrap();
            let doctor: Value = doctor.json().await.unwrap();
            let findings = doctor["findings"].as_array().unwrap();
            let mut of_it = findings.iter().filter(|one| one["code"] == code);
            let found = of_it.find(|one| one["detail"].as_str().unwrap().contains(words));
            found.cloned()
        })
        .await
    }
}

/// The id of the question in an answer.
fn asked(answer: &Answer) -> String {
    let text = answer.text();
    assert!(text.contains("GetParameterNames"), "{text}");
    let id = text.split("</cwmp:ID>").next().unwrap_or_default();
    id.rsplit('>').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_message_should_be_gets_its_fault_and_is_named_in_the_transcript_and_by_the_doctor()
{
    let nested = format!("{}{}", "<a>".repeat(40), "</a>".repeat(40));
    let bomb = format!(
        r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>{}"#,
        envelope("5", "<cwmp:GetRPCMethods>&b;</cwmp:GetRPCMethods>")
    );
    let nested = envelope(
        "6",
        &format!("<cwmp:TransferComplete>{nested}</cwmp:TransferComplete>"),
    );
    let broken = "device-broken-message";
    let unknown = "device-unknown-method";
    for acs in each().await {
        for (serial, body, answer, said, code) in [
            ("CUT", "<soap", "8003", "not XML", broken),
            (
                "JSON",
                r#"{"json": true}"#,
                "8003",
                "no SOAP envelope",
                broken,
            ),
            (
                "HTML",
                "<html><body>hi</body></html>",
                "8003",
                "no SOAP envelope",
                broken,
            ),
            (
                "OPEN",
                "<Envelope><Body><GetRPCMethods>",
                "8003",
                "ends inside",
                broken,
            ),
            ("BOMB", &bomb, "8003", "document type", broken),
            ("NEST", &nested, "8004", "nested more than 32 deep", broken),
            (
                "DANCE",
                &envelope("8", "<cwmp:X_Dance/>"),
                "8000",
                "X_Dance",
                unknown,
            ),
            (
                "OURS",
                &envelope("9", "<cwmp:Reboot/>"),
                "8000",
                "Reboot",
                unknown,
            ),
            (
                "INSISTS",
                &insisting(&envelope("10", "<cwmp:GetRPCMethods/>")),
                "<faultcode>soap-env:MustUnderstand</faultcode>",
                "the header x:New must be understood",
                "device-unknown-header",
            ),
            (
                "TWO",
                &envelope("11", "<cwmp:TransferComplete/><cwmp:GetRPCMethods/>"),
                "8003",
                "TransferComplete and GetRPCMethods are in one body",
                "device-second-message",
            ),
        ] {
            let mut cpe = acs.informed(serial).await;
            let got = cpe.post(&[], body).await;
            assert_eq!(got.status, 200, "{serial}");
            assert!(got.text().contains(answer), "{serial}: {}", got.text());
            cpe.finish().await;
            drop(cpe);
            let (ending, text) = acs.transcript(serial).await;
            assert_eq!(ending, "the session came to its end", "{serial}");
            assert!(text.contains(said), "{serial}: {text}");
            let name = format!("00256D-Box-{serial}");
            let found = acs.doctor(&name, code).await;
            let title = found["title"].as_str().unwrap();
            assert!(
                title.starts_with(&format!("{name} breaks the protocol")),
                "{title}"
            );
            assert!(found["remedy"].is_string());
        }
        acs.api.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_nobody_asked_for_changes_nothing_and_is_named() {
    for acs in each().await {
        // Nothing was asked at all.
        let mut early = acs.informed("EARLY").await;
        let reboot = envelope("7", "<cwmp:RebootResponse/>");
        let got = early.post(&[], &reboot).await;
        early.post(&[], &fault(&asked(&got), 9002)).await;
        early.finish().await;
        // Something else was asked.
        let mut other = acs.informed("OTHER").await;
        let got = other.post(&[], "").await;
        let wrong = envelope(&asked(&got), "<cwmp:RebootResponse/>");
        other.post(&[], &wrong).await;
        other.finish().await;
        // Another question of an earlier session, say.
        let mut stale = acs.informed("STALE").await;
        asked(&stale.post(&[], "").await);
        stale.post(&[], &fault("777", 9002)).await;
        stale.finish().await;
        // What answers cannot be read.
        let mut broken = acs.informed("BROKEN").await;
        asked(&broken.post(&[], "").await);
        broken.post(&[], "<soap").await;
        broken.finish().await;
        for (cpe, said, code) in [
            (
                early,
                "nobody asked for RebootResponse with the id `7`",
                "device-unasked-answer",
            ),
            (
                other,
                "the answer is a RebootResponse",
                "device-unasked-answer",
            ),
            (
                stale,
                "the answer has the id `777`",
                "device-unasked-answer",
            ),
            (broken, "the answer cannot be read", "device-broken-message"),
        ] {
            let serial = cpe.serial.clone();
            drop(cpe);
            let (ending, text) = acs.transcript(&serial).await;
            assert_eq!(ending, "the session came to its end", "{serial}");
            assert!(text.contains(said), "{serial}: {text}");
            acs.doctor(&format!("00256D-Box-{serial}"), code).await;
        }
        acs.api.stop().await;
    }
}

/// `BODY_BYTES_MAX`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_end_is_cut_off_in_its_session_and_named() {
    for acs in each().await {
        let mut cpe = acs.informed("ENDLESS").await;
        let cookie = cpe.cookie.clone().unwrap();
        let chunked = [
            ("Cookie", cookie.as_str()),
            ("Transfer-Encoding", "chunked"),
        ];
        cpe.wire.send(request("HTTP/1.1", "/", &chunked, "")).await;
        let (piece, mut sent) = (vec![b' '; 1024 * 1024], 0);
        let head = format!("{:x}\r\n", piece.len());
        while sent < cwmp::limits::BODY_BYTES_MAX {
            cpe.wire.send(&head).await;
            cpe.wire.send(&piece).await;
            cpe.wire.send("\r\n").await;
            sent += piece.len();
        }
        // One byte more, and nothing behind it that would be in the way of the answer.
        cpe.wire.send("1\r\n ").await;
        assert_eq!(cpe.wire.answer().await.status, 413);
        cpe.reconnect().await;
        cpe.finish().await;
        drop(cpe);
        let (ending, text) = acs.transcript("ENDLESS").await;
        assert_eq!(ending, "the session came to its end");
        assert!(text.contains("more than 16 MiB"), "{text}");
        acs.doctor("00256D-Box-ENDLESS", "device-body-too-large")
            .await;
        acs.api.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_sessions_at_once_the_older_one_says_so_and_the_same_serial_of_another_vendor_is_another_device()
 {
    for acs in each().await {
        let mut older = acs.informed("TWIN").await;
        let mut stranger = acs.cpe("TWIN").await;
        stranger.oui = "A1B2C3".to_owned();
        assert_eq!(stranger.come().await.status, 200);
        let mut newer = acs.informed("TWIN").await;
        // It has to prove who it is, and is told that this is over.
        assert_eq!(older.post(&[], "").await.status, 401);
        for cpe in [&mut newer, &mut stranger] {
            cpe.finish().await;
            cpe.reconnect().await;
        }
        let devices = acs.devices("TWIN").await;
        assert_eq!(devices.len(), 2, "{devices:?}");
        let endings = until("all three sessions are kept", || async {
            let mut each = Vec::new();
            for device in &devices {
                let list = format!("/api/v1/devices/{device}/sessions");
                let all = acs.api.read(&list).await;
                let all = all["items"].as_array().unwrap().iter();
                let all: Vec<String> = all.map(|one| one["ending"].to_string()).collect();
                each.push(all);
            }
            each.sort_by_key(Vec::len);
            (each.iter().map(Vec::len).sum::<usize>() == 3).then_some(each)
        })
        .await;
        let of = |words: &str, all: &[String]| all.iter().filter(|one| one.contains(words)).count();
        assert_eq!((endings[0].len(), endings[1].len()), (1, 2));
        assert_eq!(of("came to its end", &endings[0]), 1, "{endings:?}");
        assert_eq!(of("took its place", &endings[1]), 1, "{endings:?}");
        acs.doctor("00256D-Box-TWIN", "device-session-replaced")
            .await;
        acs.api.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_over_is_not_resumed_and_the_doctor_says_who_tried() {
    for acs in each().await {
        let mut cpe = acs.informed("LATE").await;
        cpe.finish().await;
        cpe.reconnect().await;
        acs.transcript("LATE").await;
        for (body, status) in [("", 204), (&fault("1", 9002)[..], 400)] {
            // Whoever it was, it has to show that anew.
            assert_eq!(cpe.post(&[], body).await.status, 401);
            let basic = cpe.basic();
            let got = cpe.post(&[("Authorization", &basic)], body).await;
            assert_eq!(got.status, status);
            cpe.reconnect().await;
        }
        acs.doctor_of("default", "device-no-session", "2 times")
            .await;
        // It is let in again as ever.
        cpe.session().await;
        acs.api.stop().await;
    }
}

/// `DEVICE_LOG_BURST`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fills_the_event_log_is_heard_and_not_kept_and_the_doctor_says_so() {
    for acs in each().await {
        let mut cpe = acs.informed("LOUD").await;
        for n in 0..50 {
            let kind = format!("{n} {}", "x".repeat(100 * 1024));
            let done = format!(
                "<cwmp:AutonomousTransferComplete><IsDownload>1</IsDownload><FileType>{kind}</FileType>\
                 <FaultStruct><FaultCode>0</FaultCode></FaultStruct></cwmp:AutonomousTransferComplete>"
            );
            let answer = cpe.post(&[], &envelope(&n.to_string(), &done)).await;
            let text = answer.text();
            assert!(
                text.contains("AutonomousTransferCompleteResponse"),
                "{text}"
            );
        }
        let found = acs.doctor("LOUD", "device-event-log-filled").await;
        let told = found.to_string();
        assert!(told.contains("filled the event log"), "{told}");
        let device = acs.devices("LOUD").await.pop().unwrap();
        let filter = store::EventFilter {
            device: Some(device.parse().unwrap()),
            kinds: vec![fleet::EventKind::DeviceEvent],
            ..store::EventFilter::default()
        };
        let tenant = fleet::TenantId::parse("default").unwrap();
        let kept = acs.api.store().events_before(&tenant, None, &filter, 50);
        let kept = kept.await.unwrap().events.len();
        // So many go into the burst.
        assert!((35..=42).contains(&kept), "{kept}");
        // And it is asked what it is asked in each session.
        asked(&cpe.post(&[], "").await);
        acs.api.stop().await;
    }
}
