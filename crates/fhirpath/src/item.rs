//! What collections hold: elements of a resource, and values of FHIRPath's own types.

use crate::location::Location;
use crate::model::{NodeType, SystemType, resource_type};
use crate::quantity::Quantity;
use crate::temporal::{Moment, read_date, read_date_time, read_time};
use rust_decimal::Decimal;
use std::borrow::Cow;
use tacet_fhir::definitions::Primitive;
use tacet_fhir::json::Json;

/// What stands for the value of a primitive that has only an id or extensions.
pub(crate) static NULL: Json<'static> = Json::Null;

/// An element of a resource.
#[derive(Clone, Debug)]
pub struct Node<'v> {
    /// Its value: an object, or the value of a primitive (`null` where it has none).
    pub json: &'v Json<'v>,
    /// The object beside a primitive (`_birthDate`), which holds its id and extensions.
    pub extra: Option<&'v Json<'v>>,
    /// Its type.
    pub kind: NodeType,
    /// Where it stands.
    pub location: Location<'v>,
}

impl<'v> Node<'v> {
    /// A resource, its type read from `resourceType`.
    pub fn resource(json: &'v Json<'v>) -> Self {
        Node { json, extra: None, kind: resource_type(json), location: Location::ROOT }
    }

    /// The value of a primitive, or of a quantity, as FHIRPath's own type. A value that is not of its type's form is
    /// taken as text.
    pub(crate) fn value(&self) -> Option<Item<'v>> {
        match self.kind {
            NodeType::Primitive(primitive) => primitive_value(primitive, self.json),
            NodeType::Group(_) if self.kind.is_quantity() => Quantity::of(self.json).map(Item::Quantity),
            NodeType::Group(_) => None,
            NodeType::Unknown => match self.json {
                Json::Number(digits) if digits.contains(['.', 'e', 'E']) => {
                    primitive_value(Primitive::Decimal, self.json)
                }
                Json::Number(_) => primitive_value(Primitive::Integer, self.json),
                _ => primitive_value(Primitive::String, self.json),
            },
        }
    }

    /// Whether it is a primitive that has only an id or extensions.
    pub(crate) fn is_bare(&self) -> bool {
        self.json.is_null()
    }

    /// Whether it is a primitive with a value.
    pub(crate) fn has_value(&self) -> bool {
        !matches!(self.json, Json::Null | Json::Object(_) | Json::Array(_))
    }
}

