//! How last-known values become bytes: sorted paths that share their beginnings, values, and for each its source and
//! time as small numbers relative to the document's; the whole deflated. Also the deflating of other documents.
//! It decides nothing about what is stored.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::DeflateDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use fleet::Timestamp;

use crate::error::{Error, Result};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::value::ValueSource;

/// The values of one document by path.
pub(crate) type Values = BTreeMap<String, Known>;

/// A value with its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) value: String,
    pub(crate) source: ValueSource,
    pub(crate) at: Timestamp,
}

const VERSION: u8 = 1;

thread_local! {
    /// What deflates: its tables are larger than most documents, and used again.
    static DEFLATER: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
}

/// Deflates a document.
pub(crate) fn deflate(bytes: &[u8]) -> Result<Vec<u8>> {
    DEFLATER.with_borrow_mut(|deflater| {
        deflater.reset();
        let mut out = Vec::with_capacity(bytes.len() / 4 + 64);
        loop {
            let done = usize::try_from(deflater.total_in()).map_err(Error::damaged)?;
            let rest = bytes.get(done..).unwrap_or_default();
            let status = deflater.compress_vec(rest, &mut out, FlushCompress::Finish);
            if status.map_err(Error::damaged)? == Status::StreamEnd {
                return Ok(out);
            }
            out.reserve(out.capacity());
        }
    })
}

/// Inflates a document of no more than [`DOCUMENT_BYTES_MAX`].
pub(crate) fn inflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() * 4);
    DeflateDecoder::new(bytes)
        .take(DOCUMENT_BYTES_MAX as u64 + 1)
        .read_to_end(&mut out)
        .map_err(Error::damaged)?;
    if out.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::damaged("a document larger than its limit"));
    }
    Ok(out)
}

/// Packs values.
pub(crate) fn encode(values: &Values) -> Result<Vec<u8>> {
    let base = values.values().map(|known| known.at.0).min().unwrap_or(0);
    let mut out = Vec::with_capacity(values.len() * 24 + 16);
    out.push(VERSION);
    number(&mut out, values.len() as u64);
    signed(&mut out, base);
    let mut before: &str = "";
    for (path, known) in values {
        let shared = path
            .char_indices()
            .zip(before.chars())
            .find(|((_, a), b)| a != b)
            .map_or(path.len().min(before.len()), |((at, _), _)| at);
        number(&mut out, shared as u64);
        text(&mut out, &path[shared..]);
        text(&mut out, &known.value);
        out.push(known.source.code());
        number(&mut out, known.at.0.abs_diff(base));
        before = path;
    }
    if out.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::LimitExceeded {
            what: "bytes of last-known values",
            max: DOCUMENT_BYTES_MAX as u64,
        });
    }
    deflate(&out)
}

/// Unpacks values.
pub(crate) fn decode(bytes: &[u8]) -> Result<Values> {
    let bytes = inflate(bytes)?;
    let mut rest = Reader(&bytes);
    if rest.byte()? != VERSION {
        return Err(Error::damaged("values in an unknown form"));
    }
    let count = rest.number()?;
    let base = rest.signed()?;
    let mut values = Values::new();
    let mut before = String::new();
    for _ in 0..count {
        let shared = usize::try_from(rest.number()?).map_err(Error::damaged)?;
        let mut path = before
            .get(..shared)
            .ok_or_else(|| Error::damaged("a path shares more than there is"))?
            .to_owned();
        path.push_str(rest.text()?);
        let value = rest.text()?.to_owned();
        let source = ValueSource::of_code(rest.byte()?);
        let later = i64::try_from(rest.number()?).map_err(Error::damaged)?;
        let at = Timestamp(base.saturating_add(later));
        before.clone_from(&path);
        values.insert(path, Known { value, source, at });
    }
    Ok(values)
}

fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn signed(out: &mut Vec<u8>, n: i64) {
    number(out, ((n << 1) ^ (n >> 63)) as u64);
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or_else(short)?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Error::damaged("a number without an end"))
    }

    fn signed(&mut self) -> Result<i64> {
        let n = self.number()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    fn text(&mut self) -> Result<&'b str> {
        let len = usize::try_from(self.number()?).map_err(Error::damaged)?;
        let (text, rest) = self.0.split_at_checked(len).ok_or_else(short)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(Error::damaged)
    }
}

fn short() -> Error {
    Error::damaged("a document that ends too early")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let mut values = Values::new();
        for (n, (path, value)) in [
            ("Device.DeviceInfo.Manufacturer", "Müller"),
            ("Device.DeviceInfo.ManufacturerOUI", "00256D"),
            ("Device.DeviceInfo.Märkte", ""),
            ("Device.DeviceInfo.Mörkte", "\0x"),
            ("Device.DeviceInfo.UpTime", "12"),
        ]
        .into_iter()
        .enumerate()
        {
            values.insert(
                path.to_owned(),
                Known {
                    value: value.to_owned(),
                    source: ValueSource::of_code(n as u8),
                    at: Timestamp(1_700_000_000_000 - 77 * n as i64),
                },
            );
        }
        values
    }

    #[test]
    fn values_come_back_as_they_went_in() {
        for some in [values(), Values::new()] {
            assert_eq!(decode(&encode(&some).unwrap()).unwrap(), some);
        }
    }

    #[test]
    fn a_typical_document_takes_a_few_bytes_per_value() {
        let mut many = Values::new();
        for n in 0..500 {
            many.insert(
                format!(
                    "Device.WiFi.AccessPoint.{}.AssociatedDevice.{}.SignalStrength",
                    n / 20,
                    n % 20
                ),
                Known {
                    value: (-40 - n % 30).to_string(),
                    source: ValueSource::Read,
                    at: Timestamp(1_700_000_000_000 + n),
                },
            );
        }
        let bytes = encode(&many).unwrap();
        assert!(bytes.len() < many.len() * 8, "{} bytes", bytes.len());
    }

    #[test]
    fn a_damaged_document_is_an_error_and_no_panic() {
        let plain = inflate(&encode(&values()).unwrap()).unwrap();
        for cut in 0..plain.len() {
            let _ = decode(&deflate(&plain[..cut]).unwrap());
            let mut changed = plain.clone();
            changed[cut] ^= 0x55;
            let _ = decode(&deflate(&changed).unwrap());
        }
        assert!(decode(&[0xff, 0x00]).is_err());
    }

    #[test]
    fn a_document_does_not_inflate_beyond_its_limit() {
        let bomb = deflate(&vec![0u8; DOCUMENT_BYTES_MAX + 1]).unwrap();
        assert!(bomb.len() < 1_000_000);
        assert!(matches!(inflate(&bomb), Err(Error::Damaged(_))));
    }
}
