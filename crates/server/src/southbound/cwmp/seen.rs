//! What was known of a device when it proved who it is: it is let in by that, and its session begins with it. Held for
//! a moment: a credential may be revoked while a body is on its way.

use std::sync::Arc;
use std::time::Instant;

use fleet::DeviceId;
use store::{Returning, SecretHash};

use super::core::Core;
use super::door::Proof;
use super::limits::SEEN_LIFE;

/// What was known of a device when it proved who it is.
#[derive(Clone, Debug)]
pub struct Seen {
    known: Arc<Returning>,
    at: Instant,
}

impl Seen {
    /// Looks up who comes under this user name.
    pub async fn of(core: &Core, login: DeviceId) -> store::Result<Option<Self>> {
        let known = core.returners.of(login).await?;
        let at = Instant::now();
        Ok(known.map(|known| Self { known, at }))
    }

    /// What was known, whenever that was.
    pub fn known(&self) -> &Returning {
        &self.known
    }

    /// What was known, as long as it counts.
    pub fn fresh(&self) -> Option<&Returning> {
        (self.at.elapsed() < SEEN_LIFE).then_some(&*self.known)
    }

    /// It has shown the password with this hash.
    pub fn proves(self, hash: SecretHash) -> Proof {
        Proof::Device {
            tenant: self.known.path.tenant.clone(),
            device: self.known.path.device,
            hash,
            seen: Some(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::southbound::cwmp::TRANSPORT;
    use crate::state::now;

    #[tokio::test]
    async fn what_was_known_of_a_device_is_not_held_once_it_was_judged() {
        let (state, _database) = crate::state::tests::alone().await;
        let (tenant, device) = super::super::wake::testing::device(&state.store).await;
        let path = store::VisitPath {
            transport: TRANSPORT.to_owned(),
            endpoint_id: "00256D-Box-S1".to_owned(),
            peer: String::new(),
            authenticated_by: String::new(),
            setup_key: None,
            info: serde_json::Value::Null,
        };
        let (at, expected_by) = (now(), now());
        let visit = store::Visit {
            device,
            at,
            expected_by,
            path,
        };
        let visited = state.store.device_visited(&tenant, vec![visit]);
        visited.await.unwrap();
        let known = state.store.returners(TRANSPORT, &[]).of(device).await;
        let seen = Seen {
            known: known.unwrap().unwrap(),
            at: Instant::now(),
        };
        let held = Arc::downgrade(&seen.known);
        let mut proof = seen.proves([1; 32]);
        assert!(proof.seen().is_some());
        drop(proof.take_seen());
        assert!(proof.seen().is_none() && held.upgrade().is_none());
    }
}
