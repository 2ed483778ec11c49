//! Devices: identities, the list with its filters, pages, counts and facets.

use fleet::presence::{PresenceConfig, presence};
use fleet::{DeviceId, EventKind, Identity, IdentityKind, NodeId, Presence, TenantId, Timestamp};
use store::limits::TEXT_CHARS_MAX;
use store::path::{PathEnd, PathLink};
use store::{
    DeviceFilter, DevicePatch, DeviceSort, DeviceSortBy, Error, EventFilter, FacetField, Heard,
    Revocation, Search, Store,
};

use crate::world::{NOW, at, bits, event, insert_device, new_device, reboot, tenant, worlds};

fn mac(value: &str) -> Identity {
    Identity {
        kind: IdentityKind::Mac,
        value: value.to_owned(),
    }
}

fn by(by: DeviceSortBy, descending: bool) -> DeviceSort {
    DeviceSort { by, descending }
}

async fn found(store: &Store, tenant: &TenantId, filter: DeviceFilter) -> Vec<String> {
    let search = Search::new(filter, NOW);
    let page = store
        .device_list(tenant, &search, DeviceSort::default(), None, 500)
        .await
        .unwrap();
    let (count, more) = store.device_count(tenant, &search).await.unwrap();
    assert_eq!((count, more), (page.devices.len() as u64, false));
    page.devices
        .into_iter()
        .map(|d| d.device.description.serial)
        .collect()
}

fn link(at: Timestamp) -> PathLink {
    PathLink {
        transport: "websocket".to_owned(),
        endpoint_id: "os::x".to_owned(),
        node: NodeId::parse("n1").unwrap(),
        peer: "192.0.2.7:1234".to_owned(),
        authenticated_by: "setup_key".to_owned(),
        setup_key: None,
        info: serde_json::json!({}),
        at,
    }
}

fn heard(device: DeviceId, at: Timestamp) -> Heard {
    Heard {
        device,
        transport: "websocket",
        at,
    }
}

#[tokio::test]
async fn a_device_reads_back_as_it_was_made_and_changed() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let mut new = new_device("S1");
        new.tags = vec!["vip".to_owned()];
        let events = vec![event(&tenant, EventKind::DeviceCreated).device(new.id)];
        db.store
            .device_insert(&tenant, new.clone(), events)
            .await
            .unwrap();
        let record = db.store.device(&tenant, new.id).await.unwrap();
        assert_eq!(record.device.description, new.description);
        assert_eq!(record.device.tags, new.tags);
        assert_eq!(record.endpoint_id, "os::00256D-S1");
        assert_eq!(
            presence(&record.device.evidence, NOW, &PresenceConfig::default()),
            Presence::Never
        );
        let patch = DevicePatch {
            name: Some("Kitchen".to_owned()),
            tags: Some(vec!["b".to_owned(), "c".to_owned()]),
            onboarding: Some(fleet::device::OnboardingState::Complete),
            external_ip: Some("203.0.113.5".to_owned()),
            boot: Some((at(5), "LocalReboot".to_owned())),
            ..DevicePatch::default()
        };
        let events = vec![event(&tenant, EventKind::DeviceUpdated).device(new.id)];
        db.store
            .device_update(&tenant, new.id, patch, at(9), events)
            .await
            .unwrap();
        let record = db.store.device(&tenant, new.id).await.unwrap();
        assert_eq!(record.device.name, "Kitchen");
        assert_eq!(
            record.device.onboarding,
            fleet::device::OnboardingState::Complete
        );
        assert_eq!(
            (record.device.booted_at, record.updated_at),
            (Some(at(5)), at(9))
        );
        let tagged = |tag: &str| DeviceFilter {
            tags: vec![tag.to_owned()],
            ..DeviceFilter::default()
        };
        assert_eq!(found(&db.store, &tenant, tagged("c")).await, ["S1"]);
        assert!(found(&db.store, &tenant, tagged("vip")).await.is_empty());
        let page = db
            .store
            .events_after(&tenant, 0, &EventFilter::default(), 9)
            .await
            .unwrap();
        assert_eq!(page.events.len(), 2);
    }
}

