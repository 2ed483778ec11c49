//! How long a Record may be under way: whoever sends one byte now and then is alive by every other measure, and holds
//! what has come of it for as long as he likes. There is a timer only while one is half read.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Sleep;

use crate::limits::RECORD_TIME_MAX;

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    timer: Option<Pin<Box<Sleep>>>,
}

/// One was not whole so long after its first byte was read.
pub(crate) struct TooSlow(pub(crate) Duration);

impl Whole {
    /// One has come to its end, or none has begun.
    pub(crate) fn is_whole(&mut self) {
        self.timer = None;
    }

    /// One is half read, and there is nothing more to read now: ready when its time is over. Only then, for what lies
    /// there already is not late because nobody has read it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TooSlow> {
        let timer = || Box::pin(tokio::time::sleep(RECORD_TIME_MAX));
        let timer = self.timer.get_or_insert_with(timer);
        timer.as_mut().poll(cx).map(|()| TooSlow(RECORD_TIME_MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
        time::{Instant, sleep},
    };

    use super::*;
    use crate::{broken::LinkError, mqtt, stomp, stream::Stream};

    /// What becomes of these bytes, of which one comes now and then, the last one never.
    async fn trickled<T: Debug>(
        bytes: Vec<u8>,
        read: impl AsyncFnOnce(Stream) -> Result<T, LinkError>,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut peer = TcpStream::connect(addr).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        tokio::time::pause();
        let before = Instant::now();
        tokio::spawn(async move {
            for byte in &bytes[..bytes.len() - 1] {
                if peer.write_all(&[*byte]).await.is_err() {
                    return;
                }
                sleep(RECORD_TIME_MAX / 20).await;
            }
            std::future::pending::<()>().await;
        });
        let error = read(Stream::Plain(tcp)).await.unwrap_err();
        assert!(
            matches!(error, LinkError::PeerTrickles(RECORD_TIME_MAX)),
            "{error}"
        );
        let took = before.elapsed();
        assert!(
            (RECORD_TIME_MAX..RECORD_TIME_MAX * 2).contains(&took),
            "{took:?}"
        );
    }

    #[tokio::test]
    async fn an_mqtt_packet_that_does_not_become_whole_ends_the_link() {
        let publish = mqtt::Packet::Publish(mqtt::Publish {
            topic: "usp/agent".into(),
            payload: "a record that takes its time".into(),
            ..Default::default()
        });
        let mut bytes = Vec::new();
        publish.encode(mqtt::Version::V5, &mut bytes);
        trickled(bytes, async |stream| {
            mqtt::Pipe::new(stream, mqtt::Version::V5, 4096)
                .packet()
                .await
        })
        .await;
    }

    #[tokio::test]
    async fn a_stomp_frame_that_does_not_become_whole_ends_the_link() {
        let mut bytes = b"MESSAGE\ndestination:usp\n\na record that takes its time".to_vec();
        bytes.push(0);
        trickled(bytes, async |stream| {
            stomp::Pipe::new(stream, 4096).frame().await
        })
        .await;
    }
}
