//! Processes of one device.

use bytes::Bytes;
use mtp::uds::Link;

use crate::{Fault, Wire};

impl Wire for Link {
    async fn put(&mut self, record: Bytes) -> Result<(), Fault> {
        Ok(self.send(record).await?)
    }

    async fn take(&mut self) -> Result<Bytes, Fault> {
        Ok(self.recv().await?)
    }
}
