//! A scripted ACS: it asks what a test has queued, and remembers what it heard. Sessions go by the
//! connection and by a cookie, whichever is there.

use cwmp::acs::{Config, Event, Post, Session};
use cwmp::auth::{cookie, digest};
use cwmp::event::EventCode;
use cwmp::fault::Fault;
use cwmp::reach::http::{Action, ConnectionRequest, Credentials, Outcome};
use cwmp::rpc::*;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response as HttpResponse};
use hyper_util::rt::TokioIo;
use sim::cwmp::{Fleet, FleetConfig, Kind, Provision};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long anything may take.
pub const SOON: Duration = Duration::from_secs(60);

/// Waits until `look` finds something; panics with what was waited for.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {SOON:?} for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// One session, as far as it has come.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    pub inform: Inform,
    pub said: Vec<Request>,
    pub answers: Vec<Result<Response, Fault>>,
    pub complete: bool,
}

impl Visit {
    pub fn has(&self, code: &EventCode) -> bool {
        self.inform.has(code)
    }

    /// The command key of an event.
    pub fn key(&self, code: &EventCode) -> Option<&str> {
        let found = self.inform.events.iter().find(|event| event.code == *code);
        found.map(|event| event.command_key.as_str())
    }
}

#[derive(Default)]
struct State {
    queue: HashMap<String, VecDeque<Request>>,
    visits: Vec<Visit>,
    /// Visits that no test looks at any more.
    forgotten: usize,
    sessions: HashMap<String, Open>,
    files: HashMap<String, Vec<u8>>,
    uploads: HashMap<String, Vec<u8>>,
    posts_without_cookie: usize,
}

struct Open {
    session: Session,
    visit: Option<usize>,
}

pub struct Acs {
    pub address: SocketAddr,
    state: Mutex<State>,
    password: Option<String>,
    digest: digest::Server,
}

