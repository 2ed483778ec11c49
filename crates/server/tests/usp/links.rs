//! Links that are used, break, and carry nonsense.

use std::time::Duration;

use fleet::southbound::{Answer, Failure, Op};
use mtp::ws::CloseCode;
use server::south::Links;
use server::state::now;
use usp::agent::Event;
use usp::msg::{self, Request};

use crate::admission::give_token;
use crate::puppet::{Puppet, Reply, Seen, plain};
use crate::rig::{World, each, soon, until};

const EID: &str = "os::00256D-P1";

fn get() -> Op {
    Op::Get {
        paths: vec!["Device.DeviceInfo.".into()],
        max_depth: 0,
    }
}

#[tokio::test]
async fn what_was_sent_is_lost_with_the_link_and_what_was_not_is_unsent() {
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let device = world.device(EID).await;
        let id = world.submit(device, get());
        assert!(matches!(world.done(id).await, Err(Failure::Unsent { .. })));
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        // Its onboarding is answered, what follows is not.
        let busy = tokio::spawn(async move {
            let mut asked = 0;
            let seen = puppet
                .serve(|request| match request {
                    Request::Operate(_) => {
                        asked += 1;
                        if asked == 2 { Reply::Stop } else { Reply::Not }
                    }
                    other => plain(other),
                })
                .await;
            assert!(matches!(seen, Seen::Event(Event::Requested { .. })));
            drop(puppet);
        });
        world.connected().await;
        let operate = |n: u32| Op::Operate {
            command: "Device.Reboot()".into(),
            key: n.to_string(),
            args: Default::default(),
        };
        // Two fill the window, the third waits.
        let jobs: Vec<_> = (0..3).map(|n| world.submit(device, operate(n))).collect();
        soon(busy).await.unwrap();
        let mut ends = Vec::new();
        let mut order = Vec::new();
        while ends.len() < 3 {
            let (job, result) = world
                .fact("done", |fact| match fact {
                    fleet::Fact::Done { job, result } => Some((*job, result.clone())),
                    fleet::Fact::Disconnected { .. } => panic!("before its jobs were done"),
                    _ => None,
                })
                .await;
            order.push(job);
            ends.push((job, result));
        }
        let end = |n: usize| {
            ends.iter()
                .find(|(job, _)| *job == jobs[n])
                .unwrap()
                .1
                .clone()
        };
        assert!(matches!(end(0), Err(Failure::Lost { .. })));
        assert!(matches!(end(1), Err(Failure::Lost { .. })));
        assert!(matches!(end(2), Err(Failure::Unsent { .. })));
        world
            .fact("disconnected", |f| {
                matches!(f, fleet::Fact::Disconnected { .. }).then_some(())
            })
            .await;
        let record = world.store.device(&world.tenant, device).await.unwrap();
        until("the store knows", || async {
            let record = world.store.device(&world.tenant, device).await.unwrap();
            (!record.device.evidence.linked()).then_some(())
        })
        .await;
        assert!(record.device.evidence.heard_at.is_some());
    })
    .await;
}

