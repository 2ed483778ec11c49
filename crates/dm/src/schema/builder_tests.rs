//! Subsets and vendor objects.

use super::*;
use crate::schema::{CommandDef, CommandKind, EventDef, ParamDef};
use crate::value::BaseType;

fn subset(paths: &[&str]) -> Schema {
    Schema::tr181().subset(paths).unwrap()
}

#[test]
fn a_subset_has_what_was_named_and_what_leads_there() {
    let schema = subset(&[
        "Device.WiFi.SSID.{i}.SSID",
        "Device.Reboot()",
        "Device.Boot!",
        "Device.Ethernet.Interface.",
    ]);
    assert!(schema.param("Device.WiFi.SSID.{i}.SSID").is_some());
    assert!(schema.param("Device.WiFi.SSID.{i}.Enable").is_none());
    // Unique keys come along, and what counts the rows.
    assert!(schema.param("Device.WiFi.SSID.{i}.Alias").is_some());
    assert!(schema.param("Device.WiFi.SSIDNumberOfEntries").is_some());
    assert!(schema.param("Device.WiFi.RadioNumberOfEntries").is_none());
    assert!(
        schema.element("Device.Reboot()").is_some() && schema.element("Device.Boot!").is_some()
    );
    assert!(schema.element("Device.FactoryReset()").is_none());
    assert!(
        schema
            .param("Device.Ethernet.Interface.{i}.Stats.BytesSent")
            .is_some()
    );
    assert_eq!(
        schema.object("Device.WiFi.SSID.{i}.").unwrap().access,
        def::ObjectAccess::AddDelete
    );
}

#[test]
fn an_object_can_be_taken_without_what_is_below_and_things_taken_out() {
    let schema = subset(&[
        "Device.Ethernet.!only",
        "Device.IP.Interface.",
        "-Device.IP.Interface.{i}.Stats.",
        "-Device.IP.Interface.{i}.Loopback",
    ]);
    assert!(
        schema.object("Device.Ethernet.").is_some()
            && schema.object("Device.Ethernet.Link.").is_none()
    );
    assert!(
        schema.param("Device.Ethernet.WoLSupported").is_some()
            || schema
                .param("Device.Ethernet.InterfaceNumberOfEntries")
                .is_some()
    );
    assert!(schema.object("Device.IP.Interface.{i}.Stats.").is_none());
    assert!(
        schema.param("Device.IP.Interface.{i}.Loopback").is_none()
            && schema.param("Device.IP.Interface.{i}.Enable").is_some()
    );
}

#[test]
fn a_misspelt_path_is_an_error() {
    for path in [
        "Device.WiFy.",
        "Device.WiFi.SSID.{i}.Nope",
        "-Device.WiFi.",
        "-Device.Nope",
        "Device.WiFi.Nope()",
        "Device.Nope.!only",
        "x",
        "-x",
        "",
    ] {
        let error = Schema::tr181().subset(&[path]).unwrap_err();
        assert!(
            matches!(error, SchemaError::NotThere { .. }),
            "{path}: {error}"
        );
    }
}

#[test]
fn vendor_objects_and_members_are_declared_on_top() {
    let thing = ObjectDef::new("Device.X_EXAMPLE-COM_Thing.{i}.")
        .access(def::ObjectAccess::AddDelete)
        .with_param(ParamDef::new("Alias", BaseType::String).write_once())
        .with_param(
            ParamDef::new("Level", crate::Type::new(BaseType::UnsignedInt).range(0, 9))
                .read_write()
                .default_value("5"),
        )
        .with_key(&["Alias"], false)
        .with_command(CommandDef::new("Polish()", CommandKind::Async))
        .with_event(EventDef::new("Broken!"))
        .counted_by("X_EXAMPLE-COM_ThingNumberOfEntries");
    let schema = Schema::builder()
        .include(Schema::tr181(), "Device.DeviceInfo.")
        .unwrap()
        .object(thing)
        .object(
            ObjectDef::new("Device.DeviceInfo.")
                .with_param(ParamDef::new("X_EXAMPLE-COM_Mood", BaseType::String)),
        )
        .build()
        .unwrap();
    assert!(
        schema
            .param("Device.DeviceInfo.X_EXAMPLE-COM_Mood")
            .is_some()
    );
    assert!(schema.param("Device.DeviceInfo.SerialNumber").is_some());
    assert!(
        schema
            .element("Device.X_EXAMPLE-COM_Thing.4.Polish()")
            .is_some()
    );
    let level = schema.param("Device.X_EXAMPLE-COM_Thing.4.Level").unwrap();
    assert_eq!(level.initial_value(), "5");
    assert!(
        Schema::tr181()
            .param("Device.DeviceInfo.X_EXAMPLE-COM_Mood")
            .is_none()
    );
}

#[test]
fn a_model_that_cannot_be_is_refused_with_the_reason() {
    let error = |object: ObjectDef| {
        Schema::builder()
            .object(ObjectDef::new("Device."))
            .object(object)
            .build()
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error(ObjectDef::new("Device.A.B.")),
        "\"Device.A.B.\" is declared, but not the object around it"
    );
    for path in ["Device.A", "Device.A.1.", "Device.A.*.", "Device.A B.", ""] {
        assert_eq!(
            error(ObjectDef::new(path)),
            format!("{path:?} is not a supported object path (names and {{i}}, ending in '.')")
        );
    }
    let base = || ObjectDef::new("Device.A.");
    assert_eq!(
        error(base().with_param(ParamDef::new("B C", BaseType::String))),
        "\"B C\" of \"Device.A.\" is not a name"
    );
    assert_eq!(
        error(base().with_command(CommandDef::new("B", CommandKind::Sync))),
        "\"B\" of \"Device.A.\" is a command and must end in ()"
    );
    assert_eq!(
        error(base().with_event(EventDef::new("B"))),
        "\"B\" of \"Device.A.\" is an event and must end in !"
    );
    assert_eq!(
        error(base().with_key(&["K"], true)),
        "\"K\" of \"Device.A.\" is part of a unique key, but not a parameter"
    );
}

#[test]
fn a_model_has_a_most_number_of_objects() {
    let mut builder = Schema::builder().object(ObjectDef::new("D."));
    for n in 1..limits::SCHEMA_OBJECTS_MAX {
        builder = builder.object(ObjectDef::new(format!("D.A{n}.")));
    }
    assert!(builder.clone().build().is_ok());
    assert_eq!(
        builder.object(ObjectDef::new("D.B.")).build().unwrap_err(),
        SchemaError::TooMany
    );
}

#[test]
fn subsets_share_whole_objects() {
    let schema = subset(&["Device.WiFi."]);
    let (a, b) = (
        schema.object_arc("Device.WiFi.SSID.").unwrap(),
        Schema::tr181().object_arc("Device.WiFi.SSID.").unwrap(),
    );
    assert!(Arc::ptr_eq(&a, &b));
}
