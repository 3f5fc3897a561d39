//! Every field that a regulation asks of an audit trail stands in an entry and in its AuditEvent, and `docs/audit.md` says where.

use crate::events::{at, event, full};
use serde_json::Value;
use std::collections::BTreeSet;
use tacet_ledger::{AuditType, Entry, EventKind, Outcome, PurposeOfUse};

/// One field: who asks for it, in which words, which field of the entry has it, where it stands in the AuditEvent, what stands there, and what
/// takes it out of the entry.
struct Asked {
    by: &'static str,
    what: &'static str,
    field: &'static str,
    path: &'static str,
    value: &'static str,
    without: fn(&mut Entry),
}

const EHDS: &str = "EHDS II 3.2";
const ISO: &str = "ISO 27001 8.15";

const fn asked(
    by: &'static str,
    what: &'static str,
    field: &'static str,
    path: &'static str,
    value: &'static str,
    without: fn(&mut Entry),
) -> Asked {
    Asked { by, what, field, path, value, without }
}

const FIELDS: [Asked; 21] = [
    asked(
        EHDS,
        "provider or other individual who had access",
        "agent.owner",
        "agent.name",
        "Dr Zélie Aubrac",
        |entry| {
            entry.agent.owner = "another".into();
        },
    ),
    asked(EHDS, "on whose behalf", "on_behalf_of", "agent.who.display", "app Growth charts (client-5)", |entry| {
        entry.on_behalf_of = None;
    }),
    asked(
        EHDS,
        "natural person whose data they are",
        "patient",
        "entity.what.reference",
        "Patient/patient-77",
        |entry| {
            entry.patient = None;
        },
    ),
    asked(EHDS, "categories of data", "categories", "entity.type.code", "Condition", |entry| entry.categories.clear()),
    asked(EHDS, "time and date", "at", "recorded", "2026-03-01T08:00:00.123Z", |entry| {
        entry.at = tacet_types::Timestamp::from_ms(0);
    }),
    asked(EHDS, "purpose", "purpose", "agent.purposeOfUse.coding.code", "TREAT", |entry| {
        entry.purpose = PurposeOfUse::Research;
    }),
    asked(EHDS, "origin of the access", "origin.address", "agent.network.address", "192.0.2.7", |entry| {
        entry.origin.address = None;
    }),
    asked(EHDS, "outcome", "outcome", "outcome", "0", |entry| entry.outcome = Outcome::Refused),
    asked(
        EHDS,
        "criteria of searches",
        "query",
        "entity.query",
        "T2JzZXJ2YXRpb24/Y29kZT05NDUwMC02JnBhdGllbnQ9cGF0aWVudC03Nw==",
        |entry| {
            entry.query = None;
        },
    ),
    asked(
        EHDS,
        "ground on which it was allowed",
        "basis",
        "agent.extension.valueString",
        "ward-encounter by clinician-care",
        |entry| {
            entry.basis = None;
        },
    ),
    asked(ISO, "user id", "account", "agent.who.identifier.value", "a-1000", |entry| entry.account = None),
    asked(ISO, "privileges used", "agent.role", "agent.role.coding.code", "clinician", |entry| {
        entry.agent.role = "nurse".into();
    }),
    asked(ISO, "credential used", "agent.token", "agent.policy", "urn:tacet:credential:t-4711", |entry| {
        entry.agent.token = None;
    }),
    asked(ISO, "session", "session", "agent.extension.valueString", "s-2000", |entry| entry.session = None),
    asked(ISO, "identity of the device", "device", "agent.extension.valueString", "d-3000", |entry| {
        entry.device = None
    }),
    asked(ISO, "network address", "origin.address", "agent.network.address", "192.0.2.7", |entry| {
        entry.origin.address = None;
    }),
    asked(ISO, "way of access", "origin.channel", "entity.detail.valueString", "http", |entry| {
        entry.origin.channel = tacet_ledger::Channel::CommandLine;
    }),
    asked(ISO, "activity", "kind", "subtype.code", "search", |entry| entry.kind = EventKind::Login),
    asked(
        ISO,
        "what was accessed, in which version",
        "records",
        "entity.what.reference",
        "Observation/obs-1/_history/3",
        |entry| {
            entry.records.clear();
        },
    ),
    asked(ISO, "details of the event", "detail", "entity.detail.valueString", "rounds of \"Mrs <Planted>\"", |entry| {
        entry.detail = None;
    }),
    asked(
        ISO,
        "transaction",
        "operation",
        "entity.what.identifier.value",
        "6f7065726174696f6e206e756d626572",
        |entry| {
            entry.operation = tacet_types::OperationId([0; 16]);
        },
    ),
];

