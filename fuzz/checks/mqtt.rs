//! What the `mqtt` target checks. A file of its own because the ordinary tests of `mtp` replay the seeds through the
//! same function.

use mtp::mqtt::{Decoder, Packet, Version, address, topic};

/// The largest packet taken.
pub const PACKET_BYTES_MAX: usize = 4096;

/// Reads what a peer sends: the first byte says in pieces of which size it arrives; the second what it comes to: 0 and 1
/// a client of MQTT 5 and of 3.1.1, everything else a server, which learns it from the CONNECT. Pieces must not matter,
/// a packet is written as it was read, and where answers go is found again in what is sent there. Says how many packets
/// there were, and whether the stream went on to its end.
pub fn stream(data: &[u8]) -> (usize, bool) {
    let [piece, reader, stream @ ..] = data else {
        return (0, true);
    };
    let (whole, good) = packets(*reader, [stream].into_iter());
    let pieces = stream.chunks(usize::from(*piece).max(1));
    assert_eq!(packets(*reader, pieces), (whole.clone(), good));
    for (packet, version) in &whole {
        let mut bytes = Vec::new();
        packet.encode(*version, &mut bytes);
        let mut decoder = Decoder::new(*version, PACKET_BYTES_MAX * 2);
        decoder.feed(&bytes);
        assert_eq!(decoder.packet().unwrap().as_ref(), Some(packet));
        assert_eq!(decoder.heap_bytes(), 0);
        let Packet::Publish(publish) = packet else {
            continue;
        };
        assert_eq!(publish.packet_bytes(*version), bytes.len());
        if let (to, Some(reply)) = address(*version, publish)
            && *version == Version::V311
        {
            let again = topic::with_reply(to, &reply);
            assert_eq!(topic::split_reply(&again), (to, Some(reply)));
        }
        for filter in ["#", "+/#", &publish.topic] {
            let covered = topic::is_name(&publish.topic) && topic::covers(filter, &publish.topic);
            assert!(
                !covered
                    || topic::matches(filter, &publish.topic)
                    || publish.topic.starts_with('$')
            );
        }
    }
    (whole.len(), good)
}

fn packets<'a>(
    reader: u8,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<(Packet, Version)>, bool) {
    let mut decoder = match reader {
        0 => Decoder::new(Version::V5, PACKET_BYTES_MAX),
        1 => Decoder::new(Version::V311, PACKET_BYTES_MAX),
        _ => Decoder::opening(PACKET_BYTES_MAX),
    };
    let mut packets = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.packet() {
                Ok(Some(packet)) => {
                    if let Packet::Connect(connect) = &packet {
                        decoder.admit(connect.version, PACKET_BYTES_MAX);
                    }
                    packets.push((packet, decoder.version()));
                }
                Ok(None) => break,
                Err(_) => return (packets, false),
            }
        }
    }
    (packets, true)
}
