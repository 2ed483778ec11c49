//! Files and their way to devices, on both databases.

use fleet::{
    DeviceId, Direction, FileId, FileKind, OperationId, TenantId, TransferId, TransferState,
};
use store::limits::{FILES_PER_TENANT_MAX, TEXT_CHARS_MAX, TRANSFERS_PER_DEVICE_MAX};
use store::{
    Error, FileFilter, FilePatch, LinkRecord, NewFile, NewTransfer, Revocation, Store, TenantPatch,
    TransferRecord, TransferStep,
};

use crate::isolation::none;
use crate::raw::Raw;
use crate::world::{NOW, at, bits, hash, insert_device, reboot, tenant, worlds};

pub fn new_file(name: &str, bytes: &[u8]) -> NewFile {
    let mut sha256 = [0; 32];
    for (n, byte) in bytes.iter().enumerate() {
        sha256[n % 32] ^= byte.rotate_left(1);
    }
    NewFile {
        id: FileId::new(NOW, bits()),
        name: name.to_owned(),
        kind: FileKind::Firmware,
        vendor: "Maker".to_owned(),
        model: "M1".to_owned(),
        version: "1.0".to_owned(),
        note: String::new(),
        size: bytes.len() as u64,
        sha256,
        created_at: NOW,
        created_by: "user:ann".to_owned(),
        device: None,
    }
}

pub fn new_transfer(
    device: DeviceId,
    operation: OperationId,
    file: Option<FileId>,
    token: [u8; 32],
) -> NewTransfer {
    NewTransfer {
        id: TransferId::new(NOW, bits()),
        device,
        operation,
        direction: match file {
            Some(_) => Direction::Download,
            None => Direction::Upload,
        },
        file,
        name: "fw.bin".to_owned(),
        kind: FileKind::Firmware,
        size: file.map(|_| 8),
        token_hash: token,
        created_at: NOW,
        expires_at: at(3600),
    }
}

pub fn step(state: TransferState, went: (u64, u64)) -> TransferStep {
    TransferStep {
        state,
        went,
        peer: None,
        error: None,
        at: at(1),
    }
}

/// What `me` gets when it names files and transfers of somebody else.
pub async fn intrude(
    store: &Store,
    me: &TenantId,
    device: DeviceId,
    op: OperationId,
    file: FileId,
    transfer: TransferId,
) {
    none(store.file(me, file).await);
    let all = FileFilter::default();
    assert!(store.file_list(me, &all, None, 9).await.unwrap().is_empty());
    let patch = FilePatch::default();
    none(store.file_update(me, file, patch, vec![]).await);
    none(store.file_delete(me, file, at(1), vec![]).await);
    assert_eq!(store.file_usage(me).await.unwrap(), 0);
    let content = new_file("fw", b"firmware").sha256;
    assert!(!store.file_wants(me, &content).await.unwrap());
    let mine = new_file("mine", b"mine");
    let kept = store.file_insert(me, mine, 100, vec![]).await.unwrap();
    let link = new_transfer(device, op, Some(file), hash(77));
    none(store.transfer_offer(me, link).await);
    let done = || step(TransferState::Done, (0, 1));
    let stepped = store.transfer_step(me, transfer, done(), |_, _| vec![]);
    none(stepped.await);
    let sent = new_file("sent", b"sent");
    let received = store.transfer_received(me, transfer, sent, 100, done(), |_, _| vec![]);
    none(received.await);
    let list = store.transfer_list(me, device, None, 9).await.unwrap();
    assert!(list.is_empty());
    assert!(store.transfer_of(me, op).await.unwrap().is_none());
    let far = fleet::Timestamp(i64::MAX);
    assert_eq!(store.transfer_purge(me, far).await.unwrap(), 0);
    let mine = kept.file.id;
    store.file_delete(me, mine, at(1), vec![]).await.unwrap();
}

async fn operation(store: &Store, tenant: &TenantId, device: DeviceId) -> OperationId {
    let operation = reboot(tenant, device);
    let id = operation.id;
    store
        .operation_insert(tenant, operation, None, vec![])
        .await
        .unwrap();
    id
}

const QUOTA: u64 = 20;

#[tokio::test]
async fn the_same_file_is_kept_once_and_equal_contents_count_once() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let insert = |file| store.file_insert(&tenant, file, QUOTA, vec![]);
        let first = insert(new_file("a", b"12345678")).await.unwrap();
        let again = insert(new_file("a", b"12345678")).await.unwrap();
        assert_eq!(first, again);
        insert(new_file("b", b"12345678")).await.unwrap();
        assert_eq!(store.file_usage(&tenant).await.unwrap(), 8);
        insert(new_file("c", b"abcdefgh")).await.unwrap();
        let full = insert(new_file("d", b"12345")).await;
        assert!(
            matches!(full, Err(Error::LimitExceeded { max: QUOTA, .. })),
            "{full:?}"
        );
        assert_eq!(store.file_usage(&tenant).await.unwrap(), 16);
        let long = insert(new_file(&"x".repeat(TEXT_CHARS_MAX + 1), b"1")).await;
        assert!(matches!(long, Err(Error::LimitExceeded { .. })));
        store
            .file_delete(&tenant, first.file.id, NOW, vec![])
            .await
            .unwrap();
        assert!(store.file_wants(&tenant, &first.file.sha256).await.unwrap());
    }
}

