//! The agent's own certificate: shown, and renewed by AddCertificate().

use std::path::Path;

use mtp::tls::authority::{Authority, KeyOf, Leaf};
use usp::EndpointId;
use usp::proto::msg::{OperationResp, Response};

use super::rig::{Rig, config, toy};
use crate::limits::CERTIFICATE_REFUSALS_MAX;
use crate::{Effect, MemoryStorage, Refused};

const DAYS: u32 = 30;

fn own() -> EndpointId {
    config().endpoint_id.parse().unwrap()
}

/// An agent with a certificate of this authority.
fn certified(dir: &Path) -> (Rig, Authority, Leaf) {
    let authority = Authority::create(&dir.join("pki"), "theirs", 20_000).unwrap();
    let leaf = authority.issue(&own(), 10_000, KeyOf::Fresh).unwrap();
    std::fs::write(dir.join("own.pem"), &leaf.pem).unwrap();
    std::fs::write(dir.join("own.key"), leaf.key.clone().unwrap()).unwrap();
    let mut config = config();
    config.tls.certificate = Some(dir.join("own.pem"));
    config.tls.key = Some(dir.join("own.key"));
    (Rig::configured(config), authority, leaf)
}

/// What is wrong with it; `None`: it was taken.
fn added(rig: &mut Rig, pem: &str) -> Option<String> {
    let args: usp::Map = [("Certificate", pem)].into_iter().collect();
    let command = "Device.LocalAgent.AddCertificate()";
    let response = rig.ask(usp::msg::operate(command, "k", args)).unwrap();
    let Response::OperateResp(mut response) = response else {
        panic!("{response:?}");
    };
    match response.operation_results.remove(0).operation_resp {
        Some(OperationResp::CmdFailure(failure)) => Some(failure.err_msg),
        Some(OperationResp::ReqOutputArgs(_)) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_renewed_certificate_takes_the_place_of_the_old_one_in_file_and_data_model() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, authority, old) = certified(dir.path());
    let row = "Device.LocalAgent.Certificate.1.";
    assert_eq!(rig.value(&format!("{row}SerialNumber")), old.info.serial);
    let number = "Device.LocalAgent.CertificateNumberOfEntries";
    assert_eq!(rig.value(number), "1");
    let shown = rig.value("Device.Security.Certificate.1.SubjectAlt");
    assert!(shown.contains(&own().to_urn()), "{shown}");
    let new = authority.issue(&own(), 10_000, KeyOf::Certificate(&old.pem));
    let new = new.unwrap();
    rig.effects();
    assert_eq!(added(&mut rig, &new.pem), None);
    assert!(rig.effects().contains(&Effect::CertificateRenewed));
    let file = std::fs::read_to_string(dir.path().join("own.pem")).unwrap();
    assert_eq!(file, new.pem);
    // Another row: nobody mistakes it for the old one.
    let row = "Device.LocalAgent.Certificate.2.";
    assert_eq!(rig.value(&format!("{row}SerialNumber")), new.info.serial);
    assert_eq!(rig.value(number), "1");
}

/// The serial number that the data model shows.
fn serial(rig: &mut Rig) -> String {
    rig.value("Device.LocalAgent.Certificate.*.SerialNumber")
}

/// Refused as often as it takes.
fn refused(rig: &mut Rig) {
    let last = CERTIFICATE_REFUSALS_MAX - 1;
    for _ in 0..last {
        let counted = rig.engine.certificate_refused(rig.now);
        assert_eq!(counted, Ok(Refused::Counted));
    }
    let changed = rig.engine.certificate_refused(rig.now);
    assert_eq!(changed, Ok(Refused::Changed));
}

fn files(dir: &Path) -> Vec<String> {
    let all = std::fs::read_dir(dir).unwrap();
    let names = all.map(|one| one.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".pem")).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_renewed_certificate_that_is_refused_gives_way_to_the_former_one_until_either_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, authority, old) = certified(dir.path());
    let new = authority.issue(&own(), 10_000, KeyOf::Certificate(&old.pem));
    let new = new.unwrap();
    // Nothing is on trial.
    let settled = rig.engine.certificate_refused(rig.now);
    assert_eq!(settled, Ok(Refused::Settled));
    assert_eq!(added(&mut rig, &new.pem), None);
    refused(&mut rig);
    assert_eq!(serial(&mut rig), old.info.serial);
    let shown = || std::fs::read_to_string(dir.path().join("own.pem")).unwrap();
    assert_eq!(shown(), old.pem);
    // Which of the two is taken, only a server knows.
    refused(&mut rig);
    assert_eq!(
        (serial(&mut rig), shown()),
        (new.info.serial.clone(), new.pem.clone())
    );
    refused(&mut rig);
    rig.engine.certificate_accepted();
    assert_eq!(files(dir.path()), ["own.pem"]);
    assert_eq!(shown(), old.pem);
    // And then it is as if there had been none.
    let settled = rig.engine.certificate_refused(rig.now);
    assert_eq!(settled, Ok(Refused::Settled));
    assert_eq!(added(&mut rig, &new.pem), None);
    rig.engine.certificate_accepted();
    assert_eq!(
        (files(dir.path()), shown()),
        (vec!["own.pem".to_owned()], new.pem)
    );
}

