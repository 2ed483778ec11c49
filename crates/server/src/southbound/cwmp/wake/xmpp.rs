//! Connection requests over XMPP (Annex K): one stream to one server, which is connected again when
//! it is lost. What goes over it is [`cwmp::reach::xmpp`]'s.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cwmp::reach::xmpp::stream::{Event, Jid, Stream};
use cwmp::reach::xmpp::{Content, Refusal, Stanza};
use dm::retry::RetryPolicy;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::limits::{
    CONNECT_TIME_MAX, XMPP_DEAD_AFTER, XMPP_PENDING_MAX, XMPP_PING_AFTER, XMPP_QUEUE,
    XMPP_READY_TIME, XMPP_RETRY_MAX, XMPP_RETRY_MIN,
};
use super::srv::Finder;
use super::{Said, Shown, text};

/// Where our account is.
#[derive(Clone)]
pub struct Account {
    /// Who we are.
    pub jid: Jid,
    /// The account's password.
    pub password: String,
    /// Where its server is.
    pub server: Server,
    /// Other domains than our own in which devices have accounts.
    pub domains: Vec<String>,
    /// TLS begins with the connection, and not with STARTTLS.
    pub direct_tls: bool,
    /// Whom to believe.
    pub tls: Arc<rustls::ClientConfig>,
}

/// Where a server is.
#[derive(Clone)]
pub enum Server {
    /// There: `host:port`.
    At(String),
    /// Where the SRV records of the account's domain say.
    OfTheDomain(Finder),
}

/// How the stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being made.
    Connecting,
    /// Requests can be sent, from this address.
    Ready(String),
    /// There is none: why.
    Down(String),
}

impl Account {
    /// The server, for people.
    fn name(&self) -> &str {
        match &self.server {
            Server::At(server) => server,
            Server::OfTheDomain(_) => &self.jid.domain,
        }
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        let finder = match &self.server {
            Server::At(server) => {
                let connected = TcpStream::connect(server).await;
                return connected.map_err(|error| text(&error.to_string()));
            }
            Server::OfTheDomain(finder) => finder,
        };
        let places = finder.places(&self.jid.domain, self.direct_tls).await?;
        let is_one = places.len() == 1;
        let mut why = String::new();
        for (host, port) in places {
            let connecting = TcpStream::connect((host.as_str(), port));
            let connected = match is_one {
                true => connecting.await.map_err(|error| error.to_string()),
                false => match tokio::time::timeout(CONNECT_TIME_MAX, connecting).await {
                    Ok(connected) => connected.map_err(|error| error.to_string()),
                    Err(_) => Err("no connection in time".to_owned()),
                },
            };
            match connected {
                Ok(stream) => return Ok(stream),
                Err(words) => why = text(&format!("{host}:{port}: {words}")),
            }
        }
        Err(why)
    }
}

struct Ask {
    stanza: Stanza,
    reply: oneshot::Sender<Content>,
}

/// The way to devices over XMPP.
pub struct Xmpp {
    asks: mpsc::Sender<Ask>,
    state: watch::Receiver<State>,
    domains: Vec<String>,
    answer_time: Duration,
}

const NO_JID: &str = "its ConnReqJabberID is no address";

/// Why nobody can be asked at this address, in words.
pub(super) fn problem(jid: &str) -> Option<String> {
    Jid::parse(jid).is_none().then(|| NO_JID.to_owned())
}

impl Xmpp {
    /// Connects, and stays so until the server stops.
    pub fn start(account: Account, answer_time: Duration, shutdown: CancellationToken) -> Self {
        let (asks, queue) = mpsc::channel(XMPP_QUEUE);
        let (told, state) = watch::channel(State::Connecting);
        let mut domains = account.domains.clone();
        domains.push(account.jid.domain.clone());
        let runner = Runner {
            account,
            queue,
            told,
            pending: HashMap::new(),
        };
        tokio::spawn(runner.run(shutdown));
        Self {
            asks,
            state,
            domains,
            answer_time,
        }
    }

