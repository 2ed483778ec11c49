//! Quirk packs: what is known of kinds of devices before they are met, by maker, product class and
//! firmware. Some come with the program, each with its public source (`data/quirks`); an operator's own
//! are in a folder of the data directory and count after them. A pack says how to talk; it never says
//! what a device can do.

use std::cmp::Ordering;
use std::path::Path;

use api::reach::{QuirkConfidence, QuirkPack};
use serde::Deserialize;

use super::limits::{PACK_FILE_BYTES_MAX, PACK_SOURCES_MAX, PACK_TEXT_CHARS_MAX, PACKS_SHOWN_MAX};
use super::quirks::Quirks;

/// The packs that come with the program, by their names.
pub(super) const SHIPPED: &[(&str, &str)] = &[
    (
        "datacom-dm955",
        include_str!("../../../../../../data/quirks/datacom-dm955.toml"),
    ),
    (
        "sagemcom-fast2764gv",
        include_str!("../../../../../../data/quirks/sagemcom-fast2764gv.toml"),
    ),
    (
        "tenda-ac10",
        include_str!("../../../../../../data/quirks/tenda-ac10.toml"),
    ),
    (
        "zhone-znid",
        include_str!("../../../../../../data/quirks/zhone-znid.toml"),
    ),
];

/// One pack: for whom, and what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pack {
    /// Its name, which is that of its transcript too.
    name: String,
    /// How we know; for people.
    why: String,
    /// Where that can be read.
    #[serde(default)]
    source: Vec<String>,
    /// How sure that is.
    #[serde(default)]
    confidence: Option<QuirkConfidence>,
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
    /// It comes with the program.
    #[serde(skip)]
    shipped: bool,
}

/// The folder of the packs in the data directory.
const FOLDER: &str = "quirks";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pack: Vec<Pack>,
}

/// All packs, in the order in which they are read.
#[derive(Debug, Default)]
pub struct Packs(Vec<Pack>);

impl Packs {
    /// Those that come with the program.
    pub(super) fn shipped() -> Result<Self, String> {
        let mut packs = Self::default();
        for (name, text) in SHIPPED {
            packs.read(&format!("data/quirks/{name}.toml"), text)?;
        }
        packs.0.iter_mut().for_each(|pack| pack.shipped = true);
        Ok(packs)
    }

    /// Those that come with the program, and after them the `*.toml` files of the folder `quirks` in
    /// the data directory, in the order of their names. The error names file and line.
    pub fn load(data_dir: &Path) -> Result<Self, String> {
        let mut packs = Self::shipped()?;
        let folder = data_dir.join(FOLDER);
        let said = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(packs),
            Err(error) => return Err(said(&folder, error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| said(&folder, error))?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                files.push(path);
            }
        }
        files.sort();
        for path in files {
            let size = std::fs::metadata(&path).map_err(|error| said(&path, error))?;
            if size.len() > PACK_FILE_BYTES_MAX {
                let words =
                    format!("limit PACK_FILE_BYTES_MAX: more than {PACK_FILE_BYTES_MAX} bytes");
                return Err(format!("{}: {words}", path.display()));
            }
            let text = std::fs::read_to_string(&path).map_err(|error| said(&path, error))?;
            packs.read(&path.display().to_string(), &text)?;
        }
        Ok(packs)
    }

    /// The packs of one file, after those that are known.
    pub(super) fn read(&mut self, file: &str, text: &str) -> Result<(), String> {
        let packs: File = toml::from_str(text).map_err(|error| format!("{file}: {error}"))?;
        for pack in packs.pack {
            let keyed = !pack.oui.is_empty() || !pack.product_class.is_empty();
            let known = self.0.iter().position(|known| known.name == pack.name);
            let shipped = known.filter(|known| self.0[*known].shipped);
            let wrong = if !keyed {
                "says neither oui nor product_class"
            } else if pack.quirks == Quirks::default() {
                "changes nothing"
            } else if [pack.quirks.read_batch, pack.quirks.write_batch].contains(&Some(0)) {
                "says read_batch or write_batch 0: a call is for at least 1 parameter"
            } else if known.is_some() && shipped.is_none() {
                "has the name of another pack"
            } else if pack.is_too_long() {
                "limits PACK_TEXT_CHARS_MAX and PACK_SOURCES_MAX: says too much of why"
            } else {
                // An operator's own stands in the place of one of ours.
                if let Some(shipped) = shipped {
                    self.0.remove(shipped);
                }
                self.0.push(pack);
                continue;
            };
            let name: String = pack.name.chars().take(PACK_TEXT_CHARS_MAX).collect();
            return Err(format!("{file}: the pack {name} {wrong}"));
        }
        Ok(())
    }

    /// What the packs say of a device, all that fit in their order; of each quirk the last one that
    /// says something decides. `firmware` is empty where it is not known.
    pub fn of(&self, oui: &str, product_class: &str, firmware: &str) -> Quirks {
        let mut out = Quirks::default();
        for pack in self.fitting(oui, product_class, firmware) {
            out.add(&pack.quirks);
        }
        out
    }

    /// The packs that fit a device, for people.
    pub fn shown(&self, oui: &str, product_class: &str, firmware: &str) -> Vec<QuirkPack> {
        let fitting = self.fitting(oui, product_class, firmware);
        fitting.take(PACKS_SHOWN_MAX).map(Pack::shown).collect()
    }

    fn fitting<'a>(
        &'a self,
        oui: &'a str,
        product_class: &'a str,
        firmware: &'a str,
    ) -> impl Iterator<Item = &'a Pack> {
        let fits = move |pack: &&Pack| pack.fits(oui, product_class, firmware);
        self.0.iter().filter(fits)
    }
}

