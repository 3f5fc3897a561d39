//! The AuditEvent of an entry (<https://hl7.org/fhir/R4/auditevent.html>), by the patterns of IHE BALP 1.1.4 where one fits
//! (<https://profiles.ihe.net/ITI/BALP/>).

mod agents;
mod entities;

use crate::Site;
use crate::codes::{Code, Family, OWN, SERVER, event_id};
use crate::shown::{Shown, Told};
use agents::agents;
use entities::entities;
use serde_json::{Map, Value, json};
use tacet_ledger::Outcome;

/// Where the profiles of IHE BALP are defined.
const BALP: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/";

/// How one says that something is there and not shown.
const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// The AuditEvent that shows an entry. Its id is the entry's number ([`event_id`]), so it is the same whenever and by whomever it is
/// asked for; it has one version.
pub fn audit_event(shown: &Shown, site: &Site) -> Value {
    let told = shown.telling();
    let family = family(shown);
    let mut profiles: Vec<String> = family
        .and_then(|family| family.profile(is_of_patient(shown)))
        .map(|name| format!("{BALP}{name}"))
        .into_iter()
        .collect();
    let by_app = is_by_app(shown);
    if by_app {
        profiles.push(format!("{BALP}IHE.BasicAudit.OAUTHaccessTokenUse.Opaque"));
    }
    let mut meta = json!({ "versionId": "1", "lastUpdated": shown.at.to_string() });
    put(&mut meta, "profile", (!profiles.is_empty()).then(|| json!(profiles)));
    let own = json!({ "system": format!("{OWN}/CodeSystem/ledger-event"), "code": shown.kind.as_str(), "display": told.words });
    let mut subtypes: Vec<Value> = crate::codes::subtypes(shown.kind).iter().map(coding).collect();
    subtypes.push(own);
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": event_id(shown.index),
        "meta": meta,
        "type": coding(&told.event),
        "subtype": subtypes,
        "action": told.action,
        "recorded": shown.at.to_string(),
        "outcome": outcome_code(shown.outcome),
        "purposeOfEvent": [purpose(shown)],
        "agent": agents(shown, site, family, by_app),
        "source": {
            "site": site.name,
            "observer": observer(site),
            "type": [coding(&SERVER)],
        },
        "entity": entities(shown, family),
    });
    put(&mut event, "outcomeDesc", outcome_words(shown).map(Value::from));
    event
}

/// The pattern that an event follows: that of its kind, where it has what the pattern asks for.
fn family(shown: &Shown) -> Option<Family> {
    let family = shown.telling().family?;
    if shown.outcome != Outcome::Success && family != Family::Disclosure {
        return None;
    }
    let fits = match family {
        Family::Query => shown.query.is_there(),
        // The pattern is of what went somewhere: to an address.
        Family::Disclosure => is_of_patient(shown) && !shown.objects.is_empty(),
        _ => !shown.objects.is_empty(),
    };
    fits.then_some(family)
}

fn is_of_patient(shown: &Shown) -> bool {
    shown.patient_type.is_some_and(|resource_type| resource_type.as_str() == "Patient")
}

/// Whether an app did it with a token that it was given.
fn is_by_app(shown: &Shown) -> bool {
    !shown.is_machine() && shown.app().is_some() && shown.credential.is_there()
}

/// R4 value set `audit-event-outcome`.
pub(crate) fn outcome_code(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "0",
        Outcome::Refused => "4",
        Outcome::Failed => "8",
    }
}

/// Why it did not end well.
pub(crate) fn outcome_words(shown: &Shown) -> Option<&'static str> {
    match shown.outcome {
        Outcome::Success => None,
        Outcome::Refused => Some("It was not allowed"),
        Outcome::Failed => Some("It was allowed and did not work"),
    }
}

fn purpose(shown: &Shown) -> Value {
    json!({ "coding": [{ "system": crate::codes::PURPOSE, "code": shown.purpose.as_str() }] })
}

/// Who wrote it down: the server, which is also the agent at the other end of each request.
fn observer(site: &Site) -> Value {
    json!({
        "identifier": { "system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{}", site.uuid()) },
        "display": format!("Tacet of {}", site.name),
    })
}

fn coding(code: &Code) -> Value {
    let mut value = json!({ "system": code.system, "code": code.code });
    put(&mut value, "display", (!code.words.is_empty()).then(|| code.words.into()));
    value
}

fn concept(code: &Code) -> Value {
    json!({ "coding": [coding(code)] })
}

/// Adds a member where there is one.
fn put(value: &mut Value, name: &str, member: Option<Value>) {
    if let (Some(object), Some(member)) = (value.as_object_mut(), member) {
        object.insert(name.to_owned(), member);
    }
}

/// An element that is there and not shown.
fn masked() -> Value {
    json!({ "extension": [{ "url": ABSENT, "valueCode": "masked" }] })
}

/// An element that cannot be there: a command has no network address.
fn not_applicable() -> Value {
    json!({ "extension": [{ "url": ABSENT, "valueCode": "not-applicable" }] })
}

/// Puts a primitive, or says that it is withheld.
fn put_told(value: &mut Value, name: &str, told: &Told) {
    match told {
        Told::Absent => {}
        Told::Withheld => put(value, &format!("_{name}"), Some(masked())),
        Told::Said(text) | Told::Pseudonym(text) => put(value, name, Some(text.as_str().into())),
    }
}

/// An object of JSON with nothing in it yet.
fn object() -> Value {
    Value::Object(Map::new())
}
