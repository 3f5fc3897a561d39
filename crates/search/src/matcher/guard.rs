//! Whether a visibility lets a document be seen.

use super::compare;
use crate::document::{Document, Value};
use crate::filter::{Comparison, clinical_dates, is_other_reference};
use tacet_types::{Class, Criterion, PatientSet, Visibility};

/// Whether the document is seen: each of its patients by some class that has its type, all its labels, and whose criteria hold.
pub(crate) fn sees(visibility: &Visibility, document: &Document) -> bool {
    let fits = |class: &&Class| {
        class.types.has(document.key.resource_type)
            && document.labels.within(class.labels)
            && (class.only.is_empty() || class.only.iter().any(|criterion| holds(criterion, document)))
            && !class.except.iter().any(|criterion| holds(criterion, document))
    };
    let classes: Vec<&Class> = visibility.classes.iter().filter(fits).collect();
    match &*document.patients {
        [] => classes.iter().any(|class| class.patients == PatientSet::Nobody),
        patients => patients.iter().all(|patient| classes.iter().any(|class| class.patients.has(patient))),
    }
}

fn holds(criterion: &Criterion, document: &Document) -> bool {
    match criterion {
        Criterion::Is(resource_type, id) => document.key.resource_type == *resource_type && document.key.id == *id,
        Criterion::RefersTo(resource_type, id) => document.values.iter().any(|(parameter, value)| {
            let Value::Reference { target, .. } = value else { return false };
            target.resource_type == *resource_type && target.id == *id && is_other_reference(*parameter, target)
        }),
        Criterion::Within(low, high) => {
            let meets = |from: i64, to: i64| compare(Comparison::Approximately, (from, to), (*low, *high));
            let dates = clinical_dates(document.key.resource_type);
            let has = |parameter: &&_| document.values.iter().any(|(found, _)| found == *parameter);
            match dates.iter().find(has) {
                Some(parameter) => document.values.iter().any(|(found, value)| match value {
                    Value::Date { low_ms, high_ms } => found == parameter && meets(*low_ms, *high_ms),
                    _ => false,
                }),
                None => meets(document.last_updated.as_ms(), document.last_updated.as_ms()),
            }
        }
    }
}
