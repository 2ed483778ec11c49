//! Getting to know a device: protocol, identities, supported model, subscriptions, first values,
//! its own credential. Each step looks at what is there already, so that it can stop anywhere and
//! be done again, by the same link or a later one.

pub mod identify;
pub mod model;
pub mod services;
pub mod subscriptions;
pub mod swap;
pub mod values;

use std::sync::Arc;
use std::time::Duration;

use fleet::device::OnboardingState;
use fleet::model::{Model, model_key};
use fleet::{DeviceId, EventKind, Protocol, TenantId, Timestamp};
use identify::Told;
use model::Known;
use serde_json::json;
use store::{DevicePatch, Store};
use swap::{OwnRow, Swapped};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use usp::msg::{self, Response};
use usp::{Version, Versions};

use super::adapter::{Core, Ends};
use super::ask::{AskError, Asker};
use super::limits::{ONBOARD_NOTES_MAX, SWAP_WAIT};
use super::link::Command;
use super::settle::event;
use super::transcript;
use crate::state::now;

/// One onboarding.
pub struct Job {
    /// What all links share.
    pub core: Arc<Core>,
    /// Keeps the server waiting for it when it stops.
    pub _ends: Ends,
    /// Whose device.
    pub tenant: TenantId,
    /// Over which transport it is linked.
    pub transport: &'static str,
    /// The way to it.
    pub asker: Asker,
    /// It was never onboarded to the end: read everything.
    pub unfinished: bool,
    /// The path it came with, empty over MQTT, when it needs a token of its own.
    pub swap: Option<String>,
    /// It is heard through a broker of somebody else, and perhaps by other nodes, too.
    pub brokered: bool,
    /// The last time another node was about to give it one.
    pub elsewhere: bool,
    /// OUI, product class and serial number, as it introduced itself.
    pub introduced: Option<(String, String, String)>,
    /// The version of the protocol that its records allow.
    pub stamped: Version,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Ended {
    /// Everything was done that the device lets us do.
    pub complete: bool,
    /// What became of its own credential, where that was gone about to the end.
    pub swap: Option<Swapped>,
    /// No other node gives it one, because this one was about to.
    pub claimed: bool,
    /// It is a device that was registered before; its link has to begin anew.
    pub merged: bool,
}

/// Where and why it stopped.
pub struct Stopped {
    step: &'static str,
    reason: String,
    gone: bool,
}

impl Stopped {
    fn at(step: &'static str) -> impl FnOnce(AskError) -> Self {
        move |error| Self {
            step,
            reason: error.to_string(),
            gone: error.is_gone(),
        }
    }

    fn late(time_max: Duration) -> Self {
        Self {
            step: "time",
            reason: format!("limit ONBOARD_TIME_MAX: it took more than {time_max:?}"),
            gone: false,
        }
    }

    fn store(step: &'static str) -> impl FnOnce(store::Error) -> Self {
        move |error| Self {
            step,
            reason: error.to_string(),
            gone: false,
        }
    }
}

/// Steps that a device did not take, for people.
#[derive(Default)]
pub struct Notes(Vec<String>);

impl Notes {
    /// One more.
    pub fn add(&mut self, note: impl Into<String>) {
        if self.0.len() < ONBOARD_NOTES_MAX {
            self.0.push(transcript::said(&note.into(), &[]));
        }
    }
}

impl Job {
    fn device(&self) -> DeviceId {
        self.asker.device
    }

