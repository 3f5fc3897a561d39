//! What a thief finds: every byte of a tree, as it stands and unpacked.

use super::encodings::Encoding;
use super::needles::Needle;
use super::packed::{Packing, Unpacker};
use super::scanner::{Hit, OVERLAP_BYTES, PIECE_BYTES, Piece, Scanner, for_each_piece};
use super::scratch::files_below;
use super::statistics::Statistics;
use crate::error::CliError;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::path::Path;

/// A kind of thing that was found in a place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Found {
    /// Where: a file, or rows of the store.
    pub(super) place: String,
    /// What, in plain words.
    pub(super) kind: &'static str,
    /// In which form.
    pub(super) encoding: Encoding,
    /// Unpacked from what.
    pub(super) packing: Option<Packing>,
}

/// How often, and where first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Times {
    pub(super) count: u64,
    pub(super) first_at: u64,
}

/// A file that was looked at.
pub(super) struct Looked {
    /// Its path below the root.
    pub(super) path: String,
    pub(super) statistics: Statistics,
}

/// Looks, and remembers.
pub(super) struct Thief<'a> {
    scanner: &'a Scanner,
    needles: &'a [Needle],
    unpacker: Unpacker,
    /// What was found.
    pub(super) found: BTreeMap<Found, Times>,
    /// The needles that were found, by their place in the list.
    pub(super) strings: HashSet<usize>,
    /// The patients whom a found string belongs to.
    pub(super) patients: BTreeSet<u64>,
    /// Compressed records that opened with a dictionary of Tacet's.
    pub(super) records_unpacked: u64,
    /// Compressed texts that opened otherwise.
    pub(super) texts_unpacked: u64,
}

impl<'a> Thief<'a> {
    pub(super) fn new(scanner: &'a Scanner, needles: &'a [Needle]) -> Self {
        Self {
            scanner,
            needles,
            unpacker: Unpacker::new(),
            found: BTreeMap::new(),
            strings: HashSet::new(),
            patients: BTreeSet::new(),
            records_unpacked: 0,
            texts_unpacked: 0,
        }
    }

    /// Whether there was more compressed text than the drill opens.
    pub(super) fn gave_up_unpacking(&self) -> bool {
        self.unpacker.exhausted()
    }

    /// Looks at a piece of a place.
    pub(super) fn look(&mut self, place: &str, piece: &Piece<'_>) {
        let Self { scanner, unpacker, .. } = self;
        let mut hits = Vec::new();
        scanner.scan(piece.bytes, piece.seen, &mut |hit| hits.push((Hit { at: hit.at + piece.at, ..hit }, None)));
        // Of a stream that begins in the overlap with the next piece, the next piece shows more.
        let to = if piece.last { piece.bytes.len() } else { piece.bytes.len().saturating_sub(OVERLAP_BYTES) };
        let mut packings = Vec::new();
        unpacker.unpack(piece.bytes, 0, to, &mut |at, packing, text| {
            packings.push(packing);
            let at = piece.at + at as u64;
            scanner.scan(text, 0, &mut |hit| hits.push((Hit { at, ..hit }, Some(packing))));
        });
        for packing in packings {
            match packing {
                Packing::ZstdDictionary => self.records_unpacked += 1,
                _ => self.texts_unpacked += 1,
            }
        }
        for (hit, packing) in hits {
            self.note(place, hit, packing);
        }
    }

    /// Looks at bytes as a whole.
    pub(super) fn look_at(&mut self, place: &str, bytes: &[u8]) {
        self.look(place, &Piece { bytes, seen: 0, at: 0, last: true });
    }

    fn note(&mut self, place: &str, hit: Hit, packing: Option<Packing>) {
        let Some(needle) = self.needles.get(hit.needle) else { return };
        self.strings.insert(hit.needle);
        self.patients.extend(needle.patient);
        let found = Found { place: place.to_owned(), kind: needle.kind, encoding: hit.encoding, packing };
        self.found.entry(found).or_insert(Times { count: 0, first_at: hit.at }).count += 1;
    }

    /// Looks at a file.
    pub(super) fn look_at_file(&mut self, path: &Path, name: &str) -> Result<Statistics, CliError> {
        let unreadable = || CliError::file(path, "the file cannot be read");
        let mut file = File::open(path).map_err(unreadable())?;
        let mut statistics = Statistics::default();
        for_each_piece(&mut file, PIECE_BYTES, OVERLAP_BYTES, &mut |piece| {
            statistics.add(piece.bytes.get(piece.seen..).unwrap_or_default());
            self.look(name, &piece);
        })
        .map_err(unreadable())?;
        Ok(statistics)
    }

    /// Looks at every file below `root`, and at their names.
    pub(super) fn look_at_tree(&mut self, root: &Path) -> Result<Vec<Looked>, CliError> {
        let mut looked = Vec::new();
        let mut names = String::new();
        for path in files_below(root)? {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            names += &name;
            names.push('\n');
            let statistics = self.look_at_file(&path, &name)?;
            looked.push(Looked { path: name, statistics });
        }
        self.look_at("the names of the files", names.as_bytes());
        Ok(looked)
    }
}
