//! Files: put, list, show, get, describe, remove.

use super::time;
use super::validate::Checks;
use crate::auth::Caller;
use crate::files::folder::{hex, unhex};
use crate::files::serve_content;
use crate::files::take::TakeError;
use crate::http::extract::{Body, Id, Query};
use crate::http::page;
use crate::problem::{Fail, Result};
use crate::secret;
use crate::state::{State, now};
use api::file::{File, FileKind, FilePatch, FileQuery, FileUpload};
use api::limits::NOTE_CHARS_MAX;
use api::{FieldProblem, Page, ProblemKind};
use axum::Json;
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleet::{DeviceId, EventKind, FileId};
use http::HeaderValue;
use store::{FileFilter, FileRecord, NewFile};

/// All of them, newest first.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<FileQuery>,
) -> Result<Json<Page<File>>> {
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    let before = match page::given(query.cursor.as_deref()) {
        None => None,
        Some(text) => Some(text.parse::<FileId>().map_err(|_| {
            let problem = format!("{text:?} is not a cursor");
            Fail::malformed(vec![FieldProblem::query("cursor", problem)])
        })?),
    };
    let filter = FileFilter {
        kinds: query.kind.into_iter().map(domain).collect(),
        text: query.q.filter(|text| !text.trim().is_empty()),
        device: query.device_id.map(DeviceId::from),
    };
    let store = &state.store;
    let mut found = store
        .file_list(&caller.tenant, &filter, before, limit + 1)
        .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = more
        .then(|| found.last().map(|last| last.file.id.to_string()))
        .flatten();
    Ok(Json(Page {
        items: found.iter().map(view).collect(),
        next,
        total: None,
    }))
}

/// Takes one.
pub async fn upload(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<FileUpload>,
    request: Request,
) -> Result<Response> {
    let mut checks = Checks::default();
    let name = file_name(&mut checks, &query.name);
    let [vendor, model, version] = [
        ("vendor", &query.vendor),
        ("model", &query.model),
        ("version", &query.version),
    ]
    .map(|(field, text)| checks.text(field, text.as_deref().unwrap_or_default()));
    let wanted = query.sha256.as_deref().map(|text| {
        let hash = unhex(&text.to_ascii_lowercase());
        if hash.is_none() {
            checks.add("sha256", "is not the 64 hexadecimal digits of a SHA-256");
        }
        hash
    });
    checks.done()?;
    let files = state.files()?;
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = request.into_body();
    let most = files.file_bytes_max();
    let taken = files.take(&caller.tenant, most, length, body, None, |_| {});
    let taken = taken.await;
    let taken = taken.map_err(refused)?;
    let came = taken.incoming.sha256();
    if let Some(Some(wanted)) = wanted
        && wanted != came
    {
        let problem = format!(
            "is not that of the bytes that came; theirs is {}",
            hex(&came)
        );
        return Err(Fail::invalid(vec![FieldProblem::query("sha256", problem)]));
    }
    let at = now();
    let quota = files.quota();
    let kept = files.keep(&caller.tenant, taken, async |content| {
        let file = NewFile {
            id: FileId::new(at, secret::id_bits()),
            name,
            kind: domain(query.kind.unwrap_or_default()),
            vendor,
            model,
            version,
            note: query.note.unwrap_or_default().trim().to_owned(),
            size: content.size,
            sha256: content.sha256,
            created_at: at,
            created_by: caller.principal.actor(),
            device: None,
        };
        let event = caller
            .event(EventKind::FileCreated)
            .data(serde_json::json!({
                "file": file.id, "name": file.name, "kind": file.kind.as_str(),
                "size": file.size, "sha256": hex(&file.sha256),
            }));
        let store = &state.store;
        store
            .file_insert(&caller.tenant, file, quota, vec![event])
            .await
    });
    let shown = view(&kept.await?);
    let location = format!("/api/v1/files/{}", shown.id);
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, Json(shown)).into_response())
}

/// One of them.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<File>> {
    let record = state.store.file(&caller.tenant, FileId::from(id)).await?;
    Ok(Json(view(&record)))
}

