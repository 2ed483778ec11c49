//! Bodies: read within bounds of size and time, and unpacked within the same bounds; answers packed
//! for those that take that.

use std::io::{Read, Write};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use tokio::time::Instant;

use super::core::Owner;
use crate::southbound::slots::{Slot, Slots};

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is larger than any message.
    TooLarge,
    /// It does not come.
    Slow,
    /// The connection broke.
    Broken,
    /// There are too many bodies already.
    Full,
    /// It is packed in a way that we do not know.
    Encoding,
    /// It is packed wrongly.
    Garbled,
}

/// How a body may come.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes.
    pub bytes_max: usize,
    /// Time without any.
    pub silence_max: Duration,
    /// Time for all.
    pub time_max: Duration,
}

/// The room of a body, a place for each KiB begun.
pub type Room = Slot<Owner>;

/// The room that somebody's bodies may take.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// Of all.
    pub all: Slots<Owner>,
    /// Whose.
    pub owner: Owner,
}

/// A body in memory, with the room it takes.
#[derive(Debug, Default)]
pub struct Whole {
    /// The bytes.
    pub bytes: Bytes,
    /// Its room, given back when dropped.
    pub room: Option<Room>,
}

impl Whole {
    /// Takes room for so many bytes altogether.
    fn grow(&mut self, rooms: &Rooms, bytes: usize) -> Result<(), Unread> {
        if self.room.is_none() {
            self.room = rooms.all.try_take(&rooms.owner);
        }
        let grown = self
            .room
            .as_mut()
            .map(|room| room.try_grow(bytes.div_ceil(1024)));
        grown.filter(|grown| *grown).map(|_| ()).ok_or(Unread::Full)
    }
}

/// Reads a body to its end.
pub async fn read(body: Body, bounds: Bounds, rooms: &Rooms) -> Result<Whole, Unread> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bounds.bytes_max {
        return Err(Unread::TooLarge);
    }
    let mut whole = Whole::default();
    let mut gathered = BytesMut::new();
    let mut chunks = Chunks::new(body, bounds);
    while let Some(chunk) = chunks.next().await? {
        let size = whole.bytes.len() + gathered.len() + chunk.len();
        if size > bounds.bytes_max {
            return Err(Unread::TooLarge);
        }
        whole.grow(rooms, size)?;
        // Most bodies come in one piece.
        if whole.bytes.is_empty() && gathered.is_empty() {
            whole.bytes = chunk;
        } else {
            gathered.extend_from_slice(&whole.bytes);
            whole.bytes = Bytes::new();
            gathered.extend_from_slice(&chunk);
        }
    }
    if !gathered.is_empty() {
        whole.bytes = gathered.freeze();
    }
    Ok(whole)
}

/// Reads a body and throws it away; whether all of it came.
pub async fn drain(body: Body, bounds: Bounds) -> bool {
    let mut chunks = Chunks::new(body, bounds);
    let mut size = 0;
    while let Ok(chunk) = chunks.next().await {
        let Some(chunk) = chunk else { return true };
        size += chunk.len();
        if size > bounds.bytes_max {
            return false;
        }
    }
    false
}

/// The pieces of a body as they come.
struct Chunks {
    stream: axum::body::BodyDataStream,
    end: Instant,
    silence_max: Duration,
}

impl Chunks {
    fn new(body: Body, bounds: Bounds) -> Self {
        Self {
            stream: body.into_data_stream(),
            end: Instant::now() + bounds.time_max,
            silence_max: bounds.silence_max,
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Unread> {
        let until = self.end.min(Instant::now() + self.silence_max);
        match tokio::time::timeout_at(until, self.stream.next()).await {
            Err(_) => Err(Unread::Slow),
            Ok(None) => Ok(None),
            Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
            Ok(Some(Err(_))) => Err(Unread::Broken),
        }
    }
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    /// By gzip.
    Gzip,
    /// By deflate, with or without a wrapping: the field does both.
    Deflate,
}

/// What a request's `Content-Encoding` says.
pub fn packed(headers: &HeaderMap) -> Result<Option<Packed>, Unread> {
    let mut found = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| Unread::Encoding)?;
        for name in value.split(',').map(str::trim) {
            let one = match name.to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Packed::Gzip,
                "deflate" => Packed::Deflate,
                _ => return Err(Unread::Encoding),
            };
            // Packed twice: nobody does that for good reason.
            if found.replace(one).is_some() {
                return Err(Unread::Encoding);
            }
        }
    }
    Ok(found)
}

