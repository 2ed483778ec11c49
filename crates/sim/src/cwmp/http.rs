//! The HTTP client of a simulated CWMP device: one TCP connection a session, cookies, Basic and
//! Digest, redirections. Deliberately no retries: those are the session's.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use cwmp::auth::challenge::{Challenge, challenges};
use cwmp::auth::{basic, digest};
use cwmp::fault::FaultCode;
use cwmp::limits::BODY_BYTES_MAX;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, HeaderName, LOCATION, SET_COOKIE, USER_AGENT,
    WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use mtp::tls::ClientTls;
use rustls_pki_types::ServerName;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::management::Login;
use super::transfer::{CONTENT_BYTES_MAX, FILE_BYTES_MAX, File, Job};

/// Answers to one message before it is given up: each a challenge or a redirection.
const TRIES_MAX: usize = 6;
/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// How long a transfer may take.
const TRANSFER_WITHIN: Duration = Duration::from_secs(600);
/// Cookies that are kept; more is somebody's mistake.
const COOKIES_MAX: usize = 16;

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the URL cannot be used")]
    Url,
    #[error("the server cannot be reached: {0}")]
    Unreachable(std::io::Error),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the answer is too long")]
    TooLong,
    #[error("challenges or redirections without end")]
    Endless,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) body: Bytes,
}

/// One connection, with what belongs to it.
pub(super) struct Link {
    target: Uri,
    username: String,
    password: String,
    tls: Option<ClientTls>,
    cookies: Vec<(String, String)>,
    challenge: Option<Challenge>,
    /// Uses of the nonce.
    count: u32,
    sender: Option<SendRequest<Full<Bytes>>>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl Link {
    pub(super) fn new(login: &Login, tls: Option<ClientTls>) -> Result<Self, LinkError> {
        Ok(Self {
            target: login.url.parse().map_err(|_| LinkError::Url)?,
            username: login.username.clone(),
            password: login.password.clone(),
            tls,
            cookies: Vec::new(),
            challenge: None,
            count: 0,
            sender: None,
            task: None,
        })
    }

    /// Closes the connection, whatever is under way.
    fn hang_up(&mut self) {
        self.sender = None;
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// POSTs a message of a session and waits for the whole answer.
    pub(super) async fn post(&mut self, body: Bytes) -> Result<Answer, LinkError> {
        let response = self.ask(Method::POST, body).await?;
        let status = response.status().as_u16();
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let body = http_body_util::Limited::new(response.into_body(), BODY_BYTES_MAX);
        let body = body.collect().await.map_err(|error| match error
            .is::<http_body_util::LengthLimitError>()
        {
            true => LinkError::TooLong,
            false => LinkError::Broken(error.to_string()),
        })?;
        Ok(Answer {
            status,
            content_type,
            body: body.to_bytes(),
        })
    }

    /// Sends, with credentials and to where it is redirected, until there is an answer to take.
    async fn ask(&mut self, method: Method, body: Bytes) -> Result<Response<Incoming>, LinkError> {
        for _ in 0..TRIES_MAX {
            let fresh = self.challenge.is_none();
            let response = self.exchange(&method, body.clone()).await?;
            self.keep_cookies(&response);
            match response.status() {
                StatusCode::UNAUTHORIZED => {
                    let stale = self.challenge_in(&response)?;
                    if !fresh && !stale {
                        // They do not like the password.
                        return Ok(response);
                    }
                    self.finish(response).await;
                }
                StatusCode::FOUND | StatusCode::TEMPORARY_REDIRECT => {
                    let location = response.headers().get(LOCATION);
                    let location = location.and_then(|value| value.to_str().ok());
                    let to = location.and_then(|to| to.parse::<Uri>().ok());
                    self.target = resolved(&self.target, to.ok_or(LinkError::Url)?)?;
                    self.hang_up();
                }
                _ => return Ok(response),
            }
        }
        Err(LinkError::Endless)
    }

    /// Takes the best challenge over; whether only the nonce was too old.
    fn challenge_in(&mut self, response: &Response<Incoming>) -> Result<bool, LinkError> {
        let values = response.headers().get_all(WWW_AUTHENTICATE);
        let offered = challenges(values.iter().filter_map(|value| value.to_str().ok()));
        let chosen = digest::choose(&offered, true);
        let chosen = chosen.ok_or(LinkError::Broken("no challenge that is known".into()))?;
        let stale = chosen.params.get("stale");
        let stale = stale.is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        self.challenge = Some(chosen.clone());
        self.count = 0;
        Ok(stale)
    }

    /// Reads an answer that is of no interest to its end, so that the connection can be used again.
    async fn finish(&mut self, response: Response<Incoming>) {
        let body = http_body_util::Limited::new(response.into_body(), BODY_BYTES_MAX);
        if body.collect().await.is_err() {
            self.hang_up();
        }
    }

    fn keep_cookies(&mut self, response: &Response<Incoming>) {
        for value in response.headers().get_all(SET_COOKIE) {
            let text = value.to_str().unwrap_or_default();
            let pair = text.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            self.cookies.retain(|(known, _)| known != name.trim());
            if self.cookies.len() < COOKIES_MAX {
                self.cookies.push((name.trim().into(), value.trim().into()));
            }
        }
    }

    fn authorization(&mut self, method: &Method, uri: &str, body: &[u8]) -> Option<String> {
        let challenge = self.challenge.as_ref()?;
        if challenge.scheme == "basic" {
            return Some(basic::authorization(&self.username, &self.password));
        }
        self.count += 1;
        let cnonce = format!("{:016x}", rand::random::<u64>());
        let client = digest::Client {
            username: &self.username,
            password: &self.password,
            method: method.as_str(),
            uri,
            cnonce: &cnonce,
            count: self.count,
            body,
        };
        client.answer(challenge)
    }

    async fn exchange(
        &mut self,
        method: &Method,
        body: Bytes,
    ) -> Result<Response<Incoming>, LinkError> {
        let uri = self
            .target
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let uri = uri.to_owned();
        let authority = self.target.authority().ok_or(LinkError::Url)?.as_str();
        let mut request = Request::builder()
            .method(method)
            .uri(&uri)
            .header(HOST, authority)
            .header(USER_AGENT, "headend-sim");
        if *method == Method::POST {
            let soap_action = HeaderName::from_static("soapaction");
            request = request.header(soap_action, "");
            if !body.is_empty() {
                request = request.header(CONTENT_TYPE, cwmp::soap::CONTENT_TYPE);
            }
        }
        if !self.cookies.is_empty() {
            let pairs = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            request = request.header(COOKIE, pairs.collect::<Vec<_>>().join("; "));
        }
        if let Some(shown) = self.authorization(method, &uri, &body) {
            request = request.header(AUTHORIZATION, shown);
        }
        let request = request.body(Full::new(body)).map_err(|_| LinkError::Url)?;
        let broken = |error: hyper::Error| LinkError::Broken(error.to_string());
        let sender = self.sender().await?;
        let answer = sender.send_request(request).await.map_err(broken);
        if answer.is_err() {
            self.hang_up();
        }
        answer
    }

    /// The connection, made anew when the server has closed it.
    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, LinkError> {
        let usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.hang_up();
            let late = |_| LinkError::Unreachable(std::io::ErrorKind::TimedOut.into());
            let connected = tokio::time::timeout(CONNECT_WITHIN, connect(&self.target, &self.tls));
            let (sender, task) = connected.await.map_err(late)??;
            (self.sender, self.task) = (Some(sender), Some(task));
        }
        self.sender.as_mut().ok_or(LinkError::Url)
    }
}

/// Where a redirection goes: some send only a path.
fn resolved(from: &Uri, to: Uri) -> Result<Uri, LinkError> {
    if to.authority().is_some() {
        return Ok(to);
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = to.into_parts().path_and_query;
    Uri::from_parts(parts).map_err(|_| LinkError::Url)
}

type Connected = (SendRequest<Full<Bytes>>, JoinHandle<()>);

async fn connect(target: &Uri, tls: &Option<ClientTls>) -> Result<Connected, LinkError> {
    let host = target.host().ok_or(LinkError::Url)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let secure = match target.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(LinkError::Url),
    };
    let port = target.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(LinkError::Unreachable)?;
    stream.set_nodelay(true).map_err(LinkError::Unreachable)?;
    if !secure {
        return speak(stream).await;
    }
    let tls = tls.as_ref().ok_or(LinkError::Url)?;
    let name = match host.parse::<IpAddr>() {
        Ok(address) => ServerName::IpAddress(address.into()),
        Err(_) => ServerName::try_from(host.to_owned()).map_err(|_| LinkError::Url)?,
    };
    let connector = tokio_rustls::TlsConnector::from(tls.config());
    let stream = connector.connect(name, stream).await;
    speak(stream.map_err(LinkError::Unreachable)?).await
}

async fn speak<S>(stream: S) -> Result<Connected, LinkError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| LinkError::Broken(error.to_string());
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let task = tokio::spawn(async move {
        // What breaks is told to who sends.
        _ = connection.await;
    });
    Ok((sender, task))
}

