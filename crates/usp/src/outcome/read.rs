//! What the answers to Get, GetInstances and GetSupportedDM mean.
//! Deliberately does not tell a missing parameter from an unsupported one: agents leave out what
//! the controller may not read, so only the supported model tells (R-GET.4).

use super::{Failure, join};
use crate::msg::{
    CmdType, GetInstancesResp, GetResp, GetSupportedDMResp, Map, ParamValueType,
    SupportedCommandResult, SupportedObjectResult, SupportedParamResult, ValueChangeType,
};

/// Values by full path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// In the agent's order. Overlapping requests give a path twice.
    pub values: Vec<(String, String)>,
    /// Requested paths that failed.
    pub failures: Vec<Failure>,
    /// Requested paths that matched nothing, which is not a failure (R-GET.1a, .1b).
    pub unmatched: Vec<String>,
}

impl Values {
    /// The value of one full path.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|(known, _)| known == path)
            .map(|(_, value)| value.as_str())
    }
}

/// Flattens a GetResp. Both historic shapes are read: one result an object with relative names,
/// and before 1.2 one result a match, with `Sub.Param` as names.
pub fn values(response: &GetResp) -> Values {
    let count = response
        .req_path_results
        .iter()
        .flat_map(|r| &r.resolved_path_results)
        .map(|r| r.result_params.len());
    let mut out = Values {
        values: Vec::with_capacity(count.sum()),
        ..Values::default()
    };
    for requested in &response.req_path_results {
        if requested.err_code != 0 {
            out.failures.push(Failure::new(
                &*requested.requested_path,
                requested.err_code,
                &*requested.err_msg,
            ));
        } else if requested.resolved_path_results.is_empty() {
            out.unmatched.push(requested.requested_path.clone());
        }
        for resolved in &requested.resolved_path_results {
            let full = |(name, value): (&str, &str)| {
                (join(&resolved.resolved_path, name), value.to_owned())
            };
            out.values.extend(resolved.result_params.iter().map(full));
        }
    }
    out
}

/// Rows by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instances {
    /// Path and unique keys, as far as they may be read.
    pub rows: Vec<(String, Map)>,
    /// Requested paths that failed.
    pub failures: Vec<Failure>,
    /// Requested paths without rows, which is not a failure.
    pub unmatched: Vec<String>,
}

/// Flattens a GetInstancesResp.
pub fn instances(response: GetInstancesResp) -> Instances {
    let mut out = Instances::default();
    for requested in response.req_path_results {
        if requested.err_code != 0 {
            out.failures.push(Failure::new(
                requested.requested_path,
                requested.err_code,
                requested.err_msg,
            ));
        } else if requested.curr_insts.is_empty() {
            out.unmatched.push(requested.requested_path);
        }
        out.rows.extend(
            requested
                .curr_insts
                .into_iter()
                .map(|row| (row.instantiated_obj_path, row.unique_keys)),
        );
    }
    out
}

/// The supported model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supported {
    /// Its objects. Those with `divergent_paths` have to be asked for again by instance.
    pub objects: Vec<SupportedObjectResult>,
    /// Requested paths that failed.
    pub failures: Vec<Failure>,
}

/// Flattens a GetSupportedDMResp.
pub fn supported(response: GetSupportedDMResp) -> Supported {
    let mut out = Supported::default();
    for requested in response.req_obj_results {
        if requested.err_code != 0 {
            out.failures.push(Failure::new(
                requested.req_obj_path,
                requested.err_code,
                requested.err_msg,
            ));
        }
        out.objects.extend(requested.supported_objs);
    }
    out
}

impl SupportedParamResult {
    /// The base type; `None` from agents before 1.2, which cannot say.
    pub fn known_type(&self) -> Option<ParamValueType> {
        Some(self.value_type).filter(|known| *known != ParamValueType::UNKNOWN)
    }

    /// Whether it can notify; `None` from agents before 1.2, which cannot say.
    pub fn notifies(&self) -> Option<bool> {
        Some(self.value_change == ValueChangeType::ALLOWED)
            .filter(|_| self.value_change != ValueChangeType::UNKNOWN)
    }
}

