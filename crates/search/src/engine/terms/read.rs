//! Reading back what a term stands for.

use super::{KIND_AT, id_of, kind, mark};
use crate::document::{Key, System, Value};
use tacet_types::ResourceType;

/// Reads the value back that a term stands for, as far as the term holds it. None for terms that hold no value.
pub(in crate::engine) fn value_of(term: &[u8]) -> Option<Value> {
    let (&kind, rest) = term.get(KIND_AT..)?.split_first()?;
    Some(match kind {
        kind::CODE => {
            let (code, rest) = unended(rest)?;
            Value::Token { system: system_of(rest)?, code: Some(code), text: None }
        }
        kind::OF_TYPE => {
            let (value, rest) = unended(rest)?;
            let (code, rest) = unended(rest)?;
            Value::OfType { system: optional_system_of(rest)?, code, value }
        }
        kind::STRING => {
            let (folded, rest) = unended(rest)?;
            let exact = match rest.split_first()? {
                (&mark::SAME, _) => folded.clone(),
                (_, exact) => text_of(exact)?,
            };
            Value::String { exact, folded }
        }
        kind::REFERENCE => {
            let (&code, id) = rest.split_first()?;
            Value::Reference { target: key_from(code, id)?, version: None }
        }
        kind::REFERENCE_URL => Value::ReferenceUrl(text_of(rest)?),
        kind::REFERENCE_IDENTIFIER => {
            let (value, rest) = unended(rest)?;
            Value::ReferenceIdentifier { system: optional_system_of(rest)?, value }
        }
        kind::URI => {
            let (url, rest) = unended(rest)?;
            match rest.split_first()? {
                (&mark::URI, _) => Value::Uri(url),
                (&mark::CANONICAL, _) => Value::Canonical { url, version: None },
                (_, version) => Value::Canonical { url, version: Some(text_of(version)?) },
            }
        }
        _ => return None,
    })
}

/// A key from the code of its type and its id as [`put_id`] wrote it.
pub(in crate::engine) fn key_from(type_code: u8, id: &[u8]) -> Option<Key> {
    Some(Key { resource_type: ResourceType::from_code(type_code)?, id: id_of(id)? })
}

fn text_of(bytes: &[u8]) -> Option<Box<str>> {
    std::str::from_utf8(bytes).ok().map(Box::from)
}

fn system_of(rest: &[u8]) -> Option<System> {
    Some(match rest.split_first()? {
        (&mark::ABSENT, _) => System::Absent,
        (&mark::IMPLIED, _) => System::Implied,
        (_, uri) => System::Uri(text_of(uri)?),
    })
}

fn optional_system_of(rest: &[u8]) -> Option<Option<Box<str>>> {
    Some(match rest.split_first()? {
        (&mark::ABSENT, _) => None,
        (_, uri) => Some(text_of(uri)?),
    })
}

/// Reads an ended text: it, and what follows.
fn unended(bytes: &[u8]) -> Option<(Box<str>, &[u8])> {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        let byte = *bytes.get(at)?;
        if byte != 0 {
            text.push(byte);
            at += 1;
            continue;
        }
        match *bytes.get(at + 1)? {
            0 => return Some((String::from_utf8(text).ok()?.into(), bytes.get(at + 2..)?)),
            _ => text.push(0),
        }
        at += 2;
    }
}