impl Acs {
    /// Wants this password of everybody, whatever the name; without one it lets everybody in.
    pub async fn start(password: Option<&str>) -> Arc<Acs> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let acs = Arc::new(Acs {
            address: listener.local_addr().unwrap(),
            state: Mutex::default(),
            password: password.map(str::to_owned),
            digest: digest::Server {
                realm: "acs".into(),
                algorithms: vec![digest::Algorithm::Sha256, digest::Algorithm::Md5],
                qop: true,
                secret: b"secret".into(),
                life: 300,
            },
        });
        let serving = acs.clone();
        tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                let acs = serving.clone();
                let service = service_fn(move |request| acs.clone().http(peer, request));
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { _ = serving.await });
            }
        });
        acs
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn url(&self) -> String {
        format!("http://{}/acs", self.address)
    }

    /// Devices of one kind, with nothing else than this ACS.
    pub fn fleet(&self, kind: Kind, count: u32) -> FleetConfig {
        FleetConfig {
            counts: vec![(kind, count)],
            provision: Provision {
                url: self.url(),
                password: "factory".into(),
                retry_min_wait: 1,
                ..Provision::default()
            },
            ramp_per_second: 1000,
            ..FleetConfig::default()
        }
    }

    /// One device of a kind, and its first visit.
    pub async fn one(&self, kind: Kind) -> (Fleet, Visit) {
        let fleet = Fleet::start(self.fleet(kind, 1)).await.unwrap();
        let first = self.visit("the first visit", |visit| visit.complete).await;
        (fleet, first)
    }

    /// Asked in the next session of any device.
    pub fn ask(&self, request: impl Into<Request>) {
        let mut state = self.state();
        let queue = state.queue.entry(String::new()).or_default();
        queue.push_back(request.into());
    }

    pub fn visits(&self) -> Vec<Visit> {
        let state = self.state();
        state.visits[state.forgotten..].to_vec()
    }

    pub fn forget_visits(&self) {
        let mut state = self.state();
        state.forgotten = state.visits.len();
    }

    /// Waits for a visit.
    pub async fn visit(&self, what: &str, wanted: impl Fn(&Visit) -> bool) -> Visit {
        until(what, || {
            self.visits().into_iter().find(|visit| wanted(visit))
        })
        .await
    }

    /// Wakes a device over HTTP, asks, and waits for the answer.
    pub async fn ask_now(
        &self,
        first: &Visit,
        request: impl Into<Request>,
    ) -> Result<Response, Fault> {
        self.ask_all(first, vec![request.into()]).await.remove(0)
    }

    pub async fn ask_all(
        &self,
        first: &Visit,
        requests: Vec<Request>,
    ) -> Vec<Result<Response, Fault>> {
        self.forget_visits();
        let count = requests.len();
        requests.into_iter().for_each(|request| self.ask(request));
        assert_eq!(knock(first).await, Outcome::Accepted);
        let done = |visit: &Visit| visit.complete && visit.answers.len() == count;
        self.visit("the answers", done).await.answers
    }

    pub fn serve_file(&self, path: &str, content: &[u8]) -> String {
        let mut state = self.state();
        state.files.insert(path.to_owned(), content.to_owned());
        format!("http://{}{path}", self.address)
    }

    pub fn uploaded(&self, path: &str) -> Option<Vec<u8>> {
        self.state().uploads.get(path).cloned()
    }

    /// POSTs in the middle of a session that did not bring its cookie.
    pub fn posts_without_cookie(&self) -> usize {
        self.state().posts_without_cookie
    }

    fn is_allowed(&self, request: &HttpRequest<Incoming>) -> bool {
        let Some(password) = &self.password else {
            return true;
        };
        let shown = request.headers().get("authorization");
        let shown = shown.and_then(|value| digest::Credentials::parse(value.to_str().ok()?));
        shown.is_some_and(|shown| {
            let method = request.method().as_str();
            assert!(shown.uri_matches(&request.uri().to_string()));
            self.digest
                .check(1000, &shown, method, b"", password)
                .is_ok()
        })
    }

    async fn http(
        self: Arc<Self>,
        peer: SocketAddr,
        request: HttpRequest<Incoming>,
    ) -> Result<HttpResponse<Full<Bytes>>, Infallible> {
        let answer = HttpResponse::builder();
        let empty = || Full::new(Bytes::new());
        if !self.is_allowed(&request) {
            let offered = self.digest.challenges(1000, rand::random(), false);
            let with = |answer: hyper::http::response::Builder, value: &String| {
                answer.header("www-authenticate", value)
            };
            let answer = offered.iter().fold(answer.status(401), with);
            return Ok(answer.body(empty()).unwrap());
        }
        let path = request.uri().path().to_owned();
        let method = request.method().as_str().to_owned();
        let cookies = request.headers().get("cookie");
        let cookies = cookies
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let known = cookie::find(cookies, "session")
            .first()
            .map(|at| (*at).to_owned());
        let body = request.into_body().collect().await;
        let Ok(body) = body.map(|body| body.to_bytes()) else {
            return Ok(answer.status(400).body(empty()).unwrap());
        };
        let mut state = self.state();
        if method == "PUT" {
            state.uploads.insert(path, body.to_vec());
            return Ok(answer.status(201).body(empty()).unwrap());
        }
        if method == "GET" {
            let answer = match state.files.get(&path) {
                Some(content) => answer.status(200).body(Full::new(content.clone().into())),
                None => answer.status(404).body(empty()),
            };
            return Ok(answer.unwrap());
        }
        let name = match known {
            Some(known) => known,
            None => {
                let name = format!("{}-{}", peer.port(), state.visits.len());
                let inform = body.windows(8).any(|part| part == b":Inform>");
                state.posts_without_cookie += usize::from(!inform);
                name
            }
        };
        let (status, text) = state.post(&name, &body);
        let set = cookie::set("session", &name, Some("/"));
        let answer = answer.status(status).header("set-cookie", set);
        Ok(answer.body(Full::new(text)).unwrap())
    }
}

