//! From a tree to XML text, elements in the order of the definitions.

use super::token::is_character;
use super::{FHIR_NAMESPACE, WriteError, narrative};
use crate::definitions::{Group, GroupKind, Kind, Member, Primitive, Special, Tables, tables};
use crate::json::{DEPTH_CEILING, Json};
use tacet_types::ResourceType;

/// Spaces for each level of a text for people.
const INDENT: &str = "  ";

pub(super) fn write(resource: &Json<'_>, pretty: bool) -> Result<Vec<u8>, WriteError> {
    let mut writer = Writer { out: String::with_capacity(2_048), tables: tables(), pretty };
    writer.out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    writer.resource(resource, 0)?;
    if pretty {
        writer.out.push('\n');
    }
    Ok(writer.out.into_bytes())
}

struct Writer {
    out: String,
    tables: &'static Tables,
    pretty: bool,
}

impl Writer {
    fn new_line(&mut self, level: usize) {
        if self.pretty {
            self.out.push('\n');
            for _ in 0..level {
                self.out.push_str(INDENT);
            }
        }
    }

    fn resource(&mut self, resource: &Json<'_>, level: usize) -> Result<(), WriteError> {
        let resource_type = resource.resource_type().and_then(ResourceType::parse).ok_or(WriteError::NotAResource)?;
        let group = self.tables.resource(resource_type).ok_or(WriteError::NotAResource)?;
        self.new_line(level);
        self.out.push('<');
        self.out.push_str(resource_type.as_str());
        if level == 0 {
            attribute_into("xmlns", FHIR_NAMESPACE, &mut self.out)?;
        }
        self.members(resource, group, resource_type.as_str(), level)
    }

    /// The rest of an element whose start tag is begun: attributes, children, end tag.
    fn members(&mut self, object: &Json<'_>, group: &'static Group, tag: &str, level: usize) -> Result<(), WriteError> {
        if level > DEPTH_CEILING {
            return Err(WriteError::TooDeep);
        }
        let members = object.as_object().ok_or(WriteError::Shape)?;
        let is_resource = group.kind() == GroupKind::Resource;
        for (name, _) in members {
            let known = match name.strip_prefix('_') {
                Some(bare) => group.member(bare).is_some_and(Member::is_extensible),
                None => group.member(name).is_some() || (is_resource && name == "resourceType"),
            };
            if !known {
                return Err(WriteError::UnknownElement);
            }
        }
        let is_attribute = |name: &str| {
            !is_resource && (name == "id" || (name == "url" && group.special() == Some(Special::Extension)))
        };
        for name in ["id", "url"] {
            if let Some(value) = object.get(name).filter(|_| is_attribute(name)) {
                attribute_into(name, value.as_str().ok_or(WriteError::Shape)?, &mut self.out)?;
            }
        }
        let start = self.out.len();
        self.out.push('>');
        let inner = self.out.len();
        for member in group.members().iter().filter(|member| !is_attribute(member.name())) {
            let value = object.get(member.name());
            let twin = if member.is_extensible() { object.get(&format!("_{}", member.name())) } else { None };
            if value.is_some() || twin.is_some() {
                self.member(member, group.element(member).is_many(), value, twin, level + 1)?;
            }
        }
        if self.out.len() == inner {
            self.out.truncate(start);
            self.out.push_str("/>");
            return Ok(());
        }
        self.new_line(level);
        self.end(tag);
        Ok(())
    }

    fn end(&mut self, tag: &str) {
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
    }

    fn member(
        &mut self,
        member: &'static Member,
        many: bool,
        value: Option<&Json<'_>>,
        twin: Option<&Json<'_>>,
        level: usize,
    ) -> Result<(), WriteError> {
        if !many {
            return self.value(member, value, twin, level);
        }
        let items = |list: Option<&Json<'_>>| list.is_none_or(Json::is_array);
        if !items(value) || !items(twin) {
            return Err(WriteError::Shape);
        }
        let (values, twins) = (value.map(Json::items).unwrap_or_default(), twin.map(Json::items).unwrap_or_default());
        for index in 0..values.len().max(twins.len()) {
            self.value(member, values.get(index), twins.get(index), level)?;
        }
        Ok(())
    }

    fn value(
        &mut self,
        member: &'static Member,
        value: Option<&Json<'_>>,
        twin: Option<&Json<'_>>,
        level: usize,
    ) -> Result<(), WriteError> {
        let present = |json: Option<&Json<'_>>| json.is_some_and(|json| !json.is_null());
        let name = member.name();
        match member.kind() {
            Kind::Primitive(Primitive::Xhtml) => {
                let text = value.and_then(Json::as_str).ok_or(WriteError::Shape)?;
                let text = narrative::write(text)?;
                self.new_line(level);
                self.out.push_str(&text);
                Ok(())
            }
            Kind::Primitive(primitive) => {
                if !present(value) && !present(twin) {
                    return Err(WriteError::Shape);
                }
                self.new_line(level);
                self.out.push('<');
                self.out.push_str(name);
                if let Some(value) = value.filter(|value| !value.is_null()) {
                    attribute_into("value", scalar(primitive, value)?, &mut self.out)?;
                }
                match twin.filter(|twin| !twin.is_null()) {
                    Some(twin) => self.members(twin, self.tables.element(), name, level),
                    None => {
                        self.out.push_str("/>");
                        Ok(())
                    }
                }
            }
            Kind::Group(id) => {
                self.new_line(level);
                self.out.push('<');
                self.out.push_str(name);
                self.members(value.ok_or(WriteError::Shape)?, self.tables.group(id), name, level)
            }
            Kind::Resource => {
                if level > DEPTH_CEILING {
                    return Err(WriteError::TooDeep);
                }
                self.new_line(level);
                self.out.push('<');
                self.out.push_str(name);
                self.out.push('>');
                self.resource(value.ok_or(WriteError::Shape)?, level + 1)?;
                self.new_line(level);
                self.end(name);
                Ok(())
            }
        }
    }
}

fn scalar<'j>(primitive: Primitive, value: &'j Json<'_>) -> Result<&'j str, WriteError> {
    let text = match (primitive, value) {
        (Primitive::Boolean, Json::Bool(true)) => Some("true"),
        (Primitive::Boolean, Json::Bool(false)) => Some("false"),
        (Primitive::Boolean, _) => None,
        (Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt | Primitive::Decimal, value) => {
            value.as_number()
        }
        (_, value) => value.as_str(),
    };
    text.ok_or(WriteError::Shape)
}

/// ` name="value"`. Line ends and tabs by number, for a reader takes them for blanks otherwise.
pub(super) fn attribute_into(name: &str, value: &str, out: &mut String) -> Result<(), WriteError> {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escaped(value, out, |letter| match letter {
        '"' => Some("&quot;"),
        '\n' => Some("&#10;"),
        '\t' => Some("&#9;"),
        _ => None,
    })?;
    out.push('"');
    Ok(())
}

/// Text between tags.
pub(super) fn text_into(text: &str, out: &mut String) -> Result<(), WriteError> {
    escaped(text, out, |_| None)
}

fn escaped(text: &str, out: &mut String, also: impl Fn(char) -> Option<&'static str>) -> Result<(), WriteError> {
    out.reserve(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\r' => out.push_str("&#13;"),
            letter if !is_character(letter) => return Err(WriteError::Character),
            letter => match also(letter) {
                Some(entity) => out.push_str(entity),
                None => out.push(letter),
            },
        }
    }
    Ok(())
}
