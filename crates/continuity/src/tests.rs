//! Sheets and packs as a whole: from a synthetic hospital's records, and from records made to be difficult.

use crate::code::{serial, sheet_code, sheet_name};
use crate::print::Pack;
use crate::select::Dossier;
use crate::sheet::{Asked, Gap, InsKind, Known, Off, Section, Sheet, Standing};
use crate::{Language, Telling, Zone};
use tacet_fhir::json::{Json, Limits, parse_str};
use tacet_paper::{Block, Book};
use tacet_testkit::{Hospital, HospitalOptions};
use tacet_types::Timestamp;

const FRENCH: Telling = Telling { language: Language::French, zone: Zone::Paris };

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn dossier<'a>(texts: &[&'a str]) -> Dossier<'a> {
    Dossier::new(texts.iter().map(|text| parse_str(text, &Limits::default()).unwrap()).collect())
}

fn sheet_of(texts: &[&str], telling: Telling) -> Sheet {
    let asked = Asked { patient: "p", encounter: Some("e"), now: at("2026-11-22T12:00:00Z"), telling };
    Sheet::of(&dossier(texts), &asked)
}

fn pack(sheets: Vec<Sheet>, telling: Telling) -> Pack {
    let made = at("2026-11-22T12:00:00Z");
    let serial = serial(made, [1, 2, 3, 4]);
    let code = |number: usize| sheet_code(&sheet_name(&serial, number), [0; 4]);
    let sheets = sheets.into_iter().enumerate().map(|(place, sheet)| (code(place + 1), sheet)).collect();
    Pack {
        hospital: "Hôpital".into(),
        ward: "Cardiologie".into(),
        serial,
        made,
        until: made.plus_ms(43_200_000),
        telling,
        sheets,
        more: 0,
    }
}

/// All that stands in a book's chapter.
fn words(book: &Book, chapter: usize) -> String {
    let chapter = &book.chapters[chapter];
    let mut out = chapter.about.join("\n");
    for block in &chapter.blocks {
        let text = match block {
            Block::Heading(_, text) | Block::Text(text) => text.clone(),
            Block::List(items) | Block::Frame(items) => items.join("\n"),
            Block::Table(_) => String::new(),
            Block::Grid(grid) => grid.rows.iter().map(|row| row.cells.join(" | ")).collect::<Vec<_>>().join("\n"),
        };
        out.push('\n');
        out.push_str(&text.replace('\u{a0}', " "));
    }
    out
}

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:oid:1.2.250.1.213.1.4.8","value":"279035121518989"},{"type":{"coding":[{"code":"PI"}]},"system":"urn:x","value":"8001"}],"name":[{"use":"official","family":"Aubrac","given":["Zélie","Anne"]},{"use":"usual","family":"Martin","given":["Zélie"]}],"gender":"female","birthDate":"1950-02-01","contact":[{"relationship":[{"text":"Fille"}],"name":{"family":"Martin","given":["Léa"]},"telecom":[{"system":"phone","value":"01 99 00 00 01"}]}],"generalPractitioner":[{"reference":"Practitioner/d"}],"communication":[{"language":{"text":"breton"},"preferred":true}]}"#;

