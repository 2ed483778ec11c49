//! Named limits on how many rows there may be, hit by copying rows past the store.

use fleet::model::Model;
use fleet::{EventKind, SetupKeyId, TokenId, UserId};
use std::collections::BTreeSet;
use std::time::Duration;
use store::limits::*;
use store::{
    DeviceFilter, DeviceSort, Error, EventFilter, FacetField, NewSetupKey, NewToken,
    OperationFilter, Search, TenantRecord,
};
use tokio::sync::broadcast::error::RecvError;

use crate::people::ann;
use crate::raw::Raw;
use crate::world::{NOW, at, bits, event, hash, insert_device, new_device, reboot, tenant, worlds};

fn full<T: std::fmt::Debug>(result: Result<T, Error>, most: u64) {
    assert!(
        matches!(result, Err(Error::LimitExceeded { max, .. }) if max == most),
        "{result:?}"
    );
}

#[tokio::test]
async fn there_may_be_so_many_tenants_users_tokens_and_setup_keys() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let mut raw = Raw::open(&db.url).await;
        let user = store
            .user(&tenant, ann(store, &tenant).await)
            .await
            .unwrap();
        let token = |n| NewToken {
            id: TokenId::new(NOW, bits()),
            user: user.id,
            name: "t".to_owned(),
            hash: hash(n),
            prefix: "het_1234".to_owned(),
            scopes: vec![],
            created_at: NOW,
            expires_at: None,
        };
        let key = |n| NewSetupKey {
            id: SetupKeyId::new(NOW, bits()),
            name: "k".to_owned(),
            hash: hash(n),
            sealed: None,
            prefix: "hes_1234".to_owned(),
            created_at: NOW,
            created_by: None,
            expires_at: None,
            uses_max: None,
        };
        let other_user = |login: &str| store::UserRecord {
            id: UserId::new(NOW, bits()),
            login: login.to_owned(),
            ..user.clone()
        };
        let other_tenant = |slug: &str| TenantRecord {
            id: crate::world::tenant(slug),
            name: slug.to_owned(),
            created_at: NOW,
            disabled_at: None,
        };
        store.token_insert(&tenant, token(1), vec![]).await.unwrap();
        store
            .setup_key_insert(&tenant, key(1), vec![])
            .await
            .unwrap();
        // One is there; one more than the copies fits.
        let random = [("id", "id"), ("hash", "bytes")];
        raw.multiply("token", "true", &random, TOKENS_PER_TENANT_MAX - 2)
            .await;
        raw.multiply("setup_key", "true", &random, SETUP_KEYS_PER_TENANT_MAX - 2)
            .await;
        let login = [("id", "id"), ("login", "text")];
        raw.multiply("app_user", "true", &login, USERS_PER_TENANT_MAX - 2)
            .await;
        let token_2 = token(2);
        store
            .token_insert(&tenant, token_2.clone(), vec![])
            .await
            .unwrap();
        full(
            store.token_insert(&tenant, token(3), vec![]).await,
            TOKENS_PER_TENANT_MAX,
        );
        let key_2 = key(2);
        store
            .setup_key_insert(&tenant, key_2.clone(), vec![])
            .await
            .unwrap();
        full(
            store.setup_key_insert(&tenant, key(3), vec![]).await,
            SETUP_KEYS_PER_TENANT_MAX,
        );
        store
            .user_insert(&tenant, other_user("last"), vec![])
            .await
            .unwrap();
        full(
            store.user_insert(&tenant, other_user("more"), vec![]).await,
            USERS_PER_TENANT_MAX,
        );
        // What is over makes room.
        let revoke = store.token_revoke(&tenant, token_2.id, at(1), vec![]);
        revoke.await.unwrap();
        store.token_insert(&tenant, token(4), vec![]).await.unwrap();
        assert!(store.token(&tenant, token_2.id).await.is_err());
        full(
            store.token_insert(&tenant, token(5), vec![]).await,
            TOKENS_PER_TENANT_MAX,
        );
        let revoke = store.setup_key_revoke(&tenant, key_2.id, at(1), vec![]);
        revoke.await.unwrap();
        store
            .setup_key_insert(&tenant, key(4), vec![])
            .await
            .unwrap();
        assert!(store.setup_key(&tenant, key_2.id).await.is_err());
        full(
            store.setup_key_insert(&tenant, key(5), vec![]).await,
            SETUP_KEYS_PER_TENANT_MAX,
        );
        // Other tenants have room.
        let mut elsewhere = other_user("elsewhere");
        elsewhere.tenant = crate::world::tenant("other");
        store
            .user_insert(&elsewhere.tenant.clone(), elsewhere, vec![])
            .await
            .unwrap();
        assert_eq!(
            store.user_list(&tenant).await.unwrap().len() as u64,
            USERS_PER_TENANT_MAX
        );
        let there = store.tenant_list().await.unwrap().len() as u64;
        raw.multiply(
            "tenant",
            "r.id = 'other'",
            &[("id", "text")],
            TENANTS_MAX - there - 1,
        )
        .await;
        store
            .tenant_insert(other_tenant("last"), vec![])
            .await
            .unwrap();
        full(
            store.tenant_insert(other_tenant("more"), vec![]).await,
            TENANTS_MAX,
        );
        assert_eq!(store.tenant_list().await.unwrap().len() as u64, TENANTS_MAX);
    }
}

