//! Everything that can be said survives the wire: one sample of each kind, and random ones.

use proptest::collection::vec;
use proptest::prelude::*;
use usp::codec::{decode_msg, decode_record, encode_msg, encode_record};
use usp::msg::*;
use usp::record::*;
use usp::{Record, Version};

use crate::support::*;

fn failure() -> OperationFailure {
    OperationFailure {
        err_code: 7016,
        err_msg: "gone".into(),
    }
}

fn param_err() -> ParameterError {
    ParameterError {
        param: "X".into(),
        err_code: 7012,
        err_msg: "bad".into(),
    }
}

fn keys() -> Map {
    Map::from([("Alias", "cpe-1"), ("ID", "")])
}

/// One of each message.
pub fn sample_msgs() -> Vec<(&'static str, Msg)> {
    let settings = || vec![required("Enable", "true"), optional("Alias", "")];
    let object = || [("Device.A.1.".to_owned(), settings())];
    let event = Event {
        obj_path: "Device.".into(),
        event_name: "Boot!".into(),
        params: keys(),
    };
    let change = ValueChange {
        param_path: "Device.A".into(),
        param_value: "ü".into(),
    };
    let complete = |completion| OperationComplete {
        obj_path: "Device.".into(),
        command_name: "Reboot()".into(),
        command_key: "k".into(),
        completion,
    };
    let output = || OutputArgs {
        output_args: keys(),
    };
    let cmd_failure = || CommandFailure {
        err_code: 7022,
        err_msg: "no".into(),
    };
    let board = OnBoardRequest {
        oui: "00256D".into(),
        product_class: "G".into(),
        serial_number: "1".into(),
        ..Default::default()
    };
    let ask = |request: Request| Msg::request("5f3a-1", request);
    let answer = |response: Response| Msg::response("5f3a-1", response);
    let tell = |notification: Notification| Msg::request("5f3a-1", notify("sub", notification));
    let error = Error {
        err_code: 7021,
        err_msg: "no".into(),
        param_errs: vec![ParamError {
            param_path: "Device.A".into(),
            err_code: 7012,
            err_msg: "bad".into(),
        }],
    };
    let created = |oper_status| CreatedObjectResult {
        requested_path: "Device.A.".into(),
        oper_status,
    };
    let updated = |oper_status| UpdatedObjectResult {
        requested_path: "Device.A.".into(),
        oper_status,
    };
    let deleted = |oper_status| DeletedObjectResult {
        requested_path: "Device.A.".into(),
        oper_status,
    };
    let ran = |operation_resp| OperationResult {
        executed_command: "Device.Reboot()".into(),
        operation_resp,
    };
    let registered = |oper_status| RegisteredPathResult {
        requested_path: "Device.A.".into(),
        oper_status,
    };
    let deregistered = |oper_status| DeregisteredPathResult {
        requested_path: "Device.A.".into(),
        oper_status,
    };
    vec![
        ("get", ask(get_depth(["Device.", "Device.A.*."], 2).into())),
        (
            "get-resp",
            answer(
                GetResp {
                    req_path_results: vec![
                        RequestedPathResult {
                            requested_path: "Device.A.".into(),
                            resolved_path_results: vec![ResolvedPathResult {
                                resolved_path: "Device.A.1.".into(),
                                result_params: keys(),
                            }],
                            ..Default::default()
                        },
                        RequestedPathResult {
                            requested_path: "Device.B.".into(),
                            err_code: 7026,
                            err_msg: "no".into(),
                            ..Default::default()
                        },
                    ],
                }
                .into(),
            ),
        ),
        ("gsdm", ask(get_supported_dm(["Device."], true).into())),
        (
            "gsdm-resp",
            answer(
                GetSupportedDMResp {
                    req_obj_results: vec![RequestedObjectResult {
                        req_obj_path: "Device.".into(),
                        data_model_inst_uri: "urn:x".into(),
                        supported_objs: vec![SupportedObjectResult {
                            supported_obj_path: "Device.A.{i}.".into(),
                            access: ObjAccess::ADD_DELETE,
                            is_multi_instance: true,
                            supported_commands: vec![SupportedCommandResult {
                                command_name: "C()".into(),
                                input_arg_names: vec!["I".into()],
                                output_arg_names: vec!["O".into()],
                                command_type: CmdType::ASYNC,
                            }],
                            supported_events: vec![SupportedEventResult {
                                event_name: "E!".into(),
                                arg_names: vec!["A".into()],
                            }],
                            supported_params: vec![SupportedParamResult {
                                param_name: "P".into(),
                                access: ParamAccess::READ_WRITE,
                                value_type: ParamValueType::DECIMAL,
                                value_change: ValueChangeType::ALLOWED,
                            }],
                            divergent_paths: vec!["Device.A.3.".into()],
                            unique_key_sets: vec![SupportedUniqueKeySet {
                                key_names: vec!["Alias".into()],
                            }],
                        }],
                        ..Default::default()
                    }],
                }
                .into(),
            ),
        ),
        (
            "get-instances",
            ask(get_instances(["Device.A."], true).into()),
        ),
        (
            "get-instances-resp",
            answer(
                GetInstancesResp {
                    req_path_results: vec![InstancesPathResult {
                        requested_path: "Device.A.".into(),
                        curr_insts: vec![CurrInstance {
                            instantiated_obj_path: "Device.A.1.".into(),
                            unique_keys: keys(),
                        }],
                        ..Default::default()
                    }],
                }
                .into(),
            ),
        ),
        ("set", ask(set(true, object()).into())),
        (
            "set-resp",
            answer(
                SetResp {
                    updated_obj_results: vec![
                        updated(UpdateStatus::OperSuccess(UpdateSuccess {
                            updated_inst_results: vec![UpdatedInstanceResult {
                                affected_path: "Device.A.1.".into(),
                                param_errs: vec![param_err()],
                                updated_params: keys(),
                            }],
                        })),
                        updated(UpdateStatus::OperSuccess(UpdateSuccess::default())),
                        updated(UpdateStatus::OperFailure(UpdateFailure {
                            err_code: 7020,
                            err_msg: "no".into(),
                            updated_inst_failures: vec![UpdatedInstanceFailure {
                                affected_path: "Device.A.2.".into(),
                                param_errs: vec![param_err()],
                            }],
                        })),
                    ],
                }
                .into(),
            ),
        ),
        ("add", ask(add(false, object()).into())),
        (
            "add-resp",
            answer(
                AddResp {
                    created_obj_results: vec![
                        created(CreateStatus::OperSuccess(CreateSuccess {
                            instantiated_path: "Device.A.3.".into(),
                            param_errs: vec![param_err()],
                            unique_keys: keys(),
                        })),
                        created(CreateStatus::OperFailure(failure())),
                    ],
                }
                .into(),
            ),
        ),
        ("delete", ask(delete(true, ["Device.A.1."]).into())),
        (
            "delete-resp",
            answer(
                DeleteResp {
                    deleted_obj_results: vec![
                        deleted(DeleteStatus::OperSuccess(DeleteSuccess {
                            affected_paths: vec!["Device.A.1.".into()],
                            unaffected_path_errs: vec![UnaffectedPathError {
                                unaffected_path: "Device.A.2.".into(),
                                err_code: 7024,
                                err_msg: "no".into(),
                            }],
                        })),
                        deleted(DeleteStatus::OperFailure(failure())),
                    ],
                }
                .into(),
            ),
        ),
        (
            "operate",
            ask(operate("Device.Reboot()", "k", keys()).into()),
        ),
        (
            "operate-resp",
            answer(
                OperateResp {
                    operation_results: vec![
                        ran(None),
                        ran(Some(OperationResp::ReqObjPath(
                            "Device.LocalAgent.Request.1.".into(),
                        ))),
                        ran(Some(OperationResp::ReqOutputArgs(output()))),
                        ran(Some(OperationResp::CmdFailure(cmd_failure()))),
                    ],
                }
                .into(),
            ),
        ),
        ("event", tell(event.into())),
        ("value-change", tell(change.into())),
        (
            "object-creation",
            tell(
                ObjectCreation {
                    obj_path: "Device.A.1.".into(),
                    unique_keys: keys(),
                }
                .into(),
            ),
        ),
        (
            "object-deletion",
            tell(
                ObjectDeletion {
                    obj_path: "Device.A.1.".into(),
                }
                .into(),
            ),
        ),
        (
            "operation-complete",
            tell(complete(Some(Completion::ReqOutputArgs(output()))).into()),
        ),
        (
            "operation-failed",
            tell(complete(Some(Completion::CmdFailure(cmd_failure()))).into()),
        ),
        ("operation-bare", tell(complete(None).into())),
        ("on-board-request", tell(board.into())),
        (
            "notify-resp",
            answer(
                NotifyResp {
                    subscription_id: "sub".into(),
                }
                .into(),
            ),
        ),
        (
            "get-supported-protocol",
            ask(get_supported_protocol(&usp::Versions::default()).into()),
        ),
        (
            "get-supported-protocol-resp",
            answer(
                GetSupportedProtocolResp {
                    agent_supported_protocol_versions: "1.0".into(),
                }
                .into(),
            ),
        ),
        (
            "register",
            ask(Register {
                allow_partial: true,
                reg_paths: vec![RegistrationPath {
                    path: "Device.A.".into(),
                }],
            }
            .into()),
        ),
        (
            "register-resp",
            answer(
                RegisterResp {
                    registered_path_results: vec![
                        registered(RegisterStatus::OperSuccess(RegisterSuccess {
                            registered_path: "Device.A.".into(),
                        })),
                        registered(RegisterStatus::OperFailure(failure())),
                    ],
                }
                .into(),
            ),
        ),
        (
            "deregister",
            ask(Deregister {
                paths: vec![String::new()],
            }
            .into()),
        ),
        (
            "deregister-resp",
            answer(
                DeregisterResp {
                    deregistered_path_results: vec![
                        deregistered(DeregisterStatus::OperSuccess(DeregisterSuccess {
                            deregistered_path: vec!["Device.A.".into()],
                        })),
                        deregistered(DeregisterStatus::OperFailure(failure())),
                    ],
                }
                .into(),
            ),
        ),
        ("error", Msg::error("5f3a-1", error)),
    ]
}

