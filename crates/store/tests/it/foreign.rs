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
}

/// Rows in the tables of adapters that hang on no device.
pub async fn fill_tenant(store: &Store, tenant: &TenantId) {
    store
        .model_state_put(tenant, "key", "batch", b"theirs".to_vec(), NOW)
        .await
        .unwrap();
}

/// What `me` gets when it names them.
pub async fn intrude(store: &Store, me: &TenantId, id: DeviceId) {
    assert!(store.state_get(me, id, "rows").await.unwrap().is_none());
    none(
        store
            .state_put(me, id, "rows", b"mine".to_vec(), at(1))
            .await,
    );
    let theirs = store.model_state_get(me, "key", "batch").await.unwrap();
    assert!(theirs.is_none());
    store
        .model_state_put(me, "key", "batch", b"mine".to_vec(), at(1))
        .await
        .unwrap();
    let visit = crate::visit::visit(id, 1, 2);
    store.device_visited(me, vec![visit]).await.unwrap();
    assert!(store.device_lapse(me, at(9), 9).await.unwrap().is_empty());
    let keys = store.setup_key_list_sealed(me, at(1)).await.unwrap();
    assert!(keys.is_empty());
}
