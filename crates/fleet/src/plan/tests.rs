use std::collections::BTreeMap;

use super::*;
use crate::model::{
    Model, ModelCommand, ModelObject, ModelParam, ObjectAccess, ParamAccess as Access,
};
use crate::southbound::PathValue;

fn look(request: Request) -> Plan {
    let context = Context {
        schema: dm::Schema::tr181(),
        model: None,
        values: &BTreeMap::new(),
    };
    plan(&request, &context)
}

fn set(path: &str, value: &str) -> Request {
    Request::Set {
        values: vec![PathValue::new(path, value)],
        allow_partial: false,
    }
}

fn only_trouble(plan: &Plan) -> Trouble {
    assert_eq!(plan.problems.len(), 1, "{:?}", plan.problems);
    plan.problems[0].trouble
}

#[test]
fn a_malformed_path_names_the_character() {
    let plan = look(set("Device.WiFi.SSID.1.SS ID", "x"));
    assert_eq!(only_trouble(&plan), Trouble::BadPath);
    assert!(!plan.is_acceptable());
    assert!(
        plan.problems[0].message.contains("22"),
        "{}",
        plan.problems[0].message
    );
}

#[test]
fn a_value_that_does_not_fit_its_type_is_named() {
    for (path, value) in [
        ("Device.WiFi.SSID.1.Enable", "maybe"),
        (
            "Device.WiFi.SSID.1.SSID",
            "a-network-name-that-is-longer-than-32-characters",
        ),
        ("Device.WiFi.Radio.1.Channel", "300"),
    ] {
        let plan = look(set(path, value));
        assert_eq!(only_trouble(&plan), Trouble::BadValue, "{path}");
        assert!(!plan.problems[0].message.is_empty());
    }
    assert!(look(set("Device.WiFi.SSID.1.Enable", "true")).is_acceptable());
}

#[test]
fn what_is_shown_instead_of_a_secret_is_not_taken_for_its_value() {
    let one = |name: &str| BTreeMap::from([(name.to_owned(), crate::secret::MASK.to_owned())]);
    for request in [
        set(
            "Device.WiFi.AccessPoint.1.Security.KeyPassphrase",
            crate::secret::MASK,
        ),
        Request::Add {
            object: "Device.Users.User.".to_owned(),
            values: one("Password"),
        },
        Request::Operate {
            command: "Device.X_ACME_Cloud.Enroll()".to_owned(),
            args: one("Password"),
        },
    ] {
        let plan = look(request);
        assert_eq!(only_trouble(&plan), Trouble::BadValue);
        assert!(!plan.is_acceptable());
    }
}

#[test]
fn a_read_only_parameter_is_not_writable() {
    let plan = look(set("Device.DeviceInfo.SerialNumber", "x"));
    assert_eq!(only_trouble(&plan), Trouble::NotWritable);
}

#[test]
fn unchanged_and_changed_values_are_told_apart() {
    let last = BTreeMap::from([("Device.WiFi.SSID.1.Enable".to_owned(), "1".to_owned())]);
    let context = Context {
        schema: dm::Schema::tr181(),
        model: None,
        values: &last,
    };
    let effect = |v: &str| plan(&set("Device.WiFi.SSID.1.Enable", v), &context).changes[0].effect;
    assert_eq!(effect("true"), Effect::Unchanged);
    assert_eq!(effect("false"), Effect::Changes);
    let unknown = plan(&set("Device.WiFi.SSID.2.Enable", "true"), &context);
    assert_eq!(unknown.changes[0].effect, Effect::Sets);
}

#[test]
fn a_search_path_is_shown_by_each_parameter_it_leads_to_with_its_value() {
    let known = [
        ("Device.WiFi.SSID.1.Enable", "true"),
        ("Device.WiFi.SSID.1.SSID", "guests"),
        ("Device.WiFi.SSID.2.Enable", "false"),
        ("Device.WiFi.SSID.2.SSID", "home"),
    ];
    let known = known.map(|(path, value)| (path.to_owned(), value.to_owned()));
    let known = BTreeMap::from(known);
    let context = Context {
        schema: dm::Schema::tr181(),
        model: None,
        values: &known,
    };
    let changes = |path: &str| {
        let changes = plan(&set(path, "true"), &context).changes.into_iter();
        let line = |c: Change| (c.path, c.effect, c.current.unwrap_or_default());
        changes.map(line).collect::<Vec<_>>()
    };
    let line = |path: &str, effect, current: &str| (path.to_owned(), effect, current.to_owned());
    assert_eq!(
        changes("Device.WiFi.SSID.*.Enable"),
        [
            line("Device.WiFi.SSID.1.Enable", Effect::Unchanged, "true"),
            line("Device.WiFi.SSID.2.Enable", Effect::Changes, "false"),
        ]
    );
    assert_eq!(
        changes("Device.WiFi.SSID.[SSID==\"home\"].Enable"),
        [line("Device.WiFi.SSID.2.Enable", Effect::Changes, "false")]
    );
    // Nothing is known of these: as it was asked.
    let path = "Device.WiFi.Radio.*.Enable";
    assert_eq!(changes(path), [line(path, Effect::Sets, "")]);
    let delete = Request::Delete {
        paths: vec!["Device.WiFi.SSID.*.".into()],
        allow_partial: true,
    };
    let gone: Vec<String> = plan(&delete, &context)
        .changes
        .into_iter()
        .map(|change| change.path)
        .collect();
    assert_eq!(gone, ["Device.WiFi.SSID.1.", "Device.WiFi.SSID.2."]);
}

