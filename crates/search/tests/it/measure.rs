//! Figures of the engine over many synthetic documents in memory; run by hand, it judges nothing.

mod guards;

use crate::draw::Draw;
use std::time::Instant;
use tacet_fhir::search::{ParameterId, fold, parameter};
use tacet_search::document::{Document, Key, System, Value};
use tacet_search::engine::{self, Superseded};
use tacet_search::filter::{Comparison, Filter, SystemTest, Test, UnitTest};
use tacet_search::index::Page;
use tacet_search::request::{SortBy, SortKey, Total};
use tacet_types::{Labels, ResourceId, ResourceType, Timestamp, VersionId};

const DAY_MS: i64 = 86_400_000;
const LOINC: &str = "http://loinc.org";

fn of(resource_type: &str, code: &str) -> ParameterId {
    parameter(ResourceType::parse(resource_type).unwrap(), code).unwrap()
}

fn key(resource_type: &str, draw: &mut Draw) -> Key {
    let (high, low) = (format!("{:016x}", draw.next()), format!("{:016x}", draw.next()));
    let id = format!("{}-{}-{}-{}-{}", &high[..8], &high[8..12], &high[12..], &low[..4], &low[4..]);
    Key { resource_type: ResourceType::parse(resource_type).unwrap(), id: ResourceId::parse(&id).unwrap() }
}

fn token(system: System, code: &str) -> Value {
    Value::Token { system, code: Some(code.into()), text: None }
}

fn document(key: Key, patient: &Key, values: Vec<(ParameterId, Value)>, at: i64) -> Document {
    let (contained, narrative, content) = (Vec::new(), Vec::new(), Vec::new());
    let (patients, labels) = ([patient.id.clone()].into(), Labels::NONE);
    let (version, last_updated) = (VersionId(1), Timestamp::from_ms(at));
    Document { key, version, last_updated, patients, labels, values, contained, narrative, content }
}

/// What a resource costs on its way into the index, with real resources.
#[test]
#[ignore = "figures for people"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn prices() {
    use flate2::read::GzDecoder;
    use tacet_fhir::json::{Json, Limits, parse_str};
    use tacet_search::parameters::Parameters;
    let root = std::env::var("TACET_TEST_DATA").unwrap_or_else(|_| "../../../shared/data".into());
    let Ok(folder) = std::fs::read_dir(std::path::Path::new(&root).join("synthea-r4")) else {
        eprintln!("skipped: no folder synthea-r4 in the test data");
        return;
    };
    let mut texts = Vec::new();
    for file in folder.take(12) {
        let mut text = String::new();
        let read = GzDecoder::new(std::fs::File::open(file.unwrap().path()).unwrap());
        if std::io::read_to_string(read).map(|all| text = all).is_ok() {
            texts.push(text);
        }
    }
    let parsed: Vec<Json<'_>> = texts.iter().filter_map(|text| parse_str(text, &Limits::default()).ok()).collect();
    let entries = parsed.iter().flat_map(|bundle| bundle.get("entry").and_then(Json::as_array).unwrap_or_default());
    let resources: Vec<&Json<'_>> = entries.filter_map(|entry| entry.get("resource")).collect();
    let parameters = Parameters::standard();
    let index = tantivy::Index::create_in_ram(engine::schema());
    let mut writer = index.writer_with_num_threads::<tantivy::TantivyDocument>(1, 200 << 20).unwrap();
    let mut draw = Draw::new(1);
    for only in [None, Some("Observation")] {
        let mut all: Vec<(&Json<'_>, Key)> = Vec::new();
        for resource in &resources {
            let name = resource.get_str("resourceType").unwrap();
            if only.is_none_or(|only| only == name) {
                all.push((resource, key(name, &mut draw)));
            }
        }
        for _ in 0..2 {
            let at = Instant::now();
            let extracted: usize = all
                .iter()
                .map(|(resource, _)| {
                    let mut count = 0;
                    parameters.extract(resource, &mut |_, _| count += 1);
                    count
                })
                .sum();
            let extract = at.elapsed();
            let at = Instant::now();
            let documents: Vec<Document> = all
                .iter()
                .map(|(resource, key)| {
                    Document::of(resource, key.clone(), VersionId(1), Timestamp::from_ms(0), &parameters)
                })
                .collect();
            let of = at.elapsed();
            let at = Instant::now();
            let made: Vec<_> = documents.iter().map(|document| engine::to_document(document, draw.next())).collect();
            let to = at.elapsed();
            let at = Instant::now();
            for document in made {
                writer.add_document(document).unwrap();
            }
            writer.commit().unwrap();
            let add = at.elapsed();
            let words: usize = documents.iter().map(|document| document.content.len()).sum();
            let each = |spent: std::time::Duration| spent.as_secs_f64() * 1e6 / all.len() as f64;
            eprintln!(
                "{} of {only:?}: extract {:.1} µs ({} values, {} words), Document::of {:.1} µs, to_document {:.1} µs, added and committed {:.1} µs",
                all.len(),
                each(extract),
                extracted / all.len(),
                words / all.len(),
                each(of),
                each(to),
                each(add)
            );
        }
    }
}

