//! What was applied and is not in the committed files yet.

use crate::document::{Document, Key, Value};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tacet_types::{Sequence, VersionId};

/// Parts of the overlay. A change copies one part if a search still looks at it, so that a search sees one moment and copies nothing.
const SHARDS: usize = 64;

/// What an entry costs beside its values, in bytes, about.
const ENTRY_BYTES: usize = 256;

/// What a value costs beside its text, in bytes, about.
const VALUE_BYTES: usize = 96;

/// What a word costs beside its text, in bytes, about.
const WORD_BYTES: usize = 20;

/// One resource that is newer here than in the files.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) version: VersionId,
    /// The commit of the store that brought it.
    pub(crate) commit: Sequence,
    /// No other entry of this overlay has or had this number.
    pub(crate) number: u64,
    /// None: not there any more.
    pub(crate) document: Option<Arc<Document>>,
    bytes: usize,
}

impl Entry {
    /// Whether this is newer than a version that a commit brought. What is erased and made again has low versions again, so the later
    /// commit decides.
    pub(crate) fn is_newer(&self, commit: Sequence, version: VersionId) -> bool {
        (self.commit, self.version) > (commit, version)
    }
}

type Shard = HashMap<Key, Entry>;

/// The overlay at one moment: cloning it is cheap, and the clone stays as it is.
#[derive(Clone, Debug)]
pub(crate) struct Overlay {
    shards: Vec<Arc<Shard>>,
    hasher: RandomState,
    length: usize,
    bytes: usize,
    numbers: u64,
}

impl Default for Overlay {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Arc::default()).collect();
        Self { shards, hasher: RandomState::new(), length: 0, bytes: 0, numbers: 0 }
    }
}

impl Overlay {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn shard(&self, key: &Key) -> usize {
        (self.hasher.hash_one(key) % SHARDS as u64) as usize
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Entry> {
        self.shards.get(self.shard(key))?.get(key)
    }

    pub(crate) fn put(&mut self, key: Key, version: VersionId, commit: Sequence, document: Option<Document>) {
        let bytes = ENTRY_BYTES + document.as_ref().map_or(0, document_bytes);
        self.numbers += 1;
        let entry = Entry { version, commit, number: self.numbers, document: document.map(Arc::new), bytes };
        let place = self.shard(&key);
        let Some(shard) = self.shards.get_mut(place) else { return };
        match Arc::make_mut(shard).insert(key, entry) {
            Some(old) => self.bytes -= old.bytes,
            None => self.length += 1,
        }
        self.bytes += bytes;
    }

    /// Lets go of an entry.
    pub(crate) fn remove(&mut self, key: &Key) {
        let place = self.shard(key);
        let Some(shard) = self.shards.get_mut(place) else { return };
        if let Some(old) = Arc::make_mut(shard).remove(key) {
            self.bytes -= old.bytes;
            self.length -= 1;
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// The documents that are there.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Arc<Document>> {
        self.entries().filter_map(|(_, entry)| entry.document.as_ref())
    }
}

/// What a document takes in memory, about.
pub(crate) fn document_bytes(document: &Document) -> usize {
    let words = document.narrative.iter().chain(&document.content);
    let words: usize = words.map(|word| word.len() + WORD_BYTES).sum();
    let patients = document.patients.len() * VALUE_BYTES;
    words + patients + document.values.iter().map(|(_, value)| value_bytes(value)).sum::<usize>()
}

fn value_bytes(value: &Value) -> usize {
    let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    VALUE_BYTES
        + match value {
            Value::Token { code, text: display, .. } => text(code) + text(display),
            Value::OfType { system, code, value } => text(system) + code.len() + value.len(),
            Value::String { exact, folded } => exact.len() + folded.len(),
            Value::Quantity { system, code, unit, .. } => text(system) + text(code) + text(unit),
            Value::ReferenceUrl(url) | Value::Uri(url) => url.len(),
            Value::ReferenceIdentifier { system, value } => text(system) + value.len(),
            Value::Canonical { url, version } => url.len() + text(version),
            // Composites hold simple values only.
            Value::Composite(parts) => parts.len() * 2 * VALUE_BYTES,
            Value::Date { .. } | Value::Number { .. } | Value::Reference { .. } | Value::Position { .. } => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::{ResourceId, ResourceType};

    fn key(id: usize) -> Key {
        Key {
            resource_type: ResourceType::parse("Patient").unwrap(),
            id: ResourceId::parse(&format!("p{id}")).unwrap(),
        }
    }

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut overlay = Overlay::default();
        for id in 0..500 {
            overlay.put(key(id), VersionId(1), Sequence(1), None);
        }
        let copy = overlay.clone();
        overlay.put(key(3), VersionId(2), Sequence(2), None);
        for id in 100..500 {
            overlay.remove(&key(id));
        }
        overlay.remove(&key(1000));
        assert_eq!((copy.len(), overlay.len()), (500, 100));
        assert_eq!((copy.entries().count(), overlay.entries().count()), (500, 100));
        assert_eq!((copy.get(&key(3)).unwrap().version.0, overlay.get(&key(3)).unwrap().version.0), (1, 2));
        assert!(copy.get(&key(200)).is_some() && overlay.get(&key(200)).is_none());
        assert_eq!(overlay.bytes(), 100 * ENTRY_BYTES);
    }
}
