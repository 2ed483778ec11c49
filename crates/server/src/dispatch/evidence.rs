//! What the event log has by which an operation is decided: what its device said by itself, and whether a person asked to
//! stop it.

use fleet::dispatch::{Place, Said};
use fleet::operation::Request;
use fleet::{EventKind, Notice, Operation};
use store::{EventFilter, Store};

use super::limits;
use crate::southbound::usp::notice;

/// Whether a person asked to stop it while it was held. The holder was told, but may have given it
/// back or been killed before it could write that down.
pub async fn was_cancelled(store: &Store, operation: &Operation) -> store::Result<bool> {
    if operation.progress.cancel {
        return Ok(true);
    }
    let filter = EventFilter {
        operation: Some(operation.id),
        kinds: vec![EventKind::OperationCancelRequested],
        ..EventFilter::default()
    };
    let page = store
        .events_before(&operation.tenant, None, &filter, 1)
        .await?;
    Ok(!page.events.is_empty())
}

/// What the device said since a command was sent to it that may speak of this command, from this place of the log on.
pub async fn evidence(store: &Store, operation: &Operation, after: Place) -> store::Result<Said> {
    let tenant = &operation.tenant;
    let Request::Operate { .. } = operation.request else {
        return Ok(Said::default());
    };
    // It may have said so before it turned out to be this device.
    let former = store.device_former(tenant, operation.device).await?;
    let ids = former.len();
    let Some(sent) = operation.progress.sent_at else {
        // What the log has by now does not speak of what is yet to be sent.
        let seq = store.event_head(tenant).await?;
        return Ok(Said {
            notices: Vec::new(),
            to: Place { seq, former: ids },
        });
    };
    let filter = EventFilter {
        device: Some(operation.device),
        former,
        kinds: vec![EventKind::DeviceBooted, EventKind::DeviceCommandCompleted],
        since: Some(sent.minus(fleet::limits::EVIDENCE_SKEW)),
        ..EventFilter::default()
    };
    let key = operation.command_key();
    let mut said = Said {
        notices: Vec::new(),
        to: Place {
            // What was said under an id that it did not have then was not heard.
            seq: if after.former == ids { after.seq } else { 0 },
            former: ids,
        },
    };
    while said.notices.len() < limits::EVIDENCE_MAX {
        let page = store
            .events_after(tenant, said.to.seq, &filter, limits::EVIDENCE_PAGE)
            .await?;
        let events = page.events.iter().map(|record| &record.event);
        said.notices.extend(
            events
                .filter_map(notice::evidence)
                .filter(|(_, notice)| speaks_of(notice, &key)),
        );
        said.to.seq = page.next.unwrap_or(said.to.seq);
        if !page.more {
            break;
        }
    }
    Ok(said)
}

/// Ends of other commands say nothing; each start may.
fn speaks_of(notice: &Notice, command_key: &str) -> bool {
    match notice {
        Notice::CommandCompleted { key, .. } | Notice::CommandOver { key, .. } => {
            key == command_key
        }
        _ => true,
    }
}
