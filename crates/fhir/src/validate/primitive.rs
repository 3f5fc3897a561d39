//! How the values of each primitive type look. Matchers by hand for the regular expressions of R4
//! (<https://hl7.org/fhir/R4/datatypes.html#primitive>), and for what its prose adds: days that exist, numbers that
//! fit, padding of base64, no control characters, one megabyte.

use super::xhtml;
use crate::definitions::Primitive;

/// Longest string, in bytes: R4, datatypes, string.
const STRING_BYTES_MAX: usize = 1024 * 1024;
/// Longest id: R4, datatypes, id.
const ID_BYTES_MAX: usize = 64;

/// Whether a text is a value of that type. Numbers are given as their digits; a boolean as `true` or `false`.
pub fn is_well_formed(primitive: Primitive, text: &str) -> bool {
    !text.is_empty() && check(primitive, text).is_ok()
}

/// `Err` says what a value of the type looks like. An empty text is another rule's business.
pub(super) fn check(primitive: Primitive, text: &str) -> Result<(), &'static str> {
    use Primitive as P;
    let (fits, rule) = match primitive {
        P::Boolean => (matches!(text, "true" | "false"), "must be true or false"),
        P::String | P::Markdown => return check_text(text),
        P::Code => (is_code(text), "a code has no blank at its ends and single ones inside"),
        P::Id => (is_id(text), "an id has 1 to 64 letters, digits, `-` and `.`"),
        P::Uri | P::Url | P::Canonical => (is_uri(text), "an address has no blanks"),
        P::Oid => (is_oid(text), "must be urn:oid: and an object identifier"),
        P::Uuid => (is_uuid(text), "must be urn:uuid: and a UUID in lower case"),
        P::Integer => (is_integer(text, i64::from(i32::MIN)), "must be a whole number of 32 bits"),
        P::UnsignedInt => (is_integer(text, 0), "must be a whole number from 0 to 2147483647"),
        P::PositiveInt => (is_integer(text, 1), "must be a whole number from 1 to 2147483647"),
        P::Decimal => (is_decimal(text), "must be a decimal number"),
        P::Base64Binary => (is_base64(text), "must be base64 with its padding"),
        P::Date => (date(text.as_bytes()) == Some(&[]), "must be a date: YYYY, YYYY-MM or YYYY-MM-DD"),
        P::DateTime => (is_date_time(text), "must be a date, or a date with a time to the second and a zone"),
        P::Instant => (is_instant(text), "must be a date with a time to the second and a zone"),
        P::Time => (time(text.as_bytes()) == Some(&[]), "must be a time of day: hh:mm:ss"),
        P::Xhtml => return xhtml::check(text),
    };
    if fits { Ok(()) } else { Err(rule) }
}

fn check_text(text: &str) -> Result<(), &'static str> {
    if text.len() > STRING_BYTES_MAX {
        return Err("a string has at most 1 MB");
    }
    let is_plain = text.bytes().map(|byte| u32::from(byte < b' ')).sum::<u32>() == 0;
    if !is_plain && text.bytes().any(|byte| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) {
        return Err("a string has no control characters other than tab and line breaks");
    }
    if text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
        return Err("a string must not consist of blanks");
    }
    Ok(())
}

/// Whether all of it is visible ASCII: the common case of codes and addresses, told without decoding characters.
/// Counts instead of stopping at the first fault, so that the compiler can take many bytes at a time.
fn is_graphic(text: &str) -> bool {
    text.bytes().map(|byte| u32::from(!(0x21..0x7F).contains(&byte))).sum::<u32>() == 0
}

/// `[^\s]+(\s[^\s]+)*`
fn is_code(text: &str) -> bool {
    is_graphic(text) || text.split(char::is_whitespace).all(|word| !word.is_empty()) && !text.contains(char::is_control)
}

/// `[A-Za-z0-9\-\.]{1,64}`
fn is_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// `\S*`
fn is_uri(text: &str) -> bool {
    is_graphic(text) || !text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
}

