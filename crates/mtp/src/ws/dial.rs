//! Dialling a WebSocket server: an Agent its Controller, or a Controller an Agent that listens.
//!
//! One attempt. When to try again is [`crate::retry`]'s arithmetic and the caller's clock.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Uri, header};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tungstenite::handshake::{
    client::{Response, generate_key},
    derive_accept_key,
};
use usp::EndpointId;

use super::{
    SUBPROTOCOL,
    error::DialError,
    http::{HeadError, read_head, write_all},
    link::{Link, LinkLimits, Role},
    tunnel::Tunnel,
};
use crate::{
    identity,
    limits::{DIAL_ADDRESS_TIME_MIN, DIAL_TIME_MAX, REFUSAL_BODY_BYTES_MAX},
    stream::Stream,
    tcp,
    tls::{self, ClientTls},
};

/// Whom to dial and how.
#[derive(Clone, Debug)]
pub struct DialConfig {
    /// `ws://host:port/path` or `wss://host:port/path`, with a query if need be.
    pub url: String,
    /// Our own endpoint id, sent as `eid` (R-WS.10b).
    pub own_eid: EndpointId,
    /// How to check a `wss:` server; `None` means the public certificate authorities.
    pub tls: Option<Arc<ClientTls>>,
    /// What the link may cost, and its pings.
    pub link: LinkLimits,
    /// See [`DIAL_TIME_MAX`].
    pub time_max: Duration,
    /// Offer the deprecated extension, for servers from before USP 1.3 that know no `eid`.
    pub offer_extension: bool,
}

impl DialConfig {
    /// Everything at its default but the two things that have none.
    pub fn new(url: impl Into<String>, own_eid: EndpointId) -> Self {
        Self {
            url: url.into(),
            own_eid,
            tls: None,
            link: LinkLimits::default(),
            time_max: DIAL_TIME_MAX,
            offer_extension: false,
        }
    }
}

/// What a URL says.
struct Target {
    tls: bool,
    host: String,
    port: u16,
    /// As it goes into the Host header.
    authority: String,
    /// Path and query, `eid` included.
    request: String,
}

/// Dials once.
pub async fn dial(config: &DialConfig) -> Result<Link, DialError> {
    let target = target(config)?;
    let deadline = Instant::now() + config.time_max;
    let in_time = |stage| DialError::Timeout {
        stage,
        limit: config.time_max,
    };
    let tcp = connect(&target.host, target.port, deadline, config.time_max).await?;
    let peer_addr = tcp.peer_addr()?;
    let mut peer_ids = Vec::new();
    let mut stream = if target.tls {
        let client = match &config.tls {
            Some(tls) => tls.config(),
            None => ClientTls::public()?.config(),
        };
        let secured = timeout_at(deadline, secure(client, &target.host, tcp)).await;
        let (stream, ids) = secured.map_err(|_| in_time("the TLS handshake"))??;
        peer_ids = ids;
        stream
    } else {
        Stream::Plain(tcp)
    };
    let upgraded = timeout_at(deadline, upgrade(config, &target, &mut stream)).await;
    let (unread, server) = upgraded.map_err(|_| in_time("the WebSocket upgrade"))??;
    peer_ids.extend(server.filter(|eid| !peer_ids.contains(eid)));
    Ok(Link::new(
        stream,
        Role::Client,
        unread,
        config.link,
        peer_addr,
        peer_ids,
        None,
    ))
}

fn target(config: &DialConfig) -> Result<Target, DialError> {
    let bad = |why: &str| DialError::BadUrl(format!("{why}: {}", config.url));
    let uri: Uri = config.url.parse().map_err(|_| bad("it cannot be parsed"))?;
    let tls = match uri.scheme_str() {
        Some("ws") => false,
        Some("wss") => true,
        _ => return Err(bad("the scheme is neither ws nor wss")),
    };
    let authority = uri.authority().ok_or_else(|| bad("there is no host"))?;
    if authority.as_str().contains('@') {
        return Err(bad("user information is not supported"));
    }
    let host = authority.host();
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if host.is_empty() {
        return Err(bad("there is no host"));
    }
    // R-WS.10b: joined to whatever else the query holds; an eid that was copied with the URL goes.
    let others = uri.query().unwrap_or_default().split('&');
    let others = others.filter(|pair| !pair.is_empty() && !pair.starts_with("eid="));
    let eid = format!("eid={}", config.own_eid.to_query());
    let query: Vec<&str> = others.chain([eid.as_str()]).collect();
    Ok(Target {
        tls,
        host: host.to_owned(),
        port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        authority: authority.to_string(),
        request: format!("{}?{}", uri.path(), query.join("&")),
    })
}