#[test]
#[ignore = "takes minutes: figures for people"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn figures() {
    let count: usize = std::env::var("TACET_MEASURE").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let mut draw = Draw::new(1);
    let index = tantivy::Index::create_in_ram(engine::schema());
    let mut writer = index.writer_with_num_threads::<tantivy::TantivyDocument>(1, 200 << 20).unwrap();
    let begun = Instant::now();
    let mut patients = Vec::new();
    let mut spent = std::time::Duration::ZERO;
    let mut made = 0;
    let mut order = |document: &Document, draw: &mut Draw| {
        let at = Instant::now();
        writer.add_document(engine::to_document(document, draw.next())).unwrap();
        spent += at.elapsed();
        made += 1;
        if made % 200_000 == 0 {
            writer.commit().unwrap();
        }
    };
    while patients.len() < count / 50 {
        let patient = key("Patient", &mut draw);
        let name: String = (0..7).map(|_| (b'a' + draw.below(12) as u8) as char).collect();
        let name = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        let string = Value::String { folded: fold(&name).into(), exact: name.into() };
        let values = vec![
            (of("Patient", "name"), string.clone()),
            (of("Patient", "family"), string),
            (of("Patient", "gender"), token(System::Implied, if draw.one_in(2) { "male" } else { "female" })),
            (of("Patient", "identifier"), token(System::Uri("urn:oid:1".into()), &draw.next().to_string())),
        ];
        order(&document(patient.clone(), &patient, values, draw.below(1 << 40) as i64), &mut draw);
        for _ in 0..9 {
            let from = draw.below(7000) as i64 * DAY_MS + 9000 * DAY_MS;
            let values = vec![
                (of("Encounter", "subject"), Value::Reference { target: patient.clone(), version: None }),
                (of("Encounter", "patient"), Value::Reference { target: patient.clone(), version: None }),
                (of("Encounter", "date"), Value::Date { low_ms: from, high_ms: from + 1_800_000 }),
                (of("Encounter", "status"), token(System::Implied, "finished")),
            ];
            order(&document(key("Encounter", &mut draw), &patient, values, from), &mut draw);
        }
        for n in 0..40 {
            let at = draw.below(7000) as i64 * DAY_MS + 9000 * DAY_MS + draw.below(86_400_000) as i64;
            let code = if n < 20 { "8867-4".to_owned() } else { format!("code-{}", draw.below(200)) };
            let amount = draw.below(2000) as f64 / 10.0;
            let unit = |text: &str| Some(text.into());
            let quantity = Value::Quantity {
                low: amount,
                high: amount,
                system: unit("http://unitsofmeasure.org"),
                code: unit("mg"),
                unit: unit("mg"),
                canonical: Some((amount / 1000.0, amount / 1000.0, "g".into())),
            };
            let coding = token(System::Uri(LOINC.into()), &code);
            let values = vec![
                (of("Observation", "subject"), Value::Reference { target: patient.clone(), version: None }),
                (of("Observation", "patient"), Value::Reference { target: patient.clone(), version: None }),
                (of("Observation", "code"), coding.clone()),
                (of("Observation", "status"), token(System::Implied, "final")),
                (of("Observation", "date"), Value::Date { low_ms: at, high_ms: at + 999 }),
                (of("Observation", "value-quantity"), quantity.clone()),
                (of("Observation", "code-value-quantity"), Value::Composite(vec![coding, quantity])),
            ];
            order(&document(key("Observation", &mut draw), &patient, values, at), &mut draw);
        }
        patients.push(patient);
    }
    writer.commit().unwrap();
    let mut by_kind: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    let bytes: u64 = index
        .directory()
        .list_managed_files()
        .iter()
        .filter_map(|path| {
            use tantivy::{Directory, HasLen};
            let bytes = index.directory().open_read(path).ok().map(|file| file.len() as u64)?;
            let kind = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            *by_kind.entry(kind).or_default() += bytes;
            Some(bytes)
        })
        .sum();
    eprintln!("{made} documents in {:?}, {spent:?} in adding; {bytes} bytes: {by_kind:?}", begun.elapsed());
    let searcher = index.reader().unwrap().searcher();
    eprintln!("{} segments", searcher.segment_readers().len());

    let types = |name: &str| Filter::Types(vec![ResourceType::parse(name).unwrap()]);
    let is = |resource: &str, parameter: &str, code: &str| {
        Filter::Value(of(resource, parameter), Test::TokenIs { system: SystemTest::Any, code: code.into() })
    };
    let newest = vec![SortKey { parameter: SortBy::Parameter(vec![of("Observation", "date")]), descending: true }];
    let day = 12_000 * DAY_MS;
    let on_day = |resource: &str| {
        let parameter = of(resource, "date");
        vec![
            Filter::Value(parameter, Test::Date(Comparison::GreaterOrEqual, day, day + DAY_MS - 1)),
            Filter::Value(parameter, Test::Date(Comparison::LessOrEqual, day, day + DAY_MS - 1)),
        ]
    };
    let none: Vec<SortKey> = Vec::new();
    let by_updated = vec![SortKey { parameter: SortBy::LastUpdated, descending: true }];
    let by_family = vec![SortKey { parameter: SortBy::Parameter(vec![of("Patient", "family")]), descending: false }];
    type Make<'m> = Box<dyn Fn(&Key, &mut Draw) -> Filter + 'm>;
    let subject = |patient: &Key| Filter::Value(of("Observation", "patient"), Test::ReferenceIs(patient.clone()));
    let questions: Vec<(&str, Make<'_>, &[SortKey], usize, Total)> = vec![
        (
            "observations of a patient with a code, newest first",
            Box::new(|patient, _| {
                Filter::All(vec![types("Observation"), subject(patient), is("Observation", "code", "8867-4")])
            }),
            &newest,
            20,
            Total::None,
        ),
        (
            "the same, counted",
            Box::new(|patient, _| {
                Filter::All(vec![types("Observation"), subject(patient), is("Observation", "code", "8867-4")])
            }),
            &newest,
            20,
            Total::Accurate,
        ),
        (
            "observations of a patient since a date",
            Box::new(|patient, _| {
                let since = Test::Date(Comparison::GreaterOrEqual, day, day + DAY_MS - 1);
                Filter::All(vec![
                    types("Observation"),
                    subject(patient),
                    Filter::Value(of("Observation", "date"), since),
                ])
            }),
            &newest,
            20,
            Total::None,
        ),
        (
            "frequent code over all patients, newest first",
            Box::new(|_, _| Filter::All(vec![types("Observation"), is("Observation", "code", "8867-4")])),
            &newest,
            20,
            Total::None,
        ),
        (
            "status of all observations, newest first",
            Box::new(|_, _| Filter::All(vec![types("Observation"), is("Observation", "status", "final")])),
            &newest,
            20,
            Total::None,
        ),
        (
            "rarer code, newest first",
            Box::new(|_, draw| {
                Filter::All(vec![types("Observation"), is("Observation", "code", &format!("code-{}", draw.below(200)))])
            }),
            &newest,
            20,
            Total::None,
        ),
        ("all observations, no order", Box::new(|_, _| types("Observation")), &none, 20, Total::None),
        ("everything by last update", Box::new(|_, _| Filter::Everything), &by_updated, 20, Total::None),
        (
            "patients by the beginning of a name",
            Box::new(|_, draw| {
                let start: String = (0..3).map(|_| (b'a' + draw.below(12) as u8) as char).collect();
                Filter::All(vec![
                    types("Patient"),
                    Filter::Value(of("Patient", "name"), Test::StringStarts(start.into())),
                ])
            }),
            &none,
            20,
            Total::None,
        ),
        (
            "names that contain a text",
            Box::new(|_, draw| {
                let part: String = (0..3).map(|_| (b'a' + draw.below(12) as u8) as char).collect();
                Filter::All(vec![
                    types("Patient"),
                    Filter::Value(of("Patient", "name"), Test::StringContains(part.into())),
                ])
            }),
            &none,
            20,
            Total::None,
        ),
        ("all patients by family name", Box::new(|_, _| types("Patient")), &by_family, 20, Total::None),
        (
            "encounters of one day",
            Box::new(|_, _| Filter::All([vec![types("Encounter")], on_day("Encounter")].concat())),
            &none,
            50,
            Total::None,
        ),
        (
            "how many have a code",
            Box::new(|_, _| Filter::All(vec![types("Observation"), is("Observation", "code", "8867-4")])),
            &none,
            0,
            Total::Accurate,
        ),
        (
            "how many have a code, without the type",
            Box::new(|_, _| is("Observation", "code", "8867-4")),
            &none,
            0,
            Total::Accurate,
        ),
        (
            "code with a quantity above",
            Box::new(|_, draw| {
                let code = Test::TokenIs {
                    system: SystemTest::Is(LOINC.into()),
                    code: format!("code-{}", draw.below(200)).into(),
                };
                let above = Test::Quantity(Comparison::Greater, 0.199, 0.199, UnitTest::Canonical("g".into()));
                let both = Test::Composite(vec![code, above]);
                Filter::All(vec![types("Observation"), Filter::Value(of("Observation", "code-value-quantity"), both)])
            }),
            &none,
            20,
            Total::None,
        ),
        (
            "quantity above, all codes",
            Box::new(|_, _| {
                let above = Test::Quantity(Comparison::Greater, 0.1, 0.1, UnitTest::Canonical("g".into()));
                Filter::All(vec![types("Observation"), Filter::Value(of("Observation", "value-quantity"), above)])
            }),
            &none,
            20,
            Total::None,
        ),
    ];
    let superseded = Superseded::default();
    for (name, make, sort, count, total) in &questions {
        let mut times = Vec::new();
        let mut hits = 0;
        for _ in 0..60 {
            let patient = draw.of(&patients).clone();
            let filter = make(&patient, &mut draw);
            let page = Page { sort: sort.to_vec(), count: *count, after: None, total: *total };
            let at = Instant::now();
            let found = engine::search(&searcher, &filter, &page, &superseded).unwrap();
            times.push(at.elapsed());
            hits += found.hits.len();
        }
        times.sort();
        eprintln!("{:>9.1?} p50 {:>9.1?} p95  {hits:>5} hits  {name}", times[30], times[57]);
    }
    guards::figures(&searcher, &patients, &mut draw);
    let at = Instant::now();
    let male = engine::matching(&searcher, &is("Patient", "gender", "male"), &superseded).unwrap();
    eprintln!("{:?} for the keys of {} patients", at.elapsed(), male.len());
    let at = Instant::now();
    let among = Test::ReferenceAmong(std::sync::Arc::new(male));
    let filter = Filter::All(vec![types("Encounter"), Filter::Value(of("Encounter", "subject"), among)]);
    let page = Page { sort: Vec::new(), count: 20, after: None, total: Total::None };
    let found = engine::search(&searcher, &filter, &page, &superseded).unwrap();
    eprintln!("{:?} for encounters of those, {} hits", at.elapsed(), found.hits.len());
}
