//! Reasons in the words of the device, without the secrets it was told: devices like to repeat what
//! they refuse.

use super::Operation;
use crate::secret::{scrubbed, told};
use crate::southbound::{Answer, CommandOutcome, Failure, Fault};

impl Operation {
    /// A reason, without the secrets of this operation.
    pub fn scrubbed(&self, fault: &Fault) -> Fault {
        let op = self.op();
        Fault {
            message: scrubbed(&fault.message, told(&op)),
            ..fault.clone()
        }
    }

    /// An answer, its reasons without the secrets of this operation.
    pub(super) fn without_secrets(
        &self,
        mut result: Result<Answer, Failure>,
    ) -> Result<Answer, Failure> {
        let op = self.op();
        let secrets = told(&op);
        if let Err(
            Failure::Unsent { reason }
            | Failure::Impossible { reason }
            | Failure::Lost { reason }
            | Failure::Garbled { reason },
        ) = &mut result
        {
            *reason = scrubbed(reason, secrets.iter().copied());
        }
        for fault in faults(&mut result) {
            fault.message = scrubbed(&fault.message, secrets.iter().copied());
        }
        result
    }
}

/// Every reason in an answer.
fn faults(result: &mut Result<Answer, Failure>) -> Vec<&mut Fault> {
    let mut out = Vec::new();
    match result {
        Err(Failure::Refused { fault, paths }) => {
            out.push(fault);
            out.extend(paths.iter_mut().map(|(_, fault)| fault));
        }
        Ok(Answer::Set(results)) => {
            out.extend(results.iter_mut().filter_map(|r| r.result.as_mut().err()));
        }
        Ok(Answer::Added(results)) => {
            for added in results {
                match &mut added.result {
                    Ok(created) => out.extend(created.faults.iter_mut().map(|(_, f)| f)),
                    Err(fault) => out.push(fault),
                }
            }
        }
        Ok(Answer::Values(results)) => {
            out.extend(results.iter_mut().filter_map(|r| r.result.as_mut().err()));
        }
        Ok(Answer::Deleted(results)) => {
            for deleted in results {
                out.extend(deleted.result.as_mut().err());
                out.extend(deleted.faults.iter_mut().map(|(_, fault)| fault));
            }
        }
        Ok(Answer::Operated(results)) => {
            for ran in results {
                if let CommandOutcome::Failed { fault } = &mut ran.outcome {
                    out.push(fault);
                }
            }
        }
        _ => {}
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{acting, at, ok, state_of, values, written};
    use super::super::{Input, OperationState, OutcomeState, Request};
    use super::*;
    use crate::southbound::PathValue;
    use std::collections::BTreeMap;

    #[test]
    fn a_credential_is_not_repeated_by_an_operation_that_told_none() {
        const PATH: &str = "Device.X_T.A";
        let request = Request::Set {
            values: vec![PathValue::new(PATH, "1")],
            allow_partial: true,
        };
        let mut refused = acting(request, Some(values(&[(PATH, "0")])));
        let fault = Fault::new(7012, "not over /usp/hed_0123456789abcdef");
        let answer = Answer::Set(vec![written(PATH, Err(fault))]);
        refused.step(ok(answer), at(3));
        let kept = serde_json::to_string(&refused.outcome).unwrap();
        assert!(!kept.contains("0123456789abcdef"), "{kept}");
    }

    #[test]
    fn secrets_are_neither_kept_nor_repeated() {
        const PATH: &str = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
        let request = Request::Set {
            values: vec![PathValue::new(PATH, "hunter22hunter")],
            allow_partial: true,
        };
        // A device that shows what it should not, and repeats what it refuses.
        let before = values(&[(PATH, "correct horse")]);
        let mut refused = acting(request.clone(), Some(before.clone()));
        let fault = Fault::new(7012, "hunter22hunter is not good enough");
        let answer = Answer::Set(vec![written(PATH, Err(fault))]);
        refused.step(ok(answer), at(3));
        assert_eq!(refused.state, OperationState::Failed);
        let mut differs = acting(request.clone(), Some(before));
        differs.step(ok(Answer::Set(Vec::new())), at(3));
        differs.step(ok(values(&[(PATH, "correct horse")])), at(4));
        assert!(matches!(
            state_of(&differs, PATH),
            OutcomeState::Differs { .. }
        ));
        for op in [&refused, &differs] {
            let kept = serde_json::to_string(&op.outcome).unwrap();
            assert!(!kept.contains("hunter22hunter"), "{kept}");
            assert!(!kept.contains("correct horse"), "{kept}");
        }
        // One that shows stars instead has done what it was told, as far as anybody can see.
        let mut hidden = acting(request, Some(values(&[(PATH, "")])));
        hidden.step(ok(Answer::Set(Vec::new())), at(3));
        hidden.step(ok(values(&[(PATH, "********")])), at(4));
        assert_eq!(*state_of(&hidden, PATH), OutcomeState::Accepted);
    }

    #[test]
    fn an_operation_that_has_ended_keeps_no_secret_and_an_open_one_what_it_still_has_to_tell() {
        const SECRET: &str = "hunter22hunter";
        let credential = format!("hed_{}", "a1".repeat(16));
        let of = |values: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            values.iter().map(own).collect::<BTreeMap<_, _>>()
        };
        let requests = [
            Request::Set {
                values: vec![
                    PathValue::new("Device.WiFi.AccessPoint.1.Security.KeyPassphrase", SECRET),
                    PathValue::new("Device.WiFi.SSID.1.SSID", "stays"),
                ],
                allow_partial: false,
            },
            Request::Add {
                object: "Device.Users.User.".to_owned(),
                values: of(&[("Password", SECRET), ("Username", "stays")]),
            },
            Request::Operate {
                command: "Device.X_ACME_Cloud.Enroll()".to_owned(),
                args: of(&[
                    ("Password", SECRET),
                    ("Url", &credential),
                    ("Name", "stays"),
                ]),
            },
        ];
        let document = |op: &Operation| serde_json::to_string(op).unwrap();
        let ends: [fn(&mut Operation); 3] = [
            |op| op.cancel(at(5)),
            |op| op.expire(at(5)),
            |op| {
                let fault = Fault::new(7004, "no");
                let paths = Vec::new();
                op.step(Input::Answer(Err(Failure::Refused { fault, paths })), at(5));
            },
        ];
        for request in requests {
            for end in ends {
                let before = match request {
                    Request::Set { .. } => Some(values(&[])),
                    Request::Add { .. } => Some(Answer::Instances(Vec::new())),
                    _ => None,
                };
                let mut op = acting(request.clone(), before);
                assert!(document(&op).contains(SECRET), "{}", document(&op));
                end(&mut op);
                if !op.state.is_final() {
                    // A person's wish does not undo what was sent; it goes on, and ends some time.
                    assert!(document(&op).contains(SECRET), "{}", document(&op));
                    op.expire(at(100_001));
                }
                let kept = document(&op);
                assert!(op.state.is_final());
                assert!(
                    !kept.contains(SECRET) && !kept.contains(&credential),
                    "{kept}"
                );
                assert!(
                    kept.contains(crate::secret::MASK) && kept.contains("stays"),
                    "{kept}"
                );
            }
        }
    }
}
