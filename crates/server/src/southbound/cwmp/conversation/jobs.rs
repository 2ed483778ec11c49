//! Jobs of the dispatcher, one after the other: each ends in exactly one `Fact::Done`.

use cwmp::fault::FaultCode;
use fleet::southbound::{
    Answer, CommandOutcome, CommandResult, Failure, Job, ObjectSettings, Op, WriteResult,
};
use fleet::{Fact, OperationId, Protocol};
use store::TranscriptEntry;

use super::super::AskError;
use super::desk::Desk;
use super::limits::PENDING_MAX;
use super::line::Journal;
use super::operate::{self, Plan, Taken};
use super::talk::{Talk, unsent};
use super::{get, instances, model, onboard, requests, rows, subscribe, twins, write};
use crate::state::now;

/// Does a job and reports its end.
pub async fn run(talk: &mut Talk, job: Job) {
    let Job {
        id, op, transcript, ..
    } = job;
    talk.line.begin(matches!(
        &op,
        Op::Set { .. }
            | Op::Add { .. }
            | Op::Delete { .. }
            | Op::Operate { .. }
            | Op::Subscribe { .. }
    ));
    let looked = matches!(&op, Op::Get { paths, .. } if requests::asks_for(paths));
    if let Some(operation) = transcript {
        let secrets = fleet::secret::told(&op).into_iter().map(str::to_owned);
        let journal = Journal {
            store: talk.desk.store().clone(),
            tenant: talk.desk.tenant.clone(),
            operation,
        };
        talk.line.begin_record(secrets.collect(), journal);
    }
    let result = match talk.prepare().await {
        Ok(()) => answer(talk, &op).await,
        Err(error) => Err(Failure::Unsent {
            reason: format!("the database does not answer: {error}"),
        }),
    };
    let entries = talk.line.end_record();
    if let Some(operation) = transcript {
        write_down(&talk.desk, operation, entries).await;
    }
    let renews = talk.has_changed() && !talk.desk.memory().subscriptions.is_empty();
    if !renews {
        talk.keep().await;
    }
    let looked = looked && result.is_ok();
    talk.desk.report(Fact::Done { job: id, result }).await;
    if looked {
        // It has said all before it answered.
        let (over, at) = (Protocol::Cwmp, now());
        talk.desk.report(Fact::SaidAll { over, at }).await;
    }
    if renews {
        // The job is done: nobody waits for it, and what the device does not take of it is no matter of this job.
        talk.line.begin(false);
        _ = subscribe::renew(talk).await;
        talk.keep().await;
    }
}

async fn write_down(desk: &Desk, operation: OperationId, entries: Vec<TranscriptEntry>) {
    if entries.is_empty() {
        return;
    }
    let written = desk
        .store()
        .transcript_append(&desk.tenant, operation, entries)
        .await;
    if let Err(error) = written {
        tracing::warn!(%error, %operation, "a transcript could not be written");
    }
}

async fn answer(talk: &mut Talk, op: &Op) -> Result<Answer, Failure> {
    match op {
        Op::Get { paths, .. } if requests::asks_for(paths) => {
            match look(talk, false).await {
                Ok(()) => {}
                Err(error) => return Err(talk.line.failure(error)),
            }
            let memory = talk.desk.memory();
            Ok(Answer::Values(requests::answer(&memory, paths)))
        }
        _ if subscribe::is_about(op) => subscribe::run(talk, op).await,
        Op::Operate { command, key, args } => {
            let outcome = command_of(talk, command, key, args).await?;
            Ok(Answer::Operated(vec![CommandResult {
                command: command.clone(),
                outcome,
            }]))
        }
        Op::Discover {
            path,
            first_level_only,
        } => discover(talk, path, *first_level_only).await,
        _ => structured(talk, op).await,
    }
}

/// What is asked by paths alone.
async fn structured(talk: &mut Talk, op: &Op) -> Result<Answer, Failure> {
    let (line, known) = match talk.known().await {
        Ok(known) => known,
        Err(error) => return Err(talk.line.failure(error)),
    };
    match op {
        Op::Get { paths, max_depth } => match get::got(line, known, paths, *max_depth).await {
            Ok(got) => {
                twins::learn(talk, &got).await;
                Ok(Answer::Values(got.results))
            }
            Err(error) => Err(line.failure(error)),
        },
        Op::Instances {
            paths,
            first_level_only,
        } => match instances::instances(line, known, paths, *first_level_only).await {
            Ok(results) => Ok(Answer::Instances(results)),
            Err(error) => Err(line.failure(error)),
        },
        Op::Set {
            objects,
            allow_partial,
        } => {
            let results = write::set(line, known, objects, *allow_partial).await?;
            interval(&talk.desk, objects, &results).await;
            Ok(Answer::Set(results))
        }
        Op::Add {
            objects,
            allow_partial,
        } => rows::add(line, known, objects, *allow_partial)
            .await
            .map(Answer::Added),
        Op::Delete {
            paths,
            allow_partial,
        } => rows::delete(line, known, paths, *allow_partial)
            .await
            .map(Answer::Deleted),
        Op::Operate { .. } | Op::Discover { .. } | Op::Subscribe { .. } => Err(Failure::Unsent {
            reason: "this is asked another way".to_owned(),
        }),
    }
}

