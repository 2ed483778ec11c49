//! Waking devices over real sockets.

mod http;
mod policy;
mod servers;
mod udp;
mod xmpp;
