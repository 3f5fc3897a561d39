//! Lockdown: what it refuses, what goes on, that it survives, and that it is lifted whole.

use crate::house::*;
use pollster::block_on;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tacet_ledger::noted::{Expect, NotedRows, RowWrite, Table};
use tacet_ledger::{EventKind, Outcome};
use tacet_store::memory::{Crash, Effect, Operation};
use tacet_types::Clock;
use tacet_vault::{
    CopyScope, ImportOptions, ImportUnit, LOCKS_MAX, LOCKS_WINDOW_MS, LockdownCause, LockdownLevel, MetaChange, Patch,
    ReadOnly, ReturnPreference, Role, VaultError,
};

fn lock(house: &House, level: LockdownLevel) -> Result<tacet_vault::Lockdown, VaultError> {
    block_on(house.vault.lock(&caller(Role::SecurityOfficer), level, LockdownCause::Person, "ransom note found"))
}

fn lift(house: &House) -> Option<tacet_vault::LockdownLifted> {
    block_on(house.vault.lift(&caller(Role::SecurityOfficer), "approval x", None)).unwrap()
}

fn filled() -> House {
    let house = House::new();
    house.put("Patient", "a", &patient("a", "Un")).unwrap();
    house.put("Patient", "b", &patient("b", "Deux")).unwrap();
    house.put("Observation", "o", &observation("o", "a", "70")).unwrap();
    house
}

