//! What is said in a session: the Inform is stored, a device that is not known yet gets known, the
//! work that waits for it is done, and then the device may go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dm::mapping::Mapping;
use fleet::southbound::{Failure, Job, Op};
use fleet::{Fact, Protocol};
use store::{ValueSource, ValueUpdate};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::conversation::desk::{Desk, key};
use super::conversation::inform::{self, Heard};
use super::conversation::limits::LAST_LESSON_TIME_MAX;
use super::conversation::onboard::{self, Need};
use super::conversation::talk::Talk;
use super::conversation::{jobs, said, twins};
use super::core::{Command, Core, Entry, Stop};
use super::cpe::{Cpe, Opening};
use crate::southbound::usp::recorder::firmware_changed;
use crate::state::now;

/// Why a session ends in which nothing is left to be done, or nobody is left to ask.
const DONE: &str = "the session ended";

/// Converses with a device during one session, which mostly waits: its parts are boxed, and take
/// memory while they are at work. When it returns, the session ends. An Inform that
/// cannot be stored is not answered: the device says it again.
pub async fn converse(
    core: Arc<Core>,
    opening: Opening,
    cpe: Cpe,
    mut commands: mpsc::Receiver<Command>,
) {
    let (tenant, device) = (opening.guest.tenant.clone(), opening.guest.device);
    attempt(&core, opening, cpe, &mut commands).await;
    // Where it did not come to the work, what was to be done is not.
    commands.close();
    while let Ok(command) = commands.try_recv() {
        if let Command::Job(job) = command {
            let reason = "the session ended before the work could begin";
            core.unsent(&tenant, device, &job, reason);
        }
    }
}

async fn attempt(
    core: &Arc<Core>,
    opening: Opening,
    cpe: Cpe,
    commands: &mut mpsc::Receiver<Command>,
) {
    let (tenant, device) = (opening.guest.tenant.clone(), opening.guest.device);
    let seen = opening.seen;
    let desk = match Desk::open(core.clone(), tenant, device, seen).await {
        Ok(mut desk) => {
            desk.name = super::name::of(&opening.inform.device_id);
            Arc::new(desk)
        }
        Err(error) => {
            tracing::warn!(%error, %device, "what is known of a device cannot be read; it will come again");
            return;
        }
    };
    let Opening {
        guest,
        entry,
        mut inform,
        version,
        at,
        stored,
        said,
        ..
    } = opening;
    let mut talk = Talk::begin(desk.clone(), cpe, version, &inform);
    let mut heard = match Box::pin(hear(&mut talk, &inform, at)).await {
        Ok(heard) => heard,
        Err(error) => {
            tracing::warn!(%error, %device, "an Inform could not be stored; the device will say it again");
            return;
        }
    };
    // The session may be over by now.
    let _ = stored.send(heard.left_out.take());
    // It may be large, and a session long: what it says is stored.
    let who = std::mem::take(&mut inform.device_id);
    drop(inform);
    let work = async {
        let reason = work(
            &mut talk,
            commands,
            &entry,
            &who,
            &heard,
            guest.wants_credential,
        )
        .await;
        // It has had its say and all its questions: with the empty answer that follows it is through.
        let whole = reason == DONE && !commands.is_closed();
        if whole && heard.once {
            said_once(&desk).await;
        }
        commands.close();
        while let Ok(command) = commands.try_recv() {
            if let Command::Job(job) = command {
                unsent(&desk, *job, &reason).await;
            }
        }
        let (over, at) = (Protocol::Cwmp, now());
        desk.report(Fact::Disconnected { over, at, reason }).await;
        // Nothing more is asked: the device may go when it has said all.
        drop(talk);
    };
    tokio::join!(work, said::serve(&desk, said));
}

async fn unsent(desk: &Desk, job: Job, reason: &str) {
    let reason = reason.to_owned();
    let result = Err(Failure::Unsent { reason });
    desk.report(Fact::Done {
        job: job.id,
        result,
    })
    .await;
}

/// What its Inform says is said, and heard: the same once more is another time that it happened. Not while it is to start
/// anew: where it has not heard the last answer, it says all again, and that would be the proof.
async fn said_once(desk: &Desk) {
    {
        let mut memory = desk.memory();
        if memory.restarts() {
            return;
        }
        memory.events = Default::default();
    }
    if let Err(error) = desk.remember().await {
        tracing::warn!(%error, device = %desk.device, "that a device has said something cannot be stored");
    }
}

