//! Elements to text, compact. Deliberately without a choice of prefixes: what every client reads is
//! one form (see `crates/cwmp/src/soap.rs`).

use super::Booleans;

/// Writes elements one after the other.
pub(crate) struct Writer {
    out: String,
    pub(crate) booleans: Booleans,
}

impl Writer {
    pub(crate) fn new(booleans: Booleans) -> Self {
        let out = String::with_capacity(1024);
        Self { out, booleans }
    }

    /// Markup as it is.
    pub(crate) fn raw(&mut self, markup: &str) {
        self.out.push_str(markup);
    }

    /// `<tag attributes>`, where `attributes` start with a space.
    pub(crate) fn open(&mut self, tag: &str, attributes: &str) {
        self.out.push('<');
        self.out.push_str(tag);
        self.out.push_str(attributes);
        self.out.push('>');
    }

    /// `</tag>`
    pub(crate) fn close(&mut self, tag: &str) {
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
    }

    /// An element with text.
    pub(crate) fn element(&mut self, tag: &str, attributes: &str, text: &str) {
        self.open(tag, attributes);
        escape(&mut self.out, text);
        self.close(tag);
    }

    /// The rest of an element whose last attribute's value is open.
    pub(crate) fn element_rest(&mut self, tag: &str, text: &str) {
        self.out.push_str("\">");
        escape(&mut self.out, text);
        self.close(tag);
    }

    /// One attribute of a tag that is open.
    pub(crate) fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        escape(&mut self.out, value);
        self.out.push('"');
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }
}

/// Appends text so that it reads back as it was; what XML has no way to say is left out.
fn escape(out: &mut String, text: &str) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let instead = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&apos;",
            // A bare one would be read as a line feed.
            b'\r' => "&#13;",
            b'\t' | b'\n' => continue,
            0..0x20 => "",
            // U+FFFE and U+FFFF; any other character that starts like this stays.
            0xef if matches!(
                text.as_bytes().get(at + 1..at + 3),
                Some([0xbf, 0xbe | 0xbf])
            ) =>
            {
                out.push_str(&text[from..at]);
                from = at + 3;
                continue;
            }
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(instead);
        from = at + 1;
    }
    out.push_str(&text[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_what_xml_cannot_say_is_left_out() {
        let mut out = String::new();
        escape(&mut out, "a&b<c>\"'\r\n\t\0\u{b}\u{fffe}é\u{ffff}\u{fffd}z");
        assert_eq!(out, "a&amp;b&lt;c&gt;&quot;&apos;&#13;\n\té\u{fffd}z");
    }
}