fn everything() -> Entry {
    let mut entry = full(EventKind::Search);
    entry.on_behalf_of = Some("app Growth charts (client-5)".into());
    entry.categories.insert(0, crate::events::of_type("Condition"));
    entry
}

fn says(event: &Value, path: &str, value: &str) -> bool {
    at(event, path).into_iter().any(|found| found.as_str() == Some(value))
}

#[test]
fn each_field_that_is_asked_for_is_there_and_comes_from_its_place() {
    let page = include_str!("../../../../docs/audit.md");
    for field in &FIELDS {
        let Asked { by, what, path, value, .. } = field;
        let event_with = event(&everything());
        assert!(says(&event_with, path, value), "{by}: {what} at {path}\n{event_with:#}");
        let mut without = everything();
        (field.without)(&mut without);
        assert!(!says(&event(&without), path, value), "{by}: {what} does not come from `{}`", field.field);
        let row = format!("| {by} | {what} | `{}` | `{path}` |", field.field);
        assert!(page.contains(&row), "docs/audit.md lacks: {row}");
    }
    // The origin of the data and the system that says so are of every event: they are bound into the seal of every entry.
    let event = event(&everything());
    assert!(says(&event, "source.site", "Hôpital Saint-Roch"));
    assert!(says(&event, "source.observer.identifier.value", "urn:uuid:30313233-3435-3637-3839-616263646566"));
}

#[test]
fn the_sixteen_event_types_can_be_told_apart() {
    let page = include_str!("../../../../docs/audit.md");
    let mut told = BTreeSet::new();
    for kind in EventKind::ALL {
        let event = event(&full(*kind));
        let own: Vec<&str> = at(&event, "subtype")
            .into_iter()
            .filter(|code| code["system"] == "https://tacet.invalid/fhir/CodeSystem/ledger-event")
            .filter_map(|code| code["code"].as_str())
            .collect();
        assert_eq!(own, [kind.as_str()]);
        assert!(page.contains(&format!("| `{kind}` |")), "docs/audit.md lacks `{kind}`");
        told.extend(kind.audit_type());
    }
    assert_eq!(told, AuditType::ALL.iter().copied().collect());
    assert_eq!(told.len(), 16);
}

/// Whoever looks at no field of ours finds each of the sixteen by type, subtype, action and outcome of the standards.
#[test]
fn what_the_standards_name_is_named_by_them() {
    for (kind, outcome, event_type, subtype, action) in [
        (EventKind::Login, Outcome::Success, "110114", "110122", "E"),
        (EventKind::LoginFailed, Outcome::Refused, "110114", "110122", "E"),
        (EventKind::Logout, Outcome::Success, "110114", "110123", "E"),
        (EventKind::Read, Outcome::Success, "rest", "read", "R"),
        (EventKind::Create, Outcome::Success, "rest", "create", "C"),
        (EventKind::Update, Outcome::Success, "rest", "update", "U"),
        (EventKind::Delete, Outcome::Success, "rest", "delete", "D"),
        (EventKind::Export, Outcome::Success, "110106", "disclose", "R"),
        (EventKind::Search, Outcome::Success, "rest", "search", "E"),
        (EventKind::BreakGlass, Outcome::Success, "110113", "110127", "R"),
        (EventKind::RightsChange, Outcome::Success, "110113", "110136", "E"),
        (EventKind::ConfigurationChange, Outcome::Success, "110113", "110131", "E"),
        (EventKind::KeyEvent, Outcome::Success, "110113", "110129", "E"),
        (EventKind::Backup, Outcome::Success, "archive", "backup", "E"),
        (EventKind::Restore, Outcome::Success, "restore", "restore", "E"),
        (EventKind::LedgerAccess, Outcome::Success, "110101", "ledger-access", "R"),
    ] {
        let mut entry = full(kind);
        entry.outcome = outcome;
        let event = event(&entry);
        assert!(says(&event, "type.code", event_type), "{kind}");
        assert!(says(&event, "subtype.code", subtype), "{kind}");
        assert_eq!(event["action"], action, "{kind}");
        assert_eq!(event["outcome"] == "0", outcome == Outcome::Success, "{kind}");
    }
}
