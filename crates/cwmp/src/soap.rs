//! SOAP envelopes: what a POST or its answer carries. [`decode`] takes what the field sends,
//! whatever its prefixes, encodings and omissions, and notes the [`Oddities`]; [`encode`] writes the
//! one form that every known client reads: no XML declaration, five prefixes declared on the
//! envelope, compact, the id first, arguments without prefix.
//! Deliberately no conversation: which message may come when is in [`crate::acs`] and
//! [`crate::cpe`].

pub(crate) mod charset;
mod header;
mod oddity;
pub(crate) mod reader;
pub(crate) mod wire;
pub(crate) mod writer;

pub use header::Header;
pub use oddity::Oddities;

pub use crate::version::Namespace;

use crate::error::{DecodeError, DecodeErrorKind, excerpt};
use crate::fault::{self, Fault};
use crate::limits;
use crate::rpc::{Method, Request, Response};
use reader::{Element, Reader, Result};
use wire::Wire;
use writer::Writer;

/// What the body of an envelope is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
    /// A fault, in place of a response.
    Fault(Fault),
    /// A method that nobody here knows.
    Unknown {
        /// Its name, shortened; a response's ends in `Response`.
        name: String,
    },
}

impl Body {
    /// The method, when it is one.
    pub fn method(&self) -> Option<Method> {
        match self {
            Self::Request(request) => Some(request.method()),
            Self::Response(response) => Some(response.method()),
            Self::Fault(_) | Self::Unknown { .. } => None,
        }
    }

    /// Whether it asks for something, so that it is answered and may be refused with a fault.
    pub fn is_request(&self) -> bool {
        match self {
            Self::Request(_) => true,
            Self::Unknown { name } => !name.ends_with("Response"),
            Self::Response(_) | Self::Fault(_) => false,
        }
    }

    /// The element's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Request(request) => request.method().name(),
            Self::Response(response) => response.method().response_name(),
            Self::Fault(_) => "Fault",
            Self::Unknown { name } => name,
        }
    }
}

impl<T: Into<Request>> From<T> for Body {
    fn from(request: T) -> Self {
        Self::Request(request.into())
    }
}

impl From<Response> for Body {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

impl From<Fault> for Body {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The namespace, which the answer repeats.
    pub namespace: Namespace,
    /// The headers.
    pub header: Header,
    /// The body.
    pub body: Body,
    /// What the reader had to forgive; nothing in what we write.
    pub oddities: Oddities,
}

impl Envelope {
    /// An envelope with an id and no other header.
    pub fn new(namespace: Namespace, id: impl Into<String>, body: impl Into<Body>) -> Self {
        let id = id.into();
        Self {
            namespace,
            header: Header {
                id,
                ..Header::default()
            },
            body: body.into(),
            oddities: Oddities::default(),
        }
    }

    /// The same with masks over passwords, over what URLs may hide, and over the values of
    /// parameters that `is_secret` says of their names.
    #[must_use]
    pub fn masked(mut self, is_secret: &dyn Fn(&str) -> bool) -> Self {
        match &mut self.body {
            Body::Request(request) => request.mask(is_secret),
            Body::Response(response) => response.mask(is_secret),
            Body::Fault(fault) => fault.mask(is_secret),
            Body::Unknown { .. } => {}
        }
        self
    }

    /// The same for the answer to a request, where a fault may quote what was sent: no secret of
    /// the request is left in its texts.
    #[must_use]
    pub fn masked_answer(mut self, sent: &Request, is_secret: &dyn Fn(&str) -> bool) -> Self {
        if let Body::Fault(fault) = &mut self.body {
            sent.secrets(is_secret)
                .into_iter()
                .for_each(|secret| fault.hide(secret));
        }
        self.masked(is_secret)
    }
}

/// How arguments that are truth values are written. Values of parameters are as the caller says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Booleans {
    /// `1` and `0`.
    #[default]
    Digits,
    /// `true` and `false`.
    Words,
}

