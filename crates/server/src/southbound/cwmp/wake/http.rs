//! A connection request over HTTP, on real sockets. What to say, and what the answers mean, is
//! [`cwmp::reach::http`]'s; redirects are never followed, and each connection goes to an address
//! that the guard has seen.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cwmp::reach::http::{Action, ConnectionRequest, Credentials, Outcome, Target};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;

use super::guard::Guard;
use super::limits::{ADDRESSES_MAX, CONNECT_TIME_MAX, RESOLVE_TIME_MAX};
use super::{Said, Shown, Whose, text};

/// A connection, with TLS or without.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// How connection requests are made.
#[derive(Clone)]
pub struct Http {
    /// Where they may go.
    pub guard: Arc<Guard>,
    /// For `https:`.
    pub tls: Arc<rustls::ClientConfig>,
    /// The password may be shown to devices that know nothing but Basic.
    pub basic: bool,
    /// Time for one.
    pub time: Duration,
    /// Room for names that are looked up.
    pub lookups: Arc<Semaphore>,
}

impl Http {
    /// Asks the device behind a URL to come.
    pub(super) async fn ask(&self, url: &str, shown: Shown) -> Said {
        let whose = shown.whose;
        let credentials = Credentials {
            username: shown.username,
            password: shown.password.into(),
            // Nothing is nothing to show.
            basic: self.basic && whose != Whose::Nobodys,
        };
        let cnonce = format!("{:032x}", rand::random::<u128>());
        let begun = Instant::now();
        let request = ConnectionRequest::new(begun, url, credentials, self.time, cnonce);
        let Ok(mut request) = request else {
            let why = problem(url).unwrap_or_default();
            return Said::Refused(format!("nothing was sent: {why}"));
        };
        let deadline = tokio::time::Instant::from_std(begun + self.time);
        let addresses = match timeout_at(deadline, self.addresses(request.target())).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(why)) => return Said::Refused(why),
            Err(_) => return Said::Refused("its name was not found in time".to_owned()),
        };
        let mut connection: Option<Box<dyn Connection>> = None;
        let mut why_not = String::new();
        let mut buffer = [0; 2048];
        let outcome = loop {
            while let Some(action) = request.poll_transmit() {
                match action {
                    Action::Connect => {
                        let target = request.target().clone();
                        match timeout_at(deadline, self.connect(&target, &addresses)).await {
                            Ok(Ok(made)) => connection = Some(made),
                            Ok(Err(why)) => {
                                why_not = why;
                                request.connect_failed();
                            }
                            Err(_) => {
                                "no connection in time".clone_into(&mut why_not);
                                request.connect_failed();
                            }
                        }
                    }
                    Action::Send(bytes) => {
                        if let Some(connection) = &mut connection {
                            // Who closes early may have answered before: reading tells.
                            let _ = timeout_at(deadline, connection.write_all(&bytes)).await;
                            let _ = timeout_at(deadline, connection.flush()).await;
                        }
                    }
                    Action::Close => connection = None,
                }
            }
            if let Some(outcome) = request.outcome() {
                break outcome.clone();
            }
            let Some(open) = &mut connection else {
                request.connection_closed();
                continue;
            };
            match timeout_at(deadline, open.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => {
                    connection = None;
                    request.connection_closed();
                }
                Ok(Ok(read)) => request.handle_input(&buffer[..read]),
                Err(_) => request.handle_timeout(deadline.into_std()),
            }
        };
        said(&outcome, whose, &why_not)
    }

    /// The addresses of a target to which requests may go.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, String> {
        let found: Vec<SocketAddr> = match target.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, target.port)],
            Err(_) => {
                let lookup = self.lookup(target.host.clone(), target.port);
                match tokio::time::timeout(RESOLVE_TIME_MAX, lookup).await {
                    Ok(Ok(found)) => found,
                    Ok(Err(error)) => {
                        return Err(format!(
                            "its name is not found: {}",
                            text(&error.to_string())
                        ));
                    }
                    Err(_) => return Err("its name was not found in time".to_owned()),
                }
            }
        };
        let mut good = Vec::new();
        let mut refused = "its name has no address".to_owned();
        for address in found {
            match self.guard.check(address) {
                Ok(()) => good.push(address),
                Err(why) => refused = format!("nothing was sent: {why}"),
            }
        }
        if good.is_empty() {
            Err(refused)
        } else {
            Ok(good)
        }
    }

    /// Keeps its room for as long as the operating system looks, whoever waits for it.
    async fn lookup(&self, host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        let room = self.lookups.clone().acquire_owned().await;
        let looking = tokio::spawn(async move {
            let found = tokio::net::lookup_host((host, port)).await;
            drop(room);
            found.map(|found| found.take(ADDRESSES_MAX).collect())
        });
        looking.await?
    }

    async fn connect(
        &self,
        target: &Target,
        addresses: &[SocketAddr],
    ) -> Result<Box<dyn Connection>, String> {
        let mut why = "no connection in time".to_owned();
        for address in addresses {
            let connecting = TcpStream::connect(address);
            let connected = if addresses.len() > 1 {
                match tokio::time::timeout(CONNECT_TIME_MAX, connecting).await {
                    Ok(connected) => connected,
                    Err(_) => continue,
                }
            } else {
                connecting.await
            };
            match connected {
                Ok(stream) if target.tls => match self.encrypt(target, stream).await {
                    Ok(stream) => return Ok(stream),
                    Err(words) => why = words,
                },
                Ok(stream) => return Ok(Box::new(stream)),
                Err(error) => why = connect_words(&error),
            }
        }
        Err(why)
    }

    async fn encrypt(
        &self,
        target: &Target,
        stream: TcpStream,
    ) -> Result<Box<dyn Connection>, String> {
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| "TLS: its name is none".to_owned())?;
        let made = TlsConnector::from(self.tls.clone()).connect(name, stream);
        match made.await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(format!("TLS: {}", text(&error.to_string()))),
        }
    }
}

