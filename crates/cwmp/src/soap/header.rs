//! The headers of CWMP.

use super::reader::{Element, Reader, Result};
use super::wire::Wire;
use super::writer::Writer;
use super::{Booleans, Partial};
use crate::error::excerpt;
use crate::limits;
use crate::value;

/// The actor that whoever receives the message is.
const NEXT_ACTOR: &str = "http://schemas.xmlsoap.org/soap/actor/next";

/// The headers of an envelope; those that are absent are empty or `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `cwmp:ID`, which the answer repeats; any text up to `ID_CHARS_MAX`.
    pub id: String,
    /// ACS to CPE: hold your own requests until told otherwise.
    pub hold_requests: Option<bool>,
    /// CPE to ACS, in Inform since 1.3: how many seconds of its silence to bear.
    pub session_timeout: Option<u32>,
    /// CPE to ACS, in Inform since 1.4: a list, see [`crate::version::supported`].
    pub supported_versions: Option<String>,
    /// ACS to CPE, in InformResponse since 1.4: what the session speaks.
    pub use_version: Option<String>,
    /// CPE to ACS in 1.0: deprecated and of no effect.
    pub no_more_requests: Option<bool>,
}

impl Header {
    pub(super) fn write(&self, writer: &mut Writer) {
        const MUST: &str = " soap-env:mustUnderstand=\"1\"";
        const MAY: &str = " soap-env:mustUnderstand=\"0\"";
        if *self == Self::default() {
            return;
        }
        let boolean = |value: bool| match (writer.booleans, value) {
            (Booleans::Digits, true) => "1",
            (Booleans::Digits, false) => "0",
            (Booleans::Words, true) => "true",
            (Booleans::Words, false) => "false",
        };
        let (hold, no_more) = (
            self.hold_requests.map(boolean),
            self.no_more_requests.map(boolean),
        );
        let seconds = self.session_timeout.map(|seconds| seconds.to_string());
        writer.raw("<soap-env:Header>");
        if !self.id.is_empty() {
            writer.element("cwmp:ID", MUST, &self.id);
        }
        for (name, must, text) in [
            ("cwmp:HoldRequests", MUST, hold),
            ("cwmp:NoMoreRequests", MAY, no_more),
            ("cwmp:SessionTimeout", MAY, seconds.as_deref()),
            (
                "cwmp:SupportedCWMPVersions",
                MAY,
                self.supported_versions.as_deref(),
            ),
            ("cwmp:UseCWMPVersion", MUST, self.use_version.as_deref()),
        ] {
            if let Some(text) = text {
                writer.element(name, must, text);
            }
        }
        writer.raw("</soap-env:Header>");
    }
}

/// Whether an entry has to be understood by us: one for another actor is not ours to judge (SOAP 1.1,
/// 4.2).
fn insists(element: &Element<'_>) -> bool {
    let must = element.qualified("mustUnderstand");
    let actor = element.qualified("actor").unwrap_or_default();
    must.is_some_and(|must| value::boolean(&must) == Some(true))
        && matches!(&*actor, "" | NEXT_ACTOR)
}

/// Reads the open Header element.
pub(super) fn read(reader: &mut Reader<'_>, partial: &mut Partial) -> Result<()> {
    while let Some(element) = reader.child()? {
        partial.declared(&element);
        let header = &mut partial.header;
        match element.local() {
            "ID" => {
                let id = String::read(reader, &element)?;
                header.id = id.chars().take(limits::ID_CHARS_MAX).collect();
            }
            "HoldRequests" => header.hold_requests = value::boolean(&reader.text()?),
            "NoMoreRequests" => header.no_more_requests = value::boolean(&reader.text()?),
            "SessionTimeout" => header.session_timeout = Some(Wire::read(reader, &element)?),
            "SupportedCWMPVersions" => {
                header.supported_versions = Some(Wire::read(reader, &element)?);
            }
            "UseCWMPVersion" => header.use_version = Some(Wire::read(reader, &element)?),
            _ => {
                if insists(&element) && partial.not_understood.is_none() {
                    partial.not_understood = Some(excerpt(element.name()));
                }
                reader.skip()?;
            }
        }
    }
    Ok(())
}
