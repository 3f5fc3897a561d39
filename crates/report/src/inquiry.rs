//! What the ledger answered, as a paper: for whoever looks after accesses, for a file, for a court. Unlike the patient's report it says all that entries say: addresses,
//! devices, sessions, criteria. It is for whoever may read the ledger.
//!
//! ```text
//! question ──> Inquiry ──add(entry)*──> counts, the first lines ──names of patients, where they were asked for──> Paper
//! what a session touched ──> Extent ──> Paper
//! ```

mod extent;
mod texts;

pub use extent::{Extent, ExtentPatient, extent_to_paper};

use crate::ReportSettings;
use crate::{Language, words};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use tacet_ledger::index::Question;
use tacet_ledger::{Entry, EventKind, Outcome};
use tacet_paper::{Block, Paper, Table};
use tacet_types::{ResourceId, ResourceType, Timestamp};

/// Most entries that are listed one by one: some hundreds of pages. The paper counts all, and says how to get the rest.
pub const INQUIRY_LINES_MAX: usize = 5000;

/// Most different patients, people, addresses and so on that are told apart; beyond, a paper says "more than".
const TOLD_APART_MAX: usize = 1_000_000;

/// Longest detail or list of criteria of a line, in characters: what is longer is in the other forms.
const DETAIL_CHARACTERS_MAX: usize = 300;

/// Who asked, and when.
#[derive(Clone, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Entries in the ledger then.
    pub size: u64,
    /// Entries of the ledger that do not open, so that nobody can say whether they would answer.
    pub unread: u64,
    /// From when on entries can be read: those of before are past their time. None: all can.
    pub kept_since: Option<Timestamp>,
}

/// One line.
enum Line {
    Entry(u64, Box<Entry>),
    Expired(u64),
    Damaged(u64),
}

/// An answer that is being put together.
pub struct Inquiry {
    question: Question,
    lines: Vec<Line>,
    left_out: u64,
    entries: u64,
    expired: u64,
    damaged: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    people: HashSet<String>,
    patients: HashSet<(u8, ResourceId)>,
    kinds: BTreeMap<EventKind, u64>,
    refused: u64,
    emergencies: u64,
}

impl Inquiry {
    /// Nothing yet.
    pub fn new(question: Question) -> Self {
        Self {
            question,
            lines: Vec::new(),
            left_out: 0,
            entries: 0,
            expired: 0,
            damaged: 0,
            first: None,
            last: None,
            people: HashSet::new(),
            patients: HashSet::new(),
            kinds: BTreeMap::new(),
            refused: 0,
            emergencies: 0,
        }
    }

    /// An entry that answers.
    pub fn add(&mut self, index: u64, entry: Entry) {
        self.entries += 1;
        self.first = Some(self.first.map_or(entry.at, |first| first.min(entry.at)));
        self.last = Some(self.last.map_or(entry.at, |last| last.max(entry.at)));
        if self.people.len() < TOLD_APART_MAX && !self.people.contains(&entry.agent.owner) {
            self.people.insert(entry.agent.owner.clone());
        }
        if let Some((resource_type, id)) = entry.patient.as_ref().filter(|_| self.patients.len() < TOLD_APART_MAX) {
            self.patients.insert((resource_type.code(), id.clone()));
        }
        *self.kinds.entry(entry.kind).or_default() += 1;
        self.refused += u64::from(entry.outcome == Outcome::Refused);
        let emergency = entry.basis.as_deref().is_some_and(|basis| basis.starts_with("break-glass "));
        self.emergencies += u64::from(emergency && entry.outcome == Outcome::Success);
        self.put(Line::Entry(index, Box::new(entry)));
    }

    /// One whose retention is over.
    pub fn expired(&mut self, index: u64) {
        self.expired += 1;
        self.put(Line::Expired(index));
    }

    /// One that does not open.
    pub fn damaged(&mut self, index: u64) {
        self.damaged += 1;
        self.put(Line::Damaged(index));
    }

    fn put(&mut self, line: Line) {
        if self.lines.len() < INQUIRY_LINES_MAX {
            self.lines.push(line);
        } else {
            self.left_out += 1;
        }
    }

