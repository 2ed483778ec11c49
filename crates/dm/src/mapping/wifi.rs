//! Wi-Fi, where the two models differ most: TR-098 has one object a network and says its security in five parameters,
//! TR-181 has radios and one mode.

use std::collections::BTreeMap;

use super::Known;
use super::convert::{Get, Problem};

/// What a radio is told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Band {
    Two,
    Five,
    Six,
}

impl Band {
    pub(super) fn name(self) -> &'static str {
        match self {
            Band::Two => "2.4GHz",
            Band::Five => "5GHz",
            Band::Six => "6GHz",
        }
    }
}

const WLAN: &str = ".WLANConfiguration.";

/// The value of this parameter tells the band of its network.
pub(super) fn decides(path: &str) -> bool {
    let Some((_, rest)) = path.split_once(WLAN) else {
        return false;
    };
    match rest.split_once('.') {
        Some((_, name)) => {
            matches!(name, "PossibleChannels" | "Channel" | "Standard") || is_band(name)
        }
        None => false,
    }
}

/// A vendor's parameter that says the band: `X_.._OperatingFrequencyBand`, `X_.._RFBand`, `X_.._BandLock`.
fn is_band(name: &str) -> bool {
    let is_own = name.starts_with("X_") || name == "OperatingFrequencyBand";
    is_own
        && !name.contains('.')
        && name.contains("Band")
        && !name.to_ascii_lowercase().contains("bandwidth")
}

/// The band of a `WLANConfiguration`: what a vendor's own parameter says, else the channels it can have, else the
/// channel it has, else the standard. All of them are properties of the radio, or follow it.
pub(super) fn band(wlan: &str, tree: &BTreeMap<String, Known>) -> Option<Band> {
    let value = |name: &str| {
        tree.get(&format!("{wlan}{name}"))
            .and_then(|known| known.value.as_deref())
    };
    let below = tree
        .range(wlan.to_owned()..)
        .take_while(|(path, _)| path.starts_with(wlan));
    let said = below.filter(|(path, _)| is_band(&path[wlan.len()..]));
    said.filter_map(|(_, known)| named_band(known.value.as_deref()?))
        .next()
        .or_else(|| channels_band(value("PossibleChannels")?))
        .or_else(|| channels_band(value("Channel")?))
        .or_else(|| standard_band(value("Standard")?))
}

/// `2.4GHz`, `5G`, `X_0000C5_5.0GHz`: a prefix is the vendor's.
fn named_band(value: &str) -> Option<Band> {
    match value.trim().rsplit('_').next()?.as_bytes().first()? {
        b'2' => Some(Band::Two),
        b'5' => Some(Band::Five),
        b'6' => Some(Band::Six),
        _ => None,
    }
}

/// `1-11`, `1,6,11`, `36,40,44`: 2.4 GHz has the channels up to 14. 0 is "automatic".
fn channels_band(list: &str) -> Option<Band> {
    let numbers = list
        .split([',', '-', ' '])
        .filter_map(|item| item.parse::<u32>().ok());
    let first = numbers.filter(|channel| *channel > 0).min()?;
    Some(if first <= 14 { Band::Two } else { Band::Five })
}

fn standard_band(standard: &str) -> Option<Band> {
    let standard = standard.trim().to_ascii_lowercase();
    if standard.contains("ac") || standard.starts_with('a') {
        Some(Band::Five)
    } else if standard.contains('b') || standard.contains('g') {
        Some(Band::Two)
    } else {
        None
    }
}

/// The parameters beside BeaconType, by the end of their name.
const BASIC: &str = "BasicEncryptionModes";
const BASIC_AUTH: &str = "BasicAuthenticationMode";
const WPA_AUTH: &str = "WPAAuthenticationMode";
const RSN_AUTH: &str = "IEEE11iAuthenticationMode";
const WPA_CIPHER: &str = "WPAEncryptionModes";
const RSN_CIPHER: &str = "IEEE11iEncryptionModes";
const WEP_LEVEL: &str = "WEPEncryptionLevel";

fn ending<'a>(sources: &'a [String], name: &str) -> Option<&'a String> {
    sources
        .iter()
        .find(|source| source.rsplit('.').next() == Some(name))
}

