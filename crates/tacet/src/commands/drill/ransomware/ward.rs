//! Who lies on the ward, as their records say it, and whether the pack that the workstation has says the same.

use super::pages;
use serde_json::Value;
use std::collections::BTreeSet;
use tacet_testkit::PatientFile;

/// Somebody who lies on the ward.
#[derive(Clone, Debug)]
pub(super) struct Lying {
    /// By which a sheet names them: national number and the hospital's own.
    pub(super) numbers: Vec<String>,
    /// Where they lie there; empty where the records name no bed.
    pub(super) beds: Vec<String>,
    /// Whether they let nobody who cares for them see their records. Such a patient has no sheet (docs/paper-packs.md).
    pub(super) refuses: bool,
}

impl Lying {
    /// Whether somebody lies on the ward of this Location, which has this name.
    pub(super) fn of(file: &PatientFile, ward: &str, name: &str) -> Option<Self> {
        let place = format!("Location/{ward}");
        let mut beds = BTreeSet::new();
        let mut lies = false;
        // Most records are not about the ward: they are not read for it.
        let stays = file.resources.iter().filter(|record| {
            record.resource_type.as_str() == "Encounter"
                && record.json.contains(ward)
                && record.json.contains("in-progress")
        });
        for stay in stays {
            let stay: Value = serde_json::from_str(&stay.json).unwrap_or_default();
            if stay.get("status").and_then(Value::as_str) != Some("in-progress") {
                continue;
            }
            for part in stay.get("location").and_then(Value::as_array).into_iter().flatten() {
                let at = part.get("location");
                let text = |member: &str| at.and_then(|at| at.get(member)).and_then(Value::as_str);
                if text("reference") == Some(&place) && part.pointer("/period/end").is_none() {
                    lies = true;
                    let bed = text("display").and_then(|shown| shown.strip_prefix(name));
                    beds.extend(bed.and_then(|bed| bed.strip_prefix(", ")).map(str::to_owned));
                }
            }
        }
        lies.then(|| Self { numbers: numbers(file), beds: beds.into_iter().collect(), refuses: file.refuses() })
    }

    /// Whether a page is theirs.
    fn is_on(&self, page: &str) -> bool {
        let names = ["INS", "IPP"];
        self.numbers.iter().any(|number| names.iter().any(|name| page.contains(&format!("{name}{number}"))))
    }

    /// Whether a page says where they lie.
    fn has_bed_on(&self, page: &str) -> bool {
        self.beds.is_empty() || self.beds.iter().any(|bed| page.contains(&pages::close_up(&format!("{bed} · patient"))))
    }
}

fn numbers(file: &PatientFile) -> Vec<String> {
    let patient = file.resources.iter().find(|record| record.resource_type.as_str() == "Patient");
    let patient: Value = patient.and_then(|record| serde_json::from_str(&record.json).ok()).unwrap_or_default();
    let identifiers = patient.get("identifier").and_then(Value::as_array);
    let values = identifiers.into_iter().flatten().filter_map(|one| one.get("value").and_then(Value::as_str));
    values.map(pages::close_up).collect()
}

/// Somebody who came to lie on the ward during the day.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    pub(super) lying: Lying,
    /// When it was acknowledged, in milliseconds; none where it was not.
    pub(super) acknowledged_ms: Option<i64>,
}

/// A pack held against who lay there.
#[derive(Default)]
pub(super) struct Held {
    /// Those who must be in it: their admission was acknowledged before it was begun.
    pub(super) expected: u64,
    /// Of them, those who came during the day.
    pub(super) admitted: u64,
    /// Those who lay there too, and let nobody of the ward see their records.
    pub(super) refused: u64,
    /// Those of them who have a sheet all the same.
    pub(super) exposed: u64,
    /// Those of the expected who have no sheet.
    pub(super) missing: u64,
    /// Those whose sheet does not say their bed.
    pub(super) astray: u64,
    /// Those who came while it was made, and have a sheet.
    pub(super) late: u64,
    /// Sheets of whom nobody has heard.
    pub(super) foreign: u64,
}

impl Held {
    /// `pages`: the words of each; `sheets`: how many the pack says it has; `made_ms`: when it was begun.
    pub(super) fn against(
        pages: &[String],
        sheets: u64,
        made_ms: i64,
        before: &[Lying],
        admissions: &[Admission],
    ) -> Self {
        let in_time = |one: &&Admission| one.acknowledged_ms.is_some_and(|at| at < made_ms);
        let admitted = || admissions.iter().filter(in_time).map(|one| &one.lying);
        let sees = |one: &&Lying| !one.refuses;
        let mut held = Self { admitted: admitted().filter(sees).count() as u64, ..Self::default() };
        for one in before.iter().chain(admitted()) {
            let own: Vec<&String> = pages.iter().filter(|page| one.is_on(page)).collect();
            if one.refuses {
                held.refused += 1;
                held.exposed += u64::from(!own.is_empty());
                continue;
            }
            held.expected += 1;
            held.missing += u64::from(own.is_empty());
            // A sheet says it on its first page.
            held.astray += u64::from(!own.is_empty() && !own.iter().any(|page| one.has_bed_on(page)));
        }
        let late = admissions.iter().filter(|one| !in_time(one)).filter(|one| pages.iter().any(|p| one.lying.is_on(p)));
        held.late = late.count() as u64;
        held.foreign = sheets.saturating_sub(held.expected - held.missing + held.late + held.exposed);
        held
    }

