//! Random filters of every kind.

use crate::documents::{CODES, SYSTEMS, TEXTS, UNITS, URIS, Universe, WORDS, labels, moments, numbers, patient};
use crate::draw::Draw;
use std::collections::HashSet;
use std::sync::Arc;
use tacet_fhir::search::{ParameterType, fold};
use tacet_search::document::{Document, System, Value};
use tacet_search::filter::{Comparison, Filter, Guard, SystemTest, Test, UnitTest};
use tacet_search::request::{SortBy, SortKey};
use tacet_types::{Basis, Class, Criterion, Labels, PatientSet, TypeSet, Visibility};

const KINDS: [ParameterType; 9] = [
    ParameterType::Token,
    ParameterType::String,
    ParameterType::Date,
    ParameterType::Number,
    ParameterType::Quantity,
    ParameterType::Reference,
    ParameterType::Uri,
    ParameterType::Composite,
    ParameterType::Special,
];

/// A filter; `documents` are what there is, so that some filters ask for just that.
pub(crate) fn filter(universe: &Universe, documents: &[Document], depth: usize, draw: &mut Draw) -> Filter {
    let inner = |draw: &mut Draw| filter(universe, documents, depth - 1, draw);
    if depth > 0 && draw.one_in(2) {
        let count = draw.below(4);
        return match draw.below(11) {
            10 => Filter::Contains(Box::new(inner(draw))),
            0..4 => Filter::All((0..count).map(|_| inner(draw)).collect()),
            4..6 => Filter::Any((0..count).map(|_| inner(draw)).collect()),
            6 => Filter::Not(Box::new(inner(draw))),
            7 => Filter::Chain {
                parameter: universe.parameter_of(ParameterType::Reference, draw),
                target: Box::new(inner(draw)),
            },
            8 => Filter::Has {
                parameter: universe.parameter_of(ParameterType::Reference, draw),
                source: Box::new(inner(draw)),
            },
            // Two tests of one date: different values of a document may pass them.
            _ => {
                let parameter = universe.parameter_of(ParameterType::Date, draw);
                let tests =
                    (0..count.max(2)).map(|_| Filter::Value(parameter, test(universe, ParameterType::Date, draw)));
                Filter::All(tests.collect())
            }
        };
    }
    match draw.below(26) {
        24 | 25 => Filter::Guard(guard(universe, documents, draw)),
        0 => Filter::Everything,
        1 if draw.one_in(4) => Filter::Nothing,
        1..4 => Filter::Types((0..1 + draw.below(2)).map(|_| universe.resource_type(draw)).collect()),
        4 => {
            let mut keys: Vec<_> = (0..draw.below(5)).map(|_| universe.key(draw)).collect();
            keys.sort_unstable();
            Filter::Keys(keys)
        }
        5 => {
            let (low_ms, high_ms) = moments(draw);
            Filter::LastUpdated { comparison: comparison(draw), low_ms, high_ms }
        }
        6 | 7 => Filter::Present(universe.parameter(draw)),
        8 => {
            Filter::Members { of: universe.key(draw), parameter: universe.parameter_of(ParameterType::Reference, draw) }
        }
        9 => Filter::NarrativeWords((0..draw.below(3)).map(|_| draw.text(&WORDS)).collect()),
        10 => Filter::ContentWords((0..draw.below(3)).map(|_| draw.text(&WORDS)).collect()),
        11..14 => of_a_value(documents, draw).unwrap_or(Filter::Everything),
        _ => {
            let kind = *draw.of(&KINDS);
            let parameter = if draw.one_in(20) { universe.parameter(draw) } else { universe.parameter_of(kind, draw) };
            Filter::Value(parameter, test(universe, kind, draw))
        }
    }
}

/// What somebody may see: a few classes of a few patients.
pub(crate) fn guard(universe: &Universe, documents: &[Document], draw: &mut Draw) -> Arc<Guard> {
    let classes = (0..draw.below(5)).map(|_| class(universe, documents, draw)).collect();
    Guard::new(Arc::new(Visibility { classes }))
}

fn class(universe: &Universe, documents: &[Document], draw: &mut Draw) -> Class {
    let some = |draw: &mut Draw| Arc::new((0..draw.below(12)).map(|_| patient(draw)).collect());
    let criteria = |draw: &mut Draw| {
        let count = if draw.one_in(3) { 1 + draw.below(2) } else { 0 };
        (0..count).map(|_| criterion(universe, documents, draw)).collect()
    };
    Class {
        patients: match draw.below(6) {
            0 | 1 => PatientSet::Nobody,
            2 | 3 => PatientSet::Only(some(draw)),
            _ => PatientSet::AllBut(some(draw)),
        },
        types: match draw.below(3) {
            0 => TypeSet::of((0..1 + draw.below(4)).map(|_| universe.resource_type(draw))),
            _ => TypeSet::EVERY,
        },
        labels: match draw.below(3) {
            0 => Labels::EVERY,
            1 => labels(draw).and(labels(draw)),
            _ => Labels::NONE,
        },
        only: criteria(draw),
        except: criteria(draw),
        told: false,
        basis: Basis { ground: "ward".into(), policy: "p".into() },
    }
}

