//! Why an agent refuses something: one of the standard's codes and a sentence. Deliberately not a Rust error taxonomy:
//! this is what the controller on the other side reads.

use std::fmt;

/// A USP error code with its explanation, as it goes into Error, `oper_failure`, `param_errs` or `cmd_failure`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {message}")]
pub struct Fault {
    /// The code (TR-369, error codes 7000 to 7999).
    pub code: u32,
    /// What a person needs to know.
    pub message: String,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl Fault {
            $($(#[$doc])* pub fn $name(message: impl fmt::Display) -> Fault { Fault { code: $code, message: message.to_string() } })*
        }
    };
}

faults! {
    /// 7001: this agent does not serve such a message.
    message_not_supported = 7001;
    /// 7002: refused.
    request_denied = 7002;
    /// 7003: something broke inside.
    internal = 7003;
    /// 7004: the message makes no sense.
    invalid_arguments = 7004;
    /// 7005: too many or too much.
    resources_exceeded = 7005;
    /// 7006: the controller's role does not allow it.
    permission_denied = 7006;
    /// 7007: the settings contradict each other.
    invalid_configuration = 7007;
    /// 7008: not a path.
    invalid_path_syntax = 7008;
    /// 7009: the device could not take over the parameter.
    parameter_action_failed = 7009;
    /// 7010: no such parameter.
    unsupported_parameter = 7010;
    /// 7011: not a value of this type.
    invalid_type = 7011;
    /// 7012: a value of the type, but not an allowed one.
    invalid_value = 7012;
    /// 7013: not writable.
    not_writable = 7013;
    /// 7014: contradicts another value.
    value_conflict = 7014;
    /// 7015: the device failed to do it.
    operation_error = 7015;
    /// 7016: no such instance.
    object_does_not_exist = 7016;
    /// 7017: the row could not be made.
    not_created = 7017;
    /// 7018: not a table.
    not_a_table = 7018;
    /// 7019: a table, but controllers may not add rows.
    not_creatable = 7019;
    /// 7020: the object could not be updated.
    not_updated = 7020;
    /// 7021: a required parameter failed.
    required_parameter_failed = 7021;
    /// 7022: the command failed.
    command_failure = 7022;
    /// 7023: the command was cancelled.
    command_canceled = 7023;
    /// 7024: cannot be deleted.
    delete_failure = 7024;
    /// 7025: another row has this unique key.
    duplicate_key = 7025;
    /// 7026: not in the supported model.
    invalid_path = 7026;
    /// 7027: wrong or missing command arguments.
    invalid_command_arguments = 7027;
    /// 7028: registration refused.
    register_failure = 7028;
    /// 7029: another agent has it.
    already_in_use = 7029;
    /// 7030: deregistration refused.
    deregister_failure = 7030;
    /// 7031: another agent has registered it.
    registered_by_another = 7031;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_as_code_and_sentence() {
        assert_eq!(Fault::permission_denied("no").to_string(), "7006 no");
    }
}
