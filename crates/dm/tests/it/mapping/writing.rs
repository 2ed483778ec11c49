//! Set.

use dm::BaseType;
use dm::mapping::{Discovered, Mapping, Numbers, Refusal, Rules, Writes};

use super::trees;

const WLAN: &str = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";

/// The writes with what is on the device known, or without.
fn set(name: &str, known: bool, sets: &[(&str, &str)]) -> Writes {
    let tree = trees::tree(name);
    let mapping = trees::mapping(&tree);
    let current = |path: &str| tree.get(path).filter(|_| known).cloned();
    mapping.writes(sets.iter().copied(), &current)
}

fn writes(done: &Writes) -> Vec<String> {
    assert_eq!(done.refused, []);
    let short = |path: &str| path.trim_start_matches("InternetGatewayDevice.").to_owned();
    done.writes
        .iter()
        .map(|write| format!("{}={}", short(&write.path), write.value))
        .collect()
}

fn refusal(name: &str, path: &str, value: &str) -> Refusal {
    let done = set(name, false, &[(path, value)]);
    assert_eq!(done.writes, []);
    assert_eq!(done.refused[0].path, path);
    done.refused[0].reason.clone()
}

#[test]
fn a_set_is_a_write_of_the_gateways_type() {
    let done = set(
        "adsl-router",
        false,
        &[
            ("Device.WiFi.SSID.1.SSID", "new"),
            ("Device.DHCPv4.Server.Pool.1.LeaseTime", "600"),
        ],
    );
    assert_eq!(
        writes(&done),
        [
            "LANDevice.1.WLANConfiguration.1.SSID=new",
            "LANDevice.1.LANHostConfigManagement.DHCPLeaseTime=600",
        ]
    );
    assert_eq!(done.writes[0].because, ["Device.WiFi.SSID.1.SSID"]);
    assert_eq!(done.writes[0].base, BaseType::String);
    assert_eq!(done.writes[1].base, BaseType::Int);
}

#[test]
fn values_become_those_of_tr098() {
    let done = set(
        "ipoe-ont",
        false,
        &[
            ("Device.Ethernet.Interface.1.MaxBitRate", "-1"),
            ("Device.DHCPv4.Client.1.Enable", "0"),
            ("Device.DHCPv4.Server.Pool.1.Option.1.Value", "FF00"),
            ("Device.DHCPv4.Server.Pool.2.ClientID", "626F7832"),
            ("Device.Time.Client.1.Servers", "a.example,b.example"),
            (
                "Device.IP.Diagnostics.IPPing.Interface",
                "Device.IP.Interface.1.",
            ),
        ],
    );
    assert_eq!(
        writes(&done),
        [
            "LANDevice.1.LANEthernetInterfaceConfig.1.MaxBitRate=Auto",
            "WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.AddressingType=Static",
            "LANDevice.1.LANHostConfigManagement.DHCPOption.1.Value=/wA=",
            "LANDevice.1.LANHostConfigManagement.DHCPConditionalServingPool.1.ClientID=box2",
            "Time.NTPServer1=a.example",
            "Time.NTPServer2=b.example",
            "Time.NTPServer3=",
            "IPPingDiagnostics.Interface=InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.IPInterface.1",
        ]
    );
}

