//! The transcripts of the quirk packs of the test bench: each is played again with a device that has
//! what the pack says. What goes over HTTP is in the tests of the listener.

use std::collections::BTreeMap;

use cwmp::Version;
use cwmp::event::EventCode;
use cwmp::rpc::{DeviceId, EventStruct, Inform, ParameterValue};
use cwmp::value::{Timestamp as Clock, Value};
use dm::BaseType;
use dm::mapping::Numbers;
use fleet::Timestamp;
use fleet::southbound::{ObjectSettings, Setting};

use self::golden::{PACKS, same};
use super::fake::{Fake, gateway};
use super::habits::Habits;
use super::known::Known;
use super::line::Line;
use super::memory::Memory;
use super::quirks::{Packs, Quirks};
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
