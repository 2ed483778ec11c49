//! TCP connections, before anything is spoken over them: the same for those that are made and those that are accepted.

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::limits::{TCP_KEEP_ALIVE, TCP_KEEP_ALIVE_AGAIN, TCP_KEEP_ALIVE_TRIES, TCP_SILENCE_MAX};

/// Has the operating system look whether the peer is there, and send what is written at once. What it cannot do is left
/// out: the connection is good without.
pub(crate) fn look_after(tcp: &TcpStream) {
    // Records are written whole; waiting to fill a segment only delays them.
    let _ = tcp.set_nodelay(true);
    let alive = TcpKeepalive::new()
        .with_time(TCP_KEEP_ALIVE)
        .with_interval(TCP_KEEP_ALIVE_AGAIN)
        .with_retries(TCP_KEEP_ALIVE_TRIES);
    let socket = SockRef::from(tcp);
    let _ = socket.set_tcp_keepalive(&alive);
    // It asks nothing while something is under way that was sent: the same time for that.
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(TCP_SILENCE_MAX));
}

/// Whether a connection is looked after.
#[cfg(test)]
pub(crate) fn is_looked_after(tcp: &TcpStream) -> bool {
    let socket = SockRef::from(tcp);
    let asked = (
        socket.tcp_keepalive_time().unwrap(),
        socket.tcp_keepalive_interval().unwrap(),
        socket.tcp_keepalive_retries().unwrap(),
    );
    #[cfg(target_os = "linux")]
    if socket.tcp_user_timeout().unwrap() != Some(TCP_SILENCE_MAX) {
        return false;
    }
    let asks = (TCP_KEEP_ALIVE, TCP_KEEP_ALIVE_AGAIN, TCP_KEEP_ALIVE_TRIES);
    socket.keepalive().unwrap() && asked == asks && tcp.nodelay().unwrap()
}
