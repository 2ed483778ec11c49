//! Supported models of agents: what a back end lists, and the LocalAgent objects that every agent has.

use std::sync::Arc;

use dm::{Schema, SchemaError};

/// What the engine itself provides, as [`Schema::subset`] takes it. What is not here (challenges, other transports) is
/// not supported, and GetSupportedDM says so.
const OWN: &[&str] = &[
    "Device.RootDataModelVersion",
    "Device.Boot!",
    "Device.Reboot()",
    "Device.FactoryReset()",
    "Device.ScheduleTimer()",
    "Device.LocalAgent.EndpointID",
    "Device.LocalAgent.SoftwareVersion",
    "Device.LocalAgent.UpTime",
    "Device.LocalAgent.MTPNumberOfEntries",
    "Device.LocalAgent.ControllerNumberOfEntries",
    "Device.LocalAgent.SubscriptionNumberOfEntries",
    "Device.LocalAgent.RequestNumberOfEntries",
    "Device.LocalAgent.SupportedNumberOfSubscriptions",
    "Device.LocalAgent.Periodic!",
    "Device.LocalAgent.TransferComplete!",
    "Device.LocalAgent.CertificateNumberOfEntries",
    "Device.LocalAgent.AddCertificate()",
    "Device.LocalAgent.Certificate.{i}.Alias",
    "Device.LocalAgent.Certificate.{i}.SerialNumber",
    "Device.LocalAgent.Certificate.{i}.Issuer",
    "Device.Security.CertificateNumberOfEntries",
    "Device.Security.Certificate.{i}.SerialNumber",
    "Device.Security.Certificate.{i}.Issuer",
    "Device.Security.Certificate.{i}.NotBefore",
    "Device.Security.Certificate.{i}.NotAfter",
    "Device.Security.Certificate.{i}.Subject",
    "Device.Security.Certificate.{i}.SubjectAlt",
    "Device.LocalAgent.MTP.{i}.!only",
    "-Device.LocalAgent.MTP.{i}.EnableMDNS",
    "Device.LocalAgent.MTP.{i}.WebSocket.",
    "-Device.LocalAgent.MTP.{i}.WebSocket.Interfaces",
    "Device.LocalAgent.MTP.{i}.MQTT.",
    "Device.LocalAgent.MTP.{i}.STOMP.",
    "Device.LocalAgent.Controller.{i}.!only",
    "-Device.LocalAgent.Controller.{i}.Credential",
    "-Device.LocalAgent.Controller.{i}.ScheduleTimer()",
    "-Device.LocalAgent.Controller.{i}.AddMyCertificate()",
    "-Device.LocalAgent.Controller.{i}.Timer!",
    "Device.LocalAgent.Controller.{i}.E2ESession.",
    "Device.LocalAgent.Controller.{i}.MTP.{i}.!only",
    "Device.LocalAgent.Controller.{i}.MTP.{i}.WebSocket.",
    "-Device.LocalAgent.Controller.{i}.MTP.{i}.WebSocket.IsEncrypted",
    "-Device.LocalAgent.Controller.{i}.MTP.{i}.WebSocket.USPServiceRef",
    "Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.",
    "-Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.Reference",
    "-Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.PublishRetainResponse",
    "-Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.PublishRetainNotify",
    "-Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.USPServiceRef",
    "Device.LocalAgent.MTP.{i}.UDS.",
    "Device.LocalAgent.Controller.{i}.MTP.{i}.UDS.",
    "Device.UnixDomainSockets.",
    "Device.USPServices.",
    "-Device.USPServices.USPService.{i}.DeploymentUnitRef",
    "-Device.USPServices.USPService.{i}.ExecutionUnitRef",
    "Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.",
    "-Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.USPServiceRef",
    "Device.STOMP.ConnectionNumberOfEntries",
    "Device.STOMP.Connection.{i}.",
    "-Device.STOMP.Connection.{i}.IsEncrypted",
    "Device.MQTT.ClientNumberOfEntries",
    "Device.MQTT.Client.{i}.Alias",
    "Device.MQTT.Client.{i}.Name",
    "Device.MQTT.Client.{i}.Enable",
    "Device.MQTT.Client.{i}.Status",
    "Device.MQTT.Client.{i}.ProtocolVersion",
    "Device.MQTT.Client.{i}.BrokerAddress",
    "Device.MQTT.Client.{i}.BrokerPort",
    "Device.MQTT.Client.{i}.TransportProtocol",
    "Device.MQTT.Client.{i}.CleanSession",
    "Device.MQTT.Client.{i}.CleanStart",
    "Device.MQTT.Client.{i}.KeepAliveTime",
    "Device.MQTT.Client.{i}.ForceReconnect()",
    "Device.MQTT.Client.{i}.RequestResponseInfo",
    "Device.MQTT.Client.{i}.ClientID",
    "Device.MQTT.Client.{i}.Username",
    "Device.MQTT.Client.{i}.Password",
    "Device.MQTT.Client.{i}.ConnectRetryTime",
    "Device.MQTT.Client.{i}.ConnectRetryIntervalMultiplier",
    "Device.MQTT.Client.{i}.ConnectRetryMaxInterval",
    "Device.MQTT.Client.{i}.ResponseInformation",
    "Device.MQTT.Client.{i}.SubscriptionNumberOfEntries",
    "Device.MQTT.Client.{i}.Subscription.{i}.",
    "-Device.MQTT.Client.{i}.Subscription.{i}.Status",
    "Device.LocalAgent.Controller.{i}.BootParameter.{i}.",
    "Device.LocalAgent.ControllerTrust.UntrustedRole",
    "Device.LocalAgent.ControllerTrust.BannedRole",
    "Device.LocalAgent.ControllerTrust.SecuredRoles",
    "Device.LocalAgent.ControllerTrust.RoleNumberOfEntries",
    "Device.LocalAgent.ControllerTrust.Role.{i}.",
    "Device.LocalAgent.Subscription.{i}.",
    "Device.LocalAgent.Request.{i}.",
];

