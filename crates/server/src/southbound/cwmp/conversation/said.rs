//! What a CPE asks during a session: the ends of transfers and of changes to its software, mostly.
//! Each is stored before it is answered, since the CPE does not say it again after that.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use cwmp::fault::FaultCode;
use cwmp::rpc::{
    AutonomousTransferComplete, DuStateChangeComplete, FaultStruct, GetRpcMethodsResponse,
    KickedResponse, Method, TransferComplete,
};
use cwmp::{Fault, Request, Response};
use fleet::operation::Request as Asked;
use fleet::southbound::Notice;
use fleet::{OperationId, Timestamp};
use tokio::sync::mpsc;

use super::super::Said;
use super::desk::{Desk, completed, key, over};
use super::memory::own_key;
use super::operate::times;
use crate::state::now;

/// What stands where a device did not say how a transfer went.
const UNSAID: &str = "not said";

/// Serves them until the session is over.
pub async fn serve(desk: &Desk, mut said: mpsc::Receiver<Said>) {
    while let Some(one) = said.recv().await {
        let answer = answer(desk, *one.request).await;
        // The session may be over.
        let _ = one.reply.send(answer);
    }
}

async fn answer(desk: &Desk, request: Request) -> Result<Response, Fault> {
    let method = request.method();
    let at = now();
    let stored = match request {
        Request::GetRpcMethods(_) => {
            let methods = Method::ALL.iter().filter(|method| method.is_acs());
            let methods = methods.map(|method| method.name().to_owned()).collect();
            return Ok(GetRpcMethodsResponse { methods }.into());
        }
        // Web redirection is long gone: the user goes where he wanted.
        Request::Kicked(kicked) => {
            let next_url = kicked.next;
            return Ok(KickedResponse { next_url }.into());
        }
        Request::TransferComplete(done) => transfer(desk, at, done).await,
        Request::AutonomousTransferComplete(done) => autonomous(desk, at, done).await,
        Request::DuStateChangeComplete(done) => modules(desk, at, done).await,
        Request::AutonomousDuStateChangeComplete(done) => {
            let changes: Vec<Change> = done
                .results
                .into_iter()
                .map(|one| Change {
                    operation: one.operation_performed,
                    uuid: one.uuid,
                    unit: one.deployment_unit_ref,
                    version: one.version,
                    state: one.current_state,
                    times: times(&one.start_time, &one.complete_time),
                    fault: one.fault,
                })
                .collect();
            let notices: Vec<Notice> = changes.iter().map(Change::notice).collect();
            let text = format!("{notices:?}");
            desk.tell(at, notices, key(&[b"units", text.as_bytes()]))
                .await
        }
        Request::RequestDownload(wanted) => {
            let arguments = wanted.arguments.into_iter().take(16);
            let mut params: BTreeMap<String, String> =
                arguments.map(|arg| (arg.name, arg.value)).collect();
            params.insert("FileType".to_owned(), wanted.file_type);
            wish(desk, at, params).await
        }
        _ => return Err(Fault::plain(FaultCode::ACS_METHOD_NOT_SUPPORTED)),
    };
    match stored {
        Ok(()) => Response::acknowledgement(method)
            .ok_or_else(|| Fault::plain(FaultCode::ACS_METHOD_NOT_SUPPORTED)),
        Err(error) => {
            tracing::warn!(%error, device = %desk.device, "what a device reported could not be stored; it will say it again");
            Err(Fault::plain(FaultCode::ACS_INTERNAL_ERROR))
        }
    }
}

/// It wishes for a download. People are told, once for each wish: nothing is sent to it by itself. One
/// that has not heard our answer wishes again, in this session or in the next ones.
async fn wish(desk: &Desk, at: Timestamp, params: BTreeMap<String, String>) -> store::Result<()> {
    let mut hasher = DefaultHasher::new();
    params.hash(&mut hasher);
    let what = hasher.finish();
    if desk.memory().wishes_again(what, at) {
        return Ok(());
    }
    let notice = Notice::Event {
        object: "Device.".to_owned(),
        name: "RequestDownload!".to_owned(),
        params,
    };
    let when = at.as_millis().to_le_bytes();
    let again = key(&[b"wanted", &what.to_le_bytes(), &when]);
    desk.tell(at, vec![notice], again).await?;
    desk.memory().wished(what, at);
    desk.remember().await
}

/// A transfer is over.
async fn transfer(desk: &Desk, at: Timestamp, done: TransferComplete) -> store::Result<()> {
    let own = own_key(&done.command_key);
    let (start, end) = (
        done.start_time.clone().unwrap_or_default(),
        done.complete_time.clone().unwrap_or_default(),
    );
    let mut outputs = times(&start, &end);
    let again = key(&[
        b"transfer",
        own.as_bytes(),
        start.0.as_bytes(),
        end.0.as_bytes(),
    ]);
    let command = {
        let memory = desk.memory();
        let pending = memory.pending.iter().find(|pending| pending.key == own);
        pending.map(|pending| pending.command.clone())
    };
    let command = match command {
        Some(command) => Some(command),
        None => asked(desk, &own).await?,
    };
    let fault = done.fault.as_ref().and_then(refused);
    let notice = match command {
        Some(command) if !done.says_how() => over(&command, &own, outputs),
        Some(command) => completed(&command, &own, fault.map_or(Ok(outputs), Err)),
        // Somebody else's, or one from before we were its ACS.
        None => {
            outputs.insert("CommandKey".to_owned(), done.command_key.trim().to_owned());
            outputs.extend(how(done.fault.as_ref()));
            transfer_event(outputs)
        }
    };
    desk.tell(at, vec![notice], again).await?;
    desk.memory().end(&own);
    desk.remember().await
}

