//! What a device has taken and has not put in force yet: people read so.

use std::collections::BTreeMap;

use cwmp::Method;
use cwmp::value::Value;
use fleet::operation::{OperationState as State, OutcomeState, PathOutcome, Request};
use fleet::southbound::PathValue;

use super::fake::{Asked, gateway, old_gateway};
use super::world::{PERIODIC, World};

const SSID: &str = "Device.WiFi.SSID.1.SSID";
const TABLE: &str = "Device.NAT.PortMapping.";

fn set() -> Request {
    Request::Set {
        values: vec![PathValue::new(SSID, "den")],
        allow_partial: false,
    }
}

fn add() -> Request {
    Request::Add {
        object: TABLE.to_owned(),
        values: BTreeMap::from([("ExternalPort".to_owned(), "8080".to_owned())]),
    }
}

fn delete() -> Request {
    Request::Delete {
        paths: vec![format!("{TABLE}1.")],
        allow_partial: false,
    }
}

#[tokio::test]
async fn the_transcript_of_a_change_says_that_it_is_in_force_after_a_restart() {
    for (request, answer) in [
        (set(), "SetParameterValuesResponse"),
        (add(), "AddObjectResponse"),
        (delete(), "DeleteObjectResponse"),
    ] {
        for waits in [true, false] {
            let (world, asked) = World::known(gateway(), "Device.").await;
            let id = world.ask(request.clone()).await;
            let fake = match waits {
                true => asked.again().needs_restart(),
                false => asked.again(),
            };
            world.session(fake, PERIODIC).await;
            world.ends(id, State::Succeeded).await;
            let transcript = world.store.transcript_list(&world.tenant, id);
            let transcript = transcript.await.unwrap();
            let at = transcript.iter().position(|entry| entry.what == answer);
            let next = &transcript.get(at.expect(answer) + 1);
            let ended = world.store.operation(&world.tenant, id).await.unwrap();
            let outcome = ended.operation.outcome;
            let noted = outcome.paths.iter().any(|path| path.after_restart);
            assert_eq!(noted, waits, "{answer}: {outcome:?}");
            let words = outcome.cause.as_deref() == Some("in force after a restart");
            assert_eq!(words, waits, "{answer}: {outcome:?}");
            let says = next.is_some_and(|next| next.text.contains("in force after a restart"));
            assert_eq!(says, waits, "{answer}: {transcript:?}");
        }
    }
}

/// What a device tells of the mappings of ports and of the name of its WLAN in its next session.
async fn told(world: &World, asked: &Asked) -> Vec<(String, String)> {
    let paths = vec![SSID.to_owned(), TABLE.to_owned()];
    let id = world
        .ask(Request::Get {
            paths,
            max_depth: 0,
        })
        .await;
    world.session(asked.again(), PERIODIC).await;
    let read = world.ends(id, State::Succeeded).await;
    let is_shown = |path: &str| path == SSID || path.ends_with(".ExternalPort");
    let values = read.outcome.after.into_iter();
    let shown = values.filter(|one| is_shown(&one.path));
    shown.map(|one| (one.path, one.value)).collect()
}

#[tokio::test]
async fn what_is_in_force_after_a_restart_reads_as_before_until_then() {
    for (fake, root) in [
        (gateway(), "Device."),
        (old_gateway(), "InternetGatewayDevice."),
    ] {
        let row = "WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.PortMapping.1.";
        let fake = match root {
            "Device." => fake,
            _ => fake
                .with_param(&format!("{root}{row}ExternalPort"), Value::string("80"))
                .with_param(
                    &format!("{root}{row}PortMappingDescription"),
                    Value::string("web"),
                ),
        };
        let (world, asked) = World::known(fake, root).await;
        let before = told(&world, &asked).await;
        assert_eq!(before.len(), 2, "{root} {before:?}");
        let mut changed = Vec::new();
        for request in [set(), add(), delete()] {
            let id = world.ask(request).await;
            let waits = asked.again().needs_restart();
            world.session(waits, PERIODIC).await;
            let ended = world.ends(id, State::Succeeded).await;
            let outcome = ended.outcome;
            let words = Some("in force after a restart");
            assert_eq!(outcome.cause.as_deref(), words, "{root} {outcome:?}");
            let waits = |one: &&PathOutcome| one.after_restart;
            let one = outcome.paths.iter().find(waits).unwrap();
            assert_eq!(one.state, OutcomeState::Accepted, "{root}");
            changed.push(one.path.clone());
            assert_eq!(told(&world, &asked).await, before, "{root} {one:?}");
        }
        asked.start();
        world.session(asked.again(), &[("1 BOOT", "")]).await;
        let wanted = [
            (SSID.to_owned(), "den".to_owned()),
            (format!("{}ExternalPort", changed[1]), "8080".to_owned()),
        ];
        assert_eq!(told(&world, &asked).await, wanted, "{root}");
    }
}

#[tokio::test]
async fn a_row_whose_answer_is_lost_and_that_comes_with_a_restart_is_not_said_to_be_refused() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let before = told(&world, &asked).await;
    let id = world.ask(add()).await;
    let waits = asked.again().needs_restart();
    world
        .session(waits.loses(Method::AddObject), PERIODIC)
        .await;
    world.session(asked.again(), PERIODIC).await;
    let ended = world.ends(id, State::Unconfirmed).await;
    let cause = ended.outcome.cause.unwrap();
    assert!(cause.contains("may come with a restart"), "{cause}");
    assert_eq!(told(&world, &asked).await, before);
    asked.start();
    let after = told(&world, &asked).await;
    assert_eq!(after.len(), before.len() + 1, "{after:?}");
}
