//! People, sessions, tokens, setup keys, refusals and idempotency keys.

use fleet::{EventKind, Identity, SetupKeyId, TenantId, Timestamp, TokenId, UserId};
use store::idempotency::IdempotencyKey;
use store::limits::{
    KNOWN_NETWORKS_PER_USER_MAX, REFUSALS_MAX, REFUSALS_PER_SOURCE_MAX, SIGN_INS_PER_USER_MAX,
};
use store::{
    DeviceFilter, Error, Idempotency, IdempotentAnswer, NewDevice, NewRefusal, NewSession,
    NewSetupKey, NewToken, PathLink, Search, Store, TenantPatch, UserPatch, UserRecord,
};

use crate::world::{NOW, at, bits, event, hash, new_device, tenant, worlds};

pub async fn ann(store: &Store, tenant: &TenantId) -> UserId {
    let user = UserRecord {
        id: UserId::new(NOW, bits()),
        tenant: tenant.clone(),
        login: "ann".to_owned(),
        display_name: "Ann".to_owned(),
        role: "operator".to_owned(),
        platform: false,
        password_hash: "old".to_owned(),
        must_change_password: true,
        created_at: NOW,
        disabled_at: None,
        last_sign_in_at: None,
    };
    let id = user.id;
    store
        .user_insert(
            tenant,
            user.clone(),
            vec![event(tenant, EventKind::UserCreated)],
        )
        .await
        .unwrap();
    assert_eq!(store.user(tenant, id).await.unwrap(), user);
    id
}

fn session(user: UserId, n: u64, created_at: Timestamp) -> NewSession {
    NewSession {
        hash: hash(n),
        user,
        created_at,
        expires_at: at(60),
        peer: "192.0.2.1".to_owned(),
        network: "192.0.2.1".to_owned(),
        user_agent: "browser".to_owned(),
    }
}

