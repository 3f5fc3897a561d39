//! Escapes in text: those of FHIRPath's own literals, and those of `escape()` and `unescape()`.

use std::fmt::Write as _;

/// Which escapes are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Escapes {
    /// Those of literals: JSON's without `\b`, and the two other quotes.
    FhirPath,
    /// Those of RFC 8259.
    Json,
}

/// Reads the escape at the start of `text`, a backslash: what it stands for, and its length in bytes.
pub(crate) fn escape(text: &str, known: Escapes) -> Option<(char, usize)> {
    let letter = text.chars().nth(1)?;
    let plain = match letter {
        '\\' | '/' | '"' => letter,
        '\'' | '`' if known == Escapes::FhirPath => letter,
        'b' if known == Escapes::Json => '\u{8}',
        'f' => '\u{C}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return code_point(text),
        _ => return None,
    };
    Some((plain, 2))
}

/// `\uXXXX`, or two of them where the first is half of a pair.
fn code_point(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| -> Option<u32> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let first = unit(0)?;
    if (0xD800..0xDC00).contains(&first) {
        let second = unit(6).filter(|second| (0xDC00..0xE000).contains(second))?;
        let scalar = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return Some((char::from_u32(scalar)?, 12));
    }
    Some((char::from_u32(first)?, 6))
}

/// `text` as the inside of a JSON string.
pub(crate) fn escape_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out
}

/// The inside of a JSON string as text; an escape that is not one stays as it stands.
pub(crate) fn unescape_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (letter, length) = escape(from, Escapes::Json).unwrap_or(('\\', 1));
        out.push(letter);
        rest = from.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The longest entity that is looked for, in bytes, `&` and `;` included.
const ENTITY_BYTES_MAX: usize = 10;

/// `text` with the entities of XML and the numeric ones replaced; others stay as they stand.
pub(crate) fn unescape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = from.bytes().take(ENTITY_BYTES_MAX).position(|byte| byte == b';');
        let found = end.and_then(|end| Some((entity(from.get(1..end)?)?, end + 1)));
        let (letter, length) = found.unwrap_or(('&', 1));
        out.push(letter);
        rest = from.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let scalar = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(scalar)?
        }
    })
}
