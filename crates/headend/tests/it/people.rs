//! Signing in from a fresh machine, and users by command: what a role does not allow, it does not.

use crate::cli::Cli;
use crate::rig::Server;

const OWN: &str = "a password of my own";

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_signs_in_from_a_fresh_machine_and_cannot_make_an_administrator() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    let made = cli.run(&[
        "user", "create", "vera", "--role", "viewer", "--name", "Vera",
    ]);
    let once = made.out.trim();
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(
        made.err.contains("one-time password of vera"),
        "{}",
        made.err
    );

    let vera = Cli::fresh(&server, "vera");
    let input = format!("{once}\n{OWN}\n");
    let signed_in = vera.run_with(&["sign-in", "--login", "vera", "--password-stdin"], &input);
    assert_eq!(signed_in.code, 0, "{}", signed_in.err);
    assert!(
        signed_in.out.contains("as vera in default"),
        "{}",
        signed_in.out
    );
    assert!(vera.done(&["whoami"]).contains("viewer"));
    vera.done(&["device", "list"]);

    let refused = vera.fails(5, &["user", "create", "owner", "--role", "administrator"]);
    assert!(refused.contains("You may not do this"), "{refused}");
    assert!(refused.contains("user:write"), "{refused}");
    let problem = vera.run(&[
        "user",
        "create",
        "owner",
        "--role",
        "administrator",
        "--json",
    ]);
    assert_eq!(problem.problem()["permission"], "user:write");
    let users = cli.done(&["user", "list"]);
    assert!(!users.contains("owner"), "{users}");
    // Nor can a token be made that may more than its owner.
    let token = ["token", "create", "more", "--scope", "user:write"];
    let refused = vera.fails(8, &token);
    assert!(refused.contains("--scope"), "{refused}");

    let input = format!("{OWN}\nanother password of mine\n");
    let words = ["change-password", "--login", "vera", "--password-stdin"];
    let changed = vera.run_with(&words, &input);
    assert_eq!(changed.code, 0, "{}", changed.err);
    assert_eq!(vera.done(&["sign-out"]), "signed out\n");
    vera.fails(5, &["whoami"]);
    let old = vera.run_with(&["sign-in", "--login", "vera", "--password-stdin"], OWN);
    assert_eq!(old.code, 5, "{}", old.err);
    assert!(
        old.err.contains("Login or password is wrong"),
        "{}",
        old.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_changed_barred_and_removed_by_login() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    cli.done(&["user", "create", "otto@example.net", "--role", "operator"]);
    let words = [
        "user",
        "edit",
        "otto@example.net",
        "--role",
        "support",
        "--disable",
    ];
    let edited = cli.done_json(&words);
    assert_eq!(
        (&edited["role"], &edited["disabled"]),
        (&"support".into(), &true.into())
    );
    assert!(cli.done(&["user", "list"]).contains("disabled"));
    cli.done(&["user", "edit", "OTTO@example.net", "--enable"]);
    cli.fails(2, &["user", "reset-password", "otto@example.net"]);
    let reset = cli.done_json(&["user", "reset-password", "otto@example.net", "--yes"]);
    assert!(reset["one_time_password"].is_string(), "{reset:#}");
    let wrong = cli.fails(8, &["user", "create", "x", "--role", "king"]);
    assert!(
        wrong.starts_with("headend: --role: ") && wrong.contains("viewer"),
        "{wrong}"
    );
    let roles = cli.done(&["user", "roles"]);
    assert!(
        roles.contains("operator") && roles.contains("device:read"),
        "{roles}"
    );
    cli.done(&["user", "delete", "otto@example.net", "--yes"]);
    cli.fails(4, &["user", "show", "otto@example.net"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_from_login_and_password_alone() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    let made = cli.done_json(&["user", "create", "nils", "--role", "operator"]);
    let once = made["one_time_password"].as_str().unwrap();
    let nils = Cli::fresh(&server, "nils");
    let words = [
        "token",
        "create",
        "script",
        "--login",
        "nils",
        "--password-stdin",
    ];
    let token = nils.run_with(&words, &format!("{once}\n{OWN}\n"));
    assert_eq!(token.code, 0, "{}", token.err);
    nils.done(&["device", "list", "--token", token.out.trim()]);
    let nobody = nils.run(&words);
    assert_eq!(nobody.code, 2, "{}", nobody.err);
    assert!(nobody.err.contains("standard input"), "{}", nobody.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_leaves_one_token_and_no_session_behind() {
    let server = Server::start(&[]).await;
    let cli = Cli::administrator(&server);
    let made = cli.done_json(&["user", "create", "rosa", "--role", "operator"]);
    let once = made["one_time_password"].as_str().unwrap();
    let rosa = Cli::fresh(&server, "rosa");
    let words = ["sign-in", "--login", "rosa", "--password-stdin"];
    let input = format!("{once}\n{OWN}\n");
    assert_eq!(rosa.run_with(&words, &input).code, 0);
    for _ in 0..2 {
        let again = rosa.run_with(&words, OWN);
        assert_eq!(again.code, 0, "{}", again.err);
    }
    rosa.done(&["device", "list"]);
    let valid = || {
        let all = rosa.done_json(&["token", "list"]);
        let all = all["items"].as_array().unwrap().clone();
        all.iter()
            .filter(|token| token["login"] == "rosa" && token["revoked_at"].is_null())
            .count()
    };
    assert_eq!(valid(), 1);

    // Where nothing can be kept, nothing is made.
    let folder = server.folder.path().join("nowhere/headend/sign-in.new");
    std::fs::create_dir_all(folder).unwrap();
    let nowhere = Cli::fresh(&server, "nowhere");
    let refused = nowhere.run_with(&words, OWN);
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("cannot be kept"), "{}", refused.err);
    assert_eq!(valid(), 1);
}
