//! What changes of a resource that is there already: a JSON Patch of whole elements, so that nothing else of it is touched.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The elements that shall stand in a resource, by name; null: the element shall not stand there.
pub(crate) type Elements = Map<String, Value>;

/// The operations that bring a resource there; none where it is so already.
fn operations(now: &Value, wanted: &Elements) -> Vec<Value> {
    let mut operations = Vec::new();
    for (name, value) in wanted {
        let path = format!("/{name}");
        match (now.get(name), value) {
            (None, Value::Null) => {}
            (Some(_), Value::Null) => operations.push(json!({ "op": "remove", "path": path })),
            (Some(stands), value) if stands == value => {}
            (_, value) => operations.push(json!({ "op": "add", "path": path, "value": value })),
        }
    }
    operations
}

/// The entry of a transaction that changes a resource of this version. None: there is nothing to change.
pub(crate) fn entry(place: &str, version: u64, now: &Value, wanted: &Elements) -> Option<Value> {
    let operations = operations(now, wanted);
    if operations.is_empty() {
        return None;
    }
    let data = STANDARD.encode(Value::Array(operations).to_string());
    Some(json!({
        "resource": { "resourceType": "Binary", "contentType": "application/json-patch+json", "data": data },
        "request": { "method": "PATCH", "url": place, "ifMatch": format!("W/\"{version}\"") },
    }))
}

/// A new resource of these elements.
pub(crate) fn created(resource_type: &str, wanted: Elements) -> Value {
    let mut resource = Map::new();
    resource.insert("resourceType".into(), json!(resource_type));
    resource.extend(wanted.into_iter().filter(|(_, value)| !value.is_null()));
    Value::Object(resource)
}

/// The text at a place (`/subject/reference`), if there is one.
pub(crate) fn text<'v>(value: &'v Value, place: &str) -> Option<&'v str> {
    value.pointer(place).and_then(Value::as_str)
}

/// Sets a member; what is no object becomes one.
pub(crate) fn set(value: &mut Value, name: &str, to: Value) {
    match value {
        Value::Object(members) => drop(members.insert(name.to_owned(), to)),
        other => *other = json!({ name: to }),
    }
}

/// Text within the query of a URL.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// Text within a value of a search parameter, where some characters part values.
pub(crate) fn token(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '|' | ',' | '$') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_changed() {
        let now = json!({ "a": 1, "b": [1], "c": 3 });
        let Value::Object(wanted) = json!({ "a": 1, "b": [2], "c": null, "d": null, "e": 5 }) else { unreachable!() };
        assert_eq!(
            Value::Array(operations(&now, &wanted)),
            json!([
                { "op": "add", "path": "/b", "value": [2] }, { "op": "remove", "path": "/c" }, { "op": "add", "path": "/e", "value": 5 },
            ])
        );
        assert!(entry("X/1", 1, &now, &Elements::new()).is_none());
        let entry = entry("X/1", 7, &now, &wanted).unwrap();
        assert_eq!(entry["request"]["ifMatch"], "W/\"7\"");
    }

    #[test]
    fn what_parts_values_is_escaped() {
        assert_eq!(token("a|b,c$d\\e"), "a\\|b\\,c\\$d\\\\e");
        assert_eq!(encoded("urn:oid:1|é &"), "urn:oid:1%7C%C3%A9%20%26");
    }
}
