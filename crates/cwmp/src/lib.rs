//! CWMP (TR-069) without IO: SOAP, every method of both sides, the state machines of an ACS and of a
//! CPE, and the pure parts of what surrounds them in HTTP.
//!
//! Deliberately not here: sockets, HTTP servers and clients, compression, clocks, random numbers
//! and threads (moments and seeds come in as arguments), a data model, and what an ACS does with an
//! answer.
//!
//! # Where to start
//!
//! | you want to | look at |
//! |---|---|
//! | serve CPEs | [`acs::Session`], one for each CWMP session |
//! | be a CPE | [`cpe::Session`], one for the life of the CPE |
//! | read or write a message by hand | [`soap::decode`], [`soap::encode`], [`rpc`] |
//! | know what a fault means for trying again | [`FaultCode::retry`](fault::FaultCode::retry) |
//! | authenticate, or bind a session to a cookie | [`auth`] |
//! | wake a CPE | [`reach`] |
//! | show a session to people | [`transcript`], after [`Envelope::masked`] |
//!
//! # How an adapter drives a session of an ACS
//!
//! CWMP runs against the grain of HTTP: the CPE posts, and the ACS asks in its answers. So an HTTP
//! handler does the same for each POST, whatever it is:
//!
//! 1. Authenticate ([`auth`]); once a session is enough, since some clients show nothing on later
//!    POSTs. Decompress, at most [`limits::BODY_BYTES_MAX`].
//! 2. Find the session: by cookie, else by connection. Neither: a new [`acs::Session`]. An Inform
//!    begins anew by itself, whichever session it reaches, so a stale cookie does no harm; check on
//!    each [`acs::Event::Informed`] that the device is the one that was authenticated.
//! 3. [`handle_input`](acs::Session::handle_input). An error is answered with
//!    [`Reply::refused`](acs::Reply::refused).
//! 4. Take the events. What the CPE says is acknowledged when it is stored, not before: it will not
//!    say it again. On [`Turn`](acs::Event::Turn), ask or finish.
//! 5. Wait for [`poll_transmit`](acs::Session::poll_transmit) and send it with the session's cookie.
//!    It is there at once, or after the event is answered, or after
//!    [`handle_timeout`](acs::Session::handle_timeout).
//!
//! A connection that closes is told with
//! [`connection_closed`](acs::Session::connection_closed), or
//! [`abandon`](acs::Session::abandon) where the session was bound to it. A session may go on after a
//! 204: keep it until [`Ended`](acs::Event::Ended).
//!
//! One session of both ends, with the HTTP between them left out:
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//!
//! use cwmp::rpc::{DeviceId, GetParameterValues, GetParameterValuesResponse, ParameterValue, Request};
//! use cwmp::value::Value;
//! use cwmp::{acs, cpe};
//!
//! # fn main() -> Result<(), cwmp::Error> {
//! let now = Instant::now();
//! let mut acs = acs::Session::new(Arc::default(), now, 0xf00d);
//! let device_id = DeviceId { oui: "00256D".into(), serial_number: "1".into(), ..DeviceId::default() };
//! let mut cpe = cpe::Session::new(cpe::Config::new(device_id), 7);
//! let version = || ParameterValue::new("Device.DeviceInfo.SoftwareVersion", Value::string("1.0"));
//! let mut read = None;
//! let mut to_ask = Some(GetParameterValues { names: vec!["Device.DeviceInfo.".into()] });
//!
//! // Something happens to the CPE that the ACS has to know.
//! cpe.boot(now, true)?;
//! loop {
//!     // The CPE's side: events first, then what goes to the ACS.
//!     while let Some(event) = cpe.poll_event() {
//!         match event {
//!             cpe::Event::Starting => cpe.inform(now, vec![version()])?,
//!             cpe::Event::Requested { token, request: Request::GetParameterValues(_) } => {
//!                 let answer = GetParameterValuesResponse { parameters: vec![version()] };
//!                 cpe.respond(now, token, Ok(answer.into()))?;
//!             }
//!             cpe::Event::Ended { result, .. } => assert_eq!(result, Ok(())),
//!             other => panic!("{other:?}"),
//!         }
//!     }
//!     let Some(cpe::Transmit::Post(body)) = cpe.poll_transmit() else {
//!         break; // Transmit::Close: the session is over.
//!     };
//!
//!     // The ACS's side: one POST, its events, one reply.
//!     acs.handle_input(now, acs::Post { body: &body, content_type: None })?;
//!     while let Some(event) = acs.poll_event() {
//!         match event {
//!             // Store it first.
//!             acs::Event::Informed { token, .. } => acs.acknowledge(now, token)?,
//!             acs::Event::Turn => match to_ask.take() {
//!                 Some(request) => {
//!                     acs.request(now, request)?;
//!                 }
//!                 None => acs.finish(now)?,
//!             },
//!             acs::Event::Answered { result, .. } => read = Some(result),
//!             other => panic!("{other:?}"),
//!         }
//!     }
//!     let reply = acs.poll_transmit().expect("one reply for each POST");
//!     let reply = cpe::Reply { status: reply.status, body: &reply.body, content_type: None };
//!     cpe.handle_input(now, reply)?;
//! }
//! acs.connection_closed();
//!
//! assert_eq!(acs.poll_event(), Some(acs::Event::Ended(acs::End::Complete)));
//! let expected = GetParameterValuesResponse { parameters: vec![version()] };
//! assert_eq!(read, Some(Ok(expected.into())));
//! # Ok(())
//! # }
//! ```
//!
//! # Habits
//!
//! What comes in is read with all the tolerance that the field needs, and each use of it is noted
//! ([`soap::Oddities`]); what goes out has one form. Every limit is in [`limits`]. Errors say who is
//! wrong ([`Error`]). A secret does not show in `Debug` ([`value::Secret`]).

pub mod acs;
pub mod auth;
pub mod cpe;
pub mod error;
pub mod event;
pub mod fault;
pub mod limits;
pub mod reach;
pub mod rpc;
pub mod soap;
pub mod transcript;
pub mod value;
pub mod version;

pub use acs::Session as AcsSession;
pub use cpe::Session as CpeSession;
pub use dm::retry;
pub use error::Error;
pub use fault::{Fault, FaultCode};
pub use rpc::{Method, Request, Response};
pub use soap::Envelope;
pub use version::Version;
