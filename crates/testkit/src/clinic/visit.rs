//! One visit written down: encounter, diagnosis, measures, acts, prescriptions, letters; and what is done for prevention.

use super::chart::{Chart, Visit};
use super::label::{inline, label, labels};
use super::terms::{ACT_CODE, ATC, Act, CCAM, CIM10, Drug, SNOMED, VACCINES, Ward, Way};
use crate::calendar::{DAY_MS, HOUR_MS, MINUTE_MS, day_of};
use crate::json::{JsonWriter, Uuid};
use crate::staff::HOSPITAL_NAME;

impl Chart<'_> {
    pub(crate) fn write_visit(&mut self, visit: &Visit) {
        let known = self.chronic.iter().find(|(known, _)| std::ptr::eq(*known, visit.diagnosis)).map(|known| known.1);
        let visit = Visit { condition: known.unwrap_or(visit.condition), ..*visit };
        self.write_encounter(&visit);
        if known.is_none() {
            self.write_condition(&visit);
        }
        self.write_measures(&visit);
        for act in visit.diagnosis.acts {
            if visit.way != Way::Consultation && self.draw.chance(75) {
                self.write_act(&visit, act);
            }
        }
        let drugs = visit.diagnosis.drugs;
        for drug in drugs {
            if self.draw.chance(if visit.way == Way::Consultation { 45 } else { 80 }) {
                self.write_prescription(&visit, drug);
            }
        }
        self.write_letters(&visit);
    }

    fn write_encounter(&mut self, visit: &Visit) {
        let (patient, display) = (self.patient, self.display.clone());
        let ongoing = visit.end > self.person.end_ms;
        let doctor = self.doctor(visit.ward, visit.choice);
        let hospital = self.staff.hospital;
        let by_emergency = matches!(visit.way, Way::Emergency | Way::Admission);
        let admitted = visit.start + 4 * HOUR_MS;
        let mut stays = Vec::new();
        if by_emergency && visit.ward != Ward::Emergency {
            stays.push((Ward::Emergency, visit.start, Some(admitted)));
            stays.push((visit.ward, admitted, (!ongoing).then_some(visit.end)));
        } else {
            stays.push((visit.ward, visit.start, (!ongoing).then_some(visit.end)));
        }
        let places: Vec<_> =
            stays.iter().filter_map(|(ward, from, to)| Some((self.place(*ward)?, *from, *to))).collect();
        let (class, class_display) = match visit.way {
            Way::Consultation => ("AMB", "ambulatory"),
            Way::Emergency => ("EMER", "emergency"),
            Way::Admission | Way::Planned => ("IMP", "inpatient encounter"),
        };
        let home = if self.person.dead && visit.end == self.person.end_ms { "exp" } else { "home" };
        let bed = visit.choice % 90 + 1;
        // That somebody is on a ward is known to the ward; why, not to everybody there.
        let sensitive = visit.diagnosis.sensitive.filter(|code| !code.is_empty());
        let marks: &[_] = if sensitive.is_some() { &[super::label::PROCESS_INLINE] } else { &[] };
        self.add("Encounter", visit.encounter, |w| {
            labels(w, marks);
            w.single("identifier", |w| {
                w.text("system", "urn:oid:2.999.910.2");
                w.text("value", &format!("{}{:07}", day_of(visit.start), visit.choice % 10_000_000));
            });
            w.text("status", if ongoing { "in-progress" } else { "finished" });
            w.coding("class", ACT_CODE, class, class_display);
            w.object("subject", |w| {
                w.own_members("Patient", patient);
                w.text("display", &display);
            });
            if let Some(doctor) = doctor {
                w.single("participant", |w| {
                    let kinds = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
                    w.concepts("type", kinds, "ATND", "attender");
                    w.standing("individual", "Practitioner", doctor.id, &doctor.display);
                });
            }
            if ongoing {
                w.object("period", |w| w.instant("start", visit.start));
            } else {
                w.period("period", visit.start, visit.end);
            }
            w.array("reasonCode", |w| {
                w.element(|w| {
                    inline(w, sensitive);
                    w.concept_members(CIM10, visit.diagnosis.cim10, visit.diagnosis.text, "");
                });
            });
            w.single("diagnosis", |w| {
                inline(w, sensitive);
                w.own("condition", "Condition", visit.condition);
                w.concept("use", "http://terminology.hl7.org/CodeSystem/diagnosis-role", "DD", "");
                w.integer("rank", 1);
            });
            if class == "IMP" {
                w.object("hospitalization", |w| {
                    let sources = "http://terminology.hl7.org/CodeSystem/admit-source";
                    w.concept("admitSource", sources, if by_emergency { "emd" } else { "gp" }, "");
                    if !ongoing {
                        let ways = "http://terminology.hl7.org/CodeSystem/discharge-disposition";
                        w.concept("dischargeDisposition", ways, home, "");
                    }
                });
            }
            w.array("location", |w| {
                for (place, from, to) in &places {
                    w.element(|w| {
                        let name =
                            if class == "IMP" { format!("{}, lit {bed}", place.name) } else { place.name.to_owned() };
                        w.standing("location", "Location", place.id, &name);
                        w.text("status", if to.is_some() { "completed" } else { "active" });
                        w.object("period", |w| {
                            w.instant("start", *from);
                            if let Some(to) = to {
                                w.instant("end", *to);
                            }
                        });
                    });
                }
            });
            w.standing("serviceProvider", "Organization", hospital, HOSPITAL_NAME);
        });
    }

    fn write_condition(&mut self, visit: &Visit) {
        let diagnosis = visit.diagnosis;
        if diagnosis.chronic {
            self.chronic.push((diagnosis, visit.condition));
        }
        if !self.diagnosed.iter().any(|known| std::ptr::eq(*known, diagnosis)) {
            self.diagnosed.push(diagnosis);
        }
        let patient = self.patient;
        let doctor = self.doctor(visit.ward, visit.choice);
        let over = !diagnosis.chronic && visit.end + 30 * DAY_MS < self.person.end_ms;
        let onset =
            visit.start - if diagnosis.chronic { self.draw.between(1, 700) } else { self.draw.between(0, 4) } * DAY_MS;
        let onset = day_of(onset).max(self.person.birth);
        let narrative = self.draw.chance(20);
        self.add("Condition", visit.condition, |w| {
            label(w, diagnosis.sensitive);
            if narrative {
                w.narrative(&[diagnosis.text]);
            }
            let clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical";
            w.concept("clinicalStatus", clinical, if over { "resolved" } else { "active" }, "");
            let verification = "http://terminology.hl7.org/CodeSystem/condition-ver-status";
            w.concept("verificationStatus", verification, "confirmed", "");
            let categories = "http://terminology.hl7.org/CodeSystem/condition-category";
            let category = if diagnosis.chronic { "problem-list-item" } else { "encounter-diagnosis" };
            w.concepts("category", categories, category, "");
            w.object("code", |w| w.concept_members(CIM10, diagnosis.cim10, diagnosis.text, diagnosis.text));
            w.own("subject", "Patient", patient);
            w.own("encounter", "Encounter", visit.encounter);
            w.date("onsetDateTime", onset);
            if over {
                w.date("abatementDateTime", day_of(visit.end) + 14);
            }
            w.instant("recordedDate", visit.start + 40 * MINUTE_MS);
            if let Some(doctor) = doctor {
                w.standing("recorder", "Practitioner", doctor.id, &doctor.display);
            }
        });
    }

    fn write_act(&mut self, visit: &Visit, act: &'static Act) {
        let moment = visit.start + self.draw.between(1, 10) * 20 * MINUTE_MS;
        if moment + act.minutes * MINUTE_MS > self.person.end_ms {
            return;
        }
        let id = self.next_id();
        let patient = self.patient;
        let doctor = self.doctor(visit.ward, visit.choice >> 3);
        let place = self.place(visit.ward);
        self.add("Procedure", id, |w| {
            label(w, visit.diagnosis.sensitive);
            w.text("status", "completed");
            w.object("code", |w| w.concept_members(CCAM, act.ccam, act.text, act.text));
            w.own("subject", "Patient", patient);
            w.own("encounter", "Encounter", visit.encounter);
            w.period("performedPeriod", moment, moment + act.minutes * MINUTE_MS);
            if let Some(doctor) = doctor {
                w.single("performer", |w| w.standing("actor", "Practitioner", doctor.id, &doctor.display));
            }
            if let Some(place) = place {
                w.standing("location", "Location", place.id, place.name);
            }
            w.array("reasonReference", |w| w.element(|w| w.own_members("Condition", visit.condition)));
        });
    }

    fn write_prescription(&mut self, visit: &Visit, drug: &'static Drug) {
        let id = self.next_id();
        let (patient, display) = (self.patient, self.display.clone());
        let inpatient = matches!(visit.way, Way::Admission | Way::Planned);
        let moment = visit.start + self.draw.between(3, 12) * 10 * MINUTE_MS;
        let over = moment + drug.days * DAY_MS < self.person.end_ms;
        let doctor = self.doctor(visit.ward, visit.choice);
        let (dose, unit, ucum) = drug.dose;
        let times = match drug.times_a_day {
            1 => "1 fois par jour".to_owned(),
            times => format!("{times} fois par jour"),
        };
        let text = format!("{dose} {unit} {times} pendant {} jours, {}", drug.days, drug.route.1);
        self.add("MedicationRequest", id, |w| {
            label(w, visit.diagnosis.sensitive);
            w.text("status", if over { "completed" } else { "active" });
            w.text("intent", "order");
            let categories = "http://terminology.hl7.org/CodeSystem/medicationrequest-category";
            w.concepts("category", categories, if inpatient { "inpatient" } else { "outpatient" }, "");
            w.object("medicationCodeableConcept", |w| w.concept_members(ATC, drug.atc, drug.text, drug.text));
            w.object("subject", |w| {
                w.own_members("Patient", patient);
                w.text("display", &display);
            });
            w.own("encounter", "Encounter", visit.encounter);
            w.instant("authoredOn", moment);
            if let Some(doctor) = doctor {
                w.standing("requester", "Practitioner", doctor.id, &doctor.display);
            }
            w.array("reasonReference", |w| w.element(|w| w.own_members("Condition", visit.condition)));
            w.single("dosageInstruction", |w| {
                w.integer("sequence", 1);
                w.text("text", &text);
                w.object("timing", |w| {
                    w.object("repeat", |w| {
                        w.object("boundsDuration", |w| {
                            w.integer("value", drug.days);
                            w.text("unit", "jour");
                            w.text("system", "http://unitsofmeasure.org");
                            w.text("code", "d");
                        });
                        w.integer("frequency", drug.times_a_day);
                        w.integer("period", 1);
                        w.text("periodUnit", "d");
                    });
                });
                w.concept("route", SNOMED, drug.route.0, drug.route.1);
                w.single("doseAndRate", |w| w.quantity("doseQuantity", dose, 0, unit, ucum));
            });
            if !inpatient {
                w.object("dispenseRequest", |w| {
                    w.object("validityPeriod", |w| {
                        w.date("start", day_of(moment));
                        w.date("end", day_of(moment) + 90);
                    });
                    w.integer("numberOfRepeatsAllowed", drug.days / 30);
                });
            }
        });
    }

    /// Vaccines and Covid tests, outside visits.
    pub(crate) fn write_prevention(&mut self) {
        let (from, to) = (self.start_ms(), self.person.end_ms);
        for vaccine in VACCINES {
            let fits = (vaccine.2.0..=vaccine.2.1).contains(&self.person.age);
            if fits && self.draw.chance(30) {
                let moment = self.draw.between(from, to);
                self.write_vaccination(vaccine.0, vaccine.1, moment);
            }
        }
        let tests = match self.draw.below(100) {
            0..45 => 0,
            45..80 => 1,
            80..95 => 2,
            _ => 4,
        };
        for _ in 0..tests {
            let moment = self.draw.between(from.max(to - 5 * 365 * DAY_MS), to);
            self.write_covid_test(moment);
        }
    }

    fn write_vaccination(&mut self, atc: &'static str, text: &'static str, moment: i64) {
        let id = self.next_id();
        let patient = self.patient;
        let choice = self.draw.next();
        let nurse = self.staff.of_ward(Ward::Vaccination, false, choice);
        let place = self.place(Ward::Vaccination);
        self.add("Immunization", id, |w| {
            w.text("status", "completed");
            w.object("vaccineCode", |w| w.concept_members(ATC, atc, text, text));
            w.own("patient", "Patient", patient);
            w.instant("occurrenceDateTime", moment);
            w.boolean("primarySource", true);
            if let Some(place) = place {
                w.standing("location", "Location", place.id, place.name);
            }
            w.text("lotNumber", &format!("TX{:05}", choice % 100_000));
            w.date("expirationDate", day_of(moment) + 120);
            w.object("site", |w| w.text("text", "Bras gauche, deltoïde"));
            w.object("route", |w| w.text("text", "Voie intramusculaire"));
            w.quantity("doseQuantity", 5, 1, "mL", "mL");
            if let Some(nurse) = nurse {
                w.single("performer", |w| {
                    w.concept(
                        "function",
                        "http://terminology.hl7.org/CodeSystem/v2-0443",
                        "AP",
                        "Administering Provider",
                    );
                    w.standing("actor", "Practitioner", nurse.id, &nurse.display);
                });
            }
            w.single("protocolApplied", |w| w.integer("doseNumberPositiveInt", 1 + (choice % 3) as i64));
        });
    }
}

/// The reference to the encounter, where there is one.
pub(crate) fn encounter_of(w: &mut JsonWriter, encounter: Option<Uuid>) {
    if let Some(encounter) = encounter {
        w.own("encounter", "Encounter", encounter);
    }
}
