//! The sessions of a device that comes at intervals.

use super::{operation_view, time};
use crate::auth::Caller;
use crate::http::extract::{Id, Ids, Query};
use crate::http::page;
use crate::problem::{Fail, Result};
use crate::state::State;
use api::management_session::{
    ManagementSession, ManagementSessionDetail, SessionEntry, SessionFault,
};
use api::page::PageQuery;
use api::{FieldProblem, Page};
use axum::Json;
use axum::extract::State as Extract;
use fleet::{DeviceId, SessionId};

/// The last ones, newest first.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ManagementSession>>> {
    let (tenant, id) = (&caller.tenant, DeviceId::from(id));
    state.store.device(tenant, id).await?;
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    let before = page::given(query.cursor.as_deref()).map(|cursor| {
        let malformed = |_| {
            let words = "is not a cursor of this list";
            Fail::malformed(vec![FieldProblem::query("cursor", words)])
        };
        cursor.parse::<SessionId>().map_err(malformed)
    });
    let mut found = state
        .store
        .management_session_list(tenant, id, before.transpose()?, limit + 1)
        .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    Ok(Json(Page {
        items: found.into_iter().map(view).collect(),
        next,
        total: None,
    }))
}

/// One of them, with everything that was said.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Ids([device, session]): Ids<2>,
) -> Result<Json<ManagementSessionDetail>> {
    let (tenant, device) = (&caller.tenant, DeviceId::from(device));
    let record = state.store.device(tenant, device).await?;
    let (session, said) = state
        .store
        .management_session(tenant, device, SessionId::from(session))
        .await?;
    let mut fault_details = Vec::with_capacity(said.faults.len());
    for fault in said.faults {
        let parameter = fault.parameter.as_deref().unwrap_or_default();
        let similar_devices = match record.models.cwmp.as_str() {
            "" => 0,
            key => {
                let store = &state.store;
                store
                    .fault_seen_elsewhere(tenant, device, key, fault.code, parameter)
                    .await?
            }
        };
        fault_details.push(SessionFault {
            code: fault.code,
            message: fault.message,
            asked: fault.asked,
            parameter: fault.parameter,
            value: fault.value,
            similar_devices,
        });
    }
    let entries = said.entries.into_iter().map(|entry| SessionEntry {
        at: time(entry.at),
        direction: operation_view::direction(&entry.direction),
        kind: entry.kind,
        text: entry.text,
        masked: entry.masked,
    });
    Ok(Json(ManagementSessionDetail {
        session: view(session),
        entries: entries.collect(),
        left_out: said.left_out as u64,
        fault_details,
    }))
}

fn view(session: store::ManagementSession) -> ManagementSession {
    ManagementSession {
        id: session.id.as_uuid(),
        protocol: session.protocol,
        started_at: time(session.started_at),
        ended_at: time(session.ended_at),
        peer: session.peer,
        events: session.events,
        ending: session.ending,
        faults: session.faults,
    }
}
