//! How brokers ask, over HTTP: RabbitMQ (`rabbitmq_auth_backend_http`), EMQX, VerneMQ (webhooks) and mosquitto-go-auth,
//! each in its own words. A secret in the path keeps everybody else out. Nothing is decided here.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::door::{Client, Door, Levels, No, Wants};
use crate::StartError;
use crate::config::BrokerAuth;
use crate::http::listener::Listener;
use crate::southbound::usp::adapter::Core;
use crate::southbound::usp::limits::{
    BROKER_ASK_BYTES_MAX, BROKER_ASKS_AT_ONCE, BROKER_SECRET_CHARS_MIN, BROKER_TOPICS_MAX,
};

struct Hooks {
    door: Door,
    secret: String,
    room: Semaphore,
}

type Asked = State<Arc<Hooks>>;

/// Listens, where that is wanted.
pub async fn start(
    core: &Core,
    door: Door,
    config: &BrokerAuth,
) -> Result<Option<SocketAddr>, StartError> {
    let Some(addr) = config.listen else {
        return Ok(None);
    };
    let secret = secret(config).map_err(StartError::Devices)?;
    let source = |source| StartError::Bind {
        what: "broker_auth.listen",
        addr,
        source,
    };
    let listener = Listener::bind(addr, config.tls.as_ref()).await?;
    let bound = listener.addr().map_err(source)?;
    let hooks = Arc::new(Hooks {
        door,
        secret,
        room: Semaphore::new(BROKER_ASKS_AT_ONCE),
    });
    tokio::spawn(listener.serve(router(hooks), core.shutdown.clone()));
    Ok(Some(bound))
}

fn secret(config: &BrokerAuth) -> Result<String, String> {
    let Some(path) = &config.secret_file else {
        return Err("broker_auth.listen needs broker_auth.secret_file".to_owned());
    };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| {
        let path = path.display();
        format!("broker_auth.secret_file {path}: {error}")
    })?;
    let secret = text.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match secret.len() >= BROKER_SECRET_CHARS_MIN && secret.bytes().all(plain) {
        true => Ok(secret.to_owned()),
        false => Err(format!(
            "broker_auth.secret_file holds at least {BROKER_SECRET_CHARS_MIN} letters, digits, dashes and underscores"
        )),
    }
}

fn router(hooks: Arc<Hooks>) -> Router {
    Router::new()
        .route("/{secret}/rabbitmq/{what}", post(rabbitmq))
        .route("/{secret}/emqx/{what}", post(emqx))
        .route("/{secret}/vernemq", post(vernemq))
        .route("/{secret}/mosquitto-go-auth/{what}", post(go_auth))
        .layer(DefaultBodyLimit::max(BROKER_ASK_BYTES_MAX))
        .with_state(hooks)
}

/// What a broker says in its question.
struct Question(HashMap<String, Value>);

impl Question {
    fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("application/json") {
            return Self(serde_json::from_slice(body).unwrap_or_default());
        }
        let pairs = form_urlencoded::parse(body);
        Self(
            pairs
                .map(|(name, text)| (name.into_owned(), Value::String(text.into_owned())))
                .collect(),
        )
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn either(&self, one: &str, other: &str) -> &str {
        match self.text(one) {
            "" => self.text(other),
            text => text,
        }
    }

    /// A client that shows its credential.
    fn client(&self) -> Client<'_> {
        let text = self.either("peerhost", "peer_addr");
        let ip = text.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        Client {
            username: self.text("username"),
            password: self.text("password"),
            client_id: match self.either("client_id", "clientid") {
                "" => self.text("variable_map.client_id"),
                id => id,
            },
            peer: SocketAddr::new(ip, 0),
        }
    }
}

impl Hooks {
    /// Whether it is a broker of ours that asks, and there is room.
    async fn open(&self, secret: &str) -> Result<tokio::sync::SemaphorePermit<'_>, Response> {
        let known = self.secret.as_bytes().ct_eq(secret.as_bytes());
        if !bool::from(known) {
            metrics::counter!("headend_broker_asks_refused_total").increment(1);
            return Err(StatusCode::NOT_FOUND.into_response());
        }
        metrics::counter!("headend_broker_asks_total").increment(1);
        let room = self.room.acquire().await;
        room.map_err(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
    }
}

