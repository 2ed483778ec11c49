//! USP Services: what another process of a device adds to it is known, read and written like the rest, and does not
//! count for others of its kind.

use std::sync::Arc;

use agent::{AgentConfig, Backend, ControllerConfig, MemoryStorage, RunOptions, ServicesConfig};
use dm::{BaseType, ObjectDef, ParamDef, Schema};
use fleet::DeviceId;
use fleet::southbound::{Answer, Failure, ObjectSettings, Op, Setting};
use tokio_util::sync::CancellationToken;

use crate::rig::{PATIENCE, Real, World, each, until};

const METER: &str = "Device.X_TEST_Meter.";
const NAME: &str = "Device.X_TEST_Meter.Name";

struct Meter(Arc<Schema>);

impl Backend for Meter {
    fn schema(&self) -> Arc<Schema> {
        self.0.clone()
    }
}

/// The service, until it is stopped.
fn service(broker: &str, socket: &str) -> CancellationToken {
    let config = AgentConfig {
        endpoint_id: "self::meter".into(),
        controllers: vec![ControllerConfig {
            endpoint_id: broker.into(),
            url: format!("unix://{socket}"),
            register: vec![METER.into()],
            ..ControllerConfig::default()
        }],
        ..AgentConfig::default()
    };
    let name = ParamDef::new("Name", BaseType::String).read_write();
    let meter = ObjectDef::new(METER).with_param(name);
    let model = agent::model_with::<&str>(&[], [meter]).unwrap();
    let stop = CancellationToken::new();
    let backend = Box::new(Meter(model));
    let options = RunOptions::default();
    tokio::spawn(agent::run(config, backend, options, stop.clone()));
    stop
}

/// Asks; a device that is about to come back with its own credential is asked again.
async fn ask(world: &mut World, device: DeviceId, op: impl Fn() -> Op) -> Answer {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match world.ask(device, op()).await {
            Ok(answer) => return answer,
            Err(Failure::Unsent { .. } | Failure::Lost { .. }) => {
                assert!(tokio::time::Instant::now() < deadline, "it stays away");
                tokio::task::yield_now().await;
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn knows(world: &World, endpoint: &str) -> bool {
    let record = world.device(endpoint).await;
    let record = world.store.device(&world.tenant, record).await.unwrap();
    let model = world.store.model(&world.tenant, record.model_key()).await;
    model.unwrap().unwrap().model.objects.contains_key(METER)
}

#[tokio::test]
async fn what_a_service_adds_to_a_device_is_known_as_long_as_it_is_there() {
    each(|mut world| async move {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("controller");
        let url = world.url(&world.key);
        let start = |serial: &str, socket: Option<std::path::PathBuf>| {
            let controller = ControllerConfig {
                endpoint_id: world.own.clone(),
                url: url.clone(),
                retry_min_wait: 1,
                ..ControllerConfig::default()
            };
            Real::run(serial, MemoryStorage::new(), |config| {
                config.controllers = vec![controller];
                config.services = socket.map(|path| ServicesConfig {
                    broker_controller: Some(path),
                    ..ServicesConfig::default()
                });
            })
            .0
        };
        let device = start("SVC1", Some(socket.clone()));
        let sibling = start("SVC2", None);
        world.onboarded(&device.endpoint).await;
        world.onboarded(&sibling.endpoint).await;
        assert!(!knows(&world, &device.endpoint).await);

        let stop = service(&device.endpoint, &socket.display().to_string());
        let endpoint = device.endpoint.as_str();
        let (w, e) = (&world, endpoint);
        until("the service is known", || async {
            knows(w, e).await.then_some(())
        })
        .await;
        assert!(!knows(&world, &sibling.endpoint).await);

        let id = world.device(endpoint).await;
        let set = || Op::Set {
            objects: vec![ObjectSettings {
                object: METER.into(),
                settings: vec![Setting {
                    name: "Name".into(),
                    value: "by the server".into(),
                    required: true,
                }],
            }],
            allow_partial: false,
        };
        let answer = ask(&mut world, id, set).await;
        assert!(matches!(answer, Answer::Set(_)), "{answer:?}");
        let get = || Op::Get {
            paths: vec![NAME.into()],
            max_depth: 0,
        };
        let Answer::Values(values) = ask(&mut world, id, get).await else {
            panic!("no values");
        };
        assert_eq!(values[0].result.as_ref().unwrap()[0].value, "by the server");

        stop.cancel();
        let (w, e) = (&world, endpoint);
        until("it is forgotten", || async {
            (!knows(w, e).await).then_some(())
        })
        .await;
        device.stop().await;
        sibling.stop().await;
    })
    .await;
}
