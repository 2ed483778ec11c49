//! Whole sessions: a scripted CPE on one side, the dispatcher and the database on the other. What
//! was promised survives a kill between and within them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use cwmp::rpc::{Method, TransferComplete};
use cwmp::value::Value;
use fleet::EventKind;
use fleet::device::OnboardingState;
use fleet::operation::{OperationState as State, Request};
use fleet::southbound::PathValue;

use super::fake::{gateway, old_gateway};
use super::memory::wire_key;
use super::world::{PATIENCE, PERIODIC, Session, World, complete, operate, upgrade};
use crate::southbound::cwmp::core::{Command, Stop};
use crate::southbound::cwmp::login::Login;
use crate::southbound::cwmp::reach::Reach;

#[tokio::test]
async fn a_new_device_is_known_after_its_first_session() {
    for (fake, root, ssid) in [
        (gateway(), "Device.", ("home", "S1")),
        (old_gateway(), "InternetGatewayDevice.", ("old home", "S2")),
    ] {
        let (ssid, serial) = ssid;
        let world = World::start(root).await;
        let inform = world.inform(&[("0 BOOTSTRAP", "")], &[]);
        let (session, asked) = world.come(fake, inform, true);
        session.end().await;
        let record = world
            .store
            .device(&world.tenant, world.device)
            .await
            .unwrap();
        assert_eq!(
            record.device.onboarding,
            OnboardingState::Complete,
            "{root}"
        );
        assert_eq!(record.device.description.serial, serial);
        let model = world
            .store
            .model(&world.tenant, record.model_key())
            .await
            .unwrap()
            .unwrap()
            .model;
        assert!(model.param("Device.WiFi.SSID.1.SSID").is_some());
        // Agents of the same kind have another one, which is theirs to tell.
        let kind = record.device.description.model_key().unwrap().to_string();
        let theirs = world.store.model(&world.tenant, &kind).await.unwrap();
        assert_eq!((record.models.usp.as_str(), theirs), ("", None));
        assert_eq!(
            world.value("Device.WiFi.SSID.1.SSID").await.as_deref(),
            Some(ssid)
        );
        let enabled = format!("{root}ManagementServer.PeriodicInformEnable");
        assert_eq!(asked.get(&enabled).as_deref(), Some("true"));
        let names = world
            .store
            .identity_list(&world.tenant, world.device)
            .await
            .unwrap();
        assert_eq!(names.len(), 2);
        assert_eq!(world.told(EventKind::DeviceOnboarded).await.len(), 1);
        // The next time it is asked for nothing.
        asked.clear();
        world.session(asked.again(), PERIODIC).await;
        assert!(asked.methods().is_empty(), "{:?}", asked.methods());
    }
}

#[tokio::test]
async fn a_device_with_a_setup_key_gets_a_credential_of_its_own_and_nobody_reads_it() {
    let world = World::start("Device.").await;
    let (session, asked) = world.come(gateway(), world.inform(PERIODIC, &[]), true);
    session.end().await;
    let at = |name: &str| {
        asked
            .get(&format!("Device.ManagementServer.{name}"))
            .unwrap()
    };
    assert_eq!(at("Username"), world.device.to_string());
    let password = at("Password");
    assert_eq!(at("ConnectionRequestUsername"), world.device.to_string());
    assert_ne!(at("ConnectionRequestPassword"), password);
    assert!(password.len() >= 24);
    assert_eq!(
        world
            .value("Device.ManagementServer.Password")
            .await
            .as_deref(),
        Some("")
    );
    assert_eq!(
        world.told(EventKind::DeviceCredential).await[0]["state"],
        "pending"
    );
}

#[tokio::test]
async fn a_device_that_takes_one_parameter_at_a_time_is_told_its_name_before_its_password() {
    for (fake, root) in [
        (gateway(), "Device."),
        (old_gateway(), "InternetGatewayDevice."),
    ] {
        let object = format!("{root}ManagementServer.");
        let fake = ["Username", "Password"].iter().fold(fake, |fake, name| {
            fake.with_param(&format!("{object}{name}"), Value::string("before"))
        });
        let (world, asked) = World::known(fake, root).await;
        let at = |name: &str| asked.get(&format!("{object}{name}")).unwrap();
        let breaks = asked.again().writes_max(1);
        let breaks = breaks.leaves_after(Method::SetParameterValues);
        let (session, _) = world.come(breaks, world.inform(PERIODIC, &[]), true);
        session.end().await;
        // With the new name and the setup key it still comes in.
        assert_eq!(at("Username"), world.device.to_string());
        assert_eq!(at("Password"), "before");
        let again = asked.again().writes_max(1);
        let (session, _) = world.come(again, world.inform(PERIODIC, &[]), true);
        session.end().await;
        assert_ne!(at("Password"), "before");
    }
}

