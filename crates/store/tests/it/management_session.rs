//! The sessions of devices that come at intervals.

use fleet::{DeviceId, SessionId, TenantId};
use store::limits::{
    FAULTS_PER_DEVICE_MAX, FAULTS_PER_SESSION_MAX, SESSION_BYTES_MAX, SESSION_ENTRIES_MAX,
    SESSIONS_PER_DEVICE_MAX, TRANSCRIPT_BYTES_MAX,
};
use store::{
    DevicePatch, Error, ManagementSession, Revocation, SessionEntry, SessionFault,
    SessionTranscript, Store,
};

use crate::world::{NOW, at, bits, insert_device, tenant, worlds};

const SSID: &str = "Device.WiFi.SSID.1.SSID";

/// A session this many seconds from now, in which a parameter was refused.
pub fn session(device: DeviceId, seconds: i64) -> (ManagementSession, SessionTranscript) {
    let session = ManagementSession {
        id: SessionId::new(at(seconds), bits()),
        device,
        protocol: "cwmp".to_owned(),
        started_at: at(seconds),
        ended_at: at(seconds + 1),
        peer: "192.0.2.9:4711".to_owned(),
        events: vec!["2 PERIODIC".to_owned()],
        ending: "204".to_owned(),
        faults: 1,
    };
    let transcript = SessionTranscript {
        entries: vec![entry("<Inform/>".to_owned())],
        left_out: 0,
        faults: vec![fault(9007, SSID, "home")],
    };
    (session, transcript)
}

fn entry(text: String) -> SessionEntry {
    SessionEntry {
        at: NOW,
        direction: "in".to_owned(),
        kind: "Inform".to_owned(),
        text,
        masked: false,
    }
}

fn fault(code: u32, parameter: &str, value: &str) -> SessionFault {
    SessionFault {
        code,
        message: format!("I do not like {value}"),
        asked: "SetParameterValues".to_owned(),
        parameter: Some(parameter.to_owned()),
        value: Some(value.to_owned()),
    }
}

async fn put(
    store: &Store,
    tenant: &TenantId,
    (session, transcript): (ManagementSession, SessionTranscript),
) -> SessionId {
    let id = session.id;
    store
        .management_session_put(tenant, session, transcript)
        .await
        .unwrap();
    id
}

#[tokio::test]
async fn the_newest_sessions_of_a_device_are_kept_and_read_back_as_they_were() {
    for db in worlds().await {
        let acme = tenant("acme");
        let device = insert_device(&db.store, &acme, "S1").await;
        let other = insert_device(&db.store, &acme, "S2").await;
        put(&db.store, &acme, session(other, 0)).await;
        let max = i64::try_from(SESSIONS_PER_DEVICE_MAX).unwrap();
        let mut ids = Vec::new();
        for n in 0..max + 2 {
            ids.push(put(&db.store, &acme, session(device, n)).await);
        }
        ids.reverse();
        let list = async |before: Option<SessionId>, limit| {
            let found = db
                .store
                .management_session_list(&acme, device, before, limit);
            let found = found.await.unwrap();
            found.iter().map(|one| one.id).collect::<Vec<_>>()
        };
        assert_eq!(
            list(None, 500).await,
            ids[..SESSIONS_PER_DEVICE_MAX as usize]
        );
        assert_eq!(list(Some(ids[1]), 2).await, ids[2..4]);
        let (mut expected, said) = session(device, max + 1);
        expected.id = ids[0];
        let found = db.store.management_session(&acme, device, ids[0]).await;
        assert_eq!(found.unwrap(), (expected, said));
        let last = ids[SESSIONS_PER_DEVICE_MAX as usize];
        let gone = db.store.management_session(&acme, device, last).await;
        assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
        // By time, in batches; what is younger stays.
        let purged = db
            .store
            .management_session_purge(&acme, at(max))
            .await
            .unwrap();
        // 29 of this device, and the one of the other.
        assert_eq!(purged, SESSIONS_PER_DEVICE_MAX - 3 + 1);
        assert_eq!(list(None, 500).await, ids[..3]);
    }
}

