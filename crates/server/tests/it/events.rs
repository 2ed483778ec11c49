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
