//! Reports of made-up entries: who is told how, what is put together, what cannot be told.

use crate::*;
use tacet_ledger::{Agent, Channel, Entry, Origin};
use tacet_types::{OperationId, RecordRef, ResourceType, VersionId};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn subject() -> Subject {
    Subject {
        patient: ResourceId::parse("p1").unwrap(),
        name: Some("Zélie Nguyễn-Œuvrard".into()),
        from: at("2023-03-01T00:00:00Z"),
        to: at("2026-03-01T00:00:00Z"),
    }
}

fn entry(when: &str, kind: EventKind, owner: &str, role: &str) -> Entry {
    let agent = Agent { owner: owner.into(), role: role.into(), token: Some("t-secret".into()) };
    let mut entry = Entry::new(at(when), kind, agent, PurposeOfUse::Treatment, OperationId([7; 16]));
    let observation = ResourceType::parse("Observation").unwrap();
    entry.patient = ResourceType::parse("Patient").zip(ResourceId::parse("p1").ok());
    entry.categories = vec![observation];
    entry.records = vec![RecordRef {
        resource_type: observation,
        id: ResourceId::parse("o-hidden").unwrap(),
        version: VersionId(1),
    }];
    entry.origin = Origin { address: Some("10.1.2.3".parse().unwrap()), channel: Channel::Http };
    entry.query = Some("Observation?code=secret".into());
    entry.basis = Some("ward-encounter by clinician-care".into());
    entry
}

fn settings() -> ReportSettings {
    ReportSettings {
        hospital: "CHU de l’Épreuve".into(),
        contact: "dpo@chu.example".into(),
        ..ReportSettings::default()
    }
}

/// A clinician who reads twice and searches, an emergency, a refused try of another patient, the patient, a machine for itself and for a person.
fn some() -> Vec<Entry> {
    let mut emergency = entry("2025-05-02T22:30:00Z", EventKind::BreakGlass, "dr-b", "clinician");
    emergency.detail = Some("break-glass x1 until 2025-05-03T00:30:00.000Z, vital-emergency: arrêt, bloc 3".into());
    emergency.purpose = PurposeOfUse::BreakTheGlass;
    emergency.records.clear();
    emergency.categories.clear();
    let mut stranger = entry("2025-05-03T08:00:00Z", EventKind::LedgerAccess, "other-patient", "patient");
    (stranger.outcome, stranger.basis) = (Outcome::Refused, None);
    let mut own = entry("2025-05-04T08:00:00Z", EventKind::Read, "zelie", "patient");
    own.basis = Some("own-record by patient-own-record".into());
    own.on_behalf_of = Some("app Mon carnet".into());
    let mut behalf = entry("2025-05-05T08:00:00Z", EventKind::Read, "portail", "integrator");
    behalf.on_behalf_of = Some("Dr Lefèvre".into());
    let mut reads = vec![
        entry("2025-05-02T08:00:00Z", EventKind::Read, "dr-a", "clinician"),
        entry("2025-05-02T08:05:00Z", EventKind::Read, "dr-a", "clinician"),
        entry("2025-05-02T08:06:00Z", EventKind::Search, "dr-a", "clinician"),
    ];
    reads[1].account = Some("a-1".into());
    reads[0].account = Some("a-1".into());
    reads[2].account = Some("a-1".into());
    reads
        .into_iter()
        .chain([
            emergency,
            stranger,
            own,
            behalf,
            entry("2025-05-06T03:00:00Z", EventKind::Import, "labo", "integrator"),
        ])
        .collect()
}

fn report(settings: &ReportSettings, entries: &[Entry]) -> AccessReport {
    let name_of = |account: &str| (account == "a-1").then(|| "Dr Anne Mercier".to_owned());
    let mut builder = Builder::new(settings, subject(), name_of);
    for (index, entry) in entries.iter().enumerate() {
        builder.add(100 + index as u64, entry).unwrap();
    }
    builder.finish(Some(at("2024-01-01T00:00:00Z")), None, 0)
}