#[tokio::test]
async fn a_device_is_found_by_the_address_that_is_shown() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "A").await;
        insert_device(&db.store, &tenant, "B").await;
        let found_by = async |ip: &str| {
            let filter = DeviceFilter {
                ip: vec![ip.to_owned()],
                ..DeviceFilter::default()
            };
            let word = DeviceFilter {
                q: Some(ip.to_owned()),
                ..DeviceFilter::default()
            };
            let found_by = found(&db.store, &tenant, filter).await;
            assert_eq!(found_by, found(&db.store, &tenant, word).await, "{ip}");
            found_by
        };
        let come = async |peer: &str| {
            let link = PathLink {
                peer: peer.to_owned(),
                ..link(at(1))
            };
            let come = db.store.path_connected(&tenant, device, link, vec![]);
            come.await.unwrap();
            db.store.device(&tenant, device).await.unwrap().ip()
        };
        assert!(found_by("192.0.2.7").await.is_empty());
        let mut last = None;
        for (peer, ip) in [
            ("192.0.2.7:1234", "192.0.2.7"),
            ("192.0.2.7:1235", "192.0.2.7"),
            ("10.20.30.40:5", "10.20.30.40"),
            ("[2001:db8::7]:1234", "2001:db8::7"),
        ] {
            assert_eq!(come(peer).await, ip);
            assert_eq!(found_by(ip).await, ["A"]);
            if let Some(last) = last.filter(|last| *last != ip) {
                assert!(found_by(last).await.is_empty(), "{last}");
            }
            last = Some(ip);
        }
        assert!(found_by("2001:db8::70").await.is_empty());
        let patch = DevicePatch {
            external_ip: Some("203.0.113.5".to_owned()),
            ..DevicePatch::default()
        };
        let told = db.store.device_update(&tenant, device, patch, NOW, vec![]);
        told.await.unwrap();
        assert_eq!(come("192.0.2.7:1").await, "203.0.113.5");
        assert_eq!(found_by("203.0.113.5").await, ["A"]);
        assert!(found_by("192.0.2.7").await.is_empty());
        assert!(found_by("2001:db8::7").await.is_empty());
    }
}

#[tokio::test]
async fn an_identity_leads_to_one_device() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let a = insert_device(&db.store, &tenant, "A").await;
        let b = insert_device(&db.store, &tenant, "B").await;
        let both = vec![mac("00:25:6d:aa:bb:cc"), Identity::endpoint("os::00256D-A")];
        let taken = db
            .store
            .identity_attach(&tenant, b, both, "test".to_owned(), NOW, vec![])
            .await
            .unwrap();
        assert_eq!(taken.len(), 1);
        assert_eq!(
            (taken[0].device, &taken[0].identity),
            (a, &Identity::endpoint("os::00256D-A"))
        );
        let leads = db
            .store
            .device_by_identity(&tenant, &mac("00:25:6d:aa:bb:cc"))
            .await
            .unwrap();
        assert_eq!(leads, Some(b));
        assert_eq!(db.store.identity_list(&tenant, b).await.unwrap().len(), 2);
        let mut third = new_device("C");
        third.identities.push(mac("00:25:6d:aa:bb:cc"));
        let events = vec![event(&tenant, EventKind::DeviceCreated)];
        let done = db.store.device_insert(&tenant, third, events).await;
        assert!(matches!(
            done,
            Err(Error::Conflict {
                what: "device identity",
                ..
            })
        ));
        assert_eq!(db.store.event_head(&tenant).await.unwrap(), 0);
        db.store
            .identity_detach(&tenant, b, mac("00:25:6d:aa:bb:cc"), vec![])
            .await
            .unwrap();
        assert_eq!(
            db.store
                .device_by_identity(&tenant, &mac("00:25:6d:aa:bb:cc"))
                .await
                .unwrap(),
            None
        );
    }
}

