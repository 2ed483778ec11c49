//! Certificates of devices: whose each is, and which do not count any more.

use fleet::{CertificateId, Event, EventKind, TenantId};
use store::limits::CERTIFICATES_PER_ENDPOINT_MAX;
use store::{CertificateFilter, Error, NewCertificate, Revocation, Store};

use crate::world::{NOW, at, bits, hash, insert_device, tenant, worlds};

fn new(n: u64, endpoint: &str) -> NewCertificate {
    NewCertificate {
        id: CertificateId::new(at(i64::try_from(n).unwrap()), bits()),
        endpoint_id: endpoint.to_owned(),
        fingerprint: hash(n),
        serial: format!("{n:x}"),
        issuer: "CN=ours".to_owned(),
        pem: "pem".to_owned(),
        not_before: NOW,
        not_after: at(1_000_000),
        replaces: None,
        created_at: NOW,
        created_by: "user:ada".to_owned(),
    }
}

fn revocation(when: i64) -> Revocation {
    Revocation {
        at: at(when),
        by: "user:ada".to_owned(),
        reason: "stolen".to_owned(),
    }
}

async fn issued(store: &Store, tenant_id: &str, new: &NewCertificate) {
    let tenant = tenant(tenant_id);
    let insert = store.certificate_insert(&tenant, new.clone(), vec![]);
    insert.await.unwrap();
}

/// A certificate for the test of isolation; each tenant has another.
fn of_tenant(tenant: &TenantId) -> NewCertificate {
    let n = tenant.as_str().bytes().map(u64::from).sum::<u64>() + 7_000;
    new(n, "os::00256D-SAME")
}

/// A row of this table.
pub async fn fill(store: &Store, tenant: &TenantId) {
    let mut new = of_tenant(tenant);
    new.id = CertificateId(uuid::Uuid::from_u128(7_000));
    store.certificate_insert(tenant, new, vec![]).await.unwrap();
}

/// What `me` gets when it names the row of another.
pub async fn intrude(store: &Store, me: &TenantId) {
    let id = CertificateId(uuid::Uuid::from_u128(7_000));
    crate::isolation::none(store.certificate(me, id).await);
    let all = CertificateFilter::default();
    let mine = store.certificate_list(me, &all, None, 9).await.unwrap();
    assert!(mine.is_empty());
    let revoked = store.certificate_revoke(me, id, revocation(1), vec![]);
    crate::isolation::none(revoked.await);
    let used = store.certificate_used(me, id, at(1), vec![]);
    assert!(!used.await.unwrap());
    // Nor does it take what is another's.
    let theirs = CertificateId::new(at(2), bits());
    let new = NewCertificate {
        id: theirs,
        ..of_tenant(&tenant("other"))
    };
    let taken = store.certificate_insert(me, new, vec![]).await;
    assert!(matches!(taken, Err(Error::Conflict { .. })), "{taken:?}");
}

#[tokio::test]
async fn a_certificate_is_found_by_its_fingerprint_and_revoked_once() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let (one, two) = (new(1, "os::1"), new(2, "os::2"));
        issued(store, "acme", &one).await;
        issued(store, "other", &two).await;
        let found = store.certificate_by_fingerprint(&hash(2)).await.unwrap();
        assert_eq!(found.unwrap().tenant, tenant("other"));
        assert!(
            store
                .certificate_by_fingerprint(&hash(3))
                .await
                .unwrap()
                .is_none()
        );
        // Nobody revokes what belongs to somebody else.
        let foreign = store.certificate_revoke(&acme, two.id, revocation(5), vec![]);
        assert!(matches!(foreign.await, Err(Error::NotFound(_))));
        assert_eq!(store.certificate_revoked_last().await.unwrap(), None);
        let event = Event::new(acme.clone(), NOW, EventKind::CertificateRevoked);
        for (when, fresh) in [(6, true), (7, false)] {
            let revoked =
                store.certificate_revoke(&acme, one.id, revocation(when), vec![event.clone()]);
            assert_eq!(revoked.await.unwrap(), fresh);
        }
        let record = store.certificate(&acme, one.id).await.unwrap();
        assert_eq!(
            (record.revoked_at, record.reason.as_str()),
            (Some(at(6)), "stolen")
        );
        assert_eq!(store.certificate_revoked_last().await.unwrap(), Some(at(6)));
        let all = [hash(1), hash(2), hash(3)];
        let among = store.certificate_revoked_among(&all).await.unwrap();
        assert_eq!(among, [hash(1)]);
        assert!(
            store
                .certificate_revoked_among(&[])
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_certificate_belongs_to_one_tenant_and_comes_into_use_once() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let one = new(1, "os::1");
        issued(store, "acme", &one).await;
        let again = NewCertificate {
            id: CertificateId::new(at(2), bits()),
            ..one.clone()
        };
        let other = tenant("other");
        let again = store.certificate_insert(&other, again, vec![]);
        assert!(matches!(again.await, Err(Error::Conflict { .. })));
        for (when, first) in [(3, true), (4, false)] {
            let used = store.certificate_used(&acme, one.id, at(when), vec![]);
            assert_eq!(used.await.unwrap(), first);
        }
        let record = store.certificate(&acme, one.id).await.unwrap();
        assert_eq!(record.first_used_at, Some(at(3)));
    }
}

