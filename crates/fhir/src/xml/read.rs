//! From XML events to a tree, beside the definitions.

use super::narrative;
use super::token::{Attribute, Event, Namespace, Reader, Start, is_blank};
use super::{XmlError, XmlErrorKind as Kind};
use crate::definitions::{Element, Group, GroupKind, Kind as MemberKind, Member, Primitive, Special, Tables, tables};
use crate::json::{DEPTH_CEILING, Json, Limits, Member as JsonMember, parse_str};
use std::borrow::Cow;
use tacet_types::ResourceType;

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Json<'static>, XmlError> {
    if bytes.len() > limits.bytes_max {
        return Err(XmlError::at(Kind::TooLarge, &[], 0));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| XmlError::at(Kind::Encoding, bytes, error.valid_up_to()))?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut builder = Builder { reader: Reader::new(text), tables: tables(), limits, values: 0 };
    builder.document().map_err(|kind| {
        let skipped = bytes.len() - text.len();
        XmlError::at(kind, bytes, builder.reader.offset() + skipped)
    })
}

struct Builder<'t, 'l> {
    reader: Reader<'t>,
    tables: &'static Tables,
    limits: &'l Limits,
    /// JSON values made so far.
    values: usize,
}

/// What was read of one member of an object. `values` and `twins` have an item for each element that was read.
struct Slot {
    member: &'static Member,
    many: bool,
    values: Vec<Json<'static>>,
    twins: Vec<Json<'static>>,
}

impl Slot {
    /// The members `name` and `_name`, as far as there is something in them.
    fn finish(self, out: &mut Vec<JsonMember<'static>>) {
        let mut push = |name: Cow<'static, str>, items: Vec<Json<'static>>| {
            if items.iter().all(Json::is_null) {
                return;
            }
            let value = if self.many { Some(Json::Array(items)) } else { items.into_iter().next() };
            out.extend(value.map(|value| (name, value)));
        };
        push(Cow::Owned(self.member.name().to_owned()), self.values);
        push(Cow::Owned(format!("_{}", self.member.name())), self.twins);
    }
}

