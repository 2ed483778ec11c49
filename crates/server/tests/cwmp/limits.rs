//! The limits of the door and of the conversation that only those hit who mean to, or who are very
//! many: each is told by its name, and the others go on.

use std::time::Duration;

use fleet::southbound::{Failure, Job, JobId, Op};
use fleet::{DeviceId, Fact, Southbound};
use server::south::Links as _;
use server::southbound::cwmp::limits::{Limits, SESSION_INBOX};

use crate::raw::{Cpe, envelope, request};
use crate::rig::{PATIENCE, World, until, world, world_of};

fn job(id: u64) -> Job {
    Job {
        id: JobId(id),
        op: Op::Get {
            paths: vec!["Device.".to_owned()],
            max_depth: 0,
        },
        timeout: Duration::from_secs(5),
        transcript: None,
        over: fleet::Protocol::Cwmp,
    }
}

/// The next facts of a device, until one is wanted.
async fn fact<T>(world: &mut World, what: &str, wanted: impl Fn(DeviceId, Fact) -> Option<T>) -> T {
    let found = async {
        loop {
            let (_, device, fact) = world.facts.recv().await.expect("somebody reports");
            if let Some(found) = wanted(device, fact) {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("it never came to this: {what}"))
}

/// A session whose conversation waits for the domain, which takes one fact (what the Inform says) and
/// no more.
async fn stuck(change: impl FnOnce(&mut Limits)) -> (World, Cpe, DeviceId) {
    let world = world_of(1, |_, limits| change(limits)).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    let device = world.device("Box", "S1").await;
    until("the domain is behind", || async {
        (world.facts.len() == 1).then_some(())
    })
    .await;
    (world, cpe, device)
}

/// `SESSION_INBOX`
#[tokio::test]
async fn beyond_what_may_wait_for_a_session_work_is_turned_back() {
    let mut world = world(|_, limits| limits.work_wait_max = PATIENCE).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    let device = world.device("Box", "S1").await;
    world.can_be_asked(device).await;
    // It is the device's turn: of the first one it will be asked. The inbox and that of the conversation hold the others.
    let most = 2 * SESSION_INBOX as u64 + 1;
    for n in 0..=most {
        world.adapter.submit(&world.tenant, device, job(n));
    }
    let back = fact(&mut world, "work is turned back", |of, fact| match fact {
        Fact::Done { job, result } if of == device => Some((job, result)),
        _ => None,
    });
    let (job, result) = back.await;
    assert!(job.0 >= SESSION_INBOX as u64, "{job:?}");
    let Err(Failure::Unsent { reason }) = result else {
        panic!("{result:?}");
    };
    assert!(reason.contains("too much is waiting"), "{reason}");
}

/// `CONVERSE_END_MAX`
#[tokio::test]
async fn a_conversation_that_does_not_end_is_cut_off_and_the_domain_hears_that() {
    let time = Duration::from_millis(200);
    let (mut world, mut cpe, device) = stuck(|limits| limits.converse_end_max = time).await;
    // Nobody can continue it.
    cpe.cookie = None;
    let unknown = envelope("8", "<cwmp:X_Dance/>");
    assert_eq!(cpe.post(&[], &unknown).await.status, 200);
    drop(cpe);
    world.quiet().await;
    let told = fact(&mut world, "its session is over", |of, fact| match fact {
        Fact::Disconnected { reason, .. } if of == device => Some(reason),
        _ => None,
    });
    let reason = told.await;
    assert!(reason.contains("not written down in time"), "{reason}");
}

/// `REPLACE_TIME_MAX`
#[tokio::test]
async fn a_new_session_waits_only_so_long_for_the_one_it_replaces() {
    let (mut world, _older, device) = stuck(|limits| {
        limits.replace_time_max = Duration::from_millis(200);
        limits.converse_end_max = Duration::from_secs(3600);
    })
    .await;
    // It is let in, and what it says waits for the domain as that of the older one does.
    let mut newer = world.cpe("S1").await;
    let basic = newer.basic();
    let again = newer.inform().replace("2 PERIODIC", "1 BOOT");
    let headers = [("Authorization", basic.as_str())];
    newer
        .wire
        .send(request("HTTP/1.1", "/", &headers, &again))
        .await;
    let address = newer.wire.stream.local_addr().unwrap().to_string();
    until("it has the place", || async {
        (world.path(device).await.peer == address).then_some(())
    })
    .await;
    assert_eq!(world.adapter.sessions(), 2, "the older one has not ended");
    world.facts.close();
}

/// `GOODBYE_TIME_MAX`
#[tokio::test]
async fn at_the_stop_a_session_that_does_not_end_is_waited_for_only_so_long() {
    let (mut world, _cpe, _) = stuck(|limits| {
        limits.goodbye_time_max = Duration::from_millis(200);
        limits.converse_end_max = Duration::from_secs(3600);
    })
    .await;
    world.shutdown.cancel();
    let ended = tokio::time::timeout(PATIENCE, &mut world.task);
    ended.await.expect("it does not wait for ever").unwrap();
    assert_eq!(world.adapter.sessions(), 1, "its session has not ended");
    world.facts.close();
}

#[tokio::test]
async fn known_devices_that_keep_the_setup_key_are_no_newcomers() {
    let world = world(|_, limits| {
        (limits.setup_key_burst, limits.setup_key_per_second) = (2.0, 0.0);
    })
    .await;
    for _ in 0..3 {
        world.cpe("S1").await.session().await;
    }
    world.cpe("S2").await.session().await;
    let mut third = world.cpe("S3").await;
    let later = third.come().await;
    assert_eq!(later.status, 503);
    assert!(later.header("Retry-After").is_some());
    world.refused("setup_key_limited").await;
    world.cpe("S2").await.session().await;
}

/// `STAYS_EVERY`
#[tokio::test]
async fn a_device_in_a_long_session_is_there_all_the_while() {
    let world = world(|_, limits| limits.stays_every = Duration::ZERO).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    let device = world.device("Box", "S1").await;
    let before = world.path(device).await;
    let (came, until_then) = (before.heard_at.unwrap(), before.expected_by.unwrap());
    let given = until_then.since(came);
    let asks = envelope("9", "<cwmp:GetRPCMethods/>");
    until("it is later", || async {
        (server::state::now() > came).then_some(())
    })
    .await;
    assert_eq!(cpe.post(&[], &asks).await.status, 200);
    let after = until("that it is still there is written down", || async {
        let after = world.path(device).await;
        (after.heard_at > before.heard_at).then_some(after)
    });
    let after = after.await;
    let heard = after.heard_at.unwrap();
    assert_eq!(after.expected_by, Some(heard.plus(given)));
    assert_eq!(
        (after.connected_at, after.peer),
        (before.connected_at, before.peer)
    );
    assert!(world.adapter.heard(device) >= Some(heard));
    // When it would count as gone, had it not been heard since it came.
    let gone = until_then.plus(given).plus(Duration::from_millis(1));
    let lapsed = world.store.device_lapse(&world.tenant, gone, 9).await;
    assert_eq!(lapsed.unwrap(), []);
}

/// Takes as long as the shortest silence is.
#[tokio::test]
async fn silence_ends_a_session_and_a_message_on_a_slow_line_is_none() {
    let patience = Duration::from_secs(90);
    let world = world(|_, limits| limits.body_silence_max = patience).await;
    let mut slow = world.cpe("SLOW").await;
    assert_eq!(slow.come().await.status, 200);
    let cookie = slow.cookie.clone().unwrap();
    let body = crate::raw::envelope("9", "<cwmp:GetRPCMethods/>");
    let length = body.len().to_string();
    let headers = [("Cookie", cookie.as_str()), ("Content-Length", &length)];
    let (first, rest) = body.split_at(body.len() / 3);
    let head = request("HTTP/1.1", "/", &headers, first);
    slow.wire.send(head).await;
    let mut silent = world.cpe("SILENT").await;
    assert_eq!(silent.come().await.status, 200);
    let told = async {
        while !world
            .reasons()
            .await
            .contains(&"session-silence".to_owned())
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let told = tokio::time::timeout(patience, told).await;
    assert!(told.is_ok(), "its silence ends it");
    slow.wire.send(rest).await;
    let answer = slow.wire.answer().await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("MethodList"));
    let since = fleet::Timestamp::default();
    let found = world.store.refusal_list(Some(&world.tenant), since, 9);
    let found = found.await.unwrap().into_iter();
    let names: Vec<_> = found.map(|record| record.last.endpoint_id).collect();
    assert_eq!(names, ["00256D-Box-SILENT"]);
}

/// `VALUES_PER_DEVICE_MAX`
#[tokio::test]
async fn a_device_that_tells_more_names_than_are_kept_still_comes_in_and_the_new_ones_are_left_out()
{
    use store::limits::VALUES_PER_DEVICE_MAX;
    const KNOWN: &str = "Device.DeviceInfo.SoftwareVersion";
    let world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await;
    cpe.session().await;
    let device = world.device("Box", "S1").await;
    let (store, tenant) = (&world.store, &world.tenant);
    let value = async |path: &str| {
        let found = store.value_of(tenant, device, &[path.to_owned()]).await;
        found.unwrap().pop().map(|one| one.value)
    };
    assert_eq!(value(KNOWN).await.as_deref(), Some("1.0"));
    let kept = store.value_objects(tenant, device).await.unwrap();
    let kept: u64 = kept.iter().map(|(_, count, _)| count).sum();
    let rest = kept as usize..VALUES_PER_DEVICE_MAX;
    let rest = rest.map(|n| (format!("Device.X_ACME_Log.{n}.Text"), String::new()));
    let at = server::state::now();
    let many = store::ValueUpdate::of(rest, store::ValueSource::Notified, at);
    store.value_update(tenant, device, many, at).await.unwrap();
    // One name more than there is room for, and a known one that is not as it was.
    let software = "<ParameterValueStruct><Name>Device.DeviceInfo.SoftwareVersion</Name>";
    let new = "<ParameterValueStruct><Name>Device.X_ACME_New</Name><Value>x</Value></ParameterValueStruct>";
    let inform = cpe.inform();
    assert!(inform.contains(software), "{inform}");
    let inform = inform
        .replace(software, &format!("{new}{software}"))
        .replace(">1.0<", ">2.0<");
    let basic = cpe.basic();
    cpe.reconnect().await;
    let answer = cpe.post(&[("Authorization", &basic)], &inform).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    cpe.finish().await;
    assert_eq!(value(KNOWN).await.as_deref(), Some("2.0"));
    assert_eq!(value("Device.X_ACME_New").await, None);
    world.refused_of("values-limit", "00256D-Box-S1").await;
    until("the session says so", || async {
        let list = store.management_session_list(tenant, device, None, 1).await;
        let last = list.unwrap().pop()?;
        let kept = store.management_session(tenant, device, last.id).await;
        let (_, said) = kept.unwrap();
        let mut notes = said
            .entries
            .into_iter()
            .filter(|one| one.direction == "note");
        notes
            .any(|one| one.text.contains("new values of the Inform are not kept"))
            .then_some(())
    })
    .await;
}
