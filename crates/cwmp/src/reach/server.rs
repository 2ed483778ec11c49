//! An HTTP connection request at the CPE's end. Deliberately no sockets and no throttling: the
//! caller says when it is busy.

use super::head;
use crate::auth::digest::{Credentials, Denied, Server as Digest, path_of};
use crate::auth::nonce::{Use, Window};
use crate::limits;
use crate::value::Secret;

/// The nonces with which good requests came, so that none is taken twice.
#[derive(Clone, Debug, Default)]
pub struct Used(Vec<UsedNonce>);

#[derive(Clone, Debug)]
struct UsedNonce {
    nonce: String,
    /// When it was used first. Two lives later it is stale, whenever it was given out.
    since: u64,
    counts: Window,
}

impl Used {
    /// Notes a use; `None` when there is no room.
    fn note(&mut self, now: u64, life: u64, shown: &Credentials) -> Option<Use> {
        // A nonce may come from a clock that is one life ahead.
        let gone = life.saturating_mul(2);
        self.0.retain(|used| now.abs_diff(used.since) <= gone);
        if let Some(known) = self.0.iter_mut().find(|used| used.nonce == shown.nonce) {
            return Some(known.counts.note(shown.count()));
        }
        if self.0.len() >= limits::USED_NONCES_MAX {
            return None;
        }
        let mut counts = Window::default();
        let first = counts.note(shown.count());
        self.0.push(UsedNonce {
            nonce: shown.nonce.clone(),
            since: now,
            counts,
        });
        Some(first)
    }
}

/// The connection request server of a CPE.
#[derive(Clone, Debug)]
pub struct Server {
    /// The path of the ConnectionRequestURL, with its random part.
    pub path: String,
    /// ManagementServer.ConnectionRequestUsername.
    pub username: String,
    /// ManagementServer.ConnectionRequestPassword.
    pub password: Secret,
    /// What it challenges with.
    pub digest: Digest,
    /// What it has taken; at first nothing.
    pub used: Used,
}

/// What to do with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Read on.
    More,
    /// Write this and close.
    Refused(String),
    /// Write this, close, and open a session with event 6.
    Accepted(String),
}

impl Server {
    /// Answers a request of which these bytes came. `now` is in seconds, `random` is a random
    /// number, and `busy` refuses a good request for now.
    pub fn answer(&mut self, now: u64, random: u64, bytes: &[u8], busy: bool) -> Answer {
        let question = match head::question(bytes) {
            Ok(None) => return Answer::More,
            Ok(Some(question)) => question,
            Err(_) => return Answer::Refused(status("400 Bad Request", &[])),
        };
        let path = path_of(&question.target);
        if question.method != "GET" {
            return Answer::Refused(status("405 Method Not Allowed", &["Allow: GET".into()]));
        }
        if path != self.path {
            return Answer::Refused(status("404 Not Found", &[]));
        }
        let shown = question
            .headers
            .get("authorization")
            .and_then(Credentials::parse);
        let shown = shown.filter(|shown| shown.username == self.username);
        if shown.as_ref().is_some_and(|shown| !shown.uri_matches(path)) {
            return Answer::Refused(status("400 Bad Request", &[]));
        }
        let judged = match shown {
            Some(shown) => self
                .digest
                .check(now, &shown, "GET", b"", &self.password.0)
                .map(|()| self.used.note(now, self.digest.life, &shown)),
            None => Err(Denied::Password),
        };
        let (denied, full) = match judged {
            Ok(Some(Use::New)) => (None, false),
            // Who has the password asks again with the new nonce; who repeats what it heard cannot.
            Ok(Some(Use::Repeated | Use::Forgotten)) => (Some(Denied::Stale), false),
            Ok(None) => (None, true),
            Err(why) => (Some(why), false),
        };
        match denied {
            None if busy || full => Answer::Refused(status("503 Service Unavailable", &[])),
            None => Answer::Accepted(status("204 No Content", &[])),
            Some(why) => {
                let offered = self.digest.challenges(now, random, why == Denied::Stale);
                let headers = offered
                    .iter()
                    .map(|challenge| format!("WWW-Authenticate: {challenge}"));
                Answer::Refused(status("401 Unauthorized", &headers.collect::<Vec<_>>()))
            }
        }
    }
}

