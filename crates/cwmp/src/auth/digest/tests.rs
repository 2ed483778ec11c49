//! Digest between both ends, and the standards' examples.

use super::*;
use crate::auth::challenge::challenges;

fn server() -> Server {
    Server {
        realm: "acs".into(),
        algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
        qop: true,
        secret: b"secret".into(),
        life: 300,
    }
}

fn client(password: &'static str) -> Client<'static> {
    Client {
        username: "00256D-1",
        password,
        method: "POST",
        uri: "/cwmp",
        cnonce: "c",
        count: 1,
        body: b"",
    }
}

fn answer(client: Client<'_>, header: &str) -> Credentials {
    let header = client.answer(&challenges([header])[0]).unwrap();
    Credentials::parse(&header).unwrap()
}

#[test]
fn the_examples_of_the_standards_come_out() {
    let example = |header: &str, password, cnonce| {
        let client = Client {
            username: "Mufasa",
            password,
            method: "GET",
            uri: "/dir/index.html",
            cnonce,
            count: 1,
            body: b"",
        };
        answer(client, header).response
    };
    // RFC 7616, 3.9.1
    let new = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v""#;
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    assert_eq!(
        example(&format!("{new}, algorithm=MD5"), "Circle of Life", cnonce),
        "8ca523f5e9506fed4657c9700eebdbec"
    );
    assert_eq!(
        example(
            &format!("{new}, algorithm=SHA-256"),
            "Circle of Life",
            cnonce
        ),
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    );
    // RFC 2617, 3.5, and RFC 2069, 2.4 with its erratum
    let old = r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093""#;
    assert_eq!(
        example(
            &format!("{old}, qop=\"auth,auth-int\""),
            "Circle Of Life",
            "0a4f113b"
        ),
        "6629fae49393a05397450978507c4ef1"
    );
    assert_eq!(
        example(old, "CircleOfLife", ""),
        "1949323746fe6a43ef61f9606e7febea"
    );
}

#[test]
fn both_ends_agree_on_every_variant() {
    for (algorithms, qop) in [
        (vec![Algorithm::Md5], true),
        (vec![Algorithm::Md5], false),
        (vec![Algorithm::Md5Sess], true),
        (vec![Algorithm::Sha256], false),
        (vec![Algorithm::Sha256Sess], false),
    ] {
        let server = Server {
            algorithms,
            qop,
            ..server()
        };
        let challenge = server.challenges(1000, 1, false).remove(0);
        let good = answer(client("p"), &challenge);
        assert_eq!(good.count(), qop.then_some(1));
        let check = |credentials, method, now| server.check(now, credentials, method, b"", "p");
        assert_eq!(check(&good, "POST", 1010), Ok(()), "{challenge}");
        assert_eq!(check(&good, "GET", 1010), Err(Denied::Password));
        assert_eq!(check(&good, "POST", 1301), Err(Denied::Stale));
        let bad = answer(client("q"), &challenge);
        // Who does not know the password does not learn that the nonce is old.
        assert_eq!(check(&bad, "POST", 1301), Err(Denied::Password));
    }
}

#[test]
fn what_is_not_ours_is_told() {
    let challenge = server().challenges(1000, 1, true).remove(0);
    assert!(challenge.ends_with(", stale=true"));
    let good = answer(client("p"), &challenge);
    let mut other = server();
    other.secret = b"changed".into();
    assert_eq!(
        other.check(1000, &good, "POST", b"", "p"),
        Err(Denied::Foreign)
    );
    other.realm = "another".into();
    assert_eq!(
        other.check(1000, &good, "POST", b"", "p"),
        Err(Denied::Realm)
    );
    other = server();
    other.algorithms.remove(0);
    assert_eq!(
        other.check(1000, &good, "POST", b"", "p"),
        Err(Denied::Algorithm)
    );
}

#[test]
fn an_empty_uri_and_a_body_under_auth_int_are_hashed_as_sent() {
    let challenge = server().challenges(1000, 1, false).remove(1);
    let empty = answer(
        Client {
            uri: "",
            ..client("p")
        },
        &challenge,
    );
    assert_eq!(server().check(1000, &empty, "POST", b"", "p"), Ok(()));
    let int = challenge.replace("qop=\"auth\"", "qop=auth-int");
    let body = answer(
        Client {
            body: b"<x/>",
            ..client("p")
        },
        &int,
    );
    assert_eq!(server().check(1000, &body, "POST", b"<x/>", "p"), Ok(()));
    assert_eq!(
        server().check(1000, &body, "POST", b"<y/>", "p"),
        Err(Denied::Password)
    );
}

#[test]
fn what_cannot_be_used_is_refused() {
    for bad in [
        "Digest",
        "Basic YTpi",
        "Digest username=a, nonce=b",
        "Digest username=a, nonce=b, response=c, qop=magic",
        "Digest username=a, nonce=b, response=c, algorithm=MD4",
    ] {
        assert_eq!(Credentials::parse(bad), None, "{bad}");
    }
    let no = |header: &str| client("p").answer(&challenges([header])[0]).is_none();
    assert!(no("Basic realm=a") && no("Digest realm=a") && no("Digest nonce=a, qop=magic"));
    assert!(no("Digest nonce=a, algorithm=MD4"));
}

#[test]
fn the_best_known_challenge_is_answered() {
    let offered = challenges([
        "Basic realm=a, Digest nonce=1, Digest nonce=2 algorithm=SHA-256, Digest nonce=3 algorithm=SHA-512-256, Bearer",
    ]);
    assert_eq!(
        choose(&offered, true).and_then(|c| c.params.get("nonce")),
        Some("2")
    );
    assert_eq!(
        choose(&offered[..1], true).map(|c| &*c.scheme),
        Some("basic")
    );
    assert_eq!(choose(&offered[..1], false), None);
}
