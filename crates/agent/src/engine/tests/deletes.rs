//! Delete, references to what is deleted, what belongs to the device, and the device's own word.

use usp::proto::msg::DeleteStatus;

use super::rig::*;

/// TP-469 1.24 to 1.35, 1.90
#[test]
fn deleting_rows() {
    let mut rig = Rig::new();
    for (id, retry) in [
        ("a", "true"),
        ("b", "true"),
        ("c", "false"),
        ("d", "false"),
        ("e", "false"),
    ] {
        rig.subscribe(
            "ValueChange",
            "Device.LocalAgent.EndpointID",
            &[("ID", id), ("NotifRetry", retry)],
        );
    }
    let row = |n: u32| format!("{SUBSCRIPTION}{n}.");
    assert_eq!(
        affected(&delete(&mut rig, false, &[&row(5)]).unwrap()[0]),
        [row(5)]
    );
    for partial in [false, true] {
        assert!(affected(&delete(&mut rig, partial, &[&row(99)]).unwrap()[0]).is_empty()); // 1.25, 1.29
    }
    let error = delete(
        &mut rig,
        false,
        &[&row(1), "Device.LocalAgent.InvalidObject."],
    )
    .unwrap_err(); // 1.26, 1.28
    assert_eq!((error.code.0, error.param_errs.len()), (7026, 1));
    assert_eq!(rows(&mut rig), 4);
    let results = delete(
        &mut rig,
        true,
        &[&row(4), "Device.LocalAgent.InvalidObject.", &row(77)],
    )
    .unwrap(); // 1.30 to 1.32
    assert_eq!(affected(&results[0]), [row(4)]);
    assert!(matches!(&results[1], DeleteStatus::OperFailure(failure) if failure.err_code == 7026));
    assert!(affected(&results[2]).is_empty());
    let search = format!("{SUBSCRIPTION}[NotifRetry==true].");
    assert_eq!(
        affected(&delete(&mut rig, false, &[&search]).unwrap()[0]),
        [row(1), row(2)]
    ); // 1.35
    assert!(affected(&delete(&mut rig, false, &[&search]).unwrap()[0]).is_empty()); // 1.90
    let key = format!("{SUBSCRIPTION}[Recipient==\"Device.LocalAgent.Controller.1\"&&ID==\"c\"].");
    assert_eq!(
        affected(&delete(&mut rig, false, &[&key]).unwrap()[0]),
        [row(3)]
    ); // 1.33
    rig.subscribe("ValueChange", "Device.LocalAgent.EndpointID", &[]);
    assert_eq!(
        affected(&delete(&mut rig, false, &[&format!("{SUBSCRIPTION}*.")]).unwrap()[0]).len(),
        1
    ); // 1.34
    assert_eq!(rows(&mut rig), 0);
}

#[test]
fn what_belongs_to_the_device_is_neither_added_nor_deleted() {
    let mut rig = Rig::new();
    assert_eq!(
        delete(&mut rig, false, &["Device.Hosts.Host.1."])
            .unwrap_err()
            .code
            .0,
        7024
    );
    let error = rig.add("Device.Hosts.Host.", &[]).unwrap_err();
    assert_eq!(error.code.0, 7019);
    assert_eq!(rig.add("Device.LocalAgent.", &[]).unwrap_err().code.0, 7018);
    assert_eq!(
        delete(&mut rig, false, &["Device.LocalAgent."])
            .unwrap_err()
            .code
            .0,
        7018
    );
    assert_eq!(
        rig.set("Device.DeviceInfo.SerialNumber", "x")
            .unwrap_err()
            .code
            .0,
        7013
    );
    assert_eq!(
        rig.set("Device.LocalAgent.Subscription.9.Enable", "true")
            .unwrap_err()
            .code
            .0,
        7016
    );
}

/// R-ARC.11, R-ARC.12
#[test]
fn strong_references_exist_are_kept_by_number_and_go_with_their_target() {
    let mut rig = Rig::new();
    let reference = "Device.WiFi.AccessPoint.1.SSIDReference";
    assert_eq!(
        rig.set(reference, "Device.WiFi.SSID.99")
            .unwrap_err()
            .code
            .0,
        7012
    );
    delete(&mut rig, false, &["Device.WiFi.AccessPoint.2."]).unwrap();
    rig.set(reference, "Device.WiFi.SSID.[SSID==\"net2\"].")
        .unwrap();
    assert_eq!(rig.value(reference), "Device.WiFi.SSID.2");
    delete(&mut rig, false, &["Device.WiFi.SSID.2."]).unwrap();
    assert_eq!(rig.value(reference), "");
}

