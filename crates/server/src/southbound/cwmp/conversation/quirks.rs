//! What is known of devices before they are met: packs in `data/quirks/*.toml` and in the operator's
//! own folder, by maker, product class and firmware. A pack says how to talk; it never says what a
//! device can do.

use std::path::Path;

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
    /// It refuses, or does not survive, GetParameterNames of the empty path.
    pub never_lists_empty_path: bool,
    /// It takes truth values of parameters only in this form.
    pub booleans: Option<Truth>,
    /// It takes points in time only in this form.
    pub dates: Option<Dates>,
    /// It never tells the end of a download: the firmware it runs is the proof.
    pub no_transfer_complete: bool,
    /// It starts again without saying that we asked for it (`M Reboot`).
    pub no_reboot_event: bool,
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
    /// `1` and `0`.
    Digits,
    /// `true` and `false`.
    Words,
}

/// A form of points in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dates {
    /// Without a fraction of a second.
    WholeSeconds,
    /// And without a zone.
    NoZone,
}

/// A form of session cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cookies {
    /// Name and value alone: it sends attributes back, or drops a cookie that has some.
    Plain,
    /// None is set: its connection is its session.
    None,
}

/// A challenge of HTTP authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Challenge {
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

/// Those that come with the program.
const BUILTIN: &str = include_str!("../../../../../../data/quirks/gateways.toml");

/// The folder of an operator's own packs in the data directory.
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
    /// Those that come with the program.
    pub fn builtin() -> Result<Self, String> {
        let mut packs = Self::default();
        packs.read("data/quirks/gateways.toml", BUILTIN)?;
        Ok(packs)
    }

    /// Those that come with the program, and an operator's own after them: the `*.toml` files of the
    /// folder `quirks` in the data directory, in the order of their names. The error names file and
    /// line.
    pub fn load(data_dir: &Path) -> Result<Self, String> {
        let mut packs = Self::builtin()?;
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

    fn read(&mut self, file: &str, text: &str) -> Result<(), String> {
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

    /// What the packs say of a device, all that fit in their order; later ones win.
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
        self.never_lists_empty_path |= other.never_lists_empty_path;
        self.booleans = other.booleans.or(self.booleans);
        self.dates = other.dates.or(self.dates);
        self.no_transfer_complete |= other.no_transfer_complete;
        self.no_reboot_event |= other.no_reboot_event;
        self.cookies = other.cookies.or(self.cookies);
        self.digest = other.digest.or(self.digest);
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
    fn every_pack_can_be_read_and_has_its_transcript() {
        let packs = Packs::builtin().unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/quirks");
        for pack in &packs.0 {
            let path = format!("{folder}/{}.txt", pack.name);
            assert!(Path::new(&path).exists(), "{path}");
        }
    }

    #[test]
    fn an_operators_packs_come_after_ours_and_what_is_wrong_in_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Packs::load(dir.path()).is_ok());
        let folder = dir.path().join(FOLDER);
        std::fs::create_dir(&folder).unwrap();
        let write = |text: &str| std::fs::write(folder.join("own.toml"), text).unwrap();
        let pack = |name: &str, key: &str, what: &str| {
            format!("[[pack]]\nname = \"{name}\"\nwhy = \"w\"\n{key}\nquirks = {{ {what} }}\n")
        };
        let key = "oui = [\"00256D\"]";
        std::fs::write(folder.join("README"), "no pack").unwrap();
        write(&pack("own", key, "read_batch = 7, cookies = \"none\""));
        let quirks = Packs::load(dir.path())
            .unwrap()
            .of("00256D", "IGD-2009", "1");
        assert_eq!(quirks.read_batch, Some(7));
        assert_eq!(quirks.cookies, Some(Cookies::None));
        assert_eq!(quirks.booleans, Some(Truth::Digits), "of ours");
        for (text, said) in [
            (pack("own", key, "read_bunch = 7"), "read_bunch"),
            (pack("own", "", "read_batch = 7"), "neither oui"),
            (pack("own", key, ""), "changes nothing"),
            (pack("igd-2009", key, "read_batch = 7"), "name of another"),
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
        ] {
            assert!(!pack.fits(oui, class, firmware), "{oui} {class} {firmware}");
        }
    }
}