#[tokio::test]
async fn a_device_whose_own_password_was_entered_is_not_told_another() {
    let world = World::start("Device.").await;
    let vault = crate::vault::Vault::of(&[7; 32]).unwrap();
    let entered = ("label".to_owned(), "Zte521");
    let login = Login::new(&vault, &world.tenant, world.device, entered, String::new());
    let kept = login.unwrap();
    kept.save(&world.store, &world.tenant, world.device, vec![])
        .await
        .unwrap();
    let (session, asked) = world.come(gateway(), world.inform(PERIODIC, &[]), true);
    session.end().await;
    let at = |name: &str| asked.get(&format!("Device.ManagementServer.{name}"));
    assert_eq!(at("Username"), Some(world.device.to_string()));
    assert_ne!(
        at("ConnectionRequestUsername"),
        Some(world.device.to_string())
    );
    let reach = Reach::load(&world.store, &world.tenant, world.device);
    assert_eq!(reach.await.unwrap().generation, None);
}

#[tokio::test]
async fn a_device_that_takes_no_credential_of_its_own_is_told_one_again_only_when_it_may_have_changed()
 {
    let mut world = World::start("Device.").await;
    let refuses = || gateway().keeps("Device.ManagementServer.Password");
    let come = async |world: &World, events: &[(&str, &str)]| {
        let (session, asked) = world.come(refuses(), world.inform(events, &[]), true);
        session.end().await;
        let told = world.told(EventKind::DeviceCredential).await;
        let refused = told.iter().filter(|one| one["state"] == "refused");
        (refused.count(), asked.methods().len())
    };
    assert_eq!(come(&world, PERIODIC).await.0, 1);
    assert_eq!(come(&world, PERIODIC).await, (1, 0));
    world.restart().await;
    assert_eq!(come(&world, PERIODIC).await, (1, 0));
    assert_eq!(come(&world, &[("0 BOOTSTRAP", "")]).await.0, 2);
    assert_eq!(come(&world, PERIODIC).await, (2, 0));
    world.software = "2.0";
    assert_eq!(come(&world, PERIODIC).await.0, 3);
}

