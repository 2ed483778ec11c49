//! The store against its own database: notifications made durable per second against raw batched inserts into a
//! copy of the same table at the same durability, and pages of the device list against the bare SQL. Ratios of one
//! run; the absolute figures say more about the disk than about us.
//!
//!     cargo run --release -p bench-store [devices]
//!
//! With `HEADEND_TEST_POSTGRES=postgres://...` it measures PostgreSQL as well.

mod fixture;
mod list;
mod notifications;

#[tokio::main]
async fn main() {
    let devices = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(100_000);
    let databases = store::testing::databases()
        .await
        .expect("a database to measure");
    for db in databases {
        println!("# {}", db.store.database());
        notifications::measure(&db).await;
        list::measure(&db, devices).await;
    }
}
