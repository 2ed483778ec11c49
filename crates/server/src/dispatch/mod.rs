//! The dispatcher's runtime: one task around `fleet::dispatch::Dispatcher`, which decides
//! everything. Here its commands become calls of the store and of the adapter, and what comes back
//! becomes its inputs. What has no input of its own is in [`reconcile`].

mod ending;
pub mod events;
mod evidence;
pub mod limits;
mod proof;
pub mod reconcile;

#[cfg(test)]
mod ending_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use evidence::{evidence, was_cancelled};
use fleet::dispatch::{Claimed, Command, Config, Dispatcher, Input, Place, Saved};
use fleet::{
    DeviceId, Fact, NodeId, Now, Operation, OperationId, OperationState, Southbound, TenantId,
    Timestamp,
};
use store::{Claim, OperationSave, Store};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::state::now;

/// What an adapter reports, and about whom.
pub type Reported = (TenantId, DeviceId, Fact);

/// What a dispatcher needs.
pub struct Setup {
    /// Where operations are.
    pub store: Store,
    /// The way to the devices.
    pub southbound: Arc<dyn Southbound>,
    /// What the devices' adapters report.
    pub facts: mpsc::Receiver<Reported>,
    /// Cancelled when the server stops.
    pub shutdown: CancellationToken,
    /// Under which name operations are leased.
    pub node: NodeId,
    /// When a linked device counts as silent.
    pub presence: fleet::presence::PresenceConfig,
}

/// A dispatcher that runs.
pub struct Dispatch {
    /// To tell it things.
    pub handle: Handle,
    /// Its tasks; they end after the shutdown.
    pub tasks: Vec<JoinHandle<()>>,
}

/// Tells a dispatcher what it should look at. Cheap to clone; a hint that finds no room is lost,
/// the reconcilers find the work later.
#[derive(Clone)]
pub struct Handle {
    inbox: mpsc::Sender<Input>,
}

impl Handle {
    /// There may be work for this device.
    pub fn wake(&self, device: DeviceId) {
        self.hint(Input::Wake(device));
    }

    /// A person wants an operation stopped that is being worked on.
    pub fn cancel(&self, device: DeviceId, operation: OperationId) {
        // Nobody looks for it later, so it waits where a hint would be dropped.
        let input = Input::Cancel(device, operation);
        if let Err(mpsc::error::TrySendError::Full(input)) = self.inbox.try_send(input) {
            let inbox = self.inbox.clone();
            tokio::spawn(async move { inbox.send(input).await });
        }
    }

    fn hint(&self, input: Input) {
        if self.inbox.try_send(input).is_err() {
            metrics::counter!("headend_dispatch_hints_lost_total").increment(1);
        }
    }
}

/// Starts the dispatcher. What an earlier life of this node held it may claim again at once.
pub fn start(setup: Setup) -> Dispatch {
    let Setup {
        store,
        southbound,
        facts,
        shutdown,
        node,
        presence,
    } = setup;
    let (inbox, inputs) = mpsc::channel(limits::INBOX);
    let handle = Handle {
        inbox: inbox.clone(),
    };
    let ends = reconcile::ends(store.clone(), node.clone(), shutdown.clone());
    let runtime = Runtime {
        store: store.clone(),
        southbound,
        node,
        inbox,
        calls: Arc::new(Semaphore::new(limits::STORE_CALLS_MAX)),
    };
    let tasks = vec![
        tokio::spawn(runtime.run(inputs, facts, shutdown.clone())),
        tokio::spawn(reconcile::run(store, handle.clone(), presence, shutdown)),
        tokio::spawn(ends),
    ];
    Dispatch { handle, tasks }
}

struct Runtime {
    store: Store,
    southbound: Arc<dyn Southbound>,
    node: NodeId,
    inbox: mpsc::Sender<Input>,
    calls: Arc<Semaphore>,
}

