//! From a document to what the index holds of it.
//!
//! | field | holds |
//! |---|---|
//! | `t` | terms (`terms`) |
//! | `k` | stored: type, version, id |
//! | `x` | stored: values too long for terms, whole |
//! | `n` | stored: the resources within it, whole |
//! | `o` | column: order key |
//! | `u` | column: last updated, milliseconds |
//! | `y` | column: type |
//! | `l` | column: labels |
//! | `c` | columns by parameter (`column`), made as they are needed |

use super::order::sort_value;
use super::terms::{self, GLOBAL, LAST_UPDATED, kind};
use super::{buckets, codec, contained, guard};
use crate::document::{Document, Key, System, Value, words};
use crate::index::SortValue;
use std::collections::BTreeMap;
use tacet_types::VersionId;
use tantivy::schema::{
    BytesOptions, Field, JsonObjectOptions, NumericOptions, OwnedValue, STORED, Schema, TantivyDocument,
};
use tantivy::{Term, f64_to_u64, i64_to_u64};

/// Numbers of the fields, in the order in which [`schema`] adds them.
pub(super) mod field {
    use super::Field;

    pub(crate) const TERMS: Field = Field::from_field_id(0);
    pub(crate) const KEY: Field = Field::from_field_id(1);
    pub(crate) const LONG: Field = Field::from_field_id(2);
    pub(crate) const ORDER: Field = Field::from_field_id(3);
    pub(crate) const UPDATED: Field = Field::from_field_id(4);
    pub(crate) const TYPE: Field = Field::from_field_id(5);
    pub(crate) const LABELS: Field = Field::from_field_id(6);
    pub(crate) const COLUMNS: Field = Field::from_field_id(7);
    pub(crate) const CONTAINED: Field = Field::from_field_id(8);
}

/// Names of the single columns, as in [`schema`].
pub(super) const ORDER: &str = "o";
pub(super) const UPDATED: &str = "u";
pub(super) const TYPE: &str = "y";
pub(super) const LABELS: &str = "l";

/// What a column of a parameter holds: the letters after the parameter's index in its name. Columns of one group have a value each
/// for every value of the parameter, in the same order.
pub(super) mod column {
    pub(crate) const DATE_LOW: &str = "dl";
    pub(crate) const DATE_WIDTH: &str = "dw";
    pub(crate) const NUMBER_LOW: &str = "nl";
    pub(crate) const NUMBER_WIDTH: &str = "nw";
    pub(crate) const QUANTITY_LOW: &str = "ql";
    pub(crate) const QUANTITY_WIDTH: &str = "qw";
    pub(crate) const QUANTITY_UNIT: &str = "qu";
    pub(crate) const QUANTITY_BASE_LOW: &str = "qm";
    pub(crate) const QUANTITY_BASE_WIDTH: &str = "qn";
    pub(crate) const LATITUDE: &str = "pa";
    pub(crate) const LONGITUDE: &str = "po";
    /// Texts to sort by, but for references: the least and the greatest.
    pub(crate) const TEXT: &str = "s";
    /// Type and id of each resource referred to.
    pub(crate) const REFERENCE: &str = "r";
    /// Under no parameter: ids of the patients.
    pub(crate) const PATIENT: &str = "i";
    /// Values to look at once more: composites, and texts where there are several.
    pub(crate) const WHOLE: &str = "v";
}

/// The fields of the index.
pub fn schema() -> Schema {
    let mut schema = Schema::builder();
    schema.add_bytes_field("t", BytesOptions::default().set_indexed());
    schema.add_bytes_field("k", STORED);
    schema.add_bytes_field("x", STORED);
    for name in [ORDER, UPDATED, TYPE, LABELS] {
        schema.add_u64_field(name, NumericOptions::default().set_fast());
    }
    schema.add_json_field("c", JsonObjectOptions::default().set_fast("raw"));
    schema.add_bytes_field("n", STORED);
    schema.build()
}

/// The term that only the document of this resource has: to delete what an earlier version left.
pub fn key_term(key: &Key) -> Term {
    Term::from_field_bytes(field::TERMS, &terms::key(key))
}

