//! Errors: who is wrong ([`Error`]), what the wire says about it ([`ErrorCode`], [`UspError`]).
//! Deliberately the only place where one becomes the other.

use std::fmt;

use crate::msg::{self, ParamError};
use crate::wire::{DecodeError, DecodeErrorKind};

/// Why this crate could not do something, by who is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bytes are not what they should be. A WebSocket closes with 1003 (R-WS.16).
    #[error("invalid message: {0}")]
    InvalidMessage(DecodeError),
    /// A well-formed message breaks the rules of the conversation.
    #[error("the peer misbehaves: {0}")]
    PeerMisbehaved(&'static str),
    /// The peer needs something that we do not speak.
    #[error("the peer is incompatible: {0}")]
    PeerIncompatible(String),
    /// A named limit of [`crate::limits`] is hit.
    #[error("the limit {limit} of {max} is reached")]
    LimitExceeded {
        /// Its name.
        limit: &'static str,
        /// Its value.
        max: usize,
    },
    /// Our own caller did something out of order.
    #[error("wrong use: {0}")]
    ApiMisuse(&'static str),
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        match error.kind {
            DecodeErrorKind::Limit {
                limit: "ELEMENTS_MAX",
            } => Self::LimitExceeded {
                limit: "ELEMENTS_MAX",
                max: crate::limits::ELEMENTS_MAX,
            },
            DecodeErrorKind::Limit { limit } => Self::LimitExceeded {
                limit,
                max: crate::limits::GROUP_DEPTH_MAX,
            },
            _ => Self::InvalidMessage(error),
        }
    }
}

/// An error code of TR-369 or Device:2. Unknown ones are kept.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u32);

macro_rules! codes {
    ($($name:ident $code:literal $text:literal)*) => {
        impl ErrorCode {
            $(#[doc = $text] pub const $name: Self = Self($code);)*

            /// The standard's name for a code.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)*
                    7200..=7299 => Some("Defined by the data model"),
                    7800..=7999 => Some("Defined by the vendor"),
                    _ => None,
                }
            }
        }

        #[cfg(test)]
        const NAMED: &[(ErrorCode, &str)] = &[$((ErrorCode::$name, $text),)*];
    };
}