#[tokio::test]
async fn of_models_the_least_recently_used_goes() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let put = |key: &'static str, when| {
            let tenant = tenant.clone();
            async move {
                store
                    .model_put(&tenant, key, &Model::default(), when)
                    .await
                    .unwrap()
            }
        };
        put("old", NOW).await;
        put("new", at(1)).await;
        let mut raw = Raw::open(&db.url).await;
        raw.multiply(
            "model",
            "r.key = 'new'",
            &[("key", "text")],
            MODELS_PER_TENANT_MAX - 2,
        )
        .await;
        put("newest", at(2)).await;
        assert!(store.model(&tenant, "old").await.unwrap().is_none());
        assert!(store.model(&tenant, "new").await.unwrap().is_some());
        let count = raw.texts("SELECT CAST(count(*) AS TEXT) FROM model").await;
        assert_eq!(count, [MODELS_PER_TENANT_MAX.to_string()]);
    }
}

#[tokio::test]
async fn counting_stops_and_facets_are_as_short_as_their_limits() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        insert_device(store, &tenant, "S").await;
        let mut raw = Raw::open(&db.url).await;
        let other = [("id", "id"), ("model_name", "text")];
        raw.multiply("device", "true", &other, DEVICE_COUNT_MAX - 1)
            .await;
        let search = Search::new(DeviceFilter::default(), NOW);
        let count = || store.device_count(&tenant, &search);
        assert_eq!(count().await.unwrap(), (DEVICE_COUNT_MAX, false));
        raw.multiply("device", "r.model_name = 'M1'", &[("id", "id")], 1)
            .await;
        assert_eq!(count().await.unwrap(), (DEVICE_COUNT_MAX, true));
        let facets = |field| store.device_facets(&tenant, &search, field, "", usize::MAX);
        assert_eq!(
            facets(FacetField::Model).await.unwrap().len(),
            FACET_VALUES_MAX
        );
        // More than are looked at. Without the indexes, which would take most of the time.
        let indexes = raw.indexes("device").await;
        let made = indexes.iter().filter(|index| index.starts_with("device_"));
        for index in made.filter(|index| !index.starts_with("device_pkey")) {
            let index = index.split(' ').next().unwrap();
            raw.run(&format!("DROP INDEX {index}")).await;
        }
        let times = FACET_ROWS_MAX / DEVICE_COUNT_MAX;
        raw.multiply("device", "true", &[("id", "id")], times).await;
        for field in [FacetField::Manufacturer, FacetField::Presence] {
            let found = facets(field).await.unwrap();
            assert_eq!(found[0].count, FACET_ROWS_MAX, "{field:?}");
        }
    }
}

#[tokio::test]
async fn pages_of_operations_and_batches_of_retention_are_limited() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S").await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..PAGE_MAX + 5 {
            let (store, operation) = (store.clone(), reboot(&tenant, device));
            tasks.spawn(async move {
                let tenant = operation.tenant.clone();
                store
                    .operation_insert(&tenant, operation, None, vec![])
                    .await
                    .unwrap();
            });
        }
        tasks.join_all().await;
        let all = OperationFilter::default();
        let page = store
            .operation_list(&tenant, &all, None, usize::MAX)
            .await
            .unwrap();
        assert_eq!(
            page.len(),
            PAGE_MAX + 1,
            "and one that tells whether more follow"
        );
        let events =
            vec![event(&tenant, EventKind::DevicePeriodic); RETENTION_BATCH_MAX as usize + 7];
        store.event_append(&tenant, events).await.unwrap();
        assert_eq!(
            store.event_purge(&tenant, at(1)).await.unwrap(),
            RETENTION_BATCH_MAX
        );
        let left = store
            .events_after(&tenant, 0, &EventFilter::default(), 1)
            .await
            .unwrap();
        assert_eq!(left.events[0].seq, RETENTION_BATCH_MAX + 1);
    }
}