/// Which of WPA and WPA2 (RSN) a BeaconType has. Vendors spell it their own way (`WPAWPA2`, `WPA/WPA2`, `WPA2`); what
/// has neither is not understood, and what lets stations in without WPA as well (`Basicand11i`) is no mode of TR-181.
fn beacon(value: &str) -> Option<(bool, bool)> {
    let value = value.trim().to_ascii_lowercase();
    if matches!(value.as_str(), "none" | "basic") {
        return Some((false, false));
    }
    if ["basic", "open", "wep", "none"]
        .iter()
        .any(|weak| value.contains(weak))
    {
        return None;
    }
    let rest = value.replace("wpa2", "").replace("11i", "");
    let (wpa, rsn) = (rest.contains("wpa"), rest.len() < value.len());
    (!value.contains("wpa3") && (wpa || rsn)).then_some((wpa, rsn))
}

/// The parameter that says which lengths of WEP keys the device has.
pub(super) fn wep_level(sources: &[String]) -> Option<&String> {
    ending(sources, WEP_LEVEL)
}

/// The one name that WEP has on a device. Which length a network uses is nowhere said, so it is the longest there is.
fn wep(level: &str) -> &'static str {
    if level.contains("104") {
        "WEP-128"
    } else {
        "WEP-64"
    }
}

/// `ModeEnabled` of BeaconType and what is beside it. What TR-181 has no mode for, such as WPA2 that lets others in as
/// well, is shown as the BeaconType is: a safe mode is only told of a network that has no other.
pub(super) fn mode(sources: &[String], get: Get<'_>) -> Option<String> {
    let said = get(sources.first()?)?;
    let of = |name: &str| {
        ending(sources, name)
            .and_then(|source| get(source))
            .unwrap_or_default()
    };
    let mode = match beacon(&said) {
        Some((false, false)) if of(BASIC) == "WEPEncryption" => wep(&of(WEP_LEVEL)),
        Some((false, false)) => "None",
        Some((wpa, rsn)) => {
            let said_by = |on: bool, name: &str| if on { of(name) } else { String::new() };
            let ways = said_by(wpa, WPA_AUTH) + &said_by(rsn, RSN_AUTH);
            match (ways.contains("EAP"), wpa, rsn) {
                // Some stations have a key of their own, others the one of all.
                (true, ..) if ways.contains("PSK") => return Some(said),
                (true, true, true) => "WPA-WPA2-Enterprise",
                (true, true, false) => "WPA-Enterprise",
                (true, false, _) => "WPA2-Enterprise",
                (false, true, true) => "WPA-WPA2-Personal",
                (false, true, false) => "WPA-Personal",
                (false, false, _) => "WPA2-Personal",
            }
        }
        // Later than TR-098: only read, because how it is written is each vendor's own.
        None => match said.to_ascii_lowercase().replace("wpa3", "").as_str() {
            "" => "WPA3-Personal",
            rest if rest.len() < said.len() && beacon(rest) == Some((false, true)) => {
                "WPA3-Personal-Transition"
            }
            _ => return Some(said),
        },
    };
    Some(mode.to_owned())
}