    /// The patients of the entries that are listed, each once: for whoever looks their names up.
    pub fn listed_patients(&self) -> BTreeSet<(ResourceType, ResourceId)> {
        let entries = self.lines.iter().filter_map(|line| match line {
            Line::Entry(_, entry) => entry.patient.clone(),
            Line::Expired(_) | Line::Damaged(_) => None,
        });
        entries.collect()
    }

    /// The answer as a paper. `names`: of patients, by their ids; empty where they were not asked for.
    pub fn to_paper(
        &self,
        asked: &Asked,
        names: &BTreeMap<String, String>,
        settings: &ReportSettings,
        language: Language,
    ) -> Paper {
        let of = |words: (&str, &str)| language.of(words).to_owned();
        let mut blocks = vec![
            Block::Text(texts::asked(asked, settings, language)),
            Block::Heading(1, of(("Question", "Question"))),
            Block::List(texts::question(&self.question, names, settings, language)),
            Block::Heading(1, of(("En bref", "In short"))),
            Block::List(self.in_short(settings, language)),
        ];
        if !self.kinds.is_empty() {
            let columns = [(("Quoi", "What"), 70), (("Inscriptions", "Entries"), 30)];
            let row = |(kind, count): (&EventKind, &u64)| {
                vec![crate::texts::capital(language.of(texts::kind(*kind))), count.to_string()]
            };
            blocks.push(table(&columns, self.kinds.iter().map(row).collect(), language));
        }
        self.list(names, settings, language, &mut blocks);
        blocks.push(Block::Heading(1, of(("Ce que cette réponse ne peut pas dire", "What this answer cannot tell"))));
        blocks.push(Block::List(texts::gaps((self.expired, self.damaged), asked, settings, language)));
        paper(texts::title(language), texts::about(&self.question, names, language), blocks, settings, language)
    }

    fn in_short(&self, settings: &ReportSettings, language: Language) -> Vec<String> {
        let counted = |number: u64, french: (&str, &str), english: (&str, &str)| {
            let (one, many) = if language == Language::French { french } else { english };
            crate::texts::counted(usize::try_from(number).unwrap_or(usize::MAX), one, many, language)
        };
        let all = self.entries + self.expired + self.damaged;
        let mut said = vec![counted(all, ("inscription", "inscriptions"), ("entry", "entries")) + "."];
        if let Some((first, last)) = self.first.zip(self.last) {
            let (first, last) = (settings.zone.second(first, language), settings.zone.second(last, language));
            said.push(match language {
                Language::French => format!("La première : {first} ; la dernière : {last}."),
                Language::English => format!("The first: {first}; the last: {last}."),
            });
        }
        let more = |set: usize| if set >= TOLD_APART_MAX { language.of(("plus de ", "more than ")) } else { "" };
        let people = counted(self.people.len() as u64, ("auteur", "auteurs"), ("agent", "agents"));
        let patients = counted(self.patients.len() as u64, ("patient", "patients"), ("patient", "patients"));
        said.push(format!("{}{people}, {}{patients}.", more(self.people.len()), more(self.patients.len())));
        if self.refused > 0 {
            let words = (("refusée", "refusées"), ("refused", "refused"));
            said.push(
                counted(self.refused, words.0, words.1)
                    + language.of((" : rien n’a été montré.", ": nothing was shown.")),
            );
        }
        if self.emergencies > 0 {
            let words =
                (("par accès d’urgence", "par accès d’urgence"), ("by emergency access", "by emergency access"));
            said.push(counted(self.emergencies, words.0, words.1) + ".");
        }
        said
    }

    fn list(
        &self,
        names: &BTreeMap<String, String>,
        settings: &ReportSettings,
        language: Language,
        blocks: &mut Vec<Block>,
    ) {
        blocks.push(Block::Heading(1, language.of(("Les inscriptions", "The entries")).to_owned()));
        if self.lines.is_empty() {
            let none = ("Aucune inscription ne répond à cette question.", "No entry answers this question.");
            blocks.push(Block::Text(language.of(none).to_owned()));
            return;
        }
        if self.left_out > 0 {
            blocks.push(Block::Text(texts::left_out(self.lines.len(), self.left_out, language)));
        }
        // One patient stands at the top of each page.
        let with_patient = self.question.patient.is_none();
        let mut columns = vec![
            (("N°, moment", "No., moment"), 17),
            (("Qui", "Who"), 19),
            (("Quoi", "What"), 20),
            (("D’où", "From where"), 20),
            (("Pourquoi", "Why"), 24),
        ];
        if with_patient {
            columns.insert(3, (("Patient", "Patient"), 18));
        }
        let unreadable = |index: &u64, words: (&'static str, &'static str)| {
            let mut row = vec![index.to_string(), String::new(), language.of(words).to_owned()];
            row.resize(columns.len(), String::new());
            row
        };
        let rows = self.lines.iter().map(|line| match line {
            Line::Entry(index, entry) => row(*index, entry, &self.question, names, (settings, language)),
            Line::Expired(index) => unreadable(index, ("conservation dépassée", "retention is over")),
            Line::Damaged(index) => unreadable(index, ("NE S’OUVRE PAS", "DOES NOT OPEN")),
        });
        let rows = rows.collect();
        blocks.push(table(&columns, rows, language));
    }
}

