//! UNIX domain sockets: both of our ends, and peers that write bytes by hand.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use mtp::{
    limits::{RECORD_TIME_MAX, SEND_QUEUE_BYTES, UDS_FRAME_BYTES_MAX},
    uds::{
        Accepted, Admission, BindError, DialConfig, DialError, Hello, Link, LinkError, Listener,
        ListenerConfig, MAGIC, Tlv, dial, write,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
};
use usp::EndpointId;

use crate::support::{eid, within};

#[path = "../../../../fuzz/checks/uds.rs"]
mod checks;

/// Lets in whoever is not called `self::nobody`.
struct Door;

impl Admission for Door {
    fn admit(&self, hello: &Hello) -> Result<EndpointId, String> {
        if hello.endpoint_id == eid("self::nobody") {
            return Err("nobody is let in".into());
        }
        Ok(eid("self::broker"))
    }
}

struct Running {
    path: PathBuf,
    accepted: mpsc::UnboundedReceiver<Accepted>,
    _folder: tempfile::TempDir,
}

async fn listen_with(change: impl FnOnce(&mut ListenerConfig)) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ListenerConfig::new(folder.path().join("socket"));
    change(&mut config);
    let path = config.path.clone();
    let mut listener = Listener::bind(config, Arc::new(Door)).await.unwrap();
    let (tell, accepted) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                one = listener.accept() => drop(tell.send(one)),
                () = tell.closed() => return,
            }
        }
    });
    Running {
        path,
        accepted,
        _folder: folder,
    }
}

async fn listen() -> Running {
    listen_with(|_| {}).await
}

fn config(path: &Path) -> DialConfig {
    DialConfig::new(path, eid("self::service"))
}

async fn pair() -> (Link, Link, Running) {
    let mut running = listen().await;
    let link = within(dial(&config(&running.path))).await.unwrap();
    let accepted = within(running.accepted.recv()).await.unwrap();
    assert_eq!(accepted.hello.endpoint_id, eid("self::service"));
    (link, accepted.link, running)
}

/// A process that writes what it likes. Reads until the other side closes.
async fn by_hand(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).await.unwrap();
    // Whoever waits for it may have given up meanwhile; why is still there to be read.
    let _ = stream.write_all(bytes).await;
    let mut heard = Vec::new();
    let _ = within(stream.read_to_end(&mut heard)).await;
    heard
}

fn frame(tlv: &Tlv) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, tlv);
    out
}

fn hello(id: &str) -> Vec<u8> {
    frame(&Tlv::Handshake(id.into()))
}

fn says(heard: &[u8], words: &str) -> bool {
    heard.starts_with(&MAGIC) && String::from_utf8_lossy(heard).contains(words)
}