/// One of each record.
pub fn sample_records() -> Vec<(&'static str, Record)> {
    let session = SessionContextRecord {
        session_id: u64::MAX,
        sequence_id: 1,
        expected_id: 2,
        retransmit_id: 3,
        payload_sar_state: SarState::BEGIN,
        payloadrec_sar_state: SarState::NONE,
        payload: vec![vec![1, 2], Vec::new()],
    };
    let mut forwarded = from_cpe(NoSessionContextRecord::new(b"soup".to_vec()));
    forwarded.originator_id = "self::first".into();
    forwarded.destination_id = "self::last".into();
    forwarded.mac_signature = vec![1];
    forwarded.sender_cert = b"PEM".to_vec();
    forwarded.payload_security = PayloadSecurity(-7);
    vec![
        ("no-session-context", forwarded),
        ("session-context", from_acs(session)),
        ("websocket-connect", from_cpe(connect())),
        (
            "mqtt-connect",
            from_cpe(MqttConnectRecord {
                version: MqttVersion::V5,
                subscribed_topic: "a/b".into(),
            }),
        ),
        (
            "stomp-connect",
            from_cpe(StompConnectRecord {
                version: StompVersion::V1_2,
                subscribed_destination: "/a".into(),
            }),
        ),
        ("uds-connect", from_cpe(UdsConnectRecord {})),
        (
            "disconnect",
            from_acs(DisconnectRecord {
                reason: "bye".into(),
                reason_code: 7105,
            }),
        ),
    ]
}

