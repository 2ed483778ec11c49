//! The listeners of the ACS: HTTP and HTTPS, each with its accept loop. HTTP is 1.x alone, as the
//! standard says.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mtp::tls::{self, ServerTls};
use mtp::ws::{RefusalReason, Seats};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use usp::EndpointId;

use super::answers;
use super::core::{Core, Culprit};
use super::door::ClientCertificate;
use super::limits::{ACCEPT_PAUSE, HEAD_BYTES_MAX};
use super::line::{About, Line};
use super::post;
use crate::southbound::certificate::{self, Certificate, Visits};
use crate::{Config, StartError};

/// Where devices connect.
pub struct Listeners {
    /// By HTTP.
    pub plain: Option<SocketAddr>,
    /// By HTTPS.
    pub tls: Option<SocketAddr>,
    /// The certificate of that one.
    pub certificate: Option<Certificate>,
}

/// Binds what the configuration wants.
pub async fn start(core: &Arc<Core>, own: &EndpointId) -> Result<Listeners, StartError> {
    let config: &Config = &core.config;
    let mut listeners = Listeners {
        plain: None,
        tls: None,
        certificate: None,
    };
    // One count for both: each connection is an open file.
    let mut uncounted = core.limits.uncounted();
    uncounted.extend(&config.cwmp.proxies);
    let seats = Seats::new(
        core.limits.connections_max,
        core.limits.connections_per_address_max,
        core.limits.handshakes_per_address_max,
        uncounted,
    );
    if let Some(addr) = config.cwmp.listen {
        listeners.plain = Some(bind(core, "cwmp.listen", addr, None, &seats).await?);
    }
    if let Some(addr) = config.cwmp.tls_listen {
        let files = config.cwmp.tls.as_ref();
        let (certificate, issue) =
            certificate::load("cwmp.tls", Visits::Short, files, config, own)?;
        let tls = Some(certificate.tls.clone());
        listeners.tls = Some(bind(core, "cwmp.tls_listen", addr, tls, &seats).await?);
        tokio::spawn(certificate::keep_fresh(
            core.shutdown.clone(),
            core.limits.certificate_look_every,
            certificate.tls.clone(),
            issue,
        ));
        listeners.certificate = Some(certificate);
    }
    Ok(listeners)
}

async fn bind(
    core: &Arc<Core>,
    what: &'static str,
    addr: SocketAddr,
    tls: Option<Arc<ServerTls>>,
    seats: &Arc<Seats>,
) -> Result<SocketAddr, StartError> {
    let failed = |source| StartError::Bind { what, addr, source };
    let socket = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    tokio::spawn(accept(core.clone(), socket, tls, seats.clone()));
    Ok(bound)
}

async fn accept(
    core: Arc<Core>,
    socket: TcpListener,
    tls: Option<Arc<ServerTls>>,
    seats: Arc<Seats>,
) {
    loop {
        let accepted = tokio::select! {
            () = core.shutdown.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a device's connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let seat = match seats.take(peer.ip()) {
            Ok(seat) => seat,
            Err(refusal) => {
                if tls.is_none() {
                    // As far as the socket takes it at once; a flood is not waited for.
                    let wait = answers::retry_after();
                    let answer = format!(
                        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: {wait}\r\n\
                         Content-Length: 0\r\nConnection: close\r\n\r\n"
                    );
                    let _ = stream.try_write(answer.as_bytes());
                }
                core.complain(&Culprit::at(peer), refusal.reason.name(), refusal.detail);
                continue;
            }
        };
        let (core, tls) = (core.clone(), tls.clone());
        tokio::spawn(async move {
            let mut seat = seat;
            match tls {
                None => {
                    seat.established();
                    plain(core, stream, peer).await;
                }
                Some(tls) => {
                    if let Some((stream, about)) = handshake(&core, stream, peer, &tls).await {
                        seat.established();
                        serve(core, stream, about).await;
                    }
                }
            }
        });
    }
}

