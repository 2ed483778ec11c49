//! Over which protocols a device can be asked. Only their names: what they are is the adapters' matter.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A protocol in which devices are asked: an adapter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TR-369: its links stay open.
    Usp,
    /// TR-069: a link is a session, and ends.
    Cwmp,
}

impl Protocol {
    /// Its name, as devices have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usp => "usp",
            Self::Cwmp => "cwmp",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Usp => 1,
            Self::Cwmp => 2,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The protocols over which one device can be asked now; at most one link for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Links(u8);

impl Links {
    /// It can be asked over this one, too.
    pub fn add(&mut self, over: Protocol) {
        self.0 |= over.bit();
    }

    /// It cannot be asked over this one any more.
    pub fn remove(&mut self, over: Protocol) {
        self.0 &= !over.bit();
    }

    /// Whether it can be asked over this one.
    pub fn has(self, over: Protocol) -> bool {
        self.0 & over.bit() != 0
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = Protocol> {
        let all = [Protocol::Usp, Protocol::Cwmp];
        all.into_iter().filter(move |over| self.has(*over))
    }

    /// Whether it cannot be asked at all.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The one to ask over: a link that stays goes before one that ends.
    pub fn best(self) -> Option<Protocol> {
        self.each().next()
    }
}
