//! What a search parameter finds in a resource.

use super::{DateRange, Decimal, NumberRange};
use crate::reference::Reference;

/// One value, its texts borrowed from the resource. All of it is content of a record: do not print it.
#[derive(Clone, PartialEq, Debug)]
pub enum Value<'v> {
    /// For token parameters.
    Token(Token<'v>),
    /// For the modifier `:of-type` of a token parameter: an identifier with one coding of its type.
    OfType {
        /// System of the identifier's type.
        system: Option<&'v str>,
        /// Code of the identifier's type.
        code: &'v str,
        /// The identifier itself, without its system.
        value: &'v str,
    },
    /// For string parameters: one part of a name or address, or a text, as written ([`super::fold`] is how it is
    /// compared).
    String(&'v str),
    /// For date parameters.
    Date(DateRange),
    /// For number parameters.
    Number(NumberRange),
    /// For quantity parameters.
    Quantity(Quantity<'v>),
    /// For reference parameters.
    Reference(Reference<'v>),
    /// For the modifier `:identifier` of a reference parameter.
    ReferenceIdentifier {
        /// The identifier's system.
        system: Option<&'v str>,
        /// The identifier's value.
        value: &'v str,
    },
    /// For reference parameters whose element is `canonical` or `uri`.
    Canonical {
        /// The url, without version and fragment.
        url: &'v str,
        /// What follows the `|`.
        version: Option<&'v str>,
    },
    /// For uri parameters.
    Uri(&'v str),
    /// For composite parameters: a value for each component, in the order of their definitions.
    Composite(Vec<Value<'v>>),
    /// For `Location.near`: WGS84, in degrees.
    Position {
        /// Degrees north.
        latitude: Decimal,
        /// Degrees east.
        longitude: Decimal,
    },
}

/// A coded value, an identifier, a flag, a telephone number: whatever is compared whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Token<'v> {
    /// What the code belongs to.
    pub system: TokenSystem<'v>,
    /// The code or value. None when there is only a text.
    pub code: Option<&'v str>,
    /// What a person reads, for the modifier `:text`: the display of a coding, the text of a concept or of an
    /// identifier's type.
    pub text: Option<&'v str>,
}

/// The system of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TokenSystem<'v> {
    /// The element could have a system and has none: found by `|code`.
    Absent,
    /// The element has a fixed system that the resource does not repeat (`code`, `boolean`): a system in the query is
    /// not compared.
    Implied,
    /// This one.
    Uri(&'v str),
}

/// An amount with its unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quantity<'v> {
    /// From where to where the amount may lie, by its comparator; both ends belong to it.
    pub range: NumberRange,
    /// System of the unit's code.
    pub system: Option<&'v str>,
    /// The unit's code.
    pub code: Option<&'v str>,
    /// The unit as a person reads it.
    pub unit: Option<&'v str>,
}
