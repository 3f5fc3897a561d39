//! Secrets: made of 32 random bytes, kept as hash only, compared without telling how far they agree.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt::Write;
use subtle::ConstantTimeEq;
use tacet_types::Rng;

/// Bytes of randomness in a secret.
const SECRET_BYTES: usize = 32;

/// What stands before an access token, so that one that leaked is recognised (by secret scanners too).
pub(crate) const ACCESS: &str = "tacet_at_";
/// What stands before a refresh token.
pub(crate) const REFRESH: &str = "tacet_rt_";
/// What stands before an authorization code.
pub(crate) const CODE: &str = "tacet_ac_";
/// What stands before a launch.
pub(crate) const LAUNCH: &str = "tacet_la_";
/// What stands before the ticket of a consent page.
pub(crate) const TICKET: &str = "tacet_ct_";

/// A new secret with `prefix`.
pub(crate) fn make(rng: &dyn Rng, prefix: &str) -> String {
    let mut bytes = [0; SECRET_BYTES];
    rng.fill(&mut bytes);
    format!("{prefix}{}", hex(&bytes))
}

/// A new id of 16 random bytes, 32 hexadecimal digits.
pub(crate) fn id(rng: &dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    hex(&bytes)
}

/// Lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// SHA-256, base64url without padding: as challenges, thumbprints and `ath` are written.
pub(crate) fn sha256_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(sha256(bytes))
}

/// Whether two texts are the same, in a time that depends on their lengths only.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// Whether this is the base64url form of a SHA-256 (43 characters).
pub(crate) fn is_sha256_url(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Whether this is `prefix` and 64 hexadecimal digits: what else is not looked up at all.
pub(crate) fn is_secret(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == 2 * SECRET_BYTES && rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::SeededRng;

    #[test]
    fn secrets_look_like_what_they_are() {
        let rng = SeededRng::new(1);
        let token = make(&rng, ACCESS);
        assert!(is_secret(&token, ACCESS) && !is_secret(&token, REFRESH) && !is_secret(&token[..70], ACCESS));
        assert_ne!(token, make(&rng, ACCESS));
        assert!(same("ab", "ab") && !same("ab", "ac") && !same("ab", "abc"));
        // RFC 7636, appendix B.
        assert_eq!(
            sha256_url(b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
        assert!(is_sha256_url("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM") && !is_sha256_url("short"));
    }
}
