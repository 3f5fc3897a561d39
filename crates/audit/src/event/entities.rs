//! `AuditEvent.entity`: the record, the patient, the criteria, the request, the categories, the remark.

use super::agents::pseudonyms;
use super::{coding, masked, object, put};
use crate::codes::{
    Code, Family, OTHER, OWN, PERSON, REQUEST_ID, RESOURCE_TYPES, ROLE_PATIENT, ROLE_QUERY, ROLE_RESOURCE,
    ROLE_SECURITY, SYSTEM_OBJECT,
};
use crate::shown::{Object, Shown, Told};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tacet_types::ResourceType;

pub(super) fn entities(shown: &Shown, family: Option<Family>) -> Vec<Value> {
    let mut entities = Vec::new();
    let mut objects = shown.objects.iter();
    // BALP knows the criteria of a query, and otherwise the one record, by the type `System Object`; all else has another type.
    let is_query = matches!(family, None | Some(Family::Query)) && shown.query.is_there();
    if is_query {
        entities.push(criteria(&shown.query, &SYSTEM_OBJECT));
    } else if let Some(first) = objects.next() {
        let role = coding(&ROLE_RESOURCE);
        entities.push(json!({ "type": coding(&SYSTEM_OBJECT), "role": role, "what": what(first) }));
    }
    if let Some(resource_type) = shown.patient_type {
        entities.push(patient(shown, resource_type));
    }
    entities.push(json!({
        "type": coding(&REQUEST_ID),
        "what": { "identifier": { "value": shown.operation.to_string() } },
    }));
    if shown.query.is_there() && !is_query {
        entities.push(criteria(&shown.query, &OTHER));
    }
    for object in objects {
        let role = coding(&ROLE_RESOURCE);
        entities.push(json!({ "type": of_type(object.resource_type), "role": role, "what": what(object) }));
    }
    for category in shown.further_categories() {
        let what = json!({ "type": category.as_str(), "display": category.as_str() });
        entities.push(json!({ "type": of_type(category), "what": what }));
    }
    if let Some(remark) = remark(shown) {
        entities.push(remark);
    }
    entities
}

fn of_type(resource_type: ResourceType) -> Value {
    json!({ "system": RESOURCE_TYPES, "code": resource_type.as_str(), "display": resource_type.as_str() })
}

/// The version of a record, or no more than its type.
fn what(object: &Object) -> Value {
    let of_type = object.resource_type.as_str();
    match &object.id {
        Told::Said(_) => json!({ "reference": object.name(), "type": of_type }),
        Told::Pseudonym(hash) => {
            json!({ "type": of_type, "identifier": { "system": pseudonyms(), "value": hash } })
        }
        Told::Absent | Told::Withheld => json!({ "type": of_type, "display": of_type }),
    }
}

fn patient(shown: &Shown, resource_type: ResourceType) -> Value {
    let what = match &shown.patient {
        Told::Said(id) => json!({ "reference": format!("{resource_type}/{id}") }),
        Told::Pseudonym(hash) => json!({
            "type": resource_type.as_str(),
            "identifier": { "system": pseudonyms(), "value": hash },
        }),
        Told::Absent | Told::Withheld => masked(),
    };
    json!({ "type": coding(&PERSON), "role": coding(&ROLE_PATIENT), "what": what })
}

/// The criteria as they were given, in base64 as R4 asks.
fn criteria(query: &Told, of_type: &Code) -> Value {
    let mut entity = json!({ "type": coding(of_type), "role": coding(&ROLE_QUERY) });
    match query {
        Told::Said(text) => put(&mut entity, "query", Some(STANDARD.encode(text).into())),
        Told::Pseudonym(names) => {
            put(&mut entity, "query", Some(STANDARD.encode(names).into()));
            put(&mut entity, "description", Some("names of the parameters without their values".into()));
        }
        Told::Absent | Told::Withheld => put(&mut entity, "_query", Some(masked())),
    }
    entity
}

/// What else the entry remembers, and how many records it names where they are not told one by one.
fn remark(shown: &Shown) -> Option<Value> {
    let mut details = Vec::new();
    match &shown.detail {
        Told::Absent => {}
        Told::Said(text) | Told::Pseudonym(text) => details.push(json!({ "type": "detail", "valueString": text })),
        Told::Withheld => {
            let mut withheld = object();
            put(&mut withheld, "type", Some("detail".into()));
            put(&mut withheld, "_valueString", Some(masked()));
            details.push(withheld);
        }
    }
    if shown.records > shown.objects.len() {
        details.push(json!({ "type": "records", "valueString": shown.records.to_string() }));
    }
    details.push(json!({ "type": "channel", "valueString": shown.channel.as_str() }));
    Some(json!({
        "type": coding(&OTHER),
        "role": coding(&ROLE_SECURITY),
        "what": { "identifier": { "system": format!("{OWN}/ledger-entry"), "value": shown.index.to_string() } },
        "detail": details,
    }))
}
