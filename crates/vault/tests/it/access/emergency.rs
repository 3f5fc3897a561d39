//! Break-glass, and the rows of tables that it is kept in.

use super::{dr_a, noted, person, sees, ward};
use crate::house::*;
use pollster::block_on;
use tacet_ledger::people::BreakGlassRow;
use tacet_vault::{Caller, EventKind, Outcome, PurposeOfUse, Role, VaultError};

#[test]
fn an_emergency_opens_one_record_for_a_while_and_is_told() {
    let mut house = ward();
    let declare = |house: &House, caller: &Caller, patient: &str, minutes| {
        let text = "unconscious, arrived by ambulance";
        block_on(house.vault.break_glass(caller, &rid(patient), "vital-emergency", text, minutes))
    };
    assert!(!sees(&house, &dr_a(), "Observation", "other"));
    let (declared, entries) = noted(&house, || declare(&house, &dr_a(), "other", 30).unwrap());
    assert_eq!((entries.len(), entries[0].kind, entries[0].outcome), (1, EventKind::BreakGlass, Outcome::Success));
    assert_eq!(entries[0].patient, Some((kind("Patient"), rid("other"))));
    assert_eq!(entries[0].purpose, PurposeOfUse::BreakTheGlass);
    assert!(entries[0].detail.as_deref().unwrap().contains("ambulance"));
    let (read, entries) = noted(&house, || block_on(house.vault.read(&dr_a(), kind("Observation"), &rid("other"))));
    assert!(read.is_ok());
    assert_eq!(entries[0].basis.as_deref(), Some("break-glass by break-glass-read"));
    assert_eq!(entries[0].purpose, PurposeOfUse::BreakTheGlass);
    assert!(sees(&house, &dr_a(), "Observation", "other") && !sees(&house, &dr_a(), "Observation", "secret"));
    assert!(!sees(&house, &person(Role::Clinician, "dr-c"), "Observation", "other"), "for who declared it only");
    // The rows are there for the review and for the patient; a restart knows them.
    house.reopen();
    assert!(sees(&house, &dr_a(), "Observation", "other"));
    use tacet_ledger::noted::{NotedRows, Table};
    let row = house.vault.get(Table::BreakGlass, declared.id.as_bytes()).unwrap().unwrap();
    assert!(BreakGlassRow::decode(&row.value).unwrap().in_force(tacet_types::Timestamp::parse(START).unwrap()));
    let mut notices = 0;
    house
        .vault
        .scan(Table::Notices, &mut |_| {
            notices += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(notices, 2);
    block_on(house.vault.end_break_glass(&dr_a(), &declared.id)).unwrap();
    assert!(!sees(&house, &dr_a(), "Observation", "other"));
    // By itself, to the moment.
    declare(&house, &dr_a(), "other", 30).unwrap();
    house.clock.advance_ms(30 * 60_000 - 1);
    assert!(sees(&house, &dr_a(), "Observation", "other"));
    house.clock.advance_ms(1);
    assert!(!sees(&house, &dr_a(), "Observation", "other"));
    // Nobody who is not there, nobody who may not, no more than a few.
    assert!(matches!(declare(&house, &dr_a(), "absent", 30), Err(VaultError::NotFound)));
    let keeper = caller(Role::Administrator);
    assert!(matches!(declare(&house, &keeper, "other", 30), Err(VaultError::Forbidden)));
    assert!(declare(&house, &dr_a(), "other", 0).is_err());
    assert!(declare(&house, &dr_a(), "other", tacet_vault::BREAK_GLASS_MINUTES_MAX + 1).is_err());
    // Who is not there counts too.
    for _ in 3..tacet_vault::BREAK_GLASS_A_DAY_MAX {
        let declared = declare(&house, &dr_a(), "other", 5).unwrap();
        block_on(house.vault.end_break_glass(&dr_a(), &declared.id)).unwrap();
        house.clock.advance_ms(1000);
    }
    let (refused, entries) = noted(&house, || declare(&house, &dr_a(), "other", 5));
    assert!(matches!(refused, Err(VaultError::Busy { .. })));
    assert_eq!((entries.len(), entries[0].outcome), (1, Outcome::Refused));
}

#[test]
fn ids_are_not_tried_by_declaring_emergencies() {
    let house = ward();
    let declare = |caller: &Caller, patient: &str| {
        let text = "unconscious, arrived by ambulance";
        block_on(house.vault.break_glass(caller, &rid(patient), "vital-emergency", text, 5))
    };
    for number in 0..tacet_vault::BREAK_GLASS_A_DAY_MAX {
        assert!(matches!(declare(&dr_a(), &format!("absent-{number}")), Err(VaultError::NotFound)));
    }
    for patient in ["absent", "other"] {
        let (refused, entries) = noted(&house, || declare(&dr_a(), patient));
        assert!(matches!(refused, Err(VaultError::Busy { .. })), "{patient}");
        assert_eq!((entries.len(), entries[0].outcome), (1, Outcome::Refused));
        assert_eq!(entries[0].patient, None, "it was not looked for");
    }
    house.clock.advance_ms(86_400_000);
    assert!(declare(&dr_a(), "other").is_ok(), "another day");
    // Who may declare none at all is told the same of everybody.
    let pharmacist = person(Role::Pharmacist, "dr-a");
    let told = |patient: &str| {
        let (refused, entries) = noted(&house, || declare(&pharmacist, patient));
        (refused.unwrap_err().to_string(), entries.len(), entries[0].outcome, entries[0].patient.clone())
    };
    assert_eq!(told("other"), told("absent"));
}

#[test]
fn rows_of_tables_change_together_with_their_entries() {
    use std::ops::ControlFlow;
    use tacet_ledger::noted::{Expect, NotedRows, RowWrite, RowsError, Table};
    let mut house = House::new();
    let write = |name: &str, value: Option<&str>, expect| RowWrite {
        table: Table::Accounts,
        name: name.as_bytes().to_vec(),
        value: value.map(|value| value.as_bytes().to_vec()),
        expect,
    };
    let commit = |house: &House, writes| block_on(house.vault.commit(writes, Vec::new()));
    commit(&house, vec![write("a", Some("1"), Expect::Absent), write("b", Some("2"), Expect::Absent)]).unwrap();
    let row = house.vault.get(Table::Accounts, b"a").unwrap().unwrap();
    assert_eq!((row.name.as_slice(), row.value.as_slice()), (b"a".as_slice(), b"1".as_slice()));
    let stale = vec![write("c", Some("3"), Expect::Absent), write("b", None, Expect::Absent)];
    assert!(matches!(commit(&house, stale), Err(RowsError::Conflict)));
    assert!(house.vault.get(Table::Accounts, b"c").unwrap().is_none());
    commit(&house, vec![write("a", Some("1"), Expect::Revision(row.revision))]).unwrap();
    let again = house.vault.get(Table::Accounts, b"a").unwrap().unwrap();
    assert_ne!(again.revision, row.revision, "the same value, written again");
    let old = vec![write("a", None, Expect::Revision(row.revision))];
    assert!(matches!(commit(&house, old), Err(RowsError::Conflict)));
    house.reopen();
    let mut names = Vec::new();
    let scan = |table, names: &mut Vec<Vec<u8>>| {
        house.vault.scan(table, &mut |row| {
            names.push(row.name);
            ControlFlow::Continue(())
        })
    };
    scan(Table::Accounts, &mut names).unwrap();
    names.sort();
    assert_eq!(names, [b"a".to_vec(), b"b".to_vec()]);
    names.clear();
    scan(Table::Sessions, &mut names).unwrap();
    assert!(names.is_empty(), "tables are apart");
    house.assert_sound();
}
