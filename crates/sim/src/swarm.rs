//! Many simulated CPEs on real sockets in one process, each one task of the agent library.

use crate::cpe::{Blueprint, BlueprintError, Cpe};
use crate::cwmp::tls;
use crate::model::{Kind, ModelError};
use agent::{AgentConfig, ControllerConfig, FileStorage, MemoryStorage, RunOptions};
pub use agent::{MqttAddress, MqttConfig, StompAddress, StompConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What to run and where to connect.
#[derive(Clone, Debug)]
pub struct SwarmConfig {
    /// How many devices.
    pub count: u32,
    /// Which kinds, repeated in this order.
    pub kinds: Vec<Kind>,
    /// The serial number of the first device of each kind.
    pub first_number: u32,
    /// Makes the fleet repeatable.
    pub seed: u64,
    /// The controller's endpoint id.
    pub controller: String,
    /// The controller's URL, with the credential in it; over MQTT and STOMP the broker's.
    pub url: String,
    /// What the broker is told, where the URL is one of MQTT; `{endpoint}` in the user name is each device's own.
    pub mqtt: Option<MqttConfig>,
    /// What the server is told, where the URL is one of STOMP; the same holds there.
    pub stomp: Option<StompConfig>,
    /// PEM file of an authority to trust for `wss://`, `mqtts://`, `mqtt+wss://` and `stomps://`.
    pub ca_file: Option<PathBuf>,
    /// Where each device keeps its flash; absent keeps it in memory.
    pub data: Option<PathBuf>,
    /// Devices started per second.
    pub ramp_per_second: u32,
    /// The shortest wait of a device before it dials again, in seconds.
    pub retry_min_wait: u32,
}

/// Why a fleet could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SwarmError {
    /// A model file is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model names what the standard does not know.
    #[error(transparent)]
    Blueprint(#[from] BlueprintError),
    /// A device's folder cannot be used.
    #[error("{path}: {reason}")]
    Storage {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The authority to trust cannot be used.
    #[error("{0}")]
    Tls(String),
    /// No kind was asked for.
    #[error("a fleet needs at least one kind of device")]
    NoKinds,
}

/// A shortest wait before a device dials again, in seconds, with which a demo is lively.
pub const RETRY_MIN_WAIT: u32 = 1;

/// Runs until `shutdown`.
///
/// # Errors
/// [`SwarmError`] before any device is started, or when one's folder cannot be used.
pub async fn run(config: SwarmConfig, shutdown: CancellationToken) -> Result<(), SwarmError> {
    let blueprints = config
        .kinds
        .iter()
        .map(|kind| Ok(Blueprint::new(kind.model()?)?))
        .collect::<Result<Vec<Arc<Blueprint>>, SwarmError>>()?;
    if blueprints.is_empty() {
        return Err(SwarmError::NoKinds);
    }
    // Devices that speak TLS fetch their files over it too.
    let encrypted = ["wss://", "mqtts://", "mqtt+wss://", "stomps://"];
    let tls = match encrypted
        .iter()
        .any(|scheme| config.url.starts_with(scheme))
    {
        true => {
            Some(tls(config.ca_file.clone()).map_err(|error| SwarmError::Tls(error.to_string()))?)
        }
        false => None,
    };
    let pause = Duration::from_secs(1) / config.ramp_per_second.max(1);
    let mut tasks = JoinSet::new();
    for index in 0..config.count {
        let kinds = blueprints.len() as u32;
        let blueprint = blueprints[(index % kinds) as usize].clone();
        let cpe = Cpe::new(blueprint, config.first_number + index / kinds, config.seed)
            .trusting(tls.clone());
        start(&mut tasks, &config, cpe, &shutdown)?;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => break,
        }
    }
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a simulated device has ended"),
            Err(error) => tracing::error!(%error, "a simulated device has failed"),
        }
    }
    Ok(())
}

fn start(
    tasks: &mut JoinSet<Result<(), String>>,
    config: &SwarmConfig,
    cpe: Cpe,
    shutdown: &CancellationToken,
) -> Result<(), SwarmError> {
    let endpoint = cpe.endpoint_id();
    let (mut mqtt, mut stomp) = (config.mqtt.clone(), config.stomp.clone());
    let at_mqtt = mqtt.as_mut().map(|mqtt| &mut mqtt.username);
    let at_stomp = stomp.as_mut().map(|stomp| &mut stomp.username);
    for name in at_mqtt.into_iter().chain(at_stomp) {
        *name = name.replace("{endpoint}", &endpoint);
    }
    let mut agent_config = AgentConfig {
        endpoint_id: endpoint,
        controllers: vec![ControllerConfig {
            endpoint_id: config.controller.clone(),
            url: config.url.clone(),
            mqtt,
            retry_min_wait: config.retry_min_wait,
            stomp,
            ..ControllerConfig::default()
        }],
        ..AgentConfig::default()
    };
    agent_config.tls.ca_file = config.ca_file.clone();
    let mut options = RunOptions {
        storage: Box::new(MemoryStorage::new()),
        seed: crate::motion::seed_of(config.seed, &agent_config.endpoint_id),
        ..RunOptions::default()
    };
    if let Some(folder) = &config.data {
        let path = folder.join(cpe.serial());
        let storage = FileStorage::open(&path).map_err(|error| SwarmError::Storage {
            path,
            reason: error.to_string(),
        })?;
        options.storage = Box::new(storage);
    }
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        let name = agent_config.endpoint_id.clone();
        agent::run(agent_config, Box::new(cpe), options, shutdown)
            .await
            .map_err(|error| format!("{name}: {error}"))
    });
    Ok(())
}
