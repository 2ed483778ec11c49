//! What was encrypted once, and what comes in plain text beside it.

use super::{RequestId, Session};
use crate::link::Via;

impl Session {
    /// The channel is no connection of the agent's own and goes on when that ends, as behind a broker: an agent that
    /// connects again may have other settings, and is not held to the encrypted session contexts of before.
    pub fn channel_outlives_agent(&mut self) {
        self.link.outlives_peer();
    }

    /// Whether an answer comes in plain text to what was asked in a session context: it could be anybody's. R-MSG.0a
    pub(super) fn is_beside(&self, id: RequestId, via: Via) -> bool {
        let mut sent = self.in_flight.iter();
        via == Via::Plain && sent.any(|pending| pending.id == id && pending.via == Via::Context)
    }
}