#[tokio::test]
async fn files_are_found_by_words_kind_and_device_and_described_otherwise() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        for (name, bytes) in [("one_50%.bin", b"1"), ("two.bin", b"2")] {
            store
                .file_insert(&tenant, new_file(name, bytes), QUOTA, vec![])
                .await
                .unwrap();
        }
        let sent = NewFile {
            kind: FileKind::Configuration,
            device: Some(device),
            ..new_file("sent", b"3")
        };
        let sent = store
            .file_insert(&tenant, sent, QUOTA, vec![])
            .await
            .unwrap();
        let names = async |filter: FileFilter| {
            let found = store.file_list(&tenant, &filter, None, 9).await.unwrap();
            found
                .into_iter()
                .map(|one| one.file.name)
                .collect::<Vec<_>>()
        };
        let text = |text: &str| FileFilter {
            text: Some(text.to_owned()),
            ..FileFilter::default()
        };
        assert_eq!(
            names(FileFilter::default()).await,
            ["sent", "two.bin", "one_50%.bin"]
        );
        assert_eq!(names(text("TWO")).await, ["two.bin"]);
        assert_eq!(names(text("50%")).await, ["one_50%.bin"]);
        assert_eq!(names(text("e_5")).await, ["one_50%.bin"]);
        assert!(names(text("%")).await.len() == 1 && names(text("o_o")).await.is_empty());
        let kinds = vec![FileKind::Configuration];
        assert_eq!(
            names(FileFilter {
                kinds,
                ..FileFilter::default()
            })
            .await,
            ["sent"]
        );
        let of = FileFilter {
            device: Some(device),
            ..FileFilter::default()
        };
        assert_eq!(names(of).await, ["sent"]);
        let patch = FilePatch {
            name: Some("kept".to_owned()),
            kind: Some(FileKind::Other),
            note: Some("for later".to_owned()),
            ..FilePatch::default()
        };
        let changed = store
            .file_update(&tenant, sent.file.id, patch, vec![])
            .await
            .unwrap();
        assert_eq!(
            (changed.file.name.as_str(), changed.file.kind),
            ("kept", FileKind::Other)
        );
        assert_eq!(changed.file.vendor, "Maker");
        // What it sent stays when the device goes.
        let gone = store.device_delete(&tenant, device, Revocation::default(), vec![]);
        gone.await.unwrap();
        assert_eq!(
            store.file(&tenant, sent.file.id).await.unwrap().file.device,
            None
        );
    }
}

#[tokio::test]
async fn a_file_with_a_link_that_can_be_used_is_not_removed() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        let file = store
            .file_insert(&tenant, new_file("a", b"12345678"), QUOTA, vec![])
            .await
            .unwrap();
        let id = file.file.id;
        let op = operation(store, &tenant, device).await;
        store
            .transfer_offer(&tenant, new_transfer(device, op, Some(id), hash(1)))
            .await
            .unwrap();
        let held = store.file_delete(&tenant, id, NOW, vec![]).await;
        assert!(matches!(held, Err(Error::Conflict { .. })), "{held:?}");
        store
            .file_delete(&tenant, id, at(3601), vec![])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_operation_has_one_link_and_what_went_over_the_wire_stays_known() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        let file = store
            .file_insert(&tenant, new_file("a", b"12345678"), QUOTA, vec![])
            .await
            .unwrap();
        let op = operation(store, &tenant, device).await;
        let offer = |token| {
            store.transfer_offer(&tenant, new_transfer(device, op, Some(file.file.id), token))
        };
        let first = offer(hash(1)).await.unwrap();
        let id = first.id;
        let go = async |state, went| {
            store
                .transfer_step(&tenant, id, step(state, went), |_, _| vec![])
                .await
                .unwrap()
        };
        let part = go(TransferState::Interrupted, (0, 5)).await;
        assert_eq!((part.bytes, part.state), (5, TransferState::Interrupted));
        let second = offer(hash(2)).await.unwrap();
        assert_eq!((second.id, second.bytes), (id, 5));
        assert!(store.transfer_by_token(&hash(1)).await.unwrap().is_none());
        let found = store.transfer_by_token(&hash(2)).await.unwrap().unwrap();
        let expected = LinkRecord {
            transfer: second,
            file: Some(file.clone()),
            cancelled: false,
            disabled: false,
        };
        assert_eq!(found, expected);
        let events = |before: &TransferRecord, after: &TransferRecord| {
            assert!(before.finished_at.is_none() && after.finished_at.is_some());
            vec![]
        };
        let last = step(TransferState::Interrupted, (5, 8));
        let done = store
            .transfer_step(&tenant, id, last, events)
            .await
            .unwrap();
        assert_eq!((done.bytes, done.state), (8, TransferState::Done));
        let after = go(TransferState::Interrupted, (0, 1)).await;
        assert_eq!(
            (after.bytes, after.state),
            (8, TransferState::Done),
            "done stays done"
        );
        assert_eq!(store.transfer_of(&tenant, op).await.unwrap(), Some(after));
        store
            .operation_edit(&tenant, op, at(2), |operation| {
                operation.cancel(at(2));
                vec![]
            })
            .await
            .unwrap();
        let patch = TenantPatch {
            disabled_at: Some(Some(at(3))),
            ..TenantPatch::default()
        };
        store.tenant_update(&tenant, patch, vec![]).await.unwrap();
        let found = store.transfer_by_token(&hash(2)).await.unwrap().unwrap();
        assert!(found.cancelled && found.disabled);
    }
}