impl<'t> Builder<'t, '_> {
    fn document(&mut self) -> Result<Json<'static>, Kind> {
        self.reader.declaration()?;
        let Event::Start(start) = self.reader.next()? else { return Err(Kind::NotAResource) };
        let resource = self.resource(start, 1)?;
        match self.reader.next()? {
            Event::Done => Ok(resource),
            _ => Err(Kind::Malformed),
        }
    }

    /// Counts a value at that depth of the JSON tree.
    fn count(&mut self, depth: usize) -> Result<(), Kind> {
        if depth > self.limits.depth_max.min(DEPTH_CEILING) {
            return Err(Kind::TooDeep);
        }
        self.values += 1;
        if self.values > self.limits.values_max { Err(Kind::TooManyValues) } else { Ok(()) }
    }

    fn resource(&mut self, start: Start<'t>, depth: usize) -> Result<Json<'static>, Kind> {
        if start.namespace != Namespace::Fhir {
            return Err(Kind::Namespace);
        }
        let resource_type = ResourceType::parse(start.name).ok_or(Kind::NotAResource)?;
        let group = self.tables.resource(resource_type).ok_or(Kind::NotAResource)?;
        let mut members = vec![(Cow::Borrowed("resourceType"), Json::from(resource_type.as_str()))];
        self.count(depth)?;
        self.count(depth)?;
        self.members(group, start.attributes, depth, &mut members)?;
        Ok(Json::Object(members))
    }

    /// Attributes and children of an element, up to its end.
    fn members(
        &mut self,
        group: &'static Group,
        attributes: Vec<Attribute<'t>>,
        depth: usize,
        out: &mut Vec<JsonMember<'static>>,
    ) -> Result<(), Kind> {
        let is_resource = group.kind() == GroupKind::Resource;
        for Attribute { name, value } in attributes {
            let name = match name {
                "id" if !is_resource => "id",
                "url" if group.special() == Some(Special::Extension) => "url",
                _ => return Err(Kind::UnknownAttribute),
            };
            self.count(depth)?;
            out.push((Cow::Borrowed(name), Json::String(Cow::Owned(value.into_owned()))));
        }
        let mut slots: Vec<Slot> = Vec::new();
        loop {
            match self.reader.next()? {
                Event::Start(start) => {
                    let is_attribute = !is_resource
                        && (start.name == "id" || (start.name == "url" && group.special() == Some(Special::Extension)));
                    let member = group.member(start.name).filter(|_| !is_attribute).ok_or(Kind::UnknownElement)?;
                    let element = group.element(member);
                    let at = match slots.iter().position(|slot| slot.member.name() == member.name()) {
                        Some(_) if !element.is_many() => return Err(Kind::Repeated),
                        Some(at) => at,
                        None => {
                            self.count(depth)?;
                            slots.push(Slot { member, many: element.is_many(), values: Vec::new(), twins: Vec::new() });
                            slots.len() - 1
                        }
                    };
                    let (value, twin) =
                        self.value(start, member, element, depth + 1 + usize::from(element.is_many()))?;
                    if let Some(slot) = slots.get_mut(at) {
                        slot.values.push(value);
                        slot.twins.push(twin);
                    }
                }
                Event::Text(text) if is_blank(&text) => {}
                Event::Text(_) => return Err(Kind::UnexpectedText),
                Event::End => break,
                Event::Done => return Err(Kind::UnexpectedEnd),
            }
        }
        slots.into_iter().for_each(|slot| slot.finish(out));
        Ok(())
    }

    /// One element: what goes into `name`, and what goes into `_name`.
    fn value(
        &mut self,
        start: Start<'t>,
        member: &'static Member,
        element: &Element,
        depth: usize,
    ) -> Result<(Json<'static>, Json<'static>), Kind> {
        self.count(depth)?;
        if let MemberKind::Primitive(Primitive::Xhtml) = member.kind() {
            let text = narrative::read(&mut self.reader, &start)?;
            return Ok((Json::String(Cow::Owned(text.into_owned())), Json::Null));
        }
        if start.namespace != Namespace::Fhir {
            return Err(Kind::Namespace);
        }
        match member.kind() {
            MemberKind::Primitive(primitive) => self.primitive(start, member, primitive, depth),
            MemberKind::Group(id) => {
                let mut members = Vec::new();
                self.members(self.tables.group(id), start.attributes, depth, &mut members)?;
                Ok((Json::Object(members), Json::Null))
            }
            MemberKind::Resource => {
                debug_assert!(element.name() == member.name(), "resources stand in no choice");
                Ok((self.inner_resource(start, depth)?, Json::Null))
            }
        }
    }

    /// The one resource inside of `contained`, `resource` and the like.
    fn inner_resource(&mut self, outer: Start<'t>, depth: usize) -> Result<Json<'static>, Kind> {
        if !outer.attributes.is_empty() {
            return Err(Kind::UnknownAttribute);
        }
        let mut resource = None;
        loop {
            match self.reader.next()? {
                Event::Start(_) if resource.is_some() => return Err(Kind::NotOneResource),
                Event::Start(start) => resource = Some(self.resource(start, depth)?),
                Event::Text(text) if is_blank(&text) => {}
                Event::Text(_) => return Err(Kind::UnexpectedText),
                Event::End => return resource.ok_or(Kind::NotOneResource),
                Event::Done => return Err(Kind::UnexpectedEnd),
            }
        }
    }

    fn primitive(
        &mut self,
        mut start: Start<'t>,
        member: &'static Member,
        primitive: Primitive,
        depth: usize,
    ) -> Result<(Json<'static>, Json<'static>), Kind> {
        let value = start.attributes.iter().position(|attribute| attribute.name == "value");
        let value = match value.map(|at| start.attributes.swap_remove(at).value) {
            Some(text) => self.scalar(primitive, text)?,
            None => Json::Null,
        };
        let mut members = Vec::new();
        self.members(self.tables.element(), start.attributes, depth, &mut members)?;
        if members.is_empty() {
            return if value.is_null() { Err(Kind::Empty) } else { Ok((value, Json::Null)) };
        }
        if !member.is_extensible() {
            return Err(Kind::UnknownAttribute);
        }
        self.count(depth)?;
        Ok((value, Json::Object(members)))
    }

    fn scalar(&mut self, primitive: Primitive, text: Cow<'t, str>) -> Result<Json<'static>, Kind> {
        match primitive {
            Primitive::Boolean => match text.as_ref() {
                "true" => Ok(Json::Bool(true)),
                "false" => Ok(Json::Bool(false)),
                _ => Err(Kind::Value),
            },
            Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt | Primitive::Decimal => {
                // Our own JSON parser says whether this can stand as a number.
                match parse_str(&text, &Limits::default()) {
                    Ok(Json::Number(number)) if number.len() == text.len() => {
                        Ok(Json::Number(Cow::Owned(number.into_owned())))
                    }
                    _ => Err(Kind::Value),
                }
            }
            _ => Ok(Json::String(Cow::Owned(text.into_owned()))),
        }
    }
}