/// Unpacks a body, to at most so many bytes.
pub async fn unpack(
    how: Packed,
    whole: Whole,
    bytes_max: usize,
    rooms: &Rooms,
) -> Result<Whole, Unread> {
    /// Bytes that are unpacked on the spot; larger ones would hold up others.
    const SMALL: usize = 8 * 1024;
    let (small, rooms) = (whole.bytes.len() <= SMALL, rooms.clone());
    let work = move || unpack_now(how, &whole, bytes_max, &rooms);
    if small {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(Unread::Garbled))
}

fn unpack_now(
    how: Packed,
    packed: &Whole,
    bytes_max: usize,
    rooms: &Rooms,
) -> Result<Whole, Unread> {
    let bytes: &[u8] = &packed.bytes;
    let wrapped = matches!(bytes, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0);
    let mut reader: Box<dyn Read + '_> = match how {
        Packed::Gzip => Box::new(MultiGzDecoder::new(bytes)),
        Packed::Deflate if wrapped => Box::new(ZlibDecoder::new(bytes)),
        Packed::Deflate => Box::new(DeflateDecoder::new(bytes)),
    };
    let (mut whole, mut out) = (Whole::default(), Vec::new());
    let mut piece = [0; 16 * 1024];
    loop {
        let count = reader.read(&mut piece).map_err(|_| Unread::Garbled)?;
        if count == 0 {
            whole.bytes = Bytes::from(out);
            return Ok(whole);
        }
        if out.len() + count > bytes_max {
            return Err(Unread::TooLarge);
        }
        whole.grow(rooms, out.len() + count)?;
        out.extend_from_slice(&piece[..count]);
    }
}

/// Whether a device takes answers packed by gzip.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let gzip = name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
        // `q=0` says that it does not take it.
        let refused = parts.any(|part| {
            let quality = part.strip_prefix("q=").map(str::parse::<f32>);
            quality.is_some_and(|quality| quality == Ok(0.0))
        });
        gzip && !refused
    })
}

