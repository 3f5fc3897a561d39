//! Everything that one session touched, as a paper: the extent of a theft.

use super::{Asked, INQUIRY_LINES_MAX, paper, table, texts};
use crate::Language;
use crate::ReportSettings;
use std::collections::BTreeMap;
use tacet_ledger::EventKind;
use tacet_paper::{Block, Paper};
use tacet_types::{ResourceId, ResourceType, Timestamp};

/// A patient of whom a session touched something.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtentPatient {
    /// The type of what stands for the patient.
    pub resource_type: ResourceType,
    /// The id.
    pub id: ResourceId,
    /// Entries that showed or changed something.
    pub entries: u64,
    /// Records shown or changed.
    pub records: u64,
    /// Entries of what was refused or not there.
    pub refused: u64,
    /// The kinds of resources.
    pub categories: Vec<ResourceType>,
    /// The first entry.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
}

/// What a session touched.
#[derive(Clone, PartialEq, Eq)]
pub struct Extent {
    /// The short id of the session or of the token.
    pub session: String,
    /// Its entries.
    pub entries: u64,
    /// The first and the last of them.
    pub between: Option<(Timestamp, Timestamp)>,
    /// Who: names and ids of accounts.
    pub people: Vec<String>,
    /// Roles, as the ledger has them.
    pub roles: Vec<String>,
    /// Network addresses.
    pub addresses: Vec<String>,
    /// Short ids of devices.
    pub devices: Vec<String>,
    /// Entries of each kind.
    pub kinds: BTreeMap<EventKind, u64>,
    /// Records shown, of each type.
    pub shown: BTreeMap<ResourceType, u64>,
    /// Records changed, of each type.
    pub changed: BTreeMap<ResourceType, u64>,
    /// Entries of what was refused or not there.
    pub refused: u64,
    /// Each patient.
    pub patients: Vec<ExtentPatient>,
    /// Whether each record was counted once.
    pub records_exact: bool,
    /// Entries whose retention is over.
    pub expired: u64,
    /// Entries that do not open.
    pub damaged: u64,
}

/// What a session touched as a paper. `names`: of patients, by their ids; empty where they were not asked for.
pub fn extent_to_paper(
    extent: &Extent,
    asked: &Asked,
    names: &BTreeMap<String, String>,
    settings: &ReportSettings,
    language: Language,
) -> Paper {
    let of = |words: (&'static str, &'static str)| language.of(words).to_owned();
    let mut blocks = vec![
        Block::Text(texts::asked(asked, settings, language)),
        Block::Heading(1, of(("En bref", "In short"))),
        Block::List(in_short(extent, settings, language)),
    ];
    let counts = |counts: &BTreeMap<ResourceType, u64>| -> Vec<Vec<String>> {
        counts.iter().map(|(kind, count)| vec![kind.to_string(), count.to_string()]).collect()
    };
    let kinds = extent
        .kinds
        .iter()
        .map(|(kind, count)| vec![crate::texts::capital(language.of(texts::kind(*kind))), count.to_string()]);
    let parts = [
        (("Ce qui a été fait", "What was done"), ("Inscriptions", "Entries"), kinds.collect()),
        (("Données montrées", "Records shown"), ("Nombre", "Number"), counts(&extent.shown)),
        (("Données changées", "Records changed"), ("Nombre", "Number"), counts(&extent.changed)),
    ];
    for (heading, number, rows) in parts {
        if !rows.is_empty() {
            blocks.push(Block::Heading(2, of(heading)));
            blocks.push(table(&[(("Quoi", "What"), 70), (number, 30)], rows, language));
        }
    }
    blocks.push(Block::Heading(1, of(("Les patients", "The patients"))));
    if extent.patients.is_empty() {
        blocks.push(Block::Text(of(("Aucun patient n’a été concerné.", "No patient was concerned."))));
    } else {
        patients(extent, names, settings, language, &mut blocks);
    }
    blocks.push(Block::Heading(1, of(("Ce que cette réponse ne peut pas dire", "What this answer cannot tell"))));
    let mut gaps = texts::gaps((extent.expired, extent.damaged), asked, settings, language);
    if !extent.records_exact {
        gaps.push(of((
            "Les données sont trop nombreuses pour être distinguées toutes : certaines sont comptées plusieurs fois.",
            "There are too many records to tell all of them apart: some are counted several times.",
        )));
    }
    blocks.push(Block::List(gaps));
    let title = language.of(("Étendue d’une session", "What one session touched"));
    let about = match language {
        Language::French => format!("Session {}", extent.session),
        Language::English => format!("Session {}", extent.session),
    };
    paper(title, about, blocks, settings, language)
}