/// What an entry says. What is the same in all entries that answer is not said in each.
fn row(
    index: u64,
    entry: &Entry,
    question: &Question,
    names: &BTreeMap<String, String>,
    (settings, language): (&ReportSettings, Language),
) -> Vec<String> {
    let when = format!("{index} — {}", settings.zone.second(entry.at, language));
    let mut who = format!("{}, {}", entry.agent.owner, texts::role(&entry.agent.role, language));
    if let Some(behalf) = &entry.on_behalf_of {
        who += &match language {
            Language::French => format!(", pour {behalf}"),
            Language::English => format!(", for {behalf}"),
        };
    }
    let mut what = crate::texts::capital(language.of(texts::kind(entry.kind)));
    let records = entry.records.len();
    if records > 0 {
        let (one, many) = language_pair(language, (("élément", "éléments"), ("record", "records")));
        what += &format!(" ({})", crate::texts::counted(records, one, many, language));
    }
    if !entry.categories.is_empty() {
        let kinds: Vec<&str> = entry.categories.iter().map(|kind| kind.as_str()).collect();
        what += &format!(": {}", kinds.join(", "));
    }
    if entry.outcome != Outcome::Success {
        what += &format!(" — {}", language.of(words::outcome(entry.outcome)));
    }
    let address = entry.origin.address.filter(|_| question.address.is_none());
    let mut from: Vec<String> = address.iter().map(ToString::to_string).collect();
    let marked = |name: (&'static str, &'static str), value: &Option<String>| {
        value.as_ref().map(|value| format!("{} {value}", language.of(name)))
    };
    if question.device.is_none() {
        from.extend(marked(("poste", "device"), &entry.device));
    }
    if question.session.is_none() {
        from.extend(marked(("session", "session"), &entry.session));
        from.extend(marked(("jeton", "token"), &entry.agent.token));
    }
    let mut why = crate::texts::capital(language.of(words::purpose(entry.purpose)));
    // As the ledger has it: words for patients would say less to whoever keeps the rules.
    if let Some(basis) = &entry.basis {
        why += &format!(" — {basis}");
    }
    for said in entry.query.iter().chain(&entry.detail) {
        why += &format!(" — {}", shortened(said));
    }
    let mut row = vec![when, who, what];
    if question.patient.is_none() {
        let patient = entry.patient.as_ref().map(|(resource_type, id)| texts::patient(*resource_type, id, names));
        row.push(patient.unwrap_or_default());
    }
    row.extend([from.join(", "), why]);
    row
}

fn language_pair<T>(language: Language, (french, english): (T, T)) -> T {
    if language == Language::French { french } else { english }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(DETAIL_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn paper(title: &str, about: String, blocks: Vec<Block>, settings: &ReportSettings, language: Language) -> Paper {
    let foot = language.of(("Confidentiel", "Confidential"));
    Paper {
        language: language.tag().to_owned(),
        title: title.to_owned(),
        about,
        foot: match settings.hospital.as_str() {
            "" => format!("{foot} — {title}"),
            name => format!("{name} — {foot} — {title}"),
        },
        counting: language.of(("page {page} sur {pages}", "page {page} of {pages}")).to_owned(),
        blocks,
    }
}

fn table(columns: &[((&'static str, &'static str), u16)], rows: Vec<Vec<String>>, language: Language) -> Block {
    let columns = columns.iter().map(|(title, share)| (language.of(*title).to_owned(), *share)).collect();
    Block::Table(Table { columns, rows })
}

#[cfg(test)]
mod tests;