    fn store(&self) -> &Store {
        &self.core.store
    }
}

/// Tells the link of the end of its onboarding, also when that was a defect of ours: the link would
/// wait for it for ever, and its operations with it.
struct Promise {
    inbox: Option<mpsc::Sender<Command>>,
    device: DeviceId,
}

impl Promise {
    async fn keep(mut self, ended: Ended) {
        if let Some(inbox) = self.inbox.take() {
            // The link may be gone.
            let _ = inbox.send(Command::Worked(Box::new(ended))).await;
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let Some(inbox) = self.inbox.take().filter(|inbox| !inbox.is_closed()) else {
            return;
        };
        metrics::counter!("headend_onboardings_total", "result" => "defect").increment(1);
        tracing::error!(device = %self.device, "onboarding ended by a defect; it will be tried again");
        let worked = Command::Worked(Box::default());
        if let (Err(mpsc::error::TrySendError::Full(worked)), Ok(runtime)) =
            (inbox.try_send(worked), Handle::try_current())
        {
            runtime.spawn(async move { inbox.send(worked).await });
        }
    }
}

/// Runs an onboarding and tells the link.
pub async fn run(job: Box<Job>) {
    let promise = Promise {
        inbox: Some(job.asker.inbox.clone()),
        device: job.device(),
    };
    let mut ended = Ended::default();
    let permit = tokio::select! {
        permit = job.core.onboardings.take(&job.tenant) => permit,
        () = job.asker.inbox.closed() => return,
    };
    let time_max = job.core.limits.onboard_time_max;
    let outcome = tokio::time::timeout(time_max, steps(&job, &mut ended)).await;
    let late = outcome.is_err();
    let outcome = outcome.unwrap_or_else(|_| Err(Stopped::late(time_max)));
    drop(permit);
    if late && ended.claimed {
        // It did not say whether it takes its new credential, and is not leaving for it.
        for link in job.core.links.of(job.device()) {
            link.expect(None);
        }
    }
    if ended.claimed && ended.swap != Some(Swapped::Given) {
        swap::give_up(&job).await;
    }
    let result = match &outcome {
        Ok(()) => "complete",
        Err(stopped) if stopped.gone => "interrupted",
        Err(_) => "failed",
    };
    metrics::counter!("headend_onboardings_total", "result" => result).increment(1);
    if let Err(stopped) = outcome
        && !stopped.gone
    {
        let (tenant, device) = (&job.tenant, job.device());
        tracing::info!(%device, step = stopped.step, reason = stopped.reason, "onboarding stopped");
        let event = event(tenant, device, EventKind::DeviceOnboardingFailed).data(
            json!({ "step": stopped.step, "reason": transcript::said(&stopped.reason, &[]) }),
        );
        if let Err(error) = job.store().event_append(tenant, vec![event]).await {
            tracing::warn!(%error, %device, "a failed onboarding could not be written to the log");
        }
    }
    if ended.swap == Some(Swapped::Given) {
        // Agents that reconnect for their new credential do so now.
        tokio::select! {
            () = job.asker.inbox.closed() => {}
            () = tokio::time::sleep(SWAP_WAIT) => {}
        }
    }
    promise.keep(ended).await;
}

async fn steps(job: &Job, ended: &mut Ended) -> Result<(), Stopped> {
    let (asker, store) = (&job.asker, job.store());
    let (tenant, device) = (&job.tenant, job.device());
    let mut notes = Notes::default();

    let ours = Versions::default();
    let version = match asker.ask(msg::get_supported_protocol(&ours)).await {
        Ok(Response::GetSupportedProtocolResp(theirs)) => {
            ours.best(&theirs.agent_supported_protocol_versions)
        }
        Err(error) if error.is_over() => return Err(Stopped::at("protocol")(error)),
        // Agents before 1.0 of the request's time answer 7001; their records say enough.
        _ => None,
    };
    let version = version.unwrap_or(job.stamped).to_string();

    let known = store
        .device(tenant, device)
        .await
        .map_err(Stopped::store("registry"))?;
    // Two links of a new device come together, and the other one was faster.
    let device_is_known = known.device.onboarding == OnboardingState::Complete;
    if (job.unfinished || job.elsewhere) && device_is_known && !known.models.usp.is_empty() {
        let own = match job.swap {
            Some(_) => own_row(job).await?,
            None => None,
        };
        return swap_key(job, own, ended).await;
    }
    let Told {
        description,
        started,
    } = identify::describe(job, &mut notes).await?;
    let another = |at: &Timestamp| identify::is_another_start(known.device.booted_at, *at);
    let patch = DevicePatch {
        boot: started.filter(another).map(|at| (at, String::new())),
        protocol_version: (known.protocol_version != version).then_some(version),
        ..DevicePatch::default()
    };
    if patch != DevicePatch::default() {
        store
            .device_update(tenant, device, patch, now(), Vec::new())
            .await
            .map_err(Stopped::store("registry"))?;
    }
    if identify::attach(job, &description, &mut notes).await? {
        ended.merged = true;
        return Ok(());
    }

    let kind = model_key(&description, Protocol::Usp, device);
    let mut found = model::known(job, &kind, &mut notes).await?;
    let fresh = known.models.usp != found.key;
    if fresh || !found.cached {
        note_model(job, &found).await?;
    }

    subscriptions::all(job, &found.model, &mut notes).await?;
    if services::are_possible(&found.model) {
        // A service may have come before we were subscribed to that.
        let again = model::known(job, &kind, &mut notes).await?;
        if again.key != found.key {
            note_model(job, &again).await?;
            found = again;
        }
    }
    let model = found.model;
    if job.unfinished || fresh {
        values::first(job, &model, &mut notes).await?;
    }
    let own = own_row(job).await?;
    swap::onboarded(asker, own.as_ref(), &model, &mut notes)
        .await
        .map_err(Stopped::at("done"))?;

    if job.unfinished {
        let patch = DevicePatch {
            onboarding: Some(OnboardingState::Complete),
            ..DevicePatch::default()
        };
        let done = event(tenant, device, EventKind::DeviceOnboarded).data(json!({
            "model": description.model,
            "software_version": description.software_version,
            "notes": notes.0,
        }));
        store
            .device_update(tenant, device, patch, now(), vec![done])
            .await
            .map_err(Stopped::store("registry"))?;
    }
    swap_key(job, own, ended).await
}

async fn own_row(job: &Job) -> Result<Option<OwnRow>, Stopped> {
    let read = swap::own_row(&job.asker, &job.core.own).await;
    read.map_err(Stopped::at("controller"))
}

/// Last, because the agent may drop its links for it.
async fn swap_key(job: &Job, own: Option<OwnRow>, ended: &mut Ended) -> Result<(), Stopped> {
    ended.complete = true;
    if let Some(path) = &job.swap {
        ended.swap = swap::credential(job, own.as_ref(), path, &mut ended.claimed).await?;
    }
    Ok(())
}

/// The device is of this model.
async fn note_model(job: &Job, found: &Known) -> Result<(), Stopped> {
    let patch = DevicePatch {
        model: Some((Protocol::Usp, found.key.clone())),
        ..DevicePatch::default()
    };
    let told = event(&job.tenant, job.device(), EventKind::DeviceModelDiscovered)
        .data(json!({ "objects": found.model.objects.len(), "cached": found.cached }));
    let device = job.device();
    let noted = job
        .store()
        .device_update(&job.tenant, device, patch, now(), vec![told]);
    noted.await.map_err(Stopped::store("model")).map(drop)
}

/// Keeps a model that was discovered by hand.
pub async fn keep_model(store: &Store, tenant: &TenantId, device: DeviceId, model: &Model) {
    let kept = async {
        let record = store.device(tenant, device).await?;
        let kind = model_key(&record.device.description, Protocol::Usp, device);
        // With services of its own it speaks for itself alone.
        let key = match record.models.usp {
            own if own.starts_with(&services::prefix(&kind)) => own,
            _ => kind,
        };
        store.model_put(tenant, &key, model, now()).await?;
        let patch = DevicePatch {
            model: Some((Protocol::Usp, key)),
            ..DevicePatch::default()
        };
        let found = event(tenant, device, EventKind::DeviceModelDiscovered)
            .data(json!({ "objects": model.objects.len(), "cached": false }));
        store
            .device_update(tenant, device, patch, now(), vec![found])
            .await
    };
    if let Err(error) = kept.await {
        tracing::warn!(%error, %device, "a discovered model could not be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_refuses_everything_is_quoted_only_so_often() {
        let mut notes = Notes::default();
        (0..ONBOARD_NOTES_MAX + 5).for_each(|n| notes.add(n.to_string()));
        assert_eq!(notes.0.len(), ONBOARD_NOTES_MAX);
    }

    #[test]
    fn a_note_does_not_repeat_a_credential() {
        let mut notes = Notes::default();
        notes.add("no such path: /usp/hes_0123456789abcdef");
        assert_eq!(notes.0, ["no such path: /usp/hes_..."]);
    }

    #[tokio::test]
    async fn a_link_hears_of_the_end_of_its_onboarding_whatever_that_was() {
        for room in [1, 2] {
            let (inbox, mut commands) = mpsc::channel(room);
            inbox.send(Command::Refresh).await.unwrap();
            let promise = Promise {
                inbox: Some(inbox),
                device: DeviceId(uuid::Uuid::nil()),
            };
            let task = tokio::spawn(async move {
                let _promise = promise;
                panic!("a defect");
            });
            assert!(task.await.is_err());
            assert!(matches!(commands.recv().await, Some(Command::Refresh)));
            match commands.recv().await {
                Some(Command::Worked(ended)) => assert!(!ended.complete),
                other => panic!("{other:?}"),
            }
        }
    }
}
