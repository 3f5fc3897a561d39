//! Years of a house: months of the ledger end by rule, and nothing of what they said is left.

use crate::house::*;
use pollster::block_on;
use std::path::Path;
use std::sync::Arc;
use tacet_ledger::index::Question;
use tacet_ledger::{Epoch, EpochState, Opening};
use tacet_seal::{InProcessKeeper, SecureRng};
use tacet_search::request::{Handling, Scope};
use tacet_store::memory::{Crash, Effect, Faults, MemoryEngine, Operation};
use tacet_store::{Durability, Engine, Reader, Write};
use tacet_tlog::merkle::proof::verify_consistency;
use tacet_types::{Clock, Timestamp};
use tacet_vault::{
    Caller, EventKind, LedgerLine, LedgerOrder, MonthStep, Role, SearchCall, SearchPage, Vault, VaultError,
};

const DAY_MS: i64 = 24 * 3_600_000;

/// Where the keys of months are (docs/formats/ledger.md).
const MONTH_KEYS: u8 = 0x13;

fn auditor() -> Caller {
    Caller { owner: "Eve Auditor".into(), ..caller(Role::Auditor) }
}

fn operator() -> Caller {
    Caller { owner: "tacet: retention".into(), ..caller(Role::Operator) }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A house in which somebody reads one record every ten days and the rule runs each time, for so many days.
fn live(house: &House, days: i64, keep_years: u16) {
    for day in (0..days).step_by(10) {
        if day > 0 {
            house.clock.advance_ms(10 * DAY_MS);
        }
        house.read("Patient", "p1").unwrap();
        block_on(house.vault.retain_ledger(&operator(), keep_years)).unwrap();
    }
}

fn with_patients(directory: &Path) -> House {
    let house = House::new();
    house.vault.keep_ledger_index_in(directory, false).unwrap();
    house.put("Patient", "p1", &patient("p1", "Un")).unwrap();
    house.put("Patient", "p2", &patient("p2", "Deux")).unwrap();
    house
}

fn reopened(house: &mut House, directory: &Path) {
    house.reopen();
    house.vault.keep_ledger_index_in(directory, false).unwrap();
}

fn of_patient(id: &str) -> Question {
    Question { patient: Some((kind("Patient"), rid(id))), ..Question::default() }
}

fn all(house: &House, question: &Question) -> Vec<LedgerLine> {
    let mut reading = block_on(house.vault.read_ledger(&auditor(), question, LedgerOrder::OldestFirst, None)).unwrap();
    let mut lines = Vec::new();
    while !reading.is_done() {
        lines.extend(reading.next(1000).unwrap());
    }
    lines
}

fn search(house: &House, caller: &Caller, criteria: &[(&str, &str)]) -> Result<SearchPage, VaultError> {
    let call = SearchCall {
        scope: Scope::Type(kind("AuditEvent")),
        parameters: criteria.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        handling: Handling::Strict,
        cursor: None,
        base_url: BASE_URL.to_owned(),
    };
    block_on(house.vault.search_audit(caller, &call))
}

fn said(page: &SearchPage) -> Vec<String> {
    page.issues.iter().map(|issue| issue.message.clone()).collect()
}

/// Writes into the store as whoever has its disk.
fn tamper(house: &mut House, change: impl Fn(&dyn Reader) -> Vec<Write>) {
    house.vault.clone().close().unwrap();
    let engine = MemoryEngine::open(&house.disk, Faults::default());
    let writes = change(&engine);
    engine.write(&writes, Durability::Durable).unwrap();
    drop(engine);
}

fn key_rows(reader: &dyn Reader) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    reader
        .range(&[MONTH_KEYS], &[MONTH_KEYS + 1], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

#[test]
fn over_four_years_what_is_past_its_time_ends_and_everybody_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut house = with_patients(directory.path());
    let begun = house.clock.now();
    assert_eq!(begun, at(START));
    // A year, and a receipt that somebody carries away.
    live(&house, 360, 3);
    let early = all(&house, &of_patient("p1")).len();
    assert!(early > 36, "{early}");
    house.vault.name_log(None).unwrap();
    house.vault.publish_now().unwrap();
    let carried = block_on(house.vault.receipt(&auditor(), 5)).unwrap();
    assert_eq!(house.vault.ledger_kept().unwrap(), None);
    live(&house, 3 * 365, 3);
    let now = house.clock.now();
    assert!(now > at("2030-02-01T00:00:00Z") && now < at("2030-03-10T00:00:00Z"), "{now}");

    // The months of the first year are over: each was announced, and destroyed once, with an entry of each.
    let kept = house.vault.ledger_kept().unwrap().unwrap();
    let since = Epoch::of(now.plus_ms(-3 * 365 * DAY_MS)).begins();
    assert!(kept.since <= since && kept.since >= since.plus_ms(-40 * DAY_MS), "{} {since}", kept.since);
    let size = house.vault.ledger_head().unwrap().unwrap().size();
    let entries: Vec<_> = (kept.first_entry..size).map(|index| house.vault.ledger_entry(index).unwrap()).collect();
    assert!((0..kept.first_entry).all(|index| house.vault.ledger_entry(index).is_err()));
    assert!(entries.iter().all(|entry| entry.at >= kept.since));
    let destroyed: Vec<String> = entries
        .iter()
        .filter(|entry| entry.kind == EventKind::LedgerKeyDestroyed)
        .map(|entry| entry.detail.clone().unwrap())
        .collect();
    assert!(destroyed[0].starts_with("ledger key of 2026-03 (epoch 24314)"), "{destroyed:?}");
    assert!((10..=12).contains(&destroyed.len()), "{destroyed:?}");
    let announced = entries
        .iter()
        .filter(|entry| entry.kind == EventKind::KeyEvent)
        .filter(|entry| entry.detail.as_deref().is_some_and(|detail| detail.contains("will be destroyed")));
    assert!(announced.count() >= destroyed.len());

    // The tree is whole, and the store in order.
    let verification = house.vault.verify_ledger(&mut |_, _| ()).unwrap();
    assert!(verification.is_sound(), "{:?}", verification.problems);
    assert_eq!(verification.without_key, kept.first_entry);
    house.assert_sound();

    // Who asks is told from when on, and how many are past their time where all are asked for.
    house.vault.bring_up_ledger_index(&mut |_, _| {}).unwrap();
    let lines = all(&house, &of_patient("p1"));
    assert!(!lines.is_empty() && lines.iter().all(|line| matches!(line, LedgerLine::Entry { .. })));
    let page = block_on(house.vault.ask_ledger(&auditor(), &of_patient("p1"), LedgerOrder::OldestFirst, 9, None));
    let page = page.unwrap();
    assert_eq!((page.kept_since, page.unread), (Some(kept.since), 0));
    let everything = all(&house, &Question::default());
    let expired = everything.iter().filter(|line| matches!(line, LedgerLine::Expired { .. })).count();
    assert_eq!(expired as u64, kept.first_entry);
    let extent = block_on(house.vault.session_extent(&auditor(), "s-1")).unwrap();
    assert_eq!(extent.kept_since, Some(kept.since));
    let told = block_on(house.vault.patient_ledger(
        &auditor(),
        &rid("p1"),
        (begun, house.clock.now().plus_ms(1)),
        &mut |_| std::ops::ControlFlow::Continue(()),
    ));
    let told = told.unwrap();
    assert_eq!((told.kept_since, told.began, told.unread), (Some(kept.since), None, 0));

    // AuditEvents: the last page says it, a search of later days does not.
    let words = format!("entries of before {} are past their time", kept.since);
    let page = search(&house, &auditor(), &[("patient", "p1"), ("_count", "1000")]).unwrap();
    assert!(page.next.is_none() && page.entries.len() > 100, "{}", page.entries.len());
    assert!(said(&page).iter().any(|said| said.starts_with(&words)), "{:?}", said(&page));
    let page = search(&house, &auditor(), &[("patient", "p1"), ("date", "ge2029-06-01")]).unwrap();
    assert_eq!(said(&page), Vec::<String>::new());
    let page = search(&house, &auditor(), &[("patient", "p1"), ("_count", "1")]).unwrap();
    assert!(page.next.is_some() && page.issues.is_empty(), "only the last page says it");
    let gone = block_on(house.vault.read_audit(&auditor(), &rid(&tacet_audit::event_id(5)), BASE_URL));
    assert!(matches!(gone, Err(VaultError::PastItsTime)), "{:?}", gone.map(|_| ()));

    // Feeds go on over what is gone; a receipt that was carried away still proves.
    let sent = house.vault.feed_entries(0, 1000).unwrap();
    assert!(sent.iter().take(kept.first_entry as usize).all(|(_, entry)| entry.is_none()));
    let carried = tacet_tlog::Receipt::parse(carried.encode().as_bytes()).unwrap();
    let opening = Opening::parse(carried.extra.as_deref().unwrap()).unwrap();
    let keys = house.vault.name_log(None).unwrap().1;
    carried.verify(&opening.leaf(), &keys, &tacet_tlog::policy::WitnessPolicy::default(), 0).unwrap();
    assert_eq!(opening.entry().unwrap().kind, EventKind::Read);
    house.vault.publish_now().unwrap();
    assert!(block_on(house.vault.receipt(&auditor(), 5)).is_err(), "no other is made");
    // The checkpoint of the first year leads to the present one.
    let signed = house.vault.publish_now().unwrap().unwrap();
    let (old, new) = (carried.checkpoint.checkpoint(), signed.checkpoint());
    let proof = house.vault.log_consistency(old.size(), new.size()).unwrap();
    assert!(verify_consistency(old.size(), &old.root(), new.size(), &new.root(), &proof));

    // And all of it after a start.
    reopened(&mut house, directory.path());
    assert_eq!(house.vault.ledger_kept().unwrap(), Some(kept));
    assert!(house.vault.ledger_entry(5).is_err());
    house.assert_sound();
}

#[test]
fn a_receipt_of_destroyed_words_is_not_in_files_or_rows() {
    // The index of the ledger knows entries by keyed hashes: the same keys are looked for in every byte before and after.
    let directory = tempfile::tempdir().unwrap();
    let mut house = with_patients(directory.path());
    live(&house, 30, 3);
    // Enough for a segment of the index, and its end.
    for _ in 0..1100 {
        house.read("Patient", "p2").unwrap();
    }
    reopened(&mut house, directory.path());
    house.vault.bring_up_ledger_index(&mut |_, _| {}).unwrap();
    house.vault.clone().close().unwrap();
    let files = |directory: &Path| -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
        entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
    };
    let before = files(directory.path());
    let segments = |files: &[(String, Vec<u8>)]| files.iter().filter(|(name, _)| name.len() == 32).count();
    assert_eq!(segments(&before), 1, "the month is in a file of the index");
    let march = {
        let engine = MemoryEngine::open(&house.disk, Faults::default());
        key_rows(&engine).remove(0)
    };

    // Three years later nothing is left: neither the wrapped key in its row, nor a file of the index that knew of it.
    house.clock.advance_ms(3 * 366 * DAY_MS);
    reopened(&mut house, directory.path());
    live(&house, 70, 3);
    let kept = house.vault.ledger_kept().unwrap().unwrap();
    assert!(kept.first_entry > 1100, "{kept:?}");
    let after = files(directory.path());
    let kept_files: Vec<&str> = after
        .iter()
        .filter(|(name, _)| before.iter().any(|(old, _)| old == name))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(kept_files, ["CURRENT"], "the manifest, and it is another");
    assert!(before.iter().all(|(_, bytes)| after.iter().all(|(_, other)| other != bytes)));
    let engine = MemoryEngine::open(&house.disk, Faults::default());
    let rows = key_rows(&engine);
    let destroyed = rows.iter().find(|(key, _)| *key == march.0).unwrap();
    assert_eq!(destroyed.1, [&march.1[..3], b"erased"].concat());
    let wrapped = &march.1[3..];
    let mut found = 0;
    engine
        .range(&[0], &[0xff], &mut |_, value| {
            found += usize::from(value.windows(wrapped.len()).any(|bytes| bytes == wrapped));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(found, 0, "no row has the key any more");

    // Somebody brings the old files back: they know of what has ended, and are not taken.
    house.vault.clone().close().unwrap();
    for (name, bytes) in &before {
        std::fs::write(directory.path().join(name), bytes).unwrap();
    }
    reopened(&mut house, directory.path());
    let of_p2 = |house: &House| all(house, &of_patient("p2"));
    house.vault.bring_up_ledger_index(&mut |_, _| {}).unwrap();
    assert!(
        of_p2(&house).iter().all(|line| matches!(line, LedgerLine::Entry { .. })),
        "nobody knows of the 1100 reads"
    );
    let after = files(directory.path());
    assert!(
        before.iter().filter(|(name, _)| name.len() == 32).all(|(name, _)| after.iter().all(|(left, _)| left != name))
    );
}

#[test]
fn a_shortened_setting_is_announced_and_can_be_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let house = with_patients(directory.path());
    live(&house, 4 * 365, 6);
    assert_eq!(house.vault.ledger_kept().unwrap(), None);
    let keep = |years| block_on(house.vault.retain_ledger(&operator(), years));
    for years in [0, 1, 2, 21] {
        assert!(matches!(keep(years), Err(VaultError::NotSupported(_))), "{years}");
    }
    let planned = house.vault.plan_retention(3).unwrap();
    assert_eq!(planned.changed_from, Some(6));
    assert!(planned.of(MonthStep::Announce).count() > 10 && planned.of(MonthStep::Destroy).count() == 0);
    let before = house.ledger().len();
    let planned_again = house.vault.plan_retention(3).unwrap();
    assert_eq!((planned_again, house.ledger().len()), (planned, before), "looking changes nothing");

    keep(3).unwrap();
    let noted: Vec<(EventKind, String)> =
        house.ledger()[before..].iter().map(|entry| (entry.kind, entry.detail.clone().unwrap())).collect();
    assert_eq!(noted.len(), 2, "{noted:?}");
    assert!(noted[0].0 == EventKind::ConfigurationChange && noted[0].1.contains("is 3, and was 6"), "{noted:?}");
    assert!(noted[1].0 == EventKind::KeyEvent && noted[1].1.contains("2026-03 to 20"), "{noted:?}");
    house.clock.advance_ms(29 * DAY_MS);
    keep(3).unwrap();
    assert_eq!(house.vault.ledger_kept().unwrap(), None, "not yet");
    // Somebody saw it.
    keep(6).unwrap();
    let last: Vec<String> = house.ledger().iter().rev().take(2).map(|entry| entry.detail.clone().unwrap()).collect();
    assert!(last[0].contains("will not be destroyed yet") && last[1].contains("is 6, and was 3"), "{last:?}");
    house.clock.advance_ms(5 * DAY_MS);
    keep(6).unwrap();
    assert_eq!(house.vault.ledger_kept().unwrap(), None);
    // Nobody did: a month later they are gone.
    keep(3).unwrap();
    house.clock.advance_ms(30 * DAY_MS);
    let done = keep(3).unwrap();
    assert!(done.of(MonthStep::Destroy).count() > 10);
    assert!(house.vault.ledger_kept().unwrap().is_some());
    assert!(keep(3).unwrap().of(MonthStep::Destroy).count() == 0, "once");
    house.assert_sound();
}

#[test]
fn a_clock_that_is_wrong_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut house = with_patients(directory.path());
    live(&house, 100, 3);
    let right = house.clock.now();
    // Ten years ahead, for a day.
    house.clock.advance_ms(3650 * DAY_MS);
    let found = block_on(house.vault.retain_ledger(&operator(), 3)).unwrap();
    assert!(found.of(MonthStep::Announce).count() >= 2);
    house.read("Patient", "p1").unwrap();
    house.clock.advance_ms(DAY_MS - 3650 * DAY_MS - DAY_MS);
    assert_eq!(house.clock.now(), right);
    let found = block_on(house.vault.retain_ledger(&operator(), 3)).unwrap();
    assert_eq!(found.of(MonthStep::Kept).count(), found.months.len(), "what was announced is taken back");
    assert!(found.ahead.is_some(), "and it is said that entries are kept longer now");
    house.read("Patient", "p1").unwrap();
    // Set back to before the first entry: everything goes on.
    house.clock.advance_ms(-3000 * DAY_MS);
    house.read("Patient", "p1").unwrap();
    house.put("Patient", "p3", &patient("p3", "Trois")).unwrap();
    block_on(house.vault.retain_ledger(&operator(), 3)).unwrap();
    reopened(&mut house, directory.path());
    assert_eq!(house.vault.ledger_kept().unwrap(), None);
    house.ledger();
    house.assert_sound();
}

