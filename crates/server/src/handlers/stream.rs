//! The event log live, as server-sent events. A stream has no queue: it reads the log from its
//! cursor whenever its client takes more, so a slow client costs nothing and misses nothing.

use super::event::{Cursor, cursor, in_log, kinds, views};
use crate::auth::{Caller, authenticate};
use crate::http::extract::Query;
use crate::limits;
use crate::problem::{Fail, Result};
use crate::state::State;
use api::event::StreamQuery;
use api::{FieldProblem, Location, Permission, ProblemKind};
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event as Message, Sse};
use axum::response::{IntoResponse, Response};
use fleet::{DeviceId, OperationId};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use store::{EventFilter, EventHead};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::time::Instant;
use uuid::Uuid;

/// The header with which a browser resumes a stream.
const LAST_EVENT_ID: &str = "last-event-id";

/// Opens a stream.
pub async fn open(
    Extract(state): Extract<State>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<StreamQuery>,
) -> Result<Response> {
    let filter = EventFilter {
        device: query.device_id.map(DeviceId::from),
        former: Vec::new(),
        operation: query.operation_id.map(OperationId::from),
        kinds: kinds(&query.kind)?,
        since: None,
    };
    let after = match headers.get(LAST_EVENT_ID) {
        Some(value) if !value.is_empty() => last_event_id(value)?,
        _ => cursor("after", query.after.as_deref())?,
    };
    // Listening starts before the head is read: what is written in between is seen.
    let nudges = state.store.watch_events();
    let after = match after {
        Some(after) => in_log(&state, &caller.tenant, Cursor::After(after)).await?,
        None => state.store.event_head(&caller.tenant).await?,
    };
    let mut credentials = state.credentials.subscribe();
    credentials.mark_unchanged();
    let seat = Seat::take(&state, caller.key())?;
    let stream = Stream {
        state,
        caller,
        headers,
        filter,
        after,
        nudges,
        credentials,
        ready: VecDeque::new(),
        more: true,
        checked: Instant::now(),
        ended: false,
        _seat: seat,
    };
    let stream = futures_util::stream::unfold(stream, |mut stream| async move {
        let message = stream.next().await?;
        Some((Ok::<_, Infallible>(message), stream))
    });
    let mut response = Sse::new(stream).into_response();
    // Proxies that buffer would hold events back.
    response
        .headers_mut()
        .insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn last_event_id(value: &HeaderValue) -> Result<Option<u64>> {
    let wrong = || {
        Fail::malformed(vec![FieldProblem {
            location: Location::Header,
            ..FieldProblem::body("Last-Event-ID", "is not a cursor of the event log")
        }])
    };
    let text = value.to_str().map_err(|_| wrong())?;
    text.parse().map(Some).map_err(|_| wrong())
}

struct Stream {
    state: State,
    caller: Caller,
    headers: HeaderMap,
    filter: EventFilter,
    after: u64,
    nudges: broadcast::Receiver<EventHead>,
    credentials: watch::Receiver<()>,
    ready: VecDeque<api::event::Event>,
    more: bool,
    checked: Instant,
    ended: bool,
    _seat: Seat,
}

impl Stream {
    async fn next(&mut self) -> Option<Message> {
        if self.ended {
            return None;
        }
        loop {
            let changed = self.credentials.has_changed().unwrap_or(false);
            if changed || self.checked.elapsed() >= limits::STREAM_RECHECK {
                self.credentials.mark_unchanged();
                self.checked = Instant::now();
                if !self.may_read().await {
                    return Some(self.end("signed-out"));
                }
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(message(&event));
            }
            if self.more {
                let tenant = &self.caller.tenant;
                let store = &self.state.store;
                match store
                    .events_after(tenant, self.after, &self.filter, limits::STREAM_BATCH)
                    .await
                {
                    Ok(found) => {
                        self.after = found.next.unwrap_or(self.after);
                        self.more = found.more;
                        self.ready = views(&self.state, tenant, &found.events).await.into();
                        continue;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a live stream ended because the log could not be read");
                        return Some(self.end("unavailable"));
                    }
                }
            }
            tokio::select! {
                () = self.state.shutdown.cancelled() => return Some(self.end("stopping")),
                _ = self.credentials.changed() => self.credentials.mark_changed(),
                () = tokio::time::sleep(limits::STREAM_HEARTBEAT) => {
                    // Also a look at the log, in case a nudge was lost.
                    self.more = true;
                    return Some(Message::default().comment("alive"));
                }
                nudge = self.nudges.recv() => match nudge {
                    Ok(head) => {
                        self.more = head.tenant == self.caller.tenant && head.seq > self.after;
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => self.more = true,
                    Err(broadcast::error::RecvError::Closed) => return Some(self.end("stopping")),
                },
            }
        }
    }

    /// Whether the same credential still lets the caller read: it may have been revoked.
    async fn may_read(&self) -> bool {
        match authenticate(&self.state, &self.headers).await {
            Ok(Some(caller)) => {
                caller.principal.sees(&self.caller.tenant) && caller.allows(Permission::EventRead)
            }
            Ok(None) => false,
            // The database is away for a moment; reading the log will tell.
            Err(_) => true,
        }
    }

    fn end(&mut self, why: &str) -> Message {
        self.ended = true;
        Message::default().event("end").data(why)
    }
}

fn message(event: &api::event::Event) -> Message {
    let json = serde_json::to_string(event).unwrap_or_default();
    Message::default().id(event.cursor.clone()).data(json)
}

/// A place among the live streams; given back when dropped.
struct Seat {
    caller: Uuid,
    by_caller: Arc<Mutex<HashMap<Uuid, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    fn take(state: &State, caller: Uuid) -> Result<Self> {
        let full = |limit: &str, count: usize| {
            Fail::new(
                ProblemKind::LimitReached,
                format!("{count} live streams are open ({limit})."),
            )
        };
        let permit = state
            .streams
            .clone()
            .try_acquire_owned()
            .map_err(|_| full("streams_max", limits::STREAMS_MAX))?;
        let by_caller = state.streams_by_caller.clone();
        let mut counts = by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(caller).or_insert(0);
        if *count >= limits::STREAMS_PER_CALLER_MAX {
            return Err(full("streams_per_caller_max", *count));
        }
        *count += 1;
        drop(counts);
        Ok(Self {
            caller,
            by_caller,
            _permit: permit,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self
            .by_caller
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{secret, state};
    use fleet::{TenantId, TokenId, UserId};
    use store::testing::TestDatabase;
    use store::{NewToken, NewUser, TenantRecord};

    struct World {
        state: State,
        tenant: TenantId,
        headers: HeaderMap,
        token: TokenId,
        _database: TestDatabase,
    }

    async fn world() -> World {
        let (state, database) = state::tests::alone().await;
        let (tenant, at) = (TenantId::parse("acme").unwrap(), state::now());
        let record = TenantRecord {
            id: tenant.clone(),
            name: "Acme".to_owned(),
            created_at: at,
            disabled_at: None,
        };
        state.store.tenant_insert(record, vec![]).await.unwrap();
        let user = NewUser {
            id: UserId::new(at, secret::id_bits()),
            tenant: tenant.clone(),
            login: "ann".to_owned(),
            display_name: "Ann".to_owned(),
            role: "viewer".to_owned(),
            platform: false,
            password_hash: String::new(),
            must_change_password: false,
            created_at: at,
            disabled_at: None,
            last_sign_in_at: None,
        };
        let (id, text) = (user.id, secret::new(secret::TOKEN));
        state
            .store
            .user_insert(&tenant, user, vec![])
            .await
            .unwrap();
        let token = NewToken {
            id: TokenId::new(at, secret::id_bits()),
            user: id,
            name: "stream".to_owned(),
            hash: secret::hash(&text),
            prefix: secret::hint(&text),
            scopes: vec!["event:read".to_owned()],
            created_at: at,
            expires_at: None,
        };
        let token_id = token.id;
        state
            .store
            .token_insert(&tenant, token, vec![])
            .await
            .unwrap();
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {text}").parse().unwrap();
        headers.insert(header::AUTHORIZATION, bearer);
        World {
            state,
            tenant,
            headers,
            token: token_id,
            _database: database,
        }
    }

    async fn stream(world: &World) -> Stream {
        let state = world.state.clone();
        let caller = authenticate(&state, &world.headers).await.unwrap().unwrap();
        Stream {
            nudges: state.store.watch_events(),
            credentials: state.credentials.subscribe(),
            _seat: Seat::take(&state, caller.key()).unwrap(),
            state,
            caller,
            headers: world.headers.clone(),
            filter: EventFilter::default(),
            after: 0,
            ready: VecDeque::new(),
            more: true,
            checked: Instant::now(),
            ended: false,
        }
    }

    #[tokio::test]
    async fn a_quiet_stream_says_that_it_is_alive_and_looks_whether_its_caller_may_still_read() {
        let world = world().await;
        let mut stream = stream(&world).await;
        tokio::time::pause();
        let started = Instant::now();
        let text = |message: Message| format!("{message:?}");
        assert!(text(stream.next().await.unwrap()).contains("alive"));
        assert_eq!(
            started.elapsed().as_secs(),
            limits::STREAM_HEARTBEAT.as_secs()
        );
        // Revoked by another node, which tells nobody.
        let revoke =
            world
                .state
                .store
                .token_revoke(&world.tenant, world.token, state::now(), vec![]);
        revoke.await.unwrap();
        loop {
            let message = text(stream.next().await.unwrap());
            if message.contains("signed-out") {
                break;
            }
            assert!(message.contains("alive"), "{message}");
            assert!(started.elapsed() <= limits::STREAM_RECHECK + limits::STREAM_HEARTBEAT);
        }
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn beyond_the_streams_there_may_be_one_is_refused_and_a_place_comes_back() {
        let (state, _database) = crate::state::tests::alone().await;
        let others = u32::try_from(limits::STREAMS_MAX - 1).unwrap();
        let others = state.streams.clone().try_acquire_many_owned(others);
        let last = Seat::take(&state, Uuid::nil()).ok();
        assert!(last.is_some());
        let refused = Seat::take(&state, Uuid::max()).err().unwrap();
        assert!(refused.0.detail.contains("streams_max"), "{refused:?}");
        drop(last);
        assert!(Seat::take(&state, Uuid::max()).is_ok());
        drop(others);
    }
}
