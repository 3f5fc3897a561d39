//! Drills in the ledger: entry, row and notice are one; a rehearsal is held against the ledger; a note is believed only from who has the root key, once.

use crate::house::*;
use pollster::block_on;
use tacet_ledger::noted::{NotedRows, Table};
use tacet_ledger::people::{NoticeKind, NoticeRow};
use tacet_ledger::{EventKind, Outcome};
use tacet_seal::SecureRng;
use tacet_types::Clock;
use tacet_vault::{
    DRILL_FIGURES_BYTES_MAX, Drill, DrillReport, LedgerBack, NoteId, Role, Sample, VaultError, drill_answer, drill_note,
};

fn filled() -> House {
    let house = House::new();
    house.put("Patient", "a", &patient("a", "Un")).unwrap();
    house.put("Observation", "o", &observation("o", "a", "70")).unwrap();
    house
}

/// One that is newer than all before.
fn report(house: &House, drill: Drill, passed: bool) -> DrillReport {
    house.clock.advance_ms(1000);
    DrillReport { drill, held_ms: house.clock.now().as_ms(), passed, figures: "12 of 12 met".to_owned(), ledger: None }
}

fn notices(house: &House) -> usize {
    let mut found = 0;
    house
        .vault
        .scan(Table::Notices, &mut |row| {
            let notice = NoticeRow::decode(&row.value).unwrap();
            found += usize::from(notice.kind == NoticeKind::DrillFailed && notice.about == "ransomware");
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    found
}

#[test]
fn a_drill_leaves_an_entry_a_row_and_where_it_failed_a_notice() {
    let mut house = filled();
    assert!(house.vault.drills_held().unwrap().is_empty() && house.vault.statistics().drills.is_empty());
    let first = report(&house, Drill::Ransomware, true);
    let noted = block_on(house.vault.note_drill(&caller(Role::Operator), &first)).unwrap();
    assert!(noted.passed && noted.behind.is_none());
    let entry = house.ledger().pop().unwrap();
    assert_eq!(
        (entry.kind, entry.outcome, entry.detail.as_ref()),
        (EventKind::DrillHeld, Outcome::Success, Some(&noted.detail))
    );
    assert!(
        noted.detail.starts_with("ransomware passed") && noted.detail.ends_with("12 of 12 met"),
        "{}",
        noted.detail
    );
    assert_eq!(notices(&house), 0);

    let mut second = report(&house, Drill::Ransomware, false);
    second.figures = "é".repeat(DRILL_FIGURES_BYTES_MAX);
    assert!(!block_on(house.vault.note_drill(&caller(Role::Operator), &second)).unwrap().passed);
    let entry = house.ledger().pop().unwrap();
    assert_eq!((entry.kind, entry.outcome), (EventKind::DrillHeld, Outcome::Failed));
    assert!(entry.detail.unwrap().contains("NOT PASSED"));
    assert_eq!(notices(&house), 2, "the security officer's and the administrator's");

    // What passed last is kept, over a start too.
    house.reopen();
    let held = house.vault.statistics().drills;
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].held_ms, held[0].passed, held[0].passed_ms), (second.held_ms, false, Some(first.held_ms)));

    // Neither again, nor an older one, nor one of tomorrow.
    for other in [&first, &second, &DrillReport { held_ms: second.held_ms + 86_400_000, ..second.clone() }] {
        let refused = block_on(house.vault.note_drill(&caller(Role::Operator), other));
        assert!(matches!(refused, Err(VaultError::NotAllowed(_))), "{refused:?}");
    }
    house.assert_sound();
}

#[test]
fn a_rehearsal_passes_only_if_this_ledger_goes_on_from_what_came_back() {
    let house = filled();
    let head = house.vault.ledger_head().unwrap().unwrap();
    let back = LedgerBack { entries: head.size(), root: head.root().0 };
    house.put("Patient", "b", &patient("b", "Deux")).unwrap();
    house.read("Patient", "b").unwrap();
    let rehearsed = |ledger| {
        let report = DrillReport { ledger: Some(ledger), ..report(&house, Drill::Restore, true) };
        block_on(house.vault.note_drill(&caller(Role::Operator), &report)).unwrap()
    };
    let noted = rehearsed(back);
    assert_eq!((noted.passed, noted.behind), (true, Some(2)), "{}", noted.detail);
    // Another root at this size, the true root at another size, more entries than there are.
    let mut root = back.root;
    root[31] ^= 1;
    for other in [
        LedgerBack { root, ..back },
        LedgerBack { entries: back.entries - 1, ..back },
        LedgerBack { entries: back.entries + 1, ..back },
        LedgerBack { entries: back.entries + 1000, ..back },
    ] {
        let noted = rehearsed(other);
        assert_eq!((noted.passed, noted.behind), (false, None), "{}", noted.detail);
        assert_eq!(house.ledger().pop().unwrap().outcome, Outcome::Failed);
    }
    // All of it, to the last entry.
    let head = house.vault.ledger_head().unwrap().unwrap();
    assert_eq!(rehearsed(LedgerBack { entries: head.size(), root: head.root().0 }).behind, Some(0));
}

