//! The CCAM (French classification of medical acts) as text: fields separated by tabs, `;`, `|` or commas, a row for each
//! act, with rows of chapters (`01.01.02`) between them or not.

use super::csv::{Rows, column};
use super::{LoadError, Loaded, Release, Sink};
use crate::system::Concept;
use std::collections::HashSet;
use std::io::BufRead;

/// Longest code of a chapter: five numbers with their dots.
const CHAPTER_BYTES_MAX: usize = 24;
/// Rows before the header row that may be something else (a title, a date).
const ROWS_BEFORE_HEADER_MAX: usize = 20;

/// Reads acts and chapters. The columns are found by a header row that names a code and a label (`Code`, `Libellé`, `Texte`), or
/// are the first two. An act stands under the last chapter before it; a chapter, which cannot be chosen, under the one
/// whose number it continues.
///
/// # Errors
/// There is no act; or reading or writing fails.
pub fn ccam(input: impl BufRead, release: &Release, sink: &mut dyn Sink) -> Result<Loaded, LoadError> {
    let mut rows = Rows::open(input)?;
    sink.begin(release.header(true))?;
    let (mut code_at, mut label_at) = (0, 1);
    let mut chapters: HashSet<String> = HashSet::new();
    let mut chapter: Option<String> = None;
    let mut loaded = Loaded::default();
    let mut acts = 0_u64;
    let mut number = 0;
    while let Some(row) = rows.next()? {
        number += 1;
        if number <= ROWS_BEFORE_HEADER_MAX
            && let (Some(code), Some(label)) = (
                column(&row, &["code", "codeccam", "codeacte", "acte", "codccam"]),
                column(&row, &["libelle", "texte", "libellelong", "libelleacte", "intitule", "label"]),
            )
        {
            (code_at, label_at) = (code, label);
            loaded.passed_over += 1;
            continue;
        }
        let field = |at: usize| row.get(at).map_or("", String::as_str);
        let (code, label) = (field(code_at), field(label_at));
        if is_act(code) && !label.is_empty() {
            let parent = chapter.as_deref();
            sink.concept(&Concept { code, display: label, parents: parent.as_slice(), ..Concept::default() })?;
            acts += 1;
        } else if is_chapter(code) && !label.is_empty() {
            let number = code.trim_end_matches('.').to_owned();
            if !chapters.contains(&number) {
                let parent = number.rsplit_once('.').map(|(above, _)| above).and_then(|above| chapters.get(above));
                let parent = parent.map(String::as_str);
                sink.concept(&Concept {
                    code: &number,
                    display: label,
                    parents: parent.as_slice(),
                    is_abstract: true,
                    ..Concept::default()
                })?;
                loaded.concepts += 1;
                chapters.insert(number.clone());
            }
            chapter = Some(number);
        } else {
            loaded.passed_over += 1;
        }
    }
    loaded.concepts += acts;
    match acts {
        0 => Err(LoadError::format(0, "no row has a code of the CCAM (four letters and three digits)")),
        _ => Ok(loaded),
    }
}

fn is_act(code: &str) -> bool {
    code.len() == 7
        && code
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at < 4 { byte.is_ascii_uppercase() } else { byte.is_ascii_digit() })
}

fn is_chapter(code: &str) -> bool {
    code.len() <= CHAPTER_BYTES_MAX
        && code.starts_with(|letter: char| letter.is_ascii_digit())
        && code
            .trim_end_matches('.')
            .split('.')
            .all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
}
