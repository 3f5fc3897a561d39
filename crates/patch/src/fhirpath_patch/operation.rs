//! An operation as it stands in the `Parameters`.

use super::value::Value;
use crate::error::PatchErrorKind;
use crate::pointer::POINTER_BYTES_MAX;
use tacet_fhir::json::Json;

/// An operation with its parts.
pub(super) struct Operation<'p> {
    pub(super) path: &'p str,
    pub(super) what: What<'p>,
}

pub(super) enum What<'p> {
    Add { name: &'p str, value: Value<'p> },
    Insert { index: usize, value: Value<'p> },
    Delete,
    Replace { value: Value<'p> },
    Move { source: usize, destination: usize },
}

impl<'p> Operation<'p> {
    /// Reads a parameter named `operation`. Parts that the kind of operation does not use are passed over.
    pub(super) fn read(parameter: &'p Json<'_>) -> Result<Self, PatchErrorKind> {
        if parameter.get_str("name") != Some("operation") {
            return Err(PatchErrorKind::NotParameters);
        }
        let parts = parameter.get("part").map(Json::items).unwrap_or_default();
        let path = text(parts, "path")?;
        if path.len() > POINTER_BYTES_MAX {
            return Err(PatchErrorKind::TooLong("path"));
        }
        let value = || part(parts, "value").and_then(|found| Value::read(found).ok_or(PatchErrorKind::Part("value")));
        let what = match text(parts, "type")? {
            "add" => What::Add { name: text(parts, "name")?, value: value()? },
            "insert" => What::Insert { index: number(parts, "index")?, value: value()? },
            "delete" => What::Delete,
            "replace" => What::Replace { value: value()? },
            "move" => What::Move { source: number(parts, "source")?, destination: number(parts, "destination")? },
            _ => return Err(PatchErrorKind::UnknownOperation),
        };
        Ok(Operation { path, what })
    }
}

/// The only part of that name.
fn part<'p, 'a>(parts: &'p [Json<'a>], name: &'static str) -> Result<&'p Json<'a>, PatchErrorKind> {
    let mut named = parts.iter().filter(|part| part.get_str("name") == Some(name));
    match (named.next(), named.next()) {
        (Some(part), None) => Ok(part),
        _ => Err(PatchErrorKind::Part(name)),
    }
}

/// A `code` or a `string`: the page gives the one, and clients send the other.
fn text<'p>(parts: &'p [Json<'_>], name: &'static str) -> Result<&'p str, PatchErrorKind> {
    let part = part(parts, name)?;
    part.get_str("valueString").or_else(|| part.get_str("valueCode")).ok_or(PatchErrorKind::Part(name))
}

fn number(parts: &[Json<'_>], name: &'static str) -> Result<usize, PatchErrorKind> {
    let part = part(parts, name)?;
    let value = ["valueInteger", "valueUnsignedInt", "valuePositiveInt"].iter().find_map(|member| part.get(member));
    value.and_then(Json::as_i64).and_then(|value| usize::try_from(value).ok()).ok_or(PatchErrorKind::Part(name))
}
