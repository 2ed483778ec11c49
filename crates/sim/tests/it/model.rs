//! Names, values and rows.

use crate::acs::{Acs, Visit};
use cwmp::event::EventCode;
use cwmp::fault::{Fault, FaultCode};
use cwmp::rpc::*;
use cwmp::value::Value;
use dm::BaseType;
use sim::cwmp::Kind;
use std::collections::BTreeMap;

const SSID: [&str; 2] = [
    "Device.WiFi.SSID.1.SSID",
    "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID",
];
const MAPPINGS: [&str; 2] = [
    "Device.NAT.PortMapping.",
    "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.PortMapping.",
];

fn of<T: Copy>(kind: Kind, both: [T; 2]) -> T {
    both[usize::from(kind == Kind::Tr098)]
}

fn set(parameters: Vec<(&str, Value)>) -> SetParameterValues {
    let parameters = parameters.into_iter();
    SetParameterValues {
        parameters: parameters
            .map(|(name, value)| ParameterValue::new(name, value))
            .collect(),
        parameter_key: "key".into(),
    }
}

async fn values(
    acs: &Acs,
    first: &Visit,
    names: &[&str],
) -> Result<BTreeMap<String, String>, Fault> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    match acs.ask_now(first, GetParameterValues { names }).await? {
        Response::GetParameterValues(answer) => {
            let pairs = answer
                .parameters
                .into_iter()
                .map(|at| (at.name, at.value.text));
            Ok(pairs.collect())
        }
        other => panic!("{other:?}"),
    }
}

async fn names(
    acs: &Acs,
    first: &Visit,
    path: &str,
    next_level: bool,
) -> Result<Vec<String>, FaultCode> {
    let path = path.to_owned();
    match acs
        .ask_now(first, GetParameterNames { path, next_level })
        .await
    {
        Ok(Response::GetParameterNames(answer)) => Ok(answer
            .parameters
            .into_iter()
            .map(|info| info.name)
            .collect()),
        Ok(other) => panic!("{other:?}"),
        Err(fault) => Err(fault.code),
    }
}

#[tokio::test]
async fn the_first_inform_has_what_the_standard_forces_and_both_events() {
    for kind in Kind::ALL {
        let acs = Acs::start(None).await;
        let (_fleet, first) = acs.one(kind).await;
        assert!(first.has(&EventCode::Bootstrap) && first.has(&EventCode::Boot));
        assert_eq!(first.inform.root(), Some(kind.root().trim_end_matches('.')));
        let inform = &first.inform;
        for forced in [
            "DeviceInfo.SoftwareVersion",
            "ManagementServer.ConnectionRequestURL",
        ] {
            assert!(!inform.ending(forced).unwrap().is_empty(), "{forced}");
        }
        assert!(!inform.device_id.serial_number.contains('{'));
        // Not twice.
        let again = acs.ask_now(&first, GetRpcMethods {}).await.unwrap();
        let Response::GetRpcMethods(methods) = again else {
            panic!("{again:?}");
        };
        assert!(methods.methods.contains(&"Download".to_owned()));
        let second = acs.visits().pop().unwrap();
        assert!(second.has(&EventCode::ConnectionRequest) && !second.has(&EventCode::Bootstrap));
    }
}

#[tokio::test]
async fn the_whole_tree_can_be_listed_level_by_level_and_read() {
    for kind in Kind::ALL {
        let acs = Acs::start(None).await;
        let (_fleet, first) = acs.one(kind).await;
        let root = kind.root();
        assert_eq!(names(&acs, &first, "", true).await.unwrap(), [root]);
        let level = names(&acs, &first, root, true).await.unwrap();
        let below = format!("{root}DeviceInfo.");
        assert!(level.contains(&below) && !level.contains(&root.to_owned()));
        assert!(
            level
                .iter()
                .all(|name| name.trim_end_matches('.').matches('.').count() == 1)
        );
        let all = names(&acs, &first, "", false).await.unwrap();
        let parameters = all.iter().filter(|name| !name.ends_with('.')).count();
        assert!(parameters > 100, "{parameters}");
        let read = values(&acs, &first, &[root]).await.unwrap();
        // Hosts may have come or gone between.
        assert!(
            read.len().abs_diff(parameters) < 60,
            "{} of {parameters}",
            read.len()
        );
        let rows = read.keys().filter(|name| name.contains("Hosts.Host."));
        assert!(rows.count() > 0);
        assert!(read.values().all(|value| !value.contains('{')));
        // Passwords are not shown.
        let password = format!("{root}ManagementServer.Password");
        assert_eq!(read[&password], "");
        assert_eq!(
            names(&acs, &first, "Device.Nothing.", false).await,
            Err(FaultCode::INVALID_PARAMETER_NAME)
        );
    }
}