fn about(core: &Core, stream: &TcpStream, peer: SocketAddr, tls: bool) -> About {
    // Answers are written whole; waiting to fill a segment only delays them.
    let _ = stream.set_nodelay(true);
    About {
        peer,
        local: stream.local_addr().unwrap_or(peer),
        tls,
        proxied: core.config.cwmp.proxies.contains(&peer.ip().to_canonical()),
        certificate: None,
    }
}

async fn plain(core: Arc<Core>, stream: TcpStream, peer: SocketAddr) {
    /// How a TLS handshake begins.
    const HANDSHAKE: u8 = 0x16;
    let mut first = [0];
    let peek = stream.peek(&mut first);
    match tokio::time::timeout(core.limits.connection_idle_max, peek).await {
        // Opened and let go again, as some do to learn their own address.
        Ok(Ok(0) | Err(_)) | Err(_) => return,
        Ok(Ok(_)) => {}
    }
    if first == [HANDSHAKE] {
        let reason = RefusalReason::TlsOnPlaintextListener;
        let detail = "a TLS handshake came where HTTP is spoken";
        return core.complain(&Culprit::at(peer), reason.name(), detail);
    }
    let about = about(&core, &stream, peer, false);
    serve(core, stream, about).await;
}

/// The TLS handshake; `None` where it came to nothing.
async fn handshake(
    core: &Core,
    stream: TcpStream,
    peer: SocketAddr,
    tls: &ServerTls,
) -> Option<(tokio_rustls::server::TlsStream<TcpStream>, About)> {
    let mut about = about(core, &stream, peer, true);
    let mut claimed = None;
    let accepted = tls::accept(TlsAcceptor::from(tls.config()), stream, &mut claimed);
    let time = core.limits.tls_handshake_time_max;
    let refusal = match tokio::time::timeout(time, accepted).await {
        Ok(Ok(stream)) => {
            let chain = stream.get_ref().1.peer_certificates();
            if let Some(certificate) = chain.and_then(|chain| chain.first())
                && let Ok(all) = tls::certificate_names(certificate)
            {
                // Many have the same name as their common name and beside it.
                let mut names: Vec<String> = Vec::with_capacity(all.len());
                for name in all {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                about.certificate = Some(Arc::new(ClientCertificate {
                    names,
                    fingerprint: tls::fingerprint(certificate),
                }));
            }
            return Some((stream, about));
        }
        // Opened and let go again, as some do to learn their own address.
        Ok(Err(refusal)) if refusal.reason == RefusalReason::HandshakeAbandoned => return None,
        Ok(Err(refusal)) => (refusal.reason.name().to_owned(), refusal.detail),
        Err(_) => {
            let detail = format!("not complete in {time:?}");
            let reason = RefusalReason::HandshakeTimeout;
            (reason.name().to_owned(), detail)
        }
    };
    core.complain(&Culprit::at(peer), &refusal.0, refusal.1);
    None
}

async fn serve<S>(core: Arc<Core>, stream: S, about: About)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let line = Arc::new(Line::new(core.clone(), about));
    let service = {
        let line = line.clone();
        // Boxed: most connections wait, and take no memory for an answer meanwhile.
        service_fn(move |request| Box::pin(post::answer(line.clone(), request)))
    };
    let mut builder = http1::Builder::new();
    // Some devices know a header only in one spelling, and some say at once that nothing follows.
    builder
        .title_case_headers(true)
        .half_close(true)
        .max_buf_size(HEAD_BYTES_MAX);
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = &mut serving => {
                if let Err(error) = ended {
                    broken(&line, &error);
                }
                break;
            }
            () = line.idle(core.limits.connection_idle_max) => break,
            () = core.shutdown.cancelled(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
    line.closed().await;
}

/// What came over a connection is no HTTP.
fn broken(line: &Line, error: &hyper::Error) {
    tracing::debug!(peer = %line.peer, %error, "a device's connection broke");
    let reason = if error.is_parse_too_large() {
        RefusalReason::RequestTooLarge
    } else if error.is_parse() {
        RefusalReason::MalformedRequest
    } else {
        return;
    };
    let who = Culprit::at(line.peer);
    line.core.complain(&who, reason.name(), error.to_string());
}
