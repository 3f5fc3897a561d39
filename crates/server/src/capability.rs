//! The CapabilityStatement: made from the table of routes and the list of types, so that it says what is really there.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/capabilitystatement.html>.

use crate::routes::{Action, ROUTES, is_kept};
use hyper::Method;
use serde_json::{Value, json};
use tacet_fhir::search::{Parameter, ParameterType, parameters_of};
use tacet_smart::Endpoints;
use tacet_types::{ResourceType, Timestamp};

/// The statement as JSON. `at` is the server's start, since what it can do does not change while it runs. `oauth`: where the authorization server is, if
/// there is one.
pub(crate) fn statement(base_url: &str, at: Timestamp, oauth: Option<&Endpoints>) -> Vec<u8> {
    let types = ResourceType::all().filter(|resource_type| is_kept(*resource_type));
    let types = types.map(|resource_type| resource(resource_type, base_url));
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": at.to_string(),
        "kind": "instance",
        "software": { "name": "Tacet", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "Tacet, a sealed FHIR record store", "url": base_url },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "patchFormat": ["application/json-patch+json", "application/fhir+json"],
        "rest": [{
            "mode": "server",
            "documentation": "Every answer is written into the access ledger before it is given. \
                What is not listed is refused, never passed over.",
            "security": security(oauth),
            "resource": types.collect::<Vec<_>>(),
            "interaction": system_interactions(),
            "searchParam": SYSTEM_PARAMETERS.map(|(name, kind)| json!({ "name": name, "type": kind })),
            "operation": operations(None),
        }],
    });
    statement.to_string().into_bytes()
}

/// How requests are let in. SMART App Launch 2.2 keeps the addresses here for apps that do not look at `.well-known/smart-configuration` yet; the
/// extension is that of version 1 (<https://hl7.org/fhir/smart-app-launch/1.0.0/conformance/>).
fn security(oauth: Option<&Endpoints>) -> Value {
    let mut security = json!({
        "cors": oauth.is_some(),
        "description": "A bearer token is needed (`Authorization: Bearer`), save for /metadata and /health. \
            `X-Purpose-Of-Use` takes a code of HL7 v3 PurposeOfUse, `X-On-Behalf-Of` the name of the person \
            for whom a machine asks.",
    });
    if let (Some(Endpoints { authorize, token, introspect, revoke, register, jwks: _ }), Some(members)) =
        (oauth, security.as_object_mut())
    {
        let addresses = [
            ("authorize", authorize),
            ("token", token),
            ("register", register),
            ("introspect", introspect),
            ("revoke", revoke),
        ];
        let addresses = addresses.map(|(name, address)| json!({ "url": name, "valueUri": address }));
        members.insert("extension".to_owned(), json!([{ "url": OAUTH_URIS, "extension": addresses }]));
        let coding = json!({ "system": SECURITY_SERVICE, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR" });
        members.insert(
            "service".to_owned(),
            json!([{ "coding": [coding], "text": "OAuth2 using SMART-on-FHIR profile" }]),
        );
    }
    security
}

/// The extension with the addresses of an authorization server.
const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";

/// How requests are let in, by HL7's code system.
const SECURITY_SERVICE: &str = "http://terminology.hl7.org/CodeSystem/restful-security-service";

/// Where the backport of topic-based subscriptions is defined.
const BACKPORT: &str = "http://hl7.org/fhir/uv/subscriptions-backport";

/// Says that a subscription may name a topic: R4 has no resource for one, so a client finds them here
/// (<https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-capabilitystatement-subscriptiontopic-canonical.html>). There is one
/// for each type of resource.
fn topics(base_url: &str) -> Vec<Value> {
    let url = format!("{BACKPORT}/StructureDefinition/capabilitystatement-subscriptiontopic-canonical");
    let types = ResourceType::all().filter(|resource_type| is_kept(*resource_type));
    types.map(|of| json!({ "url": url, "valueCanonical": format!("{base_url}/SubscriptionTopic/{of}") })).collect()
}

fn resource(resource_type: ResourceType, base_url: &str) -> Value {
    let mut codes: Vec<&str> = Vec::new();
    // A search has two routes and is one interaction.
    for name in ROUTES.iter().filter_map(|route| type_code(route.action)) {
        if !codes.contains(&name) {
            codes.push(name);
        }
    }
    let interactions: Vec<Value> = codes.into_iter().map(code).collect();
    let parameters: Vec<&Parameter> = parameters_of(resource_type).iter().map(|id| id.parameter()).collect();
    let searched = parameters.iter().map(|parameter| {
        json!({ "name": parameter.code, "definition": parameter.url(), "type": parameter.parameter_type.as_str() })
    });
    let references = parameters.iter().filter(|parameter| parameter.parameter_type == ParameterType::Reference);
    let includes = references.map(|parameter| format!("{resource_type}:{}", parameter.code));
    let is_subscription = resource_type.as_str() == "Subscription";
    let profile = format!("{BACKPORT}/StructureDefinition/backport-subscription");
    without_empty_lists(json!({
        "extension": if is_subscription { topics(base_url) } else { Vec::new() },
        "type": resource_type.as_str(),
        "supportedProfile": if is_subscription { vec![profile] } else { Vec::new() },
        "documentation": SAID.iter().find(|(name, _)| *name == resource_type.as_str()).map(|(_, text)| *text),
        "interaction": interactions,
        "versioning": "versioned-update",
        "readHistory": has(Action::Vread),
        "updateCreate": has(Action::Update),
        "conditionalCreate": has(Action::Create),
        "conditionalRead": "full-support",
        "conditionalUpdate": has(Action::ConditionalUpdate),
        "conditionalDelete": if has(Action::ConditionalDelete) { "single" } else { "not-supported" },
        "referencePolicy": ["literal", "logical"],
        "searchInclude": includes.collect::<Vec<_>>(),
        "searchParam": searched.collect::<Vec<_>>(),
        "operation": operations(Some(resource_type)),
    }))
}

/// FHIR has no empty lists.
fn without_empty_lists(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null() && member.as_array().is_none_or(|items| !items.is_empty()));
    }
    value
}

