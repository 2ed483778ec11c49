//! The part of a protobuf schema that USP uses, and the Rust for each piece of it.
//! Deliberately refuses everything else.

use anyhow::{bail, ensure};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto};

/// Oneofs that may be absent on the wire; every other one is mandatory (R-ENC.3).
/// TR-369's own example of a command without output leaves them out.
pub(super) const OPTIONAL_ONEOFS: &[&str] = &[
    "OperationResult.operation_resp",
    "OperationComplete.completion",
];

/// What a value is on the wire and in Rust.
#[derive(Clone)]
pub(super) enum Kind {
    Text,
    Bytes,
    Bool,
    Uint64,
    Fixed32,
    Enum(String),
    Message(String),
    Map,
}

impl Kind {
    pub(super) fn rust(&self) -> &str {
        match self {
            Self::Text => "String",
            Self::Bytes => "Vec<u8>",
            Self::Bool => "bool",
            Self::Uint64 => "u64",
            Self::Fixed32 => "u32",
            Self::Enum(name) | Self::Message(name) => name,
            Self::Map => "Map",
        }
    }

    pub(super) fn wire_type(&self) -> u32 {
        match self {
            Self::Bool | Self::Uint64 | Self::Enum(_) => 0,
            Self::Text | Self::Bytes | Self::Message(_) | Self::Map => 2,
            Self::Fixed32 => 5,
        }
    }

    pub(super) fn read(&self) -> String {
        match self {
            Self::Text => "r.text()?".into(),
            Self::Bytes => "r.bytes()?".into(),
            Self::Bool => "r.boolean()?".into(),
            Self::Uint64 => "r.uint64()?".into(),
            Self::Fixed32 => "r.fixed32()?".into(),
            Self::Enum(name) => format!("{name}(r.int32()?)"),
            Self::Message(_) => "r.message()?".into(),
            Self::Map => "r.map_entry()?".into(),
        }
    }
}

pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) number: u32,
    pub(super) repeated: bool,
    pub(super) kind: Kind,
}

impl Field<'_> {
    pub(super) fn tag(&self) -> u32 {
        self.number << 3 | self.kind.wire_type()
    }

    pub(super) fn initial(&self) -> String {
        match &self.kind {
            _ if self.repeated => "Vec::new()".into(),
            Kind::Text => "String::new()".into(),
            Kind::Bytes => "Vec::new()".into(),
            Kind::Bool => "false".into(),
            Kind::Uint64 | Kind::Fixed32 => "0".into(),
            Kind::Enum(name) => format!("{name}::default()"),
            Kind::Message(_) => "None".into(),
            Kind::Map => "Map::new()".into(),
        }
    }

    /// Writes also what equals the default: repeated fields, oneofs and mandatory messages.
    pub(super) fn encode_always(&self, value: &str) -> String {
        let tag = self.tag();
        match &self.kind {
            Kind::Text => format!("w.bytes_always({tag}, {value}.as_bytes())"),
            Kind::Bytes => format!("w.bytes_always({tag}, {value})"),
            Kind::Message(_) => format!("w.message({tag}, {value})"),
            other => unreachable!("{} in a oneof or repeated", other.rust()),
        }
    }

    pub(super) fn encode(&self) -> String {
        let (tag, name) = (self.tag(), self.name);
        if self.repeated {
            return format!("for v in &self.{name} {{ {}; }}", self.encode_always("v"));
        }
        match &self.kind {
            Kind::Text => format!("w.bytes({tag}, self.{name}.as_bytes());"),
            Kind::Bytes => format!("w.bytes({tag}, &self.{name});"),
            Kind::Bool => format!("w.uint64({tag}, u64::from(self.{name}));"),
            Kind::Uint64 => format!("w.uint64({tag}, self.{name});"),
            Kind::Fixed32 => format!("w.fixed32({tag}, self.{name});"),
            Kind::Enum(_) => format!("w.int32({tag}, self.{name}.0);"),
            Kind::Message(_) => format!("w.message({tag}, &self.{name});"),
            Kind::Map => format!("w.map({tag}, &self.{name});"),
        }
    }

    pub(super) fn decode_arm(&self) -> String {
        let (tag, name, read) = (self.tag(), self.name, self.kind.read());
        match &self.kind {
            Kind::Map => format!("{tag} => {{ r.count()?; {name}.push_entry({read}); }}"),
            _ if self.repeated => format!("{tag} => {{ r.count()?; {name}.push({read}); }}"),
            Kind::Message(_) => {
                format!("{tag} => {{ r.once(&{name}, \"{name}\")?; {name} = Some({read}); }}")
            }
            _ => format!("{tag} => {name} = {read},"),
        }
    }
}

pub(super) enum Member<'a> {
    Field(Field<'a>),
    Oneof {
        at: usize,
        name: &'a str,
        ty: String,
        optional: bool,
        fields: Vec<Field<'a>>,
    },
}