#[test]
fn a_mode_comes_with_what_it_takes_and_switches_last() {
    let done = set(
        "dual-band",
        false,
        &[
            ("Device.WiFi.AccessPoint.1.Enable", "true"),
            ("Device.WiFi.AccessPoint.1.Security.EncryptionMode", "AES"),
            (
                "Device.WiFi.AccessPoint.1.Security.ModeEnabled",
                "WPA2-Personal",
            ),
            (
                "Device.WiFi.AccessPoint.1.Security.KeyPassphrase",
                "correct horse",
            ),
        ],
    );
    let wlan = "LANDevice.1.WLANConfiguration.1.";
    assert_eq!(
        writes(&done),
        [
            format!("{wlan}IEEE11iAuthenticationMode=PSKAuthentication"),
            format!("{wlan}PreSharedKey.1.KeyPassphrase=correct horse"),
            format!("{wlan}IEEE11iEncryptionModes=AESEncryption"),
            format!("{wlan}BeaconType=11i"),
            format!("{wlan}Enable=true"),
        ]
    );
    // Without the mode, the one that is on has to be known.
    let cipher = [("Device.WiFi.AccessPoint.1.Security.EncryptionMode", "AES")];
    let needs = Refusal::Needs {
        gateway: format!("{WLAN}BeaconType"),
    };
    assert_eq!(set("dual-band", false, &cipher).refused[0].reason, needs);
    let mapping = trees::mapping(&trees::tree("dual-band"));
    assert_eq!(
        mapping.context([cipher[0].0]),
        [format!("{WLAN}BeaconType")]
    );
    assert_eq!(
        writes(&set("dual-band", true, &cipher)),
        [
            format!("{wlan}WPAEncryptionModes=AESEncryption"),
            format!("{wlan}IEEE11iEncryptionModes=AESEncryption"),
        ]
    );
}

#[test]
fn a_passphrase_goes_where_the_device_takes_it() {
    let path = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
    let place = |name| writes(&set(name, false, &[(path, "secret12")])).join(" ");
    assert_eq!(
        place("lte-router"),
        "LANDevice.1.WLANConfiguration.1.PreSharedKey.1.KeyPassphrase=secret12"
    );
    assert_eq!(
        place("triple-play"),
        "LANDevice.1.WLANConfiguration.1.KeyPassphrase=secret12"
    );
    let mut tree = trees::tree("adsl-router");
    tree.remove(&format!("{WLAN}KeyPassphrase"));
    let mapping = trees::mapping(&tree);
    let done = mapping.writes([(path, "secret12")], &|_| None);
    assert_eq!(
        writes(&done),
        ["LANDevice.1.WLANConfiguration.1.PreSharedKey.1.PreSharedKey=secret12"]
    );
    // A WEP key goes to all places of one.
    let wep = [("Device.WiFi.AccessPoint.1.Security.WEPKey", "0102030405")];
    assert_eq!(writes(&set("adsl-router", false, &wep)).len(), 4);
}

#[test]
fn one_dns_server_is_set_in_the_list_that_is_there() {
    let second = [("Device.DNS.Client.Server.8.DNSServer", "9.9.9.9")];
    let list = "WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1.DNSServers=";
    assert_eq!(
        writes(&set("triple-play", true, &second)),
        [format!("{list}203.0.113.53,9.9.9.9")]
    );
    let both = [
        ("Device.DNS.Client.Server.7.DNSServer", "1.1.1.1"),
        second[0],
    ];
    assert_eq!(
        writes(&set("triple-play", true, &both)),
        [format!("{list}1.1.1.1,9.9.9.9")]
    );
    let done = set("triple-play", false, &second);
    assert!(matches!(done.refused[0].reason, Refusal::Needs { .. }));
}

#[test]
fn what_switches_something_on_comes_after_what_it_needs() {
    let done = set(
        "ipoe-ont",
        false,
        &[
            ("Device.IP.Diagnostics.IPPing.DiagnosticsState", "Requested"),
            ("Device.IP.Diagnostics.IPPing.Host", "example.com"),
        ],
    );
    assert_eq!(
        writes(&done),
        [
            "IPPingDiagnostics.Host=example.com",
            "IPPingDiagnostics.DiagnosticsState=Requested"
        ]
    );
}

