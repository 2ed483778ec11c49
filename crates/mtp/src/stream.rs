//! The byte stream under a link: TCP, TLS over TCP, or either inside of a WebSocket.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{limits::READ_CHUNK_BYTES, ws::Tunnel};

/// TLS is boxed so that a plaintext link does not carry its size.
pub enum Stream {
    /// Plaintext.
    Plain(TcpStream),
    /// TLS, either end.
    Tls(Box<tokio_rustls::TlsStream<TcpStream>>),
    /// Inside of a WebSocket.
    Tunnel(Box<Tunnel>),
}

impl Stream {
    /// Whether the bytes are encrypted.
    pub fn is_tls(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(_) => true,
            Self::Tunnel(tunnel) => tunnel.is_tls(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
            Self::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
            Self::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
            Self::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            Self::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_shutdown(cx),
        }
    }
}

/// Hands over what has come, at most [`READ_CHUNK_BYTES`], from the stack: an idle link owns no
/// buffer. The end of the stream is an error of the kind `UnexpectedEof`.
pub(crate) fn poll_chunk<S: AsyncRead + Unpin, T>(
    stream: &mut S,
    cx: &mut Context<'_>,
    take: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    let mut memory = [MaybeUninit::<u8>::uninit(); READ_CHUNK_BYTES];
    let mut buffer = ReadBuf::uninit(&mut memory);
    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
    Poll::Ready(match buffer.filled() {
        [] => Err(io::ErrorKind::UnexpectedEof.into()),
        bytes => Ok(take(bytes)),
    })
}

/// Whether an error only says that the peer is gone; TLS without close_notify among them.
pub(crate) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::WriteZero
    )
}
