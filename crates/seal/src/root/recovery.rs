//! What of a root key file is kept elsewhere: its header and its recovery slot, which recovery shares open, and not the slot that a
//! passphrase opens. Whoever finds it can try no passphrase on it; without enough shares it is noise.

use super::format::{self, Header, Parsed};
use super::{RootError, Split, storage};
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use std::fmt;
use std::path::Path;

const MAGIC: &[u8; 8] = b"TACETREC";

/// The format that is written, and the only one there is.
const FORMAT_VERSION: u8 = 1;

/// The part of a root key file that goes into a backup of keys (`docs/formats/root-key.md`, "The recovery part").
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryPart {
    bytes: Vec<u8>,
    header: Header,
}

impl RecoveryPart {
    /// Takes it out of a root key file. No passphrase is needed, as nothing is opened.
    ///
    /// # Errors
    /// The file cannot be read, or is no root key file.
    pub fn read(path: &Path) -> Result<Self, RootError> {
        Self::of_file(&storage::read(path)?)
    }

    pub(super) fn of_file(bytes: &[u8]) -> Result<Self, RootError> {
        let parsed = format::parse(bytes)?;
        let (bound, slot) = parsed.recovery_parts();
        let mut part = [MAGIC, &[FORMAT_VERSION][..], bound, slot].concat();
        let checksum = digest(&SHA256, &part);
        part.extend(checksum.as_ref());
        Ok(Self { header: parsed.header, bytes: part })
    }

    /// Reads what [`RecoveryPart::as_bytes`] gave.
    ///
    /// # Errors
    /// It is none, it is damaged, or it is of a newer version.
    pub fn parse(bytes: &[u8]) -> Result<Self, RootError> {
        let Some(rest) = bytes.strip_prefix(MAGIC) else { return Err(RootError::NotARootKeyFile) };
        let (found, _) = rest.split_first().ok_or(RootError::Damaged)?;
        if *found > FORMAT_VERSION {
            return Err(RootError::NewerFormat { found: *found, supported: FORMAT_VERSION });
        }
        let (checked, checksum) = bytes.split_last_chunk::<SHA256_OUTPUT_LEN>().ok_or(RootError::Damaged)?;
        if *found != FORMAT_VERSION || digest(&SHA256, checked).as_ref() != checksum {
            return Err(RootError::Damaged);
        }
        let body = checked.get(MAGIC.len() + 1..).ok_or(RootError::Damaged)?;
        let header = format::parse_recovery(body)?.header;
        Ok(Self { bytes: bytes.to_vec(), header })
    }

    /// Its bytes, as they are kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How often the root key file had been written when this was taken from it.
    pub fn revision(&self) -> u64 {
        self.header.revision
    }

    /// How many shares open it, of how many.
    pub fn split(&self) -> Split {
        self.header.split
    }

    pub(super) fn parsed(&self) -> Result<Parsed<'_>, RootError> {
        let body = self.bytes.get(MAGIC.len() + 1..self.bytes.len().saturating_sub(SHA256_OUTPUT_LEN));
        format::parse_recovery(body.ok_or(RootError::Damaged)?)
    }
}

impl fmt::Debug for RecoveryPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoveryPart(revision {}, ..)", self.header.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PassphraseCost, RecoveryShare, RootFile};
    use super::*;
    use tacet_types::SeededRng;

    const CHEAP: PassphraseCost = PassphraseCost::DANGEROUSLY_CHEAP;

    fn made() -> (tempfile::TempDir, RootFile, Vec<RecoveryShare>) {
        let directory = tempfile::tempdir().unwrap();
        let (rng, path) = (SeededRng::new(4), directory.path().join("root.key"));
        let (file, shares) = RootFile::create(&path, "correct horse battery", Split::DEFAULT, CHEAP, &rng).unwrap();
        (directory, file, shares)
    }

    #[test]
    fn the_part_and_the_shares_make_the_root_key_file_again() {
        let (directory, mut file, shares) = made();
        let rng = SeededRng::new(5);
        file.begin_rotation(&rng).unwrap();
        let part = RecoveryPart::read(file.path()).unwrap();
        let part = RecoveryPart::parse(part.as_bytes()).unwrap();
        assert_eq!((part.revision(), part.split()), (2, Split::DEFAULT));
        let new = directory.path().join("new.key");
        let made = RootFile::restore(&new, &part, &shares[1..4], "another passphrase", &rng).unwrap();
        assert!(made.keys().iter().eq(file.keys().iter()) && made.keys().iter().count() == 2);
        assert!(RootFile::unlock(&new, "correct horse battery").is_err());
        let opened = RootFile::unlock(&new, "another passphrase").unwrap();
        assert!(opened.keys().iter().eq(file.keys().iter()));
        // The shares stay valid for the new file, and no file is written over.
        assert!(RootFile::recover(&new, &shares[..3], "a third passphrase", &rng).is_ok());
        let again = RootFile::restore(&new, &part, &shares, "another passphrase", &rng);
        assert!(matches!(again, Err(RootError::Exists)));
    }

    #[test]
    fn too_few_shares_and_shares_of_another_set_or_file_make_none() {
        let (directory, mut file, shares) = made();
        let rng = SeededRng::new(6);
        let part = RecoveryPart::read(file.path()).unwrap();
        let new = directory.path().join("new.key");
        let restore = |part: &RecoveryPart, shares: &[RecoveryShare]| {
            RootFile::restore(&new, part, shares, "another passphrase", &rng).map(|_| ())
        };
        assert!(matches!(restore(&part, &shares[..2]), Err(RootError::TooFewShares { needed: 3, given: 2 })));
        let twice = [&shares[..2], &shares[..1]].concat();
        assert!(matches!(restore(&part, &twice), Err(RootError::TooFewShares { .. })));
        let newer = file.new_shares(Split::DEFAULT, &rng).unwrap();
        assert!(matches!(restore(&part, &newer), Err(RootError::ReplacedShare { .. })));
        let newer_part = RecoveryPart::read(file.path()).unwrap();
        assert!(matches!(restore(&newer_part, &shares), Err(RootError::ReplacedShare { .. })));
        let other = directory.path().join("other.key");
        let (_, foreign) = RootFile::create(&other, "correct horse battery", Split::DEFAULT, CHEAP, &rng).unwrap();
        assert!(matches!(restore(&part, &foreign), Err(RootError::ForeignShare { .. })));
        assert!(!new.exists());
    }

    #[test]
    fn no_passphrase_can_be_tried_on_it_and_no_flipped_or_cut_byte_passes() {
        let (_directory, file, _) = made();
        let whole = std::fs::read(file.path()).unwrap();
        let part = RecoveryPart::read(file.path()).unwrap();
        // Header, one slot, two checksums and magic more or less: the other slot's 98 bytes are not there.
        assert_eq!(part.as_bytes().len() + 98, whole.len() + 9);
        assert!(!part.as_bytes().windows(16).any(|bytes| bytes == &whole[61..77]));
        for at in 0..part.as_bytes().len() {
            let mut bytes = part.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(RecoveryPart::parse(&bytes).is_err(), "byte {at}");
            assert!(RecoveryPart::parse(&part.as_bytes()[..at]).is_err(), "cut at {at}");
        }
        assert!(RecoveryPart::parse(&whole).is_err());
    }
}
