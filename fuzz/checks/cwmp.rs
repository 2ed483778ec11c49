//! What the `soap`, `digest` and `reach` targets check. A file of its own because the ordinary tests of `cwmp` replay the
//! seeds through the same functions.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cwmp::auth::{basic::Basic, challenge, cookie, digest};
use cwmp::reach::http::{Action, ConnectionRequest, Credentials, Outcome};
use cwmp::reach::xmpp::stream::{Event, Jid, Stream};
use cwmp::reach::{head, stun, udp, xmpp};
use cwmp::rpc::{DeviceId, GetParameterValues, Inform};
use cwmp::soap::{self, Booleans, Envelope};
use cwmp::{acs, cpe, transcript};

/// Reads an envelope, checks that it is written as it was read and can be shown, and gives it to both ends in each of
/// their states, which must come to rest. Says whether it is an envelope.
pub fn soap(data: &[u8]) -> bool {
    at_acs(data);
    at_cpe(data);
    let Ok(envelope) = soap::decode(data, None) else {
        return false;
    };
    assert!(!transcript::text(&envelope.clone().masked(&transcript::is_secret_name)).is_empty());
    // What cannot be said in XML and space around names is left out once.
    let once = again(&envelope);
    let twice = again(&once);
    assert_eq!((&once.header, &once.body), (&twice.header, &twice.body));
    true
}

fn again(envelope: &Envelope) -> Envelope {
    let text = soap::encode(envelope, Booleans::Digits);
    match soap::decode(text.as_bytes(), Some(soap::CONTENT_TYPE)) {
        Ok(envelope) => envelope,
        Err(error) => panic!("{error}: {text}"),
    }
}

/// Before the Inform, after it, and while an answer is waited for.
fn at_acs(data: &[u8]) {
    let now = Instant::now();
    let opening = Envelope::new(Default::default(), "1", Inform::default());
    let opening = soap::encode(&opening, Booleans::Digits);
    for step in 0..3 {
        let mut acs = acs::Session::new(Arc::default(), now, 1);
        if step > 0 {
            assert_eq!(
                acs.handle_input(now, acs::Post::new(opening.as_bytes())),
                Ok(())
            );
            answer(&mut acs, now);
        }
        if step > 1 {
            assert_eq!(acs.handle_input(now, acs::Post::new(b"")), Ok(()));
            assert!(acs.request(now, GetParameterValues::default()).is_ok());
            assert!(acs.poll_transmit().is_some());
        }
        if acs.handle_input(now, acs::Post::new(data)).is_ok() {
            answer(&mut acs, now);
        }
    }
}

/// Answers events until each POST has its one reply.
fn answer(acs: &mut acs::Session, now: Instant) {
    for _ in 0..100 {
        match acs.poll_event() {
            Some(acs::Event::Informed { token, .. }) => {
                assert!(acs.acknowledge(now, token).is_ok())
            }
            Some(acs::Event::Requested { token, .. }) => {
                _ = acs.acknowledge(now, token);
            }
            Some(acs::Event::Turn) => _ = acs.finish(now),
            Some(_) => {}
            None => break,
        }
    }
    acs.handle_timeout(now + Duration::from_secs(25));
    assert!(acs.poll_transmit().is_some());
    assert!(acs.poll_transmit().is_none());
}

/// After the Inform and after the empty POST.
fn at_cpe(data: &[u8]) {
    let now = Instant::now();
    for step in 0..2 {
        let mut cpe = cpe::Session::new(cpe::Config::new(DeviceId::default()), 1);
        assert_eq!(cpe.boot(now, true), Ok(()));
        assert_eq!(cpe.inform(now, vec![]), Ok(()));
        if step == 1 {
            let welcome = cwmp::rpc::Response::from(cwmp::rpc::InformResponse::default());
            let welcome = soap::encode(
                &Envelope::new(Default::default(), "", welcome),
                Booleans::Digits,
            );
            assert_eq!(cpe.handle_input(now, reply(welcome.as_bytes())), Ok(()));
        }
        assert_eq!(cpe.handle_input(now, reply(data)), Ok(()));
        assert!((0..100).any(|_| cpe.poll_event().is_none()));
        assert!((0..100).any(|_| cpe.poll_transmit().is_none()));
    }
}

fn reply(body: &[u8]) -> cpe::Reply<'_> {
    cpe::Reply {
        status: 200,
        body,
        content_type: None,
    }
}

