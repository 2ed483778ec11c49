//! Setup keys that are swapped for credentials, by one of several nodes.

use fleet::onboarding::TokenStatus;
use fleet::{Identity, NodeId, SetupKeyId, TenantId};
use store::{Revocation, Store, Swap, SwapClaim};

use crate::world::{NOW, at, hash, insert_device, insert_tenant, new_device, tenant, worlds};

const MQTT: &str = "mqtt";

fn claim(node: &str, seconds: i64) -> SwapClaim {
    SwapClaim {
        node: NodeId::parse(node).unwrap(),
        at: at(seconds),
        until: at(seconds + 60),
        alone: false,
        brokered: false,
    }
}

fn key(n: u128) -> SetupKeyId {
    SetupKeyId(uuid::Uuid::from_u128(n))
}

#[tokio::test]
async fn of_several_nodes_one_swaps_and_what_it_sent_stays_good_until_the_device_shows_what_it_took()
 {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        let came = store.path_came(&tenant, device, MQTT, "os::0-S1", key(1));
        came.await.unwrap();
        let swap = async |node, seconds, n| {
            let claim = claim(node, seconds);
            let swapped = store.path_swap(&tenant, device, MQTT, hash(n), claim, vec![]);
            match swapped.await.unwrap() {
                Swap::Claimed => true,
                Swap::Held(until) => {
                    assert!(until > at(seconds), "it is over by then");
                    false
                }
                Swap::Over => panic!("it has shown nothing"),
            }
        };
        let status = async |n| {
            let found = store.path_by_credential(&hash(n)).await.unwrap();
            found.map(|found| found.status)
        };
        let both = tokio::join!(swap("n1", 0, 1), swap("n2", 0, 2));
        assert!(both.0 != both.1, "{both:?}");
        let (holder, other, sent) = match both.0 {
            true => ("n1", "n2", 1),
            false => ("n2", "n1", 2),
        };
        assert_eq!(status(sent).await, Some(TokenStatus::Pending));
        assert_eq!(status(3 - sent).await, None);
        assert!(!swap(other, 59, 3).await);
        // Who holds it may send another; so may anybody once its time is over, or it gave up.
        assert!(swap(holder, 10, 4).await);
        assert_eq!(status(sent).await, Some(TokenStatus::Pending));
        assert!(swap(other, 70, 5).await);
        assert!(!swap(holder, 71, 6).await);
        let node = |name| NodeId::parse(name).unwrap();
        for (who, free) in [(holder, false), (other, true)] {
            let who = node(who);
            let over = store.path_swap_over(&tenant, device, MQTT, &who, at(72), vec![]);
            over.await.unwrap();
            assert!(!swap(holder, 71, 6).await);
            assert_eq!(swap(holder, 72, 6).await, free);
        }
        // The one before the last is what it took; the last may still be on its way.
        let path = async || store.path(&tenant, device, MQTT).await.unwrap().unwrap();
        assert_eq!(path().await.swap_key, Some(key(1)));
        let confirmed = async |n| {
            let confirmed = store.path_confirm(&tenant, device, MQTT, hash(n), vec![]);
            confirmed.await.unwrap()
        };
        assert!(confirmed(5).await && !confirmed(5).await);
        assert_eq!(status(5).await, Some(TokenStatus::Current));
        assert_eq!(status(6).await, Some(TokenStatus::Pending));
        assert_eq!(path().await.swap_key, None);
        assert!(confirmed(6).await);
        assert_eq!(status(5).await, Some(TokenStatus::Superseded));
        assert_eq!(path().await.pending_at, None);
    }
}

#[tokio::test]
async fn who_has_the_only_link_of_a_device_does_not_wait_for_a_node_that_had_it() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        let came = store.path_came(&tenant, device, MQTT, "os::0-S1", key(1));
        came.await.unwrap();
        let swap = async |node, n, alone| {
            let claim = SwapClaim {
                alone,
                ..claim(node, 0)
            };
            let swapped = store.path_swap(&tenant, device, MQTT, hash(n), claim, vec![]);
            swapped.await.unwrap()
        };
        assert_eq!(swap("n1", 1, false).await, Swap::Claimed);
        assert_eq!(swap("n2", 2, false).await, Swap::Held(at(60)));
        assert_eq!(swap("n2", 3, true).await, Swap::Claimed);
        assert_eq!(swap("n1", 4, false).await, Swap::Held(at(60)));
        // What either has sent opens it.
        for n in [1, 3] {
            let found = store.path_by_credential(&hash(n)).await.unwrap();
            assert_eq!(found.unwrap().status, TokenStatus::Pending);
        }
    }
}

