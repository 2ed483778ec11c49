//! A pull reader over XML events that knows elements by their local names and counts what it reads.
//! Deliberately without names of CWMP.

use std::borrow::Cow;

use quick_xml::Reader as Xml;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::oddity::Oddities;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits;

pub(crate) type Result<T> = std::result::Result<T, DecodeError>;

/// A start tag.
pub(crate) struct Element<'a>(BytesStart<'a>);

impl<'a> Element<'a> {
    /// The name as it is written.
    pub(crate) fn name(&self) -> &str {
        self.0.name().into_inner()
    }

    /// The name without its prefix.
    pub(crate) fn local(&self) -> &str {
        self.0.local_name().into_inner()
    }

    fn is_qualified(&self) -> bool {
        self.0.name().prefix().is_some()
    }

    /// The attributes as name and raw value.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let mut attributes = self.0.attributes();
        attributes.with_checks(false);
        attributes
            .take(limits::ATTRIBUTES_MAX)
            .filter_map(std::result::Result::ok)
            .map(|attribute| (attribute.key.into_inner(), attribute.value))
    }

    /// An attribute by its local name, if it has a prefix.
    pub(crate) fn qualified(&self, local: &str) -> Option<Cow<'_, str>> {
        self.attributes()
            .find(|(name, _)| name.split_once(':').is_some_and(|(_, name)| name == local))
            .map(|(_, value)| value)
    }
}