/// Packs an answer.
pub fn pack(bytes: &[u8]) -> Option<Bytes> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).ok()?;
    out.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::{DeflateEncoder, ZlibEncoder};
    use futures_util::stream;
    use http::HeaderValue;

    const BOUNDS: Bounds = Bounds {
        bytes_max: 64 * 1024,
        silence_max: Duration::from_secs(1),
        time_max: Duration::from_secs(5),
    };

    /// So many KiB, of which a tenant that is alone takes half.
    fn rooms(kib: usize) -> Rooms {
        let (all, owner) = (Slots::new(kib), None);
        Rooms { all, owner }
    }

    fn pieces(pieces: &[&'static [u8]]) -> Body {
        let pieces: Vec<Result<Bytes, std::io::Error>> = pieces
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece)))
            .collect();
        Body::from_stream(stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_put_together_and_its_room_is_given_back() {
        let rooms = rooms(1024);
        let whole = read(pieces(&[b"one ", b"two ", b"three"]), BOUNDS, &rooms);
        let whole = whole.await.unwrap();
        assert_eq!(whole.bytes, "one two three");
        assert!(whole.room.is_some());
        drop(whole);
        let empty = read(Body::empty(), BOUNDS, &rooms).await.unwrap();
        assert!(empty.bytes.is_empty());
    }

    /// `BODIES_BYTES_MAX`
    #[tokio::test]
    async fn a_body_takes_the_room_of_its_bytes_in_however_many_pieces_and_leaves_some_for_others()
    {
        let mine = rooms(4);
        let drops = vec![&b"x"[..]; 2000];
        let held = read(pieces(&drops), BOUNDS, &mine).await.unwrap();
        assert_eq!(held.bytes.len(), 2000);
        let more = read(Body::from("y"), BOUNDS, &mine).await;
        assert_eq!(more.err(), Some(Unread::Full));
        let others = Rooms {
            owner: Some(fleet::TenantId::parse("other").unwrap()),
            ..mine.clone()
        };
        let other = read(Body::from("z"), BOUNDS, &others).await.unwrap();
        drop((held, other));
        assert!(read(pieces(&drops), BOUNDS, &mine).await.is_ok());
        let large = read(Body::from(vec![b'x'; 3000]), BOUNDS, &mine).await;
        assert_eq!(large.err(), Some(Unread::Full));
    }

    /// `BODY_BYTES_MAX`
    #[tokio::test]
    async fn endless_bodies_are_not_taken() {
        let rooms = rooms(1024);
        let endless = Body::from_stream(stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1000]))
        }));
        assert_eq!(
            read(endless, BOUNDS, &rooms).await.err(),
            Some(Unread::TooLarge)
        );
        let announced = Body::from(vec![b' '; BOUNDS.bytes_max + 1]);
        assert_eq!(
            read(announced, BOUNDS, &rooms).await.err(),
            Some(Unread::TooLarge)
        );
    }

    /// `BODY_SILENCE_MAX`, `BODY_TIME_MAX`
    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let rooms = rooms(1024);
        let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let began = Instant::now();
        assert_eq!(read(silent, BOUNDS, &rooms).await.err(), Some(Unread::Slow));
        assert_eq!(began.elapsed(), BOUNDS.silence_max);
        let drip = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b".")), ()))
        });
        let began = Instant::now();
        let dripping = read(Body::from_stream(Box::pin(drip)), BOUNDS, &rooms).await;
        assert_eq!(dripping.err(), Some(Unread::Slow));
        assert_eq!(began.elapsed(), BOUNDS.time_max);
    }

    #[tokio::test]
    async fn packed_bodies_are_unpacked_in_every_form_of_the_field_within_the_bounds() {
        let text = b"<soap/>".repeat(1000);
        let zlib = {
            let mut out = ZlibEncoder::new(Vec::new(), Compression::fast());
            out.write_all(&text).unwrap();
            out.finish().unwrap()
        };
        let raw = {
            let mut out = DeflateEncoder::new(Vec::new(), Compression::fast());
            out.write_all(&text).unwrap();
            out.finish().unwrap()
        };
        let gzip = pack(&text).unwrap().to_vec();
        let rooms = rooms(1024);
        for (how, bytes) in [
            (Packed::Gzip, gzip.clone()),
            (Packed::Deflate, zlib),
            (Packed::Deflate, raw),
        ] {
            let whole = |bytes: Vec<u8>| Whole {
                bytes: bytes.into(),
                room: None,
            };
            let unpacked = unpack(how, whole(bytes.clone()), 7_000, &rooms).await;
            assert_eq!(unpacked.unwrap().bytes, text);
            let bomb = unpack(how, whole(bytes.clone()), 6_999, &rooms).await;
            assert_eq!(bomb.err(), Some(Unread::TooLarge));
            let cut = unpack(how, whole(bytes[..bytes.len() / 2].to_vec()), 7_000, &rooms).await;
            assert_eq!(cut.err(), Some(Unread::Garbled));
        }
    }

    #[test]
    fn encodings_are_read_and_unknown_ones_named() {
        let headers = |name: http::HeaderName, value: &'static str| {
            HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
        };
        let of = |value| packed(&headers(CONTENT_ENCODING, value));
        assert_eq!(of("identity"), Ok(None));
        assert_eq!(of("X-GZIP"), Ok(Some(Packed::Gzip)));
        assert_eq!(of("deflate"), Ok(Some(Packed::Deflate)));
        assert_eq!(of("br"), Err(Unread::Encoding));
        assert_eq!(of("gzip, gzip"), Err(Unread::Encoding));
        assert_eq!(packed(&HeaderMap::new()), Ok(None));
        let takes = |value| takes_gzip(&headers(ACCEPT_ENCODING, value));
        assert!(takes("deflate, gzip;q=0.5") && takes("GZip"));
        assert!(!takes("gzip;q=0") && !takes("deflate") && !takes_gzip(&HeaderMap::new()));
    }
}
