//! Add and Delete.

use dm::mapping::{Discovered, RowError};

use super::trees;

#[test]
fn a_row_is_added_to_the_only_table_there_is() {
    let mapping = trees::mapping(&trees::tree("adsl-router"));
    let table = |path: &str| mapping.addition(path, &[]).map(|addition| addition.table);
    let wan =
        "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.PortMapping.";
    assert_eq!(table("Device.NAT.PortMapping.").as_deref(), Ok(wan));
    assert_eq!(
        table("Device.DHCPv4.Server.Pool.1.StaticAddress.").as_deref(),
        Ok("InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.DHCPStaticAddress.")
    );
    assert_eq!(
        table("Device.Routing.Router.1.IPv4Forwarding.").as_deref(),
        Ok("InternetGatewayDevice.Layer3Forwarding.Forwarding.")
    );
    assert_eq!(
        table("InternetGatewayDevice.LANDevice.1.X.").as_deref(),
        Ok("InternetGatewayDevice.LANDevice.1.X.")
    );
}

#[test]
fn among_several_tables_the_interface_chooses() {
    let mapping = trees::mapping(&trees::tree("triple-play"));
    let table = "Device.NAT.PortMapping.";
    let Err(RowError::Ambiguous { param, choices, .. }) = mapping.addition(table, &[]) else {
        panic!("several connections can map ports");
    };
    assert_eq!(param, "Interface");
    assert_eq!(choices.len(), 4);
    let params = [
        ("ExternalPort", "80"),
        ("Interface", "Device.IP.Interface.7."),
    ];
    let addition = mapping.addition(table, &params).unwrap();
    assert_eq!(
        addition.table,
        "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1.PortMapping."
    );
    assert_eq!(addition.settled, ["Interface"]);
    let nowhere = mapping.addition(table, &[("Interface", "Device.IP.Interface.1.")]);
    assert!(matches!(nowhere, Err(RowError::NotThere { .. })));
    // The second pool belongs to the second LAN device.
    let pool = mapping
        .addition("Device.DHCPv4.Server.Pool.2.StaticAddress.", &[])
        .unwrap();
    assert_eq!(
        pool.table,
        "InternetGatewayDevice.LANDevice.2.LANHostConfigManagement.DHCPStaticAddress."
    );
}

#[test]
fn the_new_row_has_a_number_and_takes_the_other_parameters() {
    let mut mapping = trees::mapping(&trees::tree("triple-play"));
    let row =
        "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1.PortMapping.7.";
    let names = ["PortMappingEnabled", "ExternalPort", "InternalClient"];
    let names = names.map(|name| format!("{row}{name}"));
    mapping
        .extend(
            names
                .iter()
                .map(|name| Discovered::new(name).writable(true)),
        )
        .unwrap();
    let device = mapping.row_in("Device.NAT.PortMapping.", row).unwrap();
    assert_eq!(device, "Device.NAT.PortMapping.7.");
    let path = format!("{device}ExternalPort");
    let done = mapping.writes([(path.as_str(), "443")], &|_| None);
    assert_eq!(done.writes[0].path, format!("{row}ExternalPort"));
}

#[test]
fn a_row_is_deleted_where_it_is_one() {
    let mapping = trees::mapping(&trees::tree("triple-play"));
    let row =
        "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1.PortMapping.2.";
    assert_eq!(mapping.deletion("Device.NAT.PortMapping.2."), Ok(row));
    assert_eq!(mapping.deletion(row), Ok(row));
    let whole = mapping.deletion("Device.PPP.Interface.1.");
    assert!(matches!(&whole, Err(RowError::NotARow { .. })));
    assert!(whole.unwrap_err().to_string().contains("WANPPPConnection"));
    assert!(matches!(
        mapping.deletion("Device.NAT.PortMapping.99."),
        Err(RowError::NotThere { .. })
    ));
    assert!(matches!(
        mapping.deletion("Device.Cellular.Interface.1."),
        Err(RowError::NoCounterpart { .. })
    ));
    let wifi = mapping.addition("Device.WiFi.SSID.", &[]);
    assert!(matches!(wifi, Err(RowError::NotARow { .. })));
    let none = mapping.addition("Device.WiFi.EndPoint.", &[]);
    assert!(matches!(none, Err(RowError::NoCounterpart { .. })));
}
