//! Tenants see and touch nothing of each other, in any function and any table.

use fleet::{
    DeviceId, EventKind, FileId, Identity, NodeId, OperationId, SetupKeyId, TenantId, Timestamp,
    TokenId, TransferId, UserId,
};
use store::idempotency::IdempotencyKey;
use store::path::{PathEnd, PathLink, PathPatch, PathSetup};
use store::{
    Claim, DeviceFilter, DevicePatch, DeviceSort, Error, EventFilter, EventOrder, FacetField,
    Idempotency, IdempotentAnswer, NewDevice, NewRefusal, NewSession, NewSetupKey, NewToken,
    Notification, OperationFilter, OperationSave, Revocation, Search, Store, SwapClaim,
    TenantPatch, TranscriptEntry, UserPatch, UserRecord, ValueSource, ValueUpdate,
};

use crate::raw::Raw;
use crate::tried::TRIED;
use crate::world::{NOW, at, bits, event, hash, insert_device, new_device, reboot, tenant, worlds};

/// Ids of the rows of one tenant.
pub struct Rows {
    device: DeviceId,
    operation: OperationId,
    user: UserId,
    token: TokenId,
    key: SetupKeyId,
    session: [u8; 32],
    file: FileId,
    transfer: TransferId,
}

fn salt(tenant: &TenantId) -> u64 {
    tenant.as_str().bytes().map(u64::from).sum()
}

fn user(tenant: &TenantId) -> UserRecord {
    UserRecord {
        id: UserId::new(NOW, bits()),
        tenant: tenant.clone(),
        login: format!("ann@{tenant}"),
        display_name: "Ann".to_owned(),
        role: "operator".to_owned(),
        platform: false,
        password_hash: "$argon2id$".to_owned(),
        must_change_password: false,
        created_at: NOW,
        disabled_at: None,
        last_sign_in_at: None,
    }
}

fn idempotency_key() -> IdempotencyKey {
    IdempotencyKey {
        principal: "user:ann".to_owned(),
        endpoint: "device_create".to_owned(),
        key: "k1".to_owned(),
    }
}

fn refusal() -> NewRefusal {
    NewRefusal {
        at: NOW,
        reason: "unknown_credential".to_owned(),
        detail: "no such key".to_owned(),
        peer: "192.0.2.1".to_owned(),
        source: "192.0.2.1".to_owned(),
        endpoint_id: "os::x".to_owned(),
        transport: "websocket".to_owned(),
        key: hash(1),
    }
}

fn values(value: &str) -> ValueUpdate {
    let values = [("Device.WiFi.SSID.1.SSID".to_owned(), value.to_owned())];
    ValueUpdate::of(values, ValueSource::Read, NOW)
}

fn link() -> PathLink {
    PathLink {
        transport: "websocket".to_owned(),
        endpoint_id: "os::x".to_owned(),
        node: NodeId::parse("n1").unwrap(),
        peer: "192.0.2.7:1234".to_owned(),
        authenticated_by: "setup_key".to_owned(),
        setup_key: None,
        info: serde_json::json!({}),
        at: NOW,
    }
}

fn end() -> PathEnd {
    PathEnd {
        transport: "websocket".to_owned(),
        link: 1,
        reason: "x".to_owned(),
        at: NOW,
        back_by: None,
    }
}

fn setup(tenant: &TenantId) -> PathSetup {
    PathSetup {
        transport: "websocket".to_owned(),
        endpoint_id: format!("os::{tenant}"),
        dial_url: Some("ws://192.0.2.9/".to_owned()),
        certificate_required: false,
    }
}

fn reach(tenant: &TenantId) -> PathPatch {
    let setup = setup(tenant);
    PathPatch {
        transport: setup.transport,
        endpoint_id: setup.endpoint_id,
        dial_url: Some(setup.dial_url),
        certificate_required: None,
    }
}

