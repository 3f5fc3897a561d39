//! The report as a paper: what a patient can take home.

use crate::{AccessReport, Actor, Language, Line, ReportSettings, texts, words};
use tacet_paper::{Block, Paper, Table};

/// Most accesses that are listed one by one at the end. With more, the paper says how to get the list.
pub const ANNEX_MAX: usize = 5000;

/// The report as a paper, for [`Paper::to_pdf`].
pub fn to_paper(report: &AccessReport, settings: &ReportSettings, language: Language) -> Paper {
    let of = |words: (&str, &str)| language.of(words).to_owned();
    let zone = settings.zone;
    let subject = &report.subject;
    let moment = |at| zone.moment(at, language);
    let number = subject.patient.as_str();
    let about = match (&subject.name, language) {
        (Some(name), Language::French) => format!("{name} — dossier n° {number}"),
        (Some(name), Language::English) => format!("{name} — record no. {number}"),
        (None, Language::French) => format!("Dossier n° {number}"),
        (None, Language::English) => format!("Record no. {number}"),
    };
    let period = match language {
        Language::French => format!("du {} au {}", moment(subject.from), moment(subject.to)),
        Language::English => format!("from {} to {}", moment(subject.from), moment(subject.to)),
    };
    let mut blocks = vec![
        Block::Text(match language {
            Language::French => format!(
                "{}Période : {period} (heures : {}). Ce document dit qui a eu accès à votre dossier, quand, comment et pourquoi. Il contient des informations personnelles : gardez-le en lieu sûr.",
                hospital(settings),
                zone.name()
            ),
            Language::English => format!(
                "{}Time: {period} (clock: {}). This document says who accessed your record, when, how and why. It holds personal information: keep it in a safe place.",
                hospital(settings),
                zone.name()
            ),
        }),
        Block::Heading(1, of(("En bref", "In short"))),
        Block::List(texts::summary(report, language)),
    ];
    people(report, settings, language, &mut blocks);
    machines(report, settings, language, &mut blocks);
    blocks.push(Block::Heading(1, of(("Ce que ce relevé ne peut pas dire", "What this report cannot tell"))));
    blocks.push(Block::List(texts::gaps(report, settings, language).into_iter().map(|gap| gap.text).collect()));
    blocks.push(Block::Heading(1, of(("Questions et réclamations", "Questions and complaints"))));
    blocks.push(Block::Text(texts::complaint(settings, language)));
    annex(report, settings, language, &mut blocks);
    Paper {
        language: language.tag().to_owned(),
        title: texts::title(language).to_owned(),
        about,
        foot: match (settings.hospital.as_str(), language) {
            ("", _) => texts::title(language).to_owned(),
            (name, _) => format!("{name} — {}", texts::title(language)),
        },
        counting: of(("page {page} sur {pages}", "page {page} of {pages}")),
        blocks,
    }
}

fn hospital(settings: &ReportSettings) -> String {
    if settings.hospital.is_empty() { String::new() } else { format!("{}. ", settings.hospital) }
}

fn people(report: &AccessReport, settings: &ReportSettings, language: Language, blocks: &mut Vec<Block>) {
    let of = |words: (&str, &str)| language.of(words).to_owned();
    blocks.push(Block::Heading(1, of(("Les personnes", "Persons"))));
    let mut any = false;
    for (place, actor, lines) in report.actors_of(true) {
        any = true;
        blocks.push(Block::Heading(2, heading(actor, place + 1, lines, language)));
        let columns = [
            (("Jour et heure", "Day and time"), 19),
            (("Comment", "How"), 27),
            (("Quoi", "What"), 25),
            (("Pourquoi", "Why"), 35),
        ];
        let row = |line: &Line| {
            let when = format!("{} {}", language.date(line.day), hours(line, settings));
            let mut how = texts::capital(&texts::deed(&line.what, line.accesses, line.records, language));
            if let Some(place) = line.what.place {
                how += &format!(", {}", language.of(words::place(place)));
            }
            vec![when, how, texts::categories(&line.categories, language), texts::why(&line.what, language)]
        };
        blocks.push(table(&columns, lines.iter().map(row).collect(), language));
    }
    if !any {
        blocks.push(Block::Text(of((
            "Aucune personne n’a eu accès à votre dossier dans cette période.",
            "No person accessed your record in this time.",
        ))));
    }
}

