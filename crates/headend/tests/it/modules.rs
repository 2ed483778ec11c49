//! Software modules of a TR-069 device, by the API: installed from a file of the server, updated, removed, and what cannot
//! be done is said in the device's words.

use crate::rig::{SOON, Server, until};
use serde_json::{Value, json};

const MODULES: &str = "Device.SoftwareModules.";

struct Desk {
    server: Server,
    device: String,
}

impl Desk {
    /// A file of the server; how a command names it.
    async fn file(&self, name: &str, bytes: &str) -> String {
        let api = &self.server.api;
        let url = api.url(&format!("/files?name={name}&kind=other"));
        let put = api.with_token(api.http.post(url)).body(bytes.to_owned());
        let put = put.send().await.unwrap();
        let put: Value = put.json().await.unwrap();
        format!("headend-file:{}", put["id"].as_str().unwrap())
    }

    /// An operation, when it is over.
    async fn done(&self, op: Value) -> Value {
        let api = &self.server.api;
        let path = format!("/devices/{}/operations", self.device);
        let asked = api.post(&path, json!({ "ops": [op] })).await;
        let id = asked["operation"]["id"].as_str().unwrap().to_owned();
        until("the operation is over", SOON, async || {
            let operation = api.get(&format!("/operations/{id}")).await;
            operation["finished_at"].is_string().then_some(operation)
        })
        .await
    }

    async fn run(&self, command: &str, input: Value) -> Value {
        let op =
            json!({"kind": "operate", "command": format!("{MODULES}{command}"), "input": input});
        self.done(op).await
    }

    /// The values below a path of the modules, by their names below it, as they are read now.
    async fn read(&self, below: &str) -> Vec<(String, String)> {
        let root = format!("{MODULES}{below}");
        let read = self.done(json!({"kind": "get", "paths": [root]})).await;
        let results = read["steps"][0]["results"].as_array().unwrap().iter();
        let value = |one: &Value| {
            let path = one["path"].as_str()?.strip_prefix(&root)?.to_owned();
            Some((path, one["after"].as_str()?.to_owned()))
        };
        results.filter_map(value).collect()
    }

    async fn value(&self, row: &str, name: &str) -> Option<String> {
        let all = self.read(row).await;
        let found = all.into_iter().find(|(path, _)| path == name);
        found.map(|(_, value)| value)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn software_modules_are_installed_updated_and_removed_and_what_fails_is_said() {
    let wake = "cwmp.wake_networks=[\"127.0.0.0/8\"]";
    let server = Server::start(&["--set", wake]).await;
    let flags = ["--count", "0", "--cwmp-devices", "1"];
    let _sim = server.sim_with("sim", &flags, None);
    let device = server.devices(1).await.remove(0);
    let desk = Desk { server, device };
    let uuid = "0b8f5d8e-5a51-5f3e-9c4c-6f2b1f0a7d11";

    let first = desk
        .file("guest-portal.opk", "a module\nversion=1.0\n")
        .await;
    let installed = desk
        .run("InstallDU()", json!({"URL": first, "UUID": uuid}))
        .await;
    assert_eq!(installed["state"], "succeeded", "{installed:#}");
    let output = &installed["steps"][0]["output"];
    assert_eq!(output["Results.1.UUID"], uuid, "{installed:#}");
    assert_eq!(output["Results.1.CurrentState"], "Installed");
    assert_eq!(installed["transfer"]["state"], "done");
    // Beside the one from the factory, each with what it runs.
    let unit = "DeploymentUnit.2.";
    assert_eq!(desk.value(unit, "Version").await.as_deref(), Some("1.0"));
    assert_eq!(
        desk.value(unit, "Name").await.as_deref(),
        Some("guest-portal")
    );
    let runs = desk.value(unit, "ExecutionUnitList").await.unwrap();
    let runs = runs.strip_prefix(MODULES).unwrap().to_owned() + ".";
    assert_eq!(desk.value(&runs, "Status").await.as_deref(), Some("Active"));
    let twice = desk
        .run("InstallDU()", json!({"URL": first, "UUID": uuid}))
        .await;
    assert_eq!(twice["state"], "failed", "{twice:#}");
    assert!(
        twice["state_words"].to_string().contains("9026"),
        "{twice:#}"
    );

    let second = desk
        .file("guest-portal.opk", "a module\nversion=1.1\n")
        .await;
    let updated = desk
        .run("DeploymentUnit.2.Update()", json!({"URL": second}))
        .await;
    assert_eq!(updated["state"], "succeeded", "{updated:#}");
    assert_eq!(desk.value(unit, "Version").await.as_deref(), Some("1.1"));
    assert_eq!(desk.value(&runs, "Version").await.as_deref(), Some("1.1"));

    let removed = desk.run("DeploymentUnit.2.Uninstall()", json!({})).await;
    assert_eq!(removed["state"], "succeeded", "{removed:#}");
    let left = desk.read("DeploymentUnit.").await;
    assert!(
        left.iter().all(|(path, _)| path.starts_with("1.")),
        "{left:?}"
    );
    let left = desk.read("ExecutionUnit.").await;
    assert!(
        left.iter().all(|(path, _)| path.starts_with("1.")),
        "{left:?}"
    );

    // The log has each change, beside the end of its command.
    let timeline = format!("/devices/{}/timeline?limit=200", desk.device);
    let timeline = desk.server.api.get(&timeline).await.to_string();
    assert!(
        timeline.matches("DUStateChange!").count() >= 3,
        "{timeline}"
    );
}
