//! Get, values and subscriptions.

use std::collections::BTreeMap;

use dm::mapping::Mapping;
use dm::{Path, Schema};

use super::trees::{self, ALL, Tree};

fn get(name: &str, path: &str) -> BTreeMap<String, String> {
    let tree = trees::tree(name);
    let mapping = trees::mapping(&tree);
    answer(&mapping, &tree, path)
}

/// Reads only what the mapping asks for.
fn answer(mapping: &Mapping, tree: &Tree, path: &str) -> BTreeMap<String, String> {
    let path = Path::parse(path).unwrap();
    let reads = mapping.reads(&[&path]);
    let read = reads
        .iter()
        .map(|path| ((*path).to_owned(), tree[*path].clone()))
        .collect();
    mapping.answer(&[&path], &read).unwrap()
}

fn one(name: &str, path: &str) -> String {
    let found = get(name, path);
    assert_eq!(found.len(), 1, "{path} gave {found:?}");
    found.into_values().next().unwrap()
}

#[test]
fn a_parameter_has_the_value_it_has_on_the_gateway() {
    assert_eq!(one("adsl-router", "Device.WiFi.SSID.1.SSID"), "DSL-524");
    assert_eq!(
        one("adsl-router", "Device.PPP.Interface.1.Username"),
        "user@isp.example"
    );
    assert_eq!(
        one("ipoe-ont", "Device.DeviceInfo.MemoryStatus.Total"),
        "262144"
    );
    assert_eq!(
        one("triple-play", "Device.PPP.Interface.1.PPPoE.ServiceName"),
        "inet"
    );
}

#[test]
fn values_are_those_of_tr181() {
    // Booleans, names, units, bytes, zones.
    assert_eq!(
        one("adsl-router", "Device.Ethernet.Interface.1.Enable"),
        "true"
    );
    assert_eq!(
        one("adsl-router", "Device.Ethernet.Interface.1.MaxBitRate"),
        "-1"
    );
    assert_eq!(one("adsl-router", "Device.USB.Interface.1.Status"), "Down");
    assert_eq!(one("adsl-router", "Device.ATM.Link.1.Status"), "Up");
    assert_eq!(
        one("adsl-router", "Device.WiFi.Radio.1.OperatingStandards"),
        "b,g"
    );
    assert_eq!(one("adsl-router", "Device.IP.Interface.2.Status"), "Up");
    assert_eq!(one("bridged", "Device.IP.Interface.2.Status"), "Down");
    assert_eq!(
        one("bridged", "Device.PPP.Interface.1.ConnectionStatus"),
        "Authenticating"
    );
    assert_eq!(one("bridged", "Device.DSL.Line.1.Status"), "Dormant");
    assert_eq!(
        one("bridged", "Device.Bridging.Bridge.2.Standard"),
        "802.1Q-2005"
    );
    assert_eq!(
        one(
            "dual-band",
            "Device.WiFi.AccessPoint.1.AssociatedDevice.1.LastDataDownlinkRate"
        ),
        "144000"
    );
    assert_eq!(
        one("dual-band", "Device.Hosts.Host.1.InterfaceType"),
        "Wi-Fi"
    );
    assert_eq!(
        one(
            "dual-band",
            "Device.WiFi.AccessPoint.1.WPS.ConfigMethodsSupported"
        ),
        "PushButton,PIN"
    );
    assert_eq!(
        one("dual-band", "Device.WiFi.AccessPoint.2.AC.3.AccessCategory"),
        "VI"
    );
    assert_eq!(
        one("ipoe-ont", "Device.DHCPv4.Server.Pool.1.Option.1.Value"),
        "01020304"
    );
    assert_eq!(
        one("ipoe-ont", "Device.DHCPv4.Client.1.SentOption.1.Value"),
        "4F4E54"
    );
    assert_eq!(one("ipoe-ont", "Device.DHCPv4.Client.1.Enable"), "true");
    assert_eq!(one("dual-band", "Device.DHCPv4.Client.1.Enable"), "false");
    assert_eq!(
        one("adsl-router", "Device.Time.Client.1.Servers"),
        "ntp1.example.com,ntp2.example.com"
    );
    assert_eq!(
        one("triple-play", "Device.DNS.Client.Server.8.DNSServer"),
        "203.0.113.54"
    );
}