#[tokio::test]
async fn what_is_set_is_read_back_and_one_wrong_value_refuses_all_by_name() {
    for kind in Kind::ALL {
        let acs = Acs::start(None).await;
        let (_fleet, first) = acs.one(kind).await;
        let ssid = of(kind, SSID);
        let good = set(vec![(ssid, Value::string("other"))]);
        let answer = acs.ask_now(&first, good).await.unwrap();
        assert_eq!(answer, SetParameterValuesResponse { status: 0 }.into());
        let key = format!("{}ManagementServer.ParameterKey", kind.root());
        let read = values(&acs, &first, &[ssid, &key]).await.unwrap();
        assert_eq!((&*read[ssid], &*read[&key]), ("other", "key"));

        let long = "x".repeat(33);
        let version = format!("{}DeviceInfo.SoftwareVersion", kind.root());
        let unknown = format!("{}DeviceInfo.Nothing", kind.root());
        let interval = format!("{}ManagementServer.PeriodicInformInterval", kind.root());
        let bad = set(vec![
            (ssid, Value::string("third")),
            (&*version, Value::string("9")),
            (&*unknown, Value::string("9")),
            (&*interval, Value::string("60")),
            (
                &*key.replace("ParameterKey", "PeriodicInformTime"),
                Value::new(BaseType::DateTime, long),
            ),
        ]);
        let fault = acs.ask_now(&first, bad).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::INVALID_ARGUMENTS);
        let codes: Vec<u32> = fault.parameters.iter().map(|at| at.code.0).collect();
        assert_eq!(codes, [9008, 9005, 9006, 9007]);
        assert_eq!(values(&acs, &first, &[ssid]).await.unwrap()[ssid], "other");
        let fault = values(&acs, &first, &[ssid, &unknown]).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::INVALID_PARAMETER_NAME);
    }
}

#[tokio::test]
async fn rows_are_made_with_defaults_counted_and_deleted_and_no_number_comes_twice() {
    for kind in Kind::ALL {
        let acs = Acs::start(None).await;
        let (_fleet, first) = acs.one(kind).await;
        let table = of(kind, MAPPINGS);
        let count = format!("{}NumberOfEntries", table.trim_end_matches('.'));
        let add = || AddObject {
            object_name: table.into(),
            parameter_key: "k".into(),
        };
        let number = async || match acs.ask_now(&first, add()).await.unwrap() {
            Response::AddObject(added) => added.instance_number.0,
            other => panic!("{other:?}"),
        };
        assert_eq!((number().await, number().await), (2, 3));
        let row = format!("{table}3.");
        let port = format!("{row}ExternalPort");
        let read = values(&acs, &first, &[&row, &count]).await.unwrap();
        assert_eq!((&*read[&port], &*read[&count]), ("0", "3"));
        let delete = || DeleteObject {
            object_name: row.clone(),
            parameter_key: "k".into(),
        };
        acs.ask_now(&first, delete()).await.unwrap();
        let gone = acs.ask_now(&first, delete()).await.unwrap_err();
        assert_eq!(gone.code, FaultCode::INVALID_PARAMETER_NAME);
        assert_eq!(values(&acs, &first, &[&count]).await.unwrap()[&count], "2");
        assert_eq!(number().await, 4);
        let fixed = AddObject {
            object_name: format!("{}DeviceInfo.", kind.root()),
            parameter_key: "k".into(),
        };
        let refused = acs.ask_now(&first, fixed).await.unwrap_err();
        assert_eq!(refused.code, FaultCode::INVALID_PARAMETER_NAME);
    }
}

