//! Random documents from few values, so that they collide.

use crate::draw::Draw;
use tacet_fhir::search::{ParameterId, ParameterType, fold};
use tacet_search::document::{Document, Key, System, Value, words};
use tacet_types::{Labels, ResourceId, ResourceType, Timestamp, VersionId};

/// Types and some of their parameters, of every kind.
const PARAMETERS: [(&str, &[&str]); 7] = [
    (
        "Patient",
        &["name", "family", "identifier", "birthdate", "gender", "general-practitioner", "organization", "_tag"],
    ),
    (
        "Observation",
        &[
            "code",
            "date",
            "value-quantity",
            "subject",
            "patient",
            "code-value-quantity",
            "value-concept",
            "value-string",
            "status",
            "has-member",
            "_profile",
            "code-value-date",
        ],
    ),
    ("Encounter", &["date", "subject", "length", "status", "identifier", "part-of"]),
    ("ChargeItem", &["factor-override", "code", "price-override", "_source", "context"]),
    ("RiskAssessment", &["probability", "date", "subject"]),
    ("ValueSet", &["url", "date", "name", "context-quantity", "context-type-value", "reference"]),
    ("Location", &["near", "name", "address", "partof"]),
];

pub(crate) const SYSTEMS: [&str; 3] = ["http://loinc.org", "http://s.example/a", "urn:oid:1.2"];
pub(crate) const CODES: [&str; 8] = ["a", "ab", "8480-6", "final", "true", "A", "a\0b", ""];
pub(crate) const TEXTS: [&str; 15] = [
    "Müller",
    "muller",
    "MULLER-Lüdenscheid",
    "Jean  Paul",
    "jean paul",
    "paul jean",
    "Élodie d'Été",
    "o'brien",
    "",
    "!!",
    "李雷",
    "blood pressure systolic",
    "systolic blood",
    "pressure of blood",
    "ab\0cd",
];
pub(crate) const WORDS: [&str; 9] = ["muller", "jean", "paul", "blood", "pressure", "systolic", "li", "elodie", "b"];
pub(crate) const URIS: [&str; 12] = [
    "http://x.example/fhir/a",
    "http://x.example/fhir/a/b",
    "http://x.example/fhir/a/b/",
    "http://x.example/fhir/ab",
    "http://x.example/fhir",
    "http://x.example/fhir/",
    "http://x.example",
    "urn:uuid:1",
    "a",
    "a/",
    "a/b",
    "",
];
pub(crate) const UNITS: [&str; 4] = ["mg", "g", "mm[Hg]", "h"];
pub(crate) const NUMBERS: [f64; 13] =
    [0.0, -0.0, 1.0, 1.5, 2.0, 5.0, 5.4, 100.0, -3.25, 1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY];
const DAY_MS: i64 = 86_400_000;
pub(crate) const IDS: usize = 24;

/// Which types and parameters there are.
pub(crate) struct Universe {
    pub(crate) types: Vec<(ResourceType, Vec<ParameterId>)>,
}

impl Universe {
    pub(crate) fn new() -> Self {
        let types = PARAMETERS.iter().map(|(name, codes)| {
            let resource_type = ResourceType::parse(name).unwrap();
            let find = |code: &&str| {
                tacet_fhir::search::parameter(resource_type, code).unwrap_or_else(|| panic!("{name}.{code}"))
            };
            (resource_type, codes.iter().map(find).collect())
        });
        Self { types: types.collect() }
    }

    /// Any parameter.
    pub(crate) fn parameter(&self, draw: &mut Draw) -> ParameterId {
        let place = draw.below(self.types.len());
        *draw.of(&self.types[place].1)
    }

    /// A parameter of this kind.
    pub(crate) fn parameter_of(&self, kind: ParameterType, draw: &mut Draw) -> ParameterId {
        let all = self.types.iter().flat_map(|(_, parameters)| parameters);
        let all: Vec<ParameterId> = all.copied().filter(|id| id.parameter().parameter_type == kind).collect();
        *draw.of(&all)
    }

    pub(crate) fn resource_type(&self, draw: &mut Draw) -> ResourceType {
        draw.of(&self.types).0
    }