#[tokio::test]
async fn which_certificate_of_an_endpoint_was_used_last_is_known() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let all = [new(1, "os::1"), new(2, "os::1"), new(3, "os::2")];
        for one in &all {
            issued(store, "acme", one).await;
        }
        let last = async || {
            let all = CertificateFilter::default();
            let mut all = store.certificate_list(&acme, &all, None, 9).await.unwrap();
            all.retain(|one| one.used_last && one.certificate.endpoint_id == "os::1");
            all.iter().map(|one| one.certificate.id).collect::<Vec<_>>()
        };
        assert_eq!(last().await, []);
        let uses = [(0, 3), (2, 4), (1, 5), (0, 6), (1, 2)];
        let seen = [all[0].id, all[0].id, all[1].id, all[0].id, all[0].id];
        for ((which, when), seen) in uses.into_iter().zip(seen) {
            let used = store.certificate_used(&acme, all[which].id, at(when), vec![]);
            used.await.unwrap();
            assert_eq!(last().await, [seen]);
        }
        // What is revoked is used no more.
        let revoked = store.certificate_revoke(&acme, all[0].id, revocation(9), vec![]);
        assert!(revoked.await.unwrap());
        assert_eq!(last().await, [all[1].id]);
    }
}

#[tokio::test]
async fn the_certificates_of_a_device_that_is_removed_are_revoked_with_it() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let device = insert_device(store, &acme, "S1").await;
        let endpoint = fleet::Identity::endpoint("os::1");
        let attached =
            store.identity_attach(&acme, device, vec![endpoint], String::new(), NOW, vec![]);
        attached.await.unwrap();
        let own = new(1, "os::1");
        let over = NewCertificate {
            not_after: at(1),
            ..new(2, "os::1")
        };
        let theirs = new(3, "os::1");
        issued(store, "acme", &own).await;
        issued(store, "acme", &over).await;
        issued(store, "acme", &new(4, "os::2")).await;
        issued(store, "other", &theirs).await;
        let gone = store.device_delete(&acme, device, revocation(5), vec![]);
        gone.await.unwrap();
        let record = store.certificate(&acme, own.id).await.unwrap();
        assert_eq!(
            (record.revoked_at, record.reason.as_str(), record.device),
            (Some(at(5)), "stolen", None)
        );
        let all = [hash(1), hash(2), hash(3), hash(4)];
        let among = store.certificate_revoked_among(&all).await.unwrap();
        assert_eq!(among, [hash(1)]);
    }
}

/// `CERTIFICATES_PER_ENDPOINT_MAX`
#[tokio::test]
async fn an_endpoint_has_so_many_certificates_and_only_expired_ones_make_room() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let max = CERTIFICATES_PER_ENDPOINT_MAX;
        for n in 1..=max {
            issued(store, "acme", &new(n, "os::1")).await;
        }
        let first = CertificateFilter {
            endpoint_id: Some("os::1".to_owned()),
            ..CertificateFilter::default()
        };
        let all = store
            .certificate_list(&acme, &first, None, 500)
            .await
            .unwrap();
        assert_eq!(all.len() as u64, max);
        // The newest first, and a revoked one stays.
        let last = all.last().unwrap().certificate.id;
        store
            .certificate_revoke(&acme, last, revocation(5), vec![])
            .await
            .unwrap();
        let more = store.certificate_insert(&acme, new(max + 1, "os::1"), vec![]);
        assert!(matches!(more.await, Err(Error::LimitExceeded { .. })));
        issued(store, "acme", &new(max + 2, "os::2")).await;
        let late = NewCertificate {
            created_at: at(1_000_000),
            ..new(max + 3, "os::1")
        };
        issued(store, "acme", &late).await;
        let left = store
            .certificate_list(&acme, &first, None, 500)
            .await
            .unwrap();
        assert_eq!(left.len(), 1);
    }
}

#[tokio::test]
async fn certificates_are_listed_by_page_state_and_end() {
    for db in worlds().await {
        let (acme, store) = (tenant("acme"), &db.store);
        let mut ids = Vec::new();
        for n in 1..=4u64 {
            let one = NewCertificate {
                not_after: at(100 * i64::try_from(n).unwrap()),
                ..new(n, "os::1")
            };
            issued(store, "acme", &one).await;
            ids.push(one.id);
        }
        store
            .certificate_revoke(&acme, ids[0], revocation(5), vec![])
            .await
            .unwrap();
        let list = async |filter: CertificateFilter, before| {
            let found = store.certificate_list(&acme, &filter, before, 500).await;
            let found = found.unwrap().into_iter();
            found.map(|one| one.certificate.id).collect::<Vec<_>>()
        };
        let all = CertificateFilter::default;
        assert_eq!(list(all(), Some(ids[2])).await, [ids[1], ids[0]]);
        let revoked = |revoked| CertificateFilter {
            revoked: Some(revoked),
            ..all()
        };
        assert_eq!(list(revoked(true), None).await, [ids[0]]);
        assert_eq!(list(revoked(false), None).await, [ids[3], ids[2], ids[1]]);
        let soon = CertificateFilter {
            ends_before: Some(at(201)),
            ..revoked(false)
        };
        assert_eq!(list(soon, None).await, [ids[1]]);
    }
}