#[test]
fn what_cannot_be_set_says_why_and_the_rest_is_done() {
    assert_eq!(
        refusal(
            "adsl-router",
            "Device.WiFi.AccessPoint.1.IsolationEnable",
            "1"
        ),
        Refusal::NoCounterpart
    );
    assert_eq!(
        refusal("adsl-router", "Device.Cellular.Interface.1.Enable", "1"),
        Refusal::NoCounterpart
    );
    let gateway = "InternetGatewayDevice.LANDevice.{i}.WLANConfiguration.{i}.WMMEnable".to_owned();
    assert_eq!(
        refusal("adsl-router", "Device.WiFi.AccessPoint.1.WMMEnable", "1"),
        Refusal::NotThere { gateway }
    );
    assert_eq!(
        refusal("adsl-router", "Device.WiFi.SSID.1.Status", "Up"),
        Refusal::ReadOnly
    );
    assert_eq!(
        refusal(
            "adsl-router",
            "Device.WiFi.SSID.1.LowerLayers",
            "Device.WiFi.Radio.2."
        ),
        Refusal::ReadOnly
    );
    let gateway =
        "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1.PPPLCPEcho"
            .to_owned();
    assert_eq!(
        refusal("triple-play", "Device.PPP.Interface.1.LCPEcho", "5"),
        Refusal::GatewayReadOnly { gateway }
    );
    assert_eq!(
        refusal("triple-play", "InternetGatewayDevice.X_MULT_No", "5"),
        Refusal::Unknown
    );

    let words = |path, value| refusal("triple-play", path, value).to_string();
    assert!(
        words(
            "Device.WiFi.AccessPoint.1.Security.ModeEnabled",
            "WPA3-Personal"
        )
        .contains("WPA2-Personal")
    );
    assert!(words("Device.IP.Interface.1.IPv4Address.1.Enable", "maybe").contains("true, false"));
    assert!(
        words(
            "Device.Routing.Router.1.IPv4Forwarding.1.Interface",
            "Device.IP.Interface.99."
        )
        .contains("Device.IP.Interface.99.")
    );
    assert!(
        words(
            "Device.Routing.Router.1.IPv4Forwarding.1.Interface",
            "Device.PPP.Interface.1."
        )
        .contains("Device.IP.Interface.{i}.")
    );

    let done = set(
        "adsl-router",
        false,
        &[
            ("Device.WiFi.SSID.1.Status", "Up"),
            ("Device.WiFi.SSID.1.SSID", "good"),
        ],
    );
    assert_eq!((done.writes.len(), done.refused.len()), (1, 1));
}

#[test]
fn two_paths_that_are_one_parameter_must_agree() {
    let agree = [
        ("Device.WiFi.SSID.1.Enable", "true"),
        ("Device.WiFi.AccessPoint.1.Enable", "1"),
    ];
    assert_eq!(writes(&set("adsl-router", false, &agree)).len(), 1);
    let differ = [
        ("Device.WiFi.SSID.1.Enable", "true"),
        ("Device.WiFi.AccessPoint.1.Enable", "false"),
    ];
    let done = set("adsl-router", false, &differ);
    assert_eq!(done.writes.len(), 1);
    let other = "Device.WiFi.SSID.1.Enable".to_owned();
    let conflict = Refusal::Conflict {
        gateway: format!("{WLAN}Enable"),
        other,
    };
    assert_eq!(done.refused[0].reason, conflict);
}

#[test]
fn a_value_that_follows_from_the_device_may_be_set_to_what_it_is() {
    let same = [("Device.WiFi.SSID.1.LowerLayers", "Device.WiFi.Radio.1.")];
    assert_eq!(writes(&set("adsl-router", false, &same)), [""; 0]);
}

#[test]
fn own_paths_and_vendors_parameters_are_written_as_they_are() {
    let line = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.X_MULT_VLAN";
    assert_eq!(
        writes(&set("triple-play", false, &[(line, "47")])),
        ["WANDevice.1.WANConnectionDevice.1.X_MULT_VLAN=47"]
    );
    let status = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.Status";
    assert!(matches!(
        refusal("adsl-router", status, "Up"),
        Refusal::GatewayReadOnly { .. }
    ));
}

