//! What is measured: vital signs, laboratory panels with their request and report, Covid tests.

use super::chart::{Chart, Visit};
use super::diagnoses::COVID;
use super::label::label;
use super::terms::*;
use super::visit::encounter_of;
use crate::calendar::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::draw::Draw;
use crate::json::{JsonWriter, Uuid, french_decimal};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
const SECTION: &str = "http://terminology.hl7.org/CodeSystem/v2-0074";

/// Most rounds of vital signs that one stay writes down; the rest stays with the monitors.
const ROUNDS_MAX: i64 = 3;

/// A value drawn for a measure: usual, or for a disturbed patient sometimes far off.
pub(crate) fn draw_value(draw: &mut Draw, measure: &Measure, disturbed: bool) -> i64 {
    if disturbed && draw.chance(40) {
        draw.between(measure.extreme.0, measure.extreme.1)
    } else {
        draw.around(measure.usual.0, measure.usual.1)
    }
}

/// Low, high or normal.
fn interpretation(measure: &Measure, value: i64) -> (&'static str, &'static str) {
    match value {
        value if value < measure.usual.0 => ("L", "Low"),
        value if value > measure.usual.1 => ("H", "High"),
        _ => ("N", "Normal"),
    }
}

/// What an Observation is about and where it comes from.
pub(crate) struct Context {
    pub(crate) patient: Uuid,
    pub(crate) encounter: Option<Uuid>,
    pub(crate) moment: i64,
    pub(crate) sensitive: Option<&'static str>,
    pub(crate) performer: Option<(Uuid, String)>,
}

/// Writes the body of an Observation of one number.
pub(crate) fn write_number(w: &mut JsonWriter, context: &Context, category: &str, measure: &Measure, value: i64) {
    write_head(w, context, category, measure.loinc, measure.text);
    w.quantity("valueQuantity", value, measure.digits, measure.unit, measure.ucum);
    if category == "laboratory" {
        let (code, display) = interpretation(measure, value);
        w.concepts("interpretation", INTERPRETATION, code, display);
        w.single("referenceRange", |w| {
            w.quantity("low", measure.usual.0, measure.digits, measure.unit, measure.ucum);
            w.quantity("high", measure.usual.1, measure.digits, measure.unit, measure.ucum);
        });
    }
}

fn write_head(w: &mut JsonWriter, context: &Context, category: &str, loinc: &str, text: &str) {
    label(w, context.sensitive);
    w.text("status", "final");
    w.concepts("category", CATEGORY, category, "");
    w.object("code", |w| w.concept_members(LOINC, loinc, text, text));
    w.own("subject", "Patient", context.patient);
    encounter_of(w, context.encounter);
    w.instant("effectiveDateTime", context.moment);
    w.instant("issued", context.moment + 12 * MINUTE_MS);
    if let Some((id, display)) = &context.performer {
        w.array("performer", |w| w.element(|w| w.standing_members("Practitioner", *id, display)));
    }
}

/// Writes the body of the Observation of a blood pressure.
pub(crate) fn write_blood_pressure(w: &mut JsonWriter, context: &Context, systolic: i64, diastolic: i64) {
    write_head(w, context, "vital-signs", BLOOD_PRESSURE.0, BLOOD_PRESSURE.1);
    w.array("component", |w| {
        for (measure, value) in [(&SYSTOLIC, systolic), (&DIASTOLIC, diastolic)] {
            w.element(|w| {
                w.object("code", |w| w.concept_members(LOINC, measure.loinc, measure.text, ""));
                w.quantity("valueQuantity", value, measure.digits, measure.unit, measure.ucum);
            });
        }
    });
}