/// Reads elements one after the other.
pub(crate) struct Reader<'a> {
    xml: Xml<&'a [u8]>,
    depth: usize,
    elements: usize,
    pieces: usize,
    /// The element that was just opened is closed in itself.
    empty: bool,
    pub(crate) odd: Oddities,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut xml = Xml::from_str(text);
        xml.config_mut().allow_dangling_amp = true;
        let odd = Oddities::default();
        Self {
            xml,
            depth: 0,
            elements: 0,
            pieces: 0,
            empty: false,
            odd,
        }
    }

    fn event(&mut self) -> Result<Event<'a>> {
        let event = self.xml.read_event().map_err(|error| {
            DecodeError::new(DecodeErrorKind::Xml {
                at: self.xml.error_position(),
                reason: crate::error::excerpt(&error.to_string()),
            })
        })?;
        if !matches!(event, Event::Start(_) | Event::End(_) | Event::Empty(_)) {
            self.pieces += 1;
            if self.pieces > limits::PIECES_MAX {
                return limit("PIECES_MAX", limits::PIECES_MAX);
            }
        }
        Ok(event)
    }

    fn broken(&self, reason: &str) -> DecodeError {
        DecodeError::new(DecodeErrorKind::Xml {
            at: self.xml.buffer_position(),
            reason: reason.into(),
        })
    }

    fn open(&mut self, empty: bool) -> Result<()> {
        self.elements += 1;
        self.depth += 1;
        self.empty = empty;
        if self.elements > limits::ELEMENTS_MAX {
            return limit("ELEMENTS_MAX", limits::ELEMENTS_MAX);
        }
        if self.depth > limits::DEPTH_MAX {
            return limit("DEPTH_MAX", limits::DEPTH_MAX);
        }
        Ok(())
    }

    /// Whether the open element has nothing more because it is closed in itself.
    fn closed_in_itself(&mut self) -> bool {
        let empty = std::mem::take(&mut self.empty);
        if empty {
            self.depth -= 1;
        }
        empty
    }

    /// The next child of the open element, which is open then; `None` at the element's end, and
    /// outside of all elements at the end of the text. Whoever takes a child reads it to its end.
    pub(crate) fn child(&mut self) -> Result<Option<Element<'a>>> {
        if self.closed_in_itself() {
            return Ok(None);
        }
        loop {
            match self.event()? {
                Event::Start(start) => {
                    self.open(false)?;
                    return Ok(Some(Element(start)));
                }
                Event::Empty(start) => {
                    self.open(true)?;
                    return Ok(Some(Element(start)));
                }
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(None);
                }
                Event::Eof if self.depth == 0 => return Ok(None),
                Event::Eof => return Err(self.broken("the text ends inside an element")),
                Event::DocType(_) => return Err(DecodeError::new(DecodeErrorKind::Dtd)),
                Event::Text(text) => {
                    if !text.into_inner().trim().is_empty() {
                        self.odd.add(Oddities::STRAY_TEXT);
                    }
                }
                Event::CData(_) | Event::GeneralRef(_) => self.odd.add(Oddities::STRAY_TEXT),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            }
        }
    }

    /// A child that is an argument: these have no prefix.
    pub(crate) fn argument(&mut self) -> Result<Option<Element<'a>>> {
        let element = self.child()?;
        if element.as_ref().is_some_and(Element::is_qualified) {
            self.odd.add(Oddities::QUALIFIED_ARGUMENTS);
        }
        Ok(element)
    }

    /// The text of the open element up to its end, exactly; elements in it are passed over.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>> {
        self.text_around(|reader, _| reader.unknown())
    }

    /// The text of the open element up to its end, exactly. Each element in it is open for `inner`,
    /// which reads it to its end.
    pub(crate) fn text_around(
        &mut self,
        mut inner: impl FnMut(&mut Self, Element<'a>) -> Result<()>,
    ) -> Result<Cow<'a, str>> {
        if self.closed_in_itself() {
            return Ok(Cow::Borrowed(""));
        }
        let mut out: Option<Cow<'a, str>> = None;
        loop {
            let piece = match self.event()? {
                Event::Text(text) => text.xml10_content(),
                Event::CData(text) => text.xml10_content(),
                Event::GeneralRef(reference) => self.reference(reference),
                Event::End(_) => break,
                Event::Eof => return Err(self.broken("the text ends inside an element")),
                Event::Start(start) => {
                    self.open(false)?;
                    inner(self, Element(start))?;
                    continue;
                }
                Event::Empty(start) => {
                    self.open(true)?;
                    inner(self, Element(start))?;
                    continue;
                }
                Event::DocType(_) => return Err(DecodeError::new(DecodeErrorKind::Dtd)),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => continue,
            };
            match &mut out {
                None => out = Some(piece),
                Some(out) => out.to_mut().push_str(&piece),
            }
        }
        self.depth -= 1;
        let out = out.unwrap_or_default();
        if out.bytes().any(is_control) {
            self.odd.add(Oddities::CONTROL_CHARACTERS);
        }
        Ok(out)
    }

    /// A character reference or one of the five entities of XML. Anything else was meant as text:
    /// there is nothing to expand, since a document type is refused.
    fn reference(&mut self, reference: BytesRef<'a>) -> Cow<'a, str> {
        if let Ok(Some(char)) = reference.resolve_char_ref() {
            return char.to_string().into();
        }
        let name = reference.into_inner();
        match &*name {
            "lt" => "<".into(),
            "gt" => ">".into(),
            "amp" => "&".into(),
            "quot" => "\"".into(),
            "apos" => "'".into(),
            name => {
                self.odd.add(Oddities::BARE_AMPERSAND);
                format!("&{name};").into()
            }
        }
    }

    /// Passes over the open element up to its end.
    pub(crate) fn skip(&mut self) -> Result<()> {
        let (outside, odd) = (self.depth - 1, self.odd);
        while self.depth > outside {
            // At the end of a child this goes on with its parent, down to the open element.
            _ = self.child()?;
        }
        // What nobody reads is not odd.
        self.odd = odd;
        Ok(())
    }

    /// Passes over an element that the message should not have.
    pub(crate) fn unknown(&mut self) -> Result<()> {
        self.odd.add(Oddities::UNKNOWN_ELEMENT);
        self.skip()
    }
}

fn limit<T>(limit: &'static str, max: usize) -> Result<T> {
    Err(DecodeError::new(DecodeErrorKind::Limit { limit, max }))
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')
}
