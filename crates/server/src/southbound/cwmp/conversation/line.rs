//! Questions to the CPE of one session, typed, with a memory of how it wants to be asked and a
//! record of what was said.

use std::collections::VecDeque;

use cwmp::fault::FaultCode;
use cwmp::rpc::{
    AddObject, DeleteObject, GetParameterNames, GetParameterValues, Method, ParameterInfoStruct,
    ParameterValue, SetParameterValues,
};
use cwmp::soap::{Body, Envelope};
use cwmp::{Fault, Request, Response, Version};
use fleet::secret;
use fleet::southbound::Failure;
use fleet::{OperationId, TenantId};
use store::{Store, TranscriptEntry};

use super::super::TRANSPORT;
use super::super::core::Stop;
use super::super::{AskError, Cpe};
use super::discover::Walk;
use super::habits::Habits;
use super::limits::RECORD_ENTRIES_MAX;
use super::quirks::Quirks;
use crate::southbound::refusal::said;
use crate::southbound::usp::limits::TRANSCRIPT_CHARS_MAX;
use crate::state::now;

/// Where what changes a device is written down before it leaves.
pub struct Journal {
    /// The store.
    pub store: Store,
    /// Whose device.
    pub tenant: TenantId,
    /// Under which operation.
    pub operation: OperationId,
}

/// The way to a CPE while its session lasts.
pub struct Line {
    cpe: Cpe,
    version: Version,
    /// How it wants to be asked, as far as it has shown.
    pub habits: Habits,
    /// How it wants to be asked, as far as that was known before.
    pub quirks: Quirks,
    /// A walk through its tree that is not at its end.
    pub walk: Option<Walk>,
    /// Where to write down what is said, while somebody wants that.
    record: Option<(VecDeque<TranscriptEntry>, Journal)>,
    /// Secrets that the device is told now: it may repeat them.
    secrets: Vec<String>,
    questions: u64,
    /// The job at hand is to change something.
    changes: bool,
    /// Something of it was changed, or may have been.
    touched: bool,
}

impl Line {
    /// The way to a CPE.
    pub fn new(cpe: Cpe, version: Version, habits: Habits, quirks: Quirks) -> Self {
        Self {
            cpe,
            version,
            habits,
            quirks,
            walk: None,
            record: None,
            secrets: Vec::new(),
            questions: 0,
            changes: false,
            touched: false,
        }
    }

