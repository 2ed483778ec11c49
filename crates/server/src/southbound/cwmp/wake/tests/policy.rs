//! Which way is tried when, what is remembered of it, and when a device is left in peace.

use std::time::Duration;

use fleet::{DeviceId, EventKind, TenantId};
use store::{Store, Visit, VisitPath};

use super::super::super::login::Login;
use super::super::super::reach::{CONNECTION_REQUEST, Reach};
use super::super::limits::ROUNDS_BURST;
use super::super::round::Method;
use super::super::testing::{Rig, limits, rig, settings, until};
use super::super::{Limits, Waker};
use super::servers::{Do, Scripted, cpe};
use crate::seam::Attempt;
use crate::state::now;
use crate::vault::Vault;

const YES: Do = Do::Say("HTTP/1.1 200 OK\r\n\r\n");
const NO: Do = Do::Say("HTTP/1.1 404 x\r\n\r\n");

async fn reached_by(rig: &Rig, reach: Reach) {
    reach
        .save(&rig.store, &rig.tenant, rig.device)
        .await
        .unwrap();
}

fn over_http(url: String) -> Reach {
    Reach {
        http_url: Some(url),
        generation: Some(1),
        ..Reach::default()
    }
}

/// An operation that waits for the device.
async fn queued(store: &Store, tenant: &TenantId, device: DeviceId) {
    let operation = fleet::Operation::new(
        fleet::OperationId::new(now(), crate::secret::id_bits()),
        tenant.clone(),
        device,
        fleet::operation::Request::Get {
            paths: vec!["Device.".to_owned()],
            max_depth: 0,
        },
        "test",
        now(),
        now().plus(Duration::from_secs(3600)),
    );
    store
        .operation_insert(tenant, operation, None, vec![])
        .await
        .unwrap();
}

async fn attempts(rig: &Rig, count: usize) -> Vec<Attempt> {
    until("attempts", async || {
        let attempts = rig.waker.attempts(&rig.tenant, rig.device);
        (attempts.len() >= count).then_some(attempts)
    })
    .await
}

