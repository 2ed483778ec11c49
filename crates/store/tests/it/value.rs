//! Last-known values and supported models.

use fleet::model::{Model, ModelObject, ObjectAccess};
use store::limits::{VALUE_BYTES_MAX, VALUE_OBJECTS_ASKED_MAX, VALUES_PER_DEVICE_MAX};
use store::{DeviceFilter, DeviceSort, Error, KnownValue, Search, Store, ValueSource, ValueUpdate};

use crate::world::{NOW, at, insert_device, tenant, worlds};

fn known(path: &str, value: &str, seconds: i64) -> KnownValue {
    KnownValue {
        path: path.to_owned(),
        value: value.to_owned(),
        source: ValueSource::Notified,
        at: at(seconds),
    }
}

fn values(values: Vec<KnownValue>) -> ValueUpdate {
    ValueUpdate {
        forget: vec![],
        values,
    }
}

async fn texts(store: &Store, device: fleet::DeviceId, prefix: &str) -> Vec<String> {
    let list = store
        .value_list(&tenant("acme"), device, prefix, None, 1000)
        .await
        .unwrap();
    list.into_iter()
        .map(|v| format!("{}={}", v.path, v.value))
        .collect()
}

#[tokio::test]
async fn values_are_merged_by_time_and_forgotten_by_prefix() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let update = |update| db.store.value_update(&tenant, device, update, NOW);
        let first = vec![
            known("Device.WiFi.SSID.1.SSID", "home", 10),
            known("Device.WiFi.SSID.2.SSID", "guest", 10),
            known("Device.WiFi.SSID.10.SSID", "ten", 10),
            known("Device.Time.Enable", "true", 10),
            known("Device.RootDataModelVersion", "2.16", 10),
            known("Device.WiFi.Nul", "a\0b", 10),
        ];
        assert_eq!(update(values(first)).await.unwrap(), None);
        update(values(vec![known("Device.WiFi.SSID.1.SSID", "older", 9)]))
            .await
            .unwrap();
        assert_eq!(
            texts(&db.store, device, "Device.WiFi.SSID.1.").await,
            ["Device.WiFi.SSID.1.SSID=home"]
        );
        update(values(vec![known("Device.WiFi.SSID.1.SSID", "newer", 11)]))
            .await
            .unwrap();
        let read = [
            "Device.WiFi.SSID.1.SSID".to_owned(),
            "Device.No.Such".to_owned(),
        ];
        let read = db.store.value_of(&tenant, device, &read).await.unwrap();
        assert_eq!(read, [known("Device.WiFi.SSID.1.SSID", "newer", 11)]);
        assert_eq!(texts(&db.store, device, "Device.").await.len(), 6);
        assert_eq!(
            texts(&db.store, device, "Device.WiFi.Nul").await,
            ["Device.WiFi.Nul=a\0b"]
        );
        // A table read completely: what is not in it is gone; SSID.10 does not lie below SSID.1.
        let complete = ValueUpdate {
            forget: vec![
                "Device.WiFi.SSID.2.".to_owned(),
                "Device.Time.Enable".to_owned(),
            ],
            values: vec![known("Device.WiFi.SSID.2.Enable", "true", 5)],
        };
        update(complete).await.unwrap();
        assert_eq!(
            texts(&db.store, device, "Device.WiFi.SSID.").await,
            [
                "Device.WiFi.SSID.1.SSID=newer",
                "Device.WiFi.SSID.10.SSID=ten",
                "Device.WiFi.SSID.2.Enable=true"
            ]
        );
        assert!(texts(&db.store, device, "Device.Time.").await.is_empty());
        let objects = db.store.value_objects(&tenant, device).await.unwrap();
        let objects: Vec<_> = objects
            .iter()
            .map(|(name, count, _)| (name.as_str(), *count))
            .collect();
        assert_eq!(objects, [("Device.", 1), ("Device.WiFi.", 4)]);
        let page = db
            .store
            .value_list(&tenant, device, "", Some("Device.RootDataModelVersion"), 1)
            .await
            .unwrap();
        assert_eq!(page[0].path, "Device.WiFi.Nul");
        update(ValueUpdate {
            forget: vec!["Device.".to_owned()],
            values: vec![],
        })
        .await
        .unwrap();
        assert!(texts(&db.store, device, "").await.is_empty());
    }
}

