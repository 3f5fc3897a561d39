//! The XML form of resources: <https://hl7.org/fhir/R4/xml.html>, to and from the same [`Json`] tree as the JSON form.
//!
//! ```text
//! XML text ── token (strict, bounded) ──> events ── read, beside the definitions ──> Json ── write ──> XML text
//! ```
//!
//! The two forms differ in what they leave out. JSON says what is a list and what is a number, and XML does not;
//! XML has an order, and JSON does not. Both come from [`crate::definitions`], so only elements that R4 defines can
//! be read or written. Comments and processing instructions are dropped. A narrative is handed over as it was
//! written, once it is known to be one well-formed `div` of XHTML; whether its elements are allowed is for
//! [`crate::validate`], as everything else that is not about the form.
//!
//! The reader is strict where leniency has cost others: a document type is refused whole, so there is no entity but
//! the five of XML and none that grows or fetches anything; every tag must match; every namespace must be the right
//! one; nothing is recovered. Depth, size and the number of elements are bounded by [`Limits`].

mod error;
mod narrative;
mod read;
mod token;
mod write;

use crate::json::{Json, Limits};

pub use error::{WriteError, XmlError, XmlErrorKind};

/// The namespace of FHIR's elements.
pub const FHIR_NAMESPACE: &str = "http://hl7.org/fhir";

/// The namespace of narratives.
pub const XHTML_NAMESPACE: &str = "http://www.w3.org/1999/xhtml";

/// Reads one resource. Text in UTF-8, with or without a byte order mark.
///
/// The limits are those of the JSON that comes out: what is read here can be written as JSON and read again under the
/// same limits, but for the escapes that make a text longer.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Json<'static>, XmlError> {
    read::read(bytes, limits)
}

/// Writes a resource, without white space between elements.
pub fn write(resource: &Json<'_>) -> Result<Vec<u8>, WriteError> {
    write::write(resource, false)
}

/// Writes a resource for people, two spaces a level. Narratives stay as they are.
pub fn write_pretty(resource: &Json<'_>) -> Result<Vec<u8>, WriteError> {
    write::write(resource, true)
}

#[cfg(test)]
mod tests;