#[tokio::test]
async fn what_a_device_has_shown_through_a_broker_takes_its_setup_key_back_for_nodes_that_are_late()
{
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        let came = store.path_came(&tenant, device, MQTT, "os::0-S1", key(1));
        came.await.unwrap();
        let swap = async |node, n, brokered| {
            let claim = SwapClaim {
                brokered,
                ..claim(node, 0)
            };
            let swapped = store.path_swap(&tenant, device, MQTT, hash(n), claim, vec![]);
            swapped.await.unwrap()
        };
        assert_eq!(swap("n1", 1, true).await, Swap::Claimed);
        assert_eq!(swap("n2", 2, true).await, Swap::Held(at(60)));
        let shown = store.path_confirm(&tenant, device, MQTT, hash(1), vec![]);
        assert!(shown.await.unwrap());
        for node in ["n1", "n2"] {
            assert_eq!(swap(node, 3, true).await, Swap::Over);
        }
        assert_eq!(store.path_by_credential(&hash(3)).await.unwrap(), None);
        // A link of its own that it came over with a setup key says more, and so does that it came to the broker again.
        assert_eq!(swap("n1", 4, false).await, Swap::Claimed);
        let came = store.path_came(&tenant, device, MQTT, "os::0-S1", key(1));
        came.await.unwrap();
        assert_eq!(swap("n1", 5, true).await, Swap::Claimed);
    }
}

#[tokio::test]
async fn that_a_device_came_with_a_setup_key_is_known_until_it_comes_with_something_better() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        let wanted = async || {
            let path = store.path(&tenant, device, MQTT).await.unwrap().unwrap();
            (path.setup_key, path.swap_key)
        };
        for n in [1, 2] {
            let came = store.path_came(&tenant, device, MQTT, "os::0-S1", key(n));
            came.await.unwrap();
            assert_eq!(wanted().await, (Some(key(n)), Some(key(n))));
        }
        let itself = store.path_came_itself(&tenant, device, MQTT);
        itself.await.unwrap();
        assert_eq!(wanted().await, (Some(key(2)), None));
    }
}

