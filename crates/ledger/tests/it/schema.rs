//! What the law and the standards ask of an access log is in the schema of entries: each field, and each kind of event.

use super::*;
use std::collections::BTreeSet;
use tacet_ledger::listing::{CSV_HEADER, entry_json};
use tacet_ledger::{AuditType, EventKind};

/// The lines of the table between two marks of a page, as cells.
fn table<'a>(page: &'a str, name: &str) -> Vec<Vec<&'a str>> {
    let (from, to) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let inside = page.split_once(&from).and_then(|(_, rest)| rest.split_once(&to)).unwrap().0;
    let lines = inside.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Regulation (EU) 2025/327, Annex II, section 3.2; ISO/IEC 27001:2022, control 8.15.
#[test]
fn every_field_that_is_asked_for_is_in_an_entry() {
    let mut entry = entry(1);
    entry.on_behalf_of = Some("Dr B".into());
    (entry.account, entry.session, entry.device) = (Some("a".into()), Some("s".into()), Some("d".into()));
    (entry.query, entry.detail, entry.basis) = (Some("q".into()), Some("x".into()), Some("g".into()));
    entry.agent.token = Some("t".into());
    entry.origin.address = Some("192.0.2.1".parse().unwrap());
    // What is set comes back from the sealed bytes, whole.
    let again = Entry::decode(&entry.encode().unwrap()).unwrap();
    assert!(again == entry);
    let value = entry_json(1, &again);
    let fields = value.as_object().unwrap();
    let page = include_str!("../../../../docs/ledger.md");
    let mut told = BTreeSet::new();
    for line in table(page, "fields") {
        let [asked, names] = line[..] else { panic!("{line:?}") };
        for name in names.split(", ").map(|name| name.trim_matches('`')) {
            let field = fields.get(name).unwrap_or_else(|| panic!("no field `{name}` for {asked}"));
            assert!(!field.is_null(), "`{name}` was set and did not come back");
            told.insert(name);
        }
    }
    let all: BTreeSet<&str> = fields.keys().map(String::as_str).filter(|name| *name != "index").collect();
    assert_eq!(told, all, "docs/ledger.md tells every field");
    assert!(all.iter().all(|name| CSV_HEADER.split(',').any(|column| column.trim() == *name)), "CSV has them too");
    for needed in
        ["owner", "on_behalf_of", "patient", "categories", "at", "address", "purpose", "outcome", "query", "kind"]
    {
        assert!(all.contains(needed), "{needed}");
    }
}

#[test]
fn every_kind_of_event_that_an_audit_holds_can_be_written() {
    assert_eq!(AuditType::ALL.len(), 16);
    let names: Vec<&str> = AuditType::ALL.iter().map(|kind| kind.as_str()).collect();
    let asked = [
        "login",
        "login-failed",
        "logout",
        "read",
        "create",
        "update",
        "delete",
        "print-or-export",
        "query",
        "break-glass",
        "rights-change",
        "configuration-change",
        "key-event",
        "backup",
        "restore",
        "log-access",
    ];
    assert_eq!(names, asked);
    let page = include_str!("../../../../docs/formats/ledger.md");
    for audit_type in AuditType::ALL {
        let kinds: Vec<_> = EventKind::ALL.iter().filter(|kind| kind.audit_type() == Some(*audit_type)).collect();
        assert!(!kinds.is_empty(), "{audit_type}");
        for kind in kinds {
            let entry = Entry { kind: *kind, ..entry(1) };
            assert_eq!(Entry::decode(&entry.encode().unwrap()).unwrap().kind, *kind);
            assert!(page.contains(&format!("| `{}` |", kind.as_str())), "{kind}");
        }
    }
    let uncounted: Vec<_> = EventKind::ALL.iter().filter(|kind| kind.audit_type().is_none()).collect();
    assert_eq!(uncounted, [&EventKind::DrillHeld, &EventKind::Start, &EventKind::Stop, &EventKind::Check]);
}
