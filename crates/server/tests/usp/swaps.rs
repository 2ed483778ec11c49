//! A setup key that is swapped for a credential, where something comes in between.

use std::net::SocketAddr;

use fleet::NodeId;
use rand::random;
use server::secret;
use server::state::now;
use store::testing::databases;
use store::{Swap, SwapClaim};
use usp::agent::Event;
use usp::msg::{self, Map, Request};

use crate::mqtt::dial;
use crate::puppet::{Puppet, Reply, Seen, plain};
use crate::rig::{Box1, World, each, registered, soon, until};

const EID: &str = "os::00256D-P1";

/// What a device shows that reaches us by WebSocket with this path, and by STOMP as this user.
fn both(request: &Request, own: &str, path: &str, user: &str) -> Reply {
    let Request::Get(get) = request else {
        return match request {
            Request::Set(_) => Reply::Stop,
            other => plain(other),
        };
    };
    let rows: &[(&str, &str, &str)] = &[
        ("Device.LocalAgent.Controller.", "1.EndpointID", own),
        ("Device.LocalAgent.Controller.", "1.MTP.1.Enable", "true"),
        (
            "Device.LocalAgent.Controller.",
            "1.MTP.1.Protocol",
            "WebSocket",
        ),
        (
            "Device.LocalAgent.Controller.",
            "1.MTP.1.WebSocket.Path",
            path,
        ),
        ("Device.LocalAgent.Controller.", "1.MTP.2.Enable", "true"),
        ("Device.LocalAgent.Controller.", "1.MTP.2.Protocol", "STOMP"),
        (
            "Device.LocalAgent.Controller.",
            "1.MTP.2.STOMP.AgentMTPReference",
            "Device.LocalAgent.MTP.2",
        ),
        ("Device.LocalAgent.MTP.", "2.Protocol", "STOMP"),
        (
            "Device.LocalAgent.MTP.",
            "2.STOMP.Reference",
            "Device.STOMP.Connection.1",
        ),
        ("Device.STOMP.Connection.1.", "Username", user),
    ];
    let mut results = Vec::new();
    for wanted in &get.param_paths {
        let mut result = msg::RequestedPathResult {
            requested_path: wanted.clone(),
            ..Default::default()
        };
        for (object, name, value) in rows {
            if wanted == object || *wanted == format!("{object}{name}") {
                result.resolved_path_results.push(msg::ResolvedPathResult {
                    resolved_path: (*object).to_owned(),
                    result_params: Map::from([(*name, *value)]),
                });
            }
        }
        results.push(result);
    }
    if results
        .iter()
        .all(|one| one.resolved_path_results.is_empty())
    {
        return plain(request);
    }
    let answer = msg::GetResp {
        req_path_results: results,
    };
    Reply::With(Ok(answer.into()))
}

/// What a device is asked to set when it comes to this server with its setup key.
async fn set(puppet: &mut Puppet, world: &World) -> Vec<String> {
    let (path, user) = (
        format!("/usp/{}", world.key),
        format!("{}/setup", world.tenant),
    );
    let seen = puppet.serve(|request| both(request, &world.own, &path, &user));
    let Seen::Event(Event::Requested { request, .. }) = soon(seen).await else {
        panic!("it is not asked to set anything");
    };
    let Request::Set(set) = request else {
        panic!("{request:?}");
    };
    let named = set.update_objs.iter().flat_map(|object| {
        let params = object.param_settings.iter();
        params.map(move |one| format!("{}{}", object.obj_path, one.param))
    });
    named.collect()
}

#[tokio::test]
async fn a_device_whose_link_breaks_while_its_key_is_swapped_is_given_one_by_the_next_server() {
    each(|world| async move {
        let second = world.beside().await;
        let url = world.url(&world.key);
        let mut puppet = Puppet::dial(&url, EID, &world.own).await.unwrap();
        set(&mut puppet, &world).await;
        // Whether it has taken that it does not say.
        drop(puppet);
        let url = format!("ws://{}/usp/{}", second.usp, world.key);
        let mut puppet = Puppet::dial(&url, EID, &world.own).await.unwrap();
        let asked = set(&mut puppet, &world).await;
        assert!(asked.iter().any(|name| name.ends_with("WebSocket.Path")));
        second.shutdown.cancel();
    })
    .await;
}

/// As when it was killed.
#[tokio::test]
async fn a_device_does_not_keep_its_setup_key_because_another_server_was_about_to_swap_it() {
    for db in databases().await.unwrap() {
        let world = World::with(db, |config, _| {
            config.mqtt.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        })
        .await;
        let endpoint = Box1::new("M1").endpoint();
        let device = registered(&world, &endpoint).await;
        let (store, tenant) = (&world.store, &world.tenant);
        let came = store.path_came(tenant, device, "mqtt", &endpoint, world.key_id);
        came.await.unwrap();
        let claim = SwapClaim {
            node: NodeId::parse("gone").unwrap(),
            at: now(),
            until: now().plus(std::time::Duration::from_secs(6)),
            alone: false,
            brokered: false,
        };
        let hash = secret::hash(&format!("{}", random::<u64>()));
        let swap = store.path_swap(tenant, device, "mqtt", hash, claim, vec![]);
        assert_eq!(swap.await.unwrap(), Swap::Claimed);
        let agent = dial(&world, "M1", "5.0", "Allow");
        until("it comes with its own token", async || {
            let path = store.path(tenant, device, "mqtt").await.unwrap().unwrap();
            (path.has_current && path.authenticated_by == "device_token").then_some(())
        })
        .await;
        agent.stop().await;
    }
}

#[tokio::test]
async fn what_a_device_is_given_over_websocket_opens_its_stomp_connection_too() {
    each(|world| async move {
        let url = world.url(&world.key);
        let mut puppet = Puppet::dial(&url, EID, &world.own).await.unwrap();
        let mut asked = set(&mut puppet, &world).await;
        asked.sort();
        assert_eq!(
            asked,
            [
                "Device.LocalAgent.Controller.1.MTP.1.WebSocket.Path",
                "Device.STOMP.Connection.1.Password",
                "Device.STOMP.Connection.1.Username",
            ]
        );
    })
    .await;
}
