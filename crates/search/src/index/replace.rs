//! A generation that was built takes the place of the one in use, or is given up; what is left of either goes from the disk.

use super::SearchIndex;
use super::rebuild::Building;
use crate::error::SearchError;
use crate::sealed::Placed;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl SearchIndex {
    /// Makes the new generation the one in use, and removes the one before.
    pub(super) fn swap(&self, building: &Arc<Building>) -> Result<(), SearchError> {
        let mut slots = self.0.slots();
        let placed = match &building.place {
            Some((_, pointer)) => self.0.workshop.point(pointer)?,
            None => Placed::Durably,
        };
        let path = building.place.as_ref().map(|(path, _)| path.clone());
        let old = std::mem::replace(&mut slots.current, Arc::clone(&building.generation));
        let old_path = std::mem::replace(&mut slots.path, path);
        slots.building = None;
        drop(slots);
        old.latch.retire();
        self.0.refusals.fetch_add(old.latch.refusals(), Ordering::SeqCst);
        old.stop();
        // What the disk may lead to again stays until the next opening.
        if placed == Placed::Durably {
            self.remove(old_path.as_deref());
        }
        Ok(())
    }

    /// Leaves a generation unfinished.
    pub(super) fn give_up(&self, building: &Arc<Building>) {
        self.0.slots().building = None;
        building.generation.stop();
        self.remove(building.place.as_ref().map(|(path, _)| path.as_path()));
    }

    fn remove(&self, path: Option<&Path>) {
        let Some(path) = path else { return };
        if let Err(error) = self.0.workshop.disk.remove_directory(path) {
            // Its key is gone, and the next opening sweeps it away.
            tracing::warn!(%error, "an old generation of the search index could not be removed");
        }
    }
}
