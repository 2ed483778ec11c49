//! What adapters remember.

use fleet::{DeviceId, EventKind};
use store::limits::{MODEL_STATES_PER_TENANT_MAX, STATE_BYTES_MAX, STATES_MAX};
use store::{Error, Revocation, Store};

use crate::world::{NOW, at, event, insert_device, tenant, worlds};

async fn kept(store: &Store, device: DeviceId, name: &str) -> Option<Vec<u8>> {
    store
        .state_get(&tenant("acme"), device, name)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_document_of_a_device_is_replaced_and_goes_with_the_device() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let put = |name: &'static str, document: &[u8]| {
            let put = document.to_vec();
            db.store.state_put(&tenant, device, name, put, NOW)
        };
        assert_eq!(kept(&db.store, device, "a").await, None);
        put("a", b"1").await.unwrap();
        put("a", &[0, 255]).await.unwrap();
        put("b", b"").await.unwrap();
        assert_eq!(kept(&db.store, device, "a").await, Some(vec![0, 255]));
        assert_eq!(kept(&db.store, device, "b").await, Some(vec![]));
        let names = ["a", "b", "c"];
        let all = db.store.state_get_all(&tenant, device, &names).await;
        let all: Vec<_> = all.unwrap().into_iter().collect();
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert_eq!(all, [(a, vec![0, 255]), (b, vec![])]);
        let gone = vec![event(&tenant, EventKind::DeviceDeleted)];
        let gone = db
            .store
            .device_delete(&tenant, device, Revocation::default(), gone);
        gone.await.unwrap();
        assert_eq!(kept(&db.store, device, "a").await, None);
        // What an adapter still wanted to write then leaves nothing behind.
        let late = put("a", b"late").await;
        assert!(matches!(late, Err(Error::NotFound("device"))), "{late:?}");
    }
}

#[tokio::test]
async fn what_a_person_decides_is_kept_or_dropped_together_with_its_event() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let change = |document: Option<&[u8]>| {
            let told = vec![event(&tenant, EventKind::DeviceWakeCredential).device(device)];
            let document = document.map(<[u8]>::to_vec);
            db.store
                .state_change(&tenant, device, "a", document, NOW, told)
        };
        let told = async || {
            let filter = store::EventFilter {
                kinds: vec![EventKind::DeviceWakeCredential],
                ..Default::default()
            };
            let page = db.store.events_after(&tenant, 0, &filter, 10).await;
            page.unwrap().events.len()
        };
        assert!(change(Some(b"1")).await.unwrap());
        assert_eq!(kept(&db.store, device, "a").await, Some(b"1".to_vec()));
        assert_eq!(told().await, 1);
        assert!(change(None).await.unwrap());
        assert_eq!(
            (kept(&db.store, device, "a").await, told().await),
            (None, 2)
        );
        // Nothing was there: nothing to tell.
        assert!(!change(None).await.unwrap());
        assert_eq!(told().await, 2);
    }
}

#[tokio::test]
async fn of_two_devices_that_are_one_the_documents_that_are_missing_go_along() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let from = insert_device(&db.store, &tenant, "S1").await;
        let into = insert_device(&db.store, &tenant, "S2").await;
        for (device, name, document) in [
            (from, "a", "from"),
            (from, "b", "from"),
            (into, "b", "into"),
        ] {
            let document = document.as_bytes().to_vec();
            db.store
                .state_put(&tenant, device, name, document, NOW)
                .await
                .unwrap();
        }
        db.store
            .device_merge(&tenant, from, into, vec![])
            .await
            .unwrap();
        assert_eq!(kept(&db.store, into, "a").await, Some(b"from".to_vec()));
        assert_eq!(kept(&db.store, into, "b").await, Some(b"into".to_vec()));
        assert_eq!(kept(&db.store, from, "b").await, None);
    }
}

#[tokio::test]
async fn documents_of_adapters_are_limited_in_size_and_number() {
    for db in worlds().await {
        let acme = tenant("acme");
        let device = insert_device(&db.store, &acme, "S1").await;
        let of_device = async |name: String, bytes: usize| {
            let put = db
                .store
                .state_put(&acme, device, &name, vec![1; bytes], NOW);
            put.await
        };
        let of_model = async |name: String, bytes: usize| {
            let put = db
                .store
                .model_state_put(&acme, "key", &name, vec![1; bytes], NOW);
            put.await
        };
        for n in 0..STATES_MAX {
            of_device(n.to_string(), 1).await.unwrap();
            of_model(n.to_string(), 1).await.unwrap();
        }
        of_device("0".to_owned(), STATE_BYTES_MAX).await.unwrap();
        of_model("0".to_owned(), STATE_BYTES_MAX).await.unwrap();
        for refused in [
            of_device("0".to_owned(), STATE_BYTES_MAX + 1).await,
            of_model("0".to_owned(), STATE_BYTES_MAX + 1).await,
            of_device("more".to_owned(), 1).await,
            of_model("more".to_owned(), 1).await,
        ] {
            let limit = matches!(refused, Err(Error::LimitExceeded { .. }));
            assert!(limit, "{refused:?}");
        }
    }
}

#[tokio::test]
async fn of_too_many_documents_of_models_the_one_not_written_for_longest_goes() {
    for db in worlds().await {
        let acme = tenant("acme");
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..MODEL_STATES_PER_TENANT_MAX {
            let (store, acme) = (db.store.clone(), acme.clone());
            tasks.spawn(async move {
                let seconds = i64::try_from(n).unwrap();
                let key = format!("model {n}");
                store
                    .model_state_put(&acme, &key, "batch", vec![1], at(seconds))
                    .await
                    .unwrap();
            });
        }
        tasks.join_all().await;
        let there = async |key: &str| {
            let found = db.store.model_state_get(&acme, key, "batch").await;
            found.unwrap().is_some()
        };
        assert!(there("model 0").await);
        let newest = i64::try_from(MODEL_STATES_PER_TENANT_MAX).unwrap();
        db.store
            .model_state_put(&acme, "new", "batch", vec![1], at(newest))
            .await
            .unwrap();
        assert!(there("new").await && there("model 1").await);
        assert!(!there("model 0").await);
    }
}
