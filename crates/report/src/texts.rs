//! Sentences that stand in every form of the report.

use crate::words::{self, role_text};
use crate::{AccessReport, Actor, Language, Names, ReportSettings, Standing, What, ground_words};
use std::collections::BTreeSet;
use tacet_ledger::{EventKind, Outcome};
use tacet_policy::{BtgReason, Category};

pub(crate) fn title(language: Language) -> &'static str {
    language.of(("Relevé des accès à votre dossier", "Who has accessed your record"))
}

/// Number and word, the word as the number wants it.
pub(crate) fn counted(number: usize, one: &str, many: &str, language: Language) -> String {
    // In French nothing and one are one.
    let single = number == 1 || (number == 0 && language == Language::French);
    format!("{number} {}", if single { one } else { many })
}

/// How somebody is named. `number`: their place among all.
pub(crate) fn named(actor: &Actor, number: usize, language: Language) -> String {
    match (actor.standing, &actor.name) {
        (Standing::Unknown, _) => language
            .of((
                "une personne ayant un compte de patient, qui n’a rien pu voir (son nom n’est pas communiqué)",
                "a person with a patient’s account, who saw nothing (their name is not told)",
            ))
            .to_owned(),
        (_, Some(name)) => name.clone(),
        (_, None) => {
            let role = role_text(&actor.role, language);
            match language {
                Language::French => format!("personne n° {number} ({role})"),
                Language::English => format!("person no. {number} ({role})"),
            }
        }
    }
}

/// As what somebody reached the record.
pub(crate) fn standing(actor: &Actor, language: Language) -> String {
    if let Some(machine) = &actor.said_by {
        return match language {
            Language::French => format!("d’après la machine « {machine} », qui a demandé en son nom"),
            Language::English => format!("as told by the machine “{machine}”, which asked in their name"),
        };
    }
    role_text(&actor.role, language)
}

/// What was done, how it ended and how often.
pub(crate) fn deed(what: &What, accesses: usize, records: usize, language: Language) -> String {
    let mut text = language.of(words::kind(what.kind)).to_owned();
    if what.kind == EventKind::BreakGlass && what.outcome == Outcome::Success {
        let declared = ("accès d’urgence déclaré", "emergency access declared");
        let ended = ("fin d’un accès d’urgence", "end of an emergency access");
        text = language.of(if what.reason.is_some() { declared } else { ended }).to_owned();
    }
    if accesses > 1 {
        text += &match language {
            Language::French => format!(", {accesses} fois"),
            Language::English => format!(", {accesses} times"),
        };
    }
    if records > 0 {
        text += &format!(
            " ({})",
            counted(records, language.of(("élément", "record")), language.of(("éléments", "records")), language)
        );
    }
    if what.outcome != Outcome::Success {
        text += &format!(" — {}", language.of(words::outcome(what.outcome)));
    }
    if let Some(app) = &what.app {
        text += &match language {
            Language::French => format!(", par l’application « {app} »"),
            Language::English => format!(", through the app “{app}”"),
        };
    }
    text
}

/// Which kinds of records.
pub(crate) fn categories(categories: &BTreeSet<Category>, language: Language) -> String {
    let words: Vec<&str> = categories.iter().map(|category| language.of(words::category(*category))).collect();
    words.join(", ")
}

/// What for, and on which ground.
pub(crate) fn why(what: &What, language: Language) -> String {
    let mut text = capital(language.of(words::purpose(what.purpose)));
    if let Some(ground) = &what.ground {
        text += &format!(" : {}", ground_words(ground, language));
        if language == Language::English {
            text = text.replacen(" : ", ": ", 1);
        }
    }
    if let Some(reason) = &what.reason {
        text += &match language {
            Language::French => format!(". Motif donné : {}", self::reason(reason, language)),
            Language::English => format!(". Reason given: {}", self::reason(reason, language)),
        };
    }
    text
}

