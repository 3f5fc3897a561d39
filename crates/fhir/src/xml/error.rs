//! What can be wrong with an XML text, and with a tree that should become one.

use std::fmt;

/// What is wrong with a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XmlErrorKind {
    /// Longer than the limit.
    #[error("the text is larger than allowed: send it in smaller parts")]
    TooLarge,
    /// Not UTF-8, or declared to be something else.
    #[error("the text is not UTF-8: send it in that encoding")]
    Encoding,
    /// The text stops before its element is complete.
    #[error("the text ends too early")]
    UnexpectedEnd,
    /// Something stands where XML does not allow it.
    #[error("this is not well-formed XML")]
    Malformed,
    /// `<!DOCTYPE`: nothing that FHIR needs, and the way to all attacks by entities.
    #[error("a document type is not accepted: leave it out")]
    DocumentType,
    /// An entity other than `&lt;`, `&gt;`, `&amp;`, `&quot;`, `&apos;` and characters by number.
    #[error("an entity that XML does not have by itself: write the character")]
    Entity,
    /// A character that XML cannot hold.
    #[error("a character that XML does not allow")]
    Character,
    /// An end tag that does not match, or none.
    #[error("the tags do not match")]
    Unbalanced,
    /// An attribute twice.
    #[error("an attribute stands twice in one tag")]
    RepeatedAttribute,
    /// More attributes or declared namespaces than are accepted.
    #[error("more attributes or namespaces than allowed")]
    TooManyAttributes,
    /// A prefix that is not declared, or an element of another namespace.
    #[error("an element that is not in the namespace of FHIR (or of XHTML, in a narrative)")]
    Namespace,
    /// Nested deeper than the limit.
    #[error("nested deeper than allowed")]
    TooDeep,
    /// More elements than the limit.
    #[error("more elements than allowed: send it in smaller parts")]
    TooManyValues,
    /// The outermost element, or the one in `contained` or `resource`, is no resource.
    #[error("not a resource type of FHIR R4")]
    NotAResource,
    /// `contained` or `resource` without a resource, or with two.
    #[error("one resource is wanted here")]
    NotOneResource,
    /// An element that R4 does not define there.
    #[error("unknown element")]
    UnknownElement,
    /// An attribute that is neither `value`, `id` nor the `url` of an extension, or stands where it may not.
    #[error("unknown attribute, or one that may not stand here")]
    UnknownAttribute,
    /// An element that may be there once is there twice.
    #[error("the element may stand here only once")]
    Repeated,
    /// Text between elements.
    #[error("text between elements: values stand in the attribute `value`")]
    UnexpectedText,
    /// A primitive without value, id and extension.
    #[error("an element must have a value or children (ele-1)")]
    Empty,
    /// A value that is not written as its type asks.
    #[error("the value is not written as its type asks")]
    Value,
    /// A narrative that is not a single `div`.
    #[error("the narrative must be one `div` of XHTML")]
    Narrative,
}

/// Where and how a text is not acceptable. Carries nothing of the text itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct XmlError {
    /// What is wrong.
    pub kind: XmlErrorKind,
    /// Bytes before the place.
    pub offset: usize,
    /// Line of the place, from 1.
    pub line: usize,
}

impl XmlError {
    pub(super) fn at(kind: XmlErrorKind, text: &[u8], offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        XmlError { kind, offset, line }
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, byte {})", self.kind, self.line, self.offset)
    }
}

impl std::error::Error for XmlError {}

/// Why a tree has no XML form. A valid resource without control characters in its texts has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Not an object with a `resourceType` of R4.
    #[error("not a resource of FHIR R4: validate it first")]
    NotAResource,
    /// A member that R4 does not define there.
    #[error("an element that R4 does not define: validate the resource first")]
    UnknownElement,
    /// A value of another JSON type than the definition asks for.
    #[error("a value of the wrong type: validate the resource first")]
    Shape,
    /// A character that XML cannot hold.
    #[error("a text has a character that XML cannot hold: read the resource as JSON")]
    Character,
    /// A narrative that is not a well-formed `div`.
    #[error("the narrative is not a well-formed `div`: read the resource as JSON")]
    Narrative,
    /// Nested deeper than is followed.
    #[error("nested deeper than allowed")]
    TooDeep,
}