async fn ended(waker: &Waker) {
    until("nobody to be woken", async || {
        (waker.0.devices.woken() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_device_that_comes_ends_it_and_its_way_is_remembered() {
    let limits = Limits {
        come_time: Duration::from_secs(20),
        ..limits()
    };
    let rig = rig(settings(), limits).await;
    let password = rig
        .vault
        .device_password(CONNECTION_REQUEST, &rig.tenant, rig.device, 1);
    let (waker, device) = (rig.waker.clone(), rig.device);
    let address = cpe(&device.to_string(), &password, move || {
        waker.came(device, true)
    })
    .await;
    reached_by(&rig, over_http(format!("http://{address}/cr"))).await;
    queued(&rig.store, &rig.tenant, rig.device).await;
    assert!(rig.waker.wake(&rig.tenant, rig.device));
    ended(&rig.waker).await;
    let attempts = until("it to be remembered", async || {
        let attempts = rig.waker.attempts(&rig.tenant, device);
        attempts
            .first()
            .is_some_and(|one| one.words.contains("it came a"))
            .then_some(attempts)
    })
    .await;
    assert_eq!(
        (attempts.len(), &*attempts[0].method, attempts[0].ok),
        (1, "http", true)
    );
    assert_eq!(attempts[0].address, format!("http://{address}/cr"));
    until("what worked to be kept", async || {
        let kept = rig
            .store
            .state_get(&rig.tenant, device, "cwmp.wake")
            .await
            .unwrap();
        (kept.as_deref() == Some(br#"{"worked":"http"}"#)).then_some(())
    })
    .await;
    assert_eq!(serde_json::to_string(&Method::Http).unwrap(), "\"http\"");
}

#[tokio::test]
async fn it_is_asked_again_while_an_operation_waits_and_not_after() {
    let rig = rig(settings(), limits()).await;
    let server = Scripted::new(&[NO]).await;
    reached_by(&rig, over_http(server.url())).await;
    // Nothing waits: one round.
    rig.waker.wake(&rig.tenant, rig.device);
    attempts(&rig, 1).await;
    ended(&rig.waker).await;
    assert_eq!(rig.waker.attempts(&rig.tenant, rig.device).len(), 1);
    queued(&rig.store, &rig.tenant, rig.device).await;
    rig.waker.wake(&rig.tenant, rig.device);
    let tried = attempts(&rig, 4).await;
    assert!(tried.iter().all(|one| !one.ok && one.words.contains("404")));
    // It comes by itself.
    rig.waker.came(rig.device, false);
    ended(&rig.waker).await;
    let before = rig.waker.attempts(&rig.tenant, rig.device).len();
    assert!(before >= 4);
    let events = rig
        .store
        .events_after(&rig.tenant, 0, &Default::default(), 100)
        .await;
    let mut failed = events.unwrap().events;
    failed.retain(|one| one.event.kind == EventKind::DeviceWakeFailed);
    assert_eq!(failed.len(), 1, "the log hears of it once");
    assert_eq!(failed[0].event.data["attempts"][0]["method"], "http");
}

#[tokio::test]
async fn one_that_agrees_and_does_not_come_is_asked_another_way() {
    let rig = rig(settings(), limits()).await;
    let server = Scripted::new(&[YES]).await;
    let other = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let reach = Reach {
        udp_address: Some(other.local_addr().unwrap().to_string()),
        ..over_http(server.url())
    };
    reached_by(&rig, reach).await;
    rig.waker.wake(&rig.tenant, rig.device);
    let tried = attempts(&rig, 2).await;
    assert_eq!((&*tried[0].method, &*tried[1].method), ("udp", "http"));
    assert!(
        !tried[1].ok
            && tried[1]
                .words
                .contains("it agreed and did not come within 0.1 s"),
        "{tried:?}"
    );
    // A device that is busy is there: no other way is tried.
    let busy = Scripted::new(&[Do::Say("HTTP/1.1 503 x\r\n\r\n")]).await;
    let rig = self::rig(settings(), limits()).await;
    let reach = Reach {
        udp_address: Some(other.local_addr().unwrap().to_string()),
        ..over_http(busy.url())
    };
    reached_by(&rig, reach).await;
    rig.waker.wake(&rig.tenant, rig.device);
    attempts(&rig, 1).await;
    ended(&rig.waker).await;
    assert_eq!(rig.waker.attempts(&rig.tenant, rig.device).len(), 1);
}

#[tokio::test]
async fn many_wishes_are_one_request() {
    let limits = Limits {
        interval: Duration::from_secs(60),
        come_time: Duration::from_secs(20),
        ..limits()
    };
    let rig = rig(settings(), limits).await;
    let server = Scripted::new(&[YES]).await;
    reached_by(&rig, over_http(server.url())).await;
    for _ in 0..100 {
        assert!(rig.waker.wake(&rig.tenant, rig.device));
    }
    attempts(&rig, 1).await;
    for _ in 0..100 {
        rig.waker.wake(&rig.tenant, rig.device);
    }
    assert_eq!((server.asked().len(), rig.waker.0.devices.woken()), (1, 1));
    // It came and is wanted again at once, a few times; then not before the interval is over.
    for asked in 2..=ROUNDS_BURST as usize {
        rig.waker.came(rig.device, true);
        rig.waker.wake(&rig.tenant, rig.device);
        attempts(&rig, asked).await;
    }
    rig.waker.came(rig.device, true);
    rig.waker.wake(&rig.tenant, rig.device);
    assert_eq!(server.asked().len(), ROUNDS_BURST as usize);
}

/// `DEVICES_MAX`
#[tokio::test]
async fn where_there_is_no_room_the_sweep_finds_it_later() {
    let limits = Limits {
        devices_max: 1,
        come_time: Duration::from_secs(20),
        sweep_first: Duration::from_millis(20),
        sweep_every: Duration::from_millis(20),
        ..limits()
    };
    let rig = rig(settings(), limits).await;
    let server = Scripted::new(&[YES]).await;
    reached_by(&rig, over_http(server.url())).await;
    let other = DeviceId::new(now(), [9; 10]);
    let (waker, store, tenant, device) = (&rig.waker, &rig.store, &rig.tenant, rig.device);
    // Somebody else has the only place.
    let super::super::devices::Begun::New(task) = waker.0.devices.begin(tenant, other) else {
        panic!();
    };
    assert!(!waker.wake(tenant, device));
    // It comes at intervals, and did lately.
    visited(store, tenant, device).await;
    queued(store, tenant, device).await;
    waker.0.devices.end(other, &task);
    attempts(&rig, 1).await;
    assert_eq!(server.asked().len(), 1);
}

/// The device has come.
async fn visited(store: &Store, tenant: &TenantId, device: DeviceId) {
    let visit = Visit {
        device,
        at: now(),
        expected_by: now().plus(Duration::from_secs(300)),
        path: VisitPath {
            transport: "cwmp".into(),
            endpoint_id: String::new(),
            peer: "127.0.0.1:1".into(),
            authenticated_by: "setup_key".into(),
            setup_key: None,
            info: serde_json::json!({}),
        },
    };
    store.device_visited(tenant, vec![visit]).await.unwrap();
}

#[tokio::test]
async fn the_sweep_leaves_alone_who_is_here_and_whose_tenant_is_disabled() {
    let limits = Limits {
        sweep_first: Duration::from_millis(20),
        sweep_every: Duration::from_millis(20),
        ..limits()
    };
    let rig = rig(settings(), limits).await;
    let server = Scripted::new(&[NO]).await;
    reached_by(&rig, over_http(server.url())).await;
    let (store, tenant, device) = (&rig.store, &rig.tenant, rig.device);
    visited(store, tenant, device).await;
    let session = crate::southbound::registry::NewEntry {
        tenant: tenant.clone(),
        device,
        transport: "cwmp",
        peer: "127.0.0.1:1".parse().unwrap(),
        strength: fleet::onboarding::Strength::SetupKey,
        certificate: None,
        inbox: tokio::sync::mpsc::channel(1).0,
    };
    let links = rig.waker.links();
    let Ok(session) = links.claim(session) else {
        panic!("nobody is here");
    };
    queued(store, tenant, device).await;
    // One that the sweep sees after it.
    let another = super::super::testing::another(store, tenant).await;
    let way = over_http(server.url());
    way.save(store, tenant, another).await.unwrap();
    visited(store, tenant, another).await;
    queued(store, tenant, another).await;
    let tried = async || {
        until("the other one to be asked", async || {
            (!rig.waker.attempts(tenant, another).is_empty()).then_some(())
        })
        .await;
    };
    tried().await;
    assert!(rig.waker.attempts(tenant, device).is_empty(), "it is here");
    links.leave(&session.entry);
    attempts(&rig, 1).await;
    // The tenant is disabled: rounds end, and no other begins.
    let patch = store::TenantPatch {
        disabled_at: Some(Some(now())),
        ..Default::default()
    };
    store.tenant_update(tenant, patch, vec![]).await.unwrap();
    ended(&rig.waker).await;
    let to_wake = store.operation_devices_to_wake("cwmp", now(), None, 10);
    assert!(to_wake.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_device_that_was_merged_is_asked_with_what_it_was_told() {
    let limits = Limits {
        come_time: Duration::from_secs(20),
        ..limits()
    };
    let rig = rig(settings(), limits).await;
    let before = DeviceId::new(now(), [9; 10]);
    let password = rig
        .vault
        .device_password(CONNECTION_REQUEST, &rig.tenant, before, 1);
    let (waker, device) = (rig.waker.clone(), rig.device);
    let came = move || waker.came(device, true);
    let address = cpe(&before.to_string(), &password, came).await;
    let reach = Reach {
        told_as: Some(before),
        ..over_http(format!("http://{address}/cr"))
    };
    reached_by(&rig, reach).await;
    rig.waker.wake(&rig.tenant, rig.device);
    let tried = attempts(&rig, 1).await;
    assert!(tried[0].ok, "{tried:?}");
}

#[tokio::test]
async fn what_a_person_entered_is_shown_to_the_device_until_it_is_taken_away() {
    let rig = rig(settings(), limits()).await;
    let address = cpe("label", "Zte521", || {}).await;
    reached_by(&rig, over_http(format!("http://{address}/cr"))).await;
    let tried = async |count: usize| {
        rig.waker.wake(&rig.tenant, rig.device);
        ended(&rig.waker).await;
        attempts(&rig, count).await.remove(0).words
    };
    let ours = tried(1).await;
    assert!(
        ours.contains("does not take our credentials (401)"),
        "{ours}"
    );
    let (store, vault) = (&rig.store, &rig.vault);
    for (count, (password, words)) in [
        ("wrong", "the credentials that were entered for it (401)"),
        ("Zte521", "the device agreed to come"),
    ]
    .into_iter()
    .enumerate()
    {
        let entered = ("label".to_owned(), password);
        let login = Login::new(vault, &rig.tenant, rig.device, entered, "test".to_owned());
        let kept = login.unwrap();
        kept.save(store, &rig.tenant, rig.device, vec![])
            .await
            .unwrap();
        let said = tried(2 + count).await;
        assert!(said.contains(words), "{said}");
    }
    // Of another master key: it says so, and shows nothing.
    let other = Vault::of(&[9; 32]).unwrap();
    let entered = ("label".to_owned(), "Zte521");
    let login = Login::new(&other, &rig.tenant, rig.device, entered, "test".to_owned()).unwrap();
    login
        .save(store, &rig.tenant, rig.device, vec![])
        .await
        .unwrap();
    let sealed = tried(4).await;
    assert!(sealed.contains("cannot be opened"), "{sealed}");
    let removed = Login::remove(store, &rig.tenant, rig.device, vec![]).await;
    assert!(removed.unwrap());
    let ours = tried(5).await;
    assert!(ours.contains("our credentials"), "{ours}");
}

#[tokio::test]
async fn a_device_without_a_way_is_left_alone() {
    let rig = rig(settings(), limits()).await;
    queued(&rig.store, &rig.tenant, rig.device).await;
    assert!(rig.waker.wake(&rig.tenant, rig.device));
    ended(&rig.waker).await;
    assert!(rig.waker.attempts(&rig.tenant, rig.device).is_empty());
}
