//! What the `uds` target checks. A file of its own because the ordinary tests of `mtp` replay the seeds through the same
//! function.

use mtp::uds::{Frames, Malformed, Tlv, write};

const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Reads frames in pieces whose sizes the first byte says, and again at once: that must make no difference. What was
/// read is written and read again. Says how many values there were.
pub fn frames(data: &[u8]) -> usize {
    let (size, data) = match data.split_first() {
        Some((size, data)) => (usize::from(*size).max(1), data),
        None => (1, data),
    };
    let (values, error) = read(data, size);
    assert_eq!((values.clone(), error), read(data, data.len().max(1)));
    let mut bytes = Vec::new();
    values.iter().for_each(|value| write(&mut bytes, value));
    assert_eq!(read(&bytes, bytes.len().max(1)), (values.clone(), None));
    values.len()
}

fn read(data: &[u8], size: usize) -> (Vec<Tlv>, Option<Malformed>) {
    let (mut frames, mut values) = (Frames::new(FRAME_BYTES_MAX), Vec::new());
    for piece in data.chunks(size) {
        frames.push(piece);
        loop {
            match frames.next() {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break,
                Err(error) => return (values, Some(error)),
            }
        }
        assert!(frames.heap_bytes() <= 4 * FRAME_BYTES_MAX + 2 * data.len());
    }
    (values, None)
}
