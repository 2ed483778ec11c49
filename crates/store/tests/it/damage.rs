//! One damaged row does not take the others with it, and a database of a newer version is left alone.

use fleet::{EventKind, TokenId};
use store::{
    DeviceFilter, DeviceSort, Error, EventFilter, KnownValue, NewToken, OperationFilter, Search,
    Store, ValueSource, ValueUpdate,
};

use crate::raw::Raw;
use crate::world::{NOW, bits, event, hash, insert_device, reboot, tenant, worlds};

#[tokio::test]
async fn a_device_whose_tags_are_damaged_is_listed_without_them() {
    for db in worlds().await {
        let tenant = tenant("acme");
        for n in 0..4 {
            insert_device(&db.store, &tenant, &format!("S{n}")).await;
        }
        let mut raw = Raw::open(&db.url).await;
        raw.run("UPDATE device SET tags = '{damaged' WHERE serial IN ('S1', 'S2')")
            .await;
        let search = Search::new(DeviceFilter::default(), NOW);
        let (mut cursor, mut serials) = (None::<String>, Vec::new());
        loop {
            let page = db
                .store
                .device_list(
                    &tenant,
                    &search,
                    DeviceSort::default(),
                    cursor.as_deref(),
                    2,
                )
                .await
                .unwrap();
            serials.extend(
                page.devices
                    .into_iter()
                    .map(|one| one.device.description.serial),
            );
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(serials, ["S0", "S1", "S2", "S3"]);
    }
}

#[tokio::test]
async fn devices_are_listed_past_a_page_of_which_every_row_is_damaged() {
    for db in worlds().await {
        let tenant = tenant("acme");
        for n in 0..7 {
            insert_device(&db.store, &tenant, &format!("S{n}")).await;
        }
        let mut raw = Raw::open(&db.url).await;
        if let Raw::Postgres(_) = raw {
            // It refuses text that is none.
            continue;
        }
        raw.run("UPDATE device SET boot_cause = CAST(x'ff' AS TEXT) WHERE serial > 'S0' AND serial < 'S6'")
            .await;
        let search = Search::new(DeviceFilter::default(), NOW);
        for (descending, wanted) in [(false, ["S0", "S6"]), (true, ["S6", "S0"])] {
            let sort = DeviceSort {
                descending,
                ..DeviceSort::default()
            };
            let (mut cursor, mut serials) = (None::<String>, Vec::new());
            loop {
                let list = db
                    .store
                    .device_list(&tenant, &search, sort, cursor.as_deref(), 2);
                let page = list.await.unwrap();
                let devices = page.devices.into_iter();
                serials.extend(devices.map(|one| one.device.description.serial));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(serials, wanted);
        }
    }
}

#[tokio::test]
async fn operations_that_are_damaged_are_left_out_and_pages_stay_full() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let mut ids = Vec::new();
        for _ in 0..6 {
            let operation = reboot(&tenant, device);
            ids.push(operation.id);
            db.store
                .operation_insert(&tenant, operation, None, vec![])
                .await
                .unwrap();
        }
        let mut raw = Raw::open(&db.url).await;
        raw.run("UPDATE operation SET document = {blob} WHERE seq IN (2, 5)")
            .await;
        let list = |before, limit| {
            let (store, tenant) = (db.store.clone(), tenant.clone());
            async move {
                let filter = OperationFilter::default();
                let found = store.operation_list(&tenant, &filter, before, limit).await;
                let found = found.unwrap().into_iter();
                found.map(|one| one.operation.id).collect::<Vec<_>>()
            }
        };
        assert_eq!(list(None, 3).await, [ids[5], ids[3], ids[2]]);
        assert_eq!(list(Some(ids[2]), 3).await, [ids[0]]);
        let alone = db.store.operation(&tenant, ids[1]).await;
        assert!(matches!(alone, Err(Error::Damaged(_))), "{alone:?}");
    }
}

