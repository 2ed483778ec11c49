//! Waiting until every device of the demo is online. On kept data they are registered from the
//! first moment on, so registration says nothing: presence does.

use anyhow::Result;
use fleet::device::OnboardingState;
use fleet::{Presence, TenantId};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};
use store::{DeviceFilter, Search, Store};

/// How often the demo looks whether all devices are there.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// When it says what is missing instead of waiting on in silence.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// Devices looked at with one query.
const PAGE: usize = 500;

/// Returns when this many devices are online, with the progress on a terminal.
pub async fn all_online(store: &Store, tenant: &TenantId, expected: usize) -> Result<()> {
    let began = Instant::now();
    let progress = ProgressBar::new(expected as u64);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} of {len} devices are online") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(LOOK_EVERY);
    let mut said = false;
    loop {
        let online = online(store, tenant).await?;
        progress.set_position(online as u64);
        if online >= expected {
            progress.finish_and_clear();
            return Ok(());
        }
        if began.elapsed() > READY_WITHIN && !said {
            said = true;
            progress.suspend(|| {
                crate::exit::tell(&format!(
                    "{online} of {expected} devices are online; \
                     Doctor in the console says what is missing"
                ));
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn online(store: &Store, tenant: &TenantId) -> Result<usize> {
    let filter = DeviceFilter {
        presence: vec![Presence::Online],
        ..DeviceFilter::default()
    };
    let search = Search::new(filter, super::now());
    let mut online = 0;
    let mut cursor: Option<String> = None;
    loop {
        let page = store
            .device_list(tenant, &search, Default::default(), cursor.as_deref(), PAGE)
            .await?;
        let complete =
            |record: &&store::DeviceRecord| record.device.onboarding == OnboardingState::Complete;
        online += page.devices.iter().filter(complete).count();
        cursor = page.next;
        if cursor.is_none() {
            return Ok(online);
        }
    }
}
