//! The rules of the mapping, as data: which TR-181 object and parameter is which of TR-098, and how a value crosses.
//! Reads `data/mapping/*.tsv`; [`super::parse`] has the form of the files. Knows no device.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::{parse, wifi};
use crate::path::supported_text;
use crate::schema::{ParamDef, Schema};

/// Area (file in `data/mapping/`) and its text, in the order the coverage table has.
const FILES: &[(&str, &str)] = &[
    (
        "device-info",
        include_str!("../../../../data/mapping/device-info.tsv"),
    ),
    (
        "management-server",
        include_str!("../../../../data/mapping/management-server.tsv"),
    ),
    ("time", include_str!("../../../../data/mapping/time.tsv")),
    (
        "user-interface",
        include_str!("../../../../data/mapping/user-interface.tsv"),
    ),
    ("wan", include_str!("../../../../data/mapping/wan.tsv")),
    ("dsl", include_str!("../../../../data/mapping/dsl.tsv")),
    ("lan", include_str!("../../../../data/mapping/lan.tsv")),
    (
        "ethernet",
        include_str!("../../../../data/mapping/ethernet.tsv"),
    ),
    (
        "bridging",
        include_str!("../../../../data/mapping/bridging.tsv"),
    ),
    ("wifi", include_str!("../../../../data/mapping/wifi.tsv")),
    ("hosts", include_str!("../../../../data/mapping/hosts.tsv")),
    ("dhcp", include_str!("../../../../data/mapping/dhcp.tsv")),
    ("nat", include_str!("../../../../data/mapping/nat.tsv")),
    ("dns", include_str!("../../../../data/mapping/dns.tsv")),
    (
        "routing",
        include_str!("../../../../data/mapping/routing.tsv"),
    ),
    (
        "diagnostics",
        include_str!("../../../../data/mapping/diagnostics.tsv"),
    ),
    ("other", include_str!("../../../../data/mapping/other.tsv")),
];

/// All rules. Built once, shared by the mappings of all devices.
#[derive(Debug, Default)]
pub struct Rules {
    /// What gives numbers to TR-181 rows.
    pub tables: Vec<Table>,
    /// In the order of the files: where two rules give the same TR-181 parameter, the first that applies wins.
    pub objects: Vec<ObjectRule>,
    /// What has deliberately no counterpart.
    pub none: Vec<NoneRule>,
    /// Rules by the supported path of their TR-098 object.
    pub(super) by_gateway: HashMap<&'static str, Vec<usize>>,
    /// Rules by the supported path of their TR-181 object.
    pub(super) by_device: HashMap<String, Vec<usize>>,
    /// Rules of TR-181 tables by the supported path of the object around the table.
    pub(super) below: HashMap<String, Vec<usize>>,
    /// Supported TR-098 objects that a rule or table starts from.
    pub(super) known: HashSet<&'static str>,
}

/// TR-181 rows that get their numbers together: everything that says `{name}` means the same TR-098 instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name in the files.
    pub name: &'static str,
    /// Supported TR-098 objects whose instances get a number, and the slot when one instance gives several rows.
    pub sources: Vec<(&'static str, u32)>,
    /// Instances of one LAN device on the same Wi-Fi band share a number.
    pub by_band: bool,
}

/// One piece of a TR-181 path in the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// As it stands, dots included.
    Text(&'static str),
    /// `{name}` or `{name#slot}`: the number that a table gives the TR-098 instance.
    Table(usize, u32),
    /// `{i}`: the number that the TR-098 row itself has. The last `{i}` is the row's last number, and so on.
    Index,
}

/// A TR-181 object path with holes for numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub(super) parts: Vec<Part>,
    /// The supported path: every number is `{i}`.
    pub supported: String,
}

/// One TR-181 object out of one TR-098 object.
#[derive(Debug)]
pub struct ObjectRule {
    /// File it comes from.
    pub area: &'static str,
    /// The TR-181 side.
    pub device: Template,
    /// The TR-098 side, a supported path.
    pub gateway: &'static str,
    /// Rows can be added and deleted through the TR-181 path.
    pub rows: bool,
    /// Does not apply to a device that has an object of this supported TR-098 path.
    pub unless: Option<&'static str>,
    /// In the order of the file; of two for the same parameter the first that applies wins.
    pub params: Vec<ParamRule>,
}