    /// How the stream is.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Asks a device to come.
    pub(super) async fn ask(&self, jid: &str, shown: Shown) -> Said {
        let refused = |words: &str| Said::Refused(words.to_owned());
        let Some(to) = Jid::parse(jid) else {
            return refused(NO_JID);
        };
        // Its credentials go to no server that nobody named.
        if !self
            .domains
            .iter()
            .any(|domain| domain.eq_ignore_ascii_case(&to.domain))
        {
            return Said::Refused(format!(
                "nothing was sent: its account is in {}, which is neither our domain nor in cwmp.xmpp.domains",
                text(&to.domain)
            ));
        }
        match self.state() {
            State::Ready(_) => {}
            State::Connecting => return refused("the XMPP server is being connected to"),
            State::Down(why) => return Said::Refused(format!("XMPP: {why}")),
        }
        let (reply, answer) = oneshot::channel();
        let stanza = Stanza {
            // Ours on the stream over which it leaves.
            from: String::new(),
            to: jid.trim().to_owned(),
            id: format!("cr-{:032x}", rand::random::<u128>()),
            content: Content::Request {
                username: shown.username,
                password: shown.password.into(),
            },
        };
        let asked = async {
            self.asks.send(Ask { stanza, reply }).await.ok()?;
            answer.await.ok()
        };
        match tokio::time::timeout(self.answer_time, asked).await {
            Ok(Some(Content::Accepted)) => Said::Accepted,
            Ok(Some(Content::Refused(Refusal::NotAuthorized))) => {
                shown.whose.refused("not-authorized")
            }
            // Said by the device, or by the server where no device is.
            Ok(Some(Content::Refused(Refusal::ServiceUnavailable))) => {
                refused("the device is busy, or not at its XMPP server (service-unavailable)")
            }
            Ok(Some(Content::Refused(Refusal::Other(why)))) => {
                Said::Refused(format!("the answer is an error: {}", text(&why)))
            }
            Ok(Some(Content::Request { .. })) => refused("the answer makes no sense"),
            Ok(None) => refused("the XMPP stream was lost meanwhile"),
            // Some devices do not answer when they refuse.
            Err(_) => refused("no answer in time"),
        }
    }
}

struct Runner {
    account: Account,
    queue: mpsc::Receiver<Ask>,
    told: watch::Sender<State>,
    pending: HashMap<String, (String, oneshot::Sender<Content>)>,
}

/// How a stream ended.
struct Lost {
    reason: String,
    /// It had been ready.
    was_ready: bool,
    /// Somebody has to change something first.
    account: bool,
}

