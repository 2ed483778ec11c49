//! Pages of the device list at many devices, against the same SELECT written by hand on a connection of its own.
//! Both read every column of every row. They take turns, so that both meet the same machine.

use std::time::{Duration, Instant};

use fleet::Timestamp;
use sqlx::{AssertSqlSafe, Row as _};
use store::testing::TestDatabase;
use store::{DeviceFilter, DeviceSort, DeviceSortBy, Heard, Search};
use uuid::Uuid;

use crate::fixture::{Bare, NOW, device, device_id, insert_tenant};

const PAGE: usize = 50;
/// Blocks of turns. A percentile is the median of those of the blocks: a machine that is busy with something else for
/// a moment spoils one block and not the figure.
const BLOCKS: usize = 15;
const TURNS: usize = 200;

const COLUMNS: &str = "SELECT id, tenant, name, tags, protocol, onboarding, manufacturer, oui, product_class, serial, \
     model_name, hardware_version, software_version, endpoint_id, external_ip, address, model_key, created_at, \
     updated_at, first_seen_at, connected_at, disconnected_at, heard_at, booted_at, boot_cause FROM device d";

pub async fn measure(db: &TestDatabase, devices: u64) {
    let tenant = insert_tenant(&db.store, "list").await;
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..devices {
        let (store, tenant) = (db.store.clone(), tenant.clone());
        tasks.spawn(async move {
            store
                .device_insert(&tenant, device(n), vec![])
                .await
                .expect("a device")
        });
        if tasks.len() >= 500 {
            tasks.join_next().await;
        }
    }
    tasks.join_all().await;
    let heard = (0..devices)
        .map(|n| Heard {
            device: device_id(n),
            transport: "websocket",
            at: Timestamp(NOW.0 - (n % 1_000) as i64),
        })
        .collect::<Vec<_>>();
    for heard in heard.chunks(1_000) {
        db.store
            .path_heard(&tenant, heard.to_vec())
            .await
            .expect("evidence");
    }
    println!(
        "list: {devices} devices made in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    let mut bare = Bare::open(&db.url).await;
    bare.run("ANALYZE").await;
    let all = DeviceFilter::default();
    page(db, &mut bare, "by name", &all, DeviceSortBy::Name, "", &[]).await;
    page(
        db,
        &mut bare,
        "last heard",
        &all,
        DeviceSortBy::Heard,
        "",
        &[],
    )
    .await;
    let model = DeviceFilter {
        manufacturer: vec!["Maker 3".to_owned()],
        model: vec!["Model 5".to_owned(), "Model 6".to_owned()],
        ..DeviceFilter::default()
    };
    let same = " AND d.manufacturer IN ($2) AND d.model_name IN ($3, $4)";
    let with = ["Maker 3", "Model 5", "Model 6"];
    page(
        db,
        &mut bare,
        "by name, two filters",
        &model,
        DeviceSortBy::Name,
        same,
        &with,
    )
    .await;
    // A word of few devices, and one that every device has: by hand, each is asked in the way that suits it.
    let rare = DeviceFilter {
        q: Some("cpe000123".to_owned()),
        ..DeviceFilter::default()
    };
    let same = " AND d.id IN (SELECT device FROM device_term WHERE tenant = $1 AND term >= $2 AND term < $3 \
         UNION SELECT device FROM device_term WHERE tenant = $1 AND term >= $4 AND term < $5)";
    let with = ["cpe000123", "cpe000124", "<321000epc", "<321000epd"];
    page(
        db,
        &mut bare,
        "free text, rare",
        &rare,
        DeviceSortBy::Name,
        same,
        &with,
    )
    .await;
    let frequent = DeviceFilter {
        q: Some("maker".to_owned()),
        ..DeviceFilter::default()
    };
    let same = " AND EXISTS (SELECT 1 FROM device_term t WHERE t.tenant = $1 AND t.device = d.id AND \
         ((term >= $2 AND term < $3) OR (term >= $4 AND term < $5)) LIMIT 1 OFFSET 0)";
    let with = ["maker", "makes", "<rekam", "<rekan"];
    page(
        db,
        &mut bare,
        "free text, frequent",
        &frequent,
        DeviceSortBy::Name,
        same,
        &with,
    )
    .await;
}

/// Pages from all over the list, in turns.
async fn page(
    db: &TestDatabase,
    bare: &mut Bare,
    name: &str,
    filter: &DeviceFilter,
    by: DeviceSortBy,
    conditions: &str,
    with: &[&'static str],
) {
    let tenant = crate::fixture::tenant("list");
    let search = Search::new(filter.clone(), NOW);
    let sort = DeviceSort {
        by,
        descending: false,
    };
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    let mut cursor: Option<String> = None;
    let mut last: Option<(String, i64, Uuid)> = None;
    for round in 0..BLOCKS * TURNS {
        let started = Instant::now();
        let page = db
            .store
            .device_list(&tenant, &search, sort, cursor.as_deref(), PAGE)
            .await
            .expect("a page");
        ours.push(started.elapsed());
        let started = Instant::now();
        let rows = by_hand(bare, by, (conditions, with), last.as_ref()).await;
        raw.push(started.elapsed());
        assert_eq!(rows.min(PAGE), page.devices.len(), "{name}, round {round}");
        cursor = page.next;
        last = cursor.is_some().then(|| {
            let last = page
                .devices
                .last()
                .expect("a page that goes on is not empty");
            let heard = last.device.evidence.heard_at.unwrap_or_default().0;
            (
                last.device.description.serial.to_lowercase(),
                heard,
                last.device.id.0,
            )
        });
    }
    let (p50, p99) = (percentile(&ours, 50), percentile(&ours, 99));
    let (raw50, raw99) = (percentile(&raw, 50), percentile(&raw, 99));
    println!(
        "list, {name}: p50 {p50:.2?} (SQL {raw50:.2?}, ratio {:.2}), p99 {p99:.2?} (SQL {raw99:.2?}, ratio {:.2}, aim 1.5)",
        p50.as_secs_f64() / raw50.as_secs_f64(),
        p99.as_secs_f64() / raw99.as_secs_f64(),
    );
}

async fn by_hand(
    bare: &mut Bare,
    by: DeviceSortBy,
    (conditions, with): (&str, &[&'static str]),
    after: Option<&(String, i64, Uuid)>,
) -> usize {
    let column = match by {
        DeviceSortBy::Heard => "heard_at",
        _ => "sort_name",
    };
    let keyset = match after {
        Some(_) => format!(
            " AND (d.{column}, d.id) > (${}, ${})",
            with.len() + 2,
            with.len() + 3
        ),
        None => String::new(),
    };
    let sql = format!(
        "{COLUMNS} WHERE d.tenant = $1{conditions}{keyset} ORDER BY d.{column}, d.id LIMIT {}",
        PAGE + 1
    );
    macro_rules! run {
        ($conn:expr) => {{
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind("list");
            for text in with {
                query = query.bind(*text);
            }
            if let Some((name, heard, id)) = after {
                query = match by {
                    DeviceSortBy::Heard => query.bind(*heard),
                    _ => query.bind(name.clone()),
                };
                query = query.bind(*id);
            }
            let rows = query.fetch_all($conn).await.expect("rows");
            for row in &rows {
                std::hint::black_box(row.get::<Uuid, _>(0));
                for n in 1..17 {
                    std::hint::black_box(row.get::<String, _>(n));
                }
                for n in 17..24 {
                    std::hint::black_box(row.get::<i64, _>(n));
                }
                std::hint::black_box(row.get::<String, _>(24));
            }
            rows.len()
        }};
    }
    match bare {
        Bare::Sqlite(c) => run!(&mut *c),
        Bare::Postgres(c) => run!(&mut *c),
    }
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut blocks: Vec<Duration> = times
        .chunks(TURNS)
        .map(|block| {
            let mut block = block.to_vec();
            block.sort();
            block[block.len() * percent / 100]
        })
        .collect();
    blocks.sort();
    blocks[blocks.len() / 2]
}