    /// The same in another version.
    #[cfg(test)]
    pub fn speaking(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Another job begins: nothing of it is done yet.
    pub fn begin(&mut self, changes: bool) {
        self.changes = changes;
        self.touched = false;
    }

    /// From now on what is said is written down. The device may repeat these secrets.
    pub fn begin_record(&mut self, secrets: Vec<String>, journal: Journal) {
        self.record = Some((VecDeque::new(), journal));
        self.secrets = secrets;
    }

    /// The device is told these secrets now.
    pub fn keep_secret(&mut self, secrets: Vec<String>) {
        self.secrets = secrets;
    }

    /// What was said since, as far as it is not written yet.
    pub fn end_record(&mut self) -> Vec<TranscriptEntry> {
        self.secrets.clear();
        self.record
            .take()
            .map(|(entries, _)| entries.into())
            .unwrap_or_default()
    }

    /// Writes down what was said so far.
    async fn flush(&mut self) {
        let Some((entries, journal)) = &mut self.record else {
            return;
        };
        let entries = std::mem::take(entries).into();
        let written = journal
            .store
            .transcript_append(&journal.tenant, journal.operation, entries)
            .await;
        if let Err(error) = written {
            tracing::warn!(%error, operation = %journal.operation, "a transcript could not be written");
        }
    }

    /// The version that both speak.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Questions asked so far.
    pub fn questions(&self) -> u64 {
        self.questions
    }

    /// Asks.
    pub async fn ask(&mut self, request: impl Into<Request>) -> Result<Response, AskError> {
        let request = request.into();
        let method = request.method();
        let changes = method == Method::SetParameterValues || !method.is_repeatable();
        if self.record.is_some() {
            self.note("out", method.name(), Body::Request(request.clone()));
            // Whatever becomes of this server, what changes a device is written down.
            if changes {
                self.flush().await;
            }
        }
        self.questions += 1;
        let answer = self.cpe.ask(request).await;
        self.touched |=
            changes && !matches!(answer, Err(AskError::Refused(_) | AskError::Unsent(_)));
        match &answer {
            Ok(response) if self.record.is_some() => {
                self.note(
                    "in",
                    method.response_name(),
                    Body::Response(response.clone()),
                );
            }
            Err(AskError::Refused(fault)) => {
                if fault.code == FaultCode::METHOD_NOT_SUPPORTED {
                    self.habits.lacks(method);
                }
                if self.record.is_some() {
                    self.note("in", "Fault", Body::Fault(fault.clone()));
                }
            }
            Err(error) => self.remark(&error.to_string()),
            Ok(_) => {}
        }
        answer
    }

    fn note(&mut self, direction: &str, what: &str, body: Body) {
        let envelope = Envelope::new(self.version.namespace(), "", body);
        let shown = cwmp::transcript::text(&envelope.masked(&secret::is_secret));
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        let (mut text, cut) = secret::excerpt(&shown, &secrets, TRANSCRIPT_CHARS_MAX);
        if cut {
            text.push_str("\n... and more");
        }
        self.write(direction, what, text);
    }

    /// A word of ours in the record.
    pub fn remark(&mut self, text: &str) {
        let text = self.said(text);
        self.write("in", "nothing", text);
    }

    fn write(&mut self, direction: &str, what: &str, text: String) {
        if let Some((record, _)) = &mut self.record {
            if record.len() >= RECORD_ENTRIES_MAX {
                record.pop_front();
            }
            record.push_back(TranscriptEntry {
                at: now(),
                direction: direction.to_owned(),
                transport: TRANSPORT.to_owned(),
                what: what.to_owned(),
                text,
            });
        }
    }

    /// What the device says, without the secrets that it may repeat, cut to what people read.
    pub fn said(&self, text: &str) -> String {
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        said(text, &secrets)
    }

    /// A fault in the domain's words.
    pub fn fault(&self, fault: &Fault) -> fleet::southbound::Fault {
        self.told(fault.code, &fault.text)
    }

    /// A code and its words in the domain's.
    pub fn told(&self, code: FaultCode, text: &str) -> fleet::southbound::Fault {
        let text = match (text.trim(), code.name()) {
            ("", Some(name)) => name,
            ("", None) if code.is_none() => "a SOAP fault without a word",
            (text, _) => text,
        };
        fleet::southbound::Fault::new(code.0, self.said(text))
    }

    /// Why there is no answer, in the domain's words. That nothing happened is only said where
    /// nothing of the whole job did.
    pub fn failure(&self, error: AskError) -> Failure {
        let partly = |why: &str| self.said(&format!("part of it was done, and then {why}"));
        match error {
            AskError::Unsent(why) if self.touched => Failure::Lost {
                reason: partly(&why),
            },
            AskError::Refused(fault) if self.touched => Failure::Garbled {
                reason: partly(&fault.to_string()),
            },
            // It was lost over a question that came before.
            AskError::Lost(why) if self.changes && !self.touched => Failure::Unsent {
                reason: self.said(&why),
            },
            AskError::Refused(fault) => Failure::Refused {
                fault: self.fault(&fault),
                paths: fault
                    .parameters
                    .iter()
                    .map(|at| (at.name.clone(), self.told(at.code, &at.text)))
                    .collect(),
            },
            AskError::Garbled(reason) => Failure::Garbled {
                reason: self.said(&unusable(&reason)),
            },
            AskError::Lost(reason) => Failure::Lost {
                reason: self.said(&reason),
            },
            AskError::Unsent(reason) => Failure::Unsent {
                reason: self.said(&reason),
            },
        }
    }

    /// GetParameterValues.
    pub async fn values(&mut self, names: Vec<String>) -> Result<Vec<ParameterValue>, AskError> {
        let answer = self
            .ask(GetParameterValues {
                names: names.clone(),
            })
            .await;
        match (&answer, &names[..]) {
            (Err(AskError::Lost(why)), _) if Stop::is_ours(why) => {}
            (Err(AskError::Lost(_)), [object]) if object.ends_with('.') => {
                self.habits.broke_over_object(now());
            }
            (Err(AskError::Lost(_)), _) => self.habits.broke_reading(&names, now()),
            (Err(AskError::Unsent(_)), _) => {}
            (_, [name]) => self.habits.acquit(name),
            _ => {}
        }
        match answer? {
            Response::GetParameterValues(answer) => Ok(answer.parameters),
            other => Err(wrong(&other)),
        }
    }

    /// GetParameterNames.
    pub async fn names(
        &mut self,
        path: &str,
        next_level: bool,
    ) -> Result<Vec<ParameterInfoStruct>, AskError> {
        let ask = GetParameterNames {
            path: path.to_owned(),
            next_level,
        };
        let answer = self.ask(ask).await;
        match &answer {
            Err(AskError::Lost(why)) if !Stop::is_ours(why) => {
                self.habits.broke_listing(path, now());
            }
            Err(AskError::Lost(_) | AskError::Unsent(_)) => {}
            _ => self.habits.acquit(path),
        }
        match answer? {
            Response::GetParameterNames(answer) => Ok(answer.parameters),
            other => Err(wrong(&other)),
        }
    }

    /// What was taken may not be in force yet: whoever reads the transcript is told.
    fn after_restart(&mut self, status: u32) -> bool {
        if status == 1 {
            self.remark("it has taken this, and it is in force after a restart of the device");
        }
        status == 1
    }

    /// SetParameterValues; whether it is in force only after a restart.
    pub async fn set(&mut self, parameters: Vec<ParameterValue>) -> Result<bool, AskError> {
        let parameter_key = String::new();
        let count = parameters.len();
        let set = SetParameterValues {
            parameters,
            parameter_key,
        };
        let answer = self.ask(set).await;
        if let Err(AskError::Lost(why)) = &answer
            && !Stop::is_ours(why)
        {
            self.habits.broke_writing(count, now());
        }
        match answer? {
            Response::SetParameterValues(answer) => Ok(self.after_restart(answer.status)),
            other => Err(wrong(&other)),
        }
    }

    /// AddObject; the number of the new row, and whether it is in force only after a restart.
    pub async fn add(&mut self, table: &str) -> Result<(u64, bool), AskError> {
        let add = AddObject {
            object_name: table.to_owned(),
            parameter_key: String::new(),
        };
        match self.ask(add).await? {
            Response::AddObject(answer) => {
                let later = self.after_restart(answer.status);
                Ok((answer.instance_number.0, later))
            }
            other => Err(wrong(&other)),
        }
    }

    /// DeleteObject; whether the row goes only with a restart.
    pub async fn delete(&mut self, row: &str) -> Result<bool, AskError> {
        let delete = DeleteObject {
            object_name: row.to_owned(),
            parameter_key: String::new(),
        };
        match self.ask(delete).await? {
            Response::DeleteObject(answer) => Ok(self.after_restart(answer.status)),
            other => Err(wrong(&other)),
        }
    }

    /// A method whose answer says no more than that it was heard.
    pub async fn tell(&mut self, request: impl Into<Request>) -> Result<(), AskError> {
        let request = request.into();
        let method = request.method();
        let answer = self.ask(request).await?;
        if answer.method() == method {
            Ok(())
        } else {
            Err(wrong(&answer))
        }
    }

    /// Whether it is known that the device does not have a method, as one that came with a later version.
    pub fn lacks(&self, method: Method) -> bool {
        method.since() > self.version || self.habits.is_absent(method)
    }
}

/// What is wrong with an answer, for people.
pub fn unusable(why: &str) -> String {
    format!("its answer cannot be used: {why}")
}

/// An answer to something else.
fn wrong(response: &Response) -> AskError {
    AskError::Garbled(format!(
        "the answer is a {}",
        response.method().response_name()
    ))
}

#[cfg(test)]
mod tests {
    use super::super::fake::gateway;
    use super::*;

    /// `RECORD_ENTRIES_MAX`
    #[tokio::test]
    async fn what_is_said_is_held_up_to_a_limit_and_the_last_of_it_stays() {
        let database = store::testing::sqlite().await.unwrap();
        let (mut line, _asked) = gateway().line();
        let journal = Journal {
            store: database.store.clone(),
            tenant: TenantId::parse("acme").unwrap(),
            operation: OperationId(uuid::Uuid::nil()),
        };
        line.begin_record(Vec::new(), journal);
        for n in 0..2 * RECORD_ENTRIES_MAX {
            line.remark(&n.to_string());
        }
        line.after_restart(0);
        line.after_restart(1);
        let held = line.end_record();
        assert_eq!(held.len(), RECORD_ENTRIES_MAX);
        let last: Vec<&str> = held.iter().rev().map(|one| one.text.as_str()).collect();
        assert!(last[0].contains("after a restart"), "{last:?}");
        assert_eq!(last[1], (2 * RECORD_ENTRIES_MAX - 1).to_string());
    }
}
