//! What the forms tell, and what they must not.

use crate::events::{each, full, id, of_type, site};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tacet_audit::syslog::{MessageKind, framed};
use tacet_audit::{Eyes, Patients, Shown, audit_event, cef, dicom, line};
use tacet_ledger::EventKind;

fn pseudonym(name: &str) -> String {
    format!("hash-{}", name.bytes().map(u32::from).sum::<u32>())
}

/// All forms of an entry in one text, with what is in base64 opened.
fn all(entry: &tacet_ledger::Entry, eyes: Eyes<'_>) -> String {
    let (shown, site) = (Shown::of(7, entry, eyes), site());
    let mut text = audit_event(&shown, &site).to_string();
    text += &dicom::message(&shown, &site);
    text += &cef::line(&shown, &site);
    text += &line::object(&shown, &site).to_string();
    let opened: Vec<String> = text
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || "+/=".contains(letter)))
        .flat_map(|word| [word, word.trim_start_matches('=')])
        .filter_map(|word| String::from_utf8(STANDARD.decode(word).ok()?).ok())
        .collect();
    text + &opened.join("\n")
}

/// Each fifth entry: who and what come in nines, so that all meet all.
fn each_fifth(mut with: impl FnMut(&str, &tacet_ledger::Entry)) {
    let mut number = 0;
    each(|words, entry| {
        number += 1;
        if number % 5 == 0 {
            with(words, entry);
        }
    });
}

/// Kinds whose remark is about the machine.
const OF_THE_MACHINE: [EventKind; 17] = [
    EventKind::Login,
    EventKind::LoginFailed,
    EventKind::Logout,
    EventKind::TokenCreated,
    EventKind::TokenRevoked,
    EventKind::KeyEvent,
    EventKind::KeyRotation,
    EventKind::LedgerKeyDestroyed,
    EventKind::Tripwire,
    EventKind::Backup,
    EventKind::BackupVerified,
    EventKind::BackupMissing,
    EventKind::Restore,
    EventKind::DrillHeld,
    EventKind::Start,
    EventKind::Stop,
    EventKind::Check,
];

#[test]
fn a_receiver_that_is_not_told_of_patients_learns_of_none() {
    let mut run = 0;
    each_fifth(|words, entry| {
        let mut entry = entry.clone();
        if OF_THE_MACHINE.contains(&entry.kind) && entry.patient.is_none() && entry.agent.role != "patient" {
            // What is remembered of the machine itself is told; it names no patient.
            entry.detail = Some("key 5".into());
        }
        let entry = &entry;
        for (how, patients) in [("hashed", Patients::Hashed(&pseudonym)), ("withheld", Patients::Withheld)] {
            let text = all(entry, Eyes::Receiver(patients));
            for planted in ["patient-77", "person-77", "obs-1", "obs-2", "Planted", "planted", "94500"] {
                assert!(!text.contains(planted), "{words}, {how}: {planted} in\n{text}");
            }
            run += 1;
        }
        if entry.patient.is_some() {
            assert!(
                all(entry, Eyes::Auditor).contains("-77")
                    && all(entry, Eyes::Receiver(Patients::Clear)).contains("-77")
            );
            let hashed = all(entry, Eyes::Receiver(Patients::Hashed(&pseudonym)));
            assert!(
                hashed.contains(&pseudonym("Patient/patient-77")) || hashed.contains(&pseudonym("Person/person-77"))
            );
        }
    });
    assert!(run > 3000);
}

#[test]
fn a_patient_learns_who_and_why_and_nothing_of_others() {
    each_fifth(|words, entry| {
        let text = all(entry, Eyes::Patient);
        for planted in ["obs-1", "obs-2", "94500", "192.0.2.7", "2001:db8::7", "t-4711", "s-2000", "d-3000"] {
            assert!(!text.contains(planted), "{words}: {planted} in\n{text}");
        }
        let reason = entry.kind == EventKind::BreakGlass && entry.detail.as_ref().is_some_and(|text| !text.is_empty());
        assert_eq!(text.contains("rounds of"), reason, "{words}");
        if entry.agent.owner.starts_with("Dr") {
            assert!(text.contains("Dr Zélie Aubrac"), "{words}");
        }
        assert_eq!(
            text.contains("clinician-care"),
            entry.basis.as_ref().is_some_and(|basis| basis.len() > 1),
            "{words}"
        );
    });
}

