//! What the API says of devices that speak TR-069, where that differs from USP: who was turned away in their name, how
//! they are let in, and how they are pointed at this server.

use fleet::{DeviceId, Identity, NodeId, TenantId};
use reqwest::Method;
use serde_json::{Value, json};
use server::config::{Config, DeviceTls, Xmpp};
use server::state::now;
use sha2::{Digest, Sha256};
use store::path::PathLink;
use store::{NewRefusal, Visit, VisitPath};

use crate::one_device::cwmp;
use crate::raw::Cpe;
use crate::world::{World, worlds};

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

async fn turned_away(world: &World, name: &str, reason: &str) {
    let refusal = NewRefusal {
        at: now(),
        reason: reason.to_owned(),
        detail: String::new(),
        peer: "192.0.2.9:4712".to_owned(),
        source: "192.0.2.9".to_owned(),
        endpoint_id: name.to_owned(),
        transport: "cwmp".to_owned(),
        key: Sha256::digest(format!("{name} {reason}")).into(),
    };
    let (store, others) = (world.store(), Sha256::digest(reason).into());
    let recorded = store.refusal_record(Some(&tenant()), refusal, others).await;
    recorded.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_turned_away_in_the_name_of_a_cpe_is_told_with_the_cpe() {
    for world in worlds().await {
        let device = cwmp(&world, "R1").await;
        let path = format!("/api/v1/devices/{device}");
        turned_away(&world, "00256D-Box-R2", "readmit_needed").await;
        // What it did after it was let in is shown, and is no refusal of it.
        turned_away(&world, "00256D-Box-R1", "broken-message").await;
        let admission = world.read(&path).await["admission"].to_string();
        assert!(!admission.contains("refused"), "{admission}");
        // As whom it came, in its own words or with the user name it was given.
        turned_away(&world, "00256D-Box-R1", "readmit_needed").await;
        turned_away(&world, &device.to_string(), "unknown_credential").await;
        let reach = world.read(&format!("{path}/reach")).await;
        let refused = reach["refusals"].as_array().unwrap();
        let mut reasons: Vec<_> = refused
            .iter()
            .map(|one| one["reason"].as_str().unwrap())
            .collect();
        reasons.sort_unstable();
        assert_eq!(
            reasons,
            ["broken-message", "readmit_needed", "unknown_credential"]
        );
        assert!(
            refused
                .iter()
                .all(|one| one["device_id"] == device.to_string())
        );
        let admission = world.read(&path).await["admission"].to_string();
        assert!(admission.contains("It was refused at"), "{admission}");
        // The doctor finds it by what people call it, too.
        let patched = world
            .request(Method::PATCH, &path)
            .json(&json!({"label": "Corner bakery"}));
        assert_eq!(patched.send().await.unwrap().status(), 200);
        let found = world.read("/api/v1/doctor?device=bakery").await;
        let codes = found["findings"].to_string();
        assert!(codes.contains("device-readmit-needed"), "{codes}");
    }
}

/// It comes again, and this is known of how it did.
async fn visited(world: &World, device: DeviceId, info: Value) {
    let visit = Visit {
        device,
        at: now(),
        expected_by: now().plus(std::time::Duration::from_secs(3600)),
        path: VisitPath {
            transport: "cwmp".to_owned(),
            endpoint_id: "00256D-Box-R1".to_owned(),
            peer: "192.0.2.9:4711".to_owned(),
            authenticated_by: "setup_key".to_owned(),
            setup_key: None,
            info,
        },
    };
    let (store, tenant) = (world.store(), tenant());
    store.device_visited(&tenant, vec![visit]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_the_server_would_not_send_is_refused_with_what_it_needs() {
    for world in worlds().await {
        let device = cwmp(&world, "R1").await;
        let path = format!("/api/v1/devices/{device}/operations");
        let asked = async |command: &str, input: Value, mode: &str| {
            let op = json!({"kind": "operate", "command": command, "input": input});
            let asked = world.post(&path, json!({"ops": [op], "mode": mode})).await;
            let status = asked.status().as_u16();
            (status, asked.json::<Value>().await.unwrap())
        };
        let download = "Device.X_HEADEND_Download()";
        for (command, input, problem) in [
            (download, json!({}), "it needs a FileType"),
            (download, json!({"FileType": "2 Web"}), "it needs a URL"),
            (
                download,
                json!({"FileType": "2 Web", "URL": "http://x", "DelaySeconds": "soon"}),
                "DelaySeconds is no number that fits: soon",
            ),
            (
                download,
                json!({"FileType": "2 Web", "URL": "http://x", "TimeWindow.1.Start": "0"}),
                "TimeWindow.1.End is no number of seconds: ``",
            ),
            (
                "Device.X_HEADEND_Upload()",
                json!({"FileType": "4 Log"}),
                "it needs a URL",
            ),
            (
                "Device.X_HEADEND_GetParameterAttributes()",
                json!({}),
                "it needs Paths, separated by commas",
            ),
        ] {
            let (status, seen) = asked(command, input.clone(), "preview").await;
            assert_eq!(status, 200, "{seen:#}");
            let item = &seen["preview"]["items"][0];
            assert_eq!(item["path"], command, "{seen:#}");
            let told = item["problem"].as_str().unwrap();
            assert!(told.contains(problem), "{told}");
            assert_eq!(seen["preview"]["blocked"], true);
            let (status, refused) = asked(command, input, "apply").await;
            assert_eq!(status, 422, "{refused:#}");
            assert_eq!(refused["errors"][0]["problem"], problem);
        }
        let mut whole = json!({"FileType": "2 Web", "URL": "http://x"});
        let (_, seen) = asked(download, whole.clone(), "preview").await;
        assert_eq!(seen["preview"]["blocked"], false, "{seen:#}");
        // A day is what an operation has where nothing else is said.
        whole["TimeWindow.1.Start"] = "0".into();
        whole["TimeWindow.1.End"] = "90000".into();
        let (_, seen) = asked(download, whole.clone(), "preview").await;
        let warnings = seen["preview"]["warnings"].to_string();
        assert!(warnings.contains("90000 s from now"), "{warnings}");
        for (version, blocked) in [("1.1", true), ("1.2", false)] {
            visited(&world, device, json!({"cwmp_version": version})).await;
            let (_, seen) = asked(download, whole.clone(), "preview").await;
            assert_eq!(seen["preview"]["blocked"], blocked, "{seen:#}");
            let told = seen["preview"]["items"][0]["problem"].as_str();
            let told = told
                .unwrap_or_default()
                .contains("CWMP 1.1 has no time windows");
            assert_eq!(told, blocked, "{seen:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cpe_is_let_in_again_and_asked_for_a_certificate_on_the_way_it_has() {
    for world in worlds().await {
        let id = cwmp(&world, "R1").await;
        let device = format!("/api/v1/devices/{id}");
        let endpoint = Identity::endpoint("proto::R1-unused");
        world
            .store()
            .identity_detach(&tenant(), id, endpoint, vec![])
            .await
            .unwrap();
        let change = async |body: Value| {
            let answer = world
                .request(Method::PATCH, &device)
                .json(&body)
                .send()
                .await
                .unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        let (status, words) = change(json!({"certificate_required": true})).await;
        assert_eq!(status, 422);
        assert!(
            words.contains("cwmp.tls_listen") && !words.contains("usp.tls"),
            "{words}"
        );
        let (status, words) = change(json!({"dial_url": "ws://192.0.2.9/usp"})).await;
        assert_eq!(status, 422);
        assert!(words.contains("endpoint id"), "{words}");
        assert_eq!(
            change(json!({"label": "attic", "dial_url": ""})).await.0,
            200
        );
        let readmitted = world.post(&format!("{device}/readmit"), json!({})).await;
        assert_eq!(readmitted.status(), 200);
        let paths = world.store().path_list(&tenant(), id).await.unwrap();
        assert_eq!(paths.len(), 1, "nothing made it a device of USP");
        assert!(paths[0].readmit_until.is_some());
    }
}

/// A device of USP over MQTT: a link of it over that, and nothing else.
async fn over_mqtt(world: &World, serial: &str) -> DeviceId {
    let endpoint = format!("os::00256D-{serial}");
    let id: DeviceId = world.device(&endpoint).await.parse().unwrap();
    let (store, tenant) = (world.store(), tenant());
    let unused = store.path_delete(&tenant, id, "websocket", vec![]);
    unused.await.unwrap();
    let link = PathLink {
        transport: "mqtt".to_owned(),
        endpoint_id: endpoint,
        node: NodeId::parse("n1").unwrap(),
        peer: "192.0.2.9:4711".to_owned(),
        authenticated_by: "device_token".to_owned(),
        setup_key: None,
        info: json!({}),
        at: now(),
    };
    store
        .path_connected(&tenant, id, link, vec![])
        .await
        .unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_linked_over_mqtt_is_one_of_usp() {
    for world in worlds().await {
        let id = over_mqtt(&world, "Q1").await;
        let reach = format!("/api/v1/devices/{id}/reach");
        let alone = world.read(&reach).await;
        let way = &alone["paths"][0];
        assert_eq!(
            (&way["protocol"], &way["connected"]),
            (&json!("usp"), &json!(true))
        );
        assert_eq!(way["methods"][0]["method"], "link", "{alone:#}");
        assert_eq!(way["methods"].as_array().unwrap().len(), 1);
        // It comes over CWMP as well: that does not make its link one.
        let visit = Visit {
            device: id,
            at: now(),
            expected_by: now(),
            path: VisitPath {
                transport: "cwmp".to_owned(),
                endpoint_id: "00256D-Box-Q1".to_owned(),
                peer: "192.0.2.9:4711".to_owned(),
                authenticated_by: "setup_key".to_owned(),
                setup_key: None,
                info: json!({}),
            },
        };
        let (store, tenant) = (world.store(), tenant());
        let visited = store.device_visited(&tenant, vec![visit]);
        visited.await.unwrap();
        let both = world.read(&reach).await;
        let words = both["wake"]["words"].as_str().unwrap();
        assert!(words.starts_with("It is connected"), "{both:#}");
        // What is shown of its credential is USP's.
        let path = store.path(&tenant, id, "mqtt").await.unwrap();
        assert!(!path.unwrap().certificate_required);
        let shown = world.read(&format!("/api/v1/devices/{id}")).await;
        let credential = shown["admission"].to_string();
        store
            .path_delete(&tenant, id, "cwmp", vec![])
            .await
            .unwrap();
        let shown = world.read(&format!("/api/v1/devices/{id}")).await;
        assert_eq!(shown["admission"].to_string(), credential);
        // Nobody is asked for a certificate that no listener asks for.
        let change = world.request(Method::PATCH, &format!("/api/v1/devices/{id}"));
        let change = change.json(&json!({"certificate_required": true}));
        let answer = change.send().await.unwrap();
        assert_eq!(answer.status(), 422);
        assert!(answer.text().await.unwrap().contains("the same of mqtt"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_with_two_protocols_is_let_in_again_over_both() {
    for world in worlds().await {
        let id = world.device("os::00256D-BOTH").await;
        let device: DeviceId = id.parse().unwrap();
        let visit = Visit {
            device,
            at: now(),
            expected_by: now(),
            path: VisitPath {
                transport: "cwmp".to_owned(),
                endpoint_id: "00256D-Box-BOTH".to_owned(),
                peer: "192.0.2.9:4711".to_owned(),
                authenticated_by: "device_token".to_owned(),
                setup_key: None,
                info: json!({}),
            },
        };
        world
            .store()
            .device_visited(&tenant(), vec![visit])
            .await
            .unwrap();
        let readmitted = world
            .post(&format!("/api/v1/devices/{id}/readmit"), json!({}))
            .await;
        assert_eq!(readmitted.status(), 200);
        let paths = world.store().path_list(&tenant(), device).await.unwrap();
        assert_eq!(paths.len(), 2);
        assert!(paths.iter().all(|path| path.readmit_until.is_some()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_setup_key_says_how_a_cpe_is_pointed_at_this_server() {
    let made = async |change: fn(&mut Config)| {
        let database = store::testing::sqlite().await.unwrap();
        let mut world = World::with(database, change).await;
        world.populate().await;
        let answer = world
            .post("/api/v1/setup-keys", json!({"name": "van 7"}))
            .await;
        answer.json::<Value>().await.unwrap()["acs"].clone()
    };
    // Bound to all addresses: under the host by which the caller came.
    let acs = made(|config| config.cwmp.listen = Some(([0, 0, 0, 0], 0).into())).await;
    let url = acs["urls"][0].as_str().unwrap();
    assert!(
        url.starts_with("http://127.0.0.1:") && url.ends_with('/'),
        "{url}"
    );
    assert_eq!(acs["username"], "default");
    assert_eq!((&acs["stun"], &acs["xmpp"]), (&Value::Null, &Value::Null));
    let acs = made(|config| {
        config.cwmp.public_url = Some("https://acs.example.net/cwmp".to_owned());
        config.cwmp.stun_listen = Some(([127, 0, 0, 1], 0).into());
        config.cwmp.stun_address = Some("stun.example.net:3478".to_owned());
        config.cwmp.xmpp = Some(Xmpp {
            jid: "acs@example.net/headend".to_owned(),
            password: "hidden".to_owned(),
            host: Some("127.0.0.1:9".to_owned()),
            ..Xmpp::default()
        });
    })
    .await;
    assert_eq!(acs["urls"], json!(["https://acs.example.net/cwmp"]));
    assert_eq!(acs["stun"], "stun.example.net:3478");
    assert_eq!(acs["xmpp"], "acs@example.net/headend");
    assert!(!acs.to_string().contains("hidden"));
    assert_eq!(made(|config| config.cwmp.listen = None).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_class_with_a_dash_is_shown_as_the_device_tells_it() {
    for world in worlds().await {
        let key = world.post("/api/v1/setup-keys", json!({"name": "t"}));
        let key: Value = key.await.json().await.unwrap();
        let cpe = Cpe::new(world.cwmp.unwrap(), "D1").await;
        let mut cpe = cpe.with("default", key["secret"].as_str().unwrap());
        cpe.class = "WR-300".to_owned();
        cpe.session().await;
        let found = world.read("/api/v1/devices?q=00256D-WR-300-D1").await;
        let device = found["items"][0]["id"].as_str().unwrap();
        let path = format!("/api/v1/devices/{device}");
        let shown = world.read(&path).await;
        let names = shown["identities"].as_array().unwrap();
        let own = names.iter().find(|name| name["kind"] == "cwmp_device");
        let own = own.unwrap();
        assert_eq!(own["shown"], "00256D-WR-300-D1");
        assert_eq!(own["value"], "00256D-WR%2D300-D1");
        let reach = world.read(&format!("{path}/reach")).await;
        assert_eq!(reach["paths"][0]["identity"], "00256D-WR-300-D1");
        // Who is turned away in this name is found with it, before it came with a path as well.
        turned_away(&world, "00256D-WR-300-D1", "readmit_needed").await;
        let store = world.store();
        let tenant = tenant();
        let gone = store.path_delete(&tenant, device.parse().unwrap(), "cwmp", vec![]);
        gone.await.unwrap();
        let reach = world.read(&format!("{path}/reach")).await;
        assert_eq!(reach["refusals"][0]["device_id"], device, "{reach:#}");
        let doctor = world.read("/api/v1/doctor").await;
        assert!(!doctor.to_string().contains("%2D"), "{doctor:#}");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quirk_packs_that_fit_a_device_are_shown_with_their_reasons() {
    for world in worlds().await {
        let key = world.post("/api/v1/setup-keys", json!({"name": "t"}));
        let key: Value = key.await.json().await.unwrap();
        let packs = async |serial: &str, class: &str| {
            let cpe = Cpe::new(world.cwmp.unwrap(), serial).await;
            let mut cpe = cpe.with("default", key["secret"].as_str().unwrap());
            cpe.class = class.to_owned();
            cpe.session().await;
            let name = format!("/api/v1/devices?q=00256D-{class}-{serial}");
            let found = world.read(&name).await;
            let id = found["items"][0]["id"].as_str().unwrap();
            let reach = world.read(&format!("/api/v1/devices/{id}/reach")).await;
            reach["paths"][0]["quirk_packs"].clone()
        };
        assert_eq!(packs("Q1", "Box").await, json!([]));
        let shown = packs("Q2", "DM955").await;
        assert_eq!(shown[0]["name"], "datacom-dm955");
        assert_eq!(shown[0]["says"], json!(["cookies = \"each\""]));
        assert_eq!(
            (&shown[0]["shipped"], &shown[0]["confidence"]),
            (&json!(true), &json!("reported"))
        );
        assert!(
            shown[0]["source"][0]
                .as_str()
                .unwrap()
                .starts_with("https://")
        );
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_has_not_come_yet_may_show_its_certificate_over_cwmp_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(at("own.pem"), made.cert.pem()).unwrap();
    std::fs::write(at("own.key"), made.signing_key.serialize_pem()).unwrap();
    let tls = DeviceTls {
        certificate: at("own.pem"),
        key: at("own.key"),
        client_ca: Some(at("own.pem")),
    };
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, |config| {
        config.cwmp.tls_listen = Some("127.0.0.1:0".parse().unwrap());
        config.cwmp.tls = Some(tls);
    })
    .await;
    world.populate().await;
    let expected = json!({"endpoint_id": "os::00256D-C1", "certificate_required": true});
    let made = world.post("/api/v1/devices", expected).await;
    assert_eq!(made.status(), 201, "{:#}", made.text().await.unwrap());
    // Also where it is required only later: whoever tells its serial number is to show it.
    let expected = json!({"endpoint_id": "os::00256D-C2"});
    let made = world.post("/api/v1/devices", expected).await;
    let made: Value = made.json().await.unwrap();
    let device = format!("/api/v1/devices/{}", made["device"]["id"].as_str().unwrap());
    let kinds = |device: &Value| {
        let all = device["identities"].as_array().unwrap();
        all.iter()
            .map(|one| one["kind"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&made["device"]), ["usp_endpoint"]);
    let change = world.request(reqwest::Method::PATCH, &device);
    let change = change.json(&json!({"certificate_required": true}));
    let changed = change.send().await.unwrap();
    assert_eq!(changed.status(), 200);
    let changed: Value = changed.json().await.unwrap();
    let known = kinds(&changed);
    assert!(known.contains(&"oui_serial".to_owned()), "{known:?}");
}
