//! The hosts of a home: who is there at a moment, as a pure function of a seed and the time since boot.
//! Rows get a new instance number each time a host comes back, as on real devices.

use crate::model::Hosts;
use crate::motion::{Motion, mix, unit};
use std::time::Duration;

/// A host's name and whether it uses Wi-Fi.
const NAMES: &[(&str, bool)] = &[
    ("phone", true),
    ("laptop", true),
    ("tv", true),
    ("printer", true),
    ("nas", false),
    ("tablet", true),
    ("console", false),
    ("speaker", true),
    ("camera", true),
    ("watch", true),
    ("desktop", false),
];

/// Shortest and longest time between two arrivals of one host, in seconds.
const CYCLE_SECONDS: [f64; 2] = [240.0, 2400.0];
/// The part of its cycle that a host is at home.
const AT_HOME: f64 = 0.72;

/// One home.
#[derive(Clone, Copy, Debug)]
pub struct Home {
    seed: u64,
    members: u32,
    wired: bool,
}

/// One host while it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its row's instance number.
    pub number: u32,
    member: u32,
}

impl Home {
    /// A home with between `count[0]` and `count[1]` hosts, both included.
    pub fn new(seed: u64, hosts: &Hosts) -> Home {
        let count = hosts.count;
        let spread = count[1].saturating_sub(count[0]) + 1;
        let members = count[0] + (unit(seed, 11) * f64::from(spread)) as u32;
        let wired = hosts.wired.is_some();
        Home {
            seed,
            members,
            wired,
        }
    }

    /// Who is there `elapsed` after boot, by instance number.
    pub fn present(&self, elapsed: Duration) -> Vec<Host> {
        let mut there: Vec<Host> = (0..self.members)
            .filter_map(|member| {
                let [shortest, longest] = CYCLE_SECONDS;
                let cycle = shortest + (longest - shortest) * unit(self.seed_of(member), 1);
                let turn = elapsed.as_secs_f64() / cycle + unit(self.seed_of(member), 2) * AT_HOME;
                (turn.fract() < AT_HOME).then(|| Host {
                    number: 1 + member + self.members * turn.floor() as u32,
                    member,
                })
            })
            .collect();
        there.sort_by_key(|host| host.number);
        there
    }

    /// The host behind an instance number, whether or not it is there now.
    pub fn by_number(&self, number: u32) -> Option<Host> {
        let member = number.checked_sub(1)?.checked_rem(self.members)?;
        Some(Host { number, member })
    }

    /// Whether the host uses Wi-Fi.
    pub fn on_wifi(&self, host: Host) -> bool {
        !self.wired || self.kind(host).1
    }

    /// A value of the host's row in its table or of its address below it, by its name in TR-181 or
    /// TR-098.
    pub fn host_value(&self, host: Host, hosts: &Hosts, name: &str) -> Option<String> {
        let wifi = self.on_wifi(host);
        let reference = |path: &str| path.trim_end_matches('.').to_owned();
        Some(match name {
            "Alias" => format!("cpe-{}", host.number),
            "PhysAddress" | "MACAddress" => self.mac(host),
            "IPAddress" | "IPv4Address.1.IPAddress" => {
                format!("{}{}", hosts.network, 100 + host.member)
            }
            "AddressSource" => "DHCP".to_owned(),
            "AssociatedDevice" if wifi => format!("{}{}", hosts.wifi, host.number),
            "Layer1Interface" | "Layer2Interface" if wifi => reference(&hosts.interface),
            "Layer1Interface" | "Layer2Interface" => hosts.wired.as_deref().map(reference)?,
            "LeaseTimeRemaining" => "3600".to_owned(),
            // TR-098 has the name of the standard, TR-181 that of the people.
            "InterfaceType" if wifi && hosts.table.starts_with("Internet") => "802.11".to_owned(),
            "InterfaceType" if wifi => "Wi-Fi".to_owned(),
            "InterfaceType" => "Ethernet".to_owned(),
            "HostName" => format!("{}-{}", self.kind(host).0, host.member + 1),
            "Active" => "true".to_owned(),
            _ => return None,
        })
    }

    /// A value of the host's row among the stations of an access point.
    pub fn station_value(&self, host: Host, elapsed: Duration, name: &str) -> Option<String> {
        let seed = self.seed_of(host.member);
        let walk = |low, high, salt| {
            Motion::Walk { low, high }
                .at(mix(seed ^ salt), elapsed)
                .to_string()
        };
        Some(match name {
            "MACAddress" => self.mac(host),
            "AuthenticationState" | "Active" => "true".to_owned(),
            "OperatingStandard" => "ax".to_owned(),
            "SignalStrength" => walk(-82.0, -38.0, 1),
            "Noise" => walk(-100.0, -88.0, 2),
            "LastDataDownlinkRate" => walk(54_000.0, 1_200_000.0, 3),
            "LastDataUplinkRate" => walk(24_000.0, 600_000.0, 4),
            "Retransmissions" => walk(0.0, 30.0, 5),
            _ => return None,
        })
    }

    fn mac(&self, host: Host) -> String {
        let bits = mix(self.seed_of(host.member)).to_be_bytes();
        format!(
            "02:5A:{:02X}:{:02X}:{:02X}:{:02X}",
            bits[0], bits[1], bits[2], host.member
        )
    }

    fn kind(&self, host: Host) -> (&'static str, bool) {
        let first = mix(self.seed) as usize;
        NAMES[(first.wrapping_add(host.member as usize)) % NAMES.len()]
    }

    fn seed_of(&self, member: u32) -> u64 {
        mix(self.seed ^ (u64::from(member) << 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn hosts_come_and_go_and_come_back_under_a_new_number() {
        let model = crate::model::Kind::Gateway.model().unwrap();
        let home = Home::new(42, &model.hosts);
        let mut ever = BTreeSet::new();
        let mut sizes = BTreeSet::new();
        for minute in 0..600 {
            let there = home.present(Duration::from_secs(minute * 60));
            sizes.insert(there.len());
            for host in there {
                ever.insert(host.number);
                assert_eq!(home.by_number(host.number), Some(host));
            }
        }
        assert!(sizes.len() > 1, "nobody ever came or went");
        assert!(ever.len() > home.members as usize, "nobody came back");
    }

    #[test]
    fn an_empty_home_has_no_hosts() {
        let home = Home {
            seed: 1,
            members: 0,
            wired: true,
        };
        assert!(home.present(Duration::from_secs(99)).is_empty());
        assert_eq!(home.by_number(1), None);
    }
}
