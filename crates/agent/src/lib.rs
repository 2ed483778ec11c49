//! A USP agent as a library: the data-model [`Engine`], the [`Backend`] a device implements, and the tokio driver
//! [`run`]. The binary `headend-agent` is this with the [`linux`] back end.
//!
//! Deliberately not here: any device but Linux (simulated ones are in `sim`), record and message encoding (`usp`),
//! sockets (`mtp`), globals of any kind: a process may hold thousands of agents.

mod backend;
mod config;
mod driver;
mod engine;
mod fault;
pub mod limits;
pub mod linux;
mod model;
mod storage;

pub use backend::{
    Backend, Call, Change, CommandResult, Hint, Notifier, Now, Outcome, Restart, View, Watch,
};
pub use config::{
    AgentConfig, ConfigError, ControllerConfig, DeviceConfig, DiscoveryConfig, ListenConfig,
    MqttAddress, MqttConfig, RebootConfig, ServicesConfig, StompAddress, StompConfig, TlsConfig,
    TrustConfig, WebSocketAddress,
};
pub use driver::{Clock, RunError, RunOptions, SystemClock, run};
pub use engine::{
    ControllerLink, Effect, Engine, EngineError, Found, Handled, MqttLink, Outgoing, Reach,
    Refused, SessionSettings, Source, StompLink,
};
pub use fault::Fault;
pub use model::{model, model_from, model_with, read_only};
pub use storage::{Entry, FileStorage, MemoryStorage, NoStorage, Storage, StorageError};
