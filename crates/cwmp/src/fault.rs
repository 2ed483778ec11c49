//! Fault codes in one table, with what they mean for trying again, and faults as they travel.
//! Deliberately no policy: batch sizes and counters are the caller's.

use std::fmt;

use crate::limits::FAULT_WORDS_BYTES_MAX;
use crate::transcript::is_secret_name;
use crate::value::MASK;

/// What a fault means for the request that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The same request will fail again: a person or a plan has to change it.
    No,
    /// The peer does not have the method; remember it and do without.
    MethodAbsent,
    /// The same request may succeed after a wait.
    Later,
    /// The same in smaller pieces; after a wait when it cannot be cut.
    Smaller,
    /// A name does not exist: what was known of it is outdated. Leave it out and go on.
    ForgetName,
    /// The same message again at once.
    Again,
}

/// A fault code. Unknown ones are kept; zero stands for no fault, and for a SOAP fault without one.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultCode(pub u32);

macro_rules! codes {
    ($($name:ident $code:literal $retry:ident $text:literal)*) => {
        impl FaultCode {
            $(#[doc = $text] pub const $name: Self = Self($code);)*

            /// The standard's name for a code.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)*
                    8800..=8899 | 9800..=9899 => Some("Defined by the vendor"),
                    _ => None,
                }
            }

            /// What it means for the request that it answers.
            pub fn retry(self) -> Retry {
                match self.0 {
                    $($code => Retry::$retry,)*
                    _ => Retry::No,
                }
            }
        }

        #[cfg(test)]
        const NAMED: &[(FaultCode, &str)] = &[$((FaultCode::$name, $text),)*];
    };
}

codes! {
    ACS_METHOD_NOT_SUPPORTED 8000 MethodAbsent "Method not supported"
    ACS_REQUEST_DENIED 8001 No "Request denied"
    ACS_INTERNAL_ERROR 8002 Later "Internal error"
    ACS_INVALID_ARGUMENTS 8003 No "Invalid arguments"
    ACS_RESOURCES_EXCEEDED 8004 Later "Resources exceeded"
    ACS_RETRY_REQUEST 8005 Again "Retry request"
    ACS_VERSION_INCOMPATIBLE 8006 No "ACS version incompatible with CPE"
    ACS_RESERVED_8007 8007 No "ACS error 8007"
    METHOD_NOT_SUPPORTED 9000 MethodAbsent "Method not supported"
    REQUEST_DENIED 9001 Later "Request denied"
    INTERNAL_ERROR 9002 Smaller "Internal error"
    INVALID_ARGUMENTS 9003 No "Invalid arguments"
    RESOURCES_EXCEEDED 9004 Smaller "Resources exceeded"
    INVALID_PARAMETER_NAME 9005 ForgetName "Invalid parameter name"
    INVALID_PARAMETER_TYPE 9006 No "Invalid parameter type"
    INVALID_PARAMETER_VALUE 9007 No "Invalid parameter value"
    NOT_WRITABLE 9008 No "Attempt to set a non-writable parameter"
    NOTIFICATION_REJECTED 9009 No "Notification request rejected"
    TRANSFER_FAILURE 9010 Later "File transfer failure"
    UPLOAD_FAILURE 9011 Later "Upload failure"
    FILE_SERVER_AUTHENTICATION 9012 No "File transfer server authentication failure"
    UNSUPPORTED_PROTOCOL 9013 No "Unsupported protocol for file transfer"
    MULTICAST_JOIN 9014 Later "Unable to join multicast group"
    FILE_SERVER_UNREACHABLE 9015 Later "Unable to contact file server"
    FILE_INACCESSIBLE 9016 No "Unable to access file"
    DOWNLOAD_INCOMPLETE 9017 Later "Unable to complete download"
    FILE_CORRUPTED 9018 No "File corrupted or otherwise unusable"
    FILE_AUTHENTICATION 9019 No "File authentication failure"
    WINDOW_MISSED 9020 Later "Unable to complete download within specified time windows"
    CANCEL_NOT_PERMITTED 9021 No "Cancellation of file transfer not permitted in current transfer state"
    INVALID_UUID 9022 No "Invalid UUID format"
    UNKNOWN_EXECUTION_ENVIRONMENT 9023 No "Unknown execution environment"
    DISABLED_EXECUTION_ENVIRONMENT 9024 Later "Disabled execution environment"
    ENVIRONMENT_MISMATCH 9025 No "Deployment unit to execution environment mismatch"
    DUPLICATE_DEPLOYMENT_UNIT 9026 No "Duplicate deployment unit"
    SYSTEM_RESOURCES_EXCEEDED 9027 Later "System resources exceeded"
    UNKNOWN_DEPLOYMENT_UNIT 9028 No "Unknown deployment unit"
    INVALID_DEPLOYMENT_UNIT_STATE 9029 No "Invalid deployment unit state"
    DOWNGRADE_NOT_PERMITTED 9030 No "Downgrade not permitted"
    VERSION_NOT_SPECIFIED 9031 No "Version not specified"
    VERSION_EXISTS 9032 No "Version exists"
}

