//! A stream of bytes inside of a WebSocket, for protocols that have packets of their own (MQTT 5.0,
//! section 6). Frames are taken as they come and mean nothing: a payload is handed on as it arrives,
//! so no message is ever put together here, however long.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    close::CloseCode,
    frame::{self, HEADER_BYTES_MAX, Header, OpCode, apply_mask},
    link::Role,
};
use crate::{
    limits::{READ_CHUNK_BYTES, TUNNEL_FRAME_BYTES_MAX},
    outgoing::Outgoing,
    stream::Stream,
};

/// What a peer did that no tunnel allows: the inner error of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Violation(pub(crate) &'static str);

/// See the module's words.
pub struct Tunnel {
    stream: Stream,
    role: Role,
    /// Bytes that came with the handshake.
    unread: Bytes,
    header: [u8; HEADER_BYTES_MAX],
    header_has: u8,
    frame: Option<Header>,
    /// Bytes of the payload that have come.
    read: u64,
    control: Vec<u8>,
    /// The answer to the newest ping, while older bytes still wait (RFC 6455, 5.5.3).
    pong: Option<Vec<u8>>,
    out: Outgoing,
    /// The peer has closed.
    ended: bool,
    /// We have.
    closed: bool,
}

impl Tunnel {
    pub(super) fn new(stream: Stream, role: Role, unread: Bytes) -> Self {
        Self {
            stream,
            role,
            unread,
            header: [0; HEADER_BYTES_MAX],
            header_has: 0,
            frame: None,
            read: 0,
            control: Vec::new(),
            pong: None,
            out: Outgoing::default(),
            ended: false,
            closed: false,
        }
    }

    /// Whether the bytes below are encrypted.
    pub fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }

    /// Takes all of `input`, which is never longer than the room in `buffer`.
    fn feed(&mut self, mut input: &[u8], buffer: &mut ReadBuf<'_>) -> Result<(), Violation> {
        while !self.ended {
            let Some(header) = self.frame else {
                match self.read_header(&mut input) {
                    None => return Ok(()),
                    Some(header) => {
                        self.check(&header)?;
                        (self.frame, self.read) = (Some(header), 0);
                        continue;
                    }
                }
            };
            let left = usize::try_from(header.length - self.read).unwrap_or(usize::MAX);
            let piece = input.split_off(..left.min(input.len())).unwrap_or_default();
            let (mask, offset) = (header.mask.unwrap_or_default(), (self.read % 4) as usize);
            let into = match header.opcode.is_control() {
                true => {
                    let start = self.control.len();
                    self.control.extend_from_slice(piece);
                    &mut self.control[start..]
                }
                false => {
                    let start = buffer.filled().len();
                    buffer.put_slice(piece);
                    &mut buffer.filled_mut()[start..]
                }
            };
            apply_mask(into, mask, offset);
            self.read += piece.len() as u64;
            if self.read < header.length {
                return Ok(());
            }
            self.frame = None;
            let control = std::mem::take(&mut self.control);
            match header.opcode {
                OpCode::Ping => self.pong = Some(control),
                OpCode::Close => {
                    self.close(CloseCode::Normal);
                    self.ended = true;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read_header(&mut self, input: &mut &[u8]) -> Option<Header> {
        loop {
            let has = usize::from(self.header_has);
            let size = Header::size(&self.header[..has]);
            if has == size {
                self.header_has = 0;
                return Header::read(&self.header[..size]);
            }
            let piece = input.split_off(..(size - has).min(input.len()));
            let piece = piece.filter(|piece| !piece.is_empty())?;
            self.header[has..has + piece.len()].copy_from_slice(piece);
            self.header_has += piece.len() as u8;
        }
    }

    fn check(&self, header: &Header) -> Result<(), Violation> {
        let wrong = match header.opcode {
            _ if header.reserved_bits => "reserved bits set without an extension",
            _ if header.mask.is_some() != (self.role == Role::Server) => "a wrong mask",
            OpCode::Reserved => "an unknown opcode",
            // MQTT-6.0.0-1
            OpCode::Text => "a text message",
            opcode if opcode.is_control() && (!header.fin || header.length > 125) => {
                "a control frame in pieces, or longer than 125 bytes"
            }
            _ => return Ok(()),
        };
        Err(Violation(wrong))
    }

    fn enqueue(&mut self, opcode: OpCode, payload: &[u8]) {
        let mask = (self.role == Role::Client).then(rand::random);
        frame::write(self.out.end(), opcode, payload, mask);
    }

    fn close(&mut self, code: CloseCode) {
        if !std::mem::replace(&mut self.closed, true) {
            self.enqueue(OpCode::Close, &code.as_u16().to_be_bytes());
        }
    }

    /// Writes what waits, the answer to a ping last.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.out.poll_write(&mut self.stream, cx))?;
            match self.pong.take() {
                Some(payload) if !self.closed => self.enqueue(OpCode::Pong, &payload),
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tunnel = self.get_mut();
        let before = buffer.filled().len();
        loop {
            // A peer that is gone has still said what came before that; reading finds its end.
            let _ = tunnel.poll_out(cx);
            if tunnel.ended || buffer.filled().len() > before || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let fed = if tunnel.unread.has_remaining() {
                let size = tunnel.unread.len().min(buffer.remaining());
                let input = tunnel.unread.split_to(size);
                tunnel.feed(&input, buffer)
            } else {
                // Into what is not filled yet, and from there to its place: a payload is shorter
                // than the frames it comes in.
                let mut memory = [MaybeUninit::<u8>::uninit(); READ_CHUNK_BYTES];
                let size = READ_CHUNK_BYTES.min(buffer.remaining());
                let mut input = ReadBuf::uninit(&mut memory[..size]);
                ready!(Pin::new(&mut tunnel.stream).poll_read(cx, &mut input))?;
                if input.filled().is_empty() {
                    return Poll::Ready(Ok(()));
                }
                tunnel.feed(input.filled(), buffer)
            };
            if let Err(violation) = fed {
                tunnel.close(CloseCode::Protocol);
                // As far as the socket takes it at once.
                let _ = tunnel.poll_out(cx);
                let error = io::Error::new(io::ErrorKind::InvalidData, violation);
                return Poll::Ready(Err(error));
            }
        }
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let tunnel = self.get_mut();
        if tunnel.ended {
            // As on a socket: what it said last can still be read.
            return Poll::Ready(Ok(bytes.len()));
        }
        if tunnel.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(tunnel.poll_out(cx))?;
        let piece = &bytes[..bytes.len().min(TUNNEL_FRAME_BYTES_MAX)];
        tunnel.enqueue(OpCode::Binary, piece);
        // What the socket does not take now goes out with the next call of anything.
        if let Poll::Ready(Err(error)) = tunnel.out.poll_write(&mut tunnel.stream, cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_out(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tunnel = self.get_mut();
        tunnel.close(CloseCode::Normal);
        ready!(tunnel.poll_out(cx))?;
        Pin::new(&mut tunnel.stream).poll_shutdown(cx)
    }
}
