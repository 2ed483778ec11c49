//! Every limit of this crate, with its reason. Deliberately constants: what a deployment may tune
//! is in the sessions' configuration, bounded by these.

use std::time::Duration;

/// What is too much about something beyond the limit of this name, in words: `a request of more than 512 KiB`.
pub fn beyond(limit: &str, max: usize) -> String {
    let bytes = || match max {
        0..1024 => format!("{max} bytes"),
        1024..1_048_576 => format!("{} KiB", max / 1024),
        _ => format!("{} MiB", max / 1_048_576),
    };
    match limit {
        "BODY_BYTES_MAX" => format!("a message of more than {}", bytes()),
        "REQUEST_BYTES_MAX" => format!("a request of more than {}", bytes()),
        "ELEMENTS_MAX" => format!("a message of more than {max} elements"),
        "ITEMS_MAX" => format!("a list of more than {max} events, transfers or results"),
        "PIECES_MAX" => format!("a message of more than {max} pieces of text"),
        "DEPTH_MAX" => format!("a message of elements that are nested more than {max} deep"),
        "CPE_REQUESTS_MAX" => format!("more than {max} requests of the device in one session"),
        "SESSION_MESSAGES_MAX" => format!("more than {max} messages in one session"),
        // What only we ourselves can go beyond.
        other => format!("more than {max} ({other})"),
    }
}

/// Bytes of one message, after decompression. Answers that list a whole tree are 1 to 5 MB.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of a request of a CPE: an Inform, a TransferComplete, ... Informs with every parameter that a
/// device has to tell have some ten thousand. What they say is held until it is stored, for thousands of
/// sessions at once, so that they are not as large as an answer may be.
pub const REQUEST_BYTES_MAX: usize = 512 * 1024;

/// Parameters of one Inform, of which a few bytes each can cost a hundred in memory. Those beyond are
/// left out: an Inform that is refused comes again and again.
pub const INFORM_PARAMETERS_MAX: usize = 4096;

/// Elements of one message, because four bytes on the wire can cost a hundred in memory. The whole
/// of Device:2 with its instances stays below 100,000 parameters of four elements.
pub const ELEMENTS_MAX: usize = 500_000;

/// Items of one array of large structs: events, transfers, results of deployment units. Three bytes
/// on the wire can cost three hundred in memory, and no device reports hundreds of these at once.
/// Arrays of parameters and names are bounded by `ELEMENTS_MAX`.
pub const ITEMS_MAX: usize = 4096;

/// Pieces of text of one message: between elements, and each reference, comment and CDATA section
/// by itself. A few bytes of these cost as much time as an element.
pub const PIECES_MAX: usize = 1_000_000;

/// Nesting of elements. The deepest message that the standard knows has nine levels.
pub const DEPTH_MAX: usize = 32;

/// Attributes of one element that are looked at. An envelope declares five or six namespaces.
pub const ATTRIBUTES_MAX: usize = 64;

/// Characters of an id that we keep and echo; the standard sets no bound, the field uses 32.
pub const ID_CHARS_MAX: usize = 256;

/// Characters of a peer's text in an error or event of ours.
pub const EXCERPT_CHARS_MAX: usize = 120;

/// Bytes of a body that cannot be read, as far as a transcript shows it.
pub const RAW_BYTES_MAX: usize = 8 * 1024;

/// Bytes of the words of a fault that are looked through for the parameters they name.
pub const FAULT_WORDS_BYTES_MAX: usize = 64 * 1024;

/// Versions in one `SupportedCWMPVersions` header. There are five.
pub const VERSIONS_MAX: usize = 32;

/// Requests that wait for their turn in one session of the ACS.
pub const QUEUE_MAX: usize = 256;

/// Requests of the CPE in one session: one TransferComplete for each transfer, one for each
/// autonomous one, and GetRPCMethods. More is a loop.
pub const CPE_REQUESTS_MAX: usize = 256;

/// Messages of one session from both sides, so that a loop ends. A discovery object by object of
/// the largest devices takes some thousand.
pub const SESSION_MESSAGES_MAX: usize = 20_000;