#[test]
fn an_offset_is_written_as_one() {
    let mut tree = trees::tree("adsl-router");
    tree.remove("InternetGatewayDevice.Time.LocalTimeZoneName");
    let mapping = trees::mapping(&tree);
    let done = mapping.writes([("Device.Time.LocalTimeZone", "UTC-2")], &|_| None);
    assert_eq!(writes(&done), ["Time.LocalTimeZone=+02:00"]);
    let done = mapping.writes(
        [("Device.Time.LocalTimeZone", "CET-1CEST,M3.5.0,M10.5.0/3")],
        &|_| None,
    );
    assert!(matches!(done.refused[0].reason, Refusal::Value { .. }));
}

#[test]
fn a_device_without_a_switch_for_it_chooses_the_channel_itself_on_channel_0() {
    let auto = "Device.WiFi.Radio.1.AutoChannelEnable";
    let channel = "LANDevice.1.WLANConfiguration.1.Channel";
    let on = set("adsl-router", false, &[(auto, "true")]);
    assert_eq!(writes(&on), [format!("{channel}=0")]);
    // Off is a channel; which one has to be said.
    let off = set("adsl-router", false, &[(auto, "false")]);
    assert!(matches!(off.refused[0].reason, Refusal::Value { .. }));
    let both = [(auto, "false"), ("Device.WiFi.Radio.1.Channel", "11")];
    assert_eq!(
        writes(&set("adsl-router", false, &both)),
        [format!("{channel}=11")]
    );
}

#[test]
fn a_vendors_own_parameters_get_paths_by_lines_of_the_same_form() {
    const PACK: &str = "\
table\tvlan\tInternetGatewayDevice.WANDevice.{i}.WANConnectionDevice.{i}.
object\tDevice.Ethernet.VLANTermination.{vlan}.\tInternetGatewayDevice.WANDevice.{i}.WANConnectionDevice.{i}.
VLANID\tX_MULT_VLAN
object\tDevice.WiFi.SSID.{wlan}.\tInternetGatewayDevice.LANDevice.{i}.WLANConfiguration.{i}.
SSID\tX_MULT_Name
";
    let rules = Rules::extended(&[("mult", PACK)]).unwrap();
    let rules: &'static Rules = Box::leak(Box::new(rules));
    let mut tree = trees::tree("triple-play");
    tree.insert(format!("{WLAN}X_MULT_Name"), "a".to_owned());
    let found = tree.keys().map(|path| Discovered::new(path).writable(true));
    let mapping = Mapping::with_rules(rules, found, Numbers::default()).unwrap();
    let sets = [
        ("Device.Ethernet.VLANTermination.2.VLANID", "11"),
        ("Device.WiFi.SSID.1.SSID", "theirs"),
        ("Device.WiFi.SSID.2.SSID", "ours"),
    ];
    assert_eq!(
        writes(&mapping.writes(sets, &|_| None)),
        [
            "WANDevice.1.WANConnectionDevice.2.X_MULT_VLAN=11",
            "LANDevice.1.WLANConfiguration.1.X_MULT_Name=theirs",
            "LANDevice.2.WLANConfiguration.1.SSID=ours",
        ]
    );
}

#[test]
fn a_pin_keeps_its_zeros() {
    let mut tree = trees::tree("dual-band");
    tree.insert(format!("{WLAN}WPS.DevicePassword"), String::new());
    let mapping = trees::mapping(&tree);
    let done = mapping.writes([("Device.WiFi.AccessPoint.1.WPS.PIN", "01234565")], &|_| {
        None
    });
    assert_eq!(
        writes(&done),
        ["LANDevice.1.WLANConfiguration.1.WPS.DevicePassword=01234565"]
    );
}

