//! The order of the ways to a device, and which of them cannot be used.

use super::*;

fn reach() -> Reach {
    Reach {
        http_url: Some("http://198.51.100.7:7547/".into()),
        udp_address: Some("192.0.2.1:4000".into()),
        xmpp_jid: Some("cpe@example.net/x".into()),
        ..Reach::default()
    }
}

fn order(reach: &Reach, seen: Option<&str>, worked: Option<Method>) -> Vec<String> {
    let seen = seen.map(|seen| seen.parse().unwrap());
    let ways = ways(reach, seen, worked);
    ways.iter()
        .map(|way| format!("{} {}", way.method().as_str(), way.address()))
        .collect()
}

#[test]
fn what_worked_last_goes_first_and_a_nat_puts_http_last() {
    let (http, xmpp) = ("http http://198.51.100.7:7547/", "xmpp cpe@example.net/x");
    let udp = "udp 192.0.2.1:4000";
    assert_eq!(order(&reach(), None, None), [http, xmpp, udp]);
    let udp_first = order(&reach(), None, Some(Method::Udp));
    assert_eq!(udp_first, [udp, http, xmpp]);
    let behind = Reach {
        nat_detected: true,
        ..reach()
    };
    assert_eq!(order(&behind, None, None), [xmpp, udp, http]);
    // The address that our STUN server saw is fresher than the one that was told.
    let seen = order(&behind, Some("192.0.2.1:5000"), Some(Method::Udp));
    assert_eq!(seen, ["udp 192.0.2.1:5000", udp, xmpp, http]);
    let same = order(&behind, Some("192.0.2.1:4000"), None);
    assert_eq!(same, [xmpp, udp, http]);
    assert!(order(&Reach::default(), None, None).is_empty());
}

#[test]
fn a_private_url_beside_another_address_for_datagrams_is_behind_a_nat() {
    let told = |url: &str, udp: &str| Reach {
        http_url: Some(url.to_owned()),
        udp_address: Some(udp.to_owned()),
        ..Reach::default()
    };
    let first = |reach: &Reach, seen: Option<&str>| {
        let ways = ways(reach, seen.map(|seen| seen.parse().unwrap()), None);
        ways[0].method()
    };
    for (url, udp, method) in [
        (
            "http://192.168.178.20:7547/x",
            "192.0.2.1:4000",
            Method::Udp,
        ),
        // Two networks of an operator's own.
        ("http://192.168.178.20:7547/x", "10.0.0.9:4000", Method::Udp),
        ("http://100.64.0.9:7547/x", "192.0.2.1:4000", Method::Udp),
        ("http://[fd00::9]:7547/x", "[2001:db8::1]:4000", Method::Udp),
        // No NAT is between: it tells its own address.
        ("http://10.0.0.9:7547/x", "10.0.0.9:4000", Method::Http),
        ("http://198.51.100.7:7547/x", "192.0.2.1:4000", Method::Http),
        ("http://cpe.example.net/x", "192.0.2.1:4000", Method::Http),
    ] {
        assert_eq!(first(&told(url, udp), None), method, "{url} {udp}");
    }
    // The address that our STUN server saw says the same.
    let silent = told("http://192.168.178.20:7547/x", "");
    assert_eq!(first(&silent, None), Method::Http);
    assert_eq!(first(&silent, Some("192.0.2.1:5000")), Method::Udp);
}

#[test]
fn what_cannot_be_used_comes_last_and_says_why() {
    for (url, why) in [
        ("not a url", "http:// or https://"),
        ("ftp://127.0.0.1/", "http:// or https://"),
        ("http://127.0.0.1:99999/", "port"),
        ("http://127.0.0.1/a b", "spaces"),
    ] {
        let reach = Reach {
            http_url: Some(url.to_owned()),
            ..reach()
        };
        let ways = ways(&reach, None, Some(Method::Http));
        let shown: Vec<_> = ways.iter().map(Way::shown).collect();
        let last = shown.last().unwrap();
        assert_eq!((&*last.method, &*last.address), ("http", url));
        assert!(last.problem.as_ref().unwrap().contains(why), "{last:?}");
        assert!(shown[..2].iter().all(|way| way.problem.is_none()));
    }
}

#[test]
fn addresses_of_datagrams_are_read_as_devices_write_them() {
    let read = |text| udp::address(text).map(|address| address.to_string());
    for (text, expected) in [
        ("192.0.2.1:4000", Some("192.0.2.1:4000")),
        (" 192.0.2.1 ", Some("192.0.2.1:80")),
        ("[2001:db8::1]:80", Some("[2001:db8::1]:80")),
        ("2001:db8::1", Some("[2001:db8::1]:80")),
        ("192.0.2.1:0", None),
        ("example.net:80", None),
        ("", None),
    ] {
        assert_eq!(read(text).as_deref(), expected, "{text}");
    }
}
