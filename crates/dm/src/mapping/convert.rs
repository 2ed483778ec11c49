//! How one value crosses, in either direction. What a device reports is never refused: what cannot be translated is
//! shown as it is. What somebody wants to write is translated exactly or refused with a reason.

use std::collections::BTreeMap;

use super::expand::reference;
use super::rules::{How, Pair, ParamRule, Template};
use super::wifi;
use super::{DEVICE_ROOT, GATEWAY_ROOT, Mapping};
use crate::value::{BaseType, Value, list};

/// Looks up the value of a gateway parameter.
pub(super) type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The other side has no such value.
    Value(String),
    /// It depends on the present value of this gateway parameter, which is not known.
    Needs(String),
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Value(reason.into()))
}

/// The TR-181 value; `None` if a source that decides it has no value.
pub(super) fn read(
    mapping: &Mapping,
    rule: &ParamRule,
    sources: &[String],
    get: Get<'_>,
) -> Option<String> {
    let value = || get(sources.first()?);
    Some(match &rule.how {
        How::Same | How::Each => canonical(rule, value()?),
        How::Enum { pairs, .. } => {
            let value = value()?;
            if rule.is_list_of_both() {
                list::join(list::items(&value).map(|item| named(pairs, &item)))
            } else {
                named(pairs, &value)
            }
        }
        How::Times(factor) => {
            let value = value()?;
            times(&value, *factor).unwrap_or(value)
        }
        How::Over(divisor) => {
            let value = value()?;
            let number = value.trim().parse::<i64>().ok();
            number.map_or(value, |number| (number / i64::from(*divisor)).to_string())
        }
        How::Ref(tables) => {
            let value = value()?;
            let to = |path: &str| counterpart(mapping, path, tables);
            if rule.is_list() {
                list::join(list::items(&value).map(|path| to(&path)))
            } else {
                to(value.trim())
            }
        }
        How::Path => {
            let to = |path: &str| {
                let device = mapping.to_device(path).first().copied();
                device.unwrap_or(path).to_owned()
            };
            let value = value()?;
            if rule.is_list() {
                list::join(list::items(&value).map(|path| to(&path)))
            } else {
                to(value.trim())
            }
        }
        How::List => {
            let items = sources.iter().filter_map(|source| get(source));
            list::join(items.filter(|item| !item.is_empty()))
        }
        How::Item(n) => list::items(&value()?)
            .nth(n - 1)
            .map(|item| item.into_owned())
            .unwrap_or_default(),
        How::HexBase64 => {
            let value = value()?;
            match Value::parse(BaseType::Base64, &value) {
                Ok(Value::Base64(bytes)) => Value::HexBinary(bytes).to_string(),
                _ => value,
            }
        }
        How::HexText => Value::HexBinary(value()?.into_bytes()).to_string(),
        How::Offset => {
            let value = value()?;
            zone_of_offset(&value).unwrap_or(value)
        }
        How::SecurityMode => wifi::mode(sources, get)?,
        How::SecurityModes => wifi::modes(sources, get),
        How::Cipher => wifi::cipher(sources, get)?,
        How::Const(_) | How::Nth(_) | How::Link(_) | How::Members(_) | How::Band => return None,
    })
}

