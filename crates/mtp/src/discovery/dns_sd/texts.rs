//! What the TXT record of a service says that is of interest.

use hickory_proto::rr::rdata::TXT;

use crate::limits::MDNS_RECORDS_MAX;

/// `path`, `name` and `encrypt` (R-DIS.9 to R-DIS.11a).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::discovery) struct Texts {
    pub path: String,
    pub name: Option<String>,
    pub encrypt: bool,
}

impl Texts {
    /// What is no text, or would break a URL, is not there.
    pub fn read(texts: &TXT) -> Texts {
        let mut out = Texts::default();
        for text in texts.txt_data.iter().take(MDNS_RECORDS_MAX) {
            let Ok(text) = std::str::from_utf8(text) else {
                continue;
            };
            if text.chars().any(char::is_control) {
                continue;
            }
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            match key.to_ascii_lowercase().as_str() {
                "path" if !value.contains([' ', '?', '#']) => out.path = value.to_owned(),
                "name" => out.name = Some(value.to_owned()),
                "encrypt" => out.encrypt = true,
                _ => {}
            }
        }
        out
    }

    /// The URL of a WebSocket at this place, an IPv6 address in brackets.
    pub fn url(&self, place: &str, port: u16) -> String {
        url(self.encrypt, place, port, &self.path)
    }
}

pub(super) fn url(encrypt: bool, place: &str, port: u16, path: &str) -> String {
    let scheme = if encrypt { "wss" } else { "ws" };
    // A path that does not begin as one would be read as more of the place.
    let slash = match path.is_empty() || path.starts_with('/') {
        true => "",
        false => "/",
    };
    format!("{scheme}://{place}:{port}{slash}{path}")
}
