//! Which transfers and changes that the ACS did not ask for are reported to it
//! (`AutonomousTransferCompletePolicy`, `DUStateChangeComplPolicy`). What it asked for always is: a
//! transfer whose response had status 0 by that response, any other by a TransferComplete.
//! Deliberately no parameters: the caller has them, and makes a policy of them.

use crate::rpc::{
    AutonOpResultStruct, AutonomousDuStateChangeComplete, AutonomousTransferComplete,
};

/// Whether a report depends on how it went (`ResultTypeFilter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Results {
    /// It does not.
    #[default]
    Both,
    /// Only what went well.
    Success,
    /// Only what failed.
    Failure,
}

impl Results {
    /// Reads the parameter; what is none of the values is as if it were not set.
    pub fn parse(text: &str) -> Self {
        match text {
            "Success" => Self::Success,
            "Failure" => Self::Failure,
            _ => Self::Both,
        }
    }

    fn has(self, failed: bool) -> bool {
        match self {
            Self::Both => true,
            Self::Success => !failed,
            Self::Failure => failed,
        }
    }
}

/// Which way a transfer goes (`TransferTypeFilter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfers {
    /// Either.
    #[default]
    Both,
    /// To the CPE.
    Download,
    /// From the CPE.
    Upload,
}

impl Transfers {
    /// Reads the parameter; what is none of the values is as if it were not set.
    pub fn parse(text: &str) -> Self {
        match text {
            "Download" => Self::Download,
            "Upload" => Self::Upload,
            _ => Self::Both,
        }
    }
}

/// Which autonomous transfers are reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferPolicy {
    /// Whether any is; off by default.
    pub enable: bool,
    /// Which way.
    pub transfers: Transfers,
    /// With which result.
    pub results: Results,
    /// Of which file types; all when empty.
    pub file_types: Vec<String>,
}

impl TransferPolicy {
    /// Whether this one is.
    pub fn reports(&self, transfer: &AutonomousTransferComplete) -> bool {
        let way = match self.transfers {
            Transfers::Both => true,
            Transfers::Download => transfer.is_download,
            Transfers::Upload => !transfer.is_download,
        };
        self.enable
            && way
            && self.results.has(
                transfer
                    .fault
                    .as_ref()
                    .is_some_and(|fault| fault.failure().is_some()),
            )
            && listed(&self.file_types, |known| *known == transfer.file_type)
    }
}

/// Which autonomous changes of deployment units are reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuPolicy {
    /// Whether any is; off by default.
    pub enable: bool,
    /// Which of `Install`, `Update` and `Uninstall`; all when empty.
    pub operations: Vec<String>,
    /// With which result.
    pub results: Results,
    /// Failed with which codes; any when empty.
    pub fault_codes: Vec<u32>,
}

impl DuPolicy {
    /// What is left to report; `None` when nothing is.
    pub fn filter(
        &self,
        mut change: AutonomousDuStateChangeComplete,
    ) -> Option<AutonomousDuStateChangeComplete> {
        change.results.retain(|result| self.reports(result));
        (!change.results.is_empty()).then_some(change)
    }

    fn reports(&self, result: &AutonOpResultStruct) -> bool {
        let failure = result.fault.failure();
        self.enable
            && self.results.has(failure.is_some())
            && listed(&self.operations, |known| {
                *known == result.operation_performed
            })
            && failure.is_none_or(|code| listed(&self.fault_codes, |known| *known == code.0))
    }
}

fn listed<T>(list: &[T], is: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultCode;
    use crate::rpc::FaultStruct;

    fn fault(code: u32) -> FaultStruct {
        FaultStruct::new(FaultCode(code), "")
    }

    #[test]
    fn transfers_are_reported_as_the_policy_says() {
        let transfer = |is_download, code| AutonomousTransferComplete {
            is_download,
            file_type: "1 Firmware Upgrade Image".into(),
            fault: Some(fault(code)),
            ..AutonomousTransferComplete::default()
        };
        let mut policy = TransferPolicy::default();
        assert!(!policy.reports(&transfer(true, 0)));
        policy.enable = true;
        assert!(policy.reports(&transfer(true, 0)) && policy.reports(&transfer(false, 9010)));
        policy.transfers = Transfers::parse("Upload");
        assert!(!policy.reports(&transfer(true, 0)) && policy.reports(&transfer(false, 0)));
        policy.results = Results::parse("Failure");
        assert!(!policy.reports(&transfer(false, 0)) && policy.reports(&transfer(false, 9010)));
        policy.file_types = vec!["3 Vendor Configuration File".into()];
        assert!(!policy.reports(&transfer(false, 9010)));
        assert_eq!(
            (Transfers::parse("x"), Results::parse("")),
            (Transfers::Both, Results::Both)
        );
        assert!(Results::parse("Success").has(false) && !Results::Success.has(true));
        assert_eq!(Transfers::parse("Download"), Transfers::Download);
    }

    #[test]
    fn changes_are_reported_one_by_one() {
        let result = |operation: &str, code| AutonOpResultStruct {
            operation_performed: operation.into(),
            fault: fault(code),
            ..AutonOpResultStruct::default()
        };
        let change = AutonomousDuStateChangeComplete {
            results: vec![
                result("Install", 0),
                result("Install", 9018),
                result("Update", 9016),
            ],
        };
        let left = |policy: &DuPolicy| {
            policy
                .filter(change.clone())
                .map_or(0, |change| change.results.len())
        };
        let mut policy = DuPolicy::default();
        assert_eq!(left(&policy), 0);
        policy.enable = true;
        assert_eq!(left(&policy), 3);
        policy.fault_codes = vec![9016];
        assert_eq!(left(&policy), 2);
        policy.operations = vec!["Update".into()];
        assert_eq!(left(&policy), 1);
        policy.results = Results::Success;
        assert_eq!(left(&policy), 0);
    }
}
