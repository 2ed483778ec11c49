//! Who is let in, who is not, and that the doctor hears of it.

use fleet::SetupKeyId;
use server::{secret, state::now};
use std::time::Duration;

use crate::puppet::{Puppet, Seen, plain};
use crate::rig::{Real, add_key, each, soon, until};

const EID: &str = "os::00256D-P1";

#[tokio::test]
async fn an_unknown_key_is_refused_with_401_and_remembered() {
    each(|world| async move {
        let url = world.url(&secret::new(secret::SETUP_KEY));
        assert_eq!(Puppet::refused(&url, EID).await, 401);
        assert_eq!(Puppet::refused(&world.url("no-key-at-all"), EID).await, 401);
        assert_eq!(
            Puppet::refused(&world.url(&secret::new(secret::DEVICE)), EID).await,
            401
        );
        world.refused("unknown_credential").await;
    })
    .await;
}

#[tokio::test]
async fn a_revoked_key_opens_nothing() {
    each(|world| async move {
        world
            .store
            .setup_key_revoke(&world.tenant, world.key_id, now(), vec![])
            .await
            .unwrap();
        assert_eq!(Puppet::refused(&world.url(&world.key), EID).await, 401);
        world.refused("setup_key_unusable").await;
    })
    .await;
}

#[tokio::test]
async fn a_used_up_key_still_serves_the_devices_it_let_in() {
    each(|world| async move {
        let id = SetupKeyId::new(now(), secret::id_bits());
        let key = add_key(&world.store, &world.tenant, id, Some(1)).await;
        for _ in 0..2 {
            let puppet = Puppet::dial(&world.url(&key), EID, &world.own)
                .await
                .unwrap();
            world.device(EID).await;
            drop(puppet);
        }
        assert_eq!(
            Puppet::refused(&world.url(&key), "os::00256D-P2").await,
            401
        );
        let uses = world.store.setup_key(&world.tenant, id).await.unwrap().uses;
        assert_eq!(uses, 1);
    })
    .await;
}