#[tokio::test]
async fn a_set_is_done_in_the_session_that_follows_and_read_back() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let path = "Device.WiFi.SSID.1.SSID";
    let id = world
        .ask(Request::Set {
            values: vec![PathValue::new(path, "den")],
            allow_partial: false,
        })
        .await;
    world.session(asked.again(), PERIODIC).await;
    let operation = world.ends(id, State::Succeeded).await;
    assert_eq!(operation.outcome.before[0].value, "home");
    assert_eq!(operation.outcome.after[0].value, "den");
    assert_eq!(asked.get(path).as_deref(), Some("den"));
    let transcript = world
        .store
        .transcript_list(&world.tenant, id)
        .await
        .unwrap();
    let said: Vec<&str> = transcript.iter().map(|entry| entry.what.as_str()).collect();
    assert!(
        said.contains(&"SetParameterValues") && said.contains(&"SetParameterValuesResponse"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_row_is_added_and_deleted_on_an_old_gateway() {
    let (world, asked) = World::known(old_gateway(), "InternetGatewayDevice.").await;
    let id = world
        .ask(Request::Add {
            object: "Device.NAT.PortMapping.".into(),
            values: BTreeMap::from([("ExternalPort".to_owned(), "8080".to_owned())]),
        })
        .await;
    world.session(asked.again(), PERIODIC).await;
    let added = world.ends(id, State::Succeeded).await;
    let row = added.progress.rows[0].clone();
    let paths = vec![row];
    let id = world
        .ask(Request::Delete {
            paths,
            allow_partial: false,
        })
        .await;
    world.session(asked.again(), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
}

#[tokio::test]
async fn a_reboot_is_proved_by_the_next_session_also_after_a_kill_between() {
    for killed in [false, true] {
        let (mut world, asked) = World::known(gateway(), "Device.").await;
        let id = world.ask(operate("Device.Reboot()", &[])).await;
        world.session(asked.again(), PERIODIC).await;
        assert_eq!(asked.methods(), ["Reboot"]);
        if killed {
            world.restart().await;
        }
        let key = wire_key(&id.to_string());
        world
            .session(asked.again(), &[("1 BOOT", ""), ("M Reboot", &key)])
            .await;
        let operation = world.ends(id, State::Succeeded).await;
        assert!(
            operation
                .outcome
                .cause
                .unwrap()
                .contains("as we asked it to")
        );
        assert_eq!(asked.methods().iter().filter(|m| *m == "Reboot").count(), 1);
    }
}

#[tokio::test]
async fn a_reset_to_factory_settings_is_proved_by_a_bootstrap() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let id = world.ask(operate("Device.FactoryReset()", &[])).await;
    world.session(asked.again(), PERIODIC).await;
    world
        .session(asked.again(), &[("0 BOOTSTRAP", ""), ("1 BOOT", "")])
        .await;
    world.ends(id, State::Succeeded).await;
    assert_eq!(world.told(EventKind::DeviceOnboarded).await.len(), 2);
}

#[tokio::test]
async fn a_download_ends_with_its_transfer_complete_also_after_a_kill_between() {
    for killed in [false, true] {
        for (code, state) in [(0, State::Succeeded), (9010, State::Failed)] {
            let (mut world, asked) = World::known(gateway(), "Device.").await;
            let id = world.ask(upgrade()).await;
            world.session(asked.again(), PERIODIC).await;
            assert_eq!(world.operation(id).await.state, State::Running);
            if killed {
                world.restart().await;
            }
            let inform = world.inform(&[("7 TRANSFER COMPLETE", "")], &[]);
            let (session, _) = world.come(asked.again(), inform, false);
            assert!(session.say(complete(id, code)).await.is_ok());
            // Once more, as a device does that has not heard the answer.
            assert!(session.say(complete(id, code)).await.is_ok());
            session.end().await;
            world.ends(id, state).await;
            assert_eq!(world.told(EventKind::DeviceCommandCompleted).await.len(), 1);
            assert_eq!(
                asked.methods().iter().filter(|m| *m == "Download").count(),
                1
            );
        }
    }
}

#[tokio::test]
async fn a_download_of_which_the_device_does_not_say_how_it_went_is_unconfirmed() {
    for killed in [false, true] {
        let (mut world, asked) = World::known(gateway(), "Device.").await;
        let id = world.ask(upgrade()).await;
        world.session(asked.again(), PERIODIC).await;
        if killed {
            world.restart().await;
        }
        let inform = world.inform(&[("7 TRANSFER COMPLETE", "")], &[]);
        let (session, _) = world.come(asked.again(), inform, false);
        let over = TransferComplete {
            fault: None,
            ..complete(id, 0)
        };
        assert!(session.say(over).await.is_ok());
        session.end().await;
        world.ends(id, State::Unconfirmed).await;
        let cause = world.operation(id).await.outcome.cause.unwrap();
        assert!(cause.contains("not how it went"), "{cause}");
    }
}

#[tokio::test]
async fn a_download_whose_answer_was_lost_goes_on_when_the_device_has_it_and_else_is_unconfirmed() {
    for queued in [true, false] {
        let (mut world, asked) = World::known(gateway(), "Device.").await;
        let id = world.ask(upgrade()).await;
        world
            .session(asked.again().loses(Method::Download), PERIODIC)
            .await;
        world.restart().await;
        let mut next = asked.again();
        if queued {
            next = next.queued(&wire_key(&id.to_string()));
        }
        world.session(next, PERIODIC).await;
        if queued {
            let (session, _) = world.come(asked.again(), world.inform(PERIODIC, &[]), false);
            session.say(complete(id, 0)).await.unwrap();
            session.end().await;
            world.ends(id, State::Succeeded).await;
        } else {
            world.ends(id, State::Unconfirmed).await;
        }
        assert_eq!(
            asked.methods().iter().filter(|m| *m == "Download").count(),
            1
        );
    }
}

#[tokio::test]
async fn a_download_that_nobody_reports_is_proved_by_the_firmware_that_runs_afterwards() {
    let (mut world, asked) = World::known(gateway(), "Device.").await;
    let id = world.ask(upgrade()).await;
    world.session(asked.again(), PERIODIC).await;
    world.software = "2.0";
    asked.put("Device.DeviceInfo.SoftwareVersion", "2.0");
    world.session(asked.again(), &[("1 BOOT", "")]).await;
    let operation = world.ends(id, State::Succeeded).await;
    assert_eq!(operation.outcome.outputs["SoftwareVersion"], "2.0");
    assert_eq!(
        world
            .value("Device.DeviceInfo.SoftwareVersion")
            .await
            .as_deref(),
        Some("2.0")
    );
}

#[tokio::test]
async fn a_diagnostic_runs_between_two_sessions() {
    let (world, asked) = World::known(old_gateway(), "InternetGatewayDevice.").await;
    let id = world
        .ask(operate(
            "Device.IP.Diagnostics.IPPing()",
            &[("Host", "192.0.2.9")],
        ))
        .await;
    world.session(asked.again(), PERIODIC).await;
    let object = "InternetGatewayDevice.IPPingDiagnostics.";
    assert_eq!(
        asked.get(&format!("{object}DiagnosticsState")).as_deref(),
        Some("Requested")
    );
    asked.put(&format!("{object}DiagnosticsState"), "Complete");
    asked.put(&format!("{object}SuccessCount"), "3");
    world
        .session(asked.again(), &[("8 DIAGNOSTICS COMPLETE", "")])
        .await;
    let operation = world.ends(id, State::Succeeded).await;
    assert_eq!(operation.outcome.outputs["SuccessCount"], "3");
}

#[tokio::test]
async fn what_an_old_gateway_has_under_its_own_path_is_read_set_and_known_under_both() {
    let (world, asked) = World::known(old_gateway(), "InternetGatewayDevice.").await;
    let own = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID";
    let path = "Device.WiFi.SSID.1.SSID";
    let set = |path: &str, value: &str| Request::Set {
        values: vec![PathValue::new(path, value)],
        allow_partial: false,
    };
    for (asked_for, value) in [(own, "den"), (path, "attic"), (own, "barn")] {
        let id = world.ask(set(asked_for, value)).await;
        world.session(asked.again(), PERIODIC).await;
        let operation = world.ends(id, State::Succeeded).await;
        assert_eq!(operation.outcome.after[0].path, asked_for);
        assert_eq!(operation.outcome.after[0].value, value);
        assert_eq!(asked.get(own).as_deref(), Some(value));
        for known in [own, path] {
            assert_eq!(world.value(known).await.as_deref(), Some(value), "{known}");
        }
    }
    let object = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.".to_owned();
    let get = Request::Get {
        paths: vec![object],
        max_depth: 0,
    };
    let id = world.ask(get).await;
    world.session(asked.again(), PERIODIC).await;
    let operation = world.ends(id, State::Succeeded).await;
    assert!(operation.outcome.after.iter().any(|one| one.path == own));
}

#[tokio::test]
async fn a_device_that_breaks_over_a_parameter_is_soon_asked_for_all_others() {
    let bad = "Device.WiFi.SSID.1.BSSID";
    let odd = || gateway().breaks_over(bad).no_partial_paths();
    let world = World::start("Device.").await;
    let mut asked = world.session(odd(), &[("0 BOOTSTRAP", "")]).await;
    let mut sessions = 1;
    while world.told(EventKind::DeviceOnboarded).await.is_empty() {
        sessions += 1;
        assert!(sessions < 12, "{:?}", asked.methods());
        let fake = asked.again().breaks_over(bad).no_partial_paths();
        asked = world.session(fake, PERIODIC).await;
    }
    let value = async |path: &str| world.value(path).await;
    assert_eq!(
        value("Device.WiFi.SSID.1.SSID").await.as_deref(),
        Some("home")
    );
    assert_eq!(value(bad).await, None);
    // One more of the same kind is known at once.
    let next = World::another(&world.store, "Device.").await;
    next.session(odd(), &[("0 BOOTSTRAP", "")]).await;
    let all = next.told(EventKind::DeviceOnboarded).await;
    assert_eq!(all.len(), 2, "the first and this one");
}

#[tokio::test]
async fn a_device_that_crashes_over_an_unknown_name_is_asked_only_for_what_it_lists() {
    let odd = || gateway().knows_no_stranger();
    let (world, asked) = World::known(odd(), "Device.").await;
    asked.remove("Device.Hosts.Host.1.");
    asked.put("Device.Hosts.Host.4.HostName", "tablet");
    let ask = async |path: &str, state| {
        let paths = vec![path.to_owned(), "Device.DeviceInfo.UpTime".to_owned()];
        let get = Request::Get {
            paths,
            max_depth: 0,
        };
        let id = world.ask(get).await;
        world
            .session(asked.again().knows_no_stranger(), PERIODIC)
            .await;
        world.ends(id, state).await
    };
    ask("Device.Hosts.Host.4.HostName", State::Succeeded).await;
    let partly = ask("Device.Hosts.Host.7.HostName", State::Partly).await;
    let refused = format!("{:?}", partly.outcome.paths);
    assert!(refused.contains("does not list"), "{refused}");
    // One that was there: the first session breaks, and the next one looks before it asks.
    let name = "Device.Hosts.Host.4.HostName";
    asked.remove("Device.Hosts.Host.4.");
    let paths = vec![name.to_owned(), "Device.DeviceInfo.UpTime".to_owned()];
    let get = Request::Get {
        paths,
        max_depth: 0,
    };
    let id = world.ask(get).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !world.operation(id).await.state.is_final() {
        assert!(tokio::time::Instant::now() < deadline);
        world
            .session(asked.again().knows_no_stranger(), PERIODIC)
            .await;
    }
    world.ends(id, State::Partly).await;
    asked.put(name, "phone");
    ask(name, State::Succeeded).await;
}

#[tokio::test]
async fn a_session_that_breaks_off_within_a_set_is_followed_by_another_try() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let values = vec![PathValue::new("Device.WiFi.SSID.1.SSID", "den")];
    let id = world
        .ask(Request::Set {
            values,
            allow_partial: false,
        })
        .await;
    world
        .session(asked.again().loses(Method::SetParameterValues), PERIODIC)
        .await;
    assert!(!world.operation(id).await.state.is_final());
    world.session(asked.again(), PERIODIC).await;
    // Its next try waits for a second; the session that comes then does it.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !world.operation(id).await.state.is_final() {
        assert!(tokio::time::Instant::now() < deadline);
        world.session(asked.again(), PERIODIC).await;
    }
    world.ends(id, State::Succeeded).await;
}

