//! The listener itself: limits, headers, pages, health, metrics, TLS.

use crate::world::{fresh, world};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_whether_it_says_so_or_not() {
    let world = world().await;
    let huge = "x".repeat(server::limits::BODY_BYTES_MAX + 1);
    let said = world
        .request(reqwest::Method::POST, "/api/v1/setup-keys")
        .header("content-type", "application/json")
        .body(huge.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(said.status(), 413);
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> = huge
        .as_bytes()
        .chunks(64 * 1024)
        .map(|chunk| Ok(chunk.to_vec()))
        .collect();
    let unsaid = world
        .request(reqwest::Method::POST, "/api/v1/setup-keys")
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(futures_util::stream::iter(
            chunks,
        )))
        .send()
        .await
        .unwrap();
    assert_eq!(unsaid.status(), 413);
    let problem: Value = unsaid.json().await.unwrap();
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("body_bytes_max")
    );
}

#[tokio::test]
async fn a_caller_that_asks_too_fast_has_to_wait_and_others_do_not() {
    let world = world().await;
    let mut limited = None;
    for _ in 0..server::limits::REQUESTS_BURST * 10 {
        let answers =
            futures_util::future::join_all((0..50).map(|_| world.get("/api/v1/session"))).await;
        limited = answers.into_iter().find(|one| one.status() == 429);
        if limited.is_some() {
            break;
        }
    }
    let limited = limited.expect("the limit is never reached");
    assert!(limited.headers().contains_key("retry-after"));
    let other = world
        .http
        .get(format!("{}/api/v1/session", world.url))
        .bearer_auth(&world.other);
    assert_eq!(other.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn wrong_tokens_from_one_address_are_slowed_down() {
    let world = world().await;
    let mut statuses = Vec::new();
    for _ in 0..server::limits::BAD_TOKEN_BURST + 5 {
        let wrong = world
            .http
            .get(format!("{}/api/v1/session", world.url))
            .bearer_auth("het_x");
        statuses.push(wrong.send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses[0], 401);
    assert_eq!(*statuses.last().unwrap(), 429);
}

#[tokio::test]
async fn every_answer_has_its_headers_and_request_id() {
    let world = fresh().await;
    for path in [
        "/",
        "/devices/some-page",
        "/api/v1/docs",
        "/api/v1/session",
        "/healthz",
        "/nothing.js",
    ] {
        let answer = world
            .http
            .get(format!("{}{path}", world.url))
            .send()
            .await
            .unwrap();
        let headers = answer.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
        for name in [
            "x-content-type-options",
            "x-frame-options",
            "referrer-policy",
            "x-request-id",
            "cache-control",
        ] {
            assert!(headers.contains_key(name), "{path} has no {name}");
        }
    }
}

#[tokio::test]
async fn pages_health_and_errors_are_what_they_should_be() {
    let world = fresh().await;
    let get = |path: &str| world.http.get(format!("{}{path}", world.url)).send();
    for (path, status, kind) in [
        ("/", 200, "text/html"),
        ("/devices/0190", 200, "text/html"),
        ("/assets/missing-1234.js", 404, "application/problem+json"),
        ("/api/v1/nothing", 404, "application/problem+json"),
        ("/api/v2", 404, "application/problem+json"),
        ("/api/v1/docs", 200, "text/html"),
        ("/api/v1/docs.js", 200, "text/javascript"),
        ("/healthz", 200, "text/plain"),
        ("/readyz", 200, "text/plain"),
        ("/metrics", 200, "text/plain"),
    ] {
        let answer = get(path).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let found = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(found.starts_with(kind), "{path}: {found}");
    }
    let wrong = world
        .http
        .delete(format!("{}/api/v1/devices", world.url))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 405);
    let problem: Value = wrong.json().await.unwrap();
    assert_eq!(problem["type"], "urn:headend:problem:method-not-allowed");
}

#[tokio::test]
async fn metrics_count_requests_without_naming_tenants_and_are_not_for_strangers() {
    let world = world().await;
    let device = world.device("proto::counted").await;
    world.get(&format!("/api/v1/devices/{device}")).await;
    let url = format!("{}/metrics", world.url);
    let text = world
        .http
        .get(&url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        text.contains("headend_http_requests_total{")
            && text.contains("/api/v1/devices/{device_id}")
    );
    for secret in [
        device.as_str(),
        "proto::counted",
        "default",
        "admin",
        "other",
    ] {
        assert!(!text.contains(secret), "{secret} is in the metrics");
    }
    // Behind a proxy on this host the caller is not this host.
    let strange = world
        .http
        .get(&url)
        .header("x-forwarded-for", "203.0.113.9");
    assert_eq!(strange.send().await.unwrap().status(), 401);
    let known = world
        .http
        .get(&url)
        .header("x-forwarded-for", "203.0.113.9")
        .bearer_auth(&world.owner);
    assert_eq!(known.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn answers_are_compressed_when_asked_for() {
    let world = world().await;
    let answer = world
        .request(reqwest::Method::GET, "/api/v1/openapi.json")
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut() {
    let world = fresh().await;
    let mut socket = tokio::net::TcpStream::connect(world.url.trim_start_matches("http://"))
        .await
        .unwrap();
    socket
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let limit = server::limits::HEADER_TIME_MAX + std::time::Duration::from_secs(10);
    let ended = tokio::time::timeout(limit, socket.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection was kept for ever");
}

#[tokio::test]
async fn each_start_gives_a_new_first_password_until_somebody_has_signed_in() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let database = store::testing::sqlite().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut config = server::Config::parse(
        "[http]\nlisten = \"127.0.0.1:0\"\n[usp]\nlisten = \"127.0.0.1:0\"\n[cwmp]\nlisten = \"\"\n[files]\nlisten = \"\"\n",
    )
    .unwrap();
    config.data_dir = directory.path().to_owned();
    config.database = Some(database.url.clone());
    let mut lost = String::new();
    for start in 0..3 {
        let stop = tokio_util::sync::CancellationToken::new();
        let running = server::start(config.clone(), stop.clone()).await.unwrap();
        assert_eq!(running.first_administrator.is_some(), start < 2);
        if let Some(first) = &running.first_administrator {
            let sign_in = |password: String| {
                reqwest::Client::new()
                    .post(format!("{}/api/v1/session", running.url()))
                    .json(&serde_json::json!({"login": first.login, "password": password}))
                    .send()
            };
            if start == 0 {
                lost = first.one_time_password.clone();
            } else {
                assert_eq!(sign_in(lost.clone()).await.unwrap().status(), 401);
                let answer = sign_in(first.one_time_password.clone()).await.unwrap();
                assert_eq!(answer.status(), 200);
            }
        }
        stop.cancel();
        running.wait().await.unwrap();
    }
}

#[tokio::test]
async fn https_is_served_from_files_and_its_cookie_is_secure() {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        directory.path().join("cert.pem"),
        directory.path().join("key.pem"),
    );
    std::fs::write(&certificate, issued.cert.pem()).unwrap();
    std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
    let database = store::testing::sqlite().await.unwrap();
    let mut config = server::Config::parse(
        "[http]\nlisten = \"127.0.0.1:0\"\n[usp]\nlisten = \"127.0.0.1:0\"\n[cwmp]\nlisten = \"\"\n[files]\nlisten = \"\"\n",
    )
    .unwrap();
    config.data_dir = directory.path().join("data");
    config.database = Some(database.url.clone());
    config.http.tls = Some(server::config::TlsFiles { certificate, key });
    let stop = tokio_util::sync::CancellationToken::new();
    let running = server::start(config, stop.clone()).await.unwrap();
    assert!(running.https);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(issued.cert.pem().as_bytes()).unwrap()])
        .build()
        .unwrap();
    let first = running.first_administrator.clone().unwrap();
    let answer = http
        .post(format!(
            "https://localhost:{}/api/v1/session",
            running.http.port()
        ))
        .json(&serde_json::json!({"login": first.login, "password": first.one_time_password}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(
        answer.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Secure")
    );
    assert!(answer.headers().contains_key("strict-transport-security"));
    stop.cancel();
    running.wait().await.unwrap();
}