#[test]
fn what_the_device_told_decides_over_what_is_published() {
    let mut model = Model::default();
    let object = ModelObject {
        access: ObjectAccess::ReadOnly,
        multi: true,
        params: vec![ModelParam {
            name: "Enable".into(),
            access: Access::ReadOnly,
            ty: Some("boolean".into()),
            value_change: None,
        }],
        commands: Vec::new(),
        events: Vec::new(),
        keys: Vec::new(),
        named_only: false,
    };
    model
        .objects
        .insert("Device.WiFi.SSID.{i}.".into(), object.clone());
    let mut vendor = object;
    vendor.params[0].access = Access::ReadWrite;
    vendor.commands.push(ModelCommand {
        name: "Go()".into(),
        inputs: vec!["Speed".into()],
        outputs: Vec::new(),
        asynchronous: None,
    });
    model.objects.insert("Device.X_ACME_Box.".into(), vendor);
    let context = Context {
        schema: dm::Schema::tr181(),
        model: Some(&model),
        values: &BTreeMap::new(),
    };
    let trouble = |r: Request| only_trouble(&plan(&r, &context));
    assert_eq!(
        trouble(set("Device.WiFi.SSID.1.Enable", "true")),
        Trouble::NotWritable
    );
    assert_eq!(
        trouble(set("Device.WiFi.SSID.1.SSID", "x")),
        Trouble::UnknownPath
    );
    assert_eq!(
        trouble(set("Device.Time.Enable", "true")),
        Trouble::UnknownPath
    );
    assert_eq!(
        trouble(set("Device.X_ACME_Box.Enable", "perhaps")),
        Trouble::BadValue
    );
    let add = Request::Add {
        object: "Device.WiFi.SSID.".into(),
        values: BTreeMap::new(),
    };
    assert_eq!(trouble(add), Trouble::NotAddable);
    let delete = Request::Delete {
        paths: vec!["Device.WiFi.SSID.1.".into()],
        allow_partial: false,
    };
    assert_eq!(trouble(delete), Trouble::NotDeletable);
    let args = BTreeMap::from([("Colour".to_owned(), "red".to_owned())]);
    let go = Request::Operate {
        command: "Device.X_ACME_Box.Go()".into(),
        args,
    };
    let plan = plan(&go, &context);
    assert_eq!(only_trouble(&plan), Trouble::UnknownArgument);
    assert!(plan.is_acceptable());
}

#[test]
fn a_vendor_path_of_an_undiscovered_device_is_only_a_warning() {
    let plan = look(set("Device.X_ACME_Box.Colour", "red"));
    assert_eq!(only_trouble(&plan), Trouble::UnknownPath);
    assert!(plan.is_acceptable());
}

#[test]
fn rows_are_added_to_tables_and_removed_as_rows() {
    let add = |object: &str| {
        look(Request::Add {
            object: object.into(),
            values: BTreeMap::new(),
        })
    };
    assert!(add("Device.NAT.PortMapping.").is_acceptable());
    assert_eq!(
        only_trouble(&add("Device.NAT.PortMapping.1.")),
        Trouble::WrongKind
    );
    assert_eq!(only_trouble(&add("Device.NAT.")), Trouble::UnknownPath);
    let delete = |path: &str| {
        look(Request::Delete {
            paths: vec![path.into()],
            allow_partial: false,
        })
    };
    assert!(delete("Device.NAT.PortMapping.1.").is_acceptable());
    assert_eq!(
        only_trouble(&delete("Device.NAT.PortMapping.")),
        Trouble::WrongKind
    );
}

