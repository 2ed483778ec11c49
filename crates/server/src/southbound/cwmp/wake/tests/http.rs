//! Connection requests over HTTP against the servers of the field.

use std::sync::Arc;
use std::time::Duration;

use super::super::guard::Guard;
use super::super::http::Http;
use super::super::{Said, Shown, Whose, testing, tls};
use super::servers::{Do, Scripted, cpe};
use mtp::tls::ClientTlsConfig;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

fn client(basic: bool) -> Http {
    let trust = ClientTlsConfig {
        insecure: true,
        ..ClientTlsConfig::default()
    };
    Http {
        guard: Arc::new(Guard::new(testing::settings().networks, vec![])),
        tls: tls(&trust, "test").unwrap(),
        basic,
        time: Duration::from_secs(2),
        lookups: Arc::new(Semaphore::new(1)),
    }
}

fn known() -> Shown {
    Shown {
        username: "acs".to_owned(),
        password: "p".to_owned(),
        whose: Whose::Ours,
    }
}

async fn ask(script: &[Do]) -> (Said, Vec<String>) {
    let server = Scripted::new(script).await;
    let said = client(false).ask(&server.url(), known()).await;
    (said, server.asked())
}

fn refused(said: &Said) -> &str {
    match said {
        Said::Refused(words) => words,
        other => panic!("{other:?}"),
    }
}

const CHALLENGE: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"cpe\", nonce=\"n\", qop=\"auth\"\r\n\r\n";