fn status(status: &str, headers: &[String]) -> String {
    let mut out = format!("HTTP/1.1 {status}\r\n");
    for header in headers {
        out.push_str(header);
        out.push_str("\r\n");
    }
    if !status.starts_with("204") {
        out.push_str("Content-Length: 0\r\n");
    }
    out.push_str("Connection: close\r\n\r\n");
    out
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::http::{Action, ConnectionRequest, Credentials as Ours, Outcome};
    use super::*;
    use crate::auth::challenge::challenges;
    use crate::auth::digest::{Algorithm, Client};

    fn server() -> Server {
        Server {
            path: "/a1b2".into(),
            username: "acs".into(),
            password: "p".into(),
            digest: Digest {
                realm: "cpe".into(),
                algorithms: vec![Algorithm::Md5],
                qop: true,
                secret: b"secret".into(),
                life: 60,
            },
            used: Used::default(),
        }
    }

    /// The head of a request with credentials for one of the server's nonces.
    fn signed(now: u64, nonce: u64, count: u32, uri: &str, target: &str) -> String {
        let offered = server().digest.challenges(now, nonce, false);
        let challenge = &challenges([&*offered[0]])[0];
        let client = Client {
            username: "acs",
            password: "p",
            method: "GET",
            uri,
            cnonce: "c",
            count,
            body: b"",
        };
        let shown = client.answer(challenge).unwrap();
        format!("GET {target} HTTP/1.1\r\nAuthorization: {shown}\r\n\r\n")
    }

    #[test]
    fn a_request_that_was_heard_before_is_not_taken_again() {
        let mut server = server();
        let mut ask = |now, text: &str| server.answer(now, 9, text.as_bytes(), false);
        let first = signed(1000, 1, 1, "/a1b2", "/a1b2");
        assert!(matches!(ask(1000, &first), Answer::Accepted(_)));
        let Answer::Refused(told) = ask(1060, &first) else {
            panic!("a replay is taken");
        };
        assert!(
            told.starts_with("HTTP/1.1 401 ") && told.contains("stale=true"),
            "{told}"
        );
        // One who counts goes on with its nonce.
        assert!(matches!(
            ask(1001, &signed(1000, 1, 2, "/a1b2", "/a1b2")),
            Answer::Accepted(_)
        ));
        assert!(matches!(ask(1061, &first), Answer::Refused(_)));
    }

    #[test]
    fn credentials_for_another_target_are_refused() {
        let answer = |uri| {
            let text = signed(1000, 1, 1, uri, "/a1b2");
            server().answer(1000, 9, text.as_bytes(), false)
        };
        for uri in ["/a1b2", "http://h:7547/a1b2", ""] {
            assert!(matches!(answer(uri), Answer::Accepted(_)), "{uri}");
        }
        for uri in ["/", "/other", "http://h/other", "/a1b2?x"] {
            let Answer::Refused(told) = answer(uri) else {
                panic!("{uri}");
            };
            assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
        }
    }

    /// `USED_NONCES_MAX`
    #[test]
    fn requests_without_end_are_told_to_come_later() {
        let mut server = server();
        let mut ask = |now, nonce| {
            let text = signed(now, nonce, 1, "/a1b2", "/a1b2");
            server.answer(now, 9, text.as_bytes(), false)
        };
        let max = limits::USED_NONCES_MAX as u64;
        for nonce in 0..max {
            assert!(matches!(ask(1000, nonce), Answer::Accepted(_)));
        }
        let Answer::Refused(told) = ask(1000, max) else {
            panic!();
        };
        assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
        // What is stale need not be remembered.
        assert!(matches!(ask(1121, max), Answer::Accepted(_)));
        assert_eq!(server.used.0.len(), 1);
    }

    /// Both ends against each other.
    fn ask(password: &str, url: &str, busy: bool) -> Option<Outcome> {
        let credentials = Ours {
            username: "acs".into(),
            password: password.into(),
            basic: false,
        };
        let timeout = Duration::from_secs(10);
        let mut request =
            ConnectionRequest::new(Instant::now(), url, credentials, timeout, "c").unwrap();
        while let Some(action) = request.poll_transmit() {
            if let Action::Send(bytes) = action {
                match server().answer(1000, 1, &bytes, busy) {
                    Answer::More => panic!(),
                    Answer::Refused(answer) | Answer::Accepted(answer) => {
                        request.handle_input(answer.as_bytes());
                    }
                }
            }
        }
        request.outcome().cloned()
    }

    #[test]
    fn both_ends_understand_each_other() {
        assert_eq!(ask("p", "http://h/a1b2", false), Some(Outcome::Accepted));
        assert_eq!(
            ask("q", "http://h/a1b2", false),
            Some(Outcome::Unauthorized)
        );
        assert_eq!(
            ask("p", "http://h/other", false),
            Some(Outcome::Status(404))
        );
        assert_eq!(ask("p", "http://h/a1b2", true), Some(Outcome::Busy));
        // Who may not ask does not learn that it is busy.
        assert_eq!(ask("q", "http://h/a1b2", true), Some(Outcome::Unauthorized));
    }

    #[test]
    fn other_requests_are_refused() {
        let answer = |text: &str| server().answer(1000, 1, text.as_bytes(), false);
        assert_eq!(answer("GET /a1b2 HTTP/1.1\r\n"), Answer::More);
        for (text, code) in [
            ("POST /a1b2 HTTP/1.1\r\n\r\n", "405"),
            ("hello\n\n", "400"),
            ("GET http://h:1/a1b2 HTTP/1.1\n\n", "401"),
            ("GET http://h HTTP/1.1\n\n", "404"),
        ] {
            let Answer::Refused(told) = answer(text) else {
                panic!("{text}");
            };
            assert!(told.starts_with(&format!("HTTP/1.1 {code} ")), "{told}");
        }
    }
}
