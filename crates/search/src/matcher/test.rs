//! Whether one value passes a test.

use super::{compare, distance_metres};
use crate::document::{System, Value, words};
use crate::filter::{CodeSet, SystemTest, Test, UnitTest};

/// Whether the value passes. A value of another kind than the test is for never does.
pub fn passes(test: &Test, value: &Value) -> bool {
    match (test, value) {
        (Test::TokenIs { system, code }, Value::Token { system: found, code: Some(value), .. }) => {
            value == code && of_system(system, found)
        }
        // A system that is not repeated in the resource is taken to be the one that was asked for.
        (Test::TokenOfSystem(system), Value::Token { system: found, .. }) => match found {
            System::Uri(uri) => uri == system,
            System::Implied => true,
            System::Absent => false,
        },
        (Test::TokenAmong(codes), Value::Token { system, code: Some(code), .. }) => among(codes, system, code),
        (Test::TokenText(asked), Value::Token { text: Some(text), .. }) => has_words(asked, text),
        (Test::OfType { system, code, value }, Value::OfType { system: of, code: kind, value: found }) => {
            code == kind && value == found && optional_system(system, of.as_deref())
        }
        (Test::StringStarts(start), Value::String { folded, .. }) => folded.starts_with(&**start),
        (Test::StringEquals(text), Value::String { folded, .. }) => folded == text,
        (Test::StringEnds(end), Value::String { folded, .. }) => folded.ends_with(&**end),
        (Test::StringIs(text), Value::String { exact, .. }) => exact == text,
        (Test::StringContains(part), Value::String { folded, .. }) => folded.contains(&**part),
        (Test::StringText(asked), Value::String { folded, .. }) => has_words(asked, folded),
        (Test::Date(comparison, low, high), Value::Date { low_ms, high_ms }) => {
            compare(*comparison, (*low_ms, *high_ms), (*low, *high))
        }
        (Test::Number(comparison, from, to), Value::Number { low, high }) => {
            compare(*comparison, (*low, *high), (*from, *to))
        }
        (
            Test::Quantity(comparison, from, to, unit),
            Value::Quantity { low, high, system, code, unit: text, canonical },
        ) => {
            let written = compare(*comparison, (*low, *high), (*from, *to));
            match unit {
                UnitTest::Any => written,
                UnitTest::Is { system: of, code: asked } => {
                    written && system.as_ref() == Some(of) && code.as_ref() == Some(asked)
                }
                UnitTest::Written(asked) => written && (code.as_ref() == Some(asked) || text.as_ref() == Some(asked)),
                UnitTest::Canonical(asked) => canonical.as_ref().is_some_and(|(low, high, base)| {
                    base == asked && compare(*comparison, (*low, *high), (*from, *to))
                }),
            }
        }
        (Test::ReferenceIs(key), Value::Reference { target, .. }) => target == key,
        (Test::ReferenceAmong(keys), Value::Reference { target, .. }) => keys.contains(target),
        (Test::ReferenceId(types, id), Value::Reference { target, .. }) => {
            target.id.as_str() == &**id && types.contains(&target.resource_type)
        }
        (Test::ReferenceType(resource_type), Value::Reference { target, .. }) => target.resource_type == *resource_type,
        (Test::ReferenceUrl(url), Value::ReferenceUrl(found)) => url == found,
        (Test::ReferenceIdentifier { system, value }, Value::ReferenceIdentifier { system: of, value: found }) => {
            value == found && optional_system(system, of.as_deref())
        }
        (Test::Canonical(url, version), Value::Canonical { url: found, version: of }) => {
            url == found && version.as_ref().is_none_or(|version| of.as_ref() == Some(version))
        }
        (Test::Canonical(url, None), Value::Uri(found)) => url == found,
        (Test::UriIs(uri), Value::Uri(found) | Value::Canonical { url: found, .. }) => uri == found,
        (Test::UriBelow(uri), Value::Uri(found) | Value::Canonical { url: found, .. }) => is_under(found, uri),
        (Test::UriAbove(uri), Value::Uri(found) | Value::Canonical { url: found, .. }) => is_under(uri, found),
        (Test::Composite(tests), Value::Composite(values)) => {
            tests.len() == values.len() && tests.iter().zip(values).all(|(test, value)| passes(test, value))
        }
        (Test::Near { latitude, longitude, metres }, Value::Position { latitude: north, longitude: east }) => {
            distance_metres((*latitude, *longitude), (*north, *east)) <= *metres
        }
        _ => false,
    }
}

/// The system of a token. One that the element implies is whatever was asked for.
fn of_system(test: &SystemTest, system: &System) -> bool {
    match (test, system) {
        (SystemTest::Any, _) | (_, System::Implied) | (SystemTest::Absent, System::Absent) => true,
        (SystemTest::Is(uri), System::Uri(found)) => uri == found,
        _ => false,
    }
}

fn optional_system(test: &SystemTest, system: Option<&str>) -> bool {
    match test {
        SystemTest::Any => true,
        SystemTest::Absent => system.is_none(),
        SystemTest::Is(uri) => system == Some(uri),
    }
}

/// Whether the code is in the set: with its system, or with none, or with any where the element implies it.
fn among(codes: &CodeSet, system: &System, code: &str) -> bool {
    match system {
        System::Uri(uri) => codes.contains(&(Some(uri.clone()), code.into())),
        System::Absent => codes.contains(&(None, code.into())),
        System::Implied => codes.contains(&(None, code.into())) || codes.iter().any(|(_, known)| &**known == code),
    }
}

/// Whether each asked word begins a word of the text.
fn has_words(asked: &[Box<str>], text: &str) -> bool {
    let found = words(text);
    asked.iter().all(|asked| found.iter().any(|word| word.starts_with(&**asked)))
}

/// Whether the uri is that one or under it: equal, or longer by whole segments after a `/`. A `/` at the end of `above` does not
/// count.
fn is_under(uri: &str, above: &str) -> bool {
    let above = above.strip_suffix('/').unwrap_or(above);
    !above.is_empty() && uri.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