/// Carries a transfer out.
pub(crate) async fn carry_out(job: Job, tls: Option<ClientTls>) -> Result<File, FaultCode> {
    let carried = tokio::time::timeout(TRANSFER_WITHIN, transfer(job, tls)).await;
    carried.unwrap_or(Err(FaultCode::DOWNLOAD_INCOMPLETE))
}

async fn transfer(job: Job, tls: Option<ClientTls>) -> Result<File, FaultCode> {
    let failure = match job.body {
        Some(_) => FaultCode::UPLOAD_FAILURE,
        None => FaultCode::TRANSFER_FAILURE,
    };
    let login = Login {
        url: job.url,
        username: job.username,
        password: job.password,
    };
    let mut link = Link::new(&login, tls).map_err(|_| FaultCode::INVALID_ARGUMENTS)?;
    let asked = match job.body {
        Some(body) => link.ask(Method::PUT, body.into()).await,
        None => link.ask(Method::GET, Bytes::new()).await,
    };
    let response = asked.map_err(|error| match error {
        LinkError::Unreachable(_) => FaultCode::FILE_SERVER_UNREACHABLE,
        _ => failure,
    })?;
    match response.status().as_u16() {
        200..=299 => {}
        401 | 403 => return Err(FaultCode::FILE_SERVER_AUTHENTICATION),
        404 | 410 => return Err(FaultCode::FILE_INACCESSIBLE),
        _ => return Err(failure),
    }
    let (mut file, mut hash) = (File::default(), Sha256::new());
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| FaultCode::DOWNLOAD_INCOMPLETE)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        file.bytes += data.len() as u64;
        if file.bytes > FILE_BYTES_MAX {
            return Err(FaultCode::FILE_CORRUPTED);
        }
        let room = CONTENT_BYTES_MAX.saturating_sub(file.content.len());
        file.content.extend(&data[..room.min(data.len())]);
        hash.update(&data);
    }
    file.sha256 = hash.finalize().into();
    Ok(file)
}
