//! What is said to devices that a quirk pack knows: one transcript for each pack.

use std::collections::BTreeMap;

use cwmp::{Request, Version};
use dm::mapping::Numbers;
use fleet::Timestamp;
use fleet::southbound::{ObjectSettings, Setting};

use super::fake::{Asked, Fake, gateway};
use super::habits::Habits;
use super::known::Known;
use super::line::Line;
use super::quirks::{self, Quirks};
use super::{get, operate, write};

/// What a device was asked, a line each.
fn transcript(asked: &Asked) -> Vec<String> {
    let line = |request: &Request| match request {
        Request::GetParameterNames(ask) => {
            let levels = if ask.next_level { "its level" } else { "all" };
            format!("GetParameterNames {} {levels}", ask.path)
        }
        Request::GetParameterValues(ask) => format!("GetParameterValues {}", ask.names.join(" ")),
        Request::SetParameterValues(ask) => {
            let one = |p: &cwmp::rpc::ParameterValue| format!("{}={}", p.name, p.value.text);
            let all: Vec<String> = ask.parameters.iter().map(one).collect();
            format!("SetParameterValues {}", all.join(" "))
        }
        other => other.method().name().to_owned(),
    };
    asked.requests().iter().map(line).collect()
}

/// The same is done with each device: discovery, a read of an object, a Set and a reboot.
async fn met(fake: Fake, product_class: &str, firmware: &str) -> Vec<String> {
    let quirks = quirks::of("00256D", product_class, firmware);
    let (cpe, asked) = fake.cpe();
    let habits = Habits::of(None, &quirks, Timestamp::default());
    let mut line = Line::new(cpe, Version::V1_0, habits, quirks);
    let known = Known::discover(&mut line, "Device.", Numbers::default()).await;
    let known = &mut known.unwrap();
    let paths = ["Device.WiFi.SSID.".to_owned()];
    let read = get::get(&mut line, known, &paths, 0).await.unwrap();
    assert_eq!(read[0].result.as_ref().unwrap().len(), 6);
    let settings = [("Enable", "false"), ("SSID", "den")];
    let settings = settings.map(|(name, value)| Setting::required(name, value));
    let object = ObjectSettings {
        object: "Device.WiFi.SSID.1.".into(),
        settings: settings.to_vec(),
    };
    let done = write::set(&mut line, known, &[object], false)
        .await
        .unwrap();
    assert!(done.iter().all(|one| one.result.is_ok()));
    let args = BTreeMap::new();
    let plan = operate::plan(&mut line, known, "Device.Reboot()", "k", &args, firmware).await;
    operate::ask(&mut line, known, plan.unwrap()).await;
    transcript(&asked)
}

#[tokio::test]
async fn a_device_without_a_pack() {
    assert_eq!(quirks::of("00256D", "Box", "1.0"), Quirks::default());
    // The pack is of its firmware.
    assert_eq!(quirks::of("00256D", "IGD-2009", "2.0"), Quirks::default());
    let said = met(gateway(), "Box", "1.0").await;
    assert_eq!(
        said,
        [
            "GetParameterNames Device. all",
            "GetParameterValues Device.WiFi.SSID.",
            "SetParameterValues Device.WiFi.SSID.1.Enable=false Device.WiFi.SSID.1.SSID=den",
            "Reboot",
        ]
    );
}

#[tokio::test]
async fn a_gateway_of_2009() {
    let said = met(gateway().no_partial_paths(), "IGD-2009 A", "1.7").await;
    assert_eq!(
        said,
        [
            "GetParameterNames Device. all",
            "GetParameterValues Device.WiFi.SSID.",
            "GetParameterValues Device.WiFi.SSID.1.BSSID Device.WiFi.SSID.1.Enable Device.WiFi.SSID.1.SSID Device.WiFi.SSID.2.BSSID",
            "GetParameterValues Device.WiFi.SSID.2.Enable Device.WiFi.SSID.2.SSID",
            "SetParameterValues Device.WiFi.SSID.1.Enable=0 Device.WiFi.SSID.1.SSID=den",
            "Reboot",
        ]
    );
}

#[tokio::test]
async fn a_gateway_that_lists_each_level_with_all_below_it() {
    let fake = gateway().ignores_levels().no_partial_paths();
    let said = met(fake, "IGD-FLAT", "1.0").await;
    assert_eq!(
        said,
        [
            "GetParameterNames Device. all",
            "GetParameterValues Device.WiFi.SSID.1.BSSID Device.WiFi.SSID.1.Enable Device.WiFi.SSID.1.SSID Device.WiFi.SSID.2.BSSID Device.WiFi.SSID.2.Enable Device.WiFi.SSID.2.SSID",
            "SetParameterValues Device.WiFi.SSID.1.Enable=false Device.WiFi.SSID.1.SSID=den",
            "Reboot",
        ]
    );
}