/// The reason of an emergency: its code in words, and what was said.
fn reason(given: &str, language: Language) -> String {
    let Some((code, said)) = given.split_once(": ") else { return given.to_owned() };
    let Some(code) = BtgReason::parse(code) else { return given.to_owned() };
    let code = language.of(match code {
        BtgReason::VitalEmergency => ("urgence vitale", "vital emergency"),
        BtgReason::UnableToConsent => ("patient hors d’état de s’exprimer", "patient unable to consent"),
        BtgReason::CareTakenOver => ("reprise des soins", "care was taken over"),
        BtgReason::AdviceAsked => ("avis demandé par un confrère", "advice asked by a colleague"),
        BtgReason::Other => ("autre motif", "another reason"),
    });
    match language {
        Language::French => format!("{code} — « {said} »"),
        Language::English => format!("{code} — “{said}”"),
    }
}

/// The first letter large.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The summary, in sentences.
pub(crate) fn summary(report: &AccessReport, language: Language) -> Vec<String> {
    let summary = report.summary;
    let count = |number, one: (&'static str, &'static str), many: (&'static str, &'static str)| {
        counted(number, language.of(one), language.of(many), language)
    };
    let accesses = |number| count(number, ("accès", "access"), ("accès", "accesses"));
    let persons = count(summary.persons, ("personne", "person"), ("personnes", "persons"));
    let mut said = vec![match language {
        Language::French => format!(
            "{} sont inscrits pour cette période : {} par {persons}, {} par vous-même ou une personne qui agit pour vous, {} par des machines et des tâches automatiques.",
            capital(&accesses(summary.accesses)),
            summary.by_persons,
            summary.by_patient,
            summary.by_machines
        ),
        Language::English => format!(
            "{} are written down for this time: {} by {persons}, {} by yourself or somebody who acts for you, {} by machines and automatic jobs.",
            capital(&accesses(summary.accesses)),
            summary.by_persons,
            summary.by_patient,
            summary.by_machines
        ),
    }];
    let further = [
        (
            summary.emergencies,
            ("accès d’urgence, au-delà des droits habituels", "emergency access, past the usual rights"),
            ("accès d’urgence, au-delà des droits habituels", "emergency accesses, past the usual rights"),
        ),
        (summary.exports, ("copie ou impression", "copy or print"), ("copies ou impressions", "copies or prints")),
        (
            summary.refused,
            ("tentative refusée : rien n’a été montré", "refused try: nothing was shown"),
            ("tentatives refusées : rien n’a été montré", "refused tries: nothing was shown"),
        ),
    ];
    said.extend(further.into_iter().map(|(number, one, many)| format!("{}.", count(number, one, many))));
    said
}

/// Something that the report cannot tell: a code for programs, how many where that is known, and the sentence.
pub(crate) struct Gap {
    pub(crate) code: &'static str,
    pub(crate) count: Option<u64>,
    pub(crate) text: String,
}

