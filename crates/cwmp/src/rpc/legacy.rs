//! Methods that the standard has given up and that old devices still know.

use crate::soap::wire::{items, message};
use crate::value::{Timestamp, Url};

message! {
    /// Asks which transfers wait (before 1.1; see `GetAllQueuedTransfers`).
    GetQueuedTransfers {}
}

message! {
    /// The transfers that wait.
    GetQueuedTransfersResponse {
        /// At most 16.
        transfers: Vec<QueuedTransferStruct> = "TransferList",
    }
}

message! {
    /// A transfer that waits.
    QueuedTransferStruct {
        /// The transfer.
        command_key: String = "CommandKey",
        /// 1 not begun, 2 in progress, 3 done.
        state: u32 = "State",
    }
}

message! {
    /// Enables options by signed vouchers.
    SetVouchers {
        /// The vouchers, in base64.
        vouchers: Vec<Voucher> = "VoucherList",
    }
}

/// A signed voucher, in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voucher(pub String);

impl crate::soap::wire::Wire for Voucher {
    fn read(
        reader: &mut crate::soap::reader::Reader<'_>,
        element: &crate::soap::reader::Element<'_>,
    ) -> crate::soap::reader::Result<Self> {
        crate::soap::wire::Wire::read(reader, element).map(Self)
    }

    fn write(&self, tag: &str, writer: &mut crate::soap::writer::Writer) {
        writer.element(tag, "", &self.0);
    }

    #[cfg(test)]
    fn random(random: &mut crate::retry::Random) -> Self {
        Self(crate::soap::wire::Wire::random(random))
    }
}

impl crate::soap::wire::Item for Voucher {
    const TAG: &str = "base64";
    const TYPE: &str = "xsd:base64";
}

message! {
    /// The vouchers are taken.
    SetVouchersResponse {}
}

message! {
    /// Asks about options.
    GetOptions {
        /// Which; empty for all.
        option_name: String = "OptionName",
    }
}

message! {
    /// Options.
    GetOptionsResponse {
        /// They.
        options: Vec<OptionStruct> = "OptionList",
    }
}

message! {
    /// One option.
    OptionStruct {
        /// Its name.
        option_name: String = "OptionName",
        /// The serial number of its voucher.
        voucher_sn: u64 = "VoucherSN",
        /// 0 disabled, 1 enabled, 2 enabled and set up.
        state: u32 = "State",
        /// 0 disabled, 1 enabled until the expiration, 2 without end.
        mode: u32 = "Mode",
        /// From when on.
        start_date: Timestamp = "StartDate",
        /// Until when, in mode 1.
        expiration_date: Timestamp = "ExpirationDate",
        /// Whether it may go to another device.
        is_transferable: bool = "IsTransferable",
    }
}

message! {
    /// A user came by the redirection of a web page.
    Kicked {
        /// What the page asked for.
        command: String = "Command",
        /// The page.
        referer: String = "Referer",
        /// What else the page said.
        arg: String = "Arg",
        /// Where the user shall go.
        next: Url = "Next",
    }
}

message! {
    /// Where the user shall go.
    KickedResponse {
        /// There.
        next_url: Url = "NextURL",
    }
}

items! { QueuedTransferStruct OptionStruct }
