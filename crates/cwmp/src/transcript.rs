//! Messages as text that people read, for the transcript of a session and for tests, and the rule
//! of thumb for which parameters are secrets. Deliberately not lossless; the masked XML of
//! [`crate::soap::encode`] is.

use std::fmt::Write;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::fault::FaultCode;
use crate::limits;
use crate::soap::{self, Body, Booleans, Envelope, charset};
use crate::value::{MASK, Url};

/// Endings of parameter names whose values are never shown.
const SECRETS: &[&str] = &[
    "password",
    "passphrase",
    "presharedkey",
    "psk",
    "wepkey",
    "secret",
    "privatekey",
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
        _ if code.is_none() => text.to_owned(),
        true => code.to_string(),
        false => format!("{code}: {text}"),
    }
}

/// The start of a body that cannot be read, as text, with masks over what looks like a secret.
pub fn raw(body: &[u8], is_secret: &dyn Fn(&str) -> bool) -> String {
    let shown = &body[..body.len().min(limits::RAW_BYTES_MAX)];
    // In its own encoding, or the masks would miss.
    let text = match charset::text(shown, None) {
        Ok((text, _)) => text,
        Err(_) => String::from_utf8_lossy(shown),
    };
    let mut out = String::with_capacity(text.len());
    // The name that was said last in this struct; a value without one may be anybody's.
    let mut parameter = None;
    let mut rest = &*text;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let tag = &tag[1..];
        let end = tag
            .find(['<', '>'])
            .filter(|end| tag[*end..].starts_with('>'));
        let Some(end) = end else {
            // No tag: a piece of text, or of a CDATA section.
            out.push('<');
            rest = tag;
            continue;
        };
        let (tag, after) = (&tag[..end], &tag[end + 1..]);
        out.push('<');
        out.push_str(tag);
        out.push('>');
        rest = after;
        let name = local_name(tag);
        let (is_name, is_value) = (is(name, "Name"), is(name, "Value"));
        if !is_name && !is_value && !tag.starts_with(['!', '?']) {
            parameter = None;
        }
        if tag.starts_with(['/', '!', '?']) || tag.ends_with('/') {
            continue;
        }
        let content = &after[..content_length(after, name)];
        let plain = plain(content);
        if is_name {
            // A name in disguise is not looked up.
            parameter = plain.filter(|name| !name.contains('&'));
            continue;
        }
        let secret = is_secret_name(name) || (is_value && parameter.take().is_none_or(is_secret));
        let masked = match plain {
            Some("") => continue,
            _ if secret => MASK.to_owned(),
            Some(url) if name.ends_with("URL") && !url.contains("&#") => Url::from(url).masked(),
            _ if name.ends_with("URL") => MASK.to_owned(),
            _ => continue,
        };
        out.push_str(&masked);
        rest = &after[content.len()..];
    }
    out.push_str(rest);
    if shown.len() < body.len() {
        out.push_str("...");
    }
    out
}

/// The name in a tag, without its prefix.
fn local_name(tag: &str) -> &str {
    let name = tag.trim_start_matches('/');
    let end = name.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '<'));
    let name = &name[..end.unwrap_or(name.len())];
    name.rsplit(':').next().unwrap_or_default()
}

fn is(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}

/// The bytes of an element's content, up to its end tag or the end of the text. What looks like a
/// tag in a CDATA section is none.
fn content_length(text: &str, name: &str) -> usize {
    const CDATA: &str = "<![CDATA[";
    let mut at = 0;
    while let Some(next) = text[at..].find('<') {
        at += next;
        let rest = &text[at..];
        if rest.starts_with("</") && is(local_name(&rest[1..]), name) {
            return at;
        }
        at += match rest.strip_prefix(CDATA) {
            Some(_) => rest.find("]]>").unwrap_or(rest.len()),
            None => 1,
        };
    }
    text.len()
}

/// The text of an element that has nothing else in it.
fn plain(content: &str) -> Option<&str> {
    let content = content.trim();
    let section = content.strip_prefix("<![CDATA[");
    let text = section.and_then(|section| section.strip_suffix("]]>"));
    let text = text.unwrap_or(content);
    (!text.contains('<')).then(|| text.trim())
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

    /// `RAW_BYTES_MAX`
    #[test]
    fn what_cannot_be_read_is_shown_without_its_secrets() {
        let body = b"<x><ParameterValueStruct><Name>Device.A.KeyPassphrase</Name><Value t='s'>secret1</Value>\
            <Name>Device.B</Name><Value>shown</Value><c:Password>secret2</c:Password><URL>http://h/?secret3</URL>\
            <Password></Password>\xff<Password>secret4";
        let text = raw(body, &is_secret_name);
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("<Value>shown</Value>") && text.contains("<Password></Password>"));
        let wide: Vec<u8> = "<Password>secret5</Password"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(
            raw(&wide, &is_secret_name),
            format!("<Password>{MASK}</Password")
        );
        let long = raw(&vec![b'a'; 100_000], &is_secret_name);
        assert_eq!(long.len(), limits::RAW_BYTES_MAX + 3);
    }
}
