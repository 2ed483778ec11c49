//! A controller's desk: listens, and talks to one agent at a time with the real controller session.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mtp::ws::{
    Accepted, Admission, Admitted, CloseCode, Hello, Incoming, Link, Listener, ListenerConfig,
    Refusal,
};
use usp::EndpointId;
use usp::controller::{Config, Event, PeerError, Session};
use usp::proto::msg::{Notification, Notify, Request, Response};

pub const CONTROLLER: &str = "self::desk";
/// A test that has not seen what it waits for by then has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn id(text: &str) -> EndpointId {
    text.parse().unwrap()
}

/// Lets everybody in; the ticket is the path.
pub struct Open;

impl Admission for Open {
    type Ticket = (String, Option<EndpointId>);

    async fn admit(&self, hello: &Hello) -> Result<Admitted<Self::Ticket>, Refusal> {
        Ok(Admitted {
            own: id(CONTROLLER),
            ticket: (hello.path.clone(), hello.eid.clone()),
        })
    }
}

pub struct Desk {
    listener: Listener<Open>,
    sessions: u64,
}

impl Desk {
    pub async fn open() -> Desk {
        let config = ListenerConfig::new("127.0.0.1:0".parse().unwrap());
        let listener = Listener::bind(config, Arc::new(Open), Arc::new(()))
            .await
            .unwrap();
        Desk {
            listener,
            sessions: 0,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.listener.local_addr())
    }

    /// The next agent that dials.
    pub async fn accept(&mut self) -> Talk {
        let accepted: Accepted<_> = tokio::time::timeout(PATIENCE, self.listener.accept())
            .await
            .expect("an agent dials");
        let (path, eid) = accepted.ticket;
        self.sessions += 1;
        Talk::new(accepted.link, eid.unwrap(), path, self.sessions)
    }
}

/// One connection with one agent.
pub struct Talk {
    pub link: Link,
    pub session: Session,
    pub path: String,
    events: VecDeque<Event>,
    /// Answer notifications as they come.
    pub acknowledge: bool,
}

impl Talk {
    pub fn new(link: Link, agent: EndpointId, path: String, ids: u64) -> Talk {
        // Allowed, as everywhere by default: who opens none is spoken with in plain records.
        let contexts = usp::context::Config {
            mode: usp::context::Mode::Allow,
            ..usp::context::Config::default()
        };
        let config = Config {
            contexts: contexts.into(),
            // One that is not answered does not hold up the others.
            window: usp::limits::WINDOW_MAX,
            // A broker of services, too.
            registrations: true,
            ..Config::default()
        };
        let session = Session::new(Arc::new(config), id(CONTROLLER), agent, ids);
        Talk {
            link,
            session,
            path,
            events: VecDeque::new(),
            acknowledge: true,
        }
    }

    async fn flush(&mut self) -> bool {
        while let Some(bytes) = self.session.poll_transmit() {
            if self.link.send(bytes).await.is_err() {
                return false;
            }
        }
        true
    }

    /// The next event; `None` when the connection is over.
    pub async fn event(&mut self) -> Option<Event> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if !self.flush().await {
                return None;
            }
            let due = self
                .session
                .poll_timeout()
                .map(tokio::time::Instant::from_std);
            let until = due.map_or(deadline, |due| due.min(deadline));
            match tokio::time::timeout_at(until, self.link.recv()).await {
                Ok(Ok(Incoming::Record(bytes))) => {
                    self.session.handle_input(Instant::now(), &bytes).unwrap();
                }
                Ok(Ok(Incoming::Closed(_)) | Err(_)) => return None,
                Err(_) => {
                    assert!(until < deadline, "nothing happens");
                    self.session.handle_timeout(Instant::now());
                }
            }
            while let Some(event) = self.session.poll_event() {
                if let Event::Notified { token, .. } = &event
                    && self.acknowledge
                {
                    self.session.acknowledge(*token).unwrap();
                }
                self.events.push_back(event);
            }
            self.flush().await;
        }
    }

    /// Asks and waits for the answer; other events are kept. `None` when the connection breaks first.
    pub async fn try_ask(
        &mut self,
        request: impl Into<Request>,
    ) -> Option<Result<Response, PeerError>> {
        let wanted = self
            .session
            .request(Instant::now(), request, PATIENCE)
            .unwrap();
        let mut others = VecDeque::new();
        let result = loop {
            match self.event().await {
                Some(Event::Answered { id, result }) if id == wanted => break Some(result),
                Some(other) => others.push_back(other),
                None => break None,
            }
        };
        others.append(&mut self.events);
        self.events = others;
        result
    }

    pub async fn ask(&mut self, request: impl Into<Request>) -> Response {
        self.try_ask(request)
            .await
            .expect("the connection lasts")
            .unwrap()
    }

    pub async fn value(&mut self, path: &str) -> String {
        match self.ask(usp::msg::get([path])).await {
            Response::GetResp(resp) => {
                let objects = &resp.req_path_results[0].resolved_path_results;
                objects[0].result_params.iter().next().unwrap().1.to_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next notification for which `wanted` holds.
    pub async fn notified(&mut self, wanted: impl Fn(&Notification) -> bool) -> Notify {
        loop {
            match self.event().await.expect("the connection lasts") {
                Event::Notified { notify, .. } if wanted(&notify.notification) => return notify,
                _ => {}
            }
        }
    }

    /// The connect record has come.
    pub async fn connected(&mut self) {
        loop {
            if let Some(Event::Connected { record, .. }) = self.event().await {
                assert!(record.is_some(), "the agent announces itself (R-MTP.6)");
                return;
            }
        }
    }

    pub async fn hang_up(self) {
        self.link.close(CloseCode::GoingAway, "").await;
    }
}

pub async fn subscribe(
    talk: &mut Talk,
    id: &str,
    kind: &str,
    reference: &str,
    retry: bool,
) -> String {
    use usp::msg::required;
    let settings = vec![
        required("ID", id),
        required("Enable", "true"),
        required("NotifType", kind),
        required("ReferenceList", reference),
        required("Persistent", "true"),
        required("NotifRetry", if retry { "true" } else { "false" }),
    ];
    let object = usp::proto::msg::CreateObject {
        obj_path: "Device.LocalAgent.Subscription.".into(),
        param_settings: settings,
    };
    match talk
        .ask(usp::proto::msg::Add {
            allow_partial: false,
            create_objs: vec![object],
        })
        .await
    {
        Response::AddResp(resp) => match &resp.created_obj_results[0].oper_status {
            usp::proto::msg::CreateStatus::OperSuccess(success) => {
                success.instantiated_path.clone()
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}
