//! How commands fail: in the words of whoever typed them, with a code, and as JSON when asked.

use crate::cli::Cli;
use crate::rig::Server;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_as_it_was_typed() {
    let server = Server::start(&[]).await;
    let _sim = server.sim(1, None);
    server.devices(1).await;
    let cli = Cli::administrator(&server);
    let found = cli.done_json(&["device", "list"]);
    let device = found["items"][0]["name"].as_str().unwrap();

    let path = cli.fails(
        8,
        &["device", "get", device, "Device.DeviceInfo.", "Device..X"],
    );
    assert!(
        path.starts_with("headend: Device..X: character 8"),
        "{path}"
    );
    let enable = "Device.WiFi.SSID.1.Enable=maybe";
    let both = cli.fails(
        8,
        &[
            "device",
            "set",
            device,
            enable,
            "Device.DeviceInfo.SerialNumber=1",
        ],
    );
    assert!(both.contains(&format!("  {enable}: ")), "{both}");
    assert!(
        both.contains("  Device.DeviceInfo.SerialNumber: "),
        "{both}"
    );
    let expires = cli.fails(8, &["device", "get", device, "Device.", "--expires", "0"]);
    assert!(expires.starts_with("headend: --expires: "), "{expires}");
    let table = cli.fails(8, &["device", "add", device, "Device.NAT"]);
    assert!(table.starts_with("headend: Device.NAT.: "), "{table}");
    let command = cli.fails(8, &["device", "operate", device, "Device.Dance"]);
    assert!(
        command.starts_with("headend: Device.Dance(): "),
        "{command}"
    );
    for said in [path, both, expires, table, command] {
        assert!(!said.contains("ops["), "{said}");
    }
    // A program gets the fields of the request that it knows.
    let set = cli.run(&["device", "set", device, enable, "--json"]);
    let problem = set.problem();
    assert_eq!(set.code, 8);
    assert_eq!(problem["errors"][0]["field"], "ops[0].parameters[0].value");
    assert_eq!(problem["type"], "urn:headend:problem:invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_is_a_problem_document_under_json_and_has_its_code() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    let stranger = Cli::fresh(&server, "stranger");
    let nowhere = ["--url", "http://127.0.0.1:1"];
    let id = "01900000-0000-7000-8000-000000000000";
    let said = [
        (
            3,
            cli.run(&[&["device", "list", "--json"][..], &nowhere].concat()),
        ),
        (4, cli.run(&["operation", "show", id, "--json"])),
        (4, cli.run(&["device", "show", "nobody", "--json"])),
        (5, stranger.run(&["device", "list", "--json"])),
        (8, cli.run(&["setup-key", "create", "", "--json"])),
        (9, cli.run(&["doctor", "nobody", "--json"])),
    ];
    for (code, said) in said {
        assert_eq!(said.code, code, "{}", said.err);
        said.problem();
    }
    let doctor = cli.run(&["doctor", "nobody", "--json"]).json();
    assert_eq!(doctor["diagnosis"]["verdict"], "problem");
    let doctor = cli.done_json(&["doctor"]);
    assert!(doctor["refusals"]["items"].is_array(), "{doctor:#}");

    let refused = stranger.fails(5, &["device", "list"]);
    assert!(refused.contains("headend sign-in"), "{refused}");
    let unreachable = cli.fails(3, &[&["device", "list"][..], &nowhere].concat());
    assert_eq!(unreachable.matches("os error").count(), 1, "{unreachable}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_that_makes_no_sense_ends_with_two() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    for words in [
        &["nonsense"][..],
        &["device", "set", "x", "nonsense"],
        &["device", "list", "--limit", "0"],
        &["device", "list", "--presence", "asleep"],
        &["device", "list", "--url", "127.0.0.1:8080"],
        &["device", "list", "--seen-after", "yesterday"],
        &["token", "create", "x", "--scope", "everything"],
        &["user", "edit", "admin"],
        &[
            "sim",
            "--setup-key",
            "k",
            "--controller",
            "c",
            "--url",
            "http://127.0.0.1:1",
        ],
        &["serve", "--set", "nonsense"],
        &["serve", "--http", "8080"],
    ] {
        let said = cli.fails(2, words);
        assert!(!said.is_empty(), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_waits_for_its_device_is_told_as_still_open() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    cli.done(&["device", "register", "os::00256D-8", "--label", "late"]);
    let get = ["device", "get", "late", "Device.DeviceInfo.", "--wait", "0"];
    let said = cli.fails(7, &get);
    assert!(
        said.contains("headend operation show") && said.contains("goes on"),
        "{said}"
    );
    let open = cli.done_json(&["operation", "list", "--state", "queued"]);
    let id = open["items"][0]["id"].as_str().unwrap();
    let cancelled = cli.done(&["operation", "cancel", id]);
    assert!(cancelled.contains("cancelled"), "{cancelled}");
    let ended = cli.fails(6, &["operation", "show", id, "--follow"]);
    assert!(ended.contains("ended cancelled"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serial_of_two_devices_means_neither_of_them_and_an_endpoint_id_always_one() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    // The label of one is the serial of another, and the endpoint id of a third.
    let register = |id: &str, label: &str| {
        cli.done(&["device", "register", id, "--label", label]);
    };
    register("os::00256D-1", "twin");
    register("os::00256D-2", "twin");
    register("os::00256D-3", "os::00256D-1");
    let words = [
        "device",
        "operate",
        "twin",
        "Device.FactoryReset()",
        "--yes",
    ];
    let both = cli.fails(8, &words);
    assert!(
        both.contains("twin (os::00256D-1), twin (os::00256D-2)"),
        "{both}"
    );
    let shown = cli.done_json(&["device", "show", "os::00256D-1"]);
    assert_eq!(shown["name"], "twin");
    // What is confirmed is named.
    let words = ["device", "operate", "os::00256D-2", "Device.FactoryReset()"];
    let asked = cli.fails(2, &words);
    assert!(asked.contains("twin (os::00256D-2)"), "{asked}");
    let asked = cli.fails(2, &["device", "forget", "os::00256D-3"]);
    assert!(asked.contains("os::00256D-1 (os::00256D-3)"), "{asked}");
    let none = cli.done_json(&["operation", "list"]);
    assert!(none["items"].as_array().unwrap().is_empty(), "{none:#}");
}