#[test]
fn limits_hold_before_anything_is_looked_at() {
    use crate::limits::*;
    let get = |paths| {
        only_trouble(&look(Request::Get {
            paths,
            max_depth: 0,
        }))
    };
    let many = vec!["Device.".to_owned(); OPERATION_PATHS_MAX + 1];
    assert_eq!(get(many), Trouble::TooMuch);
    assert_eq!(get(vec!["D".repeat(PATH_BYTES_MAX + 1)]), Trouble::TooMuch);
    assert_eq!(get(Vec::new()), Trouble::Empty);
    let long = set(
        "Device.DeviceInfo.ProvisioningCode",
        &"x".repeat(VALUE_BYTES_MAX + 1),
    );
    assert_eq!(only_trouble(&look(long)), Trouble::TooMuch);
}

#[test]
fn what_is_wrong_with_a_password_is_said_without_it() {
    let path = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
    let plan = look(set(path, "tooshrt"));
    assert_eq!(only_trouble(&plan), Trouble::BadValue);
    assert!(!plan.problems[0].message.contains("tooshrt"));
    let path = "Device.WiFi.AccessPoint.1.Security.PreSharedKey";
    let plan = look(set(path, "nothexadecimal"));
    assert_eq!(only_trouble(&plan), Trouble::BadValue);
    assert!(!plan.problems[0].message.contains("nothexadecimal"));
}

#[test]
fn secured_parameters_are_known() {
    assert!(is_secured(
        "Device.WiFi.AccessPoint.1.Security.KeyPassphrase"
    ));
    assert!(!is_secured("Device.WiFi.SSID.1.SSID"));
}

#[test]
fn a_gateways_own_path_is_checked_by_its_own_standard() {
    let wlan = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
    let channel = |value: &str| look(set(&format!("{wlan}Channel"), value));
    assert!(channel("6").is_acceptable());
    assert_eq!(only_trouble(&channel("6000")), Trouble::BadValue);
    let plan = look(set(&format!("{wlan}BSSID"), "00:25:6d:00:00:01"));
    assert_eq!(only_trouble(&plan), Trouble::NotWritable);
    let plan = look(set(&format!("{wlan}BeaconType"), "WPA9"));
    assert_eq!(only_trouble(&plan), Trouble::BadValue);
}

#[test]
fn a_missing_argument_is_named_and_left_to_the_device() {
    let args = BTreeMap::from([("Timeout".to_owned(), "soon".to_owned())]);
    let ping = |args| Request::Operate {
        command: "Device.IP.Diagnostics.IPPing()".into(),
        args,
    };
    let plan = look(ping(BTreeMap::new()));
    assert!(plan.is_acceptable());
    assert!(
        plan.problems
            .iter()
            .any(|p| p.path == "Host" && p.message.contains("Host"))
    );
    let plan = look(ping(args));
    assert!(
        plan.problems
            .iter()
            .any(|p| p.trouble == Trouble::BadValue && p.path == "Timeout")
    );
}

#[test]
fn an_argument_of_a_row_is_needed_in_each_row_that_is_given_and_rows_are_not() {
    let missing = |names: &[&str]| {
        let args = names.iter().map(|name| ((*name).to_owned(), String::new()));
        check::missing_args("Data.{i}.Part.{i}.Name", &args.collect())
    };
    assert_eq!(missing(&["URL", "Data.1.Path"]), [""; 0]);
    let given = [
        "Data.1.Part.1.Size",
        "Data.1.Part.2.Name",
        "Data.2.Part.1.Size",
    ];
    assert_eq!(
        missing(&given),
        ["Data.1.Part.1.Name", "Data.2.Part.1.Name"]
    );
}

