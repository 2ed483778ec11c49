//! Commands whose way to the server breaks: nothing is lost, nothing done twice, and nothing said that is not so.

use crate::cli::Cli;
use crate::proxy::{Proxy, Way, header};
use crate::rig::{SOON, Server, until};
use std::process::Stdio;

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
