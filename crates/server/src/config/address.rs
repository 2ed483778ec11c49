//! Addresses of listeners as texts.

use std::net::SocketAddr;

use serde::Deserialize;

/// An address, or none where the text is empty.
pub(super) fn address_or_none<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.is_empty() {
        true => Ok(None),
        false => parsed(&text).map(Some),
    }
}

/// An address.
pub(super) fn address<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<SocketAddr, D::Error> {
    parsed(&String::deserialize(deserializer)?)
}

fn parsed<E: serde::de::Error>(text: &str) -> Result<SocketAddr, E> {
    text.parse().map_err(|_| {
        E::custom(format!(
            "{text:?} is not an address with a port, like 0.0.0.0:8081"
        ))
    })
}
