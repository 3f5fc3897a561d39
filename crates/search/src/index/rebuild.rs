//! A new generation, built beside the one in use.

use crate::error::SearchError;
use crate::index::generation::{Generation, REMEMBERED_MAX, Told};
use crate::index::key::Name;
use crate::index::{Change, SearchIndex};
use crate::sealed::Pointer;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tacet_types::{Sequence, VersionId};

/// The generation in the making, as live changes see it.
pub(crate) struct Building {
    pub(crate) generation: Arc<Generation>,
    /// Its directory and the pointer that will lead there; None in memory.
    pub(crate) place: Option<(PathBuf, Pointer)>,
    /// What changed since it was begun: at most [`REMEMBERED_MAX`], then it is given up.
    versions: Mutex<HashMap<Name, VersionId>>,
}

impl Building {
    pub(crate) fn new(generation: Generation, place: Option<(PathBuf, Pointer)>) -> Self {
        Self { generation: Arc::new(generation), place, versions: Mutex::default() }
    }

    fn versions(&self) -> MutexGuard<'_, HashMap<Name, VersionId>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A live change: later than what the snapshot says of the same resource, or the same.
    pub(crate) fn apply(&self, told: Told, changes: Vec<Change>, wake: impl Fn()) -> bool {
        {
            let mut versions = self.versions();
            for change in &changes {
                let known = versions.entry(self.generation.name(&change.key)).or_insert(change.version);
                *known = change.version.max(*known);
            }
            if versions.len() > REMEMBERED_MAX {
                self.generation.latch.fall_behind();
                versions.clear();
            }
        }
        self.generation.apply(told, changes, wake)
    }

    fn add(&self, changes: Vec<Change>) -> Result<(), SearchError> {
        // Held while adding: a live change that comes now is committed after what is added, and takes its place.
        let versions = self.versions();
        if self.generation.latch.is_closed() {
            return Err(self.generation.latch.error());
        }
        let newer = |change: &Change| {
            let known = versions.get(&self.generation.name(&change.key));
            known.is_some_and(|known| *known >= change.version)
        };
        self.generation.add(changes, newer)?;
        drop(versions);
        if self.generation.is_filled() { self.generation.commit().map(|_| ()) } else { Ok(()) }
    }
}

/// A new generation of the index in the making. Dropped without [`Rebuild::finish`], it leaves nothing.
pub struct Rebuild {
    index: SearchIndex,
    building: Arc<Building>,
    done: bool,
}

impl Rebuild {
    pub(crate) fn new(index: SearchIndex, building: Arc<Building>) -> Self {
        Self { index, building, done: false }
    }

    /// Adds resources of the snapshot, in any order, each once.
    pub fn add(&mut self, changes: Vec<Change>) -> Result<(), SearchError> {
        self.building.add(changes)
    }

    /// Puts the new generation in the place of the old one and removes that. `at` is the sequence of the snapshot: everything up to it
    /// was added. Gives up to where the new generation holds everything on disk.
    pub fn finish(mut self, at: Sequence) -> Result<Sequence, SearchError> {
        self.building.generation.raise(at);
        let committed = self.building.generation.commit()?;
        self.index.swap(&self.building)?;
        self.done = true;
        Ok(committed)
    }
}

impl Drop for Rebuild {
    fn drop(&mut self) {
        if !self.done {
            self.index.give_up(&self.building);
        }
    }
}
