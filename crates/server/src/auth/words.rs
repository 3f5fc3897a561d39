//! What the pages say, in French and English.

use hyper::header::{ACCEPT_LANGUAGE, HeaderMap};

/// The texts of one language. Written by us: nothing in them needs escaping.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) lang: &'static str,
    pub(super) login_title: &'static str,
    pub(super) ask: &'static str,
    pub(super) login: &'static str,
    pub(super) elsewhere: &'static str,
    pub(super) known: &'static str,
    pub(super) logout: &'static str,
    pub(super) further: &'static str,
    pub(super) label: &'static str,
    pub(super) label_default: &'static str,
    pub(super) working: &'static str,
    pub(super) failed: &'static str,
    pub(super) locked: &'static str,
    pub(super) done: &'static str,
    pub(super) enrol_title: &'static str,
    pub(super) enrol_ask: &'static str,
    pub(super) first: &'static str,
    pub(super) second: &'static str,
    pub(super) enrol: &'static str,
    pub(super) consent_title: &'static str,
    pub(super) app_asks: &'static str,
    pub(super) scopes: &'static str,
    pub(super) patient: &'static str,
    pub(super) patient_id: &'static str,
    pub(super) no_patient: &'static str,
    pub(super) search: &'static str,
    pub(super) born: &'static str,
    pub(super) find: &'static str,
    pub(super) nobody: &'static str,
    pub(super) more: &'static str,
    pub(super) narrow: &'static str,
    pub(super) failed_to_look: &'static str,
    pub(super) male: &'static str,
    pub(super) female: &'static str,
    pub(super) encounter: &'static str,
    pub(super) none: &'static str,
    pub(super) no_encounter: &'static str,
    pub(super) allow: &'static str,
    pub(super) deny: &'static str,
    pub(super) back: &'static str,
    pub(super) error_title: &'static str,
    pub(super) again: &'static str,
    reads: &'static str,
    writes: &'static str,
    knows: &'static str,
    opens: &'static str,
    stays: &'static str,
    other: &'static str,
}

static ENGLISH: Words = Words {
    lang: "en",
    login_title: "Log in",
    ask: "Log in with your passkey: your device, your security key or your professional card's reader will ask for you.",
    login: "Log in with a passkey",
    elsewhere: "Log in with",
    known: "Logged in as",
    logout: "Log out",
    further: "Add another passkey",
    label: "Name of this passkey",
    label_default: "My device",
    working: "One moment…",
    failed: "That did not work. Try again, or ask the people who look after accounts.",
    locked: "Too many tries. Wait a quarter of an hour, then try again.",
    done: "Done.",
    enrol_title: "Your first passkey",
    enrol_ask: "You were given two codes by two different people. Enter both, then follow what your device asks.",
    first: "First code",
    second: "Second code",
    enrol: "Make a passkey",
    consent_title: "An app asks for access",
    app_asks: "asks for access and will send you back to",
    scopes: "What it would be allowed",
    patient: "Record of the patient",
    patient_id: "Id of the patient whose record is opened",
    no_patient: "There is no such patient.",
    search: "Name, or national identity number (INS)",
    born: "Date of birth",
    find: "Search",
    nobody: "No patient was found.",
    more: "More were found: say more of the name, or the date of birth.",
    narrow: "Give the beginning of the name with the date of birth, or the national identity number.",
    failed_to_look: "The search did not work. Try again.",
    male: "male",
    female: "female",
    encounter: "Stay or visit",
    none: "none",
    no_encounter: "This patient has no such stay or visit.",
    allow: "Allow",
    deny: "Refuse",
    back: "Back to the app",
    error_title: "This did not work",
    again: "Go back to the app and start again.",
    reads: "read: ",
    writes: "read and change: ",
    knows: "know who you are: ",
    opens: "know which record is open: ",
    stays: "stay connected: ",
    other: "",
};

