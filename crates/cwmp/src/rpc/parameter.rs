//! Reading and writing the data model.

use std::fmt;

use crate::soap::wire::{self, Wire, items, message};
use crate::transcript::is_secret_name;
use crate::value::{MASK, Value};

use super::InstanceNumber;

/// A parameter and its value. Its `Debug` does not show what is a secret by its name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ParameterValue {
    /// The full path.
    pub name: String,
    /// Its value.
    pub value: Value,
}

impl ParameterValue {
    /// A parameter and its value.
    pub fn new(name: impl Into<String>, value: Value) -> Self {
        let name = name.into();
        Self { name, value }
    }
}

impl fmt::Debug for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Value { base, text } = &self.value;
        match text.is_empty() || !is_secret_name(&self.name) {
            true => write!(f, "{}: {base:?} = {text:?}", self.name),
            false => write!(f, "{}: {base:?} = {MASK}", self.name),
        }
    }
}

impl Wire for ParameterValue {
    fn read(
        reader: &mut crate::soap::reader::Reader<'_>,
        _: &crate::soap::reader::Element<'_>,
    ) -> crate::soap::reader::Result<Self> {
        let mut out = Self::default();
        while let Some(element) = reader.argument()? {
            match element.local() {
                "Name" => out.name = Wire::read(reader, &element)?,
                "Value" => out.value = Wire::read(reader, &element)?,
                _ => reader.unknown()?,
            }
        }
        Ok(out)
    }

    fn write(&self, tag: &str, writer: &mut crate::soap::writer::Writer) {
        writer.open(tag, "");
        self.name.write("Name", writer);
        self.value.write("Value", writer);
        writer.close(tag);
    }

    fn mask(&mut self, is_secret: wire::IsSecret<'_>) {
        if !self.value.text.is_empty() && is_secret(&self.name) {
            self.value.text = MASK.to_owned();
        }
    }

    #[cfg(test)]
    fn random(random: &mut crate::retry::Random) -> Self {
        Self {
            name: Wire::random(random),
            value: Wire::random(random),
        }
    }
}

impl wire::Item for ParameterValue {
    const TAG: &str = "ParameterValueStruct";
    const TYPE: &str = "cwmp:ParameterValueStruct";
    const MAX: (&'static str, usize) = wire::ANY;
}

message! {
    /// Changes values, all or none.
    SetParameterValues {
        /// The changes; each parameter once.
        parameters: Vec<ParameterValue> = "ParameterList",
        /// What ManagementServer.ParameterKey shall be afterwards.
        parameter_key: String = "ParameterKey",
    }
}

message! {
    /// All values are changed.
    SetParameterValuesResponse {
        /// 0: in force. 1: stored, in force after a reboot or later.
        status: u32 = "Status",
    }
}

message! {
    /// Asks for values.
    GetParameterValues {
        /// Full paths, or partial ones ending in a dot; an empty one is the whole tree.
        names: Vec<String> = "ParameterNames",
    }
}

message! {
    /// Values.
    GetParameterValuesResponse {
        /// The values, in any order.
        parameters: Vec<ParameterValue> = "ParameterList",
    }
}

message! {
    /// Asks which parameters and objects there are.
    GetParameterNames {
        /// A full path, or a partial one ending in a dot; empty for the whole tree.
        path: String = "ParameterPath",
        /// Only what is directly below, and not the path itself.
        next_level: bool = "NextLevel",
    }
}

message! {
    /// Parameters and objects.
    GetParameterNamesResponse {
        /// They, in any order.
        parameters: Vec<ParameterInfoStruct> = "ParameterList",
    }
}

message! {
    /// A parameter, or an object when the name ends in a dot.
    ParameterInfoStruct {
        /// The full path.
        name: String = "Name",
        /// Whether values can be set, instances added, or the instance deleted.
        writable: bool = "Writable",
    }
}

message! {
    /// Changes notification and access.
    SetParameterAttributes {
        /// The changes; a partial path means everything below.
        parameters: Vec<SetParameterAttributesStruct> = "ParameterList",
    }
}

message! {
    /// The change for one path.
    SetParameterAttributesStruct {
        /// A full or partial path.
        name: String = "Name",
        /// Whether `notification` counts.
        notification_change: bool = "NotificationChange",
        /// 0 off, 1 passive, 2 active, 3 to 6 with lightweight notification (1.4).
        notification: u32 = "Notification",
        /// Whether `access_list` counts.
        access_list_change: bool = "AccessListChange",
        /// Who but the ACS may write.
        access_list: Vec<String> = "AccessList",
    }
}

message! {
    /// Notification and access are changed.
    SetParameterAttributesResponse {}
}

message! {
    /// Asks for notification and access.
    GetParameterAttributes {
        /// As in [`GetParameterValues`].
        names: Vec<String> = "ParameterNames",
    }
}

message! {
    /// Notification and access.
    GetParameterAttributesResponse {
        /// By parameter.
        parameters: Vec<ParameterAttributeStruct> = "ParameterList",
    }
}

message! {
    /// Notification and access of one parameter.
    ParameterAttributeStruct {
        /// The full path.
        name: String = "Name",
        /// As in [`SetParameterAttributesStruct`].
        notification: u32 = "Notification",
        /// Who but the ACS may write.
        access_list: Vec<String> = "AccessList",
    }
}

message! {
    /// Makes an instance.
    AddObject {
        /// The table, ending in a dot; or with `[alias].` for a name.
        object_name: String = "ObjectName",
        /// What ManagementServer.ParameterKey shall be afterwards.
        parameter_key: String = "ParameterKey",
    }
}

message! {
    /// An instance is made.
    AddObjectResponse {
        /// Its number, never 0.
        instance_number: InstanceNumber = "InstanceNumber",
        /// As in [`SetParameterValuesResponse`].
        status: u32 = "Status",
    }
}

message! {
    /// Removes an instance and all below.
    DeleteObject {
        /// The instance, ending in a dot.
        object_name: String = "ObjectName",
        /// What ManagementServer.ParameterKey shall be afterwards.
        parameter_key: String = "ParameterKey",
    }
}

message! {
    /// An instance is removed.
    DeleteObjectResponse {
        /// As in [`SetParameterValuesResponse`].
        status: u32 = "Status",
    }
}

items! { any number of: ParameterInfoStruct SetParameterAttributesStruct ParameterAttributeStruct }
