//! What goes down to a device in place of a file's name, and what is asked of one by the API.

use crate::files::{file, tenant};
use crate::world::{World, world, worlds};
use fleet::model::{Model, ModelCommand, ModelObject, ObjectAccess};
use fleet::southbound::{Failure, Job, JobId, Op};
use fleet::{DeviceId, Fact, Protocol, Southbound, TenantId, Timestamp};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use server::files::{Files, Handing};
use server::seam::{Attempt, Way};
use server::south::Links;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// An adapter that keeps what it is handed.
struct Kept(mpsc::UnboundedSender<Job>);

impl Southbound for Kept {
    fn submit(&self, _: &TenantId, _: DeviceId, job: Job) {
        self.0.send(job).unwrap();
    }

    fn wake(&self, _: &TenantId, _: DeviceId) {}
}

impl Links for Kept {
    fn is_linked(&self, _: DeviceId) -> bool {
        true
    }
    fn reach<'a>(
        &'a self,
        _: &'a TenantId,
        _: DeviceId,
    ) -> BoxFuture<'a, Option<Result<String, String>>> {
        Box::pin(async { None })
    }

    fn ways<'a>(&'a self, _: &'a TenantId, _: DeviceId) -> BoxFuture<'a, Vec<Way>> {
        Box::pin(async { Vec::new() })
    }
    fn device_removed(&self, _: &TenantId, _: DeviceId) {}
    fn tenants_changed(&self) {}

    fn certificates_changed(&self) {}
    fn dialling_changed(&self, _: &TenantId, _: DeviceId) {}
    fn attempts(&self, _: &TenantId, _: DeviceId) -> Vec<Attempt> {
        Vec::new()
    }
    fn heard(&self, _: DeviceId) -> Option<Timestamp> {
        None
    }
    fn connections(&self) -> u64 {
        0
    }
}