/// `TABLE_ROWS_MAX` through `SUBSCRIPTIONS_MAX`, `MESSAGE_OBJECTS_MAX`
#[test]
fn tables_and_messages_have_limits() {
    let mut rig = Rig::new();
    let many = (0..crate::limits::MESSAGE_OBJECTS_MAX + 1)
        .map(|_| update("Device.LocalAgent.", vec![]))
        .collect();
    assert_eq!(set(&mut rig, true, many).unwrap_err().code.0, 7005);
    let rows = (0..crate::limits::SUBSCRIPTIONS_MAX)
        .map(|n| create(SUBSCRIPTION, good(&n.to_string())))
        .collect();
    add(&mut rig, false, rows).unwrap();
    assert_eq!(
        add(&mut rig, false, vec![create(SUBSCRIPTION, good("x"))])
            .unwrap_err()
            .code
            .0,
        7005
    );
}

/// The back end has the last word: its check fails the parameter, its apply the whole message.
#[test]
fn the_device_can_refuse_and_nothing_is_left_behind() {
    let mut rig = Rig::new();
    let error = rig.set("Device.WiFi.SSID.1.SSID", "forbidden").unwrap_err();
    assert_eq!(
        (error.code.0, error.param_errs[0].param_path.as_str()),
        (7014, "Device.WiFi.SSID.1.SSID")
    );
    *rig.refuse.lock().unwrap() = true;
    assert_eq!(
        rig.set("Device.WiFi.SSID.1.SSID", "fine")
            .unwrap_err()
            .code
            .0,
        7015
    );
    assert_eq!(rig.value("Device.WiFi.SSID.1.SSID"), "net1");
    rig.set("Device.WiFi.SSID.1.SSID", "fine").unwrap();
    let applied = rig.applied.lock().unwrap().clone();
    assert_eq!(
        applied,
        [crate::Change::Value {
            path: "Device.WiFi.SSID.1.SSID".into(),
            value: "fine".into()
        }]
    );
}

/// `CONTROLLERS_MAX`
#[test]
fn there_are_only_so_many_controllers() {
    let mut rig = Rig::new();
    for _ in 2..crate::limits::CONTROLLERS_MAX {
        rig.add("Device.LocalAgent.Controller.", &[]).unwrap();
    }
    let error = rig.add("Device.LocalAgent.Controller.", &[]).unwrap_err();
    assert_eq!(error.code.0, 7005);
}

/// `TABLE_ROWS_MAX`
#[test]
fn a_table_has_only_so_many_rows() {
    let mut rig = Rig::new();
    let table = "Device.LocalAgent.Controller.1.BootParameter.";
    let rows = |count| (0..count).map(|_| create(table, Vec::new())).collect();
    let most = crate::limits::TABLE_ROWS_MAX;
    add(&mut rig, false, rows(most)).unwrap();
    assert_eq!(add(&mut rig, false, rows(1)).unwrap_err().code.0, 7005);
}

/// `STATE_BYTES_MAX`
#[test]
fn a_device_keeps_only_so_much_configuration() {
    let mut rig = Rig::new();
    let free = crate::limits::STATE_BYTES_MAX - rig.engine.state.bytes();
    rig.engine.state.set("~other", &"x".repeat(free - 2000));
    rig.engine.persist().unwrap();
    let ssid = "Device.WiFi.SSID.1.SSID";
    rig.set(ssid, "fits").unwrap();
    let rows = || vec![create("Device.NAT.PortMapping.", Vec::new()); 100];
    let error = add(&mut rig, false, rows()).unwrap_err();
    assert_eq!(error.code.0, 7005, "{error}");
    assert!(error.message.contains("STATE_BYTES_MAX"), "{error}");
    assert!(rig.engine.state.bytes() <= crate::limits::STATE_BYTES_MAX);
    assert_eq!(rig.value("Device.NAT.PortMappingNumberOfEntries"), "0");
    // A value that gets shorter, or is exchanged for one as long, needs no room, however full it is.
    let free = crate::limits::STATE_BYTES_MAX - rig.engine.state.bytes();
    let filled = rig.engine.state.value("~other").unwrap().len() + free;
    rig.engine.state.set("~other", &"x".repeat(filled));
    rig.engine.persist().unwrap();
    assert_eq!(rig.engine.state.bytes(), crate::limits::STATE_BYTES_MAX);
    rig.set(ssid, "fast").unwrap();
    assert_eq!(rig.set(ssid, "longer").unwrap_err().code.0, 7005);
    rig.set(ssid, "off").unwrap();
    assert_eq!(rig.value(ssid), "off");
    // What goes makes room.
    rig.engine.state.unset("~other");
    rig.engine.persist().unwrap();
    add(&mut rig, false, rows()).unwrap();
}