#[tokio::test]
async fn a_watcher_that_lags_is_told_so_and_the_log_has_everything() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let mut watcher = store.watch_events();
        let mut head = 0;
        for _ in 0..WATCH_LAG_MAX + 10 {
            let one = vec![event(&tenant, EventKind::DevicePeriodic)];
            head = store.event_append(&tenant, one).await.unwrap();
        }
        assert!(matches!(watcher.recv().await, Err(RecvError::Lagged(_))));
        assert_eq!(store.event_head(&tenant).await.unwrap(), head);
    }
}

#[tokio::test]
async fn writes_beyond_the_queue_wait_and_so_many_share_a_commit() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let mut watcher = store.watch_events();
        let writes = WRITE_QUEUE_MAX + WRITE_GROUP_MAX + 50;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..writes {
            let (store, tenant) = (store.clone(), tenant.clone());
            tasks.spawn(async move {
                let one = vec![event(&tenant, EventKind::DevicePeriodic)];
                store.event_append(&tenant, one).await.unwrap();
            });
        }
        tasks.join_all().await;
        // Each commit announces the head once; of two commits, the later may be announced first.
        let mut heads = BTreeSet::from([0, writes as u64]);
        let gaps = |heads: &BTreeSet<u64>| {
            let pairs = heads.iter().zip(heads.iter().skip(1));
            pairs
                .filter(|(a, b)| *b - *a > WRITE_GROUP_MAX as u64)
                .count()
        };
        while gaps(&heads) > 0 {
            let told = tokio::time::timeout(Duration::from_secs(30), watcher.recv()).await;
            let told = told.unwrap_or_else(|_| panic!("a commit of more than a group: {heads:?}"));
            heads.insert(told.unwrap().seq);
        }
    }
}

#[tokio::test]
async fn frequent_and_rare_words_are_found_alike_page_by_page() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let mut tasks = tokio::task::JoinSet::new();
        let count = SEARCH_LEAD_MAX as usize + 60;
        for n in 0..count {
            let (store, tenant) = (store.clone(), tenant.clone());
            tasks.spawn(async move {
                let mut device = new_device(&format!("CPE{n:06}"));
                device.description.manufacturer = format!("Frequent {}", n % 7);
                device.name = format!("kitchen{}", n % 900);
                store.device_insert(&tenant, device, vec![]).await.unwrap();
            });
        }
        tasks.join_all().await;
        assert_eq!(SEARCH_WORDS_MAX, 5);
        for (q, expected) in [
            ("frequent", count),
            ("FREQUENT gateway", count),
            ("frequent kitchen899", count / 900),
            ("kitchen899 cpe", count / 900),
            ("frequent 000123", 1),
            ("frequent kitchen899 nobody", 0),
            (
                "frequent frequent frequent frequent frequent frequent kitchen899",
                count / 900,
            ),
            ("frequent gateway kitchen cpe nobody", 0),
            // Beyond the fifth, words are not looked at.
            ("frequent gateway kitchen cpe 00256d nobody", count),
        ] {
            let filter = DeviceFilter {
                q: Some(q.to_owned()),
                ..DeviceFilter::default()
            };
            let search = Search::new(filter, NOW);
            let (mut cursor, mut names) = (None::<String>, Vec::new());
            loop {
                let page = store
                    .device_list(
                        &tenant,
                        &search,
                        DeviceSort::default(),
                        cursor.as_deref(),
                        500,
                    )
                    .await
                    .unwrap();
                names.extend(
                    page.devices
                        .into_iter()
                        .map(|one| (one.device.name, one.device.id)),
                );
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
            assert_eq!(names.len(), expected, "{q}");
            assert!(names.is_sorted(), "{q}");
            assert_eq!(
                store.device_count(&tenant, &search).await.unwrap(),
                (expected as u64, false),
                "{q}"
            );
        }
    }
}
