//! One device with a link of USP and sessions of CWMP at the same time: what is under way over one of them is not
//! touched by the other.

use std::collections::BTreeMap;

use fleet::matching::Trust;
use fleet::operation::Request;
use fleet::{DeviceId, Identity, Operation, OperationId, OperationState, TenantId};
use serde_json::{Value, json};
use server::state::now;
use usp::msg;

use crate::puppet::{Puppet, Reply, Seen, plain};
use crate::raw::Cpe;
use crate::world::{World, until};

const TABLE: &str = "Device.NAT.PortMapping.";

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

async fn stored(world: &World, device: DeviceId, request: Request) -> OperationId {
    let id = OperationId(uuid::Uuid::now_v7());
    let expires = now().plus(fleet::limits::EXPIRY_DEFAULT);
    let operation = Operation::new(id, tenant(), device, request, "test", now(), expires);
    let (store, tenant) = (world.store(), tenant());
    let inserted = store.operation_insert(&tenant, operation, None, vec![]);
    inserted.await.unwrap();
    id
}

async fn ended(world: &World, id: OperationId) -> Operation {
    until("the operation ends", async || {
        let record = world.store().operation(&tenant(), id).await.unwrap();
        record.operation.state.is_final()
    })
    .await;
    let record = world.store().operation(&tenant(), id).await.unwrap();
    record.operation
}

/// The table has no rows, and a new one stays open for the test.
fn answers(request: &msg::Request) -> Reply {
    match request {
        msg::Request::GetInstances(ask) => {
            let results = ask.obj_paths.iter().map(|path| msg::InstancesPathResult {
                requested_path: path.clone(),
                ..Default::default()
            });
            Reply::With(Ok(msg::GetInstancesResp {
                req_path_results: results.collect(),
            }
            .into()))
        }
        msg::Request::Add(add) if add.create_objs[0].obj_path == TABLE => Reply::Stop,
        other => plain(other),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_comes_and_goes_in_the_middle_of_an_add_over_usp_changes_nothing_for_it() {
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, |config| config.matching.serial = Trust::Merge).await;
    world.populate().await;
    let made = world.post("/api/v1/setup-keys", json!({"name": "van"}));
    let key: Value = made.await.json().await.unwrap();
    let key = key["secret"].as_str().unwrap().to_owned();
    let url = format!("ws://{}/usp/{key}", world.usp.unwrap());
    let own = "os::00256D-S1";
    let mut puppet = Puppet::dial(&url, own, &world.endpoint).await.unwrap();
    let name = Identity::endpoint(own);
    let known = async || {
        let found = world.store().device_by_identity(&tenant(), &name).await;
        found.unwrap()
    };
    until("it is registered", async || known().await.is_some()).await;
    let device = known().await.unwrap();
    let request = Request::Add {
        object: TABLE.to_owned(),
        values: BTreeMap::new(),
    };
    let add = stored(&world, device, request).await;
    let Seen::Event(usp::agent::Event::Requested { token, request, .. }) =
        puppet.serve(answers).await
    else {
        panic!("the row is not asked for");
    };

    let cpe = Cpe::new(world.cwmp.unwrap(), "S1").await;
    cpe.with("default", &key).session().await;
    let sessions = format!("/api/v1/devices/{device}/sessions");
    until("the session is over", async || {
        let page = world.read(&sessions).await;
        !page["items"].as_array().unwrap().is_empty()
    })
    .await;

    let Reply::With(added) = plain(&request) else {
        panic!("{request:?}");
    };
    puppet.session.respond(token, added).unwrap();
    let serving = tokio::spawn(async move { puppet.serve(answers).await });
    let add = ended(&world, add).await;
    assert_eq!(add.outcome.cause, None, "{add:?}");
    assert_eq!(add.progress.rows, [format!("{TABLE}1.")]);
    // And what is asked now goes over the link that is there.
    let request = Request::Get {
        paths: vec!["Device.DeviceInfo.".to_owned()],
        max_depth: 0,
    };
    let read = ended(&world, stored(&world, device, request).await).await;
    assert_eq!(read.state, OperationState::Succeeded, "{read:?}");
    serving.abort();
}
