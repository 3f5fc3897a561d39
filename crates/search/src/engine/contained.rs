//! The resources within one, as the index keeps them: whole, to be looked at one by one. They are found by their types alone, since few
//! resources have any and few searches ask for them.

use super::codec::{self, Input};
use crate::document::{Document, Key, Value};
use tacet_fhir::search::ParameterId;
use tacet_types::{Labels, ResourceId, ResourceType, Timestamp, VersionId};

/// Writes them so that [`read`] reads the same ones.
pub(super) fn write(all: &[Document]) -> Vec<u8> {
    let mut out = String::new();
    for document in all {
        codec::write_number(&mut out, u64::from(document.key.resource_type.code()));
        codec::write_text(&mut out, document.key.id.as_str());
        codec::write_number(&mut out, document.version.0);
        codec::write_number(&mut out, document.values.len() as u64);
        for (parameter, value) in &document.values {
            codec::write_number(&mut out, parameter.index() as u64);
            codec::write_value(&mut out, value);
        }
        for words in [&document.narrative, &document.content] {
            codec::write_number(&mut out, words.len() as u64);
            words.iter().for_each(|word| codec::write_text(&mut out, word));
        }
    }
    out.into_bytes()
}

/// Reads what [`write`] wrote, of a resource that was stored at this time.
pub(super) fn read(bytes: &[u8], stored_at: Timestamp) -> Option<Vec<Document>> {
    let mut input = Input(std::str::from_utf8(bytes).ok()?);
    let mut all = Vec::new();
    while !input.0.is_empty() {
        let resource_type = ResourceType::from_code(u8::try_from(input.number()?).ok()?)?;
        let id = ResourceId::parse(&input.text()?).ok()?;
        let version = VersionId(input.number()?);
        all.push(Document {
            key: Key { resource_type, id },
            version,
            last_updated: stored_at,
            patients: Box::default(),
            labels: Labels::NONE,
            values: values(&mut input)?,
            contained: Vec::new(),
            narrative: words(&mut input)?,
            content: words(&mut input)?,
        });
    }
    Some(all)
}

fn values(input: &mut Input<'_>) -> Option<Vec<(ParameterId, Value)>> {
    let count = input.number()?;
    let mut values = Vec::new();
    for _ in 0..count {
        let parameter = ParameterId::from_index(u16::try_from(input.number()?).ok()?);
        values.push((parameter, input.value(0)?));
    }
    Some(values)
}

fn words(input: &mut Input<'_>) -> Option<Vec<Box<str>>> {
    let count = input.number()?;
    let mut words = Vec::new();
    for _ in 0..count {
        words.push(input.text()?);
    }
    Some(words)
}
