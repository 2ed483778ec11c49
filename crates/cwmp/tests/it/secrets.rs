//! Nothing that is formatted for people shows a secret: neither `Debug` nor a transcript.

use std::fmt::Debug;

use bytes::Bytes;
use cwmp::acs;
use cwmp::auth::digest;
use cwmp::cpe;
use cwmp::fault::{Fault, FaultCode};
use cwmp::reach::{head, http};
use cwmp::rpc::*;
use cwmp::soap::{self, Booleans, Envelope};
use cwmp::transcript::{is_secret_name, raw, text};
use cwmp::value::{MASK, Value};

use crate::support::*;

const NAME: &str = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";

fn set() -> SetParameterValues {
    SetParameterValues {
        parameters: vec![
            ParameterValue::new(NAME, Value::string("hunter2")),
            ParameterValue::new("Device.WiFi.SSID.1.SSID", Value::string("home")),
        ],
        parameter_key: "key".into(),
    }
}

#[test]
fn debug_shows_no_secret() {
    let body = Bytes::from_static(b"<Password>hunter2</Password>");
    let digest = digest::Server {
        realm: "r".into(),
        algorithms: vec![],
        qop: true,
        secret: b"hunter2".into(),
        life: 60,
    };
    let client = digest::Client {
        username: "u",
        password: "hunter2",
        method: "GET",
        uri: "/",
        cnonce: "c",
        count: 1,
        body: b"hunter2",
    };
    let reply = acs::Reply {
        status: 200,
        body: body.clone(),
    };
    let heard = cpe::Reply {
        status: 200,
        body: &body,
        content_type: None,
    };
    let asked = head::question(b"GET / HTTP/1.1\r\nAuthorization: Basic hunter2\r\n\r\n");
    let fault = Fault::plain(FaultCode::INVALID_ARGUMENTS).at(
        NAME,
        FaultCode::INVALID_PARAMETER_VALUE,
        "not `hunter2`",
    );
    let all: [&dyn Debug; 12] = [
        &Value::string("hunter2"),
        &ParameterValue::new(NAME, Value::string("hunter2")),
        &set(),
        &Envelope::new(namespace(), "1", set()),
        &reply,
        &heard,
        &acs::Post::new(&body),
        &cpe::Transmit::Post(body.clone()),
        &http::Action::Send(body.clone()),
        &digest,
        &client,
        &(asked, fault),
    ];
    for shown in all {
        let shown = format!("{shown:?}");
        let bytes = format!("{:?}", b"hunter2");
        let bytes = bytes.trim_matches(['[', ']']);
        assert!(
            !shown.contains("hunter2") && !shown.contains(bytes),
            "{shown}"
        );
    }
    // What is no secret is there to be read.
    assert!(format!("{:?}", set()).contains("\"home\""));
}

#[test]
fn a_body_that_cannot_be_read_is_shown_without_secrets_in_any_dress() {
    for body in [
        "<Password><![CDATA[hunter2]]></Password>",
        "<Password><![CDATA[</Password>hunter2]]></Password>",
        "<Password><b/>hunter2</Password>",
        "<c:Password x='>'>h<!-- -->hunter2</c:Password >",
        "<![CDATA[<Password>hunter2</Password>]]>",
        "<!-- <Password>hunter2</Password> -->",
        "<Password><![CDATA[hunter2",
        "<S><Value>hunter2</Value><Name>A.KeyPassphrase</Name></S>",
        "<S><Name>A.B</Name></S><S><Value>hunter2</Value><Name>A.KeyPassphrase</Name></S>",
        "<S><Name>A.B</Name><Value>x</Value></S><S><Value><![CDATA[hunter2]]></Value></S>",
        "<S><Name><![CDATA[A.KeyPassphrase]]></Name><Value>hunter2</Value></S>",
        "<S><Name>A.KeyPassphras&#101;</Name><Value>hunter2</Value></S>",
        "<URL><![CDATA[http://h/?hunter2]]></URL>",
        "<URL>http://h/&#63;hunter2</URL>",
        "<SuccessURL>http://hunter2@h/</SuccessURL>",
    ] {
        let shown = raw(body.as_bytes(), &is_secret_name);
        assert!(!shown.contains("hunter2"), "{body} as {shown}");
        assert!(shown.contains(MASK), "{body} as {shown}");
    }
    for body in [
        "<S><Name>A.B</Name><Value>shown</Value></S>",
        "<S><Name><![CDATA[A.B]]></Name><Value><![CDATA[a < b > c]]></Value></S>",
        "<CommandKey>a</CommandKey><Password></Password> < & >",
        "no tag",
    ] {
        assert_eq!(raw(body.as_bytes(), &is_secret_name), body);
    }
}

/// Devices quote the value that they do not like.
#[test]
fn a_fault_that_quotes_a_secret_is_shown_without_it() {
    let refused = |text: &str, at: &str| {
        let code = FaultCode::INVALID_PARAMETER_VALUE;
        let fault = Fault::new(FaultCode::INVALID_ARGUMENTS, text).at(NAME, code, at);
        Envelope::new(namespace(), "1", fault)
    };
    let shown = text(&refused("not hunter2", "bad: hunter2").masked(&is_secret_name));
    assert!(
        !shown.contains("hunter2") && shown.contains(MASK),
        "{shown}"
    );
    // The standard's words stay.
    let plain = refused("Invalid arguments", "Invalid parameter value");
    assert_eq!(plain.clone().masked(&is_secret_name), plain);
    // A fault about nothing in particular, to what was sent.
    let fault = Fault::new(FaultCode::INTERNAL_ERROR, "set hunter2 and home failed");
    let quoted = Envelope::new(namespace(), "1", fault);
    let requests: [Request; 2] = [
        set().into(),
        Download {
            password: "hunter2".into(),
            ..Download::default()
        }
        .into(),
    ];
    for sent in requests {
        let shown = quoted.clone().masked_answer(&sent, &is_secret_name);
        let xml = soap::encode(&shown, Booleans::Digits);
        assert!(
            xml.contains(&format!("set {MASK} and home failed")),
            "{xml}"
        );
    }
}
