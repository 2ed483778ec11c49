//! Bytes to records and messages, and back, within the limits of [`crate::limits`].
//! Deliberately no dispatch: what a broken record or message calls for is decided by the sessions.
//!
//! Unknown enum numbers are kept (R-ENC.2). A oneof that is missing or doubled is an error
//! (R-ENC.3): see [`DecodeError::is_broken_oneof`] for what R-ENC.4 and .5 make of it.

use crate::error::Error;
use crate::limits;
use crate::msg::{Msg, MsgType};
use crate::record::Record;
use crate::wire::{DecodeError, DecodeErrorKind, Reader, Writer};

/// Decodes the payload of one transport message.
pub fn decode_record(bytes: &[u8]) -> Result<Record, Error> {
    check_size(bytes.len())?;
    Ok(Reader::decode(bytes)?)
}

/// Encodes the payload of one transport message.
pub fn encode_record(record: &Record) -> Vec<u8> {
    Writer::encode(record)
}

/// Decodes the payload of a record.
pub fn decode_msg(bytes: &[u8]) -> Result<Msg, Error> {
    check_size(bytes.len())?;
    Ok(Reader::decode(bytes)?)
}

/// Encodes the payload of a record.
pub fn encode_msg(msg: &Msg) -> Vec<u8> {
    Writer::encode(msg)
}

/// Refuses what is larger than `RECORD_BYTES_MAX`.
pub(crate) fn check_size(bytes: usize) -> Result<(), Error> {
    match bytes <= limits::RECORD_BYTES_MAX {
        true => Ok(()),
        false => Err(Error::LimitExceeded {
            limit: "RECORD_BYTES_MAX",
            max: limits::RECORD_BYTES_MAX,
        }),
    }
}

impl DecodeError {
    /// Whether a oneof is missing or doubled: such a record is dropped in silence (R-ENC.4), such
    /// a request is answered with 7004 (R-ENC.5).
    pub fn is_broken_oneof(&self) -> bool {
        matches!(
            self.kind,
            DecodeErrorKind::Missing { .. }
                | DecodeErrorKind::Doubled { .. }
                | DecodeErrorKind::Unknown { .. }
        )
    }
}

/// What can still be said about a message that does not decode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// Its id, without which nothing can be answered (R-MTP.5).
    pub msg_id: Option<String>,
    /// Whether it asks for something: errors are only ever answered to those.
    pub is_request: bool,
}

/// Looks at the header and the kind of body of a message that [`decode_msg`] refuses. R-MTP.5
pub fn peek_msg(bytes: &[u8]) -> Peek {
    let mut peek = Peek::default();
    let (mut msg_type, mut request, mut answer) = (MsgType::ERROR, false, false);
    _ = scan(bytes, |tag, content| match tag {
        10 => _ = scan_header(content, &mut peek.msg_id, &mut msg_type),
        18 => {
            _ = scan(content, |tag, _| match tag {
                10 => request = true,
                18 | 26 => answer = true,
                _ => {}
            });
        }
        _ => {}
    });
    let named = matches!(
        msg_type,
        MsgType::GET
            | MsgType::NOTIFY
            | MsgType::SET
            | MsgType::OPERATE
            | MsgType::ADD
            | MsgType::DELETE
            | MsgType::GET_SUPPORTED_DM
            | MsgType::GET_INSTANCES
            | MsgType::GET_SUPPORTED_PROTO
            | MsgType::REGISTER
            | MsgType::DEREGISTER
    );
    peek.is_request = !answer && (request || named);
    peek
}

/// Calls `visit` with each length-delimited field up to the first that cannot be read.
fn scan<'a>(bytes: &'a [u8], mut visit: impl FnMut(u32, &'a [u8])) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes, "Msg");
    while let Some(tag) = reader.tag()? {
        match tag & 7 {
            2 => visit(tag, reader.delimited()?),
            _ => reader.skip(tag, limits::GROUP_DEPTH_MAX)?,
        }
    }
    Ok(())
}

