//! Looks for many thousand patterns at once in a stream of any length.

use super::encodings::{Encoding, PATTERN_BYTES_MIN, patterns};
use super::needles::Needle;
use crate::error::CliError;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::collections::HashMap;
use std::io::{self, Read};

/// Bytes that a piece of a stream brings.
pub(super) const PIECE_BYTES: usize = 16 << 20;

/// Bytes of the piece before that are looked at again, so that nothing is missed at a border: more than the longest pattern,
/// and room for a compressed record that begins there.
pub(super) const OVERLAP_BYTES: usize = 1 << 20;

/// A needle at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hit {
    /// Its place in the list of needles.
    pub(super) needle: usize,
    /// The form in which it stands there.
    pub(super) encoding: Encoding,
    /// Where it begins.
    pub(super) at: u64,
}

/// All patterns of all needles.
pub(super) struct Scanner {
    automaton: AhoCorasick,
    origins: Vec<(usize, Encoding)>,
}

impl Scanner {
    pub(super) fn new(needles: &[Needle]) -> Result<Self, CliError> {
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        let (mut all, mut origins) = (Vec::new(), Vec::new());
        for (needle, Needle { text, depth, .. }) in needles.iter().enumerate() {
            for (encoding, pattern) in patterns(text, *depth) {
                if pattern.len() < OVERLAP_BYTES && !places.contains_key(&pattern) {
                    places.insert(pattern.clone(), all.len());
                    all.push(pattern);
                    origins.push((needle, encoding));
                }
            }
        }
        drop(places);
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::Standard)
            .build(&all)
            .map_err(|error| CliError::other("the scanner could not be made", error))?;
        Ok(Self { automaton, origins })
    }

    /// How many patterns it looks for.
    pub(super) fn patterns(&self) -> usize {
        self.origins.len()
    }

    /// Every hit in `bytes`, overlapping ones too, that ends behind the first `seen` bytes.
    pub(super) fn scan(&self, bytes: &[u8], seen: usize, visit: &mut dyn FnMut(Hit)) {
        for found in self.automaton.find_overlapping_iter(bytes) {
            if found.end() > seen
                && let Some((needle, encoding)) = self.origins.get(found.pattern().as_usize())
            {
                visit(Hit { needle: *needle, encoding: *encoding, at: found.start() as u64 });
            }
        }
    }
}

/// A piece of a stream.
pub(super) struct Piece<'a> {
    /// The last bytes of the piece before, then new ones.
    pub(super) bytes: &'a [u8],
    /// How many of them were in the piece before.
    pub(super) seen: usize,
    /// Where the first of them stands in the stream.
    pub(super) at: u64,
    /// Nothing follows.
    pub(super) last: bool,
}

/// Reads a stream in pieces that overlap. Gives its length.
pub(super) fn for_each_piece(
    reader: &mut dyn Read,
    piece_bytes: usize,
    overlap_bytes: usize,
    visit: &mut dyn FnMut(Piece<'_>),
) -> io::Result<u64> {
    debug_assert!(overlap_bytes > PATTERN_BYTES_MIN);
    let mut buffer = Vec::new();
    let (mut seen, mut at) = (0, 0_u64);
    loop {
        let read = (&mut *reader).take(piece_bytes as u64).read_to_end(&mut buffer)?;
        // A short read is the end: `read_to_end` goes on until there is nothing more.
        let last = read < piece_bytes;
        visit(Piece { bytes: &buffer, seen, at, last });
        if last {
            return Ok(at + buffer.len() as u64);
        }
        let gone = buffer.len().saturating_sub(overlap_bytes);
        buffer.drain(..gone);
        (seen, at) = (buffer.len(), at + gone as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::encodings::Depth;
    use super::*;

    fn needle(text: &str) -> Needle {
        Needle { kind: "a name", patient: None, text: text.to_owned(), depth: Depth::Every }
    }

    fn hits(scanner: &Scanner, mut bytes: &[u8], piece: usize, overlap: usize) -> Vec<Hit> {
        let mut hits = Vec::new();
        let length = bytes.len() as u64;
        let read = for_each_piece(&mut bytes, piece, overlap, &mut |piece| {
            scanner.scan(piece.bytes, piece.seen, &mut |hit| hits.push(Hit { at: hit.at + piece.at, ..hit }));
        });
        assert_eq!(read.unwrap(), length);
        hits
    }

    #[test]
    fn each_form_is_found_once_wherever_a_border_falls() {
        let name = "Sémiramis Quatresous";
        let scanner = Scanner::new(&[needle(name)]).unwrap();
        for (encoding, pattern) in patterns(name, Depth::Every) {
            for before in 0..130 {
                let bytes = [&vec![b'.'; before][..], &pattern, &[b'.'; 70]].concat();
                let found = hits(&scanner, &bytes, 64, 128);
                let wanted = Hit { needle: 0, encoding, at: before as u64 };
                assert_eq!(
                    found.iter().filter(|hit| **hit == wanted).count(),
                    1,
                    "{encoding:?} after {before}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn a_needle_inside_another_is_found_too() {
        let scanner = Scanner::new(&[needle("Martinique"), needle("Martin")]).unwrap();
        let found = hits(&scanner, b"to Martinique", 1000, 100);
        assert_eq!(found.iter().map(|hit| hit.needle).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn nothing_is_found_in_noise() {
        use tacet_types::Rng;
        let scanner = Scanner::new(&[needle("Quatresous"), needle("1 85 05 78 006 084 91")]).unwrap();
        let mut noise = vec![0; 3_000_000];
        tacet_types::SeededRng::new(7).fill(&mut noise);
        assert_eq!(hits(&scanner, &noise, 1_000_000, 4096), []);
    }
}
