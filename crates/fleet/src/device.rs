//! A device: who it is, how it is reached, what it says about itself.
//!
//! A device is (tenant, device id). Its identities are rows that point to it; none of them is the
//! key, and a serial number alone is never one.

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, TenantId};
use crate::presence::Evidence;
use crate::time::Timestamp;

/// What kind of name an identity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// USP endpoint id.
    UspEndpoint,
    /// `OUI-ProductClass-Serial` as the device tells it in its Informs: under this name it comes
    /// over CWMP.
    CwmpDevice,
    /// `OUI-ProductClass-Serial`, as CWMP and OnBoardRequest tell it.
    OuiClassSerial,
    /// `OUI-Serial`: the same device whatever its firmware calls the product class.
    OuiSerial,
    /// MAC address, lower case with colons.
    Mac,
    /// PPPoE user name.
    PppoeUser,
}

impl IdentityKind {
    /// All kinds.
    pub const ALL: [IdentityKind; 6] = [
        Self::UspEndpoint,
        Self::CwmpDevice,
        Self::OuiClassSerial,
        Self::OuiSerial,
        Self::Mac,
        Self::PppoeUser,
    ];

    /// Its name in the store and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UspEndpoint => "usp_endpoint",
            Self::CwmpDevice => "cwmp_device",
            Self::OuiClassSerial => "oui_class_serial",
            Self::OuiSerial => "oui_serial",
            Self::Mac => "mac",
            Self::PppoeUser => "pppoe_user",
        }
    }

    /// Whether finding it on another device proves that both are the same one. A MAC or a PPPoE
    /// user moves between devices; the maker's serial number and the endpoint id do not.
    pub fn merges(self) -> bool {
        matches!(
            self,
            Self::UspEndpoint | Self::CwmpDevice | Self::OuiClassSerial | Self::OuiSerial
        )
    }
}

impl std::str::FromStr for IdentityKind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|k| k.as_str() == text).ok_or(())
    }
}

/// A name that points to a device; (tenant, kind, value) is unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// What kind of name.
    pub kind: IdentityKind,
    /// The name, in the kind's normal form.
    pub value: String,
}

impl Identity {
    /// A USP endpoint id; taken as it is, it is case-sensitive.
    pub fn endpoint(id: &str) -> Self {
        Self {
            kind: IdentityKind::UspEndpoint,
            value: id.to_owned(),
        }
    }

    /// What an endpoint id of the schemes `os` and `ops` says of the serial number (TR-369, 2.2.2);
    /// nothing for any other.
    pub fn of_endpoint(id: &str) -> Vec<Self> {
        let parts = |text: &str| {
            text.split_once('-')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        };
        if let Some((oui, serial)) = id.strip_prefix("os::").and_then(parts) {
            return Self::of_serial(&oui, "", &decoded(&serial));
        }
        let Some((oui, rest)) = id.strip_prefix("ops::").and_then(parts) else {
            return Vec::new();
        };
        rest.rsplit_once('-')
            .map_or_else(Vec::new, |(class, serial)| {
                Self::of_serial(&oui, &decoded(class), &decoded(serial))
            })
    }

    /// A MAC address in any of the usual ways to write it; `None` for one that no single device has.
    pub fn of_mac(text: &str) -> Option<Self> {
        let digits: String = text
            .trim()
            .chars()
            .filter(|c| !matches!(c, ':' | '-' | '.'))
            .collect::<String>()
            .to_ascii_lowercase();
        let hex = digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        // Groups, and the addresses that makers leave in place of a real one.
        let first = u8::from_str_radix(digits.get(..2)?, 16).unwrap_or(1);
        let same = digits
            .bytes()
            .all(|b| Some(&b) == digits.as_bytes().first());
        if !hex || first & 1 == 1 || same {
            return None;
        }
        let pairs: Vec<&str> = (0..12)
            .step_by(2)
            .filter_map(|n| digits.get(n..n + 2))
            .collect();
        Some(Self {
            kind: IdentityKind::Mac,
            value: pairs.join(":"),
        })
    }