codes! {
    MESSAGE_FAILED 7000 "Message failed"
    MESSAGE_NOT_SUPPORTED 7001 "Message not supported"
    REQUEST_DENIED 7002 "Request denied"
    INTERNAL_ERROR 7003 "Internal error"
    INVALID_ARGUMENTS 7004 "Invalid arguments"
    RESOURCES_EXCEEDED 7005 "Resources exceeded"
    PERMISSION_DENIED 7006 "Permission denied"
    INVALID_CONFIGURATION 7007 "Invalid configuration"
    INVALID_PATH_SYNTAX 7008 "Invalid path syntax"
    PARAMETER_ACTION_FAILED 7009 "Parameter action failed"
    UNSUPPORTED_PARAMETER 7010 "Unsupported parameter"
    INVALID_TYPE 7011 "Invalid type"
    INVALID_VALUE 7012 "Invalid value"
    NOT_WRITABLE 7013 "Write to a parameter that is not writable"
    VALUE_CONFLICT 7014 "Value conflict"
    OPERATION_ERROR 7015 "Operation error"
    OBJECT_DOES_NOT_EXIST 7016 "Object does not exist"
    OBJECT_NOT_CREATED 7017 "Object could not be created"
    NOT_A_TABLE 7018 "Not a table"
    NOT_CREATABLE 7019 "Not creatable"
    OBJECT_NOT_UPDATED 7020 "Object could not be updated"
    REQUIRED_PARAMETER_FAILED 7021 "Required parameter failed"
    COMMAND_FAILURE 7022 "Command failure"
    COMMAND_CANCELED 7023 "Command canceled"
    DELETE_FAILURE 7024 "Delete failure"
    DUPLICATE_UNIQUE_KEY 7025 "Duplicate unique key"
    INVALID_PATH 7026 "Invalid path"
    INVALID_COMMAND_ARGUMENTS 7027 "Invalid command arguments"
    REGISTER_FAILURE 7028 "Register failure"
    ALREADY_IN_USE 7029 "Already in use by another agent"
    DEREGISTER_FAILURE 7030 "Deregister failure"
    REGISTERED_BY_ANOTHER 7031 "Path registered by a different agent"
    UNAVAILABLE_ROLE 7032 "Unavailable role"
    SERVER_UNREACHABLE 7033 "Server unreachable"
    SERVER_INSECURE 7034 "Server insecure"
    CORRUPT_DATA 7035 "Corrupt data"
    BAD_SIGNATURE 7036 "Bad signature"
    UNAVAILABLE_USER_ROLE 7037 "Unavailable user role"
    RECORD_NOT_PARSED 7100 "Record could not be parsed"
    SECURE_SESSION_REQUIRED 7101 "Secure session required"
    SECURE_SESSION_UNSUPPORTED 7102 "Secure session not supported"
    SEGMENTATION_UNSUPPORTED 7103 "Segmentation and reassembly not supported"
    INVALID_RECORD_VALUE 7104 "Invalid record value"
    SESSION_CONTEXT_ENDED 7105 "Session context ended"
    SESSION_CONTEXT_NOT_ALLOWED 7106 "Session context not allowed"
    UNKNOWN_EXECUTION_ENVIRONMENT 7223 "Unknown execution environment"
    ENVIRONMENT_MISMATCH 7225 "Deployment unit does not fit the execution environment"
    DUPLICATE_DEPLOYMENT_UNIT 7226 "Duplicate deployment unit"
    SYSTEM_RESOURCES_EXCEEDED 7227 "System resources exceeded"
    INVALID_DEPLOYMENT_UNIT_STATE 7229 "Invalid deployment unit state"
    INVALID_ENVIRONMENT_STATE 7230 "Invalid execution environment state"
}

impl ErrorCode {
    /// Whether this is no error at all, as in a result without one.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} {name}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An Error message: what an endpoint answers to a request that it could not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct UspError {
    /// What went wrong.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// What went wrong where, by full path: only for Add, Set and Delete without allow_partial.
    pub param_errs: Vec<ParamError>,
}

impl UspError {
    /// An error without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            param_errs: Vec::new(),
        }
    }

    /// Adds what went wrong at one full path.
    #[must_use]
    pub fn at(
        mut self,
        path: impl Into<String>,
        code: ErrorCode,
        message: impl Into<String>,
    ) -> Self {
        self.param_errs.push(ParamError {
            param_path: path.into(),
            err_code: code.0,
            err_msg: message.into(),
        });
        self
    }
}

impl From<UspError> for msg::Error {
    fn from(error: UspError) -> Self {
        Self {
            err_code: error.code.0,
            err_msg: error.message,
            param_errs: error.param_errs,
        }
    }
}

impl From<msg::Error> for UspError {
    fn from(error: msg::Error) -> Self {
        Self {
            code: ErrorCode(error.err_code),
            message: error.err_msg,
            param_errs: error.param_errs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_numbers_and_names() {
        for window in NAMED.windows(2) {
            assert!(window[0].0 < window[1].0, "{:?}", window[1]);
        }
        assert_eq!(ErrorCode::INVALID_PATH.to_string(), "7026 Invalid path");
        assert_eq!(ErrorCode(7850).to_string(), "7850 Defined by the vendor");
        assert_eq!(ErrorCode(1).to_string(), "1");
        assert!(ErrorCode::default().is_none());
    }

    #[test]
    fn an_error_survives_the_wire() {
        let error = UspError::new(ErrorCode::REQUIRED_PARAMETER_FAILED, "no").at(
            "Device.A.B",
            ErrorCode(7012),
            "bad",
        );
        assert_eq!(UspError::from(msg::Error::from(error.clone())), error);
    }
}
