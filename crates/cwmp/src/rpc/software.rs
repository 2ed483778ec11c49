//! Software modules.

use crate::soap::reader::{Element, Reader, Result};
use crate::soap::wire::{IsSecret, Item, Wire, items, message};
use crate::soap::writer::Writer;
use crate::value::{Secret, Timestamp, Url};

use super::FaultStruct;

message! {
    /// Installs, updates and removes deployment units, one after the other.
    ChangeDuState {
        /// What to do.
        operations: Vec<DuOperation> = "Operations",
        /// Comes back in DUStateChangeComplete and `M ChangeDUState`.
        command_key: String = "CommandKey",
    }
}

message! {
    /// The CPE will; the results come in a DUStateChangeComplete.
    ChangeDuStateResponse {}
}

/// One thing to do with deployment units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DuOperation {
    /// Install one.
    Install(InstallOpStruct),
    /// Update one, some, or all.
    Update(UpdateOpStruct),
    /// Remove one.
    Uninstall(UninstallOpStruct),
}

message! {
    /// Installs a deployment unit.
    InstallOpStruct {
        /// Where it is.
        url: Url = "URL",
        /// Its UUID; the CPE makes one when absent.
        uuid: Option<String> = "UUID",
        /// For the file server.
        username: Option<String> = "Username",
        /// For the file server.
        password: Option<Secret> = "Password",
        /// A path to an execution environment; the CPE chooses when absent.
        execution_env_ref: Option<String> = "ExecutionEnvRef",
    }
}

message! {
    /// Updates deployment units: those with the UUID, those from the URL, or all.
    UpdateOpStruct {
        /// Which.
        uuid: Option<String> = "UUID",
        /// Which version.
        version: Option<String> = "Version",
        /// Where the new one is.
        url: Option<Url> = "URL",
        /// For the file server.
        username: Option<String> = "Username",
        /// For the file server.
        password: Option<Secret> = "Password",
    }
}

message! {
    /// Removes a deployment unit.
    UninstallOpStruct {
        /// Which.
        uuid: String = "UUID",
        /// Which version; all when absent.
        version: Option<String> = "Version",
        /// From which execution environment; all when absent.
        execution_env_ref: Option<String> = "ExecutionEnvRef",
    }
}

/// The type stands in `xsi:type` for some, in the element's name for others; we write both.
impl Wire for DuOperation {
    fn read(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Self> {
        let named = element.qualified("type");
        let kind = match &named {
            Some(name) => name.rsplit(':').next().unwrap_or_default(),
            None => element.local(),
        };
        Ok(match kind {
            "UpdateOpStruct" => Self::Update(Wire::read(reader, element)?),
            "UninstallOpStruct" => Self::Uninstall(Wire::read(reader, element)?),
            _ => Self::Install(Wire::read(reader, element)?),
        })
    }

    fn write(&self, _: &str, writer: &mut Writer) {
        // The attribute belongs to the tag that opens, not to the one that closes.
        match self {
            Self::Install(op) => typed("InstallOpStruct", writer, |w| op.write_fields(w)),
            Self::Update(op) => typed("UpdateOpStruct", writer, |w| op.write_fields(w)),
            Self::Uninstall(op) => typed("UninstallOpStruct", writer, |w| op.write_fields(w)),
        }
    }

    fn mask(&mut self, is_secret: IsSecret<'_>) {
        match self {
            Self::Install(op) => op.mask(is_secret),
            Self::Update(op) => op.mask(is_secret),
            Self::Uninstall(op) => op.mask(is_secret),
        }
    }

    #[cfg(test)]
    fn random(random: &mut crate::retry::Random) -> Self {
        match random.next() % 3 {
            0 => Self::Install(Wire::random(random)),
            1 => Self::Update(Wire::random(random)),
            _ => Self::Uninstall(Wire::random(random)),
        }
    }
}

fn typed(name: &str, writer: &mut Writer, fields: impl FnOnce(&mut Writer)) {
    writer.open(name, &format!(" xsi:type=\"cwmp:{name}\""));
    fields(writer);
    writer.close(name);
}

impl Item for DuOperation {
    const TAG: &str = "OperationStruct";
    const TYPE: &str = "cwmp:OperationStruct";
}

message! {
    /// A ChangeDUState is over.
    DuStateChangeComplete {
        /// One for each deployment unit concerned.
        results: Vec<OpResultStruct> = "Results",
        /// The request.
        command_key: String = "CommandKey",
    }
}

message! {
    /// The ACS knows.
    DuStateChangeCompleteResponse {}
}

message! {
    /// How it went with one deployment unit.
    OpResultStruct {
        /// Which.
        uuid: String = "UUID",
        /// Its path; empty when removed or never there.
        deployment_unit_ref: String = "DeploymentUnitRef",
        /// Its version.
        version: String = "Version",
        /// `Installed`, `Uninstalled` or `Failed`.
        current_state: String = "CurrentState",
        /// Whether it has all that it depends on.
        resolved: bool = "Resolved",
        /// Paths of its execution units, separated by commas.
        execution_unit_ref_list: String = "ExecutionUnitRefList",
        /// When it began.
        start_time: Timestamp = "StartTime",
        /// When it ended.
        complete_time: Timestamp = "CompleteTime",
        /// How it went; code 0 is well.
        fault: FaultStruct = "Fault",
    }
}

message! {
    /// Deployment units have changed without the ACS.
    AutonomousDuStateChangeComplete {
        /// One for each.
        results: Vec<AutonOpResultStruct> = "Results",
    }
}

message! {
    /// The ACS knows.
    AutonomousDuStateChangeCompleteResponse {}
}

message! {
    /// What happened to one deployment unit.
    AutonOpResultStruct {
        /// Which.
        uuid: String = "UUID",
        /// Its path.
        deployment_unit_ref: String = "DeploymentUnitRef",
        /// Its version.
        version: String = "Version",
        /// `Installed`, `Uninstalled` or `Failed`.
        current_state: String = "CurrentState",
        /// Whether it has all that it depends on.
        resolved: bool = "Resolved",
        /// Paths of its execution units, separated by commas.
        execution_unit_ref_list: String = "ExecutionUnitRefList",
        /// When it began.
        start_time: Timestamp = "StartTime",
        /// When it ended.
        complete_time: Timestamp = "CompleteTime",
        /// How it went; code 0 is well.
        fault: FaultStruct = "Fault",
        /// `Install`, `Update` or `Uninstall`.
        operation_performed: String = "OperationPerformed",
    }
}

items! { OpResultStruct AutonOpResultStruct }
