//! The server's side of the upgrade (R-WS.10 to .12a): the request is read and judged, the
//! consumer's admission asked, and the answer written.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tungstenite::handshake::server::{Request, create_response};
use usp::EndpointId;

use super::{
    SUBPROTOCOL,
    admission::{Admission, Admitted, Hello, Refusal, RefusalReason},
    http::{self as head, HeadError},
    link::Role,
    tunnel::Tunnel,
};
use crate::{identity, listen::Below, stream::Stream};

/// An upgrade that was granted and answered.
pub(super) struct Upgraded<T> {
    pub(super) hello: Hello,
    pub(super) admitted: Admitted<T>,
    /// Bytes the client has sent already.
    pub(super) unread: Bytes,
}

/// Runs the upgrade. `claimed` is set as soon as an endpoint id is known, for whoever reports a
/// refusal or a timeout.
pub(super) async fn upgrade<S, A>(
    stream: &mut S,
    below: Below,
    admission: &A,
    claimed: &mut Option<EndpointId>,
) -> Result<Upgraded<A::Ticket>, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Admission,
{
    let decided = decide(stream, below, admission, claimed).await;
    answered(stream, decided).await
}

/// The same for a protocol of bytes, with its name: whoever asks for it is let through and says in there
/// who it is. Its path means nothing.
pub async fn tunnel(mut stream: Stream, subprotocol: &str) -> Result<Stream, Refusal> {
    let decided = match request(&mut stream).await {
        Ok((request, unread)) => {
            grant(&request, subprotocol).map(|answer| (unread, answer + "\r\n"))
        }
        Err(refusal) => Err(refusal),
    };
    let unread = answered(&mut stream, decided).await?;
    let tunnel = Tunnel::new(stream, Role::Server, unread);
    Ok(Stream::Tunnel(Box::new(tunnel)))
}

/// Tells the client what was decided.
async fn answered<S: AsyncRead + AsyncWrite + Unpin, T>(
    stream: &mut S,
    decided: Result<(T, String), Refusal>,
) -> Result<T, Refusal> {
    match decided {
        Ok((granted, answer)) => match head::write_all(stream, &answer).await {
            Ok(()) => Ok(granted),
            Err(error) => Err(abandoned(format!("while it was answered: {error}"))),
        },
        Err(refusal) => {
            use RefusalReason::{HandshakeAbandoned, TlsOnPlaintextListener};
            if !matches!(refusal.reason, HandshakeAbandoned | TlsOnPlaintextListener) {
                refuse(stream, &refusal).await;
            }
            Err(refusal)
        }
    }
}

/// The beginning of the answer to a request for a WebSocket with this subprotocol.
fn grant(request: &Request, subprotocol: &str) -> Result<String, Refusal> {
    let accept = create_response(request)
        .map_err(|error| Refusal::new(RefusalReason::NotAWebSocketRequest, error.to_string()))?;
    // R-WS.12a
    if !offers_subprotocol(request.headers(), subprotocol) {
        let detail = match text(request.headers(), &header::SEC_WEBSOCKET_PROTOCOL) {
            Some(offered) => format!("it offers {offered:?}, not {subprotocol}"),
            None => format!("it offers no subprotocol; {subprotocol} is demanded"),
        };
        return Err(Refusal::new(RefusalReason::NoSubprotocol, detail));
    }
    let mut answer = String::from("HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in accept.headers() {
        let value = value.to_str().unwrap_or_default();
        answer.extend([name.as_str(), ": ", value, "\r\n"]);
    }
    answer.extend(["Sec-WebSocket-Protocol: ", subprotocol, "\r\n"]); // R-WS.11
    Ok(answer)
}

async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(Request, Bytes), Refusal> {
    head::read_head(stream).await.map_err(no_head)
}

async fn decide<S, A>(
    stream: &mut S,
    below: Below,
    admission: &A,
    claimed: &mut Option<EndpointId>,
) -> Result<(Upgraded<A::Ticket>, String), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Admission,
{
    let (request, unread) = request(stream).await?;
    let hello = hello(&request, below, claimed)?;
    let mut answer = grant(&request, SUBPROTOCOL)?;
    let admitted = admission.admit(&hello).await?;
    if hello.offered_extension {
        let extension = identity::extension_value(&admitted.own);
        answer.extend(["Sec-WebSocket-Extensions: ", &extension, "\r\n"]); // R-WS.11a
    }
    answer.push_str("\r\n");
    Ok((
        Upgraded {
            hello,
            admitted,
            unread,
        },
        answer,
    ))
}

fn hello(
    request: &Request,
    below: Below,
    claimed: &mut Option<EndpointId>,
) -> Result<Hello, Refusal> {
    below.check()?;
    let Below {
        peer_addr,
        local_addr,
        tls,
        certified,
        fingerprint,
        certificate_ids,
        ..
    } = below;
    let query = identity::from_query(request.uri().query())?;
    claimed.clone_from(&query);
    let extension = identity::from_extension(request.headers());
    let parameter = extension
        .as_ref()
        .and_then(|parameter| parameter.as_deref());
    let eid = identity::agreed(query, parameter, &certificate_ids)?;
    claimed.clone_from(&eid);
    Ok(Hello {
        peer_addr,
        local_addr,
        path: request.uri().path().to_owned(),
        eid,
        certificate_ids,
        certified,
        fingerprint,
        tls,
        offered_extension: extension.is_some(),
        user_agent: text(request.headers(), &header::USER_AGENT),
    })
}

fn offers_subprotocol(headers: &HeaderMap, subprotocol: &str) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim() == subprotocol)
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn abandoned(detail: String) -> Refusal {
    Refusal::new(RefusalReason::HandshakeAbandoned, detail)
}

fn no_head(error: HeadError) -> Refusal {
    match error {
        HeadError::Io(error) => abandoned(error.to_string()),
        HeadError::Ended(0) => abandoned("it connected and left without a word".into()),
        HeadError::Ended(bytes) => abandoned(format!("it left after {bytes} bytes of a request")),
        HeadError::TooLarge => {
            let max = crate::limits::HTTP_HEAD_BYTES_MAX;
            let detail = format!("no end of the head of the request in {max} bytes");
            Refusal::new(RefusalReason::RequestTooLarge, detail)
        }
        HeadError::Tls => Refusal::new(
            RefusalReason::TlsOnPlaintextListener,
            "it speaks TLS (wss:) to a plaintext (ws:) listener",
        ),
        HeadError::Malformed(tungstenite::Error::Protocol(
            error @ tungstenite::error::ProtocolError::WrongHttpMethod,
        )) => Refusal::new(RefusalReason::NotAWebSocketRequest, error.to_string()),
        HeadError::Malformed(error) => {
            Refusal::new(RefusalReason::MalformedRequest, error.to_string())
        }
    }
}

/// Answers with the refusal and lets the peer read it: closing at once with bytes unread would
/// reset the connection and destroy the answer on its way.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, refusal: &Refusal) {
    let answer = head::refusal(refusal.status, refusal.reason.name());
    if head::write_all(stream, &answer).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let drain = async {
        let mut scrap = [0; 512];
        while matches!(stream.read(&mut scrap).await, Ok(1..)) {}
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), drain).await;
}