#[test]
fn a_sheet_says_what_the_records_say() {
    let sheet = sheet_of(
        &[
            PATIENT,
            r#"{"resourceType":"Practitioner","id":"d","name":[{"family":"Le Goff","prefix":["Dr"]}],"telecom":[{"system":"phone","value":"02 61 91 00 00"}]}"#,
            r#"{"resourceType":"Location","id":"w","name":"Cardiologie","physicalType":{"coding":[{"code":"wa"}]}}"#,
            r#"{"resourceType":"Location","id":"r","name":"12","physicalType":{"coding":[{"code":"ro"}]},"partOf":{"reference":"Location/w"}}"#,
            r#"{"resourceType":"Location","id":"b","name":"lit 2","physicalType":{"coding":[{"code":"bd"}]},"partOf":{"reference":"Location/r"}}"#,
            r#"{"resourceType":"Encounter","id":"e","status":"in-progress","period":{"start":"2026-11-20T09:00:00+01:00"},"participant":[{"type":[{"coding":[{"code":"ATND"}]}],"individual":{"display":"Dr Anne Morvan"}}],"reasonCode":[{"text":"Douleur thoracique"}],"location":[{"location":{"reference":"Location/x","display":"Urgences"},"status":"completed"},{"location":{"reference":"Location/b"},"status":"active","period":{"start":"2026-11-20T12:00:00Z"}}]}"#,
            r#"{"resourceType":"AllergyIntolerance","id":"a","criticality":"high","clinicalStatus":{"coding":[{"code":"active"}]},"verificationStatus":{"coding":[{"code":"confirmed"}]},"code":{"text":"Pénicilline"},"reaction":[{"manifestation":[{"text":"Choc anaphylactique"}],"severity":"severe"}]}"#,
            r#"{"resourceType":"Flag","id":"f","status":"active","code":{"text":"Isolement contact : BMR"}}"#,
            r#"{"resourceType":"Flag","id":"g","status":"active","period":{"end":"2026-11-01"},"code":{"text":"Isolement passé"}}"#,
            r#"{"resourceType":"Consent","id":"c","status":"active","scope":{"coding":[{"code":"adr"}]},"category":[{"coding":[{"code":"dnr","display":"Ne pas réanimer"}]}]}"#,
            r#"{"resourceType":"MedicationRequest","id":"m","status":"active","intent":"order","medicationCodeableConcept":{"coding":[{"system":"s","code":"B01AB05"}],"text":"Énoxaparine"},"dosageInstruction":[{"timing":{"repeat":{"timeOfDay":["08:00:00","20:00:00"]}},"doseAndRate":[{"doseQuantity":{"value":4000,"unit":"UI"}}]}]}"#,
            r#"{"resourceType":"MedicationAdministration","id":"n","status":"completed","request":{"reference":"MedicationRequest/m"},"medicationCodeableConcept":{"text":"Énoxaparine"},"effectiveDateTime":"2026-11-22T07:05:00Z","dosage":{"dose":{"value":4000,"unit":"UI"}}}"#,
            r#"{"resourceType":"MedicationRequest","id":"h","status":"on-hold","intent":"order","medicationCodeableConcept":{"text":"Metformine"}}"#,
            r#"{"resourceType":"Observation","id":"o","status":"final","category":[{"coding":[{"code":"laboratory"}]}],"code":{"coding":[{"system":"l","code":"K"}],"text":"Potassium"},"valueQuantity":{"value":6.2,"unit":"mmol/L","code":"mmol/L"},"referenceRange":[{"low":{"value":3.5,"unit":"mmol/L","code":"mmol/L"},"high":{"value":5.0,"unit":"mmol/L","code":"mmol/L"}}],"effectiveDateTime":"2026-11-22T06:00:00Z"}"#,
            r#"{"resourceType":"Observation","id":"t","status":"final","category":[{"coding":[{"code":"vital-signs"}]}],"code":{"text":"Pression artérielle"},"component":[{"code":{"text":"Systolique"},"valueQuantity":{"value":85,"unit":"mmHg"}},{"code":{"text":"Diastolique"},"valueQuantity":{"value":50,"unit":"mmHg"}}],"interpretation":[{"coding":[{"code":"LL"}]}],"effectiveDateTime":"2026-11-22T11:30:00Z"}"#,
            r#"{"resourceType":"Appointment","id":"i","status":"booked","start":"2026-11-22T14:00:00Z","description":"Échographie"}"#,
            r#"{"resourceType":"Appointment","id":"j","status":"booked","start":"2026-11-23T14:00:00Z","description":"Demain"}"#,
        ],
        FRENCH,
    );
    assert_eq!(sheet.identity.ins, Some(("279035121518989".into(), InsKind::Nir)));
    assert_eq!(
        (sheet.stay.ward.as_deref(), sheet.stay.room.as_deref(), sheet.stay.bed.as_deref()),
        (Some("Cardiologie"), Some("12"), Some("lit 2"))
    );
    assert_eq!(sheet.alerts.items, ["Isolement contact : BMR", "Volonté du patient : Ne pas réanimer"]);
    assert_eq!(sheet.results.items[0].off, Off::High, "by its range, as the laboratory said nothing");
    assert_eq!(sheet.vitals.items[0].off, Off::VeryLow);
    let Known::Some(treatments) = &sheet.treatments else { panic!("{:?}", sheet.treatments) };
    assert_eq!(
        treatments.items.iter().map(|one| one.standing).collect::<Vec<_>>(),
        [Standing::Ordered, Standing::Resting]
    );
    let book = pack(vec![sheet.clone()], FRENCH).to_book();
    let text = words(&book, 1);
    for wanted in [
        "Zélie Anne AUBRAC (utilisé : Zélie MARTIN)",
        "né(e) le 01/02/1950 (76 ans) · F",
        "INS 279035121518989 (NIR) · IPP 8001",
        "chambre 12 · lit 2",
        "!! GRAVE — Pénicilline : Choc anaphylactique",
        "! Isolement contact : BMR",
        "responsable : Dr Anne Morvan",
        "langue : breton",
        "Énoxaparine | 4000 UI, à 08:00, 20:00 | 22/11 08:05 (4000 UI) | 22/11 20:00",
        "SUSPENDU : Metformine | dose non enregistrée",
        "Potassium | 6,2 mmol/L | ▲ H | 3,5–5,0 | 22/11 07:00",
        "Systolique 85 mmHg ; Diastolique 50 mmHg | ▼▼ LL",
        "Rendez-vous : Échographie — 22/11 15:00",
        "Fille : Léa MARTIN — 01 99 00 00 01",
        "Médecin traitant : Dr LE GOFF — 02 61 91 00 00",
        "Problèmes en cours\nRien d’enregistré.",
        "20261122-1200-1234-001",
    ] {
        assert!(text.contains(wanted), "{wanted}\n---\n{text}");
    }
    assert!(!text.contains("Demain") && !text.contains("Isolement passé"));
    assert_eq!(book.chapters[1].code.as_deref(), Some("279035121518989"));
    let english = words(&pack(vec![sheet], Telling { language: Language::English, zone: Zone::Paris }).to_book(), 1);
    assert!(english.contains("!! SEVERE — Pénicilline") && english.contains("born 1 Feb 1950 (76 years)"), "{english}");
}