/// The writes that make `mode`, BeaconType last: until then the new keys and modes have no effect.
pub(super) fn write_mode(
    sources: &[String],
    mode: &str,
    get: Get<'_>,
) -> Result<Vec<(String, String)>, Problem> {
    let refuse = |reason: &str| Err(Problem::Value(reason.to_owned()));
    let Some(beacon) = sources.first() else {
        return refuse(WORDS);
    };
    let (wpa, rsn, authentication) = match mode {
        "None" | "WEP-64" | "WEP-128" => (false, false, ""),
        "WPA-Personal" => (true, false, "PSKAuthentication"),
        "WPA2-Personal" => (false, true, "PSKAuthentication"),
        "WPA-WPA2-Personal" => (true, true, "PSKAuthentication"),
        "WPA-Enterprise" => (true, false, "EAPAuthentication"),
        "WPA2-Enterprise" => (false, true, "EAPAuthentication"),
        "WPA-WPA2-Enterprise" => (true, true, "EAPAuthentication"),
        _ => return refuse(WORDS),
    };
    if mode.starts_with("WEP") {
        let level = match wep_level(sources) {
            Some(level) => get(level).ok_or_else(|| Problem::Needs(level.clone()))?,
            None => String::new(),
        };
        let name = wep(&level);
        if mode != name {
            return refuse(&format!(
                "this device does not say which length of WEP key is in use; its WEP is {name}"
            ));
        }
    }
    let mut writes = Vec::new();
    let mut put = |name: &str, value: &str| match ending(sources, name) {
        Some(source) => {
            writes.push((source.clone(), value.to_owned()));
            true
        }
        None => false,
    };
    let value = match (wpa, rsn) {
        (false, false) => {
            let wep = mode != "None";
            if !put(BASIC, if wep { "WEPEncryption" } else { "None" }) && wep {
                return refuse("this device has no WEP");
            }
            put(BASIC_AUTH, "None");
            "Basic"
        }
        _ => {
            let enterprise = authentication == "EAPAuthentication";
            if wpa && !put(WPA_AUTH, authentication) && enterprise {
                return refuse("this device does not say how WPA authenticates");
            }
            if rsn && !put(RSN_AUTH, authentication) && enterprise {
                return refuse("this device does not say how WPA2 authenticates");
            }
            match (wpa, rsn) {
                (true, true) => "WPAand11i",
                (true, false) => "WPA",
                _ => "11i",
            }
        }
    };
    writes.push((beacon.clone(), value.to_owned()));
    Ok(writes)
}

const WORDS: &str = "TR-098 knows None, WEP-64, WEP-128, WPA-Personal, WPA2-Personal, WPA-WPA2-Personal and the same \
    with Enterprise";

/// What [`write_mode`] can make with the parameters there are.
pub(super) fn modes(sources: &[String], get: Get<'_>) -> String {
    let has = |name: &str| ending(sources, name).is_some();
    let mut modes = vec!["None"];
    if has(BASIC) {
        let level = wep_level(sources).and_then(|level| get(level));
        modes.push(wep(&level.unwrap_or_default()));
    }
    if has(WPA_AUTH) {
        modes.extend(["WPA-Personal", "WPA-Enterprise"]);
    }
    if has(RSN_AUTH) {
        modes.extend(["WPA2-Personal", "WPA2-Enterprise"]);
    }
    if has(WPA_AUTH) && has(RSN_AUTH) {
        modes.extend(["WPA-WPA2-Personal", "WPA-WPA2-Enterprise"]);
    }
    modes.join(",")
}

/// `EncryptionMode`: the ciphers of all modes that are on. WEP among them is shown as the device says it, because
/// TR-181 has no word for it.
pub(super) fn cipher(sources: &[String], get: Get<'_>) -> Option<String> {
    let (wpa, rsn) = beacon(&get(sources.first()?)?)?;
    let mut ciphers = [false; 2];
    let mut is_said = !wpa && !rsn;
    for (_, name) in [(wpa, WPA_CIPHER), (rsn, RSN_CIPHER)]
        .iter()
        .filter(|(on, _)| *on)
    {
        let Some(said) = ending(sources, name).and_then(|source| get(source)) else {
            continue;
        };
        if said.contains("WEP") {
            return Some(said);
        }
        is_said = true;
        ciphers[0] |= said.contains("TKIP");
        ciphers[1] |= said.contains("AES");
    }
    let names = ["TKIP", "AES"].into_iter().zip(ciphers);
    let on: Vec<_> = names.filter(|(_, on)| *on).map(|(name, _)| name).collect();
    is_said.then(|| on.join(","))
}

