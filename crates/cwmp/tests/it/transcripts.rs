//! Conversations as people read them, in `tests/transcripts/`. `UPDATE_TRANSCRIPTS=1 cargo test
//! -p cwmp` writes them anew; look at the difference before you commit it.

use std::path::Path;

use cwmp::acs;
use cwmp::cpe;
use cwmp::event::{Cause, EventCode};
use cwmp::fault::{Fault, FaultCode};
use cwmp::rpc::*;
use cwmp::soap::{self, Booleans, Envelope};
use cwmp::value::{Timestamp, Value};
use cwmp::version::Version;

use crate::pair::{Link, Pair};
use crate::support::device_id;

fn check(name: &str, log: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transcripts")
        .join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(&path, log).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(log, expected, "{name} is not as expected");
}

const SSID: &str = "Device.WiFi.SSID.1.SSID";
const PASSPHRASE: &str = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";

/// A device with one Wi-Fi network.
fn device(request: &Request) -> Result<Response, Fault> {
    let wrong = || Fault::plain(FaultCode::INVALID_ARGUMENTS);
    Ok(match request {
        Request::GetParameterNames(_) => GetParameterNamesResponse {
            parameters: [("Device.DeviceInfo.", false), ("Device.WiFi.", false)]
                .map(|(name, writable)| ParameterInfoStruct {
                    name: name.into(),
                    writable,
                })
                .to_vec(),
        }
        .into(),
        Request::GetParameterValues(get) => {
            let parameters = get.names.iter().map(|name| match name.as_str() {
                SSID => Ok(ParameterValue::new(SSID, Value::string("Home & garden"))),
                PASSPHRASE => Ok(ParameterValue::new(PASSPHRASE, Value::string(""))),
                _ => Err(Fault::plain(FaultCode::INVALID_PARAMETER_NAME)),
            });
            GetParameterValuesResponse {
                parameters: parameters.collect::<Result<_, _>>()?,
            }
            .into()
        }
        Request::SetParameterValues(set)
            if set.parameters.iter().any(|p| p.name.ends_with("Channel")) =>
        {
            return Err(wrong()
                .at(
                    "Device.WiFi.Radio.1.Channel",
                    FaultCode::INVALID_PARAMETER_VALUE,
                    "no such channel here",
                )
                .at(
                    "Device.WiFi.Radio.1.Status",
                    FaultCode::NOT_WRITABLE,
                    "read only",
                ));
        }
        Request::SetParameterValues(_) => SetParameterValuesResponse { status: 0 }.into(),
        Request::GetParameterAttributes(get) => GetParameterAttributesResponse {
            parameters: vec![ParameterAttributeStruct {
                name: get.names[0].clone(),
                notification: 2,
                access_list: vec!["Subscriber".into()],
            }],
        }
        .into(),
        Request::AddObject(_) => AddObjectResponse {
            instance_number: InstanceNumber(3),
            status: 0,
        }
        .into(),
        Request::DeleteObject(_) => DeleteObjectResponse { status: 0 }.into(),
        Request::Reboot(_) => RebootResponse {}.into(),
        Request::Download(_) => DownloadResponse {
            status: 1,
            ..DownloadResponse::default()
        }
        .into(),
        _ => return Err(Fault::plain(FaultCode::METHOD_NOT_SUPPORTED)),
    })
}

fn value(name: &str, value: &str) -> ParameterValue {
    ParameterValue::new(name, Value::string(value))
}

#[test]
fn first_contact() {
    let mut pair = Pair::new(device);
    pair.wanted = vec![
        GetRpcMethods {}.into(),
        GetParameterNames {
            path: "Device.".into(),
            next_level: true,
        }
        .into(),
        GetParameterValues {
            names: vec![SSID.into(), PASSPHRASE.into()],
        }
        .into(),
        SetParameterValues {
            parameters: vec![value(SSID, "New"), value(PASSPHRASE, "correct horse")],
            parameter_key: "profile-7".into(),
        }
        .into(),
        GetParameterAttributes {
            names: vec![SSID.into()],
        }
        .into(),
        AddObject {
            object_name: "Device.NAT.PortMapping.".into(),
            parameter_key: String::new(),
        }
        .into(),
        DeleteObject {
            object_name: "Device.NAT.PortMapping.3.".into(),
            parameter_key: String::new(),
        }
        .into(),
    ];
    pair.cpe.boot(pair.now(), true).unwrap();
    pair.run(100);
    check("first-contact", &pair.log);
}

#[test]
fn refusals() {
    let mut pair = Pair::new(device);
    pair.wanted = vec![
        SetParameterValues {
            parameters: vec![
                value("Device.WiFi.Radio.1.Channel", "99"),
                value("Device.WiFi.Radio.1.Status", "Up"),
            ],
            parameter_key: String::new(),
        }
        .into(),
        GetParameterValues {
            names: vec!["Device.Nothing".into()],
        }
        .into(),
        GetOptions::default().into(),
    ];
    pair.cpe
        .raise(pair.now(), EventStruct::new(EventCode::ConnectionRequest))
        .unwrap();
    pair.run(100);
    check("refusals", &pair.log);
}

