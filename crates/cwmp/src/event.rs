//! The event codes of an Inform: how they read, and when a CPE may forget one.
//! Deliberately no queue: that is [`crate::cpe`].

use std::fmt;

/// When an event is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// By the InformResponse.
    Inform,
    /// By the answer to the request that the event announces.
    Report,
}

/// How long a CPE keeps an event that is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until it is delivered, across reboots.
    Delivered,
    /// Until it is delivered or the CPE reboots.
    Reboot,
    /// For one session, which is not tried again for its sake.
    Session,
}

/// The method whose end an `M` event announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// `M Reboot`
    Reboot,
    /// `M ScheduleInform`
    ScheduleInform,
    /// `M Download`
    Download,
    /// `M ScheduleDownload`
    ScheduleDownload,
    /// `M Upload`
    Upload,
    /// `M ChangeDUState`
    ChangeDuState,
}

impl Cause {
    const ALL: [(Self, &str); 6] = [
        (Self::Reboot, "Reboot"),
        (Self::ScheduleInform, "ScheduleInform"),
        (Self::Download, "Download"),
        (Self::ScheduleDownload, "ScheduleDownload"),
        (Self::Upload, "Upload"),
        (Self::ChangeDuState, "ChangeDUState"),
    ];

    fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(cause, _)| *cause == self)
            .map_or("", |(_, name)| name)
    }
}

/// Why a CPE opens a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventCode {
    /// First contact, factory reset, or another ACS URL.
    Bootstrap,
    /// Power up or reboot.
    Boot,
    /// The periodic inform.
    Periodic,
    /// A ScheduleInform is due.
    Scheduled,
    /// A parameter with notification has changed.
    ValueChange,
    /// Web redirection; deprecated.
    Kicked,
    /// A connection request was received.
    ConnectionRequest,
    /// A transfer is over.
    TransferComplete,
    /// A diagnostic is over.
    DiagnosticsComplete,
    /// The CPE asks for a download.
    RequestDownload,
    /// A transfer that the ACS did not ask for is over.
    AutonomousTransferComplete,
    /// A ChangeDUState is over.
    DuStateChangeComplete,
    /// Deployment units have changed without the ACS.
    AutonomousDuStateChangeComplete,
    /// The CPE has left standby.
    Wakeup,
    /// The heartbeat.
    Heartbeat,
    /// The end of what a method began.
    Method(Cause),
    /// `M X_...`, `X ...`, or something nobody knows: as sent.
    Other(String),
}

/// Number, text, delivery and keep.
const NUMBERED: &[(EventCode, &str, Delivery, Keep)] = &[
    (
        EventCode::Bootstrap,
        "0 BOOTSTRAP",
        Delivery::Inform,
        Keep::Delivered,
    ),
    (EventCode::Boot, "1 BOOT", Delivery::Inform, Keep::Reboot),
    (
        EventCode::Periodic,
        "2 PERIODIC",
        Delivery::Inform,
        Keep::Delivered,
    ),
    (
        EventCode::Scheduled,
        "3 SCHEDULED",
        Delivery::Inform,
        Keep::Delivered,
    ),
    (
        EventCode::ValueChange,
        "4 VALUE CHANGE",
        Delivery::Inform,
        Keep::Delivered,
    ),
    (
        EventCode::Kicked,
        "5 KICKED",
        Delivery::Report,
        Keep::Session,
    ),
    (
        EventCode::ConnectionRequest,
        "6 CONNECTION REQUEST",
        Delivery::Inform,
        Keep::Session,
    ),
    (
        EventCode::TransferComplete,
        "7 TRANSFER COMPLETE",
        Delivery::Report,
        Keep::Delivered,
    ),
    (
        EventCode::DiagnosticsComplete,
        "8 DIAGNOSTICS COMPLETE",
        Delivery::Inform,
        Keep::Reboot,
    ),
    (
        EventCode::RequestDownload,
        "9 REQUEST DOWNLOAD",
        Delivery::Report,
        Keep::Reboot,
    ),
    (
        EventCode::AutonomousTransferComplete,
        "10 AUTONOMOUS TRANSFER COMPLETE",
        Delivery::Report,
        Keep::Delivered,
    ),
    (
        EventCode::DuStateChangeComplete,
        "11 DU STATE CHANGE COMPLETE",
        Delivery::Report,
        Keep::Delivered,
    ),
    (
        EventCode::AutonomousDuStateChangeComplete,
        "12 AUTONOMOUS DU STATE CHANGE COMPLETE",
        Delivery::Report,
        Keep::Delivered,
    ),
    (
        EventCode::Wakeup,
        "13 WAKEUP",
        Delivery::Inform,
        Keep::Reboot,
    ),
    (
        EventCode::Heartbeat,
        "14 HEARTBEAT",
        Delivery::Inform,
        Keep::Session,
    ),
];

