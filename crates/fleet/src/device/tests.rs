//! What devices are called, and which names are of one device.

use super::*;

#[test]
fn a_renamed_product_class_is_still_the_same_device() {
    let before = Identity::of_serial("00256d", "Gateway", "S1");
    let after = Identity::of_serial("00256D", "GatewayPro", "S1");
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
    assert!(before[1].kind.merges());
}

#[test]
fn a_name_with_dashes_in_its_parts_is_shown_as_the_device_tells_it() {
    for class in ["Gateway", "WR-300", "100%-2D", "A%2DB"] {
        let cpe = Identity::of_cpe("Maker", "00256D", class, "S-%2D1").remove(0);
        assert_eq!(cpe.shown(), format!("00256D-{class}-S-%2D1"), "{cpe:?}");
    }
    let odd = Identity::of_cpe("A-B", "", "", "7").remove(0);
    assert_eq!((odd.value.as_str(), &*odd.shown()), ("A%2DB--7", "A-B--7"));
    // An endpoint id is what it is.
    let endpoint = Identity::endpoint("os::00256D-A%2D1");
    assert_eq!(endpoint.shown(), "os::00256D-A%2D1");
}

#[test]
fn an_endpoint_id_and_an_inform_of_one_device_have_its_serial_number_in_common() {
    let informed = Identity::of_cpe("Maker", "00256d", "Gateway", "S-1");
    assert_eq!(informed[0].kind, IdentityKind::CwmpDevice);
    assert_eq!(informed[0].value, "00256D-Gateway-S-1");
    for (endpoint, common) in [
        ("os::00256D-S-1", 1),
        ("os::00256D-S%2d1", 1),
        ("ops::00256D-Gateway-S%2D1", 2),
        // Where the class ends cannot be told; the whole is the same name.
        ("ops::00256D-Gateway-S-1", 1),
        ("os::00256D-S1", 0),
        ("oui:00256D:S-1", 0),
        ("os::00256D", 0),
        ("ops::00256D-S-1", 0),
        ("proto::S-1", 0),
    ] {
        let said = Identity::of_endpoint(endpoint);
        let shared = said.iter().filter(|one| informed.contains(one)).count();
        assert_eq!(shared, common, "{endpoint}: {said:?}");
    }
    assert_eq!(decoded("100%"), "100%");
    assert_eq!(decoded("a%zz%41"), "a%zzA");
}

#[test]
fn a_mac_address_reads_the_same_however_it_is_written() {
    for text in [
        "02:9A:bc:00:11:22",
        "02-9a-bc-00-11-22",
        "029a.bc00.1122",
        " 029ABC001122 ",
    ] {
        let value = Identity::of_mac(text).map(|mac| mac.value);
        assert_eq!(value.as_deref(), Some("02:9a:bc:00:11:22"), "{text}");
    }
    for none in [
        "",
        "00:00:00:00:00:00",
        "ff:ff:ff:ff:ff:ff",
        "01:00:5e:00:00:01",
        "02:9a",
        "xx:9a:bc:00:11:22",
    ] {
        assert_eq!(Identity::of_mac(none), None, "{none}");
    }
}

#[test]
fn placeholder_serials_are_no_identity() {
    for serial in ["", " ", "0000000", "00:00:00", "-"] {
        assert!(
            Identity::of_serial("00256D", "x", serial).is_empty(),
            "{serial:?}"
        );
    }
    assert!(Identity::of_serial("", "x", "S1").is_empty());
    assert!(Identity::of_serial("nothex", "x", "S1").is_empty());
}

#[test]
fn a_cpe_without_an_oui_is_known_by_its_maker_and_never_by_its_serial_number_alone() {
    assert_eq!(
        Identity::of_cpe("Maker", "00256d", "Box", "S1")[1..],
        Identity::of_serial("00256D", "Box", "S1")
    );
    let one = Identity::of_cpe("Maker", "", "Box", "S1");
    let other = Identity::of_cpe("Other", "", "Box", "S1");
    assert_eq!((one.len(), other.len()), (1, 1));
    assert_ne!(one, other);
    assert_ne!(Identity::of_cpe("Maker", "XYZ", "Box", "S1"), one);
    let long = "x".repeat(Identity::PART_CHARS_MAX + 1);
    for (maker, oui, serial) in [
        ("", "", "S1"),
        ("Maker", "", "0000"),
        ("Maker", "00256D", ""),
        ("Maker", "00256D", long.as_str()),
    ] {
        let none = Identity::of_cpe(maker, oui, "Box", serial);
        assert!(none.is_empty(), "{maker} {oui} {serial}");
    }
}

#[test]
fn a_dash_in_a_product_class_makes_it_no_other_device() {
    let of = |class, serial| Identity::of_cpe("Maker", "00256D", class, serial).remove(0);
    assert_eq!(of("A-B", "C").value, "00256D-A%2DB-C");
    assert_eq!(of("A", "B-C").value, "00256D-A-B-C");
    assert_ne!(of("A%2DB", "C"), of("A-B", "C"));
    let of = |maker, class| Identity::of_cpe(maker, "", class, "S1");
    assert_ne!(of("A-B", "C"), of("A", "B-C"));
}

#[test]
fn a_model_key_needs_a_firmware_and_a_name() {
    let mut d = Description::default();
    assert_eq!(d.model_key(), None);
    assert!(d.apply("Device.DeviceInfo.ModelName", "M1"));
    assert!(!d.apply("Device.DeviceInfo.ModelName", "M1"));
    assert!(!d.apply("Device.DeviceInfo.UpTime", "1"));
    assert_eq!(d.model_key(), None);
    assert!(d.apply("Device.DeviceInfo.SoftwareVersion", "1.0"));
    assert_eq!(
        d.model_key().map(|k| k.to_string()),
        Some("|M1||1.0".to_owned())
    );
}
