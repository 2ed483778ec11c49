//! The transcripts of the quirk packs, of those that come with the program and of the test bench: each
//! is played again with a device that has what the pack says. What goes over HTTP is in the tests of the
//! listener.

use std::collections::BTreeMap;

use cwmp::Version;
use cwmp::event::EventCode;
use cwmp::rpc::{DeviceId, EventStruct, Inform, ParameterValue};
use cwmp::value::{Timestamp as Clock, Value};
use dm::BaseType;
use dm::mapping::Numbers;
use fleet::Timestamp;
use fleet::southbound::{ObjectSettings, Setting};

use self::golden::{PACKS, has, same};
use super::fake::{Fake, gateway};
use super::habits::Habits;
use super::known::Known;
use super::line::Line;
use super::memory::Memory;
use super::packs::{Packs, SHIPPED};
use super::quirks::Quirks;
use super::{discover, get, inform, operate, requests, write};

#[path = "../../../../../tests/quirks/golden.rs"]
mod golden;

const TIME: &str = "Device.ManagementServer.PeriodicInformTime";
const DOWNLOAD: &str = "Device.DeviceInfo.FirmwareImage.1.Download()";

fn device() -> Fake {
    gateway().with_param(TIME, Value::new(BaseType::DateTime, "0001-01-01T00:00:00Z"))
}

fn quirks(product_class: &str, firmware: &str) -> Quirks {
    let mut packs = Packs::default();
    packs.read("gateways.toml", PACKS).unwrap();
    packs.of("00256D", product_class, firmware)
}

/// The firmware after a download, as the next Inform says it.
fn restart() -> Inform {
    let version = ParameterValue::new("Device.DeviceInfo.SoftwareVersion", Value::string("9.9"));
    Inform {
        device_id: DeviceId::default(),
        events: vec![EventStruct::new(EventCode::Boot)],
        max_envelopes: 1,
        current_time: Clock::unknown(),
        retry_count: 0,
        parameters: vec![version],
    }
}

/// The same is done with each device: its root and its structure are found out, an object is read,
/// three kinds of values are set, firmware is loaded, and it restarts.
async fn met(fake: Fake, quirks: Quirks, firmware: &str) -> Vec<String> {
    let (cpe, asked) = fake.cpe();
    let habits = Habits::of(None, &quirks, Timestamp::default());
    let mut line = Line::new(cpe, Version::V1_0, habits, quirks.clone());
    let root = discover::root(&mut line).await.unwrap();
    let known = Known::discover(&mut line, &root, Numbers::default()).await;
    let known = &mut known.unwrap();
    let paths = ["Device.WiFi.SSID.".to_owned()];
    let read = get::get(&mut line, known, &paths, 0).await.unwrap();
    assert_eq!(read[0].result.as_ref().unwrap().len(), 6);
    let object = |object: &str, settings: &[(&str, &str)]| {
        let settings = settings.iter();
        ObjectSettings {
            object: object.into(),
            settings: settings
                .map(|(name, value)| Setting::required(*name, *value))
                .collect(),
        }
    };
    let wanted = [
        object("Device.WiFi.SSID.1.", &[("Enable", "0"), ("SSID", "den")]),
        object(
            "Device.ManagementServer.",
            &[("PeriodicInformTime", "2026-01-02T03:04:05.678+01:00")],
        ),
    ];
    let done = write::set(&mut line, known, &wanted, false).await.unwrap();
    assert!(done.iter().all(|one| one.result.is_ok()));
    let mut memory = Memory {
        software: firmware.to_owned(),
        ..Memory::default()
    };
    let url = BTreeMap::from([("URL".to_owned(), "http://files/fw".to_owned())]);
    for (command, args) in [(DOWNLOAD, url), ("Device.Reboot()", BTreeMap::new())] {
        let plan = operate::plan(&mut line, known, command, command, &args, firmware).await;
        let plan = plan.unwrap();
        if let operate::Plan::Method(_, work) = &plan {
            memory.begin(command, command, work.clone(), Timestamp::from_millis(1));
            memory.accepted(command);
        }
        operate::ask(&mut line, known, plan).await;
    }
    let mut said = asked.dialog();
    said.push("CPE: Inform 1 BOOT, firmware 9.9".to_owned());
    let heard = inform::hear(&restart(), &mut memory, &quirks);
    let ended: Vec<requests::Ended> = heard.ended;
    for (pending, result) in ended {
        said.push(format!("proved: {} {result:?}", pending.command));
    }
    for notice in heard.notices {
        if let fleet::Notice::Boot(boot) = notice {
            said.push(format!("it started: {} {}", boot.cause, boot.command_key));
        }
    }
    said
}

