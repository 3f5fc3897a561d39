//! A ward's pack as a book: the list of patients, then each patient on pages of their own. Black on white; what matters is told by words, letters, frames
//! and bold type, never by colour.

mod patient;

use crate::sheet::{Gap, Sheet};
use crate::words::Telling;
use tacet_paper::{Block, Book, Chapter, Column, Grid, GridRow, PaperError};
use tacet_types::Timestamp;

/// Most patients of one pack. A ward has some dozens; a whole hospital is several packs.
pub const PATIENTS_MAX: usize = 400;

/// A pack: the sheets of a ward at a moment.
#[derive(Clone, Debug)]
pub struct Pack {
    /// The hospital's name.
    pub hospital: String,
    /// The ward's name.
    pub ward: String,
    /// The pack's serial number ([`crate::code::serial`]).
    pub serial: String,
    /// When it was made.
    pub made: Timestamp,
    /// Until when it is to be trusted.
    pub until: Timestamp,
    /// How it is told.
    pub telling: Telling,
    /// The sheets in any order, each with its code: the one by which notes on it are entered ([`crate::code`]).
    pub sheets: Vec<(String, Sheet)>,
    /// How many patients there are beyond [`PATIENTS_MAX`].
    pub more: usize,
}

/// Numbers within a text count as numbers: bed 9 stands before bed 10.
fn natural(text: &str) -> Vec<(u64, String)> {
    let mut parts: Vec<(u64, String)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && parts.len() < 16 {
        let words = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(words).unwrap_or((rest, ""));
        let digits = after.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at_checked(digits).unwrap_or((after, ""));
        // The word before the number decides first.
        parts.push((0, word.to_lowercase()));
        parts.push((number.parse().unwrap_or(u64::MAX), String::new()));
        rest = after;
    }
    parts
}

impl Pack {
    /// The pack as a book, each sheet with its code; sheets by room, bed and name.
    pub fn to_book(mut self) -> Book {
        self.sheets.sort_by_cached_key(|(_, sheet)| {
            let place = |text: &Option<String>| natural(text.as_deref().unwrap_or("\u{10ffff}"));
            (place(&sheet.stay.room), place(&sheet.stay.bed), sheet.identity.name.clone(), sheet.patient.clone())
        });
        let telling = self.telling;
        let count = self.sheets.len();
        let title = format!("{} — {}", self.hospital, self.ward);
        let made = telling.full(self.made);
        let until = telling.full(self.until);
        let foot = match telling.of("fr", "en") {
            "fr" => format!(
                "{} · dossier {} · fait le {made} · rien de plus récent n’y figure · à ne plus suivre sans vérifier après le {until}",
                self.ward, self.serial
            ),
            _ => format!(
                "{} · pack {} · made {made} · nothing later is on it · do not rely on it unchecked after {until}",
                self.ward, self.serial
            ),
        };
        let mut chapters = vec![self.first(&made, &until)];
        for (place, (code, sheet)) in self.sheets.iter().enumerate() {
            chapters.push(patient::chapter(sheet, &self, code, (place + 1, count)));
        }
        Book {
            language: telling.language.tag().to_owned(),
            title,
            foot,
            counting: telling.of("page {page} sur {pages}", "page {page} of {pages}").to_owned(),
            chapters,
        }
    }

    /// The PDF.
    ///
    /// # Errors
    /// It is too long.
    pub fn to_pdf(self) -> Result<Vec<u8>, PaperError> {
        self.to_book().to_pdf()
    }

