//! `headend pki`: an authority beside a running server, and the life of a certificate, by commands alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cli::Cli;
use crate::rig::Server;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const ENDPOINT: &str = "os::00256D-CPE1";

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_issued_listed_rotated_and_revoked_by_commands() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    let at = |name: &str| server.folder.path().join(name);
    let text = |name: &str| at(name).to_str().unwrap().to_owned();
    let output = text("cpe1");
    let issue = ["pki", "issue", "--endpoint", ENDPOINT, "-o", &output];
    let refused = cli.fails(8, &issue);
    assert!(refused.contains("headend pki init"), "{refused}");
    let folder = server.folder.path().join("data");
    let init = ["pki", "init", "--data", folder.to_str().unwrap()];
    let made = cli.done(&init);
    assert_eq!(Path::new(made.trim()), folder.join("pki/ca.pem"));
    assert_eq!(mode(&folder.join("pki/ca.key")), 0o600);
    // An authority is not made twice: what the first has issued would be worth nothing.
    let again = cli.fails(1, &init);
    assert!(again.contains("there is an authority already"), "{again}");
    let exported = cli.done(&["pki", "export"]);
    let authority = std::fs::read_to_string(folder.join("pki/ca.pem")).unwrap();
    assert_eq!(exported, authority);

    cli.done(&issue);
    assert_eq!(mode(&at("cpe1/key.pem")), 0o600);
    let pem = std::fs::read_to_string(at("cpe1/certificate.pem")).unwrap();
    let kept = std::fs::read_to_string(at("cpe1/authority.pem")).unwrap();
    assert_eq!(kept, authority);
    let there = cli.fails(2, &issue);
    assert!(there.contains("is there already"), "{there}");
    let all = cli.done_json(&["pki", "list", "--endpoint", ENDPOINT]);
    let id = all["items"][0]["id"].as_str().unwrap();
    let device = all["items"][0]["device_id"].as_str().unwrap();
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all:#}");
    assert_eq!(cli.done_json(&["pki", "show", id])["pem"], pem);

    let rotated = cli.done_json(&["pki", "rotate", device, "--days", "30"]);
    assert_eq!(rotated["certificate"]["replaces"], *id, "{rotated:#}");
    let soon = cli.done_json(&["pki", "list", "--ends-within", "31", "--device", device]);
    let new = rotated["certificate"]["id"].as_str().unwrap();
    assert_eq!(soon["items"][0]["id"], *new, "{soon:#}");
    assert_eq!(soon["items"].as_array().unwrap().len(), 1, "{soon:#}");

    let unsure = cli.fails(2, &["pki", "revoke", id]);
    assert!(unsure.contains("--yes"), "{unsure}");
    let reason = ["pki", "revoke", id, "--reason", "stolen", "--yes"];
    let revoked = cli.done_json(&reason);
    assert_eq!(revoked["state"], "revoked", "{revoked:#}");
    let revoked = cli.done_json(&["pki", "list", "--revoked"]);
    assert_eq!(revoked["items"][0]["id"], *id, "{revoked:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_issues_elsewhere_is_believed_and_issues_nothing_here() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    let at = |name: &str| server.folder.path().join(name);
    let text = |name: &str| at(name).to_str().unwrap().to_owned();
    cli.done(&["pki", "init", "--data", &text("theirs"), "--name", "Theirs"]);
    let folder = server.folder.path().join("data");
    let (folder, certificate) = (folder.to_str().unwrap(), text("theirs/pki/ca.pem"));
    let import = ["pki", "import", "--certificate", &certificate];
    cli.done(&[&import[..], &["--data", folder]].concat());
    let shown = cli.done_json(&["pki", "export"]);
    assert_eq!(shown["issues"], false, "{shown:#}");
    assert!(shown["subject"].as_str().unwrap().contains("Theirs"));
    let refused = cli.fails(
        8,
        &["pki", "issue", "--endpoint", ENDPOINT, "-o", &text("out")],
    );
    assert!(refused.contains("is not on this server"), "{refused}");
}