#[tokio::test]
async fn changes_that_a_device_reports_are_told_once_and_remembered() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let ssid = [("Device.WiFi.SSID.2.SSID", "visitors")];
    let inform = world.inform(&[("4 VALUE CHANGE", "")], &ssid);
    for _ in 0..2 {
        let (session, _) = world.come(asked.again(), inform.clone(), false);
        session.end().await;
    }
    assert_eq!(world.value(ssid[0].0).await.as_deref(), Some("visitors"));
    let told = world.told(EventKind::DeviceValueChanged).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["value"], "visitors");
}

#[tokio::test]
async fn a_change_of_one_source_changes_the_value_that_is_made_of_several() {
    let (world, asked) = World::known(old_gateway(), "InternetGatewayDevice.").await;
    let mode = "Device.WiFi.AccessPoint.1.Security.ModeEnabled";
    let before = world.value(mode).await;
    assert_eq!(before.as_deref(), Some("WPA2-Personal"));
    let beacon = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.BeaconType";
    asked.put(beacon, "WPA");
    asked.clear();
    let inform = world.inform(&[("4 VALUE CHANGE", "")], &[(beacon, "WPA")]);
    let (session, _) = world.come(asked.again(), inform, false);
    session.end().await;
    let after = world.value(mode).await;
    assert_ne!(after, before);
    let told = world.told(EventKind::DeviceValueChanged).await;
    let is_told = told.iter().any(|event| event["path"] == mode);
    assert!(is_told, "{told:?}");
    assert_eq!(asked.methods(), ["GetParameterValues"]);
}

