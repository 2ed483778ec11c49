//! Devices that have more than anybody wants: what is taken of it ends at a named limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fleet::southbound::{Failure, Op};
use fleet::{EventKind, Fact};
use server::southbound::usp::limits::{
    FIRST_VALUES_MAX, LINK_INBOX, MODEL_WALK_REQUESTS_MAX, SUBSCRIBED_COMMANDS_MAX,
};
use store::{EventFilter, EventOrder};
use usp::msg::{self, Map, Request};

use crate::admission::give_token;
use crate::puppet::{Puppet, Reply, no, object, plain};
use crate::rig::{World, each, soon, until};

const EID: &str = "os::00256D-P1";

/// The newest event of a kind, as text, once it says this.
async fn told(world: &World, kind: EventKind, wanted: &str) {
    until(wanted, || async {
        let filter = EventFilter {
            kinds: vec![kind],
            ..EventFilter::default()
        };
        let newest = EventOrder::Before(None);
        let page = world.store.events(&world.tenant, newest, &filter, 10).await;
        format!("{:?}", page.unwrap())
            .contains(wanted)
            .then_some(())
    })
    .await;
}

fn supported(path: &str, objects: Vec<msg::SupportedObjectResult>) -> Reply {
    let result = msg::RequestedObjectResult {
        req_obj_path: path.into(),
        supported_objs: objects,
        ..Default::default()
    };
    Reply::With(Ok(msg::GetSupportedDMResp {
        req_obj_results: vec![result],
    }
    .into()))
}

#[tokio::test]
async fn a_model_that_always_goes_deeper_is_asked_only_so_often() {
    each(|world| async move {
        let mut puppet = Puppet::dial(&world.url(&world.key), EID, &world.own)
            .await
            .unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let busy = tokio::spawn(async move {
            puppet
                .serve(|request| match request {
                    Request::GetSupportedDm(ask) if !ask.first_level_only => no(),
                    Request::GetSupportedDm(ask) => {
                        let n = counted.fetch_add(1, Ordering::Relaxed);
                        let path = ask.obj_paths[0].clone();
                        let below = object(&format!("{path}X{n}."), &[]);
                        let again = object(&format!("{path}Y{n}."), &[]);
                        supported(&path, vec![object(&path, &[]), below, again])
                    }
                    other => plain(other),
                })
                .await
        });
        let record = world.onboarded(EID).await;
        let model = world.store.model(&world.tenant, record.model_key()).await;
        let gaps = model.unwrap().unwrap().model.gaps;
        assert!(
            gaps.iter()
                .any(|(_, why)| why.contains("MODEL_WALK_REQUESTS_MAX")),
            "{gaps:?}"
        );
        let asked = count.load(Ordering::Relaxed);
        assert!(asked <= MODEL_WALK_REQUESTS_MAX, "{asked}");
        busy.abort();
    })
    .await;
}

#[tokio::test]
async fn of_endless_values_and_commands_only_so_many_are_taken() {
    let db = store::testing::sqlite().await.unwrap();
    let world = World::start(db).await;
    let mut puppet = Puppet::dial(&world.url(&world.key), EID, &world.own)
        .await
        .unwrap();
    let (tell, named) = tokio::sync::oneshot::channel();
    let mut tell = Some(tell);
    let busy = tokio::spawn(async move {
        puppet
            .serve(|request| match request {
                Request::GetSupportedDm(_) => {
                    let mut big = object("Device.X.", &["V"]);
                    big.supported_commands = (0..SUBSCRIBED_COMMANDS_MAX + 10)
                        .map(|n| msg::SupportedCommandResult {
                            command_name: format!("C{n}()"),
                            command_type: msg::CmdType::ASYNC,
                            ..Default::default()
                        })
                        .collect();
                    supported("Device.", vec![object("Device.", &[]), big])
                }
                Request::Get(get) if get.param_paths == ["Device.X."] => {
                    let names: Vec<String> = (0..FIRST_VALUES_MAX + 100)
                        .map(|n| format!("V{n}"))
                        .collect();
                    let mut result = msg::RequestedPathResult {
                        requested_path: "Device.X.".into(),
                        ..Default::default()
                    };
                    result.resolved_path_results.push(msg::ResolvedPathResult {
                        resolved_path: "Device.X.".into(),
                        result_params: names
                            .iter()
                            .map(|name| (name.as_str(), "1"))
                            .collect::<Map>(),
                    });
                    Reply::With(Ok(msg::GetResp {
                        req_path_results: vec![result],
                    }
                    .into()))
                }
                // The whole tree is not taken: then they are named one by one.
                Request::Add(add) => {
                    let row = &add.create_objs[0];
                    let list = row
                        .param_settings
                        .iter()
                        .find(|s| s.param == "ReferenceList");
                    let count = list.map_or(0, |list| list.value.split(',').count());
                    if count > 1
                        && let Some(tell) = tell.take()
                    {
                        let _ = tell.send(count);
                    }
                    no()
                }
                other => plain(other),
            })
            .await
    });
    let record = world.onboarded(EID).await;
    told(&world, EventKind::DeviceOnboarded, "FIRST_VALUES_MAX").await;
    let objects = world
        .store
        .value_objects(&world.tenant, record.device.id)
        .await;
    let values: u64 = objects.unwrap().iter().map(|(_, count, _)| *count).sum();
    assert!(values <= FIRST_VALUES_MAX as u64 + 10, "{values}");
    assert_eq!(soon(named).await.unwrap(), SUBSCRIBED_COMMANDS_MAX);
    busy.abort();
}

#[tokio::test]
async fn an_onboarding_that_takes_too_long_gives_its_place_back() {
    each_with_time(Duration::from_millis(300), |world| async move {
        let mut puppet = Puppet::dial(&world.url(&world.key), EID, &world.own)
            .await
            .unwrap();
        let busy = tokio::spawn(async move { puppet.serve(|_| Reply::Not).await });
        told(
            &world,
            EventKind::DeviceOnboardingFailed,
            "ONBOARD_TIME_MAX",
        )
        .await;
        busy.abort();
    })
    .await;
}

async fn each_with_time<F: Future<Output = ()>>(time: Duration, test: impl Fn(World) -> F) {
    for db in store::testing::databases().await.unwrap() {
        test(World::with(db, |_, limits| limits.onboard_time_max = time).await).await;
    }
}

#[tokio::test]
async fn more_jobs_than_a_link_takes_at_once_are_given_back_unsent() {
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let device = world.device(EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let busy = tokio::spawn(async move { puppet.serve(plain).await });
        world.connected().await;
        // The task of the link does not run while we hand all of this down.
        let jobs = LINK_INBOX + 10;
        for _ in 0..jobs {
            let paths = vec!["Device.DeviceInfo.".into()];
            world.submit(
                device,
                Op::Get {
                    paths,
                    max_depth: 0,
                },
            );
        }
        let (mut unsent, mut ended) = (0, 0);
        while ended < jobs {
            let result = world
                .fact("done", |fact| match fact {
                    Fact::Done { result, .. } => Some(result.clone()),
                    _ => None,
                })
                .await;
            ended += 1;
            if let Err(Failure::Unsent { reason }) = result {
                assert!(reason.contains("LINK_INBOX"), "{reason}");
                unsent += 1;
            }
        }
        assert_eq!(unsent, 10);
        busy.abort();
    })
    .await;
}
