//! Messages as text that people read, for the transcript of a session and for tests, and the rule
//! of thumb for which parameters are secrets. Deliberately not lossless; the masked XML of
//! [`crate::soap::encode`] is.

use std::fmt::Write;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::fault::FaultCode;
use crate::soap::{self, Body, Booleans, Envelope};

/// Endings of parameter names whose values are never shown.
const SECRETS: &[&str] = &[
    "password",
    "passphrase",
    "presharedkey",
    "wepkey",
    "secret",
    "privatekey",
    "sharedsecret",
    "pin",
    "token",
    "authkey",
    "encryptionkey",
];

/// Whether a parameter is a secret by its name alone: for names that no model knows, beside the
/// model's own word.
pub fn is_secret_name(path: &str) -> bool {
    let mut segments = path.rsplit('.');
    let mut last = segments.next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        // Tables of values, as in some old models.
        last = segments.next().unwrap_or_default();
    }
    let last = last
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .to_ascii_lowercase();
    SECRETS.iter().any(|secret| last.ends_with(secret))
}

/// One line for the message and an indented line for each thing in it, as it is: call
/// [`Envelope::masked`] first.
pub fn text(envelope: &Envelope) -> String {
    let header = &envelope.header;
    let mut out = format!("{} {}", envelope.body.name(), header.id)
        .trim_end()
        .to_owned();
    let flags = [
        header
            .hold_requests
            .map(|hold| format!("hold requests {hold}")),
        header
            .session_timeout
            .map(|seconds| format!("session timeout {seconds} s")),
        header
            .supported_versions
            .as_ref()
            .map(|list| format!("speaks {list}")),
        header
            .use_version
            .as_ref()
            .map(|version| format!("uses {version}")),
    ];
    for flag in flags.into_iter().flatten() {
        _ = write!(out, " ({flag})");
    }
    out.push('\n');
    match &envelope.body {
        Body::Fault(fault) => {
            _ = writeln!(out, "  {}", told(fault.code, &fault.text));
            for at in &fault.parameters {
                _ = writeln!(out, "  {}: {}", at.name, told(at.code, &at.text));
            }
        }
        Body::Unknown { .. } => {}
        _ => {
            let nodes = arguments(&soap::encode(envelope, Booleans::Words));
            nodes.iter().for_each(|node| print(node, 1, &mut out));
        }
    }
    for odd in envelope.oddities.texts() {
        _ = writeln!(out, "  (the sender {odd})");
    }
    out
}

/// A code and the device's words, unless they are the standard's.
fn told(code: FaultCode, text: &str) -> String {
    match text.is_empty() || code.name() == Some(text) {
        true => code.to_string(),
        false => format!("{code}: {text}"),
    }
}

/// An element of our own writing.
#[derive(Default)]
struct Node {
    name: String,
    text: String,
    children: Vec<Node>,
}

/// The arguments of a method: the children of the body's child.
fn arguments(xml: &str) -> Vec<Node> {
    let mut reader = Reader::from_str(xml);
    let mut open = vec![Node::default()];
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => open.push(Node {
                name: start.local_name().into_inner().to_owned(),
                ..Node::default()
            }),
            Ok(Event::End(_)) => {
                if let (Some(closed), Some(outer)) = (open.pop(), open.last_mut()) {
                    outer.children.push(closed);
                }
            }
            Ok(Event::Text(text)) => add(&mut open, &text.into_inner()),
            Ok(Event::GeneralRef(reference)) => {
                let char = match &*reference.into_inner() {
                    "lt" => "<",
                    "gt" => ">",
                    "amp" => "&",
                    "quot" => "\"",
                    "apos" => "'",
                    _ => "\r",
                };
                add(&mut open, char);
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let mut node = open.swap_remove(0);
    for _ in ["Envelope", "Body", "method"] {
        node = node.children.pop().unwrap_or_default();
    }
    node.children
}

fn add(open: &mut [Node], text: &str) {
    if let Some(node) = open.last_mut() {
        node.text.push_str(text);
    }
}

/// A struct that begins with a name is one line, and so is an event with its key.
fn print(node: &Node, depth: usize, out: &mut String) {
    let indent = depth * 2;
    let Some((first, rest)) = node.children.split_first() else {
        _ = match &*node.name {
            "string" | "base64" => writeln!(out, "{:indent$}{}", "", node.text),
            name if node.text.is_empty() => writeln!(out, "{:indent$}{name}", ""),
            name => writeln!(out, "{:indent$}{name}: {}", "", node.text),
        };
        return;
    };
    let flat = rest.iter().all(|child| child.children.is_empty());
    if !flat || !matches!(&*first.name, "Name" | "EventCode") {
        _ = writeln!(out, "{:indent$}{}", "", node.name);
        node.children
            .iter()
            .for_each(|child| print(child, depth + 1, out));
        return;
    }
    _ = write!(out, "{:indent$}{}", "", first.text);
    for child in rest {
        _ = match (&*child.name, &*child.text) {
            ("CommandKey" | "AccessList", "") => Ok(()),
            ("CommandKey", key) => write!(out, " [{key}]"),
            ("Value", "") => write!(out, " ="),
            ("Value", value) => write!(out, " = {value}"),
            (name, text) => write!(out, " {name}={text}"),
        };
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "Device.WiFi.AccessPoint.1.Security.KeyPassphrase",
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.WEPKey.1.WEPKey",
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.PreSharedKey.1",
            "Device.ManagementServer.ConnectionRequestPassword",
            "Device.X_VENDOR_Password2",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "Device.ManagementServer.ParameterKey",
            "Device.WiFi.SSID.1.SSID",
            "",
            "1",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
