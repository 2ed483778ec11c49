//! One established connection between two endpoints of a device, either end. Like the links of
//! other transports it has no task and, idle, no buffer: its owner awaits [`Link::recv`], which also
//! writes what is queued. A process that ends closes it, so nothing is pinged.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{io::AsyncWrite, net::UnixStream, sync::OwnedSemaphorePermit, time::timeout};
use usp::EndpointId;

use super::{
    error::LinkError,
    frame::{Frames, Tlv, write},
};
use crate::{
    limits::{CLOSE_TIME_MAX, SEND_QUEUE_BYTES, UDS_FRAME_BYTES_MAX, UDS_HANDSHAKE_BYTES_MAX},
    outgoing::{self, Outgoing, Queued},
    stream,
    whole::Whole,
};

/// Who the process on the other side is, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its process id, where the kernel tells it.
    pub pid: Option<i32>,
}

/// Frames over a socket, before and after the handshake.
pub(super) struct Pipe {
    stream: UnixStream,
    frames: Frames,
    whole: Whole,
    out: Outgoing,
}

/// See the module's words.
pub struct Link {
    pipe: Pipe,
    peer: EndpointId,
    credentials: Credentials,
    closed: bool,
    /// Gives the listener's place back when the link goes.
    _seat: Option<OwnedSemaphorePermit>,
}

impl Link {
    pub(super) fn new(
        mut pipe: Pipe,
        peer: EndpointId,
        credentials: Credentials,
        seat: Option<OwnedSemaphorePermit>,
    ) -> Self {
        pipe.frames.set_frame_bytes_max(UDS_FRAME_BYTES_MAX);
        Self {
            pipe,
            peer,
            credentials,
            closed: false,
            _seat: seat,
        }
    }

    /// The endpoint that the handshake named.
    pub fn peer(&self) -> &EndpointId {
        &self.peer
    }

    /// The process behind it.
    pub fn credentials(&self) -> Credentials {
        self.credentials
    }

    /// The next Record, still encoded. Cancel-safe. After an error the link is only good for
    /// dropping.
    pub async fn recv(&mut self) -> Result<Bytes, LinkError> {
        loop {
            if let Some(record) = self.recv_some().await? {
                return Ok(record);
            }
        }
    }

    /// The same, or nothing once there is room for what is sent.
    pub async fn recv_some(&mut self) -> Result<Option<Bytes>, LinkError> {
        poll_fn(|cx| self.poll_some(cx)).await
    }

    /// Whether what is sent now does not wait.
    pub fn has_room(&self) -> bool {
        self.waiting_bytes() <= SEND_QUEUE_BYTES
    }

    /// Waits until what is sent does not wait any more, without reading. Cancel-safe.
    pub async fn room(&mut self) -> Result<(), LinkError> {
        if self.closed {
            return Err(LinkError::ApiMisuse);
        }
        let room = outgoing::room(&mut self.pipe).await;
        room.map_err(|error| self.fail(error))
    }