impl Runner {
    async fn run(mut self, shutdown: CancellationToken) {
        let policy = RetryPolicy {
            min_wait: XMPP_RETRY_MIN,
            ..RetryPolicy::default()
        };
        let mut failures = 0;
        while !shutdown.is_cancelled() {
            self.told.send_replace(State::Connecting);
            let lost = self.once(&shutdown).await;
            self.pending.clear();
            if shutdown.is_cancelled() {
                return;
            }
            failures = if lost.was_ready { 1 } else { failures + 1 };
            let mut wait = policy.wait(failures, rand::random()).min(XMPP_RETRY_MAX);
            if lost.account {
                wait = XMPP_RETRY_MAX;
            }
            let server = self.account.name();
            tracing::warn!(server, reason = %lost.reason, again_in = ?wait, "the XMPP server is not connected");
            self.told
                .send_replace(State::Down(format!("{server}: {}", lost.reason)));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn once(&mut self, shutdown: &CancellationToken) -> Lost {
        let until = Instant::now() + XMPP_READY_TIME;
        let failed = |reason: String| Lost {
            reason,
            was_ready: false,
            account: false,
        };
        let connected = tokio::time::timeout_at(until, self.account.connect()).await;
        let tcp = match connected {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(reason)) => return failed(reason),
            Err(_) => return failed("no connection in time".to_owned()),
        };
        let mut stream = Stream::new(
            self.account.jid.clone(),
            self.account.password.clone().into(),
            format!("{:032x}", rand::random::<u128>()),
            self.account.direct_tls,
        );
        if self.account.direct_tls {
            return match tokio::time::timeout_at(until, self.encrypt(tcp)).await {
                Ok(Ok(tls)) => self.drive(&mut stream, tls, until, shutdown).await.1,
                Ok(Err(reason)) => failed(reason),
                Err(_) => failed("no TLS in time".to_owned()),
            };
        }
        let (tcp, end) = self.drive(&mut stream, tcp, until, shutdown).await;
        let Some(tcp) = tcp else { return end };
        match tokio::time::timeout_at(until, self.encrypt(tcp)).await {
            Ok(Ok(tls)) => {
                stream.secured();
                self.drive(&mut stream, tls, until, shutdown).await.1
            }
            Ok(Err(reason)) => failed(reason),
            Err(_) => failed("no TLS in time".to_owned()),
        }
    }

    async fn encrypt(
        &self,
        tcp: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(self.account.jid.domain.clone())
            .map_err(|_| "the domain of cwmp.xmpp.jid is none".to_owned())?;
        TlsConnector::from(self.account.tls.clone())
            .connect(name, tcp)
            .await
            .map_err(|error| format!("TLS: {}", text(&error.to_string())))
    }

    /// Runs the stream over a connection. The connection comes back when TLS is to begin on it.
    async fn drive<C: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut Stream,
        mut connection: C,
        until: Instant,
        shutdown: &CancellationToken,
    ) -> (Option<C>, Lost) {
        let mut lost = Lost {
            reason: String::new(),
            was_ready: false,
            account: false,
        };
        let mut heard = Instant::now();
        let mut pinged = false;
        let mut buffer = [0; 4096];
        loop {
            while let Some(event) = stream.poll_event() {
                match event {
                    Event::StartTls => return (Some(connection), lost),
                    Event::Ready(own) => {
                        tracing::info!(jid = %own, server = self.account.name(), "the XMPP server is connected");
                        lost.was_ready = true;
                        self.told.send_replace(State::Ready(own));
                    }
                    Event::Answer(answer) => self.answered(&answer),
                    Event::Asked(request) => {
                        // Nobody wakes us.
                        if let Some(request) = Stanza::parse(&request) {
                            let no = Content::Refused(Refusal::ServiceUnavailable);
                            stream.send(request.answer(no).write());
                        }
                    }
                    Event::Failed { reason, account } => {
                        lost.reason = reason;
                        lost.account = account;
                        return (None, lost);
                    }
                }
            }
            while let Some(out) = stream.poll_transmit() {
                let written = async {
                    connection.write_all(out.as_bytes()).await?;
                    connection.flush().await
                };
                match tokio::time::timeout(XMPP_DEAD_AFTER, written).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        lost.reason = text(&error.to_string());
                        return (None, lost);
                    }
                    Err(_) => {
                        "it takes nothing any more".clone_into(&mut lost.reason);
                        return (None, lost);
                    }
                }
            }
            let wake = match (lost.was_ready, pinged) {
                (false, _) => until,
                (true, false) => heard + XMPP_PING_AFTER,
                (true, true) => heard + XMPP_DEAD_AFTER,
            };
            tokio::select! {
                read = connection.read(&mut buffer) => match read {
                    Ok(0) => {
                        "it closed the connection".clone_into(&mut lost.reason);
                        return (None, lost);
                    }
                    Ok(length) => {
                        heard = Instant::now();
                        pinged = false;
                        stream.handle_input(&buffer[..length]);
                    }
                    Err(error) => {
                        lost.reason = text(&error.to_string());
                        return (None, lost);
                    }
                },
                ask = self.queue.recv(), if lost.was_ready => match ask {
                    Some(ask) => self.send(stream, ask),
                    None => return (None, lost),
                },
                () = tokio::time::sleep_until(wake) => {
                    if !lost.was_ready {
                        "it did not let us in in time".clone_into(&mut lost.reason);
                        return (None, lost);
                    }
                    if pinged {
                        "it is silent".clone_into(&mut lost.reason);
                        return (None, lost);
                    }
                    pinged = stream.ping();
                }
                () = shutdown.cancelled() => {
                    stream.close();
                    while let Some(out) = stream.poll_transmit() {
                        let goodbye = connection.write_all(out.as_bytes());
                        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
                    }
                    return (None, lost);
                }
            }
        }
    }

    fn send(&mut self, stream: &mut Stream, mut ask: Ask) {
        // It may have waited while the stream was down.
        if ask.reply.is_closed() {
            return;
        }
        if let State::Ready(own) = &*self.told.borrow() {
            ask.stanza.from.clone_from(own);
        }
        if self.pending.len() >= XMPP_PENDING_MAX {
            // Those whose askers gave up.
            self.pending.retain(|_, (_, reply)| !reply.is_closed());
        }
        if self.pending.len() < XMPP_PENDING_MAX && stream.send(ask.stanza.write()) {
            self.pending
                .insert(ask.stanza.id, (ask.stanza.to, ask.reply));
        }
    }

    fn answered(&mut self, answer: &str) {
        let Some(stanza) = Stanza::parse(answer) else {
            return;
        };
        // Whoever answers for another one is not heard.
        let expected = self.pending.get(&stanza.id).map(|(to, _)| to);
        let is_from_it = |to: &String| stanza.from.is_empty() || stanza.from == *to;
        if expected.is_some_and(is_from_it)
            && let Some((_, reply)) = self.pending.remove(&stanza.id)
        {
            // Who asked may have given up.
            let _ = reply.send(stanza.content);
        }
    }
}