#[test]
fn a_stop_at_any_write_of_the_rule_leaves_a_store_that_goes_on() {
    let prepared = || {
        let house = House::new();
        house.put("Patient", "p1", &patient("p1", "Un")).unwrap();
        house.clock.advance_ms(40 * DAY_MS);
        house.read("Patient", "p1").unwrap();
        house.clock.advance_ms(40 * DAY_MS);
        house.read("Patient", "p1").unwrap();
        house.clock.advance_ms(3 * 366 * DAY_MS);
        house
    };
    // Announced, and a month later destroyed.
    let rule = |house: &House| -> Result<(), VaultError> {
        block_on(house.vault.retain_ledger(&operator(), 3))?;
        house.clock.advance_ms(31 * DAY_MS);
        block_on(house.vault.retain_ledger(&operator(), 3)).map(|_| ())
    };
    let mut stopped = 0;
    for (operation, effect) in [
        (Operation::Write, Effect::Fail),
        (Operation::Write, Effect::Tear { bytes: 30 }),
        (Operation::Sync, Effect::Fail),
        (Operation::WitnessWrite, Effect::Fail),
    ] {
        for nth in 0..6 {
            let house = prepared();
            house.faults.inject(operation, nth, effect);
            stopped += usize::from(rule(&house).is_err());
            for crash in [Crash::KeepSynced, Crash::KeepAll, Crash::KeepBytes(40)] {
                let what = format!("{operation:?} {nth} {effect:?} {crash:?}");
                let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::open(&house.disk.crash(crash), Faults::default()));
                let vault = Vault::open(engine, house.keeper.clone(), options(&house.clock)).unwrap();
                let report = block_on(vault.check(&caller(Role::Operator), &mut |_| {})).unwrap();
                assert_eq!(report.findings, [], "{what}");
                // The rule goes on where it was stopped.
                block_on(vault.retain_ledger(&operator(), 3)).unwrap();
                house.clock.advance_ms(31 * DAY_MS);
                let done = block_on(vault.retain_ledger(&operator(), 3)).unwrap();
                let gone = done
                    .months
                    .iter()
                    .filter(|month| month.step == MonthStep::Destroy || month.state == EpochState::Destroyed);
                assert_eq!(gone.count(), 3, "{what}: {:?}", done.months);
                let report = block_on(vault.check(&caller(Role::Operator), &mut |_| {})).unwrap();
                assert_eq!(report.findings, [], "{what}");
            }
        }
    }
    assert!(stopped >= 12, "{stopped}");
}

