//! What travels outside of session contexts, and what does not.

use super::{Link, Via};
use crate::codec;
use crate::context::{Context, Mode, Status};

impl Link {
    /// Whether the peer has proved who it is in an encrypted session context of this channel.
    pub(super) fn is_secured(&self) -> bool {
        let context = self.context.as_deref();
        self.secured || context.is_some_and(Context::is_secured)
    }

    /// Whether a message that comes outside of a session context counts for nothing. Beside an encrypted one an answer may
    /// still come as what it answers went: who asked knows how that was.
    pub(super) fn takes_no_plain(&self, payload: &[u8]) -> bool {
        let beside = || self.is_secured() && codec::peek_msg(payload).is_request;
        self.contexts.mode == Mode::Require || beside()
    }

    /// The kind of record that our own messages travel in. What was encrypted once does not become plain because somebody
    /// ends the session context, or says that the peer starts anew.
    pub(crate) fn via(&self) -> Via {
        let there = |context: &Context| context.status() != Status::Down;
        let used = self.is_secured() || self.context.as_deref().is_some_and(there);
        match self.contexts.mode == Mode::Require || self.wanted || used {
            true => Via::Context,
            false => Via::Plain,
        }
    }

    /// Whether our own messages go out in plain records now, and could do otherwise.
    pub(crate) fn is_plain_by_choice(&self) -> bool {
        self.via() == Via::Plain && self.contexts.mode != Mode::Forbid
    }

    /// The channel goes on when the peer's own connection ends.
    pub(crate) fn outlives_peer(&mut self) {
        self.outlives = true;
    }

    /// The peer serves nothing outside of session contexts.
    pub(crate) fn want_context(&mut self) {
        self.wanted = true;
    }
}
