//! Streams against what servers say.

use super::*;

const OPENED: &str = "<?xml version='1.0'?><stream:stream id='1' from='example.net' version='1.0' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const MECHANISMS: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism><mechanism>PLAIN</mechanism></mechanisms></stream:features>";

fn stream(secure: bool) -> Stream {
    let jid = Jid::parse("acs@example.net/headend").unwrap();
    Stream::new(jid, "pencil".into(), "fyko+d2lbbFgONRv9qkxdawL", secure)
}

fn sent(stream: &mut Stream) -> String {
    std::iter::from_fn(|| stream.poll_transmit()).collect()
}

fn told(stream: &mut Stream, text: &str) -> Vec<Event> {
    stream.handle_input(text.as_bytes());
    std::iter::from_fn(|| stream.poll_event()).collect()
}

fn failed(events: &[Event]) -> Option<(&str, bool)> {
    match events {
        [Event::Failed { reason, account }] => Some((reason, *account)),
        _ => None,
    }
}

/// As far as stanzas may be sent.
fn ready() -> Stream {
    let mut stream = stream(true);
    told(&mut stream, &format!("{OPENED}{MECHANISMS}"));
    told(
        &mut stream,
        "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    );
    told(
        &mut stream,
        &format!(
            "{OPENED}<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
        ),
    );
    let bound = "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
        <jid>acs@example.net/headend</jid></bind></iq>";
    assert_eq!(
        told(&mut stream, bound),
        [Event::Ready("acs@example.net/headend".into())]
    );
    sent(&mut stream);
    stream
}

#[test]
fn addresses_are_read() {
    let jid = Jid::parse(" acs@Example.NET/node 1/a@b ").unwrap();
    assert_eq!(
        (&*jid.local, &*jid.domain, &*jid.resource),
        ("acs", "example.net", "node 1/a@b")
    );
    for bad in [
        "",
        "example.net",
        "@example.net",
        "acs@",
        "a b@c",
        "a@b@c",
        "a<@b",
    ] {
        assert_eq!(Jid::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_password_goes_nowhere_before_tls() {
    let mut stream = stream(false);
    let hello = sent(&mut stream);
    assert!(
        hello.contains(" to=\"example.net\"") && !hello.contains("acs@"),
        "{hello}"
    );
    // Mechanisms in clear are not looked at.
    let both = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
        <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>";
    assert_eq!(told(&mut stream, &format!("{OPENED}{both}")), []);
    assert_eq!(
        sent(&mut stream),
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    );
    assert_eq!(told(&mut stream, "<proceed xmlns='x'/>"), [Event::StartTls]);
    stream.secured();
    assert!(sent(&mut stream).contains(" from=\"acs@example.net\""));
    told(&mut stream, &format!("{OPENED}{MECHANISMS}"));
    assert!(sent(&mut stream).contains("mechanism='PLAIN'>AGFjcwBwZW5jaWw=<"));

    let mut without = self::stream(false);
    let events = told(&mut without, &format!("{OPENED}{MECHANISMS}"));
    assert_eq!(failed(&events), Some(("the server offers no TLS", true)));
    let mut injected = self::stream(false);
    told(&mut injected, &format!("{OPENED}{both}"));
    let events = told(&mut injected, "<proceed xmlns='x'/><stream:features>");
    assert!(failed(&events).unwrap().0.starts_with("somebody wrote"));
}

#[test]
fn scram_is_preferred_and_the_server_is_verified() {
    let offer = MECHANISMS.replace("EXTERNAL", "SCRAM-SHA-1");
    let challenge = |text: &str| {
        format!(
            "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</challenge>",
            STANDARD.encode(text)
        )
    };
    let success = |text: &str| {
        format!(
            "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</success>",
            STANDARD.encode(text)
        )
    };
    let first = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    let begun = || {
        let jid = Jid::parse("user@example.net").unwrap();
        let mut stream = Stream::new(jid, "pencil".into(), "fyko+d2lbbFgONRv9qkxdawL", true);
        told(&mut stream, &format!("{OPENED}{offer}"));
        assert!(sent(&mut stream).contains("mechanism='SCRAM-SHA-1'"));
        assert_eq!(told(&mut stream, &challenge(first)), []);
        let response = sent(&mut stream);
        let proof = STANDARD.encode(
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        );
        assert!(response.contains(&proof), "{response}");
        stream
    };
    let good = "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=";
    let mut at_once = begun();
    assert_eq!(told(&mut at_once, &success(good)), []);
    assert!(
        sent(&mut at_once).starts_with("<?xml"),
        "the stream begins anew"
    );
    let mut later = begun();
    assert_eq!(told(&mut later, &challenge(good)), []);
    assert!(sent(&mut later).contains("<response"));
    assert_eq!(told(&mut later, &success("")), []);
    assert!(sent(&mut later).starts_with("<?xml"));
    for bad in ["", "v=AAAA"] {
        let events = told(&mut begun(), &success(bad));
        assert!(failed(&events).is_some_and(|(_, account)| account), "{bad}");
    }
}

#[test]
fn why_a_server_does_not_want_us_is_named() {
    let mut stream = stream(true);
    told(&mut stream, &format!("{OPENED}{MECHANISMS}"));
    let events = told(
        &mut stream,
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
    );
    assert_eq!(
        failed(&events),
        Some((
            "the server does not let acs@example.net in: not-authorized",
            true
        ))
    );
    let mut stream = self::stream(true);
    let none = MECHANISMS.replace("PLAIN", "GSSAPI");
    let events = told(&mut stream, &format!("{OPENED}{none}"));
    assert!(failed(&events).unwrap().0.ends_with("(EXTERNAL, GSSAPI)"));
    let events = told(
        &mut ready(),
        "<stream:error><conflict xmlns='x'/></stream:error></stream:stream>",
    );
    assert_eq!(
        failed(&events),
        Some(("the server ended the stream: conflict", false))
    );
    let events = told(&mut self::stream(true), "SSH-2.0-x\r\n");
    assert!(failed(&events).is_some());
}

#[test]
fn what_others_ask_of_us_is_answered() {
    let mut stream = ready();
    let ping = "<iq type='get' id='a&quot;1' from='example.net'><ping xmlns='urn:xmpp:ping'/></iq>";
    assert_eq!(told(&mut stream, ping), []);
    assert_eq!(
        sent(&mut stream),
        "<iq type=\"result\" id=\"a&quot;1\" to=\"example.net\"></iq>"
    );
    told(
        &mut stream,
        "<iq type='get' id='2'><query xmlns='x'/></iq><message/><presence/>",
    );
    assert!(sent(&mut stream).contains("service-unavailable"));
    assert!(stream.ping());
    assert!(sent(&mut stream).contains("urn:xmpp:ping"));
    assert_eq!(told(&mut stream, "<iq type='result' id='ping-1'/>"), []);
    let asked = "<iq type='get' id='3' from='a@b/c'><connectionRequest xmlns='x'/></iq>";
    assert_eq!(told(&mut stream, asked), [Event::Asked(asked.into())]);
    let answer = "<iq type='result' id='r-1' from='cpe@example.net/home'/>";
    assert_eq!(told(&mut stream, answer), [Event::Answer(answer.into())]);
}

#[test]
fn nothing_is_sent_before_and_after() {
    let mut early = stream(true);
    assert!(!early.send("<iq/>".into()) && !early.ping());
    let mut stream = ready();
    assert!(stream.send("<iq/>".into()));
    stream.close();
    assert_eq!(sent(&mut stream), "<iq/></stream:stream>");
    assert!(!stream.send("<iq/>".into()));
}