/// Describes one otherwise.
pub async fn update(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<FilePatch>,
) -> Result<Json<File>> {
    let id = FileId::from(id);
    let known = state.store.file(&caller.tenant, id).await?;
    let mut checks = Checks::default();
    let name = body.name.map(|name| file_name(&mut checks, &name));
    let mut text = |field, text: Option<String>| text.map(|text| checks.text(field, text.as_str()));
    let patch = store::FilePatch {
        name,
        kind: body.kind.map(domain),
        vendor: text("vendor", body.vendor),
        model: text("model", body.model),
        version: text("version", body.version),
        note: body.note.map(|note| note.trim().to_owned()),
    };
    let note = patch.note.as_deref().unwrap_or_default();
    if note.chars().count() > NOTE_CHARS_MAX {
        checks.add(
            "note",
            format!("is longer than {NOTE_CHARS_MAX} characters"),
        );
    }
    checks.done()?;
    let event = caller.event(EventKind::FileUpdated).data(serde_json::json!({
        "file": id, "name": known.file.name, "to": patch.name, "kind": patch.kind.map(|one| one.as_str()),
        "vendor": patch.vendor, "model": patch.model, "version": patch.version,
    }));
    let store = &state.store;
    let changed = store
        .file_update(&caller.tenant, id, patch, vec![event])
        .await?;
    Ok(Json(view(&changed)))
}

/// Removes one.
pub async fn delete(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode> {
    let id = FileId::from(id);
    let file = state.store.file(&caller.tenant, id).await?;
    let event = caller
        .event(EventKind::FileDeleted)
        .data(serde_json::json!({"file": id, "name": file.file.name}));
    let removed = state
        .files()?
        .remove(&caller.tenant, id, now(), vec![event])
        .await;
    match removed {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(store::Error::Conflict { detail, .. }) => Err(Fail::new(
            ProblemKind::Conflict,
            format!(
                "There is {detail} that can still be used; cancel its operation, or wait for it."
            ),
        )),
        Err(error) => Err(error.into()),
    }
}

/// What is in one.
pub async fn content(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let file = state.store.file(&caller.tenant, FileId::from(id)).await?;
    let path = state.files()?.path(&file);
    let mut response = serve_content(&file, &path, &method, &headers).await;
    if response.status().is_success() {
        let name = crate::files::link::link_name(&file.file.name);
        let given = format!("attachment; filename=\"{name}\"");
        if let Ok(value) = HeaderValue::from_str(&given) {
            response
                .headers_mut()
                .insert(header::CONTENT_DISPOSITION, value);
        }
    }
    Ok(response)
}

/// A file for the wire.
pub fn view(record: &FileRecord) -> File {
    let file = &record.file;
    File {
        id: file.id.as_uuid(),
        name: file.name.clone(),
        kind: wire(file.kind),
        vendor: super::some(&file.vendor),
        model: super::some(&file.model),
        version: super::some(&file.version),
        note: super::some(&file.note),
        size: file.size,
        sha256: hex(&file.sha256),
        created_at: time(file.created_at),
        created_by: super::event::actor(&file.created_by, false).map(|actor| actor.name),
        device_id: file.device.map(DeviceId::as_uuid),
    }
}

fn domain(kind: FileKind) -> fleet::FileKind {
    match kind {
        FileKind::Firmware => fleet::FileKind::Firmware,
        FileKind::Configuration => fleet::FileKind::Configuration,
        FileKind::Upload => fleet::FileKind::Upload,
        FileKind::Other => fleet::FileKind::Other,
    }
}

fn wire(kind: fleet::FileKind) -> FileKind {
    match kind {
        fleet::FileKind::Firmware => FileKind::Firmware,
        fleet::FileKind::Configuration => FileKind::Configuration,
        fleet::FileKind::Upload => FileKind::Upload,
        fleet::FileKind::Other => FileKind::Other,
    }
}

/// A name of a file, trimmed.
pub fn file_name(checks: &mut Checks, text: &str) -> String {
    let name = checks.name("name", text);
    if name.contains(['/', '\\']) {
        checks.add("name", "is a path; give the name alone");
    }
    name
}

fn refused(error: TakeError) -> Fail {
    let words = format!("Nothing was stored: {error}.");
    match error {
        TakeError::TooLarge { .. } => Fail::new(ProblemKind::TooLarge, words),
        TakeError::Quota { .. } => Fail::new(ProblemKind::LimitReached, words),
        TakeError::DiskFull { .. } => Fail::new(ProblemKind::Unavailable, words),
        TakeError::Slow { .. } => Fail::new(ProblemKind::RequestTimedOut, words),
        TakeError::Nothing | TakeError::BrokeOff { .. } => Fail::new(ProblemKind::Malformed, words),
        TakeError::Folder(error) => crate::problem::internal(format!("files: {error}")),
        TakeError::Store(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_keep_their_names_on_both_sides() {
        for kind in FileKind::ALL {
            assert_eq!(wire(domain(kind)), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), domain(kind).as_str());
        }
    }
}
