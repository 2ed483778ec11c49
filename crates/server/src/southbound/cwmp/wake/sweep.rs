//! Finds the devices for which operations wait and that nobody is waking: after a start, when there
//! was no room for them, when another node queued the operations. It takes no input and may run at
//! any time.

use fleet::{DeviceId, TenantId};
use tokio::time::sleep;

use super::super::TRANSPORT;
use super::Waker;
use crate::state::now;

/// Looks now and then until the server stops.
pub(super) async fn run(waker: Waker) {
    let mut wait = waker.0.limits.sweep_first;
    loop {
        tokio::select! {
            () = waker.0.shutdown.cancelled() => return,
            () = sleep(wait) => {}
        }
        wait = waker.0.limits.sweep_every;
        if let Err(error) = once(&waker).await {
            tracing::warn!(%error, "the devices that operations wait for cannot be read; it will be tried again");
        }
        metrics::gauge!("headend_cwmp_wakes_open").set(waker.0.devices.woken() as f64);
        metrics::gauge!("headend_stun_bindings").set(waker.0.udp.bindings() as f64);
    }
}

async fn once(waker: &Waker) -> store::Result<()> {
    let store = &waker.0.store;
    let mut after: Option<(TenantId, DeviceId)> = None;
    loop {
        let page = store
            .operation_devices_to_wake(TRANSPORT, now(), after.take(), store::limits::PAGE_MAX)
            .await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.clone());
        for (tenant, device) in page {
            let is_here = waker.0.links.get(device).is_some();
            if is_here || !waker.0.devices.may_sweep(device) {
                continue;
            }
            // What waits for the device itself is none of our business.
            if !waker.is_wanted(&tenant, device).await {
                continue;
            }
            if !waker.begin(&tenant, device, false) {
                return Ok(());
            }
            waker.0.devices.wanted_by(device, Some(&waker.retries()));
        }
    }
}
