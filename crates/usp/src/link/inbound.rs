//! What comes out of the record layer. Deliberately no behaviour.

use crate::codec::Peek;
use crate::context;
use crate::error::Error;
use crate::msg::Msg;
use crate::record::{DisconnectRecord, RecordType};
use crate::session::Ignored;
use crate::version::Version;

/// What a record was.
pub(crate) enum Inbound {
    /// Nothing for the session; what was due has been answered.
    Ignored(Ignored),
    /// A connect record.
    Connect(RecordType),
    /// The peer leaves.
    Disconnect(DisconnectRecord),
    /// A message, and what its record says of the peer's version.
    Msg(Msg, Version, Via),
    /// Something about session contexts.
    Context(context::Event),
    /// A message that does not decode.
    Broken(Error, Peek, Via),
}

/// The kind of record that a message came in, and its answer goes back in. R-MSG.0a
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Plain,
    Context,
}
