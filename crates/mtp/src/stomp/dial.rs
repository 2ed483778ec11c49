//! Dialling a STOMP server: TCP, TLS, STOMP, and the subscription of R-STOMP.14 to .16. One attempt;
//! when to try again is [`crate::retry`]'s arithmetic and the caller's clock.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use usp::EndpointId;

use super::{
    ENDPOINT_ID, LinkError, Pipe, SUBSCRIBE_DEST,
    frame::{Command, Frame},
    link::{Dialled, Link, RECEIPT, SUBSCRIPTION},
};
use crate::{
    limits::{DIAL_TIME_MAX, RECORD_BYTES_MAX, REFUSAL_BODY_BYTES_MAX},
    stream::Stream,
    tls::ClientTls,
    words, ws,
};

/// Which server to dial and how.
#[derive(Clone)]
pub struct DialConfig {
    /// Name or address of the server; IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How to check the server; `None` is plaintext.
    pub tls: Option<Arc<ClientTls>>,
    /// Our own endpoint id (R-STOMP.4).
    pub own_eid: EndpointId,
    /// `VirtualHost`; `None` leaves it to the server (R-STOMP.5).
    pub virtual_host: Option<String>,
    /// User name; `None` where the client certificate says it (R-STOMP.3).
    pub login: Option<String>,
    /// Password; `Debug` does not show it.
    pub passcode: Option<String>,
    /// How often we promise to be heard, and how often we want to hear, each zero for never; `None`
    /// without heart-beats (R-STOMP.8 to .11).
    pub heart_beat: Option<(Duration, Duration)>,
    /// Where we listen unless the server says otherwise (R-STOMP.15).
    pub own_destination: Option<String>,
    /// Where the Controller listens; empty when each record says where it goes.
    pub destination: String,
    /// See [`DIAL_TIME_MAX`].
    pub time_max: Duration,
}

impl std::fmt::Debug for DialConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DialConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}

impl DialConfig {
    /// Everything at its default but the things that have none.
    pub fn new(host: impl Into<String>, port: u16, own: EndpointId, to: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            tls: None,
            own_eid: own,
            virtual_host: None,
            login: None,
            passcode: None,
            heart_beat: None,
            own_destination: None,
            destination: to.into(),
            time_max: DIAL_TIME_MAX,
        }
    }
}

/// Why dialling failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The server was not reached.
    #[error(transparent)]
    Connect(#[from] ws::DialError),
    /// The server does not let us in.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// There is nowhere to listen: no answer could ever reach us (R-STOMP.16).
    #[error(
        "there is no destination to subscribe to: neither the server nor the configuration names one"
    )]
    NothingToSubscribe,
    /// We may not listen there.
    #[error("the server refuses the subscription to {destination}: {reason}")]
    SubscriptionRefused {
        /// Where.
        destination: String,
        /// What the server says.
        reason: String,
    },
    /// The connection broke, or what came is not STOMP 1.2.
    #[error("the server: {0}")]
    Link(#[from] LinkError),
    /// Not done in time.
    #[error("no STOMP connection within {0:?}")]
    Timeout(Duration),
}

/// Dials once.
pub async fn dial(config: &DialConfig) -> Result<Link, DialError> {
    let deadline = Instant::now() + config.time_max;
    let tcp = ws::connect(&config.host, config.port, deadline, config.time_max).await?;
    let peer_addr = tcp.peer_addr().map_err(LinkError::from)?;
    let late = |_| DialError::Timeout(config.time_max);
    let stream = match &config.tls {
        Some(tls) => {
            let secured = ws::secure(tls.config(), &config.host, tcp);
            timeout_at(deadline, secured).await.map_err(late)??.0
        }
        None => Stream::Plain(tcp),
    };
    timeout_at(deadline, begin(config, stream, peer_addr))
        .await
        .map_err(late)?
}

async fn begin(
    config: &DialConfig,
    stream: Stream,
    peer_addr: SocketAddr,
) -> Result<Link, DialError> {
    let mut pipe = Pipe::new(stream, RECORD_BYTES_MAX);
    // Who sends is not who we are connected to.
    pipe.skip_messages();
    pipe.enqueue(&opening(config));
    pipe.flush().await?;
    let connected = pipe.frame().await?;
    match connected.command {
        Command::Connected => {}
        Command::Error => return Err(DialError::Refused(error_words(&connected))),
        _ => return Err(LinkError::PeerMisbehaved("no CONNECTED").into()),
    }
    if connected.get("version") != Some("1.2") {
        return Err(LinkError::PeerMisbehaved("a version of STOMP other than 1.2").into());
    }
    let beats = beats(config.heart_beat, connected.get("heart-beat"))?;
    let told = connected
        .get(SUBSCRIBE_DEST)
        .filter(|dest| !dest.is_empty());
    // R-STOMP.14, R-STOMP.15, R-STOMP.16
    let own = told.or(config.own_destination.as_deref());
    let own = own.filter(|dest| !dest.is_empty());
    let own = own.ok_or(DialError::NothingToSubscribe)?.to_owned();
    let told = told.is_some();
    pipe.enqueue(&subscribe(0, &own).with(RECEIPT, SUBSCRIPTION));
    pipe.flush().await?;
    let early = loop {
        let frame = pipe.frame().await?;
        match frame.command {
            Command::Receipt if frame.get("receipt-id") == Some(SUBSCRIPTION) => break None,
            // What waited for us there may come first, and as much as there is: it shows as well as the receipt that the
            // subscription stands.
            Command::Message => break Some(frame),
            Command::Receipt => {}
            Command::Error => {
                return Err(DialError::SubscriptionRefused {
                    destination: own,
                    reason: error_words(&frame),
                });
            }
            _ => return Err(LinkError::PeerMisbehaved("no RECEIPT").into()),
        }
    };
    Ok(Link::new(Dialled {
        pipe,
        early,
        destination: config.destination.clone(),
        own,
        told,
        beats,
        peer_addr,
    }))
}

