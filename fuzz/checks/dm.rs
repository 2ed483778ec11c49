//! What the `path` and `expression` targets check. A file of its own because the ordinary tests of `dm` replay the
//! seeds through the same functions.

use std::collections::BTreeMap;

use dm::resolve::Snapshot;
use dm::{Addressing, KeyExpr, Limits, Path, Schema, addressing, resolve};

/// Reads a path and, where it is one, checks that it prints to something that reads the same, that its parts make the
/// whole, and that it can be resolved. Says whether it is a path.
pub fn path(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let path = match Path::parse(text) {
        Ok(path) => path,
        Err(error) => {
            assert!(error.at <= text.chars().count());
            return false;
        }
    };
    assert_eq!(Path::parse(path.as_str()).as_ref(), Ok(&path));
    assert!(path.segments().count() > 0);
    assert!(path.supported().len() >= path.name().len());
    if let Some(parent) = path.parent() {
        assert!(path.starts_with(&parent));
    }
    resolves(&path);
    true
}

/// Reads comparisons as they stand in brackets and applies them to a small device. Says whether they are any.
pub fn expression(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(keys) = KeyExpr::parse_all(text) else {
        return false;
    };
    let printed: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let printed = printed.join("&&");
    assert_eq!(KeyExpr::parse_all(&printed), Ok(keys));
    for table in ["Device.WiFi.SSID", "Device.WiFi.Radio"] {
        if let Ok(path) = Path::parse(&format!("{table}.[{printed}].")) {
            resolves(&path);
        }
    }
    true
}

fn resolves(path: &Path) {
    let values = values();
    let tree = Snapshot::new(Schema::tr181(), &values);
    let limits = Limits {
        results_max: 1000,
        steps_max: 10_000,
    };
    if let Ok(found) = resolve(path, &tree, limits) {
        assert!(found.len() <= limits.results_max);
        if addressing(path, Schema::tr181()) == Addressing::Plain {
            assert!(found.len() <= 1);
        }
        for at in &found {
            assert!(Path::parse(at).is_ok_and(|at| at.is_plain()));
        }
    }
}

/// The device that paths are resolved against.
pub fn values() -> BTreeMap<String, String> {
    let rows = [
        ("Device.WiFi.Radio.1.Alias", "r1"),
        ("Device.WiFi.Radio.1.Enable", "1"),
        ("Device.WiFi.Radio.1.Channel", "6"),
        ("Device.WiFi.Radio.1.PossibleChannels", "1, 6,11"),
        ("Device.WiFi.SSID.1.Alias", "lan"),
        ("Device.WiFi.SSID.1.Enable", "true"),
        ("Device.WiFi.SSID.1.LowerLayers", "Device.WiFi.Radio.1"),
        ("Device.WiFi.SSID.1.Stats.BytesSent", "10000000000"),
        ("Device.WiFi.SSID.2.Alias", "guest"),
        ("Device.WiFi.SSID.2.Enable", "garbage"),
        (
            "Device.WiFi.SSID.2.LowerLayers",
            "Device.WiFi.SSID.1.,Device.[,",
        ),
        ("Device.Time.CurrentLocalTime", "2026-03-01T12:00:00Z"),
    ];
    rows.iter()
        .map(|(path, value)| ((*path).to_owned(), (*value).to_owned()))
        .collect()
}
