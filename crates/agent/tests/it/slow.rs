//! Controllers that ask and do not read what they are answered: nobody waits for them, and nothing is done of which they
//! are not told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use agent::limits::CLOSING_TIME_MAX;
use agent::{AgentConfig, Backend, ControllerConfig, Now, ServicesConfig};
use mtp::uds::{DialConfig, Link, dial};
use usp::msg::Msg;
use usp::record::{NoSessionContextRecord, RecordType};
use usp::{Record, Version, codec};

use crate::desk::{PATIENCE, id};
use crate::services::{BROKER, Running};

/// Its answers soon fill what sockets and queues hold.
const LARGE: usize = 32 * 1024;
const DESCRIPTION: &str = "Device.DeviceInfo.Description";

/// A device that counts how often it was read.
struct Wordy {
    schema: Arc<dm::Schema>,
    reads: Arc<AtomicUsize>,
}

impl Backend for Wordy {
    fn schema(&self) -> Arc<dm::Schema> {
        self.schema.clone()
    }

    fn read(&self, _: Now, path: &str) -> Option<String> {
        (path == DESCRIPTION).then(|| {
            self.reads.fetch_add(1, Ordering::SeqCst);
            "x".repeat(LARGE)
        })
    }
}

/// An agent whose controllers are processes of its device.
struct Site {
    _folder: tempfile::TempDir,
    socket: PathBuf,
    reads: Arc<AtomicUsize>,
    agent: Running,
}

impl Site {
    fn open(controllers: &[&str]) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let local = |own: &&str| ControllerConfig {
            endpoint_id: (*own).into(),
            url: "unix:".into(),
            ..ControllerConfig::default()
        };
        let config = AgentConfig {
            endpoint_id: BROKER.into(),
            controllers: controllers.iter().map(local).collect(),
            services: Some(ServicesConfig {
                broker_agent: Some(socket.clone()),
                ..ServicesConfig::default()
            }),
            ..AgentConfig::default()
        };
        let reads = Arc::new(AtomicUsize::new(0));
        let wordy = Wordy {
            schema: agent::model(&["Device.DeviceInfo.!only"]).unwrap(),
            reads: reads.clone(),
        };
        Site {
            _folder: folder,
            socket,
            reads,
            agent: Running::start(config, Box::new(wordy)),
        }
    }

    /// So many requests were carried out.
    async fn reads(&self, wanted: usize) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while self.reads.load(Ordering::SeqCst) < wanted {
            assert!(tokio::time::Instant::now() < end, "it reads no more");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A controller that connects, and then asks so often.
async fn asks(socket: &Path, own: &str, times: usize) -> Link {
    let end = tokio::time::Instant::now() + PATIENCE;
    let mut link = loop {
        match dial(&DialConfig::new(socket, id(own))).await {
            Ok(link) => break link,
            // The socket and the list of controllers come soon.
            Err(why) => assert!(tokio::time::Instant::now() < end, "{why}"),
        }
        tokio::task::yield_now().await;
    };
    for number in 0..times {
        let get = Msg::request(format!("{number}"), usp::msg::get([DESCRIPTION]));
        let content = NoSessionContextRecord::new(codec::encode_msg(&get));
        let record = Record::new(Version::V1_4, &id(own), &id(BROKER), content);
        link.send(codec::encode_record(&record)).await.unwrap();
    }
    link
}

/// `CLOSING_TIME_MAX` is for all of them together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_stops_leaves_all_controllers_that_do_not_read_at_the_same_time() {
    const TIMES: usize = 40;
    let names = ["self::one", "self::two", "self::three"];
    let site = Site::open(&names);
    let mut links = Vec::new();
    for own in names {
        links.push(asks(&site.socket, own, TIMES).await);
    }
    site.reads(names.len() * TIMES).await;
    let before = Instant::now();
    site.agent.stop().await;
    let took = before.elapsed();
    assert!(took >= CLOSING_TIME_MAX, "they have read: {took:?}");
    // One after the other it would take this long for each.
    assert!(took < CLOSING_TIME_MAX * names.len() as u32, "{took:?}");
}

/// `REPLIES_MAX`: what it asks waits until it reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_reads_late_is_answered_whatever_it_has_asked() {
    const TIMES: usize = 3 * usp::limits::REPLIES_MAX;
    let site = Site::open(&["self::late"]);
    let mut link = asks(&site.socket, "self::late", TIMES).await;
    site.reads(usp::limits::REPLIES_MAX).await;
    let mut answered = BTreeSet::new();
    let all = async {
        while answered.len() < TIMES {
            let record = link.recv().await.unwrap();
            let record = codec::decode_record(&record).unwrap();
            if let RecordType::NoSessionContext(content) = record.record_type
                && let Some(number) = codec::peek_msg(&content.payload).msg_id
                && number.parse::<usize>().is_ok()
            {
                answered.insert(number);
            }
        }
    };
    let all = tokio::time::timeout(PATIENCE, all).await;
    assert!(all.is_ok(), "{} of {TIMES} were answered", answered.len());
    site.agent.stop().await;
}