/// `allow` or `deny`; see the plugin's README.
async fn rabbitmq(
    State(hooks): Asked,
    Path((secret, what)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let _permit = match hooks.open(&secret).await {
        Ok(permit) => permit,
        Err(response) => return response,
    };
    let asked = Question::read(&headers, &body);
    let (client, door) = (asked.client(), &hooks.door);
    let answer = match what.as_str() {
        "user" => door.enter(&client).await,
        // It came in; which virtual host is the broker's own business.
        "vhost" => match broker::Login::parse(client.username) {
            Some(_) => Ok(()),
            None => Err(No::Refused),
        },
        "resource" => resource(door, &asked, client.username).await,
        "topic" => {
            let wants = match asked.text("permission") {
                "write" => Wants::Publish,
                _ => Wants::Read,
            };
            let key = asked.text("routing_key");
            match asked.text("name") {
                EXCHANGE => {
                    let (user, id) = (client.username, client.client_id);
                    door.may(user, id, wants, key, Levels::Dots).await
                }
                _ => Err(No::Refused),
            }
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match answer {
        Ok(()) => "allow".into_response(),
        Err(No::Refused) => "deny".into_response(),
        Err(No::Later) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Where RabbitMQ publishes what comes by MQTT.
const EXCHANGE: &str = "amq.topic";

/// The exchange of topics, and the queue that RabbitMQ makes for a client of this identifier.
async fn resource(door: &Door, asked: &Question, username: &str) -> Result<(), No> {
    let (name, permission) = (asked.text("name"), asked.text("permission"));
    match asked.text("resource") {
        "exchange" if name == EXCHANGE && permission != "configure" => {
            let login = broker::Login::parse(username);
            login.map(drop).ok_or(No::Refused)
        }
        "queue" => {
            let id = name.strip_prefix("mqtt-subscription-");
            let id = id.and_then(|id| id.strip_suffix("qos0").or_else(|| id.strip_suffix("qos1")));
            door.is(username, id.ok_or(No::Refused)?).await
        }
        _ => Err(No::Refused),
    }
}

/// `{"result": "allow"}` or `deny`.
async fn emqx(
    State(hooks): Asked,
    Path((secret, what)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let _permit = match hooks.open(&secret).await {
        Ok(permit) => permit,
        Err(response) => return response,
    };
    let asked = Question::read(&headers, &body);
    let (client, door) = (asked.client(), &hooks.door);
    let answer = match what.as_str() {
        "auth" => door.enter(&client).await,
        "acl" => {
            let wants = match asked.text("action") {
                "publish" => Wants::Publish,
                _ => Wants::Read,
            };
            let (user, id, topic) = (client.username, client.client_id, asked.text("topic"));
            door.may(user, id, wants, topic, Levels::Slashes).await
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match answer {
        Ok(()) => axum::Json(json!({"result": "allow"})).into_response(),
        Err(No::Refused) => axum::Json(json!({"result": "deny"})).into_response(),
        Err(No::Later) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Which question it is stands in a header; `{"result": "ok"}` or an error.
async fn vernemq(
    State(hooks): Asked,
    Path(secret): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let _permit = match hooks.open(&secret).await {
        Ok(permit) => permit,
        Err(response) => return response,
    };
    let asked = Question::read(&headers, &body);
    let (client, door) = (asked.client(), &hooks.door);
    let hook = headers.get("vernemq-hook");
    let hook = hook.and_then(|hook| hook.to_str().ok()).unwrap_or_default();
    let (user, id) = (client.username, client.client_id);
    let answer = match hook.strip_suffix("_m5").unwrap_or(hook) {
        "auth_on_register" => door.enter(&client).await,
        "auth_on_publish" => {
            let topic = asked.text("topic");
            door.may(user, id, Wants::Publish, topic, Levels::Slashes)
                .await
        }
        "auth_on_subscribe" => filters(door, &asked, user, id).await,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match answer {
        Ok(()) => axum::Json(json!({"result": "ok"})).into_response(),
        Err(No::Refused) => axum::Json(json!({"result": {"error": "not_allowed"}})).into_response(),
        Err(No::Later) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// All of them, or none.
async fn filters(door: &Door, asked: &Question, user: &str, id: &str) -> Result<(), No> {
    let topics = asked.0.get("topics").and_then(Value::as_array);
    let topics = topics.ok_or(No::Refused)?;
    if topics.is_empty() || topics.len() > BROKER_TOPICS_MAX {
        return Err(No::Refused);
    }
    for one in topics {
        let topic = one.get("topic").and_then(Value::as_str).unwrap_or_default();
        door.may(user, id, Wants::Read, topic, Levels::Slashes)
            .await?;
    }
    Ok(())
}

/// The status says it: 200, or 403; the words are for its other modes.
async fn go_auth(
    State(hooks): Asked,
    Path((secret, what)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let _permit = match hooks.open(&secret).await {
        Ok(permit) => permit,
        Err(response) => return response,
    };
    let asked = Question::read(&headers, &body);
    let (client, door) = (asked.client(), &hooks.door);
    let answer = match what.as_str() {
        "user" => door.enter(&client).await,
        // Nobody is.
        "superuser" => Err(No::Refused),
        "acl" => {
            let acc = match asked.0.get("acc") {
                Some(Value::Number(acc)) => acc.as_u64().unwrap_or_default(),
                _ => asked.text("acc").parse().unwrap_or_default(),
            };
            let (user, id, topic) = (client.username, client.client_id, asked.text("topic"));
            match acc {
                1 | 4 => {
                    door.may(user, id, Wants::Read, topic, Levels::Slashes)
                        .await
                }
                2 => {
                    door.may(user, id, Wants::Publish, topic, Levels::Slashes)
                        .await
                }
                // Both at once nobody may with any topic.
                _ => Err(No::Refused),
            }
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match answer {
        Ok(()) => "ok".into_response(),
        Err(No::Refused) => (StatusCode::FORBIDDEN, "no").into_response(),
        Err(No::Later) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
