//! Paths resolved against a small Wi-Fi device.

use std::collections::BTreeMap;

use super::*;

/// A device with two radios, three SSIDs, and an access point that refers to them.
fn device() -> BTreeMap<String, String> {
    [
        ("Device.WiFi.Radio.1.Alias", "r1"),
        ("Device.WiFi.Radio.1.Enable", "1"),
        ("Device.WiFi.Radio.1.Channel", "6"),
        ("Device.WiFi.Radio.1.PossibleChannels", "1, 6,11"),
        ("Device.WiFi.Radio.2.Alias", "r2"),
        ("Device.WiFi.Radio.2.Enable", "true"),
        ("Device.WiFi.Radio.2.Channel", "0100"),
        ("Device.WiFi.Radio.2.PossibleChannels", "36,100"),
        ("Device.WiFi.SSID.1.Alias", "lan"),
        ("Device.WiFi.SSID.1.Enable", "true"),
        ("Device.WiFi.SSID.1.SSID", "home \"x\" 100%"),
        ("Device.WiFi.SSID.1.LowerLayers", "Device.WiFi.Radio.1"),
        ("Device.WiFi.SSID.1.Stats.BytesSent", "10000000000"),
        ("Device.WiFi.SSID.2.Alias", "guest"),
        ("Device.WiFi.SSID.2.Enable", "false"),
        (
            "Device.WiFi.SSID.2.LowerLayers",
            "Device.WiFi.Radio.2.,Device.WiFi.Radio.1.",
        ),
        ("Device.WiFi.SSID.2.Stats.BytesSent", "5"),
        ("Device.WiFi.SSID.10.Alias", "iot"),
        ("Device.WiFi.SSID.10.Enable", "false"),
        ("Device.WiFi.SSID.10.LowerLayers", ""),
        (
            "Device.WiFi.AccessPoint.1.SSIDReference",
            "Device.WiFi.SSID.2.",
        ),
        ("Device.DeviceInfo.SoftwareVersion", "1.0"),
        ("Device.DeviceInfo.FirmwareImage.1.BootFailureLog", "-"),
        ("Device.Time.CurrentLocalTime", "2026-03-01T12:00:00Z"),
        (
            "Device.Hosts.Host.1.ActiveLastChange",
            "2026-03-01T12:00:00Z",
        ),
        (
            "Device.Hosts.Host.2.ActiveLastChange",
            "0001-01-01T00:00:00Z",
        ),
    ]
    .into_iter()
    .map(|(path, value)| (path.to_owned(), value.to_owned()))
    .collect()
}

fn run(text: &str) -> Result<Vec<String>, ResolveError> {
    let values = device();
    let tree = Snapshot::new(Schema::tr181(), &values);
    resolve(&Path::parse(text).unwrap(), &tree, Limits::default())
}

