//! Files on their way: what the server knows of them, and the operations that have a device fetch
//! or send one. Which command does that is chosen here, from what the device has.

use super::operation::submit;
use super::time;
use crate::auth::Caller;
use crate::http::extract::{Body, Id, Query};
use crate::http::idempotency::Keyed;
use crate::http::page;
use crate::problem::{Fail, Result};
use crate::state::{State, now};
use api::operation::{Op, OperationCreate};
use api::page::PageQuery;
use api::transfer::{
    DownloadCreate, Transfer, TransferDirection, TransferState, UploadCreate, UploadType,
};
use api::{FieldProblem, Page};
use axum::Json;
use axum::extract::{Extension, State as Extract};
use axum::response::Response;
use fleet::operation::Request;
use fleet::transfer::{FILE, Named, UPLOAD, named};
use fleet::{DeviceId, FileId, FileKind, TenantId, Timestamp, TransferId};
use std::collections::BTreeMap;
use store::{DeviceRecord, TransferRecord};

/// The transfers of a device, newest first.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Transfer>>> {
    let id = DeviceId::from(id);
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    state.store.device(&caller.tenant, id).await?;
    let before = match page::given(query.cursor.as_deref()) {
        None => None,
        Some(text) => Some(text.parse::<TransferId>().map_err(|_| {
            let problem = format!("{text:?} is not a cursor");
            Fail::malformed(vec![FieldProblem::query("cursor", problem)])
        })?),
    };
    let mut found = state
        .store
        .transfer_list(&caller.tenant, id, before, limit + 1)
        .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = more
        .then(|| found.last().map(|last| last.id.to_string()))
        .flatten();
    let (at, alone_since) = (now(), state.alone_since());
    Ok(Json(Page {
        items: found.iter().map(|one| view(one, at, alone_since)).collect(),
        next,
        total: None,
    }))
}

/// Has a device fetch a file.
pub async fn download(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    keyed: Option<Extension<Keyed>>,
    Body(body): Body<DownloadCreate>,
) -> Result<Response> {
    let record = state.store.device(&caller.tenant, id.into()).await?;
    let file = FileId::from(body.file_id);
    let file = match state.store.file(&caller.tenant, file).await {
        Ok(found) => found.file,
        Err(store::Error::NotFound(_)) => {
            let problem = "is not the id of a file; `GET /api/v1/files` has them";
            return Err(Fail::invalid(vec![FieldProblem::body("file_id", problem)]));
        }
        Err(error) => return Err(error.into()),
    };
    let command = match body.command {
        Some(command) => command,
        // TR-069 has more kinds of files than TR-181 has commands.
        None if body.file_type.is_some() => "Device.X_HEADEND_Download()".to_owned(),
        None => match file.kind {
            FileKind::Configuration => {
                let table = "Device.DeviceInfo.VendorConfigFile.";
                let row = first_row(&state, &caller.tenant, &record, table).await?;
                format!("{row}Restore()")
            }
            FileKind::Firmware => {
                let image = spare_image(&state, &caller.tenant, &record).await?;
                format!("{image}Download()")
            }
            FileKind::Upload | FileKind::Other => {
                let problem = format!(
                    "is missing: the file is neither firmware nor configuration but `{}`, so no command fits by itself",
                    file.kind
                );
                return Err(Fail::invalid(vec![FieldProblem::body("command", problem)]));
            }
        },
    };
    let mut input = BTreeMap::from([("URL".to_owned(), format!("{FILE}{}", file.id))]);
    if command.ends_with(".Download()") {
        let activate = body.activate.unwrap_or(true);
        input.insert("AutoActivate".to_owned(), activate.to_string());
    }
    if let Some(file_type) = body.file_type {
        input.insert("FileType".to_owned(), file_type);
    }
    let create = OperationCreate {
        mode: body.mode,
        ops: vec![Op::Operate { command, input }],
        expires_in_seconds: body.expires_in_seconds,
        note: body.note,
    };
    submit(&state, &caller, &record, keyed, create).await
}

