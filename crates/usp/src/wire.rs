//! The protobuf runtime under the generated types: a reader that enforces limits and the rules of
//! TR-369 on oneofs, and a writer that makes one pass.
//! Deliberately not a protobuf library: it does what the USP schema needs.

mod map;
mod reader;
mod writer;

pub use map::Map;
pub(crate) use reader::Reader;
pub use reader::{DecodeError, DecodeErrorKind};
pub(crate) use writer::Writer;

/// A message of the schema.
pub(crate) trait Message: Sized {
    /// Its name in the schema.
    const NAME: &'static str;
    /// Appends all fields.
    fn encode(&self, w: &mut Writer);
    /// Reads fields up to the end of the current message.
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError>;
}
