//! The event log as pages: oldest first with a cursor, and a device's timeline newest first.

use super::time;
use crate::auth::Caller;
use crate::http::extract::{Id, Place, Query};
use crate::http::page;
use crate::problem::{Fail, Result};
use crate::state::State;
use api::device::Order;
use api::event::{Event, EventLog, EventQuery, TimelineQuery};
use api::operation::{Actor, ActorKind};
use api::{FieldProblem, Page, ProblemKind};
use axum::Json;
use axum::extract::State as Extract;
use fleet::{DeviceId, EventKind, OperationId, TenantId};
use store::{EventFilter, EventRecord};

/// The log, oldest or newest first.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<EventQuery>,
) -> Result<Json<EventLog>> {
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    let filter = EventFilter {
        device: query.device_id.map(DeviceId::from),
        former: Vec::new(),
        operation: query.operation_id.map(OperationId::from),
        kinds: kinds(&query.kind)?,
        since: None,
    };
    let head = state.store.event_head(&caller.tenant).await?;
    let (found, next) = if query.order == Some(Order::Desc) {
        no(
            query.after.as_deref(),
            "after",
            "goes with order=asc; use before",
        )?;
        let before = cursor("before", query.before.as_deref())?;
        if let Some(before) = before {
            in_log(&state, &caller.tenant, Cursor::Before(before)).await?;
        }
        let found = state
            .store
            .events_before(&caller.tenant, before, &filter, limit)
            .await?;
        let next = found.next.map(|next| next.to_string()).unwrap_or_default();
        (found, next)
    } else {
        no(
            query.before.as_deref(),
            "before",
            "goes with order=desc; use after",
        )?;
        let after = match cursor("after", query.after.as_deref())? {
            Some(after) => in_log(&state, &caller.tenant, Cursor::After(after)).await?,
            None => state
                .store
                .event_oldest(&caller.tenant)
                .await?
                .saturating_sub(1),
        };
        let found = state
            .store
            .events_after(&caller.tenant, after, &filter, limit)
            .await?;
        let next = found.next.unwrap_or(after).to_string();
        (found, next)
    };
    // What was written while this page was read is part of the log, too.
    let head = next.parse().unwrap_or(0).max(head);
    Ok(Json(EventLog {
        items: views(&state, &caller.tenant, &found.events).await,
        next,
        head: head.to_string(),
    }))
}

/// One of them, by its place in the log.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Place(cursor): Place,
) -> Result<Json<Event>> {
    let record = state.store.event(&caller.tenant, cursor).await?;
    Ok(Json(view(&state, &caller.tenant, &record).await))
}

fn no(given: Option<&str>, field: &str, problem: &str) -> Result<()> {
    match given {
        Some(_) => Err(Fail::malformed(vec![FieldProblem::query(field, problem)])),
        None => Ok(()),
    }
}

/// What happened to a device, newest first; also under the ids it had before it was merged.
pub async fn timeline(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TimelineQuery>,
) -> Result<Json<Page<Event>>> {
    let id = DeviceId::from(id);
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    state.store.device(&caller.tenant, id).await?;
    let filter = EventFilter {
        device: Some(id),
        former: state.store.device_former(&caller.tenant, id).await?,
        operation: None,
        kinds: kinds(&query.kind)?,
        since: None,
    };
    let before = cursor("cursor", query.cursor.as_deref())?;
    if let Some(before) = before {
        in_log(&state, &caller.tenant, Cursor::Before(before)).await?;
    }
    let found = state
        .store
        .events_before(&caller.tenant, before, &filter, limit)
        .await?;
    Ok(Json(Page {
        items: views(&state, &caller.tenant, &found.events).await,
        next: found.next.map(|next| next.to_string()),
        total: None,
    }))
}

/// A cursor from the query.
pub fn cursor(field: &str, text: Option<&str>) -> Result<Option<u64>> {
    page::given(text)
        .map(|text| {
            text.parse().map_err(|_| {
                Fail::malformed(vec![FieldProblem::query(
                    field,
                    format!("{text:?} is not a cursor"),
                )])
            })
        })
        .transpose()
}

/// A place in the log, and the way to read on from it.
#[derive(Clone, Copy, Debug)]
pub enum Cursor {
    /// What came after it.
    After(u64),
    /// What came before it.
    Before(u64),
}

