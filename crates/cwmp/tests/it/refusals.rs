//! What is not read at all, and each limit of the codec hit.

use cwmp::acs::Post;
use cwmp::error::{DecodeErrorKind, Error};
use cwmp::fault::FaultCode;
use cwmp::limits;
use cwmp::soap::decode;

use crate::support::*;

fn refused(xml: &[u8]) -> DecodeErrorKind {
    decode(xml, None).unwrap_err().kind
}

fn limit(name: &'static str, max: usize) -> DecodeErrorKind {
    DecodeErrorKind::Limit { limit: name, max }
}

#[test]
fn a_document_type_is_refused_and_nothing_is_expanded() {
    let bomb = br#"<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>
        <Envelope><Body><Reboot><CommandKey>&b;</CommandKey></Reboot></Body></Envelope>"#;
    assert_eq!(refused(bomb), DecodeErrorKind::Dtd);
    let inner =
        b"<Envelope><Body><!DOCTYPE x SYSTEM 'file:///etc/passwd'><Reboot/></Body></Envelope>";
    assert_eq!(refused(inner), DecodeErrorKind::Dtd);
    let text =
        b"<Envelope><Body><Reboot><CommandKey><!DOCTYPE x></CommandKey></Reboot></Body></Envelope>";
    assert_eq!(refused(text), DecodeErrorKind::Dtd);
}

#[test]
fn what_is_no_envelope_is_refused() {
    for (xml, why) in [
        ("", "there is no element"),
        ("hello", "there is no element"),
        ("<html><body/></html>", "the first element is another"),
        ("<Envelope/>", "there is no body"),
        ("<Envelope><Header/></Envelope>", "there is no body"),
    ] {
        assert_eq!(
            refused(xml.as_bytes()),
            DecodeErrorKind::NotSoap(why),
            "{xml}"
        );
    }
}

#[test]
fn a_body_cut_anywhere_is_refused_and_never_misread() {
    let whole = "<Envelope xmlns:c='urn:dslforum-org:cwmp-1-0'><Header><c:ID>7</c:ID></Header><Body>\
                 <c:Reboot><CommandKey>key</CommandKey></c:Reboot></Body></Envelope>";
    for end in 0..whole.len() {
        assert!(decode(&whole.as_bytes()[..end], None).is_err(), "{end}");
    }
    let cut = decode(&whole.as_bytes()[..whole.len() - 30], None).unwrap_err();
    // Enough is known to answer it.
    assert_eq!((&*cut.id, &*cut.method), ("7", "Reboot"));
    assert!(matches!(cut.kind, DecodeErrorKind::Xml { .. }));
    assert_eq!(cut.acs_fault().code, FaultCode::ACS_INVALID_ARGUMENTS);
    assert_eq!(cut.cpe_fault().code, FaultCode::INVALID_ARGUMENTS);
    assert!(matches!(Error::from(cut), Error::InvalidMessage(_)));
}

#[test]
fn tags_that_do_not_match_are_refused() {
    for xml in [
        "<Envelope><Body></Envelope></Body>",
        "</Envelope>",
        "<Envelope",
        "<Envelope><Body><Reboot a='></Body></Envelope>",
    ] {
        assert!(
            matches!(refused(xml.as_bytes()), DecodeErrorKind::Xml { .. }),
            "{xml}"
        );
    }
}

/// `BODY_BYTES_MAX`
#[test]
fn an_endless_body_is_refused() {
    let error = decode(&vec![b' '; limits::BODY_BYTES_MAX + 1], None).unwrap_err();
    assert_eq!(error.kind, limit("BODY_BYTES_MAX", limits::BODY_BYTES_MAX));
    assert_eq!(error.acs_fault().code, FaultCode::ACS_RESOURCES_EXCEEDED);
    assert_eq!(
        Error::from(error),
        Error::LimitExceeded {
            limit: "BODY_BYTES_MAX",
            max: limits::BODY_BYTES_MAX
        }
    );
}

/// `DEPTH_MAX`
#[test]
fn deep_elements_are_refused() {
    let nested = |depth: usize| {
        let (open, close) = ("<a>".repeat(depth), "</a>".repeat(depth));
        format!("<Envelope><Body><Reboot>{open}{close}</Reboot></Body></Envelope>")
    };
    assert!(decode(nested(limits::DEPTH_MAX - 3).as_bytes(), None).is_ok());
    assert_eq!(
        refused(nested(limits::DEPTH_MAX - 2).as_bytes()),
        limit("DEPTH_MAX", limits::DEPTH_MAX)
    );
    assert_eq!(
        refused(nested(1_000_000).as_bytes()),
        limit("DEPTH_MAX", limits::DEPTH_MAX)
    );
    let text = format!("<Envelope><Body><Reboot><CommandKey>{}", "<a>".repeat(100));
    assert_eq!(
        refused(text.as_bytes()),
        limit("DEPTH_MAX", limits::DEPTH_MAX)
    );
}

