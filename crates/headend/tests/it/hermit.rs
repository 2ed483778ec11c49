//! A device that takes commands and answers none of them. It comes back whenever its link breaks, and
//! may then say what became of the command.

use crate::raw::Raw;
use crate::rig::{SOON, Server, until};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use usp::agent::{Config, Event, Session};
use usp::msg::{self, Map, Notification, Request, Response};
use usp::record::WebSocketConnectRecord;
use usp::{EndpointId, ErrorCode, RetryPolicy, UspError};

/// Between two tries to dial.
const DIAL_EVERY: Duration = Duration::from_millis(100);

/// What it was told to run, in order: command and command key.
type Told = Arc<Mutex<Vec<(String, String)>>>;

/// Says what became of a command with this key, when it comes back.
pub type Proof = fn(key: &str) -> Notification;

/// The device; ends with this value.
pub struct Hermit {
    /// Its id.
    pub id: String,
    told: Told,
    task: JoinHandle<()>,
}

impl Drop for Hermit {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hermit {
    /// Registered, connected, and known to the server.
    pub async fn start(server: &Server, endpoint: &str, proof: Option<Proof>) -> Hermit {
        let api = &server.api;
        let made = api.post("/devices", json!({"endpoint_id": endpoint})).await;
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let (id, token) = (text(&made["device"]["id"]), text(&made["secret"]));
        let told = Told::default();
        let life = Life {
            address: server.usp.clone(),
            controller: server.endpoint.clone(),
            endpoint: endpoint.to_owned(),
            token,
            told: told.clone(),
            proof,
        };
        let task = tokio::spawn(life.live());
        let path = format!("/devices/{id}");
        until("the hermit to be known", SOON, async || {
            let device = api.get(&path).await;
            (device["onboarding"] == "complete").then_some(())
        })
        .await;
        Hermit { id, told, task }
    }

    /// What it was told to run so far.
    pub fn told(&self) -> Vec<(String, String)> {
        self.told.lock().unwrap().clone()
    }
}

struct Life {
    address: String,
    controller: String,
    endpoint: String,
    token: String,
    told: Told,
    proof: Option<Proof>,
}

impl Life {
    async fn live(self) {
        loop {
            let (to, us) = (&self.controller, &self.endpoint);
            if let Some(Ok(link)) = Raw::reach(&self.address, to, &self.token, us).await {
                self.talk(link).await;
            }
            tokio::time::sleep(DIAL_EVERY).await;
        }
    }

    /// Until the link is gone.
    async fn talk(&self, mut link: Raw) -> Option<()> {
        let id = |text: &str| EndpointId::parse(text).unwrap();
        let (own, controller) = (id(&self.endpoint), id(&self.controller));
        let mut session = Session::new(&Config::default(), own, controller, 7);
        session.channel_opened(Instant::now(), WebSocketConnectRecord::default());
        let last = self.told.lock().unwrap().last().cloned();
        if let (Some(proof), Some((_, key))) = (self.proof, last) {
            let notify = msg::notify("headend-test", proof(&key));
            let retry = Some(RetryPolicy::default());
            session.notify(Instant::now(), notify, retry).unwrap();
        }
        loop {
            while let Some(record) = session.poll_transmit() {
                link.send_record(record.to_vec()).await.then_some(())?;
            }
            match session.poll_event() {
                Some(Event::Requested { token, request, .. }) => {
                    if let Some(answer) = self.answer(request) {
                        session.respond(token, answer).unwrap();
                    }
                }
                Some(_) => {}
                None => {
                    let record = link.record().await?;
                    session.handle_input(Instant::now(), &record).unwrap();
                }
            }
        }
    }

    fn answer(&self, request: Request) -> Option<Result<Response, UspError>> {
        Some(Ok(match request {
            Request::Operate(operate) => {
                let told = (operate.command, operate.command_key);
                self.told.lock().unwrap().push(told);
                return None;
            }
            Request::Get(get) => msg::GetResp {
                req_path_results: get.param_paths.iter().map(|path| values(path)).collect(),
            }
            .into(),
            Request::GetSupportedDm(_) => model().into(),
            Request::Add(add) => {
                let row = |object: &msg::CreateObject| msg::CreatedObjectResult {
                    requested_path: object.obj_path.clone(),
                    oper_status: msg::CreateStatus::OperSuccess(msg::CreateSuccess {
                        instantiated_path: format!("{}1.", object.obj_path),
                        ..Default::default()
                    }),
                };
                msg::AddResp {
                    created_obj_results: add.create_objs.iter().map(row).collect(),
                }
                .into()
            }
            _ => {
                let refused = UspError::new(ErrorCode::REQUEST_DENIED, "leave me alone");
                return Some(Err(refused));
            }
        }))
    }
}

/// It has a name, and its table of requests is empty.
fn values(path: &str) -> msg::RequestedPathResult {
    let mut result = msg::RequestedPathResult {
        requested_path: path.to_owned(),
        ..Default::default()
    };
    if path.starts_with("Device.DeviceInfo.") {
        result.resolved_path_results.push(msg::ResolvedPathResult {
            resolved_path: "Device.DeviceInfo.".into(),
            result_params: Map::from([("ModelName", "Hermit"), ("SoftwareVersion", "1.0")]),
        });
    }
    result
}

fn model() -> msg::GetSupportedDMResp {
    let object = |path: &str, params: &[&str], commands: &[&str]| {
        let param = |name: &&str| msg::SupportedParamResult {
            param_name: (*name).to_owned(),
            ..Default::default()
        };
        let command = |name: &&str| msg::SupportedCommandResult {
            command_name: (*name).to_owned(),
            ..Default::default()
        };
        msg::SupportedObjectResult {
            supported_obj_path: path.into(),
            supported_params: params.iter().map(param).collect(),
            supported_commands: commands.iter().map(command).collect(),
            ..Default::default()
        }
    };
    msg::GetSupportedDMResp {
        req_obj_results: vec![msg::RequestedObjectResult {
            req_obj_path: "Device.".into(),
            supported_objs: vec![
                object("Device.", &[], &["Reboot()"]),
                object("Device.DeviceInfo.", &["ModelName", "SoftwareVersion"], &[]),
                object("Device.X_T.", &[], &["Go()"]),
            ],
            ..Default::default()
        }],
    }
}
