//! Proofs to carry away (<https://c2sp.org/tlog-proof>): that an entry is in a log, verified without asking anybody.

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::merkle::TreeHash;
use crate::merkle::proof::{PROOF_HASHES_MAX, verify_inclusion};
use crate::note::{NOTE_BYTES_MAX, NoteError, VerifierKey};
use crate::policy::{Quorum, WitnessPolicy};
use crate::text;
use std::fmt::Write as _;

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Longest extra data, in bytes: an entry, and what opens it.
pub const EXTRA_BYTES_MAX: usize = 256 << 10;

/// Longest receipt, in bytes.
pub const RECEIPT_BYTES_MAX: usize = NOTE_BYTES_MAX + EXTRA_BYTES_MAX / 3 * 4 + 8192;

/// Why a text is not a receipt, or proves nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Longer than allowed.
    #[error("the receipt has more than {RECEIPT_BYTES_MAX} bytes")]
    TooLong,
    /// Not shaped as the specification says.
    #[error("not a receipt: {0}")]
    Malformed(&'static str),
    /// Its checkpoint is not one, or not of the log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The entry is not in the tree of the checkpoint, at least not at that place.
    #[error("the receipt does not prove that this entry is in the log")]
    NotIncluded,
    /// Fewer witnesses cosigned than are asked.
    #[error("{found} of the witnesses that count cosigned the receipt's checkpoint, and {wanted} are asked")]
    Witnesses {
        /// How many did.
        found: usize,
        /// How many are asked.
        wanted: usize,
    },
}

impl From<NoteError> for ReceiptError {
    fn from(error: NoteError) -> Self {
        Self::Checkpoint(error.into())
    }
}

/// Where an entry is in a log, and the proof of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Data for the application. Not covered by the proof.
    pub extra: Option<Vec<u8>>,
    /// The entry's number.
    pub index: u64,
    /// Siblings on the way from the leaf to the root, lowest first.
    pub proof: Vec<TreeHash>,
    /// The checkpoint that the proof leads to.
    pub checkpoint: SignedCheckpoint,
}