impl Runtime {
    async fn run(
        self,
        mut inputs: mpsc::Receiver<Input>,
        mut facts: mpsc::Receiver<Reported>,
        shutdown: CancellationToken,
    ) {
        self.forget_claims().await;
        let mut dispatcher = Dispatcher::new(Config::default());
        let mut stop_at: Option<tokio::time::Instant> = None;
        let mut adapter_gone = false;
        // A stop waits for the adapter's last facts, so that what it worked on is given back.
        while stop_at.is_none() || !(adapter_gone && dispatcher.busy() == 0) {
            let wait = dispatcher
                .poll_timeout()
                .map_or(Duration::from_secs(3600), |at| {
                    at.saturating_duration_since(Instant::now())
                });
            let stop = stop_at.unwrap_or_else(|| tokio::time::Instant::now() + 2 * wait);
            let input = tokio::select! {
                () = shutdown.cancelled(), if stop_at.is_none() => {
                    stop_at = Some(tokio::time::Instant::now() + limits::STOP_TIME_MAX);
                    continue;
                }
                () = tokio::time::sleep_until(stop), if stop_at.is_some() => break,
                Some(input) = inputs.recv() => input,
                fact = facts.recv(), if !adapter_gone => match fact {
                    Some(fact) => {
                        if let (_, device, Fact::Connected { over, at }) = fact {
                            self.southbound.known(device, over, at);
                        }
                        match told(fact) {
                            Some(input) => input,
                            None => continue,
                        }
                    }
                    None => {
                        adapter_gone = true;
                        continue;
                    }
                },
                () = tokio::time::sleep(wait) => Input::Tick,
            };
            let at = Now {
                mono: Instant::now(),
                wall: now(),
            };
            dispatcher.handle(input, at);
            while let Some(command) = dispatcher.poll() {
                self.perform(command).await;
            }
            metrics::gauge!("headend_operations_running").set(dispatcher.busy() as f64);
        }
        // What was told to the store is finished; everything else is found again at the next start.
        let all = u32::try_from(limits::STORE_CALLS_MAX).unwrap_or(u32::MAX);
        let writes = self.calls.acquire_many(all);
        if tokio::time::timeout(limits::STOP_TIME_MAX, writes)
            .await
            .is_err()
        {
            tracing::warn!("the store did not finish its last writes in time");
        }
    }

    /// What an earlier life of this node held is nobody's: it can be stopped, and ends in its time,
    /// also while its device is away.
    async fn forget_claims(&self) {
        let forget = async || {
            for tenant in self.store.tenant_list().await? {
                self.store
                    .operation_release_node(&tenant.id, &self.node)
                    .await?;
            }
            Ok::<(), store::Error>(())
        };
        if let Err(error) = forget().await {
            tracing::warn!(%error, "operations under way are held until their claims run out");
        }
    }

    async fn perform(&self, command: Command) {
        let call = match command {
            Command::Submit {
                tenant,
                device,
                job,
            } => {
                return self.southbound.submit(&tenant, device, job);
            }
            Command::Rest {
                tenant,
                device,
                over,
            } => return self.southbound.rest(&tenant, device, over),
            other => other,
        };
        let Ok(permit) = Arc::clone(&self.calls).acquire_owned().await else {
            return;
        };
        let (store, node, inbox) = (self.store.clone(), self.node.clone(), self.inbox.clone());
        tokio::spawn(async move {
            let input = match call {
                Command::Claim {
                    tenant,
                    device,
                    lease_until,
                } => claim(&store, &node, &tenant, device, lease_until).await,
                Command::Save {
                    operation,
                    previous,
                    write,
                    lease_until,
                } => {
                    let (device, id) = (operation.device, operation.id);
                    let saved = save(&store, *operation, previous, write.fence, lease_until);
                    Input::Saved(device, id, write, saved.await)
                }
                Command::Renew {
                    tenant,
                    device,
                    operation,
                    fence,
                    lease_until,
                } => {
                    let renewed = store
                        .operation_renew(&tenant, operation, fence, lease_until)
                        .await;
                    Input::Renewed(device, operation, fence, written(renewed))
                }
                Command::Look {
                    operation,
                    fence,
                    after,
                } => {
                    let (device, id) = (operation.device, operation.id);
                    let found = evidence(&store, &operation, after).await;
                    if let Err(error) = &found {
                        tracing::warn!(%error, "the event log cannot be read; it will be tried again");
                    }
                    Input::Looked(device, id, fence, found.ok())
                }
                Command::Submit { .. } | Command::Rest { .. } => return,
            };
            drop(permit);
            // Nobody listens any more: the server stops.
            let _ = inbox.send(input).await;
        });
    }
}

