//! Connection requests over XMPP, with a real Prosody between us and a device.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cwmp::reach::xmpp::stream::{Event, Jid, Stream};
use cwmp::reach::xmpp::{Content, Refusal, Stanza};
use mtp::tls::{ClientTlsConfig, Roots};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::super::super::reach::{CONNECTION_REQUEST, Reach};
use super::super::srv::tests::name_server;
use super::super::testing::{limits, rig, settings, until};
use super::super::xmpp::{Account, Server, State};
use super::super::{Limits, Settings, tls};
use crate::config::Xmpp;

/// A Prosody of its own, on a free port; gone when dropped.
struct Prosody {
    port: u16,
    ca: std::path::PathBuf,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Drop for Prosody {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const DOMAIN: &str = "xmpp.test";

impl Prosody {
    /// `None` when it is not installed; `cargo xtask test` installs it before.
    fn start() -> Option<Self> {
        let installed = Command::new("prosodyctl")
            .arg("about")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if installed.is_err() {
            assert!(
                std::env::var_os("HEADEND_TEST_POSTGRES").is_none(),
                "Prosody is not installed (Debian: apt-get install prosody)"
            );
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let own = rcgen::generate_simple_self_signed(vec![DOMAIN.to_owned()]).unwrap();
        let ca = path.join("cert.pem");
        std::fs::write(&ca, own.cert.pem()).unwrap();
        std::fs::write(path.join("key.pem"), own.signing_key.serialize_pem()).unwrap();
        for (user, password) in [("acs", "acs secret, with comma"), ("cpe", "cpe secret")] {
            account(path, user, password);
        }
        // Asked for and given back at once; nobody else takes it in between but by bad luck.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let config = path.join("prosody.cfg.lua");
        std::fs::write(&config, configuration(path, port)).unwrap();
        let child = Command::new("prosody")
            .args(["-F", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self {
            port,
            ca,
            child,
            _directory: directory,
        })
    }

    fn settings(&self, password: &str) -> Xmpp {
        Xmpp {
            jid: format!("acs@{DOMAIN}/headend"),
            password: password.to_owned(),
            host: Some(format!("127.0.0.1:{}", self.port)),
            ca: Some(self.ca.clone()),
            ..Xmpp::default()
        }
    }
}

fn account(path: &Path, user: &str, password: &str) {
    let folder = path.join("data/xmpp%2etest/accounts");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("return {{ [\"password\"] = \"{password}\"; }};\n");
    std::fs::write(folder.join(format!("{user}.dat")), text).unwrap();
}

fn configuration(path: &Path, port: u16) -> String {
    let path = path.display();
    format!(
        r#"
run_as_root = true
daemonize = false
pidfile = "{path}/prosody.pid"
data_path = "{path}/data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
s2s_ports = {{ }}
legacy_ssl_ports = {{ }}
c2s_direct_tls_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
authentication = "internal_plain"
modules_enabled = {{ "saslauth", "tls", "ping", "disco" }}
modules_disabled = {{ "s2s" }}
c2s_require_encryption = true
log = {{ error = "{path}/prosody.log" }}
VirtualHost "{DOMAIN}"
    ssl = {{ key = "{path}/key.pem", certificate = "{path}/cert.pem" }}
"#
    )
}

/// The XMPP end of a CPE: answers each connection request as `answer` says, and tells of it.
async fn cpe(
    prosody: &Prosody,
    answer: impl Fn(&Content) -> Content + Send + 'static,
    came: impl Fn() + Send + 'static,
) -> String {
    let jid = Jid::parse(&format!("cpe@{DOMAIN}/home")).unwrap();
    let trust = ClientTlsConfig {
        roots: Roots::Only(prosody.ca.clone()),
        ..ClientTlsConfig::default()
    };
    let mut stream = Stream::new(jid, "cpe secret".into(), "nonce", false);
    let port = prosody.port;
    let tcp = until("Prosody to listen", async || {
        TcpStream::connect(("127.0.0.1", port)).await.ok()
    })
    .await;
    let mut tcp = tcp;
    let mut buffer = [0; 4096];
    loop {
        while let Some(out) = stream.poll_transmit() {
            tcp.write_all(out.as_bytes()).await.unwrap();
        }
        let read = tcp.read(&mut buffer).await.unwrap();
        stream.handle_input(&buffer[..read]);
        match stream.poll_event() {
            Some(Event::StartTls) => break,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    let connector = tokio_rustls::TlsConnector::from(tls(&trust, "test").unwrap());
    let name = ServerName::try_from(DOMAIN).unwrap();
    let mut connection = connector.connect(name, tcp).await.unwrap();
    stream.secured();
    let (ready, told) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut ready = Some(ready);
        loop {
            while let Some(event) = stream.poll_event() {
                match event {
                    Event::Ready(own) => {
                        let _ = ready.take().unwrap().send(own);
                    }
                    Event::Asked(text) => {
                        let request = Stanza::parse(&text).unwrap();
                        let content = answer(&request.content);
                        let yes = content == Content::Accepted;
                        stream.send(request.answer(content).write());
                        if yes {
                            came();
                        }
                    }
                    Event::Failed { .. } => return,
                    other => panic!("{other:?}"),
                }
            }
            while let Some(out) = stream.poll_transmit() {
                if connection.write_all(out.as_bytes()).await.is_err() {
                    return;
                }
            }
            match connection.read(&mut buffer).await {
                Ok(read) if read > 0 => stream.handle_input(&buffer[..read]),
                _ => return,
            }
        }
    });
    told.await.unwrap()
}

#[tokio::test]
async fn the_server_is_found_by_the_records_of_its_domain_and_the_next_one_where_one_is_down() {
    let Some(prosody) = Prosody::start() else {
        return;
    };
    let service = format!("_xmpp-client._tcp.{DOMAIN}.");
    let records = [(1, 0, 1, "localhost."), (2, 0, prosody.port, "localhost.")];
    let finder = name_server(&service, &records).await;
    let settings = Xmpp {
        host: None,
        ..prosody.settings("acs secret, with comma")
    };
    let account = Account {
        server: Server::OfTheDomain(finder),
        ..super::super::account(settings).unwrap()
    };
    until("Prosody to listen", async || {
        TcpStream::connect(("127.0.0.1", prosody.port)).await.ok()
    })
    .await;
    let shutdown = CancellationToken::new();
    let stream = super::super::Xmpp::start(account, Duration::from_secs(5), shutdown.clone());
    until("the stream", async || {
        matches!(stream.state(), State::Ready(_)).then_some(())
    })
    .await;
    shutdown.cancel();
}

#[tokio::test]
async fn a_device_is_woken_through_prosody() {
    let Some(prosody) = Prosody::start() else {
        return;
    };
    let prosody = Arc::new(prosody);
    let settings = Settings {
        xmpp: Some(prosody.settings("acs secret, with comma")),
        ..settings()
    };
    let limits = Limits {
        come_time: Duration::from_secs(20),
        ..limits()
    };
    let rig = rig(settings, limits).await;
    let secret = rig
        .vault
        .device_password(CONNECTION_REQUEST, &rig.tenant, rig.device, 2);
    let user = rig.device.to_string();
    let good = move |content: &Content| match content {
        Content::Request { username, password } if *username == user && password.0 == secret => {
            Content::Accepted
        }
        _ => Content::Refused(Refusal::NotAuthorized),
    };
    let (waker, device) = (rig.waker.clone(), rig.device);
    let jid = cpe(&prosody, good, move || waker.came(device, true)).await;
    assert_eq!(jid, format!("cpe@{DOMAIN}/home"));
    let xmpp = rig.waker.0.xmpp.as_ref().unwrap();
    until("the account to be connected", async || {
        matches!(xmpp.state(), State::Ready(_)).then_some(())
    })
    .await;
    assert_eq!(
        rig.waker.xmpp(),
        Some(Ok(format!("connected as acs@{DOMAIN}/headend")))
    );
    // With a password of another generation the device says no.
    let mut reach = Reach {
        xmpp_jid: Some(jid.clone()),
        generation: Some(1),
        ..Reach::default()
    };
    reach
        .save(&rig.store, &rig.tenant, rig.device)
        .await
        .unwrap();
    let first = async |wanted: &str| {
        rig.waker.wake(&rig.tenant, rig.device);
        until(wanted, async || {
            let attempts = rig.waker.attempts(&rig.tenant, rig.device);
            attempts
                .into_iter()
                .next()
                .filter(|one| one.words.contains(wanted))
        })
        .await
    };
    let attempt = first("not-authorized").await;
    assert!(
        !attempt.ok && attempt.method == "xmpp" && attempt.address == jid,
        "{attempt:?}"
    );
    reach.generation = Some(2);
    reach
        .save(&rig.store, &rig.tenant, rig.device)
        .await
        .unwrap();
    let attempt = first("it came a").await;
    assert!(attempt.ok, "{attempt:?}");
    // Nobody is at this address: the server says so at once.
    reach.xmpp_jid = Some(format!("cpe@{DOMAIN}/elsewhere"));
    reach
        .save(&rig.store, &rig.tenant, rig.device)
        .await
        .unwrap();
    first("service-unavailable").await;
    // Its credentials go to no other domain.
    reach.xmpp_jid = Some("cpe@elsewhere.test/home".to_owned());
    reach
        .save(&rig.store, &rig.tenant, rig.device)
        .await
        .unwrap();
    first("nothing was sent").await;
}

#[tokio::test]
async fn why_there_is_no_stream_is_said() {
    let Some(prosody) = Prosody::start() else {
        return;
    };
    until("Prosody to listen", async || {
        TcpStream::connect(("127.0.0.1", prosody.port)).await.ok()
    })
    .await;
    let mut untrusted = prosody.settings("acs secret, with comma");
    untrusted.ca = None;
    for (account, words) in [
        (prosody.settings("wrong"), "not-authorized"),
        (untrusted, "TLS: "),
    ] {
        let settings = Settings {
            xmpp: Some(account),
            ..settings()
        };
        let rig = rig(settings, limits()).await;
        let why = until("the stream to be down", async || {
            rig.waker.xmpp().and_then(Result::err)
        })
        .await;
        assert!(why.contains(words), "{why}");
        let reach = Reach {
            xmpp_jid: Some(format!("cpe@{DOMAIN}/home")),
            ..Reach::default()
        };
        reach
            .save(&rig.store, &rig.tenant, rig.device)
            .await
            .unwrap();
        rig.waker.wake(&rig.tenant, rig.device);
        let attempt = until("an attempt", async || {
            rig.waker
                .attempts(&rig.tenant, rig.device)
                .into_iter()
                .next()
        })
        .await;
        assert!(
            !attempt.ok && attempt.words.starts_with("XMPP: "),
            "{attempt:?}"
        );
    }
}