impl FaultCode {
    /// No fault at all, as in the FaultStruct of a transfer that went well.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether an ACS says it (8xxx); a CPE says 9xxx.
    pub const fn is_acs(self) -> bool {
        self.0 / 1000 == 8
    }

    /// SOAP's `faultcode`: `Server` when the receiver of the request may succeed with it later.
    pub(crate) fn soap(self) -> &'static str {
        match self.retry() {
            Retry::Later | Retry::Smaller | Retry::Again => "Server",
            _ => "Client",
        }
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} {name}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultCode({})", self.0)
    }
}

/// What went wrong with one parameter of a SetParameterValues. Its `Debug` does not show what a
/// device says of a secret, which may be its value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ParameterFault {
    /// The parameter's full path.
    pub name: String,
    /// Why.
    pub code: FaultCode,
    /// Why, in the device's words.
    pub text: String,
}

impl fmt::Debug for ParameterFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, code, text } = self;
        match is_secret_name(name) {
            true => write!(f, "{name}: {code}"),
            false => write!(f, "{name}: {code}: {text:?}"),
        }
    }
}

/// A SOAP fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}{text}", match code.is_none() { true => String::new(), false => format!("{code}: ") })]
pub struct Fault {
    /// Its code; zero when the peer sent a SOAP fault without a CWMP one.
    pub code: FaultCode,
    /// In the sender's words.
    pub text: String,
    /// Each parameter that was refused, in a fault 9003 to SetParameterValues.
    pub parameters: Vec<ParameterFault>,
    /// A header that must be understood was not: SOAP's `faultcode` is `MustUnderstand` (SOAP 1.1,
    /// 4.4.1).
    pub not_understood: bool,
}

/// SOAP's `faultcode` for a header that must be understood, and is not known.
pub(crate) const MUST_UNDERSTAND: &str = "MustUnderstand";

impl Fault {
    /// A fault about no parameter in particular.
    pub fn new(code: FaultCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            parameters: Vec::new(),
            not_understood: false,
        }
    }

    /// SOAP's `faultcode`: CWMP's are bare, SOAP's own has the prefix that our envelopes declare.
    pub(crate) fn soap_code(&self) -> &'static str {
        match self.not_understood {
            true => "soap-env:MustUnderstand",
            false => self.code.soap(),
        }
    }

    /// A fault in the standard's words.
    pub fn plain(code: FaultCode) -> Self {
        Self::new(code, code.name().unwrap_or("Fault"))
    }

    /// Adds what went wrong with one parameter.
    #[must_use]
    pub fn at(mut self, name: impl Into<String>, code: FaultCode, text: impl Into<String>) -> Self {
        self.parameters.push(ParameterFault {
            name: name.into(),
            code,
            text: text.into(),
        });
        self
    }

    /// Puts a mask over what was said of parameters that are secrets, since devices quote the value
    /// that they refuse; and then over the text of the whole, which may quote it, too.
    pub(crate) fn mask(&mut self, is_secret: &dyn Fn(&str) -> bool) {
        let hide = |code: FaultCode, text: &mut String| {
            if !text.is_empty() && code.name() != Some(text.as_str()) {
                *text = MASK.to_owned();
            }
        };
        let secrets = self.parameters.iter_mut().filter(|at| is_secret(&at.name));
        if secrets.map(|at| hide(at.code, &mut at.text)).count() > 0 {
            hide(self.code, &mut self.text);
        }
    }

    /// Puts a mask over each place where a text quotes this secret.
    pub(crate) fn hide(&mut self, secret: &str) {
        let parameters = self.parameters.iter_mut().map(|at| &mut at.text);
        for text in parameters.chain([&mut self.text]) {
            if !secret.is_empty() && text.contains(secret) {
                *text = text.replace(secret, MASK);
            }
        }
    }
}

