//! PID as elements of a Patient. What the message leaves empty stays as it is; what it says is to be deleted goes.

use crate::adt::{Key, MapError};
use crate::message::{Field, Message};
use crate::patch::{Elements, set};
use crate::settings::Settings;
use crate::time::Moment;
use serde_json::{Value, json};

/// Most identifiers, names, addresses and numbers that are taken of each.
const EACH_MAX: usize = 20;

/// The identifiers of PID-3 that have a system: with their types of table 0203.
fn identifiers(message: &Message<'_>, settings: &Settings) -> Vec<(Key, String)> {
    let read = |field: Field<'_>| {
        let key = Key::of(field, "Patient", settings, None)?;
        Some((key, field.component(5).value().into_owned()))
    };
    message.field("PID", 3).repetitions().filter_map(read).take(EACH_MAX).collect()
}

/// By what the patient is found.
pub(crate) fn key(message: &Message<'_>, settings: &Settings) -> Result<Key, MapError> {
    if message.field("PID", 3).is_empty() {
        return Err(MapError::Missing("PID-3, the patient's identifiers"));
    }
    let all = identifiers(message, settings);
    let found = match &settings.patient_system {
        Some(system) => all.iter().find(|(key, _)| key.system == *system),
        None => all.iter().find(|(_, kind)| matches!(kind.as_str(), "PI" | "MR")).or(all.first()),
    };
    found.map(|(key, _)| key.clone()).ok_or(MapError::Authority("PID-3"))
}

/// The elements that the message gives.
pub(crate) fn elements(message: &Message<'_>, settings: &Settings, now: Option<&Value>) -> Result<Elements, MapError> {
    let mut wanted = Elements::new();
    let pid = |number: usize| message.field("PID", number);
    wanted.insert("identifier".into(), united(&identifiers(message, settings), now));
    if now.is_none() {
        wanted.insert("active".into(), json!(true));
    }
    put(&mut wanted, "name", pid(5), name);
    put_one(&mut wanted, "birthDate", pid(7), |field| {
        let moment = Moment::parse(&field.value()).map_err(|_| MapError::Time("PID-7"))?;
        Ok(json!(moment.date()))
    })?;
    put_one(&mut wanted, "gender", pid(8), |field| {
        Ok(json!(match field.value().as_ref() {
            "M" => "male",
            "F" => "female",
            "U" => "unknown",
            _ => "other",
        }))
    })?;
    put(&mut wanted, "address", pid(11), address);
    let numbers: Vec<Value> = [(13, "home"), (14, "work")]
        .into_iter()
        .flat_map(|(number, place)| pid(number).repetitions().filter_map(move |field| contact(field, place)))
        .take(EACH_MAX)
        .collect();
    if !numbers.is_empty() {
        wanted.insert("telecom".into(), Value::Array(numbers));
    } else if pid(13).is_null() || pid(14).is_null() {
        wanted.insert("telecom".into(), Value::Null);
    }
    // PID-29 says when, PID-30 whether.
    if let Ok(moment) = Moment::parse(&pid(29).value()) {
        wanted.insert("deceasedDateTime".into(), json!(moment.date_time(settings.zone())));
        wanted.insert("deceasedBoolean".into(), Value::Null);
    } else if now.is_none_or(|now| now.get("deceasedDateTime").is_none()) && pid(30).value() == "Y" {
        wanted.insert("deceasedBoolean".into(), json!(true));
    }
    Ok(wanted)
}

fn put(wanted: &mut Elements, name: &str, field: Field<'_>, each: impl Fn(Field<'_>) -> Option<Value>) {
    let values: Vec<Value> = field.repetitions().filter_map(each).take(EACH_MAX).collect();
    if !values.is_empty() {
        wanted.insert(name.into(), Value::Array(values));
    } else if field.is_null() {
        wanted.insert(name.into(), Value::Null);
    }
}