/// A file service with an adapter behind it, over the store of a world.
struct Rig {
    files: Arc<Files>,
    handing: Handing,
    jobs: mpsc::UnboundedReceiver<Job>,
    told: mpsc::Receiver<server::dispatch::Reported>,
    _facts: mpsc::Sender<server::dispatch::Reported>,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

async fn rig(world: &World) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let mut config = server::Config {
        data_dir: dir.path().to_owned(),
        ..server::Config::default()
    };
    config.files.listen = Some(([127, 0, 0, 1], 0).into());
    let stop = CancellationToken::new();
    let setup = server::files::Setup {
        store: world.store().clone(),
        config,
        node: fleet::NodeId::parse("n1").unwrap(),
        endpoint_id: "self::test".to_owned(),
        shutdown: stop.clone(),
    };
    let (files, _) = server::files::start(setup).await.unwrap();
    let (kept, jobs) = mpsc::unbounded_channel();
    let (facts, told) = mpsc::channel(8);
    let handing = Handing::new(Arc::new(Kept(kept)), files.clone(), facts.downgrade());
    Rig {
        files,
        handing,
        jobs,
        told,
        _facts: facts,
        stop,
        _dir: dir,
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    fn submit(&self, device: &str, operation: &str, command: &str, args: &[(&str, String)]) {
        self.submit_over(Protocol::Usp, device, operation, command, args);
    }

    fn submit_over(
        &self,
        over: Protocol,
        device: &str,
        operation: &str,
        command: &str,
        args: &[(&str, String)],
    ) {
        let args = args
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let job = Job {
            id: JobId(7),
            op: Op::Operate {
                command: command.to_owned(),
                key: operation.to_owned(),
                args: args.collect(),
            },
            timeout: Duration::from_secs(1),
            transcript: None,
            over,
        };
        self.handing.submit(&tenant(), device.parse().unwrap(), job);
    }

    async fn arguments(&mut self) -> BTreeMap<String, String> {
        let job = tokio::time::timeout(Duration::from_secs(10), self.jobs.recv());
        match job.await.unwrap().unwrap().op {
            Op::Operate { args, .. } => args,
            other => panic!("{other:?}"),
        }
    }
}

const DOWNLOAD: &str = "Device.DeviceInfo.FirmwareImage.2.Download()";

/// An operation of the API; its id and the operation itself.
async fn asked(world: &World, path: &str, body: Value) -> (String, Value) {
    let answer = world.post(path, body).await;
    let status = answer.status();
    let made: Value = answer.json().await.unwrap();
    assert_eq!(status, 202, "{made}");
    let id = made["operation"]["id"].as_str().unwrap().to_owned();
    (id, made)
}

#[tokio::test]
async fn a_name_of_a_file_goes_down_as_a_link_with_size_and_checksum_and_nobody_sees_the_link() {
    for world in worlds().await {
        let mut rig = rig(&world).await;
        let id = file(&world, "fw 2.bin", "abc").await;
        let device = world.device("proto::handing").await;
        let (operation, _) = asked(
            &world,
            &format!("/api/v1/devices/{device}/downloads"),
            json!({"file_id": id, "command": DOWNLOAD}),
        )
        .await;
        let named = format!("headend-file:{id}");
        rig.submit(&device, &operation, DOWNLOAD, &[("URL", named.clone())]);
        let args = rig.arguments().await;
        let url = args["URL"].clone();
        let at = rig.files.bound().plain.unwrap();
        assert!(
            url.starts_with(&format!("http://{at}/f/hef_")) && url.ends_with("/fw_2.bin"),
            "{url}"
        );
        assert_eq!(
            (
                args["FileSize"].as_str(),
                args["CheckSumAlgorithm"].as_str()
            ),
            ("3", "SHA-256")
        );
        assert!(args["CheckSum"].starts_with("ba7816bf"), "{args:?}");
        assert_eq!(
            (args["Username"].as_str(), args["Password"].as_str()),
            ("", "")
        );
        assert!(!args.contains_key("TargetFileName"));
        // What people read of it has the name, and its own mask where the link would stand.
        let shown = world.read(&format!("/api/v1/operations/{operation}")).await;
        assert_eq!(shown["ops"][0]["input"]["URL"], named);
        assert_eq!(shown["transfer"]["state"], "waiting");
        assert_eq!(
            fleet::secret::shown("URL", url.clone()),
            fleet::secret::MASK
        );
        // Sent again because it never left: another link, and the first one is over.
        rig.submit(&device, &operation, DOWNLOAD, &[("URL", named)]);
        let second = rig.arguments().await["URL"].clone();
        assert_ne!(second, url);
        assert_eq!(world.http.get(&url).send().await.unwrap().status(), 404);
        let path = format!("/api/v1/devices/{device}/transfers");
        assert_eq!(
            world.read(&path).await["items"].as_array().unwrap().len(),
            1
        );
        world.stop().await;
    }
}

#[tokio::test]
async fn a_device_that_takes_fewer_arguments_is_given_no_others() {
    let world = world().await;
    let mut rig = rig(&world).await;
    let device = world.device("proto::handing").await;
    let command = "Device.DeviceInfo.VendorLogFile.1.Upload()";
    let path = format!("/api/v1/devices/{device}/uploads");
    let (operation, made) = asked(&world, &path, json!({"type": "log", "name": "a.log"})).await;
    assert_eq!(made["operation"]["ops"][0]["command"], command);
    rig.submit(
        &device,
        &operation,
        command,
        &[("URL", "headend-upload:a.log".to_owned())],
    );
    let args = rig.arguments().await;
    let names: Vec<_> = args.keys().map(String::as_str).collect();
    assert_eq!(names, ["Password", "URL", "Username"]);
    assert!(args["URL"].contains("/u/hef_") && args["URL"].ends_with("/a.log"));
    let sent = world
        .http
        .put(&args["URL"])
        .body("lines")
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 201);
    let shown = world.read(&format!("/api/v1/operations/{operation}")).await;
    assert_eq!(
        (&shown["transfer"]["state"], &shown["transfer"]["name"]),
        (&json!("done"), &json!("a.log"))
    );
}

