//! What cannot be seen from outside: what lies in a socket before anybody reads it.

use tokio::{io::AsyncWriteExt, net::TcpListener, net::TcpStream};

use super::*;
use crate::limits::{KEEP_ALIVE_INTERVAL, PONG_TIME_MAX};

/// Its owner was away: what the peer has said by then counts.
#[tokio::test]
async fn a_pong_that_nobody_has_read_yet_is_a_sign_of_life() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut peer = TcpStream::connect(addr).await.unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    let (mut said, mut frames) = ([0; 64], Vec::new());
    frame::write(&mut frames, OpCode::Pong, &[], Some([1; 4]));
    frame::write(&mut frames, OpCode::Binary, b"record", Some([1; 4]));
    peer.write_all(&frames).await.unwrap();
    while tcp.peek(&mut said).await.unwrap() < frames.len() {}
    let (stream, limits) = (Stream::Plain(tcp), LinkLimits::default());
    let mut link = Link::new(
        stream,
        Role::Server,
        Bytes::new(),
        limits,
        addr,
        vec![],
        None,
    );
    let due = link.next_ping().unwrap();
    link.keep_alive(due).unwrap();
    link.keep_alive(due + PONG_TIME_MAX).unwrap();
    let record = link.recv().await.unwrap();
    assert_eq!(record, Incoming::Record("record".into()));
    // Silence is silence all the same.
    let due = due + 2 * KEEP_ALIVE_INTERVAL;
    link.keep_alive(due).unwrap();
    let error = link.keep_alive(due + PONG_TIME_MAX).unwrap_err();
    assert!(matches!(error, LinkError::PeerSilent(_)), "{error}");
}