#[test]
fn security_is_one_mode() {
    let mode = |name, n| {
        one(
            name,
            &format!("Device.WiFi.AccessPoint.{n}.Security.ModeEnabled"),
        )
    };
    assert_eq!(mode("adsl-router", 1), "WEP-128");
    assert_eq!(mode("dual-band", 1), "WPA-WPA2-Personal");
    assert_eq!(mode("dual-band", 5), "WPA2-Enterprise");
    assert_eq!(mode("triple-play", 1), "WPA-Personal");
    assert_eq!(mode("triple-play", 2), "None");
    assert_eq!(mode("lte-router", 3), "WPA2-Personal");
    let cipher = |name, n| {
        one(
            name,
            &format!("Device.WiFi.AccessPoint.{n}.Security.EncryptionMode"),
        )
    };
    assert_eq!(cipher("dual-band", 1), "TKIP,AES");
    assert_eq!(cipher("triple-play", 1), "TKIP");
    assert_eq!(cipher("lte-router", 1), "AES");
}

#[test]
fn what_vendors_spell_their_own_way_is_read_as_what_it_means() {
    let mut tree = trees::tree("adsl-router");
    let wlan = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
    let mut of = |name: &str, value: &str, path: &str| {
        tree.insert(format!("{wlan}{name}"), value.to_owned());
        let mapping = trees::mapping(&tree);
        let path = format!("Device.WiFi.{path}");
        answer(&mapping, &tree, &path).remove(&path).unwrap()
    };
    let standards = "Radio.1.OperatingStandards";
    assert_eq!(of("Standard", "b/g/n", standards), "b,g,n");
    assert_eq!(of("Standard", "11ac", standards), "a,n,ac");
    assert_eq!(of("Standard", "turbo", standards), "turbo");
    let mode = "AccessPoint.1.Security.ModeEnabled";
    assert_eq!(of("BeaconType", "WPA/WPA2", mode), "WPA-WPA2-Personal");
    assert_eq!(of("BeaconType", "WPAWPA2", mode), "WPA-WPA2-Personal");
    assert_eq!(of("BeaconType", "WPA2", mode), "WPA2-Personal");
    assert_eq!(of("BeaconType", "WPA3", mode), "WPA3-Personal");
    let transition = "WPA3-Personal-Transition";
    assert_eq!(of("BeaconType", "11iandWPA3", mode), transition);
    assert_eq!(of("BeaconType", "X_ACME_Best", mode), "X_ACME_Best");
    let auto = "Radio.1.AutoChannelEnable";
    assert_eq!(of("Channel", "0", auto), "true");
    assert_eq!(of("Channel", "6", auto), "false");
}