#[tokio::test]
async fn two_devices_that_are_one_become_one() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let from = insert_device(&db.store, &tenant, "A").await;
        let into = insert_device(&db.store, &tenant, "B").await;
        let mut ids = Vec::new();
        for device in [into, from, from] {
            let op = reboot(&tenant, device);
            ids.push(op.id);
            db.store
                .operation_insert(&tenant, op, None, vec![])
                .await
                .unwrap();
        }
        let merged = vec![event(&tenant, EventKind::DeviceMerged).device(into)];
        db.store
            .device_merge(&tenant, from, into, merged)
            .await
            .unwrap();
        assert!(matches!(
            db.store.device(&tenant, from).await,
            Err(Error::NotFound(_))
        ));
        let leads = db
            .store
            .device_by_identity(&tenant, &Identity::endpoint("os::00256D-A"))
            .await
            .unwrap();
        assert_eq!(leads, Some(into));
        assert_eq!(
            db.store.operation_open_count(&tenant, into).await.unwrap(),
            3
        );
        let list = db
            .store
            .operation_list(&tenant, &Default::default(), None, 9)
            .await
            .unwrap();
        assert!(list.iter().all(|record| record.operation.device == into));
        // In the order in which they were asked of each, behind those of the one that stays.
        let mut queue: Vec<_> = list
            .iter()
            .map(|one| (one.sequence, one.operation.id))
            .collect();
        queue.sort();
        let wanted: Vec<_> = (1..).zip(ids).collect();
        assert_eq!(queue, wanted);
        let q = DeviceFilter {
            q: Some("os::00256D-A".to_owned()),
            ..DeviceFilter::default()
        };
        assert_eq!(found(&db.store, &tenant, q).await, ["B"]);
    }
}

#[tokio::test]
async fn devices_are_found_by_what_people_type() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let mut a = new_device("CPE0012345");
        a.name = "Smith, kitchen".to_owned();
        a.identities.push(mac("00:25:6D:AA:BB:CC"));
        let mut b = new_device("CPE0099999");
        b.description.model = "Mesh Extender".to_owned();
        b.tags = vec!["vip".to_owned()];
        for new in [a, b] {
            db.store.device_insert(&tenant, new, vec![]).await.unwrap();
        }
        for (q, serials) in [
            ("cpe0012345", &["CPE0012345"][..]),
            ("CPE00", &["CPE0099999", "CPE0012345"]),
            ("12345", &["CPE0012345"]),
            ("smith", &["CPE0012345"]),
            ("KITCHEN smith", &["CPE0012345"]),
            ("kitchen extender", &[]),
            ("aa:bb:cc", &["CPE0012345"]),
            ("AABBCC", &["CPE0012345"]),
            ("00256daabbcc", &["CPE0012345"]),
            ("os::00256D-CPE0099", &["CPE0099999"]),
            ("mesh", &["CPE0099999"]),
            ("vip", &["CPE0099999"]),
            ("%", &[]),
            ("  ", &["CPE0099999", "CPE0012345"]),
        ] {
            let filter = DeviceFilter {
                q: Some(q.to_owned()),
                ..DeviceFilter::default()
            };
            assert_eq!(found(&db.store, &tenant, filter).await, serials, "{q:?}");
        }
        let patch = DevicePatch {
            name: Some("Miller".to_owned()),
            ..DevicePatch::default()
        };
        let id = db
            .store
            .device_by_identity(&tenant, &mac("00:25:6D:AA:BB:CC"))
            .await
            .unwrap()
            .unwrap();
        db.store
            .device_update(&tenant, id, patch, NOW, vec![])
            .await
            .unwrap();
        for (q, count) in [("smith", 0), ("miller", 1)] {
            let filter = DeviceFilter {
                q: Some(q.to_owned()),
                ..DeviceFilter::default()
            };
            assert_eq!(
                found(&db.store, &tenant, filter).await.len(),
                count,
                "{q:?}"
            );
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition_in_every_order() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let mut ids: Vec<DeviceId> = Vec::new();
        for n in 0..25 {
            let mut new = new_device(&format!("S{:02}", (n * 7) % 25));
            new.description.manufacturer = format!("Maker {}", n % 3);
            new.description.model = if n % 2 == 0 {
                String::new()
            } else {
                "Größe".to_owned()
            };
            new.id = DeviceId::new(at(n), bits());
            ids.push(new.id);
            db.store.device_insert(&tenant, new, vec![]).await.unwrap();
            let heard = vec![heard(ids[n as usize], at(-(n % 4)))];
            db.store.path_heard(&tenant, heard).await.unwrap();
        }
        let search = Search::new(DeviceFilter::default(), NOW);
        for column in [
            DeviceSortBy::Name,
            DeviceSortBy::Manufacturer,
            DeviceSortBy::Model,
            DeviceSortBy::SoftwareVersion,
            DeviceSortBy::Serial,
            DeviceSortBy::Heard,
            DeviceSortBy::Created,
        ] {
            let mut orders = Vec::new();
            for descending in [false, true] {
                let (mut all, mut cursor) = (Vec::new(), None);
                loop {
                    let sort = by(column, descending);
                    let page = db
                        .store
                        .device_list(&tenant, &search, sort, cursor.as_deref(), 4)
                        .await
                        .unwrap();
                    assert!(page.devices.len() <= 4);
                    all.extend(page.devices.iter().map(|d| d.device.id));
                    cursor = page.next;
                    if cursor.is_none() {
                        break;
                    }
                }
                orders.push(all);
            }
            orders[1].reverse();
            assert_eq!(orders[0], orders[1], "{column:?}");
            let mut sorted = orders[0].clone();
            sorted.sort();
            assert_eq!(sorted, ids, "{column:?}");
        }
        for cursor in [
            "",
            "x",
            "é",
            &"0".repeat(37),
            &format!("{}zz", ids[0]),
            &format!("{}ff", ids[0]),
        ] {
            let sort = DeviceSort::default();
            let page = db
                .store
                .device_list(&tenant, &search, sort, Some(cursor), 4)
                .await;
            assert!(matches!(page, Err(Error::Invalid(_))), "{cursor:?}");
        }
    }
}