/// The namespace of the envelope.
const ENVELOPE_NAMESPACE: &str = "http://schemas.xmlsoap.org/soap/envelope/";

const ENVELOPE: &str = "<soap-env:Envelope xmlns:soap-env=\"http://schemas.xmlsoap.org/soap/envelope/\" \
    xmlns:soap-enc=\"http://schemas.xmlsoap.org/soap/encoding/\" \
    xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
    xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:cwmp=\"";

/// The `Content-Type` of what [`encode`] writes.
pub const CONTENT_TYPE: &str = "text/xml; charset=\"utf-8\"";

/// Writes an envelope as UTF-8. A [`Body::Unknown`] becomes an empty element of its name.
pub fn encode(envelope: &Envelope, booleans: Booleans) -> String {
    let mut writer = Writer::new(booleans);
    writer.raw(ENVELOPE);
    writer.raw(&envelope.namespace.to_string());
    writer.raw("\">");
    envelope.header.write(&mut writer);
    writer.raw("<soap-env:Body>");
    match &envelope.body {
        Body::Request(request) => request.write(&mut writer),
        Body::Response(response) => response.write(&mut writer),
        Body::Fault(fault) => write_fault(fault, &mut writer),
        Body::Unknown { name } => {
            // A name that is one in XML, whatever came in.
            let mut tag: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            tag.insert_str(
                0,
                if tag.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    "cwmp:"
                } else {
                    "cwmp:X"
                },
            );
            writer.element(&tag, "", "");
        }
    }
    writer.raw("</soap-env:Body></soap-env:Envelope>");
    writer.finish()
}

fn write_fault(fault: &Fault, writer: &mut Writer) {
    writer.raw("<soap-env:Fault>");
    writer.element("faultcode", "", fault.soap_code());
    writer.raw("<faultstring>CWMP fault</faultstring><detail><cwmp:Fault>");
    fault.code.write("FaultCode", writer);
    fault.text.write("FaultString", writer);
    for parameter in &fault.parameters {
        parameter.write("SetParameterValuesFault", writer);
    }
    writer.raw("</cwmp:Fault></detail></soap-env:Fault>");
}

/// Reads the first envelope of a body. `content_type` is the HTTP header, for its charset.
///
/// The error tells the id, method and namespace as far as they could be read, so that it can be
/// answered.
pub fn decode(
    body: &[u8],
    content_type: Option<&str>,
) -> std::result::Result<Envelope, DecodeError> {
    decode_from(body, content_type, false)
}

/// The same for the start of a session: of anything but an Inform no argument is read.
pub(crate) fn decode_opening(
    body: &[u8],
    content_type: Option<&str>,
) -> std::result::Result<Envelope, DecodeError> {
    decode_from(body, content_type, true)
}

fn decode_from(
    body: &[u8],
    content_type: Option<&str>,
    opening: bool,
) -> std::result::Result<Envelope, DecodeError> {
    if body.len() > limits::BODY_BYTES_MAX {
        return Err(DecodeError::new(DecodeErrorKind::Limit {
            limit: "BODY_BYTES_MAX",
            max: limits::BODY_BYTES_MAX,
        }));
    }
    let (text, odd) = charset::text(body, content_type)?;
    let mut partial = Partial {
        opening,
        ..Partial::default()
    };
    let mut reader = Reader::new(&text);
    reader.odd.add(odd);
    let read = envelope(&mut reader, &mut partial);
    // An answer cannot be refused: see the oddity.
    let read = read.and_then(|body| match &partial.not_understood {
        Some(header) if body.is_request() => {
            let header = header.clone();
            Err(DecodeError::new(DecodeErrorKind::NotUnderstood { header }))
        }
        _ => Ok(body),
    });
    let body = read.map_err(|mut error| {
        error.id = std::mem::take(&mut partial.header.id);
        error.method = std::mem::take(&mut partial.method);
        error.namespace = partial.namespace;
        error
    })?;
    let mut oddities = reader.odd;
    if partial.header.id.is_empty() {
        oddities.add(Oddities::NO_ID);
    }
    if !partial.namespace.is_some_and(Namespace::is_standard) {
        oddities.add(Oddities::NAMESPACE);
    }
    if partial.not_understood.is_some() {
        oddities.add(Oddities::UNKNOWN_HEADER);
    }
    Ok(Envelope {
        namespace: partial.namespace.unwrap_or_default(),
        header: partial.header,
        body,
        oddities,
    })
}

