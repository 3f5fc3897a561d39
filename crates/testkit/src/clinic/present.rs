//! A stay that goes on now: what a ward has of a patient who lies in it, with doses by the clock, what was given, alerts and what is planned today.

use super::chart::{Chart, Visit};
use super::diagnoses::DIAGNOSES;
use super::terms::{ATC, SNOMED, Ward, Way};
use crate::calendar::{DAY_MS, HOUR_MS, MINUTE_MS, day_of};

/// Orders by the clock: ATC code, name, dose and its unit, times of day (by universal time, as the clock of the ward is not ours to know).
const TIMED: [(&str, &str, i64, &str, &[i64]); 9] = [
    ("B01AB05", "Énoxaparine 4 000 UI/0,4 mL", 4000, "UI", &[20]),
    ("N02BE01", "Paracétamol 1 g", 1, "g", &[6, 12, 18, 23]),
    ("A02BC01", "Oméprazole 20 mg", 1, "gélule", &[8]),
    ("C03CA01", "Furosémide 40 mg", 1, "comprimé", &[8, 14]),
    ("C07AB07", "Bisoprolol 2,5 mg", 1, "comprimé", &[8]),
    ("C09AA05", "Ramipril 5 mg", 1, "comprimé", &[8]),
    ("A10AB05", "Insuline asparte", 6, "UI", &[8, 12, 19]),
    ("J01CR02", "Amoxicilline/acide clavulanique 1 g", 1, "g", &[8, 16, 23]),
    ("N05CF01", "Zopiclone 3,75 mg", 1, "comprimé", &[22]),
];

/// What a ward is to know at once.
const ALERTS: [&str; 6] = [
    "Isolement contact : entérobactérie BLSE",
    "Risque de chute élevé",
    "Isolement gouttelettes : grippe",
    "Prothèse valvulaire : antibioprophylaxie",
    "Bras gauche : ni tension ni ponction (curage axillaire)",
    "Fausses routes : texture mixée, eau gélifiée",
];

/// What is ordered for the day.
const PLANNED: [&str; 6] = [
    "Échographie cardiaque transthoracique",
    "Scanner thoracique sans injection",
    "Kinésithérapie respiratoire",
    "Avis diabétologique",
    "Pansement complexe",
    "Radiographie du thorax au lit",
];

