//! A whole day with a gateway, as an adapter lives it: what is found is mapped, read, changed, added to, deleted from
//! and found again by the paths of TR-181, although the gateway only knows its own.

use std::collections::BTreeMap;

use dm::mapping::{Discovered, Mapping, Numbers, Write};
use dm::{ParamAccess, Path, Schema};

use super::trees::{self, Tree};

/// A gateway that answers the calls of CWMP, and nothing else.
struct Gateway(Tree);

impl Gateway {
    fn names(&self, below: &str) -> Vec<(String, bool)> {
        let below = self.0.keys().filter(|path| path.starts_with(below));
        let writable = |path: &String| match Schema::tr098().element(path) {
            Some(element) => match element.param() {
                Some(param) => param.access != ParamAccess::ReadOnly,
                None => element.object().access.can_add(),
            },
            None => true,
        };
        below.map(|path| (path.clone(), writable(path))).collect()
    }

    fn get(&self, names: &[&str]) -> BTreeMap<String, String> {
        // One wrong name and CWMP refuses the whole call.
        let value = |name: &&str| ((*name).to_owned(), self.0[*name].clone());
        names.iter().map(value).collect()
    }

    fn set(&mut self, writes: &[Write]) {
        for write in writes {
            let there = self.0.get_mut(&write.path);
            there
                .expect("only what is there is written")
                .clone_from(&write.value);
        }
    }

    fn add(&mut self, table: &str) -> u32 {
        let def = Schema::tr098()
            .object(&dm::path::supported_text(table))
            .unwrap();
        let taken = |n: &u32| self.0.contains_key(&format!("{table}{n}."));
        let number = (1..).find(|n| !taken(n)).unwrap();
        self.0.insert(format!("{table}{number}."), String::new());
        for param in &def.params {
            let path = format!("{table}{number}.{}", param.name);
            self.0.insert(path, param.initial_value().to_owned());
        }
        number
    }

    fn delete(&mut self, row: &str) {
        self.0.retain(|path, _| !path.starts_with(row));
    }
}

fn discover(gateway: &Gateway, numbers: Numbers) -> Mapping {
    let names = gateway.names("InternetGatewayDevice.");
    let wanted = Mapping::wants(names.iter().map(|(path, _)| path.as_str()));
    let values = gateway.get(&wanted);
    let found = names.iter().map(|(path, writable)| {
        let found = Discovered::new(path).writable(*writable);
        match values.get(path) {
            Some(value) => found.value(value),
            None => found,
        }
    });
    Mapping::new(found, numbers).unwrap()
}

fn get(gateway: &Gateway, mapping: &Mapping, path: &str) -> Vec<String> {
    let path = Path::parse(path).unwrap();
    let read = gateway.get(&mapping.reads(&[&path]));
    mapping
        .answer(&[&path], &read)
        .unwrap()
        .into_values()
        .collect()
}

fn set(gateway: &mut Gateway, mapping: &Mapping, sets: &[(&str, &str)]) {
    let context = mapping.context(sets.iter().map(|(path, _)| *path));
    let present = gateway.get(&context);
    let done = mapping.writes(sets.iter().copied(), &|path| present.get(path).cloned());
    assert_eq!(done.refused, []);
    gateway.set(&done.writes);
}

#[test]
fn a_gateway_of_another_model_lives_a_day_in_tr181() {
    let mut gateway = Gateway(trees::tree("triple-play"));
    let mut mapping = discover(&gateway, Numbers::default());

    // The customer's network is renamed and made safe, and reads back so.
    let point = "Device.WiFi.AccessPoint.[SSIDReference+.SSID==\"multi\"].Security.ModeEnabled";
    assert_eq!(get(&gateway, &mapping, point), ["WPA-Personal"]);
    let sets = [
        ("Device.WiFi.SSID.1.SSID", "at home"),
        (
            "Device.WiFi.AccessPoint.1.Security.ModeEnabled",
            "WPA2-Personal",
        ),
        ("Device.WiFi.AccessPoint.1.Security.EncryptionMode", "AES"),
    ];
    set(&mut gateway, &mapping, &sets);
    for (path, value) in sets {
        assert_eq!(get(&gateway, &mapping, path), [value]);
    }

    // A port is opened on the Internet connection.
    let table = "Device.NAT.PortMapping.";
    let params = [
        ("Interface", "Device.IP.Interface.7"),
        ("ExternalPort", "443"),
        ("InternalPort", "8443"),
        ("Protocol", "TCP"),
        ("InternalClient", "192.168.1.9"),
        ("Enable", "true"),
    ];
    let addition = mapping.addition(table, &params).unwrap();
    let number = gateway.add(&addition.table);
    let row = format!("{}{number}.", addition.table);
    let names = gateway.names(&row);
    let found = names
        .iter()
        .map(|(path, writable)| Discovered::new(path).writable(*writable));
    mapping.extend(found).unwrap();
    let added = mapping.row_in(table, &row).unwrap().to_owned();
    let rest = params
        .iter()
        .filter(|(name, _)| !addition.settled.contains(&(*name).to_owned()));
    let rest: Vec<_> = rest
        .map(|(name, value)| (format!("{added}{name}"), *value))
        .collect();
    let rest: Vec<_> = rest
        .iter()
        .map(|(path, value)| (path.as_str(), *value))
        .collect();
    set(&mut gateway, &mapping, &rest);
    for (name, value) in params {
        assert_eq!(get(&gateway, &mapping, &format!("{added}{name}")), [value]);
    }
    assert_eq!(
        get(&gateway, &mapping, "Device.NAT.PortMappingNumberOfEntries"),
        ["3"]
    );

    // An older one is closed; the server restarts; the new one is still the same row.
    let gone = mapping
        .deletion("Device.NAT.PortMapping.1.")
        .unwrap()
        .to_owned();
    gateway.delete(&gone);
    mapping.remove(&gone);
    let kept = mapping.numbers().to_string();
    let mapping = discover(&gateway, kept.parse().unwrap());
    assert_eq!(
        get(&gateway, &mapping, &format!("{added}ExternalPort")),
        ["443"]
    );
    assert_eq!(
        get(&gateway, &mapping, "Device.NAT.PortMapping.*.ExternalPort").len(),
        2
    );

    // The line drops: what is told under the gateway's names is heard under ours.
    let status = "Device.PPP.Interface.1.ConnectionStatus";
    let watched = Path::parse(status).unwrap();
    let watched = mapping.reads(&[&watched]).concat();
    let told = mapping.values(&BTreeMap::from([(watched, "Disconnected".to_owned())]));
    assert_eq!(told[status], "Disconnected");
}
