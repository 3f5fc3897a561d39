use super::*;
use tacet_ledger::{Agent, Channel, Origin, PurposeOfUse};
use tacet_types::{OperationId, RecordRef, VersionId};

fn at(second: i64) -> Timestamp {
    Timestamp::from_ms(1_772_352_000_000 + second * 1000)
}

fn patient() -> ResourceType {
    ResourceType::parse("Patient").unwrap()
}

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

fn entry(number: i64) -> Entry {
    let agent = Agent { owner: "Dr Anne Médoc".into(), role: "clinician".into(), token: Some("8f3a99c1".into()) };
    let operation = OperationId([number as u8; 16]);
    let mut entry = Entry::new(at(number), EventKind::Read, agent, PurposeOfUse::Treatment, operation);
    entry.patient = Some((patient(), id(&format!("p{}", number % 7))));
    let observation = ResourceType::parse("Observation").unwrap();
    entry.records = vec![RecordRef { resource_type: observation, id: id("o1"), version: VersionId(1) }];
    entry.categories = vec![observation];
    entry.session = Some("5701e50000000000".into());
    entry.device = Some("00d1ce0000000000".into());
    entry.origin = Origin { address: Some("10.0.3.17".parse().unwrap()), channel: Channel::Http };
    entry.basis = Some("ward-encounter by clinician-care".into());
    entry
}

fn settings() -> ReportSettings {
    ReportSettings { hospital: "Hôpital de Test".into(), ..ReportSettings::default() }
}

fn asked() -> Asked {
    Asked { at: at(90_000), by: "audit".into(), size: 123_456, unread: 2, kept_since: Some(at(-1000)) }
}

/// All texts of a paper.
fn said(paper: &Paper) -> String {
    let mut out = format!("{}\n{}\n{}\n", paper.title, paper.about, paper.foot);
    for block in &paper.blocks {
        match block {
            Block::Heading(_, text) | Block::Text(text) => out += &format!("{text}\n"),
            Block::List(items) => out += &(items.join("\n") + "\n"),
            Block::Table(table) => table.rows.iter().for_each(|row| out += &(row.join(" | ") + "\n")),
            other => out += &format!("{other:?}\n"),
        }
    }
    out
}

fn filled(entries: i64) -> Inquiry {
    let mut inquiry = Inquiry::new(Question { session: Some("5701e50000000000".into()), ..Question::default() });
    (0..entries).for_each(|number| inquiry.add(number as u64, entry(number)));
    inquiry
}

#[test]
fn a_paper_says_what_entries_say_and_what_it_leaves_out() {
    let mut inquiry = filled(20);
    let mut refused = entry(20);
    refused.outcome = Outcome::Refused;
    refused.detail = Some("x".repeat(1000));
    inquiry.add(20, refused);
    inquiry.expired(21);
    inquiry.damaged(22);
    assert_eq!(inquiry.listed_patients().len(), 7);
    let names = BTreeMap::from([("p3".to_owned(), "Zoé Durand".to_owned())]);
    for language in Language::ALL {
        let paper = inquiry.to_paper(&asked(), &names, &settings(), language);
        let said = said(&paper);
        for part in [
            "5701e50000000000",
            "Dr Anne Médoc",
            "10.0.3.17",
            "00d1ce0000000000",
            "ward-encounter by clinician-care",
            "Zoé Durand (Patient/p3)",
            "Patient/p4",
            "123456",
            "Hôpital de Test",
        ] {
            assert!(said.contains(part), "{language:?}: {part}\n{said}");
        }
        let told = match language {
            Language::French => [
                "23 inscriptions",
                "1 refusée",
                "conservation dépassée",
                "NE S’OUVRE PAS",
                "2 inscription(s) du registre entier",
                "Les inscriptions d’avant le 01/03/2026",
            ],
            Language::English => [
                "23 entries",
                "1 refused",
                "retention is over",
                "DOES NOT OPEN",
                "2 entries of the whole ledger",
                "Entries of before 1 Mar 2026",
            ],
        };
        told.iter().for_each(|part| assert!(said.contains(part), "{part}\n{said}"));
        assert!(!said.contains(&"x".repeat(400)), "long details are cut");
        assert!(paper.to_pdf().unwrap().starts_with(b"%PDF"));
    }
    let without = said(&inquiry.to_paper(&asked(), &BTreeMap::new(), &settings(), Language::French));
    assert!(!without.contains("Zoé"));
}

#[test]
fn what_is_too_long_is_counted_and_said() {
    let inquiry = filled(INQUIRY_LINES_MAX as i64 + 30);
    let said = said(&inquiry.to_paper(&asked(), &BTreeMap::new(), &settings(), Language::English));
    assert!(said.contains(&format!("{} entries.", INQUIRY_LINES_MAX + 30)));
    assert!(said.contains(&format!("The first {INQUIRY_LINES_MAX} entries are listed; 30 more")));
}

#[test]
fn a_question_about_one_patient_has_the_name_at_the_top_and_not_in_each_line() {
    let mut inquiry = Inquiry::new(Question { patient: Some((patient(), id("p1"))), ..Question::default() });
    inquiry.add(1, entry(1));
    let names = BTreeMap::from([("p1".to_owned(), "Zoé Durand".to_owned())]);
    let paper = inquiry.to_paper(&asked(), &names, &settings(), Language::French);
    assert_eq!(paper.about, "Zoé Durand (Patient/p1)");
    let Some(Block::Table(table)) = paper.blocks.iter().rfind(|block| matches!(block, Block::Table(_))) else {
        panic!("no table")
    };
    assert_eq!(table.columns.len(), 5);
    assert!(table.rows.iter().flatten().all(|cell| !cell.contains("Durand")));
    let empty = Inquiry::new(Question::default());
    assert!(said(&empty.to_paper(&asked(), &names, &settings(), Language::English)).contains("No entry answers"));
}

#[test]
fn the_extent_of_a_session_names_its_patients() {
    let one = |text: &str| ExtentPatient {
        resource_type: patient(),
        id: id(text),
        entries: 2,
        records: 5,
        refused: 1,
        categories: vec![ResourceType::parse("Condition").unwrap()],
        first: at(1),
        last: at(70),
    };
    let extent = Extent {
        session: "5701e50000000000".into(),
        entries: 9,
        between: Some((at(0), at(100))),
        people: vec!["Dr Anne Médoc".into()],
        roles: vec!["clinician".into()],
        addresses: vec!["10.0.3.17".into()],
        devices: vec![],
        kinds: BTreeMap::from([(EventKind::Read, 8), (EventKind::Login, 1)]),
        shown: BTreeMap::from([(ResourceType::parse("Condition").unwrap(), 10)]),
        changed: BTreeMap::new(),
        refused: 2,
        patients: vec![one("p1"), one("p2")],
        records_exact: false,
        expired: 1,
        damaged: 0,
    };
    let names = BTreeMap::from([("p1".to_owned(), "Zoé Durand".to_owned())]);
    for language in Language::ALL {
        let paper = extent_to_paper(&extent, &asked(), &names, &settings(), language);
        let said = said(&paper);
        for part in ["Zoé Durand (Patient/p1)", "Patient/p2", "10.0.3.17", "Condition | 10", "| 2 | 5 | 1 |"] {
            assert!(said.contains(part), "{part}\n{said}");
        }
        assert!(paper.to_pdf().unwrap().starts_with(b"%PDF"));
    }
}