/// `ELEMENTS_MAX`
#[test]
fn endless_elements_are_refused() {
    let list = |count: usize| {
        let items = "<string/>".repeat(count);
        format!(
            "<Envelope><Body><GetParameterValues><ParameterNames>{items}</ParameterNames></GetParameterValues></Body></Envelope>"
        )
    };
    assert!(decode(list(limits::ELEMENTS_MAX - 4).as_bytes(), None).is_ok());
    assert_eq!(
        refused(list(limits::ELEMENTS_MAX - 3).as_bytes()),
        limit("ELEMENTS_MAX", limits::ELEMENTS_MAX)
    );
}

/// `ITEMS_MAX`: what is small on the wire and large in memory.
#[test]
fn endless_items_of_large_structs_are_refused() {
    for (method, array) in [
        ("AutonomousDUStateChangeComplete", "Results"),
        ("DUStateChangeComplete", "Results"),
        ("GetAllQueuedTransfersResponse", "TransferList"),
        ("Inform", "Event"),
    ] {
        let list = |count: usize| {
            let items = "<a/>".repeat(count);
            format!(
                "<Envelope><Body><{method}><{array}>{items}</{array}></{method}></Body></Envelope>"
            )
        };
        assert!(decode(list(limits::ITEMS_MAX).as_bytes(), None).is_ok());
        assert_eq!(
            refused(list(limits::ITEMS_MAX + 1).as_bytes()),
            limit("ITEMS_MAX", limits::ITEMS_MAX),
            "{method}"
        );
    }
}

/// Its arguments would fail if they were read.
#[test]
fn what_cannot_open_a_session_is_refused_before_it_is_read() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let xml = "<Envelope><Body><AddObjectResponse><InstanceNumber>x</InstanceNumber>\
        </AddObjectResponse></Body></Envelope>";
    assert!(matches!(
        acs.handle_input(clock.at(0), Post::new(xml.as_bytes())),
        Err(Error::PeerMisbehaved(_))
    ));
    informed(&mut acs, clock.at(0));
    assert!(
        acs.handle_input(clock.at(0), Post::new(xml.as_bytes()))
            .is_ok()
    );
}

/// `PIECES_MAX`
#[test]
fn endless_references_are_refused() {
    let key = "&".repeat(limits::PIECES_MAX + 1);
    let xml = format!(
        "<Envelope><Body><Reboot><CommandKey>{key}</CommandKey></Reboot></Body></Envelope>"
    );
    assert_eq!(
        refused(xml.as_bytes()),
        limit("PIECES_MAX", limits::PIECES_MAX)
    );
}

/// `ID_CHARS_MAX`, `EXCERPT_CHARS_MAX`
#[test]
fn endless_ids_and_names_are_cut() {
    let long = "ä".repeat(1000);
    let xml =
        format!("<Envelope><Header><ID>{long}</ID></Header><Body><{long}/></Body></Envelope>");
    let envelope = decode(xml.as_bytes(), None).unwrap();
    assert_eq!(envelope.header.id.chars().count(), limits::ID_CHARS_MAX);
    assert_eq!(
        envelope.body.name().chars().count(),
        limits::EXCERPT_CHARS_MAX + 3
    );
}

/// `ATTRIBUTES_MAX`
#[test]
fn endless_attributes_are_not_looked_at() {
    let attributes: String = (0..limits::ATTRIBUTES_MAX)
        .map(|n| format!(" a{n}='1'"))
        .collect();
    let xml = format!(
        "<Envelope{attributes} xmlns:c='urn:dslforum-org:cwmp-1-2'><Body><c:Reboot/></Body></Envelope>"
    );
    assert_eq!(
        decode(xml.as_bytes(), None).unwrap().namespace.version(),
        cwmp::Version::V1_0
    );
    let huge = format!(
        "<Envelope a='{}'><Body><Reboot/></Body></Envelope>",
        "x".repeat(5_000_000)
    );
    assert!(decode(huge.as_bytes(), None).is_ok());
}
