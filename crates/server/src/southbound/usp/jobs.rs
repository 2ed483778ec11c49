//! Jobs and questions of one link: handed to the protocol, and their ends. Every job ends in
//! exactly one `Fact::Done`; whether it may have reached the device is told apart from that it
//! cannot have.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fleet::southbound::{Answer, CommandOutcome, Failure, Job, JobId, Op};
use fleet::{Fact, OperationId, Protocol};
use store::TranscriptEntry;
use tokio::sync::oneshot;
use usp::controller::{PeerError, Sent};
use usp::msg::{Msg, Response};

use super::ask::{AskError, Asker};
use super::goodbye::End;
use super::link::Running;
use super::{onboarding, transcript, translate};
use crate::southbound::registry::Parting;
use crate::state::now;

/// Who waits for an answer.
pub enum Waiting {
    /// The dispatcher.
    Job {
        /// Which job.
        id: JobId,
        /// What it asks.
        op: Op,
        /// How long the device may take.
        timeout: Duration,
        /// Where to write down what went over the wire.
        transcript: Option<Transcript>,
    },
    /// Onboarding.
    Ask(oneshot::Sender<Result<Response, AskError>>),
}

/// What is written down of a request for people.
pub struct Transcript {
    operation: OperationId,
    msg_id: String,
    /// What left, unless it is written down already.
    unwritten: Vec<TranscriptEntry>,
}

/// How a request ended.
pub enum Outcome {
    /// With an answer.
    Answered(Result<Response, PeerError>),
    /// Without one in time.
    TimedOut(Sent),
    /// With its link.
    Over(Sent, String),
    /// Before it was sent: its link cannot carry it, now or later.
    Impossible(String),
}

impl Running {
    /// Sends one record. A request that cannot be sent this way ends with that, at once.
    pub(super) async fn post(&mut self, record: Bytes) -> Result<(), End> {
        metrics::counter!("headend_usp_records_sent_total").increment(1);
        let sent = self.link.send(record.clone()).await;
        if let Some(why) = sent.map_err(End::Link)? {
            Box::pin(self.impossible(record, why)).await;
        }
        Ok(())
    }

    async fn impossible(&mut self, record: Bytes, why: String) {
        if let Some(id) = self.session.request_of(&record)
            && self.session.cancel(id).is_some()
            && let Some(waiting) = self.take(id)
        {
            self.answered(*waiting, Outcome::Impossible(why)).await;
        }
    }

    /// Hands a job to the protocol.
    pub(super) async fn job(&mut self, job: Box<Job>) {
        if !self.is_open() {
            // It would leave whenever the agent comes back, long after it was called lost.
            let Some(job) = self.core.pass_on(self.device(), Some(&self.entry), job) else {
                return;
            };
            let reason = "the agent has not announced itself, or took its leave".to_owned();
            let fact = Fact::Done {
                job: job.id,
                result: Err(Failure::Unsent { reason }),
            };
            return self.report(fact).await;
        }
        let job = *job;
        if let Op::Subscribe { .. } = &job.op {
            return self.subscribe(job);
        }
        let request = translate::request(&job.op);
        let shown = job.transcript.map(|operation| (operation, request.clone()));
        match self.session.request(Instant::now(), request, job.timeout) {
            Ok(id) => {
                if restarts(&job.op) {
                    self.entry.expect(Some(Parting::Restart));
                }
                let msg_id = self.session.msg_id(id);
                let mut transcript = shown.map(|(operation, request)| {
                    let msg = Msg::request(msg_id.clone(), request);
                    let unwritten = vec![entry(self.link.transport(), "out", msg, &job.op)];
                    Transcript {
                        operation,
                        msg_id,
                        unwritten,
                    }
                });
                // Nothing leaves before this returns: whatever becomes of this server, what changes a
                // device is written down. A read whose answer is lost is asked again.
                if let Some(kept) = transcript.as_mut().filter(|_| job.op.changes()) {
                    let out = std::mem::take(&mut kept.unwritten);
                    self.append(kept.operation, out).await;
                }
                let waiting = Waiting::Job {
                    id: job.id,
                    op: job.op,
                    timeout: job.timeout,
                    transcript,
                };
                self.waiting.push((id, Box::new(waiting)));
            }
            Err(error) => {
                let reason = error.to_string();
                let failure = match error {
                    usp::Error::LimitExceeded { limit, .. } if limit != "QUEUE_MAX" => {
                        Failure::Impossible { reason }
                    }
                    _ => Failure::Unsent { reason },
                };
                self.report(Fact::Done {
                    job: job.id,
                    result: Err(failure),
                })
                .await;
            }
        }
    }