/// Has a device send a file.
pub async fn upload(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    keyed: Option<Extension<Keyed>>,
    Body(body): Body<UploadCreate>,
) -> Result<Response> {
    let record = state.store.device(&caller.tenant, id.into()).await?;
    let name = body.name.unwrap_or_default();
    let mut checks = super::validate::Checks::default();
    if !name.is_empty() {
        super::file::file_name(&mut checks, &name);
    }
    checks.done()?;
    let (table, verb) = match body.what {
        UploadType::Config => ("Device.DeviceInfo.VendorConfigFile.", "Backup()"),
        UploadType::Log => ("Device.DeviceInfo.VendorLogFile.", "Upload()"),
    };
    let command = match body.command {
        Some(command) => command,
        None if body.file_type.is_some() => "Device.X_HEADEND_Upload()".to_owned(),
        None => format!(
            "{}{verb}",
            first_row(&state, &caller.tenant, &record, table).await?
        ),
    };
    let mut input = BTreeMap::from([("URL".to_owned(), format!("{UPLOAD}{}", name.trim()))]);
    if let Some(file_type) = body.file_type {
        input.insert("FileType".to_owned(), file_type);
    }
    let create = OperationCreate {
        mode: body.mode,
        ops: vec![Op::Operate { command, input }],
        expires_in_seconds: body.expires_in_seconds,
        note: body.note,
    };
    submit(&state, &caller, &record, keyed, create).await
}

