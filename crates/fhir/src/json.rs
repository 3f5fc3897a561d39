//! A JSON value that keeps what it was read from: numbers with their digits, members in their order.
//!
//! ```text
//! bytes ── parse (strict RFC 8259, bounded) ──> Json<'a> ── write / write_pretty ──> bytes
//! ```
//!
//! The tree borrows from the text wherever a string needs no unescaping, so reading a resource costs little more than
//! its vectors. It is not a typed model and knows nothing of FHIR: see [`crate::validate`] for that.
//!
//! The parser is stricter than the RFC asks: member names may not repeat (two readers would see two different
//! records), and depth, size and the number of values are bounded by [`Limits`].

mod parse;
mod write;

use std::borrow::Cow;

pub use parse::{DEPTH_CEILING, Limits, ParseError, ParseErrorKind, parse, parse_str};
pub use write::{write, write_into, write_pretty};

/// One member of an object: its name and its value.
pub type Member<'a> = (Cow<'a, str>, Json<'a>);

/// A JSON value over the text it was read from.
#[derive(Clone, PartialEq, Debug)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number exactly as written (`1.00` stays `1.00`).
    Number(Cow<'a, str>),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, its members in the order written. The parser refuses duplicate names.
    Object(Vec<Member<'a>>),
}

impl<'a> Json<'a> {
    /// An object of the given members, in that order. The names must differ.
    pub fn object<const N: usize>(members: [(&'a str, Json<'a>); N]) -> Self {
        Json::Object(members.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect())
    }

    /// The member of that name, if this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.members().iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The member of that name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Json<'a>> {
        match self {
            Json::Object(members) => members.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The string member of that name: `get(name)` and `as_str` in one.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Json::as_str)
    }

    /// The text of a string (not of a number).
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The digits of a number, as written.
    pub fn as_number(&self) -> Option<&str> {
        match self {
            Json::Number(text) => Some(text),
            _ => None,
        }
    }

    /// A number that is a whole one and fits, written without fraction or exponent.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(|text| text.parse().ok())
    }

    /// The value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The items of an array.
    pub fn as_array(&self) -> Option<&[Json<'a>]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The items of an array, to be changed.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Json<'a>>> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members of an object, in their order.
    pub fn as_object(&self) -> Option<&[Member<'a>]> {
        match self {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The members of an object, to be changed. Whoever adds one keeps the names different.
    pub fn as_object_mut(&mut self) -> Option<&mut Vec<Member<'a>>> {
        match self {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The items of an array, or nothing for any other value.
    pub fn items(&self) -> &[Json<'a>] {
        self.as_array().unwrap_or_default()
    }

    /// The members of an object, or nothing for any other value.
    pub fn members(&self) -> &[Member<'a>] {
        self.as_object().unwrap_or_default()
    }

    /// An array's items one by one, any other value once: how FHIRPath sees an element.
    pub fn iter(&self) -> std::slice::Iter<'_, Json<'a>> {
        match self {
            Json::Array(items) => items.iter(),
            other => std::slice::from_ref(other).iter(),
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// Whether this is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Json::Object(_))
    }

    /// Whether this is an array.
    pub fn is_array(&self) -> bool {
        matches!(self, Json::Array(_))
    }

    /// The `resourceType` of a resource.
    pub fn resource_type(&self) -> Option<&str> {
        self.get_str("resourceType")
    }

    /// Gives a member this value: in its place when it exists, otherwise as the last one. Returns what it replaced.
    /// A value that is not an object is left alone.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: Json<'a>) -> Option<Json<'a>> {
        let name = name.into();
        if let Some(place) = self.get_mut(&name) {
            return Some(std::mem::replace(place, value));
        }
        if let Json::Object(members) = self {
            members.push((name, value));
        }
        None
    }

    /// Takes a member out, keeping the order of the others.
    pub fn remove(&mut self, name: &str) -> Option<Json<'a>> {
        let Json::Object(members) = self else { return None };
        let at = members.iter().position(|(known, _)| known == name)?;
        Some(members.remove(at).1)
    }

    /// The same value, owning all of its text.
    pub fn into_owned(self) -> Json<'static> {
        match self {
            Json::Null => Json::Null,
            Json::Bool(value) => Json::Bool(value),
            Json::Number(text) => Json::Number(Cow::Owned(text.into_owned())),
            Json::String(text) => Json::String(Cow::Owned(text.into_owned())),
            Json::Array(items) => Json::Array(items.into_iter().map(Json::into_owned).collect()),
            Json::Object(members) => Json::Object(
                members.into_iter().map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned())).collect(),
            ),
        }
    }

    /// A tree that borrows its text from this one: cheap to change without touching the original.
    pub fn borrowed(&self) -> Json<'_> {
        match self {
            Json::Null => Json::Null,
            Json::Bool(value) => Json::Bool(*value),
            Json::Number(text) => Json::Number(Cow::Borrowed(text)),
            Json::String(text) => Json::String(Cow::Borrowed(text)),
            Json::Array(items) => Json::Array(items.iter().map(Json::borrowed).collect()),
            Json::Object(members) => Json::Object(
                members.iter().map(|(name, value)| (Cow::Borrowed(name.as_ref()), value.borrowed())).collect(),
            ),
        }
    }
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Json::String(Cow::Borrowed(text))
    }
}

impl From<String> for Json<'_> {
    fn from(text: String) -> Self {
        Json::String(Cow::Owned(text))
    }
}

impl From<bool> for Json<'_> {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl From<u64> for Json<'_> {
    fn from(value: u64) -> Self {
        Json::Number(Cow::Owned(value.to_string()))
    }
}

impl From<i64> for Json<'_> {
    fn from(value: i64) -> Self {
        Json::Number(Cow::Owned(value.to_string()))
    }
}

impl<'a> From<Vec<Json<'a>>> for Json<'a> {
    fn from(items: Vec<Json<'a>>) -> Self {
        Json::Array(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Json<'_> {
        parse_str(text, &Limits::default()).expect("well-formed")
    }

    #[test]
    fn members_are_read_set_and_removed_in_place() {
        let mut value = read(r#"{"a":1,"b":"x","c":[true,null]}"#);
        assert_eq!(value.get("a").and_then(Json::as_number), Some("1"));
        assert_eq!(value.get_str("b"), Some("x"));
        assert_eq!(value.get("c").map(|c| c.iter().count()), Some(2));
        assert_eq!(value.get("b").map(|b| b.iter().count()), Some(1));
        assert_eq!(value.set("a", Json::from("new")), Some(Json::Number("1".into())));
        assert_eq!(value.set("d", Json::from(7_u64)), None);
        assert_eq!(value.remove("b"), Some(Json::from("x")));
        assert_eq!(value.remove("b"), None);
        assert_eq!(write(&value), br#"{"a":"new","c":[true,null],"d":7}"#);
        assert_eq!(value.borrowed(), value);
        assert_eq!(value.clone().into_owned(), value);
    }

    #[test]
    fn strings_without_escapes_borrow_from_the_text() {
        let value = read(r#"{"plain":"é text","escaped":"a\nb"}"#);
        let Json::Object(members) = &value else { panic!("an object") };
        assert!(members.iter().all(|(name, _)| matches!(name, Cow::Borrowed(_))));
        assert!(matches!(value.get("plain"), Some(Json::String(Cow::Borrowed("é text")))));
        assert!(matches!(value.get("escaped"), Some(Json::String(Cow::Owned(text))) if text == "a\nb"));
    }
}