fn criterion(universe: &Universe, documents: &[Document], draw: &mut Draw) -> Criterion {
    let key = match draw.below(documents.len() + 1) {
        0 => universe.key(draw),
        place => {
            let document = &documents[place - 1];
            document.references(None).next().filter(|_| draw.one_in(2)).unwrap_or(&document.key).clone()
        }
    };
    match draw.below(3) {
        0 => Criterion::Is(key.resource_type, key.id),
        1 => Criterion::RefersTo(key.resource_type, key.id),
        _ => {
            let (low, high) = moments(draw);
            Criterion::Within(low, high)
        }
    }
}

pub(crate) fn comparison(draw: &mut Draw) -> Comparison {
    use Comparison::*;
    *draw.of(&[Equal, NotEqual, Greater, Less, GreaterOrEqual, LessOrEqual, StartsAfter, EndsBefore, Approximately])
}

fn system(draw: &mut Draw) -> SystemTest {
    match draw.below(3) {
        0 => SystemTest::Any,
        1 => SystemTest::Absent,
        _ => SystemTest::Is(draw.text(&SYSTEMS)),
    }
}

fn asked_words(draw: &mut Draw) -> Vec<Box<str>> {
    (0..1 + draw.below(2))
        .map(|_| {
            let word = draw.text(&WORDS);
            word.chars().take(1 + draw.below(word.chars().count())).collect::<String>().into()
        })
        .collect()
}

/// Part of a text.
fn piece(text: &str, draw: &mut Draw) -> Box<str> {
    let chars: Vec<char> = text.chars().collect();
    let from = draw.below(chars.len() + 1);
    let to = from + draw.below(chars.len() - from + 1);
    chars[from..to].iter().collect::<String>().into()
}

/// The beginning of a text.
fn beginning(text: &str, draw: &mut Draw) -> Box<str> {
    let chars: Vec<char> = text.chars().collect();
    chars[..draw.below(chars.len() + 1)].iter().collect::<String>().into()
}

/// A test of this kind.
fn test(universe: &Universe, kind: ParameterType, draw: &mut Draw) -> Test {
    match kind {
        ParameterType::Token => match draw.below(6) {
            0 => Test::TokenOfSystem(draw.text(&SYSTEMS)),
            1 => Test::TokenText(asked_words(draw)),
            2 => Test::OfType { system: system(draw), code: draw.text(&CODES), value: draw.text(&CODES) },
            3 => {
                let codes = (0..draw.below(4)).map(|_| (draw.maybe(&SYSTEMS), draw.text(&CODES)));
                Test::TokenAmong(Arc::new(codes.collect::<HashSet<_>>()))
            }
            _ => Test::TokenIs { system: system(draw), code: draw.text(&CODES) },
        },
        ParameterType::String => {
            let text = draw.text(&TEXTS);
            let folded = fold(&text);
            match draw.below(6) {
                0 => Test::StringIs(text),
                1 => Test::StringEquals(folded.into()),
                2 => Test::StringContains(piece(&folded, draw)),
                3 => Test::StringEnds(piece(&folded, draw)),
                4 => Test::StringText(asked_words(draw)),
                _ => Test::StringStarts(beginning(&folded, draw)),
            }
        }
        ParameterType::Date => {
            let (low, high) = moments(draw);
            Test::Date(comparison(draw), low, high)
        }
        ParameterType::Number => {
            let (low, high) = numbers(draw);
            Test::Number(comparison(draw), low, high)
        }
        ParameterType::Quantity => {
            let (low, high) = numbers(draw);
            let unit = match draw.below(4) {
                0 => UnitTest::Any,
                1 => UnitTest::Is { system: draw.text(&SYSTEMS), code: draw.text(&UNITS) },
                2 => UnitTest::Written(draw.text(&UNITS)),
                _ => UnitTest::Canonical(draw.text(&UNITS)),
            };
            Test::Quantity(comparison(draw), low, high, unit)
        }
        ParameterType::Reference => match draw.below(7) {
            0 => Test::ReferenceId(
                (0..draw.below(4)).map(|_| universe.resource_type(draw)).collect(),
                universe.key(draw).id.as_str().into(),
            ),
            1 => Test::ReferenceType(universe.resource_type(draw)),
            2 => Test::ReferenceUrl(draw.text(&URIS)),
            3 => Test::ReferenceIdentifier { system: system(draw), value: draw.text(&CODES) },
            4 => Test::Canonical(draw.text(&URIS), draw.maybe(&["1", "2.0"])),
            5 => Test::ReferenceAmong(Arc::new((0..draw.below(20)).map(|_| universe.key(draw)).collect())),
            _ => Test::ReferenceIs(universe.key(draw)),
        },
        ParameterType::Uri => {
            let uri = draw.text(&URIS);
            match draw.below(4) {
                0 => Test::UriBelow(uri),
                1 => Test::UriAbove(uri),
                2 => Test::Canonical(uri, draw.maybe(&["1", "2.0"])),
                _ => Test::UriIs(uri),
            }
        }
        ParameterType::Composite => {
            let other =
                *draw.of(&[ParameterType::Token, ParameterType::Date, ParameterType::String, ParameterType::Quantity]);
            Test::Composite(vec![test(universe, ParameterType::Token, draw), test(universe, other, draw)])
        }
        ParameterType::Special => Test::Near {
            latitude: [48.0, 48.85, 90.0][draw.below(3)],
            longitude: [2.35, 180.0, 0.0][draw.below(3)],
            metres: [0.0, 2_000.0, 200_000.0, 3e7][draw.below(4)],
        },
    }
}

