//! The data model of TR-181/TR-106 as a library: paths and search expressions, typed values, supported-model tables,
//! the evaluator that resolves a path against a tree of instances, the mapping of TR-098 to TR-181, and the table of
//! waits between retries that both protocols share.
//!
//! Deliberately not here: any IO, clock or randomness, any protocol message (that is `usp`), any notion of a device,
//! a tenant or a permission, and the *values* of a device (a caller brings its own [`resolve::Tree`]).

pub mod limits;
pub mod mapping;
pub mod path;
pub mod resolve;
pub mod retry;
pub mod schema;
pub mod types;
pub mod value;

pub use path::{
    Follow, KeyExpr, Literal, Op, Path, PathError, PathErrorReason, PathKind, RelPath, Segment,
};
pub use resolve::{Addressing, Limits, ResolveError, Tree, ValueKind, addressing, resolve};
pub use schema::{
    ArgDef, CommandDef, CommandKind, Default, DefaultKind, Element, EventDef, Hit, NotifyRule,
    ObjectAccess, ObjectDef, ParamAccess, ParamDef, Schema, SchemaBuilder, SchemaError, Status,
    Text, UniqueKey,
};
pub use types::{Format, ListFacet, Range, Reference, Size, Type};
pub use value::{BaseType, DateTime, Decimal, Value, ValueError};