#[test]
fn hardening_a_mixed_network_is_written_although_it_has_wpa2_already() {
    let path = "Device.WiFi.AccessPoint.1.Security.ModeEnabled";
    let wlan = "LANDevice.1.WLANConfiguration.1.";
    let harden = |beacon: &str, rsn: &str| {
        let mut tree = trees::tree("dual-band");
        tree.insert(format!("{WLAN}BeaconType"), beacon.to_owned());
        tree.insert(format!("{WLAN}IEEE11iAuthenticationMode"), rsn.to_owned());
        let mapping = trees::mapping(&tree);
        let current = |path: &str| tree.get(path).cloned();
        let sets = [
            (path, "WPA2-Personal"),
            ("Device.WiFi.AccessPoint.1.Security.EncryptionMode", "AES"),
        ];
        // Ciphers alone would be those of a mode that is none.
        let alone = mapping.writes([sets[1]], &current);
        assert_eq!(alone.refused.is_empty(), beacon == "11i", "{alone:?}");
        assert!(!matches!(
            alone.refused.first().map(|refused| &refused.reason),
            Some(Refusal::Needs { .. })
        ));
        writes(&mapping.writes(sets, &current))
    };
    let wanted = [
        format!("{wlan}IEEE11iAuthenticationMode=PSKAuthentication"),
        format!("{wlan}IEEE11iEncryptionModes=AESEncryption"),
        format!("{wlan}BeaconType=11i"),
    ];
    for (beacon, rsn) in [
        ("Basicand11i", "PSKAuthentication"),
        ("BasicandWPAand11i", "PSKAuthentication"),
        ("11i", "EAPandPSKAuthentication"),
    ] {
        assert_eq!(harden(beacon, rsn), wanted, "{beacon} {rsn}");
    }
}

#[test]
fn wep_has_the_one_name_that_it_is_read_back_by() {
    let point = "Device.WiFi.AccessPoint.1.Security.";
    let (mode, level) = (
        format!("{point}ModeEnabled"),
        format!("{WLAN}WEPEncryptionLevel"),
    );
    let mut tree = trees::tree("adsl-router");
    for (lengths, name, other) in [
        ("Disabled,40-bit,104-bit", "WEP-128", "WEP-64"),
        ("Disabled,40-bit", "WEP-64", "WEP-128"),
    ] {
        tree.insert(level.clone(), lengths.to_owned());
        let mapping = trees::mapping(&tree);
        let offered = &mapping.values(&trees::values(&tree))[&format!("{point}ModesSupported")];
        assert!(offered.split(',').any(|mode| mode == name), "{offered}");
        assert!(!offered.contains(other), "{offered}");
        assert_eq!(mapping.context([mode.as_str()]), [level.as_str()]);
        let current = |path: &str| (path == level).then(|| lengths.to_owned());
        assert_eq!(
            mapping.writes([(mode.as_str(), name)], &current).refused,
            []
        );
        let refused = mapping.writes([(mode.as_str(), other)], &current).refused;
        assert!(refused[0].to_string().ends_with(name), "{}", refused[0]);
    }
}

#[test]
fn ciphers_are_those_of_all_modes_and_a_weak_one_is_taken_out() {
    let path = "Device.WiFi.AccessPoint.1.Security.EncryptionMode";
    let (wpa, rsn) = (
        format!("{WLAN}WPAEncryptionModes"),
        format!("{WLAN}IEEE11iEncryptionModes"),
    );
    let mut tree = trees::tree("dual-band");
    for (of_wpa, of_rsn, read) in [
        ("TKIPEncryption", "AESEncryption", "TKIP,AES"),
        (
            "WEPandAESEncryption",
            "AESEncryption",
            "WEPandAESEncryption",
        ),
        ("AESEncryption", "AESEncryption", "AES"),
    ] {
        tree.insert(wpa.clone(), of_wpa.to_owned());
        tree.insert(rsn.clone(), of_rsn.to_owned());
        let mapping = trees::mapping(&tree);
        assert_eq!(mapping.values(&trees::values(&tree))[path], read);
        let done = mapping.writes([(path, "AES")], &|path| tree.get(path).cloned());
        let wanted = ["WPAEncryptionModes", "IEEE11iEncryptionModes"];
        let wanted =
            wanted.map(|name| format!("LANDevice.1.WLANConfiguration.1.{name}=AESEncryption"));
        assert_eq!(writes(&done), wanted);
    }
}