#[tokio::test]
async fn presence_filters_say_what_fleet_derives() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let times = [
            None,
            Some(at(-1000)),
            Some(at(-180)),
            Some(at(-179)),
            Some(at(0)),
        ];
        let mut n = 0;
        for up in times {
            for down in times {
                for when in times {
                    let device = insert_device(&db.store, &tenant, &format!("P{n}")).await;
                    n += 1;
                    let Some(up) = up else {
                        db.store
                            .path_heard(
                                &tenant,
                                when.map(|at| heard(device, at)).into_iter().collect(),
                            )
                            .await
                            .unwrap();
                        continue;
                    };
                    let number = db
                        .store
                        .path_connected(&tenant, device, link(up), vec![])
                        .await
                        .unwrap();
                    if let Some(when) = when {
                        db.store
                            .path_heard(&tenant, vec![heard(device, when)])
                            .await
                            .unwrap();
                    }
                    if let Some(down) = down {
                        let end = PathEnd {
                            transport: "websocket".to_owned(),
                            link: number,
                            reason: "test".to_owned(),
                            at: down,
                            back_by: None,
                        };
                        assert!(
                            db.store
                                .path_disconnected(&tenant, device, end, vec![])
                                .await
                                .unwrap()
                        );
                    }
                }
            }
        }
        // Devices that come at intervals, some of which have a link too.
        for up in [None, Some(at(-1000)), Some(at(-100))] {
            for heard in [-1000, -300, -100] {
                for given in [100, 200, 400] {
                    let device = insert_device(&db.store, &tenant, &format!("P{n}")).await;
                    n += 1;
                    if let Some(up) = up {
                        db.store
                            .path_connected(&tenant, device, link(up), vec![])
                            .await
                            .unwrap();
                    }
                    let visit = crate::visit::visit(device, heard, heard + given);
                    db.store.device_visited(&tenant, vec![visit]).await.unwrap();
                }
            }
        }
        let all = Search::new(DeviceFilter::default(), NOW);
        let all = db
            .store
            .device_list(&tenant, &all, DeviceSort::default(), None, 500)
            .await
            .unwrap();
        let mut total = 0;
        for wanted in Presence::ALL {
            let mut expected: Vec<String> = all
                .devices
                .iter()
                .filter(|d| presence(&d.device.evidence, NOW, &PresenceConfig::default()) == wanted)
                .map(|d| d.device.description.serial.clone())
                .collect();
            let filter = DeviceFilter {
                presence: vec![wanted],
                ..DeviceFilter::default()
            };
            let mut got = found(&db.store, &tenant, filter).await;
            expected.sort();
            got.sort();
            assert_eq!(got, expected, "{wanted:?}");
            assert!(!got.is_empty(), "{wanted:?}");
            total += got.len();
        }
        assert_eq!(total, 125 + 27);
        let search = Search::new(DeviceFilter::default(), NOW);
        let facets = db
            .store
            .device_facets(&tenant, &search, FacetField::Presence, "", 9)
            .await
            .unwrap();
        assert_eq!(facets.iter().map(|facet| facet.count).sum::<u64>(), 152);
    }
}

