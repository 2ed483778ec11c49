//! Files, and their way to and from devices: what kinds there are, how far a transfer came.
//!
//! Not here: where the bytes are, and how they travel.

use std::fmt;
use std::str::FromStr;

use crate::limits::COVERED_PARTS_MAX;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$one:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$one])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$(Self::$variant,)*];

            /// Its name in the store and the API.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|one| one.as_str() == text)
                    .ok_or_else(|| format!("there is no {text:?}"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a file is.
    FileKind {
        /// A firmware image.
        Firmware = "firmware",
        /// The configuration of a device, or one to be given to devices.
        Configuration = "configuration",
        /// Anything else that a device has sent: a log, a dump.
        Upload = "upload",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// Which way a file goes.
    Direction {
        /// To the device.
        Download = "download",
        /// From the device.
        Upload = "upload",
    }
}

words! {
    /// Where a transfer stands.
    TransferState {
        /// The device has its link, and has not come.
        Waiting = "waiting",
        /// The device is at it.
        Running = "running",
        /// It broke off; the device may go on with it.
        Interrupted = "interrupted",
        /// Every byte went over the wire.
        Done = "done",
        /// It cannot be done.
        Failed = "failed",
    }
}

/// Which bytes of a file went over the wire, as parts that neither touch nor overlap, in order.
/// Devices fetch in pieces, twice, and go on where they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered(Vec<(u64, u64)>);

impl Covered {
    /// Adds the bytes from `from` up to, not including, `to`. Of more parts than are kept the
    /// smallest is forgotten: it counts as not sent.
    pub fn add(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let (mut from, mut to) = (from, to);
        self.0.retain(|(a, b)| {
            let apart = *b < from || to < *a;
            if !apart {
                from = from.min(*a);
                to = to.max(*b);
            }
            apart
        });
        let at = self.0.partition_point(|(a, _)| *a < from);
        self.0.insert(at, (from, to));
        if self.0.len() > COVERED_PARTS_MAX {
            let smallest = (0..self.0.len()).min_by_key(|n| self.0[*n].1 - self.0[*n].0);
            if let Some(smallest) = smallest {
                self.0.remove(smallest);
            }
        }
    }

    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }

    /// Whether a file of this size is in it from end to end.
    pub fn is_whole(&self, size: u64) -> bool {
        size == 0 || self.0.first().is_some_and(|part| *part == (0, size))
    }
}

impl fmt::Display for Covered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (from, to)) in self.0.iter().enumerate() {
            write!(f, "{}{from}-{to}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Covered {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut covered = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let parsed = part
                .split_once('-')
                .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
            let (from, to) = parsed.ok_or_else(|| format!("no part of a file: {part:?}"))?;
            covered.add(from, to);
        }
        Ok(covered)
    }
}

/// How an argument of a command names a file that the device shall fetch: the id follows.
pub const FILE: &str = "headend-file:";

/// How an argument of a command says where the device shall send a file: the name it gets follows,
/// and may be empty.
pub const UPLOAD: &str = "headend-upload:";

/// What an argument of a command stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named<'a> {
    /// A file to fetch, as the text after [`FILE`].
    File(&'a str),
    /// A place to send to, with the name after [`UPLOAD`].
    Upload(&'a str),
}

/// What a value of an argument stands for, if it is neither text nor a number.
pub fn named(value: &str) -> Option<Named<'_>> {
    let file = value.strip_prefix(FILE).map(Named::File);
    file.or_else(|| value.strip_prefix(UPLOAD).map(Named::Upload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_twice_counts_once_and_gaps_stay_gaps() {
        let mut covered = Covered::default();
        for (from, to) in [(0, 10), (5, 20), (30, 40), (40, 50), (7, 7), (60, 70)] {
            covered.add(from, to);
        }
        assert_eq!(covered.to_string(), "0-20,30-50,60-70");
        assert_eq!(covered.bytes(), 50);
        assert!(!covered.is_whole(70));
        assert_eq!("0-20,30-50,60-70".parse(), Ok(covered.clone()));
        covered.add(20, 60);
        assert!(covered.is_whole(70) && !covered.is_whole(71));
        assert!(Covered::default().is_whole(0) && !Covered::default().is_whole(1));
        assert!("7".parse::<Covered>().is_err());
    }

    #[test]
    fn a_device_that_fetches_every_other_byte_fills_no_memory() {
        let mut covered = Covered::default();
        covered.add(0, 100);
        for n in 0..10_000 {
            covered.add(1_000 + 2 * n, 1_001 + 2 * n);
        }
        assert!(covered.0.len() <= COVERED_PARTS_MAX);
        assert_eq!(covered.0[0], (0, 100));
    }

    #[test]
    fn words_read_back() {
        for kind in FileKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        for state in TransferState::ALL {
            assert_eq!(state.to_string().parse(), Ok(*state));
        }
        assert!("sideways".parse::<Direction>().is_err());
    }

    #[test]
    fn an_argument_names_a_file_or_a_place_to_send_to() {
        assert_eq!(named("headend-file:7"), Some(Named::File("7")));
        assert_eq!(named("headend-upload:"), Some(Named::Upload("")));
        assert_eq!(named("http://files/f"), None);
    }
}