fn put_one(
    wanted: &mut Elements,
    name: &str,
    field: Field<'_>,
    read: impl Fn(Field<'_>) -> Result<Value, MapError>,
) -> Result<(), MapError> {
    if field.is_null() {
        wanted.insert(name.into(), Value::Null);
    } else if !field.value().is_empty() {
        wanted.insert(name.into(), read(field)?);
    }
    Ok(())
}

/// Identifiers of systems of which the message says nothing stay; of one that it gives again, all that was said about it stays.
fn united(given: &[(Key, String)], now: Option<&Value>) -> Value {
    let stands =
        now.and_then(|now| now.get("identifier")).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of =
        |identifier: &Value, name: &str| identifier.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let known = |identifier: &Value| {
        let (system, value) = (of(identifier, "system"), of(identifier, "value"));
        let same_system = given.iter().any(|(key, _)| key.system == system);
        !same_system || given.iter().any(|(key, _)| key.system == system && key.value == value)
    };
    let mut all: Vec<Value> = stands.iter().filter(|identifier| known(identifier)).cloned().collect();
    for (key, kind) in given {
        if !all.iter().any(|one| of(one, "system") == key.system && of(one, "value") == key.value) {
            let mut identifier = json!({ "system": key.system, "value": key.value });
            if matches!(kind.as_str(), "PI" | "MR" | "SS" | "PPN" | "DL" | "NH") {
                let system = "http://terminology.hl7.org/CodeSystem/v2-0203";
                set(&mut identifier, "type", json!({ "coding": [{ "system": system, "code": kind }] }));
            }
            all.push(identifier);
        }
    }
    Value::Array(all)
}

/// XPN (chapter 2A).
fn name(field: Field<'_>) -> Option<Value> {
    let mut name = Elements::new();
    let used = match field.component(7).value().as_ref() {
        "L" => Some("official"),
        "D" => Some("usual"),
        "M" | "B" | "BAD" => Some("maiden"),
        "N" => Some("nickname"),
        "S" | "A" => Some("anonymous"),
        "TEMP" => Some("temp"),
        _ => None,
    };
    insert(&mut name, "use", used.map(str::to_owned));
    insert(&mut name, "family", field.component(1).some());
    let more = field.component(3).some();
    let more = more.iter().flat_map(|text| text.split(' ')).filter(|text| !text.is_empty()).map(str::to_owned);
    let given: Vec<String> = field.component(2).some().into_iter().chain(more).take(EACH_MAX).collect();
    if !given.is_empty() {
        name.insert("given".into(), json!(given));
    }
    for (element, number) in [("prefix", 5), ("suffix", 4)] {
        if let Some(text) = field.component(number).some() {
            name.insert(element.into(), json!([text]));
        }
    }
    let named = name.contains_key("family") || name.contains_key("given");
    named.then_some(Value::Object(name))
}

/// XAD (chapter 2A).
fn address(field: Field<'_>) -> Option<Value> {
    let mut address = Elements::new();
    let used = match field.component(7).value().as_ref() {
        "H" | "P" => Some("home"),
        "B" | "O" => Some("work"),
        "C" => Some("temp"),
        "BA" => Some("old"),
        _ => None,
    };
    let line: Vec<String> = [1, 2].into_iter().filter_map(|number| field.component(number).some()).collect();
    if !line.is_empty() {
        address.insert("line".into(), json!(line));
    }
    for (element, number) in [("city", 3), ("state", 4), ("postalCode", 5), ("country", 6)] {
        insert(&mut address, element, field.component(number).some());
    }
    if address.is_empty() {
        return None;
    }
    insert(&mut address, "use", used.map(str::to_owned));
    Some(Value::Object(address))
}

/// XTN (chapter 2A).
fn contact(field: Field<'_>, place: &str) -> Option<Value> {
    let system = match field.component(3).value().as_ref() {
        "FX" => "fax",
        "BP" => "pager",
        "Internet" | "X.400" => "email",
        _ => "phone",
    };
    let parts = || {
        let parts: Vec<String> = [5, 6, 7].into_iter().filter_map(|number| field.component(number).some()).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    let mail = field.component(4).some().filter(|_| system == "email");
    let value = mail.or_else(|| field.component(1).some()).or_else(|| field.component(12).some()).or_else(parts)?;
    let used = if field.component(3).value() == "CP" { "mobile" } else { place };
    Some(json!({ "system": system, "value": value, "use": used }))
}

fn insert(elements: &mut Elements, name: &str, text: Option<String>) {
    if let Some(text) = text {
        elements.insert(name.into(), json!(text));
    }
}