#[test]
fn references_lead_to_the_counterparts() {
    assert_eq!(
        one("adsl-router", "Device.PPP.Interface.1.LowerLayers"),
        "Device.Ethernet.Link.2"
    );
    assert_eq!(
        one("adsl-router", "Device.Ethernet.Link.2.LowerLayers"),
        "Device.ATM.Link.1"
    );
    assert_eq!(
        one("adsl-router", "Device.ATM.Link.1.LowerLayers"),
        "Device.DSL.Channel.1"
    );
    assert_eq!(
        one("bridged", "Device.Ethernet.Link.2.LowerLayers"),
        "Device.PTM.Link.1"
    );
    assert_eq!(
        one("ipoe-ont", "Device.Ethernet.Link.2.LowerLayers"),
        "Device.Ethernet.Interface.5"
    );
    assert_eq!(
        one("dual-band", "Device.WiFi.SSID.7.LowerLayers"),
        "Device.WiFi.Radio.2"
    );
    assert_eq!(
        one("dual-band", "Device.WiFi.AccessPoint.7.SSIDReference"),
        "Device.WiFi.SSID.7"
    );
    assert_eq!(
        one("dual-band", "Device.Hosts.Host.1.Layer1Interface"),
        "Device.WiFi.Radio.2"
    );
    assert_eq!(
        one("dual-band", "Device.Hosts.Host.17.Layer1Interface"),
        "Device.Ethernet.Interface.2"
    );
    assert_eq!(
        one("ipoe-ont", "Device.IP.Diagnostics.IPPing.Interface"),
        "Device.IP.Interface.2"
    );
    assert_eq!(
        one(
            "triple-play",
            "Device.Routing.Router.1.IPv4Forwarding.1.Interface"
        ),
        "Device.IP.Interface.5"
    );
    // Hosts and conditional pools are on the first interface of their LAN device.
    assert_eq!(
        one("dual-band", "Device.Hosts.Host.17.Layer3Interface"),
        "Device.IP.Interface.1"
    );
    assert_eq!(
        one("ipoe-ont", "Device.DHCPv4.Server.Pool.2.Interface"),
        "Device.IP.Interface.1"
    );
    // And they can be followed, as in any TR-181 device.
    assert_eq!(
        get("adsl-router", "Device.IP.Interface.2.LowerLayers+.Username"),
        BTreeMap::from([(
            "Device.PPP.Interface.1.Username".to_owned(),
            "user@isp.example".to_owned()
        )])
    );
    assert_eq!(
        one("dual-band", "Device.Hosts.Host.1.Layer1Interface+.Channel"),
        "36"
    );
}

#[test]
fn a_partial_path_gives_what_is_below_it_and_reads_no_more() {
    let tree = trees::tree("adsl-router");
    let mapping = trees::mapping(&tree);
    let path = Path::parse("Device.NAT.PortMapping.").unwrap();
    assert_eq!(mapping.reads(&[&path]).len(), 8);
    let found = answer(&mapping, &tree, "Device.NAT.PortMapping.");
    assert_eq!(found["Device.NAT.PortMapping.2.ExternalPort"], "8080");
    assert_eq!(
        found["Device.NAT.PortMapping.2.Interface"],
        "Device.IP.Interface.2"
    );
    assert_eq!(found.len(), 11);
    assert!(get("adsl-router", "Device.Cellular.").is_empty());
}

#[test]
fn search_paths_select_by_values() {
    let found = get("dual-band", "Device.WiFi.SSID.[SSID==\"home5-6\"].BSSID");
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        [(
            "Device.WiFi.SSID.6.BSSID".to_owned(),
            "A4:B1:C2:00:02:06".to_owned()
        )]
    );
    assert_eq!(get("dual-band", "Device.WiFi.SSID.*.Enable").len(), 8);
    let radio = "Device.WiFi.SSID.[LowerLayers+.OperatingFrequencyBand==\"5GHz\"].SSID";
    assert_eq!(get("dual-band", radio).len(), 4);
    let channel = "Device.WiFi.SSID.[LowerLayers+.Channel==36].SSID";
    assert_eq!(get("dual-band", channel).len(), 4);
    assert_eq!(
        one(
            "triple-play",
            "Device.IP.Interface.[Status==\"Up\"&&Name==\"3_VOIP_R_VID_20\"].IPv4Address.1.IPAddress"
        ),
        "10.20.0.9"
    );
    assert!(get("dual-band", "Device.WiFi.SSID.[SSID==\"other\"].").is_empty());
}

#[test]
fn what_has_no_counterpart_stays_under_its_own_path() {
    let line =
        "InternetGatewayDevice.Services.VoiceService.1.VoiceProfile.1.Line.1.DirectoryNumber";
    assert_eq!(one("triple-play", line), "4930123456");
    assert_eq!(
        get(
            "triple-play",
            "InternetGatewayDevice.Services.VoiceService.*.VoiceProfile.1."
        )
        .len(),
        3
    );
    assert_eq!(
        one(
            "lte-router",
            "InternetGatewayDevice.WANDevice.2.X_MOB_RadioInterfaceConfig.RSRP"
        ),
        "-97"
    );
    // Also what has one can be read as the device has it.
    assert_eq!(
        one(
            "adsl-router",
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.BeaconType"
        ),
        "Basic"
    );
    let tree = trees::tree("lte-router");
    let values = trees::mapping(&tree).values(&trees::values(&tree));
    assert_eq!(
        values["InternetGatewayDevice.WANDevice.2.X_MOB_RadioInterfaceConfig.SINR"],
        "14"
    );
    assert!(!values.contains_key("InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID"));
}