impl State {
    fn post(&mut self, name: &str, body: &[u8]) -> (u16, Bytes) {
        let now = Instant::now();
        let fresh = || Open {
            session: Session::new(Arc::<Config>::default(), now, rand::random()),
            visit: None,
        };
        let mut open = self.sessions.remove(name).unwrap_or_else(fresh);
        let post = Post {
            body,
            content_type: Some(cwmp::soap::CONTENT_TYPE),
        };
        if let Err(error) = open.session.handle_input(now, post) {
            panic!("{error}: {}", String::from_utf8_lossy(body));
        }
        while let Some(event) = open.session.poll_event() {
            self.event(&mut open, event);
        }
        let reply = open.session.poll_transmit().unwrap();
        if reply.body.is_empty() {
            open.session.connection_closed();
            while let Some(event) = open.session.poll_event() {
                self.event(&mut open, event);
            }
        } else {
            self.sessions.insert(name.to_owned(), open);
        }
        (reply.status, reply.body)
    }

    fn event(&mut self, open: &mut Open, event: Event) {
        let now = Instant::now();
        let visits = &mut self.visits;
        let visit = open.visit.and_then(|at| visits.get_mut(at));
        match event {
            Event::Informed { token, inform, .. } => {
                visits.push(Visit {
                    inform: *inform,
                    ..Visit::default()
                });
                open.visit = Some(visits.len() - 1);
                open.session.acknowledge(now, token).unwrap();
            }
            Event::Requested { token, request, .. } => {
                if let Some(visit) = visit {
                    visit.said.push(request);
                }
                open.session.acknowledge(now, token).unwrap();
            }
            Event::Turn => {
                let queue = self.queue.entry(String::new()).or_default();
                match queue.pop_front() {
                    Some(request) => _ = open.session.request(now, request).unwrap(),
                    None => open.session.finish(now).unwrap(),
                }
            }
            Event::Answered { result, .. } => {
                if let Some(visit) = visit {
                    visit.answers.push(result.map_err(|error| match error {
                        cwmp::acs::PeerError::Fault(fault) => fault,
                        other => Fault::new(cwmp::FaultCode(0), format!("{other:?}")),
                    }));
                }
            }
            Event::Ended(end) => {
                if let Some(visit) = visit {
                    visit.complete = end == cwmp::acs::End::Complete;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A connection request as the device has told it wants one.
pub async fn knock(visit: &Visit) -> Outcome {
    let url = visit
        .inform
        .ending("ManagementServer.ConnectionRequestURL")
        .unwrap();
    let id = &visit.inform.device_id;
    let user = format!("{}-{}", id.oui, id.serial_number);
    // The last part of the path is the secret of the factory.
    let password = url.rsplit('/').next().unwrap().to_owned();
    knock_as(url, &user, &password).await
}

pub async fn knock_as(url: &str, username: &str, password: &str) -> Outcome {
    let credentials = Credentials {
        username: username.into(),
        password: password.into(),
        basic: false,
    };
    let now = Instant::now();
    let mut request = ConnectionRequest::new(now, url, credentials, SOON, "cnonce").unwrap();
    let mut stream: Option<TcpStream> = None;
    while request.outcome().is_none() {
        match request.poll_transmit() {
            Some(Action::Connect) => {
                let host = url.split('/').nth(2).unwrap();
                stream = Some(TcpStream::connect(host).await.unwrap());
            }
            Some(Action::Send(bytes)) => stream.as_mut().unwrap().write_all(&bytes).await.unwrap(),
            Some(Action::Close) => stream = None,
            None => {
                let mut buffer = [0; 4096];
                match stream.as_mut().unwrap().read(&mut buffer).await {
                    Ok(count) if count > 0 => request.handle_input(&buffer[..count]),
                    _ => request.connection_closed(),
                }
            }
        }
    }
    request.outcome().cloned().unwrap()
}
