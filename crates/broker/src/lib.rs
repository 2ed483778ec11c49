//! The MQTT broker inside: MQTT 5.0 and 3.1.1 on one port, for USP and nothing else.
//!
//! An agent's connection *is* its way to the controller: what it publishes goes to the owner of its
//! [`Link`], what the owner sends goes down this one connection, and there is no topic through which
//! one client could reach another. So there are no queues for clients that are away, no retained
//! messages and no sessions that outlive a connection: nothing that could fill memory or a disk. The
//! rules of topics are checked all the same and by name ([`Topics`]), because operators read them, a
//! client that breaks them is to be told and shown, and an external broker has to be given the same.
//!
//! * [`Listener`] accepts: TCP, TLS where configured, CONNECT, the consumer's [`Admission`].
//! * It ends in a [`Link`], which has no task of its own.
//!
//! Not here: credentials and tenants (the consumer's), what a Record says (`usp`), an agent's end
//! (`mtp::mqtt`).

mod admission;
mod connect;
pub mod limits;
mod link;
mod listener;
mod subscriptions;
mod topics;

pub use admission::{Admission, Admitted, Hello, Login};
pub use link::{Incoming, Link, TooLarge, Wrong};
pub use listener::{Accepted, Listener, ListenerConfig};
pub use topics::{Area, Topics};
