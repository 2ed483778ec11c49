//! What a device says of a file is its word; what went over the file's link, and the firmware that the
//! device runs, is the proof.

use super::operate::OVER;
use super::{Operation, OperationState, OutcomeState, Request};
use crate::transfer::{Direction, TransferState, named};

/// What is known here of the file of an operation, besides what its device says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Went {
    /// Which way it was to go.
    pub direction: Direction,
    /// How far it came.
    pub state: TransferState,
    /// Bytes that went over the link.
    pub bytes: u64,
    /// Bytes there are, where that is known.
    pub size: Option<u64>,
    /// What went wrong last; empty for nothing.
    pub error: String,
    /// The version of the firmware that is in it; empty where nobody has said.
    pub version: String,
    /// The firmware that the device runs; empty where it does not say.
    pub runs: String,
    /// It was seen to come to run that since the command was sent: it may have run the same before.
    pub came_to_run: bool,
}

impl Went {
    fn is_whole(&self) -> bool {
        self.state == TransferState::Done
    }

    fn runs_it(&self) -> bool {
        !self.version.is_empty() && self.version == self.runs
    }

    /// What there is to say of it, after "and".
    fn words(&self) -> String {
        let mut words = match (self.direction, self.state, self.error.as_str()) {
            (Direction::Upload, TransferState::Done, _) => "its file is here".to_owned(),
            (Direction::Upload, state, error) => {
                let why = match (state, error) {
                    (TransferState::Running, _) => "it has not come to its end",
                    (_, "") => "nothing came over its link",
                    (_, error) => error,
                };
                format!("the file is not here: {why}")
            }
            (Direction::Download, TransferState::Done, _) => {
                "the file went over its link".to_owned()
            }
            (Direction::Download, TransferState::Running, _) if self.bytes == 0 => {
                "it has begun to fetch the file, and no more is known".to_owned()
            }
            (Direction::Download, ..) if self.bytes == 0 => "it did not fetch the file".to_owned(),
            (Direction::Download, ..) => match self.size {
                Some(size) => format!(
                    "{} of {size} bytes of the file went over its link",
                    self.bytes
                ),
                None => format!("{} bytes of the file went over its link", self.bytes),
            },
        };
        if self.direction == Direction::Download {
            if !self.is_whole() && !self.error.is_empty() {
                words = format!("{words} ({})", self.error);
            }
            words = match (self.version.as_str(), self.runs.as_str()) {
                ("", _) | (_, "") => words,
                (version, runs) if version == runs => {
                    format!("{words}; it runs {runs}, as in the file")
                }
                (version, runs) => format!("{words}; it runs {runs}, and the file is {version}"),
            };
        }
        words
    }
}

impl Operation {
    /// Whether it came to an end of which a file of ours tells more than its device.
    pub fn ends_with_file(&self) -> bool {
        let over = matches!(
            self.state,
            OperationState::Succeeded | OperationState::Unconfirmed
        );
        over && self.progress.sent_at.is_some()
            && matches!(&self.request, Request::Operate { args, .. }
                if args.values().any(|value| named(value).is_some()))
    }

    /// Whether its device says that it is over: what is left of the file is on its way then, or being written down.
    pub fn is_said_over(&self) -> bool {
        match self.state {
            OperationState::Succeeded => true,
            OperationState::Unconfirmed => self.outcome.cause.as_deref() == Some(OVER),
            _ => false,
        }
    }

    /// Whether the firmware that it fetches is to run at its end.
    fn activates(&self) -> bool {
        let Request::Operate { args, .. } = &self.request else {
            return false;
        };
        let stays = |value: &String| matches!(value.trim(), "false" | "0");
        !args.get("AutoActivate").is_some_and(stays)
    }

