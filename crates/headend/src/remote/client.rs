//! One HTTP client over the table of operations: paths, methods and bodies come from `api`.

use super::Connection;
use super::sign_in;
use super::typed;
use crate::exit::{self, Exit, Failure};
use anyhow::{Context, Result};
use api::ProblemKind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Where a server listens when nobody says otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// How long a server may take to answer one request.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// How often a request is sent again after the server asked for patience.
const PATIENCE_MAX: usize = 5;
/// A longer wait than this is told instead of sat out.
const PATIENCE_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a request whose answer was lost is sent again, and after which pause.
const LOST_MAX: usize = 2;
const LOST_PAUSE: Duration = Duration::from_secs(1);
/// What is said when a change was sent and nobody heard what became of it.
const IN_DOUBT: &str = "it is not known whether this was done, so look before you ask again";
/// How long connecting may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// A server, and how to speak to it.
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    tenant: Option<String>,
}

impl Client {
    /// From what the command line says, else from what `sign-in` kept.
    pub fn new(connection: &Connection) -> Result<Client> {
        let kept = sign_in::kept()?;
        let base = base(connection, kept.as_ref());
        let same_server = kept.filter(|kept| kept.url == base);
        let token = connection
            .token
            .clone()
            .or_else(|| same_server.map(|kept| kept.token));
        Self::build(connection, base, token)
    }

    /// Without a token, to sign in; keeps the session's cookie.
    pub fn without_token(connection: &Connection) -> Result<Client> {
        let base = base(connection, sign_in::kept()?.as_ref());
        Self::build(connection, base, None)
    }

    fn build(connection: &Connection, base: String, token: Option<String>) -> Result<Client> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIME_MAX)
            .cookie_store(true)
            .user_agent(concat!("headend/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &connection.ca {
            let pem = std::fs::read(path).with_context(|| path.display().to_string())?;
            let certificate = reqwest::Certificate::from_pem(&pem)
                .with_context(|| format!("{} is not a certificate in PEM", path.display()))?;
            builder = builder.add_root_certificate(certificate);
        }
        Ok(Client {
            http: builder.build()?,
            base: base.trim_end_matches('/').to_owned(),
            token,
            tenant: connection.tenant.clone(),
        })
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Calls an operation that has no body.
    pub async fn call<T: DeserializeOwned>(
        &self,
        id: &str,
        path: &[&str],
        query: &[(String, String)],
    ) -> Result<T> {
        let request = self.request(id, path)?.query(query);
        decode(self.send(request.timeout(REQUEST_TIME_MAX)).await?).await
    }

    /// Calls an operation with a body, under an idempotency key of its own. Where the server honours the key, a request
    /// whose answer is lost is sent again and still done once; elsewhere it could be done twice, and is not.
    pub async fn submit<B: Serialize, T: DeserializeOwned>(
        &self,
        id: &str,
        path: &[&str],
        body: &B,
    ) -> Result<T> {
        let key = uuid::Uuid::new_v4().to_string();
        let honoured = api::endpoint(id).is_some_and(|endpoint| endpoint.idempotent);
        let mut again = if honoured { LOST_MAX } else { 0 };
        loop {
            let request = self.request(id, path)?.json(body);
            let request = request.header(api::IDEMPOTENCY_HEADER, &key);
            let answer = match self.send(request.timeout(REQUEST_TIME_MAX)).await {
                Ok(response) => decode(response).await.context(IN_DOUBT),
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if again > 0 && exit::is_unreachable(&error) => again -= 1,
                answer => return answer,
            }
            tokio::time::sleep(LOST_PAUSE).await;
        }
    }

    /// Calls an operation with a body that answers nothing.
    pub async fn submit_nothing<B: Serialize>(
        &self,
        id: &str,
        path: &[&str],
        body: &B,
    ) -> Result<()> {
        let request = self.request(id, path)?.json(body).timeout(REQUEST_TIME_MAX);
        self.send(request).await.map(|_| ())
    }

    /// Calls an operation that answers nothing.
    pub async fn perform(&self, id: &str, path: &[&str]) -> Result<()> {
        let request = self.request(id, path)?.timeout(REQUEST_TIME_MAX);
        self.send(request).await.map(|_| ())
    }

    /// Calls an operation with bytes for a body. They cannot be sent again; where the server says to wait, that is told.
    pub async fn send_bytes<T: DeserializeOwned>(
        &self,
        id: &str,
        query: &[(String, String)],
        size: u64,
        body: reqwest::Body,
    ) -> Result<T> {
        let request = self.request(id, &[])?.query(query).body(body);
        let request = request.header(reqwest::header::CONTENT_LENGTH, size);
        decode(self.send(request).await?).await
    }

    /// Calls an operation that answers with bytes; they come for as long as they come.
    pub async fn bytes(&self, id: &str, path: &[&str]) -> Result<reqwest::Response> {
        self.send(self.request(id, path)?).await
    }

    /// Opens a stream; no time limit, since silence is normal.
    pub async fn stream(
        &self,
        id: &str,
        query: &[(String, String)],
        last_event: Option<&str>,
    ) -> Result<reqwest::Response> {
        let mut request = self.request(id, &[])?.query(query);
        if let Some(cursor) = last_event {
            request = request.header("Last-Event-ID", cursor);
        }
        self.send(request).await
    }

    fn request(&self, id: &str, path: &[&str]) -> Result<reqwest::RequestBuilder> {
        let endpoint = api::endpoint(id).with_context(|| format!("the API has no {id}"))?;
        let method = reqwest::Method::from_bytes(endpoint.method.as_str().as_bytes())?;
        let url = format!("{}{}", self.base, endpoint.fill(path));
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(tenant) = &self.tenant {
            request = request.header(api::TENANT_HEADER, tenant);
        }
        Ok(request)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let request = request.build();
        let mut request = request.map_err(|error| self.unanswered(&error))?;
        let changes = !request.method().is_safe();
        for _ in 0..PATIENCE_MAX {
            // Signing in is for people, who rather hear why than wait.
            let again = request.try_clone().filter(|_| self.token.is_some());
            let response = self.send_once(request).await?;
            let pause = patience(&response);
            match (again, pause) {
                (Some(again), Some(pause)) => {
                    tokio::time::sleep(pause).await;
                    request = again;
                }
                _ => return self.accepted(response, changes).await,
            }
        }
        self.accepted(self.send_once(request).await?, changes).await
    }

    async fn send_once(&self, request: reqwest::Request) -> Result<reqwest::Response> {
        let changes = !request.method().is_safe();
        self.http.execute(request).await.map_err(|error| {
            let sent = !error.is_builder() && !error.is_connect();
            in_doubt(changes && sent, self.unanswered(&error))
        })
    }

    fn unanswered(&self, error: &reqwest::Error) -> anyhow::Error {
        let why = causes(error);
        if error.is_builder() {
            let words = format!("{} is not the address of a server: {why}", self.base);
            return Exit::error(Failure::Usage, words);
        }
        let words = format!("{} does not answer: {why}", self.base);
        Exit::error(Failure::Unreachable, words)
    }

    async fn accepted(
        &self,
        response: reqwest::Response,
        changes: bool,
    ) -> Result<reqwest::Response> {
        match response.status().is_success() {
            true => Ok(response),
            false => Err(self.refusal(response, changes).await),
        }
    }

    async fn refusal(&self, response: reqwest::Response, changes: bool) -> anyhow::Error {
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_default();
        let Ok(mut problem) = serde_json::from_str::<api::Problem>(&text) else {
            // A proxy that speaks for a server it does not reach.
            if matches!(status, 502..=504) {
                let words = format!("{} answered {status}: the server is away", self.base);
                return in_doubt(changes, Exit::error(Failure::Unreachable, words));
            }
            let words = format!("{} answered {status}: is this a Headend server?", self.base);
            return Exit::error(Failure::Other, words);
        };
        let failure = match status {
            // The first of several same requests is still being answered: the same may work later.
            409 if problem.kind == ProblemKind::IdempotencyInProgress => Failure::Unreachable,
            401 | 403 => Failure::NotAllowed,
            404 => Failure::NotFound,
            400 | 409 | 410 | 413 | 415 | 422 => Failure::Refused,
            503 => Failure::Unreachable,
            _ => Failure::Other,
        };
        if problem.kind == ProblemKind::Unauthenticated {
            problem.detail = match self.token {
                Some(_) => "the token is not valid (any more); `headend sign-in` makes another",
                None => "`headend sign-in`, or give a token (--token, HEADEND_TOKEN)",
            }
            .to_owned();
        }
        typed::refusal(failure, problem, &[])
    }
}

