//! What is searched by, in paths and in the references of subscriptions: only what may be read, and what a service has
//! found is told to those who searched for it.

use usp::msg::get;
use usp::proto::msg::{self, Request, Response};

use super::super::rig::{CONTROLLER, OTHER, SUBSCRIPTION};
use super::{Answer, Stage, usual};
use crate::Handled;

const ALL: [&str; 4] = ["rw-n", "rw-n", "rw-n", "r-xn"];
const NONE: [&str; 4] = ["----", "----", "----", "----"];

/// What another controller may see, with one thing that it may not read.
fn with_hidden() -> (Stage, u32) {
    let (mut stage, service) = Stage::with_service("self::one");
    stage.allow_other(&[
        ("Device.X_A.", ALL),
        (SUBSCRIPTION, ALL),
        ("Device.WiFi.", ALL),
        ("Device.X_A.Hidden.", NONE),
        ("Device.X_A.Row.*.Secret", NONE),
        ("Device.WiFi.SSID.*.SSID", NONE),
    ]);
    (stage, service)
}

/// R-GIN.0
#[test]
fn nothing_is_searched_by_where_a_reference_leads() {
    let (mut stage, _) = with_hidden();
    for path in [
        "Device.X_A.Row.[Ref+.Secret==\"a\"].",
        "Device.X_A.Row.[Ref#2+.Secret==\"a\"].Key",
        "Device.X_A.Row.[Sub.Ref#*+.Name==\"a\"&&Key==\"k\"].",
        "Device.X_A.Row.1.Ref+.Name",
    ] {
        // Whoever it is: a service follows references with its own eyes.
        for who in [CONTROLLER, OTHER] {
            match stage.begin(who, get([path])) {
                Handled::Now(Ok(Response::GetResp(resp))) => {
                    assert_eq!(resp.req_path_results[0].err_code, 7026, "{path}");
                }
                other => panic!("{path}: {other:?}"),
            }
            let refused = stage.subscribe(who, path, "ValueChange", path);
            assert_eq!(refused.map_err(|code| code.0), Err(7012), "{path}");
        }
    }
}

/// A value of the service has changed.
fn change(stage: &mut Stage, service: u32, id: &str, path: &str) {
    let change = msg::ValueChange {
        param_path: path.into(),
        param_value: "new".into(),
    };
    let notify = usp::msg::notify(id, change);
    let now = stage.rig.now;
    stage.rig.engine.service_notified(now, service, notify);
}

/// The ids by which references are watched at the service, as it is asked for them.
fn watched(stage: &mut Stage) -> Vec<(String, String)> {
    let mut out = Vec::new();
    stage.serve(|request: &Request| -> Answer {
        if let Request::Add(add) = request {
            let settings = &add.create_objs[0].param_settings;
            let of = |name| settings.iter().find(|one| one.param == name).unwrap();
            out.push((of("ReferenceList").value.clone(), of("ID").value.clone()));
        }
        usual(request)
    });
    out
}

/// R-GIN.0
#[test]
fn a_subscription_searches_only_by_what_its_controller_may_read() {
    let (mut stage, service) = with_hidden();
    let secret = "Device.X_A.Row.[Secret==\"a\"].Key";
    let open = "Device.X_A.Row.[Key==\"a\"].Key";
    let refused = stage.subscribe(OTHER, "bad", "ValueChange", secret);
    assert_eq!(refused.map_err(|code| code.0), Err(7012));
    stage.subscribe(OTHER, "open", "ValueChange", open).unwrap();
    stage
        .subscribe(CONTROLLER, "all", "ValueChange", secret)
        .unwrap();
    let ids = watched(&mut stage);
    let id = |path: &str| {
        let mut ids = ids.iter();
        ids.find(|(there, _)| there == path).unwrap().1.clone()
    };
    change(&mut stage, service, &id(open), "Device.X_A.Row.1.Key");
    assert_eq!(stage.told(), ["open"]);
    change(&mut stage, service, &id(secret), "Device.X_A.Row.1.Key");
    assert_eq!(stage.told(), ["all"]);

    // A right that is taken away is gone for what is there already.
    stage.allow_other(&[
        ("Device.X_A.", ALL),
        (SUBSCRIPTION, ALL),
        ("Device.X_A.Row.*.Key", ["---n", "----", "----", "----"]),
    ]);
    stage.serve(usual);
    change(&mut stage, service, &id(open), "Device.X_A.Row.1.Key");
    assert_eq!(stage.told(), [""; 0]);
}

/// R-GIN.0, for what the agent has itself.
#[test]
fn a_subscription_to_the_agents_own_searches_only_by_what_its_controller_may_read() {
    let (mut stage, _) = with_hidden();
    let secret = "Device.WiFi.SSID.[SSID==\"net1\"].Enable";
    let open = "Device.WiFi.SSID.[Name==\"wl1\"].Enable";
    for (who, id, reference) in [
        (OTHER, "secret", secret),
        (OTHER, "open", open),
        (CONTROLLER, "mine", secret),
    ] {
        stage.subscribe(who, id, "ValueChange", reference).unwrap();
    }
    stage.told();
    stage.rig.set("Device.WiFi.SSID.1.Enable", "true").unwrap();
    assert_eq!(stage.told(), ["mine", "open"]);
}

#[test]
fn what_a_search_finds_is_told_to_who_searched_and_once() {
    let (mut stage, service) = Stage::with_service("self::one");
    stage.allow_other(&[("Device.", ALL)]);
    let search = "Device.X_A.Row.[Key==\"a\"].Key";
    for (who, id, references) in [
        (CONTROLLER, "wide", "Device.X_A."),
        (OTHER, "search", search),
        (CONTROLLER, "both", &format!("{search},Device.X_A.Row.")),
    ] {
        stage.subscribe(who, id, "ValueChange", references).unwrap();
    }
    let ids = watched(&mut stage);
    let id = |path: &str| {
        let mut ids = ids.iter();
        let found = ids.find(|(there, _)| there == path);
        found.unwrap_or_else(|| panic!("{path}: {ids:?}")).1.clone()
    };
    let val = "Device.X_A.Row.1.Key";
    change(&mut stage, service, &id("Device.X_A."), val);
    assert_eq!(stage.told(), ["both", "wide"]);
    change(&mut stage, service, &id(search), val);
    assert_eq!(stage.told(), ["search"]);
}

/// Whether it matches is not known any more when it ends with its service.
#[test]
fn the_end_of_a_command_in_a_service_is_not_searched_for() {
    let (mut stage, _) = Stage::with_service("self::one");
    let search = "Device.X_A.Row.[Key==\"a\"].Go()";
    let refused = stage.subscribe(CONTROLLER, "1", "OperationComplete", search);
    assert_eq!(refused.map_err(|code| code.0), Err(7012));
    let rows = "Device.X_A.Row.*.Go()";
    stage
        .subscribe(CONTROLLER, "2", "OperationComplete", rows)
        .unwrap();
}
