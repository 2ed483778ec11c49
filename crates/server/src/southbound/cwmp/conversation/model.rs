//! The supported model of a device, of what it was found to have: TR-181 whatever its own tree is,
//! and beside it a gateway's own tree under its own paths, with the commands that CWMP can carry out.

use dm::Schema;
use dm::mapping::{DEVICE_ROOT, GATEWAY_ROOT};
use dm::path::supported_text;
use fleet::model::{Model, ModelCommand, ModelObject, ModelParam, ObjectAccess, ParamAccess};

use super::super::aside::at_length;
use super::known::Known;
use super::limits::MAPPED_NAMES_MAX;
use super::question;
use super::subscribe;
use super::windows::INPUTS as WINDOWS;

/// The state of a diagnostic, in its object.
pub const STATE: &str = "DiagnosticsState";

/// Commands of methods that every CPE has to have, or that cost nothing to try.
const COMMANDS: [(&str, &str); 7] = [
    ("Device.", "Reboot()"),
    ("Device.", "FactoryReset()"),
    ("Device.", "ScheduleTimer()"),
    ("Device.DeviceInfo.FirmwareImage.{i}.", "Download()"),
    ("Device.DeviceInfo.VendorConfigFile.{i}.", "Backup()"),
    ("Device.DeviceInfo.VendorConfigFile.{i}.", "Restore()"),
    ("Device.DeviceInfo.VendorLogFile.{i}.", "Upload()"),
];

/// Commands of software modules, where the device has some.
const MODULES: [(&str, &str); 3] = [
    ("Device.SoftwareModules.", "InstallDU()"),
    ("Device.SoftwareModules.DeploymentUnit.{i}.", "Update()"),
    ("Device.SoftwareModules.DeploymentUnit.{i}.", "Uninstall()"),
];

/// Any file that is not one of those, and at which time: CWMP has more kinds than TR-181 has commands.
/// And what can only be asked. With their arguments, and whether they end later.
const OWN: [(&str, &[&str], bool); 4] = [
    (
        "X_HEADEND_Download()",
        &[
            "FileType",
            "URL",
            "Username",
            "Password",
            "FileSize",
            "TargetFileName",
            "DelaySeconds",
            WINDOWS[0],
            WINDOWS[1],
            WINDOWS[2],
            WINDOWS[3],
            WINDOWS[4],
        ],
        true,
    ),
    (
        "X_HEADEND_Upload()",
        &["FileType", "URL", "Username", "Password", "DelaySeconds"],
        true,
    ),
    (question::METHODS, &[], false),
    (question::ATTRIBUTES, &[question::PATHS], false),
];

/// The model.
pub fn model(known: &Known) -> Model {
    at_length(known.tree.len(), MAPPED_NAMES_MAX, || whole(known))
}

fn whole(known: &Known) -> Model {
    let mut model = Model::default();
    match known.mapping.as_ref().map(|mapping| mapping.schema()) {
        Some(Ok(schema)) => take_schema(&mut model, &schema),
        Some(Err(error)) => model.gaps.push((DEVICE_ROOT.to_owned(), error.to_string())),
        None => {}
    }
    take_tree(&mut model, known);
    model.gaps.extend(known.tree.gaps.iter().cloned());
    let published = COMMANDS.iter().chain(
        MODULES
            .iter()
            .filter(|_| known.tree.has("Device.SoftwareModules.")),
    );
    for (object, name) in published {
        let def = Schema::tr181()
            .object(object)
            .and_then(|object| object.command(name));
        let command = ModelCommand {
            name: (*name).to_owned(),
            inputs: def
                .map(|def| def.inputs.iter().map(|arg| arg.name.to_string()).collect())
                .unwrap_or_default(),
            outputs: Vec::new(),
            asynchronous: Some(!matches!(*name, "Reboot()" | "FactoryReset()")),
        };
        offer(&mut model, object, command);
    }
    for (name, inputs, asynchronous) in OWN {
        let command = ModelCommand {
            name: name.to_owned(),
            inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
            outputs: Vec::new(),
            asynchronous: Some(asynchronous),
        };
        offer(&mut model, DEVICE_ROOT, command);
    }
    diagnostics(&mut model);
    subscriptions(&mut model);
    model
}

/// The table that is kept for devices that have none.
fn subscriptions(model: &mut Model) {
    let row = format!("{}{{i}}.", subscribe::TABLE);
    let params = subscribe::SETTINGS.iter().map(|(name, _)| ModelParam {
        name: (*name).to_owned(),
        access: ParamAccess::ReadWrite,
        ty: None,
        value_change: None,
    });
    let table = ModelObject {
        access: ObjectAccess::AddDelete,
        params: params.collect(),
        ..empty(&row)
    };
    model.objects.insert(row, table);
}

