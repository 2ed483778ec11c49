//! The transcripts of the quirk packs that are about HTTP: each is played again with a
//! device that takes cookies and challenges only as the pack says.

use std::net::SocketAddr;

use cwmp::auth::basic;
use server::config::{Config, OfferBasic};

use self::golden::{PACKS, same};
use crate::raw::{Answer, Cpe};
use crate::rig::{World, world};

#[path = "../quirks/golden.rs"]
mod golden;

/// The operator has these packs.
pub fn with_packs(config: &Config) {
    let folder = config.data_dir.join("quirks");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("gateways.toml"), PACKS).unwrap();
}

/// What was answered, without what is new each time.
fn shown(answer: &Answer) -> String {
    let mut out = format!("ACS: {}", answer.status);
    for name in ["WWW-Authenticate", "Set-Cookie"] {
        for value in answer.all(name) {
            out.push_str(&format!("\nACS: {name}: {}", masked(value)));
        }
    }
    out
}

fn masked(value: &str) -> String {
    let mut parts = Vec::new();
    for part in value.split(", ") {
        parts.push(match part.split_once("nonce=") {
            Some((before, _)) => format!("{before}nonce=..."),
            None => part.to_owned(),
        });
    }
    let value = parts.join(", ");
    match value.strip_prefix("session=") {
        Some(rest) => {
            let attributes = rest.find(';').map_or("", |at| &rest[at..]);
            format!("session=...{attributes}")
        }
        None => value,
    }
}

/// A device of this class comes for the first time by its path, and then as it can.
async fn met(world: &World, class: &str) -> Vec<String> {
    let mut said = Vec::new();
    let mut cpe = world.cpe("S1").await.with("", "");
    cpe.class = class.to_owned();
    cpe.path = format!("/cwmp/{}", world.key);
    let inform = cpe.inform();
    said.push("CPE: Inform, by the setup key in its path".to_owned());
    let answer = cpe.post(&[], &inform).await;
    assert_eq!(answer.status, 200);
    said.push(shown(&answer));
    said.push("CPE: (nothing more to say)".to_owned());
    said.push(shown(&cpe.post(&[], "").await));
    let mut cpe = world.cpe("S1").await;
    cpe.class = class.to_owned();
    let inform = cpe.inform();
    said.push("CPE: Inform, without credentials".to_owned());
    let asked = cpe.post(&[], &inform).await;
    said.push(shown(&asked));
    let challenges = asked.challenges();
    assert_eq!(challenges.len(), 1, "it takes the first for the only one");
    let proof = match challenges[0].scheme.as_str() {
        "basic" => basic::authorization("acme", &world.key),
        _ => cpe.digest(&challenges[0]),
    };
    said.push("CPE: Inform, with credentials".to_owned());
    let informed = cpe.post(&[("Authorization", &proof)], &inform).await;
    assert_eq!(informed.status, 200);
    said.push(shown(&informed));
    said.push("CPE: (nothing more to say)".to_owned());
    let done = cpe.post(&[], "").await;
    assert_eq!(done.status, 204);
    said.push(shown(&done));
    said
}

#[tokio::test]
async fn a_gateway_that_drops_a_cookie_with_attributes_and_wants_md5_alone() {
    let world = world(|config, _| with_packs(config)).await;
    same("igd-crumbs", &met(&world, "IGD-CRUMBS 2").await);
}

#[tokio::test]
async fn a_gateway_that_cannot_bear_cookies_and_knows_digest_as_rfc_2069_had_it() {
    let world = world(|config, _| with_packs(config)).await;
    same("igd-old-digest", &met(&world, "IGD-2069").await);
}

#[tokio::test]
async fn a_gateway_that_knows_basic() {
    let world = world(|config, _| {
        with_packs(config);
        config.cwmp.basic = OfferBasic::Always;
    })
    .await;
    same("igd-basic", &met(&world, "IGD-BASIC").await);
}

#[tokio::test]
async fn a_dm955_of_datacom() {
    let world = world(|_, _| {}).await;
    let mut said = Vec::new();
    let mut cpe = world.cpe("S1").await.with("", "");
    cpe.class = "DM955".to_owned();
    cpe.path = format!("/cwmp/{}", world.key);
    let inform = cpe.inform();
    let posts = [
        ("Inform, by the setup key in its path", inform.as_str()),
        ("(nothing more to say)", ""),
    ];
    for (what, body) in posts {
        let with = cpe.cookie.as_ref().map_or("", |_| ", with the cookie");
        said.push(format!("CPE: {what}{with}"));
        let answer = cpe.post(&[], body).await;
        said.push(shown(&answer));
        // It forgets what this answer has not set.
        cpe.cookie = answer.cookie();
        assert!(cpe.cookie.is_some(), "{said:?}");
    }
    same("datacom-dm955", &said);
}

/// The challenges that are offered where nobody shows anything, one time after the other: which hash
/// each has, and whether it has `qop`.
async fn asked(http: SocketAddr, times: usize) -> Vec<Vec<(String, bool)>> {
    let mut seen = Vec::new();
    for _ in 0..times {
        let mut cpe = Cpe::new(http, "X").await;
        let challenges = cpe.post(&[], "").await.challenges();
        let one = challenges.iter().map(|one| {
            let hash = one.params.get("algorithm").unwrap_or(&one.scheme);
            (hash.to_owned(), one.params.get("qop").is_some())
        });
        seen.push(one.collect());
    }
    seen
}

#[tokio::test]
async fn who_does_not_answer_is_offered_md5_alone_and_nothing_weaker() {
    let world = world(|config, _| {
        with_packs(config);
        config.cwmp.basic = OfferBasic::Always;
    })
    .await;
    let seen = asked(world.http, 30).await;
    let md5 = || ("MD5".to_owned(), true);
    let all = vec![md5(), ("SHA-256".into(), true), ("basic".into(), false)];
    for (n, one) in seen.iter().enumerate() {
        match n / 3 % 2 {
            0 => assert_eq!(*one, all, "{n}"),
            _ => assert_eq!(*one, [md5()], "{n}"),
        }
    }
}

#[tokio::test]
async fn basic_alone_is_offered_to_no_connection_on_which_it_is_not_offered_at_all() {
    let world = world(|config, _| with_packs(config)).await;
    let mut cpe = world.cpe("S1").await;
    cpe.class = "IGD-BASIC".to_owned();
    cpe.session().await;
    let seen = asked(world.http, 3).await;
    let digest = [("MD5".to_owned(), true), ("SHA-256".to_owned(), true)];
    assert!(seen.iter().all(|one| *one == digest), "{seen:?}");
}
