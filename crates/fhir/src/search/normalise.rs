//! From an element of a resource to the values that searches compare, by the type of the parameter and of the element.

use super::compile::Kind;
use super::token::{text, tokens};
use super::{DateRange, Decimal, NumberRange, ParameterType, Quantity, Value};
use crate::json::Json;
use crate::reference::Reference;
use tacet_types::ResourceType;

/// The system of currency codes (ISO 4217), which `Money` implies.
const CURRENCIES: &str = "urn:iso:std:iso:4217";

/// The parts of a name that a string search looks through, in the order of R4's definition.
const NAME_PARTS: [&str; 5] = ["text", "family", "given", "prefix", "suffix"];

/// The parts of an address that a string search looks through.
const ADDRESS_PARTS: [&str; 7] = ["text", "line", "city", "district", "state", "postalCode", "country"];

/// Gives the values of one element. What is not of its type's shape has none.
pub(super) fn normalise<'v>(
    parameter_type: ParameterType,
    kind: Kind,
    item: &'v Json<'_>,
    push: &mut dyn FnMut(Value<'v>),
) {
    if kind == Kind::Extension {
        return extension(parameter_type, item, push);
    }
    match parameter_type {
        ParameterType::Token => tokens(kind, item, push),
        ParameterType::String => strings(kind, item, push),
        ParameterType::Reference => references(kind, item, push),
        ParameterType::Date => {
            let range = match kind {
                Kind::Date => item.as_str().and_then(DateRange::parse),
                Kind::Period => DateRange::of_period(item),
                Kind::Timing => DateRange::of_timing(item),
                _ => None,
            };
            if let Some(range) = range {
                push(Value::Date(range));
            }
        }
        ParameterType::Number => {
            let range = match kind {
                Kind::Number => item.as_number().and_then(NumberRange::exact),
                Kind::Range => range(item),
                _ => None,
            };
            if let Some(range) = range {
                push(Value::Number(range));
            }
        }
        ParameterType::Quantity => {
            if let Some(quantity) = quantity(kind, item) {
                push(Value::Quantity(quantity));
            }
        }
        ParameterType::Uri => {
            if matches!(kind, Kind::Uri | Kind::Canonical)
                && let Some(uri) = item.as_str().filter(|uri| !uri.is_empty())
            {
                push(Value::Uri(uri));
            }
        }
        ParameterType::Special => position(kind, item, push),
        ParameterType::Composite => {}
    }
}

/// Whether an element of this kind can have values for a parameter of this type.
pub(super) fn supports(parameter_type: ParameterType, kind: Kind) -> bool {
    use Kind::*;
    let kinds: &[Kind] = match parameter_type {
        ParameterType::Token => {
            &[Boolean, Code, Text, Uri, Canonical, Number, Date, Coding, CodeableConcept, Identifier, ContactPoint]
        }
        ParameterType::String => &[Text, Code, Uri, HumanName, Address, CodeableConcept, Annotation],
        ParameterType::Reference => &[Reference, Canonical, Uri, Resource, Identifier],
        ParameterType::Date => &[Date, Period, Timing],
        ParameterType::Number => &[Number, Range],
        ParameterType::Quantity => &[Quantity, Money, Range, SampledData],
        ParameterType::Uri => &[Uri, Canonical],
        ParameterType::Special => &[Position],
        ParameterType::Composite => &[Other],
    };
    kind == Extension || kinds.contains(&kind)
}

/// The value of an extension, whatever its type.
fn extension<'v>(parameter_type: ParameterType, item: &'v Json<'_>, push: &mut dyn FnMut(Value<'v>)) {
    for (name, value) in item.members() {
        let Some(type_name) = name.strip_prefix("value") else { continue };
        let kind = match Kind::of(type_name) {
            // Names of primitive types begin small.
            Kind::Other => {
                let mut name = type_name.to_owned();
                if let Some(first) = name.get_mut(..1) {
                    first.make_ascii_lowercase();
                }
                Kind::of(&name)
            }
            kind => kind,
        };
        if kind != Kind::Extension {
            normalise(parameter_type, kind, value, push);
        }
    }
}

fn strings<'v>(kind: Kind, item: &'v Json<'_>, push: &mut dyn FnMut(Value<'v>)) {
    let mut parts = |names: &[&str]| {
        for part in names.iter().filter_map(|name| item.get(name)) {
            match part {
                Json::Array(items) => items.iter().filter_map(Json::as_str).for_each(|text| string(text, push)),
                part => part.as_str().into_iter().for_each(|text| string(text, push)),
            }
        }
    };
    match kind {
        Kind::Text | Kind::Code | Kind::Uri => item.as_str().into_iter().for_each(|text| string(text, push)),
        Kind::HumanName => parts(&NAME_PARTS),
        Kind::Address => parts(&ADDRESS_PARTS),
        Kind::CodeableConcept | Kind::Annotation => parts(&["text"]),
        _ => {}
    }
}

