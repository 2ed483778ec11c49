//! One value under two paths: what a gateway tells under its own is known under that of TR-181 too,
//! and the other way round as far as somebody has looked there. So neither shows what is past.

use std::collections::BTreeMap;

use dm::mapping::{DEVICE_ROOT, GATEWAY_ROOT, Mapping};
use store::{ValueSource, ValueUpdate};

use super::desk::key;
use super::get::Got;
use super::inform::changes;
use super::limits::PARTS_BYTES_MAX;
use super::read;
use super::talk::Talk;
use crate::state::now;

/// Takes over what a Get has told of the other paths. What was asked is in its answer.
pub async fn learn(talk: &mut Talk, got: &Got) {
    match values(talk, got).await {
        Ok(values) if values.is_empty() => {}
        Ok(values) => keep(talk, values).await,
        Err(reason) => {
            tracing::debug!(%reason, device = %talk.desk.device, "the other path of a value stays as it is known");
        }
    }
}

async fn values(talk: &mut Talk, got: &Got) -> Result<BTreeMap<String, String>, String> {
    let desk = talk.desk.clone();
    let (line, known) = talk.known().await.map_err(|error| error.to_string())?;
    let Some(mapping) = &known.mapping else {
        return Ok(BTreeMap::new());
    };
    let answered = got
        .results
        .iter()
        .filter_map(|one| one.result.as_ref().ok());
    let answered: BTreeMap<&str, &str> = answered
        .flatten()
        .map(|one| (one.path.as_str(), one.value.as_str()))
        .collect();
    let mut own: BTreeMap<String, String> = answered
        .iter()
        .filter(|(path, _)| path.starts_with(GATEWAY_ROOT) && !mapping.to_device(path).is_empty())
        .map(|(path, value)| ((*path).to_owned(), (*value).to_owned()))
        .collect();
    let mut values = BTreeMap::new();
    if !own.is_empty() {
        let missing = mapping.missing(&own);
        let more = read::params(line, missing).await;
        own.extend(more.map_err(|error| error.to_string())?.texts());
        let told = mapping.values(&own).into_iter();
        values.extend(told.filter(|(path, _)| path.starts_with(DEVICE_ROOT)));
    }
    let names: Vec<String> = got.told.keys().cloned().collect();
    if !names.is_empty() {
        let store = desk.store();
        let seen = store.value_of(&desk.tenant, desk.device, &names).await;
        for one in seen.map_err(|error| error.to_string())? {
            if let Some(told) = got.told.get(&one.path).filter(|told| **told != one.value) {
                values.insert(one.path, told.clone());
            }
        }
    }
    values.retain(|path, _| !answered.contains_key(path.as_str()));
    Ok(values)
}

/// Of what an Inform tells what is only a part of values in TR-181, where other parts are missing: as
/// much as may wait for the device's turn.
pub fn parts(mapping: &Mapping, news: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if mapping.missing(&news).is_empty() {
        return BTreeMap::new();
    }
    let mut bytes = 0;
    let is_part = |(path, value): &(String, String)| {
        let alone = BTreeMap::from([(path.clone(), String::new())]);
        if mapping.missing(&alone).is_empty() {
            return false;
        }
        bytes += path.len() + value.len();
        bytes <= PARTS_BYTES_MAX
    };
    news.into_iter().filter(is_part).collect()
}

/// Values in TR-181 that are made of several of a gateway's, of which an Inform has told some: the
/// others are read. `changed`: it has told them as changes.
pub async fn complete(talk: &mut Talk, news: &BTreeMap<String, String>, changed: bool) {
    if let Err(reason) = completed(talk, news, changed).await {
        // The next Inform counts as news again.
        talk.desk.memory().told = 0;
        tracing::debug!(%reason, device = %talk.desk.device, "values that an Inform has told in part could not be read");
    }
}

async fn completed(
    talk: &mut Talk,
    news: &BTreeMap<String, String>,
    changed: bool,
) -> Result<(), String> {
    let desk = talk.desk.clone();
    let (line, known) = talk.known().await.map_err(|error| error.to_string())?;
    let Some(mapping) = &known.mapping else {
        return Ok(());
    };
    let missing = mapping.missing(news);
    let read = read::params(line, missing).await;
    let mut own = read.map_err(|error| error.to_string())?.texts();
    own.extend(news.clone());
    let before = mapping.values(news);
    let mut values = mapping.values(&own);
    values.retain(|path, _| path.starts_with(DEVICE_ROOT) && !before.contains_key(path));
    if changed {
        let paths: Vec<String> = values.keys().cloned().collect();
        let store = desk.store();
        let seen = store.value_of(&desk.tenant, desk.device, &paths).await;
        let seen = seen.map_err(|error| error.to_string())?.into_iter();
        let seen = seen.map(|one| (one.path, one.value)).collect();
        let at = now();
        let again = key(&[b"completed", &at.as_millis().to_le_bytes()]);
        let told = desk.tell(at, changes(&values, &seen), again).await;
        told.map_err(|error| error.to_string())?;
    }
    keep(talk, values).await;
    Ok(())
}

async fn keep(talk: &Talk, values: BTreeMap<String, String>) {
    let desk = &talk.desk;
    let values = values.into_iter().filter(|(path, value)| {
        value.len() <= store::limits::VALUE_BYTES_MAX && path.len() <= fleet::limits::PATH_BYTES_MAX
    });
    let values = values.map(|(path, value)| {
        let value = fleet::secret::kept(&path, value);
        (path, value)
    });
    let at = now();
    let update = ValueUpdate::of(values, ValueSource::Read, at);
    if let Err(error) = desk.keep(update, at).await {
        tracing::warn!(%error, device = %desk.device, "last-known values could not be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dm::mapping::{Discovered, Numbers};

    /// `PARTS_BYTES_MAX`
    #[test]
    fn of_what_an_inform_tells_only_parts_of_values_wait_and_only_so_much() {
        let row = |n: usize| format!("InternetGatewayDevice.LANDevice.1.WLANConfiguration.{n}.");
        let names = (1..=30)
            .flat_map(|n| {
                ["", "BeaconType", "WPAAuthenticationMode", "SSID"]
                    .map(|name| format!("{}{name}", row(n)))
            })
            .collect::<Vec<_>>();
        let found = names.iter().map(|name| Discovered::new(name));
        let mapping = Mapping::new(found, Numbers::default()).unwrap();
        let news = |count, value: &str| {
            let told = (1..=count).flat_map(|n| {
                ["BeaconType", "SSID"].map(|name| (format!("{}{name}", row(n)), value.to_owned()))
            });
            told.collect::<BTreeMap<_, _>>()
        };
        let one = parts(&mapping, news(1, "WPA"));
        assert_eq!(one.into_keys().collect::<Vec<_>>(), [row(1) + "BeaconType"]);
        let many = parts(&mapping, news(30, &"x".repeat(1024)));
        let bytes: usize = many
            .iter()
            .map(|(path, value)| path.len() + value.len())
            .sum();
        assert!((1..=PARTS_BYTES_MAX).contains(&bytes), "{bytes}");
        let alone = BTreeMap::from([(row(1) + "SSID", "net".to_owned())]);
        assert!(parts(&mapping, alone).is_empty());
    }
}