impl Member<'_> {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Field(field) => field.name,
            Self::Oneof { name, .. } => name,
        }
    }

    pub(super) fn fields(&self) -> Vec<&Field<'_>> {
        match self {
            Self::Field(field) => vec![field],
            Self::Oneof { fields, .. } => fields.iter().collect(),
        }
    }

    pub(super) fn is_required(&self) -> bool {
        match self {
            Self::Field(field) => !field.repeated && matches!(field.kind, Kind::Message(_)),
            Self::Oneof { optional, .. } => !optional,
        }
    }

    pub(super) fn rust(&self) -> String {
        match self {
            Self::Field(field) if field.repeated => format!("Vec<{}>", field.kind.rust()),
            Self::Field(field) => field.kind.rust().to_owned(),
            Self::Oneof {
                ty, optional: true, ..
            } => format!("Option<{ty}>"),
            Self::Oneof { ty, .. } => ty.clone(),
        }
    }

    pub(super) fn encode(&self) -> String {
        match self {
            Self::Field(field) => field.encode(),
            Self::Oneof {
                name,
                ty,
                optional,
                fields,
                ..
            } => {
                let mut code = format!("match &self.{name} {{");
                for field in fields {
                    let variant = format!("{ty}::{}", pascal(field.name));
                    let pattern = if *optional {
                        format!("Some({variant}(v))")
                    } else {
                        format!("{variant}(v)")
                    };
                    code += &format!("{pattern} => {},", field.encode_always("v"));
                }
                code + if *optional { "None => {} }" } else { "}" }
            }
        }
    }

    pub(super) fn decode_arms(&self) -> String {
        match self {
            Self::Field(field) => field.decode_arm(),
            Self::Oneof { name, ty, fields, .. } => fields
                .iter()
                .map(|field| {
                    let variant = pascal(field.name);
                    format!(
                        "{} => {{ r.once(&{name}, \"{name}\")?; {name} = Some({ty}::{variant}({})); }}\n",
                        field.tag(),
                        field.kind.read()
                    )
                })
                .collect(),
        }
    }

    pub(super) fn finish(&self) -> String {
        let name = self.name();
        match self {
            Self::Oneof {
                optional: false, ..
            } => format!("{name}: r.one_of({name}, \"{name}\", unknown)?"),
            Self::Field(_) if self.is_required() => {
                format!("{name}: r.required({name}, \"{name}\")?")
            }
            _ => name.to_owned(),
        }
    }
}

/// The members of a message in declaration order, oneofs grouped.
pub(super) fn members(message: &DescriptorProto) -> anyhow::Result<Vec<Member<'_>>> {
    let mut members: Vec<Member<'_>> = Vec::new();
    for proto in &message.field {
        let field = field(message, proto)?;
        let Some(index) = proto.oneof_index else {
            members.push(Member::Field(field));
            continue;
        };
        ensure!(
            !proto.proto3_optional(),
            "{}: proto3 optional",
            message.name()
        );
        ensure!(
            matches!(field.kind, Kind::Text | Kind::Message(_)),
            "{}.{}: only text and messages in a oneof",
            message.name(),
            field.name
        );
        let at = index as usize;
        let known = members.iter_mut().find_map(|member| match member {
            Member::Oneof {
                at: known, fields, ..
            } if *known == at => Some(fields),
            _ => None,
        });
        if let Some(fields) = known {
            fields.push(field);
            continue;
        }
        let name = message.oneof_decl[at].name();
        let optional = OPTIONAL_ONEOFS.contains(&format!("{}.{name}", message.name()).as_str());
        members.push(Member::Oneof {
            at,
            name,
            ty: pascal(name),
            optional,
            fields: vec![field],
        });
    }
    Ok(members)
}

fn field<'a>(
    message: &DescriptorProto,
    proto: &'a FieldDescriptorProto,
) -> anyhow::Result<Field<'a>> {
    let name = proto.name();
    let repeated = proto.label() == Label::Repeated;
    let local = proto
        .type_name()
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_owned();
    let kind = match proto.r#type() {
        Type::String => Kind::Text,
        Type::Bytes => Kind::Bytes,
        Type::Bool => Kind::Bool,
        Type::Uint64 => Kind::Uint64,
        Type::Fixed32 => Kind::Fixed32,
        Type::Enum => Kind::Enum(local),
        Type::Message if message.nested_type.iter().any(|n| n.name() == local) => Kind::Map,
        Type::Message => Kind::Message(local),
        other => bail!("{}.{name}: {other:?} is not supported", message.name()),
    };
    if repeated {
        ensure!(
            matches!(
                kind,
                Kind::Text | Kind::Bytes | Kind::Message(_) | Kind::Map
            ),
            "{}.{name}: repeated numbers are not supported",
            message.name()
        );
    }
    let repeated = repeated && !matches!(kind, Kind::Map);
    let number = u32::try_from(proto.number())?;
    ensure!(
        number < 32,
        "{}.{name}: field numbers go to 31",
        message.name()
    );
    Ok(Field {
        name,
        number,
        repeated,
        kind,
    })
}

/// Whether a nested type is a string map's entry.
pub(super) fn is_map_entry(nested: &DescriptorProto) -> bool {
    nested
        .options
        .as_ref()
        .is_some_and(|options| options.map_entry())
        && nested
            .field
            .iter()
            .all(|field| field.r#type() == Type::String)
}

/// One bit a known field number.
pub(super) fn mask<'a>(fields: impl Iterator<Item = &'a Field<'a>>) -> String {
    format!(
        "{:#b}",
        fields.fold(0u32, |mask, field| mask | 1 << field.number)
    )
}

pub(super) fn pascal(snake: &str) -> String {
    let mut out = String::new();
    for word in snake.split('_') {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            out.push(first.to_ascii_uppercase());
            out.push_str(letters.as_str());
        }
    }
    out
}

pub(super) fn snake(pascal: &str) -> String {
    let mut out = String::new();
    for (at, letter) in pascal.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