#[tokio::test]
async fn a_device_that_never_lets_itself_be_known_is_left_in_peace_until_it_says_something_new() {
    let world = World::start("Device.").await;
    let mut asked = world
        .session(gateway().loses(Method::SetParameterValues), PERIODIC)
        .await;
    let mut sessions = 1;
    while !asked.methods().is_empty() {
        sessions += 1;
        assert!(sessions < 30);
        asked.clear();
        let fake = asked.again().loses(Method::SetParameterValues);
        asked = world.session(fake, PERIODIC).await;
    }
    // In the first one it was listed, which is no failure; the last one is in peace.
    assert_eq!(sessions, super::limits::ONBOARD_TRIES + 2);
    let asked = world.session(asked.again(), &[("0 BOOTSTRAP", "")]).await;
    assert!(!asked.methods().is_empty());
    assert_eq!(world.told(EventKind::DeviceOnboarded).await.len(), 1);
}

#[tokio::test]
async fn an_inform_is_answered_when_it_is_stored_and_a_removed_device_is_not_answered() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let (session, _) = world.come(asked.again(), world.inform(&[("1 BOOT", "")], &[]), false);
    let Session { stored, said, task } = session;
    assert!(stored.await.is_ok());
    assert!(!world.told(EventKind::DeviceBooted).await.is_empty());
    drop(said);
    task.await.unwrap();
    world
        .store
        .device_delete(
            &world.tenant,
            world.device,
            store::Revocation::default(),
            Vec::new(),
        )
        .await
        .unwrap();
    let inform = world.inform(PERIODIC, &[("Device.DeviceInfo.UpTime", "1")]);
    let (session, _) = world.come(asked.again(), inform, false);
    let Session { stored, said, task } = session;
    assert!(stored.await.is_err());
    drop(said);
    task.await.unwrap();
}

