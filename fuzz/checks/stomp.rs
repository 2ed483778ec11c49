//! What the `stomp` target checks. A file of its own because the ordinary tests of `mtp` replay the seeds through the
//! same function.

use mtp::stomp::{Command, Decoder, Frame};

/// The largest body taken.
pub const BODY_BYTES_MAX: usize = 4096;

/// Reads what a peer sends: the first byte says in pieces of which size it arrives, the rest is the stream. Pieces must
/// not matter, and a frame is written as it was read. Says how many frames there were, and whether the stream went on
/// to its end.
pub fn stream(data: &[u8]) -> (usize, bool) {
    let Some((&piece, stream)) = data.split_first() else {
        return (0, true);
    };
    let (whole, good) = frames([stream].into_iter());
    let pieces = stream.chunks(usize::from(piece).max(1));
    assert_eq!(frames(pieces), (whole.clone(), good));
    for frame in &whole {
        assert!(frame.body.len() <= BODY_BYTES_MAX);
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        // What begins and confirms a connection has no escapes, for old servers' sake.
        let open = matches!(frame.command, Command::Connect | Command::Connected);
        let plain = |text: &String| !text.contains(['\\', '\n', '\r', ':']);
        if !open
            || frame
                .headers
                .iter()
                .all(|(name, value)| plain(name) && plain(value))
        {
            assert_eq!(
                frames([&bytes[..]].into_iter()),
                (vec![frame.clone()], true)
            );
        }
    }
    (whole.len(), good)
}

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, bool) {
    let mut decoder = Decoder::new(BODY_BYTES_MAX);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
    }
    (frames, true)
}
