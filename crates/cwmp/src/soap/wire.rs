//! How each type of field is read and written, and the macro that makes a struct of them.

use crate::error::{DecodeError, DecodeErrorKind, excerpt};
use crate::event::EventCode;
use crate::fault::{FaultCode, ParameterFault};
use crate::limits;
use crate::value::{self, MASK, Secret, Timestamp, Url, Value};

#[cfg(test)]
use crate::retry::Random;

use super::Booleans;
use super::oddity::Oddities;
use super::reader::{Element, Reader, Result};
use super::writer::Writer;

/// Says of a parameter's name whether its value is a secret.
pub(crate) type IsSecret<'a> = &'a dyn Fn(&str) -> bool;

/// A type that is the content of an element.
pub(crate) trait Wire: Sized {
    /// Reads the open element to its end.
    fn read(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Self>;
    /// The same where it may be absent: `None` when what is there says nothing.
    fn read_some(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Option<Self>> {
        Self::read(reader, element).map(Some)
    }
    /// Writes the element.
    fn write(&self, tag: &str, writer: &mut Writer);
    /// Puts masks over secrets.
    fn mask(&mut self, _is_secret: IsSecret<'_>) {}
    /// Any content, for property tests.
    #[cfg(test)]
    fn random(random: &mut Random) -> Self;
}

/// A type that comes in arrays.
pub(crate) trait Item: Wire {
    /// The element of each.
    const TAG: &str;
    /// The type in `arrayType`.
    const TYPE: &str;
    /// The most of them in one array, by the name of the limit.
    const MAX: (&'static str, usize) = ("ITEMS_MAX", limits::ITEMS_MAX);
}

/// What the most numerous items have as their limit: nothing but that of all elements.
pub(crate) const ANY: (&str, usize) = ("ELEMENTS_MAX", limits::ELEMENTS_MAX);

/// A struct of fields, read in any order and written in the standard's.
macro_rules! message {
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $type:ty = $tag:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($(#[$about])* pub $field: $type,)* }

        impl $name {
            #[allow(unused_variables)]
            fn write_fields(&self, writer: &mut $crate::soap::writer::Writer) {
                $($crate::soap::wire::Wire::write(&self.$field, $tag, writer);)*
            }
        }

        impl $crate::soap::wire::Wire for $name {
            #[allow(unused_mut)]
            fn read(
                reader: &mut $crate::soap::reader::Reader<'_>,
                _: &$crate::soap::reader::Element<'_>,
            ) -> $crate::soap::reader::Result<Self> {
                let mut out = Self::default();
                while let Some(element) = reader.argument()? {
                    match element.local() {
                        $($tag => out.$field = $crate::soap::wire::Wire::read(reader, &element)?,)*
                        _ => reader.unknown()?,
                    }
                }
                Ok(out)
            }

            fn write(&self, tag: &str, writer: &mut $crate::soap::writer::Writer) {
                writer.open(tag, "");
                self.write_fields(writer);
                writer.close(tag);
            }

            #[cfg(test)]
            #[allow(unused_variables)]
            fn random(random: &mut $crate::retry::Random) -> Self {
                Self { $($field: $crate::soap::wire::Wire::random(random),)* }
            }

            #[allow(unused_variables)]
            fn mask(&mut self, is_secret: $crate::soap::wire::IsSecret<'_>) {
                $($crate::soap::wire::Wire::mask(&mut self.$field, is_secret);)*
            }
        }
    };
}
pub(crate) use message;

/// Makes structs array elements: the element's name is the type's. `any number of` are those that
/// describe the data model.
macro_rules! items {
    ($($name:ident)*) => {$(
        impl $crate::soap::wire::Item for $name {
            const TAG: &str = stringify!($name);
            const TYPE: &str = concat!("cwmp:", stringify!($name));
        }
    )*};
    (any number of: $($name:ident)*) => {$(
        impl $crate::soap::wire::Item for $name {
            const TAG: &str = stringify!($name);
            const TYPE: &str = concat!("cwmp:", stringify!($name));
            const MAX: (&'static str, usize) = $crate::soap::wire::ANY;
        }
    )*};
}
pub(crate) use items;

/// Names, keys and the like: white space around them is layout.
impl Wire for String {
    fn read(reader: &mut Reader<'_>, _: &Element<'_>) -> Result<Self> {
        let text = reader.text()?;
        let trimmed = trim(&text);
        Ok(match trimmed.len() == text.len() {
            true => text.into_owned(),
            false => trimmed.to_owned(),
        })
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        writer.element(tag, "", self);
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        trim(&random_text(random)).to_owned()
    }
}

/// Without XML's white space around it.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

impl Item for String {
    const TAG: &str = "string";
    const TYPE: &str = "xsd:string";
    const MAX: (&'static str, usize) = ANY;
}

impl Wire for Secret {
    fn read(reader: &mut Reader<'_>, _: &Element<'_>) -> Result<Self> {
        Ok(Self(reader.text()?.into_owned()))
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        writer.element(tag, "", &self.0);
    }

    fn mask(&mut self, _: IsSecret<'_>) {
        if !self.0.is_empty() {
            self.0 = MASK.to_owned();
        }
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        Self(random_text(random))
    }
}

impl Wire for Url {
    fn read(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Self> {
        String::read(reader, element).map(Self)
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        self.0.write(tag, writer);
    }

    fn mask(&mut self, _: IsSecret<'_>) {
        self.0 = self.masked();
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        Self(Wire::random(random))
    }
}

impl Wire for Timestamp {
    fn read(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Self> {
        String::read(reader, element).map(Self)
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        self.0.write(tag, writer);
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        Self(Wire::random(random))
    }
}

impl Wire for EventCode {
    fn read(reader: &mut Reader<'_>, _: &Element<'_>) -> Result<Self> {
        Ok(Self::parse(&reader.text()?))
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        writer.element(tag, "", &self.as_text());
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        Self::parse(&String::random(random))
    }
}

impl Wire for bool {
    fn read(reader: &mut Reader<'_>, _: &Element<'_>) -> Result<Self> {
        let text = reader.text()?;
        Ok(value::boolean(&text).unwrap_or_else(|| {
            reader.odd.add(Oddities::BOOLEAN);
            false
        }))
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        let text = match (writer.booleans, self) {
            (Booleans::Digits, true) => "1",
            (Booleans::Digits, false) => "0",
            (Booleans::Words, true) => "true",
            (Booleans::Words, false) => "false",
        };
        writer.element(tag, "", text);
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        random.next() & 1 == 1
    }
}

/// Numbers; one that is none counts as absent, since a device that cannot count its retries must
/// still be managed.
macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl Wire for $type {
            fn read(reader: &mut Reader<'_>, _: &Element<'_>) -> Result<Self> {
                let text = reader.text()?;
                let digits = text.trim();
                if let Ok(number) = digits.parse() {
                    return Ok(number);
                }
                if !digits.is_empty() {
                    reader.odd.add(Oddities::NUMBER);
                }
                Ok(0)
            }

            fn write(&self, tag: &str, writer: &mut Writer) {
                writer.element(tag, "", &self.to_string());
            }

            #[cfg(test)]
            fn random(random: &mut Random) -> Self {
                random.next() as $type >> (random.next() % 32)
            }
        }
    )*};
}
numbers! { u32 u64 }

/// An instance number, without which an answer means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceNumber(pub u64);

impl Wire for InstanceNumber {
    fn read(reader: &mut Reader<'_>, _: &Element<'_>) -> Result<Self> {
        let text = reader.text()?;
        match text.trim().parse() {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err(DecodeError::new(DecodeErrorKind::Value {
                element: "InstanceNumber",
                text: excerpt(&text),
            })),
        }
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        self.0.write(tag, writer);
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        Self(random.next() | 1)
    }
}

/// A fault code; some devices write its name behind it.
impl Wire for FaultCode {
    fn read(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Self> {
        Self::read_some(reader, element).map(Option::unwrap_or_default)
    }

    fn read_some(reader: &mut Reader<'_>, _: &Element<'_>) -> Result<Option<Self>> {
        let text = reader.text()?;
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let code = text[..digits].parse().ok().map(Self);
        if code.is_none() {
            reader.odd.add(Oddities::NUMBER);
        }
        Ok(code)
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        self.0.write(tag, writer);
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        Self(random.next() as u32)
    }
}

impl Wire for Value {
    fn read(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Self> {
        let base = match element.qualified("type") {
            None => {
                reader.odd.add(Oddities::NO_VALUE_TYPE);
                dm::BaseType::String
            }
            Some(name) => value::type_of(&name).unwrap_or_else(|| {
                reader.odd.add(Oddities::VALUE_TYPE);
                dm::BaseType::String
            }),
        };
        let text = reader.text()?.into_owned();
        Ok(Self { base, text })
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        writer.raw("<");
        writer.raw(tag);
        writer.raw(" xsi:type=\"");
        writer.raw(value::type_name(self.base));
        writer.element_rest(tag, &self.text);
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        let types = dm::BaseType::ALL;
        let base = types[random.next() as usize % types.len()];
        // CWMP has no decimal type.
        let base = if base == dm::BaseType::Decimal {
            dm::BaseType::String
        } else {
            base
        };
        Self {
            base,
            text: random_text(random),
        }
    }
}

/// An element that may be absent.
impl<T: Wire> Wire for Option<T> {
    fn read(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Self> {
        T::read_some(reader, element)
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        if let Some(content) = self {
            content.write(tag, writer);
        }
    }

    fn mask(&mut self, is_secret: IsSecret<'_>) {
        if let Some(content) = self {
            content.mask(is_secret);
        }
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        (random.next() & 1 == 1).then(|| T::random(random))
    }
}

/// A SOAP array: every child is an element of it, whatever it is called.
impl<T: Item> Wire for Vec<T> {
    fn read(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Self> {
        let mut out = Vec::new();
        let stated = element
            .qualified("arrayType")
            .and_then(|text| stated(&text));
        while let Some(element) = reader.argument()? {
            let (limit, max) = T::MAX;
            if out.len() >= max {
                return Err(DecodeError::new(DecodeErrorKind::Limit { limit, max }));
            }
            out.push(T::read(reader, &element)?);
        }
        if stated.is_some_and(|stated| stated != out.len()) {
            reader.odd.add(Oddities::ARRAY_SIZE);
        }
        Ok(out)
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        let attributes = format!(" soap-enc:arrayType=\"{}[{}]\"", T::TYPE, self.len());
        writer.open(tag, &attributes);
        for item in self {
            item.write(T::TAG, writer);
        }
        writer.close(tag);
    }

    fn mask(&mut self, is_secret: IsSecret<'_>) {
        self.iter_mut().for_each(|item| item.mask(is_secret));
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        (0..random.next() % 4).map(|_| T::random(random)).collect()
    }
}

/// The number in `cwmp:EventStruct[02]`.
fn stated(array_type: &str) -> Option<usize> {
    let (_, rest) = array_type.rsplit_once('[')?;
    rest.split_once(']')?.0.trim().parse().ok()
}

impl Wire for ParameterFault {
    fn read(reader: &mut Reader<'_>, _: &Element<'_>) -> Result<Self> {
        let mut out = Self::default();
        while let Some(element) = reader.argument()? {
            match element.local() {
                "ParameterName" => out.name = Wire::read(reader, &element)?,
                "FaultCode" => out.code = Wire::read(reader, &element)?,
                "FaultString" => out.text = Wire::read(reader, &element)?,
                _ => reader.unknown()?,
            }
        }
        Ok(out)
    }

    fn write(&self, tag: &str, writer: &mut Writer) {
        writer.open(tag, "");
        self.name.write("ParameterName", writer);
        self.code.write("FaultCode", writer);
        self.text.write("FaultString", writer);
        writer.close(tag);
    }

    #[cfg(test)]
    fn random(random: &mut Random) -> Self {
        Self {
            name: Wire::random(random),
            code: Wire::random(random),
            text: Wire::random(random),
        }
    }
}

/// Text with everything that XML finds hard.
#[cfg(test)]
fn random_text(random: &mut Random) -> String {
    const PIECES: [&str; 16] = [
        "a",
        "Device.",
        "&",
        "<",
        ">",
        "\"",
        "'",
        "]]>",
        "\r",
        "\n",
        " ",
        "é",
        "€",
        "\u{1f4f6}",
        "&amp;",
        "\t",
    ];
    let pieces = random.next() % 8;
    (0..pieces)
        .map(|_| PIECES[random.next() as usize % PIECES.len()])
        .collect()
}