#[tokio::test]
async fn a_device_without_a_pack() {
    assert_eq!(quirks("Box", "1.0"), Quirks::default());
    // The pack is of its firmware.
    assert_eq!(quirks("IGD-2009", "2.0"), Quirks::default());
    same("none", &met(device(), quirks("Box", "1.0"), "1.0").await);
}

#[tokio::test]
async fn a_gateway_of_2009() {
    let fake = device()
        .no_partial_paths()
        .names_max(20)
        .values_max(4)
        .writes_max(2);
    same(
        "igd-2009",
        &met(fake, quirks("IGD-2009 A", "1.7"), "1.7").await,
    );
}

#[tokio::test]
async fn a_gateway_that_lists_each_level_with_all_below_it() {
    let fake = device().ignores_levels().hangs_on_objects();
    same(
        "igd-flat",
        &met(fake, quirks("IGD-FLAT", "1.0"), "1.0").await,
    );
}

#[tokio::test]
async fn a_gateway_that_breaks_off_over_the_empty_path() {
    let fake = device().no_empty_path();
    let said = met(fake, quirks("IGD-ROOTLESS", "1.0"), "1.0").await;
    same("igd-rootless", &said);
}

/// What comes with the program says of such a device.
fn shipped(oui: &str, product_class: &str, firmware: &str) -> Quirks {
    let packs = Packs::shipped().unwrap();
    packs.of(oui, product_class, firmware)
}

/// A device that each pack which comes with the program is of, and one next to it that it is not of.
const OF: &[(&str, [&str; 3], [&str; 3])] = &[
    (
        "datacom-dm955",
        ["F8E4FB", "DM955", "1.0"],
        ["F8E4FB", "DM985-424", "1.0"],
    ),
    (
        "sagemcom-fast2764gv",
        ["001BBF", "Fast2764GV", "v82B0-v8480"],
        ["001BBE", "Fast2764GV", "v82B0-v8480"],
    ),
    (
        "tenda-ac10",
        ["C83A35", "AC10", "V16.03.06.05_multi_BR01"],
        ["C83A35", "AC1000", "V16.03.06.05_multi_BR01"],
    ),
    (
        "zhone-znid",
        ["000271", "ZNID-GPON-2426", "S3.1"],
        ["000271", "GPON-2426", "S3.1"],
    ),
];

#[test]
fn each_pack_that_comes_with_the_program_has_its_sources_its_transcript_and_its_devices() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let folder = std::fs::read_dir(format!("{root}/data/quirks")).unwrap();
    let mut files: Vec<String> = folder
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    let expected: Vec<String> = names.iter().map(|name| format!("{name}.toml")).collect();
    assert_eq!(files, expected);
    let guide = std::fs::read_to_string(format!("{root}/docs/quirks.md")).unwrap();
    let packs = Packs::shipped().unwrap();
    assert_eq!(OF.iter().map(|of| of.0).collect::<Vec<_>>(), names);
    for (name, [oui, class, firmware], other) in OF {
        let [pack] = packs.shown(oui, class, firmware).try_into().unwrap();
        assert!(pack.name == *name && pack.shipped);
        assert!(pack.confidence.is_some() && !pack.source.is_empty());
        assert!(guide.contains(&format!("`{name}`")), "{name}");
        for link in &pack.source {
            assert!(
                link.starts_with("https://") && guide.contains(link),
                "{link}"
            );
        }
        let [oui, class, firmware] = other;
        assert!(packs.shown(oui, class, firmware).is_empty(), "{name}");
        assert!(has(name), "{name} has no transcript");
    }
}

#[tokio::test]
async fn a_fast_2764_gv_of_sagemcom() {
    let fake = device().no_empty_path();
    let quirks = shipped("001BBF", "Fast2764GV", "v82B0-v8480");
    let said = met(fake, quirks, "v82B0-v8480").await;
    same("sagemcom-fast2764gv", &said);
}

#[tokio::test]
async fn a_znid_of_zhone() {
    let quirks = shipped("000271", "ZNID-GPON-2426", "S3.1");
    let (cpe, asked) = device().hangs_on_levels().cpe();
    let habits = Habits::of(None, &quirks, Timestamp::default());
    let mut line = Line::new(cpe, Version::V1_0, habits, quirks);
    let root = discover::root(&mut line).await.unwrap();
    let known = Known::discover(&mut line, &root, Numbers::default()).await;
    let tree = &mut known.unwrap().tree;
    for table in ["Device.WiFi.SSID.", "Device.Hosts.Host."] {
        let listed = discover::list(&mut line, tree, table).await.unwrap();
        assert_eq!(listed, discover::Listed::default());
    }
    same("zhone-znid", &asked.dialog());
}

#[tokio::test]
async fn an_ac10_of_tenda() {
    let fake = device().strings_only();
    let quirks = shipped("C83A35", "AC10", "V16.03.06.05_multi_BR01");
    same("tenda-ac10", &met(fake, quirks, "V16.03").await);
}
