//! What an operator knows of devices before they are met: packs in a folder of the data directory, by
//! maker, product class and firmware. A pack says how to talk; it never says what a device can do. None
//! comes with the program: what it knows of devices by itself it has learned by talking with them.

use std::cmp::Ordering;
use std::path::Path;

use serde::Deserialize;

/// How to talk with one kind of device. What is not said is as with any other device, and each of
/// these can be said to be so: a pack for some of a maker's devices takes back what one for all says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dates {
    /// As everybody: as they were given.
    Usual,
    /// Without a fraction of a second.
    WholeSeconds,
    /// And without a zone.
    NoZone,
}

/// A form of session cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cookies {
    /// As everybody: with attributes.
    Usual,
    /// Name and value alone: it sends attributes back, or drops a cookie that has some.
    Plain,
    /// None is set: its connection is its session.
    None,
}

/// A challenge of HTTP authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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

/// One pack: for whom, and what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pack {
    /// Its name, which is that of its transcript too.
    name: String,
    /// How we know; for people.
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

/// The folder of the packs in the data directory.
const FOLDER: &str = "quirks";

/// Bytes of one file of packs: some thousand of them.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pack: Vec<Pack>,
}

/// All packs, in the order in which they are read.
#[derive(Debug, Default)]
pub struct Packs(Vec<Pack>);

impl Packs {
    /// The `*.toml` files of the folder `quirks` in the data directory, in the order of their names.
    /// The error names file and line.
    pub fn load(data_dir: &Path) -> Result<Self, String> {
        let mut packs = Self::default();
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
            if size.len() > FILE_BYTES_MAX {
                let words = format!("limit FILE_BYTES_MAX: more than {FILE_BYTES_MAX} bytes");
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
            let wrong = if !keyed {
                "says neither oui nor product_class"
            } else if pack.quirks == Quirks::default() {
                "changes nothing"
            } else if self.0.iter().any(|known| known.name == pack.name) {
                "has the name of another pack"
            } else {
                self.0.push(pack);
                continue;
            };
            return Err(format!("{file}: the pack {} {wrong}", pack.name));
        }
        Ok(())
    }

    /// What the packs say of a device, all that fit in their order; of each quirk the last one that
    /// says something decides. `firmware` is empty where it is not known.
    pub fn of(&self, oui: &str, product_class: &str, firmware: &str) -> Quirks {
        let mut out = Quirks::default();
        for pack in &self.0 {
            if pack.fits(oui, product_class, firmware) {
                out.add(&pack.quirks);
            }
        }
        out
    }
}

impl Pack {
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

impl Quirks {
    fn add(&mut self, other: &Self) {
        self.read_batch = other.read_batch.or(self.read_batch);
        self.write_batch = other.write_batch.or(self.write_batch);
        self.never_lists_all = other.never_lists_all.or(self.never_lists_all);
        self.never_reads_objects = other.never_reads_objects.or(self.never_reads_objects);
        self.never_lists_levels = other.never_lists_levels.or(self.never_lists_levels);
        self.never_lists_empty_path = other.never_lists_empty_path.or(self.never_lists_empty_path);
        self.booleans = other.booleans.or(self.booleans);
        self.dates = other.dates.or(self.dates);
        self.no_transfer_complete = other.no_transfer_complete.or(self.no_transfer_complete);
        self.no_reboot_event = other.no_reboot_event.or(self.no_reboot_event);
        self.cookies = other.cookies.or(self.cookies);
        self.digest = other.digest.or(self.digest);
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
        assert!(Packs::load(dir.path()).unwrap().0.is_empty());
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
        // `FILE_BYTES_MAX`
        write(&"#".repeat(FILE_BYTES_MAX as usize + 1));
        assert!(
            Packs::load(dir.path())
                .unwrap_err()
                .contains("FILE_BYTES_MAX")
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
}