/// What is known while an envelope is read.
#[derive(Default)]
struct Partial {
    namespace: Option<Namespace>,
    header: Header,
    method: String,
    /// The first header that must be understood, and is not known.
    not_understood: Option<String>,
    /// Only an Inform may come.
    opening: bool,
}

impl Partial {
    /// Takes the CWMP namespace from wherever it is declared.
    fn declared(&mut self, element: &Element<'_>) {
        if self.namespace.is_none() {
            let declared = element
                .attributes()
                .filter(|(name, _)| name.starts_with("xmlns"));
            self.namespace = declared
                .filter_map(|(_, uri)| Namespace::parse(&uri))
                .next();
        }
    }
}

fn not_soap(why: &'static str) -> DecodeError {
    DecodeError::new(DecodeErrorKind::NotSoap(why))
}

fn envelope(reader: &mut Reader<'_>, partial: &mut Partial) -> Result<Body> {
    let Some(root) = reader.child()? else {
        return Err(not_soap("there is no element"));
    };
    if root.local() != "Envelope" {
        return Err(not_soap("the first element is another"));
    }
    partial.declared(&root);
    if !is_soap_1_1(&root) {
        reader.odd.add(Oddities::ENVELOPE_NAMESPACE);
    }
    let (mut body, mut has_body) = (None, false);
    while let Some(element) = reader.child()? {
        partial.declared(&element);
        has_body |= element.local() == "Body";
        match element.local() {
            "Header" => header::read(reader, partial)?,
            "Body" if body.is_none() => {
                while let Some(element) = reader.child()? {
                    if let Some(first) = &body {
                        second(reader, first, &element)?;
                        continue;
                    }
                    partial.declared(&element);
                    body = Some(method(reader, &element, partial)?);
                }
            }
            _ => reader.unknown()?,
        }
    }
    let body = body.ok_or_else(|| match has_body {
        true => DecodeError::new(DecodeErrorKind::EmptyBody),
        false => not_soap("there is no body"),
    })?;
    // A second envelope is what a 1.0 client may send; it gets an answer to the first.
    match reader.child() {
        Ok(None) => {}
        Ok(Some(element)) if element.local() == "Envelope" => {
            reader.odd.add(Oddities::SECOND_MESSAGE);
        }
        _ => reader.odd.add(Oddities::TRAILING),
    }
    Ok(body)
}

/// Whether the first element is in the namespace of SOAP 1.1, the only one that CWMP has.
fn is_soap_1_1(root: &Element<'_>) -> bool {
    let declares = |name: &str| match root.name().split_once(':') {
        Some((prefix, _)) => name.strip_prefix("xmlns:") == Some(prefix),
        None => name == "xmlns",
    };
    let mut attributes = root.attributes();
    attributes.any(|(name, uri)| declares(name) && uri.trim() == ENVELOPE_NAMESPACE)
}

/// Another element in the body. A request has one answer, which could not say what became of which
/// of two: both are refused. With an answer, which cannot be refused, it is only noted. What is no
/// message may be a value that some encoders put beside the method.
fn second(reader: &mut Reader<'_>, first: &Body, element: &Element<'_>) -> Result<()> {
    let name = element.local();
    let method = name.strip_suffix("Response").unwrap_or(name);
    if name != "Fault" && Method::parse(method).is_none() {
        reader.odd.add(Oddities::TRAILING);
    } else if first.is_request() {
        return Err(DecodeError::new(DecodeErrorKind::SecondMethod {
            first: first.name().to_owned(),
            second: excerpt(name),
        }));
    } else {
        reader.odd.add(Oddities::SECOND_MESSAGE);
    }
    reader.skip()
}

