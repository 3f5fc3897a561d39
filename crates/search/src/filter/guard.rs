//! What somebody may see, as a part of a filter: put into every place where a search looks at resources, so that what they may not see
//! counts nowhere, as if it were not there.

use super::Filter;
use crate::document::Key;
use crate::matcher::{FILTER_DEPTH_MAX, sees};
use std::fmt;
use std::sync::{Arc, LazyLock};
use tacet_fhir::search::{PARAMETER_COUNT, ParameterId, ParameterType, parameters_of};
use tacet_types::{ResourceType, Visibility};

/// Resources that a [`Visibility`] lets see: by the patients, type and labels of the document, and by its values where a class has
/// criteria. [`Guard::sees`] is the one definition; the index is held to it.
#[derive(Clone, PartialEq)]
pub struct Guard(pub Arc<Visibility>);

impl Guard {
    /// Of this visibility, to be shared by the parts of a filter.
    pub fn new(visibility: Arc<Visibility>) -> Arc<Self> {
        Arc::new(Self(visibility))
    }

    /// Whether the document is seen.
    pub fn sees(&self, document: &crate::document::Document) -> bool {
        sees(&self.0, document)
    }
}

/// Without the patients: what is traced must name nobody.
impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({} classes)", self.0.classes.len())
    }
}

/// The same search for who sees only what the guard lets see: what it means are seen resources, and so is every other resource that it asks
/// about (the target of a chain, the source of `_has`, the list of `_list`). It means what it would mean if nothing else were stored.
///
/// Where everything is seen the filter stays as it is.
pub fn guarded(filter: Filter, guard: &Arc<Guard>) -> Filter {
    if guard.0.is_everything() { filter } else { with_guard(within(filter, guard, 0), guard) }
}

/// Last, so that what is cheaper to ask is asked before; beside what stands there already, so that its types stay in sight.
fn with_guard(filter: Filter, guard: &Arc<Guard>) -> Filter {
    let guard = Filter::Guard(Arc::clone(guard));
    match filter {
        Filter::All(mut all) => {
            all.push(guard);
            Filter::All(all)
        }
        Filter::Everything => guard,
        filter => Filter::All(vec![filter, guard]),
    }
}

fn within(filter: Filter, guard: &Arc<Guard>, depth: usize) -> Filter {
    if depth > FILTER_DEPTH_MAX {
        // Preparing refuses a filter of this depth, so nothing of it is ever asked.
        return filter;
    }
    let inner = |filter| within(filter, guard, depth + 1);
    match filter {
        Filter::All(all) => Filter::All(all.into_iter().map(inner).collect()),
        Filter::Any(any) => Filter::Any(any.into_iter().map(inner).collect()),
        Filter::Not(filter) => Filter::Not(Box::new(inner(*filter))),
        Filter::Chain { parameter, target } => {
            Filter::Chain { parameter, target: Box::new(with_guard(inner(*target), guard)) }
        }
        Filter::Has { parameter, source } => {
            Filter::Has { parameter, source: Box::new(with_guard(inner(*source), guard)) }
        }
        Filter::Contains(filter) => Filter::Contains(Box::new(inner(*filter))),
        // What one resource refers to is what is referred to by a resource that is this one, and seen.
        Filter::Members { of, parameter } => {
            Filter::Has { parameter, source: Box::new(with_guard(Filter::Keys(vec![of]), guard)) }
        }
        other => other,
    }
}

/// Codes of the parameters by which a resource names its own patient.
const OWN_PATIENT: [&str; 4] = ["patient", "subject", "beneficiary", "individual"];

/// Whether a reference by this parameter counts for [`tacet_types::Criterion::RefersTo`]: not what makes the record the patient's, and only
/// parameters of the standard, which take in every reference that matters.
pub(crate) fn is_other_reference(parameter: ParameterId, target: &Key) -> bool {
    parameter.index() < PARAMETER_COUNT
        && (target.resource_type.as_str() != "Patient" || !OWN_PATIENT.contains(&parameter.parameter().code))
}