#[test]
fn people_machines_and_the_patient_are_told_apart() {
    let settings = settings();
    let report = report(&settings, &some());
    let told: Vec<(Standing, Option<&str>)> =
        report.actors.iter().map(|actor| (actor.standing, actor.name.as_deref())).collect();
    assert_eq!(
        told,
        [
            (Standing::Person, Some("Dr Anne Mercier")),
            (Standing::Person, Some("dr-b")),
            (Standing::Unknown, None),
            (Standing::Own, Some("zelie")),
            (Standing::Person, Some("Dr Lefèvre")),
            (Standing::Machine, Some("labo")),
        ]
    );
    let expected = Summary {
        persons: 4,
        accesses: 8,
        by_persons: 6,
        by_patient: 1,
        by_machines: 1,
        emergencies: 1,
        exports: 0,
        refused: 1,
    };
    assert_eq!(report.summary, expected);
    let of_mercier = report.actors_of(true).next().unwrap().2;
    let told: Vec<(EventKind, usize, usize)> =
        of_mercier.iter().map(|line| (line.what.kind, line.accesses, line.records)).collect();
    assert_eq!(told, [(EventKind::Read, 2, 2), (EventKind::Search, 1, 1)], "two reads of a day are one line");
    assert_eq!(report.lines.iter().map(|line| line.accesses).sum::<usize>(), report.accesses.len());
    // The emergency was past midnight in Paris.
    assert_eq!(report.actors_of(true).nth(1).unwrap().2[0].day, of_mercier[0].day + 1);
}

