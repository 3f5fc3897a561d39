//! The rows of one group while it is put together: one batch in which no key occurs twice.

use crate::engine::{Precondition, Reader, Write};
use crate::error::StoreError;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Writes of the commits accepted so far. A later write of the same row takes the place of the earlier one.
pub(crate) struct Group {
    rows: Vec<Write>,
    /// Place in `rows` by the hash of the key. Two keys of one hash are possible, so a place is checked before use.
    places: HashMap<u64, usize>,
    hasher: RandomState,
}

impl Group {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), places: HashMap::new(), hasher: RandomState::new() }
    }

    /// Adds writes; values are moved, never copied.
    pub(crate) fn extend(&mut self, writes: impl IntoIterator<Item = Write>) {
        for write in writes {
            let hash = self.hasher.hash_one(write.key());
            match self.place(hash, write.key()).and_then(|place| self.rows.get_mut(place)) {
                Some(row) => *row = write,
                None => {
                    self.places.insert(hash, self.rows.len());
                    self.rows.push(write);
                }
            }
        }
    }

    fn place(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let place = *self.places.get(&hash)?;
        if self.rows.get(place).is_some_and(|row| row.key() == key) {
            return Some(place);
        }
        self.rows.iter().rposition(|row| row.key() == key)
    }

    /// Checks preconditions against the group's rows, and the reader's where the group does not touch them.
    pub(crate) fn check(&self, preconditions: &[Precondition], reader: &dyn Reader) -> Result<(), StoreError> {
        for (index, precondition) in preconditions.iter().enumerate() {
            let (key, expected) = match precondition {
                Precondition::Absent { key } => (key, None),
                Precondition::Unchanged { key, value } => (key, Some(value.as_slice())),
            };
            let holds = match self.place(self.hasher.hash_one(key.as_slice()), key) {
                Some(place) => self.rows.get(place).and_then(Write::value) == expected,
                None => reader.get(key)?.as_deref() == expected,
            };
            if !holds {
                return Err(StoreError::PreconditionFailed { index, space: key.first().copied().unwrap_or_default() });
            }
        }
        Ok(())
    }

    pub(crate) fn rows(&self) -> &[Write] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Durability, Engine};
    use crate::memory::MemoryEngine;

    #[test]
    fn the_last_write_of_a_row_stands() {
        let mut group = Group::new();
        group.extend([Write::put([2], [1]), Write::put([3], [1]), Write::delete([2])]);
        group.extend([Write::put([3], [2])]);
        assert_eq!(group.rows(), [Write::delete([2]), Write::put([3], [2])]);
    }

    #[test]
    fn colliding_hashes_do_not_mix_rows() {
        let mut group = Group::new();
        group.extend([Write::put([2], [1]), Write::put([3], [1])]);
        let hash = group.hasher.hash_one([2].as_slice());
        group.places.insert(hash, 1);
        group.extend([Write::put([2], [9])]);
        assert_eq!(group.rows(), [Write::put([2], [9]), Write::put([3], [1])]);
    }

    #[test]
    fn preconditions_see_the_group_before_the_engine() {
        let engine = MemoryEngine::new();
        engine.write(&[Write::put([2], [1]), Write::put([3], [1])], Durability::Durable).unwrap();
        let mut group = Group::new();
        group.extend([Write::delete([2]), Write::put([3], [7]), Write::put([4], [])]);
        let absent = |key: u8| Precondition::Absent { key: vec![key] };
        let is = |key: u8, value: u8| Precondition::Unchanged { key: vec![key], value: vec![value] };
        assert!(group.check(&[absent(2), is(3, 7), absent(9)], &engine).is_ok());
        for (wrong, space) in [(is(2, 1), 2), (absent(3), 3), (is(3, 1), 3), (absent(4), 4), (is(9, 1), 9)] {
            let refused = group.check(&[absent(2), wrong], &engine);
            assert!(matches!(refused, Err(StoreError::PreconditionFailed { index: 1, space: s }) if s == space));
        }
    }
}
