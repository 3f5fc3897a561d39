//! The administrative part of a chart: identity, insurance, family, consent, allergies, care team, appointments.

use super::chart::Chart;
use super::label::{labels, security};
use super::terms::{ALLERGENS, ATC, Ward};
use crate::calendar::{DAY_MS, HOUR_MS, MINUTE_MS, french_date};
use crate::identity::nir::INS_NIR_TEST_SYSTEM;
use crate::identity::person::{BirthPlace, Sex};
use crate::json::{JsonWriter, Uuid};
use crate::staff::HOSPITAL_NAME;

const V2_0203: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";
const FR_IDENTIFIERS: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203";
const FR_RELIABILITY: &str = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability";
const FR_RELIABILITY_CODES: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0445";
const BIRTH_PLACE: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";
const ROLE_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleCode";
/// The hospital's own numbering of patients, under an OID arc kept for examples.
const LOCAL_SYSTEM: &str = "urn:oid:2.999.910.1";

impl Chart<'_> {
    pub(crate) fn write_file(&mut self) {
        self.write_patient();
        if self.person.nir.is_some() {
            self.write_coverage();
        }
        if self.person.contact.is_some() && self.draw.chance(40) {
            self.write_related_person();
        }
        if self.draw.chance(30) {
            self.write_consent();
        }
        if self.draw.chance(22) {
            for _ in 0..self.draw.between(1, 2) {
                self.write_allergy();
            }
        }
    }

    fn write_patient(&mut self) {
        let narrative = self.draw.chance(30);
        let deceased = self.person.dead.then_some(self.person.end_ms);
        let doctor = self.doctor(Ward::Outpatients, self.family_doctor);
        let (person, labels) = (&self.person, self.standing.labels());
        let json = JsonWriter::resource(self.references, "Patient", self.patient, |w| {
            w.object("meta", |w| {
                let profile = if person.nir.is_some() { "fr-core-patient-ins" } else { "fr-core-patient" };
                w.array("profile", |w| w.item(&format!("https://hl7.fr/ig/fhir/core/StructureDefinition/{profile}")));
                security(w, labels);
            });
            if narrative {
                let born = if person.sex == Sex::Female { "née" } else { "né" };
                w.narrative(&[
                    &format!("{}, {born} {} le {}", self.display, person.family, french_date(person.birth)),
                    &format!("{}, {} {}", person.address.join(", "), person.commune.postal_code, person.commune.name),
                ]);
            }
            w.array("extension", |w| {
                w.element(|w| {
                    w.text("url", BIRTH_PLACE);
                    w.object("valueAddress", |w| match &person.birth_place {
                        BirthPlace::France(commune) => {
                            w.text("city", commune.name);
                            w.text("district", commune.code);
                            w.text("postalCode", commune.postal_code);
                            w.text("country", "FRA");
                        }
                        BirthPlace::Abroad(country) => {
                            w.text("text", country.name);
                            w.text("district", country.code);
                            w.text("country", country.iso);
                        }
                    });
                });
                w.element(|w| {
                    w.array("extension", |w| {
                        w.element(|w| {
                            w.text("url", "identityStatus");
                            let (code, display) = match person.nir {
                                Some(_) => ("VALI", "Identité validée"),
                                None => ("PROV", "Identité provisoire"),
                            };
                            w.coding("valueCoding", FR_RELIABILITY_CODES, code, display);
                        });
                    });
                    w.text("url", FR_RELIABILITY);
                });
            });
            w.array("identifier", |w| {
                w.element(|w| {
                    w.text("use", "usual");
                    w.concept("type", V2_0203, "PI", "Patient internal identifier");
                    w.text("system", LOCAL_SYSTEM);
                    w.text("value", &person.local_number);
                });
                if let Some(nir) = &person.nir {
                    w.element(|w| {
                        w.text("use", "official");
                        w.concept("type", FR_IDENTIFIERS, "INS-NIR", "NIR de test");
                        w.text("system", INS_NIR_TEST_SYSTEM);
                        w.text("value", nir);
                    });
                }
            });
            w.boolean("active", true);
            w.array("name", |w| {
                w.element(|w| {
                    w.text("use", "official");
                    w.text("family", &person.family);
                    w.array("given", |w| person.given.iter().for_each(|given| w.item(given)));
                });
                if let Some(used) = &person.used {
                    w.element(|w| {
                        w.text("use", "usual");
                        w.text("family", used);
                        w.array("given", |w| w.item(person.first_given()));
                    });
                }
            });
            let reached = [
                ("phone", "mobile", &person.mobile),
                ("phone", "home", &person.landline),
                ("email", "home", &person.email),
            ];
            if reached.iter().any(|(.., value)| value.is_some()) {
                w.array("telecom", |w| {
                    for (system, usage, value) in reached {
                        if let Some(value) = value {
                            w.element(|w| {
                                w.text("system", system);
                                w.text("value", value);
                                w.text("use", usage);
                            });
                        }
                    }
                });
            }
            w.text("gender", person.sex.code());
            w.date("birthDate", person.birth);
            match deceased {
                Some(moment) => w.instant("deceasedDateTime", moment),
                None => w.boolean("deceasedBoolean", false),
            }
            w.single("address", |w| {
                w.text("use", "home");
                w.text("type", "both");
                w.array("line", |w| person.address.iter().for_each(|line| w.item(line)));
                w.text("city", person.commune.name);
                w.text("district", person.commune.code);
                w.text("postalCode", person.commune.postal_code);
                w.text("country", "FRA");
            });
            let marital = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus";
            w.concept("maritalStatus", marital, person.marital, "");
            if let Some(contact) = &person.contact {
                w.single("contact", |w| {
                    w.array("relationship", |w| {
                        w.element(|w| w.concept_members(ROLE_CODE, contact.relation.0, "", contact.relation.1));
                    });
                    w.object("name", |w| {
                        w.text("family", &contact.family);
                        w.array("given", |w| w.item(contact.given));
                    });
                    w.single("telecom", |w| {
                        w.text("system", "phone");
                        w.text("value", &contact.mobile);
                        w.text("use", "mobile");
                    });
                    w.text("gender", contact.sex.code());
                });
            }
            w.single("communication", |w| {
                w.object("language", |w| {
                    w.concept_members("urn:ietf:bcp:47", person.language.0, "", person.language.1);
                });
                w.boolean("preferred", true);
            });
            if let Some(doctor) = doctor {
                w.array("generalPractitioner", |w| {
                    w.element(|w| w.standing_members("Practitioner", doctor.id, &doctor.display));
                });
            }
            w.standing("managingOrganization", "Organization", self.staff.hospital, HOSPITAL_NAME);
        });
        self.keep("Patient", self.patient, json);
    }

    fn write_coverage(&mut self) {
        let id = self.next_id();
        let (patient, insurer) = (self.patient, self.staff.insurer);
        let nir = self.person.nir.clone().unwrap_or_default();
        // Insured through a parent first, then in one's own name.
        let start = if self.person.age >= 18 { self.person.birth + 18 * 366 } else { self.person.birth };
        let full = self.draw.chance(18);
        self.add("Coverage", id, |w| {
            w.text("status", "active");
            w.object("type", |w| {
                w.text("text", if full { "Affection de longue durée, 100 %" } else { "Régime général" })
            });
            w.text("subscriberId", &nir);
            w.own("beneficiary", "Patient", patient);
            let relationship = "http://terminology.hl7.org/CodeSystem/subscriber-relationship";
            w.concept("relationship", relationship, "self", "");
            w.object("period", |w| w.date("start", start));
            w.array("payor", |w| {
                w.element(|w| w.standing_members("Organization", insurer, "Caisse d'assurance maladie d'essai"))
            });
        });
    }

    fn write_related_person(&mut self) {
        let id = self.next_id();
        let Some(contact) = &self.person.contact else { return };
        let json = JsonWriter::resource(self.references, "RelatedPerson", id, |w| {
            w.boolean("active", true);
            w.own("patient", "Patient", self.patient);
            w.array("relationship", |w| {
                w.element(|w| w.concept_members(ROLE_CODE, contact.relation.0, "", contact.relation.1));
            });
            w.single("name", |w| {
                w.text("family", &contact.family);
                w.array("given", |w| w.item(contact.given));
            });
            w.single("telecom", |w| {
                w.text("system", "phone");
                w.text("value", &contact.mobile);
                w.text("use", "mobile");
            });
            w.text("gender", contact.sex.code());
        });
        self.keep("RelatedPerson", id, json);
    }

    fn write_consent(&mut self) {
        let id = self.next_id();
        let (patient, hospital) = (self.patient, self.staff.hospital);
        let permits = self.draw.chance(88);
        let moment = self.draw.between(self.start_ms(), self.person.end_ms);
        self.add("Consent", id, |w| {
            w.text("status", "active");
            let scope = "http://terminology.hl7.org/CodeSystem/consentscope";
            w.concept("scope", scope, "patient-privacy", "Privacy Consent");
            w.concepts("category", "http://loinc.org", "59284-0", "Consentement du patient");
            w.own("patient", "Patient", patient);
            w.instant("dateTime", moment);
            w.array("organization", |w| w.element(|w| w.standing_members("Organization", hospital, HOSPITAL_NAME)));
            w.object("policyRule", |w| {
                w.text("text", "Partage au sein de l'équipe de soins (code de la santé publique, L1110-4)")
            });
            w.object("provision", |w| {
                w.text("type", if permits { "permit" } else { "deny" });
                w.array("purpose", |w| {
                    w.element(|w| {
                        w.coding_members("http://terminology.hl7.org/CodeSystem/v3-ActReason", "TREAT", "treatment");
                    });
                });
            });
        });
    }

    fn write_allergy(&mut self) {
        let id = self.next_id();
        let patient = self.patient;
        let (atc, text, category, reaction) = *self.draw.pick_from(ALLERGENS);
        let grave = self.draw.chance(35);
        let recorded = self.draw.between(self.start_ms(), self.person.end_ms);
        self.add("AllergyIntolerance", id, |w| {
            let clinical = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
            w.concept("clinicalStatus", clinical, "active", "");
            let verification = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification";
            w.concept("verificationStatus", verification, if grave { "confirmed" } else { "unconfirmed" }, "");
            w.text("type", "allergy");
            w.array("category", |w| w.item(category));
            w.text("criticality", if grave { "high" } else { "low" });
            w.object("code", |w| match atc {
                "" => w.text("text", text),
                atc => w.concept_members(ATC, atc, text, text),
            });
            w.own("patient", "Patient", patient);
            w.instant("recordedDate", recorded);
            w.single("reaction", |w| {
                w.array("manifestation", |w| w.element(|w| w.text("text", reaction)));
                w.text("severity", if grave { "severe" } else { "moderate" });
            });
        });
    }

    /// The team around a long illness, and the next appointment with its request.
    pub(crate) fn write_follow_up(&mut self) {
        if let Some((diagnosis, condition)) = self.chronic.last().copied() {
            self.write_care_team(diagnosis.text, condition, diagnosis.ward);
            if !self.person.dead && self.draw.chance(60) {
                self.write_appointment(diagnosis.text, diagnosis.ward);
            }
        } else if !self.person.dead && self.draw.chance(15) {
            self.write_appointment("Consultation de contrôle", Ward::Outpatients);
        }
    }

    fn write_care_team(&mut self, reason: &'static str, condition: Uuid, ward: Ward) {
        let id = self.next_id();
        let (patient, hospital) = (self.patient, self.staff.hospital);
        let choice = self.draw.next();
        let members = [
            ("Médecin référent", self.doctor(ward, choice)),
            ("Médecin traitant", self.doctor(Ward::Outpatients, self.family_doctor)),
            ("Soignant", self.staff.of_ward(ward, false, choice >> 7)),
        ];
        let start = self.start_ms();
        self.add("CareTeam", id, |w| {
            w.text("status", "active");
            w.text("name", &format!("Équipe de suivi : {reason}"));
            w.own("subject", "Patient", patient);
            w.object("period", |w| w.instant("start", start));
            w.array("participant", |w| {
                for (role, member) in members {
                    if let Some(member) = member {
                        w.element(|w| {
                            w.array("role", |w| w.element(|w| w.text("text", role)));
                            w.standing("member", "Practitioner", member.id, &member.display);
                        });
                    }
                }
            });
            w.array("reasonReference", |w| w.element(|w| w.own_members("Condition", condition)));
            w.array("managingOrganization", |w| {
                w.element(|w| w.standing_members("Organization", hospital, HOSPITAL_NAME));
            });
        });
    }

    pub(crate) fn write_appointment(&mut self, reason: &'static str, ward: Ward) {
        let id = self.next_id();
        let (patient, display) = (self.patient, self.display.clone());
        let today = self.person.end_ms - self.person.end_ms.rem_euclid(DAY_MS);
        let start =
            today + self.draw.between(2, 180) * DAY_MS + 7 * HOUR_MS + self.draw.between(0, 36) * 15 * MINUTE_MS;
        let choice = self.draw.next();
        let (doctor, place) = (self.doctor(ward, choice), self.place(ward));
        let marks = self.standing.labels_of_journeys();
        self.add("Appointment", id, |w| {
            labels(w, marks);
            w.text("status", "booked");
            let kinds = "http://terminology.hl7.org/CodeSystem/v2-0276";
            w.concept("appointmentType", kinds, "FOLLOWUP", "");
            w.array("reasonCode", |w| w.element(|w| w.text("text", reason)));
            w.text("description", reason);
            w.instant("start", start);
            w.instant("end", start + 20 * MINUTE_MS);
            w.integer("minutesDuration", 20);
            w.instant("created", today - 20 * DAY_MS);
            w.array("participant", |w| {
                w.element(|w| {
                    w.object("actor", |w| {
                        w.own_members("Patient", patient);
                        w.text("display", &display);
                    });
                    w.text("required", "required");
                    w.text("status", "accepted");
                });
                if let Some(doctor) = doctor {
                    w.element(|w| {
                        w.standing("actor", "Practitioner", doctor.id, &doctor.display);
                        w.text("status", "accepted");
                    });
                }
                if let Some(place) = place {
                    w.element(|w| {
                        w.standing("actor", "Location", place.id, place.name);
                        w.text("status", "accepted");
                    });
                }
            });
        });
    }
}
