//! Writes protobuf in one pass.
//! Deliberately without a length pass: a nested message gets one byte for its length, and is
//! shifted when it turns out longer, which for USP's few levels is cheaper than measuring first.

use super::{Map, Message};

/// Room for most messages, so that they are not moved while they grow.
const CAPACITY: usize = 4096;

/// Grows an encoded message.
pub(crate) struct Writer {
    buf: Vec<u8>,
}

impl Writer {
    /// Encodes a message as the whole buffer.
    pub(crate) fn encode<M: Message>(message: &M) -> Vec<u8> {
        let mut writer = Self {
            buf: Vec::with_capacity(CAPACITY),
        };
        message.encode(&mut writer);
        // Messages wait in queues: a small one does not keep the room of a large one.
        if writer.buf.len() < writer.buf.capacity() / 2 {
            writer.buf.shrink_to_fit();
        }
        writer.buf
    }

    #[inline]
    fn varint(&mut self, value: u64) {
        // Tags and lengths are nearly always one byte.
        if value < 0x80 {
            self.buf.push(value as u8);
        } else {
            self.varint_long(value);
        }
    }

    fn varint_long(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buf.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.buf.push(value as u8);
    }

    #[inline]
    pub(crate) fn bytes(&mut self, tag: u32, value: &[u8]) {
        if !value.is_empty() {
            self.bytes_always(tag, value);
        }
    }

    #[inline]
    pub(crate) fn bytes_always(&mut self, tag: u32, value: &[u8]) {
        self.varint(tag.into());
        self.varint(value.len() as u64);
        self.buf.extend_from_slice(value);
    }

    pub(crate) fn uint64(&mut self, tag: u32, value: u64) {
        if value != 0 {
            self.varint(tag.into());
            self.varint(value);
        }
    }

    /// Negative numbers take ten bytes, as protobuf has it.
    pub(crate) fn int32(&mut self, tag: u32, value: i32) {
        self.uint64(tag, i64::from(value) as u64);
    }

    pub(crate) fn fixed32(&mut self, tag: u32, value: u32) {
        if value != 0 {
            self.varint(tag.into());
            self.buf.extend_from_slice(&value.to_le_bytes());
        }
    }

    pub(crate) fn message<M: Message>(&mut self, tag: u32, message: &M) {
        self.varint(tag.into());
        self.delimited(|w| message.encode(w));
    }

    pub(crate) fn map(&mut self, tag: u32, map: &Map) {
        for (name, value) in map.iter() {
            self.varint(tag.into());
            self.varint((field_len(name) + field_len(value)) as u64);
            self.bytes(10, name.as_bytes());
            self.bytes(18, value.as_bytes());
        }
    }

    fn delimited(&mut self, content: impl FnOnce(&mut Self)) {
        let at = self.buf.len();
        self.buf.push(0);
        content(self);
        let start = at + 1;
        let len = self.buf.len() - start;
        if len < 0x80 {
            self.buf[at] = len as u8;
            return;
        }
        let extra = (len.ilog2() / 7) as usize;
        let end = self.buf.len();
        self.buf.resize(end + extra, 0);
        self.buf.copy_within(start..end, start + extra);
        let mut rest = len;
        for byte in &mut self.buf[at..at + extra] {
            *byte = rest as u8 | 0x80;
            rest >>= 7;
        }
        self.buf[at + extra] = rest as u8;
    }
}

/// Bytes of a string in a map entry; what is empty is left out.
fn field_len(text: &str) -> usize {
    match text.len() {
        0 => 0,
        len => 2 + (len.ilog2() / 7) as usize + len,
    }
}
