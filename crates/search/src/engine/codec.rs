//! Values as texts: how the index keeps those that a term cannot stand for, to look at them once more.

use crate::document::{Key, System, Value};
use std::fmt::Write as _;
use tacet_fhir::search::ParameterId;
use tacet_types::{ResourceId, ResourceType, VersionId};

/// Values of more bytes are kept whole beside the terms instead of in them.
const VALUE_BYTES_MAX: usize = 400;

/// How deep composites may lie in one another. R4 has none within another.
const DEPTH_MAX: usize = 4;

/// Whether the value is too long for terms and columns.
pub(super) fn is_long(value: &Value) -> bool {
    bytes(value, 0) > VALUE_BYTES_MAX
}

fn bytes(value: &Value, depth: usize) -> usize {
    let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    match value {
        Value::Token { system, code, text } => {
            let system = if let System::Uri(uri) = system { uri.len() } else { 0 };
            system + length(code) + length(text)
        }
        Value::OfType { system, code, value } => length(system) + code.len() + value.len(),
        Value::String { exact, folded } => exact.len() + folded.len(),
        Value::Date { .. } | Value::Number { .. } | Value::Position { .. } | Value::Reference { .. } => 0,
        Value::Quantity { system, code, unit, canonical, .. } => {
            length(system) + length(code) + length(unit) + canonical.as_ref().map_or(0, |(_, _, unit)| unit.len())
        }
        Value::ReferenceUrl(url) | Value::Uri(url) => url.len(),
        Value::ReferenceIdentifier { system, value } => length(system) + value.len(),
        Value::Canonical { url, version } => url.len() + length(version),
        // One that is too deep to be written counts as nothing: it is never found.
        Value::Composite(_) if depth >= DEPTH_MAX => 0,
        Value::Composite(parts) => parts.iter().map(|part| bytes(part, depth + 1)).sum(),
    }
}

/// Writes a value so that [`read`] reads the same one.
pub(super) fn write(value: &Value) -> String {
    let mut out = String::with_capacity(64);
    put(&mut out, value, 0);
    out
}

/// Reads what [`write`] wrote.
pub(super) fn read(text: &str) -> Option<Value> {
    let mut input = Input(text);
    let value = input.value(0)?;
    input.0.is_empty().then_some(value)
}

/// The long values of a document, with their parameters, as they are stored.
pub(super) fn write_all<'v>(values: impl Iterator<Item = (u16, &'v Value)>) -> Vec<u8> {
    let mut out = String::new();
    for (parameter, value) in values {
        put_number(&mut out, u64::from(parameter));
        put(&mut out, value, 0);
    }
    out.into_bytes()
}

/// Reads those values of [`write_all`] that belong to the parameter.
pub(super) fn read_all(bytes: &[u8], parameter: ParameterId) -> Option<Vec<Value>> {
    let mut input = Input(std::str::from_utf8(bytes).ok()?);
    let mut values = Vec::new();
    while !input.0.is_empty() {
        let of = input.number()?;
        let value = input.value(0)?;
        if of == parameter.index() as u64 {
            values.push(value);
        }
    }
    Some(values)
}

/// Writes a number, for others that keep values.
pub(super) fn write_number(out: &mut String, number: u64) {
    put_number(out, number);
}

/// Writes a text.
pub(super) fn write_text(out: &mut String, text: &str) {
    put_text(out, text);
}

/// Writes a value after what stands there.
pub(super) fn write_value(out: &mut String, value: &Value) {
    put(out, value, 0);
}

/// The texts of a quantity, without its numbers.
pub(super) fn write_unit(texts: [Option<&str>; 4]) -> String {
    let mut out = String::new();
    for text in texts {
        put_optional(&mut out, text);
    }
    out
}

/// Reads [`write_unit`].
pub(super) fn read_unit(text: &str) -> Option<[Option<Box<str>>; 4]> {
    let mut input = Input(text);
    Some([input.optional()?, input.optional()?, input.optional()?, input.optional()?])
}

