//! Tenants that are disabled: their links are closed and they are not dialled. Looks at the store
//! every now and then, whatever has happened, so that it does not matter which node, tool or person
//! disabled one; and at once when it is told to.

use std::collections::HashSet;
use std::sync::Arc;

use fleet::TenantId;

use super::adapter::{self, Core};
use super::dial::Dials;
use super::link::Stop;

/// Dials the devices of all tenants that are not disabled; those that are.
pub async fn begin(core: &Core, dials: &Arc<Dials>) -> Result<HashSet<TenantId>, store::Error> {
    let mut disabled = HashSet::new();
    for tenant in core.store.tenant_list().await? {
        match tenant.disabled_at {
            None => dials.begin(&tenant.id).await?,
            Some(_) => drop(disabled.insert(tenant.id)),
        }
    }
    Ok(disabled)
}

/// Looks until the server stops. `known` are those that are disabled already.
pub async fn watch(core: Arc<Core>, dials: Arc<Dials>, mut known: HashSet<TenantId>) {
    loop {
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            () = core.tenants_changed.notified() => {}
            () = tokio::time::sleep(core.limits.tenants_every) => {}
        }
        if let Err(error) = look(&core, &dials, &mut known).await {
            tracing::warn!(%error, "which tenants are disabled cannot be read");
        }
    }
}

/// `known` are those that were disabled at the last look.
async fn look(
    core: &Core,
    dials: &Arc<Dials>,
    known: &mut HashSet<TenantId>,
) -> Result<(), store::Error> {
    let tenants = core.store.tenant_list().await?;
    let disabled = tenants.iter().filter(|tenant| tenant.disabled_at.is_some());
    let disabled: HashSet<TenantId> = disabled.map(|tenant| tenant.id.clone()).collect();
    for entry in core.links.all() {
        if disabled.contains(&entry.tenant) {
            adapter::stop(&entry.inbox, Stop::TenantDisabled);
        }
    }
    for tenant in disabled.difference(known) {
        tracing::info!(%tenant, "a tenant is disabled: its devices are not served");
    }
    // All of them at each look: the address of a device may have been changed since the last one.
    for tenant in &disabled {
        dials.end(tenant);
    }
    for tenant in known.difference(&disabled) {
        dials.begin(tenant).await?;
    }
    *known = disabled;
    Ok(())
}
