//! Letters and summaries in French: text documents in a DocumentReference, and the discharge summary as a Composition.

use super::chart::{Chart, Visit};
use super::label::label;
use super::terms::{LOINC, Way};
use crate::calendar::{day_of, french_date, french_hour};
use crate::identity::person::Sex;
use crate::json::Uuid;
use crate::staff::HOSPITAL_NAME;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const HISTORIES: &[&str] = &[
    "Le patient vit à domicile, autonome pour les actes de la vie courante.",
    "Pas d'antécédent notable en dehors de ceux déjà connus du dossier.",
    "Antécédents familiaux : diabète chez la mère, hypertension chez le père.",
    "Tabagisme sevré depuis plusieurs années, pas d'alcool.",
    "Vit seul, passage d'une infirmière deux fois par semaine.",
    "Retraité, marche sans aide, conduit encore.",
    "Travaille de nuit, sommeil irrégulier, traitement habituel mal suivi.",
    "Antécédent chirurgical : ablation de l'appendice dans l'enfance.",
];

const COURSES: &[&str] = &[
    "L'évolution est favorable sous traitement, sans fièvre depuis quarante-huit heures.",
    "Les symptômes régressent progressivement ; la douleur est contrôlée par des antalgiques simples.",
    "Une surveillance rapprochée a été nécessaire la première nuit, puis l'état s'est stabilisé.",
    "L'examen de contrôle est rassurant et le bilan sanguin se corrige.",
    "Le traitement a été bien supporté, hormis des nausées passagères.",
    "La mobilisation a repris dès le lendemain avec l'aide des kinésithérapeutes.",
    "L'état général s'améliore, l'appétit revient et le poids est stable.",
    "Un avis spécialisé a été demandé ; il confirme la conduite proposée.",
];

const PLANS: &[&str] = &[
    "Contrôle biologique dans une semaine chez le médecin traitant.",
    "Consultation de suivi prévue dans six semaines avec les résultats.",
    "Consulter sans délai en cas de fièvre, de douleur brutale ou d'essoufflement.",
    "Arrêt de travail de sept jours, à réévaluer.",
    "Soins infirmiers à domicile prescrits pour dix jours.",
    "Poursuite du traitement habituel sans changement.",
    "Régime pauvre en sel et surveillance du poids deux fois par semaine.",
    "Pas de reprise du sport avant un mois.",
];