#[test]
fn a_key_that_no_rule_destroyed_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut house = with_patients(directory.path());
    live(&house, 100, 3);
    // Whoever has the disk and no key ends the first month, or takes its key away.
    tamper(&mut house, |reader| {
        let mut rows = key_rows(reader);
        rows.sort_by_key(|(_, value)| value[1..3].to_vec());
        let (key, value) = rows.remove(0);
        vec![Write::put(key, [&value[..3], b"erased"].concat())]
    });
    reopened(&mut house, directory.path());
    let report = block_on(house.vault.check(&caller(Role::Operator), &mut |_| {})).unwrap();
    let named = |finding: &tacet_vault::Finding| finding.problem.contains("no entry says so");
    assert!(report.findings.len() == 1 && named(&report.findings[0]), "{:?}", report.findings);
    tamper(&mut house, |reader| {
        let mut rows = key_rows(reader);
        rows.sort_by_key(|(_, value)| value[1..3].to_vec());
        vec![Write::delete(rows.remove(1).0)]
    });
    reopened(&mut house, directory.path());
    // One damaged month does not close the others to who looks for what happened.
    let page = search(&house, &auditor(), &[("_count", "1000")]).unwrap();
    let said = said(&page);
    assert!(page.entries.len() >= 3 && said.iter().any(|said| said.contains("do not open")), "{said:?}");
    assert!(!house.vault.verify_ledger(&mut |_, _| ()).unwrap().is_sound());
}

fn rotate(house: &mut House) {
    house.root.begin_rotation(&SecureRng).unwrap();
    house.keeper =
        Arc::new(InProcessKeeper::new(house.root.keys(), house.clock.clone(), Arc::new(SecureRng), unbounded()));
    house.reopen();
    block_on(house.vault.rewrap(&caller(Role::Operator), &mut |_| {})).unwrap();
    house.root.finish_rotation(&SecureRng).unwrap();
    house.keeper =
        Arc::new(InProcessKeeper::new(house.root.keys(), house.clock.clone(), Arc::new(SecureRng), unbounded()));
    house.reopen();
}

#[test]
fn a_new_root_key_wraps_the_months_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut house = with_patients(directory.path());
    live(&house, 100, 3);
    let before = {
        let engine = MemoryEngine::open(&house.disk, Faults::default());
        key_rows(&engine)
    };
    assert!(before.len() >= 3);
    rotate(&mut house);
    let after = {
        let engine = MemoryEngine::open(&house.disk, Faults::default());
        key_rows(&engine)
    };
    assert!(before.iter().zip(&after).all(|(old, new)| old.0 == new.0 && old.1 != new.1));
    reopened(&mut house, directory.path());
    house.ledger();
    house.assert_sound();
}
