//! `[usp.session_context]`: end-to-end session contexts. Deliberately the same for all agents.

use serde::Deserialize;

/// End-to-end session contexts with agents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionContext {
    /// Whether messages travel in them.
    pub mode: SessionMode,
    /// Largest record to send in them, bytes; 0 is no limit, otherwise 512 at least.
    #[serde(deserialize_with = "record_bytes")]
    pub record_bytes_max: usize,
    /// How often one record is sent again when an agent asks for it.
    pub retransmits_max: u32,
}

impl Default for SessionContext {
    fn default() -> Self {
        Self {
            mode: SessionMode::default(),
            record_bytes_max: 0,
            retransmits_max: 3,
        }
    }
}

impl SessionContext {
    /// For the protocol's sessions.
    pub fn config(&self) -> usp::context::Config {
        use usp::context::Mode;
        usp::context::Config {
            mode: match self.mode {
                SessionMode::Forbid => Mode::Forbid,
                SessionMode::Allow => Mode::Allow,
                SessionMode::Require => Mode::Require,
            },
            record_bytes_max: self.record_bytes_max,
            retransmits_max: Some(self.retransmits_max),
            ..usp::context::Config::default()
        }
    }
}

fn record_bytes<'de, D: serde::Deserializer<'de>>(value: D) -> Result<usize, D::Error> {
    let bytes = usize::deserialize(value)?;
    match bytes {
        1..512 => Err(serde::de::Error::custom("must be 0 or at least 512")),
        bytes => Ok(bytes),
    }
}

/// Whether messages travel in session contexts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SessionMode {
    /// Never: an agent that tries is told 7106.
    Forbid,
    /// When the agent opens one.
    #[default]
    Allow,
    /// Always: agents that refuse are not managed.
    Require,
}