/// The one rule for cursors of the log, for its pages, timelines and streams alike: whoever could miss something gets
/// 410. That is who wants to read on from what is no longer kept, and who shows a cursor that this log has never
/// given out: it stems from another one, as after a backup was restored.
pub async fn in_log(state: &State, tenant: &TenantId, cursor: Cursor) -> Result<u64> {
    let gone = |words: String| Err(Fail::new(ProblemKind::CursorExpired, words));
    let head = state.store.event_head(tenant).await?;
    let (at, newest) = match cursor {
        Cursor::After(at) => (at, head),
        Cursor::Before(at) => (at, head.saturating_add(1)),
    };
    if at > newest {
        return gone(format!(
            "The log ends at {head}: this cursor is of another log. Start again without a cursor."
        ));
    }
    let oldest = state.store.event_oldest(tenant).await?;
    if matches!(cursor, Cursor::After(_)) && at.saturating_add(1) < oldest {
        return gone(format!(
            "Events up to {} are no longer kept. Start again without a cursor.",
            oldest - 1
        ));
    }
    Ok(at)
}

/// The kinds of names, and of beginnings that end in a dot.
pub fn kinds(names: &[String]) -> Result<Vec<EventKind>> {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let before = found.len();
        found.extend(EventKind::ALL.iter().copied().filter(|kind| {
            kind.as_str() == name
                || (name.ends_with('.') && kind.as_str().starts_with(name.as_str()))
        }));
        if found.len() == before {
            let problem = format!("no event is called {name:?}");
            errors.push(FieldProblem::query(format!("kind[{index}]"), problem));
        }
    }
    if errors.is_empty() {
        Ok(found)
    } else {
        Err(Fail::malformed(errors))
    }
}

/// Events for the wire, with the names of their devices.
pub async fn views(state: &State, tenant: &TenantId, events: &[EventRecord]) -> Vec<Event> {
    let mut out = Vec::with_capacity(events.len());
    for record in events {
        out.push(view(state, tenant, record).await);
    }
    out
}

async fn view(state: &State, tenant: &TenantId, record: &EventRecord) -> Event {
    let event = &record.event;
    let device_name = match event.device {
        None => None,
        Some(device) => match state.device_name(tenant, device).await {
            Some(name) => Some(name),
            // It was removed: the event itself may know.
            None => event.data["name"].as_str().map(str::to_owned),
        },
    };
    let mut data = event.data.clone();
    // What a device reports of a password is for nobody who reads events.
    let text = |name: &str| event.data[name].as_str();
    if let (Some(path), Some(value)) = (text("path"), text("value")) {
        data["value"] = fleet::secret::shown(path, value.to_owned()).into();
    }
    Event {
        cursor: record.seq.to_string(),
        at: time(event.at),
        kind: event.kind.as_str().to_owned(),
        summary: super::event_words::summary(event),
        device_id: event.device.map(DeviceId::as_uuid),
        device_name,
        operation_id: event.operation.map(OperationId::as_uuid),
        actor: actor(&event.actor, event.device.is_some()),
        data,
    }
}

/// Who did it, from the log's `user:<login> token:<id>`, `system`, or nothing for the device.
pub fn actor(text: &str, device: bool) -> Option<Actor> {
    let of = |kind, id, name: &str| {
        Some(Actor {
            kind,
            id,
            name: name.to_owned(),
        })
    };
    if let Some(rest) = text.strip_prefix("user:") {
        return match rest.split_once(" token:") {
            Some((login, token)) => of(ActorKind::Token, token.parse().ok(), login),
            None => of(ActorKind::User, None, rest),
        };
    }
    match text {
        "" if device => of(ActorKind::Device, None, "device"),
        "" => None,
        other => of(ActorKind::System, None, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_whole_or_by_their_beginning() {
        assert_eq!(
            kinds(&["device.connected".into()]).unwrap(),
            [EventKind::DeviceConnected]
        );
        assert!(kinds(&["operation.".into()]).unwrap().len() > 3);
        let fail = kinds(&["device.connected".into(), "device".into()]).unwrap_err();
        assert_eq!(fail.0.errors[0].field, "kind[1]");
    }

    #[test]
    fn actors_are_people_tokens_the_server_or_the_device() {
        assert_eq!(actor("user:ann", true).unwrap().kind, ActorKind::User);
        let token = "0190d3a1-0000-7000-8000-000000000001";
        let by = actor(&format!("user:ann token:{token}"), true).unwrap();
        assert_eq!((by.kind, by.name.as_str()), (ActorKind::Token, "ann"));
        assert_eq!(by.id.unwrap().to_string(), token);
        assert_eq!(actor("", true).unwrap().kind, ActorKind::Device);
        assert_eq!(actor("system", false).unwrap().kind, ActorKind::System);
        assert!(actor("", false).is_none());
    }
}