/// `urn:oid:[0-2](\.(0|[1-9][0-9]*))+`
fn is_oid(text: &str) -> bool {
    let Some((first, arcs)) = text.strip_prefix("urn:oid:").and_then(|oid| oid.split_once('.')) else { return false };
    matches!(first, "0" | "1" | "2")
        && arcs.split('.').all(|arc| {
            arc == "0" || (arc.starts_with(|first| first != '0') && arc.bytes().all(|byte| byte.is_ascii_digit()))
        })
}

/// `urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("urn:uuid:") else { return false };
    uuid.len() == 36
        && uuid.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// `0|[-+]?[1-9][0-9]*`, of which JSON leaves no plus sign, from `min` to the largest of 32 bits.
fn is_integer(text: &str, min: i64) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = text == "0" || (digits.starts_with(|first| first != '0') && digits.bytes().all(|b| b.is_ascii_digit()));
    plain && text.parse::<i64>().is_ok_and(|number| (min..=i64::from(i32::MAX)).contains(&number))
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`: the numbers of JSON, which a parsed text has been held to.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (whole == "0" || (digits(whole) && !whole.starts_with('0')))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// Groups of four of RFC 4648 section 4, white space between them, padding only at the end.
fn is_base64(text: &str) -> bool {
    let mut letters = 0_usize;
    let mut padding = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => letters += 1,
            b'=' => padding += 1,
            b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => return false,
        }
    }
    padding <= 2 && letters > 0 && (letters + padding).is_multiple_of(4)
}

fn is_date_time(text: &str) -> bool {
    match date(text.as_bytes()) {
        Some([]) => true,
        Some([b'T', after @ ..]) if text.as_bytes().get(10) == Some(&b'T') => time(after).is_some_and(is_zone),
        _ => false,
    }
}

fn is_instant(text: &str) -> bool {
    text.as_bytes().get(10) == Some(&b'T') && is_date_time(text)
}

/// What follows a date (`YYYY`, `YYYY-MM` or `YYYY-MM-DD`) that exists.
fn date(text: &[u8]) -> Option<&[u8]> {
    let (century, rest) = two_digits(text)?;
    let (in_century, rest) = two_digits(rest)?;
    let year = u16::from(century) * 100 + u16::from(in_century);
    if year == 0 {
        return None;
    }
    let [b'-', rest @ ..] = rest else { return Some(rest) };
    let (month, rest) = two_digits(rest)?;
    if !(1..=12).contains(&month) {
        return None;
    }
    let [b'-', rest @ ..] = rest else { return Some(rest) };
    let (day, rest) = two_digits(rest)?;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u8::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=days).contains(&day).then_some(rest)
}

/// What follows a time of day (`hh:mm:ss`, with a fraction or not). A leap second counts.
fn time(text: &[u8]) -> Option<&[u8]> {
    let (hour, rest) = two_digits(text)?;
    let (minute, rest) = two_digits(rest.strip_prefix(b":")?)?;
    let (second, rest) = two_digits(rest.strip_prefix(b":")?)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let [b'.', fraction @ ..] = rest else { return Some(rest) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { None } else { fraction.get(digits..) }
}

/// `Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00)`
fn is_zone(text: &[u8]) -> bool {
    let [b'+' | b'-', rest @ ..] = text else { return text == b"Z" };
    let parts = two_digits(rest).and_then(|(hour, rest)| Some((hour, two_digits(rest.strip_prefix(b":")?)?)));
    matches!(parts, Some((0..=13, (0..=59, []))) | Some((14, (0, []))))
}

fn two_digits(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => Some(((tens - b'0') * 10 + (ones - b'0'), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart() {
        use Primitive as P;
        let long_id = "a".repeat(65);
        let cases: &[(P, &[&str], &[&str])] = &[
            (P::Boolean, &["true", "false"], &["True", "1", ""]),
            (P::String, &["a", " a\t\r\n", "é", "\u{7F}"], &["", "a\u{0}", "\u{B}", " ", "\n\t"]),
            (P::Markdown, &["# a\n\n* b"], &["", "a\u{1}"]),
            (P::Code, &["a", "a b", "<=", "é"], &["", " a", "a ", "a  b", "\ta", "a\n"]),
            (P::Id, &["a", "A-1.b", "64"], &["", "a b", "a_b", "é", "a/b", &long_id]),
            (P::Uri, &["http://a/b|1", "urn:x", "a"], &["", "a b", "a\u{A0}b", "\n"]),
            (P::Url, &["https://a"], &["http://a b"]),
            (P::Canonical, &["http://a|1#b"], &["http://a |1"]),
            (
                P::Oid,
                &["urn:oid:1.2.3", "urn:oid:2.0"],
                &["1.2.3", "urn:oid:3.1", "urn:oid:1", "urn:oid:1.02", "urn:oid:1..2"],
            ),
            (
                P::Uuid,
                &["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
                &[
                    "c757873d-ec9a-4326-a141-556f43239520",
                    "urn:uuid:C757873D-ec9a-4326-a141-556f43239520",
                    "urn:uuid:c757873dec9a4326a141556f43239520",
                ],
            ),
            (
                P::Integer,
                &["0", "-1", "2147483647", "-2147483648"],
                &["01", "1.0", "1e3", "2147483648", "-2147483649", "-0", "-", "+1"],
            ),
            (P::UnsignedInt, &["0", "7"], &["-1", "2147483648", "00"]),
            (P::PositiveInt, &["1", "2147483647"], &["0", "-1", "1.5"]),
            (
                P::Decimal,
                &["0", "-0.10", "1.0e-5", "1E5", "100000000000000000000.1"],
                &["01", ".5", "1.", "1e", "NaN", "-"],
            ),
            (P::Base64Binary, &["aGk=", "aGkh", "aA==", "aGkh\naGk="], &["aGk", "a===", "aG=k", "====", "a-_b", " "]),
            (
                P::Date,
                &["2024", "2024-02", "2024-02-29", "1900-01-31"],
                &[
                    "24",
                    "2023-02-29",
                    "1900-02-29",
                    "2024-13",
                    "2024-00",
                    "2024-04-31",
                    "2024-1-1",
                    "0000",
                    "2024-01-01T00:00:00Z",
                    "2024-",
                ],
            ),
            (
                P::DateTime,
                &[
                    "2024",
                    "2024-02",
                    "2024-02-01",
                    "2024-02-01T23:59:60Z",
                    "2024-02-01T10:00:00.123456+14:00",
                    "2015-02-07T13:28:17-05:00",
                ],
                &[
                    "2024-02-01T10:00Z",
                    "2024-02-01T10:00:00",
                    "2024-02-01T24:00:00Z",
                    "2024-02-01T10:00:00+14:30",
                    "2024-02-01 10:00:00Z",
                    "2024-02T10:00:00Z",
                    "2024-02-01T10:00:00.Z",
                    "2024-02-01T10:00:00z",
                ],
            ),
            (
                P::Instant,
                &["2024-02-01T10:00:00Z", "2024-02-01T10:00:00.1-03:30"],
                &["2024-02-01", "2024", "2024-02-01T10:00:00"],
            ),
            (P::Time, &["10:00:00", "23:59:59.999"], &["10:00", "24:00:00", "10:00:00Z", "10:00:61", "1:00:00"]),
            (P::Xhtml, &["<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"], &["a", "<p>a</p>"]),
        ];
        assert_eq!(cases.len(), Primitive::ALL.len());
        for (primitive, right, wrong) in cases {
            for text in *right {
                assert!(is_well_formed(*primitive, text), "{primitive:?} {text:?}");
            }
            for text in *wrong {
                assert!(!is_well_formed(*primitive, text), "{primitive:?} {text:?}");
            }
        }
    }
}
