//! What opens a session, and what either side asks about the other's methods.

use crate::event::EventCode;
use crate::soap::wire::{items, message};
use crate::value::Timestamp;

use super::ParameterValue;

message! {
    /// Opens every session.
    Inform {
        /// Who the CPE is.
        device_id: DeviceId = "DeviceId",
        /// Why it comes; may be empty.
        events: Vec<EventStruct> = "Event",
        /// How many envelopes fit into one message: 1, whatever is said.
        max_envelopes: u32 = "MaxEnvelopes",
        /// The CPE's clock.
        current_time: Timestamp = "CurrentTime",
        /// Sessions that failed before this one.
        retry_count: u32 = "RetryCount",
        /// Some parameters; neither complete nor sorted nor unique.
        parameters: Vec<ParameterValue> = "ParameterList",
    }
}

impl Inform {
    /// The value of a parameter of the Inform: the first whose name ends like this, so that both
    /// roots are found.
    pub fn ending(&self, suffix: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|parameter| {
            let head = parameter.name.strip_suffix(suffix);
            head.is_some_and(|head| head.is_empty() || head.ends_with('.'))
        });
        found.map(|parameter| parameter.value.text.as_str())
    }

    /// The first segment of the first parameter: `Device` or `InternetGatewayDevice`.
    pub fn root(&self) -> Option<&str> {
        let names = self.parameters.iter().map(|parameter| &*parameter.name);
        names
            .filter_map(|name| Some(name.split_once('.')?.0))
            .find(|root| !root.is_empty())
    }

    /// Whether an event is among those of the Inform.
    pub fn has(&self, code: &EventCode) -> bool {
        self.events.iter().any(|event| event.code == *code)
    }
}

message! {
    /// The identity of a CPE. Any part but the serial number may be empty in the field.
    DeviceId {
        /// For people only.
        manufacturer: String = "Manufacturer",
        /// Six hexadecimal digits, as sent.
        oui: String = "OUI",
        /// May be empty.
        product_class: String = "ProductClass",
        /// Unique within OUI and product class.
        serial_number: String = "SerialNumber",
    }
}

message! {
    /// One reason for a session.
    EventStruct {
        /// The reason.
        code: EventCode = "EventCode",
        /// The key of the request that began it; empty but for `M` events.
        command_key: String = "CommandKey",
    }
}

impl EventStruct {
    /// An event without a command key.
    pub fn new(code: EventCode) -> Self {
        Self::with_key(code, "")
    }

    /// An event with the key of the request that began it.
    pub fn with_key(code: EventCode, command_key: impl Into<String>) -> Self {
        let command_key = command_key.into();
        Self { code, command_key }
    }
}

items! { EventStruct }

message! {
    /// The ACS has the Inform.
    InformResponse {
        /// Always 1.
        max_envelopes: u32 = "MaxEnvelopes",
    }
}

message! {
    /// Asks which methods the other side serves.
    GetRpcMethods {}
}

message! {
    /// The methods that the sender serves.
    GetRpcMethodsResponse {
        /// Their names.
        methods: Vec<String> = "MethodList",
    }
}
