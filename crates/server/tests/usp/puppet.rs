//! An agent made of nothing but its protocol: it answers what a test tells it, and misbehaves.

use std::time::Instant;

use bytes::Bytes;
use mtp::ws::{CloseCode, DialConfig, DialError, Incoming, Link, dial};
use usp::agent::{Config, Event, NotifyId, Session};
use usp::msg::{self, Map, Notification, Notify, Request, Response};
use usp::record::{Record, WebSocketConnectRecord};
use usp::{EndpointId, ErrorCode, RetryPolicy, UspError};

use crate::rig::soon;

/// The wire end of a device.
pub struct Puppet {
    pub link: Link,
    pub session: Session,
}

/// What happened to a puppet.
#[derive(Debug)]
pub enum Seen {
    Event(Event),
    Closed(Option<CloseCode>),
    Gone,
}

pub fn eid(text: &str) -> EndpointId {
    EndpointId::parse(text).unwrap()
}

impl Puppet {
    /// Connects and announces itself.
    pub async fn dial(url: &str, own: &str, controller: &str) -> Result<Self, DialError> {
        Self::dial_with(DialConfig::new(url, eid(own)), own, controller).await
    }

    /// The same with certificates.
    pub async fn dial_with(
        config: DialConfig,
        own: &str,
        controller: &str,
    ) -> Result<Self, DialError> {
        let link = dial(&config).await?;
        let (own, controller) = (eid(own), eid(controller));
        let config = Config::default();
        let mut session = Session::new(&config, own, controller, rand::random());
        session.channel_opened(Instant::now(), WebSocketConnectRecord::default());
        let mut puppet = Self { link, session };
        puppet.flush().await;
        Ok(puppet)
    }

    /// The status of a refused connection.
    pub async fn refused(url: &str, own: &str) -> u16 {
        match dial(&DialConfig::new(url, eid(own))).await {
            Err(DialError::Refused { status, .. }) => status,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it was let in"),
        }
    }

    pub async fn flush(&mut self) {
        while let Some(record) = self.session.poll_transmit() {
            if self.link.send(record).await.is_err() {
                return;
            }
        }
    }

    /// Sends bytes as a record, whatever they are.
    pub async fn send_raw(&mut self, bytes: impl Into<Bytes>) {
        self.link.send(bytes).await.unwrap();
    }

    /// Sends a record of these endpoints that holds a message.
    pub async fn send_as(&mut self, from: &str, to: &str, payload: Vec<u8>) {
        let content = usp::record::NoSessionContextRecord::new(payload);
        let record = Record::new(usp::Version::V1_4, &eid(from), &eid(to), content);
        self.send_raw(usp::codec::encode_record(&record)).await;
    }

    /// The next thing that happens.
    pub async fn next(&mut self) -> Seen {
        soon(self.look()).await
    }

    async fn look(&mut self) -> Seen {
        loop {
            self.flush().await;
            if let Some(event) = self.session.poll_event() {
                return Seen::Event(event);
            }
            match self.link.recv().await {
                Ok(Incoming::Record(record)) => {
                    self.session.handle_input(Instant::now(), &record).unwrap();
                }
                Ok(Incoming::Closed(closed)) => return Seen::Closed(closed.code),
                Err(_) => return Seen::Gone,
            }
        }
    }

    /// Answers requests, and pings, until something else happens, however long that takes: whoever waits for that has the
    /// deadline.
    pub async fn serve(&mut self, mut answer: impl FnMut(&Request) -> Reply) -> Seen {
        loop {
            match self.look().await {
                Seen::Event(Event::Requested { token, request, .. }) => match answer(&request) {
                    Reply::With(answer) => self.session.respond(token, answer).unwrap(),
                    Reply::Not => {}
                    Reply::Stop => {
                        return Seen::Event(Event::Requested {
                            token,
                            msg_id: String::new(),
                            request,
                        });
                    }
                },
                Seen::Event(Event::Ignored(_)) => {}
                other => return other,
            }
        }
    }

    pub fn notify(&mut self, notification: impl Into<Notification>) -> NotifyId {
        let notify: Notify = msg::notify("headend-test", notification);
        let retry = RetryPolicy {
            min_wait: std::time::Duration::from_secs(1),
            ..RetryPolicy::default()
        };
        self.session
            .notify(Instant::now(), notify, Some(retry))
            .unwrap()
    }

    /// Serves until a notification is delivered.
    pub async fn delivered(&mut self, id: NotifyId) {
        match soon(self.serve(plain)).await {
            Seen::Event(Event::Delivered { id: seen }) if seen == id => {}
            other => panic!("{other:?}"),
        }
    }
}

/// What to do about a request.
pub enum Reply {
    With(Result<Response, UspError>),
    /// Leave it open.
    Not,
    /// Leave it open, and give it to the test.
    Stop,
}

fn ok(response: impl Into<Response>) -> Reply {
    Reply::With(Ok(response.into()))
}

pub fn no() -> Reply {
    Reply::With(Err(UspError::new(
        ErrorCode::RESOURCES_EXCEEDED,
        "too much for me",
    )))
}

/// The least a device answers: it has a DeviceInfo and nothing else.
pub fn plain(request: &Request) -> Reply {
    match request {
        Request::Get(get) => ok(msg::GetResp {
            req_path_results: get.param_paths.iter().map(|path| values(path)).collect(),
        }),
        Request::GetSupportedDm(ask) => ok(msg::GetSupportedDMResp {
            req_obj_results: vec![msg::RequestedObjectResult {
                req_obj_path: ask.obj_paths[0].clone(),
                supported_objs: vec![
                    object("Device.", &[]),
                    object("Device.DeviceInfo.", &["SoftwareVersion"]),
                ],
                ..Default::default()
            }],
        }),
        Request::Add(add) => ok(msg::AddResp {
            created_obj_results: add
                .create_objs
                .iter()
                .map(|row| msg::CreatedObjectResult {
                    requested_path: row.obj_path.clone(),
                    oper_status: msg::CreateStatus::OperSuccess(msg::CreateSuccess {
                        instantiated_path: format!("{}1.", row.obj_path),
                        ..Default::default()
                    }),
                })
                .collect(),
        }),
        _ => no(),
    }
}

pub fn object(path: &str, params: &[&str]) -> msg::SupportedObjectResult {
    let param = |name: &&str| msg::SupportedParamResult {
        param_name: (*name).to_owned(),
        ..Default::default()
    };
    msg::SupportedObjectResult {
        supported_obj_path: path.into(),
        supported_params: params.iter().map(param).collect(),
        ..Default::default()
    }
}

fn values(path: &str) -> msg::RequestedPathResult {
    let mut result = msg::RequestedPathResult {
        requested_path: path.into(),
        ..Default::default()
    };
    if path == "Device.DeviceInfo." {
        result.resolved_path_results.push(msg::ResolvedPathResult {
            resolved_path: path.into(),
            result_params: Map::from([("SoftwareVersion", "1.0"), ("ModelName", "Puppet")]),
        });
    }
    result
}