fn in_short(extent: &Extent, settings: &ReportSettings, language: Language) -> Vec<String> {
    let colon = if language == Language::French { " :" } else { ":" };
    let list = |items: &[String]| if items.is_empty() { "—".to_owned() } else { items.join(", ") };
    let line = |name: (&'static str, &'static str), value: String| format!("{}{colon} {value}", language.of(name));
    let touched = extent.patients.iter().filter(|patient| patient.entries > 0).count();
    let roles: Vec<String> = extent.roles.iter().map(|role| texts::role(role, language)).collect();
    let between = extent.between.map(|(first, last)| {
        let (first, last) = (settings.zone.second(first, language), settings.zone.second(last, language));
        match language {
            Language::French => format!("du {first} au {last}"),
            Language::English => format!("from {first} to {last}"),
        }
    });
    vec![
        line(("Inscriptions", "Entries"), extent.entries.to_string()),
        line(("Temps", "Time"), between.unwrap_or_else(|| "—".to_owned())),
        line(("Qui", "Who"), list(&extent.people)),
        line(("Fonctions", "Roles"), list(&roles)),
        line(("Adresses", "Addresses"), list(&extent.addresses)),
        line(("Postes", "Devices"), list(&extent.devices)),
        line(
            ("Patients dont quelque chose a été montré ou changé", "Patients of whom something was shown or changed"),
            touched.to_string(),
        ),
        line(
            ("Essais refusés ou sans résultat", "Tries that were refused or found nothing"),
            extent.refused.to_string(),
        ),
    ]
}

fn patients(
    extent: &Extent,
    names: &BTreeMap<String, String>,
    settings: &ReportSettings,
    language: Language,
    blocks: &mut Vec<Block>,
) {
    let listed = extent.patients.len().min(INQUIRY_LINES_MAX);
    if extent.patients.len() > listed {
        let left_out = extent.patients.len() - listed;
        blocks.push(Block::Text(match language {
            Language::French => format!(
                "Les {listed} premiers patients sont listés, {left_out} autres ne le sont pas : « tacet ledger session --csv » les donne tous."
            ),
            Language::English => format!(
                "The first {listed} patients are listed, {left_out} more are not: `tacet ledger session --csv` gives all of them."
            ),
        }));
    }
    let columns = [
        (("Patient", "Patient"), 28),
        (("Accès", "Accesses"), 10),
        (("Données", "Records"), 10),
        (("Refus", "Refused"), 10),
        (("Première et dernière fois", "First and last time"), 20),
        (("Quoi", "What"), 22),
    ];
    let row = |patient: &ExtentPatient| {
        let categories: Vec<&str> = patient.categories.iter().map(|kind| kind.as_str()).collect();
        let (first, last) =
            (settings.zone.second(patient.first, language), settings.zone.second(patient.last, language));
        vec![
            texts::patient(patient.resource_type, &patient.id, names),
            patient.entries.to_string(),
            patient.records.to_string(),
            patient.refused.to_string(),
            if first == last { first } else { format!("{first} – {last}") },
            categories.join(", "),
        ]
    };
    blocks.push(table(&columns, extent.patients.iter().take(listed).map(row).collect(), language));
}