fn string<'v>(text: &'v str, push: &mut dyn FnMut(Value<'v>)) {
    if !text.is_empty() {
        push(Value::String(text));
    }
}

fn references<'v>(kind: Kind, item: &'v Json<'_>, push: &mut dyn FnMut(Value<'v>)) {
    match (kind, item) {
        (Kind::Reference, Json::Object(_)) => {
            match item.get_str("reference").map(Reference::parse) {
                // A contained resource is part of its container, which cannot be searched by it (R4, "contained").
                None | Some(Reference::Fragment(_) | Reference::Invalid) => {}
                Some(reference) => push(Value::Reference(reference)),
            }
            if let Some(identifier) = item.get("identifier") {
                reference_identifier(identifier, push);
            }
        }
        (Kind::Identifier, Json::Object(_)) => reference_identifier(item, push),
        (Kind::Canonical | Kind::Uri, Json::String(url)) => {
            let (url, version) = match url.split_once('|') {
                Some((url, version)) => (url, Some(version)),
                None => (url.as_ref(), None),
            };
            let strip = |text: &'v str| text.split('#').next().unwrap_or(text);
            let (url, version) = (strip(url), version.map(strip).filter(|version| !version.is_empty()));
            if !url.is_empty() {
                push(Value::Canonical { url, version });
            }
        }
        (Kind::Resource, Json::Object(_)) => {
            let resource_type = item.get_str("resourceType").and_then(ResourceType::parse);
            if let (Some(resource_type), Some(id)) = (resource_type, text(item, "id")) {
                push(Value::Reference(Reference::Relative { resource_type, id, version: None }));
            }
        }
        _ => {}
    }
}

fn reference_identifier<'v>(identifier: &'v Json<'_>, push: &mut dyn FnMut(Value<'v>)) {
    if let Some(value) = text(identifier, "value") {
        push(Value::ReferenceIdentifier { system: text(identifier, "system"), value });
    }
}

fn quantity<'v>(kind: Kind, item: &'v Json<'_>) -> Option<Quantity<'v>> {
    let with_unit = |range, unit: &'v Json<'_>| Quantity {
        range,
        system: text(unit, "system"),
        code: text(unit, "code"),
        unit: text(unit, "unit"),
    };
    match kind {
        Kind::Quantity => Some(with_unit(amount(item)?, item)),
        Kind::Money => {
            Some(Quantity { range: amount(item)?, system: Some(CURRENCIES), code: text(item, "currency"), unit: None })
        }
        Kind::Range => Some(with_unit(range(item)?, item.get("low").or_else(|| item.get("high"))?)),
        // The samples lie between the limits of the device where these are given; their unit is that of the origin.
        Kind::SampledData => {
            let limit = |name| item.get(name).and_then(Json::as_number).and_then(Decimal::parse);
            let range = NumberRange { low: limit("lowerLimit"), high: limit("upperLimit") };
            Some(with_unit(range, item.get("origin")?))
        }
        _ => None,
    }
}

/// The range of a quantity's value, by its comparator. `<` counts as `<=`: no search asks for the difference.
fn amount(item: &Json<'_>) -> Option<NumberRange> {
    let exact = NumberRange::exact(item.get("value")?.as_number()?)?;
    Some(match item.get_str("comparator") {
        Some("<" | "<=") => NumberRange { low: None, ..exact },
        Some(">" | ">=") => NumberRange { high: None, ..exact },
        _ => exact,
    })
}

/// A `Range`: from its low to its high, open where one is missing. None if both are.
fn range(item: &Json<'_>) -> Option<NumberRange> {
    let low = item.get("low").and_then(amount);
    let high = item.get("high").and_then(amount);
    if low.is_none() && high.is_none() {
        return None;
    }
    Some(NumberRange { low: low.and_then(|low| low.low), high: high.and_then(|high| high.high) })
}

fn position<'v>(kind: Kind, item: &'v Json<'_>, push: &mut dyn FnMut(Value<'v>)) {
    let degrees = |name| item.get(name).and_then(Json::as_number).and_then(Decimal::parse);
    if kind == Kind::Position
        && let (Some(latitude), Some(longitude)) = (degrees("latitude"), degrees("longitude"))
    {
        push(Value::Position { latitude, longitude });
    }
}
