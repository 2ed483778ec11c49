//! Links of devices that have shown nothing but a setup key, here or at a broker that asks, end when that is revoked,
//! whichever node or person revoked it. A device that has a credential of its own by then comes again with that.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet::SetupKeyId;
use store::limits::PAGE_MAX;

use super::adapter::Core;
use super::{Entry, adapter, link};
use crate::southbound::issued::Looks;
use crate::southbound::limits::REVOKED_EVERY;

/// Looks after it until the server stops.
pub async fn watch(core: Arc<Core>) {
    let mut looks = Looks::default();
    loop {
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            () = tokio::time::sleep(REVOKED_EVERY) => {}
        }
        match withdrawn(&core, &mut looks).await {
            Ok(over) => over
                .iter()
                .for_each(|entry| adapter::stop(&entry.inbox, link::Stop::SetupKeyRevoked)),
            Err(error) => {
                looks.again();
                tracing::warn!(%error, "which setup keys are revoked cannot be read; looked at again soon");
            }
        }
    }
}

async fn withdrawn(core: &Core, looks: &mut Looks) -> store::Result<Vec<Arc<Entry>>> {
    let store = &core.store;
    if !looks.now(store.setup_key_revoked_last().await?) {
        return Ok(Vec::new());
    }
    let mut by_key: BTreeMap<SetupKeyId, Vec<Arc<Entry>>> = BTreeMap::new();
    for entry in core.links.all() {
        if let Some(key) = entry.setup_key() {
            by_key.entry(key).or_default().push(entry);
        }
    }
    let keys: Vec<SetupKeyId> = by_key.keys().copied().collect();
    let mut over = Vec::new();
    for some in keys.chunks(PAGE_MAX) {
        for key in store.setup_key_revoked_among(some).await? {
            for entry in by_key.remove(&key).unwrap_or_default() {
                if has_nothing_else(core, &entry, key).await? {
                    over.push(entry);
                }
            }
        }
    }
    Ok(over)
}

/// Behind a broker that asks, one link goes on when the device comes back with its own credential.
async fn has_nothing_else(core: &Core, entry: &Entry, key: SetupKeyId) -> store::Result<bool> {
    let path = core
        .store
        .path(&entry.tenant, entry.device, entry.transport);
    Ok(path.await?.is_some_and(|path| {
        let came_with = path.setup_key.filter(|_| !path.has_current);
        path.swap_key.or(came_with) == Some(key)
    }))
}
