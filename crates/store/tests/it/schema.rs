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