#[tokio::test]
async fn a_login_is_unique_over_all_tenants() {
    for db in worlds().await {
        assert_eq!(db.store.user_count_all().await.unwrap(), 0);
        let id = ann(&db.store, &tenant("acme")).await;
        let mut again = db.store.user(&tenant("acme"), id).await.unwrap();
        again.id = UserId::new(NOW, bits());
        let done = db.store.user_insert(&tenant("other"), again, vec![]).await;
        assert!(matches!(done, Err(Error::Conflict { what: "user", .. })));
        assert_eq!(db.store.user_count_all().await.unwrap(), 1);
        assert_eq!(db.store.user_by_login("ann").await.unwrap().unwrap().id, id);
        assert!(db.store.user_by_login("ANN").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_a_disabled_person_has_none() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let id = ann(&db.store, &tenant).await;
        for n in 1..=3 {
            db.store
                .session_insert(&tenant, session(id, n, NOW))
                .await
                .unwrap();
        }
        let set =
            db.store
                .user_set_password(&tenant, id, "new".to_owned(), false, Some(hash(2)), vec![]);
        set.await.unwrap();
        let user = db.store.user(&tenant, id).await.unwrap();
        assert_eq!(
            (user.password_hash.as_str(), user.must_change_password),
            ("new", false)
        );
        assert_eq!(user.last_sign_in_at, Some(NOW));
        let left = db.store.session_list(&tenant, id).await.unwrap();
        assert_eq!(left.iter().map(|s| s.hash).collect::<Vec<_>>(), [hash(2)]);
        db.store
            .session_touch(&tenant, &hash(2), at(5), at(65))
            .await
            .unwrap();
        let (touched, _) = db.store.session_by_hash(&hash(2)).await.unwrap().unwrap();
        assert_eq!((touched.seen_at, touched.expires_at), (at(5), at(65)));
        let patch = UserPatch {
            disabled_at: Some(Some(at(6))),
            ..UserPatch::default()
        };
        db.store
            .user_update(&tenant, id, patch, vec![])
            .await
            .unwrap();
        assert!(db.store.session_by_hash(&hash(2)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn the_oldest_sign_ins_of_a_person_end_and_expired_ones_are_purged() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let id = ann(&db.store, &tenant).await;
        for n in 0..=SIGN_INS_PER_USER_MAX {
            db.store
                .session_insert(&tenant, session(id, n, at(n as i64)))
                .await
                .unwrap();
        }
        let left = db.store.session_list(&tenant, id).await.unwrap();
        assert_eq!(left.len() as u64, SIGN_INS_PER_USER_MAX);
        assert!(db.store.session_by_hash(&hash(0)).await.unwrap().is_none());
        assert_eq!(db.store.session_purge(at(59)).await.unwrap(), 0);
        assert_eq!(
            db.store.session_purge(at(60)).await.unwrap(),
            SIGN_INS_PER_USER_MAX
        );
    }
}

#[tokio::test]
async fn networks_a_person_signed_in_from_are_known_for_a_while_and_bounded() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let id = ann(&db.store, &tenant).await;
        for n in 0..=KNOWN_NETWORKS_PER_USER_MAX {
            let mut session = session(id, n, at(n as i64));
            session.network = format!("network {n}");
            db.store.session_insert(&tenant, session).await.unwrap();
        }
        let known = |n: u64, since| {
            let (store, tenant) = (db.store.clone(), tenant.clone());
            async move {
                let network = format!("network {n}");
                let known = store.session_network_known(&tenant, id, &network, since);
                known.await.unwrap()
            }
        };
        assert!(!known(0, NOW).await, "the oldest goes first");
        for n in 1..=KNOWN_NETWORKS_PER_USER_MAX {
            assert!(known(n, NOW).await, "{n}");
        }
        assert!(!known(1, at(2)).await, "too long ago");
        db.store.user_delete(&tenant, id, vec![]).await.unwrap();
        assert!(!known(2, NOW).await);
    }
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let mut boss = db
            .store
            .user(&tenant, ann(&db.store, &tenant).await)
            .await
            .unwrap();
        (boss.id, boss.login) = (UserId::new(NOW, bits()), "boss".to_owned());
        (boss.role, boss.platform) = ("administrator".to_owned(), true);
        db.store
            .user_insert(&tenant, boss.clone(), vec![])
            .await
            .unwrap();
        let patch = |role: Option<&str>, disabled_at| UserPatch {
            role: role.map(str::to_owned),
            disabled_at,
            ..UserPatch::default()
        };
        for (change, of) in [
            (patch(Some("operator"), None), "tenant"),
            (patch(None, Some(Some(NOW))), "tenant"),
        ] {
            let done = db.store.user_update(&tenant, boss.id, change, vec![]).await;
            assert!(
                matches!(done, Err(Error::LastAdministrator { of: found, .. }) if found == of),
                "{done:?}"
            );
        }
        assert!(
            db.store
                .user_delete(&tenant, boss.id, vec![])
                .await
                .is_err()
        );
        assert_eq!(db.store.user(&tenant, boss.id).await.unwrap(), boss);
        let name = UserPatch {
            display_name: Some("B".to_owned()),
            ..UserPatch::default()
        };
        db.store
            .user_update(&tenant, boss.id, name, vec![])
            .await
            .unwrap();
    }
}

/// Two tenants, each with an administrator of the platform.
async fn two_owners(store: &Store) -> [(TenantId, UserId); 2] {
    let mut owners = Vec::new();
    for slug in ["acme", "other"] {
        let tenant = tenant(slug);
        let owner = UserRecord {
            id: UserId::new(NOW, bits()),
            tenant: tenant.clone(),
            login: format!("owner@{slug}"),
            display_name: "Owner".to_owned(),
            role: "operator".to_owned(),
            platform: true,
            password_hash: "old".to_owned(),
            must_change_password: false,
            created_at: NOW,
            disabled_at: None,
            last_sign_in_at: None,
        };
        let id = owner.id;
        store.user_insert(&tenant, owner, vec![]).await.unwrap();
        owners.push((tenant, id));
    }
    owners.try_into().unwrap()
}

