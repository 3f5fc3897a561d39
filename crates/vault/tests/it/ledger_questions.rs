//! Questions to the ledger, as an auditor asks them.

use crate::house::*;
use pollster::block_on;
use tacet_ledger::index::Question;
use tacet_vault::{Caller, EventKind, LedgerLine, LedgerOrder, Role, SessionExtent, VaultError};

const DEVICE: &str = "00d1ce0123456789";

fn auditor() -> Caller {
    Caller { owner: "Eve Auditor".into(), ..caller(Role::Auditor) }
}

fn in_session(session: &str) -> Caller {
    let mut clinician = clinician();
    clinician.session = Some(session.to_owned());
    clinician.token = Some(format!("app-{session}"));
    clinician.account = Some("a-17".to_owned());
    clinician.device = Some(DEVICE.to_owned());
    clinician.origin.address = Some("192.0.2.9".parse().unwrap());
    clinician
}

fn of_patient(id: &str) -> Question {
    Question { patient: Some((kind("Patient"), rid(id))), ..Question::default() }
}

fn ask(house: &House, question: &Question, cursor: Option<&str>) -> (Vec<(EventKind, String)>, Option<String>) {
    let page = block_on(house.vault.ask_ledger(&auditor(), question, LedgerOrder::OldestFirst, 3, cursor)).unwrap();
    let of = |line: LedgerLine| match line {
        LedgerLine::Entry { entry, .. } => (entry.kind, entry.agent.owner),
        other => panic!("{other:?}"),
    };
    (page.lines.into_iter().map(of).collect(), page.next)
}

fn indexed() -> (House, tempfile::TempDir) {
    let house = House::new();
    let directory = tempfile::tempdir().unwrap();
    house.vault.keep_ledger_index_in(directory.path(), true).unwrap();
    house.put("Patient", "p1", &patient("p1", "Un")).unwrap();
    house.put("Patient", "p2", &patient("p2", "Deux")).unwrap();
    house.put("Observation", "o1", &observation("o1", "p1", "3")).unwrap();
    (house, directory)
}

#[test]
fn who_saw_a_patient_is_answered_in_pages_and_whoever_asks_is_in_it() {
    let (house, _directory) = indexed();
    house.read("Observation", "o1").unwrap();
    house.read("Patient", "p2").unwrap();
    house.read("Patient", "p1").unwrap();
    let dr = "Dr Test".to_owned();
    let (first, next) = ask(&house, &of_patient("p1"), None);
    let expected = [(EventKind::Create, &dr), (EventKind::Create, &dr), (EventKind::Read, &dr)];
    assert!(first.iter().map(|(kind, owner)| (*kind, owner)).eq(expected), "{first:?}");
    let (second, end) = ask(&house, &of_patient("p1"), next.as_deref());
    assert_eq!(second, [(EventKind::Read, dr), (EventKind::LedgerAccess, "Eve Auditor".to_owned())]);
    assert_eq!(end, None, "what was asked meanwhile is not in an answer that was begun before");
    let asked = house.ledger().into_iter().filter(|entry| entry.kind == EventKind::LedgerAccess).collect::<Vec<_>>();
    assert_eq!(asked.len(), 2, "each page");
    assert!(asked.iter().all(|entry| entry.query.as_deref() == Some("patient=Patient/p1")));

    // A way on is for who got it, and for the same question.
    for (who, question) in [
        (Caller { owner: "Another".into(), ..auditor() }, of_patient("p1")),
        (auditor(), of_patient("p2")),
        (auditor(), Question { kinds: vec![EventKind::Read], ..of_patient("p1") }),
    ] {
        let refused = block_on(house.vault.ask_ledger(&who, &question, LedgerOrder::OldestFirst, 3, next.as_deref()));
        assert!(matches!(refused, Err(VaultError::CursorRefused)), "{refused:?}");
    }
}

#[test]
fn only_who_reads_the_ledger_may_ask() {
    let (house, _directory) = indexed();
    let before = house.ledger().len();
    for role in Role::ALL {
        let answered =
            block_on(house.vault.ask_ledger(&caller(role), &of_patient("p1"), LedgerOrder::NewestFirst, 9, None));
        let may = matches!(role, Role::Auditor | Role::SecurityOfficer);
        assert_eq!(answered.is_ok(), may, "{role}");
        let extent = block_on(house.vault.session_extent(&caller(role), "s-1"));
        assert_eq!(extent.is_ok(), may, "{role}");
    }
    assert_eq!(house.ledger().len(), before + 4);
    let long = Question { session: Some("x".repeat(100)), ..Question::default() };
    let refused = block_on(house.vault.ask_ledger(&auditor(), &long, LedgerOrder::NewestFirst, 9, None));
    assert!(matches!(refused, Err(VaultError::Search(_))), "{refused:?}");
}

#[test]
fn the_extent_of_a_session_is_exact() {
    let (mut house, directory) = indexed();
    let thief = in_session("s-1");
    let read = |house: &House, name: &str, id: &str| {
        let _ = block_on(house.vault.read(&thief, kind(name), &rid(id)));
    };
    read(&house, "Patient", "p1");
    read(&house, "Observation", "o1");
    read(&house, "Observation", "o1");
    house.clock.advance_ms(60_000);
    read(&house, "Patient", "nobody");
    // Another session of the same account, and the same person in none.
    block_on(house.vault.read(&in_session("s-2"), kind("Patient"), &rid("p2"))).unwrap();
    house.read("Patient", "p2").unwrap();

    let exact = |extent: &SessionExtent| {
        assert_eq!((extent.entries, extent.refused, extent.patients_touched()), (4, 1, 1), "{extent:?}");
        let patient = &extent.patients[0];
        assert_eq!((patient.id.as_str(), patient.entries, patient.records), ("p1", 3, 2));
        assert_eq!(extent.shown.values().sum::<u64>(), 2, "each record once");
        assert!(extent.changed.is_empty() && extent.records_exact);
        assert_eq!(extent.people.iter().map(String::as_str).collect::<Vec<_>>(), ["Dr Test", "a-17"]);
        assert_eq!(extent.addresses.len(), 1);
        assert_eq!(extent.last.unwrap().as_ms() - extent.first.unwrap().as_ms(), 60_000);
        let text = extent.to_json().to_string();
        assert!(text.contains("\"patient\":\"Patient/p1\"") && !text.contains("Un"), "ids, no names: {text}");
    };
    exact(&block_on(house.vault.session_extent(&auditor(), "s-1")).unwrap());
    exact(&block_on(house.vault.session_extent(&auditor(), "app-s-1")).unwrap());
    house.reopen();
    house.vault.keep_ledger_index_in(directory.path(), false).unwrap();
    house.vault.bring_up_ledger_index(&mut |_, _| {}).unwrap();
    exact(&block_on(house.vault.session_extent(&auditor(), "s-1")).unwrap());
    let none = block_on(house.vault.session_extent(&auditor(), "s-3")).unwrap();
    assert_eq!((none.entries, none.first), (0, None));

    let device = Question { device: Some(DEVICE.into()), ..Question::default() };
    let page = block_on(house.vault.ask_ledger(&auditor(), &device, LedgerOrder::NewestFirst, 100, None)).unwrap();
    assert_eq!(page.lines.len(), 5);
    // What is forgotten is made again.
    house.vault.forget_ledger_index().unwrap();
    exact(&block_on(house.vault.session_extent(&auditor(), "s-1")).unwrap());
}
