//! Requests to a witness (<https://c2sp.org/tlog-witness>), and what a witness decides about them.
//!
//! ```text
//! old <size>             what the asker believes the witness has cosigned last
//! <hash>                 consistency proof from there to the checkpoint, at most 63 lines
//!
//! <signed checkpoint>
//! ```
//!
//! Deciding is pure. Whoever runs a witness keeps one [`Seen`] for each log, decides and stores under one lock, and makes the new state durable
//! before it signs: else two requests could roll the log back between them.

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::merkle::TreeHash;
use crate::merkle::proof::verify_consistency;
use crate::note::{NOTE_BYTES_MAX, NoteError, VerifierKey};
use crate::text;
use std::fmt::Write as _;

/// Most hashes of a proof in a request.
pub const PROOF_LINES_MAX: usize = 63;

/// Longest request, in bytes.
pub const REQUEST_BYTES_MAX: usize = NOTE_BYTES_MAX + 4096;

/// What the body of a 409 is said to be.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// The latest checkpoint that a witness cosigned of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its entries.
    pub size: u64,
    /// Its root.
    pub root: TreeHash,
}

/// A request to cosign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddCheckpoint {
    /// The size that the witness is believed to have cosigned last; 0 for none.
    pub old: u64,
    /// From there to the checkpoint.
    pub proof: Vec<TreeHash>,
    /// What shall be cosigned.
    pub checkpoint: SignedCheckpoint,
}

/// Why a witness does not cosign.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// 400: not a request, or its old size is above its new one.
    #[error("not a request that a witness answers: {0}")]
    BadRequest(&'static str),
    /// 404: no key is known for that origin.
    #[error("this witness does not know the log")]
    UnknownLog,
    /// 403: not signed by the log.
    #[error("the checkpoint is not signed by a key that is known for its log")]
    NotSigned,
    /// 409: the witness has cosigned another size last, or another root at that size.
    #[error(
        "the witness has cosigned a checkpoint of {size} entries last, and it is not the one that this request goes on from"
    )]
    Conflict {
        /// The size that it has cosigned last.
        size: u64,
    },
    /// 422: the proof shows nothing.
    #[error("the proof does not show that the log only grew")]
    NotConsistent,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::UnknownLog => 404,
            Self::NotSigned => 403,
            Self::Conflict { .. } => 409,
            Self::NotConsistent => 422,
        }
    }

    /// The body: of a conflict the size, else words.
    pub fn body(&self) -> String {
        match self {
            Self::Conflict { size } => format!("{size}\n"),
            other => format!("{other}\n"),
        }
    }
}

/// The size in the body of a 409.
pub fn parse_size(body: &[u8]) -> Option<u64> {
    text::decimal(std::str::from_utf8(body).ok()?.strip_suffix('\n')?)
}

impl AddCheckpoint {
    /// The request's body.
    pub fn encode(&self) -> String {
        let mut out = format!("old {}\n", self.old);
        for hash in &self.proof {
            let _ = writeln!(out, "{}", text::to_base64(&hash.0));
        }
        out.push('\n');
        out.push_str(&self.checkpoint.encode());
        out
    }

