//! Notifications: each of many devices waits for its own to be durable before it sends the next, as the server does
//! before it answers. Against that, the same rows inserted by hand: many per statement, as many per commit as
//! devices wait here.

use std::time::Instant;

use fleet::{Event, EventKind};
use serde_json::json;
use sqlx::{Postgres, QueryBuilder, Sqlite};
use store::testing::TestDatabase;
use store::{Committed, Notification};
use uuid::Uuid;

use crate::fixture::{Bare, NOW, device_id, insert_tenant};

const DEVICES: u64 = 1_000;
const EACH: u64 = 60;
const ROUNDS: u64 = 5;

pub async fn measure(db: &TestDatabase) {
    let mut bare = Bare::open(&db.url).await;
    copy_table(&mut bare).await;
    let mut ratios = Vec::new();
    for round in 0..=ROUNDS {
        let raw = raw(&mut bare, round).await;
        let ours = ours(db, round).await;
        if round == 0 {
            continue; // warms caches, log files and prepared statements
        }
        ratios.push(ours / raw);
        println!(
            "notifications: {ours:>8.0}/s durable, raw batched inserts {raw:>8.0}/s, ratio {:.2}",
            ours / raw
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "notifications: median ratio {:.2} (aim 0.4)",
        ratios[ratios.len() / 2]
    );
}

async fn ours(db: &TestDatabase, round: u64) -> f64 {
    let tenant = insert_tenant(&db.store, &format!("n{round}")).await;
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for d in 0..DEVICES {
        let (store, tenant) = (db.store.clone(), tenant.clone());
        tasks.spawn(async move {
            let device = device_id(d);
            for n in 0..EACH {
                let mut key = [0; 32];
                key[..8].copy_from_slice(&(round << 40 | d << 20 | n).to_be_bytes());
                let event = Event::new(tenant.clone(), NOW, EventKind::DeviceValueChanged)
                    .device(device)
                    .actor("device")
                    .data(body(n));
                let notification = Notification {
                    device,
                    key,
                    events: vec![event],
                };
                let done = store.commit_notification(&tenant, notification).await;
                assert!(matches!(done, Ok(Committed::Stored(_))));
            }
        });
    }
    tasks.join_all().await;
    (DEVICES * EACH) as f64 / started.elapsed().as_secs_f64()
}

fn body(n: u64) -> serde_json::Value {
    json!({ "path": "Device.WiFi.AccessPoint.1.AssociatedDeviceNumberOfEntries", "value": n.to_string(), "subscription": "headend-value-change" })
}

/// The log's table with its key and its indexes, under another name.
async fn copy_table(bare: &mut Bare) {
    let (blob, int, uuid, rest) = match bare {
        Bare::Sqlite(_) => ("TEXT", "INTEGER", "BLOB", "STRICT, WITHOUT ROWID"),
        Bare::Postgres(_) => ("TEXT COLLATE \"C\"", "BIGINT", "UUID", ""),
    };
    bare.run(&format!(
        "CREATE TABLE raw_event (tenant {blob} NOT NULL, seq {int} NOT NULL, at {int} NOT NULL, kind {blob} NOT NULL, \
         device {uuid}, operation {uuid}, actor {blob} NOT NULL, dedupe {int}, body {blob} NOT NULL, \
         PRIMARY KEY (tenant, seq)) {rest}"
    ))
    .await;
    bare.run(
        "CREATE INDEX raw_event_device ON raw_event (tenant, device, seq) WHERE device IS NOT NULL",
    )
    .await;
    bare.run("CREATE INDEX raw_event_operation ON raw_event (tenant, operation, seq) WHERE operation IS NOT NULL")
        .await;
}

/// Rows per statement: more does not make it faster.
const ROWS: u64 = 250;

async fn raw(bare: &mut Bare, round: u64) -> f64 {
    const INSERT: &str =
        "INSERT INTO raw_event (tenant, seq, at, kind, device, operation, actor, dedupe, body) ";
    let tenant = format!("n{round}");
    let started = Instant::now();
    for n in 0..EACH {
        bare.run("BEGIN").await;
        for part in 0..DEVICES / ROWS {
            let rows = (part * ROWS)..((part + 1) * ROWS);
            macro_rules! insert {
                ($db:ty, $conn:expr) => {{
                    let mut query = QueryBuilder::<$db>::new(INSERT);
                    query.push_values(rows, |mut row, d| {
                        row.push_bind(tenant.clone())
                            .push_bind((n * DEVICES + d) as i64)
                            .push_bind(NOW.0)
                            .push_bind("device.value_changed")
                            .push_bind(device_id(d).0)
                            .push_bind(None::<Uuid>)
                            .push_bind("device")
                            .push_bind((d << 20 | n) as i64)
                            .push_bind(body(n).to_string());
                    });
                    query.build().execute($conn).await.expect("an insert");
                }};
            }
            match bare {
                Bare::Sqlite(c) => insert!(Sqlite, &mut *c),
                Bare::Postgres(c) => insert!(Postgres, &mut *c),
            }
        }
        bare.run("COMMIT").await;
    }
    (DEVICES * EACH) as f64 / started.elapsed().as_secs_f64()
}
