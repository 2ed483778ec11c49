//! The pieces every MQTT packet is made of: integers, text, binary data, lengths. Reads are checked
//! against what is there; nothing here knows a packet.

use bytes::{Buf, Bytes};

use super::error::Malformed;
use crate::limits::MQTT_TEXT_BYTES_MAX;

/// What is left of one packet.
pub(super) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(super) fn new(rest: Bytes) -> Self {
        Self { rest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.need(1)?;
        Ok(self.rest.get_u8())
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.need(2)?;
        Ok(self.rest.get_u16())
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.need(4)?;
        Ok(self.rest.get_u32())
    }

    pub(super) fn variable(&mut self) -> Result<u32, Malformed> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a length of more than four bytes"))
    }

    /// MQTT-1.5.4: UTF-8 without the character NUL.
    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.binary()?;
        if bytes.len() > MQTT_TEXT_BYTES_MAX {
            return Err(Malformed("a text longer than MQTT_TEXT_BYTES_MAX"));
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
            _ => Err(Malformed("a text that is not UTF-8")),
        }
    }

    pub(super) fn binary(&mut self) -> Result<Bytes, Malformed> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<Bytes, Malformed> {
        self.need(length)?;
        Ok(self.rest.split_to(length))
    }

    pub(super) fn rest(self) -> Bytes {
        self.rest
    }

    fn need(&self, length: usize) -> Result<(), Malformed> {
        if self.rest.len() < length {
            return Err(Malformed("a packet that ends too early"));
        }
        Ok(())
    }
}

pub(super) fn put_variable(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// Longer ones are cut at 65,535 bytes: our own texts are far shorter.
pub(super) fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend(&bytes[..usize::from(length)]);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    let end = text.floor_char_boundary(usize::from(u16::MAX));
    put_binary(out, &text.as_bytes()[..end]);
}