/// Every way in which records change, and whether it was refused for the mode.
fn ways(house: &House, directory: &std::path::Path) -> Vec<(&'static str, Result<(), VaultError>)> {
    let (vault, who) = (&house.vault, clinician());
    let criteria = [("identifier".to_owned(), "urn:x|1".to_owned())];
    let numbered = r#"{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"1"}]}"#;
    let bundle = |kind: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{{"resource":{},"request":{{"method":"PUT","url":"Patient/c"}}}}]}}"#,
            patient("c", "Trois")
        )
    };
    let json_patch = br#"[{"op":"add","path":"/gender","value":"female"}]"#;
    let add = br#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"urn:t","code":"x"}]}}]}"#;
    let unit = patient("imported", "Quatre");
    let options = ImportOptions { strict: false, again: true, base_url: BASE_URL };
    let copy = crate::copies::request(CopyScope::System);
    let _ = block_on(vault.keep_copies_in(directory, &caller(Role::Operator)));
    let subscription = r#"{"resourceType":"Subscription","id":"s","status":"requested","reason":"r","criteria":"Observation?code=x","channel":{"type":"rest-hook","endpoint":"https://x.example/h"}}"#;
    let patched = |patch: Patch<'_>| block_on(vault.patch(&who, kind("Patient"), &rid("a"), &patch, BASE_URL, None));
    vec![
        ("create", block_on(vault.create(&who, kind("Patient"), numbered.as_bytes(), BASE_URL)).map(drop)),
        ("update", house.put("Patient", "a", &patient("a", "Autre")).map(drop)),
        ("update as create", house.put("Patient", "new", &patient("new", "Autre")).map(drop)),
        ("delete", house.delete("Observation", "o").map(drop)),
        ("json patch", patched(Patch::Json(json_patch)).map(drop)),
        ("merge patch", patched(Patch::Merge(br#"{"gender":"female"}"#)).map(drop)),
        (
            "conditional create",
            block_on(vault.create_conditional(&who, kind("Patient"), numbered.as_bytes(), BASE_URL, &criteria)).map(drop),
        ),
        (
            "conditional update",
            block_on(vault.update_conditional(&who, kind("Patient"), numbered.as_bytes(), BASE_URL, &criteria, None))
                .map(drop),
        ),
        (
            "conditional delete",
            block_on(vault.delete_conditional(&who, kind("Patient"), BASE_URL, &[("_id".into(), "b".into())])).map(drop),
        ),
        (
            "transaction",
            block_on(vault.bundle(&who, bundle("transaction").as_bytes(), BASE_URL, ReturnPreference::Minimal)).map(drop),
        ),
        (
            "meta",
            block_on(vault.change_meta(&who, kind("Patient"), &rid("a"), MetaChange::Add, add, None)).map(drop),
        ),
        (
            "import",
            block_on(vault.import(&who, &ImportUnit::Resources(vec![(1, unit.as_bytes())]), options)).map(drop),
        ),
        ("subscription", house.put("Subscription", "s", subscription).map(drop)),
        ("definition", house.put("CodeSystem", "cs", r#"{"resourceType":"CodeSystem","id":"cs","url":"urn:cs","status":"active","content":"complete","concept":[{"code":"a"}]}"#).map(drop)),
        ("copy", block_on(vault.begin_copy(&who, copy)).map(drop)),
        ("erase", block_on(vault.erase(&caller(Role::Operator), &rid("b"))).map(drop)),
    ]
}

fn rows(house: &House) -> Vec<usize> {
    [0x01, 0x02, 0x03, 0x04, 0x05, 0x07, 0x08, 0x0b, 0x0c, 0x0e].map(|space| house.disk_rows(space)).to_vec()
}

#[test]
fn every_way_to_change_records_is_refused_and_reading_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let house = filled();
    lock(&house, LockdownLevel::ReadOnly).unwrap();
    let before = rows(&house);
    for (way, done) in ways(&house, directory.path()) {
        let refused = matches!(done, Err(VaultError::ReadOnly(ReadOnly::Lockdown)));
        assert!(refused, "{way}: {:?}", done.map_err(|error| error.to_string()));
    }
    // A batch says it entry by entry.
    let batch = format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"resource":{},"request":{{"method":"PUT","url":"Patient/c"}}}},{{"request":{{"method":"GET","url":"Patient/a"}}}}]}}"#,
        patient("c", "Trois")
    );
    let told =
        block_on(house.vault.bundle(&clinician(), batch.as_bytes(), BASE_URL, ReturnPreference::Minimal)).unwrap();
    let told = String::from_utf8(told.to_vec()).unwrap();
    assert!(told.contains("503 Service Unavailable") && told.contains("200"), "{told}");
    // A transaction that only reads goes on.
    let reads =
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"Patient/a"}}]}"#;
    assert!(block_on(house.vault.bundle(&clinician(), reads.as_bytes(), BASE_URL, ReturnPreference::Minimal)).is_ok());
    assert!(house.read("Patient", "a").unwrap().contains("Un"));
    assert_eq!(rows(&house), before, "no row of a record changed");
    let until = house.clock.now().plus_ms(60_000);
    assert!(block_on(house.vault.create_token(&caller(Role::Operator), "PACS", Role::Integrator, until)).is_ok());
    house.assert_sound();

    lift(&house).unwrap();
    for (way, done) in ways(&house, directory.path()) {
        // After the conditional create there is one, which the conditional update finds; what was made stands twice then.
        assert!(done.is_ok(), "{way} after the lift: {:?}", done.map_err(|error| error.to_string()));
    }
}

#[test]
fn a_restore_refuses_the_same_until_it_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let house = filled();
    house.vault.set_restoring(Some(41));
    for (way, done) in ways(&house, directory.path()) {
        assert!(matches!(done, Err(VaultError::ReadOnly(ReadOnly::Restoring { percent: 41 }))), "{way}");
    }
    assert!(house.read("Patient", "a").is_ok());
    house.vault.set_restoring(None);
    assert!(house.put("Patient", "a", &patient("a", "Autre")).is_ok());
}

