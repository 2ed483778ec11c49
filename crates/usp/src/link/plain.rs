//! What travels outside of session contexts, and what does not.

use super::{Link, Via};
use crate::codec;
use crate::context::{Context, Mode, Status};

impl Link {
    /// Whether the peer has proved who it is in an encrypted session context of this channel.
    fn is_secured(&self) -> bool {
        self.context.as_deref().is_some_and(Context::is_secured)
    }

    /// Whether a message that comes outside of a session context counts for nothing. Beside an encrypted one an answer may
    /// still come as what it answers went.
    pub(super) fn takes_no_plain(&self, payload: &[u8]) -> bool {
        let beside = || self.is_secured() && codec::peek_msg(payload).is_request;
        self.contexts.mode == Mode::Require || beside()
    }

    /// The kind of record that our own messages travel in. What was encrypted once does not become plain because somebody
    /// ends the session context.
    pub(super) fn via(&self) -> Via {
        let there = |context: &Context| context.status() != Status::Down || context.is_secured();
        let used = self.context.as_deref().is_some_and(there);
        match self.contexts.mode == Mode::Require || self.wanted || used {
            true => Via::Context,
            false => Via::Plain,
        }
    }

    /// Whether our own messages go out in plain records now, and could do otherwise.
    pub(crate) fn is_plain_by_choice(&self) -> bool {
        self.via() == Via::Plain && self.contexts.mode != Mode::Forbid
    }
}
