//! Ethernet and IP interfaces from /sys/class/net and the kernel's address list. A row's number is the interface
//! index, so it stays while the interface does.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use nix::ifaddrs::getifaddrs;

use super::text;

/// One address of an interface; the mask only for IPv4.
struct Address {
    ip: IpAddr,
    mask: Option<Ipv4Addr>,
}

fn directory(root: &Path) -> PathBuf {
    root.join("sys/class/net")
}

fn attribute(root: &Path, name: &str, attribute: &str) -> Option<String> {
    text(directory(root).join(name).join(attribute))
}

/// Names with their index, by index.
fn interfaces(root: &Path) -> Vec<(u32, String)> {
    let Ok(entries) = std::fs::read_dir(directory(root)) else {
        return Vec::new();
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let mut out: Vec<(u32, String)> = names
        .filter_map(|name| Some((attribute(root, &name, "ifindex")?.parse().ok()?, name)))
        .collect();
    out.sort();
    out
}

fn name_of(root: &Path, index: u32) -> Option<String> {
    interfaces(root)
        .into_iter()
        .find(|(known, _)| *known == index)
        .map(|(_, name)| name)
}

/// A cable or a virtual one: Ethernet frames (type 1), and neither a bridge, nor a traffic-shaping helper, nor a tap.
fn is_ethernet(root: &Path, name: &str) -> bool {
    let own = directory(root).join(name);
    attribute(root, name, "type").as_deref() == Some("1")
        && !["ifb", "dummy"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        && !["bridge", "tun_flags", "wireless", "bonding"]
            .iter()
            .any(|kind| own.join(kind).exists())
}

/// The address of the first Ethernet interface, which names the host's maker.
pub(super) fn first_mac(root: &Path) -> Option<String> {
    let all = interfaces(root);
    let (_, name) = all.iter().find(|(_, name)| is_ethernet(root, name))?;
    attribute(root, name, "address").filter(|mac| mac.len() == 17)
}

/// Addresses of the running kernel; a test's directory has none.
fn addresses(root: &Path, name: &str) -> Vec<Address> {
    if root != Path::new("/") {
        return Vec::new();
    }
    let Ok(all) = getifaddrs() else {
        return Vec::new();
    };
    let own = all.filter(|address| address.interface_name == name);
    own.filter_map(|address| {
        let socket = address.address?;
        if let Some(v4) = socket.as_sockaddr_in() {
            let mask = address
                .netmask
                .as_ref()
                .and_then(|mask| mask.as_sockaddr_in().map(|mask| mask.ip()));
            return Some(Address {
                ip: IpAddr::V4(v4.ip()),
                mask,
            });
        }
        socket.as_sockaddr_in6().map(|v6| Address {
            ip: IpAddr::V6(v6.ip()),
            mask: None,
        })
    })
    .collect()
}

/// Every interface that can have addresses.
fn is_ip(root: &Path, name: &str) -> bool {
    is_ethernet(root, name) || name == "lo" || !addresses(root, name).is_empty()
}

fn family(table: &str) -> Option<bool> {
    match table {
        "IPv4Address" => Some(true),
        "IPv6Address" => Some(false),
        _ => None,
    }
}

pub(super) fn instances(root: &Path, table: &str) -> Option<Vec<u32>> {
    let by = |wanted: fn(&Path, &str) -> bool| {
        interfaces(root)
            .into_iter()
            .filter(|(_, name)| wanted(root, name))
            .map(|(index, _)| index)
            .collect()
    };
    match table {
        "Device.Ethernet.Interface." | "Device.Ethernet.Link." => return Some(by(is_ethernet)),
        "Device.IP.Interface." => return Some(by(is_ip)),
        _ => {}
    }
    let (index, rest) = table
        .strip_prefix("Device.IP.Interface.")?
        .split_once('.')?;
    let v4 = family(rest.trim_end_matches('.'))?;
    let Some(name) = name_of(root, index.parse().ok()?) else {
        return Some(Vec::new());
    };
    let count = addresses(root, &name)
        .iter()
        .filter(|address| address.ip.is_ipv4() == v4)
        .count() as u32;
    Some((1..=count).collect())
}

pub(super) fn read(root: &Path, path: &str) -> Option<String> {
    if let Some(rest) = path.strip_prefix("Device.Ethernet.Interface.") {
        let (index, name) = rest.split_once('.')?;
        return ethernet(root, &name_of(root, index.parse().ok()?)?, name);
    }
    if let Some(rest) = path.strip_prefix("Device.Ethernet.Link.") {
        let (index, name) = rest.split_once('.')?;
        return match name {
            "LowerLayers" => Some(format!("Device.Ethernet.Interface.{index}")),
            name => ethernet(root, &name_of(root, index.parse().ok()?)?, name),
        };
    }
    match path {
        "Device.IP.IPv4Capable" => {
            return Some(root.join("proc/sys/net/ipv4").exists().to_string());
        }
        "Device.IP.IPv6Capable" => {
            return Some(root.join("proc/sys/net/ipv6").exists().to_string());
        }
        _ => {}
    }
    let (index, rest) = path.strip_prefix("Device.IP.Interface.")?.split_once('.')?;
    let name = name_of(root, index.parse().ok()?)?;
    if let Some((table, row)) = rest.split_once('.')
        && let Some(v4) = family(table)
    {
        let (number, param) = row.split_once('.')?;
        let nth = number.parse::<usize>().ok()?.checked_sub(1)?;
        let address = addresses(root, &name)
            .into_iter()
            .filter(|address| address.ip.is_ipv4() == v4)
            .nth(nth)?;
        return Some(match param {
            "Enable" => "true".into(),
            "Status" => "Enabled".into(),
            "Alias" => format!("cpe-{number}"),
            "IPAddress" => address.ip.to_string(),
            "SubnetMask" => address
                .mask
                .map(|mask| mask.to_string())
                .unwrap_or_default(),
            _ => return None,
        });
    }
    Some(match rest {
        "LowerLayers" if is_ethernet(root, &name) => format!("Device.Ethernet.Link.{index}"),
        "LowerLayers" => String::new(),
        "MaxMTUSize" => attribute(root, &name, "mtu")?
            .parse::<u32>()
            .ok()?
            .clamp(64, 65_535)
            .to_string(),
        "Type" => if name == "lo" { "Loopback" } else { "Normal" }.into(),
        rest => return ethernet(root, &name, rest),
    })
}

/// What Ethernet and IP interfaces have in common.
fn ethernet(root: &Path, name: &str, param: &str) -> Option<String> {
    let get = |what: &str| attribute(root, name, what);
    let flags = || {
        u32::from_str_radix(
            get("flags").unwrap_or_default().trim_start_matches("0x"),
            16,
        )
        .unwrap_or(0)
    };
    if let Some(counter) = param.strip_prefix("Stats.") {
        let file = match counter {
            "BytesSent" => "tx_bytes",
            "BytesReceived" => "rx_bytes",
            "PacketsSent" => "tx_packets",
            "PacketsReceived" => "rx_packets",
            "ErrorsSent" => "tx_errors",
            "ErrorsReceived" => "rx_errors",
            "DiscardPacketsSent" => "tx_dropped",
            "DiscardPacketsReceived" => "rx_dropped",
            "MulticastPacketsReceived" => "multicast",
            "Collisions" => "collisions",
            _ => return None,
        };
        let value: u64 = get(&format!("statistics/{file}"))?.parse().ok()?;
        // Error and discard counters are StatsCounter32, which wrap.
        let narrow = counter.starts_with("Errors") || counter.starts_with("Discard");
        return Some(
            if narrow {
                value & u64::from(u32::MAX)
            } else {
                value
            }
            .to_string(),
        );
    }
    Some(match param {
        // IFF_UP
        "Enable" => (flags() & 1 == 1).to_string(),
        "Status" => match get("operstate").as_deref() {
            Some("up") => "Up",
            // Loopback and tunnels have no state of their own (and no IFF_RUNNING here): switched on is all they can be.
            Some("unknown") if flags() & 1 == 1 => "Up",
            Some("unknown") => "Down",
            Some("dormant") => "Dormant",
            Some("notpresent") => "NotPresent",
            Some("lowerlayerdown") => "LowerLayerDown",
            _ => "Down",
        }
        .into(),
        "Alias" => format!("cpe-{name}"),
        "Name" => name.to_owned(),
        "MACAddress" => get("address")?.to_uppercase(),
        "MTU" => get("mtu")?,
        "Upstream" => default_route(root)
            .is_some_and(|route| route == name)
            .to_string(),
        "CurrentBitRate" => get("speed")
            .and_then(|speed| speed.parse::<u32>().ok())
            .unwrap_or(0)
            .to_string(),
        "CurrentDuplexMode" => match get("duplex").as_deref() {
            Some("full") => "Full",
            Some("half") => "Half",
            _ => "Unknown",
        }
        .into(),
        _ => return None,
    })
}

/// The interface of the default route.
fn default_route(root: &Path) -> Option<String> {
    let routes = text(root.join("proc/net/route"))?;
    routes.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let name = fields.next()?;
        (fields.next() == Some("00000000")).then(|| name.to_owned())
    })
}
