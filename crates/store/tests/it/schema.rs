//! The two sets of migrations end in one logical schema.

use store::testing::{postgres, sqlite};

use crate::raw::Raw;

#[tokio::test]
async fn sqlite_and_postgres_end_in_the_same_logical_schema() {
    let sqlite = sqlite().await.unwrap();
    let Some(postgres) = postgres().await.unwrap() else {
        return;
    };
    let mut a = Raw::open(&sqlite.url).await;
    let mut b = Raw::open(&postgres.url).await;
    let tables = a.tables().await;
    assert!(tables.len() > 10);
    assert_eq!(tables, b.tables().await);
    for table in tables {
        assert_eq!(a.columns(&table).await, b.columns(&table).await, "{table}");
        assert_eq!(a.indexes(&table).await, b.indexes(&table).await, "{table}");
    }
}

#[test]
fn migrations_have_equal_numbers_in_both_folders() {
    let names = |folder: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("migrations")
            .join(folder);
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
    for (n, name) in names("sqlite").iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}_", n + 1)), "{name}");
    }
}

/// What a device over CWMP was kept as by the first versions.
#[tokio::test]
async fn the_names_and_models_of_cwmp_devices_are_kept_when_the_schema_is_brought_up_to_date() {
    const OLD: &str = "UPDATE device SET protocol = 'cwmp', product_class = 'WR-300', model_key = 'tr069 key' \
         WHERE serial IN ('S1', 'S2');\
         INSERT INTO identity SELECT tenant, 'cwmp_device', oui || '-WR-300-' || serial, id, 'device', created_at \
         FROM device WHERE serial IN ('S1', 'S2');\
         INSERT INTO identity SELECT tenant, 'cwmp_device', oui || '-WR%2D300-' || serial, id, 'device', created_at \
         FROM device WHERE serial = 'S3'";
    const SCRIPTS: [&str; 2] = [
        include_str!("../../migrations/sqlite/0016_cwmp_names.sql"),
        include_str!("../../migrations/postgres/0016_cwmp_names.sql"),
    ];
    assert_eq!(SCRIPTS[0], SCRIPTS[1]);
    for db in crate::world::worlds().await {
        let (acme, store) = (crate::world::tenant("acme"), &db.store);
        let mut ids = Vec::new();
        for serial in ["S1", "S2", "S3"] {
            ids.push(crate::world::insert_device(store, &acme, serial).await);
        }
        db.run(OLD).await.unwrap();
        // The second came again meanwhile, and is another device now: it stays that.
        db.run(
            "UPDATE identity SET value = '00256D-WR%2D300-S2' WHERE value = '00256D-WR%2D300-S3'",
        )
        .await
        .unwrap();
        // Twice: what is right stays.
        for script in SCRIPTS {
            db.run(script).await.unwrap();
        }
        for (name, device) in [
            ("00256D-WR%2D300-S1", Some(ids[0])),
            ("00256D-WR-300-S1", None),
            ("00256D-WR%2D300-S2", Some(ids[2])),
            ("00256D-WR-300-S2", Some(ids[1])),
        ] {
            let identity = fleet::Identity {
                kind: fleet::IdentityKind::CwmpDevice,
                value: name.to_owned(),
            };
            let found = store.device_by_identity(&acme, &identity).await;
            assert_eq!(found.unwrap(), device, "{name}");
        }
        let record = store.device(&acme, ids[0]).await.unwrap();
        assert_eq!(
            (record.models.usp.as_str(), record.models.cwmp.as_str()),
            ("", "tr069 key")
        );
    }
}

#[tokio::test]
async fn a_database_can_be_opened_again_and_still_has_its_rows() {
    for db in crate::world::worlds().await {
        let again = store::Store::open(&db.url).await.unwrap();
        assert_eq!(again.tenant_list().await.unwrap().len(), 2);
        again.ready().await.unwrap();
    }
}

#[tokio::test]
async fn an_address_of_another_kind_is_refused() {
    assert!(matches!(
        store::Store::open("mysql://x").await,
        Err(store::Error::Invalid(_))
    ));
}
