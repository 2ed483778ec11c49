//! The HTTP listener: accepts, perhaps speaks TLS, serves HTTP/1.1 and HTTP/2 (devices HTTP/1.1
//! alone), and lets open requests end when the server stops.

use super::activity::{Activity, Answering};
use super::headers::Connection;
use super::stall::Unstalled;
use crate::StartError;
use crate::config::TlsFiles;
use crate::limits;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use mtp::ws::Seats;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// [`limits::HEADER_BYTES_MAX`] as HTTP/2 counts it.
const HEADER_LIST_BYTES_MAX: u32 = limits::HEADER_BYTES_MAX as u32;

/// A bound listener.
pub struct Listener {
    socket: TcpListener,
    tls: Option<Secure>,
    room: usize,
    room_per_address: usize,
    uncounted: Vec<IpAddr>,
    devices: bool,
}

/// How a listener speaks TLS.
#[derive(Clone)]
pub struct Secure(Arc<dyn Fn() -> TlsAcceptor + Send + Sync>);

impl Secure {
    /// With a certificate that may be renewed meanwhile; HTTP/1.1 only.
    pub fn fresh(tls: Arc<mtp::tls::ServerTls>) -> Self {
        Self(Arc::new(move || TlsAcceptor::from(tls.config())))
    }

    fn fixed(tls: TlsAcceptor) -> Self {
        Self(Arc::new(move || tls.clone()))
    }
}

impl Listener {
    /// Binds the address that a key of the configuration names, and reads the certificate.
    pub async fn bind(
        what: &'static str,
        addr: SocketAddr,
        tls: Option<&TlsFiles>,
    ) -> Result<Self, StartError> {
        let tls = tls.map(acceptor).transpose()?;
        Self::open(what, addr, tls.map(Secure::fixed)).await
    }

    /// Binds the address that a key of the configuration names.
    pub async fn open(
        what: &'static str,
        addr: SocketAddr,
        tls: Option<Secure>,
    ) -> Result<Self, StartError> {
        let socket = TcpListener::bind(addr)
            .await
            .map_err(|source| StartError::Bind { what, addr, source })?;
        Ok(Self {
            socket,
            tls,
            room: limits::HTTP_CONNECTIONS_MAX,
            room_per_address: limits::HTTP_CONNECTIONS_PER_ADDRESS_MAX,
            uncounted: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            devices: false,
        })
    }

    /// For devices: HTTP/1.1 alone, also with those that say at once that nothing follows their
    /// request (a half-closed connection). With so many connections at one time, and so many from
    /// one address.
    pub fn for_devices(mut self, connections: usize, per_address: usize) -> Self {
        (self.room, self.room_per_address) = (connections, per_address);
        self.devices = true;
        self
    }

    /// Behind these proxies, whose connections are those of many.
    pub fn behind(mut self, proxies: &[IpAddr]) -> Self {
        self.uncounted.extend(proxies);
        self
    }

    /// Where it is bound.
    pub fn addr(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until told to stop, then lets open requests end.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(self.room));
        // Who is in a TLS handshake counts like everybody else.
        let per_address = self.room_per_address;
        let seats = Seats::new(self.room, per_address, per_address, self.uncounted);
        let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
        loop {
            let permit = tokio::select! {
                () = stop.cancelled() => break,
                permit = room.clone().acquire_owned() => permit,
            };
            let Ok(permit) = permit else { break };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, addr) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: waiting helps, spinning does not.
                    tracing::warn!(%error, "an HTTP connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let seat = match seats.take(addr.ip()) {
                Ok(seat) => seat,
                Err(refusal) => {
                    tracing::debug!(%addr, refusal.detail, "an HTTP connection was refused");
                    metrics::counter!("headend_http_connections_refused_total").increment(1);
                    continue;
                }
            };
            let (tls, router, stop) = (self.tls.clone(), router.clone(), stop.clone());
            let cut = cut.clone();
            tasks.spawn(async move {
                let open = connection(stream, addr, tls, self.devices, router, stop);
                let _ = cut.run_until_cancelled(open).await;
                drop((seat, permit));
            });
        }
        tasks.close();
        if tokio::time::timeout(limits::DRAIN_TIME_MAX, tasks.wait())
            .await
            .is_err()
        {
            tracing::info!(
                open = tasks.len(),
                "HTTP connections are cut at the end of the drain time"
            );
            // Who hears that a body broke off writes down how far it came.
            cut.cancel();
            tasks.wait().await;
        }
    }
}