#[tokio::test]
async fn the_log_is_read_past_a_damaged_event() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let some = |n| vec![event(&tenant, EventKind::DevicePeriodic); n];
        db.store.event_append(&tenant, some(6)).await.unwrap();
        let mut raw = Raw::open(&db.url).await;
        raw.run("UPDATE event SET body = '{' WHERE seq = 2").await;
        raw.run("UPDATE event SET kind = 'device.from_the_future' WHERE seq IN (3, 4)")
            .await;
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let page = db
                .store
                .events_after(&tenant, after, &EventFilter::default(), 2)
                .await
                .unwrap();
            seen.extend(page.events.iter().map(|one| one.seq));
            after = page.next.unwrap();
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, [1, 2, 5, 6]);
        let (mut before, mut seen) = (None, Vec::new());
        loop {
            let page = db
                .store
                .events_before(&tenant, before, &EventFilter::default(), 2)
                .await
                .unwrap();
            seen.extend(page.events.iter().map(|one| one.seq));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, [6, 5, 2, 1]);
    }
}

#[tokio::test]
async fn a_damaged_token_may_do_nothing_and_damaged_values_are_learned_anew() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let user = crate::people::ann(&db.store, &tenant).await;
        let token = NewToken {
            id: TokenId::new(NOW, bits()),
            user,
            name: "ci".to_owned(),
            hash: hash(1),
            prefix: "het_1234".to_owned(),
            scopes: vec!["device:read".to_owned()],
            created_at: NOW,
            expires_at: None,
        };
        db.store.token_insert(&tenant, token, vec![]).await.unwrap();
        let learn = |path: &str| {
            let known = KnownValue {
                path: path.to_owned(),
                value: "x".to_owned(),
                source: ValueSource::Read,
                at: NOW,
            };
            let update = ValueUpdate {
                forget: vec![],
                values: vec![known],
            };
            db.store.value_update(&tenant, device, update, NOW)
        };
        learn("Device.WiFi.SSID.1.SSID").await.unwrap();
        learn("Device.IP.InterfaceNumberOfEntries").await.unwrap();
        let mut raw = Raw::open(&db.url).await;
        raw.run("UPDATE token SET scopes = 'all'").await;
        raw.run("UPDATE value_document SET body = {blob} WHERE object = 'Device.WiFi.'")
            .await;
        let (token, _) = db.store.token_by_hash(&hash(1)).await.unwrap().unwrap();
        assert!(token.scopes.is_empty());
        let paths = |store: Store| {
            let tenant = tenant.clone();
            async move {
                let found = store
                    .value_list(&tenant, device, "", None, 10)
                    .await
                    .unwrap();
                found.into_iter().map(|one| one.path).collect::<Vec<_>>()
            }
        };
        assert_eq!(
            paths(db.store.clone()).await,
            ["Device.IP.InterfaceNumberOfEntries"]
        );
        learn("Device.WiFi.RadioNumberOfEntries").await.unwrap();
        assert_eq!(
            paths(db.store.clone()).await,
            [
                "Device.IP.InterfaceNumberOfEntries",
                "Device.WiFi.RadioNumberOfEntries"
            ]
        );
        raw.run("UPDATE value_document SET body = {blob}").await;
        let everything = ValueUpdate {
            forget: vec!["Device.".to_owned()],
            values: vec![],
        };
        let store = &db.store;
        store
            .value_update(&tenant, device, everything, NOW)
            .await
            .unwrap();
        assert_eq!(store.value_objects(&tenant, device).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone_and_says_so() {
    for db in worlds().await {
        let mut raw = Raw::open(&db.url).await;
        raw.run(
            "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             SELECT 9999, 'from the future', installed_on, success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
        let opened = Store::open(&db.url).await.map(drop);
        assert!(
            matches!(opened, Err(Error::Newer { found: 9999, known }) if known >= 3),
            "{opened:?}"
        );
        assert!(opened.unwrap_err().to_string().contains("newer version"));
        raw.run("DELETE FROM _sqlx_migrations WHERE version = 9999")
            .await;
        // Another program's schema of the same number.
        raw.run("UPDATE _sqlx_migrations SET checksum = {blob} WHERE version = 1")
            .await;
        let opened = Store::open(&db.url).await.map(drop);
        assert!(matches!(opened, Err(Error::Damaged(_))), "{opened:?}");
    }
}