/// The gateway parameters and values that make the TR-181 parameter be `value`, in the order to write them.
pub(super) fn write(
    mapping: &Mapping,
    rule: &ParamRule,
    sources: &[String],
    value: &str,
    current: Get<'_>,
) -> Result<Vec<(String, String)>, Problem> {
    let Some(first) = sources.first() else {
        return refuse("it follows from what the device has");
    };
    let one = |value: String| Ok(vec![(first.clone(), value)]);
    match &rule.how {
        How::Same => one(lexical(rule, value)?),
        How::Each => {
            let value = lexical(rule, value)?;
            Ok(sources
                .iter()
                .map(|source| (source.clone(), value.clone()))
                .collect())
        }
        How::Enum { pairs, open } => {
            if rule.is_list_of_both() {
                let items = list::items(value).map(|item| unnamed(pairs, *open, &item));
                one(list::join(items.collect::<Result<Vec<_>, _>>()?))
            } else {
                let value = canonical(rule, value.to_owned());
                one(unnamed(pairs, *open, &value)?)
            }
        }
        How::Times(factor) => match value.trim().parse::<i64>() {
            Ok(number) if number % i64::from(*factor) == 0 => {
                one((number / i64::from(*factor)).to_string())
            }
            _ => refuse(format!("TR-098 only has whole multiples of {factor}")),
        },
        How::Over(divisor) => {
            let number = value.trim().parse::<i64>().ok();
            match number.and_then(|number| number.checked_mul(i64::from(*divisor))) {
                Some(number) => one(number.to_string()),
                None => refuse("not a whole number"),
            }
        }
        How::Ref(tables) => {
            let dot = current(first).is_some_and(|value| value.ends_with('.'));
            let to = |path: &str| target(mapping, path, tables, dot);
            if rule.is_list() {
                let paths = list::items(value).map(|path| to(&path));
                one(list::join(paths.collect::<Result<Vec<_>, _>>()?))
            } else {
                one(to(value.trim())?)
            }
        }
        How::Path => match mapping.to_gateway(value).first() {
            Some(gateway) => one((*gateway).to_owned()),
            None if value.starts_with(DEVICE_ROOT) => {
                refuse(format!("{value} has no counterpart on this device"))
            }
            None => one(value.to_owned()),
        },
        How::List => {
            let mut items = list::items(value).map(|item| item.into_owned());
            let filled: Vec<_> = sources
                .iter()
                .map(|source| (source.clone(), items.next().unwrap_or_default()))
                .collect();
            match items.next() {
                None => Ok(filled),
                Some(_) => refuse(format!("this device has room for {} items", sources.len())),
            }
        }
        How::Item(n) => {
            let present = current(first).ok_or_else(|| Problem::Needs(first.clone()))?;
            one(with_items(&present, &BTreeMap::from([(*n, value)]))?)
        }
        How::HexBase64 => match Value::parse(BaseType::HexBinary, value) {
            Ok(Value::HexBinary(bytes)) => one(Value::Base64(bytes).to_string()),
            _ => refuse("not hexadecimal"),
        },
        How::HexText => match Value::parse(BaseType::HexBinary, value) {
            Ok(Value::HexBinary(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => one(text),
                Err(_) => refuse("TR-098 has text here, and these bytes are none"),
            },
            _ => refuse("not hexadecimal"),
        },
        How::Offset => match offset_of_zone(value) {
            Some(offset) => one(offset),
            None => refuse("this device only has an offset from UTC: UTC, UTC-1, UTC-05:30, ..."),
        },
        How::SecurityMode => wifi::write_mode(sources, value, current),
        How::Cipher => wifi::write_cipher(sources, value, current),
        How::Const(_)
        | How::Nth(_)
        | How::Link(_)
        | How::Members(_)
        | How::SecurityModes
        | How::Band => refuse("it follows from what the device has"),
    }
}

/// A gateway list with some items, by their number from 1, set anew. Each of the others stays in its place: where that
/// would leave a gap the list cannot say it.
pub(super) fn with_items(present: &str, set: &BTreeMap<usize, &str>) -> Result<String, Problem> {
    let there: Vec<_> = list::items(present).collect();
    let mut items: Vec<&str> = there.iter().map(AsRef::as_ref).collect();
    for (n, value) in set {
        if items.len() < *n {
            items.resize(*n, "");
        }
        if let Some(item) = items.get_mut(n - 1) {
            *item = value;
        }
    }
    while items.last().is_some_and(|last| last.is_empty()) {
        items.pop();
    }
    let is_new = |at: usize| there.get(at).is_none_or(|item| !item.is_empty());
    let gap = items
        .iter()
        .enumerate()
        .find(|(at, item)| item.is_empty() && is_new(*at));
    match gap {
        Some((at, _)) => refuse(format!(
            "the list of this device cannot have item {} without item {}",
            items.len(),
            at + 1
        )),
        None if there == items => Ok(present.to_owned()),
        None => Ok(list::join(items)),
    }
}

fn canonical(rule: &ParamRule, value: String) -> String {
    let normalised = rule
        .device
        .and_then(|param| param.ty.normalise(&value).ok());
    normalised.unwrap_or(value)
}

/// `value` if the gateway's type has such a form. Ranges are the device's to judge: many accept more than TR-098 says.
/// A text stays as it is, also where TR-098 has a number: a PIN may start with zeros.
fn lexical(rule: &ParamRule, value: &str) -> Result<String, Problem> {
    let Some(gateway) = rule.gateway else {
        return Ok(value.to_owned());
    };
    let normalised = gateway.ty.normalise(value);
    let normalised = normalised.map_err(|error| Problem::Value(error.to_string()))?;
    let is_text = rule
        .device
        .is_some_and(|param| param.ty.base == BaseType::String);
    Ok(if is_text {
        value.to_owned()
    } else {
        normalised
    })
}

fn named(pairs: &[Pair], value: &str) -> String {
    let value = value.trim();
    let exact = pairs.iter().find(|pair| pair.gateway == value);
    let found = exact.or_else(|| {
        pairs
            .iter()
            .find(|pair| pair.gateway.eq_ignore_ascii_case(value))
    });
    // `1` and `True` are the `true` of a pair.
    let found = found.or_else(|| {
        let canonical = crate::value::normalise(BaseType::Boolean, value).ok()?;
        pairs.iter().find(|pair| pair.gateway == canonical)
    });
    let found = found.or_else(|| pairs.iter().find(|pair| pair.gateway == "*"));
    found.map_or(value, |pair| pair.device).to_owned()
}

fn unnamed(pairs: &[Pair], open: bool, value: &str) -> Result<String, Problem> {
    let mut writable = pairs.iter().filter(|pair| !pair.read_only);
    if let Some(pair) = writable.clone().find(|pair| pair.device == value) {
        return Ok(pair.gateway.to_owned());
    }
    if open {
        return Ok(value.to_owned());
    }
    let first = writable.next().map(|pair| pair.device);
    let words = writable.fold(first.unwrap_or_default().to_owned(), |words, pair| {
        format!("{words}, {}", pair.device)
    });
    refuse(format!(
        "TR-098 has no counterpart of {value:?}; it has {words}"
    ))
}

/// The TR-181 path of what a TR-098 path points to, or of the object around it; the path itself if there is none.
fn counterpart(mapping: &Mapping, path: &str, tables: &[Template]) -> String {
    let mut object = path.trim_end_matches('.');
    while object.starts_with(GATEWAY_ROOT) {
        let rows = mapping
            .by_gateway
            .get(&format!("{object}."))
            .into_iter()
            .flatten();
        for row in rows.filter_map(|row| mapping.rows.get(*row)) {
            let is_wanted = |table: &Template| table.supported == row.rule.device.supported;
            if tables.iter().any(is_wanted) {
                return reference(&row.device);
            }
        }
        object = object.rfind('.').map_or("", |dot| &object[..dot]);
    }
    path.to_owned()
}

/// The TR-098 path of what a TR-181 path points to.
fn target(
    mapping: &Mapping,
    path: &str,
    tables: &[Template],
    dot: bool,
) -> Result<String, Problem> {
    if path.is_empty() || path.starts_with(GATEWAY_ROOT) {
        return Ok(path.to_owned());
    }
    let object = format!("{}.", path.trim_end_matches('.'));
    let row = mapping
        .by_device
        .get(&object)
        .and_then(|row| mapping.rows.get(*row));
    match row {
        None => refuse(format!(
            "this device has no {object} with a counterpart in TR-098"
        )),
        Some(row)
            if !tables
                .iter()
                .any(|table| table.supported == row.rule.device.supported) =>
        {
            let allowed: Vec<_> = tables
                .iter()
                .map(|table| table.supported.as_str())
                .collect();
            refuse(format!("it should be one of {}", allowed.join(" ")))
        }
        Some(row) if dot => Ok(row.gateway.clone()),
        Some(row) => Ok(reference(&row.gateway)),
    }
}

/// `54` or `5.5`, times a factor, without rounding errors.
fn times(value: &str, factor: u32) -> Option<String> {
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), "0"));
    if fraction.len() > 9 || fraction.bytes().any(|b| !b.is_ascii_digit()) {
        return None;
    }
    let digits = u32::try_from(fraction.len()).ok()?;
    let fraction: i128 = fraction.parse().ok()?;
    let whole: i128 = i128::from(whole.parse::<i64>().ok()?);
    let factor = i128::from(factor);
    Some((whole * factor + fraction * factor / 10_i128.pow(digits)).to_string())
}