impl Pack {
    fn is_too_long(&self) -> bool {
        let is_long = |text: &String| text.chars().count() > PACK_TEXT_CHARS_MAX;
        is_long(&self.name)
            || is_long(&self.why)
            || self.source.len() > PACK_SOURCES_MAX
            || self.source.iter().any(is_long)
    }

    fn shown(&self) -> QuirkPack {
        QuirkPack {
            name: self.name.clone(),
            why: self.why.clone(),
            source: self.source.clone(),
            confidence: self.confidence,
            shipped: self.shipped,
            says: self.quirks.said(),
        }
    }

    fn fits(&self, oui: &str, product_class: &str, firmware: &str) -> bool {
        let is_maker = |known: &String| known.eq_ignore_ascii_case(oui.trim());
        let is_product = |known: &String| match known.strip_suffix('*') {
            Some(start) => product_class.starts_with(start),
            None => known == product_class,
        };
        let firmware = firmware.trim();
        // What is not known lies within no bounds.
        let is_firmware = |bound: Option<&str>, fits: fn(Ordering) -> bool| {
            bound.is_none_or(|bound| !firmware.is_empty() && fits(natural(firmware, bound)))
        };
        (self.oui.is_empty() || self.oui.iter().any(is_maker))
            && (self.product_class.is_empty() || self.product_class.iter().any(is_product))
            && is_firmware(self.firmware_from.as_deref(), Ordering::is_ge)
            && is_firmware(self.firmware_before.as_deref(), Ordering::is_lt)
    }
}

