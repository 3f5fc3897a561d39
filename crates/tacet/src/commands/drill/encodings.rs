//! The forms that a string takes on a disk when nobody meant to hide it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Shortest pattern that is looked for, in bytes: six turn up by chance once in 2^48 places.
pub(super) const PATTERN_BYTES_MIN: usize = 6;

/// How a string was found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Encoding {
    /// As it is.
    Plain,
    /// In another case.
    OtherCase,
    /// UTF-16, either order of bytes.
    Utf16,
    /// One byte a letter (ISO 8859-1).
    Latin1,
    /// Base64, at any of the three alignments, ordinary or for URLs.
    Base64,
    /// Hexadecimal digits.
    Hex,
    /// Backwards.
    Reversed,
    /// As in a URL.
    Percent,
    /// Letters escaped as JSON may have them.
    JsonEscape,
    /// A UUID as its 16 bytes.
    UuidBytes,
}

impl Encoding {
    pub(super) const ALL: [Self; 10] = [
        Self::Plain,
        Self::OtherCase,
        Self::Utf16,
        Self::Latin1,
        Self::Base64,
        Self::Hex,
        Self::Reversed,
        Self::Percent,
        Self::JsonEscape,
        Self::UuidBytes,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "in clear",
            Self::OtherCase => "in another case",
            Self::Utf16 => "UTF-16",
            Self::Latin1 => "ISO 8859-1",
            Self::Base64 => "base64",
            Self::Hex => "hexadecimal",
            Self::Reversed => "backwards",
            Self::Percent => "percent-encoded",
            Self::JsonEscape => "JSON escapes",
            Self::UuidBytes => "UUID in bytes",
        }
    }
}

/// In how many forms a string is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Depth {
    /// In all: what names a person, opens a door, or is used everywhere.
    Every,
    /// In the two that many thousand record ids and times would be stored in.
    Common,
}

/// The patterns to look for, each once. None where the text is too short to be told from chance.
pub(super) fn patterns(text: &str, depth: Depth) -> Vec<(Encoding, Vec<u8>)> {
    let mut out: Vec<(Encoding, Vec<u8>)> = vec![(Encoding::Plain, text.as_bytes().to_vec())];
    if let Some(bytes) = uuid_bytes(text) {
        out.push((Encoding::UuidBytes, bytes));
    }
    if depth == Depth::Every {
        out.push((Encoding::OtherCase, text.to_lowercase().into_bytes()));
        out.push((Encoding::OtherCase, text.to_uppercase().into_bytes()));
        out.push((Encoding::Utf16, text.encode_utf16().flat_map(u16::to_le_bytes).collect()));
        out.push((Encoding::Utf16, text.encode_utf16().flat_map(u16::to_be_bytes).collect()));
        out.extend(latin1(text).map(|bytes| (Encoding::Latin1, bytes)));
        for before in 0..3 {
            out.push((Encoding::Base64, base64_core(text.as_bytes(), before, &STANDARD)));
            out.push((Encoding::Base64, base64_core(text.as_bytes(), before, &URL_SAFE)));
        }
        out.push((Encoding::Hex, hex(text.as_bytes(), b"0123456789abcdef")));
        out.push((Encoding::Hex, hex(text.as_bytes(), b"0123456789ABCDEF")));
        out.push((Encoding::Reversed, text.chars().rev().collect::<String>().into_bytes()));
        out.push((Encoding::Percent, percent(text, "%20").into_bytes()));
        out.push((Encoding::Percent, percent(text, "+").into_bytes()));
        out.push((Encoding::JsonEscape, json_escaped(text).into_bytes()));
    }
    let mut seen = std::collections::HashSet::new();
    out.retain(|(_, pattern)| pattern.len() >= PATTERN_BYTES_MIN && seen.insert(pattern.clone()));
    out
}

fn uuid_bytes(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    if text.len() != 36 || digits.len() != 32 {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok().map(|value| value.to_be_bytes().to_vec())
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}

/// The characters of the base64 text that are the same whatever stands before and behind, when `before` bytes of a group
/// of three come first.
fn base64_core(text: &[u8], before: usize, engine: &impl Engine) -> Vec<u8> {
    let padded = [vec![0; before].as_slice(), text].concat();
    let mut encoded = engine.encode(&padded).into_bytes();
    // A character holds 6 bits: those with a bit of what stands behind, or of the filling, go.
    encoded.truncate(padded.len() * 8 / 6);
    encoded.split_off((before * 8).div_ceil(6).min(encoded.len()))
}

fn hex(text: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    text.iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|nibble| digits.get(usize::from(nibble)))
        .copied()
        .collect()
}

fn percent(text: &str, space: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push_str(space),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// One form for a URL's path: everything but unreserved characters escaped (RFC 3986).
pub(super) fn for_url(text: &str) -> String {
    percent(text, "%20")
}

fn json_escaped(text: &str) -> String {
    let mut out = String::new();
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_at_every_alignment() {
        let name = "Quatresous";
        for before in 0..9 {
            for behind in 0..5 {
                let text = ["x".repeat(before), name.to_owned(), "y".repeat(behind)].concat();
                let encoded = STANDARD.encode(text);
                let found = patterns(name, Depth::Every).iter().any(|(encoding, pattern)| {
                    *encoding == Encoding::Base64 && encoded.contains(std::str::from_utf8(pattern).unwrap())
                });
                assert!(found, "{before} before, {behind} behind: {encoded}");
            }
        }
    }

    #[test]
    fn forms_are_what_programs_write() {
        let forms = patterns("Léa Noël", Depth::Every);
        let has = |encoding, bytes: &[u8]| forms.contains(&(encoding, bytes.to_vec()));
        assert!(has(Encoding::OtherCase, "LÉA NOËL".as_bytes()) && has(Encoding::OtherCase, "léa noël".as_bytes()));
        assert!(has(Encoding::Latin1, b"L\xe9a No\xebl"));
        assert!(has(Encoding::Percent, b"L%C3%A9a%20No%C3%ABl") && has(Encoding::Percent, b"L%C3%A9a+No%C3%ABl"));
        assert!(has(Encoding::JsonEscape, b"L\\u00e9a No\\u00ebl"));
        assert!(has(Encoding::Hex, b"4cc3a961204e6fc3ab6c") && has(Encoding::Hex, b"4CC3A961204E6FC3AB6C"));
        assert!(has(Encoding::Reversed, "lëoN aéL".as_bytes()));
        assert!(has(Encoding::Utf16, b"L\0\xe9\0a\0 \0N\0o\0\xeb\0l\0"));
        let uuid = patterns("00112233-4455-4677-8899-aabbccddeeff", Depth::Common);
        assert_eq!(uuid.len(), 2);
        assert!(uuid.contains(&(
            Encoding::UuidBytes,
            b"\0\x11\x22\x33\x44\x55\x46\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff".to_vec()
        )));
    }

    #[test]
    fn what_is_short_is_not_looked_for() {
        assert!(patterns("Li", Depth::Every).iter().all(|(_, pattern)| pattern.len() >= PATTERN_BYTES_MIN));
        assert!(patterns("Li", Depth::Common).is_empty());
    }
}