#[tokio::test]
async fn what_changes_a_device_is_in_the_transcript_before_the_device_has_it() {
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let device = world.device(EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let (asked, was_asked) = tokio::sync::oneshot::channel();
        let busy = tokio::spawn(async move {
            let seen = puppet
                .serve(|request| match request {
                    Request::Operate(_) => Reply::Stop,
                    other => plain(other),
                })
                .await;
            // The device has it, and answers nothing until the test has looked.
            asked.send(()).unwrap();
            gone.await.unwrap();
            drop((puppet, seen));
        });
        world.connected().await;
        let operation = fleet::Operation::new(
            fleet::OperationId::new(now(), server::secret::id_bits()),
            world.tenant.clone(),
            device,
            fleet::operation::Request::Operate {
                command: "Device.Reboot()".into(),
                args: Default::default(),
            },
            "test",
            now(),
            now().plus(Duration::from_secs(600)),
        );
        let id = operation.id;
        let op = Op::Operate {
            command: "Device.Reboot()".into(),
            key: operation.command_key(),
            args: Default::default(),
        };
        world
            .store
            .operation_insert(&world.tenant, operation, None, vec![])
            .await
            .unwrap();
        let job = world.submit_for(Some(id), device, op);
        soon(was_asked).await.unwrap();
        let brief = |list: Vec<store::TranscriptEntry>| {
            let brief = |one: store::TranscriptEntry| format!("{} {}", one.direction, one.what);
            list.into_iter().map(brief).collect::<Vec<_>>()
        };
        let sent = world
            .store
            .transcript_list(&world.tenant, id)
            .await
            .unwrap();
        assert_eq!(brief(sent), ["out OPERATE"]);
        go.send(()).unwrap();
        assert!(matches!(world.done(job).await, Err(Failure::Lost { .. })));
        let all = world
            .store
            .transcript_list(&world.tenant, id)
            .await
            .unwrap();
        assert_eq!(brief(all), ["out OPERATE", "in nothing"]);
        soon(busy).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_no_record_closes_the_link_with_1003_and_is_named() {
    // R-WS.16
    each(|world| async move {
        let token = give_token(&world, EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        puppet.send_raw(&b"this is no record"[..]).await;
        assert!(matches!(
            soon(puppet.serve(|_| Reply::Not)).await,
            Seen::Closed(Some(CloseCode::Unsupported))
        ));
        world.refused("unparsable-record").await;
    })
    .await;
}

#[tokio::test]
async fn a_record_for_somebody_else_is_ignored_and_counted() {
    // R-E2E.1
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let device = world.device(EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let payload = usp::codec::encode_msg(&msg::Msg::request("1", msg::get(["Device."])));
        let own = world.own.clone();
        puppet
            .send_as(EID, "self::somebody-else", payload.clone())
            .await;
        puppet.send_as("self::somebody-else", &own, payload).await;
        let busy = tokio::spawn(async move { puppet.serve(plain).await });
        world.refused("misaddressed-record").await;
        world.refused("record-of-another-endpoint").await;
        world.connected().await;
        let Ok(Answer::Values(_)) = world.ask(device, get()).await else {
            panic!()
        };
        busy.abort();
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_takes_its_leave_is_asked_again_after_it_connects_again() {
    // R-MTP.7, R-MTP.8
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let (go, mut gone) = tokio::sync::mpsc::channel::<()>(1);
        let busy = tokio::spawn(async move {
            tokio::select! {
                _ = puppet.serve(plain) => {}
                _ = gone.recv() => {}
            }
            puppet
                .session
                .disconnect(usp::ErrorCode::default(), "maintenance");
            puppet.flush().await;
            puppet.session.channel_closed(std::time::Instant::now());
            let connect = usp::record::WebSocketConnectRecord::default();
            puppet
                .session
                .channel_opened(std::time::Instant::now(), connect);
            puppet.serve(plain).await
        });
        world.connected().await;
        go.send(()).await.unwrap();
        let reason = world
            .fact("disconnected", |fact| match fact {
                fleet::Fact::Disconnected { reason, .. } => Some(reason.clone()),
                _ => None,
            })
            .await;
        assert!(reason.contains("maintenance"), "{reason}");
        world.connected().await;
        busy.abort();
    })
    .await;
}

#[tokio::test]
async fn what_an_agent_that_left_was_asked_is_lost_at_once() {
    // R-MTP.7
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let device = world.device(EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let busy = tokio::spawn(async move {
            let seen = puppet
                .serve(|request| match request {
                    Request::Operate(_) => Reply::Stop,
                    other => plain(other),
                })
                .await;
            assert!(matches!(seen, Seen::Event(Event::Requested { .. })));
            puppet
                .session
                .disconnect(usp::ErrorCode::default(), "maintenance");
            puppet.flush().await;
            puppet.session.channel_closed(std::time::Instant::now());
            // The channel stays open.
            puppet.serve(|_| Reply::Not).await
        });
        world.connected().await;
        let operate = Op::Operate {
            command: "Device.Reboot()".into(),
            key: "k".into(),
            args: Default::default(),
        };
        let Err(Failure::Lost { reason }) = world.ask(device, operate).await else {
            panic!("it may have run");
        };
        // And not because its time ran out.
        assert!(!reason.contains("in time"), "{reason}");
        busy.abort();
    })
    .await;
}

#[tokio::test]
async fn a_takeover_ends_the_first_link_and_its_requests_before_the_second_begins() {
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let device = world.device(EID).await;
        let url = world.url(&token);
        let mut first = Puppet::dial(&url, EID, &world.own).await.unwrap();
        let (asked, mut was_asked) = tokio::sync::mpsc::channel(1);
        let one = tokio::spawn(async move {
            first
                .serve(|request| match request {
                    Request::Operate(_) => {
                        asked.try_send(()).unwrap();
                        Reply::Not
                    }
                    other => plain(other),
                })
                .await
        });
        world.connected().await;
        let operate = Op::Operate {
            command: "Device.X_T.Go()".into(),
            key: "k".into(),
            args: Default::default(),
        };
        let job = world.submit(device, operate);
        soon(was_asked.recv()).await.unwrap();
        let mut second = Puppet::dial(&url, EID, &world.own).await.unwrap();
        let two = tokio::spawn(async move { second.serve(plain).await });
        let mut order = Vec::new();
        while order.last() != Some(&"connected") {
            let what = world
                .fact("the takeover", |fact| match fact {
                    fleet::Fact::Done { job: done, result } if *done == job => {
                        assert!(matches!(result, Err(Failure::Lost { .. })));
                        Some("lost")
                    }
                    fleet::Fact::Disconnected { reason, .. } => {
                        assert!(reason.contains("took over"), "{reason}");
                        Some("disconnected")
                    }
                    fleet::Fact::Connected { .. } => Some("connected"),
                    _ => None,
                })
                .await;
            order.push(what);
        }
        assert_eq!(order, ["lost", "disconnected", "connected"]);
        assert!(matches!(soon(one).await.unwrap(), Seen::Closed(_)));
        assert!(world.adapter.is_linked(device));
        two.abort();
    })
    .await;
}