/// Rows of a table by the last-known values, in the order of their numbers.
async fn rows(state: &State, tenant: &TenantId, device: DeviceId, table: &str) -> Result<Vec<u32>> {
    /// Tables of files are short; each row has a dozen values.
    const VALUES_MAX: usize = 500;
    let values = state
        .store
        .value_list(tenant, device, table, None, VALUES_MAX)
        .await?;
    let mut rows: Vec<u32> = values
        .iter()
        .filter_map(|one| {
            one.path
                .strip_prefix(table)?
                .split('.')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

/// The first row of a table; where none is known, the first there can be.
async fn first_row(
    state: &State,
    tenant: &TenantId,
    record: &DeviceRecord,
    table: &str,
) -> Result<String> {
    let rows = rows(state, tenant, record.device.id, table).await?;
    Ok(format!("{table}{}.", rows.first().copied().unwrap_or(1)))
}

/// The firmware image that can be overwritten: one that is not running. A device that has a single
/// one overwrites that.
async fn spare_image(state: &State, tenant: &TenantId, record: &DeviceRecord) -> Result<String> {
    let table = "Device.DeviceInfo.FirmwareImage.";
    let rows = rows(state, tenant, record.device.id, table).await?;
    let active = "Device.DeviceInfo.ActiveFirmwareImage".to_owned();
    let active = state
        .store
        .value_of(tenant, record.device.id, &[active])
        .await?;
    let active = active.first().map(|one| one.value.trim_end_matches('.'));
    let path = |row: u32| format!("{table}{row}");
    let spare = rows
        .iter()
        .map(|row| path(*row))
        .find(|one| Some(one.as_str()) != active)
        .or_else(|| rows.first().map(|row| path(*row)))
        .unwrap_or_else(|| path(1));
    Ok(format!("{spare}."))
}

/// What a command says of files that cannot be: problems by field, and what to know beforehand.
pub async fn check(
    state: &State,
    tenant: &TenantId,
    record: &DeviceRecord,
    request: &Request,
) -> Result<Vec<String>> {
    let Request::Operate { args, .. } = request else {
        return Ok(Vec::new());
    };
    let mut warnings = Vec::new();
    let wrong = |name: &str, problem: &str| {
        let field = format!("ops[0].input.{name}");
        Err(Fail::invalid(vec![FieldProblem::body(field, problem)]))
    };
    let mut seen = 0;
    for (name, value) in args {
        let Some(what) = named(value) else { continue };
        seen += 1;
        if seen > 1 {
            return wrong(name, "is a second file; a command fetches or sends one");
        }
        if state.files.as_ref().is_none_or(|files| !files.serves()) {
            return wrong(
                name,
                "names a file, and this server serves none (files.listen)",
            );
        }
        let Named::File(id) = what else { continue };
        let Ok(id) = id.parse::<FileId>() else {
            return wrong(name, "is not `headend-file:` and the id of a file");
        };
        let file = match state.store.file(tenant, id).await {
            Ok(found) => found.file,
            Err(store::Error::NotFound(_)) => return wrong(name, "names a file that is not there"),
            Err(error) => return Err(error.into()),
        };
        let about = &record.device.description;
        let other = |of: &str, known: [&str; 2]| {
            !of.is_empty()
                && known.iter().any(|one| !one.is_empty())
                && !known.iter().any(|one| one.eq_ignore_ascii_case(of))
        };
        if other(&file.model, [&about.model, &about.product_class])
            || other(&file.vendor, [&about.manufacturer, &about.oui])
        {
            warnings.push(format!(
                "The file {} is for {} {}, and this device is {} {}.",
                file.name, file.vendor, file.model, about.manufacturer, about.model
            ));
        }
    }
    Ok(warnings)
}

/// A transfer for the wire; since when nobody else has served files, where that is so.
pub fn view(record: &TransferRecord, at: Timestamp, alone_since: Option<Timestamp>) -> Transfer {
    let state = stands(record, at, alone_since);
    Transfer {
        id: record.id.as_uuid(),
        device_id: record.device.as_uuid(),
        operation_id: record.operation.as_uuid(),
        direction: match record.direction {
            fleet::Direction::Download => TransferDirection::Download,
            fleet::Direction::Upload => TransferDirection::Upload,
        },
        state,
        words: words(record, state),
        file_id: record.file.map(|file| file.as_uuid()),
        name: record.name.clone(),
        size: record.size,
        bytes: record.bytes,
        requests: record.requests,
        peer: super::some(&record.peer),
        error: super::some(&record.error),
        created_at: time(record.created_at),
        expires_at: time(record.expires_at),
        started_at: record.started_at.map(time),
        finished_at: record.finished_at.map(time),
    }
}

fn stands(record: &TransferRecord, at: Timestamp, alone_since: Option<Timestamp>) -> TransferState {
    use fleet::TransferState as S;
    let lost = crate::files::limits::PROGRESS_LOST_AFTER;
    match record.state {
        S::Done => TransferState::Done,
        S::Failed => TransferState::Failed,
        _ if record.expires_at <= at => TransferState::Expired,
        // Its server was killed, or it stands still.
        S::Running if at.since(record.updated_at) > lost => TransferState::Interrupted,
        S::Running if alone_since.is_some_and(|since| record.updated_at < since) => {
            TransferState::Interrupted
        }
        S::Running => TransferState::Running,
        S::Interrupted => TransferState::Interrupted,
        S::Waiting => TransferState::Waiting,
    }
}

fn words(record: &TransferRecord, state: TransferState) -> String {
    let went = match record.size {
        Some(size) => format!("{} of {size} bytes", record.bytes),
        None => format!("{} bytes", record.bytes),
    };
    let (verb, past) = match record.direction {
        fleet::Direction::Download => ("fetch", "fetched"),
        fleet::Direction::Upload => ("send", "sent"),
    };
    let base = match state {
        TransferState::Waiting => format!("The device has its link and did not {verb} yet"),
        TransferState::Running => format!("{went} {past} so far"),
        TransferState::Interrupted => format!("{went} {past}; the device may go on"),
        TransferState::Done => format!("All {} bytes {past}", record.bytes),
        TransferState::Failed => format!("It cannot be done; {went} {past}"),
        TransferState::Expired => format!("The link ended; {went} {past}"),
    };
    match record.error.as_str() {
        "" => base,
        error => format!("{base}: {error}"),
    }
}
