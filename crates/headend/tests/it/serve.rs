//! What an operator reads when the server does not start, and when it does.

use crate::rig::{Process, SOON, free, until};
use std::process::{Command, Output};

fn serve(folder: &std::path::Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_headend"))
        .arg("serve")
        .args(arguments)
        .env_remove("HEADEND_CONFIG")
        .env("HEADEND_LOG", "warn")
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn a_wrong_configuration_is_named_with_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headend.toml");
    for (text, code, expected) in [
        (
            "[http]\nlisten_adress = 1\n",
            1,
            ["headend.toml", "line 2", "listen_adress"],
        ),
        (
            "[usp]\nlisten = \"8081\"\n",
            1,
            ["headend.toml", "line 2", "listen = \"8081\""],
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let ended = serve(folder.path(), &["--config", "headend.toml"]);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{said}");
        for word in expected {
            assert!(said.contains(word), "no {word}: {said}");
        }
    }
    let ended = serve(folder.path(), &["--config", "nowhere.toml"]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(
        said,
        "headend: nowhere.toml: No such file or directory (os error 2)\n"
    );
    let ended = serve(folder.path(), &["--set", "usp.listn=x"]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(
        said.contains("--set usp.listn") && said.contains("unknown field"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_standard_output_nobody_reads_serves() {
    let folder = tempfile::tempdir().unwrap();
    let [address] = free();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let log = folder.path().join("serve.log");
    let child = Command::new(env!("CARGO_BIN_EXE_headend"))
        .args([
            "serve",
            "--http",
            &address,
            "--usp",
            "127.0.0.1:0",
            "--cwmp",
            "127.0.0.1:0",
            "--files",
            "127.0.0.1:0",
            "--data",
        ])
        .arg(folder.path().join("data"))
        .env_remove("HEADEND_CONFIG")
        .stdout(writer)
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut server = Process { child, log };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    until("the server to serve", SOON, async || {
        assert_eq!(server.child.try_wait().unwrap(), None);
        let ready = http.get(format!("http://{address}/readyz")).send().await;
        ready.ok().filter(|answer| answer.status().is_success())
    })
    .await;
    server.signal("-TERM");
    let ended = until("the server to stop", SOON, async || {
        server.child.try_wait().unwrap()
    });
    assert_eq!(ended.await.code(), Some(0));
}

#[test]
fn an_address_in_use_is_named_with_the_flag_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other) in [
        ("--http", "--usp"),
        ("--usp", "--http"),
        ("--usp-tls", "--http"),
        ("--cwmp", "--http"),
        ("--cwmp-tls", "--http"),
    ] {
        let any = "127.0.0.1:0";
        let mut args = vec![flag, &address, other, any, "--set", "data_dir=d"];
        for more in ["--usp", "--cwmp"] {
            if more != flag && more != other {
                args.extend([more, any]);
            }
        }
        let ended = serve(folder.path(), &args);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(
            said.contains(&address) && said.contains(&format!("with {flag} ")),
            "{said}"
        );
    }
}

#[test]
fn every_key_of_the_configuration_stands_in_the_operators_guide() {
    let guide = include_str!("../../../../docs/operating.md");
    // What an unknown key is told are the keys there are.
    let folder = tempfile::tempdir().unwrap();
    for section in [
        "",
        "http.",
        "http.tls.",
        "usp.",
        "usp.tls.",
        "usp.session_context.",
        "mqtt.",
        "mqtt.tls.",
        "broker_auth.",
        "pki.",
        "discovery.",
        "cwmp.",
        "cwmp.tls.",
        "cwmp.xmpp.",
        "files.",
        "files.tls.",
        "matching.",
        "presence.",
        "retention.",
        "secrets.",
    ] {
        let ended = serve(folder.path(), &["--set", &format!("{section}x=1")]);
        let said = String::from_utf8(ended.stderr).unwrap();
        let keys: Vec<&str> = said.split('`').skip(3).step_by(2).collect();
        let after = said
            .split("expected")
            .nth(1)
            .unwrap_or_else(|| panic!("{section}: {said}"));
        for key in after.split('`').skip(1).step_by(2) {
            let sections = [
                "http",
                "usp",
                "mqtt",
                "broker_auth",
                "pki",
                "discovery",
                "session_context",
                "identity",
                "cwmp",
                "files",
                "matching",
                "presence",
                "retention",
                "secrets",
                "tls",
                "xmpp",
            ];
            let named = guide.contains(&format!("`{section}{key}`"))
                || guide.contains(&format!("`.{key}`"));
            assert!(
                named || sections.contains(&key),
                "`{section}{key}` of {keys:?}"
            );
        }
    }
}

#[test]
fn what_is_no_text_in_the_environment_is_left_alone_unless_it_is_a_key_of_ours() {
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"a\xFFb");
    let folder = tempfile::tempdir().unwrap();
    for (arguments, variable, expected) in [
        (
            vec!["--set".as_ref(), "nonsense".as_ref()],
            "OTHER",
            "--set nonsense",
        ),
        (vec![], "HEADEND__HTTP__LISTEN", "HEADEND__HTTP__LISTEN: "),
        (vec!["--data".as_ref(), odd], "OTHER", "--data a"),
    ] {
        let ended = Command::new(env!("CARGO_BIN_EXE_headend"))
            .arg("serve")
            .args(&arguments)
            .env(variable, odd)
            .env_remove("HEADEND_CONFIG")
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("headend: {expected}")), "{said}");
    }
}
