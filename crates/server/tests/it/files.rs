//! Files over the API and over the links of devices, with the sockets of an outsider.

use crate::world::{World, until, worlds};
use fleet::{Direction, FileId, FileKind, OperationId, TenantId, TransferId, TransferState};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use server::{Config, secret};
use std::path::Path;
use std::time::Duration;
use store::NewTransfer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The SHA-256 of `abc`.
pub const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

pub fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

async fn put(world: &World, query: &str, bytes: impl Into<reqwest::Body>) -> Response {
    let path = format!("/api/v1/files?{query}");
    let request = world.request(Method::POST, &path).body(bytes);
    request.send().await.unwrap()
}

/// A file of the owner; its id.
pub async fn file(world: &World, name: &str, bytes: impl Into<reqwest::Body>) -> String {
    let made = put(world, &format!("name={name}&kind=firmware"), bytes).await;
    let status = made.status();
    let made: Value = made.json().await.unwrap();
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

/// All files below a folder, without those of the database.
pub fn on_disk(folder: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        count += if path.is_dir() { on_disk(&path) } else { 1 };
    }
    count
}

/// A link for a device, as one is made when an operation is sent.
pub struct Link {
    device: String,
    operation: String,
    pub token: String,
}

impl Link {
    pub async fn new(world: &World, file: Option<&str>, life: Duration) -> Link {
        Link::of(&tenant(), world, file, life).await
    }

    /// Of a tenant, whose administrator's token is the owner's.
    pub async fn of(tenant: &TenantId, world: &World, file: Option<&str>, life: Duration) -> Link {
        let device = world
            .device(&format!("proto::{}", uuid::Uuid::new_v4()))
            .await;
        let (path, body) = match file {
            Some(id) => ("downloads", json!({"file_id": id})),
            None => ("uploads", json!({"type": "config"})),
        };
        let path = format!("/api/v1/devices/{device}/{path}");
        let made: Value = world.post(&path, body).await.json().await.unwrap();
        let operation = made["operation"]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{made}"));
        let token = secret::new(secret::FILE);
        let at = server::state::now();
        let size = match file {
            Some(id) => world.read(&format!("/api/v1/files/{id}")).await["size"].as_u64(),
            None => None,
        };
        let new = NewTransfer {
            id: TransferId::new(at, secret::id_bits()),
            device: device.parse().unwrap(),
            operation: operation.parse::<OperationId>().unwrap(),
            direction: match file {
                Some(_) => Direction::Download,
                None => Direction::Upload,
            },
            file: file.map(|id| id.parse::<FileId>().unwrap()),
            name: "a file.bin".to_owned(),
            kind: FileKind::Configuration,
            size,
            token_hash: secret::hash(&token),
            created_at: at,
            expires_at: at.plus(life),
        };
        world.store().transfer_offer(tenant, new).await.unwrap();
        Link {
            device,
            operation: operation.to_owned(),
            token,
        }
    }

    pub fn url(&self, world: &World, way: &str) -> String {
        format!(
            "http://{}/{way}/{}/any-name.bin",
            world.files.unwrap(),
            self.token
        )
    }

    /// What the operation shows of the transfer.
    pub async fn seen(&self, world: &World) -> Value {
        let operation = world
            .read(&format!("/api/v1/operations/{}", self.operation))
            .await;
        operation["transfer"].clone()
    }

    pub async fn becomes(&self, world: &World, state: &str) -> Value {
        until(state, || async { self.seen(world).await["state"] == state }).await;
        self.seen(world).await
    }
}

pub const LIFE: Duration = Duration::from_secs(600);

pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

pub async fn configured(change: impl FnOnce(&mut Config)) -> World {
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, change).await;
    world.populate().await;
    world
}