#[test]
fn one_of_each_message_survives_the_wire() {
    for (name, msg) in sample_msgs() {
        assert_eq!(decode_msg(&encode_msg(&msg)).unwrap(), msg, "{name}");
        assert!(
            usp::transcript::msg(&msg).lines().count() >= 2,
            "{name} has a transcript"
        );
    }
}

#[test]
fn one_of_each_record_survives_the_wire() {
    for (name, record) in sample_records() {
        assert_eq!(
            decode_record(&encode_record(&record)).unwrap(),
            record,
            "{name}"
        );
        assert!(
            !usp::transcript::record(&record).is_empty(),
            "{name} has a transcript"
        );
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z.0-9*\\[\\]=\"]{0,40}", "\\PC{0,12}", "x{120,140}"]
}

fn map() -> impl Strategy<Value = Map> {
    vec((text(), text()), 0..5).prop_map(|entries| entries.into_iter().collect())
}

prop_compose! {
    fn result()(
        requested_path in text(), err_code: u32, err_msg in text(),
        resolved in vec((text(), map()), 0..4),
    ) -> RequestedPathResult {
        let resolved_path_results = resolved
            .into_iter()
            .map(|(resolved_path, result_params)| ResolvedPathResult { resolved_path, result_params })
            .collect();
        RequestedPathResult { requested_path, err_code, err_msg, resolved_path_results }
    }
}