fn scan_header(
    bytes: &[u8],
    msg_id: &mut Option<String>,
    msg_type: &mut MsgType,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes, "Header");
    while let Some(tag) = reader.tag()? {
        match tag {
            10 => *msg_id = Some(reader.text()?).filter(|id| !id.is_empty()),
            16 => *msg_type = MsgType(reader.int32()?),
            _ => reader.skip(tag, limits::GROUP_DEPTH_MAX)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msg::{self, Body, Request};
    use crate::record::RecordType;

    fn fault(error: Error) -> DecodeErrorKind {
        match error {
            Error::InvalidMessage(error) => error.kind,
            other => panic!("{other}"),
        }
    }

    fn record(fields: &[u8]) -> Result<Record, Error> {
        decode_record(&[b"\x0a\x031.4".as_slice(), fields].concat())
    }

    #[test]
    fn the_golden_bytes_of_a_websocket_connect() {
        let decoded = record(b"\x12\x01c\x1a\x01a\x4a\x00").unwrap();
        assert_eq!(
            (decoded.to_id.as_str(), decoded.from_id.as_str()),
            ("c", "a")
        );
        assert!(matches!(
            decoded.record_type,
            RecordType::WebsocketConnect(_)
        ));
        // Empty sub-messages are on the wire.
        assert_eq!(
            encode_record(&decoded),
            b"\x0a\x031.4\x12\x01c\x1a\x01a\x4a\x00"
        );
    }

    /// R-ENC.3, .4
    #[test]
    fn a_missing_or_doubled_record_type_is_detected() {
        let kind = |fields: &[u8]| fault(record(fields).unwrap_err());
        assert_eq!(
            kind(b""),
            DecodeErrorKind::Missing {
                field: "record_type"
            }
        );
        assert_eq!(
            kind(b"\x4a\x00\x6a\x00"),
            DecodeErrorKind::Doubled {
                field: "record_type"
            }
        );
        assert_eq!(
            kind(b"\x4a\x00\x4a\x00"),
            DecodeErrorKind::Doubled {
                field: "record_type"
            }
        );
        // Field 20: a record type of the future.
        let unknown = DecodeErrorKind::Unknown {
            field: "record_type",
            number: 20,
        };
        assert_eq!(kind(b"\xa2\x01\x00"), unknown);
    }

    /// R-ENC.2
    #[test]
    fn unknown_enum_numbers_are_kept() {
        let decoded = record(b"\x20\x63\x4a\x00").unwrap();
        assert_eq!(decoded.payload_security.0, 99);
        assert_eq!(
            format!("{:?}", decoded.payload_security),
            "PayloadSecurity(99)"
        );
        let again = decode_record(&encode_record(&decoded)).unwrap();
        assert_eq!(again, decoded);
        // A negative one takes ten bytes.
        let mut negative = decoded;
        negative.payload_security.0 = -1;
        assert_eq!(decode_record(&encode_record(&negative)).unwrap(), negative);
    }

    /// Error codes are fixed32; as varint they would read as success when skipped.
    #[test]
    fn a_known_field_of_the_wrong_wire_type_is_an_error() {
        // Msg{header{msg_id}, body{error{err_code as varint}}}
        let bytes = b"\x0a\x03\x0a\x01x\x12\x05\x1a\x03\x08\xdc\x36";
        assert_eq!(
            fault(decode_msg(bytes).unwrap_err()),
            DecodeErrorKind::WireType { field: 1 }
        );
    }

    #[test]
    fn the_fields_of_1_5_are_kept() {
        let decoded = record(b"\x4a\x00\x72\x01o\x7a\x01d").unwrap();
        assert_eq!(
            (
                decoded.originator_id.as_str(),
                decoded.destination_id.as_str()
            ),
            ("o", "d")
        );
        assert_eq!(decode_record(&encode_record(&decoded)).unwrap(), decoded);
    }

    #[test]
    fn unknown_fields_are_skipped() {
        // Field 100 as varint, fixed64, bytes, group and fixed32.
        let unknown = b"\xa0\x06\x01\xa1\x06\x00\x00\x00\x00\x00\x00\x00\x00\xa2\x06\x01x\xa3\x06\x08\x01\xa4\x06\xa5\x06\x00\x00\x00\x00";
        assert!(record(&[unknown.as_slice(), b"\x4a\x00"].concat()).is_ok());
    }

    #[test]
    fn bytes_that_end_early_are_refused() {
        let msg = Msg::request("id", msg::get(["Device."]));
        let bytes = encode_msg(&msg);
        for len in 0..bytes.len() {
            assert!(decode_msg(&bytes[..len]).is_err(), "{len}");
        }
        assert_eq!(
            fault(record(b"\x4a\x7f").unwrap_err()),
            DecodeErrorKind::Truncated
        );
        assert_eq!(
            fault(record(b"\x4a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").unwrap_err()),
            DecodeErrorKind::Truncated
        );
        assert_eq!(
            fault(record(b"\x4a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02").unwrap_err()),
            DecodeErrorKind::Varint
        );
        assert_eq!(
            fault(record(b"\x00\x00").unwrap_err()),
            DecodeErrorKind::Tag
        );
        assert_eq!(
            fault(record(b"\x12\x01\xff").unwrap_err()),
            DecodeErrorKind::Utf8
        );
    }

    /// `RECORD_BYTES_MAX`
    #[test]
    fn an_oversized_record_is_refused() {
        let error = decode_record(&vec![0; limits::RECORD_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(
            error,
            Error::LimitExceeded {
                limit: "RECORD_BYTES_MAX",
                max: limits::RECORD_BYTES_MAX
            }
        );
    }

    /// `GROUP_DEPTH_MAX`
    #[test]
    fn deep_groups_are_refused() {
        let nested = |depth: usize| {
            [
                b"\xa3\x06".repeat(depth),
                b"\xa4\x06".repeat(depth),
                b"\x4a\x00".to_vec(),
            ]
            .concat()
        };
        assert!(record(&nested(limits::GROUP_DEPTH_MAX)).is_ok());
        let error = record(&nested(limits::GROUP_DEPTH_MAX + 1)).unwrap_err();
        assert!(
            matches!(
                error,
                Error::LimitExceeded {
                    limit: "GROUP_DEPTH_MAX",
                    ..
                }
            ),
            "{error}"
        );
        assert!(record(&b"\xa3\x06".repeat(100_000)).is_err());
    }

    /// `ELEMENTS_MAX`
    #[test]
    fn endless_elements_are_refused() {
        let paths = |count: usize| encode_msg(&Msg::request("id", msg::get(vec![""; count])));
        assert!(decode_msg(&paths(limits::ELEMENTS_MAX)).is_ok());
        let error = decode_msg(&paths(limits::ELEMENTS_MAX + 1)).unwrap_err();
        assert!(
            matches!(
                error,
                Error::LimitExceeded {
                    limit: "ELEMENTS_MAX",
                    ..
                }
            ),
            "{error}"
        );
    }

    /// R-MTP.5
    #[test]
    fn the_id_and_kind_of_a_broken_message_are_still_found() {
        // Header, then a body with two requests.
        let doubled = b"\x0a\x03\x0a\x01x\x12\x08\x0a\x02\x0a\x00\x0a\x02\x0a\x00";
        let error = decode_msg(doubled).unwrap_err();
        assert_eq!(fault(error), DecodeErrorKind::Doubled { field: "msg_body" });
        assert_eq!(
            peek_msg(doubled),
            Peek {
                msg_id: Some("x".into()),
                is_request: true
            }
        );
        // No body, but a header that says Get.
        assert_eq!(
            peek_msg(b"\x0a\x05\x0a\x01x\x10\x01"),
            Peek {
                msg_id: Some("x".into()),
                is_request: true
            }
        );
        // A response is never answered, whatever its header says.
        assert_eq!(
            peek_msg(b"\x0a\x05\x0a\x01x\x10\x01\x12\x02\x12\x00"),
            Peek {
                msg_id: Some("x".into()),
                is_request: false
            }
        );
        assert_eq!(peek_msg(b"soup"), Peek::default());
    }

    #[test]
    fn an_unknown_request_is_told_from_none() {
        // Request with field 30.
        let unknown = b"\x0a\x03\x0a\x01x\x12\x05\x0a\x03\xf2\x01\x00";
        let kind = fault(decode_msg(unknown).unwrap_err());
        assert_eq!(
            kind,
            DecodeErrorKind::Unknown {
                field: "req_type",
                number: 30
            }
        );
    }

    #[test]
    fn lengths_around_the_size_of_their_prefix_survive() {
        for len in [
            0, 1, 120, 127, 128, 129, 16_300, 16_383, 16_384, 16_400, 2_097_160,
        ] {
            let msg = Msg::request("id", msg::get(["x".repeat(len)]));
            let again = decode_msg(&encode_msg(&msg)).unwrap();
            assert_eq!(again, msg, "{len}");
            assert!(matches!(again.body, Body::Request(Request::Get(_))));
        }
    }

    #[test]
    fn map_entries_of_any_length_survive() {
        for len in [
            0, 1, 120, 122, 123, 124, 125, 126, 127, 128, 16_300, 16_383, 16_384,
        ] {
            for (name, value) in [
                ("x".repeat(len), String::new()),
                ("k".into(), "x".repeat(len)),
            ] {
                let args = msg::Map::from([(name, value), ("after".into(), "y".into())]);
                let msg = Msg::request("id", msg::operate("Device.X()", "k", args));
                assert_eq!(decode_msg(&encode_msg(&msg)).unwrap(), msg, "{len}");
            }
        }
    }
}