    /// Holds what its device says against what is known of the file.
    pub fn weigh(&mut self, went: &Went) {
        let runs_it = went.runs_it() && self.activates();
        let words = went.words();
        if self.state == OperationState::Unconfirmed {
            let is_over = self.is_said_over();
            let said = self.outcome.cause.take().unwrap_or_default();
            self.outcome.cause = Some(format!("{said}; {words}"));
            // Nobody said so, and it is seen; or all that can be seen says so: there are devices that say how it went
            // only where it went wrong.
            let path = match went.direction {
                _ if !went.is_whole() => return,
                Direction::Upload => OutcomeState::Done,
                Direction::Download if runs_it && went.came_to_run => OutcomeState::Done,
                Direction::Download if runs_it => OutcomeState::Accepted,
                Direction::Download
                    if is_over && (went.version.is_empty() || went.runs.is_empty()) =>
                {
                    OutcomeState::Accepted
                }
                Direction::Download => return,
            };
            self.rate(OperationState::Succeeded, path);
            return;
        }
        if went.is_whole() {
            return;
        }
        let (state, path) = match went.direction {
            Direction::Upload => (OperationState::Failed, OutcomeState::Unknown),
            // It may have had it before.
            _ if runs_it => (OperationState::Succeeded, OutcomeState::Accepted),
            _ if went.bytes == 0 && went.state != TransferState::Running => {
                (OperationState::Failed, OutcomeState::Unknown)
            }
            _ => (OperationState::Unconfirmed, OutcomeState::Unknown),
        };
        let said = match (went.direction, self.outcome.outputs.get("Proof")) {
            (Direction::Upload, _) => "the device says that it has sent its file",
            (_, Some(proof)) => proof,
            (_, None) => "the device says that it is done",
        };
        self.outcome.cause = Some(format!("{said}, and {words}"));
        self.rate(state, path);
    }

