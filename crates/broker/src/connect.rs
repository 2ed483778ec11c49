//! From a byte stream to an admitted client: CONNECT, the consumer's decision, CONNACK.

use mtp::{
    limits::{MQTT_CONNECT_BYTES_MAX, MQTT_PACKET_OVERHEAD_BYTES},
    listen::Below,
    mqtt::{
        ConnAck, Connect, ENDPOINT_ID, LinkError, Malformed, Packet, Pipe, Properties,
        SUBSCRIBE_TOPIC, Value, Version, code, property::id,
    },
    stream::Stream,
    ws::{Refusal, RefusalReason},
};
use tokio::time::timeout;
use usp::EndpointId;

use crate::{
    Admission, Admitted, Hello, Login, Topics,
    limits::{RECEIVE_MAXIMUM, REFUSAL_TIME_MAX},
    topics::Area,
};

/// A client that was let in.
pub(crate) struct Connected<T> {
    pub pipe: Pipe,
    pub hello: Hello,
    pub admitted: Admitted<T>,
    pub area: Area,
    /// Seconds; 0 is none.
    pub keep_alive: u16,
    pub receive_maximum: Option<u32>,
    pub packet_max: usize,
}

/// Within what a client is let in.
pub(crate) struct Limits {
    pub topics: Topics,
    pub record_bytes_max: usize,
    /// Seconds, of MQTT 5.
    pub keep_alive_max: u16,
}

/// Runs the handshake. A refused client is told before the refusal is returned.
pub(crate) async fn connect<A: Admission>(
    stream: Stream,
    below: Below,
    admission: &A,
    limits: &Limits,
    claimed: &mut Option<EndpointId>,
) -> Result<Connected<A::Ticket>, Refusal> {
    let mut pipe = Pipe::opening(stream, MQTT_CONNECT_BYTES_MAX);
    let connect = match pipe.packet().await {
        Ok(Packet::Connect(connect)) => *connect,
        Ok(_) => {
            let reason = RefusalReason::MalformedConnect;
            return Err(Refusal::new(reason, "the first packet is no CONNECT"));
        }
        Err(error) => return Err(unreadable(&mut pipe, error).await),
    };
    let packet_bytes_max = limits.record_bytes_max + MQTT_PACKET_OVERHEAD_BYTES;
    pipe.admit(connect.version, packet_bytes_max);
    let decided = decide(&connect, below, admission, claimed).await;
    let (hello, admitted) = match decided {
        Ok(decided) => decided,
        Err(refusal) => {
            refuse(&mut pipe, connect.version, &refusal).await;
            return Err(refusal);
        }
    };
    let area = limits.topics.area(&admitted.tenant, &admitted.endpoint);
    let five = connect.version == Version::V5;
    let keep_alive = match connect.keep_alive {
        0 if five => limits.keep_alive_max,
        wanted if five => wanted.min(limits.keep_alive_max),
        wanted => wanted,
    };
    let mut ack = ConnAck::default();
    if five {
        ack.properties = properties(&connect, &area, keep_alive, packet_bytes_max, &admitted);
    }
    pipe.enqueue(&Packet::ConnAck(Box::new(ack)));
    pipe.flush().await.map_err(abandoned)?;
    let number = |id| connect.properties.number(id);
    Ok(Connected {
        pipe,
        hello,
        admitted,
        area,
        keep_alive,
        receive_maximum: number(id::RECEIVE_MAXIMUM),
        packet_max: number(id::MAXIMUM_PACKET_SIZE).map_or(usize::MAX, |max| max as usize),
    })
}

async fn decide<A: Admission>(
    connect: &Connect,
    below: Below,
    admission: &A,
    claimed: &mut Option<EndpointId>,
) -> Result<(Hello, Admitted<A::Ticket>), Refusal> {
    let eid = endpoint(connect, &below.certificate_ids)?;
    claimed.clone_from(&eid);
    below.check()?;
    let login = connect.username.as_deref().and_then(Login::parse);
    let login = login.ok_or_else(|| {
        let given = connect.username.as_deref().unwrap_or("none");
        let detail = format!("user name {given:?}: it has to be TENANT/setup or TENANT/DEVICE");
        Refusal::new(RefusalReason::BareUsername, detail)
    })?;
    if connect.client_id.is_empty() && !connect.clean && connect.version == Version::V311 {
        let detail = "an empty client identifier without Clean Session";
        return Err(Refusal::new(RefusalReason::MalformedConnect, detail));
    }
    if connect
        .properties
        .get_text(id::AUTHENTICATION_METHOD)
        .is_some()
    {
        let detail = "enhanced authentication is not offered";
        return Err(Refusal::new(RefusalReason::MalformedConnect, detail));
    }
    let hello = Hello {
        peer_addr: below.peer_addr,
        local_addr: below.local_addr,
        version: connect.version,
        login,
        password: connect.password.clone().unwrap_or_default(),
        eid,
        certificate_ids: below.certificate_ids,
        certified: below.certified,
        fingerprint: below.fingerprint,
        tls: below.tls,
    };
    let admitted = admission.admit(&hello).await?;
    Ok((hello, admitted))
}

