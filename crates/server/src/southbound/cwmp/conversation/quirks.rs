//! What is known of devices before they are met: packs in `data/quirks/*.toml`, by maker, product
//! class and firmware. A pack says how to talk; it never says what a device can do.

use std::sync::LazyLock;

use serde::Deserialize;

/// How to talk with one kind of device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Most parameters in one GetParameterValues.
    pub read_batch: Option<usize>,
    /// Most parameters in one SetParameterValues.
    pub write_batch: Option<usize>,
    /// It hangs or breaks off when asked for its whole tree.
    pub never_lists_all: bool,
    /// It hangs or breaks off when asked for all below an object.
    pub never_reads_objects: bool,
    /// It answers a question for one level with everything below.
    pub never_lists_levels: bool,
    /// It takes truth values of parameters only in this form.
    pub booleans: Option<Truth>,
    /// It takes points in time only without a fraction of a second.
    pub whole_seconds: bool,
    /// It never tells the end of a download: the firmware it runs is the proof.
    pub no_transfer_complete: bool,
    /// It starts again without saying that we asked for it (`M Reboot`).
    pub no_reboot_event: bool,
}

/// A form of truth values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// `1` and `0`.
    Digits,
    /// `true` and `false`.
    Words,
}

/// One pack: for whom, and what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pack {
    /// For people.
    #[allow(
        dead_code,
        reason = "a pack without a reason is refused when it is parsed"
    )]
    why: String,
    /// OUIs, in upper case; none means all.
    #[serde(default)]
    oui: Vec<String>,
    /// Product classes; one may end in `*`. None means all.
    #[serde(default)]
    product_class: Vec<String>,
    /// Oldest firmware it is true of.
    #[serde(default)]
    firmware_from: Option<String>,
    /// First firmware it is not true of any more.
    #[serde(default)]
    firmware_before: Option<String>,
    /// What.
    quirks: Quirks,
}

/// File and text.
const FILES: &[(&str, &str)] = &[(
    "gateways",
    include_str!("../../../../../../data/quirks/gateways.toml"),
)];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pack: Vec<Pack>,
}

static PACKS: LazyLock<Vec<Pack>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for (name, text) in FILES {
        match toml::from_str::<File>(text) {
            Ok(file) => all.extend(file.pack),
            // A test reads them all.
            Err(error) => tracing::error!(name, %error, "a quirk pack cannot be read"),
        }
    }
    all
});

/// What the packs say of a device, all that fit in the order of the files; later ones win.
pub fn of(oui: &str, product_class: &str, firmware: &str) -> Quirks {
    let mut out = Quirks::default();
    for pack in PACKS.iter() {
        if pack.fits(oui, product_class, firmware) {
            out.add(&pack.quirks);
        }
    }
    out
}

impl Pack {
    fn fits(&self, oui: &str, product_class: &str, firmware: &str) -> bool {
        let is_maker = |known: &String| known.eq_ignore_ascii_case(oui.trim());
        let is_product = |known: &String| match known.strip_suffix('*') {
            Some(start) => product_class.starts_with(start),
            None => known == product_class,
        };
        (self.oui.is_empty() || self.oui.iter().any(is_maker))
            && (self.product_class.is_empty() || self.product_class.iter().any(is_product))
            && self
                .firmware_from
                .as_deref()
                .is_none_or(|from| natural(firmware, from).is_ge())
            && self
                .firmware_before
                .as_deref()
                .is_none_or(|before| natural(firmware, before).is_lt())
    }
}

impl Quirks {
    fn add(&mut self, other: &Self) {
        self.read_batch = other.read_batch.or(self.read_batch);
        self.write_batch = other.write_batch.or(self.write_batch);
        self.never_lists_all |= other.never_lists_all;
        self.never_reads_objects |= other.never_reads_objects;
        self.never_lists_levels |= other.never_lists_levels;
        self.booleans = other.booleans.or(self.booleans);
        self.whole_seconds |= other.whole_seconds;
        self.no_transfer_complete |= other.no_transfer_complete;
        self.no_reboot_event |= other.no_reboot_event;
    }
}

/// Versions in the order that people mean: numbers in them count as numbers.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let pieces = |text: &str| {
        let mut out: Vec<(u64, String)> = Vec::new();
        let mut digits = String::new();
        let mut words = String::new();
        for c in text.chars().take(256) {
            if c.is_ascii_digit() {
                if !words.is_empty() {
                    out.push((0, std::mem::take(&mut words)));
                }
                digits.push(c);
            } else {
                if !digits.is_empty() {
                    out.push((number(&digits), String::new()));
                    digits.clear();
                }
                words.push(c);
            }
        }
        if !digits.is_empty() {
            out.push((number(&digits), String::new()));
        }
        if !words.is_empty() {
            out.push((0, words));
        }
        out
    };
    pieces(a).cmp(&pieces(b))
}

fn number(digits: &str) -> u64 {
    // Longer than any number is larger than any number.
    digits.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pack_can_be_read_and_changes_something() {
        for (name, text) in FILES {
            let file: File = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!file.pack.is_empty(), "{name}");
            for pack in file.pack {
                assert_ne!(pack.quirks, Quirks::default(), "{name}: {}", pack.why);
                let keyed = !pack.oui.is_empty() || !pack.product_class.is_empty();
                assert!(keyed, "{name}: {} is said of everybody", pack.why);
            }
        }
    }

    #[test]
    fn versions_are_in_the_order_of_their_numbers() {
        for (older, newer) in [
            ("1.9", "1.10"),
            ("V2.0.1", "V2.0.12"),
            ("1.0", "1.0.1"),
            ("9", "99999999999999999999999999"),
        ] {
            assert!(natural(older, newer).is_lt(), "{older} {newer}");
        }
        assert!(natural("1.10", "1.10").is_eq());
    }

    #[test]
    fn a_pack_is_for_its_maker_its_products_and_its_firmware() {
        let pack = Pack {
            why: "test".into(),
            oui: vec!["00256D".into()],
            product_class: vec!["Box*".into()],
            firmware_from: Some("1.2".into()),
            firmware_before: Some("1.10".into()),
            quirks: Quirks::default(),
        };
        assert!(pack.fits("00256d", "Box 3", "1.9"));
        for (oui, class, firmware) in [
            ("00256E", "Box 3", "1.9"),
            ("00256D", "Bo", "1.9"),
            ("00256D", "Box 3", "1.1.9"),
            ("00256D", "Box 3", "1.10"),
        ] {
            assert!(!pack.fits(oui, class, firmware), "{oui} {class} {firmware}");
        }
    }
}
