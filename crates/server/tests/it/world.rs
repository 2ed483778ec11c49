//! A real server on port 0 with its own database, an owner, and another tenant beside it.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use server::Config;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use store::testing::TestDatabase;
use tokio_util::sync::CancellationToken;

/// The administrator's password after the first change.
pub const PASSWORD: &str = "a quiet long sentence";

pub struct World {
    pub url: String,
    pub http: reqwest::Client,
    /// A token of the platform administrator in tenant `default`, with every scope.
    pub owner: String,
    /// A token of the administrator of tenant `other`, with every scope.
    pub other: String,
    /// The one-time password of the first start.
    pub first_password: String,
    /// Where devices connect without TLS.
    pub usp: Option<SocketAddr>,
    /// Where devices connect with TLS.
    pub usp_tls: Option<SocketAddr>,
    /// Where devices connect by MQTT, where it is one way.
    pub mqtt: Option<SocketAddr>,
    /// Where CPEs connect without TLS.
    pub cwmp: Option<SocketAddr>,
    /// Where devices fetch and send files.
    pub files: Option<SocketAddr>,
    /// The endpoint id of the controller.
    pub endpoint: String,
    /// Where the server keeps its files.
    pub data: PathBuf,
    stop: CancellationToken,
    running: Option<server::Running>,
    _directory: tempfile::TempDir,
    _database: TestDatabase,
}

/// One server on each database there is, ready to be asked.
pub async fn worlds() -> Vec<World> {
    let mut all = Vec::new();
    for database in store::testing::databases().await.unwrap() {
        let mut world = World::start(database).await;
        world.populate().await;
        all.push(world);
    }
    all
}

/// One server on SQLite, ready to be asked.
pub async fn world() -> World {
    let mut world = fresh().await;
    world.populate().await;
    world
}