#[test]
fn a_renewed_certificate_is_judged_by_the_controller_that_asked_for_it_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    for controller in &mut config.controllers {
        controller.url = "wss://192.0.2.1/usp".into();
    }
    config.tls.certificate = Some(dir.path().join("own.pem"));
    config.tls.key = Some(dir.path().join("own.key"));
    let (rig, authority, old) = certified(dir.path());
    let mut rig = Rig::made(config.clone(), toy(), MemoryStorage::new(), rig.now);
    let judges = |rig: &Rig| -> Vec<bool> {
        let links = rig.engine.controllers();
        let judges = links.iter().map(|link| rig.engine.judges_certificate(link));
        judges.collect()
    };
    let new = authority.issue(&own(), 10_000, KeyOf::Certificate(&old.pem));
    assert_eq!(added(&mut rig, &new.unwrap().pem), None);
    assert_eq!(judges(&rig), [true, false]);
    let mut rig = Rig::made(config.clone(), toy(), MemoryStorage::new(), rig.now);
    assert_eq!(judges(&rig), [true, false]);
    refused(&mut rig);
    assert_eq!(serial(&mut rig), old.info.serial);
    // One that is not shown any certificate cannot say.
    config.controllers[0].url = "ws://192.0.2.1/usp".into();
    let rig = Rig::made(config, toy(), MemoryStorage::new(), rig.now);
    assert_eq!(judges(&rig), [true, true]);
    let mut found = rig.engine.controllers().remove(1);
    found.found = true;
    assert!(!rig.engine.judges_certificate(&found));
}

#[test]
fn a_certificate_renewed_twice_gives_way_to_the_one_that_was_taken_last() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, authority, old) = certified(dir.path());
    for _ in 0..2 {
        let new = authority.issue(&own(), 10_000, KeyOf::Certificate(&old.pem));
        assert_eq!(added(&mut rig, &new.unwrap().pem), None);
    }
    refused(&mut rig);
    assert_eq!(serial(&mut rig), old.info.serial);
}

#[test]
fn a_former_certificate_outlives_the_agent_and_is_not_shown_once_it_has_expired() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, authority, old) = certified(dir.path());
    let new = authority.issue(&own(), 15_000, KeyOf::Certificate(&old.pem));
    assert_eq!(added(&mut rig, &new.unwrap().pem), None);
    assert_eq!(files(dir.path()).len(), 3);
    let now = rig.now;
    let again = || {
        let mut config = config();
        config.tls.certificate = Some(dir.path().join("own.pem"));
        config.tls.key = Some(dir.path().join("own.key"));
        Rig::made(config, toy(), MemoryStorage::new(), now)
    };
    let mut rig = again();
    rig.now.unix_ms = (old.info.not_after + 1) * 1000;
    for _ in 0..2 * CERTIFICATE_REFUSALS_MAX {
        let counted = rig.engine.certificate_refused(rig.now);
        assert_eq!(counted, Ok(Refused::Counted));
    }
    rig.now = now;
    let changed = rig.engine.certificate_refused(rig.now);
    assert_eq!(changed, Ok(Refused::Changed));
    // What somebody else has put there is on no trial.
    let mine = authority.issue(&own(), DAYS, KeyOf::Fresh).unwrap();
    std::fs::write(dir.path().join("own.pem"), mine.pem).unwrap();
    let mut rig = again();
    let settled = rig.engine.certificate_refused(rig.now);
    assert_eq!(settled, Ok(Refused::Settled));
    assert_eq!(files(dir.path()), ["own.pem"]);
}

#[test]
fn a_certificate_that_would_shut_the_agent_out_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, authority, old) = certified(dir.path());
    let same = KeyOf::Certificate(&old.pem);
    let other = EndpointId::parse("self::somebody-else").unwrap();
    let another_key = authority.issue(&own(), DAYS, KeyOf::Fresh).unwrap();
    let of_another = authority.issue(&other, DAYS, same).unwrap();
    for (pem, why) in [
        (another_key.pem.as_str(), "another key"),
        (of_another.pem.as_str(), "it is not for"),
        (old.pem.as_str(), "there already"),
        ("nonsense", "no certificate"),
    ] {
        let refused = added(&mut rig, pem).expect("it was taken");
        assert!(refused.contains(why), "{refused}");
    }
    let soon = authority.issue(&own(), DAYS, same).unwrap();
    rig.now.unix_ms = (soon.info.not_after + 1) * 1000;
    let refused = added(&mut rig, &soon.pem).expect("it was taken");
    assert!(refused.contains("has expired"), "{refused}");
    let file = std::fs::read_to_string(dir.path().join("own.pem")).unwrap();
    assert_eq!(file, old.pem);
    assert!(!rig.effects().contains(&Effect::CertificateRenewed));
}

#[test]
fn an_agent_without_a_key_has_no_use_for_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::create(dir.path(), "theirs", 20_000).unwrap();
    let leaf = authority.issue(&own(), DAYS, KeyOf::Fresh).unwrap();
    let mut rig = Rig::new();
    assert_eq!(
        rig.value("Device.LocalAgent.CertificateNumberOfEntries"),
        "0"
    );
    let refused = added(&mut rig, &leaf.pem).expect("it was taken");
    assert!(refused.contains("no key of its own"), "{refused}");
}