fn subscribe(list: &str, more: &[(&str, &str)]) -> Request {
    let values = [("NotifType", "ValueChange"), ("ReferenceList", list)];
    let values = values.iter().chain(more);
    Request::Add {
        object: "Device.LocalAgent.Subscription.".into(),
        values: values
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

/// What is said of what a subscription will not hear.
fn unheard(plan: &Plan) -> Vec<&str> {
    assert!(plan.is_acceptable(), "{:?}", plan.problems);
    let all = plan.problems.iter();
    let all = all.filter(|one| one.trouble == Trouble::Unheard);
    all.inspect(|one| assert!(one.path.ends_with("ReferenceList"), "{}", one.path))
        .map(|one| one.message.as_str())
        .collect()
}

#[test]
fn a_subscription_is_warned_of_changes_that_the_standard_lets_a_device_ignore() {
    let time = "Device.DeviceInfo.UpTime";
    let plan = look(subscribe(&format!("Device.WiFi.SSID.*.SSID, {time}"), &[]));
    let words = format!("the standard lets a device ignore changes of {time}");
    assert_eq!(unheard(&plan), [words.as_str()]);
    let changes = plan.changes.iter();
    let mut lists = changes.filter(|one| one.path == plan.problems[0].path);
    assert!(lists.next().is_some(), "the warning is at what is set");
    let plan = look(subscribe("Device.Ethernet.Interface.*.Stats.", &[]));
    let said = unheard(&plan);
    let words =
        "ignore changes of Device.Ethernet.Interface.{i}.Stats.BroadcastPacketsReceived and ";
    assert!(said.len() == 1 && said[0].contains(words), "{said:?}");
    for quiet in [
        subscribe("Device.WiFi.SSID.1.SSID", &[]),
        subscribe(time, &[("X_HEADEND_Passive", "true")]),
        subscribe(time, &[("NotifType", "Event")]),
    ] {
        assert!(unheard(&look(quiet)).is_empty());
    }
    // Of a gateway's own path, too.
    let own = "InternetGatewayDevice.DeviceInfo.UpTime";
    assert_eq!(unheard(&look(subscribe(own, &[]))).len(), 1);
}

#[test]
fn what_the_device_says_of_reporting_changes_decides_over_the_standard() {
    let mut model = Model::default();
    let param = |name: &str, value_change| ModelParam {
        name: name.into(),
        access: Access::ReadOnly,
        ty: None,
        value_change,
    };
    let info = ModelObject {
        access: ObjectAccess::ReadOnly,
        multi: false,
        params: vec![
            param("UpTime", Some(true)),
            param("ModelName", Some(false)),
            param("SoftwareVersion", Some(false)),
        ],
        commands: Vec::new(),
        events: Vec::new(),
        keys: Vec::new(),
        named_only: false,
    };
    // One that only CWMP has.
    let management = ModelObject {
        params: vec![param("ParameterKey", None), param("URL", None)],
        ..info.clone()
    };
    model.objects.insert("Device.DeviceInfo.".into(), info);
    let object = "Device.ManagementServer.".to_owned();
    model.objects.insert(object, management);
    let row = "Device.LocalAgent.Subscription.3.";
    let values = BTreeMap::from([(format!("{row}NotifType"), "ValueChange".to_owned())]);
    let context = Context {
        schema: dm::Schema::tr181(),
        model: Some(&model),
        values: &values,
    };
    let told = subscribe(
        "Device.DeviceInfo.,Device.DeviceInfo.ModelName,Device.ManagementServer.",
        &[],
    );
    let mut found = Plan::default();
    let Request::Add { object, values } = &told else {
        panic!("{told:?}");
    };
    reports::add(object, values, &context, &mut found);
    assert_eq!(
        unheard(&found),
        [
            "the device does not report changes of Device.DeviceInfo.ModelName and 1 more",
            "the standard lets a device ignore changes of Device.ManagementServer.ParameterKey",
        ]
    );
    // What the device does not have, and what nobody can tell.
    let told = subscribe(
        "Device.DeviceInfo.NoSuch,Device.NoSuch.,Device.DeviceInfo.UpTime,Device.Gap.A,Device.Rows.1.Name",
        &[],
    );
    let mut gaps = model.clone();
    gaps.gaps.push(("Device.Gap.".to_owned(), String::new()));
    let rows = ModelObject {
        multi: true,
        params: Vec::new(),
        ..gaps.objects["Device.DeviceInfo."].clone()
    };
    gaps.objects.insert("Device.Rows.{i}.".to_owned(), rows);
    let context = Context {
        model: Some(&gaps),
        ..context
    };
    let mut found = Plan::default();
    let Request::Add { object, values } = &told else {
        panic!("{told:?}");
    };
    reports::add(object, values, &context, &mut found);
    let words = "the device does not have Device.DeviceInfo.NoSuch and 1 more";
    assert_eq!(unheard(&found), [words]);
    // Of a row that there is: its kind is known, or is set with it.
    let list = format!("{row}ReferenceList");
    assert_eq!(needs(&list)[0], format!("{row}NotifType"));
    assert!(needs("Device.WiFi.SSID.1.SSID").is_empty());
    let wanted = PathValue::new(list, "Device.DeviceInfo.ModelName");
    let mut found = Plan::default();
    reports::set(std::slice::from_ref(&wanted), &context, &mut found);
    assert_eq!(unheard(&found).len(), 1);
    let kind = PathValue::new(format!("{row}NotifType"), "ObjectCreation");
    let mut found = Plan::default();
    reports::set(&[wanted, kind], &context, &mut found);
    assert!(unheard(&found).is_empty());
}
