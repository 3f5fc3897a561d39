//! What changed in the data directory since the look before, and what of it is a sign.

use crate::species::{HEAD_BYTES, Species, is_note};
use crate::{Alarm, Grade, Wire};
use aws_lc_rs::digest;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Pieces of a file of which its print is made, and the length of each, in bytes. Who encrypts a file in part to be quick leaves less than a few
/// hundredths of it as it was, or begins with its first bytes.
const PRINT_PIECES: u64 = 16;
const PRINT_PIECE_BYTES: u64 = 4096;

/// Prints learned in one look, so that a look stays short after many files were written.
const PRINTS_EACH_LOOK_MAX: usize = 128;

/// Looks in which a file must be as it was before its print is learned.
const STILL_LOOKS: u8 = 2;

/// How many files with a soft sign within [`WINDOW_MS`] make a hard one.
const MANY: usize = 3;
const WINDOW_MS: i64 = 600_000;

/// The store has lost most of its bytes if less than this share of the most within [`WINDOW_MS`] is there. Journals are taken away once their rows
/// are in tables, so half may go at once.
const SHRUNK_SHARE: u64 = 4;

/// A store with fewer bytes than this is not looked at for that.
const SHRUNK_BYTES_MIN: u64 = 256 << 20;

/// A file, as a walk saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSeen {
    /// Relative to the data directory, its parts joined by `/`.
    pub path: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// When its content was written, in nanoseconds since 1970. Whoever writes it may set this.
    pub modified_ns: i128,
    /// When anything of it changed, in nanoseconds since 1970; only the system sets this.
    pub changed_ns: i128,
    /// Its number in the file system.
    pub inode: u64,
}

/// What must be read of a file to judge it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// Its first [`HEAD_BYTES`] bytes, or fewer.
    Head(String),
    /// The print of its first bytes, so many: see [`places`] and [`print()`].
    Print(String, u64),
    /// Whether it is text in UTF-8 without control characters but line ends and tabs.
    Text(String),
}

/// What was read. A file that is gone by then has no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// First bytes.
    Head(String, Vec<u8>),
    /// A print.
    Print(String, u64),
    /// Whether it is text.
    Text(String, bool),
}

/// Where the pieces of a print stand, and how long each is, for a file's first `bytes` bytes.
pub fn places(bytes: u64) -> Vec<(u64, u64)> {
    if bytes <= PRINT_PIECES * PRINT_PIECE_BYTES {
        return vec![(0, bytes)];
    }
    let step = (bytes - PRINT_PIECE_BYTES) / (PRINT_PIECES - 1);
    (0..PRINT_PIECES).map(|piece| (piece * step, PRINT_PIECE_BYTES)).collect()
}

