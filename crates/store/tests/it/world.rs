//! Small makers of records, so that tests say only what matters to them.

use std::sync::atomic::{AtomicU64, Ordering};

use fleet::device::{Description, OnboardingState};
use fleet::operation::Request;
use fleet::{DeviceId, Event, EventKind, Identity, Operation, OperationId, TenantId, Timestamp};
use store::testing::{TestDatabase, databases};
use store::{NewDevice, Store, TenantRecord};

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Random enough bits for ids of tests.
pub fn bits() -> [u8; 10] {
    let mut out = [0; 10];
    out[2..].copy_from_slice(&NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    out
}

pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub fn at(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1000)
}

pub fn tenant(slug: &str) -> TenantId {
    TenantId::parse(slug).unwrap()
}

pub fn hash(n: u64) -> [u8; 32] {
    let mut out = [7; 32];
    out[..8].copy_from_slice(&n.to_be_bytes());
    out
}

pub fn event(tenant: &TenantId, kind: EventKind) -> Event {
    Event::new(tenant.clone(), NOW, kind)
}

/// Every database, each with the tenants `acme` and `other`.
pub async fn worlds() -> Vec<TestDatabase> {
    let databases = databases().await.unwrap();
    for db in &databases {
        for slug in ["acme", "other"] {
            insert_tenant(&db.store, slug).await;
        }
    }
    databases
}

pub async fn insert_tenant(store: &Store, slug: &str) {
    let record = TenantRecord {
        id: tenant(slug),
        name: slug.to_uppercase(),
        created_at: NOW,
        disabled_at: None,
    };
    store.tenant_insert(record, vec![]).await.unwrap();
}

pub fn new_device(serial: &str) -> NewDevice {
    NewDevice {
        id: DeviceId::new(NOW, bits()),
        name: String::new(),
        tags: vec![],
        protocol: "usp".to_owned(),
        description: Description {
            manufacturer: "Maker".to_owned(),
            oui: "00256D".to_owned(),
            model: "M1".to_owned(),
            product_class: "Gateway".to_owned(),
            serial: serial.to_owned(),
            hardware_version: "1".to_owned(),
            software_version: "1.0".to_owned(),
        },
        identities: vec![Identity::endpoint(&format!("os::00256D-{serial}"))],
        source: "test".to_owned(),
        onboarding: OnboardingState::Expected,
        created_at: NOW,
    }
}

pub async fn insert_device(store: &Store, tenant: &TenantId, serial: &str) -> DeviceId {
    let device = new_device(serial);
    let id = device.id;
    store.device_insert(tenant, device, vec![]).await.unwrap();
    id
}

pub fn reboot(tenant: &TenantId, device: DeviceId) -> Operation {
    Operation::new(
        OperationId::new(NOW, bits()),
        tenant.clone(),
        device,
        Request::Operate {
            command: "Device.Reboot()".to_owned(),
            args: Default::default(),
        },
        "user:ann",
        NOW,
        at(3600),
    )
}
