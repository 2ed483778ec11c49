//! Tenants and the rows that adapters keep: what they remember of devices and models. The rest of the test of
//! isolation.

use fleet::{DeviceId, TenantId};
use store::Store;

use crate::isolation::none;
use crate::world::{NOW, at};

/// Rows in the tables of adapters.
pub async fn fill(store: &Store, tenant: &TenantId, device: DeviceId) {
    store
        .state_put(tenant, device, "rows", b"theirs".to_vec(), NOW)
        .await
        .unwrap();
    let patch = store::DevicePatch {
        model: Some((fleet::Protocol::Cwmp, "key".to_owned())),
        ..store::DevicePatch::default()
    };
    store
        .device_update(tenant, device, patch, NOW, vec![])
        .await
        .unwrap();
    let (session, transcript) = crate::management_session::session(device, 0);
    store
        .management_session_put(tenant, session, transcript)
        .await
        .unwrap();
    let from = crate::world::insert_device(store, tenant, &format!("WAS {device}")).await;
    store
        .device_merge(tenant, from, device, vec![])
        .await
        .unwrap();
    // Either way, so that it goes with the device on either side.
    let name = fleet::Identity::endpoint("os::00256D-OTHER");
    let other = match store.device_by_identity(tenant, &name).await.unwrap() {
        Some(other) => other,
        None => crate::world::insert_device(store, tenant, "OTHER").await,
    };
    store
        .match_suggest(tenant, crate::merge::pair(device, other), vec![])
        .await
        .unwrap();
}

/// Rows in the tables of adapters that hang on no device.
pub async fn fill_tenant(store: &Store, tenant: &TenantId) {
    crate::certificate::fill(store, tenant).await;
    store
        .model_state_put(tenant, "key", "batch", b"theirs".to_vec(), NOW)
        .await
        .unwrap();
}

/// What `me` gets when it names them.
pub async fn intrude(store: &Store, me: &TenantId, id: DeviceId) {
    crate::certificate::intrude(store, me).await;
    for over in ["websocket", "cwmp"] {
        let theirs = store.path_list_over(me, over, None, 9).await.unwrap();
        assert!(theirs.iter().all(|path| path.device != id), "{theirs:?}");
    }
    assert!(store.state_get(me, id, "rows").await.unwrap().is_none());
    let all = store.state_get_all(me, id, &["rows"]).await.unwrap();
    assert!(all.is_empty());
    none(
        store
            .state_put(me, id, "rows", b"mine".to_vec(), at(1))
            .await,
    );
    let mine = Some(b"mine".to_vec());
    none(
        store
            .state_change(me, id, "rows", mine, at(1), vec![])
            .await,
    );
    let dropped = store.state_change(me, id, "rows", None, at(1), vec![]);
    assert!(!dropped.await.unwrap());
    let theirs = store.model_state_get(me, "key", "batch").await.unwrap();
    assert!(theirs.is_none());
    store
        .model_state_put(me, "key", "batch", b"mine".to_vec(), at(1))
        .await
        .unwrap();
    let visit = crate::visit::visit(id, 1, 2);
    store.device_visited(me, vec![visit]).await.unwrap();
    assert!(store.device_lapse(me, at(9), 9).await.unwrap().is_empty());
    let (session, transcript) = crate::management_session::session(id, 1);
    let session_id = session.id;
    let several = vec![(session.clone(), transcript.clone())];
    none(store.management_session_put(me, session, transcript).await);
    let kept = store.management_session_put_all(me, several).await.unwrap();
    assert_eq!(kept, 0);
    let listed = store
        .management_session_list(me, id, None, 9)
        .await
        .unwrap();
    assert!(listed.is_empty());
    none(store.management_session(me, id, session_id).await);
    let purged = store.management_session_purge(me, at(1000)).await.unwrap();
    assert_eq!(purged, 0);
    let mine = DeviceId::new(NOW, crate::world::bits());
    let seen = store.fault_seen_elsewhere(me, mine, "key", 9007, "Device.WiFi.SSID.1.SSID");
    assert_eq!(seen.await.unwrap(), 0);
    none(store.device_speaks(me, id, "cwmp", vec![]).await);
    let pair = crate::merge::pair(id, mine);
    let match_id = pair.id;
    none(store.match_suggest(me, pair.clone(), vec![]).await);
    assert!(
        store
            .match_list(me, true, None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    let devices = store.match_devices(me, std::slice::from_ref(&pair)).await;
    assert!(devices.unwrap().is_empty());
    assert!(store.device_former(me, id).await.unwrap().is_empty());
    none(store.state_and_onboarding(me, id, "x").await);
    let shared = store.address_shared(me, "192.0.2.7".parse().unwrap(), &[], at(-9999));
    assert!(!shared.await.unwrap());
    none(store.match_show(me, match_id).await);
    assert!(!store.match_rejected(me, id, mine).await.unwrap());
    let by = "user:mallory".to_owned();
    none(store.match_reject(me, match_id, by, at(1), vec![]).await);
    let split = store::Split {
        device: id,
        transport: "websocket".to_owned(),
        commands: vec![],
        decision: pair,
    };
    none(store.device_split(me, split, at(1), vec![]).await);
    let keys = store.setup_key_list_sealed(me, at(1)).await.unwrap();
    assert!(keys.is_empty());
}
