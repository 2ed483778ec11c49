//! The little HTTP/1.1 a WebSocket begins with: reading one head, bounded, and writing one.

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tungstenite::handshake::machine::TryParse;

use super::admission::Refusal;
use crate::limits::HTTP_HEAD_BYTES_MAX;

/// Why there is no head.
#[derive(Debug)]
pub(super) enum HeadError {
    Io(std::io::Error),
    /// The peer went away after this many bytes.
    Ended(usize),
    TooLarge,
    /// What came is a TLS record.
    Tls,
    Malformed(tungstenite::Error),
}

/// Reads a request's or an answer's head; what came after it is returned with it.
pub(super) async fn read_head<H, S>(stream: &mut S) -> Result<(H, Bytes), HeadError>
where
    H: TryParse,
    S: AsyncRead + Unpin,
{
    let mut buffer = BytesMut::with_capacity(1024);
    let mut searched = 0;
    loop {
        let count = stream.read_buf(&mut buffer).await.map_err(HeadError::Io)?;
        if count == 0 {
            return Err(HeadError::Ended(buffer.len()));
        }
        // 0x16 is a TLS handshake record; no HTTP message begins like that.
        if buffer.first() == Some(&0x16) {
            return Err(HeadError::Tls);
        }
        // Parsed once, when its end is there: a peer that sends single bytes costs no more.
        let from = usize::saturating_sub(searched, 3);
        let ended = buffer[from..].windows(4).any(|four| four == b"\r\n\r\n");
        searched = buffer.len();
        if ended {
            let parsed = H::try_parse(&buffer).map_err(HeadError::Malformed)?;
            if let Some((size, head)) = parsed {
                buffer.advance(size);
                return Ok((head, buffer.freeze()));
            }
        }
        if buffer.len() >= HTTP_HEAD_BYTES_MAX {
            return Err(HeadError::TooLarge);
        }
    }
}

/// Writes a head, already formatted, and flushes.
pub(super) async fn write_all<S: AsyncWrite + Unpin>(
    stream: &mut S,
    head: &str,
) -> std::io::Result<()> {
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await
}

/// Tells a client on a plaintext connection that there is no room, as far as the socket takes it at
/// once: a flood is not waited for.
pub fn no_room(tcp: &TcpStream, refusal: &Refusal) {
    let answer = self::refusal(refusal.status, refusal.reason.name());
    let _ = tcp.try_write(answer.as_bytes());
}

/// The head and body of a refusal.
pub(super) fn refusal(status: u16, name: &str) -> String {
    let phrase = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Refused");
    let more = match status {
        426 => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        429 | 503 => "Retry-After: 30\r\n",
        _ => "",
    };
    let length = name.len() + 1;
    format!(
        "HTTP/1.1 {status} {phrase}\r\nConnection: close\r\n{more}\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{name}\n"
    )
}