/// Tries each address of the name in turn, so that a dead IPv6 route does not cost the connection.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    deadline: Instant,
    limit: Duration,
) -> Result<TcpStream, DialError> {
    let unresolved = |reason: String| DialError::Resolve {
        host: host.to_owned(),
        reason,
    };
    let lookup = tokio::net::lookup_host((host, port));
    let addresses: Vec<SocketAddr> = timeout_at(deadline, lookup)
        .await
        .map_err(|_| DialError::Timeout {
            stage: "the name resolution",
            limit,
        })?
        .map_err(|error| unresolved(error.to_string()))?
        .collect();
    let mut failure = unresolved("it has no address".into());
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / (addresses.len() - index) as u32;
        let until = (Instant::now() + share.max(DIAL_ADDRESS_TIME_MIN)).min(deadline);
        failure = match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                tcp::look_after(&tcp);
                return Ok(tcp);
            }
            Ok(Err(reason)) => DialError::Connect {
                address: address.to_string(),
                reason,
            },
            Err(_) => DialError::Timeout {
                stage: "the TCP connection",
                limit,
            },
        };
    }
    Err(failure)
}

/// TLS over a connection to this host, and the endpoint ids of its certificate.
pub(crate) async fn secure(
    client: Arc<rustls::ClientConfig>,
    host: &str,
    tcp: TcpStream,
) -> Result<(Stream, Vec<EndpointId>), DialError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| DialError::BadUrl(format!("no DNS name and no address: {host}")))?;
    let connector = tokio_rustls::TlsConnector::from(client);
    let stream = connector.connect(name, tcp).await.map_err(DialError::Tls)?;
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first());
    let ids = certificate
        .map(tls::certificate_ids)
        .transpose()?
        .unwrap_or_default();
    Ok((Stream::Tls(Box::new(stream.into())), ids))
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    config: &DialConfig,
    target: &Target,
    stream: &mut S,
) -> Result<(Bytes, Option<EndpointId>), DialError> {
    let extension = match config.offer_extension {
        true => format!(
            "Sec-WebSocket-Extensions: {}\r\n",
            identity::extension_value(&config.own_eid)
        ),
        false => String::new(),
    };
    let (path, host) = (&target.request, &target.authority);
    ask(stream, path, host, SUBPROTOCOL, &extension).await
}

/// A protocol of bytes inside of a WebSocket.
pub(crate) async fn tunnelled(
    mut stream: Stream,
    path: &str,
    authority: &str,
    subprotocol: &'static str,
) -> Result<Stream, DialError> {
    let (unread, _) = ask(&mut stream, path, authority, subprotocol, "").await?;
    let tunnel = Tunnel::new(stream, Role::Client, unread);
    Ok(Stream::Tunnel(Box::new(tunnel)))
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    path: &str,
    host: &str,
    subprotocol: &'static str,
    extension: &str,
) -> Result<(Bytes, Option<EndpointId>), DialError> {
    let key = generate_key();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Headend/{version}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n{extension}\r\n",
        version = env!("CARGO_PKG_VERSION"),
    );
    write_all(stream, &request).await?;
    let (response, unread) = read_head::<Response, _>(stream).await.map_err(no_answer)?;
    let status = response.status().as_u16();
    if status != 101 {
        let body = beginning_of_body(stream, &unread).await;
        return Err(DialError::Refused { status, body });
    }
    let server = judge(response.headers(), &key, subprotocol)?;
    Ok((unread, server))
}