#[tokio::test]
async fn a_stop_says_goodbye_with_a_disconnect_record_and_its_reason() {
    // R-MTP.9
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let device = world.device(EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let busy = tokio::spawn(async move {
            let left = puppet.serve(plain).await;
            (left, puppet.serve(plain).await)
        });
        world.connected().await;
        assert!(world.adapter.is_linked(device));
        world.shutdown.cancel();
        let (left, closed) = soon(busy).await.unwrap();
        let Seen::Event(Event::Disconnected { reason, .. }) = left else {
            panic!("{left:?}")
        };
        assert!(reason.contains("shuts down"), "{reason}");
        assert!(matches!(closed, Seen::Closed(Some(CloseCode::GoingAway))));
        soon(&mut world.task).await.unwrap();
        // Whoever listens to the facts sees their end.
        while world.facts.recv().await.is_some() {}
        let path = world
            .store
            .path(&world.tenant, device, "websocket")
            .await
            .unwrap()
            .unwrap();
        assert!(path.node.is_none());
        assert!(path.disconnect_reason.contains("stopped"));
    })
    .await;
}

#[tokio::test]
async fn a_removed_device_is_hung_up_on_and_cannot_come_back() {
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let device = world.device(EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let busy = tokio::spawn(async move { puppet.serve(plain).await });
        world.connected().await;
        world
            .store
            .device_delete(&world.tenant, device, store::Revocation::default(), vec![])
            .await
            .unwrap();
        world.adapter.device_removed(&world.tenant, device);
        assert!(matches!(
            soon(busy).await.unwrap(),
            Seen::Closed(Some(CloseCode::Policy))
        ));
        assert_eq!(Puppet::refused(&world.url(&token), EID).await, 401);
    })
    .await;
}

#[tokio::test]
async fn a_device_that_falls_silent_is_noticed_within_the_configured_time() {
    // R-WS.17: pings of our own, because the device may be behind a NAT that forgot it.
    for db in store::testing::databases().await.unwrap() {
        let mut world = World::with(db, |config, _| config.presence.silent_after_seconds = 6).await;
        let token = give_token(&world, EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        // It is there, answers pings for longer than one may stay unanswered, and then does not read any more.
        let seen = tokio::time::timeout(Duration::from_secs(5), puppet.serve(plain)).await;
        assert!(seen.is_err(), "{seen:?}");
        world.connected().await;
        // If nothing was configured it would take longer than anybody waits here.
        let reason = world.gone().await;
        assert!(reason.contains("silent"), "{reason}");
    }
}