    /// One of few keys. UUIDs are kept in another form than other ids.
    pub(crate) fn key(&self, draw: &mut Draw) -> Key {
        let starts = ["p", "Q-", "0.", "0b3c5f7e-90ad-4e21-8f00-f", "0B3C5F7E-90ad-4e21-8f00-f"];
        let start = starts[draw.below(starts.len())];
        let number = draw.below(IDS);
        let id = if start.len() > 2 { format!("{start}{number:011x}") } else { format!("{start}{number}") };
        Key { resource_type: self.resource_type(draw), id: ResourceId::parse(&id).unwrap() }
    }

    /// A document with a random number of random values, and at times with others within it.
    pub(crate) fn document(&self, key: Key, version: u64, draw: &mut Draw) -> Document {
        let mut document = self.bare(key, version, draw);
        let count = if draw.one_in(4) { 1 + draw.below(2) } else { 0 };
        for _ in 0..count {
            let inner = self.bare(self.key(draw), version, draw);
            let (patients, labels) = (Box::default(), Labels::NONE);
            let last_updated = document.last_updated;
            document.contained.push(Document { patients, labels, last_updated, ..inner });
        }
        document
    }

    fn bare(&self, key: Key, version: u64, draw: &mut Draw) -> Document {
        let parameters = &self.types.iter().find(|(found, _)| *found == key.resource_type).unwrap().1;
        let mut values = Vec::new();
        for parameter in parameters {
            let count = [0, 0, 1, 1, 1, 2, 3, 6][draw.below(8)];
            for _ in 0..count {
                values.push((*parameter, self.value(parameter.parameter().parameter_type, draw)));
            }
        }
        let last_updated = Timestamp::from_ms(moment(draw).clamp(-1 << 50, 1 << 50));
        Document {
            key,
            version: VersionId(version),
            last_updated,
            patients: patients(draw),
            labels: labels(draw),
            values,
            contained: Vec::new(),
            narrative: some_words(draw),
            content: some_words(draw),
        }
    }

    /// A value of a parameter of this kind.
    pub(crate) fn value(&self, kind: ParameterType, draw: &mut Draw) -> Value {
        match kind {
            ParameterType::Token if draw.one_in(8) => {
                Value::OfType { system: draw.maybe(&SYSTEMS), code: draw.text(&CODES), value: draw.text(&CODES) }
            }
            ParameterType::Token => token(draw),
            ParameterType::String => string(draw),
            ParameterType::Date => date(draw),
            ParameterType::Number => {
                let (low, high) = numbers(draw);
                Value::Number { low, high }
            }
            ParameterType::Quantity => quantity(draw),
            ParameterType::Reference => match draw.below(10) {
                0 => Value::ReferenceUrl(long(draw, draw_uri)),
                1 => Value::ReferenceIdentifier { system: draw.maybe(&SYSTEMS), value: draw.text(&CODES) },
                2 => canonical(draw),
                _ => Value::Reference {
                    target: self.key(draw),
                    version: draw.one_in(4).then(|| VersionId(draw.next() % 3 + 1)),
                },
            },
            ParameterType::Uri if draw.one_in(3) => canonical(draw),
            ParameterType::Uri => Value::Uri(long(draw, draw_uri)),
            ParameterType::Composite => Value::Composite(vec![
                token(draw),
                match draw.below(4) {
                    0 => token(draw),
                    1 => date(draw),
                    2 => string(draw),
                    _ => quantity(draw),
                },
            ]),
            ParameterType::Special => Value::Position {
                latitude: [48.0, 48.85, 0.0, -90.0, 90.0, 12.5][draw.below(6)],
                longitude: [2.35, 2.36, 0.0, 180.0, -180.0, 179.99][draw.below(6)],
            },
        }
    }
}

fn draw_uri(draw: &mut Draw) -> Box<str> {
    draw.text(&URIS)
}

fn draw_text(draw: &mut Draw) -> Box<str> {
    draw.text(&TEXTS)
}

/// At times the text is made too long for a term.
fn long(draw: &mut Draw, text: fn(&mut Draw) -> Box<str>) -> Box<str> {
    let text = text(draw);
    match draw.below(40) {
        0 => format!("{text}{}{}", "x/ ".repeat(400), draw.below(2)).into(),
        1 => format!("{}{text}", "é".repeat(190 + draw.below(20))).into(),
        _ => text,
    }
}

