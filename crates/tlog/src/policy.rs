//! How many witnesses must have cosigned, which, and how old that may be.

use crate::checkpoint::SignedCheckpoint;
use crate::cosignature::{Cosignature, cosignatures};
use crate::note::{NoteError, VerifierKey};

/// How far ahead of the clock here a cosignature's time may be, in seconds: clocks differ.
pub const AHEAD_S_MAX: u64 = 300;

/// Which cosignatures a checkpoint must have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WitnessPolicy {
    /// The witnesses that count.
    pub witnesses: Vec<VerifierKey>,
    /// How many of them must have cosigned. 0: none need to.
    pub quorum: usize,
    /// How old a cosignature may be, in seconds. None: as old as it is.
    pub age_s_max: Option<u64>,
}

/// What a checkpoint has of what a policy asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quorum {
    /// Cosignatures that count.
    pub counted: Vec<Cosignature>,
    /// Those that are too old, or from the future.
    pub untimely: Vec<Cosignature>,
    /// How many are asked.
    pub wanted: usize,
}

impl Quorum {
    /// Whether there are enough.
    pub fn is_met(&self) -> bool {
        self.counted.len() >= self.wanted
    }

    /// The moment up to which enough witnesses have seen the log, in seconds since 1970. `None` where there are not enough, or none is asked.
    pub fn witnessed_until_s(&self) -> Option<u64> {
        let mut times: Vec<u64> = self.counted.iter().map(|cosignature| cosignature.at_s).collect();
        times.sort_unstable_by(|one, other| other.cmp(one));
        times.get(self.wanted.checked_sub(1)?).copied()
    }
}

impl WitnessPolicy {
    /// Counts the cosignatures of a checkpoint at `now_s`, in seconds since 1970. The log's own signature is not looked at.
    ///
    /// # Errors
    /// A cosignature with a witness's name and id is forged.
    pub fn count(&self, signed: &SignedCheckpoint, now_s: u64) -> Result<Quorum, NoteError> {
        let all = cosignatures(signed, &self.witnesses)?;
        let oldest = self.age_s_max.map_or(0, |age| now_s.saturating_sub(age));
        let timely = |found: &Cosignature| (oldest..=now_s.saturating_add(AHEAD_S_MAX)).contains(&found.at_s);
        let (counted, untimely) = all.into_iter().partition(timely);
        Ok(Quorum { counted, untimely, wanted: self.quorum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::cosignature::cosign;
    use crate::merkle::leaf_hash;
    use crate::note::{SignatureType, SignerKey};
    use tacet_types::SeededRng;

    #[test]
    fn number_age_and_identity_of_witnesses_count() {
        let rng = SeededRng::new(4);
        let log = SignerKey::generate("log.example", SignatureType::Ed25519, &rng).unwrap();
        let keys: Vec<SignerKey> = (0..4)
            .map(|number| SignerKey::generate(&format!("w{number}"), SignatureType::CosignatureEd25519, &rng).unwrap())
            .collect();
        let checkpoint = Checkpoint::new("log.example", 5, leaf_hash(b"")).unwrap();
        let mut signed = SignedCheckpoint::sign(checkpoint, &log).unwrap();
        for (key, at_s) in keys.iter().zip([1000, 2000, 3000, 3000]) {
            assert!(signed.add(cosign(key, &signed, at_s).unwrap()));
        }
        let known = keys[..3].iter().map(SignerKey::verifier).collect::<Vec<_>>();
        let count = |quorum, age_s_max, now_s| {
            let policy = WitnessPolicy { witnesses: known.clone(), quorum, age_s_max };
            policy.count(&signed, now_s).unwrap()
        };
        assert!(count(3, None, 9000).is_met() && !count(4, None, 9000).is_met(), "the fourth is not known");
        assert_eq!(count(2, None, 9000).witnessed_until_s(), Some(2000));
        assert_eq!(count(0, None, 9000).witnessed_until_s(), None);
        assert!(count(2, Some(1000), 3000).is_met() && !count(2, Some(999), 3000).is_met());
        assert_eq!(count(2, Some(999), 3000).untimely.len(), 2);
        assert!(count(3, None, 3000 - AHEAD_S_MAX).is_met());
        assert!(!count(3, None, 3000 - AHEAD_S_MAX - 1).is_met(), "from the future");
        assert!(WitnessPolicy::default().count(&signed, 0).unwrap().is_met());
    }
}