impl Chart<'_> {
    pub(crate) fn write_measures(&mut self, visit: &Visit) {
        match visit.way {
            Way::Consultation => {
                self.write_pressure(visit, visit.start + 5 * MINUTE_MS);
                if self.draw.chance(50) {
                    self.write_build(visit);
                }
            }
            Way::Emergency => {
                self.write_round(visit, visit.start + 10 * MINUTE_MS);
                self.write_pain(visit);
            }
            Way::Admission | Way::Planned => {
                self.write_build(visit);
                let rounds = ((visit.end - visit.start) / DAY_MS + 1).clamp(1, ROUNDS_MAX);
                for round in 0..rounds {
                    let moment = visit.start + round * DAY_MS + self.draw.between(20, 300) * MINUTE_MS;
                    self.write_round(visit, moment.min(visit.end));
                }
            }
        }
        for panel in visit.diagnosis.panels {
            if self.draw.chance(if visit.way == Way::Consultation { 25 } else { 75 }) {
                self.write_panel(visit, panel);
            }
        }
    }

    fn context(&self, visit: &Visit, moment: i64) -> Context {
        let performer = self.staff.of_ward(visit.ward, false, visit.choice >> 11);
        Context {
            patient: self.patient,
            encounter: Some(visit.encounter),
            moment,
            sensitive: visit.diagnosis.sensitive,
            performer: performer.map(|person| (person.id, person.display.clone())),
        }
    }

    fn is_future(&self, moment: i64) -> bool {
        moment + HOUR_MS > self.person.end_ms
    }

    fn write_one(&mut self, visit: &Visit, moment: i64, category: &str, measure: &Measure, value: i64) -> Uuid {
        let id = self.next_id();
        let context = self.context(visit, moment);
        self.add("Observation", id, |w| write_number(w, &context, category, measure, value));
        id
    }

    fn write_round(&mut self, visit: &Visit, moment: i64) {
        if self.is_future(moment) {
            return;
        }
        for measure in VITAL_SIGNS {
            let value = draw_value(&mut self.draw, measure, visit.disturbed);
            self.write_one(visit, moment, "vital-signs", measure, value);
        }
        self.write_pressure(visit, moment);
    }

    fn write_pressure(&mut self, visit: &Visit, moment: i64) {
        if self.person.age < 6 || self.is_future(moment) {
            return;
        }
        let id = self.next_id();
        let disturbed = visit.disturbed || visit.diagnosis.cim10 == "I10";
        let systolic = draw_value(&mut self.draw, &SYSTOLIC, disturbed);
        let diastolic = draw_value(&mut self.draw, &DIASTOLIC, disturbed).min(systolic - 15);
        let context = self.context(visit, moment);
        self.add("Observation", id, |w| write_blood_pressure(w, &context, systolic, diastolic));
    }

    /// Weight and height; children are measured by their age.
    fn write_build(&mut self, visit: &Visit) {
        let moment = visit.start + 15 * MINUTE_MS;
        if self.is_future(moment) {
            return;
        }
        let age = self.person.age;
        let (weight, height) = if age < 17 {
            (38 + age * 32 + self.draw.between(-5, 5) * (age + 2) / 4, 51 + age * 7 + self.draw.between(-3, 6))
        } else {
            (draw_value(&mut self.draw, &WEIGHT, visit.disturbed), draw_value(&mut self.draw, &HEIGHT, false))
        };
        self.write_one(visit, moment, "vital-signs", &WEIGHT, weight);
        if self.draw.chance(60) {
            self.write_one(visit, moment, "vital-signs", &HEIGHT, height);
        }
    }

    fn write_pain(&mut self, visit: &Visit) {
        let moment = visit.start + 12 * MINUTE_MS;
        if !self.is_future(moment) {
            let value = draw_value(&mut self.draw, &PAIN, true);
            self.write_one(visit, moment, "survey", &PAIN, value);
        }
    }

    /// A laboratory panel: the request, each result, and the report that draws the conclusion.
    fn write_panel(&mut self, visit: &Visit, panel: &'static Panel) {
        let moment = visit.start + self.draw.between(20, 120) * MINUTE_MS;
        if self.is_future(moment + HOUR_MS) {
            return;
        }
        let request = self.next_id();
        let patient = self.patient;
        let doctor = self.doctor(visit.ward, visit.choice);
        self.add("ServiceRequest", request, |w| {
            label(w, visit.diagnosis.sensitive);
            w.text("status", "completed");
            w.text("intent", "order");
            w.concepts("category", SNOMED, "108252007", "Analyse de laboratoire");
            w.text("priority", if visit.disturbed { "urgent" } else { "routine" });
            w.object("code", |w| w.concept_members(LOINC, panel.loinc, panel.text, panel.text));
            w.own("subject", "Patient", patient);
            w.own("encounter", "Encounter", visit.encounter);
            w.instant("authoredOn", moment - 15 * MINUTE_MS);
            if let Some(doctor) = doctor {
                w.standing("requester", "Practitioner", doctor.id, &doctor.display);
            }
        });
        let mut results = Vec::with_capacity(panel.measures.len());
        let mut remarks = Vec::new();
        for measure in panel.measures {
            let value = draw_value(&mut self.draw, measure, visit.disturbed);
            let word = match interpretation(measure, value).0 {
                "H" => Some("élevée"),
                "L" => Some("basse"),
                _ => None,
            };
            if let Some(word) = word {
                let value = french_decimal(value, measure.digits);
                remarks.push(format!("{} : valeur {word} ({value} {})", measure.text, measure.unit));
            }
            results.push((self.write_one(visit, moment, "laboratory", measure, value), measure.text));
        }
        let conclusion = if remarks.is_empty() {
            format!("{} sans anomalie.", panel.text)
        } else {
            format!("{}. {}. À confronter à la clinique.", panel.text, remarks.join(" ; "))
        };
        self.write_report(visit, request, moment, (panel.loinc, panel.text), &results, &conclusion);
    }

    fn write_report(
        &mut self,
        visit: &Visit,
        request: Uuid,
        moment: i64,
        code: (&'static str, &'static str),
        results: &[(Uuid, &'static str)],
        conclusion: &str,
    ) {
        let id = self.next_id();
        let (patient, display) = (self.patient, self.display.clone());
        let biologist = self.doctor(Ward::Laboratory, visit.choice >> 5);
        let narrative = self.draw.chance(35);
        let sensitive = visit.diagnosis.sensitive;
        self.add("DiagnosticReport", id, |w| {
            label(w, sensitive);
            if narrative {
                w.narrative(&[&format!("{display} : {conclusion}")]);
            }
            w.array("basedOn", |w| w.element(|w| w.own_members("ServiceRequest", request)));
            w.text("status", "final");
            w.concepts("category", SECTION, "LAB", "Laboratory");
            w.object("code", |w| w.concept_members(LOINC, code.0, code.1, code.1));
            w.object("subject", |w| {
                w.own_members("Patient", patient);
                w.text("display", &display);
            });
            w.own("encounter", "Encounter", visit.encounter);
            w.instant("effectiveDateTime", moment);
            w.instant("issued", moment + 55 * MINUTE_MS);
            if let Some(biologist) = biologist {
                w.array("performer", |w| {
                    w.element(|w| w.standing_members("Practitioner", biologist.id, &biologist.display));
                });
            }
            w.array("result", |w| {
                for (result, text) in results {
                    w.element(|w| {
                        w.own_members("Observation", *result);
                        w.text("display", text);
                    });
                }
            });
            w.text("conclusion", conclusion);
        });
    }

    /// A Covid test: swab, result, report.
    pub(crate) fn write_covid_test(&mut self, moment: i64) {
        let (specimen, result, report) = (self.next_id(), self.next_id(), self.next_id());
        let (patient, display, laboratory) = (self.patient, self.display.clone(), self.staff.laboratory);
        let (loinc, text) = if self.draw.chance(60) {
            ("94500-6", "SARS-CoV-2, recherche par RT-PCR")
        } else {
            ("97097-0", "SARS-CoV-2, test antigénique")
        };
        let positive = self.draw.chance(14);
        let (code, word) = if positive { ("260373001", "Détecté") } else { ("260415000", "Non détecté") };
        if positive && !self.diagnosed.iter().any(|known| known.cim10 == COVID.cim10) {
            self.diagnosed.push(&COVID);
        }
        let choice = self.draw.next();
        let biologist = self.doctor(Ward::Laboratory, choice);
        self.add("Specimen", specimen, |w| {
            w.single("identifier", |w| {
                w.text("system", "urn:oid:2.999.910.3");
                w.text("value", &format!("PRL-{:09}", choice % 1_000_000_000));
            });
            w.text("status", "available");
            w.object("type", |w| w.concept_members(SNOMED, "258500001", "Écouvillon nasopharyngé", ""));
            w.own("subject", "Patient", patient);
            w.instant("receivedTime", moment + 2 * HOUR_MS);
            w.object("collection", |w| w.instant("collectedDateTime", moment));
        });
        let context = Context {
            patient,
            encounter: None,
            moment,
            sensitive: None,
            performer: biologist.map(|person| (person.id, person.display.clone())),
        };
        self.add("Observation", result, |w| {
            write_head(w, &context, "laboratory", loinc, text);
            w.object("valueCodeableConcept", |w| w.concept_members(SNOMED, code, word, word));
            let (code, display) = if positive { ("POS", "Positive") } else { ("NEG", "Negative") };
            w.concepts("interpretation", INTERPRETATION, code, display);
            w.own("specimen", "Specimen", specimen);
        });
        let conclusion = if positive {
            "Test positif : isolement et information des contacts recommandés."
        } else {
            "Test négatif. Refaire un test en cas de symptômes."
        };
        self.add("DiagnosticReport", report, |w| {
            w.text("status", "final");
            w.concepts("category", SECTION, "LAB", "Laboratory");
            w.object("code", |w| w.concept_members(LOINC, loinc, text, text));
            w.object("subject", |w| {
                w.own_members("Patient", patient);
                w.text("display", &display);
            });
            w.instant("effectiveDateTime", moment);
            w.instant("issued", moment + 9 * HOUR_MS);
            w.array("performer", |w| {
                w.element(|w| w.standing_members("Organization", laboratory, "Laboratoire de biologie de l'Essonne"));
            });
            w.array("specimen", |w| w.element(|w| w.own_members("Specimen", specimen)));
            w.array("result", |w| {
                w.element(|w| {
                    w.own_members("Observation", result);
                    w.text("display", text);
                });
            });
            w.text("conclusion", conclusion);
            if positive {
                w.concepts("conclusionCode", CIM10, COVID.cim10, COVID.text);
            }
        });
    }
}
