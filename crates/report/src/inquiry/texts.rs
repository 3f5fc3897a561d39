//! Sentences of papers for those who look after accesses.

use super::Asked;
use crate::ReportSettings;
use crate::{Language, words};
use std::collections::BTreeMap;
use tacet_ledger::EventKind;
use tacet_ledger::index::Question;
use tacet_types::{ResourceId, ResourceType, Role};

pub(super) fn title(language: Language) -> &'static str {
    language.of(("Réponse du registre des accès", "Answer of the ledger of accesses"))
}

/// A patient by name, where it is known, and number.
pub(super) fn patient(resource_type: ResourceType, id: &ResourceId, names: &BTreeMap<String, String>) -> String {
    match names.get(id.as_str()).filter(|name| !name.is_empty()) {
        Some(name) => format!("{name} ({}/{})", resource_type, id.as_str()),
        None => format!("{}/{}", resource_type, id.as_str()),
    }
}

/// What was done. What is told to patients as theirs is not that of who looks after accesses.
pub(super) fn kind(kind: EventKind) -> (&'static str, &'static str) {
    match kind {
        EventKind::LedgerAccess => ("consultation du registre des accès", "read of the ledger of accesses"),
        other => words::kind(other),
    }
}

/// As what somebody works.
pub(super) fn role(name: &str, language: Language) -> String {
    match Role::parse(name) {
        Some(Role::Patient) => {
            let patient = ("patient, ou une personne qui agit pour lui", "patient, or somebody who acts for them");
            language.of(patient).to_owned()
        }
        _ => words::role_text(name, language),
    }
}

/// What stands at the top of each page.
pub(super) fn about(question: &Question, names: &BTreeMap<String, String>, language: Language) -> String {
    if let Some((resource_type, id)) = &question.patient {
        return patient(*resource_type, id, names);
    }
    let one = question.person.as_ref().or(question.session.as_ref()).or(question.device.as_ref());
    let address = question.address.map(|address| address.to_string());
    one.cloned().or(address).unwrap_or_else(|| language.of(("toutes les inscriptions", "all entries")).to_owned())
}

/// Who asked, when, of what ledger.
pub(super) fn asked(asked: &Asked, settings: &ReportSettings, language: Language) -> String {
    let at = settings.zone.second(asked.at, language);
    let zone = settings.zone.name();
    let hospital = if settings.hospital.is_empty() { String::new() } else { format!("{}. ", settings.hospital) };
    match language {
        Language::French => format!(
            "{hospital}Demandé le {at} par {} (heures : {zone}), d’un registre de {} inscriptions. La demande y est elle-même inscrite. Ce document contient des informations personnelles et des traces de sécurité : il n’est destiné qu’aux personnes chargées du contrôle des accès.",
            asked.by, asked.size
        ),
        Language::English => format!(
            "{hospital}Asked on {at} by {} (clock: {zone}), of a ledger of {} entries. That it was asked is itself written down in it. This document holds personal information and traces of security: it is meant for those who look after accesses only.",
            asked.by, asked.size
        ),
    }
}

/// What was asked.
pub(super) fn question(
    question: &Question,
    names: &BTreeMap<String, String>,
    settings: &ReportSettings,
    language: Language,
) -> Vec<String> {
    let of = |words: (&'static str, &'static str)| language.of(words);
    let mut said = Vec::new();
    let mut put = |name: (&'static str, &'static str), value: String| {
        let colon = if language == Language::French { " :" } else { ":" };
        said.push(format!("{}{colon} {value}", of(name)));
    };
    if let Some((resource_type, id)) = &question.patient {
        put(("Patient", "Patient"), patient(*resource_type, id, names));
    }
    let texts = [
        (("Personne ou compte", "Person or account"), &question.person),
        (("Session ou jeton", "Session or token"), &question.session),
        (("Poste", "Device"), &question.device),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            put(name, value.clone());
        }
    }
    if let Some(address) = question.address {
        put(("Adresse", "Address"), address.to_string());
    }
    if let Some(from) = question.from {
        put(("À partir du", "From"), settings.zone.second(from, language));
    }
    if let Some(to) = question.to {
        put(("Avant le", "Before"), settings.zone.second(to, language));
    }
    if !question.kinds.is_empty() {
        let kinds: Vec<&str> = question.kinds.iter().map(|kind| of(self::kind(*kind))).collect();
        put(("Quoi", "What"), kinds.join(", "));
    }
    if let Some(outcome) = question.outcome {
        let done = ("abouti", "done");
        let word = if outcome == tacet_ledger::Outcome::Success { done } else { words::outcome(outcome) };
        put(("Issue", "Outcome"), of(word).to_owned());
    }
    if said.is_empty() {
        said.push(of(("Toutes les inscriptions du registre.", "All entries of the ledger.")).to_owned());
    }
    said
}

/// That not all entries are listed.
pub(super) fn left_out(listed: usize, left_out: u64, language: Language) -> String {
    match language {
        Language::French => format!(
            "Les {listed} premières inscriptions sont listées ; {left_out} autres sont comptées ci-dessus et ne le sont pas. Demandez un temps plus court, ou la réponse sous forme de fichier CSV ou NDJSON, qui est toujours entière."
        ),
        Language::English => format!(
            "The first {listed} entries are listed; {left_out} more are counted above and are not. Ask for a shorter time, or for the answer as a CSV or NDJSON file, which is always whole."
        ),
    }
}

/// What cannot be told: of so many entries past their retention, and so many that do not open.
pub(super) fn gaps(
    (expired, damaged): (u64, u64),
    asked: &Asked,
    settings: &ReportSettings,
    language: Language,
) -> Vec<String> {
    let unread = asked.unread;
    let mut said = Vec::new();
    let mut put =
        |french: String, english: String| said.push(if language == Language::French { french } else { english });
    if expired > 0 {
        put(
            format!(
                "{expired} inscription(s) ont dépassé leur durée de conservation : leur clé est détruite, leur contenu n’est plus lisible."
            ),
            format!(
                "{expired} entries are past their retention: their key was destroyed, what they said can no longer be read."
            ),
        );
    }
    if damaged > 0 {
        put(
            format!(
                "{damaged} inscription(s) ne s’ouvrent pas : elles ont été abîmées ou altérées. Exécutez « tacet ledger verify »."
            ),
            format!("{damaged} entries do not open: they were damaged or altered. Run `tacet ledger verify`."),
        );
    }
    if unread > 0 {
        put(
            format!(
                "{unread} inscription(s) du registre entier ne se lisent pas : personne ne peut dire si elles répondraient à la question."
            ),
            format!(
                "{unread} entries of the whole ledger cannot be read: nobody can say whether they would answer the question."
            ),
        );
    }
    if let Some(since) = asked.kept_since {
        let since = settings.zone.second(since, language);
        put(
            format!(
                "Les inscriptions d’avant le {since} ont dépassé leur durée de conservation : leur clé est détruite, et elles ne répondent plus à aucune question."
            ),
            format!(
                "Entries of before {since} are past their retention: their key was destroyed, and they answer no question any more."
            ),
        );
    }
    put(
        "Le registre dit ce qui a été montré ou changé par ce système. Ce qui a été fait d’une copie, d’une impression ou d’un écran ensuite n’y est pas.".into(),
        "The ledger says what this system showed or changed. What was done with a copy, a print or a screen afterwards is not in it.".into(),
    );
    said
}