/// Events waiting for the caller, who takes them after each input; only a caller that never does
/// hits this.
pub const EVENTS_MAX: usize = 1024;

/// The shortest silence of a CPE after which a session may be given up.
pub const SILENCE_MIN: Duration = Duration::from_secs(30);

/// The longest silence that a `SessionTimeout` header may ask for. Fielded clients send 60 or 300.
pub const SILENCE_MAX: Duration = Duration::from_secs(900);

/// Events that a CPE owes to its ACS: what the schema allows in one Inform. A place is kept free in
/// it for each of the standard's numbered codes.
pub const INFORM_EVENTS_MAX: usize = 64;

/// Finished transfers and other reports that a CPE keeps until the ACS has them.
pub const REPORTS_MAX: usize = 64;

/// Informs of one CPE session that the ACS asks to send again (fault 8005).
pub const INFORM_REPEATS_MAX: u32 = 3;

/// Scheduled informs that wait (`ScheduleInform`).
pub const SCHEDULED_INFORMS_MAX: usize = 16;

/// Bytes of the value of an authentication header. Kerberos tokens are the largest known, and none
/// of them is for us.
pub const AUTH_HEADER_BYTES_MAX: usize = 4096;

/// Parameters of one challenge or of one set of credentials. Digest has eleven.
pub const AUTH_PARAMS_MAX: usize = 32;

/// Challenges in one answer.
pub const CHALLENGES_MAX: usize = 8;

/// How far a request counter may run behind the highest one seen, in requests.
pub const NC_WINDOW: u32 = 64;

/// Nonces whose uses the connection request server of a CPE remembers: good requests within the life
/// of a nonce. More are told to come later, so that none can be replayed.
pub const USED_NONCES_MAX: usize = 64;

/// Bytes of a `Cookie` header that are looked at.
pub const COOKIE_BYTES_MAX: usize = 8192;

/// Bytes of the head of a connection request's answer, or of the request at the CPE.
pub const HEAD_BYTES_MAX: usize = 8192;

/// Exchanges of one connection request: the first, the one with credentials, and two more for a
/// dropped connection and a nonce that is stale, as it may be after just that.
pub const CONNECTION_REQUEST_EXCHANGES_MAX: u32 = 4;

/// Bytes of a STUN message; a datagram that is not fragmented.
pub const STUN_BYTES_MAX: usize = 1472;

/// Attributes of one STUN message.
pub const STUN_ATTRIBUTES_MAX: usize = 32;

/// Bytes of a UDP connection request.
pub const UDP_REQUEST_BYTES_MAX: usize = 1472;

/// Bytes of an XMPP stanza.
pub const STANZA_BYTES_MAX: usize = 16 * 1024;

/// Rounds of the password hash that an XMPP server may ask for. Servers ask for 4,096 to 20,000;
/// this many take a tenth of a second.
pub const SCRAM_ITERATIONS_MAX: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_a_limit_is_told_in_words() {
        for (limit, max, words) in [
            (
                "REQUEST_BYTES_MAX",
                REQUEST_BYTES_MAX,
                "a request of more than 512 KiB",
            ),
            (
                "BODY_BYTES_MAX",
                BODY_BYTES_MAX,
                "a message of more than 16 MiB",
            ),
            ("BODY_BYTES_MAX", 1000, "a message of more than 1000 bytes"),
            ("QUEUE_MAX", QUEUE_MAX, "more than 256 (QUEUE_MAX)"),
        ] {
            assert_eq!(beyond(limit, max), words);
        }
        for (limit, max) in [
            ("ELEMENTS_MAX", ELEMENTS_MAX),
            ("ITEMS_MAX", ITEMS_MAX),
            ("PIECES_MAX", PIECES_MAX),
            ("DEPTH_MAX", DEPTH_MAX),
            ("CPE_REQUESTS_MAX", CPE_REQUESTS_MAX),
            ("SESSION_MESSAGES_MAX", SESSION_MESSAGES_MAX),
        ] {
            let words = beyond(limit, max);
            assert!(
                !words.contains(limit) && words.contains(&max.to_string()),
                "{words}"
            );
        }
    }
}