fn token(draw: &mut Draw) -> Value {
    let system = match draw.below(4) {
        0 => System::Absent,
        1 => System::Implied,
        _ => System::Uri(draw.text(&SYSTEMS)),
    };
    let code = draw.maybe(&CODES);
    let text = if draw.one_in(2) { Some(long(draw, draw_text)) } else { None };
    Value::Token { system, code, text }
}

pub(crate) fn string(draw: &mut Draw) -> Value {
    let exact = long(draw, draw_text);
    Value::String { folded: fold(&exact).into(), exact }
}

fn canonical(draw: &mut Draw) -> Value {
    Value::Canonical { url: long(draw, draw_uri), version: draw.maybe(&["1", "2.0", ""]) }
}

/// Ids of patients, some of them UUIDs, one the beginning of another.
pub(crate) fn patient(draw: &mut Draw) -> ResourceId {
    let number = draw.below(6);
    let id = match draw.below(3) {
        0 => format!("0b3c5f7e-90ad-4e21-8f00-f{number:011x}"),
        1 => format!("p{number}"),
        _ => format!("p{number}0"),
    };
    ResourceId::parse(&id).unwrap()
}

/// Of whom a record is: mostly of one.
fn patients(draw: &mut Draw) -> Box<[ResourceId]> {
    let count = [0, 1, 1, 1, 1, 2, 3][draw.below(7)];
    let mut patients: Vec<ResourceId> = (0..count).map(|_| patient(draw)).collect();
    patients.sort_unstable();
    patients.dedup();
    patients.into()
}

/// Mostly none; at times one that this version does not know.
pub(crate) fn labels(draw: &mut Draw) -> Labels {
    match draw.below(8) {
        0 => Labels::HIV,
        1 => Labels::HIV.and(Labels::VIP),
        2 => Labels::from_bits(1 << draw.below(64)),
        _ => Labels::NONE,
    }
}

/// A moment: often of a few days, at times far away.
pub(crate) fn moment(draw: &mut Draw) -> i64 {
    match draw.below(12) {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => draw.next().cast_signed() >> draw.below(40),
        3 => draw.below(40_000) as i64 * DAY_MS - 10_000 * DAY_MS,
        4 => [0, 1, -1, DAY_MS, 32 * DAY_MS, 1024 * DAY_MS][draw.below(6)],
        _ => (19_000 + draw.below(70) as i64) * DAY_MS + draw.below(4) as i64 * 3_600_000,
    }
}

/// A range of moments, at times turned around.
pub(crate) fn moments(draw: &mut Draw) -> (i64, i64) {
    let low = moment(draw);
    let high = match draw.below(10) {
        0 => moment(draw),
        1 => low.saturating_add(365 * DAY_MS - 1),
        2 => low.saturating_add(DAY_MS * draw.below(50) as i64),
        3 => low,
        4 => i64::MAX,
        _ => low.saturating_add([999, DAY_MS - 1, DAY_MS, 59_999][draw.below(4)]),
    };
    (low, high)
}

fn date(draw: &mut Draw) -> Value {
    let (low_ms, high_ms) = moments(draw);
    Value::Date { low_ms, high_ms }
}

/// A range of numbers, mostly a point.
pub(crate) fn numbers(draw: &mut Draw) -> (f64, f64) {
    let low = *draw.of(&NUMBERS);
    match draw.below(4) {
        0 => (low, *draw.of(&NUMBERS)),
        1 => (low - 0.5, low + 0.5),
        _ => (low, low),
    }
}

fn quantity(draw: &mut Draw) -> Value {
    let (low, high) = numbers(draw);
    let canonical = draw.one_in(2).then(|| {
        let (low, high) = numbers(draw);
        (low, high, draw.text(&UNITS))
    });
    let code = if draw.one_in(60) { Some("u".repeat(500).into()) } else { draw.maybe(&UNITS) };
    Value::Quantity { low, high, system: draw.maybe(&SYSTEMS), code, unit: draw.maybe(&UNITS), canonical }
}

fn some_words(draw: &mut Draw) -> Vec<Box<str>> {
    let mut all: Vec<Box<str>> = (0..draw.below(4)).flat_map(|_| words(&draw.text(&TEXTS))).collect();
    all.sort_unstable();
    all.dedup();
    all
}
