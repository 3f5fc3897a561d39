//! What it costs that somebody may not see everything.

use super::{DAY_MS, of};
use crate::draw::Draw;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use tacet_search::document::Key;
use tacet_search::engine::{self, Superseded};
use tacet_search::filter::{Comparison, Filter, Guard, SystemTest, Test, guarded};
use tacet_search::index::Page;
use tacet_search::request::{SortBy, SortKey, Total};
use tacet_types::{Basis, Class, Labels, PatientSet, ResourceId, ResourceType, TypeSet, Visibility};

/// How often each is asked.
const TIMES: usize = 60;

fn guard(patients: PatientSet) -> Arc<Guard> {
    let class = |patients| Class {
        patients,
        types: TypeSet::EVERY,
        labels: Labels::NONE,
        only: Vec::new(),
        except: Vec::new(),
        told: false,
        basis: Basis { ground: "ward".into(), policy: "care".into() },
    };
    Guard::new(Arc::new(Visibility { classes: vec![class(patients), class(PatientSet::Nobody)] }))
}

fn some(patients: &[Key], count: usize, draw: &mut Draw) -> HashSet<ResourceId> {
    let mut chosen = HashSet::new();
    while chosen.len() < count.min(patients.len()) {
        chosen.insert(draw.of(patients).id.clone());
    }
    chosen
}

/// Some searches, for who sees everything, the patients of a ward, those of a department, all but some.
#[expect(clippy::disallowed_methods, reason = "it measures")]
pub(super) fn figures(searcher: &tantivy::Searcher, patients: &[Key], draw: &mut Draw) {
    let types = |name: &str| Filter::Types(vec![ResourceType::parse(name).unwrap()]);
    let code = |code: &str| {
        Filter::Value(of("Observation", "code"), Test::TokenIs { system: SystemTest::Any, code: code.into() })
    };
    let newest = vec![SortKey { parameter: SortBy::Parameter(vec![of("Observation", "date")]), descending: true }];
    let name = |letters: usize, draw: &mut Draw| {
        let start: String = (0..letters).map(|_| (b'a' + draw.below(12) as u8) as char).collect();
        Filter::All(vec![types("Patient"), Filter::Value(of("Patient", "name"), Test::StringStarts(start.into()))])
    };
    let day = 12_000 * DAY_MS;
    let on_day = |comparison| Filter::Value(of("Encounter", "date"), Test::Date(comparison, day, day + DAY_MS - 1));
    type Make<'m> = Box<dyn Fn(&ResourceId, &mut Draw) -> Filter + 'm>;
    let questions: Vec<(&str, Make<'_>, &[SortKey], usize)> = vec![
        (
            "observations of a patient with a code, newest first",
            Box::new(|patient, _| {
                let patient = Key { resource_type: ResourceType::parse("Patient").unwrap(), id: patient.clone() };
                let subject = Filter::Value(of("Observation", "patient"), Test::ReferenceIs(patient));
                Filter::All(vec![types("Observation"), subject, code("8867-4")])
            }),
            &newest,
            20,
        ),
        ("how many have a code", Box::new(|_, _| Filter::All(vec![types("Observation"), code("8867-4")])), &[], 0),
        (
            "a code over all patients, newest first",
            Box::new(|_, _| Filter::All(vec![types("Observation"), code("8867-4")])),
            &newest,
            20,
        ),
        ("patients by three letters of a name", Box::new(|_, draw| name(3, draw)), &[], 20),
        ("patients by one letter of a name", Box::new(|_, draw| name(1, draw)), &[], 20),
        (
            "encounters of one day",
            Box::new(|_, _| {
                let dates = [Comparison::GreaterOrEqual, Comparison::LessOrEqual].map(on_day);
                Filter::All([vec![types("Encounter")], dates.to_vec()].concat())
            }),
            &[],
            50,
        ),
        ("all patients", Box::new(|_, _| types("Patient")), &[], 50),
        ("how many patients", Box::new(|_, _| types("Patient")), &[], 0),
    ];
    let superseded = Superseded::default();
    for (name, make, sort, count) in &questions {
        for (of_whom, number) in [("all", 0), ("30 patients", 30), ("500 patients", 500), ("all but 500", 500)] {
            let mut times = Vec::new();
            let mut hits = 0;
            for _ in 0..TIMES {
                let chosen = some(patients, number, draw);
                let patient = chosen.iter().next().unwrap_or(&patients[0].id).clone();
                let mut filter = make(&patient, draw);
                let set = Arc::new(chosen);
                let guard = if of_whom.starts_with("all") { PatientSet::AllBut(set) } else { PatientSet::Only(set) };
                if number > 0 {
                    filter = guarded(filter, &self::guard(guard));
                }
                let total = if *count == 0 { Total::Accurate } else { Total::None };
                let page = Page { sort: sort.to_vec(), count: *count, after: None, total };
                let at = Instant::now();
                let found = engine::search(searcher, &filter, &page, &superseded).unwrap();
                times.push(at.elapsed());
                hits += found.hits.len() as u64 + found.total.unwrap_or_default();
            }
            times.sort();
            let (middle, late) = (times[TIMES / 2], times[TIMES * 95 / 100]);
            eprintln!("{middle:>9.1?} p50 {late:>9.1?} p95  {hits:>8} found  {name}: {of_whom}");
        }
    }
}
