//! The examples of IHE BALP: what they say in codes of an event, ours says of the same event.

use crate::events::{at, event, full, record};
use serde_json::Value;
use std::collections::BTreeSet;
use tacet_ledger::{Entry, EventKind, Outcome};

/// The entry that an example would have been made from: by its profile, with or without a person.
fn same(profile: &str, example: &Value) -> Option<Entry> {
    let name = profile.rsplit('.').next()?;
    let subtypes: Vec<&str> = at(example, "subtype.code").into_iter().filter_map(Value::as_str).collect();
    let kind = match name.trim_start_matches("Patient") {
        "Read" if subtypes.contains(&"vread") => EventKind::Vread,
        "Read" => EventKind::Read,
        "Query" => EventKind::Search,
        "Create" => EventKind::Create,
        "Update" => EventKind::Update,
        "Delete" => EventKind::Delete,
        "Source" => EventKind::Export,
        _ => return None,
    };
    let mut entry = full(kind);
    if !name.starts_with("Patient") && kind != EventKind::Export {
        entry.patient = None;
    }
    if example["agent"].as_array()?.len() < 3 {
        entry.agent.role = "integrator".into();
    }
    entry.records = vec![record("List", "ex-list", 1)];
    assert_eq!(entry.outcome, Outcome::Success);
    Some(entry)
}

/// `system|code` of all that stands at a path.
fn codes(value: &Value, path: &str) -> BTreeSet<String> {
    at(value, path).into_iter().map(|code| format!("{}|{}", code["system"], code["code"]).replace('"', "")).collect()
}

#[test]
fn the_codes_of_the_examples_are_ours() {
    let Some(folder) = tacet_testdata::folder("ihe-balp") else { return };
    let mut compared: BTreeSet<String> = BTreeSet::new();
    for (name, bytes) in tacet_testdata::each_file(&folder, ".json").filter(|(name, _)| name.starts_with("AuditEvent-"))
    {
        let example: Value = serde_json::from_slice(&bytes).unwrap();
        let profiles: Vec<&str> = at(&example, "meta.profile").into_iter().filter_map(Value::as_str).collect();
        let Some((profile, entry)) = profiles.iter().find_map(|profile| Some((*profile, same(profile, &example)?)))
        else {
            continue;
        };
        let ours = event(&entry);
        assert!(at(&ours, "meta.profile").contains(&&Value::from(profile)), "{name}: {profile}\n{ours:#}");
        for path in ["action", "outcome"] {
            assert_eq!(example[path], ours[path], "{name} {path}");
        }
        for path in ["type", "agent.type.coding", "entity.type", "entity.role", "subtype", "source.type"] {
            let (theirs, ours) = (codes(&example, path), codes(&ours, path));
            let missing: Vec<_> = theirs.difference(&ours).filter(|code| !is_choice(code)).collect();
            assert!(missing.is_empty(), "{name} {path}: {missing:?} not in {ours:?}");
        }
        compared.insert(format!("{}{}", entry.kind, if entry.patient.is_some() { " of a patient" } else { "" }));
    }
    assert!(compared.len() >= 9, "{compared:?}");
}

/// What an example shows as one of several choices: who wrote a record is told as its author, jobs and reports as records, a patch as the
/// update that it is, and who authorises a disclosure has no place in an entry; which type a record has
/// is no matter of the pattern.
fn is_choice(code: &str) -> bool {
    [
        "v3-ParticipationType|INF",
        "v3-ParticipationType|CST",
        "object-role|20",
        "object-role|3",
        "restful-interaction|patch",
        "restful-interaction|search-type",
        "restful-interaction|read",
        "security-source-type|1",
        "security-source-type|3",
        "snomed.info/sct|",
        "fhir/resource-types|",
        "BasicAuditEntityType|XrequestId",
    ]
    .iter()
    .any(|choice| code.contains(choice))
}
