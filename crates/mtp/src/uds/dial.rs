//! The client's end: connects, shakes hands first (R-UDS.16), and waits for the server's handshake.

use std::{path::PathBuf, time::Duration};

use tokio::{net::UnixStream, time::timeout};
use usp::EndpointId;

use super::{
    error::DialError,
    link::{Link, Pipe},
};
use crate::limits::{UDS_HANDSHAKE_TIME_MAX, UDS_RETRY_MAX, UDS_RETRY_MIN};

/// Where to connect, and as whom.
#[derive(Clone, Debug)]
pub struct DialConfig {
    /// The socket file.
    pub path: PathBuf,
    /// Our endpoint id.
    pub own: EndpointId,
    /// Whom we want to find there; anybody when absent.
    pub peer: Option<EndpointId>,
    /// How long all of it may take (R-UDS.18).
    pub time_max: Duration,
}

impl DialConfig {
    /// With what the standard says.
    pub fn new(path: impl Into<PathBuf>, own: EndpointId) -> Self {
        Self {
            path: path.into(),
            own,
            peer: None,
            time_max: UDS_HANDSHAKE_TIME_MAX,
        }
    }
}

/// Connects. The caller tries again after [`retry_wait`].
pub async fn dial(config: &DialConfig) -> Result<Link, DialError> {
    let limit = config.time_max;
    let linked = timeout(limit, shake(config)).await;
    linked.unwrap_or(Err(DialError::Timeout(limit)))
}

async fn shake(config: &DialConfig) -> Result<Link, DialError> {
    let failed = |reason| DialError::Connect {
        path: config.path.display().to_string(),
        reason,
    };
    let stream = UnixStream::connect(&config.path).await.map_err(failed)?;
    let mut pipe = Pipe::new(stream);
    let credentials = pipe.credentials().map_err(failed)?;
    pipe.introduce(&config.own).await?;
    let told = pipe.introduction().await?;
    let bad = match EndpointId::parse(&told) {
        Err(error) => error.to_string(),
        Ok(peer) if peer == config.own => "it is our own endpoint id".to_owned(),
        Ok(peer) => match &config.peer {
            Some(wanted) if *wanted != peer => format!("this is {peer}, and not {wanted}"),
            _ => return Ok(Link::new(pipe, peer, credentials, None)),
        },
    };
    pipe.refuse(&bad).await; // R-UDS.21
    Err(DialError::BadHandshake(bad))
}

/// How long to wait before connecting again (R-UDS.5). `random` picks: 0 is the shortest, `u64::MAX`
/// the longest.
pub fn retry_wait(random: u64) -> Duration {
    let spread = UDS_RETRY_MAX - UDS_RETRY_MIN;
    UDS_RETRY_MIN + spread.mul_f64(random as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-UDS.5
    #[test]
    fn a_client_waits_one_to_five_seconds() {
        assert_eq!(retry_wait(0), Duration::from_secs(1));
        assert_eq!(retry_wait(u64::MAX), Duration::from_secs(5));
        assert_eq!(retry_wait(u64::MAX / 2 + 1), Duration::from_secs(3));
    }
}