/// Whether the words of a fault name this parameter: as a whole, not as a part of a longer name.
/// Some devices tell in no other way which one they refuse. Of endless words the beginning counts,
/// [`FAULT_WORDS_BYTES_MAX`].
pub fn names(words: &str, parameter: &str) -> bool {
    let words = &words[..words.floor_char_boundary(FAULT_WORDS_BYTES_MAX)];
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let is_whole = |at: usize| {
        let (before, rest) = words.split_at(at);
        // The end of a sentence is no level more.
        let after = &rest[parameter.len()..];
        let after = after.strip_prefix('.').unwrap_or(after);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    };
    !parameter.is_empty() && words.match_indices(parameter).any(|(at, _)| is_whole(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `FAULT_WORDS_BYTES_MAX`
    #[test]
    fn words_name_a_parameter_where_all_of_its_name_stands_in_them() {
        const NAME: &str = "Device.WiFi.SSID.1.SSID";
        for (words, is_named) in [
            ("Device.WiFi.SSID.1.SSID", true),
            ("(Device.WiFi.SSID.1.SSID), Device.Time.NTPServer1", true),
            ("not writable: Device.WiFi.SSID.1.SSID.", true),
            ("Device.WiFi.SSID.1.SSID=den", true),
            ("Device.WiFi.SSID.1.SSIDs and Device.WiFi.SSID.1.SSID", true),
            ("Device.WiFi.SSID.1.SSIDAdvertisement", false),
            ("Device.WiFi.SSID.1.SSID.Name", false),
            ("InternetGatewayDevice.WiFi.SSID.1.SSID", false),
            ("Device.WiFi.SSID.1.", false),
            ("", false),
        ] {
            assert_eq!(names(words, NAME), is_named, "{words}");
        }
        let late = |before: usize| format!("{} {NAME}", "é".repeat(before));
        assert!(names(&late(1000), NAME) && !names(&late(FAULT_WORDS_BYTES_MAX), NAME));
        assert!(!names("Device.", ""));
    }

    #[test]
    fn the_table_is_complete_and_in_order() {
        let codes: Vec<u32> = NAMED.iter().map(|(code, _)| code.0).collect();
        let expected: Vec<u32> = (8000..=8007).chain(9000..=9032).collect();
        assert_eq!(codes, expected);
        assert_eq!(FaultCode(9005).to_string(), "9005 Invalid parameter name");
        assert_eq!(FaultCode(9850).to_string(), "9850 Defined by the vendor");
        assert_eq!(FaultCode(8100).to_string(), "8100");
        assert!(FaultCode::ACS_RETRY_REQUEST.is_acs() && !FaultCode::NOT_WRITABLE.is_acs());
    }

    #[test]
    fn a_code_says_whether_and_how_to_try_again() {
        assert_eq!(FaultCode(9000).retry(), Retry::MethodAbsent);
        assert_eq!(FaultCode(9002).retry(), Retry::Smaller);
        assert_eq!(FaultCode(9004).retry(), Retry::Smaller);
        assert_eq!(FaultCode(9005).retry(), Retry::ForgetName);
        assert_eq!(FaultCode(8005).retry(), Retry::Again);
        // Codes of vendors and of the future are not tried again by themselves.
        assert_eq!(FaultCode(9899).retry(), Retry::No);
        assert_eq!(FaultCode(8007).retry(), Retry::No);
        assert_eq!(
            (FaultCode(9002).soap(), FaultCode(9003).soap()),
            ("Server", "Client")
        );
    }
}
