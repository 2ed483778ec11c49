//! What devices report: stored before it is acknowledged, and once.

use fleet::southbound::Notice;
use fleet::{EventKind, Fact};
use store::EventFilter;
use usp::agent::Event;
use usp::msg::{self, Map, Msg};

use crate::admission::give_token;
use crate::puppet::{Puppet, Seen, plain};
use crate::rig::{World, each, until};

const EID: &str = "os::00256D-P1";

async fn count(world: &World, kind: EventKind) -> usize {
    let filter = EventFilter {
        kinds: vec![kind],
        ..EventFilter::default()
    };
    let page = world
        .store
        .events_after(&world.tenant, 0, &filter, 100)
        .await;
    page.unwrap().events.len()
}

#[tokio::test]
async fn a_notification_is_in_the_log_when_it_is_acknowledged() {
    // R-NOT.8, R-NOT.10
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let device = world.device(EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let path = "Device.DeviceInfo.SoftwareVersion";
        let change = msg::ValueChange {
            param_path: path.into(),
            param_value: "2.0".into(),
        };
        let id = puppet.notify(change);
        puppet.delivered(id).await;
        assert_eq!(count(&world, EventKind::DeviceValueChanged).await, 1);
        world
            .fact("notified", |fact| match fact {
                Fact::Notified {
                    notice: Notice::ValueChange { value, .. },
                    ..
                } => {
                    assert_eq!(value, "2.0");
                    Some(())
                }
                _ => None,
            })
            .await;
        let paths = [path.to_owned()];
        until("the value is known", || async {
            let known = world
                .store
                .value_of(&world.tenant, device, &paths)
                .await
                .unwrap();
            known.iter().any(|known| known.value == "2.0").then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_repetition_over_another_link_is_acknowledged_and_not_stored_twice() {
    // R-NOT.3
    each(|world| async move {
        let token = give_token(&world, EID).await;
        let event = msg::Event {
            obj_path: "Device.".into(),
            event_name: "Boot!".into(),
            params: Map::from([("Cause", "LocalReboot")]),
        };
        let mut notify = msg::notify("s", event);
        notify.send_resp = true;
        let payload = usp::codec::encode_msg(&Msg::request("same-id", notify));
        for _ in 0..2 {
            let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
                .await
                .unwrap();
            let own = world.own.clone();
            puppet.send_as(EID, &own, payload.clone()).await;
            // The answer is to nothing that the puppet's own session knows.
            loop {
                match puppet.next().await {
                    Seen::Event(Event::Ignored(usp::session::Ignored::Unmatched { msg_id })) => {
                        assert_eq!(msg_id, "same-id");
                        break;
                    }
                    Seen::Event(Event::Requested { token, request, .. }) => {
                        if let crate::puppet::Reply::With(answer) = plain(&request) {
                            puppet.session.respond(token, answer).unwrap();
                        }
                    }
                    Seen::Event(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(count(&world, EventKind::DeviceBooted).await, 1);
        let device = world.device(EID).await;
        let record = world.store.device(&world.tenant, device).await.unwrap();
        assert_eq!(record.boot_cause, "LocalReboot");
    })
    .await;
}

#[tokio::test]
async fn another_firmware_is_told_and_looked_at_again() {
    each(|world| async move {
        let token = give_token(&world, EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let own = world.own.clone();
        let (say, mut said) = tokio::sync::mpsc::channel::<()>(1);
        let busy = tokio::spawn(async move {
            tokio::select! {
                seen = puppet.serve(plain) => panic!("{seen:?}"),
                _ = said.recv() => {}
            }
            let path = "Device.DeviceInfo.SoftwareVersion";
            let change = msg::ValueChange {
                param_path: path.into(),
                param_value: "2.0".into(),
            };
            let payload = usp::codec::encode_msg(&Msg::request("n", msg::notify("s", change)));
            puppet.send_as(EID, &own, payload).await;
            puppet.serve(plain).await
        });
        world.onboarded(EID).await;
        say.send(()).await.unwrap();
        until("the log knows", || async {
            (count(&world, EventKind::DeviceFirmwareChanged).await > 0).then_some(())
        })
        .await;
        busy.abort();
    })
    .await;
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_known_after_the_next_start() {
    each(|mut world| async move {
        give_token(&world, EID).await;
        let device = world.device(EID).await;
        let at = server::state::now();
        let known = |path: &str, value: &str, at| {
            let pair = (path.to_owned(), value.to_owned());
            store::ValueUpdate::of([pair], store::ValueSource::Read, at)
        };
        // Known before: an old value, a row that goes, a row with the number of one that went.
        let second = std::time::Duration::from_secs(1);
        for (path, value, at) in [
            ("Device.X_T.1.Name", "old", at.minus(second)),
            ("Device.X_T.2.Name", "gone", at.minus(second)),
            ("Device.X_TNumberOfEntries", "3", at.minus(second)),
            ("Device.X_T.3.Name", "a new row", at.plus(second)),
        ] {
            let update = known(path, value, at);
            let store = &world.store;
            let updated = store.value_update(&world.tenant, device, update, at).await;
            updated.unwrap();
        }
        // Committed and acknowledged; killed before the values were written down.
        let removed = |path: &str| Notice::ObjectDeleted { path: path.into() };
        let notices = [
            Notice::ValueChange {
                path: "Device.X_T.1.Name".into(),
                value: "new".into(),
            },
            removed("Device.X_T.2."),
            removed("Device.X_T.3."),
        ];
        let events = notices.map(|notice| {
            server::southbound::usp::notice::event(&world.tenant, device, at, &notice)
        });
        let appended = world
            .store
            .event_append(&world.tenant, events.to_vec())
            .await;
        appended.unwrap();
        world.restart().await;
        let paths = ["T.1.Name", "T.2.Name", "T.3.Name", "TNumberOfEntries"];
        let paths = paths.map(|path| format!("Device.X_{path}"));
        until("the values are true again", || async {
            let store = &world.store;
            let known = store.value_of(&world.tenant, device, &paths).await.unwrap();
            let known: Vec<_> = known
                .iter()
                .map(|known| (known.path.as_str(), known.value.as_str()))
                .collect();
            let wanted = [
                ("Device.X_T.1.Name", "new"),
                ("Device.X_T.3.Name", "a new row"),
            ];
            (known == wanted).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_device_that_says_more_than_the_log_has_room_for_is_refused_and_named() {
    // R-NOT.10: what is not stored is not acknowledged.
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let own = world.own.clone();
        let text = "x".repeat(100 * 1024);
        for n in 0..50 {
            let event = msg::Event {
                obj_path: "Device.X_T.".into(),
                event_name: "Runaway!".into(),
                params: Map::from([("Text", text.as_str())]),
            };
            let mut notify = msg::notify("s", event);
            notify.send_resp = true;
            let payload = usp::codec::encode_msg(&Msg::request(format!("run-{n}"), notify));
            puppet.send_as(EID, &own, payload).await;
        }
        // The end of a command is the operation's, which keeps it: it is heard all the same.
        let end = msg::OperationComplete {
            obj_path: "Device.X_T.".into(),
            command_name: "Run()".into(),
            command_key: text,
            completion: None,
        };
        let payload = usp::codec::encode_msg(&Msg::request("end", msg::notify("s", end)));
        puppet.send_as(EID, &own, payload).await;
        let busy = tokio::spawn(async move { puppet.serve(plain).await });
        world.refused("event-log-filled").await;
        world
            .fact("the end", |fact| match fact {
                Fact::Notified {
                    notice: Notice::CommandCompleted { .. },
                    ..
                } => Some(()),
                _ => None,
            })
            .await;
        // The burst, and what little came to it meanwhile.
        let kept = count(&world, EventKind::DeviceEvent).await;
        assert!((35..=45).contains(&kept), "{kept}");
        busy.abort();
    })
    .await;
}