#[test]
fn silence_is_not_a_no() {
    let nothing = words(&pack(vec![sheet_of(&[PATIENT], FRENCH)], FRENCH).to_book(), 1);
    assert!(nothing.contains("ALLERGIES : RIEN D’ENREGISTRÉ") && nothing.contains("Alertes : aucune enregistrée"));
    let denied = r#"{"resourceType":"AllergyIntolerance","id":"n","clinicalStatus":{"coding":[{"code":"active"}]},"code":{"coding":[{"code":"716186003","display":"Pas d’allergie connue"}]}}"#;
    let denied = words(&pack(vec![sheet_of(&[PATIENT, denied], FRENCH)], FRENCH).to_book(), 1);
    assert!(denied.contains("ALLERGIES : AUCUNE CONNUE\nPas d’allergie connue"), "{denied}");
}

#[test]
fn bad_records_make_a_sheet_that_says_so() {
    let odd = [
        r#"{"resourceType":"AllergyIntolerance","id":"1","code":7,"reaction":{"manifestation":"x"}}"#,
        r#"{"resourceType":"MedicationRequest","id":"2","status":"active","intent":"order","dosageInstruction":[[],{"timing":5},null]}"#,
        r#"{"resourceType":"Observation","id":"3","status":"final","code":{"text":""},"effectiveDateTime":"gestern"}"#,
        r#"{"resourceType":"Encounter","id":"e","location":[{"location":{"reference":"Location/l"}}],"participant":"x"}"#,
        r#"{"resourceType":"Location","id":"l","name":"A","partOf":{"reference":"Location/l"}}"#,
        r#"{"id":"nothing"}"#,
    ];
    let sheet = sheet_of(&odd, FRENCH);
    assert_eq!(sheet.gaps, [Gap::Unreadable]);
    let lost = Sheet::empty("q", Gap::Nothing);
    let book = pack(vec![sheet, lost], FRENCH).to_book();
    assert!(words(&book, 1).contains("FEUILLE INCOMPLÈTE") && words(&book, 2).contains("DOSSIER ILLISIBLE"));
    let first = words(&book, 0);
    assert!(first.contains("! FEUILLE VIDE") && first.contains("2 feuilles ne sont pas complètes"), "{first}");
    book.to_pdf().unwrap();
}