async fn connection(
    stream: TcpStream,
    addr: SocketAddr,
    tls: Option<Secure>,
    devices: bool,
    router: Router,
    stop: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let plain = Connection { addr, tls: false };
    let secure = Connection { addr, tls: true };
    match tls {
        None => http(stream, plain, devices, router, stop).await,
        Some(tls) => {
            let handshake =
                tokio::time::timeout(limits::TLS_HANDSHAKE_TIME_MAX, (tls.0)().accept(stream));
            match handshake.await {
                Ok(Ok(stream)) => http(stream, secure, devices, router, stop).await,
                Ok(Err(error)) => tracing::debug!(%addr, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%addr, "a TLS handshake took too long"),
            }
        }
    }
}

async fn http<S>(
    stream: S,
    connection: Connection,
    devices: bool,
    router: Router,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let service = {
        let activity = activity.clone();
        hyper::service::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            let busy = activity.begin();
            request.extensions_mut().insert(connection);
            let answer = router.clone().oneshot(request.map(axum::body::Body::new));
            async move { Ok::<_, Infallible>(answer.await?.map(|body| Answering::new(body, busy))) }
        })
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    if devices {
        builder = builder.http1_only();
    }
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_TIME_MAX)
        .max_buf_size(limits::HEADER_BYTES_MAX)
        .half_close(devices);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_concurrent_streams(128)
        .keep_alive_interval(Duration::from_secs(60));
    let stream = Unstalled::new(stream, limits::WRITE_TIME_MAX);
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let (mut stopping, mut leaving) = (false, false);
    loop {
        tokio::select! {
            ended = &mut serving => {
                if let Err(error) = ended {
                    tracing::debug!(addr = %connection.addr, %error, "an HTTP connection broke");
                }
                return;
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
            () = activity.idle(limits::HTTP_IDLE_MAX) => {
                // Who does not listen to a goodbye goes without.
                if std::mem::replace(&mut leaving, true) {
                    return;
                }
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, StartError> {
    let wrong = |file: &std::path::Path, error: &dyn std::fmt::Display| StartError::Tls {
        what: "http.tls".to_owned(),
        message: format!("{}: {error}", file.display()),
    };
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(&files.certificate)
            .and_then(Iterator::collect)
            .map_err(|error| wrong(&files.certificate, &error))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&files.certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| wrong(&files.certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn ask(socket: &mut TcpStream) -> usize {
        socket
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        socket.read(&mut [0; 512]).await.unwrap()
    }

    #[tokio::test]
    async fn beyond_the_connections_there_may_be_one_waits_its_turn() {
        let mut listener = Listener::bind("http.listen", ([127, 0, 0, 1], 0).into(), None)
            .await
            .unwrap();
        listener.room = 1;
        let addr = listener.addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new().route("/healthz", axum::routing::get(|| async { "ok" }));
        let serving = tokio::spawn(listener.serve(router, stop.clone()));
        let mut first = TcpStream::connect(addr).await.unwrap();
        assert!(ask(&mut first).await > 0);
        let mut second = TcpStream::connect(addr).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(200), ask(&mut second)).await;
        assert!(waiting.is_err(), "there was room for only one");
        drop(first);
        let mut rest = [0; 512];
        let answered = tokio::time::timeout(Duration::from_secs(10), second.read(&mut rest)).await;
        assert!(answered.unwrap().unwrap() > 0);
        stop.cancel();
        serving.await.unwrap();
    }

    /// Where a listener with this change is, and what stops it.
    async fn served(change: impl FnOnce(&mut Listener)) -> (SocketAddr, CancellationToken) {
        let any = ([127, 0, 0, 1], 0).into();
        let mut listener = Listener::bind("http.listen", any, None).await.unwrap();
        change(&mut listener);
        let (addr, stop) = (listener.addr().unwrap(), CancellationToken::new());
        let router = Router::new().route("/healthz", axum::routing::get(|| async { "ok" }));
        tokio::spawn(listener.serve(router, stop.clone()));
        (addr, stop)
    }

    /// `HTTP_IDLE_MAX`, `HEADER_TIME_MAX`: the preface is that of HTTP/2, with settings without any.
    #[tokio::test(start_paused = true)]
    async fn who_connects_and_asks_nothing_is_cut_off_whatever_he_says_instead() {
        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        for devices in [false, true] {
            let (addr, stop) = served(|listener| listener.devices = devices).await;
            for said in [0, 9, PREFACE.len()] {
                let began = tokio::time::Instant::now();
                let mut silent = TcpStream::connect(addr).await.unwrap();
                silent.write_all(&PREFACE[..said]).await.unwrap();
                let mut heard = Vec::new();
                // How it ends does not matter: what was not read makes it a reset.
                let gone = silent.read_to_end(&mut heard);
                let gone = tokio::time::timeout(limits::HTTP_IDLE_MAX * 3, gone).await;
                assert!(gone.is_ok(), "{devices}, {said} bytes");
                assert!(began.elapsed() <= limits::HTTP_IDLE_MAX * 2 + Duration::from_secs(1));
            }
            stop.cancel();
        }
    }

    /// `HTTP_CONNECTIONS_PER_ADDRESS_MAX`
    #[tokio::test]
    async fn one_address_has_only_so_many_connections_and_a_proxy_has_more() {
        let (addr, stop) = served(|listener| {
            listener.room_per_address = 2;
            listener.uncounted.clear();
        })
        .await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut one = TcpStream::connect(addr).await.unwrap();
            assert!(ask(&mut one).await > 0);
            held.push(one);
        }
        let mut third = TcpStream::connect(addr).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(10), third.read(&mut [0; 8])).await;
        assert!(!matches!(closed.expect("it is closed"), Ok(1..)));
        stop.cancel();
        let (addr, stop) = served(|listener| listener.room_per_address = 0).await;
        assert!(ask(&mut TcpStream::connect(addr).await.unwrap()).await > 0);
        stop.cancel();
    }

    #[tokio::test]
    async fn a_device_that_says_at_once_that_nothing_follows_gets_its_answer() {
        let (addr, stop) = served(|listener| listener.devices = true).await;
        let mut socket = TcpStream::connect(addr).await.unwrap();
        let request = b"GET /healthz HTTP/1.0\r\n\r\n";
        socket.write_all(request).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("200 OK"), "{answer}");
        stop.cancel();
    }

    #[tokio::test]
    async fn headers_without_end_are_refused_and_long_ones_are_not() {
        let any = ([127, 0, 0, 1], 0).into();
        let listener = Listener::bind("http.listen", any, None).await.unwrap();
        let addr = listener.addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new().route("/healthz", axum::routing::get(|| async { "ok" }));
        let serving = tokio::spawn(listener.serve(router, stop.clone()));
        let begin = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ";
        let answered = async |size: usize, end: &str| {
            let long = "a".repeat(size - begin.len() - end.len());
            let mut socket = TcpStream::connect(addr).await.unwrap();
            let request = format!("{begin}{long}{end}");
            socket.write_all(request.as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            let read = socket.read_exact(&mut answer);
            let read = tokio::time::timeout(Duration::from_secs(5), read).await;
            read.expect("there is an answer").unwrap();
            String::from_utf8(answer.to_vec()).unwrap()
        };
        let most = limits::HEADER_BYTES_MAX;
        assert_eq!(answered(most - 1, "\r\n\r\n").await, "HTTP/1.1 200");
        assert_eq!(answered(most, "").await, "HTTP/1.1 431");
        stop.cancel();
        serving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_no_tls_handshake_is_cut_off_and_who_never_ends_a_request_is_at_the_stop() {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = TlsFiles {
            certificate: dir.path().join("c.pem"),
            key: dir.path().join("k.pem"),
        };
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        let any = ([127, 0, 0, 1], 0).into();
        let secure = Listener::bind("http.listen", any, Some(&files))
            .await
            .unwrap();
        let plain = Listener::bind("http.listen", any, None).await.unwrap();
        let (secure_at, plain_at) = (secure.addr().unwrap(), plain.addr().unwrap());
        let stop = CancellationToken::new();
        let never = axum::routing::get(std::future::pending::<&str>);
        let router = Router::new().route("/healthz", never);
        let secure = tokio::spawn(secure.serve(Router::new(), stop.clone()));
        let plain = tokio::spawn(plain.serve(router, stop.clone()));

        let began = tokio::time::Instant::now();
        let mut silent = TcpStream::connect(secure_at).await.unwrap();
        assert_eq!(silent.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(began.elapsed() >= limits::TLS_HANDSHAKE_TIME_MAX);
        assert!(began.elapsed() < limits::TLS_HANDSHAKE_TIME_MAX * 2);

        let mut endless = TcpStream::connect(plain_at).await.unwrap();
        let asked = endless
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .await;
        asked.unwrap();
        let waiting = tokio::time::timeout(Duration::from_secs(1), endless.read(&mut [0; 8])).await;
        assert!(waiting.is_err(), "it is under way");
        let began = tokio::time::Instant::now();
        stop.cancel();
        plain.await.unwrap();
        secure.await.unwrap();
        assert!(began.elapsed() >= limits::DRAIN_TIME_MAX);
        assert!(began.elapsed() < limits::DRAIN_TIME_MAX * 2);
        let gone = tokio::time::timeout(Duration::from_secs(1), endless.read(&mut [0; 8])).await;
        assert!(matches!(gone, Ok(Ok(0) | Err(_))), "it is cut: {gone:?}");
    }
}
