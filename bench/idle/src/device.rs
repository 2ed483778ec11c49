//! The least that a device can say.

use usp::msg::*;

const PARAMETERS: [(&str, &str); 6] = [
    ("Manufacturer", "Bench"),
    ("ManufacturerOUI", "00256D"),
    ("ProductClass", "Idle"),
    ("ModelName", "Idle"),
    ("SoftwareVersion", "1"),
    ("HardwareVersion", "1"),
];
const OBJECT: &str = "Device.DeviceInfo.";

/// What it answers.
pub fn reply(request: Request, number: usize) -> Result<Response, usp::UspError> {
    Ok(match request {
        Request::Get(get) => {
            let results = get.param_paths.into_iter().map(|path| value(path, number));
            GetResp {
                req_path_results: results.collect(),
            }
            .into()
        }
        Request::GetSupportedDm(get) => {
            let params = PARAMETERS
                .iter()
                .map(|(name, _)| *name)
                .chain(["SerialNumber"]);
            let params = params.map(|name| SupportedParamResult {
                param_name: name.to_owned(),
                value_type: ParamValueType::STRING,
                ..Default::default()
            });
            let object = SupportedObjectResult {
                supported_obj_path: OBJECT.to_owned(),
                supported_params: params.collect(),
                ..Default::default()
            };
            let results = get.obj_paths.into_iter().map(|path| RequestedObjectResult {
                req_obj_path: path,
                supported_objs: vec![object.clone()],
                ..Default::default()
            });
            GetSupportedDMResp {
                req_obj_results: results.collect(),
            }
            .into()
        }
        Request::Set(set) => {
            let results = set
                .update_objs
                .into_iter()
                .map(|object| UpdatedObjectResult {
                    oper_status: UpdateStatus::OperSuccess(UpdateSuccess {
                        updated_inst_results: vec![UpdatedInstanceResult {
                            affected_path: object.obj_path.clone(),
                            ..Default::default()
                        }],
                    }),
                    requested_path: object.obj_path,
                });
            SetResp {
                updated_obj_results: results.collect(),
            }
            .into()
        }
        Request::Add(add) => {
            let results = add
                .create_objs
                .into_iter()
                .map(|object| CreatedObjectResult {
                    oper_status: CreateStatus::OperSuccess(CreateSuccess {
                        instantiated_path: format!("{}1.", object.obj_path),
                        ..Default::default()
                    }),
                    requested_path: object.obj_path,
                });
            AddResp {
                created_obj_results: results.collect(),
            }
            .into()
        }
        Request::GetInstances(get) => {
            let results = get.obj_paths.into_iter().map(|path| InstancesPathResult {
                requested_path: path,
                ..Default::default()
            });
            GetInstancesResp {
                req_path_results: results.collect(),
            }
            .into()
        }
        _ => {
            return Err(usp::UspError::new(
                usp::ErrorCode(7004),
                "not in this bench",
            ));
        }
    })
}

fn value(path: String, number: usize) -> RequestedPathResult {
    let known = |name: &str| {
        let found = PARAMETERS.iter().find(|(known, _)| *known == name);
        let serial = (name == "SerialNumber").then(|| format!("IDLE{number}"));
        found.map(|(_, value)| (*value).to_owned()).or(serial)
    };
    let mut result_params = usp::Map::default();
    if OBJECT.starts_with(&path) || path == OBJECT {
        for name in PARAMETERS
            .iter()
            .map(|(name, _)| *name)
            .chain(["SerialNumber"])
        {
            result_params.insert(name, known(name).unwrap_or_default());
        }
    } else if let Some(name) = path.strip_prefix(OBJECT)
        && let Some(value) = known(name)
    {
        result_params.insert(name, value);
    }
    let resolved = ResolvedPathResult {
        resolved_path: OBJECT.to_owned(),
        result_params,
    };
    let there = !resolved.result_params.is_empty();
    RequestedPathResult {
        requested_path: path,
        resolved_path_results: if there { vec![resolved] } else { Vec::new() },
        ..Default::default()
    }
}
