//! An answer that is put together of parts: what this agent says itself, and what services say. Deliberately no rules of
//! who may see what: a part is complete when it comes here.

use std::collections::HashMap;

use usp::proto::msg::{
    AddResp, CommandFailure, CreateStatus, CreatedObjectResult, DeleteResp, DeleteStatus,
    DeletedObjectResult, GetInstancesResp, GetResp, InstancesPathResult, OperateResp,
    OperationFailure, OperationResp, OperationResult, RequestedPathResult, Response, SetResp,
    UpdateFailure, UpdateStatus, UpdatedObjectResult,
};

use crate::Fault;

/// Results by the place of their path in the request.
#[derive(Debug)]
pub(super) enum Answer {
    Get(Vec<Option<RequestedPathResult>>),
    Instances(Vec<Option<InstancesPathResult>>),
    Set(Vec<(usize, UpdatedObjectResult)>),
    Add(Vec<(usize, CreatedObjectResult)>),
    Delete(Vec<(usize, DeletedObjectResult)>),
    Operate(Vec<OperationResult>),
}

impl Answer {
    /// Puts the agent's own part in: its paths are a selection of those that were asked for, in their order.
    pub fn add(&mut self, requested: &[String], own: Response) {
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (place, path) in requested.iter().enumerate().rev() {
            places.insert(path, place);
        }
        let place = |path: &str| places.get(path).copied().unwrap_or(0);
        match (self, own) {
            // Paths that are asked for twice are answered alike.
            (Self::Get(all), Response::GetResp(own)) => {
                for one in own.req_path_results {
                    let mut same = (0..requested.len())
                        .filter(|n| requested[*n] == one.requested_path && all[*n].is_none());
                    if let Some(place) = same.next() {
                        all[place] = Some(one);
                    }
                }
            }
            (Self::Instances(all), Response::GetInstancesResp(own)) => {
                for one in own.req_path_results {
                    let mut same = (0..requested.len())
                        .filter(|n| requested[*n] == one.requested_path && all[*n].is_none());
                    if let Some(place) = same.next() {
                        all[place] = Some(one);
                    }
                }
            }
            (Self::Set(all), Response::SetResp(own)) => {
                let own = own.updated_obj_results.into_iter();
                all.extend(own.map(|one| (place(&one.requested_path), one)));
            }
            (Self::Add(all), Response::AddResp(own)) => {
                let own = own.created_obj_results.into_iter();
                all.extend(own.map(|one| (place(&one.requested_path), one)));
            }
            (Self::Delete(all), Response::DeleteResp(own)) => {
                let own = own.deleted_obj_results.into_iter();
                all.extend(own.map(|one| (place(&one.requested_path), one)));
            }
            _ => {}
        }
    }

    /// One path could not be asked for, or was not answered.
    pub fn fail(&mut self, place: usize, path: &str, fault: &Fault) {
        let failure = || OperationFailure {
            err_code: fault.code,
            err_msg: fault.message.clone(),
        };
        let requested_path = path.to_owned();
        match self {
            Self::Get(all) => merge_get(
                &mut all[place],
                RequestedPathResult {
                    requested_path,
                    err_code: fault.code,
                    err_msg: fault.message.clone(),
                    ..Default::default()
                },
            ),
            Self::Instances(all) => {
                all[place] = Some(InstancesPathResult {
                    requested_path,
                    err_code: fault.code,
                    err_msg: fault.message.clone(),
                    ..Default::default()
                });
            }
            Self::Set(all) => {
                let oper_status = UpdateStatus::OperFailure(UpdateFailure {
                    err_code: fault.code,
                    err_msg: fault.message.clone(),
                    ..Default::default()
                });
                let one = UpdatedObjectResult {
                    requested_path,
                    oper_status,
                };
                all.push((place, one));
            }
            Self::Add(all) => {
                let oper_status = CreateStatus::OperFailure(failure());
                let one = CreatedObjectResult {
                    requested_path,
                    oper_status,
                };
                all.push((place, one));
            }
            Self::Delete(all) => {
                let oper_status = DeleteStatus::OperFailure(failure());
                let one = DeletedObjectResult {
                    requested_path,
                    oper_status,
                };
                all.push((place, one));
            }
            Self::Operate(all) => {
                let failure = OperationResp::CmdFailure(CommandFailure {
                    err_code: fault.code,
                    err_msg: fault.message.clone(),
                });
                all.push(OperationResult {
                    executed_command: requested_path,
                    operation_resp: Some(failure),
                });
            }
        }
    }

    /// The whole, in the order of the request.
    pub fn finish(self) -> Response {
        match self {
            Self::Get(all) => Response::GetResp(GetResp {
                req_path_results: all.into_iter().flatten().collect(),
            }),
            Self::Instances(all) => Response::GetInstancesResp(GetInstancesResp {
                req_path_results: all.into_iter().flatten().collect(),
            }),
            Self::Set(all) => Response::SetResp(SetResp {
                updated_obj_results: in_order(all),
            }),
            Self::Add(all) => Response::AddResp(AddResp {
                created_obj_results: in_order(all),
            }),
            Self::Delete(all) => Response::DeleteResp(DeleteResp {
                deleted_obj_results: in_order(all),
            }),
            Self::Operate(operation_results) => {
                Response::OperateResp(OperateResp { operation_results })
            }
        }
    }
}

fn in_order<T>(mut all: Vec<(usize, T)>) -> Vec<T> {
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, one)| one).collect()
}

/// What two parts say of one path: a success of either is one.
pub(super) fn merge_get(known: &mut Option<RequestedPathResult>, more: RequestedPathResult) {
    let Some(known) = known else {
        *known = Some(more);
        return;
    };
    match (known.err_code, more.err_code) {
        (0, 0) => {
            for object in more.resolved_path_results {
                let all = &mut known.resolved_path_results;
                let same = all
                    .iter_mut()
                    .find(|one| one.resolved_path == object.resolved_path);
                match same {
                    Some(same) => same.result_params.extend(object.result_params.iter()),
                    None => all.push(object),
                }
            }
        }
        (0, _) => {}
        (_, 0) => {
            let requested_path = std::mem::take(&mut known.requested_path);
            *known = RequestedPathResult {
                requested_path,
                ..more
            };
        }
        _ => {}
    }
}
