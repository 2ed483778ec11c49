//! What the CPEs of tests have.

use dm::BaseType;

use super::Fake;

/// A small TR-181 gateway.
pub fn gateway() -> Fake {
    use BaseType::{Boolean, String as Text, UnsignedInt};
    let pool = "Device.NAT.PortMapping.1.";
    let ping = "Device.IP.Diagnostics.IPPing.";
    let mut params = vec![
        (
            "Device.RootDataModelVersion".to_owned(),
            "2.11",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.Manufacturer".to_owned(),
            "Acme",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.ManufacturerOUI".to_owned(),
            "00256D",
            Text,
            false,
        ),
        ("Device.DeviceInfo.ModelName".to_owned(), "Box", Text, false),
        (
            "Device.DeviceInfo.ProductClass".to_owned(),
            "Gateway",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.SerialNumber".to_owned(),
            "S1",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.HardwareVersion".to_owned(),
            "1",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.SoftwareVersion".to_owned(),
            "1.0",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.UpTime".to_owned(),
            "77",
            UnsignedInt,
            false,
        ),
        (
            "Device.ManagementServer.PeriodicInformEnable".to_owned(),
            "0",
            Boolean,
            true,
        ),
        (
            "Device.ManagementServer.PeriodicInformInterval".to_owned(),
            "86400",
            UnsignedInt,
            true,
        ),
        (
            "Device.ManagementServer.Username".to_owned(),
            "",
            Text,
            true,
        ),
        (
            "Device.ManagementServer.Password".to_owned(),
            "",
            Text,
            true,
        ),
        (
            "Device.ManagementServer.ConnectionRequestUsername".to_owned(),
            "",
            Text,
            true,
        ),
        (
            "Device.ManagementServer.ConnectionRequestPassword".to_owned(),
            "",
            Text,
            true,
        ),
        (
            "Device.ManagementServer.ConnectionRequestURL".to_owned(),
            "http://192.0.2.1:7547/x",
            Text,
            false,
        ),
        ("Device.WiFi.SSID.1.SSID".to_owned(), "home", Text, true),
        ("Device.WiFi.SSID.1.Enable".to_owned(), "1", Boolean, true),
        (
            "Device.WiFi.SSID.1.BSSID".to_owned(),
            "00:25:6d:00:00:01",
            Text,
            false,
        ),
        ("Device.WiFi.SSID.2.SSID".to_owned(), "guest", Text, true),
        ("Device.WiFi.SSID.2.Enable".to_owned(), "0", Boolean, true),
        (
            "Device.WiFi.SSID.2.BSSID".to_owned(),
            "00:25:6d:00:00:02",
            Text,
            false,
        ),
        (
            "Device.WiFi.AccessPoint.1.SSIDReference".to_owned(),
            "Device.WiFi.SSID.2.",
            Text,
            true,
        ),
        (
            "Device.WiFi.AccessPoint.1.Security.KeyPassphrase".to_owned(),
            "",
            Text,
            true,
        ),
        (
            "Device.Hosts.Host.1.HostName".to_owned(),
            "phone",
            Text,
            false,
        ),
        (
            "Device.Hosts.Host.1.IPAddress".to_owned(),
            "192.168.1.2",
            Text,
            false,
        ),
        (
            "Device.X_ACME_Thing.Level".to_owned(),
            "5",
            UnsignedInt,
            true,
        ),
    ];
    for (name, value, base) in [
        ("Enable", "1", Boolean),
        ("ExternalPort", "80", UnsignedInt),
        ("Description", "web", Text),
    ] {
        params.push((format!("{pool}{name}"), value, base, true));
    }
    for (name, value, base, writable) in [
        ("DiagnosticsState", "None", Text, true),
        ("Host", "", Text, true),
        ("NumberOfRepetitions", "3", UnsignedInt, true),
        ("SuccessCount", "0", UnsignedInt, false),
    ] {
        params.push((format!("{ping}{name}"), value, base, writable));
    }
    let params: Vec<_> = params
        .iter()
        .map(|(name, value, base, writable)| (name.as_str(), *value, *base, *writable))
        .collect();
    Fake::with(&params).table(
        "Device.NAT.PortMapping.",
        &[
            ("Enable", "0", Boolean),
            ("ExternalPort", "0", UnsignedInt),
            ("Description", "", Text),
        ],
    )
}

/// A small TR-098 gateway.
pub fn old_gateway() -> Fake {
    use BaseType::{Boolean, String as Text, UnsignedInt};
    let root = "InternetGatewayDevice.";
    let wlan = "LANDevice.1.WLANConfiguration.1.";
    let wan = "WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.";
    let ping = "IPPingDiagnostics.";
    let mut params = Vec::new();
    let mut put = |object: &str, name: &str, value: &'static str, base, writable| {
        params.push((format!("{root}{object}{name}"), value, base, writable));
    };
    put(
        "",
        "DeviceSummary",
        "InternetGatewayDevice:1.4[]",
        Text,
        false,
    );
    put("DeviceInfo.", "Manufacturer", "Acme", Text, false);
    put("DeviceInfo.", "ManufacturerOUI", "00256D", Text, false);
    put("DeviceInfo.", "ModelName", "OldBox", Text, false);
    put("DeviceInfo.", "ProductClass", "IGD", Text, false);
    put("DeviceInfo.", "SerialNumber", "S2", Text, false);
    put("DeviceInfo.", "HardwareVersion", "1", Text, false);
    put("DeviceInfo.", "SoftwareVersion", "0.9", Text, false);
    put(
        "ManagementServer.",
        "PeriodicInformEnable",
        "1",
        Boolean,
        true,
    );
    put(
        "ManagementServer.",
        "PeriodicInformInterval",
        "600",
        UnsignedInt,
        true,
    );
    put(
        "ManagementServer.",
        "ConnectionRequestURL",
        "http://192.0.2.2:7547/y",
        Text,
        false,
    );
    put(wlan, "Enable", "1", Boolean, true);
    put(wlan, "SSID", "old home", Text, true);
    put(wlan, "Channel", "6", UnsignedInt, true);
    put(wlan, "BeaconType", "11i", Text, true);
    put(
        wlan,
        "IEEE11iAuthenticationMode",
        "PSKAuthentication",
        Text,
        true,
    );
    put(wlan, "KeyPassphrase", "", Text, true);
    put(wan, "Enable", "1", Boolean, true);
    put(wan, "ExternalIPAddress", "192.0.2.77", Text, false);
    put(wan, "PortMappingNumberOfEntries", "0", UnsignedInt, false);
    put(
        "LANDevice.1.Hosts.Host.1.",
        "HostName",
        "phone",
        Text,
        false,
    );
    put(
        "LANDevice.1.Hosts.Host.1.",
        "IPAddress",
        "192.168.1.2",
        Text,
        false,
    );
    put(ping, "DiagnosticsState", "None", Text, true);
    put(ping, "Host", "", Text, true);
    put(ping, "NumberOfRepetitions", "3", UnsignedInt, true);
    put(ping, "SuccessCount", "0", UnsignedInt, false);
    put("", "X_ACME_Odd", "x", Text, true);
    let params: Vec<_> = params
        .iter()
        .map(|(name, value, base, writable)| (name.as_str(), *value, *base, *writable))
        .collect();
    Fake::with(&params).table(
        &format!("{root}{wan}PortMapping."),
        &[
            ("PortMappingEnabled", "0", Boolean),
            ("ExternalPort", "0", UnsignedInt),
            ("PortMappingDescription", "", Text),
        ],
    )
}
