//! The ledger's words in those of patients. Each match is without a rest: a new kind, purpose or role does not compile until it has its words.

use crate::Place;
use tacet_ledger::{EventKind, Outcome, PurposeOfUse};
use tacet_policy::Category;
use tacet_types::{Language, Role};

/// What was done.
pub(crate) fn kind(kind: EventKind) -> (&'static str, &'static str) {
    match kind {
        EventKind::Login => ("connexion", "login"),
        EventKind::LoginFailed => ("connexion manquée", "failed login"),
        EventKind::Logout => ("déconnexion", "logout"),
        EventKind::Read => ("consultation", "read"),
        EventKind::Vread => ("consultation d’une version antérieure", "read of an earlier version"),
        EventKind::History => ("consultation de l’historique", "read of the history"),
        EventKind::Search => ("recherche", "search"),
        EventKind::Everything => ("consultation du dossier entier", "read of the whole record"),
        EventKind::BreakGlass => ("accès d’urgence déclaré ou terminé", "emergency access declared or ended"),
        EventKind::Create => ("ajout d’informations", "information added"),
        EventKind::Update => ("modification", "change"),
        EventKind::Delete => ("suppression", "deletion"),
        EventKind::Import => ("reprise d’informations d’un autre système", "information taken in from another system"),
        EventKind::Erase => ("effacement du dossier", "erasure of the record"),
        EventKind::Export => ("copie hors du dossier (export)", "copied out (export)"),
        EventKind::Print => ("impression", "print"),
        EventKind::TransferMade => ("transmission d’un résumé à un autre hôpital", "summary sent to another hospital"),
        EventKind::TransferTaken => {
            ("reprise d’un résumé d’un autre hôpital", "summary taken in from another hospital")
        }
        EventKind::Backup => ("sauvegarde", "backup"),
        EventKind::BackupVerified => ("contrôle d’une sauvegarde", "check of a backup"),
        EventKind::BackupMissing => ("sauvegarde manquante", "missing backup"),
        EventKind::Restore => ("restauration d’une sauvegarde", "restore of a backup"),
        EventKind::RightsChange => ("changement de droits", "change of rights"),
        EventKind::TokenCreated => ("création d’un droit d’accès", "access token made"),
        EventKind::TokenRevoked => ("retrait d’un droit d’accès", "access token withdrawn"),
        EventKind::ConfigurationChange => ("changement de réglage", "change of a setting"),
        EventKind::ApprovalAsked => {
            ("demande d’autorisation à une seconde personne", "a second person was asked to allow something")
        }
        EventKind::ApprovalDecided => ("décision d’une seconde personne", "decision of a second person"),
        EventKind::AccountChange => ("changement d’un compte", "change of an account"),
        EventKind::BreakGlassReviewed => ("contrôle d’un accès d’urgence", "review of an emergency access"),
        EventKind::AccessReview => ("contrôle périodique des accès", "periodic review of accesses"),
        EventKind::KeyEvent => ("gestion d’une clé", "key event"),
        EventKind::KeyRotation => ("renouvellement de clés", "renewal of keys"),
        EventKind::LedgerKeyDestroyed => ("fin de conservation de traces", "end of retention of traces"),
        EventKind::Tripwire => ("alerte de sécurité", "security alert"),
        EventKind::Lockdown => ("verrouillage du système", "lock of the system"),
        EventKind::LockdownLifted => ("levée d’un verrouillage", "end of a lock of the system"),
        EventKind::DrillHeld => ("exercice de sécurité", "security drill"),
        EventKind::LedgerAccess => {
            ("consultation de la liste des accès à votre dossier", "read of the list of accesses to your record")
        }
        EventKind::Start => ("démarrage du système", "start of the system"),
        EventKind::Stop => ("arrêt du système", "stop of the system"),
        EventKind::Check => ("contrôle technique", "technical check"),
    }
}

/// How it ended; nothing to say where it was done.
pub(crate) fn outcome(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Success => ("", ""),
        Outcome::Refused => ("refusé, rien n’a été montré", "refused, nothing was shown"),
        Outcome::Failed => ("sans résultat, rien n’a été montré", "without result, nothing was shown"),
    }
}

/// What for.
pub(crate) fn purpose(purpose: PurposeOfUse) -> (&'static str, &'static str) {
    match purpose {
        PurposeOfUse::Treatment => ("soins", "treatment"),
        PurposeOfUse::EmergencyTreatment => ("soins urgents", "emergency treatment"),
        PurposeOfUse::BreakTheGlass => ("urgence, au-delà des droits habituels", "emergency, past the usual rights"),
        PurposeOfUse::Coordination => ("coordination des soins", "coordination of care"),
        PurposeOfUse::CareManagement => ("organisation des soins", "management of care"),
        PurposeOfUse::Payment => ("facturation", "payment"),
        PurposeOfUse::Operations => ("fonctionnement de l’hôpital", "running of the hospital"),
        PurposeOfUse::PatientAdministration => ("gestion administrative des patients", "administration of patients"),
        PurposeOfUse::SystemAdministration => ("administration des systèmes", "administration of systems"),
        PurposeOfUse::RecordsManagement => ("tenue des dossiers", "management of records"),
        PurposeOfUse::Quality => ("amélioration de la qualité", "improvement of quality"),
        PurposeOfUse::Compliance => ("contrôle du respect des règles", "compliance and audit"),
        PurposeOfUse::Legal => ("procédure judiciaire", "legal proceedings"),
        PurposeOfUse::Training => ("formation", "training"),
        PurposeOfUse::Research => ("recherche médicale", "medical research"),
        PurposeOfUse::PublicHealth => ("santé publique", "public health"),
        PurposeOfUse::PatientRequest => ("à la demande du patient", "at the patient’s request"),
        PurposeOfUse::FamilyRequest => ("à la demande d’un proche", "at the request of the family"),
    }
}