fn empty(object: &str) -> ModelObject {
    ModelObject {
        access: ObjectAccess::ReadOnly,
        multi: object.ends_with("{i}."),
        params: Vec::new(),
        commands: Vec::new(),
        events: Vec::new(),
        keys: Vec::new(),
        named_only: false,
    }
}

fn offer(model: &mut Model, object: &str, command: ModelCommand) {
    let place = model
        .objects
        .entry(object.to_owned())
        .or_insert_with(|| empty(object));
    if place
        .commands
        .iter()
        .all(|known| known.name != command.name)
    {
        place.commands.push(command);
    }
}

/// What a gateway's tree is in TR-181. Its own paths are taken from the tree: all of them are there.
fn take_schema(model: &mut Model, schema: &Schema) {
    let objects = schema.objects();
    for object in objects.filter(|object| object.path.starts_with(DEVICE_ROOT)) {
        let access = match object.access {
            dm::ObjectAccess::AddDelete => ObjectAccess::AddDelete,
            dm::ObjectAccess::AddOnly => ObjectAccess::AddOnly,
            dm::ObjectAccess::DeleteOnly => ObjectAccess::DeleteOnly,
            dm::ObjectAccess::ReadOnly => ObjectAccess::ReadOnly,
        };
        let params = object.params.iter().map(|param| ModelParam {
            name: param.name.to_string(),
            access: match param.access {
                dm::ParamAccess::ReadOnly => ParamAccess::ReadOnly,
                _ => ParamAccess::ReadWrite,
            },
            ty: Some(param.ty.base.as_str().to_owned()),
            value_change: None,
        });
        let described = ModelObject {
            access,
            params: params.collect(),
            ..empty(&object.path)
        };
        model.objects.insert(object.path.to_string(), described);
    }
}

/// What rows differ in, the model can where one of them can.
fn take_tree(model: &mut Model, known: &Known) {
    for (name, writable) in known.tree.iter() {
        let supported = supported_text(name);
        let Some(dot) = supported.trim_end_matches('.').rfind('.') else {
            model
                .objects
                .entry(supported.clone())
                .or_insert_with(|| empty(&supported));
            continue;
        };
        if !supported.ends_with('.') {
            let (object, param) = supported.split_at(dot + 1);
            let place = model
                .objects
                .entry(object.to_owned())
                .or_insert_with(|| empty(object));
            take_param(place, object, param, writable);
            continue;
        }
        if supported.ends_with("{i}.") {
            let can_delete = writable == Some(true);
            let can_add = known.tree.writable(
                &name[..name
                    .trim_end_matches('.')
                    .rfind('.')
                    .map_or(0, |dot| dot + 1)],
            ) == Some(true);
            let place = model
                .objects
                .entry(supported.clone())
                .or_insert_with(|| empty(&supported));
            allow(place, can_add, can_delete);
            if writable.is_none() {
                published_rows(place, &supported);
            }
        } else if writable == Some(true) {
            // A table: that it takes rows is said of it, and so that it is one.
            let row = format!("{supported}{{i}}.");
            let place = model
                .objects
                .entry(row.clone())
                .or_insert_with(|| empty(&row));
            allow(place, true, true);
        } else {
            model
                .objects
                .entry(supported.clone())
                .or_insert_with(|| empty(&supported));
        }
    }
    fill_empty_tables(model, known);
    // A table by itself is no object of the model.
    let tables: Vec<String> = model
        .objects
        .keys()
        .filter(|path| {
            !path.ends_with("{i}.") && model.objects.contains_key(&format!("{path}{{i}}."))
        })
        .filter(|path| model.objects[*path].params.is_empty())
        .cloned()
        .collect();
    for table in tables {
        model.objects.remove(&table);
    }
}

