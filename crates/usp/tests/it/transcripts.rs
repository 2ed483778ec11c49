//! Conversations as people read them, in `tests/transcripts/`. `UPDATE_TRANSCRIPTS=1 cargo test
//! -p usp` writes them anew; look at the difference before you commit it.

use std::path::Path;

use usp::msg::{self, Map, Request, Response};
use usp::record::{NoSessionContextRecord, SessionContextRecord};
use usp::{ErrorCode, Record, RetryPolicy, UspError, Version, Versions};

use crate::pair::Pair;
use crate::support::*;

pub fn check(name: &str, log: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transcripts")
        .join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(&path, log).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(log, expected, "{name} is not as expected");
}

/// A device with an uptime, one Wi-Fi network and a ping.
fn device(request: &Request) -> Result<Response, UspError> {
    Ok(match request {
        Request::Get(get) => {
            let results = get.param_paths.iter().map(|path| match path.as_str() {
                "Device.DeviceInfo.UpTime" => msg::RequestedPathResult {
                    requested_path: path.clone(),
                    resolved_path_results: vec![msg::ResolvedPathResult {
                        resolved_path: "Device.DeviceInfo.".into(),
                        result_params: Map::from([("UpTime", "42")]),
                    }],
                    ..Default::default()
                },
                "Device.WiFi.SSID.*." => msg::RequestedPathResult {
                    requested_path: path.clone(),
                    ..Default::default()
                },
                _ => msg::RequestedPathResult {
                    requested_path: path.clone(),
                    err_code: ErrorCode::INVALID_PATH.0,
                    err_msg: "not in the supported model".into(),
                    ..Default::default()
                },
            });
            msg::GetResp {
                req_path_results: results.collect(),
            }
            .into()
        }
        Request::Set(set) => {
            let results = set.update_objs.iter().map(|object| {
                let (good, bad): (Vec<_>, Vec<_>) = object
                    .param_settings
                    .iter()
                    .partition(|s| s.param != "Channel");
                let instance = msg::UpdatedInstanceResult {
                    affected_path: object.obj_path.clone(),
                    updated_params: good.iter().map(|s| (&*s.param, &*s.value)).collect(),
                    param_errs: bad
                        .iter()
                        .map(|s| msg::ParameterError {
                            param: s.param.clone(),
                            err_code: ErrorCode::INVALID_VALUE.0,
                            err_msg: "no such channel".into(),
                        })
                        .collect(),
                };
                let success = msg::UpdateSuccess {
                    updated_inst_results: vec![instance],
                };
                msg::UpdatedObjectResult {
                    requested_path: object.obj_path.clone(),
                    oper_status: msg::UpdateStatus::OperSuccess(success),
                }
            });
            msg::SetResp {
                updated_obj_results: results.collect(),
            }
            .into()
        }
        Request::Add(add) => {
            let results = add
                .create_objs
                .iter()
                .map(|object| msg::CreatedObjectResult {
                    requested_path: object.obj_path.clone(),
                    oper_status: msg::CreateStatus::OperSuccess(msg::CreateSuccess {
                        instantiated_path: format!("{}3.", object.obj_path),
                        unique_keys: Map::from([("Alias", "cpe-3")]),
                        ..Default::default()
                    }),
                });
            msg::AddResp {
                created_obj_results: results.collect(),
            }
            .into()
        }
        Request::Operate(operate) => msg::OperateResp {
            operation_results: vec![msg::OperationResult {
                executed_command: operate.command.clone(),
                operation_resp: Some(msg::OperationResp::ReqObjPath(
                    "Device.LocalAgent.Request.1.".into(),
                )),
            }],
        }
        .into(),
        Request::GetSupportedDm(get) => msg::GetSupportedDMResp {
            req_obj_results: vec![msg::RequestedObjectResult {
                req_obj_path: get.obj_paths[0].clone(),
                supported_objs: vec![msg::SupportedObjectResult {
                    supported_obj_path: "Device.DeviceInfo.".into(),
                    supported_params: vec![msg::SupportedParamResult {
                        param_name: "UpTime".into(),
                        value_type: msg::ParamValueType::UNSIGNED_INT,
                        value_change: msg::ValueChangeType::WILL_IGNORE,
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            }],
        }
        .into(),
        Request::GetInstances(get) => msg::GetInstancesResp {
            req_path_results: vec![msg::InstancesPathResult {
                requested_path: get.obj_paths[0].clone(),
                curr_insts: vec![msg::CurrInstance {
                    instantiated_obj_path: "Device.WiFi.SSID.1.".into(),
                    unique_keys: Map::from([("Alias", "home")]),
                }],
                ..Default::default()
            }],
        }
        .into(),
        Request::Delete(_) => {
            return Err(
                UspError::new(ErrorCode::DELETE_FAILURE, "rows are left").at(
                    "Device.WiFi.SSID.1.",
                    ErrorCode::PERMISSION_DENIED,
                    "not yours",
                ),
            );
        }
        _ => return Err(UspError::new(ErrorCode::MESSAGE_NOT_SUPPORTED, "no")),
    })
}

fn ask(pair: &mut Pair, request: impl Into<Request>) {
    pair.controller
        .request(pair.now, request, seconds(30))
        .unwrap();
    pair.settle();
}

/// The message ids of a controller are random; those of a transcript are not.
fn opened(seed: u64) -> Pair {
    let mut pair = Pair::new(seed, device);
    pair.open();
    pair.settle();
    pair
}

/// R-NOT.5, R-MTP.6, inventory "Onboarding"
#[test]
fn an_agent_comes_on_board() {
    let mut pair = opened(1);
    let request = msg::OnBoardRequest {
        oui: "00256D".into(),
        product_class: "Gateway".into(),
        serial_number: "1".into(),
        ..Default::default()
    };
    pair.agent.on_board(pair.now, request).unwrap();
    pair.settle();
    ask(&mut pair, msg::get_supported_protocol(&Versions::default()));
    ask(&mut pair, msg::get_supported_dm(["Device."], false));
    let subscription = vec![msg::required("ID", "boot"), msg::required("Enable", "true")];
    ask(
        &mut pair,
        msg::add(
            false,
            [("Device.LocalAgent.Subscription.".to_owned(), subscription)],
        ),
    );
    ask(
        &mut pair,
        msg::set_values([("Device.LocalAgent.Controller.1.OnBoardingComplete", "true")]),
    );
    check("onboarding", &pair.log);
}

/// "A Response is not a success."
#[test]
fn a_response_holds_failures() {
    let mut pair = opened(2);
    ask(
        &mut pair,
        msg::get([
            "Device.DeviceInfo.UpTime",
            "Device.WiFi.SSID.*.",
            "Device.Soup.",
        ]),
    );
    let settings = vec![
        msg::optional("Enable", "true"),
        msg::optional("Channel", "999"),
    ];
    ask(
        &mut pair,
        msg::set(true, [("Device.WiFi.Radio.1.".to_owned(), settings)]),
    );
    ask(&mut pair, msg::delete(false, ["Device.WiFi.SSID.*."]));
    ask(&mut pair, msg::get_instances(["Device.WiFi.SSID."], true));
    check("failures", &pair.log);
}

/// R-NOT.2: after 5 to 10 and 10 to 20 seconds. An asynchronous result is found by command and key.
#[test]
fn an_asynchronous_command_completes_over_a_broken_link() {
    let mut pair = opened(3);
    let args = [("Host", "192.0.2.1")];
    ask(
        &mut pair,
        msg::operate("Device.IP.Diagnostics.IPPing()", "job-1", args),
    );
    pair.loss = 100;
    let complete = msg::OperationComplete {
        obj_path: "Device.IP.Diagnostics.".into(),
        command_name: "IPPing()".into(),
        command_key: "job-1".into(),
        completion: Some(msg::Completion::ReqOutputArgs(msg::OutputArgs {
            output_args: Map::from([("SuccessCount", "3")]),
        })),
    };
    pair.agent
        .notify(
            pair.now,
            msg::notify("done", complete),
            Some(RetryPolicy::default()),
        )
        .unwrap();
    pair.settle();
    pair.advance(seconds(11));
    pair.loss = 0;
    pair.advance(seconds(40));
    check("operate", &pair.log);
}

/// R-E2E.6a, R-ENC.5, R-MSG.1, R-MTP.9
#[test]
fn what_is_refused_is_refused_in_words() {
    let mut pair = opened(4);
    let mut hear = |record: Record| {
        pair.agent.handle_input(pair.now, &bytes(&record)).unwrap();
        pair.settle();
    };
    hear(from_acs(SessionContextRecord {
        session_id: 7,
        sequence_id: 1,
        expected_id: 1,
        ..Default::default()
    }));
    hear(from_acs(NoSessionContextRecord::new(
        b"\x0a\x03\x0a\x01x\x12\x06\x0a\x04\x0a\x00\x0a\x00".to_vec(),
    )));
    hear(from_acs(NoSessionContextRecord::new(
        b"\x0a\x03\x0a\x01y\x12\x05\x0a\x03\xf2\x01\x00".to_vec(),
    )));
    hear(from_acs(carry(&msg::Msg::request(
        "z",
        msg::Register::default(),
    ))));
    hear(Record::new(
        Version { major: 2, minor: 0 },
        &acs(),
        &cpe(),
        carry(&msg::Msg::request("v", msg::get([""]))),
    ));
    pair.agent
        .disconnect(ErrorCode::MESSAGE_FAILED, "restarting");
    pair.settle();
    check("refusals", &pair.log);
}
