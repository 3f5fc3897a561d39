//! A visibility with what is asked of it: of a document, of a record's row, of a whole type.

use super::{Ground, narrow};
use crate::head::VersionMeta;
use std::sync::Arc;
use tacet_ledger::BASIS_BYTES_MAX;
use tacet_search::document::Document;
use tacet_search::filter::{Filter, Guard, guarded};
use tacet_types::{Basis, Class, Labels, ResourceId, ResourceType, Visibility};

/// A visibility with what is asked of it.
pub(crate) struct Sights {
    pub(crate) visibility: Arc<Visibility>,
    guard: Arc<Guard>,
    /// The ground of each class, as the ledger names it.
    grounds: Vec<Ground>,
    everything: bool,
    /// What is open beside where its content fits a scope.
    pub(super) under: Vec<narrow::Under>,
}

impl Sights {
    pub(super) fn new((visibility, under): (Visibility, Vec<narrow::Under>)) -> Self {
        let grounds = visibility.classes.iter().map(|class| ground(&class.basis)).collect();
        let everything = visibility.is_everything();
        let visibility = Arc::new(visibility);
        Self { guard: Guard::new(Arc::clone(&visibility)), visibility, grounds, everything, under }
    }

    /// The filter, with what is not seen left out of all that it asks about.
    pub(crate) fn guarded(&self, filter: Filter) -> Filter {
        let filter = guarded(filter, &self.guard);
        if self.under.is_empty() || self.everything { filter } else { narrow::widened(filter, &self.under) }
    }

    /// Whether the document is seen.
    pub(crate) fn sees(&self, document: &Document) -> bool {
        self.everything || self.guard.sees(document) || self.under.iter().any(|under| under.sees(document))
    }

    /// The labels of elements that are shown within a record, and whether what is withheld is marked.
    pub(crate) fn cleared(&self, resource_type: ResourceType, meta: &VersionMeta) -> (Labels, bool) {
        match meta.patients() {
            Some(patients) => {
                let under = self.under.iter().filter(|under| under.concerns(resource_type));
                let more = under.map(|under| under.visibility.cleared(resource_type, &patients));
                let open = self.visibility.cleared(resource_type, &patients);
                more.fold(open, |(labels, told), (more, tells)| (labels.and(more), told || tells))
            }
            // Of some of its patients nothing is known here: nothing labelled is shown.
            None if !self.everything => (Labels::NONE, false),
            None => (Labels::EVERY, true),
        }
    }

    /// Whether some record of one of these types may be seen of this patient. No: none, whatever its labels and its content.
    pub(crate) fn opens_some(&self, types: &[ResourceType], patient: &ResourceId) -> bool {
        let open = |visibility: &Visibility| {
            let has = |class: &Class| class.patients.has(patient) && types.iter().any(|of| class.types.has(*of));
            visibility.classes.iter().any(has)
        };
        self.everything || open(&self.visibility) || self.under.iter().any(|under| open(&under.visibility))
    }

    /// Whether nothing at all is seen.
    pub(crate) fn is_nothing(&self) -> bool {
        self.visibility.classes.is_empty() && self.under.is_empty()
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.everything
    }

    pub(crate) fn ground_of(&self, basis: &Basis) -> Option<Ground> {
        let place = self.visibility.classes.iter().position(|class| std::ptr::eq(&class.basis, basis));
        place.and_then(|place| self.grounds.get(place)).cloned()
    }

    /// The ground of a record that some class with criteria lets see.
    pub(crate) fn conditional_ground(
        &self,
        resource_type: ResourceType,
        patients: Option<&[ResourceId]>,
        labels: Labels,
    ) -> Option<Ground> {
        let fits = |class: &Class| {
            let of = match patients.and_then(<[ResourceId]>::first) {
                Some(patient) => class.patients.has(patient),
                None => true,
            };
            class.types.has(resource_type) && labels.within(class.labels) && of
        };
        let place = self.visibility.classes.iter().position(fits);
        let open = place.and_then(|place| self.grounds.get(place)).cloned();
        open.or_else(|| self.under.iter().find(|under| under.concerns(resource_type))?.ground())
    }
}

pub(super) fn ground(basis: &Basis) -> Ground {
    let mut text = basis.to_string();
    if text.len() > BASIS_BYTES_MAX {
        let end = (0..=BASIS_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text.into()
}
