//! A device is asked to come as soon as something is to be asked of it, also when that is said while
//! its session ends, and one that was asked is kept for a while.

use std::time::Duration;

use fleet::operation::Request;
use fleet::southbound::{Job, JobId, Op, Southbound};
use fleet::{DeviceId, Operation, OperationId};
use server::south::Links;
use server::southbound::cwmp::wake::Network;
use server::{secret, state::now};
use tokio::net::TcpListener;

use crate::raw::{Cpe, inform};
use crate::rig::{PATIENCE, World, until, world};

/// Less than a session stays open for a device that keeps its connection.
const AT_ONCE: Duration = Duration::from_secs(4);

/// A session ends when it is told that nothing is asked, and not before.
async fn patient(linger: Duration) -> World {
    world(|config, limits| {
        config.cwmp.wake_networks = Some(vec![Network::LOOPBACK]);
        limits.work_wait_max = PATIENCE;
        limits.linger = linger;
    })
    .await
}

/// It says why it comes, and where it can be asked to.
async fn comes(cpe: &mut Cpe, event: &str, url: &str) {
    let (class, serial) = (cpe.class.clone(), cpe.serial.clone());
    let said = inform(&cpe.oui, &class, &serial, event)
        .replace(
            "DeviceInfo.HardwareVersion",
            "ManagementServer.ConnectionRequestURL",
        )
        .replace(">A<", &format!(">{url}<"));
    let basic = cpe.basic();
    let informed = cpe.post(&[("Authorization", &basic)], &said).await;
    assert_eq!(informed.status, 200, "{}", informed.text());
}

async fn linked(world: &mut World, serial: &str) -> DeviceId {
    let device = world.device("Box", serial).await;
    world.can_be_asked(device).await;
    device
}

async fn stored(world: &World, device: DeviceId) {
    let paths = vec!["Device.".to_owned()];
    let operation = Operation::new(
        OperationId::new(now(), secret::id_bits()),
        world.tenant.clone(),
        device,
        Request::Get {
            paths,
            max_depth: 0,
        },
        "test",
        now(),
        now().plus(Duration::from_secs(3600)),
    );
    let stored = world
        .store
        .operation_insert(&world.tenant, operation, None, vec![]);
    stored.await.unwrap();
}

fn job(op: Op) -> Job {
    Job {
        id: JobId(1),
        op,
        timeout: PATIENCE,
        transcript: None,
        over: fleet::Protocol::Cwmp,
    }
}

#[tokio::test]
async fn what_is_asked_for_too_late_for_a_session_leads_to_the_next_one_at_once() {
    let mut world = patient(Duration::ZERO).await;
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", door.local_addr().unwrap());
    let mut cpe = world.cpe("S1").await;
    comes(&mut cpe, "2 PERIODIC", &url).await;
    let device = linked(&mut world, "S1").await;
    // The dispatcher has said that there is nothing more; then comes one.
    stored(&world, device).await;
    world.adapter.wake(&world.tenant, device);
    world
        .adapter
        .rest(&world.tenant, device, fleet::Protocol::Cwmp);
    cpe.finish().await;
    // Also where it keeps its connection open.
    let knock = tokio::time::timeout(AT_ONCE, door.accept()).await;
    knock.expect("it is asked to come").unwrap();
}

/// As after a short power cut: what the dispatcher has back from the session before comes too late for this one.
#[tokio::test]
async fn what_was_asked_for_in_a_session_that_was_replaced_leads_to_the_next_one_at_once() {
    let mut world = patient(Duration::ZERO).await;
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", door.local_addr().unwrap());
    let mut cut = world.cpe("S1").await;
    comes(&mut cut, "2 PERIODIC", &url).await;
    let device = linked(&mut world, "S1").await;
    stored(&world, device).await;
    let get = Op::Get {
        paths: vec!["Device.DeviceInfo.UpTime".to_owned()],
        max_depth: 0,
    };
    world.adapter.submit(&world.tenant, device, job(get));
    assert_eq!(cut.post(&[], "").await.status, 200);
    let mut back = world.cpe("S1").await;
    comes(&mut back, "1 BOOT", &url).await;
    // Until it is heard: what is said to an earlier session does not count.
    let nothing = async {
        until("its session to end", || async {
            world
                .adapter
                .rest(&world.tenant, device, fleet::Protocol::Cwmp);
            (!world.adapter.is_linked(device)).then_some(())
        })
        .await;
    };
    tokio::join!(back.finish(), nothing);
    let knock = tokio::time::timeout(AT_ONCE, door.accept()).await;
    knock.expect("it is asked to come").unwrap();
}

#[tokio::test]
async fn a_session_in_which_all_was_done_leads_to_no_other_one() {
    let mut world = patient(Duration::ZERO).await;
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", door.local_addr().unwrap());
    let mut cpe = world.cpe("S1").await;
    for _ in 0..5 {
        comes(&mut cpe, "2 PERIODIC", &url).await;
        let device = linked(&mut world, "S1").await;
        world.adapter.wake(&world.tenant, device);
        world
            .adapter
            .rest(&world.tenant, device, fleet::Protocol::Cwmp);
        cpe.finish().await;
        until("nothing can be asked of it", || async {
            (!world.adapter.is_linked(device)).then_some(())
        })
        .await;
        assert!(world.adapter.attempts(&world.tenant, device).is_empty());
    }
}

#[tokio::test]
async fn a_device_that_was_asked_to_come_is_kept_for_what_is_asked_next() {
    let mut world = patient(Duration::from_secs(3600)).await;
    // One that comes by itself goes when nothing is asked of it.
    let mut other = world.cpe("S1").await;
    comes(&mut other, "2 PERIODIC", "").await;
    let device = linked(&mut world, "S1").await;
    world
        .adapter
        .rest(&world.tenant, device, fleet::Protocol::Cwmp);
    other.finish().await;

    let mut cpe = world.cpe("S2").await;
    comes(&mut cpe, "6 CONNECTION REQUEST", "").await;
    let device = linked(&mut world, "S2").await;
    let asks = async {
        // More than once: it makes no difference.
        world
            .adapter
            .rest(&world.tenant, device, fleet::Protocol::Cwmp);
        world
            .adapter
            .rest(&world.tenant, device, fleet::Protocol::Cwmp);
        let get = Op::Get {
            paths: vec!["Device.DeviceInfo.UpTime".to_owned()],
            max_depth: 0,
        };
        world.adapter.submit(&world.tenant, device, job(get));
    };
    let (asked, ()) = tokio::join!(cpe.post(&[], ""), asks);
    assert_eq!(asked.status, 200, "{}", asked.text());
    // What it does after its session does not wait.
    let reboot = Op::Operate {
        command: "Device.Reboot()".to_owned(),
        key: "1".to_owned(),
        args: Default::default(),
    };
    world.adapter.submit(&world.tenant, device, job(reboot));
    world
        .adapter
        .rest(&world.tenant, device, fleet::Protocol::Cwmp);
    let id = asked.text();
    let id = id.split("</cwmp:ID>").next().unwrap().rsplit('>').next();
    let mut body = crate::raw::fault(id.unwrap(), 9002);
    loop {
        let answer = cpe.post(&[], &body).await;
        if answer.status == 204 {
            break;
        }
        let text = answer.text();
        let id = text.split("</cwmp:ID>").next().unwrap().rsplit('>').next();
        body = crate::raw::fault(id.unwrap(), 9002);
    }
}
