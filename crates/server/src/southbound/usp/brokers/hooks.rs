//! How brokers ask, over HTTP: RabbitMQ (`rabbitmq_auth_backend_http`), EMQX, VerneMQ (webhooks) and mosquitto-go-auth,
//! each in its own words. A secret in the path keeps everybody else out. Nothing is decided here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::door::{Client, Door, No};
use super::rights::{Levels, Wants};
use super::user::User;
use crate::StartError;
use crate::config::BrokerAuth;
use crate::http::headers::Connection;
use crate::http::listener::Listener;
use crate::southbound::refusal::{Complaint, Peer};
use crate::southbound::usp::MQTT;
use crate::southbound::usp::adapter::Core;
use crate::southbound::usp::limits::{
    BROKER_ASK_BYTES_MAX, BROKER_ASK_TIME_MAX, BROKER_ASKS_AT_ONCE, BROKER_SECRET_CHARS_MIN,
    BROKER_TOPICS_MAX,
};

struct Hooks {
    core: Arc<Core>,
    door: Door,
    secrets: Vec<String>,
    vhost: String,
    room: Semaphore,
}

/// Listens, where that is wanted.
pub async fn start(
    core: &Arc<Core>,
    door: Door,
    config: &BrokerAuth,
) -> Result<Option<SocketAddr>, StartError> {
    const LISTEN: &str = "broker_auth.listen";
    let Some(addr) = config.listen else {
        return Ok(None);
    };
    let secrets = secrets(config).map_err(StartError::Devices)?;
    let source = |source| StartError::Bind {
        what: LISTEN,
        addr,
        source,
    };
    let listener = Listener::bind(LISTEN, addr, config.tls.as_ref()).await?;
    let bound = listener.addr().map_err(source)?;
    let hooks = Arc::new(Hooks {
        core: core.clone(),
        door,
        secrets,
        vhost: config.vhost.clone(),
        room: Semaphore::new(BROKER_ASKS_AT_ONCE),
    });
    tokio::spawn(listener.serve(router(hooks), core.shutdown.clone()));
    Ok(Some(bound))
}

fn secrets(config: &BrokerAuth) -> Result<Vec<String>, String> {
    let Some(path) = &config.secret_file else {
        return Err("broker_auth.listen needs broker_auth.secret_file".to_owned());
    };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| {
        let path = path.display();
        format!("broker_auth.secret_file {path}: {error}")
    })?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let good = |one: &&str| one.len() >= BROKER_SECRET_CHARS_MIN && one.bytes().all(plain);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.collect();
    match !lines.is_empty() && lines.iter().all(good) {
        true => Ok(lines.into_iter().map(str::to_owned).collect()),
        false => Err(format!(
            "broker_auth.secret_file holds at least {BROKER_SECRET_CHARS_MIN} letters, digits, dashes and underscores"
        )),
    }
}

fn router(hooks: Arc<Hooks>) -> Router {
    Router::new()
        .route("/{secret}/{broker}", post(asked))
        .route("/{secret}/{broker}/{what}", post(asked))
        .layer(DefaultBodyLimit::max(BROKER_ASK_BYTES_MAX))
        // Before anything of a question is read.
        .layer(from_fn_with_state(hooks.clone(), known))
        .with_state(hooks)
}

/// Whether it is a broker of ours that asks.
async fn known(
    State(hooks): State<Arc<Hooks>>,
    Extension(asks): Extension<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let shown = path.split('/').next().unwrap_or_default().as_bytes();
    let one = |secret: &String| bool::from(secret.as_bytes().ct_eq(shown));
    // Each is compared, whichever it is.
    if hooks.secrets.iter().filter(|secret| one(secret)).count() > 0 {
        metrics::counter!("headend_broker_asks_total").increment(1);
        return next.run(request).await;
    }
    metrics::counter!("headend_broker_asks_refused_total").increment(1);
    hooks.core.refusals.over(MQTT).take(Complaint {
        tenant: None,
        device: None,
        peer: asks.addr.into(),
        endpoint: String::new(),
        reason: "broker-ask-refused".to_owned(),
        detail: "asked broker_auth without its secret".to_owned(),
    });
    StatusCode::NOT_FOUND.into_response()
}

