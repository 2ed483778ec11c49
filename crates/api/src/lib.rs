//! The northbound contract: the types of every request and answer, and one table of operations
//! (id, method, path, permission) from which the OpenAPI document is generated.
//!
//! It is deliberately not a server and not a client: nothing here opens a socket, knows axum or
//! reaches the domain. `server` binds every entry of [`OPERATIONS`] to a handler and checks the
//! permission that stands in the entry; the console's types are generated from
//! `generated/openapi.json`; the command line uses the types directly.
//!
//! One file a resource, with the same name here, in the store, in the server's handlers and in
//! the console.

pub mod certificate;
pub mod device;
pub mod device_match;
pub mod discovery;
pub mod doctor;
pub mod endpoint;
pub mod event;
pub mod file;
pub mod limits;
pub mod management_session;
pub mod model;
mod openapi;
pub mod operation;
pub mod page;
pub mod permission;
pub mod problem;
pub mod reach;
pub mod session;
pub mod setup_key;
pub mod system;
pub mod tenant;
mod time;
pub mod token;
pub mod transcript;
pub mod transfer;
pub mod user;
pub mod value;

pub use endpoint::{Access, Endpoint, Method, endpoint, query_pairs};
pub use openapi::{openapi, openapi_json};
pub use page::{Count, Page};
pub use permission::Permission;
pub use problem::{FieldProblem, Location, Problem, ProblemKind};
pub use time::Time;

use endpoint::concat;

/// The part of the path that every operation shares.
pub const PREFIX: &str = "/api/v1";

/// The header that says in which tenant a platform administrator wants to act.
pub const TENANT_HEADER: &str = "Headend-Tenant";

/// The header that makes a POST safe to send again.
pub const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";

/// The cookie that carries a console sign-in.
pub const SESSION_COOKIE: &str = "headend_session";

const PARTS: &[&[Endpoint]] = &[
    session::ENDPOINTS,
    token::ENDPOINTS,
    tenant::ENDPOINTS,
    user::ENDPOINTS,
    setup_key::ENDPOINTS,
    certificate::ENDPOINTS,
    device::ENDPOINTS,
    device_match::ENDPOINTS,
    management_session::ENDPOINTS,
    reach::ENDPOINTS,
    value::ENDPOINTS,
    model::ENDPOINTS,
    operation::ENDPOINTS,
    file::ENDPOINTS,
    transfer::ENDPOINTS,
    event::ENDPOINTS,
    doctor::ENDPOINTS,
    discovery::ENDPOINTS,
    system::ENDPOINTS,
];

const COUNT: usize = endpoint::total(PARTS);
const TABLE: [Endpoint; COUNT] = concat(PARTS);

/// Every operation of the product. The server refuses to start when one has no handler.
pub const OPERATIONS: &[Endpoint] = &TABLE;
