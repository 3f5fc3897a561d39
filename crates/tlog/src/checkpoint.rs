//! Checkpoints (<https://c2sp.org/tlog-checkpoint>): origin, size and root of a log, as a signed note.

use crate::merkle::{SIZE_MAX, TreeHash, empty_root};
use crate::note::{KeyError, Note, NoteError, Signature, SignerKey, VerifierKey};
use crate::text;

/// Longest origin, in bytes: that of a key's name, which is the same text.
pub const ORIGIN_BYTES_MAX: usize = crate::note::KEY_NAME_BYTES_MAX;

/// Most extension lines. The specification advises against any; ours have none.
const EXTENSION_LINES_MAX: usize = 16;

/// Why a text is not a checkpoint, or is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not a note, or not signed as it must be.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note's text is not a checkpoint's.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// It is of another log.
    #[error("the checkpoint is of the log {found} and not of {expected}")]
    Origin {
        /// The origin found.
        found: String,
        /// The one wanted.
        expected: String,
    },
    /// A key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What a log says of itself at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: TreeHash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extension lines.
    ///
    /// # Errors
    /// The origin cannot stand in a checkpoint, or the size is out of reach.
    pub fn new(origin: &str, size: u64, root: TreeHash) -> Result<Self, CheckpointError> {
        let checkpoint = Self { origin: origin.to_owned(), size, root, extensions: Vec::new() };
        Self::parse(&checkpoint.text())
    }

    /// Reads the text of a note.
    ///
    /// # Errors
    /// It has not the form of a checkpoint.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let wrong = CheckpointError::Malformed;
        let body = text.strip_suffix('\n').ok_or(wrong("it does not end with a line end"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().unwrap_or_default();
        let origin_fits = (1..=ORIGIN_BYTES_MAX).contains(&origin.len()) && !origin.chars().any(char::is_control);
        if !origin_fits {
            return Err(wrong("its first line is not an origin"));
        }
        let size = lines.next().and_then(text::decimal).filter(|size| *size <= SIZE_MAX);
        let size = size.ok_or(wrong("its second line is not a size"))?;
        let root = lines.next().and_then(text::hash).ok_or(wrong("its third line is not a hash"))?;
        if size == 0 && root != empty_root() {
            return Err(wrong("it has no entries and not the root of an empty tree"));
        }
        let extensions: Vec<String> = lines.take(EXTENSION_LINES_MAX + 1).map(str::to_owned).collect();
        if extensions.len() > EXTENSION_LINES_MAX || extensions.iter().any(String::is_empty) {
            return Err(wrong("it has an empty line, or too many further lines"));
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }

    /// The name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many entries the log has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree over them.
    pub fn root(&self) -> TreeHash {
        self.root
    }

    /// Further lines, which say nothing here.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The note's text.
    pub fn text(&self) -> String {
        let root = text::to_base64(&self.root.0);
        let mut out = format!("{}\n{}\n{root}\n", self.origin, self.size);
        for line in &self.extensions {
            out.push_str(line);
            out.push('\n');
        }
        out
    }
}

/// A checkpoint and the signatures under it. Being parsed, or held, it is not verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Signs a checkpoint with the log's key.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign(checkpoint: Checkpoint, key: &SignerKey) -> Result<Self, CheckpointError> {
        let mut note = Note::new(checkpoint.text())?;
        let signature = key.sign(note.text().as_bytes())?;
        if !note.add(signature) {
            return Err(NoteError::TooLong.into());
        }
        Ok(Self { checkpoint, note })
    }

    /// Reads a signed checkpoint. It is not verified by that.
    ///
    /// # Errors
    /// It has not the form of one.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// Reads a checkpoint and verifies that it is of the log of one of these keys. Their names are the origin.
    ///
    /// # Errors
    /// It is not one, is of another log, or is not signed by the log.
    pub fn verified(bytes: &[u8], log: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let signed = Self::parse(bytes)?;
        signed.verify(log)?;
        Ok(signed)
    }

    /// Verifies that it is of the log of one of these keys.
    ///
    /// # Errors
    /// It is of another log, or not signed by the log.
    pub fn verify(&self, log: &[VerifierKey]) -> Result<(), CheckpointError> {
        let found = self.checkpoint.origin();
        let keys: Vec<VerifierKey> = log.iter().filter(|key| key.name() == found).cloned().collect();
        if keys.is_empty() {
            let expected = log.first().map_or("none", VerifierKey::name).to_owned();
            return Err(CheckpointError::Origin { found: found.to_owned(), expected });
        }
        self.note.verify(&keys)?;
        Ok(())
    }

    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Adds a signature, verified or not. `false`, and nothing done, where there is no room.
    #[must_use]
    pub fn add(&mut self, signature: Signature) -> bool {
        self.note.add(signature)
    }

    /// Adds a signature in the place of those by the same key, verified or not. `false`, and nothing done, where there is no room.
    #[must_use]
    pub fn renew(&mut self, signature: Signature) -> bool {
        self.note.renew(signature)
    }

    /// As it is stored, served and sent.
    pub fn encode(&self) -> String {
        self.note.encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;
    use crate::note::SignatureType;
    use tacet_types::SeededRng;

    #[test]
    fn the_example_of_the_specification_is_read() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        let signed = SignedCheckpoint::parse(text.as_bytes()).unwrap();
        assert_eq!(signed.checkpoint().origin(), "example.com/behind-the-sofa");
        assert_eq!(signed.checkpoint().size(), 20_852_163);
        assert_eq!(signed.encode(), text);
        assert!(signed.checkpoint().extensions().is_empty());
    }

    #[test]
    fn a_signed_checkpoint_is_its_log_s_and_any_change_is_refused() {
        let rng = SeededRng::new(9);
        let key = SignerKey::generate("h.example/ledger", SignatureType::Ed25519, &rng).unwrap();
        let checkpoint = Checkpoint::new("h.example/ledger", 70_000, leaf_hash(b"x")).unwrap();
        let text = SignedCheckpoint::sign(checkpoint.clone(), &key).unwrap().encode();
        assert_eq!(SignedCheckpoint::verified(text.as_bytes(), &[key.verifier()]).unwrap().checkpoint(), &checkpoint);
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] ^= 1;
            assert!(SignedCheckpoint::verified(&changed, &[key.verifier()]).is_err(), "byte {place}");
        }
        let other = SignerKey::generate("o.example/ledger", SignatureType::Ed25519, &rng).unwrap();
        let refused = SignedCheckpoint::verified(text.as_bytes(), &[other.verifier()]);
        assert!(matches!(refused, Err(CheckpointError::Origin { .. })));
        // The other log signs a checkpoint with this one's origin: its key is not trusted for it.
        let stolen = SignedCheckpoint::sign(checkpoint, &other).unwrap().encode();
        assert!(SignedCheckpoint::verified(stolen.as_bytes(), &[other.verifier()]).is_err());
        assert!(SignedCheckpoint::verified(stolen.as_bytes(), &[key.verifier()]).is_err());
    }

    #[test]
    fn texts_that_are_no_checkpoint_are_refused() {
        let root = text::to_base64(&leaf_hash(b"").0);
        let empty = text::to_base64(&empty_root().0);
        for bad in [
            String::new(),
            "\n".to_owned(),
            format!("\n1\n{root}\n"),
            format!("o\n\n{root}\n"),
            format!("o\n01\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("o\n{}\n{root}\n", SIZE_MAX + 1),
            format!("o\n0\n{root}\n"),
            "o\n1\n".to_owned(),
            "o\n1\nAAAA\n".to_owned(),
            format!("o\n1\n{root}"),
            format!("o\n1\n{root}\n\n"),
            format!("o\n1\n{root} \n"),
            format!("o\n1\n{root}\n{}", "more\n".repeat(EXTENSION_LINES_MAX + 1)),
            format!("{}\n1\n{root}\n", "o".repeat(ORIGIN_BYTES_MAX + 1)),
        ] {
            assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
        }
        for good in [format!("o\n0\n{empty}\n"), format!("an origin\n1\n{root}\nmore\n")] {
            assert_eq!(Checkpoint::parse(&good).unwrap().text(), good);
        }
    }
}