fn method(reader: &mut Reader<'_>, element: &Element<'_>, partial: &mut Partial) -> Result<Body> {
    let name = element.local();
    partial.method = excerpt(name);
    if partial.opening && name != Method::Inform.name() {
        return Err(DecodeError::new(DecodeErrorKind::NoInform));
    }
    if name == "Fault" {
        return fault(reader).map(Body::Fault);
    }
    if let Some(method) = Method::parse(name) {
        let request = method.read_request(reader, element)?;
        reader.odd.add(left_out(&request));
        return Ok(Body::Request(request));
    }
    let answered = name.strip_suffix("Response").and_then(Method::parse);
    if let Some(method) = answered {
        return method.read_response(reader, element).map(Body::Response);
    }
    reader.skip()?;
    Ok(Body::Unknown {
        name: excerpt(name),
    })
}

/// What a request has to say and does not, of that without which it means something else.
fn left_out(request: &Request) -> Oddities {
    let (says_how, times) = match request {
        Request::TransferComplete(done) => {
            (done.says_how(), [&done.start_time, &done.complete_time])
        }
        Request::AutonomousTransferComplete(done) => {
            (done.says_how(), [&done.start_time, &done.complete_time])
        }
        _ => return Oddities::default(),
    };
    let mut odd = Oddities::default();
    if !says_how {
        odd.add(Oddities::NO_RESULT);
    }
    if times.into_iter().any(Option::is_none) {
        odd.add(Oddities::NO_TIMES);
    }
    odd
}

/// A SOAP fault, of 1.1 or with the words of 1.2, with CWMP's in it or not. The detail also counts
/// inside of the words, where netcwmp has it.
fn fault(reader: &mut Reader<'_>) -> Result<Fault> {
    let mut out: Option<Fault> = None;
    let (mut soap_text, mut not_understood) = (String::new(), false);
    while let Some(element) = reader.child()? {
        match element.local() {
            "faultcode" => {
                let code = reader.text()?;
                let code = code.trim();
                not_understood = code.rsplit(':').next() == Some(fault::MUST_UNDERSTAND);
            }
            "faultstring" | "Reason" => {
                let words = reader.text_around(|reader, element| match element.local() {
                    "detail" => detail(reader, &mut out),
                    _ => reader.unknown(),
                })?;
                soap_text = words.trim().to_owned();
            }
            "detail" | "Detail" => detail(reader, &mut out)?,
            _ => reader.skip()?,
        }
    }
    let mut out = out.unwrap_or_else(|| {
        reader.odd.add(Oddities::MISSING_FAULT);
        Fault::new(Default::default(), soap_text)
    });
    out.not_understood = not_understood;
    Ok(out)
}

fn detail(reader: &mut Reader<'_>, out: &mut Option<Fault>) -> Result<()> {
    while let Some(element) = reader.child()? {
        match element.local() {
            "Fault" if out.is_none() => *out = Some(cwmp_fault(reader)?),
            _ => reader.unknown()?,
        }
    }
    Ok(())
}

fn cwmp_fault(reader: &mut Reader<'_>) -> Result<Fault> {
    let mut out = Fault::default();
    while let Some(element) = reader.argument()? {
        match element.local() {
            "FaultCode" => out.code = Wire::read(reader, &element)?,
            "FaultString" => out.text = Wire::read(reader, &element)?,
            "SetParameterValuesFault" => out.parameters.push(Wire::read(reader, &element)?),
            _ => reader.unknown()?,
        }
    }
    Ok(out)
}
