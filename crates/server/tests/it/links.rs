//! The links of devices when somebody means no good with them, or nobody should be served.

use crate::files::{ABC, LIFE, Link, configured, file, header, on_disk};
use crate::world::{until, world, worlds};
use serde_json::json;
use server::files::limits::CONFIGURATION_BYTES_MAX;
use server::secret;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn the_links_of_a_disabled_tenant_are_not_served_until_it_is_enabled() {
    for mut world in worlds().await {
        let tenant = fleet::TenantId::parse("other").unwrap();
        world.owner = world.other.clone();
        let id = file(&world, "fw.bin", "abc").await;
        let down = Link::of(&tenant, &world, Some(&id), LIFE).await;
        let up = Link::of(&tenant, &world, None, LIFE).await;
        let disable = async |at| {
            let patch = store::TenantPatch {
                disabled_at: Some(at),
                ..Default::default()
            };
            let store = world.store();
            store.tenant_update(&tenant, patch, vec![]).await.unwrap();
        };
        let (get, put) = (down.url(&world, "f"), up.url(&world, "u"));
        let ask = async || {
            let got = world.http.get(&get).send().await.unwrap().status();
            let sent = world.http.put(&put).body("abc").send().await.unwrap();
            (got.as_u16(), sent.status().as_u16())
        };
        disable(Some(fleet::Timestamp(1))).await;
        assert_eq!(ask().await, (404, 404));
        disable(None).await;
        for link in [&down, &up] {
            let seen = link.seen(&world).await;
            assert_eq!(seen["state"], "waiting");
            let error = seen["error"].as_str().unwrap();
            assert!(error.contains("tenant was disabled"), "{seen}");
        }
        assert_eq!(ask().await, (200, 201));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_link_that_ended_is_looked_up_no_more_when_its_network_has_to_wait() {
    let world = world().await;
    let id = file(&world, "fw.bin", "abc").await;
    let good = Link::new(&world, Some(&id), LIFE).await;
    let over = Link::new(&world, Some(&id), Duration::ZERO).await;
    let sends = Link::new(&world, None, LIFE).await;
    let at = |path: &str| format!("http://{}{path}", world.files.unwrap());
    let get = async |url: String| world.http.get(url).send().await.unwrap().status().as_u16();
    // Tries are given back with time, so there are always more.
    let wait = async || while get(at("/f/nonsense")).await == 404 {};
    let again = async || {
        let metrics = world.get("/metrics").await.text().await.unwrap();
        let mut lines = metrics.lines().filter(|line| line.contains("\"again\""));
        lines
            .next()
            .and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0)
    };
    let invented = secret::new(secret::FILE);
    for url in [over.url(&world, "f"), at(&format!("/f/{invented}/x"))] {
        let counted: u64 = again().await;
        until("it is remembered", || async {
            wait().await;
            assert!([404, 429].contains(&get(url.clone()).await));
            again().await > counted
        })
        .await;
        let (counted, seen) = (again().await, over.seen(&world).await);
        assert!([404, 429].contains(&get(url.clone()).await));
        assert_eq!(again().await, counted + 1, "{url}");
        assert_eq!(over.seen(&world).await, seen);
    }
    // Those that are good, or may become so, are not remembered.
    assert_eq!(get(good.url(&world, "f")).await, 200);
    until("it is told to wait", || async {
        wait().await;
        get(sends.url(&world, "f")).await == 429
    })
    .await;
    assert_eq!(get(sends.url(&world, "f")).await / 100, 4);
    let sent = world.http.put(sends.url(&world, "u")).body("abc");
    assert_eq!(sent.send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn what_came_over_a_link_is_taken_once_and_the_same_again_is_the_same() {
    for world in worlds().await {
        let link = Link::new(&world, None, LIFE).await;
        let url = link.url(&world, "u");
        let put = async |bytes: &'static str| {
            let sent = world.http.put(&url).body(bytes).send().await.unwrap();
            sent.status().as_u16()
        };
        assert_eq!(put("abc").await, 201);
        let done = link.becomes(&world, "done").await;
        assert_eq!(put("abc").await, 201, "its answer may have been lost");
        for other in ["abd", "ab", "abcd"] {
            assert_eq!(put(other).await, 409, "{other:?}");
        }
        // Whether a password is wanted: no.
        let nothing = world.http.put(&url).header("content-length", 0);
        assert_eq!(nothing.send().await.unwrap().status(), 200);
        let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("123"));
        let endless = reqwest::Body::wrap_stream(endless);
        let endless = world.http.put(&url).body(endless).send().await;
        assert!(endless.is_err() || endless.unwrap().status() == 409);
        let seen = link.seen(&world).await;
        for what in ["state", "error", "file_id", "bytes"] {
            assert_eq!(seen[what], done[what], "{seen}");
        }
        let list = world.read("/api/v1/files").await;
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
        assert_eq!(list["items"][0]["sha256"], ABC);
        assert_eq!(on_disk(&world.data.join("files")), 1);
        // Also when somebody has removed it.
        let path = format!("/api/v1/files/{}", done["file_id"].as_str().unwrap());
        let removed = world.request(reqwest::Method::DELETE, &path).send().await;
        assert_eq!(removed.unwrap().status(), 204);
        assert_eq!(put("abc").await, 409);
        assert_eq!(on_disk(&world.data.join("files")), 0);
        world.stop().await;
    }
}

#[tokio::test]
async fn nothing_is_no_file_and_the_device_may_send_one_after_it() {
    let world = world().await;
    let link = Link::new(&world, None, LIFE).await;
    let url = link.url(&world, "u");
    // Clients that wait to be asked for a password send the file after this.
    let nothing = world.http.put(&url).header("content-length", 0);
    assert_eq!(nothing.send().await.unwrap().status(), 200);
    let seen = link.seen(&world).await;
    assert_eq!(seen["state"], "interrupted", "{seen}");
    assert!(seen["error"].as_str().unwrap().contains("empty file"));
    let chunks = futures_util::stream::empty::<Result<Vec<u8>, std::io::Error>>();
    let chunks = world
        .http
        .put(&url)
        .body(reqwest::Body::wrap_stream(chunks));
    assert_eq!(chunks.send().await.unwrap().status(), 200);
    // The file until the end of the connection, as HTTP has it for answers alone.
    let mut endless = TcpStream::connect(world.files.unwrap()).await.unwrap();
    let request = format!("PUT /u/{}/x HTTP/1.0\r\n\r\n", link.token);
    endless.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    endless.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 411"), "{answer}");
    let seen = link.seen(&world).await;
    assert_eq!(seen["state"], "failed", "{seen}");
    assert!(seen["error"].as_str().unwrap().contains("how long"));
    assert_eq!(on_disk(&world.data.join("files")), 0);
    let sent = world.http.put(&url).body("abc").send().await.unwrap();
    assert_eq!(sent.status(), 201);
    link.becomes(&world, "done").await;
    let empty = world.request(reqwest::Method::POST, "/api/v1/files?name=a");
    let empty = empty.body("").send().await.unwrap();
    assert_eq!(empty.status(), 400);
}

/// `CONFIGURATION_BYTES_MAX`
#[tokio::test]
async fn a_configuration_is_refused_at_a_size_that_none_has() {
    let world = world().await;
    let link = Link::new(&world, None, LIFE).await;
    let length = CONFIGURATION_BYTES_MAX + 1;
    let bytes = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("123"));
    let sent = world.http.put(link.url(&world, "u"));
    let sent = sent.header("content-length", length);
    let sent = sent.body(reqwest::Body::wrap_stream(bytes)).send().await;
    assert!(sent.is_err() || sent.unwrap().status() == 413);
    let failed = link.becomes(&world, "failed").await;
    assert_eq!(failed["bytes"], 0);
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("CONFIGURATION_BYTES_MAX"), "{error}");
}

#[tokio::test]
async fn a_device_behind_a_proxy_of_the_file_service_is_known_by_its_own_address() {
    for (proxies, peer) in [(vec!["127.0.0.1"], "203.0.113.9"), (vec![], "127.0.0.1")] {
        let world = configured(|config| {
            config.files.proxies = proxies.iter().map(|ip| ip.parse().unwrap()).collect();
            // These are in front of other listeners.
            config.usp.proxies = vec!["127.0.0.1".parse().unwrap()];
            config.cwmp.proxies = config.usp.proxies.clone();
        })
        .await;
        let id = file(&world, "fw.bin", "abc").await;
        let link = Link::new(&world, Some(&id), LIFE).await;
        let got = world.http.get(link.url(&world, "f"));
        let got = got.header("x-forwarded-for", "203.0.113.9").send().await;
        let got = got.unwrap();
        assert_eq!(header(&got, "content-length"), "3");
        assert_eq!(got.text().await.unwrap(), "abc");
        assert_eq!(link.becomes(&world, "done").await["peer"], json!(peer));
        world.stop().await;
    }
}