#[tokio::test]
async fn a_setup_key_does_not_open_a_device_with_its_own_token_until_it_is_readmitted() {
    each(|world| async move {
        let agent = Real::dial("S1", &world.own, &world.url(&world.key));
        let endpoint = agent.endpoint.clone();
        let device = world.onboarded(&endpoint).await.device.id;
        let store = &world.store;
        until("it has its own token", || async {
            let path = store
                .path(&world.tenant, device, "websocket")
                .await
                .unwrap()
                .unwrap();
            path.has_current.then_some(())
        })
        .await;
        agent.stop().await;
        // A factory reset: it has forgotten its token.
        assert_eq!(
            Puppet::refused(&world.url(&world.key), &endpoint).await,
            403
        );
        world.refused("readmit_needed").await;
        let until_then = Some(now().plus(Duration::from_secs(60)));
        store
            .path_readmit(&world.tenant, device, until_then, vec![])
            .await
            .unwrap();
        let reset = Real::dial("S1", &world.own, &world.url(&world.key));
        until("it is let in and gets a new token", || async {
            let path = store
                .path(&world.tenant, device, "websocket")
                .await
                .unwrap()
                .unwrap();
            (path.readmit_until.is_none() && path.authenticated_by == "device_token").then_some(())
        })
        .await;
        reset.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_device_that_was_registered_with_a_token_is_not_taken_with_a_setup_key() {
    each(|world| async move {
        let device = crate::rig::registered(&world, EID).await;
        let token = secret::new(secret::DEVICE);
        let (store, tenant) = (&world.store, &world.tenant);
        let hash = secret::hash(&token);
        let pending = store.path_set_pending(tenant, device, "websocket", hash, now(), vec![]);
        pending.await.unwrap();
        assert_eq!(Puppet::refused(&world.url(&world.key), EID).await, 403);
        world.refused("token_expected").await;
        // An operator may allow it; without that, the token is the way.
        let url = world.url(&token);
        assert!(Puppet::dial(&url, EID, &world.own).await.is_ok());
        until("the token is the current one", || async {
            let path = store.path(tenant, device, "websocket").await.unwrap();
            path.unwrap().has_current.then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_operator_may_let_a_registered_device_in_with_a_setup_key_after_all() {
    each(|world| async move {
        let device = crate::rig::registered(&world, EID).await;
        let (store, tenant) = (&world.store, &world.tenant);
        let hash = secret::hash("lost");
        let pending = store.path_set_pending(tenant, device, "websocket", hash, now(), vec![]);
        pending.await.unwrap();
        let soon = Some(now().plus(Duration::from_secs(60)));
        let readmit = store.path_readmit(tenant, device, soon, vec![]);
        readmit.await.unwrap();
        let url = world.url(&world.key);
        let puppet = Puppet::dial(&url, EID, &world.own).await.unwrap();
        until("it is this device", || async {
            let path = store.path(tenant, device, "websocket").await.unwrap();
            (path.unwrap().authenticated_by == "setup_key").then_some(())
        })
        .await;
        drop(puppet);
    })
    .await;
}

#[tokio::test]
async fn a_token_of_another_device_is_refused() {
    each(|world| async move {
        let token = give_token(&world, EID).await;
        assert_eq!(
            Puppet::refused(&world.url(&token), "os::00256D-P2").await,
            403
        );
        world.refused("endpoint_mismatch").await;
    })
    .await;
}

/// A credential says whose device it is, and the endpoint id which: of that tenant.
#[tokio::test]
async fn a_credential_of_one_tenant_opens_no_device_of_another_with_the_same_endpoint_id() {
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let url = world.url(&token);
        let mut victim = Puppet::dial(&url, EID, &world.own).await.unwrap();
        let seen = tokio::spawn(async move { victim.serve(plain).await });
        world.connected().await;
        let device = world.device(EID).await;
        let other = world.other_tenant().await;
        let id = SetupKeyId::new(now(), secret::id_bits());
        let key = add_key(&world.store, &other, id, None).await;
        let mut theirs = Puppet::dial(&world.url(&key), EID, &world.own)
            .await
            .unwrap();
        let busy = tokio::spawn(async move { theirs.serve(plain).await });
        let identity = fleet::Identity::endpoint(EID);
        let another = until("it is a device of its own tenant", || async {
            let found = world.store.device_by_identity(&other, &identity).await;
            found.unwrap()
        })
        .await;
        assert_ne!(another, device);
        // The first one is where it was.
        assert!(!seen.is_finished());
        let path = world.store.path(&world.tenant, device, "websocket").await;
        let path = path.unwrap().unwrap();
        assert!(path.connected_at > path.disconnected_at);
        busy.abort();
    })
    .await;
}

#[tokio::test]
async fn a_superseded_token_is_refused_by_its_name() {
    each(|world| async move {
        let old = give_token(&world, EID).await;
        let _new = give_token(&world, EID).await;
        assert_eq!(Puppet::refused(&world.url(&old), EID).await, 401);
        world.refused("token_superseded").await;
    })
    .await;
}

#[tokio::test]
async fn of_two_agents_with_one_endpoint_id_the_newer_wins_until_it_gets_silly() {
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let url = world.url(&token);
        let mut first = Puppet::dial(&url, EID, &world.own).await.unwrap();
        let seen = tokio::spawn(async move { first.serve(plain).await });
        world.connected().await;
        let mut second = Puppet::dial(&url, EID, &world.own).await.unwrap();
        assert!(matches!(soon(seen).await.unwrap(), Seen::Closed(_)));
        let seen = tokio::spawn(async move { second.serve(plain).await });
        // The domain hears of the end of the old link before it hears of the new one.
        world
            .fact("the old link is over", |fact| match fact {
                fleet::Fact::Disconnected { reason, .. } => {
                    assert!(reason.contains("took over"), "{reason}");
                    Some(())
                }
                fleet::Fact::Connected { .. } => panic!("the new link came first"),
                _ => None,
            })
            .await;
        world
            .fact("connected again", |fact| match fact {
                fleet::Fact::Connected { .. } => Some(()),
                fleet::Fact::Disconnected { reason, .. } => panic!("it was not gone: {reason}"),
                _ => None,
            })
            .await;
        // The setup key is weaker than the token of the link that is open.
        assert_eq!(Puppet::refused(&world.url(&world.key), EID).await, 403);
        let mut held = vec![seen];
        let mut status = 0;
        for _ in 0..fleet::limits::FLAP_TAKEOVERS_MAX + 1 {
            match Puppet::dial(&url, EID, &world.own).await {
                Ok(mut puppet) => {
                    held.push(tokio::spawn(async move { puppet.serve(plain).await }));
                    world.connected().await;
                }
                Err(mtp::ws::DialError::Refused {
                    status: refused, ..
                }) => status = refused,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(status, 429);
        world.refused("flapping").await;
    })
    .await;
}

/// Gives a device a token of its own, as onboarding would.
pub async fn give_token(world: &crate::rig::World, endpoint: &str) -> String {
    let store = &world.store;
    let identity = fleet::Identity::endpoint(endpoint);
    let device = match store
        .device_by_identity(&world.tenant, &identity)
        .await
        .unwrap()
    {
        Some(device) => device,
        None => {
            let puppet = Puppet::dial(&world.url(&world.key), endpoint, &world.own)
                .await
                .unwrap();
            let device = world.device(endpoint).await;
            until("its link is noted", || async {
                store
                    .path(&world.tenant, device, "websocket")
                    .await
                    .unwrap()
            })
            .await;
            drop(puppet);
            until("its link is over", || async {
                use server::south::Links;
                (!world.adapter.is_linked(device)).then_some(())
            })
            .await;
            device
        }
    };
    let token = secret::new(secret::DEVICE);
    let hash = secret::hash(&token);
    store
        .path_set_pending(&world.tenant, device, "websocket", hash, now(), vec![])
        .await
        .unwrap();
    assert!(
        store
            .path_confirm(&world.tenant, device, "websocket", hash, vec![])
            .await
            .unwrap()
    );
    token
}