/// Another interval at which the device comes is when it is missed.
async fn interval(desk: &Desk, objects: &[ObjectSettings], results: &[WriteResult]) {
    let set: Vec<(String, &str)> = objects
        .iter()
        .flat_map(|object| {
            let path = |name: &str| format!("{}{name}", object.object);
            let settings = object.settings.iter();
            settings.map(move |setting| (path(&setting.name), setting.value.as_str()))
        })
        .collect();
    let is_done = |path: &str| {
        let mut results = results.iter();
        results.any(|one| one.path == path && one.result.is_ok())
    };
    let done = set.iter().filter(|(path, _)| is_done(path));
    let done = done.map(|(path, value)| (path.as_str(), *value));
    if let Err(error) = super::management::expect(desk, done).await {
        tracing::warn!(%error, device = %desk.device, "the interval of a device could not be written");
    }
}

/// Looks what became of running commands, and tells what has ended. `told`: the device has said that
/// a diagnostic is over.
pub async fn look(talk: &mut Talk, told: bool) -> Result<(), AskError> {
    let before = talk.desk.memory().clone();
    let mut after = before.clone();
    let (line, known) = talk.known().await?;
    let firmware = before.software.clone();
    let ended = requests::look(line, known, &mut after, &firmware, told, now()).await?;
    let ended = talk.desk.merge(&before, &after, ended);
    talk.desk.ended(now(), ended).await.map_err(unsent)
}

async fn command_of(
    talk: &mut Talk,
    command: &str,
    key: &str,
    args: &std::collections::BTreeMap<String, String>,
) -> Result<CommandOutcome, Failure> {
    let firmware = talk.desk.memory().software.clone();
    let desk = talk.desk.clone();
    let (line, known) = match talk.known().await {
        Ok(known) => known,
        Err(error) => return Err(talk.line.failure(error)),
    };
    let plan = match operate::plan(line, known, command, key, args, &firmware).await {
        Ok(plan) => plan,
        Err(error) => return Err(line.failure(error)),
    };
    match &plan {
        Plan::Cancel(row) => {
            let before = desk.memory().clone();
            let mut after = before.clone();
            let stopped = requests::cancel(line, known, &mut after, *row).await;
            let (outcome, ended) = match stopped {
                Ok(stopped) => stopped,
                Err(error) => return Err(line.failure(error)),
            };
            let ended = desk.merge(&before, &after, ended.into_iter().collect());
            if let Err(error) = desk.ended(now(), ended).await {
                return Err(line.failure(unsent(error)));
            }
            return Ok(outcome);
        }
        Plan::Method(_, work) | Plan::Either(_, work) | Plan::Diagnostics(_, work) => {
            // Whatever becomes of this server: that it was asked is known to the next one.
            let begun = desk.memory().begin(command, key, work.clone(), now());
            if begun.is_none() {
                let words = format!(
                    "limit PENDING_MAX: the device works on {PENDING_MAX} commands that have not come to their end; cancel one of them, or let it start again"
                );
                let fault = get::fault(FaultCode::RESOURCES_EXCEEDED, words);
                let paths = Vec::new();
                return Err(Failure::Refused { fault, paths });
            }
            if let Err(error) = desk.remember().await {
                desk.memory().end(key);
                return Err(line.failure(unsent(error)));
            }
        }
        Plan::No(_) | Plan::Question(_) => {}
    }
    let row = {
        let memory = desk.memory();
        let pending = memory.pending.iter().find(|pending| pending.key == key);
        pending.map(|pending| requests::path(pending.row))
    };
    let taken = operate::ask(line, known, plan).await;
    let result = match taken {
        Taken::Running => {
            desk.memory().accepted(key);
            Ok(CommandOutcome::Accepted {
                request: row.unwrap_or_default(),
            })
        }
        Taken::Restarts => {
            desk.memory().accepted(key);
            let outputs = std::collections::BTreeMap::new();
            Ok(CommandOutcome::Done { outputs })
        }
        Taken::Ended(outcome) => {
            desk.memory().end(key);
            Ok(outcome)
        }
        Taken::Unknown(failure) => {
            if let Failure::Unsent { .. } | Failure::Refused { .. } = failure {
                desk.memory().end(key);
            }
            Err(failure)
        }
    };
    if let Err(error) = desk.remember().await {
        tracing::warn!(%error, device = %desk.device, "what a device works on could not be written");
    }
    result
}

/// Asks for the structure again; the model is what it makes.
async fn discover(talk: &mut Talk, path: &str, first_level_only: bool) -> Result<Answer, Failure> {
    // As large as getting to know a device, and with it no more at once than there is room for.
    let core = talk.desk.core.clone();
    let slot = core.onboardings.take(&talk.desk.tenant);
    let Ok(_slot) = tokio::time::timeout(core.limits.onboard_wait_max, slot).await else {
        return Err(Failure::Unsent {
            reason: "too many devices are asked for their structure at once".to_owned(),
        });
    };
    let (_, known) = match talk.discover().await {
        Ok(known) => known,
        Err(error) => return Err(talk.line.failure(error)),
    };
    let mut model = model::model(known);
    if path == "Device." && !first_level_only {
        onboard::keep_model(&talk.desk, &model).await;
    } else {
        let depth = |text: &str| text.matches('.').count();
        let shape = fleet::model::supported(path);
        model.objects.retain(|object, _| {
            object.starts_with(&shape) && (!first_level_only || depth(object) <= depth(&shape) + 1)
        });
    }
    Ok(Answer::Model(Box::new(model)))
}