#[tokio::test]
async fn a_file_is_put_shown_got_described_and_removed() {
    for world in worlds().await {
        let about =
            format!("name=fw.bin&kind=firmware&vendor=Acme&model=M1&version=1&sha256={ABC}");
        let made = put(&world, &about, "abc").await;
        assert_eq!(made.status(), 201);
        let made: Value = made.json().await.unwrap();
        assert_eq!((&made["size"], &made["sha256"]), (&json!(3), &json!(ABC)));
        assert_eq!(made["created_by"], "admin", "{made}");
        let id = made["id"].as_str().unwrap();
        let again: Value = put(&world, &about, "abc").await.json().await.unwrap();
        assert_eq!(again["id"], id, "the same file once more is the same file");
        let wrong = put(&world, &about, "abd").await;
        assert_eq!(wrong.status(), 422);
        let wrong: Value = wrong.json().await.unwrap();
        assert_eq!(wrong["errors"][0]["field"], "sha256");
        for (query, field) in [
            ("name=", "name"),
            ("name=a/b", "name"),
            ("name=a&sha256=1", "sha256"),
        ] {
            let wrong = put(&world, query, "x").await;
            assert_eq!(wrong.status(), 422, "{query}");
            let wrong: Value = wrong.json().await.unwrap();
            assert_eq!(wrong["errors"][0]["field"], field, "{query}");
        }
        assert_eq!(on_disk(&world.data.join("files")), 1);
        let path = format!("/api/v1/files/{id}");
        let content = world.get(&format!("{path}/content")).await;
        assert_eq!(header(&content, "content-length"), "3");
        assert_eq!(header(&content, "etag"), format!("\"{ABC}\""));
        assert_eq!(
            header(&content, "content-disposition"),
            "attachment; filename=\"fw.bin\""
        );
        assert_eq!(content.text().await.unwrap(), "abc");
        let part = world.request(Method::GET, &format!("{path}/content"));
        let part = part.header("range", "bytes=1-").send().await.unwrap();
        assert_eq!(
            (part.status().as_u16(), header(&part, "content-range")),
            (206, "bytes 1-2/3")
        );
        let list = world.read("/api/v1/files?q=ACME&kind=firmware").await;
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
        let changed = world
            .request(Method::PATCH, &path)
            .json(&json!({"version": "2", "vendor": ""}));
        let changed: Value = changed.send().await.unwrap().json().await.unwrap();
        assert_eq!(
            (&changed["version"], &changed["vendor"]),
            (&json!("2"), &Value::Null)
        );
        let removed = world.request(Method::DELETE, &path).send().await.unwrap();
        assert_eq!(removed.status(), 204);
        assert_eq!(on_disk(&world.data.join("files")), 0);
        let log = world.read("/api/v1/events?kind=file.").await;
        assert_eq!(log["items"].as_array().unwrap().len(), 3, "{log}");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_device_fetches_a_part_goes_on_where_it_was_and_both_are_evidence() {
    for world in worlds().await {
        let bytes: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        let id = file(&world, "big.bin", bytes.clone()).await;
        let link = Link::new(&world, Some(&id), LIFE).await;
        assert_eq!(link.seen(&world).await["state"], "waiting");
        let url = link.url(&world, "f");
        let head = world.http.head(&url).send().await.unwrap();
        assert_eq!(header(&head, "content-length"), "1200000");
        assert_eq!(header(&head, "accept-ranges"), "bytes");
        assert_eq!(header(&head, "content-type"), "application/octet-stream");
        let (etag, modified) = (
            header(&head, "etag").to_owned(),
            header(&head, "last-modified").to_owned(),
        );
        assert!(
            etag.len() == 66 && modified.ends_with("GMT"),
            "{etag} {modified}"
        );
        assert_eq!(link.seen(&world).await["bytes"], 0);
        let first = world
            .http
            .get(&url)
            .header("range", "bytes=0-99999")
            .send()
            .await
            .unwrap();
        assert_eq!(first.status(), 206);
        let mut got = first.bytes().await.unwrap().to_vec();
        let partly = link.becomes(&world, "interrupted").await;
        assert_eq!(partly["bytes"], 100_000, "{partly}");
        let rest = world.http.get(&url).header("range", "bytes=100000-");
        let rest = rest
            .header("if-range", &etag)
            .basic_auth("cpe", Some("any"))
            .send()
            .await
            .unwrap();
        assert_eq!(
            header(&rest, "content-range"),
            "bytes 100000-1199999/1200000"
        );
        got.extend(rest.bytes().await.unwrap());
        assert!(got == bytes);
        let done = link.becomes(&world, "done").await;
        assert_eq!(
            (&done["bytes"], &done["requests"]),
            (&json!(1_200_000), &json!(3))
        );
        assert_eq!(done["peer"], "127.0.0.1");
        let list = world
            .read(&format!("/api/v1/devices/{}/transfers", link.device))
            .await;
        assert_eq!(list["items"][0], done);
        let beyond = world
            .http
            .get(&url)
            .header("range", "bytes=1200000-")
            .send()
            .await
            .unwrap();
        assert_eq!(beyond.status(), 416);
        let same = world
            .http
            .get(&url)
            .header("if-none-match", &etag)
            .send()
            .await
            .unwrap();
        assert_eq!(same.status(), 304);
        let timeline = world
            .read(&format!(
                "/api/v1/devices/{}/timeline?kind=transfer.",
                link.device
            ))
            .await;
        let kinds: Vec<_> = timeline["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["kind"].clone())
            .collect();
        assert_eq!(
            kinds,
            ["transfer.finished", "transfer.started"],
            "{timeline}"
        );
        assert!(!timeline.to_string().contains(&link.token));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_the_file_and_the_end_of_the_connection() {
    let world = crate::world::world().await;
    let id = file(&world, "fw.bin", "abc").await;
    let link = Link::new(&world, Some(&id), LIFE).await;
    let mut socket = TcpStream::connect(world.files.unwrap()).await.unwrap();
    let request = format!("GET /f/{}/fw.bin HTTP/1.0\r\n\r\n", link.token);
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(
        answer.contains("content-length: 3\r\n") && answer.ends_with("\r\n\r\nabc"),
        "{answer}"
    );
    assert!(!answer.contains("transfer-encoding"), "{answer}");
    link.becomes(&world, "done").await;
}

#[tokio::test]
async fn a_link_that_is_wrong_over_or_for_something_else_is_not_found_and_says_why_to_people() {
    for world in worlds().await {
        let id = file(&world, "fw.bin", "abc").await;
        let link = Link::new(&world, Some(&id), LIFE).await;
        let get = async |path: &str| {
            let url = format!("http://{}{path}", world.files.unwrap());
            world.http.get(url).send().await.unwrap().status().as_u16()
        };
        let invented = secret::new(secret::FILE);
        for path in ["/f/x/y", "/f/hef_short/y", "/", &format!("/f/{invented}/y")] {
            assert_eq!(get(path).await, 404, "{path}");
        }
        let other_way = world
            .http
            .put(link.url(&world, "u"))
            .body("x")
            .send()
            .await
            .unwrap();
        assert_eq!(other_way.status(), 404);
        assert_eq!(get(&format!("/f/{}", link.token)).await, 200);
        assert_eq!(get(&format!("/f/{}/", link.token)).await, 200);
        let over = Link::new(&world, Some(&id), Duration::ZERO).await;
        assert_eq!(get(&format!("/f/{}/y", over.token)).await, 404);
        let seen = over.seen(&world).await;
        assert_eq!(seen["state"], "expired");
        assert!(
            seen["error"].as_str().unwrap().contains("had ended"),
            "{seen}"
        );
        let stopped = Link::new(&world, Some(&id), LIFE).await;
        let cancel = format!("/api/v1/operations/{}/cancel", stopped.operation);
        assert_eq!(world.post(&cancel, json!({})).await.status(), 200);
        assert_eq!(get(&format!("/f/{}/y", stopped.token)).await, 404);
        // A file with a link that can be used stays.
        let waiting = Link::new(&world, Some(&id), LIFE).await;
        let remove = world.request(Method::DELETE, &format!("/api/v1/files/{id}"));
        assert_eq!(remove.send().await.unwrap().status(), 409);
        assert_eq!(get(&format!("/f/{}/y", waiting.token)).await, 200);
        world.stop().await;
    }
}

#[tokio::test]
async fn who_tries_links_has_to_wait_and_a_good_link_still_works_from_there() {
    let world = crate::world::world().await;
    let id = file(&world, "fw.bin", "abc").await;
    let link = Link::new(&world, Some(&id), LIFE).await;
    let bad = format!("http://{}/f/nonsense", world.files.unwrap());
    let mut waited = String::new();
    for _ in 0..server::files::limits::BAD_LINK_BURST * 2 {
        let answer = world.http.get(&bad).send().await.unwrap();
        if answer.status() == 429 {
            waited = header(&answer, "retry-after").to_owned();
            break;
        }
        assert_eq!(answer.status(), 404);
    }
    assert_eq!(waited, "1");
    let good = world.http.get(link.url(&world, "f")).send().await.unwrap();
    assert_eq!(good.status(), 200);
}

#[tokio::test]
async fn what_a_device_sends_in_either_form_is_a_file_like_others() {
    for world in worlds().await {
        for chunked in [false, true] {
            let link = Link::new(&world, None, LIFE).await;
            let text = format!("the configuration, chunked {chunked}");
            let body = match chunked {
                true => reqwest::Body::wrap_stream(futures_util::stream::iter([
                    Ok::<_, std::io::Error>(text[..5].to_owned()),
                    Ok(text[5..].to_owned()),
                ])),
                false => text.clone().into(),
            };
            let method = if chunked { Method::POST } else { Method::PUT };
            let sent = world.http.request(method, link.url(&world, "u")).body(body);
            assert_eq!(sent.send().await.unwrap().status(), 201);
            let done = link.becomes(&world, "done").await;
            assert_eq!(done["bytes"], text.len(), "{done}");
            let id = done["file_id"].as_str().unwrap();
            let file = world.read(&format!("/api/v1/files/{id}")).await;
            assert_eq!(
                (&file["name"], &file["kind"]),
                (&json!("a file.bin"), &json!("configuration"))
            );
            assert_eq!(
                (&file["device_id"], &file["created_by"]),
                (&json!(link.device), &Value::Null)
            );
            let content = world.get(&format!("/api/v1/files/{id}/content")).await;
            assert_eq!(content.text().await.unwrap(), text);
        }
        let form = Link::new(&world, None, LIFE).await;
        let sent = world.http.post(form.url(&world, "u")).body("--x");
        let sent = sent.header("content-type", "multipart/form-data; boundary=x");
        assert_eq!(sent.send().await.unwrap().status(), 415);
        assert_eq!(form.seen(&world).await["state"], "failed");
        world.stop().await;
    }
}

#[tokio::test]
async fn more_than_a_file_a_tenant_or_the_disk_may_have_is_refused_and_leaves_nothing() {
    let world = configured(|config| {
        (config.files.file_bytes_max, config.files.tenant_bytes_max) = (10, 15);
    })
    .await;
    let endless = || {
        let bytes = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("123"));
        reqwest::Body::wrap_stream(bytes)
    };
    assert_eq!(put(&world, "name=a", "12345678901").await.status(), 413);
    assert_eq!(put(&world, "name=a", endless()).await.status(), 413);
    file(&world, "a", "1234567890").await;
    let full = put(&world, "name=b", "abcdef").await;
    assert_eq!(full.status(), 409);
    let full: Value = full.json().await.unwrap();
    assert!(
        full["detail"]
            .as_str()
            .unwrap()
            .contains("room for 5 bytes"),
        "{full}"
    );
    let link = Link::new(&world, None, LIFE).await;
    let sent = world
        .http
        .put(link.url(&world, "u"))
        .body("abcdef")
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 507);
    let seen = link.becomes(&world, "failed").await;
    assert!(
        seen["error"].as_str().unwrap().contains("tenant_bytes_max"),
        "{seen}"
    );
    let large = world
        .http
        .put(link.url(&world, "u"))
        .body(endless())
        .send()
        .await;
    assert!(large.is_err() || large.unwrap().status().as_u16() >= 413);
    assert_eq!(on_disk(&world.data.join("files")), 1);
    // There is room again: the device may send once more.
    let sent = world
        .http
        .put(link.url(&world, "u"))
        .body("abc")
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 201);
    link.becomes(&world, "done").await;
    world.stop().await;
    let world = configured(|config| config.files.free_bytes_min = u64::MAX / 2).await;
    assert_eq!(put(&world, "name=a", "1").await.status(), 503);
    let link = Link::new(&world, None, LIFE).await;
    let sent = world
        .http
        .put(link.url(&world, "u"))
        .body("1")
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 507);
    assert_eq!(on_disk(&world.data.join("files")), 0);
}

#[tokio::test]
async fn a_device_for_which_there_is_no_room_is_asked_to_come_again() {
    let world = configured(|config| config.files.transfers_max = 1).await;
    let link = Link::new(&world, None, LIFE).await;
    let mut slow = TcpStream::connect(world.files.unwrap()).await.unwrap();
    let begin = format!(
        "PUT /u/{}/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome",
        link.token
    );
    slow.write_all(begin.as_bytes()).await.unwrap();
    link.becomes(&world, "running").await;
    let id = file(&world, "fw.bin", "abc").await;
    let other = Link::new(&world, Some(&id), LIFE).await;
    let busy = world.http.get(other.url(&world, "f")).send().await.unwrap();
    assert_eq!(
        (busy.status().as_u16(), header(&busy, "retry-after")),
        (503, "30")
    );
    assert_eq!(other.seen(&world).await["state"], "waiting");
    drop(slow);
    let broken = link.becomes(&world, "interrupted").await;
    assert!(
        broken["error"].as_str().unwrap().contains("after 4"),
        "{broken}"
    );
    let files = world.data.join("files");
    until("nothing is left", || async { on_disk(&files) == 1 }).await;
    let now = world.http.get(other.url(&world, "f")).send().await.unwrap();
    assert_eq!(now.text().await.unwrap(), "abc");
    let log = world.read("/api/v1/files").await;
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_devices_fetch_and_send_at_one_time() {
    let world = crate::world::world().await;
    let bytes: Vec<u8> = (0..100_000u32).flat_map(u32::to_be_bytes).collect();
    let id = file(&world, "big.bin", bytes.clone()).await;
    let mut links = Vec::new();
    for n in 0..20 {
        links.push(Link::new(&world, (n % 2 == 0).then_some(id.as_str()), LIFE).await);
    }
    let each = links.iter().enumerate().map(|(n, link)| {
        let (world, bytes) = (&world, &bytes);
        async move {
            if n % 2 == 0 {
                let got = world.http.get(link.url(world, "f")).send().await.unwrap();
                assert!(got.bytes().await.unwrap() == bytes);
            } else {
                let sent = world.http.put(link.url(world, "u")).body(bytes.clone());
                assert_eq!(sent.send().await.unwrap().status(), 201);
            }
            link.becomes(world, "done").await;
        }
    });
    futures_util::future::join_all(each).await;
    // Equal contents lie there once.
    assert_eq!(on_disk(&world.data.join("files")), 1);
}

#[tokio::test]
async fn a_transfer_that_ended_with_its_server_is_not_called_running() {
    let world = crate::world::world().await;
    let id = file(&world, "fw.bin", "abc").await;
    let link = Link::new(&world, Some(&id), LIFE).await;
    let device = link.device.parse().unwrap();
    let found = world
        .store()
        .transfer_list(&tenant(), device, None, 1)
        .await
        .unwrap();
    let step = |ago| store::TransferStep {
        state: TransferState::Running,
        went: (0, 1),
        peer: None,
        error: None,
        at: server::state::now().minus(ago),
    };
    let (id, tenant) = (found[0].id, tenant());
    let go = async |ago| {
        let stepped = world
            .store()
            .transfer_step(&tenant, id, step(ago), |_, _| vec![]);
        stepped.await.unwrap();
        link.seen(&world).await["state"].clone()
    };
    assert_eq!(go(Duration::ZERO).await, "running");
    // Before this server was started, and no other has the database.
    let before = server::files::limits::PROGRESS_LOST_AFTER / 2;
    assert_eq!(go(before).await, "interrupted");
    assert_eq!(go(Duration::ZERO).await, "running");
    let long = server::files::limits::PROGRESS_LOST_AFTER * 2;
    assert_eq!(go(long).await, "interrupted");
}
