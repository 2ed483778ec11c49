//! What an idle link costs the listening side: accepts links from a second process, exchanges a
//! large and a small Record over each so that all buffers have been in use, and reports by how much
//! its resident memory has grown. Each link has its task, as in a server.
//!
//!     cargo run --release -p mtp --example idle_links -- 10000 [tls]
//!
//! The operating system's socket buffers are not counted. Needs as many open files as links.
#![allow(clippy::print_stdout)]

use std::{error::Error, net::SocketAddr, process::Command, sync::Arc};

use mtp::{
    tls::{
        ClientCertificates, ClientTls, ClientTlsConfig, ServerTls, ServerTlsConfig,
        development::DevelopmentCa,
    },
    ws::{
        Admission, Admitted, DialConfig, Hello, Incoming, Link, Listener, ListenerConfig, Refusal,
        Refused, dial,
    },
};
use usp::EndpointId;

type Fault = Box<dyn Error + Send + Sync>;

/// A supported data model's worth, and a value change's worth.
const RECORDS: [usize; 2] = [200_000, 300];

/// Dialled by the second process at the same time.
const AT_ONCE: usize = 64;

struct Everybody;

impl Admission for Everybody {
    type Ticket = ();

    async fn admit(&self, _: &Hello) -> Result<Admitted<()>, Refusal> {
        let own = EndpointId::parse("proto::listener").map_err(|error| {
            Refusal::new(mtp::ws::RefusalReason::Unavailable, error.to_string())
        })?;
        Ok(Admitted { own, ticket: () })
    }
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["dial", url, count] => dial_all(url, count.parse()?).await,
        [] => measure(10_000, false).await,
        [count] => measure(count.parse()?, false).await,
        [count, "tls"] => measure(count.parse()?, true).await,
        _ => Err("[COUNT [tls]]".into()),
    }
}

async fn measure(count: usize, tls: bool) -> Result<(), Fault> {
    let mut config = ListenerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    if tls {
        let dir = std::env::temp_dir().join(format!("idle-links-{}", std::process::id()));
        let issued = DevelopmentCa::open_or_create(&dir)?.server(
            &["localhost".into()],
            &EndpointId::parse("proto::listener")?,
        )?;
        let (certificate, key) = (issued.certificate, issued.key);
        let clients = ClientCertificates::Ignored;
        config = config.with_tls(Arc::new(ServerTls::load(ServerTlsConfig {
            certificate,
            key,
            clients,
        })?));
        std::fs::remove_dir_all(&dir)?;
    }
    let refused = |one: Refused| println!("refused: {}", one.refusal);
    let mut listener = Listener::bind(config, Arc::new(Everybody), Arc::new(refused)).await?;
    let scheme = if tls { "wss" } else { "ws" };
    let url = format!("{scheme}://{}/", listener.local_addr());
    let before = resident_kib()?;
    let mut dialler = Command::new(std::env::current_exe()?)
        .args(["dial", &url, &count.to_string()])
        .stdin(std::process::Stdio::piped())
        .spawn()?;
    let (tell, mut heard) = tokio::sync::mpsc::channel(1);
    let mut idle = 0;
    while idle < count {
        tokio::select! {
            accepted = listener.accept() => drop(tokio::spawn(serve(accepted.link, tell.clone()))),
            Some(()) = heard.recv() => idle += 1,
        }
    }
    let grown = resident_kib()? - before;
    println!(
        "{count} idle links{}: {grown} KiB more than before, {:.2} KiB each (of which the Link {} bytes)",
        if tls { " over TLS" } else { "" },
        grown as f64 / count as f64,
        size_of::<Link>(),
    );
    // Its standard input ends: the dialler lets go.
    drop(dialler.stdin.take());
    dialler.wait()?;
    Ok(())
}

async fn serve(mut link: Link, idle: tokio::sync::mpsc::Sender<()>) {
    for _ in RECORDS {
        let Ok(Incoming::Record(record)) = link.recv().await else {
            return;
        };
        if link.send(record).await.is_err() {
            return;
        }
    }
    let mut idle = Some(idle);
    loop {
        tokio::select! {
            biased;
            incoming = link.recv() => match incoming {
                Ok(Incoming::Record(_)) => {}
                _ => return,
            },
            // Tells once that there is nothing left to read or write.
            () = tokio::task::yield_now(), if idle.is_some() && link.heap_bytes() == 0 => {
                if let Some(idle) = idle.take() {
                    let _ = idle.send(()).await;
                }
            }
        }
    }
}

async fn dial_all(url: &str, count: usize) -> Result<(), Fault> {
    let mut config = DialConfig::new(url, EndpointId::parse("proto::dialler")?);
    let insecure = ClientTlsConfig {
        insecure: true,
        ..ClientTlsConfig::default()
    };
    config.tls = Some(Arc::new(ClientTls::load(&insecure)?));
    let config = Arc::new(config);
    let mut dialling = tokio::task::JoinSet::new();
    let mut links = Vec::new();
    for _ in 0..count {
        if dialling.len() >= AT_ONCE
            && let Some(link) = dialling.join_next().await
        {
            links.push(link??);
        }
        dialling.spawn(dial_one(config.clone()));
    }
    while let Some(link) = dialling.join_next().await {
        links.push(link??);
    }
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await;
    Ok(())
}

async fn dial_one(config: Arc<DialConfig>) -> Result<Link, Fault> {
    let mut link = dial(&config).await?;
    for size in RECORDS {
        link.send(vec![0; size]).await?;
        link.recv().await?;
    }
    Ok(link)
}

fn resident_kib() -> Result<u64, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