/// The stored form of a key and its version: type, how many bytes the version has, the version without leading zeros, the id.
fn stored_key(key: &Key, version: VersionId) -> Vec<u8> {
    let version = version.0.to_be_bytes();
    let zeros = version.iter().take_while(|byte| **byte == 0).count();
    let digits = version.get(zeros..).unwrap_or_default();
    let mut bytes = vec![key.resource_type.code(), digits.len() as u8];
    bytes.extend_from_slice(digits);
    terms::put_id(&mut bytes, key.id.as_str());
    bytes
}

/// Reads [`stored_key`].
pub(super) fn read_key(bytes: &[u8]) -> Option<(Key, VersionId)> {
    let ([type_code, length], rest) = bytes.split_first_chunk()?;
    let (digits, id) = rest.split_at_checked(usize::from(*length))?;
    let mut version = [0; 8];
    let zeros = version.len().checked_sub(digits.len())?;
    version.get_mut(zeros..)?.copy_from_slice(digits);
    Some((terms::key_from(*type_code, id)?, VersionId(u64::from_be_bytes(version))))
}

/// The name of a parameter's column.
pub(super) fn column_name(parameter: u16, what: &str) -> String {
    format!("c.{parameter}{what}")
}

/// What the index holds of a document. `order_key` is the fixed pseudo-random number of its key.
pub fn to_document(document: &Document, order_key: u64) -> TantivyDocument {
    let mut encoder = Encoder::default();
    encoder.fixed(document, order_key);
    let mut texts: BTreeMap<u16, Texts<'_>> = BTreeMap::new();
    let mut dates: BTreeMap<u16, usize> = BTreeMap::new();
    let mut long = Vec::new();
    for (id, value) in &document.values {
        let Ok(parameter) = u16::try_from(id.index()) else { continue };
        encoder.terms.push(terms::head(parameter, kind::PRESENT));
        let of_parameter = texts.entry(parameter).or_default();
        if let SortValue::Text(text) = sort_value(value) {
            of_parameter.sort(value, text);
        }
        if codec::is_long(value) {
            encoder.terms.push(terms::head(parameter, kind::LONG));
            long.push((parameter, value));
            encoder.long(parameter, value);
            continue;
        }
        if let Value::Token { text: Some(text), .. } | Value::String { folded: text, .. } = value {
            of_parameter.words.push((text, value));
        }
        if matches!(value, Value::Date { .. }) {
            *dates.entry(parameter).or_default() += 1;
        }
        encoder.value(parameter, value);
    }
    for (parameter, of_parameter) in texts {
        of_parameter.finish(parameter, &mut encoder);
    }
    for (parameter, _) in dates.into_iter().filter(|&(_, count)| count > 1) {
        encoder.terms.push(terms::head(parameter, kind::DATES));
    }
    encoder.finish(document, order_key, &long)
}

/// The texts of one parameter.
#[derive(Default)]
struct Texts<'d> {
    least: Option<Box<str>>,
    greatest: Option<Box<str>>,
    references: Vec<Box<str>>,
    words: Vec<(&'d str, &'d Value)>,
}

impl Texts<'_> {
    fn sort(&mut self, value: &Value, text: Box<str>) {
        if matches!(value, Value::Reference { .. }) {
            self.references.push(text);
            return;
        }
        if self.greatest.as_ref().is_none_or(|greatest| text > *greatest) {
            self.greatest = Some(text.clone());
        }
        if self.least.as_ref().is_none_or(|least| text < *least) {
            self.least = Some(text);
        }
    }

    fn finish(mut self, parameter: u16, encoder: &mut Encoder) {
        self.references.sort_unstable();
        self.references.dedup();
        if self.least == self.greatest {
            self.greatest = None;
        }
        for text in self.references {
            encoder.text_column(parameter, column::REFERENCE, text.into());
        }
        for text in self.least.into_iter().chain(self.greatest) {
            encoder.text_column(parameter, column::TEXT, text.into());
        }
        // Which words lie in the same text must be told only where there are several texts.
        self.words.sort_unstable_by_key(|(text, _)| *text);
        self.words.dedup_by_key(|(text, _)| *text);
        if self.words.len() > 1 {
            for (_, value) in self.words {
                let bare = match value {
                    Value::Token { text, .. } => {
                        Value::Token { system: System::Absent, code: None, text: text.clone() }
                    }
                    other => other.clone(),
                };
                encoder.text_column(parameter, column::WHOLE, codec::write(&bare));
            }
        }
    }
}

