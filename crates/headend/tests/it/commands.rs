//! Every resource by its commands, for people and with `--json`, against a real server and device.

use crate::cli::Cli;
use crate::rig::Server;
use serde_json::Value;
use std::process::Stdio;

/// The commands that print a list, and what they say when it is empty.
const LISTS: &[(&[&str], &str)] = &[
    (&["device", "list"], "no devices"),
    (&["operation", "list"], "no operations"),
    (&["setup-key", "list"], "no setup keys"),
    (&["pki", "list"], "no certificates"),
    (&["file", "list"], "no files"),
    (&["user", "list"], "no users"),
    (&["token", "list"], "no tokens"),
    (&["tenant", "list"], "no tenants"),
    (&["events", "list"], "no events"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_always_an_object_and_an_empty_one_says_so() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    cli.done(&["tenant", "create", "empty"]);
    for (list, nothing) in LISTS {
        for tenant in ["default", "empty"] {
            let json = cli.done_json(&[*list, &["--tenant", tenant]].concat());
            assert!(
                json["items"].is_array() && json.get("next").is_some(),
                "{list:?}: {json:#}"
            );
        }
        let said = cli.run(&[*list, &["--tenant", "empty"]].concat());
        assert_eq!(said.code, 0, "{list:?}: {}", said.err);
        // Tenants and the event of this one's making are seen from everywhere.
        if !["tenant", "events"].contains(&list[0]) && said.out.is_empty() {
            assert_eq!(said.err.trim(), *nothing, "{list:?}");
        }
    }
    assert_eq!(cli.run(&["device", "list"]).err.trim(), "no devices");
    let nothing = cli.run(&["events", "list", "--kind", "device."]);
    assert_eq!((nothing.code, nothing.err.trim()), (0, "no events"));
    let unknown = cli.fails(8, &["events", "list", "--kind", "x."]);
    assert!(unknown.starts_with("headend: --kind: "), "{unknown}");
    let facets = cli.done_json(&["device", "facets"]);
    assert!(facets["facets"].is_array(), "{facets:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_where_its_last_answer_ended() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    for number in 0..3 {
        let id = format!("os::00256D-{number}");
        cli.done(&[
            "device",
            "register",
            &id,
            "--label",
            &format!("device {number}"),
        ]);
    }
    let first = cli.run(&["device", "list", "--limit", "2"]);
    assert!(
        first.err.contains("2 of 3") && first.err.contains("--all"),
        "{}",
        first.err
    );
    let page = cli.done_json(&["device", "list", "--limit", "2"]);
    let next = page["next"].as_str().unwrap();
    let rest = cli.done_json(&["device", "list", "--cursor", next]);
    assert_eq!(rest["items"][0]["name"], "device 2");
    assert_eq!(rest["next"], Value::Null);
    let all = cli.done_json(&["device", "list", "--all"]);
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    assert_eq!(all["total"]["value"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_looked_at_and_changed_by_its_commands() {
    let server = Server::start(&[]).await;
    let _sim = server.sim(1, None);
    server.devices(1).await;
    let cli = Cli::administrator(&server);
    let ssid = "Device.WiFi.SSID.1.SSID";
    let found = cli.done_json(&["device", "list"]);
    let device = found["items"][0]["name"].as_str().unwrap();

    for look in ["show", "reach", "wake", "timeline", "values", "tree"] {
        assert!(!cli.done(&["device", look, device]).is_empty(), "{look}");
        assert!(
            cli.done_json(&["device", look, device]).is_object(),
            "{look}"
        );
    }
    assert!(
        cli.done(&["device", "search", device, "ssid"])
            .contains("Device.WiFi.SSID.")
    );
    // The dot of an object and the brackets of a command may be left out.
    assert!(
        cli.done(&["device", "values", device, "Device.WiFi.SSID"])
            .contains(ssid)
    );
    assert!(
        cli.done(&["device", "tree", device, "Device.WiFi"])
            .starts_with("Device.WiFi.\n")
    );
    let preview = cli.done(&[
        "device",
        "set",
        device,
        &format!("{ssid}=Home"),
        "--preview",
    ]);
    assert!(preview.contains("Home"), "{preview}");
    let set = cli.done(&[
        "device",
        "set",
        device,
        &format!("{ssid}=Home"),
        "--note",
        "asked for",
    ]);
    assert!(
        set.contains("succeeded") && set.contains("note: asked for"),
        "{set}"
    );
    assert_eq!(
        cli.done(&["device", "get", device, ssid]),
        format!("{ssid} = Home\n")
    );
    let added = cli.done_json(&[
        "device",
        "add",
        device,
        "Device.NAT.PortMapping",
        "ExternalPort=9",
    ]);
    let row = added["steps"][0]["results"][0]["path"].as_str().unwrap();
    assert!(row.starts_with("Device.NAT.PortMapping."), "{added:#}");
    cli.done(&["device", "delete", device, row.trim_end_matches('.')]);
    cli.done(&["device", "discover", device, "Device.NAT"]);
    cli.done(&["device", "subscribe", device, "value-change", ssid]);

    let id = cli.done(&["device", "operate", device, "Device.Reboot", "--no-wait"]);
    let operation = cli.done(&["operation", "show", id.trim(), "--follow"]);
    assert!(operation.contains("Run Device.Reboot()"), "{operation}");
    let transcript = cli.done(&["operation", "transcript", id.trim()]);
    assert!(transcript.contains("OPERATE"), "{transcript}");
    let of_it = cli.done_json(&["events", "list", "--operation", id.trim(), "--oldest-first"]);
    assert_eq!(of_it["items"][0]["kind"], "operation.queued");
    assert_eq!(of_it["next"], of_it["head"]);
    let cursor = of_it["items"][0]["cursor"].as_str().unwrap();
    let one = cli.done(&["events", "show", cursor]);
    assert!(
        one.contains("operation.queued") && one.contains("\"kind\": \"operate\""),
        "{one}"
    );
    assert_eq!(
        cli.done_json(&["events", "show", cursor]),
        of_it["items"][0]
    );
    cli.fails(4, &["events", "show", "999999999"]);
    let tail = cli.done(&["events", "tail", "--after", "0", "--count", "2", "--json"]);
    let lines: Vec<Value> = tail
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    let said = cli.fails(8, &["operation", "cancel", id.trim()]);
    assert!(said.contains("ended already"), "{said}");

    let asks = cli.fails(2, &["device", "operate", device, "Device.FactoryReset()"]);
    assert!(asks.contains("--yes"), "{asks}");
}

/// `cargo xtask interop` reads these places; what moves here has to move there.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_interoperability_scenario_reads_is_where_it_looks() {
    let server = Server::start(&[]).await;
    let _sim = server.sim(1, None);
    server.devices(1).await;
    let cli = Cli::administrator(&server);
    let found = cli.done_json(&["device", "list"]);
    let device = found["items"][0]["name"].as_str().unwrap();
    let shown = cli.done_json(&["device", "show", device]);
    assert_eq!(shown["onboarding"], "complete", "{shown:#}");
    let tree = cli.done_json(&["device", "tree", device]);
    let root = &tree["items"][0];
    assert_eq!(root["source"], "discovered", "{tree:#}");
    assert!(!root["objects"].as_array().unwrap().is_empty(), "{tree:#}");
    let ssid = "Device.WiFi.SSID.1.SSID";
    let set = cli.done_json(&["device", "set", device, &format!("{ssid}=Attic")]);
    assert_eq!(set["state"], "succeeded", "{set:#}");
    let results = set["steps"].as_array().unwrap().iter();
    let mut results = results.flat_map(|step| step["results"].as_array().unwrap());
    assert!(
        results.any(|result| result["path"] == ssid && result["after"] == "Attic"),
        "{set:#}"
    );
    let asked = cli.done_json(&["device", "operate", device, "Device.Reboot()", "--no-wait"]);
    let id = asked["id"].as_str().unwrap();
    let done = cli.done_json(&["operation", "show", id, "--follow"]);
    assert_eq!(done["state"], "succeeded", "{done:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_note_about_a_device_is_made_changed_and_forgotten() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    let made = cli.done(&[
        "device",
        "register",
        "os::00256D-7",
        "--label",
        "attic",
        "--tag",
        "vip",
    ]);
    assert!(
        made.contains("ws://") && made.contains("not shown again"),
        "{made}"
    );
    let edited = cli.done_json(&["device", "edit", "attic", "--label", "cellar", "--no-tags"]);
    assert_eq!(
        (&edited["label"], &edited["tags"]),
        (&"cellar".into(), &Value::Array(vec![]))
    );
    let dialled = cli.done(&["device", "edit", "cellar", "--dial", "ws://127.0.0.1:9/usp"]);
    assert!(dialled.contains("ws://127.0.0.1:9/usp"), "{dialled}");
    assert!(
        cli.done(&["device", "readmit", "cellar"])
            .starts_with("cellar: ")
    );
    let pair = "0198c0de-0000-7000-8000-000000000001";
    let asks = cli.fails(2, &["device", "match", pair, "--accept"]);
    assert!(asks.contains(pair) && asks.contains("--yes"), "{asks}");
    cli.fails(4, &["device", "match", pair, "--accept", "--yes"]);
    let asks = cli.fails(2, &["device", "forget", "cellar"]);
    assert!(asks.contains("cellar") && asks.contains("--yes"), "{asks}");
    assert_eq!(
        cli.done(&["device", "forget", "cellar", "--yes"]),
        "forgot cellar (os::00256D-7)\n"
    );
    cli.fails(4, &["device", "show", "cellar"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_tokens_tenants_and_the_installation_have_their_commands() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);

    let made = cli.run(&[
        "setup-key",
        "create",
        "spring",
        "--uses",
        "3",
        "--days",
        "10",
    ]);
    assert!(
        made.out.starts_with("hes_") && made.out.lines().count() == 1,
        "{}",
        made.out
    );
    assert!(
        made.err.contains("ws://"),
        "where devices connect: {}",
        made.err
    );
    let keys = cli.done_json(&["setup-key", "list"]);
    let key = keys["items"][0]["id"].as_str().unwrap().to_owned();
    let shown = cli.done(&["setup-key", "show", &key]);
    assert!(
        shown.contains("0 of 3") && shown.contains("in 10 days"),
        "{shown}"
    );
    assert!(
        cli.done(&["setup-key", "rename", &key, "summer"])
            .contains("summer")
    );
    cli.fails(2, &["setup-key", "revoke", &key]);
    let quiet = cli.run(&["setup-key", "revoke", &key, "--yes", "--json"]);
    assert_eq!(
        (quiet.code, quiet.out.as_str(), quiet.err.as_str()),
        (0, "", "")
    );
    assert!(cli.done(&["setup-key", "list"]).contains("revoked"));

    let made = cli.done_json(&["token", "create", "nightly", "--scope", "device:read"]);
    let id = made["token"]["id"].as_str().unwrap();
    let scoped = made["secret"].as_str().unwrap();
    cli.done(&["device", "list", "--token", scoped]);
    let refused = cli.fails(5, &["user", "list", "--token", scoped]);
    assert!(refused.contains("may not"), "{refused}");
    assert!(cli.done(&["token", "show", id]).contains("device:read"));
    cli.done(&["token", "revoke", id, "--yes"]);
    let refused = cli.fails(5, &["device", "list", "--token", scoped]);
    assert!(refused.contains("token is not valid"), "{refused}");

    cli.done(&["tenant", "create", "north", "--name", "North"]);
    assert!(
        cli.done(&["tenant", "rename", "north", "North ISP"])
            .contains("North ISP")
    );
    assert_eq!(
        cli.done_json(&["tenant", "show", "north"])["name"],
        "North ISP"
    );
    cli.fails(2, &["tenant", "disable", "north"]);
    let disabled = cli.done(&["tenant", "disable", "north", "--yes"]);
    assert!(disabled.contains("disabled"), "{disabled}");
    assert!(cli.done(&["tenant", "enable", "north"]).contains("active"));
    let wrong = cli.fails(8, &["tenant", "create", "No Name"]);
    assert!(wrong.starts_with("headend: the id: "), "{wrong}");

    let system = cli.done(&["system", "show", "--limits"]);
    assert!(
        system.contains("SQLite") && system.contains("page_max"),
        "{system}"
    );
    let document = cli.done_json(&["system", "openapi"]);
    assert_eq!(document["openapi"], "3.1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_nobody_reads_ends_a_command_quietly() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    cli.done(&["device", "register", "os::00256D-8"]);
    let id = cli.done(&["device", "get", "os::00256D-8", "Device.", "--no-wait"]);
    cli.done(&["operation", "cancel", id.trim()]);
    // As if by SIGPIPE, and never a success: what was printed was not read. A failure stays what it is.
    for (code, words) in [
        (141, &["device", "facets"][..]),
        (141, &["completion", "bash"]),
        (141, &["user", "roles"]),
        (6, &["operation", "show", id.trim(), "--follow"]),
        (9, &["doctor", "nobody"]),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = cli.command(words);
        let ended = command
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(code), "{words:?}");
        assert_eq!(String::from_utf8(ended.stderr).unwrap(), "", "{words:?}");
    }
}

#[test]
fn completion_knows_the_commands_of_every_resource() {
    let bash = std::process::Command::new(env!("CARGO_BIN_EXE_headend"))
        .args(["completion", "bash"])
        .output()
        .unwrap();
    let bash = String::from_utf8(bash.stdout).unwrap();
    for command in [
        "setup__subcmd__key__subcmd__revoke",
        "device__subcmd__readmit",
    ] {
        assert!(bash.contains(command), "{command}");
    }
}
