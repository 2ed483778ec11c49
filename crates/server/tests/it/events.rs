//! The live stream and the log: nothing is missed, nothing comes twice.

use crate::world::{PASSWORD, World, world, worlds};
use futures_util::StreamExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::time::Duration;

/// Reads server-sent events off a response.
struct Events {
    body: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

impl Events {
    fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.bytes_stream().boxed(),
            text: String::new(),
        }
    }

    /// The next message's fields; `None` at the end.
    async fn next(&mut self) -> Option<Vec<(String, String)>> {
        loop {
            if let Some((one, rest)) = self.text.split_once("\n\n") {
                let fields = one
                    .lines()
                    .filter_map(|line| line.split_once(": "))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect::<Vec<_>>();
                self.text = rest.to_owned();
                if fields.iter().any(|(name, _)| name == "data") {
                    return Some(fields);
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.body.next());
            let chunk = chunk.await.expect("a message in time")?.ok()?;
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// The cursor of the next event.
    async fn cursor(&mut self) -> u64 {
        let fields = self.next().await.unwrap();
        let id = fields.iter().find(|(name, _)| name == "id").unwrap();
        id.1.parse().unwrap()
    }
}

async fn open(world: &World, query: &str, last: Option<u64>) -> Events {
    let mut request = world.request(Method::GET, &format!("/api/v1/events/stream{query}"));
    if let Some(last) = last {
        request = request.header("last-event-id", last.to_string());
    }
    Events::of(request.send().await.unwrap())
}

async fn happen(world: &World, from: u32, to: u32) {
    for number in from..to {
        let body = json!({"name": format!("key {number}")});
        assert_eq!(world.post("/api/v1/setup-keys", body).await.status(), 201);
    }
}

#[tokio::test]
async fn a_stream_that_is_resumed_misses_nothing_and_repeats_nothing() {
    for world in worlds().await {
        let mut stream = open(&world, "?kind=setup_key.", None).await;
        happen(&world, 0, 5).await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(stream.cursor().await);
        }
        drop(stream);
        // What happens while nobody listens, and while somebody comes back.
        happen(&world, 5, 8).await;
        let (mut stream, ()) = tokio::join!(
            open(&world, "?kind=setup_key.", seen.last().copied()),
            happen(&world, 8, 12)
        );
        while seen.len() < 12 {
            seen.push(stream.cursor().await);
        }
        let log = world.read("/api/v1/events?kind=setup_key.&limit=500").await;
        let log: Vec<u64> = log["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["cursor"].as_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(seen, log);
        drop(stream);
        world.stop().await;
    }
}

#[tokio::test]
async fn the_log_is_read_page_by_page_to_its_head() {
    for world in worlds().await {
        happen(&world, 0, 9).await;
        let mut after = String::new();
        let mut seen = Vec::new();
        loop {
            let page = world.read(&format!("/api/v1/events?limit=4{after}")).await;
            seen.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| one["cursor"].clone()),
            );
            if page["next"] == page["head"] {
                break;
            }
            after = format!("&after={}", page["next"].as_str().unwrap());
        }
        let want: Vec<Value> = (1..=seen.len()).map(|one| json!(one.to_string())).collect();
        assert_eq!(seen, want, "the log has no gaps");
        assert!(seen.len() >= 9);
    }
}

#[tokio::test]
async fn the_log_is_read_backwards_to_its_beginning() {
    for world in worlds().await {
        happen(&world, 0, 6).await;
        let (mut before, mut seen) = (String::new(), Vec::new());
        loop {
            let page = world
                .read(&format!("/api/v1/events?order=desc&limit=4{before}"))
                .await;
            seen.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| one["cursor"].clone()),
            );
            match page["next"].as_str().unwrap() {
                "" => break,
                next => before = format!("&before={next}"),
            }
        }
        let want: Vec<Value> = (1..=seen.len())
            .rev()
            .map(|one| json!(one.to_string()))
            .collect();
        assert_eq!(seen, want);
        assert!(seen.len() >= 6);
        for wrong in ["order=desc&after=1", "before=3"] {
            assert_eq!(
                world.get(&format!("/api/v1/events?{wrong}")).await.status(),
                400
            );
        }
    }
}