#[tokio::test]
async fn who_had_an_endpoint_id_first_is_found_in_whichever_tenant() {
    for db in worlds().await {
        let store = &db.store;
        insert_tenant(store, "third").await;
        let mut ids = Vec::new();
        for (n, slug) in (1..).zip(["acme", "other", "third"]) {
            let mut new = new_device(&format!("N{n}"));
            new.id = fleet::DeviceId::new(at(n), [0; 10]);
            new.identities = vec![Identity::endpoint("os::0-SAME")];
            ids.push(new.id);
            let whose = tenant(slug);
            store.device_insert(&whose, new, vec![]).await.unwrap();
        }
        let before = async |device, limit| {
            let found = store.endpoint_known_before("os::0-SAME", device, limit);
            let names = found.await.unwrap().into_iter().map(|one| one.to_string());
            names.collect::<Vec<_>>()
        };
        assert!(before(Some(ids[0]), 9).await.is_empty());
        assert_eq!(before(Some(ids[2]), 9).await, ["acme", "other"]);
        assert_eq!(before(None, 9).await, ["acme", "other", "third"]);
        assert_eq!(before(None, 1).await, ["acme"]);
        let nobody = store.endpoint_known_before("os::0-OTHER", None, 9);
        assert!(nobody.await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_queue_stays_with_who_had_it_first_and_of_each_only_the_last_are_known() {
    for db in worlds().await {
        let (store, acme, other) = (&db.store, tenant("acme"), tenant("other"));
        let belongs = async |whose, names: &[&str], queue: &str, seconds| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let belongs = store.broker_queue_belongs(whose, &names, queue, at(seconds), 2);
            belongs.await.unwrap()
        };
        assert!(belongs(&acme, &["A"], "q", 1).await && belongs(&acme, &["A"], "q", 2).await);
        assert!(!belongs(&acme, &["B"], "q", 3).await && !belongs(&other, &["A"], "q", 3).await);
        assert!(belongs(&acme, &["B", "A"], "q", 3).await && !belongs(&acme, &[], "r", 3).await);
        // Who has many forgets its own, and nobody else's.
        for n in 0..5 {
            assert!(belongs(&acme, &["B"], &format!("b{n}"), 4 + n).await);
        }
        assert!(!belongs(&other, &["A"], "b3", 10).await && !belongs(&acme, &["B"], "q", 10).await);
        assert!(belongs(&other, &["A"], "b0", 10).await);
        let both = tokio::join!(
            belongs(&acme, &["A"], "new", 11),
            belongs(&other, &["A"], "new", 11),
        );
        assert!(both.0 != both.1, "{both:?}");
    }
}

#[tokio::test]
async fn a_queue_in_use_is_not_forgotten_and_that_of_a_removed_device_stays_its_tenants_for_a_while()
 {
    for db in worlds().await {
        let (store, acme, other) = (&db.store, tenant("acme"), tenant("other"));
        let device = insert_device(store, &acme, "S1").await;
        let endpoint = "os::00256D-S1".to_owned();
        let belongs = async |whose, name: &str, queue: &str, at| {
            let names = [name.to_owned()];
            let belongs = store.broker_queue_belongs(whose, &names, queue, at, 2);
            belongs.await.unwrap()
        };
        let day = |n: i64| at(n * 24 * 3600);
        assert!(belongs(&acme, &endpoint, "q", day(0)).await);
        assert!(belongs(&acme, &endpoint, "a", day(1)).await);
        // It is still used, so "a" is the oldest.
        assert!(belongs(&acme, &endpoint, "q", day(2)).await);
        assert!(belongs(&acme, &endpoint, "b", day(3)).await);
        assert!(!belongs(&other, "X", "q", day(3)).await);
        assert!(belongs(&other, "X", "a", day(3)).await);
        // Long after it was last asked about them: a connection stays for as long as it likes.
        let removed = Revocation {
            at: day(60),
            ..Revocation::default()
        };
        let delete = store.device_delete(&acme, device, removed, vec![]);
        delete.await.unwrap();
        assert!(!belongs(&other, "X", "q", day(61)).await);
        assert!(belongs(&acme, "Y", "b", day(61)).await);
        let late = day(60).plus(store::limits::BROKER_QUEUE_KEPT);
        assert!(belongs(&other, "X", "q", late).await && !belongs(&acme, "Y", "q", late).await);
    }
}

#[tokio::test]
async fn tenants_that_take_the_same_queues_in_turn_do_not_wait_for_each_other() {
    for db in worlds().await {
        let (acme, other) = (tenant("acme"), tenant("other"));
        // Two nodes; SQLite has one.
        let beside = match db.url.starts_with("postgres") {
            true => Store::open(&db.url).await.unwrap(),
            false => db.store.clone(),
        };
        for round in 0..20 {
            let take = async |whose: &TenantId, n: u32| {
                let queue = format!("{round}-{n}");
                let names = [format!("os::{whose}")];
                let store = if *whose == acme { &db.store } else { &beside };
                let belongs = store.broker_queue_belongs(whose, &names, &queue, NOW, 100);
                belongs.await.unwrap()
            };
            let (acme, other) = (&acme, &other);
            let took = tokio::join!(
                take(acme, 1),
                take(acme, 2),
                take(acme, 3),
                take(acme, 4),
                take(other, 4),
                take(other, 3),
                take(other, 2),
                take(other, 1),
            );
            let (a, b) = (
                [took.0, took.1, took.2, took.3],
                [took.7, took.6, took.5, took.4],
            );
            assert!(a.iter().zip(b).all(|(a, b)| *a != b), "{took:?}");
        }
    }
}