    pub(super) fn is_met(&self) -> bool {
        self.expected > 0 && self.missing == 0 && self.astray == 0 && self.foreign == 0 && self.exposed == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tacet_continuity::select::Dossier;
    use tacet_continuity::sheet::{Asked, Sheet};
    use tacet_continuity::{Language, Pack, Telling, Zone};
    use tacet_fhir::json;
    use tacet_testkit::{Hospital, HospitalOptions};
    use tacet_types::Timestamp;

    const WARD: &str = "Cardiologie";

    fn files(hospital: &Hospital, count: usize) -> Vec<PatientFile> {
        let id = hospital.ward(WARD).unwrap();
        let files = (0..).filter_map(|n| hospital.inpatient(n, WARD, n % 90));
        files.filter(|file| Lying::of(file, &id, WARD).is_some_and(|one| !one.refuses)).take(count).collect()
    }

    fn pdf(hospital: &Hospital, files: &[PatientFile], now: Timestamp) -> Vec<u8> {
        let telling = Telling { language: Language::French, zone: Zone::parse("Europe/Paris").unwrap() };
        let foundation = hospital.foundation();
        let shared = Arc::new(Dossier::new(
            foundation.iter().map(|one| json::parse_str(&one.json, &json::Limits::default()).unwrap()).collect(),
        ));
        let sheet = |file: &PatientFile| {
            let records =
                file.resources.iter().map(|one| json::parse_str(&one.json, &json::Limits::default()).unwrap());
            let asked = Asked { patient: &file.id, encounter: None, now, telling };
            Sheet::of(&Dossier::over(records.collect(), Arc::clone(&shared)), &asked)
        };
        let sheets = files.iter().enumerate().map(|(n, file)| (format!("CODE{n}"), sheet(file))).collect();
        let serial = "S1".to_owned();
        let pack =
            Pack { hospital: "H".into(), ward: WARD.into(), made: now, until: now, telling, sheets, more: 0, serial };
        pack.to_pdf().unwrap()
    }

    #[test]
    fn a_pack_is_held_against_who_lies_there() {
        let now = Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
        let hospital = Hospital::new(HospitalOptions { seed: 3, patients: 10, now });
        let id = hospital.ward(WARD).unwrap();
        let files = files(&hospital, 6);
        let mut lying: Vec<Lying> = files.iter().map(|file| Lying::of(file, &id, WARD).unwrap()).collect();
        assert!(lying.iter().all(|one| one.numbers.len() > 1 && one.beds.len() == 1), "{lying:?}");
        let read = pages::pages(&pdf(&hospital, &files[..5], now));

        let held = Held::against(&read, 5, 100, &lying[..5], &[]);
        assert!(held.is_met() && held.expected == 5, "{} {} {}", held.missing, held.astray, held.foreign);
        let held = Held::against(&read, 5, 100, &lying[..4], &[]);
        assert_eq!((held.is_met(), held.foreign), (false, 1), "a sheet too many");
        let held = Held::against(&read, 5, 100, &lying, &[]);
        assert_eq!((held.is_met(), held.missing), (false, 1), "a sheet too few");

        let admission = |place: usize, at| Admission { lying: lying[place].clone(), acknowledged_ms: at };
        for (at, met) in [(Some(99), false), (Some(100), true), (None, true)] {
            let held = Held::against(&read, 5, 100, &lying[..5], &[admission(5, at)]);
            assert_eq!((held.is_met(), held.admitted), (met, u64::from(!met)), "acknowledged at {at:?}");
        }
        let held = Held::against(&read, 5, 100, &lying[..4], &[admission(4, Some(200))]);
        assert!(held.is_met() && held.late == 1, "somebody who came while it was made may be in it");

        lying[4].refuses = true;
        let held = Held::against(&read, 5, 100, &lying[..5], &[]);
        assert_eq!((held.is_met(), held.refused, held.exposed, held.foreign), (false, 1, 1, 0), "it must not be there");
        lying[5].refuses = true;
        lying[4].refuses = false;
        let held = Held::against(&read, 5, 100, &lying, &[]);
        assert!(held.is_met() && (held.expected, held.refused) == (5, 1), "who refused is not missed");

        lying[2].beds = vec!["lit 91".to_owned()];
        let held = Held::against(&read, 5, 100, &lying[..5], &[]);
        assert_eq!((held.is_met(), held.astray), (false, 1), "another bed");
    }

    #[test]
    fn who_lets_nobody_see_their_records_is_known() {
        let now = Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
        let hospital = Hospital::new(HospitalOptions { seed: 1, patients: 10, now });
        let id = hospital.ward(WARD).unwrap();
        let refuses = |n| Lying::of(&hospital.inpatient(n, WARD, 1).unwrap(), &id, WARD).unwrap().refuses;
        // Of the hospital's patients: no consent, one that denies, one that permits.
        assert_eq!([10_000, 10_002, 10_005].map(refuses), [false, true, false]);
    }

    #[test]
    fn who_has_left_does_not_lie_there() {
        let now = Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
        let hospital = Hospital::new(HospitalOptions { seed: 3, patients: 10, now });
        let mut file = files(&hospital, 1).remove(0);
        let id = hospital.ward(WARD).unwrap();
        assert!(Lying::of(&file, "another", WARD).is_none());
        for record in &mut file.resources {
            record.json = record.json.replace("in-progress", "finished");
        }
        assert!(Lying::of(&file, &id, WARD).is_none());
    }
}