impl Receipt {
    /// The receipt as text.
    pub fn encode(&self) -> String {
        let mut out = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            let _ = writeln!(out, "extra {}", text::to_base64(extra));
        }
        let _ = writeln!(out, "index {}", self.index);
        for hash in &self.proof {
            let _ = writeln!(out, "{}", text::to_base64(&hash.0));
        }
        out.push('\n');
        out.push_str(&self.checkpoint.encode());
        out
    }

    /// Reads a receipt. It proves nothing before [`Receipt::verify`].
    ///
    /// # Errors
    /// It has not the form of one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let wrong = ReceiptError::Malformed;
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(ReceiptError::TooLong);
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
        let (head, checkpoint) = whole.split_once("\n\n").ok_or(wrong("no empty line before its checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(wrong("its first line is another"));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            Some(encoded) => {
                lines.next();
                let extra = text::base64(encoded).filter(|extra| extra.len() <= EXTRA_BYTES_MAX);
                Some(extra.ok_or(wrong("its extra data cannot be read"))?)
            }
            None => None,
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(text::decimal);
        let index = index.ok_or(wrong("it has no index"))?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == PROOF_HASHES_MAX {
                return Err(wrong("its proof is too long"));
            }
            proof.push(text::hash(line).ok_or(wrong("a line of its proof is not a hash"))?);
        }
        Ok(Self { extra, index, proof, checkpoint: SignedCheckpoint::parse(checkpoint.as_bytes())? })
    }

    /// Verifies that the entry with this leaf hash is in the log of these keys, and that the witnesses asked have cosigned. `now_s` is in
    /// seconds since 1970.
    ///
    /// # Errors
    /// It is not proved.
    pub fn verify(
        &self,
        leaf: &TreeHash,
        log: &[VerifierKey],
        policy: &WitnessPolicy,
        now_s: u64,
    ) -> Result<Quorum, ReceiptError> {
        self.checkpoint.verify(log)?;
        let quorum = policy.count(&self.checkpoint, now_s)?;
        let checkpoint = self.checkpoint.checkpoint();
        if !verify_inclusion(leaf, self.index, checkpoint.size(), &self.proof, &checkpoint.root()) {
            return Err(ReceiptError::NotIncluded);
        }
        if !quorum.is_met() {
            return Err(ReceiptError::Witnesses { found: quorum.counted.len(), wanted: quorum.wanted });
        }
        Ok(quorum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::cosignature::cosign;
    use crate::merkle::proof::{LeafHashes, inclusion};
    use crate::merkle::root_of;
    use crate::merkle::tests::numbered_leaves;
    use crate::note::{SignatureType, SignerKey};
    use tacet_types::SeededRng;

    #[test]
    fn receipts_prove_one_entry_at_one_place_and_any_change_shows() {
        let rng = SeededRng::new(6);
        let log = SignerKey::generate("log.example", SignatureType::Ed25519, &rng).unwrap();
        let witness = SignerKey::generate("w.example", SignatureType::CosignatureEd25519, &rng).unwrap();
        let leaves = numbered_leaves(77);
        let checkpoint = Checkpoint::new("log.example", 77, root_of(&leaves)).unwrap();
        let mut signed = SignedCheckpoint::sign(checkpoint, &log).unwrap();
        assert!(signed.add(cosign(&witness, &signed, 1000).unwrap()));
        let keys = [log.verifier()];
        let policy = WitnessPolicy { witnesses: vec![witness.verifier()], quorum: 1, age_s_max: None };
        for (index, leaf) in leaves.iter().enumerate() {
            let proof = inclusion(&LeafHashes(&leaves), index as u64, 77).unwrap();
            let extra = (index % 2 == 0).then(|| vec![index as u8; index]);
            let receipt = Receipt { extra, index: index as u64, proof, checkpoint: signed.clone() };
            let text = receipt.encode();
            let read = Receipt::parse(text.as_bytes()).unwrap();
            assert_eq!(read, receipt);
            read.verify(leaf, &keys, &policy, 2000).unwrap();
            let other = &leaves[(index + 1) % leaves.len()];
            assert_eq!(read.verify(other, &keys, &policy, 2000), Err(ReceiptError::NotIncluded));
            let strict = WitnessPolicy { quorum: 2, ..policy.clone() };
            assert!(matches!(read.verify(leaf, &keys, &strict, 2000), Err(ReceiptError::Witnesses { .. })));
            assert!(read.verify(leaf, &[witness.verifier()], &policy, 2000).is_err());
            if index % 19 == 0 {
                let covered = text.find("\nindex").unwrap() + 1;
                for place in covered..text.len() {
                    let mut changed = text.clone().into_bytes();
                    changed[place] ^= 1;
                    let taken =
                        Receipt::parse(&changed).is_ok_and(|read| read.verify(leaf, &keys, &policy, 2000).is_ok());
                    assert!(!taken, "byte {place} of the receipt of {index}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_receipt_is_refused() {
        let rng = SeededRng::new(6);
        let log = SignerKey::generate("log.example", SignatureType::Ed25519, &rng).unwrap();
        let checkpoint = Checkpoint::new("log.example", 1, numbered_leaves(1)[0]).unwrap();
        let note = SignedCheckpoint::sign(checkpoint, &log).unwrap().encode();
        let hash = text::to_base64(&[7; 32]);
        assert!(Receipt::parse(format!("{HEADER}\nindex 0\n\n{note}").as_bytes()).is_ok());
        for bad in [
            String::new(),
            HEADER.to_owned(),
            format!("{HEADER}\n\n{note}"),
            format!("{HEADER}\nindex 00\n\n{note}"),
            format!("{HEADER}\nindex 0\nextra AA==\n\n{note}"),
            format!("{HEADER}\nextra\nindex 0\n\n{note}"),
            format!("{HEADER}\nextra A\nindex 0\n\n{note}"),
            format!("{HEADER}\nindex 0\nAA==\n\n{note}"),
            format!("{HEADER}\nindex 0\n{note}"),
            format!("{HEADER}\nindex 0\n{}\n{note}", format!("{hash}\n").repeat(PROOF_HASHES_MAX + 1)),
            format!("c2sp.org/tlog-proof@v2\nindex 0\n\n{note}"),
            format!("{HEADER}\nindex 0\n\n{note}more"),
        ] {
            assert!(Receipt::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(Receipt::parse(&vec![b'x'; RECEIPT_BYTES_MAX + 1]), Err(ReceiptError::TooLong));
    }
}
