//! What a message needed tolerance for: the raw material of quirk packs and of `doctor`.
//! Deliberately only a set of names: nothing is decided by it here.

use std::fmt;

macro_rules! oddities {
    ($($name:ident $bit:literal $text:literal)*) => {
        impl Oddities {
            $(#[doc = concat!("The sender ", $text, ".")] pub const $name: Self = Self(1 << $bit);)*
        }

        const NAMED: &[(Oddities, &str)] = &[$((Oddities::$name, $text),)*];
    };
}

/// A set of oddities of one message.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Oddities(u32);

oddities! {
    NO_ID 0 "gives no cwmp:ID"
    NAMESPACE 1 "uses a CWMP namespace that the standard does not have, or none"
    ENCODING 2 "does not write UTF-8"
    BYTE_ORDER_MARK 3 "starts with a byte order mark"
    QUALIFIED_ARGUMENTS 4 "puts a namespace prefix on arguments"
    NO_VALUE_TYPE 5 "leaves out the type of a value"
    VALUE_TYPE 6 "gives a value a type that CWMP does not have"
    ARRAY_SIZE 7 "states a wrong number of array elements"
    BARE_AMPERSAND 8 "does not escape ampersands"
    CONTROL_CHARACTERS 9 "sends control characters that XML does not allow"
    NUMBER 10 "sends a number that is none"
    BOOLEAN 11 "sends a truth value that is none"
    UNKNOWN_ELEMENT 12 "sends elements that the method does not have"
    STRAY_TEXT 13 "puts text between elements"
    TRAILING 14 "sends something after the envelope, or a second body element that is no message"
    UNKNOWN_HEADER 15 "demands to understand a header that CWMP does not have"
    INVALID_BYTES 16 "sends bytes that its text encoding does not have"
    MISSING_FAULT 17 "sends a SOAP fault without a CWMP fault"
    VERSIONS 18 "lists the CWMP versions it supports in a way that cannot be read"
    INFORM_PARAMETERS 19 "tells more parameters in an Inform than are taken: the last ones are left out"
    SECOND_MESSAGE 20 "sends a second message with this one, which is not looked at"
    ENVELOPE_NAMESPACE 21 "does not use the envelope of SOAP 1.1"
    NO_RESULT 22 "does not say how the transfer went: there is no FaultStruct with a FaultCode"
    NO_TIMES 23 "does not say when the transfer began and ended"
}

impl Oddities {
    /// Whether it has all of these.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds those of another.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    #[cfg(test)]
    pub(crate) fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// The sentence about each, after "the device".
    pub fn texts(self) -> impl Iterator<Item = &'static str> {
        NAMED
            .iter()
            .filter(move |(odd, _)| self.has(*odd))
            .map(|(_, text)| *text)
    }
}

impl fmt::Debug for Oddities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.texts()).finish()
    }
}