    fn first(&self, made: &str, until: &str) -> Chapter {
        let telling = &self.telling;
        let count = self.sheets.len();
        let what = match telling.of("fr", "en") {
            "fr" => vec![
                format!("{} patients présents le {made}", count + self.more),
                format!("Dossier papier n° {}. À n’utiliser que lorsque le dossier informatisé n’est pas accessible.", self.serial),
                format!("Ce qui a été fait après le {made} n’y figure pas. Après le {until} : ne plus suivre sans vérifier."),
                "« Rien d’enregistré » n’est pas « rien » : demander au patient.".to_owned(),
                "Chaque note prise sur ces feuilles : date, heure, nom, signature. Elle sera saisie avec le code de la feuille et son heure."
                    .to_owned(),
            ],
            _ => vec![
                format!("{} patients present, {made}", count + self.more),
                format!("Paper pack no. {}. For use only while the electronic record cannot be reached.", self.serial),
                format!("What was done after {made} is not on it. After {until}: do not rely on it unchecked."),
                "“Nothing recorded” is not “none”: ask the patient.".to_owned(),
                "Each note on these sheets: date, time, name, signature. It will be entered with the sheet’s code and its time.".to_owned(),
            ],
        };
        let mut blocks = vec![Block::Frame(what)];
        if self.more > 0 {
            let text = telling.of(
                "%n patients de plus ne sont pas dans ce dossier : demander.",
                "%n more patients are not in this pack: ask.",
            );
            blocks.push(Block::Frame(vec![text.replace("%n", &self.more.to_string())]));
        }
        let partial = self.sheets.iter().filter(|(_, sheet)| !sheet.gaps.is_empty()).count();
        if partial > 0 {
            let text = telling.of(
                "%n feuilles ne sont pas complètes : ce qui n’a pas pu être lu y est dit en tête. Demander, ne rien en conclure.",
                "%n sheets are not whole: what could not be read is said at their top. Ask; conclude nothing from it.",
            );
            blocks.push(Block::Frame(vec![text.replace("%n", &partial.to_string())]));
        }
        let column = |french: &'static str, english: &'static str, share: u16, bold: bool| Column {
            title: telling.of(french, english).to_owned(),
            share,
            bold,
        };
        let unknown = || telling.of("identité illisible", "identity unreadable").to_owned();
        // A ward whose places are beds alone has no column for rooms.
        let rooms = self.sheets.iter().any(|(_, sheet)| sheet.stay.room.is_some());
        let rows = self.sheets.iter().enumerate().map(|(place, (_, sheet))| GridRow {
            cells: [
                rooms.then(|| sheet.stay.room.clone().unwrap_or_default()),
                Some(sheet.stay.bed.clone().unwrap_or_default()),
                Some(sheet.identity.name.clone().unwrap_or_else(unknown)),
                Some(sheet.identity.born.as_ref().map(|born| telling.when(born, self.made)).unwrap_or_default()),
                Some(self.note_of(sheet)),
                Some(String::new()),
            ]
            .into_iter()
            .flatten()
            .collect(),
            height: 0,
            page_of: Some(place + 1),
        });
        let columns = [
            rooms.then(|| column("Chambre", "Room", 3, false)),
            Some(column("Lit", "Bed", 4, false)),
            Some(column("Patient", "Patient", 9, true)),
            Some(column("Né(e) le", "Born", 4, false)),
            Some(column("Attention", "Note", 6, true)),
            Some(column("Page", "Page", 2, true)),
        ];
        let columns = columns.into_iter().flatten().collect();
        blocks.push(match count {
            0 => Block::Text(telling.of("Aucun patient présent.", "No patient present.").to_owned()),
            _ => Block::Grid(Grid { columns, rows: rows.collect(), boxed: false }),
        });
        Chapter { title: format!("{} — {}", self.hospital, self.ward), about: Vec::new(), code: None, blocks }
    }

    /// What the list says beside a name.
    fn note_of(&self, sheet: &Sheet) -> String {
        let telling = &self.telling;
        if sheet.gaps.contains(&Gap::Nothing) {
            return telling.of("! FEUILLE VIDE", "! EMPTY SHEET").to_owned();
        }
        let grave = matches!(&sheet.allergies, crate::sheet::Known::Some(all) if all.items.iter().any(|one| one.grave));
        let words = [
            (!sheet.gaps.is_empty()).then(|| telling.of("incomplet", "incomplete")),
            (!sheet.alerts.items.is_empty()).then(|| telling.of("alerte", "alert")),
            grave.then(|| telling.of("allergie grave", "severe allergy")),
        ];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        if words.is_empty() { String::new() } else { format!("! {}", words.join(", ")) }
    }
}
