//! What was acknowledged is there after kill -9.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use fleet::EventKind;
use store::{Committed, EventFilter, Notification, OperationFilter, Store};

use crate::world::{event, hash, insert_tenant, new_device, reboot, tenant};

const URL: &str = "HEADEND_TEST_CRASH_URL";
const ROUND: &str = "HEADEND_TEST_CRASH_ROUND";

/// The child: writes from several tasks, and prints what was acknowledged, until it is killed.
async fn write_until_killed(url: &str) {
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    let store = Store::open(url).await.unwrap();
    let acme = tenant("acme");
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8u64 {
        let (store, acme) = (store.clone(), acme.clone());
        tasks.spawn(async move {
            // Ids of this process must not meet those of the one before.
            let mut bits = [0; 10];
            bits[0] = u8::try_from(round).unwrap();
            bits[1] = u8::try_from(task).unwrap();
            let mut new = new_device(&format!("r{round}t{task}"));
            new.id = fleet::DeviceId::new(crate::world::NOW, bits);
            let device = new.id;
            store.device_insert(&acme, new, vec![]).await.unwrap();
            for n in 0u64.. {
                let key = round << 40 | task << 32 | n;
                let notification = Notification {
                    device,
                    key: hash(key),
                    events: vec![
                        event(&acme, EventKind::DevicePeriodic)
                            .device(device)
                            .data(key.into()),
                    ],
                };
                let done = store
                    .commit_notification(&acme, notification)
                    .await
                    .unwrap();
                assert!(matches!(done, Committed::Stored(_)));
                acknowledge(&format!("event {key}"));
                let mut operation = reboot(&acme, device);
                bits[2..].copy_from_slice(&n.to_be_bytes());
                operation.id = fleet::OperationId::new(crate::world::NOW, bits);
                let id = operation.id;
                let queued = vec![event(&acme, EventKind::OperationQueued).operation(id)];
                store
                    .operation_insert(&acme, operation, None, queued)
                    .await
                    .unwrap();
                acknowledge(&format!("operation {id}"));
            }
        });
    }
    tasks.join_all().await;
}

fn acknowledge(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nack {what}").unwrap();
    out.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    if let Ok(url) = std::env::var(URL) {
        write_until_killed(&url).await;
        return;
    }
    for db in store::testing::databases().await.unwrap() {
        insert_tenant(&db.store, "acme").await;
        let mut acknowledged = BTreeSet::new();
        for round in 0..4u64 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "crash::nothing_acknowledged_is_lost_by_kill_9",
                    "--exact",
                    "--nocapture",
                ])
                .env(URL, &db.url)
                .env(ROUND, round.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let enough = acknowledged.len() + 150 + 37 * usize::try_from(round).unwrap();
            while acknowledged.len() < enough {
                let line = lines.next().expect("the child ended by itself").unwrap();
                if let Some(what) = line.strip_prefix("ack ") {
                    acknowledged.insert(what.to_owned());
                }
            }
            // SIGKILL on Unix; then what it still managed to say.
            child.kill().unwrap();
            child.wait().unwrap();
            for line in lines.map_while(Result::ok) {
                if let Some(what) = line.strip_prefix("ack ") {
                    acknowledged.insert(what.to_owned());
                }
            }
        }
        let store = Store::open(&db.url).await.unwrap();
        let stored = stored(&store).await;
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(
            lost.is_empty(),
            "{} of {} lost: {lost:?}",
            lost.len(),
            acknowledged.len()
        );
    }
}

/// Everything there is, in the words of the acknowledgements. The log has no gap, and an operation its event.
async fn stored(store: &Store) -> BTreeSet<String> {
    let acme = tenant("acme");
    let mut out = BTreeSet::new();
    let (mut cursor, mut queued) = (0, BTreeSet::new());
    loop {
        let page = store
            .events_after(&acme, cursor, &EventFilter::default(), 1000)
            .await
            .unwrap();
        for record in &page.events {
            cursor += 1;
            assert_eq!(record.seq, cursor);
            match record.event.operation {
                Some(id) => queued.insert(id),
                None => out.insert(format!("event {}", record.event.data)),
            };
        }
        if !page.more {
            break;
        }
    }
    let mut before = None;
    loop {
        let page = store
            .operation_list(&acme, &OperationFilter::default(), before, 500)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.operation.id);
        for record in page {
            assert!(
                queued.remove(&record.operation.id),
                "an operation without its event"
            );
            out.insert(format!("operation {}", record.operation.id));
        }
    }
    assert!(queued.is_empty(), "an event without its operation");
    out
}