/// What of a fact concerns the dispatcher.
fn told((tenant, device, fact): Reported) -> Option<Input> {
    match fact {
        Fact::Connected { over, .. } => Some(Input::Reachable(tenant, device, over)),
        Fact::Done { .. }
        | Fact::Notified { .. }
        | Fact::SaidAll { .. }
        | Fact::Disconnected { .. } => Some(Input::Fact(tenant, device, fact)),
        Fact::Evidence { .. } | Fact::Values { .. } | Fact::Model { .. } => None,
    }
}

async fn claim(
    store: &Store,
    node: &NodeId,
    tenant: &TenantId,
    device: DeviceId,
    lease_until: Timestamp,
) -> Input {
    let claim = loop {
        let claim = store
            .operation_claim(tenant, device, node, now(), lease_until)
            .await;
        let Ok(Claim::Damaged(damaged)) = claim else {
            break claim;
        };
        if let Err(error) = reconcile::put_away(store, damaged, now()).await {
            break Err(error);
        }
    };
    let record = match claim {
        Ok(Claim::Taken(record)) => record,
        Ok(Claim::Nothing) => return Input::Claimed(device, None),
        Ok(Claim::Held(_) | Claim::Damaged(_)) => return Input::ClaimFailed(device),
        Err(error) => {
            tracing::warn!(%error, "an operation could not be claimed; it will be tried again");
            return Input::ClaimFailed(device);
        }
    };
    let (operation, fence) = (record.operation, record.fence);
    let told = async {
        // Who is the first to hold it need not ask what came while it was held.
        let cancelled = fence > 1 && was_cancelled(store, &operation).await?;
        Ok::<_, store::Error>((
            evidence(store, &operation, Place::default()).await?,
            cancelled,
        ))
    };
    match told.await {
        Ok((evidence, cancelled)) => {
            let claimed = Claimed {
                operation,
                fence,
                evidence,
                cancelled,
            };
            Input::Claimed(device, Some(Box::new(claimed)))
        }
        // Without the evidence it could be decided wrongly. The lease is ours; claim it again.
        Err(error) => {
            tracing::warn!(%error, "the event log cannot be read; it will be tried again");
            Input::ClaimFailed(device)
        }
    }
}

/// Stores an operation under a claim, with all that follows from it; `None` gives the claim back.
async fn save(
    store: &Store,
    mut operation: Operation,
    previous: OperationState,
    fence: i64,
    lease_until: Option<Timestamp>,
) -> Saved {
    let now = now();
    let tenant = operation.tenant.clone();
    if let Err(error) = proof::weigh(store, &mut operation).await {
        return written(Err(error));
    }
    if operation.state.is_final() && operation.state != previous {
        let labels = [
            ("kind", operation.request.kind()),
            ("state", operation.state.as_str()),
        ];
        metrics::counter!("headend_operations_finished_total", &labels).increment(1);
    }
    let mut save = OperationSave {
        events: events::of(previous, &operation, now),
        values: events::learned(&operation, now),
        operation,
        fence,
        lease_until,
        now,
    };
    let mut result = store.operation_save(&tenant, save.clone()).await;
    if let Err(store::Error::LimitExceeded { what, max }) = result {
        // The device said more than is kept, and would say it again: what became of it counts.
        let outcome = &mut save.operation.outcome;
        (outcome.before, outcome.after) = (Vec::new(), Vec::new());
        outcome.outputs.clear();
        let cut = format!("what the device returned was left out ({what}: at most {max})");
        outcome.cause = Some(match outcome.cause.take() {
            Some(cause) => format!("{cause}; {cut}"),
            None => cut,
        });
        save.values = None;
        result = store.operation_save(&tenant, save).await;
    }
    written(result)
}

fn written(result: store::Result<()>) -> Saved {
    match result {
        Ok(()) => Saved::Durable,
        Err(store::Error::Fenced(_) | store::Error::NotFound(_)) => Saved::Fenced,
        Err(error) => {
            tracing::warn!(%error, "an operation could not be stored; it will be tried again");
            Saved::Failed
        }
    }
}