fn entries() -> Vec<TranscriptEntry> {
    vec![TranscriptEntry {
        at: NOW,
        direction: "out".to_owned(),
        transport: "mqtt".to_owned(),
        what: "Get".to_owned(),
        text: "Get {}".to_owned(),
    }]
}

/// Rows in every table that hang on a device; the operation.
pub async fn fill(store: &Store, tenant: &TenantId, device: DeviceId) -> OperationId {
    let n = salt(tenant);
    let patch = DevicePatch {
        tags: Some(vec!["vip".to_owned()]),
        ..DevicePatch::default()
    };
    let updated = vec![event(tenant, EventKind::DeviceUpdated).device(device)];
    store
        .device_revise(tenant, device, patch, reach(tenant), NOW, updated)
        .await
        .unwrap();
    store
        .path_set_pending(tenant, device, "websocket", hash(n * 10), NOW, vec![])
        .await
        .unwrap();
    store
        .path_confirm(tenant, device, "websocket", hash(n * 10), vec![])
        .await
        .unwrap();
    store
        .path_set_pending(tenant, device, "websocket", hash(n * 10 + 1), NOW, vec![])
        .await
        .unwrap();
    store
        .path_connected(tenant, device, link(), vec![])
        .await
        .unwrap();
    store
        .value_update(tenant, device, values("home"), NOW)
        .await
        .unwrap();
    let operation = reboot(tenant, device);
    let id = operation.id;
    let key = Some(("key".to_owned(), hash(1)));
    store
        .operation_insert(tenant, operation, key, vec![])
        .await
        .unwrap();
    store
        .transcript_append(tenant, id, entries())
        .await
        .unwrap();
    crate::foreign::fill(store, tenant, device).await;
    id
}

async fn rows(store: &Store, tenant: &TenantId) -> Rows {
    let n = salt(tenant);
    let device = insert_device(store, tenant, "SAME").await;
    let operation = fill(store, tenant, device).await;
    let (names, queue) = (["os::0-X".to_owned()], format!("queue-{tenant}"));
    let belongs = store.broker_queue_belongs(tenant, &names, &queue, NOW, 10);
    assert!(belongs.await.unwrap());
    let user = user(tenant);
    let user_id = user.id;
    store.user_insert(tenant, user, vec![]).await.unwrap();
    let session = NewSession {
        hash: hash(n),
        user: user_id,
        created_at: NOW,
        expires_at: at(60),
        peer: String::new(),
        network: "192.0.2.1".to_owned(),
        user_agent: String::new(),
    };
    store.session_insert(tenant, session).await.unwrap();
    let token = NewToken {
        id: TokenId::new(NOW, bits()),
        user: user_id,
        name: "t".to_owned(),
        hash: hash(n + 5_000),
        prefix: "het_x".to_owned(),
        scopes: vec!["device:read".to_owned()],
        created_at: NOW,
        expires_at: None,
    };
    let token_id = token.id;
    store.token_insert(tenant, token, vec![]).await.unwrap();
    let key = NewSetupKey {
        id: SetupKeyId::new(NOW, bits()),
        name: "k".to_owned(),
        hash: hash(n + 6_000),
        sealed: None,
        prefix: "hes_x".to_owned(),
        created_at: NOW,
        created_by: Some(user_id),
        expires_at: None,
        uses_max: Some(3),
    };
    let key_id = key.id;
    store.setup_key_insert(tenant, key, vec![]).await.unwrap();
    let model = fleet::model::Model::default();
    store.model_put(tenant, "key", &model, NOW).await.unwrap();
    crate::foreign::fill_tenant(store, tenant).await;
    store
        .refusal_record(Some(tenant), refusal(), hash(2))
        .await
        .unwrap();
    let file = store
        .file_insert(
            tenant,
            crate::file::new_file("fw", b"firmware"),
            1 << 20,
            vec![],
        )
        .await
        .unwrap();
    let link = crate::file::new_transfer(device, operation, Some(file.file.id), hash(n + 7_000));
    let offered = store.transfer_offer(tenant, link).await.unwrap();
    let begun = store
        .idempotency_begin(tenant, idempotency_key(), hash(1), NOW)
        .await
        .unwrap();
    assert_eq!(begun, Idempotency::New);
    Rows {
        device,
        operation,
        user: user_id,
        token: token_id,
        key: key_id,
        session: hash(n),
        file: file.file.id,
        transfer: offered.id,
    }
}