fn any_msg() -> impl Strategy<Value = Msg> {
    let settings = || {
        vec(
            (text(), text(), any::<bool>()).prop_map(|(param, value, required)| ParamSetting {
                param,
                value,
                required,
            }),
            0..4,
        )
    };
    let objects = move || vec((text(), settings()), 0..3);
    let body = prop_oneof![
        (vec(text(), 0..5), any::<u32>())
            .prop_map(|(paths, depth)| Body::Request(get_depth(paths, depth).into())),
        vec(result(), 0..4)
            .prop_map(|req_path_results| Body::Response(GetResp { req_path_results }.into())),
        (any::<bool>(), objects())
            .prop_map(|(partial, objects)| Body::Request(set(partial, objects).into())),
        (any::<bool>(), objects())
            .prop_map(|(partial, objects)| Body::Request(add(partial, objects).into())),
        (text(), text(), map())
            .prop_map(|(command, key, args)| Body::Request(operate(command, key, args).into())),
        (text(), map()).prop_map(|(sub, params)| Body::Request(
            notify(
                sub,
                Event {
                    params,
                    ..Default::default()
                }
            )
            .into()
        )),
        (any::<u32>(), text()).prop_map(|(err_code, err_msg)| Body::Error(Error {
            err_code,
            err_msg,
            param_errs: Vec::new()
        })),
    ];
    (text(), any::<i32>(), body).prop_map(|(msg_id, msg_type, body)| Msg {
        header: Header {
            msg_id,
            msg_type: MsgType(msg_type),
        },
        body,
    })
}

proptest! {
    #[test]
    fn any_message_survives_the_wire(msg in any_msg()) {
        prop_assert_eq!(decode_msg(&encode_msg(&msg)).unwrap(), msg);
    }

    #[test]
    fn any_session_record_survives_the_wire(
        ids: [u64; 4], states: [i32; 2], payload in vec(vec(any::<u8>(), 0..300), 0..4), minor: u8,
    ) {
        let session = SessionContextRecord {
            session_id: ids[0], sequence_id: ids[1], expected_id: ids[2], retransmit_id: ids[3],
            payload_sar_state: SarState(states[0]), payloadrec_sar_state: SarState(states[1]), payload,
        };
        let record = Record::new(Version { major: 1, minor }, &cpe(), &acs(), session);
        prop_assert_eq!(decode_record(&encode_record(&record)).unwrap(), record);
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200)) {
        _ = decode_record(&bytes);
        _ = decode_msg(&bytes);
        _ = usp::codec::peek_msg(&bytes);
    }
}