/// The model of an agent that supports `paths` of TR-181 (as [`Schema::subset`] reads them) besides its own objects.
pub fn model<P: AsRef<str>>(paths: &[P]) -> Result<Arc<Schema>, SchemaError> {
    model_from(Schema::tr181(), paths)
}

/// The same out of another table: TR-181 with vendor objects added by [`Schema::builder`].
pub fn model_from<P: AsRef<str>>(schema: &Schema, paths: &[P]) -> Result<Arc<Schema>, SchemaError> {
    let all: Vec<&str> = OWN
        .iter()
        .copied()
        .chain(paths.iter().map(AsRef::as_ref))
        .collect();
    Ok(Arc::new(schema.subset(&all)?))
}

/// The same with objects of one's own (`Device.X_012345_Meter.`), for devices and USP Services that have some.
pub fn model_with<P: AsRef<str>>(
    paths: &[P],
    objects: impl IntoIterator<Item = dm::ObjectDef>,
) -> Result<Arc<Schema>, SchemaError> {
    let model = model(paths)?;
    let mut builder = Schema::builder()
        .named(model.name().to_owned())
        .include(&model, "Device.")?;
    for object in objects {
        builder = builder.object(object);
    }
    Ok(Arc::new(builder.build()?))
}

/// The same model with everything below `prefixes` read-only, for devices that show and do not configure.
pub fn read_only(schema: &Schema, prefixes: &[&str]) -> Result<Arc<Schema>, SchemaError> {
    let mut builder = Schema::builder().named(schema.name().to_owned());
    for object in schema.objects() {
        let mut object = object.clone();
        if prefixes
            .iter()
            .any(|prefix| object.path.starts_with(prefix))
        {
            object.access = dm::ObjectAccess::ReadOnly;
            object
                .params
                .iter_mut()
                .for_each(|param| param.access = dm::ParamAccess::ReadOnly);
        }
        builder = builder.object(object);
    }
    Ok(Arc::new(builder.build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_has_its_own_objects_and_only_what_it_supports() {
        let model = model(&["Device.DeviceInfo.!only"]).unwrap();
        assert!(
            model
                .object("Device.LocalAgent.Subscription.{i}.")
                .is_some()
        );
        assert!(model.param("Device.DeviceInfo.SerialNumber").is_some());
        assert!(model.object("Device.WiFi.").is_none());
        assert!(model.object("Device.LocalAgent.Threshold.{i}.").is_none());
    }
}