impl SupportedCommandResult {
    /// Whether its result comes as a notification; `None` from agents before 1.2, which cannot say.
    pub fn is_async(&self) -> Option<bool> {
        Some(self.command_type == CmdType::ASYNC).filter(|_| self.command_type != CmdType::UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msg::{
        CurrInstance, InstancesPathResult, RequestedObjectResult, RequestedPathResult,
        ResolvedPathResult,
    };

    fn resolved(path: &str, params: &[(&str, &str)]) -> ResolvedPathResult {
        ResolvedPathResult {
            resolved_path: path.into(),
            result_params: params.iter().copied().collect(),
        }
    }

    fn get_resp(resolved_path_results: Vec<ResolvedPathResult>) -> GetResp {
        let requested_path = "Device.WiFi.".into();
        GetResp {
            req_path_results: vec![RequestedPathResult {
                requested_path,
                resolved_path_results,
                ..Default::default()
            }],
        }
    }

    #[test]
    fn both_historic_shapes_give_the_same_values() {
        let new = get_resp(vec![
            resolved("Device.WiFi.", &[("RadioNumberOfEntries", "1")]),
            resolved("Device.WiFi.Radio.1.", &[("Enable", "true")]),
        ]);
        let old = get_resp(vec![resolved(
            "Device.WiFi.",
            &[("RadioNumberOfEntries", "1"), ("Radio.1.Enable", "true")],
        )]);
        assert_eq!(values(&new), values(&old));
        assert_eq!(values(&new).get("Device.WiFi.Radio.1.Enable"), Some("true"));
    }

    #[test]
    fn failures_within_a_response_are_found_and_nothing_is_not_a_failure() {
        let mut response = get_resp(Vec::new());
        response.req_path_results.push(RequestedPathResult {
            requested_path: "Device.Soup.".into(),
            err_code: 7026,
            err_msg: "no".into(),
            ..Default::default()
        });
        let values = values(&response);
        assert_eq!(values.unmatched, ["Device.WiFi."]);
        assert_eq!(values.failures, [Failure::new("Device.Soup.", 7026, "no")]);
        assert!(values.values.is_empty());
    }

    #[test]
    fn rows_failures_and_empty_tables_are_told_apart() {
        let result = |path: &str, err_code, rows: &[&str]| InstancesPathResult {
            requested_path: path.into(),
            err_code,
            err_msg: String::new(),
            curr_insts: rows
                .iter()
                .map(|row| CurrInstance {
                    instantiated_obj_path: (*row).into(),
                    unique_keys: Map::from([("ID", *row)]),
                })
                .collect(),
        };
        let instances = instances(GetInstancesResp {
            req_path_results: vec![
                result("A.", 0, &["A.1.", "A.7."]),
                result("B.", 0, &[]),
                result("C.", 7018, &[]),
            ],
        });
        assert_eq!(
            instances.rows[1],
            ("A.7.".into(), Map::from([("ID", "A.7.")]))
        );
        assert_eq!(instances.unmatched, ["B."]);
        assert_eq!(instances.failures, [Failure::new("C.", 7018, "")]);
    }

    #[test]
    fn zero_means_an_old_agent_and_not_a_type() {
        let mut param = SupportedParamResult::default();
        assert_eq!((param.known_type(), param.notifies()), (None, None));
        param.value_type = ParamValueType::INT;
        param.value_change = ValueChangeType::WILL_IGNORE;
        assert_eq!(
            (param.known_type(), param.notifies()),
            (Some(ParamValueType::INT), Some(false))
        );
        let mut command = SupportedCommandResult::default();
        assert_eq!(command.is_async(), None);
        command.command_type = CmdType::ASYNC;
        assert_eq!(command.is_async(), Some(true));
        let failed = RequestedObjectResult {
            err_code: 7026,
            ..Default::default()
        };
        assert_eq!(
            supported(GetSupportedDMResp {
                req_obj_results: vec![failed]
            })
            .failures
            .len(),
            1
        );
    }
}
