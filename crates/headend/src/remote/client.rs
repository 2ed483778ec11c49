//! One HTTP client over the table of operations: paths, methods and bodies come from `api`.

use super::Connection;
use super::sign_in;
use crate::exit::{Exit, Failure};
use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Where a server listens when nobody says otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// How long a server may take to answer one request.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
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
        let base = connection
            .url
            .clone()
            .or_else(|| kept.as_ref().map(|kept| kept.url.clone()))
            .unwrap_or_else(|| DEFAULT_URL.to_owned());
        let same_server = kept.filter(|kept| kept.url == base);
        let token = connection
            .token
            .clone()
            .or_else(|| same_server.map(|kept| kept.token));
        Self::build(connection, base, token)
    }

    /// Without a token, to sign in; keeps the session's cookie.
    pub fn without_token(connection: &Connection) -> Result<Client> {
        let base = connection
            .url
            .clone()
            .unwrap_or_else(|| DEFAULT_URL.to_owned());
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

    /// Calls an operation with a body, under an idempotency key of its own.
    pub async fn submit<B: Serialize, T: DeserializeOwned>(
        &self,
        id: &str,
        path: &[&str],
        body: &B,
    ) -> Result<T> {
        let request = self
            .request(id, path)?
            .header(api::IDEMPOTENCY_HEADER, uuid::Uuid::new_v4().to_string())
            .json(body);
        decode(self.send(request.timeout(REQUEST_TIME_MAX)).await?).await
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
        let response = request.send().await.map_err(|error| {
            let words = format!("{} does not answer: {}", self.base, causes(&error));
            Exit::error(Failure::Unreachable, words)
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    async fn refusal(&self, response: reqwest::Response) -> anyhow::Error {
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_default();
        let Ok(problem) = serde_json::from_str::<api::Problem>(&text) else {
            let words = format!("{} answered {status}: is this a Headend server?", self.base);
            return Exit::error(Failure::Other, words);
        };
        let failure = match status {
            401 | 403 => Failure::NotAllowed,
            404 => Failure::NotFound,
            400 | 409 | 413 | 422 => Failure::Refused,
            503 => Failure::Unreachable,
            _ => Failure::Other,
        };
        // Whose password was wrong has been signing in.
        let hint = match problem.kind {
            api::ProblemKind::Unauthenticated if self.token.is_none() => {
                "\n  sign in first: headend sign-in"
            }
            _ => "",
        };
        Exit::error(failure, format!("{problem}{hint}"))
    }
}

async fn decode<T: DeserializeOwned>(response: reqwest::Response) -> Result<T> {
    let text = response.text().await?;
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
