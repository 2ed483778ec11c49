//! A tenant, its devices, and a connection of our own past the store.

use fleet::device::{Description, OnboardingState};
use fleet::{DeviceId, Identity, TenantId, Timestamp};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use store::{NewDevice, TenantRecord};

pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub fn tenant(slug: &str) -> TenantId {
    TenantId::parse(slug).expect("a slug")
}

pub async fn insert_tenant(store: &store::Store, slug: &str) -> TenantId {
    let id = tenant(slug);
    let record = TenantRecord {
        id: id.clone(),
        name: slug.to_owned(),
        created_at: NOW,
        disabled_at: None,
    };
    store.tenant_insert(record, vec![]).await.expect("a tenant");
    id
}

pub fn device_id(n: u64) -> DeviceId {
    let mut bits = [0; 10];
    // Spread over the ids, as random ones are.
    bits[2..].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    DeviceId::new(Timestamp(NOW.0 + n as i64 / 100), bits)
}

pub fn device(n: u64) -> NewDevice {
    let serial = format!("CPE{:010}", n.wrapping_mul(7_919) % 9_999_999_967);
    NewDevice {
        id: device_id(n),
        name: String::new(),
        tags: vec![],
        protocol: "usp".to_owned(),
        description: Description {
            manufacturer: format!("Maker {}", n % 7),
            oui: "00256D".to_owned(),
            model: format!("Model {}", n % 23),
            product_class: format!("Class {}", n % 5),
            serial: serial.clone(),
            hardware_version: "1.0".to_owned(),
            software_version: format!("{}.{}.{}", n % 3, n % 5, n % 11),
        },
        identities: vec![Identity::endpoint(&format!("os::00256D-{serial}"))],
        source: "bench".to_owned(),
        onboarding: OnboardingState::Complete,
        created_at: NOW,
    }
}

/// A connection with the store's durability.
pub enum Bare {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Bare {
    pub async fn open(url: &str) -> Bare {
        if url.starts_with("sqlite") {
            let mut conn = SqliteConnection::connect(url).await.expect("a connection");
            for pragma in [
                "journal_mode = WAL",
                "synchronous = FULL",
                "cache_size = -16384",
                "wal_autocheckpoint = 4000",
            ] {
                let sql = format!("PRAGMA {pragma}");
                conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)))
                    .await
                    .expect("a pragma");
            }
            Bare::Sqlite(conn)
        } else {
            Bare::Postgres(PgConnection::connect(url).await.expect("a connection"))
        }
    }

    /// Statements without arguments.
    pub async fn run(&mut self, sql: &str) {
        let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
        match self {
            Bare::Sqlite(c) => drop(c.execute(sql).await.expect("a statement")),
            Bare::Postgres(c) => drop(c.execute(sql).await.expect("a statement")),
        }
    }
}
