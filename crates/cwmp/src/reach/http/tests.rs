//! Connection requests against the servers of the field.

use super::*;

fn request(basic: bool) -> ConnectionRequest {
    let credentials = Credentials {
        username: "acs".into(),
        password: "p".into(),
        basic,
    };
    let timeout = Duration::from_secs(10);
    ConnectionRequest::new(
        Instant::now(),
        "http://192.0.2.1:7547/x?y=1",
        credentials,
        timeout,
        "c",
    )
    .unwrap()
}

/// Connects and returns what is sent.
fn sent(request: &mut ConnectionRequest) -> String {
    let mut action = request.poll_transmit();
    if action == Some(Action::Close) {
        action = request.poll_transmit();
    }
    assert_eq!(action, Some(Action::Connect));
    match request.poll_transmit() {
        Some(Action::Send(bytes)) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The answers to one exchange after the other, and how it ends.
fn after(basic: bool, answers: &[&str]) -> Option<Outcome> {
    let mut request = request(basic);
    for answer in answers {
        sent(&mut request);
        match *answer {
            "" => request.connection_closed(),
            answer => request.handle_input(answer.as_bytes()),
        }
    }
    let outcome = request.outcome().cloned();
    let last = outcome.is_some().then_some(Action::Close);
    assert!(outcome.is_none() || request.poll_transmit() == last);
    outcome
}

const DIGEST: &str = "HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Digest realm=\"cpe\"\n  qop=\"auth\"\n  nonce=\"n\"\n\n";
const STALE: &str =
    "HTTP/1.1 401 x\r\nWWW-Authenticate: Digest realm=\"cpe\", nonce=\"m\", stale=TRUE\r\n\r\n";
const BASIC: &str = "HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"cpe\"\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";

#[test]
fn urls_of_the_field_are_read() {
    let target = |url| Target::parse(url).map(|t| (t.tls, t.host, t.port, t.path));
    let expect =
        |tls, host: &str, port, path: &str| Ok((tls, host.to_owned(), port, path.to_owned()));
    assert_eq!(
        target("http://192.0.2.1:7547"),
        expect(false, "192.0.2.1", 7547, "/")
    );
    assert_eq!(
        target(" HTTPS://[2001:db8::1]/a?b "),
        expect(true, "2001:db8::1", 443, "/a?b")
    );
    assert_eq!(target("http://u:p@h:80?q"), expect(false, "h", 80, "/?q"));
    for (bad, why) in [
        ("", "does not begin"),
        ("h:80", "does not begin"),
        ("not a url", "does not begin"),
        ("ftp://h/", "does not begin"),
        ("http://", "no host"),
        ("http:///x", "no host"),
        ("http://h:0/", "port"),
        ("http://h:99999/", "port"),
        ("http://h:x/", "port"),
        ("http://[::1/", "no host"),
        ("http://h/a b", "spaces"),
        ("http://h/\r\nX: y", "control characters"),
    ] {
        assert!(
            target(bad).is_err_and(|words| words.contains(why)),
            "{bad:?}"
        );
    }
}

#[test]
fn a_challenge_is_answered_on_a_new_connection() {
    let mut request = request(false);
    let first = sent(&mut request);
    assert_eq!(
        first,
        "GET /x?y=1 HTTP/1.1\r\nHost: 192.0.2.1:7547\r\nConnection: close\r\n\r\n"
    );
    // In pieces, as it comes.
    let (a, b) = DIGEST.split_at(40);
    request.handle_input(a.as_bytes());
    assert_eq!(request.poll_transmit(), None);
    request.handle_input(b.as_bytes());
    // The old connection closes while the new one is asked for.
    request.connection_closed();
    let second = sent(&mut request);
    for part in [
        "Authorization: Digest username=\"acs\"",
        "uri=\"/x?y=1\"",
        "qop=auth, nc=00000001, cnonce=\"c\"",
    ] {
        assert!(second.contains(part), "{second}");
    }
    request.handle_input(b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(request.outcome(), Some(&Outcome::Accepted));
    assert_eq!(
        (request.poll_transmit(), request.poll_timeout()),
        (Some(Action::Close), None)
    );
}

#[test]
fn each_end_is_told() {
    assert_eq!(after(false, &[OK]), Some(Outcome::Accepted));
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    assert_eq!(after(false, &[go_on]), None);
    let then = format!("{go_on}\r\n{go_on}{OK}");
    assert_eq!(after(false, &[&then]), Some(Outcome::Accepted));
    assert_eq!(
        after(false, &["HTTP/1.1 503 Busy\r\n\r\n"]),
        Some(Outcome::Busy)
    );
    assert_eq!(
        after(false, &["HTTP/1.1 404 No\r\n\r\n"]),
        Some(Outcome::Status(404))
    );
    assert_eq!(after(false, &["SSH-2.0-x\r\n"]), Some(Outcome::NotHttp));
    assert_eq!(after(false, &[""]), Some(Outcome::Dropped));
    // Never a loop of challenges.
    assert_eq!(after(false, &[DIGEST, DIGEST]), Some(Outcome::Unauthorized));
    assert_eq!(after(false, &[DIGEST, STALE, OK]), Some(Outcome::Accepted));
    assert_eq!(
        after(false, &[DIGEST, STALE, STALE, STALE]),
        Some(Outcome::Unauthorized)
    );
    // Dropped once in place of the answer to our credentials.
    assert_eq!(after(false, &[DIGEST, "", OK]), Some(Outcome::Accepted));
    assert_eq!(
        after(false, &[DIGEST, "", STALE, OK]),
        Some(Outcome::Accepted)
    );
    assert_eq!(after(false, &[DIGEST, "", "", ""]), Some(Outcome::Dropped));
    // The password is not shown unless it may be.
    assert_eq!(
        after(false, &[BASIC]),
        Some(Outcome::NoUsableChallenge(vec!["basic".into()]))
    );
    assert_eq!(after(true, &[BASIC, OK]), Some(Outcome::Accepted));
    assert_eq!(
        after(true, &["HTTP/1.1 401 x\r\n\r\n"]),
        Some(Outcome::NoUsableChallenge(vec![]))
    );
}

#[test]
fn a_silent_or_unreachable_device_is_given_up() {
    let mut silent = request(false);
    let due = silent.poll_timeout().unwrap();
    silent.handle_timeout(due - Duration::from_nanos(1));
    assert_eq!(silent.outcome(), None);
    silent.handle_timeout(due);
    assert_eq!(silent.outcome(), Some(&Outcome::TimedOut));
    let mut gone = request(false);
    gone.connect_failed();
    gone.handle_input(OK.as_bytes());
    assert_eq!(gone.outcome(), Some(&Outcome::Unreachable));
}

/// `HEAD_BYTES_MAX`, `CONNECTION_REQUEST_EXCHANGES_MAX`
#[test]
fn an_endless_head_is_given_up() {
    let mut request = request(false);
    request.handle_input(b"HTTP/1.1 200 OK\r\n");
    for _ in 0..limits::HEAD_BYTES_MAX {
        request.handle_input(b"A: b\r\n");
    }
    assert_eq!(request.outcome(), Some(&Outcome::NotHttp));
    assert!(request.input.len() <= limits::HEAD_BYTES_MAX + 1);
}