/// One TR-181 parameter.
#[derive(Debug)]
pub struct ParamRule {
    /// Relative to the TR-181 object.
    pub name: &'static str,
    /// TR-098 parameters, relative to the TR-098 object or, starting with the root, absolute. The first must be there
    /// for the rule to apply; the others take part when they are.
    pub sources: Vec<&'static str>,
    /// How the value crosses.
    pub how: How,
    /// The parameter in TR-181.
    pub(super) device: Option<&'static ParamDef>,
    /// The first source in TR-098; none for a vendor's parameter.
    pub(super) gateway: Option<&'static ParamDef>,
}

/// How a value crosses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The same value, in the canonical form of its type.
    Same,
    /// Names are translated (item by item for lists).
    Enum {
        /// What is what.
        pairs: Vec<Pair>,
        /// Names that are not listed may be written as they are.
        open: bool,
    },
    /// The TR-181 number is this many times the TR-098 one.
    Times(u32),
    /// The TR-098 number is this many times the TR-181 one.
    Over(u32),
    /// A fixed text.
    Const(&'static str),
    /// A fixed text chosen by the row's own number.
    Nth(Vec<&'static str>),
    /// The path of the first of these TR-181 objects that exists for the same TR-098 instance.
    Link(Vec<Template>),
    /// The paths of all other rows of a TR-181 table.
    Members(Template),
    /// Paths: the TR-098 object's counterpart below one of these TR-181 tables.
    Ref(Vec<Template>),
    /// The path of a parameter or object of the same device: translated as everything else is.
    Path,
    /// A TR-181 list whose items are TR-098 parameters of their own.
    List,
    /// An item of a TR-098 list, from 1.
    Item(usize),
    /// The same value written to every source; read from the first.
    Each,
    /// hexBinary of what TR-098 has in base64.
    HexBase64,
    /// hexBinary of what TR-098 has as text.
    HexText,
    /// POSIX time zone of an offset such as `+01:00`.
    Offset,
    /// Wi-Fi security mode of BeaconType and the modes beside it.
    SecurityMode,
    /// What security modes the parameters there are can express; which length of WEP key is among them is a value.
    SecurityModes,
    /// Wi-Fi ciphers of the encryption modes.
    Cipher,
    /// The band that the radio was told apart by.
    Band,
}

/// Two names of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// In TR-181.
    pub device: &'static str,
    /// In TR-098; `*` is every name without a pair of its own.
    pub gateway: &'static str,
    /// Only for reading: another pair says what to write.
    pub read_only: bool,
}

/// A part of TR-098 that has no counterpart, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoneRule {
    /// Supported TR-098 object or parameter.
    pub path: &'static str,
    /// In words for an operator.
    pub reason: &'static str,
}

impl How {
    /// The value is decided by the device's instances alone; nothing is read and nothing can be written.
    pub fn is_fixed(&self) -> bool {
        matches!(
            self,
            How::Const(_) | How::Nth(_) | How::Link(_) | How::Members(_) | How::Band
        )
    }
}

impl How {
    /// What is written depends on a value that other TR-181 parameters write as well.
    pub(super) fn depends_on_others(&self) -> bool {
        match self {
            How::Cipher | How::Item(_) => true,
            How::Enum { pairs, .. } => pairs.iter().any(|pair| pair.gateway == "*"),
            _ => false,
        }
    }

    /// The source whose present value decides what is written.
    pub(super) fn needs<'a>(&self, sources: &'a [String]) -> Option<&'a String> {
        match self {
            How::SecurityMode => wifi::wep_level(sources),
            how if how.depends_on_others() => sources.first(),
            _ => None,
        }
    }
}