#[tokio::test]
async fn facets_count_the_values_of_the_devices_that_match() {
    for db in worlds().await {
        let tenant = tenant("acme");
        for n in 0..9 {
            let mut new = new_device(&format!("F{n}"));
            new.description.model = ["Alpha", "Beta", "Alps"][n % 3].to_owned();
            new.description.software_version = if n < 3 { "1.0" } else { "2.0" }.to_owned();
            new.tags = if n == 4 {
                vec!["vip".to_owned()]
            } else {
                vec![]
            };
            db.store.device_insert(&tenant, new, vec![]).await.unwrap();
        }
        let filter = DeviceFilter {
            software_version: vec!["2.0".to_owned()],
            ..DeviceFilter::default()
        };
        let search = Search::new(filter, NOW);
        let facets = |field, prefix: &'static str| {
            let (store, tenant, search) = (db.store.clone(), tenant.clone(), search.clone());
            async move {
                let facets = store
                    .device_facets(&tenant, &search, field, prefix, 10)
                    .await
                    .unwrap();
                facets
                    .into_iter()
                    .map(|f| (f.value, f.count))
                    .collect::<Vec<_>>()
            }
        };
        let pair = |value: &str, count| (value.to_owned(), count);
        assert_eq!(
            facets(FacetField::Model, "Al").await,
            [pair("Alpha", 2), pair("Alps", 2)]
        );
        assert_eq!(facets(FacetField::Tag, "").await, [pair("vip", 1)]);
        assert_eq!(
            facets(FacetField::SoftwareVersion, "").await,
            [pair("2.0", 6)]
        );
    }
}

#[tokio::test]
async fn deleting_a_device_leaves_nothing_but_its_log() {
    for db in worlds().await {
        let tenant = tenant("acme");
        insert_device(&db.store, &tenant, "OTHER").await;
        let before = crate::raw::Raw::open(&db.url).await.rows_of("acme").await;
        let device = insert_device(&db.store, &tenant, "S1").await;
        crate::isolation::fill(&db.store, &tenant, device).await;
        let deleted = vec![event(&tenant, EventKind::DeviceDeleted).device(device)];
        db.store
            .device_delete(&tenant, device, Revocation::default(), deleted)
            .await
            .unwrap();
        let after = crate::raw::Raw::open(&db.url).await.rows_of("acme").await;
        for (table, rows) in after {
            if ["tenant", "event", "model", "refusal", "idempotency"].contains(&table.as_str()) {
                continue;
            }
            assert_eq!(rows, before[&table], "{table}");
        }
    }
}

#[tokio::test]
async fn what_a_device_says_of_itself_is_cut_to_what_an_index_and_a_cursor_hold() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let hostile = "\u{10348}".repeat(20_000);
        for n in 0..3 {
            let mut device = new_device(&format!("S{n}"));
            device.description.serial = format!("{hostile}{n}");
            device.description.model = hostile.clone();
            db.store
                .device_insert(&tenant, device, vec![])
                .await
                .unwrap();
        }
        let search = Search::new(DeviceFilter::default(), NOW);
        for by in [
            DeviceSortBy::Name,
            DeviceSortBy::Model,
            DeviceSortBy::Serial,
        ] {
            let sort = DeviceSort {
                by,
                descending: false,
            };
            let (mut cursor, mut seen) = (None::<String>, 0);
            loop {
                let page = db
                    .store
                    .device_list(&tenant, &search, sort, cursor.as_deref(), 1)
                    .await
                    .unwrap();
                seen += page.devices.len();
                cursor = page.next;
                match &cursor {
                    Some(cursor) => assert!(cursor.len() <= 36 + TEXT_CHARS_MAX * 8),
                    None => break,
                }
            }
            assert_eq!(seen, 3, "{by:?}");
        }
    }
}