/// An allergy that does not open must not look like no allergy, and what is missing is said where it is looked for.
#[test]
fn what_could_not_be_read_is_said_where_it_is_missing() {
    let denied = r#"{"resourceType":"AllergyIntolerance","id":"n","clinicalStatus":{"coding":[{"code":"active"}]},"code":{"coding":[{"code":"716186003","display":"Pas d’allergie connue"}]}}"#;
    let told = |texts: &[&str], missing: &[&str]| {
        let mut sheet = sheet_of(texts, FRENCH);
        sheet.lacks(missing.iter().map(|kind| Section::of(kind)));
        let book = pack(vec![sheet], FRENCH).to_book();
        (words(&book, 1), words(&book, 0))
    };
    const ASK: &str = "!! Ce qui figure au dossier n’a pas pu être lu en entier : demander.";
    for texts in [&[PATIENT][..], &[PATIENT, denied]] {
        let (sheet, first) = told(texts, &["AllergyIntolerance", "Medication"]);
        assert!(
            sheet.contains("FEUILLE INCOMPLÈTE")
                && sheet.contains("Il manque au moins un élément de : allergies, traitements."),
            "{sheet}"
        );
        assert!(sheet.contains(&format!("ALLERGIES : À DEMANDER\n{ASK}")), "{sheet}");
        assert!(!sheet.contains("RIEN D’ENREGISTRÉ") && !sheet.contains("AUCUNE CONNUE"), "{sheet}");
        assert!(
            sheet.contains(&format!("Traitements\n{ASK}")) && !sheet.contains(&format!("Problèmes en cours\n{ASK}")),
            "{sheet}"
        );
        assert!(first.contains("! incomplet"), "{first}");
    }
    let (sheet, _) = told(&[PATIENT], &["Basic"]);
    assert_eq!(sheet.matches(ASK).count(), 8, "what it is nobody knows: it may be missing in each part\n{sheet}");
    let (sheet, first) = told(&[PATIENT], &[]);
    assert!(!sheet.contains("INCOMPLÈTE") && !first.contains("incomplet"), "nothing is missing");
}

#[test]
fn lists_are_bounded_and_say_so() {
    let flags: Vec<String> = (0..40)
        .map(|n| {
            format!(r#"{{"resourceType":"Flag","id":"f{n}","status":"active","code":{{"text":"Alerte {n:02}"}}}}"#)
        })
        .collect();
    let mut texts: Vec<&str> = flags.iter().map(String::as_str).collect();
    texts.push(PATIENT);
    let sheet = sheet_of(&texts, FRENCH);
    assert_eq!((sheet.alerts.items.len(), sheet.alerts.more), (15, 25));
    assert!(words(&pack(vec![sheet], FRENCH).to_book(), 1).contains("… et 25 de plus : demander"));
}

/// A ward of a synthetic hospital: every patient has a sheet, ordered by bed, and what the sheet says is in the patient's own records.
#[test]
fn a_ward_of_the_synthetic_hospital() {
    let hospital = Hospital::new(HospitalOptions { seed: 7, patients: 160, now: at("2026-11-22T12:00:00Z") });
    let foundation = hospital.foundation();
    let mut sheets = Vec::new();
    let files: Vec<_> = (0..160).filter_map(|n| hospital.inpatient(n, "Cardiologie", n)).take(130).collect();
    if let Some(path) = std::env::var_os("TACET_PACK_NDJSON") {
        let all = foundation.iter().chain(files.iter().flat_map(|file| &file.resources));
        std::fs::write(path, all.map(|one| one.json.clone() + "\n").collect::<String>()).unwrap();
    }
    for file in files {
        let all = foundation.iter().chain(&file.resources);
        let resources: Vec<Json<'_>> = all.map(|one| parse_str(&one.json, &Limits::default()).unwrap()).collect();
        let asked = Asked { patient: &file.id, encounter: None, now: hospital.options().now, telling: FRENCH };
        let sheet = Sheet::of(&Dossier::new(resources), &asked);
        assert!(sheet.gaps.is_empty() && sheet.identity.name.is_some() && sheet.identity.born.is_some());
        sheets.push(sheet);
    }
    let known = sheets.iter().filter(|sheet| matches!(sheet.treatments, Known::Some(_))).count();
    assert!(known > 120, "{known}");
    let due = |sheet: &&Sheet| match &sheet.treatments {
        Known::Some(listed) => listed.items.iter().any(|one| one.due.is_some() && one.last.is_some()),
        _ => false,
    };
    assert!(sheets.iter().filter(due).count() > 100);
    let at_home = sheets.iter().filter(|sheet| sheet.stay.ward.as_deref() != Some("Cardiologie")).count();
    // A few are in two places at once, as in life: the latest counts.
    assert!(at_home < 5, "{at_home}");
    let book = pack(sheets, FRENCH).to_book();
    assert_eq!(book.chapters.len(), 131);
    if let Some(path) = std::env::var_os("TACET_PACK_PDF") {
        std::fs::write(path, book.to_pdf().unwrap()).unwrap();
    }
}
