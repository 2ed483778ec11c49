//! Reads protobuf, strictly where TR-369 is strict, and within named limits.
//! Deliberately stricter than protobuf: a doubled or missing oneof, a doubled mandatory message
//! and a known field of the wrong wire type are errors (R-ENC.3), not merged or skipped.

use std::fmt;

use super::Message;
use crate::limits;

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The innermost schema message it happened in.
    pub message: &'static str,
    /// How many bytes had been read.
    pub at: usize,
}

/// What is wrong with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeErrorKind {
    /// They end in the middle, or a length points past the end.
    Truncated,
    /// A number longer than 64 bits.
    Varint,
    /// A field number or wire type that cannot be.
    Tag,
    /// Text that is not UTF-8.
    Utf8,
    /// A known field with another wire type, such as an `err_code` as varint.
    WireType {
        /// The field's number.
        field: u32,
    },
    /// A mandatory field or oneof is missing (R-ENC.3, R-MTP.4b).
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A oneof or a mandatory message occurs twice (R-ENC.3).
    Doubled {
        /// Its name.
        field: &'static str,
    },
    /// A oneof holds something newer than we know.
    Unknown {
        /// The oneof's name.
        field: &'static str,
        /// The number of the field it holds.
        number: u32,
    },
    /// A limit of `usp::limits` is hit.
    Limit {
        /// Its name.
        limit: &'static str,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use DecodeErrorKind as Kind;
        match self.kind {
            Kind::Truncated => write!(f, "ends in the middle")?,
            Kind::Varint => write!(f, "a number is longer than 64 bits")?,
            Kind::Tag => write!(f, "an impossible field")?,
            Kind::Utf8 => write!(f, "text is not UTF-8")?,
            Kind::WireType { field } => write!(f, "field {field} has the wrong wire type")?,
            Kind::Missing { field } => write!(f, "{field} is missing")?,
            Kind::Doubled { field } => write!(f, "{field} occurs twice")?,
            Kind::Unknown { field, number } => {
                write!(f, "{field} holds the unknown field {number}")?
            }
            Kind::Limit { limit } => write!(f, "the limit {limit} is exceeded")?,
        }
        write!(f, " (in {}, byte {})", self.message, self.at)
    }
}

impl std::error::Error for DecodeError {}

/// A cursor over an encoded message, bounded to the message being read.
pub(crate) struct Reader<'a> {
    buf: &'a [u8],
    at: usize,
    end: usize,
    elements: usize,
    name: &'static str,
}

type Result<T> = std::result::Result<T, DecodeError>;

impl<'a> Reader<'a> {
    /// Decodes a whole buffer as one message.
    pub(crate) fn decode<M: Message>(buf: &'a [u8]) -> Result<M> {
        let mut reader = Self::new(buf, M::NAME);
        M::decode(&mut reader)
    }

    pub(crate) fn new(buf: &'a [u8], name: &'static str) -> Self {
        Self {
            buf,
            at: 0,
            end: buf.len(),
            elements: 0,
            name,
        }
    }

    #[cold]
    fn fault(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError {
            kind,
            message: self.name,
            at: self.at,
        }
    }

    /// The next field's tag; `None` at the end of the message.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<Option<u32>> {
        if self.at == self.end {
            return Ok(None);
        }
        let tag = self.varint()?;
        match u32::try_from(tag) {
            Ok(tag) if tag >> 3 != 0 => Ok(Some(tag)),
            _ => Err(self.fault(DecodeErrorKind::Tag)),
        }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64> {
        // Tags and lengths are nearly always one byte.
        if let Some(&byte) = self.rest().first()
            && byte < 0x80
        {
            self.at += 1;
            return Ok(byte.into());
        }
        self.varint_long()
    }