/// The rows of a table that is empty now are as the standard has them: nobody has to look for what a
/// device supports each time that a row comes.
fn fill_empty_tables(model: &mut Model, known: &Known) {
    let objects = known.tree.iter().filter(|(name, _)| name.ends_with('.'));
    for (name, writable) in objects {
        let row = format!("{}{{i}}.", supported_text(name));
        let published = match row.starts_with(GATEWAY_ROOT) {
            true => Schema::tr098(),
            false => Schema::tr181_cwmp(),
        };
        let told = model.objects.get(&row);
        if published.object(&row).is_none() || told.is_some_and(|row| !row.params.is_empty()) {
            continue;
        }
        let below = published.objects();
        for object in below.filter(|object| object.path.starts_with(row.as_str())) {
            let place = model.objects.entry(object.path.to_string());
            let place = place.or_insert_with(|| empty(&object.path));
            let says_no = *object.path == *row && writable == Some(false);
            if !says_no && place.params.is_empty() {
                allow(place, object.access.can_add(), object.access.can_delete());
            }
            let current = object.params.iter();
            for param in current.filter(|param| param.status < dm::Status::Obsoleted) {
                let writable = (param.access == dm::ParamAccess::ReadOnly).then_some(false);
                take_param(place, &object.path, &param.name, writable);
            }
        }
    }
}

/// What the standard says of rows, of which the device has said nothing.
fn published_rows(place: &mut ModelObject, supported: &str) {
    let known = match supported.starts_with(GATEWAY_ROOT) {
        true => Schema::tr098().object(supported),
        false => Schema::tr181_cwmp().object(supported),
    };
    if let Some(known) = known {
        allow(place, known.access.can_add(), known.access.can_delete());
    }
}

fn allow(place: &mut ModelObject, can_add: bool, can_delete: bool) {
    let add = can_add
        || matches!(
            place.access,
            ObjectAccess::AddDelete | ObjectAccess::AddOnly
        );
    let delete = can_delete
        || matches!(
            place.access,
            ObjectAccess::AddDelete | ObjectAccess::DeleteOnly
        );
    place.access = match (add, delete) {
        (true, true) => ObjectAccess::AddDelete,
        (true, false) => ObjectAccess::AddOnly,
        (false, true) => ObjectAccess::DeleteOnly,
        (false, false) => ObjectAccess::ReadOnly,
    };
}

fn take_param(place: &mut ModelObject, object: &str, name: &str, writable: Option<bool>) {
    let path = format!("{object}{name}");
    let published = match object.starts_with(GATEWAY_ROOT) {
        true => Schema::tr098().param(&path),
        false => Schema::tr181_cwmp().param(&path),
    };
    let access = match (writable, published.map(|param| param.access)) {
        (Some(false), _) | (None, Some(dm::ParamAccess::ReadOnly)) => ParamAccess::ReadOnly,
        // What nobody can say is tried, and the device has the last word.
        (Some(true), _) | (None, _) => ParamAccess::ReadWrite,
    };
    if let Some(known) = place.params.iter_mut().find(|known| known.name == name) {
        if access == ParamAccess::ReadWrite {
            known.access = access;
        }
        return;
    }
    place.params.push(ModelParam {
        name: name.to_owned(),
        access,
        ty: published.map(|param| param.ty.base.as_str().to_owned()),
        value_change: None,
    });
}