/// Parameters of a search among all records.
const SYSTEM_PARAMETERS: [(&str, &str); 6] = [
    ("_id", "token"),
    ("_lastUpdated", "date"),
    ("_profile", "uri"),
    ("_security", "token"),
    ("_tag", "token"),
    ("_type", "token"),
];

/// What is to be said of a type beyond what the statement has members for.
const SAID: [(&str, &str); 2] = [
    (
        "AuditEvent",
        "To auditors, and to patients for their own records, read and search give the entries of the access ledger, by the profiles of \
         IHE BALP; to others, AuditEvents that were stored here.",
    ),
    (
        "Subscription",
        "Channel rest-hook, by R4 criteria or by a topic (one for each type of resource, narrowed by filter criteria), to endpoints that the \
         operator of this server allows.",
    ),
];

/// Operations: the route that each has, its name, its definition, and the types that it is for (all where there are none).
const OPERATIONS: [(Action, &str, &str, &[&str]); 18] = [
    (Action::Everything, "everything", "http://hl7.org/fhir/OperationDefinition/Patient-everything", &["Patient"]),
    (Action::Everything, "everything", "http://hl7.org/fhir/OperationDefinition/Encounter-everything", &["Encounter"]),
    (
        Action::SubscriptionStatus,
        "status",
        "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status",
        &["Subscription"],
    ),
    (
        Action::SubscriptionEvents,
        "events",
        "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-events",
        &["Subscription"],
    ),
    (Action::Match, "match", "http://hl7.org/fhir/OperationDefinition/Patient-match", &["Patient"]),
    (Action::Summary, "summary", "http://hl7.org/fhir/uv/ips/OperationDefinition/summary", &["Patient"]),
    (Action::Meta, "meta", "http://hl7.org/fhir/OperationDefinition/Resource-meta", &[]),
    (Action::MetaAdd, "meta-add", "http://hl7.org/fhir/OperationDefinition/Resource-meta-add", &[]),
    (Action::MetaDelete, "meta-delete", "http://hl7.org/fhir/OperationDefinition/Resource-meta-delete", &[]),
    (
        Action::ExportPatients,
        "export",
        "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export",
        &["Patient"],
    ),
    (Action::ExportGroup, "export", "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export", &["Group"]),
    (Action::Validate, "validate", "http://hl7.org/fhir/OperationDefinition/Resource-validate", &[]),
    (Action::Terminology, "lookup", "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup", &["CodeSystem"]),
    (
        Action::Terminology,
        "validate-code",
        "http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code",
        &["CodeSystem"],
    ),
    (Action::Terminology, "subsumes", "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes", &["CodeSystem"]),
    (Action::Terminology, "expand", "http://hl7.org/fhir/OperationDefinition/ValueSet-expand", &["ValueSet"]),
    (
        Action::Terminology,
        "validate-code",
        "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
        &["ValueSet"],
    ),
    (Action::Terminology, "translate", "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate", &["ConceptMap"]),
];