/// `+01:00` is one hour ahead of UTC, which POSIX writes `UTC-1`.
fn zone_of_offset(offset: &str) -> Option<String> {
    let (sign, rest) = match offset.trim().as_bytes().first()? {
        b'+' => ('-', &offset.trim()[1..]),
        b'-' => ('+', &offset.trim()[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    Some(match (hours, minutes) {
        (0, 0) => "UTC".to_owned(),
        (_, 0) => format!("UTC{sign}{hours}"),
        _ => format!("UTC{sign}{hours:02}:{minutes:02}"),
    })
}

fn offset_of_zone(zone: &str) -> Option<String> {
    let rest = zone
        .trim()
        .strip_prefix("UTC")
        .or_else(|| zone.trim().strip_prefix("GMT"))?;
    if rest.is_empty() {
        return Some("+00:00".to_owned());
    }
    let (sign, rest) = match rest.as_bytes().first()? {
        b'-' => ('+', &rest[1..]),
        b'+' => ('-', &rest[1..]),
        b'0'..=b'9' => ('-', rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
    (hours <= 14 && minutes <= 59).then(|| format!("{sign}{hours:02}:{minutes:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_posix_zones_with_the_other_sign_and_come_back() {
        for (offset, zone) in [
            ("+01:00", "UTC-1"),
            ("-05:30", "UTC+05:30"),
            ("+00:00", "UTC"),
        ] {
            assert_eq!(zone_of_offset(offset).as_deref(), Some(zone));
            assert_eq!(offset_of_zone(zone).as_deref(), Some(offset));
        }
        assert_eq!(offset_of_zone("CET-1CEST,M3.5.0,M10.5.0/3"), None);
        assert_eq!(zone_of_offset("x"), None);
    }

    #[test]
    fn rates_with_a_fraction_are_exact() {
        assert_eq!(times("5.5", 1000).as_deref(), Some("5500"));
        assert_eq!(times("54", 1000).as_deref(), Some("54000"));
        assert_eq!(times("Auto", 1000), None);
        assert_eq!(
            times("9223372036854775807", 4_000_000_000).map(|n| n.len()),
            Some(29)
        );
    }
}