#[test]
fn a_lockdown_is_written_down_with_its_entry_and_survives_starts_and_kills() {
    let mut house = filled();
    let lockdown = lock(&house, LockdownLevel::ReadOnly).unwrap();
    let entry = house.ledger().pop().unwrap();
    assert_eq!((entry.kind, entry.outcome), (EventKind::Lockdown, Outcome::Success));
    assert!(entry.detail.unwrap().contains("ransom note found"));
    assert_eq!(house.disk_rows(0x0d), 3, "the row and two notices");
    for _ in 0..2 {
        assert!(matches!(house.put("Patient", "a", &patient("a", "X")), Err(VaultError::ReadOnly(_))));
        house.reopen();
        assert_eq!(house.vault.lockdown().unwrap(), Some(lockdown.clone()));
        assert_eq!(house.vault.lockdown_level(), Some(LockdownLevel::ReadOnly));
    }
    let index = tempfile::tempdir().unwrap();
    house.kill(index.path());
    assert_eq!(house.vault.lockdown_level(), Some(LockdownLevel::ReadOnly));
    // Locked again at the same level: nothing changes. Raised: the same lockdown.
    assert_eq!(lock(&house, LockdownLevel::ReadOnly).unwrap(), lockdown);
    let raised = lock(&house, LockdownLevel::Cut).unwrap();
    assert_eq!((raised.id.as_str(), raised.level), (lockdown.id.as_str(), LockdownLevel::Cut));
    assert_ne!(raised.lift_words(), lockdown.lift_words(), "what was allowed for the lower level lifts no more");
    assert_eq!(lock(&house, LockdownLevel::ReadOnly).unwrap().level, LockdownLevel::Cut, "never lowered");

    let lifted = lift(&house).unwrap();
    assert!(!lifted.restart);
    assert_eq!(house.ledger().pop().unwrap().kind, EventKind::LockdownLifted);
    assert!(lift(&house).is_none());
    house.reopen();
    assert_eq!((house.vault.lockdown_level(), house.vault.lockdown().unwrap()), (None, None));
    let history = house.vault.lifted_lockdowns().unwrap();
    assert_eq!((history.len(), history[0].lifted_by.as_deref()), (1, Some("approval x")));
    assert!(house.put("Patient", "a", &patient("a", "X")).is_ok());
    house.assert_sound();
}

#[test]
fn a_kill_at_any_write_leaves_the_lock_whole_or_absent() {
    for nth in 0..3 {
        let mut house = filled();
        house.faults.inject(Operation::Write, nth, Effect::Fail);
        let done = lock(&house, LockdownLevel::ReadOnly);
        assert!(house.put("Patient", "a", &patient("a", "X")).is_err(), "locked or failed, and nothing changes");
        let entries = |house: &House| house.ledger().iter().filter(|entry| entry.kind == EventKind::Lockdown).count();
        house.disk = house.disk.crash(Crash::KeepSynced);
        house.reopen();
        let locked = house.vault.lockdown_level().is_some();
        assert!(locked || done.is_err(), "what was acknowledged stands");
        assert_eq!(entries(&house), usize::from(locked), "row and entry together, or neither");
    }
}

#[test]
fn sealed_drops_the_keys_until_the_store_is_opened_anew() {
    let mut house = filled();
    lock(&house, LockdownLevel::Sealed).unwrap();
    assert!(house.vault.keys_are_locked());
    for _ in 0..2 {
        assert!(matches!(house.read("Patient", "a"), Err(VaultError::Sealed)));
        let refused = house.ledger().into_iter().rfind(|entry| entry.kind == EventKind::Read).unwrap();
        assert_eq!((refused.kind, refused.outcome, refused.records.len()), (EventKind::Read, Outcome::Refused, 0));
        assert!(matches!(block_on(house.vault.rewrap(&caller(Role::Operator), &mut |_| {})), Err(VaultError::Sealed)));
        // Opening it anew, with the passphrase, does not lift it.
        house.reopen();
    }
    let lifted = lift(&house).unwrap();
    assert!(lifted.restart, "the keys come back with the next start");
    assert!(matches!(house.read("Patient", "a"), Err(VaultError::Sealed)));
    house.reopen();
    assert!(house.read("Patient", "a").is_ok());
    house.assert_sound();
}