#[test]
fn firmware() {
    let mut pair = Pair::new(device);
    pair.wanted = vec![
        Download {
            command_key: "op-17".into(),
            file_type: "1 Firmware Upgrade Image".into(),
            url: "https://files.example.net/fw/2.0?token=secret".into(),
            username: "cpe".into(),
            password: "hunter2".into(),
            file_size: 8_000_000,
            ..Download::default()
        }
        .into(),
    ];
    pair.cpe
        .raise(pair.now(), EventStruct::new(EventCode::ConnectionRequest))
        .unwrap();
    pair.run(100);
    // It loads, restarts and tells; the first time the ACS cannot be reached.
    pair.seconds = 300;
    pair.fault = Some((pair.exchanges, Link::LosePost));
    pair.cpe.boot(pair.now(), false).unwrap();
    let report = TransferComplete {
        command_key: "op-17".into(),
        fault: Some(FaultStruct::new(FaultCode::default(), "")),
        start_time: Some(Timestamp::from_unix(1_767_225_610)),
        complete_time: Some(Timestamp::from_unix(1_767_225_700)),
    };
    pair.cpe
        .transfer_complete(pair.now(), report, Cause::Download)
        .unwrap();
    pair.run(400);
    check("firmware", &pair.log);
}

#[test]
fn held_requests() {
    let config = acs::Config {
        hold_requests: true,
        ..acs::Config::default()
    };
    let mut old = cpe::Config::new(device_id());
    old.versions = vec![Version::V1_0];
    let mut pair = Pair::with(config, old, device);
    pair.wanted = vec![
        Reboot {
            command_key: "op-3".into(),
        }
        .into(),
    ];
    pair.cpe.boot(pair.now(), false).unwrap();
    pair.cpe.report(pair.now(), GetRpcMethods {}).unwrap();
    pair.run(100);
    // The proof of the reboot.
    pair.seconds = 60;
    let proof = EventStruct::with_key(EventCode::Method(Cause::Reboot), "op-3");
    pair.cpe.note(proof).unwrap();
    pair.cpe.boot(pair.now(), false).unwrap();
    pair.run(100);
    check("held-requests", &pair.log);
}

/// 18.1, 18.10: no declaration, five prefixes, compact, the id first, arguments without prefix.
#[test]
fn what_is_written_has_the_one_form_that_every_client_reads() {
    let head = "<soap-env:Envelope xmlns:soap-env=\"http://schemas.xmlsoap.org/soap/envelope/\" \
                xmlns:soap-enc=\"http://schemas.xmlsoap.org/soap/encoding/\" \
                xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
                xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\"><soap-env:Header>\
                <cwmp:ID soap-env:mustUnderstand=\"1\">7</cwmp:ID>";
    let write = |mut envelope: Envelope| {
        envelope.header.hold_requests = Some(true);
        let text = soap::encode(&envelope, Booleans::Digits);
        let rest = text.strip_prefix(head).unwrap();
        let hold = "<cwmp:HoldRequests soap-env:mustUnderstand=\"1\">1</cwmp:HoldRequests></soap-env:Header><soap-env:Body>";
        let body = rest.strip_prefix(hold).unwrap();
        body.strip_suffix("</soap-env:Body></soap-env:Envelope>")
            .unwrap()
            .to_owned()
    };
    let old = Version::V1_0.namespace();
    let set = SetParameterValues {
        parameters: vec![
            ParameterValue::new("Device.A", Value::unsigned(5)),
            value("Device.B", "<&>"),
        ],
        parameter_key: "k".into(),
    };
    assert_eq!(
        write(Envelope::new(old, "7", set)),
        "<cwmp:SetParameterValues><ParameterList soap-enc:arrayType=\"cwmp:ParameterValueStruct[2]\">\
         <ParameterValueStruct><Name>Device.A</Name><Value xsi:type=\"xsd:unsignedInt\">5</Value></ParameterValueStruct>\
         <ParameterValueStruct><Name>Device.B</Name><Value xsi:type=\"xsd:string\">&lt;&amp;&gt;</Value></ParameterValueStruct>\
         </ParameterList><ParameterKey>k</ParameterKey></cwmp:SetParameterValues>"
    );
    let names = GetParameterValues {
        names: vec!["Device.".into()],
    };
    assert_eq!(
        write(Envelope::new(old, "7", names)),
        "<cwmp:GetParameterValues><ParameterNames soap-enc:arrayType=\"xsd:string[1]\"><string>Device.</string>\
         </ParameterNames></cwmp:GetParameterValues>"
    );
    let fault = Fault::new(FaultCode::INVALID_ARGUMENTS, "no").at(
        "Device.A",
        FaultCode::NOT_WRITABLE,
        "ro",
    );
    assert_eq!(
        write(Envelope::new(old, "7", fault)),
        "<soap-env:Fault><faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault>\
         <FaultCode>9003</FaultCode><FaultString>no</FaultString><SetParameterValuesFault>\
         <ParameterName>Device.A</ParameterName><FaultCode>9008</FaultCode><FaultString>ro</FaultString>\
         </SetParameterValuesFault></cwmp:Fault></detail></soap-env:Fault>"
    );
    let change = ChangeDuState {
        operations: vec![DuOperation::Install(InstallOpStruct {
            url: "http://h/p".into(),
            ..InstallOpStruct::default()
        })],
        command_key: "k".into(),
    };
    assert_eq!(
        write(Envelope::new(old, "7", change)),
        "<cwmp:ChangeDUState><Operations soap-enc:arrayType=\"cwmp:OperationStruct[1]\">\
         <InstallOpStruct xsi:type=\"cwmp:InstallOpStruct\"><URL>http://h/p</URL></InstallOpStruct></Operations>\
         <CommandKey>k</CommandKey></cwmp:ChangeDUState>"
    );
}