/// The server: of the command line, else of the last `sign-in`, else on this machine.
fn base(connection: &Connection, kept: Option<&sign_in::Kept>) -> String {
    let given = connection.url.clone();
    given
        .or_else(|| kept.map(|kept| kept.url.clone()))
        .unwrap_or_else(|| DEFAULT_URL.to_owned())
}

/// A server's address as `--url` takes it, without a slash at its end.
pub fn address(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    match text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
    {
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        _ => Err("write it like http://127.0.0.1:8080 or https://headend.example.net".to_owned()),
    }
}

fn in_doubt(doubtful: bool, error: anyhow::Error) -> anyhow::Error {
    match doubtful {
        true => error.context(IN_DOUBT),
        false => error,
    }
}

/// How long the server asks us to wait before the same request, when it had too many (429).
fn patience(response: &reqwest::Response) -> Option<Duration> {
    if response.status() != reqwest::StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let seconds = response.headers().get(reqwest::header::RETRY_AFTER)?;
    let seconds = seconds.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|pause| *pause <= PATIENCE_TIME_MAX)
}

async fn decode<T: DeserializeOwned>(response: reqwest::Response) -> Result<T> {
    let host = response.url().origin().ascii_serialization();
    let text = response.text().await.map_err(|error| {
        let words = format!("the answer of {host} broke off: {}", causes(&error));
        Exit::error(Failure::Unreachable, words)
    })?;
    serde_json::from_str(&text)
        .context("the server's answer is not what its API promises; is it of another version?")
}

/// The chain of causes of an error, the last being the most telling.
fn causes(error: &dyn std::error::Error) -> String {
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        last = cause.to_string();
        next = cause.source();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_its_scheme_and_loses_its_last_slash() {
        assert_eq!(address("http://a:1/").as_deref(), Ok("http://a:1"));
        for bad in ["127.0.0.1:8080", "ws://a", "https://", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