#[tokio::test]
async fn a_value_that_somebody_else_changes_is_told_as_its_notification_says() {
    let acs = Acs::start(None).await;
    let (fleet, first) = acs.one(Kind::Tr181).await;
    let path = "Device.WiFi.SSID.1.SSID";
    let watch = |notification| SetParameterAttributes {
        parameters: vec![SetParameterAttributesStruct {
            name: path.into(),
            notification_change: true,
            notification,
            access_list_change: false,
            access_list: vec![],
        }],
    };
    acs.ask_now(&first, watch(2)).await.unwrap();
    // What the ACS sets is not told back.
    acs.ask_now(&first, set(vec![(path, Value::string("by the ACS"))]))
        .await
        .unwrap();
    acs.forget_visits();
    fleet.poke(0, path, "by hand");
    let told = acs.visit("the change", |visit| visit.complete).await;
    assert!(told.has(&EventCode::ValueChange) && !told.has(&EventCode::ConnectionRequest));
    assert_eq!(told.inform.ending("SSID.1.SSID"), Some("by hand"));

    // Passive: told with the next session, whatever that is for.
    acs.ask_now(&first, watch(1)).await.unwrap();
    fleet.poke(0, path, "passively");
    let told = loop {
        acs.ask_now(&first, GetRpcMethods {}).await.unwrap();
        let visit = acs.visits().pop().unwrap();
        if visit.has(&EventCode::ValueChange) {
            break visit;
        }
    };
    assert!(told.has(&EventCode::ConnectionRequest));
    assert_eq!(told.inform.ending("SSID.1.SSID"), Some("passively"));
    let software = SetParameterAttributes {
        parameters: vec![SetParameterAttributesStruct {
            name: "Device.DeviceInfo.SoftwareVersion".into(),
            notification_change: true,
            ..SetParameterAttributesStruct::default()
        }],
    };
    let refused = acs.ask_now(&first, software).await.unwrap_err();
    assert_eq!(refused.code, FaultCode::NOTIFICATION_REJECTED);
}

#[tokio::test]
async fn a_ping_is_told_when_it_is_over_and_has_counted_its_packets() {
    for kind in Kind::ALL {
        let acs = Acs::start(None).await;
        let (_fleet, first) = acs.one(kind).await;
        let object = of(
            kind,
            [
                "Device.IP.Diagnostics.IPPing.",
                "InternetGatewayDevice.IPPingDiagnostics.",
            ],
        );
        let at = |name: &str| format!("{object}{name}");
        let ask = set(vec![
            (&*at("DiagnosticsState"), Value::string("Requested")),
            (&*at("Host"), Value::string("example.net")),
            (&*at("NumberOfRepetitions"), Value::unsigned(2)),
        ]);
        acs.ask_now(&first, ask).await.unwrap();
        let over = |visit: &Visit| visit.has(&EventCode::DiagnosticsComplete) && visit.complete;
        acs.visit("the end of the ping", over).await;
        let read = values(&acs, &first, &[object]).await.unwrap();
        assert_eq!(read[&at("DiagnosticsState")], "Complete");
        let number = |name: &str| read[&at(name)].parse::<u32>().unwrap();
        assert_eq!(number("SuccessCount") + number("FailureCount"), 2);
        let claim = set(vec![(&*at("DiagnosticsState"), Value::string("Complete"))]);
        let fault = acs.ask_now(&first, claim).await.unwrap_err();
        assert_eq!(fault.parameters[0].code, FaultCode::INVALID_PARAMETER_VALUE);
    }
}

#[tokio::test]
async fn a_route_has_its_hops_as_rows() {
    for kind in Kind::ALL {
        let acs = Acs::start(None).await;
        let (_fleet, first) = acs.one(kind).await;
        let object = of(
            kind,
            [
                "Device.IP.Diagnostics.TraceRoute.",
                "InternetGatewayDevice.TraceRouteDiagnostics.",
            ],
        );
        let state = format!("{object}DiagnosticsState");
        acs.ask_now(&first, set(vec![(&*state, Value::string("Requested"))]))
            .await
            .unwrap();
        let over = |visit: &Visit| visit.has(&EventCode::DiagnosticsComplete) && visit.complete;
        acs.visit("the end of the route", over).await;
        let read = values(&acs, &first, &[object]).await.unwrap();
        let count: usize = read[&format!("{object}RouteHopsNumberOfEntries")]
            .parse()
            .unwrap();
        let host = of(kind, ["Host", "HopHost"]);
        let hops = read
            .keys()
            .filter(|path| path.contains("RouteHops.") && path.ends_with(&format!(".{host}")));
        assert_eq!(hops.count(), count);
        assert!(count >= 3);
    }
}