    /// Reads a request's body.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let bad = Refusal::BadRequest;
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| bad("it is not UTF-8"))?;
        let (head, checkpoint) = whole.split_once("\n\n").ok_or(bad("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(text::decimal);
        let old = old.ok_or(bad("its first line is not the old size"))?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == PROOF_LINES_MAX {
                return Err(bad("its proof is too long"));
            }
            proof.push(text::hash(line).ok_or(bad("a line of its proof is not a hash"))?);
        }
        let checkpoint = SignedCheckpoint::parse(checkpoint.as_bytes());
        let checkpoint = checkpoint.map_err(|_| bad("its checkpoint cannot be read"))?;
        if old > checkpoint.checkpoint().size() {
            return Err(bad("its old size is above that of its checkpoint"));
        }
        Ok(Self { old, proof, checkpoint })
    }

    /// What the witness shall remember before it cosigns. `logs` are the keys of all logs that it knows, by their names, which are the origins;
    /// `seen` is what it remembers of this log.
    ///
    /// # Errors
    /// Why it must not cosign.
    pub fn decide(&self, logs: &[VerifierKey], seen: Option<&Seen>) -> Result<Seen, Refusal> {
        match self.checkpoint.verify(logs) {
            Ok(()) => {}
            Err(CheckpointError::Origin { .. }) => return Err(Refusal::UnknownLog),
            Err(CheckpointError::Note(NoteError::BadSignature { .. } | NoteError::NotSigned)) => {
                return Err(Refusal::NotSigned);
            }
            Err(_) => return Err(Refusal::BadRequest("its checkpoint cannot be read")),
        }
        let checkpoint = self.checkpoint.checkpoint();
        let (size, root) = (checkpoint.size(), checkpoint.root());
        if self.old > size {
            return Err(Refusal::BadRequest("its old size is above that of its checkpoint"));
        }
        let had = seen.map_or(0, |seen| seen.size);
        if self.old != had {
            return Err(Refusal::Conflict { size: had });
        }
        let old_root = seen.map_or_else(crate::merkle::empty_root, |seen| seen.root);
        if self.old == size && old_root != root {
            return Err(Refusal::Conflict { size: had });
        }
        if !verify_consistency(self.old, &old_root, size, &root, &self.proof) {
            return Err(Refusal::NotConsistent);
        }
        Ok(Seen { size, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::merkle::proof::{LeafHashes, consistency};
    use crate::merkle::root_of;
    use crate::merkle::tests::numbered_leaves;
    use crate::note::{SignatureType, SignerKey};
    use tacet_types::SeededRng;

    fn ask(key: &SignerKey, leaves: &[TreeHash], old: usize, size: usize) -> AddCheckpoint {
        let checkpoint = Checkpoint::new(key.name(), size as u64, root_of(&leaves[..size])).unwrap();
        let proof = consistency(&LeafHashes(leaves), old as u64, size as u64).unwrap();
        AddCheckpoint { old: old as u64, proof, checkpoint: SignedCheckpoint::sign(checkpoint, key).unwrap() }
    }

    #[test]
    fn a_log_that_only_grows_is_cosigned_at_every_size() {
        let key = SignerKey::generate("log.example", SignatureType::Ed25519, &SeededRng::new(2)).unwrap();
        let leaves = numbered_leaves(40);
        for old in 0..leaves.len() {
            for size in old..=leaves.len() {
                let seen = (old > 0).then(|| Seen { size: old as u64, root: root_of(&leaves[..old]) });
                let request = ask(&key, &leaves, old, size);
                let read = AddCheckpoint::parse(request.encode().as_bytes()).unwrap();
                assert_eq!(read, request);
                let expected = Seen { size: size as u64, root: root_of(&leaves[..size]) };
                assert_eq!(read.decide(&[key.verifier()], seen.as_ref()), Ok(expected));
            }
        }
    }

    #[test]
    fn each_refusal_has_the_status_of_the_specification() {
        let rng = SeededRng::new(2);
        let [key, other] = ["log.example", "other.example"]
            .map(|name| SignerKey::generate(name, SignatureType::Ed25519, &rng).unwrap());
        let impostor = SignerKey::generate("log.example", SignatureType::Ed25519, &rng).unwrap();
        let leaves = numbered_leaves(40);
        let mut forked = leaves.clone();
        forked[3].0[0] ^= 1;
        let known = [key.verifier()];
        let seen = Seen { size: 20, root: root_of(&leaves[..20]) };
        let status = |request: &AddCheckpoint, seen: Option<&Seen>| request.decide(&known, seen).unwrap_err().status();
        assert_eq!(status(&ask(&other, &leaves, 20, 30), Some(&seen)), 404);
        assert_eq!(status(&ask(&impostor, &leaves, 20, 30), Some(&seen)), 403);
        assert_eq!(status(&ask(&key, &leaves, 19, 30), Some(&seen)), 409);
        assert_eq!(status(&ask(&key, &leaves, 0, 30), Some(&seen)), 409);
        assert_eq!(status(&ask(&key, &leaves, 20, 30), None), 409);
        assert_eq!(
            ask(&key, &leaves, 0, 10).decide(&known, Some(&seen)),
            Err(Refusal::Conflict { size: 20 }),
            "set back"
        );
        assert_eq!(status(&ask(&key, &forked, 20, 20), Some(&seen)), 409, "the same size and another root");
        assert_eq!(status(&ask(&key, &forked, 20, 30), Some(&seen)), 422, "another history");
        let mut short = ask(&key, &leaves, 20, 30);
        short.proof.pop();
        assert_eq!(status(&short, Some(&seen)), 422);
        let mut first = ask(&key, &leaves, 0, 30);
        first.proof.push(leaves[0]);
        assert_eq!(status(&first, None), 422, "the proof from nothing is empty");
        let mut above = ask(&key, &leaves, 20, 30);
        above.old = 31;
        assert_eq!(status(&above, Some(&seen)), 400);
        assert_eq!(AddCheckpoint::parse(above.encode().as_bytes()).unwrap_err().status(), 400);
        assert_eq!(Refusal::Conflict { size: 20 }.body(), "20\n");
        assert_eq!(parse_size(b"20\n"), Some(20));
        assert_eq!(parse_size(b"20"), None);
        let good = ask(&key, &leaves, 20, 30).encode();
        for bad in [
            String::new(),
            good.replacen("old 20", "old 020", 1),
            good.replacen("old 20\n", "", 1),
            good.replacen("old 20\n", "old 20\nAAAA\n", 1),
            good.replacen("old 20\n", &format!("old 20\n{}", format!("{}\n", text::to_base64(&[1; 32])).repeat(64)), 1),
            good.replacen("\n\n", "\n", 1),
            "x".repeat(REQUEST_BYTES_MAX + 1),
        ] {
            assert_eq!(AddCheckpoint::parse(bad.as_bytes()).unwrap_err().status(), 400, "{bad:.60}");
        }
    }
}
