//! Decoys: files that nobody needs, under names that somebody who encrypts for money takes first and last.
//!
//! A decoy proves itself: behind the first bytes of its kind stands a random seed, and the rest follows from it. So whether it was changed is
//! seen without keeping anything, also at a start. It holds nothing of anybody.

use aws_lc_rs::digest;

/// Names in the data directory: such as come first and last in any order, with endings that are on every list of what to encrypt.
pub const NAMES: [&str; 4] =
    ["!0-patients-export.xlsx", "000-accounts.docx", "archive/0-database.sql", "~zz-hospital-backup.zip"];

/// Length of a decoy, in bytes: enough to be worth something, little enough to be read again and again.
pub const DECOY_BYTES: usize = 96 * 1024;

/// Length of the seed, in bytes.
pub const SEED_BYTES: usize = 32;

/// How files of an ending begin.
fn head(name: &str) -> &'static [u8] {
    match name.rsplit('.').next() {
        Some("xlsx" | "docx" | "zip") => b"PK\x03\x04\x14\0\x06\0",
        Some("pdf") => b"%PDF-1.7\n",
        _ => b"-- dump\n",
    }
}

/// A decoy of this name.
pub fn make(name: &str, seed: &[u8; SEED_BYTES]) -> Vec<u8> {
    let mut bytes = [head(name), seed].concat();
    let mut block = digest::digest(&digest::SHA256, seed);
    while bytes.len() < DECOY_BYTES {
        bytes.extend_from_slice(block.as_ref());
        block = digest::digest(&digest::SHA256, block.as_ref());
    }
    bytes.truncate(DECOY_BYTES);
    bytes
}

/// Whether these bytes are a decoy of this name, as it was made.
pub fn holds(name: &str, bytes: &[u8]) -> bool {
    let rest = bytes.strip_prefix(head(name)).and_then(|rest| rest.first_chunk::<SEED_BYTES>());
    rest.is_some_and(|seed| make(name, seed) == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoy_proves_itself() {
        for name in NAMES {
            let decoy = make(name, &[7; SEED_BYTES]);
            assert_eq!(decoy.len(), DECOY_BYTES);
            assert!(holds(name, &decoy));
            for place in [0, 9, 45, 50_000, DECOY_BYTES - 1] {
                let mut changed = decoy.clone();
                changed[place] ^= 1;
                assert!(!holds(name, &changed), "{name} {place}");
            }
            assert!(!holds(name, &decoy[..DECOY_BYTES - 1]) && !holds(name, &[]));
            assert!(!holds(name, &[decoy, vec![0]].concat()));
        }
    }
}