#[test]
fn a_note_is_taken_from_who_has_the_root_key_and_once() {
    let house = filled();
    let id = NoteId::random(&SecureRng);
    assert_eq!(NoteId::parse(&id.to_string()), Some(id));
    assert!(["", "+123456789abcdef", "00112233AABBCCDD", "../x"].iter().all(|name| NoteId::parse(name).is_none()));
    let written = report(&house, Drill::StolenDisk, true);
    let owner = "Perpetue Quatresous";
    let note = drill_note(house.keeper.as_ref(), &SecureRng, id, owner, &written).unwrap();
    assert!(!note.windows(owner.len()).any(|window| window == owner.as_bytes()), "a name lies on the disk");

    // Another store's key, another name of the file, every byte, every length.
    let refused = |id, note: &[u8]| {
        let taken = block_on(house.vault.take_drill_note(id, note));
        assert!(matches!(taken, Err(VaultError::NotAllowed(_))), "{taken:?}");
    };
    let foreign = House::new();
    refused(id, &drill_note(foreign.keeper.as_ref(), &SecureRng, id, owner, &written).unwrap());
    refused(NoteId::random(&SecureRng), &note);
    for at in 0..note.len() {
        let mut bent = note.clone();
        bent[at] ^= 1;
        refused(id, &bent);
        refused(id, &note[..at]);
    }
    refused(id, &[&note[..], &[0]].concat());
    assert!(house.ledger().iter().all(|entry| entry.kind != EventKind::DrillHeld));

    let answer = block_on(house.vault.take_drill_note(id, &note)).unwrap();
    let noted = drill_answer(house.keeper.as_ref(), id, &answer).unwrap().unwrap();
    assert!(noted.passed);
    let entry = house.ledger().pop().unwrap();
    assert_eq!((entry.kind, entry.agent.owner.as_str()), (EventKind::DrillHeld, owner));
    // A note is no answer, and an answer is to one note.
    assert!(drill_answer(house.keeper.as_ref(), id, &note).is_err());
    assert!(drill_answer(house.keeper.as_ref(), NoteId::random(&SecureRng), &answer).is_err());

    // Copied and put there again: answered, and nothing is written down.
    let size = house.ledger().len();
    let again = block_on(house.vault.take_drill_note(id, &note)).unwrap();
    let problem = drill_answer(house.keeper.as_ref(), id, &again).unwrap().unwrap_err();
    assert!(problem.contains("already") && house.ledger().len() == size, "{problem}");
}

#[test]
fn a_sample_opens_records_and_counts_those_that_do_not() {
    let house = filled();
    assert_eq!(House::new().vault.open_sample(3).unwrap(), Sample::default());
    house.put("Patient", "gone", &patient("gone", "Deux")).unwrap();
    house.delete("Patient", "gone").unwrap();
    let size = house.ledger().len();
    let sample = house.vault.open_sample(20).unwrap();
    assert_eq!((sample.tried, sample.opened), (20, 20));
    assert_eq!(house.ledger().len(), size, "nothing was shown, and nothing is written down");
}

#[test]
fn of_two_drills_that_are_written_down_at_once_the_newer_stands() {
    let house = filled();
    for _ in 0..20 {
        let older = report(&house, Drill::Ransomware, true);
        let newer = report(&house, Drill::Ransomware, true);
        let note = |report: &DrillReport| block_on(house.vault.note_drill(&caller(Role::Operator), report));
        let taken = std::thread::scope(|scope| {
            let first = scope.spawn(|| note(&older).is_ok().then_some(older.held_ms));
            let second = note(&newer).is_ok().then_some(newer.held_ms);
            [first.join().unwrap(), second]
        });
        let standing = house.vault.drills_held().unwrap().pop().unwrap();
        assert!(taken.iter().any(Option::is_some));
        assert_eq!(Some(standing.held_ms), taken.into_iter().max().unwrap(), "{taken:?}");
    }
}
