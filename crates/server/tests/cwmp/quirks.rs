//! The transcripts of the quirk packs (`data/quirks/*.txt`) that are about HTTP: each is played again
//! with a device that takes cookies and challenges only as the pack says. With
//! `HEADEND_TRANSCRIPTS=write` they are written anew, for somebody to read the difference.

use cwmp::auth::basic;
use server::config::OfferBasic;

use crate::raw::Answer;
use crate::rig::{World, world};

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

fn same(name: &str, said: &[String]) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/quirks");
    let path = format!("{folder}/{name}.txt");
    let said = said.join("\n") + "\n";
    if std::env::var("HEADEND_TRANSCRIPTS").is_ok_and(|how| how == "write") {
        std::fs::write(&path, &said).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap();
    assert_eq!(said, known, "{path}");
}

#[tokio::test]
async fn a_gateway_that_drops_a_cookie_with_attributes_and_wants_md5_alone() {
    let world = world(|_, _| {}).await;
    same("igd-crumbs", &met(&world, "IGD-CRUMBS 2").await);
}

#[tokio::test]
async fn a_gateway_that_cannot_bear_cookies_and_knows_digest_as_rfc_2069_had_it() {
    let world = world(|_, _| {}).await;
    same("igd-old-digest", &met(&world, "IGD-2069").await);
}

#[tokio::test]
async fn a_gateway_that_knows_basic() {
    let world = world(|config, _| config.cwmp.basic = OfferBasic::Always).await;
    same("igd-basic", &met(&world, "IGD-BASIC").await);
}

#[tokio::test]
async fn who_does_not_answer_what_it_is_offered_is_offered_something_simpler() {
    let world = world(|_, _| {}).await;
    let mut seen: Vec<usize> = Vec::new();
    let mut qop = true;
    for _ in 0..30 {
        let mut cpe = world.cpe("S1").await;
        let asked = cpe.post(&[], "").await.challenges();
        seen.push(asked.len());
        qop = asked[0].params.get("qop").is_some();
        if !qop {
            // At last it understands.
            let inform = cpe.inform();
            let proof = cpe.digest(&asked[0]);
            let informed = cpe.post(&[("Authorization", &proof)], &inform).await;
            assert_eq!(informed.status, 200);
            break;
        }
    }
    assert!(!qop && seen[0] == 2 && seen[3] == 1, "{seen:?}");
    let mut cpe = world.cpe("S2").await;
    let asked = cpe.post(&[], "").await.challenges();
    assert!(asked.len() == 1 && asked[0].params.get("qop").is_none());
}