#[derive(Default)]
struct Encoder {
    terms: Vec<Vec<u8>>,
    columns: Vec<(u16, &'static str, OwnedValue)>,
}

impl Encoder {
    /// What every document has.
    fn fixed(&mut self, document: &Document, order_key: u64) {
        self.terms.push(terms::plain(GLOBAL, kind::TYPE, &[document.key.resource_type.code()]));
        self.terms.push(terms::key(&document.key));
        self.terms.push(terms::order(terms::order_bucket(order_key)));
        self.terms.extend(guard::terms_of(document));
        let contained = document.contained.iter().map(|contained| contained.key.resource_type.code());
        self.terms.extend(contained.map(|code| terms::plain(GLOBAL, kind::CONTAINS, &[code])));
        for patient in &document.patients {
            self.text_column(GLOBAL, column::PATIENT, patient.as_str().to_owned());
        }
        let updated = document.last_updated.as_ms();
        self.terms.extend(buckets::terms_of(LAST_UPDATED, updated, updated));
        for (kind, list) in [(kind::NARRATIVE, &document.narrative), (kind::CONTENT, &document.content)] {
            self.terms.extend(list.iter().map(|word| terms::word(GLOBAL, kind, word)));
        }
    }

    /// What is kept of a long value beside itself: the amount, to sort by.
    fn long(&mut self, parameter: u16, value: &Value) {
        if let Value::Quantity { .. } = value {
            self.quantity(parameter, value, String::new());
        }
    }

    fn quantity(&mut self, parameter: u16, value: &Value, unit: String) {
        let Value::Quantity { low, high, canonical, .. } = value else { return };
        let names = [column::QUANTITY_LOW, column::QUANTITY_WIDTH];
        self.range(parameter, names, f64_to_u64(*low), f64_to_u64(*high));
        let (low, high) = canonical.as_ref().map_or((low, high), |(low, high, _)| (low, high));
        let names = [column::QUANTITY_BASE_LOW, column::QUANTITY_BASE_WIDTH];
        self.range(parameter, names, f64_to_u64(*low), f64_to_u64(*high));
        self.text_column(parameter, column::QUANTITY_UNIT, unit);
    }

    fn value(&mut self, parameter: u16, value: &Value) {
        match value {
            Value::Token { system, code, text } => {
                if let Some(code) = code {
                    self.terms.push(terms::with_system(parameter, kind::CODE, code, system));
                }
                self.terms.extend(terms::system(parameter, system));
                if let Some(text) = text {
                    self.words(parameter, kind::TOKEN_WORD, text);
                }
            }
            Value::OfType { system, code, value } => {
                self.terms.push(terms::of_type(parameter, system.as_deref(), code, value));
            }
            Value::String { exact, folded } => {
                self.terms.push(terms::string(parameter, exact, folded));
                self.words(parameter, kind::STRING_WORD, folded);
            }
            Value::Date { low_ms, high_ms } => {
                self.terms.extend(buckets::terms_of(parameter, *low_ms, *high_ms));
                let names = [column::DATE_LOW, column::DATE_WIDTH];
                self.range(parameter, names, i64_to_u64(*low_ms), i64_to_u64(*high_ms));
            }
            Value::Number { low, high } => {
                let names = [column::NUMBER_LOW, column::NUMBER_WIDTH];
                self.range(parameter, names, f64_to_u64(*low), f64_to_u64(*high));
            }
            Value::Quantity { system, code, unit, canonical, .. } => {
                let base = canonical.as_ref().map(|(_, _, unit)| &**unit);
                let texts = [system.as_deref(), code.as_deref(), unit.as_deref(), base];
                self.quantity(parameter, value, codec::write_unit(texts));
            }
            Value::Reference { target, .. } => {
                self.terms.push(terms::reference(parameter, target.resource_type, target.id.as_str()));
                let code = [target.resource_type.code()];
                self.terms.push(terms::plain(parameter, kind::REFERENCE_TYPE, &code));
            }
            Value::ReferenceUrl(url) => {
                self.terms.push(terms::plain(parameter, kind::REFERENCE_URL, url.as_bytes()));
            }
            Value::ReferenceIdentifier { system, value } => {
                self.terms.push(terms::reference_identifier(parameter, system.as_deref(), value));
            }
            Value::Canonical { url, version } => {
                self.terms.push(terms::uri(parameter, url, Some(version.as_deref())));
            }
            Value::Uri(url) => self.terms.push(terms::uri(parameter, url, None)),
            Value::Composite(parts) => {
                for (place, part) in parts.iter().enumerate().take(usize::from(u8::MAX)) {
                    if let Value::Token { code: Some(code), .. } = part {
                        self.terms.push(terms::part(parameter, place as u8, code));
                    }
                }
                self.text_column(parameter, column::WHOLE, codec::write(value));
            }
            Value::Position { latitude, longitude } => {
                self.number_column(parameter, column::LATITUDE, f64_to_u64(*latitude));
                self.number_column(parameter, column::LONGITUDE, f64_to_u64(*longitude));
            }
        }
    }

