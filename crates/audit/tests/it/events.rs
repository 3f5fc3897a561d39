//! Entries to try: every kind, by everybody who can do something.

use tacet_audit::{Eyes, Shown, Site, audit_event};
use tacet_ledger::{Agent, Channel, Entry, EventKind, Origin, Outcome, PurposeOfUse};
use tacet_types::{EstablishmentId, OperationId, RecordRef, ResourceId, ResourceType, Timestamp, VersionId};

pub(crate) fn site() -> Site {
    Site {
        name: "Hôpital Saint-Roch".into(),
        establishment: EstablishmentId(*b"0123456789abcdef"),
        base_url: "https://tacet.hospital.example/fhir".into(),
    }
}

pub(crate) fn of_type(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

pub(crate) fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

pub(crate) fn record(name: &str, of: &str, version: u64) -> RecordRef {
    RecordRef { resource_type: of_type(name), id: id(of), version: VersionId(version) }
}

/// An entry of a person with a session, with every field set.
pub(crate) fn full(kind: EventKind) -> Entry {
    let agent = Agent { owner: "Dr Zélie Aubrac".into(), role: "clinician".into(), token: Some("t-4711".into()) };
    let at = Timestamp::parse("2026-03-01T08:00:00.123Z").unwrap();
    let mut entry = Entry::new(at, kind, agent, PurposeOfUse::Treatment, OperationId(*b"operation number"));
    entry.patient = Some((of_type("Patient"), id("patient-77")));
    entry.records = vec![record("Observation", "obs-1", 3)];
    entry.categories = vec![of_type("Observation")];
    entry.origin = Origin { address: Some("192.0.2.7".parse().unwrap()), channel: Channel::Http };
    entry.detail = Some("rounds of \"Mrs <Planted>\"".into());
    entry.basis = Some("ward-encounter by clinician-care".into());
    entry.account = Some("a-1000".into());
    entry.session = Some("s-2000".into());
    entry.device = Some("d-3000".into());
    if kind == EventKind::Search {
        entry.query = Some("Observation?code=94500-6&patient=patient-77".into());
    }
    entry
}

/// A name, and what it changes of an entry.
type Variation = (&'static str, fn(&mut Entry));

/// Who can have done something.
pub(crate) const ACTORS: [Variation; 9] = [
    ("a person with a session", |_| ()),
    ("a person with a token", |entry| (entry.session, entry.device, entry.account) = (None, None, None)),
    ("an app", |entry| entry.on_behalf_of = Some("app Growth charts (client-5)".into())),
    ("a machine", |entry| {
        entry.agent.role = "integrator".into();
        (entry.session, entry.device, entry.account) = (None, None, None);
    }),
    ("a machine for a person", |entry| {
        entry.agent.role = "integrator".into();
        entry.on_behalf_of = Some("Nurse Bonnet".into());
        (entry.session, entry.device) = (None, None);
    }),
    ("a machine for a patient", |entry| {
        entry.agent.role = "integrator".into();
        entry.on_behalf_of = Some("Planted Person".into());
        entry.purpose = PurposeOfUse::PatientRequest;
    }),
    ("a patient", |entry| {
        entry.agent.role = "patient".into();
        entry.agent.owner = "planted.login".into();
    }),
    ("the command line", |entry| {
        entry.origin = Origin { address: None, channel: Channel::CommandLine };
        (entry.agent.token, entry.session, entry.device, entry.account) = (None, None, None, None);
        entry.agent.role = "operator".into();
    }),
    ("the store itself", |entry| {
        entry.origin = Origin { address: None, channel: Channel::Internal };
        (entry.agent.token, entry.session, entry.device, entry.account) = (None, None, None, None);
        entry.basis = None;
    }),
];

/// What can be missing or be more.
pub(crate) const CIRCUMSTANCES: [Variation; 9] = [
    ("as usual", |_| ()),
    ("of no patient", |entry| entry.patient = None),
    ("of another who stands for a patient", |entry| entry.patient = Some((of_type("Person"), id("person-77")))),
    ("no record", |entry| entry.records.clear()),
    ("nothing but who and what", |entry| {
        (entry.patient, entry.query, entry.detail, entry.basis) = (None, None, None, None);
        entry.records.clear();
        entry.categories.clear();
    }),
    ("several records", |entry| {
        entry.records.extend([record("Condition", "obs-2", 1), record("Observation", "obs-3", 1)]);
        entry.categories = vec![of_type("Condition"), of_type("Observation")];
    }),
    ("with criteria", |entry| entry.query = Some("Patient?name=Planted".into())),
    ("an address of the other kind", |entry| entry.origin.address = Some("2001:db8::7".parse().unwrap())),
    ("empty texts", |entry| {
        // A patient without the role of one would be another.
        if entry.agent.role != "patient" {
            entry.agent.role = String::new();
        }
        entry.detail = Some(String::new());
        entry.basis = Some(" ".into());
        entry.query = Some(String::new());
        entry.on_behalf_of = Some(String::new());
    }),
];

/// Each entry worth trying, with words for where it fails.
pub(crate) fn each(mut with: impl FnMut(&str, &Entry)) {
    for kind in EventKind::ALL {
        for outcome in Outcome::ALL {
            for (who, by) in ACTORS {
                for (what, under) in CIRCUMSTANCES {
                    let mut entry = full(*kind);
                    by(&mut entry);
                    under(&mut entry);
                    entry.outcome = *outcome;
                    with(&format!("{kind} {outcome}, {who}, {what}"), &entry);
                }
            }
        }
    }
}

/// The AuditEvent that an auditor sees.
pub(crate) fn event(entry: &Entry) -> serde_json::Value {
    audit_event(&Shown::of(5, entry, Eyes::Auditor), &site())
}

/// All that stands at a path: names and stops, through lists.
pub(crate) fn at<'v>(value: &'v serde_json::Value, path: &str) -> Vec<&'v serde_json::Value> {
    let mut found = vec![value];
    for name in path.split('.') {
        let members = found.into_iter().filter_map(|value| value.get(name));
        found =
            members.flat_map(|value| value.as_array().map_or(vec![value], |items| items.iter().collect())).collect();
    }
    found
}