pub fn none<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(
        matches!(result, Err(Error::NotFound(_) | Error::Fenced(_))),
        "{result:?}"
    );
}

/// What `me` gets when it names rows of somebody else, in every function of [`TRIED`].
async fn intrude(store: &Store, me: &TenantId, of: &Rows) {
    let now = at(1);
    let far = Timestamp(i64::MAX);
    let e = Vec::new;
    // People.
    none(store.user(me, of.user).await);
    assert!(store.user_list(me).await.unwrap().is_empty());
    let patch = UserPatch {
        role: Some("administrator".to_owned()),
        ..UserPatch::default()
    };
    none(store.user_update(me, of.user, patch, e()).await);
    none(
        store
            .user_set_password(me, of.user, "x".to_owned(), false, None, e())
            .await,
    );
    none(store.user_delete(me, of.user, e()).await);
    let session = NewSession {
        hash: hash(999),
        user: of.user,
        created_at: now,
        expires_at: far,
        peer: String::new(),
        network: "192.0.2.1".to_owned(),
        user_agent: String::new(),
    };
    none(store.session_insert(me, session).await);
    assert!(store.session_list(me, of.user).await.unwrap().is_empty());
    let known = store
        .session_network_known(me, of.user, "192.0.2.1", NOW)
        .await;
    assert!(!known.unwrap());
    none(store.session_touch(me, &of.session, now, far).await);
    assert!(!store.session_delete(me, &of.session).await.unwrap());
    assert_eq!(
        store
            .session_delete_for_user(me, of.user, None)
            .await
            .unwrap(),
        0
    );
    let token = NewToken {
        id: TokenId::new(NOW, bits()),
        user: of.user,
        name: "x".to_owned(),
        hash: hash(998),
        prefix: String::new(),
        scopes: vec![],
        created_at: now,
        expires_at: None,
    };
    none(store.token_insert(me, token, e()).await);
    none(store.token(me, of.token).await);
    assert!(store.token_list(me, None).await.unwrap().is_empty());
    none(store.token_revoke(me, of.token, now, e()).await);
    none(store.token_delete(me, of.token, e()).await);
    none(store.token_touch(me, of.token, now).await);
    none(store.setup_key(me, of.key).await);
    assert!(store.setup_key_list(me).await.unwrap().is_empty());
    none(
        store
            .setup_key_update(me, of.key, "x".to_owned(), None, None, e())
            .await,
    );
    none(store.setup_key_revoke(me, of.key, now, e()).await);
    let new = NewDevice {
        id: DeviceId::new(now, bits()),
        ..new_device("KEY")
    };
    let made = store.device_register(me, new, ("websocket", ""), of.key, e());
    assert!(!made.await.unwrap());
    // A credential is one tenant's, and a device whose credential is not stored is not made.
    let new = NewDevice {
        id: DeviceId::new(now, bits()),
        ..new_device("EXPECTED")
    };
    let (expected, taken) = (new.id, hash(salt(&tenant("other")) * 10 + 1));
    let made = store.device_expect(me, new, setup(me), Some(taken), e());
    assert!(made.await.is_err());
    none(store.device(me, expected).await);
    none(store.path_expect(me, of.device, setup(me)).await);
    // Devices.
    let id = of.device;
    none(store.device(me, id).await);
    none(
        store
            .device_update(me, id, DevicePatch::default(), now, e())
            .await,
    );
    none(
        store
            .device_delete(me, id, Revocation::default(), e())
            .await,
    );
    let mine = insert_device(store, me, "MINE").await;
    none(store.device_merge(me, id, mine, e()).await);
    none(store.device_merge(me, mine, id, e()).await);
    let heard = store::Heard {
        device: id,
        transport: "websocket",
        at: far,
    };
    assert!(store.path_heard(me, vec![heard]).await.unwrap().is_empty());
    let identity = Identity::endpoint("os::00256D-SAME");
    assert_eq!(store.device_by_identity(me, &identity).await.unwrap(), None);
    assert!(store.identity_list(me, id).await.unwrap().is_empty());
    none(
        store
            .identity_attach(me, id, vec![identity.clone()], "x".to_owned(), now, e())
            .await,
    );
    none(store.identity_detach(me, id, identity, e()).await);
    for q in [None, Some("same".to_owned())] {
        let search = Search::new(
            DeviceFilter {
                q: q.clone(),
                ..DeviceFilter::default()
            },
            now,
        );
        let page = store
            .device_list(me, &search, DeviceSort::default(), None, 9)
            .await
            .unwrap();
        assert!(page.devices.iter().all(|d| d.device.id == mine));
        let expected = u64::from(q.is_none());
        assert_eq!(store.device_count(me, &search).await.unwrap().0, expected);
        let facets = store
            .device_facets(me, &search, FacetField::Model, "", 9)
            .await
            .unwrap();
        assert_eq!(facets.iter().map(|f| f.count).sum::<u64>(), expected);
    }
    let search = Search::new(DeviceFilter::default(), now);
    assert!(
        store
            .device_facets(me, &search, FacetField::Tag, "", 9)
            .await
            .unwrap()
            .is_empty()
    );
    // Ways to it.
    let ws = "websocket";
    assert!(store.path_list(me, id).await.unwrap().is_empty());
    assert!(store.path(me, id, ws).await.unwrap().is_none());
    assert!(
        store
            .path_list_dialled(me, None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    let patch = DevicePatch::default();
    let revised = store.device_revise(me, id, patch, reach(me), now, e());
    none(revised.await);
    none(store.path_delete(me, id, ws, e()).await);
    none(
        store
            .path_set_pending(me, id, ws, hash(997), now, e())
            .await,
    );
    let node = NodeId::parse("n1").unwrap();
    let claim = SwapClaim {
        node: node.clone(),
        at: now,
        until: far,
        alone: true,
        brokered: true,
    };
    none(store.path_swap(me, id, ws, hash(998), claim, e()).await);
    none(store.path_swap_over(me, id, ws, &node, now, e()).await);
    let key = SetupKeyId(uuid::Uuid::from_u128(9));
    none(store.path_came(me, id, ws, "os::0-X", key).await);
    none(store.path_came_itself(me, id, ws).await);
    let pending = hash(salt(&tenant("other")) * 10 + 1);
    assert!(!store.path_confirm(me, id, ws, pending, e()).await.unwrap());
    none(store.path_revoke(me, id, ws, e()).await);
    none(store.path_readmit(me, id, Some(far), e()).await);
    none(store.path_connected(me, id, link(), e()).await);
    assert!(!store.path_disconnected(me, id, end(), e()).await.unwrap());
    let node = NodeId::parse("n1").unwrap();
    assert!(
        store
            .path_reset_node(me, &node, &[], "x".to_owned(), now)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.path_lapse(me, far, far, 10).await.unwrap().is_empty());
    let names = ["os::0-X".to_owned()];
    let belongs = store.broker_queue_belongs(me, &names, "queue-other", now, 10);
    assert!(!belongs.await.unwrap());
    let unfinished = store.path_unfinished_behind(me, ws, "north", 10).await;
    assert_eq!(unfinished.unwrap(), 0);
    let held = store::LinkNumber {
        device: id,
        transport: ws,
        link: 1,
    };
    let astray = store.path_held(me, &node, vec![held], far).await;
    assert_eq!(astray.unwrap(), store::Astray::default());
    let relinked = store.path_relinked(me, held, &node, now, e()).await;
    assert_eq!(relinked.unwrap(), None);
    // What is known of it.
    assert!(store.model(me, "key").await.unwrap().is_none());
    store.model_touch(me, "key", far).await.unwrap();
    none(store.value_update(me, id, values("mine"), now).await);
    assert!(
        store
            .value_list(me, id, "", None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    let path = ["Device.WiFi.SSID.1.SSID".to_owned()];
    assert!(store.value_of(me, id, &path).await.unwrap().is_empty());
    assert!(store.value_objects(me, id).await.unwrap().is_empty());
    crate::foreign::intrude(store, me, id).await;
    // Operations.
    none(store.operation_insert(me, reboot(me, id), None, e()).await);
    none(store.operation(me, of.operation).await);
    assert!(
        store
            .operation_list(me, &OperationFilter::default(), None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.operation_open_count(me, id).await.unwrap(), 0);
    assert_eq!(store.operation_oldest(me, id).await.unwrap(), None);
    assert_eq!(
        store
            .operation_claim(me, id, &node, now, far)
            .await
            .unwrap(),
        Claim::Nothing
    );
    let one = store.operation_claim_one(me, of.operation, &node, now, far);
    assert_eq!(one.await.unwrap(), Claim::Nothing);
    let theirs = store
        .operation(&tenant("other"), of.operation)
        .await
        .unwrap();
    let save = OperationSave {
        operation: theirs.operation,
        fence: 0,
        lease_until: None,
        values: None,
        events: vec![],
        now,
    };
    none(store.operation_save(me, save).await);
    none(store.operation_renew(me, of.operation, 0, far).await);
    none(
        store
            .operation_edit(me, of.operation, now, |_| vec![])
            .await,
    );
    assert!(
        !store
            .operation_put_away(me, of.operation, now, e())
            .await
            .unwrap()
    );
    assert_eq!(store.operation_release_node(me, &node).await.unwrap(), 0);
    assert_eq!(store.operation_purge(me, far).await.unwrap(), 0);
    none(store.transcript_append(me, of.operation, entries()).await);
    assert!(
        store
            .transcript_list(me, of.operation)
            .await
            .unwrap()
            .is_empty()
    );
    // The log.
    assert_eq!(store.event_head(me).await.unwrap(), 0);
    assert_eq!(store.event_oldest(me).await.unwrap(), 1);
    let all = EventFilter::default();
    let device = EventFilter {
        device: Some(id),
        ..EventFilter::default()
    };
    for filter in [&all, &device] {
        assert!(
            store
                .events_after(me, 0, filter, 9)
                .await
                .unwrap()
                .events
                .is_empty()
        );
        assert!(
            store
                .events_before(me, None, filter, 9)
                .await
                .unwrap()
                .events
                .is_empty()
        );
        assert!(
            store
                .events(me, EventOrder::After(0), filter, 9)
                .await
                .unwrap()
                .events
                .is_empty()
        );
    }
    none(store.event(me, 1).await);
    assert_eq!(store.event_purge(me, far).await.unwrap(), 0);
    let notification = Notification {
        device: id,
        key: hash(1),
        events: vec![event(&tenant("other"), EventKind::DeviceEvent)],
    };
    let both = vec![notification.clone(), notification.clone()];
    assert!(store.commit_notifications(me, both).await.is_err());
    assert!(store.commit_notification(me, notification).await.is_err());
    crate::file::intrude(store, me, of.device, of.operation, of.file, of.transfer).await;
    // The rest.
    let since = Timestamp(0);
    let refusals = store.refusal_list(Some(me), since, 9).await;
    assert!(refusals.unwrap().is_empty());
    let refusals = store
        .refusal_list_of(me, &["os::00256D-SAME".to_owned()], since, 9)
        .await;
    assert!(refusals.unwrap().is_empty());
    assert!(
        store
            .refusal_list(None, Timestamp(0), 9)
            .await
            .unwrap()
            .is_empty()
    );
    none(
        store
            .idempotency_finish(
                me,
                IdempotentAnswer {
                    key: idempotency_key(),
                    status: 200,
                    body: "mine".to_owned(),
                },
            )
            .await,
    );
    store
        .idempotency_forget(me, idempotency_key())
        .await
        .unwrap();
    assert_eq!(store.idempotency_purge(me, far).await.unwrap(), 0);
    // The same keys are free here.
    let patch = TenantPatch {
        name: Some("Mine".to_owned()),
        ..TenantPatch::default()
    };
    store.tenant_update(me, patch, vec![]).await.unwrap();
    assert_eq!(store.tenant(me).await.unwrap().name, "Mine");
    let gone = store.device_delete(me, mine, Revocation::default(), vec![]);
    gone.await.unwrap();
    let own = vec![event(me, EventKind::TenantUpdated)];
    assert_eq!(store.event_append(me, own).await.unwrap(), 1);
}

#[tokio::test]
async fn a_tenant_neither_sees_nor_changes_a_row_of_another() {
    for db in worlds().await {
        let (me, other) = (tenant("acme"), tenant("other"));
        let theirs = rows(&db.store, &other).await;
        let mut raw = Raw::open(&db.url).await;
        let before = raw.rows_of("other").await;
        assert!(
            before.iter().all(|(_, rows)| !rows.is_empty()),
            "{before:#?}"
        );
        intrude(&db.store, &me, &theirs).await;
        assert_eq!(raw.rows_of("other").await, before);
        // Equal names, keys and identities in both tenants are no conflict, and go with their tenant.
        rows(&db.store, &me).await;
        assert_eq!(raw.rows_of("other").await, before);
        db.store.tenant_delete(&me).await.unwrap();
        assert_eq!(raw.rows_of("other").await, before);
        let left = raw.rows_of("acme").await;
        assert!(left.iter().all(|(_, rows)| rows.is_empty()), "{left:#?}");
        none(db.store.tenant(&me).await);
    }
}

#[test]
fn every_function_that_takes_a_tenant_is_tried_by_a_foreign_one() {
    let mut missing = Vec::new();
    let mut known = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for (start, _) in text.match_indices("    pub async fn ") {
            let rest = &text[start + 17..];
            let signature = &rest[..rest.find('{').unwrap()];
            let name = signature[..signature.find(['(', '<']).unwrap()].to_owned();
            if !signature.contains("tenant: &TenantId")
                && !signature.contains("tenant: Option<&TenantId>")
            {
                continue;
            }
            if TRIED.contains(&name.as_str()) {
                known += 1;
            } else {
                missing.push(name);
            }
        }
    }
    assert!(
        missing.is_empty(),
        "not tried with a foreign tenant: {missing:?}"
    );
    assert_eq!(
        known,
        TRIED.len(),
        "a tried function does not exist any more"
    );
}

#[tokio::test]
async fn a_credential_finds_its_own_tenant() {
    for db in worlds().await {
        for slug in ["acme", "other"] {
            let tenant = tenant(slug);
            rows(&db.store, &tenant).await;
            let n = salt(&tenant);
            let (session, user) = db.store.session_by_hash(&hash(n)).await.unwrap().unwrap();
            assert_eq!(
                (session.tenant, user.tenant),
                (tenant.clone(), tenant.clone())
            );
            let (token, _) = db
                .store
                .token_by_hash(&hash(n + 5_000))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(
                (token.tenant, token.scopes),
                (tenant.clone(), vec!["device:read".to_owned()])
            );
            let key = db
                .store
                .setup_key_by_hash(&hash(n + 6_000))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(key.tenant, tenant);
            let path = db
                .store
                .path_by_credential(&hash(n * 10))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(path.tenant, tenant);
            let found = db
                .store
                .user_by_login(&format!("ann@{slug}"))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(found.tenant, tenant);
        }
        assert!(
            db.store
                .session_by_hash(&hash(12_345))
                .await
                .unwrap()
                .is_none()
        );
    }
}
