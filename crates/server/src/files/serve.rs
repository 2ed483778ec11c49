//! What devices ask: `GET /f/<link>/<name>` for a file, `PUT` or `POST /u/<link>/<name>` with one.
//! The link is the credential; a name or password that a device sends beside it is not looked at.
//! Nothing here writes a link to the log.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use fleet::{Direction, Event, EventKind, FileId, FileKind, TransferState};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::json;
use store::{FileRecord, LinkRecord, NewFile, TransferRecord, TransferStep};

use super::limits::{CONFIGURATION_BYTES_MAX, LINK_REQUESTS_MAX, LINK_UPLOADS_MAX, RETRY_AFTER};
use super::room::Place;
use super::take::{Most, TakeError, Taken};
use super::{Files, going, range};
use crate::http::headers::Connection;
use crate::http::peer::Peer;
use crate::secret;
use crate::state::now;

/// What the listeners serve.
pub fn router(files: Arc<Files>) -> Router {
    Router::new()
        .route("/f/{link}", get(download_bare))
        .route("/f/{link}/", get(download_bare))
        .route("/f/{link}/{*name}", get(download))
        .route("/u/{link}", put(upload_bare).post(upload_bare))
        .route("/u/{link}/", put(upload_bare).post(upload_bare))
        .route("/u/{link}/{*name}", put(upload).post(upload))
        .with_state(files)
}

type Shared = State<Arc<Files>>;

async fn download_bare(files: Shared, Path(link): Path<String>, request: Request) -> Response {
    fetched(files.0, &link, request).await
}

async fn download(
    files: Shared,
    Path((link, _)): Path<(String, String)>,
    request: Request,
) -> Response {
    fetched(files.0, &link, request).await
}

async fn upload_bare(files: Shared, Path(link): Path<String>, request: Request) -> Response {
    sent(files.0, &link, request).await
}

async fn upload(
    files: Shared,
    Path((link, _)): Path<(String, String)>,
    request: Request,
) -> Response {
    sent(files.0, &link, request).await
}

/// An answer in a word; a device does not read more.
fn answer(status: StatusCode, words: &'static str) -> Response {
    (status, format!("{words}\n")).into_response()
}

fn come_again(status: StatusCode, words: &'static str, after: std::time::Duration) -> Response {
    let mut response = answer(status, words);
    let seconds = HeaderValue::from(after.as_secs().max(1));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

/// A transfer that may go on, with its place.
struct Admitted {
    transfer: TransferRecord,
    file: Option<FileRecord>,
    place: Place,
    peer: String,
}

impl Files {
    /// Looks a link up and gives it a place. The answer to one that is wrong, over, for the other
    /// way or of a file that is gone is the same.
    async fn admit(
        &self,
        link: &str,
        way: Direction,
        peer: Option<Peer>,
    ) -> Result<Admitted, Response> {
        let network = peer.map(|peer| peer.network()).unwrap_or_default();
        let address = peer.map(|peer| peer.ip.to_string()).unwrap_or_default();
        let refuse = |reason: &'static str| {
            metrics::counter!("headend_file_refusals_total", "reason" => reason).increment(1);
            tracing::debug!(peer = address, reason, "a link to a file was refused");
            match self.bad_links.take(&network, Instant::now()) {
                Ok(()) => answer(StatusCode::NOT_FOUND, "not found"),
                Err(wait) => {
                    let words = "too many wrong links";
                    come_again(StatusCode::TOO_MANY_REQUESTS, words, wait)
                }
            }
        };
        if !secret::looks_like(link, secret::FILE) {
            return Err(refuse("unknown"));
        }
        let hash = secret::hash(link);
        if self.wrong.has(&hash) {
            return Err(refuse("again"));
        }
        // Such a link never becomes good, but that of a disabled tenant may, and one the other way round is good.
        let refuse_for_good = |reason| {
            let refused = refuse(reason);
            if refused.status() == StatusCode::TOO_MANY_REQUESTS {
                self.wrong.note(hash);
            }
            refused
        };
        let LinkRecord {
            transfer,
            file,
            cancelled,
            disabled,
        } = match self.store.transfer_by_token(&hash).await {
            Ok(Some(found)) => found,
            Ok(None) => return Err(refuse_for_good("unknown")),
            Err(error) => {
                tracing::debug!(%error, "a link to a file could not be looked up");
                let words = "not available at the moment";
                return Err(come_again(
                    StatusCode::SERVICE_UNAVAILABLE,
                    words,
                    RETRY_AFTER,
                ));
            }
        };
        let at = now();
        let requests_max = match way {
            Direction::Download => LINK_REQUESTS_MAX,
            Direction::Upload => LINK_UPLOADS_MAX,
        };
        let over = if disabled {
            Some(("disabled", "the device came while its tenant was disabled"))
        } else if transfer.direction != way {
            Some(("direction", "the device used the link the other way round"))
        } else if transfer.expires_at <= at {
            Some(("expired", "the device came when its link had ended"))
        } else if cancelled {
            Some((
                "cancelled",
                "the device came after the operation was cancelled",
            ))
        } else if way == Direction::Download && file.is_none() {
            Some(("gone", "the device came when the file was removed"))
        } else if transfer.requests >= requests_max {
            Some(("requests", "the device came too often"))
        } else {
            None
        };
        if let Some((reason, words)) = over {
            let refused = match reason {
                "disabled" | "direction" => refuse(reason),
                _ => refuse_for_good(reason),
            };
            let counted = refused.status() == StatusCode::NOT_FOUND;
            if counted && transfer.state != TransferState::Done {
                let step = TransferStep {
                    state: transfer.state,
                    went: (0, 0),
                    peer: Some(address),
                    error: Some(words.to_owned()),
                    at,
                };
                self.step(&transfer, step).await;
            }
            return Err(refused);
        }
        let place = self.room.take(&transfer.tenant, transfer.id);
        let place = place.map_err(|full| {
            metrics::counter!("headend_file_refusals_total", "reason" => "full").increment(1);
            tracing::info!(limit = %full, tenant = %transfer.tenant, "there is no room for a transfer; the device is asked to come again");
            come_again(StatusCode::SERVICE_UNAVAILABLE, "busy", RETRY_AFTER)
        })?;
        Ok(Admitted {
            transfer,
            file,
            place,
            peer: address,
        })
    }
}