#[tokio::test]
async fn a_long_transcript_keeps_its_beginning_and_its_end() {
    for db in worlds().await {
        let acme = tenant("acme");
        let device = insert_device(&db.store, &acme, "S1").await;
        let read = async |entries: Vec<SessionEntry>| {
            let (session, mut said) = session(device, 0);
            said.entries = entries;
            let id = put(&db.store, &acme, (session, said)).await;
            let found = db.store.management_session(&acme, device, id).await;
            found.unwrap().1
        };
        let many = SESSION_ENTRIES_MAX + 7;
        let said = read((0..many).map(|n| entry(n.to_string())).collect()).await;
        assert_eq!(
            (said.entries.len(), said.left_out),
            (SESSION_ENTRIES_MAX, 7)
        );
        assert_eq!(said.entries[0].text, "0");
        assert_eq!(
            said.entries[SESSION_ENTRIES_MAX - 1].text,
            (many - 1).to_string()
        );
        let long = SESSION_BYTES_MAX / TRANSCRIPT_BYTES_MAX + 3;
        let text = "ä".repeat(TRANSCRIPT_BYTES_MAX);
        let said = read((0..long).map(|_| entry(text.clone())).collect()).await;
        assert_eq!((said.entries.len(), said.left_out), (long - 3, 3));
        assert_eq!(said.entries[0].text.len(), TRANSCRIPT_BYTES_MAX);
    }
}

#[tokio::test]
async fn a_fault_says_how_many_devices_of_the_model_show_it_in_whichever_row() {
    for db in worlds().await {
        let acme = tenant("acme");
        let mut devices = Vec::new();
        for n in 0..4 {
            let device = insert_device(&db.store, &acme, &format!("S{n}")).await;
            let model = if n == 3 { "other" } else { "model" };
            let patch = DevicePatch {
                model: Some((fleet::Protocol::Cwmp, model.to_owned())),
                ..DevicePatch::default()
            };
            db.store
                .device_update(&acme, device, patch, NOW, vec![])
                .await
                .unwrap();
            let (session, mut said) = session(device, 0);
            let row = format!("Device.WiFi.SSID.{n}.SSID");
            said.faults = vec![fault(9007, &row, "x"), fault(9007, &row, "y")];
            put(&db.store, &acme, (session, said)).await;
            devices.push(device);
        }
        let seen = async |device, model: &str, code, parameter: &str| {
            let seen = db
                .store
                .fault_seen_elsewhere(&acme, device, model, code, parameter);
            seen.await.unwrap()
        };
        assert_eq!(seen(devices[0], "model", 9007, SSID).await, 2);
        assert_eq!(seen(devices[3], "other", 9007, SSID).await, 0);
        assert_eq!(seen(devices[0], "model", 9005, SSID).await, 0);
        assert_eq!(seen(devices[0], "model", 9007, "Device.WiFi.").await, 0);
        db.store
            .device_delete(&acme, devices[1], Revocation::default(), vec![])
            .await
            .unwrap();
        assert_eq!(seen(devices[0], "model", 9007, SSID).await, 1);
        // A device that invents faults keeps to its share.
        let mut invented = 0;
        for n in 0..3 {
            let (session, mut said) = session(devices[2], 10 + n);
            said.faults = (0..FAULTS_PER_SESSION_MAX as u32)
                .map(|code| fault(n as u32 * 1000 + code, SSID, "x"))
                .collect();
            invented += said.faults.len() as u64;
            said.faults.push(fault(9007, SSID, "beyond the limit"));
            put(&db.store, &acme, (session, said)).await;
        }
        assert!(invented > FAULTS_PER_DEVICE_MAX);
        assert_eq!(seen(devices[0], "model", 9007, SSID).await, 0);
        assert_eq!(seen(devices[0], "model", 2000, SSID).await, 1);
        assert_eq!(seen(devices[0], "model", 0, SSID).await, 0);
    }
}

#[tokio::test]
async fn the_secret_that_was_tried_is_masked_also_in_the_words_of_the_device() {
    for db in worlds().await {
        let acme = tenant("acme");
        let device = insert_device(&db.store, &acme, "S1").await;
        let (session, mut said) = session(device, 0);
        let secret = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
        said.faults = vec![fault(9007, secret, "hunter22"), fault(9007, SSID, "home")];
        let id = put(&db.store, &acme, (session, said)).await;
        let found = db.store.management_session(&acme, device, id).await;
        let faults = found.unwrap().1.faults;
        assert_eq!(faults[0].value.as_deref(), Some(fleet::secret::MASK));
        assert_eq!(faults[0].message, "I do not like ********");
        assert_eq!(faults[1].value.as_deref(), Some("home"));
    }
}
