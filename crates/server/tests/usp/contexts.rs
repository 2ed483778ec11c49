//! Session contexts, end to end: a real agent that insists on them, and devices that break them.

use agent::{ControllerConfig, MemoryStorage};
use fleet::southbound::{Answer, Failure, Op};
use server::config::SessionMode;
use usp::context::Mode;
use usp::record::SessionContextRecord;
use usp::{Record, Version};

use crate::admission::give_token;
use crate::puppet::{Puppet, Seen, eid, plain};
use crate::rig::{PATIENCE, Real, World, each};

const EID: &str = "os::00256D-P1";
const SESSION: &str = "Device.LocalAgent.Controller.1.E2ESession.";

/// A device with this mode, cutting messages at 600 bytes, when it has been onboarded.
async fn agent(world: &World, mode: &str) -> Real {
    let controller = ControllerConfig {
        endpoint_id: world.own.clone(),
        url: world.url(&world.key),
        retry_min_wait: 1,
        session_mode: mode.into(),
        record_bytes_max: 600,
        ..ControllerConfig::default()
    };
    let configure = |config: &mut agent::AgentConfig| config.controllers = vec![controller];
    Real::run("CTX1", MemoryStorage::new(), configure).0
}

async fn read(world: &mut World, endpoint: &str, name: &str) -> String {
    let device = world.device(endpoint).await;
    let get = || Op::Get {
        paths: vec![format!("{SESSION}{name}")],
        max_depth: 0,
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match world.ask(device, get()).await {
            Ok(Answer::Values(values)) => {
                return values[0].result.as_ref().unwrap()[0].value.clone();
            }
            // It is about to come back with its own credential.
            Err(Failure::Unsent { .. } | Failure::Lost { .. }) => {
                assert!(tokio::time::Instant::now() < deadline, "it stays away");
                tokio::task::yield_now().await;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// R-MSG.0a, R-E2E.4: everything of a device's life goes through the context that it opens, in pieces.
#[tokio::test]
async fn an_agent_that_requires_session_contexts_is_managed_through_one() {
    each(|mut world| async move {
        let real = agent(&world, "Require").await;
        let endpoint = real.endpoint.clone();
        world.onboarded(&endpoint).await;
        assert_eq!(read(&mut world, &endpoint, "Status").await, "Up");
        assert_eq!(read(&mut world, &endpoint, "SessionMode").await, "Require");
        assert_eq!(read(&mut world, &endpoint, "MaxUSPRecordSize").await, "600");
        assert!(world.reasons().await.is_empty());
        real.stop().await;
    })
    .await;
}

/// A server that requires them opens one with an agent that allows them.
#[tokio::test]
async fn a_server_that_requires_session_contexts_opens_them() {
    for db in store::testing::databases().await.unwrap() {
        let mut world = World::with(db, |config, _| {
            config.usp.session_context.mode = SessionMode::Require;
            config.usp.session_context.record_bytes_max = 512;
        })
        .await;
        let real = agent(&world, "Allow").await;
        let endpoint = real.endpoint.clone();
        world.onboarded(&endpoint).await;
        assert_eq!(read(&mut world, &endpoint, "Status").await, "Up");
        real.stop().await;
    }
}

/// R-E2E.6a
#[tokio::test]
async fn an_agent_that_forbids_what_the_server_requires_is_named() {
    for db in store::testing::databases().await.unwrap() {
        let world = World::with(db, |config, _| {
            config.usp.session_context.mode = SessionMode::Require;
        })
        .await;
        let real = agent(&world, "Forbid").await;
        world.refused("session-context-refused").await;
        real.stop().await;
    }
}

/// R-E2E.24: what breaks a context is named, and the device can still be asked.
#[tokio::test]
async fn a_device_that_breaks_its_session_context_is_named() {
    each(|world| async move {
        let token = give_token(&world, EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let broken = SessionContextRecord {
            session_id: 1,
            sequence_id: 1,
            expected_id: 1,
            ..SessionContextRecord::default()
        };
        let record = Record::new(Version::V1_4, &eid(EID), &eid(&world.own), broken);
        let contexts = usp::context::Config {
            mode: Mode::Allow,
            ..usp::context::Config::default()
        };
        puppet.session.set_contexts(contexts.into());
        puppet.send_raw(usp::codec::encode_record(&record)).await;
        let busy = tokio::spawn(async move {
            let seen = puppet.serve(plain).await;
            assert!(!matches!(seen, Seen::Closed(_)), "{seen:?}");
        });
        world.refused("session-context-failed").await;
        busy.abort();
    })
    .await;
}