/// The command of the operation with this key, where the memory has lost it.
async fn asked(desk: &Desk, key: &str) -> store::Result<Option<String>> {
    let Ok(id) = key.parse::<OperationId>() else {
        return Ok(None);
    };
    match desk.store().operation(&desk.tenant, id).await {
        Ok(record) if record.operation.device == desk.device => {
            Ok(match record.operation.request {
                Asked::Operate { command, .. } => Some(command),
                _ => None,
            })
        }
        Ok(_) | Err(store::Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn autonomous(
    desk: &Desk,
    at: Timestamp,
    done: AutonomousTransferComplete,
) -> store::Result<()> {
    let mut params = times(
        &done.start_time.unwrap_or_default(),
        &done.complete_time.unwrap_or_default(),
    );
    let kind = if done.is_download {
        "Download"
    } else {
        "Upload"
    };
    params.insert("TransferType".to_owned(), kind.to_owned());
    params.insert("TransferURL".to_owned(), done.transfer_url.masked());
    params.insert("FileType".to_owned(), done.file_type);
    params.extend(how(done.fault.as_ref()));
    let again = key(&[b"autonomous", format!("{params:?}").as_bytes()]);
    desk.tell(at, vec![transfer_event(params)], again).await
}

/// As TR-181 names it.
fn transfer_event(params: BTreeMap<String, String>) -> Notice {
    Notice::Event {
        object: "Device.LocalAgent.".to_owned(),
        name: "TransferComplete!".to_owned(),
        params,
    }
}

fn refused(fault: &FaultStruct) -> Option<fleet::southbound::Fault> {
    let code = fault.failure()?;
    let words = match (fault.text.trim(), code.name()) {
        ("", Some(name)) => name,
        (text, _) => text,
    };
    Some(fleet::southbound::Fault::new(code.0, words))
}

/// How a transfer went that is nobody's; of one that does not say so nobody shall think that it went well.
fn how(fault: Option<&FaultStruct>) -> Vec<(String, String)> {
    match fault.filter(|fault| fault.code.is_some()) {
        Some(fault) => told(fault),
        None => vec![("Result".to_owned(), UNSAID.to_owned())],
    }
}

fn told(fault: &FaultStruct) -> Vec<(String, String)> {
    refused(fault)
        .into_iter()
        .flat_map(|fault| {
            [
                ("FaultCode".to_owned(), fault.code.to_string()),
                ("FaultString".to_owned(), fault.message),
            ]
        })
        .collect()
}

/// What became of one deployment unit.
struct Change {
    operation: String,
    uuid: String,
    unit: String,
    version: String,
    state: String,
    times: BTreeMap<String, String>,
    fault: FaultStruct,
}

impl Change {
    fn notice(&self) -> Notice {
        let mut params = BTreeMap::from([
            ("UUID".to_owned(), self.uuid.clone()),
            ("DeploymentUnitRef".to_owned(), self.unit.clone()),
            ("Version".to_owned(), self.version.clone()),
            ("CurrentState".to_owned(), self.state.clone()),
        ]);
        params.extend(self.times.clone());
        if !self.operation.is_empty() {
            params.insert("OperationPerformed".to_owned(), self.operation.clone());
        }
        params.extend(told(&self.fault));
        Notice::Event {
            object: "Device.SoftwareModules.".to_owned(),
            name: "DUStateChange!".to_owned(),
            params,
        }
    }
}

/// A change of software modules is over: its command ends well when all of it went well.
async fn modules(desk: &Desk, at: Timestamp, done: DuStateChangeComplete) -> store::Result<()> {
    let own = own_key(&done.command_key);
    let again = key(&[
        b"modules",
        own.as_bytes(),
        format!("{:?}", done.results).as_bytes(),
    ]);
    let changes: Vec<Change> = done
        .results
        .into_iter()
        .map(|one| Change {
            operation: String::new(),
            uuid: one.uuid,
            unit: one.deployment_unit_ref,
            version: one.version,
            state: one.current_state,
            times: times(&one.start_time, &one.complete_time),
            fault: one.fault,
        })
        .collect();
    let mut notices: Vec<Notice> = changes.iter().map(Change::notice).collect();
    let command = {
        let memory = desk.memory();
        let pending = memory.pending.iter().find(|pending| pending.key == own);
        pending.map(|pending| pending.command.clone())
    };
    let command = match command {
        Some(command) => Some(command),
        None => asked(desk, &own).await?,
    };
    if let Some(command) = command {
        let failed = changes.iter().find_map(|change| refused(&change.fault));
        let outputs = changes.iter().enumerate().flat_map(|(n, change)| {
            let row = n + 1;
            [
                (format!("Results.{row}.UUID"), change.uuid.clone()),
                (format!("Results.{row}.CurrentState"), change.state.clone()),
                (format!("Results.{row}.Version"), change.version.clone()),
            ]
        });
        let result = failed.map_or_else(|| Ok(outputs.collect()), Err);
        notices.push(completed(&command, &own, result));
    }
    desk.tell(at, notices, again).await?;
    desk.memory().end(&own);
    desk.remember().await
}