    /// What an OUI, product class and serial number give: with the class when there is one, and
    /// without it. Where a class with a dash ends cannot be told from the former: endpoint ids do
    /// not say it either. Empty parts give nothing, so that makers who leave the serial empty do not
    /// become one device.
    pub fn of_serial(oui: &str, product_class: &str, serial: &str) -> Vec<Self> {
        let (oui, serial) = (oui.trim().to_ascii_uppercase(), serial.trim());
        let hex = oui.len() == 6 && oui.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex || is_placeholder(serial) {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(2);
        if !product_class.trim().is_empty() {
            out.push(Self {
                kind: IdentityKind::OuiClassSerial,
                value: format!("{oui}-{}-{serial}", product_class.trim()),
            });
        }
        out.push(Self {
            kind: IdentityKind::OuiSerial,
            value: format!("{oui}-{serial}"),
        });
        out
    }

    /// Characters of one part of a CPE's name. The standard has 64.
    pub const PART_CHARS_MAX: usize = 128;

    /// What a CPE that speaks CWMP is known by: the name under which it comes, then as
    /// [`Self::of_serial`]. Where its OUI is none, as happens, the maker's name stands in its place.
    pub fn of_cpe(manufacturer: &str, oui: &str, product_class: &str, serial: &str) -> Vec<Self> {
        let parts = [manufacturer, oui, product_class, serial];
        if parts
            .iter()
            .any(|part| part.chars().count() > Self::PART_CHARS_MAX)
        {
            return Vec::new();
        }
        let (class, serial) = (product_class.trim(), serial.trim());
        let maker = match oui.trim() {
            "" => manufacturer.trim(),
            oui => oui,
        };
        if maker.is_empty() || is_placeholder(serial) {
            return Vec::new();
        }
        let found = Self::of_serial(oui, class, serial);
        let maker = match found.is_empty() {
            true => maker.to_owned(),
            false => maker.to_ascii_uppercase(),
        };
        let mut out = vec![Self {
            kind: IdentityKind::CwmpDevice,
            value: format!("{}-{}-{serial}", part(&maker), part(class)),
        }];
        out.extend(found);
        out
    }

    /// The name as people read it: what is encoded in a part of it is not.
    pub fn shown(&self) -> String {
        if self.kind != IdentityKind::CwmpDevice {
            return self.value.clone();
        }
        let mut parts: Vec<String> = self.value.splitn(3, '-').map(str::to_owned).collect();
        for part in parts.iter_mut().take(2) {
            *part = part.replace("%2D", "-").replace("%25", "%");
        }
        parts.join("-")
    }
}

/// A part of a name before its end, as the standard writes it as far as that matters: its dashes are
/// none that part. (Else class `A-B` with serial `C` would be class `A` with serial `B-C`.)
fn part(text: &str) -> String {
    text.replace('%', "%25").replace('-', "%2D")
}

/// Whether a serial number is none.
fn is_placeholder(serial: &str) -> bool {
    let mut bytes = serial.bytes();
    bytes.all(|b| matches!(b, b'0' | b'-' | b':' | b'.'))
}

/// A part of an endpoint id without its percent-encoding; what is no encoding stays.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = &tail[2..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What a device says about itself, kept as indexed columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Description {
    /// `DeviceInfo.Manufacturer`.
    pub manufacturer: String,
    /// `DeviceInfo.ManufacturerOUI`.
    pub oui: String,
    /// `DeviceInfo.ModelName`.
    pub model: String,
    /// `DeviceInfo.ProductClass`.
    pub product_class: String,
    /// `DeviceInfo.SerialNumber`.
    pub serial: String,
    /// `DeviceInfo.HardwareVersion`.
    pub hardware_version: String,
    /// `DeviceInfo.SoftwareVersion`: the firmware.
    pub software_version: String,
}

impl Description {
    /// The parameters it is made of, with the field each fills.
    pub const PARAMETERS: [&'static str; 7] = [
        "Device.DeviceInfo.Manufacturer",
        "Device.DeviceInfo.ManufacturerOUI",
        "Device.DeviceInfo.ModelName",
        "Device.DeviceInfo.ProductClass",
        "Device.DeviceInfo.SerialNumber",
        "Device.DeviceInfo.HardwareVersion",
        "Device.DeviceInfo.SoftwareVersion",
    ];

    /// Takes a parameter over; says whether it is one of ours and changed something.
    pub fn apply(&mut self, path: &str, value: &str) -> bool {
        let field = match path {
            "Device.DeviceInfo.Manufacturer" => &mut self.manufacturer,
            "Device.DeviceInfo.ManufacturerOUI" => &mut self.oui,
            "Device.DeviceInfo.ModelName" => &mut self.model,
            "Device.DeviceInfo.ProductClass" => &mut self.product_class,
            "Device.DeviceInfo.SerialNumber" => &mut self.serial,
            "Device.DeviceInfo.HardwareVersion" => &mut self.hardware_version,
            "Device.DeviceInfo.SoftwareVersion" => &mut self.software_version,
            _ => return false,
        };
        if field == value {
            return false;
        }
        value.clone_into(field);
        true
    }

    /// Under which its supported model is kept: everything of this kind supports the same.
    pub fn model_key(&self) -> Option<ModelKey> {
        if self.software_version.is_empty()
            || (self.model.is_empty() && self.product_class.is_empty())
        {
            return None;
        }
        Some(ModelKey {
            oui: self.oui.to_ascii_uppercase(),
            product: if self.product_class.is_empty() {
                self.model.clone()
            } else {
                format!("{}/{}", self.product_class, self.model)
            },
            hardware: self.hardware_version.clone(),
            software: self.software_version.clone(),
        })
    }
}

/// One model with one firmware.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModelKey {
    /// OUI of the maker.
    pub oui: String,
    /// Product class and model name.
    pub product: String,
    /// Hardware version: one firmware may serve boards with different radios.
    pub hardware: String,
    /// Firmware.
    pub software: String,
}

impl std::fmt::Display for ModelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}|{}|{}|{}",
            self.oui, self.product, self.hardware, self.software
        )
    }
}

/// How far the onboarding of a device came; the work continues where it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnboardingState {
    /// Registered before it ever came.
    #[default]
    Expected,
    /// It came, and there is work left to do.
    Started,
    /// Known, subscribed, discovered, read.
    Complete,
}

impl OnboardingState {
    /// Its name in the store and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Started => "started",
            Self::Complete => "complete",
        }
    }

    /// The one of this name; any other name means that nothing is known.
    pub fn of(name: &str) -> Self {
        let all = [Self::Started, Self::Complete];
        let named = all.into_iter().find(|one| one.as_str() == name);
        named.unwrap_or_default()
    }
}

/// A device of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it; empty when nobody named it.
    pub name: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// What it says about itself.
    pub description: Description,
    /// What was heard of it.
    pub evidence: Evidence,
    /// How far its onboarding came.
    pub onboarding: OnboardingState,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Its last start, as far as it told.
    pub booted_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests;
