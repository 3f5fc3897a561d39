//! Numbers and base64 as the formats write them: one spelling each.

use crate::merkle::{HASH_BYTES, TreeHash};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Decimal digits of the largest number of 64 bits.
const DECIMAL_BYTES_MAX: usize = 20;

/// A decimal number without leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= DECIMAL_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    (digits && shortest).then(|| text.parse().ok()).flatten()
}

/// Base64 (RFC 4648, section 4) with its padding and without stray bits.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// One hash in base64.
pub(crate) fn hash(text: &str) -> Option<TreeHash> {
    let bytes: [u8; HASH_BYTES] = base64(text)?.try_into().ok()?;
    Some(TreeHash(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("18446744073709551615"), Some(u64::MAX));
        for bad in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "18446744073709551616", "١"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(base64("AAE="), Some(vec![0, 1]));
        for bad in ["AAE", "AAF=", "AA E=", "AAE=\n", "AA-_", "A==="] {
            assert_eq!(base64(bad), None, "{bad:?}");
        }
        assert!(hash("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=").is_some());
        assert!(hash("AAE=").is_none());
    }
}
