//! What is said in a session.

use std::sync::Arc;

use fleet::Fact;
use fleet::southbound::Failure;
use tokio::sync::mpsc;

use super::core::{Command, Core};
use super::cpe::{Cpe, Opening};

/// Converses with a device during one session. When it returns, the session ends.
pub async fn converse(
    core: Arc<Core>,
    opening: Opening,
    cpe: Cpe,
    mut jobs: mpsc::Receiver<Command>,
) {
    let (tenant, device) = (opening.guest.tenant, opening.guest.device);
    let _ = opening.stored.send(());
    drop((opening.said, cpe));
    jobs.close();
    while let Ok(command) = jobs.try_recv() {
        if let Command::Job(job) = command {
            let reason = "nothing is asked in this session".to_owned();
            let result = Err(Failure::Unsent { reason });
            let fact = Fact::Done {
                job: job.id,
                result,
            };
            core.report(&tenant, device, fact).await;
        }
    }
}
