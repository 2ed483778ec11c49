//! Setup keys whose text can be read again with the master key.

use fleet::SetupKeyId;
use store::NewSetupKey;
use store::limits::SETUP_KEYS_READABLE_MAX;

use crate::world::{NOW, at, bits, hash, tenant, worlds};

#[tokio::test]
async fn only_usable_keys_with_a_sealed_copy_are_tried_and_no_more_than_the_limit() {
    for db in worlds().await {
        let acme = tenant("acme");
        let insert = async |n: u64, sealed: bool, expires_at: Option<i64>| {
            let key = NewSetupKey {
                id: SetupKeyId::new(at(i64::try_from(n).unwrap()), bits()),
                name: format!("key {n}"),
                hash: hash(n),
                sealed: sealed.then(|| n.to_be_bytes().to_vec()),
                prefix: "hes_1234".to_owned(),
                created_at: NOW,
                created_by: None,
                expires_at: expires_at.map(at),
                uses_max: None,
            };
            let id = key.id;
            db.store.setup_key_insert(&acme, key, vec![]).await.unwrap();
            id
        };
        let old = insert(1, false, None).await;
        insert(2, true, Some(10)).await;
        let revoked = insert(3, true, None).await;
        let good = insert(4, true, Some(11)).await;
        db.store
            .setup_key_revoke(&acme, revoked, NOW, vec![])
            .await
            .unwrap();
        let found = db.store.setup_key_list_sealed(&acme, at(10)).await.unwrap();
        let found: Vec<_> = found
            .into_iter()
            .map(|(key, text)| (key.id, text))
            .collect();
        assert_eq!(found, [(good, 4u64.to_be_bytes().to_vec())]);
        assert!(!db.store.setup_key(&acme, old).await.unwrap().readable);
        assert!(db.store.setup_key(&acme, good).await.unwrap().readable);
        for n in 0..SETUP_KEYS_READABLE_MAX + 1 {
            insert(100 + n, true, None).await;
        }
        let found = db.store.setup_key_list_sealed(&acme, at(10)).await.unwrap();
        assert_eq!(found.len() as u64, SETUP_KEYS_READABLE_MAX);
        // The newest first.
        assert_eq!(found[0].1, (100 + SETUP_KEYS_READABLE_MAX).to_be_bytes());
    }
}
