//! An answer that is put together of parts: what this agent says itself, and what services say. Deliberately no rules of
//! who may see what: a part is complete when it comes here.

use std::collections::{HashMap, VecDeque};

use usp::proto::msg::{
    AddResp, CommandFailure, CreateStatus, CreatedObjectResult, DeleteResp, DeleteStatus,
    DeletedObjectResult, GetInstancesResp, GetResp, InstancesPathResult, OperateResp,
    OperationFailure, OperationResp, OperationResult, RequestedPathResult, Response, SetResp,
    UpdateFailure, UpdateStatus, UpdateSuccess, UpdatedObjectResult,
};

use super::route::Asked;
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
    /// Whether what is asked changes something.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::Get(_) | Self::Instances(_))
    }

    /// Puts the agent's own part in: for what it was asked, in that order.
    pub fn add(&mut self, asked: &Asked, own: Response) {
        let places = asked.iter().map(|(place, _)| *place);
        match (self, own) {
            (Self::Get(all), Response::GetResp(own)) => {
                for (place, one) in places.zip(own.req_path_results) {
                    all[place] = Some(one);
                }
            }
            (Self::Instances(all), Response::GetInstancesResp(own)) => {
                for (place, one) in places.zip(own.req_path_results) {
                    all[place] = Some(one);
                }
            }
            (Self::Set(all), Response::SetResp(own)) => {
                all.extend(places.zip(own.updated_obj_results));
            }
            (Self::Add(all), Response::AddResp(own)) => {
                // One for each table that a path has found.
                let mut asked = asked.iter().peekable();
                for one in own.created_obj_results {
                    while asked
                        .next_if(|(_, path)| *path != one.requested_path)
                        .is_some()
                    {}
                    all.push((asked.peek().map_or(0, |(place, _)| *place), one));
                }
            }
            (Self::Delete(all), Response::DeleteResp(own)) => {
                all.extend(places.zip(own.deleted_obj_results));
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
                updated_obj_results: merged(all),
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

/// The same, with one result for each object of the request, whoever has its parameters.
fn merged(mut all: Vec<(usize, UpdatedObjectResult)>) -> Vec<UpdatedObjectResult> {
    all.sort_by_key(|(place, _)| *place);
    let mut out: Vec<(usize, UpdatedObjectResult)> = Vec::new();
    for (place, one) in all {
        match out.last_mut().filter(|(known, _)| *known == place) {
            Some((_, known)) => merge_set(&mut known.oper_status, one.oper_status),
            None => out.push((place, one)),
        }
    }
    out.into_iter().map(|(_, one)| one).collect()
}

/// What two owners say of one object. It has failed when one of them has, and what the other one has changed all the same
/// is said: nobody can take it back.
fn merge_set(known: &mut UpdateStatus, more: UpdateStatus) {
    match (known, more) {
        (UpdateStatus::OperSuccess(known), UpdateStatus::OperSuccess(more)) => {
            for object in more.updated_inst_results {
                let mut all = known.updated_inst_results.iter_mut();
                match all.find(|one| one.affected_path == object.affected_path) {
                    Some(same) => {
                        same.updated_params.extend(object.updated_params.iter());
                        same.param_errs.extend(object.param_errs);
                    }
                    None => known.updated_inst_results.push(object),
                }
            }
        }
        (UpdateStatus::OperFailure(known), UpdateStatus::OperFailure(more)) => {
            known
                .updated_inst_failures
                .extend(more.updated_inst_failures);
        }
        (UpdateStatus::OperFailure(failure), UpdateStatus::OperSuccess(done)) => {
            changed_all_the_same(failure, &done);
        }
        (known @ UpdateStatus::OperSuccess(_), UpdateStatus::OperFailure(failure)) => {
            let mut failure = UpdateStatus::OperFailure(failure);
            std::mem::swap(known, &mut failure);
            merge_set(known, failure);
        }
    }
}

fn changed_all_the_same(failure: &mut UpdateFailure, done: &UpdateSuccess) {
    let objects = done.updated_inst_results.iter();
    let names = objects.flat_map(|one| one.updated_params.iter().map(|(name, _)| name));
    let names: Vec<&str> = names.collect();
    if !names.is_empty() {
        let changed = format!("; changed all the same: {}", names.join(", "));
        failure.err_msg.push_str(&changed);
    }
}

/// What a service has answered, by what it says that it was asked for.
pub(super) struct Answered<T>(HashMap<String, VecDeque<T>>);

impl<T> Answered<T> {
    pub fn new(results: Vec<T>, requested: impl Fn(&T) -> &str) -> Self {
        let mut all: HashMap<String, VecDeque<T>> = HashMap::new();
        for one in results {
            let path = requested(&one).to_owned();
            all.entry(path).or_default().push_back(one);
        }
        Self(all)
    }

    /// The next one for this path.
    pub fn take(&mut self, path: &str) -> Result<T, Fault> {
        let next = self.0.get_mut(path).and_then(VecDeque::pop_front);
        next.ok_or_else(|| silent(path))
    }
}

/// A service has not said a word of this.
pub(super) fn silent(path: &str) -> Fault {
    Fault::internal(format!("the service did not answer for {path}"))
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
