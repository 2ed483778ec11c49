//! Every method of both sides: one table of names, ages and servers, and the enums over their
//! arguments. The arguments themselves are in the files below, in the standard's order.

mod inform;
mod legacy;
mod parameter;
mod software;
mod transfer;

use std::fmt;

pub use crate::soap::wire::InstanceNumber;
pub use inform::*;
pub use legacy::*;
pub use parameter::*;
pub use software::*;
pub use transfer::*;

use crate::soap::reader::{Element, Reader, Result};
use crate::soap::wire::{IsSecret, Wire};
use crate::soap::writer::Writer;
use crate::version::Version;

/// Who serves a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The ACS.
    Acs,
    /// The CPE.
    Cpe,
    /// Each of them.
    Both,
}

macro_rules! methods {
    ($($variant:ident $request:ident $response:ident $name:literal $since:ident $server:ident)*) => {
        /// A method.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Method { $(#[doc = $name] $variant,)* }

        impl Method {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The name of its response.
            pub const fn response_name(self) -> &'static str {
                match self { $(Self::$variant => concat!($name, "Response"),)* }
            }

            /// The version that brought it.
            pub const fn since(self) -> Version {
                match self { $(Self::$variant => Version::$since,)* }
            }

            /// Who serves it.
            pub const fn server(self) -> Server {
                match self { $(Self::$variant => Server::$server,)* }
            }

            /// Reads a name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            #[cfg(test)]
            pub(crate) fn random(self, random: &mut crate::retry::Random) -> (Request, Response) {
                match self {
                    $(Self::$variant => ($request::random(random).into(), $response::random(random).into()),)*
                }
            }

            pub(crate) fn read_request(self, reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Request> {
                match self { $(Self::$variant => $request::read(reader, element).map(Request::$variant),)* }
            }

            pub(crate) fn read_response(self, reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Response> {
                match self { $(Self::$variant => $response::read(reader, element).map(Response::$variant),)* }
            }
        }

        /// A request, of either side.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Request { $(#[doc = $name] $variant($request),)* }

        /// A response, of either side.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Response { $(#[doc = $name] $variant($response),)* }

        impl Request {
            /// Its method.
            pub const fn method(&self) -> Method {
                match self { $(Self::$variant(_) => Method::$variant,)* }
            }

            pub(crate) fn write(&self, writer: &mut Writer) {
                match self { $(Self::$variant(content) => content.write(concat!("cwmp:", $name), writer),)* }
            }

            pub(crate) fn mask(&mut self, is_secret: IsSecret<'_>) {
                match self { $(Self::$variant(content) => content.mask(is_secret),)* }
            }
        }

        impl Response {
            /// The method that it answers.
            pub const fn method(&self) -> Method {
                match self { $(Self::$variant(_) => Method::$variant,)* }
            }

            pub(crate) fn write(&self, writer: &mut Writer) {
                match self {
                    $(Self::$variant(content) => content.write(concat!("cwmp:", $name, "Response"), writer),)*
                }
            }

            pub(crate) fn mask(&mut self, is_secret: IsSecret<'_>) {
                match self { $(Self::$variant(content) => content.mask(is_secret),)* }
            }
        }

        $(
            impl From<$request> for Request {
                fn from(content: $request) -> Self { Self::$variant(content) }
            }
            impl From<$response> for Response {
                fn from(content: $response) -> Self { Self::$variant(content) }
            }
        )*
    };
}

methods! {
    GetRpcMethods GetRpcMethods GetRpcMethodsResponse "GetRPCMethods" V1_0 Both
    SetParameterValues SetParameterValues SetParameterValuesResponse "SetParameterValues" V1_0 Cpe
    GetParameterValues GetParameterValues GetParameterValuesResponse "GetParameterValues" V1_0 Cpe
    GetParameterNames GetParameterNames GetParameterNamesResponse "GetParameterNames" V1_0 Cpe
    SetParameterAttributes SetParameterAttributes SetParameterAttributesResponse "SetParameterAttributes" V1_0 Cpe
    GetParameterAttributes GetParameterAttributes GetParameterAttributesResponse "GetParameterAttributes" V1_0 Cpe
    AddObject AddObject AddObjectResponse "AddObject" V1_0 Cpe
    DeleteObject DeleteObject DeleteObjectResponse "DeleteObject" V1_0 Cpe
    Download Download DownloadResponse "Download" V1_0 Cpe
    Upload Upload UploadResponse "Upload" V1_0 Cpe
    Reboot Reboot RebootResponse "Reboot" V1_0 Cpe
    FactoryReset FactoryReset FactoryResetResponse "FactoryReset" V1_0 Cpe
    ScheduleInform ScheduleInform ScheduleInformResponse "ScheduleInform" V1_0 Cpe
    ScheduleDownload ScheduleDownload ScheduleDownloadResponse "ScheduleDownload" V1_2 Cpe
    CancelTransfer CancelTransfer CancelTransferResponse "CancelTransfer" V1_2 Cpe
    GetQueuedTransfers GetQueuedTransfers GetQueuedTransfersResponse "GetQueuedTransfers" V1_0 Cpe
    GetAllQueuedTransfers GetAllQueuedTransfers GetAllQueuedTransfersResponse "GetAllQueuedTransfers" V1_1 Cpe
    ChangeDuState ChangeDuState ChangeDuStateResponse "ChangeDUState" V1_2 Cpe
    SetVouchers SetVouchers SetVouchersResponse "SetVouchers" V1_0 Cpe
    GetOptions GetOptions GetOptionsResponse "GetOptions" V1_0 Cpe
    Inform Inform InformResponse "Inform" V1_0 Acs
    TransferComplete TransferComplete TransferCompleteResponse "TransferComplete" V1_0 Acs
    AutonomousTransferComplete AutonomousTransferComplete AutonomousTransferCompleteResponse "AutonomousTransferComplete" V1_1 Acs
    DuStateChangeComplete DuStateChangeComplete DuStateChangeCompleteResponse "DUStateChangeComplete" V1_2 Acs
    AutonomousDuStateChangeComplete AutonomousDuStateChangeComplete AutonomousDuStateChangeCompleteResponse "AutonomousDUStateChangeComplete" V1_2 Acs
    RequestDownload RequestDownload RequestDownloadResponse "RequestDownload" V1_0 Acs
    Kicked Kicked KickedResponse "Kicked" V1_0 Acs
}

impl Method {
    /// Whether an ACS serves it.
    pub const fn is_acs(self) -> bool {
        matches!(self.server(), Server::Acs | Server::Both)
    }

    /// Whether a CPE serves it.
    pub const fn is_cpe(self) -> bool {
        matches!(self.server(), Server::Cpe | Server::Both)
    }

    /// Whether asking twice does what asking once does. A Download, Reboot or AddObject whose
    /// answer is lost must not be sent again without looking.
    pub const fn is_repeatable(self) -> bool {
        matches!(
            self,
            Self::GetRpcMethods
                | Self::SetParameterValues
                | Self::GetParameterValues
                | Self::GetParameterNames
                | Self::SetParameterAttributes
                | Self::GetParameterAttributes
                | Self::GetQueuedTransfers
                | Self::GetAllQueuedTransfers
                | Self::GetOptions
        )
    }
}

impl Request {
    /// What nobody may see of it: passwords, and the values of parameters that `is_secret` says of
    /// their names. A device may repeat them in what it says later.
    pub fn secrets(&self, is_secret: &dyn Fn(&str) -> bool) -> Vec<&str> {
        match self {
            Self::SetParameterValues(set) => {
                let secret = set.parameters.iter().filter(|at| is_secret(&at.name));
                secret.map(|at| at.value.text.as_str()).collect()
            }
            Self::Download(download) => vec![&download.password.0],
            Self::Upload(upload) => vec![&upload.password.0],
            Self::ScheduleDownload(download) => vec![&download.password.0],
            Self::ChangeDuState(change) => {
                let passwords = change
                    .operations
                    .iter()
                    .filter_map(|operation| match operation {
                        DuOperation::Install(install) => install.password.as_ref(),
                        DuOperation::Update(update) => update.password.as_ref(),
                        DuOperation::Uninstall(_) => None,
                    });
                passwords.map(|password| password.0.as_str()).collect()
            }
            _ => vec![],
        }
    }
}

impl Response {
    /// The response of an ACS to a method that asks for nothing but to be heard.
    pub fn acknowledgement(method: Method) -> Option<Self> {
        Some(match method {
            Method::Inform => InformResponse { max_envelopes: 1 }.into(),
            Method::TransferComplete => TransferCompleteResponse {}.into(),
            Method::AutonomousTransferComplete => AutonomousTransferCompleteResponse {}.into(),
            Method::DuStateChangeComplete => DuStateChangeCompleteResponse {}.into(),
            Method::AutonomousDuStateChangeComplete => {
                AutonomousDuStateChangeCompleteResponse {}.into()
            }
            Method::RequestDownload => RequestDownloadResponse {}.into(),
            _ => return None,
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fault::Fault;
    use crate::retry::Random;
    use crate::soap::{Body, Booleans, Envelope, Header, Oddities, decode, encode};

    fn survives(envelope: &Envelope, booleans: Booleans) {
        let text = encode(envelope, booleans);
        let mut again = decode(text.as_bytes(), Some(crate::soap::CONTENT_TYPE)).unwrap();
        // What was left out is noted by who reads it.
        for odd in [Oddities::NO_RESULT, Oddities::NO_TIMES] {
            again.oddities.remove(odd);
        }
        assert_eq!(&again, envelope, "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn every_message_of_every_method_survives_the_wire(seed: u64) {
            let mut random = Random(seed);
            for method in Method::ALL {
                let (request, response) = method.random(&mut random);
                prop_assert_eq!((request.method(), response.method()), (*method, *method));
                let namespace = method.since().namespace();
                for body in [Body::Request(request), Body::Response(response)] {
                    survives(&Envelope::new(namespace, "1", body.clone()), Booleans::Digits);
                    survives(&Envelope::new(namespace, "1", body), Booleans::Words);
                }
            }
        }

        #[test]
        fn faults_and_headers_survive_the_wire(seed: u64) {
            let mut random = Random(seed);
            let fault = Fault {
                code: Wire::random(&mut random),
                text: Wire::random(&mut random),
                parameters: (0..random.next() % 3).map(|_| Wire::random(&mut random)).collect(),
                not_understood: random.next() & 1 == 1,
            };
            let mut envelope = Envelope::new(Version::V1_4.namespace(), "1", fault);
            envelope.header = Header {
                id: format!("i{}", String::random(&mut random)),
                hold_requests: Wire::random(&mut random),
                session_timeout: Wire::random(&mut random),
                supported_versions: Wire::random(&mut random),
                use_version: Wire::random(&mut random),
                no_more_requests: Wire::random(&mut random),
            };
            survives(&envelope, Booleans::Digits);
        }

        #[test]
        fn no_secret_is_left_under_the_masks(seed: u64) {
            let mut random = Random(seed);
            let all = |_: &str| true;
            for method in [Method::Download, Method::ChangeDuState, Method::SetParameterValues] {
                let (request, _) = method.random(&mut random);
                let shown = encode(&Envelope::new(Default::default(), "1", request).masked(&all), Booleans::Digits);
                // Masked once or twice is the same.
                let again = decode(shown.as_bytes(), None).unwrap();
                prop_assert_eq!(encode(&again.masked(&all), Booleans::Digits), shown);
            }
        }
    }

    #[test]
    fn names_are_read_and_only_acss_and_cpes_serve() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.name()), Some(*method));
            assert!(method.is_acs() || method.is_cpe());
            assert_eq!(method.response_name(), format!("{method}Response"));
        }
        assert_eq!(Method::parse("inform"), None);
        assert!(Method::GetRpcMethods.is_acs() && Method::GetRpcMethods.is_cpe());
        assert!(!Method::AddObject.is_repeatable() && Method::GetParameterValues.is_repeatable());
    }
}
