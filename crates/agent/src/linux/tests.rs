use super::*;
use crate::NoStorage;
use usp::EndpointId;
use usp::proto::msg::Response;

fn now() -> Now {
    Now {
        at: std::time::Instant::now(),
        unix_ms: 1_795_000_000_000,
    }
}

fn host() -> (Engine, EndpointId) {
    let controller = crate::ControllerConfig {
        endpoint_id: "self::c".into(),
        ..Default::default()
    };
    let mut config = AgentConfig {
        controllers: vec![controller],
        ..AgentConfig::default()
    };
    let linux = Linux::new(&config).unwrap();
    config.endpoint_id = linux.endpoint_id();
    let engine = Engine::new(config, Box::new(linux), Box::new(NoStorage), now()).unwrap();
    (engine, "self::c".parse().unwrap())
}

/// Every value this host shows is valid by the model, whatever the host is.
#[test]
fn everything_the_host_shows_fits_its_type() {
    let (mut engine, who) = host();
    let schema = Linux::new(&AgentConfig::default()).unwrap().schema();
    let Ok(Response::GetResp(resp)) = engine.handle(now(), &who, usp::msg::get(["Device."]).into())
    else {
        panic!()
    };
    let mut seen = 0;
    for object in &resp.req_path_results[0].resolved_path_results {
        for (name, value) in object.result_params.iter() {
            let path = format!("{}{name}", object.resolved_path);
            let def = schema.param(&path).unwrap();
            // Held strings nobody has set are empty; everything live has to fit.
            if !value.is_empty() && !path.starts_with("Device.LocalAgent.") {
                def.ty
                    .check(value)
                    .unwrap_or_else(|error| panic!("{path}: {error}"));
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn the_host_has_a_loopback_interface_with_its_address_and_this_process() {
    let (mut engine, who) = host();
    let mut get = |path: &str| match engine
        .handle(now(), &who, usp::msg::get([path]).into())
        .unwrap()
    {
        Response::GetResp(resp) => resp.req_path_results[0].clone(),
        other => panic!("{other:?}"),
    };
    let lo = get("Device.IP.Interface.[Name==\"lo\"].IPv4Address.*.IPAddress");
    assert!(
        lo.resolved_path_results
            .iter()
            .any(|o| o.result_params.get("IPAddress") == Some("127.0.0.1")),
        "{lo:?}"
    );
    for (name, expected) in [("Type", "Loopback"), ("Status", "Up"), ("Enable", "true")] {
        let lo = get(&format!("Device.IP.Interface.[Name==\"lo\"].{name}"));
        let value = lo.resolved_path_results[0].result_params.get(name);
        assert_eq!(value, Some(expected), "{name}");
    }
    let own = get(&format!(
        "Device.DeviceInfo.ProcessStatus.Process.[PID=={}].State",
        std::process::id()
    ));
    assert_eq!(own.resolved_path_results.len(), 1);
    assert!(
        get("Device.DeviceInfo.MemoryStatus.Total").resolved_path_results[0]
            .result_params
            .get("Total")
            > Some("0")
    );
}

#[test]
fn the_network_cannot_be_set_and_reboot_is_off_unless_configured() {
    let (mut engine, who) = host();
    let set = usp::msg::set_values([("Device.IP.Interface.1.Enable", "false")]);
    assert_eq!(
        engine.handle(now(), &who, set.into()).unwrap_err().code.0,
        7013
    );
    let set = usp::msg::set_values([("Device.DeviceInfo.ProvisioningCode", "x")]);
    assert!(engine.handle(now(), &who, set.into()).is_ok());
    let reboot = usp::msg::operate("Device.Reboot()", "", usp::Map::default());
    let Ok(Response::OperateResp(resp)) = engine.handle(now(), &who, reboot.into()) else {
        panic!()
    };
    let text = format!("{:?}", resp.operation_results[0]);
    assert!(
        text.contains("7002") && text.contains("reboot.enabled"),
        "{text}"
    );
    while let Some(effect) = engine.poll_effect() {
        assert!(!matches!(effect, crate::Effect::Restart(_)));
    }
}

#[test]
fn a_host_without_anything_still_has_an_identity() {
    let empty = tempfile::tempdir().unwrap();
    let linux = Linux::at(
        empty.path().to_owned(),
        &DeviceConfig::default(),
        RebootConfig::default(),
    )
    .unwrap();
    assert_eq!(linux.endpoint_id(), "os::000000-unknown");
    assert!(linux.endpoint_id().parse::<EndpointId>().is_ok());
}

/// What a process was given as arguments is nobody's business.
#[test]
fn command_lines_are_shown_without_their_arguments() {
    let mut child = std::process::Command::new("sleep")
        .arg("61.25")
        .spawn()
        .unwrap();
    let root = std::path::Path::new("/");
    let shown = processes::read(root, &format!("{}.Command", child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!shown.unwrap().contains("61.25"));
}