impl Chart<'_> {
    pub(crate) fn write_letters(&mut self, visit: &Visit) {
        if visit.end > self.person.end_ms {
            return;
        }
        match visit.way {
            Way::Consultation => {
                if self.draw.chance(35) {
                    self.write_document(visit, "11488-4", "Lettre de consultation");
                }
            }
            Way::Emergency => self.write_document(visit, "34111-5", "Compte rendu de passage aux urgences"),
            Way::Admission | Way::Planned => {
                self.write_document(visit, "18842-5", "Compte rendu d'hospitalisation");
                self.write_summary(visit);
            }
        }
    }

    /// The paragraphs of a letter about a visit.
    fn compose(&mut self, visit: &Visit, title: &str) -> Vec<String> {
        let place = self.place(visit.ward).map_or("Consultations", |place| place.name);
        let doctor = self.doctor(visit.ward, visit.choice).map_or("", |doctor| &doctor.display).to_owned();
        let person = &self.person;
        let born = if person.sex == Sex::Female { "née" } else { "né" };
        let known: Vec<&str> = self.chronic.iter().map(|(diagnosis, _)| diagnosis.text).collect();
        let mut out = vec![
            format!("{HOSPITAL_NAME} - {place}"),
            format!("{title} du {}", french_date(day_of(visit.end))),
            format!("Concerne : {}, {born} {} le {}", self.display, person.family, french_date(person.birth)),
            format!("Domicile : {}, {} {}", person.address.join(", "), person.commune.postal_code, person.commune.name),
        ];
        if let Some(nir) = &person.nir {
            out.push(format!("INS : {nir}"));
        }
        out.push(format!(
            "Motif : {} ({}). Arrivée le {} à {}.",
            visit.diagnosis.text,
            visit.diagnosis.cim10,
            french_date(day_of(visit.start)),
            french_hour(visit.start)
        ));
        if !known.is_empty() {
            out.push(format!("Antécédents : {}.", known.join(", ")));
        }
        out.push(self.draw.pick(HISTORIES).to_owned());
        let drugs: Vec<&str> = visit.diagnosis.drugs.iter().map(|drug| drug.text).collect();
        if !drugs.is_empty() {
            out.push(format!("Traitement : {}.", drugs.join(", ")));
        }
        for act in visit.diagnosis.acts {
            out.push(format!("Examens et actes : {}.", act.text));
        }
        out.push(self.draw.pick(COURSES).to_owned());
        out.push(self.draw.pick(PLANS).to_owned());
        out.push(format!("Bien confraternellement, {doctor}"));
        out
    }

    fn write_document(&mut self, visit: &Visit, loinc: &'static str, title: &'static str) {
        let id = self.next_id();
        let text = self.compose(visit, title).join("\n\n");
        let (patient, display) = (self.patient, self.display.clone());
        let doctor = self.doctor(visit.ward, visit.choice);
        let hospital = self.staff.hospital;
        self.add("DocumentReference", id, |w| {
            label(w, visit.diagnosis.sensitive);
            w.single("identifier", |w| {
                w.text("system", "urn:ietf:rfc:3986");
                w.text("value", &format!("urn:uuid:{}", id.text()));
            });
            w.text("status", "current");
            w.text("docStatus", "final");
            w.object("type", |w| w.concept_members(LOINC, loinc, title, title));
            w.object("subject", |w| {
                w.own_members("Patient", patient);
                w.text("display", &display);
            });
            w.instant("date", visit.end);
            if let Some(doctor) = doctor {
                w.array("author", |w| w.element(|w| w.standing_members("Practitioner", doctor.id, &doctor.display)));
            }
            w.standing("custodian", "Organization", hospital, HOSPITAL_NAME);
            w.text("description", title);
            w.single("content", |w| {
                w.object("attachment", |w| {
                    w.text("contentType", "text/plain; charset=utf-8");
                    w.text("language", "fr");
                    w.text("data", &STANDARD.encode(&text));
                    w.integer("size", text.len() as i64);
                    w.text("title", title);
                    w.instant("creation", visit.end);
                });
            });
            w.object("context", |w| {
                w.array("encounter", |w| w.element(|w| w.own_members("Encounter", visit.encounter)));
                w.period("period", visit.start, visit.end);
            });
        });
    }

    fn write_summary(&mut self, visit: &Visit) {
        let id: Uuid = self.next_id();
        let (patient, display) = (self.patient, self.display.clone());
        let Some(doctor) = self.doctor(visit.ward, visit.choice) else { return };
        let hospital = self.staff.hospital;
        let course = self.draw.pick(COURSES);
        let plan = self.draw.pick(PLANS);
        self.add("Composition", id, |w| {
            label(w, visit.diagnosis.sensitive);
            w.text("status", "final");
            w.object("type", |w| w.concept_members(LOINC, "34105-7", "Lettre de liaison de sortie", ""));
            w.object("subject", |w| {
                w.own_members("Patient", patient);
                w.text("display", &display);
            });
            w.own("encounter", "Encounter", visit.encounter);
            w.instant("date", visit.end);
            w.array("author", |w| w.element(|w| w.standing_members("Practitioner", doctor.id, &doctor.display)));
            w.text("title", "Lettre de liaison à la sortie");
            w.text("confidentiality", if visit.diagnosis.sensitive.is_some() { "R" } else { "N" });
            w.standing("custodian", "Organization", hospital, HOSPITAL_NAME);
            w.array("section", |w| {
                w.element(|w| {
                    w.text("title", "Diagnostic");
                    w.concept("code", LOINC, "11450-4", "Problèmes");
                    w.narrative(&[&format!("{} ({})", visit.diagnosis.text, visit.diagnosis.cim10)]);
                    w.array("entry", |w| w.element(|w| w.own_members("Condition", visit.condition)));
                });
                w.element(|w| {
                    w.text("title", "Évolution");
                    w.concept("code", LOINC, "8648-8", "Évolution pendant le séjour");
                    w.narrative(&[course]);
                });
                w.element(|w| {
                    w.text("title", "Suites");
                    w.concept("code", LOINC, "18776-5", "Conduite à tenir");
                    w.narrative(&[plan]);
                });
            });
        });
    }
}