/// Who asks, through the proxies in front of the listeners.
fn peer(files: &Files, parts: &Parts) -> Option<Peer> {
    let connection = parts.extensions.get::<Connection>()?;
    let proxies = &files.config.files.proxies;
    let (addr, tls) = (connection.addr, connection.tls);
    Some(Peer::of(addr, tls, &parts.headers, proxies))
}

async fn fetched(files: Arc<Files>, link: &str, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let peer = peer(&files, &parts);
    let admitted = match files.admit(link, Direction::Download, peer).await {
        Ok(admitted) => admitted,
        Err(refused) => return refused,
    };
    let Admitted {
        transfer,
        file: Some(file),
        place,
        peer,
    } = admitted
    else {
        return answer(StatusCode::NOT_FOUND, "not found");
    };
    let path = files.folder.path(&transfer.tenant, &file.file.sha256);
    let response = range::serve_content(&file, &path, &parts.method, &parts.headers).await;
    let goes = parts.method == Method::GET && response.status().is_success();
    let missing = response.status().is_server_error();
    let step = TransferStep {
        state: match transfer.state {
            _ if missing => TransferState::Failed,
            _ if goes => TransferState::Running,
            state => state,
        },
        went: (0, 0),
        peer: Some(peer),
        error: missing.then(|| "what is in the file cannot be read".to_owned()),
        at: now(),
    };
    files.step(&transfer, step).await;
    if !goes {
        return response;
    }
    let (from, _) = range::part(&response, file.file.size);
    let tell = going::note(&files, transfer, from);
    response.map(|body| going::body(body, place, tell))
}

async fn sent(files: Arc<Files>, link: &str, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let peer = peer(&files, &parts);
    let admitted = match files.admit(link, Direction::Upload, peer).await {
        Ok(admitted) => admitted,
        Err(refused) => return refused,
    };
    let Admitted {
        transfer,
        file,
        place,
        peer,
    } = admitted;
    // What came before is here unless it was removed since, and the same once more replaces it.
    let here = file.map_or(0, |file| file.file.size);
    let step = |state, error: Option<String>| TransferStep {
        state,
        went: (0, 0),
        peer: None,
        error,
        at: now(),
    };
    let began = TransferStep {
        peer: Some(peer),
        ..step(TransferState::Running, None)
    };
    files.step(&transfer, began).await;
    let declared = parts.headers.get(header::CONTENT_LENGTH);
    let unfit = if is_form(&parts.headers) {
        Some((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the file itself",
            "the device sent a form (multipart) instead of the file itself",
        ))
    } else if declared.is_none() && body.is_end_stream() {
        // Its bytes come after what is a whole request without any.
        Some((
            StatusCode::LENGTH_REQUIRED,
            "say how long it is",
            "the device did not say how long its file is (Content-Length, or chunked)",
        ))
    } else {
        None
    };
    if let Some((status, words, told)) = unfit {
        files
            .step(
                &transfer,
                step(TransferState::Failed, Some(told.to_owned())),
            )
            .await;
        return answer(status, words);
    }
    let declared = declared.and_then(|value| value.to_str().ok()?.parse().ok());
    match receive(&files, &transfer, here, declared, body, &place).await {
        Ok(()) => answer(StatusCode::CREATED, "stored"),
        Err(error) => {
            let (status, words, state) = refusal(&error, transfer.state);
            tracing::info!(%error, device = %transfer.device, "what a device sent was not taken");
            let told = match error {
                TakeError::Nothing => "the device sent an empty file".to_owned(),
                error => error.to_string(),
            };
            files.step(&transfer, step(state, Some(told))).await;
            match status {
                StatusCode::SERVICE_UNAVAILABLE => come_again(status, words, RETRY_AFTER),
                _ => answer(status, words),
            }
        }
    }
}