impl Chart<'_> {
    /// Adds a stay that began some days ago and goes on. Nothing for the dead.
    pub(crate) fn write_present(&mut self, ward: Ward, bed: u64) {
        if self.person.dead {
            return;
        }
        let now = self.person.end_ms;
        let (age, sex) = (self.person.age, self.person.sex);
        let reasons: Vec<_> = DIAGNOSES
            .iter()
            .filter(|one| one.way == Way::Admission && one.sensitive.is_none())
            .filter(|one| (one.ages.0..=one.ages.1).contains(&age) && one.sex.is_none_or(|only| only == sex))
            .collect();
        let place = self.draw.below(reasons.len().max(1) as u64) as usize;
        let Some(diagnosis) = reasons.get(place).copied() else { return };
        let visit = Visit {
            encounter: self.next_id(),
            condition: self.next_id(),
            diagnosis,
            start: now - self.draw.between(1, 6) * DAY_MS - self.draw.between(1, 20) * HOUR_MS,
            end: now + 3 * DAY_MS,
            ward,
            way: Way::Admission,
            // The bed is what is left of it by ninety.
            choice: bed % 90,
            disturbed: true,
        };
        self.write_visit(&visit);
        for _ in 0..self.draw.between(2, 5) {
            let timed = *self.draw.pick_from(&TIMED);
            self.write_timed(&visit, timed, now);
        }
        if self.draw.chance(35) {
            let alert = *self.draw.pick_from(&ALERTS);
            self.write_alert(alert, visit.start);
        }
        if self.draw.chance(12) {
            self.write_will(visit.start);
        }
        if self.draw.chance(40) && !self.records.iter().any(|one| one.resource_type.as_str() == "AllergyIntolerance") {
            self.write_no_allergy(visit.start);
        }
        for _ in 0..self.draw.between(0, 2) {
            let planned = *self.draw.pick_from(&PLANNED);
            self.write_planned(&visit, planned, now);
        }
    }

    fn write_timed(
        &mut self,
        visit: &Visit,
        timed: (&'static str, &'static str, i64, &'static str, &'static [i64]),
        now: i64,
    ) {
        let (atc, name, dose, unit, hours) = timed;
        let (id, patient) = (self.next_id(), self.patient);
        let doctor = self.doctor(visit.ward, visit.choice);
        let times: Vec<String> = hours.iter().map(|hour| format!("{hour:02}:00:00")).collect();
        self.add("MedicationRequest", id, |w| {
            w.text("status", "active");
            w.text("intent", "order");
            w.object("medicationCodeableConcept", |w| w.concept_members(ATC, atc, name, name));
            w.own("subject", "Patient", patient);
            w.own("encounter", "Encounter", visit.encounter);
            w.instant("authoredOn", visit.start + HOUR_MS);
            if let Some(doctor) = doctor {
                w.standing("requester", "Practitioner", doctor.id, &doctor.display);
            }
            w.single("dosageInstruction", |w| {
                w.object("timing", |w| {
                    w.object("repeat", |w| w.array("timeOfDay", |w| times.iter().for_each(|time| w.item(time))));
                });
                w.concept("route", SNOMED, "26643006", "voie orale");
                w.single("doseAndRate", |w| w.quantity("doseQuantity", dose, 0, unit, unit));
            });
        });
        let today = now - now.rem_euclid(DAY_MS);
        let slots =
            [today - DAY_MS, today].into_iter().flat_map(|day| hours.iter().map(move |hour| day + hour * HOUR_MS));
        for slot in slots.collect::<Vec<i64>>() {
            let at = slot + self.draw.between(-10, 25) * MINUTE_MS;
            if at < visit.start || at > now || self.draw.chance(6) {
                continue;
            }
            let given = self.next_id();
            let refused = self.draw.chance(4);
            self.add("MedicationAdministration", given, |w| {
                w.text("status", if refused { "not-done" } else { "completed" });
                w.object("medicationCodeableConcept", |w| w.concept_members(ATC, atc, name, name));
                w.own("subject", "Patient", patient);
                w.own("context", "Encounter", visit.encounter);
                w.instant("effectiveDateTime", at);
                w.own("request", "MedicationRequest", id);
                w.object("dosage", |w| w.quantity("dose", dose, 0, unit, unit));
            });
        }
    }

    fn write_alert(&mut self, alert: &str, start: i64) {
        let (id, patient) = (self.next_id(), self.patient);
        self.add("Flag", id, |w| {
            w.text("status", "active");
            w.concepts("category", "http://terminology.hl7.org/CodeSystem/flag-category", "safety", "Safety");
            w.object("code", |w| w.text("text", alert));
            w.own("subject", "Patient", patient);
            w.object("period", |w| w.instant("start", start));
        });
    }

    fn write_will(&mut self, start: i64) {
        let (id, patient) = (self.next_id(), self.patient);
        self.add("Consent", id, |w| {
            w.text("status", "active");
            let scope = "http://terminology.hl7.org/CodeSystem/consentscope";
            w.concept("scope", scope, "adr", "Advanced Care Directive");
            let categories = "http://terminology.hl7.org/CodeSystem/consentcategorycodes";
            w.concepts("category", categories, "dnr", "Ne pas réanimer (décision collégiale)");
            w.own("patient", "Patient", patient);
            w.instant("dateTime", start);
            w.object("policyRule", |w| w.text("text", "Directives anticipées (code de la santé publique, L1111-11)"));
        });
    }

    fn write_no_allergy(&mut self, start: i64) {
        let (id, patient) = (self.next_id(), self.patient);
        self.add("AllergyIntolerance", id, |w| {
            let clinical = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
            w.concept("clinicalStatus", clinical, "active", "");
            w.object("code", |w| w.concept_members(SNOMED, "716186003", "No known allergy", "Pas d'allergie connue"));
            w.own("patient", "Patient", patient);
            w.instant("recordedDate", start);
        });
    }

    fn write_planned(&mut self, visit: &Visit, planned: &str, now: i64) {
        let (id, patient) = (self.next_id(), self.patient);
        let at = now - now.rem_euclid(DAY_MS) + self.draw.between(13, 17) * HOUR_MS;
        let urgent = self.draw.chance(25);
        self.add("ServiceRequest", id, |w| {
            w.text("status", "active");
            w.text("intent", "order");
            w.text("priority", if urgent { "urgent" } else { "routine" });
            w.object("code", |w| w.text("text", planned));
            w.own("subject", "Patient", patient);
            w.own("encounter", "Encounter", visit.encounter);
            w.instant("occurrenceDateTime", at);
            w.date("authoredOn", day_of(now));
        });
    }
}