/// Versions in the order that people mean: numbers in them count as numbers.
fn natural(a: &str, b: &str) -> Ordering {
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
    use super::super::quirks::{Cookies, Truth};
    use super::*;

    fn of(text: &str) -> Packs {
        let mut packs = Packs::default();
        packs.read("test", text).unwrap();
        packs
    }

    #[test]
    fn a_pack_for_some_takes_back_every_quirk_that_one_for_all_says() {
        let packs = of(r#"
            [[pack]]
            name = "maker"
            why = "all of them"
            oui = ["00256D"]
            [pack.quirks]
            read_batch = 4
            write_batch = 1
            never_lists_all = true
            never_reads_objects = true
            never_lists_levels = true
            never_lists_empty_path = true
            booleans = "digits"
            dates = "no_zone"
            types = "strings"
            no_transfer_complete = true
            no_reboot_event = true
            cookies = "none"
            digest = "no_qop"

            [[pack]]
            name = "mended"
            why = "but not since 2.0"
            oui = ["00256D"]
            firmware_from = "2.0"
            [pack.quirks]
            read_batch = 1000
            write_batch = 1000
            never_lists_all = false
            never_reads_objects = false
            never_lists_levels = false
            never_lists_empty_path = false
            booleans = "usual"
            dates = "usual"
            types = "usual"
            no_transfer_complete = false
            no_reboot_event = false
            cookies = "usual"
            digest = "usual"
        "#);
        let maker = &packs.0[0].quirks;
        assert_eq!(packs.of("00256D", "Box", "1.9"), *maker);
        let mended = packs.of("00256D", "Box", "2.0");
        assert_eq!(mended, packs.0[1].quirks);
        // One that says nothing of it takes nothing back.
        let mut quirks = maker.clone();
        quirks.add(&Quirks::default());
        assert_eq!(quirks, *maker);
    }

    #[test]
    fn packs_are_read_in_the_order_of_their_files_and_what_is_wrong_in_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Packs::load(dir.path()).unwrap().0.len(), SHIPPED.len());
        let folder = dir.path().join(FOLDER);
        std::fs::create_dir(&folder).unwrap();
        let write = |text: &str| std::fs::write(folder.join("own.toml"), text).unwrap();
        let pack = |name: &str, key: &str, what: &str| {
            format!("[[pack]]\nname = \"{name}\"\nwhy = \"w\"\n{key}\nquirks = {{ {what} }}\n")
        };
        let key = "oui = [\"00256D\"]";
        std::fs::write(folder.join("README"), "no pack").unwrap();
        let first = pack("first", key, "read_batch = 9, booleans = \"digits\"");
        std::fs::write(folder.join("first.toml"), first).unwrap();
        write(&pack("own", key, "read_batch = 7, cookies = \"none\""));
        let quirks = Packs::load(dir.path()).unwrap().of("00256D", "Box", "1");
        assert_eq!(quirks.read_batch, Some(7));
        assert_eq!(quirks.cookies, Some(Cookies::None));
        assert_eq!(quirks.booleans, Some(Truth::Digits), "of the first");
        for (text, said) in [
            (pack("own", key, "read_bunch = 7"), "read_bunch"),
            (pack("own", "", "read_batch = 7"), "neither oui"),
            (pack("own", key, ""), "changes nothing"),
            (pack("own", key, "read_batch = 0"), "at least 1"),
            (pack("own", key, "write_batch = 0"), "at least 1"),
            (
                pack(&"n".repeat(PACK_TEXT_CHARS_MAX + 1), key, "read_batch = 7"),
                "PACK_TEXT_CHARS_MAX",
            ),
            (
                pack(
                    "own",
                    &format!("{key}\nsource = {:?}", [""; PACK_SOURCES_MAX + 1]),
                    "read_batch = 7",
                ),
                "PACK_SOURCES_MAX",
            ),
            (pack("first", key, "read_batch = 7"), "name of another"),
            ("pack = 3".to_owned(), "own.toml"),
        ] {
            write(&text);
            let error = Packs::load(dir.path()).unwrap_err();
            assert!(
                error.contains(said) && error.contains("own.toml"),
                "{error}"
            );
        }
        // `PACK_FILE_BYTES_MAX`
        write(&"#".repeat(PACK_FILE_BYTES_MAX as usize + 1));
        assert!(
            Packs::load(dir.path())
                .unwrap_err()
                .contains("PACK_FILE_BYTES_MAX")
        );
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
            name: "test".into(),
            why: "test".into(),
            source: vec![],
            confidence: None,
            shipped: false,
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
            ("00256D", "Box 3", ""),
            ("00256D", "Box 3", " "),
        ] {
            assert!(!pack.fits(oui, class, firmware), "{oui} {class} {firmware}");
        }
        for (from, before, fits) in [
            (Some("1.2"), None, false),
            (None, Some("1.10"), false),
            (None, None, true),
        ] {
            let pack = Pack {
                firmware_from: from.map(str::to_owned),
                firmware_before: before.map(str::to_owned),
                ..pack.clone()
            };
            // Of a firmware that is not known.
            assert_eq!(
                pack.fits("00256D", "Box 3", ""),
                fits,
                "{from:?} {before:?}"
            );
        }
    }

    #[test]
    fn an_operators_pack_counts_after_ours_and_one_of_the_same_name_in_its_place() {
        let shipped = Packs::shipped().unwrap();
        let ours = shipped.of("001BBF", "Fast2764GV", "v82B0-v8480");
        assert_eq!(ours.never_lists_empty_path, Some(true));
        let with = |name: &str| {
            let mut packs = Packs::shipped().unwrap();
            let text = format!(
                "[[pack]]\nname = \"{name}\"\nwhy = \"w\"\noui = [\"001BBF\"]\nquirks = {{ read_batch = 7 }}\n"
            );
            packs.read("own", &text).unwrap();
            let quirks = packs.of("001BBF", "Fast2764GV", "v82B0-v8480");
            (quirks, packs.shown("001BBF", "Fast2764GV", ""))
        };
        let (both, shown) = with("own");
        assert_eq!(
            (both.never_lists_empty_path, both.read_batch),
            (Some(true), Some(7))
        );
        let names: Vec<&str> = shown.iter().map(|pack| pack.name.as_str()).collect();
        assert_eq!(names, ["sagemcom-fast2764gv", "own"]);
        assert!(shown[0].shipped && !shown[1].shipped);
        let (instead, shown) = with("sagemcom-fast2764gv");
        assert_eq!(
            (instead.never_lists_empty_path, instead.read_batch),
            (None, Some(7))
        );
        assert!(!shown[0].shipped && shown.len() == 1);
    }

    /// `PACKS_SHOWN_MAX`
    #[test]
    fn so_many_packs_of_a_device_are_shown() {
        let mut packs = Packs::default();
        for n in 0..=PACKS_SHOWN_MAX {
            let text = format!(
                "[[pack]]\nname = \"{n}\"\nwhy = \"w\"\noui = [\"001BBF\"]\nquirks = {{ read_batch = 7 }}\n"
            );
            packs.read("own", &text).unwrap();
        }
        assert_eq!(packs.shown("001BBF", "Box", "").len(), PACKS_SHOWN_MAX);
    }
}