/// The print of these pieces.
pub fn print<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> u64 {
    let mut context = digest::Context::new(&digest::SHA256);
    pieces.for_each(|piece| context.update(piece));
    let hash = context.finish();
    hash.as_ref().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

#[derive(Clone, Debug)]
struct Known {
    seen: FileSeen,
    species: Species,
    /// Looks since it changed.
    still: u8,
    /// Looks in which it was missing.
    missing: u8,
    /// Its print, and of how many bytes.
    print: Option<(u64, u64)>,
}

/// What is known of a data directory.
#[derive(Debug, Default)]
pub struct Watch {
    known: BTreeMap<String, Known>,
    looked: bool,
    /// When soft signs were seen.
    soft: BTreeMap<Wire, VecDeque<i64>>,
    /// The most bytes of the store, and when.
    most: (u64, i64),
}

/// The signs of one look, by wire.
#[derive(Default)]
struct Signs(BTreeMap<Wire, (Grade, u64, String)>);

impl Signs {
    fn add(&mut self, wire: Wire, grade: Grade, place: &str) {
        let sign = self.0.entry(wire).or_insert_with(|| (grade, 0, place.to_owned()));
        sign.0 = sign.0.max(grade);
        sign.1 += 1;
    }
}

impl Watch {
    /// What must be read to judge these files.
    pub fn questions(&self, files: &[FileSeen]) -> Vec<Question> {
        let (mut questions, mut prints) = (Vec::new(), 0);
        for file in files {
            let species = Species::of(&file.path);
            let known = self.known.get(&file.path);
            let changed = known.is_none_or(|known| known.seen != *file);
            let has_head = !species.head().is_empty() || species == Species::Journal;
            if changed && has_head && file.bytes > 0 {
                questions.push(Question::Head(file.path.clone()));
            }
            if changed && species == Species::Settings {
                questions.push(Question::Text(file.path.clone()));
            }
            let Some(known) = known.filter(|_| species.is_settled()) else { continue };
            match known.print {
                Some((_, bytes)) if changed && known.seen.inode == file.inode && file.bytes >= bytes => {
                    questions.push(Question::Print(file.path.clone(), bytes));
                }
                None if !changed && known.still + 1 >= STILL_LOOKS && prints < PRINTS_EACH_LOOK_MAX => {
                    prints += 1;
                    questions.push(Question::Print(file.path.clone(), file.bytes));
                }
                _ => {}
            }
        }
        questions
    }

    /// What these files are signs of. They are what the next look is held against.
    pub fn judge(&mut self, now_ms: i64, files: &[FileSeen], answers: &[Answer]) -> Vec<Alarm> {
        let (mut heads, mut prints, mut texts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for answer in answers {
            match answer {
                Answer::Head(path, head) => drop(heads.insert(path.as_str(), head.as_slice())),
                Answer::Print(path, print) => drop(prints.insert(path.as_str(), *print)),
                Answer::Text(path, text) => drop(texts.insert(path.as_str(), *text)),
            }
        }
        let mut signs = Signs::default();
        let present: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        self.missing(&present, &mut signs);
        for file in files {
            let species = Species::of(&file.path);
            let before = self.known.get(&file.path);
            if let Some(head) = heads.get(file.path.as_str())
                && !begins_right(species, head)
            {
                signs.add(Wire::Overwritten, Grade::Hard, folder(&file.path));
            }
            if species == Species::Lock && file.bytes > 0 {
                signs.add(Wire::Overwritten, Grade::Hard, folder(&file.path));
            }
            match texts.get(file.path.as_str()) {
                Some(false) => signs.add(Wire::SettingsUnreadable, Grade::Hard, "tacet.toml"),
                Some(true) if before.is_some_and(|known| known.seen.modified_ns != file.modified_ns) => {
                    signs.add(Wire::SettingsChanged, Grade::Soft, "tacet.toml");
                }
                _ => {}
            }
            let print = prints.get(file.path.as_str()).copied();
            match before {
                None if species == Species::Foreign => self.foreign(file, &present, &mut signs),
                Some(known) if known.seen != *file && species.is_settled() => rewritten(known, file, print, &mut signs),
                _ => {}
            }
            let before = self.known.remove(&file.path);
            self.known.insert(file.path.clone(), after(before, file, species, print));
        }
        self.shrunk(now_ms, files, &mut signs);
        let first = !std::mem::replace(&mut self.looked, true);
        self.told(now_ms, signs, first)
    }

    /// Files that were there and are not.
    fn missing(&mut self, present: &BTreeSet<&str>, signs: &mut Signs) {
        self.known.retain(|path, known| {
            if present.contains(path.as_str()) {
                known.missing = 0;
                return true;
            }
            known.missing += 1;
            // A walk beside a replacement may miss a file once.
            if known.missing < 2 {
                return true;
            }
            if known.species.stays() {
                signs.add(Wire::Gone, Grade::Hard, path);
            } else if known.species == Species::Settings {
                signs.add(Wire::SettingsChanged, Grade::Soft, path);
            }
            false
        });
    }

    fn foreign(&self, file: &FileSeen, present: &BTreeSet<&str>, signs: &mut Signs) {
        let place = folder(&file.path);
        // What was there before the first look may be years old.
        if !self.looked {
            return signs.add(Wire::Foreign, Grade::Soft, place);
        }
        let ends = file.path.char_indices().filter(|(_, letter)| !letter.is_alphanumeric() && *letter != '/');
        let of = ends.filter_map(|(end, _)| file.path.get(..end));
        if of.into_iter().any(|of| self.known.contains_key(of) && !present.contains(of)) {
            signs.add(Wire::Renamed, Grade::Hard, place);
        } else if is_note(&file.path) {
            signs.add(Wire::Note, Grade::Hard, place);
        } else {
            signs.add(Wire::Foreign, Grade::Soft, place);
        }
    }

    fn shrunk(&mut self, now_ms: i64, files: &[FileSeen], signs: &mut Signs) {
        // Without journals: what they hold moves into tables, where rows that were written many times stand once.
        let kept = |file: &&FileSeen| file.path.starts_with("store/") && !file.path.ends_with(".jnl");
        let bytes = files.iter().filter(kept).map(|file| file.bytes).sum();
        let (most, at_ms) = self.most;
        if bytes >= most || now_ms.saturating_sub(at_ms) > WINDOW_MS {
            self.most = (bytes, now_ms);
        } else if most >= SHRUNK_BYTES_MIN && bytes < most / SHRUNK_SHARE {
            signs.add(Wire::Shrunk, Grade::Hard, "store");
            self.most = (bytes, now_ms);
        }
    }

    /// The alarms of a look: many soft signs within a while are a hard one.
    fn told(&mut self, now_ms: i64, signs: Signs, first: bool) -> Vec<Alarm> {
        let soft = &mut self.soft;
        let alarms = signs.0.into_iter().map(|(wire, (mut grade, count, place))| {
            let counts = grade == Grade::Soft && matches!(wire, Wire::Foreign | Wire::Rewritten) && !first;
            if counts {
                let times = soft.entry(wire).or_default();
                times.extend((0..count.min(MANY as u64)).map(|_| now_ms));
                while times.front().is_some_and(|time| now_ms.saturating_sub(*time) > WINDOW_MS) || times.len() > MANY {
                    times.pop_front();
                }
                if times.len() >= MANY {
                    grade = Grade::Hard;
                }
            }
            let files = if count == 1 { "a file" } else { "files" };
            Alarm { wire, grade, count, detail: format!("{files} in or at `{place}` ({count})") }
        });
        alarms.collect()
    }
}

fn begins_right(species: Species, head: &[u8]) -> bool {
    let wanted = species.head();
    match species {
        // A record's first byte is its kind, and none has so many rows that the highest byte of their number is used. Room that was set aside is 0.
        Species::Journal => head.len() < HEAD_BYTES || (matches!(head.first(), Some(0 | 1)) && head.get(4) == Some(&0)),
        // Not all of it is written yet.
        _ => head.len() < wanted.len() || head.starts_with(wanted),
    }
}

/// A file changed that is written once.
fn rewritten(known: &Known, file: &FileSeen, print: Option<u64>, signs: &mut Signs) {
    let place = folder(&file.path);
    if known.seen.inode != file.inode {
        // Another file under the name: of those that are replaced as a whole, the head is all that can be held against it.
        if matches!(known.species, Species::Once(_)) {
            signs.add(Wire::Rewritten, Grade::Hard, place);
        }
        return;
    }
    match (known.print, print) {
        (Some((_, bytes)), _) if file.bytes < bytes => signs.add(Wire::Rewritten, Grade::Hard, place),
        (Some((before, _)), Some(now)) if before != now => signs.add(Wire::Rewritten, Grade::Hard, place),
        (Some(_), _) => {}
        // Nothing is known of its content yet; who writes it makes it longer.
        (None, _) if file.bytes < known.seen.bytes => signs.add(Wire::Rewritten, Grade::Hard, place),
        (None, _)
            if file.bytes == known.seen.bytes && file.modified_ns != known.seen.modified_ns && known.still > 0 =>
        {
            signs.add(Wire::Rewritten, Grade::Soft, place);
        }
        (None, _) => {}
    }
}

fn after(before: Option<Known>, file: &FileSeen, species: Species, print: Option<u64>) -> Known {
    let same = before.as_ref().is_some_and(|known| known.seen == *file);
    let still = if same { before.as_ref().map_or(0, |known| known.still.saturating_add(1)) } else { 0 };
    let kept = before.as_ref().filter(|known| known.seen.inode == file.inode).and_then(|known| known.print);
    let print = match (kept, print) {
        // A changed file is learned anew once it is still: what it is now was judged already.
        (Some(_), _) if !same => None,
        (None, Some(now)) if same => Some((now, file.bytes)),
        (kept, _) => kept,
    };
    Known { seen: file.clone(), species, still, missing: 0, print }
}

/// The folder of a file as it may be told: names that are not ours may say anything.
fn folder(path: &str) -> &str {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let ours = Species::of(path) != Species::Foreign;
    let top = ["store", "index", "ledger-index", "copies"];
    match path.split('/').next() {
        _ if ours && !parent.is_empty() => parent,
        Some(first) if path.contains('/') => top.into_iter().find(|top| *top == first).unwrap_or("the data directory"),
        _ if ours => path,
        _ => "the data directory",
    }
}

#[cfg(test)]
mod tests;
