//! Disabled tenants: nobody of theirs is let in, and whoever is in has to go.

use mtp::ws::CloseCode;
use server::south::Links;
use server::state::now;

use crate::admission::give_token;
use crate::puppet::{Puppet, Seen, plain};
use crate::rig::{World, each, soon, until};

const EID: &str = "os::00256D-P1";

async fn set_disabled(world: &World, disabled: bool) {
    let patch = store::TenantPatch {
        disabled_at: Some(disabled.then(now)),
        ..Default::default()
    };
    let changed = world.store.tenant_update(&world.tenant, patch, vec![]);
    changed.await.unwrap();
}

#[tokio::test]
async fn devices_of_a_disabled_tenant_are_hung_up_on_and_refused_until_it_is_enabled_again() {
    each(|mut world| async move {
        let token = give_token(&world, EID).await;
        let url = world.url(&token);
        let mut puppet = Puppet::dial(&url, EID, &world.own).await.unwrap();
        let seen = tokio::spawn(async move { puppet.serve(plain).await });
        world.connected().await;
        set_disabled(&world, true).await;
        world.adapter.tenants_changed();
        let seen = soon(seen).await.unwrap();
        assert!(matches!(seen, Seen::Closed(Some(CloseCode::Policy))));
        let device = world.device(EID).await;
        until("the store knows why", || async {
            let path = world.store.path(&world.tenant, device, "websocket").await;
            let reason = path.unwrap().unwrap().disconnect_reason;
            reason.contains("tenant was disabled").then_some(())
        })
        .await;
        // With its own token, and new ones with the setup key.
        assert_eq!(Puppet::refused(&url, EID).await, 403);
        let fresh = Puppet::refused(&world.url(&world.key), "os::00256D-P2").await;
        assert_eq!(fresh, 403);
        world.refused("tenant_disabled").await;
        set_disabled(&world, false).await;
        assert!(Puppet::dial(&url, EID, &world.own).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_tenant_that_another_node_disabled_is_noticed_without_being_told() {
    for db in store::testing::databases().await.unwrap() {
        let mut world = World::with(db, |_, limits| {
            limits.tenants_every = std::time::Duration::from_millis(50);
        })
        .await;
        let token = give_token(&world, EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let seen = tokio::spawn(async move { puppet.serve(plain).await });
        world.connected().await;
        set_disabled(&world, true).await;
        let seen = soon(seen).await.unwrap();
        assert!(matches!(seen, Seen::Closed(Some(CloseCode::Policy))));
    }
}

#[tokio::test]
async fn a_device_of_a_disabled_tenant_is_not_dialled() {
    each(|mut world| async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let device = crate::rig::dialled(&world, &format!("ws://{address}/usp")).await;
        world.adapter.dialling_changed(&world.tenant, device);
        let patience = crate::rig::PATIENCE;
        let dialled = tokio::time::timeout(patience, listener.accept()).await;
        drop(dialled.expect("it is dialled").unwrap());
        set_disabled(&world, true).await;
        world.adapter.tenants_changed();
        until("its dialling is over", || async {
            let wanted = world.adapter.reach(&world.tenant, device).await.unwrap();
            wanted.is_err().then_some(())
        })
        .await;
        world.restart().await;
        let wanted = world.adapter.reach(&world.tenant, device).await;
        assert!(wanted.unwrap().is_err());
        set_disabled(&world, false).await;
        world.adapter.tenants_changed();
        until("it is dialled again", || async {
            world.adapter.reach(&world.tenant, device).await?.ok()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_new_address_of_a_device_of_a_disabled_tenant_is_not_dialled() {
    for db in store::testing::databases().await.unwrap() {
        let world = World::with(db, |_, limits| {
            limits.tenants_every = std::time::Duration::from_millis(50);
        })
        .await;
        let device = crate::rig::dialled(&world, "ws://127.0.0.1:1/usp").await;
        let dialled = || async {
            let wanted = world.adapter.reach(&world.tenant, device).await.unwrap();
            wanted.ok()
        };
        world.adapter.dialling_changed(&world.tenant, device);
        until("it is dialled", dialled).await;
        let stopped = || async { dialled().await.is_none().then_some(()) };
        set_disabled(&world, true).await;
        until("its dialling is over", stopped).await;
        world.adapter.dialling_changed(&world.tenant, device);
        until("its dialling is over again", stopped).await;
    }
}
