//! The summary on paper.

use crate::words::date;
use crate::{Language, Place, Summary, document, narrative};
use tacet_paper::{Block, Paper, Table};

/// The summary as a paper, for [`Paper::to_pdf`].
pub fn to_paper(summary: &Summary) -> Paper {
    let language = summary.language;
    let of = |words: (&str, &str)| language.of(words).to_owned();
    let made = date(&summary.made.to_string(), language);
    let hospital = summary.hospital.trim();
    let by = match (hospital, language) {
        ("", Language::French) => format!("Établi le {made}."),
        ("", Language::English) => format!("Made on {made}."),
        (hospital, Language::French) => format!("Établi par {hospital} le {made}."),
        (hospital, Language::English) => format!("Made by {hospital} on {made}."),
    };
    let care = of((
        "Ce résumé a été tiré automatiquement du dossier. Ce qui n’y figure pas peut exister ; il ne remplace pas le dossier.",
        "This summary was taken automatically from the record. What is not in it may exist; it does not replace the record.",
    ));
    let identity = Table {
        columns: vec![(of(("Identité", "Identity")), 30), (summary.identity.name.clone(), 70)],
        rows: summary.identity.lines.iter().map(|(label, text)| vec![label.clone(), text.clone()]).collect(),
    };
    let mut blocks = vec![Block::Text(format!("{by} {care}")), Block::Table(identity)];
    for section in &summary.sections {
        blocks.push(Block::Heading(1, section.place.title(language).to_owned()));
        if section.rows.is_empty() {
            blocks.push(Block::Text(section.place.nothing(language).to_owned()));
            continue;
        }
        let widths = widths(section.place);
        let columns = section.columns.iter().enumerate();
        let columns = columns.map(|(at, name)| ((*name).to_owned(), widths.get(at).copied().unwrap_or(20)));
        blocks.push(Block::Table(Table { columns: columns.collect(), rows: section.rows.clone() }));
        blocks.extend(narrative::older(section, language).map(Block::Text));
    }
    Paper {
        language: language.tag().to_owned(),
        title: document::title(language).to_owned(),
        about: summary.identity.about.clone(),
        foot: if hospital.is_empty() { made.clone() } else { format!("{hospital} — {made}") },
        counting: of(("page {page} sur {pages}", "page {page} of {pages}")),
        blocks,
    }
}

/// The columns' shares of the width.
fn widths(place: Place) -> &'static [u16] {
    match place {
        Place::Alerts => &[50, 30, 20],
        Place::Allergies => &[30, 30, 18, 20, 16],
        Place::Medications => &[36, 44, 14, 18],
        Place::Problems | Place::Past => &[40, 22, 16, 16, 22],
        Place::Immunizations => &[46, 22, 16, 16],
        Place::Procedures | Place::Devices => &[46, 22, 16, 20],
        Place::Results | Place::Vitals => &[36, 30, 20, 20, 18],
        Place::Pregnancy | Place::Social => &[40, 40, 20],
        Place::Directives | Place::Story | Place::Plan | Place::Functional => &[34, 40, 16, 18],
    }
}
