//! Clients of a broker.

use bytes::Bytes;
use mtp::mqtt::Link;
use tokio::time::{Instant, sleep_until};

use crate::{Fault, Wire};

impl Wire for Link {
    async fn put(&mut self, record: Bytes) -> Result<(), Fault> {
        Ok(self.send(record, None).await?)
    }

    async fn take(&mut self) -> Result<Bytes, Fault> {
        loop {
            let Some(ping) = self.next_ping().map(Instant::from) else {
                return Ok(self.recv().await?.record);
            };
            tokio::select! {
                incoming = self.recv() => return Ok(incoming?.record),
                () = sleep_until(ping) => self.keep_alive(ping.into_std())?,
            }
        }
    }
}
