//! What is asked of a device while its sessions come and go: it goes to the session that whoever asks knows of, or to none.

use std::time::Duration;

use fleet::southbound::{Failure, Job, JobId, Op};
use fleet::{DeviceId, Fact, Protocol, Southbound};
use server::south::Links;

use crate::raw::Cpe;
use crate::rig::{PATIENCE, World, until, world};

fn submit(world: &World, device: DeviceId, id: u64) {
    let op = Op::Get {
        paths: vec![format!("Device.DeviceInfo.X_{id}")],
        max_depth: 0,
    };
    let job = Job {
        id: JobId(id),
        op,
        timeout: PATIENCE,
        transcript: None,
        over: Protocol::Cwmp,
    };
    world.adapter.submit(&world.tenant, device, job);
}

/// A device in a session in which it can be asked.
async fn comes(world: &mut World) -> (Cpe, DeviceId) {
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    let device = world.device("Box", "S1").await;
    world.can_be_asked(device).await;
    (cpe, device)
}

/// How a job ended, among these.
fn done(facts: &[Fact], id: u64) -> Option<&Failure> {
    facts.iter().find_map(|fact| match fact {
        Fact::Done { job, result } if *job == JobId(id) => result.as_ref().err(),
        _ => None,
    })
}

async fn waiting() -> World {
    world(|_, limits| limits.work_wait_max = PATIENCE).await
}

#[tokio::test]
async fn what_is_asked_before_the_end_of_the_old_session_is_heard_is_not_done_in_the_new_one() {
    let mut world = waiting().await;
    let (mut cut, device) = comes(&mut world).await;
    submit(&world, device, 1);
    assert_eq!(cut.post(&[], "").await.status, 200, "it is asked");
    // It lost its power. Whoever asks is behind: he thinks that the old session is there.
    let mut back = world.cpe("S1").await;
    assert_eq!(back.come().await.status, 200);
    until("the new session to say that it is there", || async {
        (world.facts.len() >= 3).then_some(())
    })
    .await;
    submit(&world, device, 2);
    let facts = world.can_be_asked(device).await;
    let lost = done(&facts, 1);
    assert!(matches!(lost, Some(Failure::Lost { .. })), "{lost:?}");
    let end = |fact: &Fact| matches!(fact, Fact::Disconnected { .. });
    assert!(facts.iter().any(end), "{facts:?}");
    let late = tokio::time::timeout(PATIENCE, world.facts.recv()).await;
    let facts = [late.unwrap().unwrap().2];
    let unsent = done(&facts, 2);
    assert!(matches!(unsent, Some(Failure::Unsent { .. })), "{facts:?}");
    // What is asked now is meant for it.
    submit(&world, device, 3);
    let asked = back.post(&[], "").await;
    assert_eq!(asked.status, 200, "{}", asked.text());
}

#[tokio::test]
async fn a_rest_of_the_session_before_does_not_end_the_new_one() {
    /// Long enough for an answer that does not wait.
    const MOMENT: Duration = Duration::from_millis(500);
    let mut world = waiting().await;
    let (mut cut, device) = comes(&mut world).await;
    submit(&world, device, 1);
    assert_eq!(cut.post(&[], "").await.status, 200, "it is asked");
    let mut back = world.cpe("S1").await;
    assert_eq!(back.come().await.status, 200);
    until("the new session to say that it is there", || async {
        (world.facts.len() >= 3).then_some(())
    })
    .await;
    // Whoever asks has heard that the answer is lost, and will ask again.
    world.adapter.rest(&world.tenant, device, Protocol::Cwmp);
    world.can_be_asked(device).await;
    let mut posting = std::pin::pin!(back.post(&[], ""));
    let early = tokio::time::timeout(MOMENT, &mut posting).await;
    assert!(early.is_err(), "the session is over: {early:?}");
    submit(&world, device, 2);
    assert_eq!(posting.await.status, 200, "it is asked again");
}

#[tokio::test]
async fn what_the_end_of_a_session_overtakes_was_not_sent() {
    let mut world = waiting().await;
    let (_cpe, device) = comes(&mut world).await;
    // The device has its turn: none of it leaves.
    for id in 1..=3 {
        submit(&world, device, id);
    }
    world.adapter.device_removed(&world.tenant, device);
    let mut facts = Vec::new();
    let ended = async {
        while !facts
            .iter()
            .any(|fact| matches!(fact, Fact::Disconnected { .. }))
        {
            facts.push(world.facts.recv().await.unwrap().2);
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    ended.expect("it ends");
    for id in 1..=3 {
        let unsent = done(&facts, id);
        assert!(
            matches!(unsent, Some(Failure::Unsent { .. })),
            "{id}: {facts:?}"
        );
    }
}

#[tokio::test]
async fn a_session_that_breaks_over_a_question_waits_for_nothing_more_to_ask() {
    let mut world = waiting().await;
    let (mut cpe, device) = comes(&mut world).await;
    submit(&world, device, 1);
    // Nobody can continue it.
    cpe.cookie = None;
    assert_eq!(cpe.post(&[], "").await.status, 200, "it is asked");
    drop(cpe);
    let mut facts = Vec::new();
    let reason = loop {
        let fact = tokio::time::timeout(PATIENCE, world.facts.recv()).await;
        match fact.unwrap().unwrap().2 {
            Fact::Disconnected { reason, .. } => break reason,
            fact => facts.push(fact),
        }
    };
    assert_eq!(reason, "the session ended");
    let lost = done(&facts, 1);
    assert!(matches!(lost, Some(Failure::Lost { .. })), "{facts:?}");
}
