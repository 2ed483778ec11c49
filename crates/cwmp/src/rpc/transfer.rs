//! Files to and from a CPE, and what else happens after the session: reboots and scheduled informs.

use crate::fault::FaultCode;
use crate::soap::wire::{items, message};
use crate::value::{Secret, Timestamp, Url};

message! {
    /// Has the CPE fetch a file.
    Download {
        /// Names the transfer in TransferComplete and `M Download`.
        command_key: String = "CommandKey",
        /// `1 Firmware Upgrade Image`, `3 Vendor Configuration File`, ...
        file_type: String = "FileType",
        /// Where; without user information.
        url: Url = "URL",
        /// For the file server; empty for none.
        username: String = "Username",
        /// For the file server.
        password: Secret = "Password",
        /// Bytes; 0 when not known.
        file_size: u64 = "FileSize",
        /// The name in the CPE; usually empty.
        target_file_name: String = "TargetFileName",
        /// Seconds to wait; 0 is as soon as possible.
        delay_seconds: u32 = "DelaySeconds",
        /// Where to send the user afterwards; usually empty.
        success_url: Url = "SuccessURL",
        /// The same when it fails.
        failure_url: Url = "FailureURL",
    }
}

message! {
    /// A download is over or taken on.
    DownloadResponse {
        /// 0: over, and no TransferComplete comes. 1: a TransferComplete will come.
        status: u32 = "Status",
        /// When it began; unknown with status 1.
        start_time: Timestamp = "StartTime",
        /// When it ended; unknown with status 1.
        complete_time: Timestamp = "CompleteTime",
    }
}

message! {
    /// Has the CPE store a file.
    Upload {
        /// Names the transfer in TransferComplete and `M Upload`.
        command_key: String = "CommandKey",
        /// `3 Vendor Configuration File 1`, `4 Vendor Log File 1`, ...
        file_type: String = "FileType",
        /// Where; without user information.
        url: Url = "URL",
        /// For the file server; empty for none.
        username: String = "Username",
        /// For the file server.
        password: Secret = "Password",
        /// Seconds to wait; 0 is as soon as possible.
        delay_seconds: u32 = "DelaySeconds",
    }
}

message! {
    /// An upload is over or taken on.
    UploadResponse {
        /// As in [`DownloadResponse`].
        status: u32 = "Status",
        /// When it began; unknown with status 1.
        start_time: Timestamp = "StartTime",
        /// When it ended; unknown with status 1.
        complete_time: Timestamp = "CompleteTime",
    }
}

message! {
    /// Has the CPE fetch a file within time windows.
    ScheduleDownload {
        /// Names the transfer in TransferComplete and `M ScheduleDownload`.
        command_key: String = "CommandKey",
        /// As in [`Download`].
        file_type: String = "FileType",
        /// Where; without user information.
        url: Url = "URL",
        /// For the file server; empty for none.
        username: String = "Username",
        /// For the file server.
        password: Secret = "Password",
        /// Bytes; 0 when not known.
        file_size: u64 = "FileSize",
        /// The name in the CPE; usually empty.
        target_file_name: String = "TargetFileName",
        /// One or two windows, in order and apart.
        windows: Vec<TimeWindowStruct> = "TimeWindowList",
    }
}

message! {
    /// A time in which a download may run.
    TimeWindowStruct {
        /// Seconds from now.
        start: u32 = "WindowStart",
        /// Seconds from now.
        end: u32 = "WindowEnd",
        /// `1 At Any Time`, `2 Immediately`, `3 When Idle`, `4 Confirmation Needed`.
        mode: String = "WindowMode",
        /// For the user who is asked.
        user_message: String = "UserMessage",
        /// How often; negative means as often as the CPE likes.
        max_retries: Retries = "MaxRetries",
    }
}

/// A number of retries, of which -1 is the CPE's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retries(pub i32);

impl crate::soap::wire::Wire for Retries {
    fn read(
        reader: &mut crate::soap::reader::Reader<'_>,
        _: &crate::soap::reader::Element<'_>,
    ) -> crate::soap::reader::Result<Self> {
        Ok(Self(reader.text()?.trim().parse().unwrap_or(-1)))
    }

    fn write(&self, tag: &str, writer: &mut crate::soap::writer::Writer) {
        writer.element(tag, "", &self.0.to_string());
    }

    #[cfg(test)]
    fn random(random: &mut crate::retry::Random) -> Self {
        Self(random.next() as i32)
    }
}

message! {
    /// A download is scheduled.
    ScheduleDownloadResponse {}
}

message! {
    /// Gives up a transfer.
    CancelTransfer {
        /// The transfer.
        command_key: String = "CommandKey",
    }
}

message! {
    /// A transfer is given up, or there was none.
    CancelTransferResponse {}
}