/// The writes that make the ciphers, for each of the modes that is on.
pub(super) fn write_cipher(
    sources: &[String],
    value: &str,
    get: Get<'_>,
) -> Result<Vec<(String, String)>, Problem> {
    let refuse = |reason: &str| Err(Problem::Value(reason.to_owned()));
    let Some(first) = sources.first() else {
        return refuse(WORDS);
    };
    let present = get(first).ok_or_else(|| Problem::Needs(first.clone()))?;
    let Some((wpa, rsn)) = beacon(&present) else {
        return refuse(&format!(
            "the security mode that is on, {present:?}, is not one of TR-181; set ModeEnabled, too"
        ));
    };
    let mut ciphers: Vec<_> = crate::value::list::items(value).collect();
    ciphers.sort_unstable();
    let said = match ciphers.iter().map(AsRef::as_ref).collect::<Vec<&str>>()[..] {
        ["AES"] => "AESEncryption",
        ["TKIP"] => "TKIPEncryption",
        ["AES", "TKIP"] => "TKIPandAESEncryption",
        // A mode without ciphers has none.
        [] if !wpa && !rsn => return Ok(Vec::new()),
        _ => {
            return refuse("TR-098 knows TKIP, AES and both together");
        }
    };
    let mut writes = Vec::new();
    for (on, name) in [(wpa, WPA_CIPHER), (rsn, RSN_CIPHER)] {
        if let Some(source) = ending(sources, name).filter(|_| on) {
            writes.push((source.clone(), said.to_owned()));
        }
    }
    if writes.is_empty() {
        return refuse("the security mode that is on has no ciphers to choose from");
    }
    Ok(writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Vec<String> {
        [
            "BeaconType",
            BASIC,
            BASIC_AUTH,
            WPA_AUTH,
            RSN_AUTH,
            WPA_CIPHER,
            RSN_CIPHER,
            WEP_LEVEL,
        ]
        .map(str::to_owned)
        .into()
    }

    #[test]
    fn every_mode_that_is_offered_can_be_written_and_is_read_back() {
        for (level, name, other) in [
            ("Disabled,40-bit,104-bit", "WEP-128", "WEP-64"),
            ("Disabled,40-bit", "WEP-64", "WEP-128"),
        ] {
            let sources = sources();
            let level = |path: &str| (path == WEP_LEVEL).then(|| level.to_owned());
            let offered = modes(&sources, &level);
            assert!(offered.split(',').any(|mode| mode == name), "{offered}");
            for offered in offered.split(',') {
                let writes = write_mode(&sources, offered, &level).unwrap();
                assert_eq!(writes.last().unwrap().0, "BeaconType");
                let get = |path: &str| {
                    let write = writes.iter().find(|(written, _)| written == path);
                    write.map(|(_, value)| value.clone()).or(level(path))
                };
                assert_eq!(mode(&sources, &get).as_deref(), Some(offered));
            }
            let refused = write_mode(&sources, other, &level);
            assert!(matches!(refused, Err(Problem::Value(reason)) if reason.ends_with(name)));
            let needs = Err(Problem::Needs(WEP_LEVEL.to_owned()));
            assert_eq!(write_mode(&sources, name, &|_| None), needs);
            assert!(write_mode(&sources, "WPA3-Personal", &level).is_err());
        }
    }

    #[test]
    fn bands_are_told_from_what_vendors_really_say() {
        let of = |name: &str, value: &str| {
            let known = Known {
                writable: None,
                value: Some(value.to_owned()),
            };
            let tree = BTreeMap::from([(format!("W.{name}"), known)]);
            band("W.", &tree)
        };
        assert_eq!(
            of("X_ACME_OperatingFrequencyBand", "5GHz"),
            Some(Band::Five)
        );
        assert_eq!(of("X_0000C5_BandLock", "X_0000C5_5.0GHz"), Some(Band::Five));
        assert_eq!(of("X_ACME_Bandwidth", "20MHz"), None);
        assert_eq!(of("X_ACME_Band", "2.4GHz"), Some(Band::Two));
        assert_eq!(of("PossibleChannels", "1-13"), Some(Band::Two));
        assert_eq!(of("PossibleChannels", "36,40,44,48"), Some(Band::Five));
        assert_eq!(of("Channel", "0"), None);
        assert_eq!(of("Channel", "149"), Some(Band::Five));
        assert_eq!(of("Standard", "b,g,n"), Some(Band::Two));
        assert_eq!(of("Standard", "ac"), Some(Band::Five));
        assert_eq!(of("Standard", "n"), None);
    }
}