    fn rate(&mut self, state: OperationState, path: OutcomeState) {
        self.state = state;
        for one in &mut self.outcome.paths {
            one.state = path.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::{acting, at, ok};
    use super::*;
    use crate::operation::{Input, Step};
    use crate::southbound::{Answer, CommandOutcome, CommandResult, Notice};

    const COMMAND: &str = "Device.DeviceInfo.FirmwareImage.1.Download()";

    /// It has taken on a command that names this.
    fn accepted(named: &str, more: &[(&str, &str)]) -> Operation {
        let mut args = BTreeMap::from([("URL".to_owned(), named.to_owned())]);
        args.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let command = COMMAND.to_owned();
        let mut op = acting(Request::Operate { command, args }, None);
        let outcome = CommandOutcome::Accepted {
            request: "Device.LocalAgent.Request.4.".into(),
        };
        let taken = CommandResult {
            command: COMMAND.into(),
            outcome,
        };
        op.step(ok(Answer::Operated(vec![taken])), at(3));
        op
    }

    fn says_done(mut op: Operation) -> Operation {
        let (object, command) = crate::model::split(COMMAND).unwrap();
        let notice = Notice::CommandCompleted {
            object: object.to_owned(),
            command: command.to_owned(),
            key: op.command_key(),
            result: Ok(BTreeMap::new()),
        };
        let step = op.step(Input::Notice(at(9), &notice), at(9));
        assert_eq!(
            (step, op.state),
            (Step::Finished, OperationState::Succeeded)
        );
        op
    }

    fn says_over(mut op: Operation) -> Operation {
        let (object, command) = crate::model::split(COMMAND).unwrap();
        let notice = Notice::CommandOver {
            object: object.to_owned(),
            command: command.to_owned(),
            key: op.command_key(),
            outputs: BTreeMap::new(),
        };
        let step = op.step(Input::Notice(at(9), &notice), at(9));
        assert_eq!(step, Step::Finished);
        op
    }

    fn went(state: TransferState, bytes: u64, version: &str, runs: &str) -> Went {
        Went {
            direction: Direction::Download,
            state,
            bytes,
            size: Some(500),
            error: String::new(),
            version: version.to_owned(),
            runs: runs.to_owned(),
            came_to_run: false,
        }
    }

    fn weighed(mut op: Operation, went: &Went) -> (OperationState, OutcomeState, String) {
        assert!(op.ends_with_file());
        op.weigh(went);
        let path = op.outcome.paths[0].state.clone();
        (op.state, path, op.outcome.cause.unwrap_or_default())
    }

    #[test]
    fn a_download_that_the_device_says_is_done_is_done_where_the_file_went_over_its_link() {
        use {OperationState as S, OutcomeState as O, TransferState as T};
        for (went, state, path, words) in [
            (went(T::Done, 500, "2.0", "1.0"), S::Succeeded, O::Done, ""),
            (went(T::Done, 500, "", ""), S::Succeeded, O::Done, ""),
            (
                went(T::Waiting, 0, "2.0", "1.0"),
                S::Failed,
                O::Unknown,
                "the device says that it is done, and it did not fetch the file; it runs 1.0, and the file is 2.0",
            ),
            (
                went(T::Waiting, 0, "", "1.0"),
                S::Failed,
                O::Unknown,
                "the device says that it is done, and it did not fetch the file",
            ),
            // What it runs is as wanted, and nobody saw it do that.
            (
                went(T::Waiting, 0, "2.0", "2.0"),
                S::Succeeded,
                O::Accepted,
                "the device says that it is done, and it did not fetch the file; it runs 2.0, as in the file",
            ),
            (
                went(T::Interrupted, 100, "2.0", "1.0"),
                S::Unconfirmed,
                O::Unknown,
                "the device says that it is done, and 100 of 500 bytes of the file went over its link; it runs 1.0, and the file is 2.0",
            ),
            // Its progress was not written down.
            (
                went(T::Running, 0, "", ""),
                S::Unconfirmed,
                O::Unknown,
                "the device says that it is done, and it has begun to fetch the file, and no more is known",
            ),
        ] {
            let op = says_done(accepted("headend-file:7", &[]));
            assert_eq!(
                weighed(op, &went),
                (state, path, words.to_owned()),
                "{went:?}"
            );
        }
    }

    #[test]
    fn a_download_of_which_the_device_does_not_say_how_it_went_is_done_where_it_runs_what_it_fetched()
     {
        use {OperationState as S, OutcomeState as O, TransferState as T};
        for (went, keeps, state, path, words) in [
            (
                Went {
                    came_to_run: true,
                    ..went(T::Done, 500, "2.0", "2.0")
                },
                false,
                S::Succeeded,
                O::Done,
                "the file went over its link; it runs 2.0, as in the file",
            ),
            // It may have had it before.
            (
                went(T::Done, 500, "2.0", "2.0"),
                false,
                S::Succeeded,
                O::Accepted,
                "the file went over its link; it runs 2.0, as in the file",
            ),
            // The image is kept, and the one that runs is another.
            (
                went(T::Done, 500, "2.0", "2.0"),
                true,
                S::Unconfirmed,
                O::Unknown,
                "the file went over its link; it runs 2.0, as in the file",
            ),
            (
                went(T::Done, 500, "2.0", "1.0"),
                false,
                S::Unconfirmed,
                O::Unknown,
                "the file went over its link; it runs 1.0, and the file is 2.0",
            ),
            // Nobody has said which version is in the file: what can be seen is that it has it.
            (
                went(T::Done, 500, "", "2.0"),
                false,
                S::Succeeded,
                O::Accepted,
                "the file went over its link",
            ),
            (
                went(T::Interrupted, 100, "", "2.0"),
                false,
                S::Unconfirmed,
                O::Unknown,
                "100 of 500 bytes of the file went over its link",
            ),
            (
                went(T::Waiting, 0, "2.0", "1.0"),
                false,
                S::Unconfirmed,
                O::Unknown,
                "it did not fetch the file; it runs 1.0, and the file is 2.0",
            ),
        ] {
            let more: &[(&str, &str)] = if keeps {
                &[("AutoActivate", "false")]
            } else {
                &[]
            };
            let op = says_over(accepted("headend-file:7", more));
            let words = format!("{OVER}; {words}");
            assert_eq!(weighed(op, &went), (state, path, words), "{went:?}");
        }
        // One of which its device says nothing at all.
        let mut op = accepted("headend-file:7", &[]);
        op.expire(at(100_000));
        let (state, path, _) = weighed(op, &went(T::Done, 500, "", "2.0"));
        assert_eq!((state, path), (S::Unconfirmed, O::Unknown));
        // Of a file of somebody else nothing is known.
        let op = says_over(accepted("http://files/fw.bin", &[]));
        assert!(!op.ends_with_file());
        assert_eq!(op.state, S::Unconfirmed);
        assert_eq!(op.outcome.cause.as_deref(), Some(OVER));
        assert!(!says_done(accepted("http://files/fw.bin", &[])).ends_with_file());
    }

    #[test]
    fn an_upload_is_done_where_its_file_is_here_whatever_the_device_says() {
        use {OperationState as S, OutcomeState as O, TransferState as T};
        let upload = |state, error: &str| Went {
            direction: Direction::Upload,
            error: error.to_owned(),
            ..went(state, 0, "", "")
        };
        let op = || accepted("headend-upload:", &[]);
        let here = weighed(says_over(op()), &upload(T::Done, ""));
        assert_eq!((here.0, here.1), (S::Succeeded, O::Done));
        let gone = weighed(says_over(op()), &upload(T::Waiting, ""));
        assert_eq!((gone.0, gone.1), (S::Unconfirmed, O::Unknown));
        assert!(gone.2.ends_with("nothing came over its link"), "{}", gone.2);
        let gone = weighed(says_done(op()), &upload(T::Failed, "no room"));
        assert_eq!((gone.0, gone.1), (S::Failed, O::Unknown));
        assert_eq!(
            gone.2,
            "the device says that it has sent its file, and the file is not here: no room"
        );
        assert_eq!(
            weighed(says_done(op()), &upload(T::Done, "")).0,
            S::Succeeded
        );
    }
}