#[tokio::test]
async fn of_two_last_platform_administrators_of_two_tenants_one_stays() {
    for db in worlds().await {
        let owners = two_owners(&db.store).await;
        // Two nodes on one PostgreSQL; SQLite has one.
        let other = match db.store.database() {
            "postgres" => Store::open(&db.url).await.unwrap(),
            _ => db.store.clone(),
        };
        let set = async |store: &Store, of: usize, at: Option<Timestamp>| {
            let (tenant, id) = &owners[of];
            let patch = UserPatch {
                disabled_at: Some(at),
                ..UserPatch::default()
            };
            store.user_update(tenant, *id, patch, vec![]).await
        };
        for round in 0..20 {
            let both = tokio::join!(set(&db.store, 0, Some(NOW)), set(&other, 1, Some(NOW)));
            assert!(both.0.is_ok() != both.1.is_ok(), "round {round}: {both:?}");
            for of in [0, 1] {
                set(&db.store, of, None).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn who_belongs_to_a_disabled_tenant_administers_no_platform() {
    for db in worlds().await {
        let [(acme, one), (other, two)] = two_owners(&db.store).await;
        let shut = |disabled_at| TenantPatch {
            disabled_at: Some(disabled_at),
            ..TenantPatch::default()
        };
        let last = |done: Result<(), Error>| {
            let of = matches!(done, Err(Error::LastAdministrator { of: "platform", .. }));
            assert!(of, "{done:?}");
        };
        let store = &db.store;
        let closed = shut(Some(NOW));
        store
            .tenant_update(&acme, closed.clone(), vec![])
            .await
            .unwrap();
        last(store.tenant_update(&other, closed, vec![]).await);
        assert_eq!(store.tenant(&other).await.unwrap().disabled_at, None);
        last(store.user_delete(&other, two, vec![]).await);
        store
            .tenant_update(&acme, shut(None), vec![])
            .await
            .unwrap();
        store.user_delete(&other, two, vec![]).await.unwrap();
        last(store.user_delete(&acme, one, vec![]).await);
    }
}

#[tokio::test]
async fn a_change_of_a_tenant_leaves_what_it_does_not_name() {
    for db in worlds().await {
        let acme = tenant("acme");
        let shut = TenantPatch {
            disabled_at: Some(Some(NOW)),
            ..TenantPatch::default()
        };
        let named = TenantPatch {
            name: Some("New".to_owned()),
            ..TenantPatch::default()
        };
        for patch in [shut, named] {
            db.store.tenant_update(&acme, patch, vec![]).await.unwrap();
        }
        let found = db.store.tenant(&acme).await.unwrap();
        assert_eq!((found.name.as_str(), found.disabled_at), ("New", Some(NOW)));
    }
}

#[tokio::test]
async fn a_token_goes_with_its_person_and_is_revoked_once() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let id = ann(&db.store, &tenant).await;
        let token = NewToken {
            id: TokenId::new(NOW, bits()),
            user: id,
            name: "ci".to_owned(),
            hash: hash(1),
            prefix: "het_1234".to_owned(),
            scopes: vec!["device:read".to_owned()],
            created_at: NOW,
            expires_at: Some(at(60)),
        };
        db.store
            .token_insert(&tenant, token.clone(), vec![])
            .await
            .unwrap();
        db.store
            .token_touch(&tenant, token.id, at(1))
            .await
            .unwrap();
        db.store
            .token_revoke(&tenant, token.id, at(2), vec![])
            .await
            .unwrap();
        db.store
            .token_revoke(&tenant, token.id, at(3), vec![])
            .await
            .unwrap();
        let (record, user) = db.store.token_by_hash(&hash(1)).await.unwrap().unwrap();
        assert_eq!(
            (record.last_used_at, record.revoked_at, user.id),
            (Some(at(1)), Some(at(2)), id)
        );
        assert_eq!(
            db.store.token_list(&tenant, Some(id)).await.unwrap(),
            [record]
        );
        db.store.user_delete(&tenant, id, vec![]).await.unwrap();
        assert!(db.store.token_by_hash(&hash(1)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_setup_key_lets_in_as_many_devices_as_it_says_also_when_they_come_at_once() {
    for db in worlds().await {
        let acme = tenant("acme");
        let key = NewSetupKey {
            id: SetupKeyId::new(NOW, bits()),
            name: "van".to_owned(),
            hash: hash(1),
            sealed: None,
            prefix: "hes_1234".to_owned(),
            created_at: NOW,
            created_by: None,
            expires_at: Some(at(60)),
            uses_max: Some(5),
        };
        db.store
            .setup_key_insert(&acme, key.clone(), vec![])
            .await
            .unwrap();
        let register = |n: u32, when: Timestamp| {
            let (store, acme, id) = (db.store.clone(), acme.clone(), key.id);
            let new = NewDevice {
                created_at: when,
                ..new_device(&format!("VAN{n}"))
            };
            async move {
                store
                    .device_register(&acme, new, ("websocket", ""), id, vec![])
                    .await
            }
        };
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..12 {
            tasks.spawn(register(n, at(1)));
        }
        let let_in = tasks.join_all().await;
        assert_eq!(let_in.iter().filter(|ok| *ok.as_ref().unwrap()).count(), 5);
        let all = Search::new(DeviceFilter::default(), NOW);
        assert_eq!(db.store.device_count(&acme, &all).await.unwrap().0, 5);
        let update =
            db.store
                .setup_key_update(&acme, key.id, "van 2".to_owned(), Some(at(9)), None, vec![]);
        update.await.unwrap();
        assert!(register(20, at(8)).await.unwrap());
        // A device that is there already: nothing is counted.
        let there = register(20, at(8)).await;
        assert!(matches!(there, Err(Error::Conflict { .. })), "{there:?}");
        assert!(!register(21, at(9)).await.unwrap());
        db.store
            .setup_key_revoke(&acme, key.id, at(3), vec![])
            .await
            .unwrap();
        assert!(!register(22, at(8)).await.unwrap());
        let record = db.store.setup_key(&acme, key.id).await.unwrap();
        assert_eq!((record.uses, record.revoked_at), (6, Some(at(3))));
    }
}

#[tokio::test]
async fn who_claims_the_endpoint_id_of_a_device_and_is_nobodys_is_shown_to_its_tenant() {
    for db in worlds().await {
        let (acme, other) = (tenant("acme"), tenant("other"));
        let endpoint = "os::00256D-SEEN";
        let device = NewDevice {
            identities: vec![Identity::endpoint(endpoint)],
            ..new_device("SEEN")
        };
        let id = device.id;
        db.store.device_insert(&acme, device, vec![]).await.unwrap();
        for (n, claimed) in [(1, endpoint), (2, "os::00256D-ELSE"), (3, "")] {
            let refusal = NewRefusal {
                at: NOW,
                reason: "unknown_credential".to_owned(),
                detail: "why".to_owned(),
                peer: "192.0.2.1:5".to_owned(),
                source: "192.0.2.1".to_owned(),
                endpoint_id: claimed.to_owned(),
                transport: "websocket".to_owned(),
                key: hash(n),
            };
            db.store
                .refusal_record(None, refusal, hash(0))
                .await
                .unwrap();
        }
        let of = async |tenant| {
            let found = db.store.refusal_list(tenant, NOW, 10).await.unwrap();
            found
                .into_iter()
                .map(|one| one.last.endpoint_id)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(Some(&acme)).await, [endpoint]);
        assert!(of(Some(&other)).await.is_empty());
        assert_eq!(of(None).await.len(), 3);
        // A device has several names; one that has none was not refused.
        let names = ["a name that nobody gave".to_owned(), endpoint.to_owned()];
        let named = db.store.refusal_list_of(&acme, &names, NOW, 10).await;
        assert_eq!(named.unwrap().len(), 1);
        let named = db.store.refusal_list_of(&acme, &[], NOW, 10).await;
        assert!(named.unwrap().is_empty());
        let named = db.store.refusal_list_of(&other, &names, NOW, 10).await;
        assert!(named.unwrap().is_empty());
        // Anybody can register an endpoint id; whose device it is shows when it connects.
        let told = async |tenant| {
            let found = db.store.refusal_list(tenant, NOW, 10).await.unwrap();
            let last = found.into_iter().map(|one| one.last);
            let mut last = last.filter(|one| one.endpoint_id == endpoint);
            let last = last.next().unwrap();
            let hidden = store::refusal::PEER_HIDDEN;
            assert_eq!(last.peer == hidden, last.source == hidden);
            (last.peer, last.detail)
        };
        let all = ("192.0.2.1:5".to_owned(), "why".to_owned());
        assert_eq!(told(None).await, all);
        let hidden = (store::refusal::PEER_HIDDEN.to_owned(), all.1.clone());
        assert_eq!(told(Some(&acme)).await, hidden);
        let link = PathLink {
            transport: "websocket".to_owned(),
            endpoint_id: endpoint.to_owned(),
            node: fleet::NodeId::parse("n1").unwrap(),
            peer: "192.0.2.1:6".to_owned(),
            authenticated_by: "token".to_owned(),
            setup_key: None,
            info: serde_json::json!({}),
            at: NOW,
        };
        db.store
            .path_connected(&acme, id, link, vec![])
            .await
            .unwrap();
        assert_eq!(told(Some(&acme)).await, all);
    }
}

/// The `n`th name that comes from here with a wrong credential.
fn wrong(n: u64, source: &str) -> (NewRefusal, [u8; 32]) {
    let whence: std::net::Ipv4Addr = source.parse().unwrap();
    let whence = u64::from(whence.to_bits()) << 32;
    let refusal = NewRefusal {
        at: at(n as i64),
        reason: "unknown_credential".to_owned(),
        detail: "x".repeat(10_000),
        peer: source.to_owned(),
        source: source.to_owned(),
        endpoint_id: format!("os::{n}"),
        transport: "websocket".to_owned(),
        key: hash(whence + 1 + n),
    };
    (refusal, hash(whence))
}

#[tokio::test]
async fn equal_refusals_are_counted_and_the_list_is_bounded() {
    for db in worlds().await {
        let tenant = tenant("acme");
        for owner in [None, Some(&tenant)] {
            for n in 0..REFUSALS_MAX + 5 {
                let (refusal, others) =
                    wrong(n, &std::net::Ipv4Addr::from_bits(n as u32).to_string());
                let record = || db.store.refusal_record(owner, refusal.clone(), others);
                record().await.unwrap();
                if n == REFUSALS_MAX {
                    record().await.unwrap();
                }
            }
            let list = db.store.refusal_list(owner, Timestamp(0), 5_000);
            let list = list.await.unwrap();
            assert_eq!(list.len() as u64, REFUSALS_MAX);
            let twice: Vec<_> = list.iter().filter(|r| r.times == 2).collect();
            assert_eq!(twice[0].last.endpoint_id, format!("os::{REFUSALS_MAX}"));
            assert!(list[0].last.at > list[1].last.at);
        }
    }
}

#[tokio::test]
async fn one_address_that_comes_with_ever_other_names_pushes_out_nobody_else_and_is_counted() {
    for db in worlds().await {
        let (quiet, others) = wrong(0, "192.0.2.1");
        let recorded = db.store.refusal_record(None, quiet, others);
        recorded.await.unwrap();
        let all = 3 * REFUSALS_PER_SOURCE_MAX;
        // More than there is room for, of a few addresses.
        for source in 0..REFUSALS_MAX / REFUSALS_PER_SOURCE_MAX + 3 {
            for n in 1..=all {
                let (refusal, others) = wrong(n, &format!("198.51.100.{}", 10 + source));
                let recorded = db.store.refusal_record(None, refusal, others);
                recorded.await.unwrap();
            }
        }
        let list = db.store.refusal_list(None, Timestamp(0), 5_000);
        let list = list.await.unwrap();
        assert_eq!(list.len() as u64, REFUSALS_MAX);
        assert!(list.iter().any(|one| one.last.source == "192.0.2.1"));
        let noisy = list.iter().filter(|one| one.last.source == "198.51.100.12");
        let (mut named, mut rest) = (0, 0);
        for one in noisy {
            match one.last.endpoint_id.as_str() {
                "" => rest += one.times,
                _ => named += 1,
            }
        }
        assert!((1..=REFUSALS_PER_SOURCE_MAX).contains(&named), "{named}");
        assert_eq!(rest, all - REFUSALS_PER_SOURCE_MAX);
        // The last names are the ones that are shown.
        let last = format!("os::{all}");
        let shown = |one: &&store::RefusalRecord| one.last.endpoint_id == last;
        assert!(list.iter().filter(shown).count() > 20);
    }
}

#[tokio::test]
async fn of_names_that_come_at_the_same_moment_the_new_one_is_kept() {
    for db in worlds().await {
        for n in 0..3 * REFUSALS_PER_SOURCE_MAX {
            let (refusal, others) = wrong(n, "192.0.2.1");
            let refusal = NewRefusal { at: NOW, ..refusal };
            let recorded = db.store.refusal_record(None, refusal, others);
            recorded.await.unwrap();
            let list = db.store.refusal_list(None, Timestamp(0), 100).await;
            let name = format!("os::{n}");
            let mut list = list.unwrap().into_iter();
            assert!(list.any(|one| one.last.endpoint_id == name), "{name}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_before_gets_the_source_of_the_next_one_like_it() {
    for db in worlds().await {
        let (refusal, others) = wrong(0, "192.0.2.1");
        let before = NewRefusal {
            source: String::new(),
            ..refusal.clone()
        };
        for refusal in [before, refusal] {
            let recorded = db.store.refusal_record(None, refusal, others);
            recorded.await.unwrap();
        }
        let list = db.store.refusal_list(None, Timestamp(0), 10).await.unwrap();
        assert_eq!((list.len(), list[0].times), (1, 2));
        assert_eq!(list[0].last.source, "192.0.2.1");
    }
}

#[tokio::test]
async fn a_refusal_without_a_tenant_is_the_only_ones_or_the_ones_whose_device_has_come_by_that_name()
 {
    for db in worlds().await {
        let (acme, other) = (tenant("acme"), tenant("other"));
        let endpoint = "os::00256D-SEEN";
        let owner = async || db.store.refusal_owner(endpoint).await.unwrap();
        // There are two tenants; anybody can register an endpoint id.
        assert_eq!(owner().await, None);
        for (n, tenant) in [&acme, &other].into_iter().enumerate() {
            let device = NewDevice {
                identities: vec![Identity::endpoint(endpoint)],
                ..new_device(&format!("SEEN{n}"))
            };
            let id = device.id;
            let registered = db.store.device_insert(tenant, device, vec![]);
            registered.await.unwrap();
            let link = PathLink {
                transport: "websocket".to_owned(),
                endpoint_id: endpoint.to_owned(),
                node: fleet::NodeId::parse("n1").unwrap(),
                peer: "192.0.2.1:6".to_owned(),
                authenticated_by: "token".to_owned(),
                setup_key: None,
                info: serde_json::json!({}),
                at: NOW,
            };
            let before = (n == 1).then(|| acme.clone());
            assert_eq!(owner().await, before);
            let connected = db.store.path_connected(tenant, id, link, vec![]);
            connected.await.unwrap();
        }
        assert_eq!(owner().await, None);
        db.store.tenant_delete(&other).await.unwrap();
        let of_anybody = db.store.refusal_owner("").await.unwrap();
        assert_eq!(of_anybody, Some(acme));
    }
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let key = || IdempotencyKey {
            principal: "user:ann".to_owned(),
            endpoint: "device_create".to_owned(),
            key: "k".to_owned(),
        };
        let begin = |n| db.store.idempotency_begin(&tenant, key(), hash(n), NOW);
        assert_eq!(begin(1).await.unwrap(), Idempotency::New);
        assert_eq!(
            begin(1).await.unwrap(),
            Idempotency::InProgress { since: NOW }
        );
        assert_eq!(begin(2).await.unwrap(), Idempotency::Mismatch);
        db.store
            .idempotency_finish(
                &tenant,
                IdempotentAnswer {
                    key: key(),
                    status: 201,
                    body: "{}".to_owned(),
                },
            )
            .await
            .unwrap();
        let done = Idempotency::Done {
            status: 201,
            body: "{}".to_owned(),
        };
        assert_eq!(begin(1).await.unwrap(), done);
        // A request that failed on the way back to its caller has done its work all the same.
        db.store.idempotency_forget(&tenant, key()).await.unwrap();
        assert_eq!(begin(1).await.unwrap(), done);
        assert_eq!(db.store.idempotency_purge(&tenant, at(1)).await.unwrap(), 1);
    }
}