impl Rules {
    /// The rules in `data/mapping/`. They are part of the program and a test reads them, so a damaged file cannot reach
    /// anybody; it would be a mapping of nothing, not a panic.
    pub fn builtin() -> &'static Rules {
        static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::read(FILES).unwrap_or_default());
        &RULES
    }

    /// Reads rules from files, each an area and its text.
    pub fn read(files: &[(&'static str, &'static str)]) -> Result<Rules, parse::RulesError> {
        let mut rules = parse::read(files)?;
        for rule in &mut rules.objects {
            rule.define();
        }
        for (n, rule) in rules.objects.iter().enumerate() {
            rules.by_gateway.entry(rule.gateway).or_default().push(n);
            let device = rule.device.supported.clone();
            let table = device.strip_suffix(".{i}.");
            if let Some(dot) = table.and_then(|table| table.rfind('.')) {
                let around = device[..=dot].to_owned();
                rules.below.entry(around).or_default().push(n);
            }
            rules.by_device.entry(device).or_default().push(n);
            rules.known.insert(rule.gateway);
            rules.known.extend(rule.unless);
            // Where rows are added, also while there are none.
            rules
                .known
                .extend(super::rows::around(rule.gateway).map(|(around, _)| around));
        }
        let sources = rules.tables.iter().flat_map(|table| &table.sources);
        rules.known.extend(sources.map(|(source, _)| *source));
        Ok(rules)
    }

    /// The rules of some more files (a vendor's own parameters) before those of ours: of two that apply, theirs wins.
    /// They may name our tables.
    pub fn extended(files: &[(&'static str, &'static str)]) -> Result<Rules, parse::RulesError> {
        Rules::read(&[files, FILES].concat())
    }

    /// Reads the committed files again, for the test that says what is wrong with them.
    pub fn check() -> Result<(), parse::RulesError> {
        Rules::read(FILES).map(|_| ())
    }

    /// The rules of the tables directly below a supported TR-181 object.
    pub(super) fn rows_below(&self, device: &str) -> impl Iterator<Item = &ObjectRule> {
        let rules = self.below.get(device).map_or(&[][..], Vec::as_slice);
        rules.iter().filter_map(|n| self.objects.get(*n))
    }

    /// The rules of a supported TR-181 object.
    pub(super) fn of_device(&self, device: &str) -> impl Iterator<Item = &ObjectRule> {
        let rules = self.by_device.get(device).map_or(&[][..], Vec::as_slice);
        rules.iter().filter_map(|n| self.objects.get(*n))
    }

    /// The areas, in order.
    pub fn areas() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(area, _)| *area)
    }

    /// Why a supported TR-098 path has no counterpart, if somebody wrote it down: the longest entry around it counts.
    pub fn reason(&self, gateway: &str) -> Option<&'static str> {
        let around = self.none.iter().filter(|none| {
            gateway == none.path || (none.path.ends_with('.') && gateway.starts_with(none.path))
        });
        around
            .max_by_key(|none| none.path.len())
            .map(|none| none.reason)
    }
}

impl ObjectRule {
    /// The supported path of a source.
    pub fn source(&self, source: &str) -> String {
        source_of(self.gateway, source)
    }

    /// Looks the parameters up once, so that no device has to.
    fn define(&mut self) {
        for param in &mut self.params {
            let device = format!("{}{}", self.device.supported, param.name);
            let first = param.sources.first();
            param.device = Schema::tr181_cwmp().param(&device);
            param.gateway = first
                .map(|source| source_of(self.gateway, source))
                .and_then(|path| Schema::tr098().param(&path));
        }
    }
}

impl ParamRule {
    /// A list on the TR-181 side.
    pub(super) fn is_list(&self) -> bool {
        self.device.is_some_and(|param| param.ty.is_list())
    }

    /// A list on both sides, so that its items are translated one by one.
    pub(super) fn is_list_of_both(&self) -> bool {
        self.is_list() && self.gateway.is_some_and(|param| param.ty.is_list())
    }
}

fn source_of(gateway: &str, source: &str) -> String {
    if source.starts_with(super::GATEWAY_ROOT) {
        supported_text(source)
    } else {
        supported_text(&format!("{gateway}{source}"))
    }
}
