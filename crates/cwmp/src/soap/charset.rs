//! Bytes to text: byte order mark, `Content-Type`, XML declaration, in this order of trust, then
//! UTF-8. Deliberately forgiving about bytes that the encoding does not have, since a device that
//! cuts a name in the middle of a character must still be managed.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::oddity::Oddities;
use crate::error::{DecodeError, DecodeErrorKind, excerpt};

/// The text of a body, and what was odd about it.
pub(crate) fn text<'a>(
    body: &'a [u8],
    content_type: Option<&str>,
) -> Result<(Cow<'a, str>, Oddities), DecodeError> {
    let mut odd = Oddities::default();
    let (encoding, marked) = match Encoding::for_bom(body) {
        Some((encoding, length)) => {
            odd.add(Oddities::BYTE_ORDER_MARK);
            (encoding, length)
        }
        None => (declared(body, content_type)?, 0),
    };
    if encoding != UTF_8 {
        odd.add(Oddities::ENCODING);
    }
    let body = &body[marked..];
    if encoding == UTF_8
        && let Ok(text) = std::str::from_utf8(body)
    {
        return Ok((Cow::Borrowed(text), odd));
    }
    let (mut text, broken) = encoding.decode_without_bom_handling(body);
    if broken {
        odd.add(Oddities::INVALID_BYTES);
        if encoding == UTF_8 {
            // Said to be UTF-8 and is not: the field means Latin.
            text = WINDOWS_1252.decode_without_bom_handling(body).0;
        }
    }
    Ok((text, odd))
}

fn declared(body: &[u8], content_type: Option<&str>) -> Result<&'static Encoding, DecodeError> {
    // Two bytes a character show in the first one, whatever anybody says.
    match body {
        [0, b'<', ..] => return Ok(UTF_16BE),
        [b'<', 0, ..] => return Ok(UTF_16LE),
        _ => {}
    }
    if let Some(label) = content_type.and_then(charset_of)
        && let Some(encoding) = Encoding::for_label(label.as_bytes())
        && is_bytewise(encoding)
    {
        return Ok(encoding);
    }
    match declaration(body) {
        None => Ok(UTF_8),
        Some(label) => match Encoding::for_label(label.as_bytes()) {
            // The declaration was read byte by byte, so it cannot be true.
            Some(encoding) if !is_bytewise(encoding) => Ok(UTF_8),
            Some(encoding) => Ok(encoding),
            None => Err(DecodeError::new(DecodeErrorKind::Encoding(excerpt(&label)))),
        },
    }
}

fn is_bytewise(encoding: &'static Encoding) -> bool {
    encoding != UTF_16BE && encoding != UTF_16LE
}

/// The `charset` of a Content-Type.
fn charset_of(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches(['"', '\'']))
    })
}

/// The `encoding` of an XML declaration in a text of one byte a character.
fn declaration(body: &[u8]) -> Option<String> {
    let start = body.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let body = body[start..].strip_prefix(b"<?xml")?;
    let end = body.iter().take(200).position(|byte| *byte == b'>')?;
    let text = std::str::from_utf8(&body[..end]).ok()?;
    let (_, rest) = text.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..]
        .split_once(quote)
        .map(|(label, _)| label.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTF_16: &str = "<?xml version='1.0' encoding='UTF-16'?><a>é€</a>";

    fn read(body: &[u8], content_type: Option<&str>) -> (String, Oddities) {
        let (text, odd) = text(body, content_type).unwrap();
        (text.into_owned(), odd)
    }

    #[test]
    fn utf_16_is_seen_with_and_without_a_mark() {
        let little: Vec<u8> = UTF_16.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = UTF_16.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [&little, &big] {
            // A Content-Type that lies does not help.
            assert_eq!(read(bytes, Some("text/xml; charset=utf-8")).0, UTF_16);
        }
        let marked = [b"\xff\xfe".as_slice(), &little].concat();
        let (text, odd) = read(&marked, None);
        assert_eq!(text, UTF_16);
        assert!(odd.has(Oddities::BYTE_ORDER_MARK) && odd.has(Oddities::ENCODING));
    }

    #[test]
    fn content_type_goes_before_declaration_goes_before_utf_8() {
        let latin = b"<?xml version=\"1.0\" encoding = 'iso-8859-1' ?><a>\xe9</a>";
        assert!(read(latin, None).0.contains("<a>é</a>"));
        let cyrillic = Some("text/xml; Charset=\"windows-1251\"");
        assert!(read(latin, cyrillic).0.contains("<a>й</a>"));
        assert_eq!(
            read(b"<a>\xe2\x82\xac</a>", None),
            ("<a>€</a>".to_owned(), Oddities::default())
        );
        assert_eq!(read(b"\xef\xbb\xbf<a/>", None).0, "<a/>");
        // Windows-1252 has letters where Latin 1 has control characters.
        assert_eq!(
            read(b"<a>\x80</a>", Some("text/xml;charset=windows-1252")).0,
            "<a>€</a>"
        );
        assert_eq!(
            read(b"<a>\xc4\xe3</a>", Some("text/xml; charset=gb2312")).0,
            "<a>你</a>"
        );
    }

    #[test]
    fn text_that_is_not_what_it_says_is_read_as_latin() {
        let (text, odd) = read(b"<a>caf\xe9</a>", Some("text/xml; charset=utf-8"));
        assert_eq!(text, "<a>café</a>");
        assert!(odd.has(Oddities::INVALID_BYTES));
    }

    #[test]
    fn an_encoding_that_nobody_knows_is_named() {
        let error = text(b"<?xml encoding=\"klingon\"?><a/>", None).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::Encoding("klingon".into()));
        // A label nobody knows in Content-Type gives way to the declaration.
        assert_eq!(read(b"<a/>", Some("text/xml; charset=klingon")).0, "<a/>");
    }
}