#[tokio::test]
async fn what_a_device_sends_becomes_a_file_and_ends_its_transfer_together() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        let op = operation(store, &tenant, device).await;
        let offered = store
            .transfer_offer(&tenant, new_transfer(device, op, None, hash(1)))
            .await
            .unwrap();
        let sent = |bytes| NewFile {
            device: Some(device),
            ..new_file("sent", bytes)
        };
        let done = || step(TransferState::Done, (0, 4));
        let none = |_: &TransferRecord, _: &TransferRecord| vec![];
        let full = store
            .transfer_received(&tenant, offered.id, sent(b"1234"), 3, done(), none)
            .await;
        assert!(matches!(full, Err(Error::LimitExceeded { .. })));
        let still = store.transfer_of(&tenant, op).await.unwrap().unwrap();
        assert_eq!((still.state, still.file), (TransferState::Waiting, None));
        let kept = store
            .transfer_received(&tenant, offered.id, sent(b"1234"), QUOTA, done(), none)
            .await
            .unwrap();
        let over = store.transfer_of(&tenant, op).await.unwrap().unwrap();
        assert_eq!(
            (over.state, over.file),
            (TransferState::Done, Some(kept.file.id))
        );
        assert_eq!((over.size, over.bytes), (Some(4), 4));
        // It has come: the same once more is the same file, whatever it is called by now, and other bytes are not taken.
        let patch = FilePatch {
            name: Some("golden".to_owned()),
            ..FilePatch::default()
        };
        let named = store.file_update(&tenant, kept.file.id, patch, vec![]);
        let named = named.await.unwrap();
        let again = async |bytes| {
            store
                .transfer_received(&tenant, offered.id, sent(bytes), QUOTA, done(), none)
                .await
        };
        assert_eq!(again(b"1234").await.unwrap(), named);
        assert!(matches!(again(b"5678").await, Err(Error::Conflict { .. })));
        let any = FileFilter::default();
        let all = store.file_list(&tenant, &any, None, 9);
        assert_eq!(all.await.unwrap(), [named]);
        assert_eq!(
            store.transfer_of(&tenant, op).await.unwrap().unwrap().file,
            over.file
        );
    }
}

#[tokio::test]
async fn files_of_a_tenant_and_transfers_of_a_device_are_limited() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let mut raw = Raw::open(&db.url).await;
        let file = store
            .file_insert(&tenant, new_file("a", b"1"), QUOTA, vec![])
            .await
            .unwrap();
        raw.multiply(
            "file",
            "r.name = 'a'",
            &[("id", "id")],
            FILES_PER_TENANT_MAX - 1,
        )
        .await;
        let full = store
            .file_insert(&tenant, new_file("b", b"2"), QUOTA, vec![])
            .await;
        assert!(matches!(
            full,
            Err(Error::LimitExceeded {
                max: FILES_PER_TENANT_MAX,
                ..
            })
        ));
        let device = insert_device(store, &tenant, "S1").await;
        let op = operation(store, &tenant, device).await;
        let old = NewTransfer {
            expires_at: at(-1),
            ..new_transfer(device, op, Some(file.file.id), hash(1))
        };
        store.transfer_offer(&tenant, old).await.unwrap();
        let other = [("id", "id"), ("operation", "id"), ("token_hash", "bytes")];
        raw.multiply(
            "transfer",
            "r.name = 'fw.bin'",
            &other,
            TRANSFERS_PER_DEVICE_MAX + 20,
        )
        .await;
        let op = operation(store, &tenant, device).await;
        store
            .transfer_offer(
                &tenant,
                new_transfer(device, op, Some(file.file.id), hash(2)),
            )
            .await
            .unwrap();
        let left = raw.texts("SELECT name FROM transfer").await.len() as u64;
        // Copies have ids by chance: the new one may be among those that go by their order, its link keeps it.
        assert!(
            (TRANSFERS_PER_DEVICE_MAX..=TRANSFERS_PER_DEVICE_MAX + 1).contains(&left),
            "{left}"
        );
        assert!(store.transfer_of(&tenant, op).await.unwrap().is_some());
        while store.transfer_purge(&tenant, at(0)).await.unwrap() > 0 {}
        assert_eq!(raw.texts("SELECT name FROM transfer").await.len(), 1);
    }
}