#[tokio::test]
async fn a_device_that_was_split_off_another_gets_known_anew() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let (store, tenant, device) = (&world.store, &world.tenant, world.device);
    // As a split leaves it: what is remembered is that of the other one.
    let patch = store::DevicePatch {
        onboarding: Some(OnboardingState::Started),
        ..store::DevicePatch::default()
    };
    store
        .device_update(tenant, device, patch, crate::state::now(), Vec::new())
        .await
        .unwrap();
    world.session(asked.again(), PERIODIC).await;
    let read = asked.methods();
    assert!(
        read.iter().any(|name| name == "GetParameterNames"),
        "{read:?}"
    );
    let record = store.device(tenant, device).await.unwrap();
    assert_eq!(record.device.onboarding, OnboardingState::Complete);
    asked.clear();
    world.session(asked.again(), PERIODIC).await;
    assert!(asked.methods().is_empty(), "{:?}", asked.methods());
}

#[tokio::test]
async fn what_is_learned_of_a_model_serves_the_next_session() {
    let (world, asked) = World::known(gateway().values_max(6), "Device.").await;
    let paths = asked.params();
    let id = world
        .ask(Request::Get {
            paths: paths.clone(),
            max_depth: 0,
        })
        .await;
    world.session(asked.again().values_max(6), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
    let first = asked.methods().len();
    asked.clear();
    let id = world
        .ask(Request::Get {
            paths,
            max_depth: 0,
        })
        .await;
    world.session(asked.again().values_max(6), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
    assert!(asked.methods().len() <= first);
    assert!(asked.methods().len() < 15, "{}", asked.methods().len());
}

#[tokio::test]
async fn a_device_that_finds_no_room_to_be_known_is_known_by_its_next_session() {
    let world = World::start("Device.").await;
    let core = world.node().core.clone();
    let mut held = Vec::new();
    while let Some(slot) = core.onboardings.try_take(&world.tenant) {
        held.push(slot);
    }
    let asked = world.session(gateway(), PERIODIC).await;
    assert!(asked.methods().is_empty(), "{:?}", asked.methods());
    drop(held);
    world.session(asked.again(), PERIODIC).await;
    assert_eq!(world.told(EventKind::DeviceOnboarded).await.len(), 1);
}

#[tokio::test]
async fn a_device_is_asked_for_its_structure_when_there_is_room_for_that() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let core = world.node().core.clone();
    let mut held = Vec::new();
    while let Some(slot) = core.onboardings.try_take(&world.tenant) {
        held.push(slot);
    }
    let path = "Device.".to_owned();
    let id = world.ask(Request::Discover { path }).await;
    world.session(asked.again(), PERIODIC).await;
    assert!(asked.methods().is_empty(), "{:?}", asked.methods());
    drop(held);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !world.operation(id).await.state.is_final() {
        assert!(tokio::time::Instant::now() < deadline);
        world.session(asked.again(), PERIODIC).await;
    }
    world.ends(id, State::Succeeded).await;
}

#[tokio::test]
async fn a_firmware_with_a_blank_behind_it_is_no_other_one() {
    let name = "Device.DeviceInfo.SoftwareVersion";
    let fake = gateway().with_param(name, cwmp::value::Value::string("1.0 "));
    let (world, asked) = World::known(fake, "Device.").await;
    world.session(asked.again(), PERIODIC).await;
    assert!(asked.methods().is_empty(), "{:?}", asked.methods());
}

/// Waits until something is so.
async fn until(mut is: impl FnMut() -> bool) {
    let wait = async {
        while !is() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in time");
}

#[tokio::test]
async fn a_device_that_breaks_over_a_question_and_comes_anew_is_not_asked_that_again() {
    const BOOTSTRAP: &[(&str, &str)] = &[("0 BOOTSTRAP", "")];
    let world = World::start("Device.").await;
    let fake = gateway().hangs_on_objects();
    let (session, asked) = world.come(fake, world.inform(BOOTSTRAP, &[]), false);
    until(|| asked.hanging() == 1).await;
    let commands = world.node().way.to.lock().unwrap().clone().unwrap();
    let peer = SocketAddr::from(([192, 0, 2, 1], 7548));
    commands
        .send(Command::Stop(Stop::Replaced(peer)))
        .await
        .unwrap();
    until(|| commands.capacity() == commands.max_capacity()).await;
    asked.let_go();
    session.end().await;
    world
        .session(asked.again().hangs_on_objects(), BOOTSTRAP)
        .await;
    assert_eq!(asked.hanging(), 0);
    assert_eq!(world.told(EventKind::DeviceOnboarded).await.len(), 1);
}

#[tokio::test]
async fn a_reset_device_that_there_was_no_room_for_is_got_to_know_in_a_later_life() {
    let (mut world, asked) = World::known(gateway(), "Device.").await;
    let slots = world.node().core.onboardings.clone();
    // Each tenant gets a share, and all of them together all.
    let held: Vec<_> = (0..)
        .map(|n| fleet::TenantId::parse(&format!("other{n}")).unwrap())
        .map_while(|tenant| slots.try_take(&tenant))
        .collect();
    let asks = || asked.methods().contains(&"GetParameterNames".to_owned());
    world.session(asked.again(), &[("0 BOOTSTRAP", "")]).await;
    assert!(!asks(), "there was no room");
    drop(held);
    world.restart().await;
    world.session(asked.again(), &[("2 PERIODIC", "")]).await;
    assert!(asks());
}

#[tokio::test]
async fn what_a_stop_overtakes_was_not_sent() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let way = world.node().way.clone();
    way.overtaken.store(true, Ordering::SeqCst);
    let id = world.ask(operate("Device.Reboot()", &[])).await;
    world.session(asked.again(), PERIODIC).await;
    let operation = world.given_back(id).await;
    let (sent, state) = (operation.progress.sent_at, operation.state);
    assert_eq!((sent, state), (None, State::Queued), "{operation:?}");
    assert!(asked.methods().is_empty(), "{:?}", asked.methods());
    // And it is done in the next one.
    way.overtaken.store(false, Ordering::SeqCst);
    world.session(asked.again(), PERIODIC).await;
    assert_eq!(asked.methods(), ["Reboot"]);
}

#[tokio::test]
async fn a_start_after_a_session_that_was_whole_is_another_one_also_when_it_took_two_tries_to_tell()
{
    const BOOT: &[(&str, &str)] = &[("1 BOOT", "")];
    let (world, asked) = World::known(gateway(), "Device.").await;
    let starts = async || world.told(EventKind::DeviceBooted).await.len();
    let before = starts().await;
    world.session(asked.again(), BOOT).await;
    assert_eq!(starts().await, before + 1);
    // Its line came up after its first try.
    let again = |retries: u32| {
        let mut inform = world.inform(BOOT, &[]);
        inform.retry_count = retries;
        inform
    };
    let (session, _) = world.come(asked.again(), again(1), false);
    session.end().await;
    assert_eq!(starts().await, before + 2);
    // One that has not heard all says what it said before.
    let way = world.node().way.clone();
    way.overtaken.store(true, Ordering::SeqCst);
    world.ask(operate("Device.Reboot()", &[])).await;
    let (session, _) = world.come(asked.again(), again(0), false);
    session.end().await;
    let (session, _) = world.come(asked.again(), again(1), false);
    session.end().await;
    assert_eq!(starts().await, before + 3);
}