#[tokio::test]
async fn the_arguments_are_those_of_the_protocol_that_it_goes_over() {
    let world = world().await;
    let mut rig = rig(&world).await;
    let device = world.device("proto::handing").await;
    let id: DeviceId = device.parse().unwrap();
    let at = server::state::now();
    let store = world.store();
    for (over, inputs) in [
        (Protocol::Usp, ["URL", "FileSize", "CheckSum"]),
        (Protocol::Cwmp, ["URL", "Username", "Password"]),
    ] {
        let command = ModelCommand {
            name: "Download()".to_owned(),
            inputs: inputs.map(str::to_owned).to_vec(),
            outputs: Vec::new(),
            asynchronous: Some(true),
        };
        let object = ModelObject {
            access: ObjectAccess::ReadOnly,
            multi: true,
            params: Vec::new(),
            commands: vec![command],
            events: Vec::new(),
            named_only: false,
            keys: Vec::new(),
        };
        let mut model = Model::default();
        let shape = "Device.DeviceInfo.FirmwareImage.{i}.".to_owned();
        model.objects.insert(shape, object);
        let key = format!("as {over} has it");
        store.model_put(&tenant(), &key, &model, at).await.unwrap();
        let patch = store::DevicePatch {
            model: Some((over, key)),
            ..Default::default()
        };
        store
            .device_update(&tenant(), id, patch, at, vec![])
            .await
            .unwrap();
    }
    let file = file(&world, "fw.bin", "abc").await;
    let path = format!("/api/v1/devices/{device}/downloads");
    let body = json!({"file_id": file, "command": DOWNLOAD});
    let (operation, _) = asked(&world, &path, body).await;
    let url = [("URL", format!("headend-file:{file}"))];
    for (over, names) in [
        (Protocol::Usp, ["CheckSum", "FileSize", "URL"]),
        (Protocol::Cwmp, ["Password", "URL", "Username"]),
    ] {
        rig.submit_over(over, &device, &operation, DOWNLOAD, &url);
        let args = rig.arguments().await;
        assert!(args.keys().eq(names), "{over}: {args:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_gone_when_its_turn_comes_ends_the_operation_at_once() {
    let world = world().await;
    let mut rig = rig(&world).await;
    let device = world.device("proto::handing").await;
    let id = file(&world, "fw.bin", "abc").await;
    let path = format!("/api/v1/devices/{device}/downloads");
    let (operation, _) = asked(&world, &path, json!({"file_id": id})).await;
    let removed = world.request(reqwest::Method::DELETE, &format!("/api/v1/files/{id}"));
    assert_eq!(removed.send().await.unwrap().status(), 204);
    let args = [("URL", format!("headend-file:{id}"))];
    rig.submit(&device, &operation, DOWNLOAD, &args);
    let told = tokio::time::timeout(Duration::from_secs(10), rig.told.recv());
    let (_, _, fact) = told.await.unwrap().unwrap();
    let Fact::Done {
        job,
        result: Err(Failure::Impossible { reason }),
    } = fact
    else {
        panic!("{fact:?}");
    };
    assert_eq!(job, JobId(7));
    assert!(reason.contains("not there"), "{reason}");
    // Anything else goes down as it is, at once.
    rig.submit(
        &device,
        "any",
        "Device.Reboot()",
        &[("Reason", "headend-fileX".to_owned())],
    );
    assert_eq!(rig.jobs.try_recv().unwrap().id, JobId(7));
}

#[tokio::test]
async fn the_command_that_fits_is_chosen_from_the_file_and_from_what_the_device_has() {
    let world = world().await;
    let device = world.device("proto::handing").await;
    let id: DeviceId = device.parse().unwrap();
    let values = [
        (
            "Device.DeviceInfo.ActiveFirmwareImage",
            "Device.DeviceInfo.FirmwareImage.1",
        ),
        ("Device.DeviceInfo.FirmwareImage.1.Name", "a"),
        ("Device.DeviceInfo.FirmwareImage.2.Name", "b"),
        ("Device.DeviceInfo.VendorConfigFile.3.Name", "c"),
    ];
    let values = values.map(|(path, value)| (path.to_owned(), value.to_owned()));
    let at = server::state::now();
    let update = store::ValueUpdate::of(values, store::ValueSource::Read, at);
    world
        .store()
        .value_update(&tenant(), id, update, at)
        .await
        .unwrap();
    let firmware = file(&world, "fw.bin", "abc").await;
    let seen = Mutex::new(Vec::new());
    let path = format!("/api/v1/devices/{device}");
    for (what, body) in [
        ("downloads", json!({"file_id": firmware})),
        (
            "downloads",
            json!({"file_id": firmware, "file_type": "9 Anything"}),
        ),
        ("uploads", json!({})),
    ] {
        let (_, made) = asked(&world, &format!("{path}/{what}"), body).await;
        seen.lock()
            .unwrap()
            .push(made["operation"]["ops"][0].clone());
    }
    let seen = seen.into_inner().unwrap();
    let url = format!("headend-file:{firmware}");
    assert_eq!(
        seen[0],
        json!({"kind": "operate", "command": DOWNLOAD,
        "input": {"URL": url, "AutoActivate": "true"}})
    );
    assert_eq!(
        seen[1],
        json!({"kind": "operate", "command": "Device.X_HEADEND_Download()",
            "input": {"URL": url, "FileType": "9 Anything"}})
    );
    assert_eq!(
        seen[2],
        json!({"kind": "operate",
        "command": "Device.DeviceInfo.VendorConfigFile.3.Backup()", "input": {"URL": "headend-upload:"}})
    );
}

#[tokio::test]
async fn a_file_that_is_not_there_or_not_for_this_device_is_told_before() {
    let world = world().await;
    let device = world.device("proto::handing").await;
    let path = format!("/api/v1/devices/{device}/operations");
    let nobody = uuid::Uuid::new_v4();
    for (url, problem) in [
        (
            format!("headend-file:{nobody}"),
            "names a file that is not there",
        ),
        (
            "headend-file:7".to_owned(),
            "is not `headend-file:` and the id of a file",
        ),
    ] {
        let op = json!({"kind": "operate", "command": DOWNLOAD, "input": {"URL": url}});
        let refused = world.post(&path, json!({"ops": [op]})).await;
        assert_eq!(refused.status(), 422);
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["errors"][0]["field"], "ops[0].input.URL");
        assert_eq!(refused["errors"][0]["problem"], problem);
    }
    let downloads = format!("/api/v1/devices/{device}/downloads");
    let refused = world.post(&downloads, json!({"file_id": nobody})).await;
    assert_eq!(refused.status(), 422);
    let other = world
        .request(
            reqwest::Method::POST,
            "/api/v1/files?name=a&kind=firmware&model=Other",
        )
        .body("x");
    let other: Value = other.send().await.unwrap().json().await.unwrap();
    let id: DeviceId = device.parse().unwrap();
    let about = [("Device.DeviceInfo.ModelName".to_owned(), "M1".to_owned())];
    let at = server::state::now();
    let update = store::ValueUpdate::of(about, store::ValueSource::Read, at);
    world
        .store()
        .value_update(&tenant(), id, update, at)
        .await
        .unwrap();
    let preview = json!({"file_id": other["id"], "mode": "preview"});
    let preview: Value = world.post(&downloads, preview).await.json().await.unwrap();
    let warnings = preview["preview"]["warnings"].to_string();
    assert!(
        warnings.contains("The file a is for") && warnings.contains("M1"),
        "{warnings}"
    );
}
