//! Commands that end in a later session without being transfers: timers and software modules.

use cwmp::FaultCode;
use cwmp::Request as Rpc;
use cwmp::rpc::{DuOperation, DuStateChangeComplete, FaultStruct, OpResultStruct};
use fleet::EventKind;
use fleet::operation::OperationState as State;

use super::fake::gateway;
use super::limits::PENDING_MAX;
use super::memory::{MEMORY, Memory, Work, wire_key};
use super::world::{PERIODIC, World, operate};
use crate::state::now;

#[tokio::test]
async fn a_device_comes_at_the_time_that_was_asked_for_also_after_a_kill_between() {
    let (mut world, asked) = World::known(gateway(), "Device.").await;
    let timer = operate("Device.ScheduleTimer()", &[("DelaySeconds", "60")]);
    let id = world.ask(timer).await;
    world.session(asked.again(), PERIODIC).await;
    assert_eq!(asked.methods(), ["ScheduleInform"]);
    assert_eq!(world.operation(id).await.state, State::Running);
    world.restart().await;
    let key = wire_key(&id.to_string());
    let events = [("3 SCHEDULED", ""), ("M ScheduleInform", key.as_str())];
    world.session(asked.again(), &events).await;
    world.ends(id, State::Succeeded).await;
}

#[tokio::test]
async fn software_modules_are_installed_and_removed_and_the_device_says_how_it_went() {
    let install = (
        "Device.SoftwareModules.InstallDU()",
        "URL",
        "http://x/a.ipk",
    );
    let unit = "Device.SoftwareModules.DeploymentUnit.1.Uninstall()";
    for ((command, name, value), code, state) in [
        (install, 0, State::Succeeded),
        (install, 9024, State::Failed),
        ((unit, "", ""), 0, State::Succeeded),
    ] {
        let fake = gateway().with_param(
            "Device.SoftwareModules.DeploymentUnit.1.UUID",
            cwmp::value::Value::string("u-1"),
        );
        let (mut world, asked) = World::known(fake, "Device.").await;
        let all = [(name, value)];
        let args = if name.is_empty() { &all[..0] } else { &all[..] };
        let id = world.ask(operate(command, args)).await;
        world.session(asked.again(), PERIODIC).await;
        assert_eq!(world.operation(id).await.state, State::Running, "{command}");
        let changes = asked
            .requests()
            .into_iter()
            .find_map(|request| match request {
                Rpc::ChangeDuState(change) => Some(change.operations),
                _ => None,
            });
        let is_install = matches!(changes.unwrap()[0], DuOperation::Install(_));
        assert_eq!(is_install, command == install.0);
        world.restart().await;
        let inform = world.inform(&[("11 DU STATE CHANGE COMPLETE", "")], &[]);
        let (session, _) = world.come(asked.again(), inform, false);
        let done = DuStateChangeComplete {
            results: vec![OpResultStruct {
                uuid: "u-1".to_owned(),
                current_state: "Installed".to_owned(),
                fault: FaultStruct::new(FaultCode(code), ""),
                ..OpResultStruct::default()
            }],
            command_key: wire_key(&id.to_string()),
        };
        assert!(session.say(done).await.is_ok());
        session.end().await;
        world.ends(id, state).await;
        let told = world.told(EventKind::DeviceEvent).await;
        assert!(format!("{told:?}").contains("u-1"), "{told:?}");
    }
}

/// `PENDING_MAX`
#[tokio::test]
async fn a_device_that_works_on_much_is_asked_for_no_more_and_the_operation_says_so() {
    let (mut world, asked) = World::known(gateway(), "Device.").await;
    let (tenant, device) = (&world.tenant, world.device);
    let kept = world.store.state_get(tenant, device, MEMORY).await.unwrap();
    let mut memory = Memory::of(kept.as_deref());
    for n in 0..PENDING_MAX {
        let key = format!("timer {n}");
        memory.begin("Device.ScheduleTimer()", &key, Work::Timer, now());
        memory.accepted(&key);
    }
    let put = world
        .store
        .state_put(tenant, device, MEMORY, memory.kept(), now());
    put.await.unwrap();
    world.restart().await;
    let timer = operate("Device.ScheduleTimer()", &[("DelaySeconds", "60")]);
    let more = world.ask(timer).await;
    world.session(asked.again(), PERIODIC).await;
    let failed = world.ends(more, State::Failed).await;
    let why = format!("{:?}", failed.outcome);
    assert!(why.contains("PENDING_MAX"), "{why}");
    assert!(asked.methods().is_empty(), "{:?}", asked.methods());
    // What it works on is waited for all the same.
    let events = [("3 SCHEDULED", ""), ("M ScheduleInform", "timer 0")];
    world.session(asked.again(), &events).await;
    let ended = world.told(EventKind::DeviceCommandCompleted).await;
    assert_eq!(ended.len(), 1, "{ended:?}");
}