/// One question of a broker, and its answer in the words of that broker.
async fn asked(
    State(hooks): State<Arc<Hooks>>,
    Path(path): Path<HashMap<String, String>>,
    Extension(asks): Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let part = |name: &str| path.get(name).map(String::as_str).unwrap_or_default();
    let (broker, what) = (part("broker"), part("what"));
    let asked = Question {
        said: said_in(&headers, &body),
        of: format!("{broker} at {}", asks.addr.ip()),
    };
    let begun = Instant::now();
    let answer = async {
        let _permit = hooks.room.acquire().await.ok()?;
        match broker {
            "rabbitmq" => hooks.rabbitmq(what, &asked).await,
            "emqx" => hooks.emqx(what, &asked).await,
            "vernemq" => hooks.vernemq(&headers, &asked).await,
            "mosquitto-go-auth" => hooks.go_auth(what, &asked).await,
            _ => None,
        }
    };
    let answer = timeout(BROKER_ASK_TIME_MAX, answer).await;
    metrics::histogram!("headend_broker_ask_seconds").record(begun.elapsed());
    match answer {
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) | Ok(Some(Err(No::Later))) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Ok(Some(answer)) => said(broker, answer.is_ok()),
    }
}

/// A yes or a no as each of them wants it.
fn said(broker: &str, yes: bool) -> Response {
    match (broker, yes) {
        ("rabbitmq", true) => "allow".into_response(),
        ("rabbitmq", false) => "deny".into_response(),
        ("emqx", true) => Json(json!({"result": "allow"})).into_response(),
        ("emqx", false) => Json(json!({"result": "deny"})).into_response(),
        ("vernemq", true) => Json(json!({"result": "ok"})).into_response(),
        ("vernemq", false) => Json(json!({"result": {"error": "not_allowed"}})).into_response(),
        // The status says it; the words are for its other modes.
        (_, true) => "ok".into_response(),
        (_, false) => (StatusCode::FORBIDDEN, "no").into_response(),
    }
}

/// The words of a question: a form, or JSON.
fn said_in(headers: &HeaderMap, body: &[u8]) -> HashMap<String, Value> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        return serde_json::from_slice(body).unwrap_or_default();
    }
    let pairs = form_urlencoded::parse(body);
    pairs
        .map(|(name, text)| (name.into_owned(), Value::String(text.into_owned())))
        .collect()
}

/// What a broker says in its question.
struct Question {
    said: HashMap<String, Value>,
    /// Which broker asks: its kind and its address.
    of: String,
}

impl Question {
    fn text(&self, name: &str) -> &str {
        self.said
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn first_of(&self, names: &[&str]) -> &str {
        let mut texts = names.iter().map(|name| self.text(name));
        texts.find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// A client that shows its credential.
    fn client(&self) -> Client<'_> {
        let told = self.first_of(&["peerhost", "peer_addr", "ip"]).parse();
        Client {
            username: self.text("username"),
            password: self.text("password"),
            client_id: self.first_of(&["client_id", "clientid", "variable_map.client_id"]),
            peer: match told {
                Ok(ip) => SocketAddr::new(ip, 0).into(),
                Err(_) => Peer::Behind(self.of.clone()),
            },
        }
    }
}

/// What was asked, or that it is no question.
type Asked = Option<Result<(), No>>;

/// Where RabbitMQ publishes what comes by MQTT, and over STOMP to `/topic/`.
const EXCHANGE: &str = "amq.topic";

impl Hooks {
    /// See the README of its plugin.
    async fn rabbitmq(&self, what: &str, asked: &Question) -> Asked {
        let client = asked.client();
        let (vhost, name) = (asked.text("vhost"), asked.text("name"));
        if what != "user" && vhost != self.vhost {
            let what = format!("the virtual host {vhost}");
            return Some(self.door.never(&client, &what).await);
        }
        Some(match what {
            "user" => self.door.enter(&client).await,
            "vhost" => is_a_user(&client),
            "resource" => self.resource(asked, &client).await,
            "topic" if name == EXCHANGE => {
                let wants = match asked.text("permission") {
                    "write" => Wants::Publish,
                    _ => Wants::Hear,
                };
                let key = asked.text("routing_key");
                self.door.may(&client, wants, key, Levels::Dots).await
            }
            "topic" => {
                self.door
                    .never(&client, &format!("the exchange {name}"))
                    .await
            }
            _ => return None,
        })
    }

