//! The seeds of the fuzz targets, replayed; and how they are made: `UPDATE_CORPUS=1 cargo test -p
//! cwmp` writes them anew. What the targets assert is asserted here too.

use std::path::PathBuf;

use cwmp::reach::stun::{Attribute, Message};
use cwmp::reach::udp::UdpRequest;
use cwmp::reach::xmpp::{Content, Stanza};
use cwmp::rpc::Method;
use cwmp::soap::{self, Booleans};

use crate::support::{envelope, inform, read};

#[path = "../../../../fuzz/checks/cwmp.rs"]
mod checks;

fn replay(target: &str, seeds: Vec<(String, Vec<u8>)>, check: impl Fn(&[u8]) -> bool) {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../fuzz/corpus", target]
        .iter()
        .collect();
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in &seeds {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(
        files.len() >= seeds.len(),
        "{} has lost seeds",
        folder.display()
    );
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        check(&bytes);
        // Neighbours of a seed, which is what a fuzzer tries first.
        for at in (0..bytes.len()).step_by(37).take(16) {
            check(&bytes[..at]);
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x41;
            check(&flipped);
        }
    }
}

#[test]
fn every_envelope_of_the_corpus_is_survived() {
    let mut seeds = vec![("inform-full".to_owned(), envelope("1", inform()))];
    for method in Method::ALL {
        for name in [method.name(), method.response_name()] {
            let plain = format!(
                "<Envelope xmlns:c=\"urn:dslforum-org:cwmp-1-2\"><Header><c:ID>1</c:ID></Header><Body><c:{name}>\
                 <InstanceNumber>1</InstanceNumber></c:{name}></Body></Envelope>"
            );
            // With all of its fields.
            let full = soap::encode(&read(plain.as_bytes()), Booleans::Digits);
            seeds.push((name.to_owned(), full.into_bytes()));
        }
    }
    let list = "<Envelope><Body><GetParameterValuesResponse><ParameterList a:arrayType=\"x[02]\"><P><Name> D.A </Name>\
                <Value x:type=\"y:int\">&#x41;&amp;&bare; &<![CDATA[<]]></Value></P></ParameterList></GetParameterValuesResponse></Body></Envelope>";
    let utf16: Vec<u8> = list.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let fault = "<e:Envelope><e:Body><e:Fault><faultcode>Client</faultcode><detail><Fault><FaultCode>9003 x</FaultCode>\
                 <SetParameterValuesFault><ParameterName>D</ParameterName><FaultCode>9007</FaultCode></SetParameterValuesFault></Fault></detail></e:Fault></e:Body></e:Envelope>";
    let change = "<Envelope><Body><ChangeDUState><Operations><O i:type=\"c:UpdateOpStruct\"><UUID>u</UUID></O><UninstallOpStruct/></Operations></ChangeDUState></Body></Envelope>";
    for (name, text) in [
        ("odd-list", list),
        ("fault", fault),
        ("change", change),
        (
            "document-type",
            "<!DOCTYPE x [<!ENTITY a \"b\">]><Envelope><Body><Reboot/></Body></Envelope>",
        ),
        (
            "latin",
            "<?xml version='1.0' encoding='iso-8859-1'?><Envelope><Body><Reboot><CommandKey>\u{e9}</CommandKey></Reboot></Body></Envelope>",
        ),
        (
            "unknown",
            "<Envelope><Header><New e:mustUnderstand='1'/></Header><Body><X_Y z='1'><a/></X_Y></Body></Envelope><b",
        ),
    ] {
        seeds.push((name.to_owned(), text.as_bytes().to_vec()));
    }
    seeds.push(("utf-16".to_owned(), utf16));
    replay("soap", seeds, checks::soap);
}

#[test]
fn every_header_of_the_corpus_is_survived() {
    let texts = [
        (
            "challenge",
            "Digest realm=\"a\\\"b\", qop=\"auth,auth-int\", nonce=\"n\", algorithm=SHA-256, stale=true, Basic realm=c",
        ),
        ("spaces", "digest realm=\"a\" nonce=\"n\" qop=auth opaque=o"),
        (
            "credentials",
            "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"\", response=\"0\", qop=auth, nc=00000001, cnonce=\"c\"",
        ),
        (
            "sess",
            "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"/\", response=\"0\", algorithm=MD5-sess, cnonce=\"c\"",
        ),
        ("basic", "Basic dXNlcjpwYXNz"),
        ("cookie", "$Version=1, session=\"YQ.1.YQ\"; path=/"),
    ];
    replay("digest", named(&texts), checks::digest);
}

fn named(texts: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let named = texts.iter();
    let named = named.map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
    named.collect()
}

#[test]
fn every_connection_request_of_the_corpus_is_survived_in_whichever_pieces_it_comes() {
    let datagram = UdpRequest::default().datagram("192.0.2.1:1".parse().unwrap(), "other");
    let stanza = Stanza {
        from: "a@b/c".into(),
        to: "d@e/f".into(),
        id: "1".into(),
        content: Content::Accepted,
    };
    let request = Content::Request {
        username: "u".into(),
        password: "p".into(),
    };
    let attributes = vec![
        Attribute::ConnectionRequestBinding,
        Attribute::Username("u".into()),
    ];
    let stun = Message::request([7; 16], attributes);
    let mut seeds = named(&[
        (
            "answer",
            "HTTP/1.1 401 No\nWWW-Authenticate: Digest realm=\"a\",\n  nonce=\"b\"\n\n",
        ),
        (
            "length",
            "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\nContent-Length: 4\r\n\r\nbody",
        ),
        ("accepted", "HTTP/1.0 200 OK\r\n\r\n"),
        ("question", "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"),
        (
            "refused",
            "<iq type='error' id='1'><error><not-authorized/></error></iq>",
        ),
        (
            "stream-plain",
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' from='b' version='1.0'><stream:features>\
             <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>\
             <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        ),
        (
            "stream",
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' from='b'> <stream:features>\
             <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>\
             <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/><?xml version='1.0'?><stream:stream from='b'><stream:features>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features><iq type='result' id='bind'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>acs@example.net/x</jid></bind></iq>\
             <iq type='result' id='1' from='a@b/c'/><iq type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>\
             <message><body><![CDATA[<]]>&lt;</body></message></stream:stream>",
        ),
        (
            "stream-scram",
            "<stream:stream><stream:features><mechanisms><mechanism>SCRAM-SHA-256</mechanism></mechanisms></stream:features>\
             <challenge>cj1ub25jZXgscz1jMkZzZEE9PSxpPTI=</challenge><success>dj14</success>",
        ),
    ]);
    seeds.push(("datagram".into(), datagram));
    seeds.push(("stanza".into(), stanza.write().into_bytes()));
    seeds.push((
        "request".into(),
        stanza.answer(request).write().into_bytes(),
    ));
    seeds.push(("stun".into(), stun.encode(None)));
    seeds.push(("stun-signed".into(), stun.encode(Some("other"))));
    replay("reach", seeds, checks::reach);
}