/// A diagnostic is an object with a state in CWMP, and a command in TR-181. So is one of a maker, and
/// one that a gateway has under its own path.
fn diagnostics(model: &mut Model) {
    let objects: Vec<String> = model
        .objects
        .iter()
        .filter(|(_, object)| object.params.iter().any(|param| param.name == STATE))
        .map(|(path, _)| path.clone())
        .collect();
    for path in objects {
        let bare = path.trim_end_matches('.');
        let Some(dot) = bare.rfind('.') else { continue };
        let (place, name) = (bare[..=dot].to_owned(), format!("{}()", &bare[dot + 1..]));
        let named = |wanted: ParamAccess| -> Vec<String> {
            let params = model
                .objects
                .get(&path)
                .into_iter()
                .flat_map(|object| &object.params);
            params
                .filter(|param| param.access == wanted && param.name != STATE)
                .map(|param| param.name.clone())
                .collect()
        };
        let command = ModelCommand {
            name,
            inputs: named(ParamAccess::ReadWrite),
            outputs: named(ParamAccess::ReadOnly),
            asynchronous: Some(true),
        };
        offer(model, &place, command);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, gateway, old_gateway};
    use super::*;
    use dm::mapping::Numbers;

    async fn of(fake: Fake, root: &str) -> Model {
        let (mut line, _asked) = fake.line();
        let known = Known::discover(&mut line, root, Numbers::default())
            .await
            .unwrap();
        model(&known)
    }

    #[tokio::test]
    async fn the_model_has_what_the_device_has_and_the_commands_that_cwmp_can_do() {
        let model = of(gateway(), "Device.").await;
        let ssid = model.param("Device.WiFi.SSID.1.SSID").unwrap();
        assert_eq!(
            (ssid.access, ssid.ty.as_deref()),
            (ParamAccess::ReadWrite, Some("string"))
        );
        let bssid = model.param("Device.WiFi.SSID.2.BSSID").unwrap();
        assert_eq!(bssid.access, ParamAccess::ReadOnly);
        let rows = model.object("Device.NAT.PortMapping.1.").unwrap();
        assert!(rows.multi && rows.access != ObjectAccess::ReadOnly);
        assert_eq!(
            model.object("Device.WiFi.SSID.1.").unwrap().access,
            ObjectAccess::ReadOnly
        );
        for command in [
            "Device.Reboot()",
            "Device.FactoryReset()",
            "Device.IP.Diagnostics.IPPing()",
            "Device.DeviceInfo.FirmwareImage.1.Download()",
        ] {
            assert!(model.command(command).is_some(), "{command}");
        }
        let ping = model.command("Device.IP.Diagnostics.IPPing()").unwrap();
        assert_eq!(ping.inputs, ["Host", "NumberOfRepetitions"]);
        assert!(
            model
                .command("Device.SoftwareModules.InstallDU()")
                .is_none()
        );
        assert!(!model.objects.contains_key("Device.NAT.PortMapping."));
    }

    #[tokio::test]
    async fn what_a_device_does_not_say_of_writing_the_standard_says() {
        let model = of(gateway().calls_nothing_writable(), "Device.").await;
        let access = |path: &str| model.param(path).unwrap().access;
        assert_eq!(access("Device.WiFi.SSID.1.SSID"), ParamAccess::ReadWrite);
        assert_eq!(access("Device.WiFi.SSID.1.BSSID"), ParamAccess::ReadOnly);
        assert_eq!(access("Device.X_ACME_Thing.Level"), ParamAccess::ReadWrite);
        let rows = model.object("Device.NAT.PortMapping.1.").unwrap();
        assert_eq!(rows.access, ObjectAccess::AddDelete);
    }

    #[tokio::test]
    async fn the_rows_of_an_empty_table_are_in_the_model_before_there_are_any() {
        for (fake, root) in [
            (gateway(), "Device."),
            (old_gateway(), "InternetGatewayDevice."),
        ] {
            let fake = fake.without_rows();
            let model = of(fake, root).await;
            let rows = model.object("Device.NAT.PortMapping.1.").unwrap();
            assert_eq!(rows.access, ObjectAccess::AddDelete, "{root}");
            let access = |path: &str| model.param(path).map(|param| param.access);
            let (read, write) = (Some(ParamAccess::ReadOnly), Some(ParamAccess::ReadWrite));
            assert_eq!(access("Device.NAT.PortMapping.1.ExternalPort"), write);
            assert_eq!(access("Device.Hosts.Host.1.HostName"), read);
            let hosts = model.object("Device.Hosts.Host.1.").unwrap();
            assert_eq!(hosts.access, ObjectAccess::ReadOnly);
            assert!(!model.objects.contains_key("Device.Hosts.Host."));
        }
    }

    #[tokio::test]
    async fn an_old_gateway_has_a_model_of_tr_181_and_what_is_only_its_own() {
        let model = of(old_gateway(), "InternetGatewayDevice.").await;
        let ssid = model.param("Device.WiFi.SSID.1.SSID").unwrap();
        assert_eq!(ssid.access, ParamAccess::ReadWrite);
        assert!(model.param("InternetGatewayDevice.X_ACME_Odd").is_some());
        // What has a counterpart keeps its own path as well.
        let wlan = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
        let own = model.param(&format!("{wlan}SSID")).unwrap();
        assert_eq!(own.access, ParamAccess::ReadWrite);
        let status = "InternetGatewayDevice.DeviceInfo.SoftwareVersion";
        assert_eq!(model.param(status).unwrap().access, ParamAccess::ReadOnly);
        let wan = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.";
        let rows = model.object(&format!("{wan}PortMapping.1.")).unwrap();
        assert_eq!(rows.access, ObjectAccess::AddDelete);
        assert!(model.command("Device.IP.Diagnostics.IPPing()").is_some());
        let own = "InternetGatewayDevice.IPPingDiagnostics()";
        assert!(model.command(own).is_some());
        assert!(model.command("Device.Reboot()").is_some());
        let rows = model.object("Device.NAT.PortMapping.1.");
        assert!(rows.is_none_or(|rows| rows.access == ObjectAccess::AddDelete));
    }
}