/// Takes all of it, then keeps it.
async fn receive(
    files: &Arc<Files>,
    transfer: &TransferRecord,
    here: u64,
    declared: Option<u64>,
    body: Body,
    place: &Place,
) -> Result<(), TakeError> {
    let tenant = transfer.tenant.clone();
    // When the device goes away in the middle, this is given up, and only that is written down.
    let tell = going::note(files, transfer.clone(), 0);
    let seen = |bytes| tell.send_modify(|progress| progress.bytes = bytes);
    let most = files.most(transfer, here);
    let taken = files.take(&tenant, most, declared, body, Some(place), seen);
    let taken = taken.await;
    tell.send_modify(|progress| progress.told = true);
    drop(tell);
    let taken = taken?;
    let (own, transfer) = (files.clone(), transfer.clone());
    // All of it is there: it is kept also when the device does not wait for the answer.
    let kept = files
        .notes
        .spawn(async move { own.receive(transfer, taken).await });
    match kept.await {
        Ok(kept) => kept.map_err(TakeError::from),
        Err(error) => Err(std::io::Error::other(error).into()),
    }
}

impl Files {
    /// What a device may send over its link, of which so much is here.
    fn most(&self, transfer: &TransferRecord, here: u64) -> Most {
        let mut most = self.file_bytes_max();
        most.here = here;
        let mut at_most = |bytes, by| {
            if bytes < most.bytes {
                most = Most { bytes, by, ..most };
            }
        };
        if transfer.kind == FileKind::Configuration {
            at_most(CONFIGURATION_BYTES_MAX, "CONFIGURATION_BYTES_MAX");
        }
        if let Some(size) = transfer.size {
            at_most(size, "what came over the link before");
        }
        most
    }

    /// Makes the file and ends its transfer, together.
    async fn receive(&self, transfer: TransferRecord, taken: Taken) -> store::Result<()> {
        let tenant = transfer.tenant.clone();
        let made = self.keep(&tenant, taken, async |content| {
            let at = now();
            let file = NewFile {
                id: FileId::new(at, secret::id_bits()),
                name: transfer.name.clone(),
                kind: transfer.kind,
                vendor: String::new(),
                model: String::new(),
                version: String::new(),
                note: String::new(),
                size: content.size,
                sha256: content.sha256,
                created_at: at,
                created_by: String::new(),
                device: Some(transfer.device),
            };
            let done = TransferStep {
                state: TransferState::Done,
                went: (0, content.size),
                peer: None,
                error: None,
                at,
            };
            let (id, kind, size) = (file.id, file.kind, file.size);
            let events = move |before: &TransferRecord, after: &TransferRecord| {
                let mut events = going::events(before, after);
                // The same content once more is the same file.
                if after.file == Some(id) {
                    let data = json!({"file": id, "name": after.name, "kind": kind.as_str(), "size": size});
                    let created = Event::new(after.tenant.clone(), at, EventKind::FileCreated);
                    let created = created.device(after.device).operation(after.operation);
                    events.push(created.data(data));
                }
                events
            };
            let (store, quota) = (&self.store, self.quota());
            store
                .transfer_received(&tenant, transfer.id, file, quota, done, events)
                .await
        });
        made.await.map(drop)
    }
}

/// What a device is told, and what becomes of the transfer: it may be tried again, or not.
fn refusal(error: &TakeError, state: TransferState) -> (StatusCode, &'static str, TransferState) {
    use StatusCode as S;
    use TransferState::{Done, Failed, Interrupted};
    match error {
        TakeError::TooLarge(_) if state == Done => (S::CONFLICT, "something else was sent", Done),
        TakeError::Store(store::Error::Conflict { .. }) => {
            (S::CONFLICT, "something else was sent", Done)
        }
        // Who asks with nothing whether a password is wanted sends the file after a good answer.
        TakeError::Nothing => (S::OK, "send the file", Interrupted),
        TakeError::TooLarge(_) => (S::PAYLOAD_TOO_LARGE, "too large", Failed),
        TakeError::Quota { .. } | TakeError::Store(store::Error::LimitExceeded { .. }) => {
            (S::INSUFFICIENT_STORAGE, "no room", Failed)
        }
        TakeError::DiskFull { .. } => (S::INSUFFICIENT_STORAGE, "no room", Failed),
        TakeError::Slow { .. } => (S::REQUEST_TIMEOUT, "too slow", Interrupted),
        TakeError::BrokeOff { .. } => (S::BAD_REQUEST, "broke off", Interrupted),
        TakeError::Folder(_) | TakeError::Store(_) => (
            S::SERVICE_UNAVAILABLE,
            "not available at the moment",
            Interrupted,
        ),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| {
            kind.trim_start()
                .to_ascii_lowercase()
                .starts_with("multipart/")
        })
}
