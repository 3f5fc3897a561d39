//! The CapabilityStatement: made from the table of routes and the list of types, so that it says what is really there.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/capabilitystatement.html>.

use crate::routes::{Action, ROUTES, is_kept};
use hyper::Method;
use serde_json::{Value, json};
use tacet_types::{ResourceType, Timestamp};

/// The statement as JSON. `at` is the server's start, since what it can do does not change while it runs.
pub(crate) fn statement(base_url: &str, at: Timestamp) -> Vec<u8> {
    let types = ResourceType::all().filter(|resource_type| is_kept(*resource_type)).map(resource);
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": at.to_string(),
        "kind": "instance",
        "software": { "name": "Tacet", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "Tacet, a sealed FHIR record store", "url": base_url },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [{
            "mode": "server",
            "documentation": "Every answer is written into the access ledger before it is given. \
                What is not listed is refused, never passed over.",
            "security": {
                "cors": false,
                "description": "A bearer token is needed (`Authorization: Bearer`), save for /metadata and /health. \
                    `X-Purpose-Of-Use` takes a code of HL7 v3 PurposeOfUse, `X-On-Behalf-Of` the name of the person \
                    for whom a machine asks.",
            },
            "resource": types.collect::<Vec<_>>(),
            "interaction": system_interactions(),
        }],
    });
    statement.to_string().into_bytes()
}

fn resource(resource_type: ResourceType) -> Value {
    let interactions: Vec<Value> = ROUTES.iter().filter_map(|route| type_code(route.action)).map(code).collect();
    let mut resource = json!({
        "type": resource_type.as_str(),
        "interaction": interactions,
        "versioning": "versioned-update",
        "readHistory": has(Action::Vread),
        "updateCreate": has(Action::Update),
        "conditionalCreate": false,
        "conditionalRead": "full-support",
        "conditionalUpdate": false,
        "conditionalDelete": "not-supported",
    });
    if resource_type.as_str() == "Patient"
        && has(Action::Everything)
        && let Some(members) = resource.as_object_mut()
    {
        members.insert("operation".to_owned(), everything());
    }
    resource
}

fn everything() -> Value {
    json!([{
        "name": "everything",
        "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        "documentation": "Takes `_since`, `_type` and `_count`.",
    }])
}

fn has(action: Action) -> bool {
    ROUTES.iter().any(|route| route.action == action)
}

fn code(code: &str) -> Value {
    json!({ "code": code })
}

/// The code of an interaction with one type (value set `type-restful-interaction`).
fn type_code(action: Action) -> Option<&'static str> {
    Some(match action {
        Action::Read => "read",
        Action::Vread => "vread",
        Action::Update => "update",
        Action::Create => "create",
        Action::Delete => "delete",
        Action::HistoryInstance => "history-instance",
        Action::HistoryType => "history-type",
        _ => return None,
    })
}

/// Interactions with the whole system (value set `system-restful-interaction`).
fn system_interactions() -> Vec<Value> {
    let mut interactions = Vec::new();
    for route in ROUTES {
        match route.action {
            Action::Bundle if route.methods.contains(&Method::POST) => {
                interactions.extend([code("batch"), code("transaction")]);
            }
            Action::HistorySystem => interactions.push(code("history-system")),
            _ => {}
        }
    }
    interactions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_there_and_no_more() {
        let statement: Value = serde_json::from_slice(&statement("https://h", Timestamp::from_ms(0))).unwrap();
        let rest = &statement["rest"][0];
        let patient =
            rest["resource"].as_array().unwrap().iter().find(|resource| resource["type"] == "Patient").unwrap();
        let codes: Vec<&str> =
            patient["interaction"].as_array().unwrap().iter().map(|code| code["code"].as_str().unwrap()).collect();
        let expected = ["create", "history-type", "read", "update", "delete", "history-instance", "vread"];
        assert_eq!(codes, expected);
        assert_eq!(patient["operation"][0]["name"], "everything");
        assert_eq!(rest["interaction"].as_array().unwrap().len(), 3);
        assert!(!statement.to_string().contains("search-type"));
    }
}