impl EventCode {
    /// How many codes have a number.
    pub(crate) const NUMBERED: usize = NUMBERED.len();

    /// Whether it is one of the standard's numbered codes, which come once each in an Inform.
    pub(crate) fn is_numbered(&self) -> bool {
        !matches!(self, Self::Method(_) | Self::Other(_))
    }

    /// Reads a code as the field writes it: by its number when it has one, since case, spacing and
    /// underscores vary; otherwise by its words.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let words = || text.split([' ', '_']).filter(|word| !word.is_empty());
        let mut parts = words();
        let first = parts.next().unwrap_or_default();
        if let Ok(number) = first.parse::<usize>()
            && let Some((code, ..)) = NUMBERED.get(number)
        {
            return code.clone();
        }
        if first.eq_ignore_ascii_case("M") {
            let method = parts.next().unwrap_or_default();
            let known = Cause::ALL
                .iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(method));
            if let (Some((cause, _)), None) = (known, parts.next()) {
                return Self::Method(*cause);
            }
        }
        let named = NUMBERED.iter().find(|(_, name, ..)| {
            // Without the number.
            let name = name.split(' ').skip(1);
            name.map(str::to_ascii_uppercase)
                .eq(words().map(str::to_ascii_uppercase))
        });
        match named {
            Some((code, ..)) => code.clone(),
            None => Self::Other(text.to_owned()),
        }
    }

    /// The standard's text.
    pub fn as_text(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Method(cause) => format!("M {}", cause.name()).into(),
            Self::Other(text) => text.as_str().into(),
            code => Self::row(code).map_or("", |(_, name, ..)| *name).into(),
        }
    }

    fn row(code: &Self) -> Option<&'static (Self, &'static str, Delivery, Keep)> {
        NUMBERED.iter().find(|(known, ..)| known == code)
    }

    /// Whether each command key makes another event; the others come once, however often they
    /// happened.
    pub fn is_multiple(&self) -> bool {
        match self {
            Self::Method(_) => true,
            Self::Other(text) => text.starts_with("M "),
            _ => false,
        }
    }

    /// When it is delivered.
    pub fn delivery(&self) -> Delivery {
        match self {
            Self::Method(Cause::Reboot | Cause::ScheduleInform) | Self::Other(_) => {
                Delivery::Inform
            }
            Self::Method(_) => Delivery::Report,
            code => Self::row(code).map_or(Delivery::Inform, |row| row.2),
        }
    }

    /// How long it is kept.
    pub fn keep(&self) -> Keep {
        match self {
            Self::Method(_) => Keep::Delivered,
            Self::Other(_) => Keep::Reboot,
            code => Self::row(code).map_or(Keep::Reboot, |row| row.3),
        }
    }
}

impl fmt::Display for EventCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text())
    }
}

impl Default for EventCode {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_and_are_numbered_in_order() {
        for (number, (code, text, ..)) in NUMBERED.iter().enumerate() {
            assert_eq!(text.split(' ').next(), Some(number.to_string().as_str()));
            assert_eq!(EventCode::parse(text), *code);
            assert_eq!(code.to_string(), *text);
        }
        for (cause, name) in Cause::ALL {
            assert_eq!(
                EventCode::parse(&format!("M {name}")),
                EventCode::Method(cause)
            );
            assert_eq!(EventCode::Method(cause).to_string(), format!("M {name}"));
        }
    }

    #[test]
    fn the_spellings_of_the_field_are_read() {
        for (text, code) in [
            ("1 Boot", EventCode::Boot),
            (" 0_BOOTSTRAP ", EventCode::Bootstrap),
            ("4  VALUE CHANGE", EventCode::ValueChange),
            ("value change", EventCode::ValueChange),
            ("6", EventCode::ConnectionRequest),
            ("m download", EventCode::Method(Cause::Download)),
            ("M ChangeDuState", EventCode::Method(Cause::ChangeDuState)),
        ] {
            assert_eq!(EventCode::parse(text), code, "{text}");
        }
        for text in [
            "M X_00256D_Test",
            "X 00256D Door open",
            "99 NEW",
            "",
            "M",
            "M Download now",
        ] {
            assert_eq!(EventCode::parse(text), EventCode::Other(text.to_owned()));
        }
    }

    #[test]
    fn only_method_events_multiply() {
        assert!(EventCode::Method(Cause::Upload).is_multiple());
        assert!(EventCode::parse("M X_A_B").is_multiple());
        assert!(!EventCode::TransferComplete.is_multiple());
    }
}