fn heading(actor: &Actor, number: usize, lines: &[Line], language: Language) -> String {
    let accesses: usize = lines.iter().map(|line| line.accesses).sum();
    let counted = texts::counted(accesses, "accès", "accès", language);
    let counted =
        if language == Language::French { counted } else { texts::counted(accesses, "access", "accesses", language) };
    let name = texts::named(actor, number, language);
    let standing = texts::standing(actor, language);
    if name.contains(&standing) || actor.standing == crate::Standing::Unknown {
        return format!("{} — {counted}", texts::capital(&name));
    }
    format!("{name}, {standing} — {counted}")
}

/// From when to when on a day.
fn hours(line: &Line, settings: &ReportSettings) -> String {
    let (first, last) = (settings.zone.time(line.first), settings.zone.time(line.last));
    if first == last { first } else { format!("{first}–{last}") }
}

fn machines(report: &AccessReport, settings: &ReportSettings, language: Language, blocks: &mut Vec<Block>) {
    let of = |words: (&str, &str)| language.of(words).to_owned();
    blocks.push(Block::Heading(1, of(("Les machines et les tâches automatiques", "Machines and automatic jobs"))));
    let mut lines: Vec<(&Actor, &Line)> =
        report.actors_of(false).flat_map(|(_, actor, lines)| lines.iter().map(move |line| (actor, line))).collect();
    if lines.is_empty() {
        blocks.push(Block::Text(of((
            "Aucune machine n’a eu accès à votre dossier dans cette période.",
            "No machine accessed your record in this time.",
        ))));
        return;
    }
    blocks.push(Block::Text(of((
        "Ces accès sont ceux de programmes de l’hôpital : échanges entre logiciels, reprises de données. Ils sont regroupés par jour.",
        "These are accesses of programs of the hospital: exchanges between systems, data taken in. They are put together by day.",
    ))));
    lines.sort_by_key(|(_, line)| (line.day, line.first));
    let columns = [
        (("Jour et heure", "Day and time"), 19),
        (("Machine", "Machine"), 22),
        (("Comment", "How"), 25),
        (("Quoi", "What"), 22),
        (("Pourquoi", "Why"), 26),
    ];
    let rows = lines.into_iter().map(|(actor, line)| {
        vec![
            format!("{} {}", language.date(line.day), hours(line, settings)),
            actor.name.clone().unwrap_or_default(),
            texts::capital(&texts::deed(&line.what, line.accesses, line.records, language)),
            texts::categories(&line.categories, language),
            texts::why(&line.what, language),
        ]
    });
    blocks.push(table(&columns, rows.collect(), language));
}

fn annex(report: &AccessReport, settings: &ReportSettings, language: Language, blocks: &mut Vec<Block>) {
    if report.accesses.is_empty() {
        return;
    }
    let of = |words: (&str, &str)| language.of(words).to_owned();
    blocks.push(Block::Heading(1, of(("Annexe : chaque accès", "Annex: each access"))));
    if report.accesses.len() > ANNEX_MAX {
        let accesses = report.accesses.len();
        blocks.push(Block::Text(match language {
            Language::French => format!(
                "Les {accesses} accès de cette période sont trop nombreux pour être imprimés un par un ; ils sont tous comptés ci-dessus. La liste complète vous est remise sur demande, pour une période plus courte ou sous forme de fichier."
            ),
            Language::English => format!(
                "The {accesses} accesses of this time are too many to be printed one by one; all of them are counted above. You are given the full list on request, for a shorter time or as a file."
            ),
        }));
        return;
    }
    blocks.push(Block::Text(of((
        "Le numéro d’inscription désigne l’accès dans le registre de l’hôpital : donnez-le si vous posez une question.",
        "The entry number names the access in the hospital’s ledger: give it if you ask a question.",
    ))));
    let columns = [
        (("N°", "No."), 14),
        (("Jour et heure", "Day and time"), 20),
        (("Qui", "Who"), 26),
        (("Comment", "How"), 26),
        (("Quoi", "What"), 28),
    ];
    let rows = report.accesses.iter().map(|access| {
        let who = report.actors.get(access.actor).map(|actor| match actor.standing {
            crate::Standing::Unknown => language.of(("compte d’un patient", "account of a patient")).to_owned(),
            _ => texts::named(actor, access.actor + 1, language),
        });
        vec![
            access.index.to_string(),
            settings.zone.moment(access.at, language),
            who.unwrap_or_default(),
            texts::capital(&texts::deed(&access.what, 1, access.records, language)),
            texts::categories(&access.categories, language),
        ]
    });
    blocks.push(table(&columns, rows.collect(), language));
}

fn table(columns: &[((&'static str, &'static str), u16)], rows: Vec<Vec<String>>, language: Language) -> Block {
    let columns = columns.iter().map(|(title, share)| (language.of(*title).to_owned(), *share)).collect();
    Block::Table(Table { columns, rows })
}