/// One server on SQLite that believes what `X-Forwarded-For` says, ready to be asked.
pub async fn behind_a_proxy() -> World {
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, |config| {
        config.http.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    world.populate().await;
    world
}

/// One server on SQLite at its very first start.
pub async fn fresh() -> World {
    World::start(store::testing::sqlite().await.unwrap()).await
}

impl World {
    async fn start(database: TestDatabase) -> World {
        World::with(database, |_| {}).await
    }

    /// A server at its very first start, configured otherwise.
    pub async fn with(database: TestDatabase, change: impl FnOnce(&mut Config)) -> World {
        // The first to come wins; all want the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let mut config =
            Config::parse("[http]\nlisten = \"127.0.0.1:0\"\n[usp]\nlisten = \"127.0.0.1:0\"\n[cwmp]\nlisten = \"127.0.0.1:0\"\n[files]\nlisten = \"127.0.0.1:0\"\n")
                .unwrap();
        config.data_dir = directory.path().to_owned();
        config.database = Some(database.url.clone());
        change(&mut config);
        let stop = CancellationToken::new();
        let running = server::start(config, stop.clone()).await.unwrap();
        World {
            url: running.url(),
            http: reqwest::Client::builder().build().unwrap(),
            owner: String::new(),
            other: String::new(),
            usp: running.usp,
            usp_tls: running.usp_tls,
            mqtt: running.mqtt.first().map(|one| one.addr),
            cwmp: running.cwmp,
            files: running.files.plain,
            endpoint: running.endpoint_id.clone(),
            data: directory.path().to_owned(),
            first_password: running
                .first_administrator
                .clone()
                .unwrap()
                .one_time_password,
            stop,
            running: Some(running),
            _directory: directory,
            _database: database,
        }
    }

    /// Makes an owner and another tenant.
    pub async fn populate(&mut self) {
        let cookie = self
            .enter("admin", &self.first_password.clone(), PASSWORD)
            .await;
        self.owner = self.token(&cookie, all_scopes()).await;
        let made = self
            .post("/api/v1/tenants", json!({"id": "other", "name": "Other"}))
            .await;
        assert_eq!(made.status(), 201);
        let made = self
            .request(Method::POST, "/api/v1/users")
            .header("Headend-Tenant", "other")
            .json(&json!({"login": "boss@other", "role": "administrator"}))
            .send()
            .await
            .unwrap();
        assert_eq!(made.status(), 201);
        let made: Value = made.json().await.unwrap();
        let password = made["one_time_password"].as_str().unwrap();
        let cookie = self.enter("boss@other", password, PASSWORD).await;
        let scopes = all_scopes()
            .into_iter()
            .filter(|one| one != "platform:write")
            .collect();
        self.other = self.token(&cookie, scopes).await;
    }

    /// Signs in with a one-time password and changes it; the cookie.
    pub async fn enter(&self, login: &str, first: &str, then: &str) -> String {
        let (status, cookie) = self.sign_in(login, first).await;
        assert_eq!(status, 200);
        let changed = self
            .http
            .put(format!("{}/api/v1/session/password", self.url))
            .header("cookie", &cookie)
            .json(&json!({"current": first, "new": then}))
            .send()
            .await
            .unwrap();
        assert_eq!(changed.status(), 204, "{}", changed.text().await.unwrap());
        cookie
    }

    /// Signs in; status and cookie.
    pub async fn sign_in(&self, login: &str, password: &str) -> (u16, String) {
        let response = self
            .http
            .post(format!("{}/api/v1/session", self.url))
            .json(&json!({"login": login, "password": password}))
            .send()
            .await
            .unwrap();
        let cookie = response
            .headers()
            .get("set-cookie")
            .map(|value| value.to_str().unwrap().to_owned());
        let cookie = cookie
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        (response.status().as_u16(), cookie)
    }

    /// A token of whoever has the cookie.
    pub async fn token(&self, cookie: &str, scopes: Vec<String>) -> String {
        // After many wrong ones from this address the right one has to wait too.
        let made = loop {
            let made = self
                .http
                .post(format!("{}/api/v1/tokens", self.url))
                .header("cookie", cookie)
                .json(&json!({"name": "test", "scopes": scopes}))
                .send()
                .await
                .unwrap();
            if made.status() != 429 {
                break made;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
        let made: Value = made.json().await.unwrap();
        made["secret"].as_str().unwrap().to_owned()
    }

    /// What the server remembers, past its API.
    pub fn store(&self) -> &store::Store {
        &self.running.as_ref().unwrap().store
    }

    /// The file of the database, when it is one.
    pub fn database_file(&self) -> Option<String> {
        self._database
            .url
            .strip_prefix("sqlite://")
            .map(str::to_owned)
    }

    /// A new user of tenant `default`; id and one-time password.
    pub async fn user(&self, login: &str, role: &str) -> (String, String) {
        let made = self
            .post("/api/v1/users", json!({"login": login, "role": role}))
            .await;
        assert_eq!(made.status(), 201);
        let made: Value = made.json().await.unwrap();
        let text = |at: &str| made.pointer(at).unwrap().as_str().unwrap().to_owned();
        (text("/user/id"), text("/one_time_password"))
    }

    /// A request of the owner.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.owner)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Response {
        self.request(Method::POST, path)
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    /// The body of a successful GET of the owner.
    pub async fn read(&self, path: &str) -> Value {
        let response = self.get(path).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A new device of the owner; its id.
    pub async fn device(&self, endpoint: &str) -> String {
        let made = self
            .post("/api/v1/devices", json!({"endpoint_id": endpoint}))
            .await;
        let status = made.status();
        let made: Value = made.json().await.unwrap();
        assert_eq!(status, 201, "{made}");
        made["device"]["id"].as_str().unwrap().to_owned()
    }

    /// Stops the server and waits until it has.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.running.take().unwrap().wait().await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn all_scopes() -> Vec<String> {
    api::Permission::ALL
        .iter()
        .map(|one| one.as_str().to_owned())
        .collect()
}

/// Waits until something is so; fails after a while.
pub async fn until<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let end = Instant::now() + Duration::from_secs(60);
    while !check().await {
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