/// RFC 6455, 4.1, and R-WS.12: the answer has to be an upgrade to USP.
fn judge(
    headers: &HeaderMap,
    key: &str,
    subprotocol: &'static str,
) -> Result<Option<EndpointId>, DialError> {
    let is = |name: header::HeaderName, wanted: &str| {
        let mut values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values.any(|value| {
            value
                .split(',')
                .any(|one| one.trim().eq_ignore_ascii_case(wanted))
        })
    };
    if !is(header::UPGRADE, "websocket") || !is(header::CONNECTION, "upgrade") {
        return Err(DialError::PeerIncompatible(
            "status 101 without an upgrade to WebSocket",
        ));
    }
    let accept = headers
        .get(header::SEC_WEBSOCKET_ACCEPT)
        .map(|value| value.as_bytes());
    if accept != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(DialError::PeerIncompatible("wrong Sec-WebSocket-Accept"));
    }
    let protocol = headers
        .get(header::SEC_WEBSOCKET_PROTOCOL)
        .map(|value| value.as_bytes());
    if protocol != Some(subprotocol.as_bytes()) {
        return Err(DialError::PeerIncompatible(match subprotocol {
            SUBPROTOCOL => "it does not agree to the subprotocol v1.usp",
            _ => "it does not agree to the subprotocol",
        }));
    }
    let mut extensions = headers
        .get_all(header::SEC_WEBSOCKET_EXTENSIONS)
        .iter()
        .peekable();
    if extensions.peek().is_none() {
        // R-WS.11b: the old extension may well be missing ...
        return Ok(None);
    }
    // ... and may be there although it was not offered. It changes no frame; others would.
    match identity::from_extension(headers) {
        Some(eid) => Ok(eid.and_then(|eid| EndpointId::parse(&eid).ok())),
        None => Err(DialError::PeerIncompatible(
            "it uses an extension that was not offered",
        )),
    }
}

fn no_answer(error: HeadError) -> DialError {
    match error {
        HeadError::Io(error) => DialError::Io(error),
        HeadError::Ended(_) => {
            DialError::PeerIncompatible("it closed the connection without an HTTP answer")
        }
        HeadError::TooLarge => DialError::LimitExceeded {
            limit: "HTTP_HEAD_BYTES_MAX",
        },
        HeadError::Tls => DialError::PeerIncompatible("it answers with TLS: the URL needs wss:"),
        HeadError::Malformed(_) => DialError::PeerIncompatible("its answer is not HTTP/1.1"),
    }
}

async fn beginning_of_body<S: AsyncRead + Unpin>(stream: &mut S, unread: &[u8]) -> String {
    let mut body = unread.to_vec();
    let rest = REFUSAL_BODY_BYTES_MAX.saturating_sub(body.len()) as u64;
    let _ = timeout_at(
        Instant::now() + Duration::from_secs(1),
        (&mut *stream).take(rest).read_to_end(&mut body),
    )
    .await;
    body.truncate(REFUSAL_BODY_BYTES_MAX);
    String::from_utf8_lossy(&body).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requested(url: &str) -> Result<(bool, String, u16, String), DialError> {
        let config = DialConfig::new(url, EndpointId::parse("ops::00256D-A%2DB-1").unwrap());
        target(&config).map(|t| (t.tls, t.host, t.port, t.request))
    }

    #[test]
    fn the_eid_joins_the_query_with_its_percent_signs_encoded() {
        // R-WS.10b, R-WS.10c
        let eid = "eid=ops::00256D-A%252DB-1";
        let cases = [
            (
                "ws://acs.example/usp",
                false,
                "acs.example",
                80,
                format!("/usp?{eid}"),
            ),
            (
                "wss://acs.example:8443",
                true,
                "acs.example",
                8443,
                format!("/?{eid}"),
            ),
            (
                "ws://[::1]:81/a/b?x=1&eid=self::old",
                false,
                "::1",
                81,
                format!("/a/b?x=1&{eid}"),
            ),
        ];
        for (url, tls, host, port, request) in cases {
            assert_eq!(
                requested(url).unwrap(),
                (tls, host.to_owned(), port, request),
                "{url}"
            );
        }
    }

    #[tokio::test]
    async fn a_connection_that_we_made_is_looked_after_by_the_operating_system_too() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let deadline = Instant::now() + DIAL_TIME_MAX;
        let made = connect("127.0.0.1", port, deadline, DIAL_TIME_MAX).await;
        assert!(tcp::is_looked_after(&made.unwrap()));
    }

    #[test]
    fn urls_that_cannot_be_dialled_are_named() {
        for url in [
            "",
            "acs.example/usp",
            "http://acs.example/",
            "ws://",
            "ws://me@acs.example/",
            "ws:///x",
        ] {
            assert!(matches!(requested(url), Err(DialError::BadUrl(_))), "{url}");
        }
    }
}
