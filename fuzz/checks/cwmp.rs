//! What the `soap` and `digest` targets check. A file of its own because the ordinary tests of `cwmp` replay the
//! seeds through the same functions.

use std::sync::Arc;
use std::time::Instant;

use cwmp::auth::{basic::Basic, challenge, cookie, digest};
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
    acs.handle_timeout(now + std::time::Duration::from_secs(25));
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

/// Reads headers of authentication, cookies, and what comes with connection requests; an answer to a challenge must be
/// one that is read again. Says whether there was a challenge that can be answered.
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
    _ = (head::answer(data), head::question(data));
    assert_eq!(udp::UdpRequest::parse(data, "user", "password"), None);
    if let Ok(message) = stun::Message::decode(data) {
        assert!(!stun::is_signed(data, "password"));
        _ = stun::Message::decode(&message.encode(Some("password")));
    }
    if let Some(stanza) = xmpp::Stanza::parse(&text) {
        _ = xmpp::Stanza::parse(&stanza.write());
    }
    answered.is_some()
}
