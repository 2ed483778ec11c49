//! From the first connection to a device that is known.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleet::DeviceId;
use fleet::device::OnboardingState;
use fleet::southbound::{Answer, Op};
use server::south::Links;
use server::state::now;
use store::{EventFilter, EventOrder, NewDevice, Search};
use usp::msg::{self, Request};
use usp::{ErrorCode, UspError};

use crate::puppet::{Puppet, Reply, no, object, plain};
use crate::rig::{Real, World, each, soon, until};

const EID: &str = "os::00256D-P1";

#[tokio::test]
async fn a_device_onboards_with_a_setup_key_and_comes_back_with_its_own_token() {
    each(|mut world| async move {
        let agent = Real::dial("S1", &world.own, &world.url(&world.key));
        let record = world.onboarded(&agent.endpoint).await;
        let device = record.device.id;
        assert_eq!(record.device.description.serial, "S1");
        assert_eq!(record.device.description.software_version, "1.0");
        assert!(!record.model_key().is_empty());
        let model = world
            .store
            .model(&world.tenant, record.model_key())
            .await
            .unwrap()
            .unwrap();
        assert!(model.model.objects.contains_key("Device.WiFi.SSID.{i}."));

        let ssid = ["Device.WiFi.SSID.1.SSID".to_owned()];
        let known = world
            .store
            .value_of(&world.tenant, device, &ssid)
            .await
            .unwrap();
        assert_eq!(known[0].value, "home");
        let secret = ["Device.WiFi.AccessPoint.1.Security.KeyPassphrase".to_owned()];
        let known = world
            .store
            .value_of(&world.tenant, device, &secret)
            .await
            .unwrap();
        assert!(known.iter().all(|known| known.value.is_empty()));

        let store = &world.store;
        until("it comes with its own token", || async {
            let path = store
                .path(&world.tenant, device, "websocket")
                .await
                .unwrap()
                .unwrap();
            (path.has_current && path.authenticated_by == "device_token" && path.node.is_some())
                .then_some(())
        })
        .await;
        world.connected().await;
        let get = Op::Get {
            paths: vec!["Device.WiFi.SSID.1.SSID".into()],
            max_depth: 0,
        };
        let Ok(Answer::Values(values)) = world.ask(device, get).await else {
            panic!()
        };
        assert_eq!(values[0].result.as_ref().unwrap()[0].value, "home");
        agent.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_device_that_cannot_tell_its_model_at_once_is_asked_level_by_level() {
    each(|world| async move {
        let mut puppet = Puppet::dial(&world.url(&world.key), EID, &world.own)
            .await
            .unwrap();
        let busy = tokio::spawn(async move {
            puppet
                .serve(|request| match request {
                    Request::GetSupportedDm(ask) if !ask.first_level_only => no(),
                    Request::GetSupportedDm(ask) => level(&ask.obj_paths[0]),
                    other => plain(other),
                })
                .await
        });
        let record = world.onboarded(EID).await;
        let model = world
            .store
            .model(&world.tenant, record.model_key())
            .await
            .unwrap()
            .unwrap();
        let info = model.model.object("Device.DeviceInfo.").unwrap();
        assert!(!info.named_only && info.params.len() == 1);
        assert!(model.model.objects.contains_key("Device.WiFi.SSID.{i}."));
        busy.abort();
    })
    .await;
}

fn level(path: &str) -> Reply {
    let mut objects = vec![];
    match path {
        "Device." => {
            objects.push(object("Device.", &[]));
            objects.push(object("Device.DeviceInfo.", &[]));
            objects.push(object("Device.WiFi.", &[]));
        }
        "Device.WiFi." => {
            objects.push(object("Device.WiFi.", &[]));
            let mut table = object("Device.WiFi.SSID.{i}.", &[]);
            table.is_multi_instance = true;
            objects.push(table);
        }
        other => objects.push(object(other, &["SoftwareVersion"])),
    }
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
async fn onboarding_goes_on_after_the_link_broke_and_after_a_restart() {
    each(|mut world| async move {
        // Each time it gets one step further before it goes away.
        for steps in 1..8 {
            if steps == 5 {
                world.restart().await;
            }
            let dialled = Puppet::dial(&world.url(&world.key), EID, &world.own).await;
            let mut puppet = dialled.unwrap();
            let mut left = steps;
            let asked = puppet.serve(|request| {
                left -= 1;
                if left == 0 {
                    Reply::Stop
                } else {
                    plain(request)
                }
            });
            soon(asked).await;
            drop(puppet);
            let device = world.device(EID).await;
            until("its link is over", || async {
                (!world.adapter.is_linked(device)).then_some(())
            })
            .await;
        }
        let mut puppet = Puppet::dial(&world.url(&world.key), EID, &world.own)
            .await
            .unwrap();
        let busy = tokio::spawn(async move { puppet.serve(plain).await });
        world.onboarded(EID).await;
        let all = Search::new(Default::default(), now());
        let (devices, _) = world.store.device_count(&world.tenant, &all).await.unwrap();
        assert_eq!(devices, 1);
        busy.abort();
    })
    .await;
}

#[tokio::test]
async fn a_device_that_we_dial_is_onboarded_and_asked() {
    each(|mut world| async move {
        let own = world.own.clone();
        let (agent, bound) = Real::run("S2", agent::MemoryStorage::new(), |config| {
            config.controllers = vec![agent::ControllerConfig {
                endpoint_id: own,
                ..agent::ControllerConfig::default()
            }];
            config.listen = Some(agent::ListenConfig {
                address: "127.0.0.1:0".parse().unwrap(),
                path: "/usp".into(),
                certificate: None,
                key: None,
                client_ca: None,
            });
        });
        let address = bound.await.unwrap();
        let device = crate::rig::dialled(&world, &format!("ws://{address}/usp")).await;
        world.adapter.dialling_changed(&world.tenant, device);
        let record = world.onboarded(&agent.endpoint).await;
        assert_eq!(record.device.id, device);
        assert!(world.adapter.attempts(&world.tenant, device)[0].ok);
        world.connected().await;
        let get = Op::Get {
            paths: vec!["Device.WiFi.SSID.1.SSID".into()],
            max_depth: 0,
        };
        assert!(world.ask(device, get).await.is_ok());
        let path = world
            .store
            .path(&world.tenant, device, "websocket")
            .await
            .unwrap()
            .unwrap();
        assert!(!path.has_current && path.authenticated_by == "dialled");
        agent.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_device_that_was_registered_by_its_serial_number_becomes_that_one() {
    each(|world| async move {
        let device = DeviceId::new(now(), server::secret::id_bits());
        let new = NewDevice {
            name: "the one in the cellar".into(),
            ..NewDevice::expected(
                device,
                fleet::Identity::of_serial("00256D", "", "S3"),
                now(),
            )
        };
        world
            .store
            .device_insert(&world.tenant, new, vec![])
            .await
            .unwrap();
        let agent = Real::dial("S3", &world.own, &world.url(&world.key));
        until("it is the registered one", || async {
            let record = world.store.device(&world.tenant, device).await.unwrap();
            let complete = record.device.onboarding == OnboardingState::Complete;
            (complete && record.endpoint_id == agent.endpoint).then_some(())
        })
        .await;
        agent.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_device_that_tells_the_serial_number_of_one_that_is_to_come_with_a_certificate_is_another()
 {
    each(|world| async move {
        let (store, tenant) = (&world.store, &world.tenant);
        let device = DeviceId::new(now(), server::secret::id_bits());
        let endpoint = "proto::cellar";
        let mut identities = vec![fleet::Identity::endpoint(endpoint)];
        identities.extend(fleet::Identity::of_serial("00256D", "", "S3"));
        let new = NewDevice {
            name: "the one in the cellar".into(),
            ..NewDevice::expected(device, identities, now())
        };
        let setup = store::PathSetup {
            transport: "websocket".into(),
            endpoint_id: endpoint.into(),
            dial_url: None,
            certificate_required: true,
        };
        let expected = store.device_expect(tenant, new, setup, None, vec![]);
        expected.await.unwrap();
        let agent = Real::dial("S3", &world.own, &world.url(&world.key));
        let own = fleet::Identity::endpoint(&agent.endpoint);
        let other = until("it is onboarded", || async {
            let other = store.device_by_identity(tenant, &own).await.unwrap()?;
            let record = store.device(tenant, other).await.unwrap();
            (record.device.onboarding == OnboardingState::Complete).then_some(other)
        })
        .await;
        assert_ne!(other, device);
        let record = store.device(tenant, device).await.unwrap();
        assert_eq!(record.endpoint_id, endpoint);
        agent.stop().await;
    })
    .await;
}

/// A device that has come over TR-069 from where the agent is; of it a certificate is required, or not.
async fn over_tr069(world: &World, identities: Vec<fleet::Identity>, required: bool) -> DeviceId {
    let (store, tenant) = (&world.store, &world.tenant);
    let device = DeviceId::new(now(), server::secret::id_bits());
    let new = NewDevice {
        protocol: "cwmp".into(),
        source: "device".into(),
        onboarding: OnboardingState::Complete,
        ..NewDevice::expected(device, identities, now())
    };
    let setup = store::PathSetup {
        transport: "cwmp".into(),
        endpoint_id: "00256D-S3".into(),
        dial_url: None,
        certificate_required: required,
    };
    let expected = store.device_expect(tenant, new, setup, None, vec![]);
    expected.await.unwrap();
    let visit = store::Visit {
        device,
        at: now(),
        expected_by: now().plus(Duration::from_secs(3600)),
        path: store::VisitPath {
            transport: "cwmp".into(),
            endpoint_id: "00256D-S3".into(),
            peer: "127.0.0.1:4711".into(),
            authenticated_by: "certificate".into(),
            setup_key: None,
            info: serde_json::Value::Null,
        },
    };
    let visited = store.device_visited(tenant, vec![visit]);
    visited.await.unwrap();
    device
}

/// Who tells the serial number of a device from its own address is that device, but where a certificate is required of
/// it, or it is of another product class.
#[tokio::test]
async fn an_agent_beside_a_tr069_device_is_that_one_unless_that_is_to_show_a_certificate() {
    let of_class = |class| fleet::Identity::of_serial("00256D", class, "S3");
    for (identities, required, is_one, asks) in [
        (of_class(""), false, true, false),
        (of_class(""), true, false, true),
        (of_class("Another"), false, false, false),
    ] {
        each(|world| {
            let identities = identities.clone();
            async move {
                let (store, tenant) = (&world.store, &world.tenant);
                let known = over_tr069(&world, identities, required).await;
                let agent = Real::dial("S3", &world.own, &world.url(&world.key));
                let own = fleet::Identity::endpoint(&agent.endpoint);
                let what = format!("required {required}, one {is_one}");
                until(&what, || async {
                    let found = store.device_by_identity(tenant, &own).await.unwrap()?;
                    // It may have become the other one just now.
                    let record = store.device(tenant, found).await.ok()?;
                    let done = record.device.onboarding == OnboardingState::Complete;
                    (done && (found == known) == is_one).then_some(())
                })
                .await;
                let matches = store.match_list(tenant, false, None, 10).await.unwrap();
                assert_eq!(!matches.is_empty(), asks, "{what}");
                agent.stop().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn the_version_spoken_and_the_last_start_are_known_without_a_boot() {
    each(|world| async move {
        let mut puppet = Puppet::dial(&world.url(&world.key), EID, &world.own)
            .await
            .unwrap();
        let busy = tokio::spawn(async move {
            puppet
                .serve(|request| match request {
                    Request::Get(get) if get.param_paths == ["Device.DeviceInfo."] => {
                        let mut result = msg::RequestedPathResult {
                            requested_path: "Device.DeviceInfo.".into(),
                            ..Default::default()
                        };
                        result.resolved_path_results.push(msg::ResolvedPathResult {
                            resolved_path: "Device.DeviceInfo.".into(),
                            result_params: msg::Map::from([("UpTime", "3600")]),
                        });
                        let response = msg::GetResp {
                            req_path_results: vec![result],
                        };
                        Reply::With(Ok(response.into()))
                    }
                    other => plain(other),
                })
                .await
        });
        let record = world.onboarded(EID).await;
        // Of what its session says, and ours.
        assert_eq!(record.protocol_version, "1.5");
        let started = record.device.booted_at.unwrap();
        let age = now().since(started).as_secs();
        assert!((3600..3700).contains(&age), "{age}");
        busy.abort();
    })
    .await;
}

#[tokio::test]
async fn a_device_that_quotes_its_new_token_while_it_refuses_it_does_not_write_it_to_the_log() {
    each(|world| async move {
        let own = world.own.clone();
        let mut puppet = Puppet::dial(&world.url(&world.key), EID, &own)
            .await
            .unwrap();
        let quoted = Arc::new(Mutex::new(String::new()));
        let seen = quoted.clone();
        let busy = tokio::spawn(async move {
            puppet
                .serve(|request| match request {
                    Request::Get(get) if get.param_paths == ["Device.LocalAgent.Controller."] => {
                        let row = msg::ResolvedPathResult {
                            resolved_path: "Device.LocalAgent.Controller.1.".into(),
                            result_params: msg::Map::from([
                                ("EndpointID", own.as_str()),
                                ("MTP.1.Protocol", "WebSocket"),
                                ("MTP.1.WebSocket.Path", ""),
                            ]),
                        };
                        let result = msg::RequestedPathResult {
                            requested_path: get.param_paths[0].clone(),
                            resolved_path_results: vec![row],
                            ..Default::default()
                        };
                        let response = msg::GetResp {
                            req_path_results: vec![result],
                        };
                        Reply::With(Ok(response.into()))
                    }
                    Request::Set(set) => {
                        let value = &set.update_objs[0].param_settings[0].value;
                        seen.lock().unwrap().clone_from(value);
                        let words = format!("{value} is not what I like");
                        Reply::With(Err(UspError::new(ErrorCode::INVALID_VALUE, words)))
                    }
                    other => plain(other),
                })
                .await
        });
        let log = until("the refusal is in the log", || async {
            let newest = EventOrder::Before(None);
            let all = EventFilter::default();
            let page = world.store.events(&world.tenant, newest, &all, 100).await;
            let log = format!("{:?}", page.unwrap());
            log.contains("is not what I like").then_some(log)
        })
        .await;
        let quoted = quoted.lock().unwrap().clone();
        let (_, token) = quoted.rsplit_once('/').unwrap();
        assert!(token.starts_with("hed_"), "{token}");
        assert!(!log.contains(token), "{log}");
        busy.abort();
    })
    .await;
}