    fn varint_long(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for (index, &byte) in self.rest().iter().take(10).enumerate() {
            if index == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.at += index + 1;
                return Ok(value);
            }
        }
        let short = self.rest().len() < 10;
        Err(self.fault(if short {
            DecodeErrorKind::Truncated
        } else {
            DecodeErrorKind::Varint
        }))
    }

    fn rest(&self) -> &'a [u8] {
        &self.buf[self.at..self.end]
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        match self.rest().get(..len) {
            Some(taken) => {
                self.at += len;
                Ok(taken)
            }
            None => Err(self.fault(DecodeErrorKind::Truncated)),
        }
    }

    /// The content of a length-delimited field.
    #[inline]
    pub(crate) fn delimited(&mut self) -> Result<&'a [u8]> {
        let len = self.varint()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    pub(crate) fn str(&mut self) -> Result<&'a str> {
        let bytes = self.delimited()?;
        std::str::from_utf8(bytes).map_err(|_| self.fault(DecodeErrorKind::Utf8))
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        self.str().map(str::to_owned)
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>> {
        self.delimited().map(<[u8]>::to_vec)
    }

    pub(crate) fn uint64(&mut self) -> Result<u64> {
        self.varint()
    }

    /// Enums and their unknown numbers, which are kept (R-ENC.2).
    pub(crate) fn int32(&mut self) -> Result<i32> {
        self.varint().map(|value| value as i32)
    }

    pub(crate) fn boolean(&mut self) -> Result<bool> {
        self.varint().map(|value| value != 0)
    }

    pub(crate) fn fixed32(&mut self) -> Result<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Reads a nested message; the schema is not recursive, so its depth bounds ours.
    pub(crate) fn message<M: Message>(&mut self) -> Result<M> {
        self.nested(M::NAME, M::decode)
    }

    fn nested<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let len = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if len > self.end - self.at {
            return Err(self.fault(DecodeErrorKind::Truncated));
        }
        let outer = (self.end, self.name);
        (self.end, self.name) = (self.at + len, name);
        let value = read(self)?;
        (self.end, self.name) = outer;
        Ok(value)
    }

    pub(crate) fn map_entry(&mut self) -> Result<(&'a str, &'a str)> {
        self.nested("map entry", |r| {
            let (mut name, mut value) = ("", "");
            while let Some(tag) = r.tag()? {
                match tag {
                    10 => name = r.str()?,
                    18 => value = r.str()?,
                    _ => _ = r.unknown(tag, 0b110)?,
                }
            }
            Ok((name, value))
        })
    }

    /// Counts a repeated element or map entry against the limit of the whole message.
    #[inline]
    pub(crate) fn count(&mut self) -> Result<()> {
        self.elements += 1;
        if self.elements > limits::ELEMENTS_MAX {
            return Err(self.fault(DecodeErrorKind::Limit {
                limit: "ELEMENTS_MAX",
            }));
        }
        Ok(())
    }

    /// Refuses a second value for a oneof or a mandatory message. R-ENC.3, R-MSG.5
    #[inline]
    pub(crate) fn once<T>(&self, slot: &Option<T>, field: &'static str) -> Result<()> {
        match slot {
            None => Ok(()),
            Some(_) => Err(self.fault(DecodeErrorKind::Doubled { field })),
        }
    }

    pub(crate) fn required<T>(&self, slot: Option<T>, field: &'static str) -> Result<T> {
        slot.ok_or_else(|| self.fault(DecodeErrorKind::Missing { field }))
    }

    /// The value of a mandatory oneof; an unknown field instead of it is told apart. R-ENC.3
    pub(crate) fn one_of<T>(
        &self,
        slot: Option<T>,
        field: &'static str,
        unknown: u32,
    ) -> Result<T> {
        slot.ok_or_else(|| {
            self.fault(match unknown {
                0 => DecodeErrorKind::Missing { field },
                number => DecodeErrorKind::Unknown { field, number },
            })
        })
    }

    /// Skips a field that is not in the schema and gives its number. `known` has a bit for each
    /// field number of the message: those come here only with the wrong wire type.
    #[cold]
    pub(crate) fn unknown(&mut self, tag: u32, known: u32) -> Result<u32> {
        let field = tag >> 3;
        if field < 32 && known & (1 << field) != 0 {
            return Err(self.fault(DecodeErrorKind::WireType { field }));
        }
        self.skip(tag, limits::GROUP_DEPTH_MAX)?;
        Ok(field)
    }

    pub(crate) fn skip(&mut self, tag: u32, depth: usize) -> Result<()> {
        match tag & 7 {
            0 => self.varint().map(drop),
            1 => self.take(8).map(drop),
            2 => self.delimited().map(drop),
            3 => self.skip_group(tag >> 3, depth),
            5 => self.take(4).map(drop),
            _ => Err(self.fault(DecodeErrorKind::Tag)),
        }
    }

    /// Groups are the only thing that can nest without end.
    fn skip_group(&mut self, field: u32, depth: usize) -> Result<()> {
        if depth == 0 {
            return Err(self.fault(DecodeErrorKind::Limit {
                limit: "GROUP_DEPTH_MAX",
            }));
        }
        while let Some(tag) = self.tag()? {
            if tag & 7 == 4 {
                return if tag >> 3 == field {
                    Ok(())
                } else {
                    Err(self.fault(DecodeErrorKind::Tag))
                };
            }
            self.skip(tag, depth - 1)?;
        }
        Err(self.fault(DecodeErrorKind::Truncated))
    }
}
