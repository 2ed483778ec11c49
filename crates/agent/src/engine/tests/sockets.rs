//! What the configuration file says of sockets and of services, from one start to the next.

use super::rig::*;
use crate::{AgentConfig, Engine, MemoryStorage, Reach, ServicesConfig, TrustConfig};

const SOCKETS: &str = "Device.UnixDomainSockets.UnixDomainSocket.";
const TRUST: &str = "Device.USPServices.Trust.";
const REFERENCE: &str = "Device.LocalAgent.Controller.2.MTP.1.UDS.UnixDomainSocketRef";

/// Another controller comes to the socket `agent`.
fn local(agent: &str, controller: &str) -> AgentConfig {
    let mut config = config();
    config.controllers[1].url = "unix:".into();
    config.services = Some(ServicesConfig {
        broker_agent: Some(agent.into()),
        broker_controller: Some(controller.into()),
        ..ServicesConfig::default()
    });
    config
}

fn start(config: AgentConfig, flash: &MemoryStorage) -> Rig {
    let now = Rig::new().now;
    Rig::made(config, toy(), flash.clone(), now)
}

fn reach(rig: &Rig) -> Option<Reach> {
    let links = rig.engine.controllers();
    let one = links.into_iter().find(|link| link.instance == 2);
    one.map(|link| link.reach)
}

/// The paths of all rows.
fn paths(rig: &mut Rig) -> Vec<String> {
    let values = rig.values(SOCKETS).into_iter();
    let paths = values.filter(|(path, _)| path.ends_with(".Path"));
    let mut paths: Vec<String> = paths.map(|(_, path)| path).collect();
    paths.sort();
    paths
}

#[test]
fn a_socket_with_another_path_is_found_by_the_controllers_that_come_there() {
    let flash = MemoryStorage::new();
    let mut rig = start(local("/run/a", "/run/c"), &flash);
    let reference = rig.value(REFERENCE);
    for (agent, controller) in [
        ("/run/a", "/run/c"),
        ("/run/b", "/run/c"),
        // One takes the path of the other.
        ("/run/c", "/run/b"),
    ] {
        let mut rig = start(local(agent, controller), &flash);
        assert_eq!(reach(&rig), Some(Reach::Local), "{agent}");
        assert_eq!(rig.value(REFERENCE), reference);
        assert_eq!(rig.value(&format!("{reference}.Path")), agent);
        let mut both = [agent, controller];
        both.sort_unstable();
        assert_eq!(paths(&mut rig), both);
    }
}

#[test]
fn a_controller_that_comes_to_a_socket_that_is_not_there_is_a_mistake_at_every_start() {
    let flash = MemoryStorage::new();
    start(local("/run/a", "/run/c"), &flash);
    let mut without = local("/run/a", "/run/c");
    without.services = None;
    let now = Rig::new().now;
    let storage = Box::new(flash.clone());
    let error = Engine::new(without, Box::new(toy()), storage, now).err();
    let error = error.expect("it cannot start").to_string();
    assert!(error.contains("services.broker_agent"), "{error}");

    // Without both it can, and with both again the controller is reached.
    let mut neither = config();
    neither.controllers.truncate(1);
    start(neither, &flash);
    let rig = start(local("/run/a", "/run/c"), &flash);
    assert_eq!(reach(&rig), Some(Reach::Local));
}

#[test]
fn who_left_the_file_is_no_longer_trusted_and_whom_a_controller_has_added_is() {
    let flash = MemoryStorage::new();
    let trusting = |ids: &[&str]| {
        let mut config = local("/run/a", "/run/c");
        let trust = ids.iter().map(|id| TrustConfig {
            endpoint_id: (*id).into(),
            paths: vec!["Device.X_A.".into()],
            uid: None,
        });
        if let Some(services) = &mut config.services {
            services.trust = trust.collect();
        }
        config
    };
    let trusted = |rig: &mut Rig| {
        let values = rig.values(TRUST).into_iter();
        let ids = values.filter(|(path, _)| path.ends_with(".EndpointID"));
        let mut ids: Vec<String> = ids.map(|(_, id)| id).collect();
        ids.sort();
        ids
    };
    let mut rig = start(trusting(&["self::a", "self::b"]), &flash);
    let settings = [("EndpointID", "self::c"), ("TargetPaths", "Device.X_C.")];
    rig.add(TRUST, &settings).unwrap();
    assert_eq!(trusted(&mut rig), ["self::a", "self::b", "self::c"]);
    let mut rig = start(trusting(&["self::b"]), &flash);
    assert_eq!(trusted(&mut rig), ["self::b", "self::c"]);
    let mut rig = start(trusting(&[]), &flash);
    assert_eq!(trusted(&mut rig), ["self::c"]);
}
