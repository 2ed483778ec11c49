//! One content over HTTP: the whole of it or a part, for those who have it already, and for those
//! who go on where they were. The serving itself is tower-http's; here is what it cannot know (that
//! the content of a link never changes, whatever the file on the disk looks like), and which part a
//! device may mean: one that asks in an odd way gets the whole, and not a refusal.

use std::io;
use std::path::Path;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use fleet::Timestamp;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use store::FileRecord;
use tower_http::services::ServeFile;

use super::folder::hex;

/// Answers a GET or HEAD with a file that lies at `path`.
pub async fn serve_content(
    file: &FileRecord,
    path: &Path,
    method: &Method,
    headers: &HeaderMap,
) -> Response {
    let etag = format!("\"{}\"", hex(&file.file.sha256));
    let modified = http_date(file.file.created_at);
    let mut response = match wanted(headers, &etag, file.file.created_at) {
        Wanted::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Wanted::Failed => StatusCode::PRECONDITION_FAILED.into_response(),
        Wanted::Bytes(range) => {
            // A range has a meaning for GET alone (RFC 9110, 14.2).
            let range = range.filter(|_| *method == Method::GET);
            let size = file.file.size;
            match bytes(path, size, method, range.and_then(|text| asked(text, size))).await {
                Ok(response) => response,
                Err(error) => {
                    tracing::error!(%error, file = %file.file.id, "what is in a file cannot be read");
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
            }
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [(header::ETAG, etag), (header::LAST_MODIFIED, modified)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Which bytes are asked for, from and up to, including, of so many (RFC 9110, 14.1.2). `None` is the whole: also
/// for units that nobody knows and for what makes no sense, and for several parts, because an answer with several
/// is a form that no device needs.
fn asked(text: &str, size: u64) -> Option<(u64, u64)> {
    let (unit, range) = text.split_once('=')?;
    let (from, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    // Numbers and nothing else; one that is larger than every file stays so.
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (from, last) {
        ("", last) => match number(last)? {
            0 => Some((size, size)),
            count => Some((size.saturating_sub(count), size.saturating_sub(1))),
        },
        (from, "") => Some((number(from)?, u64::MAX)),
        (from, last) => Some((number(from)?, number(last)?)),
    }
    .filter(|(from, last)| from <= last)
}

async fn bytes(
    path: &Path,
    size: u64,
    method: &Method,
    range: Option<(u64, u64)>,
) -> io::Result<Response> {
    // A disk that was repaired or a backup that broke off: a part of a firmware is worse than none.
    let there = tokio::fs::metadata(path).await?;
    if !there.is_file() || there.len() != size {
        let words = format!("there are {} bytes of {size} on the disk", there.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, words));
    }
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method.clone();
    if let Some((from, last)) = range
        && let Ok(range) = HeaderValue::from_str(&format!("bytes={from}-{last}"))
    {
        request.headers_mut().insert(header::RANGE, range);
    }
    let mut service = ServeFile::new_with_mime(path, &mime::APPLICATION_OCTET_STREAM);
    let response = service.try_call(request).await?;
    Ok(response.map(Body::new))
}

enum Wanted<'a> {
    Bytes(Option<&'a str>),
    NotModified,
    Failed,
}

/// What the conditions amount to (RFC 9110, 13.2.2).
fn wanted<'a>(headers: &'a HeaderMap, etag: &str, at: Timestamp) -> Wanted<'a> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let names = |list: &str| {
        list.split(',')
            .map(|one| one.trim().trim_start_matches("W/"))
            .any(|one| one == "*" || one == etag)
    };
    let since = |date: &str| httpdate::parse_http_date(date).ok();
    // A date of HTTP has whole seconds.
    let modified = since(&http_date(at));
    if text(header::IF_MATCH).is_some_and(|list| !names(list)) {
        return Wanted::Failed;
    }
    if text(header::IF_MATCH).is_none()
        && let Some(date) = text(header::IF_UNMODIFIED_SINCE).and_then(since)
        && modified > Some(date)
    {
        return Wanted::Failed;
    }
    match text(header::IF_NONE_MATCH) {
        Some(list) if names(list) => return Wanted::NotModified,
        Some(_) => {}
        None => {
            if let Some(date) = text(header::IF_MODIFIED_SINCE).and_then(since)
                && modified <= Some(date)
            {
                return Wanted::NotModified;
            }
        }
    }
    let same = match text(header::IF_RANGE) {
        None => true,
        Some(one) if one.starts_with('"') => one == etag,
        Some(date) => since(date).is_some() && since(date) == modified,
    };
    Wanted::Bytes(text(header::RANGE).filter(|_| same))
}

fn http_date(at: Timestamp) -> String {
    let millis = u64::try_from(at.as_millis()).unwrap_or_default();
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_millis(millis))
}

/// Which bytes an answer holds: from, and up to, not including.
pub(super) fn part(response: &Response, size: u64) -> (u64, u64) {
    if response.status() == StatusCode::OK {
        return (0, size);
    }
    let range = response.headers().get(header::CONTENT_RANGE);
    range
        .and_then(|range| {
            let (from, last) = range
                .to_str()
                .ok()?
                .strip_prefix("bytes ")?
                .split_once('/')?
                .0
                .split_once('-')?;
            Some((from.parse().ok()?, last.parse::<u64>().ok()? + 1))
        })
        .unwrap_or((0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[tokio::test]
    async fn a_part_is_what_was_asked_for_and_who_asks_oddly_gets_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("content");
        std::fs::write(&path, b"0123456789").unwrap();
        let record = FileRecord {
            tenant: fleet::TenantId::parse("acme").unwrap(),
            file: store::NewFile {
                id: fleet::FileId::new(Timestamp(1), [0; 10]),
                name: "fw.bin".to_owned(),
                kind: fleet::FileKind::Firmware,
                vendor: String::new(),
                model: String::new(),
                version: String::new(),
                note: String::new(),
                size: 10,
                sha256: [1; 32],
                created_at: Timestamp(1),
                created_by: String::new(),
                device: None,
            },
        };
        let ask = async |method: Method, range: &str| {
            let headers = with(&[("range", range)]);
            let response = serve_content(&record, &path, &method, &headers).await;
            let header = |name| response.headers().get(name).cloned();
            let length = header(header::CONTENT_LENGTH);
            let given =
                header(header::CONTENT_RANGE).map(|value| value.to_str().unwrap().to_owned());
            let status = response.status().as_u16();
            let bytes = axum::body::to_bytes(response.into_body(), 100)
                .await
                .unwrap();
            if status / 100 == 2 && method == Method::GET {
                assert_eq!(length.unwrap(), bytes.len().to_string());
            }
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            (status, given.unwrap_or_default(), text)
        };
        for (range, given, text) in [
            ("bytes=0-0", "bytes 0-0/10", "0"),
            ("bytes=7-", "bytes 7-9/10", "789"),
            ("bytes=7-99999999999999999999999", "bytes 7-9/10", "789"),
            ("Bytes= 2-4 ", "bytes 2-4/10", "234"),
            ("bytes=-3", "bytes 7-9/10", "789"),
            // Who wants more from the end than there is gets what there is.
            ("bytes=-11", "bytes 0-9/10", "0123456789"),
        ] {
            let expected = (206, given.to_owned(), text.to_owned());
            assert_eq!(ask(Method::GET, range).await, expected, "{range}");
        }
        for range in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            let expected = (416, "bytes */10".to_owned(), String::new());
            assert_eq!(ask(Method::GET, range).await, expected, "{range}");
        }
        let whole = (200, String::new(), "0123456789".to_owned());
        for range in [
            "lines=1-2",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=abc",
            "bytes=5-2",
            "bytes=+1-2",
            "bytes=0-0,5-9",
            "bytes=1-2-3",
        ] {
            assert_eq!(ask(Method::GET, range).await, whole, "{range}");
        }
        let head = (200, String::new(), String::new());
        assert_eq!(ask(Method::HEAD, "bytes=0-0").await, head);
        // Not what came, whatever the database says: nobody gets half of a firmware.
        std::fs::write(&path, b"01234").unwrap();
        let broken = (500, String::new(), String::new());
        for (method, range) in [
            (Method::GET, "bytes=0-0"),
            (Method::GET, ""),
            (Method::HEAD, ""),
        ] {
            assert_eq!(ask(method, range).await, broken, "{range}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(ask(Method::GET, "").await, broken);
    }

    #[test]
    fn conditions_are_held_against_the_hash_and_the_day_the_file_came() {
        let at = Timestamp::from_millis(784_111_777_123);
        let same = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(http_date(at), same);
        let ask = |pairs: &[(&'static str, &str)]| {
            let headers = with(pairs);
            match wanted(&headers, "\"ab\"", at) {
                Wanted::Bytes(Some(_)) => "part",
                Wanted::Bytes(None) => "whole",
                Wanted::NotModified => "not modified",
                Wanted::Failed => "failed",
            }
        };
        let range = ("range", "bytes=1-2");
        let earlier = "Sun, 06 Nov 1994 08:49:36 GMT";
        for (pairs, expected) in [
            (vec![], "whole"),
            (vec![range], "part"),
            (vec![range, ("if-range", "\"ab\"")], "part"),
            (vec![range, ("if-range", "\"cd\"")], "whole"),
            (vec![range, ("if-range", "W/\"ab\"")], "whole"),
            (vec![range, ("if-range", same)], "part"),
            (vec![range, ("if-range", earlier)], "whole"),
            (vec![range, ("if-range", "nonsense")], "whole"),
            (vec![("if-none-match", "\"x\", W/\"ab\"")], "not modified"),
            (
                vec![("if-none-match", "\"x\""), ("if-modified-since", same)],
                "whole",
            ),
            (vec![("if-modified-since", same)], "not modified"),
            (vec![("if-modified-since", earlier)], "whole"),
            (vec![("if-match", "\"x\"")], "failed"),
            (vec![("if-match", "*")], "whole"),
            (vec![("if-unmodified-since", earlier)], "failed"),
            (vec![("if-unmodified-since", same)], "whole"),
        ] {
            assert_eq!(ask(&pairs), expected, "{pairs:?}");
        }
    }
}
