//! Separators, escapes and prefixes of values (<https://hl7.org/fhir/R4/search.html#escaping>).

use crate::filter::Comparison;
use std::borrow::Cow;

/// The parts between separators that no `\` stands before. At least one.
pub(super) fn split(raw: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in raw.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            parts.extend(raw.get(start..at));
            start = at + c.len_utf8();
        }
    }
    parts.extend(raw.get(start..));
    parts
}

/// The text that is meant: `\,` `\|` `\$` and `\\` stand for what follows the `\`, and any other `\` for itself.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.clone().next() {
            Some(next @ (',' | '|' | '$' | '\\')) => {
                text.push(next);
                rest.next();
            }
            _ => text.push('\\'),
        }
    }
    Cow::Owned(text)
}

/// The prefix of a date, number or quantity, and what follows it.
pub(super) fn prefix(text: &str) -> (Option<Comparison>, &str) {
    let comparison = match text.get(..2) {
        Some("eq") => Comparison::Equal,
        Some("ne") => Comparison::NotEqual,
        Some("gt") => Comparison::Greater,
        Some("lt") => Comparison::Less,
        Some("ge") => Comparison::GreaterOrEqual,
        Some("le") => Comparison::LessOrEqual,
        Some("sa") => Comparison::StartsAfter,
        Some("eb") => Comparison::EndsBefore,
        Some("ap") => Comparison::Approximately,
        _ => return (None, text),
    };
    (Some(comparison), text.get(2..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_may_be_escaped() {
        assert_eq!(split(r"a,b\,c,d", ','), ["a", r"b\,c", "d"]);
        assert_eq!(split(r"a\\,b", ','), [r"a\\", "b"]);
        assert_eq!(split("", ','), [""]);
        assert_eq!(split(",", ','), ["", ""]);
        assert_eq!(split("é,è\\", ','), ["é", "è\\"]);
    }

    #[test]
    fn escapes_stand_for_what_follows() {
        for (raw, text) in [(r"a\,b\|c\$d\\e", r"a,b|c$d\e"), (r"a\b\", r"a\b\"), ("plain", "plain"), (r"\\,", r"\,")] {
            assert_eq!(unescape(raw), text);
        }
    }

    #[test]
    fn a_prefix_is_two_letters() {
        assert_eq!(prefix("ge2020"), (Some(Comparison::GreaterOrEqual), "2020"));
        assert_eq!(prefix("2020"), (None, "2020"));
        assert_eq!(prefix("é1"), (None, "é1"));
        assert_eq!(prefix("xx1"), (None, "xx1"));
    }
}