#[test]
fn a_notified_value_is_told_as_what_it_means() {
    let mapping = trees::mapping(&trees::tree("triple-play"));
    let changed = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1.ConnectionStatus";
    let told = mapping.values(&BTreeMap::from([(
        changed.to_owned(),
        "Disconnected".to_owned(),
    )]));
    let told: Vec<_> = told
        .iter()
        .map(|(path, value)| format!("{path}={value}"))
        .collect();
    assert_eq!(
        told,
        [
            "Device.Ethernet.Link.6.Status=Down",
            "Device.IP.Interface.7.IPv4Address.1.Status=Disabled",
            "Device.IP.Interface.7.Status=Down",
            "Device.PPP.Interface.1.ConnectionStatus=Disconnected",
            "Device.PPP.Interface.1.Status=Down",
        ]
    );
}

#[test]
fn one_of_several_parameters_that_changed_is_told_and_what_is_missing_is_named() {
    let tree = trees::tree("triple-play");
    let mapping = trees::mapping(&tree);
    let beacon = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.BeaconType";
    assert!(
        mapping
            .to_device(beacon)
            .contains(&"Device.WiFi.AccessPoint.1.Security.ModeEnabled")
    );
    let inform = BTreeMap::from([(beacon.to_owned(), "11i".to_owned())]);
    // Alone it does not say what mode that is, but it is not lost.
    assert_eq!(mapping.values(&inform), inform);
    let missing = mapping.missing(&inform);
    assert!(
        missing.len() > 1 && !missing.contains(&beacon),
        "{missing:?}"
    );
    let mut read = inform;
    read.extend(
        missing
            .iter()
            .map(|path| ((*path).to_owned(), tree[*path].clone())),
    );
    let told = mapping.values(&read);
    assert_eq!(
        told["Device.WiFi.AccessPoint.1.Security.ModeEnabled"],
        "WPA2-Personal"
    );
    assert!(told.contains_key("Device.WiFi.AccessPoint.1.Security.EncryptionMode"));
    assert!(!told.contains_key(beacon), "{told:?}");
    // Nothing is missing of what one parameter is.
    let ssid = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID";
    let one = BTreeMap::from([(ssid.to_owned(), "new".to_owned())]);
    assert_eq!(mapping.missing(&one), [""; 0]);
}

#[test]
fn a_network_that_lets_others_in_as_well_is_not_told_as_a_safe_mode() {
    let wlan = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
    let path = "Device.WiFi.AccessPoint.1.Security.ModeEnabled";
    let mode = |beacon: &str, wpa: &str, rsn: &str| {
        let mut tree = trees::tree("dual-band");
        for (name, value) in [
            ("BeaconType", beacon),
            ("WPAAuthenticationMode", wpa),
            ("IEEE11iAuthenticationMode", rsn),
        ] {
            tree.insert(format!("{wlan}{name}"), value.to_owned());
        }
        let mapping = trees::mapping(&tree);
        answer(&mapping, &tree, path).remove(path).unwrap()
    };
    let (psk, eap) = ("PSKAuthentication", "EAPAuthentication");
    for mixed in ["Basicand11i", "BasicandWPA", "BasicandWPAand11i"] {
        assert_eq!(mode(mixed, psk, psk), mixed);
    }
    assert_eq!(mode("11i", psk, "EAPandPSKAuthentication"), "11i");
    assert_eq!(mode("WPAand11i", eap, psk), "WPAand11i");
    assert_eq!(mode("WPAand11i", psk, psk), "WPA-WPA2-Personal");
    assert_eq!(mode("WPAand11i", eap, eap), "WPA-WPA2-Enterprise");
    assert_eq!(mode("WPA", eap, psk), "WPA-Enterprise");
}