#[tokio::test]
async fn a_stream_says_why_it_ends_when_the_server_stops() {
    let world = world().await;
    let mut stream = open(&world, "", None).await;
    world.stop().await;
    let last = stream.next().await.unwrap();
    assert!(
        last.contains(&("event".to_owned(), "end".to_owned())),
        "{last:?}"
    );
    assert!(last.contains(&("data".to_owned(), "stopping".to_owned())));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn streams_of_one_caller_are_limited_and_freed() {
    let world = world().await;
    let mut open_streams = Vec::new();
    for _ in 0..server::limits::STREAMS_PER_CALLER_MAX {
        open_streams.push(open(&world, "", None).await);
    }
    let refused = world.get("/api/v1/events/stream").await;
    assert_eq!(refused.status(), 409);
    let problem: Value = refused.json().await.unwrap();
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("streams_per_caller_max")
    );
    // Another caller is not concerned.
    let (_, cookie) = world.sign_in("admin", PASSWORD).await;
    let other = world
        .http
        .get(format!("{}/api/v1/events/stream?tenant=other", world.url))
        .header("cookie", cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), 200);
    open_streams.clear();
    crate::world::until("a seat is free again", || async {
        world.get("/api/v1/events/stream").await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn a_cursor_that_the_log_never_gave_out_is_gone_and_one_at_its_end_is_not() {
    for world in worlds().await {
        let device = world.device("proto::cursor").await;
        let log = world.read("/api/v1/events?limit=500").await;
        let head: u64 = log["head"].as_str().unwrap().parse().unwrap();
        let stream = "/api/v1/events/stream".to_owned();
        let timeline = format!("/api/v1/devices/{device}/timeline");
        let (list, back) = ("/api/v1/events", "/api/v1/events?order=desc&before=");
        let at = |cursor: u64| {
            [
                format!("{list}?after={cursor}"),
                format!("{stream}?after={cursor}"),
                format!("{back}{}", cursor + 1),
                format!("{timeline}?cursor={}", cursor + 1),
            ]
        };
        for path in at(head) {
            assert_eq!(world.get(&path).await.status(), 200, "{path}");
        }
        for path in at(head + 1_000) {
            let gone = world.get(&path).await;
            assert_eq!(gone.status(), 410, "{path}");
            let problem: Value = gone.json().await.unwrap();
            assert_eq!(problem["type"], "urn:headend:problem:cursor-expired");
        }
        let resume = |last: &str| {
            let request = world.request(Method::GET, &stream);
            request.header("Last-Event-ID", last).send()
        };
        assert_eq!(resume(&head.to_string()).await.unwrap().status(), 200);
        assert_eq!(resume(&(head + 9).to_string()).await.unwrap().status(), 410);
        let wrong = resume("seven").await.unwrap();
        assert_eq!(wrong.status(), 400);
        let problem: Value = wrong.json().await.unwrap();
        assert_eq!(problem["errors"][0]["field"], "Last-Event-ID");
        assert_eq!(problem["errors"][0]["location"], "header");
    }
}

#[tokio::test]
async fn what_is_no_longer_kept_is_gone_for_readers_and_streams() {
    for world in worlds().await {
        happen(&world, 0, 5).await;
        let tenant = fleet::TenantId::parse("default").unwrap();
        let far = fleet::Timestamp(i64::MAX);
        let removed = world.store().event_purge(&tenant, far).await.unwrap();
        assert!(removed >= 5);
        happen(&world, 5, 7).await;
        for path in ["/api/v1/events?after=1", "/api/v1/events/stream?after=1"] {
            assert_eq!(world.get(path).await.status(), 410, "{path}");
        }
        // Without a cursor the log begins where it is still kept.
        let log = world.read("/api/v1/events").await;
        assert_eq!(log["items"][0]["cursor"], (removed + 1).to_string());
        let mut resumed = open(&world, "", Some(removed)).await;
        assert_eq!(resumed.cursor().await, removed + 1);
    }
}

#[tokio::test]
async fn a_slow_reader_of_the_stream_holds_nobody_up_and_misses_nothing() {
    let world = world().await;
    let mut slow = open(&world, "?kind=device.", None).await;
    let tenant = fleet::TenantId::parse("default").unwrap();
    let big = || {
        fleet::Event::new(
            tenant.clone(),
            fleet::Timestamp(1),
            fleet::EventKind::DevicePeriodic,
        )
        .data(json!({"filling": "x".repeat(100_000)}))
    };
    // More than sockets and buffers hold.
    let mut head = 0;
    for _ in 0..20 {
        let events = (0..20).map(|_| big()).collect();
        head = world.store().event_append(&tenant, events).await.unwrap();
    }
    let mut quick = open(&world, "", Some(head - 1)).await;
    assert_eq!(quick.cursor().await, head);
    let mut last = None;
    for _ in 0..400 {
        let cursor = slow.cursor().await;
        assert!(last.is_none_or(|last| cursor == last + 1));
        last = Some(cursor);
    }
    assert_eq!(last, Some(head));
}

#[tokio::test]
async fn a_stream_ends_at_once_when_its_token_does() {
    let world = world().await;
    let (_, cookie) = world.sign_in("admin", PASSWORD).await;
    let token = world.token(&cookie, vec!["event:read".into()]).await;
    let opened = world
        .http
        .get(format!("{}/api/v1/events/stream?kind=user.", world.url))
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    let mut stream = Events::of(opened);
    let tokens = world.read("/api/v1/tokens").await;
    let listed = tokens["items"].as_array().unwrap();
    let listed = listed.iter().find(|one| one["hint"] == token[..8]).unwrap();
    let path = format!("/api/v1/tokens/{}", listed["id"].as_str().unwrap());
    let started = std::time::Instant::now();
    let revoked = world.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(revoked.status(), 204);
    let last = stream.next().await.unwrap();
    assert!(
        last.contains(&("data".to_owned(), "signed-out".to_owned())),
        "{last:?}"
    );
    assert!(started.elapsed() < server::limits::STREAM_HEARTBEAT);
}

#[tokio::test]
async fn one_event_is_shown_by_its_place_in_the_log_as_the_list_shows_it() {
    for world in worlds().await {
        happen(&world, 0, 2).await;
        let log = world.read("/api/v1/events?kind=setup_key.").await;
        for event in log["items"].as_array().unwrap() {
            let cursor = event["cursor"].as_str().unwrap();
            let shown = world.read(&format!("/api/v1/events/{cursor}")).await;
            assert_eq!(shown, *event);
        }
        let status = async |cursor: &str| {
            let path = format!("/api/v1/events/{cursor}");
            let answer = world.request(Method::GET, &path).send().await.unwrap();
            answer.status().as_u16()
        };
        for beyond in ["0", "999999999", "18446744073709551615"] {
            assert_eq!(status(beyond).await, 404, "{beyond}");
        }
        for nothing in ["x", "-1", "1.5"] {
            assert_eq!(status(nothing).await, 400, "{nothing}");
        }
    }
}
