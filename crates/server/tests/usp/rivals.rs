//! Several agents with one endpoint id: who wins, in which order it is told, and that nothing of
//! the loser is left.

use std::time::Duration;

use fleet::Fact;
use fleet::southbound::{Answer, Op};
use mtp::ws::CloseCode;

use crate::admission::give_token;
use crate::puppet::{Puppet, Seen, plain};
use crate::rig::{PATIENCE, each, soon, until};

const EID: &str = "os::00256D-P1";
/// Whoever says nothing for so long may have said all.
const QUIET: Duration = Duration::from_millis(500);

#[tokio::test]
async fn of_many_links_at_once_one_is_left_and_the_store_and_the_domain_agree_on_it() {
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let device = world.device(EID).await;
        let url = world.url(&token);
        let mut first = Puppet::dial(&url, EID, &world.own).await.unwrap();
        let first = tokio::spawn(async move { first.serve(plain).await });
        world.connected().await;
        let mut rivals = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let (url, own) = (url.clone(), world.own.clone());
            rivals.spawn(async move {
                let mut puppet = Puppet::dial(&url, EID, &own).await.unwrap();
                puppet.serve(plain).await
            });
        }
        assert!(matches!(soon(first).await.unwrap(), Seen::Closed(_)));
        // All but one are told that they were replaced.
        for _ in 0..2 {
            let seen = soon(rivals.join_next()).await.unwrap().unwrap();
            let Seen::Closed(code) = seen else {
                panic!("{seen:?}")
            };
            assert_eq!(code, Some(CloseCode::Normal));
        }
        // What the domain hears alternates, and ends with a link.
        let mut linked = true;
        loop {
            // With a link that may be all; without one there is more to come.
            let patience = if linked { QUIET } else { PATIENCE };
            let Ok(said) = tokio::time::timeout(patience, world.facts.recv()).await else {
                break;
            };
            match said.unwrap().2 {
                Fact::Connected { .. } => {
                    assert!(!std::mem::replace(&mut linked, true), "connected twice");
                }
                Fact::Disconnected { .. } => linked = false,
                _ => {}
            }
        }
        assert!(linked, "the last word was that it is gone");
        let get = Op::Get {
            paths: vec!["Device.DeviceInfo.".into()],
            max_depth: 0,
        };
        let answer = world.ask(device, get).await;
        assert!(matches!(answer, Ok(Answer::Values(_))), "{answer:?}");
        // When the last one leaves, the store knows it: no older link has written after it.
        rivals.abort_all();
        until("the store knows that it is gone", || async {
            let record = world.store.device(&world.tenant, device).await.unwrap();
            (!record.device.evidence.linked()).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_agent_with_the_devices_own_token_throws_out_one_with_a_setup_key_and_not_the_reverse() {
    each(|mut world| async move {
        let mut weak = Puppet::dial(&world.url(&world.key), EID, &world.own)
            .await
            .unwrap();
        let weak = tokio::spawn(async move { weak.serve(plain).await });
        world.connected().await;
        let device = world.device(EID).await;
        let token = server::secret::new(server::secret::DEVICE);
        let hash = server::secret::hash(&token);
        let at = server::state::now();
        world
            .store
            .path_set_pending(&world.tenant, device, "websocket", hash, at, vec![])
            .await
            .unwrap();
        let mut strong = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        assert!(matches!(soon(weak).await.unwrap(), Seen::Closed(_)));
        let strong = tokio::spawn(async move { strong.serve(plain).await });
        let refused = Puppet::refused(&world.url(&world.key), EID).await;
        assert_eq!(refused, 403);
        let get = Op::Get {
            paths: vec!["Device.DeviceInfo.".into()],
            max_depth: 0,
        };
        world
            .fact("the strong one is there", |fact| {
                matches!(fact, Fact::Disconnected { .. }).then_some(())
            })
            .await;
        world.connected().await;
        assert!(world.ask(device, get).await.is_ok());
        strong.abort();
    })
    .await;
}