    fn words(&mut self, parameter: u16, kind: u8, text: &str) {
        // The empty one says that there is a text.
        self.terms.push(terms::head(parameter, kind));
        self.terms.extend(words(text).iter().map(|word| terms::plain(parameter, kind, word.as_bytes())));
    }

    /// The width goes around zero where a range ends before it begins.
    fn range(&mut self, parameter: u16, [low_name, width_name]: [&'static str; 2], low: u64, high: u64) {
        self.number_column(parameter, low_name, low);
        self.number_column(parameter, width_name, high.wrapping_sub(low));
    }

    fn number_column(&mut self, parameter: u16, what: &'static str, number: u64) {
        self.column(parameter, what, OwnedValue::U64(number));
    }

    fn text_column(&mut self, parameter: u16, what: &'static str, text: String) {
        self.column(parameter, what, OwnedValue::Str(text));
    }

    fn column(&mut self, parameter: u16, what: &'static str, value: OwnedValue) {
        self.columns.push((parameter, what, value));
    }

    /// The columns by name; the values of one in their order.
    fn columns(mut self) -> BTreeMap<String, OwnedValue> {
        self.columns.sort_by_key(|(parameter, what, _)| (*parameter, *what));
        let mut columns = BTreeMap::new();
        for same in self.columns.chunk_by_mut(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let values: Vec<OwnedValue> =
                same.iter_mut().map(|(_, _, value)| std::mem::replace(value, OwnedValue::Null)).collect();
            if let Some((parameter, what, _)) = same.first() {
                columns.insert(format!("{parameter}{what}"), OwnedValue::Array(values));
            }
        }
        columns
    }

    fn finish(mut self, document: &Document, order_key: u64, long: &[(u16, &Value)]) -> TantivyDocument {
        let mut out = TantivyDocument::default();
        let type_code = document.key.resource_type.code();
        self.terms.iter_mut().for_each(|term| terms::set_type(term, type_code));
        // A term that comes twice is one to the library.
        for term in &self.terms {
            out.add_bytes(field::TERMS, term);
        }
        out.add_bytes(field::KEY, &stored_key(&document.key, document.version));
        if !long.is_empty() {
            out.add_bytes(field::LONG, &codec::write_all(long.iter().copied()));
        }
        if !document.contained.is_empty() {
            out.add_bytes(field::CONTAINED, &contained::write(&document.contained));
        }
        out.add_u64(field::ORDER, order_key);
        out.add_u64(field::UPDATED, i64_to_u64(document.last_updated.as_ms()));
        out.add_u64(field::TYPE, u64::from(type_code));
        out.add_u64(field::LABELS, document.labels.bits());
        if !self.columns.is_empty() {
            out.add_object(field::COLUMNS, self.columns());
        }
        out
    }
}
