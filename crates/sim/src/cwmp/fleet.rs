//! Many simulated CWMP devices in one process, and what can be done to them from outside.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mtp::tls::{ClientTls, ClientTlsConfig, Roots};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::blueprint::{Blueprint, Kind};
use super::device::Device;
use super::driver::{Counts, Driver, Levers, now};
use super::knock::{self, Doors, Order, Shared};
use super::provision::Provision;
use super::trouble::Troubles;
use super::{flash, tree};
use crate::cpe::BlueprintError;

/// What to run and where to connect.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// How many devices of each kind.
    pub counts: Vec<(Kind, u32)>,
    /// The number of the first device of each kind.
    pub first_number: u32,
    /// Makes the fleet repeatable.
    pub seed: u64,
    /// The factory settings; where connection requests go is filled in.
    pub provision: Provision,
    /// Where connection requests come in.
    pub listen: SocketAddr,
    /// What goes wrong.
    pub troubles: Troubles,
    /// PEM file of an authority to trust for `https://`.
    pub ca_file: Option<PathBuf>,
    /// Where each device keeps its flash; absent keeps it in memory.
    pub data: Option<PathBuf>,
    /// Devices switched on per second.
    pub ramp_per_second: u32,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            counts: Vec::new(),
            first_number: 1,
            seed: 1,
            provision: Provision::default(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            troubles: Troubles::default(),
            ca_file: None,
            data: None,
            ramp_per_second: 50,
        }
    }
}

/// Why a fleet could not be started.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A model names what the standard does not know.
    #[error(transparent)]
    Blueprint(#[from] BlueprintError),
    /// Connection requests cannot come in.
    #[error("cannot listen for connection requests at {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The authority's file cannot be used.
    #[error("cannot trust the authority: {0}")]
    Tls(String),
    /// A device's flash cannot be used.
    #[error("{path}: {reason}")]
    Flash {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        reason: std::io::Error,
    },
}

/// Devices that run until they are dropped or stopped.
pub struct Fleet {
    devices: Vec<Arc<Shared>>,
    counts: Arc<Counts>,
    levers: Arc<Levers>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    listens: SocketAddr,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Fleet {
    /// Switches all devices on, one after the other.
    ///
    /// # Errors
    /// [`FleetError`] before any device is started.
    pub async fn start(config: FleetConfig) -> Result<Self, FleetError> {
        let refused = |error| FleetError::Listen(config.listen, error);
        let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
        let listens = listener.local_addr().map_err(refused)?;
        let mut provision = config.provision.clone();
        provision.knock = Some(format!("http://{listens}"));
        // Files may be over https where the ACS is not.
        let tls = Some(tls(config.ca_file.clone())?);
        if let Some(path) = &config.data {
            std::fs::create_dir_all(path).map_err(|reason| FleetError::Flash {
                path: path.clone(),
                reason,
            })?;
        }
        let mut fleet = Self {
            devices: Vec::new(),
            counts: Arc::default(),
            levers: Arc::default(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            listens,
        };
        let doors = Arc::<Doors>::default();
        let pause = Duration::from_secs(1) / config.ramp_per_second.max(1);
        let mut drivers = Vec::new();
        for (kind, count) in &config.counts {
            let blueprint = Blueprint::new(*kind, &provision)?;
            for number in config.first_number..config.first_number.saturating_add(*count) {
                let driver = fleet.device(&config, &blueprint, number, &tls, &doors)?;
                drivers.push(driver);
            }
        }
        let shutdown = &fleet.shutdown;
        let listening = knock::listen(listener, doors, shutdown.clone());
        fleet.tasks.spawn(listening);
        for (driver, turn) in drivers.into_iter().zip(0u32..) {
            fleet
                .tasks
                .spawn(driver.run(pause * turn, shutdown.clone()));
        }
        fleet.tasks.close();
        Ok(fleet)
    }

    fn device(
        &mut self,
        config: &FleetConfig,
        blueprint: &Arc<Blueprint>,
        number: u32,
        tls: &Option<ClientTls>,
        doors: &Doors,
    ) -> Result<Driver, FleetError> {
        let identity = (number, config.seed);
        let behind_nat = config.provision.behind_nat;
        let new = |own| {
            let blueprint = blueprint.clone();
            Device::new(
                blueprint,
                identity,
                own,
                config.troubles,
                behind_nat,
                now().at,
            )
        };
        let mut device = new(tree::Own::default());
        let flash = config.data.as_ref();
        let flash = flash.map(|folder| folder.join(format!("cwmp-{}.json", device.serial())));
        if let Some(path) = &flash {
            let read = flash::read(path).map_err(|reason| FleetError::Flash {
                path: path.clone(),
                reason,
            })?;
            device = new(read);
        }
        let shared = Arc::<Shared>::default();
        doors.add(device.knock_path(), shared.clone());
        self.devices.push(shared.clone());
        let of_all = (self.counts.clone(), self.levers.clone());
        Ok(Driver::new(device, shared, of_all, tls.clone(), flash))
    }

    /// How many devices there are, switched on or not.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// What happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Where connection requests come in.
    pub fn listens(&self) -> SocketAddr {
        self.listens
    }

    /// Somebody at the home of a device (counted from 0 in the order of its kind) changes a value.
    pub fn poke(&self, device: usize, path: &str, value: &str) {
        if let Some(shared) = self.devices.get(device) {
            shared.order(Order::Poke(path.to_owned(), value.to_owned()));
        }
    }

    /// Cuts the power of a device for a while.
    pub fn power_cut(&self, device: usize, down: Duration) {
        if let Some(shared) = self.devices.get(device) {
            shared.order(Order::PowerCut(down));
        }
    }

    /// Whether each session of all devices is followed at once by the next.
    pub fn restless(&self, wanted: bool) {
        self.levers.restless.store(wanted, Ordering::Relaxed);
        if wanted {
            self.inform();
        }
    }

    /// Whether sessions stop after the InformResponse, open and without a word.
    pub fn hold(&self, wanted: bool) {
        self.levers.hold.send_replace(wanted);
    }

    /// Sessions that have stopped.
    pub fn held(&self) -> u64 {
        self.levers.held.load(Ordering::Relaxed)
    }

    /// All devices inform.
    pub fn inform(&self) {
        let all = self.devices.iter();
        all.for_each(|shared| shared.order(Order::Inform));
    }

    /// Switches all devices off, without a word to the ACS, and waits until their flash is written.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.wait().await;
    }
}

/// Runs a fleet until `shutdown`.
///
/// # Errors
/// [`FleetError`] before any device is started.
pub async fn run(config: FleetConfig, shutdown: CancellationToken) -> Result<(), FleetError> {
    let fleet = Fleet::start(config).await?;
    shutdown.cancelled().await;
    fleet.stop().await;
    Ok(())
}

/// What a device trusts: this authority, or else the public ones.
pub(crate) fn tls(ca_file: Option<PathBuf>) -> Result<ClientTls, FleetError> {
    let settings = ClientTlsConfig {
        roots: ca_file.map_or(Roots::Public, Roots::Only),
        ..ClientTlsConfig::default()
    };
    ClientTls::load(&settings).map_err(|error| FleetError::Tls(error.to_string()))
}
