//! An entry as one flat JSON object: for what reads lines of JSON.

use crate::Site;
use crate::shown::{Shown, Told};
use serde_json::{Map, Value};

/// Most records that are named one by one; `records_total` says how many there are.
pub const LINE_RECORDS_MAX: usize = 640;

/// The object of an entry. A member that these eyes do not see stands under `withheld` by its name; one that stands in for
/// another under `pseudonyms`.
pub fn object(shown: &Shown, site: &Site) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("index", shown.index.into());
    put("at", shown.at.to_string().into());
    put("kind", shown.kind.as_str().into());
    put("outcome", shown.outcome.as_str().into());
    put("role", shown.role.as_str().into());
    put("purpose", shown.purpose.as_str().into());
    put("channel", shown.channel.as_str().into());
    put("operation", shown.operation.to_string().into());
    put("site", site.name.as_str().into());
    put("site_id", site.uuid().into());
    put("words", shown.telling().words.into());
    if let Some(audit_type) = shown.kind.audit_type() {
        put("type", audit_type.as_str().into());
    }
    let patient = match (&shown.patient, shown.patient_type) {
        (Told::Said(id), Some(resource_type)) => Told::Said(format!("{resource_type}/{id}")),
        (other, _) => other.clone(),
    };
    let (mut withheld, mut pseudonyms) = (Vec::new(), Vec::new());
    let told = [
        ("owner", &shown.owner),
        ("account", &shown.account),
        ("on_behalf_of", &shown.on_behalf_of),
        ("credential", &shown.credential),
        ("session", &shown.session),
        ("device", &shown.device),
        ("address", &shown.address),
        ("patient", &patient),
        ("query", &shown.query),
        ("detail", &shown.detail),
        ("basis", &shown.basis),
    ];
    for (name, told) in told {
        match told {
            Told::Absent => {}
            Told::Withheld => withheld.push(Value::from(name)),
            Told::Said(text) => put(name, text.as_str().into()),
            Told::Pseudonym(text) => {
                put(name, text.as_str().into());
                pseudonyms.push(Value::from(name));
            }
        }
    }
    let records = shown.objects.iter().filter(|object| object.id.text().is_some()).take(LINE_RECORDS_MAX);
    let records: Vec<Value> = records.map(|object| object.name().into()).collect();
    if shown.objects.iter().any(|object| matches!(object.id, Told::Pseudonym(_))) {
        pseudonyms.push("records".into());
    }
    if records.len() < shown.records {
        withheld.push("records".into());
    }
    let lists = [("records", records), ("withheld", withheld), ("pseudonyms", pseudonyms)];
    for (name, list) in lists {
        if !list.is_empty() {
            put(name, list.into());
        }
    }
    put("records_total", shown.records.into());
    let mut categories: Vec<Value> = shown.categories.iter().map(|category| category.as_str().into()).collect();
    if categories.is_empty() {
        let mut types: Vec<&str> = shown.objects.iter().map(|object| object.resource_type.as_str()).collect();
        types.dedup();
        categories = types.into_iter().map(Value::from).collect();
    }
    if !categories.is_empty() {
        put("categories", categories.into());
    }
    Value::Object(members)
}
