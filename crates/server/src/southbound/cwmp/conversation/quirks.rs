//! What a quirk pack says of how to talk with one kind of device. For which devices, and why, is in
//! the pack (`packs`).

use serde::{Deserialize, Serialize};

/// How to talk with one kind of device. What is not said is as with any other device, and each of
/// these can be said to be so: a pack for some of a maker's devices takes back what one for all says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Most parameters in one GetParameterValues.
    pub read_batch: Option<usize>,
    /// Most parameters in one SetParameterValues.
    pub write_batch: Option<usize>,
    /// It hangs or breaks off when asked for its whole tree.
    pub never_lists_all: Option<bool>,
    /// It hangs or breaks off when asked for all below an object.
    pub never_reads_objects: Option<bool>,
    /// It answers a question for one level with everything below.
    pub never_lists_levels: Option<bool>,
    /// It refuses, or does not survive, GetParameterNames of the empty path.
    pub never_lists_empty_path: Option<bool>,
    /// It takes truth values of parameters only in this form.
    pub booleans: Option<Truth>,
    /// It takes points in time only in this form.
    pub dates: Option<Dates>,
    /// It takes values only of this type.
    pub types: Option<Types>,
    /// It never tells the end of a download: the firmware it runs is the proof.
    pub no_transfer_complete: Option<bool>,
    /// It starts again without saying that we asked for it (`M Reboot`).
    pub no_reboot_event: Option<bool>,
    /// It takes session cookies only so.
    pub cookies: Option<Cookies>,
    /// It answers only this challenge. It is offered where such a device came from before: until a
    /// device has come in nobody knows which one it is.
    pub digest: Option<Challenge>,
}

/// A form of truth values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// As everybody: words.
    Usual,
    /// `1` and `0`.
    Digits,
    /// `true` and `false`.
    Words,
}

/// A form of points in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dates {
    /// As everybody: as they were given.
    Usual,
    /// Without a fraction of a second.
    WholeSeconds,
    /// And without a zone.
    NoZone,
}

/// A type of values, as `xsi:type` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Types {
    /// As everybody: that of the data model.
    Usual,
    /// `xsd:string`, whatever the data model says.
    Strings,
}

/// A form of session cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cookies {
    /// As everybody: with attributes.
    Usual,
    /// Name and value alone: it sends attributes back, or drops a cookie that has some.
    Plain,
    /// The same with every answer: it forgets a cookie that the last answer did not set.
    Each,
    /// None is set: its connection is its session.
    None,
}

/// A challenge of HTTP authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Challenge {
    /// As everybody: all that there are.
    Usual,
    /// Digest with MD5 and nothing beside it.
    Md5,
    /// The same without `qop`, as RFC 2069 had it.
    NoQop,
    /// Basic and nothing beside it, where the configuration offers it at all.
    Basic,
}

impl Quirks {
    /// What the other one says counts before what this one says.
    pub(super) fn add(&mut self, other: &Self) {
        self.read_batch = other.read_batch.or(self.read_batch);
        self.write_batch = other.write_batch.or(self.write_batch);
        self.never_lists_all = other.never_lists_all.or(self.never_lists_all);
        self.never_reads_objects = other.never_reads_objects.or(self.never_reads_objects);
        self.never_lists_levels = other.never_lists_levels.or(self.never_lists_levels);
        self.never_lists_empty_path = other.never_lists_empty_path.or(self.never_lists_empty_path);
        self.booleans = other.booleans.or(self.booleans);
        self.dates = other.dates.or(self.dates);
        self.types = other.types.or(self.types);
        self.no_transfer_complete = other.no_transfer_complete.or(self.no_transfer_complete);
        self.no_reboot_event = other.no_reboot_event.or(self.no_reboot_event);
        self.cookies = other.cookies.or(self.cookies);
        self.digest = other.digest.or(self.digest);
    }

    /// What is said, each as a pack says it: `booleans = "digits"`.
    pub(super) fn said(&self) -> Vec<String> {
        let said = serde_json::to_value(self).unwrap_or_default();
        let said = said.as_object().into_iter().flatten();
        let said = said.filter(|(_, value)| !value.is_null());
        said.map(|(name, value)| format!("{name} = {value}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_reads_as_in_a_pack() {
        let quirks = Quirks {
            write_batch: Some(1),
            types: Some(Types::Strings),
            no_reboot_event: Some(false),
            ..Quirks::default()
        };
        let said = quirks.said();
        assert_eq!(said.len(), 3);
        let again: Quirks = toml::from_str(&said.join("\n")).unwrap();
        assert_eq!(again, quirks);
        assert!(Quirks::default().said().is_empty());
    }
}
