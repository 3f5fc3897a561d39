//! Cosignatures of witnesses (<https://c2sp.org/tlog-cosignature>), version 1: Ed25519 over a checkpoint and a time.
//!
//! One says that, as of that time, the checkpoint is the largest consistent one that the witness has seen of the log.

use crate::checkpoint::SignedCheckpoint;
use crate::note::{KeyError, NoteError, Signature, SignatureType, SignerKey, VerifierKey};

/// Bytes of the time before the signature.
const TIME_BYTES: usize = 8;

/// A cosignature that was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cosignature {
    /// Name of the witness's key.
    pub witness: String,
    /// When the witness signed, in seconds since 1970.
    pub at_s: u64,
}

fn message(text: &[u8], at_s: u64) -> Vec<u8> {
    [format!("cosignature/v1\ntime {at_s}\n").as_bytes(), text].concat()
}

/// Cosigns a checkpoint as of `at_s`, in seconds since 1970. The witness has decided that it is right ([`crate::witness`]).
///
/// # Errors
/// The key is not a witness's, or the time is out of reach.
pub fn cosign(key: &SignerKey, signed: &SignedCheckpoint, at_s: u64) -> Result<Signature, KeyError> {
    let kind = key.verifier().kind();
    if kind != SignatureType::CosignatureEd25519 || i64::try_from(at_s).is_err() {
        return Err(KeyError::CannotSign(kind.byte()));
    }
    let made = key.sign_plain(&message(signed.note().text().as_bytes(), at_s))?;
    key.signature([at_s.to_be_bytes().as_slice(), &made].concat())
}

/// The time at which `key` signed this text, in seconds since 1970; `None` where it did not.
pub(crate) fn verify(key: &VerifierKey, text: &[u8], bytes: &[u8]) -> Option<u64> {
    let (time, signature) = bytes.split_first_chunk::<TIME_BYTES>()?;
    let at_s = u64::from_be_bytes(*time);
    let fits = key.kind() == SignatureType::CosignatureEd25519 && i64::try_from(at_s).is_ok();
    (fits && key.verify_plain(&message(text, at_s), signature)).then_some(at_s)
}

/// The cosignatures by these witnesses on a checkpoint: of each the latest.
///
/// # Errors
/// A signature with a witness's name and id is not by its key.
pub fn cosignatures(signed: &SignedCheckpoint, witnesses: &[VerifierKey]) -> Result<Vec<Cosignature>, NoteError> {
    let mut found = Vec::new();
    let text = signed.note().text().as_bytes();
    for key in witnesses.iter().filter(|key| key.kind() == SignatureType::CosignatureEd25519) {
        let mut latest = None;
        for signature in signed.note().signatures().iter().filter(|signature| key.made(signature)) {
            let at_s = verify(key, text, signature.bytes())
                .ok_or_else(|| NoteError::BadSignature { name: signature.name().to_owned() })?;
            latest = latest.max(Some(at_s));
        }
        let known = found.iter().any(|other: &Cosignature| other.witness == key.name());
        if let Some(at_s) = latest.filter(|_| !known) {
            found.push(Cosignature { witness: key.name().to_owned(), at_s });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::merkle::leaf_hash;
    use tacet_types::SeededRng;

    #[test]
    fn a_cosignature_says_who_and_when_and_nothing_else_fits() {
        let rng = SeededRng::new(4);
        let log = SignerKey::generate("log.example", SignatureType::Ed25519, &rng).unwrap();
        let [one, two] = ["w1.example", "w2.example"]
            .map(|name| SignerKey::generate(name, SignatureType::CosignatureEd25519, &rng).unwrap());
        let keys = [one.verifier(), two.verifier()];
        let sign = |size| {
            SignedCheckpoint::sign(Checkpoint::new("log.example", size, leaf_hash(b"r")).unwrap(), &log).unwrap()
        };
        let mut signed = sign(7);
        assert_eq!(cosignatures(&signed, &keys), Ok(Vec::new()));
        assert!(signed.add(cosign(&one, &signed, 1_700_000_000).unwrap()));
        assert!(signed.add(cosign(&one, &signed, 1_700_000_009).unwrap()));
        let mine = vec![Cosignature { witness: "w1.example".to_owned(), at_s: 1_700_000_009 }];
        assert_eq!(cosignatures(&signed, &keys), Ok(mine.clone()));
        assert_eq!(cosignatures(&signed, &[one.verifier(), one.verifier()]), Ok(mine), "one witness counts once");
        assert_eq!(signed.note().verify(&keys), Ok(vec![0]));
        signed.verify(&[log.verifier()]).unwrap();
        // Renewed as often as it may be, it stands there once; signatures by others stay.
        let mut renewed = signed.clone();
        for at_s in 0..200 {
            assert!(renewed.renew(cosign(&one, &signed, 1_700_000_010 + at_s).unwrap()));
        }
        assert_eq!(renewed.note().signatures().len(), 2);
        assert_eq!(cosignatures(&renewed, &keys).unwrap()[0].at_s, 1_700_000_209);
        renewed.verify(&[log.verifier()]).unwrap();
        // The cosignature of another checkpoint, and one with another time.
        let mut other = sign(8);
        assert!(other.add(cosign(&two, &signed, 5).unwrap()));
        assert!(matches!(cosignatures(&other, &keys), Err(NoteError::BadSignature { .. })));
        let made = cosign(&two, &signed, 5).unwrap();
        for place in 0..made.bytes().len() {
            let mut bytes = made.bytes().to_vec();
            bytes[place] ^= 1;
            let mut changed = signed.clone();
            assert!(changed.add(Signature::new(two.name(), two.verifier().id(), bytes).unwrap()));
            assert!(cosignatures(&changed, &keys).is_err(), "byte {place}");
        }
        assert!(cosign(&log, &signed, 5).is_err(), "a log's key is not a witness's");
        assert!(cosign(&one, &signed, 1 << 63).is_err());
        assert!(one.sign(b"text\n").is_err());
    }

    /// RFC 8032, section 7.1, test 1: the key's seed and public half, so that the key of the vkey is known to be Ed25519's.
    #[test]
    fn the_public_key_is_that_of_rfc_8032() {
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
            0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let key = SignerKey::from_seed("w", SignatureType::CosignatureEd25519, seed.into()).unwrap();
        assert_eq!(
            key.verifier().to_string(),
            format!("w+{}+BNdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea", key.verifier().id())
        );
    }
}