message! {
    /// A transfer is over.
    TransferComplete {
        /// The transfer.
        command_key: String = "CommandKey",
        /// How it went, unless it does not say: see [`FaultStruct::code`].
        fault: Option<FaultStruct> = "FaultStruct",
        /// When it began, if it says so.
        start_time: Option<Timestamp> = "StartTime",
        /// When it ended, if it says so.
        complete_time: Option<Timestamp> = "CompleteTime",
    }
}

message! {
    /// The ACS knows.
    TransferCompleteResponse {}
}

message! {
    /// A fault inside a message that is none itself.
    FaultStruct {
        /// 0 is none: it went well. Without a code nothing is said of that.
        code: Option<FaultCode> = "FaultCode",
        /// In the device's words.
        text: String = "FaultString",
    }
}

impl FaultStruct {
    /// With this code, in these words.
    pub fn new(code: FaultCode, text: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            text: text.into(),
        }
    }

    /// What went wrong, if it says that something did.
    pub fn failure(&self) -> Option<FaultCode> {
        self.code.filter(|code| !code.is_none())
    }
}

impl TransferComplete {
    /// Whether it says how the transfer went, as it has to.
    pub fn says_how(&self) -> bool {
        says_how(&self.fault)
    }
}

impl AutonomousTransferComplete {
    /// Whether it says how the transfer went, as it has to.
    pub fn says_how(&self) -> bool {
        says_how(&self.fault)
    }
}

fn says_how(fault: &Option<FaultStruct>) -> bool {
    fault.as_ref().is_some_and(|fault| fault.code.is_some())
}

message! {
    /// A transfer that the ACS did not ask for is over.
    AutonomousTransferComplete {
        /// Where the CPE heard of the file.
        announce_url: Url = "AnnounceURL",
        /// Where the file was.
        transfer_url: Url = "TransferURL",
        /// Whether it came to the CPE.
        is_download: bool = "IsDownload",
        /// As in [`Download`].
        file_type: String = "FileType",
        /// Bytes.
        file_size: u64 = "FileSize",
        /// The name in the CPE.
        target_file_name: String = "TargetFileName",
        /// How it went, unless it does not say: see [`FaultStruct::code`].
        fault: Option<FaultStruct> = "FaultStruct",
        /// When it began, if it says so.
        start_time: Option<Timestamp> = "StartTime",
        /// When it ended, if it says so.
        complete_time: Option<Timestamp> = "CompleteTime",
    }
}

message! {
    /// The ACS knows.
    AutonomousTransferCompleteResponse {}
}

message! {
    /// Asks the ACS for a Download.
    RequestDownload {
        /// As in [`Download`].
        file_type: String = "FileType",
        /// Which one, at most 16.
        arguments: Vec<ArgStruct> = "FileTypeArg",
    }
}

message! {
    /// One argument of a [`RequestDownload`].
    ArgStruct {
        /// Its name.
        name: String = "Name",
        /// Its value.
        value: String = "Value",
    }
}

message! {
    /// The ACS has heard it; a Download may follow.
    RequestDownloadResponse {}
}

message! {
    /// Asks which transfers wait (any version).
    GetAllQueuedTransfers {}
}

message! {
    /// The transfers that wait.
    GetAllQueuedTransfersResponse {
        /// At most 16.
        transfers: Vec<AllQueuedTransferStruct> = "TransferList",
    }
}

message! {
    /// A transfer that waits.
    AllQueuedTransferStruct {
        /// The transfer.
        command_key: String = "CommandKey",
        /// 1 not begun, 2 in progress, 3 done.
        state: u32 = "State",
        /// Whether it comes to the CPE.
        is_download: bool = "IsDownload",
        /// As in [`Download`].
        file_type: String = "FileType",
        /// Bytes.
        file_size: u64 = "FileSize",
        /// The name in the CPE.
        target_file_name: String = "TargetFileName",
    }
}

message! {
    /// Has the CPE restart after the session.
    Reboot {
        /// Comes back in `M Reboot`.
        command_key: String = "CommandKey",
    }
}

message! {
    /// The CPE will restart.
    RebootResponse {}
}

message! {
    /// Has the CPE forget everything after the session.
    FactoryReset {}
}

message! {
    /// The CPE will forget everything.
    FactoryResetResponse {}
}

message! {
    /// Has the CPE open a session later.
    ScheduleInform {
        /// Seconds, at least 1.
        delay_seconds: u32 = "DelaySeconds",
        /// Comes back in `M ScheduleInform`.
        command_key: String = "CommandKey",
    }
}

message! {
    /// The CPE will.
    ScheduleInformResponse {}
}

items! { TimeWindowStruct AllQueuedTransferStruct ArgStruct }