    /// The exchange of topics, and the queue that RabbitMQ makes for a client: of MQTT by its identifier, of STOMP by a
    /// number that nobody can guess, or else by what the client has chosen, so that it belongs to who was there first.
    async fn resource(&self, asked: &Question, client: &Client<'_>) -> Result<(), No> {
        let (name, permission) = (asked.text("name"), asked.text("permission"));
        match (asked.text("resource"), of_mqtt(name)) {
            ("exchange", _) if name == EXCHANGE && permission != "configure" => is_a_user(client),
            ("queue", _) if name.starts_with("stomp-subscription-") => {
                self.door.may_use(client, name).await
            }
            ("queue", Some(id)) => self.door.may_be(client, id).await,
            (kind, _) => {
                let what = format!("to {permission} the {kind} {name}");
                self.door.never(client, &what).await
            }
        }
    }

    async fn emqx(&self, what: &str, asked: &Question) -> Asked {
        let client = asked.client();
        Some(match what {
            "auth" => self.door.enter(&client).await,
            "acl" => {
                let wants = match asked.text("action") {
                    "publish" => Wants::Publish,
                    _ => Wants::Hear,
                };
                self.topic(&client, wants, asked.text("topic")).await
            }
            _ => return None,
        })
    }

    /// Which question it is stands in a header.
    async fn vernemq(&self, headers: &HeaderMap, asked: &Question) -> Asked {
        let client = asked.client();
        let hook = headers.get("vernemq-hook");
        let hook = hook.and_then(|hook| hook.to_str().ok()).unwrap_or_default();
        Some(match hook.strip_suffix("_m5").unwrap_or(hook) {
            "auth_on_register" => self.door.enter(&client).await,
            "auth_on_publish" => {
                let topic = asked.text("topic");
                self.topic(&client, Wants::Publish, topic).await
            }
            "auth_on_subscribe" => self.filters(&client, asked).await,
            _ => return None,
        })
    }

    /// All of them, or none.
    async fn filters(&self, client: &Client<'_>, asked: &Question) -> Result<(), No> {
        let topics = asked.said.get("topics").and_then(Value::as_array);
        let topics = topics.ok_or(No::Refused)?;
        if topics.is_empty() || topics.len() > BROKER_TOPICS_MAX {
            return Err(No::Refused);
        }
        for one in topics {
            let topic = one.get("topic").and_then(Value::as_str).unwrap_or_default();
            self.topic(client, Wants::Hear, topic).await?;
        }
        Ok(())
    }

    async fn go_auth(&self, what: &str, asked: &Question) -> Asked {
        let client = asked.client();
        Some(match what {
            "user" => self.door.enter(&client).await,
            // Nobody is.
            "superuser" => Err(No::Refused),
            "acl" => {
                let acc = match asked.said.get("acc") {
                    Some(Value::Number(acc)) => acc.as_u64().unwrap_or_default(),
                    _ => asked.text("acc").parse().unwrap_or_default(),
                };
                let topic = asked.text("topic");
                match acc {
                    1 | 4 => self.topic(&client, Wants::Hear, topic).await,
                    2 => self.topic(&client, Wants::Publish, topic).await,
                    // Both at once nobody may with any topic.
                    _ => Err(No::Refused),
                }
            }
            _ => return None,
        })
    }

    async fn topic(&self, client: &Client<'_>, wants: Wants, topic: &str) -> Result<(), No> {
        self.door.may(client, wants, topic, Levels::Slashes).await
    }
}

/// Whose queue of MQTT it is: the client identifier.
fn of_mqtt(queue: &str) -> Option<&str> {
    let id = queue.strip_prefix("mqtt-subscription-")?;
    id.strip_suffix("qos0").or_else(|| id.strip_suffix("qos1"))
}

/// It came in as one.
fn is_a_user(client: &Client<'_>) -> Result<(), No> {
    let user = User::parse(client.username, client.client_id);
    user.map(drop).map_err(|_| No::Refused)
}
