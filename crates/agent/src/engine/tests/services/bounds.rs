//! What services can make this agent keep, and what they can make it say.

use std::time::Duration;

use usp::proto::msg::{
    Deregister, DeregisterStatus, Register, RegistrationPath, Request, SupportedObjectResult,
    SupportedUniqueKeySet,
};

use super::super::rig::{CONTROLLER, Rig, toy};
use super::{Stage, described, object, usual};
use crate::MemoryStorage;
use crate::limits::{SERVICE_MODEL_BYTES_MAX, SERVICE_REQUEST_PATHS_MAX};

const PATHS: &str = "Device.USPServices.USPService.1.DataModelPaths";

/// A stage where controllers hear of what a service has registered.
fn watched(paths: &[&str]) -> (Stage, u32) {
    let mut stage = Stage::new();
    stage
        .rig
        .subscribe("ValueChange", PATHS, &[("ID", "paths")]);
    let service = stage.connect("self::one");
    stage.register(service, paths);
    stage.serve(|request| match request {
        Request::GetSupportedDm(gsdm) => described(vec![object(&gsdm.obj_paths[0], &["A"])]),
        other => usual(other),
    });
    stage.told();
    (stage, service)
}

fn give_back(stage: &mut Stage, service: u32, paths: Vec<String>) -> Vec<u32> {
    let now = stage.rig.now;
    let request = Deregister { paths };
    let resp = stage.rig.engine.deregister(now, service, &request);
    let results = resp.deregistered_path_results.into_iter();
    let code = |status| match status {
        DeregisterStatus::OperSuccess(_) => 0,
        DeregisterStatus::OperFailure(failure) => failure.err_code,
    };
    results.map(|one| code(one.oper_status)).collect()
}

#[test]
fn what_is_given_back_is_told_once_and_nothing_else_is() {
    let (mut stage, service) = watched(&["Device.X_A.", "Device.X_B.", "Device.X_C."]);
    let nothing: Vec<String> = (0..100).map(|n| format!("Device.X_N{n}.")).collect();
    give_back(&mut stage, service, nothing);
    assert_eq!(stage.told(), [""; 0]);
    // What nobody has seen of it yet.
    stage.register(service, &["Device.X_D."]);
    give_back(&mut stage, service, vec!["Device.X_D.".into()]);
    assert_eq!(stage.told(), [""; 0]);
    let two = ["Device.X_A.", "Device.X_B."].map(str::to_owned);
    assert_eq!(give_back(&mut stage, service, two.into()), [0, 0]);
    assert_eq!(stage.told(), ["paths"]);
    assert_eq!(stage.rig.value(PATHS), "Device.X_C.");
}

/// Where values are compared, too.
#[test]
fn a_service_that_has_gone_has_no_value_that_changes() {
    let mut toy = toy();
    toy.watch = crate::Watch::Poll(Duration::from_secs(5));
    let now = Rig::new().now;
    let mut stage = Stage::new();
    stage.rig = Rig::with(toy, MemoryStorage::new(), now);
    let service = stage.connect("self::one");
    assert_eq!(stage.register(service, &["Device.X_A."]), [0]);
    stage.serve(usual);
    stage
        .rig
        .subscribe("ValueChange", PATHS, &[("ID", "paths")]);
    assert_eq!(stage.told(), [""; 0]);
    stage.rig.engine.service_gone(stage.rig.now, service);
    stage.rig.pass(5);
    assert_eq!(stage.told(), [""; 0]);
}

/// R-DEREG.4: the limit, too, is told path by path.
#[test]
fn paths_of_one_request_are_bounded() {
    let (mut stage, service) = watched(&["Device.X_A."]);
    let many = |n: usize| (0..n).map(|n| format!("Device.X_N{n}."));
    let register = |n| Register {
        allow_partial: true,
        reg_paths: many(n).map(|path| RegistrationPath { path }).collect(),
    };
    let most = SERVICE_REQUEST_PATHS_MAX;
    let engine = &mut stage.rig.engine;
    assert!(engine.register(service, &register(most)).is_ok());
    let error = engine.register(service, &register(most + 1)).unwrap_err();
    assert_eq!(error.code.0, 7005);
    let codes = give_back(&mut stage, service, many(most + 2).collect());
    assert_eq!(codes[most..], [7005, 7005]);
    assert!(!codes[..most].contains(&7005));
}

#[test]
fn a_description_is_bounded_in_bytes_by_service() {
    let keys = |bytes: usize| SupportedObjectResult {
        unique_key_sets: vec![SupportedUniqueKeySet {
            key_names: vec!["K".repeat(68); bytes / 100],
        }],
        ..object("Device.X_A.", &["A"])
    };
    for (bytes, code) in [(SERVICE_MODEL_BYTES_MAX, 7026), (1000, 0)] {
        let mut stage = Stage::new();
        let service = stage.connect("self::one");
        stage.register(service, &["Device.X_A."]);
        stage.serve(|request| match request {
            Request::GetSupportedDm(_) => described(vec![keys(bytes)]),
            other => usual(other),
        });
        assert_eq!(stage.get(CONTROLLER, "Device.X_A.").err_code, code);
    }
    // All of its paths together.
    let mut stage = Stage::new();
    let service = stage.connect("self::one");
    let paths = ["Device.X_A.", "Device.X_B."];
    stage.register(service, &paths);
    stage.serve(|request| match request {
        Request::GetSupportedDm(gsdm) => described(vec![SupportedObjectResult {
            supported_obj_path: gsdm.obj_paths[0].clone(),
            ..keys(SERVICE_MODEL_BYTES_MAX - 1000)
        }]),
        other => usual(other),
    });
    let codes = paths.map(|path| stage.get(CONTROLLER, path).err_code);
    assert_eq!(codes, [0, 7026]);
}

#[test]
fn what_a_service_describes_has_names() {
    let mut stage = Stage::new();
    let service = stage.connect("self::one");
    stage.register(service, &["Device.X_A."]);
    let long = "x".repeat(100_000);
    stage.serve(|request| match request {
        Request::GetSupportedDm(_) => described(vec![
            object(
                "Device.X_A.",
                &["Name", "no name", "", "Sub.Name", "Go()", &long],
            ),
            object("Device.X_A.Row.{i}.", &["Key"]),
            object("Device.X_A.Row.1.", &["Key"]),
            object("Device.X_A.[", &["Key"]),
            object("Device.X_A.Name", &["Key"]),
        ]),
        other => usual(other),
    });
    let request = usp::msg::get_supported_dm(["Device.X_A."], false);
    let Ok(usp::msg::Response::GetSupportedDmResp(resp)) = stage.rig.ask(request) else {
        panic!("no answer");
    };
    let objects = &resp.req_obj_results[0].supported_objs;
    let paths: Vec<_> = objects.iter().map(|one| &*one.supported_obj_path).collect();
    assert_eq!(paths, ["Device.X_A.", "Device.X_A.Row.{i}."]);
    let names = objects[0].supported_params.iter();
    let names: Vec<_> = names.map(|one| &*one.param_name).collect();
    assert_eq!(names, ["Name"]);
}
