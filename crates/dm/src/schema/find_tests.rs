//! Finding things of TR-181 by path.

use super::*;

#[test]
fn supported_and_instantiated_paths_find_the_same() {
    let schema = Schema::tr181();
    let supported = schema.element("Device.WiFi.SSID.{i}.SSID").unwrap();
    assert_eq!(schema.element("Device.WiFi.SSID.3.SSID"), Some(supported));
    assert_eq!(supported.path(), "Device.WiFi.SSID.{i}.SSID");
    assert!(matches!(schema.element("Device.WiFi.SSID.3."), Some(Element::Object(o)) if o.multi));
    assert!(matches!(schema.element("Device.WiFi.SSID."), Some(Element::Object(o)) if o.multi));
    assert!(
        schema
            .element("Device.Reboot()")
            .is_some_and(|e| e.command().is_some())
    );
    assert!(matches!(
        schema.element("Device.Boot!"),
        Some(Element::Event(..))
    ));
    assert!(schema.element("Device.WiFi.SSID").is_none());
    assert!(schema.element("Device.WiFi.SSID.3.Nothing").is_none());
    assert!(schema.element("").is_none());
}

#[test]
fn whole_paths_are_checked_with_their_expressions() {
    let check = |text: &str| {
        let path = Path::parse(text).unwrap();
        Schema::tr181()
            .check_path(&path)
            .map(|found| found.map(Element::path))
            .map_err(|error| error.path)
    };
    let found = |path: &str| Ok(Some(path.to_owned()));
    assert_eq!(
        check("Device.WiFi.SSID.*.SSID"),
        found("Device.WiFi.SSID.{i}.SSID")
    );
    assert_eq!(
        check("Device.WiFi.SSID.[Alias==\"x\"].Stats."),
        found("Device.WiFi.SSID.{i}.Stats.")
    );
    assert_eq!(
        check("Device.WiFi.SSID.[Stats.BytesSent>5]."),
        found("Device.WiFi.SSID.{i}.")
    );
    assert_eq!(
        check("Device.WiFi.SSID.[LowerLayers+.Channel==5]."),
        found("Device.WiFi.SSID.{i}.")
    );
    assert_eq!(check("Device.WiFi.SSID."), found("Device.WiFi.SSID.{i}."));
    assert_eq!(check("Device.WiFi.SSID.1.LowerLayers#*+.Channel"), Ok(None));
    assert_eq!(check("Device.Reboot()"), found("Device.Reboot()"));
    assert_eq!(check("Device.Boot!"), found("Device.Boot!"));
    assert_eq!(check("Device.Nope!"), Err("Device.Nope!".into()));
    assert_eq!(check("Device.WiFi.1."), Err("Device.WiFi.{i}.".into()));
    assert_eq!(
        check("Device.WiFi.SSID.[Colour==1]."),
        Err("Device.WiFi.SSID.{i}.Colour".into())
    );
    assert_eq!(
        check("Device.WiFi.SSID.1.Nope+.X"),
        Err("Device.WiFi.SSID.{i}.Nope".into())
    );
    assert_eq!(
        check("Device.WiFi.SSID.1.Nope.X"),
        Err("Device.WiFi.SSID.{i}.Nope.X".into())
    );
}

#[test]
fn children_are_the_next_objects_down() {
    let schema = Schema::tr181();
    let paths = |of: &str| {
        schema
            .children(of)
            .map(|object| object.path.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        paths("Device.Ethernet."),
        [
            "Device.Ethernet.Interface.{i}.",
            "Device.Ethernet.LAG.{i}.",
            "Device.Ethernet.Link.{i}.",
            "Device.Ethernet.RMONStats.{i}.",
            "Device.Ethernet.VLANTermination.{i}.",
            "Device.Ethernet.WoL."
        ]
        .into_iter()
        .filter(|path| schema.object(path).is_some())
        .collect::<Vec<_>>()
    );
    assert!(
        paths("Device.Ethernet.Interface.{i}.")
            .contains(&"Device.Ethernet.Interface.{i}.Stats.".to_owned())
    );
    assert!(paths("Device.Nope.").is_empty());
    for object in schema.objects() {
        let is_there = object.parent_path().is_none_or(|parent| {
            schema
                .children(parent)
                .filter(|child| child.path == object.path)
                .count()
                == 1
        });
        assert!(is_there, "{}", object.path);
    }
}

#[test]
fn a_subtree_is_an_object_and_all_below() {
    let schema = Schema::tr181();
    assert_eq!(schema.subtree("Device.").len(), schema.len());
    assert!(
        schema
            .subtree("Device.WiFi.SSID.")
            .all(|object| object.path.starts_with("Device.WiFi.SSID.{i}."))
    );
    assert_eq!(schema.subtree("Device.Nope.").len(), 0);
}
