//! The agent's own certificate: shown, and renewed by AddCertificate().

use std::path::Path;

use mtp::tls::authority::{Authority, KeyOf, Leaf};
use usp::EndpointId;
use usp::proto::msg::{OperationResp, Response};

use super::rig::{Rig, config};
use crate::Effect;

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
