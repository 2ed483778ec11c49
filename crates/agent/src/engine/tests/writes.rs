//! Add, Set and Delete.

use usp::Map;
use usp::msg::{optional, required};
use usp::proto::msg::{CreateStatus, UpdateStatus};

use super::rig::*;

/// TP-469 1.1, 1.2, 1.5
#[test]
fn adding_valid_rows_returns_their_keys() {
    for allow_partial in [false, true] {
        let mut rig = Rig::new();
        let objects = vec![
            create(SUBSCRIPTION, good("one")),
            create(SUBSCRIPTION, good("two")),
        ];
        let results = add(&mut rig, allow_partial, objects).unwrap();
        let CreateStatus::OperSuccess(first) = &results[0] else {
            panic!("{results:?}")
        };
        assert!(first.param_errs.is_empty());
        assert_eq!(first.instantiated_path, "Device.LocalAgent.Subscription.1.");
        let keys = Map::from([
            ("Recipient", "Device.LocalAgent.Controller.1"),
            ("ID", "one"),
            ("Alias", "cpe-1"),
        ]);
        assert_eq!(first.unique_keys, keys);
        assert_eq!(rig.value("Device.LocalAgent.Subscription.2.ID"), "two");
        assert_eq!(rig.value("Device.LocalAgent.Subscription.2.Enable"), "true");
    }
}

/// TP-469 1.3, 1.4
#[test]
fn a_failing_required_parameter_or_unknown_table_is_an_error_and_nothing_is_created() {
    let mut rig = Rig::new();
    let error = add(&mut rig, false, vec![create(SUBSCRIPTION, bad("x"))]).unwrap_err();
    assert_eq!(error.code.0, 7011);
    assert_eq!(error.param_errs.len(), 1);
    assert_eq!(
        error.param_errs[0].param_path,
        "Device.LocalAgent.Subscription.Enable"
    );
    let error = add(
        &mut rig,
        false,
        vec![create("Device.LocalAgent.InvalidObject.", good("x"))],
    )
    .unwrap_err();
    assert_eq!((error.code.0, error.param_errs.len()), (7026, 1));
    assert_eq!(
        error.param_errs[0].param_path,
        "Device.LocalAgent.InvalidObject."
    );
    assert_eq!(rows(&mut rig), 0);
}

/// TP-469 1.6, 1.7
#[test]
fn without_allow_partial_one_bad_object_sinks_the_whole_add() {
    let mut rig = Rig::new();
    let unknown = vec![
        create(SUBSCRIPTION, good("a")),
        create("Device.LocalAgent.InvalidObject.", good("b")),
    ];
    let error = add(&mut rig, false, unknown).unwrap_err();
    assert_eq!(error.param_errs.len(), 1);
    let failing = vec![
        create(SUBSCRIPTION, good("a")),
        create(SUBSCRIPTION, bad("b")),
    ];
    assert!(
        add(&mut rig, false, failing).unwrap_err().param_errs[0]
            .param_path
            .ends_with("Enable")
    );
    assert_eq!(rows(&mut rig), 0);
}

/// TP-469 1.8, 1.9
#[test]
fn with_allow_partial_each_object_succeeds_or_fails_alone() {
    let mut rig = Rig::new();
    let results = add(
        &mut rig,
        true,
        vec![
            create(SUBSCRIPTION, good("a")),
            create(SUBSCRIPTION, bad("b")),
        ],
    )
    .unwrap();
    assert!(matches!(&results[0], CreateStatus::OperSuccess(_)));
    assert!(matches!(&results[1], CreateStatus::OperFailure(failure) if failure.err_code == 7011));
    assert_eq!(rows(&mut rig), 1);
}

/// A failing parameter that is not required does not fail the object.
#[test]
fn an_optional_parameter_may_fail_alone_in_an_add() {
    let mut rig = Rig::new();
    let mut settings = good("a");
    settings.push(optional("NotifRetry", "perhaps"));
    let results = add(&mut rig, false, vec![create(SUBSCRIPTION, settings)]).unwrap();
    let CreateStatus::OperSuccess(success) = &results[0] else {
        panic!()
    };
    assert_eq!(success.param_errs[0].param, "NotifRetry");
}

