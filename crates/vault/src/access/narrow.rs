//! What a token is good for, where that is less than what its account may do: a visibility, cut down.

use crate::caller::Caller;
use std::sync::Arc;
use tacet_policy::Act;
use tacet_types::{PatientSet, ResourceId, TypeSet, Visibility};

/// How far a visibility is cut down.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Narrow {
    /// To these types.
    types: Option<TypeSet>,
    /// To what is in the compartment of this patient, and to what is in nobody's.
    patient: Option<ResourceId>,
}

impl Narrow {
    pub(super) fn of(_caller: &Caller, _act: Act) -> Self {
        Self::default()
    }

    pub(super) fn apply(&self, mut visibility: Visibility) -> Visibility {
        if let Some(types) = self.types {
            visibility = visibility.of_types(types);
        }
        if let Some(patient) = &self.patient {
            for class in &mut visibility.classes {
                if class.patients != PatientSet::Nobody && class.patients.has(patient) {
                    class.patients = PatientSet::Only(Arc::new(std::iter::once(patient.clone()).collect()));
                }
            }
            let theirs = PatientSet::Only(Arc::new(std::iter::once(patient.clone()).collect()));
            visibility.classes.retain(|class| class.patients == PatientSet::Nobody || class.patients == theirs);
        }
        visibility
    }
}