/// Stores what an Inform says.
async fn hear(
    talk: &mut Talk,
    inform: &::cwmp::rpc::Inform,
    at: fleet::Timestamp,
) -> store::Result<Heard> {
    let desk = talk.desk.clone();
    let quirks = talk.line.quirks.clone();
    let mut heard = inform::hear(inform, &mut desk.memory(), &quirks);
    let news = std::mem::take(&mut heard.news);
    let mapping: Option<&Mapping> = match inform::needs_mapping(&news) {
        true => talk
            .at_hand()
            .await?
            .and_then(|known| known.mapping.as_deref()),
        false => None,
    };
    let values = inform::in_tr181(&news, mapping);
    heard.parts = mapping.map_or_else(BTreeMap::new, |mapping| twins::parts(mapping, news));
    if heard.changed {
        let paths: Vec<String> = values.keys().cloned().collect();
        let known = desk
            .store()
            .value_of(&desk.tenant, desk.device, &paths)
            .await?;
        let known = known.into_iter().map(|one| (one.path, one.value)).collect();
        heard.notices.extend(inform::changes(&values, &known));
    }
    let notices = std::mem::take(&mut heard.notices);
    let again = key(&[b"inform", &at.as_millis().to_le_bytes()]);
    desk.tell(at, notices, again).await?;
    let shown: Vec<(String, String)> = values
        .into_iter()
        .map(|(path, value)| {
            let value = fleet::secret::kept(&path, value);
            (path, value)
        })
        .collect();
    if !shown.is_empty() {
        let update = ValueUpdate::of(shown, ValueSource::Notified, at);
        let (changed, left) = desk.keep(update, at).await?;
        heard.left_out = (left > 0).then(|| {
            let most = store::limits::VALUES_PER_DEVICE_MAX;
            format!("{left} new values of the Inform are not kept, since {most} are known")
        });
        if let Some(changed) = changed {
            firmware_changed(desk.store(), &desk.tenant, desk.device, &changed).await;
        }
    }
    if heard.bootstrap {
        // Stored with what follows: the device says it once, and it has to be got to know anew, in
        // whichever session there is room for that.
        desk.memory().complete = false;
        desk.memory().tried();
    }
    if heard.reset {
        // What was listed of it may be gone with the rest.
        desk.memory().walked = None;
    }
    if heard.bootstrap || heard.upgraded {
        // It may take now what it did not before.
        desk.memory().refused_credential = None;
    }
    let ended = std::mem::take(&mut heard.ended);
    desk.ended(at, ended).await?;
    Ok(heard)
}

/// Does what there is to do. Why it ended, for people.
async fn work(
    talk: &mut Talk,
    commands: &mut mpsc::Receiver<Command>,
    entry: &Entry,
    who: &::cwmp::rpc::DeviceId,
    heard: &Heard,
    wants_credential: bool,
) -> String {
    const EARLY: &str = "the device cannot be asked yet";
    let need = {
        let memory = talk.desk.memory();
        Need {
            everything: !memory.complete,
            structure: heard.upgraded || memory.complete && memory.walked.is_some(),
            credential: wants_credential && memory.may_take_credential(now()),
        }
    };
    let desk = talk.desk.clone();
    let pauses = now().as_millis() < desk.memory().paused_until;
    let gets_to_know = need.any() && !pauses && !desk.core.limits.onboard_time_max.is_zero();
    if (gets_to_know || heard.diagnostics || !heard.parts.is_empty())
        && let Err(error) = Box::pin(talk.prepare()).await
    {
        return format!("the database does not answer: {error}");
    }
    if gets_to_know {
        let stopped = {
            let mut getting_to_know = Box::pin(onboard::run(talk, who, need));
            let mut over = false;
            loop {
                tokio::select! {
                    () = &mut getting_to_know => break None,
                    command = commands.recv(), if !over => match command {
                        Some(Command::Stop(why)) => {
                            // A stop does not wait for it. But where the device came anew, the
                            // question that is out may have broken it, and failing teaches that.
                            if matches!(why, Stop::Replaced(_)) {
                                let lesson = LAST_LESSON_TIME_MAX;
                                _ = tokio::time::timeout(lesson, &mut getting_to_know).await;
                            }
                            break Some(why.words());
                        }
                        // Nobody knows of this session yet.
                        Some(Command::Job(job)) => unsent(&desk, *job, EARLY).await,
                        Some(Command::Rest) => {}
                        // What is asked now fails at once, which teaches something.
                        None => over = true,
                    },
                }
            }
        };
        if let Some(reason) = stopped {
            return reason;
        }
    }
    if heard.diagnostics
        && let Err(error) = Box::pin(jobs::look(talk, true)).await
    {
        tracing::debug!(%error, device = %talk.desk.device, "results of a diagnostic could not be read");
    }
    if !heard.parts.is_empty() {
        Box::pin(twins::complete(talk, &heard.parts, heard.changed)).await;
    }
    // Said to an earlier session, or before anybody could be asked.
    loop {
        match commands.try_recv() {
            Ok(Command::Job(job)) => unsent(&desk, *job, EARLY).await,
            Ok(Command::Stop(why)) => return why.words(),
            Ok(Command::Rest) => {}
            Err(TryRecvError::Empty) => break,
            // It broke off meanwhile: nobody can be asked any more.
            Err(TryRecvError::Disconnected) => return DONE.to_owned(),
        }
    }
    let (over, at) = (Protocol::Cwmp, now());
    entry.tells(at);
    desk.report(Fact::Connected { over, at }).await;
    // Somebody asked it to come.
    let mut lingers = heard.called;
    let limits = &desk.core.limits;
    let mut wait = limits.work_wait_max;
    let mut rests = false;
    loop {
        match tokio::time::timeout(wait, commands.recv()).await {
            Ok(Some(Command::Job(job))) => {
                lingers &= !leaves(&job.op);
                Box::pin(jobs::run(talk, *job)).await;
                (wait, rests) = (limits.work_wait_max, false);
            }
            // What came behind it is not turned away.
            Ok(Some(Command::Rest)) if rests => {}
            Ok(Some(Command::Rest)) => {
                rests = true;
                wait = if lingers {
                    limits.linger
                } else {
                    Duration::ZERO
                };
            }
            Ok(Some(Command::Stop(why))) => return why.words(),
            Ok(None) => return DONE.to_owned(),
            Err(_) if rests => return DONE.to_owned(),
            Err(_) => return "nothing was asked for too long".to_owned(),
        }
    }
}

/// What the device does after its session.
fn leaves(op: &Op) -> bool {
    matches!(op, Op::Operate { .. })
}