/// TP-469 1.10, 1.95
#[test]
fn rows_can_be_added_below_a_searched_parent() {
    let mut rig = Rig::new();
    let settings = || vec![required("ParameterName", "Device.DeviceInfo.SerialNumber")];
    let by_key = "Device.LocalAgent.Controller.[EndpointID==\"self::controller\"].BootParameter.";
    let results = add(&mut rig, false, vec![create(by_key, settings())]).unwrap();
    let CreateStatus::OperSuccess(success) = &results[0] else {
        panic!()
    };
    assert_eq!(
        success.instantiated_path,
        "Device.LocalAgent.Controller.1.BootParameter.1."
    );
    assert_eq!(
        success.unique_keys.get("ParameterName"),
        Some("Device.DeviceInfo.SerialNumber")
    );
    let all = "Device.LocalAgent.Controller.*.MTP.";
    let mtp = vec![required("Alias", "second"), required("Enable", "true")];
    // Protocol is a unique key and WebSocket is taken by the first MTP of each (R-ADD.2a: all fail together).
    assert_eq!(
        add(&mut rig, false, vec![create(all, mtp)])
            .unwrap_err()
            .code
            .0,
        7025
    );
    let other = vec![required("ParameterName", "Device.DeviceInfo.UpTime")];
    let results = add(
        &mut rig,
        false,
        vec![create(
            "Device.LocalAgent.Controller.*.BootParameter.",
            other,
        )],
    )
    .unwrap();
    assert_eq!(results.len(), 2);
}