fn put(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Token { system, code, text } => {
            out.push('t');
            match system {
                System::Absent => out.push('a'),
                System::Implied => out.push('i'),
                System::Uri(uri) => {
                    out.push('u');
                    put_text(out, uri);
                }
            }
            put_optional(out, code.as_deref());
            put_optional(out, text.as_deref());
        }
        Value::OfType { system, code, value } => {
            out.push('o');
            put_optional(out, system.as_deref());
            put_text(out, code);
            put_text(out, value);
        }
        Value::String { exact, folded } => {
            out.push('s');
            put_text(out, exact);
            put_text(out, folded);
        }
        Value::Date { low_ms, high_ms } => {
            out.push('d');
            put_number(out, low_ms.cast_unsigned());
            put_number(out, high_ms.cast_unsigned());
        }
        Value::Number { low, high } => {
            out.push('n');
            put_range(out, *low, *high);
        }
        Value::Quantity { low, high, system, code, unit, canonical } => {
            out.push('q');
            // Texts first: a dictionary keeps the beginning that many have in common once.
            put_optional(out, system.as_deref());
            put_optional(out, code.as_deref());
            put_optional(out, unit.as_deref());
            put_optional(out, canonical.as_ref().map(|(_, _, unit)| &**unit));
            put_range(out, *low, *high);
            if let Some((low, high, _)) = canonical {
                put_range(out, *low, *high);
            }
        }
        Value::Reference { target, version } => {
            out.push('r');
            put_number(out, u64::from(target.resource_type.code()));
            put_text(out, target.id.as_str());
            put_number(out, version.map_or(0, |version| version.0));
        }
        Value::ReferenceUrl(url) => {
            out.push('l');
            put_text(out, url);
        }
        Value::ReferenceIdentifier { system, value } => {
            out.push('f');
            put_optional(out, system.as_deref());
            put_text(out, value);
        }
        Value::Canonical { url, version } => {
            out.push('c');
            put_text(out, url);
            put_optional(out, version.as_deref());
        }
        Value::Uri(uri) => {
            out.push('u');
            put_text(out, uri);
        }
        Value::Composite(_) if depth >= DEPTH_MAX => {
            out.push('m');
            put_number(out, 0);
        }
        Value::Composite(parts) => {
            out.push('m');
            put_number(out, parts.len() as u64);
            for part in parts {
                put(out, part, depth + 1);
            }
        }
        Value::Position { latitude, longitude } => {
            out.push('p');
            put_number(out, latitude.to_bits());
            put_number(out, longitude.to_bits());
        }
    }
}

fn put_number(out: &mut String, number: u64) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{number:x}.");
}

/// Both ends with as few digits as give the same binary number again, each followed by a blank; the second is left out if it is the same.
fn put_range(out: &mut String, low: f64, high: f64) {
    let _ = write!(out, "{low:e} ");
    if high.to_bits() != low.to_bits() {
        let _ = write!(out, "{high:e}");
    }
    out.push(' ');
}

fn put_text(out: &mut String, text: &str) {
    put_number(out, text.len() as u64);
    out.push_str(text);
}

fn put_optional(out: &mut String, text: Option<&str>) {
    match text {
        None => out.push('-'),
        Some(text) => {
            out.push('+');
            put_text(out, text);
        }
    }
}

/// What is read, up to its end.
pub(super) struct Input<'t>(pub(super) &'t str);