#[test]
fn an_account_that_locks_again_and_again_is_refused_and_others_are_not() {
    let house = filled();
    let of = |account: &str| tacet_vault::Caller { account: Some(account.to_owned()), ..caller(Role::Administrator) };
    let lock =
        |account| block_on(house.vault.lock(&of(account), LockdownLevel::ReadOnly, LockdownCause::Person, "because"));
    for _ in 0..LOCKS_MAX {
        lock("rogue").unwrap();
        lift(&house).unwrap();
    }
    assert!(matches!(lock("rogue"), Err(VaultError::NotAllowed(_))));
    assert!(house.vault.read_only().is_none(), "a refused lock locks nothing");
    lock("another").unwrap();
    lift(&house).unwrap();
    house.clock.advance_ms(LOCKS_WINDOW_MS);
    assert!(lock("rogue").is_ok());
    for reason in ["", " \r\n ", &"x".repeat(501)] {
        lift(&house);
        assert!(
            block_on(house.vault.lock(&of("x"), LockdownLevel::Cut, LockdownCause::Person, reason)).is_err()
                && house.vault.read_only().is_none()
        );
    }
}

/// A token that is nobody's account is bounded as an account is; who stands at the machine, and tripwires, are not.
#[test]
fn a_token_without_an_account_locks_no_more_often_than_an_account() {
    let house = filled();
    let by = |owner: &str, cause| {
        let who = tacet_vault::Caller { owner: owner.to_owned(), ..caller(Role::Administrator) };
        block_on(house.vault.lock(&who, LockdownLevel::ReadOnly, cause, "because"))
    };
    for cause in [LockdownCause::Machine, LockdownCause::Tripwire] {
        for _ in 0..=LOCKS_MAX {
            by("script", cause).unwrap();
            lift(&house).unwrap();
        }
    }
    for _ in 0..LOCKS_MAX {
        by("script", LockdownCause::Person).unwrap();
        lift(&house).unwrap();
    }
    assert!(matches!(by("script", LockdownCause::Person), Err(VaultError::NotAllowed(_))));
    assert!(house.vault.read_only().is_none());
    by("another", LockdownCause::Person).unwrap();
    lift(&house).unwrap();
    house.clock.advance_ms(LOCKS_WINDOW_MS);
    assert!(by("script", LockdownCause::Person).is_ok());
}

#[test]
fn a_lift_that_does_not_use_up_its_approval_lifts_nothing() {
    let house = filled();
    lock(&house, LockdownLevel::ReadOnly).unwrap();
    let entry = house.ledger().pop().unwrap();
    // The approval's row was changed meanwhile.
    let write = RowWrite {
        table: Table::Approvals,
        name: b"v".to_vec(),
        value: Some(b"used".to_vec()),
        expect: Expect::Revision(7),
    };
    let lifted = block_on(house.vault.lift(&caller(Role::SecurityOfficer), "approval v", Some((write, entry))));
    assert!(matches!(lifted, Err(VaultError::Conflict)));
    assert_eq!(house.vault.lockdown_level(), Some(LockdownLevel::ReadOnly));
    assert!(house.vault.get(Table::Approvals, b"v").unwrap().is_none());
}

#[test]
fn what_changes_and_deletes_is_counted_by_caller_and_what_creates_is_not() {
    let house = filled();
    let counted = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&counted);
    house.vault.watch_rewriting(move |caller, records| {
        assert_eq!(caller, "the machine");
        sum.fetch_add(records, Ordering::Relaxed);
    });
    house.put("Patient", "c", &patient("c", "Trois")).unwrap();
    assert_eq!(counted.load(Ordering::Relaxed), 0);
    house.put("Patient", "c", &patient("c", "Quatre")).unwrap();
    house.delete("Patient", "c").unwrap();
    assert_eq!(counted.load(Ordering::Relaxed), 2);
}

/// A tripwire's entry is told to security officers and to the SIEM, and to the figures.
#[test]
fn an_alarm_is_an_entry_notices_and_a_figure() {
    let house = filled();
    let before = house.disk_rows(0x0d);
    block_on(house.vault.note_tripwire(&caller(Role::Operator), "decoy-changed", "hard, 1 of 4 decoys changed"))
        .unwrap();
    let entry = house.ledger().pop().unwrap();
    assert_eq!(
        (entry.kind, entry.detail.as_deref()),
        (EventKind::Tripwire, Some("decoy-changed: hard, 1 of 4 decoys changed"))
    );
    assert_eq!(house.disk_rows(0x0d), before + 2);
    assert_eq!(house.vault.statistics().tripwires, 1);
}
