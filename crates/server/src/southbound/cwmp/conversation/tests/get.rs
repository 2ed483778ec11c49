//! Reads against scripted CPEs.

use super::super::fake::{Asked, Fake, gateway, old_gateway};
use super::super::instances::instances;
use super::*;
use dm::mapping::Numbers;

async fn begin(fake: Fake, root: &str) -> (Line, Known, Asked) {
    let (mut line, asked) = fake.line();
    let mut known = Known::discover(&mut line, root, Numbers::default())
        .await
        .unwrap();
    known.fresh = false;
    asked.clear();
    (line, known, asked)
}

async fn read(
    (line, known, _): &mut (Line, Known, Asked),
    path: &str,
    depth: u32,
) -> Result<Vec<(String, String)>, Fault> {
    let mut all = get(line, known, &[path.to_owned()], depth).await.unwrap();
    let found = all.remove(0).result?;
    Ok(found.into_iter().map(|v| (v.path, v.value)).collect())
}

fn pair(path: &str, value: &str) -> (String, String) {
    (path.to_owned(), value.to_owned())
}

#[tokio::test]
async fn parameters_objects_and_searches_are_read() {
    let mut device = begin(gateway(), "Device.").await;
    let home = pair("Device.WiFi.SSID.1.SSID", "home");
    let guest = pair("Device.WiFi.SSID.2.SSID", "guest");
    let one = read(&mut device, "Device.WiFi.SSID.1.SSID", 0)
        .await
        .unwrap();
    assert_eq!(one, std::slice::from_ref(&home));
    assert_eq!(device.2.methods(), ["GetParameterValues"]);
    let all = read(&mut device, "Device.WiFi.SSID.*.SSID", 0)
        .await
        .unwrap();
    assert_eq!(all, [home, guest.clone()]);
    let which = "Device.WiFi.SSID.[Enable==false].SSID";
    assert_eq!(
        read(&mut device, which, 0).await.unwrap(),
        vec![guest.clone()]
    );
    let by_reference = "Device.WiFi.AccessPoint.1.SSIDReference+.SSID";
    assert_eq!(read(&mut device, by_reference, 0).await.unwrap(), [guest]);
    let object = read(&mut device, "Device.WiFi.SSID.1.", 0).await.unwrap();
    assert_eq!(object.len(), 3);
    assert!(object.contains(&pair("Device.WiFi.SSID.1.Enable", "true")));
}

#[tokio::test]
async fn the_depth_bounds_what_is_told() {
    let mut device = begin(gateway(), "Device.").await;
    assert_eq!(read(&mut device, "Device.WiFi.", 1).await.unwrap(), []);
    let two = read(&mut device, "Device.WiFi.SSID.", 2).await.unwrap();
    assert_eq!(two.len(), 6);
    let info = read(&mut device, "Device.DeviceInfo.", 1).await.unwrap();
    assert_eq!(info.len(), 8);
}

#[tokio::test]
async fn what_is_not_there_is_said_of_its_own_path_only() {
    let (mut line, mut known, _) = begin(gateway(), "Device.").await;
    let paths = [
        "Device.WiFi.SSID.7.SSID",
        "Device.WiFi.SSID.1.SSID",
        "Device.Nothing.",
        "Device.[",
        "Device.Reboot()",
    ]
    .map(str::to_owned);
    let all = get(&mut line, &mut known, &paths, 0).await.unwrap();
    let codes: Vec<Option<u32>> = all
        .iter()
        .map(|one| one.result.as_ref().err().map(|fault| fault.code))
        .collect();
    assert_eq!(
        codes,
        [Some(9005), None, Some(9005), Some(9003), Some(9003)]
    );
}

#[tokio::test]
async fn a_search_sees_rows_that_came_since() {
    let mut device = begin(gateway(), "Device.").await;
    device.2.put("Device.Hosts.Host.9.HostName", "tablet");
    let all = read(&mut device, "Device.Hosts.Host.*.HostName", 0)
        .await
        .unwrap();
    assert_eq!(all[1], pair("Device.Hosts.Host.9.HostName", "tablet"));
}