#[test]
fn each_form_tells_an_auditor_all_there_is() {
    let (site, mut entry) = (site(), full(EventKind::Search));
    entry.query = Some("Observation?code=94500-6".into());
    let shown = Shown::of(7, &entry, Eyes::Auditor);
    let cef = cef::line(&shown, &site);
    let json = line::object(&shown, &site).to_string();
    let xml = dicom::message(&shown, &site);
    for text in ["Dr Zélie Aubrac", "a-1000", "192.0.2.7", "Patient/patient-77", "TREAT", "clinician"] {
        assert!(cef.contains(text) && json.contains(text) && xml.contains(text), "{text}\n{cef}\n{json}\n{xml}");
    }
    assert!(
        cef.starts_with("CEF:0|Tacet|Tacet|0.1.0|search|Records were looked for|1|externalId=7 rt=1772352000123 "),
        "{cef}"
    );
    assert!(cef.contains("cs6=Observation?code\\=94500-6 cs6Label=criteria") && !cef.contains('\n'));
    assert!(xml.contains(&STANDARD.encode("Observation?code=94500-6")) && !xml.contains('\n'));
    assert!(json.contains("\"query\":\"Observation?code=94500-6\"") && !json.contains('\n'));
}

/// A DICOM message is XML, with its elements in the order of the schema of PS3.15 A.5.1.
#[test]
fn dicom_messages_are_well_formed() {
    let mut run = 0;
    each(|words, entry| {
        run += 1;
        if run % 7 != 0 {
            return;
        }
        let xml = dicom::message(&Shown::of(7, entry, Eyes::Auditor), &site());
        let mut reader = quick_xml::Reader::from_str(&xml);
        reader.config_mut().check_end_names = true;
        let (mut open, mut below) = (Vec::new(), Vec::new());
        loop {
            match reader.read_event().unwrap_or_else(|error| panic!("{words}: {error}\n{xml}")) {
                quick_xml::events::Event::Start(tag) => {
                    if open.len() == 1 {
                        below.push(tag.name().as_ref().to_string());
                    }
                    open.push(());
                    tag.attributes().for_each(|attribute| assert!(attribute.is_ok(), "{words}"));
                }
                quick_xml::events::Event::End(_) => {
                    open.pop();
                }
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        assert!(open.is_empty());
        below.dedup();
        let order = [
            "EventIdentification",
            "ActiveParticipant",
            "AuditSourceIdentification",
            "ParticipantObjectIdentification",
        ];
        assert_eq!(below, order, "{words}");
    });
    assert!(run > 5000);
}

#[test]
fn frames_count_octets() {
    let mut entry = full(EventKind::Read);
    entry.patient = Some((of_type("Patient"), id("p")));
    let shown = Shown::of(7, &entry, Eyes::Auditor);
    let frame = framed(&shown, &site(), MessageKind::Dicom, "<é/>");
    let text = String::from_utf8(frame).unwrap();
    let (count, message) = text.split_once(' ').unwrap();
    assert_eq!(count.parse::<usize>().unwrap(), message.len());
    assert_eq!(message, "<85>1 2026-03-01T08:00:00.123Z tacet.hospital.example tacet - DICOM+RFC3881 - \u{feff}<é/>");
    entry.outcome = tacet_ledger::Outcome::Refused;
    let frame = framed(&Shown::of(7, &entry, Eyes::Auditor), &site(), MessageKind::Cef, "CEF:0|");
    assert!(
        String::from_utf8(frame)
            .unwrap()
            .ends_with("<84>1 2026-03-01T08:00:00.123Z tacet.hospital.example tacet - CEF - CEF:0|")
    );
}
