//! The French ICD-10 (CIM-10 FR) as the ATIH gives it out: a text file, a row for each code, fields separated by `|`, `;`
//! or tabs, without a header row. The first field is the code, without a dot (`A000`), the last one the label, the one
//! before it a shorter label; what stands between is for the coding of stays and not read.

use super::csv::Rows;
use super::{LoadError, Loaded, Release, Sink};
use crate::system::Concept;
use std::collections::HashSet;
use std::io::BufRead;

/// Longest code: a category, a dot and its extensions.
const CODE_BYTES_MAX: usize = 12;

/// Reads the codes. They get the dot of the ICD-10 after the third sign (`A00.0`), because FHIR names codes as the ICD-10
/// prints them; the concept above a code is the longest beginning of it that is a code itself, and so it must come
/// before. The labels are French: the long one is the display, the short one a designation.
///
/// # Errors
/// No row begins with a code; or reading or writing fails.
pub fn cim10(input: impl BufRead, release: &Release, sink: &mut dyn Sink) -> Result<Loaded, LoadError> {
    let mut rows = Rows::open(input)?;
    sink.begin(release.header(true))?;
    let mut seen: HashSet<String> = HashSet::new();
    let mut loaded = Loaded::default();
    while let Some(row) = rows.next()? {
        let code = row.first().and_then(|code| dotted(code));
        let labels = row.get(1..).unwrap_or_default();
        let (Some(code), Some(label)) = (code, labels.last().filter(|label| !label.is_empty())) else {
            loaded.passed_over += 1;
            continue;
        };
        let mut above = code.as_str();
        let parent = loop {
            let Some((at, _)) = above.char_indices().next_back() else { break None };
            above = above.get(..at).unwrap_or_default();
            if let Some(parent) = seen.get(above) {
                break Some(parent.as_str());
            }
        };
        let short = labels.iter().rev().nth(1).filter(|text| *text != label && text.chars().any(char::is_alphabetic));
        let short = short.map(|text| ("fr", text.as_str()));
        sink.concept(&Concept {
            code: &code,
            display: label,
            parents: parent.as_slice(),
            designations: short.as_slice(),
            ..Concept::default()
        })?;
        loaded.concepts += 1;
        if !seen.insert(code) {
            return Err(LoadError::format(rows.line(), "a code comes twice"));
        }
    }
    match loaded.concepts {
        0 => Err(LoadError::format(0, "no row begins with a code of the ICD-10: give the text file of the ATIH")),
        _ => Ok(loaded),
    }
}

/// A code with its dot, or `None` for a text that is no code: a letter, two digits, then digits, letters or signs.
fn dotted(text: &str) -> Option<String> {
    let bare: String = text.chars().filter(|letter| *letter != '.').collect();
    let shape = bare.len() <= CODE_BYTES_MAX
        && bare.bytes().enumerate().all(|(at, byte)| match at {
            0 => byte.is_ascii_uppercase(),
            1 | 2 => byte.is_ascii_digit(),
            _ => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'*' | b'-'),
        });
    let (category, rest) = bare.split_at_checked(3).filter(|_| shape)?;
    Some(match rest.bytes().next() {
        Some(byte) if byte.is_ascii_alphanumeric() => format!("{category}.{rest}"),
        _ => bare,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_get_their_dot() {
        assert_eq!(dotted("Q99").as_deref(), Some("Q99"));
        assert_eq!(dotted("Q991").as_deref(), Some("Q99.1"));
        assert_eq!(dotted("Q99.1").as_deref(), Some("Q99.1"));
        assert_eq!(dotted("Q99+0").as_deref(), Some("Q99+0"));
        for text in ["code", "9Q9", "Q9", "", "Q99é", "Q991234567890123"] {
            assert_eq!(dotted(text), None);
        }
    }
}