#[tokio::test]
async fn an_old_gateway_is_read_by_paths_of_tr_181_and_by_its_own() {
    let mut device = begin(old_gateway(), "InternetGatewayDevice.").await;
    let ssid = pair("Device.WiFi.SSID.1.SSID", "old home");
    for path in ["Device.WiFi.SSID.1.SSID", "Device.WiFi.SSID.*.SSID"] {
        assert_eq!(
            read(&mut device, path, 0).await.unwrap(),
            vec![ssid.clone()],
            "{path}"
        );
    }
    let own = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.*.SSID";
    let all = read(&mut device, own, 0).await.unwrap();
    assert_eq!(all[0].1, "old home");
    let odd = read(&mut device, "InternetGatewayDevice.X_ACME_Odd", 0)
        .await
        .unwrap();
    assert_eq!(odd[0].1, "x");
    let object = read(&mut device, "Device.DeviceInfo.", 0).await.unwrap();
    assert!(object.contains(&pair("Device.DeviceInfo.SoftwareVersion", "0.9")));
}

#[tokio::test]
async fn what_an_old_gateway_cannot_have_is_said_so() {
    let mut device = begin(old_gateway(), "InternetGatewayDevice.").await;
    let no = read(&mut device, "Device.RootDataModelVersion", 0)
        .await
        .unwrap_err();
    assert_eq!(no.code, 9005);
    assert!(no.message.contains("counterpart"), "{no}");
    let no = read(&mut device, "Device.Zigbee.", 0).await.unwrap_err();
    assert_eq!(no.code, 9005);
}

#[tokio::test]
async fn rows_of_an_old_gateway_that_came_and_went_are_seen() {
    let mut device = begin(old_gateway(), "InternetGatewayDevice.").await;
    device.2.put(
        "InternetGatewayDevice.LANDevice.1.Hosts.Host.2.HostName",
        "tablet",
    );
    let all = read(&mut device, "Device.Hosts.Host.*.HostName", 0)
        .await
        .unwrap();
    assert_eq!(all.len(), 2);
    device
        .2
        .remove("InternetGatewayDevice.LANDevice.1.Hosts.Host.1.");
    let all = read(&mut device, "Device.Hosts.Host.*.HostName", 0)
        .await
        .unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].1, "tablet");
}

async fn listed((line, known, _): &mut (Line, Known, Asked), table: &str) -> Vec<String> {
    let paths = [table.to_owned()];
    let mut all = instances(line, known, &paths, true).await.unwrap();
    let rows = all.remove(0).result.unwrap();
    rows.into_iter().map(|row| row.path).collect()
}

#[tokio::test]
async fn a_parameter_that_cannot_be_read_takes_no_other_along() {
    // Left out of the answer it is still there, and so is what begins as it does.
    let own = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID";
    let advertised = format!("{own}AdvertisementEnabled");
    let fake = old_gateway()
        .with_param(&advertised, cwmp::value::Value::boolean(true))
        .leaves_out(own);
    let mut device = begin(fake, "InternetGatewayDevice.").await;
    let path = "Device.WiFi.SSID.1.SSID";
    assert!(read(&mut device, path, 0).await.is_err());
    assert!(device.1.tree.has(own) && device.1.tree.has(&advertised));
    assert!(!device.1.changed);
    // One that is gone is gone, and nothing else.
    device.2.remove(own);
    device.2.put(&advertised, "true");
    let _ = read(&mut device, own, 0).await;
    assert!(!device.1.tree.has(own) && device.1.tree.has(&advertised));
    let broadcast = "Device.WiFi.AccessPoint.1.SSIDAdvertisementEnabled";
    let told = read(&mut device, broadcast, 0).await.unwrap();
    assert_eq!(told, [pair(broadcast, "true")]);
}

#[tokio::test]
async fn the_rows_of_a_table_are_listed_as_they_are_now() {
    let mut device = begin(gateway(), "Device.").await;
    let rows = listed(&mut device, "Device.NAT.PortMapping.").await;
    assert_eq!(rows, ["Device.NAT.PortMapping.1."]);
    device.2.remove("Device.NAT.PortMapping.1.");
    assert!(
        listed(&mut device, "Device.NAT.PortMapping.")
            .await
            .is_empty()
    );
    let mut old = begin(old_gateway(), "InternetGatewayDevice.").await;
    assert!(listed(&mut old, "Device.NAT.PortMapping.").await.is_empty());
    let rows = listed(&mut old, "Device.WiFi.SSID.").await;
    assert_eq!(rows, ["Device.WiFi.SSID.1."]);
}