/// What a path resolves to, without the `Device.WiFi.` in front, joined by blanks.
fn found(text: &str) -> String {
    match run(text) {
        Ok(paths) => paths
            .iter()
            .map(|path| path.trim_start_matches("Device.WiFi."))
            .collect::<Vec<_>>()
            .join(" "),
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn plain_paths_resolve_to_themselves_if_they_exist() {
    assert_eq!(found("Device.WiFi.SSID.1.SSID"), "SSID.1.SSID");
    assert_eq!(found("Device.WiFi.SSID.2."), "SSID.2.");
    assert_eq!(found("Device.WiFi.SSID."), "SSID.");
    assert_eq!(found("Device.WiFi.SSID.3."), "");
    assert_eq!(found("Device.WiFi.SSID.1.Nope"), "");
    assert_eq!(found("Device.WiFi.SSID.1.Do()"), "SSID.1.Do()");
    assert_eq!(found("Device.WiFi.SSID.3.Do()"), "");
    assert_eq!(found("Device.WiFi.SSID.2.Happened!"), "SSID.2.Happened!");
}

#[test]
fn a_wildcard_is_every_instance_in_numeric_order() {
    assert_eq!(found("Device.WiFi.SSID.*."), "SSID.1. SSID.2. SSID.10.");
    assert_eq!(found("Device.WiFi.SSID.*.SSID"), "SSID.1.SSID");
    assert_eq!(found("Device.Nope.*.X"), "");
}

#[test]
fn expressions_choose_by_typed_values() {
    // 1 is true, 0100 is 100, and numbers beyond 32 bits have an order, too.
    assert_eq!(
        found("Device.WiFi.Radio.[Enable==true]."),
        "Radio.1. Radio.2."
    );
    assert_eq!(
        found("Device.WiFi.Radio.[Enable==1&&Channel==100]."),
        "Radio.2."
    );
    assert_eq!(found("Device.WiFi.Radio.[Channel<0100]."), "Radio.1.");
    assert_eq!(
        found("Device.WiFi.Radio.[Channel<=100&&Channel>=6]."),
        "Radio.1. Radio.2."
    );
    assert_eq!(
        found("Device.WiFi.Radio.[Channel!=6].Channel"),
        "Radio.2.Channel"
    );
    assert_eq!(
        found("Device.WiFi.SSID.[Stats.BytesSent>9999999999]."),
        "SSID.1."
    );
    assert_eq!(
        found("Device.WiFi.SSID.[SSID==\"home %22x%22 100%25\"].Alias"),
        "SSID.1.Alias"
    );
    assert_eq!(found("Device.WiFi.SSID.[Alias==\"LAN\"]."), "");
    assert_eq!(
        found("Device.Hosts.Host.[ActiveLastChange==2026-03-01T13:00:00+01:00]."),
        "Device.Hosts.Host.1."
    );
    assert_eq!(
        found("Device.Hosts.Host.[ActiveLastChange>1970-01-01T00:00:00Z]."),
        "Device.Hosts.Host.1."
    );
    assert_eq!(
        found("Device.Hosts.Host.[ActiveLastChange==0001-01-01T00:00:00Z]."),
        "Device.Hosts.Host.2."
    );
}

#[test]
fn a_missing_parameter_makes_every_comparison_false() {
    assert_eq!(found("Device.WiFi.SSID.[SSID!=\"x\"]."), "SSID.1.");
}

#[test]
fn the_list_operator_matches_whole_items() {
    assert_eq!(
        found("Device.WiFi.Radio.[PossibleChannels~=\"6\"]."),
        "Radio.1."
    );
    assert_eq!(
        found("Device.WiFi.Radio.[PossibleChannels~=\"1\"]."),
        "Radio.1."
    );
    assert_eq!(found("Device.WiFi.Radio.[PossibleChannels~=\"3\"]."), "");
    assert_eq!(
        found("Device.WiFi.Radio.[PossibleChannels==\"1,6, 11\"]."),
        "Radio.1."
    );
    assert_eq!(
        found("Device.WiFi.Radio.[PossibleChannels!=\"1,6,11\"]."),
        "Radio.2."
    );
    assert_eq!(
        found("Device.WiFi.SSID.[LowerLayers~=\"Device.WiFi.Radio.1.\"]."),
        "SSID.1. SSID.2."
    );
}

#[test]
fn references_are_followed_in_the_path_and_in_expressions() {
    assert_eq!(
        found("Device.WiFi.SSID.1.LowerLayers+.Channel"),
        "Radio.1.Channel"
    );
    assert_eq!(
        found("Device.WiFi.SSID.2.LowerLayers#2+.Alias"),
        "Radio.1.Alias"
    );
    assert_eq!(found("Device.WiFi.SSID.2.LowerLayers#3+.Alias"), "");
    assert_eq!(found("Device.WiFi.SSID.10.LowerLayers+.Alias"), "");
    assert_eq!(
        found("Device.WiFi.SSID.*.LowerLayers#*+."),
        "Radio.1. Radio.2."
    );
    assert_eq!(
        found("Device.WiFi.AccessPoint.1.SSIDReference+.LowerLayers+.Channel"),
        "Radio.2.Channel"
    );
    assert_eq!(
        found("Device.WiFi.SSID.[LowerLayers+.Channel==100]."),
        "SSID.2."
    );
    assert_eq!(
        found("Device.WiFi.SSID.[LowerLayers#*+.Channel==6]."),
        "SSID.1. SSID.2."
    );
    assert_eq!(
        found("Device.WiFi.AccessPoint.[SSIDReference+.LowerLayers#2+.Alias==\"r1\"]."),
        "AccessPoint.1."
    );
    assert_eq!(found("Device.DeviceInfo.SoftwareVersion+."), "");
}

#[test]
fn what_cannot_be_compared_is_said() {
    assert_eq!(
        found("Device.WiFi.SSID.[Alias<\"x\"]."),
        "! < cannot be used with Alias, which is string"
    );
    assert_eq!(
        found("Device.WiFi.SSID.[Enable>=true]."),
        "! >= cannot be used with Enable, which is boolean"
    );
    assert_eq!(
        found("Device.WiFi.SSID.[Alias~=\"x\"]."),
        "! ~= cannot be used with Alias, which is string"
    );
    assert_eq!(
        found("Device.WiFi.Radio.[PossibleChannels>\"1\"]."),
        "! > cannot be used with PossibleChannels, which is a list of string"
    );
    assert_eq!(
        found("Device.WiFi.SSID.[Enable==\"true\"]."),
        "! Enable: true and false are not written in quotes"
    );
    assert!(
        found("Device.WiFi.Radio.[Channel==\"six\"].")
            .starts_with("! Channel: \"six\" is not an unsignedInt")
    );
    assert_eq!(
        found("Device.Hosts.Host.[ActiveLastChange>0001-01-01T00:00:00Z]."),
        "! > cannot be used with ActiveLastChange, which is compared with the Unknown Time here"
    );
    assert_eq!(run("Device.WiFi.SSID.{i}."), Err(ResolveError::Template));
}

#[test]
fn a_quoted_number_is_tolerated_and_a_bare_number_may_be_text() {
    assert_eq!(found("Device.WiFi.Radio.[Channel==\"6\"]."), "Radio.1.");
    assert_eq!(
        found("Device.DeviceInfo.FirmwareImage.[BootFailureLog==\"-\"]."),
        "Device.DeviceInfo.FirmwareImage.1."
    );
}

/// A tree whose model lacks everything but the table.
struct Untyped;

impl Tree for Untyped {
    fn instances(&self, _table: &str) -> Vec<u32> {
        (1..=10).collect()
    }
    fn value(&self, _param: &str) -> Option<String> {
        None
    }
    fn param_type(&self, _param: &str) -> Option<ValueKind> {
        None
    }
    fn object_exists(&self, _object: &str) -> bool {
        true
    }
}

#[test]
fn a_parameter_that_the_model_lacks_is_an_error_not_an_empty_result() {
    let run = |text: &str| resolve(&Path::parse(text).unwrap(), &Untyped, Limits::default());
    assert_eq!(
        run("Device.T.[X==1]."),
        Err(ResolveError::NotSupported {
            path: "Device.T.1.X".into()
        })
    );
    assert_eq!(
        run("Device.T.1.X+."),
        Err(ResolveError::NotSupported {
            path: "Device.T.1.X".into()
        })
    );
}

#[test]
fn work_and_results_are_limited() {
    let run = |text: &str, results_max, steps_max| {
        resolve(
            &Path::parse(text).unwrap(),
            &Untyped,
            Limits {
                results_max,
                steps_max,
            },
        )
    };
    assert_eq!(
        run("D.A.*.B.*.", 100, 1000).map(|found| found.len()),
        Ok(100)
    );
    assert_eq!(
        run("D.A.*.B.*.", 99, 1000),
        Err(ResolveError::TooManyResults { max: 99 })
    );
    assert_eq!(
        run("D.A.*.B.*.", 100, 110),
        Err(ResolveError::TooManySteps { max: 110 })
    );
    let default = Limits::default();
    assert_eq!(
        (default.results_max, default.steps_max),
        (limits::RESOLVE_RESULTS_MAX, limits::RESOLVE_STEPS_MAX)
    );
    assert_eq!(
        run(
            "D.A.*.B.*.C.*.D.*.E.*.",
            default.results_max,
            default.steps_max
        ),
        Err(ResolveError::TooManyResults {
            max: default.results_max
        })
    );
}

// R-GET.0, R-GET.1a: a whole unique key addresses, everything less or else searches.
#[test]
fn a_whole_unique_key_addresses_and_anything_else_searches() {
    let kind = |text: &str| addressing(&Path::parse(text).unwrap(), Schema::tr181());
    assert_eq!(kind("Device.WiFi.SSID.1.SSID"), Addressing::Plain);
    assert_eq!(
        kind("Device.WiFi.SSID.1.LowerLayers+.Channel"),
        Addressing::Plain
    );
    assert_eq!(
        kind("Device.WiFi.SSID.[Alias==\"x\"].SSID"),
        Addressing::Key
    );
    assert_eq!(
        kind("Device.WiFi.SSID.[Alias!=\"x\"].SSID"),
        Addressing::Search
    );
    assert_eq!(
        kind("Device.WiFi.SSID.[Enable==true].SSID"),
        Addressing::Search
    );
    assert_eq!(
        kind("Device.WiFi.SSID.[Alias==\"x\"&&Enable==true].SSID"),
        Addressing::Search
    );
    assert_eq!(kind("Device.WiFi.SSID.*.SSID"), Addressing::Search);
    assert_eq!(
        kind("Device.InterfaceStack.[HigherLayer==\"a\"&&LowerLayer==\"b\"]."),
        Addressing::Key
    );
    assert_eq!(
        kind("Device.InterfaceStack.[HigherLayer==\"a\"]."),
        Addressing::Search
    );
    assert_eq!(
        kind("Device.InterfaceStack.[HigherLayer==\"a\"&&HigherLayer==\"b\"]."),
        Addressing::Search
    );
    assert_eq!(
        kind("Device.IP.Interface.[Alias==\"x\"].IPv4Address.[Alias==\"y\"]."),
        Addressing::Key
    );
    assert_eq!(
        kind("Device.IP.Interface.[Alias==\"x\"].IPv4Address.*."),
        Addressing::Search
    );
    assert_eq!(
        kind("Device.WiFi.SSID.1.LowerLayers#*+."),
        Addressing::Search
    );
    assert_eq!(
        kind("Device.A.1.Ref+.B.[Alias==\"x\"]."),
        Addressing::Search
    );
}
