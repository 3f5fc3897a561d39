//! Rows of separated fields (RFC 4180, with any separator), read one by one.
//!
//! Text is UTF-8, or, line by line where it is not, Windows-1252: French files of before 2020 are.

use super::LoadError;
use std::io::BufRead;

/// Longest row, in bytes. The longest of LOINC has some 20,000.
const ROW_BYTES_MAX: usize = 1024 * 1024;
/// Most fields in a row. LOINC has about 40.
const FIELDS_MAX: usize = 512;

/// The rows of a file.
pub(super) struct Rows<R> {
    input: R,
    separator: u8,
    /// The line on which the last row began.
    line: u64,
    next_line: u64,
}

impl<R: BufRead> Rows<R> {
    /// Rows whose separator is found in the first line: the one of tab, `;`, `|` and `,` that stands there most often.
    pub(super) fn open(mut input: R) -> Result<Self, LoadError> {
        let start = input.fill_buf()?;
        let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let count = |separator: u8| first.iter().filter(|byte| **byte == separator).count();
        // The last of those that stand there equally often, hence the order: a comma is also a mark of prose.
        let separator = [b',', b'|', b';', b'\t'].into_iter().max_by_key(|separator| count(*separator)).unwrap_or(b',');
        Ok(Rows { input, separator, line: 0, next_line: 1 })
    }

    /// The line on which the last row began.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The next row that is not empty.
    pub(super) fn next(&mut self) -> Result<Option<Vec<String>>, LoadError> {
        loop {
            let mut bytes = Vec::new();
            self.line = self.next_line;
            loop {
                let read = self.read_line(&mut bytes)?;
                // A field in quotes may hold line ends: the row goes on while a quote is open.
                let open = bytes.iter().filter(|byte| **byte == b'"').count() % 2 == 1 && self.quotes(&bytes);
                if read == 0 || !open {
                    break;
                }
            }
            if bytes.is_empty() {
                return Ok(None);
            }
            while matches!(bytes.last(), Some(b'\n' | b'\r')) {
                bytes.pop();
            }
            let row = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
            if !row.is_empty() {
                return self.fields(row).map(Some);
            }
        }
    }

    /// Whether a field of the row begins with a quote: only then do quotes have a meaning.
    fn quotes(&self, bytes: &[u8]) -> bool {
        bytes.split(|byte| *byte == self.separator).any(|field| field.first() == Some(&b'"'))
    }

    fn read_line(&mut self, bytes: &mut Vec<u8>) -> Result<usize, LoadError> {
        let left = (ROW_BYTES_MAX + 1).saturating_sub(bytes.len());
        let read = std::io::Read::take(&mut self.input, left as u64).read_until(b'\n', bytes)?;
        if bytes.len() > ROW_BYTES_MAX {
            return Err(LoadError::TooLarge(format!("line {}: longer than {ROW_BYTES_MAX} bytes", self.line)));
        }
        self.next_line += 1;
        Ok(read)
    }

    fn fields(&self, row: &[u8]) -> Result<Vec<String>, LoadError> {
        let text = decode(row);
        let separator = char::from(self.separator);
        let mut fields = Vec::new();
        let mut field = String::new();
        let mut letters = text.chars().peekable();
        let mut quoted = false;
        while let Some(letter) = letters.next() {
            match letter {
                '"' if quoted && letters.peek() == Some(&'"') => {
                    letters.next();
                    field.push('"');
                }
                '"' if quoted => quoted = false,
                '"' if field.is_empty() => quoted = true,
                letter if letter == separator && !quoted => {
                    fields.push(std::mem::take(&mut field));
                    if fields.len() >= FIELDS_MAX {
                        return Err(LoadError::format(self.line, format!("more than {FIELDS_MAX} fields")));
                    }
                }
                letter => field.push(letter),
            }
        }
        fields.push(field);
        Ok(fields.into_iter().map(|field| field.trim().to_owned()).collect())
    }
}

/// What Windows-1252 has at 0x80 to 0x9F; the rest of it is Latin-1 (Unicode's mapping table CP1252.TXT).
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes
            .iter()
            .map(|byte| {
                let high = byte.checked_sub(0x80).and_then(|at| WINDOWS_1252.get(usize::from(at)));
                high.copied().unwrap_or(char::from(*byte))
            })
            .collect(),
    }
}

/// The place of the first column whose name, without case, accents and marks, is one of these.
pub(super) fn column(header: &[String], names: &[&str]) -> Option<usize> {
    let bare = |name: &str| -> String {
        tacet_fhir::search::fold(name).chars().filter(|letter| letter.is_alphanumeric()).collect()
    };
    names.iter().find_map(|wanted| header.iter().position(|name| bare(name) == *wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(bytes: &[u8]) -> Vec<Vec<String>> {
        let mut rows = Rows::open(bytes).unwrap();
        std::iter::from_fn(|| rows.next().unwrap()).collect()
    }

    #[test]
    fn quotes_line_ends_and_old_letters_are_read() {
        assert_eq!(rows(b"a,\"b,\"\"c\"\"\",d\r\n\r\n1,\"x\ny\",\n"), [["a", "b,\"c\"", "d"], ["1", "x\ny", ""]]);
        assert_eq!(rows(b"A01;\x8Cuf d\xE9j\xE0\n"), [["A01", "Œuf déjà"]]);
        assert_eq!(rows("\u{FEFF}a\tb".as_bytes()), [["a", "b"]]);
        assert_eq!(rows(b"a|say \"so\n"), [["a", "say \"so"]]);
        assert!(rows(b"").is_empty());
    }

    #[test]
    fn a_row_without_end_is_refused() {
        let long = vec![b'x'; ROW_BYTES_MAX + 2];
        assert!(matches!(Rows::open(long.as_slice()).unwrap().next(), Err(LoadError::TooLarge(_))));
        let wide = vec![b','; FIELDS_MAX + 2];
        assert!(matches!(Rows::open(wide.as_slice()).unwrap().next(), Err(LoadError::Format { line: 1, .. })));
    }
}
