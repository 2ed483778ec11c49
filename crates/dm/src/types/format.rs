//! Formats that come with named data types of TR-106. Only those a wrong value of which is certainly a mistake; a data
//! type that is not here restricts nothing beyond its sizes and ranges.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A format of a text value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A name that starts with a letter, at most 64 characters (`Alias`, `_AliasUSP`).
    Alias,
    /// Six bytes in hexadecimal with colons, or nothing.
    MacAddress,
    /// Eight bytes in hexadecimal with colons, or nothing.
    Eui64,
    /// An IPv4 or IPv6 address, or nothing.
    IpAddress,
    /// An IPv4 address, or nothing.
    Ipv4Address,
    /// An IPv6 address, or nothing.
    Ipv6Address,
    /// An IPv4 or IPv6 prefix (the length may be missing), or nothing.
    IpPrefix,
    /// An IPv4 prefix, or nothing.
    Ipv4Prefix,
    /// An IPv6 prefix, or nothing.
    Ipv6Prefix,
    /// A UUID, or nothing.
    Uuid,
}

impl Format {
    /// The format of a named data type, if it has one that is checked.
    pub fn of_datatype(name: &str) -> Option<Format> {
        Some(match name {
            "Alias" | "_AliasUSP" | "_AliasCWMP" => Format::Alias,
            "MACAddress" => Format::MacAddress,
            "IEEE_EUI64" => Format::Eui64,
            "IPAddress" => Format::IpAddress,
            "IPv4Address" => Format::Ipv4Address,
            "IPv6Address" => Format::Ipv6Address,
            "IPPrefix" => Format::IpPrefix,
            "IPv4Prefix" => Format::Ipv4Prefix,
            "IPv6Prefix" => Format::Ipv6Prefix,
            "UUID" => Format::Uuid,
            _ => return None,
        })
    }

    /// In words, for an error: "... is not".
    pub fn expected(self) -> &'static str {
        match self {
            Format::Alias => "a name of at most 64 characters that starts with a letter",
            Format::MacAddress => "a MAC address such as 00:25:6D:01:02:03",
            Format::Eui64 => "an EUI-64 address such as 00:25:6D:FF:FE:01:02:03",
            Format::IpAddress => "an IPv4 or IPv6 address",
            Format::Ipv4Address => "an IPv4 address such as 192.0.2.1",
            Format::Ipv6Address => "an IPv6 address such as 2001:db8::1",
            Format::IpPrefix => "an IPv4 or IPv6 prefix such as 192.0.2.0/24",
            Format::Ipv4Prefix => "an IPv4 prefix such as 192.0.2.0/24",
            Format::Ipv6Prefix => "an IPv6 prefix such as 2001:db8::/32",
            Format::Uuid => "a UUID such as 123e4567-e89b-42d3-a456-426614174000",
        }
    }

    /// Does `text` have it?
    pub fn holds(self, text: &str) -> bool {
        if self == Format::Alias {
            return text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().count() <= 64;
        }
        // TR-106 allows the empty text for every one of these: "not known" or "none".
        if text.is_empty() {
            return true;
        }
        match self {
            Format::Alias => true,
            Format::MacAddress => octets(text, 6),
            Format::Eui64 => octets(text, 8),
            Format::IpAddress => v4(text) || v6(text),
            Format::Ipv4Address => v4(text),
            Format::Ipv6Address => v6(text),
            Format::IpPrefix => prefix(text, v4, 32) || prefix(text, v6, 128),
            Format::Ipv4Prefix => prefix(text, v4, 32),
            Format::Ipv6Prefix => prefix(text, v6, 128),
            Format::Uuid => uuid(text),
        }
    }
}

fn v4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

fn v6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

fn prefix(text: &str, address: fn(&str) -> bool, bits: u32) -> bool {
    match text.split_once('/') {
        None => address(text),
        Some((base, length)) => {
            let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
            // "/0" is the standard's own default of the MAP rules: a length without an address.
            (base.is_empty() || address(base))
                && digits
                && length.parse::<u32>().is_ok_and(|n| n <= bits)
        }
    }
}

fn octets(text: &str, count: usize) -> bool {
    let is_octet = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(':').count() == count && text.split(':').all(is_octet)
}

fn uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups
            .iter()
            .all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}
