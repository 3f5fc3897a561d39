//! Secrets that are shown once and kept as a hash, and their comparison.

use aws_lc_rs::{constant_time, digest};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use tacet_types::{Redacted, Rng};

/// What a session's secret begins with.
pub const SESSION_PREFIX: &str = "tacet_se_";

/// What a device's secret begins with.
pub const DEVICE_PREFIX: &str = "tacet_de_";

/// What the first code of an invitation begins with.
pub const INVITATION_PREFIX: &str = "tacet_in_";

/// Random bytes in a secret.
const SECRET_BYTES: usize = 32;

/// Characters in the second code of an invitation: 60 bits, and an invitation bears 10 tries.
const SPOKEN_CHARACTERS: usize = 12;

/// Letters of a code that is told by mouth: none that is taken for another (Crockford's base 32).
const SPOKEN_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hashed(String);

impl Hashed {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(hex(digest::digest(&digest::SHA256, bytes).as_ref()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn name(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The first 16 digits: enough to tell sessions apart in a list or an entry.
    pub(crate) fn short(&self) -> &str {
        self.0.get(..16).unwrap_or_default()
    }

    /// Whether both are the same, in a time that does not tell where they differ.
    pub(crate) fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A new secret: the prefix and 32 random bytes in hexadecimal.
pub(crate) fn secret(rng: &dyn Rng, prefix: &str) -> Redacted<String> {
    let mut bytes = [0; SECRET_BYTES];
    rng.fill(&mut bytes);
    Redacted::new(format!("{prefix}{}", hex(&bytes)))
}

/// A new code that can be told by mouth: `4F7K-Q2ZD-M0XA`.
pub(crate) fn spoken(rng: &dyn Rng) -> Redacted<String> {
    let mut bytes = [0; SPOKEN_CHARACTERS];
    rng.fill(&mut bytes);
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            text.push('-');
        }
        let letter = SPOKEN_ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'0');
        text.push(char::from(letter));
    }
    Redacted::new(text)
}

/// The hash of a spoken code, whatever way it was typed: case, spaces and hyphens do not matter, nor O for 0 and I or L for 1.
pub(crate) fn spoken_hash(typed: &str) -> Hashed {
    let plain: String = typed
        .chars()
        .filter(|letter| !letter.is_whitespace() && *letter != '-')
        .take(2 * SPOKEN_CHARACTERS)
        .map(|letter| match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    Hashed::of(plain.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::SeededRng;

    #[test]
    fn codes_are_read_as_people_type_them() {
        let rng = SeededRng::new(1);
        let code = spoken(&rng).into_inner();
        assert_eq!(code.len(), 14);
        let typed = code.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert!(spoken_hash(&typed).is(&spoken_hash(&code)));
        assert!(!spoken_hash(&spoken(&rng).into_inner()).is(&spoken_hash(&code)));
        let first = secret(&rng, SESSION_PREFIX).into_inner();
        assert_eq!((first.len(), first.starts_with(SESSION_PREFIX)), (9 + 64, true));
        assert_ne!(first, secret(&rng, SESSION_PREFIX).into_inner());
    }
}
