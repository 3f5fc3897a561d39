//! What somebody may see, in one segment: as posting lists of patients, or as a question asked of each candidate, whichever is less work.
//! Both give the same documents.

use super::*;
use crate::engine::docs::Gathered;
use crate::engine::guard;
use crate::filter::{Guard, clinical_dates, is_other_reference};
use std::cell::{OnceCell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;
use tacet_fhir::search::{ParameterType, parameters_of};
use tacet_types::{Class, Criterion, Labels, PatientSet, ResourceId, ResourceType, Visibility};

/// So few candidates are asked one by one whatever the guard is.
const CANDIDATES_ASKED: u64 = 64;

/// One candidate is asked instead of so many terms being looked up: a patient's text is read from the dictionary of a column, which costs
/// about as much.
const LOOKUPS_PER_CANDIDATE: u64 = 3;

/// Up to so many types the terms of a patient are looked up one by one; of more they are gone through.
const TYPES_LOOKED_UP: usize = 4;

impl<'s> Compiler<'s, '_> {
    /// The documents that a guard lets see, where about so many come into question.
    pub(super) fn guard(self, guard: &Arc<Guard>, candidates: u64) -> Result<Node<'s>, SearchError> {
        let asked = CANDIDATES_ASKED.max(self.guard_lookups(&guard.0) / LOOKUPS_PER_CANDIDATE);
        let check = || self.guard_check(guard);
        if candidates <= asked {
            return Ok(Node::Check(Box::new(Node::Everything), check()?));
        }
        let many = self.of_each_type(guard::many)?;
        let mut any = Vec::with_capacity(guard.0.classes.len());
        for class in &guard.0.classes {
            let types = self.types_of(class);
            if !types.is_empty() {
                any.push(self.within(&types).class(class, types.len() == self.types.len(), &many)?);
            }
        }
        let seen = Node::any(any);
        if many.is_empty() || matches!(seen, Node::Nothing) {
            return Ok(seen);
        }
        // A document of several patients is among them if one of its patients is: of each it must be asked.
        let check = check()?;
        let hidden = Node::Check(Box::new(Node::Everything), Rc::new(move |doc| !check(doc)));
        Ok(Node::all(vec![seen, Node::all(vec![Node::terms(many, Of::Types), hidden]).not()]))
    }

    /// Asks the guard of what is walked, and lets nothing be seen whatever it says: as much work as it is to ask it of what is found and hidden.
    pub(super) fn guard_in_vain(self, guard: &Arc<Guard>) -> Result<Node<'s>, SearchError> {
        let check = self.guard_check(guard)?;
        let in_vain: Check<'s> = Rc::new(move |doc| {
            std::hint::black_box(check(doc));
            false
        });
        Ok(Node::Check(Box::new(Node::Everything), in_vain))
    }

    /// About how many terms must be looked up for the guard.
    fn guard_lookups(self, visibility: &Visibility) -> u64 {
        let patients = |class: &Class| match &class.patients {
            PatientSet::Nobody => 0,
            PatientSet::Only(patients) | PatientSet::AllBut(patients) => patients.len(),
        };
        let of = |class: &Class| patients(class) * self.types_of(class).len().min(2 * TYPES_LOOKED_UP);
        visibility.classes.iter().map(of).sum::<usize>() as u64
    }

    /// The types of the class that are searched.
    fn types_of(self, class: &Class) -> Vec<u8> {
        let of_class = |code: &u8| ResourceType::from_code(*code).is_some_and(|found| class.types.has(found));
        self.types.iter().copied().filter(of_class).collect()
    }

    fn of_each_type(self, term: fn(u8) -> Vec<u8>) -> Result<Vec<TermInfo>, SearchError> {
        let mut infos = Vec::new();
        for &code in self.types {
            infos.extend(self.segment.term(&term(code))?);
        }
        Ok(infos)
    }

    /// The documents of a class that has these types; of those with several patients the ones that have some patient of it. `all_types`:
    /// nothing else is searched.
    fn class(self, class: &Class, all_types: bool, many: &[TermInfo]) -> Result<Node<'s>, SearchError> {
        let mut all = vec![self.patients(class, all_types, many)?];
        if matches!(all.last(), Some(Node::Nothing)) {
            return Ok(Node::Nothing);
        }
        let mut withheld = Vec::new();
        for &code in self.types {
            let start = guard::labels(code);
            let end = terms::end_of(&start);
            self.segment.terms(&start, end.as_deref(), &mut |term, info| {
                let bit = term.last().map_or(0, |bit| 1 << (bit % 64));
                if !Labels::from_bits(bit).within(class.labels) {
                    withheld.push(info.clone());
                }
                true
            })?;
        }
        all.push(Node::terms(withheld, Of::Types).not());
        all.extend(self.criteria(class)?);
        Ok(Node::all(all))
    }

    fn patients(self, class: &Class, all_types: bool, many: &[TermInfo]) -> Result<Node<'s>, SearchError> {
        let nobody = || Ok::<_, SearchError>(Node::terms(self.of_each_type(guard::nobody)?, Of::TypesOnce));
        match &class.patients {
            PatientSet::Nobody => nobody(),
            PatientSet::Only(patients) => {
                let of = if many.is_empty() { Of::TypesOnce } else { Of::Types };
                Ok(Node::terms(self.of_patients(patients)?, of))
            }
            PatientSet::AllBut(patients) => {
                let hidden = Node::terms(self.of_patients(patients)?, Of::Types);
                // Who has another patient too may be seen for that one.
                let hidden = Node::all(vec![hidden, Node::terms(many.to_vec(), Of::Types).not()]);
                let types = if all_types { Node::Everything } else { self.types(self.types)? };
                Ok(Node::all(vec![types, nobody()?.not(), hidden.not()]))
            }
        }
    }

    fn of_patients(self, patients: &HashSet<ResourceId>) -> Result<Vec<TermInfo>, SearchError> {
        let mut infos = Vec::with_capacity(patients.len());
        for patient in patients {
            let mut term = guard::patient(patient);
            if self.types.len() > TYPES_LOOKED_UP {
                self.segment.terms_under(&term, &mut |term, info| {
                    if term.last().is_some_and(|code| self.types.contains(code)) {
                        infos.push(info.clone());
                    }
                    true
                })?;
                continue;
            }
            term.push(0);
            for &code in self.types {
                if let Some(last) = term.last_mut() {
                    *last = code;
                }
                infos.extend(self.segment.term(&term)?);
            }
        }
        Ok(infos)
    }

    /// What must hold for the documents of a class beside patients, types and labels.
    fn criteria(self, class: &Class) -> Result<Vec<Node<'s>>, SearchError> {
        let any =
            |criteria: &[Criterion]| self.filter(&Filter::Any(criteria.iter().map(|one| self.means(one)).collect()), 0);
        let mut nodes = Vec::new();
        if !class.only.is_empty() {
            nodes.push(any(&class.only)?);
        }
        if !class.except.is_empty() {
            nodes.push(any(&class.except)?.not());
        }
        Ok(nodes)
    }

    /// A criterion as a filter.
    fn means(self, criterion: &Criterion) -> Filter {
        let types: Vec<ResourceType> = self.types.iter().copied().filter_map(ResourceType::from_code).collect();
        match criterion {
            Criterion::Is(resource_type, id) => {
                Filter::Keys(vec![Key { resource_type: *resource_type, id: id.clone() }])
            }
            Criterion::RefersTo(resource_type, id) => {
                let target = Key { resource_type: *resource_type, id: id.clone() };
                let mut parameters: Vec<ParameterId> =
                    types.iter().flat_map(|of| parameters_of(*of)).copied().collect();
                parameters.sort_unstable();
                parameters.dedup();
                parameters.retain(|id| {
                    id.parameter().parameter_type == ParameterType::Reference && is_other_reference(*id, &target)
                });
                let refers = |parameter| Filter::Value(parameter, Test::ReferenceIs(target.clone()));
                Filter::Any(parameters.into_iter().map(refers).collect())
            }
            Criterion::Within(low, high) => {
                let mut groups: HashMap<&[ParameterId], Vec<ResourceType>> = HashMap::new();
                for of in types {
                    groups.entry(clinical_dates(of)).or_default().push(of);
                }
                let of_group = |(dates, types)| Filter::All(vec![Filter::Types(types), within(dates, *low, *high)]);
                Filter::Any(groups.into_iter().map(of_group).collect())
            }
        }
    }

    /// Whether a document is seen, by its columns.
    fn guard_check(self, guard: &Arc<Guard>) -> Result<Check<'s>, SearchError> {
        let segment = self.segment;
        let patients = segment.texts(GLOBAL, column::PATIENT)?;
        let (labels, kinds) = (segment.fixed(encode::LABELS)?, segment.fixed(encode::TYPE)?);
        let (types, guard): (Rc<[u8]>, _) = (self.types.into(), Arc::clone(guard));
        let having = |has: &dyn Fn(&PatientSet) -> bool| -> Rc<[usize]> {
            let classes = guard.0.classes.iter().enumerate();
            classes.filter(|(_, class)| has(&class.patients)).map(|(place, _)| place).collect()
        };
        let nobody = having(&|patients| *patients == PatientSet::Nobody);
        // The classes of the patients that were met, by their numbers in the column.
        let known: RefCell<HashMap<u64, Rc<[usize]>>> = RefCell::default();
        // The documents that meet the criteria of a class, once they are asked for.
        let meeting: Vec<OnceCell<Gathered>> = guard.0.classes.iter().map(|_| OnceCell::new()).collect();
        Ok(Rc::new(move |doc| {
            let kind = u8::try_from(kinds.values.get_val(doc)).ok().and_then(ResourceType::from_code);
            let Some(kind) = kind else { return false };
            let labels = Labels::from_bits(labels.values.get_val(doc));
            let fits = |place: &usize| {
                let Some(class) = guard.0.classes.get(*place) else { return false };
                class.types.has(kind)
                    && labels.within(class.labels)
                    && (class.is_plain()
                        || meeting.get(*place).is_some_and(|set| {
                            let of = Compiler { segment, types: &types };
                            set.get_or_init(|| segment.checked(of.meeting(class), Gathered::List(Vec::new()))).has(doc)
                        }))
            };
            let mut numbers = patients.iter().flat_map(|column| column.term_ords(doc)).peekable();
            if numbers.peek().is_none() {
                return nobody.iter().any(fits);
            }
            numbers.all(|number| {
                let classes = known.borrow().get(&number).cloned();
                let classes = classes.unwrap_or_else(|| {
                    let patient = patients.as_ref().map(|column| patient_of(segment, column, number));
                    let patient = patient.and_then(|patient| segment.checked(patient.map(Some), None));
                    let found: Rc<[usize]> = patient.map_or_else(
                        || [].into(),
                        |patient| {
                            let classes = guard.0.classes.iter().enumerate();
                            classes.filter(|(_, class)| class.patients.has(&patient)).map(|(place, _)| place).collect()
                        },
                    );
                    known.borrow_mut().insert(number, found.clone());
                    found
                });
                classes.iter().any(fits)
            })
        }))
    }

    /// The documents that meet the criteria of a class: of its patients, where they are named.
    fn meeting(self, class: &Class) -> Result<Gathered, SearchError> {
        let types = self.types_of(class);
        let inner = self.within(&types);
        let mut all = inner.criteria(class)?;
        if let PatientSet::Only(patients) = &class.patients {
            all.push(Node::terms(inner.of_patients(patients)?, Of::Types));
        }
        let (node, max_doc) = (Node::all(all), self.segment.max_doc());
        Gathered::gather(max_doc, node.estimate(max_doc), |push| {
            let mut docs = node.open(self.segment)?;
            let mut doc = docs.doc();
            while doc != tantivy::TERMINATED {
                push(doc);
                doc = docs.advance();
            }
            Ok(())
        })
    }
}

/// The patient of a number of the column.
fn patient_of(
    segment: &Segment<'_>,
    column: &tantivy::columnar::StrColumn,
    number: u64,
) -> Result<ResourceId, SearchError> {
    ResourceId::parse(&segment.text(column, number)?).map_err(|_| SearchError::Damaged)
}

/// The clinical date meets the span: of the first of these parameters that has a value, or the time of storing.
fn within(dates: &[ParameterId], low_ms: i64, high_ms: i64) -> Filter {
    let comparison = Comparison::Approximately;
    let stored = Filter::LastUpdated { comparison, low_ms, high_ms };
    dates.iter().rev().fold(stored, |otherwise, &date| {
        let absent = Filter::Not(Box::new(Filter::Present(date)));
        let meets = Filter::Value(date, Test::Date(comparison, low_ms, high_ms));
        Filter::Any(vec![meets, Filter::All(vec![absent, otherwise])])
    })
}
