//! A controller without a memory: it lets every agent in (or dials one), prints what it reports,
//! reads `Device.DeviceInfo.` once, and answers notifications. For looking at a device on a desk.
//!
//!     cargo run -p mtp --example watch_agents -- listen 127.0.0.1:8081
//!     cargo run -p mtp --example watch_agents -- listen 127.0.0.1:8443 DIRECTORY
//!     cargo run -p mtp --example watch_agents -- dial ws://192.0.2.7:8080/usp os::00256D-0001
//!
//! With a directory it listens with TLS, under a certificate of the development CA it keeps there
//! (`ca.pem` is what the device has to trust) for `localhost` and the address.
//!
//! Not a server: no credentials are asked for and nothing is stored.
#![allow(clippy::print_stdout)]

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use mtp::{
    tls::{
        ClientCertificates, ServerTls, ServerTlsConfig,
        development::{DevelopmentCa, Issued},
    },
    ws::{
        Admission, Admitted, CloseCode, DialConfig, Hello, Incoming, Link, Listener,
        ListenerConfig, Refusal, RefusalReason, Refused, dial, reason,
    },
};
use usp::{
    EndpointId,
    controller::{Config, Event, Session},
};

const OWN: &str = "proto::watch-agents";

struct Everybody(EndpointId);

impl Admission for Everybody {
    type Ticket = EndpointId;

    async fn admit(&self, hello: &Hello) -> Result<Admitted<EndpointId>, Refusal> {
        let eid = hello.eid.clone().ok_or_else(|| {
            Refusal::new(
                RefusalReason::EndpointIdMissing,
                "no eid in the URL or certificate",
            )
        })?;
        Ok(Admitted {
            own: self.0.clone(),
            ticket: eid,
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let own = EndpointId::parse(OWN)?;
    match arguments[..] {
        ["listen", addr, ref directory @ ..] => {
            let refused = |one: Refused| println!("{} refused: {}", one.peer_addr, one.refusal);
            let mut config = ListenerConfig::new(addr.parse()?);
            if let Some(directory) = directory.first() {
                let names = ["localhost".to_owned(), config.socket.addr.ip().to_string()];
                let ca = DevelopmentCa::open_or_create(Path::new(directory))?;
                let Issued { certificate, key } = ca.server(&names, &own)?;
                let clients = ClientCertificates::Ignored;
                let files = ServerTlsConfig {
                    certificate,
                    key,
                    clients,
                };
                config = config.with_tls(Arc::new(ServerTls::load(files)?));
            }
            let admission = Arc::new(Everybody(own));
            let mut listener = Listener::bind(config, admission, Arc::new(refused)).await?;
            println!("{OWN} listens on {}", listener.local_addr());
            loop {
                let one = listener.accept().await;
                println!(
                    "{} came to {} from {}",
                    one.ticket, one.hello.path, one.hello.peer_addr
                );
                tokio::spawn(watch(one.link, one.own, one.ticket));
            }
        }
        ["dial", url, eid] => {
            let link = dial(&DialConfig::new(url, own.clone())).await?;
            watch(link, own, EndpointId::parse(eid)?).await;
            Ok(())
        }
        _ => Err("listen ADDRESS:PORT [DIRECTORY] | dial URL ENDPOINT-ID".into()),
    }
}

/// One task for one agent: whatever comes first, the link, the session's clock or the next ping.
async fn watch(mut link: Link, own: EndpointId, agent: EndpointId) {
    let mut session = Session::new(Arc::new(Config::default()), own, agent.clone(), 1);
    loop {
        while let Some(record) = session.poll_transmit() {
            if let Err(error) = link.send(record).await {
                return println!("{agent}: {error}");
            }
        }
        let wake = session
            .poll_timeout()
            .into_iter()
            .chain(link.next_ping())
            .min();
        let wake = tokio::time::Instant::from_std(wake.unwrap_or_else(|| Instant::now() + HOUR));
        tokio::select! {
            incoming = link.recv() => match incoming {
                Ok(Incoming::Record(record)) => {
                    if let Err(error) = session.handle_input(Instant::now(), &record) {
                        println!("{agent}: {error}");
                        return link.close(CloseCode::Unsupported, reason::UNPARSABLE_RECORD).await;
                    }
                }
                Ok(Incoming::Closed(closed)) => return println!("{agent} closed: {closed:?}"),
                Err(error) => return println!("{agent}: {error}"),
            },
            () = tokio::time::sleep_until(wake) => {
                session.handle_timeout(Instant::now());
                if let Err(error) = link.keep_alive(Instant::now()) {
                    return println!("{agent}: {error}");
                }
            }
        }
        while let Some(event) = session.poll_event() {
            println!("{agent}: {event:#?}");
            match event {
                Event::Connected { .. } => {
                    let get = usp::msg::get(["Device.DeviceInfo."]);
                    let _ = session.request(Instant::now(), get, Duration::from_secs(30));
                }
                Event::Notified { token, .. } => drop(session.acknowledge(token)),
                _ => {}
            }
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);