#[tokio::test]
async fn values_that_devices_are_searched_by_change_the_device() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let update = values(vec![
            known("Device.DeviceInfo.SoftwareVersion", "2.7.1", 1),
            known("Device.DeviceInfo.ModelName", "Ultra", 1),
        ]);
        let told = db
            .store
            .value_update(&tenant, device, update.clone(), at(3))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (
                told.before.software_version.as_str(),
                told.after.software_version.as_str()
            ),
            ("1.0", "2.7.1")
        );
        assert_eq!(
            db.store
                .value_update(&tenant, device, update, at(4))
                .await
                .unwrap(),
            None
        );
        let filter = DeviceFilter {
            software_version: vec!["2.7.1".to_owned()],
            q: Some("ultra".to_owned()),
            ..DeviceFilter::default()
        };
        let search = Search::new(filter, NOW);
        let page = db
            .store
            .device_list(&tenant, &search, DeviceSort::default(), None, 9)
            .await
            .unwrap();
        assert_eq!(page.devices[0].device.id, device);
        assert_eq!(page.devices[0].updated_at, at(3));
    }
}

#[tokio::test]
async fn values_are_limited_in_number_and_size() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let many = |object: &str, count| {
            values(
                (0..count)
                    .map(|n| known(&format!("Device.{object}.P{n}"), "x", 1))
                    .collect(),
            )
        };
        let update = |update| db.store.value_update(&tenant, device, update, NOW);
        update(many("A", VALUES_PER_DEVICE_MAX - 1)).await.unwrap();
        update(many("B", 1)).await.unwrap();
        let over = update(many("C", 1)).await;
        assert!(matches!(over, Err(Error::LimitExceeded { .. })));
        assert!(texts(&db.store, device, "Device.C.").await.is_empty());
        let long = update(values(vec![known(
            "Device.B.P0",
            &"x".repeat(VALUE_BYTES_MAX + 1),
            2,
        )]))
        .await;
        assert!(matches!(long, Err(Error::LimitExceeded { .. })));
        update(values(vec![known(
            "Device.B.P0",
            &"x".repeat(VALUE_BYTES_MAX),
            2,
        )]))
        .await
        .unwrap();
    }
}

/// `VALUE_OBJECTS_ASKED_MAX`
#[tokio::test]
async fn more_objects_than_a_statement_can_name_are_learned_counted_and_forgotten_at_once() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let update = |update| db.store.value_update(&tenant, device, update, NOW);
        let count = async || {
            let objects = db.store.value_objects(&tenant, device).await.unwrap();
            objects.len()
        };
        const OBJECTS: usize = 32_768;
        const { assert!(OBJECTS > VALUE_OBJECTS_ASKED_MAX) };
        let one_each = || {
            let paths = (0..OBJECTS).map(|n| format!("Device.O{n}.P"));
            values(paths.map(|path| known(&path, "x", 1)).collect())
        };
        let others = (0..VALUES_PER_DEVICE_MAX - OBJECTS + 1)
            .map(|n| known(&format!("Device.Other.P{n}"), "x", 1));
        update(values(others.collect())).await.unwrap();
        let over = update(one_each()).await;
        assert!(matches!(over, Err(Error::LimitExceeded { .. })), "{over:?}");
        let forget = |path: &str| ValueUpdate {
            forget: vec![path.to_owned()],
            values: vec![],
        };
        update(forget("Device.Other.P0")).await.unwrap();
        update(one_each()).await.unwrap();
        assert_eq!(count().await, OBJECTS + 1);
        update(forget("Device.")).await.unwrap();
        assert_eq!(count().await, 0);
    }
}

#[tokio::test]
async fn a_model_is_kept_once_per_key() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let mut model = Model::default();
        let object = ModelObject {
            access: ObjectAccess::ReadOnly,
            multi: false,
            params: vec![],
            commands: vec![],
            events: vec![],
            keys: vec![],
            named_only: false,
        };
        for n in 0..200 {
            model
                .objects
                .insert(format!("Device.Object{n}."), object.clone());
        }
        db.store
            .model_put(&tenant, "a", &Model::default(), NOW)
            .await
            .unwrap();
        db.store
            .model_put(&tenant, "a", &model, at(1))
            .await
            .unwrap();
        let record = db.store.model(&tenant, "a").await.unwrap().unwrap();
        assert_eq!((record.model, record.discovered_at), (model, at(1)));
        db.store.model_touch(&tenant, "a", at(2)).await.unwrap();
    }
}
