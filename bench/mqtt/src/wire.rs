//! Records over both ends of the broker inside, and over clients of any other.

use bench_roundtrip::{Fault, Wire};
use broker::Incoming;
use bytes::Bytes;

/// The broker's end of a client.
pub struct Inside(pub broker::Link);

impl Wire for Inside {
    async fn put(&mut self, record: Bytes) -> Result<(), Fault> {
        match self.0.send(record).await? {
            None => Ok(()),
            Some(too_large) => Err(format!("not sent: {too_large:?}").into()),
        }
    }

    async fn take(&mut self) -> Result<Bytes, Fault> {
        loop {
            match self.0.recv().await? {
                Incoming::Record(record) => return Ok(record),
                Incoming::Subscribed => {}
                other => return Err(format!("not a record: {other:?}").into()),
            }
        }
    }
}

impl Inside {
    /// Waits until what is sent reaches the client.
    pub async fn heard(mut self) -> Result<Self, Fault> {
        while !self.0.is_heard() {
            if !matches!(self.0.recv().await?, Incoming::Subscribed) {
                return Err("it speaks before it listens".into());
            }
        }
        Ok(self)
    }
}