/// Why nobody can be asked by this URL, in words.
pub(super) fn problem(url: &str) -> Option<String> {
    let why = Target::parse(url).err()?;
    Some(format!("its ConnectionRequestURL cannot be used: {why}"))
}

fn connect_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "the connection is refused: nothing listens there, or a firewall says no".to_owned()
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "there is no way to this address".to_owned()
        }
        io::ErrorKind::TimedOut => {
            "no connection in time: it is off, or behind a firewall or NAT".to_owned()
        }
        _ => text(&error.to_string()),
    }
}

fn said(outcome: &Outcome, whose: Whose, why_not: &str) -> Said {
    let refused = |words: &str| Said::Refused(words.to_owned());
    match outcome {
        Outcome::Accepted => Said::Accepted,
        Outcome::Busy => Said::Busy(
            "the device is busy (503): it is in a session, or takes no more requests for now"
                .to_owned(),
        ),
        Outcome::Unauthorized => whose.refused("401"),
        Outcome::NoUsableChallenge(schemes) => {
            let basic = schemes.iter().any(|scheme| scheme == "basic");
            match (basic, whose) {
                (_, Whose::Nobodys) => whose.refused("401"),
                (true, _) => refused(
                    "the device takes only Basic, which shows the password to all on the way; cwmp.wake_basic allows it",
                ),
                (false, _) => Said::Refused(format!(
                    "the device asks for credentials in a way that is not known ({})",
                    text(&schemes.join(", "))
                )),
            }
        }
        Outcome::Status(status @ 300..=399) => Said::Refused(format!(
            "the device answers with a redirect ({status}), which is not followed"
        )),
        Outcome::Status(404) => {
            refused("the device answers 404: its ConnectionRequestURL is another one by now")
        }
        Outcome::Status(status) => Said::Refused(format!("the device answers {status}")),
        Outcome::Unreachable => refused(why_not),
        Outcome::Dropped => refused("the connection was closed without an answer"),
        Outcome::NotHttp => refused("what answers there is no HTTP server"),
        Outcome::TimedOut => refused("it was connected to and did not answer in time"),
    }
}