fn primitive_value<'v>(primitive: Primitive, json: &'v Json<'v>) -> Option<Item<'v>> {
    match json {
        Json::Bool(value) => Some(Item::Boolean(*value)),
        Json::Number(digits) => match primitive {
            Primitive::Decimal => read_decimal(digits).map(Item::Decimal),
            _ => digits.parse().ok().map(Item::Integer).or_else(|| read_decimal(digits).map(Item::Decimal)),
        },
        Json::String(text) => {
            let read = match primitive {
                Primitive::Date => read_date(text).map(Item::Date),
                Primitive::DateTime | Primitive::Instant => read_date_time(text).map(Item::DateTime),
                Primitive::Time => read_time(text).map(Item::Time),
                _ => None,
            };
            Some(read.unwrap_or(Item::String(Cow::Borrowed(text.as_ref()))))
        }
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// A decimal of JSON: its digits count, an exponent moves the point.
pub(crate) fn read_decimal(digits: &str) -> Option<Decimal> {
    if digits.contains(['e', 'E']) {
        Decimal::from_scientific(digits).ok()
    } else {
        Decimal::from_str_exact(digits).ok()
    }
}

/// One item of a collection.
#[derive(Clone, Debug)]
pub enum Item<'v> {
    /// An element of a resource.
    Node(Node<'v>),
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number of 32 bits (those of a resource may be larger).
    Integer(i64),
    /// A number with a fraction.
    Decimal(Decimal),
    /// Text.
    String(Cow<'v, str>),
    /// A day, a month or a year.
    Date(Moment),
    /// A date, perhaps with a time.
    DateTime(Moment),
    /// A time of day.
    Time(Moment),
    /// A number and a unit.
    Quantity(Quantity<'v>),
    /// A type, as `type()` gives it.
    Type(TypeInfo),
}

/// A type as a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TypeInfo {
    /// `FHIR` or `System`.
    pub namespace: &'static str,
    /// The name in the namespace.
    pub name: &'static str,
}

/// A collection: items in order.
pub type Collection<'v> = Vec<Item<'v>>;

impl<'v> Item<'v> {
    /// Text.
    pub fn text(text: impl Into<Cow<'v, str>>) -> Self {
        Item::String(text.into())
    }

    /// The element, where it is one.
    pub fn node(&self) -> Option<&Node<'v>> {
        match self {
            Item::Node(node) => Some(node),
            _ => None,
        }
    }

    /// The item as a value of FHIRPath's own types: an element with a value gives that value, another stays itself.
    pub(crate) fn value(&self) -> Cow<'_, Item<'v>> {
        match self {
            Item::Node(node) => node.value().map_or(Cow::Borrowed(self), Cow::Owned),
            _ => Cow::Borrowed(self),
        }
    }

    /// The text of a string or of an element that is one.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self.value() {
            Cow::Borrowed(Item::String(text)) => Some(Cow::Borrowed(text.as_ref())),
            Cow::Owned(Item::String(text)) => Some(Cow::Owned(text.into_owned())),
            _ => None,
        }
    }

    /// Its System type: of a value, its own; of an element, that of its value.
    pub(crate) fn system_type(&self) -> Option<SystemType> {
        Some(match self {
            Item::Node(node) => return node.kind.system(),
            Item::Boolean(_) => SystemType::Boolean,
            Item::Integer(_) => SystemType::Integer,
            Item::Decimal(_) => SystemType::Decimal,
            Item::String(_) => SystemType::String,
            Item::Date(_) => SystemType::Date,
            Item::DateTime(_) => SystemType::DateTime,
            Item::Time(_) => SystemType::Time,
            Item::Quantity(_) => SystemType::Quantity,
            Item::Type(_) => return None,
        })
    }

    /// Its type as `type()` says.
    pub(crate) fn type_info(&self) -> TypeInfo {
        match self {
            Item::Node(node) => TypeInfo { namespace: "FHIR", name: node.kind.name() },
            Item::Type(_) => TypeInfo { namespace: "System", name: "TypeInfo" },
            _ => TypeInfo { namespace: "System", name: self.system_type().map_or("Any", SystemType::name) },
        }
    }

    /// As text, as `toString()` gives it. `None` for what has no text form.
    pub fn to_text(&self) -> Option<Cow<'v, str>> {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = match self {
            Item::Node(node) => {
                // A date or time of a resource is given as it was written.
                if let (NodeType::Primitive(_), Json::String(text)) = (node.kind, node.json) {
                    return Some(Cow::Borrowed(text.as_ref()));
                }
                return node.value()?.to_text();
            }
            Item::Boolean(value) => return Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Item::String(text) => return Some(text.clone()),
            Item::Integer(value) => return Some(Cow::Owned(value.to_string())),
            Item::Decimal(value) => return Some(Cow::Owned(value.to_string())),
            Item::Date(moment) => moment.write_date(&mut out),
            Item::DateTime(moment) => moment.write_date_time(&mut out),
            Item::Time(moment) => moment.write_time(&mut out),
            Item::Quantity(quantity) => return Some(Cow::Owned(quantity.to_text())),
            Item::Type(info) => return Some(Cow::Owned(format!("{}.{}", info.namespace, info.name))),
        };
        Some(Cow::Owned(out))
    }
}

/// What a collection means where a yes or no is asked for (FHIRPath N1, "Singleton Evaluation of Collections"):
/// nothing where it is empty, the value of a boolean, and `true` for any other single item.
///
/// # Errors
/// [`crate::EvaluationError::NotSingle`] for several items.
pub(crate) fn truth(items: &[Item<'_>], at: &'static str) -> Result<Option<bool>, crate::EvaluationError> {
    match items {
        [] => Ok(None),
        [item] => Ok(match item.value().as_ref() {
            Item::Boolean(value) => Some(*value),
            // A boolean without a value says nothing.
            Item::Node(node) if node.is_bare() && node.kind == NodeType::Primitive(Primitive::Boolean) => None,
            _ => Some(true),
        }),
        _ => Err(crate::EvaluationError::NotSingle { at }),
    }
}