/// As what somebody works.
pub(crate) fn role(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Clinician => ("médecin, dentiste ou sage-femme", "physician, dentist or midwife"),
        Role::Nurse => ("infirmier ou soignant", "nurse or carer"),
        Role::Pharmacist => ("pharmacien de l’hôpital", "hospital pharmacist"),
        Role::Laboratory => ("laboratoire ou imagerie", "laboratory or imaging"),
        Role::Reception => ("accueil ou secrétariat", "front desk or secretary"),
        Role::Patient => ("vous-même, ou une personne qui agit pour vous", "yourself, or somebody who acts for you"),
        Role::Integrator => ("machine ou tâche de l’hôpital", "machine or job of the hospital"),
        Role::Feed => ("machine des admissions", "machine of the admissions"),
        Role::Auditor => ("protection des données (contrôle des accès)", "data protection (looks after accesses)"),
        Role::SecurityOfficer => ("sécurité (contrôle des accès)", "security (looks after accesses)"),
        Role::Administrator => ("gestion des comptes", "administration of accounts"),
        Role::Operator => ("exploitation technique", "technical operation"),
    }
}

/// The role of an entry, in words; as it stands where it is none that is known.
pub(crate) fn role_text(name: &str, language: Language) -> String {
    match Role::parse(name) {
        Some(known) => language.of(role(known)).to_owned(),
        None if name.is_empty() => language.of(("fonction inconnue", "unknown role")).to_owned(),
        None => name.to_owned(),
    }
}

/// A kind of record.
pub(crate) fn category(category: Category) -> (&'static str, &'static str) {
    match category {
        Category::Demographics => ("Identité et coordonnées", "Identity and contact details"),
        Category::Identities => ("Rattachement de dossiers", "Links between records"),
        Category::Encounters => ("Séjours et consultations", "Stays and visits"),
        Category::Appointments => ("Rendez-vous", "Appointments"),
        Category::Problems => ("Diagnostics et antécédents", "Diagnoses and history"),
        Category::Allergies => ("Allergies", "Allergies"),
        Category::Medications => ("Médicaments et vaccins", "Medicines and vaccines"),
        Category::Results => ("Résultats d’analyses et mesures", "Test results and measurements"),
        Category::Imaging => ("Imagerie", "Imaging"),
        Category::Procedures => ("Interventions et actes", "Procedures"),
        Category::Documents => ("Comptes rendus et courriers", "Reports and letters"),
        Category::Plans => ("Projets de soins, alertes", "Care plans, alerts"),
        Category::Orders => ("Demandes d’examens et de soins", "Orders for examinations and care"),
        Category::Consents => ("Consentements", "Consents"),
        Category::Financial => ("Facturation et assurance", "Billing and insurance"),
        Category::Logistics => ("Matériel et dispositifs", "Devices and supplies"),
        Category::Research => ("Participation à des études", "Taking part in studies"),
        Category::Traces => ("Origine des informations", "Origin of information"),
        Category::Audit => ("Traces d’accès", "Traces of accesses"),
        Category::Agenda => ("Agendas", "Schedules"),
        Category::Directory => ("Annuaire de l’hôpital", "Directory of the hospital"),
        Category::Definitions => ("Nomenclatures", "Terminology and definitions"),
        Category::Subscriptions => ("Abonnements de logiciels", "Subscriptions of programs"),
        Category::Unfiled => ("Autres documents et fichiers", "Other documents and files"),
    }
}

/// From where.
pub(crate) fn place(place: Place) -> (&'static str, &'static str) {
    match place {
        Place::Hospital => ("dans l’hôpital", "in the hospital"),
        Place::Elsewhere => ("hors de l’hôpital", "outside the hospital"),
        Place::Server => ("sur le serveur de l’hôpital", "on the hospital’s server"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn everything_has_words_of_its_own_in_both_languages() {
        type Words = (&'static str, &'static str);
        let held = |all: Vec<Words>| {
            for language in Language::ALL {
                let words: BTreeSet<&str> = all.iter().map(|words| language.of(*words)).collect();
                assert_eq!(words.len(), all.len(), "two are told alike");
            }
            assert!(all.iter().skip(1).all(|(french, english)| french.len() > 2 && english.len() > 2));
        };
        held(EventKind::ALL.iter().map(|code| kind(*code)).collect());
        held(Outcome::ALL.iter().map(|code| outcome(*code)).collect());
        held(PurposeOfUse::ALL.iter().map(|code| purpose(*code)).collect());
        held(Role::ALL.iter().map(|code| role(*code)).collect());
        held(Category::ALL.iter().map(|code| category(*code)).collect());
        held([Place::Hospital, Place::Elsewhere, Place::Server].map(place).to_vec());
        assert_eq!(role_text("nurse", Language::French), "infirmier ou soignant");
        assert_eq!(role_text("consul", Language::French), "consul");
    }
}