    /// Making sure of a subscription takes several requests: it is asked like onboarding asks.
    fn subscribe(&self, job: Job) {
        let Op::Subscribe { subscription } = job.op else {
            return;
        };
        let asker = Asker::new(&self.entry, &self.core.limits);
        let (own, ends, entry) = (self.core.own.clone(), self.ends.clone(), self.entry.clone());
        tokio::spawn(async move {
            let made = onboarding::subscriptions::ensure(&asker, &own, &subscription).await;
            let result = made.map(Answer::Subscribed);
            let fact = Fact::Done {
                job: job.id,
                result,
            };
            let _ = ends
                .facts
                .send((entry.tenant.clone(), entry.device, fact))
                .await;
        });
    }

    /// Ends what waits for its turn: the agent took its leave, and when it comes again over the same
    /// link nobody counts on it any more.
    pub(super) async fn end_unsent(&mut self, reason: &str) {
        for (id, sent) in self.session.unanswered() {
            if sent == Sent::No
                && self.session.cancel(id).is_some()
                && let Some(waiting) = self.take(id)
            {
                let outcome = Outcome::Over(Sent::No, reason.to_owned());
                self.answered(*waiting, outcome).await;
            }
        }
    }

    /// Ends what waited.
    pub(super) async fn answered(&mut self, waiting: Waiting, outcome: Outcome) {
        match waiting {
            Waiting::Ask(reply) => {
                // Onboarding may have given up.
                let _ = reply.send(reply_of(outcome));
            }
            Waiting::Job {
                id,
                mut op,
                timeout,
                transcript,
            } => {
                if let Outcome::Over(Sent::No, _) | Outcome::Impossible(_) = &outcome {
                    // It is as if it had been given to the other link at once.
                    let job = Box::new(Job {
                        id,
                        op,
                        timeout,
                        transcript: transcript.as_ref().map(|kept| kept.operation),
                        over: Protocol::Usp,
                    });
                    match self.core.pass_on(self.device(), Some(&self.entry), job) {
                        Some(back) => op = back.op,
                        None => return self.passed_on(transcript, &outcome).await,
                    }
                }
                if let Some(transcript) = transcript {
                    self.write_down(transcript, &op, &outcome).await;
                }
                let result = result_of(&op, outcome);
                if restarts(&op) && refused(&result) {
                    self.entry.expect(None);
                }
                if let (
                    Op::Discover {
                        path,
                        first_level_only: false,
                    },
                    Ok(Answer::Model(model)),
                ) = (&op, &result)
                    && path == "Device."
                {
                    let (tenant, device) = (self.tenant(), self.device());
                    onboarding::keep_model(&self.core.store, tenant, device, model).await;
                }
                self.report(Fact::Done { job: id, result }).await;
            }
        }
    }

    /// Writes down that something did not leave over this link, where it was written down that it was about to.
    async fn passed_on(&self, transcript: Option<Transcript>, outcome: &Outcome) {
        let begun = transcript.filter(|kept| kept.unwritten.is_empty());
        if let (Some(kept), Outcome::Over(_, why) | Outcome::Impossible(why)) = (begun, outcome) {
            let over = self.link.transport();
            let text = format!("it was never sent this way: {why}; it goes another way");
            self.append(kept.operation, vec![remark(over, text)]).await;
        }
    }

    /// Writes down what came back, with what is not written yet, before anybody hears of the end.
    async fn write_down(&self, transcript: Transcript, op: &Op, outcome: &Outcome) {
        let Transcript {
            operation,
            msg_id,
            unwritten: mut entries,
        } = transcript;
        let over = self.link.transport();
        let back = match outcome {
            Outcome::Answered(Ok(response)) => {
                entry(over, "in", Msg::response(msg_id, response.clone()), op)
            }
            Outcome::Answered(Err(PeerError::Refused(error))) => {
                entry(over, "in", Msg::error(msg_id, error.clone()), op)
            }
            Outcome::Answered(Err(error)) => remark(over, error.to_string()),
            Outcome::TimedOut(Sent::Yes) => remark(over, "no answer came in time".to_owned()),
            Outcome::TimedOut(Sent::No) | Outcome::Over(Sent::No, _) => {
                remark(over, "it was never sent".to_owned())
            }
            Outcome::Over(Sent::Yes, why) => remark(over, format!("no answer came: {why}")),
            Outcome::Impossible(why) => remark(over, format!("it was never sent: {why}")),
        };
        entries.push(back);
        self.append(operation, entries).await;
    }

