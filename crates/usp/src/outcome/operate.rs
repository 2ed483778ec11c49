//! What the answer to Operate and the end of an asynchronous command mean.
//! Deliberately without waiting for that end: command and key find it, and the caller waits.

use super::{Failure, Verdict, join};
use crate::msg::{
    Completion as CompletionOf, Event, Map, OperateResp, OperationComplete, OperationResp,
};

/// What became of one matched command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It is done.
    Done(Map),
    /// It runs; this row of the agent's Request table stands for it. The result comes as a
    /// notification, if somebody has subscribed to it.
    Started(String),
    /// It failed.
    Failed(Failure),
}

/// What an Operate did, one entry a matched command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperateOutcome {
    /// Command path with instance numbers, and what it did.
    pub commands: Vec<(String, Ran)>,
}

impl OperateOutcome {
    /// Whether all of it happened, or has started.
    pub fn verdict(&self) -> Verdict {
        let failed = |(_, ran): &(String, Ran)| matches!(ran, Ran::Failed(_));
        match self
            .commands
            .iter()
            .filter(|command| failed(command))
            .count()
        {
            0 => Verdict::Succeeded,
            some if some < self.commands.len() => Verdict::Partly,
            _ => Verdict::Failed,
        }
    }
}

/// Reads an OperateResp. A result without anything is a success without output: the standard's own
/// example is so.
pub fn operate(response: &OperateResp) -> OperateOutcome {
    let ran = |result: &crate::msg::OperationResult| {
        let command = result.executed_command.clone();
        let ran = match &result.operation_resp {
            None => Ran::Done(Map::new()),
            Some(OperationResp::ReqOutputArgs(output)) => Ran::Done(output.output_args.clone()),
            Some(OperationResp::ReqObjPath(row)) => Ran::Started(row.clone()),
            Some(OperationResp::CmdFailure(failure)) => {
                Ran::Failed(Failure::new(&*command, failure.err_code, &*failure.err_msg))
            }
        };
        (command, ran)
    };
    OperateOutcome {
        commands: response.operation_results.iter().map(ran).collect(),
    }
}

/// The end of an asynchronous command. Command and key together find the Operate: message ids do
/// not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Full command path.
    pub command: String,
    /// As given to Operate.
    pub key: String,
    /// Its output.
    pub result: Result<Map, Failure>,
}

/// Reads an OperationComplete notification.
pub fn completion(complete: &OperationComplete) -> Completion {
    let command = join(&complete.obj_path, &complete.command_name);
    let result = match &complete.completion {
        None => Ok(Map::new()),
        Some(CompletionOf::ReqOutputArgs(output)) => Ok(output.output_args.clone()),
        Some(CompletionOf::CmdFailure(failure)) => {
            Err(Failure::new(&*command, failure.err_code, &*failure.err_msg))
        }
    };
    Completion {
        command,
        key: complete.command_key.clone(),
        result,
    }
}

impl Event {
    /// Full event path.
    pub fn path(&self) -> String {
        join(&self.obj_path, &self.event_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msg::{CommandFailure, OperationResult, OutputArgs};

    #[test]
    fn commands_are_done_started_or_failed() {
        let result = |operation_resp| OperationResult {
            executed_command: "Device.X()".into(),
            operation_resp,
        };
        let failed = CommandFailure {
            err_code: 7022,
            err_msg: "no".into(),
        };
        let output = OutputArgs {
            output_args: Map::from([("A", "b")]),
        };
        let mut response = OperateResp {
            operation_results: vec![
                result(None),
                result(Some(OperationResp::ReqOutputArgs(output))),
                result(Some(OperationResp::ReqObjPath(
                    "Device.LocalAgent.Request.1.".into(),
                ))),
            ],
        };
        assert_eq!(operate(&response).verdict(), Verdict::Succeeded);
        response
            .operation_results
            .push(result(Some(OperationResp::CmdFailure(failed.clone()))));
        let outcome = operate(&response);
        assert_eq!(outcome.verdict(), Verdict::Partly);
        assert_eq!(outcome.commands[0].1, Ran::Done(Map::new()));
        assert_eq!(outcome.commands[1].1, Ran::Done(Map::from([("A", "b")])));
        assert_eq!(
            outcome.commands[2].1,
            Ran::Started("Device.LocalAgent.Request.1.".into())
        );
        response.operation_results.drain(..3);
        assert_eq!(operate(&response).verdict(), Verdict::Failed);

        let complete = OperationComplete {
            obj_path: "Device.".into(),
            command_name: "X()".into(),
            command_key: "k".into(),
            completion: Some(CompletionOf::CmdFailure(failed)),
        };
        let done = completion(&complete);
        assert_eq!(
            (done.command.as_str(), done.key.as_str()),
            ("Device.X()", "k")
        );
        assert_eq!(done.result.unwrap_err().code.0, 7022);
    }

    #[test]
    fn an_event_has_a_full_path() {
        let event = Event {
            obj_path: "Device.".into(),
            event_name: "Boot!".into(),
            params: Map::new(),
        };
        assert_eq!(event.path(), "Device.Boot!");
    }
}