/// Codes of parameters that say when what a resource tells of was, before those that say when it was written down. What is left out says
/// something else: births, expiries, ends.
const CLINICAL_DATES: [&str; 31] = [
    "onset",
    "onset-date",
    "occurrence",
    "effective-time",
    "started",
    "collected",
    "whenhandedover",
    "when",
    "event-date",
    "start-date",
    "start",
    "identified",
    "sent",
    "period",
    "authoredon",
    "date",
    "effective",
    "whenprepared",
    "datewritten",
    "datetime",
    "created",
    "authored",
    "authored-on",
    "recorded-date",
    "recorded",
    "issued",
    "entered-date",
    "received",
    "timestamp",
    "modified",
    "last-date",
];

/// The parameters that give a resource of this type its clinical date: the first that has a value does. Empty where only the time of
/// storing is known.
pub(crate) fn clinical_dates(resource_type: ResourceType) -> &'static [ParameterId] {
    static TABLE: LazyLock<Vec<Vec<ParameterId>>> = LazyLock::new(|| {
        let all = (0..=u8::MAX).map(|code| ResourceType::from_code(code).map(of_type).unwrap_or_default());
        all.collect()
    });
    TABLE.get(usize::from(resource_type.code())).map(Vec::as_slice).unwrap_or_default()
}

fn of_type(resource_type: ResourceType) -> Vec<ParameterId> {
    let known = parameters_of(resource_type);
    let find = |code: &str| {
        known.iter().copied().find(|id| {
            let parameter = id.parameter();
            parameter.code == code && parameter.parameter_type == ParameterType::Date
        })
    };
    CLINICAL_DATES.iter().filter_map(|code| find(code)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::{Basis, ResourceId};

    fn kind(name: &str) -> ResourceType {
        ResourceType::parse(name).unwrap()
    }

    #[test]
    fn the_clinical_date_is_when_it_was() {
        let codes = |name: &str| -> Vec<&str> {
            clinical_dates(kind(name)).iter().map(|parameter| parameter.parameter().code).collect()
        };
        assert_eq!(codes("Observation"), ["date"]);
        assert_eq!(codes("Condition"), ["onset-date", "recorded-date"]);
        assert_eq!(codes("MedicationRequest"), ["authoredon", "date"]);
        assert_eq!(codes("ServiceRequest"), ["occurrence", "authored"]);
        assert_eq!(codes("DocumentReference"), ["period", "date"]);
        assert!(codes("Patient").is_empty() && codes("Coverage").is_empty());
        // A code that no type has would be a slip of the pen.
        for code in CLINICAL_DATES {
            assert!(ResourceType::all().any(|found| codes(found.as_str()).contains(&code)), "{code}");
        }
    }

    #[test]
    fn a_guard_stands_wherever_others_are_asked_about() {
        let guard = Guard::new(Arc::new(Visibility::nothing()));
        let parameter = ParameterId::from_index(3);
        let types = Filter::Types(vec![kind("Patient")]);
        let guard_filter = Filter::Guard(guard.clone());
        let chain = Filter::Chain { parameter, target: Box::new(types.clone()) };
        let seen = Box::new(Filter::All(vec![types.clone(), guard_filter.clone()]));
        let chained = Filter::Chain { parameter, target: seen.clone() };
        let filter = Filter::All(vec![types.clone(), Filter::Not(Box::new(chain))]);
        let wanted = Filter::All(vec![types.clone(), Filter::Not(Box::new(chained)), guard_filter.clone()]);
        assert_eq!(guarded(filter, &guard), wanted);
        let has = Filter::Has { parameter, source: Box::new(types) };
        assert_eq!(
            guarded(has, &guard),
            Filter::All(vec![Filter::Has { parameter, source: seen }, guard_filter.clone()])
        );
        let of = Key { resource_type: kind("List"), id: ResourceId::parse("l").unwrap() };
        let keys = Filter::Keys(vec![of.clone()]);
        let source = Box::new(Filter::All(vec![keys, guard_filter.clone()]));
        let members = guarded(Filter::Members { of, parameter }, &guard);
        assert_eq!(members, Filter::All(vec![Filter::Has { parameter, source }, guard_filter]));
        let whole = Guard::new(Arc::new(Visibility::everything(Basis { ground: "g".into(), policy: "p".into() })));
        assert_eq!(guarded(Filter::Everything, &whole), Filter::Everything);
        assert_eq!(format!("{whole:?}"), "Guard(2 classes)");
    }
}
