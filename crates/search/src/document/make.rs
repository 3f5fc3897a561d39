//! From a resource to its document.

use super::canonical::canonical_range;
use super::words::{content_words, narrative_words};
use super::{Document, Key, System, Value};
use crate::parameters::Parameters;
use std::borrow::Cow;
use tacet_fhir::compartment;
use tacet_fhir::json::Json;
use tacet_fhir::reference::Reference;
use tacet_fhir::resource;
use tacet_fhir::search::{self, NumberRange, ParameterId, TokenSystem};
use tacet_fhir::security::{labels_of, public_part};
use tacet_types::{Labels, ResourceId, Timestamp, VersionId};

impl Document {
    /// What search knows of the resource. Never fails: what is not of the shape that the definitions ask for is passed over.
    ///
    /// The words of texts are bounded ([`super::NARRATIVE_WORDS_MAX`], [`super::CONTENT_WORDS_MAX`]), and the values by the size of
    /// the resource (a composite by 1,024 at each element).
    pub fn of(
        resource: &Json<'_>,
        key: Key,
        version: VersionId,
        last_updated: Timestamp,
        parameters: &Parameters,
    ) -> Document {
        let patients = patients_of(resource, &key);
        let labels = labels_of(resource);
        // To look for labelled elements once more costs as much as finding the labels did.
        let inline = Labels::INLINE.within(labels);
        let public = if inline { public_part(resource) } else { Cow::Borrowed(resource) };
        let resource = &*public;
        let items = resource.get("contained").and_then(Json::as_array).unwrap_or_default().iter();
        let contained = items.filter_map(|item| contained(item, version, last_updated, parameters)).collect();
        let values = values_of(resource, parameters);
        let (narrative, content) = (narrative_words(resource), content_words(resource));
        Document { key, version, last_updated, patients, labels, values, contained, narrative, content }
    }

    /// The resources of this store that it refers to, by one parameter or by any; as often as it does. For `_include`.
    pub fn references(&self, parameter: Option<ParameterId>) -> impl Iterator<Item = &Key> {
        self.values.iter().filter_map(move |(found, value)| match value {
            Value::Reference { target, .. } if parameter.is_none_or(|parameter| parameter == *found) => Some(target),
            _ => None,
        })
    }
}

/// The values of a resource for all parameters that apply to it.
fn values_of(resource: &Json<'_>, parameters: &Parameters) -> Vec<(ParameterId, Value)> {
    let mut values = Vec::new();
    parameters.extract(resource, &mut |parameter, value| {
        if parameters.is_head(parameter) {
            return;
        }
        if let Some(value) = owned(value) {
            values.push((parameter, value));
        }
    });
    values
}

/// The document of a resource within another. None for what has no id: nothing can refer to it, and the standard asks for one.
fn contained(
    resource: &Json<'_>,
    version: VersionId,
    last_updated: Timestamp,
    parameters: &Parameters,
) -> Option<Document> {
    let key = Key { resource_type: resource::resource_type(resource)?, id: resource::id(resource)? };
    Some(Document {
        key,
        version,
        last_updated,
        patients: Box::default(),
        labels: Labels::NONE,
        values: values_of(resource, parameters),
        contained: Vec::new(),
        narrative: narrative_words(resource),
        content: content_words(resource),
    })
}

/// The patients in whose compartment it is, a patient's own among them, sorted.
fn patients_of(resource: &Json<'_>, key: &Key) -> Box<[ResourceId]> {
    let mut patients = compartment::patients(resource);
    if key.resource_type.as_str() == "Patient" {
        patients.push(key.id.clone());
    }
    patients.sort_unstable();
    patients.dedup();
    patients.into()
}

/// The value, owned. None for a reference that names nothing.
fn owned(value: search::Value<'_>) -> Option<Value> {
    let text = |text: Option<&str>| text.map(Box::from);
    Some(match value {
        search::Value::Token(token) => Value::Token {
            system: match token.system {
                TokenSystem::Absent => System::Absent,
                TokenSystem::Implied => System::Implied,
                TokenSystem::Uri(uri) => System::Uri(uri.into()),
            },
            code: text(token.code),
            text: text(token.text),
        },
        search::Value::OfType { system, code, value } => {
            Value::OfType { system: text(system), code: code.into(), value: value.into() }
        }
        search::Value::String(exact) => Value::String { folded: search::fold(exact).into(), exact: exact.into() },
        search::Value::Date(range) => Value::Date { low_ms: range.low_ms, high_ms: range.high_ms },
        search::Value::Number(range) => {
            let (low, high) = ends(&range);
            Value::Number { low, high }
        }
        search::Value::Quantity(quantity) => {
            let (low, high) = ends(&quantity.range);
            let canonical = canonical_range(quantity.system, quantity.code, low, high);
            let (system, code, unit) = (text(quantity.system), text(quantity.code), text(quantity.unit));
            Value::Quantity { low, high, system, code, unit, canonical }
        }
        search::Value::Reference(reference) => reference_of(reference)?,
        search::Value::ReferenceIdentifier { system, value } => {
            Value::ReferenceIdentifier { system: text(system), value: value.into() }
        }
        search::Value::Canonical { url, version } => Value::Canonical { url: url.into(), version: text(version) },
        // `meta.profile` and its like are found by a uri parameter, and carry a version all the same.
        search::Value::Uri(uri) => match uri.split_once('|') {
            Some((url, version)) if !url.is_empty() && !version.is_empty() => {
                Value::Canonical { url: url.into(), version: Some(version.into()) }
            }
            _ => Value::Uri(uri.into()),
        },
        search::Value::Composite(parts) => Value::Composite(parts.into_iter().map(owned).collect::<Option<_>>()?),
        search::Value::Position { latitude, longitude } => {
            Value::Position { latitude: latitude.to_f64(), longitude: longitude.to_f64() }
        }
    })
}

fn reference_of(reference: Reference<'_>) -> Option<Value> {
    Some(match reference {
        Reference::Relative { resource_type, id, version } => Value::Reference {
            target: Key { resource_type, id: ResourceId::parse(id).ok()? },
            version: version.and_then(VersionId::parse),
        },
        Reference::Absolute(url) | Reference::Urn(url) => Value::ReferenceUrl(url.into()),
        Reference::Conditional { resource_type, query } => {
            Value::ReferenceUrl(format!("{resource_type}?{query}").into())
        }
        Reference::Fragment(_) | Reference::Invalid => return None,
    })
}

/// Both ends as binary numbers.
fn ends(range: &NumberRange) -> (f64, f64) {
    (
        range.low.map_or(f64::NEG_INFINITY, search::Decimal::to_f64),
        range.high.map_or(f64::INFINITY, search::Decimal::to_f64),
    )
}
