//! What the agent's log says of services that do not behave.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tracing_subscriber::fmt::MakeWriter;
use usp::record::NoSessionContextRecord;
use usp::{EndpointId, Record, Version, codec, msg};

use crate::byhand::ByHand;
use crate::desk::PATIENCE;
use crate::services::{BROKER, House};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        self.clone()
    }
}

impl Log {
    /// The lines with these words.
    fn of(&self, words: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().filter(|line| line.contains(words));
        lines.map(str::to_owned).collect()
    }
}

/// The log of this thread, as long as the guard is there: the runtime of a test has no other.
fn listen() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let written = tracing_subscriber::fmt().with_ansi(false);
    let written = written.with_writer(log.clone()).finish();
    (log, tracing::subscriber::set_default(written))
}

/// R-UDS.24
#[tokio::test]
async fn why_the_connection_of_a_service_has_ended_is_in_the_log() {
    let (log, _own) = listen();
    let house = House::open(Vec::new()).await;
    let mut service = UnixStream::connect(house.socket()).await.unwrap();
    let hello = b"_USP\x00\x00\x00\x0e\x01\x00\x00\x00\x09self::one";
    service.write_all(hello).await.unwrap();
    service.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let told = async {
        while log.of("a service is gone").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    let lines = log.of("a service is gone");
    assert!(
        lines[0].contains("self::one") && lines[0].contains("the peer misbehaved"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_service_that_speaks_in_the_name_of_another_is_in_the_log_and_does_not_fill_it() {
    let (log, _own) = listen();
    let house = House::open(Vec::new()).await;
    let mut service = ByHand::connect(&house, "self::one").await;
    let id = |text: &str| text.parse::<EndpointId>().unwrap();
    let get = msg::Msg::request("1", msg::get(["Device."]));
    let content = NoSessionContextRecord::new(codec::encode_msg(&get));
    let forged = Record::new(Version::V1_4, &id("self::two"), &id(BROKER), content);
    let forged = codec::encode_record(&forged);
    for _ in 0..100 {
        service.link.send(forged.clone()).await.unwrap();
    }
    let told = async {
        while log.of("times=64").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    let lines = log.of("what does not count");
    assert!(
        lines[0].contains("self::one") && lines[0].contains("self::two"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 7, "{lines:?}");
}
