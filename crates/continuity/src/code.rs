//! The codes of sheets: by them what was written on paper is entered afterwards.
//!
//! ```text
//! 20261122-1205-7K3Q-012-R4TWX
//! └──── serial ────┘ │    │  └ shows a slip of the pen, with nothing at hand
//!                    │    └ the mark: binds the sheet to its patient, by a key that only the hospital's store has
//!                    └ the sheet's number in its pack
//! ```
//!
//! The mark is worked out by who has the key; here it is four bytes. So a code needs no list of the sheets that were ever printed: a made-up one, and one of
//! another patient's sheet, are told by the mark alone.

use crate::read::DAY_MS;
use tacet_types::{Timestamp, civil_from_days, days_from_civil};

/// The letters of serial numbers and codes: none that is mistaken for another when it is read from paper (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// How many bytes of a keyed hash a mark is made of: a letter of each, 20 bits in all.
pub const MARK_BYTES: usize = 4;

/// Longest code, in bytes: a sheet's number has four digits at most.
const CODE_BYTES_MAX: usize = 29;

/// A serial number: the minute in which the pack was made, in universal time, and four letters by chance.
pub fn serial(made: Timestamp, chance: [u8; 4]) -> String {
    let (year, month, day) = civil_from_days(made.as_ms().div_euclid(DAY_MS));
    let minutes = made.as_ms().rem_euclid(DAY_MS) / 60_000;
    let letters: String = chance.iter().map(|byte| letter(usize::from(*byte))).collect();
    format!("{year:04}{month:02}{day:02}-{:02}{:02}-{letters}", minutes / 60, minutes % 60)
}

fn letter(number: usize) -> char {
    LETTERS.get(number % LETTERS.len()).map_or('0', |byte| char::from(*byte))
}

/// What the mark of a pack's sheet is worked out from, together with the patient: the serial number and the sheet's number.
pub fn sheet_name(serial: &str, number: usize) -> String {
    format!("{serial}-{number:03}")
}

/// The code of the sheet of this name ([`sheet_name`]) and mark.
pub fn sheet_code(name: &str, mark: [u8; MARK_BYTES]) -> String {
    let body = format!("{name}-{}", letters_of(mark));
    let check = check_letter(&body);
    format!("{body}{check}")
}

fn letters_of(mark: [u8; MARK_BYTES]) -> String {
    mark.iter().map(|byte| letter(usize::from(*byte))).collect()
}

fn check_letter(body: &str) -> char {
    // By their place, so that two that changed places are noticed; 31 is prime and longer than any code.
    let sum: usize = body.bytes().enumerate().map(|(place, byte)| (place + 1) * usize::from(byte)).sum();
    letter(sum % 31)
}

/// A code that has the shape of one, and whose last letter is right.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SheetCode {
    text: String,
    made_ms: i64,
}

impl SheetCode {
    /// Reads a code, letters small or large.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > CODE_BYTES_MAX || !text.is_ascii() {
            return None;
        }
        let text = text.to_ascii_uppercase();
        let (body, check) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let [day, time, letters, number, mark]: [&str; 5] = body.split('-').collect::<Vec<_>>().try_into().ok()?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let lettered = |part: &str| part.len() == 4 && part.bytes().all(|byte| LETTERS.contains(&byte));
        let shaped = (day.len(), time.len()) == (8, 4)
            && (3..=4).contains(&number.len())
            && [day, time, number].into_iter().all(digits)
            && lettered(letters)
            && lettered(mark);
        if !shaped || check != check_letter(body).to_string() {
            return None;
        }
        let made_ms = made_ms(day, time)?;
        Some(Self { text, made_ms })
    }

    /// The code, its letters large.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name that the mark is worked out from ([`sheet_name`]).
    pub fn name(&self) -> &str {
        // The mark is four letters, with a hyphen before it and the check behind it.
        self.text.len().checked_sub(MARK_BYTES + 2).and_then(|end| self.text.get(..end)).unwrap_or_default()
    }

    /// Whether it bears this mark.
    pub fn bears(&self, mark: [u8; MARK_BYTES]) -> bool {
        self.text == sheet_code(self.name(), mark)
    }

    /// When the pack was made, to the minute, in milliseconds of universal time.
    pub fn made_ms(&self) -> i64 {
        self.made_ms
    }
}

fn made_ms(day: &str, time: &str) -> Option<i64> {
    let number = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let (year, month, of_month) = (number(day, 0, 4)?, number(day, 4, 6)?, number(day, 6, 8)?);
    let (hours, minutes) = (number(time, 0, 2)?, number(time, 2, 4)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&of_month) {
        return None;
    }
    let days = days_from_civil(i64::from(year), month, of_month);
    let real = hours < 24 && minutes < 60 && civil_from_days(days) == (i64::from(year), month, of_month);
    real.then(|| days * DAY_MS + i64::from(hours * 60 + minutes) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_show_a_slip_of_the_pen() {
        let made = Timestamp::parse("2026-11-22T12:05:00Z").unwrap();
        let name = sheet_name(&serial(made, [7, 20, 33, 250]), 12);
        assert_eq!(name, "20261122-1205-7M1T-012");
        let code = sheet_code(&name, [1, 2, 3, 255]);
        assert!(code.starts_with("20261122-1205-7M1T-012-123Z"), "{code}");
        let read = SheetCode::parse(&format!(" {} ", code.to_lowercase())).unwrap();
        assert_eq!((read.as_str(), read.name(), read.made_ms()), (code.as_str(), name.as_str(), made.as_ms()));
        assert!(read.bears([1, 2, 3, 255]) && !read.bears([1, 2, 3, 4]));
        assert_eq!(
            SheetCode::parse(&sheet_code(&sheet_name("20261122-1205-7M1T", 1234), [0; 4])).unwrap().name().len(),
            23
        );
        for place in 0..code.len() - 1 {
            let mut bytes = code.clone().into_bytes();
            bytes[place] = if bytes[place] == b'3' { b'4' } else { b'3' };
            assert!(SheetCode::parse(&String::from_utf8(bytes).unwrap()).is_none(), "{place}");
            let mut bytes = code.clone().into_bytes();
            bytes.swap(place, place + 1);
            let swapped = String::from_utf8(bytes).unwrap();
            assert!(swapped == code || SheetCode::parse(&swapped).is_none(), "{swapped}");
        }
        for none in [
            "",
            "é",
            "20261122-1205-7M1T-012X",
            &sheet_code("20261322-1205-7M1T-012", [0; 4]),
            &sheet_code("20261122-2505-7M1T-012", [0; 4]),
        ] {
            assert!(SheetCode::parse(none).is_none(), "{none}");
        }
    }
}
