//! Commands whose way to the server breaks: nothing is lost, nothing done twice, and nothing said that is not so.

use crate::cli::Cli;
use crate::proxy::{Proxy, Way, header};
use crate::rig::{SOON, Server, until};
use std::process::Stdio;

/// What the server says to a request whose like is not answered yet.
const UNDER_WAY: &str = "HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\n\
    connection: close\r\n\r\n\
    {\"type\": \"urn:headend:problem:idempotency-in-progress\", \"title\": \"\", \"detail\": \"\", \"status\": 409}";

/// What a proxy says for a server it does not reach.
const AWAY: [&str; 3] = [
    "HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n<h1>Bad Gateway</h1>",
    "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n",
    "HTTP/1.1 504 Gateway Timeout\r\nconnection: close\r\n\r\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_event_while_the_stream_is_broken_is_printed_even_if_none_was_before() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    let other = Cli::administrator(&server);
    let mut broken = false;
    let proxy = Proxy::start(&server.api.base, move |head| {
        if broken || !head.starts_with("GET /api/v1/events/stream") {
            return Way::Open;
        }
        broken = true;
        other.done(&["device", "register", "os::00256D-9", "--label", "missed"]);
        Way::Cut
    })
    .await;
    let words = ["events", "tail", "--count", "1", "--kind", "device."];
    let mut tail = cli
        .command(&words)
        .args(["--url", &proxy.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ended = until("the event to be printed", SOON, async || {
        tail.try_wait().unwrap()
    });
    assert!(ended.await.success());
    let said = tail.wait_with_output().unwrap().stdout;
    assert!(String::from_utf8(said).unwrap().contains("missed"));
    let streams = proxy.heads("GET /api/v1/events/stream");
    assert_eq!(streams.len(), 2);
    let from: Vec<_> = streams
        .iter()
        .map(|head| header(head, "last-event-id"))
        .collect();
    assert!(from[0].is_some() && from[0] == from[1], "{from:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_whose_answers_are_lost_is_asked_for_once_and_told_by_its_id() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    cli.done(&["device", "register", "os::00256D-8", "--label", "late"]);
    let mut posts = 0;
    let proxy = Proxy::start(&server.api.base, move |head| {
        posts += u32::from(head.starts_with("POST "));
        match head.split(' ').nth(1).unwrap() {
            _ if head.starts_with("POST ") && posts == 1 => Way::Lost,
            path if path.starts_with("/api/v1/operations/") => Way::Lost,
            _ => Way::Open,
        }
    })
    .await;
    let said = cli.run(&[
        "device",
        "get",
        "late",
        "Device.DeviceInfo.",
        "--wait",
        "1",
        "--json",
        "--url",
        &proxy.url,
    ]);
    assert_eq!(said.code, 7, "{}", said.err);
    let operation = said.json();
    let id = operation["id"].as_str().unwrap();
    assert!(
        said.problem()["detail"].as_str().unwrap().contains(id),
        "{}",
        said.err
    );
    let posts = proxy.heads("POST ");
    let keys: Vec<_> = posts
        .iter()
        .map(|head| header(head, "idempotency-key").unwrap())
        .collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    assert!(
        !proxy
            .heads(&format!("GET /api/v1/operations/{id}"))
            .is_empty()
    );
    let all = cli.done_json(&["operation", "list"]);
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_answer_is_lost_is_made_once_and_the_doubt_is_told() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    for (way, name) in [(Way::Lost, "lost"), (Way::Cut, "cut")] {
        let proxy = Proxy::start(&server.api.base, move |head| {
            match head.starts_with("POST ") {
                true => way,
                false => Way::Open,
            }
        })
        .await;
        let said = cli.fails(3, &["token", "create", name, "--url", &proxy.url]);
        assert!(said.contains("not known whether this was done"), "{said}");
        assert_eq!(proxy.heads("POST ").len(), 1);
        let tokens = cli.done_json(&["token", "list", "--all"]);
        let tokens = tokens["items"].as_array().unwrap().iter();
        assert_eq!(tokens.filter(|token| token["name"] == name).count(), 1);
    }
    // What was never sent is in no doubt.
    let nowhere = ["user", "create", "vera", "--role", "viewer", "--url"];
    let said = cli.fails(3, &[&nowhere[..], &["http://127.0.0.1:1"]].concat());
    assert!(said.contains("does not answer"), "{said}");
    assert!(!said.contains("not known"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_whose_first_request_is_still_under_way_is_asked_for_again() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    cli.done(&["device", "register", "os::00256D-8", "--label", "late"]);
    let mut posts = 0;
    let proxy = Proxy::start(&server.api.base, move |head| {
        posts += u32::from(head.starts_with("POST "));
        match (head.starts_with("POST "), posts) {
            (true, 1) => Way::Says(UNDER_WAY),
            _ => Way::Open,
        }
    })
    .await;
    let get = ["device", "get", "late", "Device.", "--no-wait", "--url"];
    cli.done(&[&get[..], &[&proxy.url]].concat());
    let posts = proxy.heads("POST ");
    let keys: Vec<_> = posts
        .iter()
        .map(|head| header(head, "idempotency-key").unwrap())
        .collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_waited_for_while_a_proxy_says_that_its_server_is_away() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    cli.done(&["device", "register", "os::00256D-8", "--label", "late"]);
    let mut asked = 0;
    let proxy = Proxy::start(&server.api.base, move |head| {
        asked += usize::from(head.starts_with("GET /api/v1/operations/"));
        match head.starts_with("GET /api/v1/operations/") {
            true => Way::Says(AWAY[(asked - 1) % AWAY.len()]),
            false => Way::Open,
        }
    })
    .await;
    let get = ["device", "get", "late", "Device.", "--wait", "2", "--url"];
    let said = cli.fails(7, &[&get[..], &[&proxy.url]].concat());
    assert!(said.contains("It goes on"), "{said}");
    let asked = proxy.heads("GET /api/v1/operations/").len();
    assert!(asked >= AWAY.len(), "{asked}");
    // Where nothing is waited for, it is a server that cannot be reached.
    let show = ["operation", "show", "00000000-0000-0000-0000-000000000000"];
    let said = cli.fails(3, &[&show[..], &["--url", &proxy.url]].concat());
    assert!(said.contains("the server is away"), "{said}");
}