/// Reads headers of authentication and cookies; an answer to a challenge must be one that is read again. Says whether
/// there was a challenge that can be answered.
pub fn digest(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let client = digest::Client {
        username: "user",
        password: "password",
        method: "GET",
        uri: "/",
        cnonce: "c",
        count: 1,
        body: b"",
    };
    let offered = challenge::challenges([&*text]);
    let answered = digest::choose(&offered, true).and_then(|chosen| client.answer(chosen));
    if let Some(header) = &answered {
        assert!(digest::Credentials::parse(header).is_some(), "{header}");
    }
    _ = Basic::parse(&text);
    if let Some(shown) = digest::Credentials::parse(&text) {
        let server = digest::Server {
            realm: "r".into(),
            algorithms: vec![shown.algorithm],
            qop: true,
            secret: b"secret".into(),
            life: 60,
        };
        assert!(server.check(0, &shown, "GET", b"", "password").is_err());
    }
    for value in cookie::find(&text, "session") {
        assert_eq!(cookie::verify(b"secret", value, 0, u64::MAX), None);
    }
    answered.is_some()
}

/// Reads what comes with connection requests: HTTP, STUN, datagrams, stanzas and the stream that carries them. What is
/// read is written as it was read, and in which pieces it came makes no difference. Says whether it is any of these.
pub fn reach(data: &[u8]) -> bool {
    assert_eq!(udp::UdpRequest::parse(data, "user", "password"), None);
    let text = String::from_utf8_lossy(data);
    let stanza = xmpp::Stanza::parse(&text);
    if let Some(stanza) = &stanza {
        // Reasons that the standard does not name are lost once.
        let again = |stanza: &xmpp::Stanza| xmpp::Stanza::parse(&stanza.write());
        let once = again(stanza);
        assert!(once.is_some(), "{stanza:?}");
        assert_eq!(once.as_ref().and_then(again), once);
    }
    let datagram = datagram(data);
    let whole = streamed(data, data.len().max(1), true);
    let [single, seven] = [1, 7].map(|piece| streamed(data, piece, true));
    // With success a new stream begins, and what came in the same piece is dropped with the old one.
    if !text.contains("success") {
        assert_eq!(single, whole);
        assert_eq!(seven, whole);
    }
    _ = (
        streamed(data, 1, false),
        streamed(data, data.len().max(1), false),
    );
    _ = head::question(data);
    let asked = [1, 7, data.len().max(1)].map(|piece| asked(data, piece));
    assert_eq!(asked[0], asked[1]);
    assert_eq!(asked[0], asked[2]);
    stanza.is_some() || datagram || asked[0] == Outcome::Accepted
}

fn datagram(data: &[u8]) -> bool {
    assert!(!stun::is_signed(data, "password"));
    let Ok(message) = stun::Message::decode(data) else {
        return false;
    };
    let again = stun::Message::decode(&message.encode(None));
    assert_eq!(again.as_ref(), Ok(&message));
    let [from, own] = [
        SocketAddrV4::new([192, 0, 2, 1].into(), 4000),
        SocketAddrV4::new([192, 0, 2, 2].into(), 3478),
    ];
    if let Some((answer, to)) = stun::answer(&message, from, own) {
        assert_eq!(to.ip(), from.ip(), "nobody is made to talk to others");
        let signed = answer.encode(Some("password"));
        assert!(stun::is_signed(&signed, "password"));
        assert_eq!(answer.mapped(), Some(from));
    }
    true
}

/// What a stream says and does when the server's bytes come in pieces of this size.
fn streamed(data: &[u8], piece: usize, secure: bool) -> (Vec<String>, Vec<Event>) {
    let jid = Jid {
        local: "acs".into(),
        domain: "example.net".into(),
        resource: String::new(),
    };
    let mut stream = Stream::new(jid, "password".into(), "nonce", secure);
    let (mut said, mut events) = (Vec::new(), Vec::new());
    for piece in data.chunks(piece) {
        stream.handle_input(piece);
        said.extend(std::iter::from_fn(|| stream.poll_transmit()));
        while let Some(event) = stream.poll_event() {
            if event == Event::StartTls {
                stream.secured();
            }
            events.push(event);
        }
    }
    (said, events)
}

/// How a connection request ends whose answer comes in pieces of this size, on each connection anew.
fn asked(data: &[u8], piece: usize) -> Outcome {
    let credentials = Credentials {
        username: "user".into(),
        password: "password".into(),
        basic: true,
    };
    let now = Instant::now();
    let url = "http://192.0.2.1:7547/x";
    let request = ConnectionRequest::new(now, url, credentials, Duration::from_secs(10), "c");
    let Ok(mut request) = request else {
        panic!("it is a URL");
    };
    for _ in 0..10 {
        while request.poll_transmit().is_some() {}
        if let Some(outcome) = request.outcome() {
            return outcome.clone();
        }
        let mut anew = false;
        for piece in data.chunks(piece) {
            request.handle_input(piece);
            let actions = std::iter::from_fn(|| request.poll_transmit());
            anew |= actions.fold(false, |anew, action| {
                anew | matches!(action, Action::Connect)
            });
            // What comes after that comes over a connection that nobody reads any more.
            if anew || request.outcome().is_some() {
                break;
            }
        }
        if !anew && request.outcome().is_none() {
            request.connection_closed();
        }
    }
    panic!("it does not come to an end");
}