#[tokio::test]
async fn whatever_says_yes_is_a_yes() {
    for yes in [
        Do::Say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        Do::Say("HTTP/1.1 204 No Content\r\n\r\n"),
        Do::Say("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        // HTTP/1.0, line feeds alone, no length, no reason.
        Do::Say("HTTP/1.0 200\nServer: x\n\nsome text"),
        Do::Drip("HTTP/1.1 200 OK\r\nServer: slow\r\n\r\n"),
        // It does not close.
        Do::Hold("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n"),
        Do::Forever("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ] {
        let (said, asked) = ask(std::slice::from_ref(&yes)).await;
        assert_eq!(said, Said::Accepted, "{yes:?}");
        assert!(asked[0].starts_with("GET /cr HTTP/1.1\r\n"), "{asked:?}");
    }
}

#[tokio::test]
async fn the_challenges_of_the_field_are_answered() {
    for challenge in [
        CHALLENGE,
        // Without qop, and then folded and with spaces for commas.
        "HTTP/1.1 401 x\r\nWWW-Authenticate: Digest realm=\"cpe\", nonce=\"n\"\r\n\r\n",
        "HTTP/1.1 401 x\nWWW-Authenticate: Digest realm=\"cpe\"\n qop=\"auth\"\n nonce=\"n\"\n\n",
        "HTTP/1.0 401 x\nwww-authenticate:Digest realm=\"cpe\" qop=\"auth\" nonce=\"n\"\n\n",
        "HTTP/1.1 401 x\r\nWWW-Authenticate: Digest realm=\"cpe\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n\r\n",
    ] {
        let (said, asked) = ask(&[Do::Say(challenge), Do::Say("HTTP/1.1 200 OK\r\n\r\n")]).await;
        assert_eq!(said, Said::Accepted, "{challenge}");
        assert!(!asked[0].contains("Authorization"));
        assert!(
            asked[1].contains("Authorization: Digest username=\"acs\""),
            "{asked:?}"
        );
    }
    // Closes instead of answering our credentials, once.
    let (said, asked) = ask(&[
        Do::Say(CHALLENGE),
        Do::Close,
        Do::Say("HTTP/1.1 204 x\r\n\r\n"),
    ])
    .await;
    assert_eq!((said, asked.len()), (Said::Accepted, 3));
}

#[tokio::test]
async fn a_device_that_follows_the_standard_agrees() {
    for (password, good) in [("p", true), ("q", false)] {
        let address = cpe("acs", password, || {}).await;
        let said = client(false)
            .ask(&format!("http://{address}/cr"), known())
            .await;
        match good {
            true => assert_eq!(said, Said::Accepted),
            false => assert_eq!(
                refused(&said),
                "the device does not take our credentials (401): where it keeps its own, enter them"
            ),
        }
        let said = client(false)
            .ask(&format!("http://{address}/cr"), Shown::default())
            .await;
        assert!(refused(&said).contains("none of ours yet"), "{said:?}");
    }
}

#[tokio::test]
async fn what_else_is_answered_is_said_in_words() {
    for (script, words) in [
        (Do::Say("HTTP/1.1 404 Not Found\r\n\r\n"), "404"),
        (Do::Say("HTTP/1.1 500 x\r\n\r\n"), "the device answers 500"),
        (Do::Say("SSH-2.0-dropbear\r\n"), "no HTTP server"),
        (Do::Close, "closed without an answer"),
        (Do::CloseAtOnce, "closed without an answer"),
        (Do::Silence, "did not answer in time"),
        (
            Do::Hold("HTTP/1.1 200 OK\r\nServer: x\r\n"),
            "did not answer in time",
        ),
        (Do::Forever("X: y\r\n"), "no HTTP server"),
    ] {
        let (said, _) = ask(std::slice::from_ref(&script)).await;
        assert!(refused(&said).contains(words), "{script:?}: {said:?}");
    }
    let (said, _) = ask(&[Do::Say("HTTP/1.1 503 x\r\n\r\n")]).await;
    assert!(
        matches!(&said, Said::Busy(words) if words.contains("503")),
        "{said:?}"
    );
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let said = client(false)
        .ask(&format!("http://{address}/"), known())
        .await;
    assert!(
        refused(&said).starts_with("the connection is refused"),
        "{said:?}"
    );
    let said = client(false).ask("telnet://h/", known()).await;
    assert_eq!(
        refused(&said),
        "nothing was sent: its ConnectionRequestURL cannot be used: it does not begin with http:// or https://"
    );
}

#[tokio::test]
async fn an_endless_head_is_given_up() {
    let head: &'static str = "HTTP/1.1 200 OK\r\nX: ";
    let endless = String::from(head) + &"y".repeat(cwmp::limits::HEAD_BYTES_MAX);
    let (said, _) = ask(&[Do::Hold(endless.leak())]).await;
    assert!(refused(&said).contains("no HTTP server"), "{said:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Scripted::new(&[Do::Say("HTTP/1.1 200 OK\r\n\r\n")]).await;
    let redirect = format!("HTTP/1.1 302 x\r\nLocation: {}\r\n\r\n", other.url());
    let (said, _) = ask(&[Do::Say(CHALLENGE), Do::Say(redirect.leak())]).await;
    assert!(
        refused(&said).contains("a redirect (302), which is not followed"),
        "{said:?}"
    );
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_password_is_shown_only_where_that_is_allowed() {
    let script = [
        Do::Say("HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"cpe\"\r\n\r\n"),
        Do::Say("HTTP/1.1 200 OK\r\n\r\n"),
    ];
    let server = Scripted::new(&script).await;
    let said = client(false).ask(&server.url(), known()).await;
    assert!(refused(&said).contains("cwmp.wake_basic"), "{said:?}");
    assert_eq!(server.asked().len(), 1);
    let server = Scripted::new(&script).await;
    assert_eq!(
        client(true).ask(&server.url(), known()).await,
        Said::Accepted
    );
    assert!(server.asked()[1].contains("Authorization: Basic YWNzOnA="));
}

#[tokio::test]
async fn nothing_is_sent_where_the_guard_says_no() {
    let server = Scripted::new(&[Do::Say("HTTP/1.1 200 OK\r\n\r\n")]).await;
    let mut strict = client(false);
    strict.guard = Arc::new(Guard::new(None, vec![]));
    for url in [
        server.url(),
        format!("http://localhost:{}/", server.address.port()),
    ] {
        let said = strict.ask(&url, known()).await;
        assert!(refused(&said).starts_with("nothing was sent:"), "{said:?}");
    }
    let mut own = client(false);
    own.guard = Arc::new(Guard::new(
        testing::settings().networks,
        vec![server.address.port()],
    ));
    let said = own.ask(&server.url(), known()).await;
    assert!(refused(&said).contains("this server itself"), "{said:?}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_device_with_a_certificate_of_its_own_is_asked_over_tls() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let own = rcgen::generate_simple_self_signed(vec!["cpe".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    let url = format!("https://127.0.0.1:{port}/cr");
    assert_eq!(client(false).ask(&url, known()).await, Said::Accepted);
    // Where authorities are named, it is not believed.
    let mut strict = client(false);
    strict.tls = tls(&ClientTlsConfig::default(), "test").unwrap();
    let said = strict.ask(&url, known()).await;
    assert!(refused(&said).starts_with("TLS: "), "{said:?}");
    let plain = Scripted::new(&[Do::Say("HTTP/1.1 200 OK\r\n\r\n")]).await;
    let said = client(false)
        .ask(&plain.url().replace("http:", "https:"), known())
        .await;
    assert!(
        refused(&said).starts_with("TLS: ") || refused(&said).contains("in time"),
        "{said:?}"
    );
}
