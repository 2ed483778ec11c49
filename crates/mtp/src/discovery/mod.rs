//! How the two ends find one another (TR-369 "Discovery"): what a DHCP server says about a controller
//! ([`dhcp`]), how it is told to ([`dnsmasq`]), what DHCP clients keep of it ([`lease`]), who is behind a domain
//! ([`domain`]), and who is on the local network ([`dns_sd`]).
//!
//! Deliberately no DHCP client and no DHCP server: devices and operators have both.

pub mod dhcp;
pub mod dns_sd;
pub mod dnsmasq;
pub mod domain;
pub mod lease;