    async fn append(&self, operation: OperationId, entries: Vec<TranscriptEntry>) {
        let written = self
            .core
            .store
            .transcript_append(self.tenant(), operation, entries)
            .await;
        if let Err(error) = written {
            tracing::warn!(%error, %operation, "a transcript could not be written");
        }
    }
}

/// Whether the device leaves when it does this.
fn restarts(op: &Op) -> bool {
    matches!(op, Op::Operate { command, .. } if fleet::operation::restarts(command))
}

/// Whether a command certainly does not run.
fn refused(result: &Result<Answer, Failure>) -> bool {
    match result {
        Ok(Answer::Operated(results)) => results
            .iter()
            .all(|one| matches!(one.outcome, CommandOutcome::Failed { .. })),
        Ok(_) | Err(Failure::Lost { .. }) => false,
        Err(_) => true,
    }
}

fn entry(over: &str, direction: &str, msg: Msg, op: &Op) -> TranscriptEntry {
    TranscriptEntry {
        at: now(),
        direction: direction.to_owned(),
        transport: over.to_owned(),
        what: format!("{:?}", msg.body.msg_type()),
        text: transcript::text(msg, &fleet::secret::told(op)),
    }
}

fn remark(over: &str, text: String) -> TranscriptEntry {
    let text = transcript::said(&text, &[]);
    TranscriptEntry {
        at: now(),
        direction: "in".to_owned(),
        transport: over.to_owned(),
        what: "nothing".to_owned(),
        text,
    }
}

fn reply_of(outcome: Outcome) -> Result<Response, AskError> {
    match outcome {
        Outcome::Answered(Ok(response)) => Ok(response),
        Outcome::Answered(Err(PeerError::Refused(mut error))) => {
            error.message = transcript::said(&error.message, &[]);
            Err(AskError::Refused(error))
        }
        Outcome::Answered(Err(PeerError::Disconnected)) => {
            Err(AskError::Gone("the agent took its leave".to_owned()))
        }
        Outcome::Answered(Err(error)) => Err(AskError::Garbled(error.to_string())),
        Outcome::TimedOut(_) => Err(AskError::TimedOut),
        Outcome::Over(_, why) => Err(AskError::Gone(why)),
        Outcome::Impossible(why) => Err(AskError::Garbled(format!("it cannot be sent: {why}"))),
    }
}

fn result_of(op: &Op, outcome: Outcome) -> Result<Answer, Failure> {
    match outcome {
        Outcome::Answered(Ok(response)) => translate::answer(op, response),
        Outcome::Answered(Err(PeerError::Refused(error))) => {
            Err(translate::refused(fleet::secret::told(op), &error))
        }
        Outcome::Answered(Err(error @ PeerError::Disconnected)) => Err(Failure::Lost {
            reason: error.to_string(),
        }),
        Outcome::Answered(Err(error)) => Err(Failure::Garbled {
            reason: error.to_string(),
        }),
        Outcome::TimedOut(Sent::Yes) => Err(Failure::Lost {
            reason: "the device did not answer in time".to_owned(),
        }),
        Outcome::TimedOut(Sent::No) => Err(Failure::Unsent {
            reason: "the device took nothing in time, it was never sent".to_owned(),
        }),
        Outcome::Over(Sent::Yes, reason) => Err(Failure::Lost { reason }),
        Outcome::Over(Sent::No, reason) => Err(Failure::Unsent { reason }),
        Outcome::Impossible(reason) => Err(Failure::Impossible { reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get() -> Op {
        Op::Get {
            paths: vec!["Device.".into()],
            max_depth: 0,
        }
    }

    #[test]
    fn what_may_have_reached_the_device_is_lost_and_what_cannot_is_unsent() {
        let over = |sent| result_of(&get(), Outcome::Over(sent, "gone".into()));
        assert!(matches!(over(Sent::Yes), Err(Failure::Lost { .. })));
        assert!(matches!(over(Sent::No), Err(Failure::Unsent { .. })));
        let late = |sent| result_of(&get(), Outcome::TimedOut(sent));
        assert!(matches!(late(Sent::Yes), Err(Failure::Lost { .. })));
        assert!(matches!(late(Sent::No), Err(Failure::Unsent { .. })));
        let left = result_of(&get(), Outcome::Answered(Err(PeerError::Disconnected)));
        assert!(matches!(left, Err(Failure::Lost { .. })));
    }

    #[test]
    fn an_answer_of_another_kind_is_garbled() {
        let wrong = Response::SetResp(usp::msg::SetResp::default());
        let result = result_of(&get(), Outcome::Answered(Ok(wrong)));
        assert!(matches!(result, Err(Failure::Garbled { .. })));
    }
}