#[test]
fn paths_go_both_ways() {
    for (name, _) in ALL {
        let tree = trees::tree(name);
        let mapping = trees::mapping(&tree);
        for (device, _) in mapping.params() {
            for gateway in mapping.to_gateway(device) {
                assert!(
                    mapping.to_device(gateway).contains(&device),
                    "{device} {gateway}"
                );
            }
        }
        for object in mapping.objects() {
            let gateway = mapping.to_gateway(object)[0];
            assert!(mapping.to_device(gateway).contains(&object));
        }
    }
}

#[test]
fn the_rows_of_a_table_that_is_empty_now_are_in_the_model_as_the_standards_have_them() {
    let wan = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.";
    let names = [
        format!("{wan}Enable"),
        format!("{wan}PortMapping."),
        "InternetGatewayDevice.LANDevice.1.Hosts.Host.".to_owned(),
    ];
    let tree = names.iter().map(|name| dm::mapping::Discovered::new(name));
    let mapping = dm::mapping::Mapping::new(tree, Default::default()).unwrap();
    let schema = mapping.schema().unwrap();
    let rows = schema.object("Device.NAT.PortMapping.{i}.").unwrap();
    assert!(rows.access.can_add());
    let access = |name: &str| rows.param(name).unwrap().access;
    assert_eq!(access("Description"), dm::ParamAccess::ReadWrite);
    assert_eq!(access("Interface"), dm::ParamAccess::WriteOnce);
    let host = schema.param("Device.Hosts.Host.{i}.HostName").unwrap();
    assert_eq!(host.access, dm::ParamAccess::ReadOnly);
    assert!(schema.object("Device.PPP.Interface.{i}.").is_none());
}

#[test]
fn everything_a_mapped_device_has_is_in_its_model_and_of_its_type() {
    for (name, _) in ALL {
        let tree = trees::tree(name);
        let mapping = trees::mapping(&tree);
        let schema = mapping.schema().unwrap();
        let mut values = mapping.values(&trees::values(&tree));
        values.extend(
            mapping
                .fixed()
                .map(|(path, value)| (path.to_owned(), value.to_owned())),
        );
        for (path, value) in &values {
            let param = schema
                .param(path)
                .unwrap_or_else(|| panic!("{name}: {path}"));
            let free = path.starts_with("InternetGatewayDevice.")
                || value.is_empty()
                // Devices say what TR-098 does not allow either.
                || path.ends_with(".Channel")
                || path.ends_with("RegulatoryDomain");
            assert!(
                free || param.ty.check(value).is_ok(),
                "{name}: {path} = {value:?}: {:?}",
                param.ty.check(value)
            );
        }
    }
    let schema = trees::mapping(&trees::tree("adsl-router"))
        .schema()
        .unwrap();
    assert!(
        schema
            .object("Device.NAT.PortMapping.{i}.")
            .unwrap()
            .access
            .can_add()
    );
    assert!(
        !schema
            .object("Device.PPP.Interface.{i}.")
            .unwrap()
            .access
            .can_add()
    );
    let access = |path: &str| schema.param(path).unwrap().access;
    assert_eq!(
        access("Device.WiFi.SSID.{i}.SSID"),
        dm::ParamAccess::ReadWrite
    );
    // TR-181 lets it be written, this device's counterpart does not.
    assert_eq!(
        access("Device.WiFi.SSID.{i}.LowerLayers"),
        dm::ParamAccess::ReadOnly
    );
    assert_ne!(
        Schema::tr181_cwmp()
            .param("Device.WiFi.SSID.{i}.LowerLayers")
            .unwrap()
            .access,
        dm::ParamAccess::ReadOnly
    );
    assert!(schema.object("Device.Cellular.").is_none());
}

#[test]
fn a_device_path_among_the_gateways_shadows_nothing() {
    let mut tree = trees::tree("lte-router");
    let path = "Device.WiFi.SSID.1.SSID";
    tree.insert(path.to_owned(), "shadow".to_owned());
    let told = trees::mapping(&tree).values(&trees::values(&tree));
    assert_eq!(told[path], "mobile");
}