impl Input<'_> {
    fn tag(&mut self) -> Option<char> {
        let mut chars = self.0.chars();
        let tag = chars.next()?;
        self.0 = chars.as_str();
        Some(tag)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let (digits, rest) = self.0.split_once('.')?;
        self.0 = rest;
        u64::from_str_radix(digits, 16).ok()
    }

    /// Reads [`put_range`].
    fn range(&mut self) -> Option<(f64, f64)> {
        let (low, rest) = self.0.split_once(' ')?;
        let (high, rest) = rest.split_once(' ')?;
        self.0 = rest;
        let low = low.parse().ok()?;
        Some((low, if high.is_empty() { low } else { high.parse().ok()? }))
    }

    fn float(&mut self) -> Option<f64> {
        self.number().map(f64::from_bits)
    }

    pub(super) fn text(&mut self) -> Option<Box<str>> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text.into())
    }

    fn optional(&mut self) -> Option<Option<Box<str>>> {
        match self.tag()? {
            '-' => Some(None),
            '+' => Some(Some(self.text()?)),
            _ => None,
        }
    }

    pub(super) fn value(&mut self, depth: usize) -> Option<Value> {
        Some(match self.tag()? {
            't' => {
                let system = match self.tag()? {
                    'a' => System::Absent,
                    'i' => System::Implied,
                    'u' => System::Uri(self.text()?),
                    _ => return None,
                };
                Value::Token { system, code: self.optional()?, text: self.optional()? }
            }
            'o' => Value::OfType { system: self.optional()?, code: self.text()?, value: self.text()? },
            's' => Value::String { exact: self.text()?, folded: self.text()? },
            'd' => Value::Date { low_ms: self.number()?.cast_signed(), high_ms: self.number()?.cast_signed() },
            'n' => {
                let (low, high) = self.range()?;
                Value::Number { low, high }
            }
            'q' => {
                let (system, code, unit) = (self.optional()?, self.optional()?, self.optional()?);
                let base = self.optional()?;
                let (low, high) = self.range()?;
                let canonical = match base {
                    None => None,
                    Some(unit) => {
                        let (low, high) = self.range()?;
                        Some((low, high, unit))
                    }
                };
                Value::Quantity { low, high, system, code, unit, canonical }
            }
            'r' => {
                let resource_type = ResourceType::from_code(u8::try_from(self.number()?).ok()?)?;
                let id = ResourceId::parse(&self.text()?).ok()?;
                let version = Some(self.number()?).filter(|&version| version != 0).map(VersionId);
                Value::Reference { target: Key { resource_type, id }, version }
            }
            'l' => Value::ReferenceUrl(self.text()?),
            'f' => Value::ReferenceIdentifier { system: self.optional()?, value: self.text()? },
            'c' => Value::Canonical { url: self.text()?, version: self.optional()? },
            'u' => Value::Uri(self.text()?),
            'm' if depth < DEPTH_MAX + 1 => {
                let count = self.number()?;
                let mut parts = Vec::new();
                for _ in 0..count {
                    parts.push(self.value(depth + 1)?);
                }
                Value::Composite(parts)
            }
            'p' => Value::Position { latitude: self.float()?, longitude: self.float()? },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        let key = Key { resource_type: ResourceType::parse("Patient").unwrap(), id: ResourceId::parse("p-1").unwrap() };
        let texts: [Option<Box<str>>; 3] = [None, Some("".into()), Some("é-+.\0".into())];
        let mut values = vec![
            Value::Date { low_ms: i64::MIN, high_ms: i64::MAX },
            Value::Number { low: -0.0, high: f64::INFINITY },
            Value::Number { low: 0.1 + 0.2, high: 0.1 + 0.2 },
            Value::Number { low: f64::NEG_INFINITY, high: f64::MIN_POSITIVE },
            Value::Position { latitude: 48.85, longitude: -2.35 },
            Value::Reference { target: key.clone(), version: Some(VersionId(3)) },
            Value::Reference { target: key, version: None },
            Value::Uri("a:b".into()),
            Value::ReferenceUrl("".into()),
        ];
        for text in texts {
            values.push(Value::Token { system: System::Absent, code: text.clone(), text: text.clone() });
            values.push(Value::Token { system: System::Uri("x".into()), code: None, text: text.clone() });
            values.push(Value::OfType { system: text.clone(), code: "MR".into(), value: "1".into() });
            values.push(Value::Canonical { url: "u".into(), version: text.clone() });
            values.push(Value::ReferenceIdentifier { system: text.clone(), value: "v".into() });
            values.push(Value::Quantity {
                low: 1.0,
                high: 2.0,
                system: None,
                code: text.clone(),
                unit: text.clone(),
                canonical: text.map(|text| (0.5, 0.6, text)),
            });
        }
        values.push(Value::Composite(values.clone()));
        for value in &values {
            assert_eq!(read(&write(value)).as_ref(), Some(value));
        }
        let stored = write_all(values.iter().map(|value| (7, value)));
        let parameter = tacet_fhir::search::parameters_of(ResourceType::parse("Patient").unwrap())[0];
        assert!(read_all(&stored, parameter).unwrap().is_empty() || parameter.index() == 7);
        for broken in ["", "t", "ta", "q1.", "m99999999999.", "s5.abc", "zz", "ta-+5.é"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