fn operations(resource_type: Option<ResourceType>) -> Vec<Value> {
    let operation = |name: &str, definition: &str| json!({ "name": name, "definition": definition });
    match resource_type {
        Some(resource_type) => OPERATIONS
            .iter()
            .filter(|(action, _, _, types)| {
                has(*action) && (types.is_empty() || types.contains(&resource_type.as_str()))
            })
            .map(|(_, name, definition, _)| operation(name, definition))
            .collect(),
        None => SYSTEM_OPERATIONS
            .iter()
            .filter(|(pattern, _, _)| ROUTES.iter().any(|route| route.pattern == *pattern))
            .map(|(_, name, definition)| operation(name, definition))
            .collect(),
    }
}

/// Operations on the whole system: the path of each, its name and its definition. HL7 has none for `$import`; the name of ours is no address.
const SYSTEM_OPERATIONS: [(&str, &str, &str); 3] = [
    ("/$meta", "meta", "http://hl7.org/fhir/OperationDefinition/Resource-meta"),
    ("/$export", "export", "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"),
    ("/$import", "import", "https://tacet.invalid/OperationDefinition/import"),
];

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
        Action::SearchType => "search-type",
        Action::Patch => "patch",
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
            Action::SearchSystem if route.pattern == "/" => interactions.push(code("search-system")),
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
        let statement: Value = serde_json::from_slice(&statement("https://h", Timestamp::from_ms(0), None)).unwrap();
        let rest = &statement["rest"][0];
        let patient =
            rest["resource"].as_array().unwrap().iter().find(|resource| resource["type"] == "Patient").unwrap();
        let codes: Vec<&str> =
            patient["interaction"].as_array().unwrap().iter().map(|code| code["code"].as_str().unwrap()).collect();
        let expected =
            ["create", "search-type", "history-type", "update", "delete", "patch", "read", "history-instance", "vread"];
        assert_eq!(codes, expected);
        assert_eq!(patient["operation"][0]["name"], "everything");
        assert_eq!(rest["interaction"].as_array().unwrap().len(), 4);
        let parameters = patient["searchParam"].as_array().unwrap();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "birthdate" && parameter["type"] == "date"));
        assert!(patient["searchInclude"].as_array().unwrap().contains(&json!("Patient:organization")));
        let of_type = |name: &str| {
            let resources = rest["resource"].as_array().unwrap();
            resources.iter().find(|resource| resource["type"] == name).unwrap().clone()
        };
        let subscription = of_type("Subscription");
        let topics = subscription["extension"].as_array().unwrap();
        assert!(topics.iter().any(|topic| topic["valueCanonical"] == "https://h/SubscriptionTopic/Observation"));
        assert!(subscription["documentation"].is_string() && patient.get("extension").is_none());

        // Each operation that has a route is listed, where it is.
        let lists = |value: &Value, name: &str| {
            let operations = value["operation"].as_array();
            operations.into_iter().flatten().any(|operation| operation["name"] == name)
        };
        let mut operations = 0;
        for route in ROUTES.iter().filter(|route| !matches!(route.action, Action::Absent(_))) {
            let Some((before, name)) = route.pattern.split_once('$') else { continue };
            // A page for a person, not FHIR's.
            if route.action == Action::AccessReport {
                continue;
            }
            let found = match before.split('/').nth(1).unwrap_or_default() {
                "" => lists(rest, name),
                "_index" => continue, // the machine's, not FHIR's
                "{type}" => lists(patient, name),
                of => lists(&of_type(of), name),
            };
            assert!(found, "{}", route.pattern);
            operations += 1;
        }
        assert!(operations > 25, "{operations}");
    }

    #[test]
    fn where_apps_get_tokens_is_said_where_there_are_apps() {
        let security = |oauth: Option<&Endpoints>| {
            let statement = statement("https://h", Timestamp::from_ms(0), oauth);
            serde_json::from_slice::<Value>(&statement).unwrap()["rest"][0]["security"].clone()
        };
        let without = security(None);
        assert_eq!((&without["cors"], without.get("service")), (&json!(false), None));
        let with = security(Some(&tacet_smart::Settings::at("https://h", "https://h").endpoints));
        assert_eq!((&with["cors"], &with["service"][0]["coding"][0]["code"]), (&json!(true), &json!("SMART-on-FHIR")));
        let addresses = with["extension"][0]["extension"].as_array().unwrap();
        let token = addresses.iter().find(|address| address["url"] == "token").unwrap();
        assert_eq!((token["valueUri"].as_str(), addresses.len()), (Some("https://h/oauth/token"), 5));
    }
}