/// R-ADD.5; TP-469 1.81, 1.88
#[test]
fn keys_are_invented_when_left_out_and_fail_the_add_when_invalid() {
    let mut rig = Rig::new();
    let without_id = || create(SUBSCRIPTION, vec![required("NotifType", "ValueChange")]);
    let results = add(&mut rig, false, vec![without_id(), without_id()]).unwrap();
    let keys: Vec<Map> = results
        .iter()
        .map(|status| match status {
            CreateStatus::OperSuccess(success) => success.unique_keys.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_ne!(keys[0].get("ID"), keys[1].get("ID"));
    assert_ne!(keys[0].get("Alias"), keys[1].get("Alias"));
    assert_eq!(keys[0].get("Recipient"), keys[1].get("Recipient"));
    let mut settings = good("x");
    settings.push(optional("Alias", "1-starts-with-a-digit"));
    assert!(add(&mut rig, false, vec![create(SUBSCRIPTION, settings)]).is_err());
}

/// The defaults of the standard are the defaults; a functional key holds among the rows that are switched on.
#[test]
fn a_new_port_mapping_is_for_every_host_and_only_one_that_is_on_has_its_port() {
    let mut rig = Rig::new();
    let table = "Device.NAT.PortMapping.";
    let mapping = [("ExternalPort", "8443"), ("Protocol", "TCP")];
    let with = |enable| [&mapping[..], &[("Enable", enable)]].concat();
    let first = rig.add(table, &with("true")).unwrap();
    assert_eq!(rig.value(&format!("{first}RemoteHost")), "");
    assert_eq!(rig.add(table, &with("true")).unwrap_err().code.0, 7025);
    let second = rig.add(table, &with("false")).unwrap();
    let enable = format!("{second}Enable");
    assert_eq!(rig.set(&enable, "true").unwrap_err().code.0, 7025);
    assert_eq!(rig.value(&enable), "false");
    rig.set(&format!("{first}Enable"), "false").unwrap();
    rig.set(&enable, "true").unwrap();
    // Nothing given: off, and nothing made up but the name.
    let bare = rig.add(table, &[]).unwrap();
    assert_eq!(rig.value(&format!("{bare}ExternalPort")), "0");
    assert_eq!(rig.value(&format!("{bare}RemoteHost")), "");
    assert_ne!(rig.value(&format!("{bare}Alias")), "");
}

#[test]
fn a_unique_key_is_unique() {
    let mut rig = Rig::new();
    add(&mut rig, false, vec![create(SUBSCRIPTION, good("same"))]).unwrap();
    let error = add(&mut rig, false, vec![create(SUBSCRIPTION, good("same"))]).unwrap_err();
    assert_eq!(error.code.0, 7025);
    // Of two in one message the second is the one that is too much.
    let twice = vec![
        create(SUBSCRIPTION, good("b")),
        create(SUBSCRIPTION, good("b")),
    ];
    let results = add(&mut rig, true, twice).unwrap();
    assert!(matches!(&results[0], CreateStatus::OperSuccess(_)));
    assert!(matches!(&results[1], CreateStatus::OperFailure(failure) if failure.err_code == 7025));
}

/// TP-469 1.11, 1.12, 1.13, 1.18, 1.22
#[test]
fn setting_reports_each_instance_with_the_new_value() {
    let mut rig = Rig::new();
    for id in ["a", "b"] {
        rig.subscribe("ValueChange", "Device.LocalAgent.EndpointID", &[("ID", id)]);
    }
    let by_key =
        format!("{SUBSCRIPTION}[ID==\"b\"&&Recipient==\"Device.LocalAgent.Controller.1\"].");
    for (path, affected) in [
        ("Device.LocalAgent.Subscription.1.", 1),
        (by_key.as_str(), 2),
        (
            "Device.LocalAgent.Subscription.[NotifExpiration<1&&ID==\"a\"].",
            1,
        ),
    ] {
        let results = set(
            &mut rig,
            false,
            vec![update(path, vec![required("NotifRetry", "1")])],
        )
        .unwrap();
        let UpdateStatus::OperSuccess(success) = &results[0] else {
            panic!("{results:?}")
        };
        assert_eq!(success.updated_inst_results.len(), 1);
        let result = &success.updated_inst_results[0];
        assert_eq!(result.affected_path, format!("{SUBSCRIPTION}{affected}."));
        // The value after the update, in its normal form (R-SET.3).
        assert_eq!(result.updated_params, Map::from([("NotifRetry", "true")]));
        assert_eq!(
            rig.value(&format!("{SUBSCRIPTION}{affected}.NotifRetry")),
            "true"
        );
    }
}

/// TP-469 1.14, 1.15, 1.16, 1.17
#[test]
fn required_and_optional_failures_of_a_set() {
    let mut rig = Rig::new();
    for id in ["a", "b"] {
        rig.subscribe("ValueChange", "Device.LocalAgent.EndpointID", &[("ID", id)]);
    }
    let one = |n: u32, settings| update(&format!("{SUBSCRIPTION}{n}."), settings);
    let retry = || required("NotifRetry", "true");
    let unknown = || required("InvalidParameter", "true");
    let both = || vec![one(1, vec![retry()]), one(2, vec![unknown()])];

    let error = set(&mut rig, false, both()).unwrap_err();
    assert_eq!(error.param_errs.len(), 1);
    assert_eq!(
        error.param_errs[0].param_path,
        "Device.LocalAgent.Subscription.2.InvalidParameter"
    );
    assert_eq!(error.param_errs[0].err_code, 7010);
    assert_eq!(
        rig.value("Device.LocalAgent.Subscription.1.NotifRetry"),
        "false"
    );

    let results = set(&mut rig, true, both()).unwrap();
    assert!(matches!(&results[0], UpdateStatus::OperSuccess(_)));
    let UpdateStatus::OperFailure(failure) = &results[1] else {
        panic!()
    };
    assert_eq!(
        failure.updated_inst_failures[0].param_errs[0].param,
        "InvalidParameter"
    );
    assert_eq!(
        rig.value("Device.LocalAgent.Subscription.1.NotifRetry"),
        "true"
    );

    let mixed = vec![one(2, vec![retry(), optional("InvalidParameter", "x")])];
    let results = set(&mut rig, false, mixed).unwrap();
    let UpdateStatus::OperSuccess(success) = &results[0] else {
        panic!()
    };
    assert_eq!(success.updated_inst_results[0].updated_params.len(), 1);
    assert_eq!(
        success.updated_inst_results[0].param_errs[0].param,
        "InvalidParameter"
    );
}

/// R-SET.2a; TP-469 1.19, 1.20, 1.21, 1.23
#[test]
fn a_set_through_a_search_is_all_or_nothing() {
    let mut rig = Rig::new();
    for id in ["a", "b"] {
        rig.subscribe("ValueChange", "Device.LocalAgent.EndpointID", &[("ID", id)]);
    }
    let all = format!("{SUBSCRIPTION}*.");
    let results = set(
        &mut rig,
        false,
        vec![update(&all, vec![required("NotifRetry", "true")])],
    )
    .unwrap();
    assert!(
        matches!(&results[0], UpdateStatus::OperSuccess(s) if s.updated_inst_results.len() == 2)
    );
    let error = set(
        &mut rig,
        false,
        vec![update(&all, vec![required("InvalidParameter", "x")])],
    )
    .unwrap_err();
    assert!(
        error.param_errs[0]
            .param_path
            .starts_with("Device.LocalAgent.Subscription.1.")
    );
    let results = set(
        &mut rig,
        true,
        vec![update(&all, vec![required("Enable", "maybe")])],
    )
    .unwrap();
    let UpdateStatus::OperFailure(failure) = &results[0] else {
        panic!()
    };
    assert_eq!(
        failure.updated_inst_failures[0].param_errs[0].param,
        "Enable"
    );
    assert_eq!(rig.value("Device.LocalAgent.Subscription.1.Enable"), "true");
    let nothing = format!("{SUBSCRIPTION}[ID==\"none\"].");
    let results = set(
        &mut rig,
        false,
        vec![update(&nothing, vec![required("Enable", "false")])],
    )
    .unwrap();
    assert!(
        matches!(&results[0], UpdateStatus::OperSuccess(s) if s.updated_inst_results.is_empty())
    );
}

/// R-KEY.1; TP-469 1.96, 1.104
#[test]
fn non_functional_keys_and_write_once_parameters_do_not_change() {
    let mut rig = Rig::new();
    let path = rig.subscribe(
        "ValueChange",
        "Device.LocalAgent.EndpointID",
        &[("ID", "a"), ("Alias", "first")],
    );
    for name in ["ID", "Alias", "Recipient"] {
        let error = rig
            .set(&format!("{path}{name}"), "Device.LocalAgent.Controller.2")
            .unwrap_err();
        assert_eq!(error.code.0, 7013, "{name}");
    }
    assert_eq!(rig.value(&format!("{path}Alias")), "first");
    // Once set, the references stay.
    assert_eq!(
        rig.set(&format!("{path}ReferenceList"), "Device.LocalAgent.UpTime")
            .unwrap_err()
            .code
            .0,
        7013
    );
}

/// R-KEY.2: functional keys may change, and stay unique even when two rows swap them in one message.
#[test]
fn functional_keys_can_be_swapped_in_one_message() {
    let mut rig = Rig::new();
    let table = "Device.LocalAgent.Controller.1.BootParameter.";
    for name in ["Device.A", "Device.B"] {
        rig.add(table, &[("ParameterName", name), ("Enable", "true")])
            .unwrap();
    }
    let one = |n: u32, name: &str| {
        update(
            &format!("{table}{n}."),
            vec![required("ParameterName", name)],
        )
    };
    set(
        &mut rig,
        false,
        vec![one(1, "Device.B"), one(2, "Device.A")],
    )
    .unwrap();
    assert_eq!(rig.value(&format!("{table}1.ParameterName")), "Device.B");
    assert_eq!(
        set(&mut rig, false, vec![one(1, "Device.A")])
            .unwrap_err()
            .code
            .0,
        7025
    );
}