static FRENCH: Words = Words {
    lang: "fr",
    login_title: "Connexion",
    ask: "Connectez-vous avec votre clé d’accès : votre appareil ou votre clé de sécurité vous guidera.",
    login: "Se connecter avec une clé d’accès",
    elsewhere: "Se connecter avec",
    known: "Connecté en tant que",
    logout: "Se déconnecter",
    further: "Ajouter une clé d’accès",
    label: "Nom de cette clé d’accès",
    label_default: "Mon appareil",
    working: "Un instant…",
    failed: "Cela n’a pas fonctionné. Réessayez, ou adressez-vous aux gestionnaires des comptes.",
    locked: "Trop de tentatives. Attendez un quart d’heure, puis réessayez.",
    done: "C’est fait.",
    enrol_title: "Votre première clé d’accès",
    enrol_ask: "Deux personnes différentes vous ont remis chacune un code. Saisissez les deux, puis suivez les indications de votre appareil.",
    first: "Premier code",
    second: "Second code",
    enrol: "Créer une clé d’accès",
    consent_title: "Une application demande un accès",
    app_asks: "demande un accès et vous renverra vers",
    scopes: "Ce qui lui serait permis",
    patient: "Dossier du patient",
    patient_id: "Identifiant du patient dont le dossier est ouvert",
    no_patient: "Ce patient n’existe pas.",
    search: "Nom, ou matricule INS",
    born: "Date de naissance",
    find: "Rechercher",
    nobody: "Aucun patient trouvé.",
    more: "D’autres correspondent : précisez le nom ou la date de naissance.",
    narrow: "Indiquez le début du nom avec la date de naissance, ou le matricule INS.",
    failed_to_look: "La recherche n’a pas fonctionné. Réessayez.",
    male: "homme",
    female: "femme",
    encounter: "Séjour ou venue",
    none: "aucun",
    no_encounter: "Ce patient n’a pas de tel séjour ou venue.",
    allow: "Autoriser",
    deny: "Refuser",
    back: "Retour à l’application",
    error_title: "Cela n’a pas fonctionné",
    again: "Retournez à l’application et recommencez.",
    reads: "lire : ",
    writes: "lire et modifier : ",
    knows: "savoir qui vous êtes : ",
    opens: "savoir quel dossier est ouvert : ",
    stays: "rester connectée : ",
    other: "",
};

impl Words {
    /// The language that a browser would like best; English where it says nothing of these two.
    pub(super) fn of(headers: &HeaderMap) -> &'static Self {
        let text = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut best: (f32, &'static Self) = (0.0, &ENGLISH);
        for part in text.split(',').take(20) {
            let mut parts = part.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            let words = match tag.split('-').next() {
                Some(tag) if tag.eq_ignore_ascii_case("fr") => &FRENCH,
                Some(tag) if tag.eq_ignore_ascii_case("en") => &ENGLISH,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, words);
            }
        }
        best.1
    }

    /// What a scope means, before the scope itself.
    pub(super) fn scope(&self, scope: &str) -> &'static str {
        match scope.split_once('.') {
            Some((subject, letters)) if subject.contains('/') => {
                let letters = letters.split('?').next().unwrap_or_default();
                let reads = matches!(letters, "read") || letters.chars().all(|letter| "rs".contains(letter));
                if reads { self.reads } else { self.writes }
            }
            _ if matches!(scope, "openid" | "fhirUser" | "profile") => self.knows,
            _ if matches!(scope, "launch" | "launch/patient" | "launch/encounter") => self.opens,
            _ if matches!(scope, "online_access" | "offline_access") => self.stays,
            _ => self.other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn the_language_is_the_browsers() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(text))]);
            Words::of(&headers).lang
        };
        assert_eq!(of("fr-FR,fr;q=0.9,en;q=0.8"), "fr");
        assert_eq!(of("en-GB,fr;q=0.5"), "en");
        assert_eq!(of("de, fr;q=0.3, en;q=0.2"), "fr");
        assert_eq!(of("de"), "en");
        assert_eq!(of(""), "en");
        assert_eq!(ENGLISH.scope("patient/*.rs?x=1"), ENGLISH.reads);
        assert_eq!(ENGLISH.scope("user/Observation.cruds"), ENGLISH.writes);
        assert_eq!(ENGLISH.scope("launch/patient"), ENGLISH.opens);
    }
}