/// The endpoint id of all sources, where they agree.
fn endpoint(
    connect: &Connect,
    certificate_ids: &[EndpointId],
) -> Result<Option<EndpointId>, Refusal> {
    let claimed = match connect.properties.users(ENDPOINT_ID).next() {
        Some(text) => Some(EndpointId::parse(text).map_err(|error| {
            let detail = format!("{ENDPOINT_ID} {text:?}: {error}");
            Refusal::new(RefusalReason::BadEndpointId, detail)
        })?),
        None => EndpointId::parse(&connect.client_id).ok(),
    };
    match (claimed, certificate_ids) {
        (Some(claimed), [_, ..]) if !certificate_ids.contains(&claimed) => {
            let detail = format!(
                "it says {claimed}, its certificate is for {}",
                certificate_ids[0]
            );
            Err(Refusal::new(RefusalReason::EndpointIdConflict, detail))
        }
        (None, [only]) => Ok(Some(only.clone())),
        (claimed, _) => Ok(claimed),
    }
}

fn properties<T>(
    connect: &Connect,
    area: &Area,
    keep_alive: u16,
    packet_bytes_max: usize,
    admitted: &Admitted<T>,
) -> Properties {
    let packet_max = u32::try_from(packet_bytes_max).unwrap_or(u32::MAX);
    let mut properties = Properties::default()
        .with(id::SESSION_EXPIRY, Value::U32(0))
        .with(id::RECEIVE_MAXIMUM, Value::U16(RECEIVE_MAXIMUM))
        .with(id::RETAIN_AVAILABLE, Value::Byte(0))
        .with(id::MAXIMUM_PACKET_SIZE, Value::U32(packet_max))
        .with(id::SUBSCRIPTION_ID_AVAILABLE, Value::Byte(0))
        .with(id::SHARED_SUBSCRIPTION, Value::Byte(0));
    if keep_alive != connect.keep_alive {
        properties = properties.with(id::SERVER_KEEP_ALIVE, Value::U16(keep_alive));
    }
    if connect.client_id.is_empty() {
        // One and the same each time: the client keeps it for ever (R-MQTT.9).
        properties = properties.text(id::ASSIGNED_CLIENT_ID, admitted.endpoint.as_str());
    }
    if connect.properties.number(id::REQUEST_RESPONSE_INFORMATION) == Some(1) {
        properties = properties.text(id::RESPONSE_INFORMATION, area.agent.as_str());
    }
    // R-MQTT.44
    properties.user(SUBSCRIBE_TOPIC, area.agent.as_str())
}

/// A CONNECT that cannot be read: the refusal, after what can be said was said.
async fn unreadable(pipe: &mut Pipe, error: LinkError) -> Refusal {
    match error {
        LinkError::Gone | LinkError::Io(_) => abandoned(error),
        LinkError::PeerMisbehaved(what) if what == Malformed::TLS.0 => {
            Refusal::new(RefusalReason::TlsOnPlaintextListener, what)
        }
        LinkError::PeerMisbehaved(what) if what == Malformed::VERSION.0 => {
            let refusal = Refusal::new(RefusalReason::MalformedConnect, what);
            answer(pipe, Version::V311, 1).await;
            refusal
        }
        other => Refusal::new(RefusalReason::MalformedConnect, other.to_string()),
    }
}

fn abandoned(error: LinkError) -> Refusal {
    Refusal::new(RefusalReason::HandshakeAbandoned, error.to_string())
}

/// Tells a client that it may not come in; the name of the reason is no secret.
async fn refuse(pipe: &mut Pipe, version: Version, refusal: &Refusal) {
    let five = version == Version::V5;
    let code = match (refusal.status, five) {
        (503 | 409, true) => code::UNAVAILABLE,
        (503 | 409 | 429, false) => 3,
        (429, true) => code::QUOTA_EXCEEDED,
        (401, true) => code::BAD_CREDENTIAL,
        (401, false) => 4,
        (400, true) => code::UNSPECIFIED,
        (400, false) => 2,
        (_, true) => code::NOT_AUTHORIZED,
        (_, false) => 5,
    };
    let mut ack = ConnAck {
        code,
        ..ConnAck::default()
    };
    if five {
        ack.properties = Properties::default().text(id::REASON_STRING, refusal.reason.name());
    }
    tell(pipe, ack).await;
}

async fn answer(pipe: &mut Pipe, version: Version, code: u8) {
    pipe.admit(version, MQTT_CONNECT_BYTES_MAX);
    let ack = ConnAck {
        code,
        ..ConnAck::default()
    };
    tell(pipe, ack).await;
}

/// Says no and lets the client read it, whatever it has sent behind its CONNECT.
async fn tell(pipe: &mut Pipe, ack: ConnAck) {
    pipe.enqueue(&Packet::ConnAck(Box::new(ack)));
    let _ = timeout(REFUSAL_TIME_MAX, pipe.close()).await;
}