/// R-STOMP.2 to .5, .8 to .11.
fn opening(config: &DialConfig) -> Frame {
    let beat = config
        .heart_beat
        .map(|(ours, theirs)| format!("{},{}", ours.as_millis(), theirs.as_millis()));
    Frame::new(Command::Stomp)
        .with("accept-version", "1.2")
        .with_some("host", config.virtual_host.as_deref())
        .with_some("login", config.login.as_deref())
        .with_some("passcode", config.passcode.as_deref())
        .with_some("heart-beat", beat.as_deref())
        .with(ENDPOINT_ID, config.own_eid.as_str())
}

/// R-STOMP.13, R-STOMP.17.
pub(super) fn subscribe(id: u64, destination: &str) -> Frame {
    Frame::new(Command::Subscribe)
        .with("id", id.to_string())
        .with("destination", destination)
        .with("ack", "auto")
}

/// How often we are to be heard and how often we hear, as both ends said it.
fn beats(
    wanted: Option<(Duration, Duration)>,
    told: Option<&str>,
) -> Result<(Duration, Duration), LinkError> {
    let Some((ours, theirs)) = wanted else {
        return Ok((Duration::ZERO, Duration::ZERO));
    };
    let number = |text: &str| text.trim().parse().ok().map(Duration::from_millis);
    let told = match told {
        Some(told) => told
            .split_once(',')
            .and_then(|(can, wants)| number(can).zip(number(wants))),
        None => Some((Duration::ZERO, Duration::ZERO)),
    };
    let (can, wants) = told.ok_or(LinkError::PeerMisbehaved("a heart-beat that is none"))?;
    let both = |a: Duration, b: Duration| match a.is_zero() || b.is_zero() {
        true => Duration::ZERO,
        false => a.max(b),
    };
    Ok((both(ours, wants), both(theirs, can)))
}

/// What an ERROR says, not all of a long one.
pub(super) fn error_words(frame: &Frame) -> String {
    let plain = |said: &[u8]| words::plain(said, REFUSAL_BODY_BYTES_MAX);
    let body = plain(frame.body.trim_ascii());
    match (frame.get("message"), &*body) {
        (Some(message), "") => plain(message.as_bytes()),
        (Some(message), body) => plain(format!("{message}: {body}").as_bytes()),
        (None, "") => "an ERROR without words".to_owned(),
        (None, _) => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heart_beats_are_what_both_ends_can_do() {
        // R-STOMP.9 to .11; STOMP 1.2, "Heart-beating"
        let s = Duration::from_secs;
        let agreed = |ours, theirs, told| beats(Some((s(ours), s(theirs))), told).unwrap();
        assert_eq!(agreed(30, 60, Some("20000,40000")), (s(40), s(60)));
        assert_eq!(agreed(30, 60, Some("90000,0")), (s(0), s(90)));
        assert_eq!(agreed(0, 0, Some("1,1")), (s(0), s(0)));
        assert_eq!(agreed(30, 60, None), (s(0), s(0)));
        assert_eq!(beats(None, Some("1,1")).unwrap(), (s(0), s(0)));
        for bad in ["", "1", "a,b", "1,-1"] {
            assert!(beats(Some((s(1), s(1))), Some(bad)).is_err(), "{bad}");
        }
    }

    /// TP-469 6.2
    #[test]
    fn the_first_frame_says_who_comes_and_nothing_that_is_not_configured() {
        // R-STOMP.2, R-STOMP.3, R-STOMP.4, R-STOMP.5, R-STOMP.8
        let own = EndpointId::parse("os::012345-A").unwrap();
        let mut config = DialConfig::new("h", 61613, own, "/queue/c");
        let text = |config: &DialConfig| {
            let mut bytes = Vec::new();
            opening(config).encode(&mut bytes);
            String::from_utf8(bytes).unwrap()
        };
        let bare = "STOMP\naccept-version:1.2\nendpoint-id:os\\c\\c012345-A\n\n\0";
        assert_eq!(text(&config), bare);
        config.virtual_host = Some("/".into());
        config.login = Some("acme/setup".into());
        config.passcode = Some("a:b\\".into());
        config.heart_beat = Some((Duration::from_secs(1), Duration::ZERO));
        let full = "STOMP\naccept-version:1.2\nhost:/\nlogin:acme/setup\npasscode:a\\cb\\\\\n\
                    heart-beat:1000,0\nendpoint-id:os\\c\\c012345-A\n\n\0";
        assert_eq!(text(&config), full);
        assert!(!format!("{config:?}").contains("a:b"));
    }
}
