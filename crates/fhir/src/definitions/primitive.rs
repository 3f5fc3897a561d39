//! The primitive types of R4.

macro_rules! primitives {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)+) => {
        /// A primitive type of R4. How its values look is checked by [`crate::validate::is_well_formed`].
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Primitive { $($(#[$doc])* $name,)+ }

        impl Primitive {
            /// Every primitive type, by name.
            pub const ALL: &[Primitive] = &[$(Primitive::$name,)+];

            /// Its name in the standard.
            pub fn as_str(self) -> &'static str {
                match self { $(Primitive::$name => $code,)+ }
            }

            /// The type of that name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($code => Some(Primitive::$name),)+ _ => None }
            }
        }
    };
}

primitives! {
    /// Bytes as text.
    Base64Binary = "base64Binary",
    /// `true` or `false`.
    Boolean = "boolean",
    /// The address of a definition, with a version after `|`.
    Canonical = "canonical",
    /// A word of a fixed set.
    Code = "code",
    /// A day, a month or a year.
    Date = "date",
    /// A date, or a date with a time and a zone.
    DateTime = "dateTime",
    /// A number whose digits count.
    Decimal = "decimal",
    /// A logical id: 1 to 64 letters, digits, `-` and `.`.
    Id = "id",
    /// A point in time, to the second at least.
    Instant = "instant",
    /// A whole number of 32 bits.
    Integer = "integer",
    /// Text with markdown.
    Markdown = "markdown",
    /// An object identifier as a URN.
    Oid = "oid",
    /// A whole number from 1.
    PositiveInt = "positiveInt",
    /// Text.
    String = "string",
    /// A time of day.
    Time = "time",
    /// A whole number from 0.
    UnsignedInt = "unsignedInt",
    /// An address.
    Uri = "uri",
    /// An address that can be resolved.
    Url = "url",
    /// A universally unique identifier as a URN.
    Uuid = "uuid",
    /// A narrative: limited XHTML.
    Xhtml = "xhtml",
}
