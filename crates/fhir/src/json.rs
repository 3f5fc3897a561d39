//! A JSON value that keeps what it was read from: numbers with their digits, members in their order.

use std::borrow::Cow;

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
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}
