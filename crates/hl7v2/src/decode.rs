//! From bytes to text, by the character set that the message names.

use std::borrow::Cow;

/// Why bytes are no text.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not UTF-8, though nothing else is named.
    #[error("the message is not UTF-8: name its character set in MSH-18, or send UTF-8")]
    NotUtf8,
    /// A character set that is not read.
    #[error("the character set in MSH-18 is not read: send UNICODE UTF-8, 8859/1 or 8859/15")]
    CharacterSet,
}

/// Bytes of the first segment in which MSH-18 is looked for.
const HEADER_BYTES_MAX: usize = 4096;

/// The text of bytes: UTF-8 with or without a byte-order mark, or what MSH-18 of the first message names (table 0211). The framing bytes of MLLP are
/// taken off.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    let bytes = bytes.strip_prefix(&[0x0b]).unwrap_or(bytes);
    let bytes = bytes.strip_suffix(&[0x1c, 0x0d]).or_else(|| bytes.strip_suffix(&[0x1c])).unwrap_or(bytes);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match character_set(bytes).to_ascii_uppercase().as_str() {
        "" | "ASCII" | "UNICODE" | "UNICODE UTF-8" | "UTF-8" | "UTF8" => {
            std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| DecodeError::NotUtf8)
        }
        "8859/1" | "ISO-8859-1" => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        "8859/15" | "ISO-8859-15" => Ok(bytes.iter().map(|byte| latin9(*byte)).collect()),
        _ => Err(DecodeError::CharacterSet),
    }
}

/// The first repetition of MSH-18. Empty where there is none.
fn character_set(bytes: &[u8]) -> String {
    let header = bytes.get(..bytes.len().min(HEADER_BYTES_MAX)).unwrap_or(bytes);
    let at = header.windows(3).position(|window| window == b"MSH").unwrap_or(header.len());
    let header = header.get(at..).unwrap_or_default();
    let line = header.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let Some(separator) = line.get(3) else { return String::new() };
    // MSH-1 is the separator itself: the 18th field stands after the 17th of them.
    let field = line.split(|byte| byte == separator).nth(17).unwrap_or_default();
    let first = field.split(|byte| *byte == b'~').next().unwrap_or_default();
    String::from_utf8_lossy(first).trim().to_owned()
}

/// ISO 8859-15 differs from 8859-1 in eight places.
fn latin9(byte: u8) -> char {
    match byte {
        0xa4 => '€',
        0xa6 => 'Š',
        0xa8 => 'š',
        0xb4 => 'Ž',
        0xb8 => 'ž',
        0xbc => 'Œ',
        0xbd => 'œ',
        0xbe => 'Ÿ',
        other => char::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &str, name: &[u8]) -> Vec<u8> {
        [format!("MSH|^~\\&|a|b|c|d|2026||ADT^A01|1|P|2.5||||||{set}\rPID|").as_bytes(), name].concat()
    }

    #[test]
    fn the_character_set_is_the_one_that_is_named() {
        assert!(decode(&with("UNICODE UTF-8", "Réault".as_bytes())).unwrap().ends_with("Réault"));
        assert!(decode(&with("8859/1", b"R\xe9ault")).unwrap().ends_with("Réault"));
        assert!(decode(&with("8859/15", b"\xbduvre")).unwrap().ends_with("œuvre"));
        assert_eq!(decode(&with("", b"R\xe9ault")), Err(DecodeError::NotUtf8));
        assert_eq!(decode(&with("GB 18030-2000", b"x")), Err(DecodeError::CharacterSet));
    }

    #[test]
    fn framing_and_marks_are_taken_off() {
        for framed in [&b"\x0bMSH|x\x1c\x0d"[..], b"\xef\xbb\xbfMSH|x", b"\x0bMSH|x\x1c"] {
            assert_eq!(decode(framed).unwrap(), "MSH|x");
        }
        assert_eq!(decode(b"").unwrap(), "");
    }
}
