//! An HTTP connection request at the CPE's end. Deliberately no sockets and no throttling: the
//! caller says when it is busy.

use super::head;
use crate::auth::digest::{Credentials, Denied, Server as Digest};
use crate::value::Secret;

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
    pub fn answer(&self, now: u64, random: u64, bytes: &[u8], busy: bool) -> Answer {
        let question = match head::question(bytes) {
            Ok(None) => return Answer::More,
            Ok(Some(question)) => question,
            Err(_) => return Answer::Refused(status("400 Bad Request", &[])),
        };
        let target = &question.target;
        // Some clients send the whole URL.
        let path = match target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => target,
        };
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
        let denied = match shown.filter(|shown| shown.username == self.username) {
            Some(shown) => self
                .digest
                .check(now, &shown, "GET", b"", &self.password.0)
                .err(),
            None => Some(Denied::Password),
        };
        match denied {
            None if busy => Answer::Refused(status("503 Service Unavailable", &[])),
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
    use crate::auth::digest::Algorithm;

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
        }
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
