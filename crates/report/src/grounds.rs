//! The ground on which something was allowed, in plain words: what somebody had to do with the patient.

use crate::Language;
use tacet_policy::Relation;

/// What the ledger's ground (`ward-encounter by clinician-care`) means.
pub fn ground_words(ground: &str, language: Language) -> String {
    let (name, rule) = ground.split_once(" by ").unwrap_or((ground, ""));
    if let Some(relation) = Relation::parse(name) {
        return language.of(self::relation(relation)).to_owned();
    }
    if let Some(words) = other(name) {
        return language.of(words).to_owned();
    }
    // A rule that the hospital made may have a ground of its own: it is told by its name.
    let shown = if rule.is_empty() { name } else { rule };
    match language {
        Language::French => format!("une règle de l’hôpital le permet ({shown})"),
        Language::English => format!("a rule of the hospital allows it ({shown})"),
    }
}

/// French, English.
fn relation(relation: Relation) -> (&'static str, &'static str) {
    match relation {
        Relation::OwnRecord => ("c’est votre dossier", "it is your own record"),
        Relation::EncounterParticipant => (
            "cette personne prenait part à votre séjour ou à votre consultation",
            "this person took part in your stay or visit",
        ),
        Relation::CareTeam => {
            ("cette personne fait partie de votre équipe de soins", "this person is a member of your care team")
        }
        Relation::Appointment => {
            ("vous aviez un rendez-vous avec cette personne", "you had an appointment with this person")
        }
        Relation::Order => (
            "cette personne a prescrit un acte pour vous, ou devait le réaliser",
            "this person ordered something for you, or was to carry it out",
        ),
        Relation::Referral => ("vous avez été adressé à cette personne", "you were referred to this person"),
        Relation::GeneralPractitioner => {
            ("cette personne est votre médecin traitant", "this person is your general practitioner")
        }
        Relation::Registered => (
            "cette personne venait d’ouvrir votre dossier à l’accueil",
            "this person had just opened your record at admission",
        ),
        Relation::WardEncounter => {
            ("cette personne travaille dans le service où vous étiez", "this person works in the ward where you were")
        }
        Relation::OnCall => (
            "cette personne était de garde ou d’astreinte pour le service où vous étiez",
            "this person was on call for the ward where you were",
        ),
        Relation::SelfDeclared => (
            "cette personne a elle-même inscrit qu’elle prenait part à vos soins",
            "this person wrote down themselves that they take part in your care",
        ),
        Relation::Inpatient => ("vous étiez dans l’hôpital à ce moment", "you were in the hospital at that time"),
        Relation::Prescription => ("une de vos ordonnances était en cours", "a prescription of yours was in force"),
        Relation::OpenOrder => (
            "un examen de laboratoire ou d’imagerie était demandé pour vous",
            "an examination by the laboratory or imaging was ordered for you",
        ),
    }
}

/// Grounds that are no relation: those of the rules that come with the program. A test holds them to the rules.
fn other(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "several" => ("plusieurs liens avec vos soins", "several relations to your care"),
        "role" => ("sa fonction le permet", "their role allows it"),
        "consent" => ("vous y avez consenti", "you consented to it"),
        "break-glass" => (
            "accès d’urgence : cette personne a déclaré une urgence pour passer outre ses droits habituels",
            "emergency access: this person declared an emergency to go past their usual rights",
        ),
        "hospital" => ("sa fonction à l’hôpital le permet", "their function in the hospital allows it"),
        "reception" => ("l’accueil et le secrétariat gèrent votre venue", "the front desk arranges your visits"),
        "common-knowledge" => {
            ("ces informations sont communes à tout l’hôpital", "this information is common to the whole hospital")
        }
        "approval" => ("une seconde personne l’a autorisé", "a second person allowed it"),
        "whole-store" => (
            "machine de l’hôpital autorisée à traiter tous les dossiers",
            "machine of the hospital that may process all records",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_policy::Policies;

    #[test]
    fn every_ground_of_the_rules_has_words() {
        let policies = Policies::built_in();
        let mut told = 0;
        for info in policies.infos() {
            let Some(ground) = &info.ground else { continue };
            assert!(other(ground).is_some() || Relation::parse(ground).is_some(), "{ground} has no words");
            told += 1;
        }
        assert!(told >= 5);
        for relation in Relation::ALL {
            for language in Language::ALL {
                assert!(!ground_words(&format!("{relation} by x"), language).contains('('), "{relation}");
            }
        }
        for ground in ["several", "role", "consent", "break-glass"] {
            assert!(other(ground).is_some());
        }
        assert_eq!(
            ground_words("ward-encounter by clinician-care", Language::English),
            "this person works in the ward where you were"
        );
        assert_eq!(ground_words("x by y", Language::French), "une règle de l’hôpital le permet (y)");
        assert_eq!(ground_words("x", Language::English), "a rule of the hospital allows it (x)");
    }
}