/// A filter that some document there is passes, by one of its values.
fn of_a_value(documents: &[Document], draw: &mut Draw) -> Option<Filter> {
    if documents.is_empty() {
        return None;
    }
    let document = draw.of(documents);
    if document.values.is_empty() {
        return None;
    }
    let (parameter, value) = draw.of(&document.values);
    Some(Filter::Value(*parameter, test_of(value, draw)?))
}

fn test_of(value: &Value, draw: &mut Draw) -> Option<Test> {
    let of = |system: &Option<Box<str>>| system.clone().map_or(SystemTest::Absent, SystemTest::Is);
    Some(match value {
        Value::Token { system, code: Some(code), .. } => Test::TokenIs {
            system: match system {
                System::Uri(uri) => SystemTest::Is(uri.clone()),
                _ => SystemTest::Absent,
            },
            code: code.clone(),
        },
        Value::Token { .. } => return None,
        Value::OfType { system, code, value } => {
            Test::OfType { system: of(system), code: code.clone(), value: value.clone() }
        }
        Value::String { exact, folded } => match draw.below(4) {
            0 => Test::StringIs(exact.clone()),
            1 => Test::StringContains(piece(folded, draw)),
            2 => Test::StringEquals(folded.clone()),
            _ => Test::StringStarts(beginning(folded, draw)),
        },
        Value::Date { low_ms, high_ms } => Test::Date(comparison(draw), *low_ms, *high_ms),
        Value::Number { low, high } => Test::Number(comparison(draw), *low, *high),
        Value::Quantity { low, high, system, code, unit, canonical } => match (canonical, system, code, unit) {
            (Some((low, high, unit)), ..) if draw.one_in(2) => {
                Test::Quantity(comparison(draw), *low, *high, UnitTest::Canonical(unit.clone()))
            }
            (_, Some(system), Some(code), _) => {
                let unit = UnitTest::Is { system: system.clone(), code: code.clone() };
                Test::Quantity(comparison(draw), *low, *high, unit)
            }
            (.., Some(unit)) => Test::Quantity(comparison(draw), *low, *high, UnitTest::Written(unit.clone())),
            _ => Test::Quantity(comparison(draw), *low, *high, UnitTest::Any),
        },
        Value::Reference { target, .. } => Test::ReferenceIs(target.clone()),
        Value::ReferenceUrl(url) => Test::ReferenceUrl(url.clone()),
        Value::ReferenceIdentifier { system, value } => {
            Test::ReferenceIdentifier { system: of(system), value: value.clone() }
        }
        Value::Canonical { url, version } => Test::Canonical(url.clone(), version.clone()),
        Value::Uri(uri) => match draw.below(3) {
            0 => Test::UriBelow(uri.clone()),
            1 => Test::UriAbove(uri.clone()),
            _ => Test::UriIs(uri.clone()),
        },
        Value::Composite(parts) => {
            Test::Composite(parts.iter().map(|part| test_of(part, draw)).collect::<Option<_>>()?)
        }
        Value::Position { latitude, longitude } => {
            Test::Near { latitude: *latitude, longitude: *longitude, metres: 1.0 }
        }
    })
}

/// An order by up to three keys.
pub(crate) fn sort(universe: &Universe, draw: &mut Draw) -> Vec<SortKey> {
    let count = [0, 0, 1, 1, 1, 2, 3][draw.below(7)];
    let key = |draw: &mut Draw| {
        let parameter = match draw.below(8) {
            0 | 1 => SortBy::LastUpdated,
            2 => SortBy::Id,
            3 | 4 => SortBy::Parameter(vec![universe.parameter_of(ParameterType::Date, draw)]),
            5 => SortBy::Parameter((0..3).map(|_| universe.parameter(draw)).collect()),
            _ => SortBy::Parameter(vec![universe.parameter(draw)]),
        };
        SortKey { parameter, descending: draw.one_in(2) }
    };
    (0..count).map(|_| key(draw)).collect()
}
