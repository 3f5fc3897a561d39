//! What sets a few patients apart: detained, known to everybody, or on the staff of the hospital. Their records carry the labels by
//! which rights are narrowed.

use super::chart::Chart;
use super::label::{CELEBRITY, DETAINED, EMPLOYEE, Label, TRANSPORT};
use super::terms::Ward;
use crate::draw::{Draw, Stream};
use crate::json::JsonWriter;
use crate::staff::PRACTITIONERS;

/// Of 1,000 patients: how many are detained. A hospital near a prison has about as many.
const DETAINED_OF_1000: u64 = 6;
/// Of 1,000 patients: how many are known to everybody.
const KNOWN_OF_1000: u64 = 3;
/// Of 1,000 patients: how many work in the hospital.
const STAFF_OF_1000: u64 = 8;

/// What sets a patient apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Nothing.
    Ordinary,
    /// Comes from prison.
    Detained,
    /// A known person.
    Known,
    /// Works here, as this practitioner of the hospital.
    Staff(u64),
}

impl Standing {
    /// Of patient number `n`. Drawn from a stream of its own: nothing else of the chart depends on it.
    pub(crate) fn draw(seed: u64, n: u64) -> Self {
        let draw = &mut Draw::new(seed, Stream::Standing, n);
        let place = draw.below(1000);
        let known = DETAINED_OF_1000 + KNOWN_OF_1000;
        if place < DETAINED_OF_1000 {
            Self::Detained
        } else if place < known {
            Self::Known
        } else if place < known + STAFF_OF_1000 {
            Self::Staff(draw.below(PRACTITIONERS))
        } else {
            Self::Ordinary
        }
    }

    /// The labels of the Patient resource.
    pub(crate) fn labels(self) -> &'static [Label] {
        match self {
            Self::Ordinary => &[],
            Self::Detained => &[DETAINED],
            Self::Known => &[CELEBRITY],
            Self::Staff(_) => &[EMPLOYEE],
        }
    }

    /// The labels of what tells when the patient comes.
    pub(crate) fn labels_of_journeys(self) -> &'static [Label] {
        if self == Self::Detained { &[TRANSPORT] } else { &[] }
    }
}

impl Chart<'_> {
    /// What stands in the chart of somebody who is set apart.
    pub(crate) fn write_standing(&mut self) {
        match self.standing {
            Standing::Ordinary | Standing::Known => (),
            Standing::Detained => self.write_detention(),
            Standing::Staff(number) => self.write_person(number),
        }
    }

    fn write_detention(&mut self) {
        if self.person.dead {
            return;
        }
        let id = self.next_id();
        let patient = self.patient;
        let start = self.person.end_ms;
        self.add("Flag", id, |w| {
            super::label::labels(w, &[DETAINED]);
            w.text("status", "active");
            w.single("category", |w| {
                w.concept_members("http://terminology.hl7.org/CodeSystem/flag-category", "admin", "Administrative", "");
            });
            w.object("code", |w| {
                w.concept_members(DETAINED.0, DETAINED.1, "", "Personne détenue : extraction sous escorte");
            });
            w.own("subject", "Patient", patient);
            w.object("period", |w| w.instant("start", start));
        });
        if !self.records.iter().any(|record| record.resource_type.as_str() == "Appointment") {
            self.write_appointment("Consultation en milieu pénitentiaire", Ward::Outpatients);
        }
    }

    /// Patient and practitioner are one person.
    fn write_person(&mut self, number: u64) {
        let Some(colleague) = self.staff.practitioners.get(number as usize) else { return };
        let id = self.next_id();
        let person = &self.person;
        let json = JsonWriter::resource(self.references, "Person", id, |w| {
            w.single("name", |w| {
                w.text("family", &person.family);
                w.array("given", |w| person.given.iter().for_each(|given| w.item(given)));
            });
            w.text("gender", person.sex.code());
            w.date("birthDate", person.birth);
            w.boolean("active", true);
            w.array("link", |w| {
                w.element(|w| {
                    w.own("target", "Patient", self.patient);
                    w.text("assurance", "level3");
                });
                w.element(|w| {
                    w.standing("target", "Practitioner", colleague.id, "");
                    w.text("assurance", "level3");
                });
            });
        });
        self.keep("Person", id, json);
    }
}