    /// Bytes that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.pipe.queued_bytes()
    }

    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, LinkError>> {
        if self.closed {
            return Poll::Ready(Err(LinkError::ApiMisuse));
        }
        let had_room = self.has_room();
        if let Poll::Ready(Err(error)) = self.pipe.poll_write(cx) {
            return Poll::Ready(Err(self.fail(error)));
        }
        if !had_room && self.has_room() {
            return Poll::Ready(Ok(None));
        }
        loop {
            match ready!(self.pipe.poll_tlv(cx)) {
                Ok(Tlv::Record(record)) => return Poll::Ready(Ok(Some(record))),
                // R-UDS.19: one is enough.
                Ok(Tlv::Handshake(_)) => {}
                Ok(Tlv::Error(text)) => {
                    return Poll::Ready(Err(self.fail(LinkError::Refused(text)))); // R-UDS.25
                }
                Err(error) => {
                    // R-UDS.24, as far as the socket takes it at once.
                    let told = match &error {
                        LinkError::PeerMisbehaved(malformed) => Some(malformed.to_string()),
                        LinkError::PeerTrickles(_) => Some(error.to_string()),
                        _ => None,
                    };
                    if let Some(told) = told {
                        self.pipe.enqueue(&Tlv::Error(told));
                        let _ = self.pipe.poll_write(cx);
                    }
                    return Poll::Ready(Err(self.fail(error)));
                }
            }
        }
    }

    /// Sends one Record. Returns when it is queued, which is at once unless more than
    /// [`crate::limits::SEND_QUEUE_BYTES`] wait already. Cancel-safe before it is queued.
    pub async fn send(&mut self, record: impl Into<Bytes>) -> Result<(), LinkError> {
        self.room().await?;
        self.pipe.enqueue(&Tlv::Record(record.into()));
        let written = outgoing::push(&mut self.pipe).await;
        written.map_err(|error| self.fail(error))
    }

    /// Closes once what is queued has gone out, waiting for that up to [`CLOSE_TIME_MAX`].
    pub async fn close(mut self) {
        self.pipe.close().await;
    }

    /// The same after an Error frame: a Record that cannot be read (R-UDS.23), a peer that is not
    /// wanted.
    pub async fn refuse(mut self, why: &str) {
        self.pipe.refuse(why).await;
    }

    /// Bytes of the link's own buffers: zero whenever it is idle.
    pub fn heap_bytes(&self) -> usize {
        self.pipe.frames.heap_bytes() + self.pipe.out.heap_bytes()
    }

    fn fail(&mut self, error: LinkError) -> LinkError {
        self.closed = true;
        self.pipe.out.clear();
        error
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("peer", &self.peer)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

impl Pipe {
    /// Before the handshake is done, frames have to be short.
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            frames: Frames::new(UDS_HANDSHAKE_BYTES_MAX),
            whole: Whole::default(),
            out: Outgoing::default(),
        }
    }

    pub fn credentials(&self) -> io::Result<Credentials> {
        let known = self.stream.peer_cred()?;
        Ok(Credentials {
            uid: known.uid(),
            gid: known.gid(),
            pid: known.pid(),
        })
    }

    pub fn enqueue(&mut self, tlv: &Tlv) {
        write(self.out.end(), tlv);
    }

    /// Sends a handshake.
    pub async fn introduce(&mut self, own: &EndpointId) -> Result<(), LinkError> {
        self.enqueue(&Tlv::Handshake(own.as_str().to_owned()));
        poll_fn(|cx| self.poll_write(cx)).await
    }

    /// Waits for the other side's. Records before it are ignored (R-UDS.20).
    pub async fn introduction(&mut self) -> Result<String, LinkError> {
        let mut told = false;
        loop {
            match poll_fn(|cx| self.poll_tlv(cx)).await? {
                Tlv::Handshake(id) => return Ok(id),
                Tlv::Error(text) => return Err(LinkError::Refused(text)),
                Tlv::Record(_) if !told => {
                    told = true;
                    let process = self.credentials().ok();
                    tracing::info!(?process, "records before the handshake are ignored");
                }
                Tlv::Record(_) => {}
            }
        }
    }

    pub async fn refuse(&mut self, why: &str) {
        self.enqueue(&Tlv::Error(why.to_owned()));
        self.close().await;
    }

    async fn close(&mut self) {
        let all = async {
            poll_fn(|cx| self.poll_write(cx)).await?;
            let end = poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx));
            Ok::<_, LinkError>(end.await?)
        };
        let _ = timeout(CLOSE_TIME_MAX, all).await;
    }

    fn poll_tlv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Tlv, LinkError>> {
        loop {
            if let Some(tlv) = self.frames.next()? {
                self.whole.is_whole();
                return Poll::Ready(Ok(tlv));
            }
            let frames = &mut self.frames;
            let take = |bytes: &[u8]| frames.push(bytes);
            match stream::poll_chunk(&mut self.stream, cx, take) {
                Poll::Ready(read) => read.map_err(lost)?,
                Poll::Pending if self.frames.is_midway() => {
                    return Poll::Ready(Err(ready!(self.whole.poll(cx)).into()));
                }
                Poll::Pending => {
                    self.whole.is_whole();
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Queued for Pipe {
    type Error = LinkError;

    fn queued_bytes(&self) -> usize {
        self.out.bytes()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.out.poll_write(&mut self.stream, cx).map_err(lost)
    }
}

fn lost(error: io::Error) -> LinkError {
    match stream::is_end(&error) {
        true => LinkError::Gone,
        false => LinkError::Io(error),
    }
}