/// R-UDS.24: one byte now and then, and never the last one.
#[tokio::test]
async fn a_frame_that_does_not_become_whole_ends_the_link_and_its_sender_is_told_why() {
    let mut running = listen().await;
    let mut stream = UnixStream::connect(&running.path).await.unwrap();
    stream.write_all(&hello("self::service")).await.unwrap();
    let mut link = within(running.accepted.recv()).await.unwrap().link;
    tokio::time::pause();
    let (mut heard, mut says_on) = stream.into_split();
    let slow = tokio::spawn(async move {
        let record = frame(&Tlv::Record("a record that takes its time".into()));
        for byte in &record[..record.len() - 1] {
            tokio::time::sleep(RECORD_TIME_MAX / 20).await;
            if says_on.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    });
    let error = link.recv().await.unwrap_err();
    assert!(
        matches!(error, LinkError::PeerTrickles(RECORD_TIME_MAX)),
        "{error}"
    );
    drop(link);
    let mut told = Vec::new();
    heard.read_to_end(&mut told).await.unwrap();
    assert!(says(&told, "RECORD_TIME_MAX"), "{told:?}");
    slow.abort();
}

/// R-UDS.16, .17
#[tokio::test]
async fn both_ends_know_each_other_and_the_process_behind_before_records_flow() {
    let (mut service, mut broker, _running) = pair().await;
    assert_eq!(service.peer(), &eid("self::broker"));
    assert_eq!(broker.peer(), &eid("self::service"));
    let own = Some(std::process::id() as i32);
    assert_eq!(broker.credentials().pid, own);
    assert_eq!(service.credentials(), broker.credentials());
    service.send("up").await.unwrap();
    assert_eq!(within(broker.recv()).await.unwrap(), "up");
    broker.send("down").await.unwrap();
    assert_eq!(within(service.recv()).await.unwrap(), "down");
    assert_eq!((service.heap_bytes(), broker.heap_bytes()), (0, 0));
}

#[tokio::test]
async fn both_ends_may_send_the_largest_records_at_the_same_time() {
    let (service, broker, _running) = pair().await;
    let large = Bytes::from(vec![5; mtp::limits::RECORD_BYTES_MAX]);
    let talk = |mut link: Link, large: Bytes| async move {
        for _ in 0..2 {
            link.send(large.clone()).await.unwrap();
            assert_eq!(link.recv().await.unwrap().len(), large.len());
        }
        link.close().await;
    };
    let other = tokio::spawn(talk(service, large.clone()));
    within(talk(broker, large)).await;
    within(other).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_read_stops_the_sender_and_not_its_memory() {
    let (mut service, broker, _running) = pair().await;
    let piece = Bytes::from(vec![1; 64 * 1024]);
    // Until it would have to wait.
    while let Some(sent) = service.send(piece.clone()).now_or_never() {
        sent.unwrap();
    }
    assert!(service.heap_bytes() < 4 * SEND_QUEUE_BYTES);
    drop(broker);
    assert!(within(service.recv()).await.is_err());
}

#[tokio::test]
async fn an_end_that_closes_or_dies_is_noticed_at_once() {
    let (service, mut broker, _running) = pair().await;
    service.close().await;
    assert!(matches!(within(broker.recv()).await, Err(LinkError::Gone)));
    assert!(matches!(broker.send("x").await, Err(LinkError::ApiMisuse)));
    let (mut service, broker, _running) = pair().await;
    drop(broker);
    assert!(matches!(within(service.recv()).await, Err(LinkError::Gone)));
}

/// R-UDS.23, .25
#[tokio::test]
async fn a_record_that_cannot_be_read_is_answered_with_an_error_that_ends_the_connection() {
    let (mut service, broker, _running) = pair().await;
    broker.refuse("what is this?").await;
    match within(service.recv()).await {
        Err(LinkError::Refused(why)) => assert_eq!(why, "what is this?"),
        other => panic!("{other:?}"),
    }
}

/// R-UDS.19, .20, .24
#[tokio::test]
async fn frames_by_hand_are_read_as_the_standard_says() {
    let mut running = listen().await;
    let path = running.path.clone();
    let record = |bytes: &'static [u8]| frame(&Tlv::Record(Bytes::from_static(bytes)));
    let bytes = [
        record(b"too early"),
        hello("self::hand"),
        hello("self::hand"),
        record(b"in time"),
        b"HTTP".to_vec(),
    ];
    let hand = tokio::spawn(async move { by_hand(&path, &bytes.concat()).await });
    let mut accepted = within(running.accepted.recv()).await.unwrap();
    assert_eq!(within(accepted.link.recv()).await.unwrap(), "in time");
    let end = within(accepted.link.recv()).await;
    assert!(matches!(end, Err(LinkError::PeerMisbehaved(_))), "{end:?}");
    drop(accepted);
    let heard = hand.await.unwrap();
    assert!(heard.starts_with(&hello("self::broker")));
    assert!(says(&heard, "does not begin with _USP"), "{heard:?}");
}

/// R-UDS.21
#[tokio::test]
async fn a_bad_handshake_is_answered_with_an_error() {
    let running = listen().await;
    let oversized = [&MAGIC[..], &(UDS_FRAME_BYTES_MAX as u32).to_be_bytes()].concat();
    for (bytes, words) in [
        (hello("nonsense"), "names no endpoint"),
        (hello("self::nobody"), "nobody is let in"),
        (hello("self::broker"), "our own endpoint id"),
        (b"GET / HTTP/1.1\r\n".to_vec(), "_USP"),
        (oversized, "longer than is taken"),
    ] {
        let heard = by_hand(&running.path, &bytes).await;
        assert!(says(&heard, words), "{words}: {heard:?}");
    }
    let nobody = DialConfig::new(&running.path, eid("self::nobody"));
    let refused = within(dial(&nobody)).await;
    assert!(
        matches!(&refused, Err(DialError::Link(LinkError::Refused(why))) if why == "nobody is let in"),
        "{refused:?}"
    );
    let mut other = config(&running.path);
    other.peer = Some(eid("self::another-broker"));
    let wrong = within(dial(&other)).await;
    assert!(
        matches!(wrong, Err(DialError::BadHandshake(_))),
        "{wrong:?}"
    );
}

/// R-UDS.18
#[tokio::test]
async fn whoever_is_silent_loses_the_connection_at_both_ends() {
    let brief = Duration::from_millis(50);
    let running = listen_with(|config| config.handshake_time_max = brief).await;
    let hello = hello("self::agent");
    for half in [&[][..], &hello[..hello.len() / 2]] {
        let heard = by_hand(&running.path, half).await;
        assert!(says(&heard, "no handshake in time"), "{heard:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mute");
    let _mute = tokio::net::UnixListener::bind(&path).unwrap();
    let mut config = config(&path);
    config.time_max = brief;
    let silent = within(dial(&config)).await;
    assert!(matches!(silent, Err(DialError::Timeout(_))), "{silent:?}");
}

#[tokio::test]
async fn more_connections_than_the_limit_are_closed_and_a_place_comes_free_again() {
    let mut running = listen_with(|config| config.connections_max = 1).await;
    let first = within(dial(&config(&running.path))).await.unwrap();
    let accepted = within(running.accepted.recv()).await.unwrap();
    assert!(within(dial(&config(&running.path))).await.is_err());
    drop((first, accepted));
    let again = within(async {
        loop {
            if let Ok(link) = dial(&config(&running.path)).await {
                return link;
            }
        }
    });
    again.await.close().await;
}

#[tokio::test]
async fn the_socket_file_has_its_permissions_and_goes_with_its_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    for mode in [0o600, 0o660] {
        let mut config = ListenerConfig::new(&path);
        config.mode = mode;
        let listener = Listener::bind(config, Arc::new(Door)).await.unwrap();
        let file = std::fs::metadata(&path).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, mode);
        drop(listener);
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn what_a_dead_process_left_is_replaced_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let bind = || Listener::bind(ListenerConfig::new(&path), Arc::new(Door));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = bind().await.unwrap();
    let second = bind().await.err();
    assert!(matches!(second, Some(BindError::InUse(_))), "{second:?}");
    drop(listener);
    std::fs::write(&path, "precious").unwrap();
    let third = bind().await.err();
    assert!(matches!(third, Some(BindError::NotASocket(_))), "{third:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let record = frame(&Tlv::Record(Bytes::from_static(b"\x0a\x031.4")));
    let error = frame(&Tlv::Error("no".into()));
    let several = b"_USP\0\0\0\x1a\x04\0\0\0\x06secret\x01\0\0\0\x05a::bc\x63\0\0\0\0";
    vec![
        ("handshake", [&[3], &hello("os::00256D-1")[..]].concat()),
        ("record", [&[255], &record[..]].concat()),
        (
            "conversation",
            [&[7], &hello("self::a")[..], &record, &record, &error].concat(),
        ),
        ("several", [&[1], &several[..]].concat()),
        ("too-long", [&[9], &MAGIC[..], &[255; 4]].concat()),
        ("cut", [&[2], &record[..record.len() - 1]].concat()),
    ]
}

/// The seeds of the fuzz target, replayed; `UPDATE_CORPUS=1` writes them anew.
#[test]
fn every_frame_of_the_corpus_is_survived() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/uds");
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds() {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert!(files.len() >= seeds().len(), "seeds are missing");
    let mut values = 0;
    for file in files {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        values += checks::frames(&bytes);
        for at in 0..bytes.len() {
            checks::frames(&bytes[..at]);
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x41;
            checks::frames(&flipped);
        }
    }
    assert!(values >= 7, "the seeds have lost their values: {values}");
}