#[test]
fn items_of_a_list_are_set_together_whatever_their_order_and_read_back_where_they_were_set() {
    let server = |n: u32| format!("Device.DNS.Client.Server.{}.DNSServer", n + 6);
    let list =
        "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1.DNSServers";
    let mut tree = trees::tree("triple-play");
    let mut set = |present: &str, sets: &[(u32, &str)]| {
        tree.insert(list.to_owned(), present.to_owned());
        let mapping = trees::mapping(&tree);
        let sets: Vec<_> = sets.iter().map(|(n, value)| (server(*n), *value)).collect();
        let pairs = || sets.iter().map(|(path, value)| (path.as_str(), *value));
        let current = |path: &str| (path == list).then(|| present.to_owned());
        let done = mapping.writes(pairs(), &current);
        assert_eq!(
            mapping.writes(pairs().rev(), &current).refused.len(),
            done.refused.len()
        );
        if !done.refused.is_empty() {
            assert!(done.writes.is_empty(), "{done:?}");
            return Err(done.refused.len());
        }
        let written = done.writes[0].value.clone();
        let backwards = mapping.writes(pairs().rev(), &current);
        assert_eq!(backwards.writes[0].value, written);
        let mut after = trees::values(&tree);
        after.insert(list.to_owned(), written.clone());
        for (path, value) in pairs() {
            assert_eq!(
                mapping.value(path, &after).as_deref(),
                Some(value),
                "{written}"
            );
        }
        Ok(written)
    };
    let written = |text: &str| Ok(text.to_owned());
    assert_eq!(set("a,b", &[(1, ""), (2, "")]), written(""));
    assert_eq!(set("a,b", &[(1, "x"), (2, "")]), written("x"));
    assert_eq!(set("a,b", &[(2, "")]), written("a"));
    assert_eq!(set("", &[(1, "x"), (2, "y")]), written("x,y"));
    assert_eq!(set("a,b,c", &[(2, "x")]), written("a,x,c"));
    // What is there already is not spelled anew.
    assert_eq!(set("a, b", &[(1, "a"), (2, "b")]), written("a, b"));
    // A list has no second item without a first.
    assert_eq!(set("", &[(2, "x")]), Err(1));
    assert_eq!(set("a,b", &[(1, ""), (2, "x")]), Err(2));
    assert_eq!(set("a,b", &[(1, "")]), Err(1));
    // But a device that says so may keep it.
    assert_eq!(set(",b", &[(2, "x")]), written(",x"));
    // One item is not two things.
    let mapping = trees::mapping(&trees::tree("triple-play"));
    let (a, b) = (server(1), server(1));
    let done = mapping.writes([(a.as_str(), "x"), (b.as_str(), "y")], &|_| {
        Some(String::new())
    });
    assert!(matches!(done.refused[0].reason, Refusal::Conflict { .. }));
    assert_eq!(
        (done.writes[0].value.as_str(), done.refused.len()),
        ("x", 1)
    );
}

#[test]
fn a_secret_to_write_is_not_in_what_is_logged() {
    let path = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
    let done = set("lte-router", false, &[(path, "hunter2!")]);
    assert_eq!(done.writes[0].value, "hunter2!");
    let found = Discovered::new("InternetGatewayDevice.X_ACME_Key").value("hunter2!");
    let logged = format!("{done:?} {found:?}");
    assert!(
        logged.contains("8 bytes") && !logged.contains("hunter2"),
        "{logged}"
    );
}