/// What cannot be told, in full: what is true of every report, and what is true of this one.
pub(crate) fn gaps(report: &AccessReport, settings: &ReportSettings, language: Language) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut put = |code, count, french: String, english: String| {
        let text = if language == Language::French { french } else { english };
        gaps.push(Gap { code, count, text });
    };
    let found = report.gaps;
    let day = |at| language.date(settings.zone.day(at));
    match found.began {
        Some(began) if began > report.subject.from => put(
            "before-the-ledger",
            None,
            format!("Avant le {}, les accès n’étaient pas encore inscrits dans ce système : ce relevé n’en dit rien.", day(began)),
            format!("Before {}, accesses were not yet written down in this system: this report says nothing about them.", day(began)),
        ),
        Some(_) => {}
        None if found.kept_since.is_none() => put(
            "beginning-unknown",
            None,
            "La première trace ne se lit plus : la date à laquelle l’inscription des accès a commencé n’est pas connue.".into(),
            "The first trace can no longer be read: when accesses began to be written down is not known.".into(),
        ),
        None => {}
    }
    if let Some(since) = found.kept_since.filter(|since| *since > report.subject.from) {
        put(
            "past-retention",
            None,
            format!(
                "Les accès d’avant le {} ont dépassé leur durée de conservation : leur clé a été détruite et personne ne peut plus les lire.",
                day(since)
            ),
            format!(
                "Accesses before {} are past their retention: their key was destroyed, and nobody can read them any more.",
                day(since)
            ),
        );
    }
    if found.expired > 0 {
        let number = usize::try_from(found.expired).unwrap_or(usize::MAX);
        put(
            "expired",
            Some(found.expired),
            format!(
                "{} à votre dossier dans cette période ne peuvent plus être lus : leur durée de conservation est dépassée et leur clé a été détruite. On sait qu’ils ont eu lieu, plus par qui.",
                counted(number, "accès", "accès", language)
            ),
            format!(
                "{} to your record in this time can no longer be read: their retention is over and their key was destroyed. It is known that they were, no longer by whom.",
                counted(number, "access", "accesses", language)
            ),
        );
    }
    if found.damaged > 0 {
        put(
            "damaged",
            Some(found.damaged),
            format!(
                "{} inscription(s) sur votre dossier ne s’ouvrent pas : elles ont été abîmées ou altérées. Demandez à l’hôpital ce qui s’est passé.",
                found.damaged
            ),
            format!(
                "{} entries about your record do not open: they were damaged or altered. Ask the hospital what happened.",
                found.damaged
            ),
        );
    }
    if found.unread > 0 {
        put(
            "unread",
            Some(found.unread),
            format!(
                "{} inscription(s) du registre entier ne se lisent plus, parce qu’elles ont été abîmées ou altérées : personne ne peut dire si elles concernent votre dossier.",
                found.unread
            ),
            format!(
                "{} entries of the whole ledger can no longer be read, because they were damaged or altered: nobody can say whether they are about your record.",
                found.unread
            ),
        );
    }
    put(
        "counted-only",
        None,
        "Une recherche qui n’a rien montré de votre dossier (un simple décompte de patients, par exemple) n’y figure pas, ni une tentative arrêtée avant qu’un dossier soit recherché.".into(),
        "A search that showed nothing of your record (a mere count of patients, say) is not listed, nor a try that was stopped before any record was looked for.".into(),
    );
    put(
        "other-numbers",
        None,
        "Ce relevé concerne un seul numéro de dossier. Si plusieurs dossiers à votre nom ont été rapprochés, demandez aussi le relevé des autres numéros.".into(),
        "This report is about one record number. If several records of yours were joined, ask for the reports of the other numbers too.".into(),
    );
    put(
        "other-systems",
        None,
        "Les accès dans d’autres logiciels de l’hôpital, sur papier, ou à des copies déjà remises ne sont pas connus de ce système. Les sauvegardes contiennent des copies chiffrées et ne sont pas comptées.".into(),
        "Accesses in other programs of the hospital, on paper, or to copies that were already handed over are not known to this system. Backups hold sealed copies and are not counted.".into(),
    );
    if report.actors.iter().any(|actor| actor.said_by.is_some()) {
        put(
            "said-by-machines",
            None,
            "Quand une machine demande au nom d’une personne, le nom est celui que la machine a donné.".into(),
            "Where a machine asks in somebody’s name, the name is the one that the machine gave.".into(),
        );
    }
    if settings.names == Names::Role {
        put(
            "names-withheld",
            None,
            "L’hôpital a choisi de ne pas donner ici le nom des professionnels. Les mêmes numéros désignent les mêmes personnes dans ce relevé.".into(),
            "The hospital has chosen not to name its staff here. The same numbers stand for the same persons in this report.".into(),
        );
    }
    gaps
}

/// Where to turn to.
pub(crate) fn complaint(settings: &ReportSettings, language: Language) -> String {
    let contact = match (settings.contact.trim(), language) {
        ("", _) => String::new(),
        (contact, Language::French) => format!(" : {contact}"),
        (contact, Language::English) => format!(": {contact}"),
    };
    match language {
        Language::French => format!(
            "Un accès vous paraît anormal, ou vous avez une question ? Adressez-vous au délégué à la protection des données de l’hôpital{contact}. Indiquez le jour, l’heure et le numéro d’inscription. Vous pouvez aussi saisir la CNIL (www.cnil.fr)."
        ),
        Language::English => format!(
            "Does an access seem wrong to you, or do you have a question? Turn to the hospital’s data protection officer{contact}. Give the day, the time and the entry number. You may also turn to the supervisory authority (in France the CNIL, www.cnil.fr)."
        ),
    }
}