#[test]
fn page_data_has_words_and_nothing_that_is_not_the_patients() {
    let settings = ReportSettings { networks: vec![Network::parse("10.0.0.0/8").unwrap()], ..settings() };
    let report = report(&settings, &some());
    for language in Language::ALL {
        let page = page(&report, &settings, language, 0, 3);
        let text = page.to_string();
        for secret in ["t-secret", "o-hidden", "code=secret", "10.1.2.3", "other-patient", "a-1\""] {
            assert!(!text.contains(secret), "{secret}");
        }
        assert!(text.contains("dpo@chu.example") && text.contains("Dr Anne Mercier"));
        assert_eq!(page["accesses"]["items"].as_array().unwrap().len(), 3);
        assert_eq!(page["accesses"]["total"], 8);
        assert_eq!(page["persons"].as_array().unwrap().len() + page["machines"].as_array().unwrap().len(), 6);
        let rest = self::page(&report, &settings, language, 3, 100);
        assert_eq!(rest["accesses"]["items"].as_array().unwrap().len(), 5);
        assert_eq!(rest["accesses"]["items"][4]["entry"], 107);
    }
    let french = page(&report, &settings, Language::French, 0, 100);
    let mercier = &french["persons"][0];
    assert_eq!(mercier["role_text"], "médecin, dentiste ou sage-femme");
    assert_eq!(mercier["days"][0]["text"], "consultation, 2 fois (2 éléments)");
    assert_eq!(mercier["days"][0]["categories"][0]["text"], "Résultats d’analyses et mesures");
    assert_eq!(mercier["days"][0]["why"], "Soins : cette personne travaille dans le service où vous étiez");
    assert_eq!(mercier["days"][0]["place"], "dans l’hôpital");
    let urgent = french["persons"][1]["days"][0]["why"].as_str().unwrap();
    assert!(urgent.ends_with("Motif donné : urgence vitale — « arrêt, bloc 3 »"), "{urgent}");
    assert_eq!(french["persons"][1]["days"][0]["text"], "accès d’urgence déclaré");
    assert_eq!(french["persons"][3]["days"][0]["app"], "Mon carnet");
    assert_eq!(french["persons"][4]["said_by"], "portail");
    let codes: Vec<&str> = french["gaps"].as_array().unwrap().iter().map(|gap| gap["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["before-the-ledger", "counted-only", "other-numbers", "other-systems", "said-by-machines"]);
}

#[test]
fn staff_can_be_told_by_role_alone() {
    let settings = ReportSettings { names: Names::Role, ..settings() };
    let report = report(&settings, &some());
    let page = page(&report, &settings, Language::English, 0, 100);
    let text = page.to_string();
    for name in ["Mercier", "dr-b", "Lefèvre"] {
        assert!(!text.contains(name), "{name}");
    }
    assert_eq!(page["persons"][0]["display"], "person no. 1 (physician, dentist or midwife)");
    assert!(text.contains("names-withheld") && text.contains("zelie"), "the patient is told by name");
}

#[test]
fn what_cannot_be_told_is_said() {
    let settings = settings();
    let mut builder = Builder::new(&settings, subject(), |_| None);
    builder.expired();
    builder.expired();
    builder.damaged();
    let report = builder.finish(None, None, 9);
    for (language, two) in [(Language::French, "2 accès"), (Language::English, "2 accesses")] {
        let page = page(&report, &settings, language, 0, 10);
        let gaps = page["gaps"].as_array().unwrap();
        let of = |code: &str| gaps.iter().find(|gap| gap["code"] == code).unwrap_or_else(|| panic!("{code}"));
        assert!(of("expired")["text"].as_str().unwrap().starts_with(two));
        assert_eq!((of("damaged")["count"].as_u64(), of("unread")["count"].as_u64()), (Some(1), Some(9)));
        assert!(of("beginning-unknown")["count"].is_null());
        let paper = to_paper(&report, &settings, language);
        for gap in gaps {
            let said = gap["text"].as_str().unwrap().to_owned();
            assert!(
                paper
                    .blocks
                    .iter()
                    .any(|block| matches!(block, tacet_paper::Block::List(list) if list.contains(&said)))
            );
        }
        assert!(paper.to_pdf().unwrap().starts_with(b"%PDF"));
    }
}

#[test]
fn a_report_is_bounded() {
    let settings = settings();
    let mut builder = Builder::new(&settings, subject(), |_| None);
    let one = entry("2025-05-02T08:00:00Z", EventKind::Read, "x", "nurse");
    for index in 0..ACCESSES_MAX as u64 {
        builder.add(index, &one).unwrap();
    }
    assert_eq!(builder.add(0, &one), Err(ReportError::TooMany));
    let report = builder.finish(None, Some(at("2024-02-01T00:00:00Z")), 0);
    assert_eq!((report.lines.len(), report.lines[0].accesses), (1, ACCESSES_MAX));
    let paper = to_paper(&report, &settings, Language::French);
    assert!(paper.to_pdf().unwrap().len() < 200_000, "no annex of a hundred thousand lines");
    // What is past its retention is told by its date.
    let gaps = page(&report, &settings, Language::English, 0, 10)["gaps"].clone();
    let past = gaps.as_array().unwrap().iter().find(|gap| gap["code"] == "past-retention").unwrap().clone();
    assert!(past["text"].as_str().unwrap().starts_with("Accesses before 1 Feb 2024"), "{past}");
    assert!(gaps.as_array().unwrap().iter().all(|gap| gap["code"] != "beginning-unknown"));
}

/// What the PDF looks like is judged by eye: `TACET_REPORT_SAMPLE=DIRECTORY` writes it there.
#[test]
fn three_hundred_accesses_are_a_paper() {
    let settings = ReportSettings { networks: vec![Network::parse("10.0.0.0/8").unwrap()], ..settings() };
    let people = ["Dr Éloïse Œuvrard", "Nguyễn Thị Hạnh", "Иван Петров", "محمد بن علي", "李小龍", "Łukasz Żółć"];
    let mut entries = some();
    for number in 0..292_usize {
        let when = format!(
            "2025-{:02}-{:02}T{:02}:{:02}:00Z",
            number / 28 % 12 + 1,
            number % 28 + 1,
            number % 24,
            number % 60
        );
        let mut made = entry(
            &when,
            EventKind::ALL[number % 12 + 3],
            people[number % people.len()],
            ["nurse", "clinician", "reception", "laboratory"][number % 4],
        );
        if number % 5 == 0 {
            made.categories = (0..ResourceType::COUNT as u8).step_by(4).filter_map(ResourceType::from_code).collect();
        }
        entries.push(made);
    }
    for language in Language::ALL {
        let report = report(&settings, &entries);
        assert_eq!(report.summary.accesses, 300);
        let pdf = to_paper(&report, &settings, language).to_pdf().unwrap();
        assert_eq!(pdf, to_paper(&report, &settings, language).to_pdf().unwrap());
        if let Ok(directory) = std::env::var("TACET_REPORT_SAMPLE") {
            std::fs::write(format!("{directory}/report-{}.pdf", language.tag()), &pdf).unwrap();
        }
    }
}
