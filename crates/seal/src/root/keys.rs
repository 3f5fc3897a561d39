//! The root keys themselves, by generation.

use super::RootError;
use crate::key::Key;
use std::fmt;
use tacet_types::Rng;

/// Most generations there are at one time: two while a rotation is under way.
pub(super) const GENERATIONS_MAX: usize = 2;

/// Root keys by generation, ascending: one, or two while a rotation is under way. Never empty.
pub struct RootKeys(Vec<(u32, Key)>);

impl RootKeys {
    /// A new first generation. Kept nowhere unless a [`super::RootFile`] keeps it: also for tests and scratch stores.
    pub fn random(rng: &dyn Rng) -> Self {
        Self(vec![(1, Key::random(rng))])
    }

    /// Generations and keys, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Key)> {
        self.0.iter().map(|(generation, key)| (*generation, key))
    }

    /// The newest generation.
    pub fn generation(&self) -> u32 {
        self.0.last().map_or(0, |(generation, _)| *generation)
    }

    /// Whether an older generation is still kept.
    pub fn rotating(&self) -> bool {
        self.0.len() > 1
    }

    pub(super) fn from_generations(keys: Vec<(u32, Key)>) -> Option<Self> {
        let ascending = keys.is_sorted_by(|(a, _), (b, _)| a < b);
        let sound = ascending && (1..=GENERATIONS_MAX).contains(&keys.len()) && keys.iter().all(|(n, _)| *n > 0);
        sound.then_some(Self(keys))
    }

    pub(super) fn duplicate(&self) -> Self {
        Self(self.0.iter().map(|(generation, key)| (*generation, key.duplicate())).collect())
    }

    pub(super) fn with_next(&self, rng: &dyn Rng) -> Result<Self, RootError> {
        let generation = self.generation();
        let next = generation.checked_add(1).ok_or(RootError::GenerationsUsedUp { generation })?;
        let mut keys = self.duplicate();
        keys.0.push((next, Key::random(rng)));
        Ok(keys)
    }

    pub(super) fn newest_only(&self) -> Self {
        let newest = self.generation();
        Self(self.0.iter().filter(|(n, _)| *n == newest).map(|(n, key)| (*n, key.duplicate())).collect())
    }

    #[cfg(test)]
    pub(crate) fn for_tests(keys: Vec<(u32, Key)>) -> Self {
        Self::from_generations(keys).expect("ascending, one or two")
    }
}

impl fmt::Debug for RootKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKeys(generation {}, ..)", self.generation())
    }
}
